/* The web server's end of a connection: it sends a request's records and collects those of the answer. */
#ifndef KIT_WEB_SERVER_H
#define KIT_WEB_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

/* Bytes that grow. */
struct bytes {
	uint8_t *all;
	size_t size, room;
};

/* A request while it is put together. A talloc context. */
struct outgoing {
	struct bytes params;
	struct bytes records; /* as they go out */
	bool has_failed;      /* out of memory */
};

/* Add a parameter; NULL: none. */
void outgoing_param(struct outgoing *outgoing, const char *name, const char *value);

/* The parameters are all there; then the body. Returns 0, or -1: out of memory, also for what was added before. */
int outgoing_end(struct outgoing *outgoing, const void *body, size_t size);

/*
 * It has a thread of its own, for neither side waits for the other: an answer may begin before the request has been
 * read, and neither need fit into the buffer of a socket.
 */
struct web_server {
	int fd;
	pthread_t thread;
	const struct bytes *records;
	uint8_t *answer; /* by malloc(3): talloc's contexts are the other thread's */
	size_t size, room;
};

/* Begin. Returns the daemon's end of the connection, or -1 with errno. */
int web_server_begin(struct web_server *server, const struct outgoing *outgoing);

/* The daemon's end is closed: wait for the thread. The answer is to be freed. */
void web_server_end(struct web_server *server);

#endif

/* The web server's end of a connection. */
#include "kit/web_server.h"

#include "http/records.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A record's length has two bytes. */
#define CONTENT_MAX ((size_t)65535)
#define STEP_SIZE   ((size_t)64 * 1024)

/* ---- The request --------------------------------------------------------------------------------------------- */

/* Room for so much more. Doubled: each step copies what there is. */
static bool make_room(struct outgoing *outgoing, struct bytes *bytes, size_t size)
{
	size_t room = bytes->room;
	uint8_t *grown;

	if (size <= room - bytes->size)
		return true;
	while (size > room - bytes->size)
		room = 2 * room + STEP_SIZE;
	grown = talloc_realloc_size(outgoing, bytes->all, room);
	if (grown == NULL)
		return false;
	bytes->all = grown;
	bytes->room = room;
	return true;
}

static void put(struct outgoing *outgoing, struct bytes *bytes, const void *more, size_t size)
{
	if (size == 0)
		return;
	if (!make_room(outgoing, bytes, size)) {
		outgoing->has_failed = true;
		return;
	}
	memcpy(bytes->all + bytes->size, more, size);
	bytes->size += size;
}

static void put_record(struct outgoing *outgoing, uint8_t type, const void *content, size_t size)
{
	const uint8_t header[RECORD_HEADER_SIZE] = {
		RECORD_VERSION_1, type, 0, 1, (uint8_t)(size >> 8), (uint8_t)size, 0, 0,
	};

	put(outgoing, &outgoing->records, header, sizeof header);
	put(outgoing, &outgoing->records, content, size);
}

/* Records that are full, and an empty one at the end. */
static void put_stream(struct outgoing *outgoing, uint8_t type, const void *content, size_t size)
{
	const uint8_t *at = content;

	while (size > 0) {
		size_t now = size < CONTENT_MAX ? size : CONTENT_MAX;

		put_record(outgoing, type, at, now);
		at += now;
		size -= now;
	}
	put_record(outgoing, type, NULL, 0);
}

static void put_length(struct outgoing *outgoing, size_t length)
{
	const uint8_t four[] = {
		(uint8_t)(0x80 | length >> 24),
		(uint8_t)(length >> 16),
		(uint8_t)(length >> 8),
		(uint8_t)length,
	};

	put(outgoing, &outgoing->params, four, sizeof four);
}

void outgoing_param(struct outgoing *outgoing, const char *name, const char *value)
{
	if (value == NULL)
		return;
	put_length(outgoing, strlen(name));
	put_length(outgoing, strlen(value));
	put(outgoing, &outgoing->params, name, strlen(name));
	put(outgoing, &outgoing->params, value, strlen(value));
}

int outgoing_end(struct outgoing *outgoing, const void *body, size_t size)
{
	static const uint8_t begin[RECORD_BEGIN_BODY_SIZE] = {0, RECORD_ROLE_RESPONDER};

	put_record(outgoing, RECORD_BEGIN_REQUEST, begin, sizeof begin);
	put_stream(outgoing, RECORD_PARAMS, outgoing->params.all, outgoing->params.size);
	put_stream(outgoing, RECORD_STDIN, body, size);
	return outgoing->has_failed ? -1 : 0;
}

/* ---- The connection ------------------------------------------------------------------------------------------ */

/* False when nothing more will come. */
static bool receive(struct web_server *server)
{
	ssize_t got;

	if (server->room - server->size < STEP_SIZE) {
		uint8_t *grown = realloc(server->answer, 2 * server->room + STEP_SIZE);

		if (grown == NULL)
			return false;
		server->answer = grown;
		server->room = 2 * server->room + STEP_SIZE;
	}
	got = recv(server->fd, server->answer + server->size, server->room - server->size, MSG_DONTWAIT);
	if (got > 0)
		server->size += (size_t)got;
	return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

/* The daemon need not read all of a request. */
static void send_more(const struct web_server *server, size_t *sent)
{
	ssize_t now = send(server->fd, server->records->all + *sent, server->records->size - *sent,
	                   MSG_DONTWAIT | MSG_NOSIGNAL);

	if (now > 0)
		*sent += (size_t)now;
	else if (errno != EAGAIN && errno != EINTR)
		*sent = server->records->size;
}

static void *run(void *context)
{
	struct web_server *server = context;
	struct pollfd ready = {.fd = server->fd};
	size_t sent = 0;

	do {
		ready.events = (short)(POLLIN | (sent < server->records->size ? POLLOUT : 0));
		if (poll(&ready, 1, -1) < 0)
			continue;
		if ((ready.revents & POLLOUT) != 0)
			send_more(server, &sent);
	} while ((ready.revents & (POLLIN | POLLHUP | POLLERR)) == 0 || receive(server));
	return NULL;
}

int web_server_begin(struct web_server *server, const struct outgoing *outgoing)
{
	int pair[2];

	*server = (struct web_server){.records = &outgoing->records};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	server->fd = pair[1];
	errno = pthread_create(&server->thread, NULL, run, server);
	if (errno == 0)
		return pair[0];
	close(pair[0]);
	close(pair[1]);
	return -1;
}

void web_server_end(struct web_server *server)
{
	(void)pthread_join(server->thread, NULL);
	close(server->fd);
}

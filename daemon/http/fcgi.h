/*
 * FastCGI, and the only file that knows libfcgi. libfcgi trusts its peer: it blocks on a stalled one, takes truncated
 * parameters for whole ones and mishandles management records. So it is never shown a byte before the request has
 * been looked through in the socket's buffer: fcgi_inspect() says when it is whole and well-formed.
 * FastCGI Specification 1.0, sections 3 to 6.
 */
#ifndef HTTP_FCGI_H
#define HTTP_FCGI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

/* The parameters of one request, as they are on the wire. */
#define FCGI_PARAMS_SIZE_MAX (64 * 1024)

enum fcgi_role_kind { FCGI_ROLE_RESPONDER, FCGI_ROLE_AUTHORIZER };

struct fcgi;

/*
 * Prepare the library and test, on a socket pair, that its insides are as this file takes them to be. Call it once,
 * after SIGPIPE, SIGUSR1 and SIGTERM have got handlers of ours. Returns NULL, or what is wrong.
 */
const char *fcgi_init(void);

/*
 * A connection that was accepted, blocking, on `ctx`; freeing it closes `fd`. Answers that the peer does not take
 * for io_timeout_ms are given up. NULL when out of memory (`fd` is then still the caller's).
 */
struct fcgi *fcgi_open(TALLOC_CTX *ctx, int fd, int64_t io_timeout_ms);

int fcgi_fd(const struct fcgi *fcgi);

enum fcgi_progress {
	FCGI_WAIT,   /* more is to come: call again when the descriptor has become readable anew (edge) */
	FCGI_READY,  /* the parameters are there, and the body is too, or is larger than it is worth waiting for */
	FCGI_CLOSED, /* the peer went away and has left nothing; one that leaves half a request shows in its descriptor
	                only */
	FCGI_BROKEN, /* not a request that we take; fcgi_defect() says why. Close it. */
};

/* Look at what has arrived, without taking it and without blocking. */
enum fcgi_progress fcgi_inspect(struct fcgi *fcgi);

/* Of one that is ready: nothing that will be read of it is still to come. */
bool fcgi_is_whole(const struct fcgi *fcgi);

const char *fcgi_defect(const struct fcgi *fcgi);

/*
 * The request's path (SCRIPT_NAME + PATH_INFO) without taking the request in, after FCGI_READY only. Returns false when
 * it does not fit in path[size].
 */
bool fcgi_peek_path(struct fcgi *fcgi, char *path, size_t size);

/* Take the request in. After FCGI_READY only. Returns 0, or -1: close it. */
int fcgi_accept(struct fcgi *fcgi);

enum fcgi_role_kind fcgi_role(const struct fcgi *fcgi);

/*
 * A parameter; the last one of a name that was sent twice, as a web server's later setting overrides. NULL when it is
 * not there. Gone after fcgi_answer().
 */
const char *fcgi_param(const struct fcgi *fcgi, const char *name);

/* Up to `size` bytes of the body; fewer when it ends or stalls for io_timeout. Not for an authorizer: it has none. */
size_t fcgi_read(struct fcgi *fcgi, void *buffer, size_t size);

/* Send the whole answer, CGI header and body (RFC 3875, 6), and end the request. Returns 0, or -1: nobody took it. */
int fcgi_answer(struct fcgi *fcgi, const void *answer, size_t size);

/*
 * After fcgi_answer(): throw away what the peer still sends of its body, lest closing cuts the answer off. True when
 * it may be closed now; false: call again when the descriptor is readable, but only until a deadline of the caller's.
 */
bool fcgi_drained(struct fcgi *fcgi);

#endif

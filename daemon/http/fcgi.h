/*
 * FastCGI, and the only file that knows libfcgi. libfcgi trusts its peer: it blocks on a stalled one, takes truncated
 * parameters for whole ones and mishandles management records. So it gets no byte before the request has been
 * inspected: fcgi_inspect() says when it is whole and well-formed. The request stays in the socket's buffer until
 * then; only a body that arrives later than the parameters is collected in memory. Nothing here blocks but for an
 * answer that the peer does not take. FastCGI Specification 1.0, sections 3 to 6.
 */
#ifndef HTTP_FCGI_H
#define HTTP_FCGI_H

#include "http/answer_stream.h"
#include "http/inspection.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

struct fcgi;

/*
 * Prepare the library and test, on a socket pair, that its internals are as fcgi.c assumes. Call it once, after
 * SIGPIPE, SIGUSR1 and SIGTERM have got the daemon's handlers. Returns NULL, or what is wrong.
 */
const char *fcgi_init(void);

/*
 * A connection that was accepted, on `ctx`; freeing it closes `fd`. A body of more than `max_body` bytes is not read.
 * Answers that the peer does not take for io_timeout_ms are given up. NULL when out of memory (`fd` is then still the
 * caller's).
 */
struct fcgi *fcgi_open(TALLOC_CTX *ctx, int fd, int64_t io_timeout_ms, size_t max_body);

/* For whom it depends on the parameters: what becomes of the body of this request, by fcgi_peek_param(). */
typedef struct body_plan fcgi_body_plan(const void *context, const struct fcgi *fcgi);

/* Have `plan` asked for that, once, when the parameters are there and a body may be. */
void fcgi_plan_body(struct fcgi *fcgi, fcgi_body_plan *plan, const void *context);

/*
 * For one that may be handed on to another process: nothing is taken out of the socket before fcgi_accept(), and the
 * body is not waited for.
 */
void fcgi_wait_for_head_only(struct fcgi *fcgi);

/* It stays in this process after all: from now on all of it is waited for. */
void fcgi_wait_for_body(struct fcgi *fcgi);

/* After FCGI_READY: is all of it there, or as much as will be read? */
bool fcgi_is_whole(const struct fcgi *fcgi);

int fcgi_fd(const struct fcgi *fcgi);

/* Inspect what has arrived, without blocking. */
enum fcgi_progress fcgi_inspect(struct fcgi *fcgi);

const char *fcgi_defect(const struct fcgi *fcgi);

/* The bytes of memory that a request holds which is not whole yet. */
size_t fcgi_held(const struct fcgi *fcgi);

/*
 * A parameter, as fcgi_param() finds it, without taking the request in: after FCGI_READY, and before another connection
 * is inspected, which overwrites what *value points to. False when it is not there.
 */
bool fcgi_peek_param(const struct fcgi *fcgi, const char *name, struct fcgi_text *value);

/* True when the peer has closed the connection, or its half of it: an answer would not be read. */
bool fcgi_has_hung_up(const struct fcgi *fcgi);

/* Take the request in. After FCGI_READY only. Returns 0, or -1: close it. */
int fcgi_accept(struct fcgi *fcgi);

enum fcgi_role_kind fcgi_role(const struct fcgi *fcgi);

/*
 * A parameter; the last one of a name that was sent twice, as a web server's later setting overrides. NULL when it is
 * not there. Gone after fcgi_answer().
 */
const char *fcgi_param(const struct fcgi *fcgi, const char *name);

/* How often it was sent. */
size_t fcgi_param_count(const struct fcgi *fcgi, const char *name);

/* True when there is a body of more than max_body bytes; it cannot be read. */
bool fcgi_body_is_too_large(const struct fcgi *fcgi);

/* How many bytes the body may have. */
uint64_t fcgi_body_limit(const struct fcgi *fcgi);

/*
 * The whole body, *size bytes that belong to `fcgi`; none for an authorizer or when it is too large. NULL when out of
 * memory.
 */
const void *fcgi_body(struct fcgi *fcgi, size_t *size);

/* True when the body is streamed, and not too large as far as is known: fcgi_receive() takes it in. */
bool fcgi_is_streamed(const struct fcgi *fcgi);

/* After fcgi_accept(), when the descriptor is readable: see inspection_stream(). Does not block. */
enum fcgi_progress fcgi_receive(struct fcgi *fcgi, body_sink *sink, void *context);

/* Send the whole answer, CGI header and body (RFC 3875, 6), and end the request. Returns 0, or -1: the peer did not
 * take it. */
int fcgi_answer(struct fcgi *fcgi, const void *answer, size_t size);

/* In place of fcgi_answer(): the answer goes out by `stream`, which begins with its CGI header. */
void fcgi_stream(const struct fcgi *fcgi, struct answer_stream *stream);

/*
 * After the answer: throw away what the peer still sends of its body, lest closing cuts the answer off. True when
 * it may be closed now; false: call again when the descriptor is readable, but only until a deadline of the caller's.
 */
bool fcgi_drained(struct fcgi *fcgi);

#endif

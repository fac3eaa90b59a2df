/*
 * HTTP requests to other servers, by libcurl. What a server sends has bounds, and an answer a deadline. Certificates
 * are verified; no redirect is followed, no proxy of the environment is used, and no cookie or credential is kept.
 */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

/* What is wrong with the address of a server, "http://HOST[:PORT][/PATH]" or https; NULL: nothing. */
const char *http_client_address_problem(const char *address);

/*
 * Once in a process, before it has threads of its own and before it is restricted: the addresses that it will call.
 * What looking names up loads late is loaded, for as long as `patience_ms`: with a name server that is silent a thread
 * is at it for longer. Returns 0, or -1.
 */
int http_client_prepare(const char *const addresses[], size_t count, int64_t patience_ms);

/* Connections that are kept open for further calls; freeing it closes them. */
struct http_client;

/* On `ctx`, in the process that uses it. NULL when out of memory. */
struct http_client *http_client_new(TALLOC_CTX *ctx);

struct http_call {
	const char *address; /* one that http_client_address_problem() finds right */
	const char *path;    /* behind it: begins with a slash, with what belongs to it escaped already */
	const char *method;
	const char *user_agent;
	const char *content_type;   /* of the body; NULL: none */
	const char *const *headers; /* "Name: value", ended by NULL */
	const void *body;
	size_t size;
	int64_t timeout_ms;
	size_t max_answer;
};

struct http_answer {
	int status;
	const char *content_type; /* "" without one */
	const char *body;         /* ended by a NUL, too */
	size_t size;
};

/*
 * Call. Returns NULL with *answer on `ctx`, whatever its status; else why there is none, as a word for the log:
 * "timed_out", "unknown_host", "refused", "tls", "too_large", "broken", "memory".
 */
const char *http_client_call(struct http_client *client, TALLOC_CTX *ctx, const struct http_call *call,
                             struct http_answer *answer);

#endif

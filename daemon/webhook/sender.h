/*
 * Events to webhooks, by libcurl: several at the same time, over connections that are kept; over one where HTTP/2 is
 * spoken (https). Of an answer only the status and Retry-After count: what else comes has bounds and is dropped, and
 * the whole has a deadline. Certificates are verified; no redirect is followed, no proxy of the environment is used,
 * and http is spoken to this machine only.
 */
#ifndef WEBHOOK_SENDER_H
#define WEBHOOK_SENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

#define WEBHOOK_PROBLEM_SIZE 256

/* Once in a process, before it is restricted: what libraries load late. Returns 0, or -1. */
int webhook_sender_prepare(void);

struct webhook_sender;

/* On `ctx`, in the process that uses it. What is under way when it is freed is broken off. NULL when out of memory. */
struct webhook_sender *webhook_sender_new(TALLOC_CTX *ctx);

/* A call; what it points at has to stay until its end. */
struct webhook_call {
	const char *url;
	const char *secret;
	const char *id; /* of the message: the same at each try */
	const char *body;
	size_t size;
	void *context;
};

struct webhook_result {
	int status;            /* 0: there was no answer */
	int64_t retry_after_s; /* 0: it has asked for no pause */
	int64_t took_ms;
	bool is_multiplexed;                /* over HTTP/2: further calls need no further connection */
	char problem[WEBHOOK_PROBLEM_SIZE]; /* in words; "": it was taken (2xx) */
};

/* Begin to send. False when out of memory. */
bool webhook_sender_begin(struct webhook_sender *sender, const struct webhook_call *call);

/* Go on with all of them, for up to `wait_ms`. True: one has ended, *context is its own and *result what came of it. */
bool webhook_sender_step(struct webhook_sender *sender, int wait_ms, void **context, struct webhook_result *result);

#endif

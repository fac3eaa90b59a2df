/*
 * Between workers and the hasher. A worker makes a pair of sockets and sends one end to the hasher (handoff.h); orders
 * and results go through it, a message each. When either ends, the other sees its end closed.
 */
#ifndef POOL_HASH_CHANNEL_H
#define POOL_HASH_CHANNEL_H

#include "session/password_job.h"

#include <stdbool.h>
#include <stdint.h>

enum hash_order_kind { HASH_ORDER_JOB, HASH_ORDER_CANCEL };

struct hash_order {
	uint32_t kind;
	uint32_t rank; /* see hash_queue.h */
	uint64_t id;   /* the worker's own name for it */
	struct password_job job;
};

/* CANCELLED: on the worker's word, before the password was looked at. */
enum hash_outcome { HASH_DONE, HASH_NO_PLACE, HASH_WAITED_TOO_LONG, HASH_CANCELLED };

struct hash_result {
	uint64_t id;
	uint32_t outcome;
	struct password_answer answer; /* with HASH_DONE */
};

/* A worker's end of a new channel, non-blocking; the other is sent by `registration`. -1: the hasher cannot be told. */
int hash_channel_open(int registration);

/*
 * Send a job, or the word that nobody waits for its answer any more. A job of which the hashing has not begun is then
 * HASH_CANCELLED; of any other the answer comes as soon as there is one, for what it says is to be counted all the
 * same. False: the hasher is away, or does not read.
 */
bool hash_channel_order(int channel, const struct hash_order *order);
bool hash_channel_cancel(int channel, uint64_t id);

enum hash_channel_news { HASH_CHANNEL_NOTHING, HASH_CHANNEL_RESULT, HASH_CHANNEL_CLOSED };

/* The next result, if there is one. Never blocks. */
enum hash_channel_news hash_channel_result(int channel, struct hash_result *result);

#endif

/*
 * Between workers and the hasher. A worker makes a pair of sockets and sends one end to the hasher (handoff.h); jobs
 * and results go through it, a message each. When either ends, the other sees its end closed.
 */
#ifndef POOL_HASH_CHANNEL_H
#define POOL_HASH_CHANNEL_H

#include "session/password_job.h"

#include <stdbool.h>
#include <stdint.h>

enum hash_message_kind { HASH_MESSAGE_JOB, HASH_MESSAGE_CANCEL };

struct hash_message {
	uint32_t kind;
	uint32_t rank; /* see hash_queue.h */
	uint64_t id;   /* chosen by the worker */
	struct password_job job;
};

/* CANCELLED: by the worker, before the hashing had begun. */
enum hash_outcome { HASH_DONE, HASH_NO_SLOT, HASH_WAITED_TOO_LONG, HASH_CANCELLED };

struct hash_result {
	uint64_t id;
	uint32_t outcome;
	struct password_answer answer; /* with HASH_DONE */
};

/* A worker's end of a new channel, non-blocking; the other is sent through `registrations`. -1: it cannot be sent. */
int hash_channel_open(int registrations);

/*
 * Send a job, or cancel one: its answer is not waited for any more. A job of which the hashing has not begun is then
 * HASH_CANCELLED; the answer of any other comes as soon as there is one, for a wrong password is to be counted all the
 * same. False: there is no hasher, or it does not read.
 */
bool hash_channel_send(int channel, const struct hash_message *message);
bool hash_channel_cancel(int channel, uint64_t id);

enum hash_channel_status { HASH_CHANNEL_NOTHING, HASH_CHANNEL_RESULT, HASH_CHANNEL_CLOSED };

/* The next result, if there is one. Never blocks. */
enum hash_channel_status hash_channel_receive(int channel, struct hash_result *result);

#endif

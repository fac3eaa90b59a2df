/* The hasher's threads: each hashes the passwords of one task at a time. */
#ifndef POOL_HASH_THREADS_H
#define POOL_HASH_THREADS_H

#include "pool/hash_queue.h"
#include "session/password_job.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

struct hash_channel;

struct hash_task {
	struct hash_entry entry;
	struct hash_channel *channel; /* NULL: the answer is of no interest any more */
	uint64_t id;
	struct password_job job;
	char decoy[PASSWORD_HASH_SIZE];
	struct password_answer answer;
	int64_t began_ms;
	int64_t work_us;
	int64_t answer_at; /* when it is held back: clock_monotonic_ms() */
	bool is_hurried;   /* its answer is not waited for: it is not held back */
};

struct hash_threads;

struct hash_thread {
	struct hash_threads *threads;
	pthread_t id;
	struct hash_task *task; /* NULL: none. Set by the hasher's loop only */
	bool is_done;
};

struct hash_threads {
	size_t count, started_count, ready_count;
	struct hash_thread *all;
	pthread_mutex_t lock; /* over the tasks of all, is_done, ready_count and is_over */
	pthread_cond_t wanted;
	bool is_over;
	int done; /* an eventfd(2) that can be read when a task is done */
};

/* Start `count` of them, on `ctx`, and wait until each has its priority. Returns 0, or -1 with errno. */
int hash_threads_start(struct hash_threads *threads, TALLOC_CTX *ctx, size_t count);

/* Wait for all of them to end. */
void hash_threads_end(struct hash_threads *threads);

/* Give a free thread the next task of the queue, as long as there are both. */
void hash_threads_feed(struct hash_threads *threads, struct hash_queue *queue);

/* The next task that is done, and its thread is free again. NULL: none at the moment. */
struct hash_task *hash_threads_take_done(struct hash_threads *threads);

/* How many tasks are being worked on; *oldest_ms is when the first of them began, 0 without any. */
size_t hash_threads_running(const struct hash_threads *threads, int64_t *oldest_ms);

/* The processor time that the calling thread has used so far. */
int64_t hash_threads_work_us(void);

#endif

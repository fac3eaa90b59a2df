/* The hasher's threads. */
#include "pool/hash_threads.h"

#include "base/clock.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Beside a worker that is busy as well, hashing gets about a quarter of the processor. */
#define NICE 5

int64_t hash_threads_work_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void hash(struct hash_task *task)
{
	int64_t began = hash_threads_work_us();

	password_job_run(&task->job, task->decoy, &task->answer);
	task->work_us = hash_threads_work_us() - began;
}

static void *run_thread(void *context)
{
	const uint64_t one = 1;
	struct hash_thread *thread = context;
	struct hash_threads *threads = thread->threads;

	/* Of this thread alone: on Linux each has its own (setpriority(2)). Without it hashing is only less polite. */
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	(void)pthread_mutex_lock(&threads->lock);
	threads->ready_count++;
	(void)pthread_cond_broadcast(&threads->wanted);
	while (!threads->is_over) {
		struct hash_task *task = thread->task;

		if (task == NULL || thread->is_done) {
			(void)pthread_cond_wait(&threads->wanted, &threads->lock);
			continue;
		}
		(void)pthread_mutex_unlock(&threads->lock);
		hash(task);
		(void)pthread_mutex_lock(&threads->lock);
		thread->is_done = true;
		/* A full counter wakes just as well. */
		if (write(threads->done, &one, sizeof one) < 0)
			continue;
	}
	(void)pthread_mutex_unlock(&threads->lock);
	return NULL;
}

int hash_threads_start(struct hash_threads *threads, TALLOC_CTX *ctx, size_t count)
{
	*threads = (struct hash_threads){.count = count, .done = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
	if (threads->done < 0)
		return -1;
	threads->all = talloc_zero_array(ctx, struct hash_thread, (unsigned int)count);
	errno = ENOMEM;
	if (threads->all == NULL || (errno = pthread_mutex_init(&threads->lock, NULL)) != 0 ||
	    (errno = pthread_cond_init(&threads->wanted, NULL)) != 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		threads->all[i].threads = threads;
		errno = pthread_create(&threads->all[i].id, NULL, run_thread, &threads->all[i]);
		if (errno != 0)
			return -1;
		threads->started_count++;
	}
	/* They need their priorities before the process is restricted. */
	(void)pthread_mutex_lock(&threads->lock);
	while (threads->ready_count < count)
		(void)pthread_cond_wait(&threads->wanted, &threads->lock);
	(void)pthread_mutex_unlock(&threads->lock);
	return 0;
}

void hash_threads_end(struct hash_threads *threads)
{
	(void)pthread_mutex_lock(&threads->lock);
	threads->is_over = true;
	(void)pthread_cond_broadcast(&threads->wanted);
	(void)pthread_mutex_unlock(&threads->lock);
	for (size_t i = 0; i < threads->started_count; i++)
		(void)pthread_join(threads->all[i].id, NULL);
}

void hash_threads_feed(struct hash_threads *threads, struct hash_queue *queue)
{
	(void)pthread_mutex_lock(&threads->lock);
	for (size_t i = 0; i < threads->count && queue->count > 0; i++) {
		if (threads->all[i].task != NULL)
			continue;
		threads->all[i].task = (struct hash_task *)hash_queue_take(queue);
		threads->all[i].task->began_ms = clock_monotonic_ms();
		(void)pthread_cond_broadcast(&threads->wanted);
	}
	(void)pthread_mutex_unlock(&threads->lock);
}

struct hash_task *hash_threads_take_done(struct hash_threads *threads)
{
	struct hash_task *task = NULL;

	(void)pthread_mutex_lock(&threads->lock);
	for (size_t i = 0; i < threads->count && task == NULL; i++) {
		struct hash_thread *thread = &threads->all[i];

		if (!thread->is_done)
			continue;
		task = thread->task;
		thread->task = NULL;
		thread->is_done = false;
	}
	(void)pthread_mutex_unlock(&threads->lock);
	return task;
}

size_t hash_threads_running(const struct hash_threads *threads, int64_t *oldest_ms)
{
	size_t running = 0;

	*oldest_ms = 0;
	for (size_t i = 0; i < threads->count; i++) {
		const struct hash_task *task = threads->all[i].task;

		running += task != NULL;
		if (task != NULL && (*oldest_ms == 0 || task->began_ms < *oldest_ms))
			*oldest_ms = task->began_ms;
	}
	return running;
}

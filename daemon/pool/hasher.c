#include "pool/hasher.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/handoff.h"
#include "pool/hash_channel.h"
#include "pool/hash_queue.h"
#include "pool/sandbox.h"
#include "pool/signals_fd.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

/* A login that has waited as long is told to come again. */
#define WAIT_MAX_MS 10000
/* Of what the processor has to give, hashing gets about a quarter beside a worker that wants it, too. */
#define NICE 5
/* Failures that are done and not answered yet; any further one is answered early. */
#define HELD_MAX   256
#define EVENTS_MAX 64
/* What is on the scoreboard is written anew as often at least: any worker may have written over it. */
#define TELL_MS 1000

/* A worker's end. */
struct channel {
	struct channel *next;
	int fd;
};

struct task {
	struct hash_entry entry;
	struct channel *channel; /* NULL: nobody wants the answer any more */
	uint64_t id;
	struct password_job job;
	char decoy[PASSWORD_HASH_SIZE];
	struct password_answer answer;
	int64_t began_ms;
	int64_t work_us;
	int64_t answer_at; /* when it is held: clock_monotonic_ms() */
	bool is_hurried;   /* nobody waits for it: it is not to be held */
};

struct thread {
	struct hasher *hasher;
	pthread_t id;
	struct task *task; /* NULL: none */
	bool is_done;
};

struct hasher {
	const struct hasher_setup *setup;
	struct worker_slot *slot;
	int epoll, signals, done;
	struct channel *channels;
	struct hash_queue queue;
	size_t thread_count, started_count;
	struct thread *threads;
	pthread_mutex_t lock; /* over all threads' task and is_done, and the next three */
	pthread_cond_t wanted;
	size_t ready_count;
	bool is_over;
	size_t held_count;
	struct task *held[HELD_MAX];
	struct password_cost decoy_cost;
	char decoy[PASSWORD_HASH_SIZE];
	struct password_pace pace;
	bool stopping;
};

/* ---- Threads ------------------------------------------------------------------------------------------------ */

static int64_t work_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void hash(struct task *task)
{
	int64_t began = work_us();

	password_job_run(&task->job, task->decoy, &task->answer);
	task->work_us = work_us() - began;
}

static void *run_thread(void *context)
{
	const uint64_t one = 1;
	struct thread *thread = context;
	struct hasher *hasher = thread->hasher;

	/* Of this thread alone: on Linux each has its own (setpriority(2)). Without it hashing is only less polite. */
	(void)setpriority(PRIO_PROCESS, 0, NICE);
	(void)pthread_mutex_lock(&hasher->lock);
	hasher->ready_count++;
	(void)pthread_cond_broadcast(&hasher->wanted);
	while (!hasher->is_over) {
		struct task *task = thread->task;

		if (task == NULL || thread->is_done) {
			(void)pthread_cond_wait(&hasher->wanted, &hasher->lock);
			continue;
		}
		(void)pthread_mutex_unlock(&hasher->lock);
		hash(task);
		(void)pthread_mutex_lock(&hasher->lock);
		thread->is_done = true;
		/* A full counter wakes just as well. */
		if (write(hasher->done, &one, sizeof one) < 0)
			continue;
	}
	(void)pthread_mutex_unlock(&hasher->lock);
	return NULL;
}

static int start_threads(struct hasher *hasher)
{
	for (size_t i = 0; i < hasher->thread_count; i++) {
		struct thread *thread = &hasher->threads[i];

		thread->hasher = hasher;
		errno = pthread_create(&thread->id, NULL, run_thread, thread);
		if (errno != 0)
			return -1;
		hasher->started_count++;
	}
	/* They have their priorities when they are restricted. */
	(void)pthread_mutex_lock(&hasher->lock);
	while (hasher->ready_count < hasher->thread_count)
		(void)pthread_cond_wait(&hasher->wanted, &hasher->lock);
	(void)pthread_mutex_unlock(&hasher->lock);
	return 0;
}

static void end_threads(struct hasher *hasher)
{
	(void)pthread_mutex_lock(&hasher->lock);
	hasher->is_over = true;
	(void)pthread_cond_broadcast(&hasher->wanted);
	(void)pthread_mutex_unlock(&hasher->lock);
	for (size_t i = 0; i < hasher->started_count; i++)
		(void)pthread_join(hasher->threads[i].id, NULL);
}

/* ---- Answers ------------------------------------------------------------------------------------------------ */

static void free_task(struct task *task)
{
	sodium_memzero(&task->job, sizeof task->job);
	sodium_memzero(&task->answer, sizeof task->answer);
	talloc_free(task);
}

/* A worker that does not read will find out by its own deadline. */
static void answer(struct task *task, enum hash_outcome outcome)
{
	struct hash_result result = {.id = task->id, .outcome = outcome};

	if (task->channel != NULL) {
		if (outcome == HASH_DONE)
			result.answer = task->answer;
		if (send(task->channel->fd, &result, sizeof result, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			log_warning("hash_result_lost", LOG_STR("problem", strerror(errno)));
		sodium_memzero(&result, sizeof result);
	}
	free_task(task);
}

static void answer_in_time(struct hasher *hasher, struct task *task)
{
	int64_t tries = task->answer.tries;

	/* One that has made a hash besides is none to compare with. */
	if (task->answer.new_hash[0] == '\0')
		password_pace_note(&hasher->pace, task->work_us / tries, task->answer.hashing_us / tries);
	if (task->answer.match != PASSWORD_WRONG || task->is_hurried || hasher->held_count == HELD_MAX) {
		answer(task, HASH_DONE);
		return;
	}
	task->answer_at = task->began_ms + tries * password_pace_failure_us(&hasher->pace) / 1000;
	hasher->held[hasher->held_count++] = task;
}

static void answer_held(struct hasher *hasher)
{
	for (size_t i = 0; i < hasher->held_count;) {
		struct task *task = hasher->held[i];

		if (clock_until_ms(task->answer_at) > 0) {
			i++;
			continue;
		}
		hasher->held[i] = hasher->held[--hasher->held_count];
		answer(task, HASH_DONE);
	}
}

/* ---- The queue ---------------------------------------------------------------------------------------------- */

static void tell_board(const struct hasher *hasher)
{
	struct scoreboard *board = hasher->setup->board;
	uint32_t running = 0;
	int64_t oldest = 0;

	for (size_t i = 0; i < hasher->thread_count; i++) {
		const struct task *task = hasher->threads[i].task;

		running += task != NULL;
		if (task != NULL && (oldest == 0 || task->began_ms < oldest))
			oldest = task->began_ms;
	}
	atomic_store(&board->hashing_in_use, running);
	atomic_store(&board->hashing_waiting, (uint32_t)hasher->queue.count);
	atomic_store(&board->hashing_rank, hash_queue_full_from(&hasher->queue));
	atomic_store(&hasher->slot->state, (int)(running > 0 ? WORKER_BUSY : WORKER_IDLE));
	atomic_store(&hasher->slot->request_began_ms, oldest);
}

static void collect_done(struct hasher *hasher)
{
	(void)pthread_mutex_lock(&hasher->lock);
	for (size_t i = 0; i < hasher->thread_count; i++) {
		struct thread *thread = &hasher->threads[i];

		if (!thread->is_done)
			continue;
		answer_in_time(hasher, thread->task);
		thread->task = NULL;
		thread->is_done = false;
		atomic_fetch_add(&hasher->slot->requests, 1);
	}
	(void)pthread_mutex_unlock(&hasher->lock);
}

/* The configuration may be another one by now. Measures on the way what a hash of ours takes. */
static bool prepare_decoy(struct hasher *hasher, const struct password_cost *cost)
{
	int64_t began = work_us();

	if (hasher->decoy[0] != '\0' && hasher->decoy_cost.memory == cost->memory &&
	    hasher->decoy_cost.passes == cost->passes)
		return true;
	hasher->decoy_cost = *cost;
	if (password_hash("", cost, hasher->decoy) != 0) {
		hasher->decoy[0] = '\0';
		return false;
	}
	password_pace_begin(&hasher->pace, work_us() - began);
	return true;
}

static void start_next(struct hasher *hasher)
{
	(void)pthread_mutex_lock(&hasher->lock);
	for (size_t i = 0; i < hasher->thread_count && hasher->queue.count > 0; i++) {
		if (hasher->threads[i].task != NULL)
			continue;
		hasher->threads[i].task = (struct task *)hash_queue_take(&hasher->queue);
		hasher->threads[i].task->began_ms = clock_monotonic_ms();
		(void)pthread_cond_broadcast(&hasher->wanted);
	}
	(void)pthread_mutex_unlock(&hasher->lock);
}

static void end_waits(struct hasher *hasher)
{
	int64_t now = clock_monotonic_ms();

	for (size_t i = 0; i < hasher->queue.count;) {
		struct hash_entry *entry = hasher->queue.entries[i];

		if (now - entry->since_ms < WAIT_MAX_MS) {
			i++;
			continue;
		}
		hash_queue_remove(&hasher->queue, entry);
		answer((struct task *)entry, HASH_WAITED_TOO_LONG);
	}
}

/* ---- Workers ------------------------------------------------------------------------------------------------ */

static void watch(const struct hasher *hasher, int fd, void *what)
{
	struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = what}};

	if (epoll_ctl(hasher->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
		log_error("epoll_failed", LOG_STR("problem", strerror(errno)));
}

static void take_registrations(struct hasher *hasher)
{
	struct handoff handoff;

	while (handoff_take(hasher->setup->registration, &handoff)) {
		struct channel *channel = talloc_zero(hasher, struct channel);

		if (channel == NULL) {
			close(handoff.fd);
			continue;
		}
		channel->fd = handoff.fd;
		channel->next = hasher->channels;
		hasher->channels = channel;
		watch(hasher, channel->fd, channel);
	}
}

static bool is_of(const struct task *task, const struct channel *channel, uint64_t id)
{
	return task != NULL && task->channel == channel && task->id == id;
}

/* Once it has begun, whoever hangs up has had a guess at the password: that is to be counted. */
static void cancel(struct hasher *hasher, const struct channel *channel, uint64_t id)
{
	for (size_t i = 0; i < hasher->queue.count; i++) {
		struct task *task = (struct task *)hasher->queue.entries[i];

		if (is_of(task, channel, id)) {
			hash_queue_remove(&hasher->queue, &task->entry);
			answer(task, HASH_CANCELLED);
			return;
		}
	}
	for (size_t i = 0; i < hasher->held_count; i++) {
		if (is_of(hasher->held[i], channel, id))
			hasher->held[i]->answer_at = 0;
	}
	for (size_t i = 0; i < hasher->thread_count; i++) {
		if (is_of(hasher->threads[i].task, channel, id))
			hasher->threads[i].task->is_hurried = true;
	}
}

/* The worker has ended. */
static void drop_all(struct hasher *hasher, const struct channel *channel)
{
	for (size_t i = hasher->queue.count; i-- > 0;) {
		struct task *task = (struct task *)hasher->queue.entries[i];

		if (task->channel == channel) {
			hash_queue_remove(&hasher->queue, &task->entry);
			free_task(task);
		}
	}
	for (size_t i = 0; i < hasher->held_count; i++) {
		if (hasher->held[i]->channel == channel)
			hasher->held[i]->channel = NULL;
	}
	for (size_t i = 0; i < hasher->thread_count; i++) {
		struct task *task = hasher->threads[i].task;

		if (task != NULL && task->channel == channel)
			task->channel = NULL;
	}
}

static void close_channel(struct hasher *hasher, struct channel *channel)
{
	struct channel **link = &hasher->channels;

	while (*link != channel)
		link = &(*link)->next;
	*link = channel->next;
	drop_all(hasher, channel);
	close(channel->fd);
	talloc_free(channel);
}

static void take_job(struct hasher *hasher, struct channel *channel, const struct hash_order *order)
{
	struct task *task = talloc_zero(hasher, struct task);
	struct hash_entry *turned_away;

	if (task == NULL) {
		log_error("login_turned_away", LOG_STR("problem", "out of memory"));
		return;
	}
	task->entry = (struct hash_entry){.rank = order->rank, .since_ms = clock_monotonic_ms()};
	task->channel = channel;
	task->id = order->id;
	task->job = order->job;
	if (!password_job_is_sound(&task->job) || !prepare_decoy(hasher, &task->job.cost)) {
		task->answer.match = PASSWORD_NOT_LOOKED_AT;
		answer(task, HASH_DONE);
		return;
	}
	memcpy(task->decoy, hasher->decoy, sizeof task->decoy);
	turned_away = hash_queue_put(&hasher->queue, &task->entry);
	if (turned_away != NULL)
		answer((struct task *)turned_away, HASH_NO_PLACE);
}

/* As many as it has: it waits for each, so there are no more than it has connections. */
static void take_orders(struct hasher *hasher, struct channel *channel)
{
	struct hash_order order;
	ssize_t size;

	while ((size = recv(channel->fd, &order, sizeof order, MSG_DONTWAIT)) > 0) {
		if (size == (ssize_t)sizeof order && order.kind == HASH_ORDER_JOB)
			take_job(hasher, channel, &order);
		else if (size == (ssize_t)offsetof(struct hash_order, job) && order.kind == HASH_ORDER_CANCEL)
			cancel(hasher, channel, order.id);
	}
	sodium_memzero(&order, sizeof order);
	if (size == 0 || (errno != EAGAIN && errno != EINTR))
		close_channel(hasher, channel);
}

/* ---- The loop ----------------------------------------------------------------------------------------------- */

static int wait_ms(const struct hasher *hasher)
{
	int wait = TELL_MS;

	for (size_t i = 0; i < hasher->held_count; i++) {
		int until = clock_until_ms(hasher->held[i]->answer_at);

		if (until < wait)
			wait = until;
	}
	for (size_t i = 0; i < hasher->queue.count; i++) {
		int until = clock_until_ms(hasher->queue.entries[i]->since_ms + WAIT_MAX_MS);

		if (until < wait)
			wait = until;
	}
	return wait;
}

static void handle_event(struct hasher *hasher, void *what)
{
	uint64_t count;

	if (what == &hasher->done) {
		if (read(hasher->done, &count, sizeof count) > 0)
			collect_done(hasher);
	} else if (what == &hasher->signals) {
		hasher->stopping = signals_fd_read(hasher->signals) || hasher->stopping;
	} else if (what == hasher) {
		take_registrations(hasher);
	} else {
		take_orders(hasher, what);
	}
}

static bool is_anything_left(const struct hasher *hasher)
{
	for (size_t i = 0; i < hasher->thread_count; i++) {
		if (hasher->threads[i].task != NULL)
			return true;
	}
	return hasher->queue.count > 0 || hasher->held_count > 0;
}

static int hash_until_told(struct hasher *hasher)
{
	struct epoll_event events[EVENTS_MAX];

	while (!hasher->stopping || is_anything_left(hasher)) {
		int count = epoll_wait(hasher->epoll, events, EVENTS_MAX, wait_ms(hasher));

		if (count < 0 && errno != EINTR) {
			log_error("epoll_failed", LOG_STR("problem", strerror(errno)));
			return 1;
		}
		for (int i = 0; i < count; i++)
			handle_event(hasher, events[i].data.ptr);
		answer_held(hasher);
		end_waits(hasher);
		start_next(hasher);
		tell_board(hasher);
	}
	return 0;
}

static int open_all(struct hasher *hasher)
{
	hasher->epoll = epoll_create1(EPOLL_CLOEXEC);
	hasher->done = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	hasher->signals = signals_fd_open();
	if (hasher->epoll < 0 || hasher->done < 0 || hasher->signals < 0)
		return -1;
	watch(hasher, hasher->done, &hasher->done);
	watch(hasher, hasher->signals, &hasher->signals);
	watch(hasher, hasher->setup->registration, hasher);
	return 0;
}

int hasher_run(const struct hasher_setup *setup)
{
	struct hasher *hasher = talloc_zero(NULL, struct hasher);
	int status;

	if (hasher == NULL) {
		errno = ENOMEM;
		goto fail;
	}
	hasher->setup = setup;
	hasher->slot = &setup->board->slots[setup->slot];
	hasher->thread_count = setup->thread_count;
	hasher->threads = talloc_zero_array(hasher, struct thread, (unsigned int)hasher->thread_count);
	if (hasher->threads == NULL || (errno = pthread_mutex_init(&hasher->lock, NULL)) != 0 ||
	    (errno = pthread_cond_init(&hasher->wanted, NULL)) != 0 || open_all(hasher) != 0 ||
	    start_threads(hasher) != 0 || sandbox_restrict() != 0)
		goto fail;
	(void)prepare_decoy(hasher, &setup->cost);
	tell_board(hasher);
	status = hash_until_told(hasher);
	end_threads(hasher);
	talloc_free(hasher);
	return status;
fail:
	log_error("hasher_failed", LOG_STR("problem", strerror(errno)));
	return 1;
}

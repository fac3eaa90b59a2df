/* The hasher's loop. */
#include "pool/hasher.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/handoff.h"
#include "pool/hash_channel.h"
#include "pool/hash_queue.h"
#include "pool/hash_threads.h"
#include "pool/sandbox.h"
#include "pool/signals_fd.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <talloc.h>
#include <unistd.h>

/* A login that has waited as long is refused: the client is asked to try again. */
#define WAIT_MAX_MS 10000
/* Failures that are done and whose answers are held back; any further one is answered early. */
#define HELD_MAX   256
#define EVENTS_MAX 64
/* The gauges on the scoreboard are written anew as often at least: any worker may have written over them. */
#define PUBLISH_MS 1000

/* The hasher's end of a worker's channel. */
struct hash_channel {
	struct hash_channel *next;
	int fd;
};

struct hasher {
	const struct hasher_setup *setup;
	struct process_slot *slot;
	int epoll, signals;
	struct hash_channel *channels;
	struct hash_queue queue;
	struct hash_threads threads;
	size_t held_count;
	struct hash_task *held[HELD_MAX];
	struct password_cost decoy_cost;
	char decoy[PASSWORD_HASH_SIZE];
	struct password_pace pace;
	bool stopping;
};

/* ---- Answers ------------------------------------------------------------------------------------------------ */

static void free_task(struct hash_task *task)
{
	sodium_memzero(&task->job, sizeof task->job);
	sodium_memzero(&task->answer, sizeof task->answer);
	talloc_free(task);
}

/* A worker that does not read will find out by its own deadline. */
static void answer_task(struct hash_task *task, enum hash_outcome outcome)
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

static void answer_in_time(struct hasher *hasher, struct hash_task *task)
{
	int64_t tries = task->answer.tries;

	/* One that has made a hash is none to compare with. */
	if (task->answer.new_hash[0] == '\0' && tries > 0)
		password_pace_note(&hasher->pace, task->work_us / tries, task->answer.hashing_us / tries);
	if (task->answer.match != PASSWORD_WRONG || task->is_hurried || hasher->held_count == HELD_MAX) {
		answer_task(task, HASH_DONE);
		return;
	}
	task->answer_at = task->began_ms + tries * password_pace_failure_us(&hasher->pace) / 1000;
	hasher->held[hasher->held_count++] = task;
}

static void answer_held(struct hasher *hasher)
{
	for (size_t i = 0; i < hasher->held_count;) {
		struct hash_task *task = hasher->held[i];

		if (clock_until_ms(task->answer_at) > 0) {
			i++;
			continue;
		}
		hasher->held[i] = hasher->held[--hasher->held_count];
		answer_task(task, HASH_DONE);
	}
}

/* ---- The queue ---------------------------------------------------------------------------------------------- */

static void publish(const struct hasher *hasher)
{
	struct hash_gauges *gauges = &hasher->setup->board->hashing;
	int64_t oldest_ms;
	size_t running = hash_threads_running(&hasher->threads, &oldest_ms);

	atomic_store(&gauges->in_use, (uint32_t)running);
	atomic_store(&gauges->waiting, (uint32_t)hasher->queue.count);
	atomic_store(&gauges->full_from, hash_queue_full_from(&hasher->queue));
	atomic_store(&hasher->slot->state, (int)(running > 0 ? WORKER_BUSY : WORKER_IDLE));
	atomic_store(&hasher->slot->request_began_ms, oldest_ms);
}

static void collect_done(struct hasher *hasher)
{
	struct hash_task *task;

	while ((task = hash_threads_take_done(&hasher->threads)) != NULL) {
		answer_in_time(hasher, task);
		atomic_fetch_add(&hasher->slot->requests, 1);
	}
}

/* The configuration may be another one by now. Measures on the way what a hash of ours takes. */
static bool prepare_decoy(struct hasher *hasher, const struct password_cost *cost)
{
	int64_t began = hash_threads_work_us();

	if (hasher->decoy[0] != '\0' && hasher->decoy_cost.memory == cost->memory &&
	    hasher->decoy_cost.passes == cost->passes)
		return true;
	hasher->decoy_cost = *cost;
	if (password_hash("", cost, hasher->decoy) != 0) {
		hasher->decoy[0] = '\0';
		return false;
	}
	password_pace_begin(&hasher->pace, hash_threads_work_us() - began);
	return true;
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
		answer_task((struct hash_task *)entry, HASH_WAITED_TOO_LONG);
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

	while (handoff_take(hasher->setup->registrations, &handoff)) {
		struct hash_channel *channel = talloc_zero(hasher, struct hash_channel);

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

static bool is_of(const struct hash_task *task, const struct hash_channel *channel, uint64_t id)
{
	return task != NULL && task->channel == channel && task->id == id;
}

/* Once the hashing has begun, a client that hangs up has had a try at the password: that is to be counted. */
static void cancel(struct hasher *hasher, const struct hash_channel *channel, uint64_t id)
{
	for (size_t i = 0; i < hasher->queue.count; i++) {
		struct hash_task *task = (struct hash_task *)hasher->queue.entries[i];

		if (is_of(task, channel, id)) {
			hash_queue_remove(&hasher->queue, &task->entry);
			answer_task(task, HASH_CANCELLED);
			return;
		}
	}
	for (size_t i = 0; i < hasher->held_count; i++) {
		if (is_of(hasher->held[i], channel, id))
			hasher->held[i]->answer_at = 0;
	}
	for (size_t i = 0; i < hasher->threads.count; i++) {
		if (is_of(hasher->threads.all[i].task, channel, id))
			hasher->threads.all[i].task->is_hurried = true;
	}
}

/* The worker has ended. */
static void drop_all(struct hasher *hasher, const struct hash_channel *channel)
{
	for (size_t i = hasher->queue.count; i-- > 0;) {
		struct hash_task *task = (struct hash_task *)hasher->queue.entries[i];

		if (task->channel == channel) {
			hash_queue_remove(&hasher->queue, &task->entry);
			free_task(task);
		}
	}
	for (size_t i = 0; i < hasher->held_count; i++) {
		if (hasher->held[i]->channel == channel)
			hasher->held[i]->channel = NULL;
	}
	for (size_t i = 0; i < hasher->threads.count; i++) {
		struct hash_task *task = hasher->threads.all[i].task;

		if (task != NULL && task->channel == channel)
			task->channel = NULL;
	}
}

static void close_channel(struct hasher *hasher, struct hash_channel *channel)
{
	struct hash_channel **link = &hasher->channels;

	while (*link != channel)
		link = &(*link)->next;
	*link = channel->next;
	drop_all(hasher, channel);
	close(channel->fd);
	talloc_free(channel);
}

static void take_job(struct hasher *hasher, struct hash_channel *channel, const struct hash_message *message)
{
	struct hash_task *task = talloc_zero(hasher, struct hash_task);
	struct hash_entry *refused;

	if (task == NULL) {
		log_error("login_turned_away", LOG_STR("problem", "out of memory"));
		return;
	}
	task->entry = (struct hash_entry){.rank = message->rank, .since_ms = clock_monotonic_ms()};
	task->channel = channel;
	task->id = message->id;
	task->job = message->job;
	if (!password_job_is_sound(&task->job) || !prepare_decoy(hasher, &task->job.cost)) {
		task->answer.match = PASSWORD_NOT_LOOKED_AT;
		answer_task(task, HASH_DONE);
		return;
	}
	memcpy(task->decoy, hasher->decoy, sizeof task->decoy);
	refused = hash_queue_put(&hasher->queue, &task->entry);
	if (refused != NULL)
		answer_task((struct hash_task *)refused, HASH_NO_SLOT);
}

/* All that there are: a worker waits for each, so there are no more than it has connections. */
static void receive(struct hasher *hasher, struct hash_channel *channel)
{
	struct hash_message message;
	ssize_t size;

	while ((size = recv(channel->fd, &message, sizeof message, MSG_DONTWAIT)) > 0) {
		if (size == (ssize_t)sizeof message && message.kind == HASH_MESSAGE_JOB)
			take_job(hasher, channel, &message);
		else if (size == (ssize_t)offsetof(struct hash_message, job) && message.kind == HASH_MESSAGE_CANCEL)
			cancel(hasher, channel, message.id);
	}
	sodium_memzero(&message, sizeof message);
	if (size == 0 || (errno != EAGAIN && errno != EINTR))
		close_channel(hasher, channel);
}

/* ---- The loop ----------------------------------------------------------------------------------------------- */

static int wait_ms(const struct hasher *hasher)
{
	int wait = PUBLISH_MS;

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

	if (what == &hasher->threads) {
		if (read(hasher->threads.done, &count, sizeof count) > 0)
			collect_done(hasher);
	} else if (what == &hasher->signals) {
		hasher->stopping = signals_fd_read(hasher->signals) || hasher->stopping;
	} else if (what == hasher) {
		take_registrations(hasher);
	} else {
		receive(hasher, what);
	}
}

static bool is_anything_left(const struct hasher *hasher)
{
	int64_t oldest_ms;

	return hash_threads_running(&hasher->threads, &oldest_ms) > 0 || hasher->queue.count > 0 ||
	       hasher->held_count > 0;
}

static int hash_until_stopped(struct hasher *hasher)
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
		hash_threads_feed(&hasher->threads, &hasher->queue);
		publish(hasher);
	}
	return 0;
}

static int open_all(struct hasher *hasher)
{
	hasher->epoll = epoll_create1(EPOLL_CLOEXEC);
	hasher->signals = signals_fd_open();
	if (hasher->epoll < 0 || hasher->signals < 0 ||
	    hash_threads_start(&hasher->threads, hasher, hasher->setup->thread_count) != 0)
		return -1;
	watch(hasher, hasher->threads.done, &hasher->threads);
	watch(hasher, hasher->signals, &hasher->signals);
	watch(hasher, hasher->setup->registrations, hasher);
	return sandbox_restrict(0);
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
	hasher->slot = &setup->board->processes.slots[setup->slot];
	if (open_all(hasher) != 0)
		goto fail;
	(void)prepare_decoy(hasher, &setup->cost);
	publish(hasher);
	status = hash_until_stopped(hasher);
	hash_threads_end(&hasher->threads);
	talloc_free(hasher);
	return status;
fail:
	log_error("hasher_failed", LOG_STR("problem", strerror(errno)));
	return 1;
}

/* A worker's side of password hashing. */
#include "pool/hashing.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Logins of one worker at the hasher: more than it lets wait, so that it is the hasher that chooses among them. */
#define HASHING_MAX 192
/* The hasher itself ends the wait for a hash slot; past this it is asked for what it has. */
#define HASHING_GRACE_MS 5000
/* And past that, which is longer than any hash takes, it does not answer at all. */
#define HASHING_LAST_MS 60000

void hashing_open(struct worker *worker)
{
	worker->hash_channel = hash_channel_open(worker->setup->hash_registrations);
	if (worker->hash_channel >= 0)
		worker_watch(worker, EPOLL_CTL_ADD, worker->hash_channel, EPOLLIN, &worker->hash_channel);
	else
		log_error("hasher_not_reached", LOG_STR("problem", strerror(errno)));
}

void hashing_close(struct worker *worker)
{
	if (worker->hash_channel >= 0)
		close(worker->hash_channel);
	worker->hash_channel = -1;
}

bool hashing_start(struct worker *worker, struct conn *conn, const struct password_job *job, uint32_t rank)
{
	struct hash_message message = {
		.kind = HASH_MESSAGE_JOB, .rank = rank, .id = ++worker->last_hash_id, .job = *job};
	bool is_sent;

	if (worker->hash_channel < 0)
		hashing_open(worker);
	is_sent =
		worker->conns.by_state[CONN_HASHING] < HASHING_MAX && hash_channel_send(worker->hash_channel, &message);
	sodium_memzero(&message, sizeof message);
	if (!is_sent)
		return false;
	conn->id = worker->last_hash_id;
	conn->is_cancelled = false;
	conn->deadline = clock_monotonic_ms() + worker->settings->server.request_timeout + HASHING_GRACE_MS;
	conn_set_state(conn, CONN_HASHING);
	/* The password of a peer that hangs up meanwhile is not hashed, if that has not begun. */
	worker_watch_conn(worker, conn, EPOLLRDHUP);
	return true;
}

/* The one whose job has that id; 0: any. NULL: there is none, it was cancelled. */
static struct conn *take(struct worker *worker, uint64_t id)
{
	struct conn *conn = worker->conns.first;

	while (conn != NULL && (conn->state != CONN_HASHING || (id != 0 && conn->id != id)))
		conn = conn->next;
	if (conn != NULL)
		conn_set_state(conn, CONN_RUNNABLE);
	return conn;
}

struct conn *hashing_next(struct worker *worker, struct hash_result *result)
{
	enum hash_channel_status status = HASH_CHANNEL_RESULT;
	struct conn *conn = NULL;

	while (worker->hash_channel >= 0 && conn == NULL && status == HASH_CHANNEL_RESULT) {
		status = hash_channel_receive(worker->hash_channel, result);
		if (status == HASH_CHANNEL_RESULT)
			conn = take(worker, result->id);
		else if (status == HASH_CHANNEL_CLOSED)
			hashing_close(worker);
	}
	if (worker->hash_channel >= 0)
		return conn;
	/* The hasher has ended, and another one takes its place: the jobs that this one had are refused, as if busy. */
	*result = (struct hash_result){.outcome = HASH_NO_SLOT};
	conn = take(worker, 0);
	if (conn == NULL)
		hashing_open(worker);
	return conn;
}

bool hashing_cancel(const struct worker *worker, struct conn *conn)
{
	conn->is_cancelled = true;
	conn->is_late = false;
	conn->deadline = clock_monotonic_ms() + HASHING_LAST_MS;
	return hash_channel_cancel(worker->hash_channel, conn->id);
}

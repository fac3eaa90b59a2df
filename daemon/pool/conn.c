/* A connection from the web server, and a list of them. */
#include "pool/conn.h"

#include <talloc.h>
#include <unistd.h>

struct conn *conns_add(struct conns *conns, int fd, int64_t io_timeout_ms, size_t max_body)
{
	struct conn *conn = talloc_zero(NULL, struct conn);

	if (conn != NULL)
		conn->fcgi = fcgi_open(NULL, fd, io_timeout_ms, max_body);
	if (conn == NULL || conn->fcgi == NULL) {
		talloc_free(conn);
		close(fd);
		return NULL;
	}
	conn->previous = conns->last;
	if (conns->last != NULL)
		conns->last->next = conn;
	else
		conns->first = conn;
	conns->last = conn;
	conns->count++;
	conn->conns = conns;
	conn->state = CONN_READING;
	conns->by_state[CONN_READING]++;
	return conn;
}

void conns_remove(struct conns *conns, struct conn *conn)
{
	if (conn->previous != NULL)
		conn->previous->next = conn->next;
	else
		conns->first = conn->next;
	if (conn->next != NULL)
		conn->next->previous = conn->previous;
	else
		conns->last = conn->previous;
	conns->count--;
	conns->by_state[conn->state]--;
	conns->held -= conn->held;
	/* Closing the descriptor takes it out of the epoll set, too. */
	talloc_free(conn->req != NULL ? (void *)conn->req : (void *)conn->fcgi);
	talloc_free(conn);
}

void conn_set_state(struct conn *conn, enum conn_state state)
{
	conn->conns->by_state[conn->state]--;
	conn->conns->by_state[state]++;
	conn->state = state;
}

bool conns_have(const struct conns *conns, const void *what)
{
	for (const struct conn *conn = conns->first; conn != NULL; conn = conn->next) {
		if (conn == what)
			return true;
	}
	return false;
}

void conns_note_held(struct conns *conns, struct conn *conn)
{
	size_t held = fcgi_held(conn->fcgi);

	conns->held += held - conn->held;
	conn->held = held;
}

struct conn *conns_oldest_waiting(const struct conns *conns, const struct conn *but, bool holds_memory)
{
	for (struct conn *conn = conns->first; conn != NULL; conn = conn->next) {
		bool waits = conn->state == CONN_READING || conn->state == CONN_DRAINING;

		if (waits && conn != but && (!holds_memory || conn->held > 0))
			return conn;
	}
	return NULL;
}

void conn_queue_put(struct conn_queue *queue, struct conn *conn)
{
	conn->next_in_queue = NULL;
	if (queue->first == NULL)
		queue->first = conn;
	else
		queue->last->next_in_queue = conn;
	queue->last = conn;
	queue->count++;
}

struct conn *conn_queue_take(struct conn_queue *queue)
{
	struct conn *conn = queue->first;

	if (conn == NULL)
		return NULL;
	queue->first = conn->next_in_queue;
	queue->count--;
	return conn;
}

/*
 * Requests to a web server on this machine at times that are fixed beforehand, whatever the answers take: each latency
 * counts from the moment at which the request was to be sent, so that a stall counts for each request due during it.
 *
 *   openloop PORT HOST PATH SESSIONS CONNECTIONS RATE SECONDS [TOKEN]
 *
 * Each request has one of the session cookies 1 to SESSIONS, at random; with TOKEN, of the API, it is a POST that asks
 * about that session's key. RATE 0 closes the loop: each connection sends its next request as soon as it is answered.
 * Prints one line of JSON; times are in ms. What is not answered some seconds after the last was due counts with the
 * time that it has waited by then.
 */
#include "program.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 4096, ANSWER_MAX = 4096, EVENTS_MAX = 64, STATUS_MAX = 600 };

/* How long the last answers are waited for. */
#define GRACE_NS     (10 * SECOND_NS)
#define REQUESTS_MAX (20 * 1000 * 1000)

struct connection {
	int fd;
	int64_t due; /* when its request was to be sent; 0: it is idle */
	size_t used;
	char answer[ANSWER_MAX];
};

static struct {
	uint16_t port;
	const char *host, *path, *token;
	uint32_t sessions;
	size_t connections;
	int64_t rate, seconds;
} options;

static struct connection connections[CONNECTIONS_MAX];
static size_t idle[CONNECTIONS_MAX], idle_count;
static int events = -1;

static int64_t began, ends;
static int64_t next_request; /* of an open loop: how many have been sent */
static size_t outstanding;

static float *latencies; /* in ms, of all that were sent or due */
static size_t latency_count, latency_room;
static uint64_t statuses[STATUS_MAX]; /* 0: the connection broke */
static uint64_t in_time, unanswered;
static int64_t last_success, silence;

static uint32_t random_number(void)
{
	static uint64_t state = 0;

	if (state == 0)
		state = (uint64_t)now_ns() | 1;
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 32);
}

static void keep_latency(int64_t nanoseconds)
{
	if (latency_count == latency_room) {
		latency_room = latency_room == 0 ? 1 << 16 : 2 * latency_room;
		latencies = realloc(latencies, latency_room * sizeof *latencies);
		if (latencies == NULL)
			fail("realloc");
	}
	latencies[latency_count++] = (float)((double)nanoseconds / 1e6);
}

/* ---- Connections -------------------------------------------------------------------------------------------- */

static void open_connection(size_t number)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options.port)};
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = number};
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) != 0 ||
	    epoll_ctl(events, EPOLL_CTL_ADD, fd, &event) != 0)
		fail("connecting");
	connections[number].fd = fd;
	idle[idle_count++] = number;
}

static void end_request(size_t number, int status)
{
	struct connection *connection = &connections[number];
	int64_t now = now_ns();

	keep_latency(now - connection->due);
	statuses[status]++;
	if (now < ends)
		in_time++;
	if (status == 200) {
		if (now - last_success > silence)
			silence = now - last_success;
		last_success = now;
	}
	connection->due = 0;
	connection->used = 0;
	outstanding--;
}

/* The server has closed the connection, or sent no valid answer. */
static void replace(size_t number)
{
	if (connections[number].due != 0)
		end_request(number, 0);
	else
		for (size_t i = 0; i < idle_count; i++) {
			if (idle[i] == number)
				idle[i] = idle[--idle_count];
		}
	(void)close(connections[number].fd);
	open_connection(number);
}

static void send_request(size_t number, int64_t due)
{
	static const char zeros[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	uint32_t session = random_number() % options.sessions + 1;
	char request[1024], body[128];
	int size;

	if (options.token == NULL) {
		size = snprintf(request, sizeof request,
		                "GET %s HTTP/1.1\r\nHost: %s\r\nCookie: onesession=%s%08u\r\n\r\n", options.path,
		                options.host, zeros, session);
	} else {
		int length = snprintf(body, sizeof body, "{\"token\":\"%s%08u\",\"passive\":true}", zeros, session);

		size = snprintf(request, sizeof request,
		                "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"
		                "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		                options.path, options.host, options.token, length, body);
	}

	connections[number].due = due;
	outstanding++;
	if (size <= 0 || (size_t)size >= sizeof request ||
	    send(connections[number].fd, request, (size_t)size, MSG_NOSIGNAL) != size)
		replace(number);
}

/* ---- Answers ------------------------------------------------------------------------------------------------ */

/* The status, or -1 while the answer is not complete. Bodies are small: the last chunk of a chunked answer is searched
 * for at its end. */
static int whole_answer(const struct connection *connection)
{
	static const char chunked[] = "\r\nTransfer-Encoding: chunked\r\n", length[] = "\r\nContent-Length: ";
	static const char last_chunk[] = "0\r\n\r\n";
	const char *text = connection->answer;
	const char *head_end = strstr(text, "\r\n\r\n");
	const char *field;
	size_t head;
	int status;

	if (head_end == NULL || sscanf(text, "HTTP/1.1 %3d", &status) != 1 || status < 100 || status >= STATUS_MAX)
		return -1;
	head = (size_t)(head_end - text) + 4;
	field = strstr(text, chunked);
	if (field != NULL && field < head_end) {
		size_t tail = sizeof last_chunk - 1;

		return connection->used >= head + tail && strcmp(text + connection->used - tail, last_chunk) == 0
		               ? status
		               : -1;
	}
	field = strstr(text, length);
	if (field != NULL && field < head_end)
		return connection->used - head >= strtoul(field + sizeof length - 1, NULL, 10) ? status : -1;
	return status;
}

static void receive(size_t number)
{
	struct connection *connection = &connections[number];
	size_t room = ANSWER_MAX - 1 - connection->used;
	ssize_t got = recv(connection->fd, connection->answer + connection->used, room, MSG_DONTWAIT);
	int status;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0 || connection->due == 0) {
		replace(number);
		return;
	}
	connection->used += (size_t)got;
	connection->answer[connection->used] = '\0';
	status = whole_answer(connection);
	if (status >= 0) {
		end_request(number, status);
		idle[idle_count++] = number;
	} else if (connection->used == ANSWER_MAX - 1) {
		replace(number);
	}
}

/* ---- The loop ----------------------------------------------------------------------------------------------- */

static int64_t due_time(int64_t number)
{
	return began + (int64_t)((double)number * (double)SECOND_NS / (double)options.rate);
}

/* When the next request is to be sent, or the end. */
static int64_t send_what_is_due(int64_t now)
{
	int64_t due;

	if (options.rate == 0) {
		while (idle_count > 0 && now < ends && latency_count + outstanding < REQUESTS_MAX)
			send_request(idle[--idle_count], now);
		return now < ends ? ends : ends + GRACE_NS;
	}
	while ((due = due_time(next_request)) < ends) {
		if (due > now)
			return due;
		if (idle_count == 0)
			break;
		next_request++;
		send_request(idle[--idle_count], due);
	}
	return ends + GRACE_NS;
}

static bool is_over(int64_t now)
{
	bool all_sent = options.rate == 0 ? now >= ends : due_time(next_request) >= ends;

	return now >= ends + GRACE_NS || (now >= ends && all_sent && outstanding == 0);
}

static void run(void)
{
	struct epoll_event found[EVENTS_MAX];

	began = last_success = now_ns();
	ends = began + options.seconds * SECOND_NS;
	for (int64_t now = began; !is_over(now); now = now_ns()) {
		int64_t next = send_what_is_due(now);
		int64_t left = now < ends && next > ends ? ends - now : next - now;
		struct timespec timeout = {.tv_sec = left / SECOND_NS, .tv_nsec = left % SECOND_NS};
		int count;

		if (is_over(now))
			break;
		count = epoll_pwait2(events, found, EVENTS_MAX, &timeout, NULL);
		if (count < 0 && errno != EINTR)
			fail("epoll_pwait2");
		for (int i = 0; i < count; i++)
			receive((size_t)found[i].data.u64);
	}
}

/* Requests without an answer yet, sent or not. */
static void count_unanswered(void)
{
	int64_t now = now_ns();

	for (size_t i = 0; i < options.connections; i++) {
		if (connections[i].due != 0) {
			keep_latency(now - connections[i].due);
			unanswered++;
		}
	}
	for (; options.rate > 0 && due_time(next_request) < ends; next_request++) {
		keep_latency(now - due_time(next_request));
		unanswered++;
	}
	if (unanswered == 0)
		now = ends;
	if (now - last_success > silence)
		silence = now - last_success;
}

/* ---- Output ------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static double percentile(double part)
{
	return latency_count == 0 ? 0 : (double)latencies[(size_t)(part * (double)(latency_count - 1))];
}

static void print_result(void)
{
	const char *separator = "";

	qsort(latencies, latency_count, sizeof *latencies, compare);
	(void)printf(
		"{\"seconds\": %lld, \"requests\": %zu, \"rate\": %.1f, \"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, "
		"\"max\": %.3f, \"silence\": %.3f, \"unanswered\": %llu, \"statuses\": {",
		(long long)options.seconds, latency_count, (double)in_time / (double)options.seconds, percentile(0.5),
		percentile(0.9), percentile(0.99), percentile(1), (double)silence / 1e6,
		(unsigned long long)unanswered);
	for (int status = 0; status < STATUS_MAX; status++) {
		if (statuses[status] > 0) {
			(void)printf("%s\"%d\": %llu", separator, status, (unsigned long long)statuses[status]);
			separator = ", ";
		}
	}
	(void)printf("}}\n");
}

static bool number_from(const char *text, int64_t least, int64_t most, int64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoll(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *number >= least && *number <= most;
}

int main(int argc, char **argv)
{
	int64_t port, sessions, count;

	if (argc < 8 || argc > 9 || !number_from(argv[1], 1, UINT16_MAX, &port) ||
	    !number_from(argv[4], 1, 99999999, &sessions) || !number_from(argv[5], 1, CONNECTIONS_MAX, &count) ||
	    !number_from(argv[6], 0, 100000, &options.rate) || !number_from(argv[7], 1, 600, &options.seconds) ||
	    options.rate * options.seconds > REQUESTS_MAX) {
		(void)fprintf(stderr, "usage: openloop PORT HOST PATH SESSIONS CONNECTIONS RATE SECONDS [TOKEN]\n");
		return 64;
	}
	options.port = (uint16_t)port;
	options.host = argv[2];
	options.path = argv[3];
	options.token = argc == 9 ? argv[8] : NULL;
	options.sessions = (uint32_t)sessions;
	options.connections = (size_t)count;
	/* Timers are exact, and not up to 50 us late. */
	if (prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL) != 0)
		fail("prctl");
	events = epoll_create1(EPOLL_CLOEXEC);
	if (events < 0)
		fail("epoll_create1");
	for (size_t i = 0; i < options.connections; i++)
		open_connection(i);
	run();
	count_unanswered();
	print_result();
	return EXIT_SUCCESS;
}

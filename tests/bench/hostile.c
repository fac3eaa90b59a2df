/*
 * Hostile clients, at a FastCGI responder's own Unix socket: the load that passes through a web server that does not
 * limit it. Ends by itself and prints one line of JSON.
 *
 *   hostile flood SOCKET RATE SECONDS one|many stay|leave NUMBER FIRST PASSWORD
 *   hostile bodies SOCKET COUNT SECONDS PATH LENGTH AT_ONCE RATE
 *
 * flood: RATE logins a second that fail, at times that are fixed beforehand, each with a name of its own, from one
 * address or each from its own, waiting for the answer or disconnecting once all is sent. NUMBER (1 to 255) stands for
 * addresses that no other run has used. Besides, each second a client with the right PASSWORD begins to sign in, to the
 * account u(FIRST + n) and from an address of its own, and retries after Retry-After. The flood goes on until the last
 * of these has signed in, or for some seconds more.
 *
 * bodies: COUNT connections at a time whose request is a body of LENGTH bytes, AT_ONCE of them at the beginning and
 * then RATE bytes a second. A closed connection is replaced.
 */
#include "program.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { PEERS_MAX = 16384, LOGINS_MAX = 128, BODIES_MAX = 1024, ANSWER_MAX = 1024, EVENTS_MAX = 256, STATUS_MAX = 600 };
enum { BEGIN_REQUEST = 1, PARAMS = 4, STDIN = 5, HEADER_SIZE = 8, BODY_MAX = 1 << 20 };

/* How long a client waits for an answer, if it waits. */
#define PATIENCE_NS (15 * SECOND_NS)
/* How much longer a flood goes on while clients with the right password have not signed in. */
#define GRACE_NS (12 * SECOND_NS)
/* Requests sent at once before answers are read. */
#define SENT_AT_ONCE 64
/* The interval between pieces of a slow body, and after how long a closed connection is replaced. */
#define PIECE_NS  (SECOND_NS / 10)
#define REOPEN_NS SECOND_NS

struct peer {
	int fd;
	int login; /* index of the login with the right password; -1: none */
	int64_t began;
	size_t used;
	char answer[ANSWER_MAX];
};

/* A client with the right password. */
struct login {
	bool is_in, is_under_way;
	int64_t began, next; /* the first attempt, the next one */
	double took_s;
	int attempts, last_status;
};

struct body {
	int fd; /* -1: not open */
	int64_t opened, reopen;
	size_t sent;
	size_t used;
	char answer[ANSWER_MAX];
};

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static int events = -1;
static uint64_t statuses[STATUS_MAX]; /* 0: closed without a status */
static uint64_t opened, refused, broken, unanswered;

/* ---- Helpers ------------------------------------------------------------------------------------------------ */

static int wait_for_events(struct epoll_event found[EVENTS_MAX], int64_t until)
{
	int64_t left = until - now_ns();
	struct timespec timeout = {0};
	int count;

	if (left > 0)
		timeout = (struct timespec){.tv_sec = left / SECOND_NS, .tv_nsec = left % SECOND_NS};
	count = epoll_pwait2(events, found, EVENTS_MAX, &timeout, NULL);
	if (count < 0 && errno != EINTR)
		fail("epoll_pwait2");
	return count;
}

/* -1: refused. */
static int connect_to_responder(uint64_t number)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = number};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		fail("socket");
	if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
		if (errno != EAGAIN && errno != ECONNREFUSED)
			fail("connecting");
		refused++;
		(void)close(fd);
		return -1;
	}
	opened++;
	if (epoll_ctl(events, EPOLL_CTL_ADD, fd, &event) != 0)
		fail("epoll_ctl");
	return fd;
}

/* Read more of an answer. Returns true at its end; bytes beyond ANSWER_MAX are dropped. */
static bool receive(int fd, char answer[ANSWER_MAX], size_t *used)
{
	char rest[4096];
	ssize_t got = recv(fd, rest, sizeof rest, 0);
	size_t room = ANSWER_MAX - 1 - *used, kept;

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (got <= 0)
		return true;
	kept = (size_t)got < room ? (size_t)got : room;
	memcpy(answer + *used, rest, kept);
	*used += kept;
	return false;
}

/* The number after `name` in an answer, whose records are not parsed; -1 where there is none. */
static int number_behind(const char *answer, size_t used, const char *name)
{
	const char *found = memmem(answer, used, name, strlen(name));
	char digits[8] = "";
	size_t left;

	if (found == NULL)
		return -1;
	found += strlen(name);
	left = used - (size_t)(found - answer);
	memcpy(digits, found, left < sizeof digits - 1 ? left : sizeof digits - 1);
	return atoi(digits);
}

static int status_of(const char *answer, size_t used)
{
	int status = number_behind(answer, used, "Status: ");

	return status > 0 && status < STATUS_MAX ? status : 0;
}

/* ---- Requests ----------------------------------------------------------------------------------------------- */

struct buffer {
	size_t used;
	unsigned char bytes[BODY_MAX];
};

static void put_header(struct buffer *buffer, int kind, size_t size)
{
	const unsigned char header[HEADER_SIZE] = {1, (unsigned char)kind,        0,
	                                           1, (unsigned char)(size >> 8), (unsigned char)size};

	if (buffer->used + HEADER_SIZE + size > sizeof buffer->bytes)
		fail("a request that is too long");
	memcpy(buffer->bytes + buffer->used, header, HEADER_SIZE);
	buffer->used += HEADER_SIZE;
}

static void put_record(struct buffer *buffer, int kind, const void *content, size_t size)
{
	put_header(buffer, kind, size);
	if (size > 0)
		memcpy(buffer->bytes + buffer->used, content, size);
	buffer->used += size;
}

static void put_filling(struct buffer *buffer, size_t size)
{
	put_header(buffer, STDIN, size);
	memset(buffer->bytes + buffer->used, 'x', size);
	buffer->used += size;
}

static void put_pair(char *pairs, size_t room, size_t *used, const char *name, const char *value)
{
	size_t name_size = strlen(name), value_size = strlen(value);

	/* Short lengths only, which take a byte each. */
	if (name_size > 127 || value_size > 127 || *used + name_size + value_size + 2 > room)
		fail("a parameter that is too long");
	pairs[(*used)++] = (char)name_size;
	pairs[(*used)++] = (char)value_size;
	memcpy(pairs + *used, name, name_size);
	memcpy(pairs + *used + name_size, value, value_size);
	*used += name_size + value_size;
}

/* Up to where the body begins. */
static void put_beginning(struct buffer *buffer, const char *path, const char *ip, const char *type, size_t length)
{
	static const unsigned char responder[HEADER_SIZE] = {0, 1};
	char pairs[1024], digits[24];
	size_t used = 0;

	(void)snprintf(digits, sizeof digits, "%zu", length);
	put_pair(pairs, sizeof pairs, &used, "REQUEST_METHOD", "POST");
	put_pair(pairs, sizeof pairs, &used, "SCRIPT_NAME", path);
	put_pair(pairs, sizeof pairs, &used, "QUERY_STRING", "");
	put_pair(pairs, sizeof pairs, &used, "CONTENT_TYPE", type);
	put_pair(pairs, sizeof pairs, &used, "CONTENT_LENGTH", digits);
	put_pair(pairs, sizeof pairs, &used, "REMOTE_ADDR", ip);
	put_pair(pairs, sizeof pairs, &used, "HTTP_HOST", "localhost");
	put_pair(pairs, sizeof pairs, &used, "HTTP_ACCEPT", "application/json");
	buffer->used = 0;
	put_record(buffer, BEGIN_REQUEST, responder, sizeof responder);
	put_record(buffer, PARAMS, pairs, used);
	put_record(buffer, PARAMS, NULL, 0);
}

static bool send_all(int fd, const struct buffer *buffer)
{
	return send(fd, buffer->bytes, buffer->used, MSG_NOSIGNAL) == (ssize_t)buffer->used;
}

/* ---- The flood ---------------------------------------------------------------------------------------------- */

static struct {
	int64_t rate, seconds;
	bool many, leave;
	int64_t number, first;
	const char *password;
} flood;

static struct peer peers[PEERS_MAX];
static uint32_t unused[PEERS_MAX];
static size_t unused_count;
static struct login logins[LOGINS_MAX];
static uint64_t kept_back; /* not sent, as this program has no more connections */

static void end_peer(struct peer *peer)
{
	(void)close(peer->fd);
	peer->fd = -1;
	unused[unused_count++] = (uint32_t)(peer - peers);
}

static bool try_login(int login, const char *ip, const char *name, const char *password)
{
	static struct buffer buffer;
	char body[256];
	int size = snprintf(body, sizeof body, "{\"username\":\"%s\",\"password\":\"%s\"}", name, password);
	struct peer *peer;
	int fd;

	if (size < 0 || (size_t)size >= sizeof body)
		fail("a login that is too long");
	if (unused_count == 0) {
		kept_back++;
		return false;
	}
	fd = connect_to_responder(unused[unused_count - 1]);
	if (fd < 0)
		return false;
	peer = &peers[unused[--unused_count]];
	peer->fd = fd;
	peer->login = login;
	peer->began = now_ns();
	peer->used = 0;
	put_beginning(&buffer, "/session/login", ip, "application/json", (size_t)size);
	put_record(&buffer, STDIN, body, (size_t)size);
	put_record(&buffer, STDIN, NULL, 0);
	if (!send_all(fd, &buffer)) {
		broken++;
		end_peer(peer);
		return false;
	}
	if (login < 0 && flood.leave)
		end_peer(peer);
	return true;
}

static void send_failing(int64_t number)
{
	int64_t host = flood.many ? number & 0xffff : 1;
	char ip[32], name[48];

	(void)snprintf(ip, sizeof ip, "10.%d.%d.%d", (int)flood.number, (int)(host >> 8), (int)(host & 0xff));
	(void)snprintf(name, sizeof name, "unknown-%lld-%lld", (long long)flood.number, (long long)number);
	(void)try_login(-1, ip, name, "not-the-password");
}

static void send_right(int at, int64_t now)
{
	struct login *login = &logins[at];
	char ip[32], name[32];

	(void)snprintf(ip, sizeof ip, "172.16.%d.%d", (int)flood.number, at + 1);
	(void)snprintf(name, sizeof name, "u%lld", (long long)(flood.first + at));
	if (login->attempts++ == 0)
		login->began = now;
	login->is_under_way = try_login(at, ip, name, flood.password);
	login->next = now + SECOND_NS;
}

/* `status` 0: there was none. */
static void answer_right(struct login *login, int status, int retry_after)
{
	int64_t now = now_ns();

	login->is_under_way = false;
	login->last_status = status;
	login->is_in = status == 200;
	if (login->is_in)
		login->took_s = (double)(now - login->began) / 1e9;
	login->next = now + (retry_after > 0 && retry_after <= 10 ? retry_after : 1) * SECOND_NS;
}

static void end_answered(struct peer *peer)
{
	int status = status_of(peer->answer, peer->used);

	if (peer->login < 0)
		statuses[status]++;
	else
		answer_right(&logins[peer->login], status, number_behind(peer->answer, peer->used, "Retry-After: "));
	end_peer(peer);
}

static void end_impatient(int64_t now)
{
	for (size_t i = 0; i < PEERS_MAX; i++) {
		struct peer *peer = &peers[i];

		if (peer->fd < 0 || now - peer->began < PATIENCE_NS)
			continue;
		if (peer->login < 0)
			unanswered++;
		else
			answer_right(&logins[peer->login], 0, 0);
		end_peer(peer);
	}
}

static bool all_are_in(void)
{
	for (int64_t i = 0; i < flood.seconds; i++) {
		if (!logins[i].is_in)
			return false;
	}
	return true;
}

static int64_t due_time(int64_t began, int64_t number)
{
	return began + number * SECOND_NS / flood.rate;
}

static void run_flood(int64_t began, int64_t *sent)
{
	struct epoll_event found[EVENTS_MAX];
	int64_t ends = began + flood.seconds * SECOND_NS, look = began + SECOND_NS;

	for (int64_t now = began; now < ends + GRACE_NS && (now < ends || !all_are_in()); now = now_ns()) {
		int count;

		for (int at_once = 0; due_time(began, *sent) <= now && at_once < SENT_AT_ONCE; at_once++)
			send_failing((*sent)++);
		for (int i = 0; i < flood.seconds; i++) {
			/* In the middle of each second. */
			bool is_due = now >= began + i * SECOND_NS + SECOND_NS / 2 && now >= logins[i].next;

			if (is_due && !logins[i].is_in && !logins[i].is_under_way)
				send_right(i, now);
		}
		if (now >= look) {
			end_impatient(now);
			look = now + SECOND_NS;
		}
		count = wait_for_events(found, due_time(began, *sent));
		for (int i = 0; i < count; i++) {
			struct peer *peer = &peers[found[i].data.u64];

			if (peer->fd >= 0 && receive(peer->fd, peer->answer, &peer->used))
				end_answered(peer);
		}
	}
}

static void tell_statuses(void)
{
	const char *separator = "";

	(void)printf("\"statuses\": {");
	for (int status = 0; status < STATUS_MAX; status++) {
		if (statuses[status] > 0) {
			(void)printf("%s\"%d\": %llu", separator, status, (unsigned long long)statuses[status]);
			separator = ", ";
		}
	}
	(void)printf("}");
}

static void tell_flood(double seconds, int64_t sent)
{
	(void)printf("{\"seconds\": %.3f, \"sent\": %lld, \"refused\": %llu, \"broken\": %llu, \"kept_back\": %llu, "
	             "\"unanswered\": %llu, ",
	             seconds, (long long)sent, (unsigned long long)refused, (unsigned long long)broken,
	             (unsigned long long)kept_back, (unsigned long long)unanswered);
	tell_statuses();
	(void)printf(", \"logins\": [");
	for (int64_t i = 0; i < flood.seconds; i++) {
		const struct login *login = &logins[i];

		(void)printf("%s{\"in\": %s, \"took\": %.3f, \"attempts\": %d, \"last_status\": %d}", i > 0 ? ", " : "",
		             login->is_in ? "true" : "false", login->took_s, login->attempts, login->last_status);
	}
	(void)printf("]}\n");
}

static void do_flood(void)
{
	int64_t began, sent = 0;

	for (uint32_t i = 0; i < PEERS_MAX; i++) {
		peers[i].fd = -1;
		unused[unused_count++] = i;
	}
	began = now_ns();
	run_flood(began, &sent);
	tell_flood((double)(now_ns() - began) / 1e9, sent);
}

/* ---- Slow bodies -------------------------------------------------------------------------------------------- */

static struct {
	int64_t count, seconds, length, at_once, rate;
	const char *path;
} slow;

static struct body bodies[BODIES_MAX];

static void close_body(struct body *body, int64_t now)
{
	statuses[status_of(body->answer, body->used)]++;
	(void)close(body->fd);
	body->fd = -1;
	body->reopen = now + REOPEN_NS;
}

static void open_body(struct body *body, uint64_t number, int64_t now)
{
	static struct buffer buffer;
	char ip[32];

	body->reopen = now + REOPEN_NS;
	body->fd = connect_to_responder(number);
	if (body->fd < 0)
		return;
	body->opened = now;
	body->sent = (size_t)slow.at_once;
	body->used = 0;
	(void)snprintf(ip, sizeof ip, "10.0.%d.%d", (int)(number >> 8), (int)(number & 0xff));
	put_beginning(&buffer, slow.path, ip, "application/x-www-form-urlencoded", (size_t)slow.length);
	for (size_t left = body->sent, piece; left > 0; left -= piece) {
		piece = left < 16384 ? left : 16384;
		put_filling(&buffer, piece);
	}
	if (!send_all(body->fd, &buffer)) {
		broken++;
		close_body(body, now);
	}
}

static void send_piece(struct body *body, int64_t now)
{
	static struct buffer buffer;
	int64_t due = slow.at_once + (now - body->opened) * slow.rate / SECOND_NS;
	size_t wanted = (size_t)(due < slow.length ? due : slow.length);

	if (wanted == body->sent)
		return;
	buffer.used = 0;
	for (size_t left = wanted - body->sent, piece; left > 0; left -= piece) {
		piece = left < 16384 ? left : 16384;
		put_filling(&buffer, piece);
	}
	if (wanted == (size_t)slow.length)
		put_record(&buffer, STDIN, NULL, 0);
	if (!send_all(body->fd, &buffer)) {
		close_body(body, now);
		return;
	}
	body->sent = wanted;
}

static void do_bodies(void)
{
	struct epoll_event found[EVENTS_MAX];
	int64_t began = now_ns(), ends = began + slow.seconds * SECOND_NS, next = began;

	for (int64_t i = 0; i < slow.count; i++)
		bodies[i].fd = -1;
	for (int64_t now = began; now < ends; now = now_ns()) {
		int count;

		if (now >= next) {
			for (int64_t i = 0; i < slow.count; i++) {
				struct body *body = &bodies[i];

				if (body->fd >= 0)
					send_piece(body, now);
				else if (now >= body->reopen)
					open_body(body, (uint64_t)i, now);
			}
			next = now + PIECE_NS;
		}
		count = wait_for_events(found, next);
		for (int i = 0; i < count; i++) {
			struct body *body = &bodies[found[i].data.u64];

			if (body->fd >= 0 && receive(body->fd, body->answer, &body->used))
				close_body(body, now);
		}
	}
	(void)printf("{\"seconds\": %lld, \"opened\": %llu, \"refused\": %llu, \"broken\": %llu, ",
	             (long long)slow.seconds, (unsigned long long)opened, (unsigned long long)refused,
	             (unsigned long long)broken);
	tell_statuses();
	(void)printf("}\n");
}

/* ---- Arguments ---------------------------------------------------------------------------------------------- */

static bool number_from(const char *text, int64_t least, int64_t most, int64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoll(text, &end, 10);
	return errno == 0 && end != text && *end == '\0' && *number >= least && *number <= most;
}

static bool one_of(const char *text, const char *first, const char *second, bool *is_second)
{
	*is_second = strcmp(text, second) == 0;
	return *is_second || strcmp(text, first) == 0;
}

static bool is_flood(int argc, char **argv)
{
	if (argc != 10 || strcmp(argv[1], "flood") != 0 || !number_from(argv[3], 1, 5000, &flood.rate) ||
	    !number_from(argv[4], 1, LOGINS_MAX - 1, &flood.seconds) || !one_of(argv[5], "one", "many", &flood.many) ||
	    !one_of(argv[6], "stay", "leave", &flood.leave) || !number_from(argv[7], 1, 255, &flood.number) ||
	    !number_from(argv[8], 1, 99999999, &flood.first))
		return false;
	flood.password = argv[9];
	return true;
}

static bool is_bodies(int argc, char **argv)
{
	if (argc != 9 || strcmp(argv[1], "bodies") != 0 || !number_from(argv[3], 1, BODIES_MAX, &slow.count) ||
	    !number_from(argv[4], 1, 600, &slow.seconds) || !number_from(argv[6], 1, BODY_MAX / 2, &slow.length) ||
	    !number_from(argv[7], 1, slow.length, &slow.at_once) || !number_from(argv[8], 1, 100000, &slow.rate))
		return false;
	slow.path = argv[5];
	return true;
}

int main(int argc, char **argv)
{
	struct rlimit files;
	bool floods = is_flood(argc, argv);

	if ((!floods && !is_bodies(argc, argv)) || strlen(argv[2]) >= sizeof address.sun_path) {
		(void)fprintf(stderr,
		              "usage: hostile flood SOCKET RATE SECONDS one|many stay|leave NUMBER FIRST PASSWORD\n"
		              "       hostile bodies SOCKET COUNT SECONDS PATH LENGTH AT_ONCE RATE\n");
		return 64;
	}
	(void)strcpy(address.sun_path, argv[2]);
	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		fail("getrlimit");
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) != 0 || prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL) != 0)
		fail("setting up");
	events = epoll_create1(EPOLL_CLOEXEC);
	if (events < 0)
		fail("epoll_create1");
	if (floods)
		do_flood();
	else
		do_bodies();
	return EXIT_SUCCESS;
}

/* One FastCGI request to the daemon, written by hand: libfcgi is for the side that answers. */
#include "ctl/fcgi_client.h"

#include "base/clock.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { VERSION_1 = 1, HEADER_SIZE = 8 };
enum { BEGIN_REQUEST = 1, END_REQUEST = 3, PARAMS = 4, STDIN = 5, STDOUT = 6 };
enum { RESPONDER = 1 };

/* The daemon answers at once, even when every worker is busy. */
#define DEADLINE_MS 10000
/* A line for each of a thousand workers is far less. */
#define ANSWER_MAX (1024 * 1024)

struct exchange {
	int fd;
	int64_t deadline;
	char *problem;
	size_t problem_size;
};

__attribute__((format(printf, 2, 3))) static int fail_exchange(const struct exchange *exchange, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(exchange->problem, exchange->problem_size, format, arguments);
	va_end(arguments);
	return -1;
}

/* ---- Connecting --------------------------------------------------------------------------------------------- */

static int wait_for(const struct exchange *exchange, short events)
{
	struct pollfd poll_fd = {.fd = exchange->fd, .events = events};
	int ready;

	do {
		ready = poll(&poll_fd, 1, clock_until_ms(exchange->deadline));
	} while (ready < 0 && errno == EINTR);
	if (ready == 0)
		errno = ETIMEDOUT;
	return ready > 0 ? 0 : -1;
}

static int connect_to(struct exchange *exchange, const struct sockaddr *address, socklen_t size)
{
	socklen_t error_size = sizeof errno;
	int error = 0;

	exchange->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (exchange->fd < 0)
		return -1;
	if (connect(exchange->fd, address, size) == 0)
		return 0;
	if ((errno != EINPROGRESS && errno != EAGAIN) || wait_for(exchange, POLLOUT) != 0)
		return -1;
	if (getsockopt(exchange->fd, SOL_SOCKET, SO_ERROR, &error, &error_size) != 0)
		return -1;
	errno = error;
	return error == 0 ? 0 : -1;
}

static int connect_unix(struct exchange *exchange, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof address.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	return connect_to(exchange, (const struct sockaddr *)&address, sizeof address);
}

/* `where` is ADDRESS:PORT or [V6]:PORT, as the options' check has found. */
static int connect_tcp(struct exchange *exchange, char *where)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM,
	};
	char *port = strrchr(where, ':');
	struct addrinfo *found;
	int result;

	*port++ = '\0';
	if (where[0] == '[') {
		where++;
		where[strcspn(where, "]")] = '\0';
	}
	if (getaddrinfo(where, port, &hints, &found) != 0) {
		errno = EINVAL;
		return -1;
	}
	result = connect_to(exchange, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return result;
}

static int connect_daemon(struct exchange *exchange, TALLOC_CTX *ctx, const char *listen)
{
	char *first = talloc_strndup(ctx, listen, strcspn(listen, " \t"));
	int result;

	if (first == NULL)
		return fail_exchange(exchange, "out of memory");
	if (strncmp(first, "unix:", 5) == 0)
		result = connect_unix(exchange, first + 5);
	else
		result = connect_tcp(exchange, first + 4);
	if (result != 0)
		return fail_exchange(exchange, "cannot reach the daemon at %.*s (server.listen): %s",
		                     (int)strcspn(listen, " \t"), listen, strerror(errno));
	return 0;
}

/* ---- Asking ------------------------------------------------------------------------------------------------- */

/* A request under way; its parameters are few and short. */
struct request {
	uint8_t bytes[4096];
	size_t size;
};

static void put_header(struct request *request, unsigned int type, size_t content_size)
{
	const uint8_t header[HEADER_SIZE] = {
		VERSION_1, (uint8_t)type, 0, 1, (uint8_t)(content_size >> 8), (uint8_t)content_size, 0, 0,
	};

	memcpy(request->bytes + request->size, header, sizeof header);
	request->size += sizeof header;
}

/* A record of its own for each, which is allowed and spares counting. */
static void put_param(struct request *request, const char *name, const char *value)
{
	size_t name_size = strlen(name), value_size = strlen(value);

	if (name_size > 127 || value_size > 127)
		abort();
	put_header(request, PARAMS, 2 + name_size + value_size);
	request->bytes[request->size++] = (uint8_t)name_size;
	request->bytes[request->size++] = (uint8_t)value_size;
	memcpy(request->bytes + request->size, name, name_size);
	request->size += name_size;
	memcpy(request->bytes + request->size, value, value_size);
	request->size += value_size;
}

/* The daemon closes the connections of peers that it refuses; whether sending or receiving fails then is a race. */
static int fail_closed(const struct exchange *exchange)
{
	return fail_exchange(exchange,
	                     "the daemon closed the connection without an answer: see server.allowed_users and "
	                     "server.allowed_clients");
}

static int send_all(const struct exchange *exchange, const struct request *request)
{
	size_t sent = 0;

	while (sent < request->size) {
		ssize_t now = send(exchange->fd, request->bytes + sent, request->size - sent, MSG_NOSIGNAL);

		if (now >= 0)
			sent += (size_t)now;
		else if (errno == EPIPE || errno == ECONNRESET)
			return fail_closed(exchange);
		else if (errno == EAGAIN ? wait_for(exchange, POLLOUT) != 0 : errno != EINTR)
			return fail_exchange(exchange, "cannot ask the daemon: %s", strerror(errno));
	}
	return 0;
}

/* The daemon believes the address that its peer names: the first one of server.operators does. */
static int send_request(const struct exchange *exchange, const struct settings *settings, const char *path)
{
	static const uint8_t begin[8] = {0, RESPONDER};
	const char *operators = settings->server.operators + strspn(settings->server.operators, " \t");
	struct request request = {.size = 0};
	char full_path[120], operator[80];

	(void)snprintf(operator, sizeof operator, "%.*s", (int)strcspn(operators, " \t/"), operators);
	if (snprintf(full_path, sizeof full_path, "%s%s", settings->server.prefix, path) >= (int)sizeof full_path)
		return fail_exchange(exchange, "server.prefix is too long to ask for");
	put_header(&request, BEGIN_REQUEST, sizeof begin);
	memcpy(request.bytes + request.size, begin, sizeof begin);
	request.size += sizeof begin;
	put_param(&request, "REQUEST_METHOD", "GET");
	put_param(&request, "SCRIPT_NAME", full_path);
	put_param(&request, "REMOTE_ADDR", operator);
	put_param(&request, "HTTP_ACCEPT", "application/json");
	put_header(&request, PARAMS, 0);
	put_header(&request, STDIN, 0);
	return send_all(exchange, &request);
}

/* ---- The answer --------------------------------------------------------------------------------------------- */

static int receive(const struct exchange *exchange, uint8_t *to, size_t size)
{
	size_t got = 0;

	while (got < size) {
		ssize_t now = recv(exchange->fd, to + got, size - got, 0);

		if (now > 0)
			got += (size_t)now;
		else if (now == 0 || errno == ECONNRESET)
			return fail_closed(exchange);
		else if (errno == EAGAIN ? wait_for(exchange, POLLIN) != 0 : errno != EINTR)
			return fail_exchange(exchange, "no answer from the daemon: %s", strerror(errno));
	}
	return 0;
}

/* All of standard output, with a NUL behind it. */
static char *read_answer(const struct exchange *exchange, TALLOC_CTX *ctx)
{
	char *answer = talloc_strdup(ctx, "");
	size_t size = 0;

	for (;;) {
		uint8_t header[HEADER_SIZE];
		uint8_t content[65535 + 255];
		size_t content_size;

		if (answer == NULL || receive(exchange, header, sizeof header) != 0)
			return NULL;
		content_size = (size_t)header[4] << 8 | header[5];
		if (receive(exchange, content, content_size + header[6]) != 0)
			return NULL;
		if (header[1] == END_REQUEST)
			return answer;
		if (header[1] != STDOUT)
			continue;
		if (size + content_size > ANSWER_MAX) {
			(void)fail_exchange(exchange, "the daemon's answer does not end");
			return NULL;
		}
		answer = talloc_realloc(ctx, answer, char, (unsigned int)(size + content_size + 1));
		if (answer == NULL)
			return NULL;
		memcpy(answer + size, content, content_size);
		size += content_size;
		answer[size] = '\0';
	}
}

static char *take_body(const struct exchange *exchange, char *answer)
{
	char *body = strstr(answer, "\r\n\r\n");

	if (strncmp(answer, "Status: 200", 11) != 0 || body == NULL) {
		(void)fail_exchange(exchange, "the daemon does not answer as expected: %.*s",
		                    (int)strcspn(answer, "\r\n"), answer);
		return NULL;
	}
	return body + 4;
}

char *fcgi_client_get(TALLOC_CTX *ctx, const struct settings *settings, const char *path, char *problem, size_t size)
{
	struct exchange exchange = {
		.fd = -1,
		.deadline = clock_monotonic_ms() + DEADLINE_MS,
		.problem = problem,
		.problem_size = size,
	};
	char *answer = NULL;

	(void)fail_exchange(&exchange, "out of memory");
	if (connect_daemon(&exchange, ctx, settings->server.listen) == 0 &&
	    send_request(&exchange, settings, path) == 0)
		answer = read_answer(&exchange, ctx);
	if (answer != NULL)
		answer = take_body(&exchange, answer);
	if (exchange.fd >= 0)
		close(exchange.fd);
	return answer;
}

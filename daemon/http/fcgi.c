/* FastCGI: a connection and its request, and the one file that calls libfcgi. */
#include "http/fcgi.h"

#include <assert.h>
#include <errno.h>
#include <fcgiapp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

/* The library reads this much at a time, so a request no larger has left nothing in the socket. */
#define LIBRARY_READ_SIZE 8192
/* More than this of an unwanted body is not worth reading for the sake of a clean end. */
#define DRAIN_MAX (16 * 1024 * 1024)
/* What fits into the emptiest of buffers, those of a connection that nothing was written to: nothing waits for it. */
#define SMALL_ANSWER_SIZE 4096

/* The members that this file sets are marked private in fcgiapp.h. It has not moved from 2.4.0 to 2.4.7. */
static_assert(sizeof(void *) != 8 || (sizeof(FCGX_Request) == 80 && offsetof(FCGX_Request, ipcFd) == 48 &&
                                      offsetof(FCGX_Request, keepConnection) == 56),
              "libfcgi's FCGX_Request is not laid out as this file needs it");

/* A parameter as the library keeps it, "name=value". */
struct param {
	const char *text;
	size_t name_length;
};

struct fcgi {
	int fd;
	int64_t io_timeout_ms;
	struct inspection inspection;
	fcgi_body_plan *plan_body;
	const void *plan_context;
	FCGX_Request request;
	bool is_accepted;
	size_t drained;
	struct param *params; /* of the accepted request */
	size_t param_count;
};

static void set_timeout(int fd, int option, int64_t milliseconds)
{
	const struct timeval value = {.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};

	/* On failure the master's deadline for the whole request still holds. */
	(void)setsockopt(fd, SOL_SOCKET, option, &value, sizeof value);
}

static int fcgi_destroy(struct fcgi *fcgi)
{
	if (fcgi->is_accepted)
		FCGX_Free(&fcgi->request, 0);
	if (fcgi->fd >= 0)
		close(fcgi->fd);
	return 0;
}

struct fcgi *fcgi_open(TALLOC_CTX *ctx, int fd, int64_t io_timeout_ms, size_t max_body)
{
	struct fcgi *fcgi = talloc_zero(ctx, struct fcgi);

	if (fcgi == NULL)
		return NULL;
	fcgi->fd = fd;
	fcgi->io_timeout_ms = io_timeout_ms;
	fcgi->inspection = (struct inspection){.ctx = fcgi, .fd = fd, .plan = {.max = max_body}};
	talloc_set_destructor(fcgi, fcgi_destroy);
	return fcgi;
}

static struct body_plan plan_body(const struct inspection *inspection)
{
	const struct fcgi *fcgi = inspection->ctx;

	return fcgi->plan_body(fcgi->plan_context, fcgi);
}

void fcgi_plan_body(struct fcgi *fcgi, fcgi_body_plan *plan, const void *context)
{
	fcgi->plan_body = plan;
	fcgi->plan_context = context;
	fcgi->inspection.plan_body = plan_body;
}

int fcgi_fd(const struct fcgi *fcgi)
{
	return fcgi->fd;
}

const char *fcgi_defect(const struct fcgi *fcgi)
{
	return fcgi->inspection.defect;
}

enum fcgi_progress fcgi_inspect(struct fcgi *fcgi)
{
	return inspection_proceed(&fcgi->inspection);
}

void fcgi_wait_for_head_only(struct fcgi *fcgi)
{
	fcgi->inspection.is_head_enough = true;
}

void fcgi_wait_for_body(struct fcgi *fcgi)
{
	fcgi->inspection.is_head_enough = false;
}

bool fcgi_is_whole(const struct fcgi *fcgi)
{
	return inspection_has_ended(&fcgi->inspection) || fcgi->inspection.is_too_large;
}

size_t fcgi_held(const struct fcgi *fcgi)
{
	return inspection_held(&fcgi->inspection);
}

bool fcgi_peek_param(const struct fcgi *fcgi, const char *name, struct fcgi_text *value)
{
	return inspection_param(&fcgi->inspection, name, value);
}

enum fcgi_role_kind fcgi_role(const struct fcgi *fcgi)
{
	return fcgi->inspection.role;
}

bool fcgi_has_hung_up(const struct fcgi *fcgi)
{
	struct pollfd pollfd = {.fd = fcgi->fd, .events = POLLRDHUP};

	return poll(&pollfd, 1, 0) > 0 && (pollfd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* ---- The library -------------------------------------------------------------------------------------------- */

/* In a table, for a request's parameters are read many times. False when out of memory. */
static bool list_params(struct fcgi *fcgi)
{
	unsigned int count = 0;

	while (fcgi->request.envp[count] != NULL)
		count++;
	fcgi->params = talloc_array(fcgi, struct param, count);
	if (fcgi->params == NULL)
		return false;
	for (unsigned int i = 0; i < count; i++) {
		const char *text = fcgi->request.envp[i];

		fcgi->params[i] = (struct param){.text = text, .name_length = strcspn(text, "=")};
	}
	fcgi->param_count = count;
	return true;
}

/* What was taken out of the socket goes to the library by a socket pair, one end of which is returned; -1: failed. */
static int feed_library(const struct collected *collected, unsigned int request_id)
{
	const uint8_t no_body[RECORD_HEADER_SIZE] = {RECORD_VERSION_1, RECORD_STDIN, (uint8_t)(request_id >> 8),
	                                             (uint8_t)request_id};
	const struct iovec all[] = {
		{.iov_base = collected->head, .iov_len = collected->head_size},
		{.iov_base = (void *)(uintptr_t)no_body, .iov_len = sizeof no_body},
	};
	int pair[2];
	ssize_t sent;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	sent = sendmsg(pair[1], &(const struct msghdr){.msg_iov = (struct iovec *)(uintptr_t)all, .msg_iovlen = 2},
	               MSG_DONTWAIT | MSG_NOSIGNAL);
	close(pair[1]);
	if (sent == (ssize_t)(collected->head_size + sizeof no_body))
		return pair[0];
	close(pair[0]);
	return -1;
}

int fcgi_accept(struct fcgi *fcgi)
{
	int from;

	/* With no listening socket the library can only parse; it must not accept on its own. */
	if (FCGX_InitRequest(&fcgi->request, -1, 0) != 0 ||
	    (fcgi_is_streamed(fcgi) && !inspection_take_head(&fcgi->inspection)))
		return -1;
	from = fcgi->inspection.collected != NULL
	               ? feed_library(fcgi->inspection.collected, fcgi->inspection.request_id)
	               : fcgi->fd;
	if (from < 0)
		return -1;
	fcgi->request.ipcFd = from;
	fcgi->request.keepConnection = 1;
	if (FCGX_Accept_r(&fcgi->request) != 0) {
		/* It has closed the descriptor: the destructor must not close it again. */
		if (from == fcgi->fd)
			fcgi->fd = -1;
		return -1;
	}
	if (from != fcgi->fd) {
		close(from);
		fcgi->request.ipcFd = fcgi->fd;
	}
	fcgi->is_accepted = true;
	return FCGX_GetError(fcgi->request.in) == 0 && list_params(fcgi) ? 0 : -1;
}

static bool is_param(const struct param *param, const char *name, size_t length)
{
	return param->name_length == length && param->text[length] == '=' && memcmp(param->text, name, length) == 0;
}

const char *fcgi_param(const struct fcgi *fcgi, const char *name)
{
	const char *value = NULL;
	size_t length = strlen(name);

	for (size_t i = 0; i < fcgi->param_count; i++) {
		if (is_param(&fcgi->params[i], name, length))
			value = fcgi->params[i].text + length + 1;
	}
	return value;
}

size_t fcgi_param_count(const struct fcgi *fcgi, const char *name)
{
	size_t length = strlen(name), count = 0;

	for (size_t i = 0; i < fcgi->param_count; i++)
		count += is_param(&fcgi->params[i], name, length) ? 1 : 0;
	return count;
}

bool fcgi_body_is_too_large(const struct fcgi *fcgi)
{
	return fcgi->inspection.is_too_large;
}

uint64_t fcgi_body_limit(const struct fcgi *fcgi)
{
	return fcgi->inspection.plan.max;
}

const void *fcgi_body(struct fcgi *fcgi, size_t *size)
{
	uint8_t *body;

	/* Also so that the library does not reach padding that header_defect() has accepted, as there is no body. */
	*size = fcgi->inspection.is_too_large || fcgi->inspection.role == FCGI_ROLE_AUTHORIZER
	                ? 0
	                : (size_t)fcgi->inspection.body_size;
	if (*size == 0)
		return "";
	if (fcgi->inspection.collected != NULL)
		return fcgi->inspection.collected->body;
	body = talloc_size(fcgi, *size);
	return body != NULL && FCGX_GetStr((char *)body, (int)*size, fcgi->request.in) == (int)*size ? body : NULL;
}

bool fcgi_is_streamed(const struct fcgi *fcgi)
{
	return fcgi->inspection.plan.is_streamed && !fcgi->inspection.is_too_large;
}

enum fcgi_progress fcgi_receive(struct fcgi *fcgi, body_sink *sink, void *context)
{
	return inspection_stream(&fcgi->inspection, sink, context);
}

int fcgi_answer(struct fcgi *fcgi, const void *answer, size_t size)
{
	int sent;

	/* The first that is written to a connection always fits. */
	if (size > SMALL_ANSWER_SIZE)
		set_timeout(fcgi->fd, SO_SNDTIMEO, fcgi->io_timeout_ms);
	sent = FCGX_PutStr(answer, (int)size, fcgi->request.out);

	/* fcgi_drained() comes before closing: the library would wait for the peer to close. */
	fcgi->request.keepConnection = 1;
	FCGX_Finish_r(&fcgi->request);
	fcgi->is_accepted = false;
	if (fcgi->request.ipcFd < 0) {
		fcgi->fd = -1;
		return -1;
	}
	return sent == (int)size ? 0 : -1;
}

void fcgi_stream(const struct fcgi *fcgi, struct answer_stream *stream)
{
	stream->fd = fcgi->fd;
	stream->request_id = fcgi->inspection.request_id;
	stream->at = stream->size = 0;
}

bool fcgi_drained(struct fcgi *fcgi)
{
	char data[16 * 1024];
	ssize_t received;

	bool has_read_all = inspection_has_ended(&fcgi->inspection) && !fcgi->inspection.is_too_large;

	if (fcgi->fd < 0 ||
	    (has_read_all && (fcgi->inspection.collected != NULL || fcgi->inspection.offset <= LIBRARY_READ_SIZE)))
		return true;
	if (fcgi->drained == 0)
		(void)shutdown(fcgi->fd, SHUT_WR);
	do {
		received = recv(fcgi->fd, data, sizeof data, MSG_DONTWAIT);
		if (received > 0)
			fcgi->drained += (size_t)received;
	} while (fcgi->drained < DRAIN_MAX && (received > 0 || (received < 0 && errno == EINTR)));
	if (received < 0 && errno == EAGAIN)
		return has_read_all;
	return true;
}

/* ---- Self-test ---------------------------------------------------------------------------------------------- */

static bool answers_self_test(struct fcgi *fcgi, int peer)
{
	static const uint8_t request[] = {
		1,   RECORD_BEGIN_REQUEST,
		0,   7,
		0,   8,
		0,   0,
		0,   RECORD_ROLE_RESPONDER,
		0,   0,
		0,   0,
		0,   0, /* request 7 */
		1,   RECORD_PARAMS,
		0,   7,
		0,   4,
		0,   0,
		1,   1,
		'A', 'b', /* A=b */
		1,   RECORD_PARAMS,
		0,   7,
		0,   0,
		0,   0,
		1,   RECORD_STDIN,
		0,   7,
		0,   0,
		0,   0, /* no more of either */
	};
	uint8_t answer[64];
	const char *value;

	if (send(peer, request, sizeof request, 0) != (ssize_t)sizeof request || fcgi_inspect(fcgi) != FCGI_READY ||
	    fcgi_accept(fcgi) != 0)
		return false;
	value = fcgi_param(fcgi, "A");
	return value != NULL && strcmp(value, "b") == 0 && fcgi_answer(fcgi, "\r\n", 2) == 0 && fcgi_drained(fcgi) &&
	       fcgi->fd >= 0 && recv(peer, answer, sizeof answer, MSG_DONTWAIT) > RECORD_HEADER_SIZE && answer[3] == 7;
}

const char *fcgi_init(void)
{
	const char *problem = NULL;
	struct fcgi *fcgi;
	int pair[2];

	/* Where the library closes after all, it must not wait for a peer that stays connected. */
	if (setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 1) != 0 || FCGX_Init() != 0)
		return "libfcgi cannot be initialised";
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return strerror(errno);
	fcgi = fcgi_open(NULL, pair[0], 1000, 0);
	if (fcgi == NULL) {
		close(pair[0]);
		problem = "out of memory";
	} else if (!answers_self_test(fcgi, pair[1])) {
		problem = "this libfcgi does not work the way that onesession needs: build against the one that is "
			  "installed";
	}
	talloc_free(fcgi);
	close(pair[1]);
	return problem;
}

/* FastCGI: inspecting a request, and the one file that calls libfcgi. */
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

/* Section 8 of the specification. The library's own header with these is not installed everywhere. */
enum { VERSION_1 = 1, HEADER_SIZE = 8, BEGIN_BODY_SIZE = 8 };
enum { BEGIN_REQUEST = 1, PARAMS = 4, STDIN = 5 };
enum { RESPONDER = 1, AUTHORIZER = 2 };

/* Parameters have to be within this much; those in very small records do not fit and are refused. */
#define SCRATCH_SIZE (FCGI_PARAMS_SIZE_MAX + 16 * 1024)
/* A collected body's buffer begins with this much and doubles. */
#define BODY_SIZE_MIN 4096
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

/* A body that did not arrive together with the parameters: taken out of the socket, piece by piece. */
struct collected {
	uint8_t *head; /* the records before it, for the library */
	size_t head_size;
	uint8_t header[HEADER_SIZE]; /* of the record under way */
	size_t header_size;
	size_t content_left, padding_left;
	uint8_t *body;
	size_t room;
};

struct fcgi {
	int fd;
	int64_t io_timeout_ms;
	size_t max_body;
	FCGX_Request request;
	bool is_accepted;
	enum fcgi_role_kind role;
	const char *defect;
	/* What fcgi_inspect() knows so far; records before `offset` have been inspected. */
	size_t offset;
	unsigned int request_id;
	bool has_begun, has_params, has_body;
	bool are_params_padded; /* behind the record that ends them */
	bool is_too_large;      /* the body, which is not read then */
	bool is_head_enough;    /* the body is not waited for */
	size_t params_size, body_size;
	struct collected *collected; /* NULL: all of the request is still in the socket */
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
	fcgi->max_body = max_body;
	talloc_set_destructor(fcgi, fcgi_destroy);
	return fcgi;
}

int fcgi_fd(const struct fcgi *fcgi)
{
	return fcgi->fd;
}

const char *fcgi_defect(const struct fcgi *fcgi)
{
	return fcgi->defect;
}

enum fcgi_role_kind fcgi_role(const struct fcgi *fcgi)
{
	return fcgi->role;
}

/* ---- Inspecting a request before the library gets it -------------------------------------------------------- */

struct record {
	unsigned int version, type, request_id;
	size_t content_size, padding_size;
	const uint8_t *content;
};

static struct record read_header(const uint8_t *at)
{
	return (struct record){
		.version = at[0],
		.type = at[1],
		.request_id = (unsigned int)at[2] << 8 | at[3],
		.content_size = (size_t)at[4] << 8 | at[5],
		.padding_size = at[6],
		.content = at + HEADER_SIZE,
	};
}

/* A length of a name or value: one byte, or four with the highest bit set. Returns its size, 0 if it is cut short. */
static size_t read_length(const uint8_t *at, size_t left, size_t *length)
{
	if (left >= 1 && at[0] < 0x80) {
		*length = at[0];
		return 1;
	}
	if (left < 4)
		return 0;
	*length = (size_t)(at[0] & 0x7f) << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
	return 4;
}

/* The pairs must be whole, and a name or value must be the same as a C string. */
static const char *params_defect(const uint8_t *params, size_t size)
{
	size_t at = 0;

	while (at < size) {
		size_t name_length, value_length, used;

		used = read_length(params + at, size - at, &name_length);
		if (used == 0)
			return "a parameter's length is cut short";
		at += used;
		used = read_length(params + at, size - at, &value_length);
		if (used == 0)
			return "a parameter's length is cut short";
		at += used;
		if (name_length > size - at || value_length > size - at - name_length)
			return "a parameter is cut short";
		if (name_length == 0 || memchr(params + at, '=', name_length) != NULL)
			return "a parameter's name is empty or holds '='";
		if (memchr(params + at, '\0', name_length + value_length) != NULL)
			return "a parameter holds a NUL";
		at += name_length + value_length;
	}
	return NULL;
}

static const char *begin_defect(struct fcgi *fcgi, const struct record *record)
{
	unsigned int role = (unsigned int)record->content[0] << 8 | record->content[1];

	if (role != RESPONDER && role != AUTHORIZER)
		return "the role is neither responder nor authorizer";
	fcgi->role = role == RESPONDER ? FCGI_ROLE_RESPONDER : FCGI_ROLE_AUTHORIZER;
	fcgi->request_id = record->request_id;
	fcgi->has_begun = true;
	return NULL;
}

/* One whole record that follows those seen; returns what is wrong with it. */
static const char *record_defect(struct fcgi *fcgi, const struct record *record)
{
	if (!fcgi->has_begun)
		return begin_defect(fcgi, record);
	if (record->type == PARAMS && !fcgi->has_params) {
		fcgi->params_size += record->content_size;
		fcgi->has_params = record->content_size == 0;
		fcgi->are_params_padded = fcgi->has_params && record->padding_size > 0;
		return fcgi->params_size > FCGI_PARAMS_SIZE_MAX ? "more than 64 KiB of parameters" : NULL;
	}
	if (record->type == STDIN && fcgi->has_params && !fcgi->has_body) {
		fcgi->body_size += record->content_size;
		fcgi->has_body = record->content_size == 0;
		fcgi->is_too_large = fcgi->is_too_large || fcgi->body_size > fcgi->max_body;
		return NULL;
	}
	return "a record that has no place there";
}

/* What is wrong with a record of which only the header may have arrived. */
static const char *header_defect(const struct fcgi *fcgi, const struct record *record)
{
	if (record->version != VERSION_1)
		return "not FastCGI version 1";
	if (!fcgi->has_begun &&
	    (record->type != BEGIN_REQUEST || record->request_id == 0 || record->content_size != BEGIN_BODY_SIZE))
		return "does not begin with a request";
	if (fcgi->has_begun && record->request_id != fcgi->request_id)
		return "a record of another request";
	/* The library does not skip these paddings: it would take them for records, which have not been inspected. */
	if (!fcgi->has_begun && record->padding_size > 0)
		return "padding behind the beginning, which libfcgi takes for a record";
	if (fcgi->are_params_padded && record->type == STDIN && record->content_size > 0)
		return "padding before a body, which libfcgi takes for a record";
	return NULL;
}

/* One request is inspected at a time, so all connections share the memory for that. */
static struct {
	uint8_t data[SCRATCH_SIZE];
	uint8_t params[FCGI_PARAMS_SIZE_MAX];
	size_t params_size;
	const struct fcgi *owner; /* of the parameters */
} scratch;

/* Gather the parameters of a head that is whole at `data`. */
static void gather_params(const struct fcgi *fcgi, const uint8_t *data)
{
	scratch.params_size = 0;
	scratch.owner = fcgi;
	for (;;) {
		struct record record = read_header(data);

		if (record.type == PARAMS) {
			if (record.content_size == 0)
				return;
			memcpy(scratch.params + scratch.params_size, record.content, record.content_size);
			scratch.params_size += record.content_size;
		}
		data += HEADER_SIZE + record.content_size + record.padding_size;
	}
}

static ssize_t receive(const struct fcgi *fcgi, void *data, size_t size, int flags)
{
	ssize_t received;

	do {
		received = recv(fcgi->fd, data, size, flags | MSG_DONTWAIT);
	} while (received < 0 && errno == EINTR);
	return received;
}

static enum fcgi_progress broken(struct fcgi *fcgi, const char *defect)
{
	fcgi->defect = defect;
	return FCGI_BROKEN;
}

/* What receive() returned when it was not data. */
static enum fcgi_progress progress_without_data(ssize_t received)
{
	return received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? FCGI_WAIT : FCGI_CLOSED;
}

/* The end of it is here; an authorizer may be sent none. */
static bool has_ended(const struct fcgi *fcgi)
{
	return fcgi->has_params && (fcgi->has_body || fcgi->role == FCGI_ROLE_AUTHORIZER);
}

/* Nothing that will be read of it is still to come. */
static bool is_whole(const struct fcgi *fcgi)
{
	return has_ended(fcgi) || (fcgi->has_params && (fcgi->is_too_large || fcgi->is_head_enough));
}

void fcgi_wait_for_head_only(struct fcgi *fcgi)
{
	fcgi->is_head_enough = true;
}

bool fcgi_peek_param(const struct fcgi *fcgi, const char *name, struct fcgi_text *value)
{
	size_t at = 0, wanted = strlen(name);
	bool found = false;

	assert(scratch.owner == fcgi);
	while (at < scratch.params_size) {
		size_t name_length = 0, value_length = 0;

		at += read_length(scratch.params + at, scratch.params_size - at, &name_length);
		at += read_length(scratch.params + at, scratch.params_size - at, &value_length);
		if (name_length == wanted && memcmp(scratch.params + at, name, wanted) == 0) {
			*value = (struct fcgi_text){.at = (const char *)scratch.params + at + name_length,
			                            .length = value_length};
			found = true;
		}
		at += name_length + value_length;
	}
	return found;
}

/* A body that is declared to be too large is not waited for. */
static bool declares_too_much(const struct fcgi *fcgi)
{
	struct fcgi_text length;
	size_t declared = 0;

	if (!fcgi_peek_param(fcgi, "CONTENT_LENGTH", &length) || length.length == 0)
		return false;
	for (size_t i = 0; i < length.length; i++) {
		if (length.at[i] < '0' || length.at[i] > '9')
			return false;
		if (declared <= fcgi->max_body)
			declared = 10 * declared + (size_t)(length.at[i] - '0');
	}
	return declared > fcgi->max_body;
}

/* Take records into account that are whole in data[size]; returns what is wrong with one. */
static const char *take_records(struct fcgi *fcgi, const uint8_t *data, size_t size)
{
	while (!has_ended(fcgi) && size - fcgi->offset >= HEADER_SIZE) {
		struct record record = read_header(data + fcgi->offset);
		size_t left = size - fcgi->offset - HEADER_SIZE;
		bool had_params = fcgi->has_params;
		const char *defect = header_defect(fcgi, &record);

		if (defect == NULL && left < record.content_size + record.padding_size)
			return NULL;
		if (defect == NULL)
			defect = record_defect(fcgi, &record);
		if (defect != NULL)
			return defect;
		fcgi->offset += HEADER_SIZE + record.content_size + record.padding_size;
		if (fcgi->has_params && !had_params) {
			gather_params(fcgi, data);
			defect = params_defect(scratch.params, scratch.params_size);
			if (defect != NULL)
				return defect;
		}
	}
	return NULL;
}

/* ---- A body that comes later -------------------------------------------------------------------------------- */

/* Where the records end that come before the body. */
static size_t head_size_of(const uint8_t *data)
{
	size_t size = 0;

	for (;;) {
		struct record record = read_header(data + size);

		size += HEADER_SIZE + record.content_size + record.padding_size;
		if (record.type == PARAMS && record.content_size == 0)
			return size;
	}
}

/* The head is whole in scratch.data, and some of the body may be: all that is still in the socket. */
static bool begin_to_collect(struct fcgi *fcgi)
{
	struct collected *collected = talloc_zero(fcgi, struct collected);
	size_t taken = 0;

	if (collected == NULL)
		return false;
	collected->head_size = head_size_of(scratch.data);
	collected->head = talloc_size(collected, collected->head_size);
	while (collected->head != NULL && taken < collected->head_size) {
		ssize_t received = receive(fcgi, collected->head + taken, collected->head_size - taken, 0);

		if (received <= 0)
			TALLOC_FREE(collected->head);
		else
			taken += (size_t)received;
	}
	if (collected->head == NULL) {
		talloc_free(collected);
		return false;
	}
	fcgi->collected = collected;
	fcgi->body_size = 0;
	return true;
}

static bool has_room(struct collected *collected, size_t size)
{
	size_t room = collected->room > 0 ? collected->room : BODY_SIZE_MIN;
	uint8_t *grown;

	if (size <= collected->room)
		return true;
	while (room < size)
		room *= 2;
	grown = talloc_realloc_size(collected, collected->body, room);
	if (grown == NULL)
		return false;
	collected->body = grown;
	collected->room = room;
	return true;
}

/* The header of a record of the body is whole; returns what is wrong with it. */
static const char *begin_record(struct fcgi *fcgi)
{
	struct collected *collected = fcgi->collected;
	struct record record = read_header(collected->header);
	const char *defect = header_defect(fcgi, &record);

	if (defect == NULL && record.type != STDIN)
		defect = "a record that has no place there";
	if (defect != NULL)
		return defect;
	collected->header_size = 0;
	collected->content_left = record.content_size;
	collected->padding_left = record.padding_size;
	fcgi->has_body = record.content_size == 0;
	fcgi->is_too_large = fcgi->body_size + record.content_size > fcgi->max_body;
	return fcgi->is_too_large || has_room(collected, fcgi->body_size + record.content_size)
	               ? NULL
	               : "out of memory for its body";
}

/* Take in some of data[size]; *used is how much. Returns what is wrong with it. */
static const char *collect_some(struct fcgi *fcgi, const uint8_t *data, size_t size, size_t *used)
{
	struct collected *collected = fcgi->collected;

	if (collected->content_left > 0) {
		*used = size < collected->content_left ? size : collected->content_left;
		memcpy(collected->body + fcgi->body_size, data, *used);
		fcgi->body_size += *used;
		collected->content_left -= *used;
	} else if (collected->padding_left > 0) {
		*used = size < collected->padding_left ? size : collected->padding_left;
		collected->padding_left -= *used;
	} else {
		*used = HEADER_SIZE - collected->header_size;
		if (*used > size)
			*used = size;
		memcpy(collected->header + collected->header_size, data, *used);
		collected->header_size += *used;
		if (collected->header_size == HEADER_SIZE)
			return begin_record(fcgi);
	}
	return NULL;
}

static enum fcgi_progress collect(struct fcgi *fcgi)
{
	while (!is_whole(fcgi)) {
		ssize_t received = receive(fcgi, scratch.data, sizeof scratch.data, 0);
		size_t size = received > 0 ? (size_t)received : 0;
		size_t used;

		if (received <= 0)
			return progress_without_data(received);
		for (size_t at = 0; at < size && !is_whole(fcgi); at += used) {
			const char *defect = collect_some(fcgi, scratch.data + at, size - at, &used);

			if (defect != NULL)
				return broken(fcgi, defect);
		}
	}
	gather_params(fcgi, fcgi->collected->head);
	return FCGI_READY;
}

size_t fcgi_held(const struct fcgi *fcgi)
{
	return fcgi->collected != NULL ? fcgi->collected->head_size + fcgi->collected->room : 0;
}

enum fcgi_progress fcgi_inspect(struct fcgi *fcgi)
{
	const char *defect;
	ssize_t received;

	if (fcgi->collected != NULL)
		return collect(fcgi);
	scratch.owner = NULL;
	received = receive(fcgi, scratch.data, sizeof scratch.data, MSG_PEEK);
	if (received <= 0)
		return progress_without_data(received);
	defect = take_records(fcgi, scratch.data, (size_t)received);
	if (defect != NULL)
		return broken(fcgi, defect);
	if (!fcgi->has_params)
		return (size_t)received == sizeof scratch.data ? broken(fcgi, "too many small records") : FCGI_WAIT;
	if (scratch.owner != fcgi)
		gather_params(fcgi, scratch.data);
	fcgi->is_too_large = fcgi->is_too_large || (!fcgi->has_body && declares_too_much(fcgi));
	if (is_whole(fcgi))
		return FCGI_READY;
	/* Some web servers send the end of an empty body by itself: what is whole by then need not be copied. */
	if (fcgi->body_size == 0 && (size_t)received - fcgi->offset < HEADER_SIZE)
		return FCGI_WAIT;
	return begin_to_collect(fcgi) ? collect(fcgi) : broken(fcgi, "out of memory for its body");
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
	const uint8_t no_body[HEADER_SIZE] = {VERSION_1, STDIN, (uint8_t)(request_id >> 8), (uint8_t)request_id};
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
	if (FCGX_InitRequest(&fcgi->request, -1, 0) != 0)
		return -1;
	from = fcgi->collected != NULL ? feed_library(fcgi->collected, fcgi->request_id) : fcgi->fd;
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

const char *fcgi_param(const struct fcgi *fcgi, const char *name)
{
	const char *value = NULL;
	size_t length = strlen(name);

	for (size_t i = 0; i < fcgi->param_count; i++) {
		const struct param *param = &fcgi->params[i];

		if (param->name_length == length && param->text[length] == '=' &&
		    memcmp(param->text, name, length) == 0)
			value = param->text + length + 1;
	}
	return value;
}

bool fcgi_body_is_too_large(const struct fcgi *fcgi)
{
	return fcgi->is_too_large;
}

const void *fcgi_body(struct fcgi *fcgi, size_t *size)
{
	uint8_t *body;

	/* Also so that the library does not reach padding that header_defect() has accepted, as there is no body. */
	*size = fcgi->is_too_large || fcgi->role == FCGI_ROLE_AUTHORIZER ? 0 : fcgi->body_size;
	if (*size == 0)
		return "";
	if (fcgi->collected != NULL)
		return fcgi->collected->body;
	body = talloc_size(fcgi, *size);
	return body != NULL && FCGX_GetStr((char *)body, (int)*size, fcgi->request.in) == (int)*size ? body : NULL;
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

bool fcgi_drained(struct fcgi *fcgi)
{
	char data[16 * 1024];
	ssize_t received;

	bool has_read_all = has_ended(fcgi) && !fcgi->is_too_large;

	if (fcgi->fd < 0 || (has_read_all && (fcgi->collected != NULL || fcgi->offset <= LIBRARY_READ_SIZE)))
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
		1, BEGIN_REQUEST, 0, 7, 0, 8, 0, 0, 0, RESPONDER, 0,   0,   0, 0, 0, 0, /* request 7 */
		1, PARAMS,        0, 7, 0, 4, 0, 0, 1, 1,         'A', 'b',             /* A=b */
		1, PARAMS,        0, 7, 0, 0, 0, 0, 1, STDIN,     0,   7,   0, 0, 0, 0, /* no more of either */
	};
	uint8_t answer[64];
	const char *value;

	if (send(peer, request, sizeof request, 0) != (ssize_t)sizeof request || fcgi_inspect(fcgi) != FCGI_READY ||
	    fcgi_accept(fcgi) != 0)
		return false;
	value = fcgi_param(fcgi, "A");
	return value != NULL && strcmp(value, "b") == 0 && fcgi_answer(fcgi, "\r\n", 2) == 0 && fcgi_drained(fcgi) &&
	       fcgi->fd >= 0 && recv(peer, answer, sizeof answer, MSG_DONTWAIT) > HEADER_SIZE && answer[3] == 7;
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

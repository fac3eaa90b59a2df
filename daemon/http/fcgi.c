#include "http/fcgi.h"

#include <assert.h>
#include <errno.h>
#include <fcgiapp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Section 8 of the specification. The library's own header with these is not installed everywhere. */
enum { VERSION_1 = 1, HEADER_SIZE = 8, BEGIN_BODY_SIZE = 8 };
enum { BEGIN_REQUEST = 1, PARAMS = 4, STDIN = 5 };
enum { RESPONDER = 1, AUTHORIZER = 2 };

/* How much of a body is waited for before the request is taken in: what every socket's buffer holds with ease. */
#define BODY_AHEAD (32 * 1024)
/* Records are looked for only in this much; what is sent in ever so small pieces does not fit and is refused. */
#define LOOK_SIZE (FCGI_PARAMS_SIZE_MAX + BODY_AHEAD + 16 * 1024)
/* The library reads this much at a time, so a request no larger has left nothing in the socket. */
#define LIBRARY_READ_SIZE 8192
/* More than this of an unwanted body is not worth reading for the sake of a clean end. */
#define DRAIN_MAX (16 * 1024 * 1024)
/* What fits into the emptiest of buffers, those of a connection that nothing was written to: nothing waits for it. */
#define SMALL_ANSWER_SIZE 4096

/* What we set ourselves is marked private in fcgiapp.h. It has not moved from 2.4.0 to 2.4.7. */
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
	FCGX_Request request;
	bool is_accepted;
	enum fcgi_role_kind role;
	const char *defect;
	/* What fcgi_inspect() knows so far; records before `offset` have been looked at. */
	size_t offset;
	unsigned int request_id;
	bool has_begun, has_params, has_body;
	bool are_params_padded; /* behind the record that ends them */
	size_t params_size, body_size;
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

struct fcgi *fcgi_open(TALLOC_CTX *ctx, int fd, int64_t io_timeout_ms)
{
	struct fcgi *fcgi = talloc_zero(ctx, struct fcgi);

	if (fcgi == NULL)
		return NULL;
	fcgi->fd = fd;
	fcgi->io_timeout_ms = io_timeout_ms;
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

/* ---- Looking a request through before the library gets it --------------------------------------------------- */

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

/* The pairs must be whole, and a name or value must mean the same to us as a C string. */
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
	/* The library does not skip these paddings: it would take them for records, which nobody has looked through. */
	if (!fcgi->has_begun && record->padding_size > 0)
		return "padding behind the beginning, which libfcgi takes for a record";
	if (fcgi->are_params_padded && record->type == STDIN && record->content_size > 0)
		return "padding before a body, which libfcgi takes for a record";
	return NULL;
}

/* One request is looked at at a time, so all connections share the place where it is looked at. */
static struct {
	uint8_t data[LOOK_SIZE];
	uint8_t params[FCGI_PARAMS_SIZE_MAX];
} look;

/* Gather the parameters of a head that is whole in look.data. Returns their size. */
static size_t gather_params(void)
{
	const uint8_t *data = look.data;
	size_t size = 0;

	for (;;) {
		struct record record = read_header(data);

		if (record.type == PARAMS) {
			if (record.content_size == 0)
				return size;
			memcpy(look.params + size, record.content, record.content_size);
			size += record.content_size;
		}
		data += HEADER_SIZE + record.content_size + record.padding_size;
	}
}

static ssize_t peek(const struct fcgi *fcgi)
{
	ssize_t received;

	do {
		received = recv(fcgi->fd, look.data, sizeof look.data, MSG_PEEK | MSG_DONTWAIT);
	} while (received < 0 && errno == EINTR);
	return received;
}

static enum fcgi_progress broken(struct fcgi *fcgi, const char *defect)
{
	fcgi->defect = defect;
	return FCGI_BROKEN;
}

bool fcgi_is_whole(const struct fcgi *fcgi)
{
	return fcgi->has_params && (fcgi->has_body || fcgi->role == FCGI_ROLE_AUTHORIZER);
}

enum fcgi_progress fcgi_inspect(struct fcgi *fcgi)
{
	bool had_params = fcgi->has_params;
	ssize_t received = peek(fcgi);
	size_t size;

	if (received < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? FCGI_WAIT : FCGI_CLOSED;
	if (received == 0)
		return FCGI_CLOSED;
	size = (size_t)received;
	while (!fcgi_is_whole(fcgi) && size - fcgi->offset >= HEADER_SIZE) {
		struct record record = read_header(look.data + fcgi->offset);
		size_t left = size - fcgi->offset - HEADER_SIZE;
		const char *defect = header_defect(fcgi, &record);

		if (defect == NULL && left >= record.content_size + record.padding_size) {
			defect = record_defect(fcgi, &record);
			fcgi->offset += HEADER_SIZE + record.content_size + record.padding_size;
		} else if (defect == NULL) {
			break;
		}
		if (defect != NULL)
			return broken(fcgi, defect);
	}
	if (fcgi->has_params && !had_params) {
		const char *defect = params_defect(look.params, gather_params());

		if (defect != NULL)
			return broken(fcgi, defect);
	}
	if (fcgi_is_whole(fcgi) || (fcgi->has_params && size - fcgi->offset + fcgi->body_size >= BODY_AHEAD))
		return FCGI_READY;
	return size == sizeof look.data ? broken(fcgi, "too many small records") : FCGI_WAIT;
}

/* The last pair of that name, as fcgi_param() finds it, appended to path[size]. False when it does not fit. */
static bool append_param(size_t params_size, const char *name, char *path, size_t size)
{
	const uint8_t *value = NULL;
	size_t at = 0, length = 0, used = strlen(path);

	while (at < params_size) {
		size_t name_length = 0, value_length = 0;

		at += read_length(look.params + at, params_size - at, &name_length);
		at += read_length(look.params + at, params_size - at, &value_length);
		if (name_length == strlen(name) && memcmp(look.params + at, name, name_length) == 0) {
			value = look.params + at + name_length;
			length = value_length;
		}
		at += name_length + value_length;
	}
	if (value == NULL)
		return true;
	if (length >= size - used)
		return false;
	memcpy(path + used, value, length);
	path[used + length] = '\0';
	return true;
}

bool fcgi_peek_path(struct fcgi *fcgi, char *path, size_t size)
{
	size_t params_size;

	path[0] = '\0';
	/* What has been looked at is still there: nobody else reads from the connection. */
	if (peek(fcgi) < (ssize_t)(HEADER_SIZE + BEGIN_BODY_SIZE))
		return false;
	params_size = gather_params();
	return append_param(params_size, "SCRIPT_NAME", path, size) &&
	       append_param(params_size, "PATH_INFO", path, size);
}

/* ---- The library -------------------------------------------------------------------------------------------- */

/* A request's parameters are asked for many times. False when out of memory. */
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

int fcgi_accept(struct fcgi *fcgi)
{
	if (!fcgi_is_whole(fcgi))
		set_timeout(fcgi->fd, SO_RCVTIMEO, fcgi->io_timeout_ms);
	/* With no listening socket the library can only parse; it must not accept on its own. */
	if (FCGX_InitRequest(&fcgi->request, -1, 0) != 0)
		return -1;
	fcgi->request.ipcFd = fcgi->fd;
	fcgi->request.keepConnection = 1;
	if (FCGX_Accept_r(&fcgi->request) != 0) {
		/* It has closed the descriptor: let the destructor close one of its own. */
		fcgi->fd = -1;
		return -1;
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

size_t fcgi_read(struct fcgi *fcgi, void *buffer, size_t size)
{
	int got;

	/* Also lest the library comes to what header_defect() has let stand because there is no body. */
	if (fcgi->has_body && fcgi->body_size == 0)
		return 0;
	got = FCGX_GetStr(buffer, (int)size, fcgi->request.in);
	return got > 0 ? (size_t)got : 0;
}

int fcgi_answer(struct fcgi *fcgi, const void *answer, size_t size)
{
	int sent;

	/* The first that is written to a connection always fits. */
	if (size > SMALL_ANSWER_SIZE)
		set_timeout(fcgi->fd, SO_SNDTIMEO, fcgi->io_timeout_ms);
	sent = FCGX_PutStr(answer, (int)size, fcgi->request.out);

	/* We close, see fcgi_drained(): the library would wait for the peer to do so. */
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

	if (fcgi->fd < 0 || (fcgi_is_whole(fcgi) && fcgi->offset <= LIBRARY_READ_SIZE))
		return true;
	if (fcgi->drained == 0)
		(void)shutdown(fcgi->fd, SHUT_WR);
	do {
		received = recv(fcgi->fd, data, sizeof data, MSG_DONTWAIT);
		if (received > 0)
			fcgi->drained += (size_t)received;
	} while (fcgi->drained < DRAIN_MAX && (received > 0 || (received < 0 && errno == EINTR)));
	if (received < 0 && errno == EAGAIN)
		return fcgi_is_whole(fcgi);
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

	/* Where the library closes after all, it must not wait for a peer that stays. */
	if (setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 1) != 0 || FCGX_Init() != 0)
		return "libfcgi cannot be initialised";
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return strerror(errno);
	fcgi = fcgi_open(NULL, pair[0], 1000);
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

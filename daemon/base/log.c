/* The log: one line for each event. */
#include "base/log.h"

#include "base/clock.h"
#include "base/rfc3339.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

/* A longer field is cut, so that one field cannot push the others off the line. */
#define FIELD_MAX 1024

static struct {
	int fd;
	bool to_syslog;
	char path[PATH_MAX]; /* of the file; "" when it is none */
	enum log_level level;
	enum log_format format;
	const char *request_id;
	const char *module;
	const char *job;
} state = {.fd = STDERR_FILENO, .level = LOG_LEVEL_INFO};

static const char *const level_names[] = {"debug", "info", "warning", "error"};

/* A line in the making. What does not fit is left out whole, so that the line stays well-formed. */
struct line {
	char text[LOG_LINE_MAX];
	size_t used;
};

/* Room that is kept for what closes a line: '}' and the line's end. */
#define CLOSING_SIZE 2

static int open_file(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
}

int log_open(const char *ident, const char *target, enum log_level level, enum log_format format)
{
	int fd = STDERR_FILENO;
	bool to_syslog = strcmp(target, "syslog") == 0;
	bool to_file = !to_syslog && strcmp(target, "stderr") != 0;

	if (to_file && strlen(target) >= sizeof state.path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (to_file) {
		fd = open_file(target);
		if (fd < 0)
			return -1;
	}
	log_close();
	(void)snprintf(state.path, sizeof state.path, "%s", to_file ? target : "");
	if (to_syslog)
		openlog(ident, LOG_PID, LOG_DAEMON);
	state.fd = fd;
	state.to_syslog = to_syslog;
	state.level = level;
	state.format = format;
	return 0;
}

int log_reopen(void)
{
	int fd;

	if (state.path[0] == '\0')
		return 0;
	fd = open_file(state.path);
	if (fd < 0)
		return -1;
	close(state.fd);
	state.fd = fd;
	return 0;
}

void log_close(void)
{
	if (state.fd != STDERR_FILENO)
		close(state.fd);
	if (state.to_syslog)
		closelog();
	state.fd = STDERR_FILENO;
	state.path[0] = '\0';
	state.to_syslog = false;
}

bool log_enabled(enum log_level level)
{
	return level >= state.level;
}

void log_set_request(const char *request_id)
{
	state.request_id = request_id;
}

void log_set_module(const char *module)
{
	state.module = module;
}

void log_set_job(const char *job)
{
	state.job = job;
}

static void put(struct line *line, const char *text, size_t size)
{
	if (line->used + size + CLOSING_SIZE > sizeof line->text)
		return;
	memcpy(line->text + line->used, text, size);
	line->used += size;
}

/* One character of a quoted text, as both JSON strings and logfmt values escape it. Returns what it used up. */
static size_t put_escaped(struct line *line, const char *at)
{
	uint32_t character;
	size_t sequence = utf8_character(at, &character);
	char escaped[8];
	int length;

	if (*at == '"' || *at == '\\') {
		length = snprintf(escaped, sizeof escaped, "\\%c", *at);
	} else if (*at == '\n') {
		length = snprintf(escaped, sizeof escaped, "\\n");
	} else if (sequence == 0) {
		/* A byte that is not UTF-8 is shown as the character of its number. */
		length = snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned int)(unsigned char)*at);
	} else if (utf8_is_control(character)) {
		length = snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned int)character);
	} else {
		put(line, at, sequence);
		return sequence;
	}
	put(line, escaped, (size_t)length);
	return sequence > 0 ? sequence : 1;
}

static bool needs_quotes(const char *text)
{
	if (*text == '\0')
		return true;
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f || strchr("\"\\=", *text) != NULL)
			return true;
	}
	return false;
}

static void put_text(struct line *line, const char *text, bool quoted)
{
	size_t start = line->used;

	if (quoted)
		put(line, "\"", 1);
	while (*text != '\0' && line->used - start < FIELD_MAX)
		text += put_escaped(line, text);
	if (*text != '\0')
		put(line, "...", 3);
	if (quoted)
		put(line, "\"", 1);
}

static void put_field(struct line *line, struct log_field field)
{
	struct line one = {.used = 0};
	char number[24];

	if (state.format == LOG_FORMAT_JSON) {
		put(&one, line->used > 1 ? ",\"" : "\"", line->used > 1 ? 2 : 1);
		put(&one, field.name, strlen(field.name));
		put(&one, "\":", 2);
	} else {
		put(&one, " ", 1);
		put(&one, field.name, strlen(field.name));
		put(&one, "=", 1);
	}
	if (field.text != NULL) {
		put_text(&one, field.text, state.format == LOG_FORMAT_JSON || needs_quotes(field.text));
	} else {
		int length = snprintf(number, sizeof number, "%" PRId64, field.number);

		put(&one, number, (size_t)length);
	}
	put(line, one.text, one.used);
}

static void begin_text(struct line *line, enum log_level level, const char *event)
{
	char head[160];
	char now[RFC3339_SIZE] = "";
	int length;

	/* syslog adds the time, the level and the process itself. */
	if (state.to_syslog) {
		put(line, event, strlen(event));
		return;
	}
	(void)rfc3339_write(clock_wall_us(), 3, now);
	length = snprintf(head, sizeof head, "%s %s [%ld] %.80s", now, level_names[level], (long)getpid(), event);
	put(line, head, (size_t)length);
}

static void begin_json(struct line *line, enum log_level level, const char *event)
{
	char now[RFC3339_SIZE] = "";

	put(line, "{", 1);
	if (!state.to_syslog) {
		(void)rfc3339_write(clock_wall_us(), 3, now);
		put_field(line, LOG_STR("time", now));
	}
	put_field(line, LOG_STR("level", level_names[level]));
	put_field(line, LOG_INT("pid", getpid()));
	put_field(line, LOG_STR("event", event));
}

static void write_line(struct line *line, enum log_level level)
{
	static const int priorities[] = {LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERR};
	struct pollfd poll_fd = {.fd = state.fd, .events = POLLOUT};

	if (state.to_syslog) {
		line->text[line->used] = '\0';
		syslog(priorities[level], "%s", line->text);
		return;
	}
	line->text[line->used++] = '\n';
	/*
	 * Serving goes before logging: a pipe that is not read must not make a process wait. One that can be written to
	 * has room.
	 */
	if (poll(&poll_fd, 1, 0) == 0)
		return;
	/* One write a line: lines of several processes do not mix. A failure of the log itself cannot be logged. */
	if (write(state.fd, line->text, line->used) < 0)
		return;
}

void log_fields(enum log_level level, const char *event, const struct log_field fields[], size_t count)
{
	int saved_errno = errno;
	struct line line;

	if (!log_enabled(level))
		return;
	line.used = 0;
	if (state.format == LOG_FORMAT_JSON)
		begin_json(&line, level, event);
	else
		begin_text(&line, level, event);
	if (state.request_id != NULL)
		put_field(&line, LOG_STR("request_id", state.request_id));
	if (state.module != NULL)
		put_field(&line, LOG_STR("module", state.module));
	if (state.job != NULL)
		put_field(&line, LOG_STR("job", state.job));
	for (size_t i = 0; i < count; i++)
		put_field(&line, fields[i]);
	if (state.format == LOG_FORMAT_JSON)
		line.text[line.used++] = '}';
	write_line(&line, level);
	errno = saved_errno;
}

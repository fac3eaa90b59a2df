/*
 * One line for each event, as text (logfmt) or JSON, to standard error, syslog or a file.
 * Tokens and passwords never come here; sessions are named by their public id.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* A field of a line. Make them with LOG_STR and LOG_INT. */
struct log_field {
	const char *name;
	const char *text; /* NULL: the field is the number */
	int64_t number;
};

#define LOG_STR(field_name, value) log_text_field((field_name), (value))
#define LOG_INT(field_name, value) ((struct log_field){.name = (field_name), .number = (value)})

/* NULL is the empty text. */
static inline struct log_field log_text_field(const char *name, const char *text)
{
	return (struct log_field){.name = name, .text = text != NULL ? text : ""};
}

/*
 * Where lines go from now on: "stderr", "syslog" or "/path" (created with mode 0640, appended to).
 * Until the first call: standard error, info, text. Returns 0, or -1 with errno when the file cannot be opened
 * (the former target then stays). `ident` names the program; it is kept, not copied.
 */
int log_open(const char *ident, const char *target, enum log_level level, enum log_format format);

/*
 * Reopen the target, after the file has been renamed by a log rotation. Returns 0, or -1 with errno: lines then go on
 * to where they went.
 */
int log_reopen(void);

/* Close the target, for tests and at exit. */
void log_close(void);

/* True when a line of this level would be written: for callers whose fields cost work. */
bool log_enabled(enum log_level level);

/*
 * Write one line: the time, the level, the process id, the request id, module and job when they are set, `event`
 * (a_name) and the fields. Control characters and invalid UTF-8 are escaped; a line is cut at LOG_LINE_MAX bytes. errno
 * is kept.
 */
void log_fields(enum log_level level, const char *event, const struct log_field fields[], size_t count);

/* The request that lines written from now on belong to; NULL ends it. Kept, not copied. */
void log_set_request(const char *request_id);

/* The module whose code writes lines from now on; NULL ends it. Kept, not copied. */
void log_set_module(const char *module);

/* Likewise the job that they belong to. */
void log_set_job(const char *job);

#define LOG_LINE_MAX 4096

#define LOG_AT(level, event, ...)                                                                                      \
	do {                                                                                                           \
		const struct log_field log_fields_[] = {__VA_ARGS__};                                                  \
		log_fields((level), (event), log_fields_, sizeof log_fields_ / sizeof log_fields_[0]);                 \
	} while (0)

/* Each takes the event's name and at least one LOG_STR or LOG_INT. */
#define log_debug(event, ...)   LOG_AT(LOG_LEVEL_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)    LOG_AT(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warning(event, ...) LOG_AT(LOG_LEVEL_WARNING, event, __VA_ARGS__)
#define log_error(event, ...)   LOG_AT(LOG_LEVEL_ERROR, event, __VA_ARGS__)

#endif

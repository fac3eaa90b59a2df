/* Lines in the log that an application writes. */
#include "api/app.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_MAX 1024

/* What cannot be an event's name could not be told from other fields. */
static const char *event_name(const char *what)
{
	size_t length = strspn(what, "abcdefghijklmnopqrstuvwxyz0123456789_");

	return length > 0 && what[length] == '\0' ? what : "application";
}

__attribute__((format(printf, 2, 0))) static void print_message(char message[MESSAGE_MAX + 1], const char *format,
                                                                va_list arguments)
{
	if (vsnprintf(message, MESSAGE_MAX + 1, format, arguments) < 0)
		message[0] = '\0';
}

/* Request and module are known to base/log.c: see log_set_request() and module_enter(). */
void ones_log(const char *what, const char *format, ...)
{
	char message[MESSAGE_MAX + 1];
	va_list arguments;

	va_start(arguments, format);
	print_message(message, format, arguments);
	va_end(arguments);
	log_info(event_name(what), LOG_STR("message", message));
}

void ones_log_problem(const struct ones_app *app, const char *what, const char *format, ...)
{
	char message[MESSAGE_MAX + 1];
	va_list arguments;

	va_start(arguments, format);
	print_message(message, format, arguments);
	va_end(arguments);
	if (app->board == NULL || seldom_is_due(&app->board->problems, message, clock_monotonic_ms()))
		log_error(event_name(what), LOG_STR("message", message));
}

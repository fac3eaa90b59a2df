/* What commands say, to people and to programs; what is in names is cleaned first. */
#include "ctl/output.h"

#include "ctl/text.h"
#include "session/schema.h"
#include "session/useragent.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "onesessionctl"

__attribute__((format(printf, 3, 0))) static void print_clean(FILE *out, const char *prefix, const char *format,
                                                              va_list arguments)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	char *text = talloc_vasprintf(scratch, format, arguments);
	char *clean = text != NULL ? text_clean(scratch, text) : NULL;

	(void)fprintf(out, "%s%s\n", prefix, clean != NULL ? clean : "out of memory");
	talloc_free(scratch);
}

int fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_clean(stderr, PROGRAM ": ", format, arguments);
	va_end(arguments);
	return EXIT_FAILURE;
}

int output_line(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_clean(stdout, "", format, arguments);
	va_end(arguments);
	return EXIT_SUCCESS;
}

int fail_database(const struct ctl *ctl, enum db_status status)
{
	const char *problem;
	bool is_forbidden;

	if (status == DB_DUPLICATE)
		schema_explain_duplicate(ctl->db);
	problem = db_problem(ctl->db);
	/* insufficient_privilege */
	is_forbidden = strstr(problem, "SQLSTATE 42501") != NULL;
	switch (status) {
	case DB_UNKNOWN:
		return fail("the connection to the database was lost during COMMIT: check whether the change was made");
	case DB_CONFLICT: return fail("other transactions kept changing the same account: try again");
	default:
		return fail("database: %s%s", problem[0] != '\0' ? problem : "it failed without an error message",
		            is_forbidden ? "; the tables' owner may do this" : "");
	}
}

/* ASCII only: what is in a name then cannot reach a terminal raw. */
static int dump(json_t *value, size_t flags)
{
	int result = EXIT_SUCCESS;

	if (value == NULL || json_dumpf(value, stdout, flags | JSON_ENSURE_ASCII | JSON_ENCODE_ANY) != 0)
		result = fail("cannot write JSON: out of memory, or standard output is closed");
	json_decref(value);
	return result;
}

int output_json(json_t *value)
{
	int result = dump(value, JSON_INDENT(2));

	if (result == EXIT_SUCCESS)
		(void)putchar('\n');
	return result;
}

int output_json_array(size_t count, json_t *(*item)(const void *rows, size_t at), const void *rows)
{
	(void)putchar('[');
	for (size_t i = 0; i < count; i++) {
		(void)fputs(i == 0 ? "\n  " : ",\n  ", stdout);
		if (dump(item(rows, i), 0) != EXIT_SUCCESS)
			return EXIT_FAILURE;
	}
	(void)fputs(count > 0 ? "\n]\n" : "]\n", stdout);
	return EXIT_SUCCESS;
}

int output_json_line(json_t *value)
{
	if (dump(value, JSON_COMPACT) != EXIT_SUCCESS)
		return EXIT_FAILURE;
	(void)putchar('\n');
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

json_t *output_time(int64_t us)
{
	char *text = text_time_utc(NULL, us);
	json_t *value = text != NULL ? json_string(text) : json_null();

	talloc_free(text);
	return value;
}

const char *output_count(TALLOC_CTX *ctx, int64_t number, const char *noun)
{
	const char *text = talloc_asprintf(ctx, "%lld %s%s", (long long)number, noun, number == 1 ? "" : "s");

	return text != NULL ? text : "?";
}

const char *output_place(TALLOC_CTX *ctx, const char *ip, const char *browser, const char *os)
{
	bool has_both = browser[0] != '\0' && os[0] != '\0';
	bool has_device = browser[0] != '\0' || os[0] != '\0';

	return talloc_asprintf(ctx, "%s%s%s%s%s", ip, ip[0] != '\0' && has_device ? ", " : "", browser,
	                       has_both ? " on " : "", os);
}

const char *output_device(TALLOC_CTX *ctx, const char *user_agent)
{
	return output_place(ctx, "", useragent_browser(user_agent), useragent_os(user_agent));
}

json_t *output_names(const char *const names[], size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++) {
		if (json_array_append_new(array, json_string(names[i])) != 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

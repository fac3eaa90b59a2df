#include "base/log.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <jansson.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TIME "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"

static char folder[] = "/tmp/onesession-log-XXXXXX";
static char path[64];
static char other_path[64];
static char content[1 << 16];

/* ---- syslog, as the library's caller sees it ---------------------------------------------------------------- */

static struct {
	int priority;
	int count;
	char text[LOG_LINE_MAX];
} syslogged;

__attribute__((format(printf, 2, 0))) static void note_syslog(int priority, const char *format, va_list arguments)
{
	syslogged.priority = priority;
	syslogged.count++;
	(void)vsnprintf(syslogged.text, sizeof syslogged.text, format, arguments);
}

void syslog(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
void __syslog_chk(int priority, int flag, const char *format, ...) __attribute__((format(printf, 3, 4)));

void syslog(int priority, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	note_syslog(priority, format, arguments);
	va_end(arguments);
}

/* The name of the function under _FORTIFY_SOURCE. */
void __syslog_chk(int priority, int flag, const char *format, ...)
{
	va_list arguments;

	(void)flag;
	va_start(arguments, format);
	note_syslog(priority, format, arguments);
	va_end(arguments);
}

/* ---- Helpers ------------------------------------------------------------------------------------------------ */

static const char *read_back(const char *from)
{
	FILE *file = fopen(from, "re");
	size_t length;

	assert_non_null(file);
	length = fread(content, 1, sizeof content - 1, file);
	(void)fclose(file);
	content[length] = '\0';
	return content;
}

static void open_log(enum log_level level, enum log_format format)
{
	(void)unlink(path);
	assert_int_equal(log_open("test", path, level, format), 0);
}

/* The only line, without its end. */
static const char *only_line(void)
{
	size_t length = strcspn(read_back(path), "\n");

	assert_string_equal(content + length, "\n");
	content[length] = '\0';
	return content;
}

static void assert_matches(const char *text, const char *pattern)
{
	regex_t regex;

	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&regex, text, 0, NULL, 0) != 0)
		fail_msg("%s does not match %s", text, pattern);
	regfree(&regex);
}

/* The text after "event " when a text field `f` of this value is logged. */
static const char *text_field(const char *value)
{
	const char *found;

	open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_info("event", LOG_STR("f", value));
	found = strstr(only_line(), "] event f=");
	assert_non_null(found);
	return found + strlen("] event f=");
}

static json_t *json_line(void)
{
	json_error_t error;
	json_t *object = json_loads(only_line(), JSON_REJECT_DUPLICATES, &error);

	if (object == NULL)
		fail_msg("%s: %s", error.text, content);
	return object;
}

static const char *json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	assert_non_null(text);
	return text;
}

static int set_up(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(path, sizeof path, "%s/log", folder);
	(void)snprintf(other_path, sizeof other_path, "%s/other", folder);
	return 0;
}

static int end_test(void **state)
{
	(void)state;
	log_set_request(NULL);
	log_close();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(path);
	(void)unlink(other_path);
	return rmdir(folder);
}

/* ---- Tests -------------------------------------------------------------------------------------------------- */

static void text_line_has_time_level_process_event_and_fields(void **state)
{
	char pattern[200];

	(void)state;
	open_log(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
	log_set_request("r-17");
	log_warning("session_displaced", LOG_STR("user", "alice"), LOG_INT("count", -3),
	            LOG_STR("agent", "Firefox 130"));
	(void)snprintf(
		pattern, sizeof pattern,
		"^" TIME
		" warning \\[%ld\\] session_displaced request_id=r-17 user=alice count=-3 agent=\"Firefox 130\"$",
		(long)getpid());
	assert_matches(only_line(), pattern);
}

static void json_line_is_one_object(void **state)
{
	json_t *object;

	(void)state;
	open_log(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
	log_set_request("r-17");
	log_error("database_lost", LOG_STR("sqlstate", "57P01"), LOG_INT("least", INT64_MIN),
	          LOG_INT("most", INT64_MAX), LOG_STR("nothing", NULL));
	assert_matches(read_back(path), "^\\{\"time\":\"" TIME "\",\"level\":\"error\",\"pid\":[0-9]+,\"event\":");
	object = json_line();
	assert_int_equal(json_object_size(object), 9);
	assert_int_equal(json_integer_value(json_object_get(object, "pid")), getpid());
	assert_string_equal(json_text(object, "event"), "database_lost");
	assert_string_equal(json_text(object, "request_id"), "r-17");
	assert_string_equal(json_text(object, "sqlstate"), "57P01");
	assert_string_equal(json_text(object, "nothing"), "");
	assert_true(json_integer_value(json_object_get(object, "least")) == INT64_MIN);
	assert_true(json_integer_value(json_object_get(object, "most")) == INT64_MAX);
	json_decref(object);
}

static void request_is_named_only_while_it_is_set(void **state)
{
	json_t *object;

	(void)state;
	log_set_request("r-17");
	log_set_request(NULL);
	open_log(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_info("event", LOG_INT("n", 1));
	object = json_line();
	assert_null(json_object_get(object, "request_id"));
	json_decref(object);
}

static void text_is_quoted_when_a_reader_would_stumble(void **state)
{
	(void)state;
	assert_string_equal(text_field("plain-value_1./:@"), "plain-value_1./:@");
	assert_string_equal(text_field(""), "\"\"");
	assert_string_equal(text_field("two words"), "\"two words\"");
	assert_string_equal(text_field("a=b"), "\"a=b\"");
	assert_string_equal(text_field("say \"hi\""), "\"say \\\"hi\\\"\"");
	assert_string_equal(text_field("back\\slash"), "\"back\\\\slash\"");
	assert_string_equal(text_field("J\xc3\xbcrgen"), "\"J\xc3\xbcrgen\"");
	assert_string_equal(text_field("\xf0\x9f\x94\x91"), "\"\xf0\x9f\x94\x91\"");
}

static void nobody_can_forge_a_line_or_steer_a_terminal(void **state)
{
	(void)state;
	assert_string_equal(text_field("a\nb"), "\"a\\nb\"");
	assert_string_equal(text_field("a\rb"), "\"a\\u000db\"");
	assert_string_equal(text_field("a\tb"), "\"a\\u0009b\"");
	assert_string_equal(text_field("\x1b[31m"), "\"\\u001b[31m\"");
	assert_string_equal(text_field("\x7f"), "\"\\u007f\"");
	assert_string_equal(text_field("\xc2\x9b"), "\"\\u009b\"");
	assert_string_equal(text_field("\xc2\xa0"), "\"\xc2\xa0\"");
}

static void what_is_not_utf8_is_escaped_by_the_byte(void **state)
{
	(void)state;
	assert_string_equal(text_field("\xff"), "\"\\u00ff\"");
	/* Cut short, overlong, a surrogate, past U+10FFFF. */
	assert_string_equal(text_field("\xc3"), "\"\\u00c3\"");
	assert_string_equal(text_field("\xe2\x82"), "\"\\u00e2\\u0082\"");
	assert_string_equal(text_field("\xc0\xaf"), "\"\\u00c0\\u00af\"");
	assert_string_equal(text_field("\xed\xa0\x80"), "\"\\u00ed\\u00a0\\u0080\"");
	assert_string_equal(text_field("\xf4\x90\x80\x80"), "\"\\u00f4\\u0090\\u0080\\u0080\"");
	assert_string_equal(text_field("\xc3(\xc3\xa9"), "\"\\u00c3(\xc3\xa9\"");
}

static void every_byte_makes_valid_json_that_says_the_same(void **state)
{
	(void)state;
	for (int byte = 1; byte < 256; byte++) {
		const char value[] = {'a', (char)byte, 'b', '\0'};
		const char *found;
		json_t *object;

		open_log(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
		log_info("event", LOG_STR("f", value));
		object = json_line();
		found = json_text(object, "f");
		if (byte < 0x80) {
			assert_string_equal(found, value);
		} else {
			const char as_latin1[] = {'a', (char)(0xc0 | byte >> 6), (char)(0x80 | (byte & 0x3f)), 'b',
			                          '\0'};

			assert_string_equal(found, as_latin1);
		}
		json_decref(object);
	}
}

static void long_field_is_cut_at_a_character_and_says_so(void **state)
{
	/* Each offset puts the cut at another byte of the four of a character. */
	for (size_t offset = 0; offset < 4; offset++) {
		char value[3000] = "aaa";
		const char *found;
		json_t *object;

		(void)state;
		for (size_t i = offset; i + 4 < sizeof value; i += 4)
			memcpy(value + i, "\xf0\x9f\x94\x91", 5);
		open_log(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
		log_info("event", LOG_STR("long", value), LOG_STR("after", "still here"));
		object = json_line();
		found = json_text(object, "long");
		assert_in_range(strlen(found), 1000, 1100);
		assert_string_equal(found + strlen(found) - 7, "\xf0\x9f\x94\x91...");
		assert_string_equal(json_text(object, "after"), "still here");
		json_decref(object);
	}
}

static void full_line_leaves_out_whole_fields(void **state)
{
	static const char *const names[] = {"f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7"};
	struct log_field fields[8];

	(void)state;
	/* All sizes near the limit, so that any off-by-one shows. */
	for (size_t size = 400; size < 600; size++) {
		char value[600];
		const char *line;
		json_t *object;

		memset(value, '\x01', size / 6);
		memset(value + size / 6, 'x', size % 6);
		value[size / 6 + size % 6] = '\0';
		for (size_t i = 0; i < 8; i++)
			fields[i] = LOG_STR(names[i], value);
		open_log(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
		log_fields(LOG_LEVEL_INFO, "event", fields, 8);
		object = json_line();
		line = json_text(object, "f0");
		assert_string_equal(line, value);
		json_decref(object);
		assert_true(strlen(only_line()) + 1 <= LOG_LINE_MAX);

		open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
		log_fields(LOG_LEVEL_INFO, "event", fields, 8);
		line = only_line();
		assert_true(strlen(line) + 1 <= LOG_LINE_MAX);
		assert_int_equal(line[strlen(line) - 1], '"');
	}
}

static void lines_below_the_level_are_not_written(void **state)
{
	(void)state;
	open_log(LOG_LEVEL_WARNING, LOG_FORMAT_TEXT);
	assert_false(log_enabled(LOG_LEVEL_DEBUG));
	assert_false(log_enabled(LOG_LEVEL_INFO));
	assert_true(log_enabled(LOG_LEVEL_WARNING));
	assert_true(log_enabled(LOG_LEVEL_ERROR));
	log_debug("no", LOG_INT("n", 1));
	log_info("no", LOG_INT("n", 1));
	log_warning("yes", LOG_INT("n", 1));
	assert_matches(only_line(), "\\] yes n=1$");
}

static void errno_is_kept(void **state)
{
	(void)state;
	/* Each write to this file fails. */
	assert_int_equal(log_open("test", "/dev/full", LOG_LEVEL_INFO, LOG_FORMAT_TEXT), 0);
	errno = EPERM;
	log_info("event", LOG_INT("n", 1));
	assert_int_equal(errno, EPERM);
	log_debug("event", LOG_INT("n", 1));
	assert_int_equal(errno, EPERM);
}

static void target_that_cannot_be_opened_leaves_the_former(void **state)
{
	(void)state;
	open_log(LOG_LEVEL_WARNING, LOG_FORMAT_TEXT);
	errno = 0;
	assert_int_equal(log_open("test", "/nowhere/at/all/log", LOG_LEVEL_DEBUG, LOG_FORMAT_JSON), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(log_open("test", folder, LOG_LEVEL_DEBUG, LOG_FORMAT_JSON), -1);
	assert_int_equal(errno, EISDIR);
	log_info("no", LOG_INT("n", 1));
	log_warning("yes", LOG_INT("n", 1));
	assert_matches(only_line(), "^" TIME " warning .*\\] yes n=1$");
}

static void file_is_appended_to_and_can_be_rotated(void **state)
{
	struct stat status;

	(void)state;
	open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0137, 0);
	log_info("first", LOG_INT("n", 1));
	assert_int_equal(rename(path, other_path), 0);
	log_info("second", LOG_INT("n", 1));
	assert_int_equal(log_open("test", path, LOG_LEVEL_INFO, LOG_FORMAT_TEXT), 0);
	log_info("third", LOG_INT("n", 1));
	assert_int_equal(log_open("test", path, LOG_LEVEL_INFO, LOG_FORMAT_TEXT), 0);
	log_info("fourth", LOG_INT("n", 1));
	assert_matches(read_back(other_path), "first n=1\n.*second n=1\n$");
	assert_matches(read_back(path), "third n=1\n.*fourth n=1\n$");
}

static void file_that_was_moved_away_is_opened_anew(void **state)
{
	(void)state;
	open_log(LOG_LEVEL_WARNING, LOG_FORMAT_TEXT);
	log_warning("first", LOG_INT("n", 1));
	assert_int_equal(rename(path, other_path), 0);
	log_warning("second", LOG_INT("n", 1));
	assert_int_equal(log_reopen(), 0);
	log_warning("third", LOG_INT("n", 1));
	log_info("no", LOG_INT("n", 1));
	assert_matches(read_back(other_path), "first n=1\n.*second n=1\n$");
	assert_matches(only_line(), "\\] third n=1$");
}

static void file_that_cannot_be_opened_anew_goes_on(void **state)
{
	(void)state;
	open_log(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	assert_int_equal(rename(path, other_path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	errno = 0;
	assert_int_equal(log_reopen(), -1);
	assert_int_equal(errno, EISDIR);
	log_info("event", LOG_INT("n", 1));
	assert_matches(read_back(other_path), "\\] event n=1\n$");
	assert_int_equal(rmdir(path), 0);
}

/* There is no file to reopen, and that is no failure. */
static void other_targets_are_left_alone_by_reopening(void **state)
{
	int count = syslogged.count;

	(void)state;
	assert_int_equal(log_open("test", "syslog", LOG_LEVEL_INFO, LOG_FORMAT_TEXT), 0);
	assert_int_equal(log_reopen(), 0);
	log_info("event", LOG_INT("n", 1));
	assert_int_equal(syslogged.count, count + 1);
	assert_int_equal(log_open("test", "stderr", LOG_LEVEL_INFO, LOG_FORMAT_TEXT), 0);
	assert_int_equal(log_reopen(), 0);
}

static void syslog_gets_priority_and_no_time_of_ours(void **state)
{
	/* As syslog.h numbers them; it cannot be included beside the functions above. */
	static const int priorities[] = {7, 6, 4, 3};
	int count = syslogged.count;
	json_t *object;

	(void)state;
	assert_int_equal(log_open("test", "syslog", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT), 0);
	for (int level = LOG_LEVEL_DEBUG; level <= (int)LOG_LEVEL_ERROR; level++) {
		LOG_AT((enum log_level)level, "event", LOG_STR("f", "100% %s %n"));
		assert_int_equal(syslogged.count, ++count);
		assert_int_equal(syslogged.priority & 7, priorities[level]);
		assert_string_equal(syslogged.text, "event f=\"100% %s %n\"");
	}
	assert_int_equal(log_open("test", "syslog", LOG_LEVEL_DEBUG, LOG_FORMAT_JSON), 0);
	log_info("event", LOG_STR("f", "v"));
	object = json_loads(syslogged.text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(object);
	assert_string_equal(json_text(object, "level"), "info");
	assert_string_equal(json_text(object, "event"), "event");
	assert_string_equal(json_text(object, "f"), "v");
	assert_null(json_object_get(object, "time"));
	json_decref(object);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(text_line_has_time_level_process_event_and_fields, end_test),
		cmocka_unit_test_teardown(json_line_is_one_object, end_test),
		cmocka_unit_test_teardown(request_is_named_only_while_it_is_set, end_test),
		cmocka_unit_test_teardown(text_is_quoted_when_a_reader_would_stumble, end_test),
		cmocka_unit_test_teardown(nobody_can_forge_a_line_or_steer_a_terminal, end_test),
		cmocka_unit_test_teardown(what_is_not_utf8_is_escaped_by_the_byte, end_test),
		cmocka_unit_test_teardown(every_byte_makes_valid_json_that_says_the_same, end_test),
		cmocka_unit_test_teardown(long_field_is_cut_at_a_character_and_says_so, end_test),
		cmocka_unit_test_teardown(full_line_leaves_out_whole_fields, end_test),
		cmocka_unit_test_teardown(lines_below_the_level_are_not_written, end_test),
		cmocka_unit_test_teardown(errno_is_kept, end_test),
		cmocka_unit_test_teardown(target_that_cannot_be_opened_leaves_the_former, end_test),
		cmocka_unit_test_teardown(file_is_appended_to_and_can_be_rotated, end_test),
		cmocka_unit_test_teardown(file_that_was_moved_away_is_opened_anew, end_test),
		cmocka_unit_test_teardown(file_that_cannot_be_opened_anew_goes_on, end_test),
		cmocka_unit_test_teardown(other_targets_are_left_alone_by_reopening, end_test),
		cmocka_unit_test_teardown(syslog_gets_priority_and_no_time_of_ours, end_test),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

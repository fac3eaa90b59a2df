#include "session/session_data.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static TALLOC_CTX *ctx;
static struct session_data *data;

/* ---- Helpers ------------------------------------------------------------------------------------------------ */

static int set_up(void **state)
{
	(void)state;
	ctx = talloc_new(NULL);
	data = session_data_new(ctx);
	return data != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	talloc_free(ctx);
	return 0;
}

static json_t *parsed(const char *json)
{
	json_t *value = json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);

	assert_non_null(value);
	return value;
}

static void set(const char *name, const char *json)
{
	assert_true(session_data_set(data, name, parsed(json)));
}

static void assert_value(const json_t *value, const char *json)
{
	json_t *expected = parsed(json);

	assert_true(json_equal(value, expected));
	json_decref(expected);
}

static void assert_kept(const char *name, const char *json)
{
	assert_value(session_data_get(data, name), json);
}

/* NULL: there is nothing to write. */
static void assert_change(const char *expected_set, const char *expected_removed)
{
	struct session_data_change change;

	assert_true(session_data_change(data, ctx, &change));
	assert_int_equal(change.set == NULL, expected_set == NULL);
	assert_int_equal(change.removed == NULL, expected_removed == NULL);
	if (change.set != NULL && expected_set != NULL)
		assert_string_equal(change.set, expected_set);
	if (change.removed != NULL && expected_removed != NULL)
		assert_string_equal(change.removed, expected_removed);
}

/* A string of so many bytes as JSON has it, with its quotes. */
static json_t *text_of_size(size_t size)
{
	char *text = talloc_size(ctx, size);

	assert_non_null(text);
	memset(text, 'x', size - 2);
	return json_stringn(text, size - 2);
}

static json_t *nested(int depth)
{
	json_t *value = json_true();

	for (int i = 0; i < depth; i++)
		value = i % 2 == 0 ? json_pack("[o]", value) : json_pack("{s:o}", "in", value);
	assert_non_null(value);
	return value;
}

/* ---- Tests -------------------------------------------------------------------------------------------------- */

static void what_was_set_can_be_got_and_removed(void **state)
{
	(void)state;
	assert_null(session_data_get(data, "cart"));
	set("cart", "[1, {\"two\": null}]");
	set("name", "\"\xc3\xa4\"");
	assert_kept("cart", "[1, {\"two\": null}]");
	assert_change("{\"cart\":[1,{\"two\":null}],\"name\":\"\xc3\xa4\"}", NULL);
	assert_true(session_data_remove(data, "cart"));
	assert_null(session_data_get(data, "cart"));
	assert_true(session_data_remove(data, "cart"));
	assert_change("{\"name\":\"\xc3\xa4\"}", NULL);
}

static void what_was_set_and_removed_again_is_no_change(void **state)
{
	(void)state;
	assert_change(NULL, NULL);
	set("one", "1");
	assert_true(session_data_remove(data, "one"));
	assert_change(NULL, NULL);
}

static void null_is_a_value(void **state)
{
	(void)state;
	set("none", "null");
	assert_kept("none", "null");
	assert_change("{\"none\":null}", NULL);
}

static void value_is_copied(void **state)
{
	json_t *value = parsed("{\"list\": [1]}");

	(void)state;
	json_incref(value);
	assert_true(session_data_set(data, "a", value));
	assert_int_equal(json_array_append_new(json_object_get(value, "list"), json_integer(2)), 0);
	json_decref(value);
	assert_kept("a", "{\"list\": [1]}");
}

static void values_given_out_stay(void **state)
{
	const json_t *first, *second;

	(void)state;
	set("a", "[1]");
	first = session_data_get(data, "a");
	set("a", "[2]");
	second = session_data_get(data, "a");
	assert_true(session_data_remove(data, "a"));
	set("b", "[3]");
	assert_true(session_data_clear(data));
	assert_null(session_data_get(data, "b"));
	assert_value(first, "[1]");
	assert_value(second, "[2]");
}

static void after_clearing_nothing_is_to_be_written(void **state)
{
	(void)state;
	set("a", "1");
	assert_true(session_data_clear(data));
	assert_change(NULL, NULL);
	set("b", "2");
	assert_change("{\"b\":2}", NULL);
}

static void names_have_1_to_200_bytes(void **state)
{
	char name[DATA_NAME_MAX + 2];

	(void)state;
	assert_false(session_data_set(data, "", json_true()));
	memset(name, 'n', sizeof name);
	name[DATA_NAME_MAX + 1] = '\0';
	assert_false(session_data_set(data, name, json_true()));
	assert_null(session_data_get(data, name));
	assert_true(session_data_remove(data, name));
	name[DATA_NAME_MAX] = '\0';
	assert_true(session_data_set(data, name, json_true()));
	assert_kept(name, "true");
	assert_false(session_data_set(data, "not UTF-8: \xff", json_true()));
}

static void everything_together_is_at_most_64_kib(void **state)
{
	(void)state;
	/* {"a":...} has six bytes more than the value. */
	assert_false(session_data_set(data, "a", text_of_size(DATA_MAX - 5)));
	assert_null(session_data_get(data, "a"));
	assert_true(session_data_set(data, "a", text_of_size(DATA_MAX - 6)));
	assert_false(session_data_set(data, "b", json_null()));
	assert_null(session_data_get(data, "b"));
	/* The old value stays when the new one is too large, and may be replaced by one that fits. */
	assert_true(session_data_set(data, "a", json_true()));
	assert_false(session_data_set(data, "a", text_of_size(DATA_MAX)));
	assert_kept("a", "true");
	assert_true(session_data_set(data, "b", text_of_size(100)));
}

static void nul_is_refused_wherever_it_is(void **state)
{
	static const char *const refused[] = {
		"\"\\u0000\"",
		"\"a\\u0000b\"",
		"[[\"\\u0000\"]]",
		"{\"a\": {\"b\": \"\\u0000\"}}",
	};
	json_t *object = json_object();

	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		assert_false(session_data_set(data, "a", parsed(refused[i])));
	assert_int_equal(json_object_setn_new(object, "a\0b", 3, json_true()), 0);
	assert_false(session_data_set(data, "a", object));
	assert_change(NULL, NULL);
	/* This is a backslash and five characters. */
	set("a", "\"\\\\u0000\"");
}

static void nesting_has_a_limit(void **state)
{
	(void)state;
	assert_true(session_data_set(data, "a", nested(DATA_DEPTH_MAX)));
	assert_false(session_data_set(data, "b", nested(DATA_DEPTH_MAX + 1)));
	assert_null(session_data_get(data, "b"));
}

static void numbers_are_such_as_come_back(void **state)
{
	(void)state;
	assert_false(session_data_set(data, "a", json_real(1e17)));
	assert_false(session_data_set(data, "a", json_pack("[f]", -1e300)));
	assert_true(session_data_set(data, "a", json_real(99999999999999984.0)));
	assert_true(session_data_set(data, "b", json_real(5e-324)));
	assert_true(session_data_set(data, "c", json_integer(INT64_MAX)));
	assert_true(session_data_set(data, "d", json_integer(INT64_MIN)));
}

static void no_memory_for_the_value_is_no_value(void **state)
{
	(void)state;
	set("a", "1");
	assert_false(session_data_set(data, "a", NULL));
	assert_kept("a", "1");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_set_can_be_got_and_removed),
		TEST(what_was_set_and_removed_again_is_no_change),
		TEST(null_is_a_value),
		TEST(value_is_copied),
		TEST(values_given_out_stay),
		TEST(after_clearing_nothing_is_to_be_written),
		TEST(names_have_1_to_200_bytes),
		TEST(everything_together_is_at_most_64_kib),
		TEST(nul_is_refused_wherever_it_is),
		TEST(nesting_has_a_limit),
		TEST(numbers_are_such_as_come_back),
		TEST(no_memory_for_the_value_is_no_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

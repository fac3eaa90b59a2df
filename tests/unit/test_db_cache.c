/* Which of modules' statements are prepared on a connection. */
#include "session/db_cache.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void add(struct db_cache *cache, const char *sql)
{
	char name[DB_CACHE_NAME_SIZE];

	(void)db_cache_evict(cache, name);
	db_cache_new_name(cache, name);
	assert_true(db_cache_add(cache, sql, name));
}

static void add_numbered(struct db_cache *cache, int first, int count)
{
	char sql[40];

	for (int i = first; i < first + count; i++) {
		(void)snprintf(sql, sizeof sql, "SELECT %d", i);
		add(cache, sql);
	}
}

static void statement_is_known_by_its_whole_text(void **state)
{
	struct db_cache *cache = db_cache_new(NULL);
	char text[] = "SELECT 1";

	(void)state;
	assert_null(db_cache_find(cache, text));
	add(cache, text);
	/* The caller's text may be gone by then. */
	text[0] = 'X';
	assert_string_equal(db_cache_find(cache, "SELECT 1"), "module_0");
	assert_null(db_cache_find(cache, "SELECT 1 "));
	assert_null(db_cache_find(cache, "select 1"));
	talloc_free(cache);
}

static void least_recently_used_makes_room(void **state)
{
	struct db_cache *cache = db_cache_new(NULL);
	char name[DB_CACHE_NAME_SIZE];

	(void)state;
	add_numbered(cache, 0, DB_CACHE_MAX - 1);
	assert_false(db_cache_evict(cache, name));
	add_numbered(cache, DB_CACHE_MAX - 1, 1);
	assert_string_equal(db_cache_find(cache, "SELECT 0"), "module_0");
	assert_true(db_cache_evict(cache, name));
	assert_string_equal(name, "module_1");
	assert_null(db_cache_find(cache, "SELECT 1"));
	assert_false(db_cache_evict(cache, name));
	assert_non_null(db_cache_find(cache, "SELECT 0"));
	assert_non_null(db_cache_find(cache, "SELECT 199"));
	talloc_free(cache);
}

static void name_is_never_given_twice(void **state)
{
	struct db_cache *cache = db_cache_new(NULL);
	char name[DB_CACHE_NAME_SIZE];

	(void)state;
	add_numbered(cache, 0, 3 * DB_CACHE_MAX);
	assert_string_equal(db_cache_find(cache, "SELECT 599"), "module_599");
	db_cache_clear(cache);
	assert_null(db_cache_find(cache, "SELECT 599"));
	db_cache_new_name(cache, name);
	assert_string_equal(name, "module_600");
	talloc_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statement_is_known_by_its_whole_text),
		cmocka_unit_test(least_recently_used_makes_room),
		cmocka_unit_test(name_is_never_given_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

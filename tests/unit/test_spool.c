/* Files in the spool: how they come to the disk, and what they may have together. */
#include "api/spool.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#define MIB ((int64_t)1024 * 1024)

static struct settings settings;
static struct ones_app app;

/* ---- The kernel's part -------------------------------------------------------------------------------------- */

/* Up to where it was asked to write, and up to where that was waited for. */
static int64_t begun, waited_for;

/* In place of the one in the C library. */
int sync_file_range(int fd, off64_t from, off64_t size, unsigned int flags)
{
	(void)fd;
	if ((flags & (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER)) != 0) {
		assert_int_equal(from, waited_for);
		assert_true(from + size <= begun);
		waited_for = from + size;
	} else {
		assert_int_equal(flags, SYNC_FILE_RANGE_WRITE);
		assert_int_equal(from, begun);
		begun = from + size;
	}
	return 0;
}

/* ---- Tests -------------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
	(void)state;
	settings = (struct settings){.server = {.spool = "/tmp", .spool_max = 100 * MIB}};
	app = (struct ones_app){.settings = &settings, .board = scoreboard_new()};
	app.process = app.board != NULL ? &app.board->processes.slots[3] : NULL;
	begun = waited_for = 0;
	return app.board != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	scoreboard_free(app.board);
	return 0;
}

static void little_of_a_file_is_left_to_be_written_however_large_it_is(void **state)
{
	static const char piece[50000];
	struct spool_file *file = spool_open(NULL, &app);

	(void)state;
	assert_non_null(file);
	while (file->size < 64 * MIB) {
		assert_int_equal(spool_write(file, piece, sizeof piece), 0);
		assert_true(file->size - begun < 5 * MIB);
		assert_true(file->size - waited_for < 10 * MIB);
	}
	talloc_free(file);
}

/* It would be as long for the disk as for the network. */
static void what_was_just_handed_to_the_disk_is_not_waited_for(void **state)
{
	static const char piece[50000];
	struct spool_file *file = spool_open(NULL, &app);

	(void)state;
	assert_non_null(file);
	while (file->size < 64 * MIB) {
		assert_int_equal(spool_write(file, piece, sizeof piece), 0);
		assert_true(waited_for == 0 || begun - waited_for >= 4 * MIB);
	}
	talloc_free(file);
}

static void files_have_no_more_than_server_spool_max_together(void **state)
{
	struct spool_file *one = spool_open(NULL, &app), *other = spool_open(NULL, &app);

	(void)state;
	assert_true(one != NULL && other != NULL);
	assert_true(spool_reserve(one, 70 * 1024 * 1024));
	/* The rest of a larger step is not there, but what is asked for. */
	assert_true(spool_reserve(other, 30 * 1024 * 1024 - 1));
	assert_true(spool_reserve(other, 30 * 1024 * 1024));
	talloc_free(other);
	other = spool_open(NULL, &app);
	assert_non_null(other);
	assert_false(spool_has_room(&app, 31 * MIB));
	assert_true(spool_has_room(&app, 30 * MIB));
	assert_false(spool_reserve(other, 31 * 1024 * 1024));
	assert_true(spool_reserve(other, 30 * 1024 * 1024));
	/* What it has reserved already. */
	assert_true(spool_reserve(other, 100));
	assert_false(spool_has_room(&app, 1));
	talloc_free(one);
	assert_true(spool_has_room(&app, 70 * MIB));
	talloc_free(other);
	assert_int_equal(process_table_spooled(&app.board->processes), 0);
}

static void small_files_count_as_little(void **state)
{
	struct spool_file *file = spool_open(NULL, &app);

	(void)state;
	assert_non_null(file);
	assert_true(spool_reserve(file, 1));
	assert_int_equal(process_table_spooled(&app.board->processes), 64 * 1024);
	assert_int_equal(spool_write(file, "x", 1), 0);
	assert_true(spool_reserve(file, 1));
	assert_int_equal(process_table_spooled(&app.board->processes), 64 * 1024);
	talloc_free(file);
}

/* One that the daemon did not start, such as a test of an application. */
static void process_without_a_place_in_the_table_counts_nothing(void **state)
{
	struct spool_file *file;

	(void)state;
	app.process = NULL;
	file = spool_open(NULL, &app);
	assert_non_null(file);
	assert_true(spool_reserve(file, 1));
	assert_int_equal(process_table_spooled(&app.board->processes), 0);
	talloc_free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(little_of_a_file_is_left_to_be_written_however_large_it_is, set_up,
	                                        tear_down),
		cmocka_unit_test_setup_teardown(what_was_just_handed_to_the_disk_is_not_waited_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(files_have_no_more_than_server_spool_max_together, set_up, tear_down),
		cmocka_unit_test_setup_teardown(small_files_count_as_little, set_up, tear_down),
		cmocka_unit_test_setup_teardown(process_without_a_place_in_the_table_counts_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "base/scoreboard.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/clock.h"

#include <sys/wait.h>
#include <unistd.h>

static struct scoreboard *board;

static int set_up(void **state)
{
	(void)state;
	board = scoreboard_new();
	return board != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	scoreboard_free(board);
	return 0;
}

static void board_is_empty_at_first(void **state)
{
	(void)state;
	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		assert_int_equal(board->processes.slots[i].pid, 0);
		assert_int_equal(board->processes.slots[i].state, WORKER_NONE);
		assert_int_equal(board->processes.slots[i].request_began_ms, 0);
		assert_int_equal(board->processes.slots[i].requests, 0);
	}
	assert_int_equal(board->hashing.in_use, 0);
	assert_int_equal(board->hashing.waiting, 0);
	assert_int_equal(board->hashing.full_from, UINT32_MAX);
	assert_int_equal(board->live.sessions, -1);
}

static void gauges_of_a_hasher_that_has_ended_are_reset(void **state)
{
	(void)state;
	board->hashing.in_use = 2;
	board->hashing.waiting = 64;
	board->hashing.full_from = 3;
	hash_gauges_reset(&board->hashing);
	assert_int_equal(board->hashing.in_use, 0);
	assert_int_equal(board->hashing.waiting, 0);
	assert_int_equal(board->hashing.full_from, UINT32_MAX);
}

static void spool_is_counted_over_all_processes_and_without_those_that_have_ended(void **state)
{
	struct process_table *table = &board->processes;
	struct process_slot *first = &table->slots[0], *last = &table->slots[PROCESS_SLOTS - 1];

	(void)state;
	assert_true(process_table_spool(table, first, 60, 100));
	assert_false(process_table_spool(table, last, 41, 100));
	assert_int_equal(process_table_spooled(table), 60);
	assert_true(process_table_spool(table, last, 40, 100));
	assert_false(process_table_spool(table, first, 1, 100));
	process_table_clear(table, 0);
	assert_int_equal(process_table_spooled(table), 40);
	assert_true(process_table_spool(table, first, 60, 100));
}

static void memory_is_shared_with_forked_processes(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		board->processes.slots[1].requests = 5;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(board->processes.slots[1].requests, 5);
}

static void another_that_is_connected_is_found(void **state)
{
	(void)state;
	assert_false(process_table_is_another_connected(&board->processes, 3));
	board->processes.slots[3].is_connected = true;
	assert_false(process_table_is_another_connected(&board->processes, 3));
	assert_true(process_table_is_another_connected(&board->processes, 4));
	process_table_clear(&board->processes, 3);
	assert_false(process_table_is_another_connected(&board->processes, 4));
}

/* ---- Whether a fallback worker is needed -------------------------------------------------------------------- */

/* A worker at `slot`, busy for that long. */
static void put_worker(size_t slot, enum worker_state state, int64_t busy_ms)
{
	board->processes.slots[slot].pid = (pid_t)(1000 + slot);
	board->processes.slots[slot].state = (int)state;
	board->processes.slots[slot].request_began_ms = state == WORKER_BUSY ? clock_monotonic_ms() - busy_ms : 0;
}

static void all_are_busy_when_each_has_been_for_a_while(void **state)
{
	(void)state;
	put_worker(0, WORKER_BUSY, 60000);
	put_worker(5, WORKER_BUSY, 5000);
	assert_true(process_table_are_workers_busy(&board->processes));
	put_worker(PROCESS_SLOTS - 1, WORKER_IDLE, 0);
	assert_false(process_table_are_workers_busy(&board->processes));
}

/* Most requests are short: one that has just begun is no reason to start a fallback worker. */
static void worker_that_has_just_begun_will_soon_be_free(void **state)
{
	(void)state;
	put_worker(0, WORKER_BUSY, 60000);
	put_worker(1, WORKER_BUSY, 0);
	assert_false(process_table_are_workers_busy(&board->processes));
}

static void worker_that_starts_or_stops_takes_no_connections(void **state)
{
	(void)state;
	put_worker(0, WORKER_BUSY, 60000);
	put_worker(1, WORKER_STARTING, 0);
	put_worker(2, WORKER_STOPPING, 0);
	assert_true(process_table_are_workers_busy(&board->processes));
}

static void fallback_worker_and_hasher_do_not_count_as_workers(void **state)
{
	(void)state;
	put_worker(0, WORKER_BUSY, 60000);
	put_worker(1, WORKER_IDLE, 0);
	board->processes.slots[1].role = ROLE_FALLBACK;
	put_worker(2, WORKER_IDLE, 0);
	board->processes.slots[2].role = ROLE_HASHER;
	assert_true(process_table_are_workers_busy(&board->processes));
}

static void guard_worker_counts_as_a_worker(void **state)
{
	(void)state;
	put_worker(0, WORKER_BUSY, 60000);
	put_worker(1, WORKER_IDLE, 0);
	board->processes.slots[1].role = ROLE_GUARD;
	assert_false(process_table_are_workers_busy(&board->processes));
	put_worker(1, WORKER_BUSY, 60000);
	assert_true(process_table_are_workers_busy(&board->processes));
}

static void without_any_worker_all_are_busy(void **state)
{
	(void)state;
	assert_true(process_table_are_workers_busy(&board->processes));
}

static void slot_of_a_process_that_has_ended_is_as_it_was_at_first(void **state)
{
	(void)state;
	put_worker(3, WORKER_BUSY, 60000);
	put_worker(4, WORKER_BUSY, 60000);
	board->processes.slots[3].role = ROLE_FALLBACK;
	board->processes.slots[3].wants_recycling = true;
	board->processes.slots[3].requests = 17;
	counters_add(&board->counters, COUNTER_LOGINS);
	process_table_clear(&board->processes, 3);
	assert_int_equal(board->processes.slots[3].pid, 0);
	assert_int_equal(board->processes.slots[3].role, ROLE_WORKER);
	assert_false(board->processes.slots[3].wants_recycling);
	assert_int_equal(board->processes.slots[3].state, WORKER_NONE);
	assert_int_equal(board->processes.slots[3].request_began_ms, 0);
	assert_int_equal(board->processes.slots[3].requests, 0);
	assert_int_equal(board->processes.slots[4].pid, 1004);
	assert_int_equal(board->counters.all[COUNTER_LOGINS], 1);
}

/* Also for arbitrary values, for other processes write to this memory. */
static void each_state_has_a_name(void **state)
{
	(void)state;
	assert_non_null(worker_state_name((enum worker_state)UINT32_MAX));
	for (int one = 0; one < WORKER_STATE_COUNT; one++) {
		assert_non_null(worker_state_name((enum worker_state)one));
		for (int other = 0; other < one; other++)
			assert_string_not_equal(worker_state_name((enum worker_state)one),
			                        worker_state_name((enum worker_state)other));
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(board_is_empty_at_first),
		TEST(gauges_of_a_hasher_that_has_ended_are_reset),
		TEST(spool_is_counted_over_all_processes_and_without_those_that_have_ended),
		TEST(memory_is_shared_with_forked_processes),
		TEST(another_that_is_connected_is_found),
		TEST(all_are_busy_when_each_has_been_for_a_while),
		TEST(worker_that_has_just_begun_will_soon_be_free),
		TEST(worker_that_starts_or_stops_takes_no_connections),
		TEST(fallback_worker_and_hasher_do_not_count_as_workers),
		TEST(guard_worker_counts_as_a_worker),
		TEST(without_any_worker_all_are_busy),
		TEST(slot_of_a_process_that_has_ended_is_as_it_was_at_first),
		TEST(each_state_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

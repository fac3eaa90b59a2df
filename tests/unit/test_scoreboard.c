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
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		assert_int_equal(board->slots[i].pid, 0);
		assert_int_equal(board->slots[i].state, WORKER_NONE);
		assert_int_equal(board->slots[i].request_began_ms, 0);
		assert_int_equal(board->slots[i].requests, 0);
	}
	assert_int_equal(board->hashing_in_use, 0);
	assert_int_equal(board->hashing_waiting, 0);
	assert_int_equal(board->hashing_rank, UINT32_MAX);
	assert_int_equal(board->live_sessions, -1);
}

static void what_a_hasher_has_left_is_forgotten(void **state)
{
	(void)state;
	board->hashing_in_use = 2;
	board->hashing_waiting = 64;
	board->hashing_rank = 3;
	scoreboard_forget_hashing(board);
	assert_int_equal(board->hashing_in_use, 0);
	assert_int_equal(board->hashing_waiting, 0);
	assert_int_equal(board->hashing_rank, UINT32_MAX);
}

static void memory_is_shared_with_who_is_forked(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		board->slots[1].requests = 5;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(board->slots[1].requests, 5);
}

static void another_that_is_connected_is_found(void **state)
{
	(void)state;
	assert_false(scoreboard_is_another_connected(board, 3));
	board->slots[3].is_connected = true;
	assert_false(scoreboard_is_another_connected(board, 3));
	assert_true(scoreboard_is_another_connected(board, 4));
	scoreboard_clear(board, 3);
	assert_false(scoreboard_is_another_connected(board, 4));
}

/* ---- Whether an attendant is needed --------------------------------------------------------------------------- */

/* A worker at `slot`, busy for that long. */
static void put_worker(size_t slot, enum worker_state state, int64_t busy_ms)
{
	board->slots[slot].pid = (pid_t)(1000 + slot);
	board->slots[slot].state = (int)state;
	board->slots[slot].request_began_ms = state == WORKER_BUSY ? clock_monotonic_ms() - busy_ms : 0;
}

static void all_are_busy_when_each_has_been_for_a_while(void **state)
{
	(void)state;
	put_worker(0, WORKER_BUSY, 60000);
	put_worker(5, WORKER_BUSY, 5000);
	assert_true(scoreboard_are_all_busy(board));
	put_worker(SCOREBOARD_SLOTS - 1, WORKER_IDLE, 0);
	assert_false(scoreboard_are_all_busy(board));
}

/* Most requests are over in a moment: one that has just begun is no reason to call for help. */
static void worker_that_has_just_begun_will_soon_be_free(void **state)
{
	(void)state;
	put_worker(0, WORKER_BUSY, 60000);
	put_worker(1, WORKER_BUSY, 0);
	assert_false(scoreboard_are_all_busy(board));
}

static void who_starts_or_stops_takes_no_connections(void **state)
{
	(void)state;
	put_worker(0, WORKER_BUSY, 60000);
	put_worker(1, WORKER_STARTING, 0);
	put_worker(2, WORKER_STOPPING, 0);
	assert_true(scoreboard_are_all_busy(board));
}

static void attendant_and_hasher_are_none_of_them(void **state)
{
	(void)state;
	put_worker(0, WORKER_BUSY, 60000);
	put_worker(1, WORKER_IDLE, 0);
	board->slots[1].role = ROLE_FALLBACK;
	put_worker(2, WORKER_IDLE, 0);
	board->slots[2].role = ROLE_HASHER;
	assert_true(scoreboard_are_all_busy(board));
}

static void nobody_at_all_takes_no_connections_either(void **state)
{
	(void)state;
	assert_true(scoreboard_are_all_busy(board));
}

static void place_of_who_has_ended_is_as_it_was_at_first(void **state)
{
	(void)state;
	put_worker(3, WORKER_BUSY, 60000);
	put_worker(4, WORKER_BUSY, 60000);
	board->slots[3].role = ROLE_FALLBACK;
	board->slots[3].wants_recycling = true;
	board->slots[3].requests = 17;
	counters_add(&board->counters, COUNTER_LOGINS);
	scoreboard_clear(board, 3);
	assert_int_equal(board->slots[3].pid, 0);
	assert_int_equal(board->slots[3].role, ROLE_WORKER);
	assert_false(board->slots[3].wants_recycling);
	assert_int_equal(board->slots[3].state, WORKER_NONE);
	assert_int_equal(board->slots[3].request_began_ms, 0);
	assert_int_equal(board->slots[3].requests, 0);
	assert_int_equal(board->slots[4].pid, 1004);
	assert_int_equal(board->counters.all[COUNTER_LOGINS], 1);
}

/* Also whatever else may stand in memory that others write to. */
static void each_state_has_a_name(void **state)
{
	(void)state;
	assert_non_null(scoreboard_state_name((enum worker_state)UINT32_MAX));
	for (int one = 0; one < WORKER_STATE_COUNT; one++) {
		assert_non_null(scoreboard_state_name((enum worker_state)one));
		for (int other = 0; other < one; other++)
			assert_string_not_equal(scoreboard_state_name((enum worker_state)one),
			                        scoreboard_state_name((enum worker_state)other));
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(board_is_empty_at_first),
		TEST(what_a_hasher_has_left_is_forgotten),
		TEST(memory_is_shared_with_who_is_forked),
		TEST(another_that_is_connected_is_found),
		TEST(all_are_busy_when_each_has_been_for_a_while),
		TEST(worker_that_has_just_begun_will_soon_be_free),
		TEST(who_starts_or_stops_takes_no_connections),
		TEST(attendant_and_hasher_are_none_of_them),
		TEST(nobody_at_all_takes_no_connections_either),
		TEST(place_of_who_has_ended_is_as_it_was_at_first),
		TEST(each_state_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

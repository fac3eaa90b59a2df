#include "base/scoreboard.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/clock.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLACES 2

static struct scoreboard *board;

static int set_up(void **state)
{
	(void)state;
	board = scoreboard_new(PLACES);
	return board != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	scoreboard_free(board);
	return 0;
}

/* How often a place came free since the last call. */
static uint64_t places_freed(void)
{
	uint64_t count = 0;
	ssize_t size = read(board->hashing_event, &count, sizeof count);

	assert_true(size == sizeof count || (size < 0 && errno == EAGAIN));
	return count;
}

static void board_is_empty_at_first(void **state)
{
	(void)state;
	assert_int_equal(board->hashing_place_count, PLACES);
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		assert_int_equal(board->slots[i].pid, 0);
		assert_int_equal(board->slots[i].state, WORKER_NONE);
		assert_int_equal(board->slots[i].request_began_ms, 0);
		assert_int_equal(board->slots[i].requests, 0);
	}
	for (size_t i = 0; i < PLACES; i++)
		assert_int_equal(board->hashing_holders[i], 0);
	assert_int_equal(places_freed(), 0);
}

static void no_more_places_are_given_than_there_are(void **state)
{
	(void)state;
	assert_true(scoreboard_take_hashing_place(board, 101));
	assert_true(scoreboard_take_hashing_place(board, 102));
	assert_false(scoreboard_take_hashing_place(board, 103));
	assert_false(scoreboard_take_hashing_place(board, 101));
	assert_int_equal(places_freed(), 0);
	scoreboard_free_hashing_places(board, 101);
	assert_true(scoreboard_take_hashing_place(board, 103));
	assert_false(scoreboard_take_hashing_place(board, 104));
}

static void only_the_places_of_that_process_come_free(void **state)
{
	(void)state;
	assert_true(scoreboard_take_hashing_place(board, 101));
	assert_true(scoreboard_take_hashing_place(board, 102));
	scoreboard_free_hashing_places(board, 103);
	assert_int_equal(places_freed(), 0);
	assert_false(scoreboard_take_hashing_place(board, 103));
	scoreboard_free_hashing_places(board, 102);
	assert_int_equal(places_freed(), 1);
	/* A second time frees nothing more. */
	scoreboard_free_hashing_places(board, 102);
	assert_int_equal(places_freed(), 0);
	assert_true(scoreboard_take_hashing_place(board, 104));
	assert_false(scoreboard_take_hashing_place(board, 105));
}

static void all_places_of_a_process_come_free_and_are_told_of(void **state)
{
	(void)state;
	assert_true(scoreboard_take_hashing_place(board, 101));
	assert_true(scoreboard_take_hashing_place(board, 101));
	assert_false(scoreboard_take_hashing_place(board, 102));
	scoreboard_free_hashing_places(board, 101);
	assert_int_equal(places_freed(), 2);
	assert_true(scoreboard_take_hashing_place(board, 102));
	assert_true(scoreboard_take_hashing_place(board, 103));
	assert_false(scoreboard_take_hashing_place(board, 104));
}

/* A worker that is killed while it hashes gives nothing back itself. */
static void places_of_a_dead_process_come_free(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	assert_true(scoreboard_take_hashing_place(board, getpid()));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		board->slots[1].requests = 5;
		_exit(scoreboard_take_hashing_place(board, getpid()) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	/* The memory is shared. */
	assert_int_equal(board->slots[1].requests, 5);
	assert_false(scoreboard_take_hashing_place(board, getpid()));
	scoreboard_free_hashing_places(board, pid);
	assert_int_equal(places_freed(), 1);
	assert_true(scoreboard_take_hashing_place(board, getpid()));
	assert_false(scoreboard_take_hashing_place(board, getpid()));
}

/* Whoever waits is woken from another process, and reading the event never blocks. */
static void freeing_in_another_process_is_told_of(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (!scoreboard_take_hashing_place(board, getpid()))
			_exit(1);
		scoreboard_free_hashing_places(board, getpid());
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(places_freed(), 1);
	assert_int_equal(places_freed(), 0);
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

static void attendant_is_not_one_of_them(void **state)
{
	(void)state;
	put_worker(0, WORKER_BUSY, 60000);
	put_worker(1, WORKER_IDLE, 0);
	board->slots[1].is_attendant = true;
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
	board->slots[3].is_attendant = true;
	board->slots[3].requests = 17;
	counters_add(&board->counters, COUNTER_LOGINS);
	scoreboard_clear(board, 3);
	assert_int_equal(board->slots[3].pid, 0);
	assert_false(board->slots[3].is_attendant);
	assert_int_equal(board->slots[3].state, WORKER_NONE);
	assert_int_equal(board->slots[3].request_began_ms, 0);
	assert_int_equal(board->slots[3].requests, 0);
	assert_int_equal(board->slots[4].pid, 1004);
	assert_int_equal(board->counters.all[COUNTER_LOGINS], 1);
}

static void each_state_has_a_name(void **state)
{
	(void)state;
	for (int one = 0; one < WORKER_STATE_COUNT; one++) {
		assert_non_null(scoreboard_state_name((enum worker_state)one));
		for (int other = 0; other < one; other++)
			assert_string_not_equal(scoreboard_state_name((enum worker_state)one),
			                        scoreboard_state_name((enum worker_state)other));
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

static void turn_lasts_until_it_is_ended(void **state)
{
	int64_t turn;

	(void)state;
	assert_false(scoreboard_is_turn_under_way(board));
	turn = scoreboard_begin_turn(board);
	assert_int_equal(board->turn_since_us, turn);
	/* As though it had begun just now, however slow this machine is. */
	board->turn_since_us = INT64_MAX;
	assert_true(scoreboard_is_turn_under_way(board));
	scoreboard_end_turn(board, INT64_MAX);
	assert_false(scoreboard_is_turn_under_way(board));
}

static void turn_that_takes_long_is_not_waited_for(void **state)
{
	(void)state;
	board->turn_since_us = clock_monotonic_us() - 1000 * 1000;
	assert_false(scoreboard_is_turn_under_way(board));
}

static void turn_is_not_ended_by_who_had_the_one_before(void **state)
{
	(void)state;
	board->turn_since_us = INT64_MAX;
	scoreboard_end_turn(board, INT64_MAX - 1);
	assert_true(scoreboard_is_turn_under_way(board));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(board_is_empty_at_first),
		TEST(no_more_places_are_given_than_there_are),
		TEST(only_the_places_of_that_process_come_free),
		TEST(all_places_of_a_process_come_free_and_are_told_of),
		TEST(places_of_a_dead_process_come_free),
		TEST(freeing_in_another_process_is_told_of),
		TEST(all_are_busy_when_each_has_been_for_a_while),
		TEST(worker_that_has_just_begun_will_soon_be_free),
		TEST(who_starts_or_stops_takes_no_connections),
		TEST(attendant_is_not_one_of_them),
		TEST(nobody_at_all_takes_no_connections_either),
		TEST(place_of_who_has_ended_is_as_it_was_at_first),
		TEST(each_state_has_a_name),
		TEST(turn_lasts_until_it_is_ended),
		TEST(turn_that_takes_long_is_not_waited_for),
		TEST(turn_is_not_ended_by_who_had_the_one_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

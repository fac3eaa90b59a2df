#include "base/counters.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct counters *counters;

static int set_up(void **state)
{
	(void)state;
	counters = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return counters != MAP_FAILED ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return munmap(counters, sizeof *counters);
}

static uint64_t sum_of(_Atomic uint64_t numbers[], size_t count)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += numbers[i];
	return sum;
}

static void each_counter_counts_by_itself(void **state)
{
	(void)state;
	counters_add(counters, COUNTER_LOGINS);
	counters_add(counters, COUNTER_LOGINS);
	counters_add(counters, COUNTER_RELOADS_REFUSED);
	assert_int_equal(counters->all[COUNTER_LOGINS], 2);
	assert_int_equal(counters->all[COUNTER_RELOADS_REFUSED], 1);
	assert_int_equal(sum_of(counters->all, COUNTER_COUNT), 3);
}

static void nothing_is_counted_where_there_is_no_memory_for_it(void **state)
{
	(void)state;
	counters_add(NULL, COUNTER_DATABASE_ERRORS);
}

static void each_status_has_its_counter_and_others_share_one(void **state)
{
	static const int statuses[COUNTERS_STATUS_COUNT - 1] = COUNTERS_STATUSES;

	(void)state;
	for (size_t at = 0; at < COUNTERS_STATUS_COUNT - 1; at++) {
		counters_add_request(counters, 7, statuses[at], 1);
		assert_int_equal(counters->routes[7].by_status[at], 1);
	}
	counters_add_request(counters, 7, 418, 1);
	counters_add_request(counters, 7, 0, 1);
	counters_add_request(counters, 7, -1, 1);
	assert_int_equal(counters->routes[7].by_status[COUNTERS_STATUS_COUNT - 1], 3);
	assert_int_equal(sum_of(counters->routes[7].by_status, COUNTERS_STATUS_COUNT), COUNTERS_STATUS_COUNT + 2);
}

static void statuses_and_bounds_are_distinguished(void **state)
{
	static const int statuses[COUNTERS_STATUS_COUNT - 1] = COUNTERS_STATUSES;
	static const int64_t bounds[COUNTERS_BOUND_COUNT] = COUNTERS_BOUNDS_US;

	(void)state;
	for (size_t at = 1; at < COUNTERS_STATUS_COUNT - 1; at++)
		assert_true(statuses[at - 1] < statuses[at]);
	for (size_t at = 1; at < COUNTERS_BOUND_COUNT; at++)
		assert_true(bounds[at - 1] < bounds[at]);
}

/* `le` means less or equal. */
static void duration_on_a_bound_is_within_it(void **state)
{
	static const int64_t bounds[COUNTERS_BOUND_COUNT] = COUNTERS_BOUNDS_US;
	struct route_counters *counted = &counters->routes[0];

	(void)state;
	for (size_t at = 0; at < COUNTERS_BOUND_COUNT; at++) {
		counters_add_request(counters, 0, 200, bounds[at]);
		assert_int_equal(counted->by_duration[at], at == 0 ? 1 : 2);
		counters_add_request(counters, 0, 200, bounds[at] + 1);
		assert_int_equal(counted->by_duration[at + 1], 1);
	}
	counters_add_request(counters, 0, 200, 0);
	assert_int_equal(counted->by_duration[0], 2);
	counters_add_request(counters, 0, 200, INT64_MAX / 2);
	assert_int_equal(counted->by_duration[COUNTERS_BOUND_COUNT], 2);
	assert_int_equal(sum_of(counted->by_duration, COUNTERS_BOUND_COUNT + 1), 2 * COUNTERS_BOUND_COUNT + 2);
}

static void durations_are_summed_for_each_route(void **state)
{
	(void)state;
	counters_add_request(counters, COUNTERS_ROUTES_MAX - 1, 200, 5);
	counters_add_request(counters, COUNTERS_NO_ROUTE, 404, 7);
	counters_add_request(counters, COUNTERS_NO_ROUTE, 404, 11);
	assert_int_equal(counters->routes[COUNTERS_ROUTES_MAX - 1].duration_us, 5);
	assert_int_equal(counters->routes[COUNTERS_NO_ROUTE].duration_us, 18);
	assert_int_equal(counters->routes[0].duration_us, 0);
}

#define PROCESSES 4
#define EACH      20000

/* All processes write to the same memory at the same time. */
static void no_count_of_any_process_is_lost(void **state)
{
	int status;

	(void)state;
	for (int i = 0; i < PROCESSES; i++) {
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			for (int n = 0; n < EACH; n++) {
				counters_add(counters, COUNTER_LOGINS);
				counters_add_request(counters, 3, 200, 2);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(counters->all[COUNTER_LOGINS], PROCESSES * EACH);
	assert_int_equal(counters->routes[3].by_status[0], PROCESSES * EACH);
	assert_int_equal(counters->routes[3].by_duration[0], PROCESSES * EACH);
	assert_int_equal(counters->routes[3].duration_us, 2 * PROCESSES * EACH);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_counter_counts_by_itself),
		TEST(nothing_is_counted_where_there_is_no_memory_for_it),
		TEST(each_status_has_its_counter_and_others_share_one),
		TEST(statuses_and_bounds_are_distinguished),
		TEST(duration_on_a_bound_is_within_it),
		TEST(durations_are_summed_for_each_route),
		TEST(no_count_of_any_process_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

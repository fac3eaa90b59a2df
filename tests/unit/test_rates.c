#include "base/rates.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "api/login_rank.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define NOW INT64_C(1000000)

static struct rates rates;

static int set_up(void **state)
{
	(void)state;
	if (sodium_init() < 0)
		return -1;
	rates_init(&rates);
	/* With a seed of chance some of these tests' subjects would share their cells in one run of thirty. */
	memset(rates.seed, 1, sizeof rates.seed);
	return 0;
}

static uint32_t count(const char *subject, int64_t now_ms)
{
	return rates_count(&rates, subject, strlen(subject), now_ms);
}

static void each_subject_is_counted_by_itself(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= 100; i++)
		assert_int_equal(count("one", NOW), i);
	assert_int_equal(count("other", NOW), 1);
	assert_int_equal(count("", NOW), 1);
}

static void window_before_counts_and_older_ones_do_not(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		(void)count("one", NOW);
	assert_int_equal(count("one", NOW + RATES_WINDOW_MS), 6);
	assert_int_equal(count("one", NOW + RATES_WINDOW_MS), 7);
	assert_int_equal(count("one", NOW + 2 * RATES_WINDOW_MS), 3);
	assert_int_equal(count("one", NOW + 4 * RATES_WINDOW_MS), 1);
}

static void counts_stay_where_they_are_at_their_highest(void **state)
{
	(void)state;
	for (int i = 0; i < 70000; i++)
		(void)count("one", NOW);
	assert_int_equal(count("one", NOW), 0xffff);
}

/* Any worker can overwrite it: it only gives a rank. */
static void garbage_is_counted_from_and_outlived(void **state)
{
	(void)state;
	memset(&rates, 0xff, sizeof rates);
	(void)count("one", NOW);
	assert_int_equal(count("one", NOW + 3 * RATES_WINDOW_MS), 1);
}

static uint32_t rank(const char *ip, const char *username)
{
	uint32_t of_address = login_rank_of_address(&rates, ip, NOW),
		 of_name = login_rank_of_name(&rates, username, NOW);

	return of_address > of_name ? of_address : of_name;
}

static void rank_is_that_of_the_address_or_of_the_name(void **state)
{
	(void)state;
	assert_int_equal(rank("192.0.2.1", "alice"), 1);
	assert_int_equal(rank("192.0.2.1", "bob"), 2);
	assert_int_equal(rank("198.51.100.1", "alice"), 2);
	assert_int_equal(rank("198.51.100.2", "ALICE"), 3);
	assert_int_equal(rank("", "carol"), 1);
	assert_int_equal(rank("no address", "carol"), 2);
}

/* Logins of a flood from one network rank behind a login from another network. */
static void network_counts_for_each_of_its_addresses(void **state)
{
	char ip[64], name[32];

	(void)state;
	for (int i = 0; i < 2000; i++) {
		(void)snprintf(ip, sizeof ip, "10.%d.%d.%d", i % 200, i % 251, i % 241);
		(void)snprintf(name, sizeof name, "name%d", i);
		(void)rank(ip, name);
	}
	assert_true(rank("10.250.0.1", "new") > 10);
	assert_int_equal(rank("198.51.100.7", "newer"), 1);
	for (int i = 0; i < 2000; i++) {
		(void)snprintf(ip, sizeof ip, "2001:db8:%x:%x::1", i % 7, i);
		(void)snprintf(name, sizeof name, "name%d", i);
		(void)rank(ip, name);
	}
	assert_true(rank("2001:db8:ffff::1", "newest") > 10);
	assert_int_equal(rank("2001:db9::1", "last"), 1);
}

static void browser_is_counted_by_itself(void **state)
{
	const struct session_key one = {.bytes = {1}}, other = {.bytes = {2}};

	(void)state;
	assert_int_equal(login_rank_of_browser(&rates, &one, NOW), 1);
	assert_int_equal(login_rank_of_browser(&rates, &one, NOW), 2);
	assert_int_equal(login_rank_of_browser(&rates, &other, NOW), 1);
}

static void neighbours_are_hardly_held_back_by_a_few(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++)
		(void)rank("192.0.2.1", "");
	assert_int_equal(rank("192.0.2.2", "alice"), 1);
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_subject_is_counted_by_itself),
		TEST(window_before_counts_and_older_ones_do_not),
		TEST(counts_stay_where_they_are_at_their_highest),
		TEST(garbage_is_counted_from_and_outlived),
		TEST(rank_is_that_of_the_address_or_of_the_name),
		TEST(network_counts_for_each_of_its_addresses),
		TEST(browser_is_counted_by_itself),
		TEST(neighbours_are_hardly_held_back_by_a_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

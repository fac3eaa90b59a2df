#include "session/password_job.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sodium.h>
#include <string.h>

static const struct password_cost cost = {.memory = 8192, .passes = 1};
static char own[PASSWORD_HASH_SIZE], decoy[PASSWORD_HASH_SIZE];
static struct password_job job;
static struct password_answer answer;

static int set_up_all(void **state)
{
	(void)state;
	return sodium_init() < 0 || password_hash("correct horse", &cost, own) != 0 ||
	                       password_hash("", &cost, decoy) != 0
	               ? -1
	               : 0;
}

static void run(const char *hash, const char *password, const char *new_password)
{
	password_job_begin(&job, &cost, hash, password, new_password);
	assert_true(password_job_is_sound(&job));
	password_job_run(&job, decoy, &answer);
}

static void right_and_wrong_are_told_apart(void **state)
{
	(void)state;
	run(own, "correct horse", NULL);
	assert_int_equal(answer.match, PASSWORD_RIGHT);
	assert_string_equal(answer.new_hash, "");
	run(own, "wrong", NULL);
	assert_int_equal(answer.match, PASSWORD_WRONG);
}

/* The decoy's own password, which is empty, is refused as well. */
static void nobodys_password_is_never_right(void **state)
{
	static const char *const hashes[] = {NULL, "", "!", "plain text", "md5$x$y"};

	(void)state;
	for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
		run(hashes[i], "", NULL);
		assert_string_equal(job.hash, "");
		assert_int_equal(answer.match, PASSWORD_WRONG);
		assert_string_equal(answer.new_hash, "");
	}
}

/* A password whose first 1024 bytes match is wrong. */
static void what_is_too_long_is_nobodys(void **state)
{
	char password[PASSWORD_MAX + 2], hash[PASSWORD_HASH_SIZE];

	(void)state;
	memset(password, 'a', sizeof password);
	password[PASSWORD_MAX] = '\0';
	assert_int_equal(password_hash(password, &cost, hash), 0);
	run(hash, password, NULL);
	assert_int_equal(answer.match, PASSWORD_RIGHT);
	password[PASSWORD_MAX] = 'a';
	password[PASSWORD_MAX + 1] = '\0';
	run(hash, password, NULL);
	assert_int_equal(answer.match, PASSWORD_WRONG);
	assert_string_equal(job.hash, "");
}

static void new_hash_is_made_of_a_right_password_only(void **state)
{
	const struct password_cost other = {.memory = 16384, .passes = 1};

	(void)state;
	run(own, "correct horse", "battery staple");
	assert_int_equal(password_verify(answer.new_hash, "battery staple"), PASSWORD_RIGHT);
	run(own, "wrong", "battery staple");
	assert_string_equal(answer.new_hash, "");
	/* Of another cost. */
	password_job_begin(&job, &other, own, "correct horse", NULL);
	password_job_run(&job, decoy, &answer);
	assert_int_equal(answer.match, PASSWORD_RIGHT);
	assert_int_equal(password_verify(answer.new_hash, "correct horse"), PASSWORD_RIGHT);
	assert_false(password_needs_rehash(answer.new_hash, &other));
	/* The hash of a closed account is not updated. */
	job.is_closed = true;
	password_job_run(&job, decoy, &answer);
	assert_int_equal(answer.match, PASSWORD_RIGHT);
	assert_string_equal(answer.new_hash, "");
}

/* However often the job runs: the result depends on the password only. */
static void wrong_password_that_is_not_composed_is_compared_twice(void **state)
{
	static const char composed[] = "caf\u00e9 au lait", decomposed[] = "cafe\u0301 au lait";
	char hash[PASSWORD_HASH_SIZE];

	(void)state;
	assert_int_equal(password_hash(decomposed, &cost, hash), 0);
	assert_int_equal(password_verify(hash, composed), PASSWORD_RIGHT);
	run(hash, composed, NULL);
	assert_int_equal(answer.match, PASSWORD_RIGHT);
	assert_int_equal(answer.tries, 1);
	run(hash, decomposed, NULL);
	assert_int_equal(answer.match, PASSWORD_RIGHT);
	assert_int_equal(answer.tries, 2);
	run(hash, "wrong", NULL);
	assert_int_equal(answer.tries, 1);
	for (size_t i = 0; i < 2; i++) {
		run(i == 0 ? own : NULL, decomposed, NULL);
		assert_int_equal(answer.match, PASSWORD_WRONG);
		assert_int_equal(answer.tries, 2);
	}
	run(own, "no UTF-8: \xff e\xcc", NULL);
	assert_int_equal(answer.match, PASSWORD_WRONG);
	assert_int_equal(answer.tries, 1);
}

static void job_from_anywhere_is_looked_through(void **state)
{
	(void)state;
	password_job_begin(&job, &cost, own, "password", "new");
	memset(job.password, 'a', sizeof job.password);
	assert_false(password_job_is_sound(&job));
	password_job_begin(&job, &cost, own, "password", "new");
	memset(job.new_password, 'a', sizeof job.new_password);
	assert_false(password_job_is_sound(&job));
	password_job_begin(&job, &cost, own, "password", "new");
	memset(job.hash, 'a', sizeof job.hash);
	assert_false(password_job_is_sound(&job));
	password_job_begin(&job, &(const struct password_cost){.memory = INT64_MAX, .passes = 1}, own, "", NULL);
	assert_false(password_job_is_sound(&job));
	password_job_begin(&job, &(const struct password_cost){.memory = 8192, .passes = -1}, own, "", NULL);
	assert_false(password_job_is_sound(&job));
}

static void failures_take_as_long_as_the_slowest(void **state)
{
	struct password_pace pace;
	int64_t before;

	(void)state;
	password_pace_begin(&pace, 100000);
	before = password_pace_failure_us(&pace);
	assert_in_range(before, 500000, 700000);
	/* A quicker form changes nothing, whatever the time that was measured. */
	password_pace_note(&pace, 100000, 100000);
	password_pace_note(&pace, 2000, 200000);
	password_pace_note(&pace, 0, 200000);
	assert_int_equal(password_pace_failure_us(&pace), before);
	/* A slower form sets the time of all from then on. */
	password_pace_note(&pace, 800000, 800000);
	before = password_pace_failure_us(&pace);
	assert_in_range(before, 800000, 1100000);
	/* And a busy machine makes all of them slower. */
	for (int i = 0; i < 30; i++)
		password_pace_note(&pace, 100000, 300000);
	assert_in_range(password_pace_failure_us(&pace), 29 * before / 10, 3 * before);
	for (int i = 0; i < 30; i++)
		password_pace_note(&pace, 100000, 90000);
	assert_in_range(password_pace_failure_us(&pace), before, 11 * before / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_and_wrong_are_told_apart),
		cmocka_unit_test(nobodys_password_is_never_right),
		cmocka_unit_test(what_is_too_long_is_nobodys),
		cmocka_unit_test(new_hash_is_made_of_a_right_password_only),
		cmocka_unit_test(wrong_password_that_is_not_composed_is_compared_twice),
		cmocka_unit_test(job_from_anywhere_is_looked_through),
		cmocka_unit_test(failures_take_as_long_as_the_slowest),
	};

	return cmocka_run_group_tests(tests, set_up_all, NULL);
}

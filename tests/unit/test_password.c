#include "session/password.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sodium.h>
#include <string.h>

/* The least that libsodium does: these tests are not about time. */
static const struct password_cost cheapest = {.memory = 8192, .passes = 1};

static void right_password_and_no_other_is_right(void **state)
{
	char hash[PASSWORD_HASH_SIZE];

	(void)state;
	assert_int_equal(password_hash("correct horse", &cheapest, hash), 0);
	assert_true(password_verify(hash, "correct horse"));
	assert_false(password_verify(hash, "correct horsf"));
	assert_false(password_verify(hash, "correct horse "));
	assert_false(password_verify(hash, "correct hors"));
	assert_false(password_verify(hash, ""));
}

static void hash_is_argon2id_with_the_cost_asked_for_and_a_salt(void **state)
{
	const struct password_cost cost = {.memory = INT64_C(64) * 1024, .passes = 2};
	char one[PASSWORD_HASH_SIZE], other[PASSWORD_HASH_SIZE];

	(void)state;
	assert_int_equal(password_hash("secret", &cost, one), 0);
	assert_int_equal(password_hash("secret", &cost, other), 0);
	assert_non_null(strstr(one, "$argon2id$v=19$m=64,t=2,p=1$"));
	assert_string_not_equal(one, other);
}

static void longest_password_counts_to_its_last_byte(void **state)
{
	char password[PASSWORD_MAX + 1];
	char hash[PASSWORD_HASH_SIZE];

	(void)state;
	memset(password, 'x', PASSWORD_MAX);
	password[PASSWORD_MAX] = '\0';
	assert_int_equal(password_hash(password, &cheapest, hash), 0);
	assert_true(password_verify(hash, password));
	password[PASSWORD_MAX - 1] = 'y';
	assert_false(password_verify(hash, password));
}

static void argon2i_of_another_program_is_understood(void **state)
{
	char hash[PASSWORD_HASH_SIZE];

	(void)state;
	assert_int_equal(crypto_pwhash_str_alg(hash, "secret", strlen("secret"), crypto_pwhash_argon2i_OPSLIMIT_MIN,
	                                       crypto_pwhash_argon2i_MEMLIMIT_MIN, crypto_pwhash_ALG_ARGON2I13),
	                 0);
	assert_true(password_verify(hash, "secret"));
	assert_false(password_verify(hash, "Secret"));
}

static void hash_of_no_known_form_is_never_right(void **state)
{
	static const char *const hashes[] = {
		"",
		"secret",
		"!",
		"$argon2id$",
		"$argon2id$v=19$m=8,t=1,p=1$",
		"$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$",
		"$2y$10$abcdefghijklmnopqrstuuJ8kQ0F3zq4cZ1Qb5nS0v5mB0i7VhXyG",
		"pbkdf2_sha256$260000$salt$hash",
	};
	char too_long[200];

	(void)state;
	for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
		assert_false(password_verify(hashes[i], "secret"));
		assert_false(password_verify(hashes[i], ""));
	}
	memset(too_long, 'A', sizeof too_long);
	memcpy(too_long, "$argon2id$", strlen("$argon2id$"));
	too_long[sizeof too_long - 1] = '\0';
	assert_false(password_verify(too_long, "secret"));
}

static void cost_that_cannot_be_had_is_a_failure(void **state)
{
	char hash[PASSWORD_HASH_SIZE];

	(void)state;
	assert_int_equal(password_hash("secret", &(const struct password_cost){.memory = 1, .passes = 1}, hash), -1);
	assert_int_equal(password_hash("secret", &(const struct password_cost){.memory = 8192, .passes = 0}, hash), -1);
	assert_int_equal(password_hash("secret", &(const struct password_cost){.memory = -1, .passes = 1}, hash), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_password_and_no_other_is_right),
		cmocka_unit_test(hash_is_argon2id_with_the_cost_asked_for_and_a_salt),
		cmocka_unit_test(longest_password_counts_to_its_last_byte),
		cmocka_unit_test(argon2i_of_another_program_is_understood),
		cmocka_unit_test(hash_of_no_known_form_is_never_right),
		cmocka_unit_test(cost_that_cannot_be_had_is_a_failure),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

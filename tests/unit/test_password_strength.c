/* How easily a new password is guessed. */
#include "session/password_strength.h"

#include "session/password.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct password_owner nobody = {0};
static const struct password_owner ada = {
	.username = "Wolpertinger", .email = "a.zarathustra@xn--mller-kva.example", .site = "Kino Babylon"};

static bool is_refused(const char *password, int64_t strength, const struct password_owner *owner)
{
	return password_strength_problem(password, strength, owner) != NULL;
}

static void each_strength_withstands_more_guesses(void **state)
{
	static const struct {
		const char *password;
		int64_t strength; /* that it still has */
	} cases[] = {
		{"password", 0},
		{"12345678", 0},
		{"aaaaaaaa", 0},
		{"Password1", 0},
		{"wonderland", 1},
		{"new password", 1},
		{"another password", 1},
		{"geheimnis", 2},
		{"correct horse", 3},
		{"tr0ub4dor&3", 4},
		{"correct horse battery staple", 4},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		for (int64_t strength = 0; strength <= 4; strength++) {
			if (is_refused(cases[i].password, strength, &nobody) != (strength > cases[i].strength))
				fail_msg("%s at %d", cases[i].password, (int)strength);
		}
	}
}

static void what_is_known_of_a_person_is_no_password(void **state)
{
	static const char *const personal[] = {"wolpertinger", "W0lpertinger1", "zarathustra",
	                                       "Babylon1",     "kino babylon",  "a.zarathustra@xn--mller-kva.example"};

	(void)state;
	for (size_t i = 0; i < sizeof personal / sizeof personal[0]; i++) {
		assert_true(is_refused(personal[i], 2, &ada));
		assert_non_null(strstr(password_strength_problem(personal[i], 2, &ada), "your name"));
	}
	assert_false(is_refused("wolpertinger", 2, &nobody));
	/* Parts too short to mean anything are in others by chance. */
	assert_false(
		is_refused("correct horse", 2, &(const struct password_owner){.username = "co", .email = "r@e.ct"}));
}

static void sentence_says_what_is_wrong(void **state)
{
	static const char *const cases[][2] = {
		{"password", "many people"}, {"xyxyxyxyxyxyxy", "repeats"}, {"qwertyuiop[]", "row"},
		{"abcdefgh", "row"},         {"12.12.1987", "date"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const char *sentence = password_strength_problem(cases[i][0], 2, &nobody);

		assert_non_null(sentence);
		if (strstr(sentence, cases[i][1]) == NULL)
			fail_msg("%s: %s", cases[i][0], sentence);
	}
}

static void longest_password_is_judged_by_its_beginning(void **state)
{
	char password[PASSWORD_MAX + 1], name[600];

	(void)state;
	memset(password, 'a', PASSWORD_MAX);
	password[PASSWORD_MAX] = '\0';
	memset(name, 'a', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	assert_true(
		is_refused(password, 4, &(const struct password_owner){.username = name, .email = name, .site = name}));
	for (size_t i = 0; i < PASSWORD_MAX; i++)
		password[i] = "correct horse battery staple "[i % 29];
	assert_false(is_refused(password, 4, &nobody));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_strength_withstands_more_guesses),
		cmocka_unit_test(what_is_known_of_a_person_is_no_password),
		cmocka_unit_test(sentence_says_what_is_wrong),
		cmocka_unit_test(longest_password_is_judged_by_its_beginning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

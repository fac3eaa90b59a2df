/* What a place needs, judged by the text of ONESESSION_REQUIRE. */
#include "../../handlers/shared/shared.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define MINUTE INT64_C(60000000)
#define NOW    (1000000 * MINUTE)

static const struct ones_session nobodys = {.email = NULL, .plan = NULL, .groups = "", .proved_at = NOW - 5 * MINUTE};
static const struct ones_session members = {
	.email = "a@example.org",
	.plan = "gold",
	.valid_until = NOW + 1,
	.groups = "staff,editors",
	.proved_at = NOW - 5 * MINUTE,
};

static void assert_judged(const struct ones_session *session, const char *text, enum requirement_result expected,
                          const char *needed)
{
	const struct requirement judged = requirement_judge(text, session, NOW);

	if (judged.result != expected)
		fail_msg("\"%s\" is %d, not %d", text != NULL ? text : "(null)", (int)judged.result, (int)expected);
	if (judged.length != strlen(needed) || memcmp(judged.needed, needed, judged.length) != 0)
		fail_msg("\"%s\" needs \"%.*s\", not \"%s\"", text, (int)judged.length, judged.needed, needed);
}

static void without_a_term_it_is_any_live_session(void **state)
{
	static const char *const texts[] = {NULL, "", "   ", "live", " live", "live  live "};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		assert_judged(&nobodys, texts[i], REQUIREMENT_HOLDS, "");
		assert_judged(NULL, texts[i], REQUIREMENT_NO_SESSION, "");
	}
}

static void account_has_one_of_the_plans(void **state)
{
	(void)state;
	assert_judged(&members, "plan=gold", REQUIREMENT_HOLDS, "");
	assert_judged(&members, "plan=silver|gold|platinum", REQUIREMENT_HOLDS, "");
	assert_judged(&members, "plan=gol", REQUIREMENT_PLAN, "gol");
	assert_judged(&members, "plan=golden|Gold", REQUIREMENT_PLAN, "golden|Gold");
	assert_judged(&nobodys, "plan=gold", REQUIREMENT_PLAN, "gold");
	assert_judged(NULL, "plan=gold", REQUIREMENT_NO_SESSION, "gold");
}

static void plan_ends_at_its_moment(void **state)
{
	struct ones_session session = members;

	(void)state;
	session.valid_until = NOW;
	assert_judged(&session, "plan=gold|silver", REQUIREMENT_ENDED, "gold|silver");
	/* Of one that would not do there is nothing to renew. */
	assert_judged(&session, "plan=silver", REQUIREMENT_PLAN, "silver");
	assert_judged(&session, "live group=staff", REQUIREMENT_HOLDS, "");
	session.valid_until = INT64_MIN;
	assert_judged(&session, "plan=gold", REQUIREMENT_ENDED, "gold");
	session.valid_until = INT64_MAX;
	assert_judged(&session, "plan=gold", REQUIREMENT_HOLDS, "");
	session.valid_until = 0;
	assert_judged(&session, "plan=gold", REQUIREMENT_HOLDS, "");
}

static void account_is_in_one_of_the_groups(void **state)
{
	(void)state;
	assert_judged(&members, "group=staff", REQUIREMENT_HOLDS, "");
	assert_judged(&members, "group=none|editors", REQUIREMENT_HOLDS, "");
	assert_judged(&members, "group=staff group=editors", REQUIREMENT_HOLDS, "");
	assert_judged(&members, "group=staff group=boss", REQUIREMENT_GROUP, "boss");
	assert_judged(&members, "group=edit|itors", REQUIREMENT_GROUP, "edit|itors");
	assert_judged(&nobodys, "group=staff", REQUIREMENT_GROUP, "staff");
}

static void address_is_verified(void **state)
{
	(void)state;
	assert_judged(&members, "verified", REQUIREMENT_HOLDS, "");
	assert_judged(&nobodys, "verified", REQUIREMENT_UNVERIFIED, "");
	assert_judged(NULL, "verified", REQUIREMENT_NO_SESSION, "");
}

static void proof_is_so_fresh(void **state)
{
	struct ones_session session = members;

	(void)state;
	assert_judged(&members, "fresh=301s", REQUIREMENT_HOLDS, "");
	assert_judged(&members, "fresh=5m", REQUIREMENT_STALE, "5m");
	assert_judged(&members, "fresh=365d", REQUIREMENT_HOLDS, "");
	session.proved_at = INT64_MIN;
	assert_judged(&session, "fresh=365d", REQUIREMENT_STALE, "365d");
	assert_judged(NULL, "fresh=5m", REQUIREMENT_NO_SESSION, "5m");
}

static void all_terms_have_to_hold_and_the_first_that_fails_is_told(void **state)
{
	(void)state;
	assert_judged(&members, "live plan=gold  group=staff verified fresh=6m", REQUIREMENT_HOLDS, "");
	assert_judged(&nobodys, "live verified plan=gold group=staff", REQUIREMENT_UNVERIFIED, "");
	assert_judged(&nobodys, "group=staff verified plan=gold", REQUIREMENT_GROUP, "staff");
	assert_judged(&members, "fresh=1m group=boss", REQUIREMENT_STALE, "1m");
}

static void optional_stands_alone_and_is_open_to_everybody(void **state)
{
	(void)state;
	assert_judged(NULL, "optional", REQUIREMENT_HOLDS, "");
	assert_judged(&nobodys, " optional ", REQUIREMENT_HOLDS, "");
	assert_true(requirement_judge("optional", NULL, 0).is_optional);
	assert_judged(&members, "optional live", REQUIREMENT_NOT_UNDERSTOOD, "");
	assert_judged(&members, "optional optional", REQUIREMENT_NOT_UNDERSTOOD, "");
	assert_judged(NULL, "group=staff optional", REQUIREMENT_NOT_UNDERSTOOD, "");
}

static void what_is_not_understood_lets_nobody_in(void **state)
{
	static const char *const texts[] = {
		"LIVE",
		"live,verified",
		"live;",
		"live\tverified",
		"live\n",
		"nothing",
		"plan",
		"plan=",
		"plan=|gold",
		"plan=gold|",
		"plan=gold||x",
		"plan=-gold",
		"plan=gold,x",
		"Plan=gold",
		"plan=g\xc3",
		"plan=gold\"",
		"plan= gold",
		"group=",
		"group=a b|",
		"verified=1",
		"fresh",
		"fresh=",
		"fresh=0",
		"fresh=999ms",
		"fresh=366d",
		"fresh=10",
		"fresh=-5m",
		"fresh=5 m",
		"factor=2",
		"live factor=2",
		"plan=gold what",
		"$session_require",
		"live=",
		"optionally",
		"fresh=99999999999999999999d",
		"plan=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		assert_judged(&members, texts[i], REQUIREMENT_NOT_UNDERSTOOD, "");
		assert_judged(NULL, texts[i], REQUIREMENT_NOT_UNDERSTOOD, "");
	}
}

static void term_that_fails_hides_none_that_is_not_understood(void **state)
{
	(void)state;
	assert_judged(&nobodys, "plan=gold nothing", REQUIREMENT_NOT_UNDERSTOOD, "");
	assert_judged(&members, "live verified plan=", REQUIREMENT_NOT_UNDERSTOOD, "");
}

static void longest_text_is_understood_and_no_longer_one(void **state)
{
	char text[REQUIREMENT_MAX + 2];

	(void)state;
	memset(text, ' ', sizeof text);
	memcpy(text, "live", 4);
	text[REQUIREMENT_MAX] = '\0';
	assert_judged(&members, text, REQUIREMENT_HOLDS, "");
	text[REQUIREMENT_MAX] = ' ';
	text[REQUIREMENT_MAX + 1] = '\0';
	assert_judged(&members, text, REQUIREMENT_NOT_UNDERSTOOD, "");
}

static void programs_are_told_what_would_be_needed(void **state)
{
	static const struct {
		const char *text, *code, *json;
		int status;
	} cases[] = {
		{"plan=gold|platinum", "plan_required", "{\"plan\": [\"gold\", \"platinum\"]}", 403},
		{"group=boss", "group_required", "{\"group\": [\"boss\"]}", 403},
		{"verified", "verification_required", "{\"verified\": true}", 403},
		{"fresh=1m", "stale", "{\"fresh\": \"1m\"}", 401},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct requirement judged = requirement_judge(cases[i].text, &nobodys, NOW);
		json_t *needed = requirement_needed_json(&judged);
		json_t *expected = json_loads(cases[i].json, 0, NULL);

		assert_string_equal(requirement_code(judged.result), cases[i].code);
		assert_int_equal(requirement_status(judged.result), cases[i].status);
		assert_true(json_equal(needed, expected));
		json_decref(needed);
		json_decref(expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_term_it_is_any_live_session),
		cmocka_unit_test(account_has_one_of_the_plans),
		cmocka_unit_test(plan_ends_at_its_moment),
		cmocka_unit_test(account_is_in_one_of_the_groups),
		cmocka_unit_test(address_is_verified),
		cmocka_unit_test(proof_is_so_fresh),
		cmocka_unit_test(all_terms_have_to_hold_and_the_first_that_fails_is_told),
		cmocka_unit_test(optional_stands_alone_and_is_open_to_everybody),
		cmocka_unit_test(what_is_not_understood_lets_nobody_in),
		cmocka_unit_test(term_that_fails_hides_none_that_is_not_understood),
		cmocka_unit_test(longest_text_is_understood_and_no_longer_one),
		cmocka_unit_test(programs_are_told_what_would_be_needed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

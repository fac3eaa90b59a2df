/* What can be added to the policy of a page, and what it becomes. */
#include "http/policy.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void directive_with_sources_can_be_allowed(void **state)
{
	static const char *const right[] = {
		"media-src 'self'",
		"img-src https://img.example.org data: *.example.org:8443/path",
		"script-src 'nonce-aGVsbG8=' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
		"connect-src  wss://stream.example.org  *",
		"worker-src blob:",
	};

	(void)state;
	for (size_t i = 0; i < sizeof right / sizeof right[0]; i++)
		assert_true(policy_can_allow(right[i]));
}

static void anything_else_cannot(void **state)
{
	static const char *const wrong[] = {
		"",
		"media-src",
		"media-src ",
		"media-src 'none'",
		"media-src self'",
		"media-src 'self",
		"media-src '",
		"media-src ''",
		"media-src 'self'; script-src *",
		"media-src 'self', script-src *",
		"media-src 'self'\r\nX: y",
		"media-src \xc3\xa9",
		"media-src \"a\"",
		"media-src .",
		"script-src 'nonce-'",
		"script-src 'nonce-a b'",
		"default-src *",
		"base-uri 'self'",
		"report-uri /x",
		"Media-Src 'self'",
		"mediasrc 'self'",
		" media-src 'self'",
		"media-src\t'self'",
	};

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_false(policy_can_allow(wrong[i]));
}

static void sources_come_to_those_of_the_directive(void **state)
{
	static const char base[] =
		"default-src 'none'; img-src 'self' data:; frame-ancestors 'none'; form-action 'self'";
	static const struct {
		const char *directive, *policy;
	} cases[] = {
		{"media-src 'self'",
	         "default-src 'none'; img-src 'self' data:; frame-ancestors 'none'; form-action 'self'; "
	         "media-src 'self'"},
		{"img-src https://a.example",
	         "default-src 'none'; img-src 'self' data: https://a.example; frame-ancestors "
	         "'none'; form-action 'self'"},
		{"frame-ancestors 'self'",
	         "default-src 'none'; img-src 'self' data:; frame-ancestors 'self'; form-action 'self'"},
		{"form-action https://a.example", "default-src 'none'; img-src 'self' data:; frame-ancestors 'none'; "
	                                          "form-action 'self' https://a.example"},
	};
	TALLOC_CTX *ctx = talloc_new(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_string_equal(policy_allow(ctx, base, cases[i].directive), cases[i].policy);
	talloc_free(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(directive_with_sources_can_be_allowed),
		cmocka_unit_test(anything_else_cannot),
		cmocka_unit_test(sources_come_to_those_of_the_directive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "session/token.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <sodium.h>
#include <string.h>

#define WELL_FORMED "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno-_"

static void generated_tokens_are_well_formed_and_all_different(void **state)
{
	char tokens[100][TOKEN_LENGTH + 1];

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		token_generate(tokens[i]);
		assert_true(token_is_well_formed(tokens[i]));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(tokens[i], tokens[j]);
	}
}

static void only_43_characters_of_base64url_are_well_formed(void **state)
{
	static const char *const wrong[] = {
		"",
		"A",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop",
		WELL_FORMED "A",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno+/",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop=",
		" BCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno-_",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno-\n",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno\xc3\xa9",
	};

	(void)state;
	assert_true(token_is_well_formed(WELL_FORMED));
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_false(token_is_well_formed(wrong[i]));
}

static void key_is_the_sha256_of_the_characters(void **state)
{
	/* printf 'A%.0s' $(seq 43) | sha256sum */
	static const uint8_t of_43_letters_a[32] = {
		0x0f, 0x00, 0x73, 0x85, 0xb6, 0xf9, 0xd4, 0xb7, 0xee, 0xb2, 0x74, 0x86, 0x05, 0xaf, 0xe1, 0xa9,
		0x84, 0xa0, 0xa3, 0xbf, 0xa3, 0xf0, 0x14, 0xd0, 0x9e, 0x2a, 0x78, 0x4c, 0xe9, 0xe5, 0xcd, 0x1a,
	};
	struct session_key key = token_key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");

	(void)state;
	assert_memory_equal(key.bytes, of_43_letters_a, sizeof key.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generated_tokens_are_well_formed_and_all_different),
		cmocka_unit_test(only_43_characters_of_base64url_are_well_formed),
		cmocka_unit_test(key_is_the_sha256_of_the_characters),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

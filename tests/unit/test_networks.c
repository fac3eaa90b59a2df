#include "base/networks.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

static TALLOC_CTX *ctx;

static int set_up(void **state)
{
	(void)state;
	ctx = talloc_new(NULL);
	return ctx != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return talloc_free(ctx);
}

static const struct networks *parse(const char *text)
{
	const char *wrong;
	const struct networks *networks = networks_parse(ctx, text, &wrong);

	if (networks == NULL)
		fail_msg("%s is refused", text);
	assert_null(wrong);
	return networks;
}

static void assert_has(const char *list, const char *address)
{
	if (!networks_have_text(parse(list), address))
		fail_msg("%s lacks %s", list, address);
}

static void assert_lacks(const char *list, const char *address)
{
	if (networks_have_text(parse(list), address))
		fail_msg("%s has %s", list, address);
}

static void address_alone_is_that_address(void **state)
{
	(void)state;
	assert_has("192.0.2.1", "192.0.2.1");
	assert_lacks("192.0.2.1", "192.0.2.0");
	assert_lacks("192.0.2.1", "192.0.2.2");
	assert_has("2001:db8::1", "2001:db8::1");
	assert_has("2001:db8::1", "2001:0db8:0:0:0:0:0:1");
	assert_has("2001:DB8::A", "2001:db8::a");
	assert_lacks("2001:db8::1", "2001:db8::2");
}

static void prefix_covers_its_network_to_the_last_bit(void **state)
{
	(void)state;
	assert_has("192.0.2.0/24", "192.0.2.0");
	assert_has("192.0.2.0/24", "192.0.2.255");
	assert_lacks("192.0.2.0/24", "192.0.3.0");
	assert_lacks("192.0.2.0/24", "192.0.1.255");
	assert_has("192.0.2.128/25", "192.0.2.128");
	assert_lacks("192.0.2.128/25", "192.0.2.127");
	assert_has("192.0.2.4/31", "192.0.2.5");
	assert_lacks("192.0.2.4/31", "192.0.2.6");
	assert_has("192.0.2.4/32", "192.0.2.4");
	assert_lacks("192.0.2.4/32", "192.0.2.5");
	assert_has("10.0.0.0/1", "127.255.255.255");
	assert_lacks("10.0.0.0/1", "128.0.0.0");
	assert_has("2001:db8::/32", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");
	assert_lacks("2001:db8::/32", "2001:db9::");
	assert_has("2001:db8::/127", "2001:db8::1");
	assert_lacks("2001:db8::/127", "2001:db8::2");
	assert_has("fc00::/7", "fdff::1");
	assert_lacks("fc00::/7", "fe00::");
}

static void bits_behind_the_prefix_do_not_matter(void **state)
{
	(void)state;
	assert_has("192.0.2.77/24", "192.0.2.1");
	assert_has("2001:db8::77/64", "2001:db8::1");
}

static void prefix_0_is_everything_of_its_kind(void **state)
{
	(void)state;
	assert_has("0.0.0.0/0", "0.0.0.0");
	assert_has("0.0.0.0/0", "255.255.255.255");
	assert_lacks("0.0.0.0/0", "::1");
	assert_lacks("0.0.0.0/0", "::");
	assert_has("::/0", "::1");
	assert_has("::/0", "ffff::");
	assert_lacks("::/0", "192.0.2.1");
	assert_lacks("::/0", "::ffff:192.0.2.1");
}

/* An IPv6 socket reports IPv4 peers in this form. */
static void v4_mapped_is_the_same_as_v4(void **state)
{
	const struct in_addr v4 = {htonl(0xc0000201)};
	struct in6_addr mapped = networks_map_v4(&v4);
	char text[INET6_ADDRSTRLEN];

	(void)state;
	assert_non_null(inet_ntop(AF_INET6, &mapped, text, sizeof text));
	assert_string_equal(text, "::ffff:192.0.2.1");
	assert_true(networks_have(parse("192.0.2.1"), &mapped));
	assert_true(networks_have(parse("192.0.2.0/24"), &mapped));
	assert_false(networks_have(parse("192.0.2.2"), &mapped));
	assert_has("192.0.2.0/24", "::ffff:192.0.2.200");
	assert_has("192.0.2.0/24", "::ffff:c000:2c8");
	assert_lacks("192.0.2.0/24", "::ffff:192.0.3.0");
	assert_has("::ffff:192.0.2.1", "192.0.2.1");
	assert_has("::ffff:192.0.2.0/120", "192.0.2.9");
	assert_lacks("::ffff:192.0.2.0/120", "192.0.3.9");
	assert_has("::ffff:0:0/96", "198.51.100.1");
	/* The older, "compatible" form is an address like any other. */
	assert_lacks("192.0.2.1", "::192.0.2.1");
}

static void list_has_what_any_of_its_words_has(void **state)
{
	(void)state;
	assert_has("127.0.0.1 ::1", "127.0.0.1");
	assert_has("127.0.0.1 ::1", "::1");
	assert_lacks("127.0.0.1 ::1", "::2");
	assert_has(" \t10.0.0.0/8  \t 2001:db8::/32 ", "2001:db8::5");
	assert_lacks("", "127.0.0.1");
	assert_lacks(" \t ", "::1");
}

static void what_is_no_address_is_in_no_network(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"localhost",
		"127.0.0.1 ",
		" 127.0.0.1",
		"127.0.0.1,127.0.0.1",
		"127.0.0.1/32",
		"127.1",
		"0177.0.0.1",
		"0x7f000001",
		"2130706433",
		"::1%lo",
		"[::1]",
		":",
		"127.0.0.1:80",
		"1.2.3.4.5",
	};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		assert_lacks("0.0.0.0/0 ::/0", texts[i]);
}

static void word_that_is_wrong_is_named(void **state)
{
	static const struct {
		const char *list;
		const char *word;
	} lists[] = {
		{"localhost", "localhost"},
		{"127.0.0.1 10.0.0.0/33 ::1", "10.0.0.0/33"},
		{"::1/129", "::1/129"},
		{"127.0.0.1,::1", "127.0.0.1,::1"},
		{"10.0.0.0/", "10.0.0.0/"},
		{"10.0.0.0/-1", "10.0.0.0/-1"},
		{"10.0.0.0/+1", "10.0.0.0/+1"},
		{"10.0.0.0/8/8", "10.0.0.0/8/8"},
		{"/8", "/8"},
		{"10/8", "10/8"},
		{"::/0 x", "x"},
	};
	const char *wrong;

	(void)state;
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		if (networks_parse(ctx, lists[i].list, &wrong) != NULL)
			fail_msg("%s is taken", lists[i].list);
		assert_non_null(wrong);
		assert_string_equal(wrong, lists[i].word);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(address_alone_is_that_address),        TEST(prefix_covers_its_network_to_the_last_bit),
		TEST(bits_behind_the_prefix_do_not_matter), TEST(prefix_0_is_everything_of_its_kind),
		TEST(v4_mapped_is_the_same_as_v4),          TEST(list_has_what_any_of_its_words_has),
		TEST(what_is_no_address_is_in_no_network),  TEST(word_that_is_wrong_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

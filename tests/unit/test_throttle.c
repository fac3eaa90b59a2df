#include "session/throttle.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void assert_address(const char *ip, const char *expected)
{
	char address[THROTTLE_NETWORK_SIZE];

	if (!throttle_address(ip, address))
		fail_msg("%s is refused", ip);
	assert_string_equal(address, expected);
}

static void assert_network(const char *ip, const char *expected)
{
	char network[THROTTLE_NETWORK_SIZE];

	if (!throttle_network(ip, network))
		fail_msg("%s is refused", ip);
	assert_string_equal(network, expected);
}

static void address_of_ipv4_is_counted_by_itself(void **state)
{
	(void)state;
	assert_address("192.0.2.1", "192.0.2.1");
	assert_address("255.255.255.255", "255.255.255.255");
	assert_address("::ffff:192.0.2.1", "192.0.2.1");
	assert_address("::FFFF:c000:0201", "192.0.2.1");
}

static void address_of_ipv6_is_counted_by_its_first_half(void **state)
{
	(void)state;
	assert_address("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64");
	assert_address("2001:DB8:1:2::", "2001:db8:1:2::/64");
	assert_address("2001:db8:1:3::1", "2001:db8:1:3::/64");
	assert_address("::1", "::/64");
	assert_address("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff::/64");
}

static void address_of_ipv6_is_counted_by_its_larger_network_too(void **state)
{
	char network[THROTTLE_NETWORK_SIZE];

	(void)state;
	assert_network("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48");
	assert_network("2001:db8:1:ffff::", "2001:db8:1::/48");
	assert_network("2001:db8:2::1", "2001:db8:2::/48");
	assert_network("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff::/48");
	assert_false(throttle_network("192.0.2.1", network));
	assert_false(throttle_network("::ffff:192.0.2.1", network));
}

static void what_is_no_address_is_not_counted(void **state)
{
	static const char *const others[] = {"", "unix:", "192.0.2.1.", "192.0.2.1/24", "fe80::1%eth0"};
	char network[THROTTLE_NETWORK_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
		assert_false(throttle_address(others[i], network));
		assert_false(throttle_network(others[i], network));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(address_of_ipv4_is_counted_by_itself),
		cmocka_unit_test(address_of_ipv6_is_counted_by_its_first_half),
		cmocka_unit_test(address_of_ipv6_is_counted_by_its_larger_network_too),
		cmocka_unit_test(what_is_no_address_is_not_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

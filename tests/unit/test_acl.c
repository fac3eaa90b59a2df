#include "pool/acl.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static TALLOC_CTX *ctx;

/* ---- Helpers ------------------------------------------------------------------------------------------------ */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* The accepted end of a TCP connection, and the client's. */
struct connection {
	int accepted;
	int peer;
};

static socklen_t make_address(union address *address, const char *text, in_port_t port)
{
	memset(address, 0, sizeof *address);
	if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1) {
		address->v4.sin_family = AF_INET;
		address->v4.sin_port = port;
		return sizeof address->v4;
	}
	assert_int_equal(inet_pton(AF_INET6, text, &address->v6.sin6_addr), 1);
	address->v6.sin6_family = AF_INET6;
	address->v6.sin6_port = port;
	return sizeof address->v6;
}

static int open_socket(union address *address, const char *text)
{
	const socklen_t size = make_address(address, text, 0);
	const int off = 0;
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
	    (address->any.sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) ||
	    bind(fd, &address->any, size) != 0) {
		/* Some machines have no IPv6. */
		if (address->any.sa_family == AF_INET6 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
			skip();
		fail_msg("%s: %s", text, strerror(errno));
	}
	return fd;
}

/* `from` connects to `listening`; its target is `to`, which differs from that where it is the address of any. */
static struct connection open_connection(const char *listening, const char *to, const char *from)
{
	struct connection connection;
	union address address;
	socklen_t size = sizeof address;
	int listener = open_socket(&address, listening);
	in_port_t port;

	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, &address.any, &size), 0);
	port = address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port;
	connection.peer = open_socket(&address, from);
	size = make_address(&address, to, port);
	assert_int_equal(connect(connection.peer, &address.any, size), 0);
	connection.accepted = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(connection.accepted >= 0);
	close(listener);
	return connection;
}

static void close_connection(const struct connection *connection)
{
	close(connection->accepted);
	close(connection->peer);
}

static struct acl *make_rules(const char *clients, const char *users)
{
	struct problem problem = {0};
	struct acl *rules = acl_new(ctx, clients, users, &problem);

	if (rules == NULL)
		fail_msg("%s", problem.text);
	return rules;
}

static bool is_allowed(const struct acl *rules, int fd)
{
	struct sockaddr_storage peer;
	socklen_t size = sizeof peer;

	assert_int_equal(getpeername(fd, (struct sockaddr *)&peer, &size), 0);
	return acl_allows(rules, fd, &peer);
}

static void assert_clients(const struct connection *connection, const char *clients, bool expected)
{
	if (is_allowed(make_rules(clients, ""), connection->accepted) != expected)
		fail_msg("\"%s\" %s", clients, expected ? "keeps it out" : "lets it in");
}

static void assert_users(int fd, const char *users, bool expected)
{
	if (is_allowed(make_rules("", users), fd) != expected)
		fail_msg("\"%s\" %s", users, expected ? "keeps it out" : "lets it in");
}

static int set_up(void **state)
{
	(void)state;
	ctx = talloc_new(NULL);
	return ctx != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	talloc_free(ctx);
	return 0;
}

/* ---- Addresses ---------------------------------------------------------------------------------------------- */

static const char *const with_127_1_2_3[] = {
	"127.1.2.3",
	"127.1.2.3/32",
	"127.1.2.2/31",
	"127.1.2.0/24",
	"127.1.0.0/17",
	"127.0.0.0/15",
	"127.0.0.0/8",
	"127.255.255.255/8",
	"0.0.0.0/0",
	"::ffff:127.1.2.3",
	"::ffff:127.0.0.0/104",
	"10.0.0.1 127.1.2.3",
	"  10.0.0.1\t127.1.2.3  ",
};

static const char *const without_127_1_2_3[] = {
	"",
	" ",
	"127.0.0.1",
	"127.1.2.2",
	"127.1.2.4/31",
	"127.1.2.2/32",
	"127.1.3.0/24",
	"127.1.128.0/17",
	"127.2.0.0/15",
	"128.0.0.0/8",
	"126.0.0.0/8",
	"128.0.0.0/1",
	"10.0.0.0/8 192.168.0.0/16",
	"::1",
	"::",
	"fd00::/8",
	"::127.1.2.3",
	"::ffff:127.1.2.2/128",
	"::/0",
	"::/1",
};

static void assert_127_1_2_3(const struct connection *connection)
{
	for (size_t i = 0; i < sizeof with_127_1_2_3 / sizeof with_127_1_2_3[0]; i++)
		assert_clients(connection, with_127_1_2_3[i], true);
	for (size_t i = 0; i < sizeof without_127_1_2_3 / sizeof without_127_1_2_3[0]; i++)
		assert_clients(connection, without_127_1_2_3[i], false);
}

static void v4_peer_must_be_in_the_list(void **state)
{
	struct connection connection = open_connection("127.0.0.1", "127.0.0.1", "127.1.2.3");

	(void)state;
	assert_127_1_2_3(&connection);
	close_connection(&connection);
}

/* A socket that listens on [::] reports an IPv4 peer as ::ffff:a.b.c.d. */
static void v4_peer_of_a_v6_socket_is_the_same(void **state)
{
	struct connection connection = open_connection("::", "127.0.0.1", "127.1.2.3");

	(void)state;
	assert_127_1_2_3(&connection);
	close_connection(&connection);
}

static void v6_peer_must_be_in_the_list(void **state)
{
	static const char *const with[] = {"::1",           "::1/128", "::/127", "::/0", "0:0:0:0:0:0:0:1",
	                                   "127.0.0.1 ::1", "::/9"};
	static const char *const without[] = {"",       "127.0.0.1", "0.0.0.0/0", "::2",           "::2/127",
	                                      "::/128", "8000::/1",  "fe80::/10", "::ffff:0.0.0.1"};
	struct connection connection = open_connection("::1", "::1", "::1");

	(void)state;
	for (size_t i = 0; i < sizeof with / sizeof with[0]; i++)
		assert_clients(&connection, with[i], true);
	for (size_t i = 0; i < sizeof without / sizeof without[0]; i++)
		assert_clients(&connection, without[i], false);
	close_connection(&connection);
}

/* TCP peers are checked by address only, peers of a unix socket by user only. */
static void each_list_is_for_its_kind_of_socket(void **state)
{
	struct connection connection = open_connection("127.0.0.1", "127.0.0.1", "127.0.0.1");
	char user[32];
	int pair[2];

	(void)state;
	(void)snprintf(user, sizeof user, "%u", (unsigned int)geteuid());
	assert_false(is_allowed(make_rules("", user), connection.accepted));
	assert_true(is_allowed(make_rules("127.0.0.1", "4294967294"), connection.accepted));
	close_connection(&connection);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_false(is_allowed(make_rules("0.0.0.0/0 ::/0", "4294967294"), pair[0]));
	close(pair[0]);
	close(pair[1]);
}

static void what_is_of_another_kind_is_kept_out(void **state)
{
	const struct sockaddr_storage nowhere = {.ss_family = AF_UNSPEC};

	(void)state;
	assert_false(acl_allows(make_rules("0.0.0.0/0 ::/0", ""), -1, &nowhere));
}

/* ---- Users -------------------------------------------------------------------------------------------------- */

static void user_must_be_in_the_list_if_there_is_one(void **state)
{
	const struct passwd *entry = getpwuid(geteuid());
	char own[32], other[32], list[80];
	int pair[2];

	(void)state;
	(void)snprintf(own, sizeof own, "%u", (unsigned int)geteuid());
	(void)snprintf(other, sizeof other, "%u", (unsigned int)geteuid() + 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_users(pair[0], "", true);
	assert_users(pair[0], " \t", true);
	assert_users(pair[0], own, true);
	assert_users(pair[0], other, false);
	(void)snprintf(list, sizeof list, " %s  %s\t", other, own);
	assert_users(pair[0], list, true);
	(void)snprintf(list, sizeof list, "%s 4294967294", other);
	assert_users(pair[0], list, false);
	/* Not every user id of a container has a name. */
	if (entry != NULL)
		assert_users(pair[0], entry->pw_name, true);
	if (geteuid() != 0)
		assert_users(pair[0], "root", false);
	close(pair[0]);
	close(pair[1]);
}

/* ---- Invalid lists ------------------------------------------------------------------------------------------ */

struct bad_list {
	const char *list;
	const char *word; /* the invalid one */
};

static void assert_problem(const char *clients, const char *users, const char *word)
{
	struct problem problem = {0};
	char *quoted = talloc_asprintf(ctx, "\"%s\"", word);

	if (acl_new(ctx, clients, users, &problem) != NULL)
		fail_msg("%s%s is taken", clients, users);
	if (strstr(problem.text, quoted) == NULL)
		fail_msg("%s does not show %s", problem.text, quoted);
	assert_non_null(strstr(problem.text, *clients != '\0' ? "server.allowed_clients" : "server.allowed_users"));
}

static void bad_lists_are_refused_by_name(void **state)
{
	static const struct bad_list clients[] = {
		{"localhost", "localhost"},
		{"127.0.0.1 example.org ::1", "example.org"},
		{"127.0.0.1,::1", "127.0.0.1,::1"},
		{"127.0.0", "127.0.0"},
		{"127.0.0.256", "127.0.0.256"},
		{"10.0.0.0/33", "10.0.0.0/33"},
		{"10.0.0.0/-1", "10.0.0.0/-1"},
		{"10.0.0.0/", "10.0.0.0/"},
		{"10.0.0.0/8/8", "10.0.0.0/8/8"},
		{"10.0.0.0/255.0.0.0", "10.0.0.0/255.0.0.0"},
		{"::1/129", "::1/129"},
		{"::1/99999999999999999999", "::1/99999999999999999999"},
		{"/8", "/8"},
		{"[::1]", "[::1]"},
		{"fe80::1%lo", "fe80::1%lo"},
		{"127.0.0.1\n", "127.0.0.1\n"},
	};
	static const struct bad_list users[] = {
		{"no-such-user-here", "no-such-user-here"},
		{"0 no-such-user-here", "no-such-user-here"},
		{"4294967296", "4294967296"},
		{"-1", "-1"},
		{"0x0", "0x0"},
		{"root,daemon", "root,daemon"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++)
		assert_problem(clients[i].list, "", clients[i].word);
	for (size_t i = 0; i < sizeof users / sizeof users[0]; i++)
		assert_problem("", users[i].list, users[i].word);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(v4_peer_must_be_in_the_list),         TEST(v4_peer_of_a_v6_socket_is_the_same),
		TEST(v6_peer_must_be_in_the_list),         TEST(each_list_is_for_its_kind_of_socket),
		TEST(what_is_of_another_kind_is_kept_out), TEST(user_must_be_in_the_list_if_there_is_one),
		TEST(bad_lists_are_refused_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

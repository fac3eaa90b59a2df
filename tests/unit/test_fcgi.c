#include "http/fcgi.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* FastCGI Specification 1.0, section 8. */
enum { BEGIN_REQUEST = 1, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES };
enum { RESPONDER = 1, AUTHORIZER, FILTER };

/* Long enough for a busy machine, short enough for a test. */
#define IO_TIMEOUT 100

#define REQUEST_ID 0x0102

#define MAX_BODY (512 * 1024)

static TALLOC_CTX *ctx;
static struct fcgi *fcgi;
static int peer = -1;

/* ---- The web server's side ---------------------------------------------------------------------------------- */

/* Bytes that it sends. */
static struct {
	uint8_t data[512 * 1024];
	size_t size;
} wire;

static void put(const void *data, size_t size)
{
	assert_true(wire.size + size <= sizeof wire.data);
	if (size > 0)
		memcpy(wire.data + wire.size, data, size);
	wire.size += size;
}

static void put_padded(int type, int id, const void *content, size_t size, uint8_t padding)
{
	const uint8_t header[] = {
		1, (uint8_t)type, (uint8_t)(id >> 8), (uint8_t)id, (uint8_t)(size >> 8), (uint8_t)size, padding, 0};
	static const uint8_t zeros[255];

	assert_true(size <= 0xffff);
	put(header, sizeof header);
	put(content, size);
	put(zeros, padding);
}

static void put_record(int type, const void *content, size_t size)
{
	put_padded(type, REQUEST_ID, content, size, 0);
}

/* A stream in as many records as needed, with the empty record that ends it. */
static void put_stream(int type, const void *content, size_t size, size_t record_size)
{
	for (size_t at = 0; at < size; at += record_size)
		put_record(type, (const uint8_t *)content + at, size - at < record_size ? size - at : record_size);
	put_record(type, NULL, 0);
}

static void begin(int role)
{
	const uint8_t body[8] = {(uint8_t)(role >> 8), (uint8_t)role};

	wire.size = 0;
	put_record(BEGIN_REQUEST, body, sizeof body);
}

/* Name-value pairs as they are on the wire. */
static struct {
	uint8_t data[128 * 1024];
	size_t size;
} pairs;

static void add_length(size_t length, bool is_long)
{
	if (is_long) {
		pairs.data[pairs.size++] = (uint8_t)(length >> 24 | 0x80);
		pairs.data[pairs.size++] = (uint8_t)(length >> 16);
		pairs.data[pairs.size++] = (uint8_t)(length >> 8);
	}
	pairs.data[pairs.size++] = (uint8_t)length;
}

static void add_pair(const char *name, const char *value)
{
	size_t name_length = strlen(name), value_length = strlen(value);

	assert_true(pairs.size + 8 + name_length + value_length <= sizeof pairs.data);
	add_length(name_length, name_length > 127);
	add_length(value_length, value_length > 127);
	memcpy(pairs.data + pairs.size, name, name_length);
	memcpy(pairs.data + pairs.size + name_length, value, value_length);
	pairs.size += name_length + value_length;
}

static void put_pairs(void)
{
	put_stream(PARAMS, pairs.data, pairs.size, 0xffff);
	pairs.size = 0;
}

static void send_part(size_t from, size_t to)
{
	assert_int_equal(send(peer, wire.data + from, to - from, MSG_DONTWAIT), to - from);
}

static void send_wire(void)
{
	send_part(0, wire.size);
}

/* Another connection. */
static void reconnect(void)
{
	const int size = 1024 * 1024;
	int pair[2];

	talloc_free(fcgi);
	if (peer >= 0)
		close(peer);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	(void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	peer = pair[1];
	fcgi = fcgi_open(ctx, pair[0], IO_TIMEOUT, MAX_BODY);
	assert_non_null(fcgi);
}

/* Bytes that it receives. */
static struct {
	char text[512 * 1024];
	size_t size;
	bool has_ended;
} answer;

/* Take one complete record; returns its size, 0 when it is incomplete. */
static size_t take_record(const uint8_t *at, size_t left)
{
	size_t size = left < 8 ? 0 : (size_t)at[4] << 8 | at[5];

	if (left < 8 || left < 8 + size + at[6])
		return 0;
	assert_int_equal(at[0], 1);
	assert_int_equal(at[2] << 8 | at[3], REQUEST_ID);
	assert_false(answer.has_ended);
	if (at[1] == STDOUT) {
		assert_true(answer.size + size < sizeof answer.text);
		memcpy(answer.text + answer.size, at + 8, size);
		answer.size += size;
	} else {
		static const uint8_t success[5];

		assert_int_equal(at[1], END_REQUEST);
		assert_int_equal(size, 8);
		/* Application status 0, request complete. */
		assert_memory_equal(at + 8, success, sizeof success);
		answer.has_ended = true;
	}
	return 8 + size + at[6];
}

/* Read until the end of the connection, or, if there is none, until no bytes are left. Returns whether it ended. */
static bool receive_answer(int flags)
{
	static uint8_t received[sizeof answer.text + 64 * 1024];
	size_t size = 0, at = 0, used;
	ssize_t got;

	answer.size = 0;
	answer.has_ended = false;
	while ((got = recv(peer, received + size, sizeof received - size, flags)) > 0)
		size += (size_t)got;
	if (got < 0)
		assert_int_equal(errno, EAGAIN);
	while ((used = take_record(received + at, size - at)) > 0)
		at += used;
	assert_int_equal(at, size);
	answer.text[answer.size] = '\0';
	return got == 0;
}

/* ---- Helpers ------------------------------------------------------------------------------------------------ */

static void assert_progress(enum fcgi_progress expected)
{
	enum fcgi_progress progress = fcgi_inspect(fcgi);

	if (progress != expected)
		fail_msg("progress is %d, not %d: %s", progress, expected,
		         progress == FCGI_BROKEN ? fcgi_defect(fcgi) : "");
}

static void assert_broken(const char *defect)
{
	assert_progress(FCGI_BROKEN);
	assert_string_equal(fcgi_defect(fcgi), defect);
}

static void assert_param(const char *name, const char *expected)
{
	const char *value = fcgi_param(fcgi, name);

	assert_non_null(value);
	assert_string_equal(value, expected);
}

static void accept_wire(void)
{
	send_wire();
	assert_progress(FCGI_READY);
	assert_int_equal(fcgi_accept(fcgi), 0);
}

static void assert_body(const void *expected, size_t expected_size)
{
	size_t size;
	const void *body = fcgi_body(fcgi, &size);

	assert_non_null(body);
	assert_int_equal(size, expected_size);
	assert_memory_equal(body, expected, size);
}

static void fill(char *text, size_t size)
{
	for (size_t i = 0; i < size; i++)
		text[i] = (char)('a' + i * 7 % 26 + i / 1000 % 5);
}

static void end_process(int signal_number)
{
	_exit(128 + signal_number);
}

static int set_up_all(void **state)
{
	const char *problem;

	(void)state;
	/* A call that blocks ends the program. */
	(void)alarm(120);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGTERM, end_process);
	(void)signal(SIGUSR1, end_process);
	problem = fcgi_init();
	if (problem != NULL)
		print_error("%s\n", problem);
	return problem == NULL ? 0 : -1;
}

static int set_up(void **state)
{
	(void)state;
	ctx = talloc_new(NULL);
	fcgi = NULL;
	peer = -1;
	pairs.size = 0;
	wire.size = 0;
	reconnect();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	talloc_free(ctx);
	if (peer >= 0)
		close(peer);
	return 0;
}

/* ---- Whole requests ----------------------------------------------------------------------------------------- */

static void whole_request_is_read(void **state)
{
	char long_value[301], long_name[201];

	(void)state;
	fill(long_value, 300);
	long_value[300] = '\0';
	fill(long_name, 200);
	long_name[200] = '\0';
	begin(RESPONDER);
	add_pair("REQUEST_METHOD", "POST");
	add_pair("QUERY_STRING", "");
	add_pair("HTTP_COOKIE", long_value);
	add_pair(long_name, "a=b");
	put_pairs();
	put_stream(STDIN, "a=1&b=2", 7, 7);
	accept_wire();
	assert_int_equal(fcgi_role(fcgi), FCGI_ROLE_RESPONDER);
	assert_param("REQUEST_METHOD", "POST");
	assert_param("QUERY_STRING", "");
	assert_param("HTTP_COOKIE", long_value);
	assert_param(long_name, "a=b");
	assert_null(fcgi_param(fcgi, "HTTP"));
	assert_null(fcgi_param(fcgi, "HTTP_COOKIES"));
	assert_null(fcgi_param(fcgi, "request_method"));
	assert_null(fcgi_param(fcgi, ""));
	assert_body("a=1&b=2", 7);
}

static void request_in_pieces_is_waited_for(void **state)
{
	(void)state;
	begin(RESPONDER);
	add_pair("REQUEST_METHOD", "GET");
	put_pairs();
	put_stream(STDIN, "body", 4, 3);
	for (size_t i = 0; i < wire.size; i++) {
		assert_progress(FCGI_WAIT);
		send_part(i, i + 1);
	}
	assert_progress(FCGI_READY);
	assert_int_equal(fcgi_accept(fcgi), 0);
	assert_param("REQUEST_METHOD", "GET");
	assert_body("body", 4);
	assert_int_equal(fcgi_answer(fcgi, "\r\n", 2), 0);
	assert_true(fcgi_drained(fcgi));
	assert_false(receive_answer(MSG_DONTWAIT));
	assert_true(answer.has_ended);
}

static void records_may_be_split_and_padded_anywhere(void **state)
{
	(void)state;
	for (size_t record_size = 1; record_size < 20; record_size++) {
		reconnect();
		begin(RESPONDER);
		add_pair("A", "one");
		add_pair("HTTP_HOST", "example.org");
		for (size_t at = 0; at < pairs.size; at += record_size) {
			size_t left = pairs.size - at;

			put_padded(PARAMS, REQUEST_ID, pairs.data + at, left < record_size ? left : record_size,
			           (uint8_t)(255 - at));
		}
		put_record(PARAMS, NULL, 0);
		pairs.size = 0;
		put_padded(STDIN, REQUEST_ID, "abc", 3, (uint8_t)record_size);
		put_padded(STDIN, REQUEST_ID, "defg", 4, 7);
		put_padded(STDIN, REQUEST_ID, NULL, 0, 8);
		accept_wire();
		assert_param("A", "one");
		assert_param("HTTP_HOST", "example.org");
		assert_body("abcdefg", 7);
	}
}

/* A later setting in a web server's configuration overrides an earlier one. */
static void last_of_duplicate_parameters_counts(void **state)
{
	(void)state;
	begin(RESPONDER);
	add_pair("REMOTE_USER", "first");
	add_pair("REMOTE_USERS", "other");
	add_pair("REMOTE_USER", "last");
	add_pair("SCRIPT_NAME", "/given");
	add_pair("SCRIPT_NAME", "");
	put_pairs();
	put_stream(STDIN, NULL, 0, 1);
	accept_wire();
	assert_param("REMOTE_USER", "last");
	assert_param("SCRIPT_NAME", "");
}

/* Apache sends no body, and not even the end of one. */
static void authorizer_needs_no_body(void **state)
{
	(void)state;
	begin(AUTHORIZER);
	add_pair("REQUEST_METHOD", "POST");
	add_pair("CONTENT_LENGTH", "5");
	put_pairs();
	accept_wire();
	assert_int_equal(fcgi_role(fcgi), FCGI_ROLE_AUTHORIZER);
	assert_param("REQUEST_METHOD", "POST");
	assert_int_equal(fcgi_answer(fcgi, "Status: 200 OK\r\n\r\n", 18), 0);
	assert_true(fcgi_drained(fcgi));
	assert_false(receive_answer(MSG_DONTWAIT));
	assert_string_equal(answer.text, "Status: 200 OK\r\n\r\n");
	assert_true(answer.has_ended);
}

static void parameters_of_64_kib_are_taken(void **state)
{
	static char value[FCGI_PARAMS_SIZE_MAX];

	(void)state;
	/* Besides the value: one byte of the name, its length, and four of the value's length. */
	fill(value, FCGI_PARAMS_SIZE_MAX - 6);
	begin(RESPONDER);
	add_pair("A", value);
	assert_int_equal(pairs.size, FCGI_PARAMS_SIZE_MAX);
	put_pairs();
	put_stream(STDIN, "x", 1, 1);
	accept_wire();
	assert_param("A", value);
}

/* ---- Requests that end too early ---------------------------------------------------------------------------- */

static void request_cut_short_is_never_ready(void **state)
{
	(void)state;
	begin(RESPONDER);
	add_pair("REQUEST_METHOD", "GET");
	put_pairs();
	put_stream(STDIN, "body", 4, 4);
	for (size_t size = 1; size < wire.size; size++) {
		enum fcgi_progress progress;

		reconnect();
		send_part(0, size);
		assert_int_equal(shutdown(peer, SHUT_WR), 0);
		/* The bytes that arrived can still be read; the event tells that no more will. */
		progress = fcgi_inspect(fcgi);
		assert_true(progress == FCGI_WAIT || progress == FCGI_CLOSED);
	}
}

static void connection_closed_unused_is_closed(void **state)
{
	(void)state;
	assert_progress(FCGI_WAIT);
	assert_int_equal(shutdown(peer, SHUT_WR), 0);
	assert_progress(FCGI_CLOSED);
	reconnect();
	close(peer);
	peer = -1;
	assert_progress(FCGI_CLOSED);
}

static void freed_connection_is_closed(void **state)
{
	char byte;

	(void)state;
	talloc_free(fcgi);
	fcgi = NULL;
	assert_int_equal(recv(peer, &byte, 1, MSG_DONTWAIT), 0);
	/* Also a request that was read and never answered. */
	reconnect();
	begin(RESPONDER);
	put_pairs();
	put_stream(STDIN, NULL, 0, 1);
	accept_wire();
	talloc_free(fcgi);
	fcgi = NULL;
	assert_int_equal(recv(peer, &byte, 1, MSG_DONTWAIT), 0);
}

/* ---- Invalid requests --------------------------------------------------------------------------------------- */

static void what_does_not_begin_a_request_is_refused(void **state)
{
	static const uint8_t body[8] = {0, RESPONDER};
	static const char not_a_request[] = "does not begin with a request";

	(void)state;
	/* Each as soon as its header has arrived. */
	put_padded(GET_VALUES, 0, "\x0f\0FCGI_MAX_CONNS", 17, 0);
	send_part(0, 8);
	assert_broken(not_a_request);
	reconnect();
	wire.size = 0;
	put_record(PARAMS, "\1\1Ab", 4);
	send_part(0, 8);
	assert_broken(not_a_request);
	reconnect();
	wire.size = 0;
	put_padded(BEGIN_REQUEST, 0, body, sizeof body, 0);
	send_part(0, 8);
	assert_broken(not_a_request);
	reconnect();
	wire.size = 0;
	put_record(BEGIN_REQUEST, body, 7);
	send_part(0, 8);
	assert_broken(not_a_request);
	reconnect();
	assert_int_equal(send(peer, "GET / HTTP/1.1\r\n", 16, 0), 16);
	assert_broken("not FastCGI version 1");
}

static void other_versions_are_refused_in_every_record(void **state)
{
	(void)state;
	begin(RESPONDER);
	wire.data[0] = 2;
	send_wire();
	assert_broken("not FastCGI version 1");
	reconnect();
	begin(RESPONDER);
	wire.data[0] = 0;
	send_wire();
	assert_broken("not FastCGI version 1");
	reconnect();
	begin(RESPONDER);
	add_pair("A", "b");
	put_pairs();
	wire.data[16] = 2;
	send_wire();
	assert_broken("not FastCGI version 1");
}

static void other_roles_are_refused(void **state)
{
	static const int roles[] = {0, FILTER, 0x0101, 0x0200, 0xffff};

	(void)state;
	for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
		reconnect();
		begin(roles[i]);
		send_wire();
		assert_broken("the role is neither responder nor authorizer");
	}
}

static void records_of_another_request_are_refused(void **state)
{
	static const int ids[] = {0, 1, REQUEST_ID + 1, REQUEST_ID & 0xff, REQUEST_ID & 0xff00};
	static const int types[] = {BEGIN_REQUEST, PARAMS, STDIN, GET_VALUES};

	(void)state;
	for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		for (size_t j = 0; j < sizeof types / sizeof types[0]; j++) {
			reconnect();
			begin(RESPONDER);
			put_padded(types[j], ids[i], "\1\1Ab\0\0\0\0", 8, 0);
			send_wire();
			assert_broken("a record of another request");
		}
	}
}

static void records_out_of_place_are_refused(void **state)
{
	static const int while_params[] = {BEGIN_REQUEST, ABORT_REQUEST, STDIN, STDOUT, STDERR, DATA, GET_VALUES, 200};
	static const int while_body[] = {BEGIN_REQUEST, ABORT_REQUEST, PARAMS, DATA};

	(void)state;
	for (size_t i = 0; i < sizeof while_params / sizeof while_params[0]; i++) {
		reconnect();
		begin(RESPONDER);
		put_record(PARAMS, "\1\1Ab", 4);
		put_record(while_params[i], "\0\1\0\0\0\0\0\0", 8);
		send_wire();
		assert_broken("a record that has no place there");
	}
	for (size_t i = 0; i < sizeof while_body / sizeof while_body[0]; i++) {
		reconnect();
		begin(RESPONDER);
		put_pairs();
		put_record(STDIN, "a", 1);
		put_record(while_body[i], "\0\1\0\0\0\0\0\0", 8);
		send_wire();
		assert_broken("a record that has no place there");
	}
}

/* libfcgi 2.4.2 would read padding there as if it were records, which fcgi_inspect() has not checked. */
static void padding_that_libfcgi_would_not_skip_is_refused(void **state)
{
	static const char defect[] = "padding before a body, which libfcgi takes for a record";
	static const uint8_t body[8] = {0, RESPONDER};

	(void)state;
	put_padded(BEGIN_REQUEST, REQUEST_ID, body, sizeof body, 8);
	send_wire();
	assert_broken("padding behind the beginning, which libfcgi takes for a record");
	reconnect();
	begin(RESPONDER);
	put_record(PARAMS, "\1\1Ab", 4);
	put_padded(PARAMS, REQUEST_ID, NULL, 0, 8);
	put_record(STDIN, "x", 1);
	send_wire();
	assert_broken(defect);
	/* Of a body that is read before it is complete only the header may have arrived. */
	reconnect();
	send_part(0, wire.size - 1);
	assert_broken(defect);
}

/* The padding has the form of a body's record here, and must not be read as one. */
static void padding_where_no_body_follows_is_passed_over(void **state)
{
	static const uint8_t hidden[16] = {1,   STDIN, REQUEST_ID >> 8, REQUEST_ID & 0xff, 0, 5, 3, 0, 'e', 'v', 'i',
	                                   'l', '!'};

	(void)state;
	begin(RESPONDER);
	put_record(PARAMS, "\1\1Ab", 4);
	put_padded(PARAMS, REQUEST_ID, NULL, 0, sizeof hidden);
	memcpy(wire.data + wire.size - sizeof hidden, hidden, sizeof hidden);
	put_record(STDIN, NULL, 0);
	accept_wire();
	assert_param("A", "b");
	assert_body("", 0);
	assert_int_equal(fcgi_answer(fcgi, "\r\n", 2), 0);
	assert_true(fcgi_drained(fcgi));
	assert_false(receive_answer(MSG_DONTWAIT));
	assert_true(answer.has_ended);
}

struct malformed {
	const char *content;
	size_t size;
	const char *defect;
};

static void malformed_parameters_are_refused(void **state)
{
	static const char length_cut[] = "a parameter's length is cut short";
	static const char cut[] = "a parameter is cut short";
	static const char name[] = "a parameter's name is empty or holds '='";
	static const char nul[] = "a parameter holds a NUL";
	static const struct malformed rows[] = {
		{"\1", 1, length_cut},
		{"\x80", 1, length_cut},
		{"\x80\0\0", 3, length_cut},
		{"\1\x80\0\0", 4, length_cut},
		{"\1\1Ab\1", 5, length_cut},
		{"\1\1", 2, cut},
		{"\1\1A", 3, cut},
		{"\1\2Ab", 4, cut},
		{"\3\0Ab", 4, cut},
		{"\1\1Ab\1\2Cd", 8, cut},
		{"\x80\0\0\1\x80\0\0\2Ab", 10, cut},
		{"\1\xff\xff\xff\xff"
	         "Ab",
	         7, cut},
		{"\xff\xff\xff\xff\xff\xff\xff\xff"
	         "Ab",
	         10, cut},
		{"\0\1b", 3, name},
		{"\0\0", 2, name},
		{"\3\1A=Bc", 6, name},
		{"\1\1=b", 4, name},
		{"\2\1A\0b", 5, nul},
		{"\1\1A\0", 4, nul},
		{"\1\3Ab\0c", 6, nul},
		{"\1\1Ab\1\1C\0", 8, nul},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		/* Whole, and each byte in a record of its own. */
		for (int pass = 0; pass < 2; pass++) {
			reconnect();
			begin(RESPONDER);
			put_stream(PARAMS, rows[i].content, rows[i].size, pass == 0 ? rows[i].size : 1);
			put_stream(STDIN, NULL, 0, 1);
			send_wire();
			if (fcgi_inspect(fcgi) != FCGI_BROKEN)
				fail_msg("row %zu is taken", i);
			assert_string_equal(fcgi_defect(fcgi), rows[i].defect);
		}
	}
}

static void more_than_64_kib_of_parameters_are_refused(void **state)
{
	static char value[FCGI_PARAMS_SIZE_MAX];

	(void)state;
	fill(value, FCGI_PARAMS_SIZE_MAX - 5);
	begin(RESPONDER);
	add_pair("A", value);
	assert_int_equal(pairs.size, FCGI_PARAMS_SIZE_MAX + 1);
	put_pairs();
	put_stream(STDIN, NULL, 0, 1);
	send_wire();
	assert_broken("more than 64 KiB of parameters");
}

/* Headers and padding count towards the limit like content. */
static void parameters_in_endless_pieces_are_refused(void **state)
{
	(void)state;
	begin(RESPONDER);
	for (int i = 0; i < 500; i++)
		put_padded(PARAMS, REQUEST_ID, "\1", 1, 255);
	send_wire();
	assert_broken("too many small records");
}

/* ---- Bodies ------------------------------------------------------------------------------------------------- */

/* Another process sends the bytes and ends; the connection stays open, in the parent. */
static pid_t send_from_another_process(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		size_t sent = 0;

		while (sent < wire.size) {
			ssize_t part = send(peer, wire.data + sent, wire.size - sent, 0);

			if (part <= 0)
				_exit(1);
			sent += (size_t)part;
		}
		_exit(0);
	}
	return pid;
}

static void assert_ends_well(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void large_body_is_read_whole(void **state)
{
	static char body[400 * 1024];
	enum fcgi_progress progress;
	pid_t pid;

	(void)state;
	fill(body, sizeof body);
	begin(RESPONDER);
	add_pair("REQUEST_METHOD", "POST");
	put_pairs();
	put_stream(STDIN, body, sizeof body, 30000);
	pid = send_from_another_process();
	while ((progress = fcgi_inspect(fcgi)) == FCGI_WAIT) {
		struct pollfd readable = {.fd = fcgi_fd(fcgi), .events = POLLIN};

		assert_int_equal(poll(&readable, 1, -1), 1);
	}
	assert_int_equal(progress, FCGI_READY);
	assert_int_equal(fcgi_accept(fcgi), 0);
	assert_param("REQUEST_METHOD", "POST");
	assert_body(body, sizeof body);
	assert_ends_well(pid);
	assert_int_equal(fcgi_answer(fcgi, "\r\n", 2), 0);
}

/* Whatever the sizes of the pieces, and their positions in the records. */
static void body_in_pieces_is_collected(void **state)
{
	static char body[3000];

	(void)state;
	fill(body, sizeof body);
	for (size_t piece = 1; piece < 40; piece += 3) {
		reconnect();
		begin(RESPONDER);
		add_pair("REQUEST_METHOD", "POST");
		put_pairs();
		put_padded(STDIN, REQUEST_ID, body, 1000, 5);
		put_padded(STDIN, REQUEST_ID, body + 1000, 1, 255);
		put_stream(STDIN, body + 1001, sizeof body - 1001, 777);
		for (size_t at = 0; at < wire.size; at += piece) {
			assert_progress(FCGI_WAIT);
			send_part(at, wire.size - at < piece ? wire.size : at + piece);
		}
		assert_progress(FCGI_READY);
		assert_true(fcgi_held(fcgi) > sizeof body);
		assert_int_equal(fcgi_accept(fcgi), 0);
		assert_param("REQUEST_METHOD", "POST");
		assert_body(body, sizeof body);
		assert_int_equal(fcgi_answer(fcgi, "\r\n", 2), 0);
		assert_true(fcgi_drained(fcgi));
		assert_false(receive_answer(MSG_DONTWAIT));
		assert_true(answer.has_ended);
	}
}

static void body_that_stalls_is_waited_for_without_blocking(void **state)
{
	static char body[64 * 1024];

	(void)state;
	fill(body, sizeof body);
	begin(RESPONDER);
	put_pairs();
	put_stream(STDIN, body, sizeof body, 60000);
	assert_int_equal(fcgi_held(fcgi), 0);
	send_part(0, 50000);
	assert_progress(FCGI_WAIT);
	assert_progress(FCGI_WAIT);
	/* No more than CONTENT_LENGTH announces, rounded up. */
	assert_in_range(fcgi_held(fcgi), 50000, 140000);
	assert_int_equal(shutdown(peer, SHUT_WR), 0);
	assert_progress(FCGI_CLOSED);
}

static void body_that_is_cut_short_is_closed(void **state)
{
	(void)state;
	begin(RESPONDER);
	put_pairs();
	put_stream(STDIN, "body", 4, 4);
	send_part(0, wire.size - 3);
	assert_progress(FCGI_WAIT);
	close(peer);
	peer = -1;
	assert_progress(FCGI_CLOSED);
}

static void what_is_no_body_is_refused_also_when_it_comes_later(void **state)
{
	(void)state;
	begin(RESPONDER);
	put_pairs();
	put_record(STDIN, "body", 4);
	send_wire();
	assert_progress(FCGI_WAIT);
	wire.size = 0;
	put_record(DATA, "body", 4);
	send_wire();
	assert_broken("a record that has no place there");
}

/* By its CONTENT_LENGTH, or in fact: then only as much is read. */
static void body_that_is_too_large_is_not_waited_for(void **state)
{
	static char body[60000];

	(void)state;
	begin(RESPONDER);
	add_pair("CONTENT_LENGTH", "524289");
	put_pairs();
	put_record(STDIN, body, 100);
	accept_wire();
	assert_true(fcgi_body_is_too_large(fcgi));
	assert_body("", 0);

	reconnect();
	begin(RESPONDER);
	put_pairs();
	send_wire();
	assert_progress(FCGI_WAIT);
	for (size_t sent = 0; sent + sizeof body <= MAX_BODY; sent += sizeof body) {
		wire.size = 0;
		put_record(STDIN, body, sizeof body);
		send_wire();
		assert_progress(FCGI_WAIT);
		assert_false(fcgi_body_is_too_large(fcgi));
	}
	wire.size = 0;
	put_record(STDIN, body, sizeof body);
	send_wire();
	assert_progress(FCGI_READY);
	assert_true(fcgi_body_is_too_large(fcgi));
	assert_in_range(fcgi_held(fcgi), 0, 2 * MAX_BODY);
	assert_int_equal(fcgi_accept(fcgi), 0);
	assert_body("", 0);
}

static size_t limit_asked, limit_given;

static struct body_plan limit_of(const void *context, const struct fcgi *of)
{
	struct fcgi_text method;

	assert_ptr_equal(context, &limit_given);
	assert_true(fcgi_peek_param(of, "REQUEST_METHOD", &method));
	assert_int_equal(method.length, 3);
	limit_asked++;
	return (struct body_plan){.max = limit_given};
}

/* Whether the body comes with the parameters, later, or is only said to come. */
static void limit_of_the_body_can_depend_on_the_parameters(void **state)
{
	static char body[40000];

	(void)state;
	for (int way = 0; way < 6; way++) {
		bool is_too_large = way >= 3;

		reconnect();
		limit_asked = 0;
		limit_given = is_too_large ? sizeof body - 1 : sizeof body;
		fcgi_plan_body(fcgi, limit_of, &limit_given);
		begin(RESPONDER);
		add_pair("REQUEST_METHOD", "PUT");
		if (way % 3 == 2)
			add_pair("CONTENT_LENGTH", "40000");
		put_pairs();
		if (way % 3 == 1) {
			send_wire();
			assert_progress(FCGI_WAIT);
			wire.size = 0;
		}
		if (way != 5)
			put_stream(STDIN, body, sizeof body, 9000);
		send_wire();
		assert_progress(FCGI_READY);
		assert_int_equal(limit_asked, 1);
		assert_int_equal(fcgi_body_is_too_large(fcgi), is_too_large);
		assert_int_equal(fcgi_accept(fcgi), 0);
		assert_body(body, is_too_large ? 0 : sizeof body);
	}
}

/* ---- Bodies that are streamed ------------------------------------------------------------------------------- */

static struct body_plan stream_up_to(const void *context, const struct fcgi *of)
{
	(void)of;
	return (struct body_plan){.max = *(const size_t *)context, .is_streamed = true};
}

static char sunk[70000];
static size_t sunk_size, sink_room;

static bool sink(void *context, const void *data, size_t size)
{
	assert_ptr_equal(context, &sunk_size);
	assert_true(sunk_size + size <= sizeof sunk);
	memcpy(sunk + sunk_size, data, size);
	sunk_size += size;
	return sunk_size < sink_room;
}

/* Have the head of a request taken in whose body is streamed. */
static void begin_stream(size_t limit)
{
	static size_t limit_of_stream;

	reconnect();
	limit_of_stream = limit;
	sunk_size = 0;
	sink_room = SIZE_MAX;
	fcgi_plan_body(fcgi, stream_up_to, &limit_of_stream);
	begin(RESPONDER);
	add_pair("REQUEST_METHOD", "PUT");
	put_pairs();
	send_wire();
	wire.size = 0;
}

static void body_that_is_streamed_goes_to_the_sink_piece_by_piece(void **state)
{
	static char body[60000];
	size_t size;

	(void)state;
	fill(body, sizeof body);
	/* All of it may be there before the head is looked at, or nothing, or half a record. */
	for (size_t cut = 0; cut <= 60000; cut += 4000) {
		enum fcgi_progress progress = FCGI_WAIT;

		begin_stream(sizeof body);
		put_stream(STDIN, body, sizeof body, 9000);
		size = wire.size;
		send_part(0, cut);
		assert_progress(FCGI_READY);
		assert_true(fcgi_is_streamed(fcgi));
		assert_int_equal(fcgi_accept(fcgi), 0);
		assert_param("REQUEST_METHOD", "PUT");
		assert_int_equal(fcgi_receive(fcgi, sink, &sunk_size), FCGI_WAIT);
		send_part(cut, size);
		for (int i = 0; i < 10 && progress == FCGI_WAIT; i++)
			progress = fcgi_receive(fcgi, sink, &sunk_size);
		assert_int_equal(progress, FCGI_READY);
		assert_int_equal(sunk_size, sizeof body);
		assert_memory_equal(sunk, body, sizeof body);
		assert_int_equal(fcgi_answer(fcgi, "\r\n", 2), 0);
		assert_true(fcgi_drained(fcgi));
	}
}

static void body_that_is_streamed_ends_where_it_is_not_wanted(void **state)
{
	static char body[60000];

	(void)state;
	/* The sink wants no more of it. */
	begin_stream(sizeof body);
	assert_progress(FCGI_READY);
	assert_int_equal(fcgi_accept(fcgi), 0);
	sink_room = 1;
	put_stream(STDIN, body, sizeof body, 9000);
	send_wire();
	assert_int_equal(fcgi_receive(fcgi, sink, &sunk_size), FCGI_READY);
	assert_true(sunk_size < sizeof body);
	assert_false(fcgi_body_is_too_large(fcgi));
	/* It is larger than was allowed. */
	begin_stream(sizeof body - 1);
	assert_progress(FCGI_READY);
	assert_int_equal(fcgi_accept(fcgi), 0);
	put_stream(STDIN, body, sizeof body, 9000);
	send_wire();
	assert_int_equal(fcgi_receive(fcgi, sink, &sunk_size), FCGI_READY);
	assert_true(fcgi_body_is_too_large(fcgi));
	/* The peer has gone. */
	begin_stream(sizeof body);
	assert_progress(FCGI_READY);
	assert_int_equal(fcgi_accept(fcgi), 0);
	close(peer);
	peer = -1;
	assert_int_equal(fcgi_receive(fcgi, sink, &sunk_size), FCGI_CLOSED);
}

static void request_without_a_body_is_not_asked_for_its_limit(void **state)
{
	(void)state;
	limit_asked = 0;
	fcgi_plan_body(fcgi, limit_of, &limit_given);
	begin(RESPONDER);
	add_pair("REQUEST_METHOD", "GET");
	put_pairs();
	put_record(STDIN, "", 0);
	send_wire();
	assert_progress(FCGI_READY);
	assert_int_equal(limit_asked, 0);
}

/* An invalid length, or one within the limit, does not prevent the body from being read. */
static void lengths_that_fit_are_waited_for(void **state)
{
	static const char *const lengths[] = {"", "524288", "4", "-1", "999999x", " 999999"};

	(void)state;
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		reconnect();
		begin(RESPONDER);
		add_pair("CONTENT_LENGTH", lengths[i]);
		put_pairs();
		send_wire();
		assert_progress(FCGI_WAIT);
		wire.size = 0;
		put_stream(STDIN, "body", 4, 4);
		send_wire();
		assert_progress(FCGI_READY);
		assert_int_equal(fcgi_accept(fcgi), 0);
		assert_body("body", 4);
	}
}

/* A connection that may be forwarded: the request is still in the socket. */
static void head_alone_can_be_waited_for(void **state)
{
	uint8_t first;

	(void)state;
	begin(RESPONDER);
	add_pair("SCRIPT_NAME", "/session/status");
	put_pairs();
	put_record(STDIN, "body", 4);
	fcgi_wait_for_head_only(fcgi);
	send_wire();
	assert_progress(FCGI_READY);
	assert_int_equal(fcgi_held(fcgi), 0);
	assert_int_equal(recv(fcgi_fd(fcgi), &first, 1, MSG_PEEK | MSG_DONTWAIT), 1);
	assert_int_equal(first, 1);
	assert_int_equal(fcgi_accept(fcgi), 0);
	assert_param("SCRIPT_NAME", "/session/status");
}

/* It stays with this process after all. */
static void body_can_be_waited_for_after_the_head(void **state)
{
	(void)state;
	for (int later = 0; later < 2; later++) {
		reconnect();
		begin(RESPONDER);
		add_pair("SCRIPT_NAME", "/session/login");
		put_pairs();
		fcgi_wait_for_head_only(fcgi);
		if (later) {
			send_wire();
			wire.size = 0;
			assert_progress(FCGI_READY);
			assert_false(fcgi_is_whole(fcgi));
			fcgi_wait_for_body(fcgi);
			assert_progress(FCGI_WAIT);
		}
		put_stream(STDIN, "body", 4, 4);
		send_wire();
		assert_progress(FCGI_READY);
		assert_true(fcgi_is_whole(fcgi));
		assert_int_equal(fcgi_accept(fcgi), 0);
		assert_body("body", 4);
	}
}

static void parameters_are_seen_before_the_request_is_taken_in(void **state)
{
	struct fcgi_text text;

	(void)state;
	for (int later = 0; later < 2; later++) {
		reconnect();
		begin(RESPONDER);
		add_pair("A", "first");
		add_pair("A", "last");
		add_pair("EMPTY", "");
		put_pairs();
		send_wire();
		assert_progress(FCGI_WAIT);
		wire.size = 0;
		put_record(STDIN, "body", 4);
		if (later) {
			send_wire();
			assert_progress(FCGI_WAIT);
			wire.size = 0;
		}
		put_record(STDIN, NULL, 0);
		send_wire();
		assert_progress(FCGI_READY);
		assert_true(fcgi_peek_param(fcgi, "A", &text));
		assert_int_equal(text.length, 4);
		assert_memory_equal(text.at, "last", 4);
		assert_true(fcgi_peek_param(fcgi, "EMPTY", &text));
		assert_int_equal(text.length, 0);
		assert_false(fcgi_peek_param(fcgi, "EMPT", &text));
		assert_false(fcgi_peek_param(fcgi, "B", &text));
	}
}

static void peer_that_hangs_up_is_noticed(void **state)
{
	(void)state;
	begin(RESPONDER);
	put_pairs();
	put_record(STDIN, NULL, 0);
	send_wire();
	assert_false(fcgi_has_hung_up(fcgi));
	close(peer);
	peer = -1;
	assert_true(fcgi_has_hung_up(fcgi));
	assert_progress(FCGI_READY);
}

/* ---- Answers ------------------------------------------------------------------------------------------------ */

static void accept_simple(void)
{
	begin(RESPONDER);
	add_pair("REQUEST_METHOD", "GET");
	put_pairs();
	put_stream(STDIN, NULL, 0, 1);
	accept_wire();
}

static void answer_arrives_whole_and_ends_the_request(void **state)
{
	static const char text[] = "Status: 200 OK\r\n\r\nbody\0with a NUL";

	(void)state;
	accept_simple();
	assert_int_equal(fcgi_answer(fcgi, text, sizeof text - 1), 0);
	assert_true(fcgi_drained(fcgi));
	/* Closing is the caller's. */
	assert_false(receive_answer(MSG_DONTWAIT));
	assert_int_equal(answer.size, sizeof text - 1);
	assert_memory_equal(answer.text, text, sizeof text - 1);
	assert_true(answer.has_ended);
	talloc_free(fcgi);
	fcgi = NULL;
	assert_true(receive_answer(MSG_DONTWAIT));
	assert_int_equal(answer.size, 0);
}

static void large_answer_arrives_whole(void **state)
{
	static char text[500 * 1024];
	pid_t pid;

	(void)state;
	fill(text, sizeof text);
	accept_simple();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fcgi_answer(fcgi, text, sizeof text) == 0 ? 0 : 1);
	talloc_free(fcgi);
	fcgi = NULL;
	assert_true(receive_answer(0));
	assert_int_equal(answer.size, sizeof text);
	assert_memory_equal(answer.text, text, sizeof text);
	assert_true(answer.has_ended);
	assert_ends_well(pid);
}

static void answer_that_nobody_takes_is_an_error(void **state)
{
	static char text[4 * 1024 * 1024];

	(void)state;
	fill(text, sizeof text);
	/* The peer has closed the connection. */
	accept_simple();
	close(peer);
	peer = -1;
	assert_int_equal(fcgi_answer(fcgi, "\r\n", 2), -1);
	assert_true(fcgi_drained(fcgi));
	/* The peer does not read: given up after io_timeout. */
	reconnect();
	accept_simple();
	assert_int_equal(fcgi_answer(fcgi, text, sizeof text), -1);
}

/* ---- Unread bytes ------------------------------------------------------------------------------------------- */

/* Closing a socket with unread bytes would cut the answer off. */
static void body_that_nobody_read_is_drained(void **state)
{
	static char body[60000];

	(void)state;
	fill(body, sizeof body);
	begin(RESPONDER);
	put_pairs();
	put_stream(STDIN, body, sizeof body, 20000);
	accept_wire();
	assert_int_equal(fcgi_answer(fcgi, "Status: 413\r\n\r\n", 15), 0);
	assert_true(fcgi_drained(fcgi));
	talloc_free(fcgi);
	fcgi = NULL;
	assert_true(receive_answer(0));
	assert_string_equal(answer.text, "Status: 413\r\n\r\n");
	assert_true(answer.has_ended);
}

static void body_that_is_still_being_sent_is_drained(void **state)
{
	static char body[200 * 1024];
	struct pollfd readable;

	(void)state;
	fill(body, sizeof body);
	begin(RESPONDER);
	add_pair("CONTENT_LENGTH", "1000000");
	put_pairs();
	put_stream(STDIN, body, sizeof body, 50000);
	send_part(0, 60000);
	assert_progress(FCGI_READY);
	assert_true(fcgi_body_is_too_large(fcgi));
	assert_int_equal(fcgi_accept(fcgi), 0);
	assert_int_equal(fcgi_answer(fcgi, "Status: 413\r\n\r\n", 15), 0);
	assert_false(fcgi_drained(fcgi));
	/* The peer has read the whole answer, and the end, before it has sent all. */
	assert_true(receive_answer(0));
	assert_string_equal(answer.text, "Status: 413\r\n\r\n");
	assert_true(answer.has_ended);
	assert_false(fcgi_drained(fcgi));
	send_part(60000, 120000);
	readable = (struct pollfd){.fd = fcgi_fd(fcgi), .events = POLLIN};
	assert_int_equal(poll(&readable, 1, 0), 1);
	assert_false(fcgi_drained(fcgi));
	/* The unread bytes were drained. */
	assert_int_equal(poll(&readable, 1, 0), 0);
	assert_int_equal(shutdown(peer, SHUT_WR), 0);
	assert_true(fcgi_drained(fcgi));
}

static void peer_that_sends_for_ever_is_not_drained_for_ever(void **state)
{
	static const char noise[100 * 1024];
	size_t sent = 0;

	(void)state;
	begin(RESPONDER);
	add_pair("CONTENT_LENGTH", "1000000000");
	put_pairs();
	put_record(STDIN, noise, 60000);
	accept_wire();
	assert_int_equal(fcgi_answer(fcgi, "\r\n", 2), 0);
	while (!fcgi_drained(fcgi)) {
		assert_true(sent < 32 * 1024 * 1024);
		assert_int_equal(send(peer, noise, sizeof noise, MSG_DONTWAIT), sizeof noise);
		sent += sizeof noise;
	}
	assert_true(sent > 1024 * 1024);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whole_request_is_read),
		TEST(request_in_pieces_is_waited_for),
		TEST(records_may_be_split_and_padded_anywhere),
		TEST(last_of_duplicate_parameters_counts),
		TEST(authorizer_needs_no_body),
		TEST(parameters_of_64_kib_are_taken),
		TEST(request_cut_short_is_never_ready),
		TEST(connection_closed_unused_is_closed),
		TEST(freed_connection_is_closed),
		TEST(what_does_not_begin_a_request_is_refused),
		TEST(other_versions_are_refused_in_every_record),
		TEST(other_roles_are_refused),
		TEST(records_of_another_request_are_refused),
		TEST(records_out_of_place_are_refused),
		TEST(padding_that_libfcgi_would_not_skip_is_refused),
		TEST(padding_where_no_body_follows_is_passed_over),
		TEST(malformed_parameters_are_refused),
		TEST(more_than_64_kib_of_parameters_are_refused),
		TEST(parameters_in_endless_pieces_are_refused),
		TEST(large_body_is_read_whole),
		TEST(body_in_pieces_is_collected),
		TEST(body_that_stalls_is_waited_for_without_blocking),
		TEST(body_that_is_cut_short_is_closed),
		TEST(what_is_no_body_is_refused_also_when_it_comes_later),
		TEST(body_that_is_too_large_is_not_waited_for),
		TEST(limit_of_the_body_can_depend_on_the_parameters),
		TEST(body_that_is_streamed_goes_to_the_sink_piece_by_piece),
		TEST(body_that_is_streamed_ends_where_it_is_not_wanted),
		TEST(request_without_a_body_is_not_asked_for_its_limit),
		TEST(lengths_that_fit_are_waited_for),
		TEST(head_alone_can_be_waited_for),
		TEST(body_can_be_waited_for_after_the_head),
		TEST(parameters_are_seen_before_the_request_is_taken_in),
		TEST(peer_that_hangs_up_is_noticed),
		TEST(answer_arrives_whole_and_ends_the_request),
		TEST(large_answer_arrives_whole),
		TEST(answer_that_nobody_takes_is_an_error),
		TEST(body_that_nobody_read_is_drained),
		TEST(body_that_is_still_being_sent_is_drained),
		TEST(peer_that_sends_for_ever_is_not_drained_for_ever),
	};

	return cmocka_run_group_tests(tests, set_up_all, NULL);
}

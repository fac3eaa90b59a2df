#include "http/response.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/http_token.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static TALLOC_CTX *ctx;
static struct fcgi *fcgi;
static int peer = -1;
static char answer[64 * 1024];

/* ---- Helpers ------------------------------------------------------------------------------------------------ */

/* Send the response to a request of an authorizer, which needs no body, and read back what arrives. */
static int send_response(struct http_response *response, bool is_head)
{
	static const uint8_t request[] = {
		1, 1, 0, 7, 0, 8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, /* begin request 7 */
		1, 4, 0, 7, 0, 0, 0, 0,                         /* no parameters */
	};
	uint8_t received[sizeof answer];
	size_t answer_size = 0;
	ssize_t size, at = 0;
	int result;

	assert_int_equal(send(peer, request, sizeof request, 0), sizeof request);
	assert_int_equal(fcgi_inspect(fcgi), FCGI_READY);
	assert_int_equal(fcgi_accept(fcgi), 0);
	result = response_send(response, ctx, fcgi, is_head);
	size = recv(peer, received, sizeof received, MSG_DONTWAIT);
	/* Records of standard output, type 6, then the end. */
	while (at + 8 <= size && received[at + 1] == 6) {
		size_t content = (size_t)received[at + 4] << 8 | received[at + 5];

		assert_true(answer_size + content < sizeof answer);
		memcpy(answer + answer_size, received + at + 8, content);
		answer_size += content;
		at += 8 + (ssize_t)content + received[at + 6];
	}
	answer[answer_size] = '\0';
	return result;
}

static void assert_answer(struct http_response *response, bool is_head, const char *expected)
{
	assert_int_equal(send_response(response, is_head), 0);
	assert_string_equal(answer, expected);
}

static void assert_bare_500(struct http_response *response)
{
	assert_answer(response, false,
	              "Status: 500 Internal Server Error\r\nContent-Length: 0\r\nCache-Control: no-store\r\n\r\n");
	assert_int_equal(response->status, 500);
}

static int set_up_all(void **state)
{
	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);
	return fcgi_init() == NULL ? 0 : -1;
}

static int set_up(void **state)
{
	int pair[2];

	(void)state;
	ctx = talloc_new(NULL);
	if (ctx == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return -1;
	peer = pair[1];
	fcgi = fcgi_open(ctx, pair[0], 1000, 0);
	return fcgi != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	talloc_free(ctx);
	if (peer >= 0)
		close(peer);
	return 0;
}

/* ---- Tests -------------------------------------------------------------------------------------------------- */

static void answer_has_status_first_then_headers_and_body(void **state)
{
	struct http_response response = {
		.status = 401, .content_type = "application/json", .body = "{}", .body_size = 2};

	(void)state;
	response_header(&response, ctx, "Cache-Control", "no-store");
	response_header(&response, ctx, "Session-Reason", "");
	response_header(&response, ctx, "Set-Cookie", "a=1");
	response_header(&response, ctx, "Set-Cookie", "b=2");
	assert_answer(&response, false,
	              "Status: 401 Unauthorized\r\nCache-Control: no-store\r\nSession-Reason: \r\nSet-Cookie: a=1\r\n"
	              "Set-Cookie: b=2\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"
	              "Content-Length: 2\r\n\r\n{}");
}

static void cookie_is_set_to_what_came_last(void **state)
{
	struct http_response response = {.status = 204};

	(void)state;
	response_set_cookie(&response, ctx, "one", "one=1; Path=/", false);
	response_set_cookie(&response, ctx, "two", "two=2", false);
	response_set_cookie(&response, ctx, "one", "one=; Max-Age=0", false);
	assert_answer(&response, false,
	              "Status: 204 No Content\r\nSet-Cookie: one=; Max-Age=0\r\nSet-Cookie: two=2\r\n\r\n");
}

static void answer_that_is_taken_back_leaves_its_cookies(void **state)
{
	struct http_response response = {
		.status = 200, .content_type = "text/html", .body = "<p>Hello", .body_size = 8};

	(void)state;
	response_header(&response, ctx, "Location", "/");
	response_header(&response, ctx, "Bad", "a\nb");
	response_set_cookie(&response, ctx, "one", "one=1", false);
	response_reset(&response);
	response.status = 303;
	assert_answer(&response, false, "Status: 303 See Other\r\nSet-Cookie: one=1\r\nContent-Length: 0\r\n\r\n");
}

static void cookie_that_cannot_be_set_makes_it_a_500(void **state)
{
	struct http_response response = {.status = 200};
	char name[] = "a";

	(void)state;
	response_set_cookie(&response, ctx, "one", "one=1\r\nSet-Cookie: two=2", false);
	assert_bare_500(&response);
	response = (struct http_response){.status = 200};
	for (int i = 0; i < RESPONSE_COOKIES_MAX; i++, name[0]++)
		response_set_cookie(&response, ctx, name, "x", false);
	assert_false(response.failed);
	response_set_cookie(&response, ctx, name, "x", false);
	assert_true(response.failed);
}

static void cookie_of_the_answer_goes_when_that_is_taken_back(void **state)
{
	struct http_response response = {.status = 200};

	(void)state;
	response_set_cookie(&response, ctx, "of_answer", "of_answer=1", true);
	response_set_cookie(&response, ctx, "done", "done=1", false);
	response_reset(&response);
	response.status = 204;
	assert_answer(&response, false, "Status: 204 No Content\r\nSet-Cookie: done=1\r\n\r\n");
}

static void header_field_takes_the_place_of_the_former(void **state)
{
	struct http_response response = {.status = 303};

	(void)state;
	response_header(&response, ctx, "Cache-Control", "no-store");
	response_header(&response, ctx, "Location", "/first");
	response_header(&response, ctx, "Vary", "Cookie");
	response_header(&response, ctx, "Cache", "other");
	response_header(&response, ctx, "location", "/second");
	response_header(&response, ctx, "cache-control", "private");
	response_header(&response, ctx, "Vary", "Accept");
	response_header(&response, ctx, "Cache-Control", "max-age=60");
	assert_answer(&response, false,
	              "Status: 303 See Other\r\nVary: Cookie\r\nCache: other\r\nlocation: /second\r\nVary: Accept\r\n"
	              "Cache-Control: max-age=60\r\nContent-Length: 0\r\n\r\n");
	assert_true(response_has_header(&response, "LOCATION"));
	assert_false(response_has_header(&response, "Cach"));
}

static void type_of_the_body_is_sent_once(void **state)
{
	struct http_response response = {.status = 200, .content_type = "image/png", .body = "x", .body_size = 1};

	(void)state;
	response_header(&response, ctx, "Content-Type", "text/html");
	response_header(&response, ctx, "x-content-type-options", "nosniff");
	assert_answer(&response, false,
	              "Status: 200 OK\r\nContent-Type: image/png\r\nX-Content-Type-Options: nosniff\r\n"
	              "Content-Length: 1\r\n\r\nx");
}

/* RFC 9110, 15.3.5 and 15.4.5 */
static void statuses_that_have_no_body_get_none(void **state)
{
	struct http_response response = {.status = 204, .content_type = "a/b", .body = "x", .body_size = 1};

	(void)state;
	assert_answer(&response, false, "Status: 204 No Content\r\n\r\n");
}

static void not_modified_has_no_body(void **state)
{
	struct http_response response = {.status = 304, .content_type = "a/b", .body = "x", .body_size = 1};

	(void)state;
	response_header(&response, ctx, "ETag", "\"1\"");
	assert_answer(&response, false, "Status: 304 Not Modified\r\nETag: \"1\"\r\n\r\n");
}

static void token_is_what_names_are_made_of(void **state)
{
	(void)state;
	assert_true(is_http_token("X-Frame_Options!#$%&'*+.^`|~09"));
	for (const char *const *text =
	             (const char *const[]){"", "a b", "a:", "a\r\nb", "a\x7f", "\xc3\xa9", "a=", "(a)", NULL};
	     *text != NULL; text++)
		assert_false(is_http_token(*text));
}

static void head_has_the_header_of_the_body_that_is_left_out(void **state)
{
	struct http_response response = {
		.status = 200, .content_type = "text/html", .body = "<p>Hello", .body_size = 8};

	(void)state;
	assert_answer(&response, true,
	              "Status: 200 OK\r\nContent-Type: text/html\r\nX-Content-Type-Options: nosniff\r\n"
	              "Content-Length: 8\r\n\r\n");
}

static void answer_without_a_body_says_so(void **state)
{
	struct http_response response = {.status = 303};

	(void)state;
	response_header(&response, ctx, "Location", "/session/account");
	assert_answer(&response, false,
	              "Status: 303 See Other\r\nLocation: /session/account\r\nContent-Length: 0\r\n\r\n");
}

/* RFC 9110, 8.6 */
static void no_content_has_no_length(void **state)
{
	struct http_response response = {.status = 204};

	(void)state;
	assert_answer(&response, false, "Status: 204 No Content\r\n\r\n");
}

static void body_may_be_long_and_need_not_be_text(void **state)
{
	char body[30000];
	struct http_response response = {.status = 200, .content_type = "x/y", .body = body, .body_size = sizeof body};
	const char *begin;

	(void)state;
	memset(body, 'x', sizeof body);
	body[0] = '\0';
	assert_int_equal(send_response(&response, false), 0);
	begin = strstr(answer, "\r\n\r\n");
	assert_non_null(begin);
	assert_memory_equal(begin + 4, body, sizeof body);
	assert_int_equal(begin[4 + sizeof body], '\0');
}

static void header_with_a_control_character_makes_it_a_500(void **state)
{
	static const char *const values[] = {"a\r\nSet-Cookie: evil=1", "a\nb", "a\rb", "a\tb", "\x7f", "\x01", "\x1f"};

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
		struct http_response response = {.status = 200};

		response_header(&response, ctx, "X", values[i]);
		assert_true(response.failed);
		assert_int_equal(response.headers.size, 0);
	}
}

static void failed_answer_gives_nothing_away(void **state)
{
	struct http_response response = {.status = 200, .content_type = "text/plain", .body = "secret", .body_size = 6};

	(void)state;
	response_header(&response, ctx, "Set-Cookie", "session=secret");
	response_header(&response, ctx, "Location", "/\r\nX: y");
	/* A valid header afterwards does not make up for it. */
	response_header(&response, ctx, "Vary", "Cookie");
	assert_bare_500(&response);
}

static void text_of_any_language_may_stand_in_a_header(void **state)
{
	struct http_response response = {.status = 200};

	(void)state;
	response_header(&response, ctx, "Remote-User", "J\xc3\xbcrgen \xf0\x9f\x94\x91");
	assert_answer(&response, false,
	              "Status: 200 OK\r\nRemote-User: J\xc3\xbcrgen \xf0\x9f\x94\x91\r\nContent-Length: 0\r\n\r\n");
}

static void request_that_nobody_answered_is_a_500(void **state)
{
	struct http_response response = {0};

	(void)state;
	assert_bare_500(&response);
}

static void peer_that_went_away_is_told_of(void **state)
{
	static const uint8_t request[] = {1, 1, 0, 7, 0, 8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 4, 0, 7, 0, 0, 0, 0};
	struct http_response response = {.status = 204};

	(void)state;
	assert_int_equal(send(peer, request, sizeof request, 0), sizeof request);
	assert_int_equal(fcgi_inspect(fcgi), FCGI_READY);
	assert_int_equal(fcgi_accept(fcgi), 0);
	close(peer);
	peer = -1;
	assert_int_equal(response_send(&response, ctx, fcgi, false), -1);
}

/*
 * The kernel takes one write as a whole, whatever happens to the process. Nothing is written before or after it, so
 * that no web server ever reads part of the guard's answer.
 */
static void answer_without_a_body_is_written_at_once_with_its_end(void **state)
{
	static const uint8_t request[] = {1, 1, 0, 7, 0, 8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 4, 0, 7, 0, 0, 0, 0};
	char name[2000];
	struct http_response response = {.status = 200};
	uint8_t received[sizeof answer];
	ssize_t size, at = 0;
	unsigned int last = 0;
	int pair[2];

	(void)state;
	/* On this socket a packet is one write. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	talloc_free(fcgi);
	close(peer);
	peer = pair[1];
	fcgi = fcgi_open(ctx, pair[0], 1000, 0);
	assert_non_null(fcgi);
	memset(name, 'n', sizeof name);
	name[sizeof name - 1] = '\0';
	response_header(&response, ctx, "Remote-User", name);
	assert_int_equal(send(peer, request, sizeof request, 0), sizeof request);
	assert_int_equal(fcgi_inspect(fcgi), FCGI_READY);
	assert_int_equal(fcgi_accept(fcgi), 0);
	assert_int_equal(response_send(&response, ctx, fcgi, false), 0);
	size = recv(peer, received, sizeof received, MSG_DONTWAIT);
	assert_memory_equal(received + 8, "Status: 200 OK\r\n", 16);
	for (; at + 8 <= size; at += 8 + (ssize_t)received[at + 4] * 256 + received[at + 5] + received[at + 6])
		last = received[at + 1];
	assert_int_equal(at, size);
	assert_int_equal(last, 3);
	assert_int_equal(recv(peer, received, sizeof received, MSG_DONTWAIT), -1);
}

static void every_status_of_the_contract_has_its_phrase(void **state)
{
	static const int statuses[] = {200, 204, 303, 400, 401, 403, 404, 405, 409, 413, 415, 429, 500, 503};

	(void)state;
	for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
		assert_string_not_equal(response_reason_phrase(statuses[i]), "Status");
	assert_string_equal(response_reason_phrase(404), "Not Found");
	assert_string_equal(response_reason_phrase(503), "Service Unavailable");
	assert_string_equal(response_reason_phrase(201), "Created");
	assert_string_equal(response_reason_phrase(402), "Payment Required");
	assert_string_equal(response_reason_phrase(422), "Unprocessable Content");
	assert_string_equal(response_reason_phrase(502), "Bad Gateway");
	assert_string_equal(response_reason_phrase(299), "Status");
}

static void assert_escaped(const char *location, const char *expected)
{
	char *escaped = response_escape_url(ctx, location);

	assert_non_null(escaped);
	assert_string_equal(escaped, expected);
}

static void url_is_escaped_where_it_must_be(void **state)
{
	(void)state;
	assert_escaped("", "");
	assert_escaped("/members/?tab=1&x=a+b#top", "/members/?tab=1&x=a+b#top");
	assert_escaped("/-._~!$'()*,;:@[]=%41", "/-._~!$'()*,;:@[]=%41");
	assert_escaped("/a b", "/a%20b");
	assert_escaped("/\"<>\\^`{|}", "/%22%3C%3E%5C%5E%60%7B%7C%7D");
	assert_escaped("/J\xc3\xbcrgen", "/J%C3%BCrgen");
	assert_escaped("/a\r\nX: y\t\x7f", "/a%0D%0AX:%20y%09%7F");
	assert_escaped("\xff\x01", "%FF%01");
}

static void any_escaped_url_can_stand_in_a_header(void **state)
{
	(void)state;
	for (int byte = 1; byte < 256; byte++) {
		const char location[] = {'/', (char)byte, '\0'};
		struct http_response response = {.status = 303};

		response_header(&response, ctx, "Location", response_escape_url(ctx, location));
		assert_false(response.failed);
	}
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answer_has_status_first_then_headers_and_body),
		TEST(cookie_is_set_to_what_came_last),
		TEST(answer_that_is_taken_back_leaves_its_cookies),
		TEST(cookie_that_cannot_be_set_makes_it_a_500),
		TEST(cookie_of_the_answer_goes_when_that_is_taken_back),
		TEST(header_field_takes_the_place_of_the_former),
		TEST(type_of_the_body_is_sent_once),
		TEST(statuses_that_have_no_body_get_none),
		TEST(not_modified_has_no_body),
		TEST(token_is_what_names_are_made_of),
		TEST(head_has_the_header_of_the_body_that_is_left_out),
		TEST(answer_without_a_body_says_so),
		TEST(no_content_has_no_length),
		TEST(body_may_be_long_and_need_not_be_text),
		TEST(header_with_a_control_character_makes_it_a_500),
		TEST(failed_answer_gives_nothing_away),
		TEST(text_of_any_language_may_stand_in_a_header),
		TEST(request_that_nobody_answered_is_a_500),
		TEST(peer_that_went_away_is_told_of),
		TEST(answer_without_a_body_is_written_at_once_with_its_end),
		TEST(every_status_of_the_contract_has_its_phrase),
		TEST(url_is_escaped_where_it_must_be),
		TEST(any_escaped_url_can_stand_in_a_header),
	};

	return cmocka_run_group_tests(tests, set_up_all, NULL);
}

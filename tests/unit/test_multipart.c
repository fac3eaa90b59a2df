/* multipart/form-data: whatever the pieces are that it arrives in, what comes out is the same. */
#include "http/multipart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What came out: "[name|filename|type]content." for each part. */
static char out[4096];
static size_t parts_until_refusal;

static void add(const char *text, size_t size)
{
	size_t used = strlen(out);

	assert_true(used + size < sizeof out);
	memcpy(out + used, text, size);
	out[used + size] = '\0';
}

static bool begin(void *context, const struct multipart_part *part)
{
	char text[1024];
	int size = snprintf(text, sizeof text, "[%s|%s|%s]", part->name, part->filename != NULL ? part->filename : "-",
	                    part->content_type != NULL ? part->content_type : "-");

	(void)context;
	add(text, (size_t)size);
	return parts_until_refusal-- > 0;
}

static bool data(void *context, const void *bytes, size_t size)
{
	(void)context;
	assert_true(size > 0);
	add(bytes, size);
	return true;
}

static bool end(void *context)
{
	(void)context;
	add(".", 1);
	return true;
}

static const struct multipart_sink sink = {begin, data, end};

/* In pieces of that size; returns what is wrong. Each piece is a copy of its own, for the sanitizer. */
static const char *parse(const char *boundary, const char *text, size_t size, size_t step)
{
	static struct multipart multipart;
	char type[600];
	const char *problem;
	bool goes_on = true;

	out[0] = '\0';
	parts_until_refusal = SIZE_MAX;
	(void)snprintf(type, sizeof type, "multipart/form-data; boundary=%s", boundary);
	problem = multipart_init(&multipart, type, &sink, NULL);
	if (problem != NULL)
		return problem;
	for (size_t at = 0; at < size && goes_on; at += step) {
		size_t piece_size = size - at < step ? size - at : step;
		char *piece = malloc(piece_size);

		assert_non_null(piece);
		memcpy(piece, text + at, piece_size);
		goes_on = multipart_feed(&multipart, piece, piece_size);
		free(piece);
	}
	if (goes_on)
		(void)multipart_finish(&multipart);
	return multipart.defect;
}

static void assert_parts(const char *boundary, const char *text, const char *expected)
{
	for (size_t step = 1; step <= strlen(text); step++) {
		const char *problem = parse(boundary, text, strlen(text), step);

		if (problem != NULL)
			fail_msg("%s: %s", text, problem);
		assert_string_equal(out, expected);
	}
}

static void assert_wrong(const char *boundary, const char *text, const char *expected)
{
	for (size_t step = 1; step <= strlen(text); step++) {
		const char *problem = parse(boundary, text, strlen(text), step);

		assert_non_null(problem);
		assert_non_null(strstr(problem, expected));
	}
}

#define FIELD(name) "Content-Disposition: form-data; name=\"" name "\"\r\n"

static void parts_come_out_in_their_order(void **state)
{
	(void)state;
	assert_parts(
		"AaB",
		"--AaB\r\n" FIELD("title") "\r\nMetropolis\r\n--AaB\r\n"
					   "Content-Disposition: form-data; name=\"cover\"; filename=\"a b.jpg\"\r\n"
					   "Content-Type: image/jpeg\r\n\r\n\x89\r\n\r\n--Aa\r\n--AaB--\r\n",
		"[title|-|-]Metropolis.[cover|a b.jpg|image/jpeg]\x89\r\n\r\n--Aa.");
	assert_parts("x", "--x--", "");
	assert_parts("x", "--x\r\n" FIELD("a") "\r\n\r\n--x--", "[a|-|-].");
	assert_parts("\"a b\"", "--a b\r\n" FIELD("a") "\r\n1\r\n--a b--", "[a|-|-]1.");
}

static void what_looks_like_a_boundary_and_is_none_is_content(void **state)
{
	(void)state;
	assert_parts("--b", "----b\r\n" FIELD("a") "\r\n\r\n--\r\n--\r\n\r\n----a\r----b\n----b----b\r\n----b--",
	             "[a|-|-]\r\n--\r\n--\r\n\r\n----a\r----b\n----b----b.");
	assert_parts("aab", "--aab\r\n" FIELD("a") "\r\n\r\n--aa\r\n--aa\r\r\n--aab--", "[a|-|-]\r\n--aa\r\n--aa\r.");
}

static void what_stands_before_and_behind_is_left_out(void **state)
{
	(void)state;
	assert_parts("x", "preamble\r\n--y\r\n--x \t\r\n" FIELD("a") "\r\n1\r\n--x--epilogue\r\n--x\r\nmore",
	             "[a|-|-]1.");
}

static void head_can_be_written_in_several_ways(void **state)
{
	(void)state;
	assert_parts("x",
	             "--x\r\ncontent-disposition:FORM-DATA;Filename=..\\..\\passwd;NAME=\"a\\\"b\\c%22\"\r\n"
	             "X-Other: y\r\nContent-Transfer-Encoding: BINARY\r\ncontent-TYPE:\ttext/plain \r\n\r\n1\r\n--x--",
	             "[a\"b\\c%22|..\\..\\passwd|text/plain]1.");
	assert_parts(
		"x",
		"--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"\"; filename*=UTF-8''b\r\n\r\n\r\n--x--",
		"[a||-].");
	/* A part that is multipart itself is not taken apart. */
	assert_parts(
		"x",
		"--x\r\n" FIELD("a") "Content-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n1\r\n--y--\r\n--x--",
		"[a|-|multipart/mixed; boundary=y]--y\r\n\r\n1\r\n--y--.");
}

static void form_that_is_wrong_is_told(void **state)
{
	static const struct {
		const char *text, *problem;
	} cases[] = {
		{"--x", "last boundary"},
		{"--x-", "last boundary"},
		{"no form at all", "last boundary"},
		{"--x\r\n" FIELD("a") "\r\n1", "last boundary"},
		{"--x\r\n" FIELD("a") "\r\n1\r\n--x\r\n", "last boundary"},
		{"--xy\r\n" FIELD("a") "\r\n1\r\n--x--", "goes on"},
		{"--x\r\n" FIELD("a") "\r\n1\r\n--xx--", "goes on"},
		{"--x\r\n" FIELD("a") "\r\n1\r\n--x-y", "goes on"},
		{"--x\n" FIELD("a") "\r\n1\r\n--x--", "goes on"},
		{"--x\r" FIELD("a") "\r\n1\r\n--x--", "goes on"},
		{"--x \t-\r\n" FIELD("a") "\r\n1\r\n--x--", "goes on"},
		{"--x\r\n\r\n1\r\n--x--", "has no name"},
		{"--x\r\nContent-Type: text/plain\r\n\r\n1\r\n--x--", "has no name"},
		{"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--", "has no name"},
		{"--x\r\nContent-Disposition: form-data; filename=\"a\"\r\n\r\n1\r\n--x--", "has no name"},
		{"--x\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n1\r\n--x--", "no form-data"},
		{"--x\r\n" FIELD("a") FIELD("b") "\r\n1\r\n--x--", "two names"},
		{"--x\r\nContent-Disposition: form-data; name=a; name=b\r\n\r\n1\r\n--x--", "two names"},
		{"--x\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--x--", "cannot be read"},
		{"--x\r\nContent-Disposition: form-data; name=\"a\"b\r\n\r\n1\r\n--x--", "cannot be read"},
		{"--x\r\nContent-Disposition: form-data; name=\r\n\r\n1\r\n--x--", "cannot be read"},
		{"--x\r\nContent-Disposition: form-data; name\r\n\r\n1\r\n--x--", "cannot be read"},
		{"--x\r\nContent-Disposition : form-data; name=a\r\n\r\n1\r\n--x--", "cannot be read"},
		{"--x\r\n: form-data; name=a\r\n\r\n1\r\n--x--", "cannot be read"},
		{"--x\r\nnothing\r\n\r\n1\r\n--x--", "cannot be read"},
		{"--x\r\nContent-Disposition: form-data;\r\n name=a\r\n\r\n1\r\n--x--", "has no name"},
		{"--x\r\nContent-Disposition: form-data; name=a\n\r\n\r\n1\r\n--x--", "CRLF"},
		{"--x\r\nContent-Disposition: form-data; name=a\rb\r\n\r\n1\r\n--x--", "CRLF"},
		{"--x\r\n" FIELD("a") "Content-Type: a\r\nContent-Type: b\r\n\r\n1\r\n--x--", "two types"},
		{"--x\r\n" FIELD("a") "Content-Transfer-Encoding: base64\r\n\r\n1\r\n--x--", "transfer encoding"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_wrong("x", cases[i].text, cases[i].problem);
	assert_string_equal(parse("x", "--x\r\nA: \0\r\n\r\n", 14, 14), "a part's head holds a NUL");
}

static void boundary_is_checked(void **state)
{
	static const char *const wrong[] = {
		"",          "\"\"",
		"\"a \"",    "a\"b",
		"\"a",       "a; boundary=b",
		"\"a\\b\"",  "\"a\tb\"",
		"a\xc3\xbc", "12345678901234567890123456789012345678901234567890123456789012345678901"};
	static const char longest[] = "1234567890123456789012345678901234567890123456789012345678901234567890";
	char text[300], expected[100];

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_non_null(parse(wrong[i], "", 0, 1));
	(void)snprintf(text, sizeof text, "--%s\r\n" FIELD("a") "\r\n--%.69s\r\n--%s--", longest, longest, longest);
	(void)snprintf(expected, sizeof expected, "[a|-|-]--%.69s.", longest);
	assert_parts(longest, text, expected);
}

static void bounds_are_kept(void **state)
{
	static char text[MULTIPART_HEAD_MAX + 100], many[MULTIPART_PARTS_MAX * 64 + 100];
	size_t used = 0;

	(void)state;
	for (size_t i = 0; i < MULTIPART_PARTS_MAX; i++)
		used += (size_t)snprintf(many + used, sizeof many - used, "--x\r\n" FIELD("a") "\r\n\r\n");
	(void)snprintf(many + used, sizeof many - used, "--x--");
	assert_null(parse("x", many, strlen(many), 1000));
	(void)snprintf(many + used, sizeof many - used, "--x\r\n" FIELD("a") "\r\n\r\n--x--");
	assert_string_equal(parse("x", many, strlen(many), 1000), "more than 64 parts");
	memset(text, 'a', sizeof text);
	memcpy(text, "--x\r\n", 5);
	assert_string_equal(parse("x", text, sizeof text, 1000), "the head of a part has more than 8 KiB");
}

static void sink_can_refuse(void **state)
{
	static struct multipart multipart;
	static const char text[] = "--x\r\n" FIELD("a") "\r\n1\r\n--x--";

	(void)state;
	out[0] = '\0';
	parts_until_refusal = 0;
	assert_null(multipart_init(&multipart, "multipart/form-data; boundary=x", &sink, NULL));
	assert_false(multipart_feed(&multipart, text, sizeof text - 1));
	assert_null(multipart.defect);
	assert_string_equal(out, "[a|-|-]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_come_out_in_their_order),
		cmocka_unit_test(what_looks_like_a_boundary_and_is_none_is_content),
		cmocka_unit_test(what_stands_before_and_behind_is_left_out),
		cmocka_unit_test(head_can_be_written_in_several_ways),
		cmocka_unit_test(form_that_is_wrong_is_told),
		cmocka_unit_test(boundary_is_checked),
		cmocka_unit_test(bounds_are_kept),
		cmocka_unit_test(sink_can_refuse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

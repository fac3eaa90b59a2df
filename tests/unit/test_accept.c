#include "http/accept.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <string.h>

struct accept_row {
	const char *accept;
	bool prefers_json;
};

static void json_is_for_those_who_prefer_it(void **state)
{
	static const struct accept_row rows[] = {
		/* Defaults of clients: curl, Python's requests, wget. */
		{NULL, false},
		{"", false},
		{"*/*", false},
		{"*/*;q=0.1", false},
		/* Firefox, Chrome, Safari. */
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
	         "application/signed-exchange;v=b3;q=0.7",
	         false},
		/* Programs: fetch() with a header, axios, jQuery, HTTPie. */
		{"application/json", true},
		{"application/json, text/plain, */*", true},
		{"application/json, text/javascript, */*; q=0.01", true},
		{"application/json, */*;q=0.5", true},
		{"application/problem+json", true},
		{"application/*", true},
		/* Weights. */
		{"text/html, application/json", false},
		{"application/json, text/html", false},
		{"text/html;q=0.9, application/json", true},
		{"text/html, application/json;q=0.9", false},
		{"text/html;q=0.123, application/json;q=0.124", true},
		{"text/html;q=0.124, application/json;q=0.123", false},
		{"application/json;q=0.5, text/html;q=0.05", true},
		{"application/json;q=1.000, text/html;q=0.999", true},
		{"application/json; q=0.5 , text/html; q=0.4", true},
		{"application/json;Q=0.4, text/html;Q=0.5", false},
		{"application/json;Q=0.5, text/html;Q=0.4", true},
		{"application/json;charset=utf-8;q=0.4, text/html;q=0.5", false},
		{"application/json;q=0", false},
		{"application/json;q=0, */*", false},
		{"application/json;q=0.0, text/html;q=0", false},
		{"text/html;q=0, */*", true},
		/* The more specific range counts, in any order. */
		{"*/*;q=0.9, application/json;q=0.1", false},
		{"application/*;q=0.1, application/json, text/html;q=0.5", true},
		{"text/*;q=0.5, application/json;q=0.6", true},
		{"text/*, application/json;q=0.6", false},
		{"text/*, application/*;q=0.9", false},
		{"text/html;q=0.2, text/*, application/json;q=0.5", true},
		/* Of two ranges that are as specific the one with the higher weight. */
		{"application/json, application/problem+json;q=0.5, text/html;q=0.8", true},
		{"application/problem+json;q=0.5, application/json, text/html;q=0.8", true},
		{"application/xhtml+xml;q=0.5, text/html, application/json;q=0.8", false},
		/* Spelling. */
		{"APPLICATION/JSON", true},
		{" ,, \tapplication/json\t,", true},
		{"application/jsonp", false},
		{"application/jso", false},
		{"application/ld+json", false},
		{"text/plain", false},
		{"application/json;", true},
		{"application/json; ,text/html", false},
		{";q=1", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (accept_prefers_json(rows[i].accept) != rows[i].prefers_json)
			fail_msg("Accept: %s", rows[i].accept != NULL ? rows[i].accept : "(none)");
	}
}

static void list_without_an_end_is_cut(void **state)
{
	static const char range[] = "text/plain,";
	char header[(sizeof range - 1) * 10000 + sizeof "application/json"];
	char *at = header;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		for (size_t j = 0; j < sizeof range - 1; j++)
			*at++ = range[j];
	}
	for (size_t j = 0; j < sizeof "application/json"; j++)
		*at++ = "application/json"[j];
	assert_false(accept_prefers_json(header));
}

struct site_row {
	const char *sec_fetch_site;
	const char *origin;
	const char *host;
	bool is_cross;
};

static void other_sites_are_told_apart(void **state)
{
	static const struct site_row rows[] = {
		/* No browser: neither header. */
		{NULL, NULL, NULL, false},
		{NULL, NULL, "example.org", false},
		{"", "", "example.org", false},
		/* By Sec-Fetch-Site. */
		{"same-origin", NULL, "example.org", false},
		{"none", NULL, "example.org", false},
		{"cross-site", NULL, "example.org", true},
		{"Same-Origin", NULL, "example.org", true},
		{"same-origin2", NULL, "example.org", true},
		{"unknown", NULL, "example.org", true},
		/* Sec-Fetch-Site overrides Origin. */
		{"same-origin", "https://evil.example", "example.org", false},
		{"cross-site", "https://example.org", "example.org", true},
		/* But a sibling domain is another site. */
		{"same-site", "https://shop.example.org", "example.org", true},
		{"same-site", "https://example.org", "www.example.org", true},
		{"same-site", "https://example.org:8443", "example.org", true},
		{"same-site", "https://example.org", "example.org", false},
		{"same-site", "null", "example.org", true},
		{"same-site", NULL, "example.org", true},
		{"same-site", "", "example.org", true},
		/* An older browser, or one without HTTPS: Origin. */
		{NULL, "https://example.org", "example.org", false},
		{"", "http://example.org", "example.org", false},
		{NULL, "https://EXAMPLE.org", "example.ORG", false},
		{NULL, "http://example.org:8080", "example.org:8080", false},
		{NULL, "http://[::1]:8080", "[::1]:8080", false},
		/* With the default port, or without. */
		{NULL, "https://example.org", "example.org:443", false},
		{NULL, "http://example.org", "example.org:80", false},
		{NULL, "https://example.org:443", "example.org", false},
		{NULL, "http://example.org:80", "EXAMPLE.org", false},
		{NULL, "http://example.org:443", "example.org:443", false},
		{NULL, "https://[::1]", "[::1]:443", false},
		/* TLS terminated by a proxy that puts the web server's port into Host. */
		{NULL, "https://example.org", "example.org:80", false},
		{NULL, "https://example.org:80", "example.org", true},
		{NULL, "http://example.org:443", "example.org", true},
		{NULL, "https://example.org", "example.org:8443", true},
		{NULL, "https://example.org:8443", "example.org:443", true},
		{NULL, "https://example.org", "example.org:", true},
		{NULL, "https://example.org", ":443", true},
		{NULL, "https://evil.example", "example.org", true},
		{NULL, "http://example.org:8080", "example.org", true},
		{NULL, "http://example.org:8080", "example.org:8081", true},
		{NULL, "https://example.org.evil.example", "example.org", true},
		{NULL, "https://evil-example.org", "example.org", true},
		{NULL, "https://www.example.org", "example.org", true},
		{NULL, "https://example.or", "example.org", true},
		{NULL, "https://evil.example/://example.org", "example.org", true},
		/* From a sandboxed frame or a file. */
		{NULL, "null", "example.org", true},
		{NULL, "null", "null", true},
		{NULL, "file://", "example.org", true},
		{NULL, "example.org", "example.org", true},
		{NULL, "https://example.org", NULL, true},
		{NULL, "https://example.org", "", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (is_cross_site(rows[i].sec_fetch_site, rows[i].origin, rows[i].host) != rows[i].is_cross)
			fail_msg("row %zu: Origin: %s", i, rows[i].origin != NULL ? rows[i].origin : "(none)");
	}
}

static void page_of_the_own_site_is_told_from_others_by_its_address(void **state)
{
	static const struct {
		const char *url, *host, *path;
	} rows[] = {
		{"https://example.org/form?a=b", "example.org", "/form?a=b"},
		{"https://example.org/form", "example.org:443", "/form"},
		{"http://example.org/form", "Example.org:80", "/form"},
		{"https://example.org:443/", "example.org", "/"},
		{"https://example.org/a://example.org:443/b", "example.org:443", "/a://example.org:443/b"},
		{"https://example.org", "example.org:443", ""},
		{"http://[::1]:8080/", "[::1]:8080", "/"},
		{"https://example.org:8443/form", "example.org:443", NULL},
		{"https://example.org:443/form", "example.org:8443", NULL},
		{"https://elsewhere.example/example.org:443", "example.org:443", NULL},
		{"https://example.org?example.org/", "example.org", NULL},
		{"https:///form", "", NULL},
		{"/form", "example.org", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *path = own_site_path(rows[i].url, rows[i].host);

		if ((path == NULL) != (rows[i].path == NULL) || (path != NULL && strcmp(path, rows[i].path) != 0))
			fail_msg("row %zu: %s", i, rows[i].url);
	}
}

static void only_its_own_name_asks_for_html(void **state)
{
	static const struct {
		const char *accept;
		bool names_html;
	} rows[] = {
		{NULL, false},
		{"", false},
		{",", false},
		{"*/*", false},
		{"text/*", false},
		{"text/htmlx", false},
		{"application/xhtml+xml", false},
		{"text/html;q=0", false},
		{"text/html ; q=0.000, */*", false},
		{"video/mp4, image/*", false},
		{"text/html", true},
		{"TEXT/HTML", true},
		{"text/html;charset=utf-8;q=0.1", true},
		{"application/json, text/html;q=0.1", true},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true},
		{" ,, text/html ,", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (accept_names_html(rows[i].accept) != rows[i].names_html)
			fail_msg("row %zu: Accept: %s", i, rows[i].accept != NULL ? rows[i].accept : "(none)");
	}
}

static void language_is_the_one_that_is_preferred_most(void **state)
{
	static const char *const tags[] = {"de", "en", "zh-Hans", "pt-BR"};
	static const struct {
		const char *accept;
		const char *expected; /* NULL: none */
	} rows[] = {
		{NULL, NULL},
		{"", NULL},
		{"de", "de"},
		{"DE", "de"},
		{"zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"},
		{"de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", "de"},
		{"fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "en"},
		{"fr", NULL},
		{"fr, *", NULL},
		{"*", NULL},
		/* By weight, and by place when that is the same. */
		{"en;q=0.5, de;q=0.6", "de"},
		{"en, de", "en"},
		{"en;q=0.9 , de ; q=0.95", "de"},
		{"de;q=0, en", "en"},
		{"de;q=0", NULL},
		{"de;q=0.000, de", "de"},
		{"pt", "pt-BR"},
		{"pt-PT, en;q=0.1", "pt-BR"},
		/* What cannot be a tag is passed over. */
		{"this-is-longer-than-any-tag-of-a-language-that-there-is, de;q=0.1", "de"},
		{", ,;q=1,de", "de"},
		{"-, --, de-, d, de;q=0.5", "de"},
		{"deutsch", NULL},
		{"d\xc3\xa9, en;q=0.1", "en"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		size_t found = accept_language(rows[i].accept, tags, 4);
		const char *tag = found < 4 ? tags[found] : "none";

		if (found > 4 || strcmp(tag, rows[i].expected != NULL ? rows[i].expected : "none") != 0)
			fail_msg("row %zu: %s: %s", i, rows[i].accept != NULL ? rows[i].accept : "(none)", tag);
	}
	assert_int_equal(accept_language("de", tags, 0), 0);
}

static void languages_past_the_fiftieth_are_not_read(void **state)
{
	static const char *const tags[] = {"de"};
	char accept[500] = "";

	(void)state;
	for (int i = 0; i < 50; i++)
		(void)strcat(accept, "fr,");
	(void)strcat(accept, "de");
	assert_int_equal(accept_language(accept + 3, tags, 1), 0);
	assert_int_equal(accept_language(accept, tags, 1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_is_for_those_who_prefer_it),
		cmocka_unit_test(list_without_an_end_is_cut),
		cmocka_unit_test(page_of_the_own_site_is_told_from_others_by_its_address),
		cmocka_unit_test(only_its_own_name_asks_for_html),
		cmocka_unit_test(other_sites_are_told_apart),
		cmocka_unit_test(language_is_the_one_that_is_preferred_most),
		cmocka_unit_test(languages_past_the_fiftieth_are_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

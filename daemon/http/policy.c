/* Content-Security-Policy (CSP Level 3): adding to that of a page. */
#include "http/policy.h"

#include <ctype.h>
#include <string.h>

/* An answer's header has 4 KiB in nginx. */
#define DIRECTIVE_MAX 300

static bool is_text(const char *text, size_t length, const char *wanted)
{
	return length == strlen(wanted) && memcmp(text, wanted, length) == 0;
}

/* Those that loosen everything at once, or are no lists of sources, are left out. */
static bool is_known(const char *name, size_t length)
{
	static const char *const names[] = {
		"child-src",    "connect-src", "font-src",   "form-action", "frame-ancestors", "frame-src",  "img-src",
		"manifest-src", "media-src",   "object-src", "script-src",  "style-src",       "worker-src",
	};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (is_text(name, length, names[i]))
			return true;
	}
	return false;
}

/* 'self' and others, a nonce, a hash; without the quotes. */
static bool is_keyword(const char *text, size_t length)
{
	static const char *const words[] = {"self",           "unsafe-inline",    "unsafe-eval",  "unsafe-hashes",
	                                    "strict-dynamic", "wasm-unsafe-eval", "report-sample"};
	static const char *const beginnings[] = {"nonce-", "sha256-", "sha384-", "sha512-"};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (is_text(text, length, words[i]))
			return true;
	}
	for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
		size_t begin = strlen(beginnings[i]);

		if (length <= begin || memcmp(text, beginnings[i], begin) != 0)
			continue;
		while (begin < length && (isalnum((unsigned char)text[begin]) || strchr("+/-_=", text[begin]) != NULL))
			begin++;
		return begin == length;
	}
	return false;
}

/* A scheme or a host, with or without port and path; "*". */
static bool is_place(const char *text, size_t length)
{
	bool has_name = false;

	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)text[i]) && strchr("-._~:/*%[]@+=&?!$()", text[i]) == NULL)
			return false;
		has_name = has_name || isalnum((unsigned char)text[i]) || text[i] == '*';
	}
	return has_name;
}

static bool is_source(const char *text, size_t length)
{
	if (text[0] != '\'')
		return is_place(text, length);
	return length > 2 && text[length - 1] == '\'' && is_keyword(text + 1, length - 2);
}

bool policy_can_allow(const char *directive)
{
	size_t length = strcspn(directive, " ");
	size_t sources = 0;

	if (strlen(directive) > DIRECTIVE_MAX || !is_known(directive, length))
		return false;
	for (const char *at = directive + length + strspn(directive + length, " "); *at != '\0'; sources++) {
		length = strcspn(at, " ");
		if (!is_source(at, length))
			return false;
		at += length;
		at += strspn(at, " ");
	}
	return sources > 0;
}

char *policy_allow(TALLOC_CTX *ctx, const char *policy, const char *directive)
{
	size_t name = strcspn(directive, " ");

	for (const char *at = policy; *at != '\0';) {
		size_t length = strcspn(at, ";");

		if (length > name && memcmp(at, directive, name + 1) == 0) {
			bool is_none = is_text(at + name + 1, length - name - 1, "'none'");
			size_t kept = (size_t)(at - policy) + (is_none ? name : length);

			return talloc_asprintf(ctx, "%.*s%s%s", (int)kept, policy, directive + name, at + length);
		}
		at += length;
		at += strspn(at, "; ");
	}
	return talloc_asprintf(ctx, "%s; %s", policy, directive);
}

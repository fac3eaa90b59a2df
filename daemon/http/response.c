/* The answer to one request: built whole, then sent in one go. */
#include "http/response.h"

#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/* Room for the header of an ordinary answer. */
#define HEAD_SIZE 256

bool response_is_there(const struct http_response *response)
{
	return response->status != 0 || response->failed;
}

bool response_field_can_hold(const char *value)
{
	while (*value != '\0' && !utf8_is_ascii_control(*value))
		value++;
	return *value == '\0';
}

/* False when out of memory. */
static bool append(TALLOC_CTX *ctx, struct http_text *text, const void *more, size_t size)
{
	if (size == 0)
		return true;
	if (size > text->room - text->size) {
		size_t room = 2 * (text->size + size) + HEAD_SIZE;
		char *data = talloc_realloc_size(ctx, text->data, room);

		if (data == NULL)
			return false;
		text->data = data;
		text->room = room;
	}
	memcpy(text->data + text->size, more, size);
	text->size += size;
	return true;
}

static bool append_field(TALLOC_CTX *ctx, struct http_text *text, const char *name, const char *value)
{
	return append(ctx, text, name, strlen(name)) && append(ctx, text, ": ", 2) &&
	       append(ctx, text, value, strlen(value)) && append(ctx, text, "\r\n", 2);
}

static bool append_number(TALLOC_CTX *ctx, struct http_text *text, uint64_t number)
{
	char digits[24];
	size_t at = sizeof digits;

	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	return append(ctx, text, digits + at, sizeof digits - at);
}

/* ---- Header fields ------------------------------------------------------------------------------------------ */

/* Where the line of that field begins; *size is the line's, with its end. NULL when there is none. */
static char *find_header(const struct http_text *headers, const char *name, size_t *size)
{
	size_t length = strlen(name);

	for (size_t at = 0; at < headers->size; at += *size) {
		char *line = headers->data + at;
		const char *end = memchr(line, '\n', headers->size - at);

		*size = end != NULL ? (size_t)(end + 1 - line) : headers->size - at;
		if (*size > length && line[length] == ':' && strncasecmp(line, name, length) == 0)
			return line;
	}
	return NULL;
}

bool response_has_header(const struct http_response *response, const char *name)
{
	size_t size;

	return find_header(&response->headers, name, &size) != NULL;
}

static void remove_header(struct http_text *headers, const char *name)
{
	size_t size;
	char *line = find_header(headers, name, &size);

	if (line == NULL)
		return;
	memmove(line, line + size, headers->size - (size_t)(line - headers->data) - size);
	headers->size -= size;
}

/* Lists whose members may stand in fields of their own (RFC 9110, 5.3), and Set-Cookie. */
static bool may_be_repeated(const char *name)
{
	static const char *const names[] = {"Vary", "Link", "WWW-Authenticate", "Server-Timing", "Set-Cookie"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcasecmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

void response_header(struct http_response *response, TALLOC_CTX *ctx, const char *name, const char *value)
{
	if (!may_be_repeated(name))
		remove_header(&response->headers, name);
	if (!response_field_can_hold(value) || !append_field(ctx, &response->headers, name, value))
		response->failed = true;
}

void response_set_cookie(struct http_response *response, TALLOC_CTX *ctx, const char *name, const char *field,
                         bool is_of_answer)
{
	struct http_cookie cookie = {
		.name = talloc_strdup(ctx, name), .field = talloc_strdup(ctx, field), .is_of_answer = is_of_answer};
	size_t at = 0;

	if (cookie.name == NULL || cookie.field == NULL || !response_field_can_hold(field)) {
		response->failed = true;
		return;
	}
	while (at < response->cookie_count && strcmp(response->cookies[at].name, name) != 0)
		at++;
	if (at == RESPONSE_COOKIES_MAX) {
		response->failed = true;
		return;
	}
	response->cookies[at] = cookie;
	if (at == response->cookie_count)
		response->cookie_count++;
}

void response_reset(struct http_response *response)
{
	struct http_response fresh = {0};

	for (size_t i = 0; i < response->cookie_count; i++) {
		if (!response->cookies[i].is_of_answer)
			fresh.cookies[fresh.cookie_count++] = response->cookies[i];
	}
	*response = fresh;
}

/* ---- The whole ---------------------------------------------------------------------------------------------- */

bool response_has_content(const struct http_response *response)
{
	return response->content_type != NULL && response->status != 204 && response->status != 304;
}

/* The answer's text; false when out of memory. */
static bool build(const struct http_response *response, TALLOC_CTX *ctx, bool is_head, struct http_text *answer)
{
	bool has_body = response_has_content(response);
	bool is_size_known = !has_body || !response->is_streamed || response->is_size_known;
	const char *reason_phrase = response_reason_phrase(response->status);
	bool done;

	/* Status comes first: lighttpd drops what stands before it. */
	done = append(ctx, answer, "Status: ", 8) && append_number(ctx, answer, (uint64_t)response->status) &&
	       append(ctx, answer, " ", 1) && append(ctx, answer, reason_phrase, strlen(reason_phrase)) &&
	       append(ctx, answer, "\r\n", 2) && append(ctx, answer, response->headers.data, response->headers.size);
	for (size_t i = 0; done && i < response->cookie_count; i++)
		done = append_field(ctx, answer, "Set-Cookie", response->cookies[i].field);
	if (done && has_body)
		done = append_field(ctx, answer, "Content-Type", response->content_type) &&
		       append_field(ctx, answer, "X-Content-Type-Options", "nosniff");
	/*
	 * RFC 9110, 8.6: a 204 has no Content-Length, and that of a 304 is the one of another answer. It comes last:
	 * Caddy takes what was cut off for a whole answer, and a client that has this line has all before it.
	 */
	if (done && is_size_known && response->status != 204 && response->status != 304)
		done = append(ctx, answer, "Content-Length: ", 16) &&
		       append_number(ctx, answer, has_body ? response->body_size : 0) && append(ctx, answer, "\r\n", 2);
	done = done && append(ctx, answer, "\r\n", 2);
	return done && (!has_body || is_head || response->is_streamed ||
	                append(ctx, answer, response->body, (size_t)response->body_size));
}

/* A body's type is known: a handler that has set these as well is not to have them sent twice. */
static void prepare(struct http_response *response)
{
	if (!response_has_content(response))
		return;
	remove_header(&response->headers, "Content-Type");
	remove_header(&response->headers, "X-Content-Type-Options");
}

bool response_build_head(struct http_response *response, TALLOC_CTX *ctx, struct http_text *head)
{
	prepare(response);
	return response->status != 0 && !response->failed && build(response, ctx, true, head);
}

int response_send(struct http_response *response, TALLOC_CTX *ctx, struct fcgi *fcgi, bool is_head)
{
	static const char bare[] =
		"Status: 500 Internal Server Error\r\nContent-Length: 0\r\nCache-Control: no-store\r\n\r\n";
	struct http_text answer = {0};

	prepare(response);
	if (response->status == 0 || response->failed || !build(response, ctx, is_head, &answer)) {
		response->status = 500;
		return fcgi_answer(fcgi, bare, sizeof bare - 1);
	}
	return fcgi_answer(fcgi, answer.data, answer.size);
}

char *response_escape_url(TALLOC_CTX *ctx, const char *location)
{
	static const char hex[] = "0123456789ABCDEF";
	char *escaped = talloc_size(ctx, 3 * strlen(location) + 1);
	char *to = escaped;

	if (escaped == NULL)
		return NULL;
	for (; *location != '\0'; location++) {
		unsigned char byte = (unsigned char)*location;

		if (byte > 0x20 && byte < 0x7f && strchr("\"<>\\^`{|}", byte) == NULL) {
			*to++ = *location;
		} else {
			*to++ = '%';
			*to++ = hex[byte >> 4];
			*to++ = hex[byte & 15];
		}
	}
	*to = '\0';
	return escaped;
}

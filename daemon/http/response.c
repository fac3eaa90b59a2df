#include "http/response.h"

#include <stdint.h>
#include <string.h>

const char *response_reason_phrase(int status)
{
	switch (status) {
	case 200: return "OK";
	case 204: return "No Content";
	case 303: return "See Other";
	case 400: return "Bad Request";
	case 401: return "Unauthorized";
	case 403: return "Forbidden";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 409: return "Conflict";
	case 413: return "Content Too Large";
	case 415: return "Unsupported Media Type";
	case 429: return "Too Many Requests";
	case 500: return "Internal Server Error";
	case 503: return "Service Unavailable";
	default: return "Status";
	}
}

static bool has_control_character(const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	}
	return false;
}

void response_header(struct http_response *response, TALLOC_CTX *ctx, const char *name, const char *value)
{
	char *grown;

	if (has_control_character(value)) {
		response->failed = true;
		return;
	}
	if (response->headers == NULL)
		grown = talloc_asprintf(ctx, "%s: %s\r\n", name, value);
	else
		grown = talloc_asprintf_append_buffer(response->headers, "%s: %s\r\n", name, value);
	if (grown == NULL)
		response->failed = true;
	else
		response->headers = grown;
}

void response_set_cookie(struct http_response *response, TALLOC_CTX *ctx, const char *name, const char *field)
{
	struct http_cookie cookie = {.name = talloc_strdup(ctx, name), .field = talloc_strdup(ctx, field)};
	size_t at = 0;

	if (cookie.name == NULL || cookie.field == NULL || has_control_character(field)) {
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
	struct http_response fresh = {.cookie_count = response->cookie_count};

	memcpy(fresh.cookies, response->cookies, sizeof fresh.cookies);
	*response = fresh;
}

int response_send(struct http_response *response, TALLOC_CTX *ctx, struct fcgi *fcgi, bool is_head)
{
	static const char bare[] =
		"Status: 500 Internal Server Error\r\nContent-Length: 0\r\nCache-Control: no-store\r\n\r\n";
	const char *headers = response->headers != NULL ? response->headers : "";
	bool has_body = response->content_type != NULL;
	char *answer = NULL;
	size_t head_size;

	if (response->status == 0 || response->failed)
		goto bare;
	/* Status comes first: lighttpd drops what stands before it. */
	answer = talloc_asprintf(ctx, "Status: %d %s\r\n%s", response->status, response_reason_phrase(response->status),
	                         headers);
	for (size_t i = 0; answer != NULL && i < response->cookie_count; i++)
		answer = talloc_asprintf_append_buffer(answer, "Set-Cookie: %s\r\n", response->cookies[i].field);
	if (answer != NULL && has_body)
		answer = talloc_asprintf_append_buffer(answer, "Content-Type: %s\r\n", response->content_type);
	/* RFC 9110, 8.6: a 204 has no Content-Length. */
	if (answer != NULL && response->status != 204)
		answer = talloc_asprintf_append_buffer(answer, "Content-Length: %zu\r\n",
		                                       has_body ? response->body_size : 0);
	if (answer != NULL)
		answer = talloc_strdup_append_buffer(answer, "\r\n");
	if (answer == NULL)
		goto bare;
	head_size = strlen(answer);
	if (!has_body || is_head)
		return fcgi_answer(fcgi, answer, head_size);
	answer = talloc_realloc_size(ctx, answer, head_size + response->body_size);
	if (answer == NULL)
		goto bare;
	memcpy(answer + head_size, response->body, response->body_size);
	return fcgi_answer(fcgi, answer, head_size + response->body_size);
bare:
	response->status = 500;
	return fcgi_answer(fcgi, bare, sizeof bare - 1);
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

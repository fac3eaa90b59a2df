/* The answer to one request: built whole, then sent in one go. */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include "http/fcgi.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

/* As many different cookies as one answer can set. */
#define RESPONSE_COOKIES_MAX 24

/* As many additions as there can be to the policy of a page. */
#define RESPONSE_ALLOWED_MAX 8

struct http_cookie {
	const char *name;
	const char *field; /* the value of its Set-Cookie */
	bool is_of_answer; /* it goes with the answer, also when that is taken back; else it stands for what was done */
};

/* Text that grows; not ended by a NUL. */
struct http_text {
	char *data; /* NULL: none yet */
	size_t size;
	size_t room;
};

struct http_response {
	int status;               /* 0: not answered yet */
	struct http_text headers; /* "Name: value\r\n"... */
	const char *content_type; /* NULL: no body */
	const char *body;
	uint64_t body_size;
	bool is_streamed;   /* the body comes piece by piece, after response_build_head() */
	bool is_size_known; /* of a body that is streamed */
	size_t cookie_count;
	struct http_cookie cookies[RESPONSE_COOKIES_MAX];
	size_t allowed_count;
	const char *allowed[RESPONSE_ALLOWED_MAX]; /* of the page that is the body: see ones_allow() */
	bool allows_form_redirects;                /* of the page that is the body: see ones_allow_form_redirects() */
	bool failed; /* out of memory, or a header field that would break out of its line */
};

/* "Not Found": of all statuses that are registered with IANA; "Status" for another number. */
const char *response_reason_phrase(int status);

/* Has a header field's value room for this text? A control character would break out of its line. */
bool response_field_can_hold(const char *value);

/* Has it been answered, or gone wrong? */
bool response_is_there(const struct http_response *response);

/*
 * Add a header field, on `ctx`, in place of a former one of that name unless the field may be repeated. A control
 * character in the value, or no memory, marks the response as failed.
 */
void response_header(struct http_response *response, TALLOC_CTX *ctx, const char *name, const char *value);

/* Is there one of that name? */
bool response_has_header(const struct http_response *response, const char *name);

/* The same for Set-Cookie: `field` takes the place of what the cookie `name` was to be set to before. */
void response_set_cookie(struct http_response *response, TALLOC_CTX *ctx, const char *name, const char *field,
                         bool is_of_answer);

/* Take everything back but the cookies that stand for what has been done. */
void response_reset(struct http_response *response);

/* RFC 9110, 15.3.5 and 15.4.5: 204 and 304 have no content. */
bool response_has_content(const struct http_response *response);

/* The CGI header of a body that is streamed, on `ctx`. False: it has failed, and goes by response_send(). */
bool response_build_head(struct http_response *response, TALLOC_CTX *ctx, struct http_text *head);

/*
 * Send it and end the request. A failed response, or one that was never given, becomes a bare 500. `is_head`: the
 * header as it would be, without the body. Returns 0, or -1 when the peer did not take it.
 */
int response_send(struct http_response *response, TALLOC_CTX *ctx, struct fcgi *fcgi, bool is_head);

/* `location` with everything escaped that must not stand in a header field's URL; on `ctx`, NULL when out of memory. */
char *response_escape_url(TALLOC_CTX *ctx, const char *location);

#endif

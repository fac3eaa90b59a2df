/* The answers that handlers give. */
#include "api/reply.h"

#include "api/routes.h"
#include "base/http_token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- The beginning of an answer, header fields -------------------------------------------------------------- */

bool reply_is_open(const struct ones_request *req, const char *what)
{
	if (req->response.status == 0)
		return true;
	exchange_warn(req, what);
	return false;
}

bool reply_may_begin(struct ones_request *req, int status)
{
	if (!reply_is_open(req, "it answers again: only the first answer is sent"))
		return false;
	if (status >= 200 && status <= 599)
		return true;
	exchange_fail(req, "a status that is not one from 200 to 599");
	return false;
}

bool reply_can_have_type(struct ones_request *req, const char *content_type)
{
	if (content_type != NULL && content_type[0] != '\0' && response_field_can_hold(content_type))
		return true;
	exchange_fail(req, "a body whose type is NULL, empty, or has a control character");
	return false;
}

/* What is for the daemon and the web server to say, and what ones_set_cookie() is for. */
static bool is_reserved(const char *name)
{
	static const char *const names[] = {"Status", "Content-Length", "Transfer-Encoding", "Connection",
	                                    "Set-Cookie"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcasecmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

void ones_header(struct ones_request *req, const char *name, const char *value)
{
	if (!reply_is_open(req, "it sets a header field after the answer: it is not sent"))
		return;
	if (!is_http_token(name) || is_reserved(name))
		exchange_fail(req, "a header field whose name is none, or is not the handler's");
	else if (!ones_header_can_hold(value))
		exchange_fail(req, "a header field whose value is NULL or has a control character");
	else
		response_header(&req->response, req, name, value);
}

bool ones_header_can_hold(const char *value)
{
	return value != NULL && response_field_can_hold(value);
}

void ones_retry_after(struct ones_request *req, int64_t wait_s)
{
	char seconds[24];

	if (wait_s <= 0)
		return;
	(void)snprintf(seconds, sizeof seconds, "%lld", (long long)wait_s);
	ones_header(req, "Retry-After", seconds);
}

void reply_body(struct ones_request *req, int status, const char *content_type, const char *body, size_t size)
{
	req->response.status = status;
	req->response.content_type = content_type;
	req->response.body = body;
	req->response.body_size = size;
}

void ones_reply_empty(struct ones_request *req, int status)
{
	if (reply_may_begin(req, status))
		reply_body(req, status, NULL, NULL, 0);
}

void ones_reply_body(struct ones_request *req, int status, const char *content_type, const void *data, size_t size)
{
	const char *type, *body;

	if (!reply_may_begin(req, status) || !reply_can_have_type(req, content_type))
		return;
	if (data == NULL && size > 0) {
		exchange_fail(req, "a body that is NULL, and has a size");
		return;
	}
	type = talloc_strdup(req, content_type);
	body = size > 0 ? talloc_memdup(req, data, size) : "";
	if (type == NULL || body == NULL)
		exchange_fail(req, "out of memory for the body");
	else
		reply_body(req, status, type, body, size);
}

void reply_json_as(struct ones_request *req, int status, const char *content_type, json_t *body)
{
	char *dumped = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	const char *text = dumped != NULL ? talloc_strdup(req, dumped) : NULL;

	free(dumped);
	json_decref(body);
	if (text == NULL)
		exchange_fail(req, "JSON that is NULL: json_pack(3) has failed, or memory has run out");
	else
		reply_body(req, status, content_type, text, strlen(text));
}

void ones_reply_json(struct ones_request *req, int status, json_t *body)
{
	if (reply_may_begin(req, status))
		reply_json_as(req, status, "application/json", body);
	else
		json_decref(body);
}

void ones_reply_redirect(struct ones_request *req, const char *location)
{
	const char *escaped;

	if (!reply_may_begin(req, 303))
		return;
	escaped = location != NULL ? response_escape_url(req, location) : NULL;
	if (escaped == NULL) {
		exchange_fail(req, "a redirect to NULL, or memory has run out");
		return;
	}
	ones_header(req, "Location", escaped);
	ones_reply_empty(req, 303);
}

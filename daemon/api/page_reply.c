/* Answers that are pages, or files of theirs. */
#include "api/page_reply.h"

#include "api/addresses.h"
#include "api/language.h"
#include "api/module.h"
#include "api/reply.h"
#include "base/utf8.h"
#include "http/next.h"
#include "http/policy.h"
#include "http/urlencoded.h"

#include <string.h>

/* What a page may load. One with a script may run what this site serves, and ask it. */
#define POLICY             "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
#define POLICY_WITH_SCRIPT POLICY "; script-src 'self'; connect-src 'self'"

/* As the client wrote it, where the web server says so, or an address that is read like it; NULL when out of memory. */
static const char *address_of_request(struct ones_request *req)
{
	const char *target = ones_param(req, "REQUEST_URI");
	const char *query = ones_param(req, "QUERY_STRING");
	const char *path;

	if (target != NULL)
		return target;
	path = urlencoded_escape(req, req->http->path);
	if (path == NULL || query == NULL || query[0] == '\0')
		return path;
	return talloc_asprintf(req, "%s?%s", path, query);
}

/* Where there is no route the page is the same at every address: routes for operators are not to be told from others.
 */
const char *page_address(struct ones_request *req, const json_t *values)
{
	const char *here = json_string_value(json_object_get(values, "here"));

	if (req->route == NULL)
		here = NULL;
	else if (req->http->method == ONES_METHOD_GET)
		here = address_of_request(req);
	else if (here == NULL)
		here = ones_page_before(req);
	return here != NULL && next_is_safe(here) && utf8_is_valid(here) ? here : "";
}

/*
 * Once for a language: the routes are there by now, and stay. It has nothing of this request. Not for an answer that
 * has failed, also by this.
 */
static bool add_sign_in(struct ones_request *req, const struct language *language)
{
	const char *address;

	if (json_object_get(language->values, "sign_in") != NULL)
		return true;
	address = ones_can_sign_in(req->app) ? sign_in_page_of(req) : "";
	return req->response.failed || json_object_set_new(language->values, "sign_in", json_string(address)) == 0;
}

/* What each page may show, and is another thing each time. False when out of memory, or `values` are NULL. */
static bool add_values(struct ones_request *req, json_t *values)
{
	return json_object_set_new(values, "here", json_string(page_address(req, values))) == 0 &&
	       json_object_set_new(values, "module_prefix", json_string(exchange_module(req)->prefix)) == 0;
}

/* There is no such page, its values are NULL, or it would be too large. */
static void fail_page(struct ones_request *req, const char *page)
{
	size_t size;
	const char *what = pages_file(exchange_module(req)->pages, page, &size) == NULL
	                           ? "there is no page of that name"
	                           : "values that are NULL, a page that would be too large, or memory has run out";
	const char *problem = talloc_asprintf(req, "%s: %s", page, what);

	exchange_fail(req, problem != NULL ? problem : what);
}

/* Where a page's forms may go: see ones_allow_form_redirects(). */
#define POLICY_OF_FORMS "; form-action 'self'"

void ones_allow_form_redirects(struct ones_request *req)
{
	req->response.allows_form_redirects = true;
}

void ones_allow(struct ones_request *req, const char *directive)
{
	struct http_response *response = &req->response;

	if (!reply_is_open(req, "it widens the policy after the answer: that has no effect"))
		return;
	if (response->allowed_count == RESPONSE_ALLOWED_MAX || directive == NULL || !policy_can_allow(directive))
		exchange_warn(req, "ones_allow() with what is no directive with sources, or too often: not allowed");
	else if ((response->allowed[response->allowed_count] = talloc_strdup(req, directive)) != NULL)
		response->allowed_count++;
}

/* NULL when out of memory. */
static const char *policy_for(struct ones_request *req, bool has_script)
{
	bool is_free = req->response.allows_form_redirects;
	const char *policy = has_script ? POLICY_WITH_SCRIPT : POLICY;

	if (!is_free)
		policy = has_script ? POLICY_WITH_SCRIPT POLICY_OF_FORMS : POLICY POLICY_OF_FORMS;
	for (size_t i = 0; policy != NULL && i < req->response.allowed_count; i++) {
		const char *allowed = req->response.allowed[i];

		/* Without the directive forms may lead anywhere. */
		if (!is_free || strncmp(allowed, "form-action ", strlen("form-action ")) != 0)
			policy = policy_allow(req, policy, allowed);
	}
	return policy;
}

void page_reply(struct ones_request *req, int status, const char *page, json_t *values)
{
	const struct pages *pages = pages_having(exchange_module(req)->pages, page);
	const struct language *language = language_of(req, pages);
	bool has_script = false;
	size_t size = 0;
	char *text = NULL;
	const char *policy;

	if (add_sign_in(req, language) && add_values(req, values))
		text = pages_render(req, pages, page, language, values, &size, &has_script);
	json_decref(values);
	policy = text != NULL ? policy_for(req, has_script) : NULL;
	if (policy == NULL) {
		fail_page(req, page);
		return;
	}
	response_header(&req->response, req, "Content-Security-Policy", policy);
	if (!response_has_header(&req->response, "Referrer-Policy"))
		response_header(&req->response, req, "Referrer-Policy", "same-origin");
	if (languages_count(pages_languages(pages)) > 1)
		response_header(&req->response, req, "Content-Language", language->tag);
	reply_body(req, status, "text/html; charset=utf-8", text, size);
}

static bool names_page(struct ones_request *req, const char *page)
{
	if (page == NULL)
		exchange_fail(req, "a page or file whose name is NULL");
	return page != NULL;
}

void ones_reply_page(struct ones_request *req, int status, const char *page, json_t *values)
{
	if (reply_may_begin(req, status) && names_page(req, page))
		page_reply(req, status, page, values);
	else
		json_decref(values);
}

void ones_reply_file(struct ones_request *req, const char *name, const char *content_type)
{
	size_t size = 0;
	const char *text;

	if (!reply_may_begin(req, 200) || !names_page(req, name) || !reply_can_have_type(req, content_type))
		return;
	text = pages_file(exchange_module(req)->pages, name, &size);
	if (text == NULL) {
		fail_page(req, name);
		return;
	}
	if (!response_has_header(&req->response, "Cache-Control"))
		response_header(&req->response, req, "Cache-Control", "public, max-age=3600");
	reply_body(req, 200, content_type, text, size);
}

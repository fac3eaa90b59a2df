/* One HTTP request, read from its CGI parameters (RFC 3875), checked and bounded. */
#include "http/request.h"

#include "base/log.h"
#include "base/units.h"
#include "base/utf8.h"
#include "http/accept.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A host name has at most 253 characters (RFC 1035, 2.3.4), a port five. */
#define HOST_SIZE 264

static const struct http_problem no_problem = {0};

static struct http_problem bad_request(const char *detail)
{
	return (struct http_problem){400, "bad_request", detail};
}

static const struct http_problem out_of_memory = {500, "internal", "Out of memory."};

enum ones_method request_method(struct fcgi_text name, bool *is_head)
{
	static const char *const names[ONES_METHOD_COUNT] = {
		[ONES_METHOD_GET] = "GET",     [ONES_METHOD_POST] = "POST",     [ONES_METHOD_PUT] = "PUT",
		[ONES_METHOD_PATCH] = "PATCH", [ONES_METHOD_DELETE] = "DELETE", [ONES_METHOD_OPTIONS] = "OPTIONS",
	};

	*is_head = name.length == 4 && memcmp(name.at, "HEAD", 4) == 0;
	if (*is_head)
		return ONES_METHOD_GET;
	for (enum ones_method method = 0; method < ONES_METHOD_COUNT; method++) {
		if (name.length == strlen(names[method]) && memcmp(name.at, names[method], name.length) == 0)
			return method;
	}
	return ONES_METHOD_COUNT;
}

static const char *param_or_empty(const struct fcgi *fcgi, const char *name)
{
	const char *value = fcgi_param(fcgi, name);

	return value != NULL ? value : "";
}

static bool is_address(const char *text)
{
	struct in6_addr address;

	return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

static bool is_request_id(const char *text)
{
	size_t length = 0;

	for (; isalnum((unsigned char)text[length]) || (text[length] != '\0' && strchr("-_.", text[length])); length++)
		;
	return length > 0 && length <= REQUEST_ID_MAX && text[length] == '\0';
}

/* "application/json; charset=utf-8" is application/json. */
static bool is_type(struct fcgi_text content_type, const char *wanted)
{
	size_t length = 0;

	while (length < content_type.length && strchr(" \t;", content_type.at[length]) == NULL)
		length++;
	return length == strlen(wanted) && strncasecmp(content_type.at, wanted, length) == 0;
}

enum body_kind request_body_kind(struct fcgi_text content_type)
{
	if (is_type(content_type, "application/json"))
		return BODY_JSON;
	if (is_type(content_type, "multipart/form-data"))
		return BODY_MULTIPART;
	if (content_type.length == 0 || is_type(content_type, "application/x-www-form-urlencoded"))
		return BODY_FORM;
	return BODY_OTHER;
}

static bool is_text(struct fcgi_text text, const char *wanted)
{
	return text.length == strlen(wanted) && strncasecmp(text.at, wanted, text.length) == 0;
}

bool request_is_by_https(struct fcgi_text https, struct fcgi_text scheme)
{
	return is_text(https, "on") || is_text(https, "1") || is_text(scheme, "https");
}

struct http_problem request_read(struct http_request *request, struct fcgi *fcgi, const char *id)
{
	const char *length = param_or_empty(fcgi, "CONTENT_LENGTH");
	const char *content_type = param_or_empty(fcgi, "CONTENT_TYPE");
	enum body_kind kind = request_body_kind((struct fcgi_text){content_type, strlen(content_type)});
	const char *https = param_or_empty(fcgi, "HTTPS");
	const char *scheme = param_or_empty(fcgi, "REQUEST_SCHEME");
	const char *web_server_id = param_or_empty(fcgi, "REQUEST_ID");
	const char *query = param_or_empty(fcgi, "QUERY_STRING");
	const char *address = param_or_empty(fcgi, "REMOTE_ADDR");

	request->fcgi = fcgi;
	request->is_authorizer = fcgi_role(fcgi) == FCGI_ROLE_AUTHORIZER;
	utf8_clean(is_request_id(web_server_id) ? web_server_id : id, request->id, sizeof request->id);
	utf8_clean(param_or_empty(fcgi, "REQUEST_METHOD"), request->method_name, sizeof request->method_name);
	request->method = request_method((struct fcgi_text){request->method_name, strlen(request->method_name)},
	                                 &request->is_head);
	request->is_secure = request_is_by_https((struct fcgi_text){https, strlen(https)},
	                                         (struct fcgi_text){scheme, strlen(scheme)});
	if (is_address(address))
		utf8_clean(address, request->remote_addr, sizeof request->remote_addr);
	utf8_clean(param_or_empty(fcgi, "HTTP_USER_AGENT"), request->user_agent, sizeof request->user_agent);
	if (*length != '\0' && units_parse_number(length, &request->content_length) != 0)
		request->content_length = -1;
	if (request->content_length != 0 || *param_or_empty(fcgi, "HTTP_TRANSFER_ENCODING") != '\0')
		request->body_kind = kind;
	/* Also where the web server keeps the body back, as in a sub-request of the guard. */
	request->is_program = kind == BODY_JSON || accept_prefers_json(fcgi_param(fcgi, "HTTP_ACCEPT"));
	request->path = talloc_asprintf(request, "%s%s", param_or_empty(fcgi, "SCRIPT_NAME"),
	                                param_or_empty(fcgi, "PATH_INFO"));
	if (request->path == NULL)
		return out_of_memory;
	if (*request->method_name == '\0')
		return bad_request("The web server did not say what the method is (REQUEST_METHOD).");
	if (strlen(request->path) > REQUEST_PATH_MAX)
		return bad_request("The path is too long.");
	if (*query != '\0') {
		request->query = talloc(request, struct urlencoded);
		if (request->query == NULL)
			return out_of_memory;
		/* Another site may link here with any query: one that cannot be read is as none. */
		if (urlencoded_parse(request->query, query, strlen(query), request->query) != NULL)
			TALLOC_FREE(request->query);
	}
	return no_problem;
}

static int json_destroy(json_t **json)
{
	json_decref(*json);
	return 0;
}

static struct http_problem parse_json(struct http_request *request, const char *body, size_t size)
{
	json_t **holder = talloc_zero(request, json_t *);
	json_error_t error;

	if (holder == NULL)
		return out_of_memory;
	talloc_set_destructor(holder, json_destroy);
	*holder = json_loadb(body, size, JSON_REJECT_DUPLICATES, &error);
	if (*holder == NULL) {
		const char *detail =
			talloc_asprintf(request, "The body is not JSON: line %d, column %d.", error.line, error.column);

		return detail != NULL ? bad_request(detail) : out_of_memory;
	}
	if (!json_is_object(*holder))
		return bad_request("The body's JSON is not an object.");
	request->json = *holder;
	return no_problem;
}

static struct http_problem parse_form(struct http_request *request, const char *body, size_t size)
{
	const char *defect;
	const char *detail;

	request->form = talloc(request, struct urlencoded);
	if (request->form == NULL)
		return out_of_memory;
	defect = urlencoded_parse(request->form, body, size, request->form);
	if (defect == NULL)
		return no_problem;
	detail = talloc_asprintf(request, "The form cannot be read: %s.", defect);
	return detail != NULL ? bad_request(detail) : out_of_memory;
}

/* Another type than those that are taken. */
static struct http_problem unsupported(unsigned int bodies)
{
	const char *detail = "Send JSON (application/json).";

	if ((bodies & ONES_BODY_MULTIPART) != 0)
		detail = "Send a form (multipart/form-data).";
	else if ((bodies & ONES_BODY_FORM) != 0)
		detail = (bodies & ONES_BODY_JSON) != 0
		                 ? "Send a form (application/x-www-form-urlencoded) or JSON (application/json)."
		                 : "Send a form (application/x-www-form-urlencoded).";
	return (struct http_problem){415, "unsupported_media_type", detail};
}

enum body_kind request_kind_among(enum body_kind kind, unsigned int bodies)
{
	bool is_taken = (kind == BODY_FORM && (bodies & ONES_BODY_FORM) != 0) ||
	                (kind == BODY_JSON && (bodies & ONES_BODY_JSON) != 0) ||
	                (kind == BODY_MULTIPART && (bodies & ONES_BODY_MULTIPART) != 0);

	return is_taken ? kind : BODY_OTHER;
}

struct http_problem request_read_body(struct http_request *request, unsigned int bodies)
{
	enum body_kind kind = request_kind_among(request->body_kind, bodies);
	bool is_chunked = *param_or_empty(request->fcgi, "HTTP_TRANSFER_ENCODING") != '\0';
	const char *body;
	size_t size;

	/* Web servers that pass a chunked body on as it comes do not know its length (RFC 9112, 6.3). */
	if (request->content_length == 0 && !is_chunked)
		return no_problem;
	if (request->content_length < 0)
		return bad_request("Content-Length is not a number.");
	if (fcgi_body_is_too_large(request->fcgi))
		return (struct http_problem){413, "too_large", "The body is larger than this server takes."};
	if (kind == BODY_OTHER && (bodies & ONES_BODY_RAW) == 0)
		return unsupported(bodies);
	if (fcgi_is_streamed(request->fcgi))
		return no_problem;
	if (kind == BODY_MULTIPART)
		return bad_request("The form has no parts.");
	body = fcgi_body(request->fcgi, &size);
	if (body == NULL)
		return out_of_memory;
	if (request->content_length > 0 && size < (size_t)request->content_length)
		return bad_request("The body is shorter than Content-Length says.");
	if (request->content_length > 0)
		size = (size_t)request->content_length;
	if ((bodies & ONES_BODY_RAW) != 0) {
		request->raw = body;
		request->raw_size = size;
	}
	if (kind == BODY_JSON)
		return parse_json(request, body, size);
	return kind == BODY_FORM ? parse_form(request, body, size) : no_problem;
}

/* Is it there with a value, and none of the two? */
static bool says_other_than(const struct http_request *request, const char *name, const char *first, const char *second)
{
	const char *value = param_or_empty(request->fcgi, name);

	return *value != '\0' && strcmp(value, first) != 0 && strcmp(value, second) != 0;
}

bool request_is_navigation(const struct http_request *request)
{
	return accept_names_html(fcgi_param(request->fcgi, "HTTP_ACCEPT")) &&
	       *param_or_empty(request->fcgi, "HTTP_HX_REQUEST") == '\0' &&
	       *param_or_empty(request->fcgi, "HTTP_X_REQUESTED_WITH") == '\0' &&
	       !says_other_than(request, "HTTP_SEC_FETCH_MODE", "navigate", "navigate") &&
	       !says_other_than(request, "HTTP_SEC_FETCH_DEST", "document", "frame");
}

bool request_is_forged(const struct http_request *request)
{
	const char *sec_fetch_site = fcgi_param(request->fcgi, "HTTP_SEC_FETCH_SITE");
	const char *origin = fcgi_param(request->fcgi, "HTTP_ORIGIN");
	const char *host = param_or_empty(request->fcgi, "HTTP_HOST");
	const char *port = param_or_empty(request->fcgi, "SERVER_PORT");
	char with_port[HOST_SIZE];

	if (request->method == ONES_METHOD_GET || request->method == ONES_METHOD_OPTIONS ||
	    !is_cross_site(sec_fetch_site, origin, host))
		return false;
	/* Debian's fastcgi_params for nginx passes the host without its port; Origin has it. */
	(void)snprintf(with_port, sizeof with_port, "%s:%s", host, port);
	if (!is_cross_site(sec_fetch_site, origin, with_port))
		return false;
	/* For the operator: a web server may be set up so that these do not agree. */
	log_info("cross_site", LOG_STR("sec_fetch_site", sec_fetch_site), LOG_STR("origin", origin),
	         LOG_STR("host", host), LOG_STR("port", port), LOG_STR("path", request->path),
	         LOG_STR("ip", request->remote_addr));
	return true;
}

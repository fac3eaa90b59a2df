/* One HTTP request, read from its CGI parameters (RFC 3875), checked and bounded. */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "http/fcgi.h"
#include "http/urlencoded.h"
#include "onesession.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

#define REQUEST_PATH_MAX 2048
#define REQUEST_ID_MAX   64
#define METHOD_MAX       31
#define USER_AGENT_MAX   512

/* BODY_OTHER: a type that is none of these. */
enum body_kind { BODY_NONE, BODY_FORM, BODY_JSON, BODY_MULTIPART, BODY_OTHER };

struct http_request {
	struct fcgi *fcgi;
	bool is_authorizer;
	char method_name[METHOD_MAX + 1]; /* cut short when it is longer: no route has such a one */
	enum ones_method method;          /* ONES_METHOD_COUNT: one that no route can have */
	bool is_head;
	const char *path;
	bool is_secure; /* came by HTTPS */
	bool is_program;
	char remote_addr[INET6_ADDRSTRLEN]; /* "" unless it is an IP address */
	char user_agent[USER_AGENT_MAX];    /* valid UTF-8 */
	char id[REQUEST_ID_MAX + 1];
	struct urlencoded *query; /* NULL: there is none that can be read */
	enum body_kind body_kind;
	int64_t content_length; /* 0 without a body, -1 when it cannot be read */
	struct urlencoded *form;
	const void *raw; /* the body's bytes, where they are wanted */
	size_t raw_size;
	json_t *json;
};

/* What is wrong with a request, as ones_reply_problem() wants it; status 0: nothing. */
struct http_problem {
	int status;
	const char *code;
	const char *detail;
};

/* The method of that name: HEAD is GET, with *is_head. ONES_METHOD_COUNT when no route can have it. */
enum ones_method request_method(struct fcgi_text name, bool *is_head);

/* What a Content-Type says of a body. */
enum body_kind request_body_kind(struct fcgi_text content_type);

/* What a body of that kind is taken for where `bodies` are: BODY_OTHER, nothing but its bytes. */
enum body_kind request_kind_among(enum body_kind kind, unsigned int bodies);

/* Did it come by HTTPS, by the parameters HTTPS and REQUEST_SCHEME? Web servers set one or the other. */
bool request_is_by_https(struct fcgi_text https, struct fcgi_text scheme);

/*
 * Read the parameters of a request that fcgi_accept() has taken in. `request`, a talloc context, owns what is
 * allocated. `id` names the request when the web server (REQUEST_ID) does not.
 */
struct http_problem request_read(struct http_request *request, struct fcgi *fcgi, const char *id);

/*
 * Read the body, and decode it when it is a form or a JSON object. `bodies`: the flags of the kinds that are taken. One
 * that is streamed is only looked at from without: its bytes are for others.
 */
struct http_problem request_read_body(struct http_request *request, unsigned int bodies);

/*
 * True when a browser asks for a page that it is going to show in a tab or frame: what a script, a player or an
 * element of a page asks for has no use for another page in its place (W3C Fetch Metadata, and what htmx and jQuery
 * send).
 */
bool request_is_navigation(const struct http_request *request);

/* True when another site made the browser send a request that may change something. */
bool request_is_forged(const struct http_request *request);

#endif

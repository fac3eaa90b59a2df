/*
 * What routes can say of themselves, and what handlers read and answer: /titles, with parts in the path and every
 * method; /limits, /open, /cookies, /answers.
 */
#include "application.h"

#include <string.h>
#include <time.h>

/* ---- Parts and methods -------------------------------------------------------------------------------------- */

static const char *method_name(const struct ones_request *req)
{
	static const char *const names[] = {"get", "post", "put", "patch", "delete", "options", "other"};

	return names[ones_method(req)];
}

static void title(struct ones_request *req)
{
	int64_t number = 0;
	bool is_number = ones_path_int(req, "id", &number);

	ones_reply_json(req, 200,
	                json_pack("{s:s, s:s?, s:s?, s:b, s:I}", "method", method_name(req), "id", ones_path(req, "id"),
	                          "what", ones_path(req, "what"), "is_number", (int)is_number, "number",
	                          (json_int_t)number));
}

static void new_title(struct ones_request *req)
{
	ones_reply_json(req, 200, json_pack("{s:s}", "method", "new"));
}

static void listed(struct ones_request *req)
{
	ones_reply_json(req, 200, json_pack("{s:I}", "page", (json_int_t)ones_query_int(req, "page", 1, 1, 50)));
}

static void seen(struct ones_request *req)
{
	const char *name = ones_query(req, "name");

	ones_reply_json(req, 200, json_pack("{s:s?}", "value", name != NULL ? ones_request_header(req, name) : NULL));
}

/* ---- Limits ------------------------------------------------------------------------------------------------- */

static void received(struct ones_request *req)
{
	size_t size;
	const char *body = ones_body(req, &size);
	int64_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += (unsigned char)body[i];
	ones_reply_json(req, 200,
	                json_pack("{s:I, s:I, s:b, s:b, s:s?}", "size", (json_int_t)size, "sum", (json_int_t)sum,
	                          "there", (int)(body != NULL), "json", (int)(ones_json(req) != NULL), "a",
	                          ones_field(req, "a")));
}

static void take_long(struct ones_request *req)
{
	const int64_t ms = ones_query_int(req, "ms", 0, 0, 60000);

	(void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
	ones_reply_empty(req, 204);
}

static void open_to_it(struct ones_request *req)
{
	ones_reply_json(req, 200, json_pack("{s:s}", "username", ones_session(req)->user.username));
}

/* ---- Cookies ------------------------------------------------------------------------------------------------ */

static void show_cookie(struct ones_request *req)
{
	const char *name = ones_query(req, "name");

	ones_reply_json(req, 200,
	                json_pack("{s:s?, s:s?}", "value", name != NULL ? ones_cookie(req, name) : NULL, "param",
	                          ones_param(req, "HTTP_COOKIE")));
}

static void set_cookies(struct ones_request *req)
{
	const json_t *list = json_object_get(ones_json(req), "cookies");
	json_t *one;
	size_t i;

	json_array_foreach(list, i, one)
	{
		const struct ones_cookie cookie = {
			.name = json_string_value(json_object_get(one, "name")),
			.value = json_string_value(json_object_get(one, "value")),
			.path = json_string_value(json_object_get(one, "path")),
			.max_age_s = json_integer_value(json_object_get(one, "max_age_s")),
			.for_scripts = json_is_true(json_object_get(one, "for_scripts")),
			.same_site = (enum ones_same_site)json_integer_value(json_object_get(one, "same_site")),
		};

		ones_set_cookie(req, &cookie);
	}
	ones_reply_empty(req, ones_query_int(req, "status", 204, 200, 599) == 503 ? 503 : 204);
}

/* ---- Answers ------------------------------------------------------------------------------------------------ */

static void put_status(struct ones_request *req)
{
	int64_t status;

	ones_reply_empty(req, ones_path_int(req, "status", &status) ? (int)status : 400);
}

static void picture(struct ones_request *req)
{
	char picture[] = "\x89PNG\r\n\x1a\n\0picture";

	ones_header(req, "Cache-Control", "no-cache");
	ones_header(req, "Content-Type", "text/html");
	ones_header(req, "Cache-Control", "private, max-age=60");
	ones_reply_body(req, 201, "image/png", picture, sizeof picture - 1);
	/* The answer has a copy. */
	memset(picture, 0, sizeof picture);
}

static void page_with_video(struct ones_request *req)
{
	ones_allow(req, "media-src 'self'");
	ones_allow(req, "img-src https://img.example.org");
	ones_allow(req, "script-src 'self'; base-uri *");
	ones_allow(req, "default-src *");
	ones_reply_page(req, 200, "error.html", json_pack("{s:s}", "title", "video"));
}

/* Each is a mistake. */
static void err(struct ones_request *req)
{
	const char *how = ones_path(req, "how");

	if (strcmp(how, "twice") == 0) {
		ones_header(req, "First", "1");
		ones_reply_redirect(req, "/first");
		ones_header(req, "Second", "2");
		ones_set_cookie(req, &(struct ones_cookie){.name = "second", .value = "2"});
		ones_reply_json(req, 200, json_pack("{}"));
		ones_reply_problem(req, 400, "second", "Second.");
		ones_reply_page(req, 200, "error.html", json_pack("{}"));
		ones_reply_body(req, 200, "text/plain", "second", 6);
	} else if (strcmp(how, "page") == 0) {
		ones_reply_page(req, 200, "there_is_none.html", json_pack("{}"));
	} else if (strcmp(how, "json") == 0) {
		ones_reply_json(req, 200, json_pack("{s:", "unfinished"));
	} else if (strcmp(how, "value") == 0) {
		ones_header(req, "Application", "a\r\nSet-Cookie: a=b");
		ones_reply_empty(req, 204);
	} else if (strcmp(how, "name") == 0) {
		ones_header(req, "Application: b\r\nSet-Cookie", "a=b");
		ones_reply_empty(req, 204);
	} else if (strcmp(how, "reserved") == 0) {
		ones_header(req, "set-cookie", "onesession=x");
		ones_reply_empty(req, 204);
	} else if (strcmp(how, "status") == 0) {
		ones_reply_empty(req, 99);
	}
}

static void write_log(struct ones_request *req)
{
	ones_log("title_rented", "title %d: %s", 7, "\"a\"\nb");
	ones_log("Not a name", "%s", ones_query(req, "text") != NULL ? ones_query(req, "text") : "");
	ones_reply_empty(req, 204);
}

/* ---- Setup -------------------------------------------------------------------------------------------------- */

static void setup_limits(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/limits/raw",
	                                     .put = received,
	                                     .bodies = ONES_BODY_RAW,
	                                     .max_body = 1024 * 1024,
	                                     .needs = ONES_NEEDS_NOTHING});
	ones_route(app, &(struct ones_route){
				.path = "/limits/both", .post = received, .bodies = ONES_BODY_RAW | ONES_BODY_JSON});
	ones_route(app, &(struct ones_route){
				.path = "/limits/form", .post = received, .bodies = ONES_BODY_FORM, .max_body = 10});
	ones_route(app, &(struct ones_route){.path = "/limits/json", .post = received, .bodies = ONES_BODY_JSON});
	ones_route(app, &(struct ones_route){.path = "/limits/short", .get = take_long, .timeout_ms = 300});
	ones_route(app, &(struct ones_route){.path = "/limits/long", .get = take_long, .timeout_ms = 60000});
	ones_route(app, &(struct ones_route){.path = "/limits/usual", .get = take_long});
	ones_route(app, &(struct ones_route){
				.path = "/open/signed_in", .get = open_to_it, .post = open_to_it, .signed_in = true});
	ones_route(app,
	           &(struct ones_route){.path = "/open/fresh", .get = open_to_it, .post = open_to_it, .fresh = true});
	ones_route(app, &(struct ones_route){.path = "/open/admins", .get = open_to_it, .admins_only = true});
}

void titles_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/titles/:id/:what", .any = title});
	ones_route(app, &(struct ones_route){.path = "/titles/:id",
	                                     .get = title,
	                                     .post = title,
	                                     .put = title,
	                                     .patch = title,
	                                     .delete = title});
	ones_route(app, &(struct ones_route){.path = "/titles/new", .get = new_title});
	ones_route(app, &(struct ones_route){.path = "/titles", .get = listed});
	ones_route(app, &(struct ones_route){.path = "/returns", .post = title, .cross_site = true});
	ones_route(app, &(struct ones_route){.path = "/fields", .get = seen, .needs = ONES_NEEDS_NOTHING});
	setup_limits(app);
	ones_route(app, &(struct ones_route){.path = "/cookies", .get = show_cookie, .post = set_cookies});
	ones_route(app,
	           &(struct ones_route){.path = "/answers/:status", .get = put_status, .needs = ONES_NEEDS_NOTHING});
	ones_route(app, &(struct ones_route){.path = "/answers/picture", .get = picture});
	ones_route(app, &(struct ones_route){.path = "/answers/video", .get = page_with_video});
	ones_route(app, &(struct ones_route){.path = "/mistakes/:how", .get = err});
	ones_route(app, &(struct ones_route){.path = "/log", .get = write_log, .needs = ONES_NEEDS_NOTHING});
}

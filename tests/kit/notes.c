/* A module for the tests of the kit. Some of its functions are called as functions of the daemon's are. */
#include "notes.h"

#include <string.h>

static struct ones_app *kept;

int log_open(int number)
{
	return number + 1;
}

const char *users_find(const struct ones_session *session)
{
	return session != NULL ? session->user.username : "nobody";
}

static void who(struct ones_request *req)
{
	const char *language = ones_request_header(req, "Accept-Language");
	const char *limit = ones_setting(kept, "limit");
	int64_t page = ones_query_int(req, "page", log_open(0), 0, 100);

	ones_reply_json(req, 200,
	                json_pack("{s:s, s:s, s:s, s:I}", "who", users_find(ones_session(req)), "language",
	                          language != NULL ? language : "", "limit", limit != NULL ? limit : "", "page",
	                          (json_int_t)page));
}

static void show(struct ones_request *req)
{
	const struct ones_user *user = &ones_session(req)->user;
	struct ones_rows *rows = NULL;
	enum ones_result result =
		ones_sql(ones_db(req), &rows, "SELECT text FROM notes.notes WHERE user_id = $1 ORDER BY id",
	                 ONES_VALUES(ONES_INT(user->id)));

	if (result != ONES_RESULT_OK) {
		ones_reply_failure(req, result, NULL);
		return;
	}
	ones_reply_page(req, 200, "notes.html",
	                json_pack("{s:s, s:o}", "username", user->username, "notes", ones_rows_json(rows)));
}

static void add(struct ones_request *req)
{
	const char *text = ones_field(req, "text");
	enum ones_result result =
		ones_sql(ones_db(req), NULL, "INSERT INTO notes.notes (user_id, text) VALUES ($1, $2)",
	                 ONES_VALUES(ONES_INT(ones_session(req)->user.id), ONES_TEXT(text != NULL ? text : "")));

	if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else
		ones_reply_redirect(req, ones_module_url(req, "/"));
}

static void admins(struct ones_request *req)
{
	ones_reply_empty(req, 204);
}

/* What came, as it came. */
static void echo(struct ones_request *req)
{
	size_t size;
	const void *body = ones_body(req, &size);

	ones_reply_body(req, 201, "application/octet-stream", body, size);
}

static void taste(struct ones_request *req)
{
	const char *taste = ones_cookie(req, "taste");

	ones_set_cookie(req, &(struct ones_cookie){.name = "taste",
	                                           .value = taste != NULL ? "" : "salt",
	                                           .max_age_s = taste != NULL ? -1 : 0,
	                                           .path = "/notes"});
	ones_reply_json(req, 200, json_pack("{s:s?}", "taste", taste));
}

static void part(struct ones_request *req)
{
	ones_reply_json(req, 200, json_pack("{s:s}", "part", ones_path(req, "part")));
}

/* The files that came, and the field "title"; the first is kept. */
static void upload(struct ones_request *req)
{
	const struct ones_upload *all;
	size_t count = ones_uploads(req, &all);
	enum ones_result result =
		count > 0 ? ones_keep_upload(req, &all[0], "notes_files", all[0].filename) : ONES_RESULT_OK;

	if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else
		ones_reply_json(req, 200,
		                json_pack("{s:I, s:s?, s:s?, s:s?}", "count", (json_int_t)count, "title",
		                          ones_field(req, "title"), "filename", count > 0 ? all[0].filename : NULL,
		                          "type", count > 0 ? all[0].content_type : NULL));
}

static void stored(struct ones_request *req)
{
	ones_reply_stored(req, "notes_files", ones_path(req, "name"), "application/octet-stream");
}

static ssize_t more(void *context, char *buffer, size_t size)
{
	int *left = context;

	if (*left == 0)
		return 0;
	--*left;
	memset(buffer, 'a', size < 1000 ? size : 1000);
	return (ssize_t)(size < 1000 ? size : 1000);
}

static void stream(struct ones_request *req)
{
	static int left;

	left = 1000;
	ones_reply_stream(req, 200, "text/plain", more, NULL, &left);
}

static void silent(struct ones_request *req)
{
	(void)req;
}

int notes_told;

static bool hear(const struct ones_event *event, void *context)
{
	(void)context;
	notes_told += (int)json_integer_value(json_object_get(event->data, "removed"));
	return true;
}

static enum ones_result remove_empty(struct ones_db *db, void *context)
{
	enum ones_result result = ones_sql(db, NULL, "DELETE FROM notes.notes WHERE text = 'old'", NULL, 0);

	(void)context;
	return result == ONES_RESULT_OK ? ones_emit(db, "notes.swept", json_pack("{s:i}", "removed", 1)) : result;
}

static enum ones_result sweep(struct ones_db *db, void *context)
{
	return ones_transact(db, remove_empty, context);
}

static bool keep_out(const struct ones_event *event, void *context)
{
	(void)context;
	if (strcmp(event->username, "mallory") == 0)
		ones_refuse(event, "not_here", "Mallory has no place here.");
	return true;
}

/* Notes whose text is "old". */
static enum ones_result forget(struct ones_db *db, void *context)
{
	(void)context;
	return ones_sql(db, NULL, "DELETE FROM notes.notes WHERE text = 'old'", NULL, 0);
}

static bool setup(struct ones_app *app)
{
	kept = app;
	if (ones_setting(app, "fails") != NULL)
		return false;
	ones_route(app, &(struct ones_route){.path = "/", .get = show, .post = add, .signed_in = true});
	ones_route(app, &(struct ones_route){.path = "/who", .get = who});
	ones_route(app, &(struct ones_route){.path = "/admins", .get = admins, .admins_only = true});
	ones_route(app, &(struct ones_route){.path = "/echo",
	                                     .put = echo,
	                                     .bodies = ONES_BODY_RAW,
	                                     .max_body = 1 << 20,
	                                     .needs = ONES_NEEDS_NOTHING});
	ones_route(app, &(struct ones_route){.path = "/taste", .get = taste});
	ones_route(app, &(struct ones_route){.path = "/parts/:part", .get = part});
	if (ones_setting(app, "files") != NULL)
		ones_folder(app, "notes_files", "files");
	ones_route(app, &(struct ones_route){.path = "/files",
	                                     .post = upload,
	                                     .bodies = ONES_BODY_MULTIPART,
	                                     .max_body = 100 << 20,
	                                     .signed_in = true});
	ones_route(app, &(struct ones_route){.path = "/files/:name", .get = stored});
	ones_route(app, &(struct ones_route){.path = "/stream", .get = stream});
	ones_route(app, &(struct ones_route){.path = "/silent", .get = silent});
	ones_job(app, &(struct ones_job){.name = "sweep", .every_ms = 60000, .run = sweep});
	ones_signal(app, "swept");
	ones_connect_to(app, ones_setting(app, "hears") != NULL ? "notes.nothing" : "notes.swept",
	                &(struct ones_receiver){.name = "hear", .phase = ONES_AFTER_COMMIT, .call = hear});
	ones_connect(app, ONES_SIGNAL_LOGGED_IN,
	             &(struct ones_receiver){.name = "keep_out", .phase = ONES_IN_TRANSACTION, .call = keep_out});
	ones_job(app, &(struct ones_job){.name = "forget", .every_ms = 3600000, .run = forget});
	return true;
}

static bool start(struct ones_app *app)
{
	return ones_setting(app, "refuses_to_start") == NULL;
}

int notes_stopped;

static void stop(struct ones_app *app)
{
	(void)app;
	notes_stopped++;
}

ONES_MODULE(.name = "notes", .version = "1", .pages = "notes/pages", .migrations = "notes/migrations", .setup = setup,
            .start = start, .stop = stop);

/* GET /titles/:id/cover: a film's picture, for everybody. POST /titles/:id/covers: another one, by an administrator. */
#include "cinema.h"

#include <string.h>
#include <unistd.h>

/* Looked at, for what a browser calls a file means nothing. */
static bool is_jpeg(const struct ones_upload *upload)
{
	static const unsigned char wanted[] = {0xFF, 0xD8, 0xFF};
	unsigned char begin[sizeof wanted];

	return pread(upload->fd, begin, sizeof begin, 0) == (ssize_t)sizeof begin &&
	       memcmp(begin, wanted, sizeof wanted) == 0;
}

static void cover(struct ones_request *req)
{
	static const char sql[] = "SELECT coalesce(cover, film || '.jpg') AS file, cover IS NOT NULL AS is_uploaded"
				  " FROM cinema.titles WHERE id = $1";
	struct ones_rows *row;

	if (!read_row(req, &row, sql, ONES_VALUES(ONES_INT(id_of(req)))))
		return;
	/* Pages ask for it with its name behind a question mark: another cover has another address. */
	ones_header(req, "Cache-Control", "public, max-age=86400");
	ones_reply_stored(req, ones_bool(row, 0, "is_uploaded") ? "covers" : "films", ones_text(row, 0, "file"),
	                  "image/jpeg");
}

/* The picture is kept before the page names it, and the former one goes last: there is one at any moment. */
static enum ones_result replace_cover(struct ones_request *req, const struct ones_upload *upload, const char *name)
{
	static const char sql[] =
		"WITH former AS (SELECT id, cover FROM cinema.titles WHERE id = $1 FOR UPDATE)"
		" UPDATE cinema.titles t SET cover = $2 FROM former WHERE t.id = former.id RETURNING former.cover";
	enum ones_result result = ones_keep_upload(req, upload, "covers", name);
	const char *unused = NULL;
	struct ones_rows *former;

	if (result != ONES_RESULT_OK)
		return result;
	result = ones_sql(ones_db(req), &former, sql, ONES_VALUES(ONES_INT(id_of(req)), ONES_TEXT(name)));
	/* When it is not known whether that was done, both stay. */
	if (result == ONES_RESULT_OK)
		unused = ones_rows_count(former) > 0 ? ones_text(former, 0, "cover") : name;
	if (unused != NULL)
		(void)ones_remove_stored(req, "covers", unused);
	return result;
}

static void hang_cover(struct ones_request *req)
{
	static const char sql[] = "SELECT nextval('cinema.covers') || '.jpg' AS name FROM cinema.titles WHERE id = $1";
	const struct ones_upload *upload;
	struct ones_rows *row;
	enum ones_result result;

	if (ones_uploads(req, &upload) != 1 || !is_jpeg(upload)) {
		ones_reply_problem(req, 400, "bad_request", "A cover is one picture, a JPEG.");
		return;
	}
	if (!read_row(req, &row, sql, ONES_VALUES(ONES_INT(id_of(req)))))
		return;
	result = replace_cover(req, upload, ones_text(row, 0, "name"));
	if (result == ONES_RESULT_OK)
		ones_reply_redirect(req, ones_next(req, ones_page_before(req)));
	else
		ones_reply_failure(req, result, NULL);
}

void covers_setup(struct ones_app *app)
{
	ones_folder(app, "covers", "covers");
	ones_route(app, &(struct ones_route){.path = "/titles/:id/cover", .get = cover, .needs = ONES_NEEDS_DATABASE});
	ones_route(app, &(struct ones_route){.path = "/titles/:id/covers",
	                                     .post = hang_cover,
	                                     .bodies = ONES_BODY_MULTIPART,
	                                     .max_body = (int64_t)4 << 20,
	                                     .admins_only = true});
}

/* GET /: all films, or those that are searched for, and those that the account has begun. GET /titles/:id: one. */
#include "cinema.h"

static void catalogue(struct ones_request *req)
{
	static const char begun_sql[] = "SELECT t.id, t.name, t.cover, t.seconds, p.seconds AS position"
					" FROM cinema.positions p JOIN cinema.titles t ON t.id = p.title"
					" WHERE p.account = $1 AND p.seconds BETWEEN 1 AND t.seconds - 2"
					" ORDER BY p.watched_at DESC LIMIT 3";
	static const char titles_sql[] =
		"SELECT id, name, year, cover, is_premiere FROM cinema.titles"
		" WHERE strpos(lower(concat_ws(' ', name, year, about)), lower($1)) > 0 ORDER BY name LIMIT 100";
	const char *wanted = ones_query(req, "q");
	struct ones_rows *begun, *titles;
	enum ones_result result;

	if (wanted == NULL)
		wanted = "";
	result = ones_sql(ones_db(req), &begun, begun_sql, ONES_VALUES(ONES_INT(account_of(req))));
	if (result == ONES_RESULT_OK)
		result = ones_sql(ones_db(req), &titles, titles_sql, ONES_VALUES(ONES_TEXT(wanted)));
	if (result != ONES_RESULT_OK) {
		ones_reply_failure(req, result, NULL);
		return;
	}
	show(req, "catalogue.html",
	     json_pack("{s:s, s:o, s:o, s:b}", "wanted", wanted, "titles", ones_rows_json(titles), "begun",
	               ones_rows_json(begun), "has_begun", ones_rows_count(begun) > 0 && wanted[0] == '\0'));
}

static void title(struct ones_request *req)
{
	static const char sql[] =
		"SELECT t.id, t.name, t.year, t.about, t.cover, t.seconds, t.is_premiere, cinema.barred($2, t.id) AS "
		"barred,"
		" CASE WHEN p.seconds BETWEEN 1 AND t.seconds - 2 THEN p.seconds ELSE 0 END AS position"
		" FROM cinema.titles t LEFT JOIN cinema.positions p ON p.title = t.id AND p.account = $2"
		" WHERE t.id = $1";
	struct ones_rows *row;

	if (!read_row(req, &row, sql, ONES_VALUES(ONES_INT(id_of(req)), ONES_INT(account_of(req)))))
		return;
	ones_allow(req, "media-src 'self'");
	show(req, "title.html", json_pack("{s:o}", "title", ones_rows_json(row)));
}

void catalogue_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/", .get = catalogue});
	ones_route(app, &(struct ones_route){.path = "/titles/:id", .get = title});
}

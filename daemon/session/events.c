#include "session/events.h"

#include "base/clock.h"
#include "session/sql.h"

#include <stdlib.h>

static struct db_value text_or_null(const char *text)
{
	return text != NULL && text[0] != '\0' ? DB_TEXT(text) : DB_NULL;
}

enum db_status events_record(struct db *db, const struct event_record *record)
{
	const struct db_value values[] = {
		DB_TEXT(record->name),
		record->user_id > 0 ? DB_INT(record->user_id) : DB_NULL,
		DB_TEXT(record->username != NULL ? record->username : ""),
		text_or_null(record->session_id),
		text_or_null(record->ip),
		DB_TEXT(record->user_agent != NULL ? record->user_agent : ""),
		text_or_null(record->detail),
	};

	return db_query(db, NULL, &sql_record_event, values, sizeof values / sizeof values[0], NULL);
}

enum db_status events_record_operator(struct db *db, const char *name, int64_t user_id, const char *username,
                                      const char *detail)
{
	const struct event_record record = {
		.name = name,
		.user_id = user_id,
		.username = username,
		.detail = detail,
	};

	return events_record(db, &record);
}

static struct event_row event_from_row(const struct db_result *rows, size_t row)
{
	return (struct event_row){
		.id = db_int(rows, row, EVENT_ID),
		.at = db_time(rows, row, EVENT_AT),
		.name = db_text(rows, row, EVENT_NAME),
		.user_id = db_is_null(rows, row, EVENT_USER_ID) ? 0 : db_int(rows, row, EVENT_USER_ID),
		.username = db_text(rows, row, EVENT_USERNAME),
		.session_id = db_text(rows, row, EVENT_SESSION_ID),
		.ip = db_text(rows, row, EVENT_IP),
		.user_agent = db_text(rows, row, EVENT_USER_AGENT),
		.detail = db_text(rows, row, EVENT_DETAIL),
	};
}

static enum db_status list(struct db *db, TALLOC_CTX *ctx, const struct db_statement *statement,
                           const struct db_value values[], size_t value_count, struct event_list *found)
{
	struct db_result *rows;
	enum db_status status = db_query(db, ctx, statement, values, value_count, &rows);

	*found = (struct event_list){0};
	if (status != DB_OK)
		return status;
	found->rows = talloc_array(ctx, struct event_row, (unsigned)db_rows(rows));
	if (found->rows == NULL) {
		db_set_problem(db, "out of memory");
		return DB_ERROR;
	}
	for (; found->count < db_rows(rows); found->count++)
		found->rows[found->count] = event_from_row(rows, found->count);
	return DB_OK;
}

enum db_status events_latest(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t max, struct event_list *found)
{
	const struct db_value values[] = {DB_INT(user_id), DB_INT(max)};

	return list(db, ctx, &sql_latest_events, values, 2, found);
}

/* ---- The feed ----------------------------------------------------------------------------------------------- */

/* As many events are read at once; how many there are is bounded by nothing. */
#define PAGE 1000

/* A transaction gets its number just after its first event's id: as long it may take for that, on any machine. */
#define SETTLE_MS 5000

/*
 * Events are seen when their transactions commit, so one with a lower id may come after one with a higher id. What is
 * above `settled` is therefore read again each time, and `had` tells what of it was told before.
 */
struct event_feed {
	struct db *db;
	int64_t user_id;
	int64_t settled;
	int64_t *had; /* in ascending order */
	size_t had_count;
	/* What will be settled once no transaction below `xmax` is under way. */
	struct {
		bool is_set;
		unsigned int connection; /* of db_watch_id(): another server's transactions have other numbers */
		int64_t id;
		int64_t xmax;
		int64_t since; /* of the monotonic clock, in ms */
	} next;
};

static enum db_status out_of_memory(struct db *db)
{
	db_set_problem(db, "out of memory");
	return DB_ERROR;
}

static int compare(const void *one, const void *other)
{
	int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;

	return (a > b) - (a < b);
}

static bool was_had(const struct event_feed *feed, int64_t id)
{
	return feed->had_count > 0 && bsearch(&id, feed->had, feed->had_count, sizeof id, compare) != NULL;
}

enum db_status event_feed_skip(struct event_feed *feed, const struct event_list *events)
{
	size_t count = feed->had_count;
	int64_t *grown;

	if (events->count == 0)
		return DB_OK;
	grown = talloc_realloc(feed, feed->had, int64_t, (unsigned)(count + events->count));
	if (grown == NULL)
		return out_of_memory(feed->db);
	feed->had = grown;
	for (size_t i = 0; i < events->count; i++) {
		int64_t id = events->rows[i].id;

		if (id > feed->settled && !was_had(feed, id))
			grown[count++] = id;
	}
	feed->had_count = count;
	qsort(grown, count, sizeof grown[0], compare);
	return DB_OK;
}

/* Leave what was had out of the page. */
static void keep_new(const struct event_feed *feed, struct event_list *page)
{
	size_t kept = 0;

	for (size_t i = 0; i < page->count; i++) {
		if (!was_had(feed, page->rows[i].id))
			page->rows[kept++] = page->rows[i];
	}
	page->count = kept;
}

/* Read on from *after, a page of what is new. *more is false at the end. */
static enum db_status read_page(struct event_feed *feed, TALLOC_CTX *ctx, int64_t *after, struct event_list *page,
                                bool *more)
{
	const struct db_value values[] = {DB_INT(feed->user_id), DB_INT(*after), DB_INT(PAGE)};
	enum db_status status = list(feed->db, ctx, &sql_events_after, values, 3, page);

	*more = page->count == PAGE;
	if (status != DB_OK || page->count == 0)
		return status;
	*after = page->rows[page->count - 1].id;
	keep_new(feed, page);
	return DB_OK;
}

static enum db_status read_all(struct event_feed *feed, bool (*tell)(const struct event_list *events, void *context),
                               void *context)
{
	int64_t after = feed->settled;
	bool more = true;
	enum db_status status = DB_OK;

	while (status == DB_OK && more) {
		TALLOC_CTX *scratch = talloc_new(feed);
		struct event_list page;

		status = read_page(feed, scratch, &after, &page, &more);
		if (status == DB_OK)
			status = event_feed_skip(feed, &page);
		if (status == DB_OK && tell != NULL && page.count > 0)
			more = tell(&page, context) && more;
		talloc_free(scratch);
	}
	return status;
}

struct event_feed *event_feed_new(TALLOC_CTX *ctx, struct db *db, int64_t user_id)
{
	struct event_feed *feed = talloc_zero(ctx, struct event_feed);

	if (feed != NULL) {
		feed->db = db;
		feed->user_id = user_id;
	}
	return feed;
}

enum db_status event_feed_begin(struct event_feed *feed)
{
	TALLOC_CTX *scratch = talloc_new(feed);
	struct db_result *row;
	enum db_status status = db_query(feed->db, scratch, &sql_events_start, NULL, 0, &row);

	if (status == DB_OK)
		feed->settled = db_int(row, 0, 0);
	talloc_free(scratch);
	return status == DB_OK ? read_all(feed, NULL, NULL) : status;
}

static void settle(struct event_feed *feed, int64_t id)
{
	size_t kept = 0;

	for (size_t i = 0; i < feed->had_count; i++) {
		if (feed->had[i] > id)
			feed->had[kept++] = feed->had[i];
	}
	feed->had_count = kept;
	feed->settled = id;
}

enum db_status event_feed_read(struct event_feed *feed, bool (*tell)(const struct event_list *events, void *context),
                               void *context)
{
	TALLOC_CTX *scratch = talloc_new(feed);
	unsigned int connection = db_watch_id(feed->db);
	int64_t now = clock_monotonic_ms();
	struct db_result *row;
	bool is_due = false;
	enum db_status status = db_query(feed->db, scratch, &sql_events_horizon, NULL, 0, &row);

	if (status == DB_OK) {
		if (feed->next.connection != connection || db_watch_id(feed->db) != connection)
			feed->next.is_set = false;
		is_due = feed->next.is_set && db_int(row, 0, HORIZON_XMIN) >= feed->next.xmax &&
		         now - feed->next.since >= SETTLE_MS;
		status = read_all(feed, tell, context);
	}
	/* What was under way below `next` can be seen since before it was read just now. */
	if (status == DB_OK && is_due) {
		settle(feed, feed->next.id);
		feed->next.is_set = false;
	}
	if (status == DB_OK && !feed->next.is_set) {
		feed->next.is_set = true;
		feed->next.connection = db_watch_id(feed->db);
		feed->next.id = db_int(row, 0, HORIZON_ID);
		feed->next.xmax = db_int(row, 0, HORIZON_XMAX);
		feed->next.since = now;
	}
	talloc_free(scratch);
	return status;
}

/* The table `events`: writing, listing, and a feed that sees each event once. */
#include "session/events.h"

#include "base/clock.h"
#include "session/sql.h"

#include <stdlib.h>
#include <string.h>

static struct db_value text_or_null(const char *text)
{
	return text != NULL && text[0] != '\0' ? DB_TEXT(text) : DB_NULL;
}

/* The statement's one row is a payload. */
static enum db_status query_and_notify(struct db *db, const struct db_statement *statement,
                                       const struct db_value values[], size_t count)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *row;
	enum db_status status = db_query(db, scratch, statement, values, count, &row);

	if (status == DB_OK)
		status = db_notify(db, db_text(row, 0, 0));
	talloc_free(scratch);
	return status;
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

	return query_and_notify(db, &sql_record_event, values, sizeof values / sizeof values[0]);
}

/* NOTIFY carries less than 8000 bytes; the other keys and the longest name are far below the rest. */
#define OWN_DATA_MAX 7000

enum db_status events_tell_own(struct db *db, const char *name, const json_t *data)
{
	char *text = json_dumps(data, JSON_COMPACT | JSON_ENCODE_ANY);
	const bool is_cut = text != NULL && strlen(text) > OWN_DATA_MAX;
	const struct db_value values[] = {DB_TEXT(name), DB_TEXT(is_cut ? NULL : text), DB_BOOL(is_cut)};
	enum db_status status =
		text != NULL ? query_and_notify(db, &sql_own_event_payload, values, 3) : db_out_of_memory(db);

	free(text);
	return status;
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

static void read_event(const struct db_result *rows, size_t row, void *item)
{
	*(struct event_row *)item = (struct event_row){
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
	enum db_status status;

	*found = (struct event_list){0};
	found->rows = db_query_list(db, ctx, statement, values, value_count, sizeof *found->rows, read_event,
	                            &found->count, &status);
	return status;
}

enum db_status events_latest(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t max, struct event_list *found)
{
	const struct db_value values[] = {DB_INT(user_id), DB_INT(max)};

	return list(db, ctx, &sql_latest_events, values, 2, found);
}

/* ---- The feed ----------------------------------------------------------------------------------------------- */

/* So many events are read at once: their number has no bound. */
#define PAGE 1000

/* Transactions that write events are looked up no more often: it costs more than to look for events. */
#define SETTLE_MS 1000

/* Ids of which no event has been seen. */
struct gap {
	int64_t first, last;
};

/*
 * Ids are taken before rows can be seen, so one with a lower id may come after one with a higher id. What the feed
 * remembers is where it has seen none: in gaps, the last of which is without an end. To read is to look there and
 * nowhere else, so that it costs what is new and no more, however long other transactions go on. A gap whose id was
 * taken by a transaction that was rolled back is dropped as soon as no transaction that could have taken it is under
 * way.
 */
struct event_feed {
	struct db *db;
	int64_t user_id;
	unsigned int connection; /* of db_watch_id() */
	struct gap *gaps;        /* in ascending order */
	size_t gap_count;
	/* What will be dropped once none of the writers is under way. */
	struct {
		char *writers; /* NULL: nothing yet */
		int64_t id;    /* up to here */
		int64_t since; /* of the monotonic clock, in ms */
	} next;
};

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
	struct db_result *rows;
	enum db_status status;

	feed->connection = db_watch_id(feed->db);
	status = db_query(feed->db, feed, &sql_events_gaps, NULL, 0, &rows);
	if (status != DB_OK)
		return status;
	feed->gap_count = db_rows(rows);
	feed->gaps = talloc_array(feed, struct gap, (unsigned)feed->gap_count);
	if (feed->gaps == NULL)
		return db_out_of_memory(feed->db);
	for (size_t i = 0; i < feed->gap_count; i++)
		feed->gaps[i] = (struct gap){
			.first = db_int(rows, i, 0),
			.last = db_is_null(rows, i, 1) ? INT64_MAX : db_int(rows, i, 1),
		};
	talloc_free(rows);
	return DB_OK;
}

/* The gap that the id is in, or where it would stand. */
static size_t find_gap(const struct event_feed *feed, int64_t id)
{
	size_t from = 0, to = feed->gap_count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (feed->gaps[middle].last < id)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* The event has been seen: its id is in no gap any more. */
static enum db_status see(struct event_feed *feed, int64_t id)
{
	size_t at = find_gap(feed, id);
	struct gap *gap = &feed->gaps[at];
	struct gap *grown;

	if (at == feed->gap_count || id < gap->first)
		return DB_OK;
	if (id == gap->first && id == gap->last) {
		feed->gap_count--;
		memmove(gap, gap + 1, (feed->gap_count - at) * sizeof *gap);
		return DB_OK;
	}
	if (id == gap->first) {
		gap->first++;
		return DB_OK;
	}
	if (id == gap->last) {
		gap->last--;
		return DB_OK;
	}
	grown = talloc_realloc(feed, feed->gaps, struct gap, (unsigned)feed->gap_count + 1);
	if (grown == NULL)
		return db_out_of_memory(feed->db);
	feed->gaps = grown;
	gap = &grown[at];
	memmove(gap + 1, gap, (feed->gap_count - at) * sizeof *gap);
	feed->gap_count++;
	gap[0].last = id - 1;
	gap[1].first = id + 1;
	return DB_OK;
}

enum db_status event_feed_skip(struct event_feed *feed, const struct event_list *events)
{
	enum db_status status = DB_OK;

	for (size_t i = 0; status == DB_OK && i < events->count; i++)
		status = see(feed, events->rows[i].id);
	return status;
}

/* As an array of PostgreSQL, on `ctx`. */
static const char *gaps_text(TALLOC_CTX *ctx, const struct event_feed *feed, bool is_last)
{
	char *text = talloc_strdup(ctx, "{");

	for (size_t i = 0; text != NULL && i < feed->gap_count; i++)
		text = talloc_asprintf_append_buffer(text, "%s%lld", i > 0 ? "," : "",
		                                     (long long)(is_last ? feed->gaps[i].last : feed->gaps[i].first));
	return text != NULL ? talloc_strdup_append_buffer(text, "}") : NULL;
}

static enum db_status read_page(struct event_feed *feed, TALLOC_CTX *ctx, struct event_list *page)
{
	const struct db_value values[] = {
		DB_TEXT(gaps_text(ctx, feed, false)),
		DB_TEXT(gaps_text(ctx, feed, true)),
		DB_INT(PAGE),
	};

	*page = (struct event_list){0};
	if (values[0].data == NULL || values[1].data == NULL)
		return db_out_of_memory(feed->db);
	return list(feed->db, ctx, &sql_events_within, values, 3, page);
}

/* Leave out what is not of the feed's account. */
static void keep_own(const struct event_feed *feed, struct event_list *page)
{
	size_t kept = 0;

	for (size_t i = 0; i < page->count; i++) {
		if (feed->user_id == 0 || page->rows[i].user_id == feed->user_id)
			page->rows[kept++] = page->rows[i];
	}
	page->count = kept;
}

static enum db_status read_all(struct event_feed *feed, bool (*deliver)(const struct event_list *events, void *context),
                               void *context)
{
	bool more = true;
	enum db_status status = DB_OK;

	while (status == DB_OK && more) {
		TALLOC_CTX *scratch = talloc_new(feed);
		struct event_list page;

		status = read_page(feed, scratch, &page);
		more = page.count == PAGE;
		if (status == DB_OK)
			status = event_feed_skip(feed, &page);
		keep_own(feed, &page);
		if (status == DB_OK && page.count > 0)
			more = deliver(&page, context) && more;
		talloc_free(scratch);
	}
	return status;
}

/* A server after a fail-over may lack the last events of the former one, and gives their ids once more. */
static enum db_status check_server(struct event_feed *feed)
{
	enum db_status status;
	int64_t last = 0;

	if (feed->connection == db_watch_id(feed->db))
		return DB_OK;
	feed->connection = db_watch_id(feed->db);
	status = db_query_int(feed->db, &sql_events_last, NULL, 0, &last);
	if (status != DB_OK)
		return status;
	while (feed->gap_count > 1 && feed->gaps[feed->gap_count - 2].last > last)
		feed->gap_count--;
	if (feed->gaps[feed->gap_count - 1].first > last)
		feed->gaps[feed->gap_count - 1].first = last + 1;
	feed->gaps[feed->gap_count - 1].last = INT64_MAX;
	return DB_OK;
}

/* Have all transactions ended that could have taken an id of the gaps up to next.id? */
static enum db_status ask_writers(struct event_feed *feed, bool *ended)
{
	const struct db_value values[] = {DB_TEXT(feed->next.writers)};
	struct db_result *row;
	enum db_status status;

	*ended = false;
	if (feed->next.writers == NULL || clock_monotonic_ms() - feed->next.since < SETTLE_MS)
		return DB_OK;
	status = db_query(feed->db, feed, &sql_events_are_written, values, 1, &row);
	if (status != DB_OK)
		return status;
	*ended = !db_bool(row, 0, 0);
	feed->next.since = clock_monotonic_ms();
	talloc_free(row);
	return DB_OK;
}

/* All transactions that could have taken an id of a gap have ended, and their events were read since. */
static void drop_gaps(struct event_feed *feed)
{
	size_t first = find_gap(feed, feed->next.id + 1);

	feed->gap_count -= first;
	memmove(feed->gaps, &feed->gaps[first], feed->gap_count * sizeof feed->gaps[0]);
	talloc_free(feed->next.writers);
	feed->next.writers = NULL;
}

static enum db_status note_writers(struct event_feed *feed)
{
	struct db_result *row;
	enum db_status status;

	if (feed->next.writers != NULL || feed->gap_count == 1)
		return DB_OK;
	status = db_query(feed->db, feed, &sql_events_writers, NULL, 0, &row);
	if (status != DB_OK)
		return status;
	feed->next.id = feed->gaps[feed->gap_count - 1].first - 1;
	feed->next.since = clock_monotonic_ms();
	feed->next.writers = talloc_strdup(feed, db_text(row, 0, 0));
	talloc_free(row);
	return feed->next.writers != NULL ? DB_OK : db_out_of_memory(feed->db);
}

enum db_status event_feed_read(struct event_feed *feed, bool (*deliver)(const struct event_list *events, void *context),
                               void *context)
{
	bool ended = false;
	enum db_status status = check_server(feed);

	if (status == DB_OK)
		status = ask_writers(feed, &ended);
	if (status == DB_OK)
		status = read_all(feed, deliver, context);
	if (status == DB_OK && ended)
		drop_gaps(feed);
	return status == DB_OK ? note_writers(feed) : status;
}

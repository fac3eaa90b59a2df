#include "session/sessions.h"

#include "base/clock.h"
#include "session/sql.h"

/* Few enough that nobody waits for a batch, many enough that its commit is not what it costs. */
#define PURGE_BATCH 1000

/*
 * After a batch the purge rests for this many times as long as the batch has taken, up to a second: requests need the
 * processor and the disk more than it does, and the slower these are, the longer it leaves them alone.
 */
#define PURGE_REST_TIMES  2
#define PURGE_REST_MAX_US (1000 * 1000)

/* How long a browser is known without a login: a little less than it keeps its cookie. */
#define KNOWN_BROWSER_MS (INT64_C(365) * 24 * 3600 * 1000)

/* A batch that met someone else's transaction the wrong way round is done again. */
#define PURGE_ATTEMPTS 5

enum db_status sessions_list(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t idle_timeout_ms, int64_t max,
                             struct session_row **rows, size_t *count)
{
	const struct db_value values[] = {
		DB_INT(user_id),
		DB_INT(idle_timeout_ms),
		max >= 0 ? DB_INT(max) : DB_NULL,
	};
	struct db_result *found;
	enum db_status status = db_query(db, ctx, &sql_list_sessions, values, 3, &found);

	*rows = NULL;
	*count = 0;
	if (status != DB_OK)
		return status;
	*rows = talloc_array(ctx, struct session_row, (unsigned)db_rows(found));
	if (*rows == NULL) {
		db_set_problem(db, "out of memory");
		return DB_ERROR;
	}
	for (size_t i = 0; i < db_rows(found); i++) {
		(*rows)[i] = (struct session_row){
			.id = db_text(found, i, SESSION_ID),
			.user_id = db_int(found, i, SESSION_USER_ID),
			.username = db_text(found, i, SESSION_USERNAME),
			.created_at = db_time(found, i, SESSION_CREATED_AT),
			.last_seen_at = db_time(found, i, SESSION_LAST_SEEN_AT),
			.expires_at = db_time(found, i, SESSION_EXPIRES_AT),
			.ip = db_text(found, i, SESSION_IP),
			.user_agent = db_text(found, i, SESSION_USER_AGENT),
		};
	}
	*count = db_rows(found);
	return DB_OK;
}

enum db_status sessions_history(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t idle_timeout_ms, int64_t max,
                                struct ended_row **rows, size_t *count)
{
	const struct db_value values[] = {DB_INT(user_id), DB_INT(idle_timeout_ms), DB_INT(max)};
	struct db_result *found;
	enum db_status status = db_query(db, ctx, &sql_list_endings, values, 3, &found);

	*rows = NULL;
	*count = 0;
	if (status != DB_OK)
		return status;
	*rows = talloc_array(ctx, struct ended_row, (unsigned)db_rows(found));
	if (*rows == NULL) {
		db_set_problem(db, "out of memory");
		return DB_ERROR;
	}
	for (size_t i = 0; i < db_rows(found); i++)
		(*rows)[i] = (struct ended_row){
			.was = {.id = db_text(found, i, ENDING_ID),
		                .created_at = db_time(found, i, ENDING_CREATED_AT),
		                .last_seen_at = db_time(found, i, ENDING_LAST_SEEN_AT),
		                .ip = db_text(found, i, ENDING_IP),
		                .user_agent = db_text(found, i, ENDING_USER_AGENT)},
			.reason = db_text(found, i, ENDING_REASON),
			.ended_at = db_time(found, i, ENDING_ENDED_AT),
			.by = {.id = db_text(found, i, ENDING_BY_ID),
		               .ip = db_text(found, i, ENDING_BY_IP),
		               .user_agent = db_text(found, i, ENDING_BY_USER_AGENT),
		               .operator_name = db_text(found, i, ENDING_OPERATOR)},
		};
	*count = db_rows(found);
	return DB_OK;
}

enum db_status sessions_count_live(struct db *db, int64_t idle_timeout_ms, int64_t *count)
{
	const struct db_value values[] = {DB_INT(idle_timeout_ms)};
	struct db_result *counted;
	enum db_status status = db_query(db, db, &sql_count_live_sessions, values, 1, &counted);

	if (status != DB_OK)
		return status;
	*count = db_int(counted, 0, 0);
	talloc_free(counted);
	return DB_OK;
}

struct purge {
	struct db *db;
	bool *busy;
};

/* One batch in a transaction of its own. *taken is how many rows, and untouched when another process is at it. */
static enum db_status purge_batch(const struct purge *purge, const struct db_statement *statement, int64_t milliseconds,
                                  int64_t *taken)
{
	const struct db_value values[] = {DB_INT(PURGE_BATCH), DB_INT(milliseconds)};
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *row;
	int64_t count = 0;
	enum db_status status = db_begin(purge->db);

	if (status == DB_OK)
		status = db_query(purge->db, scratch, &sql_lock_purge, NULL, 0, &row);
	if (status == DB_OK && !db_bool(row, 0, 0)) {
		*purge->busy = true;
		goto rollback;
	}
	if (status == DB_OK)
		status = db_query(purge->db, scratch, statement, values, 2, &row);
	if (status != DB_OK)
		goto rollback;
	count = db_int(row, 0, 0);
	status = db_commit(purge->db);
	if (status != DB_OK)
		goto rollback;
	*taken = count;
	talloc_free(scratch);
	return DB_OK;
rollback:
	db_rollback(purge->db);
	talloc_free(scratch);
	return status;
}

static enum db_status purge_batch_with_retry(const struct purge *purge, const struct db_statement *statement,
                                             int64_t milliseconds, int64_t *taken)
{
	enum db_status status = DB_CONFLICT;

	*taken = 0;
	for (int attempt = 0; attempt < PURGE_ATTEMPTS && status == DB_CONFLICT; attempt++)
		status = purge_batch(purge, statement, milliseconds, taken);
	return status;
}

static void rest_after(int64_t batch_us)
{
	int64_t rest_us = batch_us * PURGE_REST_TIMES;

	clock_sleep_us(rest_us < PURGE_REST_MAX_US ? rest_us : PURGE_REST_MAX_US);
}

enum db_status sessions_purge(struct db *db, const struct purge_policy *policy, struct purge_counts *counts, bool *busy,
                              void (*progress)(const struct purge_counts *counts))
{
	const struct purge purge = {.db = db, .busy = busy};
	const struct {
		const struct db_statement *statement;
		int64_t milliseconds;
		int64_t *count;
	} steps[] = {
		{&sql_purge_sessions, policy->idle_timeout_ms, &counts->sessions},
		{&sql_purge_ended_sessions, policy->history_ms, &counts->ended_sessions},
		{&sql_purge_events, policy->history_ms, &counts->events},
		{&sql_purge_login_tickets, 0, &counts->login_tickets},
		{&sql_purge_login_failures, policy->attempts_window_ms, &counts->login_failures},
		{&sql_purge_known_browsers, KNOWN_BROWSER_MS, &counts->known_browsers},
		{&sql_purge_anonymous_sessions, 0, &counts->anonymous_sessions},
	};

	*counts = (struct purge_counts){0};
	*busy = false;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		for (;;) {
			int64_t began_us = clock_monotonic_us(), taken;
			enum db_status status =
				purge_batch_with_retry(&purge, steps[i].statement, steps[i].milliseconds, &taken);

			if (status != DB_OK || *busy)
				return status;
			*steps[i].count += taken;
			if (progress != NULL)
				progress(counts);
			if (taken < PURGE_BATCH)
				break;
			rest_after(clock_monotonic_us() - began_us);
		}
	}
	return DB_OK;
}

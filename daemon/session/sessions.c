/* Sessions as operators see them, and the purge. */
#include "session/sessions.h"

#include "base/clock.h"
#include "session/erasure.h"
#include "session/sql.h"
#include "session/transaction.h"

/* Few enough that no request waits for a batch, many enough that its commit is not what it costs. */
#define PURGE_BATCH 1000

/*
 * After a batch the purge rests for this many times as long as the batch has taken, up to a second: requests need the
 * processor and the disk more than it does, and the slower these are, the longer it leaves them alone.
 */
#define PURGE_REST_TIMES  2
#define PURGE_REST_MAX_US (1000 * 1000)

/* How long a browser is known without a login: a little less than it keeps its cookie. */
#define KNOWN_BROWSER_MS (INT64_C(365) * 24 * 3600 * 1000)

/* As they are counted: see sql_hold_code_tries. */
#define CODE_TRIES_MS (INT64_C(24) * 3600 * 1000)

/* An Idempotency-Key is good for a day. */
#define API_ANSWERS_MS (INT64_C(24) * 3600 * 1000)

static void read_session(const struct db_result *rows, size_t row, void *item)
{
	*(struct session_row *)item = (struct session_row){
		.id = db_text(rows, row, SESSION_ID),
		.user_id = db_int(rows, row, SESSION_USER_ID),
		.username = db_text(rows, row, SESSION_USERNAME),
		.created_at = db_time(rows, row, SESSION_CREATED_AT),
		.last_seen_at = db_time(rows, row, SESSION_LAST_SEEN_AT),
		.expires_at = db_time(rows, row, SESSION_EXPIRES_AT),
		.ip = db_text(rows, row, SESSION_IP),
		.user_agent = db_text(rows, row, SESSION_USER_AGENT),
	};
}

enum db_status sessions_list(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t idle_timeout_ms, int64_t max,
                             struct session_row **rows, size_t *count)
{
	const struct db_value values[] = {
		DB_INT(user_id),
		DB_INT(idle_timeout_ms),
		max >= 0 ? DB_INT(max) : DB_NULL,
	};
	enum db_status status;

	*rows = db_query_list(db, ctx, &sql_list_sessions, values, 3, sizeof **rows, read_session, count, &status);
	return status;
}

static void read_ended(const struct db_result *rows, size_t row, void *item)
{
	*(struct ended_row *)item = (struct ended_row){
		.was = {.id = db_text(rows, row, ENDING_ID),
	                .created_at = db_time(rows, row, ENDING_CREATED_AT),
	                .last_seen_at = db_time(rows, row, ENDING_LAST_SEEN_AT),
	                .ip = db_text(rows, row, ENDING_IP),
	                .user_agent = db_text(rows, row, ENDING_USER_AGENT)},
		.reason = db_text(rows, row, ENDING_REASON),
		.ended_at = db_time(rows, row, ENDING_ENDED_AT),
		.by = {.id = db_text(rows, row, ENDING_BY_ID),
	               .ip = db_text(rows, row, ENDING_BY_IP),
	               .user_agent = db_text(rows, row, ENDING_BY_USER_AGENT),
	               .operator_name = db_text(rows, row, ENDING_OPERATOR)},
	};
}

enum db_status sessions_history(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t idle_timeout_ms, int64_t max,
                                struct ended_row **rows, size_t *count)
{
	const struct db_value values[] = {DB_INT(user_id), DB_INT(idle_timeout_ms), DB_INT(max)};
	enum db_status status;

	*rows = db_query_list(db, ctx, &sql_list_endings, values, 3, sizeof **rows, read_ended, count, &status);
	return status;
}

enum db_status sessions_count_live(struct db *db, int64_t idle_timeout_ms, int64_t *count)
{
	const struct db_value values[] = {DB_INT(idle_timeout_ms)};

	return db_query_int(db, &sql_count_live_sessions, values, 1, count);
}

/* A step of the purge, and its batch under way. */
struct purge_step {
	const struct db_statement *statement;
	int64_t milliseconds; /* its second parameter */
	int64_t *count;
	int64_t taken; /* rows of the batch */
	bool is_busy;  /* another process is purging */
};

static enum db_status purge_batch(struct db *db, void *context)
{
	struct purge_step *step = context;
	const struct db_value values[] = {DB_INT(PURGE_BATCH), DB_INT(step->milliseconds)};
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *row;
	enum db_status status = db_query(db, scratch, &sql_lock_purge, NULL, 0, &row);

	step->taken = 0;
	step->is_busy = status == DB_OK && !db_bool(row, 0, 0);
	if (status == DB_OK && !step->is_busy)
		status = db_query(db, scratch, step->statement, values, 2, &row);
	if (status == DB_OK && !step->is_busy)
		step->taken = db_int(row, 0, 0);
	talloc_free(scratch);
	return status;
}

static void rest_after(int64_t batch_us)
{
	int64_t rest_us = batch_us * PURGE_REST_TIMES;

	clock_sleep_us(rest_us < PURGE_REST_MAX_US ? rest_us : PURGE_REST_MAX_US);
}

static bool is_over(const struct purge_policy *policy)
{
	return policy->until_ms != 0 && clock_until_ms(policy->until_ms) == 0;
}

static enum db_status run_step(struct db *db, const struct purge_policy *policy, struct purge_step *step,
                               const struct purge_counts *counts, void (*progress)(const struct purge_counts *counts))
{
	do {
		int64_t began_us = clock_monotonic_us();
		/* A batch that met another transaction in the opposite order of locks is done again. */
		enum db_status status = transaction_run(db, TRANSACTION_RETRIED, purge_batch, step);

		if (status != DB_OK || step->is_busy)
			return status;
		*step->count += step->taken;
		if (progress != NULL)
			progress(counts);
		if (step->taken == PURGE_BATCH)
			rest_after(clock_monotonic_us() - began_us);
	} while (step->taken == PURGE_BATCH && !is_over(policy));
	return DB_OK;
}

enum db_status sessions_purge(struct db *db, const struct purge_policy *policy, struct purge_counts *counts, bool *busy,
                              void (*progress)(const struct purge_counts *counts))
{
	struct purge_step steps[] = {
		{&sql_purge_sessions, policy->idle_timeout_ms, &counts->sessions, 0, false},
		{&sql_purge_ended_sessions, policy->history_ms, &counts->ended_sessions, 0, false},
		{&sql_purge_events, policy->history_ms, &counts->events, 0, false},
		{&sql_purge_login_tickets, 0, &counts->login_tickets, 0, false},
		{&sql_purge_login_failures, policy->attempts_window_ms, &counts->login_failures, 0, false},
		{&sql_purge_known_browsers, KNOWN_BROWSER_MS, &counts->known_browsers, 0, false},
		{&sql_purge_anonymous_sessions, 0, &counts->anonymous_sessions, 0, false},
		{&sql_purge_signups, 0, &counts->signups, 0, false},
		{&sql_purge_mails, policy->history_ms, &counts->mails, 0, false},
		{&sql_purge_mail_tokens, 0, &counts->mail_tokens, 0, false},
		{&sql_purge_code_tries, CODE_TRIES_MS, &counts->code_tries, 0, false},
		{&sql_purge_mail_domains, 0, &counts->mail_domains, 0, false},
		{&sql_purge_api_answers, API_ANSWERS_MS, &counts->api_answers, 0, false},
	};

	*counts = (struct purge_counts){0};
	*busy = false;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		enum db_status status = run_step(db, policy, &steps[i], counts, progress);

		*busy = steps[i].is_busy;
		if (status != DB_OK || *busy)
			return status;
	}
	return erasure_run_due(db, policy->signals, policy->until_ms, &counts->accounts);
}

/*
 * The rule: one account, one live session. (Or as many as the account's limit says; one is the default.)
 *
 * Who is newer. Every row of `sessions` gets a number from the sequence login_order when it is inserted. A higher
 * number is a newer login, whatever any clock says.
 *
 * Who decides. A row of `logged_in_user` belongs to each account and holds the key of its newest login. Whoever ends
 * or begins a session does it in a transaction that holds this row (change.c), so for one account these
 * transactions run one after another; a login takes its number while it holds the row, so their order is the order of
 * the numbers.
 *
 * rule_login   makes a row in `sessions`, removes the account's other rows beyond the limit, stores the key, commits.
 *              From then on the hook finds no row for an old key: the old device is out at its very next request.
 *
 * rule_check   is the hook, before every request. It reads the session, its account and the stored key in one round
 *              trip and, in judge(), tells one of four things:
 *                GONE    there is no such row, or it has run out: not signed in; ended_sessions tells why;
 *                LIVE    the usual case: nothing is written;
 *                ENDS    as many live sessions as the limit allows are newer, or the account is disabled: it is not
 *                        signed in, and its row is removed;
 *                AHEAD   it is among the newest, but no key or an older one is stored (the row was inserted by
 *                        another program, or the stored one was lost): it is stored, what is beyond the limit ends.
 *              Only the last two write; they do it in settle(), which takes the lock and judges again, because what
 *              was read before the lock may have changed.
 *
 * rule_logout  removes the presented row, and the stored key only where it is the same: what a displaced device does
 *              changes nothing.
 *
 * So an older session can neither displace a newer one (it ENDS) nor outlive it. Rows that are missing are a
 * normal case everywhere. Storing and clearing the key and writing `events` are themselves receivers of the signals.
 */
#include "session/rule.h"

#include "session/events.h"
#include "session/rule_sql.h"

#include <stdio.h>
#include <string.h>

/* A transaction that lost a deadlock is run again; more often than this in a row does not happen by chance. */
#define ATTEMPTS 5

/* An idle_timeout shorter than touch_interval would end sessions that are in use. */
static int64_t touch_ms(const struct rule *rule)
{
	int64_t quarter = rule->policy.idle_timeout / 4;

	return quarter > 0 && quarter < rule->policy.touch_interval ? quarter : rule->policy.touch_interval;
}

/* Run a statement whose parameters are an account and a key. */
static enum db_status query_key(struct db *db, const struct db_statement *statement, int64_t user_id,
                                const struct session_key *key)
{
	const struct db_value values[] = {DB_INT(user_id), DB_BYTES(key->bytes, sizeof key->bytes)};

	return db_query(db, NULL, statement, values, 2, NULL);
}

static bool store_key(const struct ones_event *event, void *context)
{
	const struct ones_transaction *transaction = event->transaction;

	(void)context;
	return query_key(transaction->db, &sql_store_key, event->user_id, transaction->key) == DB_OK;
}

static bool clear_key(const struct ones_event *event, void *context)
{
	const struct ones_transaction *transaction = event->transaction;

	(void)context;
	return query_key(transaction->db, &sql_clear_key, event->user_id, transaction->key) == DB_OK;
}

static bool record_event(const struct ones_event *event, void *context)
{
	char detail[128] = "{}";
	struct event_record record = {
		.name = ones_signal_name(event->signal),
		.user_id = event->user_id,
		.username = event->username,
		.session_id = event->session_id,
		.ip = event->ip,
		.user_agent = event->user_agent,
		.detail = detail,
	};

	(void)context;
	if (event->by_session_id[0] != '\0')
		(void)snprintf(detail, sizeof detail, "{\"by\": \"%s\"}", event->by_session_id);
	else if (event->reason != ONES_LIVE)
		(void)snprintf(detail, sizeof detail, "{\"reason\": \"%s\"}", ones_reason_code(event->reason));
	return events_record(event->transaction->db, &record) == DB_OK;
}

int rule_connect_receivers(struct signals *signals)
{
	const struct ones_receiver store = {.name = "store_key", .phase = ONES_IN_TRANSACTION, .call = store_key};
	const struct ones_receiver clear = {.name = "clear_key", .phase = ONES_IN_TRANSACTION, .call = clear_key};
	const struct ones_receiver record = {
		.name = "record_event", .phase = ONES_IN_TRANSACTION, .call = record_event};

	if (signals_connect(signals, ONES_USER_LOGGED_IN, &store) != 0 ||
	    signals_connect(signals, ONES_USER_LOGGED_OUT, &clear) != 0)
		return -1;
	for (enum ones_signal signal = 0; signal < ONES_SIGNAL_COUNT; signal++) {
		if (signals_connect(signals, signal, &record) != 0)
			return -1;
	}
	return 0;
}

/* ---- The hook ----------------------------------------------------------------------------------------------- */

enum standing { GONE, LIVE, ENDS, AHEAD };

/* Fill in *verdict from sql_check's row and tell where the session stands. */
static enum standing judge(const struct rule *rule, const struct db_result *row, struct rule_verdict *verdict)
{
	int64_t now = db_time(row, 0, CHECK_NOW);
	int64_t idle_us = rule->policy.idle_timeout * 1000;
	struct ones_session *session = &verdict->session;
	int64_t limit, newer;
	int64_t order, stored_order;
	bool is_stored;

	*verdict = (struct rule_verdict){.reason = ONES_UNAUTHENTICATED, .by_user_agent = ""};
	if (db_is_null(row, 0, CHECK_USER_ID)) {
		if (!db_is_null(row, 0, CHECK_ENDED_REASON)) {
			verdict->reason = reason_from_code(db_text(row, 0, CHECK_ENDED_REASON));
			verdict->ended_at = db_time(row, 0, CHECK_ENDED_AT);
			verdict->by_user_agent = db_text(row, 0, CHECK_BY_USER_AGENT);
		}
		return GONE;
	}
	session->id = db_text(row, 0, CHECK_ID);
	session->user.id = db_int(row, 0, CHECK_USER_ID);
	session->user.username = db_text(row, 0, CHECK_USERNAME);
	session->user.is_admin = db_bool(row, 0, CHECK_IS_ADMIN);
	session->created_at = db_time(row, 0, CHECK_CREATED_AT);
	session->last_seen_at = db_time(row, 0, CHECK_LAST_SEEN_AT);
	session->expires_at = db_time(row, 0, CHECK_EXPIRES_AT);
	if (session->expires_at <= now) {
		verdict->reason = ONES_EXPIRED;
		verdict->ended_at = session->expires_at;
		return GONE;
	}
	if (idle_us > 0 && session->last_seen_at <= now - idle_us) {
		verdict->reason = ONES_IDLE;
		verdict->ended_at = session->last_seen_at + idle_us;
		return GONE;
	}
	if (!db_bool(row, 0, CHECK_IS_ACTIVE)) {
		verdict->reason = ONES_DISABLED;
		verdict->ended_at = now;
		return ENDS;
	}
	limit = db_int(row, 0, CHECK_LIMIT);
	newer = db_int(row, 0, CHECK_NEWER);
	order = db_int(row, 0, CHECK_LOGIN_ORDER);
	stored_order = db_is_null(row, 0, CHECK_STORED_ORDER) ? 0 : db_int(row, 0, CHECK_STORED_ORDER);
	is_stored = db_bool(row, 0, CHECK_IS_STORED);
	/* The newest login counts also when its row has gone: with a limit of one it leaves no place. */
	if (!is_stored && stored_order > order && newer == 0)
		newer = 1;
	if (limit > 0 && newer >= limit) {
		verdict->reason = ONES_DISPLACED;
		verdict->ended_at = now;
		return ENDS;
	}
	verdict->live = true;
	verdict->reason = ONES_LIVE;
	verdict->touch_due = session->last_seen_at <= now - 1000 * touch_ms(rule);
	return is_stored || stored_order > order ? LIVE : AHEAD;
}

static enum db_status read_check(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key *key,
                                 struct db_result **row)
{
	const struct db_value values[] = {
		DB_BYTES(key->bytes, sizeof key->bytes),
		DB_INT(rule->policy.max_sessions),
		DB_INT(rule->policy.idle_timeout),
	};

	return db_query(rule->db, ctx, &sql_check, values, sizeof values / sizeof values[0], row);
}

/* One transaction of settle(). */
static enum db_status settle_once(const struct rule *rule, struct change *change, const struct session_key *key,
                                  int64_t user_id, struct rule_verdict *verdict)
{
	struct db_result *row;
	enum standing standing;
	const char *username;
	enum db_status status = db_begin(rule->db);

	if (status == DB_OK)
		status = change_lock_account(change, user_id);
	if (status == DB_OK)
		status = read_check(rule, change->ctx, key, &row);
	if (status != DB_OK)
		return status;
	standing = judge(rule, row, verdict);
	username = verdict->session.user.username;
	if (standing == AHEAD)
		status = query_key(rule->db, &sql_store_key, user_id, key);
	if (status == DB_OK && (standing == AHEAD || (standing == ENDS && verdict->reason == ONES_DISPLACED)))
		status = change_end_beyond_limit(change, user_id, username, db_int(row, 0, CHECK_LIMIT),
		                                 rule->policy.idle_timeout, NULL);
	/* Gone already, unless what is newer is only the stored key, or the account is disabled. */
	if (status == DB_OK && standing == ENDS)
		status = change_end_by_key(change, user_id, username, key, verdict->reason);
	if (status == DB_OK && standing == ENDS)
		status = read_check(rule, change->ctx, key, &row);
	if (status == DB_OK && standing == ENDS)
		(void)judge(rule, row, verdict);
	if (status == DB_OK)
		status = change_release_account(change, user_id);
	return status == DB_OK ? db_commit(rule->db) : status;
}

/* Again when someone else was in the way, or when the outcome got lost: done twice, this has the same result. */
static enum db_status settle(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key *key,
                             const struct client *client, int64_t user_id, struct rule_verdict *verdict)
{
	enum db_status status = DB_CONFLICT;

	for (int attempt = 0; attempt < ATTEMPTS && (status == DB_CONFLICT || status == DB_UNKNOWN); attempt++) {
		struct change change = {.ctx = ctx, .db = rule->db, .signals = rule->signals, .client = *client};

		status = settle_once(rule, &change, key, user_id, verdict);
		if (status == DB_OK)
			change_committed(&change);
		else
			db_rollback(rule->db);
	}
	return status;
}

enum db_status rule_check(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key *key,
                          const struct client *client, struct rule_verdict *verdict)
{
	struct db_result *row;
	enum db_status status = read_check(rule, ctx, key, &row);
	enum standing standing;

	if (status != DB_OK)
		return status;
	standing = judge(rule, row, verdict);
	if (standing == GONE || standing == LIVE)
		return DB_OK;
	return settle(rule, ctx, key, client, verdict->session.user.id, verdict);
}

void rule_touch(const struct rule *rule, const struct session_key *key)
{
	const struct db_value values[] = {DB_BYTES(key->bytes, sizeof key->bytes), DB_INT(touch_ms(rule))};

	(void)db_query(rule->db, NULL, &sql_touch, values, 2, NULL);
}

/* ---- Login -------------------------------------------------------------------------------------------------- */

struct login_attempt {
	const struct rule *rule;
	struct change change;
	const struct user *user;
	const struct session_key *key;
	const struct session_key *presented; /* NULL when the browser's key is nobody's session */
	int64_t presented_user_id;
	const char *presented_username;
	bool is_stale;
};

/* Two browsers that swap accounts at one moment would each hold what the other waits for, but for this order. */
static enum db_status lock_both(const struct change *change, int64_t one, int64_t other)
{
	enum db_status status = change_lock_account(change, one < other ? one : other);

	if (status == DB_OK && one != other)
		status = change_lock_account(change, one < other ? other : one);
	return status;
}

static enum db_status find_presented(struct login_attempt *attempt, const struct session_key *presented)
{
	const struct db_value values[] = {DB_BYTES(presented->bytes, sizeof presented->bytes)};
	struct db_result *owner;
	enum db_status status = db_query(attempt->rule->db, attempt->change.ctx, &sql_session_owner, values, 1, &owner);

	if (status == DB_OK && db_rows(owner) == 1) {
		attempt->presented = presented;
		attempt->presented_user_id = db_int(owner, 0, 0);
		attempt->presented_username = db_text(owner, 0, 1);
	}
	return status;
}

/* The browser gets a new key: its old session ends. Of the same account that is a rotation, of which nobody is told. */
static enum db_status end_presented(struct login_attempt *attempt)
{
	const struct db_value values[] = {
		DB_INT(attempt->presented_user_id),
		DB_BYTES(attempt->presented->bytes, sizeof attempt->presented->bytes),
		DB_TEXT(ones_reason_code(ONES_LOGGED_OUT)),
	};

	if (attempt->presented_user_id == attempt->user->id)
		return db_query(attempt->rule->db, NULL, &sql_end_by_key, values, 3, NULL);
	return change_end_by_key(&attempt->change, attempt->presented_user_id, attempt->presented_username,
	                         attempt->presented, ONES_LOGGED_OUT);
}

static enum db_status insert_session(struct login_attempt *attempt, struct ones_session *session)
{
	const struct rule *rule = attempt->rule;
	const struct client *client = &attempt->change.client;
	const struct db_value values[] = {
		DB_BYTES(attempt->key->bytes, sizeof attempt->key->bytes),
		DB_INT(attempt->user->id),
		DB_INT(rule->policy.lifetime),
		client->ip != NULL && client->ip[0] != '\0' ? DB_TEXT(client->ip) : DB_NULL,
		DB_TEXT(client->user_agent != NULL ? client->user_agent : ""),
	};
	struct db_result *row;
	enum db_status status = db_query(rule->db, attempt->change.ctx, &sql_insert_session, values, 5, &row);

	if (status != DB_OK)
		return status;
	*session = (struct ones_session){
		.id = db_text(row, 0, 0),
		.created_at = db_time(row, 0, 1),
		.last_seen_at = db_time(row, 0, 2),
		.expires_at = db_time(row, 0, 3),
		.user = {.id = attempt->user->id,
	                 .username = attempt->user->username,
	                 .is_admin = attempt->user->is_admin},
	};
	return DB_OK;
}

static enum db_status login_once(struct login_attempt *attempt, struct rule_login *login)
{
	const struct rule *rule = attempt->rule;
	const struct user *user = attempt->user;
	const struct db_value recheck[] = {DB_INT(user->id), DB_TEXT(user->password)};
	struct db_result *account;
	int64_t limit;
	enum db_status status = db_begin(rule->db);

	if (status == DB_OK)
		status = db_query(rule->db, attempt->change.ctx, &sql_recheck_account, recheck, 2, &account);
	if (status != DB_OK)
		return status;
	if (db_rows(account) == 0) {
		attempt->is_stale = true;
		return DB_ERROR;
	}
	limit = db_int(account, 0, 0);
	if (limit < 0)
		limit = rule->policy.max_sessions;
	status = lock_both(&attempt->change, user->id,
	                   attempt->presented != NULL ? attempt->presented_user_id : user->id);
	if (status == DB_OK && attempt->presented != NULL)
		status = end_presented(attempt);
	if (status == DB_OK)
		status = insert_session(attempt, &login->session);
	if (status == DB_OK)
		status = change_tell(&attempt->change, attempt->key,
		                     (struct ones_event){.signal = ONES_USER_LOGGED_IN,
		                                         .user_id = user->id,
		                                         .username = user->username,
		                                         .session_id = login->session.id,
		                                         .by_session_id = ""});
	if (status == DB_OK)
		status = change_end_beyond_limit(&attempt->change, user->id, user->username, limit,
		                                 rule->policy.idle_timeout, &login->displaced);
	if (status == DB_OK && attempt->presented != NULL && attempt->presented_user_id != user->id)
		status = change_release_account(&attempt->change, attempt->presented_user_id);
	return status == DB_OK ? db_commit(rule->db) : status;
}

/*
 * The connection was lost while the server had our COMMIT. Whoever gets the account's lock knows that the lost
 * transaction has ended one way or the other: then the key tells which.
 */
static enum db_status read_outcome(const struct rule *rule, TALLOC_CTX *ctx, int64_t user_id,
                                   const struct session_key *key)
{
	const struct db_value values[] = {DB_BYTES(key->bytes, sizeof key->bytes)};
	struct db_result *row = NULL;
	const struct change change = {.ctx = ctx, .db = rule->db};
	bool committed;
	enum db_status status = db_connect(rule->db);

	if (status == DB_OK)
		status = db_begin(rule->db);
	if (status == DB_OK)
		status = change_lock_account(&change, user_id);
	if (status == DB_OK)
		status = db_query(rule->db, ctx, &sql_session_exists, values, 1, &row);
	committed = status == DB_OK && db_bool(row, 0, 0);
	db_rollback(rule->db);
	if (status != DB_OK)
		return status;
	return committed ? DB_OK : DB_CONFLICT;
}

enum rule_login_result rule_login(const struct rule *rule, TALLOC_CTX *ctx, const struct user *user,
                                  const struct session_key *key, const struct session_key *presented,
                                  const struct client *client, struct rule_login *login)
{
	enum db_status status = DB_CONFLICT;

	for (int i = 0; i < ATTEMPTS && status == DB_CONFLICT; i++) {
		struct login_attempt attempt = {
			.rule = rule,
			.change = {.ctx = ctx, .db = rule->db, .signals = rule->signals, .client = *client},
			.user = user,
			.key = key,
		};

		*login = (struct rule_login){0};
		status = presented != NULL ? find_presented(&attempt, presented) : DB_OK;
		if (status == DB_OK)
			status = login_once(&attempt, login);
		if (status == DB_UNKNOWN)
			status = read_outcome(rule, ctx, user->id, key);
		if (status == DB_OK) {
			change_committed(&attempt.change);
			return RULE_LOGIN_OK;
		}
		db_rollback(rule->db);
		if (attempt.is_stale)
			return RULE_LOGIN_STALE;
		if (!db_is_connected(rule->db))
			return RULE_LOGIN_UNAVAILABLE;
	}
	return status == DB_UNAVAILABLE || status == DB_CONFLICT ? RULE_LOGIN_UNAVAILABLE : RULE_LOGIN_FAILED;
}

enum db_status rule_login_failed(const struct rule *rule, TALLOC_CTX *ctx, const struct user *user,
                                 const struct client *client)
{
	struct change change = {.ctx = ctx, .db = rule->db, .signals = rule->signals, .client = *client};
	enum db_status status = db_begin(rule->db);

	if (status == DB_OK)
		status = change_tell(&change, NULL,
		                     (struct ones_event){.signal = ONES_USER_LOGIN_FAILED,
		                                         .user_id = user != NULL ? user->id : 0,
		                                         .username = user != NULL ? user->username : "",
		                                         .session_id = "",
		                                         .by_session_id = ""});
	if (status == DB_OK)
		status = db_commit(rule->db);
	if (status == DB_OK)
		change_committed(&change);
	else
		db_rollback(rule->db);
	return status;
}

/* ---- Logout ----------------------------------------------------------------------------------------------- */

static enum db_status logout_once(struct change *change, const struct session_key *key)
{
	struct db *db = change->db;
	const struct db_value values[] = {DB_BYTES(key->bytes, sizeof key->bytes)};
	struct db_result *owner;
	int64_t user_id;
	enum db_status status = db_query(db, change->ctx, &sql_session_owner, values, 1, &owner);

	if (status != DB_OK || db_rows(owner) == 0)
		return status;
	user_id = db_int(owner, 0, 0);
	status = db_begin(db);
	if (status == DB_OK)
		status = change_lock_account(change, user_id);
	if (status == DB_OK)
		status = change_end_by_key(change, user_id, db_text(owner, 0, 1), key, ONES_LOGGED_OUT);
	if (status == DB_OK)
		status = change_release_account(change, user_id);
	return status == DB_OK ? db_commit(db) : status;
}

enum db_status rule_logout(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key *key,
                           const struct client *client)
{
	enum db_status status = DB_CONFLICT;

	for (int attempt = 0; attempt < ATTEMPTS && (status == DB_CONFLICT || status == DB_UNKNOWN); attempt++) {
		struct change change = {.ctx = ctx, .db = rule->db, .signals = rule->signals, .client = *client};

		status = logout_once(&change, key);
		if (status == DB_OK)
			change_committed(&change);
		else
			db_rollback(rule->db);
	}
	return status;
}

/*
 * The rule: one account, one live session. (Or as many as the account's limit says; one is the default.)
 *
 * Who is newer. Every row of `sessions` gets a number from the sequence login_order when it is inserted, by a trigger
 * that takes none which is not above all numbers of the account (schema/0003_sequences.sql): the sequence may be behind
 * the rows. A higher number is a newer login, whatever any clock says.
 *
 * Who decides. A row of `logged_in_user` belongs to each account and holds the key of its newest login. Whoever ends
 * or begins a session does it in a transaction that holds this row (change.c), so for one account these
 * transactions run one after another; a login takes its number while it holds the row, so their order is the order of
 * the numbers.
 *
 * rule_login   makes a row in `sessions`, removes the account's other rows beyond the limit, stores the key, commits.
 *              From then on the hook finds no row for an old key: the old device is out at its very next request.
 *              Before it displaces anybody it asks the policy (session.on_limit, sharing.action), which may refuse;
 *              a browser whose own live session it takes the place of displaces nobody and is not asked. Its own is
 *              one whose key it presents, or the device cookie that was given together with that very key, or that
 *              was made by the form which it has sent once more: browsers lose keys, and people click twice.
 *              Were its row not the newest, the login would fail: nobody is told to be signed in who is not. What
 *              another program inserts after that is a later login, and none of this one's business.
 *
 * rule_read,   the hook, before every request. The first reads the session, its account and the stored key in one
 * rule_check   round trip, for as many requests as are there at that moment. The second, in judge(), tells one of four
 *              things of each:
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
 * A change of password is a login of a browser that is signed in, which leaves no other session.
 *
 * So an older session can neither displace a newer one (it ENDS) nor outlive it. Rows that are missing are a
 * normal case everywhere. Storing and clearing the key and writing `events` are themselves receivers of the signals.
 */
#include "session/rule.h"

#include "base/log.h"
#include "session/events.h"
#include "session/reason.h"
#include "session/rule_sql.h"
#include "session/tickets.h"
#include "session/useragent.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

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

/* What else there is to an event, beside its columns; a new reference, NULL when out of memory. */
static json_t *event_detail(const struct ones_event *event)
{
	const char *reason = ones_reason_code(event->reason);

	if (event->takeovers > 0)
		return json_pack("{s:I}", "takeovers", (json_int_t)event->takeovers);
	if (event->reason == ONES_DISPLACED)
		return json_pack("{s:s, s:{s:s, s:s, s:s}}", "by", event->by_session_id, "was", "ip", event->was_ip,
		                 "browser", useragent_browser(event->was_user_agent), "os",
		                 useragent_os(event->was_user_agent));
	if (event->by_session_id[0] != '\0')
		return json_pack("{s:s, s:s}", "reason", reason, "by", event->by_session_id);
	return event->reason != ONES_LIVE ? json_pack("{s:s}", "reason", reason) : json_object();
}

static bool record_event(const struct ones_event *event, void *context)
{
	json_t *detail = event_detail(event);
	char *text = detail != NULL ? json_dumps(detail, JSON_COMPACT) : NULL;
	const struct event_record record = {
		.name = ones_signal_name(event->signal),
		.user_id = event->user_id,
		.username = event->username,
		.session_id = event->session_id,
		.ip = event->ip,
		.user_agent = event->user_agent,
		.detail = text,
	};
	bool is_recorded = text != NULL && events_record(event->transaction->db, &record) == DB_OK;

	(void)context;
	free(text);
	json_decref(detail);
	return is_recorded;
}

int rule_connect_receivers(struct signals *signals)
{
	const struct ones_receiver store = {.name = "store_key", .phase = ONES_IN_TRANSACTION, .call = store_key};
	const struct ones_receiver clear = {.name = "clear_key", .phase = ONES_IN_TRANSACTION, .call = clear_key};
	const struct ones_receiver record = {
		.name = "record_event", .phase = ONES_IN_TRANSACTION, .call = record_event};

	if (signals_connect(signals, ONES_USER_LOGGED_IN, &store) != 0 ||
	    signals_connect(signals, ONES_PASSWORD_CHANGED_SIGNAL, &store) != 0 ||
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

struct rule_reading {
	struct db_result *rows;
	struct session_key keys[RULE_KEYS_MAX];
	size_t row_of[RULE_KEYS_MAX];
};

/* Fill in *verdict from sql_check's row and tell where the session stands. */
static enum standing judge(const struct rule *rule, const struct rule_reading *reading, size_t which,
                           struct rule_verdict *verdict)
{
	const struct db_result *rows = reading->rows;
	size_t row = reading->row_of[which];
	int64_t now = db_time(rows, row, CHECK_NOW);
	int64_t idle_us = rule->policy.idle_timeout * 1000;
	struct ones_session *session = &verdict->session;
	int64_t limit, newer;
	int64_t order, stored_order;
	bool is_stored;

	*verdict = (struct rule_verdict){.reason = ONES_UNAUTHENTICATED};
	/* Or there is a row, but not its account, as after replication of the one table alone. */
	if (db_is_null(rows, row, CHECK_USER_ID) || db_is_null(rows, row, CHECK_USERNAME)) {
		if (!db_is_null(rows, row, CHECK_ENDED_REASON)) {
			verdict->reason = reason_from_code(db_text(rows, row, CHECK_ENDED_REASON));
			verdict->ended_at = db_time(rows, row, CHECK_ENDED_AT);
			verdict->by_user_agent = db_text(rows, row, CHECK_BY_USER_AGENT);
			verdict->by_ip = db_text(rows, row, CHECK_BY_IP);
			verdict->user_agent = db_text(rows, row, CHECK_ENDED_USER_AGENT);
			verdict->ip = db_text(rows, row, CHECK_ENDED_IP);
		}
		return GONE;
	}
	session->id = db_text(rows, row, CHECK_ID);
	session->user.id = db_int(rows, row, CHECK_USER_ID);
	session->user.username = db_text(rows, row, CHECK_USERNAME);
	session->user.is_admin = db_bool(rows, row, CHECK_IS_ADMIN);
	session->created_at = db_time(rows, row, CHECK_CREATED_AT);
	session->last_seen_at = db_time(rows, row, CHECK_LAST_SEEN_AT);
	session->expires_at = db_time(rows, row, CHECK_EXPIRES_AT);
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
	if (!db_bool(rows, row, CHECK_IS_ACTIVE)) {
		verdict->reason = ONES_DISABLED;
		verdict->ended_at = now;
		return ENDS;
	}
	limit = db_int(rows, row, CHECK_LIMIT);
	newer = db_int(rows, row, CHECK_NEWER);
	order = db_int(rows, row, CHECK_LOGIN_ORDER);
	stored_order = db_is_null(rows, row, CHECK_STORED_ORDER) ? 0 : db_int(rows, row, CHECK_STORED_ORDER);
	is_stored = db_bool(rows, row, CHECK_IS_STORED);
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

#define CHECK_VALUES(rule, keys, count)                                                                                \
	{                                                                                                              \
		DB_BYTES_LIST(keys, sizeof(struct session_key), count), DB_INT((rule)->policy.max_sessions),           \
			DB_INT((rule)->policy.idle_timeout),                                                           \
	}
#define CHECK_VALUE_COUNT 3

/* Takes over `rows`. */
static enum db_status begin_reading(TALLOC_CTX *ctx, struct db_result *rows, const struct session_key keys[],
                                    size_t count, struct rule_reading **reading)
{
	struct rule_reading *made = talloc(ctx, struct rule_reading);

	if (made == NULL) {
		talloc_free(rows);
		return DB_ERROR;
	}
	if (db_rows(rows) != count)
		abort();
	made->rows = talloc_steal(made, rows);
	memcpy(made->keys, keys, count * sizeof keys[0]);
	for (size_t row = 0; row < count; row++)
		made->row_of[db_int(rows, row, CHECK_NUMBER) - 1] = row;
	*reading = made;
	return DB_OK;
}

enum db_status rule_read(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key keys[], size_t count,
                         struct rule_reading **reading)
{
	const struct db_value values[] = CHECK_VALUES(rule, keys, count);
	struct db_result *rows;
	enum db_status status = db_query(rule->db, ctx, &sql_check, values, CHECK_VALUE_COUNT, &rows);

	return status == DB_OK ? begin_reading(ctx, rows, keys, count, reading) : status;
}

void rule_start_reading(const struct rule *rule, const struct session_key keys[], size_t count)
{
	const struct db_value values[] = CHECK_VALUES(rule, keys, count);

	db_start(rule->db, &sql_check, values, CHECK_VALUE_COUNT);
}

enum db_status rule_finish_reading(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key keys[],
                                   size_t count, struct rule_reading **reading)
{
	struct db_result *rows;
	enum db_status status = db_finish(rule->db, ctx, &rows);

	return status == DB_OK ? begin_reading(ctx, rows, keys, count, reading) : status;
}

struct settling {
	const struct rule *rule;
	const struct session_key *key;
	int64_t user_id;
	struct rule_verdict *verdict;
};

/* Under the lock, judge again and do what follows from it. */
static enum db_status settle(struct change *change, void *context)
{
	const struct settling *settling = context;
	const struct rule *rule = settling->rule;
	int64_t user_id = settling->user_id;
	struct rule_verdict *verdict = settling->verdict;
	enum standing standing = GONE;
	struct place_list displaced = {0};
	struct rule_reading *reading;
	enum db_status status = change_lock_account(change, user_id);

	if (status == DB_OK)
		status = rule_read(rule, change->ctx, settling->key, 1, &reading);
	if (status == DB_OK)
		standing = judge(rule, reading, 0, verdict);
	if (status == DB_OK && standing == AHEAD)
		status = query_key(rule->db, &sql_store_key, user_id, settling->key);
	if (status == DB_OK && (standing == AHEAD || (standing == ENDS && verdict->reason == ONES_DISPLACED)))
		status = change_end_beyond_limit(change, user_id, verdict->session.user.username,
		                                 db_int(reading->rows, 0, CHECK_LIMIT), rule->policy.idle_timeout, NULL,
		                                 &displaced);
	if (status == DB_OK && standing == AHEAD && displaced.count > 0)
		status = sharing_count(change, &rule->policy.sharing, user_id, verdict->session.user.username,
		                       verdict->session.id);
	if (status == DB_OK && standing == ENDS) {
		/* Gone already, unless what is newer is only the stored key, or the account is disabled. */
		status = change_end_by_key(change, user_id, verdict->session.user.username, settling->key,
		                           verdict->reason);
		if (status == DB_OK)
			status = rule_read(rule, change->ctx, settling->key, 1, &reading);
		if (status == DB_OK)
			(void)judge(rule, reading, 0, verdict);
	}
	return status == DB_OK ? change_release_account(change, user_id) : status;
}

static bool is_settled(enum standing standing)
{
	return standing == GONE || standing == LIVE;
}

bool rule_is_settled(const struct rule *rule, const struct rule_reading *reading, size_t which)
{
	struct rule_verdict verdict;

	return is_settled(judge(rule, reading, which, &verdict));
}

bool rule_is_known(const struct rule_reading *reading, size_t which)
{
	size_t row = reading->row_of[which];

	return !db_is_null(reading->rows, row, CHECK_ID) || !db_is_null(reading->rows, row, CHECK_ENDED_REASON);
}

bool rule_may_be_live(const struct rule *rule, const struct rule_reading *reading, size_t which)
{
	struct rule_verdict verdict;
	enum standing standing = judge(rule, reading, which, &verdict);

	return standing == LIVE || standing == AHEAD;
}

enum db_status rule_check(const struct rule *rule, TALLOC_CTX *ctx, const struct rule_reading *reading, size_t which,
                          const struct client *client, struct rule_verdict *verdict)
{
	struct change change = {.ctx = ctx, .db = rule->db, .signals = rule->signals, .client = *client};
	struct settling settling = {.rule = rule, .key = &reading->keys[which], .verdict = verdict};

	if (is_settled(judge(rule, reading, which, verdict)))
		return DB_OK;
	settling.user_id = verdict->session.user.id;
	return change_run_idempotent(&change, settle, &settling);
}

void rule_start_touch(const struct rule *rule, const struct session_key keys[], size_t count)
{
	const struct db_value values[] = {DB_BYTES_LIST(keys, sizeof keys[0], count), DB_INT(touch_ms(rule))};

	db_start(rule->db, &sql_touch, values, 2);
}

/* ---- Login -------------------------------------------------------------------------------------------------- */

/* How often the end of a lost commit is asked for: whoever ends the connections may end a few. */
#define OUTCOME_ATTEMPTS 3

struct login_attempt {
	const struct rule *rule;
	const struct rule_order *order;
	const struct session_key *presented; /* NULL when the browser's key is nobody's session */
	int64_t presented_user_id;
	const char *presented_username;
	const struct db_result *own; /* the account's live sessions in this browser, OWN_*: their place is taken */
	struct rule_login *login;
	enum rule_login_result refusal; /* why it was given up; RULE_LOGIN_OK: for another reason, or not */
};

static enum db_status refuse(struct login_attempt *attempt, enum rule_login_result refusal)
{
	attempt->refusal = refusal;
	return DB_ERROR;
}

/* Two browsers that swap accounts at one moment would each hold what the other waits for, but for this order. */
static enum db_status lock_both(const struct change *change, int64_t one, int64_t other)
{
	enum db_status status = change_lock_account(change, one < other ? one : other);

	if (status == DB_OK && one != other)
		status = change_lock_account(change, one < other ? other : one);
	return status;
}

/* Whose is the key that the browser holds now? When it is nobody's, there is nothing to end. */
static enum db_status find_presented(struct login_attempt *attempt, TALLOC_CTX *ctx)
{
	struct db_result *owner;
	struct db_value values[1];
	enum db_status status;

	attempt->presented = attempt->order->presented;
	if (attempt->presented == NULL)
		return DB_OK;
	values[0] = DB_BYTES(attempt->presented->bytes, sizeof attempt->presented->bytes);
	status = db_query(attempt->rule->db, ctx, &sql_session_owner, values, 1, &owner);
	if (status != DB_OK)
		return status;
	if (db_rows(owner) == 0) {
		attempt->presented = NULL;
		return DB_OK;
	}
	attempt->presented_user_id = db_int(owner, 0, 0);
	attempt->presented_username = db_text(owner, 0, 1);
	return DB_OK;
}

static struct db_value key_value(const struct session_key *key)
{
	return key != NULL ? DB_BYTES(key->bytes, sizeof key->bytes) : DB_NULL;
}

/* False for NULL. */
static bool read_key(const struct db_result *rows, size_t row, int column, struct session_key *key)
{
	size_t size;
	const uint8_t *bytes = db_bytes(rows, row, column, &size);

	if (size != sizeof key->bytes)
		return false;
	memcpy(key->bytes, bytes, sizeof key->bytes);
	return true;
}

/* Which live sessions of the account are this browser's own? A new password is for the one that it presents. */
static enum db_status find_own(struct login_attempt *attempt, const struct change *change)
{
	const struct rule_order *order = attempt->order;
	const struct db_value values[] = {
		DB_INT(order->user->id),
		key_value(attempt->presented),
		key_value(order->presented_device),
		key_value(order->form),
		DB_INT(attempt->rule->policy.idle_timeout),
		client_ip(&change->client),
		DB_TEXT(change->client.user_agent != NULL ? change->client.user_agent : ""),
	};
	struct rule_login *login = attempt->login;
	struct db_result *rows = NULL;
	enum db_status status = DB_OK;

	if (attempt->presented != NULL || order->presented_device != NULL || order->form != NULL)
		status = db_query(change->db, change->ctx, &sql_own_sessions, values, 7, &rows);
	if (status != DB_OK || rows == NULL || db_rows(rows) == 0)
		return status;
	attempt->own = rows;
	login->has_former_device = read_key(rows, 0, OWN_DEVICE, &login->former_device);
	return DB_OK;
}

static bool is_rotation(const struct login_attempt *attempt)
{
	return attempt->own != NULL;
}

/* The form has made a session already, which is live: it is the same login. */
static bool is_repetition(const struct login_attempt *attempt)
{
	for (size_t row = 0; attempt->own != NULL && row < db_rows(attempt->own); row++) {
		if (db_bool(attempt->own, row, OWN_IS_OF_FORM))
			return true;
	}
	return false;
}

/* A login from elsewhere: may it displace who is in the way? */
static enum db_status ask_policy(struct login_attempt *attempt, const struct change *change, int64_t limit)
{
	const struct rule_policy *policy = &attempt->rule->policy;
	const struct db_value values[] = {DB_INT(attempt->order->user->id), DB_INT(policy->idle_timeout),
	                                  DB_INT(limit)};
	struct db_result *rows;
	enum db_status status;

	if (limit == 0 || (policy->on_limit == ON_LIMIT_DISPLACE && policy->sharing.cooldown_ms == 0))
		return DB_OK;
	status = db_query(change->db, change->ctx, &sql_in_the_way, values, 3, &rows);
	if (status != DB_OK || db_rows(rows) == 0)
		return status;
	status = places_from_rows(change->ctx, rows, &attempt->login->in_the_way);
	if (status == DB_OK && policy->on_limit == ON_LIMIT_REFUSE)
		return refuse(attempt, RULE_LOGIN_LIMIT);
	if (status == DB_OK)
		status = sharing_wait(change, &policy->sharing, attempt->order->user->id, &attempt->login->wait_s);
	if (status == DB_OK && attempt->login->wait_s > 0)
		return refuse(attempt, RULE_LOGIN_COOLDOWN);
	if (status == DB_OK && policy->on_limit == ON_LIMIT_ASK && !attempt->order->take_over)
		return refuse(attempt, RULE_LOGIN_LIMIT);
	return status;
}

static enum db_status use_ticket(struct login_attempt *attempt, const struct change *change)
{
	bool was_there;
	enum db_status status;

	if (attempt->order->ticket == NULL || is_repetition(attempt))
		return DB_OK;
	status = tickets_use(change->db, change->ctx, attempt->order->ticket, &was_there);
	return status == DB_OK && !was_there ? refuse(attempt, RULE_LOGIN_TICKET_GONE) : status;
}

/*
 * The browser gets a new key under which it is the same person's session: no signal, for nobody has signed out. But who
 * knows the old session by its id, such as the sender of a video, has to hear that it is no more.
 */
static enum db_status record_replaced(const struct login_attempt *attempt, const struct change *change,
                                      const struct db_result *ended)
{
	const struct event_record record = {
		.name = "session_replaced",
		.user_id = attempt->order->user->id,
		.username = attempt->order->user->username,
		.session_id = db_text(ended, 0, ENDED_ID),
		.ip = change->client.ip,
		.user_agent = change->client.user_agent,
		.detail = talloc_asprintf(change->ctx, "{\"by\": \"%s\"}", attempt->login->session.id),
	};

	return record.detail != NULL ? events_record(change->db, &record) : DB_ERROR;
}

/* The browser gets a new key: its old session of the same account ends. */
static enum db_status replace(const struct login_attempt *attempt, const struct change *change,
                              const struct session_key *key)
{
	enum ones_reason reason = attempt->order->new_password_hash != NULL ? ONES_PASSWORD_CHANGED : ONES_LOGGED_OUT;
	const struct db_value values[] = {
		DB_INT(attempt->order->user->id),
		key_value(key),
		DB_TEXT(ones_reason_code(reason)),
		key_value(reason == ONES_LOGGED_OUT ? attempt->order->key : NULL),
	};
	struct db_result *ended;
	enum db_status status = db_query(change->db, change->ctx, &sql_end_by_key, values, 4, &ended);

	return status == DB_OK && db_rows(ended) > 0 ? record_replaced(attempt, change, ended) : status;
}

/* What the browser presents ends, also when it is another account's or has run out; so do its own that it has lost. */
static enum db_status end_former(const struct login_attempt *attempt, struct change *change)
{
	const struct session_key *presented = attempt->presented;
	enum db_status status = DB_OK;

	if (presented != NULL && attempt->presented_user_id != attempt->order->user->id)
		status = change_end_by_key(change, attempt->presented_user_id, attempt->presented_username, presented,
		                           ONES_LOGGED_OUT);
	else if (presented != NULL)
		status = replace(attempt, change, presented);
	for (size_t row = 0; attempt->own != NULL && status == DB_OK && row < db_rows(attempt->own); row++) {
		struct session_key key;

		if (db_bool(attempt->own, row, OWN_IS_PRESENTED))
			continue;
		status = read_key(attempt->own, row, OWN_KEY, &key) ? replace(attempt, change, &key) : DB_ERROR;
	}
	return status;
}

static enum db_status insert_session(const struct login_attempt *attempt, const struct change *change,
                                     struct ones_session *session)
{
	const struct client *client = &change->client;
	const struct user *user = attempt->order->user;
	struct session_key former;
	bool has_former = is_rotation(attempt) && read_key(attempt->own, 0, OWN_KEY, &former);
	const struct db_value values[] = {
		key_value(attempt->order->key),
		DB_INT(user->id),
		DB_INT(attempt->rule->policy.lifetime),
		client_ip(client),
		DB_TEXT(client->user_agent != NULL ? client->user_agent : ""),
		key_value(attempt->order->presented),
		key_value(has_former ? &former : NULL),
		key_value(attempt->order->device),
		key_value(attempt->order->form),
	};
	struct db_result *row;
	enum db_status status = db_query(change->db, change->ctx, &sql_insert_session, values, 9, &row);

	if (status != DB_OK)
		return status;
	if (!db_bool(row, 0, 4)) {
		log_error("login_not_the_newest", LOG_INT("user_id", user->id),
		          LOG_STR("hint", "sessions.login_order is below that of an older session: look at the trigger "
		                          "number_login"));
		return DB_ERROR;
	}
	*session = (struct ones_session){
		.id = db_text(row, 0, 0),
		.user = {.id = user->id, .username = user->username, .is_admin = user->is_admin},
		.created_at = db_time(row, 0, 1),
		.last_seen_at = db_time(row, 0, 2),
		.expires_at = db_time(row, 0, 3),
	};
	return DB_OK;
}

/*
 * May this account still sign in with that password, which is changed now if that is what was ordered? *limit is how
 * many sessions it may have, 0 for any number.
 */
static enum db_status recheck_account(struct login_attempt *attempt, const struct change *change, int64_t *limit)
{
	const char *new_hash = attempt->order->new_password_hash;
	const struct db_value values[] = {DB_INT(attempt->order->user->id), DB_TEXT(attempt->order->user->password),
	                                  DB_TEXT(new_hash)};
	struct db_result *account;
	enum db_status status = new_hash != NULL
	                                ? db_query(change->db, change->ctx, &sql_change_password, values, 3, &account)
	                                : db_query(change->db, change->ctx, &sql_recheck_account, values, 2, &account);

	if (status != DB_OK)
		return status;
	if (db_rows(account) == 0)
		return refuse(attempt, RULE_LOGIN_STALE);
	*limit = db_int(account, 0, 0);
	if (*limit < 0)
		*limit = attempt->rule->policy.max_sessions;
	return DB_OK;
}

/* The others end: for a new password all of them, else those beyond the limit. */
static enum db_status end_others(struct login_attempt *attempt, struct change *change, int64_t limit)
{
	const struct user *user = attempt->order->user;
	struct rule_login *login = attempt->login;
	size_t ended = 0;
	enum db_status status;

	if (attempt->order->new_password_hash != NULL)
		return change_end_by_id(change, user->id, user->username, NULL, attempt->order->key,
		                        ONES_PASSWORD_CHANGED, &ended);
	status = change_end_beyond_limit(change, user->id, user->username, limit, attempt->rule->policy.idle_timeout,
	                                 attempt->order->key, &login->displaced);
	if (status == DB_OK && login->displaced.count > 0 && !is_rotation(attempt))
		status = sharing_count(change, &attempt->rule->policy.sharing, user->id, user->username,
		                       login->session.id);
	return status;
}

static enum db_status log_in(struct change *change, void *context)
{
	struct login_attempt *attempt = context;
	const struct user *user = attempt->order->user;
	bool changes_password = attempt->order->new_password_hash != NULL;
	int64_t limit = 0;
	bool is_other;
	enum db_status status;

	*attempt->login = (struct rule_login){0};
	attempt->own = NULL;
	attempt->refusal = RULE_LOGIN_OK;
	status = recheck_account(attempt, change, &limit);
	if (status == DB_OK)
		status = find_presented(attempt, change->ctx);
	is_other = attempt->presented != NULL && attempt->presented_user_id != user->id;
	if (status == DB_OK)
		status = lock_both(change, user->id, is_other ? attempt->presented_user_id : user->id);
	if (status == DB_OK)
		status = find_own(attempt, change);
	if (status == DB_OK && changes_password && !is_rotation(attempt))
		status = refuse(attempt, RULE_LOGIN_ENDED);
	if (status == DB_OK && !is_rotation(attempt))
		status = ask_policy(attempt, change, limit);
	if (status == DB_OK)
		status = use_ticket(attempt, change);
	if (status == DB_OK)
		status = insert_session(attempt, change, &attempt->login->session);
	if (status == DB_OK)
		status = end_former(attempt, change);
	if (status == DB_OK)
		status = change_tell(change, attempt->order->key,
		                     (struct ones_event){.signal = changes_password ? ONES_PASSWORD_CHANGED_SIGNAL
		                                                                    : ONES_USER_LOGGED_IN,
		                                         .user_id = user->id,
		                                         .username = user->username,
		                                         .session_id = attempt->login->session.id,
		                                         .by_session_id = ""});
	if (status == DB_OK)
		status = end_others(attempt, change, limit);
	return status == DB_OK && is_other ? change_release_account(change, attempt->presented_user_id) : status;
}

/*
 * The connection was lost while the server had our COMMIT. Whoever gets the account's lock knows that the lost
 * transaction has ended one way or the other: then the key tells which, and our own commit that it will last.
 */
static enum db_status read_outcome(const struct rule *rule, TALLOC_CTX *ctx, int64_t user_id,
                                   const struct session_key *key, bool *committed)
{
	const struct db_value values[] = {DB_BYTES(key->bytes, sizeof key->bytes)};
	struct db_result *row = NULL;
	const struct change change = {.ctx = ctx, .db = rule->db};
	enum db_status status = db_reconnect(rule->db);

	if (status == DB_OK)
		status = db_begin(rule->db);
	if (status == DB_OK)
		status = change_lock_account(&change, user_id);
	if (status == DB_OK)
		status = db_query(rule->db, ctx, &sql_session_exists, values, 1, &row);
	if (status == DB_OK) {
		*committed = db_bool(row, 0, 0);
		status = change_release_account(&change, user_id);
	}
	if (status == DB_OK)
		status = change_confirm(&change);
	if (status == DB_OK)
		status = db_commit(rule->db);
	if (status != DB_OK)
		db_rollback(rule->db);
	return status;
}

static enum db_status read_outcome_at_last(const struct rule *rule, TALLOC_CTX *ctx, int64_t user_id,
                                           const struct session_key *key, bool *committed)
{
	enum db_status status = DB_UNKNOWN;

	for (int attempt = 0; attempt < OUTCOME_ATTEMPTS && (status == DB_UNKNOWN || status == DB_CONFLICT); attempt++)
		status = read_outcome(rule, ctx, user_id, key, committed);
	return status;
}

enum rule_login_result rule_login(const struct rule *rule, TALLOC_CTX *ctx, const struct rule_order *order,
                                  const struct client *client, struct rule_login *login)
{
	struct change change = {.ctx = ctx, .db = rule->db, .signals = rule->signals, .client = *client};
	struct login_attempt attempt = {.rule = rule, .order = order, .login = login};
	bool committed = false;
	enum db_status status = change_run(&change, log_in, &attempt);

	for (int tries = 0; tries < OUTCOME_ATTEMPTS && status == DB_UNKNOWN; tries++) {
		status = read_outcome_at_last(rule, ctx, order->user->id, order->key, &committed);
		if (status == DB_OK && committed)
			change_committed(&change);
		else if (status == DB_OK)
			status = change_run(&change, log_in, &attempt);
		else
			break;
	}
	if (status == DB_OK)
		return RULE_LOGIN_OK;
	if (attempt.refusal != RULE_LOGIN_OK)
		return attempt.refusal;
	return status == DB_ERROR ? RULE_LOGIN_FAILED : RULE_LOGIN_UNAVAILABLE;
}

static enum db_status tell_failure(struct change *change, void *context)
{
	const struct user *user = context;

	return change_tell(change, NULL,
	                   (struct ones_event){.signal = ONES_USER_LOGIN_FAILED,
	                                       .user_id = user != NULL ? user->id : 0,
	                                       .username = user != NULL ? user->username : "",
	                                       .session_id = "",
	                                       .by_session_id = ""});
}

enum db_status rule_login_failed(const struct rule *rule, TALLOC_CTX *ctx, struct user *user,
                                 const struct client *client)
{
	struct change change = {.ctx = ctx, .db = rule->db, .signals = rule->signals, .client = *client};
	enum db_status status = change_run(&change, tell_failure, user);

	/* Told or not, the login has failed: that the outcome is not known is of no consequence. */
	return status == DB_UNKNOWN ? DB_OK : status;
}

/* ---- Logout ------------------------------------------------------------------------------------------------- */

/* What somebody asks for who presents a key. */
struct ending {
	const struct rule *rule;
	struct session_key presented;
	const char *id; /* of the session that is to end; NULL: its own */
	size_t ended;
};

/*
 * Under the lock: is the presented session live? If so, whatever is beyond the limit beside it ends first. A row that
 * another program had made when a login could not see it yet would come to life when the newer ones are gone.
 */
static enum db_status end_stragglers(const struct ending *ending, struct change *change, int64_t user_id,
                                     const char *username, bool *live)
{
	const struct rule *rule = ending->rule;
	struct place_list displaced = {0};
	struct rule_reading *reading;
	struct rule_verdict verdict;
	enum db_status status = rule_read(rule, change->ctx, &ending->presented, 1, &reading);

	if (status != DB_OK)
		return status;
	(void)judge(rule, reading, 0, &verdict);
	*live = verdict.live;
	if (!verdict.live)
		return DB_OK;
	return change_end_beyond_limit(change, user_id, username, db_int(reading->rows, 0, CHECK_LIMIT),
	                               rule->policy.idle_timeout, NULL, &displaced);
}

static enum db_status end_on_the_word_of(struct change *change, void *context)
{
	struct ending *ending = context;
	const struct db_value values[] = {DB_BYTES(ending->presented.bytes, sizeof ending->presented.bytes)};
	struct db_result *owner;
	const char *username;
	int64_t user_id;
	bool live = false;
	enum db_status status = db_query(change->db, change->ctx, &sql_session_owner, values, 1, &owner);

	if (status != DB_OK || db_rows(owner) == 0)
		return status;
	user_id = db_int(owner, 0, 0);
	username = db_text(owner, 0, 1);
	status = change_lock_account(change, user_id);
	if (status == DB_OK)
		status = end_stragglers(ending, change, user_id, username, &live);
	if (status == DB_OK && ending->id == NULL)
		status = change_end_by_key(change, user_id, username, &ending->presented, ONES_LOGGED_OUT);
	/* What a displaced device does changes nothing. */
	else if (status == DB_OK && live)
		status = change_end_by_id(change, user_id, username, ending->id, &ending->presented, ONES_REVOKED,
		                          &ending->ended);
	return status == DB_OK ? change_release_account(change, user_id) : status;
}

enum db_status rule_logout(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key *key,
                           const struct client *client)
{
	struct change change = {.ctx = ctx, .db = rule->db, .signals = rule->signals, .client = *client};
	struct ending ending = {.rule = rule, .presented = *key};

	return change_run_idempotent(&change, end_on_the_word_of, &ending);
}

enum db_status rule_end_session(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key *presented,
                                const char *id, const struct client *client, bool *ended)
{
	struct change change = {.ctx = ctx, .db = rule->db, .signals = rule->signals, .client = *client};
	struct ending ending = {.rule = rule, .presented = *presented, .id = id};
	enum db_status status = change_run_idempotent(&change, end_on_the_word_of, &ending);

	*ended = ending.ended > 0;
	return status;
}

/* The steps of a login's transaction. Their order, and what a login is, stand in rule.c. */
#include "session/login_steps.h"

#include "base/log.h"
#include "session/browsers.h"
#include "session/events.h"
#include "session/reason.h"
#include "session/rule_sql.h"
#include "session/sharing.h"
#include "session/throttle.h"
#include "session/tickets.h"

#include <string.h>

static enum db_status give_up(struct login_state *state, enum rule_login_result refusal)
{
	state->refusal = refusal;
	return DB_ERROR;
}

static bool is_rotation(const struct login_state *state)
{
	return state->own != NULL;
}

/* The form has made a session already, which is live: it is the same login. */
static bool is_repetition(const struct login_state *state)
{
	for (size_t row = 0; state->own != NULL && row < db_rows(state->own); row++) {
		if (db_bool(state->own, row, OWN_IS_OF_FORM))
			return true;
	}
	return false;
}

static struct db_value key_value(const struct session_key *key)
{
	return key != NULL ? DB_KEY(key) : DB_NULL;
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

enum db_status login_recheck_account(struct login_state *state, struct account_tx *tx)
{
	const struct login_request *request = state->request;
	const char *new_hash = request->new_password_hash;
	const char *verified = request->proof == NULL && !request->is_trusted ? request->user->password : NULL;
	const struct db_value values[] = {DB_INT(request->user->id), DB_TEXT(verified), DB_TEXT(new_hash)};
	struct db_result *account;
	enum db_status status = new_hash != NULL ? db_query(tx->db, tx->ctx, &sql_change_password, values, 3, &account)
	                                         : db_query(tx->db, tx->ctx, &sql_recheck_account, values, 2, &account);

	if (status != DB_OK)
		return status;
	if (db_rows(account) == 0)
		return give_up(state, RULE_LOGIN_STALE);
	state->limit = db_int(account, 0, 0);
	state->login->delete_at = db_time_or_never(account, 0, 1);
	if (state->limit < 0)
		state->limit = state->rule->policy.max_sessions;
	return DB_OK;
}

enum db_status login_use_proof(struct login_state *state, struct account_tx *tx)
{
	const struct login_proof *proof = state->request->proof;
	enum ones_result result;
	enum db_status status;

	if (proof == NULL)
		return DB_OK;
	tx->emission.ctx = tx->ctx;
	status = module_sql_join(proof->db, &tx->emission, proof->use, proof->context, &result);
	if (result == ONES_RESULT_OK)
		return status;
	state->login->unproven = result;
	return give_up(state, RULE_LOGIN_UNPROVEN);
}

enum db_status login_forget_failures(struct login_state *state, struct account_tx *tx)
{
	int64_t user_id = state->request->user->id;
	int64_t failures;
	enum db_status status;

	if (state->request->proof == NULL || state->request->new_password_hash == NULL)
		return DB_OK;
	/* In this order: browsers have failures of their own. */
	status = throttle_forget(tx->db, user_id, &failures);
	return status == DB_OK ? browsers_forget(tx->db, user_id, NULL) : status;
}

/* Which session does the browser's key belong to? Without one, there is nothing to end. */
enum db_status login_find_presented(struct login_state *state, struct account_tx *tx)
{
	struct db_result *owner;
	struct db_value values[1];
	enum db_status status;

	state->presented = state->request->presented;
	if (state->presented == NULL)
		return DB_OK;
	values[0] = DB_KEY(state->presented);
	status = db_query(tx->db, tx->ctx, &sql_session_owner, values, 1, &owner);
	if (status != DB_OK)
		return status;
	if (db_rows(owner) == 0) {
		state->presented = NULL;
		return DB_OK;
	}
	state->presented_user_id = db_int(owner, 0, 0);
	state->presented_username = db_text(owner, 0, 1);
	return DB_OK;
}

/* The presented session is another account's, which has a row of its own to be held. */
static bool presents_other_account(const struct login_state *state)
{
	return state->presented != NULL && state->presented_user_id != state->request->user->id;
}

/* In the order of their ids: two browsers that swap accounts at one moment would deadlock otherwise. */
enum db_status login_lock_accounts(struct login_state *state, struct account_tx *tx)
{
	int64_t one = state->request->user->id;
	int64_t other = presents_other_account(state) ? state->presented_user_id : one;
	enum db_status status = account_tx_lock(tx, one < other ? one : other);

	if (status == DB_OK && one != other)
		status = account_tx_lock(tx, one < other ? other : one);
	return status;
}

/* Which live sessions of the account are this browser's own? A new password is for the one that it presents. */
enum db_status login_find_own(struct login_state *state, struct account_tx *tx)
{
	const struct login_request *request = state->request;
	const struct db_value values[] = {
		DB_INT(request->user->id),
		key_value(state->presented),
		key_value(request->presented_device),
		key_value(request->form),
		DB_INT(state->rule->policy.idle_timeout),
		client_ip(&tx->client),
		DB_TEXT(tx->client.user_agent != NULL ? tx->client.user_agent : ""),
	};
	struct rule_login *login = state->login;
	struct db_result *rows = NULL;
	enum db_status status = DB_OK;

	if (state->presented != NULL || request->presented_device != NULL || request->form != NULL)
		status = db_query(tx->db, tx->ctx, &sql_own_sessions, values, 7, &rows);
	if (status != DB_OK || rows == NULL || db_rows(rows) == 0)
		return status;
	state->own = rows;
	login->has_former_device = read_key(rows, 0, OWN_DEVICE, &login->former_device);
	return DB_OK;
}

/*
 * The first of two clicks is cancelled by the second, and may get the lock after it: its key would reach no browser,
 * and end the one that the second click has brought. Which of them it is, is known where the web server passes that on,
 * as nginx does; others read the answer in any case.
 */
enum db_status login_drop_cancelled(struct login_state *state, struct account_tx *tx)
{
	const struct login_peer *peer = state->request->peer;

	(void)tx;
	return peer != NULL && peer->has_hung_up(peer->connection) ? give_up(state, RULE_LOGIN_CANCELLED) : DB_OK;
}

/* A login from another browser: may it displace the conflicting sessions? */
enum db_status login_ask_policy(struct login_state *state, struct account_tx *tx)
{
	const struct rule_policy *policy = &state->rule->policy;
	const struct db_value values[] = {DB_INT(state->request->user->id), DB_INT(policy->idle_timeout),
	                                  DB_INT(state->limit)};
	struct db_result *rows;
	enum db_status status;

	if (is_rotation(state) || state->request->proof != NULL)
		return DB_OK;
	if (state->request->new_password_hash != NULL)
		return give_up(state, RULE_LOGIN_ENDED);
	if (state->limit == 0 || (policy->on_limit == ON_LIMIT_DISPLACE && policy->sharing.cooldown_ms == 0))
		return DB_OK;
	status = db_query(tx->db, tx->ctx, &sql_conflicting, values, 3, &rows);
	if (status != DB_OK || db_rows(rows) == 0)
		return status;
	status = session_info_from_rows(tx->ctx, rows, &state->login->conflicting);
	if (status == DB_OK && policy->on_limit == ON_LIMIT_REFUSE)
		return give_up(state, RULE_LOGIN_LIMIT);
	if (status == DB_OK)
		status = sharing_wait(tx, &policy->sharing, state->request->user->id, &state->login->wait_s);
	if (status == DB_OK && state->login->wait_s > 0)
		return give_up(state, RULE_LOGIN_COOLDOWN);
	if (status == DB_OK && policy->on_limit == ON_LIMIT_ASK && !state->request->take_over)
		return give_up(state, RULE_LOGIN_LIMIT);
	return status;
}

enum db_status login_use_ticket(struct login_state *state, struct account_tx *tx)
{
	bool was_there;
	enum db_status status;

	if (state->request->ticket == NULL || is_repetition(state))
		return DB_OK;
	status = tickets_use(tx->db, tx->ctx, state->request->user->id, state->request->ticket, &was_there);
	return status == DB_OK && !was_there ? give_up(state, RULE_LOGIN_TICKET_GONE) : status;
}

/*
 * Has the given key been that of a session which has ended? Looked for when its row is inserted: from then on nobody
 * else can begin one with it, so that none is missed which is begun and ended at this moment.
 */
static enum db_status look_for_ended(struct login_state *state, struct account_tx *tx)
{
	const struct db_value values[] = {key_value(state->request->key)};
	struct db_result *rows;
	enum db_status status = DB_OK;

	if (!state->request->is_key_given)
		return DB_OK;
	status = db_query(tx->db, tx->ctx, &sql_key_has_ended, values, 1, &rows);
	return status == DB_OK && db_bool(rows, 0, 0) ? give_up(state, RULE_LOGIN_KEY_SEEN) : status;
}

enum db_status login_insert_session(struct login_state *state, struct account_tx *tx)
{
	const struct client *client = &tx->client;
	const struct user *user = state->request->user;
	struct session_key former;
	bool has_former = is_rotation(state) && read_key(state->own, 0, OWN_KEY, &former);
	const struct db_value values[] = {
		key_value(state->request->key),
		DB_INT(user->id),
		DB_INT(state->rule->policy.lifetime),
		client_ip(client),
		DB_TEXT(client->user_agent != NULL ? client->user_agent : ""),
		key_value(state->request->presented),
		key_value(has_former ? &former : NULL),
		key_value(state->request->device),
		key_value(state->request->form),
		DB_BOOL(!state->request->is_stale),
	};
	struct db_result *row;
	enum db_status status = db_query(tx->db, tx->ctx, &sql_insert_session, values, 10, &row);

	if (status == DB_DUPLICATE && state->request->is_key_given)
		return give_up(state, RULE_LOGIN_KEY_SEEN);
	if (status == DB_OK)
		status = look_for_ended(state, tx);
	if (status != DB_OK)
		return status;
	if (!db_bool(row, 0, 4)) {
		log_error("login_not_the_newest", LOG_INT("user_id", user->id),
		          LOG_STR("hint", "sessions.login_order is below that of an older session: look at the trigger "
		                          "number_login"));
		return DB_ERROR;
	}
	state->login->session = (struct ones_session){
		.id = db_text(row, 0, 0),
		.user = {.id = user->id, .username = user->username, .is_admin = user->is_admin},
		.created_at = db_time(row, 0, 1),
		.last_seen_at = db_time(row, 0, 2),
		.expires_at = db_time(row, 0, 3),
		.proved_at = state->request->is_stale ? INT64_MIN : db_time(row, 0, 1),
	};
	return DB_OK;
}

/*
 * The browser gets a new key for a session of the same user: no signal, for there was no logout. But a program that
 * knows the old session by its id, such as the sender of a video, needs an event that it has ended.
 */
static enum db_status record_replaced(const struct login_state *state, const struct account_tx *tx,
                                      const struct db_result *ended)
{
	const struct event_record record = {
		.name = "session_replaced",
		.user_id = state->request->user->id,
		.username = state->request->user->username,
		.session_id = db_text(ended, 0, ENDED_ID),
		.ip = tx->client.ip,
		.user_agent = tx->client.user_agent,
		.detail = tx->client.program == NULL
	                          ? talloc_asprintf(tx->ctx, "{\"by\": \"%s\"}", state->login->session.id)
	                          : talloc_asprintf(tx->ctx, "{\"by\": \"%s\", \"token\": \"%s\"}",
	                                            state->login->session.id, tx->client.program),
	};

	return record.detail != NULL ? events_record(tx->db, &record) : DB_ERROR;
}

/* The browser gets a new key: its old session of the same account ends. */
static enum db_status replace(const struct login_state *state, const struct account_tx *tx,
                              const struct session_key *key)
{
	enum ones_reason reason =
		state->request->new_password_hash != NULL ? ONES_REASON_PASSWORD_CHANGED : ONES_REASON_LOGGED_OUT;
	const struct db_value values[] = {
		DB_INT(state->request->user->id),
		key_value(key),
		DB_TEXT(ones_reason_code(reason)),
		key_value(reason == ONES_REASON_LOGGED_OUT ? state->request->key : NULL),
	};
	struct db_result *ended;
	enum db_status status = db_query(tx->db, tx->ctx, &sql_end_by_key, values, 4, &ended);

	return status == DB_OK && db_rows(ended) > 0 ? record_replaced(state, tx, ended) : status;
}

/* The presented session ends, also when it is another account's or has expired; so do the browser's own lost ones. */
enum db_status login_end_replaced(struct login_state *state, struct account_tx *tx)
{
	const struct session_key *presented = state->presented;
	enum db_status status = DB_OK;

	if (presents_other_account(state))
		status = account_tx_end_by_key(tx, state->presented_user_id, state->presented_username, presented,
		                               ONES_REASON_LOGGED_OUT);
	else if (presented != NULL)
		status = replace(state, tx, presented);
	for (size_t row = 0; state->own != NULL && status == DB_OK && row < db_rows(state->own); row++) {
		struct session_key key;

		if (db_bool(state->own, row, OWN_IS_PRESENTED))
			continue;
		status = read_key(state->own, row, OWN_KEY, &key) ? replace(state, tx, &key) : DB_ERROR;
	}
	return status;
}

/* A new password and a login are two events, also when they are one request. */
enum db_status login_emit(struct login_state *state, struct account_tx *tx)
{
	const struct login_request *request = state->request;
	struct ones_event event = {.signal = ONES_SIGNAL_PASSWORD_CHANGED,
	                           .user_id = request->user->id,
	                           .username = request->user->username,
	                           .session_id = state->login->session.id,
	                           .by_session_id = ""};
	enum db_status status = DB_OK;

	if (request->new_password_hash != NULL) {
		event.is_first_password = strcmp(request->user->password, USERS_NO_PASSWORD) == 0;
		status = account_tx_emit(tx, request->key, event);
	}
	if (status != DB_OK || (request->new_password_hash != NULL && request->proof == NULL))
		return status;
	event.signal = ONES_SIGNAL_LOGGED_IN;
	event.is_first_password = false;
	/* A proof is of who reads the owner's mail, wherever that is. */
	if (!is_rotation(state) && request->proof == NULL)
		status = browsers_is_new(tx->db, request->user->id, request->presented_device, &event.is_new_browser);
	return status == DB_OK ? account_tx_emit(tx, request->key, event) : status;
}

/* The others end: for a new password all of them, else those beyond the limit. */
enum db_status login_end_others(struct login_state *state, struct account_tx *tx)
{
	const struct user *user = state->request->user;
	struct rule_login *login = state->login;
	size_t ended = 0;
	enum db_status status;

	if (state->request->new_password_hash != NULL)
		return account_tx_end_by_id(tx, user->id, user->username, NULL, state->request->key,
		                            ONES_REASON_PASSWORD_CHANGED, &ended);
	status = account_tx_end_beyond_limit(tx, user->id, user->username, state->limit,
	                                     state->rule->policy.idle_timeout, state->request->key, &login->displaced);
	if (status == DB_OK && login->displaced.count > 0 && !is_rotation(state))
		status = sharing_count(tx, &state->rule->policy.sharing, user->id, user->username, login->session.id);
	return status;
}

enum db_status login_unlock_other(struct login_state *state, struct account_tx *tx)
{
	return presents_other_account(state) ? account_tx_unlock(tx, state->presented_user_id) : DB_OK;
}

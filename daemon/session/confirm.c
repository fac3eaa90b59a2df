/* A person who is signed in proves again who they are. */
#include "session/confirm.h"

#include "session/commit_outcome.h"
#include "session/rule_sql.h"
#include "session/session_lookup.h"

struct confirming {
	const struct rule *rule;
	const struct confirmation *confirmation;
	struct rule_login *login;
	enum rule_login_result result; /* RULE_LOGIN_OK until it is known why not */
};

static enum db_status give_up(struct confirming *state, enum rule_login_result result)
{
	state->result = result;
	return DB_ERROR;
}

/* The account is still active, and its password is the one that was verified. */
static enum db_status recheck_account(struct confirming *state, const struct account_tx *tx)
{
	const struct user *user = state->confirmation->user;
	const struct db_value values[] = {DB_INT(user->id), DB_TEXT(user->password)};
	struct db_result *account;
	enum db_status status = db_query(tx->db, tx->ctx, &sql_recheck_account, values, 2, &account);

	return status == DB_OK && db_rows(account) == 0 ? give_up(state, RULE_LOGIN_STALE) : status;
}

/* Under the lock: it is not a session that another login has displaced meanwhile. */
static enum db_status recheck_session(struct confirming *state, const struct account_tx *tx)
{
	struct session_lookup *lookup;
	enum db_status status = session_lookup(state->rule, tx->ctx, state->confirmation->presented, NULL, 1, &lookup);

	return status == DB_OK && !rule_may_be_live(state->rule, lookup, 0) ? give_up(state, RULE_LOGIN_ENDED) : status;
}

static enum db_status replace_key(struct confirming *state, const struct account_tx *tx)
{
	const struct user *user = state->confirmation->user;
	const struct session_key *presented = state->confirmation->presented;
	const struct session_key *key = state->confirmation->key;
	const struct db_value values[] = {
		DB_INT(user->id),
		DB_KEY(presented),
		DB_KEY(key),
	};
	struct db_result *row;
	enum db_status status = db_query(tx->db, tx->ctx, &sql_confirm_session, values, 3, &row);

	if (status != DB_OK)
		return status;
	if (db_rows(row) == 0)
		return give_up(state, RULE_LOGIN_ENDED);
	state->login->session = (struct ones_session){
		.id = db_text(row, 0, CONFIRMED_ID),
		.user = {.id = user->id, .username = user->username, .is_admin = user->is_admin},
		.created_at = db_time(row, 0, CONFIRMED_CREATED_AT),
		.last_seen_at = db_time(row, 0, CONFIRMED_LAST_SEEN_AT),
		.expires_at = db_time(row, 0, CONFIRMED_EXPIRES_AT),
		.proved_at = db_time(row, 0, CONFIRMED_PROVED_AT),
	};
	return DB_OK;
}

static enum db_status confirm(struct account_tx *tx, void *context)
{
	struct confirming *state = context;
	const struct user *user = state->confirmation->user;
	enum db_status status;

	state->result = RULE_LOGIN_OK;
	status = recheck_account(state, tx);
	if (status == DB_OK)
		status = account_tx_lock(tx, user->id);
	if (status == DB_OK)
		status = recheck_session(state, tx);
	if (status == DB_OK)
		status = replace_key(state, tx);
	if (status == DB_OK)
		status = account_tx_emit(tx, state->confirmation->key,
		                         (struct ones_event){.signal = ONES_SIGNAL_IDENTITY_CONFIRMED,
		                                             .user_id = user->id,
		                                             .username = user->username,
		                                             .session_id = state->login->session.id,
		                                             .by_session_id = ""});
	return status == DB_OK ? account_tx_unlock(tx, user->id) : status;
}

enum rule_login_result confirm_session(const struct rule *rule, TALLOC_CTX *ctx,
                                       const struct confirmation *confirmation, const struct client *client,
                                       struct rule_login *login)
{
	struct confirming state = {.rule = rule, .confirmation = confirmation, .login = login};
	struct account_tx tx = rule_begin_asked(rule, ctx, client);
	enum db_status status = commit_outcome_run(&tx, confirmation->user->id, confirmation->key, confirm, &state);

	return rule_login_outcome(status, state.result, &tx, login);
}

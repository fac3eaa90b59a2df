/*
 * The rule: one account, one live session. (Or as many as the account's limit says; one is the default.)
 *
 * Who is newer. Every row of `sessions` gets a number from the sequence login_order when it is inserted, by a trigger
 * that takes none which is not above all numbers of the account (schema/0003_sequences.sql): the sequence may be behind
 * the rows. A higher number is a newer login, whatever any clock says.
 *
 * Who decides. A row of `logged_in_user` belongs to each account and holds the key of its newest login. A
 * session is begun or ended in a transaction that holds this row (account_tx.c), so for one account these transactions
 * run one after another; a login takes its number while it holds the row, so their order is the order of the numbers.
 *
 * rule_login       makes a row in `sessions`, removes the account's other rows beyond the limit, stores the key,
 * commits. From then on the hook finds no row for an old key: the old device is out at its very next request. Before it
 * displaces a session it asks the policy (session.on_limit, sharing.action), which may refuse; a browser that replaces
 * its own live session displaces none, and is not asked. Its own is one whose key it presents, or the device cookie
 * that was given together with that very key (browsers lose keys), or one that was made by the same sign-in form
 * (form_key: people click twice). Were its row not the newest, the login would fail: it never answers 200 to a device
 * that is not signed in. What another program inserts after that is a later login. The steps: login_steps.c.
 *
 * session_lookup,  the hook: what runs before every request. The first reads the session, its account and the stored
 * rule_check       key in one round trip, for as many requests as are there at that moment. The second, in evaluate(),
 *                  tells one of four things of each:
 *                    GONE    not signed in: no such row (see ended_sessions), or it has expired or gone idle;
 *                    LIVE    the usual case: nothing is written;
 *                    ENDS    as many live sessions as the limit allows are newer (for a limit of one, a newer stored
 *                            key is enough), or the account is disabled: not signed in, and its row is removed;
 *                    AHEAD   it is among the newest, but no key or an older one is stored (the row was inserted by
 *                            another program, or the stored one was lost): it is stored, and the account's sessions
 *                            beyond the limit end.
 *                  Only the last two write, in reconcile(), which takes the lock and evaluates again, because what
 *                  was read before the lock may have changed.
 *
 * rule_logout      removes the presented row, and the stored key only where it is the same: what a displaced device
 * does changes nothing. A change of password is a login of a browser that is signed in, which leaves no other session.
 * Who has forgotten it comes with a proof, such as the token of a mail, which is used up in the same transaction: that
 * is a login, too, whatever its limits are.
 *
 * So an older session can neither displace a newer one (it ENDS) nor outlive it. Rows that are missing are a
 * normal case everywhere. Storing and clearing the key and writing `events` are themselves receivers of the signals.
 */
#include "session/rule.h"

#include "session/commit_outcome.h"
#include "session/login_steps.h"
#include "session/reason.h"
#include "session/rule_receivers.h"
#include "session/rule_sql.h"
#include "session/session_lookup.h"

/* With touch_interval above idle_timeout, sessions in use would go idle. A quarter leaves room for pauses. */
static int64_t touch_ms(const struct rule *rule)
{
	int64_t quarter = rule->policy.idle_timeout / 4;

	return quarter > 0 && quarter < rule->policy.touch_interval ? quarter : rule->policy.touch_interval;
}

/* ---- The hook ----------------------------------------------------------------------------------------------- */

enum standing { GONE, LIVE, ENDS, AHEAD };

/* Why and when a session without a row ended. */
static void read_ending(const struct db_result *rows, size_t row, struct rule_verdict *verdict)
{
	verdict->reason = reason_from_code(db_text(rows, row, CHECK_ENDED_REASON));
	verdict->ended_at = db_time(rows, row, CHECK_ENDED_AT);
	verdict->by_user_agent = db_text(rows, row, CHECK_BY_USER_AGENT);
	verdict->by_ip = db_text(rows, row, CHECK_BY_IP);
	verdict->user_agent = db_text(rows, row, CHECK_ENDED_USER_AGENT);
	verdict->ip = db_text(rows, row, CHECK_ENDED_IP);
}

static void read_session(const struct db_result *rows, size_t row, struct ones_session *session)
{
	session->id = db_text(rows, row, CHECK_ID);
	session->user.id = db_int(rows, row, CHECK_USER_ID);
	session->user.username = db_text(rows, row, CHECK_USERNAME);
	session->user.is_admin = db_bool(rows, row, CHECK_IS_ADMIN);
	session->created_at = db_time(rows, row, CHECK_CREATED_AT);
	session->last_seen_at = db_time(rows, row, CHECK_LAST_SEEN_AT);
	session->expires_at = db_time(rows, row, CHECK_EXPIRES_AT);
	session->proved_at = db_time(rows, row, CHECK_PROVED_AT);
	session->email = db_text(rows, row, CHECK_EMAIL);
	session->plan = db_text(rows, row, CHECK_PLAN);
	session->valid_until = db_time_or_never(rows, row, CHECK_VALID_UNTIL);
	session->groups = db_text(rows, row, CHECK_GROUPS);
}

/* The verdict on a session that is not live. Returns `standing`. */
static enum standing not_live(struct rule_verdict *verdict, enum standing standing, enum ones_reason reason, int64_t at)
{
	verdict->reason = reason;
	verdict->ended_at = at;
	return standing;
}

/* Fill in *verdict from sql_check's row and return where the session stands. */
static enum standing evaluate(const struct rule *rule, const struct session_lookup *lookup, size_t which,
                              struct rule_verdict *verdict)
{
	const struct db_result *rows = lookup->rows;
	size_t row = lookup->row_of[which];
	int64_t now = db_time(rows, row, CHECK_NOW);
	int64_t idle_us = rule->policy.idle_timeout * 1000;
	struct ones_session *session = &verdict->session;
	int64_t limit, newer;
	bool is_stored, is_newer_stored;

	*verdict = (struct rule_verdict){.reason = ONES_REASON_UNAUTHENTICATED, .now = now};
	/* Or there is a row, but not its account, as after replication of the one table alone. */
	if (db_is_null(rows, row, CHECK_USER_ID) || db_is_null(rows, row, CHECK_USERNAME)) {
		if (!db_is_null(rows, row, CHECK_ENDED_REASON))
			read_ending(rows, row, verdict);
		return GONE;
	}
	read_session(rows, row, session);
	if (session->expires_at <= now)
		return not_live(verdict, GONE, ONES_REASON_EXPIRED, session->expires_at);
	if (idle_us > 0 && session->last_seen_at <= now - idle_us)
		return not_live(verdict, GONE, ONES_REASON_IDLE, session->last_seen_at + idle_us);
	if (!db_bool(rows, row, CHECK_IS_ACTIVE))
		return not_live(verdict, ENDS, ONES_REASON_DISABLED, now);
	limit = db_int(rows, row, CHECK_LIMIT);
	newer = db_int(rows, row, CHECK_NEWER);
	is_stored = db_bool(rows, row, CHECK_IS_STORED);
	is_newer_stored = !db_is_null(rows, row, CHECK_STORED_ORDER) &&
	                  db_int(rows, row, CHECK_STORED_ORDER) > db_int(rows, row, CHECK_LOGIN_ORDER);
	/* A newer key that is stored is a newer login also when its row has gone. */
	if (newer == 0 && is_newer_stored && !is_stored)
		newer = 1;
	if (limit > 0 && newer >= limit)
		return not_live(verdict, ENDS, ONES_REASON_DISPLACED, now);
	verdict->live = true;
	verdict->reason = ONES_REASON_LIVE;
	verdict->touch_due = session->last_seen_at <= now - 1000 * touch_ms(rule);
	return is_stored || is_newer_stored ? LIVE : AHEAD;
}

struct reconciliation {
	const struct rule *rule;
	const struct session_key *key;
	int64_t user_id;
	struct rule_verdict *verdict;
};

/* AHEAD: the key becomes the stored one, and the account's sessions beyond the limit end. */
static enum db_status store_newer(const struct reconciliation *own, struct account_tx *tx, int64_t limit)
{
	const struct rule *rule = own->rule;
	const struct ones_session *session = &own->verdict->session;
	struct session_info_list displaced = {0};
	enum db_status status = stored_key_set(tx->db, own->user_id, own->key);

	if (status == DB_OK)
		status = account_tx_end_beyond_limit(tx, own->user_id, session->user.username, limit,
		                                     rule->policy.idle_timeout, NULL, &displaced);
	if (status != DB_OK || displaced.count == 0)
		return status;
	return sharing_count(tx, &rule->policy.sharing, own->user_id, session->user.username, session->id);
}

/* ENDS: the row is removed. The verdict is read anew, for what has ended it is known now: see read_ending(). */
static enum db_status end_older(const struct reconciliation *own, struct account_tx *tx, int64_t limit)
{
	const struct rule *rule = own->rule;
	const char *username = own->verdict->session.user.username;
	struct session_lookup *lookup;
	enum db_status status = DB_OK;

	if (own->verdict->reason == ONES_REASON_DISPLACED)
		status = account_tx_end_beyond_limit(tx, own->user_id, username, limit, rule->policy.idle_timeout, NULL,
		                                     NULL);
	/* That has not ended it where only the stored key is newer, or the account is disabled. */
	if (status == DB_OK)
		status = account_tx_end_by_key(tx, own->user_id, username, own->key, own->verdict->reason);
	if (status == DB_OK)
		status = session_lookup(rule, tx->ctx, own->key, NULL, 1, &lookup);
	if (status == DB_OK)
		(void)evaluate(rule, lookup, 0, own->verdict);
	return status;
}

/* Under the lock, evaluate again and do what follows from it. */
static enum db_status reconcile(struct account_tx *tx, void *context)
{
	const struct reconciliation *own = context;
	struct session_lookup *lookup;
	enum standing standing;
	enum db_status status = account_tx_lock(tx, own->user_id);

	if (status == DB_OK)
		status = session_lookup(own->rule, tx->ctx, own->key, NULL, 1, &lookup);
	if (status != DB_OK)
		return status;
	standing = evaluate(own->rule, lookup, 0, own->verdict);
	if (standing == AHEAD)
		status = store_newer(own, tx, db_int(lookup->rows, 0, CHECK_LIMIT));
	else if (standing == ENDS)
		status = end_older(own, tx, db_int(lookup->rows, 0, CHECK_LIMIT));
	return status == DB_OK ? account_tx_unlock(tx, own->user_id) : status;
}

static bool is_final(enum standing standing)
{
	return standing == GONE || standing == LIVE;
}

bool rule_is_final(const struct rule *rule, const struct session_lookup *lookup, size_t which)
{
	struct rule_verdict verdict;

	return is_final(evaluate(rule, lookup, which, &verdict));
}

bool rule_is_known(const struct session_lookup *lookup, size_t which)
{
	size_t row = lookup->row_of[which];

	return !db_is_null(lookup->rows, row, CHECK_ID) || !db_is_null(lookup->rows, row, CHECK_ENDED_REASON);
}

bool rule_has_ended(const struct rule *rule, const struct session_lookup *lookup, size_t which)
{
	return rule_is_known(lookup, which) && !rule_may_be_live(rule, lookup, which);
}

bool rule_was_left_for(const struct session_lookup *lookup, size_t which, size_t live)
{
	size_t row = lookup->row_of[which];

	return !db_is_null(lookup->rows, row, CHECK_ENDED_REASON) &&
	       reason_from_code(db_text(lookup->rows, row, CHECK_ENDED_REASON)) == ONES_REASON_LOGGED_OUT &&
	       db_int(lookup->rows, row, CHECK_ENDED_USER_ID) ==
	               db_int(lookup->rows, lookup->row_of[live], CHECK_USER_ID);
}

bool rule_may_be_live(const struct rule *rule, const struct session_lookup *lookup, size_t which)
{
	struct rule_verdict verdict;
	enum standing standing = evaluate(rule, lookup, which, &verdict);

	return standing == LIVE || standing == AHEAD;
}

enum db_status rule_check(const struct rule *rule, TALLOC_CTX *ctx, const struct session_lookup *lookup, size_t which,
                          const struct client *client, struct rule_verdict *verdict)
{
	struct account_tx tx = {.ctx = ctx, .db = rule->db, .signals = rule->signals, .client = *client};
	struct reconciliation reconciliation = {.rule = rule, .key = &lookup->keys[which], .verdict = verdict};

	if (is_final(evaluate(rule, lookup, which, verdict)))
		return DB_OK;
	reconciliation.user_id = verdict->session.user.id;
	return account_tx_run(&tx, TRANSACTION_IDEMPOTENT, reconcile, &reconciliation);
}

void rule_start_touch(const struct rule *rule, const struct session_key keys[], size_t count)
{
	const struct db_value values[] = {DB_BYTES_LIST(keys, sizeof keys[0], count), DB_INT(touch_ms(rule))};

	db_start(rule->db, &sql_touch, values, 2);
}

/* ---- Login -------------------------------------------------------------------------------------------------- */

/* One transaction; the first step that is not DB_OK rolls it back. */
static login_step *const login_steps[] = {
	login_recheck_account, /* active still, and with the password that was verified */
	login_use_proof,       /* or let in by something else, which is good for one login */
	login_forget_failures, /* with a new password: those were tries at the former one */
	login_find_presented,  /* the session of the key that the browser presents */
	login_lock_accounts,   /* from here on no other login or hook of the account writes */
	login_find_own,        /* its own sessions: then it is a rotation */
	login_drop_cancelled,  /* a click that the next one has overtaken ends nothing */
	login_ask_policy,      /* or else a displacement, which the policy may refuse */
	login_use_ticket,      /* a ticket is good for one login */
	login_insert_session,  /* with a number above all others of the account */
	login_end_replaced,    /* its own */
	login_emit,            /* the receivers: one of them stores the key */
	login_end_others,      /* beyond the limit: displaced */
	login_unlock_other,
};

static enum db_status log_in(struct account_tx *tx, void *context)
{
	struct login_state *state = context;

	*state->login = (struct rule_login){0};
	state->own = NULL;
	state->refusal = RULE_LOGIN_OK;
	for (size_t i = 0; i < sizeof login_steps / sizeof login_steps[0]; i++) {
		enum db_status status = login_steps[i](state, tx);

		if (status != DB_OK)
			return status;
	}
	return DB_OK;
}

struct account_tx rule_begin_asked(const struct rule *rule, TALLOC_CTX *ctx, const struct client *client)
{
	return (struct account_tx){.ctx = ctx,
	                           .db = rule->db,
	                           .signals = rule->signals,
	                           .client = *client,
	                           .emission = {.can_refuse = true}};
}

enum rule_login_result rule_login_outcome(enum db_status status, enum rule_login_result refusal,
                                          const struct account_tx *tx, struct rule_login *login)
{
	if (status == DB_OK)
		return RULE_LOGIN_OK;
	if (refusal != RULE_LOGIN_OK)
		return refusal;
	login->refusal = tx->emission.refusal;
	if (status == DB_REFUSED)
		return RULE_LOGIN_REFUSED;
	return status == DB_ERROR ? RULE_LOGIN_FAILED : RULE_LOGIN_UNAVAILABLE;
}

enum rule_login_result rule_login(const struct rule *rule, TALLOC_CTX *ctx, const struct login_request *request,
                                  const struct client *client, struct rule_login *login)
{
	struct account_tx tx = rule_begin_asked(rule, ctx, client);
	struct login_state state = {.rule = rule, .request = request, .login = login};
	enum db_status status = commit_outcome_run(&tx, request->user->id, request->key, log_in, &state);

	return rule_login_outcome(status, state.refusal, &tx, login);
}

static enum db_status emit_failure(struct account_tx *tx, void *context)
{
	const struct user *user = context;

	return account_tx_emit(tx, NULL,
	                       (struct ones_event){.signal = ONES_SIGNAL_LOGIN_FAILED,
	                                           .user_id = user != NULL ? user->id : 0,
	                                           .username = user != NULL ? user->username : "",
	                                           .session_id = "",
	                                           .by_session_id = ""});
}

enum db_status rule_login_failed(const struct rule *rule, TALLOC_CTX *ctx, struct user *user,
                                 const struct client *client)
{
	struct account_tx tx = {.ctx = ctx, .db = rule->db, .signals = rule->signals, .client = *client};
	enum db_status status = account_tx_run(&tx, TRANSACTION_RETRIED, emit_failure, user);

	/* With or without the event the login has failed: that the outcome is not known is of no consequence. */
	return status == DB_UNKNOWN ? DB_OK : status;
}

/* ---- Logout ------------------------------------------------------------------------------------------------- */

/* What the browser that presents a key asks for. */
struct logout_state {
	const struct rule *rule;
	struct session_key presented;
	const char *id; /* of the session that is to end; NULL: its own */
	size_t ended;
};

/*
 * Under the lock: is the presented session live? If so, sessions beyond the limit end first. A row that another program
 * inserted, and that was not yet visible to the login after it, would become live when the newer rows are removed.
 */
static enum db_status end_stragglers(const struct logout_state *state, struct account_tx *tx, int64_t user_id,
                                     const char *username, bool *live)
{
	const struct rule *rule = state->rule;
	struct session_lookup *lookup;
	struct rule_verdict verdict;
	enum db_status status = session_lookup(rule, tx->ctx, &state->presented, NULL, 1, &lookup);

	if (status != DB_OK)
		return status;
	(void)evaluate(rule, lookup, 0, &verdict);
	*live = verdict.live;
	if (!verdict.live)
		return DB_OK;
	return account_tx_end_beyond_limit(tx, user_id, username, db_int(lookup->rows, 0, CHECK_LIMIT),
	                                   rule->policy.idle_timeout, NULL, NULL);
}

/* Of the presented session's account: end that session itself, or the one with the id that is asked for. */
static enum db_status end_for_holder(struct account_tx *tx, void *context)
{
	struct logout_state *state = context;
	const struct db_value values[] = {DB_KEY(&state->presented)};
	struct db_result *owner;
	const char *username;
	int64_t user_id;
	bool live = false;
	enum db_status status = db_query(tx->db, tx->ctx, &sql_session_owner, values, 1, &owner);

	if (status != DB_OK || db_rows(owner) == 0)
		return status;
	user_id = db_int(owner, 0, 0);
	username = db_text(owner, 0, 1);
	status = account_tx_lock(tx, user_id);
	if (status == DB_OK)
		status = end_stragglers(state, tx, user_id, username, &live);
	if (status == DB_OK && state->id == NULL)
		status = account_tx_end_by_key(tx, user_id, username, &state->presented, ONES_REASON_LOGGED_OUT);
	/* What a displaced device does changes nothing. */
	else if (status == DB_OK && live)
		status = account_tx_end_by_id(tx, user_id, username, state->id, &state->presented, ONES_REASON_REVOKED,
		                              &state->ended);
	return status == DB_OK ? account_tx_unlock(tx, user_id) : status;
}

enum db_status rule_logout(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key *key,
                           const struct client *client, struct ones_refusal *refusal)
{
	struct account_tx tx = rule_begin_asked(rule, ctx, client);
	struct logout_state state = {.rule = rule, .presented = *key};
	enum db_status status = account_tx_run(&tx, TRANSACTION_IDEMPOTENT, end_for_holder, &state);

	*refusal = tx.emission.refusal;
	return status;
}

enum db_status rule_end_session(const struct rule *rule, TALLOC_CTX *ctx, const struct session_key *presented,
                                const char *id, const struct client *client, bool *ended, struct ones_refusal *refusal)
{
	struct account_tx tx = rule_begin_asked(rule, ctx, client);
	struct logout_state state = {.rule = rule, .presented = *presented, .id = id};
	enum db_status status = account_tx_run(&tx, TRANSACTION_IDEMPOTENT, end_for_holder, &state);

	*ended = state.ended > 0;
	*refusal = tx.emission.refusal;
	return status;
}

/* Ending sessions by an operator. */
#include "session/revoke.h"

#include "session/mail_tokens.h"
#include "session/rule_sql.h"

enum db_status revoke_locked(struct account_tx *tx, int64_t user_id, const char *username, const char *id,
                             enum ones_reason reason, size_t *ended)
{
	enum db_status status = account_tx_lock(tx, user_id);

	if (status == DB_OK)
		status = account_tx_end_by_id(tx, user_id, username, id, NULL, reason, ended);
	return status == DB_OK ? account_tx_unlock(tx, user_id) : status;
}

enum db_status revoke_all_of_account(struct db *db, const struct signals *signals, TALLOC_CTX *ctx,
                                     const struct user *user, enum ones_reason reason, size_t *ended)
{
	struct account_tx tx = {.ctx = ctx, .db = db, .signals = signals};

	*ended = 0;
	return revoke_locked(&tx, user->id, user->username, NULL, reason, ended);
}

struct target {
	const struct revocation *revocation;
	int64_t user_id;
	const char *username;
	size_t ended;
};

static enum db_status end_target(struct account_tx *tx, void *context)
{
	struct target *target = context;
	const struct revocation *revocation = target->revocation;
	enum db_status status;

	target->ended = 0;
	status = revoke_locked(tx, target->user_id, target->username, revocation->id, ONES_REASON_REVOKED,
	                       &target->ended);
	if (status == DB_OK && target->ended > 0)
		status = mail_tokens_drop(tx->db, target->user_id, MAIL_PURPOSE_EMAIL);
	if (status == DB_OK && target->ended > 0)
		status = revocation->record_end(tx->db, target->user_id, target->username, target->ended,
		                                revocation->context);
	return status;
}

enum db_status revoke_sessions(struct db *db, const struct signals *signals, TALLOC_CTX *ctx,
                               const struct revocation *revocation, size_t *ended)
{
	int64_t after = revocation->user_id > 0 ? revocation->user_id - 1 : 0;
	struct db_result *accounts = NULL;
	enum db_status status;

	*ended = 0;
	do {
		const struct db_value values[] = {DB_INT(after), DB_TEXT(revocation->id)};

		status = db_query(db, ctx, &sql_accounts_with_sessions, values, 2, &accounts);
		for (size_t i = 0; status == DB_OK && i < db_rows(accounts); i++) {
			struct account_tx tx = {.ctx = ctx, .db = db, .signals = signals};
			struct target target = {.revocation = revocation,
			                        .user_id = db_int(accounts, i, 0),
			                        .username = db_text(accounts, i, 1)};

			after = target.user_id;
			if (revocation->user_id > 0 && after != revocation->user_id)
				return DB_OK;
			status = account_tx_run(&tx, TRANSACTION_IDEMPOTENT, end_target, &target);
			*ended += target.ended;
		}
	} while (status == DB_OK && db_rows(accounts) > 0);
	return status;
}

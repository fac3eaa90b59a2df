/* Accounts are deleted with all that is kept about their person. */
#include "session/erasure.h"

#include "base/clock.h"
#include "base/log.h"
#include "session/events.h"
#include "session/revoke.h"
#include "session/sql.h"

/* So many are looked up at once. */
#define DUE_AT_ONCE 100

enum db_status erasure_run(struct account_tx *tx, const struct user *user, const char *detail, size_t *ended)
{
	const struct event_record deleted = {.name = "user_deleted", .user_id = user->id, .detail = detail};
	bool was_due = false;
	enum db_status status = revoke_locked(tx, user->id, user->username, NULL, ONES_REASON_REVOKED, ended);

	if (status == DB_OK)
		status = events_record(tx->db, &deleted);
	if (status == DB_OK)
		status = users_erase(tx->db, user->id, &was_due);
	return status == DB_OK && !was_due ? DB_ERROR : status;
}

/* ---- Those whose time has come ---------------------------------------------------------------------------------- */

struct erasing {
	struct user user;
	bool is_erased;
};

/* Its person may keep it until this transaction holds its row, and not after that. */
static enum db_status erase_if_due(struct account_tx *tx, void *context)
{
	struct erasing *erasing = context;
	const struct db_value values[] = {DB_INT(erasing->user.id)};
	size_t ended = 0;
	struct db_result *held;
	enum db_status status = db_query(tx->db, tx->ctx, &sql_hold_due_account, values, 1, &held);

	erasing->is_erased = status == DB_OK && db_rows(held) > 0;
	return erasing->is_erased ? erasure_run(tx, &erasing->user, NULL, &ended) : status;
}

/* The status is what stands in the way of all of them. */
static enum db_status erase_one(struct db *db, const struct signals *signals, TALLOC_CTX *ctx, struct erasing *erasing)
{
	struct account_tx tx = {.ctx = ctx, .db = db, .signals = signals};
	enum db_status status = account_tx_run(&tx, TRANSACTION_IDEMPOTENT, erase_if_due, erasing);

	if (status == DB_OK) {
		if (erasing->is_erased)
			log_info("account_deleted", LOG_INT("user_id", erasing->user.id));
		return DB_OK;
	}
	erasing->is_erased = false;
	if (!db_is_connected(db))
		return status;
	log_error("account_not_deleted", LOG_INT("user_id", erasing->user.id), LOG_STR("problem", db_problem(db)));
	return DB_OK;
}

enum db_status erasure_run_due(struct db *db, const struct signals *signals, int64_t until_ms, int64_t *count)
{
	bool is_over = false;
	int64_t after = 0;
	size_t found;

	*count = 0;
	do {
		const struct db_value values[] = {DB_INT(after), DB_INT(DUE_AT_ONCE)};
		TALLOC_CTX *scratch = talloc_new(NULL);
		struct db_result *due;
		enum db_status status = db_query(db, scratch, &sql_due_accounts, values, 2, &due);

		found = status == DB_OK ? db_rows(due) : 0;
		for (size_t i = 0; status == DB_OK && i < found && !is_over; i++) {
			struct erasing erasing = {.user = {.id = db_int(due, i, 0), .username = db_text(due, i, 1)}};

			after = erasing.user.id;
			status = erase_one(db, signals, scratch, &erasing);
			*count += erasing.is_erased ? 1 : 0;
			is_over = until_ms != 0 && clock_until_ms(until_ms) == 0;
		}
		talloc_free(scratch);
		if (status != DB_OK)
			return status;
	} while (found == DUE_AT_ONCE && !is_over);
	return DB_OK;
}

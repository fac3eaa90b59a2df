/* What modules do to accounts: behind the functions of onesession.h that take a database. */
#include "base/email.h"
#include "session/account_terms.h"
#include "session/emission.h"
#include "session/erasure.h"
#include "session/events.h"
#include "session/module_sql.h"
#include "session/revoke.h"
#include "session/sql.h"
#include "session/throttle.h"
#include "session/users.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* True when the call is a mistake, which is logged then. */
static bool is_refused(const struct ones_db *db, const char *call, bool changes)
{
	const char *problem = module_sql_refusal(db);

	if (problem == NULL && changes && db->emission == NULL)
		problem = "accounts are changed in a transaction";
	if (problem != NULL)
		(void)module_sql_refuse(db, call, problem);
	return problem != NULL;
}

/* The result of what found no such account by DB_CONFLICT, which is another's otherwise. */
static enum ones_result result_of(const struct ones_db *db, enum db_status status)
{
	if (status == DB_CONFLICT && db_transaction_failure(db->db) == DB_OK)
		return ONES_RESULT_VIOLATION;
	return module_sql_result(status);
}

/* Takes over the reference, which may be NULL. */
static enum db_status write_event(const struct ones_db *db, const char *name, const struct user *user, json_t *detail)
{
	char *text = detail != NULL ? json_dumps(detail, JSON_COMPACT) : NULL;
	const struct event_record event = {
		.name = name,
		.user_id = user->id,
		.username = user->username,
		.ip = db->client_ip,
		.user_agent = db->client_user_agent,
		.detail = text,
	};
	enum db_status status = detail == NULL || text != NULL ? events_record(db->db, &event) : DB_ERROR;

	free(text);
	json_decref(detail);
	return status;
}

/* Likewise. */
static enum db_status record(const struct ones_db *db, const char *name, const struct user *user, json_t *detail)
{
	/* Whatever a program of the site's does names its token. */
	if (db->client_program != NULL) {
		detail = detail != NULL ? detail : json_object();
		if (json_object_set_new(detail, "token", json_string(db->client_program)) != 0) {
			json_decref(detail);
			return DB_ERROR;
		}
	}
	return write_event(db, name, user, detail);
}

/* ---- Finding ------------------------------------------------------------------------------------------------- */

static struct ones_account *account_from(TALLOC_CTX *ctx, const struct user *user)
{
	struct ones_account *account = talloc(ctx, struct ones_account);

	if (account != NULL)
		*account = (struct ones_account){
			.user = {.id = user->id, .username = user->username, .is_admin = user->is_admin},
			.email = user->email,
			.email_verified_at = user->email_verified_at,
			.is_active = user->is_active,
			.has_password = strcmp(user->password, USERS_NO_PASSWORD) != 0,
			.created_at = user->created_at,
			.delete_at = user->delete_at,
		};
	return account;
}

/* The time is the caller's, as for ones_sql(). */
static enum ones_result found(struct ones_db *db, enum db_status status, const struct user *user,
                              const struct ones_account **account)
{
	db_set_time_limit(db->db, 0);
	if (status != DB_OK || user == NULL)
		return module_sql_result(status);
	*account = account_from(db->ctx, user);
	return *account != NULL ? ONES_RESULT_OK : ONES_RESULT_FAILED;
}

enum ones_result ones_account_by_login(struct ones_db *db, const char *login, const struct ones_account **account)
{
	struct user *user = NULL;
	enum db_status status;
	const char *plain;

	*account = NULL;
	if (is_refused(db, "ones_account_by_login", false))
		return ONES_RESULT_FAILED;
	if (login == NULL)
		return ONES_RESULT_OK;
	plain = users_plain_name(db->ctx, login);
	if (plain == NULL)
		return ONES_RESULT_FAILED;
	db_set_time_limit(db->db, db->until_ms);
	status = users_find_login(db->db, db->ctx, plain, &user);
	return found(db, status, user, account);
}

enum ones_result ones_account_by_id(struct ones_db *db, int64_t user_id, const struct ones_account **account)
{
	struct user *user = NULL;
	enum db_status status;

	*account = NULL;
	if (is_refused(db, "ones_account_by_id", false))
		return ONES_RESULT_FAILED;
	db_set_time_limit(db->db, db->until_ms);
	status = users_find_by_id(db->db, db->ctx, user_id, &user);
	return found(db, status, user, account);
}

const char *ones_name_problem(const char *username)
{
	if (username == NULL || username[0] == '\0')
		return "The name is empty.";
	if (users_name_problem(username) != NULL)
		return "A name has at most 150 characters, and no control characters.";
	if (users_new_name_problem(username) == NULL)
		return NULL;
	return users_has_at(username) ? "A name cannot have an @ in it."
	                              : "A name cannot have characters that are not seen, or letters of several "
	                                "scripts that look alike.";
}

/* ---- Changing ------------------------------------------------------------------------------------------------ */

/* One change of an account. */
struct change {
	struct ones_db *db;
	const struct user *user; /* as it was */
};

/* The call is over: the time is the caller's again. */
static enum ones_result finish(const struct change *change, enum db_status status)
{
	db_set_time_limit(change->db->db, 0);
	return result_of(change->db, status);
}

/* The account, of which something is to be changed. Unless it is ONES_RESULT_OK the call is over. */
static enum ones_result begin(struct change *change, struct ones_db *db, int64_t user_id, const char *call)
{
	struct user *user;
	enum db_status status;

	*change = (struct change){.db = db};
	if (is_refused(db, call, true))
		return ONES_RESULT_FAILED;
	db_set_time_limit(db->db, db->until_ms);
	status = users_find_by_id(db->db, db->ctx, user_id, &user);
	if (status == DB_OK && user == NULL)
		status = DB_CONFLICT;
	change->user = user;
	return status == DB_OK ? ONES_RESULT_OK : finish(change, status);
}

static bool is_email(const char *email)
{
	char address[EMAIL_SIZE];

	return email_parse(email, address) == NULL && strcmp(address, email) == 0;
}

enum ones_result ones_account_add(struct ones_db *db, const struct ones_new_account *account, int64_t *user_id)
{
	const struct new_user added = {
		.username = account->username,
		.password_hash = account->password_hash != NULL ? account->password_hash : USERS_NO_PASSWORD,
		.email = account->email,
		.is_verified = account->is_email_verified,
	};
	struct user user = {.username = account->username};
	enum db_status status;
	bool is_email_taken;

	*user_id = 0;
	if (is_refused(db, "ones_account_add", true))
		return ONES_RESULT_FAILED;
	if (ones_name_problem(account->username) != NULL || (account->email != NULL && !is_email(account->email)))
		return ONES_RESULT_UNACCEPTABLE;
	db_set_time_limit(db->db, db->until_ms);
	status = users_add(db->db, &added, user_id, &is_email_taken);
	user.id = *user_id;
	if (status == DB_OK && user.id != 0)
		status = record(db, "user_added", &user, json_pack("{s:s}", "from", db->purpose));
	db_set_time_limit(db->db, 0);
	return status == DB_OK && user.id == 0 ? ONES_RESULT_DUPLICATE : module_sql_result(status);
}

enum ones_result ones_account_set_email(struct ones_db *db, int64_t user_id, const char *email, bool is_verified)
{
	bool is_taken = false;
	struct change change;
	enum db_status status;
	enum ones_result result = begin(&change, db, user_id, "ones_account_set_email");

	if (result != ONES_RESULT_OK)
		return result;
	if (email != NULL && !is_email(email)) {
		result = finish(&change, DB_OK);
		return result == ONES_RESULT_OK ? ONES_RESULT_UNACCEPTABLE : result;
	}
	status = users_set_email(db->db, user_id, email, is_verified, &is_taken);
	if (status == DB_OK && !is_taken)
		status = record(db, "user_email_changed", change.user,
		                json_pack("{s:b}", "verified", email != NULL && is_verified));
	result = finish(&change, status);
	return result == ONES_RESULT_OK && is_taken ? ONES_RESULT_DUPLICATE : result;
}

/* What ends sessions in the transaction of the caller, whose events are then also those of the sessions. */
static struct account_tx take_part(const struct ones_db *db)
{
	return (struct account_tx){
		.ctx = db->emission->ctx,
		.db = db->db,
		.signals = db->signals,
		.client = {.ip = db->client_ip,
	                   .user_agent = db->client_user_agent,
	                   .language = db->client_language,
	                   .program = db->client_program},
		.emission = *db->emission,
	};
}

static enum db_status end_sessions(const struct change *change, enum ones_reason reason, size_t *ended)
{
	struct account_tx tx = take_part(change->db);
	enum db_status status = revoke_locked(&tx, change->user->id, change->user->username, NULL, reason, ended);

	*change->db->emission = tx.emission;
	return status;
}

enum ones_result ones_account_withdraw_password(struct ones_db *db, int64_t user_id)
{
	size_t ended = 0;
	struct change change;
	enum db_status status;
	enum ones_result result = begin(&change, db, user_id, "ones_account_withdraw_password");

	if (result != ONES_RESULT_OK)
		return result;
	/* The row first, which holds it: no login of the account gets in after that. */
	status = users_set_password(db->db, user_id, USERS_NO_PASSWORD);
	if (status == DB_OK)
		status = end_sessions(&change, ONES_REASON_PASSWORD_CHANGED, &ended);
	if (status == DB_OK)
		status = record(db, "password_withdrawn", change.user, NULL);
	return finish(&change, status);
}

enum ones_result ones_account_end_sessions(struct ones_db *db, int64_t user_id, enum ones_reason reason, size_t *ended)
{
	size_t count = 0;
	struct change change;
	enum ones_result result = begin(&change, db, user_id, "ones_account_end_sessions");

	if (result == ONES_RESULT_OK)
		result = finish(&change, end_sessions(&change, reason, &count));
	if (ended != NULL)
		*ended = count;
	return result;
}

enum ones_result ones_account_forget_failures(struct ones_db *db, int64_t user_id)
{
	int64_t count;
	struct change change;
	enum ones_result result = begin(&change, db, user_id, "ones_account_forget_failures");

	return result == ONES_RESULT_OK ? finish(&change, throttle_forget(db->db, user_id, &count)) : result;
}

/* ---- Terms --------------------------------------------------------------------------------------------------- */

static enum ones_result result_of_terms(enum terms_result result, const char **problem)
{
	*problem = NULL;
	switch (result) {
	case TERMS_OK: return ONES_RESULT_OK;
	case TERMS_EMAIL_TAKEN: return ONES_RESULT_DUPLICATE;
	case TERMS_ADMIN: return ONES_RESULT_CLOSED;
	case TERMS_NO_PLAN: *problem = "There is no plan of that name."; break;
	case TERMS_NO_ADDRESS: *problem = "An address that there is not cannot be verified."; break;
	case TERMS_NO_ACCOUNT: return ONES_RESULT_CONFLICT;
	}
	return ONES_RESULT_UNACCEPTABLE;
}

/* A new account has a name that it can have; who has one already is called what they are. */
static enum ones_result check_new_name(struct ones_db *db, const char *username, const char **problem)
{
	struct user *user;
	enum db_status status = users_find(db->db, db->ctx, username, &user);

	*problem = status == DB_OK && user == NULL ? ones_name_problem(username) : NULL;
	if (status != DB_OK)
		return module_sql_result(status);
	return *problem == NULL ? ONES_RESULT_OK : ONES_RESULT_UNACCEPTABLE;
}

enum ones_result ones_account_put(struct ones_db *db, struct ones_account_put *put)
{
	json_t *by = db->client_program != NULL ? json_pack("{s:s}", "token", db->client_program)
	                                        : json_pack("{s:s}", "from", db->purpose);
	struct terms_change change = {.username = put->username, .terms = put->terms, .by = by, .makes_account = true};
	enum terms_result made = TERMS_OK;
	enum ones_result result;
	enum db_status status;
	struct account_tx tx;

	if (is_refused(db, "ones_account_put", true) || by == NULL) {
		json_decref(by);
		return ONES_RESULT_FAILED;
	}
	db_set_time_limit(db->db, db->until_ms);
	result = check_new_name(db, put->username, &put->problem);
	if (result == ONES_RESULT_OK) {
		tx = take_part(db);
		status = account_terms_apply(&tx, &change, &made);
		*db->emission = tx.emission;
		put->user_id = change.user_id;
		put->is_new = change.is_new;
		put->is_changed = change.is_changed;
		result = status == DB_OK ? result_of_terms(made, &put->problem) : module_sql_result(status);
	}
	db_set_time_limit(db->db, 0);
	json_decref(by);
	return result;
}

enum ones_result ones_session_end(struct ones_db *db, const char *id, enum ones_reason reason, bool *found)
{
	const struct db_value values[] = {DB_TEXT(id)};
	struct account_tx tx;
	struct db_result *owner;
	size_t ended = 0;
	enum db_status status;

	*found = false;
	if (is_refused(db, "ones_session_end", true))
		return ONES_RESULT_FAILED;
	if (id == NULL || !session_id_is_well_formed(id))
		return ONES_RESULT_OK;
	tx = take_part(db);
	db_set_time_limit(db->db, db->until_ms);
	status = db_query(db->db, db->ctx, &sql_session_owner_by_id, values, 1, &owner);
	if (status == DB_OK && db_rows(owner) > 0)
		status = revoke_locked(&tx, db_int(owner, 0, 0), db_text(owner, 0, 1), id, reason, &ended);
	*db->emission = tx.emission;
	*found = ended > 0;
	db_set_time_limit(db->db, 0);
	return module_sql_result(status);
}

/* ---- Deleting ------------------------------------------------------------------------------------------------ */

static enum db_status set_deletion(const struct change *change, int64_t pause_ms, const char *event, ones_time *at)
{
	enum db_status status = users_set_deletion(change->db->db, change->user->id, pause_ms, at);

	return status == DB_OK ? record(change->db, event, change->user, NULL) : status;
}

enum ones_result ones_account_delete_in(struct ones_db *db, int64_t user_id, int64_t pause_ms, ones_time *delete_at)
{
	ones_time at = 0;
	struct change change;
	enum ones_result result = begin(&change, db, user_id, "ones_account_delete_in");

	if (result == ONES_RESULT_OK)
		result = finish(&change, set_deletion(&change, pause_ms > 0 ? pause_ms : 0, "deletion_requested", &at));
	if (delete_at != NULL)
		*delete_at = at;
	return result;
}

enum ones_result ones_account_keep(struct ones_db *db, int64_t user_id)
{
	ones_time at;
	struct change change;
	enum ones_result result = begin(&change, db, user_id, "ones_account_keep");

	return result == ONES_RESULT_OK ? finish(&change, set_deletion(&change, -1, "deletion_cancelled", &at))
	                                : result;
}

enum ones_result ones_account_delete(struct ones_db *db, int64_t user_id)
{
	/* A token's name has nothing in it that JSON would escape. */
	const char *detail =
		db->client_program != NULL ? talloc_asprintf(db->ctx, "{\"token\": \"%s\"}", db->client_program) : NULL;
	struct account_tx tx;
	size_t ended = 0;
	ones_time at;
	struct change change;
	enum db_status status;
	enum ones_result result = begin(&change, db, user_id, "ones_account_delete");

	if (result != ONES_RESULT_OK)
		return result;
	tx = take_part(db);
	status = users_set_deletion(db->db, user_id, 0, &at);
	if (status == DB_OK)
		status = erasure_run(&tx, change.user, detail, &ended);
	*db->emission = tx.emission;
	return finish(&change, status);
}

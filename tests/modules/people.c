/*
 * A module that makes and changes accounts, for tests. POST /do takes a JSON object: "call" (add, email, withdraw, end,
 * forget, delete_in, keep, delete), with what that takes: user_id, username, email, verified, password_hash, pause_ms;
 * "outside" has it done without a transaction, "fail" rolls it back, and "last" has no statement follow it. GET
 * /find?login= or ?id= shows an account. POST /hash hashes a password for a username and an email, POST /both one
 * besides signing in, POST /sign-in signs in a user_id, with a new password if there is one, by a proof that is a row
 * of people.proofs.
 */
#include "onesession.h"

#include <string.h>

static const char *name_of(enum ones_result result)
{
	static const char *const names[] = {
		[ONES_RESULT_OK] = "ok",
		[ONES_RESULT_INVALID] = "invalid",
		[ONES_RESULT_CLOSED] = "closed",
		[ONES_RESULT_UNACCEPTABLE] = "unacceptable",
		[ONES_RESULT_FAILED] = "failed",
		[ONES_RESULT_DUPLICATE] = "duplicate",
		[ONES_RESULT_VIOLATION] = "violation",
		[ONES_RESULT_REFUSED] = "refused",
	};

	return (size_t)result < sizeof names / sizeof names[0] && names[result] != NULL ? names[result] : "another";
}

static int64_t number(struct ones_request *req, const char *name)
{
	return json_integer_value(json_object_get(ones_json(req), name));
}

struct context {
	struct ones_request *req;
	const char *call;
	int64_t user_id;
	size_t ended;
	ones_time delete_at;
	enum ones_result result;
};

static enum ones_result change(struct ones_db *db, struct context *given)
{
	struct ones_request *req = given->req;
	const struct ones_new_account account = {
		.username = ones_field(req, "username"),
		.email = ones_field(req, "email"),
		.password_hash = ones_field(req, "password_hash"),
		.is_email_verified = ones_field_is_true(req, "verified"),
	};

	if (strcmp(given->call, "add") == 0)
		return ones_account_add(db, &account, &given->user_id);
	if (strcmp(given->call, "email") == 0)
		return ones_account_set_email(db, given->user_id, account.email, account.is_email_verified);
	if (strcmp(given->call, "withdraw") == 0)
		return ones_account_withdraw_password(db, given->user_id);
	if (strcmp(given->call, "end") == 0)
		return ones_account_end_sessions(db, given->user_id, ONES_REASON_REVOKED, &given->ended);
	if (strcmp(given->call, "forget") == 0)
		return ones_account_forget_failures(db, given->user_id);
	if (strcmp(given->call, "delete_in") == 0)
		return ones_account_delete_in(db, given->user_id, number(req, "pause_ms"), &given->delete_at);
	if (strcmp(given->call, "keep") == 0)
		return ones_account_keep(db, given->user_id);
	return ones_account_delete(db, given->user_id);
}

/* What was found out is told, also of a transaction that goes on after it. */
static enum ones_result change_in_transaction(struct ones_db *db, void *context)
{
	struct context *given = context;
	enum ones_result result;

	given->result = change(db, given);
	if (ones_field_is_true(given->req, "last"))
		return given->result;
	result = ones_sql(db, NULL, "SELECT 1", NULL, 0);
	return result == ONES_RESULT_OK && ones_field_is_true(given->req, "fail") ? ONES_RESULT_FAILED : result;
}

static void do_call(struct ones_request *req)
{
	struct context context = {.req = req, .call = ones_field(req, "call"), .user_id = number(req, "user_id")};
	enum ones_result result = ONES_RESULT_OK;

	if (ones_field_is_true(req, "outside"))
		context.result = change(ones_db(req), &context);
	else
		result = ones_transact(ones_db(req), change_in_transaction, &context);
	ones_reply_json(req, 200,
	                json_pack("{s:s, s:s, s:I, s:I, s:o}", "result", name_of(context.result), "transaction",
	                          name_of(result), "user_id", (json_int_t)context.user_id, "ended",
	                          (json_int_t)context.ended, "delete_at", ones_time_json(context.delete_at)));
}

static void find(struct ones_request *req)
{
	const char *login = ones_query(req, "login");
	const struct ones_account *account;
	enum ones_result result =
		login != NULL ? ones_account_by_login(ones_db(req), login, &account)
			      : ones_account_by_id(ones_db(req), ones_query_int(req, "id", 0, 0, INT64_MAX), &account);

	if (result != ONES_RESULT_OK || account == NULL)
		ones_reply_problem(req, 404, "none", name_of(result));
	else
		ones_reply_json(req, 200,
		                json_pack("{s:o, s:s?, s:s?, s:o, s:b, s:b, s:o, s:o}", "user",
		                          ones_user_json(&account->user), "email", account->email, "shown",
		                          account->email != NULL ? ones_email_shown(req, account->email) : NULL,
		                          "email_verified_at", ones_time_json(account->email_verified_at), "is_active",
		                          account->is_active, "has_password", account->has_password, "created_at",
		                          ones_time_json(account->created_at), "delete_at",
		                          ones_time_json(account->delete_at)));
}

static void hash(struct ones_request *req)
{
	const char *email = ones_field(req, "email") != NULL ? ones_plain_email(req, ones_field(req, "email")) : NULL;
	const char *made;
	enum ones_result result =
		ones_hash_password(req, ones_field(req, "password"), ones_field(req, "username"), email, &made);

	if (result == ONES_RESULT_OK)
		ones_reply_json(req, 200, json_pack("{s:s}", "hash", made));
	else
		ones_reply_failure(req, result, NULL);
}

/* What no handler is to do: two passwords in one request, the first one hashed or checked. */
static void both(struct ones_request *req)
{
	const struct ones_credentials credentials = {.username = ones_field(req, "username"),
	                                             .password = ones_field(req, "password")};
	const char *second = ones_field(req, "second"), *made = NULL;
	struct ones_login login;
	enum ones_result result;

	if (ones_field_is_true(req, "hash_first")) {
		result = ones_hash_password(req, second, NULL, NULL, &made);
		if (result == ONES_RESULT_OK)
			result = ones_login(req, &credentials, &login);
	} else {
		result = ones_login(req, &credentials, &login);
		if (result == ONES_RESULT_OK)
			result = ones_hash_password(req, second, NULL, NULL, &made);
	}
	if (result == ONES_RESULT_OK)
		ones_reply_json(req, 200, json_pack("{s:s?}", "hash", made));
	else
		ones_reply_failure(req, result, NULL);
}

static enum ones_result use_proof(struct ones_db *db, void *context)
{
	struct ones_request *req = context;
	struct ones_rows *rows;
	enum ones_result result = ones_sql(db, &rows, "DELETE FROM people.proofs WHERE proof = $1 RETURNING true",
	                                   ONES_VALUES(ONES_TEXT(ones_field(req, "proof"))));

	return result == ONES_RESULT_OK && ones_rows_count(rows) == 0 ? ONES_RESULT_INVALID : result;
}

static void sign_in(struct ones_request *req)
{
	const char *password = ones_field(req, "password");
	struct ones_proof proof = {.user_id = number(req, "user_id"), .in_transaction = use_proof, .context = req};
	struct ones_login login = {0};
	enum ones_result result = ONES_RESULT_OK;

	if (password != NULL)
		result = ones_hash_password(req, password, NULL, NULL, &proof.new_password_hash);
	if (result == ONES_RESULT_OK)
		result = ones_sign_in(req, &proof, &login);
	if (result == ONES_RESULT_OK)
		ones_reply_json(req, 200,
		                json_pack("{s:o, s:o, s:I}", "user", ones_user_json(&login.session.user), "session",
		                          ones_session_json(&login.session), "displaced",
		                          (json_int_t)login.displaced.count));
	else
		ones_reply_failure(req, result, &login);
}

static bool setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/do", .post = do_call});
	ones_route(app, &(struct ones_route){.path = "/find", .get = find});
	ones_route(app, &(struct ones_route){.path = "/hash", .post = hash, .hashes = true});
	ones_route(app, &(struct ones_route){.path = "/both", .post = both, .hashes = true});
	ones_route(app, &(struct ones_route){.path = "/sign-in", .post = sign_in, .hashes = true});
	return true;
}

ONES_MODULE(.name = "people", .version = "1", .setup = setup);

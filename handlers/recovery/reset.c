/*
 * /reset: a new password, by what the mail of /forgot has brought: the token of its link, or login and code. Whoever
 * has it reads the account's mail, and is told what concerns the account; everybody else is told the same of each
 * account.
 */
#include "recovery.h"

#include <string.h>

/* What a request brings: the fields that are filled in. */
struct attempt {
	struct ones_mail_key key;
	const char *new_password;
	const char *next;
};

/* What it stands for. */
struct claim {
	const struct ones_mail_token *token;
	const struct ones_account *account;
};

void reset_show(struct ones_request *req, int status, const char *next, json_t *values)
{
	ones_allow_form_redirects(req);
	reply_page_of_link(req, status, "reset.html", "/reset",
	                   with_more(values, json_pack("{s:s}", "next", next != NULL ? next : "")));
}

/* Only as long as the address is the account's: who has given it up need not have the mailbox any more. */
static bool is_still_to_owner(const struct claim *claim)
{
	const struct ones_account *account = claim->account;

	return account != NULL && account->email != NULL && account->email_verified_at != 0 &&
	       strcmp(account->email, claim->token->recipient) == 0;
}

/* ONES_RESULT_CLOSED is for the mailbox's owner alone. */
static enum ones_result find_claim(struct ones_request *req, const struct ones_mail_key *key, struct claim *claim)
{
	enum ones_result result = ones_find_mail_token(ones_db(req), RESET, key, &claim->token);

	if (result == ONES_RESULT_OK)
		result = ones_account_by_id(ones_db(req), claim->token->user_id, &claim->account);
	if (result != ONES_RESULT_OK)
		return result;
	if (!is_still_to_owner(claim))
		return ONES_RESULT_INVALID;
	return claim->account->is_active ? ONES_RESULT_OK : ONES_RESULT_CLOSED;
}

/* ---- The page -------------------------------------------------------------------------------------------------- */

/* The page that shows the form again, with what was sent but for the password. */
static json_t *values_of(struct ones_request *req, const struct attempt *attempt, const struct claim *claim)
{
	if (attempt->key.token == NULL)
		return json_pack("{s:s*, s:s*}", "login", ones_field(req, "login"), "code", ones_field(req, "code"));
	return json_pack("{s:s, s:s*}", "token", attempt->key.token, "username",
	                 claim->account != NULL ? claim->account->user.username : NULL);
}

static void show_with(struct ones_request *req, int status, const struct attempt *attempt, const struct claim *claim,
                      json_t *more)
{
	json_t *values = values_of(req, attempt, claim);

	reset_show(req, status, attempt->next, with_more(values, more));
}

static void show_failure(struct ones_request *req, enum ones_result result, const struct attempt *attempt,
                         const struct claim *claim)
{
	switch (result) {
	case ONES_RESULT_INVALID:
		show_with(req, 401, attempt, &(struct claim){0}, json_pack("{s:b}", "invalid", 1));
		break;
	case ONES_RESULT_CLOSED: show_with(req, 403, attempt, claim, json_pack("{s:b}", "closed", 1)); break;
	case ONES_RESULT_UNACCEPTABLE:
		show_with(req, 400, attempt, claim,
		          json_pack("{s:s}", "problem", ones_sentence(req, ones_password_problem(req))));
		break;
	case ONES_RESULT_REFUSED:
		show_with(req, 403, attempt, claim,
		          json_pack("{s:s}", "refusal", ones_sentence(req, ones_refusal(req)->sentence)));
		break;
	default: ones_reply_failure(req, result, NULL); break;
	}
}

static void reply_failed(struct ones_request *req, enum ones_result result, const struct attempt *attempt,
                         const struct claim *claim)
{
	if (!ones_is_program(req))
		show_failure(req, result, attempt, claim);
	else if (result == ONES_RESULT_INVALID)
		reply_invalid_code(req);
	else
		ones_reply_failure(req, result, NULL);
}

static void reset_page(struct ones_request *req)
{
	const struct attempt attempt = {.key = {.token = ones_query(req, "token")}};
	struct claim claim = {0};
	enum ones_result result;

	if (attempt.key.token == NULL) {
		reset_show(req, 200, ones_query(req, "next"), json_object());
		return;
	}
	result = find_claim(req, &attempt.key, &claim);
	if (result == ONES_RESULT_OK)
		show_with(req, 200, &attempt, &claim, json_object());
	else
		reply_failed(req, result, &attempt, &claim);
}

/* ---- The new password ------------------------------------------------------------------------------------------ */

/* In the login's transaction. */
static enum ones_result use_up(struct ones_db *db, void *context)
{
	return ones_use_mail_token(db, context);
}

static enum ones_result try_reset(struct ones_request *req, const struct attempt *attempt, struct claim *claim,
                                  struct ones_login *login)
{
	struct ones_proof proof = {.in_transaction = use_up};
	enum ones_result result = find_claim(req, &attempt->key, claim);

	if (result == ONES_RESULT_OK)
		result = ones_hash_password(req, attempt->new_password, claim->account->user.username,
		                            claim->account->email, &proof.new_password_hash);
	if (result != ONES_RESULT_OK)
		return result;
	proof.user_id = claim->account->user.id;
	proof.context = (void *)(uintptr_t)claim->token;
	return ones_sign_in(req, &proof, login);
}

/* By the form's own, else where they wanted to go when they asked for the mail. */
static void lead_on(struct ones_request *req, const struct attempt *attempt, const struct ones_mail_token *token,
                    ones_time delete_at)
{
	const char *next =
		attempt->next != NULL ? attempt->next : json_string_value(json_object_get(token->values, "next"));

	if (next == NULL)
		next = ones_url(req, "/account?changed");
	ones_reply_redirect(req, after_sign_in(req, delete_at, next));
}

static void reset(struct ones_request *req)
{
	const struct attempt attempt = {
		.key = mail_key_of(req),
		.new_password = filled_field(req, "new_password"),
		.next = filled_field(req, "next"),
	};
	struct claim claim = {0};
	struct ones_login login;
	enum ones_result result;

	/* Before anything is looked at: mail scanners send the forms that they find, as they are. */
	if (attempt.new_password == NULL || !is_mail_key(&attempt.key)) {
		if (ones_is_program(req))
			ones_reply_problem(req, 400, "bad_request",
			                   "A new_password is needed, and a token, or login and code.");
		else
			show_with(req, 400, &attempt, &claim, json_pack("{s:b}", "missing", 1));
		return;
	}
	result = try_reset(req, &attempt, &claim, &login);
	if (result != ONES_RESULT_OK)
		reply_failed(req, result, &attempt, &claim);
	else if (ones_is_program(req))
		ones_reply_json(req, 200, login_json(&login));
	else
		lead_on(req, &attempt, claim.token, login.delete_at);
}

void reset_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/reset", .get = reset_page, .post = reset, .hashes = true});
}

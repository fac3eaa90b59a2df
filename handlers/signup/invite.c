/*
 * /invite: an account that an operator has made gets its password from the person whose address it has, by what the
 * mail of "onesessionctl user add --invite" has brought. That proves the address, too.
 */
#include "signup.h"

#include <string.h>

struct invitation {
	const struct ones_mail_token *token;
	const struct ones_account *account;
};

/* Not any more when an operator has given the account another address, or a password. */
static bool is_open(const struct invitation *invitation)
{
	const struct ones_account *account = invitation->account;

	return account != NULL && !account->has_password && account->email != NULL &&
	       strcmp(account->email, invitation->token->recipient) == 0;
}

static enum ones_result find_invitation(struct ones_request *req, const struct ones_mail_key *key,
                                        struct invitation *invitation)
{
	enum ones_result result = ones_find_mail_token(ones_db(req), PURPOSE_INVITE, key, &invitation->token);

	if (result == ONES_RESULT_OK)
		result = ones_account_by_id(ones_db(req), invitation->token->user_id, &invitation->account);
	if (result != ONES_RESULT_OK)
		return result;
	if (!is_open(invitation))
		return ONES_RESULT_INVALID;
	return invitation->account->is_active ? ONES_RESULT_OK : ONES_RESULT_CLOSED;
}

/* ---- The page ---------------------------------------------------------------------------------------------------- */

/* The form again; takes over the reference. Only who reads the account's mail is told its name. */
static void show(struct ones_request *req, int status, const struct ones_mail_key *key,
                 const struct invitation *invitation, json_t *more)
{
	const struct ones_account *account = status != 401 ? invitation->account : NULL;
	json_t *page = account == NULL
	                       ? json_pack("{s:s*}", "login", key->login)
	                       : json_pack("{s:{s:s, s:s}, s:s*, s:s*, s:s*}", "account", "username",
	                                   account->user.username, "email", ones_email_shown(req, account->email),
	                                   "token", key->token, "login", key->login, "code", key->code);

	ones_allow_form_redirects(req);
	reply_page_of_link(req, status, "invite.html", "/invite", with_more(page, more));
}

static void show_failure(struct ones_request *req, enum ones_result result, const struct ones_mail_key *key,
                         const struct invitation *invitation)
{
	switch (result) {
	case ONES_RESULT_INVALID: show(req, 401, key, invitation, json_pack("{s:b}", "invalid", 1)); break;
	case ONES_RESULT_UNACCEPTABLE:
		show(req, 400, key, invitation,
		     json_pack("{s:s}", "problem", ones_sentence(req, ones_password_problem(req))));
		break;
	case ONES_RESULT_REFUSED:
		show(req, 403, key, invitation,
		     json_pack("{s:s}", "refusal", ones_sentence(req, ones_refusal(req)->sentence)));
		break;
	default: ones_reply_failure(req, result, NULL); break;
	}
}

static void reply_failed(struct ones_request *req, enum ones_result result, const struct ones_mail_key *key,
                         const struct invitation *invitation)
{
	if (!ones_is_program(req))
		show_failure(req, result, key, invitation);
	else if (result == ONES_RESULT_INVALID)
		reply_invalid_code(req);
	else
		ones_reply_failure(req, result, NULL);
}

static void invite_page(struct ones_request *req)
{
	const struct ones_mail_key key = {.token = ones_query(req, "token")};
	struct invitation invitation = {0};
	enum ones_result result = key.token != NULL ? find_invitation(req, &key, &invitation) : ONES_RESULT_OK;

	if (result == ONES_RESULT_OK)
		show(req, 200, &key, &invitation, json_object());
	else
		reply_failed(req, result, &key, &invitation);
}

/* ---- Accepting it ------------------------------------------------------------------------------------------------ */

/* In the login's transaction. */
static enum ones_result use_up(struct ones_db *db, void *context)
{
	const struct ones_mail_token *token = context;
	enum ones_result result = ones_use_mail_token(db, token);

	return result == ONES_RESULT_OK ? ones_account_set_email(db, token->user_id, token->recipient, true) : result;
}

static enum ones_result accept_invitation(struct ones_request *req, const struct ones_mail_key *key,
                                          const char *password, struct invitation *invitation, struct ones_login *login)
{
	struct ones_proof proof = {.in_transaction = use_up};
	enum ones_result result = find_invitation(req, key, invitation);

	if (result == ONES_RESULT_OK)
		result = ones_hash_password(req, password, invitation->account->user.username,
		                            invitation->account->email, &proof.new_password_hash);
	if (result != ONES_RESULT_OK)
		return result;
	proof.user_id = invitation->account->user.id;
	proof.context = (void *)(uintptr_t)invitation->token;
	return ones_sign_in(req, &proof, login);
}

static void invite(struct ones_request *req)
{
	const struct ones_mail_key key = mail_key_of(req);
	const char *password = filled_field(req, "password");
	struct invitation invitation = {0};
	struct ones_login login;
	enum ones_result result;

	/* Before anything is looked at: mail scanners send the forms that they find, as they are. */
	if (password == NULL || !is_mail_key(&key)) {
		ones_reply_problem(req, 400, "bad_request", "A password is needed, and a token, or login and code.");
		return;
	}
	result = accept_invitation(req, &key, password, &invitation, &login);
	if (result != ONES_RESULT_OK)
		reply_failed(req, result, &key, &invitation);
	else if (ones_is_program(req))
		ones_reply_json(req, 200, login_json(&login));
	else
		ones_reply_redirect(req, ones_next(req, NULL));
}

void invite_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/invite", .get = invite_page, .post = invite, .hashes = true});
}

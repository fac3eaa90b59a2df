/*
 * /undo: "that was not me", by the link of a notice. Whoever is in is put out, and the password, which somebody else
 * knows, lets nobody in any more; a mail goes out by which its owner chooses another one. The link itself signs nobody
 * in: it lives for days, and the worst that it does in other hands is that the owner has to answer one more mail.
 */
#include "notices.h"

#include <string.h>

/* What a request brings, and what it stands for. */
struct claim {
	const char *token;
	const struct ones_mail_token *found;
	const struct ones_account *account;
	const char *former_email; /* the address that becomes the account's again; NULL: it keeps the one that it has */
};

struct undoing {
	struct ones_request *req;
	const struct claim *claim;
};

/* What a notice of a new address has said of the account: the address itself may be another account's by now. */
static enum ones_result find_by_email(struct ones_db *db, struct claim *claim)
{
	claim->former_email = claim->found->recipient;
	return ones_account_by_id(db, json_integer_value(json_object_get(claim->found->values, "user_id")),
	                          &claim->account);
}

/* Only as long as the address is the account's: else the mail that follows would go to another mailbox. */
static enum ones_result find_by_account(struct ones_db *db, struct claim *claim)
{
	enum ones_result result = ones_account_by_id(db, claim->found->user_id, &claim->account);

	return result == ONES_RESULT_OK && claim->account != NULL &&
	                       (claim->account->email == NULL ||
	                        strcmp(claim->account->email, claim->found->recipient) != 0)
	               ? ONES_RESULT_INVALID
	               : result;
}

static enum ones_result find_claim(struct ones_request *req, struct claim *claim)
{
	const struct ones_mail_key key = {.token = claim->token};
	struct ones_db *db = ones_db(req);
	enum ones_result result = ones_find_mail_token(db, UNDO " " UNDO_EMAIL, &key, &claim->found);

	if (result == ONES_RESULT_OK)
		result = strcmp(claim->found->purpose, UNDO) == 0 ? find_by_account(db, claim)
		                                                  : find_by_email(db, claim);
	return result == ONES_RESULT_OK && claim->account == NULL ? ONES_RESULT_INVALID : result;
}

/* ---- Answers ---------------------------------------------------------------------------------------------------- */

/* Takes over the reference. */
static void show(struct ones_request *req, int status, json_t *values)
{
	reply_page_of_link(req, status, "undo.html", "/undo", values);
}

static void show_form(struct ones_request *req, int status, const struct claim *claim, bool is_unticked)
{
	show(req, status,
	     json_pack("{s:b, s:s, s:s, s:s*, s:b}", "asks", 1, "token", claim->token, "username",
	               claim->account->user.username, "email",
	               claim->former_email != NULL ? ones_email_shown(req, claim->former_email) : NULL, "unticked",
	               (int)is_unticked));
}

static void reply_failed(struct ones_request *req, enum ones_result result)
{
	bool is_invalid = result == ONES_RESULT_INVALID;
	bool is_taken = result == ONES_RESULT_DUPLICATE;

	if (!is_invalid && !is_taken)
		ones_reply_failure(req, result, NULL);
	else if (!ones_is_program(req))
		show(req, is_invalid ? 401 : 409, json_pack("{s:b}", is_invalid ? "invalid" : "taken", 1));
	else if (is_invalid)
		reply_invalid_code(req);
	else
		ones_reply_problem(req, 409, "duplicate", "Another account has that address by now.");
}

static void undo_page(struct ones_request *req)
{
	struct claim claim = {.token = ones_query(req, "token")};
	enum ones_result result = claim.token != NULL ? find_claim(req, &claim) : ONES_RESULT_INVALID;

	if (result == ONES_RESULT_OK)
		show_form(req, 200, &claim, false);
	else
		reply_failed(req, result);
}

/* ---- Undoing ---------------------------------------------------------------------------------------------------- */

static enum ones_result write_reset(struct ones_db *db, const struct undoing *undoing)
{
	const struct ones_mail mail = {
		.kind = "undone",
		.user_id = undoing->claim->account->user.id,
		.language = ones_language(undoing->req),
		.purpose = RESET,
		.lifetime_ms = ones_option_number(ones_app(undoing->req), "accounts.reset_lifetime"),
		.path = "/reset",
	};

	return ones_mail(db, &mail);
}

/*
 * Who has an address that the account had before has more right to it than who has a later one: of several that had it
 * one after the other, the links of those after this one are void, and those before it stay.
 */
static enum ones_result void_later_links(struct ones_db *db, const struct claim *claim)
{
	/* One after the other: a mail that is being sent is waited for, and then its token is there. */
	static const char *const statements[] = {
		"DELETE FROM mails m USING mail_tokens u WHERE u.token_key = sha256(convert_to($2, 'UTF8'))"
		" AND m.purpose = '" UNDO_EMAIL "' AND m.state = 'queued' AND m.about_id = $1 AND m.id > u.mail_id",
		"DELETE FROM mail_tokens t USING mail_tokens u WHERE u.token_key = sha256(convert_to($2, 'UTF8'))"
		" AND t.purpose = '" UNDO_EMAIL "' AND t.user_id IS NULL"
		" AND t.data ->> 'user_id' = $1::bigint::text AND t.mail_id > u.mail_id",
	};
	enum ones_result result = ONES_RESULT_OK;

	for (size_t i = 0; i < sizeof statements / sizeof statements[0] && result == ONES_RESULT_OK; i++)
		result = ones_sql(db, NULL, statements[i],
		                  ONES_VALUES(ONES_INT(claim->account->user.id), ONES_TEXT(claim->token)));
	return result;
}

static enum ones_result undo(struct ones_db *db, void *context)
{
	const struct undoing *undoing = context;
	const struct claim *claim = undoing->claim;
	int64_t user_id = claim->account->user.id;
	enum ones_result result = claim->former_email != NULL ? void_later_links(db, claim) : ONES_RESULT_OK;

	if (result == ONES_RESULT_OK)
		result = ones_use_mail_token(db, claim->found);

	if (result == ONES_RESULT_OK && claim->former_email != NULL)
		result = ones_account_set_email(db, user_id, claim->former_email, true);
	if (result == ONES_RESULT_OK)
		result = ones_account_withdraw_password(db, user_id);
	/* Whoever was in may have asked for another address, or for the account to be deleted. */
	if (result == ONES_RESULT_OK)
		result = ones_drop_mail_tokens(db, user_id, NULL);
	if (result == ONES_RESULT_OK && claim->account->delete_at != 0)
		result = ones_account_keep(db, user_id);
	return result == ONES_RESULT_OK ? write_reset(db, undoing) : result;
}

static void reply_undone(struct ones_request *req, const struct claim *claim)
{
	if (ones_is_program(req))
		ones_reply_json(req, 200, json_pack("{s:o}", "user", ones_user_json(&claim->account->user)));
	else
		show(req, 200,
		     json_pack("{s:b, s:s, s:s*}", "undone", 1, "username", claim->account->user.username, "email",
		               claim->former_email != NULL ? ones_email_shown(req, claim->former_email) : NULL));
}

static void undo_asked(struct ones_request *req)
{
	struct claim claim = {.token = filled_field(req, "token")};
	enum ones_result result;

	if (claim.token == NULL) {
		ones_reply_problem(req, 400, "bad_request", "The token of the link is needed.");
		return;
	}
	result = find_claim(req, &claim);
	/* Mail scanners send the forms that they find, as they are. */
	if (result == ONES_RESULT_OK && lacks_tick(req)) {
		show_form(req, 400, &claim, true);
		return;
	}
	if (result == ONES_RESULT_OK)
		result = ones_transact(ones_db(req), undo, &(struct undoing){.req = req, .claim = &claim});
	if (result == ONES_RESULT_OK)
		reply_undone(req, &claim);
	else
		reply_failed(req, result);
}

void undo_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/undo", .get = undo_page, .post = undo_asked});
}

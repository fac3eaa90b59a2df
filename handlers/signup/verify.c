/*
 * /verify: an address is proved by what its mail has brought, the token of the link or login and code. That makes the
 * account of a sign-up, or gives an account its new address; or whoever reads that mail says that it was somebody else.
 * The page's form wants a tick that only a person sets: mail scanners follow links, and some send the forms they find.
 */
#include "signup.h"

#include <string.h>

/* What a request brings: the fields that are filled in. */
struct attempt {
	struct ones_mail_key key;
	const char *username; /* in place of the one that is taken */
	bool not_me;
	bool only_looks; /* it came from the form for login and code, and nobody has seen yet what that stands for */
	bool lacks_tick; /* the page's form came as it was found */
};

/* What it stands for. */
struct claim {
	const struct ones_mail_token *token;
	bool is_signup;
	struct signup signup;               /* of a sign-up */
	const struct ones_account *account; /* else */
	int64_t user_id;                    /* the account that was made or changed */
};

static struct attempt read_attempt(struct ones_request *req)
{
	return (struct attempt){
		.key = mail_key_of(req),
		.username = filled_field(req, "username"),
		.not_me = ones_field_is_true(req, "not_me"),
		.only_looks = ones_field(req, "page") != NULL && ones_field_is_true(req, "look"),
		.lacks_tick = lacks_tick(req),
	};
}

/* ---- What a link or code stands for ------------------------------------------------------------------------------ */

static enum ones_result find_signup(struct ones_request *req, struct claim *claim)
{
	int64_t id = json_integer_value(json_object_get(claim->token->values, "signup"));
	enum ones_result result = signup_find(ones_db(req), id, &claim->signup, &claim->is_signup);

	return result == ONES_RESULT_OK && !claim->is_signup ? ONES_RESULT_INVALID : result;
}

static enum ones_result find_account(struct ones_request *req, struct claim *claim)
{
	enum ones_result result = ones_account_by_id(ones_db(req), claim->token->user_id, &claim->account);

	return result == ONES_RESULT_OK && (claim->account == NULL || !claim->account->is_active) ? ONES_RESULT_INVALID
	                                                                                          : result;
}

static enum ones_result find_claim(struct ones_request *req, const struct ones_mail_key *key, struct claim *claim)
{
	enum ones_result result =
		ones_find_mail_token(ones_db(req), PURPOSE_SIGNUP " " PURPOSE_EMAIL, key, &claim->token);

	if (result != ONES_RESULT_OK)
		return result;
	return strcmp(claim->token->purpose, PURPOSE_SIGNUP) == 0 ? find_signup(req, claim) : find_account(req, claim);
}

/* Is it the name that another account has, and not the address? */
static enum ones_result is_name_taken(struct ones_request *req, const char *username, bool *is_taken)
{
	const struct ones_account *account = NULL;
	enum ones_result result = ones_account_by_login(ones_db(req), username, &account);

	*is_taken = account != NULL;
	return result;
}

/* ---- Pages ------------------------------------------------------------------------------------------------------- */

/* What the page says of the claim: a new reference, NULL when out of memory. */
static json_t *values_of(struct ones_request *req, const struct attempt *attempt, const struct claim *claim)
{
	const struct signup *signup = &claim->signup;
	json_t *values = json_pack("{s:b, s:s*, s:s*, s:s*}", "has_claim", 1, "token", attempt->key.token, "login",
	                           attempt->key.login, "code", attempt->key.code);
	json_t *more = claim->is_signup
	                       ? json_pack("{s:{s:s, s:s, s:o, s:s}}", "signup", "username", signup->username, "email",
	                                   ones_email_shown(req, signup->email), "since",
	                                   ones_moment_json(signup->created_at), "ip", signup->ip)
	                       : json_pack("{s:{s:s, s:s}}", "change", "username", claim->account->user.username,
	                                   "email", ones_email_shown(req, claim->token->recipient));

	return with_more(values, more);
}

/* The page that asks for the tick, with what was wrong; takes over the reference. */
static void show_claim(struct ones_request *req, int status, const struct attempt *attempt, const struct claim *claim,
                       json_t *more)
{
	json_t *values = values_of(req, attempt, claim);

	reply_page_of_link(req, status, "verify.html", "/verify", with_more(values, more));
}

/* The name of a sign-up is another's by now: the page has a field for another name. `problem` may be NULL. */
static void show_choice(struct ones_request *req, int status, const struct attempt *attempt, const struct claim *claim,
                        const char *problem)
{
	const char *username = attempt->username != NULL ? attempt->username : claim->signup.username;

	show_claim(req, status, attempt, claim,
	           json_pack("{s:{s:s, s:s*}}", "choice", "wanted", username, "name_problem",
	                     problem != NULL ? ones_sentence(req, problem) : NULL));
}

/* People get the form for login and code, which an outdated link leads to as well. */
static void reply_invalid(struct ones_request *req, const struct attempt *attempt)
{
	if (ones_is_program(req))
		reply_invalid_code(req);
	else
		reply_page_of_link(req, 401, "verify.html", "/verify",
		                   json_pack("{s:b, s:s*}", "invalid", 1, "login", attempt->key.login));
}

/* What it stands for, which is left as it is. */
static void look(struct ones_request *req, const struct attempt *attempt)
{
	struct claim claim = {0};
	bool is_taken = false;
	enum ones_result result = find_claim(req, &attempt->key, &claim);

	if (result == ONES_RESULT_OK && claim.is_signup)
		result = is_name_taken(req, claim.signup.username, &is_taken);
	if (result == ONES_RESULT_INVALID)
		reply_invalid(req, attempt);
	else if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else if (is_taken)
		show_choice(req, 200, attempt, &claim, NULL);
	else
		show_claim(req, 200, attempt, &claim, json_object());
}

const char *verify_url(struct ones_request *req, const char *next)
{
	return ones_url_with_next(req, ones_module_url(req, "/verify"), next);
}

/* What people are led to that open a place for accounts with an address: verify_url(). */
static void lead_to_address(struct ones_request *req, const char *next)
{
	const struct ones_session *session = ones_session(req);

	if (session == NULL && ones_can_sign_in(ones_app(req)))
		ones_reply_redirect(req, ones_sign_in_url(req, next, false));
	else if (session == NULL)
		ones_reply_unauthenticated(req);
	else if (session->email != NULL)
		ones_reply_redirect(req, ones_next(req, next));
	/* Addresses are the affair of where people sign in. */
	else if (!has_login(ones_app(req)))
		ones_reply_problem(req, 403, requirement_code(REQUIREMENT_UNVERIFIED),
		                   requirement_sentence(REQUIREMENT_UNVERIFIED));
	else
		show_email_needed(req, next);
}

static void verify_page(struct ones_request *req)
{
	const struct attempt attempt = {.key = {.token = ones_query(req, "token")}};
	const char *next = ones_query(req, "next");

	if (attempt.key.token == NULL && next != NULL)
		lead_to_address(req, next);
	else if (attempt.key.token == NULL)
		reply_page_of_link(req, 200, "verify.html", "/verify", json_object());
	else
		look(req, &attempt);
}

/* ---- What is done ------------------------------------------------------------------------------------------------ */

struct deed {
	const struct attempt *attempt;
	struct claim *claim;
	const char *username; /* of the account to be made */
	const char *language; /* of whoever proves the address */
};

/* Everything, or nothing: what it could not be used for leaves the token as it was. */
static enum ones_result make_account(struct ones_db *db, const struct deed *deed)
{
	const struct signup *signup = &deed->claim->signup;
	const struct ones_new_account account = {
		.username = deed->username,
		.password_hash = signup->password_hash,
		.email = signup->email,
		.is_email_verified = true,
	};
	enum ones_result result = signup_remove(db, signup->id);

	if (result == ONES_RESULT_OK)
		result = ones_account_add(db, &account, &deed->claim->user_id);
	return result == ONES_RESULT_OK ? signup_claim_mails(db, signup, deed->claim->user_id) : result;
}

static enum ones_result change_email(struct ones_db *db, const struct deed *deed)
{
	const struct ones_mail_token *token = deed->claim->token;
	const struct ones_account *account = deed->claim->account;
	bool is_another = account->email == NULL || strcmp(account->email, token->recipient) != 0;
	enum ones_result result = ONES_RESULT_OK;

	deed->claim->user_id = token->user_id;
	/* Its receivers find the address that is given up. */
	if (is_another)
		result = ones_emit(db, SIGNAL_EMAIL_CHANGED,
		                   json_pack("{s:I, s:s, s:s}", "user_id", (json_int_t)token->user_id, "username",
		                             account->user.username, "language", deed->language));
	return result == ONES_RESULT_OK ? ones_account_set_email(db, token->user_id, token->recipient, true) : result;
}

static enum ones_result do_deed(struct ones_db *db, void *context)
{
	/* The account before its links, as who chooses a new password does, or the two would wait for each other. */
	static const char hold[] = "SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE";
	const struct deed *deed = context;
	enum ones_result result = ones_sql(db, NULL, hold, ONES_VALUES(ONES_INT(deed->claim->token->user_id)));

	if (result == ONES_RESULT_OK)
		result = ones_use_mail_token(db, deed->claim->token);
	if (result != ONES_RESULT_OK)
		return result;
	if (deed->attempt->not_me)
		return deed->claim->is_signup ? signup_remove(db, deed->claim->signup.id) : ONES_RESULT_OK;
	return deed->claim->is_signup ? make_account(db, deed) : change_email(db, deed);
}

/* ---- Answers ----------------------------------------------------------------------------------------------------- */

/* What the address was needed for; NULL: nothing in particular. */
static const char *needed_for(struct ones_request *req, const struct claim *claim)
{
	const char *next = json_string_value(json_object_get(claim->token->values, "next"));

	return next != NULL ? ones_next(req, next) : NULL;
}

static void reply_done(struct ones_request *req, const struct deed *deed)
{
	const struct claim *claim = deed->claim;
	const struct ones_user user = {.id = claim->user_id,
	                               .username = claim->is_signup ? deed->username : claim->account->user.username,
	                               .is_admin = !claim->is_signup && claim->account->user.is_admin};

	if (ones_is_program(req))
		ones_reply_json(req, 200,
		                deed->attempt->not_me ? json_pack("{s:n}", "user")
		                                      : json_pack("{s:o, s:s}", "user", ones_user_json(&user), "email",
		                                                  claim->token->recipient));
	else
		reply_page_of_link(req, 200, "verified.html", "/verify",
		                   json_pack("{s:b, s:s, s:s, s:s*}",
		                             deed->attempt->not_me ? (claim->is_signup ? "removed" : "refused")
		                             : claim->is_signup    ? "made"
		                                                   : "changed",
		                             1, "username", user.username, "email",
		                             ones_email_shown(req, claim->token->recipient), "next",
		                             needed_for(req, claim)));
}

/* Somebody else has name or address since. */
static void reply_taken(struct ones_request *req, const struct deed *deed)
{
	bool is_name = false;
	enum ones_result result =
		deed->claim->is_signup ? is_name_taken(req, deed->username, &is_name) : ONES_RESULT_OK;
	const char *problem = is_name ? "Another account has that name. Please choose another one."
	                              : "There is an account with that address already.";

	if (result != ONES_RESULT_OK)
		ones_reply_failure(req, result, NULL);
	else if (ones_is_program(req))
		ones_reply_problem_with(req, 409, "duplicate", problem,
		                        json_pack("{s:s}", "field", is_name ? "username" : "email"));
	else if (is_name)
		show_choice(req, 409, deed->attempt, deed->claim, problem);
	else
		reply_page_of_link(req, 409, "verified.html", "/verify",
		                   json_pack("{s:b, s:s}", "taken", 1, "email",
		                             ones_email_shown(req, deed->claim->token->recipient)));
}

static void reply_failed(struct ones_request *req, enum ones_result result, const struct deed *deed)
{
	if (result == ONES_RESULT_DUPLICATE)
		reply_taken(req, deed);
	else if (result != ONES_RESULT_INVALID)
		ones_reply_failure(req, result, NULL);
	else
		reply_invalid(req, deed->attempt);
}

/* The name to be: what was chosen in place of the one that is taken. False: it was refused. */
static bool choose_name(struct ones_request *req, struct deed *deed)
{
	const char *problem;

	deed->username = deed->claim->signup.username;
	if (deed->attempt->username == NULL || deed->attempt->not_me)
		return true;
	deed->username = ones_plain_name(req, deed->attempt->username);
	problem = deed->username != NULL ? ones_name_problem(deed->username) : "Out of memory.";
	if (problem == NULL)
		return true;
	if (ones_is_program(req))
		ones_reply_problem(req, 400, "bad_request", problem);
	else
		show_choice(req, 400, deed->attempt, deed->claim, problem);
	return false;
}

static void verify(struct ones_request *req)
{
	const struct attempt attempt = read_attempt(req);
	struct claim claim = {0};
	struct deed deed = {.attempt = &attempt, .claim = &claim, .language = ones_language(req)};
	enum ones_result result;

	if (!is_mail_key(&attempt.key)) {
		ones_reply_problem(req, 400, "bad_request", "A token is needed, or login and code.");
		return;
	}
	if (attempt.only_looks) {
		look(req, &attempt);
		return;
	}
	result = find_claim(req, &attempt.key, &claim);
	if (result == ONES_RESULT_OK && attempt.lacks_tick) {
		show_claim(req, 400, &attempt, &claim, json_pack("{s:b}", "unticked", 1));
		return;
	}
	if (result == ONES_RESULT_OK && claim.is_signup && !choose_name(req, &deed))
		return;
	if (result == ONES_RESULT_OK)
		result = ones_transact(ones_db(req), do_deed, &deed);
	if (result == ONES_RESULT_OK)
		reply_done(req, &deed);
	else
		reply_failed(req, result, &deed);
}

void verify_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/verify", .get = verify_page, .post = verify});
}

/*
 * /email: another address for the account of the session. It stays what it is until the new one is proved, at /verify;
 * whether that is another account's shows to its mailbox only.
 */
#include "signup.h"

/*
 * The page, with what was typed; NULL: the address that waits to be proved, if there is one. `next` (NULL: nothing in
 * particular) is what it was needed for. Takes over the reference.
 */
static void show(struct ones_request *req, int status, const char *typed, const char *next, json_t *more)
{
	const struct ones_account *account;
	enum ones_result result = ones_account_by_id(ones_db(req), ones_session(req)->user.id, &account);
	json_t *page;

	if (result != ONES_RESULT_OK || account == NULL) {
		json_decref(more);
		ones_reply_failure(req, result == ONES_RESULT_OK ? ONES_RESULT_ENDED : result, NULL);
		return;
	}
	if (typed == NULL && next != NULL && account->email != NULL)
		typed = ones_email_shown(req, account->email);
	page = json_pack("{s:s, s:s*, s:b, s:s, s:s*, s:b}", "username", account->user.username, "email",
	                 account->email != NULL ? ones_email_shown(req, account->email) : NULL, "verified",
	                 (int)(account->email_verified_at != 0), "typed", typed != NULL ? typed : "", "next", next,
	                 "needed", (int)(next != NULL && account->email_verified_at == 0));
	ones_reply_page(req, status, "email.html", with_more(page, more));
}

void show_email_needed(struct ones_request *req, const char *next)
{
	show(req, 200, NULL, next, json_object());
}

/*
 * False: it was answered. Who has found somebody's browser is not to take the account away. `next` NULL: it was not
 * needed for anything in particular.
 */
static bool is_open(struct ones_request *req, const char *next)
{
	const char *back = ones_module_url(req, "/email");

	if (ones_session(req) == NULL)
		reply_not_signed_in(req);
	else if (!ones_is_fresh(req))
		ones_reply_stale(req, next != NULL ? verify_url(req, next) : back);
	else
		return true;
	return false;
}

static void email_page(struct ones_request *req)
{
	if (is_open(req, NULL))
		show(req, 200, NULL, NULL, json_object());
}

struct asking {
	struct ones_request *req;
	const char *email;
	const char *next; /* what it is needed for; NULL: nothing in particular */
	int64_t lifetime_ms;
};

/*
 * A new password, an undo and whatever else puts this session out drop what was asked for. What is asked for at the
 * same moment comes before that, or is not done.
 */
static enum ones_result hold_account(struct ones_db *db, const struct ones_session *session)
{
	static const char sql[] = "SELECT FROM users WHERE id = $1 FOR SHARE";
	enum ones_result result = ones_sql(db, NULL, sql, ONES_VALUES(ONES_INT(session->user.id)));

	return result == ONES_RESULT_OK ? recheck_session(db, session) : result;
}

/* The mail to the new address, and what the old one is told, if it was proved. */
static enum ones_result send_mails(struct ones_db *db, const struct asking *asking)
{
	int64_t user_id = ones_session(asking->req)->user.id;
	const struct ones_mail proof = {
		.kind = "email",
		.kind_if_taken = "email_taken",
		.user_id = user_id,
		.to = asking->email,
		.values = json_pack("{s:s*}", "next", asking->next),
		.language = ones_language(asking->req),
		.purpose = PURPOSE_EMAIL,
		.lifetime_ms = asking->lifetime_ms,
		.path = "/verify",
	};
	const struct ones_mail notice = {
		.kind = "email_asked",
		.user_id = user_id,
		.language = ones_language(asking->req),
	};
	enum ones_result result = ones_mail(db, &proof);

	return result == ONES_RESULT_OK ? ones_mail(db, &notice) : result;
}

static enum ones_result write_mails(struct ones_db *db, void *context)
{
	const struct asking *asking = context;
	enum ones_result result = hold_account(db, ones_session(asking->req));

	return result == ONES_RESULT_OK ? send_mails(db, asking) : result;
}

static void reply_no_address(struct ones_request *req, const char *typed, const char *next)
{
	const char *problem = "That is no e-mail address.";

	if (ones_is_program(req))
		ones_reply_problem(req, 400, "bad_request", problem);
	else
		show(req, 400, typed, next, json_pack("{s:s}", "email_problem", ones_sentence(req, problem)));
}

static void email(struct ones_request *req)
{
	const char *typed = ones_field(req, "email");
	struct asking asking = {
		.req = req,
		.email = typed != NULL ? ones_plain_email(req, typed) : NULL,
		.next = filled_field(req, "next"),
		.lifetime_ms = ones_option_number(ones_app(req), "accounts.verify_lifetime"),
	};
	enum ones_result result;
	int64_t wait_s;

	if (!is_open(req, asking.next))
		return;
	if (asking.email == NULL) {
		reply_no_address(req, typed != NULL ? typed : "", asking.next);
		return;
	}
	result = ones_throttle(req, "email", &wait_s);
	if (result == ONES_RESULT_OK)
		result = ones_transact(ones_db(req), write_mails, &asking);
	if (result == ONES_RESULT_OK)
		reply_mail_sent(req, asking.email, false);
	else if (result == ONES_RESULT_THROTTLED)
		reply_throttled(req, wait_s);
	else if (result == ONES_RESULT_ENDED)
		reply_not_signed_in(req);
	else
		ones_reply_failure(req, result, NULL);
}

/*
 * Another password stops what somebody has asked for who was signed in before, as the mail to the old address says.
 */
static bool forget_asked(const struct ones_event *event, void *context)
{
	(void)context;
	return ones_drop_mail_tokens(event->db, event->user_id, PURPOSE_EMAIL) == ONES_RESULT_OK;
}

/* So does ending somebody's session, or all of them. */
static bool forget_of_ended(const struct ones_event *event, void *context)
{
	return event->reason != ONES_REASON_REVOKED || forget_asked(event, context);
}

void email_setup(struct ones_app *app)
{
	ones_connect(app, ONES_SIGNAL_LOGGED_OUT,
	             &(struct ones_receiver){
			     .name = "forget_email_of_ended", .phase = ONES_IN_TRANSACTION, .call = forget_of_ended});
	ones_connect(app, ONES_SIGNAL_PASSWORD_CHANGED,
	             &(struct ones_receiver){
			     .name = "forget_new_email", .phase = ONES_IN_TRANSACTION, .call = forget_asked});
	ones_route(app, &(struct ones_route){.path = "/email", .get = email_page, .post = email});
}

/*
 * /signup: asking for an account. Whoever asks learns nothing of others: whatever name and address were given, the same
 * is answered, and the same is written; whether there is such an account shows to the address's mailbox, and what
 * becomes of the name to who has proved the address.
 */
#include "signup.h"

#include <arpa/inet.h>

/* What was filled in; NULL: nothing. */
struct form {
	const char *username;
	const char *email;
	const char *password;
};

/* Takes over the reference. */
static void show(struct ones_request *req, int status, const struct form *form, json_t *more)
{
	json_t *page = json_pack("{s:s*, s:s*}", "username", form->username, "email", form->email);

	ones_reply_page(req, status, "signup.html", with_more(page, more));
}

static void signup_page(struct ones_request *req)
{
	show(req, 200, &(struct form){0}, json_object());
}

/* ---- What cannot be an account ----------------------------------------------------------------------------------- */

/* `field` is what is wrong, by its name on the page. */
static void refuse(struct ones_request *req, const struct form *form, const char *field, const char *problem)
{
	if (ones_is_program(req))
		ones_reply_problem(req, 400, "bad_request", problem);
	else
		show(req, 400, form, json_pack("{s:s}", field, ones_sentence(req, problem)));
}

/* The form as it is to be stored; false: it was refused. */
static bool is_acceptable(struct ones_request *req, const struct form *form, struct signup *signup)
{
	const char *problem;

	if (form->username == NULL || form->email == NULL || form->password == NULL) {
		refuse(req, form, "missing", "A username, an email and a password are needed.");
		return false;
	}
	signup->username = ones_plain_name(req, form->username);
	problem = signup->username != NULL ? ones_name_problem(signup->username) : "Out of memory.";
	if (problem != NULL) {
		refuse(req, form, "name_problem", problem);
		return false;
	}
	signup->email = ones_plain_email(req, form->email);
	if (signup->email == NULL)
		refuse(req, form, "email_problem", "That is no e-mail address.");
	return signup->email != NULL;
}

/* ---- What is written for everybody ------------------------------------------------------------------------------- */

struct writing {
	struct ones_request *req;
	const struct signup *signup;
};

static enum ones_result write_signup(struct ones_db *db, void *context)
{
	const struct writing *writing = context;
	int64_t id = 0;
	enum ones_result result = signup_add(db, writing->signup, &id);
	/* Not the name: it would be a stranger's words in a mail of this site's. */
	const struct ones_mail mail = {
		.kind = "signup",
		.kind_if_taken = "signup_taken",
		.to = writing->signup->email,
		.values = json_pack("{s:I}", "signup", (json_int_t)id),
		.language = ones_language(writing->req),
		.purpose = PURPOSE_SIGNUP,
		.lifetime_ms = writing->signup->lifetime_ms,
		.path = "/verify",
	};

	if (result == ONES_RESULT_OK)
		return ones_mail(db, &mail);
	json_decref(mail.values);
	return result;
}

/* "" for what the database would not take as one. */
static const char *client_address(const struct ones_request *req)
{
	const char *ip = ones_param(req, "REMOTE_ADDR");
	unsigned char address[sizeof(struct in6_addr)];

	return ip != NULL && (inet_pton(AF_INET, ip, address) == 1 || inet_pton(AF_INET6, ip, address) == 1) ? ip : "";
}

static void reply_failed(struct ones_request *req, enum ones_result result, const struct form *form, int64_t wait_s)
{
	if (result == ONES_RESULT_THROTTLED)
		reply_throttled(req, wait_s);
	else if (result == ONES_RESULT_UNACCEPTABLE)
		refuse(req, form, "problem", ones_password_problem(req));
	else
		ones_reply_failure(req, result, NULL);
}

static void signup(struct ones_request *req)
{
	const struct form form = {
		.username = filled_field(req, "username"),
		.email = filled_field(req, "email"),
		.password = filled_field(req, "password"),
	};
	struct signup wanted = {
		.ip = client_address(req),
		.lifetime_ms = ones_option_number(ones_app(req), "accounts.verify_lifetime"),
	};
	struct writing writing = {.req = req, .signup = &wanted};
	enum ones_result result;
	int64_t wait_s;

	if (!is_acceptable(req, &form, &wanted))
		return;
	result = ones_throttle(req, "signup", &wait_s);
	if (result == ONES_RESULT_OK)
		result = ones_hash_password(req, form.password, wanted.username, wanted.email, &wanted.password_hash);
	if (result == ONES_RESULT_OK)
		result = ones_transact(ones_db(req), write_signup, &writing);
	if (result == ONES_RESULT_OK)
		reply_mail_sent(req, wanted.email, true);
	else
		reply_failed(req, result, &form, wait_s);
}

void signup_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/signup", .get = signup_page, .post = signup, .hashes = true});
}

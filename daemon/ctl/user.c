/* onesessionctl user add, and what the commands on accounts share. */
#include "ctl/user.h"

#include "base/email.h"
#include "ctl/output.h"
#include "ctl/prompt.h"
#include "session/events.h"
#include "session/password_strength.h"
#include "session/transaction.h"

#include <sodium.h>
#include <stdlib.h>

struct user *ctl_find_user(struct ctl *ctl, const char *name)
{
	struct user *user = NULL;
	enum db_status status = users_find_typed(ctl->db, ctl->ctx, name, &user);

	if (status != DB_OK)
		(void)fail_database(ctl, status);
	else if (user == NULL)
		(void)fail("no such account: %s", name);
	return user;
}

enum db_status user_record(struct db *db, const char *event, int64_t user_id, const char *username, json_t *more)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	enum db_status status =
		events_record_operator(db, event, user_id, username, ctl_operator_detail(scratch, more));

	talloc_free(scratch);
	return status;
}

/* It is the operator's to decide: people who get such a password can be asked to change it. */
static void warn_if_weak(const struct ctl *ctl, const char *password, const struct password_owner *owner)
{
	if (password_strength_problem(password, ctl->settings.accounts.password_strength, owner) != NULL)
		(void)fail("warning: the password is easy to guess; people could not set it themselves "
		           "(accounts.password_strength)");
}

int user_ask_for_hash(const struct ctl *ctl, const char *username, const char *email, char hash[PASSWORD_HASH_SIZE])
{
	const struct password_cost cost = {.memory = ctl->settings.login.memory, .passes = ctl->settings.login.passes};
	const struct password_owner owner = {
		.username = username, .email = email, .site = ctl->settings.login.site_name};
	char password[PASSWORD_MAX + 1];
	int result = prompt_new_password(username, password);

	if (result == 0) {
		warn_if_weak(ctl, password, &owner);
		result = password_hash(password, &cost, hash);
		if (result != 0)
			(void)fail("there is not enough memory for login.memory");
	}
	sodium_memzero(password, sizeof password);
	return result;
}

struct addition {
	const struct ctl *ctl;
	struct new_user user;
	int64_t id;
	bool is_taken; /* the name or the address */
	bool is_email_taken;
};

static enum db_status add(struct db *db, void *context)
{
	struct addition *addition = context;
	const struct ctl *ctl = addition->ctl;
	enum db_status status = users_add(db, &addition->user, &addition->id, &addition->is_email_taken);
	int64_t limit_before;
	bool was_admin;

	addition->is_taken = status == DB_OK && addition->id == 0;
	if (addition->is_taken)
		return DB_DUPLICATE;
	if (status == DB_OK && ctl->is_admin)
		status = users_set_admin(db, addition->id, true, &was_admin);
	if (status == DB_OK && ctl->limit >= 0)
		status = users_set_limit(db, addition->id, ctl->limit, &limit_before);
	if (status == DB_OK && ctl->invites)
		status = user_invite(db, ctl, addition->id, addition->user.email);
	return status == DB_OK ? user_record(db, "user_added", addition->id, ctl->operand, NULL) : status;
}

/* Only to spare the operator typing a password in vain: what counts is the answer to the INSERT. Returns the exit code.
 */
static int look_for_taken(struct ctl *ctl, const char *email)
{
	struct user *user;
	enum db_status status = users_find(ctl->db, ctl->ctx, ctl->operand, &user);

	if (status == DB_OK && user != NULL)
		return fail("account exists: %s", user->username);
	if (status == DB_OK && email != NULL)
		status = users_find_login(ctl->db, ctl->ctx, email, &user);
	if (status == DB_OK && user != NULL)
		return fail("the address is that of another account: %s", user->username);
	return status == DB_OK ? EXIT_SUCCESS : fail_database(ctl, status);
}

static int tell_added(const struct ctl *ctl, const struct addition *addition)
{
	char shown[EMAIL_SHOWN_SIZE];
	const char *email = addition->user.email;

	if (ctl->json)
		return output_json(json_pack("{s:I, s:s, s:s?, s:b}", "id", (json_int_t)addition->id, "username",
		                             ctl->operand, "email", email, "invited", ctl->invites));
	if (email == NULL)
		return output_line("Account %s added.", ctl->operand);
	if (ctl->invites)
		return output_line("Account %s added; an invitation goes to %s.", ctl->operand,
		                   email_show(email, shown));
	return output_line("Account %s added, with the address %s.", ctl->operand, email_show(email, shown));
}

/* What stands against the options, in a sentence; NULL: nothing. */
static const char *options_problem(const struct ctl *ctl)
{
	if (ctl->email == NULL && ctl->invites)
		return "--invite sends a mail: give the address with --email";
	if (ctl->email == NULL && ctl->settings.accounts.email == EMAIL_REQUIRED)
		return "each account has to have an address (accounts.email): give it with --email";
	return ctl->invites ? user_invite_problem(ctl) : NULL;
}

/* The address that was given, if one was, in its one form. Returns the exit code. */
static int take_email(struct ctl *ctl, struct addition *addition, char email[EMAIL_SIZE])
{
	const char *plain = ctl->email != NULL ? users_plain_name(ctl->ctx, ctl->email) : NULL;
	const char *problem;

	if (ctl->email == NULL)
		return EXIT_SUCCESS;
	if (plain == NULL)
		return fail("out of memory");
	problem = email_parse(plain, email);
	if (problem != NULL)
		return fail("the address %s", problem);
	addition->user.email = email;
	/* Who is invited proves it. */
	addition->user.is_verified = !ctl->invites;
	return EXIT_SUCCESS;
}

int command_user_add(struct ctl *ctl)
{
	const char *problem = users_new_name_problem(ctl->operand);
	char hash[PASSWORD_HASH_SIZE] = USERS_NO_PASSWORD, email[EMAIL_SIZE];
	struct addition addition = {.ctl = ctl, .user = {.username = ctl->operand, .password_hash = hash}};
	enum db_status status;

	if (problem != NULL)
		return fail("the name %s", problem);
	problem = options_problem(ctl);
	if (problem != NULL)
		return fail("%s", problem);
	if (take_email(ctl, &addition, email) != EXIT_SUCCESS ||
	    look_for_taken(ctl, addition.user.email) != EXIT_SUCCESS)
		return EXIT_FAILURE;
	if (!ctl->invites && user_ask_for_hash(ctl, ctl->operand, addition.user.email, hash) != 0)
		return EXIT_FAILURE;
	status = transaction_run(ctl->db, TRANSACTION_ONCE, add, &addition);
	if (addition.is_taken)
		return addition.is_email_taken ? fail("the address is that of another account")
		                               : fail("account exists: %s", ctl->operand);
	return status == DB_OK ? tell_added(ctl, &addition) : fail_database(ctl, status);
}

/* onesessionctl user invite, and what user add does for --invite. */
#include "base/email.h"
#include "ctl/output.h"
#include "ctl/user.h"
#include "session/mails.h"
#include "session/transaction.h"

#include <stdlib.h>
#include <string.h>

const char *user_invite_problem(const struct ctl *ctl)
{
	if (ctl->settings.mail.server[0] == '\0')
		return "an invitation is a mail, and this site sends none: mail.server is not set";
	if (!ctl->settings.login.enabled)
		return "an invitation could not be accepted: login.enabled is off, and nobody chooses a password here";
	if (ctl->settings.accounts.signup == SIGNUP_CLOSED)
		return "an invitation could not be accepted: accounts.signup is closed, and not invite or open";
	return NULL;
}

/* What the handler of the daemon's own route, POST /invite, looks for. */
enum db_status user_invite(struct db *db, const struct ctl *ctl, int64_t user_id, const char *email)
{
	const struct mail_draft draft = {
		.module = "session",
		.kind = "invite",
		.user_id = user_id,
		.recipient = email,
		.language = "",
		.data = "{}",
		.purpose = "invite",
		.lifetime_ms = ctl->settings.accounts.invite_lifetime,
		.path = "/invite",
	};

	return mails_add(db, &draft);
}

bool user_is_invited(const struct user *user)
{
	return user->email != NULL && strcmp(user->password, USERS_NO_PASSWORD) == 0;
}

struct invitation {
	const struct ctl *ctl;
	const struct user *user;
};

static enum db_status send_invitation(struct db *db, void *context)
{
	const struct invitation *invitation = context;
	const struct user *user = invitation->user;
	enum db_status status = user_invite(db, invitation->ctl, user->id, user->email);

	return status == DB_OK ? user_record(db, "user_invited", user->id, user->username, NULL) : status;
}

int command_user_invite(struct ctl *ctl)
{
	const struct user *user = ctl_find_user(ctl, ctl->operand);
	struct invitation invitation = {.ctl = ctl, .user = user};
	const char *problem = user_invite_problem(ctl);
	char shown[EMAIL_SHOWN_SIZE];
	enum db_status status;

	if (user == NULL)
		return EXIT_FAILURE;
	if (problem != NULL)
		return fail("%s", problem);
	if (user->email == NULL)
		return fail("the account %s has no address", user->username);
	if (!user_is_invited(user))
		return fail("the account %s has a password already", user->username);
	if (!user->is_active)
		return fail("the account %s is disabled", user->username);
	status = transaction_run(ctl->db, TRANSACTION_RETRIED, send_invitation, &invitation);
	if (status != DB_OK)
		return fail_database(ctl, status);
	if (ctl->json)
		return output_json(json_pack("{s:I, s:s, s:s}", "id", (json_int_t)user->id, "username", user->username,
		                             "email", user->email));
	return output_line("An invitation goes to %s; those before it are void then.", email_show(user->email, shown));
}

/*
 * Receivers in the transaction, which write the mails. These go to the account's verified address, and nowhere where
 * there is none. Which are sent accounts.notices says; that an account is shared is always told.
 */
#include "notices.h"

#include <string.h>

/* How long a notice undoes what it tells of: people are on holiday, and mailboxes are kept. */
#define UNDO_LIFETIME_MS (INT64_C(7) * 24 * 60 * 60 * 1000)

/* Who did it, as far as it is known. */
static json_t *describe(const struct ones_event *event, ones_time when)
{
	return json_pack("{s:s, s:s, s:s, s:o}", "browser", ones_browser_name(event->user_agent), "os",
	                 ones_system_name(event->user_agent), "ip", event->ip, "when", ones_moment_json(when));
}

/* Without passwords here there is nothing that a link could undo: the text says what to do then. */
static void give_link(struct ones_mail *mail, const struct ones_app *app, const char *purpose)
{
	if (!has_login(app))
		return;
	mail->purpose = purpose;
	mail->lifetime_ms = UNDO_LIFETIME_MS;
	mail->path = "/undo";
}

/* The language is the owner's: whoever is in may have chosen another one. */
static bool tell(const struct ones_event *event, const struct ones_app *app, const char *kind,
                 const struct owner *owner)
{
	const char *language = owner->language[0] != '\0' ? owner->language : event->language;
	struct ones_mail mail = {
		.kind = kind,
		.user_id = event->user_id,
		.values = describe(event, owner->now),
		.language = language[0] != '\0' ? language : NULL,
		.is_notice = true,
	};

	give_link(&mail, app, UNDO);
	return ones_mail(event->db, &mail) == ONES_RESULT_OK;
}

static bool keep_language(const struct ones_event *event, void *context)
{
	static const char sql[] = "UPDATE users SET language = $2 WHERE id = $1 AND language IS DISTINCT FROM $2";

	(void)context;
	return event->is_new_browser || event->language[0] == '\0' ||
	       ones_sql(event->db, NULL, sql, ONES_VALUES(ONES_INT(event->user_id), ONES_TEXT(event->language))) ==
	               ONES_RESULT_OK;
}

static bool on_login(const struct ones_event *event, void *context)
{
	struct owner owner;

	if (!event->is_new_browser)
		return true;
	if (owner_find(event->db, event->user_id, &owner) != ONES_RESULT_OK)
		return false;
	return !owner.wants_new_browser || tell(event, context, "new_browser", &owner);
}

static bool tell_owner(const struct ones_event *event, const struct ones_app *app, const char *kind)
{
	struct owner owner;

	return owner_find(event->db, event->user_id, &owner) == ONES_RESULT_OK && tell(event, app, kind, &owner);
}

static bool on_new_password(const struct ones_event *event, void *context)
{
	/* The first one is chosen by who was invited. */
	return event->is_first_password || tell_owner(event, context, "password_changed");
}

static bool on_shared(const struct ones_event *event, void *context)
{
	return tell_owner(event, context, "account_shared");
}

/*
 * To the address that the account gives up, where whoever has taken it over does not read. It is no account's when the
 * mail is sent, and maybe another one's; so the account is in what the link stands for.
 */
static bool on_new_email(const struct ones_event *event, void *context)
{
	json_int_t user_id = json_integer_value(json_object_get(event->data, "user_id"));
	const struct ones_account *account;
	struct ones_mail mail = {
		.kind = "email_changed",
		.language = json_string_value(json_object_get(event->data, "language")),
		.is_notice = true,
	};
	struct owner owner;

	if (ones_account_by_id(event->db, user_id, &account) != ONES_RESULT_OK ||
	    owner_find(event->db, user_id, &owner) != ONES_RESULT_OK)
		return false;
	if (account == NULL || account->email_verified_at == 0)
		return true;
	if (owner.language[0] != '\0')
		mail.language = owner.language;
	give_link(&mail, context, UNDO_EMAIL);
	mail.to = account->email;
	mail.values = json_pack("{s:I}", "user_id", user_id);
	return ones_mail(event->db, &mail) == ONES_RESULT_OK;
}

bool notices_tell_of(const struct ones_app *app, const char *word)
{
	const char *at = ones_option_text(app, "accounts.notices");
	size_t length = strlen(word);

	while (*(at += strspn(at, " \t")) != '\0') {
		size_t here = strcspn(at, " \t");

		if (here == length && strncmp(at, word, length) == 0)
			return true;
		at += here;
	}
	return false;
}

static void connect(struct ones_app *app, enum ones_signal signal, const char *name,
                    bool (*call)(const struct ones_event *event, void *context))
{
	ones_connect(app, signal,
	             &(struct ones_receiver){.name = name, .phase = ONES_IN_TRANSACTION, .call = call, .context = app});
}

void events_setup(struct ones_app *app)
{
	if (notices_tell_of(app, "new_browser"))
		connect(app, ONES_SIGNAL_LOGGED_IN, "notice_of_login", on_login);
	if (notices_tell_of(app, "password_changed"))
		connect(app, ONES_SIGNAL_PASSWORD_CHANGED, "notice_of_password", on_new_password);
	if (notices_tell_of(app, "email_changed"))
		ones_connect_to(app, SIGNAL_EMAIL_CHANGED,
		                &(struct ones_receiver){.name = "notice_of_email",
		                                        .phase = ONES_IN_TRANSACTION,
		                                        .call = on_new_email,
		                                        .context = app});
	connect(app, ONES_SIGNAL_LOGGED_IN, "language_of_owner", keep_language);
	connect(app, ONES_SIGNAL_ACCOUNT_SHARED, "notice_of_sharing", on_shared);
}

/* A message as it is sent. */
#include "mail/message.h"

#include "mail/encoding.h"

#include <string.h>
#include <time.h>

/* In UTC, and in English whatever the locale is (RFC 5322, 3.3). */
static void put_date(struct mail_text *text, int64_t date_s)
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
	                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	const time_t when = (time_t)date_s;
	struct tm parts = {0};
	char *date;

	(void)gmtime_r(&when, &parts);
	date = talloc_asprintf(text->bytes, "%s, %02d %s %d %02d:%02d:%02d +0000", days[parts.tm_wday], parts.tm_mday,
	                       months[parts.tm_mon], parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
	text->has_failed = text->has_failed || date == NULL;
	if (date != NULL)
		mail_text_field(text, "Date", date);
	talloc_free(date);
}

/* The domain of the sender's address: it is ours, and so is what stands before it. */
static void put_message_id(struct mail_text *text, const struct mail_message *message)
{
	mail_text_say(text, "Message-ID: <");
	mail_text_say(text, message->message_id);
	mail_text_say(text, strrchr(message->from.address, '@'));
	mail_text_say(text, ">\r\n");
}

static void put_part(struct mail_text *text, const char *type, const char *body)
{
	mail_text_say(text, "Content-Type: ");
	mail_text_say(text, type);
	mail_text_say(text, "; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n");
	mail_text_quoted_printable(text, body);
}

/* What is encoded has no "=_" in it (RFC 2045, 6.7, the last note). */
static void put_boundary(struct mail_text *text, const struct mail_message *message, const char *before,
                         const char *behind)
{
	mail_text_say(text, before);
	mail_text_say(text, "=_");
	mail_text_say(text, message->message_id);
	mail_text_say(text, behind);
}

/* The best one is the last (RFC 2046, 5.1.4). */
static void put_alternatives(struct mail_text *text, const struct mail_message *message)
{
	put_boundary(text, message, "Content-Type: multipart/alternative;\r\n boundary=\"", "\"\r\n\r\n");
	put_boundary(text, message, "--", "\r\n");
	put_part(text, "text/plain", message->text);
	put_boundary(text, message, "\r\n--", "\r\n");
	put_part(text, "text/html", message->html);
	put_boundary(text, message, "\r\n--", "--\r\n");
}

char *mail_message_compose(TALLOC_CTX *ctx, const struct mail_message *message, size_t *size)
{
	struct mail_text text;

	mail_text_init(&text, ctx);
	if (text.has_failed)
		return NULL;
	put_date(&text, message->date_s);
	mail_text_mailbox(&text, "From", message->from.name, message->from.address);
	mail_text_mailbox(&text, "To", "", message->to);
	mail_text_field(&text, "Subject", message->subject);
	put_message_id(&text, message);
	mail_text_say(&text, "MIME-Version: 1.0\r\nAuto-Submitted: auto-generated\r\n");
	if (message->language[0] != '\0')
		mail_text_field(&text, "Content-Language", message->language);
	if (message->html != NULL)
		put_alternatives(&text, message);
	else
		put_part(&text, "text/plain", message->text);
	if (text.has_failed)
		TALLOC_FREE(text.bytes);
	*size = text.used;
	return text.bytes;
}

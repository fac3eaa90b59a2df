/* Mail: options, messages, and what the words of a mail server mean. */
#include "base/mail_settings.h"
#include "mail/encoding.h"
#include "mail/message.h"
#include "mail/smtp_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- Options ------------------------------------------------------------------------------------------------- */

static void server_is_read(void **state)
{
	struct mail_server server;

	(void)state;
	assert_null(mail_server_parse("", &server));
	assert_int_equal(server.transport, MAIL_TRANSPORT_OFF);
	assert_null(mail_server_parse("smtp://mail.example.org", &server));
	assert_int_equal(server.transport, MAIL_TRANSPORT_SMTP);
	assert_string_equal(server.host, "mail.example.org");
	assert_int_equal(server.port, 25);
	assert_false(server.is_loopback);
	assert_null(mail_server_parse("smtps://[::1]:4650", &server));
	assert_int_equal(server.transport, MAIL_TRANSPORT_SMTPS);
	assert_string_equal(server.host, "[::1]");
	assert_int_equal(server.port, 4650);
	assert_true(server.is_loopback);
	assert_null(mail_server_parse("sendmail:/usr/sbin/sendmail", &server));
	assert_string_equal(server.program, "/usr/sbin/sendmail");
	assert_non_null(mail_server_parse("smtp://[::1", &server));
	assert_non_null(mail_server_parse("smtp://127.0.0.1:", &server));
	assert_non_null(mail_server_parse("smtp://a b", &server));
	assert_non_null(strstr(mail_server_parse("smtp://me@h", &server), "mail.user"));
}

static void loopback_is_this_machine_and_no_name_that_looks_like_it(void **state)
{
	struct mail_server server;

	(void)state;
	assert_null(mail_server_parse("smtp://127.1.2.3", &server));
	assert_true(server.is_loopback);
	assert_null(mail_server_parse("smtp://127.example.org", &server));
	assert_false(server.is_loopback);
	assert_null(mail_server_parse("smtp://localhost.example.org", &server));
	assert_false(server.is_loopback);
}

static void sender_has_an_address_and_perhaps_a_name(void **state)
{
	struct mail_from from;

	(void)state;
	assert_null(mail_from_parse("a@example.org", &from));
	assert_string_equal(from.name, "");
	assert_null(mail_from_parse(" Caf\xc3\xa9 \"Mo\" <a@example.org>", &from));
	assert_string_equal(from.name, "Caf\xc3\xa9 \"Mo\"");
	assert_string_equal(from.address, "a@example.org");
	assert_non_null(mail_from_parse("a", &from));
	assert_non_null(mail_from_parse("<a@example.org", &from));
	assert_non_null(mail_from_parse("a@example.org, b@example.org", &from));
	assert_non_null(mail_from_parse("\"a b\"@example.org", &from));
}

static void rate_is_a_number_and_a_time(void **state)
{
	int64_t count, window;

	(void)state;
	assert_null(mail_rate_parse("5/h", &count, &window));
	assert_int_equal(count, 5);
	assert_int_equal(window, 3600000);
	assert_null(mail_rate_parse("0", &count, &window));
	assert_int_equal(count, 0);
	assert_non_null(mail_rate_parse("5/", &count, &window));
	assert_non_null(mail_rate_parse("12345678/h", &count, &window));
}

/* ---- Messages ------------------------------------------------------------------------------------------------ */

static void body_is_quoted_printable(void **state)
{
	static const char *const cases[][2] = {
		{"", ""},
		{"a\nb\r\nc", "a\r\nb\r\nc\r\n"},
		{"a=b", "a=3Db\r\n"},
		{"a \n\tb\t", "a=20\r\n\tb=09\r\n"},
		{".\nFrom me\n", "=2E\r\n=46rom me\r\n"},
		{"\xc3\xa4\r", "=C3=A4=0D\r\n"},
		{"123456789012345678901234567890123456789012345678901234567890123456789012345.",
	         "123456789012345678901234567890123456789012345678901234567890123456789012345=\r\n=2E\r\n"},
	};
	struct mail_text text;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		mail_text_init(&text, NULL);
		mail_text_quoted_printable(&text, cases[i][0]);
		assert_int_equal(text.used, strlen(cases[i][1]));
		assert_memory_equal(text.bytes, cases[i][1], text.used);
		talloc_free(text.bytes);
	}
}

static void field_is_one_whatever_is_in_it(void **state)
{
	static const char *const cases[][2] = {
		{"plain", "S: plain\r\n"},
		{"a\r\nBcc: x", "S: a??Bcc: x\r\n"},
		{"\xc3\xa4", "S: =?UTF-8?B?w6Q=?=\r\n"},
		{"=?UTF-8?Q?x?=", "S: =?UTF-8?B?PT9VVEYtOD9RP3g/PQ==?=\r\n"},
		{"1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 1234567890",
	         "S: 1234567890 1234567890 1234567890 1234567890 1234567890 1234567890\r\n 1234567890\r\n"},
	};
	struct mail_text text;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		mail_text_init(&text, NULL);
		mail_text_field(&text, "S", cases[i][0]);
		assert_string_equal(text.bytes, cases[i][1]);
		talloc_free(text.bytes);
	}
}

static void date_is_that_of_the_standard_in_any_locale(void **state)
{
	const struct mail_message message = {
		.from = {.name = "A \"B\"", .address = "a@example.org"},
		.to = "x@example.net",
		.subject = "s",
		.text = "t",
		.language = "",
		.message_id = "id",
		.date_s = 951827696, /* 2000-02-29 */
	};
	size_t size;
	char *text = mail_message_compose(NULL, &message, &size);

	(void)state;
	assert_non_null(strstr(text, "Date: Tue, 29 Feb 2000 12:34:56 +0000\r\n"));
	assert_non_null(strstr(text, "From: \"A \\\"B\\\"\" <a@example.org>\r\n"));
	assert_non_null(strstr(text, "Message-ID: <id@example.org>\r\n"));
	assert_null(strstr(text, "multipart"));
	talloc_free(text);
}

/* ---- What a server says -------------------------------------------------------------------------------------- */

/* Lines of a reply come one by one. */
static void say(struct smtp_state *state, const char *command, const char *reply)
{
	if (command != NULL)
		smtp_state_command(state, command, strlen(command));
	for (; reply != NULL && *reply != '\0'; reply = strchr(reply, '\n') + 1)
		smtp_state_reply(state, reply, (size_t)(strchr(reply, '\n') + 1 - reply));
}

static struct smtp_state after(enum smtp_stage stage, const char *reply)
{
	static const char *const commands[][2] = {
		{NULL, "220 hi\r\n"},
		{"EHLO x\r\n", "250 x\r\n"},
		{"STARTTLS\r\n", "220 go\r\n"},
		{"AUTH PLAIN\r\n", "235\r\n"},
		{"MAIL FROM:<a@b.c>\r\n", "250 ok\r\n"},
		{"RCPT TO:<x@y.z>\r\n", "250 ok\r\n"},
		{"DATA\r\n", "354 go\r\n"},
	};
	struct smtp_state state = {.stage = SMTP_STAGE_CONNECT};

	for (int i = 0; i <= (int)stage && i < SMTP_STAGE_BODY; i++)
		say(&state, commands[i][0], i < (int)stage ? commands[i][1] : NULL);
	say(&state, NULL, reply);
	return state;
}

static void what_comes_before_the_recipient_is_the_server_s_affair(void **state)
{
	(void)state;
	for (enum smtp_stage stage = SMTP_STAGE_CONNECT; stage <= SMTP_STAGE_MAIL; stage++) {
		static const char *const replies[] = {NULL, "421 bye\r\n", "451 later\r\n", "550 no\r\n"};

		for (size_t i = 0; i < sizeof replies / sizeof replies[0]; i++) {
			const struct smtp_state at = after(stage, replies[i]);

			assert_int_equal(at.stage, stage);
			assert_int_equal(smtp_state_judge(&at, "broke").outcome, MAIL_OUTCOME_SERVER);
		}
	}
}

static void what_comes_after_it_is_the_mail_s(void **state)
{
	(void)state;
	for (enum smtp_stage stage = SMTP_STAGE_RCPT; stage <= SMTP_STAGE_BODY; stage++) {
		struct smtp_state at = after(stage, "451 later\r\n");

		assert_int_equal(at.stage, stage);
		assert_int_equal(smtp_state_judge(&at, "broke").outcome, MAIL_OUTCOME_DEFERRED);
		at = after(stage, "550-no\r\n550 never\r\n");
		assert_int_equal(smtp_state_judge(&at, "broke").outcome, MAIL_OUTCOME_REFUSED);
		at = after(stage, NULL);
		assert_int_equal(smtp_state_judge(&at, "broke").outcome, MAIL_OUTCOME_DEFERRED);
	}
}

static void silence_after_the_whole_message_says_nothing(void **state)
{
	struct smtp_state at = after(SMTP_STAGE_BODY, NULL);

	(void)state;
	at.is_whole = true;
	assert_int_equal(smtp_state_judge(&at, "broke").outcome, MAIL_OUTCOME_UNKNOWN);
	say(&at, NULL, "250 taken\r\n");
	assert_int_equal(smtp_state_judge(&at, "broke").outcome, MAIL_OUTCOME_SENT);
}

static void reply_is_kept_and_goodbye_does_not_take_its_place(void **state)
{
	struct smtp_state at = after(SMTP_STAGE_RCPT, "550-5.1.1 no\r\n550 5.1.1 such \x1buser\r\n");
	struct mail_result result;

	(void)state;
	say(&at, "QUIT\r\n", "221 bye\r\n");
	result = smtp_state_judge(&at, "broke");
	assert_int_equal(result.outcome, MAIL_OUTCOME_REFUSED);
	assert_string_equal(result.problem, "RCPT: 550-5.1.1 no 5.1.1 such ?user");
}

static void server_that_wants_a_login_costs_no_mail(void **state)
{
	struct smtp_state at = after(SMTP_STAGE_RCPT, "530 5.7.0 authenticate first\r\n");

	(void)state;
	assert_int_equal(smtp_state_judge(&at, "broke").outcome, MAIL_OUTCOME_SERVER);
}

static void address_that_is_not_ascii_needs_a_server_that_takes_it(void **state)
{
	struct smtp_state at = {.needs_utf8 = true};

	(void)state;
	say(&at, "MAIL FROM:<a@b.c>\r\n", "250 ok\r\n");
	assert_true(smtp_state_lacks_utf8(&at));
	say(&at, "MAIL FROM:<a@b.c> SMTPUTF8\r\n", "250 ok\r\n");
	assert_false(smtp_state_lacks_utf8(&at));
	say(&at, NULL, "553 not this one\r\n");
	assert_int_equal(smtp_state_judge(&at, "broke").outcome, MAIL_OUTCOME_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(server_is_read),
		cmocka_unit_test(loopback_is_this_machine_and_no_name_that_looks_like_it),
		cmocka_unit_test(sender_has_an_address_and_perhaps_a_name),
		cmocka_unit_test(rate_is_a_number_and_a_time),
		cmocka_unit_test(body_is_quoted_printable),
		cmocka_unit_test(field_is_one_whatever_is_in_it),
		cmocka_unit_test(date_is_that_of_the_standard_in_any_locale),
		cmocka_unit_test(what_comes_before_the_recipient_is_the_server_s_affair),
		cmocka_unit_test(what_comes_after_it_is_the_mail_s),
		cmocka_unit_test(silence_after_the_whole_message_says_nothing),
		cmocka_unit_test(reply_is_kept_and_goodbye_does_not_take_its_place),
		cmocka_unit_test(server_that_wants_a_login_costs_no_mail),
		cmocka_unit_test(address_that_is_not_ascii_needs_a_server_that_takes_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* onesessionctl mail test: a mail that is sent at once, and what the server said. */
#include "base/clock.h"
#include "base/email.h"
#include "ctl/output.h"
#include "mail/message.h"
#include "mail/program.h"
#include "mail/sender.h"
#include "session/token.h"

#include <stdlib.h>
#include <string.h>

#define STEP_MS 200
/* What was said last. */
#define LINES_MAX 30

struct dialogue {
	TALLOC_CTX *ctx;
	size_t count;
	const char *lines[LINES_MAX];
};

static void listen_to(void *context, char direction, const char *line)
{
	struct dialogue *dialogue = context;
	const char *said = talloc_asprintf(dialogue->ctx, "%c %s", direction, line);

	if (said == NULL)
		return;
	if (dialogue->count == LINES_MAX)
		memmove(dialogue->lines, dialogue->lines + 1, --dialogue->count * sizeof dialogue->lines[0]);
	dialogue->lines[dialogue->count++] = said;
}

static int say(const struct ctl *ctl, const struct dialogue *dialogue, const char *address,
               const struct mail_result *result)
{
	bool is_sent = result->outcome == MAIL_OUTCOME_SENT;

	if (ctl->json && is_sent)
		return output_json(json_pack("{s:s, s:s, s:o}", "sent_to", address, "server", ctl->settings.mail.server,
		                             "dialogue", output_names(dialogue->lines, dialogue->count)));
	for (size_t i = 0; i < dialogue->count && !ctl->json; i++)
		(void)output_line("%s", dialogue->lines[i]);
	if (!is_sent)
		return fail("%s: %s", ctl->settings.mail.server, result->problem);
	return output_line("Sent to %s.", address);
}

/* The message, on ctl->ctx; NULL when out of memory. */
static char *compose(const struct ctl *ctl, const struct mail_setup *setup, const char *address, size_t *size)
{
	char id[TOKEN_LENGTH + 1];
	const struct mail_message message = {
		.from = setup->from,
		.to = address,
		.subject = "A test of onesession",
		.text = talloc_asprintf(ctl->ctx,
	                                "This mail shows that %s can send mail.\n\n"
	                                "Somebody who runs that site has sent it by onesessionctl mail test.\n",
	                                ctl->settings.mail.site_url),
		.language = "en",
		.message_id = id,
		.date_s = clock_wall_us() / 1000000,
	};

	token_generate(id);
	return message.text != NULL ? mail_message_compose(ctl->ctx, &message, size) : NULL;
}

int command_mail_test(struct ctl *ctl)
{
	struct dialogue dialogue = {.ctx = ctl->ctx};
	struct mail_result result;
	struct mail_setup setup;
	char address[EMAIL_SIZE];
	const char *problem = email_parse(ctl->operand, address);
	struct mail_envelope envelope = {.to = address};
	struct mail_sender *sender;
	void *ended;
	pid_t pid;

	if (problem != NULL)
		return fail("no address: %s %s", ctl->operand, problem);
	problem = mail_setup_load(ctl->ctx, &ctl->settings, &setup);
	if (problem != NULL)
		return fail("%s", problem);
	if (setup.server.transport == MAIL_TRANSPORT_SENDMAIL)
		setup.program = mail_program_serve(setup.server.program, &pid);
	setup.listen = listen_to;
	setup.listen_context = &dialogue;
	envelope.message = compose(ctl, &setup, address, &envelope.size);
	sender = mail_sender_new(ctl->ctx, &setup);
	if (envelope.message == NULL || sender == NULL || !mail_sender_begin(sender, &envelope))
		return fail("out of memory");
	while (!mail_sender_step(sender, STEP_MS, &ended, &result))
		;
	talloc_free(sender);
	return say(ctl, &dialogue, address, &result);
}

/* How far an SMTP transfer has come, and what its end means. */
#include "mail/smtp_state.h"

#include "base/utf8.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define CODE_CLOSING   421 /* RFC 5321, 4.2.3: on any command, the connection is going away */
#define CODE_NO_AUTH   530 /* RFC 4954, 6 */
#define CODE_TOO_LARGE 552

static const struct {
	const char *word;
	enum smtp_stage stage;
} commands[] = {
	{"EHLO", SMTP_STAGE_HELLO}, {"HELO", SMTP_STAGE_HELLO}, {"STARTTLS", SMTP_STAGE_STARTTLS},
	{"AUTH", SMTP_STAGE_AUTH},  {"MAIL", SMTP_STAGE_MAIL},  {"RCPT", SMTP_STAGE_RCPT},
	{"DATA", SMTP_STAGE_DATA},
};

static void forget_reply(struct smtp_state *state)
{
	state->code = 0;
	state->reply[0] = '\0';
}

static bool starts_with(const char *line, size_t size, const char *word)
{
	size_t length = strlen(word);

	return size >= length && strncasecmp(line, word, length) == 0;
}

void smtp_state_command(struct smtp_state *state, const char *line, size_t size)
{
	static const char utf8[] = " SMTPUTF8";
	size_t length = strlen(utf8);

	if (starts_with(line, size, "QUIT") || starts_with(line, size, "RSET"))
		state->is_over = true;
	if (state->is_over)
		return;
	/* What else is sent belongs to AUTH. */
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		if (starts_with(line, size, commands[i].word))
			state->stage = commands[i].stage;
	}
	forget_reply(state);
	for (size_t i = 0; state->stage == SMTP_STAGE_MAIL && i + length <= size; i++)
		state->has_utf8 = state->has_utf8 || strncmp(line + i, utf8, length) == 0;
}

static bool is_reply(const char *line, size_t size)
{
	return size >= 3 && isdigit((unsigned char)line[0]) && isdigit((unsigned char)line[1]) &&
	       isdigit((unsigned char)line[2]);
}

/* Further lines of one reply are put behind the first. */
static void keep(struct smtp_state *state, const char *line, size_t size)
{
	char raw[SMTP_REPLY_SIZE];
	size_t used = strlen(state->reply);
	/* The code is said once. */
	size_t code = used > 0 && size > 4 ? 4 : 0;

	while (size > 0 && (line[size - 1] == '\r' || line[size - 1] == '\n'))
		size--;
	(void)snprintf(raw, sizeof raw, "%.*s", (int)(size < sizeof raw ? size : sizeof raw - 1), line);
	if (used > 0 && used + 2 < sizeof state->reply)
		state->reply[used++] = ' ';
	/* It ends with a whole character. */
	utf8_clean(raw + (strlen(raw) > code ? code : 0), state->reply + used, sizeof state->reply - used);
}

void smtp_state_reply(struct smtp_state *state, const char *line, size_t size)
{
	if (state->is_over || !is_reply(line, size))
		return;
	/* A line with a space or nothing behind the code was the last one of the reply before. */
	if (state->code != 0)
		forget_reply(state);
	keep(state, line, size);
	if (size > 3 && line[3] == '-')
		return;
	state->code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
	if (state->stage == SMTP_STAGE_DATA && state->code == 354) {
		state->stage = SMTP_STAGE_BODY;
		forget_reply(state);
	}
}

bool smtp_state_lacks_utf8(const struct smtp_state *state)
{
	return state->needs_utf8 && !state->has_utf8;
}

/* ---- What it means ------------------------------------------------------------------------------------------- */

static const char *stage_text(enum smtp_stage stage)
{
	switch (stage) {
	case SMTP_STAGE_CONNECT: return "connecting";
	case SMTP_STAGE_HELLO: return "EHLO";
	case SMTP_STAGE_STARTTLS: return "STARTTLS";
	case SMTP_STAGE_AUTH: return "AUTH";
	case SMTP_STAGE_MAIL: return "MAIL";
	case SMTP_STAGE_RCPT: return "RCPT";
	case SMTP_STAGE_DATA: return "DATA";
	default: return "the message";
	}
}

/* Up to MAIL all mails get the same answers: what is refused there is the server's affair, or our login's. */
static enum mail_outcome outcome_of(const struct smtp_state *state)
{
	bool is_for_good = state->code >= 500;

	if (state->stage == SMTP_STAGE_BODY && state->code >= 200 && state->code < 300)
		return MAIL_OUTCOME_SENT;
	if (state->stage == SMTP_STAGE_MAIL && is_for_good && (state->needs_utf8 || state->code == CODE_TOO_LARGE))
		return MAIL_OUTCOME_REFUSED;
	if (state->stage <= SMTP_STAGE_MAIL || state->code == CODE_CLOSING || state->code == CODE_NO_AUTH)
		return state->stage == SMTP_STAGE_BODY ? MAIL_OUTCOME_DEFERRED : MAIL_OUTCOME_SERVER;
	if (state->code == 0)
		return state->stage == SMTP_STAGE_BODY && state->is_whole ? MAIL_OUTCOME_UNKNOWN
		                                                          : MAIL_OUTCOME_DEFERRED;
	return is_for_good ? MAIL_OUTCOME_REFUSED : MAIL_OUTCOME_DEFERRED;
}

struct mail_result smtp_state_judge(const struct smtp_state *state, const char *error)
{
	struct mail_result result = {.outcome = outcome_of(state)};

	if (smtp_state_lacks_utf8(state) && state->stage > SMTP_STAGE_MAIL) {
		result.outcome = MAIL_OUTCOME_REFUSED;
		(void)snprintf(result.problem, sizeof result.problem,
		               "the server takes no addresses that are not ASCII: it has not offered SMTPUTF8");
	} else if (state->code >= 400) {
		(void)snprintf(result.problem, sizeof result.problem, "%s: %s", stage_text(state->stage), state->reply);
	} else {
		(void)snprintf(result.problem, sizeof result.problem, "%s: %s", stage_text(state->stage), error);
	}
	return result;
}

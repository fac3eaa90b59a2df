/* What a mail server says, and what is made of it: lines of both sides, those of ours begin with ">". */
#include "fuzz.h"

#include "base/utf8.h"
#include "mail/smtp_state.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smtp_state state = {.stage = SMTP_STAGE_CONNECT};
	struct mail_result result;

	for (size_t at = 0; at < size;) {
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t length = end != NULL ? (size_t)(end - (data + at)) + 1 : size - at;

		if (data[at] == '>')
			smtp_state_command(&state, (const char *)data + at + 1, length - 1);
		else
			smtp_state_reply(&state, (const char *)data + at, length);
		at += length;
	}
	MUST(state.code == 0 || (state.code >= 0 && state.code <= 999));
	MUST(utf8_is_printable(state.reply));
	result = smtp_state_judge(&state, "it broke off");
	MUST(utf8_is_printable(result.problem) && result.problem[0] != '\0');
	MUST(result.outcome != MAIL_OUTCOME_SENT || state.stage == SMTP_STAGE_BODY);
	return 0;
}

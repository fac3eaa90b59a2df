/*
 * Messages: whatever is in subject, names and texts, the header has the fields that were written and no more, lines
 * have their bounds, and it is ASCII. The parts of the input are separated by NULs.
 */
#include "fuzz.h"

#include "base/utf8.h"
#include "mail/message.h"

#include <string.h>

#define PARTS 4

static size_t count_fields(const char *message, const char *end)
{
	size_t count = 0;

	for (const char *line = message; line < end; line = strstr(line, "\r\n") + 2)
		count += *line != ' ' && *line != '\r';
	return count;
}

static void check_lines(const char *message, size_t size)
{
	size_t column = 0;

	for (size_t i = 0; i < size; i++) {
		bool is_end = message[i] == '\r';

		MUST(message[i] != '\0' && (unsigned char)message[i] < 0x80);
		MUST(!is_end || (i + 1 < size && message[i + 1] == '\n'));
		MUST(message[i] != '\n' || (i > 0 && message[i - 1] == '\r'));
		column = is_end || message[i] == '\n' ? 0 : column + 1;
		MUST(column <= 998);
	}
	MUST(size >= 2 && message[size - 1] == '\n');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	const char *parts[PARTS] = {"", "", "", ""};
	struct mail_message message = {
		.from = {.address = "noreply@example.org"},
		.to = "x@example.net",
		.language = "en",
		.message_id = "0be19396-8fb6-40e7-86bd-c5e33c6feaf9",
	};
	char *composed;
	const char *end;
	size_t length;

	for (size_t i = 0, at = 0; i < PARTS && at < size; i++) {
		const uint8_t *nul = memchr(data + at, '\0', size - at);
		size_t part = nul != NULL ? (size_t)(nul - (data + at)) : size - at;

		parts[i] = fuzz_text(ctx, data + at, part);
		at += part + 1;
	}
	message.subject = parts[0];
	(void)snprintf(message.from.name, sizeof message.from.name, "%s", parts[1]);
	message.text = parts[2];
	message.html = parts[3][0] != '\0' ? parts[3] : NULL;
	composed = mail_message_compose(ctx, &message, &length);
	MUST(composed != NULL);
	check_lines(composed, length);
	end = strstr(composed, "\r\n\r\n");
	MUST(end != NULL);
	/* Date, From, To, Subject, Message-ID, MIME-Version, Auto-Submitted, Content-Language, and those of its
	 * content. */
	MUST(count_fields(composed, end) == (message.html != NULL ? 9 : 10));
	talloc_free(ctx);
	return 0;
}

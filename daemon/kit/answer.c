/* An answer, as a web server reads it. */
#include "kit/answer.h"

#include "http/records.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What the records of standard output have, one behind the other. False when the last record is not the end. */
static bool join(const uint8_t *records, size_t size, char *text, size_t *length)
{
	size_t at = 0;

	*length = 0;
	while (size - at >= RECORD_HEADER_SIZE) {
		const struct record record = record_read(records + at);

		at += RECORD_HEADER_SIZE;
		if (record.content_size + record.padding_size > size - at)
			return false;
		if (record.type == RECORD_END_REQUEST)
			return true;
		if (record.type == RECORD_STDOUT) {
			memcpy(text + *length, record.content, record.content_size);
			*length += record.content_size;
		}
		at += record.content_size + record.padding_size;
	}
	return false;
}

/* One line, which is ended in its place. False when it is no header field, or there is no memory. */
static bool read_header(struct answer *answer, char *line)
{
	char *colon = strchr(line, ':');
	struct answer_header *grown;

	if (colon == NULL)
		return false;
	*colon++ = '\0';
	colon += strspn(colon, " ");
	if (strcmp(line, "Status") == 0) {
		answer->status = (int)strtol(colon, NULL, 10);
		return true;
	}
	grown = talloc_realloc(answer, answer->headers, struct answer_header, (unsigned)answer->header_count + 1);
	if (grown == NULL)
		return false;
	answer->headers = grown;
	answer->headers[answer->header_count++] = (struct answer_header){.name = line, .value = colon};
	return true;
}

static bool read_text(struct answer *answer, char *text, size_t length)
{
	char *line = text, *end;

	answer->status = 200;
	while ((end = strstr(line, "\r\n")) != NULL) {
		*end = '\0';
		if (end == line) {
			answer->body = end + 2;
			answer->size = length - (size_t)(answer->body - text);
			return true;
		}
		if (!read_header(answer, line))
			return false;
		line = end + 2;
	}
	return false;
}

struct answer *answer_read(TALLOC_CTX *ctx, const uint8_t *records, size_t size)
{
	struct answer *answer = talloc_zero(ctx, struct answer);
	char *text = talloc_zero_size(answer, size + 1);
	size_t length;

	if (text != NULL && join(records, size, text, &length) && read_text(answer, text, length))
		return answer;
	talloc_free(answer);
	return NULL;
}

const char *answer_header(const struct answer *answer, const char *name)
{
	for (size_t i = 0; i < answer->header_count; i++) {
		if (strcasecmp(answer->headers[i].name, name) == 0)
			return answer->headers[i].value;
	}
	return NULL;
}

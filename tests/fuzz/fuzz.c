#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void fuzz_fail(const char *file, int line, const char *condition)
{
	(void)fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
	abort();
}

/* A talloc chunk of exactly this size is an allocation of its own: sanitizers see reads past its end. */
char *fuzz_text(TALLOC_CTX *ctx, const uint8_t *data, size_t size)
{
	char *text = talloc_strndup(ctx, size > 0 ? (const char *)data : "", size);

	if (text == NULL)
		abort();
	return text;
}

char *fuzz_line(TALLOC_CTX *ctx, const uint8_t **data, size_t *size)
{
	const uint8_t *end = *size > 0 ? memchr(*data, '\n', *size) : NULL;
	size_t length = end != NULL ? (size_t)(end - *data) : *size;
	char *line = fuzz_text(ctx, *data, length);

	*data += length + (end != NULL ? 1 : 0);
	*size -= length + (end != NULL ? 1 : 0);
	return line;
}

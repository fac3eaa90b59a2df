/*
 * multipart/form-data: a line with the boundary, then the body. Whatever the pieces are that it comes in, the same
 * parts come out, within their bounds; and it comes to an end.
 */
#include "fuzz.h"

#include "http/multipart.h"

#include <stdlib.h>
#include <string.h>

/* What came out: a sum of it, for one that would differ otherwise is found by it. */
struct seen {
	uint64_t sum;
	size_t parts, ended, size;
};

static void add(struct seen *seen, const void *data, size_t size)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < size; i++)
		seen->sum = (seen->sum ^ bytes[i]) * UINT64_C(1099511628211);
}

static bool begin(void *context, const struct multipart_part *part)
{
	struct seen *seen = context;

	MUST(seen->parts == seen->ended);
	MUST(++seen->parts <= MULTIPART_PARTS_MAX);
	MUST(part->name != NULL && strlen(part->name) < MULTIPART_HEAD_MAX);
	add(seen, part->name, strlen(part->name) + 1);
	if (part->filename != NULL)
		add(seen, part->filename, strlen(part->filename) + 1);
	if (part->content_type != NULL)
		add(seen, part->content_type, strlen(part->content_type) + 1);
	return true;
}

static bool data(void *context, const void *bytes, size_t size)
{
	struct seen *seen = context;

	MUST(size > 0 && seen->parts == seen->ended + 1);
	seen->size += size;
	add(seen, bytes, size);
	return true;
}

static bool end(void *context)
{
	struct seen *seen = context;

	MUST(++seen->ended == seen->parts);
	add(seen, "", 1);
	return true;
}

static struct seen parse(const char *type, const uint8_t *body, size_t size, size_t step, const char **defect)
{
	static const struct multipart_sink sink = {begin, data, end};
	static struct multipart multipart;
	struct seen seen = {0};
	bool goes_on = true;

	*defect = multipart_init(&multipart, type, &sink, &seen);
	if (*defect != NULL)
		return seen;
	for (size_t at = 0; at < size && goes_on; at += step) {
		size_t piece_size = size - at < step ? size - at : step;
		uint8_t *piece = malloc(piece_size);

		MUST(piece != NULL);
		memcpy(piece, body + at, piece_size);
		goes_on = multipart_feed(&multipart, piece, piece_size);
		free(piece);
	}
	if (goes_on && multipart_finish(&multipart))
		MUST(seen.parts == seen.ended);
	*defect = multipart.defect;
	MUST(seen.size <= size);
	return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	char *type = fuzz_line(NULL, &input, &size);
	const char *defect, *other_defect;
	struct seen whole = parse(type, input, size, size > 0 ? size : 1, &defect);

	for (size_t step = 1; step < 8; step += 3) {
		struct seen seen = parse(type, input, size, step, &other_defect);

		MUST(other_defect == defect);
		MUST(seen.sum == whole.sum && seen.parts == whole.parts && seen.ended == whole.ended);
	}
	talloc_free(type);
	return 0;
}

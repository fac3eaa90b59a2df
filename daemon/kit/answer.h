/* An answer, as a web server reads it (RFC 3875, 6). */
#ifndef KIT_ANSWER_H
#define KIT_ANSWER_H

#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

struct answer_header {
	const char *name;
	const char *value;
};

struct answer {
	int status;
	struct answer_header *headers;
	size_t header_count;
	const char *body; /* with a NUL behind it */
	size_t size;
};

/* From the records that the daemon has sent, on `ctx`. NULL: they are no whole answer, or out of memory. */
struct answer *answer_read(TALLOC_CTX *ctx, const uint8_t *records, size_t size);

/* The value of the first field of that name, in any case; NULL: there is none. */
const char *answer_header(const struct answer *answer, const char *name);

#endif

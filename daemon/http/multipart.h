/*
 * multipart/form-data (RFC 7578, RFC 2046 5.1), taken apart as it arrives: bytes go in piece by piece, and each part's
 * head and content come out. Nothing is kept of it but one part's head.
 *
 * It is strict where parsers are known to differ: lines end with CRLF, a line that begins with the boundary is one or
 * the form is refused, as is a form without its end. What stands before the first boundary and behind the last one is
 * left out (RFC 2046, 5.1.1). A part that is itself multipart is not taken apart.
 */
#ifndef HTTP_MULTIPART_H
#define HTTP_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#define MULTIPART_BOUNDARY_MAX 70 /* RFC 2046, 5.1.1 */
#define MULTIPART_HEAD_MAX     8192
#define MULTIPART_PARTS_MAX    64

/* A part's head; strings last until the part's end. */
struct multipart_part {
	const char *name;         /* as it was sent; without a NUL within */
	const char *filename;     /* likewise; NULL: it is no file */
	const char *content_type; /* NULL: none was told */
};

/* What is done with the parts, in their order. Each returns false to have no more of the form. */
struct multipart_sink {
	bool (*begin)(void *context, const struct multipart_part *part);
	bool (*data)(void *context, const void *data, size_t size);
	bool (*end)(void *context);
};

enum multipart_state {
	MULTIPART_CONTENT, /* of a part, or before the first one */
	MULTIPART_BOUNDARY_SEEN,
	MULTIPART_DASH_SEEN,
	MULTIPART_PADDING,
	MULTIPART_LINE_END,
	MULTIPART_HEAD,
	MULTIPART_OVER, /* the last boundary was there */
};

struct multipart {
	const struct multipart_sink *sink;
	void *context;
	const char *defect; /* what is wrong with the form; NULL: nothing, or the sink wants no more */
	bool is_too_much;   /* what is wrong is that a bound is passed */
	enum multipart_state state;
	bool is_in_part;
	size_t part_count;
	size_t delimiter_size, matched; /* so many bytes of the delimiter have been seen and not given out */
	char delimiter[4 + MULTIPART_BOUNDARY_MAX + 1];
	size_t head_size;
	char head[MULTIPART_HEAD_MAX + 1];
};

/* Returns NULL, or what is wrong with the Content-Type's boundary. */
const char *multipart_init(struct multipart *multipart, const char *content_type, const struct multipart_sink *sink,
                           void *context);

/* False when no more of it is wanted: see `defect`. */
bool multipart_feed(struct multipart *multipart, const void *data, size_t size);

/* All of it was fed. False: it is not whole. */
bool multipart_finish(struct multipart *multipart);

#endif

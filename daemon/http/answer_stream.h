/*
 * An answer that is written piece by piece, as its peer takes it: one piece is kept, and nothing blocks. FastCGI
 * Specification 1.0, 5.5: a stream of STDOUT records, and END_REQUEST. Without the latter it has been cut off, which
 * web servers tell from an end.
 */
#ifndef HTTP_ANSWER_STREAM_H
#define HTTP_ANSWER_STREAM_H

#include "http/records.h"

#include <stddef.h>
#include <stdint.h>

/* The content of one record; it is also as much as is made before it is wanted. */
#define ANSWER_PIECE_SIZE (32 * 1024)
/* The records that end it: an empty one of STDOUT, and END_REQUEST with its eight bytes. */
#define ANSWER_END_SIZE (3 * RECORD_HEADER_SIZE)

enum answer_progress {
	ANSWER_TAKEN, /* the piece has been taken, the next may be put */
	ANSWER_WAIT,  /* there is no room for more: go on when the descriptor is writable */
	ANSWER_GONE,  /* the peer takes no more */
};

struct answer_stream {
	int fd;
	unsigned int request_id;
	size_t at, size; /* what is still to be sent of `data` */
	uint8_t data[RECORD_HEADER_SIZE + ANSWER_PIECE_SIZE + ANSWER_END_SIZE];
};

/* Where the next piece, of up to ANSWER_PIECE_SIZE bytes, is put; when the one before was taken. */
void *answer_stream_room(struct answer_stream *stream);

/* A piece of that size is there, not 0. */
void answer_stream_put(struct answer_stream *stream, size_t size);

/* The answer is whole. Before or after its last piece was taken. */
void answer_stream_end(struct answer_stream *stream);

enum answer_progress answer_stream_send(struct answer_stream *stream);

#endif

/* The web server's side of one FastCGI connection, for targets that go through libfcgi. */
#ifndef FUZZ_WIRE_H
#define FUZZ_WIRE_H

#include "http/fcgi.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The bytes to send, up to a size that fits in a socket's buffer; more is left out. */
struct wire {
	size_t size;
	uint8_t data[96 * 1024];
};

/* Bytes as they are. */
void wire_put(struct wire *wire, const void *data, size_t size);

/* FastCGI's records: the begin record; name-value pairs, then wire_end(); a whole body, in records of `step` bytes. */
void wire_begin(struct wire *wire, bool is_authorizer);
void wire_param(struct wire *wire, const char *name, const char *value, size_t value_size);
void wire_end_params(struct wire *wire);
void wire_body(struct wire *wire, const void *body, size_t size, size_t step);

/*
 * A connection on which `wire` has arrived, followed by the peer's end; *peer is the web server's descriptor, for
 * wire_hang_up(). On NULL.
 */
struct fcgi *wire_connect(const struct wire *wire, int *peer);

/* Discard the answer. Returns its size. */
size_t wire_hang_up(int peer);

#endif

/* FastCGI's records and pairs, as bytes. FastCGI Specification 1.0, 3.3, 3.4 and 8. */
#ifndef HTTP_RECORDS_H
#define HTTP_RECORDS_H

#include <stddef.h>
#include <stdint.h>

/* The library's own header with these is not installed everywhere. */
enum { RECORD_VERSION_1 = 1, RECORD_HEADER_SIZE = 8, RECORD_BEGIN_BODY_SIZE = 8 };
enum { RECORD_BEGIN_REQUEST = 1, RECORD_END_REQUEST = 3, RECORD_PARAMS = 4, RECORD_STDIN = 5, RECORD_STDOUT = 6 };
enum { RECORD_ROLE_RESPONDER = 1, RECORD_ROLE_AUTHORIZER = 2 };

struct record {
	unsigned int version, type, request_id;
	size_t content_size, padding_size;
	const uint8_t *content;
};

/* The record whose header is at `at`, and whose content may be there. */
struct record record_read(const uint8_t *at);

/* A length of a name or value: one byte, or four with the highest bit set. Returns its size, 0 if it is cut short. */
size_t record_read_length(const uint8_t *at, size_t left, size_t *length);

/* The pairs must be whole, and a name or value must be the same as a C string. NULL, or what is wrong. */
const char *record_params_defect(const uint8_t *params, size_t size);

#endif

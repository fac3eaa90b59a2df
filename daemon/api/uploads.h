/*
 * Uploads: the files and fields of a body that is streamed. uploads_take() gets its bytes as they arrive; what handlers
 * ask for afterwards stands in onesession.h.
 */
#ifndef API_UPLOADS_H
#define API_UPLOADS_H

#include "api/exchange.h"
#include "http/multipart.h"

/* Bytes of the value of one field, and of all fields of a form. */
#define UPLOAD_FIELD_MAX  (64 * 1024)
#define UPLOAD_FIELDS_MAX (1024 * 1024)

/* For a body that is streamed, once it is clear that it will be read. NULL, with *problem: it is answered with that. */
struct uploads *uploads_begin(struct ones_request *req, struct http_problem *problem);

/* Some of the body. False: no more of it, see uploads_problem(). */
bool uploads_take(struct uploads *uploads, const void *data, size_t size);

/* All of the body is there. False: see uploads_problem(). */
bool uploads_finish(struct uploads *uploads);

/* The bytes of the body that were taken so far. */
int64_t uploads_taken(const struct uploads *uploads);

struct http_problem uploads_problem(const struct uploads *uploads);

/* The first value of a form's field of that name; NULL: there is none. */
const char *uploads_field(const struct uploads *uploads, const char *name);

#endif

/*
 * FastCGI on the wire: inspecting a request, record by record, before libfcgi gets it. FastCGI Specification 1.0,
 * sections 3 to 6 and 8.
 */
#ifndef HTTP_INSPECTION_H
#define HTTP_INSPECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

/* The parameters of one request, as they are on the wire. */
#define FCGI_PARAMS_SIZE_MAX (64 * 1024)

/* Section 8 of the specification. The library's own header with these is not installed everywhere. */
enum { RECORD_VERSION_1 = 1, RECORD_HEADER_SIZE = 8, RECORD_BEGIN_BODY_SIZE = 8 };
enum { RECORD_BEGIN_REQUEST = 1, RECORD_PARAMS = 4, RECORD_STDIN = 5 };
enum { RECORD_ROLE_RESPONDER = 1, RECORD_ROLE_AUTHORIZER = 2 };

enum fcgi_role_kind { FCGI_ROLE_RESPONDER, FCGI_ROLE_AUTHORIZER };

enum fcgi_progress {
	FCGI_WAIT,   /* more is to come: call again when the descriptor has become readable anew (edge) */
	FCGI_READY,  /* all of it is there, or the body is too large to be read */
	FCGI_CLOSED, /* the peer has closed, with nothing left to read; after half a request only the events of the
	                descriptor show it */
	FCGI_BROKEN, /* no request that can be taken in; fcgi_defect() says why. Close it. */
};

/* Text without a NUL at its end. */
struct fcgi_text {
	const char *at;
	size_t length;
};

/* A body that did not arrive together with the parameters: taken out of the socket, piece by piece. */
struct collected {
	uint8_t *head; /* the records before it, for the library */
	size_t head_size;
	uint8_t header[RECORD_HEADER_SIZE]; /* of the record under way */
	size_t header_size;
	size_t content_left, padding_left;
	uint8_t *body;
	size_t room;
};

/* How far a request has come. To begin with all is zero but the first three. */
struct inspection {
	TALLOC_CTX *ctx; /* of what is collected */
	int fd;
	size_t max_body; /* a larger one is not read */
	/* Asked for max_body when the parameters are whole, and there may be a body; NULL: it stays what it is. */
	size_t (*body_limit)(const struct inspection *inspection);
	enum fcgi_role_kind role;
	const char *defect;
	/* What inspection_proceed() knows so far; records before `offset` have been inspected. */
	size_t offset;
	unsigned int request_id;
	bool has_begun, has_params, has_body;
	bool are_params_padded; /* behind the record that ends them */
	bool is_limit_known;    /* body_limit has been asked */
	bool is_too_large;      /* the body, which is not read then */
	bool is_head_enough;    /* the body is not waited for */
	size_t params_size, body_size;
	struct collected *collected; /* NULL: all of the request is still in the socket */
};

/* Inspect what has arrived, without blocking. */
enum fcgi_progress inspection_proceed(struct inspection *inspection);

/* Has the end of the request arrived? An authorizer may be sent none of the body. */
bool inspection_has_ended(const struct inspection *inspection);

/* A parameter, the last one of its name: after FCGI_READY, and before another request is inspected. False: none. */
bool inspection_param(const struct inspection *inspection, const char *name, struct fcgi_text *value);

/* The bytes of memory that a request holds which is not whole yet. */
size_t inspection_held(const struct inspection *inspection);

#endif

/*
 * FastCGI on the wire: inspecting a request, record by record, before libfcgi gets it. FastCGI Specification 1.0,
 * sections 3 to 6 and 8.
 */
#ifndef HTTP_INSPECTION_H
#define HTTP_INSPECTION_H

#include "http/records.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

/* The parameters of one request, as they are on the wire. */
#define FCGI_PARAMS_SIZE_MAX (64 * 1024)

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

/* What is to become of a body. */
struct body_plan {
	uint64_t max;     /* a larger one is not read */
	bool is_streamed; /* it is not waited for: inspection_stream() takes it in as it arrives */
};

/* Takes some of a body that is streamed; false: no more of it is wanted. */
typedef bool body_sink(void *context, const void *data, size_t size);

/* How far a request has come. To begin with all is zero but the first three. */
struct inspection {
	TALLOC_CTX *ctx; /* of what is collected */
	int fd;
	struct body_plan plan;
	/* Asked for the plan when the parameters are whole, and there may be a body; NULL: it stays what it is. */
	struct body_plan (*plan_body)(const struct inspection *inspection);
	enum fcgi_role_kind role;
	const char *defect;
	/* What inspection_proceed() knows so far; records before `offset` have been inspected. */
	size_t offset;
	unsigned int request_id;
	bool has_begun, has_params, has_body;
	bool are_params_padded; /* behind the record that ends them */
	bool is_planned;        /* plan_body has been asked */
	bool is_too_large;      /* the body, which is not read then */
	bool is_head_enough;    /* the body is not waited for */
	bool is_refused;        /* what is still to come of a body that is streamed */
	size_t params_size;
	uint64_t body_size;
	struct collected *collected; /* NULL: all of the request is still in the socket */
	body_sink *sink;             /* of a body that is streamed */
	void *sink_context;
};

/* Inspect what has arrived, without blocking. */
enum fcgi_progress inspection_proceed(struct inspection *inspection);

/* Has the end of the request arrived? An authorizer may be sent none of the body. */
bool inspection_has_ended(const struct inspection *inspection);

/* A parameter, the last one of its name: after FCGI_READY, and before another request is inspected. False: none. */
bool inspection_param(const struct inspection *inspection, const char *name, struct fcgi_text *value);

/*
 * Before a body is streamed: take what comes before it out of the socket, into `collected`. After FCGI_READY. False:
 * the peer has gone, or memory has run out.
 */
bool inspection_take_head(struct inspection *inspection);

/*
 * Give some of what has arrived of a streamed body to `sink`: FCGI_WAIT, there may be more in the socket; FCGI_READY,
 * all of it was taken, it has become too large, or the sink wants no more; FCGI_CLOSED, FCGI_BROKEN.
 */
enum fcgi_progress inspection_stream(struct inspection *inspection, body_sink *sink, void *context);

/* The bytes of memory that a request holds which is not whole yet. */
size_t inspection_held(const struct inspection *inspection);

#endif

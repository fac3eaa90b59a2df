/* The body of a login in JSON, from libfcgi to the fields that a handler reads. */
#include "wire.h"

#include "api/dispatch.h"
#include "base/utf8.h"
#include "fuzz.h"

#include <stdio.h>
#include <string.h>

static struct wire wire;

static void put_request(const uint8_t *body, size_t size)
{
	char length[24];

	wire_begin(&wire, false);
	wire_param(&wire, "REQUEST_METHOD", "POST", 4);
	wire_param(&wire, "CONTENT_TYPE", "application/json", 16);
	wire_param(&wire, "CONTENT_LENGTH", length, (size_t)snprintf(length, sizeof length, "%zu", size));
	wire_end_params(&wire);
	wire_body(&wire, body, size, UINT16_MAX);
}

static void check_field(const struct ones_request *req, const char *name)
{
	const char *text = ones_field(req, name);

	MUST(text == NULL || utf8_is_valid(text));
	if (ones_field_is_true(req, name))
		MUST(text == NULL || strcmp(text, "true") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ones_request req = {.http = talloc_zero(NULL, struct http_request)};
	struct http_problem problem;
	struct fcgi *fcgi;
	int peer;

	put_request(data, size);
	fcgi = wire_connect(&wire, &peer);
	MUST(req.http != NULL && fcgi_inspect(fcgi) == FCGI_READY && fcgi_accept(fcgi) == 0);
	problem = request_read(req.http, fcgi, "id");
	MUST(problem.status == 0 && req.http->is_program);
	problem = request_read_body(req.http, ONES_BODY_FORM | ONES_BODY_JSON);
	MUST(problem.status == 0 || problem.status == 400);
	MUST((problem.status == 0 && size > 0) == (req.http->json != NULL));
	check_field(&req, "username");
	check_field(&req, "password");
	check_field(&req, "next");
	check_field(&req, "take_over");
	talloc_free(req.http);
	talloc_free(fcgi);
	(void)wire_hang_up(peer);
	return 0;
}

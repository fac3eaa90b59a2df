/* The body of a form, read through libfcgi. The first byte is the size of the pieces. */
#include "wire.h"

#include "base/utf8.h"
#include "fuzz.h"
#include "http/request.h"

#include <stdio.h>
#include <string.h>

#define MAX_BODY 2048

static struct wire wire;

static void put_request(const uint8_t *body, size_t size, size_t step)
{
	char length[24];

	wire_begin(&wire, false);
	wire_param(&wire, "REQUEST_METHOD", "POST", 4);
	wire_param(&wire, "CONTENT_LENGTH", length, (size_t)snprintf(length, sizeof length, "%zu", size));
	wire_end_params(&wire);
	wire_body(&wire, body, size, step);
}

static void check(const struct http_request *request, const struct http_problem *problem, size_t size)
{
	MUST(problem->status == 0 || problem->status == 400 || problem->status == 413);
	MUST((problem->status == 413) == (size > MAX_BODY));
	if (problem->status != 0 || size == 0)
		return;
	MUST(request->form != NULL && request->form->count <= URLENCODED_FIELDS_MAX);
	for (size_t i = 0; i < request->form->count; i++) {
		const struct urlencoded_field *field = &request->form->fields[i];

		MUST(utf8_is_valid(field->name) && utf8_is_valid(field->value));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_request *request = talloc_zero(NULL, struct http_request);
	struct http_problem problem;
	struct fcgi *fcgi;
	int peer;

	if (size > 0) {
		put_request(data + 1, size - 1, (size_t)data[0] * 16 + 1);
		fcgi = wire_connect(&wire, &peer);
		MUST(request != NULL && fcgi_inspect(fcgi) == FCGI_READY && fcgi_accept(fcgi) == 0);
		problem = request_read(request, fcgi, "id");
		MUST(problem.status == 0);
		problem = request_read_body(request, ONES_BODY_FORM | ONES_BODY_JSON);
		check(request, &problem, size - 1);
		talloc_free(fcgi);
		(void)wire_hang_up(peer);
	}
	talloc_free(request);
	return 0;
}

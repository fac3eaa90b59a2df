/*
 * The client's address and scheme, from a web server and proxies before it: lines NAME=VALUE, of which each becomes a
 * parameter. Only the web server's own parameters count, and no header of a client (HTTP_X_FORWARDED_FOR,
 * HTTP_FORWARDED and so on).
 */
#include "wire.h"

#include "base/networks.h"
#include "base/utf8.h"
#include "fuzz.h"
#include "http/request.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* Headers of that kind that a client can send. */
static bool is_told_by_client(const char *line)
{
	return strncmp(line, "HTTP_X_", 7) == 0 || strncmp(line, "HTTP_FORWARDED=", 15) == 0 ||
	       strncmp(line, "HTTP_VIA=", 9) == 0 || strncmp(line, "HTTP_CLIENT_IP=", 15) == 0;
}

static void put_request(struct wire *wire, const uint8_t *data, size_t size, bool with_client)
{
	TALLOC_CTX *ctx = talloc_new(NULL);

	wire_begin(wire, false);
	wire_param(wire, "REQUEST_METHOD", "POST", 4);
	while (size > 0) {
		char *line = fuzz_line(ctx, &data, &size);
		char *value = strchr(line, '=');

		if (value == NULL || value == line || (!with_client && is_told_by_client(line)))
			continue;
		*value++ = '\0';
		wire_param(wire, line, value, strlen(value));
	}
	wire_end_params(wire);
	wire_body(wire, NULL, 0, 1);
	talloc_free(ctx);
}

struct seen {
	struct http_request *request;
	struct fcgi *fcgi;
	int peer;
};

static bool see(struct wire *wire, struct seen *seen)
{
	struct http_problem problem;

	seen->fcgi = wire_connect(wire, &seen->peer);
	seen->request = talloc_zero(NULL, struct http_request);
	MUST(seen->request != NULL);
	if (fcgi_inspect(seen->fcgi) != FCGI_READY)
		return false;
	MUST(fcgi_accept(seen->fcgi) == 0);
	problem = request_read(seen->request, seen->fcgi, "id");
	MUST(problem.status == 0 || problem.status == 400);
	return true;
}

static void forget(struct seen *seen)
{
	talloc_free(seen->request);
	talloc_free(seen->fcgi);
	(void)wire_hang_up(seen->peer);
}

static bool says(const struct http_request *request, const char *name, const char *value)
{
	const char *found = fcgi_param(request->fcgi, name);

	return found != NULL && strcasecmp(found, value) == 0;
}

static void check(const struct http_request *request, const struct networks *loopback)
{
	const char *address = fcgi_param(request->fcgi, "REMOTE_ADDR");
	struct in6_addr parsed;

	MUST(request->is_secure ==
	     (says(request, "HTTPS", "on") || says(request, "HTTPS", "1") || says(request, "REQUEST_SCHEME", "https")));
	if (request->remote_addr[0] != '\0') {
		MUST(address != NULL && strcmp(request->remote_addr, address) == 0);
		MUST(inet_pton(AF_INET, address, &parsed) == 1 || inet_pton(AF_INET6, address, &parsed) == 1);
	}
	if (networks_have_text(loopback, request->remote_addr))
		MUST(strncmp(request->remote_addr, "127.", 4) == 0 || strchr(request->remote_addr, ':') != NULL);
	MUST(request->id[0] != '\0' && strspn(request->id, "0123456789abcdefghijklmnopqrstuvwxyz"
	                                                   "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.") == strlen(request->id));
	MUST(utf8_is_valid(request->user_agent));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wire wire, without_client;
	static const struct networks *loopback;
	struct seen seen, seen_without;
	const char *wrong;

	if (loopback == NULL) {
		static TALLOC_CTX *for_ever;

		for_ever = talloc_new(NULL);
		loopback = networks_parse(for_ever, "127.0.0.0/8 ::1", &wrong);
	}
	MUST(loopback != NULL);
	put_request(&wire, data, size, true);
	if (see(&wire, &seen))
		check(seen.request, loopback);
	put_request(&without_client, data, size, false);
	if (wire.size != without_client.size) {
		if (see(&without_client, &seen_without) && seen.request->path != NULL) {
			MUST(seen.request->is_secure == seen_without.request->is_secure);
			MUST(strcmp(seen.request->remote_addr, seen_without.request->remote_addr) == 0);
			MUST(request_is_forged(seen.request) == request_is_forged(seen_without.request));
			MUST(strcmp(seen.request->id, seen_without.request->id) == 0);
			MUST(seen.request->is_program == seen_without.request->is_program);
		}
		forget(&seen_without);
	}
	forget(&seen);
	return 0;
}

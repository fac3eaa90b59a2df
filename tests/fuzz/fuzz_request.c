/*
 * A whole request, from the bytes on the connection to the answer, through libfcgi: all code that runs before the
 * database. If the input begins with 'R' the rest is sent as it is. Else the first byte gives the role and the size of
 * the body's records; then lines NAME=VALUE, an empty line and the body follow, which are sent as a web server would.
 */
#include "wire.h"

#include "api/dispatch.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "fuzz.h"
#include "modules/modules.h"
#include "own_modules.h"

#include <string.h>

static struct wire wire;

static struct ones_app *new_app(void)
{
	static const char *const overrides[] = {
		"login.memory=8MiB",           "login.passes=1",   "log.level=error", "server.max_body=2KiB",
		"session.key_from=cookie sid", "session.bearer=on"};
	const struct config_source source = {
		.path = "/dev/null", .overrides = overrides, .override_count = sizeof overrides / sizeof overrides[0]};
	static struct settings settings;
	static TALLOC_CTX *ctx;
	struct scoreboard *board = scoreboard_new();
	const struct pages *pages;
	struct problem problem = {0};
	struct ones_app *app;

	ctx = talloc_new(NULL);
	MUST(config_load(ctx, &source, &settings, stderr) == 0);
	MUST(log_open("fuzz_request", "stderr", settings.log.level, settings.log.format) == 0);
	pages = pages_load(NULL, "", stderr);
	MUST(board != NULL && pages != NULL);
	app = app_new(NULL, &settings, pages, board);
	MUST(app != NULL);
	MUST(modules_set_up_own(app, &own_modules, &problem) == 0);
	return app;
}

static void put_lines(const uint8_t *data, size_t size)
{
	TALLOC_CTX *ctx = talloc_new(NULL);
	uint8_t how = *data++;

	size--;
	wire_begin(&wire, (how & 0x80) != 0);
	while (size > 0) {
		char *line = fuzz_line(ctx, &data, &size);
		char *value = strchr(line, '=');

		if (*line == '\0')
			break;
		if (value == NULL)
			continue;
		*value++ = '\0';
		wire_param(&wire, line, value, strlen(value));
	}
	wire_end_params(&wire);
	wire_body(&wire, data, size, (size_t)(how & 0x7f) * 8 + 1);
	talloc_free(ctx);
}

/* A request that needs the database is answered as when logins wait too long: that is an answer, too. */
static void serve(struct ones_app *app, struct fcgi *fcgi)
{
	const struct app_times times = {.connected = clock_monotonic_us()};
	const struct app_lookup lookup = {.status = DB_UNAVAILABLE};
	struct app_preview preview;
	struct ones_request *req;
	int status;

	(void)app_preview(app, fcgi, &preview);
	MUST(preview.key_count <= APP_KEYS_MAX);
	MUST(preview.session_keys <= preview.key_count);
	req = app_open(app, fcgi, &preview, &lookup, &times);
	if (req == NULL)
		return;
	MUST(req->was_answered || req->route != NULL);
	MUST(req->was_answered || !preview.needs_no_database || req->route->declared.needs == ONES_NEEDS_NOTHING);
	if (!req->was_answered && req->route->declared.needs != ONES_NEEDS_NOTHING)
		(void)app_hashed(req, NULL);
	else
		(void)app_run(req);
	status = app_close(req);
	MUST(status >= 200 && status < 600 && status != 500);
	talloc_free(req);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ones_app *app;
	enum fcgi_progress progress;
	struct fcgi *fcgi;
	bool is_cut;
	int peer;

	if (app == NULL)
		app = new_app();
	if (size == 0)
		return 0;
	wire.size = 0;
	if (data[0] == 'R')
		wire_put(&wire, data + 1, size - 1);
	else
		put_lines(data, size);
	fcgi = wire_connect(&wire, &peer);
	progress = fcgi_inspect(fcgi);
	is_cut = data[0] == 'R';
	MUST((progress == FCGI_BROKEN) == (fcgi_defect(fcgi) != NULL));
	if (progress == FCGI_READY) {
		serve(app, fcgi);
		fcgi = NULL;
		MUST(wire_hang_up(peer) > 0);
		peer = -1;
	} else {
		MUST(is_cut || progress == FCGI_BROKEN);
	}
	talloc_free(fcgi);
	if (peer >= 0)
		(void)wire_hang_up(peer);
	return 0;
}

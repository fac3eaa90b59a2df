/* Paths and the routes that they find: parts are never empty and have no slash, and a literal comes before a part. */
#include "fuzz.h"

#include "api/routes.h"

#include <string.h>

static void handler(struct ones_request *req)
{
	(void)req;
}

static struct ones_app *new_app(void)
{
	static const char *const paths[] = {"/",          "/titles/:id",   "/titles/new",      "/titles/:id/position",
	                                    "/:kind/new", "/:a/:b/:c/:d/", "/titles/:id/:what"};
	struct ones_app *app = talloc_zero(NULL, struct ones_app);

	MUST(app != NULL);
	app->board = scoreboard_new();
	app->current = talloc_zero(app, struct module);
	MUST(app->board != NULL && app->current != NULL);
	app->current->name = "example";
	app->current->prefix = "";
	app->modules[app->module_count++] = app->current;
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		ones_route(app, &(struct ones_route){.path = paths[i], .get = handler});
	MUST(app->setup_problem == NULL);
	return app;
}

/* The path that the route and its parts stand for. */
static char *rebuilt(TALLOC_CTX *ctx, const struct route *route, const struct route_parts *parts)
{
	char *path = talloc_strdup(ctx, "");
	size_t part = 0;

	for (size_t i = 0; i < route->pattern.count; i++) {
		const struct route_segment *segment = &route->pattern.segments[i];
		const char *text = segment->is_part ? parts->all[part].value : segment->text;
		size_t length = segment->is_part ? parts->all[part].value_length : segment->length;

		MUST(!segment->is_part || length > 0);
		MUST(memchr(text, '/', length) == NULL);
		part += segment->is_part;
		path = talloc_asprintf_append(path, "/%.*s", (int)length, text);
	}
	MUST(part == parts->count);
	return path;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ones_app *app;
	TALLOC_CTX *ctx = talloc_new(NULL);
	char *path = fuzz_text(ctx, data, size);
	struct route_parts parts;
	const struct route *route;

	if (app == NULL)
		app = new_app();
	route = routes_find(app, path, ONES_METHOD_GET, &parts);
	MUST(route != NULL || parts.count == 0);
	if (route != NULL)
		MUST(strcmp(rebuilt(ctx, route, &parts), path) == 0);
	if (strcmp(path, "/titles/new") == 0)
		MUST(route != NULL && parts.count == 0);
	talloc_free(ctx);
	return 0;
}

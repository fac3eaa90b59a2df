/* Routes that ones_route() accepts and refuses, and the route that a path finds. */
#include "api/routes.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <talloc.h>

static void handler(struct ones_request *req)
{
	(void)req;
}

/* As it is while the setup of a module runs. */
static struct ones_app *new_app(void)
{
	struct ones_app *app = talloc_zero(NULL, struct ones_app);

	assert_non_null(app);
	app->board = scoreboard_new();
	app->current = talloc_zero(app, struct module);
	assert_non_null(app->board);
	assert_non_null(app->current);
	app->current->name = "example";
	app->current->prefix = "";
	app->modules[app->module_count++] = app->current;
	return app;
}

static struct ones_app *with(const struct ones_route *first, const struct ones_route *second)
{
	struct ones_app *app = new_app();

	ones_route(app, first);
	ones_route(app, second);
	return app;
}

static void routes_that_are_right_are_taken(void **state)
{
	const struct ones_route first = {.path = "/a", .get = handler, .quick = true};
	const struct ones_route second = {.path = "/:b/", .delete = handler, .needs = ONES_NEEDS_SESSION_DATA};
	struct ones_app *app = with(&first, &second);

	(void)state;
	assert_null(app->setup_problem);
	assert_int_equal(app->route_count, 2);
	assert_int_not_equal(app->routes[0].number, app->routes[1].number);
	talloc_free(app);
}

#define LONG "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16"

static void route_that_is_wrong_is_told(void **state)
{
	static const struct {
		struct ones_route route;
		const char *problem;
	} cases[] = {
		{{.path = "a", .get = handler}, "begins with a slash"},
		{{.get = handler}, "without a path"},
		{{.path = "/a"}, "without a handler"},
		{{.path = "/a", .any = handler, .put = handler}, "in place of the other handlers"},
		{{.path = "/a", .get = handler, .quick = true, .needs = ONES_NEEDS_DATABASE}, "it is quick"},
		{{.path = "/a", .get = handler, .quick = true, .needs = ONES_NEEDS_SESSION_DATA}, "it is quick"},
		{{.path = "/a", .get = handler, .scope = "all", .needs = ONES_NEEDS_DATABASE}, ".scope is none"},
		{{.path = "/a", .get = handler, .scope = "users"}, "it is for programs, which have no session"},
		{{.path = "/a", .get = handler, .scope = "users", .needs = ONES_NEEDS_NOTHING}, "no database"},
		{{.path = "/a", .post = handler, .key_field = "token"}, "it has .key_field, and no .scope"},
		{{.path = "/a", .get = handler, .key_field = "token", .scope = "users"}, "it has .key_field"},
		{{.path = "/a", .get = handler, .signed_in = true, .needs = ONES_NEEDS_DATABASE}, "who are signed in"},
		{{.path = "/a", .get = handler, .admins_only = true, .needs = ONES_NEEDS_NOTHING}, "who are signed in"},
		{{.path = "/a", .post = handler, .bodies = ONES_BODY_MULTIPART, .max_body = (INT64_C(1) << 40) + 1},
	         "1 TiB"},
		{{.path = "/a", .post = handler, .bodies = 16}, "a flag that there is not"},
		{{.path = "/a", .post = handler, .no_body = true, .max_body = 1}, "is not read"},
		{{.path = "/a", .post = handler, .max_body = 16 * 1024 * 1024 + 1}, ".max_body"},
		{{.path = "/a", .post = handler, .max_body = -1}, ".max_body"},
		{{.path = "/a", .get = handler, .timeout_ms = 99}, ".timeout_ms"},
		{{.path = "/a", .get = handler, .timeout_ms = 600001}, ".timeout_ms"},
		{{.path = "/a", .get = handler, .purpose = ONES_PURPOSE_HOME + 1}, ".purpose is none"},
		{{.path = "/a", .post = handler, .purpose = ONES_PURPOSE_SIGN_IN}, "no handler for GET"},
		{{.path = "/a/:b", .get = handler, .purpose = ONES_PURPOSE_HOME}, "parts in its path"},
		{{.path = "/a/:", .get = handler}, "a part has no name"},
		{{.path = "/a/:b c", .get = handler}, "letters, digits and underscores"},
		{{.path = "/a/:1", .get = handler}, "letters, digits and underscores"},
		{{.path = "/a/:id/b/:id", .get = handler}, "two parts have the same name"},
		{{.path = "/:a/:b/:c/:d/:e/:f/:g/:h/:i", .get = handler}, "more than 8 parts"},
		{{.path = LONG "/17", .get = handler}, "more than 16 segments"},
		{{.path = "/a//b", .get = handler}, "no request can have it"},
		{{.path = "/a/../b", .get = handler}, "no request can have it"},
		{{.path = "/.", .get = handler}, "no request can have it"},
		{{.path = "/a?b", .get = handler}, "no request can have it"},
		{{.path = "/a#b", .get = handler}, "no request can have it"},
		{{.path = "/a%20b", .get = handler}, "no request can have it"},
		{{.path = "/a\tb", .get = handler}, "no request can have it"},
		{{.path = "/a\xff", .get = handler}, "no request can have it"},
		{{.path = "/a/*/b", .get = handler}, "it has a *"},
	};
	const struct ones_route here = {.path = "/here", .get = handler};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct ones_app *app = with(&here, &cases[i].route);

		assert_non_null(app->setup_problem);
		assert_non_null(strstr(app->setup_problem, cases[i].problem));
		if (cases[i].route.path != NULL)
			assert_non_null(strstr(app->setup_problem, cases[i].route.path));
		assert_int_equal(app->route_count, 1);
		talloc_free(app);
	}
}

static void two_routes_of_the_same_paths_are_told_by_both_names(void **state)
{
	static const char *const pairs[][2] = {
		{"/here", "/here"}, {"/titles/:id", "/titles/:name"}, {"/:a/x/:b", "/:b/x/:a"}, {"/", "/"}};

	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		struct ones_app *app = with(&(struct ones_route){.path = pairs[i][0], .get = handler},
		                            &(struct ones_route){.path = pairs[i][1], .get = handler, .post = handler});
		char expected[100];

		(void)snprintf(expected, sizeof expected,
		               "route %s: it serves the same paths, and a method of them, as the route %s", pairs[i][1],
		               pairs[i][0]);
		assert_string_equal(app->setup_problem, expected);
		assert_int_equal(app->route_count, 1);
		talloc_free(app);
	}
}

static void routes_of_the_same_paths_and_other_methods_stand_beside_each_other(void **state)
{
	struct ones_app *app = with(&(struct ones_route){.path = "/titles/:id", .get = handler, .put = handler},
	                            &(struct ones_route){.path = "/titles/:name", .post = handler, .signed_in = true});
	static const struct {
		enum ones_method method;
		const char *path;
	} cases[] = {
		{ONES_METHOD_GET, "/titles/:id"},
		{ONES_METHOD_PUT, "/titles/:id"},
		{ONES_METHOD_POST, "/titles/:name"},
		/* Which of them says so does not matter. */
		{ONES_METHOD_DELETE, "/titles/:id"},
	};
	struct route_parts parts;

	(void)state;
	assert_null(app->setup_problem);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct route *route = routes_find(app, "/titles/7", cases[i].method, &parts);

		assert_string_equal(route->declared.path, cases[i].path);
		assert_int_equal(parts.count, 1);
		assert_memory_equal(parts.all[0].name, cases[i].path + strlen("/titles/:"), parts.all[0].name_length);
		assert_string_equal(routes_allowed_methods(app, app, route), "GET, HEAD, POST, PUT");
	}
	talloc_free(app);
}

/* ---- Finding ------------------------------------------------------------------------------------------------ */

/* "pattern" or "pattern name=value name=value", or "none". */
static const char *found(const struct ones_app *app, const char *path)
{
	static char text[200];
	struct route_parts parts;
	const struct route *route = routes_find(app, path, ONES_METHOD_GET, &parts);
	int used = snprintf(text, sizeof text, "%s", route != NULL ? route->declared.path : "none");

	for (size_t i = 0; i < parts.count; i++) {
		const struct route_part *part = &parts.all[i];

		used += snprintf(text + used, sizeof text - (size_t)used, " %.*s=%.*s", (int)part->name_length,
		                 part->name, (int)part->value_length, part->value);
	}
	return text;
}

static void literal_comes_before_a_part_whatever_the_order(void **state)
{
	static const char *const patterns[] = {"/titles/:id",       "/titles/new",          "/:kind/new",
	                                       "/titles/:id/:what", "/titles/:id/position", "/:kind/:id/a",
	                                       "/titles/new/:what", "/titles/:id/"};
	const size_t count = sizeof patterns / sizeof patterns[0];

	(void)state;
	for (size_t first = 0; first < count; first++) {
		struct ones_app *app = new_app();

		for (size_t i = 0; i < count; i++)
			ones_route(app, &(struct ones_route){.path = patterns[(first + i) % count], .get = handler});
		assert_null(app->setup_problem);
		assert_string_equal(found(app, "/titles/new"), "/titles/new");
		assert_string_equal(found(app, "/titles/7"), "/titles/:id id=7");
		assert_string_equal(found(app, "/people/new"), "/:kind/new kind=people");
		assert_string_equal(found(app, "/people/7"), "none");
		assert_string_equal(found(app, "/titles/7/position"), "/titles/:id/position id=7");
		assert_string_equal(found(app, "/titles/new/position"), "/titles/new/:what what=position");
		/* The first segment decides, although the last one would be a literal. */
		assert_string_equal(found(app, "/titles/7/a"), "/titles/:id/:what id=7 what=a");
		/* And another is tried where it leads nowhere. */
		assert_string_equal(found(app, "/people/7/a"), "/:kind/:id/a kind=people id=7");
		assert_string_equal(found(app, "/titles/7/"), "/titles/:id/ id=7");
		talloc_free(app);
	}
}

static void part_stands_for_one_segment_that_is_not_empty(void **state)
{
	struct ones_app *app = with(&(struct ones_route){.path = "/a/:b/c", .get = handler},
	                            &(struct ones_route){.path = "/", .get = handler});

	(void)state;
	assert_string_equal(found(app, "/a/x y%/c"), "/a/:b/c b=x y%");
	assert_string_equal(found(app, "/a/:b/c"), "/a/:b/c b=:b");
	for (const char *const *path = (const char *const[]){"/a//c", "/a/c", "/a/b/d/c", "/a/b/c/", "a/b/c", "", "//",
	                                                     "/a/b/cc", "/a/b", "/A/b/c", NULL};
	     *path != NULL; path++)
		assert_string_equal(found(app, *path), "none");
	assert_string_equal(found(app, "/"), "/");
	talloc_free(app);
}

static void path_finds_its_module_before_a_route(void **state)
{
	struct ones_app *app = new_app();
	struct module *inner = talloc_zero(app, struct module);

	(void)state;
	assert_non_null(inner);
	inner->name = "inner";
	inner->prefix = "/inner";
	app->modules[app->module_count++] = inner;
	ones_route(app, &(struct ones_route){.path = "/inner/:id", .get = handler});
	ones_route(app, &(struct ones_route){.path = "/:id", .get = handler});
	app->current = inner;
	/* What another module has is no conflict. */
	ones_route(app, &(struct ones_route){.path = "/:number", .get = handler});
	assert_null(app->setup_problem);
	assert_string_equal(found(app, "/7"), "/:id id=7");
	assert_string_equal(found(app, "/inner/7"), "/:number number=7");
	assert_string_equal(found(app, "/inner/7/8"), "none");
	assert_false(route_is_foreign(app, &app->routes[1]));
	assert_true(route_is_foreign(app, &app->routes[2]));
	talloc_free(app);
}

static void purpose_is_of_one_route_of_a_module_and_the_last_module_counts(void **state)
{
	struct ones_app *app = new_app();
	struct module *other = talloc_zero(app, struct module);

	(void)state;
	assert_non_null(other);
	assert_null(routes_for(app, ONES_PURPOSE_GUARD));
	ones_route(app, &(struct ones_route){.path = "/guard", .get = handler, .purpose = ONES_PURPOSE_GUARD});
	ones_route(app, &(struct ones_route){.path = "/door", .any = handler, .purpose = ONES_PURPOSE_SIGN_IN});
	other->name = "other";
	other->prefix = "/other";
	app->modules[app->module_count++] = app->current = other;
	ones_route(app, &(struct ones_route){.path = "/door", .get = handler, .purpose = ONES_PURPOSE_SIGN_IN});
	assert_null(app->setup_problem);
	assert_ptr_equal(routes_for(app, ONES_PURPOSE_GUARD), &app->routes[0]);
	assert_ptr_equal(routes_for(app, ONES_PURPOSE_SIGN_IN), &app->routes[2]);
	assert_null(routes_for(app, ONES_PURPOSE_HOME));
	ones_route(app, &(struct ones_route){.path = "/gate", .get = handler, .purpose = ONES_PURPOSE_SIGN_IN});
	assert_string_equal(app->setup_problem, "route /gate: it has the same .purpose as the route /door");
	talloc_free(app);
}

static void allowed_methods_are_all_that_are_answered(void **state)
{
	const struct ones_route all = {
		.path = "/a", .get = handler, .post = handler, .put = handler, .patch = handler, .delete = handler};
	const struct ones_route one = {.path = "/b", .delete = handler};
	struct ones_app *app = with(&all, &one);

	(void)state;
	assert_string_equal(routes_allowed_methods(app, app, &app->routes[0]), "GET, HEAD, POST, PUT, PATCH, DELETE");
	assert_string_equal(routes_allowed_methods(app, app, &app->routes[1]), "DELETE");
	assert_ptr_equal(route_handler(&one, ONES_METHOD_DELETE), handler);
	assert_null(route_handler(&one, ONES_METHOD_GET));
	assert_null(route_handler(&all, ONES_METHOD_OPTIONS));
	assert_null(route_handler(&all, ONES_METHOD_COUNT));
	assert_ptr_equal(route_handler(&(struct ones_route){.any = handler}, ONES_METHOD_COUNT), handler);
	talloc_free(app);
}

static void more_routes_than_are_counted_are_told(void **state)
{
	struct ones_app *app = new_app();
	char paths[COUNTERS_ROUTES_MAX + 1][8];

	(void)state;
	for (size_t i = 0; i <= COUNTERS_ROUTES_MAX; i++) {
		const struct ones_route route = {.path = paths[i], .get = handler};

		assert_null(app->setup_problem);
		(void)snprintf(paths[i], sizeof paths[i], "/%zu", i);
		ones_route(app, &route);
	}
	assert_non_null(app->setup_problem);
	talloc_free(app);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_that_are_right_are_taken),
		cmocka_unit_test(route_that_is_wrong_is_told),
		cmocka_unit_test(two_routes_of_the_same_paths_are_told_by_both_names),
		cmocka_unit_test(routes_of_the_same_paths_and_other_methods_stand_beside_each_other),
		cmocka_unit_test(literal_comes_before_a_part_whatever_the_order),
		cmocka_unit_test(part_stands_for_one_segment_that_is_not_empty),
		cmocka_unit_test(path_finds_its_module_before_a_route),
		cmocka_unit_test(purpose_is_of_one_route_of_a_module_and_the_last_module_counts),
		cmocka_unit_test(allowed_methods_are_all_that_are_answered),
		cmocka_unit_test(more_routes_than_are_counted_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Routes that ones_route() accepts and refuses. */
#include "api/module.h"

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
	app->board = talloc_zero(app, struct scoreboard);
	app->current = talloc_zero(app, struct module);
	assert_non_null(app->board);
	assert_non_null(app->current);
	app->current->name = "example";
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
	const struct ones_route second = {.path = "/b", .post = handler, .needs = ONES_NEEDS_SESSION_DATA};
	struct ones_app *app = with(&first, &second);

	(void)state;
	assert_null(app->setup_problem);
	assert_int_equal(app->route_count, 2);
	talloc_free(app);
}

static void route_that_is_wrong_is_told(void **state)
{
	static const struct {
		struct ones_route route;
		const char *problem;
	} cases[] = {
		{{.path = "a", .get = handler}, "begins with a slash"},
		{{.get = handler}, "without a path"},
		{{.path = "/a"}, "without a handler"},
		{{.path = "/here", .any = handler}, "two routes with the same path"},
		{{.path = "/a", .get = handler, .quick = true, .needs = ONES_NEEDS_DATABASE}, "a quick route"},
		{{.path = "/a", .get = handler, .quick = true, .needs = ONES_NEEDS_SESSION_DATA}, "a quick route"},
	};
	const struct ones_route here = {.path = "/here", .get = handler};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct ones_app *app = with(&here, &cases[i].route);

		assert_non_null(app->setup_problem);
		assert_non_null(strstr(app->setup_problem, cases[i].problem));
		assert_int_equal(app->route_count, 1);
		talloc_free(app);
	}
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
		cmocka_unit_test(more_routes_than_are_counted_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Modules as the master and the application know them: names, prefixes, numbers of routes, and what a helper reports.
 */
#include "modules/modules.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "api/routes.h"
#include "base/config.h"
#include "base/options.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct settings settings;
static struct scoreboard *board;
static struct ones_app *app;
static TALLOC_CTX *ctx;

/* ---- Names and prefixes -------------------------------------------------------------------------------------- */

static struct module *add(const char *name, struct problem *problem)
{
	const struct ones_module declared = {.abi = ONES_ABI, .name = name, .version = "1"};

	return module_add(app, &declared, problem);
}

static void assert_is_of(const char *path, const char *name, const char *rest)
{
	const char *below = NULL;
	const struct module *found = module_of_path(app, path, &below);

	if (name == NULL) {
		assert_null(found);
		return;
	}
	assert_non_null(found);
	assert_string_equal(found->name, name);
	assert_string_equal(below, rest);
}

static void longest_prefix_has_a_path(void **state)
{
	struct problem problem;

	(void)state;
	assert_non_null(add("session", &problem));
	assert_non_null(add("films", &problem));
	assert_is_of("/session/login", "session", "/login");
	assert_is_of("/films", "films", "");
	assert_is_of("/films/", "films", "/");
	assert_is_of("/filmstar", NULL, NULL);
	assert_is_of("/other", NULL, NULL);
	assert_non_null(add("deep", &problem));
	assert_non_null(add("root", &problem));
	assert_is_of("/films/deep/a", "deep", "/a");
	assert_is_of("/films/deeper", "films", "/deeper");
	assert_is_of("/other", "root", "/other");
}

static void names_and_prefixes_of_others_are_refused(void **state)
{
	static const struct {
		const char *name, *problem;
	} cases[] = {
		{"session", "two modules of this name"},   {"films", "two modules of this name"},
		{"log", "a section of the daemon's own"},  {"same", "which is that of films"},
		{"own", "which is that of server.prefix"},
	};

	(void)state;
	assert_non_null(add("session", &(struct problem){0}));
	assert_non_null(add("films", &(struct problem){0}));
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct problem problem = {0};

		assert_null(add(cases[i].name, &problem));
		assert_non_null(strstr(problem.text, cases[i].problem));
		assert_int_equal(app->module_count, 2);
	}
}

static void section_of_the_daemon_s_own_is_no_module_s_name(void **state)
{
	(void)state;
	assert_non_null(add("session", &(struct problem){0}));
	for (size_t i = 0; i < options_count; i++)
		assert_null(add(options[i].section, &(struct problem){0}));
	assert_int_equal(app->module_count, 1);
}

static void setting_is_of_the_module_whose_code_runs(void **state)
{
	struct problem problem;
	struct module *own, *films;

	(void)state;
	own = add("session", &problem);
	films = add("films", &problem);
	assert_non_null(films);
	assert_null(ones_setting(app, "trailers"));
	(void)module_enter(app, films);
	assert_string_equal(ones_setting(app, "trailers"), "on");
	assert_null(ones_setting(app, "Trailers"));
	assert_ptr_equal(module_enter(app, own), films);
	assert_null(ones_setting(app, "trailers"));
	(void)module_enter(app, NULL);
}

/* ---- Numbers of routes --------------------------------------------------------------------------------------- */

static void route_has_one_number_whoever_asks(void **state)
{
	struct route_names *names = &board->routes;
	struct route_name_copy copy;
	uint32_t first, second;

	(void)state;
	first = route_names_claim(names, "films", "/a");
	second = route_names_claim(names, "film", "s/a");
	assert_int_not_equal(first, second);
	assert_int_equal(route_names_claim(names, "films", "/a"), first);
	assert_true(route_names_get(names, second, &copy));
	assert_string_equal(copy.module, "film");
	assert_string_equal(copy.path, "s/a");
	assert_false(route_names_get(names, second + 1, &copy));
	assert_false(route_names_get(names, UINT64_MAX, &copy));
	assert_string_equal(copy.path, "");
}

static void routes_without_room_are_counted_as_others(void **state)
{
	char path[2 * ROUTE_NAME_PATH_SIZE];

	(void)state;
	memset(path, 'x', sizeof path);
	path[sizeof path - 1] = '\0';
	assert_int_equal(route_names_claim(&board->routes, "films", path), 0);
	for (size_t i = 1; i < COUNTERS_ROUTES_MAX; i++) {
		(void)snprintf(path, sizeof path, "/%zu", i);
		assert_int_equal(route_names_claim(&board->routes, "films", path), i);
	}
	assert_int_equal(route_names_claim(&board->routes, "films", "/one/more"), COUNTERS_NO_ROUTE);
	assert_int_equal(route_names_claim(&board->routes, "films", "/7"), 7);
}

static void name_that_a_worker_has_spoilt_is_cut_and_clean(void **state)
{
	struct route_name *name = &board->routes.all[0];
	struct route_name_copy copy;

	(void)state;
	for (size_t i = 0; i < ROUTE_NAME_PATH_SIZE; i++)
		atomic_store(&name->path[i], '\033');
	atomic_store(&name->is_complete, true);
	assert_true(route_names_get(&board->routes, 0, &copy));
	assert_int_equal(strlen(copy.path), ROUTE_NAME_PATH_SIZE - 1);
	assert_null(strchr(copy.path, '\033'));
}

/* ---- What a helper reports ----------------------------------------------------------------------------------- */

static struct report *read_back(const void *data, size_t size, size_t count)
{
	struct report *report = talloc_zero(app, struct report);
	int ends[2];

	assert_non_null(report);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(write(ends[1], data, size), size);
	report->count = count;
	report_read(report, ends[0]);
	report_read(report, ends[0]);
	close(ends[0]);
	close(ends[1]);
	return report;
}

static void report_that_is_right_is_taken(void **state)
{
	const struct report_record records[] = {
		{.kind = REPORT_LOADING, .index = 1},
		{.kind = REPORT_MODULE, .index = 1, .name = "films", .version = "1.2", .pages = "pages"},
		{.kind = REPORT_SETUP, .index = 1},
		{.kind = REPORT_DONE},
	};
	const struct report *report = read_back(records, sizeof records, 2);

	(void)state;
	assert_true(report->is_done && report->is_setup && report->facts[1].are_known);
	assert_int_equal(report->at, 1);
	assert_string_equal(report->facts[1].name, "films");
	assert_string_equal(report->facts[1].pages, "pages");
	assert_false(report->facts[0].are_known);
}

static void report_that_is_wrong_does_no_harm(void **state)
{
	static const char *const folders[] = {"/etc", "../x", "a/../../b"};
	struct report_record record;
	unsigned char noise[4 * sizeof record];
	const struct report *report;

	(void)state;
	memset(noise, 0xff, sizeof noise);
	report = read_back(noise, sizeof noise, 3);
	assert_int_equal(report->at, 0);
	assert_false(report->is_done);
	/* Nothing in it ends. */
	memset(&record, '\033', sizeof record);
	record.kind = REPORT_PROBLEM;
	record.index = 2;
	report = read_back(&record, sizeof record, 3);
	assert_int_equal(strlen(report->problem.text), sizeof report->problem.text - 1);
	assert_null(strchr(report->problem.text, '\033'));
	record.kind = REPORT_MODULE;
	assert_false(read_back(&record, sizeof record, 3)->facts[2].are_known);
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		record = (struct report_record){.kind = REPORT_MODULE, .name = "films"};
		(void)snprintf(record.pages, sizeof record.pages, "%s", folders[i]);
		assert_false(read_back(&record, sizeof record, 1)->facts[0].are_known);
	}
}

static void jobs_that_are_reported_have_names_that_can_be(void **state)
{
	static struct report_record records[JOB_COUNT_MAX / 2];
	const struct report *report;

	(void)state;
	for (size_t i = 0; i < sizeof records / sizeof records[0]; i++)
		records[i] = (struct report_record){.kind = REPORT_JOB, .name = "films", .text = "tick"};
	records[0] = (struct report_record){.kind = REPORT_JOB, .name = "films", .text = "../tick"};
	report = read_back(records, sizeof records, 1);
	assert_int_equal(report->job_count, JOB_COUNT_MAX / 2 - 1);
	assert_string_equal(report->jobs[0].module, "films");
	assert_string_equal(report->jobs[0].name, "tick");
}

static void report_without_an_end_is_not_read_for_ever(void **state)
{
	struct report_record records[20];
	const struct report *report;

	(void)state;
	memset(records, 0, sizeof records);
	for (size_t i = 0; i < 20; i++)
		records[i].kind = REPORT_LOADING;
	records[19].kind = REPORT_DONE;
	report = read_back(records, sizeof records, 1);
	assert_false(report->is_done);
}

/* -------------------------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
	static const char *const overrides[] = {
		"server.modules=films", "films.trailers=on",   "deep.prefix=/films/deep", "root.prefix=",
		"same.prefix=/films",   "own.prefix=/session", "films.trailers_again=off"};
	const struct config_source source = {
		.path = "/dev/null", .overrides = overrides, .override_count = sizeof overrides / sizeof overrides[0]};

	(void)state;
	ctx = talloc_new(NULL);
	board = scoreboard_new();
	if (ctx == NULL || board == NULL || config_load(ctx, &source, &settings, stderr) != 0)
		return -1;
	app = app_new(ctx, &settings, NULL, board);
	return app != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	talloc_free(ctx);
	scoreboard_free(board);
	return 0;
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(longest_prefix_has_a_path),
		TEST(names_and_prefixes_of_others_are_refused),
		TEST(section_of_the_daemon_s_own_is_no_module_s_name),
		TEST(setting_is_of_the_module_whose_code_runs),
		TEST(route_has_one_number_whoever_asks),
		TEST(routes_without_room_are_counted_as_others),
		TEST(name_that_a_worker_has_spoilt_is_cut_and_clean),
		TEST(report_that_is_right_is_taken),
		TEST(report_that_is_wrong_does_no_harm),
		TEST(jobs_that_are_reported_have_names_that_can_be),
		TEST(report_without_an_end_is_not_read_for_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A test: the daemon with one module, set up in this process, and its end. */
#include "api/folders.h"
#include "api/services.h"
#include "base/config.h"
#include "base/log.h"
#include "http/fcgi.h"
#include "http/page.h"
#include "kit/kit.h"
#include "modules/modules.h"
#include "own_modules.h"
#include "session/module_schema.h"
#include "session/schema.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* With those of the caller. */
#define SETTINGS_MAX 100
/* On machines that are busy. */
#define MIGRATION_MS 60000
#define NAMES_MS     10000

void kit_complain(const char *function, const char *format, ...)
{
	va_list arguments;

	(void)fprintf(stderr, "%s: ", function);
	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	(void)fputc('\n', stderr);
}

/* ---- Configuration ------------------------------------------------------------------------------------------- */

/*
 * Passwords are hashed as quickly as can be: they are the kit's own. Without a database its address is a folder that is
 * none, so that all else is as it is when the database is away.
 */
static int load_settings(struct ones_test *test, const char *name, const char *conninfo, const char *const settings[])
{
	const char *temporary = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "";
	const char *overrides[SETTINGS_MAX] = {
		"login.memory=8KiB",
		"login.passes=1",
		"log.level=warning",
		/* A machine that runs tests may be a slow one. */
		"database.connect_timeout=30s",
		"database.statement_timeout=1m",
		"server.request_timeout=2m",
		talloc_asprintf(test, "server.modules=%s", name),
		talloc_asprintf(test, "server.spool=%s", temporary[0] == '/' ? temporary : "/tmp"),
		talloc_asprintf(test, "database.conninfo=%s", conninfo != NULL ? conninfo : "host=/dev/null"),
	};
	struct config_source source = {.path = "/dev/null", .overrides = overrides};

	while (source.override_count < SETTINGS_MAX && overrides[source.override_count] != NULL)
		source.override_count++;
	for (; settings != NULL && *settings != NULL; settings++) {
		if (source.override_count == SETTINGS_MAX) {
			kit_complain("ones_test_new_with", "there are more than %d settings", SETTINGS_MAX);
			return -1;
		}
		overrides[source.override_count++] = *settings;
	}
	return config_load(test, &source, &test->settings, stderr);
}

/* ---- The database -------------------------------------------------------------------------------------------- */

static enum db_status migrate_module(struct ones_test *test, struct db *db, const struct ones_module *declared,
                                     const char *object, struct problem *problem)
{
	struct module_migrations *migrations;
	struct module_schema schema;

	if (module_files_of(db, object, declared->name, declared->migrations, &migrations, problem) != 0) {
		db_set_problem(db, problem->text);
		return DB_ERROR;
	}
	if (migrations == NULL)
		return DB_OK;
	return module_schema_migrate(db, test, declared->name, migrations, NULL, &schema);
}

/* Over a connection of its own, which asks for no tables. Returns 0, or -1 with *problem. */
static int migrate(struct ones_test *test, const struct ones_module *declared, const char *object,
                   struct problem *problem)
{
	const struct db_config config = {
		.conninfo = test->settings.database.conninfo,
		.application_name = "onesession test",
		.connect_timeout_ms = test->settings.database.connect_timeout,
		.statement_timeout_ms = MIGRATION_MS,
	};
	struct db *db = db_new(test, &config);
	enum db_status status;

	if (db == NULL)
		return problem_set(problem, "out of memory");
	status = db_connect(db);
	if (status == DB_OK)
		status = schema_migrate(db, NULL);
	if (status == DB_OK)
		status = migrate_module(test, db, declared, object, problem);
	if (status != DB_OK)
		(void)problem_set(problem, "the database: %s", db_problem(db));
	talloc_free(db);
	return status == DB_OK ? 0 : -1;
}

/* ---- The daemon in this process ------------------------------------------------------------------------------ */

/* The path of the program, or of the shared object, that has the module. Returns 0, or -1 with *problem. */
static int find_object(const struct ones_module *declared, char path[PATH_MAX], struct problem *problem)
{
	const struct link_map *map = NULL;
	void *found = NULL;
	Dl_info info;
	ssize_t length;

	if (dladdr1(declared, &info, &found, RTLD_DL_LINKMAP) != 0)
		map = found;
	if (map != NULL && map->l_name[0] != '\0') {
		(void)snprintf(path, PATH_MAX, "%s", map->l_name);
		return 0;
	}
	length = readlink("/proc/self/exe", path, PATH_MAX - 1);
	if (length < 0)
		return problem_set_errno(problem);
	path[length] = '\0';
	return 0;
}

/* libfcgi takes signals that are for the test program. */
static const char *init_fcgi(void)
{
	struct sigaction usr1, term;
	const char *defect;

	(void)sigaction(SIGUSR1, NULL, &usr1);
	(void)sigaction(SIGTERM, NULL, &term);
	defect = fcgi_init();
	(void)sigaction(SIGUSR1, &usr1, NULL);
	(void)sigaction(SIGTERM, &term, NULL);
	return defect;
}

static int open_process(struct ones_test *test, struct problem *problem)
{
	const struct password_cost cost = {test->settings.login.memory, test->settings.login.passes};
	const char *defect = sodium_init() < 0 ? "libsodium cannot be initialised" : init_fcgi();

	if (defect != NULL)
		return problem_set(problem, "%s", defect);
	if (log_open("onesession", "stderr", test->settings.log.level, LOG_FORMAT_TEXT) != 0 ||
	    (test->board = scoreboard_new()) == NULL)
		return problem_set_errno(problem);
	if (password_hash("none", &cost, test->decoy) != 0)
		return problem_set(problem, "out of memory");
	return 0;
}

static int set_up(struct ones_test *test, const struct ones_module *declared, struct problem *problem)
{
	const struct pages *pages = pages_load(test, test->settings.login.pages, stderr);
	char object[PATH_MAX];

	if (pages == NULL)
		return problem_set(problem, "login.pages");
	if (find_object(declared, object, problem) != 0)
		return -1;
	test->app = app_new(test, &test->settings, pages, test->board);
	if (test->app == NULL)
		return problem_set(problem, "out of memory");
	if (modules_set_up_own(test->app, &own_modules, problem) != 0)
		return -1;
	test->module = modules_add_linked(test->app, declared, object, problem);
	if (test->module == NULL || module_setup(test->app, test->module, problem) != 0 ||
	    modules_check_signals(test->app, problem) != 0 || folders_try(test->app, problem) != 0 ||
	    services_prepare(test->app, NAMES_MS, problem) != 0)
		return -1;
	folders_open(test->app);
	if (test->has_database && migrate(test, declared, object, problem) != 0)
		return -1;
	if (app_open_database(test->app, "onesession test") != 0)
		return problem_set(problem, "out of memory");
	test->db = (struct ones_db){
		.db = test->app->rule.db,
		.ctx = test,
		.purpose = "test",
		.signals = test->app->signals,
	};
	if (modules_start(test->app, MODULES_ALL, problem) != 0)
		return -1;
	test->is_started = true;
	return 0;
}

static int close_test(struct ones_test *test)
{
	if (test->is_started)
		modules_stop(test->app);
	/* Its counters are on the board. */
	TALLOC_FREE(test->app);
	if (test->board != NULL)
		scoreboard_free(test->board);
	return 0;
}

struct ones_test *ones_test_new_with(const struct ones_module *module, const char *conninfo,
                                     const char *const settings[])
{
	struct ones_test *test = talloc_zero(NULL, struct ones_test);
	struct problem problem = {0};

	if (test == NULL) {
		kit_complain("ones_test_new", "out of memory");
		return NULL;
	}
	talloc_set_destructor(test, close_test);
	test->has_database = conninfo != NULL;
	if (load_settings(test, module->name, conninfo, settings) == 0) {
		if (open_process(test, &problem) == 0 && set_up(test, module, &problem) == 0)
			return test;
		kit_complain("ones_test_new", "%s", problem.text);
	}
	talloc_free(test);
	return NULL;
}

struct ones_test *ones_test_new(const struct ones_module *module, const char *conninfo)
{
	return ones_test_new_with(module, conninfo, NULL);
}

void ones_test_free(struct ones_test *test)
{
	talloc_free(test);
}

struct ones_db *ones_test_db(struct ones_test *test)
{
	return &test->db;
}

/* onesessiond: reads its configuration, opens its sockets, gives up root and becomes the master of the pool. */
#include "api/app.h"
#include "base/config.h"
#include "base/log.h"
#include "http/fcgi.h"
#include "own_modules.h"
#include "pool/debug.h"
#include "pool/jobs.h"
#include "pool/listeners.h"
#include "pool/master.h"
#include "pool/module_check.h"
#include "pool/module_tables.h"
#include "pool/privileges.h"
#include "pool/sandbox.h"
#include "pool/successor.h"
#include "session/conninfo.h"
#include "session/schema.h"
#include "session/users.h"
#include "base/version.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define PROGRAM       "onesessiond"
#define OVERRIDES_MAX 256

static const char usage[] =
	"Usage: " PROGRAM " [-c FILE] [-o SECTION.KEY=VALUE]... [-t | --dump | --debug | --run-job NAME]\n"
	"One account, one live session: a FastCGI daemon that signs people in and out.\n"
	"\n"
	"  -c, --config FILE       the configuration (default: " CONFIG_DEFAULT_PATH ")\n"
	"  -o SECTION.KEY=VALUE    set a key, over what the configuration says\n"
	"  -t, --test              check configuration, modules and database, and say what is wrong\n"
	"      --dump              print every key with its value in force, but no password\n"
	"      --debug             serve in this one process, not restricted, for debuggers\n"
	"      --run-job NAME      run the job MODULE.JOB once, now, in this process\n"
	"      --sample            print a sample configuration that explains every key\n"
	"  -V, --version           print the version\n"
	"  -h, --help              print this\n"
	"\n"
	"It stays in the foreground. TERM and QUIT stop it when requests under way are finished,\n"
	"INT stops it at once, HUP reads the configuration anew, USR1 reopens the log, USR2 starts\n"
	"a new binary on the same sockets. Exit status: 0, 1 failure, 64 usage, 78 bad configuration.\n";

enum action { ACTION_RUN, ACTION_TEST, ACTION_DUMP, ACTION_DEBUG, ACTION_JOB };

struct arguments {
	struct config_source source;
	const char *overrides[OVERRIDES_MAX];
	enum action action;
	const char *job; /* with ACTION_JOB */
};

static int usage_error(const char *what)
{
	(void)fprintf(stderr, PROGRAM ": %s\nTry '" PROGRAM " --help'.\n", what);
	return EX_USAGE;
}

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(int argc, char *argv[], struct arguments *arguments)
{
	enum { OPTION_DUMP = 256, OPTION_SAMPLE, OPTION_DEBUG, OPTION_JOB };
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"test", no_argument, NULL, 't'},
		{"dump", no_argument, NULL, OPTION_DUMP},
		{"sample", no_argument, NULL, OPTION_SAMPLE},
		{"debug", no_argument, NULL, OPTION_DEBUG},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{"run-job", required_argument, NULL, OPTION_JOB},
		{NULL, 0, NULL, 0},
	};
	int option;

	arguments->source.overrides = arguments->overrides;
	while ((option = getopt_long(argc, argv, "c:o:tVh", options, NULL)) != -1) {
		switch (option) {
		case 'c': arguments->source.path = optarg; break;
		case 'o':
			if (arguments->source.override_count == OVERRIDES_MAX)
				return usage_error("too many -o");
			arguments->overrides[arguments->source.override_count++] = optarg;
			break;
		case 't': arguments->action = ACTION_TEST; break;
		case OPTION_DUMP: arguments->action = ACTION_DUMP; break;
		case OPTION_DEBUG: arguments->action = ACTION_DEBUG; break;
		case OPTION_JOB:
			arguments->action = ACTION_JOB;
			arguments->job = optarg;
			break;
		case OPTION_SAMPLE: config_sample(stdout); return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		case 'V': return puts(PROGRAM " " ONESESSION_VERSION) >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		case 'h': return fputs(usage, stdout) >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		default: (void)fputs("Try '" PROGRAM " --help'.\n", stderr); return EX_USAGE;
		}
	}
	return optind < argc ? usage_error("takes no arguments besides its options") : -1;
}

static void log_config_warning(const char *doubt)
{
	log_warning("configuration_doubtful", LOG_STR("problem", doubt));
}

static void print_config_warning(const char *doubt)
{
	(void)printf("warning: %s\n", doubt);
}

/* Besides the workers' own: of the purge, the count of live sessions, modules' jobs, and sending mail. */
static int64_t other_connections(const struct settings *settings)
{
	return 2 + (settings->server.modules[0] != '\0' ? 2 * JOBS_AT_ONCE : 0) +
	       (settings->mail.server[0] != '\0' ? 1 : 0);
}

/* Each worker has one, and a reload has twice as many workers for a moment. */
static enum db_status test_connections(struct db *db, const struct settings *settings)
{
	int64_t wanted = 2 * settings->server.workers + other_connections(settings);
	int64_t limit;
	enum db_status status = schema_connection_limit(db, &limit);

	if (status != DB_OK)
		return status;
	(void)printf("connections: at most %lld to the database, while server.workers = %lld are replaced\n",
	             (long long)wanted, (long long)settings->server.workers);
	if (limit < wanted)
		(void)printf("warning: the database accepts only %lld (max_connections, or CONNECTION LIMIT of its "
		             "role or database): a worker without a connection serves no request\n",
		             (long long)limit);
	return DB_OK;
}

/*
 * A pooler of transactions may hand the server's connection on without what was prepared on it: while another one is at
 * work there, ours is sent to a connection that does not know the statement.
 */
static bool are_statements_kept(TALLOC_CTX *ctx, struct db *db, const struct settings *settings)
{
	struct db *other = app_new_database(ctx, settings, NULL, PROGRAM " test");
	bool are_kept = true;
	int64_t limit;

	if (settings->database.prepare && other != NULL && db_connect(other) == DB_OK && db_begin(other) == DB_OK) {
		(void)schema_connection_limit(other, &limit);
		(void)schema_connection_limit(db, &limit);
		are_kept = !db_has_mixed_up(other) && !db_has_mixed_up(db);
		db_rollback(other);
	}
	talloc_free(other);
	return are_kept;
}

static int fail_test(const char *area, const char *problem)
{
	(void)fprintf(stderr, PROGRAM ": %s%s\n", area, problem);
	return EXIT_FAILURE;
}

/* What the start would need of this machine. From here on this process has the daemon's own rights. */
static int test_environment(const struct settings *settings)
{
	struct problem problem = {0};

	if (listeners_try_owner(settings, &problem) != 0)
		return fail_test("", problem.text);
	if (listeners_try_folders(settings, &problem) != 0)
		(void)printf("warning: %s: the daemon can start only with a socket that is given to it\n",
		             problem.text);
	return privileges_try(settings, &problem) == 0 ? EXIT_SUCCESS : fail_test("", problem.text);
}

static int test_database(TALLOC_CTX *ctx, const struct generation *generation)
{
	const struct settings *settings = &generation->settings;
	struct db *db = app_new_database(ctx, settings, NULL, PROGRAM " test");
	struct sequence_list behind;
	struct unusable_names unusable;
	const char *missing;

	if (db == NULL)
		return fail_test("database: ", strerror(ENOMEM));
	if (db_connect(db) != DB_OK || test_connections(db, settings) != DB_OK)
		return fail_test("database: ", db_problem(db));
	if (!are_statements_kept(ctx, db, settings))
		return fail_test("database: ", "the connection pooler, in transaction mode, loses prepared "
		                               "statements: set database.prepare = off");
	if (module_tables_check(db, generation) != DB_OK || schema_sequences_behind(db, ctx, &behind) != DB_OK)
		return fail_test("database: ", db_problem(db));
	for (size_t i = 0; i < behind.count; i++)
		(void)fail_test("database: ", schema_sequence_problem(ctx, &behind.all[i]));
	if (behind.count > 0)
		return EXIT_FAILURE;
	if (schema_missing_rights(db, ctx, &missing) != DB_OK)
		return fail_test("database: ", db_problem(db));
	if (missing != NULL)
		(void)printf("warning: %s\n", missing);
	/* On a database that is too slow to be asked for all names, nothing is said of them. */
	if (users_unusable_names(db, ctx, &unusable) == DB_OK && unusable.count > 0)
		(void)printf("warning: %s\n", users_unusable_problem(ctx, &unusable));
	if (users_names_like_emails(db, ctx, &unusable) == DB_OK && unusable.count > 0)
		(void)printf("note: %s\n", users_names_like_emails_notice(ctx, &unusable));
	return puts("database: right") >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void print_modules(const struct ones_app *app)
{
	/* The first is the daemon's own. */
	for (size_t i = 1; i < app->module_count; i++) {
		const struct module *module = app->modules[i];

		(void)printf("%s%s%s%s (ABI %d)", i == 1 ? "modules: " : ", ", module->name,
		             module->version[0] != '\0' ? " " : "", module->version, ONES_ABI);
	}
	if (app->module_count > 1)
		(void)putchar('\n');
}

/* The modules, by the user that workers run as. Returns 0, or -1 with *problem. */
static int prepare_modules(const struct master_setup *setup, struct problem *problem)
{
	struct generation *generation = setup->generation;

	if (generation_prepare(generation, setup->own, setup->board, setup->starter, problem) != 0)
		return -1;
	generation->modules->by_path = setup->is_debugged;
	return module_check_run(generation, problem);
}

/* The same as at the start, up to the exit status. */
static int test_modules(struct master_setup *setup)
{
	struct problem problem = {0};

	setup->board = scoreboard_new();
	if (setup->board == NULL)
		return fail_test("", strerror(errno));
	if (prepare_modules(setup, &problem) != 0) {
		(void)fail_test("", problem.text);
		return EX_CONFIG;
	}
	print_modules(setup->generation->app);
	return EXIT_SUCCESS;
}

static int test(struct master_setup *setup)
{
	const struct settings *settings = &setup->generation->settings;
	int status;

	config_warnings(settings, print_config_warning);
	if (test_environment(settings) != EXIT_SUCCESS)
		return EXIT_FAILURE;
	(void)puts("configuration: right");
	(void)fflush(stdout);
	status = test_modules(setup);
	(void)fflush(stdout);
	return status == EXIT_SUCCESS ? test_database(setup->ctx, setup->generation) : status;
}

static int fail_start(const char *problem)
{
	log_error("start_failed", LOG_STR("problem", problem));
	return EXIT_FAILURE;
}

/*
 * The absolute path of this program, as it was called: the file at that path when an upgrade is asked for is the new
 * binary. On `ctx`, NULL with *problem.
 */
static const char *find_program(TALLOC_CTX *ctx, const char *called, struct problem *problem)
{
	const char *program = NULL;
	char path[PATH_MAX];
	ssize_t length;

	if (called[0] == '/')
		return called;
	if (strchr(called, '/') != NULL) {
		if (getcwd(path, sizeof path) != NULL)
			program = talloc_asprintf(ctx, "%s/%s", path, called);
	} else {
		length = readlink("/proc/self/exe", path, sizeof path - 1);
		if (length > 0)
			program = talloc_strndup(ctx, path, (size_t)length);
	}
	if (program == NULL)
		(void)problem_set_errno(problem);
	return program;
}

/* Root would follow whatever has been put in the file's place, and what root creates the user could not reopen. */
static bool is_log_for_user_to_open(const struct settings *settings)
{
	return geteuid() == 0 && settings->log.to[0] == '/';
}

static int open_log(const struct generation *generation, struct problem *problem)
{
	if (generation_open_log(generation, problem) != 0)
		return -1;
	config_warnings(&generation->settings, log_config_warning);
	return 0;
}

/* What must be done once, before the first worker. Returns 0, or -1 with *problem. */
static int prepare(struct master_setup *setup, struct problem *problem)
{
	const struct settings *settings = &setup->generation->settings;
	bool is_log_to_be_opened = is_log_for_user_to_open(settings);
	const char *defect;

	if (privileges_drop(settings, problem) != 0)
		return -1;
	if (is_log_to_be_opened && open_log(setup->generation, problem) != 0)
		return -1;
	if (geteuid() == 0)
		log_warning("running_as_root", LOG_STR("hint", "set server.user"));
	if (!setup->is_debugged && sandbox_enter(problem) != 0)
		return -1;
	defect = fcgi_init();
	if (defect != NULL)
		return problem_set(problem, "%s", defect);
	setup->board = scoreboard_new();
	if (setup->board == NULL)
		return problem_set_errno(problem);
	return 0;
}

/* Not to be tried again: what is to be loaded is wrong. */
static int refuse_modules(const struct settings *settings, const char *problem)
{
	(void)fail_start(problem);
	if (strcmp(settings->log.to, "stderr") != 0)
		(void)fprintf(stderr, PROGRAM ": %s\n", problem);
	return EX_CONFIG;
}

/* Signals are blocked before anything is opened: from then on one waits for the master, and nothing is left behind. */
static int open_all(struct master_setup *setup, struct listeners *listeners, struct problem *problem)
{
	const struct settings *settings = &setup->generation->settings;
	uint64_t own_sockets;

	if (!is_log_for_user_to_open(settings) && open_log(setup->generation, problem) != 0)
		return -1;
	setup->program = find_program(setup->ctx, setup->argv[0], problem);
	if (setup->program == NULL || master_block_signals(problem) != 0)
		return -1;
	setup->upgraded_from = successor_inherited(&own_sockets);
	if (listeners_open(listeners, settings, own_sockets, problem) != 0)
		return -1;
	setup->listeners = listeners;
	return 0;
}

static int serve(struct master_setup setup)
{
	struct listeners listeners;
	struct problem problem = {0};
	int status;

	if (open_all(&setup, &listeners, &problem) != 0)
		return fail_start(problem.text);
	if (prepare(&setup, &problem) != 0) {
		if (setup.upgraded_from < 0)
			listeners_unlink(&listeners);
		return fail_start(problem.text);
	}
	if (prepare_modules(&setup, &problem) != 0) {
		if (setup.upgraded_from < 0)
			listeners_unlink(&listeners);
		return refuse_modules(&setup.generation->settings, problem.text);
	}
	status = setup.is_debugged ? debug_run(&setup) : master_run(&setup);
	scoreboard_free(setup.board);
	return status;
}

/* By the user and with the modules that the daemon would have, but without its sockets and restrictions. */
static int run_job(struct master_setup setup, const char *name)
{
	struct problem problem = {0};
	int status;

	if (!is_log_for_user_to_open(&setup.generation->settings) && open_log(setup.generation, &problem) != 0)
		return fail_start(problem.text);
	if (prepare(&setup, &problem) != 0)
		return fail_start(problem.text);
	if (prepare_modules(&setup, &problem) != 0)
		return refuse_modules(&setup.generation->settings, problem.text);
	status = jobs_run_one(setup.generation, name);
	scoreboard_free(setup.board);
	return status;
}

static int dump(TALLOC_CTX *ctx, const struct settings *settings)
{
	struct settings shown = *settings;

	shown.database.conninfo = conninfo_shown(ctx, settings->database.conninfo);
	if (shown.database.conninfo == NULL)
		return fail_start(strerror(ENOMEM));
	config_dump(&shown, stdout);
	return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int act(TALLOC_CTX *ctx, const struct arguments *arguments, char *argv[])
{
	struct generation *generation = generation_load(ctx, &arguments->source, stderr);
	struct master_setup setup = {
		.ctx = ctx,
		.source = &arguments->source,
		.generation = generation,
		.own = &own_modules,
		.starter = getuid(),
		.is_debugged = arguments->action == ACTION_DEBUG || arguments->action == ACTION_JOB,
		.argv = argv,
	};

	if (generation == NULL)
		return EX_CONFIG;
	switch (arguments->action) {
	case ACTION_DUMP: return dump(ctx, &generation->settings);
	case ACTION_TEST: return test(&setup);
	case ACTION_JOB: return run_job(setup, arguments->job);
	default: return serve(setup);
	}
}

int main(int argc, char *argv[])
{
	struct arguments arguments = {.action = ACTION_RUN};
	int status = parse_arguments(argc, argv, &arguments);
	TALLOC_CTX *ctx;

	if (status >= 0)
		return status;
	ctx = talloc_new(NULL);
	if (ctx == NULL || sodium_init() < 0)
		return fail_start("libsodium cannot be initialised");
	status = act(ctx, &arguments, argv);
	talloc_free(ctx);
	log_close();
	return status;
}

/* onesessiond: reads its configuration, opens its sockets, gives up root and becomes the master of the pool. */
#include "api/app.h"
#include "base/config.h"
#include "base/log.h"
#include "http/fcgi.h"
#include "pool/listeners.h"
#include "pool/master.h"
#include "pool/privileges.h"
#include "pool/sandbox.h"
#include "pool/upgrade.h"
#include "session/schema.h"
#include "session/users.h"
#include "base/version.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <pwd.h>
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
	"Usage: " PROGRAM " [-c FILE] [-o SECTION.KEY=VALUE]... [-t | --dump]\n"
	"One account, one live session: a FastCGI daemon that signs people in and out.\n"
	"\n"
	"  -c, --config FILE       the configuration (default: " CONFIG_DEFAULT_PATH ")\n"
	"  -o SECTION.KEY=VALUE    set a key, over what the configuration says\n"
	"  -t, --test              check the configuration and the database, and say what is wrong\n"
	"      --dump              print every key with its value in force, but no password\n"
	"      --sample            print a sample configuration that explains every key\n"
	"  -V, --version           print the version\n"
	"  -h, --help              print this\n"
	"\n"
	"It stays in the foreground. TERM and QUIT stop it when requests under way are finished,\n"
	"INT stops it at once, HUP reads the configuration anew, USR1 reopens the log, USR2 starts\n"
	"a new binary on the same sockets. Exit status: 0, 1 failure, 64 usage, 78 bad configuration.\n";

enum action { ACTION_RUN, ACTION_TEST, ACTION_DUMP };

struct arguments {
	struct config_source source;
	const char *overrides[OVERRIDES_MAX];
	enum action action;
};

static int usage_error(const char *what)
{
	(void)fprintf(stderr, PROGRAM ": %s\nTry '" PROGRAM " --help'.\n", what);
	return EX_USAGE;
}

/* Returns -1 to go on, else the exit status. */
static int parse_arguments(int argc, char *argv[], struct arguments *arguments)
{
	enum { OPTION_DUMP = 256, OPTION_SAMPLE };
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"test", no_argument, NULL, 't'},
		{"dump", no_argument, NULL, OPTION_DUMP},
		{"sample", no_argument, NULL, OPTION_SAMPLE},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
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
		case OPTION_SAMPLE: config_sample(stdout); return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		case 'V': return puts(PROGRAM " " ONESESSION_VERSION) >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		case 'h': return fputs(usage, stdout) >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
		default: (void)fputs("Try '" PROGRAM " --help'.\n", stderr); return EX_USAGE;
		}
	}
	return optind < argc ? usage_error("takes no arguments besides its options") : -1;
}

static void log_doubt(const char *doubt)
{
	log_warning("configuration_doubtful", LOG_STR("problem", doubt));
}

static void print_doubt(const char *doubt)
{
	(void)printf("warning: %s\n", doubt);
}

/* Besides the workers' own: the purge, and the count of live sessions. */
#define HELPER_CONNECTIONS 2

/* Each worker has one, and a reload has twice as many workers for a moment. */
static enum db_status test_connections(struct db *db, const struct settings *settings)
{
	int64_t wanted = 2 * settings->server.workers + HELPER_CONNECTIONS;
	int64_t limit;
	enum db_status status = schema_connection_limit(db, &limit);

	if (status != DB_OK)
		return status;
	(void)printf("connections: at most %lld to the database, while server.workers = %lld are replaced\n",
	             (long long)wanted, (long long)settings->server.workers);
	if (limit < wanted)
		(void)printf("warning: the database lets in only %lld (max_connections, or CONNECTION LIMIT of its "
		             "role or database): a worker without one serves nobody\n",
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

/* What the start would need of this machine. From here on we are who the daemon would be. */
static bool test_environment(const struct settings *settings)
{
	char problem[512];
	bool warning;

	if (listeners_try(settings, &warning, problem, sizeof problem) != 0) {
		if (!warning) {
			(void)fprintf(stderr, PROGRAM ": %s\n", problem);
			return false;
		}
		(void)printf("warning: %s: the daemon can start only with a socket that is given to it\n", problem);
	}
	if (privileges_try(settings, problem, sizeof problem) != 0) {
		(void)fprintf(stderr, PROGRAM ": %s\n", problem);
		return false;
	}
	return true;
}

static int test(TALLOC_CTX *ctx, const struct settings *settings)
{
	struct db *db = app_new_database(ctx, settings, NULL, PROGRAM " test");
	struct sequence_list behind;
	struct unusable_names unusable;

	config_each_doubt(settings, print_doubt);
	if (!test_environment(settings))
		return EXIT_FAILURE;
	(void)puts("configuration: right");
	(void)fflush(stdout);
	if (db == NULL || db_connect(db) != DB_OK) {
		(void)fprintf(stderr, PROGRAM ": database: %s\n", db != NULL ? db_problem(db) : strerror(ENOMEM));
		return EXIT_FAILURE;
	}
	if (test_connections(db, settings) != DB_OK) {
		(void)fprintf(stderr, PROGRAM ": database: %s\n", db_problem(db));
		return EXIT_FAILURE;
	}
	if (!are_statements_kept(ctx, db, settings)) {
		(void)fputs(PROGRAM ": database: a pooler of transactions loses what was prepared: set "
		                    "database.prepare = off\n",
		            stderr);
		return EXIT_FAILURE;
	}
	if (schema_sequences_behind(db, ctx, &behind) != DB_OK) {
		(void)fprintf(stderr, PROGRAM ": database: %s\n", db_problem(db));
		return EXIT_FAILURE;
	}
	for (size_t i = 0; i < behind.count; i++)
		(void)fprintf(stderr, PROGRAM ": database: %s\n", schema_sequence_problem(ctx, &behind.all[i]));
	if (behind.count > 0)
		return EXIT_FAILURE;
	/* On a database that is too slow to be asked for all names, nothing is said of them. */
	if (users_unusable_names(db, ctx, &unusable) == DB_OK && unusable.count > 0)
		(void)printf("warning: %s\n", users_unusable_problem(ctx, &unusable));
	return puts("database: right") >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int fail(const char *problem)
{
	log_error("start_failed", LOG_STR("problem", problem));
	return EXIT_FAILURE;
}

/*
 * The absolute path of this program, as it was called: what stands there when an upgrade is asked for is the new
 * binary. On `ctx`, NULL with errno.
 */
static const char *find_program(TALLOC_CTX *ctx, const char *called)
{
	char path[PATH_MAX];
	ssize_t length;

	if (called[0] == '/')
		return called;
	if (strchr(called, '/') != NULL)
		return getcwd(path, sizeof path) != NULL ? talloc_asprintf(ctx, "%s/%s", path, called) : NULL;
	length = readlink("/proc/self/exe", path, sizeof path - 1);
	return length > 0 ? talloc_strndup(ctx, path, (size_t)length) : NULL;
}

/* Root would open whatever has been put in the file's place, and what it makes its user could not open anew. */
static bool is_log_for_user_to_open(const struct settings *settings)
{
	return geteuid() == 0 && settings->log.to[0] == '/';
}

static int open_log(const struct settings *settings, char *problem, size_t size)
{
	const struct passwd *user = getpwuid(geteuid());

	if (log_open(PROGRAM, settings->log.to, settings->log.level, settings->log.format) != 0) {
		(void)snprintf(problem, size, "log.to: %s: %s for user \"%s\"", settings->log.to, strerror(errno),
		               user != NULL ? user->pw_name : "");
		return -1;
	}
	config_each_doubt(settings, log_doubt);
	return 0;
}

/* What must be done once, before the first worker: returns NULL, or what is wrong. */
static const char *prepare(struct master_setup *setup, char *problem, size_t size)
{
	const struct settings *settings = &setup->generation->settings;
	bool is_log_to_be_opened = is_log_for_user_to_open(settings);
	const char *defect;

	if (privileges_drop(settings, problem, size) != 0)
		return problem;
	if (is_log_to_be_opened && open_log(settings, problem, size) != 0)
		return problem;
	if (geteuid() == 0)
		log_warning("running_as_root", LOG_STR("hint", "set server.user"));
	if (sandbox_enter() != 0)
		return strerror(errno);
	defect = fcgi_init();
	if (defect != NULL)
		return defect;
	setup->board = scoreboard_new();
	if (setup->board == NULL)
		return strerror(errno);
	return generation_prepare(setup->generation, setup->board);
}

static int serve(struct master_setup setup)
{
	const struct settings *settings = &setup.generation->settings;
	struct listeners listeners;
	uint64_t own_sockets;
	char problem[512];
	const char *defect;
	int status;

	if (!is_log_for_user_to_open(settings) && open_log(settings, problem, sizeof problem) != 0)
		return fail(problem);
	setup.program = find_program(setup.ctx, setup.argv[0]);
	if (setup.program == NULL)
		return fail(strerror(errno));
	/* From here on a signal waits for the master, so that nothing that was opened is left behind. */
	if (master_block_signals() != 0)
		return fail(strerror(errno));
	setup.upgraded_from = upgrade_inherited(&own_sockets);
	if (listeners_open(&listeners, settings, own_sockets, problem, sizeof problem) != 0)
		return fail(problem);
	setup.listeners = &listeners;
	defect = prepare(&setup, problem, sizeof problem);
	if (defect != NULL) {
		if (setup.upgraded_from < 0)
			listeners_unlink(&listeners);
		return fail(defect);
	}
	status = master_run(&setup);
	scoreboard_free(setup.board);
	return status;
}

static int dump(TALLOC_CTX *ctx, const struct settings *settings)
{
	struct settings shown = *settings;

	shown.database.conninfo = db_conninfo_shown(ctx, settings->database.conninfo);
	if (shown.database.conninfo == NULL)
		return fail(strerror(ENOMEM));
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
		.argv = argv,
	};

	if (generation == NULL)
		return EX_CONFIG;
	switch (arguments->action) {
	case ACTION_DUMP: return dump(ctx, &generation->settings);
	case ACTION_TEST: return test(ctx, &generation->settings);
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
		return fail("libsodium cannot be initialised");
	status = act(ctx, &arguments, argv);
	talloc_free(ctx);
	log_close();
	return status;
}

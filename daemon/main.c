/* onesessiond: reads its configuration, opens its sockets, gives up root and becomes the master of the pool. */
#include "api/app.h"
#include "base/config.h"
#include "base/log.h"
#include "http/fcgi.h"
#include "pool/listeners.h"
#include "pool/master.h"
#include "pool/peers.h"
#include "pool/privileges.h"
#include "base/version.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define PROGRAM       "onesessiond"
#define OVERRIDES_MAX 256

static const char usage[] =
	"Usage: " PROGRAM " [-c FILE] [-o SECTION.KEY=VALUE]... [-t | --dump]\n"
	"One account, one live session: a FastCGI daemon that signs people in and out.\n"
	"\n"
	"  -c, --config FILE       the configuration (default: " CONFIG_DEFAULT_PATH ")\n"
	"  -o SECTION.KEY=VALUE    set a key, over what the configuration says\n"
	"  -t, --test              check the configuration and the database, and say what is wrong\n"
	"      --dump              print every key with its value in force\n"
	"      --sample            print a sample configuration that explains every key\n"
	"  -V, --version           print the version\n"
	"  -h, --help              print this\n"
	"\n"
	"It stays in the foreground. TERM and QUIT stop it when requests under way are finished,\n"
	"INT stops it at once. Exit status: 0, 1 failure, 64 usage, 78 bad configuration.\n";

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

static void warn_planned(const char *section, const char *key)
{
	log_warning("no_effect_yet", LOG_STR("section", section), LOG_STR("key", key),
	            LOG_STR("problem", "this version accepts the key but does not act on it"));
}

static void print_planned(const char *section, const char *key)
{
	(void)printf("warning: %s.%s is set, but this version does not act on it\n", section, key);
}

static int test(TALLOC_CTX *ctx, const struct settings *settings)
{
	struct db *db = app_new_database(ctx, settings, PROGRAM " test");
	const char *problem;

	if (peer_rules_new(ctx, settings->server.allowed_clients, settings->server.allowed_users, &problem) == NULL) {
		(void)fprintf(stderr, PROGRAM ": %s\n", problem);
		return EX_CONFIG;
	}
	config_each_planned(settings, print_planned);
	(void)puts("configuration: right");
	(void)fflush(stdout);
	if (db == NULL || db_connect(db) != DB_OK) {
		(void)fprintf(stderr, PROGRAM ": database: %s\n", db != NULL ? db_problem(db) : strerror(ENOMEM));
		return EXIT_FAILURE;
	}
	return puts("database: right") >= 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int fail(const char *problem)
{
	log_error("start_failed", LOG_STR("problem", problem));
	return EXIT_FAILURE;
}

static int serve(TALLOC_CTX *ctx, const struct settings *settings)
{
	struct master_setup setup = {.settings = settings};
	struct listeners listeners;
	char problem[512];
	const char *defect;

	if (log_open(PROGRAM, settings->log.to, settings->log.level, settings->log.format) != 0) {
		(void)fprintf(stderr, PROGRAM ": log.to: %s: %s\n", settings->log.to, strerror(errno));
		return EXIT_FAILURE;
	}
	config_each_planned(settings, warn_planned);
	setup.peer_rules =
		peer_rules_new(ctx, settings->server.allowed_clients, settings->server.allowed_users, &defect);
	if (setup.peer_rules == NULL) {
		(void)fail(defect);
		return EX_CONFIG;
	}
	/* From here on a signal waits for the master, so that nothing that was opened is left behind. */
	if (master_block_signals() != 0)
		return fail(strerror(errno));
	if (listeners_open(&listeners, settings, problem, sizeof problem) != 0)
		return fail(problem);
	setup.listeners = &listeners;
	if (privileges_drop(settings, problem, sizeof problem) != 0)
		defect = problem;
	else
		defect = fcgi_init();
	if (defect == NULL) {
		setup.app = app_new(ctx, settings);
		defect = "out of memory";
	}
	if (setup.app != NULL) {
		ones_setup(setup.app);
		defect = setup.app->setup_problem;
	}
	if (defect != NULL) {
		listeners_unlink(&listeners);
		return fail(defect);
	}
	return master_run(&setup);
}

static int act(TALLOC_CTX *ctx, const struct arguments *arguments)
{
	struct settings settings;

	if (config_load(ctx, &arguments->source, &settings, stderr) != 0)
		return EX_CONFIG;
	switch (arguments->action) {
	case ACTION_DUMP: config_dump(&settings, stdout); return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	case ACTION_TEST: return test(ctx, &settings);
	default: return serve(ctx, &settings);
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
	status = act(ctx, &arguments);
	talloc_free(ctx);
	log_close();
	return status;
}

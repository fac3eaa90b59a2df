/* onesessionctl: accounts, sessions and the schema, for operators. */
#include "base/config.h"
#include "base/log.h"
#include "base/version.h"
#include "ctl/arguments.h"
#include "ctl/ctl.h"
#include "ctl/help.h"
#include "ctl/text.h"
#include "session/rule_receivers.h"
#include "session/schema.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

/* An operator can wait longer than a request, and has Ctrl-C. */
#define STATEMENT_TIMEOUT_MS INT64_C(60000)
/* A migration may have to wait for a lock, and to build an index of a large table. */
#define MIGRATE_TIMEOUT_MS INT64_C(86400000)

static int64_t longer(int64_t one, int64_t other)
{
	return one > other ? one : other;
}

static int64_t statement_timeout(const struct ctl *ctl, enum command_database database)
{
	switch (database) {
	case DATABASE_OPTIONAL: return ctl->settings.database.connect_timeout;
	case DATABASE_MIGRATING: return longer(ctl->settings.database.statement_timeout, MIGRATE_TIMEOUT_MS);
	default: return longer(ctl->settings.database.statement_timeout, STATEMENT_TIMEOUT_MS);
	}
}

static int set_up(struct ctl *ctl, enum command_database database)
{
	const struct db_config config = {
		.conninfo = ctl->settings.database.conninfo,
		.application_name = "onesessionctl",
		.connect_timeout_ms = ctl->settings.database.connect_timeout,
		.statement_timeout_ms = statement_timeout(ctl, database),
		.prepare = ctl->settings.database.prepare,
		.required_schema = database == DATABASE_MIGRATING ? 0 : schema_version(),
	};

	ctl->signals = signals_new(ctl->ctx, NULL);
	ctl->db = db_new(ctl->ctx, &config);
	if (ctl->db == NULL || ctl->signals == NULL || rule_connect_receivers(ctl->signals) != 0)
		return fail("out of memory");
	if (database != DATABASE_OPTIONAL && db_connect(ctl->db) != DB_OK)
		return fail_database(ctl, DB_UNAVAILABLE);
	return EXIT_SUCCESS;
}

static int run_command_line(struct ctl *ctl, int argc, char *argv[])
{
	struct arguments arguments;
	const struct command *command;
	int result = arguments_parse(ctl, argc, argv, &arguments);

	if (result != EXIT_SUCCESS)
		return result;
	if (arguments_have(&arguments, COMMAND_OPTION_HELP))
		return help_print(arguments.words, arguments.word_count);
	if (arguments_have(&arguments, COMMAND_OPTION_VERSION)) {
		(void)printf("onesessionctl %s\n", ONESESSION_VERSION);
		return EXIT_SUCCESS;
	}
	command = arguments_command(ctl, &arguments, &result);
	if (command == NULL)
		return result;
	if (config_load(ctl->ctx, &ctl->source, &ctl->settings, stderr) != 0)
		return EX_CONFIG;
	result = set_up(ctl, command->database);
	return result == EXIT_SUCCESS ? command->run(ctl) : result;
}

int main(int argc, char *argv[])
{
	struct ctl ctl = {.ctx = talloc_new(NULL), .limit = -1, .first = -1, .last = -1};
	int result;

	text_init();
	if (ctl.ctx == NULL)
		return fail("out of memory");
	if (sodium_init() < 0) {
		talloc_free(ctl.ctx);
		return fail("the system gives no random numbers");
	}
	/* The lower rooms log what goes wrong; this program reports it itself, once, on standard error. */
	if (log_open("onesessionctl", "/dev/null", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT) != 0)
		(void)fail("cannot open /dev/null: what follows may be reported twice");
	result = run_command_line(&ctl, argc, argv);
	log_close();
	talloc_free(ctl.ctx);
	if ((fflush(stdout) != 0 || ferror(stdout)) && result == EXIT_SUCCESS)
		return fail("cannot write to standard output");
	return result;
}

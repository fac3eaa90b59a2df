/* A helper process that connects to the database once. */
#include "pool/probe.h"

#include "api/app.h"
#include "base/log.h"
#include "pool/module_tables.h"
#include "pool/spawn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>

static int probe(const struct generation *generation, struct counters *counters)
{
	struct db *db = app_new_database(NULL, &generation->settings, counters, "onesessiond start");
	int status = PROBE_OK;

	if (db == NULL)
		return PROBE_UNREACHABLE;
	if (db_connect(db) != DB_OK)
		status = db_schema_mismatch(db) ? PROBE_WRONG_SCHEMA : PROBE_UNREACHABLE;
	else if (module_tables_check(db, generation) == DB_ERROR)
		status = PROBE_WRONG_TABLES;
	if (status == PROBE_WRONG_SCHEMA || status == PROBE_WRONG_TABLES)
		log_error("wrong_schema", LOG_STR("problem", db_problem(db)));
	talloc_free(db);
	return status;
}

pid_t probe_start(const struct generation *generation, struct scoreboard *board)
{
	pid_t pid = spawn_helper("ones-probe");

	if (pid == 0)
		exit(probe(generation, &board->counters));
	return pid;
}

enum probe_result probe_result(int status)
{
	return WIFEXITED(status) ? (enum probe_result)WEXITSTATUS(status) : PROBE_UNREACHABLE;
}

bool probe_has_right_schema(const struct generation *generation, struct scoreboard *board)
{
	pid_t pid = probe_start(generation, board);
	enum probe_result found;
	int status = 0;

	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	found = probe_result(status);
	return found != PROBE_WRONG_SCHEMA && found != PROBE_WRONG_TABLES;
}

/* The master's helper processes: the purge, and the count of live sessions. */
#include "pool/helpers.h"

#include "api/app.h"
#include "base/clock.h"
#include "base/log.h"
#include "pool/sandbox.h"
#include "pool/spawn.h"
#include "session/sessions.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

/*
 * The count reads an index of all live sessions: it is made only while it is asked for every now and then, and pauses
 * many times as long as it took.
 */
#define COUNT_REST_TIMES 50
#define COUNT_REST_MS    10000
#define COUNT_WANTED_MS  (5 * 60 * 1000)

void helpers_init(struct helpers *helpers, const struct settings *settings)
{
	*helpers = (struct helpers){.purge_at = clock_monotonic_ms() + settings->session.purge_interval};
}

/* ---- The purge ---------------------------------------------------------------------------------------------- */

static void log_purged(const struct purge_counts *counts)
{
	if (counts->sessions + counts->ended_sessions + counts->events + counts->login_tickets +
	            counts->login_failures + counts->known_browsers + counts->anonymous_sessions >
	    0)
		log_info("purged", LOG_INT("sessions", counts->sessions),
		         LOG_INT("ended_sessions", counts->ended_sessions), LOG_INT("events", counts->events),
		         LOG_INT("login_tickets", counts->login_tickets),
		         LOG_INT("login_failures", counts->login_failures),
		         LOG_INT("known_browsers", counts->known_browsers),
		         LOG_INT("anonymous_sessions", counts->anonymous_sessions));
}

static int purge_by(struct db *db, const struct settings *settings)
{
	const struct purge_policy policy = {
		.idle_timeout_ms = settings->session.idle_timeout,
		.history_ms = settings->session.history,
		.attempts_window_ms = settings->login.attempts_window,
	};
	struct purge_counts counts = {0};
	bool busy = false;

	if (db_connect(db) != DB_OK)
		return 0; /* the next one will do; the workers report that the database is away */
	if (sandbox_restrict() != 0 || sessions_purge(db, &policy, &counts, &busy, NULL) != DB_OK)
		return 1;
	log_purged(&counts);
	return 0;
}

static int purge(const struct settings *settings, struct counters *counters)
{
	struct db *db = app_new_database(NULL, settings, counters, "onesessiond purge");
	int status = db != NULL ? purge_by(db, settings) : 0;

	talloc_free(db);
	return status;
}

void helpers_purge_when_due(struct helpers *helpers, const struct settings *settings, struct scoreboard *board)
{
	int64_t interval = settings->session.purge_interval;
	pid_t pid;

	if (interval == 0 || helpers->purge != 0 || clock_until_ms(helpers->purge_at) > 0)
		return;
	helpers->purge_at = clock_monotonic_ms() + interval;
	pid = spawn_helper("ones-purge");
	if (pid == 0)
		exit(purge(settings, &board->counters));
	if (pid > 0)
		helpers->purge = pid;
}

/* ---- The number of live sessions ---------------------------------------------------------------------------- */

static int count_live(const struct settings *settings, struct scoreboard *board)
{
	struct db *db = app_new_database(NULL, settings, &board->counters, "onesessiond count");
	int64_t count;

	if (db != NULL && db_connect(db) == DB_OK && sandbox_restrict() == 0 &&
	    sessions_count_live(db, settings->session.idle_timeout, &count) == DB_OK)
		atomic_store(&board->live.sessions, count);
	talloc_free(db);
	return 0;
}

void helpers_count_when_wanted(struct helpers *helpers, const struct settings *settings, struct scoreboard *board)
{
	bool is_wanted = helpers->count_began_at == 0 ||
	                 clock_until_ms(atomic_load(&board->live.requested_ms) + COUNT_WANTED_MS) > 0;
	pid_t pid;

	if (!is_wanted || helpers->counter != 0 || clock_until_ms(helpers->count_again_at) > 0)
		return;
	helpers->count_began_at = clock_monotonic_ms();
	pid = spawn_helper("ones-counter");
	if (pid == 0)
		exit(count_live(settings, board));
	if (pid > 0)
		helpers->counter = pid;
}

static void reap_counter(struct helpers *helpers)
{
	int64_t now = clock_monotonic_ms();
	int64_t rest = COUNT_REST_TIMES * (now - helpers->count_began_at);

	helpers->counter = 0;
	helpers->count_again_at = now + (rest > COUNT_REST_MS ? rest : COUNT_REST_MS);
}

/* ---- Both --------------------------------------------------------------------------------------------------- */

bool helpers_reap(struct helpers *helpers, pid_t pid, int status, bool stopping)
{
	if (pid == helpers->counter) {
		reap_counter(helpers);
		return true;
	}
	if (pid != helpers->purge)
		return false;
	helpers->purge = 0;
	if (!stopping && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
		log_warning("purge_failed", LOG_INT("status", status));
	return true;
}

void helpers_signal(const struct helpers *helpers, int signal)
{
	if (helpers->purge != 0)
		(void)kill(helpers->purge, signal);
	if (helpers->counter != 0)
		(void)kill(helpers->counter, signal);
}

bool helpers_are_running(const struct helpers *helpers)
{
	return helpers->purge != 0 || helpers->counter != 0;
}

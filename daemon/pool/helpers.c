/* The master's helper process, which counts live sessions. */
#include "pool/helpers.h"

#include "api/app.h"
#include "base/clock.h"
#include "pool/sandbox.h"
#include "pool/spawn.h"
#include "session/sessions.h"

#include <signal.h>
#include <stdlib.h>

/*
 * The count reads an index of all live sessions: it is made only while it is asked for every now and then, and pauses
 * many times as long as it took.
 */
#define COUNT_REST_TIMES 50
#define COUNT_REST_MS    10000
#define COUNT_WANTED_MS  (5 * 60 * 1000)

static int count_live(const struct settings *settings, struct scoreboard *board)
{
	struct db *db = app_new_database(NULL, settings, &board->counters, "onesessiond count");
	int64_t count;

	if (db != NULL && db_connect(db) == DB_OK && sandbox_restrict(0) == 0 &&
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

bool helpers_reap(struct helpers *helpers, pid_t pid)
{
	if (pid != helpers->counter)
		return false;
	reap_counter(helpers);
	return true;
}

void helpers_signal(const struct helpers *helpers, int signal)
{
	if (helpers->counter != 0)
		(void)kill(helpers->counter, signal);
}

bool helpers_are_running(const struct helpers *helpers)
{
	return helpers->counter != 0;
}

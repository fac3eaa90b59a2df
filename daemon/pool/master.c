#include "pool/master.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/children.h"
#include "pool/sandbox.h"
#include "pool/service.h"
#include "pool/upgrade.h"
#include "session/sessions.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How often the deadlines of requests, and everything else that no signal tells of, are looked at. */
#define LOOK_MS 250
/* How often the service manager's line for people is written anew. */
#define STATUS_MS 10000
/* How long the workers of a new configuration may take to come up, besides connecting to the database. */
#define COME_UP_MS 10000
/* Generations that may be on their way out at the same time: a further reload waits. */
#define RETIRED_MAX 8

/* What a look at the database says by its exit status. */
enum { LOOK_WELL = 0, LOOK_AWAY = 3, LOOK_WRONG_SCHEMA = 4 };

/* A reload, from HUP until the old workers are told to go. */
struct reload {
	struct generation *next; /* NULL: there is none under way */
	pid_t look;              /* the helper that looks at its database; 0: it has */
	int64_t give_up_at;      /* of the look, then of the workers */
	bool is_asked_again;
};

struct master {
	const struct master_setup *setup;
	struct children *children;
	struct generation *current;
	struct generation *retired[RETIRED_MAX]; /* whose last workers are on their way out */
	struct reload reload;
	struct upgrade upgrade;
	bool is_upgrade_asked;
	bool is_announced; /* our workers have come up, and that was told */
	pid_t purger;      /* 0: none */
	int64_t purge_at;
	pid_t live_counter;     /* 0: none */
	int64_t count_began_at; /* 0: there was none yet, the first who asks is to be told, too */
	int64_t count_again_at;
	int64_t status_at;
	int64_t alive_at;
	bool stopping;
	bool is_crew_told;   /* that it is to go, after the attendants have gone */
	bool is_hasher_told; /* likewise, after everybody else has gone */
	int64_t stop_until;
	bool keeps_paths; /* our sockets' paths are still an old binary's, or a new one's already */
};

static const struct settings *settings_of(const struct master *master)
{
	return &master->current->settings;
}

static void ignore(int signal)
{
	(void)signal;
}

static void signals_set(sigset_t *set)
{
	sigemptyset(set);
	for (size_t i = 0; i < master_signal_count; i++)
		sigaddset(set, master_signals[i]);
}

int master_block_signals(void)
{
	/* The library installs handlers of its own for those that have none. */
	const struct sigaction handle = {.sa_handler = ignore};
	const struct sigaction pipe = {.sa_handler = SIG_IGN};
	sigset_t set;

	signals_set(&set);
	for (size_t i = 0; i < master_signal_count; i++) {
		if (sigaction(master_signals[i], &handle, NULL) != 0)
			return -1;
	}
	return sigaction(SIGPIPE, &pipe, NULL) != 0 || sigprocmask(SIG_BLOCK, &set, NULL) != 0 ? -1 : 0;
}

/* ---- The purge ---------------------------------------------------------------------------------------------- */

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
		return 0; /* the next one will do; the workers tell of the database */
	if (sandbox_restrict() != 0 || sessions_purge(db, &policy, &counts, &busy, NULL) != DB_OK)
		return 1;
	if (counts.sessions + counts.ended_sessions + counts.events + counts.login_tickets + counts.login_failures +
	            counts.known_browsers + counts.anonymous_sessions >
	    0)
		log_info("purged", LOG_INT("sessions", counts.sessions),
		         LOG_INT("ended_sessions", counts.ended_sessions), LOG_INT("events", counts.events),
		         LOG_INT("login_tickets", counts.login_tickets),
		         LOG_INT("login_failures", counts.login_failures),
		         LOG_INT("known_browsers", counts.known_browsers),
		         LOG_INT("anonymous_sessions", counts.anonymous_sessions));
	return 0;
}

static int purge(const struct settings *settings, struct counters *counters)
{
	struct db *db = app_new_database(NULL, settings, counters, "onesessiond purge");
	int status = db != NULL ? purge_by(db, settings) : 0;

	talloc_free(db);
	return status;
}

/* A process of its own, so that neither the master nor a worker is held up by it. */
static void purge_when_due(struct master *master)
{
	int64_t interval = settings_of(master)->session.purge_interval;
	pid_t pid;

	if (interval == 0 || master->purger != 0 || clock_until_ms(master->purge_at) > 0)
		return;
	master->purge_at = clock_monotonic_ms() + interval;
	pid = fork_helper("onesession-tidy");
	if (pid == 0)
		exit(purge(settings_of(master), &master->setup->board->counters));
	if (pid > 0)
		master->purger = pid;
}

/* ---- The number of live sessions ---------------------------------------------------------------------------- */

/*
 * It reads an index of all of them: it is made only while somebody asks for it every now and then, and rests many times
 * as long as it took.
 */
#define COUNT_REST_TIMES 50
#define COUNT_REST_MS    10000
#define COUNT_WANTED_MS  (5 * 60 * 1000)

static int count_live(const struct settings *settings, struct scoreboard *board)
{
	struct db *db = app_new_database(NULL, settings, &board->counters, "onesessiond count");
	int64_t count;

	if (db != NULL && db_connect(db) == DB_OK && sandbox_restrict() == 0 &&
	    sessions_count_live(db, settings->session.idle_timeout, &count) == DB_OK)
		atomic_store(&board->live_sessions, count);
	talloc_free(db);
	return 0;
}

static void count_when_wanted(struct master *master)
{
	struct scoreboard *board = master->setup->board;
	bool is_wanted = master->count_began_at == 0 ||
	                 clock_until_ms(atomic_load(&board->live_sessions_wanted_ms) + COUNT_WANTED_MS) > 0;
	pid_t pid;

	if (!is_wanted || master->live_counter != 0 || clock_until_ms(master->count_again_at) > 0)
		return;
	master->count_began_at = clock_monotonic_ms();
	pid = fork_helper("onesession-live");
	if (pid == 0)
		exit(count_live(settings_of(master), board));
	if (pid > 0)
		master->live_counter = pid;
}

static void live_counter_ended(struct master *master)
{
	int64_t now = clock_monotonic_ms();
	int64_t rest = COUNT_REST_TIMES * (now - master->count_began_at);

	master->live_counter = 0;
	master->count_again_at = now + (rest > COUNT_REST_MS ? rest : COUNT_REST_MS);
}

/* ---- A look at the database --------------------------------------------------------------------------------- */

static int probe_database(const struct settings *settings, struct counters *counters)
{
	struct db *db = app_new_database(NULL, settings, counters, "onesessiond start");
	int status = LOOK_WELL;

	if (db == NULL)
		return LOOK_AWAY;
	if (db_connect(db) != DB_OK) {
		status = db_schema_mismatch(db) ? LOOK_WRONG_SCHEMA : LOOK_AWAY;
		if (status == LOOK_WRONG_SCHEMA)
			log_error("wrong_schema", LOG_STR("problem", db_problem(db)));
	}
	talloc_free(db);
	return status;
}

static pid_t start_probe(const struct master *master, const struct generation *generation)
{
	pid_t pid = fork_helper("onesession-look");

	if (pid == 0)
		exit(probe_database(&generation->settings, &master->setup->board->counters));
	return pid;
}

/* A database that is away may come back, but one of another schema is not served. Returns false for that. */
static bool has_right_schema(const struct master *master)
{
	pid_t pid = start_probe(master, master->current);
	int status = 0;

	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return !(WIFEXITED(status) && WEXITSTATUS(status) == LOOK_WRONG_SCHEMA);
}

/* ---- Reload ------------------------------------------------------------------------------------------------- */

static void refuse_reload(struct master *master, const char *why)
{
	log_error("reload_refused", LOG_STR("problem", why), LOG_STR("in_force", "the configuration before it"));
	counters_add(&master->setup->board->counters, COUNTER_RELOADS_REFUSED);
	if (master->is_announced)
		service_ready();
}

/* Its workers finish what they have and go; when the last of them has gone it is freed. */
static void retire(struct master *master, struct generation *generation)
{
	size_t at = 0;

	while (master->retired[at] != NULL)
		at++;
	master->retired[at] = generation;
	children_retire(master->children, generation, CHILDREN_ALL,
	                clock_monotonic_ms() + settings_of(master)->server.shutdown_timeout);
}

static int open_log(const struct settings *settings)
{
	return log_open("onesessiond", settings->log.to, settings->log.level, settings->log.format);
}

static void give_up_reload(struct master *master, const char *why)
{
	retire(master, master->reload.next);
	master->reload.next = NULL;
	if (open_log(settings_of(master)) != 0)
		log_error("log_not_reopened", LOG_STR("problem", strerror(errno)));
	refuse_reload(master, why);
}

static void warn_fixed(const char *section, const char *key)
{
	log_warning("needs_restart", LOG_STR("section", section), LOG_STR("key", key),
	            LOG_STR("problem", "the new value takes effect when the daemon is restarted"));
}

/* The complaints about a configuration, a line of the log each. */
static void log_complaints(char *complaints)
{
	const char *line;

	while ((line = strsep(&complaints, "\n")) != NULL) {
		if (*line != '\0')
			log_error("configuration_wrong", LOG_STR("problem", line));
	}
}

static struct generation *load_next(const struct master *master)
{
	struct generation *next;
	char *complaints = NULL;
	size_t size;
	FILE *stream = open_memstream(&complaints, &size);

	if (stream == NULL)
		return NULL;
	next = generation_load(master->setup->ctx, master->setup->source, stream);
	if (fclose(stream) == 0)
		log_complaints(complaints);
	free(complaints);
	if (next != NULL && config_keep_fixed(next, &next->settings, settings_of(master), warn_fixed) != 0)
		TALLOC_FREE(next);
	return next;
}

static bool has_room_to_retire(const struct master *master)
{
	for (size_t i = 0; i < RETIRED_MAX; i++) {
		if (master->retired[i] == NULL)
			return true;
	}
	return false;
}

/* Each stage of it connects to the database, and may take this long. */
static void extend_reload(struct master *master)
{
	master->reload.give_up_at =
		clock_monotonic_ms() + master->reload.next->settings.database.connect_timeout + COME_UP_MS;
}

static void begin_reload(struct master *master)
{
	const struct settings *next;
	const char *problem;

	if (master->reload.next != NULL || master->upgrade.pid != 0 || !has_room_to_retire(master) ||
	    !children_have_room(master->children)) {
		master->reload.is_asked_again = true;
		return;
	}
	master->reload.is_asked_again = false;
	log_info("reloading", LOG_STR("how", "new workers come up before the old ones go"));
	service_reloading();
	master->reload.next = load_next(master);
	if (master->reload.next == NULL) {
		refuse_reload(master, "the configuration is wrong");
		return;
	}
	next = &master->reload.next->settings;
	problem = generation_prepare(master->reload.next, master->setup->board);
	if (problem == NULL && open_log(next) != 0)
		problem = talloc_asprintf(master->reload.next, "log.to: %s: %s", next->log.to, strerror(errno));
	if (problem != NULL) {
		refuse_reload(master, problem);
		TALLOC_FREE(master->reload.next);
		return;
	}
	master->reload.look = start_probe(master, master->reload.next);
	if (master->reload.look < 0) {
		master->reload.look = 0;
		give_up_reload(master, "there is no process to look at the database with");
		return;
	}
	extend_reload(master);
}

/* The database of the new configuration has been looked at: its workers may come. */
static void read_probe(struct master *master, int status)
{
	const char *conninfo = settings_of(master)->database.conninfo;
	int found = WIFEXITED(status) ? WEXITSTATUS(status) : LOOK_AWAY;

	master->reload.look = 0;
	if (master->reload.next == NULL)
		return;
	if (found == LOOK_WRONG_SCHEMA)
		give_up_reload(master, "the database's schema is of another version");
	else if (found != LOOK_WELL && strcmp(conninfo, master->reload.next->settings.database.conninfo) != 0)
		give_up_reload(master, "the database of the new database.conninfo cannot be reached");
	if (master->reload.next == NULL)
		return;
	extend_reload(master);
	children_spawn_workers(master->children, master->reload.next);
}

static void reload_step(struct master *master)
{
	struct reload *reload = &master->reload;

	if (reload->next == NULL) {
		if (reload->is_asked_again)
			begin_reload(master);
		return;
	}
	if (reload->look > 0) {
		if (clock_until_ms(reload->give_up_at) == 0)
			(void)kill(reload->look, SIGKILL);
		return;
	}
	if (children_have_failed(master->children, reload->next)) {
		give_up_reload(master, "a new worker did not come up");
	} else if (children_are_up(master->children, reload->next)) {
		retire(master, master->current);
		master->current = reload->next;
		reload->next = NULL;
		counters_add(&master->setup->board->counters, COUNTER_RELOADS);
		log_info("reloaded", LOG_INT("workers", settings_of(master)->server.workers));
		service_ready();
	} else if (clock_until_ms(reload->give_up_at) == 0) {
		give_up_reload(master, "the new workers did not come up in time");
	}
}

static void free_retired(struct master *master)
{
	for (size_t i = 0; i < RETIRED_MAX; i++) {
		if (master->retired[i] != NULL &&
		    children_count(master->children, master->retired[i], CHILDREN_ALL) == 0)
			TALLOC_FREE(master->retired[i]);
	}
}

/* ---- Upgrade ------------------------------------------------------------------------------------------------ */

static void begin_upgrade(struct master *master)
{
	/* One thing after the other. */
	if (master->upgrade.pid != 0 || master->reload.next != NULL || !master->is_announced) {
		master->is_upgrade_asked = true;
		return;
	}
	master->is_upgrade_asked = false;
	/* Its end is the container's, whoever follows it. */
	if (getpid() == 1) {
		log_error("upgrade_refused",
		          LOG_STR("problem", "this is process 1, as in a container, which would end with it"),
		          LOG_STR("hint", "replace the container, or restart it"));
		return;
	}
	if (upgrade_start(&master->upgrade, master->setup->listeners, master->setup->program, master->setup->argv) !=
	    0) {
		log_error("upgrade_failed", LOG_STR("problem", strerror(errno)));
		return;
	}
	log_info("upgrading", LOG_STR("program", master->setup->program), LOG_INT("new_master", master->upgrade.pid));
	service_reloading();
}

static void begin_to_stop(struct master *master, const char *why);

static void upgrade_step(struct master *master)
{
	if (master->upgrade.pid == 0) {
		if (master->is_upgrade_asked)
			begin_upgrade(master);
		return;
	}
	if (upgrade_is_up(&master->upgrade)) {
		service_main_pid(master->upgrade.pid);
		log_info("upgraded", LOG_INT("new_master", master->upgrade.pid));
		/* It may have read the configuration before the signal came. */
		if (master->reload.is_asked_again)
			(void)kill(master->upgrade.pid, SIGHUP);
		upgrade_forget(&master->upgrade);
		master->keeps_paths = true;
		begin_to_stop(master, "a new binary has taken over");
	} else if (clock_until_ms(master->upgrade.give_up_at) == 0) {
		master->upgrade.give_up_at = INT64_MAX;
		log_error("upgrade_failed", LOG_STR("problem", "the new binary did not come up in time"));
		upgrade_cancel(&master->upgrade);
	}
}

static void upgrade_ended(struct master *master, int status)
{
	int error = upgrade_error(&master->upgrade);

	upgrade_forget(&master->upgrade);
	if (master->stopping)
		return;
	if (error != 0)
		log_error("upgrade_failed", LOG_STR("problem", "the new binary cannot be executed"),
		          LOG_STR("program", master->setup->program), LOG_STR("reason", strerror(error)),
		          LOG_STR("in_force", "the binary before it"));
	else
		log_error("upgrade_failed",
		          LOG_STR("problem", "the new binary ended; what it said before it opened its log is on "
		                             "standard error"),
		          LOG_STR("program", master->setup->program),
		          LOG_INT("status", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)),
		          LOG_STR("in_force", "the binary before it"));
	service_ready();
}

/* ---- Stop --------------------------------------------------------------------------------------------------- */

static void stop_helpers(const struct master *master, int signal)
{
	if (master->purger != 0)
		(void)kill(master->purger, signal);
	if (master->live_counter != 0)
		(void)kill(master->live_counter, signal);
	if (master->reload.look != 0)
		(void)kill(master->reload.look, signal);
	if (master->upgrade.pid != 0)
		upgrade_cancel(&master->upgrade);
}

/* Whoever looks for us from now on is told at once; whoever has connected is served. */
static void leave_sockets(const struct master *master)
{
	if (master->keeps_paths)
		return;
	atomic_store(&master->setup->board->is_closing, true);
	service_stopping();
	listeners_unlink(master->setup->listeners);
}

static void begin_to_stop(struct master *master, const char *why)
{
	log_info("stopping", LOG_STR("why", why), LOG_STR("how", "requests under way are finished first"));
	master->stopping = true;
	master->stop_until = clock_monotonic_ms() + settings_of(master)->server.shutdown_timeout;
	leave_sockets(master);
	/* The workers go after them: an attendant hands on what it has. */
	children_retire(master->children, NULL, CHILDREN_FALLBACK, master->stop_until);
	stop_helpers(master, SIGTERM);
}

static void stop_step(struct master *master)
{
	if (!master->is_crew_told && children_count(master->children, NULL, CHILDREN_FALLBACK) == 0) {
		master->is_crew_told = true;
		children_retire(master->children, NULL, CHILDREN_WORKERS, master->stop_until);
	}
	if (master->is_crew_told && !master->is_hasher_told &&
	    children_count(master->children, NULL, CHILDREN_WORKERS) == 0) {
		master->is_hasher_told = true;
		children_retire(master->children, NULL, CHILDREN_ALL, master->stop_until);
	}
}

static void stop_at_once(struct master *master, const char *why)
{
	log_info("stopping", LOG_STR("why", why), LOG_STR("how", "at once"));
	master->stopping = master->is_crew_told = master->is_hasher_told = true;
	leave_sockets(master);
	children_kill(master->children);
	stop_helpers(master, SIGKILL);
}

/* ---- The loop ----------------------------------------------------------------------------------------------- */

/* Collect every child that has ended. */
static void reap(struct master *master)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (children_reap(master->children, pid, status))
			continue;
		if (pid == master->purger) {
			master->purger = 0;
			if (!master->stopping && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
				log_warning("purge_failed", LOG_INT("status", status));
		} else if (pid == master->live_counter) {
			live_counter_ended(master);
		} else if (pid == master->reload.look) {
			read_probe(master, status);
		} else if (pid == master->upgrade.pid) {
			upgrade_ended(master, status);
		}
	}
}

static void reopen_logs(const struct master *master)
{
	if (log_reopen() == 0)
		log_info("log_reopened", LOG_STR("signal", strsignal(SIGUSR1)));
	else
		log_error("log_not_reopened", LOG_STR("problem", strerror(errno)),
		          LOG_STR("in_force", "the file before it"));
	children_signal(master->children, SIGUSR1);
}

static void take_signal(struct master *master, int signal)
{
	switch (signal) {
	case SIGTERM:
	case SIGQUIT:
		if (!master->stopping)
			begin_to_stop(master, strsignal(signal));
		break;
	case SIGINT: stop_at_once(master, strsignal(signal)); break;
	case SIGHUP:
		if (!master->stopping)
			begin_reload(master);
		break;
	case SIGUSR1: reopen_logs(master); break;
	case SIGUSR2:
		if (!master->stopping)
			begin_upgrade(master);
		break;
	default: break;
	}
}

/* Our workers have come up for the first time. */
static void announce(struct master *master)
{
	if (master->is_announced || !children_are_up(master->children, master->current))
		return;
	master->is_announced = true;
	if (master->setup->upgraded_from >= 0)
		upgrade_tell_up(master->setup->upgraded_from);
	master->keeps_paths = false;
	service_ready();
	log_info("ready", LOG_INT("workers", settings_of(master)->server.workers));
}

static void tell_status(struct master *master)
{
	const struct scoreboard *board = master->setup->board;
	size_t busy = 0;

	if (!master->is_announced || clock_until_ms(master->status_at) > 0)
		return;
	master->status_at = clock_monotonic_ms() + STATUS_MS;
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++)
		busy += atomic_load(&board->slots[i].state) == WORKER_BUSY;
	service_status("%lld workers, %zu busy; %llu logins, %llu displacements; %llu workers died",
	               (long long)settings_of(master)->server.workers, busy,
	               (unsigned long long)atomic_load(&board->counters.all[COUNTER_LOGINS]),
	               (unsigned long long)atomic_load(&board->counters.all[COUNTER_DISPLACEMENTS]),
	               (unsigned long long)children_deaths(master->children));
}

static void housekeeping(struct master *master)
{
	children_kill_overdue(master->children);
	if (master->stopping) {
		stop_step(master);
		return;
	}
	reload_step(master);
	upgrade_step(master);
	children_repair_scoreboard(master->children);
	children_recycle(master->children);
	children_start_missing(master->children);
	purge_when_due(master);
	count_when_wanted(master);
	announce(master);
	if (master->is_announced)
		children_spawn_fallback(master->children, master->current);
	tell_status(master);
	free_retired(master);
}

static bool are_children_left(const struct master *master)
{
	return children_count(master->children, NULL, CHILDREN_ALL) > 0 || master->purger != 0 ||
	       master->live_counter != 0 || master->upgrade.pid != 0 || master->reload.look != 0;
}

int master_run(const struct master_setup *setup)
{
	const struct timespec look = {.tv_nsec = LOOK_MS * 1000000L};
	struct master master = {
		.setup = setup,
		.current = setup->generation,
		.upgrade = {.fd = -1},
		.keeps_paths = setup->upgraded_from >= 0,
	};
	sigset_t signals;

	signals_set(&signals);
	master.children = children_new(setup->ctx, setup->board, setup->listeners);
	if (master.children == NULL)
		log_error("start_failed", LOG_STR("problem", strerror(errno)));
	if (master.children == NULL || !has_right_schema(&master)) {
		if (!master.keeps_paths)
			listeners_unlink(setup->listeners);
		return 1;
	}
	master.purge_at = clock_monotonic_ms() + settings_of(&master)->session.purge_interval;
	children_spawn_hasher(master.children, settings_of(&master));
	children_spawn_workers(master.children, master.current);
	count_when_wanted(&master);
	children_start_missing(master.children);
	for (size_t i = 0; i < setup->listeners->count; i++)
		log_info("listening", LOG_STR("on", setup->listeners->all[i].name));
	log_info("started", LOG_INT("workers", settings_of(&master)->server.workers));
	do {
		int signal = sigtimedwait(&signals, NULL, &look);

		if (signal > 0)
			take_signal(&master, signal);
		reap(&master);
		housekeeping(&master);
		/* Of two masters only the one whose sockets they are is listened to. */
		if (master.is_announced && !master.keeps_paths)
			service_alive(&master.alive_at);
	} while (!master.stopping || are_children_left(&master));
	log_info("stopped", LOG_INT("workers_lost", (int64_t)children_deaths(master.children)),
	         LOG_INT("requests_overdue", (int64_t)children_timeouts(master.children)));
	return 0;
}

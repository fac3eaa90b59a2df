#include "pool/crew.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/handoff.h"
#include "pool/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* A worker that dies young is replaced later and later, so that a fault at start does not become a storm of forks. */
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 10000
#define OLD_ENOUGH_MS  5000

struct place {
	const struct generation *generation; /* NULL: nobody is to be here */
	bool is_attendant;
	pid_t pid; /* 0: nobody is here */
	int64_t started_at;
	int64_t start_again_at;
	int64_t backoff;
	bool is_dismissed; /* is to go, and not to be replaced */
	int64_t go_until;  /* then */
	bool is_killed;    /* by us */
	bool has_failed;   /* somebody here has ended other than by being told to */
};

struct crew {
	struct scoreboard *board;
	const struct listeners *listeners;
	int handoff[2]; /* where the attendant puts connections (1), and workers take them from (0) */
	struct place places[SCOREBOARD_SLOTS];
};

const int crew_signals[] = {SIGTERM, SIGQUIT, SIGINT, SIGCHLD, SIGHUP, SIGUSR1, SIGUSR2};
const size_t crew_signal_count = sizeof crew_signals / sizeof crew_signals[0];

static int crew_destroy(struct crew *crew)
{
	close(crew->handoff[0]);
	close(crew->handoff[1]);
	return 0;
}

struct crew *crew_new(TALLOC_CTX *ctx, struct scoreboard *board, const struct listeners *listeners)
{
	struct crew *crew = talloc_zero(ctx, struct crew);

	if (crew == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	crew->board = board;
	crew->listeners = listeners;
	if (handoff_open(crew->handoff) != 0) {
		talloc_free(crew);
		return NULL;
	}
	talloc_set_destructor(crew, crew_destroy);
	return crew;
}

/* ---- Starting ----------------------------------------------------------------------------------------------- */

/* Fork a child that does not outlive this process. Returns as fork() does. */
static pid_t fork_child(void)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
			_exit(1);
	} else if (pid < 0) {
		log_error("fork_failed", LOG_STR("problem", strerror(errno)));
	}
	return pid;
}

pid_t crew_fork_helper(void)
{
	const struct sigaction standard = {.sa_handler = SIG_DFL};
	pid_t pid = fork_child();
	sigset_t none;

	if (pid != 0)
		return pid;
	for (size_t i = 0; i < crew_signal_count; i++)
		(void)sigaction(crew_signals[i], &standard, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

static bool is_free(const struct place *place)
{
	return place->generation == NULL && place->pid == 0;
}

bool crew_has_room(const struct crew *crew)
{
	size_t count = 0;

	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++)
		count += is_free(&crew->places[i]);
	return count >= SCOREBOARD_WORKERS_MAX;
}

void crew_hire(struct crew *crew, const struct generation *generation)
{
	size_t wanted = (size_t)generation->settings.server.workers;

	for (size_t i = 0; i < SCOREBOARD_SLOTS && wanted > 0; i++) {
		if (!is_free(&crew->places[i]))
			continue;
		wanted--;
		crew->places[i] = (struct place){.generation = generation};
	}
}

static void start(struct crew *crew, size_t at)
{
	struct place *place = &crew->places[at];
	struct worker_slot *slot = &crew->board->slots[at];
	const struct worker_setup setup = {
		.generation = place->generation,
		.listeners = crew->listeners,
		.board = crew->board,
		.slot = at,
		.is_attendant = place->is_attendant,
		.handoff = crew->handoff[place->is_attendant ? 1 : 0],
	};
	pid_t pid;

	place->started_at = clock_monotonic_ms();
	place->is_killed = false;
	scoreboard_clear(crew->board, at);
	atomic_store(&slot->started_ms, place->started_at);
	atomic_store(&slot->is_attendant, place->is_attendant);
	atomic_store(&slot->state, (int)WORKER_STARTING);
	pid = fork_child();
	if (pid == 0) {
		/* As the master does below: whoever is first, it is on the board before it serves. */
		atomic_store(&slot->pid, getpid());
		exit(worker_run(&setup));
	}
	if (pid < 0) {
		place->has_failed = true;
		place->start_again_at = place->started_at + BACKOFF_MAX_MS;
		if (place->is_attendant)
			place->generation = NULL;
		return;
	}
	counters_add(&crew->board->counters, COUNTER_WORKER_STARTS);
	place->pid = pid;
	atomic_store(&slot->pid, pid);
}

void crew_call_attendant(struct crew *crew, const struct generation *generation)
{
	size_t at = 0;

	if (!scoreboard_are_all_busy(crew->board) || crew_count(crew, NULL, CREW_ATTENDANTS) > 0)
		return;
	while (at < SCOREBOARD_SLOTS && !is_free(&crew->places[at]))
		at++;
	if (at == SCOREBOARD_SLOTS)
		return;
	crew->places[at] = (struct place){.generation = generation, .is_attendant = true};
	start(crew, at);
}

void crew_start_missing(struct crew *crew)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		const struct place *place = &crew->places[i];

		if (place->generation != NULL && !place->is_attendant && !place->is_dismissed && place->pid == 0 &&
		    clock_until_ms(place->start_again_at) == 0)
			start(crew, i);
	}
}

/* ---- Ending ------------------------------------------------------------------------------------------------- */

static void log_death(const struct place *place, size_t number, int status)
{
	if (WIFSIGNALED(status))
		log_error("worker_killed", LOG_INT("worker", (int64_t)number), LOG_INT("worker_pid", place->pid),
		          LOG_STR("signal", strsignal(WTERMSIG(status))), LOG_INT("restart_in_ms", place->backoff));
	else
		log_error("worker_failed", LOG_INT("worker", (int64_t)number), LOG_INT("worker_pid", place->pid),
		          LOG_INT("status", WEXITSTATUS(status)), LOG_INT("restart_in_ms", place->backoff));
}

static void take_leave(struct crew *crew, size_t at, int status)
{
	struct place *place = &crew->places[at];
	int64_t now = clock_monotonic_ms();
	bool is_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	scoreboard_free_hashing_places(crew->board, place->pid);
	scoreboard_clear(crew->board, at);
	if (is_well || now - place->started_at >= OLD_ENOUGH_MS)
		place->backoff = 0;
	else
		place->backoff = place->backoff == 0 ? BACKOFF_MIN_MS : 2 * place->backoff;
	if (place->backoff > BACKOFF_MAX_MS)
		place->backoff = BACKOFF_MAX_MS;
	place->start_again_at = now + place->backoff;
	if (!is_well) {
		place->has_failed = true;
		counters_add(&crew->board->counters, COUNTER_WORKER_DEATHS);
		if (!(place->is_dismissed && place->is_killed))
			log_death(place, at, status);
	}
	place->pid = 0;
	if (place->is_dismissed || place->is_attendant)
		place->generation = NULL;
}

bool crew_take_leave(struct crew *crew, pid_t pid, int status)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		if (crew->places[i].pid == pid) {
			take_leave(crew, i, status);
			return true;
		}
	}
	return false;
}

static void kill_place(struct place *place)
{
	place->is_killed = true;
	(void)kill(place->pid, SIGKILL);
}

void crew_kill_overdue(struct crew *crew)
{
	int64_t now = clock_monotonic_ms();

	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct place *place = &crew->places[i];
		int64_t began = atomic_load(&crew->board->slots[i].request_began_ms);

		if (place->pid == 0 || place->is_killed)
			continue;
		if (began != 0 && now - began > place->generation->settings.server.request_timeout) {
			counters_add(&crew->board->counters, COUNTER_WORKER_TIMEOUTS);
			kill_place(place);
			log_error("request_overdue", LOG_INT("worker", (int64_t)i), LOG_INT("worker_pid", place->pid),
			          LOG_INT("ms", now - began),
			          LOG_INT("killed_so_far",
			                  (int64_t)atomic_load(&crew->board->counters.all[COUNTER_WORKER_TIMEOUTS])));
			kill_place(place);
		} else if (place->is_dismissed && now >= place->go_until) {
			log_error("stop_forced", LOG_INT("worker", (int64_t)i), LOG_INT("worker_pid", place->pid),
			          LOG_STR("why", "past server.shutdown_timeout"));
			kill_place(place);
		}
	}
}

static bool is_meant(const struct place *place, const struct generation *generation, enum crew_who who)
{
	return place->generation != NULL && (generation == NULL || place->generation == generation) &&
	       (who == CREW_ALL || place->is_attendant);
}

void crew_dismiss(struct crew *crew, const struct generation *generation, enum crew_who who, int64_t deadline)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct place *place = &crew->places[i];

		if (!is_meant(place, generation, who) || place->is_dismissed)
			continue;
		place->is_dismissed = true;
		place->go_until = deadline;
		if (place->pid == 0)
			place->generation = NULL;
		else
			(void)kill(place->pid, SIGTERM);
	}
}

void crew_kill(struct crew *crew)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct place *place = &crew->places[i];

		place->is_dismissed = true;
		if (place->pid == 0)
			place->generation = NULL;
		else
			kill_place(place);
	}
}

void crew_signal(const struct crew *crew, int signal)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		if (crew->places[i].pid != 0)
			(void)kill(crew->places[i].pid, signal);
	}
}

/* ---- Asking ------------------------------------------------------------------------------------------------- */

size_t crew_count(const struct crew *crew, const struct generation *generation, enum crew_who who)
{
	size_t count = 0;

	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++)
		count += is_meant(&crew->places[i], generation, who) && crew->places[i].pid != 0;
	return count;
}

bool crew_is_up(const struct crew *crew, const struct generation *generation)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		int state = atomic_load(&crew->board->slots[i].state);

		if (crew->places[i].generation == generation && (state == WORKER_NONE || state == WORKER_STARTING))
			return false;
	}
	return true;
}

bool crew_has_failed(const struct crew *crew, const struct generation *generation)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		if (crew->places[i].generation == generation && crew->places[i].has_failed)
			return true;
	}
	return false;
}

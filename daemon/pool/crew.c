#include "pool/crew.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/handoff.h"
#include "pool/hasher.h"
#include "pool/seats.h"
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
	bool is_wanted; /* somebody is to be here */
	enum process_role role;
	const struct generation *generation; /* NULL for the hasher */
	int64_t request_timeout;
	pid_t pid; /* 0: nobody is here */
	int64_t started_at;
	int64_t start_again_at;
	int64_t backoff;
	bool is_dismissed; /* is to go, and not to be replaced */
	int64_t go_until;  /* then */
	bool is_killed;    /* by us */
	bool has_failed;   /* somebody here has ended other than by being told to */
	size_t successor;  /* who is here goes when somebody is there; 0: not yet (1 is the first place) */
};

/* Nobody's place. */
#define NOWHERE SCOREBOARD_SLOTS

struct crew {
	struct scoreboard *board;
	const struct listeners *listeners;
	int handoff[2]; /* where connections are put (1) that are for who is free first, and taken from (0) */
	int hashing[2]; /* where workers tell the hasher (0) of themselves (1) */
	int seats;
	size_t seat_count;
	uint64_t answered;     /* by all workers, at the look before */
	bool has_seen_waiting; /* a connection that nobody had accepted, at that look */
	struct hasher_setup hasher;
	size_t deaths, timeouts;
	int64_t attendant_backoff, attendant_again_at; /* as of a place: each attendant has a new one */
	struct place places[SCOREBOARD_SLOTS];
};

const int crew_signals[] = {SIGTERM, SIGQUIT, SIGINT, SIGCHLD, SIGHUP, SIGUSR1, SIGUSR2};
const size_t crew_signal_count = sizeof crew_signals / sizeof crew_signals[0];

static int crew_destroy(struct crew *crew)
{
	for (size_t end = 0; end < 2; end++) {
		close(crew->handoff[end]);
		close(crew->hashing[end]);
	}
	close(crew->seats);
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
	crew->seat_count = seats_wanted();
	crew->seats = seats_open(crew->seat_count);
	if (crew->seats < 0 || handoff_open(crew->hashing) != 0) {
		if (crew->seats >= 0)
			close(crew->seats);
		close(crew->handoff[0]);
		close(crew->handoff[1]);
		talloc_free(crew);
		return NULL;
	}
	talloc_set_destructor(crew, crew_destroy);
	return crew;
}

/* ---- Starting ----------------------------------------------------------------------------------------------- */

/*
 * Fork a child that does not outlive this process. Returns as fork() does. It is born with its `name`, which ps(1) and
 * top(1) show (prctl(2), PR_SET_NAME), for one that names itself is taken for a worker until it does. NULL: our own.
 */
static pid_t fork_child(const char *name)
{
	char own[16] = "";
	pid_t parent = getpid();
	pid_t pid;

	(void)prctl(PR_GET_NAME, own);
	if (name != NULL)
		(void)prctl(PR_SET_NAME, name);
	pid = fork();
	if (pid != 0)
		(void)prctl(PR_SET_NAME, own);
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
			_exit(1);
	} else if (pid < 0) {
		log_error("fork_failed", LOG_STR("problem", strerror(errno)));
	}
	return pid;
}

pid_t crew_fork_helper(const char *name)
{
	const struct sigaction standard = {.sa_handler = SIG_DFL};
	pid_t pid = fork_child(name);
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
	return !place->is_wanted && place->pid == 0;
}

/* NOWHERE when there is none. */
static size_t find_free(const struct crew *crew)
{
	size_t at = 0;

	while (at < SCOREBOARD_SLOTS && !is_free(&crew->places[at]))
		at++;
	return at;
}

static struct place place_for(const struct generation *generation, enum process_role role)
{
	return (struct place){
		.is_wanted = true,
		.role = role,
		.generation = generation,
		.request_timeout = generation->settings.server.request_timeout,
	};
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
		crew->places[i] = place_for(generation, ROLE_WORKER);
	}
}

void crew_hire_hasher(struct crew *crew, const struct settings *settings)
{
	/* The last one, so that workers have the numbers from 0 on. */
	const size_t at = SCOREBOARD_SLOTS - 1;

	crew->hasher = (struct hasher_setup){
		.board = crew->board,
		.slot = at,
		.registration = crew->hashing[0],
		.cost = {.memory = settings->login.memory, .passes = settings->login.passes},
		.thread_count = (size_t)settings->login.max_hashing,
	};
	crew->places[at] = (struct place){
		.is_wanted = true, .role = ROLE_HASHER, .request_timeout = settings->server.request_timeout};
}

/* In the process of its own that a place has got. */
static int run(const struct crew *crew, size_t at)
{
	const struct place *place = &crew->places[at];
	const struct worker_setup setup = {
		.generation = place->generation,
		.listeners = crew->listeners,
		.board = crew->board,
		.slot = at,
		.is_attendant = place->role == ROLE_ATTENDANT,
		.handoff = crew->handoff,
		.hashing = crew->hashing[1],
		.seats = crew->seats,
	};

	if (place->role != ROLE_HASHER)
		return worker_run(&setup);
	/* It is none of those who take connections. */
	for (size_t i = 0; i < crew->listeners->count; i++)
		close(crew->listeners->all[i].fd);
	return hasher_run(&crew->hasher);
}

/* Workers, which server.workers counts, are called as the program is. */
static const char *name_of(enum process_role role)
{
	if (role == ROLE_ATTENDANT)
		return "onesession-tend";
	return role == ROLE_HASHER ? "onesession-hash" : NULL;
}

static void start(struct crew *crew, size_t at)
{
	struct place *place = &crew->places[at];
	struct worker_slot *slot = &crew->board->slots[at];
	pid_t pid;

	place->started_at = clock_monotonic_ms();
	place->is_killed = false;
	scoreboard_clear(crew->board, at);
	atomic_store(&slot->started_ms, place->started_at);
	atomic_store(&slot->role, (int)place->role);
	atomic_store(&slot->state, (int)WORKER_STARTING);
	pid = fork_child(name_of(place->role));
	if (pid == 0) {
		/* As the master does below: whoever is first, it is on the board before it serves. */
		atomic_store(&slot->pid, getpid());
		exit(run(crew, at));
	}
	if (pid < 0) {
		place->has_failed = true;
		place->start_again_at = place->started_at + BACKOFF_MAX_MS;
		place->is_wanted = place->role != ROLE_ATTENDANT;
		return;
	}
	if (place->role != ROLE_HASHER)
		counters_add(&crew->board->counters, COUNTER_WORKER_STARTS);
	place->pid = pid;
	atomic_store(&slot->pid, pid);
}

void crew_call_attendant(struct crew *crew, const struct generation *generation)
{
	size_t at = find_free(crew);

	if (at == NOWHERE || clock_until_ms(crew->attendant_again_at) > 0 || !scoreboard_are_all_busy(crew->board) ||
	    crew_count(crew, NULL, CREW_ATTENDANTS) > 0)
		return;
	crew->places[at] = place_for(generation, ROLE_ATTENDANT);
	crew->places[at].backoff = crew->attendant_backoff;
	start(crew, at);
}

void crew_start_missing(struct crew *crew)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		const struct place *place = &crew->places[i];

		if (place->is_wanted && place->role != ROLE_ATTENDANT && !place->is_dismissed && place->pid == 0 &&
		    clock_until_ms(place->start_again_at) == 0)
			start(crew, i);
	}
}

/* ---- Ending ------------------------------------------------------------------------------------------------- */

static void log_death(const struct place *place, size_t number, int status)
{
	bool is_hasher = place->role == ROLE_HASHER;

	if (WIFSIGNALED(status))
		log_error(is_hasher ? "hasher_killed" : "worker_killed", LOG_INT("worker", (int64_t)number),
		          LOG_INT("worker_pid", place->pid), LOG_STR("signal", strsignal(WTERMSIG(status))),
		          LOG_INT("restart_in_ms", place->backoff));
	else
		log_error(is_hasher ? "hasher_failed" : "worker_failed", LOG_INT("worker", (int64_t)number),
		          LOG_INT("worker_pid", place->pid), LOG_INT("status", WEXITSTATUS(status)),
		          LOG_INT("restart_in_ms", place->backoff));
}

static void take_leave(struct crew *crew, size_t at, int status)
{
	struct place *place = &crew->places[at];
	int64_t now = clock_monotonic_ms();
	bool is_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	scoreboard_clear(crew->board, at);
	if (place->role == ROLE_HASHER)
		scoreboard_forget_hashing(crew->board);
	if (is_well || now - place->started_at >= OLD_ENOUGH_MS)
		place->backoff = 0;
	else
		place->backoff = place->backoff == 0 ? BACKOFF_MIN_MS : 2 * place->backoff;
	if (place->backoff > BACKOFF_MAX_MS)
		place->backoff = BACKOFF_MAX_MS;
	place->start_again_at = now + place->backoff;
	if (place->role == ROLE_ATTENDANT) {
		crew->attendant_backoff = place->backoff;
		crew->attendant_again_at = place->start_again_at;
	}
	if (!is_well) {
		place->has_failed = true;
		crew->deaths++;
		counters_add(&crew->board->counters, COUNTER_WORKER_DEATHS);
		if (!(place->is_dismissed && place->is_killed))
			log_death(place, at, status);
	}
	place->pid = 0;
	/* Whoever has a successor is not replaced once more. */
	if (place->is_dismissed || place->role == ROLE_ATTENDANT || place->successor != 0)
		place->is_wanted = false;
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
		/* What it cannot have begun then it has not written. */
		if (began >= place->started_at && now - began > place->request_timeout) {
			crew->timeouts++;
			counters_add(&crew->board->counters, COUNTER_WORKER_TIMEOUTS);
			log_error("request_overdue", LOG_INT("worker", (int64_t)i), LOG_INT("worker_pid", place->pid),
			          LOG_INT("ms", now - began), LOG_INT("killed_so_far", (int64_t)crew->timeouts));
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
	return (place->is_wanted || place->pid != 0) && (generation == NULL || place->generation == generation) &&
	       (who == CREW_ALL || (who == CREW_SERVING && place->role != ROLE_HASHER) ||
	        place->role == ROLE_ATTENDANT);
}

static void dismiss(struct place *place, int64_t deadline)
{
	place->is_dismissed = true;
	place->go_until = deadline;
	if (place->pid == 0)
		place->is_wanted = false;
	else
		(void)kill(place->pid, SIGTERM);
}

void crew_dismiss(struct crew *crew, const struct generation *generation, enum crew_who who, int64_t deadline)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct place *place = &crew->places[i];

		if (is_meant(place, generation, who) && !place->is_dismissed)
			dismiss(place, deadline);
	}
}

/* Whether it has come as far as it can: it is connected, or has tried. */
static bool has_come_up(const struct crew *crew, size_t at)
{
	int state = atomic_load(&crew->board->slots[at].state);

	return crew->places[at].pid != 0 && state != WORKER_NONE && state != WORKER_STARTING;
}

static void begin_relief(struct crew *crew, size_t at)
{
	size_t successor = find_free(crew);

	if (successor == NOWHERE)
		return;
	crew->places[successor] = place_for(crew->places[at].generation, ROLE_WORKER);
	crew->places[at].successor = successor + 1;
}

void crew_relieve(struct crew *crew)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct place *place = &crew->places[i];

		if (place->role != ROLE_WORKER || place->pid == 0 || place->is_dismissed)
			continue;
		if (place->successor == 0 && atomic_load(&crew->board->slots[i].wants_relief))
			begin_relief(crew, i);
		else if (place->successor != 0 && has_come_up(crew, place->successor - 1))
			dismiss(place, clock_monotonic_ms() + place->generation->settings.server.shutdown_timeout);
	}
}

void crew_mend_board(struct crew *crew)
{
	size_t seated = 0;
	uint64_t answered = 0;
	bool is_waiting;

	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		const struct place *place = &crew->places[i];
		struct worker_slot *slot = &crew->board->slots[i];

		if (place->pid == 0 && atomic_load(&slot->pid) != 0)
			scoreboard_clear(crew->board, i);
		if (atomic_load(&slot->pid) != place->pid)
			atomic_store(&slot->pid, place->pid);
		if (place->pid != 0 && atomic_load(&slot->role) != (int)place->role)
			atomic_store(&slot->role, (int)place->role);
		seated += place->pid != 0 && place->role == ROLE_WORKER && atomic_load(&slot->has_seat);
		answered += atomic_load(&slot->requests);
	}
	/*
	 * Whoever has a seat may be stopped, in a debugger or by a resolver: then another one listens as well. A queue
	 * that only is long is nobody's standstill.
	 */
	is_waiting = listeners_have_waiting(crew->listeners);
	if (is_waiting && crew->has_seen_waiting && answered == crew->answered)
		seats_give_back(crew->seats);
	else if (seated != crew->seat_count)
		seats_audit(crew->seats, crew->seat_count, seated);
	crew->has_seen_waiting = is_waiting;
	crew->answered = answered;
}

void crew_kill(struct crew *crew)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		struct place *place = &crew->places[i];

		place->is_dismissed = true;
		if (place->pid == 0)
			place->is_wanted = false;
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

size_t crew_deaths(const struct crew *crew)
{
	return crew->deaths;
}

size_t crew_timeouts(const struct crew *crew)
{
	return crew->timeouts;
}

bool crew_is_up(const struct crew *crew, const struct generation *generation)
{
	size_t own = 0, others = 0;

	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		bool is_connected = atomic_load(&crew->board->slots[i].is_connected);

		if (!is_meant(&crew->places[i], NULL, CREW_SERVING))
			continue;
		if (crew->places[i].generation != generation) {
			others += is_connected;
			continue;
		}
		if (!has_come_up(crew, i))
			return false;
		own += is_connected;
	}
	return own > 0 || others == 0;
}

bool crew_has_failed(const struct crew *crew, const struct generation *generation)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		if (is_meant(&crew->places[i], generation, CREW_SERVING) && crew->places[i].has_failed)
			return true;
	}
	return false;
}

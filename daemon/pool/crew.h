/*
 * The processes that serve: for each generation of the configuration its workers, an attendant while all of them are
 * busy, and one hasher. Each has a place here and a slot of the same number on the scoreboard, on which nothing is
 * believed that would not be harmless if it were false. Only the master calls this.
 */
#ifndef POOL_CREW_H
#define POOL_CREW_H

#include "pool/generation.h"
#include "pool/listeners.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <talloc.h>

struct crew;

/* An empty one, on `ctx`. NULL with errno. */
struct crew *crew_new(TALLOC_CTX *ctx, struct scoreboard *board, const struct listeners *listeners);

/* True when there are places for as many workers as a configuration may ask for. */
bool crew_has_room(const struct crew *crew);

/* Give a generation its places; crew_start_missing() fills them. */
void crew_hire(struct crew *crew, const struct generation *generation);

/* Have a hasher (see hasher_run()), for as long as the daemon runs. */
void crew_hire_hasher(struct crew *crew, const struct settings *settings);

/*
 * Have an attendant (see worker_run()) when every worker is busy and there is none yet. It goes by itself when it is
 * not needed any more.
 */
void crew_call_attendant(struct crew *crew, const struct generation *generation);

/* Start whoever is missing, unless a place has to wait because who was there died young. */
void crew_start_missing(struct crew *crew);

/*
 * A worker that has answered server.max_requests is told to go when another one has come up in its stead.
 */
void crew_relieve(struct crew *crew);

/* Put right on the scoreboard what only the master may write there, and put back the seats of who has died. */
void crew_mend_board(struct crew *crew);

/* A child has ended. Returns false when it was none of the crew. */
bool crew_take_leave(struct crew *crew, pid_t pid, int status);

/* Kill whose request is past its deadline, and who was told to go and has not. */
void crew_kill_overdue(struct crew *crew);

enum crew_who { CREW_ALL, CREW_SERVING, CREW_ATTENDANTS };

/*
 * Tell those of a generation (NULL: of all) to finish what they have and go; they are not replaced. Who has not gone
 * at `deadline` (clock_monotonic_ms()) is killed, and that is told.
 */
void crew_dismiss(struct crew *crew, const struct generation *generation, enum crew_who who, int64_t deadline);

/* Kill everybody. */
void crew_kill(struct crew *crew);

/* Send a signal to everybody. */
void crew_signal(const struct crew *crew, int signal);

/* How many there still are, of a generation (NULL: of all). */
size_t crew_count(const struct crew *crew, const struct generation *generation, enum crew_who who);

/* Since the start: workers that ended other than by being told to, and of them those killed for an overdue request. */
size_t crew_deaths(const struct crew *crew);
size_t crew_timeouts(const struct crew *crew);

/*
 * True when all of a generation are ready to serve: they have connected to the database, or tried to while at least one
 * of them is connected or nobody of another generation is.
 */
bool crew_is_up(const struct crew *crew, const struct generation *generation);

/* True when one of a generation has ended other than by being told to. */
bool crew_has_failed(const struct crew *crew, const struct generation *generation);

/*
 * Fork a child that does not outlive this process, and whose signals are as usual again. As fork(2), logged. Whoever
 * looks at the processes is not to take it for a worker: it has a name of its own, of 15 bytes at the most.
 */
pid_t crew_fork_helper(const char *name);

/* The signals that the master takes one by one; everybody here begins with them blocked. */
extern const int crew_signals[];
extern const size_t crew_signal_count;

#endif

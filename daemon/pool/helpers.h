/* The master's helper process, which counts live sessions. It holds up neither it nor a worker. */
#ifndef POOL_HELPERS_H
#define POOL_HELPERS_H

#include "base/scoreboard.h"
#include "base/settings.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct helpers {
	pid_t counter;          /* 0: it does not run */
	int64_t count_began_at; /* 0: there was no count yet; the first is made before any request for it */
	int64_t count_again_at;
};

/* Count live sessions, if /metrics has been asked for lately, and the count before is old enough. */
void helpers_count_when_wanted(struct helpers *helpers, const struct settings *settings, struct scoreboard *board);

/* A child of the master's has ended. Returns false when it was another. */
bool helpers_reap(struct helpers *helpers, pid_t pid);

/* Send it a signal, if it runs. */
void helpers_signal(const struct helpers *helpers, int signal);

bool helpers_are_running(const struct helpers *helpers);

#endif

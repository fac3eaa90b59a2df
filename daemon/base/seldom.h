/* What is logged at most once a minute, however often it happens and in whichever of the processes. */
#ifndef BASE_SELDOM_H
#define BASE_SELDOM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define SELDOM_PAUSE_MS 60000
#define SELDOM_SLOTS    64

/* In shared memory. Texts that share a slot wait for each other. */
struct seldom {
	_Atomic int64_t next_ms[SELDOM_SLOTS]; /* when its line may be written again; 0: at once */
};

/* Whether `text` is to be logged now, at `now_ms` (clock_monotonic_ms()): then not again before the pause is over. */
bool seldom_is_due(struct seldom *seldom, const char *text, int64_t now_ms);

#endif

/* The clocks. Deadlines are counted on the monotonic one, which setting the time of day does not move. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC. Never fails: the clock is there on every Linux. */
int64_t clock_monotonic_ms(void);

/* Microseconds of the same clock, for measuring. */
int64_t clock_monotonic_us(void);

/* Microseconds since 1970-01-01 00:00 UTC. */
int64_t clock_wall_us(void);

/* `ms` from now until `deadline` (of clock_monotonic_ms) as poll(2) and epoll_wait(2) want it: 0 when past. */
int clock_until_ms(int64_t deadline);

/* Sleep that many microseconds, or until a signal has been handled. */
void clock_sleep_us(int64_t microseconds);

#endif

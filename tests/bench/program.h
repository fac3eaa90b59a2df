/* Functions that the benchmark's own programs share. */
#ifndef BENCH_PROGRAM_H
#define BENCH_PROGRAM_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND_NS INT64_C(1000000000)

/* Print what has failed, with errno's text, and exit. */
static inline void fail(const char *what)
{
	(void)fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(EXIT_FAILURE);
}

/* CLOCK_MONOTONIC. */
static inline int64_t now_ns(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
		fail("clock_gettime");
	return (int64_t)now.tv_sec * SECOND_NS + now.tv_nsec;
}

#endif

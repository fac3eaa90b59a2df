/* How many calls each token of the API has made in this second, by all processes that share the memory. */
#ifndef BASE_CALL_RATES_H
#define BASE_CALL_RATES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Tokens are numbered one by one: those whose numbers are so far apart share a count. */
#define CALL_RATES_MAX 1024

/* A second, and how many calls there were in it. Zero at the start. */
struct call_rates {
	_Atomic uint64_t cells[CALL_RATES_MAX];
};

/* Count a call at `now_ms` (clock_monotonic_ms()). False: there were `limit` of them already in this second. */
bool call_rates_count(struct call_rates *rates, int64_t token_id, int64_t limit, int64_t now_ms);

#endif

/*
 * How often subjects of any kind were counted recently, by all processes that share the memory: a count-min sketch
 * (Cormode and Muthukrishnan, 2005) over two windows of time. It never gives less than the true number, and seldom
 * more.
 */
#ifndef BASE_RATES_H
#define BASE_RATES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define RATES_WINDOW_MS 10000
#define RATES_ROWS      2
#define RATES_CELLS     65536

struct rates {
	uint8_t seed[16]; /* secret, so that a client cannot find subjects that share a cell */
	_Atomic uint64_t cells[RATES_ROWS][RATES_CELLS];
};

void rates_init(struct rates *rates);

/* Count the subject at `now_ms` (clock_monotonic_ms()). Returns how often it was, this time included, in this window
 * and the one before. */
uint32_t rates_count(struct rates *rates, const void *subject, size_t size, int64_t now_ms);

#endif

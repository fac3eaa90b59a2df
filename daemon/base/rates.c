/* A count-min sketch over two windows of time. */
#include "base/rates.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

/* A cell: the number of its window, and what was counted in that and in the one before. */
#define COUNT_MAX 0xffff

static uint64_t pack(uint32_t window, uint32_t before, uint32_t count)
{
	return (uint64_t)window << 32 | (uint64_t)before << 16 | count;
}

static uint32_t count_in(_Atomic uint64_t *cell, uint32_t window)
{
	uint64_t old = atomic_load_explicit(cell, memory_order_relaxed);
	uint32_t count, before;

	do {
		uint32_t age = window - (uint32_t)(old >> 32);

		before = age == 0 ? (uint32_t)(old >> 16) & COUNT_MAX : age == 1 ? (uint32_t)old & COUNT_MAX : 0;
		count = age == 0 ? (uint32_t)old & COUNT_MAX : 0;
		if (count < COUNT_MAX)
			count++;
	} while (!atomic_compare_exchange_weak_explicit(cell, &old, pack(window, before, count), memory_order_relaxed,
	                                                memory_order_relaxed));
	return before + count;
}

void rates_init(struct rates *rates)
{
	memset(rates, 0, sizeof *rates);
	randombytes_buf(rates->seed, sizeof rates->seed);
}

uint32_t rates_count(struct rates *rates, const void *subject, size_t size, int64_t now_ms)
{
	uint32_t window = (uint32_t)(now_ms / RATES_WINDOW_MS);
	uint32_t least = UINT32_MAX;
	uint32_t hash[crypto_shorthash_BYTES / sizeof(uint32_t)];

	static_assert(crypto_shorthash_BYTES >= RATES_ROWS * sizeof(uint32_t), "a hash has a part for each row");
	static_assert(crypto_shorthash_KEYBYTES == sizeof rates->seed, "the seed is a key");
	(void)crypto_shorthash((unsigned char *)hash, subject, size, rates->seed);
	for (size_t row = 0; row < RATES_ROWS; row++) {
		uint32_t count = count_in(&rates->cells[row][hash[row] % RATES_CELLS], window);

		if (count < least)
			least = count;
	}
	return least;
}

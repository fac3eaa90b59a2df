/* Calls of the API in this second, by token. */
#include "base/call_rates.h"

#define MS_PER_S 1000

bool call_rates_count(struct call_rates *rates, int64_t token_id, int64_t limit, int64_t now_ms)
{
	_Atomic uint64_t *cell = &rates->cells[(uint64_t)token_id % CALL_RATES_MAX];
	uint32_t second = (uint32_t)(now_ms / MS_PER_S);
	uint64_t old = atomic_load_explicit(cell, memory_order_relaxed);
	uint32_t count;

	do {
		count = (uint32_t)(old >> 32) == second ? (uint32_t)old : 0;
		if (count >= limit)
			return false;
	} while (!atomic_compare_exchange_weak_explicit(cell, &old, (uint64_t)second << 32 | (count + 1U),
	                                                memory_order_relaxed, memory_order_relaxed));
	return true;
}

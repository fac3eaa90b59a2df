#include "base/seldom.h"

/* FNV-1a: the texts are the operator's own. */
static uint32_t hash(const char *text)
{
	uint32_t value = 2166136261U;

	for (; *text != '\0'; text++)
		value = (value ^ (unsigned char)*text) * 16777619U;
	return value;
}

bool seldom_is_due(struct seldom *seldom, const char *text, int64_t now_ms)
{
	_Atomic int64_t *next_ms = &seldom->next_ms[hash(text) % SELDOM_SLOTS];
	int64_t found = atomic_load_explicit(next_ms, memory_order_relaxed);

	/* Of processes at the same moment one writes it. */
	return now_ms >= found && atomic_compare_exchange_strong_explicit(next_ms, &found, now_ms + SELDOM_PAUSE_MS,
	                                                                  memory_order_relaxed, memory_order_relaxed);
}

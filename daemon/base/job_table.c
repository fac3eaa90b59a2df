/* What is known of each job on this host, in shared memory. */
#include "base/job_table.h"

#include "base/clock.h"

/* No job waits for longer. */
#define PAUSE_MAX_MS (INT64_C(400) * 24 * 3600 * 1000)

const char *job_result_name(enum job_result result)
{
	static const char *const names[JOB_RESULT_COUNT] = {
		[JOB_RESULT_NONE] = "",           [JOB_RESULT_OK] = "ok",           [JOB_RESULT_FAILED] = "failed",
		[JOB_RESULT_CRASHED] = "crashed", [JOB_RESULT_OVERDUE] = "overdue", [JOB_RESULT_STOPPED] = "stopped",
	};

	return result < JOB_RESULT_COUNT ? names[result] : "";
}

uint32_t job_table_claim(struct job_table *table, const char *module, const char *name)
{
	return names_claim(table->names, JOB_TABLE_SIZE, module, name);
}

static void clear(struct job_slot *slot)
{
	atomic_store(&slot->began_ms, 0);
	atomic_store(&slot->is_running, false);
	atomic_store(&slot->took_ms, 0);
	atomic_store(&slot->next_ms, 0);
	atomic_store(&slot->result, JOB_RESULT_NONE);
	atomic_store(&slot->failed, 0);
	for (size_t i = 0; i < JOB_RESULT_COUNT; i++)
		atomic_store(&slot->runs[i], 0);
}

void job_table_free_others(struct job_table *table, const struct job_slots_used *used)
{
	for (size_t i = 0; i < JOB_TABLE_SIZE; i++) {
		struct job_slot *slot = &table->slots[i];

		if (used->slots[i] || atomic_load(&slot->owner) != 0)
			continue;
		clear(slot);
		job_slot_note_claim(slot, (const uint64_t[]){0, 0});
		name_free(&table->names[i]);
	}
}

int64_t job_slot_began_ms(const struct job_slot *slot)
{
	int64_t began = atomic_load(&slot->began_ms);

	return began > 0 && began <= clock_monotonic_ms() ? began : 0;
}

int64_t job_slot_next_ms(const struct job_slot *slot)
{
	int64_t next = atomic_load(&slot->next_ms);

	return next > 0 && next <= clock_monotonic_ms() + PAUSE_MAX_MS ? next : 0;
}

bool job_slot_take(struct job_slot *slot, pid_t owner)
{
	pid_t found = 0;

	return atomic_compare_exchange_strong(&slot->owner, &found, owner);
}

void job_slot_give_back(struct job_slot *slot)
{
	job_slot_note_claim(slot, (const uint64_t[]){0, 0});
	atomic_store(&slot->owner, 0);
}

void job_slot_note_claim(struct job_slot *slot, const uint64_t number[2])
{
	atomic_store(&slot->claim[0], number[0]);
	atomic_store(&slot->claim[1], number[1]);
}

bool job_slot_has_claim(const struct job_slot *slot, uint64_t number[2])
{
	const uint64_t found[] = {atomic_load(&slot->claim[0]), atomic_load(&slot->claim[1])};

	if (found[0] == 0 && found[1] == 0)
		return false;
	number[0] = found[0];
	number[1] = found[1];
	return true;
}

void job_slot_count(struct job_slot *slot, enum job_result result)
{
	atomic_store(&slot->took_ms, clock_monotonic_ms() - job_slot_began_ms(slot));
	atomic_store(&slot->result, (int)result);
	atomic_fetch_add(&slot->runs[result], 1);
	if (result == JOB_RESULT_OK)
		atomic_store(&slot->failed, 0);
	else if (result != JOB_RESULT_STOPPED)
		atomic_fetch_add(&slot->failed, 1);
	atomic_store(&slot->is_running, false);
}

void job_table_release(struct job_table *table, pid_t owner)
{
	for (uint32_t i = 0; i <= JOB_TABLE_SIZE; i++) {
		struct job_slot *slot = &table->slots[i];
		pid_t found = owner;

		if (atomic_load(&slot->owner) != owner)
			continue;
		if (atomic_load(&slot->is_running))
			job_slot_count(slot, JOB_RESULT_STOPPED);
		(void)atomic_compare_exchange_strong(&slot->owner, &found, 0);
	}
}

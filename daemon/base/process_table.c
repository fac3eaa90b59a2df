/* The table of the daemon's processes in shared memory. */
#include "base/process_table.h"

#include "base/clock.h"

/* A worker that has been busy for less is expected to be free soon. */
#define BUSY_MS 100

const char *worker_state_name(enum worker_state state)
{
	static const char *const names[WORKER_STATE_COUNT] = {
		[WORKER_NONE] = "none",       [WORKER_STARTING] = "starting", [WORKER_IDLE] = "idle",
		[WORKER_WAITING] = "waiting", [WORKER_BUSY] = "busy",         [WORKER_STOPPING] = "stopping",
	};

	return state < WORKER_STATE_COUNT ? names[state] : "unknown";
}

const char *process_role_name(enum process_role role)
{
	switch (role) {
	case ROLE_WORKER: return "worker";
	case ROLE_GUARD: return "guard";
	case ROLE_FALLBACK: return "fallback";
	case ROLE_HASHER: return "hasher";
	case ROLE_JOBS: return "jobs";
	}
	return "unknown";
}

bool process_role_is_worker(enum process_role role)
{
	return role == ROLE_WORKER || role == ROLE_GUARD;
}

void process_table_clear(struct process_table *table, size_t slot)
{
	struct process_slot *process = &table->slots[slot];

	atomic_store(&process->pid, 0);
	atomic_store(&process->role, (int)ROLE_WORKER);
	atomic_store(&process->is_connected, false);
	atomic_store(&process->has_permit, false);
	atomic_store(&process->wants_recycling, false);
	atomic_store(&process->state, (int)WORKER_NONE);
	atomic_store(&process->request_began_ms, 0);
	atomic_store(&process->timeout_ms, 0);
	atomic_store(&process->requests, 0);
	atomic_store(&process->spooled, 0);
	atomic_store(&process->spool_files, 0);
}

int64_t process_table_spooled(const struct process_table *table)
{
	int64_t sum = 0;

	for (size_t i = 0; i < PROCESS_SLOTS; i++)
		sum += atomic_load_explicit(&table->slots[i].spooled, memory_order_relaxed);
	return sum;
}

bool process_table_spool(const struct process_table *table, struct process_slot *process, int64_t size, int64_t max)
{
	/* Before it is looked at: of two that would both have too much, neither overlooks the other. */
	atomic_fetch_add(&process->spooled, size);
	if (process_table_spooled(table) <= max)
		return true;
	atomic_fetch_sub(&process->spooled, size);
	return false;
}

enum process_role process_slot_role(const struct process_slot *slot)
{
	return (enum process_role)(unsigned int)atomic_load(&slot->role);
}

bool process_table_are_workers_busy(const struct process_table *table)
{
	int64_t now = clock_monotonic_ms();

	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		const struct process_slot *slot = &table->slots[i];
		int state = atomic_load(&slot->state);
		int64_t began = atomic_load(&slot->request_began_ms);

		if (atomic_load(&slot->pid) == 0 || !process_role_is_worker(process_slot_role(slot)))
			continue;
		if (state == WORKER_IDLE || state == WORKER_WAITING || (state == WORKER_BUSY && now - began < BUSY_MS))
			return false;
	}
	return true;
}

bool process_table_is_another_connected(const struct process_table *table, size_t slot)
{
	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		if (i != slot && atomic_load_explicit(&table->slots[i].is_connected, memory_order_relaxed))
			return true;
	}
	return false;
}

bool process_table_is_another_answered(const struct process_table *table, size_t slot, int64_t late_ms)
{
	int64_t now = clock_monotonic_ms();

	for (size_t i = 0; i < PROCESS_SLOTS; i++) {
		const struct process_slot *other = &table->slots[i];
		int state = atomic_load(&other->state);

		if (i == slot || !atomic_load(&other->is_connected))
			continue;
		if (state == WORKER_IDLE ||
		    (state == WORKER_WAITING && now - atomic_load(&other->request_began_ms) < late_ms))
			return true;
	}
	return false;
}

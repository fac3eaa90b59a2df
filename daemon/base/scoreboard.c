#include "base/scoreboard.h"

#include "base/clock.h"

#include <sys/mman.h>
#include <unistd.h>

/* A request that is over sooner keeps nobody waiting for long. */
#define BUSY_MS 100

const char *scoreboard_state_name(enum worker_state state)
{
	static const char *const names[WORKER_STATE_COUNT] = {
		[WORKER_NONE] = "none",       [WORKER_STARTING] = "starting", [WORKER_IDLE] = "idle",
		[WORKER_WAITING] = "waiting", [WORKER_BUSY] = "busy",         [WORKER_STOPPING] = "stopping",
	};

	return state < WORKER_STATE_COUNT ? names[state] : "unknown";
}

void scoreboard_forget_hashing(struct scoreboard *board)
{
	atomic_store(&board->hashing_in_use, 0);
	atomic_store(&board->hashing_waiting, 0);
	atomic_store(&board->hashing_rank, UINT32_MAX);
}

/* Pages that nobody writes to take up no memory, so there is room for as many workers as there can be. */
struct scoreboard *scoreboard_new(void)
{
	struct scoreboard *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (board == MAP_FAILED)
		return NULL;
	board->started_ms = clock_monotonic_ms();
	board->started_us = clock_wall_us();
	atomic_store(&board->live_sessions_wanted_ms, INT64_MIN / 2);
	board->master = getpid();
	rates_begin(&board->login_rates);
	scoreboard_forget_hashing(board);
	atomic_store(&board->live_sessions, -1);
	return board;
}

void scoreboard_free(struct scoreboard *board)
{
	(void)munmap(board, sizeof *board);
}

bool scoreboard_are_all_busy(struct scoreboard *board)
{
	int64_t now = clock_monotonic_ms();

	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		const struct worker_slot *slot = &board->slots[i];
		int state = atomic_load(&slot->state);
		int64_t began = atomic_load(&slot->request_began_ms);

		if (atomic_load(&slot->pid) == 0 || atomic_load(&slot->role) != ROLE_WORKER)
			continue;
		if (state == WORKER_IDLE || state == WORKER_WAITING || (state == WORKER_BUSY && now - began < BUSY_MS))
			return false;
	}
	return true;
}

void scoreboard_clear(struct scoreboard *board, size_t slot)
{
	struct worker_slot *place = &board->slots[slot];

	atomic_store(&place->pid, 0);
	atomic_store(&place->role, (int)ROLE_WORKER);
	atomic_store(&place->is_connected, false);
	atomic_store(&place->has_permit, false);
	atomic_store(&place->wants_recycling, false);
	atomic_store(&place->state, (int)WORKER_NONE);
	atomic_store(&place->request_began_ms, 0);
	atomic_store(&place->requests, 0);
}

bool scoreboard_is_another_connected(const struct scoreboard *board, size_t slot)
{
	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		if (i != slot && atomic_load_explicit(&board->slots[i].is_connected, memory_order_relaxed))
			return true;
	}
	return false;
}

bool scoreboard_is_another_answered(const struct scoreboard *board, size_t slot, int64_t late_ms)
{
	int64_t now = clock_monotonic_ms();

	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		const struct worker_slot *other = &board->slots[i];
		int state = atomic_load(&other->state);

		if (i == slot || !atomic_load(&other->is_connected))
			continue;
		if (state == WORKER_IDLE ||
		    (state == WORKER_WAITING && now - atomic_load(&other->request_began_ms) < late_ms))
			return true;
	}
	return false;
}

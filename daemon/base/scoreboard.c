#include "base/scoreboard.h"

#include "base/clock.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

/* A request that is over sooner keeps nobody waiting for long. */
#define BUSY_MS 100
/* A turn that is over sooner is worth waiting for: a round trip to a database on this host, and the answers. */
#define TURN_US 2000

const char *scoreboard_state_name(enum worker_state state)
{
	static const char *const names[WORKER_STATE_COUNT] = {
		[WORKER_NONE] = "none", [WORKER_STARTING] = "starting", [WORKER_IDLE] = "idle",
		[WORKER_BUSY] = "busy", [WORKER_STOPPING] = "stopping",
	};

	return names[state];
}

static size_t size_of(size_t hashing_place_count)
{
	return sizeof(struct scoreboard) + hashing_place_count * sizeof(_Atomic pid_t);
}

/* Pages that nobody writes to take up no memory, so there is room for as many workers as there can be. */
struct scoreboard *scoreboard_new(size_t hashing_place_count)
{
	struct scoreboard *board =
		mmap(NULL, size_of(hashing_place_count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (board == MAP_FAILED)
		return NULL;
	board->hashing_place_count = hashing_place_count;
	board->started_ms = clock_monotonic_ms();
	board->started_us = clock_wall_us();
	board->master = getpid();
	atomic_store(&board->live_sessions, -1);
	board->hashing_event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (board->hashing_event < 0) {
		(void)munmap(board, size_of(hashing_place_count));
		return NULL;
	}
	return board;
}

void scoreboard_free(struct scoreboard *board)
{
	close(board->hashing_event);
	(void)munmap(board, size_of(board->hashing_place_count));
}

bool scoreboard_are_all_busy(struct scoreboard *board)
{
	int64_t now = clock_monotonic_ms();

	for (size_t i = 0; i < SCOREBOARD_SLOTS; i++) {
		const struct worker_slot *slot = &board->slots[i];
		int state = atomic_load(&slot->state);
		int64_t began = atomic_load(&slot->request_began_ms);

		if (atomic_load(&slot->pid) == 0 || atomic_load(&slot->is_attendant))
			continue;
		if (state == WORKER_IDLE || (state == WORKER_BUSY && now - began < BUSY_MS))
			return false;
	}
	return true;
}

void scoreboard_clear(struct scoreboard *board, size_t slot)
{
	struct worker_slot *place = &board->slots[slot];

	atomic_store(&place->pid, 0);
	atomic_store(&place->is_attendant, false);
	atomic_store(&place->state, (int)WORKER_NONE);
	atomic_store(&place->request_began_ms, 0);
	atomic_store(&place->requests, 0);
}

int64_t scoreboard_begin_turn(struct scoreboard *board)
{
	int64_t now = clock_monotonic_us();

	atomic_store_explicit(&board->turn_since_us, now, memory_order_relaxed);
	return now;
}

void scoreboard_end_turn(struct scoreboard *board, int64_t since_us)
{
	(void)atomic_compare_exchange_strong_explicit(&board->turn_since_us, &since_us, 0, memory_order_relaxed,
	                                              memory_order_relaxed);
}

bool scoreboard_is_turn_under_way(const struct scoreboard *board)
{
	int64_t since_us = atomic_load_explicit(&board->turn_since_us, memory_order_relaxed);

	return since_us != 0 && clock_monotonic_us() - since_us < TURN_US;
}

bool scoreboard_take_hashing_place(struct scoreboard *board, pid_t pid)
{
	for (size_t i = 0; i < board->hashing_place_count; i++) {
		pid_t nobody = 0;

		if (atomic_compare_exchange_strong(&board->hashing_holders[i], &nobody, pid))
			return true;
	}
	return false;
}

void scoreboard_free_hashing_places(struct scoreboard *board, pid_t pid)
{
	const uint64_t one = 1;

	for (size_t i = 0; i < board->hashing_place_count; i++) {
		pid_t holder = pid;

		/* A full counter wakes just as well, so the result of write() does not matter. */
		if (atomic_compare_exchange_strong(&board->hashing_holders[i], &holder, 0) &&
		    write(board->hashing_event, &one, sizeof one) < 0)
			continue;
	}
}

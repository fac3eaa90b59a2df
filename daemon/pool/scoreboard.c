#include "pool/scoreboard.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

int scoreboard_init(struct scoreboard *board, size_t worker_count, size_t hashing_place_count)
{
	size_t slots_size = worker_count * sizeof board->workers[0];
	size_t size = slots_size + hashing_place_count * sizeof board->hashing_holders[0];
	char *memory;

	board->hashing_event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (board->hashing_event < 0)
		return -1;
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		close(board->hashing_event);
		return -1;
	}
	board->worker_count = worker_count;
	board->hashing_place_count = hashing_place_count;
	board->workers = (struct worker_slot *)memory;
	board->hashing_holders = (_Atomic pid_t *)(memory + slots_size);
	return 0;
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

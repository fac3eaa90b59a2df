/* The memory that the daemon's processes share. */
#include "base/scoreboard.h"

#include "base/clock.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

/* Pages that are never written to take up no memory, so there is room for as many workers as there can be. */
struct scoreboard *scoreboard_new(void)
{
	struct scoreboard *board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (board == MAP_FAILED)
		return NULL;
	board->master.started_ms = clock_monotonic_ms();
	board->master.started_us = clock_wall_us();
	board->master.pid = getpid();
	rates_init(&board->login_rates);
	hash_gauges_reset(&board->hashing);
	live_count_init(&board->live);
	return board;
}

void scoreboard_free(struct scoreboard *board)
{
	(void)munmap(board, sizeof *board);
}

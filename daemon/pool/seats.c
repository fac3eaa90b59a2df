#include "pool/seats.h"

#include "base/log.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PROCESSORS_PER_SEAT 2

size_t seats_wanted(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	return processors > PROCESSORS_PER_SEAT ? (size_t)processors / PROCESSORS_PER_SEAT : 1;
}

int seats_open(size_t count)
{
	return eventfd((unsigned int)count, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
}

bool seats_take(int seats)
{
	uint64_t one;

	return read(seats, &one, sizeof one) == (ssize_t)sizeof one;
}

static void add(int seats, uint64_t count)
{
	if (count > 0 && write(seats, &count, sizeof count) < 0)
		log_error("seat_lost", LOG_STR("problem", strerror(errno)));
}

void seats_give_back(int seats)
{
	add(seats, 1);
}

void seats_audit(int seats, size_t count, size_t taken)
{
	size_t left = 0;

	while (left < count && seats_take(seats))
		left++;
	add(seats, taken < count ? count - taken : 0);
}

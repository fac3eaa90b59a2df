/* Accept permits: a semaphore that the workers share. */
#include "pool/accept_permits.h"

#include "base/log.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PROCESSORS_PER_PERMIT 2

size_t accept_permits_default(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	return processors > PROCESSORS_PER_PERMIT ? (size_t)processors / PROCESSORS_PER_PERMIT : 1;
}

int accept_permits_open(size_t count)
{
	return eventfd((unsigned int)count, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
}

bool accept_permits_take(int accept_permits)
{
	uint64_t one;

	return read(accept_permits, &one, sizeof one) == (ssize_t)sizeof one;
}

static void add(int accept_permits, uint64_t count)
{
	if (count > 0 && write(accept_permits, &count, sizeof count) < 0)
		log_error("accept_permit_lost", LOG_STR("problem", strerror(errno)));
}

void accept_permits_release(int accept_permits)
{
	add(accept_permits, 1);
}

void accept_permits_audit(int accept_permits, size_t count, size_t taken)
{
	size_t left = 0;

	while (left < count && accept_permits_take(accept_permits))
		left++;
	add(accept_permits, taken < count ? count - taken : 0);
}

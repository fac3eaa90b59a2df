/* The signals of a process of the pool, as a descriptor. */
#include "pool/signals_fd.h"

#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

int signals_fd_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGUSR1);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

bool signals_fd_read(int fd)
{
	struct signalfd_siginfo info;
	bool is_to_stop = false;

	while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
		if (info.ssi_signo != SIGUSR1)
			is_to_stop = true;
		else if (log_reopen() != 0)
			log_error("log_not_reopened", LOG_STR("problem", strerror(errno)));
	}
	return is_to_stop;
}

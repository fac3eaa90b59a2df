/* Handing the sockets to a new binary's master. */
#include "pool/successor.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/* How long the new binary may take to read its configuration and to bring its workers up. */
#define COME_UP_MS 60000
/* How long the new master waits for the old one to close its end. */
#define REPORT_MS 5000

/* What is sent over the descriptor between both masters: one byte, and with a failure its errno. */
enum { REPORT_UP = 'u', REPORT_FAILED = 'e' };
struct message {
	char report;
	unsigned char error;
};

/* ---- In the old master -------------------------------------------------------------------------------------- */

/* The first descriptor behind those that sockets may be put on. */
#define FIRST_FREE_FD (SD_LISTEN_FDS_START + LISTENERS_MAX + 1)

/* Put the descriptors where sd_listen_fds(3) has them, each first out of the way of the others. */
static int place_descriptors(const struct listeners *listeners, int fd)
{
	int count = (int)listeners->count;
	int moved[LISTENERS_MAX + 1];

	for (int i = 0; i <= count; i++) {
		int from = i < count ? listeners->all[i].fd : fd;

		moved[i] = fcntl(from, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
		if (moved[i] < 0)
			return -1;
	}
	for (int i = 0; i <= count; i++) {
		if (dup2(moved[i], SD_LISTEN_FDS_START + i) < 0)
			return -1;
	}
	/* musl has no function of that name. */
	return (int)syscall(SYS_close_range, (unsigned int)(SD_LISTEN_FDS_START + count + 1), ~0U, CLOSE_RANGE_CLOEXEC);
}

static int set_environment(const struct listeners *listeners)
{
	char count[16], pid[16], upgrade[64];
	uint64_t own = 0;

	for (size_t i = 0; i < listeners->count; i++) {
		if (listeners->all[i].own_path != NULL)
			own |= UINT64_C(1) << i;
	}
	(void)snprintf(count, sizeof count, "%zu", listeners->count);
	(void)snprintf(pid, sizeof pid, "%ld", (long)getpid());
	(void)snprintf(upgrade, sizeof upgrade, "%zu:%" PRIu64, (size_t)SD_LISTEN_FDS_START + listeners->count, own);
	/* The watchdog's interval stays; the process that it is for changes. */
	(void)unsetenv("WATCHDOG_PID");
	return setenv("LISTEN_FDS", count, 1) != 0 || setenv("LISTEN_PID", pid, 1) != 0 ||
	                       setenv(SUCCESSOR_VARIABLE, upgrade, 1) != 0
	               ? -1
	               : 0;
}

/* The log's descriptor may be where the sockets have to be: a failure is reported to the old master, which logs it. */
static void become(const struct listeners *listeners, const char *program, char *const argv[], int fd)
{
	int report_fd = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	struct message message;
	sigset_t none;

	sigemptyset(&none);
	if (report_fd >= 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0 && place_descriptors(listeners, fd) == 0 &&
	    set_environment(listeners) == 0)
		(void)execv(program, argv);
	message = (struct message){.report = REPORT_FAILED, .error = (unsigned char)errno};
	_exit(send(report_fd, &message, sizeof message, MSG_NOSIGNAL) == (ssize_t)sizeof message ? 127 : 126);
}

int successor_start(struct successor *successor, const struct listeners *listeners, const char *program,
                    char *const argv[])
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return -1;
	/* Not as workers are forked: it has to outlive us. */
	pid = fork();
	if (pid == 0)
		become(listeners, program, argv, pair[1]);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return -1;
	}
	*successor = (struct successor){.pid = pid, .fd = pair[0], .give_up_at = clock_monotonic_ms() + COME_UP_MS};
	return 0;
}

bool successor_is_up(const struct successor *successor)
{
	char report;

	/* Only peeked at: another message is for successor_error(). */
	return recv(successor->fd, &report, 1, MSG_DONTWAIT | MSG_PEEK) == 1 && report == REPORT_UP;
}

int successor_error(const struct successor *successor)
{
	struct message message;

	return recv(successor->fd, &message, sizeof message, MSG_DONTWAIT) == (ssize_t)sizeof message &&
	                       message.report == REPORT_FAILED
	               ? message.error
	               : 0;
}

void successor_kill(const struct successor *successor)
{
	(void)kill(successor->pid, SIGKILL);
}

void successor_forget(struct successor *successor)
{
	close(successor->fd);
	*successor = (struct successor){.pid = 0, .fd = -1};
}

/* ---- In the new master -------------------------------------------------------------------------------------- */

int successor_inherited(uint64_t *own_sockets)
{
	const char *value = getenv(SUCCESSOR_VARIABLE);
	int fd, end = 0;

	*own_sockets = 0;
	if (value == NULL || sscanf(value, "%d:%" SCNu64 "%n", &fd, own_sockets, &end) != 2 || value[end] != '\0' ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return -1;
	(void)unsetenv(SUCCESSOR_VARIABLE);
	return fd;
}

pid_t successor_predecessor(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof peer;

	/* Of both ends, whoever has made them. */
	return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 ? peer.pid : 0;
}

void successor_report_up(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	const char report = REPORT_UP;

	/* The old master closes its end when it has notified the service manager; so does one that has died. */
	if (send(fd, &report, 1, MSG_NOSIGNAL) == 1)
		(void)poll(&poll_fd, 1, REPORT_MS);
	close(fd);
}

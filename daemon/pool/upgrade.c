#include "pool/upgrade.h"

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
/* How long the new master waits for the old one's word. */
#define WORD_MS 5000

/* What comes over the descriptor between both masters: one word, and the failure's errno. */
enum { WORD_UP = 'u', WORD_FAILED = 'e' };
struct message {
	char word;
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
	                       setenv(UPGRADE_VARIABLE, upgrade, 1) != 0
	               ? -1
	               : 0;
}

/* A descriptor of the log may be where the sockets have to be: the old master is told what is wrong, and tells it. */
static void become(const struct listeners *listeners, const char *program, char *const argv[], int fd)
{
	int teller = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
	struct message message;
	sigset_t none;

	sigemptyset(&none);
	if (teller >= 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0 && place_descriptors(listeners, fd) == 0 &&
	    set_environment(listeners) == 0)
		(void)execv(program, argv);
	message = (struct message){.word = WORD_FAILED, .error = (unsigned char)errno};
	_exit(send(teller, &message, sizeof message, MSG_NOSIGNAL) == (ssize_t)sizeof message ? 127 : 126);
}

int upgrade_start(struct upgrade *upgrade, const struct listeners *listeners, const char *program, char *const argv[])
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return -1;
	/* Not as workers are forked: it is to outlive us. */
	pid = fork();
	if (pid == 0)
		become(listeners, program, argv, pair[1]);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return -1;
	}
	*upgrade = (struct upgrade){.pid = pid, .fd = pair[0], .give_up_at = clock_monotonic_ms() + COME_UP_MS};
	return 0;
}

bool upgrade_is_up(const struct upgrade *upgrade)
{
	char word;

	/* Only looked at: what comes behind another one is for upgrade_error(). */
	return recv(upgrade->fd, &word, 1, MSG_DONTWAIT | MSG_PEEK) == 1 && word == WORD_UP;
}

int upgrade_error(const struct upgrade *upgrade)
{
	struct message message;

	return recv(upgrade->fd, &message, sizeof message, MSG_DONTWAIT) == (ssize_t)sizeof message &&
	                       message.word == WORD_FAILED
	               ? message.error
	               : 0;
}

void upgrade_cancel(const struct upgrade *upgrade)
{
	(void)kill(upgrade->pid, SIGKILL);
}

void upgrade_forget(struct upgrade *upgrade)
{
	close(upgrade->fd);
	*upgrade = (struct upgrade){.pid = 0, .fd = -1};
}

/* ---- In the new master -------------------------------------------------------------------------------------- */

int upgrade_inherited(uint64_t *own_sockets)
{
	const char *value = getenv(UPGRADE_VARIABLE);
	int fd, end = 0;

	*own_sockets = 0;
	if (value == NULL || sscanf(value, "%d:%" SCNu64 "%n", &fd, own_sockets, &end) != 2 || value[end] != '\0' ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return -1;
	(void)unsetenv(UPGRADE_VARIABLE);
	return fd;
}

void upgrade_tell_up(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	const char word = WORD_UP;

	/* The old master closes its end when it has told; so does one that has died. */
	if (send(fd, &word, 1, MSG_NOSIGNAL) == 1)
		(void)poll(&poll_fd, 1, WORD_MS);
	close(fd);
}

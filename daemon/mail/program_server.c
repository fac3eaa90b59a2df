/* The process that starts sendmail programs: see program.h. */
#include "mail/program_order.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* A program that was told to end has this long for it. */
#define KILL_MS 1000

/* What the program says on standard error, as much as there is room for; the rest is read and dropped. */
static void read_complaints(int fd, int64_t until_ms, struct program_answer *answer)
{
	size_t used = 0;

	for (;;) {
		struct pollfd waiting = {.fd = fd, .events = POLLIN};
		char rest[256];
		ssize_t got;

		if (poll(&waiting, 1, (int)clock_until_ms(until_ms)) <= 0)
			return;
		got = used < sizeof answer->complaint - 1
		              ? read(fd, answer->complaint + used, sizeof answer->complaint - 1 - used)
		              : read(fd, rest, sizeof rest);
		if (got <= 0)
			return;
		if (used < sizeof answer->complaint - 1)
			used += (size_t)got;
	}
}

static void execute(const char *path, const struct program_order *order, int message, int complaints)
{
	char from[EMAIL_SIZE], to[EMAIL_SIZE];
	char sendmail[] = "sendmail", ignore_dots[] = "-i", sender[] = "-f", end[] = "--";
	char *const arguments[] = {sendmail, ignore_dots, sender, from, end, to, NULL};

	memcpy(from, order->from, sizeof from);
	memcpy(to, order->to, sizeof to);
	/* A group of its own, so that what it starts is ended with it. */
	if (setpgid(0, 0) == 0 && dup2(message, STDIN_FILENO) >= 0 && dup2(complaints, STDOUT_FILENO) >= 0 &&
	    dup2(complaints, STDERR_FILENO) >= 0)
		(void)execv(path, arguments);
	(void)dprintf(complaints, "%s: %s\n", path, strerror(errno));
	_exit(PROGRAM_NOT_STARTED);
}

/* Its status, when it has ended; past the deadline it is ended. */
static void wait_for(pid_t pid, int64_t until_ms, struct program_answer *answer)
{
	int64_t now = clock_monotonic_ms();
	int status = 0;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		now = clock_monotonic_ms();
		if (now >= until_ms) {
			answer->is_overdue = true;
			(void)kill(-pid, now < until_ms + KILL_MS ? SIGTERM : SIGKILL);
		}
		clock_sleep_us(10000);
	}
	answer->status = WIFEXITED(status) ? WEXITSTATUS(status) : PROGRAM_KILLED;
}

/* One order, in a process of its own. */
static void carry_out(const char *path, const struct program_order *order, int message, int result)
{
	struct program_answer answer = {.status = PROGRAM_NOT_STARTED};
	int64_t until_ms = clock_monotonic_ms() + order->timeout_ms;
	int complaints[2];
	pid_t pid;

	if (pipe2(complaints, O_CLOEXEC) != 0)
		_exit(1);
	pid = fork();
	if (pid == 0)
		execute(path, order, message, complaints[1]);
	(void)close(complaints[1]);
	(void)close(message);
	if (pid > 0) {
		read_complaints(complaints[0], until_ms, &answer);
		wait_for(pid, until_ms, &answer);
	}
	_exit(write(result, &answer, sizeof answer) == (ssize_t)sizeof answer ? 0 : 1);
}

/* False: there are no more. */
static bool take_order(int orders, struct program_order *order, int fds[2])
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = {.room = ""};
	struct iovec part = {.iov_base = order, .iov_len = sizeof *order};
	struct msghdr message = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
	const struct cmsghdr *header;

	if (recvmsg(orders, &message, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof *order)
		return false;
	header = CMSG_FIRSTHDR(&message);
	if (header == NULL || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(2 * sizeof(int)))
		return false;
	memcpy(fds, CMSG_DATA(header), 2 * sizeof(int));
	order->from[sizeof order->from - 1] = order->to[sizeof order->to - 1] = '\0';
	return true;
}

static void serve(const char *path, int orders)
{
	struct program_order order;
	int fds[2];

	/* Nobody waits for those that carry the orders out. */
	(void)signal(SIGCHLD, SIG_IGN);
	while (take_order(orders, &order, fds)) {
		if (fork() == 0) {
			(void)signal(SIGCHLD, SIG_DFL);
			carry_out(path, &order, fds[0], fds[1]);
		}
		(void)close(fds[0]);
		(void)close(fds[1]);
	}
	_exit(0);
}

int mail_program_serve(const char *path, pid_t *pid)
{
	pid_t parent = getpid();
	int sockets[2];
	sigset_t none;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
		return -1;
	*pid = fork();
	if (*pid == 0) {
		sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		(void)close(sockets[0]);
		(void)prctl(PR_SET_NAME, "ones-mailer");
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
			_exit(1);
		serve(path, sockets[1]);
	}
	(void)close(sockets[1]);
	if (*pid < 0) {
		(void)close(sockets[0]);
		return -1;
	}
	return sockets[0];
}

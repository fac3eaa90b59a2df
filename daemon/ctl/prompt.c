/*
 * New passwords, from a terminal or from standard input.
 *
 * readpassphrase(3) of libbsd was tried in place of ask_hidden() and does not do: without a controlling terminal, as in
 * a container, it leaves the echo on, so that the password is shown; it gives the same for the end of the input as for
 * an empty line; and it takes what stands before a NUL byte for the whole.
 */
#include "ctl/prompt.h"

#include "ctl/ctl.h"
#include "ctl/text.h"
#include "session/users.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

enum line { LINE_READ, LINE_TOO_LONG, LINE_NONE, LINE_INTERRUPTED, LINE_FAILED };

/* One line without its newline. `signals` (-1: none) interrupts as soon as it is readable. */
static enum line read_password_line(int fd, int signals, char password[PASSWORD_MAX + 1], size_t *length)
{
	*length = 0;
	for (;;) {
		struct pollfd watched[] = {{.fd = fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
		ssize_t got;
		char byte;

		if (poll(watched, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return LINE_FAILED;
		}
		if (watched[1].revents != 0)
			return LINE_INTERRUPTED;
		got = read(fd, &byte, 1);
		if (got < 0 && errno != EINTR)
			return LINE_FAILED;
		if (got < 0)
			continue;
		if (got == 0 || byte == '\n') {
			password[*length] = '\0';
			return got == 0 && *length == 0 ? LINE_NONE : LINE_READ;
		}
		if (*length == PASSWORD_MAX)
			return LINE_TOO_LONG;
		password[(*length)++] = byte;
	}
}

static void write_text(int fd, const char *text)
{
	/* A terminal that takes no prompt gives no password either: that is reported when it is read. */
	if (write(fd, text, strlen(text)) < 0)
		return;
}

/*
 * Ask once, with the echo off. Signals wait meanwhile: the terminal is as it was before one of them ends or stops the
 * program; when it goes on, the question is asked again.
 */
static enum line ask_hidden(int tty, const char *question, char password[PASSWORD_MAX + 1], size_t *length)
{
	static const int deferred[] = {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGTSTP, SIGPIPE, SIGALRM};
	enum line line = LINE_FAILED;
	struct termios shown, hidden;
	sigset_t set, former;

	*length = 0;
	(void)sigemptyset(&set);
	for (size_t i = 0; i < sizeof deferred / sizeof deferred[0]; i++)
		(void)sigaddset(&set, deferred[i]);
	do {
		int signals;

		if (sigprocmask(SIG_BLOCK, &set, &former) != 0)
			return LINE_FAILED;
		signals = signalfd(-1, &set, SFD_CLOEXEC);
		if (signals >= 0 && tcgetattr(tty, &shown) == 0) {
			hidden = shown;
			hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
			line = LINE_FAILED;
			if (tcsetattr(tty, TCSAFLUSH, &hidden) == 0) {
				write_text(tty, question);
				line = read_password_line(tty, signals, password, length);
				(void)tcsetattr(tty, TCSAFLUSH, &shown);
				write_text(tty, "\n");
			}
		}
		if (signals >= 0)
			(void)close(signals);
		(void)sigprocmask(SIG_SETMASK, &former, NULL);
	} while (line == LINE_INTERRUPTED);
	return line;
}

/* Whether what was read is a password that can be used. Returns 0, or -1 when it has been said why not. */
static int check_password(enum line line, const char *password, size_t length)
{
	const char *problem;

	switch (line) {
	case LINE_READ: break;
	case LINE_TOO_LONG: (void)fail("the password is longer than %d bytes", PASSWORD_MAX); return -1;
	case LINE_NONE: (void)fail("no password was given"); return -1;
	default: (void)fail("cannot read the password: %s", strerror(errno)); return -1;
	}
	problem = memchr(password, '\0', length) != NULL ? "has a NUL byte in it" : password_problem(password);
	if (problem != NULL)
		(void)fail("the password %s", problem);
	return problem == NULL ? 0 : -1;
}

static int ask_twice(int tty, const char *username, char password[PASSWORD_MAX + 1])
{
	char question[USERNAME_MAX * 4 + 16], again[PASSWORD_MAX + 1];
	enum line line;
	size_t first, length;
	bool differ;
	char *clean;
	int result;

	(void)snprintf(question, sizeof question, "Password for %s: ", username);
	/* Another program may have stored the name. */
	clean = text_clean(NULL, question);
	line = ask_hidden(tty, clean != NULL ? clean : "Password: ", password, &first);
	talloc_free(clean);
	if (check_password(line, password, first) != 0)
		return -1;
	line = ask_hidden(tty, "The same once more: ", again, &length);
	/* That they differ comes before what is wrong with the second one, which the first was checked for already. */
	differ = line == LINE_TOO_LONG ||
	         (line == LINE_READ && (length != first || memcmp(password, again, first) != 0));
	if (differ)
		(void)fail("the two passwords differ");
	result = differ ? -1 : check_password(line, again, length);
	sodium_memzero(again, sizeof again);
	return result;
}

int prompt_new_password(const char *username, char password[PASSWORD_MAX + 1])
{
	size_t length;
	int result, tty;

	if (!isatty(STDIN_FILENO)) {
		enum line line = read_password_line(STDIN_FILENO, -1, password, &length);

		return check_password(line, password, length);
	}
	tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	/* Without a controlling terminal, as in some containers, the one on standard input will do. */
	if (tty < 0)
		tty = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	if (tty < 0) {
		(void)fail("cannot open the terminal: %s", strerror(errno));
		return -1;
	}
	result = ask_twice(tty, username, password);
	(void)close(tty);
	return result;
}

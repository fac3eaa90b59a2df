/* Mail by a sendmail program. */
#include "mail/program.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "mail/program_order.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

/* What the one that starts programs takes to end one that is overdue. */
#define GRACE_MS INT64_C(5000)

/* A mail that is being given to a program. */
struct handing {
	bool is_used;
	struct mail_envelope envelope;
	size_t given;
	int message; /* to write to; -1: it was given whole, or nobody reads it */
	int answer;  /* to read from */
	int64_t until_ms;
};

struct mail_program {
	const struct mail_setup *setup;
	struct handing all[MAIL_AT_ONCE];
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static int destroy(struct mail_program *program)
{
	for (size_t i = 0; i < MAIL_AT_ONCE; i++) {
		if (program->all[i].is_used) {
			close_fd(&program->all[i].message);
			close_fd(&program->all[i].answer);
		}
	}
	return 0;
}

struct mail_program *mail_program_new(TALLOC_CTX *ctx, const struct mail_setup *setup)
{
	struct mail_program *program = talloc_zero(ctx, struct mail_program);

	if (program == NULL)
		return NULL;
	talloc_set_destructor(program, destroy);
	program->setup = setup;
	/* A program that ends before it has read all is one that fails. */
	(void)signal(SIGPIPE, SIG_IGN);
	return program;
}

static bool order(int orders, const struct program_order *what, int message, int answer)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = {.room = ""};
	struct iovec part = {.iov_base = (void *)(uintptr_t)what, .iov_len = sizeof *what};
	const struct msghdr packet = {
		.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
	const int fds[2] = {message, answer};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof fds);
	memcpy(CMSG_DATA(&control.header), fds, sizeof fds);
	return sendmsg(orders, &packet, MSG_NOSIGNAL) == (ssize_t)sizeof *what;
}

/* Of the pipes our ends stay open. */
static bool hand_over(const struct mail_setup *setup, struct handing *handing)
{
	struct program_order what = {.timeout_ms = setup->timeout_ms};
	int message[2], answer[2];
	bool is_well;

	(void)snprintf(what.from, sizeof what.from, "%s", setup->from.address);
	(void)snprintf(what.to, sizeof what.to, "%s", handing->envelope.to);
	if (pipe2(message, O_CLOEXEC) != 0)
		return false;
	if (pipe2(answer, O_CLOEXEC) != 0) {
		(void)close(message[0]);
		(void)close(message[1]);
		return false;
	}
	is_well = fcntl(message[1], F_SETFL, O_NONBLOCK) == 0 && fcntl(answer[0], F_SETFL, O_NONBLOCK) == 0 &&
	          order(setup->program, &what, message[0], answer[1]);
	(void)close(message[0]);
	(void)close(answer[1]);
	handing->message = message[1];
	handing->answer = answer[0];
	if (!is_well) {
		close_fd(&handing->message);
		close_fd(&handing->answer);
	}
	return is_well;
}

bool mail_program_begin(struct mail_program *program, const struct mail_envelope *envelope)
{
	for (size_t i = 0; i < MAIL_AT_ONCE; i++) {
		struct handing *handing = &program->all[i];

		if (handing->is_used)
			continue;
		*handing = (struct handing){
			.envelope = *envelope,
			.message = -1,
			.answer = -1,
			.until_ms = clock_monotonic_ms() + program->setup->timeout_ms + GRACE_MS,
		};
		handing->is_used = hand_over(program->setup, handing);
		return handing->is_used;
	}
	return false;
}

/* As much as there is room for in the pipe. */
static void give(struct handing *handing)
{
	const struct mail_envelope *envelope = &handing->envelope;
	ssize_t written = write(handing->message, envelope->message + handing->given, envelope->size - handing->given);

	if (written > 0)
		handing->given += (size_t)written;
	if ((written < 0 && errno != EAGAIN) || handing->given == envelope->size)
		close_fd(&handing->message);
}

/* What its exit status says; the programs of the field do not agree on all of them, and what is doubtful is tried
 * again. */
static enum mail_outcome outcome_of(const struct program_answer *answer, bool is_whole)
{
	if (answer->is_overdue || answer->status == PROGRAM_KILLED)
		return is_whole ? MAIL_OUTCOME_UNKNOWN : MAIL_OUTCOME_DEFERRED;
	switch (answer->status) {
	case EX_OK: return MAIL_OUTCOME_SENT;
	case EX_NOUSER:
	case EX_DATAERR: return MAIL_OUTCOME_REFUSED;
	case EX_TEMPFAIL:
	case EX_UNAVAILABLE:
	case EX_NOHOST: return MAIL_OUTCOME_DEFERRED;
	default: return MAIL_OUTCOME_SERVER;
	}
}

static void judge(const struct program_answer *answer, bool is_whole, struct mail_result *result)
{
	char raw[sizeof answer->complaint], clean[sizeof answer->complaint];

	*result = (struct mail_result){.outcome = outcome_of(answer, is_whole)};
	if (result->outcome == MAIL_OUTCOME_SENT)
		return;
	(void)snprintf(raw, sizeof raw, "%s", answer->complaint);
	raw[strcspn(raw, "\r\n")] = '\0';
	utf8_clean(raw, clean, sizeof clean);
	if (answer->is_overdue)
		(void)snprintf(result->problem, sizeof result->problem,
		               "the program has not ended within mail.timeout");
	else
		(void)snprintf(result->problem, sizeof result->problem, "exit status %d: %s", answer->status, clean);
}

/* Whether it has ended. */
static bool end(struct handing *handing, void **ended, struct mail_result *result)
{
	struct program_answer answer;
	ssize_t got = read(handing->answer, &answer, sizeof answer);

	answer.complaint[sizeof answer.complaint - 1] = '\0';
	if (got == (ssize_t)sizeof answer)
		judge(&answer, handing->given == handing->envelope.size, result);
	else
		*result = (struct mail_result){.outcome = MAIL_OUTCOME_UNKNOWN,
		                               .problem = "nothing is known of the program that was to send it"};
	close_fd(&handing->message);
	close_fd(&handing->answer);
	handing->is_used = false;
	*ended = handing->envelope.context;
	return true;
}

bool mail_program_step(struct mail_program *program, int wait_ms, void **ended, struct mail_result *result)
{
	struct pollfd fds[2 * MAIL_AT_ONCE];

	for (size_t i = 0; i < MAIL_AT_ONCE; i++) {
		const struct handing *handing = &program->all[i];

		/* Those that are negative are left out. */
		fds[2 * i] = (struct pollfd){.fd = handing->is_used ? handing->message : -1, .events = POLLOUT};
		fds[2 * i + 1] = (struct pollfd){.fd = handing->is_used ? handing->answer : -1, .events = POLLIN};
	}
	if (poll(fds, sizeof fds / sizeof fds[0], wait_ms) < 0)
		return false;
	for (size_t i = 0; i < MAIL_AT_ONCE; i++) {
		struct handing *handing = &program->all[i];

		if (fds[2 * i].revents != 0)
			give(handing);
		if (fds[2 * i + 1].revents != 0 || (handing->is_used && clock_until_ms(handing->until_ms) == 0))
			return end(handing, ended, result);
	}
	return false;
}

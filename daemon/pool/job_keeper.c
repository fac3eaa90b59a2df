/* A child that keeps the claim of a run, for onesessiond --run-job. */
#include "pool/job_keeper.h"

#include "api/app.h"
#include "base/log.h"
#include "pool/spawn.h"
#include "session/db.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* So many times a claim is renewed before it could run out. */
#define RENEWALS 3

/* For handlers of signals, which are given nothing else. */
static struct {
	volatile pid_t pid; /* 0: there is none */
	int fd;
} keeper;

/* ---- The child ----------------------------------------------------------------------------------------------- */

/* It outlives its parent, and what a terminal sends to that: its end is seen by the socket. */
static void stay(void)
{
	(void)prctl(PR_SET_PDEATHSIG, 0);
	(void)signal(SIGTERM, SIG_IGN);
	(void)setsid();
}

static int keep_until_end(const struct settings *settings, const struct job_run *run, int fd)
{
	struct db *db = app_new_job_database(NULL, settings, "onesessiond job", settings->database.statement_timeout);
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
	unsigned char result = JOB_RESULT_CRASHED;
	int64_t wait_ms = 0;
	int found;

	if (db == NULL)
		return EXIT_FAILURE;
	(void)db_connect(db);
	while ((found = poll(&poll_fd, 1, (int)(run->lease_ms / RENEWALS))) == 0 || (found < 0 && errno == EINTR)) {
		/* What is asked of a database that was away connects by itself no more. */
		if (db_connect(db) == DB_OK)
			(void)job_keep(db, run);
	}
	/* Nothing to be read: it was killed, or has crashed. */
	(void)recv(fd, &result, sizeof result, 0);
	(void)db_connect(db);
	return job_finish(db, run, job_result_name((enum job_result)result), &wait_ms) == DB_OK ? EXIT_SUCCESS
	                                                                                        : EXIT_FAILURE;
}

/* ---- The process of the run ---------------------------------------------------------------------------------- */

void job_keeper_end(enum job_result result)
{
	const unsigned char told = (unsigned char)result;
	pid_t pid = keeper.pid;

	if (pid == 0)
		return;
	keeper.pid = 0;
	(void)send(keeper.fd, &told, sizeof told, MSG_NOSIGNAL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* A second signal ends it at once. */
static void on_stop(int number)
{
	job_keeper_end(JOB_RESULT_STOPPED);
	(void)raise(number);
}

static int watch_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct sigaction action = {.sa_handler = on_stop, .sa_flags = (int)SA_RESETHAND | SA_NODEFER};

	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		struct sigaction former;

		if (sigaction(numbers[i], NULL, &former) != 0)
			return -1;
		/* As nohup(1) has it. */
		if (former.sa_handler != SIG_IGN && sigaction(numbers[i], &action, NULL) != 0)
			return -1;
	}
	return 0;
}

int job_keeper_start(const struct settings *settings, const struct job_run *run)
{
	int ends[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
		log_error("fork_failed", LOG_STR("problem", strerror(errno)));
		return -1;
	}
	pid = spawn_helper("ones-keeper");
	if (pid == 0) {
		close(ends[0]);
		stay();
		_exit(keep_until_end(settings, run, ends[1]));
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return -1;
	}
	keeper.fd = ends[0];
	keeper.pid = pid;
	return watch_signals();
}

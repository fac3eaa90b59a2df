/* The loop of the process that runs jobs. */
#include "pool/jobs.h"

#include "api/folders.h"
#include "api/mail_job.h"
#include "api/services.h"
#include "api/webhook_job.h"
#include "base/clock.h"
#include "base/log.h"
#include "pool/crash.h"
#include "pool/job_runs.h"
#include "pool/sandbox.h"
#include "pool/signals_fd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * How long a name server that is silent is waited for. No request waits for this process, and what is forked while
 * another thread looks a name up might wait for a lock that nobody has any more.
 */
#define NAMES_MS 10000

struct jobs {
	struct job_runs runs;
	int signals;  /* signals_fd.h */
	int children; /* a signalfd(2) of SIGCHLD */
	pid_t mail_program;
	bool has_failed;
};

static int open_children_fd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* A restricted process cannot make another one that starts programs: the one that takes the place of this one has it.
 */
static void leave_to_successor(struct jobs *jobs)
{
	log_error("mailer_ended", LOG_STR("hint", "sendmail programs are started by a new one"));
	jobs->has_failed = true;
	job_runs_stop(&jobs->runs);
}

static void reap(struct jobs *jobs)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	/* One stands for several. */
	while (read(jobs->children, &info, sizeof info) == (ssize_t)sizeof info)
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == jobs->mail_program)
			leave_to_successor(jobs);
		else
			job_runs_reap(&jobs->runs, pid, status);
	}
}

static int run_until_stopped(struct jobs *jobs)
{
	struct pollfd fds[] = {{.fd = jobs->signals, .events = POLLIN}, {.fd = jobs->children, .events = POLLIN}};

	while (!job_runs_are_over(&jobs->runs)) {
		if (poll(fds, sizeof fds / sizeof fds[0], job_runs_wait_ms(&jobs->runs)) < 0 && errno != EINTR) {
			log_error("poll_failed", LOG_STR("problem", strerror(errno)));
			return 1;
		}
		if (signals_fd_read(jobs->signals))
			job_runs_stop(&jobs->runs);
		reap(jobs);
		job_runs_end_overdue(&jobs->runs);
		job_runs_start_due(&jobs->runs);
	}
	return jobs->has_failed ? 1 : 0;
}

static bool needs_database_soon(const struct ones_app *app)
{
	for (size_t i = 0; i < app->job_count; i++) {
		if (!app->jobs[i].is_own || app->jobs[i].ends_itself)
			return true;
	}
	return false;
}

/*
 * What libraries load late, at the first connection, is forbidden to those that are forked. For the purge alone, which
 * is due in minutes, no connection is made at the start: it can do without, as workers can that find no database.
 */
static void load_libraries(const struct ones_app *app)
{
	struct db *db = app_new_job_database(NULL, app->settings, "onesessiond jobs",
	                                     app->settings->database.statement_timeout);

	if (db != NULL)
		(void)db_connect(db);
	talloc_free(db);
}

/* Returns 0, or -1 with *problem. */
static int start_modules(const struct generation *generation, struct problem *problem)
{
	if (modules_load(generation->app, generation->modules, problem) != 0)
		return -1;
	if (services_prepare(generation->app, NAMES_MS, problem) != 0 ||
	    mail_job_prepare(generation->app, NAMES_MS, problem) != 0 ||
	    webhook_job_prepare(generation->app, NAMES_MS, problem) != 0 ||
	    modules_start(generation->app, MODULES_WITH_JOBS, problem) != 0)
		return -1;
	folders_open(generation->app);
	return 0;
}

/* Returns 0, or -1 with *problem. */
static int prepare(struct jobs *jobs, const struct jobs_setup *setup, struct problem *problem)
{
	struct ones_app *app = setup->generation->app;

	if (start_modules(setup->generation, problem) != 0)
		return -1;
	if (needs_database_soon(app))
		load_libraries(app);
	jobs->mail_program = app->mail_program_pid;
	jobs->signals = signals_fd_open();
	jobs->children = open_children_fd();
	if (jobs->signals < 0 || jobs->children < 0 || crash_install(app, setup->generation->modules) != 0 ||
	    sandbox_restrict(SANDBOX_CHILDREN | sandbox_files(app)) != 0)
		return problem_set_errno(problem);
	return job_runs_init(&jobs->runs, app, problem);
}

int jobs_run(const struct jobs_setup *setup)
{
	struct jobs jobs = {.signals = -1, .children = -1};
	struct problem problem = {0};
	int status;

	if (prepare(&jobs, setup, &problem) != 0) {
		log_error("jobs_failed", LOG_STR("problem", problem.text));
		talloc_free(setup->generation->app);
		return 1;
	}
	atomic_store(&setup->board->processes.slots[setup->slot].state, (int)WORKER_IDLE);
	status = run_until_stopped(&jobs);
	modules_stop(setup->generation->app);
	close(jobs.signals);
	close(jobs.children);
	talloc_free(setup->generation->app);
	return status;
}

int jobs_run_one(const struct generation *generation, const char *full_name)
{
	struct problem problem = {0};
	int status;

	if (start_modules(generation, &problem) != 0) {
		log_error("jobs_failed", LOG_STR("problem", problem.text));
		return 1;
	}
	generation->app->runs_one_job = true;
	status = job_task_run_now(generation->app, full_name);
	modules_stop(generation->app);
	return status;
}

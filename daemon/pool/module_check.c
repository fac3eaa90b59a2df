/* A helper process that loads modules and runs their setup. */
#include "pool/module_check.h"

#include "base/clock.h"
#include "base/log.h"
#include "modules/modules.h"
#include "pool/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long all of them may take. Workers do the same work before they serve. */
#define CHECK_MS 5000
/* How often the end of a helper is looked for whose pipe something else keeps open. */
#define LOOK_MS 50

/* In the helper. Numbers of routes that are never served are not to be claimed. */
static int check_all(const struct generation *generation, int fd)
{
	struct ones_app *app = generation->app;

	app->board = scoreboard_new();
	return app->board != NULL && modules_check(app, generation->modules, fd) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int module_check_start(struct module_check *check, const struct generation *generation)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) != 0) {
		log_error("fork_failed", LOG_STR("problem", strerror(errno)));
		return -1;
	}
	if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
		log_error("fork_failed", LOG_STR("problem", strerror(errno)));
		close(ends[0]);
		close(ends[1]);
		return -1;
	}
	*check = (struct module_check){.fd = ends[0],
	                               .give_up_at = clock_monotonic_ms() + CHECK_MS,
	                               .report = {.count = generation->modules->count}};
	check->pid = spawn_helper("ones-modules");
	if (check->pid == 0) {
		close(ends[0]);
		/* Not exit(3): what modules have for that is for workers. */
		_exit(check_all(generation, ends[1]));
	}
	close(ends[1]);
	if (check->pid > 0)
		return 0;
	/* It is signalled, and waited for, while this is not 0; and -1 would be every process. */
	check->pid = 0;
	close(ends[0]);
	return -1;
}

void module_check_step(struct module_check *check)
{
	report_read(&check->report, check->fd);
	if (check->is_overdue || clock_until_ms(check->give_up_at) > 0)
		return;
	check->is_overdue = true;
	(void)kill(check->pid, SIGKILL);
}

static const char *called(const struct generation *generation, const struct report *report)
{
	return report->facts[report->at].are_known ? report->facts[report->at].name
	                                           : generation->modules->files[report->at]->called;
}

/* Returns 0, or -1 with *problem: what has come of the check. */
static int judge(const struct module_check *check, int status, const struct generation *generation,
                 struct problem *problem)
{
	const struct report *report = &check->report;
	const char *doing = report->is_setup ? "its setup" : "loading it";

	if (report->problem.text[0] != '\0') {
		*problem = report->problem;
		return -1;
	}
	if (check->is_overdue)
		return problem_set(problem, "module %s: %s took longer than %d s", called(generation, report), doing,
		                   CHECK_MS / 1000);
	if (WIFSIGNALED(status))
		return problem_set(problem, "module %s: %s ended by a signal: %s", called(generation, report), doing,
		                   strsignal(WTERMSIG(status)));
	if (!report->is_done || WEXITSTATUS(status) != EXIT_SUCCESS)
		return problem_set(problem, "module %s: %s ended the process, with status %d",
		                   called(generation, report), doing, WEXITSTATUS(status));
	return 0;
}

int module_check_end(struct module_check *check, int status, struct generation *generation, struct problem *problem)
{
	report_read(&check->report, check->fd);
	close(check->fd);
	check->pid = 0;
	if (judge(check, status, generation, problem) != 0)
		return -1;
	generation_take_jobs(generation, &check->report);
	return modules_take(generation->app, generation->modules, &check->report, problem);
}

int module_check_run(struct generation *generation, struct problem *problem)
{
	struct module_check check;
	int status = 0;

	if (generation->modules->count == 0)
		return 0;
	if (module_check_start(&check, generation) != 0)
		return problem_set(problem, "there is no process to check modules with");
	while (waitpid(check.pid, &status, WNOHANG) == 0) {
		struct pollfd poll_fd = {.fd = check.fd, .events = POLLIN};

		module_check_step(&check);
		if (poll(&poll_fd, 1, LOOK_MS) > 0 && (poll_fd.revents & POLLIN) == 0)
			(void)poll(NULL, 0, 1);
	}
	return module_check_end(&check, status, generation, problem);
}

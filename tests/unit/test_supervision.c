/* When the master kills a worker for the time that its request takes. */
#include "pool/supervision.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "pool/child_table.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct children children;

static pid_t start_process(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		for (;;)
			(void)pause();
	}
	assert_true(pid > 0);
	return pid;
}

/* Is a worker told to abort whose request has taken 2 s, at a site that gives 1 s or 10 s, and that claims this? */
static bool is_killed(int64_t request_timeout, int64_t claimed)
{
	struct process_slot *slot = &children.board->processes.slots[0];
	const int64_t began = clock_monotonic_ms() - 2000;
	bool is_killed;

	children.all[0] = (struct child){.is_wanted = true,
	                                 .role = ROLE_WORKER,
	                                 .pid = start_process(),
	                                 .started_at = began - 1,
	                                 .request_timeout = request_timeout};
	atomic_store(&slot->request_began_ms, began);
	atomic_store(&slot->timeout_ms, claimed);
	children_kill_overdue(&children);
	is_killed = children.all[0].kill_at != 0;
	if (!is_killed)
		(void)kill(children.all[0].pid, SIGKILL);
	assert_int_equal(waitpid(children.all[0].pid, NULL, 0), children.all[0].pid);
	return is_killed;
}

static void request_has_the_time_of_its_route_and_else_that_of_the_site(void **state)
{
	(void)state;
	assert_true(is_killed(1000, 0));
	assert_false(is_killed(10000, 0));
	assert_true(is_killed(10000, 500));
	assert_false(is_killed(1000, 5000));
	assert_false(is_killed(1000, 600000));
}

static void time_that_no_route_can_have_is_not_believed(void **state)
{
	static const int64_t claims[] = {-1, 1, 99, 600001, INT64_MAX, INT64_MIN};

	(void)state;
	for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
		assert_true(is_killed(1000, claims[i]));
		assert_false(is_killed(10000, claims[i]));
	}
}

static int set_up_all(void **state)
{
	(void)state;
	children.board = scoreboard_new();
	if (children.board == NULL)
		return -1;
	return log_open("test", "/dev/null", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_has_the_time_of_its_route_and_else_that_of_the_site),
		cmocka_unit_test(time_that_no_route_can_have_is_not_believed),
	};

	return cmocka_run_group_tests(tests, set_up_all, NULL);
}

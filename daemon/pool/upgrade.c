/* An upgrade, in steps. */
#include "pool/upgrade.h"

#include "base/clock.h"
#include "base/log.h"
#include "pool/service.h"
#include "pool/stop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

void upgrade_begin(struct master *master)
{
	struct successor *successor = &master->upgrade.successor;
	const struct master_setup *setup = master->setup;

	/* One thing after the other. */
	if (successor->pid != 0 || master->reload.next != NULL || !master->is_announced) {
		master->upgrade.is_requested = true;
		return;
	}
	master->upgrade.is_requested = false;
	/* The container ends with its process 1, whichever process follows that. */
	if (getpid() == 1) {
		log_error("upgrade_refused",
		          LOG_STR("problem", "this is process 1, as in a container, which would end with it"),
		          LOG_STR("hint", "replace the container, or restart it"));
		return;
	}
	if (successor_start(successor, setup->listeners, setup->program, setup->argv) != 0) {
		log_error("upgrade_failed", LOG_STR("problem", strerror(errno)));
		return;
	}
	log_info("upgrading", LOG_STR("program", setup->program), LOG_INT("new_master", successor->pid));
	service_reloading();
}

static void complete_upgrade(struct master *master)
{
	struct successor *successor = &master->upgrade.successor;

	service_main_pid(successor->pid);
	log_info("upgraded", LOG_INT("new_master", successor->pid));
	/* It may have read the configuration before the signal came. */
	if (master->reload.is_requested_again)
		(void)kill(successor->pid, SIGHUP);
	successor_forget(successor);
	master->keeps_paths = true;
	stop_begin(master, "a new binary has taken over");
}

void upgrade_step(struct master *master)
{
	struct successor *successor = &master->upgrade.successor;

	if (successor->pid == 0) {
		if (master->upgrade.is_requested)
			upgrade_begin(master);
	} else if (successor_is_up(successor)) {
		complete_upgrade(master);
	} else if (clock_until_ms(successor->give_up_at) == 0) {
		successor->give_up_at = INT64_MAX;
		log_error("upgrade_failed", LOG_STR("problem", "the new binary did not come up in time"));
		successor_kill(successor);
	}
}

static void log_failure(const struct master *master, int error, int status)
{
	if (error != 0)
		log_error("upgrade_failed", LOG_STR("problem", "the new binary cannot be executed"),
		          LOG_STR("program", master->setup->program), LOG_STR("reason", strerror(error)),
		          LOG_STR("in_force", "the running binary"));
	else if (WIFEXITED(status) && WEXITSTATUS(status) == EX_CONFIG)
		log_error("upgrade_failed",
		          LOG_STR("problem", "the new binary refuses the configuration or a module; it reported which "
		                             "in the log or on standard error"),
		          LOG_STR("program", master->setup->program), LOG_STR("in_force", "the running binary"));
	else
		log_error("upgrade_failed",
		          LOG_STR("problem", "the new binary ended; what it reported before it opened its log is on "
		                             "standard error"),
		          LOG_STR("program", master->setup->program),
		          LOG_INT("status", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status)),
		          LOG_STR("in_force", "the running binary"));
}

bool upgrade_reap(struct master *master, pid_t pid, int status)
{
	struct successor *successor = &master->upgrade.successor;
	int error;

	if (pid != successor->pid)
		return false;
	error = successor_error(successor);
	successor_forget(successor);
	if (master->stop.is_begun)
		return true;
	log_failure(master, error, status);
	service_ready();
	return true;
}

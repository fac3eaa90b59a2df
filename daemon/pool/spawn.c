/* Forking the master's children. */
#include "pool/spawn.h"

#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

const int master_signals[] = {SIGTERM, SIGQUIT, SIGINT, SIGCHLD, SIGHUP, SIGUSR1, SIGUSR2};
const size_t master_signal_count = sizeof master_signals / sizeof master_signals[0];

pid_t spawn_child(const char *name)
{
	char own[16] = "";
	pid_t parent = getpid();
	pid_t pid;

	(void)prctl(PR_GET_NAME, own);
	if (name != NULL)
		(void)prctl(PR_SET_NAME, name);
	pid = fork();
	if (pid != 0)
		(void)prctl(PR_SET_NAME, own);
	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
			_exit(1);
	} else if (pid < 0) {
		log_error("fork_failed", LOG_STR("problem", strerror(errno)));
	}
	return pid;
}

pid_t spawn_helper(const char *name)
{
	const struct sigaction standard = {.sa_handler = SIG_DFL};
	pid_t pid = spawn_child(name);
	sigset_t none;

	if (pid != 0)
		return pid;
	for (size_t i = 0; i < master_signal_count; i++)
		(void)sigaction(master_signals[i], &standard, NULL);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

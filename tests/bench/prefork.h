/* A FastCGI program of several processes on one socket: what the benchmark's own programs on libfcgi share. */
#ifndef BENCH_PREFORK_H
#define BENCH_PREFORK_H

#include <fcgiapp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* As long a queue as the daemon's. */
enum { PREFORK_BACKLOG = 4096 };

/*
 * Listen on `socket` and run `serve` in `processes` children; returns only when one of them has ended: it is not
 * replaced, so that the measurement fails.
 */
static inline int prefork(const char *socket, int processes, int (*serve)(int listener))
{
	pid_t parent = getpid();
	int listener;

	if (FCGX_Init() != 0 || (listener = FCGX_OpenSocket(socket, PREFORK_BACKLOG)) < 0) {
		(void)fprintf(stderr, "cannot listen on %s\n", socket);
		return EXIT_FAILURE;
	}
	for (int i = 0; i < processes; i++) {
		switch (fork()) {
		case -1: perror("fork"); return EXIT_FAILURE;
		case 0:
			/* libfcgi catches SIGTERM and goes on accepting. */
			if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
				_exit(EXIT_FAILURE);
			_exit(serve(listener));
		default: break;
		}
	}
	(void)signal(SIGTERM, SIG_DFL);
	(void)wait(NULL);
	return EXIT_FAILURE;
}

#endif

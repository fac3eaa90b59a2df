/*
 * The floor: as little as a FastCGI responder on libfcgi can do. It reads no parameter, queries no database and always
 * answers 200. What a request costs here is nginx, the kernel and libfcgi.
 *
 *   floor SOCKET PROCESSES
 */
#include <fcgiapp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* As long a queue as the daemon's. */
enum { BACKLOG = 4096 };

static int serve(int listener)
{
	FCGX_Request request;

	if (FCGX_InitRequest(&request, listener, 0) != 0)
		return EXIT_FAILURE;
	while (FCGX_Accept_r(&request) == 0) {
		static const char answer[] = "Status: 200\r\n\r\n";

		(void)FCGX_PutStr(answer, sizeof answer - 1, request.out);
		FCGX_Finish_r(&request);
	}
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	pid_t parent = getpid();
	int processes, listener;

	if (argc != 3 || (processes = atoi(argv[2])) <= 0) {
		(void)fprintf(stderr, "usage: floor SOCKET PROCESSES\n");
		return 64;
	}
	if (FCGX_Init() != 0 || (listener = FCGX_OpenSocket(argv[1], BACKLOG)) < 0) {
		(void)fprintf(stderr, "floor: cannot listen on %s\n", argv[1]);
		return EXIT_FAILURE;
	}
	for (int i = 0; i < processes; i++) {
		switch (fork()) {
		case -1: perror("floor: fork"); return EXIT_FAILURE;
		case 0:
			/* libfcgi catches SIGTERM and goes on accepting. */
			if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
				_exit(EXIT_FAILURE);
			_exit(serve(listener));
		default: break;
		}
	}
	/* A process that ends fails the measurement: it is not replaced. */
	(void)signal(SIGTERM, SIG_DFL);
	(void)wait(NULL);
	return EXIT_FAILURE;
}

/*
 * The floor: as little as a FastCGI responder on libfcgi can do. It reads no parameter, queries no database and always
 * answers 200. What a request costs here is nginx, the kernel and libfcgi.
 *
 *   floor SOCKET PROCESSES
 */
#include "prefork.h"

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
	int processes;

	if (argc != 3 || (processes = atoi(argv[2])) <= 0) {
		(void)fprintf(stderr, "usage: floor SOCKET PROCESSES\n");
		return 64;
	}
	return prefork(argv[1], processes, serve);
}

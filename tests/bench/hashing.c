/*
 * The upper bound of logins: passwords verified by libsodium and nothing else, in PROCESSES processes at once. Prints
 * the number of verifications a second of all processes together.
 *
 *   hashing HASH PASSWORD PROCESSES SECONDS
 */
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
	struct timespec time;

	if (clock_gettime(CLOCK_MONOTONIC, &time) != 0)
		abort();
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Verifications a second, each counted with all the time that it took. */
static double verify_for(double seconds, const char *hash, const char *password)
{
	double began = now(), ended;
	long count = 0;

	do {
		if (crypto_pwhash_str_verify(hash, password, strlen(password)) != 0) {
			(void)fprintf(stderr, "hashing: that is not the password, or there is not enough memory\n");
			_exit(EXIT_FAILURE);
		}
		count++;
		ended = now();
	} while (ended - began < seconds);
	return (double)count / (ended - began);
}

int main(int argc, char **argv)
{
	int processes, status, ends[2];
	double seconds, rate, sum = 0;

	if (argc != 5 || (processes = atoi(argv[3])) <= 0 || (seconds = atof(argv[4])) <= 0) {
		(void)fprintf(stderr, "usage: hashing HASH PASSWORD PROCESSES SECONDS\n");
		return 64;
	}
	if (sodium_init() < 0 || pipe(ends) != 0)
		return EXIT_FAILURE;
	for (int i = 0; i < processes; i++) {
		switch (fork()) {
		case -1: perror("hashing: fork"); return EXIT_FAILURE;
		case 0:
			if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
				_exit(EXIT_FAILURE);
			rate = verify_for(seconds, argv[1], argv[2]);
			_exit(write(ends[1], &rate, sizeof rate) == sizeof rate ? EXIT_SUCCESS : EXIT_FAILURE);
		default: break;
		}
	}
	for (int i = 0; i < processes; i++) {
		if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS)
			return EXIT_FAILURE;
	}
	for (int i = 0; i < processes; i++) {
		if (read(ends[0], &rate, sizeof rate) != sizeof rate)
			return EXIT_FAILURE;
		sum += rate;
	}
	(void)printf("%.3f\n", sum);
	return EXIT_SUCCESS;
}

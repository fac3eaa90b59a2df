#include "pool/sandbox.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/log.h"
#include "session/password.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <resolv.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* At exit AddressSanitizer makes calls that the sandbox forbids, so such a build's is wider: see sandbox.c. */
#if defined(__SANITIZE_ADDRESS__)
#define IS_WIDER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_WIDER 1
#endif
#endif
#ifndef IS_WIDER
#define IS_WIDER 0
#endif

/* So that a test that hangs ends. */
#define PATIENCE_S 60

static char folder[] = "/tmp/onesession-sandbox-XXXXXX";
static char path[64];
static char other_path[64];
static char socket_path[64];
static char named_path[64];
static int listening_tcp, listening_unix;
static struct sockaddr_in name_server;
static pid_t name_server_pid;
/* A process of the same user that sleeps: the target of signals. */
static pid_t other_pid;

/* ---- Helpers ------------------------------------------------------------------------------------------------ */

/* Whether it is the sandbox of a process that stores files. */
static bool stores_files;

/* An act's result: 0 when all went well, else the errno of what failed. */
typedef int action(void);

/* The wait status of a child that runs `act` in the sandbox, with so much more. */
static int status_in(unsigned int more, action *act)
{
	const struct rlimit no_core = {0, 0};
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)setrlimit(RLIMIT_CORE, &no_core);
		(void)alarm(PATIENCE_S);
		_exit(sandbox_restrict(more) == 0 ? act() : 254);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int status_of(action *act)
{
	return status_in(stores_files ? SANDBOX_FILES : 0, act);
}

static void assert_result(const char *what, action *act, int wanted)
{
	int status = status_of(act);

	if (!WIFEXITED(status) || WEXITSTATUS(status) != wanted)
		fail_msg("%s: status %x, not exit status %d", what, (unsigned int)status, wanted);
}

static void assert_signal(const char *what, action *act, int wanted)
{
	int status = status_of(act);

	if (!WIFSIGNALED(status) || WTERMSIG(status) != wanted)
		fail_msg("%s: status %x, not signal %d", what, (unsigned int)status, wanted);
}

#define ASSERT_WORKS(act)     assert_result(#act, act, 0)
#define ASSERT_FORBIDDEN(act) assert_result(#act, act, EPERM)
#define ASSERT_DEADLY(act)    assert_signal(#act, act, SIGSYS)

/* For calls that return -1 with errno. */
static int result(long returned)
{
	return returned < 0 ? errno : 0;
}

static int listen_on(const struct sockaddr *address, socklen_t size)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && bind(fd, address, size) == 0 && listen(fd, 4) == 0 ? fd : -1;
}

static void end_process(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

/* A name server that has one address for each name, 192.0.2.1, and none of IPv6. */
static void serve_names(int fd)
{
	static const uint8_t answer[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};
	uint8_t packet[600];
	struct sockaddr_in from;
	socklen_t size = sizeof from;
	ssize_t length;
	size_t end;

	while ((length = recvfrom(fd, packet, 512, 0, (struct sockaddr *)&from, &size)) > 12) {
		/* After the header follow the name, label by label, the type and the class. */
		for (end = 12; packet[end] != 0; end += packet[end] + 1U)
			;
		end += 5;
		packet[2] = 0x81;
		packet[3] = 0x80;
		packet[7] = packet[end - 3] == 1 ? 1 : 0;
		memset(packet + 8, 0, 4);
		if (packet[7] == 1) {
			memcpy(packet + end, answer, sizeof answer);
			end += sizeof answer;
		}
		(void)sendto(fd, packet, end, 0, (const struct sockaddr *)&from, size);
	}
}

static int start_name_server(void)
{
	socklen_t size = sizeof name_server;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	name_server = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	if (fd < 0 || bind(fd, (const struct sockaddr *)&name_server, size) != 0 ||
	    getsockname(fd, (struct sockaddr *)&name_server, &size) != 0)
		return -1;
	name_server_pid = fork();
	if (name_server_pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		serve_names(fd);
		_exit(1);
	}
	return close(fd) == 0 && name_server_pid > 0 ? 0 : -1;
}

static int set_up(void **state)
{
	const struct sockaddr_in tcp = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	FILE *file;

	(void)state;
	if (sodium_init() < 0 || mkdtemp(folder) == NULL)
		return -1;
	(void)snprintf(path, sizeof path, "%s/file", folder);
	(void)snprintf(other_path, sizeof other_path, "%s/other", folder);
	(void)snprintf(named_path, sizeof named_path, "%s/named", folder);
	(void)snprintf(socket_path, sizeof socket_path, "%s/socket", folder);
	(void)snprintf(local.sun_path, sizeof local.sun_path, "%s", socket_path);
	listening_tcp = listen_on((const struct sockaddr *)&tcp, sizeof tcp);
	listening_unix = listen_on((const struct sockaddr *)&local, sizeof local);
	if (listening_tcp < 0 || listening_unix < 0 || start_name_server() != 0)
		return -1;
	other_pid = fork();
	if (other_pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			(void)pause();
	}
	if (other_pid < 0)
		return -1;
	file = fopen(path, "we");
	return file != NULL && fputs("text", file) >= 0 && fclose(file) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	end_process(other_pid);
	end_process(name_server_pid);
	close(listening_tcp);
	close(listening_unix);
	(void)unlink(path);
	(void)unlink(other_path);
	(void)unlink(socket_path);
	return rmdir(folder);
}

/* ---- Fatal calls -------------------------------------------------------------------------------------------- */

static int start_a_program(void)
{
	char *const arguments[] = {(char[]){"true"}, NULL};

	return result(execve("/bin/true", arguments, arguments + 1));
}

static int start_a_program_by_descriptor(void)
{
	char *const arguments[] = {(char[]){"true"}, NULL};

	return result(syscall(SYS_execveat, AT_FDCWD, "/bin/true", arguments, arguments + 1, 0));
}

static int become_somebody_else(void)
{
	return result(syscall(SYS_setuid, getuid()));
}

static int join_another_group(void)
{
	return result(syscall(SYS_setgid, getgid()));
}

static int read_the_memory_of_another(void)
{
	char byte;
	const struct iovec here = {&byte, 1}, there = {&byte, 1};

	return result(process_vm_readv(getppid(), &here, 1, &there, 1, 0));
}

static int mount_something(void)
{
	return result(mount("none", folder, "tmpfs", 0, NULL));
}

static int leave_the_namespace(void)
{
	return result(unshare(CLONE_NEWUSER));
}

static int load_a_kernel_program(void)
{
	return result(syscall(SYS_bpf, 0, NULL, 0));
}

static int trace(void)
{
	return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static void what_no_accident_leads_to_kills(void **state)
{
	(void)state;
	ASSERT_DEADLY(start_a_program);
	ASSERT_DEADLY(start_a_program_by_descriptor);
	ASSERT_DEADLY(become_somebody_else);
	ASSERT_DEADLY(join_another_group);
	ASSERT_DEADLY(read_the_memory_of_another);
	ASSERT_DEADLY(mount_something);
	ASSERT_DEADLY(leave_the_namespace);
	ASSERT_DEADLY(load_a_kernel_program);
	if (!IS_WIDER)
		ASSERT_DEADLY(trace);
}

/* ---- Failing calls ------------------------------------------------------------------------------------------ */

static int open_a_socket(int family, int type)
{
	return result(socket(family, type, 0));
}

static int see_all_packets(void)
{
	return open_a_socket(AF_PACKET, SOCK_RAW);
}

static int use_the_kernels_ciphers(void)
{
	return open_a_socket(AF_ALG, SOCK_SEQPACKET);
}

static int talk_to_the_host_of_a_guest(void)
{
	return open_a_socket(AF_VSOCK, SOCK_STREAM);
}

static int remove_a_file(void)
{
	return result(unlink(path));
}

static int rename_a_file(void)
{
	return result(rename(path, other_path));
}

static int change_a_mode(void)
{
	return result(chmod(path, 0777));
}

static int make_a_folder(void)
{
	return result(mkdir(other_path, 0700));
}

static int lift_a_limit(void)
{
	const struct rlimit limit = {64, 64};

	return result(setrlimit(RLIMIT_NOFILE, &limit));
}

static int change_the_root(void)
{
	return result(chroot(folder));
}

static int signal_another(void)
{
	return result(kill(getppid(), 0));
}

static int have_a_child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return result(pid);
}

static int map_what_may_be_executed(void)
{
	return result(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1
	                                                                                                        : 0);
}

static int make_memory_executable(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? 0 : result(mprotect(memory, 4096, PROT_READ | PROT_EXEC));
}

static int become_dumpable(void)
{
	return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static void what_serving_does_not_take_fails(void **state)
{
	(void)state;
	ASSERT_FORBIDDEN(see_all_packets);
	ASSERT_FORBIDDEN(use_the_kernels_ciphers);
	ASSERT_FORBIDDEN(talk_to_the_host_of_a_guest);
	ASSERT_FORBIDDEN(remove_a_file);
	ASSERT_FORBIDDEN(rename_a_file);
	ASSERT_FORBIDDEN(change_a_mode);
	ASSERT_FORBIDDEN(make_a_folder);
	ASSERT_FORBIDDEN(change_the_root);
	if (IS_WIDER)
		return;
	ASSERT_FORBIDDEN(lift_a_limit);
	ASSERT_FORBIDDEN(signal_another);
	ASSERT_FORBIDDEN(have_a_child);
	ASSERT_FORBIDDEN(map_what_may_be_executed);
	ASSERT_FORBIDDEN(make_memory_executable);
	ASSERT_FORBIDDEN(become_dumpable);
}

/* ---- Signals to other processes ----------------------------------------------------------------------------- */

static bool other_is_alive(void)
{
	int status;

	/* A signal takes a moment to take effect. */
	for (int i = 0; i < 20; i++) {
		if (waitpid(other_pid, &status, WNOHANG) != 0)
			return false;
		(void)usleep(5000);
	}
	return true;
}

/* F_SETOWN and F_SETSIG: the kernel sends any process a signal of the caller's choice when there is input. */
static int have_another_killed_by_fcntl(void)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return errno;
	(void)fcntl(ends[0], F_SETOWN, other_pid);
	(void)fcntl(ends[0], F_SETSIG, SIGKILL);
	(void)fcntl(ends[0], F_SETFL, O_ASYNC | O_NONBLOCK);
	return write(ends[1], "x", 1) == 1 ? 0 : errno;
}

static int have_another_killed_by_ioctl(void)
{
	int ends[2], on = 1;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return errno;
	/* SIGIO also ends a process. */
	(void)ioctl(ends[0], FIOSETOWN, &other_pid);
	(void)ioctl(ends[0], SIOCSPGRP, &other_pid);
	(void)ioctl(ends[0], FIOASYNC, &on);
	return write(ends[1], "x", 1) == 1 ? 0 : errno;
}

static int have_another_killed_by_a_lease(void)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	(void)fcntl(fd, F_SETOWN, other_pid);
	(void)fcntl(fd, F_SETSIG, SIGKILL);
	(void)fcntl(fd, F_SETLEASE, F_RDLCK);
	/* Breaks the lease. */
	(void)open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	return 0;
}

/* A build with a wider sandbox allows kill(2) as well. */
static void no_other_process_gets_a_signal(void **state)
{
	(void)state;
	ASSERT_WORKS(have_another_killed_by_fcntl);
	assert_true(other_is_alive());
	ASSERT_WORKS(have_another_killed_by_ioctl);
	assert_true(other_is_alive());
	ASSERT_WORKS(have_another_killed_by_a_lease);
	assert_true(other_is_alive());
}

/* The number of the first of the calls below that is not forbidden, from 1 on; 0 when all are. */
static int signal_another_somehow(void)
{
	int owner = getppid(), on = 1;
	struct f_owner_ex owner_ex = {F_OWNER_PID, owner};
	siginfo_t info = {.si_code = SI_QUEUE};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
	void *timer;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	const long calls[][7] = {
		{SYS_fcntl, fd, F_SETOWN, owner},
		{SYS_fcntl, fd, F_SETOWN_EX, (long)&owner_ex},
		{SYS_fcntl, fd, F_SETSIG, SIGKILL},
		{SYS_fcntl, fd, F_SETFL, O_ASYNC},
		{SYS_fcntl, fd, F_SETFL, O_ASYNC | O_NONBLOCK | O_APPEND},
		{SYS_fcntl, fd, F_NOTIFY, 0},
		{SYS_fcntl, fd, F_SETLEASE, F_UNLCK},
		/* The kernel uses the lower half of the number only. */
		{SYS_fcntl, fd, F_SETOWN | INT64_C(1) << 32, owner},
		{SYS_ioctl, fd, FIOASYNC, (long)&on},
		{SYS_ioctl, fd, FIOSETOWN, (long)&owner},
		{SYS_ioctl, fd, SIOCSPGRP, (long)&owner},
		{SYS_ioctl, fd, TIOCSPGRP, (long)&owner},
		{SYS_ioctl, fd, TIOCSTI, (long)"x"},
		{SYS_ioctl, fd, TIOCSCTTY, 0},
		{SYS_ioctl, fd, FIOSETOWN | INT64_C(1) << 32, (long)&owner},
		{SYS_tkill, owner, 0},
		{SYS_tgkill, owner, owner, 0},
		{SYS_rt_sigqueueinfo, owner, 0, (long)&info},
		{SYS_rt_tgsigqueueinfo, owner, owner, 0, (long)&info},
		{SYS_pidfd_open, owner, 0},
		{SYS_pidfd_send_signal, fd, 0, 0, 0},
		{SYS_timer_create, CLOCK_MONOTONIC, (long)&event, (long)&timer},
		{SYS_mq_notify, fd, (long)&event},
		{SYS_process_madvise, fd, 0, 0, 0, 0},
		{SYS_setpriority, PRIO_PROCESS, owner, 19},
		{SYS_sched_setaffinity, owner, 0, 0},
		{SYS_io_uring_setup, 1, 0},
	};

	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
		const long *call = calls[i];

		errno = 0;
		if (syscall(call[0], call[1], call[2], call[3], call[4], call[5], call[6]) != -1 || errno != EPERM)
			return (int)i + 1;
	}
	return 0;
}

static void no_way_to_signal_another_is_left(void **state)
{
	(void)state;
	ASSERT_WORKS(signal_another_somehow);
}

/* ---- Threads ------------------------------------------------------------------------------------------------ */

#define THREADS 3

static pthread_mutex_t rotate_list = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_came = PTHREAD_COND_INITIALIZER;
static bool may_begin;

static void *do_nothing(void *nothing)
{
	return nothing;
}

static int hash_a_password(void);

/* Calls that a hashing thread needs, and ones that it is denied. Returns the number of the one that failed. */
static void *work(void *no_failure)
{
	static char failures[8];
	const int owner = getppid();
	char line[256];
	bool is_restricted = false;
	pthread_t thread;
	FILE *status;

	if (pthread_mutex_lock(&rotate_list) != 0)
		return &failures[0];
	while (!may_begin) {
		if (pthread_cond_wait(&turn_came, &rotate_list) != 0)
			return &failures[1];
	}
	if (pthread_mutex_unlock(&rotate_list) != 0)
		return &failures[2];
	status = fopen("/proc/thread-self/status", "re");
	while (status != NULL && fgets(line, sizeof line, status) != NULL)
		is_restricted = is_restricted || strcmp(line, "Seccomp:\t2\n") == 0;
	if (!is_restricted || fclose(status) != 0)
		return &failures[3];
	if (fcntl(listening_tcp, F_SETOWN, owner) != -1 || errno != EPERM)
		return &failures[4];
	if (!IS_WIDER && pthread_create(&thread, NULL, do_nothing, NULL) != EPERM)
		return &failures[5];
	for (int i = 0; i < 3; i++) {
		if (hash_a_password() != 0)
			return &failures[6];
	}
	return no_failure;
}

static void threads_that_are_there_are_restricted_and_go_on(void **state)
{
	pthread_t threads[THREADS];
	char none;
	void *failure;
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)alarm(PATIENCE_S);
		for (int i = 0; i < THREADS; i++) {
			if (pthread_create(&threads[i], NULL, work, &none) != 0)
				_exit(1);
		}
		if (sandbox_restrict(false) != 0)
			_exit(2);
		if (pthread_mutex_lock(&rotate_list) != 0)
			_exit(3);
		may_begin = true;
		if (pthread_cond_broadcast(&turn_came) != 0 || pthread_mutex_unlock(&rotate_list) != 0)
			_exit(4);
		for (int i = 0; i < THREADS; i++) {
			if (pthread_join(threads[i], &failure) != 0 || failure != &none)
				_exit(10 + i);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- Wider ones --------------------------------------------------------------------------------------------- */

static int have_a_thread(void)
{
	char something;
	pthread_t thread;
	void *returned = NULL;
	int error = pthread_create(&thread, NULL, do_nothing, &something);

	if (error != 0)
		return error;
	return pthread_join(thread, &returned) == 0 && returned == &something ? 0 : EIO;
}

static int have_a_child_that_ends(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(7);
	if (pid < 0)
		return errno;
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 7 ? 0 : EIO;
}

/* As the process that runs jobs has its runs, which end with it, and can be ended. */
static int have_a_child_in_a_narrower_sandbox(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || sandbox_restrict(SANDBOX_THREADS) != 0)
			_exit(1);
		if (have_a_thread() != 0 || kill(getppid(), 0) != -1 || errno != EPERM || have_a_child() != EPERM)
			_exit(2);
		for (;;)
			(void)poll(NULL, 0, 1000);
	}
	if (pid < 0)
		return errno;
	/* It is restricted some time, or ends itself before. */
	(void)poll(NULL, 0, 300);
	return kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) ? 0 : EIO;
}

static int have_a_child_in_a_namespace(void)
{
	return result(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL));
}

static void threads_are_allowed_where_names_are_looked_up_and_processes_are_not(void **state)
{
	(void)state;
	assert_int_equal(status_in(SANDBOX_THREADS, have_a_thread), 0);
	if (IS_WIDER)
		return;
	assert_int_equal(WEXITSTATUS(status_in(0, have_a_thread)), EPERM);
	assert_int_equal(WEXITSTATUS(status_in(SANDBOX_THREADS, have_a_child)), EPERM);
	assert_int_equal(WEXITSTATUS(status_in(SANDBOX_THREADS, signal_another)), EPERM);
	assert_int_equal(WEXITSTATUS(status_in(SANDBOX_THREADS, have_a_child_in_a_namespace)), EPERM);
	assert_int_equal(WTERMSIG(status_in(SANDBOX_THREADS, start_a_program)), SIGSYS);
}

static void parent_of_runs_may_have_children_and_nothing_worse(void **state)
{
	(void)state;
	assert_int_equal(status_in(SANDBOX_CHILDREN, have_a_child_that_ends), 0);
	if (IS_WIDER)
		return;
	assert_int_equal(status_in(SANDBOX_CHILDREN, have_a_child_in_a_narrower_sandbox), 0);
	assert_int_equal(WEXITSTATUS(status_in(SANDBOX_CHILDREN, have_a_child_in_a_namespace)), EPERM);
	assert_int_equal(WEXITSTATUS(status_in(SANDBOX_CHILDREN, become_dumpable)), EPERM);
	assert_int_equal(WTERMSIG(status_in(SANDBOX_CHILDREN, start_a_program)), SIGSYS);
}

/* ---- Allowed calls ------------------------------------------------------------------------------------------ */

static int read_a_file(void)
{
	char text[8] = "";
	FILE *file = fopen(path, "re");

	if (file == NULL)
		return errno;
	return fgets(text, sizeof text, file) != NULL && strcmp(text, "text") == 0 && fclose(file) == 0 ? 0 : EIO;
}

/* A connection to `listening`, and a byte through it. */
static int talk_to(int listening)
{
	union {
		struct sockaddr any;
		struct sockaddr_in tcp;
		struct sockaddr_un local;
	} address;
	socklen_t size = sizeof address;
	struct pollfd poll_fd = {.fd = listening, .events = POLLIN};
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int client, server, on = 1;
	char byte = 'x';

	if (epoll < 0 || getsockname(listening, &address.any, &size) != 0)
		return errno;
	client = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (client < 0 || (connect(client, &address.any, size) != 0 && errno != EINPROGRESS))
		return errno;
	if (poll(&poll_fd, 1, -1) != 1)
		return errno;
	server = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	if (server < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, server, &event) != 0)
		return errno;
	if (setsockopt(server, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) != 0 ||
	    send(client, &byte, 1, MSG_NOSIGNAL) != 1 || epoll_pwait(epoll, &event, 1, -1, NULL) != 1 ||
	    recv(server, &byte, 1, 0) != 1 || shutdown(client, SHUT_RDWR) != 0)
		return errno;
	return result(close(server) + close(client) + close(epoll));
}

static int talk_by_tcp(void)
{
	return talk_to(listening_tcp);
}

static int talk_by_unix_socket(void)
{
	return talk_to(listening_unix);
}

static int look_up_a_host(void)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *found;

	if (getaddrinfo("localhost", "5432", &hints, &found) != 0)
		return EIO;
	freeaddrinfo(found);
	return 0;
}

/* By the resolver, which queries a server. */
static int look_up_a_host_elsewhere(void)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	const struct sockaddr_in *address;
	struct addrinfo *found;
	in_addr_t number;

	if (res_init() != 0)
		return EIO;
	_res.nscount = 1;
	_res.nsaddr_list[0] = name_server;
	if (getaddrinfo("database.onesession.example", "5432", &hints, &found) != 0)
		return EHOSTUNREACH;
	address = (const struct sockaddr_in *)(const void *)found->ai_addr;
	number = address->sin_family == AF_INET ? ntohl(address->sin_addr.s_addr) : 0;
	freeaddrinfo(found);
	return number == 0xc0000201 ? 0 : EIO;
}

/* A link-local IPv6 address. */
static int look_up_a_network(void)
{
	char name[IF_NAMESIZE];
	unsigned int index = if_nametoindex("lo");

	return index != 0 && if_indextoname(index, name) != NULL ? 0 : errno;
}

static int set_up_a_connection(void)
{
	int ends[2], waiting, on = 1, off = 0, flags, copy;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 || write(ends[1], "abc", 3) != 3)
		return errno;
	flags = fcntl(ends[0], F_GETFL);
	if (flags < 0 || fcntl(ends[0], F_SETFL, flags | O_NONBLOCK) != 0 ||
	    fcntl(ends[0], F_GETFL) != (flags | O_NONBLOCK) || fcntl(ends[0], F_SETFD, FD_CLOEXEC) != 0 ||
	    fcntl(ends[0], F_GETFD) != FD_CLOEXEC)
		return errno;
	if (ioctl(ends[0], FIONREAD, &waiting) != 0 || waiting != 3 || ioctl(ends[0], FIONBIO, &off) != 0 ||
	    ioctl(ends[0], FIONBIO, &on) != 0)
		return errno;
	copy = fcntl(ends[0], F_DUPFD_CLOEXEC, 0);
	return copy >= 0 && fcntl(ends[0], F_DUPFD, 0) >= 0 ? 0 : errno;
}

static int lock_a_file(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0 || fcntl(fd, F_SETLK, &lock) != 0 || fcntl(fd, F_SETLKW, &lock) != 0)
		return errno;
	return result(fcntl(fd, F_OFD_GETLK, &lock));
}

static int see_whether_it_is_a_terminal(void)
{
	return isatty(listening_tcp) == 0 && errno == ENOTTY ? 0 : EIO;
}

static int look_up_a_user(void)
{
	struct passwd entry, *found;
	char buffer[4096];

	return getpwuid_r(getuid(), &entry, buffer, sizeof buffer, &found);
}

static int use_much_memory(void)
{
	const size_t size = 256UL * 1024 * 1024;
	char *memory = malloc(size);
	char *more;

	if (memory == NULL)
		return ENOMEM;
	memset(memory, 1, size);
	more = realloc(memory, 2 * size);
	free(more != NULL ? more : memory);
	return more != NULL ? 0 : ENOMEM;
}

static int hash_a_password(void)
{
	const struct password_cost cost = {.memory = INT64_C(64) * 1024 * 1024, .passes = 1};
	char hash[PASSWORD_HASH_SIZE];

	return password_hash("secret", &cost, hash) == 0 && password_verify(hash, "secret") ? 0 : EIO;
}

static int tell_the_time(void)
{
	const time_t now = time(NULL);
	struct tm local;

	tzset();
	return localtime_r(&now, &local) != NULL ? 0 : EIO;
}

static int compare(const void *one, const void *other)
{
	const int *a = one, *b = other;

	return (*a > *b) - (*a < *b);
}

static int sort_much(void)
{
	enum { COUNT = 500000 };
	int *numbers = malloc(COUNT * sizeof *numbers);

	if (numbers == NULL)
		return ENOMEM;
	for (int i = 0; i < COUNT; i++)
		numbers[i] = (int)((unsigned int)i * 2654435761U % 1000003U);
	qsort(numbers, COUNT, sizeof *numbers, compare);
	for (int i = 1; i < COUNT; i++) {
		if (numbers[i - 1] > numbers[i])
			return EIO;
	}
	free(numbers);
	return 0;
}

static int take_random_numbers(void)
{
	return randombytes_random() == randombytes_random() && randombytes_random() == randombytes_random() ? EIO : 0;
}

static int log_to_a_file(void)
{
	struct stat status;

	if (log_open("test", other_path, LOG_LEVEL_INFO, LOG_FORMAT_JSON) != 0)
		return errno;
	log_info("event", LOG_INT("n", 1));
	if (log_reopen() != 0)
		return errno;
	log_info("event", LOG_INT("n", 2));
	log_close();
	return stat(other_path, &status) == 0 && status.st_size > 100 ? 0 : EIO;
}

/* Whether or not a process receives it. */
static int log_to_syslog(void)
{
	if (log_open("onesession-test", "syslog", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT) != 0)
		return errno;
	log_debug("event", LOG_INT("n", 1));
	log_close();
	return 0;
}

static int be_woken(void)
{
	const uint64_t one = 1;
	uint64_t count;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0 || write(fd, &one, sizeof one) != sizeof one)
		return errno;
	return read(fd, &count, sizeof count) == sizeof count && count == 1 ? 0 : EIO;
}

static int look_at_limits(void)
{
	struct rlimit limit;

	return result(getrlimit(RLIMIT_NOFILE, &limit));
}

static int crash(void)
{
	abort();
}

static void what_serving_takes_works(void **state)
{
	(void)state;
	ASSERT_WORKS(read_a_file);
	ASSERT_WORKS(talk_by_tcp);
	ASSERT_WORKS(talk_by_unix_socket);
	ASSERT_WORKS(look_up_a_host);
	ASSERT_WORKS(look_up_a_host_elsewhere);
	ASSERT_WORKS(look_up_a_network);
	ASSERT_WORKS(set_up_a_connection);
	ASSERT_WORKS(lock_a_file);
	ASSERT_WORKS(see_whether_it_is_a_terminal);
	ASSERT_WORKS(look_up_a_user);
	ASSERT_WORKS(use_much_memory);
	ASSERT_WORKS(hash_a_password);
	ASSERT_WORKS(tell_the_time);
	ASSERT_WORKS(sort_much);
	ASSERT_WORKS(take_random_numbers);
	ASSERT_WORKS(log_to_a_file);
	ASSERT_WORKS(log_to_syslog);
	ASSERT_WORKS(be_woken);
	ASSERT_WORKS(look_at_limits);
}

/* It is reported as what it is and not as a forbidden call. */
static void crash_is_a_crash(void **state)
{
	(void)state;
	assert_signal("crash", crash, SIGABRT);
}

/* ---- The whole daemon --------------------------------------------------------------------------------------- */

static void no_program_gains_rights_and_no_process_looks_into_us(void **state)
{
	struct problem problem = {0};
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0 || sandbox_enter(&problem) != 0)
			_exit(1);
		if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
			_exit(2);
		_exit(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == IS_WIDER ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- Files -------------------------------------------------------------------------------------------------- */

static int name_file(void)
{
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char link_path[32];

	if (fd < 0)
		return errno;
	(void)snprintf(link_path, sizeof link_path, "/proc/self/fd/%d", fd);
	return result(linkat(AT_FDCWD, link_path, AT_FDCWD, named_path, AT_SYMLINK_FOLLOW));
}

static int change_mode(void)
{
	return result(fchmod(open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), 0644));
}

static int take_name(void)
{
	return result(unlinkat(AT_FDCWD, named_path, 0));
}

static int flush_some(void)
{
	return result(sync_file_range(open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), 0, 1, SYNC_FILE_RANGE_WRITE));
}

static void files_get_names_only_where_they_are_stored(void **state)
{
	(void)state;
	ASSERT_FORBIDDEN(name_file);
	ASSERT_FORBIDDEN(change_mode);
	ASSERT_FORBIDDEN(take_name);
	ASSERT_FORBIDDEN(flush_some);
	stores_files = true;
	ASSERT_WORKS(name_file);
	ASSERT_WORKS(change_mode);
	ASSERT_WORKS(take_name);
	ASSERT_WORKS(flush_some);
	stores_files = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_no_accident_leads_to_kills),
		cmocka_unit_test(what_serving_does_not_take_fails),
		cmocka_unit_test(no_other_process_gets_a_signal),
		cmocka_unit_test(no_way_to_signal_another_is_left),
		cmocka_unit_test(threads_that_are_there_are_restricted_and_go_on),
		cmocka_unit_test(threads_are_allowed_where_names_are_looked_up_and_processes_are_not),
		cmocka_unit_test(parent_of_runs_may_have_children_and_nothing_worse),
		cmocka_unit_test(what_serving_takes_works),
		cmocka_unit_test(files_get_names_only_where_they_are_stored),
		cmocka_unit_test(crash_is_a_crash),
		cmocka_unit_test(no_program_gains_rights_and_no_process_looks_into_us),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

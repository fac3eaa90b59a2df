/* What our processes can no longer do. */
#include "pool/sandbox.h"

#include "api/folders.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* AddressSanitizer looks for leaks from a thread that traces the others. */
#if defined(__SANITIZE_ADDRESS__)
#define IS_TRACED_AT_EXIT 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_TRACED_AT_EXIT 1
#endif
#endif
#ifndef IS_TRACED_AT_EXIT
#define IS_TRACED_AT_EXIT 0
#endif

/*
 * What libfcgi, libpq (with TLS, Kerberos and name resolution), jansson, libsodium, libcrypto, libcrypt and the C
 * library use to serve.
 */
static const int allowed[] = {
	/* descriptors */
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(pread64),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pwrite64),
	SCMP_SYS(close),
	SCMP_SYS(lseek),
	SCMP_SYS(dup),
	SCMP_SYS(dup2),
	SCMP_SYS(dup3),
	SCMP_SYS(pipe),
	SCMP_SYS(pipe2),
	SCMP_SYS(eventfd2),
	SCMP_SYS(fsync),
	SCMP_SYS(close_range),
	/* files: passfile, certificates, time zones, name services, the log */
	SCMP_SYS(open),
	SCMP_SYS(openat),
	SCMP_SYS(openat2),
	SCMP_SYS(stat),
	SCMP_SYS(fstat),
	SCMP_SYS(lstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(statfs),
	SCMP_SYS(fstatfs),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(getcwd),
	SCMP_SYS(umask),
	/* waiting */
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_pwait2),
	SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(futex),
	SCMP_SYS(sched_yield),
	SCMP_SYS(restart_syscall),
	/* connections */
	SCMP_SYS(accept),
	SCMP_SYS(accept4),
	SCMP_SYS(connect),
	SCMP_SYS(bind),
	SCMP_SYS(shutdown),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(socketpair),
	/* memory; what may be executed is seen to below */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(mlock),
	SCMP_SYS(munlock),
	SCMP_SYS(mlock2),
	SCMP_SYS(membarrier),
	/* signals of its own */
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(rt_sigpending),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(gettid),
	/* identity and time */
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getgroups),
	SCMP_SYS(getpgrp),
	SCMP_SYS(getsid),
	SCMP_SYS(uname),
	SCMP_SYS(sysinfo),
	SCMP_SYS(getrlimit),
	SCMP_SYS(getrusage),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(times),
	SCMP_SYS(getrandom),
	SCMP_SYS(getcpu),
	SCMP_SYS(rseq),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(set_tid_address),
	SCMP_SYS(arch_prctl),
	/* the end */
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
};

/*
 * What fcntl(2) and ioctl(2) are used for. Whatever gives a descriptor an owner, a signal or a lease is not among it:
 * with it, one of our processes could have any signal sent to another of the same user.
 */
static const int fcntl_allowed[] = {
	F_DUPFD,
	F_DUPFD_CLOEXEC,
	F_GETFD,
	F_SETFD,
	F_GETFL,
	/* Kerberos locks the cache of its tickets. */
	F_GETLK,
	F_SETLK,
	F_SETLKW,
	F_OFD_GETLK,
	F_OFD_SETLK,
	F_OFD_SETLKW,
};
static const int ioctl_allowed[] = {
	TCGETS,                    /* isatty(3) */
	FIONREAD,                  /* the resolver */
	FIONBIO,                   /* libcrypto */
	SIOCGIFINDEX, SIOCGIFNAME, /* addresses with a scope: fe80::1%eth0 */
};

/* No accident leads here. */
static const int deadly[] = {
	SCMP_SYS(execve),       SCMP_SYS(execveat),        SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
	SCMP_SYS(init_module),  SCMP_SYS(mount),           SCMP_SYS(pivot_root),       SCMP_SYS(bpf),
	SCMP_SYS(finit_module), SCMP_SYS(kexec_load),      SCMP_SYS(setuid),           SCMP_SYS(setresuid),
	SCMP_SYS(setgid),       SCMP_SYS(setresgid),       SCMP_SYS(unshare),          SCMP_SYS(setns),
	SCMP_SYS(userfaultfd),  SCMP_SYS(perf_event_open),
};

/* For the parent of other processes: these, the filter that they add, and their names. */
static const int parents[] = {
	SCMP_SYS(wait4), SCMP_SYS(waitid), SCMP_SYS(kill), SCMP_SYS(tgkill), SCMP_SYS(seccomp),
};
static const int prctl_allowed[] = {
	PR_SET_NAME, PR_GET_NAME, PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, PR_GET_SECCOMP,
};

/* A process or thread that sees other files, users or networks than this one. */
#define NAMESPACES                                                                                                     \
	((scmp_datum_t)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |   \
	                CLONE_NEWNET))

/* For files of applications: uploads, and what becomes of them. */
static const int for_files[] = {
	SCMP_SYS(linkat), SCMP_SYS(unlinkat), SCMP_SYS(fchmod), SCMP_SYS(sync_file_range), SCMP_SYS(sync_file_range2),
};

static const int traced_at_exit[] = {
	SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(ptrace),   SCMP_SYS(wait4),     SCMP_SYS(prctl),
	SCMP_SYS(kill),  SCMP_SYS(mmap),   SCMP_SYS(mprotect), SCMP_SYS(prlimit64), SCMP_SYS(getdents),
};

static int add_all(scmp_filter_ctx filter, uint32_t action, const int calls[], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		/* Not every call is there on every machine: those have a negative number, which the filter leaves out.
		 */
		int result = seccomp_rule_add(filter, action, calls[i], 0);

		if (result != 0)
			return result;
	}
	return 0;
}

/* Memory may not become executable: mapping libraries anew is what name services would do, and they manage without. */
static int add_memory(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp not_executable = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, not_executable);

	if (result == 0)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, not_executable);
	return result;
}

/* `call` with one of `values` as its argument `arg`. */
static int add_values(scmp_filter_ctx filter, int call, unsigned int arg, const int values[], size_t count)
{
	int result = 0;

	for (size_t i = 0; i < count && result == 0; i++)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
		                          ((struct scmp_arg_cmp){.arg = arg,
		                                                 .op = SCMP_CMP_EQ,
		                                                 .datum_a = (scmp_datum_t)(unsigned int)values[i]}));
	return result;
}

/*
 * TCP and Unix sockets, and the kernel's list of addresses, which the resolver looks at. No descriptor becomes one that
 * sends signals. Limits may only be read.
 */
static int add_guarded(scmp_filter_ctx filter)
{
	static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
	int result = add_values(filter, SCMP_SYS(socket), 0, families, sizeof families / sizeof families[0]);

	if (result == 0)
		result = add_values(filter, SCMP_SYS(fcntl), 1, fcntl_allowed,
		                    sizeof fcntl_allowed / sizeof fcntl_allowed[0]);
	if (result == 0)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 2, SCMP_A1(SCMP_CMP_EQ, F_SETFL, 0),
		                          SCMP_A2(SCMP_CMP_MASKED_EQ, O_ASYNC, 0));
	if (result == 0)
		result = add_values(filter, SCMP_SYS(ioctl), 1, ioctl_allowed,
		                    sizeof ioctl_allowed / sizeof ioctl_allowed[0]);
	/* For abort(3). */
	if (result == 0)
		result = seccomp_rule_add(
			filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
			((struct scmp_arg_cmp){.arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)getpid()}));
	if (result == 0)
		result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
		                          ((struct scmp_arg_cmp){.arg = 2, .op = SCMP_CMP_EQ, .datum_a = 0}));
	return result;
}

/*
 * clone(2) with `wanted` of its flags, and without a namespace. The flags of clone3(2) cannot be looked at: where there
 * is no such call, the C library does without.
 */
static int add_clone(scmp_filter_ctx filter, scmp_datum_t wanted)
{
	const struct scmp_arg_cmp flags = SCMP_A0(SCMP_CMP_MASKED_EQ, NAMESPACES | wanted, wanted);
	int result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);

	return result == 0 ? seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, flags) : result;
}

static int add_parents(scmp_filter_ctx filter)
{
	int result = add_clone(filter, 0);

	if (result == 0)
		result = add_all(filter, SCMP_ACT_ALLOW, parents, sizeof parents / sizeof parents[0]);
	return result == 0 ? add_values(filter, SCMP_SYS(prctl), 0, prctl_allowed,
	                                sizeof prctl_allowed / sizeof prctl_allowed[0])
	                   : result;
}

int sandbox_enter(struct problem *problem)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    (!IS_TRACED_AT_EXIT && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0))
		return problem_set_errno(problem);
	return 0;
}

unsigned int sandbox_files(const struct ones_app *app)
{
	return folders_are_used(app) ? SANDBOX_FILES : 0;
}

int sandbox_restrict(unsigned int more)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int result;

	if (filter == NULL) {
		errno = ENOMEM;
		return -1;
	}
	/* A tree instead of a list to go through at each call. */
	result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	/* Threads that are there already, too. */
	if (result == 0)
		result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (result == 0)
		result = add_all(filter, SCMP_ACT_ALLOW, allowed, sizeof allowed / sizeof allowed[0]);
	if (result == 0 && (more & SANDBOX_FILES) != 0)
		result = add_all(filter, SCMP_ACT_ALLOW, for_files, sizeof for_files / sizeof for_files[0]);
	if (result == 0)
		result = add_all(filter, SCMP_ACT_KILL_PROCESS, deadly, sizeof deadly / sizeof deadly[0]);
	if (result == 0 && IS_TRACED_AT_EXIT)
		result = add_all(filter, SCMP_ACT_ALLOW, traced_at_exit,
		                 sizeof traced_at_exit / sizeof traced_at_exit[0]);
	else if (result == 0)
		result = seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(ptrace), 0);
	if (result == 0 && !IS_TRACED_AT_EXIT)
		result = add_memory(filter);
	if (result == 0)
		result = add_guarded(filter);
	if (result == 0 && (more & SANDBOX_THREADS) != 0 && !IS_TRACED_AT_EXIT)
		result = add_clone(filter, CLONE_THREAD);
	if (result == 0 && (more & SANDBOX_CHILDREN) != 0)
		result = IS_TRACED_AT_EXIT
		                 ? add_all(filter, SCMP_ACT_ALLOW, parents, sizeof parents / sizeof parents[0])
		                 : add_parents(filter);
	if (result == 0)
		result = seccomp_load(filter);
	seccomp_release(filter);
	errno = -result;
	return result == 0 ? 0 : -1;
}

/*
 * What a worker, or a job, says when it crashes. The handler allocates nothing and takes no lock that a crash could
 * leave taken, but for syslog(3) where that is the log: should it hang, the master kills the process.
 */
#include "pool/crash.h"

#include "api/exchange.h"
#include "api/jobs.h"
#include "api/routes.h"
#include "base/log.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unwind.h>

#define FRAMES_MAX 48
#define STACK_SIZE 65536

/* A handler gets nothing but the signal's number. */
static struct {
	const struct ones_app *app;
	const struct modules *modules;
	_Alignas(16) char stack[STACK_SIZE]; /* that of the process may be what has run out */
} state;

static const struct {
	int number;
	const char *name;
} crashes[] = {
	{SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"}, {SIGFPE, "SIGFPE"}, {SIGILL, "SIGILL"}, {SIGABRT, "SIGABRT"},
};

static const char *signal_name(int signal)
{
	for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++) {
		if (crashes[i].number == signal)
			return crashes[i].name;
	}
	return "";
}

/* A module is loaded from a descriptor, whose name tells nobody anything. */
static const char *path_of(const char *loaded)
{
	for (size_t i = 0; i < state.modules->count; i++) {
		char path[64];

		(void)snprintf(path, sizeof path, "/proc/self/fd/%d", state.modules->files[i]->fd);
		if (strcmp(path, loaded) == 0)
			return state.modules->files[i]->path;
	}
	return loaded;
}

/* "/opt/cinema.so+0x1139 (show+0x12)": the first two are what addr2line(1) takes. */
static void log_frame(size_t number, const void *address)
{
	char text[512] = "?";
	uintptr_t at = (uintptr_t)address;
	Dl_info info;

	if (dladdr(address, &info) != 0 && info.dli_fname != NULL) {
		const char *path = path_of(info.dli_fname);
		uintptr_t offset = at - (uintptr_t)info.dli_fbase;

		if (info.dli_sname != NULL)
			(void)snprintf(text, sizeof text, "%s+0x%zx (%s+0x%zx)", path, (size_t)offset, info.dli_sname,
			               (size_t)(at - (uintptr_t)info.dli_saddr));
		else
			(void)snprintf(text, sizeof text, "%s+0x%zx", path, (size_t)offset);
	}
	log_error(state.app->job != NULL ? "job_crashed_at" : "worker_crashed_at", LOG_INT("frame", (int64_t)number),
	          LOG_STR("at", text));
}

struct trace {
	void *frames[FRAMES_MAX];
	size_t count;
};

static _Unwind_Reason_Code add_frame(struct _Unwind_Context *context, void *argument)
{
	struct trace *trace = argument;

	trace->frames[trace->count++] = (void *)_Unwind_GetIP(context);
	return trace->count < FRAMES_MAX ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static void on_crash(int signal)
{
	const struct ones_app *app = state.app;
	const struct route *route = app->request != NULL ? app->request->route : NULL;
	struct trace trace = {.count = 0};

	(void)_Unwind_Backtrace(add_frame, &trace);
	log_set_module(NULL);
	log_set_job(NULL);
	if (app->job != NULL)
		log_error("job_crashed", LOG_STR("signal", signal_name(signal)),
		          LOG_STR("module", app->job->module->name), LOG_STR("job", app->job->declared.name));
	else
		log_error("worker_crashed", LOG_STR("signal", signal_name(signal)),
		          LOG_STR("module", app->current != NULL ? app->current->name : ""),
		          LOG_STR("route", route != NULL ? route->declared.path : ""));
	/* The first two are this function and what the kernel returns to from it. */
	for (size_t i = 2; i < trace.count; i++)
		log_frame(i - 2, trace.frames[i]);
	/* Its handler is the default one by now. */
	(void)raise(signal);
}

int crash_install(const struct ones_app *app, const struct modules *modules)
{
	const stack_t stack = {.ss_sp = state.stack, .ss_size = sizeof state.stack};
	struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | (int)SA_RESETHAND};
	struct trace trace = {.count = 0};

	state.app = app;
	state.modules = modules;
	/* Finds out at its first call what is loaded. */
	(void)_Unwind_Backtrace(add_frame, &trace);
	/* A fault in the handler is one that is blocked: the kernel ends the process. */
	sigfillset(&action.sa_mask);
	if (sigaltstack(&stack, NULL) != 0)
		return -1;
	for (size_t i = 0; i < sizeof crashes / sizeof crashes[0]; i++) {
		if (sigaction(crashes[i].number, &action, NULL) != 0)
			return -1;
	}
	return 0;
}

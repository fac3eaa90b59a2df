/* The application: its routes and receivers, and what a process needs to serve with them. Made once, before any fork.
 */
#ifndef API_APP_H
#define API_APP_H

#include "api/folders.h"
#include "base/key_from.h"
#include "base/links.h"
#include "base/networks.h"
#include "base/scoreboard.h"
#include "base/settings.h"
#include "http/page.h"
#include "onesession.h"
#include "session/rule.h"

#include <stdint.h>
#include <talloc.h>

/* With the daemon's own. */
#define APP_MODULES_MAX 33

struct http_client;
struct job;
struct module;
struct route;
struct service;

struct ones_app {
	const struct settings *settings;
	const struct pages *pages;
	struct scoreboard *board;
	struct key_from key_from; /* session.key_from */
	struct networks *operators;
	struct networks *api_clients;
	const struct links *links; /* login.links */
	struct signals *signals;
	struct module *modules[APP_MODULES_MAX]; /* see module.h; the daemon's own is the first */
	size_t module_count;
	struct module *current; /* whose setup, start, stop, handler or receiver runs; NULL: none */
	struct route *routes;   /* see routes.h */
	size_t route_count;
	struct folders folders;
	struct job *jobs; /* see jobs.h */
	size_t job_count;
	struct service *services; /* see services.h */
	size_t service_count;
	struct http_client *http_client; /* of this process; NULL: it has called no service yet */
	const struct job *job;           /* which this process runs at this moment; NULL: none */
	struct process_slot *process;    /* this one's; NULL: it is none of those that serve */
	int mail_program;                /* see mail_program_serve(); -1: it was not called here */
	pid_t mail_program_pid;
	bool runs_one_job;                  /* this process does (--run-job), and ends when that is done */
	bool keeps_guards;                  /* some workers run no foreign route (server.guard_workers) */
	const struct ones_request *request; /* whose handler runs; NULL: none */
	const char *setup_problem;          /* what was wrong with a call during setup; NULL: nothing */
	struct rule rule;                   /* its db is this process's own; NULL in one that has none */
	uint32_t process_id_part;           /* of the ids of requests that the web server has not named */
	uint32_t request_count;
	size_t touch_count; /* sessions that were seen, for app_start_touch() */
	struct session_key touches[RULE_KEYS_MAX];
};

/*
 * The application without modules and routes as yet, before any fork; `settings`, `pages` and `board` are kept. NULL
 * when out of memory. What goes wrong while routes and receivers are added is in setup_problem.
 */
struct ones_app *app_new(TALLOC_CTX *ctx, const struct settings *settings, const struct pages *pages,
                         struct scoreboard *board);

/* Give this process its own database connection, after the fork. It connects at the first use. 0, or -1: no memory. */
int app_open_database(struct ones_app *app, const char *application_name);

/*
 * A connection to the database, not yet made, as `settings` say; for those that need one outside the app. `counters`
 * may be NULL. NULL when out of memory.
 */
struct db *app_new_database(TALLOC_CTX *ctx, const struct settings *settings, struct counters *counters,
                            const char *application_name);

/*
 * The same for a job, of which a statement may take as long as the job, and which is waited for rather than reported
 * when there is no database.
 */
struct db *app_new_job_database(TALLOC_CTX *ctx, const struct settings *settings, const char *application_name,
                                int64_t timeout_ms);

#endif

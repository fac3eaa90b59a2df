/* The jobs of an application: those that modules declare by ones_job(), and the daemon's own; and running one. */
#ifndef API_JOBS_H
#define API_JOBS_H

#include "api/module.h"
#include "base/job_table.h"

#include <stdbool.h>
#include <stdint.h>
#include <talloc.h>

/* The shortest pause between two runs. */
#define JOB_EVERY_MIN_MS INT64_C(1000)

struct job {
	struct ones_job declared;
	struct module *module;
	const char *full_name; /* "MODULE.NAME" */
	int64_t timeout_ms;
	int64_t first_ms;       /* the pause before its first run: of the daemon's own after each start, else ever */
	bool is_own;            /* of the daemon: at its end it is not waited for */
	bool ends_itself;       /* but this one is told to end, by SIGTERM, and waited for like those of modules */
	struct job_slot *shown; /* what is known of it on this host */
};

/*
 * Add a job of the daemon's own. Its function may be ended at any time; or it `ends_itself` when SIGTERM is pending.
 * Returns 0, or -1: out of memory.
 */
int jobs_add_own(struct ones_app *app, const struct ones_job *declared, bool ends_itself);

/* The job of that name, "MODULE.NAME"; NULL when there is none. */
const struct job *job_find(const struct ones_app *app, const char *full_name);

/* How long to wait after its run: `failed` of them in a row, 0: it went well. */
int64_t job_pause_ms(const struct job *job, uint64_t failed);

/*
 * Run it in this process, until clock_monotonic_ms() is `until_ms` at the most, with the database connection `db`. Its
 * memory is on `ctx`. Returns what its function returned, or ONES_RESULT_FAILED after it has misread a column.
 */
enum ones_result job_run_here(struct ones_app *app, const struct job *job, struct db *db, TALLOC_CTX *ctx,
                              int64_t until_ms);

/* The job that runs in this process at this moment, for calls that have no request. */
struct job_now {
	struct ones_app *app; /* NULL: none runs */
	const struct ones_db *db;
};

const struct job_now *job_now(void);

/* "failed", "unavailable" and so on, for the log. */
const char *job_returned_text(enum ones_result result);

#endif

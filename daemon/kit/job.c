/* Running a module's job in its tests. */
#include "api/jobs.h"
#include "base/clock.h"
#include "kit/kit.h"

static const struct job *find(const struct ones_test *test, const char *name)
{
	char *full_name = talloc_asprintf(NULL, "%s.%s", test->module->name, name);
	const struct job *job = full_name != NULL ? job_find(test->app, full_name) : NULL;

	talloc_free(full_name);
	return job;
}

enum ones_result ones_test_run_job(struct ones_test *test, const char *name)
{
	const struct job *job = find(test, name);
	TALLOC_CTX *ctx = talloc_new(NULL);
	enum ones_result result;

	if (job == NULL || ctx == NULL) {
		kit_complain("ones_test_run_job", "%s: the module has no job of this name", name);
		talloc_free(ctx);
		return ONES_RESULT_FAILED;
	}
	result = job_run_here(test->app, job, test->db.db, ctx, clock_monotonic_ms() + job->timeout_ms);
	talloc_free(ctx);
	return result;
}

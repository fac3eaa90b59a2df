/* Which host runs a job: a row of the table `jobs`. */
#include "session/job_claims.h"

#include "session/sql.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/utsname.h>

void job_run_number(struct job_run *run)
{
	randombytes_buf(run->number, sizeof run->number);
}

void job_run_name(struct job_run *run)
{
	struct utsname system;

	(void)snprintf(run->run, sizeof run->run, "%016" PRIx64 "%016" PRIx64, run->number[0], run->number[1]);
	(void)snprintf(run->host, sizeof run->host, "%s", uname(&system) == 0 ? system.nodename : "");
}

enum db_status job_claim(struct db *db, TALLOC_CTX *ctx, const struct job_run *run, struct job_claim *claim)
{
	const struct db_value values[] = {DB_TEXT(run->name),     DB_INT(run->every_ms), DB_INT(run->lease_ms),
	                                  DB_TEXT(run->run),      DB_TEXT(run->host),    DB_INT(run->first_ms),
	                                  DB_BOOL(run->is_forced)};
	struct db_result *row;
	enum db_status status = db_query(db, ctx, &sql_claim_job, values, 7, &row);

	/* The statement that has made the row does not see it. */
	if (status == DB_OK && run->is_forced && !db_bool(row, 0, JOB_CLAIM_IS_KNOWN))
		status = db_query(db, ctx, &sql_claim_job, values, 7, &row);
	if (status != DB_OK)
		return status;
	*claim = (struct job_claim){
		.is_taken = db_bool(row, 0, JOB_CLAIM_IS_TAKEN),
		.is_running = db_bool(row, 0, JOB_CLAIM_IS_RUNNING),
		.wait_ms = db_int(row, 0, JOB_CLAIM_WAIT_MS),
		.lost_host = db_text(row, 0, JOB_CLAIM_LOST_HOST),
	};
	return DB_OK;
}

enum db_status job_finish(struct db *db, const struct job_run *run, const char *result, int64_t *wait_ms)
{
	const struct db_value values[] = {DB_TEXT(run->name), DB_INT(run->every_ms), DB_TEXT(run->run), DB_TEXT(result),
	                                  DB_INT(JOB_PAUSE_MAX_MS)};

	return db_query_int(db, &sql_finish_job, values, 5, wait_ms);
}

enum db_status job_keep(struct db *db, const struct job_run *run)
{
	const struct db_value values[] = {DB_TEXT(run->name), DB_TEXT(run->run), DB_INT(run->lease_ms)};

	return db_query(db, NULL, &sql_keep_job, values, 3, NULL);
}

/* The daemon's own job: the purge of what has expired. */
#include "api/purge_job.h"

#include "api/exchange.h"
#include "api/jobs.h"
#include "base/clock.h"
#include "base/log.h"
#include "session/module_sql.h"
#include "session/sessions.h"

/*
 * When its host is lost, the others wait for as long. What is not done by the half of that is left to the next run, for
 * one that had to be killed would count as a failure.
 */
#define PURGE_TIMEOUT_MS INT64_C(600000)

static void log_purged(const struct purge_counts *counts)
{
	if (counts->sessions + counts->ended_sessions + counts->events + counts->login_tickets +
	            counts->login_failures + counts->known_browsers + counts->anonymous_sessions + counts->signups +
	            counts->mails + counts->mail_tokens + counts->accounts >
	    0)
		log_info("purged", LOG_INT("sessions", counts->sessions),
		         LOG_INT("ended_sessions", counts->ended_sessions), LOG_INT("events", counts->events),
		         LOG_INT("login_tickets", counts->login_tickets),
		         LOG_INT("login_failures", counts->login_failures),
		         LOG_INT("known_browsers", counts->known_browsers),
		         LOG_INT("anonymous_sessions", counts->anonymous_sessions), LOG_INT("signups", counts->signups),
		         LOG_INT("mails", counts->mails), LOG_INT("mail_tokens", counts->mail_tokens),
		         LOG_INT("accounts", counts->accounts));
}

static enum ones_result purge(struct ones_db *db, void *context)
{
	const struct settings *settings = context;
	const struct purge_policy policy = {
		.idle_timeout_ms = settings->session.idle_timeout,
		.history_ms = settings->session.history,
		.attempts_window_ms = settings->login.attempts_window,
		.signals = db->signals,
		.until_ms = clock_monotonic_ms() + PURGE_TIMEOUT_MS / 2,
	};
	struct purge_counts counts = {0};
	bool busy = false;
	enum db_status status = sessions_purge(db->db, &policy, &counts, &busy, NULL);

	log_purged(&counts);
	return exchange_result(status);
}

int purge_job_add(struct ones_app *app)
{
	const int64_t interval = app->settings->session.purge_interval;
	const struct ones_job job = {
		.name = "purge",
		.every_ms = interval < JOB_EVERY_MIN_MS ? JOB_EVERY_MIN_MS : interval,
		.timeout_ms = PURGE_TIMEOUT_MS,
		.run = purge,
		.context = (void *)(uintptr_t)app->settings,
	};

	return interval == 0 ? 0 : jobs_add_own(app, &job, false);
}

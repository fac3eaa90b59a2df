/* What is said of each mail. */
#include "api/mail_log.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* A copy of what was wrong, in which the local part of the address is left out: servers like to repeat it. */
struct hidden {
	char text[MAIL_PROBLEM_SIZE];
};

static struct hidden without_address(const char *problem, const char *address)
{
	const char *at = strrchr(address, '@');
	size_t local = at != NULL ? (size_t)(at - address) : 0;
	struct hidden hidden = {.text = ""};
	size_t used = 0;

	while (*problem != '\0' && used + 4 < sizeof hidden.text) {
		if (local > 0 && strncasecmp(problem, address, local) == 0 && problem[local] == '@') {
			memcpy(hidden.text + used, "...", 3);
			used += 3;
			problem += local;
		} else {
			hidden.text[used++] = *problem++;
		}
	}
	return hidden;
}

static void count(const struct ones_app *app, enum mail_count what)
{
	(void)atomic_fetch_add(&app->board->mail.counts[what], 1);
}

#define ABOUT(row)                                                                                                     \
	LOG_INT("mail", (row)->id), LOG_STR("module", (row)->module), LOG_STR("kind", (row)->kind),                    \
		LOG_INT("user_id", (row)->user_id), LOG_STR("domain", mail_row_domain(row))

void mail_log_sent(const struct ones_app *app, const struct mail_row *row, int64_t took_ms)
{
	count(app, MAIL_COUNT_SENT);
	log_info("mail_sent", ABOUT(row), LOG_INT("ms", took_ms));
}

void mail_log_deferred(const struct ones_app *app, const struct mail_row *row, const struct mail_result *result,
                       int64_t pause_ms)
{
	const struct hidden problem = without_address(result->problem, row->address);

	count(app, MAIL_COUNT_DEFERRED);
	if (result->outcome == MAIL_OUTCOME_UNKNOWN)
		log_warning("mail_unconfirmed", ABOUT(row), LOG_STR("problem", problem.text),
		            LOG_INT("again_in_ms", pause_ms));
	else
		log_warning("mail_deferred", ABOUT(row), LOG_STR("problem", problem.text),
		            LOG_INT("again_in_ms", pause_ms));
}

void mail_log_dead(const struct ones_app *app, const struct mail_row *row, const char *problem)
{
	const struct hidden hidden = without_address(problem, row->address);

	count(app, MAIL_COUNT_DEAD);
	log_warning("mail_dead", ABOUT(row), LOG_STR("problem", hidden.text));
}

void mail_log_limited(const struct ones_app *app, const struct mail_row *row)
{
	count(app, MAIL_COUNT_LIMITED);
	log_info("mail_limited", ABOUT(row));
}

void mail_log_forgotten(const struct mail_row *row, const char *why)
{
	log_debug("mail_forgotten", ABOUT(row), LOG_STR("why", why));
}

/* ---- Metrics ------------------------------------------------------------------------------------------------- */

void mail_log_metrics(const struct ones_app *app, struct openmetrics *metrics)
{
	static const char *const names[MAIL_COUNT_COUNT] = {
		[MAIL_COUNT_SENT] = "sent",
		[MAIL_COUNT_DEFERRED] = "deferred",
		[MAIL_COUNT_DEAD] = "dead",
		[MAIL_COUNT_LIMITED] = "limited",
	};
	const struct mail_gauges *mail = &app->board->mail;

	openmetrics_family(metrics, "mails", "_total", "counter",
	                   "Mails by what became of them, and tries that failed.");
	for (int i = 0; i < MAIL_COUNT_COUNT; i++)
		openmetrics_put(metrics, "onesession_mails_total{result=\"%s\"} %" PRIu64 "\n", names[i],
		                atomic_load(&mail->counts[i]));
	openmetrics_gauge(metrics, "mails_queued", atomic_load(&mail->queued), "Mails that wait, over all hosts.");
	openmetrics_gauge(metrics, "mails_oldest_seconds", atomic_load(&mail->oldest_ms) / 1000,
	                  "For how long the oldest of them has waited.");
	openmetrics_gauge(metrics, "mail_server_is_away", atomic_load(&mail->pause_ms) > 0,
	                  "Whether this host waits for the mail server to be back.");
}

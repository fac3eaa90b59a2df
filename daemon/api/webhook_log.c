/* What is said and counted of events that are sent to webhooks. */
#include "api/webhook_log.h"

#include "base/log.h"

#include <inttypes.h>

static void count(const struct ones_app *app, enum webhook_count what, uint64_t number)
{
	(void)atomic_fetch_add(&app->board->webhooks.counts[what], number);
}

void webhook_log_delivered(const struct ones_app *app, const struct target *target, size_t number)
{
	count(app, WEBHOOK_COUNT_DELIVERED, number);
	log_debug("webhook_delivered", LOG_INT("webhook", target->id), LOG_INT("events", (int64_t)number));
}

void webhook_log_failed(const struct ones_app *app, const struct delivery *delivery, int64_t pause_ms, bool is_dead)
{
	count(app, WEBHOOK_COUNT_FAILED, 1);
	if (is_dead) {
		count(app, WEBHOOK_COUNT_DEAD, 1);
		log_warning("webhook_dead", LOG_INT("webhook", delivery->target->id),
		            LOG_STR("message", delivery->due.message_id), LOG_STR("problem", delivery->result.problem));
		return;
	}
	log_warning("webhook_failed", LOG_INT("webhook", delivery->target->id),
	            LOG_STR("message", delivery->due.message_id), LOG_STR("problem", delivery->result.problem),
	            LOG_INT("attempt", delivery->due.attempts + 1), LOG_INT("again_in_ms", pause_ms));
}

void webhook_log_given_up(const struct ones_app *app, int64_t number)
{
	count(app, WEBHOOK_COUNT_DEAD, (uint64_t)number);
	log_warning("webhook_dead", LOG_INT("events", number),
	            LOG_STR("problem", "they have waited for a day, or their webhook is disabled"));
}

void webhook_log_disabled(const struct ones_app *app, const struct delivery *delivery, int64_t dead)
{
	count(app, WEBHOOK_COUNT_FAILED, 1);
	count(app, WEBHOOK_COUNT_DEAD, (uint64_t)dead);
	log_warning("webhook_disabled", LOG_INT("webhook", delivery->target->id),
	            LOG_STR("problem", delivery->result.problem), LOG_INT("events", dead));
}

void webhook_log_lost(const struct target *target)
{
	log_info("webhook_lost", LOG_INT("webhook", target->id));
}

void webhook_log_paused(const struct target *target)
{
	log_warning("webhook_paused", LOG_INT("webhook", target->id), LOG_INT("failures", target->failures),
	            LOG_INT("again_in_ms", target->pause_ms));
}

void webhook_log_metrics(const struct ones_app *app, struct openmetrics *metrics)
{
	static const char *const names[WEBHOOK_COUNT_COUNT] = {
		[WEBHOOK_COUNT_DELIVERED] = "delivered",
		[WEBHOOK_COUNT_FAILED] = "failed",
		[WEBHOOK_COUNT_DEAD] = "dead",
	};
	const struct webhook_gauges *gauges = &app->board->webhooks;

	openmetrics_family(metrics, "webhook_events", "_total", "counter",
	                   "Events to webhooks by what became of them, and tries that failed.");
	for (int i = 0; i < WEBHOOK_COUNT_COUNT; i++)
		openmetrics_put(metrics, "onesession_webhook_events_total{result=\"%s\"} %" PRIu64 "\n", names[i],
		                atomic_load(&gauges->counts[i]));
	openmetrics_gauge(metrics, "webhook_events_pending", atomic_load(&gauges->pending),
	                  "Events that are still to be sent to webhooks, over all hosts.");
	openmetrics_gauge(metrics, "webhook_events_dead", atomic_load(&gauges->dead),
	                  "Events that were given up, until an operator has them sent again.");
	openmetrics_gauge(metrics, "webhook_oldest_seconds", atomic_load(&gauges->oldest_ms) / 1000,
	                  "For how long the oldest event that is still to be sent has waited.");
}

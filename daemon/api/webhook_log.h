/* What is said and counted of events that are sent to webhooks. */
#ifndef API_WEBHOOK_LOG_H
#define API_WEBHOOK_LOG_H

#include "api/module.h"
#include "api/openmetrics.h"
#include "api/webhook_target.h"

void webhook_log_delivered(const struct ones_app *app, const struct target *target, size_t count);
void webhook_log_failed(const struct ones_app *app, const struct delivery *delivery, int64_t pause_ms, bool is_dead);
void webhook_log_given_up(const struct ones_app *app, int64_t count);
void webhook_log_disabled(const struct ones_app *app, const struct delivery *delivery, int64_t dead);
/* Another process has it, it was removed, or it is disabled. */
void webhook_log_lost(const struct target *target);

void webhook_log_paused(const struct target *target);

void webhook_log_metrics(const struct ones_app *app, struct openmetrics *metrics);

#endif

/*
 * What is said of mails, in the log and in the metrics. Of an address the log has the domain; who it is, is said by
 * the account's number.
 */
#ifndef API_MAIL_LOG_H
#define API_MAIL_LOG_H

#include "api/app.h"
#include "api/openmetrics.h"
#include "mail/outcome.h"
#include "session/mails.h"

#include <stdint.h>

void mail_log_sent(const struct ones_app *app, const struct mail_row *row, int64_t took_ms);
void mail_log_deferred(const struct ones_app *app, const struct mail_row *row, const struct mail_result *result,
                       int64_t pause_ms);
void mail_log_dead(const struct ones_app *app, const struct mail_row *row, const char *problem);
void mail_log_limited(const struct ones_app *app, const struct mail_row *row);
void mail_log_forgotten(const struct mail_row *row, const char *why);

/* What was counted, and how long the queue is. */
void mail_log_metrics(const struct ones_app *app, struct openmetrics *metrics);

#endif

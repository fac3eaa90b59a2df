/* What operators see of jobs: in /status and /metrics. It is what this host knows. */
#ifndef API_JOB_STATUS_H
#define API_JOB_STATUS_H

#include "api/module.h"
#include "api/openmetrics.h"

#include <jansson.h>

/* The jobs of a module as a list: a new reference, NULL when it has none, or out of memory. */
json_t *job_status_json(const struct ones_app *app, const struct module *module);

/* Families of those that have run; without any of these there are none. */
void job_status_metrics(const struct ones_app *app, struct openmetrics *metrics);

#endif

/* The job that sends events to webhooks, on each host. */
#ifndef API_WEBHOOK_JOB_H
#define API_WEBHOOK_JOB_H

#include "api/module.h"
#include "base/problem.h"

#include <stdint.h>

/* Returns 0, or -1 with *problem. */
int webhook_job_add(struct ones_app *app, struct problem *problem);

/*
 * Once in a process that is to run it, before it is restricted: what looking names up loads late is loaded, for as long
 * as `patience_ms`. Where it sends to no webhooks, nothing is. Returns 0, or -1 with *problem.
 */
int webhook_job_prepare(const struct ones_app *app, int64_t patience_ms, struct problem *problem);

#endif

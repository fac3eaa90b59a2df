/* The daemon's own job that sends mail. */
#ifndef API_MAIL_JOB_H
#define API_MAIL_JOB_H

#include "api/app.h"
#include "base/problem.h"

/*
 * Add it, if there is mail to be sent (mail.server). What it reads when it runs is looked at: 0, or -1 with *problem.
 */
int mail_job_add(struct ones_app *app, struct problem *problem);

/*
 * In the process from which jobs are forked, before it is restricted: see http_client_prepare() and
 * mail_program_serve(). Returns 0, or -1 with *problem.
 */
int mail_job_prepare(struct ones_app *app, int64_t patience_ms, struct problem *problem);

#endif

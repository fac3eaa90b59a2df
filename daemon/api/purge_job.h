/* The daemon's own job: the purge of what has expired. */
#ifndef API_PURGE_JOB_H
#define API_PURGE_JOB_H

#include "api/app.h"

/* Add it, unless session.purge_interval is 0. Returns 0, or -1: out of memory. */
int purge_job_add(struct ones_app *app);

#endif

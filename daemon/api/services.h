/* HTTP services that modules have declared, and calls to them: behind ones_service() and ones_call(). */
#ifndef API_SERVICES_H
#define API_SERVICES_H

#include "api/module.h"
#include "api/openmetrics.h"
#include "base/service_table.h"

#include <jansson.h>
#include <stdint.h>

struct service {
	const char *name, *address;
	const struct module *module;
	struct service_counters *counters;
};

/* The one that the module whose code runs has declared by that name; NULL when there is none. */
const struct service *services_find(const struct ones_app *app, const char *name);

/*
 * In a process that is about to be restricted, after setup: prepare it for calls, if any service was declared. A name
 * server is waited for as long as `patience_ms`. Returns 0, or -1 with *problem.
 */
int services_prepare(const struct ones_app *app, int64_t patience_ms, struct problem *problem);

/* The services of a module as a list: a new reference, NULL when it has none, or out of memory. */
json_t *services_json(const struct ones_app *app, const struct module *module);

/* Families of calls; without any call there are none. */
void services_metrics(const struct ones_app *app, struct openmetrics *metrics);

#endif

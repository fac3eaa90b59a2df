/* HTTP services that modules have declared. */
#include "api/services.h"

#include "base/config_sections.h"
#include "http/client.h"

#include <inttypes.h>
#include <string.h>

/* ---- Declaring ----------------------------------------------------------------------------------------------- */

const struct service *services_find(const struct ones_app *app, const char *name)
{
	for (size_t i = 0; i < app->service_count; i++) {
		if (app->services[i].module == app->current && strcmp(app->services[i].name, name) == 0)
			return &app->services[i];
	}
	return NULL;
}

/* False when there is no room for it. */
static bool add(struct ones_app *app, const char *name, const char *address)
{
	struct service *services;
	uint32_t number = names_claim(app->board->services.names, SERVICE_TABLE_SIZE, app->current->name, name);

	if (app->service_count == SERVICE_TABLE_SIZE)
		return false;
	services = talloc_realloc(app, app->services, struct service, (unsigned int)app->service_count + 1);
	if (services == NULL)
		return false;
	app->services = services;
	services[app->service_count++] = (struct service){
		.name = name,
		.address = address,
		.module = app->current,
		.counters = &app->board->services.counters[number],
	};
	return true;
}

void ones_service(struct ones_app *app, const char *name, const char *key)
{
	const char *module = app->current->name;
	const char *address = ones_setting(app, key);
	const char *problem = address != NULL ? http_client_address_problem(address) : NULL;

	if (!config_section_can_be(name) || services_find(app, name) != NULL)
		module_refuse(
			app, talloc_asprintf(app,
		                             "service %s: its name is another one's, or not a letter and then letters, "
		                             "digits and _, all of them small, up to 31",
		                             name));
	else if (address == NULL)
		module_refuse(app, talloc_asprintf(app,
		                                   "[%s] %s is missing: the address of the service %s, such as "
		                                   "http://127.0.0.1:8000",
		                                   module, key, name));
	else if (problem != NULL)
		module_refuse(app, talloc_asprintf(app, "[%s] %s, the address of the service %s, is %s", module, key,
		                                   name, problem));
	else if (!add(app, name, address))
		module_refuse(app, talloc_asprintf(app, "service %s: there are %d already, or no memory is left", name,
		                                   SERVICE_TABLE_SIZE));
}

int services_prepare(const struct ones_app *app, int64_t patience_ms, struct problem *problem)
{
	const char *addresses[SERVICE_TABLE_SIZE];

	if (app->service_count == 0)
		return 0;
	for (size_t i = 0; i < app->service_count; i++)
		addresses[i] = app->services[i].address;
	if (http_client_prepare(addresses, app->service_count, patience_ms) != 0)
		return problem_set(problem, "calls to services cannot be prepared: out of memory or of threads");
	return 0;
}

/* ---- What operators see -------------------------------------------------------------------------------------- */

json_t *services_json(const struct ones_app *app, const struct module *module)
{
	json_t *list = NULL;

	for (size_t i = 0; i < app->service_count; i++) {
		const struct service *service = &app->services[i];
		uint64_t failed = atomic_load(&service->counters->failed);

		if (service->module != module)
			continue;
		if (list == NULL)
			list = json_array();
		if (json_array_append_new(list,
		                          json_pack("{s:s, s:I, s:I, s:f}", "name", service->name, "requests",
		                                    (json_int_t)(failed + atomic_load(&service->counters->answered)),
		                                    "errors", (json_int_t)failed, "seconds",
		                                    (double)atomic_load(&service->counters->duration_us) / 1e6)) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static bool was_called(const struct service *service)
{
	return atomic_load(&service->counters->answered) + atomic_load(&service->counters->failed) > 0;
}

/* Names of modules and services have nothing that would have to be escaped. */
static void put_calls(struct openmetrics *metrics, const struct service *service, const char *result, uint64_t count)
{
	if (count > 0)
		openmetrics_put(metrics,
		                "onesession_service_calls_total{module=\"%s\",service=\"%s\",result=\"%s\"} %" PRIu64
		                "\n",
		                service->module->name, service->name, result, count);
}

void services_metrics(const struct ones_app *app, struct openmetrics *metrics)
{
	bool is_any = false;

	for (size_t i = 0; i < app->service_count; i++)
		is_any = is_any || was_called(&app->services[i]);
	if (!is_any)
		return;
	openmetrics_family(metrics, "service_calls", "_total", "counter",
	                   "Calls of modules to services, with an answer and without.");
	for (size_t i = 0; i < app->service_count; i++) {
		put_calls(metrics, &app->services[i], "answered", atomic_load(&app->services[i].counters->answered));
		put_calls(metrics, &app->services[i], "unavailable", atomic_load(&app->services[i].counters->failed));
	}
	openmetrics_family(metrics, "service_seconds", "_total", "counter", "How long these calls took, in all.");
	for (size_t i = 0; i < app->service_count; i++) {
		if (was_called(&app->services[i]))
			openmetrics_put(metrics,
			                "onesession_service_seconds_total{module=\"%s\",service=\"%s\"} %.6f\n",
			                app->services[i].module->name, app->services[i].name,
			                (double)atomic_load(&app->services[i].counters->duration_us) / 1e6);
	}
}

/* Setting up the application: what it is made of, its receivers and its database connection. */
#include "api/app.h"

#include "api/event_receivers.h"
#include "api/module.h"
#include "api/page_values.h"
#include "base/config_sections.h"
#include "base/log.h"
#include "session/rule_receivers.h"
#include "session/schema.h"

static struct rule_policy policy_of(const struct settings *settings)
{
	const bool cools_down = settings->sharing.action == SHARING_COOLDOWN;

	return (struct rule_policy){
		.max_sessions = settings->session.max_sessions,
		.on_limit = settings->session.on_limit,
		.sharing = {.takeovers = settings->sharing.takeovers,
	                    .window_ms = settings->sharing.window,
	                    .cooldown_ms = cools_down ? settings->sharing.cooldown : 0},
		.lifetime = settings->session.lifetime,
		.idle_timeout = settings->session.idle_timeout,
		.touch_interval = settings->session.touch_interval,
	};
}

struct ones_app *app_new(TALLOC_CTX *ctx, const struct settings *settings, const struct pages *pages,
                         struct scoreboard *board)
{
	struct ones_app *app = talloc_zero(ctx, struct ones_app);
	const char *wrong;

	if (app == NULL)
		return NULL;
	app->settings = settings;
	app->pages = pages;
	app->board = board;
	app->mail_program = -1;
	(void)key_from_parse(settings->session.key_from, &app->key_from);
	app->operators = networks_parse(app, settings->server.operators, &wrong);
	app->api_clients = networks_parse(app, settings->api.clients, &wrong);
	app->links = links_parse(app, settings->login.links, &wrong);
	app->signals = signals_new(app, app);
	if (app->operators == NULL || app->api_clients == NULL || app->links == NULL || app->signals == NULL ||
	    (pages != NULL && page_values_add(app, pages) != 0) || rule_connect_receivers(app->signals) != 0 ||
	    event_receivers_connect(app->signals, &board->counters) != 0) {
		talloc_free(app);
		return NULL;
	}
	signals_reserve(app->signals);
	app->rule = (struct rule){.signals = app->signals, .policy = policy_of(settings)};
	return app;
}

struct db *app_new_database(TALLOC_CTX *ctx, const struct settings *settings, struct counters *counters,
                            const char *application_name)
{
	const struct db_config config = {
		.conninfo = settings->database.conninfo,
		.application_name = application_name,
		.connect_timeout_ms = settings->database.connect_timeout,
		.statement_timeout_ms = settings->database.statement_timeout,
		.prepare = settings->database.prepare,
		.counters = counters,
		.required_schema = schema_version(),
	};

	return db_new(ctx, &config);
}

struct db *app_new_job_database(TALLOC_CTX *ctx, const struct settings *settings, const char *application_name,
                                int64_t timeout_ms)
{
	const struct db_config config = {
		.conninfo = settings->database.conninfo,
		.application_name = application_name,
		.connect_timeout_ms = settings->database.connect_timeout,
		.statement_timeout_ms = timeout_ms,
		.prepare = settings->database.prepare,
		.required_schema = schema_version(),
		.is_quiet = true,
	};

	return db_new(ctx, &config);
}

int app_open_database(struct ones_app *app, const char *application_name)
{
	app->rule.db = app_new_database(app, app->settings, &app->board->counters, application_name);
	return app->rule.db != NULL ? 0 : -1;
}

/* ---- Receivers ---------------------------------------------------------------------------------------------- */

/* Logged as well: setup_problem is read after setup only. */
static void refuse_reserved(struct ones_app *app, const char *name)
{
	module_refuse(app,
	              talloc_asprintf(app,
	                              "a receiver called %s: that name is the daemon's own, which no application can "
	                              "replace or remove",
	                              name));
	log_error("receiver_refused", LOG_STR("receiver", name), LOG_STR("problem", "the name is the daemon's own"));
}

/* A receiver, and whose it is: ones_setting() and the log go by that while it runs. */
struct bound {
	struct ones_app *app;
	struct module *module;
	struct ones_receiver receiver;
};

static bool call_bound(const struct ones_event *event, void *context)
{
	const struct bound *bound = context;
	struct module *before = module_enter(bound->app, bound->module);
	bool is_well = bound->receiver.call(event, bound->receiver.context);

	(void)module_enter(bound->app, before);
	return is_well;
}

/* *calling becomes the receiver, called as the module's whose setup runs. False: no memory. */
static bool bind_receiver(struct ones_app *app, const struct ones_receiver *receiver, struct ones_receiver *calling)
{
	struct bound *bound = talloc(app, struct bound);

	if (bound == NULL)
		return false;
	*bound = (struct bound){.app = app, .module = app->current, .receiver = *receiver};
	*calling = *receiver;
	calling->call = call_bound;
	calling->context = bound;
	return true;
}

void ones_connect(struct ones_app *app, enum ones_signal signal, const struct ones_receiver *receiver)
{
	struct ones_receiver calling;

	if (signals_is_reserved(app->signals, receiver->name))
		refuse_reserved(app, receiver->name);
	else if (!bind_receiver(app, receiver, &calling) || signals_connect(app->signals, signal, &calling) != 0)
		module_refuse(app, NULL);
}

void ones_connect_to(struct ones_app *app, const char *signal, const struct ones_receiver *receiver)
{
	struct ones_receiver calling;

	if (signals_is_reserved(app->signals, receiver->name))
		refuse_reserved(app, receiver->name);
	else if (!bind_receiver(app, receiver, &calling) ||
	         signals_connect_to(app->signals, signal, app->current->name, &calling) != 0)
		module_refuse(app, NULL);
}

void ones_signal(struct ones_app *app, const char *name)
{
	struct problem problem = {0};
	char *full = talloc_asprintf(app, "%s.%s", app->current->name, name);

	if (full == NULL)
		module_refuse(app, NULL);
	else if (!config_section_can_be(name))
		module_refuse(app, "the name of a signal that is not a letter and then letters, digits and _, all of "
		                   "them small, up to 31");
	else if (signals_declare(app->signals, full, &problem) != 0)
		module_refuse(app, talloc_strdup(app, problem.text));
}

bool ones_disconnect(struct ones_app *app, enum ones_signal signal, const char *name)
{
	if (signals_is_reserved(app->signals, name)) {
		refuse_reserved(app, name);
		return false;
	}
	return signals_disconnect(app->signals, signal, name);
}

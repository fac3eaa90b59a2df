/* Receivers after the commit, which note each event that they are called for. GET /notebook returns this worker's
 * notes. */
#include "application.h"

#include <stdio.h>
#include <string.h>

static char lines[32][200];
static size_t line_count;

static bool write_down(const struct ones_event *event, void *context)
{
	if (line_count < sizeof lines / sizeof lines[0])
		(void)snprintf(lines[line_count++], sizeof lines[0], "%s: %s %s %s", (const char *)context,
		               ones_signal_name(event->signal), event->username, ones_reason_code(event->reason));
	/* In the transaction this would refuse the login; after the commit it has no effect. */
	return event->transaction == NULL && strncmp(event->user_agent, "Unreachable", strlen("Unreachable")) != 0;
}

static void show(struct ones_request *req)
{
	json_t *all = json_array();

	for (size_t i = 0; i < line_count; i++)
		(void)json_array_append_new(all, json_string(lines[i]));
	ones_reply_json(req, 200, all);
}

static void connect(struct ones_app *app, enum ones_signal signal, const char *name, int order, char *context)
{
	ones_connect(app, signal,
	             &(struct ones_receiver){.name = name,
	                                     .order = order,
	                                     .phase = ONES_AFTER_COMMIT,
	                                     .call = write_down,
	                                     .context = context});
}

void notebook_setup(struct ones_app *app)
{
	static char last[] = "last", first[] = "first", second[] = "second", third[] = "third";
	static char former[] = "former", replacement[] = "replacement", unwanted[] = "unwanted";

	for (enum ones_signal signal = 0; signal < ONES_SIGNAL_COUNT; signal++) {
		connect(app, signal, "greet", 20, last);
		connect(app, signal, "write", 0, second);
		connect(app, signal, "print", 0, third);
		connect(app, signal, "wave", -20, first);
		/* Of receivers with the same name the one that was connected last is kept. */
		connect(app, signal, "replaced", 10, former);
		connect(app, signal, "replaced", 0, replacement);
		connect(app, signal, "unwanted", 0, unwanted);
		(void)ones_disconnect(app, signal, "unwanted");
	}
	ones_route(app, &(struct ones_route){.path = "/notebook", .get = show, .needs = ONES_NEEDS_DATABASE});
}

/*
 * Receivers in the transaction. Each login, logout and so on becomes a row of the application's own table (audit.sql)
 * in the same transaction, or is rolled back; and robots may not sign in.
 */
#include "application.h"

#include <stdio.h>
#include <string.h>

static bool write_row(const struct ones_event *event, void *context)
{
	static const char sql[] =
		"INSERT INTO application_audit (receiver, signal, user_id, session_id, is_stored)"
		" VALUES ($1, $2, nullif($3::bigint, 0), nullif($4, '')::uuid, EXISTS (SELECT FROM sessions s"
		"         JOIN logged_in_user l ON l.session_key = s.session_key WHERE s.id = nullif($4, '')::uuid))";
	char user_id[24];
	const char *values[] = {context, ones_signal_name(event->signal), user_id, event->session_id};

	(void)snprintf(user_id, sizeof user_id, "%lld", (long long)event->user_id);
	return ones_execute(event->transaction, sql, sizeof values / sizeof values[0], values);
}

static bool refuse_robots(const struct ones_event *event, void *context)
{
	(void)context;
	return strncmp(event->user_agent, "Robot", strlen("Robot")) != 0;
}

static void connect(struct ones_app *app, enum ones_signal signal, int order, char *name)
{
	ones_connect(app, signal,
	             &(struct ones_receiver){.name = name,
	                                     .order = order,
	                                     .phase = ONES_IN_TRANSACTION,
	                                     .call = write_row,
	                                     .context = name});
}

void audit_setup(struct ones_app *app)
{
	static char early[] = "audit_early";
	static char late[] = "audit_late";

	for (enum ones_signal signal = 0; signal < ONES_SIGNAL_COUNT; signal++) {
		/* The daemon's own receivers are at 0: one row is written before the new key is stored, one after. */
		connect(app, signal, 10, late);
		connect(app, signal, -10, early);
	}
	ones_connect(app, ONES_SIGNAL_LOGGED_IN,
	             &(struct ones_receiver){
			     .name = "no_robots", .order = 20, .phase = ONES_IN_TRANSACTION, .call = refuse_robots});
}

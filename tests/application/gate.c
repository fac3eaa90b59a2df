/*
 * A receiver in the transaction that refuses: of each signal, what the browser's name says, "Refused at
 * user_logged_in: how". Another one refuses when it is too late.
 */
#include "application.h"

#include <stdio.h>
#include <string.h>

static const char marked[] = "<b>Your plan</b> ended on 1 May & \"waits\".";

/* How often it was called: after a conflict it is called again. */
static int calls;

static bool refuse_badly(const struct ones_event *event, const char *how)
{
	char long_one[502];

	memset(long_one, 'x', sizeof long_one - 1);
	long_one[sizeof long_one - 1] = '\0';
	if (strcmp(how, "code") == 0)
		ones_refuse(event, "No Plan", marked);
	else if (strcmp(how, "no code") == 0)
		ones_refuse(event, NULL, marked);
	else if (strcmp(how, "no sentence") == 0)
		ones_refuse(event, "no_plan", NULL);
	else if (strcmp(how, "empty") == 0)
		ones_refuse(event, "no_plan", "");
	else if (strcmp(how, "control") == 0)
		ones_refuse(event, "no_plan", "two\nlines");
	else if (strcmp(how, "bytes") == 0)
		ones_refuse(event, "no_plan", "\xff");
	else if (strcmp(how, "long") == 0)
		ones_refuse(event, "no_plan", long_one);
	/* What it returns is not looked at. */
	return true;
}

/* The first time round, the transaction is lost by what the database's function does. */
static bool refuse_after_conflict(const struct ones_event *event)
{
	char code[32];

	(void)snprintf(code, sizeof code, "call_%d", ++calls);
	ones_refuse(event, code, "One sentence for each call.");
	(void)ones_sql(event->db, NULL, "SELECT conflict_before(2)", NULL, 0);
	return false;
}

/* A name that is taken, as a row says: the transaction is beyond use, and the person is told why. */
static bool refuse_duplicate(const struct ones_event *event)
{
	static const char sql[] = "INSERT INTO application_audit (id, receiver, signal, is_stored)"
				  " OVERRIDING SYSTEM VALUE VALUES (1, '', '', false)";

	if (ones_sql(event->db, NULL, sql, NULL, 0) == ONES_RESULT_DUPLICATE)
		ones_refuse(event, "taken", "There is one already.");
	return false;
}

static bool refuse(const struct ones_event *event, void *context)
{
	char begin[80];
	const char *how = event->user_agent + snprintf(begin, sizeof begin, "Refused at %s: ", event->name);

	(void)context;
	if (strncmp(event->user_agent, begin, strlen(begin)) != 0)
		return true;
	if (strcmp(how, "conflict") == 0)
		return refuse_after_conflict(event);
	if (strcmp(how, "duplicate") == 0)
		return refuse_duplicate(event);
	if (strncmp(how, "wrong ", strlen("wrong ")) == 0)
		return refuse_badly(event, how + strlen("wrong "));
	ones_refuse(event, "other", "Another sentence.");
	ones_refuse(event, "no_plan", marked);
	return strcmp(how, "and true") == 0;
}

static bool refuse_late(const struct ones_event *event, void *context)
{
	(void)context;
	if (strcmp(event->user_agent, "Refused late") == 0)
		ones_refuse(event, "no_plan", marked);
	return true;
}

void gate_setup(struct ones_app *app)
{
	for (enum ones_signal signal = 0; signal < ONES_SIGNAL_COUNT; signal++) {
		ones_connect(app, signal,
		             &(struct ones_receiver){
				     .name = "gate", .order = 30, .phase = ONES_IN_TRANSACTION, .call = refuse});
		ones_connect(
			app, signal,
			&(struct ones_receiver){.name = "late_gate", .phase = ONES_AFTER_COMMIT, .call = refuse_late});
	}
}

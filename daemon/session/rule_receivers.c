/* The receivers that are part of the rule: they store and clear the key of logged_in_user, and write `events`. */
#include "session/rule_receivers.h"

#include "session/events.h"
#include "session/reason.h"
#include "session/rule_sql.h"
#include "session/useragent.h"

#include <jansson.h>
#include <stdlib.h>

/* Run a statement whose parameters are an account and a key. */
static enum db_status query_key(struct db *db, const struct db_statement *statement, int64_t user_id,
                                const struct session_key *key)
{
	const struct db_value values[] = {DB_INT(user_id), DB_KEY(key)};

	return db_query(db, NULL, statement, values, 2, NULL);
}

enum db_status stored_key_set(struct db *db, int64_t user_id, const struct session_key *key)
{
	return query_key(db, &sql_store_key, user_id, key);
}

static bool store_key(const struct ones_event *event, void *context)
{
	const struct ones_transaction *transaction = event->transaction;

	(void)context;
	return stored_key_set(transaction->db, event->user_id, transaction->key) == DB_OK;
}

static bool clear_key(const struct ones_event *event, void *context)
{
	const struct ones_transaction *transaction = event->transaction;

	(void)context;
	return query_key(transaction->db, &sql_clear_key, event->user_id, transaction->key) == DB_OK;
}

/* What there is to an event of that kind; a new reference, NULL when out of memory. */
static json_t *detail_of_kind(const struct ones_event *event)
{
	const char *reason = ones_reason_code(event->reason);

	if (event->takeovers > 0)
		return json_pack("{s:I}", "takeovers", (json_int_t)event->takeovers);
	if (event->reason == ONES_REASON_DISPLACED)
		return json_pack("{s:s, s:{s:s, s:s, s:s}}", "by", event->by_session_id, "was", "ip", event->was_ip,
		                 "browser", useragent_browser(event->was_user_agent), "os",
		                 useragent_os(event->was_user_agent));
	if (event->by_session_id[0] != '\0')
		return json_pack("{s:s, s:s}", "reason", reason, "by", event->by_session_id);
	return event->reason != ONES_REASON_LIVE ? json_pack("{s:s}", "reason", reason) : json_object();
}

/* What else there is to an event, beside its columns. Likewise. */
static json_t *event_detail(const struct ones_event *event)
{
	json_t *detail = detail_of_kind(event);

	if (event->program[0] == '\0' || json_object_set_new(detail, "token", json_string(event->program)) == 0)
		return detail;
	json_decref(detail);
	return NULL;
}

static bool record_event(const struct ones_event *event, void *context)
{
	json_t *detail = event_detail(event);
	char *text = detail != NULL ? json_dumps(detail, JSON_COMPACT) : NULL;
	const struct event_record record = {
		.name = ones_signal_name(event->signal),
		.user_id = event->user_id,
		.username = event->username,
		.session_id = event->session_id,
		.ip = event->ip,
		.user_agent = event->user_agent,
		.detail = text,
	};
	bool is_recorded = text != NULL && events_record(event->transaction->db, &record) == DB_OK;

	(void)context;
	free(text);
	json_decref(detail);
	return is_recorded;
}

int rule_connect_receivers(struct signals *signals)
{
	const struct ones_receiver store = {.name = "store_key", .phase = ONES_IN_TRANSACTION, .call = store_key};
	const struct ones_receiver clear = {.name = "clear_key", .phase = ONES_IN_TRANSACTION, .call = clear_key};
	const struct ones_receiver record = {
		.name = "record_event", .phase = ONES_IN_TRANSACTION, .call = record_event};

	if (signals_connect(signals, ONES_SIGNAL_LOGGED_IN, &store) != 0 ||
	    signals_connect(signals, ONES_SIGNAL_PASSWORD_CHANGED, &store) != 0 ||
	    signals_connect(signals, ONES_SIGNAL_LOGGED_OUT, &clear) != 0)
		return -1;
	for (enum ones_signal signal = 0; signal < ONES_SIGNAL_COUNT; signal++) {
		if (signals_connect(signals, signal, &record) != 0)
			return -1;
	}
	return 0;
}

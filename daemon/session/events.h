/* The table `events`, and the NOTIFY that goes with each of its rows. */
#ifndef SESSION_EVENTS_H
#define SESSION_EVENTS_H

#include "session/db.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

/* Any text may be NULL or "" for "none". */
struct event_record {
	const char *name; /* "user_logged_in"; always there */
	int64_t user_id;  /* 0: of no account */
	const char *username;
	const char *session_id; /* a UUID */
	const char *ip;
	const char *user_agent;
	const char *detail; /* a JSON object as text; "" is {} */
};

/*
 * Write the event; once it is committed it is also sent with NOTIFY onesession as JSON with the keys id, at (ISO 8601,
 * UTC), name, user_id, username, session_id, ip, user_agent (its first 300 characters) and detail ({} when it is past
 * what NOTIFY carries).
 */
enum db_status events_record(struct db *db, const struct event_record *record);

/*
 * Send the event of an application's own with NOTIFY onesession once it is committed: JSON with the keys at, name, data
 * and is_cut; data past what NOTIFY carries are null. It has no row.
 */
enum db_status events_tell_own(struct db *db, const char *name, const json_t *data);

/* An operator's event, whose `detail` names the operator. */
enum db_status events_record_operator(struct db *db, const char *name, int64_t user_id, const char *username,
                                      const char *detail);

struct event_row {
	int64_t id;
	int64_t at; /* us since 1970 */
	const char *name;
	int64_t user_id;      /* 0: of no account */
	const char *username; /* "" for none, as the next three */
	const char *session_id;
	const char *ip;
	const char *user_agent;
	const char *detail; /* JSON */
};

struct event_list {
	size_t count;
	struct event_row *rows;
};

/* The latest `max` events, the oldest of them first; of one account, or all for user_id 0. On `ctx`. */
enum db_status events_latest(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t max, struct event_list *list);

/*
 * Events as they come to be seen, each once, whatever the order of their ids and commits and over lost connections; of
 * one account, or all for user_id 0. On `ctx`, with no connection of its own. NULL when out of memory.
 */
struct event_feed *event_feed_new(TALLOC_CTX *ctx, struct db *db, int64_t user_id);

/* Leave out the events that can be seen now. */
enum db_status event_feed_begin(struct event_feed *feed);

/* Leave out these too. */
enum db_status event_feed_skip(struct event_feed *feed, const struct event_list *events);

/* Hand the events that have come to be seen since to `deliver`, page by page; false from it ends the reading. */
enum db_status event_feed_read(struct event_feed *feed, bool (*deliver)(const struct event_list *events, void *context),
                               void *context);

#endif

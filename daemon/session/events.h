/* The table `events`, and the NOTIFY that goes with each of its rows. */
#ifndef SESSION_EVENTS_H
#define SESSION_EVENTS_H

#include "session/db.h"

#include <stdint.h>

/* Any text may be NULL or "" for "none". */
struct event_record {
	const char *name; /* "user_logged_in"; always there */
	int64_t user_id;  /* 0: nobody's */
	const char *username;
	const char *session_id; /* a UUID */
	const char *ip;
	const char *user_agent;
	const char *detail; /* a JSON object as text; "" is {} */
};

/*
 * Write the event; at commit it is also sent with NOTIFY onesession as JSON with the keys id, at (ISO 8601, UTC),
 * name, user_id, username, session_id, ip, user_agent (its first 300 characters) and detail ({} when it is past
 * what NOTIFY carries).
 */
enum db_status events_record(struct db *db, const struct event_record *record);

/* What an operator did to an account: by name, with the operator's own words in `detail`. */
enum db_status events_record_operator(struct db *db, const char *name, int64_t user_id, const char *username,
                                      const char *detail);

struct event_row {
	int64_t id;
	int64_t at; /* us since 1970 */
	const char *name;
	int64_t user_id;      /* 0: nobody's */
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

/* The latest `max` events up to the id `last`, the oldest of them first; of one account, or all for user_id 0. On
 * `ctx`. */
enum db_status events_latest(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t last, int64_t max,
                             struct event_list *list);

/* Up to `max` events with ids above `after`, in their order. Otherwise as above. */
enum db_status events_after(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t after, int64_t max,
                            struct event_list *list);

/*
 * Ids are given when an event is written and seen when its transaction commits: *id is one up to which no more will
 * come to be seen. It is so old that no transaction of a request can still be under way.
 */
enum db_status events_settled(struct db *db, int64_t *id);

#endif

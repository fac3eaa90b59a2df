/* An account's sessions as the user of the account sees them: those that are live, and those that have ended. */
#ifndef SESSION_SESSION_INFO_H
#define SESSION_SESSION_INFO_H

#include "onesession.h"
#include "session/db.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

/* Times in us since 1970; 0 where it is not known. */
struct session_info {
	const char *id;
	int64_t created_at;
	int64_t last_seen_at;
	int64_t expires_at;
	const char *user_agent; /* "" when not known, as the next */
	const char *ip;
};

struct session_info_list {
	unsigned int count;
	struct session_info *all;
};

/* Add a copy, whose strings stay the caller's; the list grows on `ctx`. False when out of memory. */
bool session_info_add(TALLOC_CTX *ctx, struct session_info_list *list, const struct session_info *info);

/* The rows that a statement with SQL_SESSION_INFO's columns gave, as a list on `ctx`; the strings are the rows'. */
enum db_status session_info_from_rows(TALLOC_CTX *ctx, const struct db_result *rows, struct session_info_list *list);

/* An account without a limit may have any number of sessions: a page shows no more than these. */
#define SESSION_INFO_LIVE_MAX 1000
/* How many of its newest sessions are read for that, live or not. */
#define SESSION_INFO_READ_MAX 10000

/* The account's live sessions, the newest login first, at most SESSION_INFO_LIVE_MAX. Everything on `ctx`. */
enum db_status session_info_live(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t idle_timeout_ms,
                                 struct session_info_list *list);

struct ended_session_info {
	struct session_info place;
	enum ones_reason reason;
	int64_t ended_at;
	const char *by_user_agent; /* of the session that ended it; "" when not known, as the next */
	const char *by_ip;
};

/* The latest `max` of the account's sessions that have ended, the last one first. Everything on `ctx`. */
enum db_status session_info_ended(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t max,
                                  struct ended_session_info **all, size_t *count);

#endif

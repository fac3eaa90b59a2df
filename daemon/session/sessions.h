/* Sessions as operators see them, and the purge. What ends a session because of the rule is in rule.c. */
#ifndef SESSION_SESSIONS_H
#define SESSION_SESSIONS_H

#include "session/db.h"
#include "session/signals.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session_row {
	const char *id;
	int64_t user_id;
	const char *username;
	int64_t created_at; /* us since 1970, like the next two */
	int64_t last_seen_at;
	int64_t expires_at;
	const char *ip; /* "" when not known */
	const char *user_agent;
};

/*
 * Sessions neither expired nor idle, newest login first, up to `max` (-1: all); of one account, or of all for user_id
 * 0. On `ctx`.
 */
enum db_status sessions_list(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t idle_timeout_ms, int64_t max,
                             struct session_row **rows, size_t *count);

/* A session that has ended. */
struct ended_row {
	struct session_row was; /* without the account and expires_at */
	const char *reason;
	int64_t ended_at;
	struct {
		const char *id; /* of the session that took its place or ended it, "" when none did */
		const char *ip;
		const char *user_agent;
		const char *operator_name; /* "" when no operator did, or the event has been purged */
	} by;
};

/* The account's sessions that have ended, the last one first, up to `max`; also what has run out. On `ctx`. */
enum db_status sessions_history(struct db *db, TALLOC_CTX *ctx, int64_t user_id, int64_t idle_timeout_ms, int64_t max,
                                struct ended_row **rows, size_t *count);

/* How many sessions are live, over all accounts. It reads an index of them all: not for every request. */
enum db_status sessions_count_live(struct db *db, int64_t idle_timeout_ms, int64_t *count);

struct purge_policy {
	int64_t idle_timeout_ms; /* only to name the reason of what has expired */
	int64_t history_ms;      /* how long ended_sessions, events and mails are kept */
	int64_t attempts_window_ms;
	const struct signals *signals; /* whose receivers are told of the sessions of accounts that are deleted */
	int64_t until_ms; /* clock_monotonic_ms() past which no further batch is begun; 0: all of them are */
};

struct purge_counts {
	int64_t sessions;
	int64_t ended_sessions;
	int64_t events;
	int64_t login_tickets;
	int64_t login_failures;
	int64_t known_browsers;
	int64_t anonymous_sessions;
	int64_t signups;
	int64_t mails; /* that were sent or given up */
	int64_t mail_tokens;
	int64_t code_tries;
	int64_t mail_domains;
	int64_t api_answers;
	int64_t accounts; /* whose persons have had them deleted: see erasure.h */
};

/*
 * Remove what has expired, in batches that each hold few rows for a moment and pass over rows that another transaction
 * has locked, with rests between them. One process at a time over all hosts: *busy is set when another one is purging.
 * `progress` (may be NULL) is called after each batch with the counts so far.
 */
enum db_status sessions_purge(struct db *db, const struct purge_policy *policy, struct purge_counts *counts, bool *busy,
                              void (*progress)(const struct purge_counts *counts));

#endif

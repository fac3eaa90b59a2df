/* How many sessions of an account may be live at once, the same in all statements. */
#ifndef SESSION_PLAN_SQL_H
#define SESSION_PLAN_SQL_H

/*
 * The account's own limit, else its plan's while the plan has not ended; NULL: session.max_sessions. `row` is the alias
 * of a row of users. Without a plan no other table is read.
 */
#define SQL_SESSION_LIMIT(row)                                                                                         \
	"coalesce(" row ".session_limit, CASE WHEN " row ".plan IS NOT NULL"                                           \
	" AND coalesce(" row ".valid_until > statement_timestamp(), true)"                                             \
	" THEN (SELECT p.session_limit FROM plans p WHERE p.name = " row ".plan) END)::bigint"

#endif

/* The NOTIFY for rows of `events`, the same in all statements. */
#ifndef SESSION_EVENTS_SQL_H
#define SESSION_EVENTS_SQL_H

#define SQL_ISO_8601(moment) "to_char(" moment " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"

/*
 * The payload of NOTIFY for a row with the columns of the table events. It carries less than 8000 bytes: the longest
 * name and User-Agent, all of it escaped, and this much detail stay below that.
 */
#define SQL_EVENT_PAYLOAD                                                                                              \
	"json_build_object('id', id, 'at', " SQL_ISO_8601(                                                             \
		"at") ", 'name', name, 'user_id', user_id, 'username', username,"                                      \
		      " 'session_id', session_id, 'ip', host(ip), 'user_agent', left(user_agent, 300),"                \
		      " 'detail', CASE WHEN octet_length(detail::text) <= 4000 THEN detail ELSE '{}' END)::text"

/* Of each row of `rows`, at its commit: where there are many, see db_notify() else. */
#define SQL_TELL_EVENTS(rows) "SELECT pg_notify('onesession', " SQL_EVENT_PAYLOAD ") FROM " rows

#endif

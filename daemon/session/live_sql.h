/* The conditions for a live session, and for one made by a form, the same in all statements. */
#ifndef SESSION_LIVE_SQL_H
#define SESSION_LIVE_SQL_H

/* `row` is the alias of a row of sessions, `idle` session.idle_timeout in milliseconds, 0 when it is off. */
#define SQL_LIVE(row, idle)                                                                                            \
	row ".expires_at > statement_timestamp() AND (" idle " = 0 OR " row                                            \
	    ".last_seen_at > statement_timestamp() - " idle " * interval '1 millisecond')"

/*
 * It was made by the same form, of which `form` is the key, a short while ago. A form that is sent twice is sent twice
 * at once, from one address by one browser: later, or from elsewhere, its key is not accepted.
 */
#define SQL_OF_FORM(row, form, ip, user_agent)                                                                         \
	row ".form_key = " form " AND " row ".created_at > statement_timestamp() - interval '30 seconds'"              \
	    " AND " row ".ip IS NOT DISTINCT FROM " ip "::inet AND " row ".user_agent = " user_agent

#endif

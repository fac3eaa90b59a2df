/* The columns of a session's description, the same in all statements. */
#ifndef SESSION_SESSION_INFO_SQL_H
#define SESSION_SESSION_INFO_SQL_H

/* `row` is the alias of a row of sessions. */
#define SQL_SESSION_INFO(row)                                                                                          \
	row ".id::text, " row ".created_at, " row ".last_seen_at, " row ".expires_at, " row ".user_agent,"             \
	    " coalesce(host(" row ".ip), '')"

enum session_info_column {
	SESSION_INFO_ID,
	SESSION_INFO_CREATED_AT,
	SESSION_INFO_LAST_SEEN_AT,
	SESSION_INFO_EXPIRES_AT,
	SESSION_INFO_USER_AGENT,
	SESSION_INFO_IP,
};

#endif

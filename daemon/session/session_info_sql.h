/* What is read of a session to say where an account is live: said once, for all statements. */
#ifndef SESSION_PLACES_SQL_H
#define SESSION_PLACES_SQL_H

/* `row` is the alias of a row of sessions. */
#define SQL_SESSION_INFO(row)                                                                                          \
	row ".id::text, " row ".created_at, " row ".last_seen_at, " row ".expires_at, " row ".user_agent,"             \
	    " coalesce(host(" row ".ip), '')"

enum place_column {
	PLACE_ID,
	PLACE_CREATED_AT,
	PLACE_LAST_SEEN_AT,
	PLACE_EXPIRES_AT,
	PLACE_USER_AGENT,
	PLACE_IP,
};

#endif

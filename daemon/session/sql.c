#include "session/sql.h"

#include "session/live_sql.h"

/* Statements are laid out as SQL. */
/* clang-format off */

/* The two keys of the advisory locks: 0x6f6e6573 is "ones" in ASCII. */
#define LOCK_MIGRATIONS "1869505907, 1"
#define LOCK_PURGE "1869505907, 2"

/* ---- users -------------------------------------------------------------------------------------------------- */

#define USER_COLUMNS                                                                                                  \
	"u.id, u.username, u.password, u.is_active, u.is_admin, coalesce(u.session_limit, -1)::bigint, u.created_at"

/*
 * $1 name. The expression is that of users.username_key in schema/. The last COLLATE is the column's own: without it
 * its index would not serve.
 */
const struct db_statement sql_find_user = {
	"find_user",
	"SELECT " USER_COLUMNS " FROM users u"
	" WHERE u.username_key = lower(normalize($1::text, NFKC) COLLATE \"und-x-icu\") COLLATE \"C\"",
};

/*
 * $1 account or 0 for all, $2 idle_timeout. logged_in_user forgets at logout and ended_sessions after
 * session.history: the last login is the latest that any of them knows of.
 */
const struct db_statement sql_list_users = {
	"list_users",
	"SELECT " USER_COLUMNS ","
	"       greatest((SELECT l.logged_in_at FROM logged_in_user l"
	"                 WHERE l.user_id = u.id AND l.session_key IS NOT NULL),"
	"                (SELECT max(s.created_at) FROM sessions s WHERE s.user_id = u.id),"
	"                (SELECT max(e.created_at) FROM ended_sessions e WHERE e.user_id = u.id)),"
	"       (SELECT count(*) FROM sessions s WHERE s.user_id = u.id AND " SQL_LIVE("s", "$2::bigint") ")"
	"  FROM users u WHERE $1::bigint = 0 OR u.id = $1::bigint ORDER BY u.username_key",
};

/* $1 name, $2 password's hash, $3 is_admin, $4 session_limit or NULL. */
const struct db_statement sql_add_user = {
	"add_user",
	"INSERT INTO users (username, password, is_admin, session_limit)"
	" VALUES ($1::text, $2::text, $3::boolean, $4::bigint) RETURNING id",
};

/* $1 account, $2 password's hash. */
const struct db_statement sql_set_password = {
	"set_password",
	"UPDATE users SET password = $2::text WHERE id = $1::bigint",
};

/* $1 account, $2 is_active. */
const struct db_statement sql_set_active = {
	"set_active",
	"UPDATE users SET is_active = $2::boolean WHERE id = $1::bigint",
};

/* $1 account. */
const struct db_statement sql_delete_user = {
	"delete_user",
	"DELETE FROM users WHERE id = $1::bigint",
};

/* ---- sessions, ended_sessions and events, as operators and the purge see them ------------------------------- */

/* $1 account or 0 for all, $2 idle_timeout. */
const struct db_statement sql_list_sessions = {
	"list_sessions",
	"SELECT s.id::text, s.user_id, u.username, s.created_at, s.last_seen_at, s.expires_at,"
	"       coalesce(host(s.ip), ''), s.user_agent"
	"  FROM sessions s JOIN users u ON u.id = s.user_id"
	" WHERE ($1::bigint = 0 OR s.user_id = $1::bigint) AND " SQL_LIVE("s", "$2::bigint")
	" ORDER BY s.login_order DESC",
};

/* $1 idle_timeout. */
const struct db_statement sql_count_live_sessions = {
	"count_live_sessions",
	"SELECT count(*) FROM sessions s WHERE " SQL_LIVE("s", "$1::bigint"),
};

const struct db_statement sql_lock_purge = {
	"lock_purge",
	"SELECT pg_try_advisory_xact_lock(" LOCK_PURGE ")",
};

/*
 * $1 how many, $2 idle_timeout. A session that had gone idle before it expired ended then, and for that reason, as
 * people are told while its row is still there.
 */
const struct db_statement sql_purge_sessions = {
	"purge_sessions",
	"WITH due AS (SELECT session_key FROM sessions WHERE expires_at <= now()"
	"              ORDER BY expires_at LIMIT $1::bigint FOR UPDATE SKIP LOCKED),"
	"     gone AS (DELETE FROM sessions s USING due WHERE s.session_key = due.session_key RETURNING s.*),"
	"     ending AS (SELECT g.*, CASE WHEN $2::bigint > 0"
	"                                 THEN g.last_seen_at + $2::bigint * interval '1 millisecond' END AS idle_at"
	"                  FROM gone g),"
	"     told AS (INSERT INTO ended_sessions (session_key, id, user_id, reason, ended_at, created_at,"
	"                                          last_seen_at, ip, user_agent)"
	"              SELECT session_key, id, user_id,"
	"                     CASE WHEN idle_at < expires_at THEN 'idle' ELSE 'expired' END,"
	"                     least(idle_at, expires_at), created_at, last_seen_at, ip, user_agent FROM ending"
	"              ON CONFLICT (session_key) DO UPDATE SET id = excluded.id, user_id = excluded.user_id,"
	"                     reason = excluded.reason, ended_at = excluded.ended_at,"
	"                     created_at = excluded.created_at, last_seen_at = excluded.last_seen_at,"
	"                     ip = excluded.ip, user_agent = excluded.user_agent,"
	"                     by_id = NULL, by_ip = NULL, by_user_agent = '')"
	" SELECT count(*) FROM gone",
};

/* $1 how many, $2 history in milliseconds. */
const struct db_statement sql_purge_ended_sessions = {
	"purge_ended_sessions",
	"WITH due AS (SELECT session_key FROM ended_sessions"
	"              WHERE ended_at <= now() - $2::bigint * interval '1 millisecond'"
	"              ORDER BY ended_at LIMIT $1::bigint FOR UPDATE SKIP LOCKED),"
	"     gone AS (DELETE FROM ended_sessions e USING due WHERE e.session_key = due.session_key RETURNING 1)"
	" SELECT count(*) FROM gone",
};

/* $1 how many, $2 history in milliseconds. */
const struct db_statement sql_purge_events = {
	"purge_events",
	"WITH due AS (SELECT id FROM events WHERE at <= now() - $2::bigint * interval '1 millisecond'"
	"              ORDER BY at LIMIT $1::bigint FOR UPDATE SKIP LOCKED),"
	"     gone AS (DELETE FROM events e USING due WHERE e.id = due.id RETURNING 1)"
	" SELECT count(*) FROM gone",
};

/*
 * $1 name, $2 account or NULL, $3 its name, $4 public id of a session or NULL, $5 address or NULL, $6 User-Agent,
 * $7 detail or NULL. NOTIFY carries less than 8000 bytes: the longest name and User-Agent, all of it escaped, and
 * this much detail stay below that.
 */
const struct db_statement sql_record_event = {
	"record_event",
	"WITH e AS (INSERT INTO events (name, user_id, username, session_id, ip, user_agent, detail)"
	"           VALUES ($1::text, (SELECT id FROM users WHERE id = $2::bigint), $3::text, $4::text::uuid,"
	"                   $5::text::inet, $6::text, coalesce($7::text, '{}')::jsonb) RETURNING *)"
	" SELECT pg_notify('onesession', json_build_object("
	"            'id', id, 'at', to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), 'name', name,"
	"            'user_id', user_id, 'username', username, 'session_id', session_id, 'ip', host(ip),"
	"            'user_agent', left(user_agent, 300),"
	"            'detail', CASE WHEN octet_length(detail::text) <= 4000 THEN detail ELSE '{}' END)::text) FROM e",
};

/* ---- schema_migrations -------------------------------------------------------------------------------------- */

const struct db_statement sql_lock_migrations = {
	"lock_migrations",
	"SELECT pg_advisory_xact_lock(" LOCK_MIGRATIONS ")",
};

const struct db_statement sql_inspect_database = {
	"inspect_database",
	"SELECT current_setting('server_encoding'), to_regclass('schema_migrations') IS NOT NULL",
};

const struct db_statement sql_schema_version = {
	"schema_version",
	"SELECT coalesce(max(version), 0) FROM schema_migrations",
};

/* $1 version, $2 name. */
const struct db_statement sql_record_migration = {
	"record_migration",
	"INSERT INTO schema_migrations (version, name) VALUES ($1::bigint, $2::text)",
};

/*
 * $1 role. GRANT takes no parameters, so the server itself quotes the names. Identity columns need no right on their
 * sequences.
 */
const struct db_statement sql_compose_grants = {
	"compose_grants",
	"SELECT (SELECT format('GRANT USAGE ON SCHEMA %1$I TO %2$I;"
	" GRANT SELECT, INSERT, UPDATE, DELETE ON %1$I.users, %1$I.logged_in_user, %1$I.sessions, %1$I.ended_sessions,"
	" %1$I.events TO %2$I; GRANT SELECT ON %1$I.schema_migrations TO %2$I;"
	" GRANT USAGE ON SEQUENCE %1$I.login_order TO %2$I', current_schema(), rolname)"
	" FROM pg_roles WHERE rolname = $1::text)",
};

/* clang-format on */

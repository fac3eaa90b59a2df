/* The statements of the rule. */
#include "session/rule_sql.h"

#include "session/api_tokens_sql.h"
#include "session/live_sql.h"
#include "session/plan_sql.h"
#include "session/session_info_sql.h"

/*
 * Statements are laid out as SQL. The time is that at which a statement began and not now(), at which its transaction
 * did: in between it may have waited for the account's lock.
 */
/* clang-format off */

/* A key that a rotation replaced is answered with the reason alone, without the browser and address of the new login. */
#define SQL_BY_OTHERS(row) row ".reason <> 'logged_out'"

/*
 * $1 keys, $2 session.max_sessions, $3 idle_timeout. One row for each key. Each table is reached by its primary key and
 * `newer` by an index that ends at the presented session and no further than the limit (0, no limit: not at all), so
 * the cost does not grow with the number of sessions. OFFSET 0 keeps it so: whatever the planner thinks of the number of
 * keys, or of a table that was empty when it planned, it is not to join whole tables. The SELECT around $1 keeps the
 * number of keys from it: it would plan anew each time, in the hope of a better plan for few.
 */
#define CHECK_KEY \
	"SELECT statement_timestamp(), s.user_id, s.id::text, s.login_order, s.created_at, s.last_seen_at, s.expires_at,"    \
	"       coalesce(s.proved_at, s.created_at),"                                                                        \
	"       u.username, u.is_admin, u.is_active, m.session_limit,"                                                       \
	"       (SELECT count(*) FROM (SELECT FROM sessions n WHERE n.user_id = s.user_id"                                   \
	"               AND n.login_order > s.login_order AND " SQL_LIVE("n", "$3::bigint")                                  \
	"               LIMIT m.session_limit) AS newer),"                                                                   \
	"       l.login_order, coalesce(l.session_key = s.session_key, false), e.reason, e.ended_at,"                        \
	"       CASE WHEN " SQL_BY_OTHERS("e") " THEN e.by_user_agent ELSE '' END,"                                          \
	"       CASE WHEN " SQL_BY_OTHERS("e") " THEN host(e.by_ip) END, e.user_agent, host(e.ip), e.user_id,"               \
	"       CASE WHEN u.email_verified_at IS NOT NULL THEN u.email END, u.plan, u.valid_until,"                          \
	"       array_to_string(u.groups, ',')"                                                                              \
	"  FROM (SELECT k.key) AS presented(key)"                                                                            \
	"  LEFT JOIN LATERAL (SELECT * FROM sessions WHERE session_key = presented.key OFFSET 0) AS s ON true"               \
	"  LEFT JOIN LATERAL (SELECT * FROM users WHERE id = s.user_id OFFSET 0) AS u ON true"                               \
	" CROSS JOIN LATERAL (SELECT coalesce(" SQL_SESSION_LIMIT("u") ", $2::bigint) AS session_limit OFFSET 0) AS m"       \
	"  LEFT JOIN LATERAL (SELECT * FROM logged_in_user WHERE user_id = s.user_id AND session_key IS NOT NULL"            \
	"                     OFFSET 0) AS l ON true"                                                                        \
	"  LEFT JOIN LATERAL (SELECT * FROM ended_sessions"                                                                  \
	"                     WHERE session_key = CASE WHEN s.session_key IS NULL THEN presented.key END"                    \
	"                     OFFSET 0) AS e ON true"                                                                        

const struct db_statement sql_check = {
	"check",
	"SELECT k.number, c.* FROM unnest((SELECT $1::bytea[])) WITH ORDINALITY AS k(key, number)"
	" CROSS JOIN LATERAL (" CHECK_KEY " OFFSET 0) AS c",
};

/* The same for programs: $4 has the key of a token of the API for each, one behind the other. */
const struct db_statement sql_check_called = {
	"check_called",
	"SELECT k.number, c.*, t.* FROM unnest((SELECT $1::bytea[])) WITH ORDINALITY AS k(key, number)"
	" CROSS JOIN LATERAL (" CHECK_KEY " OFFSET 0) AS c"
	" LEFT JOIN LATERAL (SELECT " SQL_CALLER("a") " FROM api_tokens a"
	"                     WHERE a.token_key = substring($4::bytea FROM (k.number * 32 - 31)::integer FOR 32)"
	"                       AND " SQL_TOKEN_IS_GOOD("a") " OFFSET 0) AS t ON true",
};

/*
 * $1 account. The transaction that holds this row decides. DO UPDATE and not DO NOTHING, because only it locks a row that is
 * there; a row made for the lock has no key and counts as no login. An account that has been deleted has none to lock.
 */
const struct db_statement sql_lock_account = {
	"lock_account",
	"INSERT INTO logged_in_user AS l (user_id, session_key, login_order)"
	" SELECT id, NULL::bytea, 0 FROM users WHERE id = $1::bigint"
	" ON CONFLICT (user_id) DO UPDATE SET user_id = l.user_id",
};

/* Something to be written that has no effect: standbys confirm no transaction that wrote nothing. */
const struct db_statement sql_confirm = {
	"confirm",
	"SELECT FROM pg_logical_emit_message(true, 'onesession', '')",
};

/* $1 account, $2 key. */
const struct db_statement sql_store_key = {
	"store_key",
	"INSERT INTO logged_in_user (user_id, session_key, login_order)"
	" SELECT user_id, session_key, login_order FROM sessions WHERE user_id = $1::bigint AND session_key = $2::bytea"
	" ON CONFLICT (user_id) DO UPDATE SET session_key = excluded.session_key, login_order = excluded.login_order,"
	"                                     logged_in_at = statement_timestamp()",
};

/* $1 account, $2 key. */
const struct db_statement sql_clear_key = {
	"clear_key",
	"DELETE FROM logged_in_user WHERE user_id = $1::bigint AND session_key = $2::bytea",
};

/* $1 account. */
const struct db_statement sql_drop_lock_row = {
	"drop_lock_row",
	"DELETE FROM logged_in_user WHERE user_id = $1::bigint AND session_key IS NULL",
};

/*
 * $1 account, $2 the hash that the password was verified against, NULL: none was. Disabling the account and having it
 * deleted wait for us, or we for them.
 */
const struct db_statement sql_recheck_account = {
	"recheck_account",
	"SELECT coalesce(" SQL_SESSION_LIMIT("u") ", -1)::bigint, delete_at FROM users u"
	" WHERE id = $1::bigint AND is_active AND password = coalesce($2::text, password) FOR SHARE OF u",
};

/* As before; $3 the hash of the new one. */
const struct db_statement sql_change_password = {
	"change_password",
	"UPDATE users u SET password = $3::text WHERE id = $1::bigint AND is_active AND password = coalesce($2::text, password)"
	" RETURNING coalesce(" SQL_SESSION_LIMIT("u") ", -1)::bigint, delete_at",
};

/*
 * $1 account, $2 the key that the browser holds, $3 that of its device cookie, $4 that of the form it sent (each or NULL),
 * $5 idle_timeout, $6 address or NULL, $7 User-Agent: the account's live sessions in this browser, the presented one
 * first. OFFSET 0 as above, however many sessions the account has.
 */
const struct db_statement sql_own_sessions = {
	"own_sessions",
	"SELECT s.session_key, s.device_key, coalesce(s.session_key = $2::bytea, false),"
	"       coalesce(" SQL_OF_FORM("s", "$4::bytea", "$6::text", "$7::text") ", false)"
	"  FROM (SELECT $2::bytea UNION SELECT d.session_key FROM sessions d WHERE d.device_key = $3::bytea"
	"        UNION SELECT f.session_key FROM sessions f WHERE " SQL_OF_FORM("f", "$4::bytea", "$6::text", "$7::text") ") AS own(key)"
	" CROSS JOIN LATERAL (SELECT * FROM sessions WHERE session_key = own.key OFFSET 0) AS s"
	" WHERE s.user_id = $1::bigint AND " SQL_LIVE("s", "$5::bigint")
	" ORDER BY 3 DESC, s.login_order DESC",
};

/* $1 account, $2 idle_timeout, $3 limit: the live sessions that a new one would displace. */
const struct db_statement sql_conflicting = {
	"conflicting",
	"SELECT " SQL_SESSION_INFO("s") " FROM sessions s WHERE s.user_id = $1::bigint AND " SQL_LIVE("s", "$2::bigint")
	" ORDER BY s.login_order DESC OFFSET $3::bigint - 1",
};

/*
 * $1 key, $2 account, $3 lifetime in milliseconds, $4 address or NULL, $5 User-Agent, $6 the key that the browser had,
 * $7 the key of the session that it replaces (each or NULL): what was kept with either goes along; $8 the key of the
 * device cookie, NULL: the browser holds the one it had; $9 that of the form, or NULL; $10 whether its person has just
 * proved who they are. The trigger number_login gives the
 * row its login_order (schema/0003_sequences.sql); the last column is whether it is above those that could be seen
 * before.
 */
const struct db_statement sql_insert_session = {
	"insert_session",
	"WITH kept AS (DELETE FROM anonymous_sessions WHERE session_key = $6::bytea RETURNING data, expires_at),"
	"     unowned AS (SELECT data FROM kept WHERE expires_at > statement_timestamp()),"
	"     former AS (SELECT data, device_key FROM sessions WHERE session_key = $7::bytea)"
	" INSERT INTO sessions (session_key, user_id, expires_at, ip, user_agent, data, device_key, form_key, proved_at)"
	" VALUES ($1::bytea, $2::bigint, statement_timestamp() + $3::bigint * interval '1 millisecond', $4::text::inet, $5::text,"
	"         coalesce((SELECT f.data || u.data FROM former f, unowned u), (SELECT data FROM former),"
	"                  (SELECT data FROM unowned), '{}'),"
	"         coalesce($8::bytea, (SELECT device_key FROM former)), $9::bytea,"
	"         CASE WHEN NOT $10::boolean THEN timestamptz '-infinity' END)"
	" RETURNING id::text, created_at, last_seen_at, expires_at, NOT EXISTS (SELECT FROM sessions o"
	"           WHERE o.user_id = sessions.user_id AND o.login_order >= sessions.login_order)",
};

/*
 * $1 account, $2 key, $3 the key that takes its place: its person has proved again who they are. Where it is the stored
 * key, that changes with it, so that the session stays as new as it was.
 */
const struct db_statement sql_confirm_session = {
	"confirm_session",
	"WITH stored AS (UPDATE logged_in_user SET session_key = $3::bytea"
	"                 WHERE user_id = $1::bigint AND session_key = $2::bytea)"
	" UPDATE sessions SET session_key = $3::bytea, proved_at = statement_timestamp()"
	"  WHERE user_id = $1::bigint AND session_key = $2::bytea"
	" RETURNING id::text, created_at, last_seen_at, expires_at, proved_at",
};

/* $1 key. */
const struct db_statement sql_session_owner = {
	"session_owner",
	"SELECT s.user_id, u.username FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.session_key = $1::bytea",
};

/* $1 key, $2 account: was it ever committed? It may have been displaced since. */
const struct db_statement sql_session_exists = {
	"session_exists",
	"SELECT EXISTS (SELECT FROM sessions WHERE session_key = $1::bytea AND user_id = $2::bigint)"
	"    OR EXISTS (SELECT FROM ended_sessions WHERE session_key = $1::bytea AND user_id = $2::bigint)",
};

/* $1 key. */
const struct db_statement sql_key_has_ended = {
	"key_has_ended",
	"SELECT EXISTS (SELECT FROM ended_sessions WHERE session_key = $1::bytea)",
};

/*
 * $1 keys, $2 touch_interval in milliseconds. A row that is locked is being touched or ended by the transaction that holds
 * it; to wait for several could be a deadlock. That a crash of the server loses the last touches is no harm, so the commit
 * does not wait for the disk.
 */
const struct db_statement sql_touch = {
	"touch",
	"UPDATE sessions SET last_seen_at = statement_timestamp()"
	" WHERE (SELECT set_config('synchronous_commit', 'off', true)) = 'off' AND session_key = ANY (ARRAY"
	" (SELECT s.session_key FROM unnest((SELECT $1::bytea[])) AS k(key) CROSS JOIN LATERAL"
	"         (SELECT session_key FROM sessions WHERE session_key = k.key"
	"             AND last_seen_at <= statement_timestamp() - $2::bigint * interval '1 millisecond'"
	"             FOR NO KEY UPDATE SKIP LOCKED) AS s))",
};

/* $1 the account after which to go on, $2 public id or NULL for all. */
const struct db_statement sql_accounts_with_sessions = {
	"accounts_with_sessions",
	"SELECT u.id, u.username FROM users u WHERE u.id > $1::bigint AND EXISTS"
	"       (SELECT FROM sessions s WHERE s.user_id = u.id AND ($2::text IS NULL OR s.id = $2::text::uuid))"
	" ORDER BY u.id LIMIT 100",
};

#define INTO_ENDED(reason, by)                                                                                  \
	" INSERT INTO ended_sessions AS e (session_key, id, user_id, reason, ended_at, created_at, last_seen_at,"   \
	"                                  ip, user_agent, by_id, by_ip, by_user_agent)"                            \
	" SELECT g.session_key, g.id, g.user_id, " reason ", statement_timestamp(), g.created_at, g.last_seen_at, g.ip,"            \
	"        g.user_agent, " by                                                                                 \
	" ON CONFLICT (session_key) DO UPDATE SET reason = excluded.reason, ended_at = excluded.ended_at,"          \
	"        by_id = excluded.by_id, by_ip = excluded.by_ip, by_user_agent = excluded.by_user_agent"            \
	" RETURNING e.id::text, e.session_key, e.reason, e.created_at, e.last_seen_at, e.user_agent,"               \
	"           coalesce(host(e.ip), ''), e.by_id::text"

/* By the session whose key is $4; where that is NULL, by none. */
#define BY_SESSION "b.id, b.ip, coalesce(b.user_agent, '') FROM gone g LEFT JOIN sessions b ON b.session_key = $4::bytea"

/* $1 account, $2 key, $3 reason, $4 key of the session that takes its place in the same browser, or NULL. */
const struct db_statement sql_end_by_key = {
	"end_by_key",
	"WITH gone AS (DELETE FROM sessions WHERE user_id = $1::bigint AND session_key = $2::bytea RETURNING *)"
	INTO_ENDED("$3::text", BY_SESSION),
};

/* $1 account, $2 public id or NULL for all of them, $3 reason, $4 key of the session that does it and stays, or NULL. */
const struct db_statement sql_end_by_id = {
	"end_by_id",
	"WITH gone AS (DELETE FROM sessions WHERE user_id = $1::bigint"
	"                 AND ($2::text IS NULL OR id = $2::text::uuid)"
	"                 AND session_key IS DISTINCT FROM $4::bytea RETURNING *)"
	INTO_ENDED("$3::text", BY_SESSION),
};

/*
 * $1 account, $2 limit, $3 idle_timeout, $4 key or NULL: all but the newest live ones of the account, by the newest; for
 * a key as if that were the newest, and later ones not there. A session that had expired or gone idle was not displaced.
 */
#define NOT_AFTER(row)                                                                                          \
	row ".login_order <= coalesce((SELECT login_order FROM sessions WHERE session_key = $4::bytea),"            \
	"                             9223372036854775807)"

const struct db_statement sql_end_beyond_limit = {
	"end_beyond_limit",
	"WITH kept AS (SELECT s.session_key FROM sessions s WHERE s.user_id = $1::bigint AND " SQL_LIVE("s", "$3::bigint")
	"                 AND " NOT_AFTER("s") " ORDER BY s.login_order DESC LIMIT $2::bigint),"
	"     newest AS (SELECT s.id, s.ip, s.user_agent FROM sessions s WHERE s.user_id = $1::bigint"
	"                   AND " SQL_LIVE("s", "$3::bigint")
	"                   AND " NOT_AFTER("s") " ORDER BY s.login_order DESC LIMIT 1),"
	"     gone AS (DELETE FROM sessions s WHERE s.user_id = $1::bigint AND " NOT_AFTER("s")
	"                 AND s.session_key NOT IN (SELECT session_key FROM kept) RETURNING s.*),"
	"     ending AS (SELECT g.*, CASE WHEN g.expires_at <= statement_timestamp() THEN 'expired'"
	"                                 WHEN $3::bigint > 0 AND g.last_seen_at <= statement_timestamp() - $3::bigint * interval '1 millisecond'"
	"                                 THEN 'idle' ELSE 'displaced' END AS reason FROM gone g)"
	INTO_ENDED("g.reason", "CASE WHEN g.reason = 'displaced' THEN n.id END,"
	           " CASE WHEN g.reason = 'displaced' THEN n.ip END,"
	           " CASE WHEN g.reason = 'displaced' THEN coalesce(n.user_agent, '') ELSE '' END"
	           " FROM ending g LEFT JOIN newest n ON true"),
};

/* clang-format on */

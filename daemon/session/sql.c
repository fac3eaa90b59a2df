/* The SQL that is not the rule's, by table. */
#include "session/sql.h"

#include "session/api_tokens_sql.h"
#include "session/events_sql.h"
#include "session/live_sql.h"
#include "session/name_sql.h"
#include "session/session_info_sql.h"

/* Statements are laid out as SQL. */
/* clang-format off */

/* The two keys of the advisory locks: 0x6f6e6573 is "ones" in ASCII. */
#define LOCK_MIGRATIONS "1869505907, 1"
#define LOCK_PURGE "1869505907, 2"

/* ---- users -------------------------------------------------------------------------------------------------- */

#define USER_COLUMNS                                                                                                  \
	"u.id, u.username, u.password, u.is_active, u.is_admin, coalesce(u.session_limit, -1)::bigint, u.created_at,"  \
	" u.email, u.email_verified_at, u.delete_at, u.plan, array_to_string(u.groups, ','), u.valid_until, u.external_id"

/* $1 name. */
const struct db_statement sql_find_user = {
	"find_user",
	"SELECT " USER_COLUMNS " FROM users u"
	" WHERE u.username_key = " SQL_NAME_KEY("$1::text"),
};

/*
 * $1 name or NULL, $2 address or NULL. The name comes first: an account of elsewhere may have a name that is an address,
 * and be another's than the account with that address.
 */
const struct db_statement sql_find_login = {
	"find_login",
	"SELECT " USER_COLUMNS
	"  FROM (SELECT id, 1 AS rank FROM users WHERE username_key = " SQL_NAME_KEY("$1::text")
	"        UNION ALL SELECT id, 2 FROM users WHERE email_key = " SQL_NAME_KEY("$2::text")
	"                                            AND email_verified_at IS NOT NULL"
	"        ORDER BY rank LIMIT 1) AS f JOIN users u ON u.id = f.id",
};

/* $1 account. */
const struct db_statement sql_find_user_by_id = {
	"find_user_by_id",
	"SELECT " USER_COLUMNS " FROM users u WHERE u.id = $1::bigint",
};

/*
 * $1 account or 0 for all, $2 idle_timeout, $3 what names begin with or NULL, $4 how many or NULL for all; U+10FFFF
 * is the highest character, and in no name. logged_in_user forgets at logout and ended_sessions after
 * session.history: the last login is the latest that any of them knows of.
 */
const struct db_statement sql_list_users = {
	"list_users",
	"SELECT " USER_COLUMNS ","
	"       greatest((SELECT l.logged_in_at FROM logged_in_user l"
	"                 WHERE l.user_id = u.id AND l.session_key IS NOT NULL),"
	"                (SELECT max(s.created_at) FROM sessions s WHERE s.user_id = u.id),"
	"                (SELECT max(e.created_at) FROM ended_sessions e WHERE e.user_id = u.id)),"
	"       (SELECT count(*) FROM sessions s WHERE s.user_id = u.id AND " SQL_LIVE("s", "$2::bigint") "),"
	"       coalesce((SELECT p.session_limit FROM plans p WHERE p.name = u.plan), -1)::bigint,"
	"       coalesce(u.valid_until <= statement_timestamp(), false)"
	"  FROM users u WHERE ($1::bigint = 0 OR u.id = $1::bigint)"
	"   AND ($3::text IS NULL OR (u.username_key >= " SQL_NAME_KEY("$3::text")
	"                         AND u.username_key < " SQL_NAME_KEY("$3::text") " || U&'\\+10FFFF'))"
	" ORDER BY u.username_key LIMIT $4::bigint",
};

/* $1 a regular expression, $2 how many. The names, and how many there are in all. */
const struct db_statement sql_unusable_names = {
	"unusable_names",
	"SELECT username, count(*) OVER () FROM users WHERE username COLLATE \"C\" ~ $1::text ORDER BY id LIMIT $2::bigint",
};

/* What failed logins of an account are counted under: its name, and its address, if it signs in by that. */
#define SUBJECTS_OF(user) SQL_LOGIN_SUBJECT(user ".username_key") ", " SQL_LOGIN_SUBJECT(user ".email_key")

/* $1 account, $2 sharing.window, $3 attempts_window. */
const struct db_statement sql_watch_user = {
	"watch_user",
	"SELECT CASE WHEN t.began_at > now() - $2::bigint * interval '1 millisecond' THEN t.count ELSE 0 END,"
	"       t.last_at, t.shared_at, CASE WHEN t.cooldown_until > now() THEN t.cooldown_until END,"
	"       coalesce(f.count, 0), f.began_at + $3::bigint * interval '1 millisecond'"
	"  FROM users u LEFT JOIN takeovers t ON t.user_id = u.id"
	"       LEFT JOIN LATERAL (SELECT * FROM login_failures f WHERE f.kind = 'account'"
	"                 AND f.subject IN (" SUBJECTS_OF("u") ")"
	"                 AND f.began_at > now() - $3::bigint * interval '1 millisecond'"
	"                 ORDER BY f.count DESC LIMIT 1) AS f ON true"
	" WHERE u.id = $1::bigint",
};

/* An address that is another account's, or its name: $1 the address, $2 the account. */
#define EMAIL_IS_TAKEN(email, user_id)                                                                                \
	"EXISTS (SELECT FROM users o WHERE o.id <> " user_id " AND o.email_key = " SQL_NAME_KEY(email) ")"              \
	" OR EXISTS (SELECT FROM users o WHERE o.id <> " user_id " AND o.username_key = " SQL_NAME_KEY(email) ")"

/*
 * $1 name, $2 password's hash, $3 address or NULL, $4 whether it is verified. For the daemon's role, too, which may
 * set no other columns. A conflict over anything but the name is an error, such as a sequence that is behind.
 */
const struct db_statement sql_add_user = {
	"add_user",
	"WITH email AS (SELECT $3::text IS NOT NULL AND (" EMAIL_IS_TAKEN("$3::text", "0") ") AS is_taken),"
	"     added AS (INSERT INTO users (username, password, email, email_verified_at)"
	"               SELECT $1::text, $2::text, $3::text, CASE WHEN $4::boolean AND $3::text IS NOT NULL THEN now() END"
	"                 FROM email WHERE NOT is_taken ON CONFLICT (username_key) DO NOTHING RETURNING id)"
	" SELECT coalesce((SELECT id FROM added), 0), is_taken FROM email",
};

/* $1 account, $2 address or NULL, $3 whether it is verified. */
const struct db_statement sql_set_email = {
	"set_email",
	"WITH changed AS (UPDATE users SET email = $2::text,"
	"                        email_verified_at = CASE WHEN $3::boolean AND $2::text IS NOT NULL THEN now() END"
	"                  WHERE id = $1::bigint AND ($2::text IS NULL OR NOT (" EMAIL_IS_TAKEN("$2::text", "$1::bigint") "))"
	"                 RETURNING 1)"
	" SELECT EXISTS (SELECT FROM users WHERE id = $1::bigint), EXISTS (SELECT FROM changed)",
};

/* $1 name, $2 a plan or NULL. The row is held until the transaction ends. */
const struct db_statement sql_hold_terms = {
	"hold_terms",
	"SELECT u.id, u.username, u.is_admin, EXISTS (SELECT FROM plans WHERE name = $2::text),"
	"       jsonb_build_object('email', u.email, 'email_verified', u.email_verified_at IS NOT NULL, 'plan', u.plan,"
	"               'groups', to_jsonb(u.groups), 'session_limit', u.session_limit,"
	"               'valid_until', " SQL_ISO_8601("u.valid_until") ", 'is_active', u.is_active,"
	"               'external_id', u.external_id, 'password_hash', u.password)::text"
	"  FROM users u WHERE u.username_key = " SQL_NAME_KEY("$1::text") " FOR UPDATE OF u",
};

#define GIVEN(column, value) column " = CASE WHEN g.terms ? '" column "' THEN " value " ELSE u." column " END"

/* $1 account, $2 what is to be so, as JSON. */
const struct db_statement sql_change_terms = {
	"change_terms",
	"UPDATE users u SET " GIVEN("plan", "g.terms ->> 'plan'") ","
	" groups = CASE WHEN g.terms ? 'groups' THEN ARRAY(SELECT jsonb_array_elements_text(g.terms -> 'groups')) ELSE u.groups END,"
	" " GIVEN("session_limit", "(g.terms ->> 'session_limit')::integer") ","
	" " GIVEN("valid_until", "(g.terms ->> 'valid_until')::timestamptz") ","
	" " GIVEN("is_active", "(g.terms ->> 'is_active')::boolean") ","
	" " GIVEN("external_id", "g.terms ->> 'external_id'")
	"  FROM (SELECT $2::text::jsonb AS terms) AS g WHERE u.id = $1::bigint",
};

/* $1 account, $2 password's hash, $3 whether it may be an administrator's. */
const struct db_statement sql_give_password = {
	"give_password",
	"UPDATE users SET password = $2::text WHERE id = $1::bigint AND (NOT is_admin OR $3::boolean) RETURNING true",
};

/* $1 account or 0 for all, $2 domain or NULL for any, $3 the account after which to go on, $4 how many. */
#define UNVERIFIED                                                                                                    \
	"($1::bigint = 0 OR id = $1::bigint) AND email_verified_at IS NULL"                                           \
	" AND ($2::text IS NULL OR right(email_key, length($2::text) + 1) = '@' || $2::text)"

const struct db_statement sql_unverified_emails = {
	"unverified_emails",
	"SELECT count(*), min(email) FROM users WHERE email IS NOT NULL AND " UNVERIFIED,
};

/* As above; $5 their events' detail. The last account, and how many there were. */
const struct db_statement sql_verify_emails = {
	"verify_emails",
	"WITH due AS (SELECT id FROM users WHERE email IS NOT NULL AND " UNVERIFIED " AND id > $3::bigint"
	"              ORDER BY id LIMIT $4::bigint FOR NO KEY UPDATE),"
	"     done AS (UPDATE users u SET email_verified_at = now() FROM due WHERE u.id = due.id"
	"              RETURNING u.id, u.username),"
	"     e AS (INSERT INTO events (name, user_id, username, detail)"
	"           SELECT 'user_email_changed', id, username, $5::text::jsonb FROM done ORDER BY id RETURNING *),"
	"     told AS (" SQL_TELL_EVENTS("e") ")"
	" SELECT coalesce(max(id), 0), count(*) FROM done WHERE (SELECT count(*) FROM told) >= 0",
};

/*
 * $1 account, $2 in how many milliseconds, or NULL: it stays. A row with the moment when the account is there. Who asks
 * once more does not put it off.
 */
const struct db_statement sql_set_deletion = {
	"set_deletion",
	"UPDATE users SET delete_at = CASE WHEN $2::bigint IS NOT NULL THEN"
	"                  least(delete_at, statement_timestamp() + $2::bigint * interval '1 millisecond') END"
	" WHERE id = $1::bigint RETURNING delete_at",
};

/* $1 account, whose delete_at has come. */
const struct db_statement sql_erase_account = {
	"erase_account",
	"SELECT erase_account($1::bigint)",
};

/* $1 the account after which to go on, $2 how many. */
const struct db_statement sql_due_accounts = {
	"due_accounts",
	"SELECT id, username FROM users WHERE delete_at <= statement_timestamp() AND id > $1::bigint"
	" ORDER BY id LIMIT $2::bigint",
};

/* $1 account. A row when its time has come: it is not kept any more from then on. */
const struct db_statement sql_hold_due_account = {
	"hold_due_account",
	"SELECT FROM users WHERE id = $1::bigint AND delete_at <= statement_timestamp() FOR UPDATE",
};

/* $1 how many. Names that have an @ in them, and how many there are in all. */
const struct db_statement sql_names_like_emails = {
	"names_like_emails",
	"SELECT username, count(*) OVER () FROM users WHERE strpos(username_key, '@') > 0 ORDER BY id LIMIT $1::bigint",
};

/* $1 account, $2 password's hash. */
const struct db_statement sql_set_password = {
	"set_password",
	"UPDATE users SET password = $2::text WHERE id = $1::bigint",
};

/* $1 account, $2 the hash that is there, $3 that which replaces it. A row when it did. */
const struct db_statement sql_upgrade_password = {
	"upgrade_password",
	"UPDATE users SET password = $3::text WHERE id = $1::bigint AND password = $2::text RETURNING true",
};

/* $1 account, $2 is_active. */
const struct db_statement sql_set_active = {
	"set_active",
	"UPDATE users SET is_active = $2::boolean WHERE id = $1::bigint",
};

#define PLAN_COLUMNS                                                                                                  \
	"p.name, coalesce(p.session_limit, -1)::bigint, p.created_at,"                                                 \
	" (SELECT count(*) FROM users u WHERE u.plan = p.name)"

const struct db_statement sql_list_plans = {
	"list_plans",
	"SELECT " PLAN_COLUMNS " FROM plans p ORDER BY p.name",
};

/* $1 name. */
const struct db_statement sql_find_plan = {
	"find_plan",
	"SELECT " PLAN_COLUMNS " FROM plans p WHERE p.name = $1::text",
};

/* $1 name: no account gets it until the transaction ends. */
const struct db_statement sql_lock_plan = {
	"lock_plan",
	"SELECT FROM plans WHERE name = $1::text FOR UPDATE",
};

/* $1 name, $2 session_limit or NULL. */
const struct db_statement sql_set_plan = {
	"set_plan",
	"INSERT INTO plans (name, session_limit) VALUES ($1::text, $2::bigint)"
	" ON CONFLICT (name) DO UPDATE SET session_limit = excluded.session_limit",
};

/* $1 name. */
const struct db_statement sql_delete_plan = {
	"delete_plan",
	"DELETE FROM plans WHERE name = $1::text",
};

/* $1 account, $2 session_limit or NULL. */
const struct db_statement sql_set_limit = {
	"set_limit",
	"UPDATE users u SET session_limit = $2::bigint"
	"  FROM (SELECT id, session_limit FROM users WHERE id = $1::bigint FOR UPDATE) AS o WHERE u.id = o.id"
	" RETURNING coalesce(o.session_limit, -1)::bigint",
};

/* $1 account, $2 name. */
const struct db_statement sql_rename_user = {
	"rename_user",
	"UPDATE users SET username = $2::text WHERE id = $1::bigint RETURNING true",
};

/* $1 account, $2 is_admin. */
const struct db_statement sql_set_admin = {
	"set_admin",
	"UPDATE users u SET is_admin = $2::boolean"
	"  FROM (SELECT id, is_admin FROM users WHERE id = $1::bigint FOR UPDATE) AS o WHERE u.id = o.id"
	" RETURNING o.is_admin",
};

/* An event's detail without the person: `was` is a device, and of user_renamed `before` is a name. */
#define WITHOUT_PERSON(name, detail) "CASE " name " WHEN 'user_renamed' THEN " detail " - 'before' ELSE " detail " - 'was' END"

/* $1 account. */
const struct db_statement sql_delete_user = {
	"delete_user",
	"DELETE FROM users WHERE id = $1::bigint",
};

/* ---- sessions, ended_sessions and events, as operators and the purge see them ------------------------------- */

/* $1 account or 0 for all, $2 idle_timeout, $3 how many or NULL for all. */
const struct db_statement sql_list_sessions = {
	"list_sessions",
	"SELECT s.id::text, s.user_id, u.username, s.created_at, s.last_seen_at, s.expires_at,"
	"       coalesce(host(s.ip), ''), s.user_agent"
	"  FROM sessions s JOIN users u ON u.id = s.user_id"
	" WHERE ($1::bigint = 0 OR s.user_id = $1::bigint) AND " SQL_LIVE("s", "$2::bigint")
	" ORDER BY s.login_order DESC LIMIT $3::bigint",
};

/* $1 account, $2 idle_timeout, $3 how many, $4 how many are looked at: most of very many may have gone idle. */
const struct db_statement sql_session_info_live = {
	"session_info_live",
	"SELECT " SQL_SESSION_INFO("s") " FROM (SELECT * FROM sessions WHERE user_id = $1::bigint"
	"                ORDER BY login_order DESC LIMIT $4::bigint) AS s WHERE " SQL_LIVE("s", "$2::bigint")
	" ORDER BY s.login_order DESC LIMIT $3::bigint",
};

/* $1 account, $2 how many. */
const struct db_statement sql_session_info_ended = {
	"session_info_ended",
	"SELECT id::text, created_at, last_seen_at, user_agent, coalesce(host(ip), ''), reason, ended_at, by_user_agent,"
	"       coalesce(host(by_ip), '')"
	"  FROM ended_sessions WHERE user_id = $1::bigint ORDER BY ended_at DESC LIMIT $2::bigint",
};

/*
 * $1 account, $2 idle_timeout, $3 how many. What has run out is a row of sessions until the purge, or the next login,
 * comes to it. An operator's event follows in the transaction that has ended the session.
 */
const struct db_statement sql_list_endings = {
	"list_endings",
	"SELECT e.id::text, e.created_at, e.last_seen_at, e.user_agent, coalesce(host(e.ip), ''), e.reason, e.ended_at,"
	"       coalesce(e.by_id::text, ''), e.by_user_agent, coalesce(host(e.by_ip), ''),"
	"       coalesce(CASE WHEN e.by_id IS NULL AND e.reason IN ('revoked', 'disabled', 'password_changed') THEN"
	"            (SELECT o.detail ->> 'operator' FROM events o WHERE o.user_id = $1::bigint"
	"                AND o.name IN ('sessions_ended', 'user_disabled', 'user_password_changed')"
	"                AND o.at BETWEEN e.ended_at AND e.ended_at + interval '1 minute' ORDER BY o.id LIMIT 1) END, '')"
	"  FROM (SELECT id, created_at, last_seen_at, user_agent, ip, reason, ended_at, by_id, by_user_agent, by_ip"
	"          FROM ended_sessions WHERE user_id = $1::bigint"
	"        UNION ALL"
	"        SELECT id, created_at, last_seen_at, user_agent, ip, CASE WHEN idle_at < expires_at THEN 'idle' ELSE 'expired' END,"
	"               least(idle_at, expires_at), NULL, '', NULL"
	"          FROM (SELECT s.*, CASE WHEN $2::bigint > 0"
	"                                 THEN s.last_seen_at + $2::bigint * interval '1 millisecond' END AS idle_at"
	"                  FROM sessions s WHERE s.user_id = $1::bigint AND NOT (" SQL_LIVE("s", "$2::bigint") ")) AS r) AS e"
	" ORDER BY e.ended_at DESC, e.created_at DESC LIMIT $3::bigint",
};

/* $1 public id (a UUID). */
const struct db_statement sql_session_owner_by_id = {
	"session_owner_by_id",
	"SELECT s.user_id, u.username FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = $1::text::uuid",
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
 * an answer says while its row is still there. One whose account is missing leaves no trace.
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
	"                     least(idle_at, expires_at), created_at, last_seen_at, ip, user_agent FROM ending e"
	"               WHERE EXISTS (SELECT FROM users WHERE id = e.user_id)"
	"              ON CONFLICT (session_key) DO UPDATE SET id = excluded.id, user_id = excluded.user_id,"
	"                     reason = excluded.reason, ended_at = excluded.ended_at,"
	"                     created_at = excluded.created_at, last_seen_at = excluded.last_seen_at,"
	"                     ip = excluded.ip, user_agent = excluded.user_agent,"
	"                     by_id = NULL, by_ip = NULL, by_user_agent = '')"
	" SELECT count(*) FROM gone",
};

/* All that are purged by age: $1 how many, $2 how long ago in milliseconds. */
#define PURGE_ROWS(table, key, due_at)                                                                                \
	"WITH due AS (SELECT " key " FROM " table                                                                     \
	"              WHERE " due_at " <= now() - $2::bigint * interval '1 millisecond'"                             \
	"              ORDER BY " due_at " LIMIT $1::bigint FOR UPDATE SKIP LOCKED),"                                 \
	"     gone AS (DELETE FROM " table " WHERE (" key ") IN (SELECT " key " FROM due) RETURNING 1)"               \
	" SELECT count(*) FROM gone"

const struct db_statement sql_purge_ended_sessions = {
	"purge_ended_sessions",
	PURGE_ROWS("ended_sessions", "session_key", "ended_at"),
};

const struct db_statement sql_purge_events = {
	"purge_events",
	"SELECT purge_events($1::bigint, $2::bigint)",
};

const struct db_statement sql_purge_login_tickets = {
	"purge_login_tickets",
	PURGE_ROWS("login_tickets", "user_id", "expires_at"),
};

const struct db_statement sql_purge_login_failures = {
	"purge_login_failures",
	PURGE_ROWS("login_failures", "kind, subject", "began_at"),
};

const struct db_statement sql_purge_known_browsers = {
	"purge_known_browsers",
	PURGE_ROWS("known_browsers", "user_id, browser_key", "seen_at"),
};

const struct db_statement sql_purge_anonymous_sessions = {
	"purge_anonymous_sessions",
	PURGE_ROWS("anonymous_sessions", "session_key", "expires_at"),
};

const struct db_statement sql_purge_signups = {
	"purge_signups",
	PURGE_ROWS("signups", "id", "expires_at"),
};

const struct db_statement sql_purge_mails = {
	"purge_mails",
	PURGE_ROWS("mails", "id", "ended_at"),
};

const struct db_statement sql_purge_mail_tokens = {
	"purge_mail_tokens",
	PURGE_ROWS("mail_tokens", "token_key", "expires_at"),
};

const struct db_statement sql_purge_code_tries = {
	"purge_code_tries",
	PURGE_ROWS("code_tries", "subject", "began_at"),
};

const struct db_statement sql_purge_api_answers = {
	"purge_api_answers",
	PURGE_ROWS("api_answers", "token_id, request_key", "created_at"),
};

const struct db_statement sql_purge_mail_domains = {
	"purge_mail_domains",
	PURGE_ROWS("mail_domains", "domain", "free_at"),
};

/*
 * $1 name, $2 account or NULL, $3 its name, $4 public id of a session or NULL, $5 address or NULL, $6 User-Agent,
 * $7 detail or NULL. Whose account has gone meanwhile may have asked to be forgotten: nothing of the person is written.
 */
const struct db_statement sql_record_event = {
	"record_event",
	"WITH given AS (SELECT (SELECT id FROM users WHERE id = $2::bigint) AS user_id,"
	"                      coalesce($7::text, '{}')::jsonb AS detail),"
	"     e AS (INSERT INTO events (name, user_id, username, session_id, ip, user_agent, detail)"
	"           SELECT $1::text, g.user_id, CASE WHEN g.is_gone THEN '' ELSE $3::text END, $4::text::uuid,"
	"                  CASE WHEN NOT g.is_gone THEN $5::text::inet END,"
	"                  CASE WHEN g.is_gone THEN '' ELSE $6::text END,"
	"                  CASE WHEN g.is_gone THEN " WITHOUT_PERSON("$1::text", "g.detail") " ELSE g.detail END"
	"             FROM (SELECT *, $2::bigint IS NOT NULL AND user_id IS NULL AS is_gone FROM given) AS g RETURNING *)"
	" SELECT " SQL_EVENT_PAYLOAD " FROM e",
};

/* $1 name, $2 data as JSON or NULL, $3 whether they were left out. */
const struct db_statement sql_own_event_payload = {
	"own_event_payload",
	"SELECT json_build_object('at', " SQL_ISO_8601("now()") ", 'name', $1::text, 'data', $2::text::json,"
	" 'is_cut', $3::boolean)::text",
};

#define EVENT_COLUMNS                                                                                                 \
	"e.id, e.at, e.name, e.user_id, e.username, coalesce(e.session_id::text, ''), coalesce(host(e.ip), ''),"          \
	" e.user_agent, e.detail::text"

/* $1 account or 0 for all, $2 how many. */
const struct db_statement sql_latest_events = {
	"latest_events",
	"SELECT " EVENT_COLUMNS " FROM (SELECT * FROM events WHERE $1::bigint = 0 OR user_id = $1::bigint"
	"                ORDER BY id DESC LIMIT $2::bigint) AS e ORDER BY e.id",
};

/* $1 first and $2 last ids of the gaps, as arrays, $3 how many. */
const struct db_statement sql_events_within = {
	"events_within",
	"SELECT " EVENT_COLUMNS " FROM unnest($1::text::bigint[], $2::text::bigint[]) AS g(first, last) CROSS JOIN LATERAL"
	"       (SELECT * FROM events WHERE id BETWEEN g.first AND g.last ORDER BY id LIMIT $3::bigint) AS e"
	" ORDER BY e.id LIMIT $3::bigint",
};

/*
 * The transactions that may have taken ids: an INSERT locks the table before it takes one, and its transaction until all can see
 * the row. Other databases and tables have no part in it.
 */
const struct db_statement sql_events_writers = {
	"events_writers",
	"SELECT coalesce(array_agg(DISTINCT virtualtransaction), '{}')::text FROM pg_locks"
	" WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted"
	"   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
	"   AND relation = 'events'::regclass",
};

/* $1 what sql_events_writers has returned. A prepared transaction, which has no process, had another name before. */
const struct db_statement sql_events_are_written = {
	"events_are_written",
	"SELECT EXISTS (SELECT FROM pg_locks WHERE (virtualtransaction = ANY ($1::text::text[]) OR pid IS NULL)"
	"                  AND locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted"
	"                  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
	"                  AND relation = 'events'::regclass)",
};

/*
 * What is missing, and what is above the last event. `start` is the last event before the latest thousand and those of
 * ten minutes, for what is under way cannot be older. `id + 0`, or the primary key might be read from its beginning.
 */
const struct db_statement sql_events_gaps = {
	"events_gaps",
	"WITH start AS (SELECT coalesce(max(id), 0) AS id FROM events WHERE id <"
	"               least((SELECT min(id) FROM (SELECT id FROM events ORDER BY id DESC LIMIT 1000) AS latest),"
	"                     (SELECT min(id + 0) FROM events WHERE at >= now() - interval '10 minutes'))),"
	"     seen AS (SELECT e.id, lag(e.id, 1, start.id) OVER (ORDER BY e.id) AS before FROM events e, start"
	"               WHERE e.id > (SELECT id FROM start))"
	" SELECT before + 1, id - 1 FROM seen WHERE id > before + 1"
	" UNION ALL SELECT coalesce(max(id), 0) + 1, NULL FROM events ORDER BY 1",
};

const struct db_statement sql_events_last = {
	"events_last",
	"SELECT coalesce(max(id), 0) FROM events",
};

/* ---- takeovers and login_tickets ---------------------------------------------------------------------------- */

/* $1 account. */
const struct db_statement sql_takeover_wait = {
	"takeover_wait",
	"SELECT ceil(extract(epoch FROM cooldown_until - statement_timestamp()))::bigint FROM takeovers"
	" WHERE user_id = $1::bigint AND cooldown_until > statement_timestamp()",
};

/* $1 account, $2 sharing.window, $3 sharing.takeovers, $4 sharing.cooldown or NULL for none. */
const struct db_statement sql_count_takeover = {
	"count_takeover",
	"WITH before AS (SELECT count, began_at, shared_at FROM takeovers WHERE user_id = $1::bigint"
	"                   AND began_at > statement_timestamp() - $2::bigint * interval '1 millisecond'),"
	"     new AS (SELECT coalesce((SELECT count FROM before), 0) + 1 AS count,"
	"                    coalesce((SELECT began_at FROM before), statement_timestamp()) AS began_at,"
	"                    (SELECT shared_at FROM before WHERE shared_at >= began_at) AS shared_at),"
	"     kept AS (INSERT INTO takeovers AS t (user_id, count, began_at, last_at, shared_at, cooldown_until)"
	"              SELECT $1::bigint, count, began_at, statement_timestamp(),"
	"                     CASE WHEN count >= $3::bigint THEN coalesce(shared_at, statement_timestamp()) END,"
	"                     CASE WHEN count >= $3::bigint THEN statement_timestamp() + $4::bigint * interval '1 millisecond' END FROM new"
	"              ON CONFLICT (user_id) DO UPDATE SET count = excluded.count, began_at = excluded.began_at,"
	"                     last_at = excluded.last_at, shared_at = coalesce(excluded.shared_at, t.shared_at),"
	"                     cooldown_until = excluded.cooldown_until)"
	" SELECT count, count >= $3::bigint AND shared_at IS NULL FROM new",
};

/* $1 sharing.window, $2 how many. A login that displaced several sessions is one takeover. */
const struct db_statement sql_list_sharing = {
	"list_sharing",
	"WITH history AS (SELECT user_id, count(DISTINCT by_id) AS count, max(ended_at) AS last_at FROM ended_sessions"
	"                  WHERE reason = 'displaced' GROUP BY user_id)"
	" SELECT u.id, u.username,"
	"        CASE WHEN t.began_at > now() - $1::bigint * interval '1 millisecond' THEN t.count ELSE 0 END AS in_window,"
	"        coalesce(h.count, 0) AS in_history, greatest(t.last_at, h.last_at), t.shared_at,"
	"        CASE WHEN t.cooldown_until > now() THEN t.cooldown_until END"
	"   FROM takeovers t FULL JOIN history h ON h.user_id = t.user_id JOIN users u ON u.id = coalesce(t.user_id, h.user_id)"
	"  ORDER BY in_window DESC, in_history DESC, u.id LIMIT $2::bigint",
};

/* $1 account, $2 key of the ticket, $3 how long it lasts. */
const struct db_statement sql_issue_ticket = {
	"issue_ticket",
	"INSERT INTO login_tickets (user_id, ticket_key, password, expires_at)"
	" SELECT id, $2::bytea, password, now() + $3::bigint * interval '1 millisecond' FROM users WHERE id = $1::bigint"
	" ON CONFLICT (user_id) DO UPDATE SET ticket_key = excluded.ticket_key, password = excluded.password,"
	"        expires_at = excluded.expires_at",
};

/* $1 key of the ticket, $2 that of the form which brings it, or NULL, $3 the address or NULL and $4 User-Agent it comes from. */
const struct db_statement sql_find_ticket = {
	"find_ticket",
	"SELECT " USER_COLUMNS
	"  FROM (SELECT t.user_id, t.password FROM login_tickets t WHERE t.ticket_key = $1::bytea AND t.expires_at > now()"
	"        UNION ALL SELECT s.user_id, NULL FROM sessions s WHERE " SQL_OF_FORM("s", "$2::bytea", "$3::text", "$4::text") ") AS t"
	"  JOIN users u ON u.id = t.user_id AND u.password = coalesce(t.password, u.password)",
};

/* $1 key of the ticket, $2 account: that of another one stays. */
const struct db_statement sql_use_ticket = {
	"use_ticket",
	"DELETE FROM login_tickets WHERE ticket_key = $1::bytea AND user_id = $2::bigint AND expires_at > now() RETURNING true",
};

/* ---- login_failures and known_browsers ---------------------------------------------------------------------- */

/*
 * Both of the throttle's statements: $1 name as it was given, $2 account (0: none), $3 key of the device cookie or
 * NULL, $4 what the address is counted as or NULL, $5 attempts_per_user, $6 attempts_per_address (either 0: off),
 * $7 attempts_window, $8 the larger network that the address is of, or NULL.
 */
#define WINDOW "$7::bigint * interval '1 millisecond'"

/* With the limit for accounts turned off, a stolen device cookie still has one. */
#define TRIES(kind)                                                                                                   \
	"CASE " kind " WHEN 'account' THEN $5::bigint WHEN 'address' THEN $6::bigint"                                 \
	" WHEN 'network' THEN 10 * $6::bigint"                                                                        \
	" ELSE coalesce(nullif($5::bigint, 0), $6::bigint) END"

#define BROWSER_SUBJECT(user_id, key) "encode(sha256(int8send(" user_id ") || " key "), 'hex')"

/* The browser, if it is known to the account: the failures of others do not count then. */
#define THROTTLE_BROWSER                                                                                              \
	"SELECT 'browser' AS kind, " BROWSER_SUBJECT("user_id", "browser_key") " AS subject FROM known_browsers"      \
	" WHERE user_id = $2::bigint AND browser_key = $3::bytea"

#define THROTTLE_OTHERS                                                                                               \
	"SELECT kind, subject"                                                                                        \
	"  FROM (VALUES ('account', " SQL_LOGIN_SUBJECT(SQL_NAME_KEY("$1::text")) "),"       \
	"               ('address', $4::text), ('network', $8::text)) AS o (kind, subject)"                           \
	" WHERE subject IS NOT NULL AND " TRIES("kind") " > 0"

const struct db_statement sql_throttle_check = {
	"throttle_check",
	"WITH browser AS (" THROTTLE_BROWSER "), others AS (" THROTTLE_OTHERS "),"
	"     used_up AS (SELECT f.kind, f.began_at + " WINDOW " AS ends"
	"                   FROM (SELECT * FROM browser UNION ALL SELECT * FROM others) AS t"
	"                   JOIN login_failures f ON f.kind = t.kind AND f.subject = t.subject"
	"                  WHERE f.began_at > now() - " WINDOW " AND f.count >= " TRIES("f.kind") ")"
	" SELECT ceil(extract(epoch FROM max(ends) - now()))::bigint FROM used_up"
	"  WHERE kind <> 'browser'"
	"    AND (NOT EXISTS (SELECT FROM browser) OR EXISTS (SELECT FROM used_up WHERE kind = 'browser'))"
	" HAVING count(*) > 0",
};

/* A failure of each row of `subjects`; `past` is how many tries that is past the limit. */
#define COUNT_FAILURE(subjects)                                                                                       \
	"INSERT INTO login_failures AS f (kind, subject, count, began_at)"                                            \
	" SELECT kind, subject, 1, now() FROM " subjects " ORDER BY kind"                                             \
	" ON CONFLICT (kind, subject) DO UPDATE SET"                                                                  \
	"        count = CASE WHEN f.began_at > now() - " WINDOW " THEN f.count + 1 ELSE 1 END,"                      \
	"        began_at = CASE WHEN f.began_at > now() - " WINDOW " THEN f.began_at ELSE now() END"                 \
	" RETURNING f.kind, f.count - " TRIES("f.kind") " AS past, f.began_at + " WINDOW " AS ends"

/*
 * All transactions lock in the same order: the browser, where a rotation of its cookie waits for us or we for it; its
 * failures; then the account's, the address's, its network's. Only when nothing is left to wait for are a few outdated rows
 * of any subject removed, past those that are locked: so there are never more than the failures of a window.
 */
const struct db_statement sql_throttle_count = {
	"throttle_count",
	"WITH browser AS (" THROTTLE_BROWSER " FOR KEY SHARE), others AS (" THROTTLE_OTHERS "),"
	"     own AS (" COUNT_FAILURE("browser") "),"
	"     shared AS (" COUNT_FAILURE("others WHERE NOT EXISTS (SELECT FROM own WHERE past <= 0)") "),"
	"     counted AS (SELECT * FROM own UNION ALL SELECT * FROM shared),"
	"     outdated AS (SELECT kind, subject FROM login_failures"
	"                   WHERE began_at <= now() - " WINDOW " AND (SELECT count(*) FROM counted) > 0"
	"                   ORDER BY began_at LIMIT 4 FOR UPDATE SKIP LOCKED),"
	"     gone AS (DELETE FROM login_failures f USING outdated o WHERE f.kind = o.kind AND f.subject = o.subject)"
	" SELECT kind, past = 0,"
	"        CASE WHEN past > 0 AND kind <> 'browser' THEN ceil(extract(epoch FROM ends - now()))::bigint ELSE 0 END,"
	"        coalesce((SELECT username FROM users WHERE id = $2::bigint), '')"
	"   FROM counted",
};

/* $1 account. */
const struct db_statement sql_forget_failures = {
	"forget_failures",
	"WITH gone AS (DELETE FROM login_failures f USING"
	"              (SELECT 'account' AS kind, s.subject FROM users u"
	"                CROSS JOIN LATERAL unnest(ARRAY[" SUBJECTS_OF("u") "]) AS s(subject) WHERE u.id = $1::bigint"
	"               UNION ALL SELECT 'browser', " BROWSER_SUBJECT("k.user_id", "k.browser_key")
	"                 FROM known_browsers k WHERE k.user_id = $1::bigint) AS s"
	"               WHERE f.kind = s.kind AND f.subject = s.subject RETURNING f.count)"
	" SELECT coalesce(sum(count), 0)::bigint FROM gone",
};

/*
 * Both statements that remember a browser: the account's row comes first, for whoever deletes it, or changes its password, holds it while its
 * browsers go. What is to come after it counts it: the parts of a statement have no other order. That a crash of the
 * server loses the last of them is no harm, so the commit does not wait for the disk.
 */
#define ACCOUNT_OF_BROWSER                                                                                            \
	"account AS (SELECT id FROM users WHERE id = $1::bigint"                                                      \
	"               AND (SELECT set_config('synchronous_commit', 'off', true)) = 'off' FOR KEY SHARE)"
#define AFTER_ACCOUNT "(SELECT count(*) FROM account) AS first"

/* An account keeps ten: without a row of the same browser, the new one and nine of the others. */
#define FORGET_SURPLUS(others)                                                                                        \
	"     surplus AS (SELECT b.browser_key FROM " AFTER_ACCOUNT ", known_browsers b"                               \
	"                  WHERE b.user_id = $1::bigint AND b.browser_key IN"                                         \
	"                        (SELECT browser_key FROM known_browsers WHERE user_id = $1::bigint AND " others      \
	"                          ORDER BY seen_at DESC OFFSET 9) FOR UPDATE OF b SKIP LOCKED)"                      \
	" DELETE FROM known_browsers k USING surplus s WHERE k.user_id = $1::bigint AND k.browser_key = s.browser_key"

/* $1 account, $2 the key that the browser has. */
const struct db_statement sql_add_browser = {
	"add_browser",
	"WITH " ACCOUNT_OF_BROWSER ","
	"     made AS (INSERT INTO known_browsers (user_id, browser_key) SELECT id, $2::bytea FROM account"
	"              ON CONFLICT (user_id, browser_key) DO NOTHING),"
	FORGET_SURPLUS("browser_key <> $2::bytea"),
};

/*
 * $1 account, $2 the key that the browser has, $3 the key that it had. Its failures move along, lest a client gets new
 * tries at one account by signing in to another; so do sessions of others that are live in it.
 */
const struct db_statement sql_move_browser = {
	"move_browser",
	"WITH " ACCOUNT_OF_BROWSER ","
	"     held AS (SELECT b.user_id FROM " AFTER_ACCOUNT ", known_browsers b"
	"               WHERE b.browser_key = $3::bytea ORDER BY b.user_id FOR UPDATE OF b),"
	"     moved AS (UPDATE known_browsers k SET browser_key = $2::bytea,"
	"                      seen_at = CASE WHEN k.user_id = $1::bigint THEN now() ELSE k.seen_at END"
	"                 FROM held WHERE k.user_id = held.user_id AND k.browser_key = $3::bytea RETURNING k.user_id),"
	"     failures AS (UPDATE login_failures f SET subject = " BROWSER_SUBJECT("m.user_id", "$2::bytea")
	"                    FROM moved m WHERE f.kind = 'browser'"
	"                     AND f.subject = " BROWSER_SUBJECT("m.user_id", "$3::bytea") "),"
	"     live AS (UPDATE sessions SET device_key = $2::bytea WHERE device_key = $3::bytea),"
	"     made AS (INSERT INTO known_browsers (user_id, browser_key) SELECT id, $2::bytea FROM account"
	"               WHERE NOT EXISTS (SELECT FROM moved WHERE user_id = $1::bigint)"
	"              ON CONFLICT (user_id, browser_key) DO NOTHING),"
	FORGET_SURPLUS("browser_key NOT IN ($2::bytea, $3::bytea)"),
};

/* $1 account, $2 key. */
const struct db_statement sql_browser_is_known = {
	"browser_is_known",
	"SELECT EXISTS (SELECT FROM known_browsers WHERE user_id = $1::bigint AND browser_key = $2::bytea)",
};

/* $1 account, $2 key of a device cookie, or NULL. Of an account that was never signed in to no browser is new. */
const struct db_statement sql_browser_is_new = {
	"browser_is_new",
	"SELECT (EXISTS (SELECT FROM known_browsers WHERE user_id = $1::bigint)"
	"        OR EXISTS (SELECT FROM ended_sessions WHERE user_id = $1::bigint)) AND NOT EXISTS"
	"       (SELECT FROM known_browsers WHERE user_id = $1::bigint AND browser_key = $2::bytea)",
};

/* $1 account, $2 the key that stays, or NULL. */
const struct db_statement sql_forget_browsers = {
	"forget_browsers",
	"DELETE FROM known_browsers WHERE user_id = $1::bigint AND browser_key IS DISTINCT FROM $2::bytea",
};

/* ---- Session data: sessions.data and anonymous_sessions ---------------------------------------------------------- */

/* $1 key. */
const struct db_statement sql_read_data = {
	"read_data",
	"SELECT data::text FROM sessions WHERE session_key = $1::bytea",
};

/* $1 key. */
const struct db_statement sql_read_anonymous_data = {
	"read_anonymous_data",
	"SELECT data::text FROM anonymous_sessions WHERE session_key = $1::bytea AND expires_at > now()",
};

/* `data` is that of the row at the moment of writing, whatever was read before: other names stay as they are by then. */
#define CHANGED_DATA                                                                                                  \
	"(data - ARRAY(SELECT jsonb_array_elements_text($2::text::jsonb))) || $3::text::jsonb"

/* $1 key, $2 names to remove (an array), $3 names with their new values (an object). */
const struct db_statement sql_write_data = {
	"write_data",
	"UPDATE sessions SET data = " CHANGED_DATA " WHERE session_key = $1::bytea",
};

/* As before. */
const struct db_statement sql_write_anonymous_data = {
	"write_anonymous_data",
	"UPDATE anonymous_sessions SET data = " CHANGED_DATA " WHERE session_key = $1::bytea",
};

/* $1 a new key, $2 names with their values, $3 lifetime in milliseconds. Done twice, it has been done once. */
const struct db_statement sql_begin_anonymous_data = {
	"begin_anonymous_data",
	"INSERT INTO anonymous_sessions (session_key, data, expires_at)"
	" VALUES ($1::bytea, $2::text::jsonb, now() + $3::bigint * interval '1 millisecond')"
	" ON CONFLICT (session_key) DO NOTHING",
};

/* ---- api_tokens --------------------------------------------------------------------------------------------- */

#define TOKEN_COLUMNS "id, name, array_to_string(scopes, ','), created_at, expires_at, last_used_at, revoked_at"

/* $1 key. */
const struct db_statement sql_find_token = {
	"find_token",
	"SELECT " SQL_CALLER("t") " FROM api_tokens t WHERE t.token_key = $1::bytea AND " SQL_TOKEN_IS_GOOD("t"),
};

/* $1 token. Of many calls at once one writes it down, and none waits. */
const struct db_statement sql_touch_token = {
	"touch_token",
	"UPDATE api_tokens SET last_used_at = statement_timestamp() WHERE id IN"
	" (SELECT id FROM api_tokens t WHERE id = $1::bigint AND " SQL_TOKEN_TOUCH_IS_DUE("t") " FOR NO KEY UPDATE SKIP LOCKED)",
};

/* $1 name, $2 key, $3 scopes separated by commas, $4 in how many milliseconds it expires or NULL. Nothing when there is one. */
const struct db_statement sql_add_token = {
	"add_token",
	"INSERT INTO api_tokens (name, token_key, scopes, expires_at)"
	" VALUES ($1::text, $2::bytea, string_to_array($3::text, ','), now() + " SQL_MILLISECONDS("$4") ")"
	" ON CONFLICT (name) DO NOTHING RETURNING " TOKEN_COLUMNS,
};

const struct db_statement sql_list_tokens = {
	"list_tokens",
	"SELECT " TOKEN_COLUMNS ", coalesce(expires_at <= now(), false) FROM api_tokens ORDER BY name",
};

/* $1 name. A row when it could be used until now. */
const struct db_statement sql_revoke_token = {
	"revoke_token",
	"UPDATE api_tokens SET revoked_at = now() WHERE name = $1::text AND revoked_at IS NULL RETURNING true",
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

/* The least of what the server, the database and the role let in; the last two have -1 for any number. */
const struct db_statement sql_connection_limit = {
	"connection_limit",
	"SELECT least(current_setting('max_connections')::bigint"
	"             - current_setting('superuser_reserved_connections')::bigint,"
	"             nullif(r.rolconnlimit, -1), nullif(d.datconnlimit, -1))"
	"  FROM pg_roles r, pg_database d WHERE r.rolname = current_user AND d.datname = current_database()",
};

/* $1 version, $2 name. */
const struct db_statement sql_record_migration = {
	"record_migration",
	"INSERT INTO schema_migrations (version, name) VALUES ($1::bigint, $2::text)",
};

/*
 * What is numbered by a sequence, and its highest number. To compare the two takes the right to see the sequence; a role
 * without it finds none behind. One that was never used is at 0.
 */
#define SEQUENCES(highest_login)                                                                                      \
	"(SELECT q.*, CASE WHEN has_sequence_privilege(q.name, 'USAGE, SELECT')"                                      \
	"                  THEN coalesce(pg_sequence_last_value(q.name::regclass), 0) ELSE q.highest END AS reached"  \
	"   FROM (VALUES (pg_get_serial_sequence('users', 'id'), 'users', (SELECT max(id) FROM users)),"              \
	"                (pg_get_serial_sequence('events', 'id'), 'events', (SELECT max(id) FROM events)),"           \
	"                (pg_get_serial_sequence('sessions', 'login_order'), 'sessions', " highest_login "))"         \
	"        AS q (name, in_table, highest)) AS q"

/* To read them would be to wait for a transaction that holds one of the tables exclusively, or waits for it. */
const struct db_statement sql_sequences_are_free = {
	"sequences_are_free",
	"SELECT NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock'"
	"                      AND relation IN ('users'::regclass, 'events'::regclass, 'sessions'::regclass))",
};

/* By indexes alone: it is asked often. A key stored beyond all sessions is the business of the trigger number_login. */
const struct db_statement sql_sequences_behind = {
	"sequences_behind",
	"SELECT q.name::regclass::text, q.in_table FROM "
	SEQUENCES("(SELECT max(login_order) FROM sessions)")
	" WHERE q.reached < q.highest",
};

const struct db_statement sql_advance_sequences = {
	"advance_sequences",
	"SELECT q.name::regclass::text, q.in_table, setval(q.name::regclass, q.highest) FROM "
	SEQUENCES("greatest((SELECT max(login_order) FROM sessions), (SELECT max(login_order) FROM logged_in_user))")
	" WHERE q.reached < q.highest",
};

/* ---- module_migrations -------------------------------------------------------------------------------------- */

/* $1 module. */
const struct db_statement sql_module_migrations = {
	"module_migrations",
	"SELECT version, name, sha256 FROM module_migrations WHERE module = $1::text ORDER BY version",
};

/* $1 module. */
const struct db_statement sql_module_state = {
	"module_state",
	"SELECT format('CREATE SCHEMA %I AUTHORIZATION %I', $1::text, pg_get_userbyid(t.relowner)),"
	" format('SET LOCAL ROLE %I; SET LOCAL search_path = %I', pg_get_userbyid(t.relowner), $1::text),"
	" n.oid IS NOT NULL,"
	" n.oid IS NULL OR (n.nspowner = t.relowner AND NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid)"
	"  AND NOT EXISTS (SELECT FROM pg_proc p WHERE p.pronamespace = n.oid)"
	"  AND NOT EXISTS (SELECT FROM pg_type y WHERE y.typnamespace = n.oid))"
	" FROM pg_class t LEFT JOIN pg_namespace n ON n.nspname = $1::text WHERE t.oid = 'users'::regclass",
};

const struct db_statement sql_transaction_state = {
	"transaction_state",
	"SELECT txid_current()::text, current_user::text",
};

/* $1 module, $2 version, $3 name, $4 SHA-256. */
const struct db_statement sql_record_module_migration = {
	"record_module_migration",
	"INSERT INTO module_migrations (module, version, name, sha256)"
	" VALUES ($1::text, $2::bigint::integer, $3::text, $4::text)",
};

/* $1 role, $2 module. */
const struct db_statement sql_compose_module_grants = {
	"compose_module_grants",
	"SELECT format('"
	"REVOKE ALL ON SCHEMA %1$I FROM %2$I;"
	"REVOKE ALL ON ALL TABLES IN SCHEMA %1$I FROM %2$I;"
	"REVOKE ALL ON ALL SEQUENCES IN SCHEMA %1$I FROM %2$I;"
	"REVOKE ALL ON ALL ROUTINES IN SCHEMA %1$I FROM %2$I;"
	"GRANT USAGE ON SCHEMA %1$I TO %2$I;"
	"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %1$I TO %2$I;"
	"GRANT USAGE ON ALL SEQUENCES IN SCHEMA %1$I TO %2$I;"
	"GRANT EXECUTE ON ALL ROUTINES IN SCHEMA %1$I TO %2$I',"
	" n.nspname, r.rolname), pg_has_role(r.oid, n.nspowner, 'USAGE')"
	" FROM pg_roles r CROSS JOIN pg_namespace n WHERE r.rolname = $1::text AND n.nspname = $2::text",
};

/* ---- jobs --------------------------------------------------------------------------------------------------- */


/*
 * $2 is the pause between two runs, which may have become shorter since next_at was written. Who writes infinity there
 * means it.
 */
#define JOB_DUE_AT                                                                                                    \
	"CASE WHEN failures = 0 AND next_at < 'infinity' THEN least(next_at, started_at + " SQL_MILLISECONDS("$2") ")"    \
	" ELSE next_at END"

/* Until then. Anybody may write to the columns: infinity is no interval, and 400 days are as good. */
#define JOB_WAIT_MS(moment)                                                                                           \
	"ceil(extract(epoch FROM least(greatest(" moment ", now()), now() + interval '9600 hours') - now()) * 1000)"  \
	"::bigint"

/*
 * $1 name, $2 pause between two runs, $3 how long nobody else may run it, $4 the run, $5 host, $6 the pause before its
 * first run ever, $7 whether it need not be due. Sent a second time it finds what it has done the first time.
 */
const struct db_statement sql_claim_job = {
	"claim_job",
	"WITH known AS (INSERT INTO jobs (name, next_at) VALUES ($1::text, now() + " SQL_MILLISECONDS("$6") ")"
	"               ON CONFLICT (name) DO NOTHING),"
	"     taken AS (UPDATE jobs SET running_until = now() + " SQL_MILLISECONDS("$3") ", run = $4::text, host = $5::text,"
	"                      started_at = now(),"
	"                      failures = failures + (running_until IS NOT NULL AND run <> $4::text)::integer"
	"                WHERE name = $1::text"
	"                  AND (run = $4::text OR ((running_until IS NULL OR running_until <= now())"
	"                                          AND ($7::boolean OR " JOB_DUE_AT " <= now()))) RETURNING name)"
	" SELECT j.name IS NOT NULL, t.name IS NOT NULL, coalesce(j.running_until > now(), false),"
	"        CASE WHEN j.name IS NULL THEN $6::bigint"
	"             ELSE " JOB_WAIT_MS("greatest(" JOB_DUE_AT ", j.running_until)") " END,"
	"        CASE WHEN t.name IS NOT NULL AND j.running_until IS NOT NULL AND j.run <> $4::text THEN j.host ELSE '' END"
	"   FROM (VALUES (1)) AS one LEFT JOIN jobs j ON j.name = $1::text LEFT JOIN taken t ON true",
};

/* $1 name, $2 the run, $3 how long nobody else may run it. */
const struct db_statement sql_keep_job = {
	"keep_job",
	"UPDATE jobs SET running_until = now() + " SQL_MILLISECONDS("$3")
	" WHERE name = $1::text AND run = $2::text AND running_until IS NOT NULL",
};

/*
 * $1 name, $2 pause between two runs, $3 the run, $4 how it has ended, $5 the longest pause after failures. What was
 * stopped is due at once, for others, and what has failed after a pause that doubles each time; what was never to be
 * due again is not.
 */
const struct db_statement sql_finish_job = {
	"finish_job",
	"UPDATE jobs SET running_until = NULL, finished_at = now(), result = $4::text,"
	"       failures = CASE $4::text WHEN 'ok' THEN 0 WHEN 'stopped' THEN failures ELSE failures + 1 END,"
	"       next_at = CASE WHEN next_at = 'infinity' THEN next_at"
	"                      WHEN $4::text = 'ok' THEN greatest(now(), started_at + " SQL_MILLISECONDS("$2") ")"
	"                      WHEN $4::text = 'stopped' THEN now()"
	"                      ELSE now() + least($2::bigint * power(2, least(failures, 30)),"
	"                                         greatest($2::bigint, $5::bigint)) * interval '1 millisecond' END"
	" WHERE name = $1::text AND run = $3::text AND running_until IS NOT NULL"
	" RETURNING " JOB_WAIT_MS("next_at"),
};

/* ---- Rights ------------------------------------------------------------------------------------------------- */

/*
 * $1 role. GRANT takes no parameters, so the server itself quotes the names. What an earlier version granted is revoked
 * first. To make administrators, plans and tokens is for operators: the tables' owner; what a person has asked to be
 * deleted is erased by a function. Locking a row of users takes the right to change some column
 * of it. Identity columns and the trigger number_login need no right on the sequences; to see whether they are behind
 * takes one.
 */
#define OUR_TABLES                                                                                                    \
	"%1$I.users, %1$I.logged_in_user, %1$I.sessions, %1$I.ended_sessions, %1$I.events, %1$I.takeovers,"           \
	" %1$I.login_tickets, %1$I.login_failures, %1$I.known_browsers, %1$I.anonymous_sessions, %1$I.schema_migrations,"     \
	" %1$I.module_migrations, %1$I.jobs, %1$I.signups, %1$I.mails, %1$I.mail_tokens, %1$I.code_tries, %1$I.mail_domains,"   \
	" %1$I.plans, %1$I.api_tokens, %1$I.api_answers, %1$I.webhooks, %1$I.webhook_states, %1$I.webhook_deliveries"

const struct db_statement sql_compose_grants = {
	"compose_grants",
	"SELECT format('"
	"REVOKE ALL ON " OUR_TABLES " FROM %2$I;"
	"REVOKE ALL ON SEQUENCE %1$I.login_order, %1$I.users_id_seq, %1$I.events_id_seq, %1$I.signups_id_seq, %1$I.mails_id_seq,"
	" %1$I.api_tokens_id_seq, %1$I.webhooks_id_seq, %1$I.webhook_deliveries_id_seq FROM %2$I;"
	"GRANT USAGE ON SCHEMA %1$I TO %2$I;"
	"GRANT SELECT ON " OUR_TABLES " TO %2$I;"
	"GRANT SELECT ON SEQUENCE %1$I.login_order, %1$I.users_id_seq, %1$I.events_id_seq TO %2$I;"
	"GRANT INSERT (username, password, email, email_verified_at),"
	" UPDATE (password, email, email_verified_at, delete_at, notify_new_browser, language, plan, groups, valid_until,"
	" session_limit, is_active, external_id) ON %1$I.users TO %2$I;"
	"GRANT UPDATE (last_used_at) ON %1$I.api_tokens TO %2$I;"
	"GRANT UPDATE (disabled_at) ON %1$I.webhooks TO %2$I;"
	"GRANT UPDATE ON %1$I.webhook_states TO %2$I;"
	"GRANT EXECUTE ON FUNCTION %1$I.settle_events TO %2$I;"
	"GRANT EXECUTE ON FUNCTION %1$I.erase_account TO %2$I;"
	"GRANT INSERT (name, user_id, username, session_id, ip, user_agent, detail) ON %1$I.events TO %2$I;"
	"GRANT EXECUTE ON FUNCTION %1$I.purge_events TO %2$I;"
	"GRANT INSERT, DELETE, UPDATE (session_key, data, last_seen_at, device_key, proved_at) ON %1$I.sessions TO %2$I;"
	"GRANT INSERT, UPDATE ON %1$I.takeovers, %1$I.jobs TO %2$I;"
	"GRANT INSERT, UPDATE, DELETE ON %1$I.logged_in_user, %1$I.ended_sessions, %1$I.login_tickets,"
	" %1$I.login_failures, %1$I.known_browsers, %1$I.anonymous_sessions, %1$I.signups, %1$I.mails, %1$I.mail_tokens,"
	" %1$I.code_tries, %1$I.mail_domains, %1$I.api_answers, %1$I.webhook_deliveries TO %2$I',"
	" current_schema(), r.rolname), pg_has_role(r.oid, t.relowner, 'USAGE')"
	" FROM pg_roles r JOIN pg_class t ON t.oid = 'users'::regclass WHERE r.rolname = $1::text",
};

/* What roles lack that got their rights by a former version. One row, of two texts: the role, and what, or NULL. */
const struct db_statement sql_missing_rights = {
	"missing_rights",
	"SELECT current_user::text, string_agg(n.what, ', ' ORDER BY n.what) FROM ("
	"SELECT 'users.' || c, has_column_privilege('users', c, 'UPDATE') FROM unnest(ARRAY['password', 'email',"
	"       'email_verified_at', 'delete_at', 'notify_new_browser', 'language']) AS c"
	" UNION ALL SELECT t, has_table_privilege(t, 'SELECT') AND has_table_privilege(t, 'INSERT')"
	"  FROM unnest(ARRAY['jobs', 'signups', 'mails', 'mail_tokens', 'code_tries', 'mail_domains', 'webhook_deliveries']) AS t"
	" UNION ALL SELECT p::text, has_function_privilege(p, 'EXECUTE')"
	"  FROM unnest(ARRAY['erase_account', 'purge_events']::regproc[]) AS p"
	") AS n(what, is_there) WHERE NOT n.is_there",
};

/* clang-format on */

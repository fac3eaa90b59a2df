/* The SQL of webhooks and of what is sent to them. */
#include "session/webhook_sql.h"

#include "session/events_sql.h"
#include "session/name_sql.h"

/* Statements are laid out as SQL. */
/* clang-format off */

/* ---- Sending ------------------------------------------------------------------------------------------------- */

/* $1 the claim, $2 how long it lasts. Only where something is due: nothing is written while nothing happens. */
const struct db_statement sql_claim_webhooks = {
	"claim_webhooks",
	"WITH free AS (SELECT s.webhook_id FROM webhook_states s JOIN webhooks w ON w.id = s.webhook_id"
	"               WHERE w.disabled_at IS NULL AND s.claimed_until <= now() AND s.paused_until <= now()"
	"                 AND EXISTS (SELECT FROM webhook_deliveries d WHERE d.webhook_id = s.webhook_id"
	"                                AND d.state = 'due' AND d.next_at <= now())"
	"               FOR UPDATE OF s SKIP LOCKED)"
	" UPDATE webhook_states s SET claim = $1::text, claimed_until = now() + " SQL_MILLISECONDS("$2")
	"   FROM free f JOIN webhooks w ON w.id = f.webhook_id WHERE s.webhook_id = f.webhook_id"
	" RETURNING s.webhook_id, w.url, w.secret, s.failures",
};

/* $1 the claim, $2 how long it lasts from now on, $3 which, as an array. */
const struct db_statement sql_renew_webhooks = {
	"renew_webhooks",
	"WITH own AS (SELECT s.webhook_id FROM webhook_states s JOIN webhooks w ON w.id = s.webhook_id"
	"              WHERE s.claim = $1::text AND s.webhook_id = ANY ($3::text::bigint[]) AND w.disabled_at IS NULL"
	"              ORDER BY s.webhook_id FOR UPDATE OF s)"
	" UPDATE webhook_states s SET claimed_until = now() + " SQL_MILLISECONDS("$2")
	"  FROM own WHERE s.webhook_id = own.webhook_id"
	" RETURNING s.webhook_id",
};

/* $1 webhook, $2 the claim. */
const struct db_statement sql_release_webhook = {
	"release_webhook",
	"UPDATE webhook_states SET claim = '', claimed_until = '-infinity'"
	" WHERE webhook_id = $1::bigint AND claim = $2::text",
};

/*
 * $1 webhook, $2 those that are known, as an array, $3 how many. The event is as GET /api/events gives it, but for the
 * number of an account that has been deleted since. Its id of a message has the moment in it, for in a database that was
 * restored numbers are given once more.
 */
const struct db_statement sql_due_deliveries = {
	"due_deliveries",
	"SELECT d.id, coalesce(d.user_id, 0), coalesce(p.id, 0), d.attempts,"
	"       'evt_' || e.id || '_' || (extract(epoch FROM e.at) * 1000000)::bigint,"
	"       json_build_object('type', e.name, 'timestamp', " SQL_ISO_8601("e.at") ", 'data', json_build_object("
	"           'id', e.id, 'at', " SQL_ISO_8601("e.at") ", 'name', e.name, 'user_id', d.user_id,"
	"           'username', e.username, 'session_id', e.session_id, 'ip', host(e.ip), 'user_agent', e.user_agent,"
	"           'detail', e.detail))::text"
	"  FROM (SELECT * FROM webhook_deliveries WHERE webhook_id = $1::bigint AND state = 'due' AND next_at <= now()"
	"           AND id <> ALL ($2::text::bigint[]) ORDER BY next_at, id LIMIT $3::bigint) AS d"
	"  LEFT JOIN LATERAL (SELECT b.id FROM webhook_deliveries b WHERE b.webhook_id = d.webhook_id"
	"                        AND b.user_id = d.user_id AND b.state <> 'dead' AND b.id < d.id"
	"                      ORDER BY b.id DESC LIMIT 1) AS p ON true"
	"  LEFT JOIN events e ON e.id = d.event_id"
	" ORDER BY d.id",
};

/* $1 webhook, $2 the claim, $3 which, as an array: there is one of the account before each. */
const struct db_statement sql_park_deliveries = {
	"park_deliveries",
	"UPDATE webhook_deliveries SET state = 'behind' WHERE id = ANY ($3::text::bigint[]) AND state = 'due'"
	"   AND EXISTS (SELECT FROM webhook_states WHERE webhook_id = $1::bigint AND claim = $2::text)",
};

/* The first `max` of those that wait of the account `user`. */
#define WAITING_OF(webhook, user, max)                                                                                \
	"(SELECT b.id FROM webhook_deliveries b WHERE b.webhook_id = " webhook " AND b.user_id = " user               \
	" AND b.state = 'behind' ORDER BY b.id LIMIT " max ")"

/*
 * $1 webhook, $2 which, as an array, $3 the accounts of which nothing more is known to be due, likewise, $4 how many of
 * each are due then, $5 after how many failures in a row it was away: what has failed meanwhile is tried at once. Also
 * when the claim is another's by now, for they were taken. The row of the webhook is locked first, as wherever both are.
 */
const struct db_statement sql_delivered = {
	"delivered",
	"WITH own AS (SELECT webhook_id, failures FROM webhook_states WHERE webhook_id = $1::bigint FOR UPDATE),"
	"     gone AS (DELETE FROM webhook_deliveries d USING own WHERE d.id = ANY ($2::text::bigint[]) RETURNING d.id),"
	"     woken AS (UPDATE webhook_deliveries SET state = 'due', next_at = now() WHERE id IN"
	"               (SELECT b.id FROM own CROSS JOIN unnest($3::text::bigint[]) AS u(id) CROSS JOIN LATERAL "
	WAITING_OF("own.webhook_id", "u.id", "$4::bigint") " AS b) RETURNING 1),"
	"     back AS (UPDATE webhook_deliveries d SET next_at = now() FROM own WHERE own.failures >= $5::bigint"
	"                 AND d.webhook_id = own.webhook_id AND d.state = 'due' AND d.next_at > now() RETURNING 1)"
	" UPDATE webhook_states s SET delivered = delivered + (SELECT count(*) FROM gone), last_success_at = now(), failures = 0"
	"  FROM own WHERE s.webhook_id = own.webhook_id"
	" RETURNING (SELECT count(*) FROM woken) + (SELECT count(*) FROM back)",
};

/*
 * $1 webhook, $2 the claim, $3 which, $4 how often it was tried before, $5 what was wrong, $6 when it is tried again,
 * $7 whether this was the last try, $8 how many of its account are due then, $9 whether it counts as a try of this event.
 * Those that are due already are parked when they are read, so that one failure does not change all rows of a busy
 * account.
 */
const struct db_statement sql_delivery_failed = {
	"delivery_failed",
	"WITH own AS (SELECT webhook_id FROM webhook_states WHERE webhook_id = $1::bigint AND claim = $2::text FOR UPDATE),"
	"     done AS (UPDATE webhook_deliveries d SET attempts = attempts + $9::boolean::int, problem = $5::text,"
	"                     next_at = now() + " SQL_MILLISECONDS("$6") ","
	"                     state = CASE WHEN $7::boolean OR now() + " SQL_MILLISECONDS("$6") " > give_up_at"
	"                             THEN 'dead' ELSE 'due' END"
	"                FROM own WHERE d.id = $3::bigint AND d.attempts = $4::bigint AND d.state = 'due'"
	"              RETURNING d.id, d.user_id, d.state),"
	"     woken AS (UPDATE webhook_deliveries SET state = 'due', next_at = now() WHERE id IN"
	"               (SELECT b.id FROM done CROSS JOIN LATERAL " WAITING_OF("$1::bigint", "done.user_id", "$8::bigint") " AS b"
	"                 WHERE done.state = 'dead')),"
	"     noted AS (UPDATE webhook_states s SET failed = failed + 1, failures = failures + 1, last_failure_at = now(),"
	"                      problem = $5::text FROM done WHERE s.webhook_id = $1::bigint)"
	" SELECT state = 'dead' FROM done",
};

/* $1 webhook, $2 the claim, $3 for how long. */
const struct db_statement sql_pause_webhook = {
	"pause_webhook",
	"UPDATE webhook_states SET paused_until = now() + " SQL_MILLISECONDS("$3")
	" WHERE webhook_id = $1::bigint AND claim = $2::text",
};

/* $1 webhook, $2 what it has said, $3 how many are dead with it: the others are given up. */
const struct db_statement sql_disable_webhook = {
	"disable_webhook",
	"WITH off AS (UPDATE webhooks SET disabled_at = now() WHERE id = $1::bigint AND disabled_at IS NULL RETURNING id),"
	"     noted AS (UPDATE webhook_states s SET failed = failed + 1, failures = failures + 1, last_failure_at = now(),"
	"                      problem = $2::text FROM off WHERE s.webhook_id = off.id RETURNING s.webhook_id),"
	"     part AS (SELECT d.id FROM noted JOIN webhook_deliveries d ON d.webhook_id = noted.webhook_id"
	"               WHERE d.state <> 'dead' LIMIT $3::bigint FOR UPDATE OF d SKIP LOCKED),"
	"     dead AS (UPDATE webhook_deliveries d SET state = 'dead', problem = $2::text FROM part"
	"               WHERE d.id = part.id RETURNING 1)"
	" SELECT (SELECT count(*) FROM dead) FROM off",
};

/* ---- Upkeep -------------------------------------------------------------------------------------------------- */

/* However many rows there are, each of these reads and writes a portion of them, by an index. */

const struct db_statement sql_has_webhooks = {
	"has_webhooks",
	"SELECT EXISTS (SELECT FROM webhooks) OR EXISTS (SELECT FROM webhook_deliveries)",
};

/*
 * $1 how many of each webhook. Of webhooks that were removed, also while an event was written; and those given up whose
 * events are past session.history: the oldest, for events go in the order in which they came.
 */
const struct db_statement sql_drop_lost_deliveries = {
	"drop_lost_deliveries",
	"WITH RECURSIVE named AS (SELECT 0::bigint AS id UNION ALL"
	"        SELECT (SELECT least((SELECT min(webhook_id) FROM webhook_deliveries WHERE state = 'dead' AND webhook_id > named.id),"
	"                             (SELECT min(webhook_id) FROM webhook_deliveries WHERE state <> 'dead' AND webhook_id > named.id)))"
	"          FROM named WHERE named.id IS NOT NULL),"
	"     lost AS (SELECT d.id FROM named CROSS JOIN LATERAL"
	"                     ((SELECT id FROM webhook_deliveries WHERE webhook_id = named.id AND state = 'dead'"
	"                        ORDER BY id LIMIT $1::bigint) UNION ALL"
	"                      (SELECT id FROM webhook_deliveries WHERE webhook_id = named.id AND state <> 'dead'"
	"                        ORDER BY give_up_at LIMIT $1::bigint)) AS d"
	"               WHERE NOT EXISTS (SELECT FROM webhooks w WHERE w.id = named.id)"
	"              UNION ALL"
	"              SELECT d.id FROM webhooks w CROSS JOIN LATERAL"
	"                     (SELECT id, event_id FROM webhook_deliveries WHERE webhook_id = w.id AND state = 'dead'"
	"                       ORDER BY id LIMIT $1::bigint) AS d"
	"               WHERE NOT EXISTS (SELECT FROM events e WHERE e.id = d.event_id)),"
	"     gone AS (DELETE FROM webhook_deliveries WHERE id = ANY (ARRAY(SELECT id FROM lost)) RETURNING 1)"
	" SELECT count(*) FROM gone",
};

/*
 * $1 webhook and $2 account up to which it was done, $3 how many accounts. What waits for nothing any more, as after
 * somebody else has deleted rows: only the first one of an account can be such.
 */
const struct db_statement sql_wake_deliveries = {
	"wake_deliveries",
	"WITH RECURSIVE accounts AS (SELECT $1::bigint AS webhook_id, $2::bigint AS user_id, 0 AS n UNION ALL"
	"        SELECT b.webhook_id, b.user_id, a.n + 1 FROM accounts a CROSS JOIN LATERAL"
	"               (SELECT webhook_id, user_id FROM webhook_deliveries WHERE state = 'behind'"
	"                   AND (webhook_id, user_id) > (a.webhook_id, a.user_id) ORDER BY webhook_id, user_id LIMIT 1) AS b"
	"         WHERE a.n < $3::bigint),"
	"     first AS (SELECT f.id FROM accounts a CROSS JOIN LATERAL"
	"                      (SELECT id, state FROM webhook_deliveries WHERE webhook_id = a.webhook_id AND user_id = a.user_id"
	"                          AND state <> 'dead' ORDER BY id LIMIT 1) AS f WHERE a.n > 0 AND f.state = 'behind'),"
	"     woken AS (SELECT d.id FROM webhook_deliveries d WHERE d.id = ANY (ARRAY(SELECT id FROM first)) AND d.state = 'behind'"
	"                ORDER BY d.id FOR UPDATE SKIP LOCKED),"
	"     due AS (UPDATE webhook_deliveries SET state = 'due', next_at = now() WHERE id = ANY (ARRAY(SELECT id FROM woken)))"
	" SELECT webhook_id, user_id, n FROM accounts ORDER BY n DESC LIMIT 1",
};

/*
 * $1 how many failures in a row, $2 how many, $3 how many of an account are due then. What has waited for a webhook that
 * is away as long as it is tried, and what is left of one that is disabled. What waits behind it is due, unless it is as
 * old: then it is among the next ones that are given up.
 */
const struct db_statement sql_give_up_deliveries = {
	"give_up_deliveries",
	"WITH late AS MATERIALIZED (SELECT d.id, d.webhook_id, d.user_id, s.problem, w.disabled_at IS NOT NULL AS is_disabled"
	"                FROM webhook_states s JOIN webhooks w ON w.id = s.webhook_id CROSS JOIN LATERAL"
	"                     (SELECT * FROM webhook_deliveries WHERE webhook_id = s.webhook_id AND state <> 'dead'"
	"                         AND give_up_at < CASE WHEN w.disabled_at IS NOT NULL THEN 'infinity'"
	"                                               WHEN s.failures >= $1::bigint THEN now() ELSE '-infinity' END"
	"                       ORDER BY give_up_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED) AS d"
	"               LIMIT $2::bigint),"
	"     dead AS (UPDATE webhook_deliveries d SET state = 'dead',"
	"                     problem = CASE d.problem WHEN '' THEN l.problem ELSE d.problem END"
	"                FROM late l WHERE d.id = l.id RETURNING 1),"
	"     woken AS (UPDATE webhook_deliveries SET state = 'due', next_at = now() WHERE id IN"
	"               (SELECT b.id FROM (SELECT DISTINCT webhook_id, user_id FROM late WHERE NOT is_disabled) AS u CROSS JOIN LATERAL"
	"                       (SELECT b.id, b.give_up_at FROM webhook_deliveries b WHERE b.webhook_id = u.webhook_id"
	"                           AND b.user_id = u.user_id AND b.state = 'behind' AND b.id <> ALL (ARRAY(SELECT id FROM late))"
	"                         ORDER BY b.id LIMIT $3::bigint FOR UPDATE SKIP LOCKED) AS b WHERE b.give_up_at >= now()))"
	" SELECT count(*) FROM dead",
};

/* $1 how many are counted, at the most, of each webhook in each state. */
const struct db_statement sql_webhook_queue = {
	"webhook_queue",
	"SELECT count(*), coalesce(sum(pending.n), 0)::bigint, coalesce(sum(dead.n), 0)::bigint,"
	"       coalesce(extract(epoch FROM now() - min(oldest.at) + interval '1 day') * 1000, 0)::bigint"
	"  FROM webhooks w CROSS JOIN LATERAL"
	"       (SELECT count(*) FROM (SELECT FROM webhook_deliveries WHERE webhook_id = w.id AND state <> 'dead'"
	"                               ORDER BY give_up_at LIMIT $1::bigint) AS part) AS pending(n) CROSS JOIN LATERAL"
	"       (SELECT count(*) FROM (SELECT FROM webhook_deliveries WHERE webhook_id = w.id AND state = 'dead'"
	"                               ORDER BY id LIMIT $1::bigint) AS part) AS dead(n) CROSS JOIN LATERAL"
	"       (SELECT min(give_up_at) FROM webhook_deliveries WHERE webhook_id = w.id AND state <> 'dead') AS oldest(at)",
};

/* ---- For operators ------------------------------------------------------------------------------------------- */

/* $1 URL, $2 events, separated by commas, or NULL for all, $3 secret, $4 how many there may be. */
const struct db_statement sql_add_webhook = {
	"add_webhook",
	"WITH w AS (INSERT INTO webhooks (url, events, secret)"
	"           SELECT $1::text, string_to_array($2::text, ','), $3::text"
	"            WHERE (SELECT count(*) FROM webhooks) < $4::bigint RETURNING id)"
	" INSERT INTO webhook_states (webhook_id) SELECT id FROM w RETURNING webhook_id",
};

const struct db_statement sql_list_webhooks = {
	"list_webhooks",
	"SELECT w.id, w.url, coalesce(array_to_string(w.events, ' '), ''), w.created_at, w.disabled_at, q.pending, q.dead,"
	"       s.delivered, s.failed, s.last_success_at, s.last_failure_at, s.problem,"
	"       CASE WHEN n.next_at > now() THEN n.next_at END"
	"  FROM webhooks w JOIN webhook_states s ON s.webhook_id = w.id CROSS JOIN LATERAL"
	"       (SELECT count(*) FILTER (WHERE d.state <> 'dead'), count(*) FILTER (WHERE d.state = 'dead')"
	"          FROM webhook_deliveries d WHERE d.webhook_id = w.id) AS q(pending, dead) CROSS JOIN LATERAL"
	"       (SELECT CASE WHEN min(d.next_at) IS NOT NULL THEN greatest(min(d.next_at), s.paused_until) END"
	"          FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.state = 'due') AS n(next_at)"
	" ORDER BY w.id",
};

/* $1 webhook. */
const struct db_statement sql_find_webhook = {
	"find_webhook",
	"SELECT url, secret, " SQL_ISO_8601("now()") " FROM webhooks WHERE id = $1::bigint",
};

/* $1 webhook, 0: all. What is away, or has said that it is gone, is tried again, and what has failed at once. */
const struct db_statement sql_retry_webhooks = {
	"retry_webhooks",
	"WITH own AS (UPDATE webhooks SET disabled_at = NULL WHERE $1::bigint IN (0, id) RETURNING id),"
	"     on_again AS (UPDATE webhook_states s SET paused_until = '-infinity', failures = 0 FROM own"
	"                   WHERE s.webhook_id = own.id RETURNING s.webhook_id),"
	"     due AS (UPDATE webhook_deliveries d SET next_at = now(), attempts = 0 FROM on_again"
	"              WHERE d.webhook_id = on_again.webhook_id AND d.state = 'due' AND d.next_at > now() RETURNING 1)"
	" SELECT EXISTS (SELECT FROM own), (SELECT count(*) FROM due) + (SELECT count(*) FROM own JOIN webhook_deliveries d"
	"                                     ON d.webhook_id = own.id AND d.state = 'dead')",
};

/* $1 webhook, 0: all, $2 how many of each. What is dead is due at once, the oldest first: so accounts keep their order. */
const struct db_statement sql_retry_deliveries = {
	"retry_deliveries",
	"WITH part AS (SELECT d.id FROM webhooks w CROSS JOIN LATERAL"
	"                     (SELECT id FROM webhook_deliveries WHERE webhook_id = w.id AND state = 'dead'"
	"                       ORDER BY id LIMIT $2::bigint) AS d WHERE $1::bigint IN (0, w.id)),"
	"     due AS (UPDATE webhook_deliveries d SET state = 'due', attempts = 0, next_at = now(),"
	"                    give_up_at = now() + interval '1 day'"
	"              WHERE d.id = ANY (ARRAY(SELECT id FROM part)) AND d.state = 'dead' RETURNING 1)"
	" SELECT count(*) FROM due",
};

/* $1 webhook. */
const struct db_statement sql_remove_webhook = {
	"remove_webhook",
	"DELETE FROM webhooks WHERE id = $1::bigint RETURNING url",
};

/* clang-format on */

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
 * each are due then. Also when the claim is another's by now, for they were taken. The row of the webhook is locked
 * first, as wherever both are.
 */
const struct db_statement sql_delivered = {
	"delivered",
	"WITH own AS (SELECT webhook_id FROM webhook_states WHERE webhook_id = $1::bigint FOR UPDATE),"
	"     gone AS (DELETE FROM webhook_deliveries d USING own WHERE d.id = ANY ($2::text::bigint[]) RETURNING d.id),"
	"     woken AS (UPDATE webhook_deliveries SET state = 'due', next_at = now() WHERE id IN"
	"               (SELECT b.id FROM own CROSS JOIN unnest($3::text::bigint[]) AS u(id) CROSS JOIN LATERAL "
	WAITING_OF("own.webhook_id", "u.id", "$4::bigint") " AS b) RETURNING 1)"
	" UPDATE webhook_states s SET delivered = delivered + (SELECT count(*) FROM gone), last_success_at = now(), failures = 0"
	"  FROM own WHERE s.webhook_id = own.webhook_id RETURNING (SELECT count(*) FROM woken)",
};

/*
 * $1 webhook, $2 the claim, $3 which, $4 how often it was tried before, $5 what was wrong, $6 when it is tried again,
 * $7 whether this was the last try, $8 how many of its account are due then. Those that are due already are parked when
 * they are read, so that one failure does not change all rows of a busy account.
 */
const struct db_statement sql_delivery_failed = {
	"delivery_failed",
	"WITH own AS (SELECT webhook_id FROM webhook_states WHERE webhook_id = $1::bigint AND claim = $2::text FOR UPDATE),"
	"     done AS (UPDATE webhook_deliveries d SET attempts = attempts + 1, problem = $5::text,"
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

/* Of webhooks that were removed while an event was written; and of events that are past session.history. */
const struct db_statement sql_drop_lost_deliveries = {
	"drop_lost_deliveries",
	"DELETE FROM webhook_deliveries d WHERE NOT EXISTS (SELECT FROM webhooks w WHERE w.id = d.webhook_id)"
	"    OR (d.give_up_at < now() AND NOT EXISTS (SELECT FROM events e WHERE e.id = d.event_id))",
};

/*
 * What waits for nothing any more, as after somebody else has deleted rows. Only the first one of an account can be such:
 * one pass in the order of webhook_deliveries_order, whatever the plan.
 */
const struct db_statement sql_wake_deliveries = {
	"wake_deliveries",
	"WITH first AS MATERIALIZED (SELECT DISTINCT ON (webhook_id, user_id) id, state FROM webhook_deliveries"
	"                             WHERE state <> 'dead' ORDER BY webhook_id, user_id, id),"
	"     woken AS (SELECT d.id FROM webhook_deliveries d"
	"                WHERE d.id = ANY (ARRAY(SELECT id FROM first WHERE state = 'behind')) AND d.state = 'behind'"
	"                ORDER BY d.id FOR UPDATE SKIP LOCKED)"
	" UPDATE webhook_deliveries SET state = 'due', next_at = now() WHERE id = ANY (ARRAY(SELECT id FROM woken))",
};

/*
 * $1 how many failures in a row, $2 how many. What has waited for a webhook that is away as long as it is tried, and what
 * is left of one that is disabled.
 */
const struct db_statement sql_give_up_deliveries = {
	"give_up_deliveries",
	"WITH late AS (SELECT d.id, s.problem FROM webhook_states s JOIN webhooks w ON w.id = s.webhook_id"
	"                JOIN webhook_deliveries d ON d.webhook_id = s.webhook_id WHERE d.state <> 'dead'"
	"                 AND (w.disabled_at IS NOT NULL OR (s.failures >= $1::bigint AND d.give_up_at < now()))"
	"               LIMIT $2::bigint FOR UPDATE OF d SKIP LOCKED),"
	"     dead AS (UPDATE webhook_deliveries d SET state = 'dead',"
	"                     problem = CASE d.problem WHEN '' THEN l.problem ELSE d.problem END"
	"                FROM late l WHERE d.id = l.id RETURNING d.webhook_id)"
	" SELECT webhook_id, count(*) FROM dead GROUP BY 1",
};

const struct db_statement sql_webhook_queue = {
	"webhook_queue",
	"SELECT (SELECT count(*) FROM webhooks), count(*) FILTER (WHERE state <> 'dead'),"
	"       count(*) FILTER (WHERE state = 'dead'),"
	"       coalesce(extract(epoch FROM now() - min(give_up_at - interval '1 day') FILTER (WHERE state <> 'dead')) * 1000, 0)::bigint"
	"  FROM webhook_deliveries",
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
	"       s.delivered, s.failed, s.last_success_at, s.last_failure_at, s.problem"
	"  FROM webhooks w JOIN webhook_states s ON s.webhook_id = w.id CROSS JOIN LATERAL"
	"       (SELECT count(*) FILTER (WHERE d.state <> 'dead'), count(*) FILTER (WHERE d.state = 'dead')"
	"          FROM webhook_deliveries d WHERE d.webhook_id = w.id) AS q(pending, dead)"
	" ORDER BY w.id",
};

/* $1 webhook. */
const struct db_statement sql_find_webhook = {
	"find_webhook",
	"SELECT url, secret, " SQL_ISO_8601("now()") " FROM webhooks WHERE id = $1::bigint",
};

/* $1 webhook, 0: all. What is dead is due at once; what is away, or has said that it is gone, is tried again. */
const struct db_statement sql_retry_webhooks = {
	"retry_webhooks",
	"WITH own AS (UPDATE webhooks SET disabled_at = NULL WHERE $1::bigint IN (0, id) RETURNING id),"
	"     on_again AS (UPDATE webhook_states s SET paused_until = '-infinity', failures = 0 FROM own"
	"                   WHERE s.webhook_id = own.id RETURNING s.webhook_id),"
	"     due AS (UPDATE webhook_deliveries d SET state = 'due', attempts = 0, next_at = now(),"
	"                    give_up_at = now() + interval '1 day' FROM on_again"
	"              WHERE d.webhook_id = on_again.webhook_id AND d.state = 'dead' RETURNING 1)"
	" SELECT EXISTS (SELECT FROM own), (SELECT count(*) FROM due)",
};

/* $1 webhook. */
const struct db_statement sql_remove_webhook = {
	"remove_webhook",
	"DELETE FROM webhooks WHERE id = $1::bigint RETURNING url",
};

/* $1 webhook. */
const struct db_statement sql_remove_deliveries = {
	"remove_deliveries",
	"DELETE FROM webhook_deliveries WHERE webhook_id = $1::bigint",
};

/* clang-format on */

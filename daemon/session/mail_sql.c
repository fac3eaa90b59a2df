/* The SQL of mails and of their links and codes. */
#include "session/mail_sql.h"

#include "session/name_sql.h"

/* Statements are laid out as SQL. */
/* clang-format off */

/* The first key of an advisory lock of the two that a recipient has: "onet" in ASCII. */
#define LOCK_RECIPIENT "1869505908"

/* ---- Writing and sending ------------------------------------------------------------------------------------- */

/*
 * $1 Message-ID, $2 module, $3 kind, $4 account or NULL, $5 login or NULL, $6 address or NULL, $7 language, $8 data,
 * $9 purpose or NULL, $10 lifetime or NULL, $11 path or NULL, $12 kind if the address is taken, or NULL, $13 whether it is a notice. Sent a second
 * time it does nothing more. For an account that has gone meanwhile nothing is written.
 */
const struct db_statement sql_add_mail = {
	"add_mail",
	"INSERT INTO mails (message_id, module, kind, user_id, login, recipient, language, data, purpose, lifetime_ms, path,"
	"                   kind_if_taken, is_notice, about_id)"
	" SELECT $1::text::uuid, $2::text, $3::text, $4::bigint, $5::text, $6::text, $7::text, $8::text::jsonb, $9::text,"
	"        $10::bigint, $11::text, $12::text, $13::boolean,"
	"        CASE WHEN $4::bigint IS NULL AND jsonb_typeof($8::text::jsonb -> 'user_id') = 'number'"
	"             THEN ($8::text::jsonb ->> 'user_id')::numeric::bigint END"
	"  WHERE $4::bigint IS NULL OR EXISTS (SELECT FROM users WHERE id = $4::bigint)"
	" ON CONFLICT (message_id) DO NOTHING",
};

/* Whose ask it was: not that of the account that has the address already. */
#define ASKED_BY(mail) "CASE WHEN " mail ".is_taken THEN " mail ".about_id ELSE " mail ".user_id END"

/* Another account that has the address, by one of its keys; and a column of a mail that it is not told of. */
#define HOLDER(key)                                                                                                   \
	"(SELECT u.id FROM users u WHERE u." key " = " SQL_NAME_KEY("due.recipient") " AND u.id IS DISTINCT FROM due.user_id)"
#define UNLESS_TAKEN(column) "CASE WHEN o.id IS NULL THEN m." column " END"

/*
 * $1 the claim, $2 how long it lasts, $3 a domain to which none is to be written, or NULL. The account of a mail is the one that it was written for, or that
 * signs in by what was typed; the address the one that it was written to, or that of the account, if it is verified.
 * Whose the address is that it was written to is looked at now. What somebody has asked for by typing a login is in the
 * language of the account, if that is known, and not of whoever typed it.
 */
const struct db_statement sql_claim_mail = {
	"claim_mail",
	"WITH due AS (SELECT id, user_id, recipient, kind_if_taken FROM mails WHERE state = 'queued' AND next_at <= now()"
	"                AND ($3::text IS NULL OR recipient IS NULL OR right(recipient, length($3::text) + 1) <> '@' || $3::text)"
	"              ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED),"
	"     other AS (SELECT due.kind_if_taken AS kind, coalesce(" HOLDER("email_key") ", " HOLDER("username_key") ") AS id"
	"                 FROM due WHERE due.kind_if_taken IS NOT NULL),"
	"     taken AS (UPDATE mails m SET claim = $1::text, next_at = now() + " SQL_MILLISECONDS("$2") ","
	"                      kind = coalesce(o.kind, m.kind), user_id = coalesce(o.id, m.user_id),"
	"                      about_id = CASE WHEN o.id IS NULL THEN m.about_id ELSE m.user_id END,"
	"                      is_taken = m.is_taken OR o.id IS NOT NULL,"
	"                      kind_if_taken = " UNLESS_TAKEN("kind_if_taken") ", path = " UNLESS_TAKEN("path")
	"                 FROM due LEFT JOIN other o ON o.id IS NOT NULL WHERE m.id = due.id RETURNING m.*)"
	" SELECT t.id, t.message_id::text, t.module, t.kind, coalesce(a.id, 0), coalesce(a.username, ''),"
	"        coalesce(t.recipient, CASE WHEN a.email_verified_at IS NOT NULL THEN a.email END, ''),"
	"        CASE WHEN t.login IS NOT NULL THEN coalesce(a.language, t.language) ELSE t.language END,"
	"        coalesce(t.data::text, '{}'), CASE WHEN t.is_taken THEN '' ELSE coalesce(t.purpose, '') END,"
	"        CASE WHEN t.is_taken THEN 0 ELSE coalesce(t.lifetime_ms, 0) END,"
	"        coalesce(t.path, ''), t.slot_at IS NOT NULL"
	"   FROM taken t LEFT JOIN LATERAL"
	"        (SELECT * FROM users u WHERE u.id = t.user_id"
	"         UNION ALL SELECT * FROM users u WHERE t.user_id IS NULL AND u.id = " SQL_ACCOUNT_OF("t.login")
	"            AND u.is_active) AS a ON true",
};

/* How many of a kind an address has got lately. */
#define GOT_LATELY(span) "state = 'sent' AND ended_at > now() - " SQL_MILLISECONDS(span)

/* $1 address, $2 kind, $3 how many it may get in $4. */
const struct db_statement sql_recipient_has_all = {
	"recipient_has_all",
	"SELECT count(*) >= $3::bigint FROM mails"
	" WHERE sent_to_key = " SQL_NAME_KEY("$1::text") " AND kind = $2::text AND " GOT_LATELY("$4"),
};

/* $1 mail, $2 the claim, $3 domain, $4 the time between two mails to it. What has to wait is nobody's meanwhile. */
const struct db_statement sql_take_mail_slot = {
	"take_mail_slot",
	"WITH slot AS (INSERT INTO mail_domains AS d (domain, free_at) VALUES ($3::text, now() + " SQL_MILLISECONDS("$4") ")"
	"              ON CONFLICT (domain) DO UPDATE SET free_at = greatest(d.free_at, now()) + " SQL_MILLISECONDS("$4")
	"              RETURNING free_at - " SQL_MILLISECONDS("$4") " AS at)"
	" UPDATE mails SET slot_at = slot.at, next_at = CASE WHEN slot.at > now() THEN slot.at ELSE next_at END,"
	"        claim = CASE WHEN slot.at > now() THEN '' ELSE claim END"
	"   FROM slot WHERE id = $1::bigint AND claim = $2::text RETURNING slot.at <= now()",
};

/* $1 address. Whoever counts its mails counts those that are begun at the same time. */
const struct db_statement sql_lock_mail_recipient = {
	"lock_mail_recipient",
	"SELECT pg_advisory_xact_lock(" LOCK_RECIPIENT ", hashtext(" SQL_NAME_KEY("$1::text") "))",
};

/*
 * $1 mail, $2 the claim, $3 how long it lasts, $4 kind, $5 account or NULL, $6 address, $7 how many it may get (0: any
 * number) in $8, $9 key of the token and $10 of the code. The token counts from now on: the person may have the mail
 * before the server's answer is here. Where the address is another account's the mail has no link and no code, and nobody
 * knows its token: that it is there makes no difference to who has asked.
 */
const struct db_statement sql_begin_mail = {
	"begin_mail",
	"WITH own AS (SELECT CASE WHEN NOT is_notice THEN purpose END AS purpose, about_id,"
	"                    CASE WHEN is_taken THEN about_id ELSE $5::bigint END AS asked_by FROM mails WHERE id = $1::bigint),"
	"     got AS (SELECT count(*) FILTER (WHERE " GOT_LATELY("$8") ") AS sent,"
	"                    count(*) FILTER (WHERE state = 'queued' AND claim <> '' AND next_at > now()) AS under_way"
	"               FROM mails WHERE sent_to_key = " SQL_NAME_KEY("$6::text") " AND kind = $4::text AND id <> $1::bigint),"
	"     newer AS (SELECT EXISTS (SELECT FROM own o CROSS JOIN mails m WHERE m.purpose = o.purpose"
	"                                 AND m.id > $1::bigint AND m.state = 'sent'"
	"                                 AND ((m.user_id = o.asked_by AND NOT m.is_taken)"
	"                                      OR (m.about_id = o.asked_by AND m.is_taken)"
	"                                      OR (o.asked_by IS NULL AND " ASKED_BY("m") " IS NULL"
	"                                          AND m.about_id IS NOT DISTINCT FROM o.about_id"
	"                                          AND m.sent_to_key = " SQL_NAME_KEY("$6::text") "))) AS is_there),"
	"     begun AS (UPDATE mails m SET sent_to = $6::text, user_id = $5::bigint, attempts = attempts + 1,"
	"                      next_at = now() + " SQL_MILLISECONDS("$3")
	"                 FROM got, newer WHERE m.id = $1::bigint AND m.claim = $2::text AND m.state = 'queued'"
	"                  AND ($7::bigint = 0 OR got.sent + got.under_way < $7::bigint) AND NOT newer.is_there"
	"               RETURNING m.*),"
	"     token AS (INSERT INTO mail_tokens (token_key, code_key, mail_id, purpose, user_id, recipient_key, recipient,"
	"                                        data, expires_at)"
	"               SELECT $9::bytea, $10::bytea, id, purpose, " ASKED_BY("begun") ", sent_to_key, sent_to, data,"
	"                      now() + lifetime_ms * interval '1 millisecond' FROM begun WHERE purpose IS NOT NULL)"
	" SELECT EXISTS (SELECT FROM begun), got.sent, got.under_way, newer.is_there FROM got, newer",
};

/* What is left of a mail that is over. */
#define OVER "claim = '', slot_at = NULL, login = NULL, recipient = NULL, data = NULL, path = NULL, ended_at = now()"

/*
 * A token, and a mail or another token, of the same purpose and for the same person. A notice to somebody who has no
 * account any more is about one: the same mailbox may get notices of several.
 */
#define SAME_PERSON(token, other, key, about)                                                                         \
	token ".purpose = " other ".purpose AND (" token ".user_id = " other ".user_id"                              \
	" OR (" token ".user_id IS NULL AND " other ".user_id IS NULL AND " token ".recipient_key = " other "." key     \
	" AND " token ".data ->> 'user_id' IS NOT DISTINCT FROM " about "))"

/*
 * $1 mail. Also when the claim is another's by now, for it was sent. From now on its token is the newest, and those of
 * mails before it are void.
 */
const struct db_statement sql_mail_sent = {
	"mail_sent",
	"WITH done AS (UPDATE mails SET state = 'sent', problem = '', " OVER
	"               WHERE id = $1::bigint AND state = 'queued'"
	"              RETURNING id, purpose, " ASKED_BY("mails") " AS user_id, sent_to_key, about_id)"
	" DELETE FROM mail_tokens t USING done d WHERE t.mail_id < d.id AND "
	SAME_PERSON("t", "d", "sent_to_key", "d.about_id::text"),
};

/*
 * $1 mail, $2 the claim, $3 key of the token that is void, or NULL: it may have arrived, $4 what was wrong, $5 whether
 * to give it up at once, $6 the first pause, and $7 the longest: each is twice as long as the one before.
 */
const struct db_statement sql_mail_failed = {
	"mail_failed",
	"WITH void AS (DELETE FROM mail_tokens WHERE token_key = $3::bytea)"
	" UPDATE mails SET claim = '', slot_at = NULL, problem = $4::text,"
	"        state = CASE WHEN $5::boolean OR give_up_at < now() THEN 'dead' ELSE 'queued' END,"
	"        ended_at = CASE WHEN $5::boolean OR give_up_at < now() THEN now() END,"
	"        next_at = now() + least($6::bigint * power(2, least(attempts, 30) - 1), $7::bigint) * interval '1 millisecond'"
	"  WHERE id = $1::bigint AND claim = $2::text AND state = 'queued'"
	" RETURNING state = 'dead', ceil(extract(epoch FROM next_at - now()) * 1000)::bigint",
};

/*
 * $1 mail, $2 the claim, $3 key of the token that is void, or NULL, $4 what was wrong, "" for nothing, $5 whether this
 * was no try, $6 when it is due again.
 */
const struct db_statement sql_release_mail = {
	"release_mail",
	"WITH void AS (DELETE FROM mail_tokens WHERE token_key = $3::bytea)"
	" UPDATE mails SET claim = '', next_at = now() + " SQL_MILLISECONDS("$6") ", attempts = greatest(attempts - $5::boolean::integer, 0),"
	"        problem = CASE $4::text WHEN '' THEN problem ELSE $4::text END"
	"  WHERE id = $1::bigint AND claim = $2::text AND state = 'queued'",
};

/* $1 mail, $2 the claim, $3 account or NULL, $4 address. */
const struct db_statement sql_limit_mail = {
	"limit_mail",
	"UPDATE mails SET state = 'limited', sent_to = $4::text, user_id = $3::bigint, " OVER
	" WHERE id = $1::bigint AND claim = $2::text AND state = 'queued'",
};

/* $1 mail, $2 the claim. */
const struct db_statement sql_forget_mail = {
	"forget_mail",
	"DELETE FROM mails WHERE id = $1::bigint AND claim = $2::text AND state = 'queued'",
};

/* $1 what was wrong, $2 how many, $3 how long ago they should have been given up. */
const struct db_statement sql_give_up_mails = {
	"give_up_mails",
	"UPDATE mails SET state = 'dead', ended_at = now(), slot_at = NULL, problem = $1::text"
	" WHERE id IN (SELECT id FROM mails WHERE state = 'queued' AND claim = ''"
	"                 AND give_up_at < now() - " SQL_MILLISECONDS("$3")
	"               ORDER BY give_up_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED)"
	" RETURNING id, module, kind, coalesce(user_id, 0)",
};

const struct db_statement sql_mail_queue = {
	"mail_queue",
	"SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)) * 1000, 0)::bigint"
	"  FROM mails WHERE state = 'queued'",
};

/* ---- Links and codes ----------------------------------------------------------------------------------------- */

#define TOKEN_COLUMNS(row)                                                                                            \
	row ".token_key, coalesce(" row ".user_id, 0), " row ".recipient, " row ".purpose,"                           \
	" coalesce(" row ".data::text, '{}'), " row ".created_at, " row ".expires_at"

/* It is of one of those, which are separated by spaces. */
#define HAS_PURPOSE(row, purposes) row ".purpose = ANY (string_to_array(" purposes "::text, ' '))"

/* $1 key of the token, $2 purposes. */
const struct db_statement sql_find_mail_token = {
	"find_mail_token",
	"SELECT " TOKEN_COLUMNS("t") " FROM mail_tokens t"
	" WHERE t.token_key = $1::bytea AND " HAS_PURPOSE("t", "$2") " AND t.expires_at > now()",
};

/*
 * $1 login. The subject of its tries, and the account, 0: none. An address that is to be an account's is one that nobody
 * has: whether somebody has it shows in no account's tries.
 * What stands for nothing has a row like all others, but of some 65,000 at the most, whoever types how many.
 */
const struct db_statement sql_mail_code_account = {
	"mail_code_account",
	"SELECT coalesce(a.id::text, CASE WHEN t.is_there THEN s.subject ELSE left(s.subject, 4) END), coalesce(a.id, 0)"
	"  FROM (SELECT " SQL_ACCOUNT_OF("$1::text") " AS id OFFSET 0) AS a,"
	"       (SELECT EXISTS (SELECT FROM mail_tokens WHERE recipient_key = " SQL_NAME_KEY("$1::text")
	"                          AND expires_at > now()) AS is_there OFFSET 0) AS t,"
	"       (SELECT " SQL_LOGIN_SUBJECT(SQL_NAME_KEY("$1::text")) " AS subject OFFSET 0) AS s",
};

#define OF_TODAY "c.began_at > now() - interval '1 day'"

/* $1 subject. How many it has tried today; until the end of the transaction nobody else tries for it. */
const struct db_statement sql_hold_code_tries = {
	"hold_code_tries",
	"INSERT INTO code_tries AS c (subject, count) VALUES ($1::text, 0)"
	" ON CONFLICT (subject) DO UPDATE SET count = CASE WHEN " OF_TODAY " THEN c.count ELSE 0 END,"
	"        began_at = CASE WHEN " OF_TODAY " THEN c.began_at ELSE now() END"
	" RETURNING count",
};

/*
 * $1 purposes, $2 account or 0, $3 login, $4 key of the code, $5 how many tries a code has, 0: none today. A row for
 * each code that is not void: of a try that was right for one of them none is used up.
 */
const struct db_statement sql_try_mail_code = {
	"try_mail_code",
	"WITH tried AS (SELECT t.token_key, t.code_key = $4::bytea AS is_right FROM mail_tokens t"
	"                WHERE " HAS_PURPOSE("t", "$1") " AND t.expires_at > now() AND t.code_tries < $5::bigint"
	"                  AND (t.user_id = $2::bigint OR t.recipient_key = " SQL_NAME_KEY("$3::text") ") FOR UPDATE)"
	" UPDATE mail_tokens t SET code_tries = t.code_tries + (NOT EXISTS (SELECT FROM tried WHERE is_right))::integer"
	"   FROM tried WHERE t.token_key = tried.token_key"
	" RETURNING " TOKEN_COLUMNS("t") ", tried.is_right",
};

/* $1 subject, $2 how many more. */
const struct db_statement sql_count_code_try = {
	"count_code_try",
	"UPDATE code_tries SET count = count + $2::bigint WHERE subject = $1::text",
};

/* $1 key of the token, $2 purpose. Its mail has arrived, whatever is known of it. */
const struct db_statement sql_use_mail_token = {
	"use_mail_token",
	"WITH used AS (DELETE FROM mail_tokens WHERE token_key = $1::bytea AND purpose = $2::text AND expires_at > now()"
	"              RETURNING *),"
	"     others AS (DELETE FROM mail_tokens t USING used u WHERE t.token_key <> u.token_key"
	"                   AND " SAME_PERSON("t", "u", "recipient_key", "u.data ->> 'user_id'") "),"
	"     arrived AS (UPDATE mails SET state = 'sent', problem = '', " OVER
	"                  WHERE id = (SELECT mail_id FROM used) AND state = 'queued')"
	" SELECT true FROM used",
};

/*
 * Links and codes are withdrawn in two statements: a mail that is being begun is waited for by the first, and only the
 * second sees the token that it has got meanwhile.
 */

/* $1 account. Notices to addresses that it has given up are none of its own. */
const struct db_statement sql_withdraw_mails = {
	"withdraw_mails",
	"DELETE FROM mails WHERE state = 'queued' AND purpose IS NOT NULL"
	"   AND ((user_id = $1::bigint AND NOT is_notice AND NOT is_taken) OR about_id = $1::bigint)",
};

/* $1 account. */
const struct db_statement sql_withdraw_mail_tokens = {
	"withdraw_mail_tokens",
	"DELETE FROM mail_tokens WHERE user_id = $1::bigint OR (user_id IS NULL AND data ->> 'user_id' = $1::bigint::text)",
};

/* $1 account, $2 purpose or NULL for all. */
const struct db_statement sql_drop_mails = {
	"drop_mails",
	"DELETE FROM mails WHERE state = 'queued' AND NOT is_notice"
	"   AND purpose IS NOT NULL AND ($2::text IS NULL OR purpose = $2::text)"
	"   AND ((user_id = $1::bigint AND NOT is_taken) OR (about_id = $1::bigint AND is_taken))",
};

/* As before. */
const struct db_statement sql_drop_mail_tokens = {
	"drop_mail_tokens",
	"DELETE FROM mail_tokens WHERE user_id = $1::bigint AND ($2::text IS NULL OR purpose = $2::text)",
};

/* ---- For operators ------------------------------------------------------------------------------------------- */

/* $1 number or 0 for all, $2 state or NULL, $3 account or 0, $4 how many or NULL for all. */
const struct db_statement sql_list_mails = {
	"list_mails",
	"SELECT m.id, m.state, m.module, m.kind, coalesce(m.user_id, 0), coalesce(u.username, ''),"
	"       coalesce(m.recipient, m.sent_to, ''), m.language, coalesce(m.purpose, ''), m.attempts, m.created_at,"
	"       m.next_at, m.ended_at, m.problem, m.claim <> '' AND m.next_at > now(), m.message_id::text,"
	"       coalesce(m.data::text, 'null')"
	"  FROM mails m LEFT JOIN users u ON u.id = m.user_id"
	" WHERE ($1::bigint = 0 OR m.id = $1::bigint) AND ($2::text IS NULL OR m.state = $2::text)"
	"   AND ($3::bigint = 0 OR m.user_id = $3::bigint)"
	" ORDER BY m.id DESC LIMIT $4::bigint",
};

/* $1 number, 0: all that are dead, $2 how long it is tried for at the least. What is being sent is left alone. */
const struct db_statement sql_retry_mail = {
	"retry_mail",
	"UPDATE mails SET state = 'queued', ended_at = NULL, next_at = now(), slot_at = NULL, attempts = 0,"
	"       give_up_at = greatest(give_up_at, now() + " SQL_MILLISECONDS("$2") ")"
	" WHERE CASE WHEN $1::bigint = 0 THEN state = 'dead' ELSE id = $1::bigint AND state IN ('queued', 'dead') END"
	"   AND (claim = '' OR next_at <= now()) RETURNING id",
};

/* $1 number. Its link and its code go with it. */
const struct db_statement sql_drop_mail = {
	"drop_mail",
	"WITH gone AS (DELETE FROM mails WHERE id = $1::bigint AND (claim = '' OR next_at <= now()) RETURNING id),"
	"     void AS (DELETE FROM mail_tokens t USING gone WHERE t.mail_id = gone.id)"
	" SELECT id FROM gone",
};

/* clang-format on */

/* Accounts that come from elsewhere with their hashes: their statements. */
#include "session/users_import.h"

#include "session/events_sql.h"
#include "session/name_sql.h"

#include <jansson.h>
#include <stdlib.h>

/* Statements are laid out as SQL. */
/* clang-format off */

/*
 * Statements and foreign keys are planned for good while the table has but a few rows, which would then be read from
 * end to end for each of a million.
 */
#define SQL_PLAN_FOR_MANY "SET LOCAL enable_seqscan = off"

/* $1 a JSON list of the accounts. A row for each, in their order. The expression is that of users.username_key. */
static const struct db_statement sql_import_keys = {
	"import_keys",
	"SELECT " SQL_NAME_KEY("username") " FROM json_to_recordset($1::text::json) AS j (n bigint, username text) ORDER BY n",
};

/*
 * $1 a JSON list of the accounts, $2 their events' detail. One row for each, in their order. The expression is that of
 * users.username_key in schema/. What is there already is left out beforehand, so that doing it again takes no new
 * numbers; the OFFSET has each looked up by the index. The last subquery is there so that `told` is run.
 */
static const struct db_statement sql_import_users = {
	"import_users",
	"WITH named AS (SELECT *, row_number() OVER (PARTITION BY key ORDER BY n) = 1 AND existing_as IS NULL AS is_first"
	"                 FROM (SELECT *, " SQL_NAME_KEY("username") " AS key"
	"                         FROM json_to_recordset($1::text::json)"
	"                              AS j (n bigint, username text, password text, is_active boolean,"
	"                                    is_admin boolean, plan text, groups json, session_limit integer,"
	"                                    valid_until timestamptz, external_id text)) k"
	"                 LEFT JOIN LATERAL (SELECT u.username AS existing_as FROM users u"
	"                                     WHERE u.username_key = k.key OFFSET 0) u ON true"
	"                 LEFT JOIN LATERAL (SELECT u.username AS id_held_by FROM users u"
	"                                     WHERE u.external_id = k.external_id OFFSET 0) i ON true),"
	"     given AS (SELECT *, CASE WHEN NOT is_first OR external_id IS NULL THEN NULL"
	"                              WHEN id_held_by IS NOT NULL THEN id_held_by"
	"                              WHEN row_number() OVER same > 1 THEN first_value(username) OVER same END"
	"                         AS external_id_of"
	"                 FROM named WINDOW same AS (PARTITION BY is_first, external_id ORDER BY n)),"
	"     added AS (INSERT INTO users (username, password, is_active, is_admin, plan, groups, session_limit,"
	"                                  valid_until, external_id)"
	"               SELECT g.username, g.password, g.is_active, g.is_admin, g.plan,"
	"                      ARRAY(SELECT json_array_elements_text(coalesce(g.groups, '[]'))), g.session_limit,"
	"                      g.valid_until, g.external_id"
	"                 FROM given g WHERE g.is_first AND g.external_id_of IS NULL ORDER BY g.n"
	"               ON CONFLICT (username_key) DO NOTHING RETURNING id, username, username_key),"
	"     e AS (INSERT INTO events (name, user_id, username, detail)"
	"           SELECT 'user_added', id, username, $2::text::jsonb FROM added ORDER BY id RETURNING *),"
	"     told AS (" SQL_TELL_EVENTS("e") ")"
	" SELECT g.is_first AND a.id IS NOT NULL, coalesce(g.existing_as, a.username), g.external_id_of"
	"   FROM given g LEFT JOIN added a ON a.username_key = g.key"
	"  WHERE (SELECT count(*) FROM told) >= 0 ORDER BY g.n",
};
enum import_column { IMPORT_IS_NEW, IMPORT_EXISTING_AS, IMPORT_EXTERNAL_ID_OF };

/*
 * $1 the same list, after those were added. A row for each account that has no address, and the name of the one that
 * has it already, be it an earlier one of the list.
 */
static const struct db_statement sql_import_emails = {
	"import_emails",
	"WITH given AS (SELECT j.n, u.id, u.username, j.email, j.is_email_verified,"
	"                      " SQL_NAME_KEY("j.email") " AS key"
	"                 FROM json_to_recordset($1::text::json)"
	"                      AS j (n bigint, username text, email text, is_email_verified boolean)"
	"                CROSS JOIN LATERAL (SELECT id, username FROM users WHERE username_key ="
	"                      " SQL_NAME_KEY("j.username")
	"                      AND username = j.username AND email IS NULL OFFSET 0) AS u WHERE j.email IS NOT NULL),"
	"     judged AS (SELECT g.*, CASE WHEN row_number() OVER same > 1 THEN first_value(g.username) OVER same"
	"                            ELSE (SELECT o.username FROM users o WHERE o.id <> g.id AND o.email_key = g.key"
	"                                  UNION ALL SELECT o.username FROM users o"
	"                                             WHERE o.id <> g.id AND o.username_key = g.key LIMIT 1) END AS held_by"
	"                  FROM given g WINDOW same AS (PARTITION BY g.key ORDER BY g.n)),"
	"     changed AS (UPDATE users u SET email = j.email, email_verified_at = CASE WHEN j.is_email_verified THEN now() END"
	"                  FROM judged j WHERE u.id = j.id AND j.held_by IS NULL)"
	" SELECT n, held_by FROM judged ORDER BY n",
};
enum import_email_column { IMPORT_EMAIL_N, IMPORT_EMAIL_HELD_BY };

/* $1 the id before, $2 how many. The column email is looked for by its name, for an application may have none. */
static const struct db_statement sql_read_django = {
	"read_django",
	"SELECT d.id::bigint, coalesce(d.username::text, ''), coalesce(d.password::text, ''),"
	"       coalesce(d.is_active, false), coalesce(d.is_superuser, false), coalesce(to_jsonb(d) ->> 'email', '')"
	"  FROM auth_user d WHERE d.id > $1::bigint ORDER BY d.id LIMIT $2::bigint",
};
enum django_column { DJANGO_ID, DJANGO_USERNAME, DJANGO_PASSWORD, DJANGO_IS_ACTIVE, DJANGO_IS_SUPERUSER, DJANGO_EMAIL };

/* clang-format on */

/* A new reference, NULL when out of memory. */
static json_t *account_json(const struct users_import *account, size_t n)
{
	/* Of one that is not known to be new, somebody else may have chosen the name. */
	json_t *json =
		json_pack("{s:I, s:s, s:s, s:b, s:b, s:s?, s:b}", "n", (json_int_t)n, "username", account->username,
	                  "password", account->password, "is_active", account->is_active, "is_admin", account->is_admin,
	                  "email", account->email, "is_email_verified", account->is_email_verified && account->is_new);

	/* The library takes no constant object, and changes none. */
	if (json != NULL && account->terms != NULL &&
	    json_object_update_missing(json, (json_t *)(uintptr_t)account->terms) != 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

/* To be freed with free(3); NULL when out of memory. */
static char *as_json(const struct users_import accounts[], size_t count)
{
	json_t *list = json_array();
	char *text = NULL;
	size_t i;

	for (i = 0; i < count; i++) {
		if (json_array_append_new(list, account_json(&accounts[i], i)) != 0)
			break;
	}
	if (list != NULL && i == count)
		text = json_dumps(list, JSON_COMPACT);
	json_decref(list);
	return text;
}

/* A statement whose first value is all accounts, as JSON; of these values so many. */
static enum db_status query_with(struct db *db, TALLOC_CTX *ctx, const struct db_statement *statement,
                                 const struct users_import accounts[], size_t count, const char *detail,
                                 size_t value_count, struct db_result **rows)
{
	char *list = as_json(accounts, count);
	const struct db_value values[] = {DB_TEXT(list), DB_TEXT(detail)};
	enum db_status status =
		list != NULL ? db_query(db, ctx, statement, values, value_count, rows) : db_out_of_memory(db);

	free(list);
	return status;
}

enum db_status users_import_keys(struct db *db, TALLOC_CTX *ctx, struct users_import accounts[], size_t count)
{
	struct db_result *rows;
	enum db_status status = query_with(db, ctx, &sql_import_keys, accounts, count, NULL, 1, &rows);

	for (size_t i = 0; status == DB_OK && i < count; i++)
		accounts[i].key = db_text(rows, i, 0);
	return status;
}

static enum db_status import_accounts(struct db *db, TALLOC_CTX *ctx, struct users_import accounts[], size_t count,
                                      const char *detail)
{
	struct db_result *rows;
	enum db_status status = query_with(db, ctx, &sql_import_users, accounts, count, detail, 2, &rows);

	for (size_t i = 0; status == DB_OK && i < count; i++) {
		accounts[i].is_new = db_bool(rows, i, IMPORT_IS_NEW);
		accounts[i].existing_as = db_text(rows, i, IMPORT_EXISTING_AS);
		accounts[i].external_id_of = db_text(rows, i, IMPORT_EXTERNAL_ID_OF);
	}
	return status;
}

/* After those are added: which are new is known by then. */
static enum db_status import_emails(struct db *db, TALLOC_CTX *ctx, struct users_import accounts[], size_t count)
{
	struct db_result *rows;
	enum db_status status = query_with(db, ctx, &sql_import_emails, accounts, count, NULL, 1, &rows);

	for (size_t i = 0; i < count; i++) {
		accounts[i].has_email = false;
		accounts[i].email_of = NULL;
	}
	for (size_t row = 0; status == DB_OK && row < db_rows(rows); row++) {
		struct users_import *account = &accounts[db_int(rows, row, IMPORT_EMAIL_N)];

		account->email_of = db_text(rows, row, IMPORT_EMAIL_HELD_BY);
		account->has_email = account->email_of == NULL;
	}
	return status;
}

enum db_status users_import(struct db *db, TALLOC_CTX *ctx, struct users_import accounts[], size_t count,
                            const char *detail)
{
	enum db_status status = db_script(db, SQL_PLAN_FOR_MANY);

	if (status == DB_OK)
		status = import_accounts(db, ctx, accounts, count, detail);
	return status == DB_OK ? import_emails(db, ctx, accounts, count) : status;
}

static void read_django_user(const struct db_result *rows, size_t row, void *item)
{
	*(struct django_user *)item = (struct django_user){
		.id = db_int(rows, row, DJANGO_ID),
		.username = db_text(rows, row, DJANGO_USERNAME),
		.password = db_text(rows, row, DJANGO_PASSWORD),
		.email = db_text(rows, row, DJANGO_EMAIL),
		.is_active = db_bool(rows, row, DJANGO_IS_ACTIVE),
		.is_superuser = db_bool(rows, row, DJANGO_IS_SUPERUSER),
	};
}

enum db_status users_read_django(struct db *db, TALLOC_CTX *ctx, int64_t after_id, size_t limit,
                                 struct django_user **users, size_t *count)
{
	const struct db_value values[] = {DB_INT(after_id), DB_INT((int64_t)limit)};
	enum db_status status;

	*users = db_query_list(db, ctx, &sql_read_django, values, 2, sizeof **users, read_django_user, count, &status);
	return status;
}

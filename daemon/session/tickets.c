/* Login tickets: their statements. */
#include "session/tickets.h"

#include "session/sql.h"

enum db_status tickets_issue(struct db *db, int64_t user_id, const struct session_key *key)
{
	const struct db_value values[] = {DB_INT(user_id), DB_KEY(key), DB_INT(TICKET_LIFETIME_MS)};

	return db_query(db, NULL, &sql_issue_ticket, values, 3, NULL);
}

enum db_status tickets_find(struct db *db, TALLOC_CTX *ctx, const struct session_key *key,
                            const struct session_key *form, const struct client *client, struct user **user)
{
	const struct db_value values[] = {
		DB_KEY(key),
		form != NULL ? DB_KEY(form) : DB_NULL,
		client_ip(client),
		DB_TEXT(client->user_agent),
	};

	return users_find_by(db, ctx, &sql_find_ticket, values, 4, user);
}

enum db_status tickets_use(struct db *db, TALLOC_CTX *ctx, int64_t user_id, const struct session_key *key,
                           bool *was_there)
{
	const struct db_value values[] = {DB_KEY(key), DB_INT(user_id)};
	struct db_result *row;
	enum db_status status = db_query(db, ctx, &sql_use_ticket, values, 2, &row);

	*was_there = status == DB_OK && db_rows(row) > 0;
	return status;
}

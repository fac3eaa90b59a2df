/* Sign-ups that wait for their proof, as rows. */
#include "signup.h"

/* A mail that its server does not take is tried for two days, and its link lives from when it was sent. */
#define MAIL_TRIED "interval '2 days'"

enum ones_result signup_add(struct ones_db *db, const struct signup *signup, int64_t *id)
{
	static const char sql[] =
		"INSERT INTO signups (username, email, password, ip, expires_at)"
		" VALUES ($1, $2, $3, $4::inet, now() + " MAIL_TRIED " + $5::bigint * interval '1 millisecond')"
		" RETURNING id";
	struct ones_rows *rows;
	enum ones_result result = ones_sql(
		db, &rows, sql,
		ONES_VALUES(ONES_TEXT(signup->username), ONES_TEXT(signup->email), ONES_TEXT(signup->password_hash),
	                    ONES_TEXT(signup->ip[0] != '\0' ? signup->ip : NULL), ONES_INT(signup->lifetime_ms)));

	if (result == ONES_RESULT_OK)
		*id = ones_int(rows, 0, "id");
	return result;
}

enum ones_result signup_find(struct ones_db *db, int64_t id, struct signup *signup, bool *found)
{
	static const char sql[] = "SELECT username, email, password, coalesce(host(ip), '') AS ip, created_at"
				  " FROM signups WHERE id = $1 AND expires_at > now()";
	struct ones_rows *rows;
	enum ones_result result = ones_sql(db, &rows, sql, ONES_VALUES(ONES_INT(id)));

	*found = result == ONES_RESULT_OK && ones_rows_count(rows) > 0;
	if (*found)
		*signup = (struct signup){
			.id = id,
			.username = ones_text(rows, 0, "username"),
			.email = ones_text(rows, 0, "email"),
			.password_hash = ones_text(rows, 0, "password"),
			.ip = ones_text(rows, 0, "ip"),
			.created_at = ones_time_at(rows, 0, "created_at"),
		};
	return result;
}

enum ones_result signup_remove(struct ones_db *db, int64_t id)
{
	struct ones_rows *rows;
	enum ones_result result =
		ones_sql(db, &rows, "DELETE FROM signups WHERE id = $1 RETURNING id", ONES_VALUES(ONES_INT(id)));

	return result == ONES_RESULT_OK && ones_rows_count(rows) == 0 ? ONES_RESULT_INVALID : result;
}

enum ones_result signup_claim_mails(struct ones_db *db, const struct signup *signup, int64_t user_id)
{
	static const char sql[] = "UPDATE mails SET about_id = $1 WHERE user_id IS NULL AND kind = 'signup'"
				  " AND sent_to_key = lower(normalize($2, NFKC) COLLATE \"und-x-icu\")";

	return ones_sql(db, NULL, sql, ONES_VALUES(ONES_INT(user_id), ONES_TEXT(signup->email)));
}

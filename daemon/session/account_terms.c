/* The terms of an account: compared with what there is, and what differs is changed. */
#include "session/account_terms.h"

#include "base/email.h"
#include "base/rfc3339.h"
#include "session/browsers.h"
#include "session/events.h"
#include "session/mail_tokens.h"
#include "session/revoke.h"
#include "session/sql.h"
#include "session/throttle.h"
#include "session/users.h"

#include <stdlib.h>
#include <string.h>

/* As PostgreSQL writes them in sql_hold_terms: moments are compared as text. */
#define DIGITS_OF_MOMENT 6

/* ---- What there is, and what is to be ------------------------------------------------------------------------- */

/* One account, while it is changed. */
struct work {
	struct account_tx *tx;
	struct terms_change *change;
	struct user user; /* as it was: id, name, is_admin */
	bool has_plan;    /* the plan that it is to have is there */
	json_t *before;   /* all that there is */
	json_t *wanted;   /* of the terms, in the form that they have in `before`: what is not so already */
};

static int json_free(json_t **json)
{
	json_decref(*json);
	return 0;
}

/* On `ctx`. Takes over the reference; NULL when it is NULL, or out of memory. */
static json_t *keep(TALLOC_CTX *ctx, json_t *json)
{
	json_t **holder = json != NULL ? talloc(ctx, json_t *) : NULL;

	if (holder == NULL) {
		json_decref(json);
		return NULL;
	}
	*holder = json;
	talloc_set_destructor(holder, json_free);
	return json;
}

/* Moments are written in one way, and addresses have one form. A new reference. */
static json_t *canonical(const char *name, json_t *value)
{
	char address[EMAIL_SIZE], moment[RFC3339_SIZE];
	int64_t us;

	if (strcmp(name, "email") == 0 && json_is_string(value) &&
	    email_parse(json_string_value(value), address) == NULL)
		return json_string(address);
	if (strcmp(name, "valid_until") == 0 && json_is_string(value) && rfc3339_read(json_string_value(value), &us)) {
		/* 0 stands for "not known" everywhere: it would be no end at all. */
		if (!rfc3339_write(us != 0 ? us : 1, DIGITS_OF_MOMENT, moment))
			return NULL;
		return json_string(moment);
	}
	return json_incref(value);
}

/* Read and hold the account; work->user.id is 0 when there is none. */
static enum db_status hold(struct work *work)
{
	const struct terms_change *change = work->change;
	const struct db_value values[] = {
		DB_TEXT(change->username),
		DB_TEXT(json_string_value(json_object_get(change->terms, "plan"))),
	};
	struct db_result *rows;
	enum db_status status = db_query(work->tx->db, work->tx->ctx, &sql_hold_terms, values, 2, &rows);

	work->user = (struct user){0};
	if (status != DB_OK || db_rows(rows) == 0)
		return status;
	work->user.id = db_int(rows, 0, TERMS_ID);
	work->user.username = db_text(rows, 0, TERMS_USERNAME);
	work->user.is_admin = db_bool(rows, 0, TERMS_IS_ADMIN);
	work->has_plan = db_bool(rows, 0, TERMS_HAS_PLAN);
	work->before = keep(work->tx->ctx, json_loads(db_text(rows, 0, TERMS_ALL), 0, NULL));
	return work->before != NULL ? DB_OK : db_out_of_memory(work->tx->db);
}

/* Another address is proved by nobody, unless the terms say so. */
static int settle_verified(struct work *work)
{
	json_t *email = json_object_get(work->wanted, "email");
	json_t *now = json_object_get(work->before, "email_verified");

	if (json_object_get(work->change->terms, "email_verified") == NULL && email != NULL && json_is_true(now))
		return json_object_set_new(work->wanted, "email_verified", json_false());
	return 0;
}

static enum db_status compare(struct work *work)
{
	const char *name;
	json_t *value;

	work->wanted = keep(work->tx->ctx, json_object());
	if (work->wanted == NULL)
		return db_out_of_memory(work->tx->db);
	json_object_foreach((json_t *)(uintptr_t)work->change->terms, name, value)
	{
		json_t *one = canonical(name, value);

		if (one == NULL)
			return db_out_of_memory(work->tx->db);
		if (json_equal(one, json_object_get(work->before, name)))
			json_decref(one);
		else if (json_object_set_new(work->wanted, name, one) != 0)
			return db_out_of_memory(work->tx->db);
	}
	return settle_verified(work) == 0 ? DB_OK : db_out_of_memory(work->tx->db);
}

static bool is_wanted(const struct work *work, const char *name)
{
	return json_object_get(work->wanted, name) != NULL;
}

/* Whoever has these gets into the account, or keeps its person out. */
static bool lets_in(const struct work *work)
{
	return is_wanted(work, "email") || is_wanted(work, "email_verified") || is_wanted(work, "is_active") ||
	       is_wanted(work, "password_hash") || is_wanted(work, "external_id");
}

static enum terms_result judge(const struct work *work)
{
	const json_t *email = is_wanted(work, "email") ? json_object_get(work->wanted, "email")
	                                               : json_object_get(work->before, "email");

	if (work->user.is_admin && !work->change->is_operator && lets_in(work))
		return TERMS_ADMIN;
	if (json_is_string(json_object_get(work->wanted, "plan")) && !work->has_plan)
		return TERMS_NO_PLAN;
	if (json_is_true(json_object_get(work->wanted, "email_verified")) && !json_is_string(email))
		return TERMS_NO_ADDRESS;
	return TERMS_OK;
}

/* ---- Changing it ---------------------------------------------------------------------------------------------- */

/* An event with who did it, and what `more` has; takes over that reference, which may be NULL. */
static enum db_status record(const struct work *work, const char *name, json_t *more)
{
	json_t *detail = json_copy((json_t *)(uintptr_t)work->change->by);
	char *text = NULL;
	enum db_status status = DB_ERROR;

	if (detail != NULL && (more == NULL || json_object_update(detail, more) == 0))
		text = json_dumps(detail, JSON_COMPACT);
	if (text != NULL)
		status = events_record(work->tx->db, &(const struct event_record){
							     .name = name,
							     .user_id = work->user.id,
							     .username = work->user.username,
							     .ip = work->tx->client.ip,
							     .user_agent = work->tx->client.user_agent,
							     .detail = text,
						     });
	free(text);
	json_decref(detail);
	json_decref(more);
	return status;
}

static enum db_status change_email(const struct work *work, enum terms_result *result)
{
	const json_t *email = json_object_get(is_wanted(work, "email") ? work->wanted : work->before, "email");
	bool is_verified = json_is_true(
		json_object_get(is_wanted(work, "email_verified") ? work->wanted : work->before, "email_verified"));
	bool is_taken;
	enum db_status status;

	if (!is_wanted(work, "email") && !is_wanted(work, "email_verified"))
		return DB_OK;
	is_verified = is_verified && json_is_string(email);
	status = users_set_email(work->tx->db, work->user.id, json_string_value(email), is_verified, &is_taken);
	if (status == DB_OK && is_taken)
		*result = TERMS_EMAIL_TAKEN;
	if (status != DB_OK || is_taken)
		return status;
	/* Links that were sent to the former one are none of the person's any more. */
	if (is_wanted(work, "email"))
		status = mail_tokens_withdraw(work->tx->db, work->user.id);
	return status == DB_OK ? record(work, "user_email_changed", json_pack("{s:b}", "verified", (int)is_verified))
	                       : status;
}

/* The statement itself leaves an administrator's alone. */
static enum db_status change_password(const struct work *work)
{
	const char *hash = json_string_value(json_object_get(work->wanted, "password_hash"));
	const struct db_value values[] = {DB_INT(work->user.id), DB_TEXT(hash), DB_BOOL(work->change->is_operator)};
	struct db_result *row;
	int64_t failures;
	enum db_status status;

	if (hash == NULL)
		return DB_OK;
	status = throttle_forget(work->tx->db, work->user.id, &failures);
	if (status == DB_OK)
		status = db_query(work->tx->db, work->tx->ctx, &sql_give_password, values, 3, &row);
	if (status == DB_OK && db_rows(row) == 0)
		return DB_CONFLICT;
	if (status == DB_OK)
		status = browsers_forget(work->tx->db, work->user.id, NULL);
	if (status == DB_OK)
		status = mail_tokens_withdraw(work->tx->db, work->user.id);
	if (status == DB_OK)
		status = revoke_locked(work->tx, work->user.id, work->user.username, NULL, ONES_REASON_PASSWORD_CHANGED,
		                       &work->change->ended);
	return status == DB_OK ? record(work, "user_password_changed", NULL) : status;
}

static enum db_status change_active(const struct work *work)
{
	const json_t *is_active = json_object_get(work->wanted, "is_active");
	int64_t failures;
	enum db_status status = DB_OK;

	if (is_active == NULL)
		return DB_OK;
	if (json_is_true(is_active))
		status = throttle_forget(work->tx->db, work->user.id, &failures);
	else
		status = revoke_locked(work->tx, work->user.id, work->user.username, NULL, ONES_REASON_DISABLED,
		                       &work->change->ended);
	return status == DB_OK ? record(work, json_is_true(is_active) ? "user_enabled" : "user_disabled", NULL)
	                       : status;
}

/* What has an event of its own, and an address or a hash, is not in `before` and `after`. */
static bool is_told_apart(const char *name)
{
	return strncmp(name, "email", strlen("email")) == 0 || strcmp(name, "is_active") == 0 ||
	       strcmp(name, "password_hash") == 0;
}

/* Who is called what elsewhere stays out of events, which outlast the account: they have only that it has changed. */
#define UNTOLD "external_id"

static enum db_status tell(const struct work *work)
{
	json_t *before = keep(work->tx->ctx, json_object()), *after = keep(work->tx->ctx, json_object());
	const char *name;
	json_t *value;

	if (before == NULL || after == NULL)
		return db_out_of_memory(work->tx->db);
	json_object_foreach(work->wanted, name, value)
	{
		if (is_told_apart(name) || strcmp(name, UNTOLD) == 0)
			continue;
		if (json_object_set(before, name, json_object_get(work->before, name)) != 0 ||
		    json_object_set(after, name, value) != 0)
			return db_out_of_memory(work->tx->db);
	}
	work->change->before = before;
	work->change->after = after;
	if (json_object_size(after) == 0 && !is_wanted(work, UNTOLD))
		return DB_OK;
	return record(work, "user_changed",
	              json_pack("{s:O, s:O, s:o*}", "before", before, "after", after, "also",
	                        is_wanted(work, UNTOLD) ? json_pack("[s]", UNTOLD) : NULL));
}

/* One statement for what stands in columns of its own; the row is held since it was read. */
static enum db_status change_columns(const struct work *work)
{
	char *text = json_dumps(work->wanted, JSON_COMPACT);
	const struct db_value values[] = {DB_INT(work->user.id), DB_TEXT(text)};
	enum db_status status = text != NULL ? db_query(work->tx->db, NULL, &sql_change_terms, values, 2, NULL)
	                                     : db_out_of_memory(work->tx->db);

	free(text);
	return status;
}

static enum db_status add_account(struct work *work)
{
	const struct new_user added = {.username = work->change->username, .password_hash = USERS_NO_PASSWORD};
	bool is_email_taken;
	int64_t id;
	enum db_status status = users_add(work->tx->db, &added, &id, &is_email_taken);

	if (status == DB_OK)
		status = hold(work);
	work->change->is_new = status == DB_OK && id != 0;
	return status == DB_OK && work->change->is_new ? record(work, "user_added", NULL) : status;
}

enum db_status account_terms_apply(struct account_tx *tx, struct terms_change *change, enum terms_result *result)
{
	struct work work = {.tx = tx, .change = change};
	enum db_status status;

	*result = TERMS_OK;
	change->is_new = change->is_changed = false;
	change->ended = 0;
	status = hold(&work);
	if (status == DB_OK && work.user.id == 0 && change->makes_account)
		status = add_account(&work);
	if (status == DB_OK && work.user.id == 0) {
		*result = TERMS_NO_ACCOUNT;
		return DB_OK;
	}
	if (status == DB_OK)
		status = compare(&work);
	if (status != DB_OK)
		return status;
	change->user_id = work.user.id;
	change->stored_name = work.user.username;
	change->is_changed = json_object_size(work.wanted) > 0;
	*result = judge(&work);
	if (*result != TERMS_OK)
		return DB_OK;
	if (change->is_changed)
		status = change_columns(&work);
	if (status == DB_OK)
		status = change_email(&work, result);
	if (status != DB_OK || *result != TERMS_OK)
		return status;
	status = change_password(&work);
	if (status == DB_OK)
		status = change_active(&work);
	return status == DB_OK ? tell(&work) : status;
}

/* Accounts: names, and their statements. */
#include "session/users.h"

#include "base/utf8.h"
#include "session/browsers.h"
#include "session/sql.h"

#include <stdlib.h>
#include <string.h>
#include <unictype.h>
#include <uninorm.h>

/* What a terminal, a page or a log could take for more than a character of a name: C0, C1, line ends, direction. */
static bool is_control(ucs4_t character)
{
	return utf8_is_control(character) || (character >= 0x2028 && character <= 0x202e) ||
	       (character >= 0x2066 && character <= 0x2069);
}

/* Of the kind that comes along unseen when a name is pasted. */
static bool is_unseen(ucs4_t character)
{
	return uc_is_property_white_space(character) ||
	       (uc_is_property_zero_width(character) && uc_is_property_default_ignorable_code_point(character));
}

const char *users_plain_name(TALLOC_CTX *ctx, const char *typed)
{
	const char *begin = typed, *end = typed;
	bool has_begun = false;
	ucs4_t character;
	size_t size;

	if (!utf8_is_valid(typed))
		return talloc_strdup(ctx, typed);
	for (const char *at = typed; (size = utf8_character(at, &character)) > 0; at += size) {
		if (is_unseen(character))
			continue;
		if (!has_begun)
			begin = at;
		has_begun = true;
		end = at + size;
	}
	return talloc_strndup(ctx, begin, (size_t)(end - begin));
}

const char *users_name_problem(const char *username)
{
	size_t characters = 0;
	ucs4_t character;
	size_t size;

	if (username[0] == '\0')
		return "is empty";
	if (!utf8_is_valid(username))
		return "is not valid UTF-8";
	for (const char *at = username; (size = utf8_character(at, &character)) > 0; at += size) {
		if (is_control(character))
			return "has a control character";
		characters++;
	}
	return characters > USERNAME_MAX ? "is longer than 150 characters" : NULL;
}

/* The zero width non-joiner and joiner, without which some languages cannot be written. */
static bool is_joiner(ucs4_t character)
{
	return character == 0x200c || character == 0x200d;
}

/* Scripts that have letters of the same shape (Unicode UTS 39, 4). NULL: another one, or none. */
static const char *confusable_script(ucs4_t character)
{
	static const char *const scripts[] = {"Latin", "Cyrillic", "Greek"};
	const uc_script_t *script = uc_script(character);

	for (size_t i = 0; script != NULL && i < sizeof scripts / sizeof scripts[0]; i++) {
		if (strcmp(script->name, scripts[i]) == 0)
			return scripts[i];
	}
	return NULL;
}

/* Of the scripts that need them; a sign that several scripts have is of none of these. */
static bool is_joined(ucs4_t before)
{
	const uc_script_t *script = before != 0 ? uc_script(before) : NULL;

	return script != NULL && confusable_script(before) == NULL && strcmp(script->name, "Common") != 0 &&
	       strcmp(script->name, "Inherited") != 0;
}

const char *users_foreign_name_problem(const char *username)
{
	const char *problem = users_name_problem(username);
	ucs4_t character, before = 0;
	size_t size;

	for (; problem == NULL && (size = utf8_character(username, &character)) > 0; username += size) {
		bool is_needed = is_joiner(character) && is_joined(before);

		if (utf8_is_invisible(character) && !is_needed)
			problem = "has characters that are not seen";
		before = character;
	}
	return problem;
}

static bool has_scripts_that_look_alike(const char *username)
{
	const char *script = NULL;
	ucs4_t character;
	size_t size;

	for (; (size = utf8_character(username, &character)) > 0; username += size) {
		const char *own = confusable_script(character);

		if (own != NULL && script != NULL && own != script)
			return true;
		script = own != NULL ? own : script;
	}
	return false;
}

bool users_has_at(const char *username)
{
	size_t size = 0;
	uint8_t *compared = u8_normalize(UNINORM_NFKC, (const uint8_t *)username, strlen(username), NULL, &size);
	bool has_at = compared == NULL || memchr(compared, '@', size) != NULL;

	free(compared);
	return has_at;
}

const char *users_new_name_problem(const char *username)
{
	const char *problem = users_foreign_name_problem(username);

	if (problem == NULL && users_has_at(username))
		problem = "has an @, which addresses have";
	if (problem == NULL && has_scripts_that_look_alike(username))
		problem = "has letters of several scripts that look alike";
	return problem;
}

/* What both lists and lookups read. */
static struct user user_from_row(const struct db_result *rows, size_t row)
{
	return (struct user){
		.id = db_int(rows, row, USER_ID),
		.username = db_text(rows, row, USER_USERNAME),
		.password = db_text(rows, row, USER_PASSWORD),
		.is_active = db_bool(rows, row, USER_IS_ACTIVE),
		.is_admin = db_bool(rows, row, USER_IS_ADMIN),
		.session_limit = db_int(rows, row, USER_SESSION_LIMIT),
		.created_at = db_time(rows, row, USER_CREATED_AT),
		.email = db_text(rows, row, USER_EMAIL),
		.email_verified_at = db_time_or_never(rows, row, USER_EMAIL_VERIFIED_AT),
		.delete_at = db_time_or_never(rows, row, USER_DELETE_AT),
		.plan = db_text(rows, row, USER_PLAN),
		.groups = db_text(rows, row, USER_GROUPS),
		.valid_until = db_time_or_never(rows, row, USER_VALID_UNTIL),
		.external_id = db_text(rows, row, USER_EXTERNAL_ID),
	};
}

enum db_status users_find_by(struct db *db, TALLOC_CTX *ctx, const struct db_statement *statement,
                             const struct db_value values[], size_t count, struct user **user)
{
	struct db_result *rows;
	enum db_status status = db_query(db, ctx, statement, values, count, &rows);

	*user = NULL;
	if (status != DB_OK || db_rows(rows) == 0)
		return status;
	*user = talloc(ctx, struct user);
	if (*user == NULL)
		return db_out_of_memory(db);
	**user = user_from_row(rows, 0);
	return DB_OK;
}

enum db_status users_find(struct db *db, TALLOC_CTX *ctx, const char *username, struct user **user)
{
	const struct db_value values[] = {DB_TEXT(username)};

	*user = NULL;
	return users_name_problem(username) == NULL ? users_find_by(db, ctx, &sql_find_user, values, 1, user) : DB_OK;
}

enum db_status users_find_by_id(struct db *db, TALLOC_CTX *ctx, int64_t id, struct user **user)
{
	const struct db_value values[] = {DB_INT(id)};

	return users_find_by(db, ctx, &sql_find_user_by_id, values, 1, user);
}

enum db_status users_find_typed(struct db *db, TALLOC_CTX *ctx, const char *typed, struct user **user)
{
	const struct db_value values[] = {DB_TEXT(typed)};
	enum db_status status = DB_OK;
	const char *plain;

	*user = NULL;
	if (utf8_is_valid(typed))
		status = users_find_by(db, ctx, &sql_find_user, values, 1, user);
	if (status != DB_OK || *user != NULL)
		return status;
	plain = users_plain_name(ctx, typed);
	if (plain == NULL) {
		db_set_problem(db, "out of memory");
		return DB_ERROR;
	}
	return users_find(db, ctx, plain, user);
}

/* ---- Names that cannot sign in ------------------------------------------------------------------------------ */

#define CHARACTER_LAST 0x10ffffU

static bool is_surrogate(ucs4_t character)
{
	return character >= 0xd800 && character <= 0xdfff;
}

/* Those that `is_meant` is true of, as what stands in the brackets of a regular expression of PostgreSQL's; on `ctx`.
 */
static char *character_class(TALLOC_CTX *ctx, bool (*is_meant)(ucs4_t character))
{
	char *text = talloc_strdup(ctx, "");
	ucs4_t first = 0;

	for (ucs4_t at = 1; text != NULL && at <= CHARACTER_LAST + 1; at++) {
		bool is_in = at <= CHARACTER_LAST && !is_surrogate(at) && is_meant(at);

		if (is_in && first == 0)
			first = at;
		if (is_in || first == 0)
			continue;
		text = talloc_asprintf_append_buffer(text, "\\U%08x-\\U%08x", first, at - 1);
		first = 0;
	}
	return text;
}

static enum db_status find_names(struct db *db, TALLOC_CTX *ctx, const struct db_statement *statement,
                                 const struct db_value values[], size_t count, struct unusable_names *names)
{
	struct db_result *rows;
	enum db_status status = db_query(db, ctx, statement, values, count, &rows);

	*names = (struct unusable_names){0};
	if (status != DB_OK)
		return status;
	for (; names->count < db_rows(rows); names->count++) {
		names->first[names->count] = db_text(rows, names->count, 0);
		names->all = db_int(rows, names->count, 1);
	}
	return DB_OK;
}

enum db_status users_unusable_names(struct db *db, TALLOC_CTX *ctx, struct unusable_names *unusable)
{
	TALLOC_CTX *scratch = talloc_new(ctx);
	const char *unseen = character_class(scratch, is_unseen);
	const char *control = character_class(scratch, is_control);
	char *pattern = talloc_asprintf(scratch, "^[%s]|[%s]$|[%s]", unseen, unseen, control);
	const struct db_value values[] = {DB_TEXT(pattern), DB_INT(UNUSABLE_NAMES_MAX)};
	enum db_status status;

	if (unseen == NULL || control == NULL || pattern == NULL) {
		db_set_problem(db, "out of memory");
		status = DB_ERROR;
	} else {
		status = find_names(db, ctx, &sql_unusable_names, values, 2, unusable);
	}
	talloc_free(scratch);
	return status;
}

enum db_status users_names_like_emails(struct db *db, TALLOC_CTX *ctx, struct unusable_names *names)
{
	const struct db_value values[] = {DB_INT(UNUSABLE_NAMES_MAX)};

	return find_names(db, ctx, &sql_names_like_emails, values, 1, names);
}

/* A name so that it can be seen, and pasted into a shell; NULL for `text` stays NULL. */
static char *append_visible(char *text, const char *name)
{
	ucs4_t character;
	size_t size;

	text = text != NULL ? talloc_strdup_append_buffer(text, "$'") : NULL;
	for (const char *at = name; text != NULL && (size = utf8_character(at, &character)) > 0; at += size) {
		if (character != ' ' && (is_unseen(character) || is_control(character) || utf8_is_invisible(character)))
			text = talloc_asprintf_append_buffer(text, "\\U%08x", character);
		else
			text = talloc_asprintf_append_buffer(text, "%s%.*s", *at == '\'' || *at == '\\' ? "\\" : "",
			                                     (int)size, at);
	}
	return text != NULL ? talloc_strdup_append_buffer(text, "'") : NULL;
}

/* `why`, with the names; `why` itself when out of memory. */
static const char *tell_names(TALLOC_CTX *ctx, const char *why, const struct unusable_names *names)
{
	char *text = talloc_asprintf(ctx, "%s: ", why);

	for (size_t i = 0; i < names->count; i++) {
		text = text != NULL ? talloc_strdup_append_buffer(text, i > 0 ? ", " : "") : NULL;
		text = append_visible(text, names->first[i]);
	}
	if (text != NULL && names->all > (int64_t)names->count)
		text = talloc_asprintf_append_buffer(text, " and %lld more",
		                                     (long long)(names->all - (int64_t)names->count));
	return text != NULL ? text : why;
}

const char *users_unusable_problem(TALLOC_CTX *ctx, const struct unusable_names *unusable)
{
	return tell_names(ctx,
	                  "accounts that cannot sign in, for their names begin or end with space or invisible "
	                  "characters, or have control characters in them (onesessionctl user rename changes a name)",
	                  unusable);
}

const char *users_names_like_emails_notice(TALLOC_CTX *ctx, const struct unusable_names *names)
{
	return tell_names(ctx,
	                  "accounts with an @ in their names, by which they sign in as before; if one is another "
	                  "account's address, that account has to sign in by its name (onesessionctl user rename "
	                  "changes a name)",
	                  names);
}

static void read_listed(const struct db_result *rows, size_t row, void *item)
{
	struct user *user = item;

	*user = user_from_row(rows, row);
	user->last_login_at = db_time_or_never(rows, row, USER_LAST_LOGIN_AT);
	user->live_sessions = db_int(rows, row, USER_LIVE_SESSIONS);
	user->plan_limit = db_int(rows, row, USER_PLAN_LIMIT);
	user->has_plan_ended = db_bool(rows, row, USER_HAS_PLAN_ENDED);
}

enum db_status users_list(struct db *db, TALLOC_CTX *ctx, const struct user_filter *filter, int64_t idle_timeout_ms,
                          struct user **users, size_t *count)
{
	const struct db_value values[] = {
		DB_INT(filter->id),
		DB_INT(idle_timeout_ms),
		DB_TEXT(filter->prefix),
		filter->max >= 0 ? DB_INT(filter->max) : DB_NULL,
	};
	enum db_status status;

	*users = db_query_list(db, ctx, &sql_list_users, values, 4, sizeof **users, read_listed, count, &status);
	return status;
}

enum db_status users_watch(struct db *db, int64_t id, int64_t sharing_window_ms, int64_t attempts_window_ms,
                           struct user_watch *watch)
{
	const struct db_value values[] = {DB_INT(id), DB_INT(sharing_window_ms), DB_INT(attempts_window_ms)};
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *row;
	enum db_status status = db_query(db, scratch, &sql_watch_user, values, 3, &row);

	*watch = (struct user_watch){0};
	if (status == DB_OK && db_rows(row) > 0)
		*watch = (struct user_watch){
			.takeovers = db_int(row, 0, WATCH_TAKEOVERS),
			.last_takeover_at = db_time_or_never(row, 0, WATCH_LAST_AT),
			.shared_at = db_time_or_never(row, 0, WATCH_SHARED_AT),
			.cooldown_until = db_time_or_never(row, 0, WATCH_COOLDOWN_UNTIL),
			.failures = db_int(row, 0, WATCH_FAILURES),
			.failures_until = db_time_or_never(row, 0, WATCH_FAILURES_UNTIL),
		};
	talloc_free(scratch);
	return status;
}

enum db_status users_add(struct db *db, const struct new_user *user, int64_t *id, bool *is_email_taken)
{
	const struct db_value values[] = {
		DB_TEXT(user->username),
		DB_TEXT(user->password_hash),
		DB_TEXT(user->email),
		DB_BOOL(user->is_verified),
	};
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *row;
	enum db_status status = db_query(db, scratch, &sql_add_user, values, 4, &row);

	*id = status == DB_OK ? db_int(row, 0, 0) : 0;
	*is_email_taken = status == DB_OK && db_bool(row, 0, 1);
	talloc_free(scratch);
	return status;
}

enum db_status users_set_password(struct db *db, int64_t id, const char *password_hash)
{
	const struct db_value values[] = {DB_INT(id), DB_TEXT(password_hash)};

	enum db_status status = db_query(db, NULL, &sql_set_password, values, 2, NULL);

	return status == DB_OK ? browsers_forget(db, id, NULL) : status;
}

enum db_status users_upgrade_password(struct db *db, TALLOC_CTX *ctx, int64_t id, const char *former,
                                      const char *password_hash, bool *replaced)
{
	const struct db_value values[] = {DB_INT(id), DB_TEXT(former), DB_TEXT(password_hash)};
	struct db_result *row;
	enum db_status status = db_query(db, ctx, &sql_upgrade_password, values, 3, &row);

	*replaced = status == DB_OK && db_rows(row) > 0;
	return status;
}

enum db_status users_set_active(struct db *db, int64_t id, bool is_active)
{
	const struct db_value values[] = {DB_INT(id), DB_BOOL(is_active)};

	return db_query(db, NULL, &sql_set_active, values, 2, NULL);
}

/* Run a statement that answers with a row when the account is there. */
static enum db_status update_user(struct db *db, TALLOC_CTX *ctx, const struct db_statement *statement, int64_t id,
                                  struct db_value value, struct db_result **row)
{
	const struct db_value values[] = {DB_INT(id), value};
	enum db_status status = db_query(db, ctx, statement, values, 2, row);

	return status == DB_OK && db_rows(*row) == 0 ? DB_CONFLICT : status;
}

enum db_status users_rename(struct db *db, int64_t id, const char *username)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *row;
	enum db_status status = update_user(db, scratch, &sql_rename_user, id, DB_TEXT(username), &row);

	talloc_free(scratch);
	return status;
}

enum db_status users_set_admin(struct db *db, int64_t id, bool is_admin, bool *before)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *row;
	enum db_status status = update_user(db, scratch, &sql_set_admin, id, DB_BOOL(is_admin), &row);

	*before = status == DB_OK && db_bool(row, 0, 0);
	talloc_free(scratch);
	return status;
}

enum db_status users_set_limit(struct db *db, int64_t id, int64_t session_limit, int64_t *before)
{
	TALLOC_CTX *scratch = talloc_new(NULL);
	struct db_result *row;
	enum db_status status = update_user(db, scratch, &sql_set_limit, id,
	                                    session_limit >= 0 ? DB_INT(session_limit) : DB_NULL, &row);

	*before = status == DB_OK ? db_int(row, 0, 0) : -1;
	talloc_free(scratch);
	return status;
}

enum db_status users_delete(struct db *db, int64_t id)
{
	const struct db_value values[] = {DB_INT(id)};

	return db_query(db, NULL, &sql_delete_user, values, 1, NULL);
}

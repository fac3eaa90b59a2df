/*
 * /export: everything that is kept about me, as one JSON object, which is made while it is sent: of each table a page
 * of rows at a time, however many there are. Its shape is described in onesessiond(8). What lets somebody in
 * (passwords, keys, links, codes) is kept as hashes only, and these are not shown: "not_shown" names them.
 */
#include "privacy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Before the first row of all. */
#define BEFORE_ALL       "0"
#define BEFORE_ALL_TIMES "-infinity/00000000-0000-0000-0000-000000000000"

/*
 * A member of the object. $1 is the account, $2 the page_key of the last row of the page before, which is no member of
 * the rows. One without `first` is a single row, and becomes an object.
 */
struct section {
	const char *name;
	const char *first;
	const char *sql;
};

#define OWN_ADDRESS "(SELECT email_key FROM users WHERE id = $1::bigint AND email_verified_at IS NOT NULL)"
#define OWN_NAMES                                                                                                      \
	"(SELECT encode(sha256(convert_to(k, 'UTF8')), 'hex') FROM users, unnest(ARRAY[username_key, email_key]) AS k" \
	" WHERE id = $1::bigint)"

/* clang-format off */
static const struct section sections[] = {
	{"export", NULL,
	 "SELECT 1 AS version, statement_timestamp() AS made_at WHERE $1::bigint IS NOT NULL AND $2::text IS NOT NULL"},
	{"account", NULL,
	 "SELECT id, username, email, email_verified_at, is_active, is_admin, session_limit, plan,"
	 " to_jsonb(groups) AS groups, valid_until, external_id, notify_new_browser, language, created_at,"
	 " delete_at FROM users WHERE id = $1::bigint AND $2::text IS NOT NULL"},
	{"newest_login", BEFORE_ALL,
	 "SELECT logged_in_at, '1' AS page_key FROM logged_in_user"
	 " WHERE user_id = $1::bigint AND session_key IS NOT NULL AND $2::text = '0'"},
	{"sessions", BEFORE_ALL,
	 "SELECT id, created_at, last_seen_at, expires_at, proved_at, host(ip) AS ip, user_agent, data,"
	 " login_order::text AS page_key FROM sessions WHERE user_id = $1::bigint AND login_order > $2::text::bigint"
	 " ORDER BY login_order LIMIT 20"},
	{"ended_sessions", BEFORE_ALL_TIMES,
	 "SELECT id, reason, created_at, last_seen_at, ended_at, host(ip) AS ip, user_agent, by_id, host(by_ip) AS by_ip,"
	 " by_user_agent, ended_at::text || '/' || id AS page_key FROM ended_sessions WHERE user_id = $1::bigint"
	 " AND (ended_at, id) > (split_part($2::text, '/', 1)::timestamptz, split_part($2::text, '/', 2)::uuid)"
	 " ORDER BY ended_at, id LIMIT 500"},
	{"events", BEFORE_ALL,
	 "SELECT id, at, name, username, session_id, host(ip) AS ip, user_agent, detail, id::text AS page_key"
	 " FROM events WHERE user_id = $1::bigint AND id > $2::text::bigint ORDER BY id LIMIT 500"},
	{"known_browsers", BEFORE_ALL_TIMES,
	 "SELECT seen_at, seen_at::text || '/' || substr(encode(browser_key, 'hex'), 1, 32)::uuid AS page_key"
	 " FROM known_browsers WHERE user_id = $1::bigint AND (seen_at, substr(encode(browser_key, 'hex'), 1, 32)::uuid)"
	 " > (split_part($2::text, '/', 1)::timestamptz, split_part($2::text, '/', 2)::uuid)"
	 " ORDER BY seen_at, substr(encode(browser_key, 'hex'), 1, 32)::uuid LIMIT 500"},
	{"takeovers", BEFORE_ALL,
	 "SELECT count, began_at, last_at, shared_at, cooldown_until, '1' AS page_key FROM takeovers"
	 " WHERE user_id = $1::bigint AND $2::text = '0'"},
	{"login_tickets", BEFORE_ALL,
	 "SELECT expires_at, '1' AS page_key FROM login_tickets WHERE user_id = $1::bigint AND $2::text = '0'"},
	{"failed_logins", BEFORE_ALL,
	 "SELECT kind, count, began_at, '1' AS page_key FROM login_failures WHERE $2::text = '0' AND"
	 " ((kind = 'account' AND subject = ANY (ARRAY" OWN_NAMES ")) OR (kind = 'browser' AND subject = ANY (ARRAY"
	 "  (SELECT encode(sha256(int8send(user_id) || browser_key), 'hex') FROM known_browsers WHERE user_id = $1::bigint))))"},
	{"wrong_codes", BEFORE_ALL,
	 "SELECT count, began_at, '1' AS page_key FROM code_tries WHERE $2::text = '0'"
	 " AND subject = ANY ($1::bigint::text || ARRAY" OWN_NAMES ")"},
	{"signups", BEFORE_ALL,
	 "SELECT username, email, host(ip) AS ip, created_at, expires_at, id::text AS page_key FROM signups"
	 " WHERE email_key = " OWN_ADDRESS " AND id > $2::text::bigint"
	 " ORDER BY id LIMIT 100"},
	{"mails", BEFORE_ALL,
	 "SELECT id, message_id, module, kind, coalesce(sent_to, recipient) AS recipient, language, purpose, data, state,"
	 " attempts, created_at, next_at, ended_at, problem, id::text AS page_key FROM mails"
	 " WHERE (user_id = $1::bigint OR (about_id = $1::bigint AND NOT is_taken)"
	 "        OR (sent_to_key = " OWN_ADDRESS " AND user_id IS NULL AND about_id IS NULL))"
	 " AND (kind <> '" PURPOSE_EMAIL "' OR sent_to_key = " OWN_ADDRESS ")"
	 " AND id > $2::text::bigint ORDER BY id LIMIT 100"},
	{"mail_links", "0/",
	 "SELECT mail_id, purpose, recipient, code_tries AS wrong_codes, data, created_at, expires_at,"
	 " mail_id || '/' || encode(token_key, 'hex') AS page_key FROM mail_tokens"
	 " WHERE (user_id = $1::bigint OR (user_id IS NULL AND data ->> 'user_id' = $1::bigint::text)"
	 "        OR (recipient_key = " OWN_ADDRESS " AND user_id IS NULL AND data ->> 'user_id' IS NULL))"
	 " AND (purpose <> '" PURPOSE_EMAIL "' OR recipient_key = " OWN_ADDRESS ")"
	 " AND (mail_id, encode(token_key, 'hex')) >"
	 " (split_part($2::text, '/', 1)::bigint, split_part($2::text, '/', 2)) ORDER BY mail_id, token_key LIMIT 100"},
};
/* clang-format on */

#define SECTION_COUNT (sizeof sections / sizeof sections[0])

static const char end_of_all[] = "\n\"not_shown\":[\"account: the hash of the password\",\"sessions, ended_sessions, "
				 "newest_login: the SHA-256 of"
				 " each session's cookie, of its browser's cookie and of its sign-in "
				 "form\",\"known_browsers: the SHA-256 of each"
				 " browser's cookie\",\"login_tickets: the SHA-256 of the ticket, and the hash of the "
				 "password\",\"signups: the hash"
				 " of the password\",\"mail_links: the SHA-256 of the link and of the code\",\"mails, "
				 "mail_links: those to an address that was not confirmed\"]}\n";

/* Room for a page_key: the longest is a number and a SHA-256. */
#define KEY_SIZE 128

/* An answer under way. */
struct export
{
	struct ones_db *db;
	int64_t user_id;
	size_t section;     /* that is under way; SECTION_COUNT: the end is, one more: nothing is left */
	char key[KEY_SIZE]; /* page_key of its last row; "": none was read */
	char *text;         /* what was made last, of which `at` bytes were given */
	size_t size, at;
};

/* Put a copy of the text before its `length` bytes of `rows`, and another behind. False when out of memory. */
static bool set_text(struct export *export, const char *before, const char *rows, size_t length, const char *after)
{
	size_t size = strlen(before) + length + strlen(after);
	char *text = malloc(size + 1);

	if (text == NULL)
		return false;
	memcpy(text, before, strlen(before));
	memcpy(text + strlen(before), rows, length);
	memcpy(text + strlen(before) + length, after, strlen(after) + 1);
	free(export->text);
	export->text = text;
	export->size = size;
	export->at = 0;
	return true;
}

static void begin_section(struct export *export, size_t section)
{
	export->section = section;
	export->key[0] = '\0';
}

/* The rows without their keys, the last of which is the page's. False when there is none. */
static bool take_keys(struct export *export, json_t *rows)
{
	size_t count = json_array_size(rows);
	const char *last = json_string_value(json_object_get(json_array_get(rows, count - 1), "page_key"));
	int length = snprintf(export->key, sizeof export->key, "%s", last != NULL ? last : "");

	for (size_t i = 0; i < count; i++)
		(void)json_object_del(json_array_get(rows, i), "page_key");
	return length > 0 && (size_t)length < sizeof export->key;
}

/* What stands before the rows of a page: the name of the section, if it is its first, and what it is within. */
static const char *opening(const struct export *export, bool is_first, char *room, size_t size)
{
	const struct section *section = &sections[export->section];

	if (!is_first)
		return ",\n";
	(void)snprintf(room, size, "%s\"%s\":%s", export->section == 0 ? "{" : "\n", section->name,
	               section->first != NULL ? "[\n" : "");
	return room;
}

/* The next page, or the end of the section. */
static bool put_rows(struct export *export, json_t *rows)
{
	bool is_single = sections[export->section].first == NULL;
	bool is_first = export->key[0] == '\0';
	size_t count = json_array_size(rows);
	char room[64];
	const char *before = opening(export, is_first, room, sizeof room);
	char *text = NULL;
	bool is_put;

	if (is_single && count != 1)
		return false;
	if (count == 0) {
		is_put = set_text(export, is_first ? before : "", "", 0, "],");
		begin_section(export, export->section + 1);
		return is_put;
	}
	if (!is_single && !take_keys(export, rows))
		return false;
	text = json_dumps(is_single ? json_array_get(rows, 0) : rows, JSON_COMPACT);
	/* Without the brackets, for it is a part of an array. */
	is_put = text != NULL && (is_single ? set_text(export, before, text, strlen(text), ",")
	                                    : set_text(export, before, text + 1, strlen(text) - 2, ""));
	free(text);
	if (is_single)
		begin_section(export, export->section + 1);
	return is_put;
}

static bool make_page(struct export *export)
{
	const struct section *section = &sections[export->section];
	const char *key = export->key[0] != '\0' ? export->key : section->first != NULL ? section->first : BEFORE_ALL;
	struct ones_rows *rows;
	json_t *values;
	bool is_made;

	if (ones_sql(export->db, &rows, section->sql, ONES_VALUES(ONES_INT(export->user_id), ONES_TEXT(key))) !=
	    ONES_RESULT_OK)
		return false;
	values = ones_rows_json(rows);
	is_made = values != NULL && put_rows(export, values);
	json_decref(values);
	return is_made;
}

static ssize_t more(void *context, char *buffer, size_t size)
{
	struct export *export = context;
	size_t left = export->size - export->at;

	if (left == 0 && export->section > SECTION_COUNT)
		return 0;
	if (left == 0 && export->section == SECTION_COUNT) {
		if (!set_text(export, end_of_all, "", 0, ""))
			return -1;
		export->section++;
	} else if (left == 0 && !make_page(export)) {
		return -1;
	}
	left = export->size - export->at;
	if (left > size)
		left = size;
	memcpy(buffer, export->text + export->at, left);
	export->at += left;
	return (ssize_t)left;
}

static void done(void *context)
{
	struct export *export = context;

	free(export->text);
	free(export);
}

static void export_data(struct ones_request *req)
{
	struct export *export;

	if (ones_session(req) == NULL) {
		reply_not_signed_in(req);
		return;
	}
	/* Whoever has got hold of a session is not to take all of it away. */
	if (!ones_is_fresh(req)) {
		/* Not back to here: a download leaves the page that asks for the password as it is. */
		ones_reply_stale(req, ones_module_url(req, "/account"));
		return;
	}
	export = calloc(1, sizeof *export);
	if (export == NULL) {
		ones_reply_failure(req, ONES_RESULT_FAILED, NULL);
		return;
	}
	export->user_id = ones_session(req)->user.id;
	export->db = ones_stream_db(req);
	ones_header(req, "Content-Disposition", "attachment; filename=\"account.json\"");
	ones_reply_stream(req, 200, "application/json", more, done, export);
}

void export_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/export", .get = export_data});
}

/* The kit's browser: what it asks, whom it is signed in as, and what it was answered. */
#include "base/clock.h"
#include "kit/kit.h"
#include "kit/serving.h"
#include "kit/web_server.h"
#include "session/users.h"

#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of all accounts that the kit makes. */
#define PASSWORD "a test of onesession"

/* ---- Asking -------------------------------------------------------------------------------------------------- */

static bool is_hex(const char *at)
{
	return isxdigit((unsigned char)at[0]) && isxdigit((unsigned char)at[1]);
}

/* As a web server decodes a path: once. On `ctx`; NULL when out of memory. */
static char *decode_path(TALLOC_CTX *ctx, const char *target, size_t size)
{
	char *path = talloc_strndup(ctx, target, size), *to = path;

	for (const char *at = path; at != NULL && *at != '\0'; at++) {
		if (*at == '%' && is_hex(at + 1)) {
			const char digits[] = {at[1], at[2], '\0'};

			*to++ = (char)strtol(digits, NULL, 16);
			at += 2;
		} else {
			*to++ = *at;
		}
	}
	if (path != NULL)
		*to = '\0';
	return path;
}

static void put_headers(struct ones_test *test, struct outgoing *outgoing, const char *path)
{
	const char *cookies = cookie_jar_header(&test->cookies, outgoing, path);

	outgoing_param(outgoing, "HTTP_HOST", "localhost");
	if (cookies == NULL)
		outgoing->has_failed = true;
	else if (cookies[0] != '\0')
		outgoing_param(outgoing, "HTTP_COOKIE", cookies);
	for (const struct sent_header *at = test->headers; at != NULL; at = at->next)
		outgoing_param(outgoing, at->name, at->value);
}

/* What the web server passes on. NULL when out of memory. */
static struct outgoing *compose(struct ones_test *test, const char *method, const char *target,
                                const char *content_type, const void *body, size_t size)
{
	struct outgoing *outgoing = talloc_zero(test, struct outgoing);
	size_t path_size = strcspn(target, "?#");
	char *path = decode_path(outgoing, target, path_size);
	char length[32];

	if (path == NULL) {
		talloc_free(outgoing);
		return NULL;
	}
	(void)snprintf(length, sizeof length, "%zu", size);
	outgoing_param(outgoing, "REQUEST_METHOD", method);
	outgoing_param(outgoing, "SCRIPT_NAME", path);
	outgoing_param(outgoing, "QUERY_STRING", target[path_size] == '?' ? target + path_size + 1 : "");
	outgoing_param(outgoing, "REQUEST_URI", target);
	outgoing_param(outgoing, "REMOTE_ADDR", "127.0.0.1");
	outgoing_param(outgoing, "SERVER_NAME", "localhost");
	outgoing_param(outgoing, "CONTENT_TYPE", content_type);
	outgoing_param(outgoing, "CONTENT_LENGTH", content_type != NULL ? length : NULL);
	put_headers(test, outgoing, path);
	if (outgoing_end(outgoing, body, content_type != NULL ? size : 0) == 0)
		return outgoing;
	talloc_free(outgoing);
	return NULL;
}

static void keep_cookies(struct ones_test *test)
{
	for (size_t i = 0; i < test->answer->header_count; i++) {
		const struct answer_header *header = &test->answer->headers[i];

		if (strcmp(header->name, "Set-Cookie") == 0 &&
		    cookie_jar_take(&test->cookies, test, header->value) != 0)
			kit_complain("ones_test_ask", "out of memory for a cookie");
	}
}

/* Send it, have it served, and read what comes back. */
static struct answer *exchange(struct ones_test *test, const struct outgoing *outgoing)
{
	struct answer *answer = NULL;
	struct web_server server;
	int fd = web_server_begin(&server, outgoing);

	if (fd < 0) {
		kit_complain("ones_test_ask", "%s", strerror(errno));
		return NULL;
	}
	if (serve(test, fd) != 0)
		kit_complain("ones_test_ask", "the daemon closes the connection without an answer");
	web_server_end(&server);
	if (server.size > 0)
		answer = answer_read(test, server.answer, server.size);
	free(server.answer);
	return answer;
}

int ones_test_ask(struct ones_test *test, const char *method, const char *target, const char *content_type,
                  const void *body, size_t size)
{
	struct outgoing *outgoing = compose(test, method, target, content_type, body, size);

	TALLOC_FREE(test->answer);
	if (outgoing == NULL)
		kit_complain("ones_test_ask", "out of memory");
	else
		test->answer = exchange(test, outgoing);
	talloc_free(outgoing);
	if (test->answer == NULL)
		return 0;
	keep_cookies(test);
	return test->answer->status;
}

/* ---- Forms with files ---------------------------------------------------------------------------------------- */

#define BOUNDARY "one-session-test-boundary"

/* A quote in a name is written as browsers do (WHATWG HTML, multipart/form-data). */
static void put_quoted(FILE *form, const char *attribute, const char *text)
{
	(void)fprintf(form, "; %s=\"", attribute);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\r' || *text == '\n')
			(void)fprintf(form, "%%%02X", (unsigned)*text);
		else
			(void)fputc(*text, form);
	}
	(void)fputc('"', form);
}

static void put_part(FILE *form, const struct ones_test_part *part)
{
	(void)fputs("--" BOUNDARY "\r\nContent-Disposition: form-data", form);
	put_quoted(form, "name", part->name);
	if (part->filename != NULL)
		put_quoted(form, "filename", part->filename);
	if (part->content_type != NULL)
		(void)fprintf(form, "\r\nContent-Type: %s", part->content_type);
	(void)fputs("\r\n\r\n", form);
	if (part->size > 0)
		(void)fwrite(part->data, part->size, 1, form);
	(void)fputs("\r\n", form);
}

int ones_test_upload(struct ones_test *test, const char *target, const struct ones_test_part parts[], size_t count)
{
	char *text = NULL;
	size_t size = 0;
	FILE *form = open_memstream(&text, &size);
	int status = 0;

	if (form != NULL) {
		for (size_t i = 0; i < count; i++)
			put_part(form, &parts[i]);
		(void)fputs("--" BOUNDARY "--\r\n", form);
	}
	if (form == NULL || fclose(form) != 0)
		kit_complain("ones_test_upload", "%s", strerror(errno));
	else
		status = ones_test_ask(test, "POST", target, "multipart/form-data; boundary=" BOUNDARY, text, size);
	free(text);
	return status;
}

/* ---- Header fields ------------------------------------------------------------------------------------------- */

static const char *param_of_header(TALLOC_CTX *ctx, const char *name)
{
	char *param = talloc_asprintf(ctx, "HTTP_%s", name);

	for (char *at = param; at != NULL && *at != '\0'; at++)
		*at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
	return param;
}

void ones_test_send_header(struct ones_test *test, const char *name, const char *value)
{
	struct sent_header *header = talloc_zero(test, struct sent_header);
	const char *param = param_of_header(header, name);

	if (header != NULL && value != NULL)
		header->value = talloc_strdup(header, value);
	if (param == NULL || (value != NULL && header->value == NULL)) {
		kit_complain("ones_test_send_header", "out of memory");
		return;
	}
	header->name = param;
	for (struct sent_header **at = &test->headers; *at != NULL; at = &(*at)->next) {
		struct sent_header *old = *at;

		if (strcmp(old->name, param) == 0) {
			*at = old->next;
			talloc_free(old);
			break;
		}
	}
	if (value == NULL) {
		talloc_free(header);
		return;
	}
	header->next = test->headers;
	test->headers = header;
}

/* ---- The answer ---------------------------------------------------------------------------------------------- */

int ones_test_status(const struct ones_test *test)
{
	return test->answer != NULL ? test->answer->status : 0;
}

const char *ones_test_body(const struct ones_test *test)
{
	return test->answer != NULL ? test->answer->body : "";
}

size_t ones_test_body_size(const struct ones_test *test)
{
	return test->answer != NULL ? test->answer->size : 0;
}

const char *ones_test_header(const struct ones_test *test, const char *name)
{
	return test->answer != NULL ? answer_header(test->answer, name) : NULL;
}

/* ---- Signing in ---------------------------------------------------------------------------------------------- */

/* The account, with the kit's password. */
static enum db_status make_account(struct ones_test *test, const char *username, bool is_admin)
{
	const struct password_cost cost = {test->settings.login.memory, test->settings.login.passes};
	struct db *db = test->db.db;
	char hash[PASSWORD_HASH_SIZE];
	enum db_status status;
	struct user *user;
	const struct new_user added = {.username = username, .password_hash = hash};
	bool was_admin, is_email_taken;
	int64_t id;

	if (password_hash(PASSWORD, &cost, hash) != 0)
		return db_out_of_memory(db);
	status = users_find(db, test, username, &user);
	if (status != DB_OK)
		return status;
	id = user != NULL ? user->id : 0;
	if (user == NULL)
		status = users_add(db, &added, &id, &is_email_taken);
	else
		status = users_set_password(db, id, hash);
	return status == DB_OK ? users_set_admin(db, id, is_admin, &was_admin) : status;
}

static void sign_in_by_route(struct ones_test *test, const char *username, bool is_admin)
{
	const char *prefix = test->app->settings->server.prefix;
	const char *target = talloc_asprintf(test, "%s/login", prefix);
	json_t *body = json_pack("{s:s, s:s}", "username", username, "password", PASSWORD);
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;

	json_decref(body);
	if (target == NULL || text == NULL)
		kit_complain("ones_test_sign_in", "%s cannot be a name, or there is no memory", username);
	else if (make_account(test, username, is_admin) != DB_OK)
		kit_complain("ones_test_sign_in", "%s: %s", username, db_problem(test->db.db));
	else
		(void)ones_test_ask(test, "POST", target, "application/json", text, strlen(text));
	free(text);
}

static void sign_out_by_route(struct ones_test *test)
{
	const char *target = talloc_asprintf(test, "%s/logout", test->app->settings->server.prefix);

	if (target != NULL)
		(void)ones_test_ask(test, "POST", target, "application/json", "{}", 2);
}

/* As the hook would find it; the id is that of an account that nothing else has. */
static void sign_in_without_database(struct ones_test *test, const char *username, bool is_admin)
{
	int64_t now = clock_wall_us();

	if (username == NULL) {
		test->session = (struct ones_session){.id = NULL};
		return;
	}
	test->session = (struct ones_session){
		.id = "00000000-0000-4000-8000-000000000001",
		.user = {.id = 1, .username = talloc_strdup(test, username), .is_admin = is_admin},
		.created_at = now,
		.last_seen_at = now,
		.expires_at = now + test->settings.session.lifetime * 1000,
		.proved_at = now,
	};
}

void ones_test_sign_in(struct ones_test *test, const char *username, bool is_admin)
{
	if (!test->has_database)
		sign_in_without_database(test, username, is_admin);
	else if (username != NULL)
		sign_in_by_route(test, username, is_admin);
	else
		sign_out_by_route(test);
}

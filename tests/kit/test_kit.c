/* libonesession-test.a: what a module's own tests see. With a database where ONESESSION_TEST_CONNINFO names one. */
#include "notes.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORM "application/x-www-form-urlencoded"

static struct ones_test *test;

static int get(const char *target)
{
	return ones_test_ask(test, "GET", target, NULL, NULL, 0);
}

static int send_form(const char *method, const char *target, const char *form)
{
	return ones_test_ask(test, method, target, FORM, form, strlen(form));
}

static void assert_body_has(const char *text)
{
	if (strstr(ones_test_body(test), text) == NULL)
		fail_msg("no \"%s\" in: %s", text, ones_test_body(test));
}

/* What a call says on standard error; to be freed. */
static char *said_by(struct ones_test *(*make)(void))
{
	char *text = NULL;
	FILE *kept = tmpfile();
	int before = dup(STDERR_FILENO);
	long size;

	assert_non_null(kept);
	assert_true(dup2(fileno(kept), STDERR_FILENO) >= 0);
	assert_null(make());
	assert_true(dup2(before, STDERR_FILENO) >= 0);
	close(before);
	size = lseek(fileno(kept), 0, SEEK_END);
	text = calloc(1, (size_t)size + 1);
	assert_non_null(text);
	assert_int_equal(pread(fileno(kept), text, (size_t)size, 0), size);
	(void)fclose(kept);
	return text;
}

/* ---- Without a database -------------------------------------------------------------------------------------- */

static void request_goes_to_its_route_with_what_belongs_to_it(void **state)
{
	(void)state;
	ones_test_send_header(test, "Accept-Language", "da");
	assert_int_equal(get("/notes/who?page=7"), 200);
	assert_string_equal(ones_test_body(test), "{\"who\":\"nobody\",\"language\":\"da\",\"limit\":\"\",\"page\":7}");
	assert_string_equal(ones_test_header(test, "content-type"), "application/json");
	assert_null(ones_test_header(test, "X-None"));
	ones_test_send_header(test, "Accept-Language", NULL);
	assert_int_equal(get("/notes/who"), 200);
	assert_body_has("\"language\":\"\"");
	assert_body_has("\"page\":1");
	assert_int_equal(get("/notes/parts/one%20two%3f"), 200);
	assert_string_equal(ones_test_body(test), "{\"part\":\"one two?\"}");
	assert_int_equal(ones_test_ask(test, "HEAD", "/notes/who", NULL, NULL, 0), 200);
	assert_int_equal(ones_test_body_size(test), 0);
}

static void request_that_no_route_takes_is_refused_as_by_the_daemon(void **state)
{
	(void)state;
	assert_int_equal(get("/notes/none"), 404);
	assert_int_equal(get("/elsewhere"), 404);
	assert_int_equal(get("/notes/parts/a%252fb"), 404);
	assert_int_equal(send_form("DELETE", "/notes/who", ""), 405);
	assert_string_equal(ones_test_header(test, "Allow"), "GET, HEAD");
	ones_test_sign_in(test, "ada", false);
	assert_int_equal(ones_test_ask(test, "POST", "/notes/", "text/csv", "a", 1), 415);
	assert_int_equal(ones_test_ask(test, "POST", "/notes/", "application/json", "{", 1), 400);
	ones_test_send_header(test, "Sec-Fetch-Site", "cross-site");
	assert_int_equal(send_form("POST", "/notes/", "text=a"), 403);
	ones_test_send_header(test, "Accept", "application/json");
	assert_int_equal(send_form("POST", "/notes/", "text=a"), 403);
	assert_body_has("\"code\":\"cross_site\"");
}

static void session_is_there_without_a_database_and_its_tables_are_not(void **state)
{
	(void)state;
	assert_int_equal(get("/notes/"), 401);
	assert_body_has("<a href=\"/session/login?next=/notes/\">Sign in</a>");
	assert_int_equal(get("/notes/admins"), 401);
	ones_test_sign_in(test, "ada", false);
	assert_int_equal(get("/notes/who"), 200);
	assert_body_has("\"who\":\"ada\"");
	assert_int_equal(get("/notes/admins"), 403);
	assert_int_equal(get("/notes/"), 503);
	assert_int_equal(ones_sql(ones_test_db(test), NULL, "SELECT 1", NULL, 0), ONES_RESULT_UNAVAILABLE);
	ones_test_sign_in(test, "grace", true);
	assert_int_equal(get("/notes/admins"), 204);
	ones_test_sign_in(test, NULL, false);
	assert_int_equal(get("/notes/admins"), 401);
}

static void body_of_any_size_goes_in_and_comes_out(void **state)
{
	static uint8_t body[1 << 20];

	(void)state;
	for (size_t i = 0; i < sizeof body; i++)
		body[i] = (uint8_t)(i * 7);
	assert_int_equal(ones_test_ask(test, "PUT", "/notes/echo", "image/png", body, sizeof body), 201);
	assert_int_equal(ones_test_body_size(test), sizeof body);
	assert_memory_equal(ones_test_body(test), body, sizeof body);
	assert_int_equal(ones_test_ask(test, "PUT", "/notes/echo", "image/png", "", 0), 201);
	assert_string_equal(ones_test_body(test), "");
}

static void body_that_is_too_large_is_refused(void **state)
{
	static const uint8_t body[(1 << 20) + 1];

	(void)state;
	assert_int_equal(ones_test_ask(test, "PUT", "/notes/echo", "image/png", body, sizeof body), 413);
}

static void files_of_a_form_are_kept_and_sent(void **state)
{
	static uint8_t data[1 << 20];
	char folder[] = "/tmp/ones-kit.XXXXXX", setting[100], path[100];
	const char *const settings[] = {setting, NULL};
	const struct ones_test_part parts[] = {{.name = "title", .data = "A note", .size = 6},
	                                       {.name = "file",
	                                        .filename = "a note.txt",
	                                        .content_type = "text/plain",
	                                        .data = data,
	                                        .size = sizeof data}};
	struct ones_test *other;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(setting, sizeof setting, "notes.files=%s", folder);
	other = ones_test_new_with(&ones_module, NULL, settings);
	assert_non_null(other);
	for (size_t i = 0; i < sizeof data; i++)
		data[i] = (uint8_t)(i * 13);
	assert_int_equal(ones_test_upload(other, "/notes/files", parts, 2), 401);
	ones_test_sign_in(other, "ada", false);
	assert_int_equal(ones_test_upload(other, "/notes/files", parts, 2), 200);
	assert_string_equal(ones_test_body(other), "{\"count\":1,\"title\":\"A note\",\"filename\":\"a note.txt\","
	                                           "\"type\":\"text/plain\"}");
	assert_int_equal(ones_test_ask(other, "GET", "/notes/files/a%20note.txt", NULL, NULL, 0), 200);
	assert_int_equal(ones_test_body_size(other), sizeof data);
	assert_memory_equal(ones_test_body(other), data, sizeof data);
	assert_int_equal(ones_test_ask(other, "GET", "/notes/files/none", NULL, NULL, 0), 404);
	ones_test_free(other);
	(void)snprintf(path, sizeof path, "%s/a note.txt", folder);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
}

static void streamed_answer_comes_whole(void **state)
{
	(void)state;
	assert_int_equal(get("/notes/stream"), 200);
	assert_int_equal(ones_test_body_size(test), 1000 * 1000);
	assert_int_equal(ones_test_body(test)[999999], 'a');
}

static void cookie_is_kept_and_taken_away(void **state)
{
	(void)state;
	assert_int_equal(get("/notes/taste"), 200);
	assert_string_equal(ones_test_body(test), "{\"taste\":null}");
	assert_int_equal(get("/notes/taste"), 200);
	assert_string_equal(ones_test_body(test), "{\"taste\":\"salt\"}");
	assert_int_equal(get("/notes/taste"), 200);
	assert_string_equal(ones_test_body(test), "{\"taste\":null}");
}

static void handler_s_mistake_is_a_500(void **state)
{
	(void)state;
	assert_int_equal(get("/notes/silent"), 500);
}

static void own_routes_of_the_daemon_are_there(void **state)
{
	(void)state;
	assert_int_equal(get("/session/health"), 200);
	assert_int_equal(get("/session/style.css"), 200);
	assert_true(ones_test_body_size(test) > 1000);
	assert_int_equal(get("/session/ready"), 503);
}

static void settings_are_those_that_are_given(void **state)
{
	static const char *const settings[] = {"notes.limit=3", "notes.prefix=/", "server.prefix=/me", NULL};
	struct ones_test *other = ones_test_new_with(&ones_module, NULL, settings);

	(void)state;
	assert_non_null(other);
	assert_int_equal(ones_test_ask(other, "GET", "/who", NULL, NULL, 0), 200);
	assert_non_null(strstr(ones_test_body(other), "\"limit\":\"3\""));
	assert_int_equal(ones_test_ask(other, "GET", "/me/health", NULL, NULL, 0), 200);
	/* Both go on, and each has what is its own. */
	assert_int_equal(get("/notes/who"), 200);
	assert_body_has("\"limit\":\"\"");
	notes_stopped = 0;
	ones_test_free(other);
	assert_int_equal(notes_stopped, 1);
	ones_test_free(NULL);
}

static struct ones_test *with_setting(const char *setting)
{
	const char *const settings[] = {setting, NULL};

	return ones_test_new_with(&ones_module, NULL, settings);
}

static struct ones_test *setup_fails(void)
{
	return with_setting("notes.fails=yes");
}

static struct ones_test *start_fails(void)
{
	return with_setting("notes.refuses_to_start=yes");
}

static struct ones_test *signal_is_not_there(void)
{
	return with_setting("notes.hears=yes");
}

static struct ones_test *section_is_misspelt(void)
{
	return with_setting("note.limit=3");
}

static struct ones_test *option_is_wrong(void)
{
	return with_setting("session.lifetime=never");
}

static struct ones_test *pages_are_missing(void)
{
	static const struct ones_module module = {
		.abi = ONES_ABI, .size = sizeof(struct ones_module), .name = "notes", .pages = "none"};

	return ones_test_new(&module, NULL);
}

static struct ones_test *abi_is_another(void)
{
	static const struct ones_module module = {
		.abi = ONES_ABI + 1, .size = sizeof(struct ones_module), .name = "notes"};

	return ones_test_new(&module, NULL);
}

static struct ones_test *database_is_away(void)
{
	return ones_test_new(&ones_module, "host=/nonexistent dbname=none");
}

static void job_without_a_database_finds_none(void **state)
{
	(void)state;
	assert_int_equal(ones_test_run_job(test, "forget"), ONES_RESULT_UNAVAILABLE);
}

static void what_fails_is_told(void **state)
{
	static const struct {
		struct ones_test *(*make)(void);
		const char *said;
	} cases[] = {
		{setup_fails, "module notes: its setup returned false"},
		{start_fails, "module notes: its start returned false"},
		{signal_is_not_there, "notes.nothing"},
		{section_is_misspelt, "there is no section [note]; did you mean [notes]?"},
		{option_is_wrong, "session.lifetime"},
		{pages_are_missing, "none: No such file or directory"},
		{abi_is_another, "it was built for ABI"},
		{database_is_away, "the database: "},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char *said = said_by(cases[i].make);

		if (strstr(said, cases[i].said) == NULL)
			fail_msg("no \"%s\" in: %s", cases[i].said, said);
		free(said);
	}
}

static void function_of_the_module_s_own_is_not_the_daemon_s(void **state)
{
	(void)state;
	assert_int_equal(log_open(41), 42);
	assert_string_equal(users_find(NULL), "nobody");
}

/* ---- With one ------------------------------------------------------------------------------------------------ */

static const char *conninfo(void)
{
	return getenv("ONESESSION_TEST_CONNINFO");
}

static void tables_are_made_and_handlers_use_them(void **state)
{
	struct ones_rows *rows = NULL;

	(void)state;
	assert_int_equal(get("/notes/"), 401);
	ones_test_sign_in(test, "ada", false);
	assert_int_equal(ones_test_status(test), 200);
	assert_int_equal(send_form("POST", "/notes/", "text=Bring+%3cmilk%3E"), 303);
	assert_string_equal(ones_test_header(test, "Location"), "/notes/");
	assert_int_equal(get("/notes/"), 200);
	assert_body_has("<h1>Notes of ada</h1>");
	assert_body_has("<p>Bring &lt;milk&gt;</p>");
	assert_int_equal(send_form("POST", "/notes/", "text="), 409);
	assert_int_equal(ones_sql(ones_test_db(test), &rows, "SELECT text FROM notes.notes", NULL, 0), ONES_RESULT_OK);
	assert_int_equal(ones_rows_count(rows), 1);
	assert_string_equal(ones_text(rows, 0, "text"), "Bring <milk>");
	assert_int_equal(ones_sql(ones_test_db(test), NULL, "DELETE FROM notes.notes", NULL, 0), ONES_RESULT_OK);
}

static void job_is_run_by_its_name(void **state)
{
	struct ones_rows *rows = NULL;

	(void)state;
	ones_test_sign_in(test, "ada", false);
	assert_int_equal(send_form("POST", "/notes/", "text=old"), 303);
	assert_int_equal(ones_test_run_job(test, "forget"), ONES_RESULT_OK);
	assert_int_equal(ones_sql(ones_test_db(test), &rows, "SELECT FROM notes.notes", NULL, 0), ONES_RESULT_OK);
	assert_int_equal(ones_rows_count(rows), 0);
	assert_int_equal(ones_test_run_job(test, "none"), ONES_RESULT_FAILED);
}

static void signing_in_runs_receivers_and_keeps_the_rule(void **state)
{
	struct ones_test *other = ones_test_new(&ones_module, conninfo());

	(void)state;
	assert_non_null(other);
	ones_test_sign_in(test, "mallory", false);
	assert_int_equal(ones_test_status(test), 403);
	assert_body_has("\"reason\":\"not_here\"");
	assert_int_equal(get("/notes/"), 401);
	ones_test_sign_in(test, "ada", true);
	assert_int_equal(get("/notes/admins"), 204);
	/* In another browser. */
	ones_test_sign_in(other, "ada", false);
	assert_int_equal(ones_test_ask(other, "GET", "/notes/admins", NULL, NULL, 0), 403);
	ones_test_send_header(test, "Accept", "application/json");
	assert_int_equal(get("/notes/"), 401);
	assert_body_has("\"code\":\"displaced\"");
	ones_test_sign_in(other, NULL, false);
	assert_int_equal(ones_test_ask(other, "GET", "/notes/", NULL, NULL, 0), 401);
	ones_test_free(other);
}

static void job_runs_when_the_test_says(void **state)
{
	struct ones_rows *rows = NULL;

	(void)state;
	assert_int_equal(ones_sql(ones_test_db(test), NULL,
	                          "INSERT INTO notes.notes (user_id, text) VALUES (1, 'old'), (1, 'new')", NULL, 0),
	                 ONES_RESULT_OK);
	notes_told = 0;
	assert_int_equal(ones_test_run_job(test, "sweep"), ONES_RESULT_OK);
	assert_int_equal(notes_told, 1);
	assert_int_equal(ones_sql(ones_test_db(test), &rows, "DELETE FROM notes.notes RETURNING text", NULL, 0),
	                 ONES_RESULT_OK);
	assert_int_equal(ones_rows_count(rows), 1);
	assert_string_equal(ones_text(rows, 0, "text"), "new");
	assert_int_equal(ones_test_run_job(test, "none"), ONES_RESULT_FAILED);
}

static int set_up(void **state)
{
	(void)state;
	test = ones_test_new(&ones_module, NULL);
	return test != NULL ? 0 : -1;
}

static int set_up_with_database(void **state)
{
	(void)state;
	test = conninfo() != NULL ? ones_test_new(&ones_module, conninfo()) : NULL;
	return conninfo() == NULL || test != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	ones_test_free(test);
	return 0;
}

#define TEST(function)   cmocka_unit_test_setup_teardown(function, set_up, tear_down)
#define TABLES(function) cmocka_unit_test_setup_teardown(function, set_up_with_database, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(request_goes_to_its_route_with_what_belongs_to_it),
		TEST(request_that_no_route_takes_is_refused_as_by_the_daemon),
		TEST(session_is_there_without_a_database_and_its_tables_are_not),
		TEST(body_of_any_size_goes_in_and_comes_out),
		TEST(body_that_is_too_large_is_refused),
		TEST(files_of_a_form_are_kept_and_sent),
		TEST(streamed_answer_comes_whole),
		TEST(cookie_is_kept_and_taken_away),
		TEST(handler_s_mistake_is_a_500),
		TEST(own_routes_of_the_daemon_are_there),
		TEST(settings_are_those_that_are_given),
		TEST(job_without_a_database_finds_none),
		TEST(what_fails_is_told),
		TEST(function_of_the_module_s_own_is_not_the_daemon_s),
	};
	const struct CMUnitTest with_database[] = {
		TABLES(tables_are_made_and_handlers_use_them),
		TABLES(job_is_run_by_its_name),
		TABLES(job_runs_when_the_test_says),
		TABLES(signing_in_runs_receivers_and_keeps_the_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL) +
	       (conninfo() != NULL ? cmocka_run_group_tests(with_database, NULL, NULL) : 0);
}

/* Tests of cinema, with the database that onesession-try --test makes: make test. */
#include <onesession.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORM "application/x-www-form-urlencoded"

#define CHECK(condition) check((condition), #condition, __LINE__)

static struct ones_test *test;

static void check(bool holds, const char *condition, int line)
{
	if (holds)
		return;
	(void)fprintf(stderr, "test_cinema.c:%d: not so: %s\nThe last answer: %d\n%s\n", line, condition,
	              ones_test_status(test), ones_test_body(test));
	exit(EXIT_FAILURE);
}

static int get(const char *target)
{
	return ones_test_ask(test, "GET", target, NULL, NULL, 0);
}

static int send(const char *method, const char *target, const char *type, const char *body)
{
	return ones_test_ask(test, method, target, type, body, strlen(body));
}

static bool shows(const char *text)
{
	return strstr(ones_test_body(test), text) != NULL;
}

static void run_sql(const char *sql)
{
	CHECK(ones_sql(ones_test_db(test), NULL, sql, NULL, 0) == ONES_RESULT_OK);
}

static void subscribe(const char *plan)
{
	CHECK(ones_sql(ones_test_db(test), NULL,
	               "INSERT INTO cinema.subscriptions (account, plan, card, paid_until)"
	               " SELECT id, $1, 'test-4242', now() + interval '1 month' FROM users WHERE username = 'ada'"
	               " ON CONFLICT (account) DO UPDATE SET plan = excluded.plan, ended_at = NULL",
	               ONES_VALUES(ONES_TEXT(plan))) == ONES_RESULT_OK);
}

static void test_catalogue(void)
{
	CHECK(get("/cinema/") == 200 && shows("Rule 30") && shows("Test Card"));
	CHECK(get("/cinema/?q=mandelBROT") == 200 && shows("Seahorse Valley") && !shows("Rule 30"));
	CHECK(get("/cinema/?q=%25") == 200 && shows("No film has that"));
	CHECK(get("/cinema/?q=%3Cb%3E") == 200 && shows("&lt;b&gt;") && !shows("<b>"));
	CHECK(get("/cinema/titles/1") == 200 && shows("Sign in to watch") && !shows("<video"));
	CHECK(get("/cinema/titles/99") == 404);
	CHECK(get("/cinema/titles/one") == 404);
}

static void test_films_are_for_those_with_a_plan(void)
{
	CHECK(get("/cinema/titles/1/film") == 401);
	ones_test_sign_in(test, "ada", false);
	CHECK(get("/cinema/titles/1/film") == 403 && shows("need a plan"));
	subscribe("matinee");
	CHECK(get("/cinema/titles/1") == 200 && shows("<video"));
	CHECK(get("/cinema/titles/1/film") == 200 && shows("moving pictures"));
	CHECK(strcmp(ones_test_header(test, "Content-Type"), "video/webm") == 0);
	CHECK(get("/cinema/titles/6/film") == 403 && shows("premiere"));
	subscribe("premiere");
	CHECK(get("/cinema/titles/6/film") == 200);
}

static void test_position_is_kept(void)
{
	CHECK(send("PUT", "/cinema/titles/1/position", "application/json", "{\"seconds\": 7}") == 204);
	CHECK(get("/cinema/titles/1") == 200 && shows("#t=7\""));
	CHECK(get("/cinema/") == 200 && shows("Continue watching"));
	/* At the end there is nothing to continue, and no film is longer than it is. */
	CHECK(send("PUT", "/cinema/titles/1/position", "application/json", "{\"seconds\": 5000}") == 204);
	CHECK(get("/cinema/titles/1") == 200 && shows("#t=0\""));
	CHECK(get("/cinema/") == 200 && !shows("Continue watching"));
	CHECK(send("PUT", "/cinema/titles/1/position", "application/json", "{\"seconds\": \"7\"}") == 400);
	CHECK(send("PUT", "/cinema/titles/99/position", "application/json", "{\"seconds\": 7}") == 404);
}

static void test_cover_is_uploaded_by_an_admin(void)
{
	static const char type[] = "multipart/form-data; boundary=x";
	static const char jpeg[] = "--x\r\nContent-Disposition: form-data; name=\"cover\"; "
				   "filename=\"a.jpg\"\r\n\r\n\xff\xd8\xff\xe0 new\r\n--x--\r\n";
	static const char script[] = "--x\r\nContent-Disposition: form-data; name=\"cover\"; "
				     "filename=\"a.jpg\"\r\n\r\n<script>\r\n--x--\r\n";

	CHECK(get("/cinema/titles/1/cover") == 200 && shows("still"));
	CHECK(send("POST", "/cinema/titles/1/covers", type, jpeg) == 403);
	ones_test_sign_in(test, "ada", true);
	CHECK(send("POST", "/cinema/titles/1/covers", type, script) == 400);
	CHECK(send("POST", "/cinema/titles/99/covers", type, jpeg) == 404);
	CHECK(send("POST", "/cinema/titles/1/covers", type, jpeg) == 303);
	CHECK(get("/cinema/titles/1/cover") == 200 && shows("\xff\xd8\xff\xe0 new"));
	CHECK(send("POST", "/cinema/titles/1/covers", type, jpeg) == 303);
	CHECK(access("tested/covers/1.jpg", F_OK) != 0 && access("tested/covers/2.jpg", F_OK) == 0);
}

static void test_ended_subscription_is_refused(void)
{
	ones_test_sign_in(test, NULL, false);
	run_sql("UPDATE cinema.subscriptions SET ended_at = '2026-05-04 12:00+00'");
	ones_test_sign_in(test, "ada", false);
	CHECK(ones_test_status(test) == 403 && shows("Your subscription ended on 4 May 2026"));
	CHECK(get("/cinema/titles/1/film") == 401);
	ones_test_sign_in(test, "grace", true);
	CHECK(get("/cinema/plans") == 200 && shows("<strong>ada</strong>"));
	CHECK(send("POST", "/cinema/subscriptions/0", FORM, "") == 404);
}

/* The text of the one value that there is. */
static const char *read_sql(const char *sql)
{
	struct ones_rows *rows;

	CHECK(ones_sql(ones_test_db(test), &rows, sql, NULL, 0) == ONES_RESULT_OK && ones_rows_count(rows) == 1);
	return ones_text(rows, 0, "value");
}

static void test_plan_costs_something(void)
{
	CHECK(send("POST", "/cinema/subscriptions", FORM, "plan=none&card=test-4242") == 404);
	CHECK(send("POST", "/cinema/subscriptions", FORM, "plan=matinee") == 404);
	CHECK(send("POST", "/cinema/subscriptions", FORM, "plan=matinee&card=test-0002") == 402 && shows("declined"));
	CHECK(get("/cinema/plans") == 200 && !shows("paid until"));
	CHECK(send("POST", "/cinema/subscriptions", FORM, "plan=matinee&card=test-4242") == 303);
	CHECK(get("/cinema/plans") == 200 && shows("paid until"));
}

/* One account pays, of the other the card is declined. */
static void test_subscriptions_are_renewed_or_end(void)
{
	run_sql("UPDATE cinema.subscriptions SET paid_until = now() - interval '1 minute', ended_at = NULL,"
	        " card = CASE account WHEN 1 THEN 'test-0002' ELSE card END");
	CHECK(ones_test_run_job(test, "renew") == ONES_RESULT_OK);
	CHECK(strcmp(read_sql("SELECT string_agg(concat(u.username, ended_at IS NULL), ' ' ORDER BY username) AS value"
	                      " FROM cinema.subscriptions JOIN users u ON u.id = account"),
	             "adaf gracet") == 0);
	CHECK(strcmp(read_sql("SELECT count(*) AS value FROM cinema.subscriptions WHERE paid_until > now()"), "1") ==
	      0);
}

/* As many as are asked for at a time stay unknown, whenever they are asked for. */
static void test_subscriptions_are_renewed_behind_those_that_cannot_be(void)
{
	run_sql("INSERT INTO users (username, password) SELECT 'late' || n, '' FROM generate_series(1, 20) n");
	run_sql("INSERT INTO cinema.subscriptions (account, plan, card, paid_until)"
	        " SELECT id, 'matinee', 'test-0500', now() - interval '1 day' FROM users WHERE username LIKE 'late%'");
	run_sql("UPDATE cinema.subscriptions SET paid_until = now() - interval '1 minute', ended_at = NULL,"
	        " asked_at = NULL, card = 'test-4242' WHERE card = 'test-0002'");
	CHECK(ones_test_run_job(test, "renew") == ONES_RESULT_OK);
	CHECK(ones_test_run_job(test, "renew") == ONES_RESULT_OK);
	CHECK(strcmp(read_sql("SELECT count(*) AS value FROM cinema.subscriptions WHERE paid_until < now()"), "20") ==
	      0);
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* make test has made the folders, and started the billing service. */
int main(void)
{
	char here[1000], films[1100], covers[1100], spool[1100], billing[100];
	const char *const settings[] = {films, covers, spool, billing, NULL};

	CHECK(getcwd(here, sizeof here) != NULL);
	write_file("tested/films/seahorse.webm", "moving pictures");
	write_file("tested/films/testcard.webm", "moving pictures");
	write_file("tested/films/seahorse.jpg", "still");
	(void)snprintf(films, sizeof films, "cinema.films=%s/tested/films", here);
	(void)snprintf(covers, sizeof covers, "cinema.covers=%s/tested/covers", here);
	(void)snprintf(spool, sizeof spool, "server.spool=%s/tested", here);
	(void)snprintf(billing, sizeof billing, "cinema.billing=%s", getenv("BILLING"));
	test = ones_test_new_with(&ones_module, getenv("ONESESSION_TEST_CONNINFO"), settings);
	if (test == NULL)
		return EXIT_FAILURE;
	test_catalogue();
	test_films_are_for_those_with_a_plan();
	test_position_is_kept();
	test_cover_is_uploaded_by_an_admin();
	test_ended_subscription_is_refused();
	test_plan_costs_something();
	test_subscriptions_are_renewed_or_end();
	test_subscriptions_are_renewed_behind_those_that_cannot_be();
	ones_test_free(test);
	(void)puts("cinema: all is well");
	return EXIT_SUCCESS;
}

/* Tests of newmodule, with the database that onesession-try --test makes: make test. */
#include <onesession.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORM "application/x-www-form-urlencoded"

#define CHECK(condition) check((condition), #condition, __LINE__)

static struct ones_test *test;

static void check(bool holds, const char *condition, int line)
{
	if (holds)
		return;
	(void)fprintf(stderr, "test_newmodule.c:%d: not so: %s\nThe last answer: %d\n%s\n", line, condition,
	              ones_test_status(test), ones_test_body(test));
	exit(EXIT_FAILURE);
}

static int get(const char *target)
{
	return ones_test_ask(test, "GET", target, NULL, NULL, 0);
}

static int post(const char *target, const char *form)
{
	return ones_test_ask(test, "POST", target, FORM, form, strlen(form));
}

static bool shows(const char *text)
{
	return strstr(ones_test_body(test), text) != NULL;
}

/* The id of the newest note. */
static int64_t newest(void)
{
	struct ones_rows *rows;

	CHECK(ones_sql(ones_test_db(test), &rows, "SELECT max(id) AS id FROM \"newmodule\".notes", NULL, 0) ==
	      ONES_RESULT_OK);
	return ones_int(rows, 0, "id");
}

int main(void)
{
	char remove[64];

	test = ones_test_new(&ones_module, getenv("ONESESSION_TEST_CONNINFO"));
	if (test == NULL)
		return EXIT_FAILURE;

	CHECK(get("/newmodule/") == 401);
	ones_test_sign_in(test, "ada", false);
	CHECK(get("/newmodule/") == 200 && shows("None so far"));

	CHECK(post("/newmodule/", "text=Bring+milk+%26+%3Ccake%3E") == 303);
	CHECK(get("/newmodule/") == 200 && shows("Bring milk &amp; &lt;cake&gt;"));
	CHECK(post("/newmodule/", "text=") == 400);

	/* Another account neither sees it nor removes it. */
	(void)snprintf(remove, sizeof remove, "/newmodule/%lld/remove", (long long)newest());
	ones_test_sign_in(test, "grace", false);
	CHECK(get("/newmodule/") == 200 && !shows("Bring milk"));
	CHECK(post(remove, "") == 404);

	ones_test_sign_in(test, "ada", false);
	CHECK(post(remove, "") == 303);
	CHECK(get("/newmodule/") == 200 && shows("None so far"));

	ones_test_free(test);
	(void)puts("newmodule: all is well");
	return EXIT_SUCCESS;
}

/* ones_connect() and ones_disconnect() refuse the names of the daemon's own receivers. */
#include "api/app.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/config.h"
#include "base/log.h"
#include "session/signals.h"

#include <string.h>

static const char *const own_names[] = {"store_key", "clear_key", "record_event", "log_event", "count_event"};

static struct settings settings;
static struct scoreboard *board;
static struct ones_app *app;

static bool receive(const struct ones_event *event, void *context)
{
	(void)event;
	*(int *)context += 1;
	return true;
}

static void connect_as(enum ones_signal signal, const char *name, int *calls)
{
	ones_connect(
		app, signal,
		&(struct ones_receiver){.name = name, .phase = ONES_AFTER_COMMIT, .call = receive, .context = calls});
}

static void emit(enum ones_signal signal)
{
	const struct ones_event event = {.signal = signal,
	                                 .username = "alice",
	                                 .session_id = "",
	                                 .by_session_id = "",
	                                 .ip = "",
	                                 .user_agent = ""};

	assert_true(signals_emit(app->signals, ONES_AFTER_COMMIT, &event));
}

static uint64_t logins_counted(void)
{
	return atomic_load(&board->counters.all[COUNTER_LOGINS]);
}

static void receiver_with_a_name_of_the_daemons_own_is_refused_at_start(void **state)
{
	int calls = 0;

	(void)state;
	for (size_t i = 0; i < sizeof own_names / sizeof own_names[0]; i++) {
		for (enum ones_signal signal = 0; signal < ONES_SIGNAL_COUNT; signal++) {
			app->setup_problem = NULL;
			connect_as(signal, own_names[i], &calls);
			assert_non_null(app->setup_problem);
			assert_non_null(strstr(app->setup_problem, own_names[i]));
		}
	}
	emit(ONES_SIGNAL_LOGGED_IN);
	assert_int_equal(calls, 0);
	assert_int_equal(logins_counted(), 1);
}

static void receiver_of_the_daemons_own_cannot_be_disconnected(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof own_names / sizeof own_names[0]; i++) {
		app->setup_problem = NULL;
		assert_false(ones_disconnect(app, ONES_SIGNAL_LOGGED_IN, own_names[i]));
		assert_non_null(app->setup_problem);
		assert_non_null(strstr(app->setup_problem, own_names[i]));
	}
	emit(ONES_SIGNAL_LOGGED_IN);
	assert_int_equal(logins_counted(), 1);
}

static void receiver_with_another_name_is_connected_and_disconnected(void **state)
{
	int calls = 0;

	(void)state;
	connect_as(ONES_SIGNAL_LOGGED_IN, "store_keys", &calls);
	assert_null(app->setup_problem);
	emit(ONES_SIGNAL_LOGGED_IN);
	assert_int_equal(calls, 1);
	assert_true(ones_disconnect(app, ONES_SIGNAL_LOGGED_IN, "store_keys"));
	assert_false(ones_disconnect(app, ONES_SIGNAL_LOGGED_IN, "store_keys"));
	assert_null(app->setup_problem);
	emit(ONES_SIGNAL_LOGGED_IN);
	assert_int_equal(calls, 1);
}

static int set_up(void **state)
{
	(void)state;
	memset(&board->counters, 0, sizeof board->counters);
	app = app_new(NULL, &settings, NULL, board);
	return app != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	talloc_free(app);
	return 0;
}

static int set_up_all(void **state)
{
	const struct config_source source = {.path = "/dev/null"};

	(void)state;
	board = scoreboard_new();
	if (board == NULL || config_load(NULL, &source, &settings, stderr) != 0)
		return -1;
	return log_open("test", "/dev/null", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(receiver_with_a_name_of_the_daemons_own_is_refused_at_start),
		TEST(receiver_of_the_daemons_own_cannot_be_disconnected),
		TEST(receiver_with_another_name_is_connected_and_disconnected),
	};

	return cmocka_run_group_tests(tests, set_up_all, NULL);
}

/* The callback lists: order, phases, names that are reserved. */
#include "session/signals.h"

/* cmocka wants these first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct signals *signals;
static char log_path[] = "/tmp/onesession-signals-XXXXXX";

/* ---- Helpers ------------------------------------------------------------------------------------------------ */

/* The contexts of the receivers that were called, one letter each. */
static char called[64];
static const struct ones_event *event_seen;

static bool note(const struct ones_event *event, void *context)
{
	const char *letter = context;
	size_t length = strlen(called);

	event_seen = event;
	assert_true(length + 1 < sizeof called);
	called[length] = *letter;
	called[length + 1] = '\0';
	return true;
}

static bool note_and_fail(const struct ones_event *event, void *context)
{
	(void)note(event, context);
	return false;
}

static char letters[] = "abcdefgh";

static void connect_to(enum ones_signal signal, const char *name, int order, char letter)
{
	const struct ones_receiver receiver = {.name = name,
	                                       .order = order,
	                                       .phase = ONES_IN_TRANSACTION,
	                                       .call = note,
	                                       .context = &letters[letter - 'a']};

	assert_int_equal(signals_connect(signals, signal, &receiver), 0);
}

static void connect(const char *name, int order, char letter)
{
	connect_to(ONES_SIGNAL_LOGGED_IN, name, order, letter);
}

static void connect_phase(const char *name, enum ones_phase phase, bool succeeds, char letter)
{
	const struct ones_receiver receiver = {.name = name,
	                                       .phase = phase,
	                                       .call = succeeds ? note : note_and_fail,
	                                       .context = &letters[letter - 'a']};

	assert_int_equal(signals_connect(signals, ONES_SIGNAL_LOGGED_IN, &receiver), 0);
}

static bool emit(enum ones_signal signal, enum ones_phase phase)
{
	const struct ones_event event = {.signal = signal, .user_id = 7, .username = "alice"};
	bool result;

	called[0] = '\0';
	event_seen = NULL;
	result = signals_emit(signals, phase, &event);
	/* Every receiver gets the event itself. */
	assert_true(called[0] == '\0' || event_seen == &event);
	return result;
}

static void assert_called(const char *expected)
{
	assert_true(emit(ONES_SIGNAL_LOGGED_IN, ONES_IN_TRANSACTION));
	assert_string_equal(called, expected);
}

static int set_up(void **state)
{
	(void)state;
	if (log_open("test", log_path, LOG_LEVEL_INFO, LOG_FORMAT_TEXT) != 0 || truncate(log_path, 0) != 0)
		return -1;
	signals = signals_new(NULL, NULL);
	return signals != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	talloc_free(signals);
	return 0;
}

static int set_up_all(void **state)
{
	int fd = mkstemp(log_path);

	(void)state;
	return fd >= 0 ? close(fd) : -1;
}

static int tear_down_all(void **state)
{
	(void)state;
	log_close();
	return unlink(log_path);
}

/* How many lines the log has, and the last one. */
static size_t read_log(char *last, int size)
{
	FILE *file = fopen(log_path, "re");
	size_t lines = 0;

	assert_non_null(file);
	last[0] = '\0';
	while (fgets(last, size, file) != NULL)
		lines++;
	(void)fclose(file);
	return lines;
}

/* ---- Tests -------------------------------------------------------------------------------------------------- */

static void lowest_order_is_called_first(void **state)
{
	(void)state;
	connect("middle", 0, 'a');
	connect("last", 10, 'b');
	connect("first", -10, 'c');
	connect("second", -1, 'd');
	assert_called("cdab");
}

static void equal_orders_are_called_as_they_were_connected(void **state)
{
	(void)state;
	connect("one", 5, 'a');
	connect("two", 5, 'b');
	connect("early", 4, 'c');
	connect("three", 5, 'd');
	assert_called("cabd");
}

static void same_name_is_kept_once(void **state)
{
	(void)state;
	connect("one", 0, 'a');
	connect("two", 0, 'b');
	connect("one", 0, 'c');
	assert_called("bc");
	/* The new order counts. */
	connect("one", -1, 'd');
	assert_called("db");
	connect("one", 1, 'd');
	assert_called("bd");
	/* So does the new phase. */
	connect_phase("one", ONES_AFTER_COMMIT, true, 'e');
	assert_called("b");
	assert_true(emit(ONES_SIGNAL_LOGGED_IN, ONES_AFTER_COMMIT));
	assert_string_equal(called, "e");
}

static void names_are_compared_by_their_text(void **state)
{
	char one[] = "receiver", other[] = "receiver";

	(void)state;
	connect(one, 0, 'a');
	connect(other, 0, 'b');
	connect("Receiver", 0, 'c');
	connect("receiver2", 0, 'd');
	assert_called("bcd");
	assert_true(signals_disconnect(signals, ONES_SIGNAL_LOGGED_IN, one));
	assert_called("cd");
}

static void each_signal_has_its_own_list(void **state)
{
	(void)state;
	connect_to(ONES_SIGNAL_LOGGED_IN, "same", 0, 'a');
	connect_to(ONES_SIGNAL_LOGGED_OUT, "same", 0, 'b');
	assert_called("a");
	for (int signal = 0; signal < ONES_SIGNAL_COUNT; signal++) {
		assert_true(emit((enum ones_signal)signal, ONES_IN_TRANSACTION));
		assert_string_equal(called, signal == ONES_SIGNAL_LOGGED_IN    ? "a"
		                            : signal == ONES_SIGNAL_LOGGED_OUT ? "b"
		                                                               : "");
	}
	assert_false(signals_disconnect(signals, ONES_SIGNAL_SESSION_DISPLACED, "same"));
	assert_true(signals_disconnect(signals, ONES_SIGNAL_LOGGED_IN, "same"));
	assert_called("");
	assert_true(emit(ONES_SIGNAL_LOGGED_OUT, ONES_IN_TRANSACTION));
	assert_string_equal(called, "b");
}

static void each_phase_has_its_receivers(void **state)
{
	(void)state;
	connect_phase("one", ONES_IN_TRANSACTION, true, 'a');
	connect_phase("two", ONES_AFTER_COMMIT, true, 'b');
	connect_phase("three", ONES_IN_TRANSACTION, true, 'c');
	assert_called("ac");
	assert_true(emit(ONES_SIGNAL_LOGGED_IN, ONES_AFTER_COMMIT));
	assert_string_equal(called, "b");
}

static void first_failure_in_the_transaction_ends_it(void **state)
{
	char line[512];

	(void)state;
	connect_phase("one", ONES_IN_TRANSACTION, true, 'a');
	connect_phase("audit", ONES_IN_TRANSACTION, false, 'b');
	connect_phase("three", ONES_IN_TRANSACTION, true, 'c');
	assert_false(emit(ONES_SIGNAL_LOGGED_IN, ONES_IN_TRANSACTION));
	assert_string_equal(called, "ab");
	assert_int_equal(read_log(line, sizeof line), 1);
	assert_non_null(strstr(line, " error "));
	assert_non_null(strstr(line, "receiver_failed signal=user_logged_in receiver=audit phase=in_transaction"));
}

static void failure_after_commit_is_logged_and_changes_nothing(void **state)
{
	char line[512];

	(void)state;
	connect_phase("one", ONES_AFTER_COMMIT, false, 'a');
	connect_phase("two", ONES_AFTER_COMMIT, true, 'b');
	connect_phase("mail", ONES_AFTER_COMMIT, false, 'c');
	assert_true(emit(ONES_SIGNAL_LOGGED_IN, ONES_AFTER_COMMIT));
	assert_string_equal(called, "abc");
	assert_int_equal(read_log(line, sizeof line), 2);
	assert_non_null(strstr(line, "receiver_failed signal=user_logged_in receiver=mail phase=after_commit"));
}

static void success_is_not_logged(void **state)
{
	char line[512];

	(void)state;
	connect("one", 0, 'a');
	assert_called("a");
	assert_int_equal(read_log(line, sizeof line), 0);
}

static void disconnected_receiver_is_called_no_more(void **state)
{
	(void)state;
	connect("one", 0, 'a');
	connect("two", 1, 'b');
	connect("three", 2, 'c');
	assert_true(signals_disconnect(signals, ONES_SIGNAL_LOGGED_IN, "two"));
	assert_called("ac");
	assert_false(signals_disconnect(signals, ONES_SIGNAL_LOGGED_IN, "two"));
	assert_false(signals_disconnect(signals, ONES_SIGNAL_LOGGED_IN, "never"));
	assert_true(signals_disconnect(signals, ONES_SIGNAL_LOGGED_IN, "three"));
	assert_true(signals_disconnect(signals, ONES_SIGNAL_LOGGED_IN, "one"));
	assert_called("");
	/* And may be connected again. */
	connect("two", 0, 'd');
	assert_called("d");
}

static void receiver_is_copied(void **state)
{
	struct ones_receiver receiver = {
		.name = "one", .phase = ONES_IN_TRANSACTION, .call = note, .context = &letters[0]};

	(void)state;
	assert_int_equal(signals_connect(signals, ONES_SIGNAL_LOGGED_IN, &receiver), 0);
	memset(&receiver, 0, sizeof receiver);
	assert_called("a");
}

static void reserved_receiver_is_neither_replaced_nor_removed(void **state)
{
	const struct ones_receiver other = {
		.name = "own", .phase = ONES_IN_TRANSACTION, .call = note, .context = &letters[1]};

	(void)state;
	connect("own", 0, 'a');
	signals_reserve(signals);
	assert_true(signals_is_reserved(signals, "own"));
	assert_false(signals_is_reserved(signals, "other"));
	/* Of any signal, so that a name means one receiver in the log. */
	assert_int_equal(signals_connect(signals, ONES_SIGNAL_LOGGED_IN, &other), -1);
	assert_int_equal(signals_connect(signals, ONES_SIGNAL_LOGGED_OUT, &other), -1);
	assert_false(signals_disconnect(signals, ONES_SIGNAL_LOGGED_IN, "own"));
	assert_called("a");
	assert_true(emit(ONES_SIGNAL_LOGGED_OUT, ONES_IN_TRANSACTION));
	assert_string_equal(called, "");
}

static void receiver_connected_after_the_reserved_ones_is_not_reserved(void **state)
{
	(void)state;
	connect("own", 0, 'a');
	signals_reserve(signals);
	connect("other", -1, 'b');
	assert_called("ba");
	connect("other", 1, 'c');
	assert_called("ac");
	assert_false(signals_is_reserved(signals, "other"));
	assert_true(signals_disconnect(signals, ONES_SIGNAL_LOGGED_IN, "other"));
	assert_called("a");
}

static void signals_are_called_as_in_the_contract(void **state)
{
	(void)state;
	assert_string_equal(ones_signal_name(ONES_SIGNAL_LOGGED_IN), "user_logged_in");
	assert_string_equal(ones_signal_name(ONES_SIGNAL_LOGGED_OUT), "user_logged_out");
	assert_string_equal(ones_signal_name(ONES_SIGNAL_LOGIN_FAILED), "user_login_failed");
	assert_string_equal(ones_signal_name(ONES_SIGNAL_SESSION_DISPLACED), "session_displaced");
	assert_string_equal(ones_signal_name(ONES_SIGNAL_ACCOUNT_SHARED), "account_shared");
	assert_string_equal(ones_signal_name(ONES_SIGNAL_PASSWORD_CHANGED), "password_changed");
	assert_null(ones_signal_name(ONES_SIGNAL_OWN));
}

/* ---- Signals of modules -------------------------------------------------------------------------------------- */

static void connect_own(const char *signal, const char *name, int order, char letter)
{
	const struct ones_receiver receiver = {.name = name,
	                                       .order = order,
	                                       .phase = ONES_IN_TRANSACTION,
	                                       .call = note,
	                                       .context = &letters[letter - 'a']};

	assert_int_equal(signals_connect_to(signals, signal, "billing", &receiver), 0);
}

static void assert_own_called(const char *signal, const char *expected)
{
	const struct ones_event event = {.signal = ONES_SIGNAL_OWN, .name = signal};

	called[0] = '\0';
	assert_true(signals_emit(signals, ONES_IN_TRANSACTION, &event));
	assert_string_equal(called, expected);
}

static void signal_of_a_module_has_its_own_list_in_its_order(void **state)
{
	struct problem problem = {0};

	(void)state;
	/* Before it is declared and after. */
	connect_own("cinema.title_added", "late", 5, 'a');
	assert_int_equal(signals_declare(signals, "cinema.title_added", &problem), 0);
	assert_int_equal(signals_declare(signals, "cinema.title_gone", &problem), 0);
	connect_own("cinema.title_added", "early", -5, 'b');
	connect_own("cinema.title_gone", "early", -5, 'c');
	connect_own("cinema.title_added", "late", -6, 'd');
	connect("same", 0, 'e');
	assert_own_called("cinema.title_added", "db");
	assert_own_called("cinema.title_gone", "c");
	assert_called("e");
}

static void signal_that_no_module_declares_is_found(void **state)
{
	struct problem problem = {0};

	(void)state;
	assert_int_equal(signals_check(signals, &problem), 0);
	connect_own("cinema.title_added", "one", 0, 'a');
	assert_null(signals_declared(signals, "cinema.title_added"));
	assert_int_equal(signals_check(signals, &problem), -1);
	assert_string_equal(
		problem.text,
		"module billing: it connects a receiver to the signal cinema.title_added, which no module declares");
	assert_int_equal(signals_declare(signals, "cinema.title_added", &problem), 0);
	assert_string_equal(signals_declared(signals, "cinema.title_added"), "cinema.title_added");
	assert_null(signals_declared(signals, "cinema.title"));
	assert_null(signals_declared(signals, "user_logged_in"));
	assert_int_equal(signals_check(signals, &problem), 0);
}

static void signal_is_declared_once(void **state)
{
	struct problem problem = {0};

	(void)state;
	assert_int_equal(signals_declare(signals, "cinema.title_added", &problem), 0);
	assert_int_equal(signals_declare(signals, "cinema.title_added", &problem), -1);
	assert_string_equal(problem.text, "it declares the signal cinema.title_added twice");
}

static void reserved_name_is_reserved_at_signals_of_modules(void **state)
{
	const struct ones_receiver other = {.name = "own", .phase = ONES_IN_TRANSACTION, .call = note};

	(void)state;
	connect("own", 0, 'a');
	signals_reserve(signals);
	assert_int_equal(signals_connect_to(signals, "cinema.title_added", "billing", &other), -1);
}

static void failure_names_the_signal_of_a_module(void **state)
{
	const struct ones_receiver receiver = {
		.name = "bill", .phase = ONES_IN_TRANSACTION, .call = note_and_fail, .context = letters};
	const struct ones_event event = {.signal = ONES_SIGNAL_OWN, .name = "cinema.title_added"};
	char line[512];

	(void)state;
	assert_int_equal(signals_connect_to(signals, "cinema.title_added", "billing", &receiver), 0);
	assert_false(signals_emit(signals, ONES_IN_TRANSACTION, &event));
	assert_int_equal(read_log(line, sizeof line), 1);
	assert_non_null(strstr(line, "receiver_failed signal=cinema.title_added receiver=bill phase=in_transaction"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lowest_order_is_called_first),
		TEST(equal_orders_are_called_as_they_were_connected),
		TEST(same_name_is_kept_once),
		TEST(names_are_compared_by_their_text),
		TEST(each_signal_has_its_own_list),
		TEST(each_phase_has_its_receivers),
		TEST(first_failure_in_the_transaction_ends_it),
		TEST(failure_after_commit_is_logged_and_changes_nothing),
		TEST(success_is_not_logged),
		TEST(disconnected_receiver_is_called_no_more),
		TEST(receiver_is_copied),
		TEST(reserved_receiver_is_neither_replaced_nor_removed),
		TEST(receiver_connected_after_the_reserved_ones_is_not_reserved),
		TEST(signals_are_called_as_in_the_contract),
		TEST(signal_of_a_module_has_its_own_list_in_its_order),
		TEST(signal_that_no_module_declares_is_found),
		TEST(signal_is_declared_once),
		TEST(reserved_name_is_reserved_at_signals_of_modules),
		TEST(failure_names_the_signal_of_a_module),
	};

	return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}

/* The callback lists behind ones_connect() and ones_connect_to(). */
#include "session/signals.h"

#include "base/log.h"
#include "session/emission.h"
#include "session/module_sql.h"

#include <string.h>

struct connected {
	struct ones_receiver receiver;
	bool is_reserved;
};

struct receiver_list {
	unsigned int count;
	struct connected *all; /* by order; equal orders as they were connected */
};

/* A signal of a module's. */
struct own_signal {
	const char *name; /* "cinema.title_added" */
	bool is_declared;
	const char *wanted_by; /* the first module that has connected a receiver; NULL: none has */
	struct receiver_list list;
};

struct signals {
	const struct ones_app *app; /* NULL: nobody's */
	struct receiver_list lists[ONES_SIGNAL_COUNT];
	unsigned int own_count;
	struct own_signal *own;
};

const char *ones_signal_name(enum ones_signal signal)
{
	static const char *const names[ONES_SIGNAL_COUNT] = {
		[ONES_SIGNAL_LOGGED_IN] = "user_logged_in",
		[ONES_SIGNAL_LOGGED_OUT] = "user_logged_out",
		[ONES_SIGNAL_LOGIN_FAILED] = "user_login_failed",
		[ONES_SIGNAL_SESSION_DISPLACED] = "session_displaced",
		[ONES_SIGNAL_ACCOUNT_SHARED] = "account_shared",
		[ONES_SIGNAL_PASSWORD_CHANGED] = "password_changed",
		[ONES_SIGNAL_IDENTITY_CONFIRMED] = "identity_confirmed",
	};

	return signal < ONES_SIGNAL_COUNT ? names[signal] : NULL;
}

struct signals *signals_new(TALLOC_CTX *ctx, const struct ones_app *app)
{
	struct signals *signals = talloc_zero(ctx, struct signals);

	if (signals != NULL)
		signals->app = app;
	return signals;
}

const struct ones_app *signals_app(const struct signals *signals)
{
	return signals->app;
}

void signals_reserve(struct signals *signals)
{
	for (enum ones_signal signal = 0; signal < ONES_SIGNAL_COUNT; signal++) {
		struct receiver_list *list = &signals->lists[signal];

		for (unsigned int i = 0; i < list->count; i++)
			list->all[i].is_reserved = true;
	}
}

bool signals_is_reserved(const struct signals *signals, const char *name)
{
	for (enum ones_signal signal = 0; signal < ONES_SIGNAL_COUNT; signal++) {
		const struct receiver_list *list = &signals->lists[signal];

		for (unsigned int i = 0; i < list->count; i++) {
			if (list->all[i].is_reserved && strcmp(list->all[i].receiver.name, name) == 0)
				return true;
		}
	}
	return false;
}

/* ---- A list ------------------------------------------------------------------------------------------------- */

static bool take_off(struct receiver_list *list, const char *name)
{
	for (unsigned int i = 0; i < list->count; i++) {
		if (strcmp(list->all[i].receiver.name, name) == 0 && !list->all[i].is_reserved) {
			list->count--;
			memmove(&list->all[i], &list->all[i + 1], (list->count - i) * sizeof list->all[0]);
			return true;
		}
	}
	return false;
}

static int put_on(struct signals *signals, struct receiver_list *list, const struct ones_receiver *receiver)
{
	struct connected *grown;
	unsigned int at;

	if (signals_is_reserved(signals, receiver->name))
		return -1;
	grown = talloc_realloc(signals, list->all, struct connected, list->count + 1);
	if (grown == NULL)
		return -1;
	list->all = grown;
	(void)take_off(list, receiver->name);
	at = list->count;
	while (at > 0 && list->all[at - 1].receiver.order > receiver->order)
		at--;
	memmove(&list->all[at + 1], &list->all[at], (list->count - at) * sizeof list->all[0]);
	list->all[at] = (struct connected){.receiver = *receiver};
	list->count++;
	return 0;
}

int signals_connect(struct signals *signals, enum ones_signal signal, const struct ones_receiver *receiver)
{
	return put_on(signals, &signals->lists[signal], receiver);
}

bool signals_disconnect(struct signals *signals, enum ones_signal signal, const char *name)
{
	return take_off(&signals->lists[signal], name);
}

/* ---- Signals of modules -------------------------------------------------------------------------------------- */

static struct own_signal *find_own(const struct signals *signals, const char *name)
{
	for (unsigned int i = 0; i < signals->own_count; i++) {
		if (strcmp(signals->own[i].name, name) == 0)
			return &signals->own[i];
	}
	return NULL;
}

/* The signal of that name, which need not be declared. NULL when out of memory. */
static struct own_signal *get_own(struct signals *signals, const char *name)
{
	struct own_signal *found = find_own(signals, name);
	struct own_signal *grown;

	if (found != NULL)
		return found;
	grown = talloc_realloc(signals, signals->own, struct own_signal, signals->own_count + 1);
	if (grown == NULL)
		return NULL;
	signals->own = grown;
	found = &grown[signals->own_count];
	*found = (struct own_signal){.name = talloc_strdup(signals, name)};
	if (found->name == NULL)
		return NULL;
	signals->own_count++;
	return found;
}

int signals_declare(struct signals *signals, const char *name, struct problem *problem)
{
	struct own_signal *own = get_own(signals, name);

	if (own == NULL)
		return problem_set(problem, "out of memory for a signal");
	if (own->is_declared)
		return problem_set(problem, "it declares the signal %s twice", name);
	own->is_declared = true;
	return 0;
}

int signals_connect_to(struct signals *signals, const char *name, const char *module,
                       const struct ones_receiver *receiver)
{
	struct own_signal *own = get_own(signals, name);

	if (own == NULL)
		return -1;
	if (own->wanted_by == NULL)
		own->wanted_by = module;
	return put_on(signals, &own->list, receiver);
}

int signals_check(const struct signals *signals, struct problem *problem)
{
	for (unsigned int i = 0; i < signals->own_count; i++) {
		const struct own_signal *own = &signals->own[i];

		if (!own->is_declared)
			return problem_set(
				problem, "module %s: it connects a receiver to the signal %s, which no module declares",
				own->wanted_by, own->name);
	}
	return 0;
}

const char *signals_declared(const struct signals *signals, const char *name)
{
	const struct own_signal *own = signals != NULL ? find_own(signals, name) : NULL;

	return own != NULL && own->is_declared ? own->name : NULL;
}

/* ---- Emitting ------------------------------------------------------------------------------------------------ */

static const struct receiver_list *list_of(const struct signals *signals, const struct ones_event *event)
{
	static const struct receiver_list none = {0};
	const struct own_signal *own;

	if (event->signal != ONES_SIGNAL_OWN)
		return &signals->lists[event->signal];
	own = find_own(signals, event->name);
	return own != NULL ? &own->list : &none;
}

/* False when it is not to be gone on with: whose receiver has taken a column for another has gone by what is not so. */
static bool call(const struct ones_receiver *receiver, const struct ones_event *event)
{
	return receiver->call(event, receiver->context) &&
	       (event->db == NULL || (!event->db->has_misread && !event->db->emission->has_failed));
}

static void log_failure(const struct ones_receiver *receiver, enum ones_phase phase, const struct ones_event *event)
{
	const char *signal = event->signal != ONES_SIGNAL_OWN ? ones_signal_name(event->signal) : event->name;
	const char *reason = event->db != NULL ? event->db->emission->refusal.code : NULL;

	if (reason != NULL)
		log_info("receiver_refused", LOG_STR("signal", signal), LOG_STR("receiver", receiver->name),
		         LOG_STR("reason", reason));
	else
		log_error("receiver_failed", LOG_STR("signal", signal), LOG_STR("receiver", receiver->name),
		          LOG_STR("phase", phase == ONES_IN_TRANSACTION ? "in_transaction" : "after_commit"));
}

bool signals_emit(const struct signals *signals, enum ones_phase phase, const struct ones_event *event)
{
	const struct receiver_list *list = list_of(signals, event);

	for (unsigned int i = 0; i < list->count; i++) {
		const struct ones_receiver *receiver = &list->all[i].receiver;

		if (receiver->phase != phase || call(receiver, event))
			continue;
		log_failure(receiver, phase, event);
		if (phase == ONES_IN_TRANSACTION)
			return false;
	}
	return true;
}

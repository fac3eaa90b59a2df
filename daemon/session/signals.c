/* The callback lists behind ones_connect(). */
#include "session/signals.h"

#include "base/log.h"
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

struct signals {
	struct receiver_list lists[ONES_SIGNAL_COUNT];
};

const char *ones_signal_name(enum ones_signal signal)
{
	static const char *const names[ONES_SIGNAL_COUNT] = {
		[ONES_SIGNAL_LOGGED_IN] = "user_logged_in",       [ONES_SIGNAL_LOGGED_OUT] = "user_logged_out",
		[ONES_SIGNAL_LOGIN_FAILED] = "user_login_failed", [ONES_SIGNAL_SESSION_DISPLACED] = "session_displaced",
		[ONES_SIGNAL_ACCOUNT_SHARED] = "account_shared",  [ONES_SIGNAL_PASSWORD_CHANGED] = "password_changed",
	};

	return names[signal];
}

struct signals *signals_new(TALLOC_CTX *ctx)
{
	return talloc_zero(ctx, struct signals);
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

bool signals_disconnect(struct signals *signals, enum ones_signal signal, const char *name)
{
	struct receiver_list *list = &signals->lists[signal];

	for (unsigned int i = 0; i < list->count; i++) {
		if (strcmp(list->all[i].receiver.name, name) == 0 && !list->all[i].is_reserved) {
			list->count--;
			memmove(&list->all[i], &list->all[i + 1], (list->count - i) * sizeof list->all[0]);
			return true;
		}
	}
	return false;
}

int signals_connect(struct signals *signals, enum ones_signal signal, const struct ones_receiver *receiver)
{
	struct receiver_list *list = &signals->lists[signal];
	struct connected *grown;
	unsigned int at;

	if (signals_is_reserved(signals, receiver->name))
		return -1;
	grown = talloc_realloc(signals, list->all, struct connected, list->count + 1);
	if (grown == NULL)
		return -1;
	list->all = grown;
	(void)signals_disconnect(signals, signal, receiver->name);
	at = list->count;
	while (at > 0 && list->all[at - 1].receiver.order > receiver->order)
		at--;
	memmove(&list->all[at + 1], &list->all[at], (list->count - at) * sizeof list->all[0]);
	list->all[at] = (struct connected){.receiver = *receiver};
	list->count++;
	return 0;
}

/* Whose receiver has taken a column for another has gone by what is not so. */
static bool call(const struct ones_receiver *receiver, const struct ones_event *event)
{
	return receiver->call(event, receiver->context) && (event->db == NULL || !event->db->has_misread);
}

bool signals_emit(const struct signals *signals, enum ones_phase phase, const struct ones_event *event)
{
	const struct receiver_list *list = &signals->lists[event->signal];

	for (unsigned int i = 0; i < list->count; i++) {
		const struct ones_receiver *receiver = &list->all[i].receiver;

		if (receiver->phase != phase || call(receiver, event))
			continue;
		log_error("receiver_failed", LOG_STR("signal", ones_signal_name(event->signal)),
		          LOG_STR("receiver", receiver->name),
		          LOG_STR("phase", phase == ONES_IN_TRANSACTION ? "in_transaction" : "after_commit"));
		if (phase == ONES_IN_TRANSACTION)
			return false;
	}
	return true;
}

bool ones_execute(struct ones_transaction *transaction, const char *sql, size_t count, const char *const values[])
{
	return module_sql_run(transaction->sql, NULL, sql, values, count) == ONES_RESULT_OK;
}

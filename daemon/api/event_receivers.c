/* The receivers that log and count every event, after the commit. */
#include "api/event_receivers.h"

#include "base/log.h"

static bool log_event(const struct ones_event *event, void *context)
{
	(void)context;
	/* A warning, which alerts can be made of: an operator may want to act on this one. */
	if (event->signal == ONES_SIGNAL_ACCOUNT_SHARED)
		log_warning(ones_signal_name(event->signal), LOG_INT("user_id", event->user_id),
		            LOG_STR("username", event->username), LOG_INT("takeovers", event->takeovers),
		            LOG_STR("session", event->session_id), LOG_STR("ip", event->ip));
	else
		log_info(ones_signal_name(event->signal), LOG_INT("user_id", event->user_id),
		         LOG_STR("username", event->username), LOG_STR("session", event->session_id),
		         LOG_STR("by", event->by_session_id), LOG_STR("reason", ones_reason_code(event->reason)),
		         LOG_STR("ip", event->ip));
	return true;
}

static bool count_event(const struct ones_event *event, void *context)
{
	static const enum counter counters[ONES_SIGNAL_COUNT] = {
		[ONES_SIGNAL_LOGGED_IN] = COUNTER_LOGINS,
		[ONES_SIGNAL_LOGGED_OUT] = COUNTER_LOGOUTS,
		[ONES_SIGNAL_LOGIN_FAILED] = COUNTER_LOGIN_FAILURES,
		[ONES_SIGNAL_SESSION_DISPLACED] = COUNTER_DISPLACEMENTS,
		[ONES_SIGNAL_ACCOUNT_SHARED] = COUNTER_SHARED_ACCOUNTS,
		[ONES_SIGNAL_PASSWORD_CHANGED] = COUNTER_PASSWORD_CHANGES,
		[ONES_SIGNAL_IDENTITY_CONFIRMED] = COUNTER_CONFIRMATIONS,
	};

	counters_add(context, counters[event->signal]);
	return true;
}

int event_receivers_connect(struct signals *signals, struct counters *counters)
{
	const struct ones_receiver log = {.name = "log_event", .phase = ONES_AFTER_COMMIT, .call = log_event};
	const struct ones_receiver count = {
		.name = "count_event", .phase = ONES_AFTER_COMMIT, .call = count_event, .context = counters};

	for (enum ones_signal signal = 0; signal < ONES_SIGNAL_COUNT; signal++) {
		if (signals_connect(signals, signal, &log) != 0 || signals_connect(signals, signal, &count) != 0)
			return -1;
	}
	return 0;
}

/* The receivers that log and count every event, after the commit. */
#ifndef API_EVENT_RECEIVERS_H
#define API_EVENT_RECEIVERS_H

#include "base/counters.h"
#include "session/signals.h"

/* Connect them to every signal; `counters` is kept. Returns 0, or -1 when out of memory. */
int event_receivers_connect(struct signals *signals, struct counters *counters);

#endif

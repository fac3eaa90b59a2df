/* The names of events that have rows, as docs/events.md explains them. */
#ifndef SESSION_EVENT_NAMES_H
#define SESSION_EVENT_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* Ended by NULL. */
extern const char *const event_names[];

bool event_name_is_known(const char *name, size_t length);

#endif

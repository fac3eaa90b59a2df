/* Where an account is live and was, in a handler's words. */
#ifndef API_PLACES_H
#define API_PLACES_H

#include "onesession.h"
#include "session/places.h"

#include <stdbool.h>

/* False when out of memory. */
bool places_describe(struct ones_request *req, const struct place_list *list, struct ones_places *places);

#endif

/* The values that every page may show, made once. */
#ifndef API_PAGE_VALUES_H
#define API_PAGE_VALUES_H

#include "api/app.h"

/* Add those that the settings give to these pages. 0, or -1 when out of memory. */
int page_values_add(const struct ones_app *app, const struct pages *pages);

#endif

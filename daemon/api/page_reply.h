/* Answers that are pages: what stands behind ones_reply_page(). */
#ifndef API_PAGE_REPLY_H
#define API_PAGE_REPLY_H

#include "api/exchange.h"

/* ones_reply_page(), where it is known that an answer may be given. */
void page_reply(struct ones_request *req, int status, const char *page, json_t *values);

/*
 * Where the page is shown again, in another language or after signing in: a page that answers a form is not at an
 * address, but what its handler has said ("here" of `values`), or the page before it, is; "" when that is not known.
 */
const char *page_address(struct ones_request *req, const json_t *values);

#endif

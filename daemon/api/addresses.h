/* Addresses of this site that other files of the room need, beside those of onesession.h. */
#ifndef API_ADDRESSES_H
#define API_ADDRESSES_H

#include "api/exchange.h"

/* ones_sign_in_url() without anything of the request: where people sign in, by itself. */
const char *sign_in_page_of(struct ones_request *req);

#endif

/* Addresses of webhooks: https, or http to this machine. */
#ifndef WEBHOOK_URL_H
#define WEBHOOK_URL_H

#include <stdbool.h>
#include <talloc.h>

struct sockaddr;

/*
 * What is wrong with it, for operators; NULL: nothing, and *plain, on `ctx`, is the same address as it is kept: the
 * scheme in lower case. With http all addresses of its host have to be this machine's now; whether they are is looked
 * at again at each connection.
 */
const char *webhook_url_problem(TALLOC_CTX *ctx, const char *url, char **plain);

bool webhook_url_is_http(const char *url);

/* 127.0.0.0/8 or ::1. */
bool webhook_address_is_local(const struct sockaddr *address);

#endif

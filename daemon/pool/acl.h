/* Which peers may connect: FastCGI carries no proof of the client, so only the web server may be let in. */
#ifndef POOL_ACL_H
#define POOL_ACL_H

#include "base/problem.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <talloc.h>

struct acl;

/*
 * `clients`: addresses with an optional /prefix, separated by spaces, that TCP peers must match. `users`: names or
 * numbers of users, one of which a unix socket's peer must run as; empty: the socket's mode alone decides.
 * On `ctx`. NULL with *problem when something in them is wrong.
 */
struct acl *acl_new(TALLOC_CTX *ctx, const char *clients, const char *users, struct problem *problem);

/* True when the other end of `fd`, whose address accept(2) gave, may talk to us. */
bool acl_allows(const struct acl *rules, int fd, const struct sockaddr_storage *address);

#endif

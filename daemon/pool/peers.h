/* Who may connect: FastCGI carries no proof of who is asking, so only the web server may be let in. */
#ifndef POOL_PEERS_H
#define POOL_PEERS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <talloc.h>

struct peer_rules;

/*
 * `clients`: addresses with an optional /prefix, separated by spaces, that TCP peers must match. `users`: names or
 * numbers that a unix socket's peer must run as; empty: whoever the socket's mode lets in.
 * On `ctx`. NULL with *problem (on `ctx`) when something in them is not right.
 */
struct peer_rules *peer_rules_new(TALLOC_CTX *ctx, const char *clients, const char *users, const char **problem);

/* True when the other end of `fd`, whose address accept(2) gave, may talk to us. */
bool peer_is_allowed(const struct peer_rules *rules, int fd, const struct sockaddr_storage *address);

#endif

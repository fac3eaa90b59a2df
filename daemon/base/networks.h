/* Lists of IP networks, as options name them: "127.0.0.1 ::1 192.0.2.0/24". */
#ifndef BASE_NETWORKS_H
#define BASE_NETWORKS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <talloc.h>

struct networks;

/*
 * The networks that `text` lists: addresses with an optional /prefix, separated by spaces. On `ctx`. NULL when out of
 * memory, or with *wrong (on `ctx`) the word that is none.
 */
struct networks *networks_parse(TALLOC_CTX *ctx, const char *text, const char **wrong);

/* IPv4 addresses are given as ::ffff:a.b.c.d, the form in which an IPv6 socket reports them. */
bool networks_have(const struct networks *networks, const struct in6_addr *address);

/* The same for an address as text; false for what is none. */
bool networks_have_text(const struct networks *networks, const char *address);

/* `v4` in the form that IPv6 has for it (RFC 4291, 2.5.5.2). */
struct in6_addr networks_map_v4(const struct in_addr *v4);

#endif

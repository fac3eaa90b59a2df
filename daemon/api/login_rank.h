/*
 * The rank of a login among those that want their passwords hashed: how many attempts were made from its address and at
 * its account lately, right or wrong. When there is no room for all, the lowest are served (see pool/hash_queue.h).
 */
#ifndef API_LOGIN_RANK_H
#define API_LOGIN_RANK_H

#include "base/rates.h"
#include "session/token.h"

#include <stdint.h>

/*
 * Each counts the attempt and returns its rank, from 1 on; a login has the highest of its ranks. The networks of an
 * address count too, the larger the less: /24, /16 and /8, of IPv6 /64, /56, /48 and /32 (a single IPv6 address costs
 * an attacker nothing); `ip` may be "", which has rank 0. A browser that the account knows is counted in place of the
 * account, so that attempts of others do not lower its owner's chances.
 */
uint32_t login_rank_of_address(struct rates *rates, const char *ip, int64_t now_ms);
uint32_t login_rank_of_name(struct rates *rates, const char *username, int64_t now_ms);
uint32_t login_rank_of_browser(struct rates *rates, const struct session_key *browser, int64_t now_ms);

#endif

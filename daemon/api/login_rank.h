/*
 * The rank of a login among those that want their passwords hashed: how much its address and its account have tried of
 * late, right or wrong. When there is not enough for all, the lowest are served (see pool/hash_queue.h).
 */
#ifndef API_LOGIN_RANK_H
#define API_LOGIN_RANK_H

#include "base/rates.h"
#include "session/token.h"

#include <stdint.h>

/*
 * Each counts the attempt and tells its rank, from 1 on: that of a login is the highest of its own. An address'
 * networks count too, the larger the less: /24, /16 and /8, of IPv6 /64, /56, /48 and /32 (an address of which is
 * nobody's alone); `ip` may be "", which has rank 0. Of a browser that the account knows, and not of the account: what
 * others try there is none of its owner's business.
 */
uint32_t login_rank_of_address(struct rates *rates, const char *ip, int64_t now_ms);
uint32_t login_rank_of_name(struct rates *rates, const char *username, int64_t now_ms);
uint32_t login_rank_of_browser(struct rates *rates, const struct session_key *browser, int64_t now_ms);

#endif

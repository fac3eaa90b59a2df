/*
 * The rank of a login among those that want their passwords hashed: how much its address and its account have tried of
 * late, right or wrong. When there is not enough for all, the lowest are served (see pool/hash_queue.h).
 */
#ifndef API_LOGIN_RANK_H
#define API_LOGIN_RANK_H

#include "base/rates.h"

#include <stdint.h>

/*
 * Count the attempt and tell its rank, from 1 on. The networks around an address count too, the larger the less: /24,
 * /16 and /8, of IPv6 /64, /56, /48 and /32 (an address of which is nobody's alone). `ip` may be "".
 */
uint32_t login_rank(struct rates *rates, const char *ip, const char *username, int64_t now_ms);

#endif

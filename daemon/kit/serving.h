/* The worker's end of a connection: a request on its way through api/dispatch.h, alone in this process. */
#ifndef KIT_SERVING_H
#define KIT_SERVING_H

#include "kit/kit.h"

/* Answer the request that comes by `fd`, which is closed then. Returns 0, or -1: it was closed without an answer. */
int serve(struct ones_test *test, int fd);

#endif

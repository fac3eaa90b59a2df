/* Receiving a body that is streamed: after the hook, before the handler. */
#ifndef API_RECEIVING_H
#define API_RECEIVING_H

#include "api/dispatch.h"

/* Has the request such a body, which was not received yet? */
bool receiving_is_due(const struct ones_request *req);

/* Then: APP_RECEIVE, or APP_SEND when it is refused before anything of it is taken. */
enum app_step receiving_begin(struct ones_request *req);

/* After APP_RECEIVE, each time that more of it has arrived: APP_RECEIVE, APP_QUEUE when it is whole, APP_SEND,
 * APP_DROP. */
enum app_step app_receive(struct ones_request *req);

/* The bytes of it that have come. */
int64_t app_received(const struct ones_request *req);

/* It is not received: as many as there may be are under way, or it comes too slowly. APP_SEND. */
enum app_step app_refuse_receiving(struct ones_request *req);
enum app_step app_give_up_receiving(struct ones_request *req);

#endif

/* Answers that are made and sent piece by piece: ones_reply_stream(). */
#ifndef API_STREAMS_H
#define API_STREAMS_H

#include "api/dispatch.h"

typedef ssize_t stream_more(void *context, char *buffer, size_t size);
typedef void stream_done(void *context);

/* The answer: see ones_reply_stream(). `size` is that of the whole; -1: not known. */
void stream_reply(struct ones_request *req, int status, const char *content_type, int64_t size, stream_more *more,
                  stream_done *done, void *context);

/* Is the answer of a handler that made a stream still one? False: it is sent whole, and the stream is gone. */
bool stream_is_due(struct ones_request *req);

/* Such an answer, when its header fields are all there. False when out of memory: the stream is gone. */
bool stream_begin(struct ones_request *req);

/* Whether its pieces may have to wait for the database. */
bool app_stream_waits(const struct ones_request *req);

/* After APP_STREAM, when the descriptor is writable: APP_STREAM, there is more; APP_SEND, it was sent, or cut off. */
enum app_step app_stream(struct ones_request *req);

/* As many as there may be are under way: APP_SEND. */
enum app_step app_refuse_stream(struct ones_request *req);

#endif

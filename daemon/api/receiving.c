/* Receiving a body that is streamed: after the hook, before the handler. */
#include "api/receiving.h"

#include "api/uploads.h"
#include "base/clock.h"
#include "base/log.h"

bool receiving_is_due(const struct ones_request *req)
{
	return fcgi_is_streamed(req->http->fcgi) && !req->is_received;
}

static enum app_step refuse(struct ones_request *req, const struct http_problem *problem)
{
	log_set_request(req->http->id);
	ones_reply_problem(req, problem->status, problem->code, problem->detail);
	log_set_request(NULL);
	/* What is there of it is not kept until the answer has been taken. */
	TALLOC_FREE(req->uploads);
	req->times.sending = clock_monotonic_us();
	return APP_SEND;
}

static bool take(void *context, const void *data, size_t size)
{
	return uploads_take(context, data, size);
}

/* No more of it is to come, or is wanted. */
static enum app_step finish(struct ones_request *req)
{
	const struct http_problem too_large = {413, "too_large", "The body is larger than this server takes."};
	struct http_problem problem = uploads_problem(req->uploads);

	if (fcgi_body_is_too_large(req->http->fcgi))
		problem = too_large;
	else if (problem.status == 0 && !uploads_finish(req->uploads))
		problem = uploads_problem(req->uploads);
	if (problem.status != 0)
		return refuse(req, &problem);
	req->is_received = true;
	/* Its session may have ended meanwhile. */
	req->is_checked = false;
	req->times.body_us = clock_monotonic_us() - req->times.body_began;
	return APP_QUEUE;
}

enum app_step receiving_begin(struct ones_request *req)
{
	struct http_problem problem;

	req->times.body_began = clock_monotonic_us();
	req->uploads = uploads_begin(req, &problem);
	return req->uploads != NULL ? APP_RECEIVE : refuse(req, &problem);
}

static enum app_step receive(struct ones_request *req)
{
	switch (fcgi_receive(req->http->fcgi, take, req->uploads)) {
	case FCGI_WAIT: return APP_RECEIVE;
	case FCGI_READY: return finish(req);
	case FCGI_BROKEN:
		log_warning("request_refused", LOG_STR("problem", fcgi_defect(req->http->fcgi)));
		return APP_DROP;
	default: return APP_DROP;
	}
}

enum app_step app_receive(struct ones_request *req)
{
	enum app_step step;

	log_set_request(req->http->id);
	step = receive(req);
	log_set_request(NULL);
	return step;
}

int64_t app_received(const struct ones_request *req)
{
	return uploads_taken(req->uploads);
}

enum app_step app_refuse_receiving(struct ones_request *req)
{
	return refuse(req, &(struct http_problem){503, "busy", "Too many uploads are under way. Please try again."});
}

enum app_step app_give_up_receiving(struct ones_request *req)
{
	return refuse(req, &(struct http_problem){408, "too_slow", "The body came too slowly."});
}

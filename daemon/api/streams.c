/* Answers that are made and sent piece by piece. */
#include "api/streams.h"

#include "api/reply.h"
#include "api/request_db.h"
#include "base/log.h"
#include "http/answer_stream.h"

#include <string.h>

/* So many pieces are sent before others have their turn. */
#define PIECES_AT_ONCE 4

struct stream {
	struct ones_request *req;
	stream_more *more;
	stream_done *done;
	void *context;
	struct http_text head;
	size_t head_at; /* so much of it was put */
	bool is_whole;  /* nothing is to come of it */
	struct answer_stream answer;
};

/* What is called next is the application's: the log goes by that, and what a crash says. Returns what was before. */
static struct module *enter(struct ones_request *req)
{
	req->app->request = req;
	return module_enter(req->app, req->route->module);
}

static void leave(struct ones_request *req, struct module *before)
{
	(void)module_enter(req->app, before);
	if (before == NULL)
		req->app->request = NULL;
}

static int stream_destroy(struct stream *stream)
{
	struct module *before;

	if (stream->done == NULL)
		return 0;
	before = enter(stream->req);
	stream->done(stream->context);
	leave(stream->req, before);
	return 0;
}

/* NULL when it cannot be, which is logged. */
static struct stream *new_stream(struct ones_request *req, int status, const char *content_type)
{
	struct stream *stream;

	if (!reply_may_begin(req, status) || !reply_can_have_type(req, content_type))
		return NULL;
	stream = talloc_zero(req, struct stream);
	content_type = talloc_strdup(req, content_type);
	if (stream == NULL || content_type == NULL) {
		exchange_fail(req, "out of memory for the answer");
		return NULL;
	}
	reply_body(req, status, content_type, NULL, 0);
	req->response.is_streamed = true;
	return stream;
}

void stream_reply(struct ones_request *req, int status, const char *content_type, int64_t size, stream_more *more,
                  stream_done *done, void *context)
{
	struct stream *stream = new_stream(req, status, content_type);

	if (stream == NULL) {
		if (done != NULL)
			done(context);
		return;
	}
	stream->req = req;
	stream->more = more;
	stream->done = done;
	stream->context = context;
	talloc_set_destructor(stream, stream_destroy);
	req->response.is_size_known = size >= 0;
	req->response.body_size = size >= 0 ? (uint64_t)size : 0;
	/* An answer before it was taken back, and its stream with it. */
	talloc_free(req->stream);
	req->stream = stream;
}

void ones_reply_stream(struct ones_request *req, int status, const char *content_type, stream_more *more,
                       stream_done *done, void *context)
{
	stream_reply(req, status, content_type, -1, more, done, context);
}

bool stream_is_due(struct ones_request *req)
{
	if (req->response.is_streamed && !req->http->is_head && response_has_content(&req->response))
		return true;
	TALLOC_FREE(req->stream);
	return false;
}

bool stream_begin(struct ones_request *req)
{
	struct stream *stream = req->stream;

	if (!response_build_head(&req->response, stream, &stream->head)) {
		TALLOC_FREE(req->stream);
		return false;
	}
	fcgi_stream(req->http->fcgi, &stream->answer);
	return true;
}

/* The next piece; -1: it is cut off. */
static ssize_t make_piece(struct stream *stream, char *room)
{
	size_t left = stream->head.size - stream->head_at;
	struct module *before;
	bool is_sound;
	ssize_t size;

	if (left == 0) {
		before = enter(stream->req);
		request_stream_db_begin(stream->req);
		size = stream->more(stream->context, room, ANSWER_PIECE_SIZE);
		is_sound = request_stream_db_end(stream->req);
		leave(stream->req, before);
		return size > ANSWER_PIECE_SIZE || !is_sound ? -1 : size;
	}
	if (left > ANSWER_PIECE_SIZE)
		left = ANSWER_PIECE_SIZE;
	memcpy(room, stream->head.data + stream->head_at, left);
	stream->head_at += left;
	return (ssize_t)left;
}

/* One piece, if the one before was taken. False: the answer is cut off. */
static bool proceed(struct stream *stream, enum answer_progress *progress)
{
	ssize_t size;

	*progress = answer_stream_send(&stream->answer);
	if (*progress != ANSWER_TAKEN || stream->is_whole)
		return *progress != ANSWER_GONE;
	size = make_piece(stream, answer_stream_room(&stream->answer));
	if (size < 0)
		return false;
	if (size > 0) {
		answer_stream_put(&stream->answer, (size_t)size);
	} else {
		answer_stream_end(&stream->answer);
		stream->is_whole = true;
	}
	*progress = answer_stream_send(&stream->answer);
	return *progress != ANSWER_GONE;
}

static enum app_step step(struct ones_request *req)
{
	struct stream *stream = req->stream;
	enum answer_progress progress;

	for (unsigned int i = 0; i < PIECES_AT_ONCE; i++) {
		if (!proceed(stream, &progress)) {
			log_info("answer_cut_off", LOG_STR("path", req->http->path),
			         LOG_STR("why", stream->answer.at < stream->answer.size ? "the peer has gone"
			                                                                : "no more of it"));
			return APP_SEND;
		}
		if (progress == ANSWER_TAKEN && stream->is_whole)
			return APP_SEND;
		if (progress == ANSWER_WAIT)
			return APP_STREAM;
	}
	return APP_STREAM;
}

bool app_stream_waits(const struct ones_request *req)
{
	return req->stream_db != NULL;
}

enum app_step app_stream(struct ones_request *req)
{
	enum app_step next;

	log_set_request(req->http->id);
	next = step(req);
	if (next == APP_SEND) {
		req->is_sent = true;
		TALLOC_FREE(req->stream);
	}
	log_set_request(NULL);
	return next;
}

enum app_step app_refuse_stream(struct ones_request *req)
{
	TALLOC_FREE(req->stream);
	response_reset(&req->response);
	log_set_request(req->http->id);
	ones_reply_problem(req, 503, "busy", "Too many answers are under way. Please try again.");
	log_set_request(NULL);
	return APP_SEND;
}

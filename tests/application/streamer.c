/*
 * GET /stream?size=N: N bytes, made while they are sent; with &cut=N it is cut off after so many, with &piece=N they
 * come in pieces of that size, with &status=N it has that status, with &twice=1 it answers again. GET /streamed: how
 * many have begun, and how many are done, in this worker. GET /stored/:name is in files.c.
 */
#include "application.h"

#include <string.h>

static int64_t begun, ended;

struct numbers {
	int64_t at, size, cut, piece;
};

static ssize_t more(void *context, char *buffer, size_t size)
{
	struct numbers *numbers = context;
	int64_t left = numbers->size - numbers->at;

	if (numbers->at >= numbers->cut)
		return -1;
	if (left > (int64_t)size)
		left = (int64_t)size;
	if (left > numbers->piece)
		left = numbers->piece;
	for (int64_t i = 0; i < left; i++)
		buffer[i] = (char)('a' + (numbers->at + i) % 26);
	numbers->at += left;
	return (ssize_t)left;
}

static void done(void *context)
{
	struct numbers *numbers = context;

	ended++;
	numbers->cut = 0;
}

static void stream(struct ones_request *req)
{
	/* As many as are asked for at the same time. */
	static struct numbers all[1024];
	struct numbers *numbers = &all[begun % 1024];

	*numbers = (struct numbers){.size = ones_query_int(req, "size", 1000, 0, INT64_MAX),
	                            .cut = ones_query_int(req, "cut", INT64_MAX, 0, INT64_MAX),
	                            .piece = ones_query_int(req, "piece", 1 << 20, 1, 1 << 20)};
	begun++;
	if (ones_query(req, "before") != NULL)
		ones_reply_empty(req, 204);
	ones_header(req, "Application", "streams");
	ones_reply_stream(req, (int)ones_query_int(req, "status", 200, 0, 999), "text/plain", more, done, numbers);
	if (ones_query(req, "twice") != NULL)
		ones_reply_empty(req, 204);
	if (ones_query(req, "wrong") != NULL)
		ones_reply_stream(req, 200, "", more, done, numbers);
}

static void streamed(struct ones_request *req)
{
	ones_reply_json(req, 200, json_pack("{s:I, s:I}", "begun", (json_int_t)begun, "done", (json_int_t)ended));
}

void streamer_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/stream", .get = stream, .needs = ONES_NEEDS_NOTHING});
	ones_route(app, &(struct ones_route){.path = "/members-stream", .get = stream, .signed_in = true});
	ones_route(app, &(struct ones_route){.path = "/streamed", .get = streamed, .needs = ONES_NEEDS_NOTHING});
}

/* The worker's end of a connection. */
#include "kit/serving.h"

#include "api/dispatch.h"
#include "api/receiving.h"
#include "api/streams.h"
#include "base/clock.h"
#include "session/session_lookup.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <sys/epoll.h>
#include <unistd.h>

/* A request under way. A talloc context. */
struct serving {
	struct ones_test *test;
	int fd;
	struct fcgi *fcgi; /* whose the descriptor is; NULL: it is the request's */
	struct app_preview preview;
	struct app_lookup lookup;
	struct app_times times;
	struct ones_request *req; /* NULL: it has not been taken in yet */
};

/* ---- Reading ------------------------------------------------------------------------------------------------- */

/* What has been inspected stays in the socket, so that only what is new is waited for. */
static enum fcgi_progress read_whole(struct fcgi *fcgi)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET};
	enum fcgi_progress progress = FCGI_BROKEN;
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fcgi_fd(fcgi), &event) != 0)
		goto out;
	while ((progress = fcgi_inspect(fcgi)) == FCGI_WAIT) {
		if (epoll_wait(epoll, &event, 1, -1) < 0 && errno != EINTR)
			break;
	}
out:
	if (epoll >= 0)
		close(epoll);
	return progress;
}

/* ---- Steps --------------------------------------------------------------------------------------------------- */

static enum app_step look_up(struct serving *serving)
{
	const struct ones_app *app = serving->test->app;
	struct app_preview *preview = &serving->preview;
	struct session_key callers[APP_KEYS_MAX] = {0};
	struct session_lookup *found = NULL;

	if (serving->req != NULL)
		*preview = *app_preview_of(serving->req);
	callers[0] = preview->caller;
	serving->lookup.status = session_lookup(&app->rule, serving, preview->keys,
	                                        preview->has_caller ? callers : NULL, preview->key_count, &found);
	serving->lookup.result = found;
	if (serving->req != NULL)
		app_take_lookup(serving->req, &serving->lookup, 0);
	return app_looked_up(app, &serving->preview, &serving->lookup);
}

/* What the hook would have found. */
static void give_session(struct serving *serving)
{
	const struct ones_test *test = serving->test;
	struct ones_request *req = serving->req;

	if (test->has_database || test->session.id == NULL || req->route == NULL ||
	    !route_has_session(&req->route->declared))
		return;
	req->is_checked = true;
	req->verdict = (struct rule_verdict){.live = true, .now = test->session.proved_at, .session = test->session};
}

static enum app_step run(struct serving *serving)
{
	if (serving->req == NULL) {
		serving->req = app_open(serving->test->app, serving->fcgi, &serving->preview,
		                        serving->preview.key_count > 0 ? &serving->lookup : NULL, &serving->times);
		serving->fcgi = NULL;
		if (serving->req == NULL)
			return APP_SEND;
		(void)talloc_steal(serving, serving->req);
		give_session(serving);
	}
	return app_run(serving->req);
}

static enum app_step hash(struct serving *serving)
{
	struct password_answer answer;
	enum app_step step;

	password_job_run(app_job(serving->req, NULL), serving->test->decoy, &answer);
	step = app_hashed(serving->req, &answer);
	sodium_memzero(&answer, sizeof answer);
	return step;
}

static void await(const struct serving *serving, short events)
{
	(void)poll(&(struct pollfd){.fd = serving->fd, .events = events}, 1, -1);
}

static enum app_step take_step(struct serving *serving, enum app_step step)
{
	switch (step) {
	case APP_LOOKUP: return look_up(serving);
	case APP_HASH: return hash(serving);
	case APP_RECEIVE: await(serving, POLLIN); return app_receive(serving->req);
	case APP_STREAM: await(serving, POLLOUT); return app_stream(serving->req);
	default: return run(serving);
	}
}

/* Returns 0, or -1: the connection is to be closed without an answer. */
static int answer(struct serving *serving)
{
	enum app_step step = app_preview(serving->test->app, serving->fcgi, &serving->preview);

	while (step != APP_SEND && step != APP_DROP)
		step = take_step(serving, step);
	if (step == APP_DROP || serving->req == NULL)
		return -1;
	(void)app_close(serving->req);
	return 0;
}

/* That sessions were seen is stored after the answer. */
static void touch(struct ones_app *app)
{
	if (app->touch_count == 0)
		return;
	app_start_touch(app);
	(void)db_finish(app->rule.db, NULL, NULL);
}

int serve(struct ones_test *test, int fd)
{
	struct ones_app *app = test->app;
	struct serving *serving = talloc_zero(test, struct serving);
	int result = -1;

	if (serving != NULL)
		serving->fcgi = fcgi_open(serving, fd, app->settings->server.io_timeout,
		                          (size_t)app->settings->server.max_body);
	if (serving == NULL || serving->fcgi == NULL) {
		close(fd);
		talloc_free(serving);
		return -1;
	}
	serving->test = test;
	serving->fd = fd;
	serving->times.connected = serving->times.received = serving->times.began = clock_monotonic_us();
	fcgi_plan_body(serving->fcgi, app_plan_body, app);
	if (read_whole(serving->fcgi) == FCGI_READY)
		result = answer(serving);
	touch(app);
	talloc_free(serving);
	return result;
}

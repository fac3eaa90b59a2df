/*
 * GET /signaller?pid=PID: the steps by which an attacker's code in a worker would try to signal another process of the
 * same user. Answers with the errno of each step, 0 for one that succeeded.
 */
#include "application.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static json_t *outcome(int returned)
{
	return json_integer(returned == 0 ? 0 : errno);
}

static void signal_process(struct ones_request *req)
{
	const char *text = ones_query(req, "pid");
	const pid_t pid = text != NULL ? atoi(text) : 0;
	json_t *outcomes = json_array();
	int ends[2];

	if (pid <= 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
		json_decref(outcomes);
		ones_reply_json(req, 400, json_pack("{}"));
		return;
	}
	(void)json_array_append_new(outcomes, outcome(kill(pid, SIGKILL)));
	(void)json_array_append_new(outcomes, outcome(fcntl(ends[0], F_SETOWN, pid)));
	(void)json_array_append_new(outcomes, outcome(fcntl(ends[0], F_SETSIG, SIGKILL)));
	(void)json_array_append_new(outcomes, outcome(fcntl(ends[0], F_SETFL, O_ASYNC)));
	if (write(ends[1], "x", 1) != 1)
		(void)json_array_append_new(outcomes, json_string("nothing was written"));
	(void)close(ends[0]);
	(void)close(ends[1]);
	ones_reply_json(req, 200, json_pack("{s:o?}", "outcomes", outcomes));
}

void signaller_setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/signaller", .get = signal_process});
}

"""What the daemon tells operators: /status and /metrics, and reloads seen there."""

import json
import signal

from support import fastcgi, openmetrics
from support.client import OPERATOR, attempt, sign_in
from support.waiting import wait_until

OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


def status_of(daemon):
    answer = daemon.ask(path="/session/status", **OPERATOR)
    assert answer.status == 200
    return json.loads(answer.body)


def metrics_of(daemon, headers=None):
    answer = daemon.ask(path="/session/metrics", headers=OPENMETRICS if headers is None else headers, **OPERATOR)
    assert answer.status == 200
    return answer.body.decode()


class Counts:
    """How the numbers of /metrics have changed since it was made."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.before = openmetrics.samples(metrics_of(daemon))

    def grown(self, name, *labels):
        """By how much that one has."""
        key = (f"onesession_{name}_total", *labels)
        return openmetrics.samples(metrics_of(self.daemon)).get(key, 0) - self.before.get(key, 0)

    def requests(self, route, status):
        return self.grown("requests", ("route", route), ("status", str(status)))


def do_a_bit_of_everything(daemon):
    signed_in = sign_in(daemon)
    for path in ("auth", "me", "state", "account", "login", "health", "ready", "nothing"):
        daemon.ask(path=f"/session/{path}", headers=signed_in)
    attempt(daemon)
    daemon.ask(method="DELETE", path="/session/me")
    daemon.ask(path="/elsewhere", role=fastcgi.AUTHORIZER)


def reloads(daemon):
    counts = status_of(daemon)["counts"]
    return counts["reloads"], counts["reloads_refused"]


def reload_and_wait(daemon, refused=False):
    """HUP, and wait until it is decided; then until the old workers have gone."""
    before, old = reloads(daemon), set(daemon.workers)
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: reloads(daemon)[refused] == before[refused] + 1, "the reload to be decided")
    assert reloads(daemon)[not refused] == before[not refused]
    if not refused:
        wait_until(lambda: not old & set(daemon.workers), "the old workers to go")


SECONDS = "onesession_request_duration_seconds"


def workers_in(status):
    return [worker for worker in status["workers"] if worker["role"] == "worker"]


def fallback_workers_in(status):
    return [worker for worker in status["workers"] if worker["role"] == "fallback"]

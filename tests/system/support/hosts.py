"""Devices that go from host to host, and when hosts are ready."""

import json
import threading

import pytest

from support.client import JSON
from support.postgres import Database
from support.waiting import PATIENCE, Background

BOTH_WAYS = pytest.mark.parametrize("there_and_back", [(0, 1), (1, 0)], ids=["first to second", "second to first"])
# How long a request may take whatever happens to the database, on a machine that has nothing else to do: a statement
# that gets no answer, the attempt to connect anew, and the question how the commit ended.
STATEMENT_TIMEOUT, CONNECT_TIMEOUT = 2, 2
AT_MOST = 2 * (STATEMENT_TIMEOUT + 0.5) + 2 * CONNECT_TIMEOUT
# What a slow machine is given on top of it.
SLACK = 5


class Device:
    """A program that signs in at one host and may go on at any other."""

    def __init__(self, username="alice"):
        self.username = username
        self.key = None
        self.session_id = None
        self.displaced = []

    def login(self, host):
        """The status. When it is 200 the device has a new key."""
        credentials = {"username": self.username, "password": Database.password}
        answer = host.ask(
            method="POST",
            path="/session/login",
            headers={**JSON, **self._cookie()},
            body=json.dumps(credentials),
            timeout=PATIENCE + AT_MOST,
        )
        if answer.status == 200:
            self.key = answer.cookie()
            body = json.loads(answer.body)
            self.session_id = body["session"]["id"]
            self.displaced = [session["id"] for session in body["displaced"]]
        else:
            assert answer.all("Set-Cookie") == []
        return answer.status

    def sign_in(self, host):
        assert self.login(host) == 200
        return self

    def logout(self, host):
        return host.ask(method="POST", path="/session/logout", headers={**JSON, **self._cookie()}).status

    def _cookie(self):
        return {"Cookie": f"onesession={self.key}"} if self.key else {}

    def ask(self, host):
        """(status, reason) that the guard gives."""
        answer = host.ask(headers=self._cookie(), timeout=PATIENCE + AT_MOST)
        return answer.status, answer.get("Session-Reason")

    def reason(self, host):
        """'' when it is live, else why not."""
        status, reason = self.ask(host)
        assert (status, reason == "") in ((200, True), (401, False)), (status, reason)
        return reason


def live_of(database):
    """The public ids of the sessions in the database, by account."""
    rows = database.query(
        "SELECT u.username, array_agg(s.id::text ORDER BY s.login_order) FROM sessions s JOIN users u"
        " ON u.id = s.user_id GROUP BY 1"
    )
    return dict(rows)


def is_ready(host):
    return host.ask(path="/session/ready", timeout=PATIENCE).status == 200


def all_ready(hosts):
    """Every worker, as far as one can tell by asking more often than there are workers."""
    return all(is_ready(host) for host in hosts for _ in range(6))


def log_in_at_once(username, hosts, count=8):
    """Devices of one account sign in at all hosts at one moment; those that succeeded."""
    barrier = threading.Barrier(count)

    def log_in(number):
        device = Device(username)
        barrier.wait(PATIENCE)
        assert device.login(hosts[number % len(hosts)]) == 200
        return device

    return [call.result(PATIENCE + AT_MOST) for call in [Background(log_in, number) for number in range(count)]]

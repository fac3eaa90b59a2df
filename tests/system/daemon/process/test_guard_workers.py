"""Guard and sign-in are answered whatever the handlers of modules do: server.guard_workers."""

import contextlib
import json
import os
import signal
import threading
import time

import pytest

from support import fastcgi
from support.client import CREDENTIALS, JSON, is_refused, sign_in
from support.load import RequestLoad
from support.locks import HeldRow, waits_in_database
from support.openmetrics import samples
from support.processes import is_alive
from support.programs import Ctl
from support.status import reload_and_wait, status_of
from support.waiting import PATIENCE, Background, wait_until

# Neither statements nor requests are given up while a test holds them up.
ACCEPT_JSON = {"Accept": "application/json"}
PATIENT = {"database.statement_timeout": "2m", "server.request_timeout": "4m"}
BEFORE, AFTER = (json.dumps({"set": {"kept": number}}) for number in range(2))


@pytest.fixture
def new_busy(new_application):
    """new_busy(settings): the daemon of a site with the routes of tests/application, which are a module's."""

    def make(settings=None):
        return new_application({**PATIENT, **(settings or {})}).daemon

    return make


class Foreign:
    """Handlers of a module keep `running` workers for as long as this lasts, and `more` requests of that kind wait."""

    def __init__(self, daemon, running, more=0):
        self.daemon = daemon
        self.running, self.more = running, more
        self.calls = []
        self.rows = None
        cookie = daemon.ask(method="POST", path="/session/application/kept", headers=JSON, body=BEFORE).cookie()
        self.request = {
            "method": "POST", "path": "/session/application/kept", "body": AFTER, "headers": {**JSON, "Cookie": f"onesession={cookie}"}
        }

    def call(self):
        return Background(self.daemon.ask, timeout=2 * PATIENCE, **self.request)

    def __enter__(self):
        self.rows = HeldRow(self.daemon, "anonymous_sessions")
        for _ in range(self.running):
            self.calls.append(self.call())
            waits_in_database(self.daemon.database, len(self.calls))
        self.calls += [self.call() for _ in range(self.more)]
        return self

    def __exit__(self, *_):
        self.let_go()

    def let_go(self):
        self.rows.let_go()

    def statuses(self):
        return [call.result(2 * PATIENCE).status for call in self.calls]


def workers_by_role(daemon):
    found = {}
    for worker in status_of(daemon)["workers"]:
        found.setdefault(worker["role"], []).append(worker["pid"])
    return found


def log_in(daemon, username="alice"):
    body = CREDENTIALS.replace("alice", username)
    return daemon.ask(method="POST", path="/session/login", headers=JSON, body=body)


def metric(daemon, name):
    return samples(daemon.ask(path="/session/metrics", REMOTE_ADDR="127.0.0.1").body.decode())[name,]


# ---- How many there are ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers, option, guards", [(4, "auto", 1), (1, "auto", 0), (4, "0", 0), (4, "3", 3)])
def test_so_many_of_the_workers_are_guards(new_busy, workers, option, guards):
    daemon = new_busy({"server.workers": workers, "server.guard_workers": option})
    roles = workers_by_role(daemon)
    assert {role: len(pids) for role, pids in roles.items()} == {
        role: count for role, count in (("worker", workers - guards), ("guard", guards)) if count
    }
    assert sorted(sum(roles.values(), [])) == daemon.workers
    states = samples(daemon.ask(path="/session/metrics", REMOTE_ADDR="127.0.0.1").body.decode())
    assert sum(count for name, count in states.items() if name[0] == "onesession_workers") == workers


def test_without_modules_there_are_none(daemon):
    assert set(workers_by_role(daemon)) == {"worker"}


def test_ctl_status_shows_which_workers_are_guards(new_busy):
    daemon = new_busy({"server.workers": 3})
    lines = Ctl("host=/nonexistent", **{"server.listen": f"unix:{daemon.path}"}).run("status").splitlines()
    assert sorted(line.split()[2] for line in lines[-3:]) == ["guard", "worker", "worker"]


@pytest.mark.parametrize("workers, guards", [(2, 2), (1, 1), (2, 5)])
def test_all_workers_cannot_be_guards(new_daemon, workers, guards):
    daemon = new_daemon({"server.workers": workers, "server.guard_workers": guards}).start(wait=None)
    assert daemon.wait() == 78
    assert "server.guard_workers" in daemon.log_text()


def test_reload_changes_their_number_and_refuses_a_wrong_one(new_busy):
    daemon = new_busy({"server.workers": 4})
    for guards, expected in ((0, 0), (2, 2), ("auto", 1)):
        daemon.settings["server.guard_workers"] = guards
        daemon.command()
        reload_and_wait(daemon)
        # Those of before may still be ending.
        wait_until(lambda: len(workers_by_role(daemon).get("guard", [])) == expected, f"{expected} guard workers")
    daemon.settings["server.guard_workers"] = 4
    daemon.command()
    reload_and_wait(daemon, refused=True)
    assert len(workers_by_role(daemon)["guard"]) == 1


@pytest.mark.parametrize("role", ["guard", "worker"])
@pytest.mark.parametrize("how", ["killed", "recycled"])
def test_replaced_worker_is_of_the_same_kind(new_busy, role, how):
    daemon = new_busy({"server.workers": 3, "server.max_requests": 20 if how == "recycled" else 0})
    before = workers_by_role(daemon)
    if how == "killed":
        os.kill(before[role][0], signal.SIGKILL)

    def is_replaced():
        if how == "recycled":
            # Each kind has something to do.
            log_in(daemon)
            daemon.ask(path="/session/application/sleeper")
        now = workers_by_role(daemon)
        return before[role][0] not in daemon.workers and {kind: len(pids) for kind, pids in now.items()} == {
            kind: len(pids) for kind, pids in before.items()
        }

    wait_until(is_replaced, "another one in its place")


# ---- Guard and sign-in, while handlers of modules take their time ----------------------------------------------------


@pytest.mark.parametrize("workers, guards", [(2, 1), (4, 1), (4, 2)])
def test_foreign_handlers_on_all_other_workers_do_not_hold_up_guard_and_sign_in(new_busy, workers, guards):
    daemon = new_busy({"server.workers": workers, "server.guard_workers": guards})
    signed_in = sign_in(daemon)
    with Foreign(daemon, workers - guards, more=20) as busy:
        slowest = 0.0
        for _ in range(200):
            began = time.monotonic()
            assert daemon.ask(headers=signed_in).status == 200
            slowest = max(slowest, time.monotonic() - began)
        assert log_in(daemon, "bob").status == 200
        assert daemon.ask(path="/session/login").status == 200
        assert daemon.ask(method="POST", path="/session/logout", headers={**JSON, **signed_in}).status == 204
        assert daemon.ask(headers=signed_in).status == 401
        print(f"the slowest of 200: {1000 * slowest:.1f} ms")
        assert slowest < PATIENCE / 4
        # None of them has come to a guard worker.
        busy_ones = [one for one in status_of(daemon)["workers"] if one["request"] == "POST /session/application/kept"]
        assert {one["role"] for one in busy_ones} == {"worker"} and len(busy_ones) == workers - guards
        assert not any(call.is_done for call in busy.calls)
        busy.let_go()
        assert set(busy.statuses()) == {200}


def test_guard_is_answered_under_load_while_foreign_requests_come_without_end(new_busy):
    """Also those that were with a worker at the moment when it took a foreign one."""
    daemon = new_busy({"server.workers": 3, "log.level": "info", "server.request_timeout": "30s"})
    ends = threading.Event()
    slow, outcomes, waits = [], [], []
    headers = sign_in(daemon)

    def ask_slowly():
        while not ends.is_set():
            slow.append(daemon.ask(path="/session/application/sleeper", query="ms=2000", timeout=2 * PATIENCE).status)

    def ask_guard(number):
        while not ends.is_set():
            began = time.monotonic()
            outcomes.append(log_in(daemon, "bob").status if number == 0 else daemon.ask(headers=headers).status)
            waits.append(time.monotonic() - began)

    threads = [threading.Thread(target=ask_slowly) for _ in range(4)]
    threads += [threading.Thread(target=ask_guard, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(slow) >= 10 and len(outcomes) >= 500, "enough of both", timeout=2 * PATIENCE)
    finally:
        ends.set()
        for thread in threads:
            thread.join()
    assert set(outcomes) == {200} and set(slow) == {200}
    waits.sort()
    print(f"{len(waits)} requests beside {len(slow)} foreign ones: median {1000 * waits[len(waits) // 2]:.1f} ms,"
          f" 99% {1000 * waits[len(waits) * 99 // 100]:.1f} ms, slowest {1000 * waits[-1]:.1f} ms")
    # Who is behind a foreign handler waits for as long as that takes, which is far more than all others do.
    assert sum(wait > 1.8 for wait in waits) <= len(waits) // 200


def halves_of(daemon, closing, requests):
    """
    Of each, (bytes, how many of them first), the first part is sent to the worker that runs foreign handlers, of two.
    Returns the connections, each with its rest.
    """
    halves = []
    for data, at in requests:
        # The guard worker, whose handler a login runs, leaves listening to the other one.
        assert log_in(daemon, "bob").status == 200
        connection = closing.add(daemon.connection(timeout=PATIENCE))
        connection.send(data[:at])
        halves.append((connection, data[at:]))
    # They have been accepted by now, as whoever came later has been answered.
    assert daemon.ask(path="/session/health").status == 200
    return halves


@pytest.mark.parametrize("path", ["/session/application/sleeper/quick", "/session/application/sleeper/alone"])
def test_foreign_handler_that_breaks_its_promise_to_be_quick_holds_up_nobody(new_busy, closing, path):
    daemon = new_busy({"server.workers": 2, "server.request_timeout": "1m", "server.io_timeout": "60s"})
    signed_in = sign_in(daemon)
    halves = halves_of(daemon, closing, [(fastcgi.request_bytes(fastcgi.environ(headers=signed_in)), 30)] * 6)
    slow = Background(daemon.ask, path=path, query="ms=8000", headers=signed_in, timeout=PATIENCE)
    wait_until(
        lambda: any(one["request"] == f"GET {path}" for one in status_of(daemon)["workers"]), "its handler to run"
    )
    for connection, rest in halves:
        connection.send(rest)
    assert [connection.answer().status for connection, _ in halves] == [200] * 6
    for _ in range(10):
        assert daemon.ask(headers=signed_in).status == 200
    assert not slow.is_done
    assert slow.result().status == 200


def test_request_that_has_not_arrived_is_with_another_worker_when_a_foreign_one_runs(new_busy, closing):
    """The worker has accepted it, and waits for it; a body that comes late is waited for by a guard worker."""
    daemon = new_busy({"server.workers": 2, "server.io_timeout": "60s"})
    signed_in = sign_in(daemon)
    body = CREDENTIALS.replace("alice", "bob").encode()
    requests = [(fastcgi.request_bytes(fastcgi.environ(headers=signed_in)), 30)] + [
        (fastcgi.request_bytes(fastcgi.environ(method="POST", path=path, headers=JSON, body=body), body), -len(body) // 2)
        for path in ("/session/login", "/session/logout")
    ]
    busy = Foreign(daemon, 1)
    halves = halves_of(daemon, closing, requests * 6)
    with busy:
        for connection, rest in halves:
            connection.send(rest)
        assert [connection.answer().status for connection, _ in halves] == [200, 200, 204] * 6
        assert not busy.calls[0].is_done


def test_login_that_is_being_hashed_is_not_held_up_by_a_foreign_handler(new_busy):
    daemon = new_busy({"server.workers": 2, "login.memory": "64MiB", "login.passes": 4})
    for _ in range(2):
        busy = Foreign(daemon, 1)
        # Its hash is made anew, to cost as much; after it, the regular worker listens.
        sign_in(daemon)
        login = Background(log_in, daemon)
        wait_until(lambda: status_of(daemon)["hashing"]["in_use"] == 1, "the password to be hashed")
        with busy:
            assert login.result().status == 200
            assert not busy.calls[0].is_done
            busy.let_go()
            assert busy.statuses() == [200]


def test_foreign_body_that_comes_late_is_not_waited_for_by_a_guard(new_busy, closing):
    """Nor does it get lost on the way from one to the other."""
    daemon = new_busy({"server.workers": 2, "server.io_timeout": "60s"})
    body = json.dumps({"field": "x" * 40000}).encode()
    params = fastcgi.environ(method="POST", path="/session/application/sleeper", headers=JSON, body=body)
    data = fastcgi.request_bytes(params, body)
    with Foreign(daemon, 1) as busy:
        connections = []
        for _ in range(8):
            connections.append(closing.add(daemon.connection(timeout=PATIENCE)))
            connections[-1].send(data[:20000])
        assert daemon.ask().status == 401
        busy.let_go()
        for connection in connections:
            connection.send(data[20000:])
        answers = [connection.answer() for connection in connections]
    assert [(answer.status, len(json.loads(answer.body)["field"])) for answer in answers] == [(200, 40000)] * 8


# ---- Foreign requests that wait --------------------------------------------------------------------------------------


def test_foreign_requests_that_wait_are_answered_in_the_end(new_busy):
    daemon = new_busy({"server.workers": 3})
    with Foreign(daemon, 2, more=60) as busy:
        assert daemon.ask().status == 401
        busy.let_go()
        assert busy.statuses() == [200] * 62


def test_foreign_request_that_waits_too_long_is_answered_503(new_busy):
    """Also when none of the workers that could take it comes back; those under way are finished."""
    daemon = new_busy({"server.workers": 2, "server.request_timeout": "10s"})
    slow = Background(daemon.ask, path="/session/application/sleeper", query="ms=9500", timeout=PATIENCE)
    wait_until(
        lambda: any(one["request"] == "GET /session/application/sleeper" for one in status_of(daemon)["workers"]), "it to run"
    )
    before = metric(daemon, "onesession_throttled_total")
    began = time.monotonic()
    waiting = [Background(daemon.ask, path="/session/application/sleeper", headers=ACCEPT_JSON, timeout=PATIENCE) for _ in range(5)]
    answers = [call.result() for call in waiting]
    waited = time.monotonic() - began
    assert [(answer.status, json.loads(answer.body)["code"]) for answer in answers] == [(503, "busy")] * 5
    assert all(int(answer.get("Retry-After")) > 0 for answer in answers)
    assert waited >= 4.9
    assert not slow.is_done
    assert slow.result().status == 200
    assert metric(daemon, "onesession_throttled_total") == before + 5
    assert daemon.ask(path="/session/application/sleeper").status == 200


def test_more_foreign_requests_than_may_wait_are_answered_503_at_once(new_busy):
    """And keep nobody's place."""
    daemon = new_busy({"server.workers": 2})
    signed_in = sign_in(daemon)
    with Foreign(daemon, 1) as busy, contextlib.ExitStack() as stack:
        data = fastcgi.request_bytes(fastcgi.environ(**{**busy.request, "body": AFTER.encode()}), AFTER.encode())
        connections = []
        for _ in range(700):
            connections.append(stack.enter_context(daemon.connection(timeout=2 * PATIENCE)))
            connections[-1].send(data)
        wait_until(lambda: metric(daemon, "onesession_throttled_total") > 0, "some to be turned away")
        for _ in range(50):
            assert daemon.ask(headers=signed_in).status == 200
        assert log_in(daemon, "bob").status == 200
        turned_away = metric(daemon, "onesession_throttled_total")
        print(f"{700 - turned_away:.0f} may wait")
        busy.let_go()
        statuses = [connection.answer().status for connection in connections]
        assert statuses.count(503) == turned_away and statuses.count(200) == 700 - turned_away
        assert statuses.count(200) >= 64


def test_crash_loses_its_request_and_no_other(new_busy):
    daemon = new_busy({"server.workers": 2})
    with Foreign(daemon, 1, more=10) as busy:
        (regular,) = workers_by_role(daemon)["worker"]
        os.kill(regular, signal.SIGKILL)
        assert daemon.ask().status == 401
        assert log_in(daemon).status == 200
        busy.let_go()
        assert busy.statuses() == [None] + [200] * 10


# ---- HUP, USR2, TERM -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guards", ["1", "0"])
def test_reload_loses_none_of_those_that_wait(new_busy, guards):
    daemon = new_busy({"server.workers": 3})
    with Foreign(daemon, 2, more=30) as busy:
        old = set(daemon.workers)
        assert daemon.ask().status == 401
        daemon.settings["server.guard_workers"] = guards
        daemon.command()
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: " reloaded " in daemon.log_text(), "the new workers")
        busy.let_go()
        assert busy.statuses() == [200] * 32
        assert daemon.ask().status == 401
    wait_until(lambda: not old & set(daemon.workers), "the old workers to go")
    assert " stop_forced " not in daemon.log_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_stop_and_upgrade_lose_none_of_those_that_wait(new_busy, number):
    daemon = new_busy({"server.workers": 3, "server.shutdown_timeout": "2m"})
    signed_in = sign_in(daemon)
    with Foreign(daemon, 2, more=30) as busy:
        guard = Background(daemon.ask, headers=signed_in)
        assert daemon.ask(headers=signed_in).status == 200
        daemon.send_signal(number)
        if number == signal.SIGTERM:
            wait_until(lambda: is_refused(daemon.path), "the socket to be gone")
        else:
            wait_until(lambda: " upgraded " in daemon.log_text(), "the new binary")
            assert daemon.ask(headers=signed_in).status == 200
        busy.let_go()
        assert busy.statuses() == [200] * 32
        assert guard.result().status == 200
    assert daemon.wait() == 0
    assert "workers_lost=0" in daemon.log_text()
    daemon.check_log()


def test_foreign_request_that_has_not_arrived_when_the_daemon_stops_still_finds_a_worker(new_busy, closing):
    """The guard worker has accepted it."""
    daemon = new_busy({"server.workers": 2, "server.io_timeout": "60s"})
    data = fastcgi.request_bytes(fastcgi.environ(path="/session/application/sleeper"))
    # The regular worker runs it, and leaves listening to the guard worker.
    assert daemon.ask(path="/session/application/sleeper", query="ms=300").status == 200
    connections = [closing.add(daemon.connection(timeout=PATIENCE)) for _ in range(6)]
    for connection in connections:
        connection.send(data[:30])
    assert daemon.ask(path="/session/health").status == 200
    (regular,) = workers_by_role(daemon)["worker"]
    daemon.send_signal(signal.SIGTERM)
    wait_until(lambda: is_refused(daemon.path), "the socket to be gone")
    until = time.monotonic() + 1
    while time.monotonic() < until:
        assert is_alive(regular)
    for connection in connections:
        connection.send(data[30:])
    assert [connection.answer().status for connection in connections] == [200] * 6
    assert daemon.wait() == 0


def test_reloads_under_load_of_both_kinds_lose_nothing(new_busy):
    daemon = new_busy({"server.workers": 3, "log.level": "info"})
    foreign_losses, ends = [], threading.Event()

    def ask_foreign():
        while not ends.is_set():
            try:
                status = daemon.ask(path="/session/application/sleeper", query="ms=20", timeout=2 * PATIENCE).status
            except OSError as error:
                status = repr(error)
            if status != 200:
                foreign_losses.append(status)

    threads = [threading.Thread(target=ask_foreign) for _ in range(4)]
    with RequestLoad(daemon) as load:
        for thread in threads:
            thread.start()
        try:
            for round_ in range(5):
                load.more(50)
                daemon.settings["server.guard_workers"] = (round_ + 1) % 3
                daemon.command()
                reload_and_wait(daemon)
            load.more(50)
        finally:
            ends.set()
            for thread in threads:
                thread.join()
    load.check("5 reloads")
    assert foreign_losses == []


# ---- Without them ----------------------------------------------------------------------------------------------------


def test_without_guard_workers_every_worker_runs_every_route(new_busy):
    daemon = new_busy({"server.workers": 2, "server.guard_workers": 0})
    with Foreign(daemon, 2, more=3) as busy:
        # The fallback worker is there for what needs no database.
        assert daemon.ask(path="/session/health").status == 200
        guard = Background(daemon.ask, timeout=PATIENCE)
        assert daemon.ask(path="/session/application/sleeper/alone").status == 200
        assert not guard.is_done
        busy.let_go()
        assert guard.result().status == 401
        assert busy.statuses() == [200] * 5

"""What operators see: /status, /metrics, `onesessionctl status` and the log of slow requests."""

import fcntl
import itertools
import json
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest

import fastcgi
import harness
import openmetrics
from harness import Background, Ctl
from test_ctl import put_session
from test_database import CREDENTIALS, JSON, UNKNOWN, sign_in
from test_hashing import attempt
from test_process import EITHER_WAY, LOOK_UP, HeldTable, is_refused, waits_in_database
from waiting import wait_until

OPERATOR = {"REMOTE_ADDR": "127.0.0.1"}
BOB = json.dumps({"username": "bob", "password": harness.Database.password})
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
TEXT = {"Accept": "text/plain"}
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
SECONDS = "onesession_request_duration_seconds"

# Time enough for a worker to stay in the database for as long as a test wants.
PATIENT = {"database.statement_timeout": "120s", "server.request_timeout": "120s", "server.shutdown_timeout": "120s"}


def status_of(daemon):
    answer = daemon.ask(path="/session/status", **OPERATOR)
    assert answer.status == 200
    return json.loads(answer.body)


def workers_in(status):
    return [worker for worker in status["workers"] if worker["role"] == "worker"]


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


NUMBERS = itertools.count()


def somebody_signed_in(database):
    """The header field of somebody else each time."""
    number = next(NUMBERS)
    database.add_user(f"somebody{number}")
    put_session(database, f"somebody{number}", f"{number:043d}")
    return {"Cookie": f"onesession={number:043d}"}


class AllBusy:
    """Every worker waits in the database to sign somebody out, as long as this lasts; `calls` are those requests."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.calls = []
        self.table = None

    def __enter__(self):
        database = self.daemon.database
        signed_in = [somebody_signed_in(database) for _ in range(int(self.daemon.settings["server.workers"]))]
        self.table = HeldTable(database, "events")
        for one in signed_in:
            # One after the other: who waits takes no more.
            headers = {**JSON, **one}
            self.calls.append(
                Background(self.daemon.ask, method="POST", path="/session/logout", headers=headers, timeout=120)
            )
            waits_in_database(database, len(self.calls))
        return self

    def __exit__(self, *_):
        self.let_go()

    def let_go(self):
        self.table.let_go()


# ---- /status ---------------------------------------------------------------------------------------------------------


def test_status_tells_everything_about_an_idle_daemon(new_daemon):
    daemon = new_daemon({"server.workers": 3, "login.max_hashing": 4}).start()

    def one_is_busy():
        answer = daemon.ask(path="/session/status", **OPERATOR)
        states = sorted(worker["state"] for worker in json.loads(answer.body)["workers"])
        return answer if states == ["busy", "idle", "idle"] else None

    # All have started, and what was asked before is over and done with.
    answer = wait_until(one_is_busy, "all but the one that answers to be idle")
    assert answer.get("Content-Type") == "application/json"
    assert answer.get("Cache-Control") == "no-store"
    status = json.loads(answer.body)
    assert set(status) == {"version", "pid", "started_at", "uptime_ms", "hashing", "counts", "workers"}
    assert status["pid"] == daemon.process.pid
    assert status["version"] in subprocess.run(daemon.command("-V"), capture_output=True, text=True, check=True).stdout
    assert TIME.fullmatch(status["started_at"])
    assert 0 <= status["uptime_ms"] < 600_000
    assert status["hashing"] == {"in_use": 0, "slots": 4}
    assert status["counts"] == {
        "worker_starts": 3,
        "worker_deaths": 0,
        "worker_timeouts": 0,
        "reloads": 0,
        "reloads_refused": 0,
    }
    assert sorted(worker["pid"] for worker in status["workers"]) == daemon.workers
    assert [worker["worker"] for worker in status["workers"]] == [0, 1, 2]
    for worker in status["workers"]:
        assert set(worker) == {"worker", "pid", "role", "state", "request", "request_age_ms", "requests", "age_ms"}
        assert worker["role"] == "worker"
        assert 0 <= worker["age_ms"] <= status["uptime_ms"]
    # The one that answers is busy with just that.
    (busy,) = [worker for worker in status["workers"] if worker["state"] == "busy"]
    assert busy["request"] == "GET /session/status"
    assert 0 <= busy["request_age_ms"] < 10_000
    for worker in status["workers"]:
        if worker is not busy:
            assert (worker["state"], worker["request"], worker["request_age_ms"]) == ("idle", None, None)


def test_requests_of_each_worker_are_counted(new_daemon):
    daemon = new_daemon({"server.workers": 1}).start()
    before = status_of(daemon)["workers"][0]["requests"]
    for _ in range(5):
        assert daemon.ask().status == 401
    # Itself is counted when it has been answered.
    assert status_of(daemon)["workers"][0]["requests"] == before + 6


@pytest.mark.parametrize("workers", [1, 2])
@EITHER_WAY
def test_worker_shows_its_request_and_how_long_it_has_been_at_it(database, new_daemon, workers, waiting):
    """Whether its session is being looked up, when the worker goes on taking others, or its handler runs."""
    table, what, status = waiting
    state = "waiting" if waiting is LOOK_UP else "busy"
    request = f"{what.get('method', 'GET')} {what['path']}"
    daemon = new_daemon({"server.workers": workers, **PATIENT}).start()
    headers = {**JSON, **sign_in(daemon)}
    with HeldTable(database, table):
        call = Background(daemon.ask, query="secret=1", headers=headers, timeout=120, **what)
        waits_in_database(database)

        def shown():
            (found,) = [worker for worker in status_of(daemon)["workers"] if worker["request"] == request]
            return found

        first = shown()
        assert first["state"] == state
        later = wait_until(
            lambda: (lambda now: now if now["request_age_ms"] >= first["request_age_ms"] + 300 else None)(shown()),
            "the age of the request to grow",
        )
        assert (later["pid"], later["state"]) == (first["pid"], state)
        assert later["age_ms"] > first["age_ms"]
        assert b"secret" not in daemon.ask(path="/session/status", **OPERATOR).body
    assert call.result().status == status


def test_login_is_shown_as_busy_only_when_its_transaction_waits(database, new_daemon):
    """While the password is hashed, its worker has time for others."""
    daemon = new_daemon({"server.workers": 1, "login.memory": "64MiB", "login.passes": 8, **PATIENT}).start()
    call = Background(attempt, daemon)
    seen = []
    while not call.is_done:
        status = status_of(daemon)
        # On a slow machine a fallback worker may have answered, and what is shown beside it be of another moment.
        if status["hashing"]["in_use"] == 1 and not fallback_workers_in(status):
            seen.append(status["workers"])
    assert call.result().status == 401
    assert seen, "it was over too soon to show anything"
    assert {worker["request"] for workers in seen for worker in workers} == {"GET /session/status"}
    with HeldTable(database, "events"):
        call = Background(daemon.ask, method="POST", path="/session/login", headers=JSON, body=BOB, timeout=120)
        waits_in_database(database)
        (worker,) = workers_in(status_of(daemon))
        assert (worker["state"], worker["request"]) == ("busy", "POST /session/login")
    assert call.result().status == 200


def test_request_that_is_still_being_read_makes_nobody_busy(new_daemon):
    """Nor is the one before shown. Its body is so long that its worker has to read while it comes."""
    daemon = new_daemon({"server.workers": 2, "server.io_timeout": "30s"}).start()
    body = json.dumps({"username": "alice", "password": "wrong", "padding": "x" * 50_000}).encode()
    whole = fastcgi.request_bytes(
        fastcgi.environ(method="POST", path="/session/login", headers=JSON, body=body), body
    )
    for _ in range(4):
        assert daemon.ask().status == 401
    with daemon.connection() as peer:
        peer.send(whole[:-200])

        def are_at_rest():
            shown = sorted((worker["state"], worker["request"] or "") for worker in status_of(daemon)["workers"])
            return shown == [("busy", "GET /session/status"), ("idle", "")]

        # An answer is out a moment before its worker is at rest.
        wait_until(are_at_rest, "the requests before to be over")
        for _ in range(10):
            assert are_at_rest()
        peer.send(whole[-200:])
        assert peer.answer().status == 401


def test_worker_that_goes_is_shown_as_stopping_until_it_has_gone(new_daemon):
    daemon = new_daemon({"server.workers": 1, "server.io_timeout": "60s"}).start()
    (old,) = daemon.await_workers(1)
    whole = fastcgi.request_bytes(fastcgi.environ())
    with daemon.connection() as first, daemon.connection() as second:
        for peer in (first, second):
            peer.send(whole[:20])
        # Connections are taken in their order.
        assert daemon.ask().status == 401
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: status_of(daemon)["counts"]["reloads"] == 1, "the reload")

        def state():
            return [worker["state"] for worker in status_of(daemon)["workers"] if worker["pid"] == old]

        wait_until(lambda: state() == ["stopping"], "the old worker to be shown as stopping")
        first.send(whole[20:])
        assert first.answer().status == 401
        seen = []
        wait_until(lambda: seen.append(state()) or seen[-1] == ["stopping"], "it to be shown as stopping again")
        assert ["idle"] not in seen
        second.send(whole[20:])
        assert second.answer().status == 401
    wait_until(lambda: state() == [] and old not in daemon.workers, "it to go")


# ---- Who may ask -----------------------------------------------------------------------------------------------------

OPERATORS = "127.0.0.1 ::1 192.0.2.0/24 2001:db8::/32 ::ffff:198.51.100.7"
THEY_ARE = [
    "127.0.0.1",
    "::1",
    "192.0.2.0",
    "192.0.2.255",
    "198.51.100.7",
    "2001:db8:ffff::1",
    "::ffff:127.0.0.1",
    "::ffff:192.0.2.5",
    "::ffff:c000:205",
]
THEY_ARE_NOT = [
    "127.0.0.2",
    "192.0.3.0",
    "198.51.100.8",
    "2001:db9::1",
    "::2",
    "::ffff:127.0.0.2",
    "::",
    "0.0.0.0",
    "",
    "localhost",
    "127.0.0.1 ",
    "127.0.0.1, 203.0.113.9",
    None,
]


def test_only_operators_see_status_and_metrics(new_daemon):
    """To everybody else there is nothing at these addresses, whatever the method."""
    daemon = new_daemon({"server.operators": OPERATORS}).start()

    def ask(name, method, address, **headers):
        answer = daemon.ask(method=method, path=f"/session/{name}", headers=headers, REMOTE_ADDR=address)
        return answer.status, answer.body, [field for field in answer.fields if field[0] != "Content-Length"]

    for name in ("status", "metrics"):
        for address in THEY_ARE:
            assert ask(name, "GET", address)[0] == 200, address
            status, body, _ = ask(name, "HEAD", address)
            assert (status, body) == (200, b"")
            status, _, fields = ask(name, "POST", address)
            assert status == 405 and ("Allow", "GET, HEAD") in fields
        for address in THEY_ARE_NOT:
            for method in ("GET", "HEAD", "POST", "DELETE"):
                assert ask(name, method, address) == ask("nothing", method, address), (method, address)
                assert ask(name, method, address)[0] == 404, (method, address)
        # What a client says of itself is not asked.
        assert ask(name, "GET", "203.0.113.9", **{"X-Forwarded-For": "127.0.0.1", "Remote-Addr": "127.0.0.1"})[0] == 404


def test_operators_are_this_host_unless_told_otherwise(new_daemon):
    daemon = new_daemon().start()
    for address, status in (("127.0.0.1", 200), ("::1", 200), ("192.0.2.7", 404), ("10.0.0.1", 404)):
        assert daemon.ask(path="/session/status", REMOTE_ADDR=address).status == status
        assert daemon.ask(path="/session/metrics", REMOTE_ADDR=address).status == status
        assert daemon.ask(path="/session/health", REMOTE_ADDR=address).status == 200
    daemon.settings["server.operators"] = "10.0.0.0/8"
    daemon.command()
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: daemon.ask(path="/session/status", REMOTE_ADDR="10.0.0.1").status == 200, "the reload")
    daemon.await_workers(2)
    assert daemon.ask(path="/session/status", **OPERATOR).status == 404


# ---- When every worker is busy ---------------------------------------------------------------------------------------


def fallback_workers_in(status):
    return [worker for worker in status["workers"] if worker["role"] == "fallback"]


def test_operators_are_answered_when_every_worker_is_busy(new_daemon):
    daemon = new_daemon({"server.workers": 3, **PATIENT}).start()
    ctl = Ctl(daemon.database.conninfo, **{"server.listen": f"unix:{daemon.path}"})
    with AllBusy(daemon) as busy:
        for _ in range(5):
            status = status_of(daemon)
            assert [worker["state"] for worker in workers_in(status)] == ["busy"] * 3
            assert {worker["request"] for worker in workers_in(status)} == {"POST /session/logout"}
            (fallback,) = fallback_workers_in(status)
            assert fallback["request"] == "GET /session/status"
            assert daemon.ask(path="/session/health").status == 200
            assert daemon.ask(path="/session/health", method="HEAD").status == 200
            found = openmetrics.samples(metrics_of(daemon))
            assert found["onesession_workers", ("state", "busy")] == 3
            assert daemon.ask(path="/session/status", REMOTE_ADDR="203.0.113.9").status == 404
            assert daemon.ask(path="/session/metrics", method="POST", **OPERATOR).status == 405
        assert len([line for line in ctl.run("status").splitlines() if "POST /session/logout" in line]) == 3
        assert len(ctl.json("status")["workers"]) == 4
        assert not any(call.is_done for call in busy.calls)
        busy.let_go()
        assert [call.result().status for call in busy.calls] == [204] * 3
    wait_until(lambda: not daemon.fallback_workers, "the fallback worker to go")


def test_fallback_worker_is_there_only_while_it_is_needed(new_daemon):
    daemon = new_daemon({"server.workers": 2, **PATIENT}).start()
    signed_in = sign_in(daemon)

    def starts():
        return status_of(daemon)["counts"]["worker_starts"]

    for _ in range(2):
        # Quiet times, with requests that are over in a moment. On a machine that is slow just now, one may be needed.
        before, slowest = starts(), 0
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            began = time.monotonic()
            assert daemon.ask(headers=signed_in).status == 200
            slowest = max(slowest, time.monotonic() - began)
        assert slowest > 0.08 or (starts() == before and not daemon.fallback_workers)
        with AllBusy(daemon) as busy:
            assert len(fallback_workers_in(status_of(daemon))) == 1
            assert len(daemon.fallback_workers) == 1
            busy.let_go()
            assert {call.result().status for call in busy.calls} == {204}
        wait_until(lambda: not daemon.fallback_workers and fallback_workers_in(status_of(daemon)) == [], "the fallback worker to go")
    assert status_of(daemon)["counts"]["worker_deaths"] == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_operators_are_answered_when_every_worker_waits_for_a_look_up(database, new_daemon, workers):
    """Nobody else has to come for that."""
    daemon = new_daemon({"server.workers": workers, **PATIENT}).start()
    signed_in = sign_in(daemon)
    with HeldTable(database):
        calls = []
        for count in range(1, workers + 1):
            calls.append(Background(daemon.ask, path="/session/me", headers=signed_in, timeout=120))
            waits_in_database(database, count)
            # A look-up that is late makes its worker leave connections to others, as long as there are others.
            wait_until(lambda: max(ages_of_look_ups(daemon)) > 200, "it to be late")
        before, slowest = status_of(daemon)["counts"]["worker_starts"], 0
        for _ in range(5):
            began = time.monotonic()
            status = status_of(daemon)
            assert [worker["state"] for worker in workers_in(status)] == ["waiting"] * workers
            assert {worker["request"] for worker in workers_in(status)} == {"GET /session/me"}
            assert openmetrics.samples(metrics_of(daemon))["onesession_workers", ("state", "waiting")] == workers
            assert daemon.ask(path="/session/health").status == 200
            assert daemon.ask().status == 401
            after = status_of(daemon)["counts"]["worker_starts"]
            slowest = max(slowest, time.monotonic() - began)
        # On a machine that is slow just now, one may come all the same.
        assert slowest > 0.08 or after == before
    assert [call.result().status for call in calls] == [200] * workers


def ages_of_look_ups(daemon):
    workers = status_of(daemon)["workers"]
    return [worker["request_age_ms"] for worker in workers if worker["request"] == "GET /session/me"] or [0]


def test_operators_are_answered_when_a_handler_waits_behind_a_look_up(database, new_daemon):
    """A login that has all it needs but the connection to the database: its worker takes no more until it has run."""
    daemon = new_daemon({"server.workers": 1, **PATIENT}).start()
    signed_in = sign_in(daemon)
    with HeldTable(database):
        calls = [Background(daemon.ask, path="/session/me", headers=signed_in, timeout=120)]
        waits_in_database(database)
        calls.append(Background(daemon.ask, method="POST", path="/session/login", headers=JSON, body=BOB, timeout=120))
        wait_until(lambda: fallback_workers_in(status_of(daemon)), "the fallback worker")
        for _ in range(5):
            (worker,) = workers_in(status_of(daemon))
            assert (worker["state"], worker["request"]) == ("busy", "GET /session/me")
            assert daemon.ask(path="/session/health").status == 200
        assert not any(call.is_done for call in calls)
    assert [call.result().status for call in calls] == [200, 200]
    wait_until(lambda: not daemon.fallback_workers, "the fallback worker to go")


def test_what_waits_behind_times_that_are_stored_is_shown_and_keeps_others_out(database, new_daemon):
    """A lock lets look-ups pass, not the time when a session was seen: a worker leaves others to its colleague."""
    daemon = new_daemon({"server.workers": 2, **PATIENT}).start()
    stale, fresh = somebody_signed_in(database), somebody_signed_in(database)
    for headers in (stale, fresh):
        assert daemon.ask(headers=headers).status == 200
    database.query(
        "UPDATE sessions SET last_seen_at = now() - interval '10 minutes'"
        " WHERE login_order = (SELECT min(login_order) FROM sessions)"
    )
    with HeldTable(database, "sessions", "SHARE"):
        assert daemon.ask(headers=stale).status == 200
        waits_in_database(database)
        calls = []

        def is_met():
            if not calls or calls[-1].is_done:
                calls.append(Background(daemon.ask, path="/session/me", headers=fresh, timeout=120))
            return ages_of_look_ups(daemon)[0] > 200

        wait_until(is_met, "a look-up to wait behind it")
        for _ in range(20):
            assert daemon.ask(headers=fresh).status == 200
        assert not calls[-1].is_done
    assert {call.result().status for call in calls} == {200}


def test_fallback_worker_that_is_killed_is_replaced(new_daemon):
    daemon = new_daemon({"server.workers": 1, **PATIENT}).start()
    with AllBusy(daemon):
        for _ in range(2):
            (fallback,) = fallback_workers_in(status_of(daemon))
            os.kill(fallback["pid"], signal.SIGKILL)
            wait_until(lambda pid=fallback["pid"]: pid not in daemon.fallback_workers, "it to end")
    wait_until(lambda: not daemon.fallback_workers, "the fallback worker to go")


class Arriving:
    """Many requests of all kinds that arrive while nobody has time for them, and what each is to be answered."""

    def __init__(self, daemon, signed_in):
        self.daemon, self.signed_in = daemon, signed_in
        self.peers = []

    def add(self, wanted, role=fastcgi.RESPONDER, cut=None, **kwargs):
        """With `cut`, only as many bytes of it are sent for now."""
        body = kwargs.get("body", b"")
        body = body.encode() if isinstance(body, str) else body
        data = fastcgi.request_bytes(fastcgi.environ(**{**kwargs, "body": body}), body, role)
        peer = self.daemon.connection(timeout=60)
        peer.send(data[:cut])
        self.peers.append((peer, wanted, data[cut:] if cut is not None else b""))

    def add_all(self):
        """Forty."""
        for _ in range(6):
            self.add(401)
            self.add(200, headers=self.signed_in)
            self.add(200, path="/session/me", headers=self.signed_in)
            self.add(401, path="/session/me", headers={**UNKNOWN, "Accept": "application/json"})
        for _ in range(4):
            self.add(200, path="/session/login")
            self.add(200, method="POST", path="/session/login", headers=JSON, body=BOB)
        long_body = json.dumps({**json.loads(BOB), "padding": "x" * 40_000})
        self.add(200, method="POST", path="/session/login", headers=JSON, body=long_body)
        # An authorizer's path is the one that is guarded, even where we would have something to say there ourselves.
        self.add(200, role=fastcgi.AUTHORIZER, path="/session/health", headers=self.signed_in)
        self.add(401, role=fastcgi.AUTHORIZER, path="/session/status", **OPERATOR)
        self.add(404, path="/session/nothing")
        for cut in (0, 3, 11, 300):
            self.add(200, path="/session/me", headers=self.signed_in, cut=cut)
        assert len(self.peers) == 40

    def send_the_rest(self, size=40):
        """A little of each at a time."""
        rest = {peer: data for peer, _, data in self.peers if data}
        while rest:
            for peer, data in rest.items():
                peer.send(data[:size])
            rest = {peer: data[size:] for peer, data in rest.items() if data[size:]}

    def check(self):
        answers = [(peer.answer(), wanted) for peer, wanted, _ in self.peers]
        assert [answer.status for answer, _ in answers] == [wanted for _, wanted in answers]
        assert all(answer.ended for answer, _ in answers)

    def close(self):
        for peer, _, _ in self.peers:
            peer.close()


@pytest.mark.parametrize("workers", [1, 3])
def test_no_request_that_arrives_while_every_worker_is_busy_is_lost(new_daemon, closing, workers):
    daemon = new_daemon({"server.workers": workers, "server.io_timeout": "60s", **PATIENT}).start()
    signed_in = sign_in(daemon)
    arriving = closing.add(Arriving(daemon, signed_in))
    with AllBusy(daemon) as busy:
        status_of(daemon)
        arriving.add_all()
        arriving.send_the_rest()
        assert daemon.ask(path="/session/health").status == 200
        assert len(workers_in(status_of(daemon))) == workers
        assert not any(call.is_done for call in busy.calls)
        busy.let_go()
        arriving.check()
        assert {call.result().status for call in busy.calls} == {204}
    assert len(daemon.database.sessions("bob")) == 1
    wait_until(lambda: not daemon.fallback_workers, "the fallback worker to go")
    assert status_of(daemon)["counts"]["worker_deaths"] == 0


@pytest.mark.parametrize("rest_comes", ["before", "after"])
def test_no_request_is_lost_when_it_is_told_to_end_while_every_worker_is_busy(new_daemon, closing, rest_comes):
    """Whoever has connected is answered, also whom the fallback worker holds, and who has sent only a part so far."""
    daemon = new_daemon({"server.workers": 2, "server.io_timeout": "60s", **PATIENT}).start()
    signed_in = sign_in(daemon)
    arriving = closing.add(Arriving(daemon, signed_in))
    with AllBusy(daemon) as busy:
        status_of(daemon)
        arriving.add_all()
        # What has been connected before has been taken in by now.
        assert daemon.ask(path="/session/health").status == 200
        daemon.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(daemon.path), "the socket to be gone")
        wait_until(lambda: not daemon.fallback_workers, "the fallback worker to hand on what it has and go")
        if rest_comes == "before":
            arriving.send_the_rest()
        busy.let_go()
        if rest_comes == "after":
            arriving.send_the_rest()
        arriving.check()
        assert [call.result().status for call in busy.calls] == [204, 204]
    assert daemon.wait() == 0
    daemon.check_log()
    assert "workers_lost=0" in daemon.log_text()


def test_no_request_is_lost_when_it_reloads_while_every_worker_is_busy(new_daemon, closing):
    daemon = new_daemon({"server.workers": 2, "server.io_timeout": "60s", **PATIENT}).start()
    signed_in = sign_in(daemon)
    arriving = closing.add(Arriving(daemon, signed_in))
    before = daemon.workers
    with AllBusy(daemon) as busy:
        status_of(daemon)
        arriving.add_all()
        assert daemon.ask(path="/session/health").status == 200
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: status_of(daemon)["counts"]["reloads"] == 1, "the reload")
        arriving.send_the_rest()
        busy.let_go()
        arriving.check()
        assert [call.result().status for call in busy.calls] == [204, 204]
    wait_until(lambda: len(daemon.workers) == 2 and not set(before) & set(daemon.workers), "the old workers to go")
    assert status_of(daemon)["counts"]["worker_deaths"] == 0


@pytest.mark.slow
def test_operators_are_answered_by_the_workers_while_all_places_are_hashing(new_daemon):
    """Whoever's password is hashed keeps no worker, so that nobody else has to come."""
    daemon = new_daemon(
        {"server.workers": 2, "login.max_hashing": 2, "login.memory": "96MiB", "login.passes": 8, **PATIENT}
    ).start()
    counts = Counts(daemon)
    start = time.monotonic()
    flood = [Background(attempt, daemon, timeout=120) for _ in range(8)]
    seen = []
    while not all(call.is_done for call in flood):
        began = time.monotonic()
        status = status_of(daemon)
        assert daemon.ask(path="/session/health").status == 200
        waiting = openmetrics.samples(metrics_of(daemon))["onesession_hashing_waiting",]
        seen.append((status, waiting, time.monotonic() - began))
    # Two at a time: there were four rounds.
    round_took = (time.monotonic() - start) / 4
    full = [
        (status, waiting, took) for status, waiting, took in seen if status["hashing"] == {"in_use": 2, "slots": 2}
    ]
    assert full, "it was over too soon to show anything"
    assert max(waiting for _, waiting, _ in full) == 6
    took = sorted(took for _, _, took in full)
    assert took[len(took) // 2] < round_took / 2
    answers = [call.result(120) for call in flood]
    assert {answer.status for answer in answers} <= {401, 503}
    refused = [answer for answer in answers if answer.status == 503]
    assert counts.grown("throttled") == len(refused)
    assert counts.grown("login_failures") == len(answers) - len(refused)
    # Requests are counted when the answer is out.
    wait_until(lambda: counts.requests("/login", 503) == len(refused), "the refusals to be counted")
    wait_until(lambda: counts.requests("/login", 401) == len(answers) - len(refused), "the others to be counted")
    wait_until(lambda: status_of(daemon)["hashing"]["in_use"] == 0, "the places to be free")
    assert status_of(daemon)["counts"]["worker_starts"] == 2


# ---- /metrics: its form ----------------------------------------------------------------------------------------------


def do_a_bit_of_everything(daemon):
    signed_in = sign_in(daemon)
    for path in ("auth", "me", "state", "account", "login", "health", "ready", "nothing"):
        daemon.ask(path=f"/session/{path}", headers=signed_in)
    attempt(daemon)
    daemon.ask(method="DELETE", path="/session/me")
    daemon.ask(path="/elsewhere", role=fastcgi.AUTHORIZER)


PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.75,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=0.0.4;q=0.25,*/*;q=0.1"
)
OLD_PROMETHEUS = "text/plain;version=0.0.4;q=1,*/*;q=0.1"


@pytest.mark.parametrize(
    "accept, content_type",
    [
        (None, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("*/*", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (PROMETHEUS, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        (OLD_PROMETHEUS, "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_metrics_are_in_the_format_that_was_asked_for(daemon, accept, content_type):
    do_a_bit_of_everything(daemon)
    headers = {} if accept is None else {"Accept": accept}
    answer = daemon.ask(path="/session/metrics", headers=headers, **OPERATOR)
    assert answer.get("Content-Type") == content_type
    assert answer.get("Cache-Control") == "no-store"
    assert answer.get("Vary") == "Accept"
    body = answer.body.decode()
    assert body.endswith("\n# EOF\n")
    if content_type.startswith("application/openmetrics-text"):
        openmetrics.families(body)
    else:
        assert "# TYPE onesession_logins_total counter\n" in body
    head = daemon.ask(method="HEAD", path="/session/metrics", headers=headers, **OPERATOR)
    assert (head.status, head.body, head.get("Content-Type")) == (200, b"", content_type)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool")
@pytest.mark.parametrize("headers", [{}, {"Accept": "*/*"}, TEXT, {"Accept": OLD_PROMETHEUS}])
def test_promtool_finds_nothing_wrong_with_metrics(daemon, headers):
    for _ in range(2):
        text = metrics_of(daemon, headers)
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        do_a_bit_of_everything(daemon)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool")
def test_prometheus_stores_every_sample_of_metrics(daemon, tmp_path):
    do_a_bit_of_everything(daemon)
    text = metrics_of(daemon)
    source = tmp_path / "metrics"
    source.write_text(openmetrics.with_timestamps(text, 1_700_000_000))
    done = subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", source, tmp_path / "data"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    # It looks for what has not been made into blocks yet, too.
    (tmp_path / "data" / "wal").mkdir()
    shown = subprocess.run(
        ["promtool", "tsdb", "dump", tmp_path / "data"], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout
    assert len(shown.splitlines()) == len(openmetrics.samples(text))


def test_metrics_are_strict_openmetrics_with_every_number(new_daemon):
    daemon = new_daemon({"server.workers": 3, "login.max_hashing": 4}).start()
    daemon.await_workers(3)
    do_a_bit_of_everything(daemon)
    # They are counted for the first time a moment after the start.
    wait_until(lambda: "onesession_live_sessions" in metrics_of(daemon), "the live sessions to be counted")
    families = openmetrics.families(metrics_of(daemon))
    assert all(family.metadata["HELP"] for family in families.values())
    kinds = {name.removeprefix("onesession_"): family.type for name, family in families.items()}
    counters = {name for name, kind in kinds.items() if kind == "counter"}
    assert counters == {
        "requests",
        "logins",
        "login_failures",
        "logouts",
        "displacements",
        "shared_accounts",
        "password_changes",
        "throttled",
        "database_round_trips",
        "database_errors",
        "worker_starts",
        "worker_deaths",
        "worker_timeouts",
        "reloads",
        "reloads_refused",
    }
    assert {name: kind for name, kind in kinds.items() if kind != "counter"} == {
        "request_duration_seconds": "histogram",
        "live_sessions": "gauge",
        "hashing_places": "gauge",
        "hashing_in_use": "gauge",
        "hashing_waiting": "gauge",
        "workers": "gauge",
        "start_time_seconds": "gauge",
        "build": "info",
    }
    assert families[SECONDS].metadata["UNIT"] == "seconds"
    found = openmetrics.samples(metrics_of(daemon))
    assert found["onesession_hashing_places",] == 4
    assert found["onesession_hashing_in_use",] == found["onesession_hashing_waiting",] == 0
    # That of a moment ago, or as many as there were when it started.
    assert found["onesession_live_sessions",] in (0, 1)
    assert abs(found["onesession_start_time_seconds",] - time.time()) < 600
    assert found["onesession_build_info", ("version", status_of(daemon)["version"])] == 1
    states = {key[1][1]: value for key, value in found.items() if key[0] == "onesession_workers"}
    assert set(states) == {"starting", "idle", "waiting", "busy", "stopping"}
    assert sum(states.values()) == 3 and states["busy"] >= 1


def test_metrics_of_a_daemon_that_nobody_has_asked_anything_are_right_too(new_daemon):
    daemon = new_daemon().start(wait="/session/health")
    openmetrics.families(metrics_of(daemon))
    openmetrics.families(metrics_of(daemon, {}))


# ---- /metrics: what they count ---------------------------------------------------------------------------------------


def test_logins_failures_displacements_and_logouts_are_counted(new_daemon):
    daemon = new_daemon().start()
    counts = Counts(daemon)
    first = sign_in(daemon)
    sign_in(daemon)
    third = sign_in(daemon)
    for _ in range(4):
        attempt(daemon, "alice", "wrong")
    attempt(daemon, "nobody", "wrong")
    assert daemon.ask(headers=first).status == 401
    assert daemon.ask(method="POST", path="/session/logout", headers={**third, **JSON}).status == 204
    # Nobody is signed in there any more.
    assert daemon.ask(method="POST", path="/session/logout", headers={**third, **JSON}).status == 204
    assert counts.grown("logins") == 3
    assert counts.grown("displacements") == 2
    assert counts.grown("login_failures") == 5
    assert counts.grown("logouts") == 1
    assert counts.grown("throttled") == 0


def test_requests_are_counted_by_route_and_status(new_daemon):
    daemon = new_daemon({"server.workers": 1}).start()
    signed_in = sign_in(daemon)
    counts = Counts(daemon)
    asked = {
        ("/auth", 200): lambda: daemon.ask(headers=signed_in),
        ("/auth", 401): daemon.ask,
        ("/me", 200): lambda: daemon.ask(path="/session/me", headers=signed_in),
        ("/me", 405): lambda: daemon.ask(method="DELETE", path="/session/me"),
        ("/login", 400): lambda: daemon.ask(method="POST", path="/session/login", headers=JSON, body="{"),
        ("/login", 403): lambda: daemon.ask(
            method="POST", path="/session/login", headers={**JSON, "Sec-Fetch-Site": "cross-site"}, body=CREDENTIALS
        ),
        ("/login", 413): lambda: daemon.ask(method="POST", path="/session/login", headers=JSON, body="x" * 70_000),
        ("/login", 415): lambda: daemon.ask(
            method="POST", path="/session/login", headers={"Content-Type": "text/css"}, body="x"
        ),
        ("other", 404): lambda: daemon.ask(path="/session/nothing"),
        ("/health", 200): lambda: daemon.ask(path="/session/health"),
    }
    for times, ((_, status), ask) in enumerate(asked.items(), 1):
        for _ in range(times):
            assert ask().status == status
    assert daemon.ask(path="/session/status", REMOTE_ADDR="203.0.113.9").status == 404
    assert daemon.ask(role=fastcgi.AUTHORIZER, path="/anything", headers=signed_in).status == 200
    for times, (route, status) in enumerate(asked, 1):
        extra = (route, status) in (("other", 404), ("/auth", 200))
        assert counts.requests(route, status) == times + extra, (route, status)
    found = openmetrics.samples(metrics_of(daemon))
    routes = {dict(key[1:])["route"] for key in found if key[0] == "onesession_requests_total"}
    for route in routes:
        total = sum(
            value
            for key, value in found.items()
            if key[0] == "onesession_requests_total" and dict(key[1:])["route"] == route
        )
        assert found[f"{SECONDS}_count", ("route", route)] == total


def test_durations_are_in_the_bucket_they_belong_to(database, new_daemon):
    daemon = new_daemon({**PATIENT, "server.workers": 1}).start()
    signed_in = sign_in(daemon)

    def within(bound):
        key = (f"{SECONDS}_bucket", ("route", "/me"), ("le", bound))
        return openmetrics.samples(metrics_of(daemon)).get(key, 0)

    with HeldTable(database) as table:
        call = Background(daemon.ask, path="/session/me", headers=signed_in)
        waits_in_database(database)
        deadline = time.monotonic() + 0.3
        wait_until(lambda: time.monotonic() > deadline, "some time to pass")
        table.let_go()
        assert call.result().status == 200
    assert (within("0.25"), within("+Inf")) == (0, 1)
    assert 0.25 < openmetrics.samples(metrics_of(daemon))[f"{SECONDS}_sum", ("route", "/me")] < 60


def test_round_trips_and_errors_of_the_database_are_counted(cluster, database, new_daemon):
    daemon = new_daemon({"server.workers": 1}).start()
    signed_in = sign_in(daemon)
    assert daemon.ask(headers=signed_in).status == 200
    counts = Counts(daemon)
    for _ in range(20):
        assert daemon.ask(headers=signed_in).status == 200
        assert daemon.ask().status == 401
    # One for each live request, none for those without a key; the live sessions may be counted meanwhile, too.
    assert 20 <= counts.grown("database_round_trips") <= 21
    assert counts.grown("database_errors") == 0
    cluster.terminate_backends(database.name)
    assert daemon.ask(headers=signed_in).status == 200
    assert counts.grown("database_round_trips") > 21
    database.close()
    cluster.stop()
    before = counts.grown("database_errors")
    assert daemon.ask(headers=signed_in).status == 503
    wait_until(lambda: counts.grown("database_errors") >= before + 2, "attempts to connect that fail to be counted")
    assert counts.requests("/auth", 503) == 1
    # Told to come again, but not because there was too much of anything.
    assert counts.grown("throttled") == 0
    cluster.start()
    wait_until(lambda: daemon.ask(headers=signed_in).status == 200, "it to find the database again")


def test_statement_that_fails_is_an_error_of_the_database(database, new_daemon):
    daemon = new_daemon({"server.workers": 1, "database.statement_timeout": "200ms"}).start()
    signed_in = sign_in(daemon)
    counts = Counts(daemon)
    with HeldTable(database):
        assert daemon.ask(headers=signed_in).status == 503
    assert counts.grown("database_errors") == 1


def test_deaths_timeouts_and_reloads_are_counted_and_what_was_counted_outlives_them(database, new_daemon):
    daemon = new_daemon(
        {"server.workers": 2, "server.request_timeout": "1s", "database.statement_timeout": "60s"}
    ).start()
    daemon.await_workers(2)
    signed_in = sign_in(daemon)
    attempt(daemon, "alice", "wrong")
    counts = Counts(daemon)
    lasting = {key: value for key, value in counts.before.items() if "login" in key[0]}
    assert any(lasting.values())

    def see(name, times):
        wait_until(lambda: counts.grown(name) == times, f"{name} to have grown by {times}")

    os.kill(daemon.workers[0], signal.SIGKILL)
    see("worker_deaths", 1)
    see("worker_starts", 1)
    with HeldTable(database):
        assert daemon.ask(headers=signed_in, timeout=60).status is None
    see("worker_timeouts", 1)
    see("worker_deaths", 2)
    see("worker_starts", 2)
    daemon.send_signal(signal.SIGHUP)
    see("reloads", 1)
    see("worker_starts", 4)
    right = daemon.command() and daemon.conf.read_text()
    daemon.conf.write_text(right + "[server]\nworkers = none\n")
    daemon.send_signal(signal.SIGHUP)
    see("reloads_refused", 1)
    assert counts.grown("reloads") == 1
    daemon.conf.write_text(right)
    # One that goes because it was told to is no death.
    daemon.await_workers(2)
    os.kill(daemon.workers[0], signal.SIGTERM)
    see("worker_starts", 5)
    assert counts.grown("worker_deaths") == 2
    found = openmetrics.samples(metrics_of(daemon))
    # Only the answer that the killed worker did not give is missing anywhere.
    assert {key: value for key, value in found.items() if key in lasting} == lasting
    told = status_of(daemon)["counts"]
    assert told == {"worker_starts": 7, "worker_deaths": 2, "worker_timeouts": 1, "reloads": 1, "reloads_refused": 1}


@pytest.mark.slow
def test_live_sessions_are_those_of_all_hosts_and_at_most_ten_seconds_old(database, new_daemon):
    daemon = new_daemon({"session.idle_timeout": "1h"}).start()
    sign_in(daemon)

    def live():
        return openmetrics.samples(metrics_of(daemon)).get(("onesession_live_sessions",))

    wait_until(lambda: live() == 1, "the session to be counted", timeout=15)
    began = time.monotonic()
    for number in range(6):
        database.add_user(f"user{number}")
        put_session(database, f"user{number}", f"key{number}")
    database.add_user("late")
    put_session(database, "late", "expired", expires="-1 minute")
    put_session(database, "late", "idle", seen="2 hours")
    # Not counted for each who asks.
    shown = live()
    assert shown == 1 or time.monotonic() - began > 9
    wait_until(lambda: live() == 7, "the sessions to be counted", timeout=15)
    assert time.monotonic() - began < 14
    # What was known last is shown while the database is away.
    database.cluster.stop()
    assert live() == 7
    database.cluster.start()


# ---- Slow requests ---------------------------------------------------------------------------------------------------

STAGES = ("receive_ms", "wait_ms", "database_ms", "hash_ms", "work_ms", "send_ms")


def slow_requests(daemon):
    """Of each line, its fields."""
    return [
        dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', line))
        for line in daemon.log_text().splitlines()
        if re.search(r" warning \[\d+\] slow_request ", line)
    ]


def wait_for_slow(daemon, count=1, **wanted):
    """So many of those with such fields: on a machine that is slow just now, others are slow, too."""

    def lines():
        return [line for line in slow_requests(daemon) if wanted.items() <= line.items()]

    found = wait_until(lambda: lines() if len(lines()) >= count else None, f"{count} slow requests in the log")
    assert len(found) == count
    for line in found:
        assert set(line) == {"request_id", "method", "path", "status", "ms", *STAGES, "ip"}
        for name in STAGES:
            assert int(line[name]) >= 0, line
        # Each is cut to whole milliseconds.
        assert int(line["ms"]) - len(STAGES) <= sum(int(line[name]) for name in STAGES) <= int(line["ms"]) + 1, line
    return found


def let_pass(seconds):
    deadline = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > deadline, "some time to pass")


def in_the_database_for(daemon, seconds, **kwargs):
    with HeldTable(daemon.database) as table:
        call = Background(daemon.ask, **kwargs)
        waits_in_database(daemon.database)
        let_pass(seconds)
        table.let_go()
        return call.result()


def test_slow_request_leaves_one_line_with_where_its_time_went(new_daemon):
    daemon = new_daemon({"log.slow_request": "300ms", "log.level": "warning", **PATIENT}).start()
    signed_in = sign_in(daemon)
    key = signed_in["Cookie"].partition("=")[2]
    daemon.secrets |= {key, "hidden", daemon.database.password}
    answer = in_the_database_for(
        daemon, 0.5, path="/session/me", query="token=hidden", headers=signed_in, REQUEST_ID="0123456789abcdef"
    )
    assert answer.status == 200
    (line,) = wait_for_slow(daemon, path="/session/me")
    assert (line["method"], line["status"], line["ip"]) == ("GET", "200", "192.0.2.7")
    assert line["request_id"] == "0123456789abcdef"
    assert 500 <= int(line["database_ms"]) <= int(line["ms"])
    assert int(line["hash_ms"]) == int(line["wait_ms"]) == 0
    # Others leave none.
    slow = 0
    for _ in range(20):
        began = time.monotonic()
        assert daemon.ask(headers=signed_in).status == 200
        slow += time.monotonic() - began >= 0.3
    daemon.stop()
    assert all(int(line["ms"]) >= 300 for line in slow_requests(daemon))
    assert len([line for line in slow_requests(daemon) if line["path"] == "/session/auth"]) <= slow


def test_slow_login_leaves_no_password_in_the_log(new_daemon):
    daemon = new_daemon({"log.slow_request": "300ms", **PATIENT}).start()
    daemon.secrets |= {daemon.database.password, "hidden"}
    answer = in_the_database_for(
        daemon, 0.5, method="POST", path="/session/login", query="next=hidden", headers=JSON, body=CREDENTIALS
    )
    assert answer.status == 200
    (line,) = wait_for_slow(daemon, path="/session/login")
    assert (line["method"], line["status"]) == ("POST", "200")
    assert int(line["database_ms"]) >= 500
    daemon.secrets.add(answer.cookie())
    daemon.stop()


def test_slow_request_0_turns_it_off(new_daemon):
    daemon = new_daemon({"log.slow_request": "0", **PATIENT}).start()
    signed_in = sign_in(daemon)
    assert in_the_database_for(daemon, 0.5, headers=signed_in).status == 200
    daemon.stop()
    assert "slow_request" not in daemon.log_text()


def test_slow_request_is_one_line_of_json_too(new_daemon):
    daemon = new_daemon({"log.slow_request": "300ms", "log.format": "json", **PATIENT}).start()
    signed_in = sign_in(daemon)
    assert in_the_database_for(daemon, 0.5, headers=signed_in).status == 200
    daemon.stop()
    lines = [json.loads(line) for line in daemon.log_text().splitlines()]
    (line,) = [line for line in lines if line["event"] == "slow_request" and line["path"] == "/session/auth"]
    assert line["level"] == "warning" and line["database_ms"] >= 500


def test_time_that_a_request_waited_for_a_worker(new_daemon):
    """When every worker was busy, it is not the web server that was slow to send it."""
    daemon = new_daemon({"server.workers": 1, "log.slow_request": "300ms", **PATIENT}).start()
    with AllBusy(daemon) as busy:
        # The fallback worker is there.
        status_of(daemon)
        call = Background(daemon.ask)
        let_pass(0.5)
        busy.let_go()
        assert call.result().status == 401
    (line,) = wait_for_slow(daemon, status="401")
    assert int(line["wait_ms"]) >= 400
    assert int(line["receive_ms"]) < 300


COSTLY = {"login.memory": "64MiB", "login.passes": 6}


def test_time_that_a_login_takes_to_hash_and_waits_for_its_turn(new_daemon):
    """The second waits for the place of the first."""
    daemon = new_daemon({"login.max_hashing": 1, "log.slow_request": "100ms", **COSTLY, **PATIENT}).start()
    for name in ("alice", "bob"):
        Ctl(daemon.database.conninfo, **COSTLY).run("user", "passwd", name, stdin=daemon.database.password + "\n")
    both = [Background(attempt, daemon, name, daemon.database.password) for name in ("alice", "bob")]
    assert [call.result(120).status for call in both] == [200, 200]
    first, second = wait_for_slow(daemon, 2, path="/session/login")
    for line in (first, second):
        assert int(line["hash_ms"]) > 100
        assert int(line["database_ms"]) + int(line["receive_ms"]) < int(line["ms"]) / 2
    assert int(first["wait_ms"]) < int(first["hash_ms"])
    # They are sent at the same time, or nearly.
    assert int(second["wait_ms"]) > int(first["hash_ms"]) / 2


def test_time_that_a_failure_is_held_back_is_no_hashing(new_daemon):
    """It comes no sooner than one of the costliest form."""
    daemon = new_daemon({"log.slow_request": "100ms", **COSTLY, **PATIENT}).start()
    assert attempt(daemon).status == 401
    (line,) = wait_for_slow(daemon, path="/session/login")
    assert int(line["hash_ms"]) > 100
    assert int(line["wait_ms"]) > int(line["hash_ms"]) / 2
    assert int(line["database_ms"]) + int(line["receive_ms"]) < int(line["ms"]) / 2


@pytest.mark.parametrize("padding", [0, 50_000])
def test_time_that_a_peer_takes_to_send_its_request(new_daemon, padding):
    """In one piece with the rest, or as a body that the worker has to read while it comes."""
    daemon = new_daemon({"log.slow_request": "300ms", "server.io_timeout": "30s", "server.workers": 1}).start()
    body = json.dumps({"username": "alice", "password": "wrong", "padding": "x" * padding}).encode()
    whole = fastcgi.request_bytes(fastcgi.environ(method="POST", path="/session/login", headers=JSON, body=body), body)
    with daemon.connection() as peer:
        peer.send(whole[:-30])
        let_pass(0.5)
        peer.send(whole[-30:])
        assert peer.answer().status == 401
    (line,) = wait_for_slow(daemon, path="/session/login")
    assert int(line["receive_ms"]) >= 400
    assert int(line["wait_ms"]) < int(line["receive_ms"]) / 2


def test_time_that_earlier_requests_took_is_not_told_of_later_ones(new_daemon):
    """Of one that is answered before its turn comes, too."""
    daemon = new_daemon({"log.slow_request": "300ms", "server.io_timeout": "30s", "server.workers": 1, **PATIENT})
    signed_in = sign_in(daemon.start())
    assert in_the_database_for(daemon, 0.5, headers=signed_in).status == 200
    whole = fastcgi.request_bytes(fastcgi.environ(path="/session/nothing"))
    with daemon.connection() as peer:
        peer.send(whole[:50])
        let_pass(0.5)
        peer.send(whole[50:])
        assert peer.answer().status == 404
    (line,) = wait_for_slow(daemon, status="404")
    assert line["database_ms"] == "0"
    assert int(line["receive_ms"]) >= 400


@pytest.mark.slow
def test_time_that_a_login_waited_in_vain(new_daemon):
    daemon = new_daemon(
        {"server.workers": 2, "login.max_hashing": 1, "login.memory": "96MiB", "login.passes": 24, **PATIENT}
    ).start()
    flood = [Background(attempt, daemon, timeout=120) for _ in range(12)]
    statuses = [call.result(120).status for call in flood]
    assert 503 in statuses, "it was over too soon to show anything"
    for line in wait_for_slow(daemon, statuses.count(503), status="503"):
        assert int(line["hash_ms"]) == 0
        # Whose password it is was looked up before.
        assert int(line["database_ms"]) < 1000
        assert int(line["wait_ms"]) >= 9900


# ---- onesessionctl status --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host, form", [(None, None), ("127.0.0.1", "tcp:127.0.0.1:{}"), ("::1", "tcp:[::1]:{}")])
def test_ctl_status_asks_the_daemon_by_its_own_socket(new_daemon, host, form):
    daemon = new_daemon({"server.workers": 3})
    for _ in range(10):
        if host is not None:
            daemon.address = (host, harness.free_port(host))
            daemon.settings["server.listen"] = form.format(daemon.address[1])
        try:
            daemon.start()
            break
        except AssertionError:
            assert "in use" in daemon.log_text(), daemon.log_text()
    daemon.await_workers(3)
    # It needs no database.
    ctl = Ctl("host=/nonexistent", **{"server.listen": daemon.settings["server.listen"]})
    status = ctl.json("status")
    assert set(status) == set(status_of(daemon)) | {"database_warnings"}
    assert status["pid"] == daemon.process.pid
    assert sorted(worker["pid"] for worker in status["workers"]) == daemon.workers
    lines = ctl.run("status").splitlines()
    assert f"process {daemon.process.pid}" in lines[0]
    assert "workers started 3, died 0" in "\n".join(lines)
    assert lines[-4].split() == ["WORKER", "PID", "ROLE", "STATE", "UP", "REQUESTS", "AGE", "REQUEST"]
    assert sorted(int(line.split()[1]) for line in lines[-3:]) == daemon.workers
    assert len([line for line in lines if line.endswith("GET /session/status")]) == 1


def test_ctl_status_knows_prefix_and_operators_of_the_configuration(new_daemon):
    settings = {"server.prefix": "/some/where", "server.operators": " 192.0.2.0/24 ::1"}
    daemon = new_daemon(settings).start(wait="/some/where/ready")
    ctl = Ctl("host=/nonexistent", **{**settings, "server.listen": f"unix:{daemon.path} tcp:127.0.0.1:1"})
    assert ctl.json("status")["pid"] == daemon.process.pid
    assert "GET /some/where/status" in ctl.run("status")


def test_ctl_status_shows_who_is_busy_and_the_fallback_worker(new_daemon):
    daemon = new_daemon({"server.workers": 2, **PATIENT}).start()
    ctl = Ctl("host=/nonexistent", **{"server.listen": f"unix:{daemon.path}"})
    with AllBusy(daemon):
        lines = [line.split() for line in ctl.run("status").splitlines()[-3:]]
        assert [line[2] for line in lines] == ["worker", "worker", "fallback"]
        assert [line[3] for line in lines] == ["busy"] * 3
        assert [line[-2:] for line in lines] == [["POST", "/session/logout"]] * 2 + [["GET", "/session/status"]]
        assert all(re.fullmatch(r"\d+(ms|\.\ds)", line[6]) for line in lines)


def on_a_terminal(command, columns):
    """What it prints there, a line each."""
    ours, its = pty.openpty()
    try:
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=harness.environment())
        os.close(its)
        its = None
        shown = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        assert process.wait(60) == 0, shown
    finally:
        os.close(ours)
        if its is not None:
            os.close(its)
    return shown.decode().splitlines()


def test_ctl_status_fits_a_terminal_of_80_columns(new_daemon):
    prefix = "/" + "x" * 60
    daemon = new_daemon({"server.workers": 12, "server.prefix": prefix}).start(wait=f"{prefix}/ready")
    wait_until(lambda: len(daemon.workers) >= 12, "twelve workers")
    ctl = Ctl("host=/nonexistent", **{"server.listen": f"unix:{daemon.path}", "server.prefix": prefix})
    lines = on_a_terminal(ctl.command("status"), 80)
    assert len(lines) >= 14
    assert max(map(len, lines)) <= 80, max(lines, key=len)
    assert any("GET /xx" in line for line in lines)


def turned_away(ctl):
    """One line on standard error and exit status 1, whichever form was asked for."""
    said = ctl.refused("status")
    assert ctl.refused("--json", "status").split(":")[0] == said.split(":")[0] == "onesessionctl"
    return said


def test_ctl_status_of_a_daemon_that_does_not_run(new_daemon, tmp_path):
    port = harness.free_port()
    for listen in (f"unix:{tmp_path}/none", f"tcp:127.0.0.1:{port}"):
        assert listen in turned_away(Ctl("host=/nonexistent", **{"server.listen": listen}))
    daemon = new_daemon().start()
    daemon.kill()
    assert os.path.exists(daemon.path)
    assert daemon.path in turned_away(Ctl("host=/nonexistent", **{"server.listen": f"unix:{daemon.path}"}))


def test_ctl_status_says_why_the_daemon_turns_it_away(new_daemon):
    port = harness.free_port()
    daemon = new_daemon({"server.allowed_clients": "192.0.2.1", "server.allowed_users": "nobody"})
    daemon.settings["server.listen"] = f"unix:{daemon.path} tcp:127.0.0.1:{port}"
    daemon.start(wait=None)
    wait_until(lambda: not is_refused(daemon.path) and not is_refused(("127.0.0.1", port)), "it to listen")
    for listen in (f"unix:{daemon.path}", f"tcp:127.0.0.1:{port}"):
        for _ in range(5):
            said = turned_away(Ctl("host=/nonexistent", **{"server.listen": listen}))
            assert "server.allowed_users" in said and "server.allowed_clients" in said


def test_ctl_status_where_the_configurations_differ(new_daemon):
    daemon = new_daemon().start()
    listen = {"server.listen": f"unix:{daemon.path}"}
    for settings in ({"server.prefix": "/other"}, {"server.operators": "192.0.2.1"}, {"server.operators": ""}):
        assert "404" in turned_away(Ctl("host=/nonexistent", **listen, **settings))


END = fastcgi.record(fastcgi.END_REQUEST, b"\0" * 8)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x01",
        b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 70_000,
        fastcgi.record(fastcgi.STDOUT, b"Status: 200 OK\r\n\r\nno JSON") + END,
        fastcgi.record(fastcgi.STDOUT, b"Status: 200 OK\r\n\r\n[1]") + END,
        fastcgi.record(fastcgi.STDOUT, b"no header at all") + END,
        END,
    ],
    ids=["nothing", "a byte", "HTTP", "no JSON", "other JSON", "no header", "empty"],
)
def test_ctl_status_of_something_else_that_listens_there(said):
    path = f"{harness.scratch('x')}/s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(path)
        listening.listen(4)

        def serve():
            for _ in range(2):
                peer, _ = listening.accept()
                with peer:
                    peer.recv(65536)
                    try:
                        peer.sendall(said)
                    except OSError:
                        pass

        server = Background(serve)
        try:
            assert turned_away(Ctl("host=/nonexistent", **{"server.listen": f"unix:{path}"}))
            server.result()
        finally:
            harness.discard(os.path.dirname(path))

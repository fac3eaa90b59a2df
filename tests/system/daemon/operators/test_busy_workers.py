"""Operators are answered, and no request is lost, while every worker is busy."""

import json
import os
import signal
import time

import pytest

from support import fastcgi, openmetrics
from support.client import BOB, JSON, OPERATOR, UNKNOWN, attempt, is_refused, sign_in
from support.locks import PATIENT, AllBusy, HeldTable, somebody_signed_in, waits_in_database
from support.programs import Ctl
from support.status import Counts, fallback_workers_in, metrics_of, status_of, workers_in
from support.waiting import Background, wait_until


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
        # Not asked for: the new workers may be at logins by now.
        daemon.await_line("reloaded")
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
        {"server.workers": 2, "login.max_hashing": 2, "login.memory": "64MiB", "login.passes": 4, **PATIENT}
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
        # What the processors do is to hash, not to ask.
        time.sleep(0.02)
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

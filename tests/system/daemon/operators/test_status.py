"""/session/status: what it says, and to whom."""

import json
import signal
import subprocess

import pytest

from support import fastcgi
from support.client import BOB, JSON, OPERATOR, attempt, sign_in
from support.locks import EITHER_WAY, LOOK_UP, PATIENT, HeldTable, waits_in_database
from support.status import fallback_workers_in, status_of, workers_in
from support.waiting import TIME, Background, wait_until


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
    assert set(status) == {"version", "pid", "started_at", "uptime_ms", "hashing", "counts", "modules", "workers"}
    assert [module["name"] for module in status["modules"]] == ["session"]
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

        # An answer is out a moment before its worker is at rest, and the next may come from the other one.
        for _ in range(10):
            wait_until(are_at_rest, "the requests before to be over")
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

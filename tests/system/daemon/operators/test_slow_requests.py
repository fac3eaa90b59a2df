"""The line of the log for a slow request: where its time went."""

import json
import re
import time

import pytest

from support import fastcgi, openmetrics
from support.client import CREDENTIALS, JSON, attempt, sign_in
from support.locks import PATIENT, AllBusy, HeldTable, waits_in_database
from support.programs import Ctl
from support.status import metrics_of, status_of
from support.stopped import stopped
from support.waiting import Background, wait_until

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
    Ctl(daemon.database.conninfo, **COSTLY).run("user", "passwd", "alice", stdin=daemon.database.password + "\n")
    daemon.database.query("UPDATE users SET password = (SELECT password FROM users WHERE username = 'alice')")
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
        {"server.workers": 2, "login.max_hashing": 1, "login.memory": "64MiB", "login.passes": 4, **PATIENT}
    ).start()
    flood = [Background(attempt, daemon, timeout=120) for _ in range(12)]
    wait_until(lambda: openmetrics.samples(metrics_of(daemon))["onesession_hashing_waiting",] >= 6, "logins to wait")
    # The one before them takes longer than they wait, without taking a processor.
    with stopped(daemon.hasher):
        let_pass(10.2)
    statuses = [call.result(120).status for call in flood]
    assert 503 in statuses, "it was over too soon to show anything"
    for line in wait_for_slow(daemon, statuses.count(503), status="503"):
        assert int(line["hash_ms"]) == 0
        # Whose password it is was looked up before.
        assert int(line["database_ms"]) < 1000
        assert int(line["wait_ms"]) >= 9900

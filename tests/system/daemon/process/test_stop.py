"""How the daemon ends: by TERM, INT, and when its master is killed."""

import os
import signal
import subprocess
import time

import pytest

from support import fastcgi
from support.client import JSON, LOGIN, is_refused, sign_in
from support.locks import EITHER_WAY, HeldTable, waits_in_database
from support.processes import children_of, is_alive
from support.programs import NOT_LISTENING, environment
from support.waiting import Background, wait_until


@EITHER_WAY
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_requests_in_flight_are_finished_before_the_end(database, new_daemon, number, waiting):
    table, request, status = waiting
    daemon = new_daemon({"server.workers": 2, "database.statement_timeout": "25s"}).start()
    signed_in = sign_in(daemon)
    with HeldTable(database, table) as held:
        call = Background(daemon.ask, headers={**JSON, **signed_in}, **request)
        waits_in_database(database)
        daemon.send_signal(number)
        wait_until(lambda: is_refused(daemon.path), "the socket to be gone")
        assert daemon.process.poll() is None
        assert not call.is_done
        held.let_go()
        assert call.result().status == status
    assert daemon.wait() == 0
    daemon.check_log()


def test_login_in_flight_is_finished_before_the_end(database, new_daemon):
    daemon = new_daemon({"database.statement_timeout": "25s"}).start()
    sign_in(daemon)
    with HeldTable(database) as table:
        call = Background(daemon.ask, **LOGIN)
        waits_in_database(database)
        daemon.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(daemon.path), "the socket to be gone")
        table.let_go()
        assert call.result().status == 200
    assert daemon.wait() == 0
    assert len(database.sessions()) == 1


def test_whoever_has_connected_before_the_end_is_answered(new_daemon):
    """A load of requests while it ends: each is answered or was never let in."""
    for _ in range(3):
        daemon = new_daemon({"server.workers": 2}).start()
        lost = []
        served = []

        def ask(daemon=daemon, lost=lost, served=served):
            while True:
                try:
                    status = daemon.ask().status
                except NOT_LISTENING:
                    return
                (served if status == 401 else lost).append(status)

        calls = [Background(ask) for _ in range(4)]
        wait_until(lambda served=served: len(served) > 100, "the load")
        daemon.send_signal(signal.SIGTERM)
        for call in calls:
            call.result()
        assert daemon.wait() == 0
        assert lost == [], f"{len(lost)} of {len(lost) + len(served)} requests were lost"


@EITHER_WAY
def test_requests_that_nobody_had_time_for_yet_are_finished_before_the_end(database, new_daemon, waiting):
    """They have connected, and the only worker is busy, or waits itself."""
    table, request, status = waiting
    daemon = new_daemon({"server.workers": 1, "database.statement_timeout": "25s"}).start()
    signed_in = sign_in(daemon)
    other = {"Cookie": "onesession=" + "A" * 43}
    with HeldTable(database, table) as held:
        call = Background(daemon.ask, headers={**JSON, **signed_in}, **request)
        waits_in_database(database)
        peers = [daemon.connection() for _ in range(10)]
        try:
            for number, peer in enumerate(peers):
                peer.send(fastcgi.request_bytes(fastcgi.environ(headers=other if number % 2 else {})))
            daemon.send_signal(signal.SIGTERM)
            wait_until(lambda: is_refused(daemon.path), "the socket to be gone")
            held.let_go()
            assert [peer.answer().status for peer in peers] == [401] * 10
        finally:
            for peer in peers:
                peer.close()
        assert call.result().status == status
    assert daemon.wait() == 0


@EITHER_WAY
def test_request_that_does_not_end_is_given_up_after_shutdown_timeout(database, new_daemon, waiting):
    table, request, _ = waiting
    daemon = new_daemon({"server.shutdown_timeout": "1s", "database.statement_timeout": "25s"}).start()
    signed_in = sign_in(daemon)
    with HeldTable(database, table):
        call = Background(daemon.ask, headers=signed_in, **request)
        waits_in_database(database)
        workers = [*daemon.workers, daemon.hasher]
        daemon.send_signal(signal.SIGTERM)
        began = time.monotonic()
        daemon.wait(10)
        assert 0.9 < time.monotonic() - began < 6
        assert call.result().status is None
    assert not any(is_alive(pid) for pid in workers)
    assert not os.path.exists(daemon.path)


@EITHER_WAY
def test_int_stops_at_once(database, new_daemon, waiting):
    table, request, _ = waiting
    daemon = new_daemon({"database.statement_timeout": "25s"}).start()
    signed_in = sign_in(daemon)
    with HeldTable(database, table):
        call = Background(daemon.ask, headers=signed_in, **request)
        waits_in_database(database)
        workers = [*daemon.workers, daemon.hasher]
        daemon.send_signal(signal.SIGINT)
        began = time.monotonic()
        daemon.wait(10)
        assert time.monotonic() - began < 3
        assert call.result().status is None
    assert not any(is_alive(pid) for pid in workers)
    assert not os.path.exists(daemon.path)


def test_int_stops_also_what_is_stopping(database, new_daemon):
    daemon = new_daemon({"database.statement_timeout": "25s"}).start()
    signed_in = sign_in(daemon)
    with HeldTable(database):
        Background(daemon.ask, headers=signed_in)
        waits_in_database(database)
        daemon.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(daemon.path), "the socket to be gone")
        daemon.send_signal(signal.SIGINT)
        began = time.monotonic()
        daemon.wait(10)
        assert time.monotonic() - began < 3


def test_signals_in_any_order_end_it_once(new_daemon):
    term, quit_ = signal.SIGTERM, signal.SIGQUIT
    for numbers in ((term, term), (quit_, term), (term, quit_)):
        daemon = new_daemon().start()
        for number in numbers:
            daemon.send_signal(number)
        assert daemon.wait() == 0
        daemon.check_log()


@pytest.mark.parametrize("wait", [None, "/session/ready"])
def test_term_right_after_the_start_is_not_lost(new_daemon, wait):
    for delay in (0.0, 0.005, 0.02, 0.05):
        daemon = new_daemon()
        daemon.start(wait=wait)
        if wait is None:
            # When it is up to having a handler is its own affair: by a signal or in order, it ends.
            time.sleep(delay)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait() in ((0, -signal.SIGTERM) if wait is None else (0,))
        assert is_refused(daemon.path)


def test_nobody_outlives_a_killed_master(database, new_daemon):
    daemon = new_daemon({"server.workers": 4}).start()
    daemon.await_workers(4)
    wait_until(lambda: daemon.hasher is not None, "the hasher")
    children = children_of(daemon.process.pid)
    assert daemon.hasher in children
    daemon.process.kill()
    daemon.process.wait()
    wait_until(lambda: not any(is_alive(pid) for pid in children), "all to end")
    assert is_refused(daemon.path)
    wait_until(lambda: database.cluster.backends(database.name) == [], "their connections to be closed")


@EITHER_WAY
def test_worker_in_a_request_does_not_outlive_a_killed_master(database, new_daemon, waiting):
    table, request, _ = waiting
    daemon = new_daemon(
        {"server.workers": 1, "server.request_timeout": "5s", "database.statement_timeout": "2s"}
    ).start()
    signed_in = sign_in(daemon)
    workers = [*daemon.workers, daemon.hasher]
    with HeldTable(database, table):
        call = Background(daemon.ask, headers=signed_in, **request)
        waits_in_database(database)
        daemon.process.kill()
        daemon.process.wait()
        wait_until(lambda: not any(is_alive(pid) for pid in workers), "the worker to end", timeout=15)
    call.result()


def test_purge_process_does_not_outlive_the_daemon(database, new_daemon):
    daemon = new_daemon(
        {"server.workers": 1, "session.purge_interval": "1s", "database.statement_timeout": "10s"}
    ).start()
    database.query(
        "INSERT INTO sessions (session_key, user_id, expires_at)"
        " VALUES (sha256('x'), (SELECT min(id) FROM users), now() - interval '1 hour')"
    )
    with HeldTable(database):
        waits_in_database(database)
        processes = children_of(daemon.process.pid)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(15) == 0
        wait_until(lambda: not any(is_alive(pid) for pid in processes), "the purge to end", timeout=15)


def test_daemon_stays_in_the_foreground_and_keeps_quiet_on_standard_output(database, new_daemon):
    daemon = new_daemon()
    command = daemon.command()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    )
    try:
        wait_until(lambda: not is_refused(daemon.path) and daemon.ask().status == 401, "it to answer")
        assert process.poll() is None
        assert os.getpgid(process.pid) == os.getpgid(0)
        process.terminate()
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert out == b""
    assert err

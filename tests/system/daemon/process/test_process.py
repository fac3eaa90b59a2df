"""The daemon as a process: its sockets, its workers, its signals."""

import os
import pwd
import signal
import time

import pytest

from support import fastcgi
from support.client import LOGIN, is_refused, sign_in
from support.locks import EITHER_WAY, HeldTable, waits_in_database
from support.processes import cpu_seconds, is_alive, resident_bytes, uids_of
from support.waiting import Background, wait_until


# ---- Root ------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_is_given_up(new_daemon):
    account = pwd.getpwnam("nobody")
    daemon = new_daemon({"server.user": "nobody"})
    os.chown(daemon.folder, account.pw_uid, account.pw_gid)
    daemon.start()
    for pid in (daemon.process.pid, daemon.hasher, *daemon.workers):
        assert uids_of(pid) == [account.pw_uid] * 4
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            groups = [line.split()[1:] for line in status if line.startswith(("Gid:", "Groups:"))]
        assert groups[0] == [str(account.pw_gid)] * 4
        assert "0" not in groups[1]
    assert daemon.ask(**LOGIN).status == 200
    daemon.stop()
    assert not os.path.exists(daemon.path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_user_that_does_not_exist_is_told(new_daemon):
    daemon = new_daemon({"server.user": "no-such-user"}).start(wait=None)
    assert daemon.wait() in (1, 78)
    assert "no-such-user" in daemon.log_text()
    assert is_refused(daemon.path)


# ---- Workers ---------------------------------------------------------------------------------------------------------


def test_as_many_workers_as_configured(new_daemon):
    for count in (1, 5):
        daemon = new_daemon({"server.workers": count}).start()
        wait_until(lambda daemon=daemon, count=count: len(daemon.workers) == count, "the workers")
        daemon.stop()


def test_master_holds_no_database_connection(cluster, database, new_daemon):
    """As many connections as workers, and the master has no socket but those it listens on and its own pair."""
    daemon = new_daemon({"server.workers": 3}).start()
    wait_until(lambda: len(cluster.backends(database.name)) == 3, "three connections")
    connected = []
    for descriptor in os.listdir(f"/proc/{daemon.process.pid}/fd"):
        try:
            target = os.readlink(f"/proc/{daemon.process.pid}/fd/{descriptor}")
        except FileNotFoundError:
            continue
        if target.startswith("socket:"):
            connected.append(target[8:-1])
    with open("/proc/net/unix", encoding="utf-8") as table:
        states = {line.split()[6]: line.split() for line in table if line[0] != "N"}
    # PostgreSQL's are of the type SOCK_STREAM (1); the pair over which connections are handed on is SOCK_SEQPACKET (5).
    streams = [states[inode] for inode in connected if inode in states and states[inode][4] == "0001"]
    assert [fields[7] if len(fields) > 7 else "" for fields in streams] == [daemon.path]


def test_killed_worker_is_replaced(daemon):
    for _ in range(3):
        before = daemon.await_workers(2)
        os.kill(before[0], signal.SIGKILL)
        wait_until(lambda: len(daemon.workers) == 2 and before[0] not in daemon.workers, "another worker")
        for _ in range(10):
            assert daemon.ask().status == 401
    assert "killed" in daemon.log_text().lower()


def test_all_workers_killed_at_once_are_replaced(daemon):
    signed_in = sign_in(daemon)
    before = set(daemon.workers)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(daemon.workers) - before) == 2, "other workers")
    assert daemon.ask(headers=signed_in).status == 200


# SIGTRAP and not SIGSEGV, which the sanitizers take for a defect that they have found.
@pytest.mark.parametrize("number", [signal.SIGTRAP, signal.SIGABRT, signal.SIGKILL])
def test_worker_that_crashes_over_and_over_is_replaced_with_back_off(new_daemon, number):
    daemon = new_daemon({"server.workers": 1}).start()
    seen = set()
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        for pid in daemon.workers:
            seen.add(pid)
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        time.sleep(0.001)
    assert 2 <= len(seen) <= 40, f"{len(seen)} workers in 2 s"
    wait_until(lambda: daemon.ask(timeout=20).status == 401, "it to answer again")
    assert cpu_seconds(daemon.process.pid) < 1.5


def test_worker_that_is_told_to_end_finishes_and_is_replaced(new_daemon):
    """An operator may retire one by TERM: nobody notices."""
    daemon = new_daemon({"server.workers": 2}).start()
    before = daemon.workers
    os.kill(before[0], signal.SIGTERM)
    for _ in range(50):
        assert daemon.ask().status == 401
    wait_until(lambda: before[0] not in daemon.workers and len(daemon.workers) == 2, "another worker")


def test_workers_are_renewed_after_max_requests_without_losing_any(new_daemon):
    daemon = new_daemon({"server.workers": 2, "server.max_requests": 10}).start()
    before = set(daemon.workers)
    seen = set(before)

    def are_renewed():
        calls = [Background(daemon.ask) for _ in range(5)]
        assert {call.result().status for call in calls} == {401}
        seen.update(daemon.workers)
        return len(seen) >= 6

    wait_until(are_renewed, "workers to be renewed twice")
    wait_until(lambda: not before & set(daemon.workers), "the first workers to be renewed")


@EITHER_WAY
def test_worker_with_a_request_past_its_deadline_is_killed_counted_and_replaced(database, new_daemon, waiting):
    table, request, _ = waiting
    daemon = new_daemon(
        {"server.workers": 1, "server.request_timeout": "1s", "database.statement_timeout": "20s"}
    ).start()
    signed_in = sign_in(daemon)
    (worker,) = daemon.await_workers(1)
    with HeldTable(database, table):
        began = time.monotonic()
        answer = daemon.ask(headers=signed_in, timeout=15, **request)
        took = time.monotonic() - began
        assert answer.status is None
        assert 0.9 < took < 6, f"it took {took:.1f} s"
        wait_until(lambda: not is_alive(worker), "the worker to be killed")
    wait_until(lambda: daemon.workers and worker not in daemon.workers, "another worker")
    # Whether the one that was killed had signed out is up to the database, which had been told all of it.
    wait_until(lambda: daemon.ask(headers=signed_in).status in (200, 401), "it to serve again")
    assert "overdue" in daemon.log_text() or "deadline" in daemon.log_text()
    daemon.stop()
    assert "requests_overdue=1" in daemon.log_text()


@EITHER_WAY
def test_worker_that_is_stopped_in_a_request_is_killed_and_replaced(database, new_daemon, waiting):
    """Whatever it is that a worker hangs in."""
    table, request, _ = waiting
    daemon = new_daemon({"server.workers": 1, "server.request_timeout": "1s"}).start()
    signed_in = sign_in(daemon)
    (worker,) = daemon.await_workers(1)
    with HeldTable(database, table) as held:
        call = Background(daemon.ask, headers=signed_in, **request)
        waits_in_database(database)
        os.kill(worker, signal.SIGSTOP)
        held.let_go()
        wait_until(lambda: worker not in daemon.workers and daemon.workers, "another worker")
    assert call.result().status is None
    assert daemon.ask(headers=signed_in).status in (200, 401)


def test_idle_worker_is_not_killed_at_the_deadline(new_daemon):
    daemon = new_daemon({"server.workers": 2, "server.request_timeout": "1s"}).start()
    assert daemon.ask().status == 401
    workers = daemon.workers
    with daemon.connection() as peer:
        peer.send(fastcgi.request_bytes(fastcgi.environ())[:30])
        deadline = time.monotonic() + 2
        wait_until(lambda: time.monotonic() > deadline, "two deadlines to pass")
    assert daemon.workers == workers


def test_descriptors_and_memory_do_not_grow(new_daemon):
    daemon = new_daemon({"server.workers": 1, "server.io_timeout": "1s"}).start()
    signed_in = sign_in(daemon)
    (worker,) = daemon.await_workers(1)

    def several():
        for _ in range(300):
            daemon.ask(headers=signed_in)
            daemon.ask(path="/session/nothing")
            with daemon.connection() as peer:
                peer.send(b"\x01\x01")

    def size():
        descriptors = len(os.listdir(f"/proc/{worker}/fd"))
        return descriptors, resident_bytes(worker)

    several()
    wait_until(lambda: size()[0] < 40, "the closed connections to be let go")
    first = size()
    several()
    wait_until(lambda: size()[0] <= first[0], "the closed connections to be let go")
    assert size()[1] - first[1] < 4 * 1024 * 1024
    assert daemon.workers == [worker]


def test_many_more_peers_than_descriptors_are_survived(new_daemon):
    """A worker that has no descriptor left waits for one, and does not spin."""
    daemon = new_daemon({"server.workers": 1, "server.io_timeout": "2s"})
    daemon.start(["sh", "-c", 'ulimit -n 40; exec "$@"', "sh", *daemon.command()])
    (worker,) = daemon.await_workers(1)
    peers = []
    try:
        for _ in range(80):
            peers.append(daemon.connection())
            peers[-1].send(b"\x01")
        before = cpu_seconds(worker)
        wait_until(lambda: daemon.ask(timeout=20).status == 401, "it to answer when the silent ones are let go")
        assert cpu_seconds(worker) - before < 0.8
    finally:
        for peer in peers:
            peer.close()
    assert daemon.workers == [worker]

"""The daemon as a process: its sockets, its workers, its signals."""

import json
import os
import pwd
import signal
import socket
import stat
import subprocess
import time

import pytest

from support import fastcgi
from support.client import JSON, LOGIN, is_refused, sign_in
from support.locks import EITHER_WAY, HeldTable, waits_in_database
from support.processes import children_of, cpu_seconds, free_port, is_alive, resident_bytes, uids_of
from support.programs import NOT_LISTENING, environment
from support.waiting import Background, wait_until


# ---- Sockets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [None, "0600", "0666"])
def test_own_unix_socket_has_its_mode_and_goes_with_the_daemon(new_daemon, mode):
    daemon = new_daemon()
    del daemon.settings["server.listen_mode"]
    if mode is not None:
        daemon.settings["server.listen_mode"] = mode
    daemon.start()
    assert stat.S_IMODE(os.stat(daemon.path).st_mode) == int(mode or "0660", 8)
    assert stat.S_ISSOCK(os.stat(daemon.path).st_mode)
    daemon.stop()
    assert not os.path.exists(daemon.path)
    assert is_refused(daemon.path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket away")
def test_own_unix_socket_has_its_owner(new_daemon):
    account = pwd.getpwnam("www-data")
    daemon = new_daemon({"server.listen_owner": "www-data", "server.listen_group": "www-data"}).start()
    assert os.stat(daemon.path).st_uid == account.pw_uid
    assert os.stat(daemon.path).st_gid == account.pw_gid


@pytest.mark.parametrize("host, form", [("127.0.0.1", "tcp:127.0.0.1:{}"), ("::1", "tcp:[::1]:{}")])
def test_tcp_socket(new_daemon, host, form):
    for _ in range(10):
        port = free_port(host)
        daemon = new_daemon({"server.listen": form.format(port)})
        daemon.address = (host, port)
        try:
            daemon.start()
            break
        except AssertionError:
            # Somebody else may have got the port in the meantime, and nothing else may be the cause.
            assert "in use" in daemon.log_text(), daemon.log_text()
    assert daemon.ask().status == 401
    assert daemon.ask(**LOGIN).status == 200
    daemon.stop()
    assert is_refused(daemon.address)


def test_tcp_clients_that_are_not_allowed_are_turned_away(new_daemon):
    for host, form in (("127.0.0.1", "tcp:127.0.0.1:{}"), ("::1", "tcp:[::1]:{}")):
        port = free_port(host)
        daemon = new_daemon({"server.listen": form.format(port), "server.allowed_clients": "192.0.2.0/24 2001:db8::1"})
        daemon.address = (host, port)
        daemon.start(wait=None)
        wait_until(lambda address=(host, port): not is_refused(address), f"it to listen:\n{daemon.log_text()}")
        assert daemon.ask().status is None
        daemon.stop()


def test_several_sockets(new_daemon):
    daemon = new_daemon()
    port = free_port()
    paths = [str(daemon.folder / name) for name in ("s", "other")]
    daemon.settings["server.listen"] = f"unix:{paths[0]} unix:{paths[1]} tcp:127.0.0.1:{port}"
    daemon.start()
    for address in (*paths, ("127.0.0.1", port)):
        assert fastcgi.send(address, fastcgi.environ()).status == 401
    daemon.stop()
    assert not any(os.path.exists(path) for path in paths)


def test_socket_on_descriptor_0_by_spawn_fcgi(new_daemon):
    daemon = new_daemon({"server.listen": "unix:/nonexistent/socket"})
    given = str(daemon.folder / "given")
    daemon.address = given
    daemon.start(["spawn-fcgi", "-n", "-s", given, "-M", "0666", "--", *daemon.command()])
    assert daemon.ask(**LOGIN).status == 200
    daemon.stop()
    assert os.path.exists(given), "it removed a socket that is not its own"


def test_socket_on_descriptor_0_of_the_service_manager(new_daemon):
    daemon = new_daemon({"server.listen": "unix:/nonexistent/socket"})
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        daemon.address = listening.getsockname()
        daemon.start(stdin=listening)
        assert daemon.ask().status == 401
        daemon.stop()


def test_standard_input_that_is_no_listening_socket_is_left_alone(new_daemon):
    """A connected socket, a pipe, or nothing at all."""
    one, other = socket.socketpair()
    with one, other:
        daemon = new_daemon().start(stdin=one)
        assert daemon.ask().status == 401
        daemon.stop()
    closed = new_daemon()
    closed.start(["sh", "-c", 'exec "$@" <&-', "sh", *closed.command()])
    assert closed.ask(**LOGIN).status == 200


def test_sockets_of_systemd(new_daemon):
    daemon = new_daemon({"server.listen": "unix:/nonexistent/socket"})
    paths = [str(daemon.folder / name) for name in ("one", "two")]
    daemon.address = paths[0]
    passed_on = [word for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS") for word in ("-E", name)]
    # It starts the program at the first connection.
    daemon.start(["systemd-socket-activate", *passed_on, "-l", paths[0], "-l", paths[1], *daemon.command()])
    for path in paths:
        assert fastcgi.send(path, fastcgi.environ()).status == 401
    daemon.stop()
    assert all(os.path.exists(path) for path in paths), "it removed a socket that is not its own"


def test_sockets_of_systemd_go_before_descriptor_0(new_daemon):
    daemon = new_daemon({"server.listen": "unix:/nonexistent/socket"})
    with socket.socket() as first, socket.socket() as second:
        for listening in (first, second):
            listening.bind(("127.0.0.1", 0))
            listening.listen(16)
        daemon.address = first.getsockname()
        script = 'fd=$1; shift; exec 3<&$fd; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
        daemon.start(
            ["bash", "-c", script, "bash", str(first.fileno()), *daemon.command()],
            stdin=second,
            pass_fds=[first.fileno()],
        )
        assert daemon.ask().status == 401
        with fastcgi.Connection(second.getsockname(), timeout=1) as ignored:
            ignored.send(fastcgi.request_bytes(fastcgi.environ()))
            with pytest.raises(TimeoutError):
                ignored.answer()


def test_socket_left_behind_by_a_killed_daemon_is_taken_over(new_daemon):
    daemon = new_daemon().start()
    daemon.kill()
    assert os.path.exists(daemon.path)
    daemon.start()
    assert daemon.ask().status == 401


def test_second_daemon_on_the_same_socket_refuses_and_leaves_the_first_alone(new_daemon):
    first, second = new_daemon().start(), new_daemon()
    second.settings["server.listen"] = f"unix:{first.path}"
    second.start(wait=None)
    assert second.wait() == 1
    assert first.path in second.log_text()
    assert first.ask().status == 401


def test_path_that_is_no_socket_is_not_removed(new_daemon):
    daemon = new_daemon()
    with open(daemon.path, "w", encoding="utf-8") as file:
        file.write("precious")
    daemon.start(wait=None)
    assert daemon.wait() == 1
    with open(daemon.path, encoding="utf-8") as file:
        assert file.read() == "precious"


@pytest.mark.parametrize("listen", ["unix:/nonexistent/folder/socket", "tcp:192.0.2.1:9", "unix:/" + "x" * 200])
def test_socket_that_cannot_be_opened_is_told(new_daemon, listen):
    daemon = new_daemon({"server.listen": listen}).start(wait=None)
    assert daemon.wait() in (1, 78)
    assert listen.partition(":")[2][:40] in daemon.log_text()


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


# ---- The end ---------------------------------------------------------------------------------------------------------


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


# ---- The log ---------------------------------------------------------------------------------------------------------


def test_log_to_a_file(new_daemon):
    daemon = new_daemon()
    path = daemon.folder / "to-file"
    daemon.settings["log.to"] = str(path)
    daemon.start()
    daemon.stop()
    assert path.read_text().count("\n") >= 2
    assert stat.S_IMODE(path.stat().st_mode) & 0o027 == 0


def test_log_in_json_is_json_in_every_line(new_daemon):
    daemon = new_daemon({"log.format": "json"}).start()
    hostile = {**JSON, "User-Agent": 'x"\n\\\x1b[31m'}
    daemon.ask(method="POST", path="/session/login", headers=hostile, body='{"username": "a\\nb", "password": "x"}')
    daemon.ask(path='/session/"\\\x01\n')
    daemon.ask(**LOGIN)
    daemon.stop()
    lines = daemon.log_text().splitlines()
    events = [json.loads(line) for line in lines]
    words = {value for event in events for value in event.values() if isinstance(value, str)}
    assert {"user_login_failed", "user_logged_in"} <= words


def test_what_a_client_sends_cannot_forge_a_line_of_the_log(new_daemon):
    daemon = new_daemon({"log.level": "debug"}).start()
    forged = "x\n2026-01-01T00:00:00Z error forged"
    daemon.ask(path="/session/" + forged, headers={"User-Agent": forged}, REMOTE_ADDR=forged, REQUEST_ID=forged)
    daemon.ask(method="POST", path="/session/login", headers=JSON, body='{"username": "a\\nforged", "password": "x"}')
    daemon.ask(method=forged)
    daemon.stop()
    assert not [line for line in daemon.log_text().splitlines() if line.startswith(("2026-01-01T", "forged"))]
    assert all(character.isprintable() or character == "\n" for character in daemon.log_text())


def test_request_id_of_the_web_server_is_in_the_log(new_daemon):
    daemon = new_daemon({"log.level": "debug"}).start()
    daemon.ask(REQUEST_ID="0123456789abcdef0123456789abcdef", **LOGIN)
    daemon.stop()
    lines = [line for line in daemon.log_text().splitlines() if "0123456789abcdef0123456789abcdef" in line]
    assert any("user_logged_in" in line for line in lines)


def test_log_level_leaves_out_what_is_below(new_daemon):
    daemon = new_daemon({"log.level": "error"}).start()
    daemon.ask(**LOGIN)
    daemon.stop()
    assert daemon.log_text() == ""

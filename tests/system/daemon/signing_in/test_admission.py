"""Nobody keeps the guard from those who are signed in: what may occupy a worker, a place to hash, a connection."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support import fastcgi
from support.client import CREDENTIALS, JSON, sign_in
from support.locks import HeldTable, waits_in_database
from support.openmetrics import samples
from support.processes import is_alive
from support.programs import environment
from support.rows import put_session
from support.stopped import stopped
from support.waiting import PATIENCE, Background, wait_until

# A hash takes a while, so that logins have to wait for one another: a tenth of a second on a quiet machine.
SLOW = {"login.memory": "64MiB", "login.passes": 3}
WAITING_MAX = 64


def login_bytes(username="nobody", password="wrong password", address="192.0.2.9", **more):
    body = json.dumps({"username": username, "password": password}).encode()
    params = fastcgi.environ(
        method="POST", path="/session/login", headers=JSON, body=body, REMOTE_ADDR=address, **more
    )
    return fastcgi.request_bytes(params, body)


def hashing(daemon):
    return json.loads(daemon.ask(path="/session/status", REMOTE_ADDR="127.0.0.1").body)["hashing"]


def metric(daemon, name):
    return samples(daemon.ask(path="/session/metrics", REMOTE_ADDR="127.0.0.1").body.decode())[name,]


@contextlib.contextmanager
def connections(daemon, count, data):
    """As many, each with that sent."""
    with contextlib.ExitStack() as stack:
        made = []
        for number in range(count):
            made.append(stack.enter_context(daemon.connection(timeout=PATIENCE)))
            made[-1].send(data(number) if callable(data) else data)
        yield made


# ---- Logins ----------------------------------------------------------------------------------------------------------


def test_logins_that_wait_to_be_hashed_hold_up_nobody(new_daemon):
    """With one worker, which all of them come to."""
    daemon = new_daemon({"server.workers": 1, "login.max_hashing": 1, **SLOW}).start()
    signed_in = sign_in(daemon)
    with connections(daemon, 20, login_bytes()) as flood:
        wait_until(lambda: metric(daemon, "onesession_hashing_waiting") > 10, "logins to wait")
        for path, headers, status in [
            ("/session/auth", signed_in, 200),
            ("/session/auth", {}, 401),
            ("/session/account", signed_in, 200),
            ("/session/login", {}, 200),
        ]:
            assert daemon.ask(path=path, headers=headers).status == status
        assert hashing(daemon) == {"in_use": 1, "slots": 1}
        assert not any(connection.is_closed(0.01) for connection in flood[-3:])


def test_flood_finds_a_bounded_place_to_wait_and_is_told_at_once(new_daemon):
    daemon = new_daemon({"server.workers": 2, "login.max_hashing": 1, **SLOW}).start()
    signed_in = sign_in(daemon)
    with connections(daemon, 3 * WAITING_MAX, login_bytes()):
        # However many there are, what waits is bounded; all the others are answered while the first is hashed.
        wait_until(lambda: metric(daemon, "onesession_throttled_total") >= WAITING_MAX, "logins to be turned away")
        assert metric(daemon, "onesession_hashing_waiting") <= WAITING_MAX
        assert hashing(daemon)["in_use"] == 1
        assert daemon.ask(headers=signed_in).status == 200
        answer = fastcgi.send(daemon.address, fastcgi.environ(
            method="POST", path="/session/login", headers=JSON,
            body=b'{"username":"nobody","password":"x"}', REMOTE_ADDR="192.0.2.9",
        ), b'{"username":"nobody","password":"x"}')
        assert (answer.status, json.loads(answer.body)["code"]) == (503, "busy")
        assert int(answer.get("Retry-After")) > 0


@pytest.mark.parametrize("addresses", ["one", "many"])
def test_right_password_gets_through_a_flood(database, new_daemon, addresses):
    """From an address and for an account of its own: it goes before those that have tried more of late."""
    cost = {"login.memory": "32MiB", "login.passes": 2}
    daemon = new_daemon({"server.workers": 2, "login.max_hashing": 1, **cost}).start()

    # The first tries of so few that they are hashed, before it, within the time that anybody waits.
    def flood(number):
        address = "192.0.2.9" if addresses == "one" else f"10.{number % 2}.0.{number % 10}"
        return login_bytes(f"name{number % 10}", address=address)

    with connections(daemon, 4 * WAITING_MAX, flood):
        wait_until(lambda: metric(daemon, "onesession_hashing_waiting") > WAITING_MAX // 2, "logins to wait")
        before = database.value("SELECT count(*) FROM events WHERE name = 'user_login_failed'")
        answer = Background(
            fastcgi.send, daemon.address, None, json.dumps({"username": "alice", "password": database.password}),
            timeout=PATIENCE, method="POST", path="/session/login", headers=JSON, REMOTE_ADDR="198.51.100.1",
        ).result()
        assert answer.status == 200
        # Behind the one that was being hashed and those that were the first of their addresses, too.
        failures = database.value("SELECT count(*) FROM events WHERE name = 'user_login_failed'") - before
        assert failures < WAITING_MAX // 2


def test_one_account_that_signs_in_without_end_keeps_nobody_else_out(database, new_daemon):
    """With the right password, which is never throttled."""
    daemon = new_daemon({"server.workers": 2, "login.max_hashing": 1, **SLOW}).start()
    with connections(daemon, 2 * WAITING_MAX, lambda number: login_bytes("alice", database.password)):
        wait_until(lambda: metric(daemon, "onesession_hashing_waiting") > WAITING_MAX // 2, "logins to wait")
        before = database.value("SELECT count(*) FROM events WHERE name = 'user_logged_in'")
        body = json.dumps({"username": "bob", "password": database.password})
        answer = daemon.ask(
            method="POST", path="/session/login", headers=JSON, body=body, REMOTE_ADDR="198.51.100.1", timeout=PATIENCE
        )
        assert answer.status == 200
        assert database.value("SELECT count(*) FROM events WHERE name = 'user_logged_in'") - before <= 6


@pytest.mark.parametrize("when", ["at once", "while it waits"])
def test_who_hangs_up_is_not_hashed(database, new_daemon, when):
    daemon = new_daemon({"server.workers": 1, "login.max_hashing": 1, **SLOW}).start()
    with connections(daemon, 1, login_bytes()) as first:
        wait_until(lambda: hashing(daemon)["in_use"] == 1, "a password to be hashed")
        with connections(daemon, 15, login_bytes()):
            if when == "while it waits":
                wait_until(lambda: metric(daemon, "onesession_hashing_waiting") == 15, "the others to wait")
        wait_until(lambda: metric(daemon, "onesession_hashing_waiting") == 0, "them to be dropped")
        assert first[0].answer().status == 401
    assert daemon.ask(method="POST", path="/session/login", headers=JSON, body=json.dumps(
        {"username": "alice", "password": database.password}), timeout=PATIENCE).status == 200
    assert database.value("SELECT count(*) FROM events WHERE name = 'user_login_failed'") == 1


def failures(database):
    return database.value("SELECT count(*) FROM events WHERE name = 'user_login_failed'")


@pytest.mark.parametrize("when", ["is hashed", "has been hashed"])
def test_wrong_password_counts_also_when_its_peer_hangs_up(database, new_daemon, when):
    """Else who does not wait for the answer, which takes longer when it is wrong, has any number of tries."""
    daemon = new_daemon({"server.workers": 1, "login.max_hashing": 1, "login.attempts_per_user": 3, **SLOW}).start()
    sign_in(daemon)  # gives the account a hash that takes as long
    for count in range(1, 4):
        with connections(daemon, 1, login_bytes("alice")):
            wait_until(lambda: hashing(daemon)["in_use"] == 1, "the password to be hashed")
            if when == "has been hashed":
                wait_until(lambda: hashing(daemon)["in_use"] == 0, "its hash")
        wait_until(lambda: failures(database) == count, "the failure to be counted")
    body = json.dumps({"username": "alice", "password": database.password})
    assert daemon.ask(method="POST", path="/session/login", headers=JSON, body=body, timeout=PATIENCE).status == 429


def test_right_password_whose_peer_hangs_up_displaces_nobody(database, new_daemon):
    daemon = new_daemon({"server.workers": 1, "login.max_hashing": 1, **SLOW}).start()
    signed_in = sign_in(daemon)
    with connections(daemon, 1, login_bytes("alice", database.password)):
        wait_until(lambda: hashing(daemon)["in_use"] == 1, "the password to be hashed")
    wait_until(lambda: hashing(daemon)["in_use"] == 0, "its hash")
    # The next one is hashed after it has been answered.
    assert daemon.ask(method="POST", path="/session/login", headers=JSON, body=json.dumps(
        {"username": "bob", "password": database.password}), timeout=PATIENCE).status == 200
    assert daemon.ask(headers=signed_in).status == 200
    assert database.value("SELECT count(*) FROM events WHERE name = 'user_login_failed'") == 0


def test_takeover_whose_peer_hangs_up_displaces_nobody(database, new_daemon):
    """A ticket takes no time to be checked, but its request may have waited for a worker."""
    daemon = new_daemon({"server.workers": 1, "session.on_limit": "ask"}).start()
    signed_in = sign_in(daemon)
    asked = daemon.ask(method="POST", path="/session/login", headers=JSON, body=CREDENTIALS)
    assert asked.status == 409
    body = json.dumps({"ticket": json.loads(asked.body)["ticket"], "take_over": True}).encode()
    request = fastcgi.request_bytes(
        fastcgi.environ(method="POST", path="/session/login", headers=JSON, body=body), body
    )
    (worker,) = daemon.workers
    with stopped(worker), connections(daemon, 1, request):
        pass
    wait_until(lambda: daemon.log_text().count("method=POST path=/session/login") == 3, "the request to be answered")
    assert daemon.ask(headers=signed_in).status == 200


def test_who_is_throttled_is_told_without_waiting(database, new_daemon):
    """Also while every place is taken."""
    daemon = new_daemon(
        {"server.workers": 1, "login.max_hashing": 1, "login.attempts_per_user": 1, **SLOW}
    ).start()

    def guess(username):
        return daemon.ask(
            method="POST", path="/session/login", headers=JSON, timeout=PATIENCE,
            body=json.dumps({"username": username, "password": "wrong password"}),
        )

    assert guess("alice").status == 401
    with connections(daemon, 10, lambda number: login_bytes(f"name{number}")):
        wait_until(lambda: metric(daemon, "onesession_hashing_waiting") >= 8, "logins to wait")
        began = metric(daemon, "onesession_hashing_waiting")
        assert guess("alice").status == 429
        assert metric(daemon, "onesession_hashing_waiting") >= began - 1


@pytest.mark.parametrize("places", [1, 2])
def test_no_more_passwords_are_hashed_at_once_than_there_are_places(new_daemon, places):
    """Whatever else is answered in between."""
    daemon = new_daemon({"server.workers": 3, "login.max_hashing": places, **SLOW}).start()
    signed_in = sign_in(daemon)
    seen = set()
    with connections(daemon, 8, lambda number: login_bytes(f"name{number}")):
        for _ in range(40):
            assert daemon.ask(headers=signed_in).status == 200
            seen.add(hashing(daemon)["in_use"])
    assert max(seen) == places


def test_hashing_has_a_process_of_its_own_of_lower_priority(new_daemon):
    daemon = new_daemon({"server.workers": 2, "login.max_hashing": 2}).start()
    hasher = wait_until(lambda: daemon.hasher, "the hasher")
    nices = {}
    for task in os.listdir(f"/proc/{hasher}/task"):
        fields = Path(f"/proc/{hasher}/task/{task}/stat").read_text().rpartition(")")[2].split()
        nices[int(task)] = int(fields[16])
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert nices.pop(hasher) == own
    assert len(nices) == 2 and all(nice > own for nice in nices.values())


def test_hasher_that_dies_is_replaced_and_those_that_waited_are_told(database, new_daemon):
    daemon = new_daemon({"server.workers": 1, "login.max_hashing": 1, **SLOW}).start()
    with connections(daemon, 3, lambda number: login_bytes(f"name{number}")) as waiting:
        wait_until(lambda: metric(daemon, "onesession_hashing_waiting") == 2, "logins to wait")
        hasher = daemon.hasher
        os.kill(hasher, 9)
        assert [connection.answer().status for connection in waiting] == [503, 503, 503]
    wait_until(lambda: daemon.hasher not in (None, hasher), "another hasher")
    body = json.dumps({"username": "alice", "password": database.password})
    wait_until(
        lambda: daemon.ask(method="POST", path="/session/login", headers=JSON, body=body, timeout=PATIENCE).status == 200,
        "logins to be possible again",
    )


# ---- Slow bodies -----------------------------------------------------------------------------------------------------


def slow_body(length=65536, sent=40000, path="/session/login"):
    params = fastcgi.environ(method="POST", path=path, headers=JSON, CONTENT_LENGTH=str(length))
    return (
        fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, fastcgi.pairs(params))
        + fastcgi.record(fastcgi.STDIN, b"x" * sent)
    )


def test_slow_bodies_hold_up_nobody(new_daemon):
    daemon = new_daemon({"server.workers": 1}).start()
    signed_in = sign_in(daemon)
    workers = daemon.workers
    with connections(daemon, 30, slow_body(65000, 60000)) as slow:
        for _ in range(20):
            assert daemon.ask(headers=signed_in).status == 200
            for connection in slow[:5]:
                connection.send(fastcgi.record(fastcgi.STDIN, b"x"))
        # And one that is whole in the end is served.
        slow[-1].send(fastcgi.record(fastcgi.STDIN, b" " * 5000) + fastcgi.record(fastcgi.STDIN))
        assert slow[-1].answer().status == 400
    assert daemon.workers == workers


def test_body_that_never_ends_is_given_up_and_no_worker_with_it(new_daemon):
    daemon = new_daemon({"server.workers": 1, "server.io_timeout": "200ms", "server.request_timeout": "1s"}).start()
    workers = daemon.workers
    with daemon.connection(timeout=PATIENCE) as slow:
        slow.send(slow_body())
        began = time.monotonic()
        # It is not silence that counts: all of it has one deadline.
        while slow.try_send(fastcgi.record(fastcgi.STDIN, b"x")) and time.monotonic() - began < PATIENCE:
            time.sleep(0.05)
        assert slow.is_closed(PATIENCE)
        assert time.monotonic() - began > 0.8
    assert daemon.workers == workers
    assert daemon.ask().status == 401


def test_bodies_on_their_way_have_a_bounded_memory(new_daemon):
    """The oldest of those that are slow makes room."""
    daemon = new_daemon({"server.workers": 1, "server.max_body": "4MiB"}).start()
    signed_in = sign_in(daemon)
    piece = fastcgi.record(fastcgi.STDIN, b"x" * 60000)
    with connections(daemon, 12, slow_body(4000000, 60000)) as slow:
        for connection in slow:
            for _ in range(50):
                if not connection.try_send(piece):
                    break
            assert daemon.ask(headers=signed_in).status == 200
        assert slow[0].is_closed(PATIENCE)
        assert not slow[-1].is_closed(0.1)
    text = Path(f"/proc/{daemon.workers[0]}/status").read_text()
    assert int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) < 100 * 1024
    assert "no room for more of them" in daemon.log_text()


def test_more_slow_connections_than_a_worker_holds_close_the_oldest(new_daemon):
    daemon = new_daemon({"server.workers": 1, "server.io_timeout": "1m"}).start()
    signed_in = sign_in(daemon)
    with connections(daemon, 400, fastcgi.begin()) as slow:
        assert daemon.ask(headers=signed_in).status == 200
        # A fallback worker may have some of them, if the worker was busy for a moment: it closes none of its own.
        wait_until(lambda: any(connection.is_closed(0.001) for connection in slow[:140]), "the oldest to be closed")
        assert not any(connection.is_closed(0.001) for connection in slow[-100:])


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_body_without_a_length_is_read_to_its_end(database, daemon, pieces):
    """As web servers pass a chunked one on."""
    body = json.dumps({"username": "alice", "password": database.password, "x": "y" * 1000}).encode()
    params = fastcgi.environ(method="POST", path="/session/login", headers={**JSON, "Transfer-Encoding": "chunked"})
    assert "CONTENT_LENGTH" not in params
    size = len(body) // pieces + 1
    with daemon.connection(timeout=PATIENCE) as connection:
        connection.send(fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, fastcgi.pairs(params)))
        for at in range(0, len(body), size):
            connection.send(fastcgi.record(fastcgi.STDIN, body[at : at + size]))
            daemon.ask()
        connection.send(fastcgi.record(fastcgi.STDIN))
        assert connection.answer().status == 200


def test_body_without_a_length_is_bounded(daemon):
    params = fastcgi.environ(method="POST", path="/session/login", headers={**JSON, "Transfer-Encoding": "chunked"})
    with daemon.connection(timeout=PATIENCE) as connection:
        connection.send(fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, fastcgi.pairs(params)))
        connection.send(fastcgi.record(fastcgi.STDIN, b" " * 40000) + fastcgi.record(fastcgi.STDIN, b" " * 40000))
        answer = connection.answer()
        assert (answer.status, json.loads(answer.body)["code"]) == (413, "too_large")


# ---- Connections to the database -------------------------------------------------------------------------------------


@pytest.fixture
def limit_connections(database):
    """limit_connections(N): as many for the daemon's role, as an operator's database may have them."""
    role = database.cluster.DAEMON

    def limit(count):
        database.cluster.execute(f"ALTER ROLE {role} CONNECTION LIMIT {count}")

    yield limit
    limit(-1)


def test_who_has_no_connection_leaves_requests_to_those_that_have(limit_connections, new_daemon):
    limit_connections(3)
    daemon = new_daemon({"server.workers": 8}).start()
    signed_in = sign_in(daemon)
    for _ in range(40):
        calls = [Background(daemon.ask, headers=signed_in) for _ in range(8)]
        assert {call.result().status for call in calls} == {200}


def test_reload_with_too_few_connections_loses_nobody(limit_connections, new_daemon):
    """New workers count as up when they are connected, or cannot be while others of theirs are."""
    limit_connections(6)
    daemon = new_daemon({"server.workers": 4}).start()
    signed_in = sign_in(daemon)
    daemon.await_workers(4)
    for _ in range(2):
        before = set(daemon.workers)
        daemon.send_signal(1)
        deadline = time.monotonic() + PATIENCE
        while before & set(daemon.workers):
            assert time.monotonic() < deadline
            assert daemon.ask(headers=signed_in).status == 200
    assert daemon.log_text().count(" reloaded ") == 2


def check(daemon):
    return subprocess.run(
        daemon.command("-t"), capture_output=True, text=True, timeout=60, env=environment(), check=False
    )


def test_test_tells_how_many_connections_are_needed(database, limit_connections, new_daemon):
    daemon = new_daemon({"server.workers": 4})
    done = check(daemon)
    assert done.returncode == 0
    assert re.search(r"connections: .*\b10\b", done.stdout), done.stdout
    limit_connections(9)
    done = check(daemon)
    assert done.returncode == 0 and "warning" in done.stdout and " 9 " in done.stdout, done.stdout


# ---- Retirement ------------------------------------------------------------------------------------------------------


def test_worker_that_retires_serves_until_another_one_does(new_daemon):
    daemon = new_daemon({"server.workers": 1, "server.max_requests": 20}).start()
    (first,) = daemon.await_workers(1)
    # A peer that is silent keeps nobody waiting.
    with connections(daemon, 1, fastcgi.begin()):
        deadline = time.monotonic() + PATIENCE
        while first in daemon.workers:
            assert daemon.ask().status == 401
            assert time.monotonic() < deadline
    status = json.loads(daemon.ask(path="/session/status", REMOTE_ADDR="127.0.0.1").body)
    assert status["counts"]["worker_deaths"] == 0


def test_workers_do_not_retire_by_default(daemon):
    workers = daemon.workers
    for _ in range(300):
        assert daemon.ask().status == 401
    assert daemon.workers == workers


# ---- What workers can write to ---------------------------------------------------------------------------------------


def shared_mappings(pid):
    """Anonymous memory that is shared with other processes."""
    found = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, rights, _, _, _, *name = line.split(None, 5)
        if rights == "rw-s" and name and name[0].startswith("/dev/zero"):
            first, last = (int(number, 16) for number in span.split("-"))
            found.append((first, last - first))
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write into another process")
@pytest.mark.parametrize("garbage", [b"\xff", b"\x01", b"\x7f", b"random"])
def test_garbage_over_all_that_a_worker_can_write_to_ends_nothing(database, new_daemon, garbage):
    daemon = new_daemon({"server.workers": 3}).start()
    signed_in = sign_in(daemon)
    worker = daemon.await_workers(3)[0]
    mappings = shared_mappings(worker)
    assert mappings
    with open(f"/proc/{worker}/mem", "r+b", buffering=0) as memory:
        for at, size in mappings:
            memory.seek(at)
            memory.write(os.urandom(size) if garbage == b"random" else garbage * size)
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker, 9)
    body = json.dumps({"username": "bob", "password": database.password})
    wait_until(
        lambda: daemon.ask(method="POST", path="/session/login", headers=JSON, body=body, timeout=PATIENCE).status == 200,
        "logins to be possible",
    )
    for _ in range(30):
        assert daemon.ask(headers=signed_in).status == 200
    wait_until(lambda: len(daemon.workers) == 3 and worker not in daemon.workers, "another worker")

    def is_put_right():
        status = json.loads(daemon.ask(path="/session/status", REMOTE_ADDR="127.0.0.1").body)
        return {entry["pid"] for entry in status["workers"] if entry["role"] == "worker"} == set(daemon.workers)

    wait_until(is_put_right, "the table of workers to be right again")
    assert is_alive(daemon.process.pid)
    daemon.send_signal(1)
    wait_until(lambda: " reloaded " in daemon.log_text(), "a reload")
    assert daemon.ask(headers=signed_in).status == 200


# ---- Counting --------------------------------------------------------------------------------------------------------


def test_live_sessions_are_not_counted_by_a_worker(database, new_daemon):
    """/metrics is said to need no database."""
    # It is there before they are counted for the first time: the second time is ten seconds later.
    put_session(database, "alice", "key")
    daemon = new_daemon({"server.workers": 1}).start()

    def live():
        return samples(daemon.ask(path="/session/metrics", REMOTE_ADDR="127.0.0.1").body.decode()).get(
            ("onesession_live_sessions",)
        )

    wait_until(lambda: live() == 1, "the sessions to be counted")
    database.cluster.stop()
    assert live() == 1


# ---- Names -----------------------------------------------------------------------------------------------------------


def test_name_that_can_be_nobodys_costs_the_database_nothing(database, new_daemon):
    """PostgreSQL takes seconds to normalize thousands of combining marks, and cannot be stopped in it."""
    daemon = new_daemon(
        {"server.workers": 1, "login.attempts_per_user": 3, "login.attempts_per_address": 100}
    ).start()
    signed_in = sign_in(daemon)
    name = "\u0301" * 8000 + "\u0316" * 8000
    body = json.dumps({"username": name, "password": "x"}, ensure_ascii=False).encode()
    params = fastcgi.environ(method="POST", path="/session/login", headers=JSON, body=body)
    with connections(daemon, 3, fastcgi.request_bytes(params, body)) as asked:
        assert [connection.answer().status for connection in asked] == [401, 401, 401]
    assert daemon.ask(headers=signed_in).status == 200
    assert "database" not in daemon.log_text().replace("database_notice", "")
    assert database.value("SELECT max(length(subject)) FROM login_failures") <= 64


@pytest.mark.parametrize("known", [True, False])
def test_what_others_try_at_an_account_keeps_its_own_browser_from_no_place(database, new_daemon, known):
    """Its rank is that of the browser, where the account knows it."""
    cost = {"login.memory": "32MiB", "login.passes": 2}
    daemon = new_daemon({"server.workers": 2, "login.max_hashing": 1, **cost}).start()
    body = json.dumps({"username": "alice", "password": database.password})
    answer = daemon.ask(method="POST", path="/session/login", headers=JSON, body=body, timeout=PATIENCE)
    device = answer.cookie("onesession_device")
    assert device
    # The account is tried at from many addresses; those who hang up count, too.
    with connections(daemon, 60, lambda number: login_bytes("alice", address=f"203.0.{number}.1")):
        pass

    def others(number):
        return login_bytes(f"name{number % 3}", address=f"10.{number % 9}.{number % 250}.1")

    with connections(daemon, 4 * WAITING_MAX, others):
        wait_until(lambda: metric(daemon, "onesession_hashing_waiting") > WAITING_MAX // 2, "logins to wait")
        headers = {**JSON, "Cookie": f"onesession_device={device}"} if known else JSON
        answer = daemon.ask(
            method="POST", path="/session/login", headers=headers, body=body, REMOTE_ADDR="198.51.100.1",
            timeout=PATIENCE,
        )
        if known:
            assert answer.status == 200
        else:
            assert answer.status in (200, 503)


# ---- Workers that others do not wait for -----------------------------------------------------------------------------


def test_handler_that_waits_keeps_nobody_else_waiting(database, new_daemon):
    daemon = new_daemon({"server.workers": 2, "database.statement_timeout": "20s"}).start()
    daemon.await_workers(2)
    signed_in = sign_in(daemon)
    body = json.dumps({"username": "bob", "password": database.password})
    others = {"Cookie": f"onesession={daemon.ask(method='POST', path='/session/login', headers=JSON, body=body).cookie()}"}
    with HeldTable(database, "events"):
        waiting = Background(daemon.ask, method="POST", path="/session/logout", headers=signed_in, timeout=PATIENCE)
        waits_in_database(database)
        for _ in range(10):
            assert daemon.ask(headers=others).status == 200
        assert not waiting.is_done
    assert waiting.result().status == 303


def test_worker_that_is_stopped_keeps_nobody_waiting_for_long(new_daemon):
    """Whoever listens: another one does so in its stead."""
    daemon = new_daemon({"server.workers": 3, "server.request_timeout": "10m"}).start()
    signed_in = sign_in(daemon)
    workers = daemon.await_workers(3)
    for worker in workers[:2]:
        os.kill(worker, signal.SIGSTOP)
    try:
        for _ in range(3):
            # One that had been accepted before it was stopped would wait: these come after that.
            assert daemon.ask(headers=signed_in, timeout=PATIENCE).status == 200
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGCONT)

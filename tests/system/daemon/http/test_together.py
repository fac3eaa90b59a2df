"""
Requests that are there at the same time are looked up in one round trip to the database. Each gets its own answer, as
if it had come alone, and one that is stuck keeps nobody else waiting.
"""

import contextlib
import hashlib
import json
import os
import re
import signal

import pytest

from support import fastcgi
from support.client import JSON, UNKNOWN_KEY
from support.openmetrics import samples
from support.processes import BUILD
from support.waiting import PATIENCE, Background, wait_until

# As many as are looked up together (see rule.h).
TOGETHER = 32


def insert_session(database, number, user_id):
    """A session as another program makes one. Returns its cookie."""
    token = f"{number:043d}"
    database.query(
        "INSERT INTO sessions (session_key, user_id, expires_at) VALUES (%s, %s, now() + '1 day')",
        hashlib.sha256(token.encode()).digest(),
        user_id,
    )
    return token


@contextlib.contextmanager
def stopped(pids):
    """What is sent meanwhile is all there when these processes go on."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def auth(token, path="/session/auth"):
    headers = {"Cookie": f"onesession={token}"} if token else {}
    return fastcgi.request_bytes(fastcgi.environ(path=path, headers=headers))


def sign_in(username, password):
    body = json.dumps({"username": username, "password": password}).encode()
    return fastcgi.request_bytes(
        fastcgi.environ(method="POST", path="/session/login", headers=JSON, body=body), body
    )


def ask_together(daemon, requests):
    """Send all of them before the workers can look at any. Returns the answers in the same order."""
    with contextlib.ExitStack() as stack:
        connections = []
        with stopped(daemon.workers):
            for data in requests:
                connection = stack.enter_context(daemon.connection(timeout=PATIENCE))
                connection.send(data)
                connections.append(connection)
        return [connection.answer() for connection in connections]


def round_trips(daemon):
    text = daemon.ask(path="/session/metrics", REMOTE_ADDR="127.0.0.1").body.decode()
    return samples(text)["onesession_database_round_trips_total",]


@pytest.fixture
def lone_daemon(new_daemon):
    """All that comes, comes to the same worker."""
    daemon = new_daemon({"server.workers": 1, "database.statement_timeout": "30s"})
    daemon.start()
    return daemon


def test_each_of_those_that_come_together_gets_its_own_answer(database, lone_daemon):
    users = {f"user{number}": database.add_user(f"user{number}") for number in range(20)}
    keys = {name: insert_session(database, number, users[name]) for number, name in enumerate(users)}
    for name, key in keys.items():
        # The first request stores the key of a row that another program has put in.
        assert lone_daemon.ask(headers={"Cookie": f"onesession={key}"}).get("Remote-User") == name
    displaced = insert_session(database, 100, users["user0"])
    keys["user0"], displaced = displaced, keys["user0"]
    assert lone_daemon.ask(headers={"Cookie": f"onesession={keys['user0']}"}).status == 200
    database.query("UPDATE sessions SET expires_at = now() WHERE user_id = %s", users["user1"])
    expired = keys.pop("user1")
    asked = []
    for name, key in keys.items():
        # Twice the same one, and some that are nobody's in between.
        asked += [(key, 200, name, ""), (UNKNOWN_KEY, 401, "", "unauthenticated"), (key, 200, name, "")]
    asked += [(displaced, 401, "", "displaced"), (expired, 401, "", "expired"), (None, 401, "", "unauthenticated")]

    before = round_trips(lone_daemon)
    answers = ask_together(lone_daemon, [auth(key) for key, *_ in asked])
    used = round_trips(lone_daemon) - before

    assert [(a.status, a.get("Remote-User"), a.get("Session-Reason")) for a in answers] == [
        (status, name, reason) for _, status, name, reason in asked
    ]
    # A turn may end early, when the worker is stopped in the middle of it.
    assert used <= len(asked) / TOGETHER + 3, f"{used} round trips for {len(asked)} requests"


def test_a_login_among_others_displaces_from_its_answer_on(database, lone_daemon):
    """What was sent along with it may be answered by a look-up from before; what is sent after its answer never is."""
    key = ask_together(lone_daemon, [sign_in("alice", database.password)])[0].cookie()
    for _ in range(5):
        old = key
        first, login, other = ask_together(lone_daemon, [auth(old), sign_in("alice", database.password), auth(old)])
        after = ask_together(lone_daemon, [auth(old)] * TOGETHER)
        assert login.status == 200
        for answer in (first, other):
            assert answer.status == 200 or answer.get("Session-Reason") == "displaced"
        assert {(answer.status, answer.get("Session-Reason")) for answer in after} == {(401, "displaced")}
        key = login.cookie()
        assert lone_daemon.ask(headers={"Cookie": f"onesession={key}"}).get("Remote-User") == "alice"


def test_who_waits_for_an_account_keeps_those_that_came_along_waiting_no_longer(database, lone_daemon):
    keys = [insert_session(database, number, database.add_user(f"user{number}")) for number in range(4)]
    for key in keys[1:]:
        assert lone_daemon.ask(headers={"Cookie": f"onesession={key}"}).status == 200
    holder = database.connect()
    try:
        with contextlib.ExitStack() as stack:
            with holder.cursor() as cursor:
                cursor.execute("BEGIN; INSERT INTO logged_in_user (user_id) SELECT id FROM users WHERE username = 'user0'")
            connections = [stack.enter_context(lone_daemon.connection(timeout=PATIENCE)) for _ in keys]
            with stopped(lone_daemon.workers):
                for connection, key in zip(connections, keys):
                    connection.send(auth(key))
            # The first one's row is another program's, so its key is to be stored, under the lock that is held here.
            answers = [connection.answer() for connection in connections[1:]]
            assert [answer.status for answer in answers] == [200, 200, 200]
            with holder.cursor() as cursor:
                cursor.execute("ROLLBACK")
            assert connections[0].answer().get("Remote-User") == "user0"
    finally:
        holder.close()


def test_those_without_a_key_need_no_database_beside_those_that_do(database, lone_daemon):
    key = insert_session(database, 1, database.add_user("user1"))
    database.cluster.stop()
    answers = ask_together(lone_daemon, [auth(key), auth(None), auth("not well-formed")])
    assert [answer.status for answer in answers] == [503, 401, 401]


def test_those_that_come_together_are_answered_when_the_connection_is_lost(database, lone_daemon):
    keys = [insert_session(database, number, database.add_user(f"user{number}")) for number in range(10)]
    with contextlib.ExitStack() as stack:
        connections = []
        with stopped(lone_daemon.workers):
            for key in keys:
                connection = stack.enter_context(lone_daemon.connection(timeout=PATIENCE))
                connection.send(auth(key))
                connections.append(connection)
            database.cluster.terminate_backends(database.name)
            wait_until(lambda: not database.cluster.backends(database.name), "the end of the connection")
        answers = [connection.answer() for connection in connections]
    assert [(a.status, a.get("Remote-User")) for a in answers] == [(200, f"user{n}") for n in range(10)]


def test_all_of_those_that_come_together_count_as_seen(database, lone_daemon):
    keys = [insert_session(database, number, database.add_user(f"user{number}")) for number in range(10)]
    database.query("UPDATE sessions SET last_seen_at = now() - interval '10 minutes'")
    # Polling is no activity, also beside one that is.
    polled, *asked = keys
    answers = ask_together(lone_daemon, [auth(polled, "/session/state"), *map(auth, asked)])
    assert {answer.status for answer in answers} == {200}

    def seen():
        rows = database.query(
            "SELECT u.username FROM sessions s JOIN users u ON u.id = s.user_id"
            " WHERE s.last_seen_at > now() - interval '5 minutes'"
        )
        return {name for (name,) in rows}

    wait_until(lambda: seen() == {f"user{number}" for number in range(1, 10)}, "the time when they were seen")


def test_a_session_that_somebody_holds_delays_nobodys_being_seen(database, lone_daemon):
    keys = [insert_session(database, number, database.add_user(f"user{number}")) for number in range(3)]
    for key in keys:
        assert lone_daemon.ask(headers={"Cookie": f"onesession={key}"}).status == 200
    database.query("UPDATE sessions SET last_seen_at = now() - interval '10 minutes'")
    holder = database.connect()
    try:
        with holder.cursor() as cursor:
            cursor.execute(
                "BEGIN; SELECT FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.username = 'user1' FOR UPDATE OF s"
            )
            assert {answer.status for answer in ask_together(lone_daemon, map(auth, keys))} == {200}
            # The worker is at the next request, with the other two stored.
            assert lone_daemon.ask(path="/session/ready").status == 200
            fresh = database.value("SELECT count(*) FROM sessions WHERE last_seen_at > now() - interval '5 minutes'")
        assert fresh == 2
    finally:
        holder.close()


def keys_looked_up(cluster, since):
    """How many, in all statements that PostgreSQL has logged since then."""
    with open(cluster.log, encoding="utf-8", errors="replace") as log:
        log.seek(since)
        statements = re.findall(r"LOG:  execute check:.*?DETAIL:  parameters: \$1 = '\{(.*?)\}'", log.read(), re.S)
    return sum(text.count("x") for text in statements)


@pytest.mark.parametrize("guard_workers", [0, 1])
def test_requests_that_take_their_turn_are_looked_up_once_whichever_worker_runs_them(
    cluster, database, new_daemon, guard_workers
):
    """Each handler keeps its worker for a while: what came along with it is run by others."""
    cluster.execute(f"ALTER DATABASE {database.name} SET log_statement = 'all'")
    settings = {"server.workers": 4, "server.guard_workers": guard_workers}
    daemon = new_daemon(settings, modules=[BUILD / "tests/application.so"]).start()
    keys = [insert_session(database, number, database.add_user(f"user{number}")) for number in range(16)]
    for key in keys:
        assert daemon.ask(headers={"Cookie": f"onesession={key}"}).status == 200
    begin = cluster.log.stat().st_size
    answers = ask_together(daemon, [auth(key, "/application/sleeper") for key in keys])
    assert [answer.status for answer in answers] == [200] * len(keys)
    assert keys_looked_up(cluster, begin) == len(keys)


def test_a_worker_that_gets_no_answer_keeps_nobody_else_waiting(database, new_daemon):
    """One of the daemon's connections is stuck: only what has met it waits."""
    daemon = new_daemon({"server.workers": 3, "database.statement_timeout": "20s"})
    daemon.start()
    key = insert_session(database, 1, database.add_user("user1"))
    wait_until(lambda: len(database.cluster.backends(database.name)) == 3, "a connection of each worker")
    found = False
    # Whichever worker listens takes a request: it is tried until the one with the stuck connection has.
    for backend in 20 * database.cluster.backends(database.name):
        if found:
            break
        with stopped([backend]):
            asked = Background(daemon.ask, headers={"Cookie": f"onesession={key}"}, timeout=PATIENCE)
            with contextlib.suppress(AssertionError):
                wait_until(lambda: asked.is_done, "an answer", timeout=1)
            if not asked.is_done:
                found = True
                for _ in range(20):
                    assert daemon.ask(headers={"Cookie": f"onesession={key}"}, timeout=10).status == 200
                assert not asked.is_done
        assert asked.result().status == 200
    assert found, "no request met the stuck connection"

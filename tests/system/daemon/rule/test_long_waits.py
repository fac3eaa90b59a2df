"""Who waits for the account's lock: what is told of him is when he had it, and not when he began to wait."""

import json

from support.client import auth, login
from support.locks import waits_in_database
from support.rows import insert_from_outside
from support.waiting import Background

WAIT = {"database.statement_timeout": "30s", "server.workers": 3}


def held(database):
    """A transaction that holds alice's lock, and one second of waiting for it."""
    connection = database.connect()
    connection.autocommit = False
    connection.cursor().execute(
        "INSERT INTO logged_in_user (user_id, login_order) SELECT id, 0 FROM users WHERE username = 'alice'"
        " ON CONFLICT (user_id) DO UPDATE SET user_id = excluded.user_id"
    )
    return connection


def let_go(connection):
    """After a second. Returns when."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(1)")
        cursor.execute("SELECT clock_timestamp()")
        moment = cursor.fetchone()[0]
    connection.rollback()
    connection.close()
    return moment


def test_login_begins_when_it_has_the_lock(database, new_daemon):
    daemon = new_daemon({**WAIT, "session.lifetime": "1h"}).start()
    holder = held(database)
    answer = Background(login, daemon)
    waits_in_database(database)
    moment = let_go(holder)
    assert answer.result().status == 200
    row = database.query("SELECT created_at, last_seen_at, expires_at - created_at, login_order FROM sessions")
    ((created_at, last_seen_at, lifetime, _),) = row
    assert created_at >= moment
    assert last_seen_at == created_at
    assert lifetime.total_seconds() == 3600
    assert database.value("SELECT logged_in_at FROM logged_in_user") >= created_at
    assert database.value("SELECT at FROM events WHERE name = 'user_logged_in'") >= created_at


def test_order_of_times_is_the_order_of_logins(database, new_daemon):
    """Of those who wait it is not the first that gets the lock first."""
    daemon = new_daemon(WAIT).start()
    holder = held(database)
    answers = [Background(login, daemon) for _ in range(2)]
    waits_in_database(database)
    let_go(holder)
    assert [answer.result().status for answer in answers] == [200, 200]
    ((was, ended_at),) = database.query("SELECT created_at, ended_at FROM ended_sessions")
    stays = database.value("SELECT created_at FROM sessions")
    assert was < stays <= ended_at
    times = [row[0] for row in database.query("SELECT at FROM events WHERE session_id IS NOT NULL ORDER BY id")]
    assert times == sorted(times) and len(times) == 3
    assert database.value("SELECT last_at FROM takeovers") >= stays


def test_logout_ends_when_it_has_the_lock(database, new_daemon):
    daemon = new_daemon(WAIT).start()
    key = login(daemon).cookie()
    holder = held(database)
    answer = Background(
        daemon.ask, method="POST", path="/session/logout", headers={"Cookie": f"onesession={key}"}
    )
    waits_in_database(database)
    moment = let_go(holder)
    assert answer.result().status in (204, 303)
    assert database.value("SELECT ended_at FROM ended_sessions") >= moment


def test_session_that_runs_out_while_its_owner_waits_is_not_let_in(database, new_daemon):
    """The hook waits to store the key of a row from outside, which expires meanwhile."""

    daemon = new_daemon(WAIT).start()
    key = insert_from_outside(database, lifetime="800 milliseconds")
    holder = held(database)
    answer = Background(auth, daemon, key)
    waits_in_database(database)
    let_go(holder)
    assert answer.result().status == 401


def test_displaced_is_told_of_times_that_fit(database, new_daemon):
    daemon = new_daemon(WAIT).start()
    first = login(daemon).cookie()
    holder = held(database)
    answer = Background(login, daemon)
    waits_in_database(database)
    let_go(holder)
    session = json.loads(answer.result().body)["session"]
    state = json.loads(daemon.ask(path="/session/state", headers={"Cookie": f"onesession={first}"}).body)
    assert state["reason"] == "displaced"
    assert state["ended_at"] >= session["created_at"]

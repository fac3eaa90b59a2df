"""What other people do to the database while a request is under way: no 5xx while the database is there."""

import concurrent.futures
import hashlib
import json
import os
import signal

import pytest

from support.client import JSON, auth, login
from support.locks import HeldTable, waits_in_database
from support.programs import Ctl
from support.rows import insert_from_outside
from support.waiting import Background, wait_until


def test_account_that_is_deleted_while_its_password_is_checked(new_daemon, database):
    """Nothing but "wrong name or password": the failure is told of without the account and the person."""
    daemon = new_daemon({"database.statement_timeout": "30s"}).start()
    connection = database.connect()
    with connection.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE events")
        answer = Background(login, daemon, "alice", "a wrong password")
        waits_in_database(database)
        cursor.execute("DELETE FROM users WHERE username = 'alice'; COMMIT")
    connection.close()
    assert answer.result().status == 401
    told = "SELECT user_id, username, host(ip), user_agent, detail FROM events WHERE name = 'user_login_failed'"
    assert database.query(told) == [(None, "", None, "", {})]
    # A name that never was an account's: whence it came, and not the name, which may be a password.
    assert login(daemon, "nobody", "a wrong password").status == 401
    assert database.query(told + " ORDER BY id DESC LIMIT 1") == [(None, "", "192.0.2.7", "agent", {})]


@pytest.mark.parametrize("words", [(), ("--erase",)], ids=["deleted", "erased"])
def test_account_that_an_operator_deletes_while_its_password_is_checked(new_daemon, database, words):
    daemon = new_daemon({"login.attempts_per_user": 1}).start()
    hasher = wait_until(lambda: daemon.hasher, "the hasher")
    watcher = database.cluster.connect(database.name)

    def is_looked_up():
        with watcher.cursor() as cursor:
            cursor.execute(
                "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND state = 'idle' AND query LIKE '%used_up%'"
            )
            return cursor.rowcount > 0

    os.kill(hasher, signal.SIGSTOP)
    try:
        answer = Background(login, daemon, "alice", "a wrong password")
        wait_until(is_looked_up, "the account to be looked up, before its password is looked at")
        Ctl(database.owner_conninfo).run("user", "delete", "alice", *words)
    finally:
        os.kill(hasher, signal.SIGCONT)
        watcher.close()
    assert answer.result().status == 401
    rows = database.query("SELECT user_id, username, host(ip), user_agent FROM events WHERE name LIKE '%login%'")
    assert rows and set(rows) == {(None, "", None, "")}


def test_table_of_events_that_is_locked_is_a_database_that_is_away(new_daemon, database):
    """Also where a receiver is what needs it."""
    daemon = new_daemon({"database.statement_timeout": "500ms"}).start()
    with HeldTable(database, "events"):
        answer = login(daemon)
    assert answer.status == 503
    assert answer.all("Set-Cookie") == []
    assert database.sessions() == []
    assert login(daemon).status == 200


def test_account_that_is_deleted_while_its_lock_is_waited_for(new_daemon, database):
    daemon = new_daemon().start()
    key = insert_from_outside(database)
    connection = database.connect()
    with connection.cursor() as cursor:
        cursor.execute(
            "BEGIN; INSERT INTO logged_in_user (user_id, login_order) SELECT id, 0 FROM users WHERE username = 'alice'"
        )
        answer = Background(auth, daemon, key)
        waits_in_database(database)
        cursor.execute("DELETE FROM users WHERE username = 'alice'; COMMIT")
    connection.close()
    assert answer.result().status == 401
    assert auth(daemon, key).status == 401


def test_server_whose_transactions_are_serializable(new_daemon, database, cluster):
    """The rule is made for READ COMMITTED, and asks for it."""
    database.close()
    cluster.execute(f"ALTER DATABASE {database.name} SET default_transaction_isolation = 'serializable'")
    daemon = new_daemon({"server.workers": 8, "login.max_hashing": 8}).start()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        statuses = [done.result().status for done in [pool.submit(login, daemon) for _ in range(80)]]
    assert statuses == [200] * 80
    assert len(database.sessions()) == 1


def add_sessions(database, username, count, seen="0"):
    """With numbers of their own: the planner, who knows nothing of the table yet, reads all of it to find each next one."""
    database.query(
        "INSERT INTO sessions (session_key, user_id, expires_at, last_seen_at, login_order)"
        " SELECT sha256(g::text::bytea), u.id, now() + '1 day', now() - %s::interval, nextval('login_order')"
        "   FROM users u, generate_series(1, %s) AS g WHERE u.username = %s",
        seen,
        count,
        username,
    )
    database.query("ANALYZE sessions")


def rows_read(database, daemon, ask, table="sessions"):
    """How many rows of the table are read for what `ask` asks of the daemon."""

    def read_so_far():
        found = database.value(
            "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = %s",
            table,
        )
        database.close()
        return found

    def count_is_over():
        counted = b"onesession_live_sessions" in daemon.ask(path="/session/metrics", REMOTE_ADDR="127.0.0.1").body
        return counted and len(database.cluster.backends(database.name)) == int(daemon.settings["server.workers"])

    # A server process hands in what it has counted when its connection ends, at the latest. The live sessions are
    # counted at the start, which reads them all, and not again for ten seconds.
    database.close()
    daemon.start()
    wait_until(count_is_over, "the live sessions to be counted")
    before = read_so_far()
    ask()
    daemon.stop()
    wait_until(lambda: database.cluster.backends(database.name) == [], "its connections to be closed")
    wait_until(lambda: read_so_far() > before, "the daemon's counts")
    return read_so_far() - before


def test_cost_of_an_account_without_limit_does_not_grow_with_its_sessions(database, new_daemon):
    database.add_user("many", limit=0)
    add_sessions(database, "many", 5000)
    key = insert_from_outside(database, "many")

    def ask():
        # The first of them stores the key.
        for _ in range(10):
            assert auth(daemon, key).status == 200
        answer = login(daemon, "many")
        assert answer.status == 200
        headers = {"Cookie": f"onesession={answer.cookie()}"}
        assert daemon.ask(headers=headers).status == 200
        assert daemon.ask(method="POST", path="/session/logout", headers=headers).status == 303
        assert auth(daemon, key).status == 200

    daemon = new_daemon()
    assert rows_read(database, daemon, ask) < 100
    assert database.value("SELECT count(*) FROM sessions") == 5001


@pytest.mark.parametrize("path", ["/session/account", "/session/sessions"])
@pytest.mark.parametrize("idle_timeout", ["0", "1h"])
def test_page_of_an_account_without_limit_reads_no_more_than_it_may_show(database, new_daemon, path, idle_timeout):
    """Also where most of its sessions have gone idle."""
    database.add_user("many", limit=0)
    add_sessions(database, "many", 15000, "2 hours")
    key = insert_from_outside(database, "many")
    headers = {"Cookie": f"onesession={key}", "Accept": "text/html"}
    daemon = new_daemon({"session.idle_timeout": idle_timeout})
    bound = 1100 if idle_timeout == "0" else 10100
    assert rows_read(database, daemon, lambda: daemon.ask(path=path, headers=headers)) < bound


# ---- Sessions whose account is missing ------------------------------------------------------------------------------


def leave_orphan(database, username="alice"):
    """As replication of the one table alone would: the rows of the account stay."""
    with database.connect(role="postgres") as connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM users WHERE username = %s", (username,))


def test_session_whose_account_is_missing_signs_nobody_in(site, browse):
    program, person = browse(site), browse(site, program=False)
    program.sign_in()
    key = program.key
    leave_orphan(site.database)
    workers = site.daemon.workers
    for browser in (program, person):
        browser.key = key
        assert browser.auth() == "unauthenticated"
        assert browser.me().status_code == 401
        assert browser.state()["live"] is False
        assert browser.guarded().status_code == (401 if browser.program else 303)
        for path in ("/session/account", "/session/sessions"):
            assert browser.get(path).status_code in (303, 401)
        browser.key = key
        assert browser.post("/session/sessions/00000000-0000-4000-8000-000000000000/end").status_code in (303, 401)
    headers = {**JSON, "Cookie": f"onesession={key}"}
    body = json.dumps({"username": "bob", "password": site.database.password})
    answer = site.daemon.ask(method="POST", path="/session/login", headers=headers, body=body)
    assert answer.status == 200
    assert auth(site.daemon, answer.cookie()).status == 200
    program.key = key
    assert program.logout().status_code == 204
    assert site.daemon.workers == workers


def test_operators_meet_no_account_that_is_missing(site, browse):
    first = browse(site)
    session = first.sign_in()["session"]["id"]
    browse(site).sign_in()
    remaining = site.database.sessions()[0]
    browse(site).sign_in("bob")
    leave_orphan(site.database)
    ctl = site.ctl()
    assert [row["username"] for row in ctl.json("session", "list")] == ["bob"]
    for gone in (session, remaining):
        assert "no such session" in ctl.refused("session", "end", gone)
    assert [row["username"] for row in ctl.json("user", "list")] == ["bob", "dora"]
    assert ctl.json("sharing") == []
    assert len(ctl.json("events")) > 0
    assert ctl.json("session", "end", "--all") == {"ended_sessions": 1}


def test_purge_takes_sessions_away_whose_account_is_missing(database, ctl):
    insert_from_outside(database)
    insert_from_outside(database, "bob")
    leave_orphan(database)
    database.query("UPDATE sessions SET expires_at = now() - interval '1 second'")
    assert ctl.json("purge")["sessions"] == 2
    assert database.value("SELECT count(*) FROM sessions") == 0
    assert database.query("SELECT u.username FROM ended_sessions e JOIN users u ON u.id = e.user_id") == [("bob",)]


# ---- What else a database may do ----------------------------------------------------------------------------------------


def test_session_that_never_expires_has_no_date_for_it(new_daemon, database):
    daemon = new_daemon().start()
    key = insert_from_outside(database)
    database.query("UPDATE sessions SET expires_at = 'infinity'")
    answer = daemon.ask(path="/session/me", headers={"Cookie": f"onesession={key}", "Accept": "application/json"})
    assert json.loads(answer.body)["session"]["expires_at"] is None


def test_what_the_server_says_beside_its_answers_stays_out_of_sight(new_daemon, database, tmp_path):
    """A warning of the database's can hold values."""
    database.query(
        "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE WARNING 'secret %', NEW.session_key; RETURN NEW; END $$",
    )
    database.query("CREATE TRIGGER warns BEFORE INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION warn()")
    daemon = new_daemon({"log.to": str(tmp_path / "log"), "log.format": "json"}).start()
    tmp_path.chmod(0o777)
    assert login(daemon).status == 200
    assert "secret" not in daemon.log_text()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["sqlstate"] for line in lines if line["event"] == "database_notice"] == ["01000"]
    assert "secret" not in (tmp_path / "log").read_text()


def test_connection_string_that_cannot_be_read_is_not_shown(new_daemon):
    for conninfo in ("dbname=x password=my secret", "postgresql://ada:secret%zz@host/db", "postgresql://a:secret@[::1/x"):
        daemon = new_daemon({"database.conninfo": conninfo}, on=None)
        daemon.start(daemon.command("-t"), wait=None)
        assert daemon.wait() == 1
        assert "secret" not in daemon.log_text()
        assert "conninfo" in daemon.log_text()


def test_held_table_is_let_go_in_time(new_daemon, database):
    """What waits for a row is answered properly once it comes free."""
    daemon = new_daemon({"database.statement_timeout": "20s"}).start()
    key = insert_from_outside(database)
    with HeldTable(database) as held:
        answer = Background(auth, daemon, key)
        waits_in_database(database)
        held.let_go()
        assert answer.result().status == 200
    assert hashlib.sha256(key.encode()).digest() == database.stored_key()

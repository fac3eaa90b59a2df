"""What other people do to the database while a request is under way: no 5xx while the database is there."""

import concurrent.futures
import hashlib
import json

import fastcgi
import harness
from harness import Background
from test_database import CREDENTIALS, JSON
from test_one_session import insert_from_outside
from test_process import HeldTable, waits_in_database
from waiting import wait_until


def login(daemon, username="alice", password=harness.Database.password):
    body = json.dumps({"username": username, "password": password})
    return daemon.ask(method="POST", path="/session/login", headers=JSON, body=body)


def auth(daemon, key):
    return daemon.ask(headers={"Cookie": f"onesession={key}"})


def test_account_that_is_deleted_while_its_password_is_checked(new_daemon, database):
    """Nothing but "wrong name or password": the failure is told of without the account."""
    daemon = new_daemon({"database.statement_timeout": "30s"}).start()
    connection = database.connect()
    with connection.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE events")
        answer = Background(login, daemon, "alice", "a wrong password")
        waits_in_database(database)
        cursor.execute("DELETE FROM users WHERE username = 'alice'; COMMIT")
    connection.close()
    assert answer.result().status == 401
    assert database.value("SELECT count(*) FROM events WHERE name = 'user_login_failed' AND user_id IS NULL") == 1


def test_table_of_events_that_is_locked_is_a_database_that_is_away(new_daemon, database):
    """Also where a receiver is what needs it."""
    daemon = new_daemon({"database.statement_timeout": "500ms"}).start()
    connection = database.connect()
    with connection.cursor() as cursor:
        cursor.execute("BEGIN; LOCK TABLE events")
    answer = login(daemon)
    connection.close()
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


def test_cost_of_an_account_without_limit_does_not_grow_with_its_sessions(database, new_daemon):
    user = database.add_user("many", limit=0)
    key = insert_from_outside(database, "many")
    database.query(
        "INSERT INTO sessions (session_key, user_id, expires_at) SELECT sha256(g::text::bytea), %s, now() + '1 day'"
        " FROM generate_series(1, 5000) g",
        user,
    )
    database.query("ANALYZE sessions")
    daemon = new_daemon().start()
    # The first request stores the key, and for that looks at all of them.
    assert auth(daemon, key).status == 200

    def read_so_far():
        found = database.value(
            "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables"
            " WHERE relname = 'sessions'"
        )
        database.close()
        return found

    # A server process hands in what it has counted when its connection ends, at the latest.
    daemon.stop()
    wait_until(lambda: read_so_far() >= 5000, "the counts so far")
    wait_until(lambda: database.cluster.backends(database.name) == [], "their connections to be closed")
    before = read_so_far()
    daemon.start()
    for _ in range(10):
        assert auth(daemon, key).status == 200
    daemon.stop()
    wait_until(lambda: read_so_far() >= before + 10, "the daemon's counts")
    assert read_so_far() < before + 1000


def test_session_that_never_expires_has_no_date_for_it(new_daemon, database):
    daemon = new_daemon().start()
    key = insert_from_outside(database)
    database.query("UPDATE sessions SET expires_at = 'infinity'")
    answer = daemon.ask(path="/session/me", headers={"Cookie": f"onesession={key}", "Accept": "application/json"})
    assert json.loads(answer.body)["session"]["expires_at"] is None


def test_login_whose_body_drips_holds_no_place_to_hash(new_daemon):
    """Two of them, for two places; a third person signs in meanwhile."""
    daemon = new_daemon({"server.workers": 4, "login.max_hashing": 2, "server.io_timeout": "20s"}).start()
    params = fastcgi.pairs(fastcgi.environ("POST", "/session/login", headers=JSON, CONTENT_LENGTH="60000"))
    head = fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, params) + fastcgi.record(fastcgi.STDIN, b" " * 40000)
    slow = []

    def are_busy(count):
        status = json.loads(daemon.ask(path="/session/status", REMOTE_ADDR="127.0.0.1").body)
        return sum(worker["request_age_ms"] is not None for worker in status["workers"]) >= count

    try:
        # One after the other: a worker that reads accepts nobody else, one at rest might take both.
        for number in (1, 2):
            slow.append(daemon.connection())
            slow[-1].send(head)
            wait_until(lambda: are_busy(number + 1), "it to be read from")  # pylint: disable=cell-var-from-loop
        answer = daemon.ask(method="POST", path="/session/login", headers=JSON, body=CREDENTIALS)
        assert answer.status == 200
    finally:
        for connection in slow:
            connection.close()


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

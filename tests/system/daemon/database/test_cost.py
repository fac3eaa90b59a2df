"""What a request costs the database: statements, round trips, writes."""

import re

import pytest

from support.api import Api, new_token
from support.client import UNKNOWN, sign_in
from support.waiting import wait_until


@pytest.fixture
def counted(cluster, database, new_daemon):
    """count(call): the statements that PostgreSQL got while it ran, and whether a transaction wrote anything."""
    cluster.execute(f"ALTER DATABASE {database.name} SET log_statement = 'all'")
    daemon = new_daemon({"server.workers": 1, "api.webhook_interval": 0})

    def count(call):
        database.close()
        begin, first_transaction = cluster.log.stat().st_size, next_transaction(cluster)
        call()
        written = next_transaction(cluster) != first_transaction
        with open(cluster.log, encoding="utf-8", errors="replace") as log:
            log.seek(begin)
            lines = [line for line in log if f" {database.name} {cluster.DAEMON} " in line]
        return [line for line in lines if re.search(r"LOG:\s+(statement|execute)", line)], written

    begin = cluster.log.stat().st_size
    daemon.start()

    def log_since_start():
        with open(cluster.log, encoding="utf-8", errors="replace") as log:
            log.seek(begin)
            return log.read()

    # A process of its own does so once at the start, whenever it comes to it.
    wait_until(lambda: "execute count_live_sessions:" in log_since_start(), "the live sessions to be counted")
    return daemon, count


def next_transaction(cluster):
    """Only a transaction that writes gets a number."""
    connection = cluster.connect("postgres")
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
            return cursor.fetchone()[0]
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/session/auth", "/session/me", "/session/state"])
def test_live_request_is_one_statement_that_writes_nothing(counted, path):
    daemon, count = counted
    signed_in = sign_in(daemon)
    assert daemon.ask(path=path, headers=signed_in).status == 200

    def twenty():
        for _ in range(20):
            assert daemon.ask(path=path, headers=signed_in).status == 200

    statements, written = count(twenty)
    assert len(statements) == 20, statements
    assert not written


@pytest.mark.parametrize("require, status", [("plan=gold group=staff verified fresh=10m", 200), ("plan=silver", 403)])
def test_place_that_requires_more_costs_no_more(counted, database, require, status):
    daemon, count = counted
    signed_in = sign_in(daemon)
    database.query("INSERT INTO plans (name, session_limit) VALUES ('gold', 3)")
    database.query(
        "UPDATE users SET plan = 'gold', groups = '{staff}', email = 'alice@example.org', email_verified_at = now()"
        " WHERE username = 'alice'"
    )
    assert daemon.ask(headers=signed_in, ONESESSION_REQUIRE=require).status == status

    def twenty():
        for _ in range(20):
            assert daemon.ask(headers=signed_in, ONESESSION_REQUIRE=require).status == status

    statements, written = count(twenty)
    assert len(statements) == 20, statements
    assert not written


def test_check_by_the_api_is_one_statement_that_writes_nothing(counted, ctl):
    daemon, count = counted
    api = Api(daemon, new_token(ctl))
    token = api.sign_in().json["token"]
    api.check(token)

    def twenty():
        for _ in range(20):
            assert api.check(token, require="live")["live"] is True
            assert api.check("A" * 43)["live"] is False

    statements, written = count(twenty)
    assert len(statements) == 40, statements
    assert not written


def test_unknown_key_is_one_statement_that_writes_nothing(counted):
    daemon, count = counted
    daemon.ask(headers=UNKNOWN)

    def ten():
        for number in range(10):
            assert daemon.ask(headers={"Cookie": f"onesession={number:A>43}"}).status == 401

    statements, written = count(ten)
    assert len(statements) == 10, statements
    assert not written


def test_displaced_key_is_one_statement_that_writes_nothing(counted):
    daemon, count = counted
    old = sign_in(daemon)
    sign_in(daemon)
    daemon.ask(headers=old)
    statements, written = count(lambda: [daemon.ask(headers=old) for _ in range(10)])
    assert len(statements) == 10, statements
    assert not written


def test_request_without_a_well_formed_key_does_not_ask_the_database(counted):
    daemon, count = counted

    def ask():
        for cookie in ("", "a=b", "onesession=", "onesession=short", "onesession=" + "A" * 44, "onesession=" + "!" * 43):
            for path in ("/session/auth", "/session/me", "/session/state", "/session/login", "/session/nothing"):
                assert daemon.ask(path=path, headers={"Cookie": cookie}).status in (200, 401, 404)
        assert daemon.ask(path="/session/health").status == 200

    statements, written = count(ask)
    assert statements == []
    assert not written


def test_touch_is_the_only_write_of_a_live_request(counted, database):
    daemon, count = counted
    signed_in = sign_in(daemon)
    database.query("UPDATE sessions SET last_seen_at = now() - interval '1 hour'")

    def is_touched():
        return database.query("SELECT last_seen_at > now() - interval '1 minute' FROM sessions")[0][0]

    def ask():
        for number in range(10):
            assert daemon.ask(headers=signed_in).status == 200
            # It is written behind the answer: a request that comes before that finds the session due as well.
            if number == 0:
                wait_until(is_touched, "the session to be touched")

    statements, written = count(ask)
    assert len(statements) == 11, statements
    assert written


def test_without_prepare_nothing_is_prepared(cluster, database, new_daemon):
    """As pgbouncer needs it in transaction pooling; which keeps these two settings, for the server reports them."""
    begins = r"SET DateStyle = ISO; SET standard_conforming_strings = on; BEGIN;"
    cluster.execute(f"ALTER DATABASE {database.name} SET log_statement = 'all'")
    begin = cluster.log.stat().st_size
    daemon = new_daemon({"database.prepare": "off"}).start()
    signed_in = sign_in(daemon)
    assert daemon.ask(headers=signed_in).status == 200
    assert daemon.ask(method="POST", path="/session/logout", headers=signed_in).status == 303
    with open(cluster.log, encoding="utf-8", errors="replace") as log:
        log.seek(begin)
        lines = [line for line in log if f" {database.name} {cluster.DAEMON} " in line and "LOG:" in line]
    assert lines
    for line in lines:
        assert "execute" not in line or "execute <unnamed>" in line, line
        assert not re.search(rf"statement:\s*(?!{begins})(SET|PREPARE|LISTEN)", line), line


@pytest.mark.parametrize("statistics", ["", "ANALYZE"], ids=["old statistics", "new statistics"])
def test_request_costs_the_same_with_many_sessions(database, new_daemon, statistics):
    """
    Every table is reached by an index, whatever the number of rows, and however few there were when the statement was
    first planned: new statistics make PostgreSQL plan anew, but after a purge or an import they take a minute to come.
    """
    superuser = database.connect(database.cluster.superuser)
    with superuser.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    superuser.close()
    daemon = new_daemon({"server.workers": 1}).start()
    signed_in = sign_in(daemon)
    stale = "UPDATE sessions SET last_seen_at = now() - interval '1 hour'"
    for _ in range(10):
        database.query(stale)
        assert daemon.ask(headers=signed_in).status == 200
    user = database.user_id("alice")
    database.query(
        # Of the test's own connection: planned for few rows, each foreign key of each row would be a scan.
        "SET enable_seqscan = off;"
        "INSERT INTO users (username, password) SELECT 'user' || n, 'x' FROM generate_series(1, 20000) n;"
        "INSERT INTO sessions (session_key, user_id, expires_at)"
        "  SELECT sha256(username::bytea), id, now() + interval '1 day' FROM users WHERE id <> %s;"
        "INSERT INTO ended_sessions (session_key, id, user_id, reason, ended_at, created_at, last_seen_at, user_agent)"
        "  SELECT sha256(('old' || n)::bytea), gen_random_uuid(), %s, 'displaced', now(), now(), now(), ''"
        "    FROM generate_series(1, 50000) n;"
        + statistics,
        user,
        user,
    )
    database.query(f"{stale} WHERE user_id = {user}")
    database.close()
    # The counts of a connection are there when it has ended.
    owner = database.cluster.OWNER
    wait_until(lambda: database.cluster.backends(database.name, owner) == [], "the test's own connection to end")
    superuser = database.connect(database.cluster.superuser)
    with superuser.cursor() as cursor:
        cursor.execute("SELECT pg_stat_reset()")
    superuser.close()
    for _ in range(20):
        assert daemon.ask(headers=signed_in).status == 200
    assert sign_in(daemon)
    daemon.stop()
    wait_until(lambda: database.cluster.backends(database.name) == [], "the connections to end")
    scans = database.query(
        "SELECT relname, seq_tup_read, idx_tup_fetch FROM pg_stat_user_tables"
        " WHERE seq_tup_read > 1000 OR idx_tup_fetch > 1000"
    )
    assert scans == [], "tables were read from one end to the other"

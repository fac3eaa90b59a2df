"""The database goes away, gets stuck and comes back; and what a request costs it."""

import ctypes
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest

from support import programs
from support.browser import problem
from support.client import CREDENTIALS, JSON, UNKNOWN, sign_in
from support.processes import BUILD, children_of
from support.programs import NOT_LISTENING, Ctl, write_conf
from support.waiting import PATIENCE, Background, wait_until


def timed(daemon, **kwargs):
    began = time.monotonic()
    answer = daemon.ask(timeout=PATIENCE, **kwargs)
    return answer, time.monotonic() - began


def is_unavailable(answer):
    assert answer.status == 503
    assert int(answer.get("Retry-After")) > 0
    assert answer.all("Set-Cookie") == []
    return True


# ---- Away ------------------------------------------------------------------------------------------------------------


def test_database_that_is_away_at_start(cluster, database, new_daemon):
    """503 at once, /health 200; and it comes back by itself."""
    daemon = new_daemon()
    signed_in = sign_in(daemon.start())
    daemon.stop()
    database.close()
    cluster.stop()
    daemon.start(wait="/session/health")
    for _ in range(5):
        for kwargs in (
            {"headers": UNKNOWN},
            {"headers": signed_in},
            {"path": "/session/me", "headers": signed_in},
            {"path": "/session/ready"},
            {"method": "POST", "path": "/session/login", "headers": JSON, "body": CREDENTIALS},
            {"method": "POST", "path": "/session/logout", "headers": signed_in},
        ):
            answer, took = timed(daemon, **kwargs)
            assert is_unavailable(answer)
            assert took < 2, f"it took {took:.1f} s"
        assert daemon.ask(path="/session/health").status == 200
    answer = daemon.ask(path="/session/me", headers={**signed_in, "Accept": "application/json"})
    body = json.loads(answer.body)
    assert (body["status"], body["code"]) == (503, "unavailable")
    assert answer.get("Content-Type").split(";")[0] == "application/problem+json"
    cluster.start()
    wait_until(lambda: daemon.ask(headers=signed_in).status == 200, "the daemon to find the database again")
    wait_until(lambda: daemon.ask(path="/session/ready").status == 200, "every worker to be ready")
    assert daemon.ask(headers=UNKNOWN).status == 401


def test_person_without_a_key_needs_no_database(cluster, daemon):
    """The sign-in page is shown and the guard refuses, database or not."""
    cluster.stop()
    assert daemon.ask(path="/session/login").status == 200
    assert daemon.ask().status == 401
    assert daemon.ask(headers={"Cookie": "onesession=malformed"}).status == 401


def test_guarded_page_is_503_while_the_database_is_away(cluster, site, browse):
    program = browse(site, permits_5xx=True)
    program.sign_in()
    cluster.stop()
    answer = program.guarded()
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    problem(program.login(), 503, "unavailable")
    cluster.start()
    wait_until(lambda: program.guarded().status_code == 200, "the page to come back")


def test_restarted_database_is_found_again(cluster, daemon):
    """Within moments, also by a worker that was not asked for anything meanwhile."""
    signed_in = sign_in(daemon)
    for _ in range(3):
        cluster.stop()
        cluster.start()
        statuses = {daemon.ask(headers=signed_in).status for _ in range(6)}
        assert statuses <= {200, 503}
        wait_until(lambda: all(daemon.ask(headers=signed_in).status == 200 for _ in range(6)), "it to be ready again")


@pytest.mark.parametrize("prepare", ["on", "off"])
def test_lost_connections_are_not_noticed_by_anybody(cluster, database, new_daemon, prepare):
    """As after a fail-over or an idle connection that a firewall cut: the database is there, so there is no 5xx."""
    daemon = new_daemon({"database.prepare": prepare}).start()
    signed_in = sign_in(daemon)
    for turn in range(8):
        cluster.terminate_backends(database.name)
        if turn % 2 == 0:
            assert [daemon.ask(headers=signed_in).status for _ in range(4)] == [200] * 4
        elif turn % 4 == 1:
            signed_in = sign_in(daemon)
        else:
            answer = daemon.ask(method="POST", path="/session/logout", headers=signed_in)
            assert answer.status in (204, 303)
            signed_in = sign_in(daemon)


def test_lost_connections_while_requests_run_are_not_noticed_by_anybody(cluster, database, daemon):
    signed_in = sign_in(daemon)
    stop = []

    def terminate():
        while not stop:
            cluster.terminate_backends(database.name)
            time.sleep(0.05)

    killer = Background(terminate)
    try:
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            assert daemon.ask(headers=signed_in).status == 200
    finally:
        stop.append(True)
    killer.result()


# ---- Stuck -----------------------------------------------------------------------------------------------------------


def test_stuck_backend_is_left_within_the_time_out(cluster, database, new_daemon):
    """And what was asked of it is asked of another one."""
    daemon = new_daemon({"server.workers": 1, "database.statement_timeout": "1s"}).start()
    signed_in = sign_in(daemon)
    # What the daemon starts with, a purge and a count, has connections of its own.
    wait_until(lambda: len(cluster.backends(database.name)) == 1, "the worker's connection to be the only one")
    (backend,) = cluster.backends(database.name)
    os.kill(backend, signal.SIGSTOP)
    try:
        answer, took = timed(daemon, headers=signed_in)
        assert answer.status == 200
        assert took < 5, f"it took {took:.1f} s"
    finally:
        os.kill(backend, signal.SIGCONT)
    assert daemon.ask(headers=signed_in).status == 200


class Firewall:
    """
    Stands between the daemon and PostgreSQL, by TCP. `forget` drops without a word whatever comes on the connections
    that are open, as a firewall does that has forgotten them. New ones pass.
    """

    # One instruction, BPF_RET: none of the packet's bytes are let through.
    DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)
    ATTACH_FILTER = 26

    def __init__(self, cluster):
        self.server = str(cluster.sockets / ".s.PGSQL.5432")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def conninfo(self, database, more=""):
        return (
            f"host=127.0.0.1 port={self.port} dbname={database.name} user={database.cluster.DAEMON}"
            f" sslmode=disable gssencmode=disable {more}"
        )

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            server.connect(self.server)
            self.connections.append((client, server))
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    @staticmethod
    def _pass(one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def forget(self):
        instructions = ctypes.create_string_buffer(self.DROP_ALL)
        program = struct.pack("HL", 1, ctypes.addressof(instructions))
        for client, _ in self.connections:
            client.setsockopt(socket.SOL_SOCKET, self.ATTACH_FILTER, program)

    def close(self):
        self.listener.close()
        for pair in self.connections:
            for end in pair:
                end.close()


@pytest.mark.parametrize("prepare", ["on", "off"])
def test_idle_connections_that_a_firewall_dropped_cost_nobody_a_503(cluster, database, new_daemon, closing, prepare):
    """The look-up, and the login, are tried again at once on a new connection."""
    firewall = closing.add(Firewall(cluster))
    daemon = new_daemon(
        {
            "server.workers": 1,
            "database.prepare": prepare,
            "database.conninfo": firewall.conninfo(database),
            "database.statement_timeout": "10s",
        }
    ).start()
    signed_in = sign_in(daemon)
    for _ in range(2):
        firewall.forget()
        answer, took = timed(daemon, headers=signed_in)
        assert answer.status == 200
        # Not after statement_timeout: what the peer has not even acknowledged is known to be lost before that.
        assert took < 8, f"it took {took:.1f} s"
        firewall.forget()
        sign_in(daemon)
        signed_in = sign_in(daemon)


def keepalive_seconds(port):
    """
    Until the kernel looks whether the peers of these connections are still there; see proc_net_tcp of the kernel's
    documentation. Those for which it does not are left out.
    """
    found = []
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        words = line.split()
        timer, _, ticks = words[5].partition(":")
        if words[2].endswith(f":{port:04X}") and words[3] == "01" and timer == "02":
            found.append(int(ticks, 16) / os.sysconf("SC_CLK_TCK"))
    return found


@pytest.mark.parametrize(
    "more, low, high", [("", 0, 60), ("keepalives_idle=600", 500, 600), ("keepalives=0", None, None)]
)
def test_idle_connections_are_kept_alive_unless_the_connection_string_says_otherwise(
    cluster, database, new_daemon, closing, more, low, high
):
    firewall = closing.add(Firewall(cluster))
    new_daemon({"server.workers": 2, "database.conninfo": firewall.conninfo(database, more)}).start()
    if low is None:
        wait_until(lambda: len(cluster.backends(database.name)) == 2, "both connections")
        assert keepalive_seconds(firewall.port) == []
        return
    seconds = wait_until(
        lambda: found if len(found := keepalive_seconds(firewall.port)) >= 2 else None, "both connections"
    )
    assert all(low < value <= high for value in seconds)


def test_stuck_server_is_503_at_once_after_the_first(cluster, database, new_daemon):
    """Not each request waits for the time-out of its own."""
    daemon = new_daemon(
        {"server.workers": 1, "database.statement_timeout": "1s", "database.connect_timeout": "2s"}
    ).start()
    signed_in = sign_in(daemon)
    stopped = [cluster.process.pid, *children_of(cluster.process.pid)]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        answer, took = timed(daemon, headers=signed_in)
        assert is_unavailable(answer)
        assert took < 6, f"it took {took:.1f} s"
        for _ in range(10):
            answer, took = timed(daemon, headers=signed_in)
            assert is_unavailable(answer)
            assert took < 1, f"it took {took:.1f} s"
        assert daemon.ask(path="/session/health").status == 200
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    wait_until(lambda: daemon.ask(headers=signed_in).status == 200, "the daemon to find the database again")


def test_row_that_somebody_holds_is_503_within_the_time_out(database, new_daemon):
    """A lock that is not given up must not hold a worker for ever."""
    daemon = new_daemon({"server.workers": 1, "database.statement_timeout": "1s"}).start()
    signed_in = sign_in(daemon)
    holder = database.connect()
    try:
        with holder.cursor() as cursor:
            cursor.execute("BEGIN; SELECT * FROM logged_in_user FOR UPDATE")
        answer, took = timed(daemon, method="POST", path="/session/login", headers=JSON, body=CREDENTIALS)
        assert is_unavailable(answer)
        assert took < 5, f"it took {took:.1f} s"
        # Who is signed in is only read.
        assert daemon.ask(headers=signed_in).status == 200
    finally:
        holder.close()
    wait_until(
        lambda: daemon.ask(method="POST", path="/session/login", headers=JSON, body=CREDENTIALS).status == 200,
        "logins to be possible again",
    )


def test_table_that_somebody_holds_does_not_hold_the_daemon(database, new_daemon):
    daemon = new_daemon({"server.workers": 1, "database.statement_timeout": "1s"}).start()
    signed_in = sign_in(daemon)
    holder = database.connect()
    try:
        with holder.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
        answer, took = timed(daemon, headers=signed_in)
        assert is_unavailable(answer)
        assert took < 5, f"it took {took:.1f} s"
    finally:
        holder.close()
    wait_until(lambda: daemon.ask(headers=signed_in).status == 200, "requests to be answered again")


def test_database_that_takes_no_more_connections(cluster, database, new_daemon):
    daemon = new_daemon()
    cluster.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
    daemon.start(wait="/session/health")
    answer, took = timed(daemon, headers=UNKNOWN)
    assert is_unavailable(answer)
    assert took < 3
    cluster.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT -1")
    wait_until(lambda: daemon.ask(headers=UNKNOWN).status == 401, "the daemon to find the database again")


def test_database_that_becomes_read_only_is_unavailable_for_logins(cluster, database, new_daemon):
    """As after a fail-over to a standby: not an internal error."""
    daemon = new_daemon({"server.workers": 1}).start()
    cluster.execute(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    cluster.terminate_backends(database.name)
    answer, _ = timed(daemon, method="POST", path="/session/login", headers=JSON, body=CREDENTIALS)
    assert is_unavailable(answer)
    cluster.execute(f"ALTER DATABASE {database.name} SET default_transaction_read_only = off")
    cluster.terminate_backends(database.name)
    wait_until(
        lambda: daemon.ask(method="POST", path="/session/login", headers=JSON, body=CREDENTIALS).status == 200,
        "logins to be possible again",
    )


def test_login_does_not_depend_on_the_clock(database, daemon):
    """A clock that was set back does not make a later login an older one."""
    database.query("UPDATE users SET created_at = now() + interval '1 year'")
    first = sign_in(daemon)
    database.query("UPDATE sessions SET created_at = now() + interval '1 day', last_seen_at = now() + interval '1 day'")
    database.query("UPDATE logged_in_user SET logged_in_at = now() + interval '1 day'")
    second = sign_in(daemon)
    assert daemon.ask(headers=second).status == 200
    assert daemon.ask(headers=first).status == 401


# ---- What is said about a connection string ---------------------------------------------------------------------------

# Each holds the password canary, or one that has canary in it, and is not what its author meant.
CANARIES = {
    "slash": "postgresql://alice:7/canary@localhost/onesession",
    "slash, and no number": "postgresql://alice:canary/7@localhost/onesession",
    "slash, at a server": "postgresql://{host}/canary:x@localhost/onesession",
    "at": "postgresql://alice:p@canary@localhost/onesession",
    "at, and a port": "postgresql://alice:p@canary:7@localhost:5432/onesession",
    "question mark": "postgresql://alice:7?canary@localhost/onesession",
    "question mark, and a name": "postgresql://alice:7?sslmode=canary@localhost/onesession",
    "percent": "postgresql://alice:%canary@localhost/onesession",
    "bracket": "postgresql://alice:p@[canary@localhost/onesession",
    "a number too large": "postgresql://alice:70000/canary@localhost/onesession",
    "no scheme": "alice:canary@localhost/onesession",
    "no scheme, and no user": ":canary@localhost",
    "another scheme": "pgsql://alice:canary@localhost/onesession",
    "another scheme, and a parameter": "pgsql://alice:canary@localhost/onesession?sslmode=require",
    "a colon is missing": "postgresql//alice:canary@localhost/onesession",
    "URI for a name": "dbname=postgresql://alice:canary@localhost/onesession",
    "URI for a host": "host=postgresql://alice:canary@localhost dbname=onesession",
    "space": "dbname=onesession user=alice password=a canary",
    "space, and a keyword": "dbname=onesession user=alice password=a canary=b",
    "space, and a port": "dbname=onesession user=alice password=a port=canary",
    "space, and a mode": "dbname=onesession user=alice password=a sslmode=canary",
    "space, and a number": "dbname=onesession user=alice password=a connect_timeout=canary",
    "quote": "dbname=onesession user=alice password='canary",
    "quotes": "dbname=onesession user=alice password='a'canary",
    "wrong keyword": "dbname=onesession user=alice passwort=canary port=x",
    "port that is none": "dbname=onesession password=canary port=x",
    "right": "dbname=onesession user=alice password=canary",
}


@pytest.mark.parametrize("conninfo", CANARIES.values(), ids=CANARIES)
def test_nothing_that_is_said_has_a_piece_of_a_password_in_it(cluster, database, new_daemon, tmp_path, conninfo):
    """What is no URI is a database's name: of a server, which then quotes it."""
    conninfo = conninfo.format(host=str(cluster.sockets).replace("/", "%2F"))
    environment = {**programs.environment(), "PGHOST": str(cluster.sockets), "PGUSER": cluster.DAEMON}
    conf = write_conf(tmp_path / "conf", {"database.conninfo": conninfo})
    named = ["-o", f"database.conninfo={conninfo}"]
    calls = [
        ["onesessiond", "-c", conf, "-t"],
        ["onesessiond", "-c", "/dev/null", *named, "-t"],
        ["onesessionctl", "-c", conf, "user", "list"],
        ["onesessionctl", "-c", "/dev/null", *named, "--json", "user", "list"],
        ["onesessionctl", "-c", "/dev/null", "-o", f"database.conninfo={database.conninfo}", "import", "django"]
        + ["--from", conninfo],
    ]
    for program, *words in calls:
        command = [str(BUILD / program), *[str(word) for word in words]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
        assert done.returncode == 1 and done.stderr != ""
        assert "canary" not in done.stdout + done.stderr
    daemon = new_daemon({"database.conninfo": conninfo})
    variables = [f"{name}={environment[name]}" for name in ("PGHOST", "PGUSER")]
    daemon.start(["/usr/bin/env", *variables, *daemon.command()], wait=None)
    wait_until(lambda: "database_unavailable" in daemon.log_text(), "a word about the database")
    assert "canary" not in daemon.log_text()


def test_what_is_wrong_with_a_right_connection_string_is_said(cluster, tmp_path):
    """As far as that cannot be a password."""
    said = {
        f"host={cluster.sockets} dbname=no_such user={cluster.DAEMON} password=x": '"no_such" does not exist',
        f"host={tmp_path} dbname=x password=x": f"{tmp_path}/.s.PGSQL.5432",
        f"host=@{tmp_path} dbname=x": f"@{tmp_path}",
        "host=no-such.invalid": '"no-such.invalid"',
        "port=x": "invalid integer value",
        "sslmode=x": "invalid sslmode value",
        "user=alice@example.org host=no-such.invalid": "no-such.invalid",
        "postgresql://alice%40example.org:x%40y@no-such.invalid/x": "no-such.invalid",
        "postgresql://alice:x@y@localhost/x": "percent-encoded",
    }
    for conninfo, words in said.items():
        assert words in Ctl(conninfo).refused("user", "list"), conninfo


# ---- The schema ------------------------------------------------------------------------------------------------------


def does_not_serve(daemon, word):
    """It says what is wrong with the schema, and answers nothing but that."""
    daemon.start(wait=None)
    wait_until(lambda: "schema" in daemon.log_text() or daemon.process.poll() is not None, "a word about the schema")

    def refuses():
        if daemon.process.poll() is not None:
            assert daemon.process.returncode == 1
            return True
        try:
            return daemon.ask(headers=UNKNOWN).status == 503 and daemon.ask(path="/session/ready").status == 503
        except NOT_LISTENING:
            return False

    wait_until(refuses, "the daemon to refuse")
    assert re.search(rf"schema.*{word}", daemon.log_text()), daemon.log_text()


def newest_version(database):
    return database.value("SELECT max(version) FROM schema_migrations")


def test_newer_schema_is_not_served(database, new_daemon):
    version = newest_version(database)
    database.query("INSERT INTO schema_migrations (version, name) VALUES (%s, 'future')", version + 1)
    does_not_serve(new_daemon(), str(version + 1))


def test_older_schema_is_not_served(database, new_daemon):
    database.query("DELETE FROM schema_migrations WHERE version = %s", newest_version(database))
    does_not_serve(new_daemon(), "migrate")


def test_database_that_was_never_migrated_is_not_served(empty_database, new_daemon):
    does_not_serve(new_daemon(on=empty_database), "migrate")


def test_schema_that_changes_under_the_daemon_is_not_served(cluster, database, new_daemon):
    daemon = new_daemon().start()
    version = newest_version(database)
    database.query("INSERT INTO schema_migrations (version, name) VALUES (%s, 'future')", version + 1)
    cluster.terminate_backends(database.name)
    wait_until(lambda: daemon.ask(headers=UNKNOWN).status == 503, "the daemon to notice")
    database.query("DELETE FROM schema_migrations WHERE version = %s", version + 1)
    wait_until(lambda: daemon.ask(headers=UNKNOWN).status == 401, "the daemon to serve again")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (x int)",
        "ALTER TABLE sessions ADD COLUMN mine int",
        "DROP TABLE events",
        "TRUNCATE sessions",
        "CREATE INDEX ON sessions (ip)",
        "DELETE FROM schema_migrations",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER SEQUENCE login_order RESTART",
    ],
)
def test_role_of_the_daemon_cannot_change_the_schema(database, statement):
    """All other tests run with this role: so it needs no more than that."""
    connection = database.connect(role=database.cluster.DAEMON)
    try:
        with connection.cursor() as cursor, pytest.raises(Exception, match="permission denied|must be owner"):
            cursor.execute(statement)
    finally:
        connection.close()


def test_every_table_and_column_says_what_it_is(database):
    silent = database.query(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        "  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " WHERE n.nspname = 'public' AND c.relkind = 'r'"
        "   AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)"
    )
    assert silent == []


# ---- What a request costs --------------------------------------------------------------------------------------------


@pytest.fixture
def counted(cluster, database, new_daemon):
    """count(call): the statements that PostgreSQL got while it ran, and whether a transaction wrote anything."""
    cluster.execute(f"ALTER DATABASE {database.name} SET log_statement = 'all'")
    daemon = new_daemon({"server.workers": 1})

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
    """As pgbouncer needs it in transaction pooling."""
    cluster.execute(f"ALTER DATABASE {database.name} SET log_statement = 'all'")
    daemon = new_daemon({"database.prepare": "off"}).start()
    begin = cluster.log.stat().st_size
    signed_in = sign_in(daemon)
    assert daemon.ask(headers=signed_in).status == 200
    assert daemon.ask(method="POST", path="/session/logout", headers=signed_in).status == 303
    with open(cluster.log, encoding="utf-8", errors="replace") as log:
        log.seek(begin)
        lines = [line for line in log if f" {database.name} {cluster.DAEMON} " in line and "LOG:" in line]
    assert lines
    for line in lines:
        assert "execute" not in line or "execute <unnamed>" in line, line
        assert not re.search(r"statement:\s*(SET|PREPARE|LISTEN)", line), line


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


# ---- The purge -------------------------------------------------------------------------------------------------------


def test_daemon_purges_by_itself(database, new_daemon):
    database.query(
        "INSERT INTO sessions (session_key, user_id, expires_at)"
        " SELECT sha256(n::text::bytea), (SELECT min(id) FROM users), now() - interval '1 hour'"
        "   FROM generate_series(1, 300) n"
    )
    daemon = new_daemon({"session.purge_interval": "1s"}).start()
    wait_until(lambda: database.value("SELECT count(*) FROM sessions") == 0, "the purge")
    assert database.query("SELECT reason, count(*) FROM ended_sessions GROUP BY 1") == [("expired", 300)]
    assert daemon.ask().status == 401


def test_purge_survives_a_database_that_is_away(cluster, new_daemon):
    daemon = new_daemon({"session.purge_interval": "1s"}).start()
    workers = daemon.workers
    cluster.stop()
    deadline = time.monotonic() + 2.5
    wait_until(lambda: time.monotonic() > deadline, "two purges to be tried")
    assert set(workers) <= set(daemon.workers)
    cluster.start()
    wait_until(lambda: daemon.ask(path="/session/ready").status == 200, "the daemon to find the database again")

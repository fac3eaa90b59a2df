"""The database goes away, gets stuck and comes back; and what a request costs it."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support import programs
from support.browser import problem
from support.client import CREDENTIALS, JSON, UNKNOWN, sign_in
from support.locks import HeldRow, HeldTable
from support.processes import BUILD, children_of
from support.programs import Ctl, write_conf
from support.proxy import Firewall
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
    daemon.await_database()
    assert daemon.ask(headers=signed_in).status == 200
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
    new_daemon({"server.workers": 2, "database.conninfo": firewall.conninfo(database, more=more)}).start()
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


def test_row_that_somebody_holds_is_503_within_the_time_out(new_daemon):
    """A lock that is not given up must not hold a worker for ever."""
    daemon = new_daemon({"server.workers": 1, "database.statement_timeout": "1s"}).start()
    signed_in = sign_in(daemon)
    with HeldRow(daemon, "logged_in_user"):
        answer, took = timed(daemon, method="POST", path="/session/login", headers=JSON, body=CREDENTIALS)
        assert is_unavailable(answer)
        assert took < 5, f"it took {took:.1f} s"
        # Who is signed in is only read.
        assert daemon.ask(headers=signed_in).status == 200
    wait_until(
        lambda: daemon.ask(method="POST", path="/session/login", headers=JSON, body=CREDENTIALS).status == 200,
        "logins to be possible again",
    )


def test_table_that_somebody_holds_does_not_hold_the_daemon(database, new_daemon):
    daemon = new_daemon({"server.workers": 1, "database.statement_timeout": "1s"}).start()
    signed_in = sign_in(daemon)
    with HeldTable(database):
        answer, took = timed(daemon, headers=signed_in)
        assert is_unavailable(answer)
        assert took < 5, f"it took {took:.1f} s"
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


# ---- What is said about a connection string --------------------------------------------------------------------------

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

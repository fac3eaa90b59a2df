"""Daemons that reach PostgreSQL through pgbouncer."""

import random
import re
import signal
import subprocess
import time

import psycopg2
import pytest

from support import replication
from support.client import UNKNOWN_KEY
from support.hosts import AT_MOST, SLACK, Device, all_ready, live_of, log_in_at_once
from support.postgres import Database
from support.processes import end
from support.programs import Ctl, environment
from support.waiting import PATIENCE, Background, wait_until


class Pooled:
    """A database as it is seen through pgbouncer."""

    def __init__(self, database, bouncer):
        self.name, self.bouncer = database.name, bouncer
        self.conninfo = bouncer.conninfo(database.name, database.cluster.DAEMON)
        self.owner_conninfo = bouncer.conninfo(database.name, database.cluster.OWNER)


@pytest.fixture
def new_bouncer(cluster, closing):
    def make(**settings):
        return closing.add(replication.Bouncer(cluster, **settings)).start()

    return make


@pytest.fixture
def pooled(database, new_bouncer):
    return Pooled(database, new_bouncer())


@pytest.fixture
def pooled_hosts(new_daemon, pooled):
    """Two daemons of four workers each, which share two connections."""
    settings = {"server.workers": 4, "database.prepare": "off"}
    return [new_daemon(settings, on=pooled).start() for _ in range(2)]


def test_one_account_one_session_through_the_pooler(pooled_hosts, database):
    older = Device().sign_in(pooled_hosts[0])
    newer = Device().sign_in(pooled_hosts[1])
    assert newer.displaced == [older.session_id]
    assert [older.reason(host) for host in pooled_hosts] == ["displaced", "displaced"]
    assert [newer.reason(host) for host in pooled_hosts] == ["", ""]
    other = Device("bob").sign_in(pooled_hosts[0])
    assert newer.logout(pooled_hosts[0]) == 204
    assert newer.reason(pooled_hosts[1]) == "logged_out"
    assert other.reason(pooled_hosts[1]) == ""
    assert live_of(database) == {"bob": [other.session_id]}


def test_many_at_once_through_a_small_pool(pooled_hosts, database, cluster):
    """Eight workers and two connections: everybody waits for their turn, and nobody for ever."""
    for number in range(6):
        database.add_user(f"user{number}")
    newest = {}

    def live(name):
        for _ in range(15):
            device = Device(name).sign_in(random.choice(pooled_hosts))
            for host in pooled_hosts:
                assert device.reason(host) == ""
            if random.random() < 0.3:
                assert device.logout(random.choice(pooled_hosts)) == 204
        newest[name] = Device(name).sign_in(random.choice(pooled_hosts)).session_id

    for call in [Background(live, f"user{number}") for number in range(6)]:
        call.result(2 * PATIENCE)
    assert live_of(database) == {name: [session_id] for name, session_id in newest.items()}
    assert len(cluster.backends(database.name)) <= 2
    devices = log_in_at_once("alice", pooled_hosts)
    assert sum(device.reason(pooled_hosts[0]) == "" for device in devices) == 1


def test_purge_through_the_pooler(database, new_daemon, pooled):
    database.query(
        "INSERT INTO sessions (session_key, user_id, expires_at)"
        " SELECT sha256(n::text::bytea), (SELECT min(id) FROM users), now() - interval '1 hour'"
        "   FROM generate_series(1, 300) n"
    )
    new_daemon({"database.prepare": "off", "session.purge_interval": "1s"}, on=pooled).start()
    wait_until(lambda: database.value("SELECT count(*) FROM sessions") == 0, "the purge")
    assert database.query("SELECT reason, count(*) FROM ended_sessions GROUP BY 1") == [("expired", 300)]


def show(connection, name):
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return cursor.fetchone()[0]


def test_nothing_is_left_behind_on_the_pooled_connections(pooled_hosts, pooled, cluster, database):
    """They are handed on to others after each transaction: what was set would be set for those, too."""
    device = Device().sign_in(pooled_hosts[0])
    assert Device().sign_in(pooled_hosts[1]).reason(pooled_hosts[0]) == ""
    assert device.reason(pooled_hosts[0]) == "displaced"
    Ctl(pooled.conninfo, **{"database.prepare": "off"}).run("session", "end", "--all")
    names = ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout")
    fresh = database.connect(role=cluster.DAEMON)
    handed_on = psycopg2.connect(pooled.conninfo)
    handed_on.autocommit = True
    try:
        for name in names:
            assert show(handed_on, name) == show(fresh, name)
        with handed_on.cursor() as cursor:
            cursor.execute("SELECT name FROM pg_prepared_statements")
            assert cursor.fetchall() == []
    finally:
        handed_on.close()
        fresh.close()


def test_transaction_of_a_worker_that_is_stuck_ends_also_behind_the_pooler(pooled, new_daemon, cluster, database):
    """What is set for a session does not pass the pooler, so it has to be set for the transaction."""
    cluster.execute(f"ALTER DATABASE {database.name} SET log_statement = 'all'")
    begin = cluster.log.stat().st_size
    host = new_daemon({"database.prepare": "off"}, on=pooled).start()
    Device().sign_in(host)
    with open(cluster.log, encoding="utf-8", errors="replace") as log:
        log.seek(begin)
        text = log.read()
    for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
        assert re.search(rf"BEGIN[^\n]*; SET LOCAL {name} = \d+", text)


@pytest.mark.slow
def test_server_that_is_restarted_behind_the_pooler_is_found_again(pooled_hosts, cluster, database):
    device = Device().sign_in(pooled_hosts[0])
    database.close()
    cluster.stop()
    for host in pooled_hosts:
        # The first finds it out; then it is known.
        wait_until(lambda host=host: device.ask(host)[0] == 503, "the outage")
        began = time.monotonic()
        assert device.ask(host)[0] == 503
        assert time.monotonic() - began < AT_MOST + SLACK
    cluster.start()
    wait_until(lambda: all_ready(pooled_hosts), "the hosts to find the database again")
    assert [device.reason(host) for host in pooled_hosts] == ["", ""]
    device.sign_in(pooled_hosts[1])


def test_pooler_that_is_restarted_is_found_again(pooled_hosts, pooled):
    device = Device().sign_in(pooled_hosts[0])
    end(pooled.bouncer.process, (signal.SIGTERM,))
    assert [device.ask(host)[0] for host in pooled_hosts] == [503, 503]
    pooled.bouncer.start()
    wait_until(lambda: all_ready(pooled_hosts), "the hosts to find the pooler again")
    assert [device.reason(host) for host in pooled_hosts] == ["", ""]


def test_idle_connections_that_the_pooler_closes_are_not_noticed_by_anybody(new_bouncer, new_daemon, database, cluster):
    bouncer = new_bouncer(server_idle_timeout=1)
    host = new_daemon({"database.prepare": "off"}, on=Pooled(database, bouncer)).start()
    device = Device().sign_in(host)
    for _ in range(2):
        wait_until(lambda: cluster.backends(database.name) == [], "the pooler to close its connections")
        assert [device.reason(host) for _ in range(4)] == [""] * 4


def test_idle_workers_that_the_pooler_turns_out_are_not_noticed_by_anybody(new_bouncer, new_daemon, database):
    bouncer = new_bouncer(client_idle_timeout=1)
    host = new_daemon({"database.prepare": "off"}, on=Pooled(database, bouncer)).start()
    device = Device().sign_in(host)
    for turns in (2, 4):
        wait_until(lambda turns=turns: bouncer.log.read_text().count("client_idle_timeout") >= turns, "idle workers")
        assert [device.reason(host) for _ in range(4)] == [""] * 4


def test_operators_work_through_the_pooler(empty_database, new_bouncer, new_daemon):
    bouncer = new_bouncer()
    pooled = Pooled(empty_database, bouncer)
    off = {"database.prepare": "off"}
    ctl = Ctl(pooled.owner_conninfo, **off)
    ctl.run("migrate", "--grant", empty_database.cluster.DAEMON)
    ctl.run("user", "add", "alice", stdin=Database.password + "\n")
    host = new_daemon(off, on=pooled).start()
    device = Device().sign_in(host)
    assert [session["id"] for session in ctl.json("session", "list")] == [device.session_id]
    ctl.run("session", "end", device.session_id)
    assert device.reason(host) == "revoked"
    device.sign_in(host)
    ctl.run("user", "disable", "alice")
    assert device.reason(host) == "disabled"
    ctl.run("purge")


@pytest.mark.parametrize("prepare", ["on", "off"])
def test_pool_mode_statement_is_found_out_and_told(new_bouncer, new_daemon, database, prepare):
    """Nobody could sign in: what has no transactions is no database."""
    pooled = Pooled(database, new_bouncer(pool_mode="statement"))
    host = new_daemon({"database.prepare": prepare}, on=pooled).start(wait="/session/health")
    wait_until(lambda: "pool_mode" in host.log_text(), "a word in the log")
    assert host.ask(path="/session/ready").status == 503
    assert Device().login(host) == 503
    tested = subprocess.run(host.command("-t"), capture_output=True, text=True, env=environment(), check=False)
    assert tested.returncode == 1 and "database: right" not in tested.stdout
    assert "pool_mode = statement" in tested.stderr
    assert "pool_mode = statement" in Ctl(pooled.conninfo, **{"database.prepare": prepare}).refused("user", "list")


def test_test_finds_a_pooler_that_loses_what_was_prepared(new_daemon, pooled):
    found = {}
    for prepare in ("on", "off"):
        host = new_daemon({"database.prepare": prepare}, on=pooled)
        tested = subprocess.run(host.command("-t"), capture_output=True, text=True, env=environment(), check=False)
        found[prepare] = (tested.returncode, "set database.prepare = off" in tested.stderr, "database: right" in tested.stdout)
    assert found == {"on": (1, True, False), "off": (0, False, True)}


def test_prepared_statements_through_this_pooler_are_told_of(new_daemon, pooled):
    """pgbouncer before 1.21 hands on connections but not what was prepared on them: the log says what to do."""
    hosts = [new_daemon({"server.workers": 4, "database.prepare": "on"}, on=pooled) for _ in range(2)]
    for host in hosts:
        host.start(wait="/session/health")
    statuses = set()
    for host in hosts:
        for _ in range(12):
            statuses.add(Device().login(host))
            statuses.add(host.ask(headers={"Cookie": f"onesession={UNKNOWN_KEY}"}, timeout=PATIENCE).status)
    print(statuses)
    assert any("database.prepare" in host.log_text() for host in hosts)

"""
More than one host: two daemons on one database, on a primary with a standby that takes its place, and through
pgbouncer. Whatever happens to the servers behind them, an account is live in one place, and what was confirmed stays.
"""

import time

import pytest

from support import fastcgi
from support.client import UNKNOWN_KEY
from support.hosts import BOTH_WAYS, SLACK, Device, is_ready, log_in_at_once
from support.locks import HeldTable, waits_in_database
from support.waiting import PATIENCE, Background, wait_until


# ---- Two hosts, one database -----------------------------------------------------------------------------------------


@pytest.fixture
def hosts(new_daemon):
    """Each with its own socket and its own configuration."""
    return (
        new_daemon({"server.workers": 2}).start(),
        new_daemon({"server.workers": 3, "database.prepare": "off", "session.touch_interval": "1s"}).start(),
    )


@BOTH_WAYS
def test_login_at_one_host_displaces_at_the_very_next_request_at_the_other(hosts, there_and_back):
    here, there = (hosts[number] for number in there_and_back)
    older = Device().sign_in(here)
    assert older.reason(there) == ""
    for _ in range(20):
        newer = Device().sign_in(there)
        assert newer.displaced == [older.session_id]
        assert older.reason(here) == "displaced"
        assert older.reason(there) == "displaced"
        assert newer.reason(here) == newer.reason(there) == ""
        older = newer
        here, there = there, here


@BOTH_WAYS
def test_logout_at_one_host_is_one_at_the_other(hosts, there_and_back):
    here, there = (hosts[number] for number in there_and_back)
    device = Device().sign_in(here)
    assert device.logout(there) == 204
    assert device.reason(here) == "logged_out"


@BOTH_WAYS
def test_logout_of_a_displaced_device_at_the_other_host_changes_nothing(hosts, there_and_back):
    here, there = (hosts[number] for number in there_and_back)
    older = Device().sign_in(here)
    newer = Device().sign_in(there)
    assert older.logout(here) == 204
    assert newer.reason(here) == newer.reason(there) == ""


def test_what_an_operator_does_is_seen_by_every_host(hosts, ctl, database):
    device = Device().sign_in(hosts[0])
    ctl.run("session", "end", device.session_id)
    assert [device.reason(host) for host in hosts] == ["revoked", "revoked"]
    device.sign_in(hosts[1])
    ctl.run("user", "disable", "alice")
    assert [device.reason(host) for host in hosts] == ["disabled", "disabled"]
    assert [device.login(host) for host in hosts] == [403, 403]
    ctl.run("user", "enable", "alice")
    assert device.login(hosts[0]) == 200
    ctl.run("user", "delete", "alice")
    assert [device.reason(host) for host in hosts] == ["unauthenticated", "unauthenticated"]
    assert database.query("SELECT * FROM sessions") == []


def test_rotation_at_the_other_host_ends_the_key_at_both(hosts):
    device = Device().sign_in(hosts[0])
    old = Device()
    old.key = device.key
    device.sign_in(hosts[1])
    assert device.displaced == []
    assert [device.reason(host) for host in hosts] == ["", ""]
    assert [old.reason(host) for host in hosts] == ["logged_out", "logged_out"]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_logins_of_one_account_at_both_hosts_at_once_leave_as_many_live_as_it_may_have(hosts, database, limit):
    database.add_user("eve", limit=limit)
    for _ in range(5):
        devices = log_in_at_once("eve", hosts)
        by_host = [{device.session_id for device in devices if device.reason(host) == ""} for host in hosts]
        assert by_host[0] == by_host[1] == set(database.sessions("eve"))
        assert len(by_host[0]) == limit


# ---- Connecting ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_request_is_forgotten_while_connecting_fails(cluster, database, new_daemon):
    """A peer may get the number of a connection to the database that was just closed: it is heard all the same."""
    host = new_daemon({"server.workers": 1, "server.io_timeout": "10s"}).start()
    cluster.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
    cluster.terminate_backends(database.name)
    wait_until(lambda: Device().login(host) == 503, "the outage")
    request = fastcgi.request_bytes(fastcgi.pairs(fastcgi.environ(headers={"Cookie": f"onesession={UNKNOWN_KEY}"})))
    deadline = time.monotonic() + 4

    def ask():
        count = 0
        while time.monotonic() < deadline:
            began = time.monotonic()
            # There before they say anything, so that the worker has to watch them.
            connections = [host.connection() for _ in range(4)]
            for connection in connections:
                with connection:
                    connection.send(request)
                    assert connection.answer().status == 503
            assert time.monotonic() - began < SLACK
            count += 1
        return count

    assert sum(call.result(2 * PATIENCE) for call in [Background(ask) for _ in range(3)]) > 20


def test_request_that_comes_while_its_worker_waits_for_the_database_is_heard(database, new_daemon):
    """However long that takes: who is slow then is the daemon, not the peer."""
    host = new_daemon({"server.workers": 1, "server.io_timeout": "1s", "database.statement_timeout": "2s"}).start()
    with HeldTable(database), host.connection() as later:
        assert is_ready(host)
        first = Background(host.ask, headers={"Cookie": f"onesession={UNKNOWN_KEY}"}, timeout=PATIENCE)
        waits_in_database(database)
        later.send(fastcgi.request_bytes(fastcgi.pairs(fastcgi.environ())))
        assert first.result().status == 503
        assert later.answer().status == 401

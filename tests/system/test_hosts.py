"""
More than one host: two daemons on one database, on a primary with a standby that takes its place, and through
pgbouncer. Whatever happens to the servers behind them, an account is live in one place, and what was confirmed stays.
"""

import json
import random
import re
import signal
import subprocess
import threading
import time

import psycopg2
import pytest

from support import fastcgi, replication
from support.client import JSON
from support.postgres import Database, new_database
from support.processes import end
from support.programs import Ctl, environment
from support.waiting import PATIENCE, Background, wait_until

UNKNOWN = "A" * 43
BOTH_WAYS = pytest.mark.parametrize("there_and_back", [(0, 1), (1, 0)], ids=["first to second", "second to first"])

# How long a request may take whatever happens to the database, on a machine that has nothing else to do: a statement
# that gets no answer, the attempt to connect anew, and the question how the commit ended.
STATEMENT_TIMEOUT, CONNECT_TIMEOUT = 2, 2
AT_MOST = 2 * (STATEMENT_TIMEOUT + 0.5) + 2 * CONNECT_TIMEOUT
# What a slow machine is given on top of it.
SLACK = 5


class Device:
    """A program that signs in at one host and may go on at any other."""

    def __init__(self, username="alice"):
        self.username = username
        self.key = None
        self.session_id = None
        self.displaced = []

    def login(self, host):
        """The status. When it is 200 the device has a new key."""
        credentials = {"username": self.username, "password": Database.password}
        answer = host.ask(
            method="POST",
            path="/session/login",
            headers={**JSON, **self._cookie()},
            body=json.dumps(credentials),
            timeout=PATIENCE + AT_MOST,
        )
        if answer.status == 200:
            self.key = answer.cookie()
            body = json.loads(answer.body)
            self.session_id = body["session"]["id"]
            self.displaced = [session["id"] for session in body["displaced"]]
        else:
            assert answer.all("Set-Cookie") == []
        return answer.status

    def sign_in(self, host):
        assert self.login(host) == 200
        return self

    def logout(self, host):
        return host.ask(method="POST", path="/session/logout", headers={**JSON, **self._cookie()}).status

    def _cookie(self):
        return {"Cookie": f"onesession={self.key}"} if self.key else {}

    def ask(self, host):
        """(status, reason) that the guard gives."""
        answer = host.ask(headers=self._cookie(), timeout=PATIENCE + AT_MOST)
        return answer.status, answer.get("Session-Reason")

    def reason(self, host):
        """'' when it is live, else why not."""
        status, reason = self.ask(host)
        assert (status, reason == "") in ((200, True), (401, False)), (status, reason)
        return reason


def live_of(database):
    """The public ids of the sessions in the database, by account."""
    rows = database.query(
        "SELECT u.username, array_agg(s.id::text ORDER BY s.login_order) FROM sessions s JOIN users u"
        " ON u.id = s.user_id GROUP BY 1"
    )
    return dict(rows)


def is_ready(host):
    return host.ask(path="/session/ready", timeout=PATIENCE).status == 200


def all_ready(hosts):
    """Every worker, as far as one can tell by asking more often than there are workers."""
    return all(is_ready(host) for host in hosts for _ in range(6))


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


def log_in_at_once(username, hosts, count=8):
    """Devices of one account sign in at all hosts at one moment; those that succeeded."""
    barrier = threading.Barrier(count)

    def log_in(number):
        device = Device(username)
        barrier.wait(PATIENCE)
        assert device.login(hosts[number % len(hosts)]) == 200
        return device

    return [call.result(PATIENCE + AT_MOST) for call in [Background(log_in, number) for number in range(count)]]


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_logins_of_one_account_at_both_hosts_at_once_leave_as_many_live_as_it_may_have(hosts, database, limit):
    database.add_user("eve", limit=limit)
    for _ in range(5):
        devices = log_in_at_once("eve", hosts)
        by_host = [{device.session_id for device in devices if device.reason(host) == ""} for host in hosts]
        assert by_host[0] == by_host[1] == set(database.sessions("eve"))
        assert len(by_host[0]) == limit


# ---- A primary and a standby -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair_of_module():
    made = replication.Pair()
    try:
        made.create()
        yield made
    finally:
        made.remove()


@pytest.fixture
def pair(pair_of_module):
    """A primary that confirms a commit when its standby has it, whatever the test before did to them."""
    pair_of_module.heal()
    yield pair_of_module
    pair_of_module.primary.go_on()
    pair_of_module.standby.go_on()


@pytest.fixture
def pair_database(pair):
    made = new_database(pair)
    # A copy's sequences begin to be logged at the next checkpoint: without one, a fail-over would turn them back.
    pair.execute("CHECKPOINT")
    yield made
    pair.heal()
    made.drop()


@pytest.fixture
def pair_hosts(new_daemon, pair_database):
    """Two daemons that know both servers, each in another order."""
    names = pair_database.conninfo
    first, second = re.search(r"host=(\S+),(\S+)", names).groups()
    settings = {"server.workers": 3, "database.statement_timeout": f"{STATEMENT_TIMEOUT}s"}
    return (
        new_daemon(settings, on=pair_database).start(),
        new_daemon(
            {**settings, "database.conninfo": names.replace(f"{first},{second}", f"{second},{first}")},
            on=pair_database,
        ).start(),
    )


class Load:
    """
    Accounts that sign in again and again, each in its own thread, at any host, until stop(). Each answer is 200, or 503
    without a key, and is there within the time that is promised. After a 503 it is not known whether a login happened.
    """

    def __init__(self, database, hosts, accounts=4):
        self.hosts = hosts
        self.accounts = [f"load{number}" for number in range(accounts)]
        for name in self.accounts:
            database.add_user(name)
        # What the two readers ask with.
        self.recent = {name: Device(name).sign_in(random.choice(hosts)) for name in self.accounts}
        self.acknowledged = {name: [device] for name, device in self.recent.items()}
        # Whether a login after the last acknowledged one is not known to have failed.
        self.is_unsure = dict.fromkeys(self.accounts, False)
        self.statuses = {}
        self.slowest = {}
        self.longest_outage = 0.0
        self.lock = threading.Lock()
        self.is_over = threading.Event()
        self.calls = [Background(self._sign_in, name) for name in self.accounts] + [Background(self._ask)]

    def _note(self, what, status, took):
        assert took < AT_MOST + SLACK, f"{what} took {took:.1f} s"
        with self.lock:
            self.statuses[what, status] = self.statuses.get((what, status), 0) + 1
            self.slowest[what, status] = max(self.slowest.get((what, status), 0), took)

    def _sign_in(self, name):
        failing_since = None
        while not self.is_over.is_set():
            device = Device(name)
            began = time.monotonic()
            status = device.login(random.choice(self.hosts))
            ended = time.monotonic()
            self._note("login", status, ended - began)
            assert status in (200, 503), status
            if status == 200:
                self.acknowledged[name].append(device)
                self.recent[name] = device
                self.is_unsure[name] = False
                if failing_since is not None:
                    self.longest_outage = max(self.longest_outage, ended - failing_since)
                failing_since = None
            else:
                self.is_unsure[name] = True
                failing_since = failing_since or began

    def _ask(self):
        while not self.is_over.is_set():
            device = random.choice(list(self.recent.values()))
            began = time.monotonic()
            status, _ = device.ask(random.choice(self.hosts))
            self._note("auth", status, time.monotonic() - began)
            assert status in (200, 401, 503), status

    @property
    def count(self):
        return sum(len(devices) for devices in self.acknowledged.values())

    def goes_on(self, logins=20):
        """Wait until that many more were acknowledged."""
        goal = self.count + logins

        def enough():
            for call in self.calls:
                if call.is_done:
                    call.result()
            return self.count >= goal

        wait_until(enough, f"{logins} logins: {self.statuses}", timeout=2 * PATIENCE)

    def stop(self):
        self.is_over.set()
        for call in self.calls:
            call.result(PATIENCE + AT_MOST)
        slowest = {what: round(took, 2) for what, took in self.slowest.items()}
        print(f"answers: {self.statuses}, slowest: {slowest}, longest without a login: {self.longest_outage:.2f} s")

    def check(self, database):
        """Nothing that was acknowledged is lost, the newest is live, and nobody is live twice."""
        known = {row[0] for row in database.query("SELECT session_id::text FROM events WHERE name = 'user_logged_in'")}
        live = live_of(database)
        for name in self.accounts:
            lost = [device.session_id for device in self.acknowledged[name] if device.session_id not in known]
            assert lost == [], f"{len(lost)} of {len(self.acknowledged[name])} acknowledged logins are lost"
            newest = self.acknowledged[name][-1]
            assert len(live[name]) == 1
            if not self.is_unsure[name]:
                assert live[name] == [newest.session_id]
                assert [newest.reason(host) for host in self.hosts] == ["", ""]
            elif live[name] != [newest.session_id]:
                # The login after it, which nobody was told of, was one all the same.
                assert database.ended(newest.session_id) == "displaced"
            for device in self.acknowledged[name][-10:-1]:
                assert [device.reason(host) for host in self.hosts] == ["displaced", "displaced"]


@pytest.fixture
def load(pair_database, pair_hosts):
    made = []

    def start(**kwargs):
        made.append(Load(pair_database, pair_hosts, **kwargs))
        return made[-1]

    yield start
    for running in made:
        running.is_over.set()


def are_at(server, hosts, database):
    """Is every worker connected to that server?"""
    return len(server_backends(server, database)) == sum(len(host.workers) for host in hosts)


def settle(pair, hosts, database):
    """Wait until every worker works through the primary."""
    wait_until(lambda: are_at(pair.primary, hosts, database), "every worker to be connected to the primary")
    wait_until(lambda: all_ready(hosts), "the hosts to be ready")


def server_backends(server, database):
    return server.rows(
        f"SELECT pid FROM pg_stat_activity WHERE datname = '{database.name}' AND usename = '{server.DAEMON}'"
        " AND application_name = 'onesessiond'"
    )


def test_both_hosts_work_through_the_primary(pair, pair_database, pair_hosts):
    """In whichever order they have been told the two servers."""
    settle(pair, pair_hosts, pair_database)
    assert server_backends(pair.standby, pair_database) == []
    device = Device().sign_in(pair_hosts[0])
    newer = Device().sign_in(pair_hosts[1])
    assert [device.reason(host) for host in pair_hosts] == ["displaced", "displaced"]
    assert [newer.reason(host) for host in pair_hosts] == ["", ""]


@pytest.mark.slow
@pytest.mark.parametrize("turn", [1, 2])
def test_no_acknowledged_login_is_lost_when_the_primary_dies(pair, pair_database, load, turn):
    """And the hosts find the new primary by themselves, wherever it stands in their list."""
    running = load()
    running.goes_on()
    pair.primary.kill()
    wait_until(lambda: running.statuses.get(("login", 503)) and running.statuses.get(("auth", 503)), "the outage")
    pair_database.close()
    pair.promote()
    running.goes_on()
    running.stop()
    settle(pair, running.hosts, pair_database)
    running.check(pair_database)


@pytest.mark.slow
def test_requests_are_refused_at_once_while_there_is_no_primary(pair, pair_database, pair_hosts):
    device = Device().sign_in(pair_hosts[0])
    pair.primary.kill()
    for host in pair_hosts:
        wait_until(lambda host=host: device.ask(host)[0] == 503, "the outage")
        for _ in range(20):
            began = time.monotonic()
            assert device.ask(host)[0] == 503
            assert Device().login(host) == 503
            assert not is_ready(host)
            assert time.monotonic() - began < 2
            assert host.ask(path="/session/health").status == 200
    pair_database.close()
    pair.promote()
    wait_until(lambda: all_ready(pair_hosts), "the hosts to find the new primary")
    assert [device.reason(host) for host in pair_hosts] == ["", ""]


@pytest.mark.slow
def test_switchover_and_back_while_everything_runs(pair, pair_database, load):
    """The old primary comes back as a standby, and nobody stays with it."""
    running = load()
    for _ in range(2):
        running.goes_on()
        old = pair.primary
        old.stop()
        pair_database.close()
        pair.promote()
        pair.rejoin()
        running.goes_on()
        settle(pair, running.hosts, pair_database)
        assert server_backends(old, pair_database) == []
    running.stop()
    running.check(pair_database)


@pytest.mark.slow
def test_server_that_hangs_does_not_keep_the_hosts_from_the_new_primary(pair, pair_database, load):
    """It takes connections and never answers, as when a machine is cut off: those behind it in the list are tried."""
    running = load()
    running.goes_on()
    old = pair.primary
    old.pause()
    wait_until(lambda: running.statuses.get(("login", 503)), "the outage")
    pair_database.close()
    pair.promote()
    running.goes_on()
    running.stop()
    settle(pair, running.hosts, pair_database)
    # Fenced before it is there again, as whoever promotes a standby has to see to.
    old.kill()
    running.check(pair_database)


@pytest.mark.slow
def test_hosts_and_operators_start_while_the_first_server_hangs(pair, pair_database, new_daemon):
    pair.primary.pause()
    pair_database.close()
    pair.promote()
    hung, alive = pair.standby.sockets, pair.primary.sockets
    conninfo = f"host={hung},{alive} target_session_attrs=read-write dbname={pair_database.name}"
    settings = {"database.conninfo": f"{conninfo} user={pair.DAEMON}"}
    host = new_daemon(settings, on=pair_database).start()
    device = Device().sign_in(host)
    ctl = Ctl(f"{conninfo} user={pair.OWNER}")
    ctl.run("session", "end", device.session_id)
    assert device.reason(host) == "revoked"


def has_database(server, name):
    try:
        server.connect(name).close()
        return True
    except psycopg2.OperationalError:
        return False


def test_standby_is_not_served(pair, pair_database, new_daemon):
    """It may not know yet of what has just happened: so nobody is let in by it."""
    device = Device().sign_in(new_daemon(on=pair_database).start())
    conninfo = pair.standby.conninfo(pair_database.name, pair.DAEMON)
    wait_until(lambda: has_database(pair.standby, pair_database.name), "the standby to know the database")
    host = new_daemon({"database.conninfo": conninfo}, on=pair_database).start(wait="/session/health")
    assert device.ask(host)[0] == 503
    assert Device().login(host) == 503
    assert "standby" in host.log_text()
    # Once it is the primary it is served without a word to the daemon.
    pair.primary.kill()
    pair_database.close()
    pair.promote()
    wait_until(lambda: is_ready(host), "the daemon to take the new primary")
    assert device.reason(host) == ""


@pytest.mark.slow
def test_server_that_no_longer_takes_writes_is_given_up(pair, pair_database, pair_hosts):
    """As a primary that was demoted without breaking its connections: also by those who only read."""
    device = Device().sign_in(pair_hosts[0])
    old = pair.primary
    before = set(server_backends(old, pair_database))
    old.configure(default_transaction_read_only="on")

    def all_have_left():
        """Asked by several at once, so that no worker is left out."""
        calls = [Background(device.ask, host) for host in pair_hosts for _ in range(8)]
        assert {call.result(PATIENCE + AT_MOST)[0] for call in calls} <= {200, 503}
        return before.isdisjoint(server_backends(old, pair_database))

    wait_until(all_have_left, "every worker to notice")
    assert [device.ask(host)[0] for host in pair_hosts] == [503, 503]
    assert [Device().login(host) for host in pair_hosts] == [503, 503]
    pair_database.close()
    pair.promote()
    settle(pair, pair_hosts, pair_database)
    assert [device.reason(host) for host in pair_hosts] == ["", ""]
    newer = Device().sign_in(pair_hosts[1])
    assert [device.reason(host) for host in pair_hosts] == ["displaced", "displaced"]
    assert pair_database.sessions() == [newer.session_id]


# ---- A synchronous standby that is away ------------------------------------------------------------------------------


def log_in_unconfirmed(pair, database, host, meddle=None):
    """A login whose commit the standby does not confirm: 503 in time, whatever `meddle` does to the one that waits."""
    device = Device()
    began = time.monotonic()
    call = Background(device.login, host)
    waiting = wait_until(lambda: pair.waiting_commits(database.name), "the commit to wait")
    if meddle is not None:
        pair.primary.rows(f"SELECT {meddle}({waiting[0]})")
    assert call.result(PATIENCE + AT_MOST) == 503
    assert time.monotonic() - began < AT_MOST + SLACK
    return device


@pytest.mark.slow
def test_login_that_the_standby_does_not_confirm_is_not_acknowledged(pair, pair_database, pair_hosts):
    device = Device().sign_in(pair_hosts[0])
    pair.lose_standby()
    log_in_unconfirmed(pair, pair_database, pair_hosts[1])
    # Nobody else waits for it: who is signed in stays so, everywhere.
    assert [device.reason(host) for host in pair_hosts] == ["", ""]
    assert Device("bob").reason(pair_hosts[0]) == "unauthenticated"
    pair.standby.follow(pair.primary)
    wait_until(lambda: pair.waiting_commits(pair_database.name) == [], "the commit to be confirmed")
    # It has become a login that nobody was told of: then the device before it is out. Nobody is live twice.
    assert len(pair_database.sessions()) == 1
    newest = Device().sign_in(pair_hosts[1])
    assert [device.reason(host) for host in pair_hosts] == ["displaced", "displaced"]
    assert pair_database.sessions() == [newest.session_id]


@pytest.mark.slow
@pytest.mark.parametrize("meddle", ["pg_terminate_backend", "pg_cancel_backend"])
def test_login_that_is_on_the_primary_alone_is_not_acknowledged(pair, pair_database, pair_hosts, meddle):
    """Somebody ends the wait: then the login is there to be read, and still would be lost with the primary."""
    device = Device().sign_in(pair_hosts[0])
    pair.lose_standby()
    log_in_unconfirmed(pair, pair_database, pair_hosts[1], meddle)
    pair.primary.kill()
    pair_database.close()
    pair.standby.start()
    pair.promote()
    wait_until(lambda: all_ready(pair_hosts), "the hosts to find the new primary")
    assert [device.reason(host) for host in pair_hosts] == ["", ""]
    assert pair_database.sessions() == [device.session_id]


def test_login_whose_end_is_not_known_is_asked_for_until_it_is(pair, pair_database, pair_hosts):
    """The connection breaks at the commit, and once more while it is read back how that ended: still no 5xx."""
    Device().sign_in(pair_hosts[0])
    pair.lose_standby()
    device = Device()
    call = Background(device.login, pair_hosts[1])
    (committing,) = wait_until(lambda: pair.waiting_commits(pair_database.name), "the commit to wait")
    holder = pair_database.connect()

    def hold():
        with holder.cursor() as cursor:
            cursor.execute("BEGIN; SELECT FROM logged_in_user FOR UPDATE")

    holding = Background(hold)
    waiting = "SELECT pid FROM pg_stat_activity WHERE usename = '%s' AND wait_event_type = 'Lock'"
    wait_until(lambda: pair.primary.rows(waiting % pair.OWNER), "somebody else to wait for the row")
    pair.primary.rows(f"SELECT pg_terminate_backend({committing})")
    holding.result()
    ((reading,),) = wait_until(lambda: pair.primary.rows(waiting % pair.DAEMON), "the daemon to read the outcome")
    pair.primary.rows(f"SELECT pg_terminate_backend({reading})")
    pair.primary.configure(synchronous_standby_names="")
    holder.close()
    assert call.result(PATIENCE + AT_MOST) == 200
    assert device.reason(pair_hosts[0]) == ""
    assert pair_database.sessions() == [device.session_id]


@pytest.mark.slow
@pytest.mark.parametrize("meddle", [None, "pg_terminate_backend", "pg_cancel_backend"])
def test_logout_that_the_standby_does_not_confirm_is_not_acknowledged(pair, pair_database, pair_hosts, meddle):
    device = Device().sign_in(pair_hosts[0])
    pair.lose_standby()
    call = Background(device.logout, pair_hosts[1])
    waiting = wait_until(lambda: pair.waiting_commits(pair_database.name), "the commit to wait")
    if meddle is not None:
        pair.primary.rows(f"SELECT {meddle}({waiting[0]})")
    assert call.result(PATIENCE + AT_MOST) == 503
    pair.standby.follow(pair.primary)
    wait_until(lambda: pair.waiting_commits(pair_database.name) == [], "the commit to be confirmed")
    wait_until(lambda: device.logout(pair_hosts[1]) == 204, "the logout to be confirmed")
    assert [device.reason(host) for host in pair_hosts] == ["logged_out", "logged_out"]


# ---- Connecting ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_request_is_forgotten_while_connecting_fails(cluster, database, new_daemon):
    """A peer may get the number of a connection to the database that was just closed: it is heard all the same."""
    host = new_daemon({"server.workers": 1, "server.io_timeout": "10s"}).start()
    cluster.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 0")
    cluster.terminate_backends(database.name)
    wait_until(lambda: Device().login(host) == 503, "the outage")
    request = fastcgi.request_bytes(fastcgi.pairs(fastcgi.environ(headers={"Cookie": f"onesession={UNKNOWN}"})))
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
    holder = database.connect()
    try:
        with holder.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE")
        with host.connection() as later:
            assert is_ready(host)
            first = Background(host.ask, headers={"Cookie": f"onesession={UNKNOWN}"}, timeout=PATIENCE)
            wait_until(lambda: database.value("SELECT count(*) FROM pg_locks WHERE NOT granted"), "the worker to wait")
            later.send(fastcgi.request_bytes(fastcgi.pairs(fastcgi.environ())))
            assert first.result().status == 503
            assert later.answer().status == 401
    finally:
        holder.close()


# ---- pgbouncer -------------------------------------------------------------------------------------------------------


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
            statuses.add(host.ask(headers={"Cookie": f"onesession={UNKNOWN}"}, timeout=PATIENCE).status)
    print(statuses)
    assert any("database.prepare" in host.log_text() for host in hosts)

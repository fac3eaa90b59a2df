"""Two daemons on a primary whose standby takes its place: what was confirmed stays, and an account is live in one place."""

import contextlib
import json
import random
import re
import threading
import time

import psycopg2
import pytest

from support import replication
from support.hosts import AT_MOST, SLACK, STATEMENT_TIMEOUT, Device, all_ready, is_ready, live_of
from support.postgres import new_database
from support.programs import Ctl
from support.stopped import stopped
from support.waiting import PATIENCE, Background, wait_until

# The two servers are made once for all of them.
pytestmark = pytest.mark.xdist_group("standby")

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
    made.discard()


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
    before = new_daemon(on=pair_database).start()
    device = Device().sign_in(before)
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
    settle(pair, [before, host], pair_database)
    assert device.reason(host) == ""


@pytest.mark.slow
def test_server_that_no_longer_takes_writes_is_given_up(pair, pair_database, pair_hosts):
    """As a primary that was demoted without breaking its connections: also by those who only read."""
    device = Device().sign_in(pair_hosts[0])
    old = pair.primary
    before = set(server_backends(old, pair_database))
    old.configure(default_transaction_read_only="on")

    def all_have_left():
        """Each worker is asked while the others are stopped: one that refuses is faster than one that asks the database."""
        for host in pair_hosts:
            for worker in host.workers:
                with contextlib.ExitStack() as others:
                    for other in set(host.workers) - {worker}:
                        others.enter_context(stopped(other))
                    assert device.ask(host)[0] in (200, 503)
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


def test_logins_that_wait_for_the_standby_keep_nobody_else_from_notifying(pair, pair_database, pair_hosts):
    """A server lets those that notify commit one by one: logins must not do so while they wait."""
    pair.lose_standby()
    call = Background(Device().login, pair_hosts[0])
    wait_until(lambda: pair.waiting_commits(pair_database.name), "the commit to wait")
    other = pair_database.connect()
    with other.cursor() as cursor:
        cursor.execute("SET lock_timeout = '2s'; SET synchronous_commit = local")
        cursor.execute("NOTIFY another")
    other.close()
    pair.standby.follow(pair.primary)
    call.result(PATIENCE + AT_MOST)


def test_programs_are_notified_in_the_order_of_what_happened(pair, pair_database, pair_hosts):
    """Of an account: each login has told of what it did when the next one begins."""
    listener = pair_database.connect()
    listener.cursor().execute("LISTEN onesession")
    devices = [Device().sign_in(pair_hosts[number % 2]) for number in range(6)]

    def logins():
        listener.poll()
        told = [json.loads(notice.payload) for notice in listener.notifies]
        assert [event["id"] for event in told] == sorted(event["id"] for event in told)
        return [event["session_id"] for event in told if event["name"] == "user_logged_in"]

    wait_until(lambda: logins() == [device.session_id for device in devices], "to be told of each")
    listener.close()


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

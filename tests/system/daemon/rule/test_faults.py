"""
Faults, each while people sign in and ask: what did they see, was anything lost, was anybody live twice, did anything
hang, and how soon was all well again? `make faults` writes the answers to docs/faults.md. More of them, each by itself,
are in test_database.py, test_hosts.py, test_process.py and test_fastcgi.py.
"""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
from pathlib import Path

import psycopg2
import pytest

from support import fastcgi
from support.browser import Browser
from support.client import guess
from support.faulty import FaultyProxy, Load, runs, tell
from support.nginx import Nginx
from support.postgres import Cluster, database_with_template, new_database
from support.processes import IS_SANITIZED, children_of, is_alive, memory_folder
from support.programs import Daemon
from support.site import Site, build_site
from support.status import status_of, workers_in
from support.waiting import Background, wait_until

pytestmark = pytest.mark.slow

SETTINGS = {"server.workers": 4, "database.statement_timeout": "1s", "log.level": "info"}


@pytest.fixture(scope="module")
def cluster_of_faults():
    """A PostgreSQL that loses nothing that it has confirmed when it is killed. Each test has a database of its own."""
    made = Cluster(memory_folder())
    try:
        made.create()
        made.set({"synchronous_commit": "on"})
        made.start()
        database_with_template(made)
        yield made
    finally:
        made.remove()


@pytest.fixture
def own_cluster(cluster_of_faults):
    """It runs when the test begins, whatever the one before did to it."""
    if not cluster_of_faults.is_running:
        cluster_of_faults.start()
    return cluster_of_faults


@pytest.fixture
def own_site(own_cluster, new_site_on):
    return new_site_on(own_cluster, SETTINGS)


@pytest.fixture
def new_site_on(request, closing):
    """new_site_on(cluster, settings, proxy): the proxy, if any, is what the daemon reaches the database through."""
    databases = []

    def make(cluster, settings, proxy=None):
        database = new_database(cluster)
        databases.append(database)
        by_proxy = {} if proxy is None else {"database.conninfo": proxy.conninfo(database)}
        return build_site(database, request.node, closing, {**settings, **by_proxy})

    yield make
    closing.close()
    for database in databases:
        database.discard()


def pause():
    """For as long as the fault lasts: people notice it, and go on noticing."""
    with contextlib.suppress(AssertionError):
        wait_until(lambda: False, "nothing", timeout=1.5)


def signal_all(cluster, number):
    for pid in [cluster.process.pid, *children_of(cluster.process.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def some_backend(cluster, site):
    """None while the server is away."""
    with contextlib.suppress(psycopg2.Error):
        return next(iter(cluster.backends(site.database.name)), None)
    return None


# ---- PostgreSQL ------------------------------------------------------------------------------------------------------


def test_server_that_is_killed(own_cluster, own_site):
    with Load(own_site) as load:
        pids = [own_cluster.process.pid, *children_of(own_cluster.process.pid)]
        own_cluster.process.kill()
        own_cluster.process.wait()
        wait_until(lambda: not any(is_alive(pid) for pid in pids), "the end of all of PostgreSQL")
        pause()
        own_cluster.start()
        load.fault_ended()
    load.check()
    tell("PostgreSQL killed (`SIGKILL` of the postmaster), started again", load.saw(), load)


def test_backend_that_is_killed(own_cluster, own_site):
    """The server then ends all others, and recovers."""
    with Load(own_site) as load:
        for _ in range(3):
            backend = wait_until(lambda: some_backend(own_cluster, own_site), "a backend of the daemon's")
            with contextlib.suppress(ProcessLookupError):
                os.kill(backend, signal.SIGKILL)
            load.await_more()
        load.fault_ended()
    load.check()
    tell("a backend killed (`SIGKILL`), three times: PostgreSQL ends all of them and recovers", load.saw(), load)


def test_server_that_is_stopped(own_cluster, own_site):
    with Load(own_site) as load:
        signal_all(own_cluster, signal.SIGSTOP)
        try:
            pause()
            pause()
        finally:
            signal_all(own_cluster, signal.SIGCONT)
        load.fault_ended()
    load.check()
    tell("PostgreSQL stopped for 3 s (`SIGSTOP`), statement_timeout = 1s", load.saw(), load)


def test_server_that_takes_no_more_connections(own_cluster, own_site):
    database = own_site.database
    with Load(own_site) as load:
        taken = []
        try:
            with contextlib.suppress(psycopg2.OperationalError):
                while True:
                    taken.append(database.connect())
            # Whoever loses a connection now gets no other.
            for pid in own_cluster.backends(database.name):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            with contextlib.suppress(psycopg2.OperationalError):
                while True:
                    taken.append(database.connect())
            pause()
        finally:
            for connection in taken:
                connection.close()
        load.fault_ended()
    load.check()
    tell("all of max_connections taken by others, ours ended", load.saw(), load)


def test_server_that_is_restarted(own_cluster, own_site):
    with Load(own_site) as load:
        for _ in range(3):
            own_cluster.stop()
            own_cluster.start()
            load.await_more()
        load.fault_ended()
    load.check()
    tell("PostgreSQL restarted three times", load.saw(), load)


@pytest.fixture
def small_disk(closing):
    """A cluster whose data are on a disk of 160 MB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system")
    made = Cluster()
    made.data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m,mode=0755", "none", made.data], check=True)
    try:
        shutil.chown(made.data, "postgres", "postgres")
        made.create()
        made.set({"synchronous_commit": "on", "min_wal_size": "32MB", "max_wal_size": "48MB"})
        made.start()
        database_with_template(made)
        yield made
    finally:
        closing.close()
        made.stop()
        subprocess.run(["umount", made.data], check=True)
        made.remove()


def test_disk_that_is_full(small_disk, new_site_on):
    site = new_site_on(small_disk, SETTINGS)
    ballast = small_disk.data / "ballast"
    with Load(site) as load:
        with open(ballast, "wb") as file, contextlib.suppress(OSError):
            while True:
                os.write(file.fileno(), b"\0" * 65536)
        # Rows that find no room any more.
        with contextlib.suppress(psycopg2.Error):
            site.database.query(
                "INSERT INTO events (name, username) SELECT 'user_login_failed', repeat('x', 100)"
                " FROM generate_series(1, 500000)"
            )
        pause()
        ballast.unlink()
        if not small_disk.is_running:
            small_disk.start()
        load.fault_ended()
    load.check()
    tell("disk full (a tmpfs of 160 MB, filled), room made again", load.saw(), load)


# ---- A COMMIT whose answer does not come -----------------------------------------------------------------------------


@pytest.fixture
def proxied(own_cluster, new_site_on, closing):
    """A site whose daemon reaches the database through a proxy."""
    proxy = closing.add(FaultyProxy(own_cluster))
    return new_site_on(own_cluster, {**SETTINGS, "server.workers": 1}, proxy), proxy


def await_notification(listener):
    def is_told():
        listener.poll()
        return listener.notifies

    wait_until(is_told, "a notification")
    listener.close()


@pytest.mark.parametrize("what", ["lose", "cut"], ids=["before the server has it", "after the server has done it"])
def test_login_whose_commit_is_cut_is_told_the_truth(proxied, browse, what):
    site, proxy = proxied
    first, second = browse(site), browse(site)
    first.sign_in()
    listener = site.database.connect()
    listener.cursor().execute("LISTEN onesession")
    proxy.once(what)
    answer = second.login()
    assert answer.status_code == 200
    # Told by what was done anew, or woken up where it was done already.
    await_notification(listener)
    assert second.is_live()
    assert first.auth() == "displaced"
    assert site.database.sessions() == [answer.json()["session"]["id"]]
    logins = site.database.value("SELECT count(*) FROM events WHERE name = 'user_logged_in'")
    assert logins == 2
    tell(
        f"connection cut {'before' if what == 'lose' else 'after'} the COMMIT of a login reached PostgreSQL (a proxy)",
        "200 after reading back; one session, one event; the other device out",
    )


@pytest.mark.parametrize("what", ["lose", "cut"])
def test_logout_whose_commit_is_cut_is_told_the_truth(proxied, browse, what):
    site, proxy = proxied
    browser = browse(site)
    browser.sign_in()
    key = browser.key
    listener = site.database.connect()
    listener.cursor().execute("LISTEN onesession")
    proxy.once(what)
    assert browser.logout().status_code == 204
    await_notification(listener)
    browser.key = key
    assert browser.auth() == "logged_out"
    assert site.database.sessions() == []


@pytest.mark.parametrize("what", ["lose", "cut"])
def test_proof_whose_commit_is_cut_is_told_the_truth(proxied, browse, what):
    """Its answer has the session's new key, or the former one is good still."""
    site, proxy = proxied
    browser = browse(site)
    session_id = browser.sign_in()["session"]["id"]
    former = browser.key
    proxy.once(what)
    assert browser.post("/session/confirm", {"password": site.database.password}).status_code == 200
    assert browser.key != former and browser.is_live()
    assert site.database.sessions() == [session_id]
    assert site.database.value("SELECT count(*) FROM events WHERE name = 'identity_confirmed'") == 1


@pytest.mark.parametrize("what", ["hold", "hold answer"], ids=["before COMMIT", "after COMMIT"])
def test_worker_that_is_killed_around_its_commit(proxied, browse, what):
    site, proxy = proxied
    first = browse(site)
    session = first.sign_in()["session"]["id"]
    second = Browser(site, permits_5xx=True)
    proxy.once(what)
    login = Background(second.login)
    wait_until(proxy.is_held.is_set, "the COMMIT")
    (worker,) = site.daemon.await_workers(1)
    os.kill(worker, signal.SIGKILL)
    assert login.result().status_code == 503
    proxy.let_go.set()
    wait_until(lambda: site.daemon.workers not in ([], [worker]), "another worker")
    rows = site.database.sessions()
    assert len(rows) == 1
    if what == "hold":
        wait_until(first.is_live, "the first device, which is live as before")
        assert rows == [session]
    else:
        assert first.auth() == "displaced"
        assert rows != [session]
    # Whoever got no answer signs in again.
    assert second.login().status_code == 200
    assert first.auth() == "displaced"
    assert len(site.database.sessions()) == 1
    second.close()
    tell(
        f"worker killed {'before' if what == 'hold' else 'after'} the COMMIT of a login, before its answer",
        "503 from nginx; the old session "
        + ("live as before" if what == "hold" else "displaced, the new one without an owner")
        + "; the next login 200",
    )


# ---- Workers ---------------------------------------------------------------------------------------------------------


def test_workers_that_are_killed_wherever_they_are(own_site):
    with Load(own_site) as load:
        for number in range(12):
            workers = own_site.daemon.workers
            if workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(workers[number % len(workers)], signal.SIGKILL)
            load.await_more(40)
        load.fault_ended()
    load.check()
    tell("a worker killed (`SIGKILL`), twelve times, wherever it was", load.saw(), load)


def test_worker_that_is_killed_while_it_waits_for_the_look_at_a_session(own_cluster, own_site, browse):
    browser = browse(own_site)
    browser.sign_in()
    wait_until(
        lambda: len(own_cluster.backends(own_site.database.name)) >= len(own_site.daemon.workers), "every worker to connect"
    )
    backends = own_cluster.backends(own_site.database.name)
    for pid in backends:
        os.kill(pid, signal.SIGSTOP)
    try:
        asked = Background(own_site.daemon.ask, headers={"Cookie": f"onesession={browser.key}"})
        # Before that it could be one of the new workers that takes it.
        wait_until(
            lambda: asked.is_done
            or "GET /session/auth" in [worker["request"] for worker in workers_in(status_of(own_site.daemon))],
            "a worker that waits",
        )
        for pid in own_site.daemon.workers:
            os.kill(pid, signal.SIGKILL)
        answer = asked.result()
        assert not answer.ended or answer.status == 503
    finally:
        for pid in backends:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    wait_until(lambda: own_site.daemon.ask(path="/session/ready").status == 200, "new workers")
    assert browser.is_live()
    tell(
        "all workers killed while they wait for the look at a session",
        "503 from nginx for those; then 200, still live",
    )


def limit(pids, what, value):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, what, (value, resource.prlimit(pid, what)[1]))


def test_no_more_descriptors(own_site):
    with Load(own_site) as load:
        open_now = max(len(os.listdir(f"/proc/{pid}/fd")) for pid in own_site.daemon.workers)
        limit(own_site.daemon.workers, resource.RLIMIT_NOFILE, open_now + 1)
        crowd = []
        try:
            for _ in range(100):
                crowd.append(own_site.daemon.connection())
                crowd[-1].send(fastcgi.begin()[:5])
            pause()
        finally:
            for connection in crowd:
                connection.close()
            limit(own_site.daemon.workers, resource.RLIMIT_NOFILE, 1024)
        load.fault_ended()
    load.check()
    tell("a worker's descriptors used up by 100 peers that say nothing", load.saw(), load)


@pytest.mark.skipif(IS_SANITIZED, reason="the sanitizer needs more memory than any limit that would show something")
def test_no_more_memory(own_site):
    def size(pid):
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[0]) * resource.getpagesize()

    with Load(own_site) as load:
        for pid in own_site.daemon.workers:
            limit([pid], resource.RLIMIT_AS, size(pid))
        pause()
        limit(own_site.daemon.workers, resource.RLIMIT_AS, resource.RLIM_INFINITY)
        load.fault_ended()
    load.check()
    tell("workers that get no more memory (`RLIMIT_AS`)", load.saw(), load)


def test_crowd_of_slow_peers(own_site):
    """They connect and say nothing, or a byte of a request now and then."""
    with Load(own_site) as load:
        crowd = [own_site.daemon.connection() for _ in range(300)]
        data = fastcgi.request_bytes(fastcgi.environ())
        try:
            for at in range(20):
                for connection in crowd[::2]:
                    connection.try_send(data[at : at + 1])
                load.await_more(20)
        finally:
            for connection in crowd:
                connection.close()
        load.fault_ended()
    load.check()
    tell("300 peers that are silent or drip a request byte by byte", load.saw(), load)


# ---- Clocks ----------------------------------------------------------------------------------------------------------

FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"


def faketime(offset_file):
    (library,) = [str(path) for path in Path("/").glob(FAKETIME[1:])]
    return {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(offset_file),
        "FAKETIME_CACHE_DURATION": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


@pytest.fixture
def offset_of_cluster(own_cluster, monkeypatch):
    """The file that says how much later it is for own_cluster than for all others."""
    offset = own_cluster.folder / "offset"
    offset.write_text("+0")
    own_cluster.stop()
    for name, value in faketime(offset).items():
        monkeypatch.setenv(name, value)
    try:
        own_cluster.start()
    finally:
        monkeypatch.undo()
    yield offset
    own_cluster.stop()


def test_clock_of_the_database_that_is_set_forward_and_back(offset_of_cluster, own_site):
    """No session ends before its time or is live twice; who is newer is not a matter of time."""
    with Load(own_site) as load:
        for shift in ("+3h", "-2h", "+1d", "-1d"):
            before = own_site.database.value("SELECT now()")
            offset_of_cluster.write_text(shift)
            wait_until(
                lambda before=before: abs((own_site.database.value("SELECT now()") - before).total_seconds()) > 3600,
                "the clock to be set",
            )
            load.await_more()
        load.fault_ended()
    load.check()
    tell("PostgreSQL's clock set 3 h forward, 5 h back, 26 h forward, 48 h back", load.saw(), load)


@pytest.mark.skipif(
    IS_SANITIZED, reason="the sanitizer's library has to be the first, and so has the one that sets the clock"
)
def test_clock_of_the_daemon_is_no_matter(own_cluster, closing, browse):
    database = new_database(own_cluster)
    sites = []
    for offset in ("+400d", "-400d"):
        file = own_cluster.folder / f"offset{offset}"
        file.write_text(offset)
        daemon = closing.add(Daemon(database, SETTINGS))
        # Before `environment()` looks, and for this daemon only.
        with pytest.MonkeyPatch.context() as patch:
            for name, value in faketime(file).items():
                patch.setenv(name, value)
            daemon.start()
        nginx = closing.add(Nginx(daemon.address))
        nginx.start()
        sites.append(Site(database, daemon, nginx))
    ahead, behind = browse(sites[0]), browse(sites[1])
    for newer, older in ((ahead, behind), (behind, ahead), (ahead, behind)):
        newer.sign_in()
        assert newer.is_live()
        if older.key is not None:
            assert older.auth() == "displaced"
    # Which host is asked does not matter either.
    elsewhere = browse(sites[1])
    elsewhere.key = ahead.key
    assert elsewhere.is_live()
    tell("two hosts whose clocks are 800 days apart", "nothing: who is newer, and until when, is the database's to say")


# ---- The throttle ----------------------------------------------------------------------------------------------------


def test_failure_whose_count_is_cut_off_counts_once(cluster, new_daemon, database, closing):
    """Or the limit would be passed over, and its event never written."""
    proxy = closing.add(FaultyProxy(cluster))
    settings = {"server.workers": 1, "login.attempts_per_user": 3, "database.conninfo": proxy.conninfo(database)}
    daemon = new_daemon(settings).start()
    for count in range(1, 4):
        if count == 3:
            proxy.once("cut", runs(b"throttle_count"))
        assert guess(daemon, "alice", "wrong").status == 401
        assert database.value("SELECT count FROM login_failures WHERE kind = 'account'") == count
    assert database.value("SELECT count(*) FROM events WHERE name = 'login_throttled'") == 1
    assert guess(daemon, "alice", "wrong").status == 429

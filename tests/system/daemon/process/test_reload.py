"""What the daemon goes through in years: new configurations, new binaries, moved logs; and not one request is lost."""

import os
import signal

import pytest

from support import fastcgi
from support.client import CREDENTIALS, JSON, sign_in
from support.load import RequestLoad
from support.locks import EITHER_WAY, HeldTable, waits_in_database
from support.postgres import new_database
from support.processes import resident_bytes
from support.programs import Ctl
from support.status import reload_and_wait, status_of
from support.waiting import Background, wait_until


# ---- HUP -------------------------------------------------------------------------------------------------------------


def test_reload_brings_the_new_configuration_into_force(new_daemon):
    daemon = new_daemon({"server.workers": 2}).start()
    master = daemon.process.pid
    daemon.settings.update({"server.workers": 4, "server.prefix": "/s", "session.cookie_name": "other"})
    daemon.command()
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: daemon.ask(path="/s/ready").status == 200, "the new prefix")
    daemon.await_workers(4)
    wait_until(lambda: daemon.ask(path="/session/ready").status == 404, "the old workers to go")
    answer = daemon.ask(method="POST", path="/s/login", headers=JSON, body=CREDENTIALS)
    assert answer.cookie("other") is not None
    assert daemon.process.pid == master and daemon.process.poll() is None
    assert " reloaded " in daemon.log_text()


def test_reload_under_load_loses_nothing(new_daemon):
    daemon = new_daemon({"server.workers": 3, "log.level": "info"}).start()
    with RequestLoad(daemon) as load:
        for round_ in range(6):
            load.more(50)
            daemon.settings["server.workers"] = 2 + round_ % 3
            daemon.command()
            reload_and_wait(daemon)
        load.more(50)
    load.check("6 reloads")


def saturated(new_daemon, settings=None):
    """A daemon, and a load: at every moment passwords are hashed, sessions looked up, and somebody else comes."""
    daemon = new_daemon({"login.max_hashing": 8, "log.level": "info", **(settings or {})}).start()
    costly = Ctl(daemon.database.conninfo, **{"login.memory": "8MiB", "login.passes": 2})
    costly.run("user", "passwd", "bob", stdin=daemon.database.password + "\n")
    return daemon, RequestLoad(daemon, clients=24, logins=12)


def test_workers_that_never_come_to_rest_are_retired_too(new_daemon):
    """There is always a connection waiting: a signal must not wait until there is none."""
    daemon, load = saturated(new_daemon)
    with load:
        for _ in range(2):
            load.more(30)
            reload_and_wait(daemon)
        load.more(30)
    load.check("2 reloads of saturated workers")
    assert " stop_forced " not in daemon.log_text()


def test_workers_that_never_come_to_rest_open_the_log_anew(new_daemon):
    folder = new_daemon().folder
    folder.chmod(0o777)
    log = folder / "written"
    daemon, load = saturated(new_daemon, {"log.to": str(log)})
    with load:
        load.more(30)
        log.rename(folder / "moved")
        daemon.send_signal(signal.SIGUSR1)
        wait_until(lambda: log.exists() and log.read_text().count(" user_logged_in ") > 5, "the new file")
        size = (folder / "moved").stat().st_size
        load.more(30)
        assert (folder / "moved").stat().st_size == size
    load.check("USR1 to saturated workers")


def test_log_that_nobody_reads_holds_up_nobody(new_daemon):
    """Standard error is a pipe that is full: requests are served, and the daemon stops when it is told to."""
    daemon = new_daemon()
    read_end, write_end = os.pipe()
    try:
        with open(f"/proc/self/fd/{write_end}", "wb", buffering=0) as pipe:
            os.set_blocking(pipe.fileno(), False)
            while pipe.write(b"x" * 4096):
                pass
    finally:
        os.set_blocking(write_end, True)
    try:
        daemon.start(["bash", "-c", f'exec "$@" 2>&{write_end}', "bash", *daemon.command()], pass_fds=[write_end])
        for _ in range(20):
            assert daemon.ask(timeout=10).status == 401
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(15) == 0
    finally:
        os.close(read_end)
        os.close(write_end)


@EITHER_WAY
def test_requests_under_way_are_finished_by_the_old_workers(database, new_daemon, waiting):
    """New requests do not wait for them."""
    table, request, status = waiting
    daemon = new_daemon({"server.workers": 2, "database.statement_timeout": "25s"}).start()
    signed_in = sign_in(daemon)
    old = set(daemon.workers)
    with HeldTable(database, table) as held:
        slow = Background(daemon.ask, headers={**JSON, **signed_in}, **request)
        waits_in_database(database)
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: " reloaded " in daemon.log_text(), "the new workers")
        assert daemon.ask(path="/session/ready").status == 200
        assert not slow.is_done
        assert old & set(daemon.workers), "the one that waits is still there"
        held.let_go()
    assert slow.result().status == status
    wait_until(lambda: not old & set(daemon.workers), "the old workers to go")


def test_old_worker_that_does_not_finish_is_given_up_after_shutdown_timeout(database, new_daemon):
    daemon = new_daemon(
        {"server.workers": 2, "database.statement_timeout": "25s", "server.shutdown_timeout": "500ms"}
    ).start()
    signed_in = sign_in(daemon)
    old = set(daemon.workers)
    with HeldTable(database):
        slow = Background(daemon.ask, headers=signed_in)
        waits_in_database(database)
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: not old & set(daemon.workers), "the old workers to be gone")
        slow.result()
    assert " stop_forced " in daemon.log_text()
    assert daemon.ask(headers=signed_in).status == 200


@pytest.mark.parametrize(
    "key, value",
    [("server.workres", "3"), ("server.workers", "no number"), ("server.workers", "100000"), ("nonsense.x", "1")],
)
def test_wrong_configuration_is_refused_with_file_and_line_and_the_old_one_stays(new_daemon, key, value):
    daemon = new_daemon().start()
    workers = daemon.workers
    right = dict(daemon.settings)
    daemon.settings.pop(key, None)
    daemon.settings[key] = value
    daemon.command()
    lines = daemon.conf.read_text().splitlines()
    # Of a section that is not there its first line is told.
    wrong = "[nonsense]" if key.startswith("nonsense") else f"{key.partition('.')[2]} = {value}"
    line = 1 + lines.index(wrong)
    reload_and_wait(daemon, refused=True)
    assert f"{daemon.conf}:{line}: " in daemon.log_text()
    assert daemon.workers == workers
    assert daemon.ask().status == 401
    daemon.settings = {**right, "server.workers": 3}
    daemon.command()
    reload_and_wait(daemon)
    assert len(daemon.workers) == 3


def test_configuration_that_is_gone_is_refused(new_daemon):
    daemon = new_daemon().start()
    daemon.conf.unlink()
    reload_and_wait(daemon, refused=True)
    assert str(daemon.conf) in daemon.log_text()
    assert daemon.ask().status == 401


def test_what_only_a_restart_changes_is_told_and_kept(new_daemon):
    daemon = new_daemon().start()
    daemon.settings.update({"server.listen": f"unix:{daemon.folder}/elsewhere", "login.max_hashing": 7})
    daemon.command()
    reload_and_wait(daemon)
    text = daemon.log_text()
    for key in ("listen", "max_hashing"):
        assert any(" needs_restart " in line and f"key={key} " in line for line in text.splitlines()), key
    assert not os.path.exists(daemon.folder / "elsewhere")
    assert status_of(daemon)["hashing"]["slots"] == 2


def test_new_database_is_moved_to(cluster, new_daemon, database):
    other = new_database(cluster)
    try:
        other.add_user("only-here")
        daemon = new_daemon().start()
        body = CREDENTIALS.replace("alice", "only-here")
        assert daemon.ask(method="POST", path="/session/login", headers=JSON, body=body).status == 401
        daemon.settings["database.conninfo"] = other.conninfo
        daemon.command()
        reload_and_wait(daemon)
        assert daemon.ask(method="POST", path="/session/login", headers=JSON, body=body).status == 200
        daemon.stop()
    finally:
        other.discard()


def test_new_database_that_cannot_be_reached_is_refused(database, empty_database, new_daemon):
    """So is one of another schema."""
    daemon = new_daemon().start()
    signed_in = sign_in(daemon)
    for conninfo in ("host=/nonexistent dbname=x", database.conninfo + "x", empty_database.conninfo):
        daemon.settings["database.conninfo"] = conninfo
        daemon.command()
        reload_and_wait(daemon, refused=True)
        assert daemon.ask(headers=signed_in).status == 200


def test_reload_while_the_database_is_away_is_accepted(cluster, database, new_daemon):
    """It will come back, and an operator may well have to turn a screw until it does."""
    daemon = new_daemon().start()
    database.close()
    cluster.stop()
    daemon.settings["server.workers"] = 3
    daemon.command()
    reload_and_wait(daemon)
    assert len(daemon.workers) == 3
    assert daemon.ask(headers={"Cookie": "onesession=" + "A" * 43}).status == 503
    cluster.start()
    wait_until(lambda: daemon.ask(path="/session/ready").status == 200, "the database to be found")


def test_many_hups_end_in_the_last_configuration(new_daemon):
    daemon = new_daemon({"server.workers": 2}).start()
    for workers in (3, 4, 5, 3, 4, 5, 3, 4, 5, 6):
        daemon.settings["server.workers"] = workers
        daemon.command()
        daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: len(daemon.workers) == 6 and status_of(daemon)["counts"]["reloads"] >= 1, "six workers")
    wait_until(lambda: len(database_connections(daemon)) == 6, "six connections")
    daemon.stop()


def database_connections(daemon):
    return daemon.database.cluster.backends(daemon.database.name)


def test_generations_leave_nothing_behind(new_daemon):
    """Neither descriptors nor memory in the master."""
    daemon = new_daemon({"login.memory": "1MiB"}).start()
    pid = daemon.process.pid

    def descriptors():
        return len(os.listdir(f"/proc/{pid}/fd"))

    for _ in range(5):
        reload_and_wait(daemon)
    before, memory = descriptors(), resident_bytes(pid)
    for _ in range(20):
        reload_and_wait(daemon)
    assert descriptors() <= before
    assert resident_bytes(pid) < memory + 4 * 2**20


# ---- Kept connections ------------------------------------------------------------------------------------------------


def test_connections_that_are_kept_open_starve_nobody(new_daemon):
    """Far more of them than workers: each worker has several on its hands, and still serves whoever comes."""
    daemon = new_daemon({"server.workers": 2, "server.io_timeout": "60s"}).start()
    signed_in = sign_in(daemon)
    request = fastcgi.request_bytes(fastcgi.environ(headers=signed_in), keep=True)
    kept = [daemon.connection() for _ in range(20)]
    try:
        for connection in kept:
            connection.send(request)
            assert connection.answer().status == 200
        for _ in range(20):
            answer = daemon.ask(headers=signed_in, timeout=10)
            assert answer.status == 200
    finally:
        for connection in kept:
            connection.close()

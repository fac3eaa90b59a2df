"""What the daemon goes through in years: new configurations, new binaries, moved logs; and not one request is lost."""

import collections
import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import threading

import pytest

import fastcgi
import harness
from harness import Background, is_alive
from test_database import CREDENTIALS, JSON, sign_in
from test_process import EITHER_WAY, HeldTable, is_refused, waits_in_database
from test_watching import AllBusy
from waiting import wait_until

OPERATOR = {"REMOTE_ADDR": "127.0.0.1"}


def status_of(daemon):
    return json.loads(daemon.ask(path="/session/status", **OPERATOR).body)


def reloads(daemon):
    counts = status_of(daemon)["counts"]
    return counts["reloads"], counts["reloads_refused"]


def reload_and_wait(daemon, refused=False):
    """HUP, and wait until it is decided; then until the old workers have gone."""
    before, old = reloads(daemon), set(daemon.workers)
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: reloads(daemon)[refused] == before[refused] + 1, "the reload to be decided")
    assert reloads(daemon)[not refused] == before[not refused]
    if not refused:
        wait_until(lambda: not old & set(daemon.workers), "the old workers to go")


def masters(daemon):
    """The daemon's masters: those of its processes whose parent is none of them."""
    pids = harness.processes_with(daemon.conf)
    return [pid for pid in pids if (fields := harness.stat_of(pid)) and int(fields[1]) not in pids]


class Load:
    """Requests without a pause, each on a connection of its own; an answer that is not as it should be is a loss."""

    def __init__(self, daemon, clients=6, logins=1):
        self.daemon = daemon
        self.logins = logins
        self.headers = sign_in(daemon)
        self.outcomes = collections.Counter()
        self.losses = []
        self.ends = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        for thread in self.threads:
            thread.join()

    def run(self, number):
        while not self.ends.is_set():
            # Some of them sign somebody else in all the time: a body, a hash and a transaction.
            if number < self.logins:
                what = {"method": "POST", "path": "/session/login", "headers": JSON, "body": LOGIN_OF_BOB}
            else:
                what = {"headers": self.headers}
            try:
                outcome = self.daemon.ask(**what).status
            except OSError as error:
                outcome = repr(error)
            self.outcomes[outcome] += 1
            if outcome != 200:
                self.losses.append((what.get("method", "GET"), outcome))

    def more(self, count):
        """Wait until that many more have been answered."""
        goal = self.outcomes[200] + count
        wait_until(lambda: self.outcomes[200] >= goal, f"{count} more answers: {self.outcomes}, {self.losses[:3]}")

    def check(self, what):
        print(f"{what}: {sum(self.outcomes.values())} requests, {len(self.losses)} lost")
        assert self.losses == []


LOGIN_OF_BOB = CREDENTIALS.replace("alice", "bob")


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
    with Load(daemon) as load:
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
    costly = harness.Ctl(daemon.database.conninfo, **{"login.memory": "8MiB", "login.passes": 2})
    costly.run("user", "passwd", "bob", stdin=daemon.database.password + "\n")
    return daemon, Load(daemon, clients=24, logins=12)


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
    assert status_of(daemon)["hashing"]["places"] == 2


def test_new_database_is_moved_to(cluster, new_daemon, database):
    other = harness.new_database(cluster)
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
        other.drop()


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
    before, memory = descriptors(), harness.resident_bytes(pid)
    for _ in range(20):
        reload_and_wait(daemon)
    assert descriptors() <= before
    assert harness.resident_bytes(pid) < memory + 4 * 2**20


# ---- The log ---------------------------------------------------------------------------------------------------------


def test_moved_log_is_opened_anew_by_everybody(new_daemon):
    folder = new_daemon().folder
    folder.chmod(0o777)
    log = folder / "written"
    daemon = new_daemon({"log.to": str(log)}).start()
    daemon.ask()
    log.rename(folder / "moved")
    daemon.send_signal(signal.SIGUSR1)
    wait_until(lambda: log.exists() and " log_reopened " in log.read_text(), "the new file")
    assert stat.S_IMODE(log.stat().st_mode) == 0o640

    def writers():
        return {int(line.split("[")[1].split("]")[0]) for line in log.read_text().splitlines()}

    def everybody_writes():
        with AllBusy(daemon) as busy:
            busy.let_go()
            assert {call.result().status for call in busy.calls} == {204}
        return {daemon.process.pid, *daemon.workers} <= writers()

    wait_until(everybody_writes, "master and workers to write to the new file")
    moved = (folder / "moved").read_text()
    daemon.ask()
    assert (folder / "moved").read_text() == moved


def test_log_that_cannot_be_opened_anew_goes_on_where_it_was_and_is_not_told_to_be(new_daemon):
    folder = new_daemon().folder
    (folder / "logs").mkdir()
    daemon = new_daemon({"log.to": str(folder / "logs/log")}).start()
    (folder / "logs").rename(folder / "moved")
    log = folder / "moved/log"
    daemon.send_signal(signal.SIGUSR1)
    wait_until(lambda: f"[{daemon.process.pid}] log_not_reopened" in log.read_text(), "it to be told")
    assert daemon.ask().status == 401
    # What comes after it is told after it.
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait() == 0
    assert " stopping " in log.read_text()
    assert "log_reopened" not in log.read_text()


def test_reload_moves_the_log_or_is_refused(new_daemon):
    daemon = new_daemon().start()
    daemon.folder.chmod(0o777)
    log = daemon.folder / "written"
    daemon.settings["log.to"] = "/nonexistent/log"
    daemon.command()
    reload_and_wait(daemon, refused=True)
    assert "/nonexistent/log: No such file or directory" in daemon.log_text()
    daemon.settings["log.to"] = str(log)
    daemon.command()
    reload_and_wait(daemon)
    daemon.ask()
    wait_until(lambda: " request " in log.read_text() and " reloaded " in log.read_text(), "lines in the new file")


ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def given_up(new_daemon, log):
    """A daemon that root starts to become nobody, with `log` in a folder of root's."""
    daemon = new_daemon({"server.user": "nobody", "log.to": str(log)})
    account = pwd.getpwnam("nobody")
    os.chown(daemon.folder, account.pw_uid, account.pw_gid)
    return daemon


@ROOT_ONLY
@pytest.mark.parametrize("before", [None, 0o640, 0o600], ids=["not there", "an earlier one of root's", "a private one"])
def test_log_of_a_daemon_that_gave_up_root_is_its_users(new_daemon, before):
    """Whatever opens it again may: HUP, USR1 and the new binary of USR2."""
    folder = harness.scratch("log")
    log = folder / "log"
    if before is not None:
        log.write_text("earlier\n")
        log.chmod(before)
    upgradable = Upgradable(given_up(new_daemon, log))
    daemon = upgradable.daemon.start(upgradable.command())
    try:
        assert log.owner() == "nobody" and stat.S_IMODE(log.stat().st_mode) == (before or 0o640)
        reload_and_wait(daemon)
        daemon.send_signal(signal.SIGUSR1)
        wait_until(lambda: " log_reopened " in log.read_text(), "USR1")
        assert "log_not_reopened" not in log.read_text()
        # As logrotate does it with "create".
        log.rename(folder / "log.1")
        log.touch(0o640)
        shutil.chown(log, "nobody")
        daemon.send_signal(signal.SIGUSR1)
        wait_until(lambda: " log_reopened " in log.read_text(), "USR1")
        upgradable.upgrade()
        wait_until(lambda: " upgraded " in log.read_text(), "USR2")
        assert daemon.ask().status == 401
        upgradable.end()
    finally:
        harness.discard(folder)


@ROOT_ONLY
@pytest.mark.parametrize("what", ["link", "second name", "folder is a link"])
def test_root_does_not_give_away_what_somebody_put_in_the_logs_place(new_daemon, what):
    """The folder may be the user's own."""
    secret_folder = harness.scratch("secret")
    secret = secret_folder / "log"
    secret.write_text("secret\n")
    secret.chmod(0o600)
    folder = harness.scratch("log")
    shutil.chown(folder, "nobody")
    if what == "folder is a link":
        (folder / "logs").symlink_to(secret_folder)
        log = folder / "logs/log"
    else:
        log = folder / "log"
        (log.symlink_to if what == "link" else log.hardlink_to)(secret)
    try:
        daemon = given_up(new_daemon, log).start(wait=None)
        assert daemon.wait() == 1
        assert "log.to" in daemon.log_text() and "nobody" in daemon.log_text()
        assert secret.owner() == "root" and secret.read_text() == "secret\n"
        assert is_refused(daemon.path)
        assert not os.path.exists(daemon.path)
    finally:
        harness.discard(folder)
        harness.discard(secret_folder)


# ---- USR2 ------------------------------------------------------------------------------------------------------------


class Upgradable:
    """A daemon whose binary can be replaced."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.binary = daemon.folder / "onesessiond"
        shutil.copy(harness.BUILD / "onesessiond", self.binary)

    def command(self):
        return [str(self.binary), *self.daemon.command()[1:]]

    def replace(self, script=None):
        """As a package manager does it: a new file in the place of the old one."""
        new = self.binary.with_suffix(".new")
        if script is None:
            shutil.copy(harness.BUILD / "onesessiond", new)
        else:
            new.write_text("#!/bin/sh\n" + script)
            new.chmod(0o755)
        new.rename(self.binary)

    def upgrade(self):
        self.daemon.send_signal(signal.SIGUSR2)
        assert self.daemon.wait() == 0, harness.tail(self.daemon.log)

    def end(self):
        """End the master that has taken over, and see that nothing is left."""
        told = set()

        def are_gone():
            # Another one may come up meanwhile, of an upgrade that was asked for before.
            for pid in set(masters(self.daemon)) - told:
                told.add(pid)
                os.kill(pid, signal.SIGTERM)
            return harness.processes_with(self.daemon.conf) == []

        wait_until(are_gone, "the new daemon to end")
        self.daemon.check_log()


@pytest.fixture
def upgradable(new_daemon):
    return Upgradable(new_daemon({"server.workers": 3, "log.level": "info"}))


def test_upgrade_under_load_loses_nothing(upgradable):
    daemon = upgradable.daemon.start(upgradable.command())
    old = {daemon.process.pid, *daemon.workers}
    with Load(daemon) as load:
        load.more(100)
        upgradable.replace()
        upgradable.upgrade()
        assert not any(is_alive(pid) for pid in old)
        load.more(100)
        assert os.path.exists(daemon.path)
        # And once more, from the new to the next.
        (master,) = masters(daemon)
        os.kill(master, signal.SIGUSR2)
        wait_until(lambda: not is_alive(master), "the second to go")
        load.more(100)
    load.check("2 upgrades")
    upgradable.end()
    assert is_refused(daemon.path)
    assert not os.path.exists(daemon.path), "the last one removes the socket that the first one made"


@pytest.mark.parametrize("script", ["exit 1", "echo broken >&2; kill -SEGV $$", "exec /nonexistent/program"])
def test_new_binary_that_does_not_come_up_leaves_the_old_one_alone(upgradable, script):
    daemon = upgradable.daemon.start(upgradable.command())
    workers = daemon.workers
    upgradable.replace(script)
    with Load(daemon) as load:
        load.more(50)
        daemon.send_signal(signal.SIGUSR2)
        wait_until(lambda: " upgrade_failed " in daemon.log_text(), "the failure to be told")
        load.more(50)
    load.check("an upgrade that fails")
    assert daemon.workers == workers
    upgradable.replace()
    upgradable.upgrade()
    assert daemon.ask().status == 401
    upgradable.end()


def test_new_binary_that_finds_a_wrong_configuration_leaves_the_old_one_alone(upgradable):
    daemon = upgradable.daemon.start(upgradable.command())
    daemon.settings["server.workres"] = 3
    daemon.command()
    daemon.send_signal(signal.SIGUSR2)
    wait_until(lambda: " upgrade_failed " in daemon.log_text(), "the failure to be told")
    assert "server.workres" in daemon.log_text()
    assert daemon.ask().status == 401
    daemon.stop()
    assert not os.path.exists(daemon.path)


def test_binary_that_is_gone_leaves_the_old_one_alone(upgradable):
    daemon = upgradable.daemon.start(upgradable.command())
    upgradable.binary.unlink()
    daemon.send_signal(signal.SIGUSR2)
    wait_until(lambda: " upgrade_failed " in daemon.log_text(), "the failure to be told")
    assert daemon.ask().status == 401
    daemon.stop()


def spoil(binary, how):
    if how == "gone":
        binary.unlink()
    elif how == "not executable":
        binary.chmod(0o644)
    else:
        new = binary.with_suffix(".new")
        new.write_bytes(b"#!/nonexistent/interpreter\n" if how == "no interpreter" else b"no program")
        new.chmod(0o755)
        new.rename(binary)


@pytest.mark.parametrize("to_file", [False, True], ids=["log on standard error", "log in a file"])
@pytest.mark.parametrize(
    "how, reason",
    [
        ("gone", "No such file or directory"),
        ("not executable", "Permission denied"),
        ("no interpreter", "No such file or directory"),
        ("no program", "Exec format error"),
    ],
)
def test_why_a_new_binary_cannot_be_executed_is_in_the_log(upgradable, how, reason, to_file):
    daemon = upgradable.daemon
    log = daemon.folder / "its-log" if to_file else daemon.log
    if to_file:
        daemon.settings["log.to"] = str(log)
    # As many descriptors as it takes to be in the way of a log.
    daemon.settings["server.listen"] += "".join(f" unix:{daemon.folder}/s{number}" for number in range(4))
    daemon.start(upgradable.command())
    spoil(upgradable.binary, how)
    daemon.send_signal(signal.SIGUSR2)
    wait_until(lambda: " upgrade_failed " in log.read_text(), "the failure to be told")
    (line,) = [line for line in log.read_text().splitlines() if " upgrade_failed " in line]
    assert reason in line and str(upgradable.binary) in line
    assert daemon.ask().status == 401
    upgradable.replace()
    upgradable.upgrade()
    assert daemon.ask().status == 401
    upgradable.end()


def in_own_processes(command):
    """It is process 1 there, as it is in a container."""
    return ["unshare", *(["--user", "--map-root-user"] if os.geteuid() != 0 else []), "--pid", "--fork"] + [
        "--kill-child=KILL",
        "--mount-proc",
        *command,
    ]


def can_have_own_processes():
    return subprocess.run(in_own_processes(["true"]), capture_output=True, check=False).returncode == 0


def test_process_1_of_a_container_is_not_ended_by_usr2(upgradable):
    """When it ends, so does the container: it says what to do instead and goes on."""
    if not can_have_own_processes():
        pytest.skip("this machine does not allow process ids of one's own")
    daemon = upgradable.daemon.start(in_own_processes(upgradable.command()))
    (master,) = harness.children_of(daemon.process.pid)
    os.kill(master, signal.SIGUSR2)
    wait_until(lambda: " upgrade_refused " in daemon.log_text(), "it to be told")
    assert "container" in daemon.log_text() and " upgrading " not in daemon.log_text()
    assert daemon.ask().status == 401
    # What a new configuration takes it does all the same.
    os.kill(master, signal.SIGHUP)
    wait_until(lambda: " reloaded " in daemon.log_text(), "the reload")
    os.kill(master, signal.SIGTERM)
    assert daemon.wait() == 0


@ROOT_ONLY
def test_new_binary_finds_home_user_and_logname_of_who_it_is(new_daemon):
    """And so does everything else that looks for a home folder once root was given up."""
    upgradable = Upgradable(new_daemon({"server.user": "nobody"}))
    daemon = upgradable.daemon
    shutil.chown(daemon.folder, "nobody")
    daemon.start(["env", "HOME=/root", "USER=root", "LOGNAME=root", *upgradable.command()])
    assert told_variables(upgradable) == {"HOME": pwd.getpwnam("nobody").pw_dir, "USER": "nobody", "LOGNAME": "nobody"}


@ROOT_ONLY
@pytest.mark.parametrize(
    "given, found",
    [
        (["HOME=/root", "USER=root", "LOGNAME=root"], None),
        (["-u", "USER", "-u", "LOGNAME", "HOME=/root"], None),
        (["HOME=/var", "USER=nobody", "LOGNAME=nobody"], {"HOME": "/var", "USER": "nobody", "LOGNAME": "nobody"}),
    ],
    ids=["root's", "root's home", "one's own"],
)
def test_daemon_for_which_spawn_fcgi_gave_up_root_has_a_home_of_its_own(new_daemon, given, found):
    """Root's is not for it to search; but what was set for it stays."""
    own = {"HOME": pwd.getpwnam("nobody").pw_dir, "USER": "nobody", "LOGNAME": "nobody"}
    upgradable = Upgradable(new_daemon({"server.listen": "unix:/nonexistent/socket"}))
    daemon = upgradable.daemon
    shutil.chown(daemon.folder, "nobody")
    shutil.chown(daemon.log, "nobody")
    daemon.address = str(daemon.folder / "given")
    spawner = ["spawn-fcgi", "-n", "-s", daemon.address, "-M", "0666", "-u", "nobody", "--"]
    daemon.start(["env", *given, *spawner, *upgradable.command()])
    assert told_variables(upgradable) == (found or own)


def told_variables(upgradable):
    """What a new binary finds of the environment that a home folder is looked for with."""
    told = upgradable.daemon.folder / "told"
    upgradable.replace(f"env > {told}.tmp; mv {told}.tmp {told}; exit 1")
    upgradable.daemon.send_signal(signal.SIGUSR2)
    wait_until(told.exists, "the new binary")
    pairs = dict(line.partition("=")[::2] for line in told.read_text().splitlines())
    return {name: pairs.get(name) for name in ("HOME", "USER", "LOGNAME")}


def test_stop_during_an_upgrade_stops_both(upgradable):
    daemon = upgradable.daemon.start(upgradable.command())
    started = daemon.folder / "started"
    upgradable.replace(f"echo $$ > {started}.tmp; mv {started}.tmp {started}; exec sleep 600")
    daemon.send_signal(signal.SIGUSR2)
    wait_until(started.exists, "the new binary")
    pid = int(started.read_text())
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait() == 0
    assert not is_alive(pid)
    assert not os.path.exists(daemon.path)


def test_hup_during_an_upgrade_and_usr2_during_a_reload_end_well(upgradable):
    daemon = upgradable.daemon.start(upgradable.command())
    with Load(daemon) as load:
        for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGHUP, signal.SIGUSR2):
            daemon.send_signal(number)
        load.more(100)
        wait_until(lambda: len(masters(daemon)) == 1, "one master")
        load.more(100)
    load.check("reload and upgrade at once")
    assert daemon.ask().status == 401
    upgradable.end()


def test_sockets_that_were_given_are_handed_on_and_stay(upgradable):
    daemon = upgradable.daemon
    daemon.settings["server.listen"] = "unix:/nonexistent/socket"
    given = str(daemon.folder / "given")
    daemon.address = given
    daemon.start(["spawn-fcgi", "-n", "-s", given, "-M", "0666", "--", *upgradable.command()])
    with Load(daemon) as load:
        load.more(50)
        upgradable.upgrade()
        load.more(50)
    load.check("an upgrade of a daemon that spawn-fcgi started")
    upgradable.end()
    assert os.path.exists(given)


def test_several_sockets_are_handed_on(upgradable):
    daemon = upgradable.daemon
    port = harness.free_port()
    paths = [str(daemon.folder / name) for name in ("one", "two")]
    daemon.settings["server.listen"] = f"unix:{paths[0]} tcp:127.0.0.1:{port} unix:{paths[1]}"
    daemon.address = paths[0]
    daemon.start(upgradable.command())
    upgradable.upgrade()
    for address in (*paths, ("127.0.0.1", port)):
        assert fastcgi.send(address, fastcgi.environ()).status == 401
    upgradable.end()
    assert not any(os.path.exists(path) for path in paths)


# ---- The service manager ---------------------------------------------------------------------------------------------


class Manager:
    """Takes what sd_notify(3) sends, in order, and who sent it."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(self.path)
        self.messages = []
        # All the time, as systemd does: the queue of such a socket is short, and a sender waits when it is full.
        self.thread = threading.Thread(target=self.receive)
        self.thread.start()

    def receive(self):
        while True:
            data, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(12))
            if data == b"end":
                return
            pid = int.from_bytes(ancillary[0][2][:4], "little")
            self.messages += [(pid, line) for line in data.decode().splitlines()]

    def lines(self, *beginnings):
        return [line for _, line in self.messages if line.startswith(beginnings)]

    def wait_for(self, beginning, count=1):
        wait_until(lambda: len(self.lines(beginning)) >= count, f"{beginning}: {self.messages}")

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"end", self.path)
        self.thread.join()
        self.socket.close()


@pytest.fixture
def manager(tmp_path, closing):
    return closing.add(Manager(tmp_path))


def under(manager, command, **variables):
    words = [f"{name}={value}" for name, value in {"NOTIFY_SOCKET": manager.path, **variables}.items()]
    return ["env", *words, *command]


def test_service_manager_is_told_of_each_stage(new_daemon, manager):
    daemon = new_daemon()
    daemon.start(under(manager, daemon.command()))
    manager.wait_for("READY=1")
    manager.wait_for("STATUS=2 workers")
    daemon.send_signal(signal.SIGHUP)
    manager.wait_for("RELOADING=1")
    manager.wait_for("MONOTONIC_USEC=")
    manager.wait_for("READY=1", 2)
    daemon.settings["server.workers"] = "none"
    daemon.command()
    daemon.send_signal(signal.SIGHUP)
    manager.wait_for("RELOADING=1", 2)
    manager.wait_for("READY=1", 3)
    daemon.stop()
    manager.wait_for("STOPPING=1")
    stages = manager.lines("READY", "RELOADING", "STOPPING")
    assert stages == ["READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    assert {pid for pid, _ in manager.messages} == {daemon.process.pid}, "only the master speaks"
    assert manager.lines("WATCHDOG") == [], "nobody asked for it"


def test_ready_is_said_when_workers_are_up_and_not_before(new_daemon, manager):
    """Whoever connects then is answered at once."""
    daemon = new_daemon({"server.workers": 4})
    daemon.start(under(manager, daemon.command()), wait=None)
    manager.wait_for("READY=1")
    assert len(daemon.workers) == 4
    assert daemon.ask(path="/session/ready").status == 200


def test_watchdog_is_fed_while_the_master_lives(new_daemon, manager):
    daemon = new_daemon()
    daemon.start(under(manager, daemon.command(), WATCHDOG_USEC=2000000))
    manager.wait_for("WATCHDOG=1", 5)
    daemon.stop()


def test_service_manager_is_told_of_the_new_main_process(upgradable, manager):
    """Its word counts only after the old one has named it, and the watchdog goes on."""
    daemon = upgradable.daemon
    daemon.start(under(manager, upgradable.command(), WATCHDOG_USEC=2000000))
    manager.wait_for("READY=1")
    old = daemon.process.pid
    upgradable.upgrade()
    (new,) = masters(daemon)
    wait_until(lambda: (new, "READY=1") in manager.messages, "the new one to be ready")
    wait_until(lambda: (new, "WATCHDOG=1") in manager.messages, "the new one to feed the watchdog")
    spoken = list(manager.messages)
    assert (old, f"MAINPID={new}") in spoken
    assert (old, "STOPPING=1") not in spoken, "the service goes on"
    first = next(at for at, (pid, _) in enumerate(spoken) if pid == new)
    assert spoken.index((old, f"MAINPID={new}")) < first
    upgradable.end()
    wait_until(lambda: (new, "STOPPING=1") in manager.messages, "the new one to say that it stops")


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


# ---- spawn-fcgi in the background ------------------------------------------------------------------------------------


def test_spawn_fcgi_starts_several_daemons_on_one_socket(new_daemon):
    """-F: each is a pool of its own, and they end one by one without hurting the others or the socket."""
    daemon = new_daemon({"server.listen": "unix:/nonexistent/socket"})
    given = str(daemon.folder / "given")
    daemon.address = given
    pids = daemon.folder / "pids"
    command = ["spawn-fcgi", "-F", "3", "-P", str(pids), "-s", given, "-M", "0666", "--", *daemon.command()]
    daemon.start(command, wait=None)
    assert daemon.wait() == 0
    wait_until(lambda: len(masters(daemon)) == 3, "three masters")
    for left in (2, 1, 0):
        for _ in range(10):
            assert daemon.ask().status == 401
        # Where spawn-fcgi points standard error there is nobody to read it, and that hurts nothing.
        master = masters(daemon)[0]
        os.kill(master, signal.SIGTERM)
        wait_until(lambda: len(masters(daemon)) == left, "one to end")
    assert os.path.exists(given)

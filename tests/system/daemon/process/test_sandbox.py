"""What the daemon's processes can no longer do, and that they do all they should in spite of it."""

import errno
import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.client import JSON, LOGIN, attempt, sign_in
from support.locks import HeldTable, waits_in_database
from support.marks import ROOT_ONLY
from support.postgres import Cluster, database_with_template, new_database
from support.processes import BUILD, IS_SANITIZED, free_port, is_alive, tail, uids_of
from support.programs import Ctl
from support.waiting import Background, wait_until

# AddressSanitizer looks for leaks at the end of a process from one that traces it: such a build stays dumpable.


def status_of(pid):
    """The fields of /proc/PID/status."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def is_restricted(pid):
    if not is_alive(pid):
        return False
    status = status_of(pid)
    return (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")


# ---- What they cannot do ---------------------------------------------------------------------------------------------


def test_every_process_is_restricted(new_daemon):
    daemon = new_daemon({"server.workers": 3}).start()
    workers = daemon.await_workers(3)
    wait_until(lambda: all(is_restricted(pid) for pid in (daemon.hasher, *workers)), "all to be restricted")
    assert status_of(daemon.process.pid)["NoNewPrivs"] == "1"


def test_worker_that_takes_the_place_of_another_is_restricted_too(daemon):
    before = daemon.await_workers(2)
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: len(set(daemon.workers) - set(before)) == 1, "another worker")
    wait_until(lambda: all(is_restricted(pid) for pid in daemon.workers), "it to be restricted")


def test_fallback_worker_and_purge_are_restricted(database, new_daemon):
    daemon = new_daemon(
        {
            "server.workers": 1,
            "session.purge_interval": "1s",
            "database.statement_timeout": "60s",
            "server.request_timeout": "60s",
        }
    ).start()
    signed_in = sign_in(daemon)
    database.query(
        "INSERT INTO sessions (session_key, user_id, expires_at)"
        " VALUES (sha256('x'), (SELECT min(id) FROM users), now() - interval '1 hour')"
    )
    # Both write there when a session ends.
    with HeldTable(database, "ended_sessions", "EXCLUSIVE"):
        call = Background(
            daemon.ask, method="POST", path="/session/logout", headers={**JSON, **signed_in}, timeout=60
        )
        # The worker and the purge; the fallback worker comes because the worker is busy.
        waits_in_database(database, 2)
        answer = daemon.ask(path="/session/status", REMOTE_ADDR="127.0.0.1")
        roles = {worker["pid"]: worker["role"] for worker in json.loads(answer.body)["workers"]}
        assert sorted(roles.values()) == ["fallback", "worker"]
        # Also the purge, which is on no scoreboard.
        assert set(daemon.workers + daemon.helpers) > {*roles, daemon.hasher}
        wait_until(lambda: all(is_restricted(pid) for pid in daemon.workers + daemon.helpers), "all to be restricted")
    assert call.result().status == 204


@pytest.mark.skipif(IS_SANITIZED, reason="a build with this sanitizer may kill")
def test_worker_cannot_have_others_killed(new_application, browse):
    application = new_application({"server.workers": 3})
    daemon = application.daemon
    workers = daemon.await_workers(3)
    for pid in (*workers, daemon.process.pid):
        answer = browse(application).get(f"/session/application/signaller?pid={pid}")
        assert answer.json() == {"outcomes": [errno.EPERM] * 4}
    assert browse(application).get("/session/health").status_code == 200
    assert sorted(daemon.workers) == sorted(workers)


def as_nobody(command):
    account = pwd.getpwnam("nobody")
    return subprocess.run(
        command,
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
    )


@ROOT_ONLY
@pytest.mark.skipif(IS_SANITIZED, reason="a build with this sanitizer stays dumpable")
def test_other_processes_of_the_same_user_cannot_look_into_it(new_daemon):
    """
    It is started by that user, from a copy that the user can reach: whoever changes its user while it runs is no longer
    dumpable anyway.
    """
    account = pwd.getpwnam("nobody")
    daemon = new_daemon()
    os.chown(daemon.folder, account.pw_uid, account.pw_gid)
    program = daemon.folder / "program"
    shutil.copy(BUILD / "onesessiond", program)
    program.chmod(0o755)
    daemon.start(
        [program, *daemon.command()[1:]], user=account.pw_uid, group=account.pw_gid, extra_groups=[], cwd=daemon.folder
    )
    workers = daemon.await_workers(2)
    processes = [daemon.process.pid, daemon.hasher, *workers]
    for pid in processes:
        assert uids_of(pid) == [account.pw_uid] * 4
        assert os.stat(f"/proc/{pid}/environ").st_uid == 0
        for secret in ("environ", "mem", "maps"):
            done = as_nobody([sys.executable, "-c", f"open('/proc/{pid}/{secret}', 'rb').read(1)"])
            assert done.returncode != 0 and "PermissionError" in done.stderr, secret
    assert daemon.ask(**LOGIN).status == 200


@ROOT_ONLY
def test_daemon_that_gave_up_root_does_all_it_should(new_daemon):
    account = pwd.getpwnam("nobody")
    log = "its-log"
    daemon = new_daemon({"server.user": "nobody"})
    os.chown(daemon.folder, account.pw_uid, account.pw_gid)
    daemon.settings["log.to"] = str(daemon.folder / log)
    daemon.start()
    signed_in = sign_in(daemon)
    for path in ("/session/auth", "/session/me", "/session/account", "/session/state"):
        assert daemon.ask(path=path, headers=signed_in).status == 200
    assert daemon.ask(method="POST", path="/session/logout", headers={**signed_in, **JSON}).status == 204
    assert not [pid for pid in daemon.workers if not is_restricted(pid)]
    assert "user_logged_in" in (daemon.folder / log).read_text()


# ---- What they still do ----------------------------------------------------------------------------------------------


class TcpCluster(Cluster):
    """A PostgreSQL that is reached by TCP as "localhost", too, with passwords and, if there is a key for it, TLS."""

    password = "the daemon's own"

    def __init__(self):
        super().__init__()
        self.port = None
        self.has_tls = False

    def conninfo(self, database, role):
        return f"host={self.sockets} port={self.port} dbname={database} user={role}"

    def create(self):
        super().create()
        hba = self.data / "pg_hba.conf"
        hba.write_text(f"host all {self.DAEMON} all scram-sha-256\n" + hba.read_text())
        self.has_tls = self._make_certificate()

    def _make_certificate(self):
        if shutil.which("openssl") is None:
            return False
        key, certificate = self.data / "server.key", self.data / "server.crt"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
            + ["-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
            check=True,
            capture_output=True,
            **self.user,
        )
        key.chmod(0o600)
        return True

    def start(self):
        conf = self.data / "postgresql.auto.conf"
        for _ in range(10):
            # The port stays what it was when it is started again.
            self.port = self.port or free_port()
            conf.write_text(
                f"listen_addresses = 'localhost'\nport = {self.port}\nssl = {'on' if self.has_tls else 'off'}\n"
            )
            try:
                return super().start()
            except AssertionError:
                # It went to somebody else in the meantime.
                assert "Address already in use" in tail(self.log)
                self.port = None
        raise AssertionError("PostgreSQL found no port")


@pytest.fixture(scope="module")
def tcp_cluster():
    cluster = TcpCluster()
    try:
        cluster.create()
        cluster.start()
        database_with_template(cluster)
        cluster.execute(f"ALTER ROLE {cluster.DAEMON} PASSWORD '{cluster.password.replace(chr(39), chr(39) * 2)}'")
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def tcp_database(tcp_cluster):
    if not tcp_cluster.is_running:
        tcp_cluster.start()
    database = new_database(tcp_cluster)
    yield database
    database.discard()


def conninfo_by_tcp(daemon, database, more=""):
    """With a passfile, as it is kept out of the configuration."""
    cluster = database.cluster
    passfile = daemon.folder / "passfile"
    passfile.write_text(f"localhost:{cluster.port}:*:{cluster.DAEMON}:{cluster.password}\n")
    passfile.chmod(0o600)
    daemon.secrets.add(cluster.password)
    return (
        f"host=localhost port={cluster.port} dbname={database.name} user={cluster.DAEMON} passfile={passfile}"
        f" {more}"
    )


def uses_tls(database):
    """Which of both the daemon's connections do."""
    watcher = database.cluster.connect(database.name)
    try:
        with watcher.cursor() as cursor:
            cursor.execute(
                "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = %s",
                (database.cluster.DAEMON,),
            )
            return {row[0] for row in cursor.fetchall()}
    finally:
        watcher.close()


@pytest.mark.parametrize("sslmode", ["disable", "require", "verify-full"])
def test_database_by_host_name_with_a_passfile(tcp_database, new_daemon, sslmode):
    """Connected to for the first time, and again, by processes that are restricted already."""
    cluster = tcp_database.cluster
    if sslmode != "disable" and not cluster.has_tls:
        pytest.skip("no openssl to make a certificate with")
    daemon = new_daemon({"server.workers": 1}, on=tcp_database)
    root = f" sslrootcert={cluster.data}/server.crt" if sslmode == "verify-full" else ""
    daemon.settings["database.conninfo"] = conninfo_by_tcp(daemon, tcp_database, f"sslmode={sslmode}{root}")
    tcp_database.close()
    cluster.stop()
    daemon.start(wait="/session/health")
    wait_until(lambda: all(is_restricted(pid) for pid in daemon.workers), "the workers to be restricted")
    for _ in range(2):
        assert daemon.ask(**LOGIN).status == 503
        cluster.start()
        wait_until(lambda: daemon.ask(path="/session/ready").status == 200, "it to find the database")
        signed_in = sign_in(daemon)
        assert daemon.ask(headers=signed_in).status == 200
        assert uses_tls(tcp_database) == {sslmode != "disable"}
        tcp_database.close()
        cluster.stop()
        wait_until(lambda signed_in=signed_in: daemon.ask(headers=signed_in).status == 503, "it to see the end of it")


@ROOT_ONLY
@pytest.mark.parametrize("how", ["server.user", "spawn-fcgi"])
@pytest.mark.parametrize("sslmode", ["prefer", "require"])
def test_tls_to_the_database_is_there_after_root_was_given_up(tcp_database, new_daemon, sslmode, how):
    """libpq gives up TLS when it may not search the home folder: of root, whose environment it was."""
    if not tcp_database.cluster.has_tls:
        pytest.skip("no openssl to make a certificate with")
    daemon = new_daemon(on=tcp_database)
    home = daemon.folder / "home"
    home.mkdir(mode=0o700)
    daemon.settings["database.conninfo"] = conninfo_by_tcp(daemon, tcp_database, f"sslmode={sslmode}")
    for path in (daemon.folder, daemon.folder / "passfile", daemon.log):
        shutil.chown(path, "nobody")
    if how == "server.user":
        daemon.settings["server.user"] = "nobody"
        command = daemon.command()
    else:
        daemon.address = str(daemon.folder / "given")
        command = ["spawn-fcgi", "-n", "-s", daemon.address, "-M", "0666", "-u", "nobody", "--", *daemon.command()]
    daemon.start(["env", f"HOME={home}", *command])
    assert daemon.ask(**LOGIN).status == 200
    assert uses_tls(tcp_database) == {True}


def test_database_by_unix_socket_that_was_restarted(cluster, database, new_daemon):
    daemon = new_daemon().start()
    signed_in = sign_in(daemon)
    workers = daemon.await_workers(2)
    for _ in range(2):
        database.close()
        cluster.stop()
        assert daemon.ask(headers=signed_in).status == 503
        cluster.start()
        wait_until(lambda: daemon.ask(headers=signed_in).status == 200, "it to find the database again")
    assert set(workers) <= set(daemon.workers)


def test_log_is_reopened_by_restricted_workers(new_daemon):
    daemon = new_daemon({"server.workers": 1})
    path, old = daemon.folder / "its-log", daemon.folder / "its-log.1"
    daemon.settings["log.to"] = str(path)
    daemon.start()
    (worker,) = daemon.await_workers(1)
    sign_in(daemon)
    wait_until(lambda: "user_logged_in" in path.read_text(), "the login in the log")
    path.rename(old)
    daemon.send_signal(signal.SIGUSR1)
    wait_until(path.exists, "the log to be made anew")

    def worker_writes_there():
        assert attempt(daemon).status == 401
        return f"[{worker}] user_login_failed" in path.read_text()

    wait_until(worker_writes_there, "the worker to write to the new log")
    size = old.stat().st_size
    assert attempt(daemon).status == 401
    assert old.stat().st_size == size
    wait_until(lambda: daemon.workers == [worker], "nobody but that worker to be there")


def test_syslog_that_nobody_takes_disturbs_nobody(new_daemon):
    """Whether or not there is one on this machine."""
    daemon = new_daemon({"log.to": "syslog"}).start()
    workers = daemon.await_workers(2)
    signed_in = sign_in(daemon)
    assert daemon.ask(headers=signed_in).status == 200
    assert attempt(daemon).status == 401
    assert set(workers) <= set(daemon.workers)


def test_passwords_are_hashed_at_full_cost(new_daemon):
    daemon = new_daemon({"login.memory": "64MiB", "login.passes": 3}).start()
    ctl = Ctl(daemon.database.conninfo, **{"login.memory": "64MiB", "login.passes": 3})
    ctl.run("user", "passwd", "alice", stdin=daemon.database.password + "\n")
    assert re.match(r"\$argon2id\$v=19\$m=65536,t=3,", daemon.database.value("SELECT password FROM users WHERE id = 1"))
    workers = daemon.await_workers(2)
    sign_in(daemon)
    answer = attempt(daemon)
    assert (answer.status, json.loads(answer.body)["code"]) == (401, "invalid_credentials")
    assert set(workers) <= set(daemon.workers)


def test_nothing_that_the_daemon_does_is_forbidden_to_it(database, new_daemon):
    """A forbidden call that is deadly shows as a worker's death; no request of any kind leads to one."""
    daemon = new_daemon({"server.workers": 1}).start()
    (worker,) = daemon.await_workers(1)
    signed_in = sign_in(daemon)
    for path in ("auth", "me", "state", "account", "login", "refused", "health", "ready", "status", "metrics", "x"):
        for headers in ({}, signed_in, {**signed_in, "Accept": "application/json"}):
            for method in ("GET", "HEAD", "POST", "OPTIONS"):
                answer = daemon.ask(method=method, path=f"/session/{path}", headers=headers, REMOTE_ADDR="127.0.0.1")
                assert answer.status is not None and answer.status < 500
    database.make_stale(database.sessions()[-1])
    daemon.ask(headers=signed_in)
    wait_until(lambda: daemon.workers == [worker], "nobody but that worker to be there")
    daemon.stop()
    assert "workers_lost=0" in daemon.log_text()

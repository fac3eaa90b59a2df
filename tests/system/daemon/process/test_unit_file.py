"""
The units for systemd: what systemd says of them, and the daemon under what they ask for. There need not be a systemd
that runs, see like_systemd.py.
"""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys

import pytest

from support.client import JSON, LOGIN
from support.processes import BUILD, ROOT, children_of, discard, is_alive, processes_with, scratch, uids_of
from support.programs import environment, write_conf
from support.services import CALLER, Service
from support.site import APPLICATION, PREFIX, in_application
from support.tasks import TASKS, Tasks
from support.uploads import TYPE, form, part
from support.waiting import PATIENCE, wait_until

UNITS = ROOT / "systemd"
SERVICE, SOCKET = UNITS / "onesession.service", UNITS / "onesession.socket"
LAUNCHER = ROOT / "tests/system/support/like_systemd.py"
INSTALLED = "/usr/local/sbin/onesessiond"
CONF = "/etc/onesession/onesession.conf"
NOBODY = "nobody"
IS_ROOT = os.geteuid() == 0
MUST_BE_ROOT = pytest.mark.skipif(not IS_ROOT, reason="only root may mount what the unit says of files")


def settings_of(path):
    """Every setting of a unit with its values, whatever the section."""
    found = {}
    for line in path.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and line[0] not in "#;[":
            found.setdefault(key, []).append(value)
    return found


@pytest.fixture
def folder():
    path = scratch("u")
    yield path
    discard(path)


@pytest.fixture
def units(folder):
    """The units as they would be installed here: with the program where it has been built."""
    for unit in (SERVICE, SOCKET):
        text = unit.read_text()
        if unit == SERVICE:
            assert text.count(INSTALLED) == 2
        (folder / unit.name).write_text(text.replace(INSTALLED, str(BUILD / "onesessiond")))
    return folder


def analyze(*words):
    return subprocess.run(
        ["systemd-analyze", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )


# ---- What systemd says -----------------------------------------------------------------------------------------------


def test_systemd_finds_nothing_wrong_with_the_units(units):
    for name in (SERVICE.name, SOCKET.name):
        done = analyze("verify", "--man=no", units / name)
        # It looks at all other units of the machine as well.
        about_ours = [line for line in done.stdout.splitlines() if "onesession" in line]
        assert about_ours == [] and (done.returncode == 0 or "onesession" not in done.stdout), done.stdout


def test_service_is_exposed_to_little(units):
    done = analyze("security", "--offline=true", "--no-pager", units / SERVICE.name)
    found = re.search(r"Overall exposure level for onesession\.service: ([0-9.]+)", done.stdout)
    assert found, done.stdout
    assert float(found[1]) <= 1.5, done.stdout


def test_service_leaves_room_for_what_the_configuration_allows():
    service = settings_of(SERVICE)
    dumped = subprocess.run(
        [BUILD / "onesessiond", "-c", "/dev/null", "--dump"], capture_output=True, text=True, check=True
    ).stdout
    shutdown_timeout = re.search(r"^shutdown_timeout = (\d+)s$", dumped, re.M)
    assert int(service["TimeoutStopSec"][-1].rstrip("s")) > int(shutdown_timeout[1])
    # Old and new workers beside each other, 512 each at the most.
    assert int(service["TasksMax"][-1]) > 2 * 512
    assert f"listen = unix:{settings_of(SOCKET)['ListenStream'][-1]}" in dumped.splitlines()


# ---- Reloading -------------------------------------------------------------------------------------------------------


def reload_check(daemon):
    """The first ExecReload= as systemd would run it: its exit status, and what it says."""
    command = settings_of(SERVICE)["ExecReload"][0]
    found = re.fullmatch(r"/bin/sh -c '([^']*)'", command)
    assert found, command
    script = found[1].replace("$$", "$").replace(INSTALLED, str(BUILD / "onesessiond"))
    assert CONF in script
    write_conf(daemon.conf, daemon.settings)
    done = subprocess.run(
        ["/bin/sh", "-c", script.replace(CONF, str(daemon.conf))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=environment(),
    )
    return done.returncode, done.stdout


def test_reload_goes_on_with_a_right_configuration_only(new_daemon, cluster):
    daemon = new_daemon()
    assert reload_check(daemon)[0] == 0
    daemon.settings["server.workers"] = "many"
    status, output = reload_check(daemon)
    assert status != 0
    assert f"{daemon.conf}:" in output and "server.workers" in output
    daemon.settings["server.workers"] = 2
    # The new configuration may be the one that brings the database back.
    cluster.stop()
    status, output = reload_check(daemon)
    assert status == 0
    assert "database" in output


# ---- Running under it ------------------------------------------------------------------------------------------------


class Manager:
    """The service manager's end of NOTIFY_SOCKET."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self.socket.setblocking(False)
        self.heard = []

    def has_heard(self, word):
        while True:
            try:
                self.heard += self.socket.recv(65536).decode().splitlines()
            except BlockingIOError:
                return word in self.heard

    def wait_for(self, word):
        wait_until(lambda: self.has_heard(word), f"{word}; so far: {self.heard}")

    def close(self):
        self.socket.close()


def restricted(kind, shown=(), writable=()):
    """What to put before a command, so that it runs under the unit's restrictions."""
    command = ["/usr/bin/env", "ASAN_OPTIONS=detect_leaks=0", sys.executable, LAUNCHER]
    if kind == "mounts":
        command += ["--mounts"]
        command += [word for path in shown for word in ("--show", path)]
        command += [word for path in writable for word in ("--writable", path)]
    if IS_ROOT:
        command += ["--user", NOBODY]
    return [*command, SERVICE]


def skip_unless_possible(kind):
    done = subprocess.run(
        [str(word) for word in (*restricted(kind), "/bin/true")], capture_output=True, text=True, check=False
    )
    if done.returncode == 125:
        pytest.skip(f"this machine does not allow it: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr


KINDS = pytest.mark.parametrize(
    "kind", ["system calls and limits", pytest.param("mounts", marks=MUST_BE_ROOT)], ids=["calls", "calls-and-mounts"]
)

# Tries what it must not be able to do. A name for each that it could.
PROBE = r"""
import ctypes, json, mmap, os, resource, socket, sys
could = []
def attempt(name, call):
    try:
        call()
        could.append(name)
    except OSError:
        pass
libc = ctypes.CDLL(None, use_errno=True)
def checked(result):
    if result in (-1, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), "")
libc.mmap.restype = ctypes.c_void_p
attempt("map memory that can be written and executed",
        lambda: checked(libc.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_long(0))))
attempt("open a packet socket", lambda: socket.socket(17, socket.SOCK_RAW))
attempt("open a netlink socket", lambda: socket.socket(16, socket.SOCK_RAW))
attempt("make a namespace", lambda: checked(libc.unshare(0x10000000)))
attempt("trace another process", lambda: checked(libc.ptrace(0, 0, 0, 0)))
attempt("raise its limits", lambda: checked(libc.setrlimit(7, (ctypes.c_ulong * 2)(8192, 8192))))
attempt("make a file setuid", lambda: os.chmod(sys.argv[1], 0o4755))
attempt("give a file away", lambda: os.chown(sys.argv[1], 65534, 65534))
status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
print(json.dumps({
    "could": could, "NoNewPrivs": status["NoNewPrivs"], "Seccomp": status["Seccomp"],
    "CapBnd": int(status["CapBnd"], 16), "files": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
    "cores": resource.getrlimit(resource.RLIMIT_CORE)[1], "umask": os.umask(0),
    "writable": [path for path in sys.argv[2:] if os.access(path, os.W_OK)],
    "seen": {path: os.path.exists(path) and len(os.listdir(path)) if os.access(path, os.R_OK) else None
             for path in ("/tmp", "/home", "/root")},
    "devices": sorted(os.listdir("/dev")), "kernel": os.path.exists("/proc/sys/kernel"),
    "processes": [name for name in os.listdir("/proc") if name.isdigit()], "me": str(os.getpid()),
}))
"""


def probe(kind, folder, *more, **kwargs):
    (folder / "probe.py").write_text(PROBE)
    (folder / "file").touch()
    os.chmod(folder / "file", 0o666)
    done = subprocess.run(
        [str(word) for word in (*restricted(kind, **kwargs), sys.executable, "-I", folder / "probe.py")]
        + [str(folder / "file"), *map(str, more)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@KINDS
def test_launcher_of_these_tests_restricts_as_the_unit_says(folder, kind):
    """Else what follows would show nothing."""
    skip_unless_possible(kind)
    found = probe(kind, folder, shown=[folder])
    assert found["could"] == []
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    assert (found["files"], found["cores"], found["umask"]) == (4096, 0, 0o077)
    if IS_ROOT:
        assert found["CapBnd"] == 0


@MUST_BE_ROOT
def test_launcher_of_these_tests_hides_as_the_unit_says(folder):
    skip_unless_possible("mounts")
    for name in ("fixed", "own"):
        (folder / name).mkdir()
        (folder / name).chmod(0o777)
    system = ["/", "/etc", "/usr", "/var", "/run", "/sys"]
    tried = [folder / "fixed", folder / "own", *system]
    found = probe("mounts", folder, *tried, shown=[folder], writable=[folder / "own"])
    assert found["writable"] == [str(folder / "own")]
    assert found["seen"]["/tmp"] == 1, "only what is shown of /tmp"
    assert not found["seen"]["/home"] and not found["seen"]["/root"]
    assert found["devices"] == sorted("fd full null random stderr stdin stdout tty urandom zero".split())
    assert not found["kernel"]
    # Other users' processes; others of this user, who is nobody in particular, may be running.
    assert found["me"] in found["processes"] and str(os.getpid()) not in found["processes"]


def restricted_daemon(new_daemon, kind, settings=None, modules=()):
    """A daemon that has what the unit gives it, and no more."""
    daemon = new_daemon(settings, modules=modules)
    sockets, logs, state = (daemon.folder / name for name in ("run", "log.d", "state"))
    for path in (sockets, logs, state, state / "spool", state / "covers"):
        path.mkdir()
        if IS_ROOT:
            shutil.chown(path, NOBODY)
    program = daemon.folder / "onesessiond"
    shutil.copy(BUILD / "onesessiond", program)
    daemon.path = daemon.address = str(sockets / "onesession.sock")
    daemon.settings["server.listen"] = f"unix:{daemon.path}"
    daemon.settings["log.to"] = str(logs / "onesession.log")
    daemon.settings["server.spool"] = str(state / "spool")
    shown = [daemon.folder, daemon.database.cluster.sockets]
    write_conf(daemon.conf, daemon.settings)
    daemon.command_line = [
        *restricted(kind, shown, [sockets, logs, state]),
        *(program, "-c", daemon.conf),
    ]
    return daemon


@KINDS
def test_daemon_does_all_it_has_to_under_the_units_restrictions(new_daemon, cluster, closing, kind):
    skip_unless_possible(kind)
    daemon = restricted_daemon(new_daemon, kind)
    log = daemon.folder / "log.d/onesession.log"
    manager = closing.add(Manager(daemon.folder / "notify"))
    daemon.start(["/usr/bin/env", f"NOTIFY_SOCKET={manager.path}", *daemon.command_line])
    manager.wait_for("READY=1")
    # Both layers: the unit's and the workers' own.
    status = (daemon_status(pid) for pid in [daemon.process.pid, *daemon.workers])
    assert all((found["NoNewPrivs"], found["Seccomp"]) == ("1", "2") for found in status)
    if IS_ROOT:
        assert set(uids_of(daemon.process.pid)) == {65534}

    # Signing in hashes a password; the second device displaces the first.
    first = sign_in_and_take_key(daemon)
    second = sign_in_and_take_key(daemon)
    assert me(daemon, first) == (401, "displaced")
    assert me(daemon, second)[0] == 200

    # A reload: other workers, with the new configuration.
    before = daemon.workers
    daemon.settings["server.prefix"] = "/other"
    write_conf(daemon.conf, daemon.settings)
    manager.heard.clear()
    daemon.send_signal(signal.SIGHUP)
    manager.wait_for("RELOADING=1")
    manager.wait_for("READY=1")
    wait_until(lambda: daemon.ask(path="/other/ready").status == 200, "the new configuration")
    wait_until(lambda: not set(before) & set(daemon.workers), "the old workers to go")

    # The database goes away and comes back.
    cluster.stop()
    wait_until(lambda: daemon.ask(path="/other/ready").status == 503, "it to notice that the database is away")
    cluster.start()
    daemon.await_database()
    assert me(daemon, second, "/other")[0] == 200

    # The log is a file, which is opened anew.
    os.rename(log, f"{log}.1")
    daemon.send_signal(signal.SIGUSR1)
    wait_until(log.exists, "the new log file")
    assert stat.S_IMODE(os.stat(log).st_mode) & 0o007 == 0

    daemon.stop()
    assert manager.has_heard("STOPPING=1")
    assert not os.path.exists(daemon.path)
    text = (daemon.folder / "log.d/onesession.log.1").read_text() + log.read_text()
    assert "Operation not permitted" not in text, text
    assert "SIGSYS" not in text and "signal 31" not in text, text


@KINDS
def test_modules_do_all_they_have_to_under_the_units_restrictions(new_daemon, database, closing, kind):
    """They are loaded at the start and by a reload, keep a file that was uploaded, run a job and call a service."""
    skip_unless_possible(kind)
    service, tasks = closing.add(Service()), closing.add(Tasks(database))
    settings = {"tasks.tick": "ok", "tasks.every": 1000, "caller.mock": f"http://127.0.0.1:{service.port}/base"}
    daemon = restricted_daemon(new_daemon, kind, in_application(settings), modules=[*APPLICATION, TASKS, CALLER])
    covers = daemon.folder / "state/covers"
    daemon.settings["application.covers"] = str(covers)
    write_conf(daemon.conf, daemon.settings)
    daemon.start(daemon.command_line)

    def keep(name):
        body = form(part("file", b"content", "a.txt", "text/plain"))
        headers = {**JSON, "Content-Type": TYPE}
        answer = daemon.ask(method="POST", path=f"{PREFIX}/open", query=f"keep={name}", headers=headers, body=body)
        assert answer.status == 200, answer
        assert (covers / name).read_bytes() == b"content"

    def call():
        body = json.dumps({"path": "/echo"})
        answer = daemon.ask(method="POST", path="/caller/call", headers=JSON, body=body)
        assert json.loads(answer.body)["result"] == "ok", answer

    keep("first")
    call()
    tasks.await_runs(2)
    before = daemon.workers
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: not set(before) & set(daemon.workers), "the old workers to go")
    keep("second")
    call()
    tasks.await_runs(len(tasks.runs()) + 1)
    daemon.stop()
    text = (daemon.folder / "log.d/onesession.log").read_text()
    assert "Operation not permitted" not in text, text
    assert "worker_killed" not in text and "SIGSYS" not in text, text


@KINDS
def test_new_binary_takes_over_under_the_units_restrictions(new_daemon, closing, kind):
    skip_unless_possible(kind)
    daemon = restricted_daemon(new_daemon, kind)
    manager = closing.add(Manager(daemon.folder / "notify"))
    daemon.start(["/usr/bin/env", f"NOTIFY_SOCKET={manager.path}", *daemon.command_line])
    manager.wait_for("READY=1")
    daemon.send_signal(signal.SIGUSR2)
    try:
        wait_until(
            lambda: manager.has_heard("") or [word for word in manager.heard if word.startswith("MAINPID=")],
            f"the new master to be named:\n{(daemon.folder / 'log.d/onesession.log').read_text()}",
        )
        assert daemon.wait() == 0
        assert daemon.ask(path="/session/ready").status == 200
    finally:
        for word in manager.heard:
            if word.startswith("MAINPID="):
                successor = int(word.partition("=")[2])
                # It is no child of ours, and only what we have started may be ended.
                if successor in processes_with(daemon.conf):
                    os.kill(successor, signal.SIGTERM)
                    wait_until(lambda pid=successor: not is_alive(pid), "the new master to stop")


def daemon_status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        return dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)


def sign_in_and_take_key(daemon):
    answer = daemon.ask(**LOGIN)
    assert answer.status == 200, answer
    key = answer.cookie()
    daemon.secrets.add(key)
    return key


def me(daemon, key, prefix="/session"):
    answer = daemon.ask(path=f"{prefix}/me", headers={**JSON, "Cookie": f"onesession={key}"})
    return answer.status, answer.get("Session-Reason")


# ---- The socket ------------------------------------------------------------------------------------------------------


def test_socket_is_for_the_web_server_alone_and_outlives_the_service():
    unit = settings_of(SOCKET)
    assert unit["SocketMode"] == ["0660"] and unit["SocketGroup"] == ["www-data"]
    service = settings_of(SERVICE)
    # systemd would give the socket to the service's user and group, and remove it with the folder.
    assert "RuntimeDirectory" not in service
    assert unit["ListenStream"] == [service["ReadWritePaths"][0].lstrip("-") + "/onesession.sock"]


def test_daemon_is_started_by_the_first_connection_to_the_socket(new_daemon):
    daemon = new_daemon({"server.listen": "unix:/nonexistent/socket"})
    path = settings_of(SOCKET)["ListenStream"][0].replace("/run/onesession", str(daemon.folder))
    daemon.address = path
    daemon.start(["systemd-socket-activate", "-l", path, *daemon.command()], wait=None)
    wait_until(lambda: f"Listening on {path}" in daemon.log_text(), "the socket")
    assert not children_of(daemon.process.pid)
    assert daemon.ask(path="/session/health", timeout=PATIENCE).status == 200
    wait_until(lambda: daemon.ask(**LOGIN).status == 200, "the database")
    assert children_of(daemon.process.pid)
    daemon.stop()
    assert os.path.exists(path), "it removed a socket that is not its own"

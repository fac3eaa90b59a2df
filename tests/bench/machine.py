"""
The benchmark's environment: its folders, its processes and their cost, PostgreSQL, and what the report says about
the host. Processes are started as the tests start theirs (tests/system/support): they end with the benchmark.
"""

import ctypes
import glob
import os
import platform
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "system"))

# pylint: disable=wrong-import-position
from support.postgres import Cluster
from support.processes import BUILD, end, scratch, spawn, tail
from support.waiting import wait_until


# Of a build.
PROGRAMS = ("onesessiond", "onesessionctl")


class Failure(Exception):
    """Why something cannot be measured: one line."""


# ---- Folders ---------------------------------------------------------------------------------------------------------


class Home:
    """
    The files of a run: in build/bench, or, where the servers' user cannot write there, in a folder of its own that is
    removed at the end. `sockets` is a short path; `kept` stays.
    """

    def __init__(self, base=None):
        # PostgreSQL refuses to run as root, and nothing else needs root.
        self.user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.kept = BUILD / "bench"
        self.kept.mkdir(parents=True, exist_ok=True)
        self.temporary = []
        self.path = self.kept / "run"
        self._remove(self.path)
        self.path.mkdir()
        self.own(self.path)
        if not self._can_enter(self.path):
            self.path.rmdir()
            # Not /tmp, which may be in memory: the database's disk is measured, too.
            self.path = Path(tempfile.mkdtemp(prefix="onesession-bench.", dir="/var/tmp"))
            self.temporary.append(self.path)
            self.own(self.path)
        self.sockets = scratch("bench")
        self.temporary.append(self.sockets)
        self.own(self.sockets)
        self.sockets.chmod(0o700)
        self.log = self.folder("log")
        self.tmp = self.folder("tmp")
        # Files that are served are copied, for the user may have no access to the source folder.
        self.app = self.path / "app"
        shutil.copytree(HERE, self.app, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        self.bin = self.folder("bin")
        for program in (*PROGRAMS, "bench/floor", "bench/hashing", "bench/openloop", "bench/hostile"):
            shutil.copy(BUILD / program, self.bin)
        shutil.copytree(BUILD / "bench/platform", self.bin / "platform", ignore=shutil.ignore_patterns("ulfius-dev"))
        if base is not None:
            before = self.folder("bin/before")
            for program in PROGRAMS:
                shutil.copy(base / "build" / program, before)

    @staticmethod
    def _remove(path):
        shutil.rmtree(path, ignore_errors=True)

    @property
    def as_user(self):
        """For Popen."""
        return {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}

    def own(self, path):
        if os.geteuid() == 0:
            account = pwd.getpwnam(self.user)
            os.chown(path, account.pw_uid, account.pw_gid)
        return path

    def folder(self, name):
        path = self.path / name
        path.mkdir()
        return self.own(path)

    def file(self, path, text):
        path = self.path / path
        path.write_text(text, encoding="utf-8")
        return self.own(path)

    def _can_enter(self, path):
        return subprocess.run(["test", "-w", str(path)], check=False, **self.as_user).returncode == 0

    def environment(self, **more):
        """Without the caller's variables that would change how the programs behave."""
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.path),
            "TMPDIR": str(self.tmp),
            "LC_ALL": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            **{name: str(value) for name, value in more.items()},
        }

    def clean(self):
        """Removes all but the logs."""
        kept = self.kept / "log"
        self._remove(kept)
        shutil.copytree(self.log, kept)
        self._remove(self.path)
        for path in self.temporary:
            self._remove(path)


# ---- Processes -------------------------------------------------------------------------------------------------------


def start(home, name, command, cwd=None, env=None, death_signal=signal.SIGTERM):
    """In a session of its own, so that Ctrl-C reaches the benchmark alone, which then ends the processes in order."""
    log = home.log / f"{name}.log"
    # Some servers open their log themselves.
    log.touch()
    home.own(log)
    return spawn(
        command,
        log,
        death_signal=death_signal,
        cwd=cwd or home.path,
        env=home.environment() if env is None else env,
        start_new_session=True,
        **home.as_user,
    )


def log_of(home, name):
    return tail(home.log / f"{name}.log", lines=15)


def run(home, command, what, stdin="", env=None, cwd=None, timeout=600):
    """A command that has to succeed; returns what it printed."""
    done = subprocess.run(
        [str(word) for word in command],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
        cwd=cwd or home.path,
        env=env or home.environment(),
        start_new_session=True,
        **home.as_user,
    )
    if done.returncode != 0:
        raise Failure(f"{what}: exit status {done.returncode}: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.stdout


def become_reaper():
    """Processes whose parent has exited become children of this one, which ends them."""
    pr_set_child_subreaper = 36
    if ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, 1, 0, 0, 0) != 0:
        raise Failure("prctl(PR_SET_CHILD_SUBREAPER) has failed")


PARENT, USER_TIME, CHILDREN_SYSTEM_TIME = 1, 11, 14


def processes():
    """Of every process on the machine: its parent and the CPU seconds of itself and of the children it waited for."""
    found = {}
    tick = os.sysconf("SC_CLK_TCK")
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        seconds = sum(int(field) for field in fields[USER_TIME : CHILDREN_SYSTEM_TIME + 1]) / tick
        found[int(entry)] = (int(fields[PARENT]), seconds)
    return found


def descendants(roots, found=None):
    """The process ids of `roots` and of their descendants."""
    found = found or processes()
    children = {}
    for pid, (parent, _) in found.items():
        children.setdefault(parent, []).append(pid)
    result, waiting = [], [pid for pid in roots if pid in found]
    while waiting:
        pid = waiting.pop()
        result.append(pid)
        waiting.extend(children.get(pid, []))
    return result


def cpu_seconds(roots):
    """CPU seconds of these process trees, with processes that have ended and were waited for."""
    found = processes()
    return sum(found[pid][1] for pid in descendants(roots, found))


def memory_of(pid):
    """Of one process in KiB: PSS, and private memory that it has written."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {
        name: int(re.search(rf"^{name}:\s+(\d+) kB", text, re.M)[1]) for name in ("Pss", "Private_Dirty", "Rss")
    }


# ---- PostgreSQL ------------------------------------------------------------------------------------------------------


def memory_of_host():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class Server(Cluster):
    """One PostgreSQL for all, as in production: commits are on the disk."""

    def __init__(self, home):  # pylint: disable=super-init-not-called
        self.home = home
        self.folder = home.folder("postgresql")
        self.sockets = home.sockets
        self.data = self.folder / "data"
        self.log = home.log / "postgresql.log"
        self.process = None
        self.user = home.as_user
        self.superuser = "postgres"
        quarter = memory_of_host() // 4 // 2**20
        self.settings = {
            "shared_buffers": f"{min(max(quarter, 128), 1024)}MB",
            "max_connections": "200",
            "max_wal_size": "4GB",
            "checkpoint_timeout": "15min",
        }

    def create(self):
        run(
            self.home,
            [self.program("initdb"), "-D", self.data, "-U", self.superuser, "-A", "trust", "-E", "UTF8"]
            + ["--locale=C.UTF-8", "--no-instructions"],
            "initdb",
        )
        self.set(
            {
                **self.settings,
                "listen_addresses": "''",
                "unix_socket_directories": f"'{self.sockets}'",
                "log_line_prefix": "'%m %d %u %p '",
                # Not measured, and its log lines would be taken for the daemon's.
                "log_checkpoints": "off",
            }
        )

    def start(self):
        self.process = start(
            self.home, "postgresql", [self.program("postgres"), "-D", self.data], death_signal=signal.SIGQUIT
        )
        wait_until(self._answers, f"PostgreSQL to start:\n{tail(self.log)}")
        for role in (self.OWNER, self.DAEMON):
            self.execute(f"CREATE ROLE {role} LOGIN")

    def make(self, name, owner=None):
        self.execute(f"CREATE DATABASE {name} OWNER {owner or self.DAEMON}")

    def query(self, database, sql, values=None):
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def settle(self, database):
        """As after some time: statistics are current, nothing waits to be vacuumed or written."""
        for statement in ("VACUUM (ANALYZE)", "CHECKPOINT"):
            self.query(database, statement)


class Standby(Cluster):
    """It confirms each commit of the server's, as one in another building would: that many milliseconds later."""

    DELAY_MS = 5

    def __init__(self, server):  # pylint: disable=super-init-not-called
        self.server, self.home, self.user = server, server.home, server.user
        self.superuser = server.superuser
        self.folder = self.home.folder("standby")
        self.sockets = self.home.folder("standby/sockets")
        self.data = self.folder / "data"
        self.log = self.home.log / "standby.log"
        self.process = None

    def start(self):
        source = f"host={self.server.sockets} user={self.superuser} application_name=standby"
        run(self.home, [self.program("pg_basebackup"), "-D", self.data, "-R", "-X", "stream", "-c", "fast", "-d", source], "pg_basebackup")
        self.set({"unix_socket_directories": f"'{self.sockets}'", "recovery_min_apply_delay": f"{self.DELAY_MS}ms"})
        self.process = start(self.home, "standby", [self.program("postgres"), "-D", self.data], death_signal=signal.SIGQUIT)
        wait_until(self._follows, f"the standby to follow:\n{tail(self.log)}")
        self._ask_to_confirm("standby")

    def _follows(self):
        return self.server.query("postgres", "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")[0][0] == 1

    def _ask_to_confirm(self, names):
        for setting, value in (("synchronous_commit", "remote_apply"), ("synchronous_standby_names", names)):
            self.server.query("postgres", f"ALTER SYSTEM SET {setting} = '{value}'")
        self.server.query("postgres", "SELECT pg_reload_conf()")
        wait_until(lambda: self.server.query("postgres", "SHOW synchronous_standby_names")[0][0] == names, "the setting")

    def stop(self):
        if self.process is None:
            return
        self._ask_to_confirm("")
        end(self.process, (signal.SIGQUIT,))
        self.process = None
        shutil.rmtree(self.data, ignore_errors=True)


# ---- The host --------------------------------------------------------------------------------------------------------


def first_line(command, pattern=r"(\S+)"):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except FileNotFoundError:
        return "?"
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "?"


def filled(path, values):
    """The template of that path, with values for what stands between @ in it."""
    text = (HERE / path).read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text


def program(name):
    """Servers are in /usr/sbin, which is not on every user's PATH; some have their version in their names."""
    for folder in ("/usr/sbin", "/usr/bin"):
        found = sorted(glob.glob(f"{folder}/{name}"))
        if found:
            return found[-1]
    raise Failure(f"{name} is not on this machine: tools/install-packages bench")


def cpu_model():
    found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return found[1].strip() if found else platform.machine()


def file_system(path):
    return first_line(["stat", "--file-system", "--format=%T", str(path)])


def describe_host(home):
    release = re.search(r'^PRETTY_NAME="(.*)"$', Path("/etc/os-release").read_text(), re.M)
    return {
        "cores": os.cpu_count(),
        "cpu": cpu_model(),
        "memory_gib": round(memory_of_host() / 2**30, 1),
        "kernel": platform.release(),
        "system": release[1] if release else platform.system(),
        "file_system": file_system(home.path),
        "load_before": os.getloadavg()[0],
    }

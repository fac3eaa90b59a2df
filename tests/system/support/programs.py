"""onesessiond and onesessionctl, run as operators run them."""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

from support import fastcgi
from support.processes import (
    BUILD, SANITIZER_REPORT, children_of, discard, is_alive, name_of, processes_with, scratch, spawn, stat_of, tail,
)
from support.waiting import PATIENCE, wait_until

# The name of the process that hashes passwords, and of the fallback worker.
HASHER, FALLBACK = "ones-hasher", "ones-fallback"
# So begin the names of all but the master and its workers, which have the program's own.
HELPER = "ones-"
# Hashing that costs next to nothing.
CHEAP = {"login.memory": "64KiB", "login.passes": 1}


def environment():
    """Nothing of the caller's that would change what our programs do."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LISTEN_", "NOTIFY_"))}
    kept["LC_ALL"] = "C.UTF-8"
    # What was freed is kept for a while by the sanitizer: little of it, for some tests look at how much memory is used.
    kept["ASAN_OPTIONS"] = ":".join(filter(None, [kept.get("ASAN_OPTIONS", "detect_leaks=1"), "quarantine_size_mb=2"]))
    kept.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    return kept


def overrides(settings):
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


class Ctl:
    """onesessionctl, as an operator calls it."""

    def __init__(self, conninfo, **settings):
        self.settings = {**CHEAP, "database.conninfo": conninfo, **settings}

    def command(self, *words):
        return [str(BUILD / "onesessionctl"), *overrides(self.settings), *[str(word) for word in words]]

    def call(self, *words, stdin="", timeout=60):
        """Returns the finished process, whatever it says."""
        done = subprocess.run(
            self.command(*words), input=stdin, capture_output=True, text=True, timeout=timeout, env=environment()
        )
        assert not SANITIZER_REPORT.search(done.stderr), done.stderr
        return done

    def run(self, *words, stdin=""):
        """It has to succeed; returns what it printed."""
        done = self.call(*words, stdin=stdin)
        assert done.returncode == 0, f"onesessionctl {' '.join(map(str, words))}: {done.returncode}\n{done.stderr}"
        return done.stdout

    def json(self, *words, stdin=""):
        return json.loads(self.run("--json", *words, stdin=stdin))

    def refused(self, *words, stdin=""):
        """It has to fail the way the contract says: exit status 1 and one line on standard error."""
        done = self.call(*words, stdin=stdin)
        assert done.returncode == 1, f"{done.returncode}\n{done.stderr}"
        assert done.stderr.count("\n") == 1 and done.stderr.endswith("\n"), repr(done.stderr)
        assert done.stdout == ""
        return done.stderr


def write_conf(path, settings):
    """`settings` by "section.key", as an INI file."""
    sections = {}
    for key, value in settings.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, []).append(f"{name} = {value}\n")
    path.write_text("".join(f"[{name}]\n{''.join(lines)}\n" for name, lines in sections.items()))
    return path


# Not yet or not any more. A socket lets nobody in before it has got its mode.
NOT_LISTENING = (FileNotFoundError, ConnectionRefusedError, PermissionError)


class Daemon:
    """One onesessiond: its folder, its configuration, its log, and copies of its modules."""

    def __init__(self, database, settings=None, folder=None, modules=()):
        self.folder = folder or scratch("d")
        self.program = BUILD / "onesessiond"
        self.database = database
        self.path = str(self.folder / "s")
        self.address = self.path
        self.log = self.folder / "log"
        self.log.touch()
        self.process = None
        self.secrets = set()
        # The web server's workers run as another user; the mode is what stands between in earnest.
        self.settings = {
            "server.listen": f"unix:{self.path}",
            "server.listen_mode": "0666",
            "server.workers": 2,
            **CHEAP,
            # Tests give wrong passwords more often than people do, all of them from one address.
            "login.attempts_per_user": 0,
            "login.attempts_per_address": 0,
            **({"database.conninfo": database.conninfo} if database is not None else {}),
            # By default it would become onesession where there is such a user, whom the folders here keep out.
            **({"server.user": "root"} if os.geteuid() == 0 else {}),
            "log.level": "debug",
            **({"server.modules": " ".join(self.take_module(path) for path in modules)} if modules else {}),
            **(settings or {}),
        }
        self.conf = self.folder / "conf"

    def take_module(self, path):
        """Copy it to where the daemon loads modules from; returns its new path."""
        copy = self.folder / Path(path).name
        # In the place of the one before, as install(1) does.
        new = copy.with_suffix(".new")
        shutil.copyfile(path, new)
        new.chmod(0o644)
        new.rename(copy)
        return str(copy)

    def command(self, *words):
        write_conf(self.conf, self.settings)
        return [str(self.program), "-c", str(self.conf), *words]

    def start(self, command=None, wait="/session/ready", is_master=True, **kwargs):
        """
        Start it, and wait until it answers 200 to `wait` (None: do not wait) and has all its workers, which are children
        of what `command` starts unless that is not the master.
        """
        self.process = spawn(command or self.command(), self.log, env=environment(), **kwargs)
        if wait is not None:
            wait_until(lambda: self._is_ready(wait), f"the daemon to answer {wait}:\n{self.log_text()}")
        if wait is not None and is_master:
            # The first that is there has answered.
            count = int(self.settings["server.workers"])
            wait_until(lambda: len(self.workers) >= count, f"{count} workers:\n{self.log_text()}")
        return self

    def _is_ready(self, path):
        assert self.process.poll() is None, f"the daemon ended with {self.process.returncode}:\n{self.log_text()}"
        try:
            return self.ask(path=path, timeout=PATIENCE).status == 200
        except NOT_LISTENING:
            return False

    def ask(self, *args, **kwargs):
        """One FastCGI request."""
        return fastcgi.send(self.address, *args, **kwargs)

    def connection(self, timeout=20):
        return fastcgi.Connection(self.address, timeout)

    def _children(self, is_wanted):
        named = ((pid, name_of(pid)) for pid in children_of(self.process.pid))
        return [pid for pid, name in named if name is not None and is_wanted(name)]

    @property
    def workers(self):
        """Those that server.workers counts. Others come and go by themselves, on a slow machine more often."""
        return self._children(lambda name: not name.startswith(HELPER))

    @property
    def helpers(self):
        """The hasher, the fallback worker, a purge and so on."""
        return self._children(lambda name: name.startswith(HELPER))

    @property
    def fallback_workers(self):
        return self._children(lambda name: name == FALLBACK)

    @property
    def hasher(self):
        """None while it is being replaced."""
        return next(iter(self._children(lambda name: name == HASHER)), None)

    def await_workers(self, count):
        """So many and no more; returns them."""
        found = []

        def are_there():
            found[:] = self.workers
            return len(found) == count

        wait_until(are_there, f"{count} workers")
        return found

    def await_database(self):
        """Until each of its workers has it again: one answers 503 while it does not know yet what another has found."""

        def has_it():
            said = dict(re.findall(r"\[(\d+)\] database_(un)?available", self.log_text()))
            lacking = [pid for pid in self.workers if said.get(str(pid)) == "un"]
            return not lacking and self._is_ready(self.settings.get("server.prefix", "/session") + "/ready")

        wait_until(has_it, "every worker to have the database again")

    def log_text(self):
        return self.log.read_text(errors="replace")

    def lines_of(self, event):
        """The lines of the log that are that event."""
        return [line for line in self.log_text().splitlines() if re.search(rf"\] {event}\b", line)]

    def await_line(self, event, *words):
        """The first of these that has all the words."""

        def found():
            return next((line for line in self.lines_of(event) if all(word in line for word in words)), None)

        return wait_until(found, f"{event} with {words}:\n{self.log_text()[-6000:]}")

    def send_signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=None):
        return self.process.wait(PATIENCE if timeout is None else timeout)

    def stop(self, number=signal.SIGTERM, status=0):
        """It ends by that signal with that status, leaving no process behind, and its log is as it should be."""
        children = children_of(self.process.pid)
        self.send_signal(number)
        assert self.wait() == status, f"exit status {self.process.returncode}, not {status}:\n{tail(self.log)}"
        assert not [pid for pid in children if is_alive(pid)], "a process outlived the daemon"
        self.check_log()

    def check_log(self):
        """No sanitizer has spoken up, and nothing secret was written."""
        text = self.log_text()
        found = SANITIZER_REPORT.search(text)
        assert not found, f"{found[0]}:\n{text[max(found.start() - 200, 0) : found.start() + 6000]}"
        for secret in self.secrets:
            assert secret not in text, "a key or a password is in the log"

    def close(self):
        """At the end of a test that has not ended it itself."""
        try:
            if self.process is not None and self.process.poll() is None:
                self.stop()
            elif self.process is not None:
                self.check_log()
        finally:
            self.kill()
            discard(self.folder)

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        # Its workers end with it. If they do not, a test has told so, and they end here.
        for pid in processes_with(self.conf):
            for number in (signal.SIGCONT, signal.SIGKILL):
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass


def masters(daemon):
    """The daemon's masters: those of its processes whose parent is none of them."""
    pids = processes_with(daemon.conf)
    return [pid for pid in pids if (fields := stat_of(pid)) and int(fields[1]) not in pids]

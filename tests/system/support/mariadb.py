"""A private MariaDB, from which applications' accounts come."""

import shutil
import subprocess

from support.processes import discard, end, scratch, spawn, tail
from support.waiting import wait_until

IS_INSTALLED = shutil.which("mariadb-install-db") is not None and shutil.which("mariadbd") is not None

# What it writes does not have to survive the machine.
UNSYNCED = "--debug-no-sync"


class MariaDb:
    """One without a TCP port, that lets in everybody who finds its socket."""

    def __init__(self):
        self.folder = scratch("my")
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self.log.touch()
        self.process = None

    def start(self):
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={self.data}", "--user=root", "--skip-test-db",
             "--auth-root-authentication-method=normal", UNSYNCED],
            check=True,
            capture_output=True,
        )
        self.process = spawn(
            ["mariadbd", "--no-defaults", "--user=root", f"--datadir={self.data}", f"--socket={self.folder}/s",
             "--skip-networking", "--skip-grant-tables", "--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M",
             UNSYNCED],
            self.log,
        )
        wait_until(self._is_ready, "MariaDB")
        return self

    def _is_ready(self):
        assert self.process.poll() is None, tail(self.log)
        return self.call("SELECT 1").returncode == 0

    def call(self, *words, **kwargs):
        command = ["mariadb", "--no-defaults", f"--socket={self.folder}/s", "--default-character-set=utf8mb4"]
        return subprocess.run([*command, *words[:-1], "-e", words[-1]], capture_output=True, text=True, **kwargs)

    def run(self, *words):
        """Options, and statements; returns what was printed."""
        done = self.call(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def stop(self):
        if self.process is not None:
            end(self.process)
        discard(self.folder)

"""Sites in other languages that sign people in themselves, behind onesession by the project's adapters."""

import json
import os
import shutil

from support.processes import ROOT, discard, end, free_port, scratch, spawn, tail
from support.waiting import wait_until

SITES = ROOT / "tests/adapters"
ADAPTERS = ROOT / "conf/adapters"
NODE_MODULES = ROOT / "build/npm/node_modules"
PASSWORD = "the application's own"


class AdaptedSite:
    """A program that serves on a port of this machine. `token_file` is written, and `api` known, before it starts."""

    # The field of its form against requests of other sites.
    token_field = "csrf"

    def __init__(self):
        self.folder = scratch("adapted")
        self.token_file = self.folder / "token"
        self.log = self.folder / "log"
        self.process = self.port = None

    def environment(self, api, accounts):
        return {
            **os.environ,
            "ONESESSION_TOKEN_FILE": str(self.token_file),
            "ONESESSION_API": api,
            "SITE_ACCOUNTS": json.dumps(accounts),
            "NODE_PATH": str(NODE_MODULES),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def start(self, token, api, accounts):
        self.token_file.write_text(token + "\n")
        self.log.touch()
        self.process = spawn(self.command(), self.log, env={**self.environment(api, accounts), **self.more()}, cwd=self.folder)
        self.port = wait_until(self._find_port, "the site to listen", timeout=120)
        return self

    def command(self):
        raise NotImplementedError

    def more(self):
        """More of the environment."""
        return {}

    def _find_port(self):
        assert self.process.poll() is None, f"the site has ended:\n{tail(self.log)}"
        lines = [line for line in self.log.read_text().splitlines() if line.isdigit()]
        return int(lines[0]) if lines else None

    def close(self):
        try:
            if self.process is not None:
                end(self.process)
        finally:
            discard(self.folder)


class Django(AdaptedSite):
    """The tutorial's site; `is_adapted`: with the adapter in place of what the tutorial has written."""

    token_field = "csrfmiddlewaretoken"

    def __init__(self, database, is_adapted=True):
        super().__init__()
        self.database, self.is_adapted = database, is_adapted

    def more(self):
        cluster = self.database.cluster
        paths = [SITES / "django", ADAPTERS / "django" if self.is_adapted else ROOT / "tests/bench/django"]
        return {
            "PYTHONPATH": ":".join(map(str, paths)),
            "DJANGO_SETTINGS_MODULE": "settings_onesession" if self.is_adapted else "settings",
            "SITE_DATABASE": self.database.name,
            "SITE_ROLE": cluster.superuser,
            "SITE_DATABASE_HOST": str(cluster.sockets),
        }

    def command(self):
        return ["/usr/bin/python3", SITES / "django/serve.py"]


class Express(AdaptedSite):
    def more(self):
        return {"ONESESSION_EXPRESS": str(ADAPTERS / "express")}

    def command(self):
        return [shutil.which("node"), SITES / "express/site.js"]


class Php(AdaptedSite):
    """PHP's own web server, which is for tests; it prints no port, so one is tried until it is free."""

    def more(self):
        return {"ONESESSION_PHP": str(ADAPTERS / "php/onesession.php")}

    def command(self):
        self.tried = free_port()
        (self.folder / "sessions").mkdir(exist_ok=True)
        return [
            shutil.which("php"), "-d", f"session.save_path={self.folder / 'sessions'}", "-d", "variables_order=EGPCS",
            "-S", f"127.0.0.1:{self.tried}", SITES / "php/site.php",
        ]

    def _find_port(self):
        assert self.process.poll() is None, f"the site has ended:\n{tail(self.log)}"
        return self.tried if "started" in self.log.read_text() else None


MAKE = {"django": Django, "express": Express, "php": Php}

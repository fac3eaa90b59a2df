"""Sites in other languages that sign people in themselves, behind onesession by the project's adapters."""

import contextlib
import hashlib
import http.client
import json
import os
import re
import shutil
import subprocess
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import requests

from support.api import new_token
from support.closing import database_and_things, remember_log
from support.listening import serve_http
from support.nginx import Nginx
from support.processes import ROOT, discard, end, free_port, scratch, spawn, tail
from support.programs import Ctl
from support.waiting import wait_until
from support.webservers import daemon_with_tcp, nginx_site

SITES = ROOT / "tests/adapters"
ADAPTERS = ROOT / "conf/adapters"
NODE_MODULES = ROOT / "build/npm/node_modules"
PASSWORD = "the application's own"
SIGN_IN = "/accounts/login/"
OPEN = "/open/"
MEMBERS = ["member0", "member1"]


PORT_IS_TAKEN = -1


class Onesession:
    """
    What a site is brought behind: a daemon with passwords off, whose sign-in is at `login_url`, and the address of its API
    with a token. It ends with `things`. `prepare`: gets the operator's commands before the daemon starts.
    """

    def __init__(self, node, database, things, login_url, settings=None, prepare=None):
        own_login = {"login.enabled": "off", "access.login_url": login_url, "access.require_parameter": "on"}
        self.database, self.ctl = database, Ctl(database.owner_conninfo)
        if prepare is not None:
            prepare(self.ctl)
        self.daemon = things.add(daemon_with_tcp(database, {**own_login, **(settings or {})}))
        remember_log(node, "onesessiond", self.daemon.log)
        # The site is told where the API is before it has a port for the web server.
        self.programs = things.add(Nginx(self.daemon.path)).start()
        self.api = f"{self.programs.url}/session/api"
        self.token = new_token(self.ctl, scopes="sessions,users")
        self.daemon.secrets.add(self.token.removeprefix("ost_"))


@contextlib.contextmanager
def several(cluster):
    """new() gives a database of its own, and things that end before it goes, as often as a test asks."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(database_and_things(cluster))


def ask_straight(web, person, session_id):
    """What the application answers to a request that the guard has let in as that session, whatever it is by now."""
    return requests.get(
        f"http://127.0.0.1:{web.application.port}/members/", headers={"Session-Id": session_id},
        cookies={cookie.name: cookie.value for cookie in person.http.cookies}, allow_redirects=False, timeout=30,
    )


class AdaptedSite:
    """A program that serves on a port of this machine. `token_file` is written, and `api` known, before it starts."""

    # The field of its form against requests of other sites.
    token_field = "csrf"
    # More of what is marked "Yours" in nginx's own-login.conf.
    sample_changes = {}
    places = {"open": "optional"}

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
        environment = {**self.environment(api, accounts), **self.more()}
        for _ in range(10):
            self.log.write_text("")
            self.process = spawn(self.command(), self.log, env=environment, cwd=self.folder)
            self.port = wait_until(self._find_port, "the site to listen", timeout=120)
            if self.port != PORT_IS_TAKEN:
                return self
        raise AssertionError("the site found no port")

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
        if self.process.poll() is not None and "already in use" in self.log.read_text():
            return PORT_IS_TAKEN
        assert self.process.poll() is None, f"the site has ended:\n{tail(self.log)}"
        return self.tried if "started" in self.log.read_text() else None


LARAVEL = Path("/usr/share/php/Illuminate/autoload.php")
# As Laravel's own guard calls it, for sites that go by no other.
REMEMBER = "remember_web_" + hashlib.sha1(b"Illuminate\\Auth\\SessionGuard").hexdigest()


class Laravel(Php):
    """
    Debian's framework, with the adapter as its README has it installed. `more_settings`: of the environment.
    `forgets_remembered`: whether the web server has been told of the cookie to be remembered by.
    """

    token_field = "_token"
    places = {"open": "optional", "fresh": "fresh=10m"}

    def __init__(self, database, more_settings=None, forgets_remembered=True):
        super().__init__()
        self.database, self.more_settings = database, more_settings or {}
        self.variables = {}
        cookies, sample = "laravel_session", (ROOT / "conf/nginx/own-login.conf").read_text()
        self.sample_changes = {
            '"~^/login/?$" yes;': '"~^/accounts/(?:login|password|confirm|others|reset)/?$" yes;',
            "$upstream_cookie_sessionid": "$upstream_cookie_laravel_session",
            '"sessionid=; Path=/; Max-Age=0"': '"laravel_session=; Path=/; Max-Age=0"',
        }
        if forgets_remembered:
            cookies += f"|{REMEMBER}"
            shown = r"(?ms)^#map [^\n]*own_forgotten_2 \{\n.*?^#\}\n|^\t#add_header [^\n]*own_forgotten_2 always;\n"
            for found in re.findall(shown, sample):
                self.sample_changes[found] = re.sub(r"(?m)^(\t?)#", r"\1", found).replace("remember_me", REMEMBER)
        self.sample_changes["(?i:sessionid)"] = f"(?i:{cookies})"

    def start(self, token, api, accounts):
        shutil.copytree(SITES / "laravel", self.folder, dirs_exist_ok=True)
        package = self.folder / "packages/laravel"
        shutil.copytree(ADAPTERS / "laravel", package)
        shutil.copy(ADAPTERS / "php/onesession.php", package)
        for folder in ("bootstrap/cache", "storage/framework/sessions", "storage/framework/views", "vendor/composer"):
            (self.folder / folder).mkdir(parents=True)
        packages = {"packages": [json.loads((package / "composer.json").read_text())]}
        (self.folder / "vendor/composer/installed.json").write_text(json.dumps(packages))
        self.variables = {**self.environment(api, accounts), **self.more()}
        self.run("prepare")
        return super().start(token, api, accounts)

    def run(self, name, *words):
        """A command of the application's; what it prints."""
        command = ["php", "-d", "variables_order=EGPCS", self.folder / f"bootstrap/{name}.php", *words]
        done = subprocess.run(command, env=self.variables, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def more(self):
        cluster = self.database.cluster
        return {
            "SITE_DATABASE": self.database.name,
            "SITE_ROLE": cluster.superuser,
            "SITE_DATABASE_HOST": str(cluster.sockets),
            **self.more_settings,
        }

    def command(self):
        self.tried = free_port()
        return [
            shutil.which("php"), "-d", "variables_order=EGPCS",
            "-S", f"127.0.0.1:{self.tried}", "-t", self.folder / "public", self.folder / "public/index.php",
        ]


MAKE = {"django": Django, "express": Express, "php": Php}


def with_sign_in(daemon, application):
    """The sample, told where the site has its sign-in, and that a page of it is open."""
    server = nginx_site(daemon, "own-login", application)
    server.changes['"~^/login/?$" yes;'] = '"~^/accounts/(?:login|password|confirm)/?$" yes;'
    server.changes.update(application.sample_changes)
    server.places = application.places
    return server


class Between:
    """
    Passes on to the API, or does what its `mode` says: answers an error page, a page that is none, nothing, or hangs up.
    Calls whose path ends with `lacks` get the error page.
    """

    def __init__(self, api):
        real = urllib.parse.urlsplit(api)
        self.mode, self.lacks, self.calls = "through", None, []
        self.ends = threading.Event()
        between = self

        class Handler(BaseHTTPRequestHandler):
            def do(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if between.mode == "silence":
                    between.calls.append("silence")
                    between.ends.wait(60)
                if between.mode in ("silence", "hang up"):
                    self.close_connection = True
                    return
                between.calls.append(self.command)
                status, again = 200 if between.mode == "page" else 502, None
                kind, text = "text/html", b"<html><h1>Not what was asked for</h1></html>"
                if between.mode == "through" and not (between.lacks and self.path.endswith(between.lacks)):
                    connection = http.client.HTTPConnection(real.hostname, real.port, timeout=30)
                    connection.request(self.command, self.path, body, dict(self.headers))
                    answer = connection.getresponse()
                    status, kind, text = answer.status, answer.getheader("Content-Type", ""), answer.read()
                    again = answer.getheader("Idempotent-Replayed")
                    connection.close()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text)))
                if again is not None:
                    self.send_header("Idempotent-Replayed", again)
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_PUT = do_POST = do_DELETE = do

            def log_message(self, *_):
                pass

        self.server = serve_http(Handler)
        self.url = api.replace(real.netloc, f"127.0.0.1:{self.server.server_address[1]}")

    def go_away(self):
        self.server.shutdown()
        self.server.server_close()

    def close(self):
        self.ends.set()
        self.go_away()

"""The contestants: how each is started, its accounts and sessions, and how its checks are verified."""

import os
import re
import shutil
import socket
from html import unescape
from pathlib import Path

from load import ask, sign_in
from machine import HERE, Failure, filled, log_of, program, run, start
from support.nginx import shipped
from support.processes import BUILD, end, free_port, tail
from support.programs import write_conf
from support.waiting import wait_until

PASSWORD = "correct-horse-battery"
# By which programs call those of the others that have no tokens of their own.
PROGRAM_TOKEN = "of-the-benchmark"


def token(number):
    """The token of a session, 43 characters: load.lua makes the same ones. Session keys are their SHA-256."""
    return "A" * 35 + f"{number:08d}"


TOKEN_SQL = "repeat('A', 35) || lpad(i::text, 8, '0')"


def environment_of_unit():
    """The environment variables of the daemon's unit for systemd."""
    unit = (HERE.parents[1] / "systemd/onesession.service").read_text(encoding="utf-8")
    return dict(re.findall(r"^Environment=(\w+)=(.*)$", unit, re.M))


class Service:
    """
    A server behind nginx. `nginx` is what its server { } holds. With a `database` it is another instance of the one that
    has that name, as on another host.
    """

    def __init__(self, bench, name, database=None):
        self.bench, self.name = bench, name
        self.database = database or name
        self.socket = bench.home.sockets / name
        self.process = None
        self.failure = None

    @property
    def roots(self):
        return [self.process.pid] if self.process is not None else []

    @property
    def owns_database(self):
        return self.database == self.name

    @property
    def workers(self):
        """Process ids of the workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children]

    def ask(self, path, cookie=None):
        return ask(self.bench.web.port, self.name, path, cookie=cookie)

    def launch(self, command, **kwargs):
        self.process = start(self.bench.home, self.name, command, **kwargs)
        try:
            wait_until(self._is_listening, f"{self.name} to listen")
        except AssertionError as error:
            raise Failure(f"{error}: {log_of(self.bench.home, self.name)}") from error

    def _is_listening(self):
        if self.process.poll() is not None:
            raise Failure(f"it ended with {self.process.returncode}: {log_of(self.bench.home, self.name)[-300:]}")
        return self._can_connect()

    def _can_connect(self):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
                return True
            except OSError:
                return False

    def stop(self):
        if self.process is not None:
            end(self.process)
            self.process = None

    def require(self, path, cookie, user):
        """The answer is 200 and for that user; with None, that it is not 200."""
        answer = self.ask(path, cookie)
        if user is None:
            if 200 <= answer.status < 300 or answer.status >= 500:
                raise Failure(f"{path} gave {answer.status} without a session")
        elif answer.status != 200 or answer.headers.get("remote-user", user) != user:
            raise Failure(f"{path} gave {answer.status} for {answer.headers.get('remote-user')}, and not 200 for {user}")
        return answer.headers

    def live(self, cookies):
        """How many of these sessions are live: their requests are accepted."""
        return sum(self.ask("/page", cookie).status == 200 for cookie in cookies)

    def rows(self, table, column, cookies):
        """The same by stored rows, for contestants where a request changes them or is answered from a cache."""
        keys = [cookie.partition("=")[2] for cookie in cookies]
        sql = f"SELECT count(*) FROM {table} WHERE {column} = ANY (%s)"
        return self.bench.server.query(self.database, sql, (keys,))[0][0]

    @staticmethod
    def words(text):
        """The text of a displaced browser's page: its notice, else its heading."""
        found = re.search(r'id="told"[^>]*>(.*?)</(?:p|div)>', text, re.S) or re.search(r"<h1[^>]*>(.*?)</h1>", text, re.S)
        return " ".join(unescape(re.sub(r"<[^>]*>", "", found[1])).split()) if found else ""


class Static(Service):
    """nginx by itself."""

    nginx = "location / { return 200; }"

    def start(self):
        pass

    def verify(self):
        self.require("/", None, "")


def guard(bench, name, socket_path):
    """The project's own configuration of nginx, with another socket."""
    path = f"guard-{name}.conf"
    bench.home.file(
        path, shipped("nginx/onesession.conf", {"unix:/run/onesession/onesession.sock;": f"unix:{socket_path};"})
    )
    return f"include {bench.home.path / path};"


def page(bench, question=None, more=""):
    """A small file that is guarded by a subrequest to `question`; without, by the guard of the whole site."""
    asking = f"auth_request {question}; " if question else ""
    return f"location = /page {{ {asking}{more} alias {bench.home.app}/page.html; default_type text/html; }}"


class Floor(Service):
    """`bare`: without any environment variable."""

    def __init__(self, bench, name, bare=False):
        super().__init__(bench, name)
        self.env = {} if bare else bench.home.environment(**environment_of_unit())

    @property
    def nginx(self):
        return guard(self.bench, self.name, self.socket)

    def start(self):
        self.launch([self.bench.home.bin / "floor", self.socket, self.bench.options.workers], env=self.env)

    def verify(self):
        self.require("/session/auth", None, "")


class OneSession(Service):
    """
    A daemon on `database`. Its configuration is the default one but for `settings`. `build` is "before" for that of
    --base, else "after"; `bare`: without any environment variable.
    """

    def __init__(self, bench, name, database=None, build="after", bare=False, **settings):
        super().__init__(bench, name, database)
        self.bin = bench.home.bin / "before" if build == "before" else bench.home.bin
        self.env = {} if bare else bench.home.environment(**environment_of_unit())
        self.settings = settings

    @property
    def nginx(self):
        return guard(self.bench, self.name, self.socket) + "\n" + page(self.bench)

    def conninfo(self, role=None):
        return self.bench.server.conninfo(self.database, role or self.bench.server.DAEMON)

    def ctl(self, *words, stdin=""):
        conninfo = self.conninfo(self.bench.server.OWNER)
        return run(
            self.bench.home,
            [self.bin / "onesessionctl", "-o", f"database.conninfo={conninfo}", *words],
            f"onesessionctl {words[0]}",
            stdin=stdin,
        )

    def migrate(self):
        self.bench.server.make(self.database, self.bench.server.OWNER)
        self.ctl("migrate", "--grant", self.bench.server.DAEMON)

    def fill(self, accounts, sessions, limit=None, more_accounts=0):
        """
        Accounts u1 to uN, and sessions as if they had signed in one after the other, again and again; and more accounts
        without a session. All have the same password.
        """
        self.ctl("user", "add", "template", stdin=PASSWORD + "\n")
        query = lambda sql, *values: self.bench.server.query(self.database, sql, values)  # noqa: E731
        query(
            "INSERT INTO users (id, username, password, session_limit)"
            " SELECT 1000000 + i, 'u' || i, t.password, %s FROM users t, generate_series(1, %s) i"
            " WHERE t.username = 'template'",
            limit,
            accounts + more_accounts,
        )
        query("SELECT setval(pg_get_serial_sequence('users', 'id'), max(id)) FROM users")
        query(
            "INSERT INTO sessions (session_key, user_id, expires_at)"
            f" SELECT sha256(convert_to({TOKEN_SQL}, 'UTF8')), 1000001 + (i - 1) %% %s, now() + interval '14 days'"
            " FROM generate_series(1, %s) i ORDER BY i",
            accounts,
            sessions,
        )
        query(
            "INSERT INTO logged_in_user (user_id, session_key, login_order)"
            " SELECT DISTINCT ON (user_id) user_id, session_key, login_order FROM sessions"
            " ORDER BY user_id, login_order DESC"
        )
        self.bench.server.settle(self.database)

    def hash(self):
        return self.bench.server.query(self.database, "SELECT password FROM users WHERE username = 'template'")[0][0]

    def start(self):
        settings = {
            "server.listen": f"unix:{self.socket}",
            "database.conninfo": self.conninfo(),
            "log.level": "warning",
            # The default differs between builds, and load.lua and openloop.c use this one.
            "session.cookie_name": "onesession",
            **self.settings,
        }
        conf = write_conf(self.bench.home.path / f"{self.name}.conf", settings)
        self.launch([self.bin / "onesessiond", "-c", conf], env=self.env)

    def log_in(self, user):
        return sign_in(
            self.bench.web.port, self.name, "/session/login", as_json=True, username=user, password=PASSWORD
        )

    def verify(self, one_session=True):
        for path in ("/session/auth", "/session/me", "/page"):
            self.require(path, f"onesession={token(1)}", "u1")
            self.require(path, None, None)
            self.require(path, "onesession=" + "B" * 43, None)
        if one_session:
            # The last account is in no load.
            old, new = self.log_in(self.last_account), self.log_in(self.last_account)
            if self.require("/session/auth", old, None).get("session-reason") != "displaced":
                raise Failure("a displaced session does not get the reason displaced")
            self.require("/session/auth", new, self.last_account)

    @property
    def last_account(self):
        return self.bench.server.query(self.database, "SELECT username FROM users ORDER BY id DESC LIMIT 1")[0][0]


class Refusals(Service):
    """The daemon `of`, with a log of all answers that are not 401."""

    def __init__(self, bench, name, of):
        super().__init__(bench, name)
        self.of = of
        self.odd = bench.home.log / f"{name}.odd"

    @property
    def nginx(self):
        return f"access_log {self.odd} combined if=$is_odd;\n" + guard(self.bench, self.name, self.of.socket)

    @property
    def roots(self):
        return self.of.roots

    def start(self):
        if self.of.failure:
            raise Failure(self.of.failure)

    def verify(self):
        if self.ask("/session/auth")[0] != 401:
            raise Failure("a request without a cookie is not answered 401")
        self.require_no_odd()

    def require_no_odd(self):
        if self.odd.exists() and self.odd.stat().st_size:
            raise Failure(f"not all answers were 401: {tail(self.odd, lines=1)}")

    def stop(self):
        pass


class Django(Service):
    @property
    def nginx(self):
        site = f"location / {{ proxy_pass http://unix:{self.socket}:; proxy_set_header Host $host; }}"
        return site + "\n" + page(self.bench, "/auth")

    def _fill(self, env, folder):
        bench = self.bench
        bench.server.make(self.database)
        cookies = run(
            bench.home, ["/usr/bin/python3", "fill.py", bench.options.sessions, PASSWORD], "fill.py", env=env, cwd=folder
        )
        bench.cookies(self.name, cookies.split())
        bench.server.settle(self.database)

    def start(self):
        bench, folder = self.bench, self.bench.home.app / "django"
        env = bench.home.environment(
            BENCH_DATABASE=self.database,
            BENCH_ROLE=bench.server.DAEMON,
            BENCH_DATABASE_HOST=bench.home.sockets,
            BENCH_TOKEN=PROGRAM_TOKEN,
        )
        if self.owns_database:
            self._fill(env, folder)
        self.launch(
            ["/usr/bin/python3", "-m", "gunicorn", f"--workers={bench.options.workers}", "--worker-class=sync"]
            + [f"--bind=unix:{self.socket}", "--log-level=warning", "wsgi"],
            env=env,
            cwd=folder,
        )

    def log_in(self, user):
        return sign_in(self.bench.web.port, self.name, name="sessionid", username=user, password=PASSWORD)

    def live(self, cookies):
        """By rows, for each request of a session displaces the others."""
        return self.rows("django_session", "session_key", cookies)

    def verify(self):
        verify_own_cookies(self, self.bench.cookies(self.name), "sessionid")
        old = self.log_in("u1")
        self.require("/auth", old, "u1")
        new = self.log_in("u1")
        # The middleware acts at the first request of the new session, and no sooner.
        self.require("/auth", new, "u1")
        self.require("/auth", old, None)
        self.require("/auth", new, "u1")
        # The load's list has a session of that account, which is replaced by the live one.
        self.bench.cookies(self.name, [new, *self.bench.cookies(self.name)[1:]])


def verify_own_cookies(service, cookies, name, path="/auth"):
    for number in (1, len(cookies)):
        service.require(path, cookies[number - 1], f"u{number}")
    service.require(path, None, None)
    service.require(path, f"{name}=" + "b" * 32, None)


class Php(Service):
    """The same tables and cookies as the daemon's."""

    @property
    def nginx(self):
        parameters = {
            "REQUEST_METHOD": "$request_method",
            "SCRIPT_NAME": "/auth.php",
            "SCRIPT_FILENAME": self.bench.home.app / "php/auth.php",
            "QUERY_STRING": "$query_string",
            "CONTENT_TYPE": "$content_type",
            "CONTENT_LENGTH": "$content_length",
            "REMOTE_ADDR": "$remote_addr",
            "REQUEST_ID": "$request_id",
        }
        lines = "".join(f"fastcgi_param {name} {value}; " for name, value in parameters.items())
        return f"location = /auth {{ fastcgi_pass unix:{self.socket}; {lines}}}"

    def start(self):
        bench = self.bench
        values = {
            "LOG": bench.home.log / "php.log",
            "SOCKET": self.socket,
            "WORKERS": bench.options.workers,
            "DSN": f"pgsql:host={bench.home.sockets};dbname={bench.main.database};user={bench.server.DAEMON}",
        }
        text = filled("php/php-fpm.conf.in", values)
        self.launch([program("php-fpm*"), "--nodaemonize", "--fpm-config", bench.home.file("php-fpm.conf", text)])

    def verify(self):
        for number in (1, self.bench.options.sessions):
            self.require("/auth", f"onesession={token(number)}", f"u{number}")
        self.require("/auth", None, None)
        main = self.bench.main
        old, new = main.log_in(main.last_account), main.log_in(main.last_account)
        self.require("/auth", old, None)
        self.require("/auth", new, main.last_account)


class Express(Service):
    @property
    def nginx(self):
        return proxied(self.name) + "\n" + page(self.bench, "/auth")

    @property
    def upstream(self):
        return f"unix:{self.socket}"

    def _make_database(self, folder):
        bench, modules = self.bench, BUILD / "bench/npm/node_modules"
        shutil.copytree(modules, folder / "node_modules", symlinks=True)
        bench.server.make(self.database)
        bench.server.query(
            self.database,
            f"SET ROLE {bench.server.DAEMON};" + (modules / "connect-pg-simple/table.sql").read_text(),
        )

    def start(self):
        bench, folder = self.bench, self.bench.home.app / "express"
        if self.owns_database:
            self._make_database(folder)
        self.launch(
            [program("node"), "server.js"],
            cwd=folder,
            env=bench.home.environment(
                NODE_ENV="production",
                BENCH_SOCKET=self.socket,
                BENCH_DATABASE=self.database,
                BENCH_ROLE=bench.server.DAEMON,
                BENCH_DATABASE_HOST=bench.home.sockets,
                # As many connections as the others have, for all processes together.
                BENCH_POOL=max(bench.options.workers // os.cpu_count(), 1),
                BENCH_PASSWORD=PASSWORD,
                BENCH_TOKEN=PROGRAM_TOKEN,
            ),
        )

    def log_in(self, user):
        return sign_in(self.bench.web.port, self.name, name="connect.sid", username=user, password=PASSWORD)

    def verify(self):
        cookies = [self.log_in(f"u{number + 1}") for number in range(self.bench.options.sessions)]
        verify_own_cookies(self, cookies, "connect.sid")
        old, cookies[0] = cookies[0], self.log_in("u1")
        self.require("/auth", old, None)
        self.require("/auth", cookies[0], "u1")
        self.bench.cookies(self.name, cookies)
        self.bench.server.settle(self.name)


class PortService(Service):
    """A web server of its own port on the loopback, which nginx passes requests on to with persistent connections."""

    def __init__(self, bench, name, database=None):
        super().__init__(bench, name, database)
        self.port = free_port()

    @property
    def nginx(self):
        return proxied(self.name)

    @property
    def upstream(self):
        return f"127.0.0.1:{self.port}"

    def _can_connect(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            return True
        except OSError:
            return False


def proxied(upstream):
    return (
        f"location / {{ proxy_pass http://{upstream}; proxy_http_version 1.1; proxy_set_header Connection '';"
        " proxy_set_header Host $host; }"
    )


# ---- nginx -----------------------------------------------------------------------------------------------------------

NGINX_CONF = """
daemon off;
worker_processes 1;
pid %(home)s/nginx.pid;
error_log %(log)s warn;
events { worker_connections 4096; }
http {
	access_log off;
	# What places require beside a session: nothing.
	map "" $session_place { default live; }
	# For the service whose answers all have to be refusals. When it ends, wrk does not wait for the last answers (499).
	map $status $is_odd { 401 0; 499 0; default 1; }
	keepalive_requests 1000000000;
	keepalive_timeout 600s;
	client_body_temp_path %(tmp)s/body;
	fastcgi_temp_path %(tmp)s/fastcgi;
	proxy_temp_path %(tmp)s/proxy;
	scgi_temp_path %(tmp)s/scgi;
	uwsgi_temp_path %(tmp)s/uwsgi;
%(servers)s
}
"""


class Web:
    """The one nginx, with a server { } for each service, distinguished by name."""

    def __init__(self, bench):
        self.bench = bench
        self.log = bench.home.log / "nginx.log"
        self.process = None
        self.port = None

    def _configuration(self, services):
        parts = []
        for service in services:
            if hasattr(service, "upstream"):
                parts.append(f"upstream {service.name} {{ server {service.upstream}; keepalive 128; }}")
            parts.append(
                f"server {{\n\tlisten 127.0.0.1:{self.port};\n\tserver_name {service.name};\n\t{service.nginx}\n}}"
            )
        home = self.bench.home
        return NGINX_CONF % {
            "home": home.path,
            "log": self.log,
            "tmp": home.tmp,
            "servers": "\n".join(parts),
        }

    def start(self, services):
        for _ in range(10):
            self.port = free_port()
            conf = self.bench.home.file("nginx.conf", self._configuration(services))
            self.process = start(
                self.bench.home, "nginx", [program("nginx"), "-p", self.bench.home.path, "-c", conf, "-e", self.log]
            )
            if wait_until(lambda: self._answers() or self.process.poll() is not None, "nginx to start"):
                if self.process.poll() is None:
                    return
            if "Address already in use" not in self.log.read_text():
                break
        raise Failure(f"nginx ended: {tail(self.log)[-600:]}")

    def _answers(self):
        try:
            return self.process.poll() is None and ask(self.port, "nginx", "/")[0] == 200
        except Failure:
            return False

    @property
    def roots(self):
        return [self.process.pid] if self.process is not None else []

    def stop(self):
        if self.process is not None:
            end(self.process)
            self.process = None

"""
What the tests run: PostgreSQL, onesessiond, onesessionctl and nginx, each a child of the test process, on sockets and
in folders of their own. Whatever is started here is ended by its process id, and ends too when the tests are killed.
"""

import ctypes
import glob
import json
import os
import pwd
import re
import secrets as random_source
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path

import psycopg2
import psycopg2.errors
import psycopg2.extensions

import fastcgi
from waiting import PATIENCE, wait_until

ROOT = Path(__file__).resolve().parents[2]
BUILD = (ROOT / os.environ.get("ONESESSION_BUILD", "build")).resolve()
KEEP = bool(os.environ.get("ONESESSION_KEEP"))
# Bytes: what the servers of all processes that run tests may come to, and as much again.
MEMORY_WANTED = 8 << 30

SANITIZER_REPORT = re.compile(r"ERROR: \w*Sanitizer|runtime error:|LeakSanitizer|WARNING: \w*Sanitizer")

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def end_with_parent(signal_number):
    """
    For a child between fork and exec: it gets that signal when the test process dies. To the kernel the parent is the
    thread that forked: start only from the main one what is to outlive a thread.
    """
    mask = [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP]

    def prepare():
        LIBC.prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, mask)

    return prepare


def spawn(command, log, death_signal=signal.SIGTERM, **kwargs):
    """A child whose standard error and output go to the file `log`."""
    with open(log, "ab") as output:
        return subprocess.Popen(
            [str(word) for word in command],
            stdin=kwargs.pop("stdin", subprocess.DEVNULL),
            stdout=output,
            stderr=output,
            preexec_fn=end_with_parent(death_signal),
            **kwargs,
        )


def end(process, signals=(signal.SIGTERM,), patience=PATIENCE):
    """End a child, with KILL when it does not heed `signals`. Returns its exit status."""
    for number in (*signals, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(number)
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    return process.wait()


def scratch(name, folder=None):
    """A folder with a path so short that sockets fit below it."""
    path = Path(tempfile.mkdtemp(prefix=f"ones-{name}-", dir=folder))
    path.chmod(0o755)
    return path


def memory_folder():
    """Where files are in memory, if this machine has room for them. Databases are made and dropped much faster there."""
    path = Path("/dev/shm")
    has_room = path.is_dir() and os.access(path, os.W_OK) and shutil.disk_usage(path).free >= MEMORY_WANTED
    return path if has_room else None


def discard(path):
    if not KEEP:
        shutil.rmtree(path, ignore_errors=True)


def free_port(host="127.0.0.1"):
    """A port that nothing listens on at this moment. Whoever uses it must bear that it has been taken since."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


# ---- Processes as the kernel shows them ------------------------------------------------------------------------------


def stat_of(pid):
    """The fields of /proc/PID/stat after the name; None when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_alive(pid):
    fields = stat_of(pid)
    return fields is not None and fields[0] not in "ZX"


# The name of the process that hashes passwords, and of the fallback worker.
HASHER, FALLBACK = "ones-hasher", "ones-fallback"
# So begin the names of all but the master and its workers, which have the program's own.
HELPER = "ones-"


def name_of(pid):
    """As ps shows it; None when there is no such process."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return None


def children_of(pid):
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = stat_of(entry)
            if fields is not None and int(fields[1]) == pid and fields[0] not in "ZX":
                found.append(int(entry))
    return sorted(found)


def processes_with(argument):
    """Those that have `argument`, which has to be unlike any other, on their command line."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            arguments = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(argument).encode() in arguments:
            found.append(int(entry))
    return found


def cpu_seconds(pid):
    fields = stat_of(pid)
    return 0.0 if fields is None else (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid):
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0


def uids_of(pid):
    """Real, effective, saved and file system user ids."""
    match = re.search(r"^Uid:\s+(.*)$", Path(f"/proc/{pid}/status").read_text(), re.M)
    return [int(word) for word in match[1].split()]


# ---- PostgreSQL ------------------------------------------------------------------------------------------------------


class Cluster:
    """A private PostgreSQL without a TCP port."""

    OWNER, DAEMON = "ones_owner", "ones_daemon"

    def __init__(self, folder=None):
        """Its files are below `folder`, its sockets where temporary files are."""
        self.folder = scratch("pg", folder)
        self.sockets = self.folder if folder is None else scratch("pg")
        self.data = self.folder / "data"
        self.log = self.folder / "log"
        self.log.touch()
        self.process = None
        self.count = 0
        # The server refuses to run as root.
        self.user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if self.user:
            account = pwd.getpwnam("postgres")
            for path in {self.folder, self.sockets}:
                os.chown(path, account.pw_uid, account.pw_gid)
        self.superuser = "postgres"

    @staticmethod
    def program(name):
        found = sorted(
            glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), key=lambda path: int(path.split("/")[4]), reverse=True
        )
        return found[0] if found else shutil.which(name)

    def create(self):
        subprocess.run(
            [self.program("initdb"), "-D", self.data, "-U", self.superuser, "-A", "trust", "-E", "UTF8"]
            + ["--locale=C.UTF-8", "--no-sync", "--no-instructions"],
            check=True,
            capture_output=True,
            **self.user,
        )
        settings = {
            "listen_addresses": "''",
            "unix_socket_directories": f"'{self.sockets}'",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "autovacuum": "off",
            "max_connections": "200",
            "shared_buffers": "16MB",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "checkpoint_timeout": "1h",
            "max_wal_size": "128MB",
            "log_line_prefix": "'%m %d %u %p '",
            "timezone": "UTC",
        }
        self.set(settings)

    def set(self, settings):
        """At the next start; what is set later wins."""
        with open(self.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            for name, value in settings.items():
                conf.write(f"{name} = {value}\n")

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def start(self):
        assert not self.is_running
        assert threading.current_thread() is threading.main_thread(), "see end_with_parent()"
        self.process = spawn(
            [self.program("postgres"), "-D", self.data], self.log, death_signal=signal.SIGQUIT, **self.user
        )
        wait_until(self._answers, f"PostgreSQL to start:\n{tail(self.log)}")

    def _answers(self):
        assert self.process.poll() is None, f"PostgreSQL ended:\n{tail(self.log)}"
        try:
            self.connect("postgres").close()
            return True
        except psycopg2.OperationalError:
            return False

    def stop(self):
        if self.process is not None:
            end(self.process, (signal.SIGINT, signal.SIGQUIT))
            self.process = None

    def remove(self):
        self.stop()
        discard(self.folder)
        discard(self.sockets)

    def conninfo(self, database, role):
        return f"host={self.sockets} dbname={database} user={role}"

    def connect(self, database, role=None):
        connection = psycopg2.connect(self.conninfo(database, role or self.superuser), connect_timeout=5)
        connection.autocommit = True
        return connection

    def execute(self, sql):
        connection = self.connect("postgres")
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
        finally:
            connection.close()

    def backends(self, database, role=DAEMON):
        """The process ids of the sessions that a role has in a database."""
        connection = self.connect("postgres")
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pid FROM pg_stat_activity WHERE datname = %s AND usename = %s ORDER BY pid",
                    (database, role),
                )
                return [row[0] for row in cursor.fetchall()]
        finally:
            connection.close()

    def terminate_backends(self, database, role=DAEMON):
        for pid in self.backends(database, role):
            self.execute(f"SELECT pg_terminate_backend({pid})")


class Database:
    """One database of the cluster, and the few things that tests look up and change in it."""

    # Everybody's password, unless a test sets another one.
    password = "correct horse battery staple"

    def __init__(self, cluster, name):
        self.cluster = cluster
        self.name = name
        self._connection = None

    @property
    def conninfo(self):
        """As the daemon connects: by a role that may do what serving takes."""
        return self.cluster.conninfo(self.name, self.cluster.DAEMON)

    @property
    def owner_conninfo(self):
        """As operators connect."""
        return self.cluster.conninfo(self.name, self.cluster.OWNER)

    def connect(self, role=None):
        return self.cluster.connect(self.name, role or self.cluster.OWNER)

    def query(self, sql, *values):
        """All rows."""
        if self._connection is not None and self._connection.closed:
            self._connection = None
        if self._connection is None:
            self._connection = self.connect()
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(sql, values or None)
                return cursor.fetchall() if cursor.description else []
        except psycopg2.OperationalError:
            # The server has been restarted by the test.
            self._connection.close()
            self._connection = None
            raise

    def value(self, sql, *values):
        return self.query(sql, *values)[0][0]

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def drop(self):
        self.close()
        if not self.cluster.is_running:
            self.cluster.start()
        self.cluster.execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')

    def add_user(self, name, limit=None):
        """An account with everybody's password, without the cost of hashing it."""
        return self.value(
            "INSERT INTO users (username, password, session_limit)"
            " SELECT %s, password, %s FROM users WHERE username = 'alice' RETURNING id",
            name,
            limit,
        )

    def user_id(self, name):
        return self.value("SELECT id FROM users WHERE username = %s", name)

    def sessions(self, username="alice"):
        """Public ids of the rows of an account, oldest login first."""
        rows = self.query(
            "SELECT s.id::text FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.username = %s"
            " ORDER BY s.login_order",
            username,
        )
        return [row[0] for row in rows]

    def stored_key(self, username="alice"):
        rows = self.query(
            "SELECT l.session_key FROM logged_in_user l JOIN users u ON u.id = l.user_id WHERE u.username = %s",
            username,
        )
        return bytes(rows[0][0]) if rows and rows[0][0] is not None else None

    def last_seen_at(self, session_id):
        return self.value("SELECT last_seen_at FROM sessions WHERE id = %s", session_id)

    def make_stale(self, session_id, interval="10 minutes"):
        """As if the session had been seen last that long ago."""
        self.query("UPDATE sessions SET last_seen_at = now() - %s::interval WHERE id = %s", interval, session_id)

    def ended(self, session_id):
        """The reason in ended_sessions, or None."""
        rows = self.query("SELECT reason FROM ended_sessions WHERE id = %s", session_id)
        return rows[0][0] if rows else None


def database_with_template(cluster):
    """Migrate a database and put the accounts in that all tests use; each test's own is a copy of it."""
    for role in (cluster.OWNER, cluster.DAEMON):
        cluster.execute(f"CREATE ROLE {role} LOGIN")
    cluster.execute(f"CREATE DATABASE template_ones OWNER {cluster.OWNER}")
    template = Database(cluster, "template_ones")
    ctl = Ctl(template.owner_conninfo)
    ctl.run("migrate", "--grant", cluster.DAEMON)
    for name in ("alice", "bob", "dora"):
        ctl.run("user", "add", name, stdin=template.password + "\n")
    ctl.run("user", "disable", "dora")
    template.close()


def new_database(cluster, template="template_ones"):
    cluster.count += 1
    name = f"t{cluster.count}"
    cluster.execute(f"CREATE DATABASE {name} OWNER {cluster.OWNER} TEMPLATE {template}")
    return Database(cluster, name)


# ---- Our programs ----------------------------------------------------------------------------------------------------

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

    def start(self, command=None, wait="/session/ready", **kwargs):
        """Start it, and wait until it answers 200 to `wait` (None: do not wait)."""
        self.process = spawn(command or self.command(), self.log, env=environment(), **kwargs)
        if wait is not None:
            wait_until(lambda: self._is_ready(wait), f"the daemon to answer {wait}:\n{self.log_text()}")
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

    def log_text(self):
        return self.log.read_text(errors="replace")

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


# ---- nginx -----------------------------------------------------------------------------------------------------------

# Stands for the application: it shows who nginx says is signed in.
APPLICATION = """
server {
	listen unix:%(folder)s/app.sock;
	location / {
		default_type text/plain;
		return 200 "page\\nuser=$http_remote_user\\nid=$http_remote_user_id\\nsession=$http_session_id\\n";
	}
}
"""

# Tells this nginx from another one on the same port.
WHO_IS_IT = """
server {
	listen 127.0.0.1:%(port)d;
	server_name %(name)s;
	location / { return 204; }
}
"""

NGINX_CONF = """
daemon off;
worker_processes 1;
pid %(folder)s/pid;
error_log %(folder)s/error.log warn;
events { worker_connections 512; }
http {
	access_log %(folder)s/access.log;
	client_body_temp_path %(folder)s/body;
	fastcgi_temp_path %(folder)s/fastcgi;
	proxy_temp_path %(folder)s/proxy;
	scgi_temp_path %(folder)s/scgi;
	uwsgi_temp_path %(folder)s/uwsgi;
	client_max_body_size 10m;
	include %(folder)s/site.conf;
%(more)s
}
"""


def unverified():
    """For TLS with a certificate that nobody has signed."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def shipped(path, changes):
    """
    A file below conf/ with addresses, ports and paths changed. Every change has to hit, or the tests would look at
    something else than what is shipped.
    """
    text = (ROOT / "conf" / path).read_text()
    for old, new in changes.items():
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in conf/{path}"
        text = text.replace(old, new)
    return text


class Nginx:
    """
    nginx with the configuration that the project ships, but for what `changes` of the site's file: where the files or
    the application are. Without it, nginx itself stands for the application. `certificate` holds a key, too, and makes
    it https.
    """

    def __init__(self, daemon_address, sample="proxied.conf", changes=None, certificate=None):
        self.folder = scratch("ng")
        self.log = self.folder / "error.log"
        self.log.touch()
        self.daemon_address = daemon_address
        self.sample = sample
        self.certificate = certificate
        self.changes = changes or {"http://127.0.0.1:8000": f"http://unix:{self.folder}/app.sock:"}
        self.cookie_name = "onesession"
        self.process = None
        self.port = None

    def _write_configuration(self, name):
        guard = self.folder / "onesession.conf"
        guard.write_text(
            shipped(
                "nginx/onesession.conf",
                {
                    "unix:/run/onesession/onesession.sock;": f"unix:{self.daemon_address};",
                    "onesession(?:_device)?=": f"{self.cookie_name}(?:_device)?=",
                },
            )
        )
        listen = f"\tlisten 127.0.0.1:{self.port} default_server;"
        if self.certificate is not None:
            listen = listen.replace(";", " ssl;") + "".join(
                f"\n\tssl_certificate{what} {self.certificate};" for what in ("", "_key")
            )
        changes = {
            "\tlisten 80;": listen,
            "/etc/nginx/snippets/onesession.conf": str(guard),
        }
        (self.folder / "site.conf").write_text(shipped(f"nginx/{self.sample}", {**changes, **self.changes}))
        more = (APPLICATION + WHO_IS_IT) % {"folder": self.folder, "port": self.port, "name": name}
        (self.folder / "nginx.conf").write_text(NGINX_CONF % {"folder": self.folder, "more": more})

    def start(self):
        for _ in range(10):
            self.port = free_port()
            name = "n" + random_source.token_hex(16)
            self._write_configuration(name)
            self.process = spawn(
                [shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin"), "-p", self.folder]
                + ["-c", self.folder / "nginx.conf", "-e", self.log],
                self.log,
            )
            if wait_until(lambda: self._answers(name) or self.process.poll() is not None, "nginx to start") is True:
                if self.process.poll() is None:
                    return self
            # The port went to somebody else in the meantime.
            assert "Address already in use" in self.log.read_text(), f"nginx ended:\n{tail(self.log)}"
        raise AssertionError("nginx found no port")

    def _answers(self, name):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                probe = connection if self.certificate is None else unverified().wrap_socket(connection)
                probe.sendall(f"GET / HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
                return probe.recv(100).startswith(b"HTTP/1.1 204")
        except OSError:
            return False

    @property
    def url(self):
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.port}"

    def close(self):
        try:
            if self.process is not None:
                end(self.process, (signal.SIGTERM,))
        finally:
            discard(self.folder)


class Site:
    """A whole installation: database, daemon and nginx."""

    def __init__(self, database, daemon, nginx):
        self.database, self.daemon, self.nginx = database, daemon, nginx
        self.url = nginx.url
        self.secrets = daemon.secrets

    def ctl(self, **settings):
        return Ctl(self.database.owner_conninfo, **settings)


# ---- Small things ----------------------------------------------------------------------------------------------------


def tail(path, lines=40, width=400):
    try:
        return "\n".join(line[:width] for line in Path(path).read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


class Background:
    """A call in a thread of its own; result() gives what it returned, or raises what it raised."""

    def __init__(self, call, *args, **kwargs):
        self._outcome = None
        self._error = None

        def run():
            try:
                self._outcome = call(*args, **kwargs)
            except BaseException as error:  # pylint: disable=broad-except
                self._error = error

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    @property
    def is_done(self):
        return not self._thread.is_alive()

    def result(self, timeout=PATIENCE):
        self._thread.join(timeout)
        assert self.is_done, "it has not come back"
        if self._error is not None:
            raise self._error
        return self._outcome

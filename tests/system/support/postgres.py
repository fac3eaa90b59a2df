"""A private PostgreSQL, and its databases as tests look into them."""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import threading

import psycopg2

from support.copies import Copies
from support.processes import discard, end, scratch, spawn, tail
from support.programs import Ctl
from support.waiting import wait_until


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
        self.copies = None  # see database_with_template()
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
        assert threading.current_thread() is threading.main_thread(), "see that_ends_with_parent()"
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

    def create_database(self, name, template):
        # For a small template files are copied faster than rows.
        self.execute(f"CREATE DATABASE {name} OWNER {self.OWNER} TEMPLATE {template} STRATEGY FILE_COPY")

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
        """They have gone when this is back: what is asked next does not meet one that is going."""
        for pid in self.backends(database, role):
            self.execute(f"SELECT pg_terminate_backend({pid}, 60000)")


class Database:
    """One database of the cluster, and the few things that tests look up and change in it."""

    # Everybody's password, unless a test sets another one.
    password = "correct horse battery staple"

    def __init__(self, cluster, name, is_copy=False):
        self.cluster = cluster
        self.name = name
        self.is_copy = is_copy
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

    def discard(self):
        """No test needs it any more: it is restored for the next one, or dropped."""
        self.close()
        if not self.cluster.is_running:
            self.cluster.start()
        if not (self.is_copy and self.cluster.copies.give_back(self.name)):
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

    def make_unproved(self, session_id, interval="10 minutes"):
        """As if its person had proved who they are that long ago, at the login."""
        self.query(
            "UPDATE sessions SET created_at = now() - %s::interval, proved_at = NULL WHERE id = %s",
            interval,
            session_id,
        )

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
    cluster.copies = Copies(cluster, template.name)


def new_database(cluster):
    """As database_with_template() has left its database."""
    return Database(cluster, cluster.copies.take(), is_copy=True)


def new_empty_database(cluster):
    """One that was never migrated."""
    cluster.count += 1
    database = Database(cluster, f"t{cluster.count}")
    cluster.create_database(database.name, "template0")
    return database

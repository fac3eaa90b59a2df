"""
What lies between several hosts: a PostgreSQL primary with a standby that follows it by streaming replication, and
pgbouncer. All on unix sockets in folders of their own, like everything here.
"""

import os
import shutil
import signal
import subprocess

import psycopg2

from support.copies import Copies
from support.postgres import Cluster, database_with_template
from support.processes import children_of, discard, end, memory_folder, scratch, spawn, tail
from support.waiting import wait_until


class Server(Cluster):
    """One of the two. What differs between them, and what tests change, stands in a file outside of the data."""

    def __init__(self):
        super().__init__(memory_folder())
        self.settings = {"unix_socket_directories": f"'{self.sockets}'"}
        self.is_paused = False

    def create(self):
        super().create()
        shared = {
            "wal_level": "replica",
            "max_wal_senders": "10",
            "wal_keep_size": "256MB",
            "synchronous_commit": "on",
            "hot_standby": "on",
            "wal_retrieve_retry_interval": "100ms",
            "autovacuum": "off",
        }
        self.set({**shared, "include": "'../own.conf'"})

    def start(self):
        self._write_settings()
        super().start()

    def _write_settings(self):
        text = "".join(f"{name} = {value}\n" for name, value in self.settings.items())
        (self.folder / "own.conf").write_text(text)

    def configure(self, **settings):
        """Set, or with None reset, what a reload is enough for, and wait until new sessions have it."""
        for name, value in settings.items():
            if value is None:
                self.settings.pop(name, None)
            else:
                self.settings[name] = f"'{value}'"
        self._write_settings()
        if self.is_running:
            self.process.send_signal(signal.SIGHUP)
            for name, value in settings.items():
                if value is not None:
                    wait_until(
                        lambda name=name, value=value: self.value(f"SHOW {name}") == value, f"{name} to be {value}"
                    )

    def follow(self, primary):
        """Become a fresh copy of `primary`, and its standby from now on."""
        self.kill()
        shutil.rmtree(self.data, ignore_errors=True)
        subprocess.run(
            [self.program("pg_basebackup"), "-D", self.data, "-R", "-X", "stream", "-c", "fast", "--no-sync"]
            + ["-d", f"{primary.conninfo('postgres', self.superuser)} application_name=standby"],
            check=True,
            capture_output=True,
            **self.user,
        )
        self.configure(synchronous_standby_names=None)
        self.start()

    def promote(self):
        assert self.value("SELECT pg_promote(true, 60)") is True

    def kill(self):
        """An immediate end, without a word to the standby or a checkpoint."""
        if self.process is not None:
            self._signal(signal.SIGQUIT)
            self.go_on()
            self.process.wait()
            self.process = None

    def _all(self):
        """The postmaster, so that nobody is started meanwhile, and then its children."""
        return [self.process.pid, *children_of(self.process.pid)]

    def _signal(self, number):
        for pid in self._all():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def pause(self):
        """As when the machine hangs or the network is cut: connections are there, but nothing ever answers."""
        self.process.send_signal(signal.SIGSTOP)
        self._signal(signal.SIGSTOP)
        self.is_paused = True

    def go_on(self):
        if self.is_paused:
            self._signal(signal.SIGCONT)
            self.is_paused = False

    def stop(self):
        self.go_on()
        super().stop()

    def rows(self, sql, database="postgres"):
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def value(self, sql, database="postgres"):
        return self.rows(sql, database)[0][0]


class Pair:
    """Two servers, one of which is the primary. To Database it is a cluster that is wherever the primary is."""

    OWNER, DAEMON = Cluster.OWNER, Cluster.DAEMON

    def __init__(self):
        self.servers = (Server(), Server())
        self.primary, self.standby = self.servers
        self.superuser = self.primary.superuser
        self.count = 0
        self.copies = None

    def create(self):
        self.primary.create()
        self.primary.start()
        database_with_template(self.primary)
        # Of whichever is the primary.
        self.copies = Copies(self, self.primary.copies.template)
        self.heal()

    def remove(self):
        for server in self.servers:
            server.remove()

    @property
    def is_running(self):
        return self.primary.is_running

    @property
    def process(self):
        return self.primary.process

    def start(self):
        self.primary.start()

    def conninfo(self, database, role):
        """As the guide says it: both servers, and only the one that takes writes is of use."""
        hosts = ",".join(str(server.sockets) for server in self.servers)
        return f"host={hosts} target_session_attrs=read-write dbname={database} user={role}"

    def connect(self, database, role=None):
        return self.primary.connect(database, role)

    def execute(self, sql):
        self.primary.execute(sql)

    def create_database(self, name, template):
        self.primary.create_database(name, template)

    def is_synchronous(self):
        return self.primary.rows("SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'") == [("sync",)]

    def is_streaming(self):
        return self.primary.rows("SELECT state FROM pg_stat_replication") == [("streaming",)]

    def heal(self):
        """Whatever the test before did: a primary, and a standby without which it confirms no commit."""
        self.primary.go_on()
        if not self.primary.is_running:
            self.primary.start()
        self.standby.go_on()
        for server in self.servers:
            server.configure(default_transaction_read_only=None)
        follows = self.standby.is_running and self.standby.value("SELECT pg_is_in_recovery()")
        if not follows or not self.is_streaming():
            self.primary.configure(synchronous_standby_names="")
            self.standby.follow(self.primary)
        self.primary.configure(synchronous_standby_names="*")
        wait_until(self.is_synchronous, f"the standby to follow:\n{tail(self.standby.log)}")

    def promote(self):
        """The standby becomes the primary, whatever the old one is doing; rejoin() and heal() make that one follow."""
        self.standby.configure(synchronous_standby_names="")
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def rejoin(self):
        """The server that was the primary comes back as a standby, while everything runs."""
        self.standby.follow(self.primary)
        self.primary.configure(synchronous_standby_names="*")
        wait_until(self.is_synchronous, f"the standby to follow:\n{tail(self.standby.log)}")

    def lose_standby(self):
        """From now on no commit is confirmed."""
        self.standby.stop()
        wait_until(lambda: not self.is_streaming(), "the primary to notice")

    def waiting_commits(self, database):
        """The process ids of the daemons' sessions that wait for the standby to confirm a commit."""
        return [
            row[0]
            for row in self.primary.rows(
                f"SELECT pid FROM pg_stat_activity WHERE datname = '{database}' AND wait_event = 'SyncRep'"
                f" AND usename = '{self.DAEMON}'"
            )
        ]


class Bouncer:
    """pgbouncer with transaction pooling in front of a cluster."""

    def __init__(self, cluster, **settings):
        self.cluster = cluster
        self.folder = scratch("pb")
        self.log = self.folder / "log"
        self.log.touch()
        self.process = None
        self.settings = {
            "pool_mode": "transaction",
            "default_pool_size": "2",
            "max_client_conn": "100",
            "server_login_retry": "1",
            "query_wait_timeout": "10",
            **{name: str(value) for name, value in settings.items()},
        }

    def start(self):
        text = f"[databases]\n* = host={self.cluster.sockets}\n[pgbouncer]\n"
        fixed = {
            "listen_port": "6432",
            "unix_socket_dir": self.folder,
            "auth_type": "trust",
            "auth_file": self.folder / "users",
            "admin_users": self.cluster.superuser,
        }
        text += "".join(f"{name} = {value}\n" for name, value in {**fixed, **self.settings}.items())
        (self.folder / "ini").write_text(text)
        roles = (self.cluster.OWNER, self.cluster.DAEMON, self.cluster.superuser)
        (self.folder / "users").write_text("".join(f'"{role}" ""\n' for role in roles))
        if self.cluster.user:
            # Like the server, it refuses to run as root.
            shutil.chown(self.folder, self.cluster.user["user"])
        self.process = spawn(
            [shutil.which("pgbouncer", path="/usr/sbin:/usr/bin"), self.folder / "ini"], self.log, **self.cluster.user
        )
        wait_until(self._answers, f"pgbouncer to start:\n{tail(self.log)}")
        return self

    def _answers(self):
        assert self.process.poll() is None, f"pgbouncer ended:\n{tail(self.log)}"
        try:
            self.show("VERSION")
            return True
        except psycopg2.OperationalError:
            return False

    def conninfo(self, database, role):
        return f"host={self.folder} port=6432 dbname={database} user={role}"

    def show(self, what):
        """The rows of a SHOW of its console, by the names of their columns."""
        connection = psycopg2.connect(self.conninfo("pgbouncer", self.cluster.superuser), connect_timeout=5)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"SHOW {what}")
                names = [column.name for column in cursor.description or ()]
                return [dict(zip(names, row)) for row in cursor.fetchall()] if names else []
        finally:
            connection.close()

    def close(self):
        try:
            if self.process is not None:
                end(self.process, (signal.SIGINT, signal.SIGTERM))
        finally:
            discard(self.folder)

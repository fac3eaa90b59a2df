"""Requests that wait in the database: tables and rows that a test holds, and workers that are all busy."""

import itertools

import pytest

from support.client import JSON
from support.rows import put_session
from support.waiting import Background, wait_until


class HeldTable:
    """
    What needs that table waits in the database until it is let go: `sessions`, and look-ups do; `events`, and handlers
    that write do.
    """

    def __init__(self, database, table="sessions", mode="ACCESS EXCLUSIVE"):
        self.connection = database.connect()
        with self.connection.cursor() as cursor:
            cursor.execute(f"BEGIN; LOCK TABLE {table} IN {mode} MODE")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.let_go()

    def let_go(self):
        self.connection.close()


# A request can wait there for its session to be looked up, when its worker takes others, or in its handler.
LOOK_UP = ("sessions", {"path": "/session/auth"}, 200)
HANDLER = ("events", {"method": "POST", "path": "/session/logout"}, 204)
# Each: the table to hold, the request that waits for it then, and what that is answered in the end.
EITHER_WAY = pytest.mark.parametrize("waiting", [LOOK_UP, HANDLER], ids=["look-up", "handler"])


def waits_in_database(database, count=1):
    """That many of the daemon's connections wait for a lock."""
    watcher = database.cluster.connect("postgres")
    try:
        with watcher.cursor() as cursor:

            def is_so():
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND usename = %s"
                    " AND wait_event_type = 'Lock'",
                    (database.name, database.cluster.DAEMON),
                )
                return cursor.fetchone()[0] >= count

            wait_until(is_so, "the request to wait in the database")
    finally:
        watcher.close()


NUMBERS = itertools.count()


def somebody_signed_in(database):
    """The header field of somebody else each time."""
    number = next(NUMBERS)
    database.add_user(f"somebody{number}")
    put_session(database, f"somebody{number}", f"{number:043d}")
    return {"Cookie": f"onesession={number:043d}"}


class AllBusy:
    """Every worker waits in the database to sign somebody out, as long as this lasts; `calls` are those requests."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.calls = []
        self.table = None

    def __enter__(self):
        database = self.daemon.database
        signed_in = [somebody_signed_in(database) for _ in range(int(self.daemon.settings["server.workers"]))]
        self.table = HeldTable(database, "events")
        for one in signed_in:
            # One after the other: who waits takes no more.
            headers = {**JSON, **one}
            self.calls.append(
                Background(self.daemon.ask, method="POST", path="/session/logout", headers=headers, timeout=120)
            )
            waits_in_database(database, len(self.calls))
        return self

    def __exit__(self, *_):
        self.let_go()

    def let_go(self):
        self.table.let_go()


# Time enough for a worker to stay in the database for as long as a test wants.
PATIENT = {"database.statement_timeout": "120s", "server.request_timeout": "120s", "server.shutdown_timeout": "120s"}


class HeldRow:
    """Some of a table's rows, held by the test: whoever wants to change them waits for it."""

    def __init__(self, site, table):
        self.table = table
        self.connection = site.database.connect()
        self.connection.autocommit = False
        self.do(f"SELECT FROM {table} FOR UPDATE")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def do(self, sql):
        with self.connection.cursor() as cursor:
            cursor.execute(sql)

    def let_go(self):
        self.connection.commit()

"""Which schemas are served, and who may change them."""

import re

import pytest

from support.client import UNKNOWN
from support.programs import NOT_LISTENING
from support.waiting import wait_until


def does_not_serve(daemon, word):
    """It says what is wrong with the schema, and answers nothing but that."""
    daemon.start(wait=None)
    wait_until(lambda: "schema" in daemon.log_text() or daemon.process.poll() is not None, "a word about the schema")

    def refuses():
        if daemon.process.poll() is not None:
            assert daemon.process.returncode == 1
            return True
        try:
            return daemon.ask(headers=UNKNOWN).status == 503 and daemon.ask(path="/session/ready").status == 503
        except NOT_LISTENING:
            return False

    wait_until(refuses, "the daemon to refuse")
    assert re.search(rf"schema.*{word}", daemon.log_text()), daemon.log_text()


def newest_version(database):
    return database.value("SELECT max(version) FROM schema_migrations")


def test_newer_schema_is_not_served(database, new_daemon):
    version = newest_version(database)
    database.query("INSERT INTO schema_migrations (version, name) VALUES (%s, 'future')", version + 1)
    does_not_serve(new_daemon(), str(version + 1))


def test_older_schema_is_not_served(database, new_daemon):
    database.query("DELETE FROM schema_migrations WHERE version = %s", newest_version(database))
    does_not_serve(new_daemon(), "migrate")


def test_database_that_was_never_migrated_is_not_served(empty_database, new_daemon):
    does_not_serve(new_daemon(on=empty_database), "migrate")


def test_schema_that_changes_under_the_daemon_is_not_served(cluster, database, new_daemon):
    daemon = new_daemon().start()
    version = newest_version(database)
    database.query("INSERT INTO schema_migrations (version, name) VALUES (%s, 'future')", version + 1)
    cluster.terminate_backends(database.name)
    wait_until(lambda: daemon.ask(headers=UNKNOWN).status == 503, "the daemon to notice")
    database.query("DELETE FROM schema_migrations WHERE version = %s", version + 1)
    wait_until(lambda: daemon.ask(headers=UNKNOWN).status == 401, "the daemon to serve again")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (x int)",
        "ALTER TABLE sessions ADD COLUMN mine int",
        "DROP TABLE events",
        "TRUNCATE sessions",
        "CREATE INDEX ON sessions (ip)",
        "DELETE FROM schema_migrations",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER SEQUENCE login_order RESTART",
    ],
)
def test_role_of_the_daemon_cannot_change_the_schema(database, statement):
    """All other tests run with this role: so it needs no more than that."""
    connection = database.connect(role=database.cluster.DAEMON)
    try:
        with connection.cursor() as cursor, pytest.raises(Exception, match="permission denied|must be owner"):
            cursor.execute(statement)
    finally:
        connection.close()


def test_every_table_and_column_says_what_it_is(database):
    silent = database.query(
        "SELECT c.relname, a.attname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        "  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " WHERE n.nspname = 'public' AND c.relkind = 'r'"
        "   AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid, 'pg_class') IS NULL)"
    )
    assert silent == []

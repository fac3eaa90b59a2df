"""onesessionctl where the database is away, or lets its role read only: one line that says so, and nothing is changed."""

import pytest

from support.programs import Ctl

ID = "00112233-4455-6677-8899-aabbccddeeff"
PASSWORD = "a horse of many batteries\n"

CHANGES = [
    ["user", "add", "erin"],
    ["user", "passwd", "alice"],
    ["user", "disable", "alice"],
    ["user", "enable", "dora"],
    ["user", "limit", "alice", "3"],
    ["user", "exempt", "alice"],
    ["user", "rename", "alice", "erin"],
    ["user", "set", "alice", "--admin", "yes"],
    ["user", "unlock", "alice"],
    ["user", "delete", "alice"],
    ["user", "delete", "alice", "--erase"],
    ["session", "end", "--user", "alice"],
    ["session", "end", "--all"],
    ["session", "end", ID],
    ["purge"],
]
LOOKS = [["user", "show", "alice"], ["session", "list", "--user", "alice"], ["session", "history", "alice"], ["events"], ["sharing"]]


def state_of(database):
    return database.query(
        "SELECT username, password, is_active, session_limit, (SELECT count(*) FROM sessions s WHERE s.user_id = u.id),"
        " (SELECT count(*) FROM events) FROM users u ORDER BY id"
    )


@pytest.fixture
def reader(cluster, database):
    """onesessionctl by a role that may read everything and change nothing, on a database with a session to end."""
    role = "ones_reader"
    cluster.execute(
        f"DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    database.query(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    database.query(
        "INSERT INTO sessions (id, session_key, user_id, expires_at)"
        " SELECT %s, sha256('x'), id, now() - interval '1 day' FROM users WHERE username = 'alice'",
        ID,
    )
    return Ctl(cluster.conninfo(database.name, role))


@pytest.mark.parametrize("words", CHANGES, ids=" ".join)
def test_role_that_may_only_read_changes_nothing(reader, database, words):
    before = state_of(database)
    said = reader.refused(*words, stdin=PASSWORD)
    assert "permission denied" in said
    assert state_of(database) == before


def test_role_that_may_only_read_can_look(reader):
    assert "alice" in reader.run("user", "list")
    assert "alice" in reader.run("user", "show", "alice")
    assert reader.json("session", "list") == []


def test_import_by_a_role_that_may_only_read_changes_nothing(reader, database, tmp_path):
    before = state_of(database)
    hashes = tmp_path / "hashes"
    hashes.write_text("erin:$2y$05$" + "./" * 26 + "A\n")
    done = reader.call("import", "htpasswd", hashes)
    assert done.returncode == 1
    assert "permission denied" in done.stderr
    assert state_of(database) == before


@pytest.mark.parametrize("words", CHANGES + LOOKS, ids=" ".join)
@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["people", "json"])
def test_database_that_is_away_is_told_whatever_was_asked(tmp_path, as_json, words):
    assert "database" in Ctl(f"host={tmp_path} dbname=x").refused(*as_json, *words, stdin=PASSWORD)

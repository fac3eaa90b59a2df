"""onesessionctl, for operators and their scripts."""

import json
import subprocess

import pytest

from support.browser import problem
from support.processes import BUILD, ROOT
from support.programs import Ctl, environment, write_conf
from support.rows import apply_up_to, put_session
from support.waiting import TIME, Background

PASSWORD = "a good long password"
NOBODY = "00000000-0000-4000-8000-000000000000"


# ---- migrate ---------------------------------------------------------------------------------------------------------


def schema_of(database):
    """Everything that the schema consists of, in a form that can be compared."""
    return database.query(
        "SELECT table_name, column_name, data_type, column_default, is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'public' ORDER BY 1, 2"
    ) + database.query("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1")


def versions():
    """What the files of schema/ are numbered."""
    return sorted(int(path.name.split("_")[0]) for path in (ROOT / "schema").glob("*.sql"))


def test_migrate_makes_the_schema_and_a_second_time_changes_nothing(empty_database):
    ctl = Ctl(empty_database.owner_conninfo)
    assert ctl.run("migrate")
    first = schema_of(empty_database)
    applied = empty_database.query("SELECT * FROM schema_migrations ORDER BY version")
    assert {row[0] for row in first} >= {"users", "logged_in_user", "sessions", "ended_sessions", "events"}
    assert [row[0] for row in applied] == versions()
    assert ctl.run("migrate")
    assert schema_of(empty_database) == first
    assert empty_database.query("SELECT * FROM schema_migrations ORDER BY version") == applied


def test_migrate_by_many_at_once_applies_each_once(empty_database):
    ctl = Ctl(empty_database.owner_conninfo)
    calls = [Background(ctl.call, "migrate") for _ in range(8)]
    assert [call.result().returncode for call in calls] == [0] * 8
    applied = empty_database.query("SELECT version FROM schema_migrations ORDER BY version")
    assert [row[0] for row in applied] == versions()


def test_migrate_leaves_what_is_there_alone(database):
    before = database.query("SELECT id, username, password FROM users ORDER BY id")
    Ctl(database.owner_conninfo).run("migrate")
    assert database.query("SELECT id, username, password FROM users ORDER BY id") == before


def test_migrate_that_fails_changes_nothing(empty_database):
    """Each migration is applied whole or not at all."""
    empty_database.query("CREATE TABLE events (x int)")
    ctl = Ctl(empty_database.owner_conninfo)
    done = ctl.call("migrate")
    assert done.returncode == 1 and done.stderr
    tables = empty_database.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert set(tables) <= {("events",), ("schema_migrations",)}
    empty_database.query("DROP TABLE events")
    ctl.run("migrate")


# What there is in the schema and does not belong to whom the accounts belong to.
OF_OTHERS = (
    "SELECT o.name, pg_get_userbyid(o.owner) FROM"
    " (SELECT oid::regclass::text AS name, relowner AS owner FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    "  UNION ALL SELECT proname, proowner FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
    "  UNION ALL SELECT typname, typowner FROM pg_type WHERE typnamespace = 'public'::regnamespace) AS o"
    " WHERE o.owner <> (SELECT relowner FROM pg_class WHERE oid = 'users'::regclass)"
)


@pytest.mark.parametrize("before", [version for version in versions() if version < versions()[-1]])
def test_what_a_superuser_migrates_belongs_to_the_owner_of_the_tables(cluster, empty_database, before):
    """Whoever may change the tables would else run code with a superuser's rights, by a function that reads them."""
    apply_up_to(empty_database, before)
    Ctl(cluster.conninfo(empty_database.name, cluster.superuser)).run("migrate", "--grant", cluster.DAEMON)
    assert empty_database.query(OF_OTHERS) == []
    assert empty_database.value("SELECT proowner::regrole::text FROM pg_proc WHERE proname = 'number_login'") == cluster.OWNER
    Ctl(empty_database.owner_conninfo).run("migrate")


def test_owner_is_told_of_what_an_earlier_migration_has_made_somebody_else_s(cluster, empty_database):
    apply_up_to(empty_database, 5)
    superuser = cluster.connect(empty_database.name)
    with superuser.cursor() as cursor:
        cursor.execute(f"ALTER FUNCTION number_login() OWNER TO {cluster.superuser}")
    superuser.close()
    told = Ctl(empty_database.owner_conninfo).refused("migrate")
    assert f"number_login() belongs to {cluster.superuser}" in told and "superuser" in told
    Ctl(cluster.conninfo(empty_database.name, cluster.superuser)).run("migrate")
    assert empty_database.query(OF_OTHERS) == []


def test_migrate_refuses_a_newer_schema(database):
    database.query("INSERT INTO schema_migrations (version, name) VALUES (999, 'future')")
    Ctl(database.owner_conninfo).refused("migrate")


FORBIDDEN = [
    "CREATE TABLE mine (x int)",
    "DROP TABLE events",
    "DELETE FROM schema_migrations",
    "UPDATE schema_migrations SET version = 1",
    "TRUNCATE users",
    "INSERT INTO users (username, password, is_admin) VALUES ('eve', 'x', true)",
    "INSERT INTO users (username, password, session_limit) VALUES ('eve', 'x', 0)",
    "DELETE FROM users",
    "UPDATE users SET is_admin = true",
    "UPDATE users SET username = 'eve'",
    "UPDATE users SET created_at = now()",
    "INSERT INTO users (username, password, is_active) VALUES ('eve', 'x', true)",
    "INSERT INTO plans (name) VALUES ('eve')",
    "UPDATE plans SET session_limit = 0",
    "INSERT INTO api_tokens (name, token_key, scopes) VALUES ('eve', sha256('x'), '{users}')",
    "UPDATE api_tokens SET scopes = '{users,credentials}'",
    "UPDATE api_tokens SET revoked_at = NULL",
    "DELETE FROM api_tokens",
    "INSERT INTO events (name, written_by) VALUES ('x', '0')",
    "UPDATE events SET written_by = '0'",
    "UPDATE users SET password = '', is_admin = true",
    "DELETE FROM events",
    "UPDATE events SET name = 'x'",
    "TRUNCATE events",
    "INSERT INTO events (name, at) VALUES ('x', '2000-01-01')",
    "UPDATE sessions SET user_id = 1",
    "UPDATE sessions SET expires_at = 'infinity'",
    "DELETE FROM takeovers",
    "SELECT setval('login_order', 1)",
    "SELECT nextval('users_id_seq')",
    "ALTER FUNCTION purge_events OWNER TO CURRENT_USER",
]


def test_migrate_gives_the_role_of_the_daemon_its_rights_and_no_more(cluster, empty_database, new_daemon):
    ctl = Ctl(empty_database.owner_conninfo)
    ctl.run("migrate", "--grant", cluster.DAEMON)
    ctl.run("user", "add", "alice", stdin=PASSWORD + "\n")
    daemon = new_daemon(on=empty_database).start()
    body = json.dumps({"username": "alice", "password": PASSWORD})
    answer = daemon.ask(method="POST", path="/session/login", headers={"Content-Type": "application/json"}, body=body)
    assert answer.status == 200
    key = answer.cookie()
    assert daemon.ask(method="POST", path="/session/logout", headers={"Cookie": f"onesession={key}"}).status == 303
    Ctl(empty_database.conninfo).run("purge")
    for statement in FORBIDDEN:
        connection = empty_database.connect(role=cluster.DAEMON)
        with connection.cursor() as cursor, pytest.raises(Exception, match="permission denied|must be owner"):
            cursor.execute(statement)
        connection.close()
    assert "tables' owner" in Ctl(empty_database.conninfo).refused("user", "add", "eve", "--admin", stdin=PASSWORD + "\n")


def test_grant_takes_away_what_an_earlier_version_gave(cluster, database):
    database.query(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {cluster.DAEMON}")
    before = rights_of(database, cluster.DAEMON)
    assert not [right for right in before if right[0] == "users"]
    database.query(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {cluster.DAEMON}")
    database.query(f"GRANT UPDATE (is_admin) ON users TO {cluster.DAEMON}")
    database.query(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {cluster.DAEMON}")
    database.query("CREATE TABLE application (x int)")
    database.query(f"GRANT ALL ON application TO {cluster.DAEMON}")
    owner = Ctl(database.owner_conninfo)
    owner.run("migrate", "--grant", cluster.DAEMON)
    after = rights_of(database, cluster.DAEMON)
    assert {right for right in after if right[0] == "users"} == {
        ("users", None, "SELECT"),
        *(("users", column, "INSERT") for column in ("username", "password", "email", "email_verified_at")),
        *(("users", column, "UPDATE") for column in ("password", "email", "email_verified_at", "delete_at", "notify_new_browser", "language",
                                                     "plan", "groups", "valid_until", "session_limit", "is_active", "external_id")),
    }
    assert {right for right in after if right[0] == "api_tokens"} == {
        ("api_tokens", None, "SELECT"), ("api_tokens", "last_used_at", "UPDATE")
    }
    assert {right for right in after if right[0] == "plans"} == {("plans", None, "SELECT")}
    assert {right for right in after if right[0] == "events" and right[2] != "INSERT"} == {("events", None, "SELECT")}
    assert ("schema_migrations", None, "DELETE") not in after
    sequences = {right for right in after if right[0].endswith(("_seq", "login_order"))}
    assert sequences == {(name, None, "SELECT") for name in ("login_order", "users_id_seq", "events_id_seq")}
    assert {right for right in after if right[0] == "mail_tokens"} == {
        ("mail_tokens", None, right) for right in ("SELECT", "INSERT", "UPDATE", "DELETE")
    }
    # What is somebody else's stays as it is.
    assert ("application", None, "UPDATE") in after
    owner.run("migrate", "--grant", cluster.DAEMON)
    assert rights_of(database, cluster.DAEMON) == after


def rights_of(database, role):
    """(relation, column or None, right) each."""
    return set(
        database.query(
            "SELECT c.relname, NULL, a.privilege_type FROM pg_class c, pg_roles r, aclexplode(c.relacl) a"
            " WHERE r.rolname = %s AND a.grantee = r.oid AND c.relnamespace = 'public'::regnamespace"
            " UNION SELECT c.relname, t.attname, a.privilege_type"
            "  FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid, pg_roles r, aclexplode(t.attacl) a"
            " WHERE r.rolname = %s AND a.grantee = r.oid AND c.relnamespace = 'public'::regnamespace",
            role,
            role,
        )
    )


def test_daemon_s_role_erases_an_account_whose_time_has_come_and_no_other(cluster, database):
    database.query("INSERT INTO events (name, user_id, username, ip) SELECT 'x', id, username, '192.0.2.1' FROM users")
    database.query("UPDATE users SET delete_at = now() - interval '1 s' WHERE username = 'alice'")
    database.query("UPDATE users SET delete_at = now() + interval '1 day' WHERE username = 'bob'")
    as_daemon = database.connect(role=cluster.DAEMON)
    with as_daemon.cursor() as cursor:
        for name, is_erased in (("alice", True), ("bob", False), ("dora", False)):
            cursor.execute("SELECT erase_account((SELECT id FROM users WHERE username = %s))", (name,))
            assert cursor.fetchone() == (is_erased,)
    as_daemon.commit()
    as_daemon.close()
    assert database.query("SELECT username FROM users ORDER BY 1") == [("bob",), ("dora",)]
    assert database.query("SELECT username, host(ip) FROM events WHERE name = 'x' ORDER BY id") == [
        ("", None),
        ("bob", "192.0.2.1"),
        ("dora", "192.0.2.1"),
    ]


def test_daemon_s_role_purges_events_that_are_old_and_no_others(cluster, database):
    database.query("DELETE FROM events")
    database.query("INSERT INTO events (name, at) SELECT 'x', now() - n * interval '1 hour' FROM generate_series(1, 48) n")
    as_daemon = database.connect(role=cluster.DAEMON)
    with as_daemon.cursor() as cursor:
        # A table of its own in place of the events, or of what the function calls.
        cursor.execute("CREATE TEMPORARY TABLE events (id bigint, at timestamptz)")
        cursor.execute("SET search_path = pg_temp, public")
        for age_ms in (0, -(10**15), 1):
            cursor.execute("SELECT public.purge_events(10, %s)", (age_ms,))
        cursor.execute("SELECT public.purge_events(1000, 0)")
    as_daemon.close()
    assert database.value("SELECT count(*) FROM events WHERE at > now() - interval '1 day'") == 23
    assert database.value("SELECT count(*) FROM events") == 23


def test_purge_goes_on_before_the_rights_are_given_anew(cluster, empty_database):
    """A role that was given its rights by an earlier version, which let it delete events itself."""
    database = empty_database
    apply_up_to(database, 4)
    database.query(
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {cluster.DAEMON};"
        " GRANT INSERT, UPDATE, DELETE ON sessions, ended_sessions, events, login_tickets, login_failures,"
        f" known_browsers, anonymous_sessions TO {cluster.DAEMON}"
    )
    database.query("INSERT INTO events (name, at) VALUES ('old', now() - interval '1 year')")
    Ctl(database.owner_conninfo).run("migrate")
    assert Ctl(database.conninfo).json("purge")["events"] == 1
    assert (
        database.value("SELECT proowner = relowner FROM pg_proc, pg_class WHERE proname = 'purge_events' AND relname = 'users'")
        is True
    )


def test_function_that_deletes_events_is_nobody_else_s(cluster, database):
    reader = "ones_reader_of_events"
    cluster.execute(
        f"DO $$ BEGIN CREATE ROLE {reader} LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    connection = database.connect(role=reader)
    with connection.cursor() as cursor, pytest.raises(Exception, match="permission denied"):
        cursor.execute("SELECT purge_events(1, 0)")
    connection.close()


def test_grant_to_the_owner_is_refused(database, cluster):
    """It would lose rights, and be kept from nothing."""
    before = rights_of(database, cluster.OWNER)
    assert "owner" in Ctl(database.owner_conninfo).refused("migrate", "--grant", cluster.OWNER)
    assert rights_of(database, cluster.OWNER) == before


def test_grant_to_nobody_is_refused(database):
    Ctl(database.owner_conninfo).refused("migrate", "--grant", "no_such_role; DROP TABLE users")
    assert database.value("SELECT count(*) FROM users") == 3


def test_migrate_by_a_role_without_the_right_is_refused(cluster, empty_database):
    done = Ctl(empty_database.conninfo).call("migrate")
    assert done.returncode == 1
    assert done.stderr.count("\n") <= 2 and "permission denied" in done.stderr


# ---- user ------------------------------------------------------------------------------------------------------------


def test_user_add_and_show(ctl, database):
    ctl.run("user", "add", "eve", "--admin", "--limit", "3", stdin=PASSWORD + "\n")
    shown = ctl.json("user", "show", "EVE")
    assert shown["id"] == database.user_id("eve")
    expected = {"username": "eve", "is_active": True, "is_admin": True, "session_limit": 3, "live_sessions": 0}
    assert expected.items() <= shown.items()
    assert TIME.fullmatch(shown["created_at"])
    ctl.run("user", "add", "frank", stdin=PASSWORD + "\n")
    shown = ctl.json("user", "show", "frank")
    assert {"is_admin": False, "session_limit": None}.items() <= shown.items()
    assert "frank" in ctl.run("user", "show", "frank")


def test_password_is_stored_as_argon2id_of_the_configured_cost(database):
    ctl = Ctl(database.owner_conninfo, **{"login.memory": "1MiB", "login.passes": 2})
    ctl.run("user", "add", "eve", stdin=PASSWORD + "\n")
    stored = database.value("SELECT password FROM users WHERE username = 'eve'")
    assert stored.startswith("$argon2id$v=19$m=1024,t=2,p=1$")
    ctl.run("user", "add", "frank", stdin=PASSWORD + "\n")
    assert database.value("SELECT password FROM users WHERE username = 'frank'") != stored


@pytest.mark.parametrize("ending", ["\n", "", "\nmore\n"])
def test_password_is_one_line_of_standard_input(site, browse, ending):
    site.ctl().run("user", "add", "eve", stdin=PASSWORD + ending)
    assert browse(site).login("eve", PASSWORD).status_code == 200


def test_password_is_not_changed_on_its_way(site, browse):
    strange = "  spaces \t and \\backslash and 'quotes\" and ünïcödé \U0001f600 "
    site.ctl().run("user", "add", "eve", stdin=strange + "\n")
    assert browse(site).login("eve", strange).status_code == 200
    assert browse(site, program=False).login("eve", strange).status_code == 303
    problem(browse(site).login("eve", strange.strip()), 401, "invalid_credentials")


@pytest.mark.parametrize("given", ["", "\n", "short\n", "x" * 2000 + "\n", "a\0bcdefghij\n"])
def test_password_that_cannot_be_is_refused(ctl, database, given):
    ctl.refused("user", "add", "eve", stdin=given)
    assert database.query("SELECT 1 FROM users WHERE username = 'eve'") == []
    before = database.value("SELECT password FROM users WHERE username = 'alice'")
    ctl.refused("user", "passwd", "alice", stdin=given)
    assert database.value("SELECT password FROM users WHERE username = 'alice'") == before


@pytest.mark.parametrize("name", ["alice", "ALICE", "\uff41lice"])
def test_name_that_is_taken_is_refused_whatever_its_case(ctl, database, name):
    assert "alice" in ctl.refused("user", "add", name, stdin=PASSWORD + "\n")
    assert database.value("SELECT count(*) FROM users") == 3


@pytest.mark.parametrize("name", ["", "x" * 151, "a\nb", "a\x1bb", "a\x7fb", "\udcff"])
def test_name_that_cannot_be_is_refused(ctl, database, name):
    ctl.refused("user", "add", name, stdin=PASSWORD + "\n")
    assert database.value("SELECT count(*) FROM users") == 3


def test_name_that_looks_like_an_option(ctl):
    ctl.run("user", "add", "--", "-dash", stdin=PASSWORD + "\n")
    assert ctl.json("user", "show", "--", "-dash")["username"] == "-dash"


def test_user_list(ctl, database):
    database.query("UPDATE users SET session_limit = 0 WHERE username = 'bob'")
    put_session(database, "bob", "x")
    users = ctl.json("user", "list")
    assert [user["username"] for user in users] == ["alice", "bob", "dora"]
    assert [user["is_active"] for user in users] == [True, True, False]
    assert [user["session_limit"] for user in users] == [None, 0, None]
    assert [user["live_sessions"] for user in users] == [0, 1, 0]
    lines = ctl.run("user", "list").splitlines()
    assert len(lines) == 4
    assert [line.split()[1] for line in lines[1:]] == ["alice", "bob", "dora"]
    for word in ("password", "argon2"):
        assert word not in json.dumps(users) + "\n".join(lines)


# And how it is written out.
UNSEEN = "\u061c\u00ad\u180e\ufe0f\U000e0041\u202e\u200b\u2066\u2800\u2028"
SEEN = r"\u061c\xad\u180e\ufe0f\U000e0041\u202e\u200b\u2066\u2800\u2028"


def test_what_is_not_seen_of_a_name_is_written_out(ctl, database):
    """Another program may have stored it, or a terminal have pasted it."""
    name = f"u{UNSEEN}x\u0301"
    database.query("UPDATE users SET username = %s WHERE username = 'alice'", name)
    told = [ctl.run("user", "list"), ctl.run("user", "limit", name, "2"), ctl.refused("user", "limit", name, UNSEEN)]
    told.append(ctl.refused("user", "show", UNSEEN + "nobody"))
    for text in told:
        assert SEEN in text and not set(UNSEEN) & set(text)
    assert f"u{SEEN}x\u0301" in told[0]


def test_table_is_not_torn_by_what_is_in_it(ctl, database):
    database.query("UPDATE users SET username = E'a\\x1b[31m\\nb' WHERE username = 'alice'")
    lines = ctl.run("user", "list").splitlines()
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)


def test_user_passwd(site, browse):
    browser = browse(site)
    browser.sign_in()
    told = site.ctl().json("user", "passwd", "alice", stdin=PASSWORD + "\n")
    assert told["ended_sessions"] == 1
    assert browser.auth() == "password_changed"
    assert browse(site).login("alice", PASSWORD).status_code == 200


def test_user_disable_and_enable(site, browse):
    browser = browse(site)
    browser.sign_in()
    ctl = site.ctl()
    assert ctl.json("user", "disable", "alice")["ended_sessions"] == 1
    assert ctl.json("user", "show", "alice")["is_active"] is False
    assert browser.auth() == "disabled"
    assert ctl.json("user", "disable", "alice")["ended_sessions"] == 0
    ctl.run("user", "enable", "alice")
    ctl.run("user", "enable", "alice")
    assert ctl.json("user", "show", "alice")["is_active"] is True
    assert browse(site).login().status_code == 200


def test_user_delete(site, browse):
    browser = browse(site)
    browser.sign_in()
    ctl = site.ctl()
    ctl.run("user", "delete", "alice")
    assert [user["username"] for user in ctl.json("user", "list")] == ["bob", "dora"]
    assert browser.auth() == "unauthenticated"
    for table in ("sessions", "logged_in_user", "ended_sessions"):
        assert site.database.value(f"SELECT count(*) FROM {table}") == 0
    ctl.refused("user", "delete", "alice")


@pytest.mark.parametrize("command", ["show", "passwd", "enable", "disable", "delete"])
def test_unknown_user_is_refused(ctl, command):
    for json_or_not in ([], ["--json"]):
        assert "nobody" in ctl.refused(*json_or_not, "user", command, "nobody", stdin=PASSWORD + "\n")


def test_changes_by_an_operator_are_events(ctl, database):
    ctl.run("user", "add", "eve", stdin=PASSWORD + "\n")
    ctl.run("user", "passwd", "eve", stdin=PASSWORD + "2\n")
    ctl.run("user", "disable", "eve")
    ctl.run("user", "enable", "eve")
    put_session(database, "eve", "x")
    ctl.run("session", "end", "--user", "eve")
    ctl.run("user", "delete", "eve")
    names = [row[0] for row in database.query("SELECT name FROM events WHERE username = 'eve' ORDER BY id")]
    assert len(names) >= 6
    assert not any(PASSWORD in row[0] for row in database.query("SELECT e::text FROM events e"))


# ---- session ---------------------------------------------------------------------------------------------------------


def test_session_list(ctl, database):
    assert ctl.json("session", "list") == []
    ids = [put_session(database, name, name) for name in ("alice", "bob")]
    put_session(database, "alice", "expired", expires="-1 minute")
    sessions = ctl.json("session", "list")
    assert [session["id"] for session in sessions] == list(reversed(ids))
    session = sessions[1]
    assert (session["username"], session["ip"]) == ("alice", "192.0.2.9")
    assert (session["browser"], session["os"]) == ("Firefox", "Linux")
    assert all(TIME.fullmatch(session[name]) for name in ("created_at", "last_seen_at", "expires_at"))
    assert [session["id"] for session in ctl.json("session", "list", "--user", "Bob")] == [ids[1]]
    text = ctl.run("session", "list")
    assert all(public_id in text for public_id in ids)
    assert "Firefox" in text
    ctl.refused("session", "list", "--user", "nobody")


def test_session_list_leaves_out_what_is_idle(database):
    put_session(database, "alice", "x", seen="2 hours")
    assert Ctl(database.conninfo, **{"session.idle_timeout": "1h"}).json("session", "list") == []
    assert len(Ctl(database.conninfo).json("session", "list")) == 1


def test_session_list_never_shows_a_key(ctl, database):
    put_session(database, "alice", "x")
    digest = database.value("SELECT encode(session_key, 'hex') FROM sessions")
    for words in (["session", "list"], ["--json", "session", "list"]):
        assert digest not in ctl.run(*words)


def test_session_end(ctl, database):
    ids = {name: put_session(database, name, name) for name in ("alice", "bob")}
    assert ctl.json("session", "end", ids["alice"].upper()) == {"ended_sessions": 1}
    assert database.ended(ids["alice"]) == "revoked"
    assert database.sessions("bob") == [ids["bob"]]
    for wrong in (ids["alice"], NOBODY, "nonsense", "", "'; DROP TABLE sessions"):
        ctl.refused("session", "end", wrong)
    ctl.refused("session", "end", "--user", "nobody")
    assert ctl.json("session", "end", "--user", "alice") == {"ended_sessions": 0}
    assert ctl.json("session", "end", "--user", "bob") == {"ended_sessions": 1}


def test_session_end_of_all(ctl, database):
    database.query(
        "INSERT INTO users (username, password) SELECT 'user' || n, 'x' FROM generate_series(1, 250) n;"
        "INSERT INTO sessions (session_key, user_id, expires_at)"
        " SELECT sha256((id * 10 + n)::text::bytea), id, now() + interval '1 hour' FROM users, generate_series(1, 2) n"
    )
    assert ctl.json("session", "end", "--all") == {"ended_sessions": 506}
    assert database.value("SELECT count(*) FROM sessions") == 0
    assert database.value("SELECT count(*) FROM ended_sessions WHERE reason = 'revoked'") == 506
    assert ctl.json("session", "end", "--all") == {"ended_sessions": 0}


# ---- purge -----------------------------------------------------------------------------------------------------------

# With numbers of their own: to find one, each row would look at all those that are put in by the same statement.
FILL = """
    INSERT INTO sessions (session_key, user_id, expires_at, login_order)
        SELECT sha256(('expired' || n)::bytea), 1, now() - interval '1 minute', nextval('login_order')
          FROM generate_series(1, %(expired)s) n;
    INSERT INTO sessions (session_key, user_id, expires_at)
        SELECT sha256(('live' || n)::bytea), 1, now() + interval '1 hour' FROM generate_series(1, 5) n;
    INSERT INTO ended_sessions (session_key, id, user_id, reason, ended_at, created_at, last_seen_at, user_agent)
        SELECT sha256(('ended' || n)::bytea), gen_random_uuid(), 1, 'displaced',
               now() - (CASE WHEN n <= 5 THEN 29 ELSE 31 END) * interval '1 day', now(), now(), ''
          FROM generate_series(1, 25) n;
    INSERT INTO events (name, at) SELECT 'user_logged_in',
               now() - (CASE WHEN n <= 5 THEN 29 ELSE 31 END) * interval '1 day' FROM generate_series(1, 35) n
"""


def test_purge_removes_what_is_due_and_counts_it(ctl, database):
    database.query("DELETE FROM events")
    database.query(FILL % {"expired": 15})
    counts = ctl.json("purge")
    assert {"sessions": 15, "ended_sessions": 20, "events": 30}.items() <= counts.items()
    assert database.value("SELECT count(*) FROM sessions") == 5
    # Five that were young enough, and what the fifteen expired ones left.
    assert database.value("SELECT count(*) FROM ended_sessions") == 20
    assert database.value("SELECT count(*) FROM ended_sessions WHERE reason = 'expired'") == 15
    assert database.value("SELECT count(*) FROM events") == 5
    counts = ctl.json("purge")
    assert {"sessions": 0, "ended_sessions": 0, "events": 0}.items() <= counts.items()
    assert ctl.run("purge")


def test_purge_takes_many_rows_in_batches(cluster, ctl, database):
    """Never one giant DELETE: no statement holds more than a part of the rows."""
    database.query(FILL % {"expired": 5500})
    cluster.execute(f"ALTER DATABASE {database.name} SET log_statement = 'all'")
    begin = cluster.log.stat().st_size
    assert ctl.json("purge")["sessions"] == 5500
    with open(cluster.log, encoding="utf-8", errors="replace") as log:
        log.seek(begin)
        deletes = log.read().count("DELETE FROM sessions")
    assert deletes >= 5


def test_purge_passes_over_rows_that_somebody_holds(ctl, database):
    database.query(FILL % {"expired": 10})
    holder = database.connect()
    with holder.cursor() as cursor:
        cursor.execute("BEGIN; SELECT 1 FROM sessions WHERE session_key = sha256('expired1') FOR UPDATE")
    assert ctl.json("purge")["sessions"] == 9
    holder.close()
    assert ctl.json("purge")["sessions"] == 1


def test_purge_by_two_at_once_does_not_fail(ctl, database):
    database.query(FILL % {"expired": 3000})
    calls = [Background(ctl.json, "purge") for _ in range(4)]
    assert sum(call.result()["sessions"] for call in calls) == 3000


def test_purge_leaves_the_rest_to_another_process(ctl, database):
    database.query(FILL % {"expired": 10})
    other = database.connect()
    with other.cursor() as cursor:
        cursor.execute("BEGIN; SELECT pg_advisory_xact_lock(1869505907, 2)")
    assert ctl.json("purge")["busy"] is True
    assert "Another process is purging" in ctl.run("purge")
    other.close()
    assert ctl.json("purge").items() >= {"busy": False, "sessions": 10}.items()


def test_history_of_the_configuration(database):
    database.query("DELETE FROM events")
    database.query(FILL % {"expired": 0})
    counts = Ctl(database.conninfo, **{"session.history": "1d"}).json("purge")
    assert {"ended_sessions": 25, "events": 35}.items() <= counts.items()


# ---- When there is nothing -------------------------------------------------------------------------------------------


def test_nothing_to_list_is_said(ctl, database):
    database.query("DELETE FROM users")
    assert ctl.run("user", "list") == "No accounts.\n"
    assert ctl.run("session", "list") == "No sessions.\n"


# ---- When it cannot --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [["user", "list"], ["session", "list"], ["purge"], ["migrate"], ["user", "show", "alice"]]
)
def test_database_that_is_away_is_told_in_one_line(tmp_path, words):
    Ctl(f"host={tmp_path} dbname=x").refused(*words)


@pytest.mark.parametrize("words", [["user", "list"], ["session", "end", "--all"], ["purge"]])
def test_other_schema_is_told_in_one_line(database, words):
    database.query("INSERT INTO schema_migrations (version, name) VALUES (999, 'future')")
    assert "schema" in Ctl(database.conninfo).refused(*words)


def test_configuration_file_is_read(database, tmp_path):
    path = write_conf(tmp_path / "conf", {"database.conninfo": database.conninfo})
    done = subprocess.run(
        [str(BUILD / "onesessionctl"), "-c", str(path), "--json", "user", "list"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    assert done.returncode == 0
    assert len(json.loads(done.stdout)) == 3

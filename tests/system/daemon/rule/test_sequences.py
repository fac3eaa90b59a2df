"""Sequences that are behind the rows of their tables: the newest login is the newest all the same, and it is told."""

import json
import re
import subprocess

import psycopg2.errors
import pytest

from support.browser import CHROME, FIREFOX, live_among, with_key
from support.client import auth, login
from support.locks import HeldTable
from support.postgres import Cluster
from support.processes import ROOT
from support.programs import Ctl
from support.rows import insert_from_outside

SET_BACK = "ALTER SEQUENCE login_order RESTART WITH 1"
CURE = "onesessionctl migrate"


def number_of(database, session_id):
    return database.value("SELECT login_order FROM sessions WHERE id = %s", session_id)


def make_history(database, count=20):
    """As if so many logins had been before: numbers, events and accounts."""
    database.query("SELECT setval('login_order', %s)", count)
    database.query("INSERT INTO events (name) SELECT 'before' FROM generate_series(1, %s)", count)
    database.query(
        "INSERT INTO users (username, password) SELECT 'user' || n, 'x' FROM generate_series(1, %s) AS n", count
    )


# ---- The newest login ------------------------------------------------------------------------------------------------


def test_login_after_the_sequence_was_set_back_is_the_newest(site, browse):
    browsers = [browse(site) for _ in range(4)]
    make_history(site.database)
    former = browsers[0].sign_in()["session"]["id"]
    for number, browser in enumerate(browsers[1:], 1):
        site.database.query(SET_BACK)
        told = browser.sign_in()
        assert [gone["id"] for gone in told["displaced"]] == [former]
        assert live_among(browsers) == [number]
        assert browsers[number - 1].auth() == "displaced"
        former = told["session"]["id"]
    assert site.database.value("SELECT login_order FROM logged_in_user") == number_of(site.database, former)


def test_newest_of_several_after_the_sequence_was_set_back(new_site, browse):
    site = new_site({"session.max_sessions": 2})
    make_history(site.database)
    browsers = [browse(site) for _ in range(4)]
    for browser in browsers[:2]:
        browser.sign_in()
    site.database.query(SET_BACK)
    for browser in browsers[2:]:
        browser.sign_in()
    assert live_among(browsers) == [2, 3]


def test_login_is_above_a_stored_key_whose_session_has_gone(site, browse):
    """As when only the tables users and logged_in_user were restored."""
    browser = browse(site)
    site.database.query(
        "INSERT INTO logged_in_user (user_id, session_key, login_order) SELECT id, %s, 1000 FROM users"
        " WHERE username = 'alice'",
        b"x" * 32,
    )
    session = browser.sign_in()["session"]["id"]
    assert browser.is_live()
    assert number_of(site.database, session) == 1001
    other = browse(site)
    other.sign_in()
    assert live_among([browser, other]) == [1]


def test_row_from_outside_is_a_login_at_that_moment_whatever_the_sequence_says(site, browse):
    make_history(site.database)
    first, second = browse(site), browse(site)
    first.sign_in()
    site.database.query(SET_BACK)
    with_key(second, insert_from_outside(site.database))
    assert live_among([first, second]) == [1]
    third = browse(site)
    site.database.query(SET_BACK)
    third.sign_in()
    assert live_among([first, second, third]) == [2]


def test_who_inserts_a_session_needs_no_other_right(site, browse, cluster):
    make_history(site.database)
    first, second = browse(site), browse(site)
    first.sign_in()
    site.database.query(SET_BACK)
    cluster.execute("DROP ROLE IF EXISTS ones_other")
    cluster.execute("CREATE ROLE ones_other LOGIN")
    site.database.query("GRANT INSERT ON sessions TO ones_other; GRANT SELECT (id, username) ON users TO ones_other")
    connection = site.database.connect(role="ones_other")
    try:
        with_key(second, insert_from_outside(Through(connection)))
    finally:
        connection.close()
    assert live_among([first, second]) == [1]


class Through:
    """A connection, where a database is wanted to ask."""

    def __init__(self, connection):
        self.connection = connection

    def query(self, sql, *values):
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values)


def test_functions_of_others_are_not_run_with_the_rights_of_the_owner(database, cluster):
    """Who can make objects of the names that the trigger looks for changes nothing."""
    connection = cluster.connect(database.name)
    stranger = cluster.connect(database.name, cluster.DAEMON)
    try:
        with stranger.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege, match="number_login"):
            cursor.execute("CREATE TEMP TABLE mine (user_id bigint, login_order bigint)")
            cursor.execute("CREATE TRIGGER t BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION number_login()")
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE TEMP SEQUENCE login_order; CREATE TEMP TABLE logged_in_user (user_id bigint, login_order bigint)"
            )
            cursor.execute("INSERT INTO logged_in_user SELECT id, 1000000 FROM users")
        insert_from_outside(Through(connection))
    finally:
        stranger.close()
        connection.close()
    assert database.value("SELECT login_order FROM sessions") < 1000


def test_two_daemons_with_numbers_in_stock(database, new_daemon):
    """CACHE: each connection hands out numbers of its own, and so out of order."""
    database.query("ALTER SEQUENCE login_order CACHE 32")
    daemons = [new_daemon({"server.workers": 1}).start() for _ in range(2)]
    keys = []
    for round_ in range(6):
        answer = login(daemons[round_ % 2])
        assert answer.status == 200
        keys.append(answer.cookie())
        assert [auth(daemons[0], key).status for key in keys] == [401] * round_ + [200]


def test_restored_rows_keep_their_numbers(database):
    insert_from_outside(database, order=50)
    insert_from_outside(database, order=7)
    assert database.query("SELECT login_order FROM sessions ORDER BY login_order") == [(7,), (50,)]


def test_dump_of_single_tables_brings_the_sequence_along(database, empty_database, new_daemon):
    make_history(database)
    key = insert_from_outside(database)
    Ctl(empty_database.owner_conninfo).run("migrate")
    tables = ("-t", "users", "-t", "sessions", "-t", "logged_in_user")
    dump = subprocess.run(
        [Cluster.program("pg_dump"), "--data-only", *tables, database.owner_conninfo],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert re.search(r"setval\('public.login_order'", dump)
    psql = [Cluster.program("psql"), "-qX", "-v", "ON_ERROR_STOP=1", empty_database.owner_conninfo]
    subprocess.run(psql, input=dump, check=True, capture_output=True, text=True)
    Ctl(empty_database.owner_conninfo).run("migrate", "--grant", Cluster.DAEMON)
    daemon = new_daemon(on=empty_database).start()
    assert json.loads(daemon.ask(path="/session/ready").body)["warnings"] == []
    assert auth(daemon, key).status == 200
    second = login(daemon)
    assert second.status == 200
    assert [auth(daemon, key).status, auth(daemon, second.cookie()).status] == [401, 200]


def test_login_that_would_end_itself_is_an_error(site, browse):
    """Somebody has taken the trigger away and numbers the sessions himself."""
    first, second = browse(site), browse(site, permits_5xx=True)
    make_history(site.database)
    first.sign_in()
    site.database.query(
        "ALTER TABLE sessions DISABLE TRIGGER number_login; ALTER TABLE sessions ALTER login_order SET DEFAULT 1"
    )
    answer = second.login()
    assert answer.status_code == 500
    assert second.key is None
    assert live_among([first, second]) == [0]
    assert "login_not_the_newest" in site.daemon.log_text()
    assert site.database.value("SELECT count(*) FROM events WHERE name = 'session_displaced'") == 0


# ---- What is told ----------------------------------------------------------------------------------------------------

# What sets each behind, and what has to be there.
SEQUENCES = {"login_order": "sessions", "users_id_seq": "users", "events_id_seq": "events"}


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_sequence_that_is_behind_is_told_and_cured(database, new_daemon, sequence):
    make_history(database)
    insert_from_outside(database)
    daemon = new_daemon().start()
    owner = Ctl(database.owner_conninfo, **{"server.listen": daemon.settings["server.listen"]})
    sentence = f"the sequence {sequence} is behind the rows of {SEQUENCES[sequence]}: run {CURE}"

    def test():
        return subprocess.run(daemon.command("-t"), capture_output=True, text=True, check=False)

    assert test().returncode == 0
    assert json.loads(daemon.ask(path="/session/ready").body) == {"status": "ready", "warnings": []}
    assert "behind" not in owner.run("status")
    database.query(f"ALTER SEQUENCE {sequence} RESTART WITH 1")
    done = test()
    assert done.returncode == 1
    assert sentence in done.stderr
    ready = daemon.ask(path="/session/ready")
    assert ready.status == 200
    (warning,) = json.loads(ready.body)["warnings"]
    assert warning.startswith(sentence)
    assert f"database: {sentence}" in owner.run("status")
    assert owner.json("status")["database_warnings"] == [warning]
    assert f"Set the sequence {sequence} forward, which was behind the rows of {SEQUENCES[sequence]}." in owner.run(
        "migrate"
    )
    assert test().returncode == 0
    assert json.loads(daemon.ask(path="/session/ready").body)["warnings"] == []
    assert owner.json("migrate")["sequences_advanced"] == []
    assert login(daemon).status == 200


def test_sequences_behind_what_was_stored_are_set_forward(database):
    database.query("INSERT INTO logged_in_user (user_id, login_order) SELECT id, 500 FROM users LIMIT 1")
    assert Ctl(database.owner_conninfo).json("migrate")["sequences_advanced"] == ["login_order"]
    assert database.value("SELECT nextval('login_order')") == 501


def test_sequences_that_may_not_be_seen_are_not_behind(database, new_daemon, cluster):
    database.query(f"REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {cluster.DAEMON}")
    make_history(database)
    database.query("ALTER SEQUENCE users_id_seq RESTART WITH 1")
    daemon = new_daemon().start()
    assert json.loads(daemon.ask(path="/session/ready").body)["warnings"] == []
    assert login(daemon).status == 200


def test_table_that_is_locked_keeps_nobody_who_asks_whether_all_is_ready(database, new_daemon):
    daemon = new_daemon({"database.statement_timeout": "30s"}).start()
    ctl = Ctl(database.owner_conninfo, **{"server.listen": daemon.settings["server.listen"]})
    for table in SEQUENCES.values():
        with HeldTable(database, table):
            assert daemon.ask(path="/session/ready", timeout=5).status == 200
            assert "database:" not in ctl.run("status")


def test_status_tells_that_the_database_cannot_be_asked(new_daemon, database):
    daemon = new_daemon().start()
    ctl = Ctl(database.conninfo + " port=1", **{"server.listen": daemon.settings["server.listen"]})
    assert "database: cannot be asked (onesessiond -t tells why)\n" in ctl.run("status")
    (warning,) = ctl.json("status")["database_warnings"]
    assert warning.startswith("the database cannot be asked: ")


def test_account_that_cannot_be_added_is_not_said_to_exist(database, ctl):
    make_history(database)
    database.query("ALTER SEQUENCE users_id_seq RESTART WITH 1")
    told = ctl.refused("user", "add", "newcomer", stdin=database.password + "\n")
    assert "exists" not in told
    assert "users_id_seq" in told and CURE in told
    assert "account exists: alice" in ctl.refused("user", "add", "ALICE", stdin=database.password + "\n")
    Ctl(database.owner_conninfo).run("migrate")
    ctl.run("user", "add", "newcomer", stdin=database.password + "\n")


def test_name_that_is_taken_meanwhile_is_said_to_exist(database, ctl):
    """Between the look for the name and the INSERT."""
    database.query(
        "CREATE FUNCTION be_quicker() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN"
        " IF pg_trigger_depth() = 1 THEN INSERT INTO users (username, password) VALUES (new.username, 'x'); END IF;"
        " RETURN new; END $$;"
        " CREATE TRIGGER be_quicker BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION be_quicker()"
    )
    assert "account exists: newcomer" in ctl.refused("user", "add", "newcomer", stdin=database.password + "\n")


def test_import_tells_why_it_cannot_add(database, ctl, tmp_path):
    make_history(database)
    database.query("ALTER SEQUENCE users_id_seq RESTART WITH 1")
    path = tmp_path / "passwd"
    path.write_text("newcomer:$2y$05$abcdefghijklmnopqrstuuu5Lo0g67CiD3M4RpN1BmBb4Crp5w7dm\n")
    told = ctl.call("import", "htpasswd", str(path)).stderr
    assert "users_id_seq" in told and CURE in told


@pytest.mark.parametrize("password", [None, "wrong"])
def test_log_tells_why_nothing_can_be_recorded(new_site, browse, password):
    site = new_site()
    make_history(site.database)
    site.database.query("ALTER SEQUENCE events_id_seq RESTART WITH 1")
    assert browse(site, permits_5xx=True).login(password=password).status_code == 500
    (line,) = [line for line in site.daemon.log_text().splitlines() if "database_duplicate" in line]
    assert "events_id_seq" in line and CURE in line
    Ctl(site.database.owner_conninfo).run("migrate")
    browse(site).sign_in()


# ---- Schemas of before -----------------------------------------------------------------------------------------------


def test_schema_of_before_is_brought_up_to_date(empty_database, cluster, new_daemon):
    """With a session in it, and with the rights that the daemon had then."""
    for version, name in ((1, "0001_accounts_and_sessions"), (2, "0002_policy")):
        empty_database.query((ROOT / "schema" / f"{name}.sql").read_text())
        empty_database.query("INSERT INTO schema_migrations (version, name) VALUES (%s, %s)", version, name)
    empty_database.query(
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {cluster.DAEMON};"
        f" GRANT USAGE ON SEQUENCE login_order TO {cluster.DAEMON};"
        " INSERT INTO users (username, password) VALUES ('alice', 'x')"
    )
    old = insert_from_outside(empty_database)
    owner = Ctl(empty_database.owner_conninfo)
    owner.run("migrate")
    owner.run("user", "passwd", "alice", stdin=empty_database.password + "\n")
    old = insert_from_outside(empty_database)
    empty_database.query("SELECT setval('users_id_seq', 1, false), setval('login_order', 1, false)")
    daemon = new_daemon(on=empty_database).start()
    warnings = json.loads(daemon.ask(path="/session/ready").body)["warnings"]
    assert [warning.split()[2] for warning in warnings] == ["users_id_seq", "login_order"]
    new = login(daemon)
    assert new.status == 200
    assert [auth(daemon, key).status for key in (old, new.cookie())] == [401, 200]


def test_browsers_are_named_in_the_story_of_a_sequence_set_back(site, browse):
    old = browse(site, program=False, user_agent=FIREFOX)
    old.sign_in()
    site.database.query(SET_BACK)
    browse(site, user_agent=CHROME).sign_in()
    assert old.state()["by"] == {"browser": "Chrome", "os": "Windows"}

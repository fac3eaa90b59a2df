"""What operators are asked for: accounts that are locked or closed, names, who was where, who is to be forgotten."""

import json
import re
import sqlite3
import subprocess

import pytest

from support.browser import CHROME, FIREFOX, problem
from support.client import guess, sign_in_from, statuses
from support.programs import Ctl, environment

PASSWORD = "a horse of many batteries"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
TRIES = 3


# ---- Accounts that are locked ----------------------------------------------------------------------------------------


@pytest.fixture(name="throttling")
def daemon_that_throttles(new_daemon):
    return new_daemon({"login.attempts_per_user": TRIES}).start()


def unlocks(ctl, how):
    words = {"passwd": ["passwd", "alice"], "enable": ["enable", "alice"], "unlock": ["unlock", "alice"]}[how]
    ctl.run("user", *words, stdin=PASSWORD + "\n")
    return PASSWORD if how == "passwd" else None


@pytest.mark.parametrize("how", ["passwd", "enable", "unlock"])
def test_account_that_was_tried_too_often_is_open_again_at_an_operator_s_word(throttling, database, ctl, how):
    assert statuses(throttling, TRIES + 1) == [401] * TRIES + [429]
    assert guess(throttling, password=database.password).status == 429
    assert ctl.json("user", "show", "alice")["failed_logins"] == TRIES
    password = unlocks(ctl, how)
    assert ctl.json("user", "show", "alice")["failed_logins"] == 0
    assert guess(throttling, password=password or database.password).status == 200
    # And it has all its tries again.
    assert statuses(throttling, TRIES + 1, address="192.0.2.9") == [401] * TRIES + [429]


@pytest.mark.parametrize("how", ["passwd", "enable", "unlock"])
def test_browser_that_the_account_knows_is_unlocked_with_it(throttling, database, ctl, how):
    device = sign_in_from(throttling)
    assert statuses(throttling, 2 * TRIES + 1, device=device)[-1] == 429
    password = unlocks(ctl, how)
    assert guess(throttling, password=password or database.password, device=device).status == 200


def test_unlocking_one_account_unlocks_no_other(throttling, database, ctl):
    for name in ("alice", "bob"):
        statuses(throttling, TRIES + 1, name)
    assert ctl.json("user", "unlock", "alice") == {
        "id": database.user_id("alice"),
        "username": "alice",
        "failed_logins": TRIES,
    }
    assert guess(throttling, "bob", database.password).status == 429
    assert ctl.json("user", "unlock", "alice")["failed_logins"] == 0
    assert ctl.run("user", "unlock", "bob").startswith("Account bob unlocked, 3 failed logins")
    name, detail = database.query("SELECT name, detail FROM events WHERE name = 'user_unlocked' ORDER BY id")[0]
    assert detail["failed_logins"] == TRIES and detail["operator"]
    assert "nobody" in ctl.refused("user", "unlock", "nobody")


# ---- Accounts that are closed ----------------------------------------------------------------------------------------


def state_of(database):
    tables = "users sessions logged_in_user ended_sessions login_failures known_browsers events".split()
    return [database.query(f"SELECT * FROM {table}") for table in tables]


def test_right_password_of_a_closed_account_is_told_so_and_changes_nothing(site, browse):
    site.ctl(**{"login.memory": "1MiB"}).run("user", "passwd", "dora", stdin=PASSWORD + "\n")
    before = state_of(site.database)
    answer = browse(site).login("dora", PASSWORD)
    problem(answer, 403, "account_closed")
    assert "Set-Cookie" not in answer.headers
    page = browse(site, program=False).login("dora", PASSWORD, next="/page")
    assert page.status_code == 403 and "account is closed" in page.text
    assert "Set-Cookie" not in page.headers
    assert "username=dora reason=account_closed" in site.daemon.log_text()
    assert state_of(site.database) == before


def test_wrong_password_of_a_closed_account_is_like_any_other(site, browse):
    told = problem(browse(site).login("dora", "wrong"), 401, "invalid_credentials")
    assert told == problem(browse(site).login("nobody", "wrong"), 401, "invalid_credentials")


def test_closed_account_is_throttled_like_any_other(throttling, database):
    assert statuses(throttling, TRIES, "dora") == [401] * TRIES
    assert guess(throttling, "dora", database.password).status == 429
    assert [guess(throttling, "dora", database.password, address="192.0.2.9").status for _ in range(2)] == [429] * 2


def test_right_password_of_a_closed_account_is_no_failed_try(throttling, database):
    body = json.dumps({"username": "dora", "password": database.password})
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    asked = [
        throttling.ask(method="POST", path="/session/login", headers=headers, body=body, timeout=60).status
        for _ in range(TRIES + 2)
    ]
    assert asked == [403] * (TRIES + 2)
    assert database.value("SELECT count(*) FROM login_failures") == 0


# ---- Who was where ---------------------------------------------------------------------------------------------------


def test_history_tells_what_was_and_what_ended_it_and_when(site, browse):
    first = browse(site, user_agent=FIREFOX).sign_in()["session"]["id"]
    second = browse(site, user_agent=CHROME).sign_in()["session"]["id"]
    (row,) = site.ctl().json("session", "history", "alice")
    assert set(row) == {
        *("id", "reason", "ended_at", "created_at", "last_seen_at", "ip", "browser", "os", "user_agent", "by"),
    }
    assert (row["id"], row["reason"], row["ip"], row["browser"], row["os"]) == (
        first,
        "displaced",
        "127.0.0.1",
        "Firefox",
        "Linux",
    )
    by = row["by"]
    assert (by["id"], by["ip"], by["browser"], by["os"]) == (second, "127.0.0.1", "Chrome", "Windows")
    for key in ("ended_at", "created_at", "last_seen_at"):
        assert TIME.fullmatch(row[key])
    told = site.ctl().run("session", "history", "alice").splitlines()
    assert len(told) == 2
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +displaced ", told[1])
    assert "127.0.0.1, Firefox on Linux" in told[1] and "127.0.0.1, Chrome on Windows" in told[1]


def test_history_tells_that_the_same_browser_signed_in_anew(site, browse):
    """Neither is it signing out, which nobody did, nor is whoever has the old key told more than before."""
    browser, late = browse(site, user_agent=FIREFOX), browse(site)
    first = browser.sign_in()["session"]["id"]
    late.key = browser.key
    second = browser.sign_in()["session"]["id"]
    browser.logout()
    told = site.ctl()
    out, anew = told.json("session", "history", "alice")
    assert (out["id"], out["reason"], out["by"]) == (second, "logged_out", None)
    assert (anew["id"], anew["reason"]) == (first, "logged_out")
    assert (anew["by"]["id"], anew["by"]["ip"], anew["by"]["browser"]) == (second, "127.0.0.1", "Firefox")
    lines = told.run("session", "history", "alice").splitlines()
    assert " logged_out " in lines[1] and " signed in anew " in lines[2]
    assert lines[2].count("127.0.0.1, Firefox on Linux") == 2 and lines[1].count("127.0.0.1, Firefox on Linux") == 1
    by = {"browser": "", "os": ""}
    state = late.get("/session/state").json()
    assert (state["reason"], state["by"]) == ("logged_out", by)
    answer = late.get("/session/me").json()
    assert (answer["code"], answer["by"]) == ("logged_out", by)
    browser.sign_in()
    page = browser.get("/session/account", headers={"Accept": "text/html"}).text
    assert page.count("Signed in anew with the same browser") == 1 and len(re.findall(r"^Signed out", page, re.M)) == 1


def test_history_tells_of_sessions_that_ran_out_before_and_after_the_purge(new_site, browse):
    site = new_site({"session.idle_timeout": "10m"})
    expired = browse(site).sign_in()["session"]["id"]
    site.database.query(
        "UPDATE sessions SET expires_at = now() - interval '1 hour', last_seen_at = now() - interval '65 minutes'"
    )
    site.database.query(
        "INSERT INTO sessions (session_key, user_id, expires_at, last_seen_at) SELECT sha256('x'), id,"
        " now() + interval '1 day', now() - interval '1 day' FROM users WHERE username = 'alice'"
    )
    ctl = site.ctl(**{"session.idle_timeout": "10m"})
    for _ in range(2):
        rows = ctl.json("session", "history", "alice")
        assert [(row["reason"], row["by"]) for row in rows] == [("expired", None), ("idle", None)]
        assert rows[0]["id"] == expired
        # In the second round the one that has expired is where the purge has put it.
        ctl.run("purge")
    assert ctl.json("session", "history", "bob") == []
    assert ctl.run("session", "history", "bob") == "No session of it has ended.\n"


def test_history_names_the_operator_who_ended_a_session(site, browse):
    ctl = site.ctl()
    browser = browse(site)
    acts = {"revoked": ["session", "end", "--user", "alice"], "disabled": ["user", "disable", "alice"]}
    for words in (*acts.values(), ["user", "enable", "alice"], ["user", "passwd", "alice"]):
        if words[1] != "enable":
            browser.sign_in()
        ctl.run(*words, stdin=site.database.password + "\n")
    browser.sign_in()
    browser.logout()
    rows = ctl.json("session", "history", "alice")
    assert [row["reason"] for row in rows] == ["logged_out", "password_changed", "disabled", "revoked"]
    assert rows[0]["by"] is None
    operator = site.database.value("SELECT max(detail ->> 'operator') FROM events")
    assert [row["by"] for row in rows[1:]] == [{"operator": operator}] * 3
    assert f"operator {operator}" in ctl.run("session", "history", "alice")


def test_history_shows_the_last_ones_and_says_that_there_are_more(site, browse):
    for _ in range(4):
        browse(site).sign_in()
    ctl = site.ctl()
    assert len(ctl.json("session", "history", "alice")) == 3
    assert len(ctl.json("session", "history", "alice", "--last", "2")) == 2
    assert ctl.run("session", "history", "alice", "--last", "2").splitlines()[-1].startswith("These are the last 2")
    assert "nobody" in ctl.refused("session", "history", "nobody")
    # The daemon's role may look.
    assert len(Ctl(site.database.conninfo).json("session", "history", "alice")) == 3


def test_displacement_shows_both_devices(site, browse):
    browse(site, user_agent=FIREFOX).sign_in()
    second = browse(site, user_agent=CHROME).sign_in()["session"]["id"]
    ctl = site.ctl()
    (event,) = [event for event in ctl.json("events") if event["name"] == "session_displaced"]
    assert event["detail"] == {"by": second, "was": {"ip": "127.0.0.1", "browser": "Firefox", "os": "Linux"}}
    assert event["user_agent"] == CHROME
    (line,) = [line for line in ctl.run("events").splitlines() if "session_displaced" in line]
    assert "127.0.0.1, Chrome on Windows" in line and "was 127.0.0.1, Firefox on Linux" in line
    assert "{" not in line


# ---- Names and administrators ----------------------------------------------------------------------------------------


def test_renamed_account_goes_on_under_its_new_name(site, browse):
    browser = browse(site)
    browser.sign_in()
    ctl = site.ctl()
    account = site.database.user_id("alice")
    assert ctl.json("user", "rename", "ALICE", "Adam") == {"id": account, "username": "Adam", "before": "alice"}
    assert browser.is_live()
    assert browser.me().json()["user"] == {"id": account, "username": "Adam", "is_admin": False}
    assert browser.get("/session/auth").headers["Remote-User"] == "Adam"
    problem(browse(site).login("alice"), 401, "invalid_credentials")
    browse(site).sign_in("adam")
    username, detail = site.database.query("SELECT username, detail FROM events WHERE name = 'user_renamed'")[0]
    assert (username, detail["before"]) == ("Adam", "alice") and detail["operator"]
    assert "Adam" in ctl.run("user", "rename", "adam", "alice")


def test_name_that_is_taken_or_cannot_be_is_not_given(ctl, database):
    for name in ("bob", "BOB", "", "a\nb", "x" * 151):
        said = ctl.refused("user", "rename", "alice", name)
        assert "exists" in said or "the name" in said
    assert "nobody" in ctl.refused("user", "rename", "nobody", "somebody")
    # Only the case is another.
    ctl.run("user", "rename", "alice", "Alice")
    assert [row[0] for row in database.query("SELECT username FROM users ORDER BY id")] == ["Alice", "bob", "dora"]
    assert ctl.call("user", "rename", "alice").returncode == 64


def test_administrators_are_made_and_unmade(site, browse):
    browser = browse(site)
    browser.sign_in()
    ctl = site.ctl()
    for word, before in (("yes", False), ("yes", True), ("no", True)):
        told = ctl.json("user", "set", "alice", "--admin", word)
        assert told == {
            "id": site.database.user_id("alice"),
            "username": "alice",
            "is_admin": word == "yes",
            "before": before,
        }
        assert browser.me().json()["user"]["is_admin"] is (word == "yes")
    changes = site.database.query(
        "SELECT detail -> 'is_admin', detail -> 'before' FROM events WHERE name = 'user_admin_changed' ORDER BY id"
    )
    assert changes == [(True, False), (False, True)]
    assert "nobody" in ctl.refused("user", "set", "nobody", "--admin", "yes")


@pytest.mark.parametrize(
    "words", [["alice"], ["alice", "--admin"], ["alice", "--admin", "maybe"], ["--admin", "yes"], ["alice", "yes"]]
)
def test_what_is_to_be_set_has_to_be_said(ctl, database, words):
    assert ctl.call("user", "set", *words).returncode == 64
    assert database.value("SELECT count(*) FROM users WHERE is_admin") == 0


def test_admin_may_stand_before_the_name_and_is_a_flag_where_accounts_are_added(ctl):
    ctl.run("user", "set", "--admin", "yes", "alice")
    assert ctl.json("user", "show", "alice")["is_admin"] is True
    ctl.run("user", "add", "--admin", "eve", stdin=PASSWORD + "\n")
    assert ctl.json("user", "show", "eve")["is_admin"] is True


# ---- Who is to be forgotten ------------------------------------------------------------------------------------------


def traces(database, *texts):
    """Tables and rows in which one of the texts stands."""
    tables = [row[0] for row in database.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    return [
        (table, row)
        for table in tables
        for (row,) in database.query(f"SELECT t::text FROM {table} AS t")
        if any(text in row for text in texts)
    ]


def test_erased_account_leaves_no_name_no_address_and_no_browser(new_site, browse):
    site = new_site({"login.attempts_per_user": 5})
    ctl = site.ctl()
    ctl.run("user", "add", "Evelyn", stdin=PASSWORD + "\n")
    ctl.run("user", "rename", "evelyn", "Yvonne")
    for browser in (browse(site, user_agent="Evebrowser/1.0"), browse(site, user_agent="Evephone/2.0")):
        browser.login("yvonne", "wrong")
        browser.login("yvonne", PASSWORD)
        browser.logout()
    browse(site, user_agent="Evebrowser/1.0").login("yvonne", PASSWORD)
    browse(site, user_agent="Evephone/2.0").login("yvonne", PASSWORD)
    ctl.run("user", "limit", "yvonne", "2")
    browse(site).sign_in("bob")
    kept = site.database.query("SELECT * FROM events WHERE username = 'bob' ORDER BY id")
    count = site.database.value("SELECT count(*) FROM events")
    assert ctl.run("user", "delete", "yvonne", "--erase").startswith("Account Yvonne deleted")
    assert traces(site.database, "Evelyn", "Yvonne", "Evebrowser", "Evephone") == []
    assert site.database.query("SELECT * FROM events WHERE username = 'bob' ORDER BY id") == kept
    # That something happened, and when, is still told.
    assert site.database.value("SELECT count(*) FROM events") == count + 2
    nobody_s = site.database.query("SELECT name, ip, detail FROM events WHERE username = '' ORDER BY id")
    assert nobody_s[0][0] == "user_added" and nobody_s[-1][0] == "user_deleted"
    assert all(ip is None and "was" not in detail and detail.get("before") != "Evelyn" for _, ip, detail in nobody_s)
    assert nobody_s[-1][2]["operator"]


def test_deleted_account_without_erasing_keeps_its_events(site, browse):
    browse(site).sign_in()
    site.ctl().run("user", "delete", "alice")
    assert site.database.value("SELECT count(*) FROM events WHERE username = 'alice' AND name = 'user_logged_in'") == 1


def test_daemon_s_role_renames_nobody_and_makes_no_administrator(site, browse):
    browse(site).sign_in()
    before = state_of(site.database)
    for words in (["delete", "alice"], ["rename", "alice", "eve"], ["set", "alice", "--admin", "yes"]):
        assert "permission denied" in Ctl(site.database.conninfo).refused("user", *words)
    assert state_of(site.database) == before


# ---- Accounts from another kind of database --------------------------------------------------------------------------


def django_file(path, password):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE auth_user (id integer PRIMARY KEY, username text, password text)")
        connection.execute("INSERT INTO auth_user (username, password) VALUES ('eve', ?)", (password,))
    connection.close()


def test_file_of_sqlite_is_told_to_be_none_of_postgresql(ctl, tmp_path):
    django_file(tmp_path / "db.sqlite3", "x")
    (tmp_path / "empty.sqlite3").write_bytes(b"")
    said = ctl.refused("import", "django", "--from", tmp_path / "db.sqlite3")
    assert "PostgreSQL" in said and "SQLite" in said and "onesessionctl(8)" in said
    assert "PostgreSQL" in ctl.refused("import", "django", "--from", tmp_path / "empty.sqlite3")
    for uri in (f"sqlite:///{tmp_path}/db.sqlite3", "mysql://user@host/db", "mysql+pymysql://user:secret@host/db"):
        said = ctl.refused("import", "django", "--from", uri)
        assert "PostgreSQL" in said and "secret" not in said


def test_accounts_of_such_a_file_come_by_the_way_that_the_manual_shows(site, browse, tmp_path):
    from test_import import PBKDF2, PHRASE  # pylint: disable=import-outside-toplevel

    django_file(tmp_path / "db.sqlite3", PBKDF2)
    with sqlite3.connect(tmp_path / "db.sqlite3") as connection:
        lines = connection.execute("SELECT username || ':' || password FROM auth_user").fetchall()
    connection.close()
    ctl = site.ctl()
    done = subprocess.run(
        ctl.command("--json", "import", "htpasswd", "-"),
        input="".join(line + "\n" for (line,) in lines),
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    assert json.loads(done.stdout) == {"imported": 1, "existing": 0, "refused": 0}
    assert browse(site).login("eve", PHRASE).status_code == 200

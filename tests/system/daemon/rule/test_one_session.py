"""The rule: one account is live in one place only, and the newest login is the one."""

import hashlib

import pytest

from support.browser import CHROME, FIREFOX, SAFARI, live_among, problem, with_key
from support.rows import insert_from_outside
from support.status import Counts
from support.waiting import TIME, wait_until


# ---- Two browsers ----------------------------------------------------------------------------------------------------


def test_second_browser_signs_the_first_one_out(site, browse):
    first = browse(site, program=False, user_agent=FIREFOX)
    second = browse(site, program=False, user_agent=CHROME)
    assert first.guarded().status_code == 303
    first.sign_in()
    assert first.guarded().text.startswith("page\nuser=alice\n")
    second.sign_in()
    answer = first.guarded()
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/session/login")
    assert answer.headers["Session-Reason"] == "displaced"
    assert second.guarded().text.startswith("page\nuser=alice\n")
    state = first.state()
    assert TIME.fullmatch(state.pop("ended_at"))
    assert state == {"live": False, "reason": "displaced", "by": {"browser": "Chrome", "os": "Windows"}}
    alice = {"id": second.me().json()["user"]["id"], "username": "alice"}
    assert second.state() == {"live": True, "user": alice}
    assert "elsewhere" in first.get("/session/login").text


def test_program_is_told_that_it_was_displaced(site, browse):
    first, second = browse(site), browse(site)
    first.sign_in()
    second.sign_in()
    problem(first.me(), 401, "displaced")
    assert first.me().headers["Session-Reason"] == "displaced"
    answer = first.guarded()
    assert answer.status_code == 401
    assert answer.headers["Content-Type"].split(";")[0] == "application/problem+json"
    assert answer.json()["code"] == "displaced"


def test_displaced_state_names_the_newest_login(site, browse):
    first = browse(site)
    first.sign_in()
    browse(site, user_agent=SAFARI).sign_in()
    state = first.state()
    assert state["by"] == {"browser": "Safari", "os": "macOS"}
    assert site.database.value("SELECT by_id::text FROM ended_sessions") == site.database.sessions()[0]


def test_of_many_browsers_only_the_last_is_live(site, browse):
    browsers = [browse(site) for _ in range(6)]
    for number, browser in enumerate(browsers):
        browser.sign_in()
        assert live_among(browsers) == [number]
    assert len(site.database.sessions()) == 1


def test_accounts_do_not_displace_each_other(site, browse):
    one, other = browse(site), browse(site)
    one.sign_in("alice")
    other.sign_in("bob")
    assert live_among([one, other]) == [0, 1]


def test_nothing_the_displaced_device_does_changes_anything(site, browse):
    first, second = browse(site), browse(site)
    first.sign_in()
    second.sign_in()
    key, stored = first.key, site.database.stored_key()
    for _ in range(3):
        assert first.auth() == "displaced"
        first.me(), first.state(), first.guarded(), first.get("/session/login")
    assert first.logout().status_code == 204
    assert with_key(first, key).logout().status_code == 204
    assert with_key(first, key).auth() == "displaced"
    assert second.is_live()
    assert site.database.stored_key() == stored


def test_device_that_never_noticed_being_displaced_cannot_sign_the_live_one_out(site, browse):
    """Its very first request afterwards is the logout."""
    first, second = browse(site), browse(site)
    first.sign_in()
    second.sign_in()
    assert first.logout().status_code == 204
    assert second.is_live()
    assert len(site.database.sessions()) == 1


def test_idle_old_device_does_not_take_the_account_back(site, browse):
    """The last login counts, not the last request."""
    first, second = browse(site), browse(site)
    first.sign_in()
    second.sign_in()
    for _ in range(5):
        assert not first.is_live()
        assert second.is_live()


# ---- Rows that are missing -------------------------------------------------------------------------------------------


def test_lost_stored_key_is_put_back_at_the_next_request(site, browse):
    browser = browse(site)
    browser.sign_in()
    stored = site.database.stored_key()
    site.database.query("DELETE FROM logged_in_user")
    assert browser.is_live()
    assert site.database.stored_key() == stored
    browse(site).sign_in()
    assert browser.auth() == "displaced"


def test_lost_session_row_is_no_error(site, browse):
    browser = browse(site)
    browser.sign_in()
    site.database.query("DELETE FROM sessions")
    assert browser.auth() == "unauthenticated"
    assert browser.state()["live"] is False
    assert browser.logout().status_code == 204
    browser.sign_in()
    assert browser.is_live()


def test_lost_session_row_does_not_bring_an_older_session_back(site, browse):
    """The stored key is newer than the older session, though its own row is gone."""
    database = site.database
    newest = browse(site)
    newest.sign_in()
    order = database.value("SELECT login_order FROM sessions")
    database.query("DELETE FROM sessions")
    older = with_key(browse(site), insert_from_outside(database, order=order - 1))
    assert older.auth() != ""
    assert not newest.is_live()


def test_both_rows_lost_is_no_error(site, browse):
    browser = browse(site)
    browser.sign_in()
    site.database.query("DELETE FROM sessions; DELETE FROM logged_in_user")
    assert browser.auth() == "unauthenticated"
    browser.sign_in()
    assert browser.is_live()


def test_deleted_account_is_no_error(site, browse):
    browser = browse(site)
    browser.sign_in()
    site.database.query("DELETE FROM users WHERE username = 'alice'")
    assert browser.auth() == "unauthenticated"
    problem(browser.login(), 401, "invalid_credentials")


def test_stored_key_of_nobody_does_not_stand_in_the_way(site, browse):
    """A stored key whose session is gone, older than the presented one."""
    database = site.database
    browser = browse(site)
    browser.sign_in()
    database.query("UPDATE logged_in_user SET session_key = %s, login_order = 0", b"x" * 32)
    assert browser.is_live()
    assert database.stored_key() == hashlib.sha256(browser.key.encode()).digest()


def test_missing_history_is_no_error(site, browse):
    first, second = browse(site), browse(site)
    first.sign_in()
    second.sign_in()
    site.database.query("DELETE FROM ended_sessions")
    assert first.auth() == "unauthenticated"
    assert second.is_live()


# ---- Rows that other programs put in ---------------------------------------------------------------------------------


def test_row_from_outside_is_a_login(site, browse):
    database = site.database
    first = browse(site)
    first.sign_in()
    outside = with_key(browse(site), insert_from_outside(database))
    assert outside.is_live()
    assert first.auth() == "displaced"
    assert outside.is_live()
    assert database.stored_key() == hashlib.sha256(outside.key.encode()).digest()
    assert len(database.sessions()) == 1


def test_row_from_outside_displaces_even_when_the_old_device_asks_first(site, browse):
    database = site.database
    first = browse(site)
    first.sign_in()
    outside = with_key(browse(site), insert_from_outside(database))
    assert first.auth() == "displaced"
    assert outside.is_live()
    assert first.auth() == "displaced"
    assert len(database.sessions()) == 1


def test_login_displaces_a_row_from_outside(site, browse):
    outside = with_key(browse(site), insert_from_outside(site.database))
    assert outside.is_live()
    browser = browse(site)
    assert len(browser.sign_in()["displaced"]) == 1
    assert outside.auth() == "displaced"
    assert browser.is_live()


def test_login_displaces_a_row_from_outside_that_never_asked(site, browse):
    outside = with_key(browse(site), insert_from_outside(site.database))
    browser = browse(site)
    assert len(browser.sign_in()["displaced"]) == 1
    assert outside.auth() == "displaced"


def test_older_row_never_displaces_a_newer_login(site, browse):
    database = site.database
    order = database.value("SELECT nextval('login_order')")
    browser = browse(site)
    browser.sign_in()
    older = with_key(browse(site), insert_from_outside(database, order=order))
    for _ in range(3):
        assert older.auth() == "displaced"
        assert browser.is_live()
    assert len(database.sessions()) == 1


def test_older_row_does_not_take_over_when_the_stored_key_is_lost(site, browse):
    database = site.database
    order = database.value("SELECT nextval('login_order')")
    browser = browse(site)
    browser.sign_in()
    older = with_key(browse(site), insert_from_outside(database, order=order))
    database.query("DELETE FROM logged_in_user")
    assert older.auth() == "displaced"
    assert browser.is_live()


@pytest.mark.parametrize("first_to_ask", [0, 1, 2])
def test_of_rows_from_outside_the_newest_wins_whoever_asks_first(site, browse, first_to_ask):
    outsiders = [with_key(browse(site), insert_from_outside(site.database)) for _ in range(3)]
    assert outsiders[first_to_ask].is_live() == (first_to_ask == 2)
    assert live_among(outsiders) == [2]
    assert len(site.database.sessions()) == 1


def test_expired_row_from_outside_displaces_nobody(site, browse):
    browser = browse(site)
    browser.sign_in()
    outside = with_key(browse(site), insert_from_outside(site.database, lifetime="-1 minute"))
    assert outside.auth() == "expired"
    assert browser.is_live()


# ---- Limits ----------------------------------------------------------------------------------------------------------


def test_limit_of_the_configuration_keeps_the_newest(new_site, browse):
    site = new_site({"session.max_sessions": 3})
    browsers = [browse(site) for _ in range(5)]
    displaced = [len(browser.sign_in()["displaced"]) for browser in browsers]
    assert displaced == [0, 0, 0, 1, 1]
    assert live_among(browsers) == [2, 3, 4]
    assert [browser.auth() for browser in browsers[:2]] == ["displaced"] * 2
    assert browsers[3].logout().status_code == 204
    assert live_among(browsers) == [2, 4]
    another = browse(site)
    assert another.sign_in()["displaced"] == []
    assert live_among(browsers) == [2, 4]


def test_limit_of_an_account_goes_before_that_of_the_configuration(new_site, browse):
    site = new_site({"session.max_sessions": 3})
    site.database.add_user("strict", limit=1)
    site.database.add_user("generous", limit=4)
    for name, limit in (("strict", 1), ("generous", 4)):
        browsers = [browse(site) for _ in range(6)]
        for browser in browsers:
            browser.sign_in(name)
        assert live_among(browsers) == list(range(6 - limit, 6))


def test_exempt_account_is_never_displaced(site, browse):
    site.database.add_user("robot", limit=0)
    browsers = [browse(site) for _ in range(5)]
    for browser in browsers:
        assert browser.sign_in("robot")["displaced"] == []
    assert live_among(browsers) == [0, 1, 2, 3, 4]
    browsers[4].logout()
    assert live_among(browsers) == [0, 1, 2, 3]


def test_no_limit_at_all(new_site, browse):
    site = new_site({"session.max_sessions": 0})
    browsers = [browse(site) for _ in range(4)]
    for browser in browsers:
        browser.sign_in()
    assert live_among(browsers) == [0, 1, 2, 3]


def test_lowered_limit_holds_from_the_next_request(site, browse):
    site.database.add_user("eve", limit=3)
    browsers = [browse(site) for _ in range(3)]
    for browser in browsers:
        browser.sign_in("eve")
    site.database.query("UPDATE users SET session_limit = 1 WHERE username = 'eve'")
    assert live_among(browsers) == [2]


def test_rows_from_outside_keep_to_the_limit_of_two(site, browse):
    site.database.add_user("eve", limit=2)
    outsiders = [with_key(browse(site), insert_from_outside(site.database, "eve")) for _ in range(4)]
    assert live_among(outsiders) == [2, 3]
    assert live_among(reversed(outsiders)) == [0, 1]
    assert len(site.database.sessions("eve")) == 2


def test_rotation_does_not_meet_the_limit(site, browse):
    site.database.add_user("eve", limit=2)
    one, other = browse(site), browse(site)
    one.sign_in("eve")
    other.sign_in("eve")
    for _ in range(3):
        assert one.sign_in("eve")["displaced"] == []
    assert live_among([one, other]) == [0, 1]


# ---- Activity --------------------------------------------------------------------------------------------------------


def test_polling_the_state_is_no_activity(new_site, browse):
    # With one worker the next answer comes after all that the one before has left to do.
    site = new_site({"server.workers": 1})
    browser = browse(site)
    session_id = browser.sign_in()["session"]["id"]
    site.database.make_stale(session_id)
    before = site.database.last_seen_at(session_id)
    for _ in range(5):
        assert browser.state()["live"] is True
    assert site.database.last_seen_at(session_id) == before


def test_state_says_who_is_signed_in_for_one_round_trip_to_the_database(new_site, browse):
    site = new_site({"server.workers": 1})
    first, second = browse(site), browse(site)
    user = first.sign_in()["user"]
    second.sign_in("bob")
    assert first.state() == {"live": True, "user": {"id": user["id"], "username": "alice"}}
    browse(site).sign_in("bob")
    counts = Counts(site.daemon)
    for _ in range(10):
        assert first.state()["user"]["username"] == "alice"
        assert set(second.state()) == {"live", "reason", "ended_at", "by"}
    # Whoever reads the metrics may have the live sessions counted meanwhile.
    assert 20 <= counts.grown("database_round_trips") <= 21


def test_state_cannot_keep_a_session_from_going_idle(new_site, browse):
    site = new_site({"session.idle_timeout": "30m", "server.workers": 1})
    browser = browse(site)
    session_id = browser.sign_in()["session"]["id"]
    site.database.make_stale(session_id, "29 minutes")
    assert browser.state()["live"] is True
    site.database.query("UPDATE sessions SET last_seen_at = last_seen_at - interval '2 minutes'")
    state = browser.state()
    assert (state["live"], state["reason"]) == (False, "idle")


@pytest.mark.parametrize("path", ["/session/auth", "/session/me", "/page", "/session/account"])
def test_request_of_a_person_is_activity(site, browse, path):
    browser = browse(site)
    session_id = browser.sign_in()["session"]["id"]
    site.database.make_stale(session_id)
    before = site.database.last_seen_at(session_id)
    assert browser.get(path).status_code == 200
    wait_until(lambda: site.database.last_seen_at(session_id) > before, "last_seen_at to be brought up to date")


def test_activity_is_written_at_most_once_in_touch_interval(new_site, browse):
    site = new_site({"session.touch_interval": "5m", "server.workers": 1})
    browser = browse(site)
    session_id = browser.sign_in()["session"]["id"]
    site.database.make_stale(session_id, "4 minutes")
    before = site.database.last_seen_at(session_id)
    for _ in range(5):
        assert browser.is_live()
    assert site.database.last_seen_at(session_id) == before
    site.database.make_stale(session_id, "6 minutes")
    assert browser.is_live() and browser.is_live()
    touched = site.database.last_seen_at(session_id)
    assert touched > before
    assert browser.is_live() and browser.is_live()
    assert site.database.last_seen_at(session_id) == touched


def test_activity_does_not_prolong_the_lifetime(site, browse):
    browser = browse(site)
    session = browser.sign_in()["session"]
    site.database.make_stale(session["id"])
    assert browser.is_live()
    assert browser.me().json()["session"]["expires_at"] == session["expires_at"]


# ---- Other ends ------------------------------------------------------------------------------------------------------


def test_lifetime_of_the_configuration(new_site, browse):
    site = new_site({"session.lifetime": "3h"})
    session_id = browse(site).sign_in()["session"]["id"]
    seconds = site.database.value(
        "SELECT extract(epoch FROM expires_at - created_at)::bigint FROM sessions WHERE id = %s", session_id
    )
    assert seconds == 3 * 3600


def ends(browser, reason):
    """It is out, is told why everywhere, and sees no error."""
    assert browser.auth() == reason
    problem(browser.me(), 401, reason)
    state = browser.state()
    assert (state["live"], state["reason"]) == (False, reason)
    assert TIME.fullmatch(state["ended_at"])
    assert browser.guarded().status_code == 401


def test_expired_session(site, browse):
    browser = browse(site)
    session_id = browser.sign_in()["session"]["id"]
    site.database.query("UPDATE sessions SET expires_at = now() - interval '1 second' WHERE id = %s", session_id)
    ends(browser, "expired")
    assert browser.sign_in()["displaced"] == []
    assert site.database.ended(session_id) in ("expired", "logged_out")


def test_expired_session_elsewhere_is_not_displaced(site, browse):
    old, new = browse(site), browse(site)
    session_id = old.sign_in()["session"]["id"]
    site.database.query("UPDATE sessions SET expires_at = now() - interval '1 second' WHERE id = %s", session_id)
    assert new.sign_in()["displaced"] == []
    ends(old, "expired")
    assert new.is_live()


def test_idle_session(new_site, browse):
    site = new_site({"session.idle_timeout": "15m"})
    browser = browse(site)
    session_id = browser.sign_in()["session"]["id"]
    site.database.make_stale(session_id, "14 minutes")
    assert browser.is_live()
    wait_until(
        lambda: site.database.value("SELECT last_seen_at > now() - interval '5 minutes' FROM sessions"), "the touch"
    )
    site.database.make_stale(session_id, "16 minutes")
    ends(browser, "idle")
    other = browse(site)
    assert other.sign_in()["displaced"] == []
    assert browser.auth() == "idle"


def test_idle_timeout_is_off_by_default(site, browse):
    browser = browse(site)
    site.database.make_stale(browser.sign_in()["session"]["id"], "13 days")
    assert browser.is_live()


def test_expired_and_idle_sessions_do_not_count_for_the_limit(new_site, browse):
    site = new_site({"session.max_sessions": 2, "session.idle_timeout": "1h"})
    browsers = [browse(site) for _ in range(3)]
    ids = [browser.sign_in()["session"]["id"] for browser in browsers[:2]]
    site.database.make_stale(ids[1], "2 hours")
    browsers[2].sign_in()
    assert live_among(browsers) == [0, 2]


def test_session_ended_by_an_operator(site, browse):
    browser, bystander = browse(site), browse(site)
    session_id = browser.sign_in("alice")["session"]["id"]
    bystander.sign_in("bob")
    site.ctl().run("session", "end", session_id)
    ends(browser, "revoked")
    assert bystander.is_live()
    assert site.database.stored_key("alice") is None
    assert site.ctl().refused("session", "end", session_id)


def test_sessions_of_an_account_ended_by_an_operator(site, browse):
    browser, bystander = browse(site), browse(site)
    browser.sign_in("alice")
    bystander.sign_in("bob")
    site.ctl().run("session", "end", "--user", "alice")
    ends(browser, "revoked")
    assert bystander.is_live()
    site.ctl().run("session", "end", "--all")
    ends(bystander, "revoked")


def test_disabled_account_is_out_at_once_and_cannot_come_back(site, browse):
    browser = browse(site)
    browser.sign_in()
    site.ctl().run("user", "disable", "alice")
    ends(browser, "disabled")
    problem(browse(site).login(), 403, "account_closed")
    site.ctl().run("user", "enable", "alice")
    assert browser.auth() == "disabled"
    browser.sign_in()
    assert browser.is_live()


def test_account_disabled_in_the_table_is_out_at_once(site, browse):
    browser = browse(site)
    session_id = browser.sign_in()["session"]["id"]
    site.database.query("UPDATE users SET is_active = false WHERE username = 'alice'")
    ends(browser, "disabled")
    assert site.database.ended(session_id) == "disabled"
    assert site.database.sessions() == []


def test_password_changed_by_an_operator_ends_the_sessions(site, browse):
    browser = browse(site)
    browser.sign_in()
    site.secrets.add("another long password")
    site.ctl().run("user", "passwd", "alice", stdin="another long password\n")
    ends(browser, "password_changed")
    problem(browser.login(), 401, "invalid_credentials")
    answer = browser.login("alice", "another long password")
    assert answer.status_code == 200
    assert browser.is_live()


def test_session_deleted_with_its_account(site, browse):
    browser = browse(site)
    browser.sign_in()
    site.ctl().run("user", "delete", "alice")
    assert not browser.is_live()
    assert browser.auth() == "unauthenticated"


# ---- Several daemons on one database ---------------------------------------------------------------------------------


def test_displaced_on_every_host(new_daemon, site, browse):
    """Another daemon on the same database knows it at the very next request."""
    elsewhere = new_daemon(on=site.database).start()
    for _ in range(5):
        first, second = browse(site), browse(site)
        first.sign_in()
        cookie = {"Cookie": f"onesession={first.key}"}
        assert elsewhere.ask(headers=cookie).status == 200
        second.sign_in()
        answer = elsewhere.ask(headers=cookie)
        assert (answer.status, answer.get("Session-Reason")) == (401, "displaced")
        assert elsewhere.ask(headers={"Cookie": f"onesession={second.key}"}).status == 200


def test_row_that_was_committed_late_does_not_outlive_a_newer_login(site, browse):
    """Another program's transaction was open while somebody signed in, who could not see its row."""
    key = "L" * 43
    other = site.database.connect()
    with other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(
            "INSERT INTO sessions (session_key, user_id, expires_at) VALUES (%s, %s, now() + '1 hour')",
            (hashlib.sha256(key.encode()).digest(), site.database.user_id("alice")),
        )
        newer = browse(site)
        newer.sign_in()
        cursor.execute("COMMIT")
    other.close()
    assert newer.is_live()
    newer.logout()
    late = browse(site)
    late.key = key
    assert late.auth() == "displaced"
    assert site.database.sessions() == []

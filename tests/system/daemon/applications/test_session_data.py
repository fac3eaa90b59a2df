"""Session data: what an application's handlers keep with a session, by the routes of tests/application."""

import hashlib
import re

import pytest
from psycopg2.extras import Json

from support.browser import problem
from support.locks import HeldRow, waits_in_database
from support.status import Counts
from support.waiting import Background

NOTHING = {"between": None, "end": None}


def keep(browser, **values):
    answer = browser.post("/session/application/kept", {"set": values})
    assert answer.status_code == 200
    assert answer.json() == {"refused": []}
    return answer


def remove(browser, *names):
    assert browser.post("/session/application/kept", {"remove": names}).status_code == 200


def kept(browser, name="kept"):
    answer = browser.get("/session/application/kept", params={"name": name})
    assert answer.status_code == 200
    return answer.json()["value"]


def enter(browser, username="alice", **steps):
    answer = browser.post(
        "/session/application/enter", {"username": username, "password": browser.site.database.password, **steps}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def leave(browser, **steps):
    answer = browser.post("/session/application/leave", steps)
    assert answer.status_code == 200, answer.text
    return answer.json()


def key_of(browser):
    return hashlib.sha256(browser.key.encode()).digest()


def of_sessions(site, username="alice"):
    """What is kept with the account's sessions, oldest login first."""
    rows = site.database.query(
        "SELECT s.data FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.username = %s ORDER BY s.login_order",
        username,
    )
    return [row[0] for row in rows]


def of_nobody(site):
    """What is kept for browsers that nobody is signed in at."""
    return [row[0] for row in site.database.query("SELECT data FROM anonymous_sessions ORDER BY created_at")]


def attributes(answer):
    """The Set-Cookie of the session's cookie, without its value."""
    fields = [field for field in answer.raw.headers.getlist("Set-Cookie") if field.startswith("onesession=")]
    assert len(fields) == 1
    return re.sub(r"^onesession=[\w-]{43};", "onesession=KEY;", fields[0])


# ---- With a session --------------------------------------------------------------------------------------------------


def test_data_is_kept_with_the_session(application, browse):
    browser, other = browse(application), browse(application)
    browser.sign_in()
    other.sign_in("bob")
    assert kept(browser) is None
    keep(browser, kept={"list": [1, 2.5, "drei", None, True]}, more="ä€😀")
    assert kept(browser) == {"list": [1, 2.5, "drei", None, True]}
    assert kept(browser, "more") == "ä€😀"
    assert kept(other) is None
    assert of_sessions(application) == [{"kept": {"list": [1, 2.5, "drei", None, True]}, "more": "ä€😀"}]
    assert of_sessions(application, "bob") == [{}]
    keep(browser, kept="other")
    remove(browser, "more", "never set")
    assert of_sessions(application) == [{"kept": "other"}]
    assert kept(browser, "more") is None


def test_each_visit_is_counted(application, browse):
    browser = browse(application)
    assert [browser.get("/session/application/visits").json()["visits"] for _ in range(3)] == [1, 2, 3]
    browser.sign_in()
    assert [browser.get("/session/application/visits").json()["visits"] for _ in range(2)] == [4, 5]


def test_every_kind_of_value_comes_back_as_it_was(application, browse):
    values = {
        "null": None,
        "integers": [2**63 - 1, -(2**63), 0],
        "reals": [0.1, 1e-300, 99999999999999984.0, 1.0, -2.5e10],
        "texts": ["", "\\u0000", "\x1f", "\u2028", '"', "\ufffe", "a" * 1000],
        "é": {"": {"": []}},
    }
    browser = browse(application)
    browser.sign_in()
    keep(browser, **values)
    for name, value in values.items():
        found = kept(browser, name)
        assert found == value
        assert str(found) == str(value)
    row = "SELECT xmin::text FROM sessions"
    before = application.database.value(row)
    keep(browser, **values)
    assert application.database.value(row) == before


def test_nothing_is_written_when_nothing_has_changed(application, browse):
    browser, stranger = browse(application), browse(application)
    browser.sign_in()
    for one, table in ((browser, "sessions"), (stranger, "anonymous_sessions")):
        keep(one, kept={"a": 1}, more=[])
        before = application.database.value(f"SELECT xmin::text FROM {table}")
        keep(one, kept={"a": 1})
        remove(one, "never set")
        kept(one)
        assert one.get("/session/application/kept").status_code == 200
        assert application.database.value(f"SELECT xmin::text FROM {table}") == before
        keep(one, kept={"a": 2})
        assert application.database.value(f"SELECT xmin::text FROM {table}") != before


def test_only_routes_that_keep_data_pay_for_it(new_application, browse):
    """One round trip more to read; one more only when something is written."""
    site = new_application({"server.workers": 1})
    browser = browse(site)
    browser.sign_in()
    keep(browser, kept=1)
    browser.me(), kept(browser)

    def round_trips(call):
        counts = Counts(site.daemon)
        for _ in range(10):
            call()
        # Whoever reads the metrics may have the live sessions counted meanwhile.
        return counts.grown("database_round_trips") // 10

    assert round_trips(browser.me) == 1
    assert round_trips(lambda: browser.get("/session/application/forgotten")) == 1
    assert round_trips(lambda: kept(browser)) == 2
    assert round_trips(lambda: keep(browser, kept=1)) == 2
    assert round_trips(lambda: browser.get("/session/application/visits")) == 3
    browser.key = None
    assert round_trips(lambda: kept(browser)) == 0


def test_data_survives_a_restart_of_the_daemon_and_lost_connections(application, browse):
    database = application.database
    browser, stranger = browse(application), browse(application)
    browser.sign_in()
    keep(browser, kept=1)
    for number in range(2, 6):
        database.cluster.terminate_backends(database.name)
        keep(browser, kept=number)
        keep(stranger, kept=number)
        assert (kept(browser), kept(stranger)) == (number, number)
    application.daemon.stop()
    application.daemon.start()
    assert (kept(browser), kept(stranger)) == (5, 5)
    assert of_nobody(application) == [{"kept": 5}]


# ---- At the same time ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_signed_in", [True, False])
def test_requests_at_the_same_time_do_not_undo_each_other(new_application, browse, is_signed_in):
    """Both have read what there was before either writes."""
    # Of which one is a guard worker, which runs neither.
    application = new_application({"server.workers": 3})
    browser = browse(application)
    if is_signed_in:
        browser.sign_in()
    keep(browser, first="old", second="old", third="old")
    with HeldRow(application, "sessions" if is_signed_in else "anonymous_sessions") as row:
        calls = [Background(keep, browser, first="new"), Background(remove, browser, "second")]
        waits_in_database(application.database, 2)
        row.let_go()
        for call in calls:
            call.result()
    expected = {"first": "new", "third": "old"}
    assert (of_sessions if is_signed_in else of_nobody)(application) == [expected]


def test_session_that_ends_in_the_middle_of_a_request_is_not_brought_back(application, browse):
    browser = browse(application)
    browser.sign_in()
    keep(browser, kept="old")
    key = browser.key
    with HeldRow(application, "sessions") as row:
        call = Background(keep, browser, kept="new")
        waits_in_database(application.database)
        row.do("DELETE FROM sessions")
        row.let_go()
        assert "Set-Cookie" not in call.result().headers
    assert browser.key == key
    assert not browser.is_live()
    assert kept(browser) is None
    assert of_sessions(application) == of_nobody(application) == []


def test_login_in_another_tab_in_the_middle_of_a_request_keeps_its_cookie(application, browse):
    """What the slower tab wanted to keep for nobody goes nowhere: it makes no cookie in place of the login's."""
    browser = browse(application)
    keep(browser, kept="old")
    with HeldRow(application, "anonymous_sessions") as row:
        call = Background(keep, browser, kept="new")
        waits_in_database(application.database)
        row.do("DELETE FROM anonymous_sessions")
        row.let_go()
        assert "Set-Cookie" not in call.result().headers
    assert of_nobody(application) == []


# ---- For nobody ------------------------------------------------------------------------------------------------------


def test_browser_that_nobody_is_signed_in_at_keeps_data_too(application, browse):
    browser = browse(application)
    answer = keep(browser, kept=[1])
    assert attributes(answer) == "onesession=KEY; Path=/; Max-Age=1209600; HttpOnly; SameSite=Lax"
    assert attributes(browse(application).login("bob")) == attributes(answer)
    key = browser.key
    assert "Set-Cookie" not in keep(browser, kept=[1, 2]).headers
    assert kept(browser) == [1, 2]
    assert browser.key == key
    assert of_nobody(application) == [{"kept": [1, 2]}]
    rows = application.database.query(
        "SELECT session_key, expires_at - now() BETWEEN '13 days 23 hours' AND '14 days' FROM anonymous_sessions"
    )
    assert [(bytes(row[0]), row[1]) for row in rows] == [(key_of(browser), True)]


def test_cookie_of_nobody_signs_nobody_in(application, browse):
    browser = browse(application)
    keep(browser, kept=1)
    assert browser.auth() == "unauthenticated"
    problem(browser.me(), 401, "unauthenticated")
    assert browser.state()["live"] is False
    assert browser.state()["reason"] == "unauthenticated"
    assert browser.guarded().status_code == 401
    assert browse(application, program=False).get("/session/login").status_code == 200


def test_reading_and_removing_keep_nothing(application, browse):
    browser = browse(application)
    assert kept(browser) is None
    remove(browser, "kept")
    keep(browser)
    assert browser.key is None
    assert of_nobody(application) == []


def test_key_that_a_browser_brings_along_is_never_adopted(application, browse):
    """Or whoever has planted it could read what is kept under it."""
    ended = browse(application)
    ended.sign_in()
    browse(application).sign_in()
    for key in (ended.key, "x" * 43):
        brought = {"cookies": {"onesession": key}}
        browser = browse(application)
        assert "Set-Cookie" not in browser.get("/session/application/kept", **brought).headers
        assert browser.post("/session/application/kept", {"set": {"kept": 1}}, **brought).json() == {"refused": []}
        assert browser.key not in (None, key)
        assert kept(browser) == 1
        stored = application.database.query("DELETE FROM anonymous_sessions RETURNING session_key")
        assert [bytes(row[0]) for row in stored] == [key_of(browser)]


def test_data_of_nobody_ends_with_the_lifetime(application, browse):
    browser = browse(application)
    keep(browser, kept="old")
    key = browser.key
    application.database.query("UPDATE anonymous_sessions SET expires_at = now() - interval '1 second'")
    assert kept(browser) is None
    keep(browser, more="new")
    assert browser.key != key
    assert of_nobody(application) == [{"kept": "old"}, {"more": "new"}]
    assert kept(browser) is None


# ---- Signing in and out ----------------------------------------------------------------------------------------------


def test_data_of_nobody_goes_along_at_login(application, browse):
    browser = browse(application)
    keep(browser, kept="basket")
    former = browser.key
    browser.sign_in()
    assert kept(browser) == "basket"
    assert of_sessions(application) == [{"kept": "basket"}]
    assert of_nobody(application) == []
    other = browse(application)
    other.key = former
    assert kept(other) is None


def test_data_that_has_expired_does_not_go_along(application, browse):
    browser = browse(application)
    keep(browser, kept="basket")
    application.database.query("UPDATE anonymous_sessions SET expires_at = now()")
    browser.sign_in()
    assert kept(browser) is None


def test_data_goes_along_when_the_same_person_signs_in_again(application, browse):
    browser = browse(application)
    browser.sign_in()
    keep(browser, kept="basket")
    former = browser.key
    browser.sign_in()
    assert browser.key != former
    assert kept(browser) == "basket"
    assert of_sessions(application) == [{"kept": "basket"}]


def test_data_is_dropped_when_another_account_signs_in(application, browse):
    browser = browse(application)
    browser.sign_in("alice")
    keep(browser, kept="alice's")
    browser.sign_in("bob")
    assert kept(browser) is None
    keep(browser, more="bob's")
    browser.sign_in("alice")
    assert kept(browser) is None and kept(browser, "more") is None
    assert of_sessions(application) == [{}]
    assert of_nobody(application) == []


def test_another_device_does_not_get_the_data(application, browse):
    first, second = browse(application), browse(application)
    first.sign_in()
    keep(first, kept="first")
    second.sign_in()
    assert kept(second) is None
    assert kept(first) is None


def test_data_is_gone_after_logout(application, browse):
    browser = browse(application)
    browser.sign_in()
    keep(browser, kept="old")
    key = browser.key
    assert browser.logout().status_code == 204
    assert kept(browser) is None
    browser.key = key
    assert kept(browser) is None
    browser.sign_in()
    assert kept(browser) is None


def test_data_stays_when_the_password_is_changed(application, browse):
    browser = browse(application)
    browser.sign_in()
    keep(browser, kept="basket")
    former = browser.key
    answer = browser.post(
        "/session/password",
        {"current_password": application.database.password, "new_password": "another horse entirely"},
    )
    assert answer.status_code < 400, answer.text
    assert browser.key != former
    assert kept(browser) == "basket"


def test_handler_that_keeps_something_and_logs_in(application, browse):
    browser = browse(application)
    assert enter(browser, before={"kept": "before"}) == {"between": "before", "end": "before"}
    assert browser.is_live()
    assert kept(browser) == "before"
    # Without a detour by a row for nobody.
    assert of_nobody(application) == []


def test_handler_that_logs_in_and_keeps_something(application, browse):
    browser = browse(application)
    keep(browser, kept="of nobody", more=1)
    steps = enter(browser, before={"kept": "before"}, after={"kept": "after"})
    assert steps == {"between": "before", "end": "after"}
    assert of_sessions(application) == [{"kept": "after", "more": 1}]
    assert of_nobody(application) == []


def test_handler_that_logs_in_somebody_else_drops_what_was_kept_before(application, browse):
    browser = browse(application)
    browser.sign_in("alice")
    keep(browser, kept="alice's", more="alice's")
    assert enter(browser, "bob", before={"kept": "before"}) == NOTHING
    assert enter(browser, "alice", before={"kept": "before"}, after={"last": "after"}) == NOTHING
    assert of_sessions(application) == [{"last": "after"}]


def test_handler_that_logs_the_same_person_in_again(application, browse):
    browser = browse(application)
    browser.sign_in()
    keep(browser, kept="old", more="old")
    assert enter(browser, before={"kept": "before"}) == {"between": "before", "end": "before"}
    assert of_sessions(application) == [{"kept": "before", "more": "old"}]


def test_what_was_kept_before_a_login_that_fails_stays_where_it_was(application, browse):
    browser = browse(application)
    steps = {"username": "alice", "password": "wrong", "before": {"kept": "before"}}
    problem(browser.post("/session/application/enter", steps), 401, "invalid_credentials")
    assert kept(browser) == "before"
    assert of_nobody(application) == [{"kept": "before"}]
    browser.sign_in("bob")
    problem(browser.post("/session/application/enter", {**steps, "before": {"kept": "again"}}), 401, "invalid_credentials")
    assert of_sessions(application, "bob") == [{"kept": "again"}]


def test_handler_that_logs_out_and_keeps_something(application, browse):
    browser = browse(application)
    browser.sign_in()
    keep(browser, kept="old")
    key = browser.key
    assert leave(browser, before={"kept": "before"}) == NOTHING
    assert browser.key is None
    assert of_sessions(application) == of_nobody(application) == []
    assert browser.get("/session/application/kept?name=kept", cookies={"onesession": key}).json() == {"value": None}
    browser.sign_in()
    key = browser.key
    answer = browser.post("/session/application/leave", {"before": {"more": 1}, "after": {"kept": "goodbye"}})
    assert answer.json() == {"between": None, "end": "goodbye"}
    assert attributes(answer) == "onesession=KEY; Path=/; Max-Age=1209600; HttpOnly; SameSite=Lax"
    assert browser.key not in (None, key)
    assert kept(browser) == "goodbye"
    assert of_nobody(application) == [{"kept": "goodbye"}]
    assert browser.auth() == "unauthenticated"


@pytest.mark.parametrize("is_signed_in", [True, False])
def test_handler_that_logs_out_and_in_again_begins_with_nothing(application, browse, is_signed_in):
    browser = browse(application)
    if is_signed_in:
        browser.sign_in()
    keep(browser, kept="old")
    assert enter(browser, before={"kept": "before"}, afresh=True) == NOTHING
    assert kept(browser) is None
    assert of_sessions(application) == [{}]


def test_data_of_nobody_is_gone_after_logout_too(application, browse):
    browser = browse(application)
    keep(browser, kept="old")
    assert browser.logout().status_code == 204
    assert browser.key is None
    keep(browser, kept="older")
    assert leave(browser, after={"more": 1}) == NOTHING
    assert kept(browser) is None
    assert kept(browser, "more") == 1


# ---- What goes wrong -------------------------------------------------------------------------------------------------


def test_what_cannot_be_written_is_told(application, browse):
    browser = browse(application, permits_5xx=True)
    browser.sign_in()
    keep(browser, kept="old")
    application.database.query(f"REVOKE UPDATE ON sessions FROM {application.database.cluster.DAEMON}")
    answer = browser.post("/session/application/kept", {"set": {"kept": "new"}})
    problem(answer, 500, "internal")
    assert "Application" not in answer.headers
    assert kept(browser) == "old"
    keep(browser, kept="old")
    application.database.query(f"GRANT UPDATE ON sessions TO {application.database.cluster.DAEMON}")
    assert keep(browser, kept="new").headers["Application"] == "kept"


def test_write_that_takes_too_long_is_given_up(new_application, browse):
    site = new_application({"database.statement_timeout": "300ms"})
    browser = browse(site, permits_5xx=True)
    browser.sign_in()
    with HeldRow(site, "sessions"):
        answer = browser.post("/session/application/kept", {"set": {"kept": "new"}})
        problem(answer, 503, "unavailable")
        assert "Retry-After" in answer.headers
    keep(browser, kept="new")


def test_login_stands_when_what_was_kept_with_it_cannot_be_written(application, browse):
    """Its cookie reaches the browser, or the new session would be nobody's."""
    browser = browse(application, permits_5xx=True)
    application.database.query(f"REVOKE UPDATE ON sessions FROM {application.database.cluster.DAEMON}")
    steps = {"username": "alice", "password": application.database.password, "before": {"kept": 1}}
    problem(browser.post("/session/application/enter", steps), 500, "internal")
    assert browser.is_live()
    assert kept(browser) is None


def test_without_a_database_nothing_is_kept_and_everybody_is_told(application, browse):
    stranger, browser = browse(application, permits_5xx=True), browse(application, permits_5xx=True)
    browser.sign_in()
    application.database.close()
    application.database.cluster.stop()
    for one in (stranger, browser):
        problem(one.post("/session/application/kept", {"set": {"kept": 1}}), 503, "unavailable")
    problem(browser.get("/session/application/kept"), 503, "unavailable")
    assert stranger.key is None
    # Nobody's data is nothing that the database would have to be asked for.
    assert kept(stranger) is None


def test_answer_that_is_a_failure_keeps_nothing(application, browse):
    browser, stranger = browse(application, permits_5xx=True), browse(application, permits_5xx=True)
    browser.sign_in()
    for one in (browser, stranger):
        for status in (500, 503, 0):
            answer = one.post("/session/application/kept", {"set": {"kept": 1}, "status": status})
            assert answer.status_code == (status or 500)
        assert kept(one) is None
    assert stranger.key is None
    assert of_sessions(application) == [{}]
    # It is no failure that the person did something wrong.
    assert browser.post("/session/application/kept", {"set": {"kept": 1}, "status": 409}).status_code == 409
    assert kept(browser) == 1


def test_data_beyond_the_limits_is_refused(new_application, browse):
    application = new_application({"server.max_body": "256KiB"})
    browser = browse(application)
    browser.sign_in()
    keep(browser, kept="old")
    deep = 1
    for _ in range(33):
        deep = [deep]
    refused = {"": 1, "n" * 201: 1, "deep": deep, "large": "x" * 65536, "real": 1e17}
    answer = browser.post("/session/application/kept", {"set": {**refused, "kept": "new", "n" * 200: deep[0]}})
    assert sorted(answer.json()["refused"]) == sorted(refused)
    assert of_sessions(application) == [{"kept": "new", "n" * 200: deep[0]}]


def test_route_that_keeps_no_data_is_told_so(application, browse):
    browser = browse(application)
    browser.sign_in()
    keep(browser, kept=1)
    assert browser.post("/session/application/forgotten", {"set": {"kept": 2}}).json() == {"refused": ["kept"]}
    assert browser.get("/session/application/forgotten", params={"name": "kept"}).json() == {"value": None}
    assert kept(browser) == 1
    assert re.search("no_data_kept .*route=/forgotten", application.daemon.log_text())


def test_data_of_another_program_is_read_as_long_as_it_can_be(application, browse):
    browser = browse(application, permits_5xx=True)
    browser.sign_in()
    set_to = "UPDATE sessions SET data = %s"
    application.database.query(set_to, Json({"kept": [{"a": 1.50}], "other": {}}))
    assert kept(browser) == [{"a": 1.5}]
    keep(browser, kept="new")
    assert of_sessions(application) == [{"kept": "new", "other": {}}]
    for unreadable in ([1], "text", {"secret": 10**30}):
        application.database.query(set_to, Json(unreadable))
        problem(browser.get("/session/application/kept"), 500, "internal")
        assert of_sessions(application) == [unreadable]
    assert application.daemon.log_text().count("session_data_unreadable") == 3
    assert browser.is_live()


def test_application_s_own_cookie_does_not_hide_what_is_kept_for_nobody(new_application, browse):
    """With session.key_from each visitor may have one, which is no session's."""
    application = new_application({"session.key_from": "cookie sid"})
    browser = browse(application)
    browser.http.cookies.set("sid", "of-a-visitor-0123456789", path="/")
    keep(browser, basket=[1])
    key = browser.key
    keep(browser, more=2)
    assert browser.key == key and of_nobody(application) == [{"basket": [1], "more": 2}]
    browser.sign_in()
    assert of_sessions(application) == [{"basket": [1], "more": 2}]
    assert of_nobody(application) == []

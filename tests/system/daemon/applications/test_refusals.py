"""Receivers that refuse with a sentence (ones_refuse): what programs get, what people see, and that nothing is changed."""

import html
import re

import pytest

from support.browser import ASK, PHRASE, form_of, problem
from support.rows import insert_from_outside
from support.site import with_conflicts

SENTENCE = '<b>Your plan</b> ended on 1 May & "waits".'
NEW_PASSWORD = "quite another phrase"


def at(signal, how="with a sentence"):
    """The browser's name by which the receiver refuses at that signal."""
    return f"Refused at {signal}: {how}"


LOGIN = at("user_logged_in")

def refused(answer, reason="no_plan", sentence=SENTENCE):
    body = problem(answer, 403, "refused")
    assert (body["detail"], body["reason"]) == (sentence, reason)
    assert "Set-Cookie" not in answer.headers


def as_now(browser, user_agent):
    browser.http.headers["User-Agent"] = user_agent
    return browser


def rows(site):
    """All that a login could have changed."""
    tables = ("sessions", "logged_in_user", "ended_sessions", "events", "application_audit", "login_failures")
    return {table: site.database.query(f"SELECT * FROM {table} ORDER BY 1") for table in tables}


@pytest.mark.parametrize("how", ["with a sentence", "and true"])
def test_program_gets_the_sentence_and_the_code_and_nothing_is_changed(application, browse, how):
    live = browse(application)
    live.sign_in()
    before = rows(application)
    browser = browse(application, user_agent=at("user_logged_in", how))
    refused(browser.login())
    assert rows(application) == before
    assert browser.key is None and live.is_live()
    (line,) = application.daemon.lines_of("login_refused")
    assert "username=alice" in line and "reason=no_plan" in line
    (line,) = application.daemon.lines_of("receiver_refused")
    assert " info " in line and "signal=user_logged_in receiver=gate reason=no_plan" in line
    assert application.daemon.lines_of("receiver_failed") == application.daemon.lines_of("signal_fault") == []
    as_now(browser, "Firefox").sign_in()
    assert live.auth() == "displaced"


def test_person_sees_the_sentence_escaped_on_the_sign_in_page_with_the_name_kept(application, browse):
    person = browse(application, program=False, user_agent=LOGIN)
    page = person.login(next="/members")
    assert page.status_code == 403 and "Set-Cookie" not in page.headers
    assert page.headers["Content-Type"].startswith("text/html")
    assert SENTENCE not in page.text and "<b>Your" not in page.text
    told = re.search(r'<p class="notice problem" id="told" role="alert">(.*?)</p>', page.text).group(1)
    assert html.unescape(told) == SENTENCE
    assert "<title>" in page.text and "Sign in: refused" in page.text
    fields = form_of(page.text, "/session/login")
    assert fields["username"] == "alice" and fields["next"] == "/members" and fields["password"] == ""
    # The same form again, once nothing stands against it.
    as_now(person, "Firefox")
    answer = person.login(**{name: value for name, value in fields.items() if name in ("next", "form")})
    assert answer.status_code == 303 and answer.headers["Location"] == "/members"


def test_refused_login_never_counts_as_a_failed_attempt(new_application, browse):
    site = new_application({"login.attempts_per_user": 2, "login.attempts_per_address": 2})
    browser = browse(site, user_agent=LOGIN)
    for _ in range(5):
        refused(browser.login())
    assert site.database.query("SELECT * FROM login_failures") == []
    as_now(browser, "Firefox").sign_in()


def test_wrong_password_is_not_told_from_a_refused_account_s(application, browse):
    """What a receiver would say is for who has the password."""
    problem(browse(application, user_agent=LOGIN).login(password="wrong"), 401, "invalid_credentials")
    assert application.daemon.lines_of("receiver_refused") == []


def test_refused_rotation_leaves_the_browser_its_session(application, browse):
    browser = browse(application)
    browser.sign_in()
    key = browser.key
    refused(as_now(browser, LOGIN).login())
    assert browser.key == key and browser.is_live()


@pytest.mark.parametrize("signal", ["session_displaced", "user_logged_out"])
def test_login_is_refused_by_what_it_would_end(application, browse, signal):
    """session_displaced: of another browser. user_logged_out: of another account in this one."""
    other = browse(application)
    other.sign_in("alice" if signal == "session_displaced" else "bob")
    browser = browse(application) if signal == "session_displaced" else other
    before = rows(application)
    refused(as_now(browser, at(signal)).login())
    assert rows(application) == before
    assert as_now(other, "Firefox").is_live()


def test_takeover_that_is_refused_leaves_its_ticket(new_application, browse):
    site = new_application(ASK)
    live = browse(site)
    live.sign_in()
    person = browse(site, program=False)
    page = person.login()
    assert page.status_code == 409
    fields = form_of(page.text, "/session/login")
    page = as_now(person, LOGIN).post("/session/login", fields)
    assert page.status_code == 403 and html.escape(SENTENCE, quote=False)[:20] in page.text
    assert form_of(page.text, "/session/login")["username"] == "alice"
    assert live.is_live()
    assert as_now(person, "Firefox").post("/session/login", fields).status_code == 303
    assert live.auth() == "displaced"


def test_own_way_in_gets_the_refusal_as_a_result(application, browse):
    """tests/application/entrance.c: ones_reply_failure()."""
    browser = browse(application, user_agent=LOGIN)
    answer = browser.post("/session/application/enter", {"username": "alice", "password": PHRASE, "before": {"kept": 1}})
    problem(answer, 403, "refused")
    assert answer.json()["reason"] == "no_plan"


def test_after_a_conflict_the_last_word_counts(application, browse):
    with_conflicts(application)
    browser = browse(application, user_agent=at("user_logged_in", "conflict"))
    refused(browser.login(), "call_2", "One sentence for each call.")
    assert application.database.value("SELECT last_value FROM conflicts") == 2
    assert browser.key is None


def test_refusal_does_not_hide_that_the_database_was_at_fault(application, browse):
    """Each run conflicts: nobody knows whether it would be refused."""
    with_conflicts(application)
    application.database.query("ALTER SEQUENCE conflicts INCREMENT -1 MINVALUE -1000 MAXVALUE 1 RESTART 1")
    browser = browse(application, user_agent=at("user_logged_in", "conflict"), permits_5xx=True)
    problem(browser.login(), 503, "unavailable")


def test_statement_that_violates_can_be_the_reason(application, browse):
    application.database.query(
        "INSERT INTO application_audit (id, receiver, signal, is_stored) OVERRIDING SYSTEM VALUE VALUES (1, '', '', false);"
        "ALTER TABLE application_audit ALTER id RESTART 2"
    )
    refused(browse(application, user_agent=at("user_logged_in", "duplicate")).login(), "taken", "There is one already.")


# ---- Other than logins -----------------------------------------------------------------------------------------------


def test_logout_that_is_refused_leaves_the_session(application, browse):
    browser = browse(application)
    browser.sign_in()
    before = rows(application)
    refused(as_now(browser, at("user_logged_out")).logout())
    assert rows(application) == before and browser.is_live()
    person = browse(application, program=False)
    person.sign_in("bob")
    page = as_now(person, at("user_logged_out")).logout()
    assert page.status_code == 403 and "That was not done" in page.text
    assert SENTENCE not in page.text and SENTENCE in html.unescape(page.text)
    assert as_now(person, "Firefox").is_live()
    assert application.daemon.lines_of("login_refused") == []


def test_end_of_a_session_elsewhere_that_is_refused_leaves_it(new_application, browse):
    site = new_application({"session.max_sessions": 2})
    first, second = browse(site), browse(site)
    session_id = first.sign_in()["session"]["id"]
    second.sign_in()
    refused(as_now(second, at("user_logged_out")).post(f"/session/sessions/{session_id}/end"))
    assert first.is_live()
    assert as_now(second, "Firefox").post(f"/session/sessions/{session_id}/end").status_code == 204
    assert first.auth() == "revoked"


def test_change_of_password_that_is_refused_leaves_the_password(application, browse):
    browser = browse(application)
    browser.sign_in()
    application.secrets.add(NEW_PASSWORD)
    change = {"current_password": PHRASE, "new_password": NEW_PASSWORD}
    refused(as_now(browser, at("password_changed")).post("/session/password", change))
    assert browser.is_live()
    person = browse(application, program=False)
    person.sign_in("bob")
    page = as_now(person, at("password_changed")).post("/session/password", change)
    assert page.status_code == 403 and SENTENCE in html.unescape(page.text)
    other = browse(application)
    assert other.login(password=NEW_PASSWORD).status_code == 401
    other.sign_in()


def test_proof_that_is_refused_leaves_the_key(application, browse):
    browser = browse(application)
    browser.sign_in()
    key = browser.key
    refused(as_now(browser, at("identity_confirmed")).post("/session/confirm", {"password": PHRASE}))
    assert browser.key == key and browser.is_live()
    person = browse(application, program=False)
    person.sign_in("bob")
    page = as_now(person, at("identity_confirmed")).post("/session/confirm", {"password": PHRASE})
    assert page.status_code == 403 and SENTENCE in html.unescape(page.text)


# ---- Mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how, told",
    [
        ("code", "a code that is not a letter"),
        ("no code", "a code that is not a letter"),
        ("no sentence", "a sentence that is not 1 to 500 bytes"),
        ("empty", "a sentence that is not 1 to 500 bytes"),
        ("control", "a sentence that is not 1 to 500 bytes"),
        ("bytes", "a sentence that is not 1 to 500 bytes"),
        ("long", "a sentence that is not 1 to 500 bytes"),
    ],
)
def test_refusal_that_is_wrong_is_logged_and_fails_all_the_same(application, browse, how, told):
    browser = browse(application, user_agent=at("user_logged_in", f"wrong {how}"), permits_5xx=True)
    answer = browser.login()
    problem(answer, 500, "internal")
    assert "Set-Cookie" not in answer.headers and application.database.sessions() == []
    (line,) = application.daemon.lines_of("signal_fault")
    assert told in line and "signal=user_logged_in" in line and "module=application" in line and "request_id=" in line
    assert len(application.daemon.lines_of("receiver_failed")) == 1


def test_after_the_commit_it_is_too_late_to_refuse(application, browse):
    browser = browse(application, user_agent="Refused late")
    browser.sign_in()
    assert browser.is_live()
    (line,) = application.daemon.lines_of("signal_fault")
    assert "after the commit" in line and "no effect" in line


def test_failed_login_is_nothing_that_could_be_refused(application, browse):
    """It would tell the accounts that there are from others."""
    browser = browse(application, user_agent=at("user_login_failed"), permits_5xx=True)
    problem(browser.login(password="wrong"), 500, "internal")
    assert "where nothing was asked for" in application.daemon.lines_of("signal_fault")[0]


def test_displaced_session_is_not_kept_by_a_refusal(application, browse):
    """The hook ends what another program's row has displaced; nobody has asked for that."""
    old = browse(application, permits_5xx=True)
    old.sign_in()
    insert_from_outside(application.database)
    as_now(old, at("session_displaced"))
    assert old.me().status_code == 500
    assert as_now(old, "Firefox").auth() == "displaced"

"""Step-up: whose proof is too old is asked for the password again, before what matters."""

import json
import urllib.parse

import pytest

from support.browser import CHROME, PERSON_ACCEPT, form_of, live_among, problem, with_key
from support.client import JSON
from support.rows import insert_from_outside
from support.status import Counts
from support.waiting import Background

FRESH = "/session/application/open/fresh"


def confirm(browser, password=None, **fields):
    password = browser.site.database.password if password is None else password
    return browser.post("/session/confirm", {"password": password, **fields})


def signed_in_long_ago(browser, **fields):
    """A browser whose login is older than login.fresh. Returns its session's id."""
    browser.sign_in(**fields)
    session_id = browser.site.database.sessions(fields.get("username", "alice"))[-1]
    browser.site.database.make_unproved(session_id)
    return session_id


def leads_to(answer):
    """The path that a redirect leads to, and its query."""
    assert answer.status_code == 303, f"{answer.status_code} {answer.text[:300]}"
    url = urllib.parse.urlsplit(answer.headers["Location"])
    assert not url.scheme and not url.netloc
    return url.path, dict(urllib.parse.parse_qsl(url.query))


# ---- What asks for it ------------------------------------------------------------------------------------------------


def test_route_that_asks_for_a_fresh_proof(application, browse):
    browser = browse(application)
    problem(browser.get(FRESH), 401, "unauthenticated")
    session_id = browser.sign_in()["session"]["id"]
    assert browser.get(FRESH).json() == {"username": "alice"}
    application.database.make_unproved(session_id)
    body = problem(browser.get(FRESH), 401, "stale")
    assert body["confirm"] == "/session/confirm"
    problem(browser.post(FRESH, {}), 401, "stale")
    # It is signed in all the same.
    assert browser.is_live()
    assert confirm(browser).status_code == 200
    assert browser.get(FRESH).json() == {"username": "alice"}


def test_how_long_a_proof_lasts_is_a_setting(new_application, browse):
    site = new_application({"login.fresh": "2h"})
    browser = browse(site)
    session_id = browser.sign_in()["session"]["id"]
    site.database.make_unproved(session_id, "119 minutes")
    assert browser.get(FRESH).status_code == 200
    site.database.make_unproved(session_id, "2 hours")
    problem(browser.get(FRESH), 401, "stale")


def test_login_that_another_program_inserted_is_a_proof_until_it_says_otherwise(application, browse):
    key = insert_from_outside(application.database)
    browser = with_key(browse(application), key)
    assert browser.get(FRESH).status_code == 200
    application.database.query("UPDATE sessions SET proved_at = '-infinity'")
    problem(browser.get(FRESH), 401, "stale")


def test_person_is_led_to_the_page_and_back_to_where_it_was(application, browse):
    person = browse(application, program=False)
    signed_in_long_ago(person)
    path, query = leads_to(person.get(FRESH + "?a=%C3%A4&b"))
    assert path == "/session/confirm"
    assert query == {"next": FRESH + "?a=%C3%A4&b"}
    page = person.get(f"{path}?{urllib.parse.urlencode(query)}")
    assert page.status_code == 200
    assert "alice" in page.text and 'autocomplete="current-password"' in page.text
    fields = form_of(page.text, "/session/confirm")
    fields["password"] = application.database.password
    assert person.post("/session/confirm", fields).headers["Location"] == FRESH + "?a=%C3%A4&b"
    assert person.get(FRESH).status_code == 200


def test_what_a_form_has_sent_is_said_to_be_lost(application, browse):
    person = browse(application, program=False)
    signed_in_long_ago(person)
    before = application.url + "/session/application/visits?from=here"
    path, query = leads_to(person.post(FRESH, {"a": "b"}, headers={"Referer": before}))
    assert (path, query) == ("/session/confirm", {"lost": "true", "next": "/session/application/visits?from=here"})
    page = person.get(f"{path}?{urllib.parse.urlencode(query)}").text
    assert "has not been done yet" in page
    fields = form_of(page, "/session/confirm")
    assert fields["lost"] == "true"
    assert "has not been done yet" in confirm(person, **{**fields, "password": "wrong password"}).text
    fields["password"] = application.database.password
    assert leads_to(person.post("/session/confirm", fields)) == ("/session/application/visits", {"from": "here"})


@pytest.mark.parametrize(
    "referer", [None, "https://elsewhere.example/page", "{url}/session/confirm?next=/x", "{url}//elsewhere.example/"]
)
def test_form_of_a_page_that_is_not_known_leads_home(application, browse, referer):
    person = browse(application, program=False)
    signed_in_long_ago(person)
    headers = {"Referer": referer.format(url=application.url)} if referer else {}
    assert leads_to(person.post(FRESH, {}, headers=headers)) == ("/session/confirm", {"lost": "true"})
    assert leads_to(confirm(person)) == ("/session/account", {})


@pytest.mark.parametrize(
    "headers",
    [
        {"HX-Request": "true"},
        {"X-Requested-With": "XMLHttpRequest"},
        {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Accept": "*/*"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_scripts_of_pages_are_not_led_to_a_page(application, browse, headers, method):
    person = browse(application, program=False)
    signed_in_long_ago(person)
    body = problem(person.request(method, FRESH, headers={"Accept": PERSON_ACCEPT, **headers}), 401, "stale")
    assert body["confirm"] == "/session/confirm"


# ---- The page --------------------------------------------------------------------------------------------------------


def test_who_is_not_signed_in_signs_in(site, browse):
    problem(browse(site).post("/session/confirm", {"password": "x"}), 401, "unauthenticated")
    problem(browse(site).get("/session/confirm"), 401, "unauthenticated")
    person = browse(site, program=False)
    assert leads_to(person.get("/session/confirm?next=/page")) == ("/session/login", {"next": "/page"})
    assert leads_to(person.post("/session/confirm", {"password": "x", "next": "/page", "lost": "true"})) == (
        "/session/login",
        {"lost": "true", "next": "/page"},
    )


@pytest.mark.parametrize("wanted", ["https://elsewhere.example/", "//elsewhere.example/", "/\\elsewhere.example", ""])
def test_it_leads_nowhere_but_into_this_site(site, browse, wanted):
    person = browse(site, program=False)
    person.sign_in()
    assert leads_to(confirm(person, next=wanted)) == ("/session/account", {})
    page = person.get("/session/confirm", headers={"Referer": site.url + "//elsewhere.example/"}).text
    assert 'href="/session/account"' in page and "//elsewhere" not in page


def test_cancelling_leads_to_the_page_before_and_not_in_a_circle(site, browse):
    person = browse(site, program=False)
    person.sign_in()
    page = person.get("/session/confirm?next=/wanted", headers={"Referer": site.url + "/page?a=b"}).text
    assert '<a href="/page?a=b">Cancel</a>' in page
    page = person.get("/session/confirm?next=/wanted", headers={"Referer": site.url + "/session/confirm?x"}).text
    assert '<a href="/session/account">Cancel</a>' in page


def test_password_is_needed(site, browse):
    browser = browse(site)
    browser.sign_in()
    problem(browser.post("/session/confirm", {}), 400, "bad_request")


def test_other_sites_cannot_have_it_confirmed(site, browse):
    browser = browse(site)
    browser.sign_in()
    body = {"password": site.database.password}
    problem(browser.post("/session/confirm", body, headers={"Sec-Fetch-Site": "cross-site"}), 403, "cross_site")


# ---- What it does ----------------------------------------------------------------------------------------------------


def test_session_goes_on_under_another_key(new_application, browse):
    """Else a thief who has the key would become fresh with its owner: OWASP ASVS 5.0, 7.2.4."""
    site = new_application()
    owner = browse(site)
    owner.sign_in()
    assert owner.post("/session/application/kept", {"set": {"kept": 1}}).status_code < 300
    session_id = site.database.sessions()[0]
    site.database.make_unproved(session_id, "1 hour")
    former, device = owner.key, dict(owner.http.cookies)["onesession_device"]
    before = owner.me().json()
    answer = confirm(owner)
    assert answer.status_code == 200
    assert answer.json() == before
    assert owner.key != former
    assert dict(owner.http.cookies)["onesession_device"] == device
    thief = with_key(browse(site), former)
    assert thief.auth() == "unauthenticated"
    problem(thief.get(FRESH), 401, "unauthenticated")
    assert owner.is_live() and owner.me().json() == before
    assert owner.get("/session/application/kept?name=kept").json() == {"value": 1}
    # The stored key has changed with it, and nothing has ended.
    assert site.database.sessions() == [session_id]
    assert site.database.value("SELECT count(*) FROM logged_in_user l JOIN sessions s USING (session_key)") == 1
    assert site.database.value("SELECT count(*) FROM ended_sessions") == 0
    assert owner.logout().status_code == 204


def test_browser_that_has_lost_the_new_key_signs_in_again_without_displacing(new_site, browse):
    """As after a second click that cancelled the first one's answer."""
    site = new_site({"session.on_limit": "refuse"})
    browser = browse(site)
    browser.sign_in()
    former = browser.key
    assert confirm(browser).status_code == 200
    for cookie in browser.http.cookies:
        if cookie.name == "onesession":
            cookie.value = former
    assert browser.auth() == "unauthenticated"
    browser.sign_in()
    assert browser.is_live()


def test_it_is_an_event_a_line_and_a_number(site, browse):
    browser = browse(site, user_agent=CHROME)
    session_id = browser.sign_in()["session"]["id"]
    counted = Counts(site.daemon)
    confirm(browser)
    (event,) = site.database.query(
        "SELECT username, session_id::text, user_agent, detail FROM events WHERE name = 'identity_confirmed'"
    )
    assert event == ("alice", session_id, CHROME, {})
    (line,) = site.daemon.lines_of("identity_confirmed")
    assert " info " in line and f"username=alice session={session_id}" in line
    assert counted.grown("confirmations") == 1


def test_session_of_another_browser_does_not_become_fresh(new_application, browse):
    site = new_application({"session.max_sessions": 2})
    first, second = browse(site), browse(site)
    for browser in (first, second):
        signed_in_long_ago(browser)
    stored = site.database.stored_key()
    assert confirm(first).status_code == 200
    assert live_among([first, second]) == [0, 1]
    assert first.get(FRESH).status_code == 200
    problem(second.get(FRESH), 401, "stale")
    # The newest login is still the second one.
    assert site.database.stored_key() == stored


def test_activity_and_a_new_login_make_what_they_make(application, browse):
    browser = browse(application)
    session_id = signed_in_long_ago(browser)
    application.database.make_stale(session_id)
    assert browser.me().status_code == 200
    problem(browser.get(FRESH), 401, "stale")
    browser.sign_in()
    assert browser.get(FRESH).status_code == 200


def test_new_password_is_a_proof(application, browse):
    browser = browse(application)
    signed_in_long_ago(browser)
    fields = {"current_password": application.database.password, "new_password": "quite another phrase"}
    assert browser.post("/session/password", fields).status_code == 200
    assert browser.get(FRESH).status_code == 200


# ---- Wrong passwords -------------------------------------------------------------------------------------------------


def test_wrong_password_leaves_everything_as_it_was(application, browse):
    browser = browse(application)
    signed_in_long_ago(browser)
    key = browser.key
    problem(confirm(browser, "not the password"), 401, "invalid_credentials")
    assert browser.key == key and browser.is_live()
    problem(browser.get(FRESH), 401, "stale")
    person = with_key(browse(application, program=False), key)
    page = confirm(person, "not the password", next=FRESH)
    assert page.status_code == 401
    assert "not the password of this account" in page.text
    assert form_of(page.text, "/session/confirm")["next"] == FRESH


def test_wrong_passwords_are_counted_as_guesses(new_site, browse):
    site = new_site({"login.attempts_per_user": 3})
    browser = browse(site)
    browser.sign_in()
    statuses = [confirm(browser, f"guess {number}").status_code for number in range(8)]
    assert statuses[:3] == [401] * 3 and 429 in statuses
    throttled = confirm(browser, "guess")
    assert throttled.status_code == 429 and int(throttled.headers["Retry-After"]) > 0
    person = with_key(browse(site, program=False), browser.key)
    page = confirm(person, "guess")
    assert page.status_code == 429 and "too many attempts" in page.text
    assert site.database.value("SELECT count(*) FROM events WHERE name = 'user_login_failed'") >= 3


# ---- What happens meanwhile ------------------------------------------------------------------------------------------


def test_many_at_once_leave_one_session_that_is_live(site, browse):
    """Two tabs that are confirmed at one moment: one gets the key, the other is told to sign in, or has it already."""
    browser = browse(site)
    session_id = browser.sign_in()["session"]["id"]
    body = json.dumps({"password": site.database.password})
    headers = {**JSON, "Cookie": f"onesession={browser.key}"}
    tasks = [
        Background(lambda: site.daemon.ask(method="POST", path="/session/confirm", headers=headers, body=body))
        for _ in range(4)
    ]
    answers = [task.result() for task in tasks]
    won = [answer for answer in answers if answer.status == 200]
    assert len(won) == 1
    assert all(answer.status in (401, 429, 503) for answer in answers if answer is not won[0])
    assert with_key(browse(site), won[0].cookie()).is_live()
    assert site.database.sessions() == [session_id]


def test_session_that_was_displaced_meanwhile_is_not_confirmed(site, browse):
    first, second = browse(site), browse(site)
    first.sign_in()
    second.sign_in()
    problem(confirm(first), 401, "displaced")
    assert live_among([first, second]) == [1]
    assert site.database.value("SELECT count(*) FROM events WHERE name = 'identity_confirmed'") == 0


# ---- Ending sessions -------------------------------------------------------------------------------------------------


def test_ending_another_session_asks_for_the_password(new_site, browse):
    site = new_site({"session.max_sessions": 2})
    lost, here = browse(site), browse(site)
    lost_id = lost.sign_in()["session"]["id"]
    signed_in_long_ago(here)
    problem(here.post(f"/session/sessions/{lost_id}/end"), 401, "stale")
    assert live_among([lost, here]) == [0, 1]
    person = with_key(browse(site, program=False), here.key)
    answer = person.post(f"/session/sessions/{lost_id}/end")
    assert leads_to(answer) == ("/session/confirm", {"lost": "true", "next": "/session/sessions"})
    assert leads_to(confirm(person, next="/session/sessions")) == ("/session/sessions", {})
    assert leads_to(person.post(f"/session/sessions/{lost_id}/end")) == ("/session/sessions", {})
    assert lost.auth() == "revoked"


def test_signing_out_never_asks_for_it(site, browse):
    for way in ("/session/logout", "/session/sessions/{id}/end", "/session/sessions/{ID}/end"):
        browser = browse(site)
        session_id = signed_in_long_ago(browser)
        path = way.format(id=session_id, ID=session_id.upper())
        assert browser.post(path).status_code == 204
        assert site.database.ended(session_id) == "logged_out"

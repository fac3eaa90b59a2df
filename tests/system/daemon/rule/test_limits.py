"""What happens when an account has as many live sessions as it may: session.on_limit, and sessions of one's own."""

import uuid

import pytest

from support.browser import ASK, CHROME, FIREFOX, REFUSE, SAFARI, form_of, live_among, problem, with_key
from support.rows import insert_from_outside
from support.waiting import TIME, Background

# In one process: they share what is made for them.
pytestmark = pytest.mark.xdist_group("limits")


@pytest.fixture(name="new_site")
def new_site_that_is_kept(cluster, kept_sites):  # pylint: disable=unused-argument
    """A site takes longer to make than most of these tests take."""
    return kept_sites.new_site


# ---- Ask -------------------------------------------------------------------------------------------------------------


def test_ask_says_where_the_account_is_live_and_changes_nothing(new_site, browse):
    site = new_site(ASK)
    first, second = browse(site, user_agent=FIREFOX), browse(site, user_agent=CHROME)
    session = first.sign_in()["session"]
    before = site.database.stored_key()
    body = problem(second.login(), 409, "session_limit")
    (place,) = body["sessions"]
    assert TIME.fullmatch(place["last_seen_at"])
    assert place["created_at"] == session["created_at"]
    assert (place["id"], place["browser"], place["os"]) == (session["id"], "Firefox", "Linux")
    assert second.key is None
    assert live_among([first, second]) == [0]
    assert site.database.stored_key() == before
    assert site.database.value("SELECT count(*) FROM ended_sessions") == 0


@pytest.mark.parametrize("yes", [True, "true"])
def test_the_same_login_with_take_over_displaces(new_site, browse, yes):
    site = new_site(ASK)
    first, second = browse(site), browse(site)
    first.sign_in()
    assert second.login().status_code == 409
    assert [gone["id"] for gone in second.sign_in(take_over=yes)["displaced"]]
    assert live_among([first, second]) == [1]
    assert first.auth() == "displaced"


@pytest.mark.parametrize("settings", [ASK, REFUSE])
def test_right_password_that_is_refused_is_in_the_log(new_site, browse, settings):
    """Whoever has stolen it can not find out in silence that it is right."""
    site = new_site(settings)
    began = len(site.daemon.log_text())
    browse(site).sign_in()
    assert "login_refused" not in site.daemon.log_text()[began:]
    assert browse(site).login().status_code == 409
    told = next(line for line in site.daemon.log_text()[began:].splitlines() if "login_refused" in line)
    assert " info " in told and "username=alice reason=session_limit ip=" in told


def test_take_over_that_is_not_true_still_asks(new_site, browse):
    site = new_site(ASK)
    browse(site).sign_in()
    for no in (False, "false", "", 1, None):
        assert browse(site).login(take_over=no).status_code == 409


def test_person_takes_over_by_the_button_without_the_password_again(new_site, browse):
    site = new_site(ASK)
    first = browse(site, program=False, user_agent=FIREFOX)
    second = browse(site, program=False, user_agent=SAFARI)
    first.sign_in()
    answer = second.login(next="/page?a=1&b=2")
    assert answer.status_code == 409
    assert "Firefox" in answer.text and "Linux" in answer.text
    assert site.database.password not in answer.text
    fields = form_of(answer.text, "/session/login")
    assert fields["take_over"] == "true"
    answer = second.post("/session/login", fields)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/page?a=1&b=2")
    assert live_among([first, second]) == [1]


def test_ticket_works_once_and_not_for_long(new_site, browse):
    site = new_site(ASK)
    person = browse(site, program=False)
    browse(site).sign_in()
    fields = form_of(person.login().text, "/session/login")
    assert person.post("/session/login", fields).status_code == 303
    other = browse(site, program=False)
    assert other.post("/session/login", fields).status_code == 401
    assert other.key is None
    fields = form_of(other.login().text, "/session/login")
    site.database.query("UPDATE login_tickets SET expires_at = now()")
    answer = other.post("/session/login", fields)
    assert answer.status_code == 401 and "sign in" in answer.text.lower()
    assert person.is_live() and other.key is None


def test_program_takes_over_by_the_ticket_without_the_password_again(new_site, browse):
    site = new_site(ASK)
    first, second = browse(site), browse(site)
    first.sign_in()
    asked = second.login()
    problem(asked, 409, "session_limit")
    ticket = asked.json()["ticket"]
    answer = second.post("/session/login", json={"ticket": ticket, "take_over": True})
    assert answer.status_code == 200 and len(answer.json()["displaced"]) == 1
    assert live_among([first, second]) == [1]
    problem(browse(site).post("/session/login", json={"ticket": ticket, "take_over": True}), 401, "invalid_credentials")


def test_program_gets_no_ticket_where_it_may_not_take_over(new_site, browse):
    site = new_site(REFUSE)
    browse(site).sign_in()
    asked = browse(site).login()
    problem(asked, 409, "session_limit")
    assert "ticket" not in asked.json()


def test_ticket_cannot_be_made_to_last_longer(new_site, browse):
    site = new_site(ASK)
    person = browse(site, program=False)
    browse(site).sign_in()
    fields = form_of(person.login().text, "/session/login")
    until = site.database.value("SELECT expires_at FROM login_tickets")
    del fields["take_over"]
    again = person.post("/session/login", fields)
    assert again.status_code == 409
    assert form_of(again.text, "/session/login")["ticket"] == fields["ticket"]
    assert site.database.value("SELECT expires_at FROM login_tickets") == until


def test_ticket_is_void_with_another_password_and_for_a_disabled_account(new_site, browse):
    site = new_site(ASK)
    person = browse(site, program=False)
    browse(site).sign_in()
    fields = form_of(person.login().text, "/session/login")
    site.ctl().run("user", "passwd", "alice", stdin="another password\n")
    assert person.post("/session/login", fields).status_code == 401
    browse(site).sign_in(username="bob")
    fields = form_of(person.login("bob").text, "/session/login")
    site.ctl().run("user", "disable", "bob")
    assert person.post("/session/login", fields).status_code == 401
    assert person.key is None


def test_ticket_that_is_none(new_site, browse):
    site = new_site(ASK)
    for ticket in ("", "x", "A" * 43, "A" * 5000, "ä"):
        answer = browse(site, program=False).post("/session/login", {"ticket": ticket, "take_over": "true"})
        assert answer.status_code == 401
    problem(browse(site).post("/session/login", {"ticket": "A" * 43}), 401, "invalid_credentials")


def test_two_who_take_over_at_once_leave_one(new_site, browse):
    site = new_site(ASK)
    browse(site).sign_in()
    browsers = [browse(site) for _ in range(4)]
    calls = [Background(browser.sign_in, take_over=True) for browser in browsers]
    for call in calls:
        call.result()
    assert len(live_among(browsers)) == 1


def test_ask_with_a_limit_of_two_names_the_older_one(new_site, browse):
    site = new_site({**ASK, "session.max_sessions": 2})
    browsers = [browse(site) for _ in range(3)]
    oldest = browsers[0].sign_in()["session"]["id"]
    browsers[1].sign_in()
    body = problem(browsers[2].login(), 409, "session_limit")
    assert [place["id"] for place in body["sessions"]] == [oldest]
    browsers[2].sign_in(take_over=True)
    assert live_among(browsers) == [1, 2]


# ---- Refuse ----------------------------------------------------------------------------------------------------------


def test_refuse_until_the_other_session_has_ended(new_site, browse):
    site = new_site(REFUSE)
    first, second = browse(site), browse(site)
    first.sign_in()
    problem(second.login(), 409, "session_limit")
    problem(second.login(take_over=True), 409, "session_limit")
    assert live_among([first, second]) == [0]
    first.logout()
    second.sign_in()
    problem(first.login(), 409, "session_limit")


@pytest.mark.parametrize("end", ["idle", "expired"])
def test_refuse_ends_with_the_session_going_idle_or_expiring(new_site, browse, end):
    site = new_site({**REFUSE, "session.idle_timeout": "15m"})
    first, second = browse(site), browse(site)
    session_id = first.sign_in()["session"]["id"]
    assert second.login().status_code == 409
    if end == "idle":
        site.database.make_stale(session_id, "16 minutes")
    else:
        site.database.query("UPDATE sessions SET expires_at = now() WHERE id = %s", session_id)
    second.sign_in()
    assert first.auth() == end


def test_refused_person_is_told_where_and_gets_no_button(new_site, browse):
    site = new_site(REFUSE)
    browse(site, user_agent=FIREFOX).sign_in()
    answer = browse(site, program=False).login()
    assert answer.status_code == 409
    assert "Firefox" in answer.text and "take_over" not in answer.text


def test_many_at_once_under_refuse_let_one_in(new_site, browse):
    site = new_site(REFUSE)
    browsers = [browse(site) for _ in range(5)]
    calls = [Background(browser.login) for browser in browsers]
    statuses = sorted(call.result().status_code for call in calls)
    assert statuses == [200, 409, 409, 409, 409]
    assert len(live_among(browsers)) == 1


@pytest.mark.parametrize("policy", [ASK, REFUSE])
def test_same_browser_never_meets_the_limit(new_site, browse, policy):
    """Signing in again where one is signed in is a rotation."""
    site = new_site(policy)
    browser = browse(site)
    former = browser.sign_in()["session"]["id"]
    assert browser.sign_in()["displaced"] == []
    assert browser.is_live()
    assert site.database.ended(former) == "logged_out"


@pytest.mark.parametrize("policy", [ASK, REFUSE])
def test_refused_login_leaves_who_was_signed_in_there(new_site, browse, policy):
    """Somebody else's session in the same browser ends by a login only, not by one that is refused."""
    site = new_site(policy)
    elsewhere, shared = browse(site), browse(site)
    elsewhere.sign_in("alice")
    shared.sign_in("bob")
    assert shared.login("alice").status_code == 409
    assert shared.me().json()["user"]["username"] == "bob"


@pytest.mark.parametrize("policy", [ASK, REFUSE])
def test_exempt_account_is_not_asked(new_site, browse, policy):
    site = new_site(policy)
    site.database.add_user("robot", limit=0)
    browsers = [browse(site) for _ in range(3)]
    for browser in browsers:
        browser.sign_in("robot")
    assert live_among(browsers) == [0, 1, 2]


def test_refusals_are_no_failed_attempts(new_site, browse):
    site = new_site({**REFUSE, "login.attempts_per_user": 2, "login.attempts_per_address": 3})
    browse(site).sign_in()
    for _ in range(5):
        assert browse(site).login().status_code == 409
    assert site.database.value("SELECT count(*) FROM login_failures") == 0
    assert site.database.value("SELECT count(*) FROM events WHERE name = 'user_login_failed'") == 0


def test_wrong_password_is_not_told_that_the_account_is_live(new_site, browse):
    site = new_site(REFUSE)
    browse(site).sign_in()
    assert "sessions" not in problem(browse(site).login(password="not the password"), 401, "invalid_credentials")


def test_row_from_outside_counts_also_where_logins_are_refused(new_site, browse):
    """It is a login that has happened: nobody can be asked."""
    site = new_site(REFUSE)
    first, outside = browse(site), browse(site)
    first.sign_in()
    with_key(outside, insert_from_outside(site.database))
    assert live_among([outside, first]) == [0]


# ---- Sessions of one's own -------------------------------------------------------------------------------------------


def test_list_of_my_sessions(new_site, browse):
    site = new_site({"session.max_sessions": 3})
    phone, desk, stranger = browse(site, user_agent=SAFARI), browse(site, user_agent=CHROME), browse(site)
    ids = [phone.sign_in()["session"]["id"], desk.sign_in()["session"]["id"]]
    stranger.sign_in("bob")
    listed = desk.get("/session/sessions")
    assert listed.status_code == 200
    assert listed.headers["Cache-Control"] == "no-store"
    sessions = listed.json()["sessions"]
    assert [session["id"] for session in sessions] == ids[::-1]
    assert [session["current"] for session in sessions] == [True, False]
    assert [(session["browser"], session["os"]) for session in sessions] == [("Chrome", "Windows"), ("Safari", "macOS")]
    assert all(TIME.fullmatch(session[key]) for session in sessions for key in ("created_at", "last_seen_at", "expires_at"))


def test_ending_another_of_my_sessions(new_site, browse):
    site = new_site({"session.max_sessions": 3})
    lost, here, third = browse(site), browse(site, user_agent=CHROME), browse(site)
    lost_id = lost.sign_in()["session"]["id"]
    here.sign_in(), third.sign_in()
    assert here.post(f"/session/sessions/{lost_id}/end").status_code == 204
    assert live_among([lost, here, third]) == [1, 2]
    state = lost.state()
    assert (state["reason"], state["by"]) == ("revoked", {"browser": "Chrome", "os": "Windows"})
    problem(here.post(f"/session/sessions/{lost_id}/end"), 404, "not_found")


def test_ending_my_own_session_is_signing_out(site, browse):
    browser = browse(site)
    session_id = browser.sign_in()["session"]["id"]
    assert browser.post(f"/session/sessions/{session_id}/end").status_code == 204
    assert browser.key is None
    assert site.database.ended(session_id) == "logged_out"


def test_sessions_of_others_cannot_be_ended(site, browse):
    mine, other = browse(site), browse(site)
    mine.sign_in("alice")
    other_id = other.sign_in("bob")["session"]["id"]
    for name in (other_id, str(uuid.uuid4()), "x", "1' OR true", other_id + "0", "%2e%2e"):
        problem(mine.post(f"/session/sessions/{name}/end"), 404, "not_found")
    assert live_among([mine, other]) == [0, 1]


def test_sessions_of_somebody_who_is_not_signed_in(site, browse):
    problem(browse(site).get("/session/sessions"), 401, "unauthenticated")
    problem(browse(site).post(f"/session/sessions/{uuid.uuid4()}/end"), 401, "unauthenticated")
    answer = browse(site, program=False).get("/session/sessions")
    assert answer.status_code == 303 and answer.headers["Location"].startswith("/session/login")


def test_displaced_device_ends_nothing(site, browse):
    old, new = browse(site), browse(site)
    old.sign_in()
    new_id = new.sign_in()["session"]["id"]
    problem(old.post(f"/session/sessions/{new_id}/end"), 401, "displaced")
    assert new.is_live()


def test_methods_of_sessions(site, browse):
    browser = browse(site)
    browser.sign_in()
    answer = browser.get(f"/session/sessions/{uuid.uuid4()}/end")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert browser.post("/session/sessions").status_code == 405
    for path in ("/session/sessions/", "/session/sessions//end", "/session/sessions/a/b/end", "/session/sessions/a/end/"):
        assert browser.post(path).status_code == 404


def test_person_ends_a_session_by_the_page(new_site, browse):
    site = new_site({"session.max_sessions": 2})
    phone, desk = browse(site, program=False, user_agent=SAFARI), browse(site, program=False, user_agent=CHROME)
    phone.sign_in(), desk.sign_in()
    page = desk.get("/session/sessions").text
    assert "Safari" in page and "macOS" in page
    phone_id = site.database.sessions()[0]
    assert f'action="/session/sessions/{phone_id}/end"' in page
    answer = desk.post(f"/session/sessions/{phone_id}/end")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/session/sessions")
    assert live_among([phone, desk]) == [1]


# ---- What ended it ---------------------------------------------------------------------------------------------------


def test_account_page_tells_what_ended_earlier_sessions(site, browse):
    browse(site, program=False, user_agent=FIREFOX).sign_in()
    browser = browse(site, program=False, user_agent=CHROME)
    browser.sign_in()
    page = browser.get("/session/account").text
    assert "alice" in page
    assert "Firefox" in page and "Linux" in page
    assert page.count("Chrome") >= 1


def test_programs_are_told_when_and_by_what_it_ended(site, browse):
    first, second = browse(site), browse(site, user_agent=CHROME)
    first.sign_in()
    second.sign_in()
    body = problem(first.me(), 401, "displaced")
    assert TIME.fullmatch(body["ended_at"])
    assert body["by"] == {"browser": "Chrome", "os": "Windows"}
    assert body["ended_at"] == first.state()["ended_at"]


def test_account_with_very_many_sessions_can_still_look_at_them(site, browse):
    user_id = site.database.add_user("robot", limit=0)
    # With numbers of their own: to find one, each row would look at all those that are put in by the same statement.
    site.database.query(
        "INSERT INTO sessions (session_key, user_id, expires_at, login_order)"
        " SELECT sha256(i::text::bytea), %s, now() + '1 day', nextval('login_order')"
        "   FROM generate_series(1, 12000) AS i",
        user_id,
    )
    person, program = browse(site, program=False), browse(site)
    person.sign_in("robot")
    assert person.get("/session/sessions").status_code == 200
    session = program.sign_in("robot")["session"]
    newest = program.get("/session/sessions").json()["sessions"][0]
    assert newest["id"] == session["id"]

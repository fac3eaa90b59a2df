"""The same browser is no other device: when it has lost the session's cookie, and when it sends a form twice."""

import hashlib
import json
import re
import socket
from urllib.parse import urlsplit

import pytest
import requests

from support.browser import ASK, CHROME, REFUSE, form_of, live_among, problem
from support.client import login_raw, set_cookie
from support.locks import HeldRow, waits_in_database
from support.stopped import stopped
from support.waiting import Background, wait_until

# In one process: they share what is made for them.
pytestmark = pytest.mark.xdist_group("same_browser")
COOLDOWN = {"sharing.takeovers": 1, "sharing.action": "cooldown"}
POLICIES = pytest.mark.parametrize("policy", [{}, ASK, REFUSE, COOLDOWN], ids=["displace", "ask", "refuse", "cooldown"])
LOGIN = "/session/login"
WAITING = "SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = current_database()"


@pytest.fixture(name="new_site")
def new_site_that_is_kept(new_site, cluster, kept_sites):  # pylint: disable=unused-argument
    """A site takes longer to make than most of these tests take. That of an application is made for its test."""
    return lambda settings=None, **kwargs: new_site(settings, **kwargs) if kwargs else kept_sites.new_site(settings)


def is_device(cookie):
    return cookie.name.endswith("_device")


def restart(browser):
    """It is closed and opened again, and has lost the session's cookie, but not the one that it keeps for longer."""
    jar = browser.http.cookies
    for cookie in list(jar):
        if not is_device(cookie):
            jar.clear(cookie.domain, cookie.path, cookie.name)
    assert browser.key is None


def device_of(browser):
    (cookie,) = filter(is_device, browser.http.cookies)
    return cookie.value


def twin_of(browser, browse):
    """Another one with the same cookies: of two answers to one browser each is then seen for itself."""
    twin = browse(browser.site, program=browser.program)
    twin.http.cookies.update(browser.http.cookies)
    return twin


def sent_and_not_awaited(browser, fields):
    """A connection that the form has been sent by."""
    address = urlsplit(browser.site.url)
    form = requests.Request("POST", browser.site.url + LOGIN, data=fields, headers={"Host": address.netloc})
    prepared = browser.http.prepare_request(form)
    head = f"POST {LOGIN} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in prepared.headers.items())
    connection = socket.create_connection((address.hostname, address.port))
    connection.sendall(f"{head}\r\n{prepared.body}".encode())
    return connection


def takeovers(site):
    return site.database.value("SELECT coalesce(sum(count), 0) FROM takeovers")


def assert_nobody_was_displaced(site):
    assert takeovers(site) == 0
    assert site.database.value("SELECT count(*) FROM events WHERE name IN ('session_displaced', 'account_shared')") == 0
    assert site.database.value("SELECT count(*) FROM ended_sessions WHERE reason = 'displaced'") == 0


# ---- How long the cookie lasts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("lifetime, seconds", [("14d", "1209600"), ("90s", "90"), ("1s", "1")])
def test_cookie_lasts_as_long_as_the_session(new_daemon, lifetime, seconds):
    daemon = new_daemon({"session.lifetime": lifetime}).start()
    assert set_cookie(login_raw(daemon))[2]["max-age"] == seconds


def test_cookie_that_goes_with_the_browser(new_daemon):
    daemon = new_daemon({"session.cookie_persistent": "off"}).start()
    answer = login_raw(daemon)
    assert "max-age" not in set_cookie(answer)[2]
    assert int(set_cookie(answer, is_device=True)[2]["max-age"]) > 365 * 24 * 3600


def test_new_key_for_a_new_password_lasts_as_long(site, browse):
    browser = browse(site)
    browser.sign_in()
    answer = browser.post(
        "/session/password", {"current_password": site.database.password, "new_password": "another good password"}
    )
    assert set_cookie(answer)[2]["max-age"] == "1209600"
    assert set_cookie(browser.logout())[2]["max-age"] == "0"


# ---- A browser that has lost its key ---------------------------------------------------------------------------------


@POLICIES
def test_restarted_browser_is_no_other_device(new_site, browse, policy):
    site = new_site(policy)
    browser = browse(site)
    former = browser.sign_in()["session"]["id"]
    for _ in range(7):
        restart(browser)
        told = browser.sign_in()
        assert told["displaced"] == []
        assert site.database.ended(former) == "logged_out"
        former = told["session"]["id"]
        assert site.database.sessions() == [former]
    assert browser.is_live()
    assert_nobody_was_displaced(site)
    replaced = "SELECT count(*) FROM events WHERE name = 'session_replaced'"
    assert site.database.value(replaced) == 7


def test_owner_comes_back_during_a_cooldown(new_site, browse):
    site = new_site(COOLDOWN)
    first, owner = browse(site), browse(site)
    first.sign_in(), owner.sign_in()
    assert takeovers(site) == 1
    problem(first.login(), 429, "cooldown")
    restart(owner)
    owner.sign_in()
    problem(first.login(), 429, "cooldown")
    assert live_among([first, owner]) == [1]


@pytest.mark.parametrize("policy", [{}, ASK, REFUSE], ids=["displace", "ask", "refuse"])
def test_of_several_sessions_its_own_is_replaced(new_site, browse, policy):
    site = new_site({**policy, "session.max_sessions": 2})
    phone, desk = browse(site), browse(site)
    phone.sign_in(), desk.sign_in()
    for browser in (phone, desk, desk, phone):
        restart(browser)
        assert browser.sign_in()["displaced"] == []
        assert live_among([phone, desk]) == [0, 1]
    assert_nobody_was_displaced(site)


def test_exempt_account_does_not_gather_sessions_of_one_browser(site, browse):
    site.database.add_user("robot", limit=0)
    browser, other = browse(site), browse(site)
    browser.sign_in("robot"), other.sign_in("robot")
    for _ in range(3):
        restart(browser)
        browser.sign_in("robot")
    assert live_among([browser, other]) == [0, 1]
    assert len(site.database.sessions("robot")) == 2


@POLICIES
def test_another_browser_of_the_account_is_another_device(new_site, browse, policy):
    """Both were signed in before, and both are known."""
    site = new_site({**policy, "sharing.takeovers": 2})
    first, second = browse(site), browse(site)
    first.sign_in()
    second_id = second.sign_in(take_over=True)["session"]["id"] if policy != REFUSE else None
    if policy == REFUSE:
        first.logout()
        second_id = second.sign_in()["session"]["id"]
    restart(first)
    if policy in (ASK, REFUSE):
        problem(first.login(), 409, "session_limit")
        assert live_among([first, second]) == [1]
    else:
        assert [gone["id"] for gone in first.sign_in()["displaced"]] == [second_id]
        assert takeovers(site) == 2


@POLICIES
def test_older_device_cookie_of_the_same_browser_is_another_device(new_site, browse, policy):
    """Whoever has stolen it."""
    site = new_site(policy)
    browser, thief = browse(site), browse(site)
    browser.sign_in()
    thief.http.cookies.update(browser.http.cookies)
    restart(thief)
    restart(browser)
    session_id = browser.sign_in()["session"]["id"]
    if policy in (ASK, REFUSE):
        problem(thief.login(), 409, "session_limit")
    else:
        assert [gone["id"] for gone in thief.sign_in()["displaced"]] == [session_id]
        assert takeovers(site) == 1


@pytest.mark.parametrize("policy", [{}, REFUSE], ids=["displace", "refuse"])
def test_device_cookie_of_another_account_is_another_device(new_site, browse, policy):
    site = new_site(policy)
    elsewhere, browser = browse(site), browse(site)
    session_id = elsewhere.sign_in("alice")["session"]["id"]
    browser.sign_in("bob")
    restart(browser)
    if policy == REFUSE:
        problem(browser.login("alice"), 409, "session_limit")
    else:
        assert [gone["id"] for gone in browser.sign_in("alice")["displaced"]] == [session_id]
        assert takeovers(site) == 1


def test_browser_of_two_people_is_the_same_for_both(new_site, browse):
    """Its device cookie has become another one meanwhile."""
    site = new_site(REFUSE)
    browser = browse(site)
    browser.sign_in("alice")
    restart(browser)
    browser.sign_in("bob")
    for name in ("alice", "bob", "alice"):
        restart(browser)
        assert browser.sign_in(name)["displaced"] == []
    assert_nobody_was_displaced(site)
    assert (len(site.database.sessions("alice")), len(site.database.sessions("bob"))) == (1, 1)


def test_device_cookie_that_was_lost_alone(new_site, browse):
    """The key is enough, and the account goes on knowing the browser."""
    site = new_site(REFUSE)
    browser = browse(site)
    for _ in range(3):
        browser.sign_in()
        (cookie,) = filter(is_device, browser.http.cookies)
        browser.http.cookies.clear(cookie.domain, cookie.path, cookie.name)
    assert_nobody_was_displaced(site)
    assert site.database.value("SELECT count(*) FROM known_browsers") == 1


def test_device_cookie_alone_lets_nobody_in(site, browse):
    browser = browse(site)
    browser.sign_in()
    restart(browser)
    assert browser.auth() == "unauthenticated"
    problem(browser.login(password="not the password"), 401, "invalid_credentials")
    assert len(site.database.sessions()) == 1


def test_session_that_has_run_out_is_not_replaced(new_site, browse):
    site = new_site({"session.idle_timeout": "15m"})
    browser = browse(site)
    session_id = browser.sign_in()["session"]["id"]
    site.database.make_stale(session_id, "16 minutes")
    restart(browser)
    assert browser.sign_in()["displaced"] == []
    assert site.database.ended(session_id) == "idle"


def test_session_from_before_these_were_kept_is_on_another_device(site, browse):
    browser = browse(site)
    browser.sign_in()
    site.database.query("UPDATE sessions SET device_key = NULL, form_key = NULL")
    assert browser.sign_in()["displaced"] == []
    site.database.query("UPDATE sessions SET device_key = NULL, form_key = NULL")
    restart(browser)
    assert len(browser.sign_in()["displaced"]) == 1


def test_the_same_browser_at_another_host(new_daemon, database):
    """The session began at the one; at the other it goes on without its cookie."""
    here = new_daemon(REFUSE).start()
    there = new_daemon({**REFUSE, "database.prepare": "off"}).start()
    device = None
    for daemon in (here, there, there, here):
        name = {"Cookie": f"{device[0]}={device[1]}"} if device else {}
        answer = login_raw(daemon, headers=name)
        assert (answer.status, json.loads(answer.body)["displaced"]) == (200, [])
        device = set_cookie(answer, is_device=True)
    assert len(database.sessions()) == 1
    assert login_raw(here).status == 409


def test_new_password_leaves_the_browser_what_it_is(new_site, browse):
    site = new_site(REFUSE)
    browser = browse(site)
    browser.sign_in()
    device = device_of(browser)
    answer = browser.post(
        "/session/password", {"current_password": site.database.password, "new_password": "another good password"}
    )
    assert answer.status_code == 200 and browser.is_live()
    assert device_of(browser) == device
    restart(browser)
    assert browser.login(password="another good password").status_code == 200
    assert browser.is_live()
    problem(browse(site).login(password="another good password"), 409, "session_limit")


def test_new_password_is_not_for_whoever_has_the_device_cookie(site, browse):
    browser = browse(site)
    browser.sign_in()
    restart(browser)
    answer = browser.post(
        "/session/password", {"current_password": site.database.password, "new_password": "another good password"}
    )
    problem(answer, 401, "unauthenticated")


def test_what_the_application_kept_goes_along(application, browse):
    """That of the lost session, and what was kept meanwhile for nobody."""
    browser = browse(application)
    browser.sign_in()
    browser.post("/session/application/kept", {"set": {"a": 1, "b": 1}})
    restart(browser)
    browser.post("/session/application/kept", {"set": {"b": 2, "c": 2}})
    browser.sign_in()
    assert [browser.get(f"/session/application/kept?name={name}").json()["value"] for name in "abc"] == [1, 2, 2]


def test_database_holds_hashes_only(site, browse):
    person = browse(site, program=False)
    fields = form_of(person.get(LOGIN).text, LOGIN)
    person.login(form=fields["form"])
    ((device_key, form_key),) = site.database.query("SELECT device_key, form_key FROM sessions")
    assert bytes(device_key) == hashlib.sha256(device_of(person).encode()).digest()
    assert bytes(form_key) == hashlib.sha256(fields["form"].encode()).digest()


# ---- A form that is sent twice ---------------------------------------------------------------------------------------


@pytest.fixture(name="form")
def form_that_was_opened():
    """form(browser): the fields of the sign-in page that it has open, filled in."""

    def open_page(browser, username="alice"):
        fields = form_of(browser.get(LOGIN + "?next=/page").text, LOGIN)
        return {**fields, "username": username, "password": browser.site.database.password}

    return open_page


@POLICIES
@pytest.mark.parametrize("had", ["nothing", "device cookie", "session"])
def test_second_click_is_answered_like_the_first(new_site, browse, form, policy, had):
    site = new_site(policy)
    first = browse(site, program=False)
    if had != "nothing":
        first.sign_in()
        restart(first)
    if had == "session":
        first.sign_in()
    # Whoever is signed in is shown no form: it was open in another tab.
    fields = form(first if had != "session" else browse(site, program=False))
    second, third = twin_of(first, browse), twin_of(first, browse)
    answers = [browser.post(LOGIN, fields) for browser in (first, second, third)]
    assert [(answer.status_code, answer.headers["Location"]) for answer in answers] == [(303, "/page")] * 3
    assert live_among([first, second, third]) == [2]
    assert len(site.database.sessions()) == 1
    assert_nobody_was_displaced(site)
    restart(third)
    third.sign_in()
    assert_nobody_was_displaced(site)


@pytest.mark.parametrize("policy", [ASK, REFUSE], ids=["ask", "refuse"])
def test_both_clicks_at_once(new_site, browse, form, policy):
    site = new_site({**policy, "server.workers": 4, "login.max_hashing": 2})
    page = browse(site, program=False)
    fields = form(page)
    for _ in range(5):
        both = [twin_of(page, browse) for _ in range(2)]
        calls = [Background(browser.post, LOGIN, fields) for browser in both]
        assert [call.result().status_code for call in calls] == [303, 303]
        assert len(live_among(both)) == 1
        assert len(site.database.sessions()) == 1
    assert_nobody_was_displaced(site)


@POLICIES
@pytest.mark.parametrize("opens_another", [False, True])
def test_click_that_was_cancelled_does_not_end_what_the_next_one_began(new_site, browse, form, policy, opens_another):
    """Of the two, the browser has the key of the second only, and the first may take longer."""
    site = new_site({**policy, "server.workers": 2})
    page = browse(site, program=False)
    fields = form(page)
    posted = f"request .* method=POST path={LOGIN}"
    before = len(site.daemon.lines_of(posted))
    with HeldRow(site, "users") as row:
        first = sent_and_not_awaited(page, fields)
        waits_in_database(site.database)
        with stopped(site.database.value(WAITING)):
            first.close()
            row.let_go()
            assert page.post(LOGIN, form(page) if opens_another else fields).status_code == 303
    wait_until(lambda: len(site.daemon.lines_of(posted)) == before + 2, "both to have ended")
    assert page.is_live()
    assert len(site.database.sessions()) == 1
    assert_nobody_was_displaced(site)


def test_second_click_with_a_limit_of_two(new_site, browse, form):
    site = new_site({**REFUSE, "session.max_sessions": 2})
    other, first = browse(site), browse(site, program=False)
    fields = form(first)
    second = twin_of(first, browse)
    first.post(LOGIN, fields)
    other.sign_in()
    assert second.post(LOGIN, fields).status_code == 303
    assert live_among([other, first, second]) == [0, 2]
    assert_nobody_was_displaced(site)


def test_clicking_twice_makes_one_known_browser(site, browse, form):
    page = browse(site, program=False)
    for _ in range(3):
        fields = form(browse(site, program=False))
        twin = twin_of(page, browse)
        page.post(LOGIN, fields)
        twin.post(LOGIN, fields)
        page = twin
    assert site.database.value("SELECT count(*) FROM known_browsers") == 1


def test_program_needs_no_form(new_site, browse):
    program = browse(new_site(REFUSE))
    assert program.sign_in()["displaced"] == []
    problem(browse(program.site).login(), 409, "session_limit")


def test_each_page_has_a_form_of_its_own_and_is_not_kept(shared_site, browse):
    person = browse(shared_site, program=False)
    answers = [person.get(LOGIN), person.get(LOGIN), person.post(LOGIN, {"ticket": "A" * 43})]
    tokens = {form_of(answer.text, LOGIN)["form"] for answer in answers}
    assert len(tokens) == 3 and all(re.fullmatch("[A-Za-z0-9_-]{43}", token) for token in tokens)
    assert all(answer.headers["Cache-Control"] == "no-store" for answer in answers)


def test_form_that_was_filled_in_wrongly_is_still_the_same(new_site, browse, form):
    site = new_site(REFUSE)
    first = browse(site, program=False)
    fields = form(first)
    again = form_of(first.post(LOGIN, {**fields, "password": "not the password"}).text, LOGIN)
    assert again["form"] == fields["form"]
    second = twin_of(first, browse)
    for browser in (first, second):
        assert browser.post(LOGIN, {**again, "password": site.database.password}).status_code == 303
    assert live_among([first, second]) == [1]


def test_form_of_another_tab_is_another_form(new_site, browse, form):
    """But in the same browser: that is told by its cookies."""
    site = new_site(REFUSE)
    person = browse(site, program=False)
    one, other = form(person), form(person)
    stranger = twin_of(person, browse)
    assert person.post(LOGIN, one).status_code == 303
    assert stranger.post(LOGIN, other).status_code == 409
    assert person.post(LOGIN, other).status_code == 303
    assert_nobody_was_displaced(site)


def test_form_gives_nothing_without_the_right_password(new_site, browse, form):
    site = new_site(REFUSE)
    person, stranger = browse(site, program=False), browse(site, program=False)
    fields = form(person)
    person.post(LOGIN, fields)
    form(stranger)  # has a cookie then, as its browser keeps them
    for change in ({"password": "not the password"}, {"username": "nobody"}, {"username": "bob", "password": ""}):
        assert stranger.post(LOGIN, {**fields, **change}).status_code == 401
    assert stranger.post(LOGIN, {"form": fields["form"]}).status_code == 400
    assert stranger.post(LOGIN, {"form": fields["form"], "ticket": fields["form"]}).status_code == 401
    assert live_among([person, stranger]) == [0]


def test_form_is_of_one_account(new_site, browse, form):
    site = new_site(REFUSE)
    elsewhere, person = browse(site), browse(site, program=False)
    elsewhere.sign_in("bob")
    fields = form(person)
    second = twin_of(person, browse)
    person.post(LOGIN, fields)
    assert second.post(LOGIN, {**fields, "username": "bob"}).status_code == 409
    assert live_among([elsewhere, person]) == [0, 1]


@pytest.mark.parametrize("after", ["some minutes", "signing out", "another sign-in"])
def test_form_is_not_the_same_login_for_long(new_site, browse, form, after):
    """A page that somebody goes back to, by the browser's button or from its history."""
    site = new_site(REFUSE)
    person, elsewhere = browse(site, program=False), browse(site)
    fields = form(person)
    back = twin_of(person, browse)
    person.post(LOGIN, fields)
    if after == "some minutes":
        site.database.query("UPDATE sessions SET created_at = created_at - interval '6 minutes'")
        assert back.post(LOGIN, fields).status_code == 409
        assert live_among([person, back]) == [0]
    else:
        person.logout()
        if after == "another sign-in":
            elsewhere.sign_in()
            assert back.post(LOGIN, fields).status_code == 409
        else:
            assert back.post(LOGIN, fields).status_code == 303
            assert live_among([person, back]) == [1]


@pytest.mark.parametrize("form_token", ["", "x", "A" * 42, "A" * 44, "A" * 5000, "ä" * 43, " " * 43])
def test_form_that_is_none(new_site, browse, form_token):
    site = new_site(REFUSE)
    first, second = browse(site, program=False), browse(site, program=False)
    assert first.login(form=form_token).status_code == 303
    assert second.login(form=form_token).status_code == 409


# ---- The page that asks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("had", ["nothing", "device cookie"])
def test_second_click_on_the_page_that_asks(new_site, browse, had):
    site = new_site(ASK)
    first = browse(site, program=False)
    if had == "device cookie":
        first.sign_in()
        first.logout()
    browse(site, user_agent=CHROME).sign_in()
    fields = form_of(first.login(next="/page").text, LOGIN)
    second = twin_of(first, browse)
    answers = [browser.post(LOGIN, fields) for browser in (first, second)]
    assert [(answer.status_code, answer.headers["Location"]) for answer in answers] == [(303, "/page")] * 2
    assert live_among([first, second]) == [1]
    assert len(site.database.sessions()) == 1
    assert takeovers(site) == 1


def test_second_click_while_the_next_page_is_on_its_way(new_site, browse):
    """The answer to the first has been taken: the browser is signed in."""
    site = new_site(ASK)
    browse(site, user_agent=CHROME).sign_in()
    person = browse(site, program=False)
    fields = form_of(person.login(next="/page").text, LOGIN)
    for _ in range(2):
        answer = person.post(LOGIN, fields)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/page")
        assert person.is_live()
    assert takeovers(site) == 1


def test_ticket_that_has_gone_does_not_lead_on_as_somebody_else(new_site, browse):
    site = new_site(ASK)
    browse(site, user_agent=CHROME).sign_in("alice")
    person = browse(site, program=False)
    fields = form_of(person.login("alice").text, LOGIN)
    person.sign_in("bob")
    site.database.query("DELETE FROM login_tickets")
    answer = person.post(LOGIN, fields)
    assert answer.status_code == 401
    again = form_of(answer.text, LOGIN)
    assert again["username"] == "alice" and len(again["form"]) == 43
    assert person.is_live()


def test_both_clicks_on_the_page_that_asks_at_once(new_site, browse):
    site = new_site({**ASK, "server.workers": 4})
    for number in range(1, 6):
        browse(site, user_agent=CHROME).sign_in(take_over=True)
        site.database.query("DELETE FROM takeovers")
        page = browse(site, program=False)
        fields = form_of(page.login().text, LOGIN)
        both = [twin_of(page, browse) for _ in range(2)]
        calls = [Background(browser.post, LOGIN, fields) for browser in both]
        assert [call.result().status_code for call in calls] == [303, 303]
        assert len(live_among(both)) == 1
        assert takeovers(site) == 1


@pytest.mark.parametrize("after", ["signing out", "some minutes", "a new password", "a displacement"])
def test_used_ticket_is_worth_nothing_later(new_site, browse, after):
    site = new_site(ASK)
    browse(site, user_agent=CHROME).sign_in()
    person = browse(site, program=False)
    fields = form_of(person.login().text, LOGIN)
    back = twin_of(person, browse)
    assert person.post(LOGIN, fields).status_code == 303
    if after == "signing out":
        person.logout()
    elif after == "some minutes":
        site.database.query("UPDATE sessions SET created_at = created_at - interval '6 minutes'")
    elif after == "a new password":
        person.post(
            "/session/password", {"current_password": site.database.password, "new_password": "another good password"}
        )
    else:
        browse(site).sign_in(take_over=True)
    answer = back.post(LOGIN, fields)
    assert answer.status_code == 401 and back.key is None


def test_used_ticket_is_of_one_browser(new_site, browse):
    site = new_site(ASK)
    browse(site, user_agent=CHROME).sign_in()
    person, stranger = browse(site, program=False), browse(site, program=False)
    fields = form_of(person.login().text, LOGIN)
    stranger.login()
    assert person.post(LOGIN, fields).status_code == 401, "the stranger's ticket has taken its place"
    fields = form_of(person.login().text, LOGIN)
    person.post(LOGIN, fields)
    assert stranger.post(LOGIN, fields).status_code == 401
    assert live_among([person, stranger]) == [0]

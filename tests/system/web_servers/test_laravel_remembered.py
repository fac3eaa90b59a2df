"""
"Remember me" of an application of Laravel's with the adapter: who is known again, and whose cookie is worth nothing any more.
"""

import time

import pytest

from support import adapted
from support.adapted import OPEN
from support.laravel import address, events, forget, is_remembered, lead_to_form, remember, send, sign_in, user_at
from support.waiting import Background

pytestmark = pytest.mark.skipif(not adapted.LARAVEL.exists(), reason="php-laravel-framework is not installed")


def within_ten_seconds():
    """Those of two would be two logins."""
    left = 10 - time.time() % 10
    if left < 7:
        time.sleep(left)


@pytest.fixture(name="site")
def fixture_site(tables):
    return adapted.Laravel(tables)


@pytest.mark.parametrize("forgets", [True, False])
def test_who_was_displaced_is_nobody_also_by_the_cookie_to_be_remembered_by(tables, behind, browse, forgets):
    """Whether the web server was told of that cookie or not."""
    web = behind(adapted.Laravel(tables, forgets_remembered=forgets))
    first, second = browse(web, program=False), browse(web, program=False)
    sign_in(first, "member0", remember="1")
    sign_in(second, "member0", remember="1")
    assert is_remembered(first) and is_remembered(second)
    assert f"`{adapted.REMEMBER}`" in (adapted.ADAPTERS / "README.md").read_text()
    for _ in range(2):
        assert user_at(first, OPEN) == ""
        assert "_token" in lead_to_form(first).text
    assert (user_at(first), user_at(second)) == (None, "member0")
    assert not is_remembered(first)
    assert events(web, "user-1").count("user_logged_in") == 2


@pytest.mark.parametrize("driver", ["file", "cookie"])
def test_who_asked_to_be_remembered_is_known_again_under_the_rule(tables, behind, browse, driver):
    web = behind(adapted.Laravel(tables, {"SESSION_DRIVER": driver}))
    person, other = browse(web, program=False), browse(web, program=False)
    sign_in(person, "member0", remember="1")
    assert user_at(person, "/fresh/") == "member0"
    (before,) = web.database.sessions("user-1")
    # The application has forgotten its session, the guard has not: it is the same one.
    forget(person, "laravel_session")
    assert user_at(person) == "member0"
    assert web.database.sessions("user-1") == [before]
    # Nobody is live, and nobody has ended it: a login, which is no fresh one.
    forget(person, "laravel_session", "onesession")
    web.database.query("DELETE FROM sessions")
    assert user_at(person, OPEN) == user_at(person) == "member0"
    assert events(web, "user-1").count("user_logged_in") == 2
    assert user_at(person, "/fresh/") is None
    # Which the next one displaces as any other.
    sign_in(other, "member0")
    assert (user_at(person), user_at(person, OPEN), user_at(other)) == (None, "", "member0")


def test_cookie_to_be_remembered_by_is_refused_as_a_login_is(site, behind, browse):
    web = behind(site, {"session.on_limit": "refuse"})
    first, second = browse(web, program=False), browse(web, program=False)
    sign_in(first, "member0", remember="1")
    remember(second, first.http.cookies[adapted.REMEMBER])
    assert user_at(second, OPEN) == ""
    assert (user_at(first), user_at(second)) == ("member0", None)
    assert events(web, "user-1").count("user_logged_in") == 1
    # It may be one of several requests at once, of which another one got in; and it is good for when nobody is live.
    assert is_remembered(second)
    web.database.query("DELETE FROM sessions")
    assert user_at(second, OPEN) == user_at(second) == "member0"


def test_closed_account_is_not_remembered(site, behind, browse):
    web = behind(site)
    person = browse(web, program=False)
    sign_in(person, "member0", remember="1")
    web.database.query("DELETE FROM sessions")
    web.database.query("UPDATE users SET is_active = false WHERE username = 'user-1'")
    forget(person, "laravel_session", "onesession")
    assert user_at(person, OPEN) == "" and not is_remembered(person)


@pytest.mark.parametrize("way", ["by the form", "by being remembered"])
def test_who_was_displaced_does_not_come_back_by_being_remembered(site, behind, browse, way):
    """Not by deleting the cookie that says so, either; who has displaced them is remembered still."""
    web = behind(site)
    first, second = browse(web, program=False), browse(web, program=False)
    if way == "by being remembered":
        sign_in(second, "member0", remember="1")
        web.database.query("DELETE FROM sessions")
    sign_in(first, "member0", remember="1")
    if way == "by being remembered":
        forget(second, "laravel_session", "onesession")
        assert user_at(second, OPEN) == "member0"
    else:
        sign_in(second, "member0", remember="1")
    forget(first, "laravel_session", "onesession")
    assert (user_at(first, OPEN), user_at(first), user_at(second)) == ("", None, "member0")
    web.database.query("DELETE FROM sessions")
    forget(second, "laravel_session", "onesession")
    assert (user_at(first, OPEN), user_at(second, OPEN)) == ("", "member0")


def test_of_several_remembered_requests_at_once_none_makes_the_browser_forget(site, behind, browse):
    """Each was sent before the answer to another one was there."""
    web = behind(site)
    person = browse(web, program=False)
    sign_in(person, "member0", remember="1")
    web.database.query("DELETE FROM sessions")
    forget(person, "laravel_session", "onesession")
    former = person.http.cookies[adapted.REMEMBER]
    sent = [browse(web, program=False) for _ in range(3)]
    for one in sent:
        remember(one, former)
        one.get(OPEN)
    assert all(is_remembered(one) for one in sent)
    for cookie in (cookie for one in sent for cookie in one.http.cookies):
        if cookie.value != former:
            person.http.cookies.set_cookie(cookie)
    assert user_at(person) == "member0"
    web.database.query("DELETE FROM sessions")
    forget(person, "laravel_session", "onesession")
    assert user_at(person, OPEN) == "member0"


@pytest.mark.parametrize("lacks", [None, "/check"])
@pytest.mark.parametrize("limit", ["displace", "refuse"])
def test_several_remembered_requests_at_once_are_one_login(tables, behind, browse, between, limit, lacks):
    """Whichever is answered last, the browser has a live key; an account that is closed meanwhile is nobody's by it."""
    site = adapted.Laravel(tables, {"PHP_CLI_SERVER_WORKERS": "5"})
    web = behind(site, {"session.on_limit": limit}, between=between)
    between.made[0].lacks = lacks
    person = browse(web, program=False)
    sign_in(person, "member0", remember="1")
    web.database.query("DELETE FROM sessions")
    forget(person, "laravel_session", "onesession")
    before = events(web, "user-1").count("user_logged_in")
    tabs = [browse(web, program=False) for _ in range(4)]
    for tab in tabs:
        tab.http.cookies.update(person.http.cookies)
    within_ten_seconds()
    for call in [Background(tab.get, OPEN) for tab in tabs]:
        call.result()
    assert [user_at(tab) for tab in tabs] == ["member0"] * 4
    assert len({tab.key for tab in tabs}) == 1
    assert events(web, "user-1").count("user_logged_in") == before + 1
    assert "session_displaced" not in events(web, "user-1")
    if lacks is not None:
        return
    late = browse(web, program=False)
    late.http.cookies.update(person.http.cookies)
    web.ctl.run("user", "disable", "user-1")
    assert user_at(late, OPEN) == "" and not is_remembered(late)


def test_page_about_which_the_web_server_does_not_ask_changes_nothing(tables, behind, browse):
    web = behind(adapted.Laravel(tables, forgets_remembered=False))
    person = browse(web, program=False)
    sign_in(person, "member0", remember="1")
    assert user_at(person, "/.well-known/open") == "" and is_remembered(person)
    forget(person, "laravel_session")
    assert user_at(person, "/.well-known/open") == "" and is_remembered(person)
    assert user_at(person) == "member0"


@pytest.mark.parametrize("way", ["password", "others", "reset"])
def test_nobody_is_remembered_by_a_cookie_from_before_the_new_password(site, behind, browse, way):
    web = behind(site)
    thief, owner = browse(web, program=False), browse(web, program=False)
    sign_in(owner, "member0", remember="1")
    owner.get(OPEN)
    former = owner.http.cookies[adapted.REMEMBER]
    person = browse(web, program=False) if way == "reset" else owner
    person.get(OPEN)
    answer = send(person, f"/accounts/{way}", password=adapted.PASSWORD, new_password="another one", email=address("member0"))
    assert answer.status_code == 302, answer.text
    remember(thief, former)
    logins = events(web, "user-1").count("user_logged_in")
    assert user_at(thief, OPEN) == "" and events(web, "user-1").count("user_logged_in") == logins
    if way != "reset":
        # Who has changed it goes on, and is remembered still.
        assert user_at(owner) == "member0"
        web.database.query("DELETE FROM sessions")
        forget(owner, "laravel_session", "onesession")
        assert user_at(owner, OPEN) == "member0"

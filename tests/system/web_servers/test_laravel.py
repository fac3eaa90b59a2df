"""
An application of Laravel's that signs people in itself, behind nginx's configuration for such sites and with the adapter:
Laravel's own calls follow the rule.
"""

import pytest
import requests

from support import adapted
from support.adapted import OPEN, SIGN_IN, ask_straight
from support.laravel import (
    address, events, fail_to_sign_in, forget, is_remembered, lead_to_form, send, send_form, sign_in, token_of, user_at,
)
from support.webservers import make_certificate

pytestmark = pytest.mark.skipif(not adapted.LARAVEL.exists(), reason="php-laravel-framework is not installed")


@pytest.fixture(name="site")
def fixture_site(tables):
    return adapted.Laravel(tables)


def test_attempt_and_logout_are_those_of_the_rule(site, behind, browse):
    web = behind(site)
    first, second = browse(web, program=False), browse(web, program=False)
    assert user_at(first, OPEN) == ""
    sign_in(first, "member0")
    # The account was made, for the daemon had none; people sign in by address, so it is called by the user's number.
    assert web.database.query("SELECT username, external_id FROM users WHERE external_id IS NOT NULL") == [("user-1", "1")]
    assert user_at(first) == user_at(first, OPEN) == "member0"
    sign_in(second, "member0")
    assert events(web, "user-1").count("session_displaced") == 1
    assert (user_at(first), user_at(first, OPEN), user_at(second)) == (None, "", "member0")
    sign_in(first, "member0")
    assert (user_at(first), user_at(second), user_at(second, OPEN)) == ("member0", None, "")
    assert send(first, "/accounts/logout").status_code == 302
    assert events(web, "user-1")[-1] == "user_logged_out"
    assert (user_at(first), user_at(first, OPEN)) == (None, "")
    assert web.database.sessions("user-1") == []


def test_who_is_refused_is_not_signed_in_and_reads_why_in_the_form(site, behind, browse):
    web = behind(site, {"session.on_limit": "refuse"})
    first, second = browse(web, program=False), browse(web, program=False)
    sign_in(first, "member0")
    form = fail_to_sign_in(second, "member0", remember="1")
    assert "signed in" in form.text or "elsewhere" in form.text, form.text
    assert 'value="member0@shop.example"' in form.text and "take_over" not in form.text
    assert (user_at(second), user_at(second, OPEN), user_at(first)) == (None, "", "member0")
    assert not is_remembered(second) and "onesession" not in second.http.cookies
    # A program reads it, too.
    answer = second.post(
        SIGN_IN, {"_token": token_of(lead_to_form(second)), "email": address("member0"), "password": adapted.PASSWORD},
        headers={"Accept": "application/json"},
    )
    assert (answer.status_code, list(answer.json()["errors"])) == (409, ["email"])


def test_wrong_password_is_shown_in_the_form_that_the_guard_has_led_to(site, behind, browse):
    """With reason= in its address the web server would keep back the session that has what was wrong."""
    web = behind(site)
    person = browse(web, program=False)
    form = fail_to_sign_in(person, "member0", password="wrong")
    assert "do not match" in form.text
    answer = send_form(person, "member0", form)
    assert answer.headers["Location"] == web.url + "/members/", answer.text
    assert user_at(person) == "member0"


def test_next_leads_nowhere_else(site, behind, browse):
    web = behind(site)
    away = ["//evil.example/", "https://evil.example/", "@evil.example", ".evil.example", "/\\evil.example"]
    # Nor into a header field that there cannot be.
    for place in (*away, "/\nx", "/\r\nX: y", "/members/\n", "/\0", "/\u00fc", "/" + "a" * 4000):
        person = browse(web, program=False)
        form = person.get(SIGN_IN, params={"next": place, "reason": "unauthenticated"})
        answer = send_form(person, "member0", form)
        assert answer.status_code == 302 and answer.headers["Location"].startswith(web.url + "/"), (place, answer.headers)


def test_tick_in_the_form_takes_over(site, behind, browse):
    web = behind(site, {"session.on_limit": "ask"})
    first, second = browse(web, program=False), browse(web, program=False)
    sign_in(first, "member0")
    form = fail_to_sign_in(second, "member0")
    assert 'name="take_over"' in form.text and "Sign out elsewhere" in form.text
    assert (user_at(first), user_at(second)) == ("member0", None)
    answer = send_form(second, "member0", second.get(form.url.removeprefix(web.url)), take_over="1")
    assert answer.status_code == 302, answer.text
    assert (user_at(first), user_at(second)) == (None, "member0")


def test_only_a_form_that_was_sent_takes_over(site, behind, browse):
    """Or a program's JSON; not the address, which may be somebody else's link."""
    web = behind(site, {"session.on_limit": "ask"})
    first, second = browse(web, program=False), browse(web, program=False)
    sign_in(first, "member0")
    fields = {"_token": token_of(second.get(SIGN_IN)), "email": address("member0"), "password": adapted.PASSWORD}
    answer = second.post(f"{SIGN_IN}?take_over=1", fields, headers={"Accept": "application/json"})
    assert (answer.status_code, list(answer.json()["errors"])) == (409, ["email", "take_over"])
    assert (user_at(first), user_at(second)) == ("member0", None)
    fields["_token"] = token_of(second.get(SIGN_IN))
    answer = second.request("POST", SIGN_IN, json={**fields, "take_over": True})
    assert answer.status_code == 302, answer.text
    assert (user_at(first), user_at(second)) == (None, "member0")


def test_signing_in_again_in_the_same_browser_displaces_nobody(site, behind, browse):
    web = behind(site, {"session.on_limit": "refuse"})
    person = browse(web, program=False)
    sign_in(person, "member0")
    forget(person, "laravel_session")
    assert send_form(person, "member0", person.get(SIGN_IN)).headers["Location"] == web.url + "/members"
    assert send(person, "/accounts/confirm").status_code == 302
    assert user_at(person) == "member0"
    assert events(web, "user-1").count("session_displaced") == 0
    assert events(web, "user-1").count("user_logged_in") == 3


@pytest.mark.parametrize("way", ["password", "others", "reset"])
def test_new_password_ends_the_sessions_elsewhere(site, behind, browse, way):
    """Saved by a page of the application's, by logoutOtherDevices(), by a mail to who has forgotten it."""
    web = behind(site, {"session.on_limit": "refuse", "session.max_sessions": 2})
    first, second, other = (browse(web, program=False) for _ in range(3))
    for person, name in ((first, "member0"), (second, "member0"), (other, "member1")):
        sign_in(person, name, remember="1")
    person = browse(web, program=False) if way == "reset" else first
    person.get(OPEN)
    answer = send(person, f"/accounts/{way}", password=adapted.PASSWORD, new_password="another one", email=address("member0"))
    assert answer.status_code == 302, answer.text
    ended = None if way == "reset" else "member0"
    assert [user_at(one) for one in (first, second, other)] == [ended, None, "member1"]
    assert user_at(second, OPEN) == ""
    assert web.database.value("SELECT DISTINCT reason FROM ended_sessions") == "password_changed"
    sign_in(second, "member0", password=adapted.PASSWORD if way == "others" else "another one")
    assert [user_at(one) for one in (first, second, other)] == [ended, "member0", "member1"]


def test_new_password_of_somebody_of_another_table_ends_nothing(site, behind, browse):
    web = behind(site)
    person = browse(web, program=False)
    sign_in(person, "member0")
    assert browse(web, program=False).get("/open/staff").status_code == 204
    assert user_at(person) == "member0"


def test_what_is_no_request_signs_nobody_in(site, behind, browse):
    web = behind(site)
    person = browse(web, program=False)
    sign_in(person, "member0", remember="1")
    before = web.database.sessions("user-1")
    assert site.run("job", "1") == "member0"
    assert web.database.sessions("user-1") == before and user_at(person) == "member0"


def test_token_that_cannot_be_read_is_as_no_answer(site, behind, browse):
    web = behind(site)
    first, second = (browse(web, program=False, permits_5xx=True) for _ in range(2))
    sign_in(first, "member0")
    form = lead_to_form(second)
    site.token_file.rename(site.folder / "elsewhere")
    assert "Signing in is not possible" in fail_to_sign_in(second, "member1", form).text
    assert send(first, "/accounts/logout").status_code == 302
    assert not user_at(first) and user_at(first, OPEN) == ""


def test_page_in_place_of_the_api_s_answer_is_no_answer(site, behind, browse, between):
    web = behind(site, between=between)
    first, second = (browse(web, program=False, permits_5xx=True) for _ in range(2))
    sign_in(first, "member0", remember="1")
    second.get(OPEN)
    between.made[0].mode = "page"
    answer = second.post("/accounts/reset", {"email": address("member0"), "new_password": "another one"}, headers={
        "Accept": "application/json", "X-XSRF-TOKEN": requests.utils.unquote(second.http.cookies["XSRF-TOKEN"]),
    })
    assert (answer.status_code, list(answer.json()["errors"])) == (503, ["password"])
    assert len(web.database.sessions("user-1")) == 1
    forget(first, "laravel_session")
    assert user_at(first, OPEN) == ""


def test_friend_s_old_cookies_are_nobody_s(site, behind, browse):
    """Whoever has an account of his own, and cookies of the application's that a friend once had."""
    web = behind(site)
    friend, person = browse(web, program=False), browse(web, program=False)
    sign_in(friend, "member0", remember="1")
    sign_in(person, "member1")
    own = person.http.cookies["laravel_session"]
    for name in ("laravel_session", adapted.REMEMBER):
        person.http.cookies.set(name, friend.http.cookies[name], path="/", domain="127.0.0.1")
    assert user_at(person, OPEN) == ""
    # Led to the form, where the friend is not let in by what is in the browser; and the friend goes on.
    answer = person.get("/members/")
    assert answer.status_code == 302, answer.text
    assert "_token" in person.get(SIGN_IN).text
    assert user_at(friend) == "member0"
    person.http.cookies.set("laravel_session", own, path="/", domain="127.0.0.1")
    assert user_at(person) == "member1"


def test_session_of_the_day_before_is_nobody_s_and_a_visitor_s_basket_stays(site, behind, browse):
    web = behind(site)
    person, visitor = browse(web, program=False), browse(web, program=False)
    sign_in(person, "member0")
    forget(person, "onesession", "onesession_device")
    assert user_at(person, OPEN) == ""
    for thing in ("hat", "coat"):
        visitor.get(f"{OPEN}add?thing={thing}")
    assert visitor.get(OPEN).json()["basket"] == ["hat", "coat"]
    # From the page with the basket to the sign-in, not from a guarded one: that begins a new session.
    assert send_form(visitor, "member0", visitor.get(SIGN_IN)).status_code == 302
    assert visitor.get(OPEN).json() == {"path": "/open", "user": "member0", "basket": ["hat", "coat"]}


@pytest.mark.parametrize("mode", ["closed port", "error page"])
def test_application_goes_on_without_an_answer_of_the_api(site, behind, browse, between, mode):
    """Nobody signs in and all sign out; that a password's change has not been told is no success."""
    web = behind(site, between=between)
    first, second, third = (browse(web, program=False, permits_5xx=True) for _ in range(3))
    sign_in(first, "member1", remember="1")
    sign_in(third, "member0")
    form = lead_to_form(second)
    if mode == "closed port":
        between.made[0].go_away()
    between.made[0].mode = mode
    assert "Signing in is not possible" in fail_to_sign_in(second, "member0", form).text
    assert (user_at(second), user_at(second, OPEN)) == (None, "")
    answer = third.post("/accounts/password", {"new_password": "another one"}, headers={
        "Accept": "application/json", "X-XSRF-TOKEN": requests.utils.unquote(third.http.cookies["XSRF-TOKEN"]),
    })
    assert (answer.status_code, list(answer.json()["errors"])) == (503, ["password"])
    assert user_at(third) == "member0"
    # The cookie to be remembered by stays good for when it has come back; nobody is let in by it now.
    forget(first, "laravel_session")
    assert user_at(first, OPEN) == "" and is_remembered(first)
    # The guard does not know yet that somebody has signed out, the application does.
    assert send(third, "/accounts/logout").status_code == 302
    assert len(web.database.sessions("user-1")) == 1
    assert not user_at(third) and user_at(third, OPEN) == ""


def test_no_two_users_have_one_account(site, behind, browse):
    """Whatever they are called, also who was called so before."""
    names = ["member0", "user-1", "member1"]
    web = behind(site, names=names)
    people = {name: browse(web, program=False) for name in reversed(names)}
    web.database.add_user("user-3")
    for name, person in people.items():
        answer = send_form(person, name, lead_to_form(person))
        assert answer.status_code == 302
    assert [user_at(person) for person in people.values()] == list(people)
    assert dict(web.database.query("SELECT external_id, username FROM users WHERE external_id IS NOT NULL")) == {
        "1": "user-1", "2": "user-2", "3": "user-3",
    }
    assert web.database.value("SELECT count(*) FROM events WHERE name = 'session_displaced'") == 0


def test_name_that_looks_like_one_made_for_another_user_is_not_taken(tables, behind, browse):
    """With something before it that onesession does not look at."""
    names = ["member0", "\u200bUSER-3", "zoe@shop.example", " user-5", "yan@shop.example"]
    web = behind(adapted.Laravel(tables, {"SITE_NAME_ATTRIBUTE": "name"}), names=names)
    for name in names:
        sign_in(browse(web, program=False), name)
    assert dict(web.database.query("SELECT external_id, username FROM users WHERE external_id IS NOT NULL")) == {
        "1": "member0", "2": "user-2", "3": "user-3", "4": "user-4", "5": "user-5",
    }


def test_sign_in_is_one_call(site, behind, browse, between):
    """But for the first of all; and a page is none."""
    web = behind(site, between=between)
    calls = between.made[0].calls
    for expected in (["POST", "PUT", "POST"], ["POST"]):
        calls.clear()
        person = browse(web, program=False)
        sign_in(person, "member0")
        assert user_at(person) == user_at(person, OPEN) == "member0"
        assert calls == expected


def test_request_that_was_under_way_when_the_password_was_given_again_signs_nobody_out(site, behind, browse):
    web = behind(site)
    person, other = browse(web, program=False), browse(web, program=False)
    sign_in(person, "member0")
    sign_in(other, "member1")
    (before,), (others,) = web.database.sessions("user-1"), web.database.sessions("user-2")
    assert send(person, "/accounts/confirm").status_code == 302
    assert web.database.sessions("user-1") != [before]

    def shown_straight(session_id):
        answer = ask_straight(web, person, session_id)
        return answer.json()["user"] if answer.status_code == 200 else None

    assert shown_straight(before) == "member0"
    # Somebody else's is nobody's, and takes nothing away either.
    assert shown_straight(others) is None
    assert (user_at(person), user_at(other)) == ("member0", "member1")


def test_application_behind_https_gets_cookies_for_that_and_the_browser_s_address(site, behind, browse, tmp_path):
    """Also where Laravel was not told to trust the web server."""
    certificate = make_certificate(tmp_path)
    web = behind(site, certificate=certificate)
    person = browse(web, program=False)
    person.http.verify = str(certificate)
    answer = send_form(person, "member0", lead_to_form(person))
    assert answer.status_code == 302, answer.text
    cookies = {cookie.name: cookie for cookie in person.http.cookies}
    for name in ("__Host-onesession", "__Secure-onesession_device"):
        assert cookies[name].secure and cookies[name].has_nonstandard_attr("httponly")
        web.secrets.add(cookies[name].value)
    assert user_at(person) == user_at(person, OPEN) == "member0"
    assert send(person, "/accounts/confirm").status_code == 302
    assert web.database.query("SELECT host(ip) FROM sessions") == [("127.0.0.1",)]
    assert events(web, "user-1").count("session_replaced") == 1 and "session_displaced" not in events(web, "user-1")

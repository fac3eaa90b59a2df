"""Signing in, being displaced and signing out through each web server."""

import html
import re
from urllib.parse import unquote

import pytest
import requests

from support.browser import CHROME, problem
from support.client import UNKNOWN_KEY
from support.web import find_form, is_turned_away, keeps_its_own_cookie, only, raw


# ---- Signing in ------------------------------------------------------------------------------------------------------

PATHS = [
    "/page.html",
    "/",
    "/folder/",
    "/page.html?a=1&b=%26&c=a+b;d='%27\"&e=%22%3Cx%3E",
    "/a%20b.html",
    "/50%25.html?x=100%25",
    "/%C3%BCn%C3%AF.html?%C3%BC=%E2%82%AC",
    "/page.html?next=/elsewhere&q=//example.com",
]


@pytest.mark.parametrize("path", PATHS)
def test_signing_in_ends_at_the_page_that_was_asked_for(web, browse, path):
    person = browse(web, program=False)
    name = web.new_user()
    path = requests.Request("GET", web.url + path).prepare().path_url
    _, wanted = find_form(web, person, path)
    assert wanted == path
    answer = person.login(name, next=wanted)
    assert answer.status_code == 303
    location = answer.headers["Location"]
    assert unquote(location) == unquote(path)
    answer = person.get(location)
    assert answer.status_code == 200
    assert web.shows_page(answer)
    if web.has_application:
        assert unquote(web.last().target) == unquote(location)


def test_application_is_told_who_is_signed_in(web, browse):
    program = browse(web)
    name = web.new_user()
    told = program.sign_in(name)
    assert web.shows_page(program.get("/page.html"))
    if web.has_application:
        expected = (name, str(told["user"]["id"]), told["session"]["id"])
        found = web.identity(web.last())
        assert found == expected[: len(found)]


def test_program_is_refused_with_the_reason(web, browse):
    program = browse(web)
    for path in ("/page.html", "/folder/", "/no/such/page?x=1"):
        answer = program.get(path)
        problem(answer, 401, "unauthenticated")
        assert answer.headers["Session-Reason"] == "unauthenticated"
        assert "WWW-Authenticate" not in answer.headers
        assert "no-store" in answer.headers["Cache-Control"]


def test_json_body_makes_a_program_whatever_it_accepts(web, browse):
    answer = browse(web, program=False).request("POST", "/page.html", json={"a": "b"}, headers={"Accept": "*/*"})
    problem(answer, 401, "unauthenticated")


# What only a navigation lacks. Each comes with what a navigation says, or without.
NO_NAVIGATION = [
    {"Accept": "*/*"},
    {"Accept": None},
    {"Accept": "video/mp4,*/*;q=0.5"},
    {"Accept": "application/vnd.api+json"},
    {"Accept": "text/*;q=0.9, text/html;q=0"},
    {"Sec-Fetch-Mode": "cors"},
    {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "video"},
    {"Sec-Fetch-Mode": "websocket"},
    {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
    {"Sec-Fetch-Dest": "image"},
    {"HX-Request": "true"},
    {"X-Requested-With": "XMLHttpRequest"},
]
NAVIGATION = [
    {},
    {"Sec-Fetch-Mode": "navigate"},
    {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1", "Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "frame"},
    {"Accept": "TEXT/HTML"},
]


def test_only_a_navigation_is_led_to_a_page(web, browse):
    """A save by fetch() is not taken for done, and no player is shown a form."""
    person = browse(web, program=False)
    for headers in NO_NAVIGATION:
        for method in ("GET", "POST"):
            answer = person.request(method, "/page.html", headers=headers)
            problem(answer, 401, "unauthenticated")
            assert "Location" not in answer.headers
    for headers in NAVIGATION:
        assert is_turned_away(web, person.get("/page.html", headers=headers)), headers


def fields_of(page):
    """The hidden fields of the form."""
    return {name: html.unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page)}


def test_form_that_was_sent_in_vain_is_told_of_when_the_person_is_back(web, browse):
    person = browse(web, program=False)
    came_from = {"Referer": web.url + "/folder/?a=b", "Origin": web.url}
    lost = "What you sent"
    for method, headers, back in (("POST", came_from, "/folder/?a=b"), ("POST", {}, ""), ("GET", came_from, None)):
        answer = person.request(method, "/page.html", data={"a": "b"} if method == "POST" else None, headers=headers)
        assert is_turned_away(web, answer)
        if answer.status_code == 303:
            assert answer.headers["Location"].startswith("/session/login")
            answer = person.get(answer.headers["Location"])
        assert (lost in answer.text) == (method == "POST")
        fields = fields_of(answer.text)
        if back is None:
            assert fields["next"] == "/page.html"
            continue
        assert fields["next"] == back
        # A wrong password in between, and then the right one.
        answer = person.login("nobody", **fields)
        assert lost in answer.text
        name = web.new_user()
        answer = person.login(name, **fields_of(answer.text))
        assert answer.status_code == 303
        answer = person.get(answer.headers["Location"])
        assert answer.status_code == 200 and lost in answer.text
        assert f'href="{back or "/session/account"}"' in answer.text
        person.logout()


@pytest.mark.parametrize(
    "referer", ["https://elsewhere.example/form", "{url}.example/form", "{url}//elsewhere.example/", "{url}", "form", ":///"]
)
def test_form_that_was_not_on_this_site_is_nothing_to_come_back_to(web, browse, referer):
    person = browse(web, program=False)
    answer = person.request("POST", "/page.html", headers={"Referer": referer.format(url=web.url)})
    if answer.status_code == 303:
        answer = person.get(answer.headers["Location"])
    answer = person.login(web.new_user(), **fields_of(answer.text))
    assert answer.headers["Location"] == "/session/login?lost=true"
    assert 'href="/session/account"' in person.get(answer.headers["Location"]).text


def test_displaced_browser_is_told(web, browse):
    first, second, program = browse(web, program=False), browse(web, user_agent=CHROME), browse(web)
    name = web.new_user()
    first.sign_in(name)
    assert web.shows_page(first.get("/page.html"))
    program.key = first.key
    second.sign_in(name)
    problem(program.get("/page.html"), 401, "displaced")
    page, wanted = find_form(web, first, "/page.html")
    assert "You were signed out" in page.text and "Your account was signed in on" in page.text
    assert wanted == "/page.html"
    assert web.shows_page(second.get("/page.html"))


def test_signing_out_closes_the_site(web, browse):
    program, old = browse(web), browse(web)
    program.sign_in(web.new_user())
    old.key = program.key
    assert web.shows_page(old.get("/page.html"))
    program.logout()
    problem(old.get("/page.html"), 401, "logged_out")
    problem(program.get("/page.html"), 401, "unauthenticated")


# ---- A cookie of the application's that has a common name, and others that are in the way ----------------------------


@only("proxied")
def test_application_whose_cookie_is_called_session_keeps_it(web, browse):
    keeps_its_own_cookie(web, browse(web, program=False))


def test_session_that_is_live_is_found_behind_stale_cookies(web, browse):
    program = browse(web)
    program.sign_in(web.new_user())
    mine = f"onesession={program.key}"
    jar = [("Cookie", f"onesession={UNKNOWN_KEY}; onesession={'B' * 43}; {mine}; onesession={'C' * 43}")]
    assert raw(web, "GET", "/page.html", jar)[0] == 200
    assert raw(web, "POST", "/session/logout", [*jar, ("Accept", "application/json")])[0] == 204
    assert program.auth() == "logged_out"

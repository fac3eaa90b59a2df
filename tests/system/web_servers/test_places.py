"""
Places that require more than a session, through the configurations that the project ships, with the place added as they
say: who is let in, who is led where, and that no way of writing the address and nothing that a client sends leads past.
"""

import http.client
import itertools
import json
import re
import urllib.parse

import pytest

from support import applications
from support.browser import PERSON_ACCEPT
from support.web import OWN_LOGIN_SITES, SERVERS, SITES, only, raw, running

PLACES = {
    "premium": "plan=gold|platinum",
    "staff": "group=staff|editors verified",
    "settings": "fresh=10m",
    "forum": "optional",
    "broken": "plan=gold or=silver",
}
SETTINGS = {
    "access.upgrade_url": "/plans?x=y",
    "access.require_parameter": "on",
    "mail.server": "smtp://127.0.0.1:9",
    "mail.site_url": "https://www.example.org",
    "mail.from": "noreply@example.org",
}


def with_places(server_name):
    def make_server(daemon, kind, application):
        server = SERVERS[server_name](daemon, kind, application)
        server.places = {**server.places, **PLACES}
        if kind == "static":
            for place in PLACES:
                (application.root / place).mkdir()
                (application.root / place / "page.html").write_text(applications.PAGE)
        return server

    return make_server


@pytest.fixture(name="web", scope="module", params=SITES + OWN_LOGIN_SITES, ids="-".join)
def fixture_web(request, cluster_of_worker):
    name, kind = request.param
    with running(None, cluster_of_worker, name, with_places(name), kind, SETTINGS) as made:
        made.database.query("INSERT INTO plans (name) VALUES ('gold'), ('silver')")
        yield made


def change(web, name, assignment):
    web.database.query(f"UPDATE users SET {assignment} WHERE username = '{name}'")


HAS_ALL = "plan = 'gold', groups = '{editors}', email = username || '@example.org', email_verified_at = now()"


@pytest.fixture
def member(web, browse):
    """(browser, name) of somebody who is signed in and has nothing else."""
    person = browse(web, program=False)
    name = web.new_user()
    person.sign_in(name)
    return person, name


@pytest.fixture
def program(web, browse, member):
    one = browse(web)
    one.key = member[0].key
    return one


def leads_to(web, answer):
    """Where a refusal leads: the address of a redirect, or, as lighttpd's go to the client as they are, of its link."""
    assert not web.shows_page(answer)
    if web.server_name == "lighttpd":
        found = re.findall(r'<p class="onward"><a href="([^"]*)"', answer.text)
        return answer.status_code, found[0].replace("&amp;", "&")
    assert answer.status_code == 303
    return None, answer.headers["Location"].removeprefix(web.url)


def test_who_has_what_is_needed_is_let_in(web, member):
    person, name = member
    change(web, name, HAS_ALL)
    for place in ("premium", "staff", "settings", "forum"):
        assert web.shows_page(person.get(f"/{place}/page.html")), place
    assert web.shows_page(person.get("/page.html"))


def test_who_lacks_a_plan_is_led_to_the_plans_and_back(web, member, program):
    person, name = member
    for assignment, code in (
        ("plan = NULL", "plan_required"),
        ("plan = 'silver'", "plan_required"),
        ("plan = 'gold', valid_until = now()", "subscription_ended"),
    ):
        change(web, name, assignment)
        count = len(web.application.seen)
        status, way = leads_to(web, person.get("/premium/page.html?a=b"))
        assert (status, way) == (
            403 if web.server_name == "lighttpd" else None, "/plans?x=y&next=/premium/page.html%3Fa%3Db",
        )
        answer = program.get("/premium/page.html")
        assert answer.status_code == 403
        assert (answer.json()["code"], answer.json()["required"]) == (code, {"plan": ["gold", "platinum"]})
        assert answer.headers["Session-Reason"] == code
        assert len(web.application.seen) == count
        # What is open to any session still is.
        assert web.shows_page(person.get("/page.html"))
    change(web, name, "plan = 'gold', valid_until = NULL")
    assert web.shows_page(person.get("/premium/page.html"))


def test_who_is_in_no_such_group_gets_a_page_that_says_so(web, member, program):
    person, name = member
    change(web, name, HAS_ALL.replace("editors", "others"))
    answer = person.get("/staff/page.html")
    assert answer.status_code == 403 and "members of a group" in answer.text
    assert program.get("/staff/page.html").json()["required"] == {"group": ["staff", "editors"]}


def test_who_has_no_verified_address_is_led_to_prove_one(web, member, program):
    person, name = member
    change(web, name, "groups = '{staff}'")
    _, way = leads_to(web, person.get("/staff/page.html"))
    assert way == "/session/verify?next=/staff/page.html"
    page = person.get(way)
    assert page.status_code == 200 and 'action="/session/email"' in page.text
    assert program.get("/staff/page.html").json()["code"] == "verification_required"
    change(web, name, HAS_ALL)
    # And on from there.
    assert person.get(way).headers["Location"].removeprefix(web.url) == "/staff/page.html"
    assert web.shows_page(person.get("/staff/page.html"))


def test_whose_proof_is_old_proves_it_again(web, member, program):
    person, name = member
    web.database.make_unproved(web.database.sessions(name)[0])
    status, way = leads_to(web, person.get("/settings/page.html"))
    assert (status, way) == (401 if web.server_name == "lighttpd" else None, "/session/confirm?next=/settings/page.html")
    answer = program.get("/settings/page.html")
    assert (answer.status_code, answer.json()["code"]) == (401, "stale")
    answer = person.post("/session/confirm", {"password": web.database.password, "next": "/settings/page.html"})
    assert answer.headers["Location"].removeprefix(web.url) == "/settings/page.html"
    web.secrets.add(person.key)
    assert web.shows_page(person.get("/settings/page.html"))


def identity_of(web, asked):
    """With address, groups and plan, where the web server can tell."""
    more = ("Email", "Groups", "Plan")
    if web.kind == "fastcgi":
        return web.identity(asked) + tuple(asked.get("REMOTE_" + name.upper()) for name in more)
    if web.server_name == "lighttpd" and web.kind == "proxied":
        return web.identity(asked)
    return web.identity(asked) + tuple(asked.get("Remote-" + name) for name in more)


@pytest.mark.parametrize("path", ["/page.html", "/forum/page.html"])
def test_application_is_told_who_it_is_and_what_it_has(web, member, path):
    person, name = member
    change(web, name, HAS_ALL)
    assert web.shows_page(person.get(path))
    if not web.has_application:
        return
    expected = (name, str(web.database.user_id(name)), web.database.sessions(name)[0], f"{name}@example.org", "editors", "gold")
    found = identity_of(web, web.last())
    assert found == expected[: len(found)]


def test_optional_place_is_open_to_everybody(web, member, browse):
    person, name = member
    stranger = browse(web, program=False)
    for headers in ({}, {"Cookie": "onesession=" + "A" * 43}, {"Cookie": "onesession=short"}):
        answer = stranger.get("/forum/page.html", headers=headers)
        assert answer.status_code == 200 and web.shows_page(answer)
        if web.has_application:
            assert set(identity_of(web, web.last())) == {""}
    assert stranger.get("/page.html").status_code in (303, 401)
    answer = person.get("/forum/page.html")
    assert answer.status_code == 200
    if web.has_application:
        assert web.identity(web.last())[0] == name
        assert "onesession" not in (web.last().get("Cookie") or web.last().get("HTTP_COOKIE"))
    # Who was displaced is nobody.
    other = browse(web)
    other.sign_in(name)
    assert web.shows_page(person.get("/forum/page.html"))
    if web.has_application:
        assert set(identity_of(web, web.last())) == {""}


def test_requirement_that_is_not_understood_lets_nobody_in(web, member):
    person, name = member
    change(web, name, HAS_ALL)
    person.permits_5xx = True
    count = len(web.application.seen)
    answer = person.get("/broken/page.html")
    assert answer.status_code == 503
    assert not web.shows_page(answer)
    assert len(web.application.seen) == count


CLAIMS = [
    ("Onesession-Require", "live"),
    ("ONESESSION_REQUIRE", "optional"),
    ("Onesession.Require", "optional"),
    ("Redirect-Onesession-Require", "live"),
    ("X-Onesession-Require", "live"),
    ("Session-Place", "optional"),
    ("Remote-Plan", "gold"),
    ("Remote_Plan", "gold"),
    ("Remote-Groups", "staff"),
    ("Remote-Email", "a@example.org"),
]


@pytest.mark.parametrize("field, value", CLAIMS)
def test_client_cannot_say_what_is_needed_or_what_it_has(web, member, field, value):
    person, _ = member
    count = len(web.application.seen)
    key = ("Cookie", f"onesession={person.key}")
    for path in ("/premium/page.html", "/staff/page.html"):
        status, text = raw(web, "GET", path, [key, (field, value), ("Accept", "application/json")])
        assert status in (403, 400)
        assert applications.PAGE not in text
    assert len(web.application.seen) == count
    for headers, path in (([key], "/page.html"), ([], "/forum/page.html"), ([], "/.well-known/acme-challenge/proof")):
        assert raw(web, "GET", path, [*headers, (field, value)])[0] in (200, 400)
    for asked in web.application.seen[count:]:
        for name in ("Remote-Email", "Remote-Groups", "Remote-Plan"):
            for found in (name, name.replace("-", "_"), "HTTP_" + name.replace("-", "_").upper()):
                assert asked.get(found) == "", found


# Ways of writing /premium/page.html, as some program or other reads them.
WAYS = [
    "/premium/page.html",
    "/premium",
    "/premium/",
    "/premium?x",
    "/premium#x",
    "/premium;x=y/page.html",
    "/premium;/page.html",
    "/premium%3bx/page.html",
    "/premium./page.html",
    "/premium.../page.html",
    "/premium%20/page.html",
    "/premium%2e/page.html",
    "/premium%00/page.html",
    "/premium%09/page.html",
    "/premium%5cpage.html",
    "/premium\\page.html",
    "/premium%2fpage.html",
    "/premium%252fpage.html",
    "/premium//page.html",
    "//premium/page.html",
    "/./premium/page.html",
    "/%2e/premium/page.html",
    "/x/../premium/page.html",
    "/x/%2e%2e/premium/page.html",
    "/x/..%2fpremium/page.html",
    "/x/..%5cpremium/page.html",
    "/x/..;/premium/page.html",
    "/x\\..\\premium/page.html",
    "/forum/../premium/page.html",
    "/forum/..;/premium/page.html",
    "/forum/%2e%2e/premium/page.html",
    "/forum/..%2fpremium/page.html",
    "/forum%2f..%2fpremium/page.html",
    "/forum/%2e%2e;/premium/page.html",
    "/robots.txt/../premium/page.html",
    "/.well-known/../premium/page.html",
    "/session/../premium/page.html",
    "/session/..%2fpremium/page.html",
    "/premium/./page.html",
    "/premium/../premium/page.html",
    "/PREMIUM/page.html",
    "/Premium/page.html",
    "/pReMiUm/page.html",
    "/%70remium/page.html",
    "/%70%72%65%6d%69%75%6d/page.html",
    "/%50REMIUM/page.html",
    "/prem%69um;x/page.html",
    "/%2570remium/page.html",
    "/premium/page.html/",
    "/premium/page.html%00",
    "http://localhost/premium/page.html",
    "http://localhost//premium/page.html",
    "http://localhost/%70remium/page.html",
    "HTTP://localhost/premium/page.html",
    "/premium/page.html?/../../forum",
    "/premium/page.html?;/forum",
    "premium/page.html",
]


def readings(target):
    """The addresses that some program or other may read there, without escapes, parameters and dot segments."""
    path = re.sub(r"(?i)^http://[^/]*", "", target)
    path = re.split(r"[?#]", path)[0]
    for _ in range(3):
        path = urllib.parse.unquote(path, errors="replace")
    path = re.sub(r";[^/\\]*", "", path.replace("\\", "/"))
    kept = []
    for segment in path.lower().split("/"):
        segment = segment.rstrip(". \t\0") if segment not in ("..", ".") else segment
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    return kept


def test_these_are_ways_of_writing_it():
    for target in WAYS:
        assert readings(target)[:1] == ["premium"], target


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_way_of_writing_an_address_leads_past_what_it_requires(web, member, method):
    person, _ = member
    for target, (headers) in itertools.product(WAYS, ([("Cookie", f"onesession={person.key}")], [])):
        count = len(web.application.seen)
        try:
            status, text = raw(web, method, target, [*headers, ("Accept", PERSON_ACCEPT)])
        except (http.client.HTTPException, ConnectionError):
            continue
        assert applications.PAGE not in text, target
        assert status >= 300, (target, status)
        assert web.application.seen[count:] == [], target


def test_whoever_has_it_gets_there_by_the_plain_ways(web, member):
    """What the test before this one asks for is there to be had."""
    person, name = member
    change(web, name, HAS_ALL)
    for target in ("/premium/page.html", "/%70remium/page.html"):
        status, text = raw(web, "GET", target, [("Cookie", f"onesession={person.key}")])
        assert status == 200
        assert applications.PAGE in text or json.loads(text)["application"]


@only("proxied", "fastcgi")
@pytest.mark.parametrize("status", [401, 403])
def test_refusals_of_the_application_reach_the_client_as_they_are(web, member, status):
    person, name = member
    change(web, name, HAS_ALL)
    for place in ("", "/premium", "/forum"):
        answer = person.get(f"{place}/answer/{status}")
        assert answer.status_code == status
        assert web.shows_page(answer)


# ---- A configuration that has lost the parameter ---------------------------------------------------------------------

LOST = {
    "nginx": ("\tfastcgi_param SCRIPT_NAME /session/auth;\n\tfastcgi_param ONESESSION_REQUIRE $session_require;\n", "\tfastcgi_param SCRIPT_NAME /session/auth;\n"),
    "apache": ("\tSetEnvIfExpr true ONESESSION_REQUIRE=live\n", ""),
    "caddy": (
        "\t\trewrite /session/auth\n\t\ttransport fastcgi {\n\t\t\tenv ONESESSION_REQUIRE {onesession_require}\n\t\t}\n",
        "\t\trewrite /session/auth\n\t\ttransport fastcgi\n",
    ),
}


@pytest.mark.parametrize("server_name", SERVERS)
def test_place_that_has_lost_the_parameter_is_closed(request, cluster_of_worker, browse, server_name):
    def make_server(daemon, kind, application):
        server = SERVERS[server_name](daemon, kind, application)
        if server_name == "lighttpd":
            server.places = {"page.html": ""}
        else:
            before, after = LOST[server_name]
            server.guard_changes = {before: after}
        return server

    with running(request.node, cluster_of_worker, server_name, make_server, "proxied", SETTINGS) as web:
        person = browse(web, program=False, permits_5xx=True)
        person.sign_in(web.new_user())
        answer = person.get("/page.html")
        assert answer.status_code == 503
        assert not web.shows_page(answer)
        assert web.application.seen == []
        assert web.daemon.lines_of("requirement_missing")

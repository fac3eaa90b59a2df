"""
What operators and users of nginx, Apache and lighttpd rely on: one table of cases, through the configurations that the
project ships, for each kind of application.
"""

import hashlib
import html
import http.client
import os
import posixpath
import re
import socket
from urllib.parse import unquote

import pytest
import requests

from support import applications, fastcgi, webservers
from support.browser import CHROME, PERSON_ACCEPT, problem
from support.waiting import wait_until
from support.web import APPLICATIONS, SERVERS, SITES, UNKNOWN_KEY, raw, running


def only(*kinds):
    """For tests that make sense with some kinds of application."""
    sites = [site for site in SITES if site[1] in kinds]
    return pytest.mark.parametrize("web", sites, ids="-".join, indirect=True, scope="module")


@pytest.fixture(scope="module", params=SITES, ids="-".join)
def web(request, cluster_of_worker):
    name, kind = request.param
    with running(request.node, cluster_of_worker, name, SERVERS[name], kind) as made:
        yield made


def is_refused(web, answer):
    """Neither the page nor the application; and the way that each web server refuses people."""
    assert not web.shows_page(answer)
    return answer.status_code == (401 if web.server_name == "lighttpd" else 303)


def find_form(web, person, path):
    """Ask for a guarded page and end at the sign-in form. Returns its `next`."""
    answer = person.get(path)
    assert is_refused(web, answer), answer.status_code
    if answer.status_code == 303:
        assert re.match(r"/session/login(\?next=|$)", answer.headers["Location"])
        answer = person.get(answer.headers["Location"])
        assert answer.status_code == 200
    assert 'action="/session/login"' in answer.text
    return answer, html.unescape(re.search(r'name="next" value="([^"]*)"', answer.text)[1])


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
        assert is_refused(web, person.get("/page.html", headers=headers)), headers


def fields_of(page):
    """The hidden fields of the form."""
    return {name: html.unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page)}


def test_form_that_was_sent_in_vain_is_told_of_when_the_person_is_back(web, browse):
    person = browse(web, program=False)
    came_from = {"Referer": web.url + "/folder/?a=b", "Origin": web.url}
    lost = "What you sent"
    for method, headers, back in (("POST", came_from, "/folder/?a=b"), ("POST", {}, ""), ("GET", came_from, None)):
        answer = person.request(method, "/page.html", data={"a": "b"} if method == "POST" else None, headers=headers)
        assert is_refused(web, answer)
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


# ---- Who is let in ---------------------------------------------------------------------------------------------------

FORGED = [
    "Remote-User",
    "Remote_User",
    "REMOTE-USER",
    "rEMOTE_uSER",
    "Remote-User-Id",
    "Remote_User_Id",
    "Remote-User_Id",
    "Remote_User-Id",
    "Session-Id",
    "Session_Id",
    "Session-Reason",
    "SESSION_REASON",
    "Authorization",
]
# What an application takes for the web server's word.
BELIEVED = {
    "fastcgi": re.compile(r"(HTTP_)?(REMOTE_USER|REMOTE_USER_ID|SESSION_ID|SESSION_REASON|FORWARDED)"),
    "proxied": re.compile(r"(REMOTE[-_]USER|REMOTE[-_]USER[-_]ID|SESSION[-_]ID|SESSION[-_]REASON|FORWARDED)", re.I),
}


@pytest.mark.parametrize("path", ["/page.html", "/robots.txt"])
@pytest.mark.parametrize("signed_in", [True, False])
def test_client_cannot_pass_itself_off_as_somebody(web, browse, path, signed_in):
    program = browse(web)
    name = web.new_user()
    if signed_in:
        program.sign_in(name)
    count = len(web.application.seen)
    headers = [(field, "Basic Zm9yZ2VkOmZvcmdlZA==" if field == "Authorization" else "forged") for field in FORGED]
    headers.append(("Forwarded", 'for=203.0.113.9;remote_user="forged"'))
    if web.server_name == "lighttpd":
        headers.append(("X-Forwarded-For", '203.0.113.9;"forged"'))
    if program.key is not None:
        headers.append(("Cookie", f"onesession={program.key}"))
    status, text = raw(web, "GET", path, headers)
    assert status == (200 if signed_in or path == "/robots.txt" else 401)
    assert "forged" not in text
    if not signed_in and path != "/robots.txt":
        assert len(web.application.seen) == count
    for asked in web.application.seen[count:]:
        for field, value in asked.fields:
            if BELIEVED[web.kind].fullmatch(field):
                assert "forged" not in value, field
        if signed_in and path != "/robots.txt":
            assert web.identity(asked)[0] == name
        else:
            assert set(web.identity(asked)) == {""}


# A program that makes an underscore of whatever is no letter and no digit takes these for ours.
ALIKE = [
    name.format(mark)
    for mark in "!#$%&'*+-.^_`|~"
    for name in (
        "Remote{0}User",
        "remote{0}user",
        "Remote{0}User-Id",
        "Remote-User{0}Id",
        "Remote.User{0}Id",
        "REMOTE{0}USER{0}ID",
        "Session{0}Id",
        "session{0}reason",
    )
]
OURS = {"REMOTE_USER", "REMOTE_USER_ID", "SESSION_ID", "SESSION_REASON"}


@only("proxied", "fastcgi")
@pytest.mark.parametrize("path", ["/page.html", "/robots.txt"])
def test_client_cannot_pass_itself_off_by_a_field_that_looks_alike(web, browse, path):
    program = browse(web)
    program.sign_in(web.new_user())
    # Apache has no patterns for names; its sample says which it removes.
    alike = [field for field in ALIKE if not (web.server_name == "apache" and re.search(r"[^\w.-]", field))]
    for field in alike:
        count = len(web.application.seen)
        status, _ = raw(web, "GET", path, [(field, "forged"), ("Cookie", f"onesession={program.key}")])
        assert status in (200, 400), field
        for asked in web.application.seen[count:]:
            for name, value in asked.fields:
                name = re.sub("[^A-Z0-9]", "_", name.upper()).removeprefix("HTTP_")
                assert name not in OURS or "forged" not in value, (field, name)


TAKEN_AWAY = [
    "Remote-User, Remote-User-Id, Session-Id",
    "keep-alive, Remote-User, Remote-User-Id, Session-Id, Forwarded, Cookie",
    "close,remote-user,\tREMOTE-USER-ID ,session-id,forwarded,cookie",
    "Cookie",
    "Cookie, close",
    ",Cookie,,",
    "Upgrade, Cookie, Remote-User",
]


@only("proxied", "fastcgi")
@pytest.mark.parametrize("named", TAKEN_AWAY)
def test_client_cannot_take_the_identity_away(web, browse, named):
    """A proxy leaves out the fields that Connection names, and ours were set before."""
    program = browse(web)
    name = web.new_user()
    told = program.sign_in(name)
    expected = (name, str(told["user"]["id"]), told["session"]["id"])
    for headers in ([("Connection", named)], [("Connection", one) for one in named.split(",")]):
        headers.append(("Cookie", f"a=1; onesession={program.key}; b=2"))
        assert raw(web, "GET", "/page.html", headers)[0] == 200
        found = web.identity(web.last())
        assert found == expected[: len(found)]
        cookies = web.last().get("HTTP_COOKIE" if web.kind == "fastcgi" else "Cookie")
        assert re.split(r"[; ]+", cookies.strip("; ")) == ["a=1", "b=2"]


def is_refused_status(web):
    return 401 if web.server_name == "lighttpd" else 303


@pytest.mark.parametrize(
    "cookie",
    [
        "onesession=",
        "onesession=x",
        f"onesession={UNKNOWN_KEY}",
        f"onesession={UNKNOWN_KEY}; onesession={UNKNOWN_KEY}",
        f"__Host-onesession={UNKNOWN_KEY}",
        "onesession=" + "\xff" * 43,
        'onesession="' + "A" * 41 + '"',
        "onesession=../../../etc/passwd",
        "onesession=' OR 1=1 --",
        ";;;=;",
        "session",
    ],
)
def test_cookie_that_is_no_session_lets_nobody_in(web, cookie):
    count = len(web.application.seen)
    status, text = raw(web, "GET", "/page.html", [("Cookie", cookie)])
    assert status in (401, 400)
    assert applications.PAGE not in text
    assert len(web.application.seen) == count


@pytest.mark.parametrize(
    "target",
    [
        "//page.html",
        "/./page.html",
        "/folder/../page.html",
        "/session/../page.html",
        "/session/%2e%2e/page.html",
        "/session/%2E%2E/page.html",
        "/session//../page.html",
        "/session/..%2fpage.html",
        "/session%2f../page.html",
        "/session/x/%2e%2e/%2e%2e/page.html",
        "/session/..;/page.html",
        "/session/..\\page.html",
        "/session/%2e%2e%5cpage.html",
        "/session/login/../../page.html",
        "/session/refused/../../page.html",
        "/SESSION/../page.html",
        "/robots.txt/../page.html",
        "/robots.txt%2f..%2fpage.html",
        "/robots.txt/%2e%2e/page.html",
        "/robots.txt/page.html",
        "/.well-known/../page.html",
        "/.well-known/%2e%2e/page.html",
        "/.well-known/..%2fpage.html",
        "/.well-known",
        "/robots.txt%00/../page.html",
        "/robots.txt?/../page.html",
        "/%70age.html",
        "/page%2ehtml",
        "/page.html/",
        "/page.html%00",
        "/page.html#x",
        "/session-auth",
            "/session",
        "page.html",
        "*",
        "http://localhost/page.html",
        "http://localhost//page.html",
        pytest.param("/" + "x" * 7000, id="long"),
    ],
)
def test_no_way_of_writing_an_address_leads_past_the_guard(web, target):
    count = len(web.application.seen)
    for method in ("GET", "POST"):
        try:
            status, text = raw(web, method, target)
        except (http.client.HTTPException, ConnectionError):
            continue
        assert status >= 300 or target.startswith("/robots.txt"), (method, status)
        assert applications.PAGE not in text
    seen = web.application.seen[count:]
    assert not [asked for asked in seen if asked.target.partition("?")[0] != "/robots.txt"], seen


def meaning(target):
    return posixpath.normpath("/" + unquote(target).lstrip("/"))


@only("proxied", "fastcgi")
@pytest.mark.parametrize(
    "target", ["/a%2Fb/c", "/a/..%2Fb", "/%2e%2e%2fx", "/a;b=c,d/e:f@g", "/%7Ea/*/(b)/$c/!d", "//a//b"]
)
def test_odd_address_reaches_the_application_or_nothing(web, browse, target):
    """Whatever a web server makes of it, what the guard let in is what the application is asked for."""
    program = browse(web)
    program.sign_in(web.new_user())
    count = len(web.application.seen)
    status, _ = raw(web, "GET", target, [("Cookie", f"onesession={program.key}")])
    assert status in (200, 400, 404)
    assert len(web.application.seen) - count == (1 if status == 200 else 0)
    if status == 200:
        assert meaning(web.last().target) == meaning(target)


@pytest.mark.parametrize("method", ["HEAD", "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_is_guarded_and_reaches_the_application(web, browse, method):
    program = browse(web, program=False, permits_5xx=not web.has_application)
    stranger = browse(web, program=False)
    program.sign_in(web.new_user())
    count = len(web.application.seen)
    answer = stranger.request(method, "/page.html?x=1")
    assert answer.status_code == is_refused_status(web)
    assert len(web.application.seen) == count
    if method in ("HEAD", "GET"):
        assert "Location" not in answer.headers or answer.headers["Location"].endswith("next=/page.html%3Fx%3D1")
        assert method == "GET" or answer.text == ""
    else:
        assert answer.headers.get("Location", "/session/login?lost=true") == "/session/login?lost=true"
        assert 'name="next" value="/' not in answer.text
    answer = program.request(method, "/page.html?x=1")
    if web.has_application:
        assert answer.status_code == 200
        assert (web.last().method, web.last().target) == (method, "/page.html?x=1")
        assert len(web.application.seen) == count + 1
    elif method in ("HEAD", "GET"):
        assert answer.status_code == 200
    if method == "HEAD":
        assert answer.text == ""


@only("proxied", "fastcgi")
@pytest.mark.parametrize("size", [0, 1, 12 * 1024 * 1024])
def test_body_passes_the_guard_unchanged(web, browse, size):
    program = browse(web)
    body = os.urandom(size)
    headers = {"Content-Type": "application/octet-stream"}
    count = len(web.application.seen)
    answer = program.request("POST", "/upload", data=body, headers=headers)
    assert answer.status_code == 401
    assert len(web.application.seen) == count
    program.sign_in(web.new_user())
    answer = program.request("POST", "/upload", data=body, headers=headers)
    assert answer.status_code == 200
    asked = web.last()
    assert (asked.size, asked.digest) == (size, hashlib.sha256(body).hexdigest())
    assert asked.get("CONTENT_TYPE" if web.kind == "fastcgi" else "Content-Type") == "application/octet-stream"


@only("proxied", "fastcgi")
@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_errors_of_the_application_reach_the_client_as_they_are(web, browse, status):
    person = browse(web, program=False, permits_5xx=True)
    person.sign_in(web.new_user())
    answer = person.get(f"/answer/{status}")
    assert answer.status_code == status
    assert web.shows_page(answer)


def test_key_is_found_beside_large_cookies(web, browse):
    program = browse(web)
    program.sign_in(web.new_user())
    for cookie in (f"onesession={program.key}; big={'x' * 6144}", f"big={'x' * 6144}; onesession={program.key}"):
        status, text = raw(web, "GET", "/page.html", [("Cookie", cookie)])
        assert status == 200
        assert applications.PAGE in text or "application" in text


@pytest.mark.parametrize("count, size", [(1, 20_000), (1, 200_000), (12, 7000), (60, 7000), (90, 500), (2000, 50)])
def test_header_that_is_too_large_lets_nobody_in(web, browse, count, size):
    """Where the web server takes it and the daemon does not, too: the daemon's limit is 64 KiB."""
    program = browse(web)
    program.sign_in(web.new_user())
    large = [(f"X-Large-{number}", "x" * size) for number in range(count)]
    for cookie in ([], [("Cookie", f"onesession={program.key}")]):
        seen = len(web.application.seen)
        try:
            status, text = raw(web, "GET", "/page.html", large + cookie)
        except (http.client.HTTPException, ConnectionError):
            status, text = None, ""
        if cookie and status == 200:
            assert count * size < 65536
            continue
        assert status in (None, 400, 401, 431, 503)
        assert applications.PAGE not in text
        assert len(web.application.seen) == seen


def test_open_location_needs_no_session(web, browse):
    assert browse(web, program=False).get("/robots.txt").status_code == 200


def test_what_is_well_known_is_for_everyone(web, browse):
    person = browse(web, program=False)
    answer = person.get("/.well-known/acme-challenge/proof")
    assert answer.status_code == 200
    if web.has_application:
        assert web.last().target == "/.well-known/acme-challenge/proof"
    else:
        assert answer.text == "proven\n"
        # So that programs can tell: RFC 8615, and "A well-known URL for changing passwords".
        assert person.get("/.well-known/resource-that-should-not-exist").status_code == 404
    answer = person.get("/.well-known/change-password")
    assert (answer.status_code, answer.headers["Location"].removeprefix(web.url)) == (303, "/session/account")


def test_address_of_the_daemon_that_ends_too_early_leads_to_the_account(web, browse):
    answer = browse(web, program=False).get("/session/")
    assert (answer.status_code, answer.headers["Location"].removeprefix(web.url)) == (303, "/session/account")


# ---- A cookie of the application's that has a common name, and others that are in the way ----------------------------


def keeps_its_own_cookie(web, person):
    assert person.login(web.new_user()).status_code == 303
    assert person.get("/flask").status_code == 200
    assert web.shows_page(person.get("/page.html"))
    sent = web.last().get("Cookie")
    assert [pair.strip() for pair in sent.split(";") if pair.strip()] == [applications.FLASK_COOKIE]
    # Each is still there after a sign-in and a sign-out.
    assert person.login(web.new_user()).status_code == 303
    assert web.shows_page(person.get("/page.html"))
    person.logout()
    assert is_refused(web, person.get("/page.html"))
    assert applications.FLASK_COOKIE in [f"{cookie.name}={cookie.value}" for cookie in person.http.cookies]


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


# ---- WebSocket -------------------------------------------------------------------------------------------------------


def ask_for_upgrade(web, protocols, cookie, path="/page.html", named="Upgrade"):
    """An open connection, what was answered, and the bytes that came after it."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{web.server.port}", f"Connection: {named}"]
    lines += [f"Upgrade: {protocol}" for protocol in protocols]
    lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-Fetch-Mode: websocket"]
    lines += [f"Cookie: onesession={cookie}"] if cookie else []
    connection = socket.create_connection(("127.0.0.1", web.server.port), timeout=30)
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = connection.recv(1000)
        assert data, answer
        answer += data
    head, _, rest = answer.partition(b"\r\n\r\n")
    return connection, int(head.split()[1]), rest


@only("proxied")
@pytest.mark.parametrize(
    "protocol, named",
    [
        ("websocket", "Upgrade"),
        ("WebSocket", "keep-alive, Upgrade"),
        ("websocket", "upgrade, Remote-User, Remote-User-Id, Session-Id, Forwarded, Cookie"),
    ],
)
def test_websocket_passes_for_who_is_signed_in_and_nobody_else(web, browse, protocol, named):
    program = browse(web)
    name = web.new_user()
    program.sign_in(name)
    connection, status, rest = ask_for_upgrade(web, [protocol], program.key, named=named)
    with connection:
        assert status == 101
        assert web.identity(web.last())[0] == name
        for sent in (b"\x81\x02hi", b"\x89\x00"):
            connection.sendall(sent)
            while len(rest) < len(sent):
                data = connection.recv(1000)
                assert data
                rest += data
            assert rest == sent
            rest = b""
    count = len(web.application.seen)
    connection, status, _ = ask_for_upgrade(web, [protocol], UNKNOWN_KEY)
    with connection:
        assert status == 401
    assert len(web.application.seen) == count


@only("proxied")
@pytest.mark.parametrize("path", ["/page.html", "/.well-known/x"])
@pytest.mark.parametrize(
    "protocols", [["h2c"], ["websocket, h2c"], ["h2c, websocket"], ["h2c", "websocket"], ["websocket", "h2c"], ["x"]]
)
def test_connection_becomes_nothing_else(web, browse, protocols, path):
    """Requests inside of it would be asked of the application by whoever they please."""
    program = browse(web)
    program.sign_in(web.new_user())
    count = len(web.application.seen)
    connection, status, _ = ask_for_upgrade(web, protocols, program.key, path)
    with connection:
        asked = web.application.seen[count:]
        # Some take the first that is asked for, and ask the application for that and nothing else.
        assert status in ((101,) if [one for one in asked if one.get("Upgrade") == "websocket"] else (200, 400))
    for one in asked:
        assert one.get("Upgrade") in ("", "websocket")


# ---- A refusal that is not the guard's -------------------------------------------------------------------------------

INTERCEPTED = {
    "nginx": ("\tlocation / {\n", "\tproxy_intercept_errors on;\n\tlocation / {\n"),
    "apache": ("\tProxyPreserveHost On\n", "\tProxyPreserveHost On\n\tProxyErrorOverride On 401\n"),
}


@pytest.mark.parametrize("server_name", INTERCEPTED)
def test_refusal_of_the_applications_own_does_not_lead_in_a_circle(request, cluster_of_worker, browse, server_name):
    def make_server(daemon, kind, application):
        server = SERVERS[server_name](daemon, kind, application)
        before, after = INTERCEPTED[server_name]
        server.changes[before] = server.changes.get(before, before).replace(before, after)
        return server

    with running(request.node, cluster_of_worker, server_name, make_server, "proxied") as web:
        person, program = browse(web, program=False), browse(web)
        for browser in (person, program):
            browser.sign_in(web.new_user())
        answer = person.get("/answer/401")
        assert answer.status_code == 403
        assert "You are signed in" in answer.text
        problem(program.get("/answer/401"), 403, "forbidden")
        person.logout()
        assert is_refused(web, person.get("/answer/401"))


# ---- What nginx answers by itself ------------------------------------------------------------------------------------


def assert_told(answer, status, page, code):
    """People see a page, programs JSON; nobody nginx's own."""
    assert answer.status_code == status
    assert "<center>" not in answer.text
    if page:
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "<h1>" in answer.text
    else:
        problem(answer, status, code)
        assert status != 503 or answer.headers["Retry-After"]


def test_what_nginx_answers_by_itself_is_told_to_people_and_programs(request, cluster_of_worker, browse):
    for kind in APPLICATIONS:
        with running(request.node, cluster_of_worker, "nginx", webservers.nginx_site, kind) as web:
            both = [(browse(web, program=it, permits_5xx=True), not it) for it in (False, True)]
            for browser, page in both:
                browser.sign_in(web.new_user())
                for path in ["/session-auth", "/session-away/page"] + ["/no-such-file"] * (kind == "static"):
                    assert_told(browser.get(path), 404, page, "not_found")
            if web.has_application:
                web.application.close()
                web.application.close = lambda: None
                for browser, page in both:
                    assert_told(browser.get("/page.html"), 503, page, "unavailable")
                    assert_told(browser.post("/page.html", {"a": "b"}), 503, page, "unavailable")
            web.daemon.stop()
            for browser, page in both:
                for path in ("/page.html", "/session/login", "/session/me"):
                    assert_told(browser.get(path), 503, page, "unavailable")
                assert_told(browser.post("/page.html", {"a": "x" * 2_000_000}), 503, page, "unavailable")
                assert browser.request("HEAD", "/page.html").status_code == 503
            person = both[0][0]
            for fields in ({"Accept": "application/json, text/html;q=0.5"}, {"Content-Type": "application/json"}):
                assert_told(person.post("/page.html", "{}", headers=fields), 503, False, "unavailable")
            web.daemon.start()


# ---- A static site ---------------------------------------------------------------------------------------------------


@only("static")
def test_pages_are_not_shown_from_a_cache_after_signing_out(web, browse):
    person = browse(web, program=False)
    person.sign_in(web.new_user())
    answer = person.get("/page.html")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    again = {"If-Modified-Since": answer.headers["Last-Modified"], "If-None-Match": answer.headers["ETag"]}
    assert person.get("/page.html", headers=again).status_code == 304
    person.logout()
    assert is_refused(web, person.get("/page.html", headers=again))
    assert is_refused(web, person.get("/page.html", headers={"Range": "bytes=0-5"}))


@only("static")
def test_folders_of_a_static_site(web, browse):
    person = browse(web, program=False)
    assert is_refused(web, person.get("/folder"))
    assert is_refused(web, person.get("/no-such-file"))
    person.sign_in(web.new_user())
    answer = person.get("/folder")
    assert answer.status_code in (301, 308)
    assert answer.headers["Location"].removeprefix(web.url) == "/folder/"
    assert person.get("/folder/").text == applications.PAGE
    assert person.get("/no-such-file").status_code == 404


# ---- When something is away ------------------------------------------------------------------------------------------


def assert_closed(web, browsers):
    count = len(web.application.seen)
    for browser in browsers:
        for method, path in (("GET", "/page.html"), ("HEAD", "/"), ("POST", "/page.html"), ("GET", "/session/login")):
            answer = browser.request(method, path)
            if browser.key is None and path == "/session/login":
                continue
            assert answer.status_code in (503, is_refused_status(web) if browser.key is None else 503), (method, path)
            assert not web.shows_page(answer)
    assert len(web.application.seen) == count


def test_site_is_closed_while_the_daemon_is_away(web, browse):
    person, program, stranger = (browse(web, program=it, permits_5xx=True) for it in (False, True, False))
    person.sign_in(web.new_user())
    program.sign_in(web.new_user())
    web.daemon.stop()
    try:
        assert_closed(web, (person, program))
        assert stranger.get("/page.html").status_code == 503
        assert stranger.get("/robots.txt").status_code == 200
    finally:
        web.daemon.start()
    # lighttpd counts the guard and the daemon's own pages as two, and tries each by itself.
    for path, status in (("/page.html", 200), ("/session/login", 303)):
        wait_until(lambda: person.get(path).status_code == status, "the web server to try the daemon again")  # pylint: disable=cell-var-from-loop
    assert web.shows_page(person.get("/page.html")) and web.shows_page(program.get("/page.html"))


def test_site_is_closed_while_the_database_is_away(web, browse):
    person, program = (browse(web, program=it, permits_5xx=True) for it in (False, True))
    person.sign_in(web.new_user())
    program.sign_in(web.new_user())
    cluster = web.database.cluster
    cluster.execute(f"ALTER DATABASE {web.database.name} ALLOW_CONNECTIONS false")
    cluster.terminate_backends(web.database.name)
    try:
        assert_closed(web, (person, program))
    finally:
        cluster.execute(f"ALTER DATABASE {web.database.name} ALLOW_CONNECTIONS true")
    # Each worker finds it by itself.
    wait_until(
        lambda: len(cluster.backends(web.database.name)) >= len(web.daemon.workers), "the database to be there again"
    )
    for browser in (person, program):
        wait_until(lambda: web.shows_page(browser.get("/page.html")), "the site to be open again")


# ---- TLS -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server_name", ["nginx", "apache", "caddy", "haproxy"])
def test_cookie_is_secure_with_tls_and_the_guard_knows_it(request, cluster_of_worker, browse, tmp_path, server_name):
    certificate = webservers.make_certificate(tmp_path)
    make_site = {**SERVERS, "haproxy": webservers.haproxy_site}[server_name]

    def make_server(daemon, kind, application):
        return make_site(daemon, kind, application, certificate)

    with running(request.node, cluster_of_worker, server_name, make_server, "proxied") as web:
        person, other = browse(web, program=False), browse(web, program=False)
        name = web.new_user()
        for browser in (person, other):
            browser.http.verify = str(certificate)
            answer = browser.login(name, next="/page.html")
            assert (answer.status_code, answer.headers["Location"]) == (303, "/page.html")
            cookies = {(cookie.name, cookie.secure) for cookie in browser.http.cookies}
            assert cookies == {("__Host-onesession", True), ("__Secure-onesession_device", True)}
            web.secrets.update(cookie.value for cookie in browser.http.cookies)
        assert other.me().headers["Remote-User"] == name
        if server_name != "haproxy":
            assert web.shows_page(other.get("/page.html"))
            assert web.identity(web.last())[0] == name
            assert is_refused(web, person.get("/page.html"))
            keeps_its_own_cookie(web, other)


# ---- A site that an operator has added to ----------------------------------------------------------------------------

MORE = {
    "nginx": ("\tserver_name example.org;\n", "\tlocation /folder/ {\n\t\tautoindex on;\n\t}\n"),
    "apache": ("\tServerName example.org\n", '\t<Location "/folder/">\n\t\tHeader set X-More yes\n\t</Location>\n'),
    "lighttpd": (
        "# Open to everyone, as an example.\n",
        '$HTTP["url"] =~ "^/folder/" {\n\tsetenv.add-response-header = ( "X-More" => "yes" )\n}\n',
    ),
    "caddy": ("\t\tfile_server\n", "\t\thandle /folder/* {\n\t\t\tfile_server browse\n\t\t}\n"),
}


@pytest.mark.parametrize("server_name", SERVERS)
def test_location_that_is_added_is_guarded_too(request, cluster_of_worker, browse, server_name):
    def make_server(daemon, kind, application):
        server = SERVERS[server_name](daemon, kind, application)
        before, more = MORE[server_name]
        server.changes[before] = before + more
        return server

    with running(request.node, cluster_of_worker, server_name, make_server, "static") as web:
        person = browse(web, program=False)
        assert is_refused(web, person.get("/folder/"))
        assert is_refused(web, person.get("/folder/index.html"))
        person.sign_in(web.new_user())
        assert web.shows_page(person.get("/folder/"))


# Rules of an operator's that stand before ours. APACHE_CONF has those of a new installation.
APACHE_RULES = """\
	<Location "/staff/">
		Require all denied
	</Location>
	<Location "/near/">
		Require ip 127.0.0.1
	</Location>
	<Directory "{root}/kept">
		Require all denied
	</Directory>
	<Directory "{root}/judged">
		AllowOverride AuthConfig
	</Directory>
"""
# And behind ours: three as the sample says, and one that leaves out what it says.
APACHE_LATER = """\
	<Location "/far/">
		AuthMerging And
		Require ip 192.0.2.1
	</Location>
	<Location "/here/">
		AuthMerging And
		Require ip 127.0.0.1
	</Location>
	<If "%{REQUEST_URI} =~ m#^/if/#">
		AuthMerging And
		Require ip 127.0.0.1
	</If>
	<Location "/forgotten/">
		Require ip 127.0.0.1
	</Location>
"""
# To everybody: whoever is signed in gets the same answer as anybody else.
DENIED = ["/staff/page.html", "/far/page.html", "/server-status?auto"]
DENIED_FILES = ["/.htpasswd", "/folder/.htaccess", "/.well-known/.htpasswd", "/kept/page.html", "/judged/page.html"]


@pytest.mark.parametrize("kind", APPLICATIONS)
def test_rules_of_apaches_own_hold_beside_the_guard(request, cluster_of_worker, browse, kind):
    def make_server(daemon, kind, application):
        server = SERVERS["apache"](daemon, kind, application)
        rules = APACHE_RULES
        if kind == "static":
            for folder in ("staff", "near", "kept", "judged", "far", "here", "if", "forgotten"):
                (application.root / folder).mkdir()
                (application.root / folder / "page.html").write_text(applications.PAGE)
            for name in (".htpasswd", "folder/.htaccess", ".well-known/.htpasswd"):
                (application.root / name).write_text("")
            (application.root / "judged/.htaccess").write_text("Require user ada\n")
            rules = rules.format(root=application.root)
        else:
            rules = rules.partition("\t<Directory")[0]
        server.changes["\tServerName example.org\n"] = "\tServerName example.org\n" + rules
        server.changes["</VirtualHost>\n"] = APACHE_LATER + "</VirtualHost>\n"
        return server

    with running(request.node, cluster_of_worker, "apache", make_server, kind) as web:
        web.database.add_user("ada")
        guarded = ("/page.html", "/near/page.html", "/here/page.html", "/if/page.html")
        person, stranger, ada = (browse(web, program=False) for _ in range(3))
        person.sign_in(web.new_user())
        ada.sign_in("ada")
        count = len(web.application.seen)
        for path in DENIED + DENIED_FILES * (kind == "static"):
            assert stranger.get(path).status_code in (303, 403), path
            assert person.get(path).status_code == 403, path
        for path in guarded:
            assert is_refused(web, stranger.get(path)), path
        assert len(web.application.seen) == count
        for path in guarded:
            assert web.shows_page(person.get(path)), path
        assert web.shows_page(ada.get("/judged/page.html"))
        assert web.shows_page(stranger.get("/forgotten/page.html"))
        assert stranger.get("/robots.txt").status_code == 200
        assert stranger.get("/.well-known/acme-challenge/proof").status_code == 200


# ---- What web servers ask the daemon ---------------------------------------------------------------------------------


def refused(site, method="GET", target="/page?a=b&c=%26", headers=None, **params):
    params = {"REQUEST_URI": target, **params}
    headers = {"Accept": PERSON_ACCEPT, **(headers or {})}
    return site.daemon.ask(path="/session/refused", method=method, headers=headers, **params)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PROPFIND", "get"])
def test_refused_person_is_led_to_the_form_and_back_to_what_can_be_asked_for_again(shared_site, method):
    answer = refused(shared_site, method)
    assert answer.status == 303
    expected = "?next=/page%3Fa%3Db%26c%3D%2526" if method in ("GET", "HEAD") else "?lost=true"
    assert answer.get("Location") == "/session/login" + expected
    assert answer.get("Session-Reason") == "unauthenticated"
    assert answer.all("Set-Cookie") == []


def test_method_before_the_error_document_of_apache_counts(shared_site):
    answer = refused(shared_site, REDIRECT_REQUEST_METHOD="POST")
    assert (answer.status, answer.get("Location")) == (303, "/session/login?lost=true")
    assert refused(shared_site, REDIRECT_REQUEST_METHOD="GET").get("Location").endswith("%2526")


@pytest.mark.parametrize(
    "target",
    ["//example.com/", "http://example.com/", "/\\example.com", "", None, "/session/login", "/session/account"]
    + [pytest.param("/" + "%" * 2000, id="long"), "/a\r\nX: y", "*"],
)
def test_refused_person_is_led_back_to_this_site_only(shared_site, target):
    answer = refused(shared_site, target=target)
    assert (answer.status, answer.get("Location")) == (303, "/session/login")


def test_who_is_signed_in_is_refused_by_somebody_else_and_not_led_in_a_circle(shared_site, browse):
    program = browse(shared_site)
    program.sign_in("bob")
    mine = {"Cookie": f"onesession={program.key}"}
    for method in ("GET", "POST"):
        answer = refused(shared_site, method, headers=mine)
        assert (answer.status, answer.get("Content-Type")) == (403, "text/html; charset=utf-8")
        assert b"You are signed in" in answer.body
        answer = refused(shared_site, method, headers={**mine, "Accept": "*/*"})
        assert (answer.status, answer.get("Content-Type")) == (403, "application/problem+json")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
@pytest.mark.parametrize("headers", [{"Accept": "application/json"}, {"Content-Type": "application/json"}])
def test_refused_program_is_told_why(shared_site, method, headers):
    """Neither waits for a body that the web server does not pass on."""
    for length in ({}, {"Content-Length": "1000"}):
        answer = refused(shared_site, method, headers={**headers, **length})
        assert answer.status == 401
        assert answer.get("Content-Type") == "application/problem+json"
        assert (answer.body == b"") == (method == "HEAD")


def authorize(site, **params):
    asked = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/page?a=b", "REMOTE_ADDR": "192.0.2.7"}
    asked = {"HTTP_ACCEPT": PERSON_ACCEPT, **asked, **params}
    return site.daemon.ask(asked, role=fastcgi.AUTHORIZER)


def test_refusing_authorizer_serves_people_and_programs(shared_site):
    """lighttpd passes it on as it is."""
    answer = authorize(shared_site)
    assert (answer.status, answer.get("Session-Reason")) == (401, "unauthenticated")
    assert b'action="/session/login"' in answer.body and b'name="next" value="/page?a=b"' in answer.body
    assert b'name="next" value=""' in authorize(shared_site, REQUEST_METHOD="POST").body
    for accept in ("application/json", "*/*"):
        answer = authorize(shared_site, HTTP_ACCEPT=accept)
        assert answer.status == 401
        assert answer.get("Content-Type") == "application/problem+json"
    assert answer.get("Cache-Control") == "no-store"


def test_refusing_authorizer_leaves_the_page_to_the_error_document_of_apache(shared_site):
    answer = authorize(shared_site, FCGI_APACHE_ROLE="AUTHENTICATOR")
    assert (answer.status, answer.body) == (401, b"")


def test_permitting_authorizer_says_nothing_that_is_meant_for_the_client(site, browse):
    """Apache passes on all but what begins with Variable-."""
    program = browse(site)
    program.sign_in()
    answer = authorize(site, HTTP_COOKIE=f"onesession={program.key}")
    assert answer.status == 200
    names = {name for name, _ in answer.fields if not name.startswith("Variable-")}
    assert names == {"Status", "Content-Length"}


# ---- HAProxy, which is no guard --------------------------------------------------------------------------------------


def test_haproxy_serves_the_pages_and_passes_no_identity_on(request, cluster_of_worker, browse):
    with running(request.node, cluster_of_worker, "haproxy", webservers.haproxy_site, "proxied") as web:
        person, program = browse(web, program=False, permits_5xx=True), browse(web)
        name = web.new_user()
        assert 'action="/session/login"' in person.get("/session/login?next=/page.html%3Fa%3Db").text
        answer = person.login(name, next="/page.html?a=b")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/page.html?a=b")
        assert person.me().json()["user"]["username"] == name
        assert person.request("HEAD", "/session/me").headers["Remote-User"] == name
        program.sign_in(name)
        assert person.auth() == "displaced"
        problem(person.get("/session/me", headers={"Accept": "application/json"}), 401, "displaced")
        forged = [(field, "forged") for field in FORGED if field != "Authorization"]
        assert raw(web, "GET", "/page.html", forged)[0] == 200
        assert not [value for _, value in web.last().fields if value == "forged"]
        for protocols in (["h2c"], ["websocket, h2c"], ["h2c", "websocket"]):
            connection, status, _ = ask_for_upgrade(web, protocols, None)
            connection.close()
            assert (status, web.last().all("Upgrade")) == (200, [])
        program.logout()
        problem(program.get("/session/me"), 401, "unauthenticated")
        web.daemon.stop()
        assert person.get("/session/login").status_code == 503
        web.daemon.start()

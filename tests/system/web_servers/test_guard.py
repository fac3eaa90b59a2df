"""
What operators and users of nginx, Apache and lighttpd rely on: one table of cases, through the configurations that the
project ships, for each kind of application.
"""

import hashlib
import http.client
import os
import posixpath
import re
from urllib.parse import unquote

import pytest

from support import applications
from support.client import UNKNOWN_KEY
from support.long_cookies import assert_none_takes_long
from support.web import FORGED, OWN_LOGIN_SITES, SITES, ask_for_upgrade, is_refusal, only, raw

# Also where an application has a login of its own.
everywhere = pytest.mark.parametrize("web", SITES + OWN_LOGIN_SITES, ids="-".join, indirect=True, scope="session")


# ---- Who is let in ---------------------------------------------------------------------------------------------------

# What an application takes for the web server's word.
BELIEVED = {
    "fastcgi": re.compile(r"(HTTP_)?(REMOTE_USER|REMOTE_USER_ID|REMOTE_EMAIL|REMOTE_GROUPS|REMOTE_PLAN|SESSION_ID|SESSION_REASON|FORWARDED)"),
    "own-login": re.compile(r"(REMOTE[-_](USER|USER[-_]ID|EMAIL|GROUPS|PLAN)|SESSION[-_]ID|SESSION[-_]REASON|FORWARDED)", re.I),
    "proxied": re.compile(r"(REMOTE[-_](USER|USER[-_]ID|EMAIL|GROUPS|PLAN)|SESSION[-_]ID|SESSION[-_]REASON|FORWARDED)", re.I),
}


@everywhere
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


@everywhere
@pytest.mark.parametrize("path", ["/page.html", "/robots.txt", "/.well-known/x"])
def test_client_cannot_say_which_page_or_host_or_address_it_is(web, browse, path):
    """What frameworks go by that believe the proxy in front of them."""
    program = browse(web)
    program.sign_in(web.new_user())
    said = ["X-Forwarded-For", "X-Forwarded-Host", "X-Original-URL", "X-Rewrite-URL", "X-Real-IP"]
    count = len(web.application.seen)
    raw(web, "GET", path, [*((field, "forged") for field in said), ("Cookie", f"onesession={program.key}")])
    for asked in web.application.seen[count:]:
        assert not [field for field, value in asked.fields if "forged" in value]
        if web.kind == "proxied" and path == "/page.html":
            assert asked.get("X-Forwarded-For") == "127.0.0.1"
            assert asked.get("X-Forwarded-Host") in ("", "localhost")


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
        "Remote{0}Email",
        "remote{0}groups",
        "Remote{0}Plan",
        "Session{0}Id",
        "session{0}reason",
    )
]
OURS = {"REMOTE_USER", "REMOTE_USER_ID", "SESSION_ID", "SESSION_REASON", "REMOTE_EMAIL", "REMOTE_GROUPS", "REMOTE_PLAN"}


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
    "Remote-User, Remote-User-Id, Session-Id, Remote-Email, Remote-Groups, Remote-Plan",
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
    assert answer.status_code == is_refusal(web)
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


# ---- WebSocket -------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("web", OWN_LOGIN_SITES, ids="-".join, indirect=True, scope="session")
@pytest.mark.parametrize("path", ["/login?reason=x", "/.well-known/x"])
def test_no_cookie_holds_up_a_web_server_that_keeps_the_application_s_back(web, path):
    assert_none_takes_long(web, path)

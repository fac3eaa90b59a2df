"""
session.bearer and session.key_from through the configurations that the project ships: a session's key in Authorization
lets in, and reaches no application; a token of the application's own does.
"""

import http.client
import json
from contextlib import closing

import pytest

from support import webservers
from support.browser import PERSON_ACCEPT
from support.postgres import Database
from support.web import SERVERS, SITES, raw, running

PLACES = {"forum": "optional"}


def made_with(request, cluster, settings):
    name, kind = request.param

    def make_server(daemon, kind, application):
        server = SERVERS[name](daemon, kind, application)
        server.places = PLACES
        return server

    return running(None, cluster, name, make_server, kind, settings)


WITH_APPLICATION = [site for site in SITES if site[1] != "static"]


@pytest.fixture(name="web", scope="module", params=WITH_APPLICATION, ids="-".join)
def fixture_web(request, cluster_of_worker):
    with made_with(request, cluster_of_worker, {"session.bearer": "on"}) as made:
        yield made


def log_in(web):
    """A mobile application's token, through the web server; and the account."""
    name = web.new_user()
    body = json.dumps({"username": name, "password": Database.password, "token": True}).encode()
    headers = [("Content-Type", "application/json"), ("Accept", "application/json")]
    status, text = raw(web, "POST", "/session/login", headers, body)
    assert status == 200, text
    token = json.loads(text)["token"]
    web.secrets.add(token)
    return token, name


def ask(web, path, authorization, headers=(), accept="application/json"):
    """(status, what the application was asked: None, it was not)."""
    count = len(web.application.seen)
    fields = [("Authorization", authorization), ("Accept", accept), *headers]
    status, text = raw(web, "GET", path, fields if authorization is not None else fields[1:])
    seen = web.application.seen[count:]
    assert len(seen) <= 1
    return status, seen[0] if seen else None


def authorization_of(web, asked):
    return asked.get("HTTP_AUTHORIZATION" if web.kind == "fastcgi" else "Authorization")


def carries(asked, token):
    return [name for name, value in asked.fields if token in value]


@pytest.mark.parametrize("path", ["/page.html", "/forum/page.html"])
def test_session_s_key_lets_in_and_stays_with_the_guard(web, path):
    token, name = log_in(web)
    for scheme in ("Bearer ", "bearer  "):
        status, asked = ask(web, path, scheme + token)
        assert status == 200
        assert web.identity(asked)[0] == name
        assert carries(asked, token) == [] and authorization_of(web, asked) == ""
    # With a body, and together with cookies of the application's.
    count = len(web.application.seen)
    headers = [("Authorization", f"Bearer {token}"), ("Cookie", "a=1"), ("Accept", "application/json")]
    assert raw(web, "POST", path, headers, b"x" * 100)[0] == 200
    (asked,) = web.application.seen[count:]
    assert (asked.size, carries(asked, token)) == (100, [])


@pytest.mark.parametrize("theirs", ["Bearer " + "A" * 43, "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "Bearer ost_" + "A" * 39, "Basic YTpi"])
def test_what_is_none_of_ours_goes_on_to_the_application(web, browse, theirs):
    program = browse(web)
    name = web.new_user()
    program.sign_in(name)
    status, asked = ask(web, "/page.html", theirs, [("Cookie", f"onesession={program.key}")])
    assert (status, web.identity(asked)[0]) == (200, name)
    assert authorization_of(web, asked) == theirs
    # At a place that is open to all, without a session.
    status, asked = ask(web, "/forum/page.html", theirs)
    assert (status, authorization_of(web, asked)) == (200, theirs)
    assert set(web.identity(asked)) == {""}
    status, asked = ask(web, "/page.html", theirs)
    assert (status, asked) == (401, None)


def test_client_cannot_say_whose_it_is(web):
    theirs = "Bearer " + "A" * 43
    for name in ("Session-Credential", "Session_Credential", "SESSION_CREDENTIAL", "Variable-SESSION_CREDENTIAL"):
        status, asked = ask(web, "/forum/page.html", theirs, [(name, "bearer")])
        assert (status, authorization_of(web, asked)) == (200, theirs), name
    token, _ = log_in(web)
    for name in ("Session-Credential", "Session_Credential"):
        status, asked = ask(web, "/page.html", f"Bearer {token}", [(name, "")])
        assert status == 200 and carries(asked, token) == []


def test_key_that_is_none_any_more(web, browse):
    token, name = log_in(web)
    browse(web).sign_in(name)
    status, asked = ask(web, "/page.html", f"Bearer {token}")
    assert (status, asked) == (401, None)
    status, asked = ask(web, "/forum/page.html", f"Bearer {token}")
    assert status == 200 and set(web.identity(asked)) == {""}
    assert carries(asked, token) == []
    # The daemon says why.
    status, text = raw(web, "GET", "/page.html", [("Authorization", f"Bearer {token}"), ("Accept", "application/json")])
    assert (status, json.loads(text)["code"]) == (401, "displaced")


@pytest.mark.parametrize("path", ["/page.html", "/forum/page.html"])
def test_session_s_key_beside_a_cookie_stays_with_the_guard(web, path):
    """It is the cookie that counts then; live or ended, the one in Authorization is no application's."""
    live, _ = log_in(web)
    ended, _ = log_in(web)
    headers = [("Authorization", f"Bearer {ended}"), ("Accept", "application/json")]
    assert raw(web, "POST", "/session/logout", headers)[0] == 204
    own, name = log_in(web)
    for token in (live, ended):
        status, asked = ask(web, path, f"Bearer {token}", [("Cookie", f"onesession={own}")])
        assert (status, web.identity(asked)[0]) == (200, name)
        assert carries(asked, token) == [] and authorization_of(web, asked) == ""
        status, asked = ask(web, path, f"Bearer {token}", [("Cookie", f"onesession={'A' * 43}")])
        if path == "/page.html":
            assert (status, asked) == (401, None)
        else:
            assert status == 200 and set(web.identity(asked)) == {""}
            assert carries(asked, token) == [] and authorization_of(web, asked) == ""


def test_refusal_says_which_scheme_there_is(web):
    """RFC 6750, 3. For that one, a browser asks nobody for a password."""
    token, _ = log_in(web)
    for path in ("/page.html", "/session/me"):
        for authorization in ([], [("Authorization", f"Bearer {token}")]):
            if authorization:
                raw(web, "POST", "/session/logout", [*authorization, ("Accept", "application/json")])
            status, fields = head(web, path, [("Accept", "application/json"), *authorization])
            assert status == 401
            assert fields == ['Bearer realm="onesession"' + (', error="invalid_token"' if authorization else "")]


def head(web, path, headers):
    """Its status, and all WWW-Authenticate."""
    with closing(http.client.HTTPConnection("127.0.0.1", web.server.port, timeout=30)) as connection:
        connection.request("GET", path, headers=dict(headers))
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get_all("WWW-Authenticate")


def test_daemon_s_own_routes_by_it(web):
    token, name = log_in(web)
    headers = [("Authorization", f"Bearer {token}"), ("Accept", "application/json"), ("Content-Type", "application/json")]
    assert json.loads(raw(web, "GET", "/session/me", headers)[1])["user"]["username"] == name
    body = json.dumps({"current_password": Database.password, "new_password": "another good horse battery"}).encode()
    status, text = raw(web, "POST", "/session/password", headers, body)
    assert status == 200, text
    changed = json.loads(text)["token"]
    web.secrets.add(changed)
    assert [ask(web, "/page.html", f"Bearer {each}")[0] for each in (token, changed)] == [401, 200]
    headers[0] = ("Authorization", f"Bearer {changed}")
    assert raw(web, "POST", "/session/logout", headers)[0] == 204
    assert ask(web, "/page.html", f"Bearer {changed}")[0] == 401


def test_application_s_own_refusal_stays_its_own(web):
    """A 401 or 403 of the application is no refusal of the guard's, and leads nowhere."""
    token, _ = log_in(web)
    for status in (401, 403):
        assert ask(web, f"/answer/{status}", f"Bearer {token}", accept=PERSON_ACCEPT)[0] == status


# ---- Keys of the application's own -----------------------------------------------------------------------------------


OWN_KEY = "s%3AaGVsbG8gd29ybGQ.XRkZqg0p/8Wv+fTgJ-~Q"


def signed_in_by(web, key):
    """An account whose session has that key, as POST /api/sessions puts it down."""
    name = web.new_user()
    put = (
        "INSERT INTO sessions (session_key, user_id, expires_at)"
        " SELECT sha256(%s), id, now() + interval '1 hour' FROM users WHERE username = %s"
    )
    web.database.query(put, key.encode(), name)
    return name


@pytest.mark.parametrize("kind", ["proxied", "fastcgi"])
@pytest.mark.parametrize("server", SERVERS)
def test_application_gets_its_own_key(request, cluster_of_worker, server, kind):
    """In its cookie, or as its Authorization: it is the one that knows what to do with it."""
    cookie = "HTTP_COOKIE" if kind == "fastcgi" else "Cookie"
    for source in ("cookie sid", "bearer"):
        settings = {"session.key_from": source, "session.bearer": "on"}
        with running(request.node, cluster_of_worker, server, SERVERS[server], kind, settings) as web:
            key = OWN_KEY if source == "cookie sid" else "mF_9.B5f-4.1JqM+/~="
            name = signed_in_by(web, key)
            if source == "bearer":
                status, asked = ask(web, "/page.html", f"Bearer {key}")
                found = authorization_of(web, asked)
                assert found == f"Bearer {key}"
            else:
                status, asked = ask(web, "/page.html", None, [("Cookie", f"a=1; sid={key}; onesession={'A' * 43}")])
                assert [pair.strip() for pair in asked.get(cookie).split(";")] == ["a=1", f"sid={key}"]
            assert (status, web.identity(asked)[0]) == (200, name)
            web.database.query("DELETE FROM sessions")
            status, asked = ask(web, "/page.html", f"Bearer {key}", [("Cookie", f"sid={key}")])
            assert (status, asked) == (401, None)


def test_haproxy_hands_authorization_to_the_daemon(request, cluster_of_worker):
    settings = {"session.bearer": "on"}
    with running(request.node, cluster_of_worker, "haproxy", webservers.haproxy_site, "proxied", settings) as web:
        token, name = log_in(web)
        status, text = raw(web, "GET", "/session/me", [("Authorization", f"Bearer {token}"), ("Accept", "application/json")])
        assert (status, json.loads(text)["user"]["username"]) == (200, name)

"""session.bearer: a session's token in Authorization, for mobile applications and players that keep no cookies."""

import json

import pytest

from support import fastcgi
from support.browser import PERSON_ACCEPT
from support.client import CREDENTIALS, JSON, sign_in
from support.postgres import Database

NEW = "another good horse battery"


@pytest.fixture(name="mobile")
def daemon_for_mobile_applications(new_daemon):
    """Its sessions' tokens are never to be in its log."""
    return new_daemon({"session.bearer": "on"}).start()


def bearer(token, **headers):
    return {"Authorization": f"Bearer {token}", "Accept": "application/json", **headers}


def ask(daemon, token, path="/session/auth", body=None, method=None, headers=None, **kwargs):
    fields = bearer(token, **(headers or {}))
    if body is not None:
        fields["Content-Type"] = "application/json"
        kwargs["body"] = json.dumps(body)
    return daemon.ask(method=method or ("POST" if body is not None else "GET"), path=path, headers=fields, timeout=60, **kwargs)


def log_in(daemon, token=None, username="alice", password=Database.password, **fields):
    """The answer, and the token that it has."""
    body = json.dumps({"username": username, "password": password, "token": True, **fields})
    headers = {**JSON, **({"Authorization": f"Bearer {token}"} if token else {})}
    answer = daemon.ask(method="POST", path="/session/login", headers=headers, body=body, timeout=60)
    assert answer.all("Set-Cookie") == []
    found = json.loads(answer.body).get("token")
    if found:
        daemon.secrets.add(found)
    return answer, found


def reason(daemon, token):
    answer = ask(daemon, token)
    assert answer.status == (200 if answer.get("Session-Reason") == "" else 401)
    return answer.get("Session-Reason")


def test_token_signs_a_program_in(mobile):
    answer, token = log_in(mobile)
    assert answer.status == 200 and len(token) == 43
    told = json.loads(answer.body)
    assert set(told) == {"user", "session", "displaced", "token"}
    answer = ask(mobile, token)
    assert (answer.status, answer.get("Remote-User"), answer.get("Session-Id")) == (200, "alice", told["session"]["id"])
    assert answer.get("Session-Credential") == "bearer"
    assert json.loads(ask(mobile, token, "/session/me").body)["session"] == told["session"]
    assert json.loads(ask(mobile, token, "/session/state").body)["live"] is True
    (own,) = json.loads(ask(mobile, token, "/session/sessions").body)["sessions"]
    assert own["id"] == told["session"]["id"]
    (stored,) = mobile.database.query("SELECT session_key = sha256(%s) FROM sessions", token.encode())
    assert stored == (True,)


def test_login_in_a_browser_displaces_it_and_it_is_told_why(mobile):
    _, token = log_in(mobile)
    sign_in(mobile)
    assert reason(mobile, token) == "displaced"
    assert ask(mobile, token).get("Session-Credential") == "bearer"
    answer = ask(mobile, token, "/session/me")
    assert (answer.status, json.loads(answer.body)["code"]) == (401, "displaced")


def test_signing_in_again_is_a_rotation(new_daemon):
    mobile = new_daemon({"session.bearer": "on", "session.on_limit": "refuse"}).start()
    _, first = log_in(mobile)
    answer, second = log_in(mobile, token=first)
    assert (answer.status, json.loads(answer.body)["displaced"]) == (200, [])
    assert (reason(mobile, first), reason(mobile, second)) == ("logged_out", "")
    answer, none = log_in(mobile)
    assert (answer.status, none) == (409, None)
    # Also without being asked for: it could not keep a cookie before.
    again = ask(mobile, second, "/session/login", json.loads(CREDENTIALS))
    third = json.loads(again.body)["token"]
    assert (again.status, again.all("Set-Cookie")) == (200, [])
    assert (reason(mobile, second), reason(mobile, third)) == ("logged_out", "")


def test_sign_out(mobile):
    _, token = log_in(mobile)
    answer = ask(mobile, token, "/session/logout", method="POST")
    assert (answer.status, answer.all("Set-Cookie")) == (204, [])
    assert reason(mobile, token) == "logged_out"
    assert ask(mobile, token, "/session/logout", method="POST").status == 204


@pytest.mark.parametrize("path, body", [
    ("/session/password", {"current_password": Database.password, "new_password": NEW}),
    ("/session/confirm", {"password": Database.password}),
])
def test_new_key_is_in_the_answer(mobile, path, body):
    _, token = log_in(mobile)
    answer = ask(mobile, token, path, body)
    told = json.loads(answer.body)
    assert (answer.status, answer.all("Set-Cookie")) == (200, [])
    assert set(told) == {"user", "session", "token"}
    mobile.secrets.add(told["token"])
    assert ask(mobile, token).status == 401
    assert ask(mobile, told["token"]).get("Session-Id") == told["session"]["id"]


def test_ends_another_session_and_its_own(new_daemon):
    mobile = new_daemon({"session.bearer": "on", "session.max_sessions": 3}).start()
    first, own = log_in(mobile)[1], log_in(mobile)[1]
    ids = {each: json.loads(ask(mobile, each, "/session/me").body)["session"]["id"] for each in (first, own)}
    for each in (first, own):
        answer = ask(mobile, own, f"/session/sessions/{ids[each]}/end", method="POST")
        assert (answer.status, answer.all("Set-Cookie")) == (204, [])
    assert (reason(mobile, first), reason(mobile, own)) == ("revoked", "logged_out")


def test_browsers_are_given_cookies_as_ever(mobile):
    for fields in ({}, {"token": False}):
        body = json.dumps({**json.loads(CREDENTIALS), **fields})
        answer = mobile.ask(method="POST", path="/session/login", headers=JSON, body=body)
        assert answer.cookie() and "token" not in json.loads(answer.body)
    # A person's form can ask for no token: a page could not show it to anybody who needs it.
    form = f"username=alice&password={Database.password.replace(' ', '+')}&token=true"
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": PERSON_ACCEPT}
    answer = mobile.ask(method="POST", path="/session/login", headers=headers, body=form)
    assert answer.status == 303 and answer.cookie()


# ---- What is no token, and where it does not count -------------------------------------------------------------------


def test_off_is_the_default(daemon):
    answer, none = log_in(daemon)
    told = json.loads(answer.body)
    assert (answer.status, told["code"], none) == (400, "bad_request", None)
    assert "session.bearer" in told["detail"]
    key = sign_in(daemon)["Cookie"].partition("=")[2]
    answer = ask(daemon, key)
    assert (answer.status, answer.get("Session-Credential")) == (401, "")


def test_forms_of_the_field(mobile):
    _, token = log_in(mobile)
    for field in (f"bearer {token}", f"BEARER    {token}"):
        assert mobile.ask(headers={"Authorization": field}).status == 200, field
    wrong = ["", "Bearer", "Bearer ", token, f"Basic {token}", f"Bearer{token}", f"Bearer\t{token}", f"Bearer {token}=",
             f"Bearer {token[:-1]}", f"Bearer {token}A", f"Bearer {token}, Bearer {token}", f'Bearer "{token}"',
             f"Bearer ost_{token}", f"Bearer {token} ", "Bearer " + "x" * 20000, f"Bearer {token.swapcase()}"]
    for field in wrong:
        answer = mobile.ask(headers={"Authorization": field})
        assert (answer.status, answer.get("Session-Reason")) == (401, "unauthenticated"), field[:100]
        assert answer.get("Session-Credential") == ""
    assert reason(mobile, token) == ""


def test_tokens_of_an_application_s_own_are_not_called_ours(mobile):
    """43 characters, too: the web server passes them on."""
    for token in ("A" * 43, "ost_" + "A" * 39, "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"):
        assert ask(mobile, token).get("Session-Credential") == ""
        optional = ask(mobile, token, ONESESSION_REQUIRE="optional")
        assert (optional.status, optional.get("Session-Credential")) == (200, "")


def test_cookie_comes_first(mobile):
    """
    With one that is well-formed the session is not that of Authorization, of which it is told only that it is a key, so
    that no application gets it; what else is there in the field is no cookie of ours.
    """
    cookie = sign_in(mobile)["Cookie"]
    _, token = log_in(mobile, username="bob")
    answer = ask(mobile, token, headers={"Cookie": cookie})
    assert (answer.get("Remote-User"), answer.get("Session-Credential")) == ("alice", "bearer")
    answer = ask(mobile, token, headers={"Cookie": f"onesession={'A' * 43}"})
    assert (answer.status, answer.get("Session-Credential")) == (401, "bearer")
    answer = ask(mobile, "B" * 43, headers={"Cookie": cookie})
    assert (answer.get("Remote-User"), answer.get("Session-Credential")) == ("alice", "")
    for jar in ("onesession=short", "onesession_device=" + "A" * 43, "sid=" + "A" * 43):
        answer = ask(mobile, token, headers={"Cookie": jar})
        assert (answer.get("Remote-User"), answer.get("Session-Credential")) == ("bob", "bearer"), jar


@pytest.mark.parametrize("require", [None, "optional"])
def test_authorizer_says_so_too(mobile, require):
    _, token = log_in(mobile)
    params = {"REQUEST_METHOD": "GET", "REMOTE_ADDR": "192.0.2.7", "HTTP_AUTHORIZATION": f"Bearer {token}"}
    params |= {"ONESESSION_REQUIRE": require} if require else {}
    answer = mobile.ask(params, role=fastcgi.AUTHORIZER)
    assert (answer.status, answer.get("Variable-SESSION_CREDENTIAL"), answer.get("Session-Credential")) == (200, "bearer", None)
    sign_in(mobile)
    answer = mobile.ask(params, role=fastcgi.AUTHORIZER)
    if require:
        # Its key is none any more, but no application is to have it in its log.
        assert (answer.status, answer.get("Variable-SESSION_CREDENTIAL")) == (200, "bearer")
        assert answer.get("Variable-SESSION_REASON") == "displaced"
    else:
        assert (answer.status, answer.get("Session-Credential")) == (401, "bearer")


def test_answers_are_not_to_be_mixed_up_by_caches(mobile):
    _, token = log_in(mobile)
    for path in ("/session/auth", "/session/me", "/session/state"):
        answer = ask(mobile, token, path)
        assert (answer.get("Cache-Control"), answer.get("Vary")) == ("no-store", "Cookie, Authorization")
    page = mobile.ask(path="/session/login", headers={"Accept": PERSON_ACCEPT})
    assert page.get("Vary") == "Accept-Language, Cookie, Authorization"


# ---- Other sites -----------------------------------------------------------------------------------------------------


def test_mobile_application_without_origin_is_no_other_site(mobile):
    _, token = log_in(mobile)
    assert ask(mobile, token, "/session/logout", method="POST", HTTP_HOST="example.org").status == 204


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}])
def test_other_sites_are_refused_whatever_they_bring(mobile, headers):
    """A web server may let other sites send Authorization: that is no way round the check, which the cookie needs."""
    cookie = sign_in(mobile)
    _, token = log_in(mobile, username="bob")
    for fields in ({}, cookie):
        answer = ask(mobile, token, "/session/logout", method="POST", headers={**headers, **fields}, HTTP_HOST="example.org")
        assert (answer.status, json.loads(answer.body)["code"]) == (403, "cross_site")
    assert (reason(mobile, token), mobile.ask(headers=cookie).status) == ("", 200)

"""Signing in and out, for people and for programs."""

import hashlib
import json
import re

import pytest
import requests

from support import fastcgi
from support.browser import CHROME, problem
from support.client import login_raw, set_cookie
from support.waiting import TIME, UUID, wait_until

KEY = re.compile(r"[A-Za-z0-9_-]{43}")
ACCOUNT = "/session/account"


# ---- The two ways in -------------------------------------------------------------------------------------------------


def test_program_signs_in_and_is_told_who_it_is(site, browse):
    program = browse(site)
    answer = program.login()
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].split(";")[0] == "application/json"
    told = answer.json()
    assert set(told) == {"user", "session", "displaced"}
    assert told["user"] == {"id": site.database.user_id("alice"), "username": "alice", "is_admin": False}
    assert set(told["session"]) == {"id", "created_at", "last_seen_at", "expires_at"}
    assert UUID.fullmatch(told["session"]["id"])
    assert all(TIME.fullmatch(told["session"][name]) for name in ("created_at", "last_seen_at", "expires_at"))
    assert told["displaced"] == []
    me = program.me()
    assert me.status_code == 200
    assert me.json() == {"user": told["user"], "session": told["session"]}
    assert me.headers["Remote-User"] == "alice"
    assert me.headers["Remote-User-Id"] == str(told["user"]["id"])
    assert me.headers["Session-Id"] == told["session"]["id"]
    assert me.headers["Session-Reason"] == ""


def test_person_signs_in_by_the_form(site, browse):
    person = browse(site, program=False)
    page = person.get("/session/login?next=/page")
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert re.search(r'<form[^>]*method="post"[^>]*action="/session/login"', page.text)
    assert 'name="username"' in page.text and 'name="password"' in page.text
    hidden = re.search(r'<input type="hidden" name="next" value="([^"]*)">', page.text)
    assert hidden and hidden[1] == "/page"
    answer = person.login(next=hidden[1])
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/page"
    assert person.guarded().status_code == 200


def test_without_next_a_person_goes_to_the_account_page(site, browse):
    person = browse(site, program=False)
    answer = person.login()
    assert (answer.status_code, answer.headers["Location"]) == (303, ACCOUNT)
    page = person.get(ACCOUNT)
    assert page.status_code == 200
    assert "alice" in page.text


def test_default_next_of_the_configuration_is_used(new_site, browse):
    person = browse(new_site({"login.default_next": "/welcome"}), program=False)
    assert person.login().headers["Location"] == "/welcome"
    assert person.login(next="//evil.example/").headers["Location"] == "/welcome"


def test_username_is_found_whatever_its_case(site, browse):
    site.database.add_user("Björn")
    program = browse(site)
    for name in ("björn", "BJÖRN", "Björn", "Bjo\u0308rn"):
        assert program.sign_in(name)["user"]["username"] == "Björn"


def test_key_is_43_characters_and_only_its_hash_is_stored(site, browse):
    program = browse(site)
    session_id = program.sign_in()["session"]["id"]
    assert KEY.fullmatch(program.key)
    digest = hashlib.sha256(program.key.encode()).digest()
    stored = site.database.value("SELECT session_key FROM sessions WHERE id = %s", session_id)
    assert bytes(stored) == digest
    assert site.database.stored_key() == digest
    for table in ("users", "sessions", "logged_in_user", "ended_sessions", "events"):
        for (row,) in site.database.query(f"SELECT t::text FROM {table} AS t"):
            assert program.key not in row
            assert program.key.encode().hex() not in row


# ---- Who does not get in ---------------------------------------------------------------------------------------------

REFUSED = [("alice", "wrong"), ("nobody", "wrong"), ("dora", "wrong"), ("alice", ""), ("", "x")]


@pytest.mark.parametrize("username, password", REFUSED)
def test_wrong_credentials_are_told_to_programs_without_telling_which(shared_site, browse, username, password):
    program = browse(shared_site)
    answer = program.login(username, password)
    body = problem(answer, 401, "invalid_credentials")
    reference = browse(shared_site).login("alice", "wrong").json()
    assert body == reference
    assert program.key is None
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("username, password", REFUSED[:3])
def test_wrong_credentials_are_told_to_people_on_the_form(shared_site, browse, username, password):
    person = browse(shared_site, program=False)
    answer = person.login(username, password, next="/page")
    assert answer.status_code == 401
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "Set-Cookie" not in answer.headers
    assert re.search(r'name="next" value="/page"', answer.text)
    reference = browse(shared_site, program=False).login("alice", "wrong", next="/page")
    assert answer.text.replace(username, "NAME") == reference.text.replace("alice", "NAME")
    assert password not in answer.text


def test_failed_login_leaves_the_session_of_the_browser_and_of_others_alone(site, browse):
    program, other = browse(site), browse(site)
    program.sign_in("alice")
    other.sign_in("bob")
    key = program.key
    problem(program.login("alice", "wrong"), 401, "invalid_credentials")
    problem(program.login("bob", "wrong"), 401, "invalid_credentials")
    assert program.key == key
    assert program.is_live() and other.is_live()


def test_name_and_next_are_escaped_on_the_page(shared_site, browse):
    person = browse(shared_site, program=False)
    evil = '"><script>alert(1)</script>'
    page = person.login(evil, "wrong", next="/" + evil)
    assert page.status_code == 401
    assert "<script>" not in page.text
    page = person.get("/session/login", params={"next": "/" + evil})
    assert "<script>" not in page.text


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"username": "alice"},
        {"password": "x"},
        {"username": ["alice"], "password": "x"},
        {"username": 1, "password": 2},
    ],
)
def test_login_without_name_or_password_is_a_bad_request(shared_site, browse, fields):
    problem(browse(shared_site).post("/session/login", fields), 400, "bad_request")


@pytest.mark.parametrize(
    "name", ["x" * 151, "x" * 10000, "a\u0000b", "\u202ealice", "' OR 1=1 --", "\U0001f600", "\ufb00" * 150]
)
def test_no_name_can_upset_the_login(shared_site, browse, name):
    answer = browse(shared_site).login(name, "whatever")
    assert answer.status_code in (400, 401)


@pytest.mark.parametrize("password", ["x" * 1025, "x" * 60000, "a\u0000b", "\ud83d"])
def test_no_password_can_upset_the_login(shared_site, browse, password):
    program = browse(shared_site)
    text = json.dumps({"username": "alice", "password": password})
    answer = program.request("POST", "/session/login", data=text, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 401)


# ---- The cookie ------------------------------------------------------------------------------------------------------


def test_cookie_over_http(daemon):
    name, value, attributes = set_cookie(login_raw(daemon))
    assert name == "onesession"
    assert KEY.fullmatch(value)
    assert {"path": "/", "httponly": "", "samesite": "Lax"}.items() <= attributes.items()
    assert "secure" not in attributes and "domain" not in attributes


def test_cookie_over_https_is_secure_and_bound_to_the_host(daemon):
    name, value, attributes = set_cookie(login_raw(daemon, HTTPS="on"))
    assert name == "__Host-onesession"
    assert KEY.fullmatch(value)
    assert {"path": "/", "httponly": "", "samesite": "Lax", "secure": ""}.items() <= attributes.items()
    assert "domain" not in attributes
    assert daemon.ask(headers={"Cookie": f"__Host-onesession={value}"}, HTTPS="on").status == 200
    # A cookie without the prefix may have been planted by a neighbouring host.
    assert daemon.ask(headers={"Cookie": f"onesession={value}"}, HTTPS="on").status == 401


def test_cookie_secure_always_and_never(new_daemon):
    always = new_daemon({"session.cookie_secure": "always"}).start()
    name, _, attributes = set_cookie(login_raw(always))
    assert name == "__Host-onesession" and "secure" in attributes
    never = new_daemon({"session.cookie_secure": "never"}).start()
    name, _, attributes = set_cookie(login_raw(never, HTTPS="on"))
    assert name == "onesession" and "secure" not in attributes


def test_cookie_name_and_samesite_of_the_configuration(new_daemon):
    daemon = new_daemon({"session.cookie_name": "sid", "session.cookie_samesite": "strict"}).start()
    name, value, attributes = set_cookie(login_raw(daemon))
    assert (name, attributes["samesite"]) == ("sid", "Strict")
    assert daemon.ask(headers={"Cookie": f"sid={value}"}).status == 200
    assert daemon.ask(headers={"Cookie": f"onesession={value}"}).status == 401


def test_logout_takes_the_cookie_away(daemon):
    _, value, _ = set_cookie(login_raw(daemon))
    answer = daemon.ask(method="POST", path="/session/logout", headers={"Cookie": f"onesession={value}"})
    name, value, attributes = set_cookie(answer)
    assert (name, value, attributes["max-age"], attributes["path"]) == ("onesession", "", "0", "/")


def set_cookies(answer):
    """Set-Cookie's name and value of each."""
    return dict(field.partition(";")[0].split("=", 1) for field in answer.all("Set-Cookie"))


FORMER = {False: ("session", "session_device"), True: ("__Host-session", "__Secure-session_device")}


@pytest.mark.parametrize("https", [False, True])
def test_cookies_of_the_former_names_are_read_and_never_given(daemon, https):
    """An upgrade signs nobody out."""
    params = {"HTTPS": "on"} if https else {}
    key_name, device_name = FORMER[https]
    given = set_cookies(login_raw(daemon, **params))
    assert not set(given) & set(FORMER[https])
    key, device = given.values()
    former = {"Cookie": f"{key_name}={key}; {device_name}={device}"}
    assert daemon.ask(headers=former, **params).status == 200
    # Signing in again is a rotation, and what was given under the former names is taken away.
    answer = login_raw(daemon, headers=former, **params)
    assert json.loads(answer.body)["displaced"] == []
    again = set_cookies(answer)
    assert again.pop(key_name) == "" and again.pop(device_name) == ""
    assert set(again) == set(given) and all(KEY.fullmatch(value) for value in again.values())
    assert daemon.ask(headers=former, **params).status == 401


def test_cookie_of_the_name_that_is_given_comes_before_one_of_the_former_name(daemon):
    bob = b'{"username": "bob", "password": "correct horse battery staple"}'
    _, new, _ = set_cookie(login_raw(daemon))
    _, old, _ = set_cookie(daemon.ask(method="POST", path="/session/login", headers={"Content-Type": "application/json"}, body=bob))
    both = {"Cookie": f"session={old}; onesession={new}"}
    assert daemon.ask(headers=both).get("Remote-User") == "alice"
    malformed = {"Cookie": f"onesession=x; session={old}"}
    assert daemon.ask(headers=malformed).get("Remote-User") == "bob"
    answer = daemon.ask(method="POST", path="/session/logout", headers=both)
    assert set_cookies(answer) == {"onesession": "", "session": ""}
    assert daemon.ask(headers={"Cookie": f"onesession={new}"}).status == 401


@pytest.mark.parametrize(
    "value", ["eyJhIjoxfQ.aR4nQw.8kK-r3yq3P4f5p0Jc8v1Yt0qN_E", "A" * 42, "A" * 43, "A" * 44, "1"]
)
def test_cookie_of_the_former_name_that_is_an_applications_stays(daemon, value):
    _, key, _ = set_cookie(login_raw(daemon))
    theirs = {"Cookie": f"session={value}; onesession={key}"}
    assert daemon.ask(headers=theirs).status == 200
    assert "session" not in set_cookies(login_raw(daemon, headers=theirs))
    _, key, _ = set_cookie(login_raw(daemon))
    theirs = {"Cookie": f"session={value}; onesession={key}"}
    assert set(set_cookies(daemon.ask(method="POST", path="/session/logout", headers=theirs))) == {"onesession"}


def test_former_names_are_read_beside_the_default_name_only(new_daemon):
    daemon = new_daemon({"session.cookie_name": "kino"}).start()
    _, key, _ = set_cookie(login_raw(daemon))
    for name in ("session", "onesession"):
        assert daemon.ask(headers={"Cookie": f"{name}={key}"}).status == 401


# ---- Again in the same browser ---------------------------------------------------------------------------------------


def test_every_login_issues_a_new_key(site, browse):
    program = browse(site)
    keys = []
    for _ in range(3):
        program.sign_in()
        keys.append(program.key)
    assert len(set(keys)) == 3


def test_signing_in_again_in_the_same_browser_is_no_displacement(site, browse):
    program, old = browse(site), browse(site)
    first = program.sign_in()["session"]["id"]
    old.key = program.key
    second = program.sign_in()
    assert second["displaced"] == []
    assert second["session"]["id"] != first
    assert program.is_live()
    assert old.auth() == "logged_out"
    assert site.database.ended(first) == "logged_out"
    assert site.database.value("SELECT count(*) FROM events WHERE name = 'session_displaced'") == 0


def test_signing_in_as_somebody_else_ends_the_presented_session(site, browse):
    program, old = browse(site), browse(site)
    program.sign_in("alice")
    old.key = program.key
    answer = program.sign_in("bob")
    assert answer["displaced"] == []
    assert old.auth() == "logged_out"
    assert program.me().json()["user"]["username"] == "bob"
    assert site.database.sessions("alice") == []
    assert site.database.stored_key("alice") is None


def test_displaced_browser_signs_in_again_and_displaces_the_other(site, browse):
    first, second = browse(site), browse(site, user_agent=CHROME)
    first.sign_in()
    second_id = second.sign_in()["session"]["id"]
    assert first.auth() == "displaced"
    answer = first.sign_in()
    assert [entry["id"] for entry in answer["displaced"]] == [second_id]
    assert second.auth() == "displaced"
    assert first.is_live()


def test_login_tells_which_session_it_displaced(site, browse):
    first, second = browse(site, user_agent=CHROME), browse(site)
    first_session = first.sign_in()["session"]
    answer = second.sign_in()
    assert len(answer["displaced"]) == 1
    displaced = answer["displaced"][0]
    assert set(displaced) == {"id", "last_seen_at", "browser", "os"}
    assert displaced["id"] == first_session["id"]
    assert TIME.fullmatch(displaced["last_seen_at"])
    assert (displaced["browser"], displaced["os"]) == ("Chrome", "Windows")


# ---- Signing out -----------------------------------------------------------------------------------------------------


def test_logout_is_the_same_whether_anybody_was_signed_in(site, browse):
    program, person = browse(site), browse(site, program=False)
    assert program.logout().status_code == 204
    program.sign_in("alice")
    old = program.key
    assert program.logout().status_code == 204
    assert program.key is None
    assert site.database.sessions("alice") == []
    assert site.database.stored_key("alice") is None
    program.key = old
    assert program.auth() == "logged_out"
    program.key = old
    assert program.logout().status_code == 204
    before = person.logout()
    assert before.status_code == 303
    person.sign_in("bob")
    after = person.logout()
    assert (after.status_code, after.headers["Location"]) == (303, before.headers["Location"])
    assert not person.is_live()


def test_every_login_logout_and_failure_is_an_event(site, browse):
    program = browse(site)
    program.sign_in("alice")
    program.logout()
    program.login("alice", "wrong")
    program.login("nobody-of-that-name", "wrong")
    rows = site.database.query("SELECT name, username FROM events ORDER BY id")
    assert [row for row in rows if row[0].startswith("user_log")] == [
        ("user_logged_in", "alice"),
        ("user_logged_out", "alice"),
        ("user_login_failed", "alice"),
        ("user_login_failed", ""),
    ]


def test_events_are_notified_at_commit(site, browse):
    listener = site.database.connect()
    try:
        with listener.cursor() as cursor:
            cursor.execute("LISTEN onesession")
        session_id = browse(site).sign_in()["session"]["id"]
        wait_until(lambda: listener.poll() or listener.notifies, "the notification")
        told = [json.loads(notify.payload) for notify in listener.notifies]
    finally:
        listener.close()
    assert [(event["name"], event["session_id"]) for event in told] == [("user_logged_in", session_id)]


# ---- Where to go afterwards ------------------------------------------------------------------------------------------

# Of Django's tests for url_has_allowed_host_and_scheme, and what others were caught out by.
ELSEWHERE = [
    "http://example.com",
    "http:///example.com",
    "https://example.com",
    "ftp://example.com",
    r"\\example.com",
    r"\\\example.com",
    r"/\\/example.com",
    r"\\//example.com",
    r"/\/example.com",
    r"\/example.com",
    r"/\example.com",
    r"http:/\//example.com",
    r"http:\/example.com",
    r"http:/\example.com",
    'javascript:alert("XSS")',
    "\njavascript:alert(x)",
    "java\nscript:alert(x)",
    "\x08//example.com",
    "\x09//example.com",
    "/\t/example.com",
    "/\n/example.com",
    "/\r/example.com",
    "/\x0b/example.com",
    "/\x7f/example.com",
    "\t/example.com",
    " //example.com",
    "/page\r\nSet-Cookie: onesession=evil",
    "/page\nLocation: //example.com",
    r"http://otherserver\@example.com",
    r"http:\\testserver\@example.com",
    r"http://testserver\me:pass@example.com",
    r"http://testserver\@example.com",
    r"http:\\testserver\confirm\me@example.com",
    "http:999999999",
    "ftp:9999999999",
    "\n",
    "http://[2001:cdba:0000:0000:0000:0000:3257:9652/",
    "http://2001:cdba:0000:0000:0000:0000:3257:9652]/",
    "//example.com",
    "///example.com",
    "////example.com",
    "//user@example.com",
    "//example.com:80/",
    "//",
    "//[::1]/",
    "data:text/html,<script>alert(1)</script>",
    "mailto:someone@example.com",
    "@example.com",
    ".example.com",
    "example.com",
    "",
]


@pytest.mark.parametrize("target", ELSEWHERE)
def test_next_that_leads_elsewhere_is_not_followed(shared_site, browse, target):
    person = browse(shared_site, program=False)
    answer = person.login(next=target)
    assert (answer.status_code, answer.headers["Location"]) == (303, ACCOUNT)
    answer = person.get("/session/login", params={"next": target})
    assert (answer.status_code, answer.headers["Location"]) == (303, ACCOUNT)
    answer = person.post("/session/logout", {"next": target})
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/session/")


@pytest.mark.parametrize(
    "target, location",
    [
        ("/", "/"),
        ("/page", "/page"),
        ("/a/b?c=d&e=f", "/a/b?c=d&e=f"),
        ("/view/?param=http://example.com", "/view/?param=http://example.com"),
        ("/view/?param=//example.com", "/view/?param=//example.com"),
        ("/url%20with%20spaces/", "/url%20with%20spaces/"),
        ("/confirm?email=me@example.com", "/confirm?email=me@example.com"),
        ("/caf\u00e9?x=\u00fc", "/caf%C3%A9?x=%C3%BC"),
        ("/a b", "/a%20b"),
        ("/page#part", "/page#part"),
        ("/100%25", "/100%25"),
    ],
)
def test_next_within_the_site_is_followed(shared_site, browse, target, location):
    person = browse(shared_site, program=False)
    answer = person.login(next=target)
    assert (answer.status_code, answer.headers["Location"]) == (303, location)
    answer = person.get("/session/login", params={"next": target})
    assert (answer.status_code, answer.headers["Location"]) == (303, location)


@pytest.mark.parametrize("size", [2000, 6000, 50000])
def test_long_next_is_no_error(shared_site, browse, size):
    target = "/" + "x" * size
    answer = browse(shared_site, program=False).login(next=target)
    assert answer.status_code == 303
    assert answer.headers["Location"] in (target, ACCOUNT)


def test_program_is_not_redirected(shared_site, browse):
    answer = browse(shared_site).login(next="/page")
    assert answer.status_code == 200
    assert "Location" not in answer.headers


def test_signed_in_person_does_not_see_the_form_again(shared_site, browse):
    person = browse(shared_site, program=False)
    person.sign_in("bob")
    answer = person.get("/session/login?next=/page%3Fa%3Db")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/page?a=b")
    answer = person.get("/session/login")
    assert (answer.status_code, answer.headers["Location"]) == (303, ACCOUNT)


def test_person_who_is_not_signed_in_is_led_from_the_account_page_to_the_form(shared_site, browse):
    answer = browse(shared_site, program=False).get(ACCOUNT)
    assert answer.status_code == 303
    assert answer.headers["Location"].split("?")[0] == "/session/login"


def test_guard_leads_a_person_to_the_form_and_back(site, browse):
    person = browse(site, program=False)
    path = "/page?a=b&c=%2Fd"
    answer = person.get(path)
    for _ in range(5):
        assert answer.status_code in (302, 303), answer.status_code
        location = answer.headers["Location"]
        answer = person.get(location)
        if answer.status_code == 200:
            break
    assert location.startswith("/session/login?next=")
    hidden = re.search(r'name="next" value="([^"]*)"', answer.text)
    assert person.login(next=hidden[1].replace("&amp;", "&")).headers["Location"] == path
    assert person.get(path).status_code == 200


def test_client_cannot_pass_itself_off_as_somebody_to_the_application(site, browse):
    program = browse(site)
    told = program.sign_in("bob")
    spoofed = {"Remote-User": "alice", "Remote-User-Id": "1", "Session-Id": "x", "Session-Reason": "x"}
    page = program.get("/page", headers=spoofed)
    assert page.status_code == 200
    assert page.text.split("\n")[1:4] == ["user=bob", f"id={told['user']['id']}", f"session={told['session']['id']}"]
    stranger = browse(site)
    assert stranger.get("/page", headers=spoofed).status_code == 401


def test_cookie_of_a_plain_http_library_works(site):
    """Nothing but a cookie jar is asked of a client."""
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(
            site.url + "/session/login",
            data={"username": "alice", "password": site.database.password, "next": "/page"},
            timeout=30,
        )
    assert answer.url == site.url + "/page"
    assert answer.text.startswith("page\nuser=alice\n")


def test_admin_is_told_to_the_application(site, browse):
    site.ctl().run("user", "add", "root", "--admin", stdin="a good long password\n")
    program = browse(site)
    answer = program.login("root", "a good long password")
    assert answer.json()["user"]["is_admin"] is True
    assert program.me().json()["user"]["is_admin"] is True


def test_prefix_of_the_configuration(new_daemon):
    daemon = new_daemon({"server.prefix": "/account/gate"})
    daemon.start(wait="/account/gate/ready")
    assert daemon.ask(path="/account/gate/auth").status == 401
    assert daemon.ask(path="/session/auth").status == 404
    page = daemon.ask(path="/account/gate/login", headers={"Accept": "text/html"})
    assert b'action="/account/gate/login"' in page.body


def test_paths_of_script_name_and_path_info_are_put_together(daemon):
    for script_name, path_info in (("/session/auth", ""), ("/session", "/auth"), ("", "/session/auth")):
        params = fastcgi.environ(path=script_name, PATH_INFO=path_info)
        assert daemon.ask(params).status == 401

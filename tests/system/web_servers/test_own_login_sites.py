"""
Applications with a login of their own, behind the configurations that the project ships for them: people sign in there,
whose session has ended is nobody, and nothing goes round in circles. For applications that keep the form's token in their
session, and in a cookie; with the daemon's cookies, and with the application's own as the key.
"""

import itertools
import re

import pytest

from support.api import Api, new_token
from support.closing import database_and_things
from support.own_login import COOKIE, PASSWORD, OwnLogin
from support.programs import Ctl
from support.web import SERVERS, Web, raw
from support.webservers import daemon_with_tcp

SETTINGS = {
    "login.enabled": "off",
    "access.login_url": "/login",
    "access.require_parameter": "on",
}
KEYS = {"cookies": {}, "key": {"session.key_from": f"cookie {COOKIE}"}}
SITES = list(itertools.product(SERVERS, ("session", "cookie"), KEYS))
# As many redirects as people may be sent through, from a page that they want to a form.
REDIRECTS = 3


@pytest.fixture(name="web", scope="module", params=SITES, ids="-".join)
def fixture_web(request, cluster_of_worker):
    name, csrf, keys = request.param
    with database_and_things(cluster_of_worker) as (database, things):
        application = things.add(OwnLogin(csrf, keys == "key"))
        daemon = things.add(daemon_with_tcp(database, {**SETTINGS, **KEYS[keys]}))
        application.api = Api(daemon, new_token(Ctl(database.owner_conninfo)))
        server = things.add(SERVERS[name](daemon, "own-login", application))
        server.places = {**server.places, "open": "optional"}
        yield Web(name, "own-login", database, daemon, server.start(), application)


def user_shown(answer):
    return re.search("user=(.*)", answer.text)[1]


def find_form(person, path):
    """Follow redirects to a form; returns its address and token."""
    answer = person.get(path)
    for _ in range(REDIRECTS):
        if answer.status_code != 303:
            break
        path = answer.headers["Location"].removeprefix(person.site.url)
        answer = person.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    assert path.startswith("/login?"), path
    return path, re.search('name="token" value="([^"]*)"', answer.text)[1]


def cookies_set(answer):
    """By name, what a browser has after all of them."""
    fields = answer.raw.headers.getlist("Set-Cookie")
    return {field.partition("=")[0]: field for field in fields}


def sign_in_at(person, name, address, path):
    """With the form that is at this address, which leads there."""
    answer = person.get(address)
    assert answer.status_code == 200, answer.headers.get("Location")
    token = re.search('name="token" value="([^"]*)"', answer.text)[1]
    answer = person.post(address, {"token": token, "username": name, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    assert answer.headers["Location"].removeprefix(person.site.url) == path
    answer = person.get(path)
    assert (answer.status_code, user_shown(answer)) == (200, name)


def sign_in(person, name, path="/members/page"):
    """The whole way, as people go it."""
    address, token = find_form(person, path)
    answer = person.post(address, {"token": token, "username": name, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    assert answer.headers["Location"].removeprefix(person.site.url) == path
    answer = person.get(path)
    assert (answer.status_code, user_shown(answer)) == (200, name)


def test_application_gets_the_address_of_the_client_and_no_other(web, people):
    """Also of who comes through a proxy of his own, which says whom it is for."""
    person, _, name = people
    person.http.headers.update({"X-Forwarded-For": "203.0.113.9"})
    sign_in(person, name)
    assert web.database.query("SELECT host(ip) FROM sessions WHERE id = %s", web.database.sessions(name)[0]) == [("127.0.0.1",)]


@pytest.fixture
def people(web, browse):
    """Two browsers, and the name of an account."""
    name = web.new_user()
    return browse(web, program=False), browse(web, program=False), name


def give(person, key):
    """As if the application had set it."""
    person.http.cookies.set(COOKIE, key, path="/", domain="127.0.0.1")


def cookies_of(web, asked=None):
    return (asked or web.last()).get("Cookie")


def own_key(person):
    return next((cookie.value for cookie in person.http.cookies if cookie.name == COOKIE), None)


def test_person_signs_in_at_the_application_and_comes_back(web, people):
    person, _, name = people
    sign_in(person, name, "/members/page?a=b&c=%26")
    asked = web.last()
    assert web.identity(asked) == (name, str(web.database.user_id(name)), web.database.sessions(name)[0])
    assert asked.get("Session-Reason") == ""
    assert own_key(person) in cookies_of(web)
    assert "onesession" not in cookies_of(web)


def test_whose_session_was_displaced_signs_in_again_and_so_does_the_other(web, people):
    first, second, name = people
    sign_in(first, name)
    for _ in range(2):
        sign_in(second, name)
        count = len(web.application.seen)
        for method in ("GET", "POST"):
            assert first.request(method, "/members/page").status_code == 303
        assert len(web.application.seen) == count
        location = first.get("/members/page").headers["Location"].removeprefix(web.url)
        assert location == "/login?next=/members/page&reason=displaced"
        first, second = second, first
    # Four sign-ins, each of which has ended the one before.
    assert len(web.database.sessions(name)) == 1


def test_session_that_the_daemon_does_not_know_leads_to_the_form_once(web, people):
    """As on the day on which the application came behind it."""
    person, _, name = people
    give(person, web.application.begin(name))
    sign_in(person, name)


def test_who_types_the_sign_in_s_address_gets_there(web, people):
    first, second, name = people
    answer = first.get("/login")
    assert answer.status_code == 200
    sign_in(first, name)
    # The application leads on whom it knows.
    assert first.get("/login").status_code == 303
    sign_in(second, name)
    # Not whose session is over: the daemon has said so, and the application's is kept back.
    sign_in_at(first, name, "/login?next=/members/page", "/members/page")


def test_whose_session_has_ended_signs_in_from_an_optional_page(web, people):
    """By the application's own link, which knows no reason."""
    first, second, name = people
    sign_in(first, name)
    sign_in(second, name)
    assert user_shown(first.get("/open")) == "None"
    assert web.last().get("Session-Reason") == "displaced"
    sign_in_at(first, name, "/login?next=/open", "/open")
    assert web.identity(web.last())[0] == name
    assert web.last().get("Session-Reason") == ""


@pytest.mark.parametrize("query", ["next=/open", "next=/open&reason=displaced"])
def test_second_step_of_a_sign_in_has_its_session(web, people, query):
    first, second, name = people
    sign_in(first, name)
    sign_in(second, name)
    answer = first.get(f"/login?{query}")
    assert answer.status_code == 200
    assert web.last().get("Session-Reason") == "displaced"
    # From then on it is nobody in particular, whose session is the application's affair.
    token = re.search('name="token" value="([^"]*)"', answer.text)[1]
    sent = {"token": token, "username": name, "password": PASSWORD, "second": "yes"}
    answer = first.post(f"/login?{query}", sent)
    assert web.last().get("Session-Reason") == "unauthenticated"
    step = answer.headers["Location"].removeprefix(web.url)
    assert step.startswith("/login?step=2")
    sign_in_at(first, name, step, "/open")


@pytest.mark.parametrize("query", ["next=/open", "next=/open&reason=displaced"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_browser_forgets_the_cookies_of_a_session_that_has_ended(web, people, query, method):
    first, second, name = people
    forgotten = {"onesession": "", "__Host-onesession": "Secure"}
    assert not set(cookies_set(first.request(method, f"/login?{query}"))) & set(forgotten)
    sign_in(first, name)
    device = [cookie.value for cookie in first.http.cookies if cookie.name == "onesession_device"]
    assert not set(cookies_set(first.request(method, f"/login?{query}"))) & set(forgotten)
    sign_in(second, name)
    for path in ("/open", "/members/page"):
        assert not set(cookies_set(first.request(method, path))) & set(forgotten)
    given = cookies_set(first.request(method, f"/login?{query}"))
    for cookie, secure in forgotten.items():
        assert re.sub(r"\s", "", given[cookie]).rstrip(";") == f"{cookie}=;Path=/;Max-Age=0" + (f";{secure}" if secure else "")
    assert device == [cookie.value for cookie in first.http.cookies if cookie.name == "onesession_device"]
    assert "onesession" not in [cookie.name for cookie in first.http.cookies]
    sign_in(first, name)


@pytest.mark.parametrize("is_secure", [False, True])
def test_new_session_is_not_forgotten_for_the_one_that_has_ended(web, people, is_secure):
    """Where a GET signs in, such as a link in a mail."""
    first, second, name = people
    sign_in(first, name)
    sign_in(second, name)
    web.application.is_secure = is_secure
    try:
        answer = first.get(f"/login?link={name}&next=/open")
    finally:
        web.application.is_secure = False
    assert answer.status_code == 303
    given = cookies_set(answer)
    assert "Max-Age=0" not in given[COOKIE]
    if not web.application.has_key:
        assert "Max-Age=0" not in given["__Host-onesession" if is_secure else "onesession"]
    if not is_secure:
        assert user_shown(first.get("/members/page")) == name


def test_form_that_was_open_when_the_session_ended_is_sent_with_it(web, people):
    first, second, name = people
    sign_in(first, name)
    known = "; ".join(f"{cookie.name}={cookie.value}" for cookie in first.http.cookies)
    sign_in(second, name)
    raw(web, "POST", "/login?next=/open", [("Cookie", known)])
    assert web.last().get("Session-Reason") == "displaced"
    assert own_key(first) in cookies_of(web)


def test_sign_in_of_the_same_browser_is_a_rotation(web, people):
    person, _, name = people
    sign_in(person, name)
    former = web.database.sessions(name)[0]
    # As at access.confirm_url: the form again, by who is live.
    web.application.sessions.pop(own_key(person))
    answer = person.get("/login?next=/members/page")
    token = re.search('name="token" value="([^"]*)"', answer.text)[1]
    answer = person.post("/login?next=/members/page", {"token": token, "username": name, "password": PASSWORD})
    assert answer.status_code == 303
    assert web.database.sessions(name) != [former]
    assert person.get("/members/page").status_code == 200
    if not web.application.has_key:
        assert web.database.query("SELECT reason FROM ended_sessions WHERE id = %s", former) == [("logged_out",)]


@pytest.mark.parametrize("path", ["/login-history", "/login/history", "/loginx", "/login.html", "/login;x", "/LOGIN", "/login%20"])
def test_what_is_called_like_the_sign_in_is_guarded(web, people, path):
    person, _, _ = people
    count = len(web.application.seen)
    answer = person.get(path)
    assert answer.status_code in (303, 400, 404)
    if answer.status_code == 303:
        assert answer.headers["Location"].removeprefix(web.url).startswith("/login?next=")
    assert len(web.application.seen) == count


def test_link_from_elsewhere_signs_nobody_out(web, people):
    person, _, name = people
    sign_in(person, name)
    key = own_key(person)
    assert person.get("/login?reason=displaced&next=/members/page").status_code == 303
    assert own_key(person) == key
    assert user_shown(person.get("/members/page")) == name


def test_optional_page_shows_nobody_once_the_session_has_ended(web, people):
    first, second, name = people
    for path in ("/open", "/open/page?x=y"):
        answer = first.get(path)
        assert (answer.status_code, user_shown(answer)) == (200, "None")
        assert web.last().get("Session-Reason") == "unauthenticated"
    sign_in(first, name)
    assert user_shown(first.get("/open/page")) == name
    assert web.last().get("Session-Reason") == ""
    assert web.identity(web.last())[0] == name
    sign_in(second, name)
    first.http.cookies.set("theme", "dark", path="/")
    for method in ("GET", "POST"):
        answer = first.request(method, "/open/page?reason=x")
        assert (answer.status_code, user_shown(answer)) == (200, "None")
        assert web.last().get("Session-Reason") == "displaced"
        assert set(web.identity(web.last())) == {""}
        assert COOKIE not in cookies_of(web)
        # What says nothing of who it is stays.
        assert "theme=dark" in cookies_of(web)
    # It is no sign-out: the browser has it still, and signs in with the form.
    assert own_key(first)
    sign_in(first, name)
    assert user_shown(first.get("/open/page")) == name


def test_nobody_in_particular_keeps_a_session_of_the_application_s(web, people):
    """What is in a basket, for instance."""
    person, _, _ = people
    give(person, web.application.begin())
    for path in ("/open", "/login"):
        assert person.get(path).status_code == 200
        assert own_key(person) in cookies_of(web)


# Ways of writing the cookie, as some program or other reads them.
WRITTEN = [
    "sessionid={}",
    "sessionid={}; a=1",
    "a=1; sessionid={}",
    "a=1;sessionid={}",
    "a=1;  sessionid={}",
    ";sessionid={}",
    "; ;sessionid={}",
    "sessionid={0}; sessionid={0}",
    "sessionid=x; sessionid={0}; sessionid=y",
    "; ".join(f"a{n}={n}; sessionid={{0}}" for n in range(9)),
    "sessionid ={}",
    "sessionid\t={}",
    " sessionid={}",
    "\tsessionid={}",
    "a=1;\tsessionid={}",
    "SESSIONID={}",
    "SessionId={}",
    "%73essionid={}",
    "session%69d={}",
    "a=1 sessionid={}",
    "a=1\tsessionid={}",
    'a="1" sessionid={}',
    'a="; b=" sessionid={}',
    'a="1; sessionid={}"',
    "a=\\073 sessionid={}",
    "a=1, sessionid={}",
    "a=1,sessionid={}",
    "a, sessionid={}",
    '"sessionid"={}',
    "\xa0sessionid={}",
    "a=1;\xa0sessionid={}",
    "\xc2\xa0sessionid={}",
    "sessionid\xa0={}",
    "\xe2\x80\x83sessionid={}",
    "session.id={}",
    "session id={}",
    "session[id={}",
    "sessionid[a]={}",
    "=sessionid={}",
    "=; sessionid={}",
    "$sessionid={}",
    "a sessionid={}",
    "a=1; flag; sessionid={}",
    'a="1; sessionid={}"',
    "a='1; sessionid={}'",
]


def ended(web, people):
    """Of a session that was displaced: whose it was, the application's key, and the cookies by which the guard knows it."""
    first, second, name = people
    sign_in(first, name)
    key, cookies = own_key(first), "; ".join(f"{c.name}={c.value}" for c in first.http.cookies if c.name != COOKIE)
    sign_in(second, name)
    # The key has to be found, or nothing has ended for the guard.
    return name, key, f"{COOKIE}={key}" if web.application.has_key else cookies


@pytest.mark.parametrize("path", ["/open/page", "/login", "/login?reason=displaced", "/login?next=/&reason=x", "/.well-known/x"])
def test_no_way_of_writing_the_cookie_makes_somebody_of_who_has_ended(web, people, path):
    name, key, known = ended(web, people)
    for written in WRITTEN:
        count = len(web.application.seen)
        for header in (f"{known}; {written.format(key)}", f"{written.format(key)}; {known}"):
            status, text = raw(web, "GET", path, [("Cookie", header)])
            assert status in (200, 400), (written, status)
            assert f"user={name}" not in text
        for asked in web.application.seen[count:]:
            for field, value in asked.fields:
                assert key not in value, (written, field, value)


@pytest.mark.parametrize("path", ["/open/page", "/login", "/members/page"])
@pytest.mark.parametrize("web", [site for site in SITES if site[2] == "key"], ids="-".join, indirect=True)
def test_key_that_has_ended_is_known_however_it_is_written(web, people, browse, path):
    """
    With nothing beside it, and beside the live one of a stranger. (By the daemon's cookies it is the application that
    looks at Session-Id: own-login.md.)
    """
    name, key, _ = ended(web, people)
    stranger = browse(web, program=False)
    sign_in(stranger, web.new_user())
    decoded = [f"%{ord(key[0]):02X}{key[1:]}", f'"{key}"', f'"\\{ord(key[0]):03o}{key[1:]}"']
    for written in [*(way.format(key) for way in WRITTEN), *(f"{COOKIE}={value}" for value in decoded)]:
        for header in (written, f"{COOKIE}={own_key(stranger)}; {written}", f"{written}; {COOKIE}={own_key(stranger)}"):
            status, text = raw(web, "GET", path, [("Cookie", header)])
            assert f"user={name}" not in text
            # A sign-in leads on whom it knows.
            if path == "/login" and status == 303:
                assert header != written, written


@pytest.mark.parametrize("headers", [[("Cookie", "{known}"), ("Cookie", "sessionid={key}")], [("Cookie", "sessionid={key}"), ("Cookie", "{known}")]])
def test_neither_does_a_second_field(web, people, headers):
    _, key, known = ended(web, people)
    count = len(web.application.seen)
    raw(web, "GET", "/open/page", [(field, value.format(known=known, key=key)) for field, value in headers])
    for asked in web.application.seen[count:]:
        if asked.get("Session-Reason") != "unauthenticated":
            assert not [field for field, value in asked.fields if key in value]


@pytest.mark.parametrize(
    "query", ["reason=%0d%0aSet-Cookie:%20x=y", "reason=<script>", "reason=a:b:c", "reason=yes:GET", "next=//evil.example&reason=x", "reason=" + "x" * 3000]
)
def test_hostile_reason_changes_nothing(web, people, query):
    person, _, name = people
    answer = person.get(f"/login?{query}")
    assert answer.status_code in (200, 400)
    assert "x=y" not in str(answer.headers.get("Set-Cookie"))
    sign_in(person, name)
    # Nobody is signed out by it.
    assert person.get(f"/login?{query}&next=/members/page").status_code in (303, 400)
    assert user_shown(person.get("/members/page")) == name


@pytest.mark.parametrize("target", ["//evil.example/", "/\\evil.example", "/members/%0d%0aLocation:x", "/members/?next=//evil.example/&reason=live"])
def test_next_leads_nowhere_else(web, people, target):
    person, _, _ = people
    answer = person.get(target)
    if answer.status_code == 303:
        location = answer.headers["Location"].removeprefix(web.url)
        assert re.fullmatch(r"/login(\?next=/members/[\w%./-]*&|\?)reason=unauthenticated", location), location
    else:
        assert answer.status_code in (400, 404)


def test_sign_out_at_the_application_ends_the_session(web, people):
    person, _, name = people
    sign_in(person, name)
    assert person.post("/logout").status_code == 303
    assert web.database.sessions(name) == []
    assert person.get("/members/page").headers["Location"].removeprefix(web.url).startswith("/login?next=/members/page&reason=")
    sign_in(person, name)


def test_sign_out_at_the_daemon_s_account_page_leads_to_the_form(web, people):
    person, _, name = people
    sign_in(person, name)
    answer = person.post("/session/logout")
    assert answer.headers["Location"].removeprefix(web.url) == "/login?reason=logged_out"
    find_form(person, "/login?reason=logged_out")
    sign_in(person, name)


def test_place_to_change_a_password_is_the_application_s(web, people):
    person, _, _ = people
    assert person.get("/.well-known/change-password").headers["Location"].removeprefix(web.url) == "/password"


def test_client_cannot_say_why_nobody_is_signed_in(web, people):
    person, _, name = people
    forged = ["Session-Reason", "Session_Reason", "Session-Id", "Session_Id", "Remote-User", "Remote_User"]
    for path in ("/open", "/login", "/.well-known/x"):
        count = len(web.application.seen)
        raw(web, "GET", path, [(field, "forged") for field in forged])
        for asked in web.application.seen[count:]:
            assert not [field for field, value in asked.fields if "forged" in value]

"""What every answer owes to HTTP, whatever it is about."""

import json
import re

import pytest

from support import fastcgi
from support.browser import PERSON_ACCEPT, problem, with_key
from support.client import FORM, JSON, LOGIN_FIELDS, Answered, assert_page, post
from support.rows import insert_from_outside

# One site is enough for the tests that share it.
pytestmark = pytest.mark.xdist_group("test_http")

ROUTES = {
    "/session/login": {"GET", "HEAD", "POST"},
    "/session/logout": {"POST"},
    "/session/me": {"GET", "HEAD"},
    "/session/state": {"GET", "HEAD"},
    "/session/auth": {"GET", "HEAD"},
    "/session/account": {"GET", "HEAD"},
    "/session/confirm": {"GET", "HEAD", "POST"},
    "/session/forgot": {"GET", "HEAD", "POST"},
    "/session/reset": {"GET", "HEAD", "POST"},
    "/session/notices": {"GET", "HEAD", "POST"},
    "/session/undo": {"GET", "HEAD", "POST"},
    "/session/signup": {"GET", "HEAD", "POST"},
    "/session/invite": {"GET", "HEAD", "POST"},
    "/session/verify": {"GET", "HEAD", "POST"},
    "/session/email": {"GET", "HEAD", "POST"},
    "/session/health": {"GET", "HEAD"},
    "/session/ready": {"GET", "HEAD"},
    "/session/language": {"POST"},
    "/session/notice.json": {"GET", "HEAD"},
}
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "get"]


# ---- Methods and paths -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ROUTES)
def test_wrong_method_is_405_and_names_the_right_ones(shared_site_with_mail, path):
    for method in METHODS:
        answer = shared_site_with_mail.daemon.ask(method=method, path=path, headers={"Accept": "application/json"})
        if method in ROUTES[path]:
            assert answer.status != 405
            continue
        assert answer.status == 405, method
        assert {word.strip() for word in answer.get("Allow").split(",")} == ROUTES[path]
        assert method == "HEAD" or json.loads(answer.body)["status"] == 405


@pytest.mark.parametrize("path", sorted(path for path, methods in ROUTES.items() if "HEAD" in methods))
def test_head_is_get_without_a_body(shared_site_with_mail, path):
    varying = {"Date", "X-Request-Id"}
    for headers in ({"Accept": "application/json"}, {"Accept": PERSON_ACCEPT}):
        get = shared_site_with_mail.daemon.ask(method="GET", path=path, headers=headers)
        head = shared_site_with_mail.daemon.ask(method="HEAD", path=path, headers=headers)
        assert head.status == get.status
        assert head.body == b""
        assert [field for field in head.fields if field[0] not in varying] == [
            field for field in get.fields if field[0] not in varying
        ]


@pytest.mark.parametrize(
    "path",
    [
        "/session/nothing",
        "/session",
        "/session/login/",
        "/session/Login",
        "/session//login",
        "/session/../session/nothing",
        "/sessionlogin",
        "/session/auth/more",
        "/",
        "/elsewhere",
        "/session/%00",
        "/session/metrics",
        "/session/" + "x" * 1500,
    ],
)
def test_unknown_path_is_404(shared_site, path):
    headers = {"Accept": "application/json"}
    answer = shared_site.daemon.ask(path=path, headers=headers, REMOTE_ADDR="203.0.113.5")
    assert answer.status == 404
    body = json.loads(answer.body)
    assert body["status"] == 404
    answer = shared_site.daemon.ask(path=path, headers={"Accept": PERSON_ACCEPT}, REMOTE_ADDR="203.0.113.5")
    assert_page(answer, 404)
    answer = shared_site.daemon.ask(method="POST", path=path, headers=headers, REMOTE_ADDR="203.0.113.5")
    assert answer.status == 404


def test_address_that_ends_too_early_leads_to_the_account(shared_site):
    for headers in ({"Accept": "application/json"}, {"Accept": PERSON_ACCEPT}):
        answer = shared_site.daemon.ask(path="/session/", headers=headers)
        assert (answer.status, answer.get("Location")) == (303, "/session/account")
    assert shared_site.daemon.ask(method="POST", path="/session/", headers=JSON).status == 405


@pytest.mark.parametrize("size", [3000, 30000])
def test_overlong_path_is_refused(shared_site, size):
    answer = shared_site.daemon.ask(path="/session/" + "x" * size, headers={"Accept": "application/json"})
    assert answer.status in (400, 404, 414)


def test_request_without_method_or_path_is_no_request(shared_site):
    without = fastcgi.environ()
    for name in ("REQUEST_METHOD", "SCRIPT_NAME"):
        params = {key: value for key, value in without.items() if key != name}
        answer = shared_site.daemon.ask(params)
        assert answer.status is None or answer.status in (400, 404), name
    assert shared_site.daemon.ask().status == 401


# ---- Bodies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"not json",
        b'{"username": "alice", "password": ',
        b'{"username": "alice", "password": "x"} more',
        b"[]",
        b'["username", "password"]',
        b'"text"',
        b"1",
        b"null",
        b'{"username": "al\xff\xfeice", "password": "x"}',
        b'{"username": "alice", "password": "x", "username": "bob"}',
        b'{"username": "ali\\u0000ce", "password": "x"}',
        b'{"username": "ali\0ce", "password": "x"}',
        b'{"username": "\\ud800", "password": "x"}',
        b"[" * 30000 + b"]" * 30000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"\xef\xbb\xbf",
        b" ",
    ],
)
def test_body_that_is_no_json_object_is_a_bad_request(shared_site, body):
    problem(Answered(post(shared_site, body)), 400, "bad_request")


@pytest.mark.parametrize(
    "body",
    [
        b"username=al%00ice&password=x",
        b"username=alice\0&password=x",
        b"username=alice&password=%zz",
        b"username=alice&password=%4",
        b"username=alice&password=%",
        b"username=%ff%fe&password=x",
        b"username=%c0%80&password=x",
        b"username=%ed%a0%80&password=x",
        b"&".join(b"a%d=b" % number for number in range(2000)),
    ],
)
def test_form_that_cannot_be_read_is_a_bad_request(shared_site, body):
    assert_page(post(shared_site, body, FORM), 400)
    answer = post(shared_site, body, {**FORM, "Accept": "application/json"})
    problem(Answered(answer), 400, "bad_request")


def test_form_is_decoded(shared_site, browse):
    shared_site.database.add_user("ann & bob=100% +é")
    person = browse(shared_site, program=False)
    person.sign_in("ann & bob=100% +é")
    assert person.me().headers["Remote-User"].encode("latin-1").decode() == "ann & bob=100% +é"


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonp",
        "application/json-patch+json",
        "x",
        "application/x-www-form-urlencoded2",
    ],
)
def test_other_content_type_is_unsupported(shared_site, content_type):
    body = json.dumps(LOGIN_FIELDS).encode()
    problem(Answered(post(shared_site, body, {"Content-Type": content_type})), 415, "unsupported_media_type")
    assert_page(post(shared_site, body, {"Content-Type": content_type, "Accept": PERSON_ACCEPT}), 415)


@pytest.mark.parametrize(
    "content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/json;charset=UTF-8"]
)
def test_json_is_known_whatever_stands_after_it(shared_site, content_type):
    answer = post(shared_site, json.dumps(LOGIN_FIELDS), {"Content-Type": content_type, "Accept": "*/*"})
    assert answer.status == 200
    assert "user" in json.loads(answer.body)


def test_form_is_known_whatever_stands_after_it(shared_site):
    body = "username=alice&password=correct+horse+battery+staple"
    answer = post(shared_site, body, {**FORM, "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8"})
    assert answer.status == 303


def test_body_of_up_to_64_kib_is_read(shared_site):
    filler = "x" * (64 * 1024 - len(json.dumps({**LOGIN_FIELDS, "filler": ""})))
    body = json.dumps({**LOGIN_FIELDS, "filler": filler})
    assert len(body) == 64 * 1024
    assert post(shared_site, body).status == 200
    problem(Answered(post(shared_site, body + " ")), 413, "too_large")


@pytest.mark.parametrize("size", [64 * 1024 + 1, 200_000, 5_000_000])
def test_larger_body_is_too_large(shared_site, browse, size):
    body = b'{"username": "alice", "password": "' + b"x" * size + b'"}'
    answer = browse(shared_site).request("POST", "/session/login", data=body, headers=JSON)
    problem(answer, 413, "too_large")
    answer = browse(shared_site, program=False).request("POST", "/session/login", data=b"a=" + body, headers=FORM)
    assert answer.status_code == 413
    assert "<html" in answer.text


def test_max_body_of_the_configuration(new_daemon):
    daemon = new_daemon({"server.max_body": "1KiB"}).start()
    for size, status in ((1024, 200), (1025, 413)):
        body = json.dumps(LOGIN_FIELDS).ljust(size)
        assert daemon.ask(method="POST", path="/session/login", headers=JSON, body=body).status == status


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "99999999999999999999999", "0x10", "+5", "5 5", ""])
def test_content_length_that_is_no_number_does_no_harm(shared_site, length):
    params = fastcgi.environ(
        method="POST", path="/session/login", headers={**JSON, "Content-Length": length}, body=b""
    )
    answer = shared_site.daemon.ask(params, b'{"a": "b"}')
    assert answer.status in (400, 413)
    assert shared_site.daemon.ask().status == 401


def test_body_shorter_than_content_length_is_a_bad_request(shared_site):
    for headers in (JSON, FORM):
        params = fastcgi.environ(method="POST", path="/session/login", headers={**headers, "Content-Length": "500"})
        answer = shared_site.daemon.ask(params, b"username=alice&password=x")
        assert answer.status == 400


def test_body_in_many_small_records_is_read_whole(shared_site):
    body = json.dumps(LOGIN_FIELDS).encode()
    params = fastcgi.environ(method="POST", path="/session/login", headers=JSON, body=body)
    with shared_site.daemon.connection() as connection:
        connection.send(fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, fastcgi.pairs(params), size=100))
        connection.send(fastcgi.stream(fastcgi.STDIN, body, size=3))
        assert connection.answer().status == 200


def test_auth_does_not_wait_for_the_body_of_the_guarded_request(shared_site):
    """nginx passes the client's Content-Length to the sub-request, but no body."""
    for method in ("GET", "HEAD"):
        headers = {"Content-Length": "1000000", "Content-Type": "multipart/form-data; boundary=x"}
        answer = shared_site.daemon.ask(fastcgi.environ(method=method, headers=headers), timeout=4)
        assert answer.status == 401


def test_guarded_upload_passes(shared_site, browse):
    program = browse(shared_site)
    program.sign_in()
    answer = program.request("POST", "/page", data=b"x" * 300_000, headers={"Content-Type": "application/octet-stream"})
    assert answer.text.startswith("page\nuser=alice\n")


# ---- People and programs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "accept, program",
    [
        (None, False),
        ("", False),
        ("*/*", False),
        (PERSON_ACCEPT, False),
        ("text/html", False),
        ("application/json", True),
        ("APPLICATION/JSON", True),
        ("application/json, */*", True),
        ("application/json, text/plain, */*", True),
        ("application/json;q=0.5, text/html", False),
        ("text/html;q=0.5, application/json", True),
        ("text/html;q=0.9, application/json;q=0.8", False),
        ("application/json;q=0, text/html", False),
        ("application/json;q=0", False),
        ("text/*, application/json;q=0.1", False),
        ("application/json; charset=utf-8", True),
        ("text/html, application/json;q=0.999", False),
    ],
)
def test_accept_tells_people_from_programs(shared_site, accept, program):
    headers = {} if accept is None else {"Accept": accept}
    for path, status in (("/session/me", 401), ("/session/nothing", 404)):
        answer = shared_site.daemon.ask(path=path, headers=headers)
        assert answer.status == status
        expected = "application/problem+json" if program else "text/html"
        assert answer.get("Content-Type").split(";")[0] == expected


def test_json_body_makes_a_program_whatever_it_accepts(shared_site):
    answer = post(shared_site, b'{"username": "alice", "password": "wrong"}', {"Accept": PERSON_ACCEPT})
    problem(Answered(answer), 401, "invalid_credentials")


def test_page_of_an_error_says_what_happened(shared_site, browse):
    person = browse(shared_site, program=False)
    answer = person.get("/session/nothing")
    assert answer.status_code == 404
    assert re.search(r"<h1>[^<]+</h1>", answer.text)
    assert "{{" not in answer.text


def test_pages_are_whole(shared_site, browse):
    """No place-holder is left, and what a page refers to is there."""
    person = browse(shared_site, program=False)
    for path in ("/session/login", "/session/nothing"):
        page = person.get(path)
        assert "{{" not in page.text and "}}" not in page.text
        for reference in re.findall(r'(?:href|src)="(/session/[^"]+)"', page.text):
            assert person.get(reference).status_code == 200
    style = person.get("/session/style.css")
    assert style.headers["Content-Type"].startswith("text/css")


def test_pages_run_no_foreign_script_and_stay_out_of_frames(shared_site, browse):
    page = browse(shared_site, program=False).get("/session/login")
    policy = page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "*" not in policy


BODIES = ["/login", "/state", "/me", "/account", "/style.css", "/notice.js", "/health", "/ready", "/metrics", "/status", "/x"]


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
@pytest.mark.parametrize("path", BODIES)
def test_what_a_body_is_no_browser_guesses(shared_site, path, accept):
    answer = shared_site.daemon.ask(path="/session" + path, headers={"Accept": accept}, REMOTE_ADDR="127.0.0.1")
    assert answer.all("X-Content-Type-Options") == (["nosniff"] if answer.get("Content-Type") else [])
    assert answer.get("Content-Type") or (path, accept) == ("/account", "text/html")


# ---- Header fields ---------------------------------------------------------------------------------------------------

DEPENDS_ON_COOKIE = ["/session/login", "/session/me", "/session/state", "/session/auth", "/session/account"]


@pytest.mark.parametrize("path", DEPENDS_ON_COOKIE)
@pytest.mark.parametrize("signed_in", [False, True])
def test_answers_that_depend_on_the_cookie_are_not_stored(shared_site, browse, path, signed_in):
    person = browse(shared_site, program=False)
    if signed_in:
        person.sign_in("bob")
    answer = person.get(path)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Cookie" in [word.strip() for word in answer.headers["Vary"].split(",")]


@pytest.mark.parametrize("username, status", [("bob", 303), ("nobody", 401)])
def test_answers_to_logins_are_not_stored(shared_site, browse, username, status):
    answer = browse(shared_site, program=False).login(username)
    assert answer.status_code == status
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Cookie" in answer.headers["Vary"]


def test_status_comes_first(shared_site_with_mail):
    """lighttpd drops what stands before it."""
    for path in (*ROUTES, "/session/nothing"):
        answer = shared_site_with_mail.daemon.ask(path=path)
        assert answer.fields[0][0] == "Status", path
        assert len(answer.all("Status")) == 1
        assert answer.ended and answer.protocol_status == 0
        assert answer.stderr == b""


def test_length_of_the_body_is_told(shared_site):
    for path in ("/session/login", "/session/state", "/session/nothing", "/session/health"):
        answer = shared_site.daemon.ask(path=path)
        told = answer.get("Content-Length")
        assert told is None or int(told) == len(answer.body)
        assert answer.body


AUTH_FIELDS = ["Remote-User", "Remote-User-Id", "Session-Id", "Session-Reason"]


@pytest.mark.parametrize("path", ["/session/auth", "/session/me"])
def test_identity_fields_are_all_there_and_empty_when_nobody_is_signed_in(shared_site, path):
    unknown = "A" * 43
    for headers in ({}, {"Cookie": f"onesession={unknown}"}, {"Cookie": "onesession=short"}):
        answer = shared_site.daemon.ask(path=path, headers=headers)
        assert answer.status == 401
        assert [answer.get(name) for name in AUTH_FIELDS] == ["", "", "", "unauthenticated"]
        assert answer.all("Set-Cookie") == []
        if path == "/session/auth":
            assert answer.body == b""


def test_auth_names_who_is_signed_in(shared_site, browse):
    program = browse(shared_site)
    told = program.sign_in()
    answer = shared_site.daemon.ask(headers={"Cookie": f"onesession={program.key}"})
    assert answer.status == 200
    expected = ["alice", str(told["user"]["id"]), told["session"]["id"], ""]
    assert [answer.get(name) for name in AUTH_FIELDS] == expected
    assert answer.all("Set-Cookie") == []
    assert answer.body == b""
    browse(shared_site).sign_in()
    answer = shared_site.daemon.ask(headers={"Cookie": f"onesession={program.key}"})
    assert answer.status == 401
    assert [answer.get(name) for name in AUTH_FIELDS] == ["", "", "", "displaced"]
    assert answer.all("Set-Cookie") == []


def test_authorizer_gets_200_and_variables_or_401_and_plain_fields(shared_site, browse):
    program = browse(shared_site)
    told = program.sign_in()
    # As Apache asks: the guarded request's own method and path, and no body.
    params = {
        "REQUEST_METHOD": "POST",
        "REQUEST_URI": "/app/x",
        "FCGI_ROLE": "AUTHORIZER",
        "HTTP_COOKIE": f"onesession={program.key}",
        "HTTP_SEC_FETCH_SITE": "cross-site",
        "REMOTE_ADDR": "192.0.2.7",
    }
    answer = shared_site.daemon.ask(params, role=fastcgi.AUTHORIZER)
    assert answer.status == 200
    assert answer.fields[0][1].split()[0] == "200"
    assert answer.get("Variable-REMOTE_USER") == "alice"
    assert answer.get("Variable-REMOTE_USER_ID") == str(told["user"]["id"])
    assert answer.get("Variable-SESSION_ID") == told["session"]["id"]
    assert answer.body == b""
    browse(shared_site).sign_in()
    answer = shared_site.daemon.ask(params, role=fastcgi.AUTHORIZER)
    assert answer.status == 401
    assert not [name for name, _ in answer.fields if name.lower().startswith("variable-")]
    assert [answer.get(name) for name in AUTH_FIELDS] == ["", "", "", "displaced"]
    assert answer.all("Set-Cookie") == []


@pytest.mark.parametrize("name", ["eve\r\nX-Evil: 1", " bob", "bob "])
def test_name_of_the_account_cannot_become_another_in_its_field(shared_site, browse, name):
    """onesessionctl takes no such name, but another program may have put it in."""
    shared_site.database.add_user(name)
    program = with_key(browse(shared_site), insert_from_outside(shared_site.database, name))
    for path, status in (("/session/auth", 200), ("/session/me", 200)):
        answer = program.get(path)
        assert answer.status_code == status
        assert "X-Evil" not in answer.headers
        assert answer.headers["Remote-User"] == ""
        assert answer.headers["Remote-User-Id"] == str(shared_site.database.user_id(name))

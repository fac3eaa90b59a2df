"""What the public header promises of routes, of what handlers read, and of their answers, by tests/application."""

import json
import re
import time

import pytest

from support import fastcgi
from support.browser import PERSON_ACCEPT, problem
from support.waiting import Background, wait_until

JSON = {"Accept": "application/json"}
FORM = "application/x-www-form-urlencoded"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
OWN_COOKIES = ["onesession", "onesession_device", "onesession_check", "onesession_language", "session", "session_device"]


def ask(site, path, method="GET", headers=None, **more):
    return site.daemon.ask(method=method, path="/session/application" + path, headers={**JSON, **(headers or {})}, **more)


def told(site, path, method="GET", **more):
    answer = ask(site, path, method, **more)
    assert answer.status == 200, answer.stdout
    return json.loads(answer.body)


def faults(site, path=""):
    """What was logged of mistakes at that route."""
    found = re.findall(r" handler_fault .*route=(\S+) problem=(?:\"(.*)\"|(\S+))", site.daemon.log_text())
    return [first or second for route, first, second in found if route == path]


def send(site, path, body, content_type, method="POST", **params):
    return ask(site, path, method, headers={"Content-Type": content_type}, body=body, **params)


def refused_with(answer, status, code):
    assert answer.status == status, answer.stdout
    assert json.loads(answer.body)["code"] == code


# ---- Paths -----------------------------------------------------------------------------------------------------------


def test_parts_of_the_path_are_given_by_name(shared_application):
    found = told(shared_application, "/titles/7/position")
    assert (found["id"], found["what"], found["number"]) == ("7", "position", 7)
    assert told(shared_application, "/titles/a b")["id"] == "a b"
    assert told(shared_application, "/titles/\u00fc")["id"] == "\u00fc"
    assert told(shared_application, "/titles/7")["what"] is None


def test_literal_comes_before_a_part(shared_application):
    assert told(shared_application, "/titles/new")["method"] == "new"
    assert told(shared_application, "/titles/newer")["id"] == "newer"
    # The method is that route's affair.
    refused_with(ask(shared_application, "/titles/new", "POST"), 405, "method_not_allowed")


def test_part_is_never_empty_and_has_no_slash(shared_application):
    for path in ("/titles/", "/titles//position", "/titles/7/position/more"):
        assert ask(shared_application, path).status == 404, path


@pytest.mark.parametrize(
    "part",
    [b"a%2Fb", b"a%2fb", b"%00", b"a%41", b"a%2541", b"\xff", b"\xc0\xaf", b"\xed\xa0\x80"],
)
def test_part_with_an_escape_left_or_that_is_no_utf8_is_not_found(shared_application, part):
    params = fastcgi.environ(path="x", headers=JSON)
    params["SCRIPT_NAME"] = b"/session/application/titles/" + part
    assert shared_application.daemon.ask(params).status == 404


def test_percent_sign_that_is_no_escape_is_itself(shared_application):
    for part in ("100%", "%", "%4", "50%off", "%zz"):
        assert told(shared_application, "/titles/" + part)["id"] == part


@pytest.mark.parametrize("target", ["/session/application/titles/7%2Fposition", "/session/application/titles/a%2fposition?x", "/a%00"])
def test_slash_that_the_web_server_has_decoded_makes_no_other_part(shared_application, target):
    assert ask(shared_application, "/titles/7/position", REQUEST_URI=target).status == 404


def test_slash_in_the_query_string_is_no_matter(shared_application):
    target = "/session/application/titles/7/position?next=%2Fa"
    assert ask(shared_application, "/titles/7/position", REQUEST_URI=target).status == 200


def test_part_is_decoded_once_through_a_web_server(shared_application, browse):
    browser = browse(shared_application)
    assert browser.get("/session/application/titles/a%20b").json()["id"] == "a b"
    assert browser.get("/session/application/titles/%C3%BC").json()["id"] == "\u00fc"
    assert browser.get("/session/application/titles/100%25").json()["id"] == "100%"
    for part in ("a%2Fb", "a%252Fb", "%2541", "a%00b"):
        assert browser.get("/session/application/titles/" + part).status_code in (400, 404), part


@pytest.mark.parametrize(
    "text, number",
    [
        ("0", 0),
        ("-1", -1),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("007", 7),
        *((text, None) for text in ("+1", " 1", "1 ", "1.0", "0x1", "1e3", "-", "--1", "\u0661", "1a")),
        ("9223372036854775808", None),
        ("-9223372036854775809", None),
        ("9" * 40, None),
    ],
)
def test_number_in_the_path_is_digits_that_fit(shared_application, text, number):
    found = told(shared_application, "/titles/" + text)
    assert found["is_number"] == (number is not None)
    assert found["number"] == (number or 0)


@pytest.mark.parametrize(
    "query, page",
    [("page=7", 7), ("page=50", 50), ("", 1), ("other=7", 1)]
    + [(f"page={text}", 1) for text in ("0", "51", "-3", "", "x", "+7", "%207", "7.5", "99999999999999999999")],
)
def test_number_in_the_query_is_within_its_bounds_or_the_fallback(shared_application, query, page):
    assert told(shared_application, "/titles", query=query)["page"] == page


# ---- Methods ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_each_method_has_its_handler(shared_application, method):
    assert told(shared_application, "/titles/7", method)["method"] == method.lower()


def test_head_is_get_without_a_body(shared_application):
    answer = ask(shared_application, "/titles/7", "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.get("Content-Length")) > 0


def test_method_without_a_handler_is_told_of_those_that_there_are(shared_application):
    allowed = {"GET, HEAD, POST, PUT, PATCH, DELETE": "/titles/7", "GET, HEAD": "/titles/new"}
    allowed["PUT"] = "/limits/raw"
    for methods, path in allowed.items():
        for method in {*METHODS, "PROPFIND", "OPTIONS", "options", "HEAD"} - set(methods.split(", ")):
            answer = ask(shared_application, path, method)
            assert (answer.status, answer.get("Allow")) == (405, methods), (method, path)


def test_any_takes_every_method(shared_application):
    for method in [*METHODS, "OPTIONS"]:
        assert told(shared_application, "/titles/7/x", method)["method"] == method.lower()
    assert told(shared_application, "/titles/7/x", "PROPFIND")["method"] == "other"


@pytest.mark.parametrize("path", ["/titles/7", "/titles/7/any"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
def test_another_site_s_request_that_may_change_something_is_refused(shared_application, path, method):
    if (path, method) == ("/titles/7", "PROPFIND"):
        return
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}):
        refused_with(ask(shared_application, path, method, headers=headers), 403, "cross_site")
    own = {"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost"}
    assert ask(shared_application, path, method, headers=own).status == 200


def test_another_site_s_request_that_reads_is_answered(shared_application):
    for path in ("/titles/7", "/titles/7/any"):
        for method in ("GET", "HEAD"):
            assert ask(shared_application, path, method, headers={"Sec-Fetch-Site": "cross-site"}).status == 200


def test_route_can_say_that_it_takes_what_another_site_sends(shared_application):
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://bank.example"}
    assert told(shared_application, "/returns", "POST", headers=headers)["method"] == "post"


# ---- Limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 8000, 70_000, 1024 * 1024])
def test_raw_body_comes_as_it_was_sent_up_to_the_route_s_own_limit(shared_application, size):
    body = bytes(number * 7 % 256 for number in range(size))
    for content_type in ("application/octet-stream", "application/json", "text/plain", ""):
        found = json.loads(send(shared_application, "/limits/raw", body, content_type, "PUT").body)
        assert (found["size"], found["sum"], found["json"]) == (size, sum(body), False)


def test_larger_body_than_the_route_takes_is_refused(shared_application):
    body = b"x" * (1024 * 1024 + 1)
    refused_with(send(shared_application, "/limits/raw", body, "a/b", "PUT"), 413, "too_large")
    refused_with(send(shared_application, "/limits/form", b"a=" + b"x" * 9, FORM), 413, "too_large")
    assert send(shared_application, "/limits/form", b"a=" + b"x" * 8, FORM).status == 200
    # Others have server.max_body.
    refused_with(send(shared_application, "/limits/both", b"x" * 70_000, "a/b"), 413, "too_large")


def test_body_that_comes_in_pieces_has_the_limit_of_its_route(shared_application):
    for size, status in ((1024 * 1024, 200), (1024 * 1024 + 1, 413)):
        headers = {**JSON, "Content-Type": "a/b", "Content-Length": None}
        params = fastcgi.environ(method="PUT", path="/session/application/limits/raw", headers=headers)
        params = {**params, "HTTP_TRANSFER_ENCODING": "chunked"}
        with shared_application.daemon.connection() as connection:
            connection.send(fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, fastcgi.pairs(params)))
            connection.send(fastcgi.stream(fastcgi.STDIN, b"x" * size, size=50_000))
            assert connection.answer().status == status


def test_empty_raw_body_is_none(shared_application):
    found = told(shared_application, "/limits/raw", "PUT", headers={"Content-Type": "a/b", "Content-Length": "0"})
    assert (found["size"], found["there"]) == (0, False)


def test_json_can_be_had_together_with_its_bytes(shared_application):
    body = b'{"a":  "b"}'
    found = json.loads(send(shared_application, "/limits/both", body, "application/json").body)
    assert (found["size"], found["sum"], found["a"]) == (len(body), sum(body), "b")
    refused_with(send(shared_application, "/limits/both", b"{", "application/json"), 400, "bad_request")
    found = json.loads(send(shared_application, "/limits/both", b"a=b", FORM).body)
    assert (found["size"], found["a"]) == (3, None)


def test_bytes_are_for_routes_that_ask_for_them(shared_application):
    found = json.loads(send(shared_application, "/limits/json", b'{"a": "b"}', "application/json").body)
    assert (found["size"], found["there"], found["a"]) == (0, False, "b")


def test_body_of_a_type_that_the_route_does_not_take_is_unsupported(shared_application):
    cases = [("/limits/json", FORM), ("/limits/json", "a/b"), ("/limits/json", "")]
    cases += [("/limits/form", "application/json"), ("/limits/form", "multipart/form-data; boundary=x")]
    for path, content_type in cases:
        refused_with(send(shared_application, path, b"a=b", content_type), 415, "unsupported_media_type")


def test_body_is_read_whole_also_while_every_worker_is_busy(new_application):
    """The process that answers then waits for no body."""
    application = new_application({"server.workers": 1})
    busy = Background(ask, application, "/limits/usual", query="ms=1500")
    wait_until(lambda: application.daemon.fallback_workers, "the fallback worker")
    assert told(application, "/fields") == {"value": None}
    assert not busy.is_done
    found = json.loads(send(application, "/limits/raw", b"x" * 100_000, "a/b", "PUT").body)
    assert found["size"] == 100_000
    assert busy.result().status == 204


def overdue(site):
    return site.daemon.log_text().count(" request_overdue ")


def test_request_has_the_time_that_its_route_gives_it(new_application):
    application = new_application({"server.request_timeout": "1500ms", "server.workers": 3})
    began = time.monotonic()
    assert ask(application, "/limits/short", query="ms=10000").status is None
    took = time.monotonic() - began
    assert 0.25 < took < 1.4, f"it took {took:.2f} s"
    wait_until(lambda: overdue(application) == 1, "the log to say so")
    assert ask(application, "/limits/short", query="ms=50").status == 204
    assert ask(application, "/limits/long", query="ms=2500").status == 204
    assert ask(application, "/limits/usual", query="ms=700").status == 204
    assert overdue(application) == 1
    assert ask(application, "/limits/usual", query="ms=10000").status is None
    wait_until(lambda: overdue(application) == 2, "the log to say so")


# ---- Who may ---------------------------------------------------------------------------------------------------------


def test_route_for_those_who_are_signed_in_is_401_to_others(application, browse):
    browser = browse(application)
    problem(browser.get("/session/application/open/signed_in"), 401, "unauthenticated")
    problem(browser.post("/session/application/open/signed_in", {}), 401, "unauthenticated")
    browser.sign_in()
    assert browser.get("/session/application/open/signed_in").json() == {"username": "alice"}
    browse(application).sign_in()
    problem(browser.get("/session/application/open/signed_in"), 401, "displaced")


def test_person_who_is_not_signed_in_is_led_to_the_sign_in_page(application, browse):
    browser = browse(application, program=False)
    answer = browser.get("/session/application/open/signed_in")
    assert answer.status_code == 401
    sign_in = re.search(r'<a href="([^"]*)">Sign in</a>', answer.text)[1]
    assert browser.get(sign_in).status_code == 200


def test_route_for_admins_is_403_to_others(application, browse):
    browser = browse(application)
    problem(browser.get("/session/application/open/admins"), 401, "unauthenticated")
    browser.sign_in()
    problem(browser.get("/session/application/open/admins"), 403, "forbidden")
    application.database.query("UPDATE users SET is_admin = true WHERE username = 'alice'")
    assert browser.get("/session/application/open/admins").json() == {"username": "alice"}


# ---- Header fields and cookies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, value",
    [
        ("Accept-Language", "de-AT, en;q=0.5"),
        ("accept-language", "de-AT, en;q=0.5"),
        ("Content-Type", "a/b"),
        ("X-Own", "1"),
        ("Cookie", None),
        ("X-Absent", None),
        ("Accept_Language", None),
        ("Accept Language", None),
        ("Accept-Language:", None),
        ("X-" + "a" * 500, None),
        ("", None),
    ],
)
def test_header_field_is_read_by_its_name(shared_application, name, value):
    headers = {"Accept-Language": "de-AT, en;q=0.5", "Content-Type": "a/b", "X-Own": "1", "Cookie": "a=b"}
    query = "name=" + name.replace(" ", "+").replace(":", "%3A")
    assert told(shared_application, "/fields", headers=headers, query=query) == {"value": value}


def test_cookie_is_read_by_its_name(shared_application):
    headers = {"Cookie": "other=1; theme=dark; theme=light; long=" + "x" * 4097 + "; empty="}
    for name, value in {"theme": "dark", "other": "1", "empty": "", "them": None, "long": None}.items():
        found = told(shared_application, "/cookies", headers=headers, query="name=" + name)
        assert found == {"value": value, "param": None}
    bad = told(shared_application, "/cookies", query="name=bad", HTTP_COOKIE=b"bad=\xff")
    assert bad["value"] is None


@pytest.mark.parametrize("prefix", ["", "__Host-", "__Secure-", "__host-"])
@pytest.mark.parametrize("name", OWN_COOKIES)
def test_cookies_of_the_daemon_s_own_can_be_neither_read_nor_set(shared_application, prefix, name):
    headers = {"Cookie": f"{prefix}{name}=1"}
    found = told(shared_application, "/cookies", headers=headers, query="name=" + prefix + name)
    assert found == {"value": None, "param": None}
    answer = set_cookies(shared_application, {"name": prefix + name, "value": "x"}, HTTPS="on")
    assert (answer.status, answer.all("Set-Cookie")) == (500, [])
    assert "a cookie with the name of one of the daemon's own" in faults(shared_application, "/cookies")


def set_cookies(site, *cookies, **more):
    return send(site, "/cookies", json.dumps({"cookies": cookies}), "application/json", **more)


def test_cookies_are_set_as_they_are_wanted(shared_application):
    answer = set_cookies(
        shared_application,
        {"name": "theme", "value": "dark"},
        {"name": "seen", "value": "1", "path": "/titles", "max_age_s": 60, "for_scripts": True, "same_site": 1},
        {"name": "gone", "value": "", "max_age_s": -1},
        {"name": "long", "value": "1", "max_age_s": 10**12},
        {"name": "embedded", "value": "1", "same_site": 2},
        {"name": "theme", "value": "light"},
    )
    assert answer.status == 204
    assert answer.all("Set-Cookie") == [
        "theme=light; Path=/; HttpOnly; SameSite=Lax",
        "seen=1; Path=/titles; Max-Age=60; SameSite=Strict",
        "gone=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax",
        "long=1; Path=/; Max-Age=34560000; HttpOnly; SameSite=Lax",
        "embedded=1; Path=/; HttpOnly; SameSite=None; Secure",
    ]
    (field,) = set_cookies(shared_application, {"name": "__Host-a", "value": "1"}, HTTPS="on").all("Set-Cookie")
    assert field == "__Host-a=1; Path=/; HttpOnly; SameSite=Lax; Secure"


@pytest.mark.parametrize(
    "cookie",
    [
        {"name": "", "value": "1"},
        {"name": "a b", "value": "1"},
        {"name": "a=b", "value": "1"},
        {"name": "a\r\nX: y", "value": "1"},
        {"value": "1"},
        {"name": "a"},
        {"name": "a", "value": "b; Domain=example.org"},
        {"name": "a", "value": "b c"},
        {"name": "a", "value": "\u00fc"},
        {"name": "a", "value": "b\r\nX: y"},
        {"name": "a", "value": "x" * 4096},
        {"name": "a", "value": "1", "path": "titles"},
        {"name": "a", "value": "1", "path": "/; Domain=example.org"},
        {"name": "a", "value": "1", "same_site": 3},
        {"name": "__Host-a", "value": "1"},
        {"name": "__Secure-a", "value": "1"},
    ],
)
def test_cookie_that_cannot_be_one_is_a_500(shared_application, cookie):
    before = len(faults(shared_application, "/cookies"))
    answer = set_cookies(shared_application, {"name": "right", "value": "1"}, cookie)
    assert (answer.status, answer.all("Set-Cookie"), answer.body) == (500, [], b"")
    assert len(faults(shared_application, "/cookies")) == before + 1


def test_answer_sets_16_cookies_and_no_more(shared_application):
    cookies = [{"name": f"c{number}", "value": "1"} for number in range(17)]
    assert len(set_cookies(shared_application, *cookies[:16]).all("Set-Cookie")) == 16
    assert set_cookies(shared_application, *cookies).status == 500


# ---- Answers ---------------------------------------------------------------------------------------------------------


def test_every_status_has_its_phrase(shared_application):
    phrases = {201: "Created", 202: "Accepted", 402: "Payment Required", 410: "Gone", 422: "Unprocessable Content"}
    phrases |= {451: "Unavailable For Legal Reasons", 502: "Bad Gateway", 504: "Gateway Timeout", 303: "See Other"}
    for status, phrase in phrases.items():
        assert ask(shared_application, f"/answers/{status}").get("Status") == f"{status} {phrase}"


def test_body_of_any_type_is_sent_with_each_field_once(shared_application):
    answer = ask(shared_application, "/answers/picture")
    assert answer.status == 201
    assert answer.body == b"\x89PNG\r\n\x1a\n\0picture"
    assert answer.get("Content-Type") == "image/png"
    assert answer.get("Cache-Control") == "private, max-age=60"
    assert answer.all("Vary") == ["Cookie"]


def test_session_s_answer_is_not_cached_unless_the_handler_says_so(shared_application):
    assert ask(shared_application, "/titles/7").get("Cache-Control") == "no-store"
    # What sets a cookie never is.
    answer = set_cookies(shared_application, {"name": "a", "value": "1"})
    assert answer.get("Cache-Control") == "no-store"


def test_page_may_load_what_its_handler_allows_and_no_more(shared_application):
    answer = ask(shared_application, "/answers/video", headers={"Accept": PERSON_ACCEPT})
    policy = dict(part.split(" ", 1) for part in answer.get("Content-Security-Policy").split("; "))
    assert policy["media-src"] == "'self'"
    assert policy["img-src"] == "'self' data: https://img.example.org"
    assert policy["default-src"] == "'none'"
    assert policy["base-uri"] == "'none'"
    assert "script-src" not in policy
    assert len([line for line in faults(shared_application, "/answers/video") if "ones_allow" in line]) == 2
    other = ask(shared_application, "/none", headers={"Accept": PERSON_ACCEPT})
    assert "media-src" not in other.get("Content-Security-Policy")


@pytest.mark.parametrize(
    "how, said",
    [
        ("none", "the handler has given no answer"),
        ("page", "there_is_none.html: there is no page of that name"),
        ("json", "JSON that is NULL"),
        ("value", "a header field whose value is NULL or has a control character"),
        ("name", "a header field whose name is none"),
        ("reserved", "a header field whose name is none, or is not the handler's"),
        ("status", "a status that is not one from 200 to 599"),
    ],
)
def test_mistake_is_a_500_and_the_log_says_where_and_what(new_application, how, said):
    application = new_application()
    answer = ask(application, "/mistakes/" + how, REQUEST_ID="request-7")
    assert (answer.status, answer.body, answer.all("Set-Cookie"), answer.all("Application")) == (500, b"", [], [])
    (line,) = [line for line in application.daemon.log_text().splitlines() if " handler_fault " in line]
    assert "request_id=request-7 module=application method=GET route=/mistakes/:how" in line
    assert said in line


def test_first_answer_is_the_one_that_is_sent(new_application):
    application = new_application()
    answer = ask(application, "/mistakes/twice")
    assert (answer.status, answer.get("Location"), answer.get("First")) == (303, "/first", "1")
    assert (answer.all("Second"), answer.all("Set-Cookie"), answer.body) == ([], [], b"")
    assert not answer.all("Content-Type")
    found = faults(application, "/mistakes/:how")
    assert len(found) == 6
    assert found.count("it answers again: only the first answer is sent") == 4


# ---- The log ---------------------------------------------------------------------------------------------------------


def test_application_writes_lines_with_the_request_s_id(new_application):
    application = new_application()
    assert ask(application, "/log", query="text=" + "x" * 2000, REQUEST_ID="request-7").status == 204
    lines = application.daemon.log_text().splitlines()
    (line,) = [line for line in lines if " title_rented " in line]
    assert line.endswith(' title_rented request_id=request-7 module=application message="title 7: \\"a\\"\\nb"')
    (line,) = [line for line in lines if " application " in line]
    assert "Not a name" not in line
    assert re.search("message=x{1024}(\\.\\.\\.)?$", line)

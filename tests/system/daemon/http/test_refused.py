"""What web servers ask the daemon of those whom the guard refuses."""

import pytest

from support import fastcgi
from support.browser import PERSON_ACCEPT

# One site is enough for the tests that share it.
pytestmark = pytest.mark.xdist_group("test_refused")



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


def test_permitting_authorizer_says_nothing_that_is_meant_for_the_client(shared_site, browse):
    """Apache passes on all but what begins with Variable-."""
    program = browse(shared_site)
    program.sign_in()
    answer = authorize(shared_site, HTTP_COOKIE=f"onesession={program.key}")
    assert answer.status == 200
    names = {name for name, _ in answer.fields if not name.startswith("Variable-")}
    assert names == {"Status", "Content-Length"}

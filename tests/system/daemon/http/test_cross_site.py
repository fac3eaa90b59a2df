"""Requests that another site has had a browser send."""

import urllib.parse

import pytest

from support.browser import problem
from support.client import LOGIN_FIELDS

# One site is enough for the tests that share it.
pytestmark = pytest.mark.xdist_group("test_cross_site")

CROSS_SITE = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://{host}"},
    {"Origin": "http://evil.example"},
    {"Origin": "https://{host}.evil.example"},
    {"Origin": "http://{name}:1"},
    {"Origin": "null"},
    {"Origin": "http://evil.example/{host}"},
    {"Origin": "http://evil.example@{host}"},
    {"Origin": "{host}"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://shop.{host}"},
    {"Sec-Fetch-Site": "same-site", "Origin": "null"},
    {"Sec-Fetch-Site": "same-site"},
]
SAME_SITE = [
    {},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"},
    {"Origin": "http://{host}"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://{host}"},
]


def fill(headers, site):
    host = site.url.removeprefix("http://")
    return {name: value.format(host=host, name=host.split(":")[0]) for name, value in headers.items()}


@pytest.mark.parametrize("headers", CROSS_SITE)
def test_login_and_logout_from_another_site_are_refused(shared_site, browse, headers):
    headers = fill(headers, shared_site)
    program, person = browse(shared_site), browse(shared_site, program=False)
    problem(program.post("/session/login", LOGIN_FIELDS, headers=headers), 403, "cross_site")
    assert program.key is None
    assert person.post("/session/login", LOGIN_FIELDS, headers=headers).status_code == 403
    assert person.key is None
    program.sign_in()
    problem(program.request("POST", "/session/logout", headers=headers), 403, "cross_site")
    assert program.is_live()


@pytest.mark.parametrize("headers", SAME_SITE)
def test_login_and_logout_from_this_site_are_not_refused(shared_site, browse, headers):
    headers = fill(headers, shared_site)
    program = browse(shared_site)
    assert program.post("/session/login", LOGIN_FIELDS, headers=headers).status_code == 200
    assert program.request("POST", "/session/logout", headers=headers).status_code == 204


PORTS = [
    ("https://example.org", "example.org:443", "443", 204),
    ("https://example.org", "example.org", "443", 204),
    ("http://example.org", "example.org:80", "80", 204),
    ("https://example.org:443", "example.org", "80", 204),
    ("https://example.org:8443", "example.org", "8443", 204),
    ("https://example.org:8443", "example.org:443", "443", 403),
    ("https://example.org", "example.org:8443", "8443", 403),
]


@pytest.mark.parametrize("origin, host, port, status", PORTS)
def test_default_port_makes_no_difference(shared_site, origin, host, port, status):
    headers = {"Origin": origin, "Host": host, "Accept": "application/json"}
    answer = shared_site.daemon.ask(method="POST", path="/session/logout", headers=headers, SERVER_PORT=port)
    assert answer.status == status


def test_default_port_makes_no_difference_to_the_page_that_a_form_was_on(shared_site, browse):
    headers = {"Accept": "text/html", "Referer": "https://example.org/form?a=b"}
    for host, port, back in (("example.org:443", "443", "/form?a=b"), ("example.org:8443", "8443", None)):
        answer = shared_site.daemon.ask(
            method="POST", path="/session/refused", headers={**headers, "Host": host}, SERVER_PORT=port, HTTPS="on"
        )
        assert answer.status == 303
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(answer.get("Location")).query)
        assert query.get("next", [None])[0] == back, host


def test_refused_origin_is_logged_with_what_did_not_agree(site, browse):
    headers = {"Sec-Fetch-Site": "same-site", "Origin": "https://shop.example.org", "Host": "example.org"}
    problem(browse(site).post("/session/login", LOGIN_FIELDS, headers=headers), 403, "cross_site")
    (line,) = [line for line in site.daemon.log_text().splitlines() if " cross_site " in line]
    for part in ("sec_fetch_site=same-site", "origin=https://shop.example.org", "host=example.org", "path=/session/login"):
        assert part in line.split()


def test_reading_is_allowed_from_everywhere(shared_site, browse):
    """A link on another site may lead here, and the guard is asked about requests of any origin."""
    program = browse(shared_site)
    program.sign_in("bob")
    for path in ("/session/login", "/session/state", "/session/auth", "/session/me", "/page"):
        answer = program.get(path, headers={"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"})
        assert answer.status_code in (200, 303)

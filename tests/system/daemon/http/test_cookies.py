"""How the key is found among the cookies of a request."""

import json
import socket

import pytest

from support.browser import PERSON_ACCEPT
from support.client import JSON, LOGIN_FIELDS, post

# One site is enough for the tests that share it.
pytestmark = pytest.mark.xdist_group("test_cookies")



def test_key_is_found_among_many_cookies(shared_site, browse):
    program = browse(shared_site)
    program.sign_in()
    key = f"onesession={program.key}"
    others = [f"cookie{number}=value{number}" for number in range(100)]
    jars = [
        key,
        f"{key}; a=b",
        f"a=b; {key}",
        f"a=b;{key}",
        f"  {key}  ; a=b",
        f"a=b;  {key}",
        "; ".join([*others, key]),
        "; ".join([*others[:50], key, *others[50:]]),
        f"onesession2=x; {key}; xonesession=y",
        f"onesessio={'B' * 43}; {key}",
        f"a; {key}",
        f"=; {key}",
        f";;; {key}",
        f"a={'x' * 20000}; {key}",
        f"onesession=; {key}",
        f"onesession=short; {key}",
        f'a="b; {key}',
    ]
    for jar in jars:
        assert shared_site.daemon.ask(headers={"Cookie": jar}).status == 200, jar[:100]


def test_malformed_keys_are_nobody(shared_site, browse):
    program = browse(shared_site)
    program.sign_in()
    key = program.key
    jars = [
        "",
        ";",
        "onesession",
        "onesession=",
        f"onesession={key[:-1]}",
        f"onesession={key}A",
        f"onesession={key[:-1]}!",
        f"onesession={key[:-1]}=",
        f"onesession={key[:20]} {key[21:]}",
        f'onesession="{key}"',
        f"ONESESSION={key}",
        f"onesession ={key}",
        f"onesessionx={key}",
        f"xonesession={key}",
        f"onesession={key.swapcase()}",
        f"onesession={'x' * 50000}",
        f"onesession={key}\tx",
        "onesession=" + "é" * 43,
        f"__Host-onesession={key}",
        "=" * 1000,
        "onesession=" * 1000,
    ]
    for jar in jars:
        answer = shared_site.daemon.ask(headers={"Cookie": jar})
        assert (answer.status, answer.get("Session-Reason")) == (401, "unauthenticated"), jar[:100]
    assert program.is_live()


def test_two_keys_never_make_two_sessions(shared_site, browse):
    """With two well-formed keys it is one of them, the same each time, and no error."""
    one, other = browse(shared_site), browse(shared_site)
    one.sign_in("alice")
    other.sign_in("bob")
    jar = {"Cookie": f"onesession={one.key}; onesession={other.key}"}
    users = {shared_site.daemon.ask(headers=jar).get("Remote-User") for _ in range(5)}
    assert len(users) == 1 and users <= {"alice", "bob", ""}


STALE = [letter * 43 for letter in "BCDEFGHIJKLMNOP"]


def jar_of(*keys):
    return {"Accept": "application/json", "Cookie": "; ".join(f"onesession={key}" for key in keys)}


@pytest.mark.parametrize("before, after", [(1, 0), (0, 1), (5, 5), (15, 0)])
def test_session_that_is_live_is_found_among_cookies_that_are_not(site, browse, before, after):
    """Over http a neighbour may have planted them, or an application; each is well-formed."""
    program = browse(site)
    program.sign_in()
    jar = jar_of(*STALE[:before], program.key, *STALE[15 - after :])
    assert site.daemon.ask(headers=jar).status == 200
    # Signing in helps, also where such a one is in front for ever, and takes nothing over.
    body = json.dumps(LOGIN_FIELDS)
    answer = site.daemon.ask(method="POST", path="/session/login", headers={**JSON, **jar}, body=body)
    assert (answer.status, json.loads(answer.body)["displaced"]) == (200, [])
    again = jar_of(*STALE[:before], answer.cookie(), *STALE[15 - after :])
    assert site.daemon.ask(headers=again).status == 200
    assert site.daemon.ask(method="POST", path="/session/logout", headers=again).status == 204
    assert site.daemon.ask(headers=again).status == 401
    assert site.database.query("SELECT count(*) FROM sessions") == [(0,)]


def live_of_each(site, browse):
    browsers = [browse(site), browse(site)]
    for browser, name in zip(browsers, ("alice", "bob")):
        browser.sign_in(name)
    return browsers


def test_signing_out_ends_all_that_is_presented(shared_site, browse):
    one, other = live_of_each(shared_site, browse)
    jar = jar_of(STALE[0], other.key, one.key)
    assert shared_site.daemon.ask(method="POST", path="/session/logout", headers=jar).status == 204
    assert (one.auth(), other.auth()) == ("logged_out", "logged_out")


def test_signing_in_takes_the_place_of_all_that_is_presented(shared_site, browse):
    """Else somebody's who planted his own in front would be used in place of the new one."""
    one, other = live_of_each(shared_site, browse)
    headers = {**JSON, **jar_of(other.key, STALE[0], one.key)}
    answer = post(shared_site, json.dumps(LOGIN_FIELDS), headers)
    assert answer.status == 200
    assert (one.auth(), other.auth()) == ("logged_out", "logged_out")
    assert shared_site.daemon.ask(headers=jar_of(other.key, answer.cookie())).get("Remote-User") == "alice"


def test_key_in_the_address_is_nobody(shared_site, browse):
    program = browse(shared_site)
    program.sign_in()
    assert shared_site.daemon.ask(query=f"onesession={program.key}").status == 401


@pytest.mark.parametrize("query", ["next", "next=%", "next=%00", "next=%ff", "&&&=&", "next=a&next=b", "x" * 8000])
def test_odd_query_does_no_harm(shared_site, query):
    answer = shared_site.daemon.ask(path="/session/login", query=query, headers={"Accept": PERSON_ACCEPT})
    assert answer.status == 200


@pytest.mark.parametrize(
    "agent", ["", "\x01\x02", "x" * 30000, "\xff\xfe", "<script>alert(1)</script>", "é" * 1000, '"\\']
)
def test_odd_user_agent_does_no_harm(shared_site, agent):
    body = json.dumps(LOGIN_FIELDS)
    first = post(shared_site, body)
    answer = post(shared_site, body, {"User-Agent": agent.encode("latin-1") if agent == "\xff\xfe" else agent})
    assert answer.status == 200
    key = first.cookie()
    state = shared_site.daemon.ask(path="/session/state", headers={"Cookie": f"onesession={key}"})
    assert json.loads(state.body)["reason"] == "displaced"


@pytest.mark.parametrize("address", ["", "unix:", "not an address", "1.2.3.4.5", "::1", "fe80::1%eth0", "' OR 1=1"])
def test_odd_address_does_no_harm(shared_site, address):
    assert post(shared_site, json.dumps(LOGIN_FIELDS), REMOTE_ADDR=address).status == 200


def test_health_is_for_machines(shared_site, browse):
    for path in ("/session/health", "/session/ready"):
        answer = browse(shared_site).get(path)
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers


def test_pipelined_and_split_http_reaches_the_daemon_whole(shared_site):
    """Through nginx: a form that arrives byte by byte."""
    host = shared_site.url.removeprefix("http://")
    name, port = host.split(":")
    body = b"username=bob&password=correct+horse+battery+staple&next=/page"
    head = (
        f"POST /session/login HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    )
    with socket.create_connection((name, int(port)), timeout=20) as client:
        for byte in head.encode() + body:
            client.sendall(bytes([byte]))
        answer = b""
        while piece := client.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 303 ")
    assert b"Location: /page\r\n" in answer

"""Requests straight at the daemon, as programs and browsers behind a web server send them."""

import json

from support import fastcgi
from support.browser import PERSON_ACCEPT
from support.postgres import Database
from support.programs import NOT_LISTENING

JSON = {"Content-Type": "application/json", "Accept": "application/json"}


CREDENTIALS = json.dumps({"username": "alice", "password": Database.password})
UNKNOWN_KEY = "A" * 43
UNKNOWN = {"Cookie": f"onesession={UNKNOWN_KEY}"}


def sign_in(daemon):
    """The header field of somebody who is signed in."""
    answer = daemon.ask(method="POST", path="/session/login", headers=JSON, body=CREDENTIALS)
    assert answer.status == 200
    return {"Cookie": f"onesession={answer.cookie()}"}


OPERATOR = {"REMOTE_ADDR": "127.0.0.1"}


def attempt(daemon, username="nobody", password="wrong password", timeout=60):
    body = json.dumps({"username": username, "password": password})
    return daemon.ask(method="POST", path="/session/login", headers=JSON, body=body, timeout=timeout)


def set_cookie(answer, is_device=False):
    """(name, value, attributes) of the session's Set-Cookie, or the device's; attributes' names in lower case."""
    headers = answer.raw.headers.getlist("Set-Cookie") if hasattr(answer, "raw") else answer.all("Set-Cookie")
    headers = [header for header in headers if header.partition("=")[0].endswith("_device") == is_device]
    assert len(headers) == 1, headers
    first, *rest = [part.strip() for part in headers[0].split(";")]
    name, _, value = first.partition("=")
    attributes = {}
    for part in rest:
        attribute, _, content = part.partition("=")
        assert attribute.lower() not in attributes, headers[0]
        attributes[attribute.lower()] = content
    return name, value, attributes


def login_raw(daemon, headers=None, **params):
    """A login by a program, straight at the daemon."""
    body = b'{"username": "alice", "password": "correct horse battery staple"}'
    headers = {"Content-Type": "application/json", "Accept": "application/json", **(headers or {})}
    return daemon.ask(method="POST", path="/session/login", headers=headers, body=body, **params)


WRONG = "wrong password"


def guess(daemon, username="alice", password=WRONG, address="192.0.2.7", device=None, **params):
    """A login by a program, straight at the daemon."""
    headers = {**JSON, **({"Cookie": f"onesession_device={device}"} if device else {})}
    body = json.dumps({"username": username, "password": password})
    answer = daemon.ask(
        method="POST", path="/session/login", headers=headers, body=body, REMOTE_ADDR=address, timeout=60, **params
    )
    if answer.status != 200:
        assert answer.all("Set-Cookie") == []
    if answer.status == 429:
        assert json.loads(answer.body)["code"] == "too_many_attempts"
        assert int(answer.get("Retry-After")) >= 1
    else:
        assert answer.get("Retry-After") is None
    return answer


def statuses(daemon, times, *args, **kwargs):
    return [guess(daemon, *args, **kwargs).status for _ in range(times)]


def sign_in_from(daemon, username="alice", device=None, **kwargs):
    """A login that has to succeed. Returns the device cookie that it gives."""
    answer = guess(daemon, username, daemon.database.password, device=device, **kwargs)
    assert answer.status == 200, answer.body
    given = answer.cookie("onesession_device")
    daemon.secrets.add(given)
    return given


def login(daemon, username="alice", password=Database.password):
    body = json.dumps({"username": username, "password": password})
    return daemon.ask(method="POST", path="/session/login", headers={**JSON, "User-Agent": "agent"}, body=body)


def auth(daemon, key):
    return daemon.ask(headers={"Cookie": f"onesession={key}"})


def is_refused(address):
    """Nobody listens there."""
    try:
        fastcgi.Connection(address).close()
        return False
    except NOT_LISTENING:
        return True
LOGIN = {"method": "POST", "path": "/session/login", "headers": JSON, "body": CREDENTIALS}


BOB = json.dumps({"username": "bob", "password": Database.password})


FORM = {"Content-Type": "application/x-www-form-urlencoded", "Accept": PERSON_ACCEPT}
LOGIN_FIELDS = {"username": "alice", "password": "correct horse battery staple"}


class Answered:
    """An answer of the daemon in the clothes of one of requests, for problem()."""

    def __init__(self, answer):
        self.status_code = answer.status
        self.headers = dict(answer.fields)
        self.text = answer.body.decode()


def post(site, body, headers=None, path="/session/login", **params):
    """A body as it is, straight at the daemon."""
    return site.daemon.ask(method="POST", path=path, headers={**JSON, **(headers or {})}, body=body, **params)


def assert_page(answer, status):
    assert answer.status == status
    assert answer.get("Content-Type").startswith("text/html")
    assert b"<html" in answer.body

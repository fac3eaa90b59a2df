"""What a payment provider's webhook needs beside its own ten lines: a server, its signature, and the rule for accounts."""

import hmac
import json
import os
import sqlite3
import time
import urllib.parse
import urllib.request
from wsgiref.simple_server import WSGIRequestHandler, make_server

API = os.environ.get("ONESESSION_API", "http://127.0.0.1/session/api")
BODY_MAX, TOLERANCE_S = 1 << 20, 300


class Refused(Exception):
    pass


def secret(name):
    """The content of the file that the environment variable names: a secret is no argument, and in no environment."""
    with open(os.environ[name], encoding="ascii") as file:
        return file.read().strip()


def call(method, user, body=None):
    """An account, as the API has it."""
    request = urllib.request.Request(
        f"{API}/users/{urllib.parse.quote(user, safe='')}",
        json.dumps(body).encode() if body else None,
        {"Authorization": "Bearer " + secret("ONESESSION_TOKEN_FILE"), "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def check(header, between, timestamp, signature, joint, body):
    """Refuse what was not signed with the secret, and what was sent long ago: somebody repeats it then."""
    fields = [part.strip().partition("=")[::2] for part in header.split(between)]
    at = next((value for name, value in fields if name == timestamp), "")
    right = hmac.new(secret("PAYMENTS_SECRET_FILE").encode(), f"{at}{joint}".encode() + body, "sha256").hexdigest()
    if not any(name == signature and hmac.compare_digest(value.encode(), right.encode()) for name, value in fields):
        raise Refused("the signature is not right")
    if abs(time.time() - int(at)) > TOLERANCE_S:
        raise Refused("it was signed too long ago, or the clock is wrong")


def paid(user, plan, until, at):
    """
    The account has paid for `plan` until then (2027-01-31T10:32:05Z), by what was written at `at`. Providers send events
    more than once and in any order: an end that is sooner than the one that the account has changes nothing, and of
    those with the same end the one that was written last counts.
    """
    account = call("GET", user)
    known = sqlite3.connect(os.environ.get("PAYMENTS_STATE", "payments.sqlite3"), isolation_level=None)
    known.execute("CREATE TABLE IF NOT EXISTS paid (user TEXT PRIMARY KEY, until TEXT, at TEXT)")
    last = known.execute("SELECT until, at FROM paid WHERE user = ?", [user]).fetchone() or ("", "")
    has_no_end = account["plan"] is not None and account["valid_until"] is None
    # To the second, for of fractions it depends on their length how they compare as text.
    if has_no_end or until[:19] < (account["valid_until"] or "")[:19] or (until[:19], str(at)) <= last:
        return
    call("PUT", user, {"plan": plan, "valid_until": until})
    known.execute("REPLACE INTO paid VALUES (?, ?, ?)", [user, until[:19], str(at)])


def time_of(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class Handler(WSGIRequestHandler):
    timeout = 10


def serve(field, take):
    """One request after the other: the rule reads and writes, and nobody else is to come between."""

    def application(environ, start_response):
        length = environ.get("CONTENT_LENGTH") or "0"
        status = "204 No Content"
        try:
            if environ["REQUEST_METHOD"] != "POST" or int(length) > BODY_MAX:
                raise Refused("it is no event")
            header = environ.get("HTTP_" + field.upper().replace("-", "_"), "")
            take(environ["wsgi.input"].read(int(length)), header)
        except (Refused, ValueError, KeyError, TypeError) as problem:
            print(f"refused: {problem!r}", flush=True)
            status = "400 Bad Request"
        except OSError as problem:
            # The account is not there yet, or the API is not: the provider sends it again.
            print(f"not written: {problem!r}", flush=True)
            status = "503 Service Unavailable"
        start_response(status, [])
        return [b""]

    host, _, port = os.environ.get("PAYMENTS_LISTEN", "127.0.0.1:8090").rpartition(":")
    make_server(host, int(port), application, handler_class=Handler).serve_forever()

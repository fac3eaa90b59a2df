"""What a payment provider's webhook needs beside its own ten lines: a server, its signature, and the rule for accounts."""

import hmac
import http.client
import json
import os
import socket
import socketserver
import sqlite3
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

API = os.environ.get("ONESESSION_API", "http://127.0.0.1/session/api")
BODY_MAX, TOLERANCE_S, SECRET_MIN, REQUEST_S = 1 << 20, 300, 8, 20


class Refused(Exception):
    """It is no event of the provider's, or not as it is documented."""


class NotWritten(Exception):
    """The API has not taken it: `status` is what the provider gets."""

    def __init__(self, status, problem):
        super().__init__(problem)
        self.status = status


def member(of, *names):
    """What has to be in an event, and not be empty: member(event, "data", "object") is event["data"]["object"]."""
    for number, name in enumerate(names):
        of = of.get(name) if isinstance(of, dict) else None
        if of is None:
            raise Refused("the event has no " + ".".join(names[: number + 1]))
    return of


def secret(name):
    """The content of the file that the environment variable names: a secret is no argument, and in no environment."""
    with open(os.environ.get(name, name), encoding="ascii") as file:
        text = file.read().strip()
    # An empty one is anybody's.
    if len(text) < SECRET_MIN:
        raise NotWritten("503 Service Unavailable", f"{os.environ[name]} has no secret in it, or one that is too short")
    return text


def call(method, user, body=None):
    """An account, as the API has it."""
    request = urllib.request.Request(
        f"{API}/users/{urllib.parse.quote(user, safe='')}",
        json.dumps(body).encode() if body else None,
        {"Authorization": "Bearer " + secret("ONESESSION_TOKEN_FILE"), "Content-Type": "application/json"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        # What is no answer of the API has no detail: its address is wrong, or this machine is not in api.clients.
        kind = error.headers.get_content_type()
        detail = json.load(error).get("detail") if kind.endswith("json") else "no answer of the API"
        passes = error.code in (404, 429) or error.code >= 500
        raise NotWritten(
            "503 Service Unavailable" if passes else "422 Unprocessable Content", f"{error.code}: {detail}"
        ) from None
    # Of what is no HTTP, or no JSON, too.
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotWritten("503 Service Unavailable", f"{API} cannot be reached: {error!r}") from None


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
    try:
        write(user, plan, until, at)
    except NotWritten as problem:
        # Names come from the event: as Python writes them they are of one line.
        raise NotWritten(problem.status, f"account {user!r}, plan {plan!r}, until {until!r}: {problem}") from None


def write(user, plan, until, at):
    account = call("GET", user)
    known = sqlite3.connect(os.environ.get("PAYMENTS_STATE", "payments.sqlite3"), isolation_level=None)
    # By the number, for an event may write the name in another way.
    known.execute("CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, until TEXT, at TEXT)")
    last = known.execute("SELECT until, at FROM accounts WHERE id = ?", [account["id"]]).fetchone() or ("", "")
    has_plan, end = account["plan"] is not None, account["valid_until"]
    # To the second, for of fractions it depends on their length how they compare as text. An end without a plan is of one
    # that was taken away.
    if (has_plan and (end is None or until[:19] < end[:19])) or (until[:19], str(at)) <= last:
        return
    call("PUT", user, {"plan": plan, "valid_until": until})
    known.execute("REPLACE INTO accounts VALUES (?, ?, ?)", [account["id"], until[:19], str(at)])


def time_of(seconds):
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, OSError):
        raise Refused(f"the event has a time that there cannot be: {seconds}") from None


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """Nobody waits for somebody who is slow to send."""

    daemon_threads = True


class Handler(WSGIRequestHandler):
    """One who is too slow is cut off, and what has come of it is not signed."""

    def setup(self):
        super().setup()
        self.deadline = threading.Timer(REQUEST_S, self.connection.shutdown, [socket.SHUT_RD])
        self.deadline.start()

    def finish(self):
        self.deadline.cancel()
        super().finish()


def serve(field, take):
    """One event after the other: the rule reads and writes, and nobody else is to come between."""
    one_at_a_time = threading.Lock()

    def application(environ, start_response):
        length = environ.get("CONTENT_LENGTH") or "0"
        status = "204 No Content"
        try:
            if environ["REQUEST_METHOD"] != "POST" or not 0 <= int(length) <= BODY_MAX:
                raise Refused("it is no event")
            header = environ.get("HTTP_" + field.upper().replace("-", "_"), "")
            body = environ["wsgi.input"].read(int(length))
            with one_at_a_time:
                take(body, header)
        except Refused as problem:
            print(f"refused: {problem}", flush=True)
            status = "400 Bad Request"
        except NotWritten as problem:
            print(f"not written: {problem}", flush=True)
            status = problem.status
        except (OSError, sqlite3.Error) as problem:
            print(f"not written: {problem}", flush=True)
            status = "503 Service Unavailable"
        # Whatever else it is: the event is not as it is documented.
        except Exception as problem:  # pylint: disable=broad-exception-caught
            print(f"refused: {problem!r}", flush=True)
            status = "400 Bad Request"
        start_response(status, [])
        return [b""]

    host, _, port = os.environ.get("PAYMENTS_LISTEN", "127.0.0.1:8090").rpartition(":")
    make_server(host, int(port), application, Server, Handler).serve_forever()

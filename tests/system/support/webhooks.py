"""A program of the site's that is told of events by webhooks, and the processes that tell it."""

import base64
import collections
import hashlib
import hmac
import json
import os
import socket
import subprocess
import threading
import time

from support.listening import stop_taking, take_connections
from support.processes import ROOT, children_of, name_of
from support.tasks import jobs_process
from support.waiting import wait_until

Received = collections.namedtuple("Received", "number path fields body at")
MODULES = ROOT / "build/npm/node_modules"
VERIFY = """
const { Webhook } = require('standardwebhooks');
let text = '';
process.stdin.on('data', (piece) => { text += piece; }).on('end', () => {
    for (const { secret, headers, payload } of JSON.parse(text))
        new Webhook(secret).verify(payload, headers);
});
"""


class Message:
    """One that came: how often does not matter here."""

    def __init__(self, received):
        self.received = received
        self.id = received.fields["webhook-id"]
        self.payload = json.loads(received.body)
        self.type = self.payload["type"]
        self.event = self.payload["data"]


class Receiver:
    """
    An HTTP server that keeps connections, and answers as `answer` says: a function of what was received that returns a
    status, bytes to be sent as they are (and then the connection is closed), or a pair of a status and further header
    lines. It may wait.
    """

    def __init__(self, answer=None, context=None, host="127.0.0.1", port=0):
        self.answer = answer or (lambda received: 204)
        self.context = context
        self.received = []  # in the order in which they were answered with 2xx, or not
        self.connections = 0
        self.open = self.most_open = 0
        self.is_closing = False
        self.lock = threading.Lock()
        self.listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128)
        self.host, self.port = host, self.listener.getsockname()[1]
        take_connections(self.listener, self._serve)

    def url(self, path="/hook", host=None, scheme=None):
        scheme = scheme or ("http" if self.context is None else "https")
        return f"{scheme}://{host or self.host}:{self.port}{path}"

    @property
    def messages(self):
        return [Message(received) for received in list(self.received)]

    def ids(self):
        return [received.fields["webhook-id"] for received in list(self.received)]

    def await_count(self, count, timeout=None):
        wait_until(lambda: len(self.received) >= count, f"{count} of what was to come ({self})", timeout)
        return self.messages

    def await_types(self, *types, timeout=None):
        """All of these have come."""
        wait_until(lambda: {message.type for message in self.messages} >= set(types), f"{types}", timeout)

    def __repr__(self):
        return f"{len(self.received)} on {self.connections} connections"

    def _serve(self, connection, number):
        with self.lock:
            self.connections = max(number, self.connections)
            self.open += 1
            self.most_open = max(self.open, self.most_open)
        try:
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection, connection.makefile("rb") as incoming:
                while self._answer(connection, incoming, number):
                    pass
        except OSError:
            pass
        with self.lock:
            self.open -= 1

    def _answer(self, connection, incoming, number):
        line = incoming.readline().decode()
        if not line or self.is_closing:
            return False
        assert line.startswith("POST ") and line.endswith(" HTTP/1.1\r\n"), line
        fields = {}
        while (field := incoming.readline().decode().rstrip("\r\n")) != "":
            name, _, value = field.partition(": ")
            fields[name.lower()] = value
        body = incoming.read(int(fields["content-length"]))
        received = Received(number, line.split()[1], fields, body, time.time())
        answer = self.answer(received)
        with self.lock:
            self.received.append(received)
        if answer is None:
            return False
        if isinstance(answer, bytes):
            connection.sendall(answer)
            return False
        status, more = answer if isinstance(answer, tuple) else (answer, "")
        length = "" if status == 204 else "Content-Length: 0\r\n"
        connection.sendall(f"HTTP/1.1 {status} Whatever\r\n{more}{length}\r\n".encode())
        return True

    def close(self):
        if self.is_closing:
            return
        self.is_closing = True
        stop_taking(self.listener)


def signature_of(secret, received):
    """As the specification says, with nothing of ours."""
    signed = f"{received.fields['webhook-id']}.{received.fields['webhook-timestamp']}.".encode() + received.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def verify(secret, received):
    """Each of them by the package standardwebhooks of npm; returns what it says that is wrong, '' for nothing."""
    calls = [{"secret": secret, "headers": one.fields, "payload": one.body.decode()} for one in received]
    done = subprocess.run(
        ["node", "-e", VERIFY],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "NODE_PATH": str(MODULES)},
    )
    return "" if done.returncode == 0 else done.stderr


def add_webhook(ctl, url, events=None):
    """(number, secret)"""
    made = ctl.json("webhook", "add", url, *([] if events is None else ["--events", events]))
    return made["id"], made["secret"]


def state_of(ctl, number):
    (found,) = [one for one in ctl.json("webhook", "list") if one["id"] == number]
    return found


def write_events(database, count, accounts, first=1):
    """Events of accounts in turn, as they would be written: each in a transaction of its own would take too long."""
    database.query(
        "INSERT INTO events (name, user_id, username, detail)"
        " SELECT 'user_login_failed', u.id, u.username, jsonb_build_object('n', n)"
        "   FROM generate_series(%s::bigint, %s::bigint) n JOIN (SELECT id, username, row_number() OVER (ORDER BY id) - 1 AS at"
        "   FROM users WHERE username LIKE 'many%%') u ON u.at = n %% %s ORDER BY n",
        first,
        first + count - 1,
        accounts,
    )


def add_accounts(database, count):
    database.query(
        "INSERT INTO users (username, password) SELECT 'many' || n, '!' FROM generate_series(1, %s) n", count
    )


def process_of(daemon):
    """The process that sends; None while there is none."""
    parent = jobs_process(daemon)
    return next((pid for pid in children_of(parent) if name_of(pid) == "ones-job-webhook"[:15]), None) if parent else None


def first_deliveries(messages):
    """(account, number of the event) of each message when it came first."""
    seen, first = set(), []
    for message in messages:
        if message.id not in seen:
            seen.add(message.id)
            first.append((message.event["user_id"], message.event["id"]))
    return first


def are_in_order(messages):
    """Of each account the events have come one after the other."""
    last = {}
    for account, number in first_deliveries(messages):
        if account is not None and last.get(account, 0) > number:
            return False
        last[account] = number
    return True

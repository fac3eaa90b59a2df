"""conf/adapters/payments: events as the providers document them, against the real API."""

import hashlib
import hmac
import http.client
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import time

import pytest

from support.api import new_token
from support.listening import stop_taking, take_connections
from support.processes import ROOT
from support.waiting import wait_until

FOLDER = ROOT / "conf/adapters/payments"
SECRET = "whsec_the_providers"
JANUARY, FEBRUARY, MARCH = 1924992000, 1927670400, 1930089600  # in 2031


def iso(seconds, fraction=""):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + fraction + "Z"


def digest(text, body, secret):
    return hmac.new(secret.encode(), text.encode() + body, hashlib.sha256).hexdigest()


class Stripe:
    """docs.stripe.com/api/events, /api/invoices, /webhooks"""

    program = "stripe.py"

    @staticmethod
    def event(until, plan="gold", at=1, user="carol", kind="invoice.paid", amount=2000):
        line = {
            "id": "il_1", "object": "line_item", "amount": amount, "currency": "eur", "description": "1 x Gold",
            "metadata": {"user": user, "plan": plan} if user else {},
            "period": {"start": until - 2592000, "end": until}, "quantity": 1,
            "pricing": {"type": "price_details", "price_details": {"price": "price_1", "product": "prod_1"}},
        }
        other = {**line, "id": "il_2", "amount": -500, "metadata": {"user": user, "plan": "silver"} if user else {}}
        invoice = {
            "id": "in_1", "object": "invoice", "customer": "cus_1", "status": "paid", "amount_paid": amount,
            "lines": {"object": "list", "data": [other, line], "has_more": False, "total_count": 2},
        }
        return {
            "id": "evt_1", "object": "event", "api_version": "2025-03-31.basil", "created": 1900000000 + at, "type": kind,
            "data": {"object": invoice}, "livemode": False, "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
        }

    @staticmethod
    def signature(body, at, secret):
        return {"Stripe-Signature": f"t={at},v1={'0' * 64},v1={digest(f'{at}.', body, secret)},v0={'1' * 64}"}


class Paddle:
    """developer.paddle.com/webhooks/transactions/transaction-completed, /webhooks/signature-verification"""

    program = "paddle.py"

    @staticmethod
    def event(until, plan="gold", at=1, user="carol", kind="transaction.completed", amount=2000):
        return {
            "event_id": "evt_01h8bzakzx3hm2fmen703n5q45", "event_type": kind,
            "occurred_at": iso(1900000000 + at, ".621022"), "notification_id": "ntf_01h8bzam1z32agrxjwhjgqk8w6",
            "data": {
                "id": "txn_1", "status": "completed", "customer_id": "ctm_1", "origin": "subscription_recurring",
                "custom_data": {"user": user, "plan": "platinum"} if user else None, "subscription_id": "sub_1",
                "currency_code": "EUR", "collection_mode": "automatic", 
                "items": [{"price": {"id": "pri_1", "custom_data": {"plan": plan} if plan else None}, "quantity": 1}],
                "billing_period": {"starts_at": iso(until - 2592000, ".985594"), "ends_at": iso(until, ".985594")},
                "details": {"totals": {"grand_total": str(amount), "currency_code": "EUR"}},
            },
        }

    @staticmethod
    def signature(body, at, secret):
        return {"Paddle-Signature": f"ts={at};h1={digest(f'{at}:', body, secret)}"}


class Program:
    """One of them as it runs beside the site."""

    def __init__(self, provider, site, folder, api=None):
        self.provider, self.site = provider, site
        token, secret = folder / "token", folder / "secret"
        self.secret_file = secret
        token.write_text(new_token(site.ctl(), "payments", "users"))
        site.secrets.add(token.read_text().removeprefix("ost_"))
        secret.write_text(SECRET + "\n")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        environment = {
            **os.environ, "ONESESSION_API": api or f"{site.url}/session/api", "ONESESSION_TOKEN_FILE": str(token), "no_proxy": "*",
            "PAYMENTS_SECRET_FILE": str(secret), "PAYMENTS_LISTEN": f"127.0.0.1:{self.port}",
            "PAYMENTS_STATE": str(folder / "state"), "PYTHONDONTWRITEBYTECODE": "1",
        }
        self.log, self.errors = folder / "log", folder / "errors"
        with self.log.open("w") as log, self.errors.open("w") as errors:
            self.process = subprocess.Popen([sys.executable, FOLDER / provider.program], env=environment, stdout=log, stderr=errors)
        wait_until(self._listens, "the program to listen")

    def _listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except ConnectionRefusedError:
            return False

    def send(self, event, at=None, secret=SECRET, fields=None, method="POST"):
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        headers = fields if fields is not None else self.provider.signature(body, int(time.time()) if at is None else at, secret)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, "/paid", body, headers)
        status = connection.getresponse().status
        connection.close()
        return status

    def told(self):
        """The line of the event that was sent last."""
        return self.log.read_text().splitlines()[-1]

    def paid(self, *args, **kwargs):
        assert self.send(self.provider.event(*args, **kwargs)) == 204

    def account(self, user="carol"):
        """(plan, until when)"""
        found = self.site.ctl().json("user", "show", user)
        return found["plan"], found["valid_until"] and found["valid_until"][:19] + "Z"

    def close(self):
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(params=[Stripe, Paddle], ids=["stripe", "paddle"])
def program(request, site, tmp_path):
    for plan in ("gold", "silver"):
        site.ctl().run("plan", "set", plan)
    for user in ("carol", "Zoë ?x"):
        site.ctl().run("user", "add", user, stdin="a long password of hers\n")
    running = Program(request.param, site, tmp_path)
    yield running
    running.close()


def test_paid_period_is_the_accounts(program):
    assert program.account() == (None, None)
    program.paid(JANUARY)
    assert program.account() == ("gold", iso(JANUARY))
    program.paid(FEBRUARY, at=2)
    assert program.account() == ("gold", iso(FEBRUARY))
    program.paid(JANUARY, user="Zoë ?x")
    assert program.account("Zoë ?x") == ("gold", iso(JANUARY))


def test_events_in_any_order_and_twice_come_to_the_same(program):
    events = [(JANUARY, "silver", 1), (FEBRUARY, "silver", 2), (FEBRUARY, "gold", 3)]
    for number, order in enumerate(itertools.permutations(events)):
        user = f"carol{number}"
        program.site.ctl().run("user", "add", user, stdin="a long password of hers\n")
        for event in order + order:
            program.paid(*event, user=user)
        assert program.account(user) == ("gold", iso(FEBRUARY)), order


def test_what_an_operator_gave_is_not_shortened(program):
    ctl = program.site.ctl()
    ctl.run("user", "set", "carol", "--plan", "gold", "--valid-until", iso(MARCH))
    program.paid(JANUARY)
    assert program.account() == ("gold", iso(MARCH))
    ctl.run("user", "set", "carol", "--plan", "gold", "--valid-until", "")
    program.paid(FEBRUARY, plan="silver", at=2)
    assert program.account() == ("gold", None)


def test_end_of_a_plan_that_was_taken_away_does_not_count(program):
    ctl = program.site.ctl()
    ctl.run("user", "set", "carol", "--plan", "gold", "--valid-until", iso(MARCH))
    ctl.run("user", "set", "carol", "--plan", "")
    assert program.account() == (None, iso(MARCH))
    program.paid(JANUARY)
    assert program.account() == ("gold", iso(JANUARY))


def test_account_is_the_same_however_an_event_writes_its_name(program):
    program.paid(JANUARY, plan="gold", at=2)
    program.paid(JANUARY, plan="silver", at=1, user="Carol")
    assert program.account() == ("gold", iso(JANUARY))
    program.paid(JANUARY, plan="silver", at=3, user="CAROL")
    assert program.account() == ("silver", iso(JANUARY))


def changed(event, path, value):
    """A copy with another value there."""
    copy = json.loads(json.dumps(event))
    *way, last = path
    of = copy
    for name in way:
        of = of[name]
    of[last] = value
    return copy


SHAPES = [None, [], {}, [1], [{}], ["x"], "x", 7, 10**20, 10**17, True, {"user": "carol"}]


@pytest.mark.parametrize(("program", "paths"), [
    (Stripe, [["data"], ["data", "object"], ["data", "object", "lines"], ["data", "object", "lines", "data"],
              ["data", "object", "lines", "data", 1], ["data", "object", "lines", "data", 1, "metadata"],
              ["data", "object", "lines", "data", 1, "period"], ["data", "object", "lines", "data", 1, "period", "end"],
              ["data", "object", "lines", "data", 1, "amount"], ["data", "object", "lines", "data", 1, "metadata", "user"]]),
    (Paddle, [["data"], ["data", "custom_data"], ["data", "items"], ["data", "items", 0], ["data", "items", 0, "price"],
              ["data", "items", 0, "price", "custom_data"], ["data", "billing_period"],
              ["data", "billing_period", "ends_at"], ["data", "custom_data", "user"]]),
], indirect=["program"])
def test_signed_event_of_another_shape_is_refused_and_not_the_program_s_end(program, paths):
    for path in paths:
        for value in SHAPES:
            status = program.send(changed(program.provider.event(JANUARY), path, value))
            assert status in (204, 400, 422, 503), (path, value, status, program.told())
    deep = b'{"a":' * 100000 + b"1" + b"}" * 100000
    for body in (b"[]", b"1", b"null", deep):
        assert program.send(body) == 400, body[:20]
    program.paid(JANUARY)
    assert program.account() == ("gold", iso(JANUARY))
    assert "Traceback" not in program.errors.read_text()


def test_who_is_slow_to_send_holds_nobody_up(program):
    with socket.create_connection(("127.0.0.1", program.port)) as slow, socket.create_connection(("127.0.0.1", program.port)) as slower:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx")
        slower.sendall(b"POST / HT")
        program.paid(JANUARY)
        assert program.account() == ("gold", iso(JANUARY))
        # And is not waited for without end.
        slow.settimeout(120)
        assert b" 400 " in slow.recv(1000)


def test_file_that_is_not_there_is_no_fault_of_the_event_s(program):
    event = program.provider.event(JANUARY)
    kept = program.secret_file.read_text()
    program.secret_file.unlink()
    assert program.send(event) == 503
    assert "secret" in program.told()
    program.secret_file.write_text(kept)
    assert program.send(event) == 204


def test_other_events_change_nothing(program):
    program.paid(JANUARY, kind="customer.created")
    program.paid(JANUARY, user=None)
    assert program.account() == (None, None)


def test_signature_has_to_be_right_and_new(program):
    event = program.provider.event(JANUARY)
    body = json.dumps(event).encode()
    now = int(time.time())
    right = program.provider.signature(body, now, SECRET)
    ((name, value),) = right.items()
    assert program.send(event, secret="another") == 400
    assert program.send(event, at=now - 3600) == 400
    assert program.send(event, at=now + 3600) == 400
    assert program.send(body.replace(b"gold", b"golf"), fields=right) == 400
    for wrong in ("", "nonsense", value.replace(str(now), str(now - 1)), value.replace("v1", "v0").replace("h1", "h0"), value[:60]):
        assert program.send(event, fields={name: wrong}) == 400, wrong
    assert program.send(event, fields={}) == 400
    assert program.send(event, fields=right, method="PUT") == 400
    assert program.account() == (None, None)
    assert program.send(event, fields=right) == 204
    assert program.account() == ("gold", iso(JANUARY))


def test_account_that_is_not_there_yet_is_asked_for_again(program):
    event = program.provider.event(JANUARY, user="later")
    assert program.send(event) == 503
    program.site.ctl().run("user", "add", "later", stdin="a long password of theirs\n")
    assert program.send(event) == 204
    assert program.account("later") == ("gold", iso(JANUARY))


def test_plan_that_is_not_there_is_said_and_can_be_made(program):
    event = program.provider.event(JANUARY, plan="golf")
    assert program.send(event) == 422
    assert program.told().startswith(f"not written: account 'carol', plan 'golf', until '{iso(JANUARY)[:19]}")
    assert program.told().endswith(": 400: There is no plan of that name.")
    program.site.ctl().run("plan", "set", "golf")
    assert program.send(event) == 204
    assert program.account() == ("golf", iso(JANUARY))


def test_account_and_token_that_are_not_good_are_said(program):
    assert program.send(program.provider.event(JANUARY, user="later")) == 503
    assert "account 'later'" in program.told() and program.told().endswith(": 404: There is no account of that name.")
    assert program.send(program.provider.event(JANUARY, user="la\nter")) == 503
    assert "account 'la\\nter'" in program.told()
    program.site.ctl().run("token", "revoke", "payments")
    assert program.send(program.provider.event(JANUARY)) == 422
    assert "account 'carol'" in program.told() and ": 401: " in program.told()


@pytest.mark.parametrize("answer", [
    b"", b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<h1>502</h1>", b"nonsense\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<h1>Welcome</h1>", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", None,
], ids=["hangs up", "error page", "no HTTP", "another page", "is cut off", "closed port"])
@pytest.mark.parametrize("provider", [Stripe, Paddle])
def test_api_that_does_not_answer_is_asked_again_later(site, tmp_path, closing, provider, answer):
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/session/api"

    def serve(connection, _):
        with connection:
            connection.recv(10000)
            connection.sendall(answer)

    if answer is None:
        listener.close()
    else:
        take_connections(listener, serve)
    program = closing.add(Program(provider, site, tmp_path, url))
    assert program.send(provider.event(JANUARY)) == 503
    assert program.told().startswith("not written: account 'carol'")
    if answer is not None:
        stop_taking(listener)


def without(event, path):
    """A copy that lacks that member; a number is an index."""
    copy = json.loads(json.dumps(event))
    *way, last = path
    of = copy
    for name in way:
        of = of[name]
    del of[last]
    return copy


@pytest.mark.parametrize(("program", "path", "name"), [
    (Stripe, ["created"], "created"), (Stripe, ["type"], "type"), (Stripe, ["data"], "data"),
    (Stripe, ["data", "object", "lines"], "data.object.lines"),
    (Stripe, ["data", "object", "lines", "data", 1, "amount"], "amount"),
    (Stripe, ["data", "object", "lines", "data", 1, "period", "end"], "period.end"),
    (Paddle, ["occurred_at"], "occurred_at"), (Paddle, ["event_type"], "event_type"), (Paddle, ["data"], "data"),
    (Paddle, ["data", "billing_period", "ends_at"], "billing_period.ends_at"),
], indirect=["program"])
def test_member_that_is_missing_is_named(program, path, name):
    assert program.send(without(program.provider.event(JANUARY), path)) == 400
    assert program.told() == f"refused: the event has no {name}"
    assert program.account() == (None, None)


def test_document_names_all_that_is_read(program):
    text = (ROOT / "docs/payments.md").read_text()
    source = (FOLDER / program.provider.program).read_text()
    for names in re.findall(r'(?:member|get)\((?:\w+, )?"([^)]*)\)', source):
        assert re.search(r"[`.]" + re.escape(re.split('"', names)[-2]) + r"[`.]", text), names


def test_event_that_is_none(program):
    for body in (b"", b"{", b"[]", b"{}", b'{"type": "invoice.paid"}x', b'{"event_type": 7, "type": []}}'):
        assert program.send(body) == 400, body


@pytest.mark.parametrize("name", ["stripe.py", "paddle.py"])
def test_ten_lines_each(name):
    text = (FOLDER / name).read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith(("import", '"""'))]
    assert len(lines) <= 10


@pytest.mark.parametrize("text", ["", "\n", "short"])
def test_secret_that_is_none_lets_nobody_in(program, text):
    secret = program.secret_file
    before, account = secret.read_text(), program.account()
    secret.write_text(text)
    assert program.send(program.provider.event(JANUARY), secret=text.strip()) == 503
    assert program.account() == account
    secret.write_text(before)

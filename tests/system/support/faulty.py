"""
What the tests of faults have in common: a load of accounts whose sessions are known, which records every failure; a
proxy before PostgreSQL that disturbs one message, such as a COMMIT; and the table of what clients saw.
"""

import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import requests

from support.browser import Browser
from support.proxy import BIND, QUERY, Link, Proxy
from support.waiting import Background, wait_until

# Seconds: no request may take longer, whatever fails. The statement's time-out with its grace, a new connection, and
# the same once more for the outcome of a login, on a machine that is busy with other processes as well.
NO_HANG = 45


class Person:
    """
    One account, live on one device, which sends requests all the time and now and then signs in on another device.
    What an answer said must hold from then on.
    """

    def __init__(self, load, username):
        self.load, self.username = load, username
        self.key = None
        self.displaced = []
        # A login got no answer, or a 5xx: the key that was live may be displaced.
        self.is_in_doubt = False

    def sign_in(self):
        device = Browser(self.load.site, permits_5xx=True)
        try:
            answer = self.load.note("login", lambda: device.login(self.username))
            if answer is None or answer.status_code >= 500:
                self.is_in_doubt = True
                return
            assert answer.status_code == 200, (answer.status_code, answer.text)
            if self.key is not None:
                self.displaced.append(self.key)
            self.key, self.is_in_doubt = device.key, False
        finally:
            device.close()

    def ask(self, http, key, what):
        url = f"{self.load.site.url}/session/auth"
        return self.load.note(what, lambda: http.get(url, cookies={"onesession": key}, timeout=NO_HANG))

    def live(self):
        choice = random.Random(self.username)
        with requests.Session() as http:
            http.trust_env = False
            while not self.load.is_over.is_set():
                if self.key is None or self.is_in_doubt or choice.random() < 0.1:
                    self.sign_in()
                elif self.displaced and choice.random() < 0.2:
                    answer = self.ask(http, choice.choice(self.displaced[-5:]), "displaced")
                    if answer is not None and answer.status_code == 200:
                        self.load.live_twice += 1
                else:
                    answer = self.ask(http, self.key, "live")
                    if answer is not None and answer.status_code == 401:
                        self.load.lost.append((self.username, answer.headers["Session-Reason"]))
                        self.key = None


class Load:
    """All accounts at once. Use it as a context; `fault_ended()` sets the time from which all must work again."""

    def __init__(self, site, people=6):
        self.site = site
        self.is_over = threading.Event()
        self.lock = threading.Lock()
        self.counts = Counter()
        self.slowest = 0.0
        self.ended_at = None
        self.last_failure = None
        self.lost = []
        self.live_twice = 0
        names = [f"person{number}" for number in range(people)]
        for name in names:
            site.database.add_user(name)
        self.people = [Person(self, name) for name in names]
        self.calls = []

    def note(self, what, call):
        """The answer, or None when there was none."""
        began = time.monotonic()
        try:
            answer = call()
            status = answer.status_code
        except requests.RequestException:
            answer, status = None, 0
        now = time.monotonic()
        with self.lock:
            self.counts[what, status] += 1
            self.slowest = max(self.slowest, now - began)
            if status == 0 or status >= 500:
                self.last_failure = now
        if status == 0 or status >= 500:
            # As a person would, and so that the counts are not mostly of failures.
            self.is_over.wait(0.05)
        return answer

    def good(self):
        with self.lock:
            return sum(times for (_, status), times in self.counts.items() if 0 < status < 500)

    def await_more(self, count=200):
        """Until there were `count` more good answers."""
        wanted = self.good() + count
        wait_until(lambda: self.good() >= wanted or any(call.is_done for call in self.calls), "answers")

    def __enter__(self):
        for person in self.people:
            person.sign_in()
        self.calls = [Background(person.live) for person in self.people]
        self.await_more()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for call in self.calls:
            call.result(NO_HANG + 30)

    def fault_ended(self):
        self.ended_at = time.monotonic()
        self.await_more()

    def back_after(self):
        """How long after the fault's end the last failure was."""
        if self.last_failure is None or self.ended_at is None:
            return 0.0
        return max(self.last_failure - self.ended_at, 0.0)

    def check(self):
        """No session is lost, no account is live twice, no request has hung."""
        # The fault may have ended the test's own connection, too.
        self.site.database.close()
        assert self.lost == []
        assert self.live_twice == 0
        assert self.slowest < NO_HANG
        for person in self.people:
            if person.is_in_doubt:
                person.sign_in()
            assert not person.is_in_doubt
            with requests.Session() as http:
                http.trust_env = False
                assert person.ask(http, person.key, "live").status_code == 200
                for key in person.displaced[-3:]:
                    assert person.ask(http, key, "displaced").status_code == 401
            assert len(self.site.database.sessions(person.username)) == 1

    def saw(self):
        """What clients saw, for the table."""
        total = sum(self.counts.values())
        by_status = Counter()
        for (_, status), times in self.counts.items():
            by_status[status] += times
        shown = ", ".join(
            f"{times:,} × {status if status else 'no answer'}" for status, times in sorted(by_status.items()) if times
        )
        return f"{total:,} requests: {shown}"


def tell(fault, saw, load=None):
    """Writes a line of the table that `make faults` makes."""
    path = os.environ.get("ONESESSION_FAULT_TABLE")
    if path is None:
        return
    slowest = f"{load.slowest:.2f} s" if load else "–"
    back = f"{load.back_after():.2f} s" if load else "–"
    with Path(path).open("a", encoding="utf-8") as table:
        table.write(f"| {fault} | {saw} | {slowest} | {back} |\n")


@dataclass(eq=False)
class FaultyLink(Link):
    # What happens to the next message of the server's: "cut" or "hold answer".
    fault: str = None
    # Of a periodic job, which comes at times of its own.
    is_of_job: bool = False
    # The first COMMIT ends its set-up, and that may be any process's that has just been started.
    is_set_up: bool = False


def is_commit(kind, message):
    return kind == QUERY and message[5:] == b"COMMIT\0"


def runs(statement):
    """A condition for FaultyProxy.once(): that prepared statement is run."""
    return lambda kind, message: kind == BIND and message[5:].split(b"\0")[1].startswith(statement)


class FaultyProxy(Proxy):
    """
    Disturbs one message of a worker's, as `once` says. "lose": cut the connection, the server does not get the message;
    "cut": cut it when the server has answered; "hold" and "hold answer": keep the message, or its answer, until
    `let_go` is set, and then cut the connection.
    """

    LINK = FaultyLink

    def __init__(self, cluster):
        self.fault, self.concerns = None, is_commit
        self.is_held = threading.Event()
        self.let_go = threading.Event()
        super().__init__(cluster)

    def once(self, fault, concerns=is_commit):
        """Do that with the next message for which `concerns` is true."""
        self.is_held.clear()
        self.let_go.clear()
        with self.changed:
            self.fault, self.concerns = fault, concerns

    def from_client(self, link, kind, message):
        fault = None
        link.is_of_job |= not kind and b"\0onesessiond job" in message
        with self.changed:
            if self.fault is not None and link.is_set_up and not link.is_of_job and self.concerns(kind, message):
                fault, self.fault = self.fault, None
            link.is_set_up |= is_commit(kind, message)
        if fault == "hold":
            self._hold()
        if fault in ("lose", "hold"):
            raise ConnectionAbortedError(fault)
        link.fault = link.fault or fault
        super().from_client(link, kind, message)

    def from_server(self, link, kind, message):
        if link.fault == "hold answer":
            self._hold()
        if link.fault is not None:
            raise ConnectionAbortedError(link.fault)
        super().from_server(link, kind, message)

    def _hold(self):
        self.is_held.set()
        self.let_go.wait()

    def close(self):
        self.let_go.set()
        super().close()

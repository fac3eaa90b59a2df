"""
What the tests of faults have in common: a load of people whose sessions are known, which notices whatever goes wrong
with them; a proxy before PostgreSQL that can meddle with a COMMIT; and the table of what clients saw.
"""

import os
import random
import socket
import struct
import threading
import time
from collections import Counter
from pathlib import Path

import requests

from support.browser import Browser
from support.processes import discard, scratch
from support.waiting import Background, wait_until

# No request may take longer, whatever happens: the statement's time-out with its grace, connecting anew, and the same
# once more for the outcome of a login. On a machine that has other things to do as well.
NO_HANG = 45


class Person:
    """
    One account, live on one device, from which it asks all the time, and now and then signs in on another one. What
    the account was told is what has to hold from then on.
    """

    def __init__(self, load, username):
        self.load, self.username = load, username
        self.key = None
        self.displaced = []
        # An answer that tells nothing about a login: the key that was live may be out.
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
    """Everybody at once. Use it as a context; `fault_ended()` says from when on all has to be well again."""

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
            # As a person would, and so that the counts tell something.
            self.is_over.wait(0.05)
        return answer

    def good(self):
        with self.lock:
            return sum(times for (_, status), times in self.counts.items() if 0 < status < 500)

    def await_more(self, count=200):
        """Until so many more answers were good ones."""
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
        """How long after the fault's end the last answer came that was none."""
        if self.last_failure is None or self.ended_at is None:
            return 0.0
        return max(self.last_failure - self.ended_at, 0.0)

    def check(self):
        """Nothing is lost, nobody is live twice, nobody has waited for ever."""
        # The test's own connection may have met the fault, too.
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
    """A line of the table that `make faults` makes."""
    path = os.environ.get("ONESESSION_FAULT_TABLE")
    if path is None:
        return
    slowest = f"{load.slowest:.2f} s" if load else "–"
    back = f"{load.back_after():.2f} s" if load else "–"
    with Path(path).open("a", encoding="utf-8") as table:
        table.write(f"| {fault} | {saw} | {slowest} | {back} |\n")


class Proxy:
    """
    A Unix socket before PostgreSQL's. When a client sends COMMIT, `on_commit` is asked what to do: None: pass it on;
    "lose": cut the connection, the server never hears of it; "cut": cut it when the server has answered; "hold" and
    "hold answer": keep it, or its answer, until `let_go` is set (and then cut).
    """

    def __init__(self, cluster):
        self.folder = scratch("px")
        self.server = str(cluster.sockets / ".s.PGSQL.5432")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path = self.folder / ".s.PGSQL.5432"
        self.listener.bind(str(path))
        path.chmod(0o777)
        self.folder.chmod(0o755)
        self.listener.listen(64)
        self.on_commit = lambda: None
        self.is_held = threading.Event()
        self.let_go = threading.Event()
        self.connections = []
        threading.Thread(target=self._accept, daemon=True).start()

    def conninfo(self, database):
        return f"host={self.folder} dbname={database.name} user={database.cluster.DAEMON}"

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                server.connect(self.server)
            except OSError:
                client.close()
                continue
            pair = {"client": client, "server": server, "mutes": False}
            self.connections.append(pair)
            threading.Thread(target=self._requests, args=(pair,), daemon=True).start()
            threading.Thread(target=self._answers, args=(pair,), daemon=True).start()

    @staticmethod
    def _cut(pair):
        for end in (pair["client"], pair["server"]):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _answers(self, pair):
        """What the server says, unless the answer is to be kept."""
        try:
            while data := pair["server"].recv(65536):
                if pair["mutes"] == "cut":
                    break
                if pair["mutes"] == "hold answer":
                    self.is_held.set()
                    self.let_go.wait()
                    break
                pair["client"].sendall(data)
        except OSError:
            pass
        self._cut(pair)

    def _requests(self, pair):
        data, is_first = b"", True
        try:
            while piece := pair["client"].recv(65536):
                data += piece
                while True:
                    head = 4 if is_first else 5
                    if len(data) < head:
                        break
                    size = struct.unpack(">I", data[head - 4 : head])[0] + (head - 4)
                    if len(data) < size:
                        break
                    message, data, is_first = data[:size], data[size:], False
                    if not self._pass(pair, message):
                        return
        except OSError:
            pass
        finally:
            self._cut(pair)

    def _pass(self, pair, message):
        what = self.on_commit() if message[:1] == b"Q" and message[5:] == b"COMMIT\0" else None
        if what == "lose":
            return False
        if what == "hold":
            self.is_held.set()
            self.let_go.wait()
            return False
        if what is not None:
            pair["mutes"] = what
        pair["server"].sendall(message)
        return True

    def once(self, what):
        """Do that with the next COMMIT only."""
        left = [what]
        self.is_held.clear()
        self.let_go.clear()
        self.on_commit = lambda: left.pop() if left else None

    def close(self):
        self.let_go.set()
        self.listener.close()
        for pair in self.connections:
            self._cut(pair)
            pair["client"].close()
            pair["server"].close()
        discard(self.folder)

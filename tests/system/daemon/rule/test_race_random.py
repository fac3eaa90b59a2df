"""
A long randomized run: many devices of a few accounts sign in, ask, sign out at two daemons on one database, another
program puts sessions in and changes limits, and meanwhile workers are killed, connections ended, and now and then a
backend is killed, so that all of PostgreSQL starts anew. Every call is written down with when it began, when it was
answered and what was said; after each round, when everything is quiet, all of it is held against the rule:

 - a request that began when enough newer sessions had been answered is not let in with the older cookie;
 - a cookie that was refused once, or whose logout was answered, is never let in again;
 - nobody is refused without a cause: newer logins, or its own logout, that had begun by then;
 - a login that was answered and that nobody has ended is live; never more are live than the limit;
 - each answer is about the session that was asked for; every session that has gone has its row in ended_sessions;
 - 503 is said only while the database is away, no other 5xx ever; nothing hangs, and only a killed worker owes answers.

`make race SECONDS=600` runs it for longer and shows how it goes. SEED= repeats the same choices; how they interleave
is up to the machine.
"""

import contextlib
import hashlib
import json
import os
import random
import secrets
import signal
import threading
import time
from collections import Counter, deque

import psycopg2
import pytest

from support import fastcgi
from support.client import JSON
from support.waiting import PATIENCE, Background, wait_until

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("ONESESSION_RACE_SECONDS", "8"))
SEED = os.environ.get("ONESESSION_RACE_SEED") or str(random.SystemRandom().randrange(10**9))
ROUND = 7
MORE_SECONDS = 60
WORKERS = 4
# By name: the limits that an account may have; the first is what it begins with.
ACCOUNTS = {"one": [1], "two": [1], "three": [1], "pair": [2], "varies": [1, 2, 3], "changes": [2, 1]}
DEVICES = 4
# Requests that are sent before any of them is answered, so that workers find several at once.
BURST = 10
# Of logins, passes, refusals.
ENOUGH = 30

LOST = "no answer"
HUNG = "hung"

# Whoever inserts the row, and whether or not anybody hears of it: this is the order of logins.
REMEMBER_LOGINS = """
CREATE TABLE logins_seen (login_order bigint PRIMARY KEY, session_key bytea NOT NULL, user_id bigint NOT NULL);
CREATE FUNCTION remember_login() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO logins_seen VALUES (new.login_order, new.session_key, new.user_id);
    RETURN NULL;
END $$;
CREATE TRIGGER remember_login AFTER INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION remember_login();
"""


def digest(token):
    return hashlib.sha256(token.encode()).digest()


class Key:
    """A cookie that somebody holds, and the strongest of what was seen of it."""

    def __init__(self, account, token, session_id, began, answered, origin="login"):
        self.account, self.token, self.id, self.origin = account, token, session_id, origin
        self.began, self.answered = began, answered
        self.order = None
        # When its holder began to sign out or to sign in anew with it, and when that was answered.
        self.end_began = self.end_answered = None
        # The request that began last and was let in; the one that was refused first.
        self.passed = self.refused = None
        self.lock = threading.Lock()

    def is_held_at(self, moment):
        """Its holder had not begun to give it up."""
        return self.end_began is None or self.end_began > moment

    def story(self, since):
        """For people: when things happened to it, in seconds after that moment."""
        times = {"began": self.began, "answered": self.answered, "end began": self.end_began}
        times.update({"end answered": self.end_answered, "passed": self.passed and self.passed[0]})
        times.update({"refused": self.refused and self.refused[0]})
        told = " ".join(f"{what} {at - since:.3f}" for what, at in times.items() if at is not None)
        return f"[{self.order} {self.origin} {told} {self.refused[1] if self.refused else ''}]"

    def note_pass(self, began, answered):
        with self.lock:
            if self.passed is None or began > self.passed[0]:
                self.passed = (began, answered)

    def note_refusal(self, answered, reason):
        with self.lock:
            if self.refused is None or answered < self.refused[0]:
                self.refused = (answered, reason)

    def note_end(self, began, answered):
        with self.lock:
            self.end_began = min(filter(None, (self.end_began, began)))
            self.end_answered = min(filter(None, (self.end_answered, answered)), default=None)


class Account:
    def __init__(self, name, user_id, limits):
        self.name, self.user_id, self.choices = name, user_id, limits
        self.lock = threading.Lock()
        self.limit_lock = threading.Lock()
        self.keys = []
        self.recent = deque(maxlen=12)
        # [limit, when it may have begun to be in force, when it had certainly ceased to be]
        self.limits = [[limits[0], 0.0, float("inf")]]

    def add(self, key):
        with self.lock:
            self.keys.append(key)
            self.recent.append(key)

    def limits_between(self, began, ended):
        return [limit for limit, since, until in self.limits if since <= ended and until >= began]

    def note_limit(self, limit, began, answered):
        """`answered` is None when nobody knows whether it was changed."""
        for entry in self.limits:
            if answered is not None:
                entry[2] = min(entry[2], answered)
        self.limits.append([limit, began, float("inf")])


class Race:
    def __init__(self, database, daemons):
        self.database, self.cluster, self.daemons = database, database.cluster, daemons
        self.accounts = [
            Account(name, database.add_user(name, limits[0]), limits) for name, limits in ACCOUNTS.items()
        ]
        self.lock = threading.Lock()
        self.counts = Counter()
        self.wrong = []
        self.unavailable, self.lost = [], []
        self.kills, self.away = [], []
        self.graveyard = deque(maxlen=2000)
        self.last_order = 0
        self.latest_503 = 0.0
        self.deadline = 0.0

    def count(self, what, number=1):
        with self.lock:
            self.counts[what] += number

    def complain(self, *what):
        with self.lock:
            self.wrong.append(what)

    # ---- Calls ----

    def send(self, stack, where, method, path, token=None, body=b""):
        """Begin a call. It is finished by receive()."""
        headers = {**JSON, **({"Cookie": f"onesession={token}"} if token else {})}
        began = time.monotonic()
        connection = stack.enter_context(self.daemons[where].connection(timeout=PATIENCE))
        params = fastcgi.environ(method=method, path=path, headers=headers, body=body)
        connection.try_send(fastcgi.request_bytes(params, body))
        return where, connection, path, began

    def receive(self, call):
        """The answer, its status or why there is none, and when it began and was answered."""
        where, connection, path, began = call
        answer, status = None, LOST
        try:
            answer = connection.answer()
            if answer.ended and answer.status is not None:
                status = answer.status
        except TimeoutError:
            status = HUNG
        answered = time.monotonic()
        name = path.rpartition("/")[2]
        self.count((name, status))
        if status == LOST:
            with self.lock:
                self.lost.append((where, began, answered))
        elif status == 503:
            with self.lock:
                self.unavailable.append((name, began, answered))
        elif status == HUNG or status >= 500:
            self.complain(name, status, answered - began)
        return answer, status, began, answered

    def call(self, where, *args, **kwargs):
        with contextlib.ExitStack() as stack:
            return self.receive(self.send(stack, where, *args, **kwargs))

    def ask(self, questions):
        """Each a daemon and a key. All are under way before the first answer is read."""
        with contextlib.ExitStack() as stack:
            calls = [self.send(stack, where, "GET", "/session/auth", key.token) for where, key in questions]
            for call, (_, key) in zip(calls, questions):
                answer, status, began, answered = self.receive(call)
                if status == 200:
                    key.note_pass(began, answered)
                    # Those of earlier rounds are judged only here.
                    if key.refused is not None and key.refused[0] < began:
                        self.complain("live again after it was refused", key.account.name, key.order, key.refused[1])
                    if (answer.get("Remote-User"), answer.get("Session-Id")) != (key.account.name, key.id):
                        self.complain("somebody else's answer", key.account.name, answer.fields)
                elif status == 401:
                    key.note_refusal(answered, answer.get("Session-Reason"))
                    if answer.get("Remote-User") or answer.get("Session-Id"):
                        self.complain("refused, and yet somebody", answer.fields)
                elif status not in (503, LOST, HUNG):
                    self.complain("auth", status)

    def log_in(self, where, account, held):
        """With the cookie that the browser holds, if it has one. Returns what it holds then."""
        body = json.dumps({"username": account.name, "password": self.database.password}).encode()
        if held is not None:
            held.note_end(time.monotonic(), None)
        token = held.token if held is not None else None
        answer, status, began, answered = self.call(where, "POST", "/session/login", token, body)
        if status != 200:
            if status not in (503, LOST, HUNG):
                self.complain("login", status, answer.stdout[:300])
            return held
        key = Key(account, answer.cookie(), json.loads(answer.body)["session"]["id"], began, answered)
        account.add(key)
        if held is not None:
            held.note_end(began, answered)
        return key

    def log_out(self, where, key):
        key.note_end(time.monotonic(), None)
        _, status, began, answered = self.call(where, "POST", "/session/logout", key.token)
        if status == 204:
            key.note_end(began, answered)
        elif status not in (503, LOST, HUNG):
            self.complain("logout", status)

    # ---- Another program with the same database ----

    @staticmethod
    def query(connection, sql, *values):
        with connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchone()

    def insert(self, connection, account):
        token = secrets.token_urlsafe(32)
        began = time.monotonic()
        row = self.query(
            connection,
            "INSERT INTO sessions (session_key, user_id, expires_at) VALUES (%s, %s, now() + '1 hour')"
            " RETURNING id::text",
            digest(token),
            account.user_id,
        )
        key = Key(account, token, row[0], began, time.monotonic(), "outside")
        account.add(key)
        self.count("outside")
        return key

    def change_limit(self, connection, account, limit):
        with account.limit_lock:
            began, answered = time.monotonic(), None
            try:
                self.query(
                    connection, "UPDATE users SET session_limit = %s WHERE id = %s RETURNING 1", limit, account.user_id
                )
                answered = time.monotonic()
                self.count("limit")
            finally:
                account.note_limit(limit, began, answered)

    # ---- Actors ----

    def be_a_device(self, choice, home):
        held = connection = None
        while time.monotonic() < self.deadline:
            account = home if choice.random() < 0.9 else choice.choice(self.accounts)
            where = choice.randrange(len(self.daemons))
            what = choice.random()
            if what < 0.12 or held is None:
                held = self.log_in(where, account, None)
            elif what < 0.18:
                held = self.log_in(where, account, held)
            elif what < 0.24:
                self.log_out(where, held)
                held = None
            elif what < 0.29:
                try:
                    if connection is None:
                        connection = self.database.connect()
                    if what < 0.26 and len(account.choices) > 1:
                        self.change_limit(connection, account, choice.choice(account.choices))
                    else:
                        held = self.insert(connection, account)
                except psycopg2.Error:
                    # Whether it was done nobody knows.
                    connection = None
                    self.count("outside lost")
            else:
                keys = [held, *account.recent, *home.recent]
                if self.graveyard:
                    keys.append(choice.choice(self.graveyard))
                self.ask(
                    [
                        (choice.randrange(len(self.daemons)), choice.choice(keys) if choice.random() < 0.7 else held)
                        for _ in range(choice.randint(1, BURST))
                    ]
                )
        if connection is not None:
            connection.close()

    def kill_worker(self, choice):
        where = choice.randrange(len(self.daemons))
        workers = self.daemons[where].workers
        if workers:
            self.kills.append((where, time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.kill(choice.choice(workers), signal.SIGKILL)
                self.count("workers killed")

    def end_connection(self, choice):
        backends = self.cluster.backends(self.database.name)
        if backends:
            self.cluster.execute(f"SELECT pg_terminate_backend({choice.choice(backends)})")
            self.count("connections ended")

    def kill_backend(self, choice):
        """PostgreSQL then ends all connections and goes through its log again."""
        witness = self.cluster.connect("postgres")
        backends = self.cluster.backends(self.database.name)
        if not backends:
            return
        self.away.append([time.monotonic(), float("inf")])
        with contextlib.suppress(ProcessLookupError):
            os.kill(choice.choice(backends), signal.SIGKILL)

        def answers(connect):
            try:
                connection = connect()
                self.query(connection, "SELECT 1")
                return True
            except psycopg2.Error:
                return False

        wait_until(lambda: not answers(lambda: witness), "PostgreSQL to end the connections")
        wait_until(lambda: answers(lambda: self.cluster.connect("postgres")), "PostgreSQL to be back")
        self.away[-1][1] = time.monotonic()
        self.count("backends killed")

    def disturb(self, choice, kills_backend):
        kill_at = time.monotonic() + choice.uniform(1, ROUND - 2)
        while time.monotonic() < self.deadline:
            if kills_backend and time.monotonic() > kill_at:
                kills_backend = False
                self.kill_backend(choice)
            elif choice.random() < 0.5:
                self.kill_worker(choice)
            else:
                self.end_connection(choice)
            time.sleep(choice.uniform(0.1, 0.6))

    def run_round(self, number):
        self.deadline = time.monotonic() + ROUND
        devices = [
            Background(self.be_a_device, random.Random(f"{SEED}/{number}/{account.name}/{device}"), account)
            for account in self.accounts
            for device in range(DEVICES)
        ]
        # In this thread: see that_ends_with_parent() for what would be started.
        self.disturb(random.Random(f"{SEED}/{number}"), kills_backend=number % 3 == 1)
        for device in devices:
            device.result(ROUND + 5 * PATIENCE)
        self.check_round()

    # ---- The judgement ----

    def settle(self):
        """What a killed worker has left behind in the database comes to an end."""
        for daemon in self.daemons:
            wait_until(lambda daemon=daemon: daemon.ask(path="/session/ready").status == 200, "the daemons to be ready")
            wait_until(lambda daemon=daemon: len(daemon.workers) >= WORKERS, "the workers to be back")
        wait_until(
            lambda: self.database.value(
                "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND usename = %s"
                " AND state NOT IN ('idle', 'disabled')",
                self.cluster.DAEMON,
            ),
            "transactions to end",
        )

    def check_round(self):
        # A killed backend may have cost this connection, too.
        self.database.close()
        self.settle()
        self.check_silence()
        seen = self.database.query(
            "SELECT login_order, session_key, user_id FROM logins_seen WHERE login_order > %s", self.last_order
        )
        self.last_order = max([self.last_order, *(row[0] for row in seen)])
        for account in self.accounts:
            orders = {bytes(key): order for order, key, user_id in seen if user_id == account.user_id}
            self.check_account(account, orders)
        gone = self.database.value(
            "SELECT count(*) FROM logins_seen l"
            " WHERE NOT EXISTS (SELECT FROM sessions s WHERE s.session_key = l.session_key)"
            " AND NOT EXISTS (SELECT FROM ended_sessions e WHERE e.session_key = l.session_key)"
        )
        if gone:
            self.complain("sessions went without a trace", gone)
        self.database.query("DELETE FROM logins_seen l USING ended_sessions e WHERE e.session_key = l.session_key")

    def check_silence(self):
        """Who was not answered, and who was told that the database is away."""
        for where, began, answered in self.lost:
            if not any(there == where and began - 1 <= at <= answered for there, at in self.kills):
                self.complain("not answered, though no worker was killed", where, answered - began)
        for name, began, answered in self.unavailable:
            late = min((max(began - until, 0) for since, until in self.away if since <= answered), default=None)
            if late is None or late > PATIENCE / 3:
                self.complain(name, 503, "the database was there", late)
            else:
                self.latest_503 = max(self.latest_503, late)
        self.lost, self.unavailable, self.kills = [], [], []

    def check_account(self, account, orders):
        for key in account.keys:
            if key.order is None:
                key.order = orders.get(digest(key.token))
        unseen = [key for key in account.keys if key.order is None]
        if unseen:
            self.complain("answered, but never in the database", account.name, len(unseen))
        keys = sorted((key for key in account.keys if key.order is not None), key=lambda key: key.order)
        known = {key.order for key in keys}
        strangers = [order for order in orders.values() if order not in known]

        # Now that it is quiet, everybody asks, here or there.
        choice = random.Random(f"{SEED}/{self.last_order}/{account.name}")
        asked_at = time.monotonic()
        waiting = [key for key in keys if key.refused is None] + choice.sample(keys, min(50, len(keys)))
        for begin in range(0, len(waiting), BURST):
            self.ask([(choice.randrange(len(self.daemons)), key) for key in waiting[begin : begin + BURST]])
        for index, key in enumerate(keys):
            self.check_key(account, key, keys[index + 1 :], [order for order in strangers if order > key.order])

        limit = self.database.value("SELECT session_limit FROM users WHERE id = %s", account.user_id)
        live = [key for key in keys if key.passed is not None and key.passed[0] >= asked_at]
        rows = [
            row[0]
            for row in self.database.query(
                "SELECT login_order FROM sessions WHERE user_id = %s ORDER BY login_order DESC", account.user_id
            )
        ]
        if len(live) > limit:
            self.complain("more live than the limit", account.name, limit, [key.order for key in live])
        if sorted((key.order for key in live), reverse=True) != [order for order in rows[:limit] if order in known]:
            self.complain("not the newest are live", account.name, limit, [key.order for key in live], rows)
        newest = keys[-1] if keys else None
        if newest is not None and not any(order > newest.order for order in strangers):
            if newest.end_began is None and newest not in live:
                self.complain("the newest login is not live", account.name, newest.order, newest.refused)
        if live and rows[0] == live[-1].order:
            stored = self.database.stored_key(account.name)
            if stored != digest(live[-1].token):
                self.complain("the stored key is not the newest", account.name)
        self.count("sessions judged", len(keys))
        self.graveyard.extend(key for key in keys if key.refused is not None and choice.random() < 0.2)
        account.keys = live
        account.limits = [[limit, 0.0, float("inf")]]

    def check_key(self, account, key, newer, strangers):
        if key.passed is not None:
            began, answered = key.passed
            if key.refused is not None and key.refused[0] < began:
                self.complain("let in last after it was refused", account.name, key.order, key.refused[1])
            if key.end_answered is not None and key.end_answered < began:
                self.complain("live after its logout", account.name, key.order)
            self.check_displaced(account, key, newer)
        if key.refused is not None:
            answered, reason = key.refused
            number = len(strangers) + sum(other.began < answered for other in newer)
            causes = {
                "displaced": number >= min(account.limits_between(key.began, answered)),
                "logged_out": key.end_began is not None and key.end_began < answered,
            }
            if not causes.get(reason, False):
                self.complain("refused without a cause", account.name, key.order, reason, number)

    def check_displaced(self, account, key, newer):
        """
        A limit that was lowered displaces nobody by itself: it has to be in force when a newer session begins. And a
        row that another program was putting in while somebody signed in may be seen only when that is over.
        """
        began, answered = key.passed
        seen_since = key.answered if key.origin == "outside" else 0.0
        lives = [other for other in newer if seen_since < other.began and other.answered < began]
        for last in lives:
            moment = last.answered
            there = [other for other in lives if other.answered <= moment and other.is_held_at(moment)]
            limits = account.limits_between(min(other.began for other in there), answered) if there else []
            if there and len(there) >= max(limits):
                told = [other.story(began) for other in there]
                self.complain("let in, though newer ones were there", account.name, key.story(began), *told)
                return

    # ---- Figures ----

    @property
    def shows_something(self):
        counts = self.counts
        wanted = [counts[what] for what in (("login", 200), ("auth", 200), ("auth", 401))]
        return min(wanted) > ENOUGH and counts["workers killed"] and counts["backends killed"]

    def figures(self):
        counts = self.counts
        asked = [(name, status) for name, status in (what for what in counts if isinstance(what, tuple))]
        unanswered = sum(counts[what] for what in asked if what[1] == LOST)
        away = sum(counts[what] for what in asked if what[1] == 503)
        return (
            f"{counts['login', 200]} logins, {counts['auth', 200]} let in, {counts['auth', 401]} refused, "
            f"{counts['logout', 204]} logouts, {counts['outside']} rows from outside, "
            f"{counts['limit']} limits changed; "
            f"{counts['workers killed']} workers and {counts['backends killed']} backends killed, "
            f"{counts['connections ended']} connections ended: {unanswered} not answered, {away} times 503; "
            f"{counts['sessions judged']} sessions judged, {len(self.wrong)} wrong"
        )


def test_whatever_happens_at_two_daemons_nobody_is_live_twice(database, new_daemon):
    # What PostgreSQL has said to be committed is to be there when it comes back.
    database.query(f'ALTER DATABASE "{database.name}" SET synchronous_commit = on')
    database.query(REMEMBER_LOGINS)
    settings = {
        "server.workers": WORKERS,
        "login.max_hashing": WORKERS,
        "database.statement_timeout": "15s",
        "log.level": "warning",
    }
    race = Race(database, [new_daemon(settings).start() for _ in range(2)])
    devices = len(ACCOUNTS) * DEVICES
    print(f"seed {SEED}: {len(ACCOUNTS)} accounts, {devices} devices, 2 x {WORKERS} workers", flush=True)
    began = time.monotonic()
    number = 0
    while not race.wrong:
        passed = time.monotonic() - began
        if passed >= SECONDS and (race.shows_something or passed > SECONDS + MORE_SECONDS):
            break
        race.run_round(number)
        number += 1
        print(f"{time.monotonic() - began:4.0f} s: {race.figures()}", flush=True)
    print(f"the last 503 was {race.latest_503:.2f} s after PostgreSQL was back", flush=True)
    assert race.wrong == [], f"seed {SEED}: {len(race.wrong)} wrong: {race.wrong[:10]}"
    assert race.shows_something, race.counts

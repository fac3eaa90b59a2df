"""
Everything at once: logins of one account from many browsers, old devices that ask, logouts, and workers, connections
and the database dying meanwhile. Whatever the interleaving: never two live, and the newest login is the one.
"""

import hashlib
import os
import random
import signal
import threading
import time
from bisect import bisect_left
from dataclasses import dataclass

import pytest
import requests

from support.browser import Browser
from support.waiting import Background, wait_until

pytestmark = pytest.mark.slow

# More than a hundred logins of one account on two processors, each at once with others; test_race_random.py goes on
# for longer.
SECONDS = 4
MORE_SECONDS = 60
# Of logins, of requests that pass and of those that are refused.
ENOUGH = 20
BROWSERS = 6
OLD_DEVICES = 3
# Between two disturbances: else a slow machine would see nothing but these, and a login that waits for others could
# meet as many as it has attempts.
ANSWERS_BETWEEN = 10
LOGINS_BETWEEN = BROWSERS


@dataclass
class Login:
    session_id: str
    key: str
    answered_at: float


@dataclass
class Pass:
    """The guard let this key pass."""

    key: str
    asked_at: float


class Story:
    """What was done and seen by all threads."""

    def __init__(self, site, username, permitted):
        self.site, self.username, self.permitted = site, username, permitted
        self.lock = threading.Lock()
        self.logins, self.passes, self.wrong = [], [], []
        self.statuses = {}
        self.logged_out = 0
        self.most_rows = 0
        self.deadline = time.monotonic() + SECONDS

    @property
    def answered(self):
        """Answers that tell something."""
        return len(self.logins) + len(self.passes) + self.statuses.get(("auth", 401), 0)

    @property
    def shows_something(self):
        return min(len(self.logins), len(self.passes), self.statuses.get(("auth", 401), 0)) > ENOUGH

    @property
    def is_over(self):
        """A slow machine, or one that restarts its database all the time, gets longer for as much to happen."""
        now = time.monotonic()
        return now > self.deadline + MORE_SECONDS or (now > self.deadline and self.shows_something)

    def note(self, what, status):
        """Count an answer. False when it was one that tells nothing."""
        with self.lock:
            self.statuses[what, status] = self.statuses.get((what, status), 0) + 1
            if status >= 500 and status not in self.permitted:
                self.wrong.append((what, status))
        return status < 500

    def recent_key(self):
        with self.lock:
            return random.choice(self.logins[-12:]).key if self.logins else None

    # ---- The actors ----

    def log_in(self, browser):
        answer = browser.login(self.username)
        if self.note("login", answer.status_code):
            assert answer.status_code == 200, answer.text
            with self.lock:
                self.logins.append(Login(answer.json()["session"]["id"], browser.key, time.monotonic()))

    def ask(self, browser, key):
        """With a key that somebody got, perhaps long ago."""
        asked_at = time.monotonic()
        answer = browser.get("/session/auth", cookies={"onesession": key})
        if self.note("auth", answer.status_code):
            assert answer.status_code in (200, 401)
            if answer.status_code == 200:
                with self.lock:
                    self.passes.append(Pass(key, asked_at))
            else:
                assert answer.headers["Session-Reason"] in ("displaced", "logged_out")

    def live_in_a_browser(self, logs_out):
        choice = random.Random()
        browser = Browser(self.site, permits_5xx=True)
        while not self.is_over:
            if choice.random() < 0.6:
                # Another device; otherwise again in the same browser, perhaps without knowing that it is out.
                browser.key = None
            self.log_in(browser)
            for _ in range(choice.randrange(3)):
                if browser.key is not None:
                    self.ask(browser, browser.key)
            if logs_out and browser.key is not None and choice.random() < 0.3:
                status = browser.logout().status_code
                if self.note("logout", status):
                    assert status == 204
                    with self.lock:
                        self.logged_out += 1
        browser.close()

    def be_an_old_device(self):
        browser = Browser(self.site, permits_5xx=True)
        while not self.is_over:
            key = self.recent_key()
            if key is not None:
                browser.http.cookies.clear()
                self.ask(browser, key)
        browser.close()

    def watch(self, limit):
        """In no snapshot of the database does the account have more sessions than it may."""
        while not self.is_over:
            try:
                connection = self.site.database.connect()
                with connection.cursor() as cursor:
                    while not self.is_over:
                        cursor.execute(
                            "SELECT count(*) FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.username = %s",
                            (self.username,),
                        )
                        count = cursor.fetchone()[0]
                        self.most_rows = max(self.most_rows, count)
                        if count > limit:
                            self.wrong.append(("rows", count))
                        # A login takes longer than that, and is to have the processor meanwhile.
                        time.sleep(0.002)
                connection.close()
            except Exception:  # pylint: disable=broad-except
                # The database is being restarted.
                time.sleep(0.05)

    def disturb(self, disturbance, every):
        """Every so many seconds, and on a slow machine when something was answered since."""
        while not self.is_over:
            answered, logins = self.answered + ANSWERS_BETWEEN, len(self.logins) + LOGINS_BETWEEN
            disturbance()
            began = time.monotonic()
            while not self.is_over and (
                time.monotonic() < began + every or self.answered < answered or len(self.logins) < logins
            ):
                time.sleep(0.02)

    # ---- The judgement ----

    def ranks(self):
        """How new each login is, by the order in which the database has seen them."""
        rows = self.site.database.query(
            "SELECT e.session_id::text FROM events e JOIN users u ON u.id = e.user_id"
            " WHERE e.name = 'user_logged_in' AND u.username = %s ORDER BY e.id",
            self.username,
        )
        return {row[0]: rank for rank, row in enumerate(rows)}

    def check_order(self, ranks):
        """After a login has answered, no older key gets a 200 again."""
        by_key = {login.key: ranks[login.session_id] for login in self.logins}
        logins = sorted(self.logins, key=lambda login: login.answered_at)
        times = [login.answered_at for login in logins]
        newest, best = [], -1
        for login in logins:
            best = max(best, ranks[login.session_id])
            newest.append(best)
        late = []
        for passed in self.passes:
            before = bisect_left(times, passed.asked_at)
            if before and newest[before - 1] > by_key[passed.key]:
                late.append((by_key[passed.key], newest[before - 1]))
        assert late == [], f"{len(late)} of {len(self.passes)} passes were with a key that was out: {late[:5]}"

    def check_end(self, ranks):
        """Exactly one session is live, that of the newest login, unless that has logged out."""
        database = self.site.database
        newest = max(ranks, key=ranks.get)
        rows = database.sessions(self.username)
        if rows != [newest]:
            assert rows == []
            assert database.ended(newest) == "logged_out"
            assert database.stored_key(self.username) is None
        else:
            stored = database.value(
                "SELECT l.session_key = s.session_key FROM logged_in_user l JOIN sessions s USING (user_id)"
                " WHERE s.id = %s",
                newest,
            )
            assert stored is True
        ended = {row[0] for row in database.query("SELECT id::text FROM ended_sessions")}
        assert {session_id for session_id in ranks if session_id not in rows} <= ended
        live = []
        with requests.Session() as http:
            http.trust_env = False
            for login in self.logins[-50:]:
                answer = http.get(f"{self.site.url}/session/auth", cookies={"onesession": login.key}, timeout=30)
                if answer.status_code == 200:
                    live.append(login.session_id)
        assert live == [session_id for session_id in rows if session_id in {login.session_id for login in self.logins}]


def run(site, username="alice", limit=1, permitted=(), logs_out=True, disturbance=None, every=0.3, another_actor=None):
    """Let it all happen, and return the story when everybody has come to an end."""
    story = Story(site, username, permitted)
    calls = [Background(story.live_in_a_browser, logs_out) for _ in range(BROWSERS)]
    calls += [Background(story.be_an_old_device) for _ in range(OLD_DEVICES)]
    calls.append(Background(story.watch, limit))
    if another_actor is not None:
        calls.append(Background(another_actor, story))
    if disturbance is not None:
        # In this thread: what it starts would end with a thread of its own.
        story.disturb(disturbance, every)
    for call in calls:
        call.result(SECONDS + MORE_SECONDS + 60)
    print(story.statuses, f"most rows at once: {story.most_rows}")
    assert story.wrong == [], story.statuses
    assert story.shows_something, story.statuses
    return story


def test_logins_old_devices_and_logouts_at_once(new_site):
    site = new_site({"server.workers": 4})
    story = run(site)
    assert story.logged_out > 5
    ranks = story.ranks()
    assert len(ranks) == len(story.logins), "every login that happened was answered"
    story.check_order(ranks)
    story.check_end(ranks)


def test_the_same_on_two_hosts(new_site, new_daemon):
    """A second daemon on the same database is asked for the old keys, too."""
    site = new_site({"server.workers": 3})
    elsewhere = new_daemon({"server.workers": 2}, on=site.database).start()

    def ask_elsewhere(story):
        while not story.is_over:
            key = story.recent_key()
            if key is not None:
                asked_at = time.monotonic()
                if elsewhere.ask(headers={"Cookie": f"onesession={key}"}).status == 200:
                    with story.lock:
                        story.passes.append(Pass(key, asked_at))

    story = run(site, another_actor=ask_elsewhere)
    ranks = story.ranks()
    story.check_order(ranks)
    story.check_end(ranks)


def test_the_same_while_workers_are_killed(new_site):
    site = new_site({"server.workers": 4})

    def kill_one():
        workers = site.daemon.workers
        if workers:
            os.kill(random.choice(workers), signal.SIGKILL)

    # What was under way at a worker that is killed is answered by the web server.
    story = run(site, permitted=(502, 503), disturbance=kill_one, every=0.25)
    site.daemon.await_workers(4)
    ranks = story.ranks()
    story.check_order(ranks)
    story.check_end(ranks)


def test_the_same_while_connections_are_lost(new_site, cluster):
    """The database is there all the time, so nobody sees a 5xx."""
    site = new_site({"server.workers": 4})
    story = run(site, disturbance=lambda: cluster.terminate_backends(site.database.name), every=0.2)
    ranks = story.ranks()
    story.check_order(ranks)
    story.check_end(ranks)


def test_the_same_while_the_database_is_restarted(new_site, cluster):
    site = new_site({"server.workers": 4})

    def restart():
        cluster.stop()
        time.sleep(0.2)
        cluster.start()

    story = run(site, permitted=(503,), disturbance=restart, every=1.5)
    wait_until(lambda: site.daemon.ask(path="/session/ready").status == 200, "the daemon to be ready again")
    ranks = story.ranks()
    story.check_order(ranks)
    story.check_end(ranks)


def test_limit_of_two_at_once(new_site):
    site = new_site({"server.workers": 4})
    site.database.add_user("eve", limit=2)
    story = run(site, username="eve", limit=2, logs_out=False)
    ranks = story.ranks()
    newest = sorted(ranks, key=ranks.get)
    rows = site.database.sessions("eve")
    assert len(rows) in (1, 2)
    # A rotation may have ended one of the two, never a newer login than those that are left.
    assert rows[-1] == newest[-1]


def test_first_login_of_an_account_by_many_at_once(site):
    """No row is there yet to be locked."""
    for round_number in range(5):
        name = f"new{round_number}"
        site.database.add_user(name)
        barrier = threading.Barrier(8)

        def log_in(name=name, barrier=barrier):
            browser = Browser(site)
            barrier.wait(30)
            answer = browser.login(name)
            browser.close()
            return answer.status_code, browser.key

        outcomes = [call.result() for call in [Background(log_in) for _ in range(8)]]
        assert {status for status, _ in outcomes} == {200}
        passes = [key for _, key in outcomes if site.daemon.ask(headers={"Cookie": f"onesession={key}"}).status == 200]
        assert len(passes) == 1
        assert len(site.database.sessions(name)) == 1


def test_two_browsers_that_swap_accounts_do_not_lock_each_other_out(site, cluster):
    """Each login ends the session that the other account's login is about to end: in one order, or it is a deadlock."""
    begin = cluster.log.stat().st_size
    browsers = [Browser(site), Browser(site)]
    names = ["alice", "bob"]
    for browser, name in zip(browsers, names):
        browser.sign_in(name)
    for _ in range(30):
        names.reverse()
        calls = [Background(browser.sign_in, name) for browser, name in zip(browsers, names)]
        for call in calls:
            call.result()
    for browser, name in zip(browsers, names):
        assert len(site.database.sessions(name)) <= 1
        browser.close()
    with open(cluster.log, encoding="utf-8", errors="replace") as log:
        log.seek(begin)
        assert "deadlock detected" not in log.read()


def test_operator_changes_at_once_with_logins(site):
    """Disabling an account leaves no session that slipped in."""
    ctl = site.ctl()
    deadline = time.monotonic() + 4

    def log_in():
        browser = Browser(site)
        while time.monotonic() < deadline:
            assert browser.login().status_code in (200, 401, 403)
            browser.key = None
        browser.close()

    calls = [Background(log_in) for _ in range(3)]
    while time.monotonic() < deadline:
        ctl.run("user", "disable", "alice")
        assert site.database.sessions() == []
        ctl.run("session", "end", "--all")
        ctl.run("user", "enable", "alice")
    for call in calls:
        call.result()
    assert len(site.database.sessions()) <= 1


def test_account_deleted_at_once_with_logins(site):
    """No 5xx when the account goes away in the middle of everything."""
    for round_number in range(6):
        name = f"gone{round_number}"
        site.database.add_user(name)
        stop = []

        def log_in(name=name, stop=stop):
            browser = Browser(site)
            while not stop:
                assert browser.login(name).status_code in (200, 401)
                assert browser.get("/session/auth").status_code in (200, 401)
                assert browser.logout().status_code == 204
            browser.close()

        calls = [Background(log_in) for _ in range(4)]
        wait_until(
            lambda name=name: site.database.value("SELECT count(*) > 3 FROM events WHERE username = %s", name), "logins"
        )
        site.database.query("DELETE FROM users WHERE username = %s", name)
        stop.append(True)
        for call in calls:
            call.result()


def test_rows_from_outside_and_logins_at_once(site):
    """Many programs put rows in while people sign in: in the end the newest row is the live one."""
    keys = []

    def insert(part):
        connection = site.database.connect()
        with connection.cursor() as cursor:
            for number in range(40):
                key = f"{part}{number}".rjust(43, "A")
                keys.append(key)
                cursor.execute(
                    "INSERT INTO sessions (session_key, user_id, expires_at)"
                    " SELECT %s, id, now() + interval '1 hour' FROM users WHERE username = 'alice'",
                    (hashlib.sha256(key.encode()).digest(),),
                )
                site.daemon.ask(headers={"Cookie": f"onesession={random.choice(keys)}"})
        connection.close()

    def log_in():
        browser = Browser(site)
        for _ in range(30):
            browser.key = None
            browser.sign_in()
            keys.append(browser.key)
        browser.close()

    calls = [Background(insert, part) for part in "xyz"] + [Background(log_in) for _ in range(2)]
    for call in calls:
        call.result()
    newest = site.database.value("SELECT session_key FROM sessions ORDER BY login_order DESC LIMIT 1")
    random.shuffle(keys)
    live = []
    for key in keys:
        answer = site.daemon.ask(headers={"Cookie": f"onesession={key}"})
        assert answer.status in (200, 401)
        if answer.status == 200:
            live.append(hashlib.sha256(key.encode()).digest())
    assert live == [bytes(newest)]
    assert len(site.database.sessions()) == 1

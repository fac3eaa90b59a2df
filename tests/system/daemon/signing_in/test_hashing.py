"""Passwords are expensive to check: that must hold up nobody else, and tell nothing."""

import base64
import contextlib
import hashlib
import json
import os
import signal
import statistics
import time

import pytest

from support.client import CREDENTIALS, JSON, attempt, sign_in
from support.openmetrics import samples
from support.processes import exact_cpu_seconds, resident_bytes
from support.programs import Ctl
from support.stopped import stopped
from support.waiting import Background, wait_until

MIB = 1024 * 1024


def favour(pid):
    """
    All threads of it go before what else runs on this machine, where that is permitted. How long a failure is held back
    grows with how long its hash had to wait for a processor.
    """
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            os.setpriority(os.PRIO_PROCESS, int(task), -10)


def is_refused_or_busy(answer):
    body = json.loads(answer.body)
    if answer.status == 503:
        assert body["code"] == "busy"
        assert int(answer.get("Retry-After")) > 0
        return True
    assert (answer.status, body["code"]) == (401, "invalid_credentials")
    return True


class Hashing:
    """How many hashes have their memory, by looking at the hasher again and again."""

    def __init__(self, daemon, memory):
        self.hasher, self.memory = wait_until(lambda: daemon.hasher, "the hasher"), memory
        self.base = resident_bytes(self.hasher)
        self.most = 0

    def look(self):
        self.most = max(self.most, (resident_bytes(self.hasher) - self.base) / self.memory)


@pytest.mark.slow
@pytest.mark.parametrize("places", [1, 2])
def test_flood_of_logins_leaves_the_guard_answering(new_daemon, places):
    """No more hashes at once than there are places on the host, and everybody else is served meanwhile."""
    memory = 48 * MIB
    daemon = new_daemon(
        {
            "server.workers": 4,
            "login.max_hashing": places,
            "login.memory": f"{memory // MIB}MiB",
            "login.passes": 2,
        }
    ).start()
    signed_in = sign_in(daemon)
    daemon.await_workers(4)
    hashing = Hashing(daemon, memory)
    flood = [Background(attempt, daemon) for _ in range(12)]
    took = []
    while not all(call.is_done for call in flood):
        for path, headers, status in (
            ("/session/auth", signed_in, 200),
            ("/session/auth", {}, 401),
            ("/session/login", {}, 200),
            ("/session/health", {}, 200),
        ):
            began = time.monotonic()
            assert daemon.ask(path=path, headers=headers).status == status
            took.append(time.monotonic() - began)
            hashing.look()
        # What the processors do is to hash, not to ask.
        time.sleep(0.03)
    assert all(is_refused_or_busy(call.result()) for call in flood)
    assert len(took) > 20, "the flood was over too soon to show anything"
    assert 0.5 < hashing.most < places + 0.5, f"{hashing.most} hashes at once"
    took.sort()
    assert took[len(took) // 2] < 0.3, f"median {took[len(took) // 2]:.2f} s"
    assert took[-1] < 5, f"slowest {took[-1]:.2f} s"


@pytest.mark.slow
def test_login_that_finds_no_place_is_told_to_come_again(new_daemon):
    """Not left waiting for ever: an answer within a bound, 503 busy with Retry-After."""
    daemon = new_daemon(
        {"server.workers": 2, "login.max_hashing": 1, "login.memory": "32MiB", "login.passes": 4}
    ).start()
    hasher = wait_until(lambda: daemon.hasher, "the hasher")
    began = time.monotonic()
    # So many that not all are hashed in time, by however fast a machine, and each so cheap that some are by a slow one.
    flood = [Background(attempt, daemon) for _ in range(56)]
    # A tenth as fast: what it takes that logins wait for so long is time, and not all of a processor.
    while not any(call.is_done and call.result().status == 503 for call in flood) and time.monotonic() - began < 60:
        with stopped(hasher):
            time.sleep(0.45)
        time.sleep(0.05)
    answers = [call.result(90) for call in flood]
    took = time.monotonic() - began
    assert all(is_refused_or_busy(answer) for answer in answers)
    statuses = [answer.status for answer in answers]
    assert 401 in statuses and 503 in statuses, statuses
    assert took < 60
    # And it is over when the flood is.
    wait_until(lambda: attempt(daemon).status == 401, "logins to be possible again")


def test_password_whose_worker_has_died_is_not_waited_for(new_daemon):
    """What is being hashed is, and what waits for it is not."""
    daemon = new_daemon(
        {"server.workers": 1, "login.max_hashing": 1, "login.memory": "32MiB", "login.passes": 4}
    ).start()
    calls = [Background(attempt, daemon) for _ in range(6)]
    wait_until(lambda: hashing_waiting(daemon) == 5, "logins to wait")
    (worker,) = daemon.await_workers(1)
    os.kill(worker, signal.SIGKILL)
    assert all(call.result().status is None for call in calls)
    wait_until(lambda: daemon.workers and worker not in daemon.workers, "another worker")
    wait_until(lambda: daemon.ask().status == 401, "it to serve")
    assert hashing_waiting(daemon) == 0
    assert attempt(daemon).status == 401


def hashing_waiting(daemon):
    text = daemon.ask(path="/session/metrics", REMOTE_ADDR="127.0.0.1").body.decode()
    return samples(text)["onesession_hashing_waiting",]


def test_unknown_and_disabled_accounts_cost_as_much_as_a_wrong_password(new_daemon):
    """The hasher's time on the processor is compared, which other processes take no part in."""
    cost = {"login.memory": "8MiB", "login.passes": 2}
    daemon = new_daemon({"server.workers": 1, **cost}).start()
    # The accounts' hashes are cheap: give them one of the configured cost.
    ctl = Ctl(daemon.database.conninfo, **cost)
    for name in ("alice", "dora"):
        ctl.run("user", "passwd", name, stdin=daemon.database.password + "\n")
    kinds = {
        "wrong password": ("alice", "wrong password"),
        "unknown": ("nobody", "wrong password"),
        "disabled, right password": ("dora", daemon.database.password),
        "disabled, wrong password": ("dora", "wrong password"),
        "name of another shape": ("x" * 150, "wrong password"),
    }
    took = dict.fromkeys(kinds, 0.0)
    hasher = daemon.hasher
    favour(hasher)
    for _ in range(8):
        for kind, (username, password) in kinds.items():
            began = exact_cpu_seconds(hasher)
            expected = 403 if kind == "disabled, right password" else 401
            assert attempt(daemon, username, password).status == expected
            took[kind] += exact_cpu_seconds(hasher) - began
    reference = took["wrong password"]
    # A fraction of that is what the hasher takes for everything else.
    assert reference > 0.02, "too cheap to show anything"
    for kind, seconds in took.items():
        assert 0.6 < seconds / reference < 1.6, took


def test_password_of_another_cost_is_still_right(database, new_daemon):
    """Hashes name their own cost: changing the configuration locks nobody out."""
    daemon = new_daemon({"login.memory": "1MiB", "login.passes": 3}).start()
    assert daemon.ask(method="POST", path="/session/login", headers=JSON, body=CREDENTIALS).status == 200


@pytest.mark.parametrize(
    "stored", ["", "x", "!", "$argon2id$", "$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$", "pbkdf2_sha256$1$a$b"]
)
def test_hash_that_cannot_be_read_lets_nobody_in(database, daemon, stored):
    database.query("UPDATE users SET password = %s WHERE username = 'alice'", stored)
    for password in (database.password, stored, ""):
        assert attempt(daemon, "alice", password).status == 401


# ---- What the time tells ---------------------------------------------------------------------------------------------


# Each form costs a quarter of what is usual, our own as well: it is what they cost beside one another that could tell.
OWN = {"login.memory": "8MiB", "login.passes": 3}
# "right", as other programs have hashed it.
IMPORTED = {
    "bcrypt": "$2b$09$xxxxxxxxxxxxxxxxxxxxxulnoi.y1Q6rrQCKJOXHXg3D0cFluoSqq",
    "sha512": "$6$rounds=5000$xxxxxxxx$5/0K0ecAH3VqMIW/dsjpY2FDQITqfJ.5EeLkyeaXZ.fbdJuwQoQQzCNfpGYT2bwFyXQct4PbHM0sdRh9fuZI/0",
}


def imported(form):
    if form != "pbkdf2":
        return IMPORTED[form]
    digest = hashlib.pbkdf2_hmac("sha256", b"right", b"x" * 12, 100000)
    return f"pbkdf2_sha256$100000${'x' * 12}${base64.b64encode(digest).decode()}"


@pytest.mark.nightly
def test_failures_take_the_same_time_whatever_the_form_of_the_hash(database, new_daemon):
    """By the clock, as a guesser sees it; without the clock: test_failure_comes_no_sooner_whatever_the_form_of_the_hash."""
    daemon = new_daemon({"server.workers": 1, **OWN}).start()
    kinds = ["nobody", "own", "pbkdf2", "bcrypt", "sha512", "disabled pbkdf2"]
    passwords = {"as typed": "wrong password", "twice": "wrong passwo\u0301rd"}
    for kind in kinds[1:]:
        database.add_user(kind)
        if kind != "own":
            database.query("UPDATE users SET password = %s WHERE username = %s", imported(kind.split()[-1]), kind)
    database.query("UPDATE users SET is_active = false WHERE username LIKE 'disabled%%'")
    Ctl(database.owner_conninfo, **OWN).run("user", "passwd", "own", stdin=database.password + "\n")
    favour(daemon.hasher)
    for kind in kinds:
        attempt(daemon, kind)

    took = {(kind, how): [] for kind in kinds for how in passwords}

    def medians():
        return {key: statistics.median(times[-7:]) for key, times in took.items()}

    def spread(found):
        """What is compared a second time, as NFC, takes longer: for everybody alike."""
        of_kinds = [[found[kind, how] for kind in kinds] for how in passwords]
        return max(max(times) / min(times) for times in of_kinds)

    # A form that can be told by its time can be told each time, by a factor of two and more: three rounds are enough
    # where nothing else is at work. Another process's work comes and goes: there are up to 28, and the latest count.
    for number in range(28):
        for kind, how in took:
            began = time.monotonic()
            assert attempt(daemon, kind, passwords[how]).status == 401
            took[kind, how].append(time.monotonic() - began)
        if number >= 2 and spread(medians()) < 1.3:
            break
    assert spread(medians()) < 1.3, took

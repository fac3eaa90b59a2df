"""Passwords are expensive to check: that must hold up nobody else, and tell nothing."""

import json
import os
import signal
import time

import pytest

from harness import Background, Ctl, cpu_seconds, resident_bytes
from test_database import CREDENTIALS, JSON, sign_in
from waiting import wait_until

MIB = 1024 * 1024


def attempt(daemon, username="nobody", password="wrong password", timeout=60):
    body = json.dumps({"username": username, "password": password})
    return daemon.ask(method="POST", path="/session/login", headers=JSON, body=body, timeout=timeout)


def is_refused_or_busy(answer):
    body = json.loads(answer.body)
    if answer.status == 503:
        assert body["code"] == "busy"
        assert int(answer.get("Retry-After")) > 0
        return True
    assert (answer.status, body["code"]) == (401, "invalid_credentials")
    return True


class Hashing:
    """Which workers have the memory of a hash, by looking at them again and again."""

    def __init__(self, daemon, memory):
        self.daemon, self.memory = daemon, memory
        self.base = {pid: resident_bytes(pid) for pid in daemon.workers}
        self.most = 0

    def look(self):
        def has(pid):
            return resident_bytes(pid) - self.base[pid] > 0.6 * self.memory

        # Twice, so that one that ends while the next one begins is not counted for both.
        first = [pid for pid in self.base if has(pid)]
        self.most = max(self.most, len([pid for pid in first if has(pid)]))


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
            "login.passes": 4,
        }
    ).start()
    signed_in = sign_in(daemon)
    wait_until(lambda: len(daemon.workers) == 4, "four workers")
    hashing = Hashing(daemon, memory)
    flood = [Background(attempt, daemon) for _ in range(24)]
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
    assert all(is_refused_or_busy(call.result()) for call in flood)
    assert len(took) > 20, "the flood was over too soon to show anything"
    assert 1 <= hashing.most <= places, f"{hashing.most} hashes at once"
    took.sort()
    assert took[len(took) // 2] < 0.3, f"median {took[len(took) // 2]:.2f} s"
    # One that a hashing worker has taken, at worst, waits for that hash.
    assert took[-1] < 5, f"slowest {took[-1]:.2f} s"


@pytest.mark.slow
def test_login_that_finds_no_place_is_told_to_come_again(new_daemon):
    """Not left waiting for ever: an answer within a bound, 503 busy with Retry-After."""
    daemon = new_daemon(
        {"server.workers": 2, "login.max_hashing": 1, "login.memory": "96MiB", "login.passes": 24}
    ).start()
    began = time.monotonic()
    flood = [Background(attempt, daemon) for _ in range(12)]
    answers = [call.result(90) for call in flood]
    took = time.monotonic() - began
    assert all(is_refused_or_busy(answer) for answer in answers)
    statuses = [answer.status for answer in answers]
    assert 401 in statuses and 503 in statuses, statuses
    assert took < 60
    # And it is over when the flood is.
    wait_until(lambda: attempt(daemon).status == 401, "logins to be possible again")


def test_place_of_a_worker_that_died_is_free_again(new_daemon):
    daemon = new_daemon(
        {"server.workers": 2, "login.max_hashing": 1, "login.memory": "256MiB", "login.passes": 8}
    ).start()
    wait_until(lambda: len(daemon.workers) == 2, "two workers")
    for _ in range(2):
        hashing = Hashing(daemon, 256 * MIB)
        call = Background(attempt, daemon)

        def hashing_worker(hashing=hashing):
            return [pid for pid, base in hashing.base.items() if resident_bytes(pid) - base > 20 * MIB]

        (worker,) = wait_until(hashing_worker, "a worker to hash")
        os.kill(worker, signal.SIGKILL)
        assert call.result().status is None
        wait_until(lambda worker=worker: len(daemon.workers) == 2 and worker not in daemon.workers, "another worker")
    assert attempt(daemon).status == 401


def test_unknown_and_disabled_accounts_cost_as_much_as_a_wrong_password(new_daemon):
    """The worker's time on the processor is compared, which other processes take no part in."""
    daemon = new_daemon({"server.workers": 1, "login.memory": "32MiB", "login.passes": 2}).start()
    # The accounts' hashes are cheap: give them one of the configured cost.
    ctl = Ctl(daemon.database.conninfo, **{"login.memory": "32MiB", "login.passes": 2})
    for name in ("alice", "dora"):
        ctl.run("user", "passwd", name, stdin=daemon.database.password + "\n")
    kinds = {
        "wrong password": ("alice", "wrong password"),
        "unknown": ("nobody", "wrong password"),
        "disabled, right password": ("dora", daemon.database.password),
        "disabled, wrong password": ("dora", "wrong password"),
        "name of another shape": ("x" * 150, "wrong password"),
    }
    cost = dict.fromkeys(kinds, 0.0)
    (worker,) = daemon.workers
    for _ in range(5):
        for kind, (username, password) in kinds.items():
            began = cpu_seconds(worker)
            for _ in range(3):
                assert attempt(daemon, username, password).status == 401
            cost[kind] += cpu_seconds(worker) - began
    reference = cost["wrong password"]
    assert reference > 0.1, "too cheap to show anything"
    for kind, seconds in cost.items():
        assert 0.6 < seconds / reference < 1.6, cost


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

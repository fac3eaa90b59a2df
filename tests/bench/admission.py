"""
What may occupy a worker, and for how long: /auth beside the floor from one connection to many and at a fixed rate, and
/auth during a flood of logins, slow bodies, or the retirement of workers. Each measurement alternates with the one that it
is compared with, and, where there is another build (--base), with that one in the same rounds.
"""

import json
import time
from collections import Counter

from contestants import PASSWORD, Floor
from load import FEW_CONNECTIONS, Background, ask_openly, measure
from machine import Failure
from support.waiting import wait_until

CONNECTIONS = (1, 4, 16, 64, 256)
# Rate of the open loop: half of what the floor was capable of with so many connections.
CAPACITY_AT, SHARE = 64, 0.5
# Far more than are busy at once in normal operation.
OPEN_CONNECTIONS = 256

FLOOD_RATE = 1000
# As in hostile.c.
FLOOD_GRACE = 12
# From how many addresses, and whether the clients wait for the answer; see hostile.c.
FLOODS = [(addresses, manner) for addresses in ("one", "many") for manner in ("stay", "leave")]

# Connections, path, length of the body, as much of it at once, bytes a second.
BODIES = {
    "8": (8, "/session/login", 65536, 40960, 530),
    "24": (24, "/session/login", 65536, 40960, 530),
    "64": (64, "/session/login", 65536, 40960, 530),
    "16, nearly whole": (16, "/session/logout", 65000, 60000, 20),
}
# A rate at which requests wait for nothing but the slow bodies.
SLOW_RATE, SLOW_CONNECTIONS = 500, 64

RETIREMENT = 10000
RETIRING_WORKERS = (1, 8)

# Seconds, where the command line gives none: a flood and slow bodies need time to have an effect
# (server.request_timeout is 30 s). Workers get requests until most have reached the number at which they retire, within
# a limit.
TAIL_SECONDS, FLOOD_SECONDS, SLOW_SECONDS, RETIRE_SECONDS, RETIRE_SECONDS_MOST = 4, 8, 35, 4, 30
WARM_UP, ROUNDS, SLOW_ROUNDS = 1, 3, 1


class Contest:
    """The builds that are compared, with a database each, and how long each measurement takes."""

    def __init__(self, bench):
        self.bench = bench
        self.builds = ["before", "after"] if bench.options.base else ["after"]
        self.floor = Floor(bench, "bare-floor", bare=True)
        # With the default configuration. For the tail, the flood and the slow bodies.
        self.plain = {build: self._daemon(build, build) for build in self.builds}
        self.retiring = {
            (build, workers, requests): self._daemon(
                f"retire-{build}-{workers}-{requests}",
                build,
                **{"server.workers": workers, "server.max_requests": requests},
            )
            for build in self.builds
            for workers in RETIRING_WORKERS
            for requests in (0, RETIREMENT)
        }
        # Each flood comes from addresses of its own, for failed logins are counted by address.
        self.floods = Counter()

    def _daemon(self, name, build, **settings):
        return self.bench.onesession(name, database=build, build=build, bare=True, **settings)

    def seconds(self, usual):
        given = self.bench.options.given
        return given.seconds or usual

    @property
    def warm_up(self):
        given = self.bench.options.given.warm_up
        return WARM_UP if given is None else given

    def rounds(self, usual):
        return self.bench.options.given.rounds or usual

    @staticmethod
    def in_turn(number, what):
        """In odd rounds forwards, in even ones backwards."""
        return what if number % 2 else what[::-1]

    def fill(self):
        sessions = self.bench.options.sessions
        for service in self.plain.values():
            service.migrate()
            service.fill(sessions, sessions, more_accounts=sessions + 1)

    def keep(self, part, result, number, *path):
        found = self.bench.results.setdefault(part, {})
        for name in path[:-1]:
            found = found.setdefault(name, {})
        result["round"] = number
        found.setdefault(path[-1], []).append(result)


def facts(bench):
    """The settings of the measurements, for the report."""
    return {
        "contest_rounds": bench.contest.rounds(ROUNDS),
        "slow_rounds": bench.contest.rounds(SLOW_ROUNDS),
        "tail_seconds": bench.contest.seconds(TAIL_SECONDS),
        "flood_seconds": bench.contest.seconds(FLOOD_SECONDS),
        "capacity_at": CAPACITY_AT,
        "flood_rate": FLOOD_RATE,
        "flood_grace": FLOOD_GRACE,
        "bodies": BODIES,
        "slow_rate": SLOW_RATE,
        "slow_seconds": bench.contest.seconds(SLOW_SECONDS),
        "retirement": RETIREMENT,
        "retiring_workers": RETIRING_WORKERS,
    }


def prepare(bench):
    bench.contest = Contest(bench)


def services(bench):
    contest = bench.contest
    return [contest.floor, *contest.plain.values(), *contest.retiring.values()]


def plan(bench, add, step):
    """As parts.plan(), whose step() this is given."""
    contest = bench.contest
    if not bench.wants("tail", "flood", "slow", "retire"):
        return
    def start(name, what):
        """A step whose failure fails every part that needs it."""

        def call():
            said = bench.attempt(name, what)
            for part in ("tail", "flood at a rate", "slow", "retire"):
                if bench.has_failed(name):
                    bench.results["failed"].setdefault(part, bench.results["failed"][name])
            return said

        return call

    add("accounts for each build", 3 * len(contest.builds), start("builds", contest.fill))
    if bench.wants("tail", "flood", "slow"):
        add("starting the builds", 1, start("builds", lambda: begin(contest, contest.plain.values())))
    for name, make in (("tail", plan_tail), ("flood", plan_flood), ("slow", plan_slow)):
        if bench.wants(name):
            make(contest, add, step)
    if bench.wants("tail", "flood", "slow"):
        add("ending the builds", 1, lambda: end_all(contest.plain.values()))
    if bench.wants("retire"):
        plan_retire(contest, add, step)


def begin(contest, some):
    for service in some:
        contest.bench.stack.callback(service.stop)
        service.start()
        service.verify()


def end_all(some):
    for service in some:
        service.stop()


def summary(result):
    return f"{result['rate']:.0f}/s, p50 {result['p50']:.2f}, p99 {result['p99']:.2f}, at most {result['max']:.0f} ms"


# ---- The tail --------------------------------------------------------------------------------------------------------


def plan_tail(contest, add, step):
    bench, rounds, seconds = contest.bench, contest.rounds(ROUNDS), contest.seconds(TAIL_SECONDS)
    add("the floor", 1, step(bench, "tail", lambda: begin(contest, [contest.floor])))
    for number in range(1, rounds + 1):
        for load in (*CONNECTIONS, "open"):
            for side in contest.in_turn(number, ["floor", *contest.builds]):
                add(
                    f"tail, round {number} of {rounds}, {load}, {side}",
                    seconds + contest.warm_up + 0.3,
                    step(bench, "tail", lambda number=number, load=load, side=side: tail(contest, number, load, side)),
                )
    add("ending the floor", 1, lambda: end_all([contest.floor]))


def tail(contest, number, load, side):
    bench, seconds = contest.bench, contest.seconds(TAIL_SECONDS)
    service = contest.floor if side == "floor" else contest.plain[side]
    if load == "open":
        floors = bench.results["tail"]["floor"][str(CAPACITY_AT)]
        rate = round(SHARE * next(one["rate"] for one in floors if one["round"] == number))
        if contest.warm_up:
            ask_openly(bench, service, OPEN_CONNECTIONS, rate, contest.warm_up)
        result = ask_openly(bench, service, OPEN_CONNECTIONS, rate, seconds)
        require_all(service, result)
        result["asked"] = rate
    else:
        result = measure(
            bench,
            service.name,
            "/session/auth",
            ["sessions", str(bench.options.sessions)],
            load,
            seconds,
            warm_up=contest.warm_up,
        )
    contest.keep("tail", result, number, side, str(load))
    return summary(result)


def require_all(service, result):
    if set(result["statuses"]) != {"200"} or result["unanswered"]:
        raise Failure(f"{service.name} answered {result['statuses']}, and {result['unanswered']} times not")


# ---- A flood of logins -----------------------------------------------------------------------------------------------


def plan_flood(contest, add, step):
    bench, rounds, seconds = contest.bench, contest.rounds(ROUNDS), contest.seconds(FLOOD_SECONDS)
    for number in range(1, rounds + 1):
        for case in FLOODS:
            for build in contest.in_turn(number, contest.builds):
                add(
                    f"flood at a rate, round {number} of {rounds}, {' '.join(case)}, {build}",
                    contest.seconds(TAIL_SECONDS) + contest.warm_up + seconds + 8,
                    step(
                        bench,
                        "flood at a rate",
                        lambda number=number, build=build, case=case: flood(contest, number, build, case),
                    ),
                )


def quiet(contest, service, connections, rate):
    """The measurement just before a flood or slow bodies."""
    bench = contest.bench
    await_rest(bench, service)
    if contest.warm_up:
        ask_openly(bench, service, connections, rate, contest.warm_up)
    result = ask_openly(bench, service, connections, rate, contest.seconds(TAIL_SECONDS))
    require_all(service, result)
    return result


def flood(contest, number, build, case):
    """/auth from a second after the flood's beginning on, for as long as it was to last."""
    bench, service, seconds = contest.bench, contest.plain[build], contest.seconds(FLOOD_SECONDS)
    addresses, manner = case
    before = quiet(contest, service, FEW_CONNECTIONS, 0)
    # The next accounts in order, of those without a session.
    contest.floods[build] += 1
    first = bench.options.sessions + 1 + (contest.floods[build] - 1) * seconds % max(bench.options.sessions - seconds, 1)
    logins = Background(
        bench,
        "hostile",
        ["flood", service.socket, FLOOD_RATE, seconds, addresses, manner]
        + [contest.floods[build] % 255 + 1, first, PASSWORD],
    )
    try:
        time.sleep(min(1, seconds / 4))
        result = ask_openly(bench, service, FEW_CONNECTIONS, 0, max(seconds - 1, 1))
        result["flood"] = logins.result(seconds + 60)
    finally:
        logins.stop()
    result["quiet"] = before
    contest.keep("flood at a rate", result, number, build, f"{addresses} {manner}")
    waits = [one["took"] for one in result["flood"]["logins"] if one["in"]]
    return (
        f"{summary(result)} ({before['p99']:.2f} in quiet); {result['flood']['refused'] + result['statuses'].get('502', 0)} refused; "
        f"{len(waits)} of {len(result['flood']['logins'])} signed in, the last after {max(waits, default=0):.1f} s"
    )


def status(bench, service):
    return json.loads(bench.ask_directly(service, "/session/status", REMOTE_ADDR="127.0.0.1").body)


def await_rest(bench, service):
    """Until no password is hashed and no login waits, and the daemon has answered at once several times in a row."""
    calm = 0

    def is_at_rest():
        nonlocal calm
        began = time.monotonic()
        try:
            hashing = status(bench, service).get("hashing", {})
        except (OSError, ValueError, AssertionError):
            calm = 0
            return False
        busy = hashing.get("in_use", 0) or hashing.get("waiting", 0)
        calm = 0 if busy or time.monotonic() - began > 0.1 else calm + 1
        time.sleep(0.05)
        # Between two waiting logins the hash slot is free for a moment.
        return calm >= 10

    wait_until(is_at_rest, f"{service.name} to be at rest", timeout=120)


# ---- Slow bodies -----------------------------------------------------------------------------------------------------


def plan_slow(contest, add, step):
    bench, rounds, seconds = contest.bench, contest.rounds(SLOW_ROUNDS), contest.seconds(SLOW_SECONDS)
    for number in range(1, rounds + 1):
        for case in BODIES:
            for build in contest.in_turn(number, contest.builds):
                add(
                    f"slow bodies, round {number} of {rounds}, {case}, {build}",
                    seconds + contest.seconds(TAIL_SECONDS) + contest.warm_up + 3,
                    step(
                        bench,
                        "slow",
                        lambda number=number, case=case, build=build: slow(contest, number, case, build),
                    ),
                )


def slow(contest, number, case, build):
    bench, service, seconds = contest.bench, contest.plain[build], contest.seconds(SLOW_SECONDS)
    count, path, length, at_once, rate = BODIES[case]
    before = quiet(contest, service, SLOW_CONNECTIONS, SLOW_RATE)
    killed = status(bench, service)["counts"]["worker_timeouts"]
    bodies = Background(
        bench, "hostile", ["bodies", service.socket, count, seconds + 1, path, length, at_once, rate]
    )
    try:
        time.sleep(0.5)
        result = ask_openly(bench, service, SLOW_CONNECTIONS, SLOW_RATE, seconds)
        result["bodies"] = bodies.result(seconds + 60)
    finally:
        bodies.stop()
    await_rest(bench, service)
    result["killed"] = status(bench, service)["counts"]["worker_timeouts"] - killed
    result["quiet"] = before
    contest.keep("slow", result, number, build, case)
    return (
        f"p99 {result['p99']:.1f} ms ({before['p99']:.1f} in quiet), silent for {result['silence'] / 1000:.2f} s, "
        f"{result['killed']} killed"
    )


# ---- Retirement ------------------------------------------------------------------------------------------------------


def plan_retire(contest, add, step):
    bench, rounds = contest.bench, contest.rounds(ROUNDS)
    for workers in RETIRING_WORKERS:
        some = [service for (_, count, _), service in contest.retiring.items() if count == workers]
        add(f"starting those with {workers}", 1, step(bench, "retire", lambda some=some: begin(contest, some)))
        for number in range(1, rounds + 1):
            for which in contest.in_turn(number, [key for key in contest.retiring if key[1] == workers]):
                build, _, requests = which
                add(
                    f"retirement, round {number} of {rounds}, {workers} workers, max_requests {requests}, {build}",
                    contest.seconds(RETIRE_SECONDS + workers) + contest.warm_up + 0.3,
                    step(bench, "retire", lambda number=number, which=which: retire(contest, number, which)),
                )
        add(f"ending those with {workers}", 1, lambda some=some: end_all(some))


def retire(contest, number, which):
    bench, service = contest.bench, contest.retiring[which]
    build, workers, requests = which
    load = ["sessions", str(bench.options.sessions)]
    warm = measure(bench, service.name, "/session/auth", load, FEW_CONNECTIONS, max(contest.warm_up, 1), warm_up=0)
    enough = 1.3 * RETIREMENT * workers / warm["rate"]
    seconds = contest.seconds(min(max(RETIRE_SECONDS, round(enough)), RETIRE_SECONDS_MOST))
    starts = status(bench, service)["counts"]["worker_starts"]
    result = measure(bench, service.name, "/session/auth", load, FEW_CONNECTIONS, seconds, warm_up=0)
    result["retired"] = status(bench, service)["counts"]["worker_starts"] - starts
    contest.keep("retire", result, number, build, str(workers), str(requests))
    return f"{summary(result)}; {result['retired']} retired"

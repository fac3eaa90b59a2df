"""
Promises beyond the comparison: memory, a large database, a purge, a flood of wrong passwords, and logins. Each part is a
comparison of its own, whose measurements alternate in one run.
"""

import json
import statistics
import time

import admission
import compare
import platforms
import programs
from contestants import PASSWORD
from load import FEW_CONNECTIONS, Wrk, measure
from machine import Failure, memory_of, run, start
from support.processes import end
from support.waiting import wait_until

FLOOD_CONNECTIONS = 32
# Two are hashed and two wait: no hash slot is ever free, and no login waits so long that it is refused with Retry-After.
LOGIN_CONNECTIONS = 4
# A login takes so long that a shorter time would see too few of them.
LOGIN_SECONDS = 5
SMALL, SMALL_ACCOUNTS = 1000, 500
HASH_SLOTS = 2  # login.max_hashing

# last_seen_at is written once in this time. In the comparison of sizes it would be written at each request to the large
# database and at none to the small one.
NO_TOUCH = {"session.touch_interval": "1d"}
TOUCH = {"session.touch_interval": "0"}
NO_PURGE = {"session.purge_interval": "0"}
# So that wrong passwords are hashed, as those of many accounts and addresses would be.
NO_THROTTLE = {"login.attempts_per_user": 0, "login.attempts_per_address": 0}


def prepare(bench):
    bench.small = bench.onesession("small", **NO_TOUCH, **NO_PURGE)
    bench.large = bench.onesession("large", **NO_TOUCH, **NO_PURGE)
    bench.touched = bench.onesession("touched", database="large", **TOUCH, **NO_PURGE)
    bench.logins = bench.onesession("logins", database=bench.main.database, **NO_THROTTLE)
    admission.prepare(bench)
    programs.prepare(bench)
    compare.prepare(bench)
    platforms.prepare(bench)


def services(bench):
    """The services that nginx's configuration needs; they are started when their part begins."""
    own = [bench.small, bench.large, bench.touched, bench.logins]
    return [*own, *admission.services(bench), *programs.services(bench), *compare.services(bench), *platforms.services(bench)]


def plan(bench, add):
    options = bench.options
    once = options.warm_up + options.seconds + 0.5
    if bench.wants("size", "purge"):
        add(f"{options.large} sessions", options.large / 25000, lambda: bench.attempt("size", lambda: fill_large(bench)))
    if bench.wants("size"):
        add(f"{SMALL} sessions", 2, lambda: bench.attempt("size", lambda: fill_small(bench)))
        for number in range(1, options.rounds + 1):
            for name in ("small", "large") if number % 2 else ("large", "small"):
                what = f"size, round {number} of {options.rounds}, {name}"
                add(what, once, step(bench, "size", lambda name=name: size_round(bench, name)))
        what = "size, large, seen anew at every request"
        add(what, once, step(bench, "size", lambda: touch_round(bench)))
    if bench.wants("purge"):
        add(f"{options.expired} expired", options.expired / 20000, step(bench, "purge", lambda: fill_expired(bench)))
        for _ in range(2):
            add("purge, quiet before", once, step(bench, "purge", lambda: quiet(bench, "purge", "before")))
        add("purge", options.expired / 15000, step(bench, "purge", lambda: purge(bench)))
        for _ in range(2):
            add("purge, quiet after", once, step(bench, "purge", lambda: quiet(bench, "purge", "after")))
    if bench.wants("size", "purge"):
        add("ending the large daemons", 1, lambda: stop(bench.small, bench.large, bench.touched))
    if bench.wants("flood", "logins"):
        add("a daemon for logins", 1, lambda: bench.attempt("logins", lambda: begin(bench, bench.logins)))
    if bench.wants("flood"):
        for number in range(1, options.rounds + 1):
            what = f"flood, round {number} of {options.rounds}"
            add(f"{what}, quiet", once, step(bench, "flood", lambda: quiet_beside_flood(bench)))
            add(f"{what}, wrong passwords", once + 2, step(bench, "flood", lambda: flood_round(bench)))
    if bench.wants("logins"):
        for number in range(1, options.rounds + 1):
            what = f"logins, round {number} of {options.rounds}"
            took = login_seconds(bench)
            add(f"{what}, onesession", took + 1, step(bench, "logins", lambda: logins_round(bench)))
            add(f"{what}, bare hashing", took, step(bench, "logins", lambda: hashing_round(bench)))
    if bench.wants("flood", "logins"):
        add("ending the daemon for logins", 1, lambda: stop(bench.logins))
    programs.plan(bench, add, step)
    admission.plan(bench, add, step)
    compare.plan(bench, add, step)
    platforms.plan(bench, add)


def step(bench, part, call):
    """A step that is left out once its part has failed."""

    def wrapped():
        return "left out, for it has failed" if bench.has_failed(part) else bench.attempt(part, call)

    return wrapped


def begin(bench, service, one_session=True):
    bench.stack.callback(service.stop)
    service.start()
    service.verify(one_session)


def stop(*all_services):
    for service in all_services:
        service.stop()


# ---- Memory ----------------------------------------------------------------------------------------------------------


def memory(bench, when):
    if bench.has_failed("onesession"):
        return "left out, for it has failed"
    found = [memory_of(pid) for pid in bench.main.workers]
    bench.results.setdefault("memory", {})[when] = found
    return f"{statistics.mean(one['Pss'] for one in found):.0f} KiB each"


# ---- Size ------------------------------------------------------------------------------------------------------------


def prewarm(bench, database):
    """Loads tables and indexes into shared buffers, as they would be after some hours."""
    bench.server.query(database, "CREATE EXTENSION IF NOT EXISTS pg_prewarm")
    bench.server.query(
        database,
        "SELECT sum(pg_prewarm(oid)) FROM pg_class WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace",
    )


def fill_large(bench):
    large = bench.large
    large.migrate()
    large.fill(max(bench.options.large // 2, 1), bench.options.large, limit=2, more_accounts=1)
    prewarm(bench, large.database)
    begin(bench, large, one_session=False)


def fill_small(bench):
    small = bench.small
    small.migrate()
    small.fill(SMALL_ACCOUNTS, SMALL, limit=2, more_accounts=1)
    prewarm(bench, small.database)
    begin(bench, small, one_session=False)


def auth(bench, service, count, connections, **kwargs):
    trees = {"own": service.roots, "postgresql": [bench.server.process.pid], "nginx": bench.web.roots}
    return measure(
        bench,
        service.name,
        "/session/auth",
        ["sessions", str(count)],
        connections,
        bench.options.seconds,
        trees=trees,
        **kwargs,
    )


def summary(result):
    return f"{result['rate']:.0f}/s, p99 {result['p99']:.1f} ms"


def keep(bench, part, name, result):
    bench.results.setdefault(part, {}).setdefault(name, []).append(result)
    return summary(result)


def size_round(bench, name):
    service, count = {"small": (bench.small, SMALL), "large": (bench.large, bench.options.large)}[name]
    return keep(bench, "size", name, auth(bench, service, count, bench.options.connections))


def touch_round(bench):
    """As with the default interval when each request is the first of its session in a minute."""
    service = bench.touched
    begin(bench, service, one_session=False)
    result = auth(bench, service, bench.options.large, bench.options.connections)
    service.stop()
    bench.server.settle(service.database)
    return keep(bench, "size", "touched", result)


# ---- Purge -----------------------------------------------------------------------------------------------------------


def fill_expired(bench):
    large = bench.large
    bench.server.query(
        large.database,
        "INSERT INTO sessions (session_key, user_id, created_at, last_seen_at, expires_at)"
        " SELECT sha256(convert_to('expired' || i, 'UTF8')), 1000001 + i %% %s, now() - interval '15 days',"
        "        now() - interval '2 days', now() - interval '1 day'"
        " FROM generate_series(1, %s) i",
        (max(bench.options.large // 2, 1), bench.options.expired),
    )
    bench.server.settle(large.database)


def quiet(bench, part, when):
    return keep(bench, part, when, auth(bench, bench.large, bench.options.large, FEW_CONNECTIONS))


def purge(bench):
    """Measured repeatedly until the purge ends. A measurement during which it ended is left out."""
    large = bench.large
    process = start(
        bench.home,
        "purge",
        [bench.home.bin / "onesessionctl", "--json", "-o", f"database.conninfo={large.conninfo()}", "purge"],
    )
    began = time.monotonic()
    slices = []
    try:
        while process.poll() is None:
            result = auth(bench, large, bench.options.large, FEW_CONNECTIONS, warm_up=0)
            if process.poll() is None or not slices:
                slices.append(result)
        took = time.monotonic() - began
    finally:
        end(process)
    if process.returncode != 0:
        raise Failure(f"onesessionctl purge: exit status {process.returncode}")
    counts = json.loads((bench.home.log / "purge.log").read_text())
    if counts["sessions"] < bench.options.expired:
        raise Failure(f"the purge has removed {counts['sessions']} sessions")
    bench.results["purge"].update({"during": slices, "took": took, "counts": counts})
    worst = max(result["p99"] for result in slices)
    return f"{took:.0f} s, {len(slices)} measurements, p99 at most {worst:.1f} ms"


# ---- Flood and logins ------------------------------------------------------------------------------------------------


def await_rest(bench, service):
    """Until no password is hashed: logins that wrk left unfinished are hashed all the same, for the daemon does not notice."""
    since = None

    def is_at_rest():
        nonlocal since
        answer = bench.ask_directly(service, "/session/status", REMOTE_ADDR="127.0.0.1")
        if json.loads(answer.body)["hashing"]["in_use"] > 0:
            since = None
        elif since is None:
            since = time.monotonic()
        # Between two waiting logins the hash slot is free for a moment.
        return since is not None and time.monotonic() - since >= 0.5

    wait_until(is_at_rest, f"{service.name} to be at rest", timeout=120)


def quiet_beside_flood(bench):
    await_rest(bench, bench.logins)
    return keep(bench, "flood", "quiet", auth(bench, bench.logins, bench.options.sessions, FEW_CONNECTIONS))


def login_load(bench, password):
    """Sign-ins to the accounts that have no session in any load."""
    first = bench.options.sessions + 1
    return ["logins", str(first), str(bench.options.sessions), password]


def flood_round(bench):
    options = bench.options
    flood = Wrk(
        bench,
        bench.logins.name,
        "/session/login",
        login_load(bench, "wrong-" + PASSWORD),
        FLOOD_CONNECTIONS,
        options.warm_up + options.seconds + 2,
    )
    try:
        result = auth(bench, bench.logins, options.sessions, FEW_CONNECTIONS, warm_up=max(options.warm_up, 1))
        attempts = flood.result()
    finally:
        flood.stop()
    wrong = attempts["statuses"].get("401", 0)
    if wrong == 0:
        raise Failure(f"no wrong password was checked: {attempts['statuses']}")
    result["attempts"] = {"seconds": attempts["seconds"], "statuses": attempts["statuses"]}
    return f"{keep(bench, 'flood', 'noisy', result)}; {wrong / attempts['seconds']:.0f} wrong passwords a second"


def login_seconds(bench):
    return max(bench.options.seconds, LOGIN_SECONDS)


def logins_round(bench):
    """Without warming up: its last logins would be hashed during the first ones that are measured."""
    await_rest(bench, bench.logins)
    result = measure(
        bench,
        bench.logins.name,
        "/session/login",
        login_load(bench, PASSWORD),
        LOGIN_CONNECTIONS,
        login_seconds(bench),
        warm_up=0,
        trees={"own": bench.logins.roots, "postgresql": [bench.server.process.pid]},
    )
    if set(result["statuses"]) != {"200"}:
        raise Failure(f"logins were answered {result['statuses']}")
    return keep(bench, "logins", "onesession", result)


def hashing_round(bench):
    await_rest(bench, bench.logins)
    text = run(
        bench.home,
        [bench.home.bin / "hashing", bench.main.hash(), PASSWORD, HASH_SLOTS, login_seconds(bench)],
        "hashing",
    )
    bench.results["logins"].setdefault("hashing", []).append({"rate": float(text)})
    return f"{float(text):.1f}/s"

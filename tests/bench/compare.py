"""
onesession beside others that are configured to keep an account to one session: a file that each guards, the memory of a
worker, how long a displaced browser is still served and what its page says, and how many sessions simultaneous sign-ins
leave.
"""

import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from contestants import Django, Express
from lemonldap import LemonLdap
from load import ask, measure
from machine import Failure, memory_of

PARTS = ("guarded", "stale", "race")
RIVALS = ("lemonldap", "strict", "express", "django")

CONNECTIONS = 16
# Seconds and rounds, where the command line gives none.
SECONDS, WARM_UP, ROUNDS = 4, 1, 5

# How often a displaced browser sends requests, in seconds: at first, and after a while. One refused for so long is out.
OFTEN, SELDOM, OFTEN_FOR, OUT_AFTER = 0.5, 1.0, 20, 20
# It sends so many requests at once, as browsers do, and so reaches several workers.
AT_ONCE = 6

BROWSERS, RACES = (2, 3, 4), 20


class Comparison:
    """The contestants, each with another instance on the same database, as on another host."""

    def __init__(self, bench):
        self.services = {name: bench.services[name] for name in ("onesession", *RIVALS)}
        self.others = {}
        if bench.wants("stale"):
            self.others = {
                "onesession": bench.onesession("onesession-2", database="onesession"),
                "lemonldap": LemonLdap(bench, "lemonldap-2", database="lemonldap"),
                "strict": LemonLdap(bench, "strict-2", database="strict", strict=True),
                "express": Express(bench, "express-2", database="express"),
                "django": Django(bench, "django-2", database="django"),
            }


def services(bench):
    """The services that nginx's configuration needs beside the usual ones."""
    return list(bench.comparison.others.values()) if bench.comparison else []


def prepare(bench):
    bench.comparison = Comparison(bench) if bench.wants(*PARTS) else None


def facts(bench):
    given = bench.options.given
    return {
        "connections": CONNECTIONS,
        "seconds": given.seconds or SECONDS,
        "warm_up": WARM_UP if given.warm_up is None else given.warm_up,
        "rounds": given.rounds or ROUNDS,
        "sessions": bench.options.sessions,
        "workers": bench.options.workers,
        "at_once": AT_ONCE,
        "often": OFTEN,
        "seldom": SELDOM,
        "often_for": OFTEN_FOR,
        "stale": bench.options.stale,
        "browsers": BROWSERS,
        "races": RACES,
    }


def failed(bench, name, part):
    return bench.has_failed(name) or bench.has_failed(f"{part}, {name}")


def plan(bench, add, step):
    """As parts.plan(), whose step() this is given. Contestants that have failed are left out, and the others go on."""
    if not bench.wants(*PARTS):
        return
    comparison, options = bench.comparison, facts(bench)

    def of(name, part, call):
        return lambda: "left out, for it has failed" if failed(bench, name, part) else bench.attempt(f"{part}, {name}", call)

    if bench.wants("guarded"):
        for number in range(1, options["rounds"] + 1):
            for name in list(comparison.services)[:: 1 if number % 2 else -1]:
                what = f"a guarded file, round {number} of {options['rounds']}, {name}"
                once = options["seconds"] + options["warm_up"] + 0.5
                add(what, once, of(name, "guarded", lambda number=number, name=name: guarded(bench, number, name)))
        for name in comparison.services:
            add(f"memory, {name}", 2, of(name, "guarded", lambda name=name: memory(bench, name)))
    if bench.wants("race"):
        for name in comparison.services:
            add(f"simultaneous sign-ins, {name}", 10, of(name, "race", lambda name=name: race(bench, name)))
    if bench.wants("stale"):
        for name, service in comparison.others.items():
            add(f"another instance, {name}", 2, of(name, "stale", lambda service=service: begin(bench, service)))
        add("displaced browsers", options["stale"], step(bench, "stale", lambda: stale(bench)))


def begin(bench, service):
    bench.stack.callback(service.stop)
    service.start()


# ---- A guarded file, and memory --------------------------------------------------------------------------------------


def keep(bench, part, name, result):
    bench.results.setdefault(part, {}).setdefault(name, []).append(result)


def guarded(bench, number, name):
    service, options = bench.comparison.services[name], facts(bench)
    load = ["sessions", str(options["sessions"])] if name == "onesession" else bench.cookie_load(name)
    trees = {"own": service.roots, "postgresql": [bench.server.process.pid], "nginx": bench.web.roots}
    result = measure(
        bench, service.name, "/page", load, CONNECTIONS, options["seconds"], warm_up=options["warm_up"], trees=trees
    )
    result["round"] = number
    keep(bench, "guarded", name, result)
    return f"{result['rate']:.0f}/s, p99 {result['p99']:.1f} ms"


def memory(bench, name):
    """Measured when each worker has done all of its tasks, logins as well."""
    service = bench.comparison.services[name]
    for number in range(4 * bench.options.workers):
        service.log_in(f"u{number % bench.options.sessions + 1}")
    found = [memory_of(pid)["Pss"] for pid in service.workers]
    bench.results["guarded"][name][-1]["memory"] = found
    return f"{statistics.median(found) / 1024:.1f} MiB each"


# ---- A displaced browser ---------------------------------------------------------------------------------------------


def ask_at_once(service, cookie):
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda _: service.ask("/page", cookie).status, range(AT_ONCE)))


class Displaced:
    """A browser at one of two hosts, whose account was signed in elsewhere at the time `since`."""

    def __init__(self, name, where, service, cookie, since):
        self.name, self.where = name, where
        self.service, self.cookie, self.since = service, cookie, since
        self.last_in = 0.0
        self.is_out = False

    def come(self):
        """The time counts from when the requests were sent. One that is served is enough."""
        asked = time.monotonic() - self.since
        statuses = ask_at_once(self.service, self.cookie)
        if max(statuses) >= 500:
            raise Failure(f"{self.service.name} answered {max(statuses)} to a displaced browser")
        if 200 in statuses:
            self.last_in = asked
        self.is_out = asked - self.last_in > OUT_AFTER


def displace(bench, name, user):
    """Its browser at both hosts, displaced by a sign-in at the first."""
    here, there = bench.comparison.services[name], bench.comparison.others[name]
    old = here.log_in(user)
    # Often enough for each worker to have seen the session.
    for host in [here, there] * bench.options.workers:
        if set(ask_at_once(host, old)) != {200}:
            raise Failure(f"{host.name} refuses a session that was signed in at {here.name}")
    here.require("/page", here.log_in(user), user)
    since = time.monotonic()
    return [Displaced(name, where, host, old, since) for where, host in (("same", here), ("another", there))]


def stale(bench):
    """All contestants at the same time, for some take long."""
    names = [name for name in bench.comparison.services if not failed(bench, name, "stale")]
    browsers = [browser for number, name in enumerate(names, 1) for browser in displace(bench, name, f"u{number}")]
    began = time.monotonic()
    while not all(browser.is_out for browser in browsers):
        took = time.monotonic() - began
        if took > bench.options.stale:
            break
        for browser in browsers:
            if not browser.is_out:
                browser.come()
        time.sleep(OFTEN if took < OFTEN_FOR else SELDOM)
    found = {name: {} for name in names}
    for browser in browsers:
        found[browser.name][browser.where] = {"last_in": browser.last_in, "is_out": browser.is_out}
        if browser.where == "same":
            found[browser.name]["told"] = words(bench, browser) if browser.is_out else None
    bench.results["stale"] = found
    return "; ".join(f"{name} {one['same']['last_in']:.1f} and {one['another']['last_in']:.1f} s" for name, one in found.items())


def words(bench, browser):
    """The text of the page that a request with a displaced session gets, at the end of all redirects."""
    host, path = browser.service.name, "/page"
    for _ in range(5):
        answer = ask(bench.web.port, host, path, cookie=browser.cookie, Accept="text/html")
        if "location" not in answer.headers:
            return browser.service.words(answer.text)
        target = urlsplit(answer.headers["location"])
        host, path = target.hostname or host, f"{target.path}?{target.query}"
    raise Failure(f"{browser.service.name} redirects a displaced browser for ever")


# ---- Simultaneous sign-ins -------------------------------------------------------------------------------------------


def race(bench, name):
    service = bench.comparison.services[name]
    for number in range(RACES):
        for browsers in BROWSERS:
            left, signed_in = sign_in_together(service, f"u{number % bench.options.sessions + 1}", browsers)
            keep(bench, "race", name, {"browsers": browsers, "signed_in": signed_in, "left": left})
    found = bench.results["race"][name]
    return f"one session left in {sum(one['left'] == 1 for one in found)} of {len(found)} rounds"


def sign_in_together(service, user, browsers):
    """How many sessions are live afterwards, and how many browsers were signed in."""
    barrier = threading.Barrier(browsers)

    def browse(_):
        barrier.wait(30)
        try:
            cookie = service.log_in(user)
        except Failure:
            return None
        # The page to which a browser is redirected at once.
        service.ask("/page", cookie)
        return cookie

    with ThreadPoolExecutor(browsers) as pool:
        cookies = [cookie for cookie in pool.map(browse, range(browsers)) if cookie]
    return service.live(cookies), len(cookies)

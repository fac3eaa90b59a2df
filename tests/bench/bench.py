"""
make bench: onesession and others that do the same job, side by side on one PostgreSQL behind one nginx, and each promise
of the project about speed, measured. Writes docs/benchmarks.md.

  bench.py [--parts PART...] [--seconds N] [--rounds N] ...
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg2

import admission
import compare
import parts
import platforms
import programs
import report
from apache import Apache
from contestants import Django, Express, Floor, OneSession, Php, Refusals, Static, Web, environment_of_unit, token
from lemonldap import LemonLdap
from load import FEW_CONNECTIONS, measure, measure_pgbench, prepare_pgbench
from machine import HERE, PROGRAMS, Failure, Home, Server, become_reaper, descendants, describe_host, first_line
from support.processes import BUILD

# In the order in which they are measured. The floor is next to those that are compared with it.
SIDES = ("nginx", "floor", "auth", "me", "refused", "page", "php", "apache", "proxied", "express", "django", "lemonldap", "strict", "pgbench")
OTHERS = ("memory", "size", "purge", "flood", "logins", *programs.PARTS, "tail", "slow", "retire", *compare.PARTS, *platforms.PARTS)


# Defaults of the options. The parts of admission.py have their own.
USUAL = {"seconds": 8, "warm_up": 2, "rounds": 5}


class Side:
    """One row of the comparison."""

    def __init__(self, name, service, path, load, direct=False, refused=False):
        self.name, self.service, self.path, self.load = name, service, path, load
        self.direct, self.refused = direct, refused


class Plan:
    """The steps of the run, with an estimate of the time that each takes: prints the next step and the time left."""

    def __init__(self):
        self.steps = []
        self.done = 0
        self.began = time.monotonic()

    def add(self, what, seconds, call):
        self.steps.append((what, seconds, call))

    def run(self):
        expected = sum(seconds for _, seconds, _ in self.steps)
        print(f"{len(self.steps)} steps, about {round(expected / 60 + 0.5)} minutes", flush=True)
        spent = 0
        for number, (what, seconds, call) in enumerate(self.steps, 1):
            began = time.monotonic()
            said = call()
            took = time.monotonic() - began
            spent += seconds
            # The estimates are scaled by the pace so far.
            pace = (time.monotonic() - self.began) / spent if spent > 30 else 1
            left = sum(step[1] for step in self.steps[number:]) * pace
            following = f"next: {self.steps[number][0]}, {left / 60:.0f} min left" if left else "the report is next"
            print(f"[{number}/{len(self.steps)}] {what}: {said or f'{took:.0f} s'}; {following}", flush=True)


class Bench:
    """The whole run. All that is started is registered with `stack`, which ends it in the opposite order."""

    def __init__(self, options):
        self.options = options
        self.home = self.server = self.web = self.main = None
        self.services = {}
        self.comparison = None
        self.sides = []
        self.results = {"options": {}, "began": time.strftime("%Y-%m-%d %H:%M %Z"), "failed": {}, "sides": {}}
        self.plan = Plan()
        self.stack = contextlib.ExitStack()
        self.pgbench = None

    def wants(self, *names):
        return any(name in self.options.parts for name in names)

    # ---- Helpers of all parts ----

    def token_cookie(self, number):
        return f"onesession={token(number)}"

    def cookies(self, name, lines=None):
        """The cookies of a load; with `lines` they are stored."""
        path = self.home.path / f"cookies.{name}"
        if lines is not None:
            self.home.file(path, "".join(f"{line}\n" for line in lines))
        return path.read_text().split("\n")[:-1]

    def cookie_load(self, name):
        return ["cookies", self.home.path / f"cookies.{name}"]

    def onesession(self, name, database=None, **more):
        return OneSession(self, name, database, **more)

    def ask_directly(self, service, path, cookie="", **parameters):
        """Without nginx."""
        import fastcgi  # pylint: disable=import-outside-toplevel,import-error

        return fastcgi.send(str(service.socket), path=path, headers={"Cookie": cookie}, **parameters)

    def attempt(self, name, call):
        """A failure is noted in the report, and the run goes on without it."""
        try:
            return call()
        except (Failure, AssertionError, OSError, psycopg2.Error, subprocess.SubprocessError) as error:
            reason = " ".join(str(error).split())[:400]
            self.results["failed"].setdefault(name, reason)
            return f"FAILED: {reason}"

    def has_failed(self, name):
        return name in self.results["failed"]

    # ---- Setting up ----

    def set_up(self):
        self.home = Home(self.options.base)
        self.stack.callback(self.home.clean)
        self.server = Server(self.home)
        self.web = Web(self)
        self.results["host"] = describe_host(self.home)
        self.main = self.onesession("onesession")
        make = {
            "nginx": lambda: Static(self, "nginx"),
            "floor": lambda: Floor(self, "floor"),
            "refused": lambda: Refusals(self, "refused", self.main),
            "php": lambda: Php(self, "php"),
            "apache": lambda: Apache(self, "apache"),
            "express": lambda: Express(self, "express"),
            "django": lambda: Django(self, "django"),
            "lemonldap": lambda: LemonLdap(self, "lemonldap"),
            "strict": lambda: LemonLdap(self, "strict", strict=True),
        }
        wanted = set(self.options.parts) | {"nginx"}
        if "proxied" in wanted:
            wanted.add("apache")
        if self.wants("check", "issue"):
            wanted.update(programs.RIVALS)
        if self.wants(*compare.PARTS):
            wanted.update(compare.RIVALS)
        self.services = {"onesession": self.main}
        self.services.update((name, make[name]()) for name in make if name in wanted)
        sessions = ["sessions", str(self.options.sessions)]
        services, own = self.services, lambda name: self.cookie_load(name)
        for name in SIDES:
            if name not in self.options.parts:
                continue
            side = {
                "nginx": lambda: Side("nginx", services["nginx"], "/", ["nothing"]),
                "floor": lambda: Side("floor", services["floor"], "/session/auth", sessions),
                "auth": lambda: Side("auth", self.main, "/session/auth", sessions),
                "me": lambda: Side("me", self.main, "/session/me", sessions),
                "refused": lambda: Side("refused", services["refused"], "/session/auth", ["nothing"], refused=True),
                "page": lambda: Side("page", self.main, "/page", sessions),
                "php": lambda: Side("php", services["php"], "/auth", sessions),
                "apache": lambda: Side("apache", services["apache"], "/auth", own("apache"), direct=True),
                "proxied": lambda: Side("proxied", services["apache"], "/auth", own("apache")),
                "express": lambda: Side("express", services["express"], "/auth", own("express")),
                "django": lambda: Side("django", services["django"], "/auth", own("django")),
                "lemonldap": lambda: Side("lemonldap", services["lemonldap"], "/page", own("lemonldap")),
                "strict": lambda: Side("strict", services["strict"], "/page", own("strict")),
                "pgbench": lambda: Side("pgbench", None, None, None),
            }[name]()
            self.sides.append(side)
        parts.prepare(self)

    def install_modules(self):
        """Installs the Express application's npm packages, once."""
        folder = BUILD / "bench/npm"
        folder.mkdir(parents=True, exist_ok=True)
        mark = folder / "installed"
        lock = HERE / "express/package-lock.json"
        if mark.exists() and mark.read_bytes() == lock.read_bytes():
            return "there already"
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / "express" / name, folder)
        done = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise Failure(f"npm: {done.stderr[-300:]}")
        shutil.copy(lock, mark)
        return None

    def start_database(self):
        self.server.create()
        self.stack.callback(self.server.stop)
        self.server.start()
        self.main.migrate()
        # Accounts with sessions, accounts for the logins, and one for checking that sessions are displaced.
        self.main.fill(self.options.sessions, self.options.sessions, more_accounts=self.options.sessions + 1)

    def start_service(self, name):
        service = self.services[name]
        self.stack.callback(service.stop)
        service.start()

    def start_web(self):
        self.stack.callback(self.web.stop)
        self.web.start([*self.services.values(), *parts.services(self)])

    def verify(self, name):
        self.services[name].verify()
        return "does its job"

    # ---- Measuring ----

    def measure_side(self, side):
        options = self.options
        if side.name == "pgbench":
            return measure_pgbench(self, self.pgbench, options.workers, options.seconds)
        service = side.service
        port = service.port if side.direct else None
        trees = {"own": service.roots, "postgresql": [self.server.process.pid]}
        if not side.direct:
            trees["nginx"] = self.web.roots
        result = measure(
            self,
            service.name,
            side.path,
            side.load,
            options.connections,
            options.seconds,
            port=port,
            refused=side.refused,
            trees=trees,
        )
        if side.refused:
            service.require_no_odd()
        return result

    def round(self, number, side):
        failed = side.service is not None and self.has_failed(side.service.name)
        if self.has_failed(side.name) or failed:
            return "left out, for it has failed"

        def call():
            result = self.measure_side(side)
            result["round"] = number
            self.results["sides"].setdefault(side.name, []).append(result)
            tail_time = f", p99 {result['p99']:.1f} ms" if "p99" in result else ""
            return f"{result['rate']:.0f}/s{tail_time}"

        return self.attempt(side.name, call)

    def make_plan(self):
        options, add = self.options, self.plan.add
        once = options.warm_up + options.seconds + 0.5
        names = [name for name in self.services]
        if "express" in names:
            add("what Express needs from npm", 10, lambda: self.attempt("express", self.install_modules))
        add("PostgreSQL and the accounts", 8, self.start_database)
        for name in names:
            if name == "nginx":
                continue
            add(f"starting {name}", 4 if name == "django" else 1, lambda name=name: self._start(name))
        add("starting nginx", 1, self.start_web)
        for name in names:
            seconds = 5 if name in ("express", "apache", "django") else 1
            add(f"checking {name}", seconds, lambda name=name: self.attempt(name, lambda: self.verify_started(name)))
        if self.wants("pgbench"):
            add("the hook's statement", 1, lambda: self.attempt("pgbench", self.capture))
        if self.wants("memory"):
            add("memory of fresh workers", 1, lambda: parts.memory(self, "fresh"))
        for number in range(1, options.rounds + 1):
            # Alternately forwards and backwards, so that drift affects all alike.
            sides = self.sides if number % 2 else self.sides[::-1]
            for side in sides:
                what = f"round {number} of {options.rounds}, {side.name}"
                add(what, once, lambda number=number, side=side: self.round(number, side))
        if self.wants("memory"):
            add("memory of the workers after that", 1, lambda: parts.memory(self, "after"))
        parts.plan(self, add)

    def _start(self, name):
        return self.attempt(name, lambda: self.start_service(name))

    def capture(self):
        self.pgbench = prepare_pgbench(self)

    def verify_started(self, name):
        if self.has_failed(name):
            return "left out, for it has failed"
        return self.verify(name)

    def run(self):
        with self.stack:
            self.stack.callback(end_all)
            self.set_up()
            self.make_plan()
            self.stack.callback(ignore_signals)
            self.plan.run()
            self.results["versions"] = report.versions(self)
            self.results["settings"] = {"postgresql": self.server.settings}
        self.results["took_minutes"] = round((time.monotonic() - self.plan.began) / 60, 1)
        self.results["options"].update(
            {name: value for name, value in vars(self.options).items() if name not in ("base", "given")},
            base=None if self.options.base is None else commit_of(self.options.base),
            environment=environment_of_unit(),
            **admission.facts(self),
            comparison=compare.facts(self),
            program_calls=programs.CALLS,
            platforms=platforms.facts(self),
            all_parts=[*SIDES, *OTHERS],
            few_connections=FEW_CONNECTIONS,
            flood_connections=parts.FLOOD_CONNECTIONS,
            login_connections=parts.LOGIN_CONNECTIONS,
        )
        report.keep(self.results)


def read_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0], prog="make bench")
    number = lambda text: max(int(text), 1)  # noqa: E731
    parser.add_argument("--parts", default="", help=f"of: {' '.join(SIDES + OTHERS)}; report: only write it anew")
    parser.add_argument("--seconds", type=number, help="of each measurement; 8, the last parts have their own")
    parser.add_argument("--warm-up", type=int, help="seconds before each; 2, and 1 in the last parts")
    parser.add_argument("--rounds", type=number, help="5; 3 and for slow bodies 1 in the last parts")
    parser.add_argument("--base", help="a folder with another build/, which tail, flood, slow and retire also measure")
    parser.add_argument("--connections", type=number, default=64)
    parser.add_argument("--threads", type=number, default=1, help="wrk's")
    parser.add_argument("--workers", type=number, default=8, help="of each that has a fixed number of them")
    parser.add_argument("--sessions", type=number, default=1000, help="live ones, each of an account of its own")
    parser.add_argument("--stale", type=number, default=660, help="seconds after which displaced browsers are given up")
    parser.add_argument("--large", type=number, default=1_000_000, help="sessions of the large database")
    parser.add_argument("--expired", type=number, default=1_000_000, help="expired sessions to purge")
    options = parser.parse_args()
    everything = [*SIDES, *OTHERS]
    chosen = options.parts.split() or everything
    unknown = [name for name in chosen if name not in (*everything, "report")]
    if unknown:
        parser.error(f"no such part: {' '.join(unknown)}; there are: {' '.join(everything)} report")
    options.parts = [name for name in everything if name in chosen]
    options.given = argparse.Namespace(**{name: getattr(options, name) for name in USUAL})
    for name, usual in USUAL.items():
        if getattr(options, name) is None:
            setattr(options, name, usual)
    if options.base is not None:
        options.base = Path(options.base).resolve()
        lacking = [name for name in PROGRAMS if not (options.base / "build" / name).exists()]
        if lacking:
            parser.error(f"there is no {lacking[0]} in {options.base}/build")
    options.whole = options.parts == everything
    # Those that have sections of their own in the documents.
    options.only_sections = bool(options.parts) and set(options.parts) <= {*compare.PARTS, *platforms.PARTS}
    return options


def commit_of(folder):
    return first_line(["git", "-C", str(folder), "rev-parse", "--short", "HEAD"])


def ignore_signals():
    """While things are ended: another Ctrl-C would interrupt that and leave processes behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def end_all():
    """Ends all descendants that still run, those whose parent has exited as well."""
    me = os.getpid()
    for pid in descendants([me]):
        if pid != me:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    options = read_options()
    os.umask(0o022)
    become_reaper()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    try:
        if not options.parts:
            return report.write()
        bench = Bench(options)
        bench.run()
        return report.write_sections(bench.results) if options.only_sections else report.write()
    except KeyboardInterrupt:
        print("\nStopped; there is no report.", file=sys.stderr)
        return 130
    except (Failure, AssertionError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

"""
make soak: clients that sign in, send requests and sign out for half an hour, while the configuration is re-read, logs are
reopened, the binary is replaced and sessions are purged. Does anything grow? Writes docs/soak.md and docs/soak.svg.
"""

import argparse
import contextlib
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psycopg2
import requests

from machine import ROOT, Failure, become_reaper, program
from support import postgres, processes, programs, waiting
from support.browser import Browser
from support.nginx import Nginx
from support.site import Site

SETTINGS = {
    "server.workers": 4,
    "server.max_requests": 5000,
    "database.statement_timeout": "3s",
    "session.lifetime": "4m",
    "session.touch_interval": "5s",
    "session.purge_interval": "20s",
    "session.history": "2m",
    "login.attempts_window": "1m",
    "log.level": "warning",
}
ACCOUNTS, CLIENTS = 40, 6
SAMPLE_S, PROGRESS_S = 10, 30
RELOAD_S, REOPEN_S, UPGRADE_S = 30, 45, 180
# As fractions of the run: until then binaries are replaced, and until then the configuration is re-read. Growth of a
# process shows only if it runs long enough: first the master is no longer replaced, then the workers.
SAME_MASTER, SAME_WORKERS = 1 / 6, 1 / 2
# Where growth is measured, as fractions of the run; all other quantities in the last two thirds.
SPANS = {"worker_kib": (SAME_WORKERS + 0.05, 1), "master_kib": (SAME_MASTER + 0.05, 1)}
# By how much the later half may exceed the earlier one: noise of the measurement.
MAY_GROW = {"worker_kib": 256, "master_kib": 128, "descriptors": 2, "connections": 1, "table_kib": 4096}
TITLES = {
    "worker_kib": "memory of a worker (anonymous, the most), KiB",
    "master_kib": "memory of the master (anonymous), KiB",
    "descriptors": "descriptors of a process (the most)",
    "connections": "connections to the database",
    "sessions": "rows in sessions",
    "table_kib": "all tables and indexes, KiB",
}


class Load:
    """Clients that send requests as fast as they are answered."""

    def __init__(self, site):
        self.site = site
        self.is_over = threading.Event()
        self.lock = threading.Lock()
        self.counts = Counter()
        self.clients = []

    def count(self, what, status):
        with self.lock:
            self.counts[what, status] += 1

    def act(self, browser, choice):
        name = f"person{choice.randrange(ACCOUNTS)}"
        what = choice.choices(
            ("auth", "me", "state", "dead", "garbage", "anonymous", "page", "login", "wrong", "logout"),
            (30, 10, 10, 5, 5, 5, 3, 8, 2, 2),
        )[0]
        if what == "login":
            browser.key = None
            answer = browser.login(name)
        elif what == "wrong":
            answer = browser.login(name, "not the password")
        elif what == "logout":
            answer = browser.logout()
        else:
            key = {"dead": f"{choice.randrange(10**6):043d}", "garbage": "x" * choice.randrange(200), "anonymous": None}
            cookies = {"onesession": key.get(what, browser.key)} if key.get(what, browser.key) is not None else {}
            path = {"me": "me", "state": "state", "page": "sessions"}.get(what, "auth")
            kept, browser.key = browser.key, None
            answer = browser.get(f"/session/{path}", cookies=cookies)
            browser.key = kept
        self.count(what, answer.status_code)

    def run_client(self, number):
        choice = random.Random(number)
        while not self.is_over.is_set():
            browser = Browser(self.site, program=choice.random() < 0.7, permits_5xx=True)
            with contextlib.closing(browser):
                for _ in range(200):
                    if self.is_over.is_set():
                        return
                    try:
                        self.act(browser, choice)
                    except requests.RequestException:
                        self.count("no answer", 0)
            # Only the tests need the keys, and the record of them would grow.
            self.site.secrets.clear()

    def start(self):
        self.clients = [threading.Thread(target=self.run_client, args=(number,), daemon=True) for number in range(CLIENTS)]
        for client in self.clients:
            client.start()

    def stop(self):
        self.is_over.set()
        for client in self.clients:
            client.join(waiting.PATIENCE)

    def total(self):
        with self.lock:
            return sum(self.counts.values())

    def failures(self):
        with self.lock:
            return sum(times for (_, status), times in self.counts.items() if status == 0 or status >= 500)


def anonymous_kib(pid):
    """Allocated memory, whichever processes map the same libraries: PSS changes when other processes start and end."""
    with contextlib.suppress(OSError):
        found = re.search(r"^Anonymous:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
        return int(found[1]) if found else 0
    return 0


def descriptors(pid):
    with contextlib.suppress(OSError):
        return len(os.listdir(f"/proc/{pid}/fd"))
    return 0


class Soak:
    """The whole run."""

    def __init__(self, minutes):
        self.minutes = minutes
        self.stack = contextlib.ExitStack()
        self.cluster = self.database = self.daemon = self.site = self.load = None
        self.samples = []
        self.problems = []
        self.done = Counter()

    def set_up(self):
        self.cluster = postgres.Cluster()
        self.stack.callback(self.cluster.remove)
        self.cluster.create()
        self.cluster.set({"autovacuum": "on", "autovacuum_naptime": "10s"})
        self.cluster.start()
        postgres.database_with_template(self.cluster)
        self.database = postgres.new_database(self.cluster)
        for number in range(ACCOUNTS):
            self.database.add_user(f"person{number}")
        self.daemon = programs.Daemon(self.database, SETTINGS)
        self.stack.callback(self.end_daemon)
        self.daemon.start()
        nginx = Nginx(self.daemon.address)
        self.stack.callback(nginx.close)
        nginx.start()
        self.site = Site(self.database, self.daemon, nginx)
        self.load = Load(self.site)

    def processes(self):
        return processes.processes_with(self.daemon.conf)

    def masters(self):
        """The daemon's master; two during an upgrade."""
        all_of_them = set(self.processes())
        return [pid for pid in all_of_them if (processes.stat_of(pid) or [0, 0])[1] not in map(str, all_of_them)]

    def end_daemon(self):
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.masters() if number == signal.SIGTERM else self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            with contextlib.suppress(AssertionError):
                waiting.wait_until(lambda: self.processes() == [], "the daemon to end")
        processes.discard(self.daemon.folder)

    # ---- Disturbances ----

    def disturb(self, what, number):
        for pid in self.masters():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        self.done[what] += 1

    def reload(self):
        self.disturb("re-read", signal.SIGHUP)

    def reopen(self):
        self.disturb("logs reopened", signal.SIGUSR1)

    def upgrade(self):
        old = self.masters()
        self.disturb("binary replaced", signal.SIGUSR2)
        try:
            waiting.wait_until(lambda: len(self.masters()) == 1 and self.masters() != old, "the new master alone")
        except AssertionError as error:
            self.problems.append(str(error))

    def stop_retiring(self):
        """From now on no worker is replaced."""
        self.daemon.settings["server.max_requests"] = 0
        programs.write_conf(self.daemon.conf, self.daemon.settings)
        self.reload()

    # ---- Measuring ----

    def sample(self, at):
        masters = self.masters()
        workers = [pid for pid in self.processes() if pid not in masters]
        seen = {
            "at": at,
            "answers": self.load.total(),
            "worker_kib": max(map(anonymous_kib, workers), default=0),
            "master_kib": max(map(anonymous_kib, masters), default=0),
            "descriptors": max(map(descriptors, [*masters, *workers]), default=0),
        }
        try:
            seen["connections"] = len(self.cluster.backends(self.database.name))
            seen["sessions"] = self.database.value("SELECT count(*) FROM sessions")
            seen["table_kib"] = self.database.value(
                "SELECT (sum(pg_total_relation_size(oid)) / 1024)::bigint FROM pg_class"
                " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            )
        except psycopg2.Error as error:
            raise Failure(f"PostgreSQL: {error}") from error
        self.samples.append(seen)

    def run(self):
        began = time.monotonic()
        until = began + 60 * self.minutes
        self.load.start()
        same_master, same_workers = (began + 60 * self.minutes * part for part in (SAME_MASTER, SAME_WORKERS))
        # Each: the next time, the interval in seconds, the call, and the time after which it is not made.
        calls = [
            [began + SAMPLE_S, SAMPLE_S, lambda: self.sample(time.monotonic() - began), until],
            [began + PROGRESS_S, PROGRESS_S, lambda: self.print_progress(time.monotonic() - began), until],
            [began + min(RELOAD_S, 5 * self.minutes), RELOAD_S, self.reload, same_workers],
            [began + REOPEN_S + 7, REOPEN_S, self.reopen, until],
            [began + min(UPGRADE_S, 7 * self.minutes), UPGRADE_S, self.upgrade, same_master],
            [same_workers, until, self.stop_retiring, until],
        ]
        while calls:
            due = min(calls, key=lambda call: call[0])
            if due[0] >= due[3]:
                calls.remove(due)
                continue
            time.sleep(max(due[0] - time.monotonic(), 0))
            due[2]()
            due[0] += due[1]
        time.sleep(max(until - time.monotonic(), 0))
        self.load.stop()

    def print_progress(self, at):
        last = self.samples[-1]
        print(
            f"{at / 60:4.1f} of {self.minutes} min: {last['answers']:,} answers, {self.load.failures()} failed,"
            f" worker {last['worker_kib']} KiB, master {last['master_kib']} KiB, {last['descriptors']} descriptors, {last['connections']} connections,"
            f" {last['sessions']} sessions, tables {last['table_kib']} KiB",
            flush=True,
        )

    # ---- Evaluation ----

    def growth(self, name):
        """The medians of the earlier and the later half of the span in which growth of `name` is measured."""
        begin, end = (60 * self.minutes * part for part in SPANS.get(name, (1 / 3, 1)))
        earlier = [one[name] for one in self.samples if begin <= one["at"] < (begin + end) / 2]
        later = [one[name] for one in self.samples if (begin + end) / 2 <= one["at"]]
        if not earlier or not later:
            raise Failure("there were too few samples: more MINUTES, please")
        return statistics.median(earlier), statistics.median(later)

    def evaluate(self):
        rows, problems = [], list(self.problems)
        for name, title in TITLES.items():
            middle, last = self.growth(name)
            may = MAY_GROW.get(name)
            verdict = "" if may is None else "flat" if last - middle <= may else "**grows**"
            if verdict == "**grows**":
                problems.append(f"{title}: {middle:,.0f}, then {last:,.0f}")
            values = [one[name] for one in self.samples]
            allowed = f"{may:,}" if may is not None else "–"
            rows.append(
                f"| {title} | {min(values):,} – {max(values):,} | {middle:,.0f} | {last:,.0f} | {allowed} |"
                f" {verdict} |"
            )
        if self.load.failures():
            problems.append(f"{self.load.failures()} requests failed")
        return rows, problems

    def write(self, folder):
        rows, problems = self.evaluate()
        answers = Counter()
        for (_, status), times in self.load.counts.items():
            answers[status] += times
        by_status = ", ".join(f"{times:,} × {status or 'no answer'}" for status, times in sorted(answers.items()))
        done = ", ".join(f"{what} {times} times" for what, times in self.done.items())
        lines = [
            "# Soak",
            "",
            f"Written by `make soak`: {self.minutes} minutes of {CLIENTS} clients that sign in to {ACCOUNTS} accounts, send requests, open",
            "pages, give wrong passwords and sign out, through nginx, as fast as they can, with sessions of 4 minutes that",
            f"are purged every 20 s and workers that retire after 5,000 requests. Meanwhile: {done}.",
            "",
            f"Growth of a process shows only if it runs long enough. Binaries are replaced in the first {self.minutes * SAME_MASTER:.0f} minutes",
            f"only, and in the last {self.minutes * (1 - SAME_WORKERS):.0f} the configuration is not re-read and no worker retires: growth of the master",
            "and of the workers is measured there.",
            "",
            f"{self.load.total():,} answers: {by_status}.",
            "",
            "![Memory, descriptors, connections and tables over time](soak.svg)",
            "",
            "|  | lowest – highest | median, earlier | later | may grow by |  |",
            "| --- | ---: | ---: | ---: | ---: | --- |",
            *rows,
            "",
        ]
        (folder / "soak.md").write_text("\n".join(lines), encoding="utf-8")
        self.draw(folder / "soak.svg")
        return problems

    def draw(self, path):
        names = list(TITLES)
        data = "\n".join(" ".join(f"{one[name]}" for name in ("at", *names)) for one in self.samples)
        plots = "\n".join(
            f'set title "{TITLES[name]}"\nplot $data using ($1/60):{column} with lines lw 1.5 lc rgb "#1a66c2"'
            for column, name in enumerate(names, 2)
        )
        script = f"""
set terminal svg size 900,620 background rgb "white" font "DejaVu Sans,Helvetica,Arial,sans-serif,11" noenhanced
set output "{path}"
$data << END
{data}
END
unset key
set yrange [0:*]
set border 3 lc rgb "#666666"
set tics nomirror scale 0.5
set grid ytics lc rgb "#dddddd" lt 1
set xlabel "minutes"
set multiplot layout 3,2
{plots}
unset multiplot
"""
        done = subprocess.run(
            [program("gnuplot*")], input=script, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"}
        )
        if done.returncode != 0 or done.stderr.strip():
            raise Failure(f"gnuplot: {done.stderr.strip()[-400:]}")


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n\n", maxsplit=1)[0], prog="make soak")
    parser.add_argument("--minutes", type=int, default=30)
    options = parser.parse_args()
    folder = ROOT / "docs" if options.minutes >= 30 else processes.BUILD / "bench/report"
    folder.mkdir(parents=True, exist_ok=True)
    become_reaper()
    # All processes are ended whichever signal stops it.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)
    soak = Soak(options.minutes)
    try:
        with soak.stack:
            soak.set_up()
            soak.run()
            problems = soak.write(folder)
    except KeyboardInterrupt:
        print("\nStopped; there is no report.", file=sys.stderr)
        return 130
    except (Failure, AssertionError) as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    for problem in problems:
        print(f"NOT FLAT: {problem}")
    print(f"{'Something grew or failed' if problems else 'All flat'}. The report is {os.path.relpath(folder / 'soak.md')}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

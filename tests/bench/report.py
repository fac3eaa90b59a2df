"""The report: docs/benchmarks.md and its chart, from the results of the last run."""

import json
import os
import re
import statistics
import string
import subprocess
import sys

import compared
import platform_tables
from figures import NEVER, count, milliseconds, ratio, seconds, spread, table
from machine import HERE, ROOT, Failure, first_line, program
from support.processes import BUILD

RESULTS = BUILD / "bench/results.json"

# Of each contestant: its name in the tables and the chart, and what it is.
NAMES = {
    "nginx": ("nginx alone", "`return 200`: no program behind nginx."),
    "floor": (
        "the floor",
        "a program on libfcgi that does nothing but answer 200 (`floor.c`), behind the same nginx configuration, "
        "with as many processes and the same settings of the C library: what nginx, the kernel and libfcgi cost. A "
        "faster one needs what libfcgi does not do: several requests at a time, and closing without waiting for the peer to close.",
    ),
    "auth": (
        "onesession /auth",
        "the subrequest that nginx makes before each request to a guarded site, for a live session. The configuration is "
        "the default one but for `log.level = warning`, the environment that of `systemd/onesession.service`; the check "
        "is strict, the database is queried every time.",
    ),
    "me": ("onesession /me", "the same, with the account and session as JSON."),
    "refused": ("onesession /auth, no cookie", "no session: 401, and the database is not queried."),
    "page": (
        "a page guarded by onesession",
        "a small file that nginx serves after a subrequest to /auth (`auth_request`): what a visitor gets.",
    ),
    "php": (
        "PHP-FPM, PDO",
        "a page that makes the same check in one SELECT on onesession's own tables (`php/auth.php`): a static pool, "
        "OPcache, persistent connections (`PDO::ATTR_PERSISTENT`).",
    ),
    "apache": (
        "Apache, without nginx",
        "mod_session_dbd with mod_auth_form and mod_authn_dbd, event MPM, requested by wrk directly, as it is the web server "
        "itself. It checks that the session exists and the password is still right, but not that it is the "
        "account's only session, so it does less than the others. Passwords are hashed by one SHA-1, which is in its favour.",
    ),
    "proxied": ("Apache, behind nginx", "the same Apache through `proxy_pass`, with persistent connections."),
    "express": (
        "Express, connect-pg-simple",
        "express-session with its sessions in PostgreSQL, a process for each core (`cluster`), `NODE_ENV=production`; "
        "signing in deletes the account's other sessions. express-session writes the new expiry at every request.",
    ),
    "django": (
        "Django, one session per user",
        "gunicorn with sync workers and the middleware of the tutorial that onesession is modelled on: `LoggedInUser`, "
        "receivers of the login signals, and `OneSessionPerUserMiddleware`, which writes at every request. "
        "Connections are persistent (`CONN_MAX_AGE`).",
    ),
    "lemonldap": (
        "LemonLDAP::NG",
        "a page guarded by Debian's `lemonldap-ng-fastcgi-server` with `singleSession`: nginx calls it by `auth_request`. "
        "Sessions are in PostgreSQL, in the table that the manual of `Apache::Session::Browseable::PgJSON` has, and in the "
        "caches of its defaults: in files for 600 s, and for 15 s the last one of each process. It makes a connection to "
        "the database for each session that is in neither. No password is hashed.",
    ),
    "strict": (
        "LemonLDAP::NG, no caches",
        "the same as strict as onesession (`localSessionStorage` empty, `handlerInternalCache` 0): the database is queried every "
        "time. pgbouncer keeps the connections open.",
    ),
    "pgbench": (
        "pgbench, the hook's SELECT",
        "no web server: the statement of onesession's hook, as PostgreSQL logged it, prepared, by "
        "as many clients as there are workers.",
    ),
}


# Of the parts of admission.py: names in the results and in the tables.
TAIL_LOADS = {
    "1": "1 connection",
    "4": "4 connections",
    "16": "16 connections",
    "64": "64 connections",
    "256": "256 connections",
    "open": "at a fixed rate",
}
RATED_FLOOD = "flood at a rate"
FLOODS = {
    "one stay": "from one address",
    "one leave": "from one address, disconnecting",
    "many stay": "each from another address",
    "many leave": "each from another address, disconnecting",
}


# ---- Results ---------------------------------------------------------------------------------------------------------


class Results:
    """The results of a run."""

    def __init__(self, data):
        self.data = data
        self.options = data["options"]
        self.sides = data["sides"]
        self.failed = data["failed"]

    def column(self, name, key):
        return [one[key] for one in self.sides.get(name, []) if key in one]

    def paired(self, name, other, key="rate"):
        """The ratios of each round in which both were measured."""
        others = {one["round"]: one for one in self.sides.get(other, [])}
        return [one[key] / others[one["round"]][key] for one in self.sides.get(name, []) if one["round"] in others]

    def by_turns(self, part, one, other, key):
        """The ratios within one part: the first measurement of `one` to the first of `other`, and so on."""
        found = self.data.get(part, {})
        return [a[key] / b[key] for a, b in zip(found.get(one, []), found.get(other, []))]

    @property
    def builds(self):
        """The builds that are measured: their names in the results and in the tables."""
        if not self.options.get("base"):
            return {"after": "onesession"}
        return {"before": f"before ({self.options['base']})", "after": "after"}

    def found(self, *path):
        """The results of a part, by round."""
        found = self.data
        for name in path:
            found = found.get(name, {})
        return {one["round"]: one for one in found} if found else {}

    def in_rounds(self, one, other, key):
        """The ratios of each round in which both were measured. Each is where found() finds it."""
        others = self.found(*other)
        return [a[key] / b[key] for number, a in self.found(*one).items() if (b := others.get(number)) and b[key]]

    def purge(self):
        """Each p99 during the purge, and each of the quiet times before and after."""
        found = self.data.get("purge", {})
        around = [one["p99"] for when in ("before", "after") for one in found.get(when, [])]
        during = [one["p99"] for one in found.get("during", [])]
        return during, around


# ---- The bars --------------------------------------------------------------------------------------------------------


def bars(results):
    """Each: the promise, the bar, the figures (one a round), whether the bar is met, how a figure is written."""

    def at_least(values, wanted):
        return bool(values) and statistics.median(values) >= wanted

    def at_most(values, wanted):
        return bool(values) and statistics.median(values) <= wanted

    floor = results.paired("auth", "floor")
    slower = results.paired("auth", "floor", "p99")
    django, php = results.paired("auth", "django"), results.paired("auth", "php")
    apache, proxied = results.paired("auth", "apache"), results.paired("auth", "proxied")
    size = results.by_turns("size", "large", "small", "rate")
    during, around = results.purge()
    purge = [one / statistics.median(around) for one in during] if around else []
    flood = results.by_turns("flood", "noisy", "quiet", "p99")
    logins = results.by_turns("logins", "onesession", "hashing", "rate")
    beside = results.by_turns("beside", "called", "quiet", "p99")
    memory = [one["Pss"] / 1024 for one in results.data.get("memory", {}).get("after", [])]
    large, expired = results.options["large"], results.options["expired"]
    found = [
        ("/auth of a live session, to the floor", "at least 0.85", floor, at_least(floor, 0.85)),
        ("the same, to Django", "at least 20", django, at_least(django, 20)),
        ("the same, to PHP-FPM", "at least 3", php, at_least(php, 3)),
        ("the same, to Apache without nginx", "above 1", apache, bool(apache) and statistics.median(apache) > 1),
        ("the same, to Apache behind nginx", "above 1", proxied, bool(proxied) and statistics.median(proxied) > 1),
        ("p99 of /auth, to the floor's", "at most 2", slower, at_most(slower, 2)),
        (
            f"/auth with {large:,} sessions of {large // 2:,} accounts, to 1,000 of 500",
            "at least 0.95",
            size,
            at_least(size, 0.95),
        ),
        (
            f"p99 of /auth while {expired:,} expired sessions are purged, to the quiet times around it",
            "at most 3",
            purge,
            at_most(purge, 3),
        ),
        ("p99 of /auth in a flood of wrong passwords, to the quiet times between", "at most 3", flood, at_most(flood, 3)),
        ("memory of an idle worker (PSS), MiB", "at most 3", memory, bool(memory) and max(memory) <= 3),
        ("logins a second, to bare hashing", "at least 0.9", logins, at_least(logins, 0.9)),
        (
            f"p99 of /auth beside {results.options.get('program_calls', 1000):,} calls of /api/check a second, to quiet times",
            "at most 2",
            beside,
            at_most(beside, 2),
        ),
    ]
    return [(*bar, ratio) for bar in found] + tail_bars(results) + flood_bars(results)


def tail_bars(results):
    rows = []
    for load, title in TAIL_LOADS.items():
        values = results.in_rounds(("tail", "after", load), ("tail", "floor", load), "p99")
        met = bool(values) and statistics.median(values) <= 1.5
        rows.append((f"p99 of /auth, to the floor's, neither with environment variables: {title}", "at most 1.5", values, met, ratio))
    for load, title in TAIL_LOADS.items():
        if load == "open":
            continue
        wanted = 0.95 if int(load) >= 64 else 0.7
        values = results.in_rounds(("tail", "after", load), ("tail", "floor", load), "rate")
        met = bool(values) and statistics.median(values) >= wanted
        rows.append((f"/auth, to the floor, the same: {title}", f"at least {wanted:.2f}", values, met, ratio))
    return rows


def flood_bars(results):
    rows, refused, waits = [], [], []
    for case, title in FLOODS.items():
        at = (RATED_FLOOD, "after", case)
        values = to_quiet(results, at)
        met = bool(values) and statistics.median(values) <= 3
        rows.append((f"p99 of /auth in a flood of logins {title}, to quiet times", "at most 3", values, met, ratio))
        refused += [refusals(one) for one in results.found(*at).values()]
        waits += [wait for one in results.found(*at).values() for wait in login_waits(one)]
    return [
        *rows,
        ("connections that were refused in these floods", "0", refused, bool(refused) and max(refused) == 0, count),
        (
            "seconds until a login with the right password succeeds, in these floods",
            "at most 10, each",
            waits,
            bool(waits) and max(waits) <= 10,
            seconds,
        ),
    ]


def bars_table(results):
    rows = [
        [what, wanted, spread(values, form) if values else "not measured", ("met" if met else "**not met**") if values else "–"]
        for what, wanted, values, met, form in bars(results)
    ]
    return table(["promise", "bar", "figure", ""], rows)


# ---- Tables ----------------------------------------------------------------------------------------------------------


def cpu(results, name, group):
    values = [one["cpu_us"][group] for one in results.sides[name] if group in one["cpu_us"]]
    return f"{statistics.median(values):.0f}" if values else "–"


def sides_table(results):
    rows = []
    for name, (title, _) in NAMES.items():
        if not results.sides.get(name):
            continue
        ratios = results.paired(name, "floor")
        p50, p99 = results.column(name, "p50"), results.column(name, "p99")
        rows.append(
            [
                title,
                spread(results.column(name, "rate"), count),
                spread(ratios, ratio) if ratios else "–",
                spread(p50, milliseconds) if p50 else "–",
                spread(p99, milliseconds) if p99 else "–",
                *[cpu(results, name, group) for group in ("own", "postgresql", "nginx")],
            ]
        )
    heads = ["", "requests/s", "to the floor", "p50, ms", "p99, ms"]
    return table([*heads, "CPU, µs a request: its own", "PostgreSQL's", "nginx's"], rows)


def contestants(results):
    return "\n".join(f"- **{NAMES[name][0]}**: {NAMES[name][1]}" for name in NAMES if results.sides.get(name))


def measured_rows(found, titles):
    return [
        [
            title,
            spread([one["rate"] for one in found[name]], count),
            spread([one["p50"] for one in found[name]], milliseconds),
            spread([one["p99"] for one in found[name]], milliseconds),
            f"{statistics.median(one['cpu_us']['own'] for one in found[name]):.0f}",
            f"{statistics.median(one['cpu_us']['postgresql'] for one in found[name]):.0f}",
        ]
        for name, title in titles.items()
        if found.get(name)
    ]


MEASURED = ["", "/auth, requests/s", "p50, ms", "p99, ms", "CPU, µs a request: the daemon's", "PostgreSQL's"]


def size_part(results):
    large = results.options["large"]
    titles = {
        "small": "1,000 sessions of 500 accounts",
        "large": f"{large:,} sessions of {large // 2:,} accounts",
        "touched": f"{large:,}, and each request is the first to its session in a minute",
    }
    return f"""
## A million sessions

Two databases side by side, each with a daemon of its own; in both, accounts may have two sessions, and any of all the
sessions is requested at random. The time at which a session was last seen is written once in `session.touch_interval`, a
minute by default. With so few sessions that is almost never and with so many at nearly every request, which has nothing to
do with the size of the tables; it is switched off for the first two, and the third line shows its cost.

{table(MEASURED, measured_rows(results.data["size"], titles))}
"""


def purge_part(results):
    found = results.data["purge"]
    counts = found.get("counts", {})
    worst = max((one["p99"] for one in found.get("during", [])), default=0)
    titles = {"before": "quiet, before", "during": "during the purge", "after": "quiet, after"}
    return f"""
## A purge

`onesessionctl purge` removes {counts.get("sessions", 0):,} expired sessions from the large database and records why each
ended, in {found.get("took", 0):.0f} s, while /auth is requested by {results.options["few_connections"]} connections. The worst
p99 of a measurement meanwhile was {milliseconds(worst)} ms.

{table(MEASURED, measured_rows(found, titles))}
"""


def flood_part(results):
    found = results.data["flood"]
    noisy = found.get("noisy", [])
    if not noisy:
        return "\n## A flood of wrong passwords\n\nNo password was checked in this run, so nothing could be measured.\n"
    wrong = [one["attempts"]["statuses"].get("401", 0) / one["attempts"]["seconds"] for one in noisy]
    others = {}
    for one in noisy:
        for status, times in one["attempts"]["statuses"].items():
            if status != "401":
                others[status] = others.get(status, 0) + times
    other_statuses = "".join(f", and {times:,} times {status}" for status, times in sorted(others.items()))
    titles = {"quiet": "quiet", "noisy": "in the flood"}
    return f"""
## A flood of wrong passwords

{results.options["flood_connections"]} connections try wrong passwords of {results.options["sessions"]:,} accounts as fast as they are answered, with the throttle off,
so that each of them costs an Argon2id hash at the default parameters (64 MiB, 3 passes), two at the same time
(`login.max_hashing`). They were answered 401, {spread(wrong, lambda value: f"{value:.1f}")} a second{other_statuses}. Meanwhile /auth is
requested by {results.options["few_connections"]} connections. The hashing and all other processes compete for the processors.

{table(MEASURED, measured_rows(found, titles))}
"""


def logins_part(results):
    found = results.data["logins"]
    rows = [
        [title, spread([one["rate"] for one in found[name]], lambda value: f"{value:.1f}")]
        for name, title in (("onesession", "logins"), ("hashing", "`crypto_pwhash_str_verify()` and nothing else"))
        if found.get(name)
    ]
    return f"""
## Logins

{results.options["login_connections"]} connections sign in with the right password, to one account after the other; each login displaces the
account's session. There is no warming up, and the daemon is idle before. Afterwards, for as long, two processes (`hashing.c`) only
verify the same password at the same parameters.

{table(["", "a second"], rows)}
"""


CALLERS = {"programs": "onesession", "express": "Express, connect-pg-simple", "django": "Django REST framework"}


def calls_table(found):
    rows = []
    for key, measured in found.items():
        name, connections = key.split()
        rates, slowest = ([one[what] for one in measured] for what in ("rate", "p99"))
        processors = [(one["cpu_us"]["own"] + one["cpu_us"]["postgresql"]) for one in measured]
        rows.append([CALLERS[name], connections, spread(rates, count), spread(slowest, lambda value: f"{value:.1f}"), spread(processors, count)])
    rows.sort(key=lambda row: (int(row[1]), list(CALLERS.values()).index(row[0])))
    return table(["", "connections", "a second", "p99, ms", "CPU a call with the database's, us"], rows, 1)


def check_part(results):
    return f"""
## Programs ask whose key it is

`POST /api/check` with a token of the API (scope `sessions`), through nginx like all else; of the others a route that does the same for
their own session's id.

{calls_table(results.data["check"])}
"""


def issue_part(results):
    return f"""
## Logins by an application's own sign-in

`POST /api/sessions`: a login under the whole rule, which displaces the account's session, writes its end and two events, and sends their NOTIFY. Of the
others a route that deletes the account's session and makes a new one. No password is hashed. Each commit is flushed to the disk.

{calls_table(results.data["issue"])}
"""


def standby_part(results):
    return f"""
## The same logins with a synchronous standby

It confirms each commit five milliseconds later (`synchronous_commit = remote_apply`, `recovery_min_apply_delay = 5ms`), as one in another
building would. Logins wait for it beside one another: NOTIFY, whose commits a server lets through one by one, follows in a transaction of its own.

{calls_table(results.data["standby"])}
"""


def beside_part(results):
    found = results.data["beside"]
    titles = {"quiet": "alone", "called": f"beside {results.options.get('program_calls', 1000):,} calls of /api/check a second"}
    rows = [
        [title, *[spread([one[key] for one in found[name]], lambda value: f"{value:.2f}") for key in ("p50", "p99")]]
        for name, title in titles.items()
        if found.get(name)
    ]
    return f"""
## The guard beside programs

{results.options.get("program_calls", 1000):,} requests to /auth a second, at times that are fixed beforehand (`openloop.c`), alone and beside as many calls of
`POST /api/check`.

{table(["", "p50, ms", "p99, ms"], rows)}
"""


def memory_part(results):
    found = results.data["memory"]
    rows = []
    for when, title in (("fresh", "before the first load"), ("after", "at rest after all of the comparison")):
        if found.get(when):
            rows.append([title, *[spread([one[key] for one in found[when]], count) for key in ("Pss", "Private_Dirty", "Rss")]])
    return f"""
## Memory

Of each of the daemon's workers, from `/proc/PID/smaps_rollup`. PSS is its private memory and its share of
memory that it shares with others.

{table(["", "PSS, KiB", "private and written to, KiB", "RSS, KiB"], rows)}
"""


# ---- Admission: tables with a line for each build ----


def in_rounds(number):
    return f"{number} round{'s' if number > 1 else ''}"


def paired(results, one, other, key):
    values = results.in_rounds(one, other, key)
    return spread(values, ratio) if values else "–"


def of_rounds(results, path, key, form):
    values = [one[key] for one in results.found(*path).values()]
    return spread(values, form) if values else "–"


def tail_part(results):
    rows = []
    sides = {"floor": "the floor", **results.builds}
    for load, title in TAIL_LOADS.items():
        for side, name in sides.items():
            path, floor = ("tail", side, load), ("tail", "floor", load)
            if not results.found(*path):
                continue
            if load == "open":
                title = f"{of_rounds(results, floor, 'asked', count)} a second"
            figures = [of_rounds(results, path, "rate", count), paired(results, path, floor, "rate")]
            figures += [of_rounds(results, path, key, milliseconds) for key in ("p50", "p99")]
            figures += [paired(results, path, floor, "p99")]
            if side == "floor":
                figures[1] = figures[4] = "1"
            rows.append([title, name, *figures])
    environment = results.options["environment"]
    variables = ", ".join(f"`{name}={value}`" for name, value in environment.items())
    beside = f"; in the comparison above both have what `systemd/onesession.service` sets ({variables})" if environment else ""
    return f"""
## From one connection to many, and at a fixed rate

/auth and the floor alternately, {in_rounds(results.options["contest_rounds"])} of {results.options["tail_seconds"]} s each, both with 8 processes and
without any environment variable{beside}.
The last lines are an open loop (`openloop.c`): half as many requests a second as the floor was capable of with
{results.options["capacity_at"]} connections in the same round, at times that are fixed beforehand, each latency counted from when the
request was to be sent.

{table(["", "", "requests/s", "to the floor", "p50, ms", "p99, ms", "p99 to the floor's"], rows, 2)}
"""


def refusals(one):
    return one["flood"]["refused"] + one["statuses"].get("502", 0)


def to_quiet(results, path):
    """p99 to that of just before, of each round."""
    return [one["p99"] / one["quiet"]["p99"] for one in results.found(*path).values()]


def login_waits(one):
    return [login["took"] if login["in"] else NEVER for login in one["flood"]["logins"]]


def rated_flood_part(results):
    rows = []
    for case, title in FLOODS.items():
        for build, name in results.builds.items():
            path = (RATED_FLOOD, build, case)
            found = results.found(*path).values()
            if not found:
                continue
            quiet = [[one["quiet"][key] for one in found] for key in ("p50", "p99")]
            figures = [spread(values, milliseconds) for values in quiet]
            figures += [of_rounds(results, path, key, milliseconds) for key in ("p50", "p99", "max")]
            figures.append(spread(to_quiet(results, path), ratio))
            waits = [wait for one in found for wait in login_waits(one)]
            other = sum(sum(one["statuses"].values()) - one["statuses"].get("200", 0) + one["unanswered"] for one in found)
            figures += [spread([refusals(one) for one in found], count), count(other)]
            figures += [f"{sum(wait != NEVER for wait in waits)} of {len(waits)}", seconds(max(waits, default=0))]
            rows.append([title, name, *figures])
    heads = ["", "", "p50 when quiet, ms", "p99", "p50 in the flood, ms", "p99", "the longest", "p99 to the quiet one"]
    heads += ["connections refused", "/auth: other than 200", "right passwords signed in", "the last after, s"]
    return f"""
## A flood of logins at a fixed rate

{results.options["flood_rate"]:,} failing logins a second reach the daemon's own socket (`hostile.c`), at times that are fixed beforehand, each with
another name; the configuration is the default one, with the throttle. They come from one address or each from its own,
and wait for the answer or close the connection when all is sent. From a second later on /auth is requested through nginx by
{results.options["few_connections"]} connections, and for some seconds before it, without a flood; {in_rounds(results.options["contest_rounds"])} of {results.options["flood_seconds"]} s each. Refused are the flood's connections and those of nginx (502). Each second a client begins to sign in with the right
password, to an account and from an address of its own, and retries after `Retry-After`; one that has not signed in
{results.options["flood_grace"]} s after the flood was to end counts as never.

{table(heads, rows, 2)}
"""


def answered(one):
    """The answers to slow bodies, and how many connections were closed without one."""
    statuses = dict(one["bodies"]["statuses"])
    closed = statuses.pop("0", 0)
    parts = [f"{times} × {status}" for status, times in sorted(statuses.items())]
    return ", ".join([*parts, *([f"{closed} closed"] if closed else [])]) or "–"


def slow_part(results):
    rows = []
    for case, (number, path_, length, at_once, rate) in results.options["bodies"].items():
        for build, name in results.builds.items():
            path = ("slow", build, case)
            found = list(results.found(*path).values())
            if not found:
                continue
            title = f"{number} × `POST {path_}`, {at_once:,} of {length:,} bytes, then {rate} a second"
            silences = [one["silence"] / 1000 for one in found]
            bad = [sum(times for status, times in one["statuses"].items() if status != "200") + one["unanswered"] for one in found]
            figures = [spread([one["quiet"]["p99"] for one in found], milliseconds)]
            figures += [of_rounds(results, path, "p99", milliseconds), spread(silences, lambda value: f"{value:.2f}")]
            figures += [spread(bad, count), of_rounds(results, path, "killed", count), answered(found[-1])]
            rows.append([title, name, *figures])
    heads = ["", "", "p99 when quiet, ms", "p99, ms", "the longest silence, s", "/auth: other than 200", "workers killed"]
    return f"""
## Slow bodies

Connections to the daemon's own socket whose requests are never complete (`hostile.c`), for {results.options["slow_seconds"]} s; one that is closed is
replaced a second later; {in_rounds(results.options["slow_rounds"])}. Meanwhile /auth is requested {results.options["slow_rate"]} times a second, at times that are fixed beforehand.
The longest silence is the longest time between two answers of 200.

{table([*heads, "answers to slow bodies"], rows, 2)}
"""


def retire_part(results):
    rows = []
    for workers in results.options["retiring_workers"]:
        for build, name in results.builds.items():
            never, often = (("retire", build, str(workers), str(requests)) for requests in (0, results.options["retirement"]))
            if not results.found(*often):
                continue
            figures = [of_rounds(results, path, "p99", milliseconds) for path in (never, often)]
            figures += [paired(results, often, never, "p99")]
            figures += [of_rounds(results, path, "max", milliseconds) for path in (never, often)]
            figures += [of_rounds(results, often, "retired", count)]
            rows.append([f"{workers} worker{'s' if workers > 1 else ''}", name, *figures])
    every = f"{results.options['retirement']:,}"
    heads = ["", "", "p99 with 0, ms", f"p99 with {every}, ms", "ratio", "the longest with 0, ms", f"with {every}, ms"]
    return f"""
## Workers that retire

`server.max_requests = {every}` against 0 (never), {results.options["few_connections"]} connections, in {in_rounds(results.options["contest_rounds"])}, each until most workers
have retired or half a minute has passed.

{table([*heads, "retired meanwhile"], rows, 2)}
"""


PARTS = {
    "memory": memory_part,
    "size": size_part,
    "purge": purge_part,
    "flood": flood_part,
    "logins": logins_part,
    "check": check_part,
    "issue": issue_part,
    "standby": standby_part,
    "beside": beside_part,
    "tail": tail_part,
    RATED_FLOOD: rated_flood_part,
    "slow": slow_part,
    "retire": retire_part,
}


# ---- Versions and the host --------------------------------------------------------------------------------------------


def node_version(name):
    path = BUILD / "bench/npm/node_modules" / name / "package.json"
    return json.loads(path.read_text())["version"] if path.exists() else "?"


def python_version(module):
    return first_line(["/usr/bin/python3", "-c", f"import {module}; print({module}.__version__)"])


def package_version(name):
    return first_line(["dpkg-query", "--show", "--showformat=${Version}", name])


def versions(bench):
    """Of all programs that take part."""
    number = r"(\d[\w.]*)"
    found = {
        "onesession": first_line([BUILD / "onesessiond", "-V"], number),
        "libfcgi": package_version("libfcgi-dev"),
        "libsodium": package_version("libsodium-dev"),
        "PostgreSQL": first_line([bench.server.program("postgres"), "--version"], number),
        "nginx": first_line([program("nginx"), "-v"], number),
        "wrk": package_version("wrk"),
    }
    others = {
        "php": lambda: {"PHP": first_line([program("php-fpm*"), "--version"], number)},
        "apache": lambda: {"Apache": first_line([program("apache2"), "-v"], r"Apache/" + number)},
        "express": lambda: {
            "Node.js": first_line([program("node"), "--version"], number),
            **{name: node_version(name) for name in ("express", "express-session", "connect-pg-simple", "pg")},
        },
        "lemonldap": lambda: {
            "LemonLDAP::NG": package_version("lemonldap-ng-fastcgi-server"),
            "Apache::Session::Browseable": package_version("libapache-session-browseable-perl"),
        },
        "strict": lambda: {"pgbouncer": package_version("pgbouncer")},
        "apache-module": lambda: {"Apache": first_line([program("apache2"), "-v"], r"Apache/" + number)},
        "ulfius": lambda: {"ulfius": package_version("libulfius2.7")},
        "kore": lambda: {"kore": package_version("kore")},
        "django": lambda: {
            "Python": first_line(["/usr/bin/python3", "--version"], number),
            "Django": python_version("django"),
            "Django REST framework": python_version("rest_framework"),
            "gunicorn": python_version("gunicorn"),
        },
    }
    for name, look in others.items():
        if name in bench.services or name in bench.platforms:
            found.update(look())
    return found


def host_table(results):
    host = results.data["host"]
    rows = [
        ["CPU", f"{host['cores']} cores, {host['cpu']}"],
        ["memory", f"{host['memory_gib']} GiB"],
        ["system", f"{host['system']}, Linux {host['kernel']}"],
        ["file system of the database", host["file_system"]],
        ["load average before the run", f"{host['load_before']:.2f}"],
        ["versions", ", ".join(f"{name} {version}" for name, version in results.data["versions"].items())],
    ]
    return "\n".join(["| | |", "|---|---|", *[f"| {name} | {text} |" for name, text in rows]])


def failures(results):
    if not results.failed:
        return ""
    lines = "\n".join(f"- {name}: {reason}" for name, reason in results.failed.items())
    return f"\n**Failed, and left out from then on:**\n\n{lines}\n"


# ---- The chart -------------------------------------------------------------------------------------------------------

# Neither is an alternative to the others, and the bar of nginx alone would leave no room for theirs.
NOT_DRAWN = ("nginx", "pgbench")
COLOURS = {"floor": "0x9aa0a6", "auth": "0x1a66c2", "me": "0x1a66c2", "refused": "0x1a66c2", "page": "0x1a66c2"}
OTHERS_COLOUR = "0xd9822b"


def draw(results, path):
    names = [name for name in NAMES if results.sides.get(name) and name not in NOT_DRAWN]
    if not names:
        return False
    names.sort(key=lambda name: statistics.median(results.column(name, "rate")))
    rows, most = [], 0
    for row, name in enumerate(names):
        rates = results.column(name, "rate")
        most = max(most, *rates)
        middle = statistics.median(rates)
        colour = COLOURS.get(name, OTHERS_COLOUR)
        rows.append(f'"{NAMES[name][0]}" {row} {middle:.1f} {min(rates):.1f} {max(rates):.1f} {colour} "{count(middle)}"')
    data = "\n".join(rows)
    script = f"""
set terminal svg size 880,{90 + 36 * len(names)} background rgb "white" font "DejaVu Sans,Helvetica,Arial,sans-serif,13" noenhanced
set output "{path}"
$data << END
{data}
END
set title "Requests a second, the median of {results.options["rounds"]} rounds; the line goes from the lowest to the highest"
set xrange [0:{most * 1.12:.0f}]
set yrange [-0.6:{len(names) - 0.4}]
set format x "%.0f"
set border 1 lc rgb "#666666"
set tics nomirror scale 0.5 textcolor rgb "#222222"
set grid xtics lc rgb "#dddddd" lt 1
set style fill solid noborder
unset key
plot $data using 3:2:(0):3:($2-0.36):($2+0.36):6:ytic(1) with boxxyerror lc rgb variable, \\
     $data using 3:2:4:5 with xerrorbars pt 0 lw 1.5 lc rgb "#222222", \\
     $data using 5:2:7 with labels left offset 0.8,0 textcolor rgb "#222222"
"""
    done = subprocess.run(
        [program("gnuplot*")], input=script, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"}
    )
    if done.returncode != 0 or done.stderr.strip():
        raise Failure(f"gnuplot: {done.stderr.strip()[-400:]}")
    return True


# ---- The whole report -------------------------------------------------------------------------------------------------------


def keep(results):
    """For write(). A part with a section of its own is kept from the last run that measured it; all else is of one run."""
    compared.keep(results)
    platform_tables.keep(results)
    if not results["options"]["only_sections"]:
        RESULTS.write_text(json.dumps(results, indent=1), encoding="utf-8")


def rewrite(path, put, data):
    path.write_text(put(data, path.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"The report is in {os.path.relpath(path)}")


def write_platforms():
    """Into docs/platform.md, when they have been measured."""
    data = platform_tables.load()
    if data:
        rewrite(ROOT / "docs/platform.md", platform_tables.put, data)


def write_comparison():
    """Into docs/benchmarks.md, when all of its parts have been measured."""
    data = compared.load()
    print(compared.overview(data))
    if compared.is_whole(data):
        rewrite(ROOT / "docs/benchmarks.md", compared.put, data)


def write_sections(results):
    """Those of the parts that were measured, where only parts with sections of their own were."""
    parts = results["options"]["parts"]
    if set(parts) & set(compared.PARTS):
        write_comparison()
    if set(parts) & set(platform_tables.PARTS):
        write_platforms()
    return exit_status(results["failed"])


def exit_status(failed):
    for name, reason in failed.items():
        print(f"  FAILED   {name}: {reason}", file=sys.stderr)
    return 1 if failed else 0


def write():
    """A whole run is written into docs/, else into build/bench/report. Returns an exit status: 1 when something has failed."""
    try:
        data = json.loads(RESULTS.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Failure("there are no results yet: make bench") from error
    results = Results(data)
    options = results.options
    folder = ROOT / "docs" if options["whole"] else BUILD / "bench/report"
    folder.mkdir(parents=True, exist_ok=True)
    notes = re.sub(r"<!--.*?-->", "", (HERE / "notes.md").read_text(encoding="utf-8"), flags=re.S).strip()
    text = string.Template((HERE / "report.md.in").read_text(encoding="utf-8")).substitute(
        began=data["began"],
        minutes=data["took_minutes"],
        bars=bars_table(results),
        failures=failures(results),
        sides=sides_table(results),
        contestants=contestants(results),
        parts="".join(PARTS[name](results) for name in PARTS if data.get(name)),
        host=host_table(results),
        postgresql=", ".join(f"`{name} = {value}`" for name, value in data["settings"]["postgresql"].items()),
        cores=f"{data['host']['cores']} cores",
        thread_word="thread" if options["threads"] == 1 else "threads",
        all_parts=", ".join(options["all_parts"]),
        notes=f"\n{notes}\n" if notes else "",
        **{name: options[name] for name in ("rounds", "workers", "sessions", "connections", "threads", "seconds", "warm_up")},
    )
    if not draw(results, folder / "benchmarks.svg"):
        text = text.replace("![Requests a second](benchmarks.svg)\n\n", "")
    (folder / "benchmarks.md").write_text(compared.put(compared.load(), text), encoding="utf-8")
    if options["whole"]:
        write_platforms()
    shown = [
        f"  {'met    ' if met else 'NOT MET'}  {what}: {spread(values, form)}, {wanted}"
        for what, wanted, values, met, form in bars(results)
        if values
    ]
    print("\n".join(shown))
    print(f"The report is {os.path.relpath(folder / 'benchmarks.md')}")
    return exit_status(results.failed)

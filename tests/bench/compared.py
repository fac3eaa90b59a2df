"""The results of `make compare`: their section of docs/benchmarks.md."""

import json
import re
import statistics
from collections import Counter

from compare import BROWSERS, PARTS, RIVALS
from figures import count, milliseconds, ratio, spread, table
from support.processes import BUILD

# Each part with the facts of the run that measured it.
RESULTS = BUILD / "bench/compare.json"
HEADING = "## Beside others that keep an account to one session"
# The heading that follows the section.
NEXT = "## What was run, and on what"

NAMES = {
    "onesession": "onesession",
    "lemonldap": "LemonLDAP::NG",
    "strict": "LemonLDAP::NG, no caches",
    "express": "Express, connect-pg-simple",
    "django": "Django, one session per user",
}


def load():
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}


def keep(results):
    """Moves the parts of the comparison out of the results of a run."""
    run = {name: results[name] for name in ("began", "host", "versions")}
    run["options"] = results["options"]["comparison"]
    parts = {part: {**run, "found": results.pop(part)} for part in PARTS if part in results}
    if parts:
        RESULTS.write_text(json.dumps({**load(), **parts}, indent=1), encoding="utf-8")


def is_whole(data):
    return all(part in data for part in PARTS)


def put(data, text):
    """The report with this section, in place of the section that it has."""
    text = re.sub(rf"{re.escape(HEADING)}\n.*?(?=^## )", "", text, flags=re.S | re.M)
    return text.replace(NEXT, f"{section(data)}\n{NEXT}", 1) if is_whole(data) else text


# ---- Figures ---------------------------------------------------------------------------------------------------------


def found(data, part, name):
    return data.get(part, {}).get("found", {}).get(name)


def rates(data, name):
    return [one["rate"] for one in found(data, "guarded", name) or []]


def times_slower(data, name):
    """The ratio of onesession's rate to this contestant's, of each round."""
    own = {one["round"]: one["rate"] for one in found(data, "guarded", "onesession") or []}
    return [own[one["round"]] / one["rate"] for one in found(data, "guarded", name) or [] if one["round"] in own]


def memory(data, name):
    """Of each worker in MiB."""
    return [pss / 1024 for one in found(data, "guarded", name) or [] for pss in one.get("memory", [])]


def lingering(data, name, where):
    one = (found(data, "stale", name) or {}).get(where)
    if one is None:
        return "–"
    return f"{one['last_in']:.0f}" if one["is_out"] else f"over {one['last_in']:.0f}"


def told(data, name):
    said = (found(data, "stale", name) or {}).get("told")
    return f"“{said}”" if said else "–"


def left(data, name, browsers=BROWSERS):
    """How many rounds left none, one, and more sessions."""
    rounds = [min(one["left"], 2) for one in found(data, "race", name) or [] if one["browsers"] in browsers]
    counts = Counter(rounds)
    return [str(counts[number]) for number in range(3)] if rounds else ["–"] * 3


def overview(data):
    rows = []
    for name, title in NAMES.items():
        measured, one = rates(data, name), memory(data, name)
        rows.append(
            [
                title,
                count(statistics.median(measured)) if measured else "–",
                f"{statistics.median(one):.1f}" if one else "–",
                *[lingering(data, name, where) for where in ("same", "another")],
                " / ".join(left(data, name)),
                told(data, name),
            ]
        )
    heads = ["", "a guarded file, requests/s", "a worker's memory, MiB", "a displaced browser is still served, s: on the same host"]
    heads += ["on another", "simultaneous sign-ins left no / one / several sessions, times", "the displaced browser's page says"]
    return table(heads, rows)


def guarded_table(data):
    rows = []
    for name, title in NAMES.items():
        measured = found(data, "guarded", name)
        if not measured:
            continue
        cpu = [f"{statistics.median(one['cpu_us'][group] for one in measured):.0f}" for group in ("own", "postgresql", "nginx")]
        rows.append(
            [
                title,
                spread(rates(data, name), count),
                spread(times_slower(data, name), ratio) if name in RIVALS else "1",
                *[spread([one[key] for one in measured], milliseconds) for key in ("p50", "p99")],
                *cpu,
                spread(memory(data, name), lambda value: f"{value:.1f}"),
                str(len(memory(data, name))),
            ]
        )
    heads = ["", "requests/s", "onesession's to it", "p50, ms", "p99, ms", "CPU, µs a request: its own", "PostgreSQL's", "nginx's"]
    return table([*heads, "a worker's memory (PSS), MiB", "processes"], rows)


def race_table(data):
    rows = []
    for name, title in NAMES.items():
        rounds = found(data, "race", name)
        if not rounds:
            continue
        refused = sum(one["browsers"] - one["signed_in"] for one in rounds)
        rows.append([title, *[" / ".join(left(data, name, [browsers])) for browsers in BROWSERS], str(refused)])
    return table(["no / one / several left, times", *[f"{number} sign-ins" for number in BROWSERS], "not signed in"], rows)


def section(data):
    options = data["guarded"]["options"]
    stale, race = data["stale"]["options"], data["race"]["options"]
    titles = {"guarded": "the guarded file", "stale": "displaced browsers", "race": "sign-ins"}
    began = "; ".join(f"{title}: {data[part]['began']}" for part, title in titles.items())
    host = data["guarded"]["host"]
    versions = {name: version for part in PARTS for name, version in data[part]["versions"].items()}
    return f"""{HEADING}

Written by `make compare`. LemonLDAP::NG is the most similar program: a FastCGI server that nginx calls by `auth_request`, with an option
(`singleSession`) that ends an account's other sessions at sign-in. It does much more than onesession does (SAML, OpenID
Connect, CAS, second factors, rules for each address), and its caches suit single sign-on. It is measured twice: with its
defaults, and as strict as onesession (`localSessionStorage` empty, `handlerInternalCache` 0, connections kept by pgbouncer).
The others are those of the comparison above.

{overview(data)}

**A guarded file.** nginx serves a small file after a subrequest (`auth_request`), {options["connections"]} connections,
{options["workers"]} workers each (Express: one for each core), {options["sessions"]:,} accounts that are signed in; {options["rounds"]} rounds
of {options["seconds"]} s after {options["warm_up"]} s of warming up, alternately. LemonLDAP::NG's caches have been filled before. In parentheses are
the lowest and the highest; the ratio is taken within each round. Memory is from `/proc/PID/smaps_rollup`, after
the last round and {4 * options["workers"]} sign-ins: by then a worker has loaded the code for signing in.

{guarded_table(data)}

**A displaced browser.** Two instances of each on one database, as on two hosts, each with caches of its own. A browser signs in at
the first and requests the file at both, {stale["workers"]} times {stale["at_once"]} times at once, so that each worker has seen its session; another signs in to the
same account at the first, and is served. From then on the first browser requests the file again at both, {stale["at_once"]} times at once, each {stale["often"]} s for
{stale["often_for"]} s and then each {stale["seldom"]:.0f} s. The figure is the time of the last request that was served, counted from the other sign-in; 0: none was. The text is that of the page at the end of all redirects; the two
small applications have no page for it, and “401 Authorization Required” is nginx's.

**Simultaneous sign-ins.** {", ".join(map(str, BROWSERS[:-1]))} or {BROWSERS[-1]} browsers sign in to one account at the same moment and then request the file, {race["races"]} rounds each.
Counted are the sessions that are live when all have been answered; one is right. In Django each request of a session displaces
the others, so that of several the one with the last request is left.

{race_table(data)}

Began: {began}. {host["cores"]} cores, {host["cpu"]}, {host["memory_gib"]} GiB, {host["system"]}; {", ".join(f"{name} {version}" for name, version in versions.items())}.

    make compare                               # a quarter of an hour, most of it waiting for displaced browsers
    make compare PARTS="guarded race"          # of: {" ".join(PARTS)}; other parts keep their figures
    make compare PARTS=stale STALE=60          # gives up after a minute
"""

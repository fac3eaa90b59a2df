"""The figures of the comparison of platforms: their place in docs/platform.md."""

import json
import re
import statistics

from figures import count, milliseconds, ratio, spread, table
from platforms import CONNECTIONS, ENTRIES, PARTS
from support.processes import BUILD

# The results of the last run that measured them, with the facts of that run.
RESULTS = BUILD / "bench/platform.json"
BEGIN, END = "<!-- Written by make bench PARTS=platform: -->", "<!-- until here -->"
# What the ratios are to.
BASE = "libfcgi"
# The number of connections at which processor time is compared.
CPU_AT = 16

NAMES = {
    "libfcgi": "libfcgi and libpq",
    "module": "onesession module",
    "session": "the same, with the session check",
    "apache": "Apache module, behind nginx",
    "apache alone": "Apache module, without nginx",
    "ulfius": "ulfius, behind nginx",
    "ulfius alone": "ulfius, without nginx",
    "kore": "kore, behind nginx",
    "kore alone": "kore, without nginx",
}
SERVICES = {
    "libfcgi": "libfcgi and libpq",
    "module": "onesession",
    "apache-module": "Apache",
    "ulfius": "ulfius",
    "kore": "kore",
}


def load():
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}


def keep(results):
    """Moves these figures out of the results of a run."""
    for part in PARTS:
        if part in results:
            facts = {name: results[name] for name in ("began", "host", "versions")}
            facts["options"] = results["options"]["platforms"]
            RESULTS.write_text(json.dumps({**facts, **results.pop(part)}, indent=1), encoding="utf-8")


def put(data, text):
    """The document with these figures in place of those that it has."""
    place = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.S)
    assert len(place.findall(text)) == 1
    return place.sub(lambda _: f"{BEGIN}\n\n{section(data)}\n\n{END}", text)


def measured(data, entry, connections):
    return data["entries"].get(entry, {}).get(str(connections), [])


def to_base(data, entry, connections):
    """The ratios of each round in which both were measured."""
    base = {one["round"]: one["rate"] for one in measured(data, BASE, connections)}
    return [one["rate"] / base[one["round"]] for one in measured(data, entry, connections) if one["round"] in base]


def cell(values, form):
    return spread(values, form) if values else "–"


def entries(data):
    return [name for name in ENTRIES if data["entries"].get(name)]


def by_connections(data, entry, call):
    return [call(entry, connections) for connections in CONNECTIONS]


def rates_table(data):
    def rate(entry, connections):
        found = measured(data, entry, connections)
        return count(statistics.median(one["rate"] for one in found)) if found else "–"

    def compared(entry, connections):
        return cell(to_base(data, entry, connections), ratio) if entry != BASE else "1"

    rows = [[NAMES[one], *by_connections(data, one, rate), *by_connections(data, one, compared)] for one in entries(data)]
    numbers = [str(connections) for connections in CONNECTIONS]
    return table(["", f"requests/s at {numbers[0]}", *numbers[1:], f"to libfcgi, at {numbers[0]}", *numbers[1:]], rows)


def times_table(data):
    def time(key):
        def shown(entry, connections):
            found = measured(data, entry, connections)
            return milliseconds(statistics.median(one[key] for one in found)) if found else "–"

        return shown

    def cpu(entry, group):
        found = [one["cpu_us"][group] for one in measured(data, entry, CPU_AT) if group in one["cpu_us"]]
        return count(statistics.median(found)) if found else "–"

    rows = [
        [
            NAMES[one],
            *by_connections(data, one, time("p50")),
            *by_connections(data, one, time("p99")),
            *[cpu(one, group) for group in ("own", "postgresql", "nginx")],
        ]
        for one in entries(data)
    ]
    numbers = [str(connections) for connections in CONNECTIONS]
    heads = ["", f"p50, ms, at {numbers[0]}", *numbers[1:], f"p99, ms, at {numbers[0]}", *numbers[1:]]
    return table([*heads, f"CPU at {CPU_AT}, µs a request: its own", "PostgreSQL's", "nginx's"], rows)


def mebibytes(kibibytes):
    return f"{kibibytes / 1024:.1f}"


def memory_table(data):
    rows = []
    for name, title in SERVICES.items():
        one = data.get("memory", {}).get(name)
        if not one:
            continue
        found = one["processes"]
        rows.append(
            [
                title,
                str(len(found)),
                *[mebibytes(statistics.median(process[key] for process in found)) for key in ("Rss", "Pss", "Private_Dirty")],
                mebibytes(sum(process["Pss"] for process in found)),
                str(one["source_lines"]),
            ]
        )
    heads = ["", "processes", "RSS of one, MiB", "PSS", "private and written to", "PSS of all, MiB", "lines of C of the application"]
    return table(heads, rows)


def section(data):
    options, host = data["options"], data["host"]
    versions = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    return f"""{rates_table(data)}

{times_table(data)}

{memory_table(data)}

The run began at {data["began"]}. {options["rounds"]} rounds of {options["seconds"]} s for each entry and number of connections,
after one that does not count, alternately forwards and backwards, so that what else the machine does affects all alike; medians,
and for the ratios, taken within each round, the lowest and the highest. {host["cores"]} processors, {host["cpu"]}; load average
before the run {host["load_before"]:.2f}. {versions}."""

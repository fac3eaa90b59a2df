"""
The same small application, JSON from one SELECT by primary key, on onesession and on other platforms for C: requests a
second, processor time and memory, at several numbers of connections. Its sources are in platform/.
"""

import json
import os
from functools import partial

from apache import ApacheServer
from contestants import PortService, Service, token
from load import ask, measure
from machine import HERE, Failure, descendants, filled, memory_of, program

PARTS = ("platform",)

CONNECTIONS = (1, 4, 16, 64)
# Where the command line gives none. Short, and many rounds: what else the machine does then falls upon all alike. There is
# one more round before them, which does not count.
SECONDS, ROUNDS = 1, 7

TITLES = 1000
PATH = "/catalogue/titles/"
COLUMNS = ("id", "title", "year", "summary")


class Catalogue(Service):
    """FastCGI behind nginx, with the parameters of the project's own configuration, and no guard before it."""

    @property
    def nginx(self):
        parameters = {
            "REQUEST_METHOD": "$request_method",
            "SCRIPT_NAME": "$uri",
            "QUERY_STRING": "$query_string",
            "CONTENT_TYPE": "$content_type",
            "CONTENT_LENGTH": "$content_length",
            "REMOTE_ADDR": "$remote_addr",
            "HTTPS": "$https if_not_empty",
            "REQUEST_ID": "$request_id",
        }
        lines = "".join(f"fastcgi_param {name} {value}; " for name, value in parameters.items())
        return f"location /catalogue/ {{ fastcgi_pass unix:{self.socket}; {lines}}}"


class Module(Catalogue):
    """A daemon on the accounts and sessions of the main one, whose configuration is the default one but for the module."""

    def __init__(self, bench, name):
        super().__init__(bench, name)
        self.object = bench.home.bin / "platform/catalogue.so"
        self.daemon = bench.onesession(name, database=bench.main.database, **{"server.modules": self.object})

    @property
    def roots(self):
        return self.daemon.roots

    def start(self):
        self.daemon.ctl("-o", f"server.modules={self.object}", "migrate", "--grant", self.bench.server.DAEMON)
        self.daemon.start()

    def stop(self):
        self.daemon.stop()

    def verify(self):
        if (status := ask(self.bench.web.port, self.name, "/catalogue/mine/titles/1").status) != 401:
            raise Failure(f"without a session the answer was {status}")


class LibFcgi(Catalogue):
    def start(self):
        bench = self.bench
        self.launch([bench.home.bin / "platform/libfcgi", self.socket, bench.options.workers, conninfo(bench)])


class ApacheModule(ApacheServer):
    def __init__(self, bench, name):
        super().__init__(bench, name, database=bench.main.database)

    def start(self):
        # Where the server's user can read it.
        module = self.bench.home.bin / "platform/mod_catalogue.so"
        site = f"LoadModule catalogue_module {module}\n<Location /catalogue/>\n\tSetHandler catalogue\n\tRequire all granted\n</Location>\n"
        self.serve(self.bench.home.folder(self.name), site)


class Ulfius(PortService):
    def start(self):
        bench = self.bench
        self.launch([bench.home.bin / "platform/ulfius", self.port, bench.options.workers, conninfo(bench)])


class Kore(PortService):
    def start(self):
        bench, processes = self.bench, os.cpu_count()
        values = {
            "PORT": self.port,
            "MODULE": bench.home.bin / "platform/kore.so",
            "PROCESSES": processes,
            "CONNECTIONS": max(bench.options.workers // processes, 1),
        }
        text = filled("platform/kore.conf.in", values)
        # In the foreground, as the user that it was started as and in no other root.
        self.launch(
            [program("kore"), "-f", "-n", "-r", "-q", "-c", bench.home.file(f"{self.name}.conf", text)],
            env=bench.home.environment(BENCH_CONNINFO=conninfo(bench)),
        )


KINDS = {"libfcgi": LibFcgi, "module": Module, "apache-module": ApacheModule, "ulfius": Ulfius, "kore": Kore}

# Of each entry of the comparison: the service, the path, and whether it is asked without nginx. Those that are compared
# with each other first of all stand beside each other.
ENTRIES = {
    "libfcgi": ("libfcgi", PATH, False),
    "module": ("module", PATH, False),
    "session": ("module", "/catalogue/mine/titles/", False),
    "apache": ("apache-module", PATH, False),
    "apache alone": ("apache-module", PATH, True),
    "ulfius": ("ulfius", PATH, False),
    "ulfius alone": ("ulfius", PATH, True),
    "kore": ("kore", PATH, False),
    "kore alone": ("kore", PATH, True),
}
SOURCES = {"libfcgi": "libfcgi", "module": "onesession", "apache-module": "mod_catalogue", "ulfius": "ulfius", "kore": "kore"}


def conninfo(bench):
    return bench.main.conninfo()


def prepare(bench):
    bench.platforms = {}
    if bench.wants(*PARTS):
        # kore is in Debian 12 and not in 13.
        names = [name for name in KINDS if name != "kore" or (bench.home.bin / "platform/kore.so").exists()]
        bench.platforms = {name: KINDS[name](bench, name) for name in names}


def services(bench):
    """The services that nginx's configuration needs beside the usual ones."""
    return list(bench.platforms.values())


def facts(bench):
    given = bench.options.given
    return {
        "connections": CONNECTIONS,
        "seconds": given.seconds or SECONDS,
        "rounds": given.rounds or ROUNDS,
        "workers": bench.options.workers,
        "titles": TITLES,
        "sessions": bench.options.sessions,
        "load_before": os.getloadavg()[0],
    }


def plan(bench, add):
    """As parts.plan(). Platforms that have failed are left out, and the others go on."""
    if not bench.platforms:
        return

    def of(name, call):
        return lambda: "left out, for it has failed" if bench.has_failed(name) else bench.attempt(name, call)

    options = facts(bench)
    # The module's migration makes the table of all, so it is first.
    for name in sorted(bench.platforms, key=lambda name: name != "module"):
        add(f"platform, starting {name}", 1, of(name, partial(begin, bench, name)))
    entries = [name for name, (service, *_) in ENTRIES.items() if service in bench.platforms]
    once = options["seconds"] + 0.3
    for number in range(options["rounds"] + 1):
        for connections in CONNECTIONS:
            # Alternately forwards and backwards, so that drift affects all alike.
            for entry in entries if number % 2 else entries[::-1]:
                what = f"platform, round {number} of {options['rounds']}, {connections} connections, {entry}"
                add(what, once, of(ENTRIES[entry][0], partial(once_measured, bench, number, connections, entry)))
    for name in bench.platforms:
        add(f"platform, memory of {name}", 0.2, of(name, partial(memory, bench, name)))
        add(f"platform, ending {name}", 0.2, bench.platforms[name].stop)


def begin(bench, name):
    service = bench.platforms[name]
    bench.stack.callback(service.stop)
    service.start()
    if name == "module":
        bench.server.settle(bench.main.database)
        service.verify()
    for entry, (of, path, direct) in ENTRIES.items():
        if of == name:
            verify(bench, entry, path, service.port if direct else None)


def verify(bench, entry, path, port):
    """Every platform gives the same answers, for titles that there are and for what is none."""
    rows = bench.server.query(bench.main.database, f"SELECT {', '.join(COLUMNS)} FROM catalogue.titles ORDER BY id")
    if len(rows) != TITLES:
        raise Failure(f"there are {len(rows)} titles")
    host = ENTRIES[entry][0]
    for number in (1, 2, TITLES // 2, TITLES):
        answer = ask(port or bench.web.port, host, f"{path}{number}", cookie=f"onesession={token(1)}")
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if answer.status != 200 or kind != "application/json":
            raise Failure(f"{entry}: title {number} gave {answer.status}, {kind}: {answer.text[:200]}")
        if json.loads(answer.text) != dict(zip(COLUMNS, rows[number - 1])):
            raise Failure(f"{entry}: title {number} is {answer.text[:200]}")
    for number in (TITLES + 1, "x"):
        answer = ask(port or bench.web.port, host, f"{path}{number}", cookie=f"onesession={token(1)}")
        if answer.status != 404:
            raise Failure(f"{entry}: title {number} gave {answer.status}")


def once_measured(bench, number, connections, entry):
    name, path, direct = ENTRIES[entry]
    service, options = bench.platforms[name], facts(bench)
    trees = {"own": service.roots, "postgresql": [bench.server.process.pid]}
    if not direct:
        trees["nginx"] = bench.web.roots
    result = measure(
        bench,
        name,
        path,
        ["titles", str(TITLES), str(options["sessions"])],
        connections,
        options["seconds"],
        port=service.port if direct else None,
        warm_up=0,
        trees=trees,
    )
    result["round"] = number
    found = bench.results.setdefault("platform", {}).setdefault("entries", {})
    if number > 0:
        found.setdefault(entry, {}).setdefault(str(connections), []).append(result)
    return f"{result['rate']:.0f}/s, p99 {result['p99']:.1f} ms"


def memory(bench, name):
    """Of all processes, in KiB, those that only keep others running among them; and the connections to the database."""
    service = bench.platforms[name]
    found = [memory_of(pid) for pid in descendants(service.roots)]
    bench.results["platform"].setdefault("memory", {})[name] = {
        "processes": found,
        "source_lines": source_lines(SOURCES[name]),
    }
    return f"{len(found)} processes, {sum(one['Pss'] for one in found) / 1024:.1f} MiB"


def source_lines(name):
    """Lines of C that are neither empty nor a comment."""
    count, in_comment = 0, False
    for line in (HERE / f"platform/{name}.c").read_text(encoding="utf-8").splitlines():
        line = line.strip()
        in_comment = in_comment or line.startswith("/*")
        count += bool(line) and not in_comment
        in_comment = in_comment and not line.endswith("*/")
    return count

"""
What the site's own programs call, beside the same by Express and Django REST framework: whose key is this, and a login by
the application's own sign-in, also with a standby that confirms each commit; and whether the guard feels it.
"""

import json
import urllib.parse

from contestants import PROGRAM_TOKEN, token
from load import Background, ask_openly, measure
from machine import Failure, Standby

PARTS = ("check", "issue", "standby", "beside")
RIVALS = ("express", "django")
# Calls a second beside the guard, and the guard's requests, on as many connections each.
CALLS, CALL_CONNECTIONS = 1000, 16
CONNECTIONS = (4, 64)


def prepare(bench):
    # Each host counts api.rate calls a second with a token; here it is what is measured.
    bench.programs = bench.onesession("programs", database=bench.main.database, **{"api.rate": 0})
    bench.program_token = None
    bench.standby = Standby(bench.server) if bench.wants("standby") else None


def services(bench):
    return [bench.programs] if bench.wants(*PARTS) else []


def plan(bench, add, step):
    options = bench.options
    once = options.warm_up + options.seconds + 0.5
    if not bench.wants(*PARTS):
        return
    add("a daemon for programs", 2, lambda: bench.attempt("programs", lambda: begin(bench)))
    for number in range(1, options.rounds + 1):
        names = ("programs", *RIVALS) if number % 2 else (*reversed(RIVALS), "programs")
        for part in ("check", "issue"):
            for name in names if bench.wants(part) else ():
                for connections in CONNECTIONS:
                    what = f"{part}, round {number} of {options.rounds}, {name}, {connections} connections"
                    add(what, once, step(bench, part, lambda one=(part, name, connections): call_round(bench, *one)))
        if bench.wants("beside"):
            for name in ("quiet", "called") if number % 2 else ("called", "quiet"):
                what = f"beside, round {number} of {options.rounds}, {name}"
                add(what, once, step(bench, "beside", lambda name=name: beside_round(bench, name)))
    if bench.wants("standby"):
        add("a standby that confirms commits", 10, step(bench, "standby", lambda: start_standby(bench)))
        for number in range(1, options.rounds + 1):
            for connections in CONNECTIONS:
                what = f"standby, round {number} of {options.rounds}, {connections} connections"
                add(what, once, step(bench, "standby", lambda connections=connections: call_round(bench, "standby", "programs", connections)))
        add("ending the standby", 2, bench.standby.stop)
    add("ending the daemon for programs", 1, bench.programs.stop)


def begin(bench):
    service = bench.programs
    bench.stack.callback(service.stop)
    service.start()
    service.verify()
    bench.program_token = service.ctl("token", "add", "bench", "--scope", "sessions").strip()
    count = bench.options.sessions
    rivals = RIVALS if bench.wants("check", "issue") else ()
    for name in ("programs", *rivals):
        if name == "programs":
            keys = [token(number) for number in range(1, count + 1)]
        else:
            keys = [key_in(cookie) for cookie in bench.cookies(name)]
        lines = [json.dumps({"token": key}) for key in keys]
        bench.home.file(f"check.{name}", "".join(f"{line}\n" for line in lines))
    # To accounts whose sessions are in no other load; the others have only those.
    bench.home.file("issue.programs", bodies(bench.options.sessions + 1, count))
    for name in rivals:
        bench.home.file(f"issue.{name}", bodies(1, count))


def start_standby(bench):
    bench.stack.callback(bench.standby.stop)
    bench.standby.start()


def bodies(first, count):
    return "".join(json.dumps({"user": f"u{number}"}) + "\n" for number in range(first, first + count))


def key_in(cookie):
    """Of Express the id of the session stands between "s:" and the signature."""
    value = urllib.parse.unquote(cookie.partition("=")[2])
    return value[2:].partition(".")[0] if value.startswith("s:") else value


def call_round(bench, part, name, connections):
    if bench.has_failed(name):
        return "left out, for it has failed"
    service = bench.programs if name == "programs" else bench.services[name]
    path = "/api/check" if part == "check" else "/api/sessions"
    calls = "check" if part == "check" else "issue"
    result = measure(
        bench,
        service.name,
        ("/session" if name == "programs" else "") + path,
        ["calls", bench.home.path / f"{calls}.{name}", bench.program_token if name == "programs" else PROGRAM_TOKEN],
        connections,
        bench.options.seconds,
        trees={"own": service.roots, "postgresql": [bench.server.process.pid]},
    )
    bench.results.setdefault(part, {}).setdefault(f"{name} {connections}", []).append(result)
    return f"{result['rate']:.0f}/s, p99 {result['p99']:.1f} ms"


def beside_round(bench, name):
    """The guard's own latencies at a fixed rate, alone and beside as many calls of programs."""
    options, service = bench.options, bench.programs
    calls = None
    if name == "called":
        words = [bench.web.port, service.name, "/session/api/check", options.sessions, CALL_CONNECTIONS, CALLS]
        calls = Background(bench, "openloop", [*words, options.seconds + 2, bench.program_token])
    try:
        result = ask_openly(bench, service, CALL_CONNECTIONS, CALLS, options.seconds)
        if calls is not None:
            called = calls.result(options.seconds + 60)
            if set(called["statuses"]) != {"200"}:
                raise Failure(f"calls were answered {called['statuses']}")
            result["called"] = called
    finally:
        if calls is not None:
            calls.stop()
    bench.results.setdefault("beside", {}).setdefault(name, []).append(result)
    return f"p99 {result['p99']:.2f} ms"

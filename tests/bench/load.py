"""
The load: wrk and openloop through nginx, the former with load.lua, pgbench, and hostile peers. Each gives one
measurement as a dictionary.
"""

import http.client
import json
import re
import signal
import subprocess
from typing import NamedTuple

from machine import Failure, cpu_seconds, program, run, start
from support.processes import end
from support.waiting import wait_until

# Longer than any answer takes; a request without an answer by then is an error.
ANSWER_TIMEOUT = 30
# So few that the time to answer is measured and not the length of the queue.
FEW_CONNECTIONS = 8
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


class Answer(NamedTuple):
    """`headers`: by lower case names; `cookies`: from Set-Cookie, as a browser sends them."""

    status: int
    headers: dict
    cookies: list
    text: str


def ask(port, host, path, method="GET", body=None, cookie=None, **headers):
    """One request."""
    fields = {"Host": host, "User-Agent": BROWSER, **{name.replace("_", "-"): value for name, value in headers.items()}}
    if cookie is not None:
        fields["Cookie"] = cookie
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT)
    try:
        connection.request(method, path, body, fields)
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace")
        cookies = [line.partition(";")[0] for line in response.msg.get_all("Set-Cookie") or []]
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, cookies, text)
    except (OSError, http.client.HTTPException) as error:
        raise Failure(f"{host}{path}: {type(error).__name__}: {error}") from error
    finally:
        connection.close()


def sign_in(port, host, path="/login", name="onesession", ok=(200, 204, 303), as_json=False, **account):
    """Returns the cookie called `name`."""
    if as_json:
        body, kind = json.dumps(account), "application/json"
    else:
        body, kind = "&".join(f"{key}={value}" for key, value in account.items()), "application/x-www-form-urlencoded"
    answer = ask(port, host, path, "POST", body, Content_Type=kind)
    cookies = [cookie for cookie in answer.cookies if cookie.startswith(f"{name}=")]
    if answer.status not in ok or not cookies:
        raise Failure(f"signing in to {host} gave {answer.status} and {'no' if not cookies else 'a'} cookie")
    return cookies[-1]


class Background:
    """One run of a program that ends by itself and has one line of JSON among what it prints."""

    count = 0

    def __init__(self, bench, what, arguments, command=None):
        Background.count += 1
        self.bench, self.what = bench, what
        self.name = f"{what}-{Background.count}"
        self.process = start(
            bench.home, self.name, [command or bench.home.bin / what, *arguments], death_signal=signal.SIGKILL
        )

    def result(self, timeout):
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            status = end(self.process, (signal.SIGKILL,))
        text = (self.bench.home.log / f"{self.name}.log").read_text()
        found = re.search(r"^\{.*\}$", text, re.M)
        if status != 0 or not found:
            raise Failure(f"{self.what}: exit status {status}: {text[-300:]}")
        return json.loads(found[0])

    def stop(self):
        end(self.process, (signal.SIGINT, signal.SIGKILL))


class Wrk(Background):
    """One run of wrk, in the background."""

    def __init__(self, bench, host, path, lua, connections, seconds, port=None):
        threads = min(bench.options.threads, connections)
        super().__init__(
            bench,
            "wrk",
            [f"--threads={threads}", f"--connections={connections}", f"--duration={seconds}s"]
            + [f"--timeout={ANSWER_TIMEOUT}s", "--script", bench.home.app / "load.lua"]
            + ["--header", f"Host: {host}", f"http://127.0.0.1:{port or bench.web.port}{path}", "--", *lua],
            command=program("wrk"),
        )
        self.seconds = seconds

    def result(self, timeout=None):
        result = super().result(timeout or self.seconds + 2 * ANSWER_TIMEOUT)
        result["rate"] = result["requests"] / result["seconds"]
        return result


def ask_openly(bench, service, connections, rate, seconds):
    """Requests to /auth at a fixed rate, whatever the answers take; with rate 0 each connection waits for the answer."""
    asking = Background(
        bench,
        "openloop",
        [bench.web.port, service.name, "/session/auth", bench.options.sessions, connections, rate, seconds],
    )
    try:
        return asking.result(seconds + 2 * ANSWER_TIMEOUT)
    finally:
        asking.stop()


def measure(bench, host, path, lua, connections, seconds, port=None, warm_up=None, refused=False, trees=None):
    """
    Warm up, then measure. `refused`: every answer has to be an error, else none. `trees`: for each name process ids
    whose CPU time a request, with that of all their descendants, is in the result.
    """
    warm_up = bench.options.warm_up if warm_up is None else warm_up
    if warm_up > 0:
        Wrk(bench, host, path, lua, connections, warm_up, port).result()
    while True:
        before = {name: cpu_seconds(roots) for name, roots in (trees or {}).items()}
        result = Wrk(bench, host, path, lua, connections, seconds, port).result()
        # Too short for one answer, as on a busy machine.
        if result["requests"] > 0 or result["socket_errors"] > 0 or seconds >= ANSWER_TIMEOUT:
            break
        seconds = min(2 * seconds, ANSWER_TIMEOUT)
    result["cpu_us"] = {
        name: (cpu_seconds(roots) - before[name]) * 1e6 / max(result["requests"], 1)
        for name, roots in (trees or {}).items()
    }
    if result["requests"] == 0:
        raise Failure(f"{host}{path} answered nothing in {seconds} s")
    if result["socket_errors"] > 0:
        raise Failure(f"{host}{path}: {result['socket_errors']} of {result['requests']} requests were not answered")
    wanted = result["requests"] if refused else 0
    if result["bad_status"] != wanted:
        raise Failure(
            f"{host}{path}: {result['bad_status']} of {result['requests']} answers were errors, not {wanted}"
        )
    return result


# ---- pgbench ---------------------------------------------------------------------------------------------------------


def statement_of_hook(bench):
    """
    The daemon's query before a request, with its values, from PostgreSQL's log. It is the first statement that reads a
    session and the stored key.
    """
    database = bench.main.database
    # Holds for connections that begin from now on: not for workers that are running already.
    bench.server.execute(f"ALTER DATABASE {database} SET log_statement = 'all'")
    service = bench.onesession("captured", database=database, **{"server.workers": 1})
    service.start()
    try:
        offset = bench.server.log.stat().st_size
        bench.ask_directly(service, "/session/auth", bench.token_cookie(1))
        pattern = re.compile(
            r"LOG:  execute [^:\n]*: (SELECT (?:(?!LOG:|DETAIL:).)*logged_in_user(?:(?!LOG:|DETAIL:).)*)\n"
            r"[^\n]*DETAIL:  parameters: ([^\n]*)",
            re.S,
        )

        def look():
            with open(bench.server.log, encoding="utf-8") as log:
                log.seek(offset)
                return pattern.search(log.read())

        found = wait_until(look, "the hook's statement in PostgreSQL's log", timeout=10)
    except AssertionError as error:
        raise Failure(str(error)) from error
    finally:
        service.stop()
        bench.server.execute(f"ALTER DATABASE {database} RESET log_statement")
    values = re.findall(r"\$(\d+) = (?:'((?:[^']|'')*)'|(NULL))", found[2])
    if not values or any(null for _, _, null in values):
        raise Failure(f"the values of the hook's statement cannot be read: {found[2][:200]}")
    return found[1], {int(number): text.replace("''", "'") for number, text, _ in values}


def prepare_pgbench(bench):
    sql, values = statement_of_hook(bench)
    script = re.sub(r"\$(\d+)", r":p\1", " ".join(sql.split()))
    bench.home.file("hook.sql", script + ";\n")
    return [word for number, text in values.items() for word in ("-D", f"p{number}={text}")]


def measure_pgbench(bench, definitions, clients, seconds):
    """Without the CPU time of pgbench itself, which stands for the peer."""

    def once(duration):
        return run(
            bench.home,
            [bench.server.program("pgbench"), "--no-vacuum", "--protocol=prepared", f"--client={clients}"]
            + ["--jobs=1", f"--time={duration}", f"--file={bench.home.path / 'hook.sql'}", *definitions]
            + [f"--host={bench.home.sockets}", f"--username={bench.server.DAEMON}", bench.main.database],
            "pgbench",
        )

    if bench.options.warm_up > 0:
        once(bench.options.warm_up)
    roots = [bench.server.process.pid]
    before = cpu_seconds(roots)
    text = once(seconds)
    used = cpu_seconds(roots) - before
    count = int(re.search(r"transactions actually processed: (\d+)", text)[1])
    failed = int(re.search(r"failed transactions: (\d+)", text)[1])
    if failed:
        raise Failure(f"pgbench: {failed} statements failed")
    return {
        "requests": count,
        "rate": float(re.search(r"tps = ([\d.]+)", text)[1]),
        "mean": float(re.search(r"latency average = ([\d.]+) ms", text)[1]),
        "cpu_us": {"postgresql": used * 1e6 / count},
    }

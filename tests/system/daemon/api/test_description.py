"""docs/openapi.json: a valid description, the one that is served, and each answer of it is met."""

import json
import os
import subprocess

import pytest

from support.api import DOCUMENT, Api, new_token, operations
from support.browser import REFUSE
from support.processes import ROOT

DESCRIBED = [(method, path, status) for method, path, operation in operations() for status in operation["responses"]]
BODIES = {"/api/users/{name}": {"groups": ["staff"]}, "/api/sessions": {"user": "alice"}, "/api/check": {"token": "A" * 43}}
NO_SESSION = "00000000-0000-0000-0000-000000000000"


def test_it_is_valid_openapi():
    """By redocly's own rules. It asks nobody: no updates, no telemetry."""
    program = ROOT / "build/npm/node_modules/.bin/redocly"
    environment = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"}
    done = subprocess.run(
        [str(program), "lint", "--format=stylish", "docs/openapi.json"],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()


def test_it_is_served(api):
    assert Api(api.daemon, None).get("/openapi.json", status=200).json == DOCUMENT


def test_scopes_are_named():
    for method, path, operation in operations():
        if operation.get("security") != []:
            assert "Scope: " in operation["description"], f"{method} {path}"


@pytest.fixture(name="site", scope="module")
def one_site(cluster_of_worker):
    from support.postgres import new_database
    from support.programs import Ctl, Daemon

    if not cluster_of_worker.is_running:
        cluster_of_worker.start()
    database = new_database(cluster_of_worker)
    daemon = Daemon(database, REFUSE).start()
    yield daemon, Ctl(database.owner_conninfo)
    daemon.close()
    database.discard()


class Caller:
    """Calls one operation so that a status comes of it."""

    def __init__(self, daemon, ctl, method, path):
        self.daemon, self.ctl, self.method, self.path = daemon, ctl, method, path
        self.database = daemon.database
        self.database.query("DELETE FROM sessions; DELETE FROM logged_in_user; DELETE FROM api_tokens")
        self.database.query("DELETE FROM users WHERE username NOT IN ('alice', 'bob', 'dora')")
        self.database.query("UPDATE users SET is_admin = false, external_id = NULL")
        self.api = Api(daemon, new_token(ctl))

    def call(self, api=None, name="alice", session=NO_SESSION, body=None, query=None, **kwargs):
        path = self.path.removeprefix("/api").replace("{name}", name).replace("{id}", session)
        if query is None:
            query = "user=alice" if (self.method, self.path) == ("GET", "/api/sessions") else ""
        if body is None and self.method in ("PUT", "POST"):
            body = BODIES[self.path]
        return (api or self.api).call(self.method, path, body, query=query, **kwargs)

    def by_200(self):
        return self.call(Api(self.daemon, None)) if self.path.endswith("openapi.json") else self.call()

    def by_201(self):
        return self.call(name="carol")

    def by_204(self):
        session = self.api.sign_in().json["session"]["id"]
        self.database.query("INSERT INTO users (username, password) VALUES ('carol', '!')")
        return self.call(name="carol", session=session)

    def by_400(self):
        if self.method in ("PUT", "POST"):
            return self.call(body={"unknown": 1, "token": 7})
        return self.call(query="reason=x&limit=x&user=")

    def by_401(self):
        return self.call(Api(self.daemon, None))

    def by_403(self):
        other = "events" if not self.path.startswith("/api/events") else "users"
        return self.call(Api(self.daemon, new_token(self.ctl, "other", other)))

    def by_404(self):
        return self.call(Api(self.daemon, self.api.token, address="192.0.2.1"), headers={"Accept": "application/json"})

    def by_409(self):
        if self.method == "PUT":
            self.database.query("UPDATE users SET external_id = '7' WHERE username = 'bob'")
            return self.call(body={"external_id": "7"})
        self.api.sign_in()
        return self.call()

    def by_410(self):
        return self.call(query="after=999999999")

    def by_413(self):
        return self.call(body=b'{"x": "' + b"y" * 70000 + b'"}')

    def by_415(self):
        return self.call(body=b"x=y", headers={"Content-Type": "application/x-www-form-urlencoded"})

    def by_422(self):
        self.call(headers={"Idempotency-Key": "one"})
        return self.call(body={"user": "bob"}, headers={"Idempotency-Key": "one"})

    def by_429(self):
        """Another daemon has the rate: see test_each_call_can_be_too_many."""
        return None

    def by_503(self):
        """Another daemon's database is away: see test_each_call_without_a_database."""
        return None


@pytest.mark.parametrize("method, path, status", DESCRIBED, ids=[" ".join(each) for each in DESCRIBED])
def test_each_answer_that_is_described_is_met(site, method, path, status):
    reply = getattr(Caller(*site, method, path), f"by_{status}")()
    assert reply is None or str(reply.status) == status, reply.answer.body


CALLED = [(method, path) for method, path, status in DESCRIBED if status == "503"]


def test_each_call_can_be_too_many(new_api, ctl):
    api = new_api({"api.rate": 1})
    for method, path in CALLED:
        caller = Caller(api.daemon, ctl, method, path)
        assert 429 in {caller.call(name=f"nobody{n}", session=NO_SESSION).status for n in range(8)}, f"{method} {path}"


def test_each_call_without_a_database(new_api, ctl, cluster):
    api = new_api()
    callers = [Caller(api.daemon, ctl, method, path) for method, path in CALLED]
    cluster.stop()
    try:
        for caller in callers:
            reply = caller.call()
            assert (reply.status, reply.code) == (503, "unavailable"), f"{caller.method} {caller.path}"
    finally:
        cluster.start()


def test_what_is_described_is_what_routes_take(api):
    """A method that is not described is none of the API's."""
    methods = {"GET", "PUT", "POST", "DELETE", "PATCH"}
    for path, item in DOCUMENT["paths"].items():
        described = {method.upper() for method in item if method.upper() in methods}
        answer = api.daemon.ask(
            method="PROPFIND", path="/session" + path.replace("{name}", "alice").replace("{id}", NO_SESSION), REMOTE_ADDR="127.0.0.1"
        )
        assert set(json.loads(json.dumps(answer.get("Allow").split(", ")))) - {"HEAD"} == described, path

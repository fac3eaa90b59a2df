"""Who may call the API: addresses, tokens, scopes, and how often."""

import json

import pytest

from support.api import ALL_SCOPES, Api, check_described, new_token, operations
from support.client import UNKNOWN
from support.waiting import wait_until

# What each needs, and a call for it that would do something.
CALLS = [
    ("users", "GET", "/users", None),
    ("users", "GET", "/users/alice", None),
    ("users", "PUT", "/users/alice", {"groups": ["staff"]}),
    ("users", "DELETE", "/users/alice", None),
    ("sessions", "DELETE", "/users/alice/sessions", None),
    ("sessions", "POST", "/sessions", {"user": "alice"}),
    ("sessions", "GET", "/sessions?user=alice", None),
    ("sessions", "DELETE", "/sessions/00000000-0000-0000-0000-000000000000", None),
    ("sessions", "POST", "/check", {"token": "A" * 43}),
    ("events", "GET", "/events", None),
]
EACH = pytest.mark.parametrize("scope, method, path, body", CALLS, ids=[f"{call[1]} {call[2]}" for call in CALLS])


def state(database):
    return {t: database.query(f"SELECT * FROM {t} ORDER BY 1") for t in ("users", "sessions", "events", "api_answers")}


def test_each_operation_is_among_the_calls():
    described = {(method, path) for method, path, operation in operations() if operation.get("security") != []}
    assert len(described) == len(CALLS)


@pytest.fixture(name="kept", scope="module")
def one_daemon_for_all(cluster_of_worker):
    from support.postgres import new_database
    from support.programs import Ctl, Daemon

    if not cluster_of_worker.is_running:
        cluster_of_worker.start()
    database = new_database(cluster_of_worker)
    daemon = Daemon(database).start()
    yield daemon, Ctl(database.owner_conninfo)
    daemon.close()
    database.discard()


@EACH
def test_without_a_good_token_the_answer_is_the_same_and_nothing_is_done(kept, scope, method, path, body):
    daemon, ctl = kept
    before = state(daemon.database)
    good = new_token(ctl, name=f"good.{scope}.{CALLS.index((scope, method, path, body))}")
    daemon.database.query("DELETE FROM events WHERE name LIKE 'token_%'")
    answers = set()
    for given in (
        None,
        "Bearer",
        "Bearer ",
        f"Bearer ost_{'A' * 43}",
        f"Bearer {good.removeprefix('ost_')}",
        f"Bearer {good}x",
        f"Bearer {good} {good}",
        f"Basic {good}",
        good,
        "Bearer ost_" + "ä" * 43,
        "Bearer " + "x" * 5000,
    ):
        headers = {"Authorization": given} if given is not None else {}
        reply = Api(daemon, None).call(method, path, body, headers=headers, status=401)
        assert reply.get("WWW-Authenticate").startswith("Bearer ")
        answers.add(tuple(sorted(field for field in reply.answer.fields)) + (reply.answer.body,))
    assert len(answers) == 1
    assert state(daemon.database) == before


@EACH
def test_token_of_other_scopes_is_not_enough(kept, scope, method, path, body):
    daemon, ctl = kept
    others = ",".join(other for other in ALL_SCOPES.split(",") if other != scope)
    api = Api(daemon, new_token(ctl, name=f"others.{CALLS.index((scope, method, path, body))}", scopes=others))
    before = state(daemon.database)
    reply = api.call(method, path, body, status=403)
    assert (reply.code, reply.json["scope"]) == ("insufficient_scope", scope)
    assert f'scope="{scope}"' in reply.get("WWW-Authenticate")
    assert state(daemon.database) == before


@EACH
def test_for_other_addresses_there_is_nothing(kept, scope, method, path, body):
    daemon, ctl = kept
    api = Api(daemon, new_token(ctl, name=f"far.{CALLS.index((scope, method, path, body))}"), address="192.0.2.7")
    before = state(daemon.database)
    reply = api.call(method, path, body, headers={"Accept": "application/json"}, status=404)
    nowhere = daemon.ask(method=method, path="/session/nowhere", headers={"Accept": "application/json"}, body=b"")
    assert reply.answer.body == nowhere.body
    assert state(daemon.database) == before


@pytest.mark.parametrize("body", [{"password": "a phrase that is long"}, {"password_hash": "$2y$10$" + "a" * 53}])
def test_passwords_take_the_scope_credentials(kept, body):
    daemon, ctl = kept
    api = Api(daemon, new_token(ctl, name=f"users.{'hash' in json.dumps(body)}", scopes="users"))
    before = state(daemon.database)
    for name in ("alice", "carol"):
        assert api.put(f"/users/{name}", body, status=403).json["scope"] == "credentials"
    assert state(daemon.database) == before


def test_clients_are_a_setting(new_api):
    api = new_api({"api.clients": "192.0.2.0/24 2001:db8::/32"})
    for address, status in (("192.0.2.9", 200), ("2001:db8::1", 200), ("127.0.0.1", 404), ("::1", 404), ("198.51.100.1", 404)):
        Api(api.daemon, api.token, address=address).get("/users/alice", status=status)
    assert Api(api.daemon, None, address="192.0.2.9").get("/openapi.json", status=200).json["openapi"] == "3.1.0"
    Api(api.daemon, None).get("/openapi.json", status=404)


def test_api_is_below_the_daemon_s_prefix(new_daemon):
    daemon = new_daemon({"server.prefix": "/own"}).start(wait="/own/ready")
    assert daemon.ask(path="/own/api/openapi.json", REMOTE_ADDR="127.0.0.1").status == 200


def test_scheme_is_known_in_any_case(api):
    api.get("/users/alice", headers={"Authorization": f"bEARER   {api.token}"}, status=200)


def test_cookie_of_an_administrator_opens_nothing(api):
    assert Api(api.daemon, None).get("/users", headers=UNKNOWN, status=401).code == "invalid_token"


def test_request_that_another_site_made_a_browser_send(api):
    reply = api.sign_in(headers={"Sec-Fetch-Site": "cross-site"}, status=403)
    assert reply.code == "cross_site"


# ---- For how long ----------------------------------------------------------------------------------------------------


def test_revoked_token_is_out_at_once(api, ctl):
    token = api.sign_in().json["token"]
    assert api.is_live(token)
    ctl.run("token", "revoke", "shop")
    for _ in range(3):
        api.post("/check", {"token": token}, status=401)
        api.get("/users", status=401)


def test_expired_token_is_out_at_once(api, database):
    api.get("/users", status=200)
    database.query("UPDATE api_tokens SET expires_at = now()")
    api.get("/users", status=401)
    api.post("/check", {"token": "A" * 43}, status=401)


@pytest.mark.parametrize("call", [lambda api: api.get("/users"), lambda api: api.check("A" * 43)], ids=["users", "check"])
def test_last_use_is_written_down_once_a_minute(api, database, call):
    last = "SELECT last_used_at FROM api_tokens"
    assert database.value(last) is None
    call(api)
    first = wait_until(lambda: database.value(last), "the last use")
    call(api)
    assert database.value(last) == first
    database.query("UPDATE api_tokens SET last_used_at = now() - interval '1 minute'")
    before = database.value(last)
    call(api)
    wait_until(lambda: database.value(last) > before, "the last use")


def test_refused_call_is_no_use(api, ctl, database):
    ctl.run("token", "revoke", "shop")
    api.get("/users", status=401)
    assert database.value("SELECT last_used_at FROM api_tokens") is None


# ---- How often -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path, body", [("/users/alice", None), ("/check", {"token": "A" * 43})])
def test_calls_past_the_rate_wait(new_api, path, body):
    api = new_api({"api.rate": 2})

    def call():
        return api.call("POST" if body else "GET", path, body)

    late = wait_until(lambda: next((r for r in (call() for _ in range(5)) if r.status == 429), None), "a call too many")
    assert late.code == "too_many_attempts" and late.get("Retry-After") == "1"
    wait_until(lambda: call().status == 200, "the next second")


def test_rate_is_each_token_s_own(new_api, ctl):
    api = new_api({"api.rate": 1})
    other = Api(api.daemon, new_token(ctl, name="other"))
    wait_until(lambda: api.get("/users/alice").status == 429, "a call too many")
    assert wait_until(lambda: other.get("/users/alice").status == 200, "the other one's")


def test_no_rate(new_api):
    api = new_api({"api.rate": 0})
    assert {api.check("A" * 43)["live"] for _ in range(50)} == {False}


# ---- Nothing of it gets out ------------------------------------------------------------------------------------------


def test_tokens_are_neither_in_the_log_nor_in_events(api, database):
    login = api.sign_in(headers={"Idempotency-Key": "one"}).json
    api.check(login["token"])
    api.put("/users/alice", {"groups": ["a"]}, status=200)
    secrets = [api.token.removeprefix("ost_"), login["token"]] + [field.partition(";")[0].partition("=")[2] for field in login["cookies"]]
    api.daemon.stop()
    written = json.dumps([[str(row) for row in database.query(f"SELECT t::text FROM {table} t")] for table in ("events", "sessions", "api_tokens", "known_browsers")])
    for secret in secrets:
        assert secret not in api.daemon.log_text() and secret not in written


def test_no_answer_sets_a_cookie_or_may_be_kept(api):
    answer = api.daemon.ask(path="/session/api/users", headers={"Authorization": f"Bearer {api.token}"}, REMOTE_ADDR="127.0.0.1")
    check_described("GET", "/api/users", answer)
    assert answer.get("Cache-Control") == "no-store"

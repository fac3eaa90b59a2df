"""What is no call of the API: sizes, depths, bytes, paths, methods."""

import pytest

from support.api import Api

POSTS = [("POST", "/sessions"), ("POST", "/check"), ("PUT", "/users/alice")]
EACH = pytest.mark.parametrize("method, path", POSTS)


@pytest.fixture(name="unchanged")
def nothing_is_changed(shared_api):
    database = shared_api.daemon.database

    def state():
        return {t: database.query(f"SELECT * FROM {t} ORDER BY 1") for t in ("users", "sessions", "events", "api_answers")}

    before = state()
    yield shared_api
    assert state() == before


@EACH
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b"null",
        b'"alice"',
        b'{"user": "alice"} {}',
        b'{"user": "alice", "user": "bob", "token": "a", "token": "b", "plan": null, "plan": null}',
        b'{"user": "a\\u0000", "token": "a\\u0000b", "external_id": "a\\u0000"}',
        b'{"user": "\xff", "token": "\xff", "external_id": "\xff"}',
        b'{"user": "\xed\xa0\x80", "token": "\xc0\x80", "external_id": "\xed\xa0\x80"}',
        b'{"user": "\\ud800", "token": "\\ud800", "external_id": "\\ud800"}',
        b'{"user": 1e999, "token": 1e999, "session_limit": 1e999}',
        b"[" * 5000 + b"]" * 5000,
        b'{"a": ' * 3000 + b"1" + b"}" * 3000,
        b"\x00" * 100,
    ],
    ids=range(14),
)
def test_body_that_cannot_be_read(unchanged, method, path, body):
    assert unchanged.call(method, path, body, status=400).code == "bad_request"


@EACH
def test_depth_that_can_be_read(unchanged, method, path):
    deep = b"[" * 1500 + b"]" * 1500
    body = b'{"user": %s, "token": %s, "groups": %s}' % (deep, deep, deep)
    assert unchanged.call(method, path, body, status=400).code == "bad_request"


@EACH
def test_body_past_the_limit(unchanged, method, path):
    assert unchanged.call(method, path, b'{"x": "' + b"y" * 70000 + b'"}', status=413).code == "too_large"


@EACH
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", "application/xml"])
def test_body_of_another_type(unchanged, method, path, kind):
    reply = unchanged.call(method, path, b"user=alice", headers={"Content-Type": kind}, status=415)
    assert reply.code == "unsupported_media_type"


@EACH
def test_no_body(unchanged, method, path):
    assert unchanged.call(method, path, status=400).code == "bad_request"


@EACH
def test_body_that_is_shorter_than_it_says(unchanged, method, path):
    reply = unchanged.call(method, path, b'{"user": "alice"}', CONTENT_LENGTH="500")
    assert reply.status == 400


@pytest.mark.parametrize(
    "path",
    ["/users/", "/users//", "/users/a/b", "/users/alice/sessions/x", "/sessions/", "/check/", "", "/", "/nothing", "/users/alice/"],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_path_that_there_is_not(unchanged, path, method):
    assert unchanged.call(method, path, headers={"Accept": "application/json"}).status in (404, 405)


@pytest.mark.parametrize("name", ["..", ".", "%2e%2e", "a%2Fb", "%00", "%", "%zz", "a%", "\\", ";", "alice;x", "alice%20"])
def test_names_that_are_no_account_s(unchanged, name):
    for method in ("GET", "DELETE"):
        assert unchanged.call(method, f"/users/{name}", headers={"Accept": "application/json"}).status == 404


def test_slash_that_was_decoded_is_no_part_of_a_name(unchanged):
    for target in ("/session/api/users/ali%2Fce", "/session/api/users/ali%2fce", "/session/api/users/ali%00ce"):
        reply = unchanged.get("/users/alice", REQUEST_URI=target, headers={"Accept": "application/json"})
        assert reply.status == 404


@pytest.mark.parametrize("name", ["carol smith", "carol%", "Ünïcödé", "名前", "a+b", "a&b=c", "a;b", "..."])
def test_names_that_accounts_can_have(shared_api, name):
    assert shared_api.put(f"/users/{name}", {}, status=201).json["username"] == name
    assert shared_api.get(f"/users/{name}", status=200).json["username"] == name
    assert shared_api.sign_in(name).json["user"]["username"] == name
    shared_api.delete(f"/users/{name}", status=204)


def test_name_in_bytes_that_are_no_text(unchanged):
    answer = unchanged.daemon.ask(
        path=b"/session/api/users/\xff".decode("latin-1"), headers={"Authorization": f"Bearer {unchanged.token}"}, REMOTE_ADDR="127.0.0.1"
    )
    assert answer.status == 404


@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "TRACE", "GOT"])
@pytest.mark.parametrize("path", ["/users", "/users/alice", "/sessions", "/check", "/events", "/openapi.json"])
def test_method_that_there_is_not(unchanged, method, path):
    reply = unchanged.call(method, path)
    assert reply.status == 405 and reply.get("Allow")


@pytest.mark.parametrize("path", ["/users", "/users/alice", "/sessions?user=alice", "/events", "/openapi.json"])
def test_head(unchanged, path):
    assert unchanged.call("HEAD", path, status=200).answer.body == b""


def test_sql_in_every_place(unchanged):
    text = "'; DROP TABLE users; --"
    assert unchanged.get(f"/users/{text}", status=404)
    assert unchanged.get("/sessions", query="user=%27%3B+DROP+TABLE+users", status=404)
    assert unchanged.sign_in(text, status=404, headers={"Idempotency-Key": "';DROP"})
    unchanged.put("/users/nobody", {"plan": text}, status=400)


def test_many_wrong_calls_at_once_leave_the_rest_as_it_is(api):
    wrong = Api(api.daemon, "ost_" + "A" * 43)
    for _ in range(200):
        wrong.post("/check", {"token": "B" * 43}, status=401)
    assert api.check("A" * 43)["live"] is False

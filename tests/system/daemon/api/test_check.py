"""POST /api/check: what an application asks that has the key but not the guard; and the other calls about sessions."""

import json

import pytest

from support.browser import CHROME, FIREFOX
from support.client import sign_in
from support.rows import insert_from_outside, put_session
from support.waiting import wait_until


def key_of(daemon):
    key = sign_in(daemon)["Cookie"].partition("=")[2]
    daemon.secrets.add(key)
    return key


def test_key_of_the_sign_in_page_is_live(api, database):
    key = key_of(api.daemon)
    body = api.check(key)
    assert body["live"] is True and body["user"]["username"] == "alice"
    assert body["session"]["id"] == database.sessions()[0]


def test_reasons(api, database):
    api.daemon.secrets.add("A" * 43)
    assert api.check("A" * 43) == {"live": False, "reason": "unauthenticated", "ended_at": None, "by": None} | {
        "by": api.check("A" * 43)["by"]
    }
    first = api.sign_in(user_agent=FIREFOX).json["token"]
    second = api.sign_in(user_agent=CHROME).json["token"]
    body = api.check(first)
    assert body["reason"] == "displaced" and body["ended_at"] and body["by"] == {"browser": "Chrome", "os": "Windows"}
    database.query("UPDATE sessions SET expires_at = now()")
    assert api.check(second)["reason"] == "expired"


@pytest.mark.parametrize("token", ["", "x", "ost_" + "A" * 43, "ä" * 43, "A" * 44, "A" * 20000, "' OR 1=1"])
def test_what_is_no_key_is_nobody_s(shared_api, token):
    assert shared_api.check(token)["reason"] == "unauthenticated"


def test_token_of_the_api_is_no_key_of_a_session(api):
    assert api.check(api.token)["reason"] == "unauthenticated"
    assert api.check(api.token.removeprefix("ost_"))["reason"] == "unauthenticated"


def test_cookie_is_not_looked_at(api):
    key = key_of(api.daemon)
    for headers in ({"Cookie": f"onesession={key}"}, {"Cookie": f"onesession={'B' * 43}"}):
        assert api.post("/check", {"token": "A" * 43}, headers=headers, status=200).json["live"] is False
        assert api.post("/check", {"token": key}, headers=headers, status=200).json["live"] is True


@pytest.mark.parametrize("passive, is_seen", [(True, False), (False, True), (None, True)])
def test_passive_is_no_activity(api, database, passive, is_seen):
    token = api.sign_in().json["token"]
    (session_id,) = database.sessions()
    database.make_stale(session_id)
    before = database.last_seen_at(session_id)
    body = {"token": token} if passive is None else {"token": token, "passive": passive}
    api.post("/check", body, status=200)
    if is_seen:
        wait_until(lambda: database.last_seen_at(session_id) > before, "that it was seen")
    else:
        # Each worker has written what it had to by its next request.
        for _ in range(8):
            api.post("/check", {"token": "A" * 43}, status=200)
        assert database.last_seen_at(session_id) == before


def test_require(api):
    token = api.sign_in().json["token"]
    assert api.check(token, require="live")["live"] is True
    assert api.post("/check", {"token": token, "require": "factor=9"}, status=400).code == "bad_request"


def test_what_a_place_requires_is_judged_as_at_the_guard(api, database):
    token = api.sign_in().json["token"]
    assert api.check(token, require="plan=gold|platinum") == {
        "live": False, "reason": "plan_required", "ended_at": None, "by": None, "required": {"plan": ["gold", "platinum"]},
    }  # fmt: skip
    assert api.check(token, require="verified")["required"] == {"verified": True}
    assert api.check(token, require="group=staff fresh=10m")["required"] == {"group": ["staff"]}
    assert api.check(token, require="fresh=10m")["live"] is True
    assert api.check(token, require="optional")["live"] is True
    assert api.check("A" * 43, require="optional")["live"] is False
    database.query("INSERT INTO plans (name) VALUES ('gold'); UPDATE users SET plan = 'gold' WHERE username = 'alice'")
    assert api.check(token, require="plan=gold|platinum")["live"] is True
    database.query("UPDATE users SET valid_until = now() - interval '1 second' WHERE username = 'alice'")
    assert api.check(token, require="plan=gold")["reason"] == "subscription_ended"
    database.query("UPDATE sessions SET created_at = now() - interval '1 hour', proved_at = NULL")
    assert api.check(token, require="fresh=10m")["reason"] == "stale"


@pytest.mark.parametrize(
    "body", [{}, {"token": None}, {"token": 7}, {"token": "A", "passive": "yes"}, {"token": "A", "require": 7}], ids=json.dumps
)
def test_body_that_cannot_be(shared_api, body):
    assert shared_api.post("/check", body, status=400).code == "bad_request"


def test_session_that_another_program_put_in_becomes_the_newest(api, database):
    first = api.sign_in().json["token"]
    key = insert_from_outside(database)
    api.daemon.secrets.add(key)
    assert api.is_live(key)
    assert api.check(first)["reason"] == "displaced"


def test_disabled_account_is_out_at_once(api, database):
    token = api.sign_in().json["token"]
    database.query("UPDATE users SET is_active = false WHERE username = 'alice'")
    assert api.check(token)["reason"] == "disabled"


# ---- Sessions --------------------------------------------------------------------------------------------------------


def test_sessions_of_an_account(new_api):
    api = new_api({"session.max_sessions": 0})
    first = api.sign_in(ip="192.0.2.1", user_agent=FIREFOX).json["session"]
    second = api.sign_in(ip="192.0.2.2", user_agent=CHROME).json["session"]
    put_session(api.daemon.database, "alice", "C" * 43, expires="-1 second")
    listed = api.get("/sessions?user=ALICE", status=200).json["sessions"]
    assert [(place["id"], place["ip"], place["browser"]) for place in listed] == [
        (second["id"], "192.0.2.2", "Chrome"),
        (first["id"], "192.0.2.1", "Firefox"),
    ]
    assert api.get("/sessions?user=bob", status=200).json == {"sessions": []}
    assert api.get("/sessions?user=nobody", status=404).code == "not_found"
    for query in ("", "user="):
        assert api.get("/sessions", query=query, status=400).code == "bad_request"


def test_events_of_a_program_have_no_device(api, database):
    """Its own address and library would be taken for the person's."""
    login = api.sign_in(ip="192.0.2.7", user_agent=FIREFOX).json
    agent = {"User-Agent": "Python-urllib/3.13"}
    api.put("/users/alice", {"groups": ["staff"]}, headers=agent, status=200)
    api.delete(f"/sessions/{login['session']['id']}", headers=agent, status=204)
    found = database.query("SELECT name, host(ip), user_agent FROM events WHERE detail ? 'token' AND user_id IS NOT NULL ORDER BY id")
    assert found == [("user_logged_in", "192.0.2.7", FIREFOX), ("user_changed", None, ""), ("user_logged_out", None, "")]


@pytest.mark.parametrize("query, reason", [("", "revoked"), ("reason=revoked", "revoked"), ("reason=logged_out", "logged_out")])
def test_session_is_ended_by_its_id(api, database, query, reason):
    login = api.sign_in().json
    api.delete(f"/sessions/{login['session']['id'].upper()}", query=query, status=204)
    assert api.check(login["token"])["reason"] == reason
    assert api.delete(f"/sessions/{login['session']['id']}", status=404).code == "not_found"
    assert database.query("SELECT detail FROM events WHERE name = 'user_logged_out'") == [({"reason": reason, "token": "shop"},)]
    assert database.stored_key() is None


@pytest.mark.parametrize("session_id", ["x", "00000000-0000-0000-0000-000000000000", "' OR true --"])
def test_session_that_there_is_not(api, session_id):
    api.sign_in()
    assert api.delete(f"/sessions/{session_id}", status=404).code == "not_found"
    assert len(api.daemon.database.sessions()) == 1


def test_reason_that_there_is_not(api):
    session_id = api.sign_in().json["session"]["id"]
    assert api.delete(f"/sessions/{session_id}?reason=displaced", status=400).code == "bad_request"


def test_all_sessions_of_an_account_end(new_api):
    api = new_api({"session.max_sessions": 0})
    tokens = [api.sign_in().json["token"] for _ in range(3)]
    other = api.sign_in("bob").json["token"]
    assert api.delete("/users/alice/sessions", status=200).json == {"ended": 3}
    assert api.delete("/users/alice/sessions", status=200).json == {"ended": 0}
    assert {api.check(token)["reason"] for token in tokens} == {"revoked"}
    assert api.is_live(other)


@pytest.mark.parametrize("reason", ["revoked", "logged_out", "password_changed"])
def test_all_sessions_end_for_the_reason_that_the_program_gives(api, reason):
    token = api.sign_in().json["token"]
    assert api.delete(f"/users/alice/sessions?reason={reason}", status=200).json == {"ended": 1}
    assert api.check(token)["reason"] == reason
    session = api.sign_in().json
    api.delete(f"/sessions/{session['session']['id']}?reason={reason}", status=204)
    assert api.check(session["token"])["reason"] == reason
    assert api.delete("/users/alice/sessions?reason=displaced", status=400).code == "bad_request"

"""Logins by the site's own sign-in: POST /api/sessions is under the whole rule."""

import json
import uuid

import psycopg2
import pytest

from support.api import Api, new_token
from support.browser import ASK, FIREFOX, REFUSE
from support.client import JSON, attempt
from support.locks import HeldRow, HeldTable, waits_in_database
from support.site import APPLICATION, in_application, with_audit
from support.stopped import stopped
from support.waiting import Background, wait_until


def auth(api, reply, **members):
    """The status of the guard for a browser that was given the cookies."""
    cookies = "; ".join(field.partition(";")[0] for field in reply.json["cookies"])
    return api.daemon.ask(headers={"Cookie": cookies, **members}, HTTPS="on")


def told(database, token="shop"):
    return [row[0] for row in database.query("SELECT name FROM events WHERE detail ->> 'token' = %s ORDER BY id", token)]


# ---- What comes of it ------------------------------------------------------------------------------------------------


def test_cookies_sign_the_browser_in_at_the_guard(api, database):
    reply = api.sign_in("Alice", ip="2001:db8::7", user_agent=FIREFOX)
    key, device = reply.json["cookies"]
    assert key == f"__Host-onesession={reply.json['token']}; Path=/; Max-Age=1209600; HttpOnly; SameSite=Lax; Secure"
    assert device.startswith("__Secure-onesession_device=") and "Secure" in device
    answer = auth(api, reply)
    assert (answer.status, answer.get("Remote-User")) == (200, "alice")
    assert answer.get("Session-Id") == reply.json["session"]["id"]
    (row,) = database.query("SELECT host(ip), user_agent FROM sessions")
    assert row == ("2001:db8::7", FIREFOX)
    assert database.query("SELECT name, host(ip), user_agent, detail FROM events WHERE name = 'user_logged_in'") == [
        ("user_logged_in", "2001:db8::7", FIREFOX, {"token": "shop"})
    ]


def test_cookies_for_http(api):
    reply = api.sign_in(secure=False)
    assert reply.json["cookies"][0].startswith("onesession=") and "Secure" not in reply.json["cookies"][0]
    assert api.daemon.ask(headers={"Cookie": reply.json["cookies"][0].partition(";")[0]}).status == 200


@pytest.mark.parametrize("settings, is_secure", [({"session.cookie_secure": "always"}, True), ({"session.cookie_secure": "never"}, False)])
def test_configuration_has_the_last_word_on_secure(new_api, settings, is_secure):
    reply = new_api(settings).sign_in(secure=not is_secure)
    assert reply.json["cookies"][0].startswith("__Host-") is is_secure


def test_second_login_displaces_the_first(api, database):
    first = api.sign_in(ip="192.0.2.1", user_agent=FIREFOX)
    second = api.sign_in()
    (gone,) = second.json["displaced"]
    assert (gone["id"], gone["browser"]) == (first.json["session"]["id"], "Firefox")
    assert [api.is_live(reply.json["token"]) for reply in (first, second)] == [False, True]
    assert api.check(first.json["token"])["reason"] == "displaced"
    assert told(database) == ["user_logged_in", "user_logged_in", "session_displaced"]


@pytest.mark.parametrize("what", ["presented", "device"])
@pytest.mark.parametrize("settings", [{}, REFUSE, ASK])
def test_same_browser_rotates(new_api, what, settings):
    api = new_api(settings)
    first = api.sign_in()
    device = first.json["cookies"][1].partition("=")[2].partition(";")[0]
    second = api.sign_in(**{what: first.json["token"] if what == "presented" else device})
    assert second.json["displaced"] == []
    assert api.check(first.json["token"])["reason"] == "logged_out"
    assert api.is_live(second.json["token"])
    assert told(api.daemon.database) == ["user_logged_in", "session_replaced", "user_logged_in"]


def test_presented_key_of_another_account_ends(api):
    first = api.sign_in("bob")
    api.sign_in("alice", presented=first.json["token"])
    assert api.check(first.json["token"])["reason"] == "logged_out"


@pytest.mark.parametrize("value", [None, "", "no key", "A" * 43, "ä" * 43, "A" * 5000])
def test_what_is_no_key_was_not_presented(api, value):
    first = api.sign_in()
    assert len(api.sign_in(presented=value, device=value).json["displaced"]) == 1
    assert not api.is_live(first.json["token"])


# ---- The policy ------------------------------------------------------------------------------------------------------


def test_refuse(new_api):
    api = new_api(REFUSE)
    first = api.sign_in(user_agent=FIREFOX)
    for take_over in (False, True):
        refused = api.sign_in(status=409, take_over=take_over)
        assert refused.code == "session_limit" and "ticket" not in refused.json
        (place,) = refused.json["sessions"]
        assert (place["id"], place["browser"]) == (first.json["session"]["id"], "Firefox")
    assert api.is_live(first.json["token"])


def test_ask_with_and_without_the_ticket(new_api):
    api = new_api(ASK)
    first = api.sign_in()
    ticket = api.sign_in(status=409).json["ticket"]
    second = api.sign_in(take_over=True, ticket=ticket)
    assert [api.is_live(reply.json["token"]) for reply in (first, second)] == [False, True]
    assert api.sign_in(status=401, take_over=True, ticket=ticket).code == "invalid_credentials"
    assert api.sign_in(status=401, take_over=True, ticket="no ticket").code == "invalid_credentials"
    assert api.is_live(second.json["token"])
    api.sign_in(take_over=True)
    assert not api.is_live(second.json["token"])


def test_ticket_is_its_account_s(new_api):
    """Another login with it is refused, and does not use it up."""
    api = new_api(ASK)
    first, other = api.sign_in(), api.sign_in(user="bob")
    ticket = api.sign_in(status=409).json["ticket"]
    assert api.sign_in(user="bob", status=401, take_over=True, ticket=ticket).code == "invalid_credentials"
    assert api.is_live(other.json["token"]) and api.is_live(first.json["token"])
    api.sign_in(take_over=True, ticket=ticket)


def test_ticket_is_good_at_the_sign_in_page_too(new_api):
    api = new_api(ASK)
    first = api.sign_in()
    ticket = api.sign_in(status=409).json["ticket"]
    body = json.dumps({"ticket": ticket, "take_over": True})
    assert api.daemon.ask(method="POST", path="/session/login", headers=JSON, body=body.encode()).status == 200
    assert not api.is_live(first.json["token"])


def test_cooldown(new_api):
    api = new_api({"sharing.action": "cooldown", "sharing.takeovers": 2})
    replies = [api.sign_in() for _ in range(3)]
    refused = api.sign_in(status=429)
    assert refused.code == "cooldown" and int(refused.get("Retry-After")) > 0 and refused.json["sessions"]
    assert api.is_live(replies[-1].json["token"])
    assert "account_shared" in told(api.daemon.database)


def test_refusals_are_no_failed_attempts(new_api):
    api = new_api({**REFUSE, "login.attempts_per_user": 2})
    first = api.sign_in()
    for _ in range(5):
        api.sign_in(status=409)
    api.delete(f"/sessions/{first.json['session']['id']}", status=204)
    api.sign_in()


def test_unknown_and_closed_accounts(api):
    assert api.sign_in("nobody", status=404).code == "not_found"
    assert api.sign_in("dora", status=403).code == "account_closed"


def test_receiver_refuses_a_login(new_site):
    site = with_audit(new_site(in_application({}), modules=APPLICATION))
    api = Api(site.daemon, new_token(site.ctl()))
    refused = api.sign_in(user_agent="Refused at user_logged_in: with a sentence", status=403)
    assert refused.code == "refused" and refused.json["reason"] == "no_plan"
    assert site.database.sessions() == []
    api.sign_in(user_agent="another")


def test_login_that_is_remembered_is_not_fresh(new_site):
    site = with_audit(new_site(in_application({}), modules=APPLICATION))
    api = Api(site.daemon, new_token(site.ctl()))
    fresh = "/session/application/open/fresh"
    for is_fresh, status in ((True, 200), (False, 401)):
        cookie = api.sign_in(fresh=is_fresh, secure=False).json["cookies"][0].partition(";")[0]
        answer = site.daemon.ask(path=fresh, headers={"Cookie": cookie, "Accept": "application/json"})
        assert answer.status == status
        assert site.daemon.ask(headers={"Cookie": cookie}).status == 200
    assert json.loads(answer.body)["code"] == "stale"


# ---- Whose it is -----------------------------------------------------------------------------------------------------

LOOKALIKES = ["ALICE", "alice ", "\u200balice", "\uff41lice", "al\u2071ce", "alic\u212f"]


@pytest.mark.parametrize("name", LOOKALIKES)
def test_exact_name_is_nobody_s_who_is_only_written_like_it(api, database, name):
    first = api.sign_in(exact=True)
    api.sign_in(name, exact=False)
    first = api.sign_in(exact=True)
    for _ in range(2):
        assert api.sign_in(name, exact=True, headers=once(name.encode().hex()), status=409).code == "duplicate"
    assert api.is_live(first.json["token"])
    assert api.sign_in("nobody", exact=True, status=404).code == "not_found"
    assert len(database.sessions()) == 1


def test_account_is_that_of_the_external_id_whatever_its_name_is(api, database):
    first = api.sign_in("alice", external_id="1")
    assert database.query("SELECT username, external_id FROM users ORDER BY id")[0] == ("alice", "1")
    assert database.value("SELECT detail ->> 'also' FROM events WHERE name = 'user_changed'") == '["external_id"]'
    # The person has another name at the site now, and a second one has the former.
    assert api.sign_in("robert", external_id="1").json["user"]["username"] == "alice"
    second = api.sign_in("bob", external_id="1").json
    assert second["user"] == first.json["user"]
    for name in ("alice", *LOOKALIKES):
        assert api.sign_in(name, external_id="2", status=409).code == "duplicate"
    assert api.is_live(second["token"])
    assert api.sign_in("alice2", external_id="2", status=404).code == "not_found"
    # Which name is written so decides for one that has none yet.
    assert api.sign_in("BOB", external_id="2", status=409).code == "duplicate"
    assert api.sign_in("bob", external_id="2").json["user"]["username"] == "bob"
    assert api.sign_in("bob", external_id=None).json["user"]["username"] == "bob"


def test_two_who_are_written_alike_never_get_one_account(new_api):
    api = new_api({"server.workers": 4})
    for number in range(6):
        names = [f"ada{number}", f"\uff41da{number}", f"ADA{number}", f"Ada{number}"]
        for name in names:
            api.put(f"/users/{names[0]}", {})
        logins = [Background(api.post, "/sessions", {"user": name, "external_id": f"{number}-{name}"}) for name in names]
        assert sorted(login.result().status for login in logins) == [201, 409, 409, 409]


def test_administrator_s_account_is_not_for_who_takes_its_name(api, database):
    database.query("UPDATE users SET is_admin = true WHERE username = 'alice'")
    for members in ({"exact": True}, {"external_id": "1"}):
        assert api.sign_in(status=409, **members).code == "duplicate"
    assert database.value("SELECT external_id FROM users WHERE username = 'alice'") is None
    api.sign_in()
    # Who was called so before is not taken for another.
    api.sign_in("bob", external_id="2")
    database.query("UPDATE users SET is_admin = true WHERE username = 'bob'")
    assert api.sign_in("robert", external_id="2").json["user"] == {"id": 2, "username": "bob", "is_admin": True}


def test_who_clicks_twice_at_the_first_sign_in_is_let_in(new_api, database):
    api = new_api({"server.workers": 2})
    holder = HeldRow(api.daemon, "users")
    calls = [Background(api.post, "/sessions", {"user": "alice", "external_id": "17"}) for _ in range(2)]
    waits_in_database(database, 2)
    holder.let_go()
    holder.connection.close()
    assert [call.result().status for call in calls] == [201, 201]


def test_external_id_wants_the_scope_users(new_api):
    api = new_api(scopes="sessions")
    assert api.sign_in(external_id="1", status=403).code == "insufficient_scope"
    api.sign_in(external_id=None)
    api.sign_in(exact=True)


# ---- What cannot be --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "members",
    [
        {"user": ""},
        {"user": None},
        {"user": 7},
        {"ip": "localhost"},
        {"ip": "192.0.2.7; DROP"},
        {"ip": 7},
        {"user_agent": 7},
        {"presented": 7},
        {"device": []},
        {"ticket": {}},
        {"secure": "yes"},
        {"fresh": 1},
        {"take_over": None},
        {"takeover": True},
        {"key": "x" * 32},
        {"exact": 1},
        {"external_id": 7},
        {"external_id": ""},
        {"external_id": "x" * 256},
    ],
    ids=json.dumps,
)
def test_body_that_cannot_be(shared_api, members):
    reply = shared_api.post("/sessions", {"user": "alice", **members}, status=400)
    assert reply.code == "bad_request"
    assert shared_api.daemon.database.sessions() == []


def test_long_user_agent_is_cut_between_characters(api, database):
    api.sign_in(user_agent="x" + "ä" * 2000)
    kept = database.value("SELECT user_agent FROM sessions")
    assert kept == "x" + "ä" * 255


# ---- Idempotency-Key -------------------------------------------------------------------------------------------------


def once(key="one"):
    return {"Idempotency-Key": key}


def test_same_request_again_is_answered_the_same_and_done_once(api, database):
    first = api.sign_in(headers=once(), ip="192.0.2.7")
    again = api.post("/sessions", {"ip": "192.0.2.7", "user": "alice"}, headers=once(), status=201)
    assert again.json == first.json
    assert (first.get("Idempotent-Replayed"), again.get("Idempotent-Replayed")) == (None, "true")
    assert told(database) == ["user_logged_in"]
    assert api.is_live(first.json["token"])


def test_another_request_with_the_key_is_refused(api, database):
    api.sign_in(headers=once())
    assert api.sign_in("bob", headers=once(), status=422).code == "idempotency_key_reused"
    assert database.sessions("bob") == []
    api.sign_in("bob", headers=once("two"))


def test_key_is_a_token_s_own(api, ctl, database):
    other = Api(api.daemon, new_token(ctl, name="other"))
    first = api.sign_in(headers=once())
    second = other.sign_in(headers=once())
    assert first.json["token"] != second.json["token"]
    assert told(database, "other")[0] == "user_logged_in"


def test_what_was_not_done_may_be_tried_again(new_api):
    api = new_api(ASK)
    first = api.sign_in()
    api.sign_in(headers=once(), status=409)
    api.delete(f"/sessions/{first.json['session']['id']}", status=204)
    api.sign_in(headers=once())
    api.sign_in("nobody", headers=once("two"), status=404)
    api.put("/users/nobody", {}, status=201)
    api.sign_in("nobody", headers=once("two"))


def test_database_has_no_key_of_an_answer_that_it_keeps(api, database):
    reply = api.sign_in(headers=once())
    answer = bytes(database.value("SELECT answer FROM api_answers"))
    assert reply.json["token"].encode() not in answer and b"alice" not in answer
    dump = json.dumps([[str(row) for row in database.query(f"SELECT t::text FROM {table} t")] for table in ("sessions", "events", "api_tokens", "api_answers")])
    assert reply.json["token"] not in dump and api.token.removeprefix("ost_") not in dump


def test_request_that_is_still_under_way_is_not_begun_again(new_api, database):
    api = new_api({"database.statement_timeout": "1m", "server.request_timeout": "2m"})
    with HeldTable(database, "events"):
        first = Background(api.sign_in, headers=once())
        waits_in_database(database)
        busy = api.sign_in(headers=once(), status=409)
        assert busy.code == "idempotency_key_in_use" and int(busy.get("Retry-After")) >= 1
    assert first.result().status == 201
    assert api.sign_in(headers=once()).json == first.result().json
    assert told(database) == ["user_logged_in"]


def test_claim_of_a_request_that_came_to_nothing_runs_out(api, database):
    api.sign_in(headers=once())
    database.query("UPDATE api_answers SET answer = NULL, claim = %s", str(uuid.uuid4()))
    api.sign_in(headers=once(), status=409)
    database.query("UPDATE api_answers SET claimed_until = now()")
    api.sign_in("bob", headers=once(), status=422)
    api.sign_in(headers=once())


def test_key_is_kept_for_a_day(api, ctl, database):
    first = api.sign_in(headers=once())
    database.query("UPDATE api_answers SET created_at = now() - interval '24 hours'")
    assert api.sign_in("bob", headers=once()).json["user"]["username"] == "bob"
    assert ctl.json("purge")["api_answers"] == 0
    database.query("UPDATE api_answers SET created_at = now() - interval '24 hours'")
    assert ctl.json("purge")["api_answers"] == 1
    assert api.is_live(first.json["token"])


def test_answer_that_was_not_stored_leaves_a_key_of_the_application_s_seen(new_api, database):
    """The process has died between the login and that."""
    api = new_api({"session.key_from": "cookie sid"})
    key = "s%3A" + uuid.uuid4().hex
    first = api.sign_in(key=key, headers=once())
    database.query("UPDATE api_answers SET answer = NULL, claimed_until = now()")
    assert api.sign_in(key=key, headers=once(), status=409).code == "key_seen"
    assert [one["id"] for one in api.get("/sessions?user=alice", status=200).json["sessions"]] == [first.json["session"]["id"]]


@pytest.mark.parametrize("key", ["", "a b", "ä", "x" * 256])
def test_key_that_cannot_be(api, key):
    reply = api.post("/sessions", {"user": "alice"}, headers=once(key))
    assert reply.status == 400 and reply.code == "bad_request"


# ---- Side by side ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 3])
def test_parallel_logins_of_one_account_keep_the_rule(new_api, limit):
    api = new_api({"session.max_sessions": limit, "server.workers": 4})
    logins = [Background(api.sign_in, "alice") for _ in range(12)]
    tokens = [login.result().json["token"] for login in logins]
    assert sum(api.is_live(token) for token in tokens) == limit
    assert len(api.daemon.database.sessions()) == limit


def test_parallel_logins_with_one_key_are_one_login(new_api):
    api = new_api({"server.workers": 4})
    replies = [Background(api.post, "/sessions", {"user": "alice"}, headers=once()) for _ in range(8)]
    replies = [reply.result() for reply in replies]
    tokens = {reply.json["token"] for reply in replies if reply.status == 201}
    assert len(tokens) == 1 and {reply.status for reply in replies} <= {201, 409}
    assert told(api.daemon.database) == ["user_logged_in"]


def test_logins_wait_for_no_hashing(new_api):
    """The hasher does nothing, and would not be asked."""
    api = new_api({"login.max_hashing": 1})
    with stopped(wait_until(lambda: api.daemon.hasher, "the hasher")):
        waiting = Background(attempt, api.daemon, timeout=60)
        for _ in range(20):
            api.sign_in()
        assert not waiting.is_done
    assert waiting.result().status == 401


@pytest.mark.parametrize("has_device", [False, True])
def test_browser_is_remembered_under_its_account_s_row(api, database, has_device):
    """
    An erasure, and a change of password, hold that row first and the browsers' then: whoever took them the other way
    round would deadlock. Also where an account knows so many that some are forgotten.
    """
    device = api.sign_in().json["cookies"][1].partition("=")[2].partition(";")[0]
    database.query(
        "INSERT INTO known_browsers SELECT u.id, sha256(n::text::bytea), now() - n * interval '1 hour'"
        "  FROM users u, generate_series(1, 12) n WHERE u.username = 'alice'"
    )
    database.query(
        "CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN old; END'"
    )
    database.query("CREATE TRIGGER wait_for_test BEFORE DELETE ON known_browsers FOR EACH ROW EXECUTE FUNCTION wait_for_test()")
    holder = database.connect()
    holder.cursor().execute("SELECT pg_advisory_lock(1)")
    login = Background(api.post, "/sessions", {"user": "alice", **({"device": device} if has_device else {})})
    waits_in_database(database)
    with pytest.raises(psycopg2.errors.LockNotAvailable):
        database.query("SELECT FROM users WHERE username = 'alice' FOR UPDATE NOWAIT")
    holder.close()
    assert login.result().status == 201
    assert database.value("SELECT count(*) FROM known_browsers") == 10

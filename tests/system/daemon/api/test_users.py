"""Accounts at the API: made, changed, shown, listed, deleted."""

import json
from urllib.parse import quote

import pytest

from support.client import attempt
from support.waiting import Background

ALL = {
    "email": "Carol.Ä@EXAMPLE.org",
    "email_verified": True,
    "plan": "gold",
    "groups": ["staff", "editors"],
    "session_limit": 3,
    "valid_until": "2031-01-31T12:32:05.25+02:00",
    "is_active": True,
    "external_id": "customer 7/ä",
}
AS_SHOWN = {
    **ALL,
    "email": "Carol.Ä@example.org",
    "valid_until": "2031-01-31T10:32:05.250000Z",
    "username": "carol",
    "is_admin": False,
}


@pytest.fixture(name="database")
def database_with_plans(database):
    database.query("INSERT INTO plans (name, session_limit) VALUES ('gold', 2), ('free', NULL)")
    return database


def told(database, username="carol"):
    """(name, detail) of the account's events."""
    return database.query("SELECT name, detail FROM events WHERE username = %s ORDER BY id", username)


def contents(database):
    return {t: database.query(f"SELECT * FROM {t} ORDER BY 1") for t in ("users", "events", "sessions", "ended_sessions")}


# ---- PUT and GET -----------------------------------------------------------------------------------------------------


def test_account_is_made_with_all_that_it_can_have(api, database):
    made = api.put("/users/carol", ALL, status=201).json
    assert made == {**AS_SHOWN, "id": database.user_id("carol"), "created_at": made["created_at"]}
    assert api.get("/users/carol", status=200).json == made
    assert api.get("/users/CAROL", status=200).json == made
    assert database.value("SELECT password FROM users WHERE username = 'carol'") == "!"


def test_what_is_not_given_stays_and_what_is_so_already_is_no_change(api, database):
    api.put("/users/carol", ALL, status=201)
    before = contents(database)
    api.put("/users/carol", ALL, status=200)
    api.put("/users/Carol", {**ALL, "valid_until": "2031-01-31T10:32:05.250000Z"}, status=200)
    api.put("/users/carol", {}, status=200)
    assert contents(database) == before
    changed = api.put("/users/carol", {"groups": []}, status=200).json
    assert {**changed, "groups": ALL["groups"], "id": 0, "created_at": ""} == {**AS_SHOWN, "id": 0, "created_at": ""}


@pytest.mark.parametrize("member", ["plan", "session_limit", "valid_until", "external_id", "email"])
def test_null_takes_away(api, member):
    api.put("/users/carol", ALL, status=201)
    shown = api.put("/users/carol", {member: None}, status=200).json
    assert shown[member] is None
    assert shown["email_verified"] is (member != "email")


def test_change_is_an_event_with_the_token_and_what_was_before(api, database):
    api.put("/users/carol", {"plan": "free"}, status=201)
    api.put("/users/carol", {"plan": "gold", "groups": ["staff"], "session_limit": 0, "external_id": "7"}, status=200)
    api.put("/users/carol", {"valid_until": "2031-01-31T10:32:05Z"}, status=200)
    assert told(database) == [
        ("user_added", {"token": "shop"}),
        ("user_changed", {"token": "shop", "before": {"plan": None}, "after": {"plan": "free"}}),
        (
            "user_changed",
            {
                "token": "shop",
                "before": {"plan": "free", "groups": [], "session_limit": None},
                "after": {"plan": "gold", "groups": ["staff"], "session_limit": 0},
                "also": ["external_id"],
            },
        ),
        (
            "user_changed",
            {
                "token": "shop",
                "before": {"valid_until": None},
                "after": {"valid_until": "2031-01-31T10:32:05.000000Z"},
            },
        ),
    ]


def test_no_event_has_an_address_a_hash_or_another_program_s_name_for_the_account(api, database):
    api.put("/users/carol", {"email": "carol@example.org", "password": "a phrase that is long"}, status=201)
    api.put("/users/carol", {"external_id": "customer 4711"}, status=200)
    api.put("/users/carol", {"email": "other@example.org", "email_verified": True}, status=200)
    assert [(name, detail) for name, detail in told(database) if name == "user_email_changed"] == [
        ("user_email_changed", {"token": "shop", "verified": False}),
        ("user_email_changed", {"token": "shop", "verified": True}),
    ]
    everything = json.dumps(told(database))
    assert "example.org" not in everything and "argon2" not in everything and "4711" not in everything


def test_another_address_is_not_verified(api):
    api.put("/users/carol", {"email": "carol@example.org", "email_verified": True}, status=201)
    assert api.put("/users/carol", {"email": "new@example.org"}, status=200).json["email_verified"] is False
    assert api.put("/users/carol", {"email_verified": True}, status=200).json["email_verified"] is True


def test_address_or_external_id_of_another_account_is_refused(api, database):
    api.put("/users/carol", {"email": "carol@example.org", "external_id": "7"}, status=201)
    api.put("/users/erin", {}, status=201)
    before = contents(database)
    for terms in ({"email": "CAROL@example.org"}, {"external_id": "7"}):
        assert api.put("/users/erin", {**terms, "groups": ["staff"]}, status=409).code == "duplicate"
        assert api.put("/users/frank", terms, status=409).code == "duplicate"
    assert contents(database) == before


@pytest.mark.parametrize(
    "terms",
    [
        {"plan": "none such"},
        {"plan": "silver"},
        {"plan": 7},
        {"groups": "staff"},
        {"groups": ["staff", ""]},
        {"groups": ["a,b"]},
        {"groups": [None]},
        {"groups": [["staff"]]},
        {"groups": ["a"] * 65},
        {"session_limit": -1},
        {"session_limit": 1.5},
        {"session_limit": 2**31},
        {"session_limit": True},
        {"valid_until": "tomorrow"},
        {"valid_until": "infinity"},
        {"valid_until": "2031-02-29T00:00:00Z"},
        {"valid_until": "2031-01-31"},
        {"valid_until": 1900000000},
        {"is_active": "false"},
        {"is_active": None},
        {"email": "no address"},
        {"email": 7},
        {"email": None, "email_verified": True},
        {"email_verified": True},
        {"email_verified": 1},
        {"external_id": ""},
        {"external_id": "x" * 256},
        {"password": 7},
        {"password": "short"},
        {"password_hash": "no hash"},
        {"password_hash": None},
        {"password_hash": "$argon2id$v=19$m=4194304,t=64,p=1$c2FsdHNhbHRzYWx0$" + "a" * 43},
        {"is_admin": True},
        {"username": "erin"},
        {"Plan": "gold"},
    ],
    ids=json.dumps,
)
def test_what_cannot_be_is_refused_and_changes_nothing(shared_api, terms):
    database = shared_api.daemon.database
    before = contents(database)
    for name in ("carol", "alice"):
        assert shared_api.put(f"/users/{name}", {"groups": ["staff"], **terms}, status=400).code == "bad_request"
    assert contents(database) == before


@pytest.mark.parametrize("name", ["carol@example.org", "x" * 151, "ca\u202erol"])
def test_name_that_no_account_can_have(shared_api, name):
    assert shared_api.put(f"/users/{name}", {}, status=400).code == "bad_request"


@pytest.mark.parametrize("typed", [" Alice", "alice\u00a0", "\u200balice\u00ad"])
def test_name_is_the_same_with_what_is_not_seen_around_it_at_every_route(api, typed):
    assert api.put(f"/users/{typed}", {"groups": ["staff"]}, status=200).json["username"] == "alice"
    assert api.get(f"/users/{typed}", status=200).json["groups"] == ["staff"]
    session = api.sign_in(typed).json["session"]
    (listed,) = api.get("/sessions", query="user=" + quote(typed), status=200).json["sessions"]
    assert listed["id"] == session["id"]
    assert api.delete(f"/users/{typed}/sessions", status=200).json == {"ended": 1}
    api.delete(f"/users/{typed}", status=204)
    assert api.get("/users/alice", status=404).code == "not_found"


def test_end_of_a_plan_in_1970_is_an_end(api, database):
    api.put("/users/carol", {"plan": "gold", "valid_until": "1970-01-01T00:00:00Z"}, status=201)
    assert database.value("SELECT valid_until < now() FROM users WHERE username = 'carol'")
    assert api.put("/users/carol", {"valid_until": "1970-01-01T00:00:00Z"}, status=200)


def test_account_that_is_not_there(api):
    assert api.get("/users/nobody", status=404).code == "not_found"
    assert api.delete("/users/nobody", status=404).code == "not_found"
    assert api.delete("/users/nobody/sessions", status=404).code == "not_found"


# ---- What ends sessions ----------------------------------------------------------------------------------------------


def test_account_that_is_disabled_is_out_at_once_and_can_be_enabled(api, database):
    token = api.sign_in().json["token"]
    api.put("/users/alice", {"is_active": False}, status=200)
    assert api.check(token)["reason"] == "disabled"
    assert api.sign_in(status=403).code == "account_closed"
    api.put("/users/alice", {"is_active": True}, status=200)
    api.sign_in()
    names = [name for name, detail in told(database, "alice") if detail.get("token") == "shop"]
    assert names == ["user_logged_in", "user_logged_out", "user_disabled", "user_enabled", "user_logged_in"]


def test_password_ends_the_sessions_and_signs_in(api):
    token = api.sign_in().json["token"]
    api.daemon.secrets.add("a phrase that is new")
    api.put("/users/alice", {"password": "a phrase that is new"}, status=200)
    assert api.check(token)["reason"] == "password_changed"
    assert attempt(api.daemon, "alice", "a phrase that is new").status == 200
    assert attempt(api.daemon, "alice", api.daemon.database.password).status == 401


def test_hash_signs_in_and_the_same_once_more_changes_nothing(api, database):
    known = database.value("SELECT password FROM users WHERE username = 'bob'")
    api.put("/users/carol", {"password_hash": known}, status=201)
    assert attempt(api.daemon, "carol", database.password).status == 200
    before = contents(database)
    api.put("/users/carol", {"password_hash": database.value("SELECT password FROM users WHERE username = 'carol'")})
    assert contents(database) == before


def test_plan_counts_at_the_next_login(api):
    api.put("/users/alice", {"plan": "gold"}, status=200)
    tokens = [api.sign_in().json["token"] for _ in range(3)]
    assert [api.is_live(token) for token in tokens] == [False, True, True]
    api.put("/users/alice", {"valid_until": "2020-01-01T00:00:00Z"}, status=200)
    api.sign_in()
    assert [api.is_live(token) for token in tokens] == [False, False, False]


# ---- Administrators --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "terms",
    [
        {"password": "a phrase that is long"},
        {"password_hash": "$2y$10$" + "a" * 53},
        {"email": "mine@example.org", "email_verified": True},
        {"email_verified": True},
        {"is_active": False},
        {"external_id": "7"},
    ],
    ids=lambda terms: next(iter(terms)),
)
def test_administrator_s_account_is_not_given_away(api, database, terms):
    database.query("UPDATE users SET is_admin = true, email = 'root@example.org' WHERE username = 'alice'")
    before = contents(database)
    assert api.put("/users/alice", {**terms, "plan": "gold"}, status=403).code == "forbidden"
    assert api.delete("/users/alice", status=403).code == "forbidden"
    assert contents(database) == before


def test_other_terms_of_an_administrator_s_account_can_be_changed(api, database):
    database.query("UPDATE users SET is_admin = true WHERE username = 'alice'")
    shown = api.put("/users/alice", {"plan": "gold", "email": None, "is_active": True}, status=200).json
    assert (shown["plan"], shown["is_admin"]) == ("gold", True)


def test_who_becomes_an_administrator_meanwhile_keeps_the_password(api, database):
    """The decision is made under the lock of the row."""
    connection = database.connect()
    with connection.cursor() as cursor:
        cursor.execute("BEGIN; UPDATE users SET is_admin = true WHERE username = 'alice'")
        password = database.value("SELECT password FROM users WHERE username = 'alice'")
        putting = Background(api.put, "/users/alice", {"password": "a phrase that is long"})
        cursor.execute("COMMIT")
    connection.close()
    reply = putting.result()
    if reply.status == 200:
        # It came before the other one had begun.
        return
    assert reply.code == "forbidden"
    assert database.value("SELECT password FROM users WHERE username = 'alice'") == password


# ---- Lists, DELETE ---------------------------------------------------------------------------------------------------


def test_list_goes_on_where_the_last_one_has_ended(api):
    found, after = [], 0
    while after is not None:
        page = api.get(f"/users?after={after}&limit=2", status=200).json
        found += [user["username"] for user in page["users"]]
        after = page["next"]
    assert found == ["alice", "bob", "dora"]


def test_account_is_found_by_what_a_program_calls_it(api):
    api.put("/users/carol", {"external_id": "customer 7/ä"}, status=201)

    def named(query):
        page = api.get("/users", query=query, status=200).json
        return [user["username"] for user in page["users"]], page["next"]

    assert named("external_id=customer+7%2F%C3%A4") == (["carol"], None)
    for other in ("Customer+7%2F%C3%A4", "customer+7%2Fa%CC%88", "", "alice"):
        assert named(f"external_id={other}") == ([], None)
    found, after = named("external_id=customer+7%2F%C3%A4&limit=1")
    assert (found, named(f"external_id=customer+7%2F%C3%A4&limit=1&after={after}")) == (["carol"], ([], None))


@pytest.mark.parametrize("path", ["/users", "/events"])
@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=", "limit=0", "limit=1001", "limit=1e2", f"after={2**63}"])
def test_page_that_there_cannot_be(shared_api, path, query):
    assert shared_api.get(path, query=query, status=400).code == "bad_request"


def test_account_that_is_deleted_is_gone_with_its_sessions(api, database):
    token = api.sign_in("bob").json["token"]
    api.delete("/users/bob", status=204)
    assert api.check(token)["live"] is False
    assert api.get("/users/bob", status=404).code == "not_found"
    assert api.sign_in("bob", status=404).code == "not_found"
    assert api.delete("/users/bob", status=404).code == "not_found"
    assert database.value("SELECT count(*) FROM events WHERE name = 'user_deleted' AND detail ->> 'token' = 'shop'") == 1


# ---- Side by side ----------------------------------------------------------------------------------------------------


def test_parallel_puts_of_one_name_make_one_account(api, database):
    replies = [Background(api.put, "/users/carol", {"groups": ["a", "b"][: 1 + n % 2]}) for n in range(8)]
    statuses = sorted(reply.result().status for reply in replies)
    assert statuses == [200] * 7 + [201]
    assert database.value("SELECT count(*) FROM users WHERE username = 'carol'") == 1
    assert [name for name, _ in told(database)].count("user_added") == 1


def test_parallel_puts_of_one_address_give_it_to_one_account(api, database):
    names = [f"user{n}" for n in range(6)]
    replies = [Background(api.put, f"/users/{name}", {"email": "one@example.org"}) for name in names]
    statuses = sorted(reply.result().status for reply in replies)
    assert statuses == [201] + [409] * 5
    assert database.value("SELECT count(*) FROM users WHERE email IS NOT NULL") == 1

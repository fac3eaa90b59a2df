"""onesessionctl token ..., and user set: what operators say of programs and of accounts' terms."""

import re

import pytest

from support.api import Api, new_token
from support.commands import run


# ---- token -----------------------------------------------------------------------------------------------------------


def test_token_is_printed_once_and_stored_as_its_hash(ctl, database):
    token = new_token(ctl, "shop", "users,sessions")
    key, scopes, expires = database.query("SELECT token_key, scopes, expires_at FROM api_tokens")[0]
    assert bytes(key) == database.value("SELECT sha256(%s)", token.removeprefix("ost_").encode()).tobytes()
    assert (scopes, expires) == (["users", "sessions"], None)
    assert token.removeprefix("ost_") not in ctl.run("token", "list") + ctl.run("events")
    ((detail,),) = database.query("SELECT detail FROM events WHERE name = 'token_added'")
    assert (detail["name"], detail["scopes"], detail["operator"]) == ("shop", "users,sessions", "root")


def test_token_for_programs(ctl):
    made = ctl.json("token", "add", "shop", "--scope", "events", "--expires", "90d")
    assert re.fullmatch("ost_[A-Za-z0-9_-]{43}", made["token"])
    assert (made["name"], made["scopes"]) == ("shop", "events") and made["expires_at"]
    (listed,) = ctl.json("token", "list")
    assert (listed["name"], listed["state"], listed["last_used_at"]) == ("shop", "good", None)
    assert listed["expires_at"] == made["expires_at"]


def test_list_for_people(ctl, daemon, database):
    assert ctl.run("token", "list") == "No tokens.\n"
    Api(daemon, new_token(ctl, "used")).get("/users", status=200)
    new_token(ctl, "late", expires="1d")
    new_token(ctl, "gone")
    database.query("UPDATE api_tokens SET expires_at = now() WHERE name = 'late'")
    ctl.run("token", "revoke", "gone")
    lines = ctl.run("token", "list").splitlines()
    assert lines[0].split()[:3] == ["NAME", "STATE", "SCOPES"]
    assert [line.split()[:2] for line in lines[1:]] == [["gone", "revoked"], ["late", "expired"], ["used", "good"]]


def test_token_that_is_revoked(ctl, database):
    new_token(ctl, "shop")
    assert ctl.run("token", "revoke", "shop") == "Token shop is revoked.\n"
    assert "shop" in ctl.refused("token", "revoke", "shop")
    assert "nobody" in ctl.refused("token", "revoke", "nobody")
    # Events name it: nobody else gets the name.
    assert "shop" in ctl.refused("token", "add", "shop", "--scope", "users")
    ((detail,),) = database.query("SELECT detail FROM events WHERE name = 'token_revoked'")
    assert (detail["name"], detail["operator"]) == ("shop", "root")


@pytest.mark.parametrize("scope", ["", "all", "users,", ",users", "users sessions", "Users", "users,users;"])
def test_scope_that_there_is_not(ctl, scope):
    ctl.refused("token", "add", "shop", "--scope", scope)
    assert ctl.json("token", "list") == []


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "x" * 64, "ä"])
def test_name_that_cannot_be(ctl, name):
    ctl.refused("token", "add", "--scope", "users", "--", name)


@pytest.mark.parametrize("expires", ["", "soon", "0", "500ms", "-1d", "200000d"])
def test_end_that_cannot_be(ctl, expires):
    ctl.refused("token", "add", "shop", "--scope", "users", "--expires", expires)


def test_scope_is_needed(ctl):
    assert ctl.call("token", "add", "shop").returncode == 64
    assert ctl.call("token", "add", "shop", "--expires", "1d").returncode == 64
    done = run("token", "add", "--help", program="onesessionctl")
    assert done.stdout.startswith("Usage: onesessionctl [OPTION]... token add NAME --scope S,S [--expires TIME]\n")


# ---- user set --------------------------------------------------------------------------------------------------------


@pytest.fixture(name="plans")
def two_plans(database):
    database.query("INSERT INTO plans (name) VALUES ('gold'), ('free')")
    return database


def terms(database, name="alice"):
    return database.query(
        "SELECT plan, groups, valid_until::text, email, email_verified_at IS NOT NULL, is_admin FROM users WHERE username = %s", name
    )[0]


def test_all_terms_in_one_transaction_and_one_event(ctl, plans):
    told = ctl.run(
        "user", "set", "Alice", "--plan", "gold", "--groups", "staff,editors", "--valid-until", "2031-01-31T10:32:05Z",
        "--email", "alice@EXAMPLE.org", "--admin", "yes",
    )
    assert told.splitlines() == [
        "Account alice: plan gold; before: none.",
        "Account alice: groups staff,editors; before: none.",
        "Account alice: valid until 2031-01-31T10:32:05.000000Z; before: none.",
        "Account alice: its address is alice@EXAMPLE.org.",
        "Account alice is an administrator's.",
    ]
    assert terms(plans) == ("gold", ["staff", "editors"], "2031-01-31 10:32:05+00", "alice@example.org", True, True)
    events = plans.query("SELECT name, detail FROM events WHERE username = 'alice' AND name <> 'user_added' ORDER BY id")
    assert [name for name, _ in events] == ["user_email_changed", "user_changed", "user_admin_changed"]
    assert all(detail["operator"] == "root" for _, detail in events)
    assert events[1][1]["before"] == {"plan": None, "groups": [], "valid_until": None}
    assert events[1][1]["after"] == {"plan": "gold", "groups": ["staff", "editors"], "valid_until": "2031-01-31T10:32:05.000000Z"}
    assert "example" not in str(events)


def test_for_programs(ctl, plans):
    done = ctl.json("user", "set", "alice", "--plan", "gold")
    assert done == {"id": plans.user_id("alice"), "username": "alice", "changed": True, "before": {"plan": None}, "after": {"plan": "gold"}}
    assert ctl.json("user", "set", "alice", "--plan", "gold")["changed"] is False
    assert ctl.run("user", "set", "alice", "--plan", "gold") == "Account alice: it was so already.\n"
    assert ctl.json("user", "set", "alice", "--admin", "yes") == {
        "id": plans.user_id("alice"), "username": "alice", "is_admin": True, "before": False
    }


def test_day_begins_at_midnight_and_nothing_takes_away(ctl, plans):
    ctl.run("user", "set", "alice", "--plan", "gold", "--groups", "a", "--valid-until", "2031-01-31", "--email", "a@example.org")
    assert terms(plans)[:3] == ("gold", ["a"], "2031-01-31 00:00:00+00")
    ctl.run("user", "set", "alice", "--plan", "", "--groups", "", "--valid-until", "", "--email", "")
    assert terms(plans) == (None, [], None, None, False, False)


@pytest.mark.parametrize(
    "option, value",
    [
        ("--plan", "silver"),
        ("--plan", "a b"),
        ("--groups", "a,,b"),
        ("--groups", "a b"),
        ("--valid-until", "soon"),
        ("--valid-until", "2031-02-29"),
        ("--email", "no address"),
        ("--email", "bob@example.org"),
    ],
)
def test_what_cannot_be_changes_nothing(ctl, plans, option, value):
    ctl.run("user", "set", "bob", "--email", "bob@example.org")
    before = plans.query("SELECT * FROM users ORDER BY id"), plans.query("SELECT * FROM events")
    ctl.refused("user", "set", "alice", "--admin", "yes", option, value)
    assert (plans.query("SELECT * FROM users ORDER BY id"), plans.query("SELECT * FROM events")) == before


def test_account_that_there_is_not(ctl, plans):
    assert "no such account: nobody" in ctl.refused("user", "set", "nobody", "--plan", "gold")


def test_address_of_an_administrator_is_an_operator_s_to_set(ctl, plans):
    ctl.run("user", "set", "alice", "--admin", "yes")
    ctl.run("user", "set", "alice", "--email", "alice@example.org")
    assert terms(plans)[3:] == ("alice@example.org", True, True)


def test_change_is_felt_at_the_next_request(ctl, plans, daemon):
    api = Api(daemon, new_token(ctl))
    first, second = (api.sign_in() for _ in range(2))
    assert [api.is_live(login.json["token"]) for login in (first, second)] == [False, True]
    plans.query("UPDATE plans SET session_limit = 2 WHERE name = 'gold'")
    ctl.run("user", "set", "alice", "--plan", "gold")
    third = api.sign_in()
    assert [api.is_live(login.json["token"]) for login in (second, third)] == [True, True]

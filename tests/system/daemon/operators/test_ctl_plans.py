"""onesessionctl for plans: what they are called, how many sessions they allow, and which limit of an account counts."""

import json

import pytest

from support.browser import live_among


@pytest.fixture
def database(database):  # pylint: disable=redefined-outer-name
    """Without the events of the making of its accounts."""
    database.query("DELETE FROM events")
    return database


def events(database):
    rows = database.query("SELECT name, user_id, detail - 'operator' - 'as' FROM events ORDER BY id")
    return [(name, user, detail if isinstance(detail, dict) else json.loads(detail)) for name, user, detail in rows]


def test_plan_is_added_changed_listed_and_deleted(ctl, database):
    assert ctl.run("plan", "list") == "No plans.\n"
    assert ctl.json("plan", "list") == []
    assert ctl.run("plan", "set", "gold", "--sessions", "3") == (
        "Plan gold added: 3 live sessions for an account that has no limit of its own.\n"
    )
    assert ctl.run("plan", "set", "gold", "--sessions", "1").startswith("Plan gold changed: 1 live session for")
    # What is not said stays, and what was so is no event.
    for options in ([], ["--sessions", "1"]):
        assert ctl.run("plan", "set", "gold", *options) == "Plan gold: it was so already.\n"
    assert "any number of live sessions" in ctl.run("plan", "set", "silver", "--sessions", "0")
    assert "1 live session (the default)" in ctl.run("plan", "set", "silver", "--sessions", "default")
    database.query("UPDATE users SET plan = 'gold' WHERE username = 'alice'")
    listed = ctl.json("plan", "list")
    assert [(plan["name"], plan["session_limit"], plan["accounts"]) for plan in listed] == [
        ("gold", 1, 1), ("silver", None, 0),
    ]
    table = ctl.run("plan", "list").splitlines()
    assert table[0].split() == ["NAME", "SESSIONS", "ACCOUNTS", "CREATED"]
    assert table[1].split()[:3] == ["gold", "1", "1"] and table[2].split()[:3] == ["silver", "default", "0"]
    assert ctl.json("plan", "delete", "silver") == {"name": "silver"}
    assert [plan["name"] for plan in ctl.json("plan", "list")] == ["gold"]
    assert events(database) == [
        ("plan_added", None, {"plan": "gold", "sessions": 3}),
        ("plan_changed", None, {"plan": "gold", "sessions": 1, "before": 3}),
        ("plan_added", None, {"plan": "silver", "sessions": 0}),
        ("plan_changed", None, {"plan": "silver", "sessions": None, "before": 0}),
        ("plan_deleted", None, {"plan": "silver"}),
    ]


def test_plan_that_accounts_have_stays(ctl, database):
    ctl.run("plan", "set", "gold")
    database.query("UPDATE users SET plan = 'gold', valid_until = now() - interval '1 day'")
    count = database.value("SELECT count(*) FROM users")
    assert f"{count} accounts" in ctl.refused("plan", "delete", "gold")
    database.query("UPDATE users SET plan = NULL WHERE username <> 'alice'")
    assert "1 account;" in ctl.refused("plan", "delete", "gold")
    assert ctl.refused("plan", "delete", "Gold") == "onesessionctl: no such plan: Gold\n"
    database.query("UPDATE users SET plan = NULL")
    assert ctl.run("plan", "delete", "gold") == "Plan gold deleted.\n"


@pytest.mark.parametrize("name", ["", "-gold", "a b", "a|b", "a,b", "gold=", "ä", "x" * 64, "a'b"])
def test_name_that_no_plan_can_have(ctl, name):
    assert ctl.refused("plan", "set", "--", name).startswith("onesessionctl: the name ")


@pytest.mark.parametrize("limit", ["-1", "many", "1.5", "2147483648", "99999999999999999999"])
def test_limit_that_no_plan_can_have(ctl, limit):
    assert "the limit must be a number" in ctl.refused("plan", "set", "gold", "--sessions=" + limit)


def shown(ctl):
    user = ctl.json("user", "show", "alice")
    return user["limit_in_force"], user["limit_from"]


def test_account_comes_before_its_plan_and_that_before_the_configuration(ctl, database):
    ctl.run("plan", "set", "gold", "--sessions", "3")
    assert shown(ctl) == (None, "default")
    database.query("UPDATE users SET plan = 'gold', groups = '{staff,editors}' WHERE username = 'alice'")
    assert shown(ctl) == (3, "plan")
    text = ctl.run("user", "show", "alice")
    assert "Plan:           gold\n" in text
    assert "Groups:         staff,editors\n" in text
    assert "Session limit:  3, by its plan\n" in text
    database.query("UPDATE users SET valid_until = now() - interval '1 second' WHERE username = 'alice'")
    assert shown(ctl) == (None, "default")
    text = ctl.run("user", "show", "alice")
    assert "which is past\n" in text
    assert "Session limit:  default (1), for its plan has ended\n" in text
    database.query("UPDATE users SET valid_until = 'infinity' WHERE username = 'alice'")
    assert shown(ctl) == (3, "plan")
    ctl.run("user", "limit", "alice", "2")
    assert shown(ctl) == (2, "account")
    assert "Session limit:  2, its own, which counts before its plan's\n" in ctl.run("user", "show", "alice")


def test_list_shows_plans(ctl, database):
    ctl.run("plan", "set", "gold", "--sessions", "3")
    database.query(
        "UPDATE users SET plan = 'gold', groups = '{staff}', valid_until = '2199-01-31T12:00:00Z' WHERE username = 'alice'"
    )
    user = ctl.json("user", "list")[0]
    assert (user["plan"], user["groups"], user["valid_until"]) == ("gold", ["staff"], "2199-01-31T12:00:00Z")
    lines = ctl.run("user", "list").splitlines()
    assert lines[0].split("  ")[-1].strip() == "GROUPS" and "PLAN" in lines[0] and "VALID UNTIL" in lines[0]
    assert "3 (plan)" in lines[1] and "gold" in lines[1] and "2199-01-31" in lines[1]


def test_limit_of_a_plan_counts_at_logins_and_when_it_is_lowered(site, browse):
    ctl = site.ctl()
    ctl.run("plan", "set", "gold", "--sessions", "2")
    site.database.query("UPDATE users SET plan = 'gold' WHERE username = 'alice'")
    browsers = [browse(site) for _ in range(3)]
    for browser in browsers:
        browser.sign_in()
    assert live_among(browsers) == [1, 2]
    site.database.query("UPDATE users SET valid_until = now() WHERE username = 'alice'")
    assert live_among(browsers) == [2]


@pytest.mark.parametrize("text", ["null", "never", "2031-01", "31.1.2031"])
def test_end_that_is_none_is_refused_in_words_of_the_command_line(ctl, text):
    told = ctl.refused("user", "set", "alice", "--valid-until", text)
    assert "a day such as 2027-01-31, which is its 00:00 UTC" in told and "empty" in told and "null" not in told


@pytest.mark.parametrize("text, until", [
    ("2031-01-31", "2031-01-31T00:00:00Z"), ("2031-01-31 10:32:05", "2031-01-31T10:32:05Z"), ("", None),
])
def test_end_is_a_day_or_a_moment_or_none(ctl, text, until):
    ctl.run("user", "set", "alice", "--valid-until", "2030-01-01")
    ctl.run("user", "set", "alice", "--valid-until", text)
    assert ctl.json("user", "show", "alice")["valid_until"] == until


def test_where_people_sign_in_elsewhere_no_password_is_missing(ctl):
    ctl.run("import", "csv", "-", stdin="username\nerin\n")
    assert "none yet" in ctl.run("user", "show", "erin")
    told = ctl.run("-o", "login.enabled=off", "user", "show", "erin")
    assert "none yet" not in told and "sign in at the application" in told

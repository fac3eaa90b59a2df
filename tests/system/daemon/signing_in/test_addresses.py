"""E-mail addresses: signing in by them, and what a stranger can learn of that."""

import json

import pytest

from support.client import JSON, WRONG, attempt, guess, login, statuses
from support.openmetrics import samples
from support.status import metrics_of

ADDRESS = "alice@example.org"
TRIPS = ("onesession_database_round_trips_total",)


def give(database, name, address, verified=True):
    database.query(
        "UPDATE users SET email = %s, email_verified_at = CASE WHEN %s THEN now() END WHERE username = %s",
        address,
        verified,
        name,
    )


@pytest.mark.parametrize(
    "typed", [ADDRESS, "Alice@Example.ORG", " alice@example.org\u200b", "alice@example\u3002org", "ALICE", "alice"]
)
def test_name_or_verified_address_signs_in_however_it_is_typed(daemon, database, typed):
    give(database, "alice", ADDRESS)
    answer = login(daemon, typed)
    assert answer.status == 200
    assert json.loads(answer.body)["user"]["username"] == "alice"


@pytest.mark.parametrize("typed", ["a@müller.example", "A@MÜLLER.example", "a@xn--mller-kva.example"])
def test_address_of_an_international_domain_signs_in_in_both_its_forms(daemon, database, typed):
    give(database, "alice", "a@xn--mller-kva.example")
    assert login(daemon, typed).status == 200


def test_address_that_is_not_verified_signs_nobody_in(daemon, database):
    give(database, "alice", ADDRESS, verified=False)
    answer, unknown = login(daemon, ADDRESS), login(daemon, "nobody@example.org")
    assert answer.status == unknown.status == 401
    assert answer.body == unknown.body
    assert login(daemon).status == 200


def test_name_that_is_another_s_address_is_still_the_name(daemon, database):
    """As Django has them: whoever has signed in by it goes on, and the other one has a name."""
    erin = database.add_user("Erin@example.org")
    give(database, "alice", "erin@example.org")
    for typed in ("erin@example.org", "ERIN@EXAMPLE.ORG"):
        assert json.loads(login(daemon, typed).body)["user"]["id"] == erin
    umlaut = database.add_user("erin@müller.example")
    assert json.loads(login(daemon, "erin@müller.example").body)["user"]["id"] == umlaut
    assert json.loads(login(daemon).body)["user"]["username"] == "alice"


def test_longest_address_is_typed_and_found(daemon, database):
    address = "a" * 64 + "@" + 3 * ("b" * 60 + ".") + "cccccc"
    assert len(address) == 254
    give(database, "alice", address)
    assert login(daemon, address).status == 200
    assert b'maxlength="254"' in daemon.ask(path="/session/login", headers={"Accept": "text/html"}).body


@pytest.mark.parametrize("typed", ["a@b", "@", "alice@", "a" * 300 + "@example.org", "alice@" + "b." * 200 + "org", "a@\udcff"])
def test_what_is_no_address_is_nobody_s(daemon, typed):
    body = json.dumps({"username": typed.encode("utf-8", "replace").decode(), "password": WRONG})
    assert daemon.ask(method="POST", path="/session/login", headers=JSON, body=body).status == 401


def test_guesses_are_counted_by_what_was_typed_in_all_its_spellings(new_daemon, database):
    daemon = new_daemon({"login.attempts_per_user": 3}).start()
    give(database, "alice", ADDRESS)
    spellings = [ADDRESS, "ALICE@example.org", "alice@EXAMPLE.org", "alice@example\u3002org", " " + ADDRESS]
    assert [guess(daemon, typed).status for typed in spellings] == 3 * [401] + 2 * [429]


def test_throttle_does_not_tell_whose_an_address_is(new_daemon, database):
    """Were they counted together, whoever has used the tries of a name up could ask for addresses."""
    daemon = new_daemon({"login.attempts_per_user": 3}).start()
    give(database, "alice", ADDRESS)
    assert statuses(daemon, 4) == 3 * [401] + [429]
    assert guess(daemon, ADDRESS).status == guess(daemon, "nobody@example.org").status == 401
    assert statuses(daemon, 3, ADDRESS) == statuses(daemon, 3, "nobody@example.org") == [401, 401, 429]


def test_operator_sees_and_forgets_the_guesses_at_name_and_address(new_daemon, database, ctl):
    daemon = new_daemon({"login.attempts_per_user": 3}).start()
    give(database, "alice", ADDRESS)
    statuses(daemon, 3, ADDRESS)
    shown = ctl.json("-o", "login.attempts_per_user=3", "user", "show", "alice")
    assert shown["failed_logins"] == 3 and shown["throttled_until"] is not None
    ctl.run("user", "unlock", "alice")
    assert login(daemon, ADDRESS).status == 200


def test_failure_by_an_address_is_the_account_s_event(daemon, database):
    give(database, "alice", ADDRESS)
    guess(daemon, ADDRESS)
    guess(daemon, "nobody@example.org")
    events = database.query("SELECT username, user_id IS NULL FROM events WHERE name = 'user_login_failed' ORDER BY id")
    assert events == [("alice", False), ("", True)]
    assert "nobody@" not in daemon.log.read_text()


def test_failure_costs_as_many_statements_whoever_was_meant(new_daemon, database):
    lone_daemon = new_daemon({"server.workers": 1, "login.attempts_per_address": 0}).start()
    give(database, "alice", ADDRESS)
    attempt(lone_daemon)
    trips = [round_trips(lone_daemon, typed) for typed in ("alice", ADDRESS, "nobody", "nobody@example.org")]
    assert len(set(trips)) == 1, trips


def round_trips(daemon, typed):
    before = samples(metrics_of(daemon))[TRIPS]
    attempt(daemon, typed)
    return samples(metrics_of(daemon))[TRIPS] - before


def test_page_asks_for_name_or_address_where_the_site_sends_mail(new_daemon, database):
    mail = {"mail.server": "smtp://127.0.0.1:9", "mail.from": "site@example.org", "mail.site_url": "https://example.org"}
    for settings, label in (
        ({}, "Username"),
        (mail, "Username or e-mail address"),
        ({**mail, "login.name_label": "Member number"}, "Member number"),
    ):
        page = new_daemon(settings).start().ask(path="/session/login", headers={"Accept": "text/html"}).body.decode()
        assert f'<label for="username">{label}</label>' in page
    german = new_daemon(mail).start().ask(
        path="/session/login", headers={"Accept": "text/html", "Accept-Language": "de"}
    )
    assert "Benutzername oder E-Mail-Adresse" in german.body.decode()

"""Accounts that a module makes and changes, passwords that it has hashed, and signing in by a proof."""

import json
import time

import pytest

from support.client import auth, login, sign_in, statuses
from support.people import PEOPLE, People
from support.waiting import Background, wait_until

NEW = "vier bunte Pinguine"


@pytest.fixture
def new_people(new_daemon, closing):
    """new_people(settings): a daemon with the module people."""

    def make(settings=None):
        return closing.add(People(new_daemon(settings, modules=[PEOPLE]).start()))

    return make


@pytest.fixture
def people(new_people):
    return new_people()


def code(answer):
    return answer.status, json.loads(answer.body)["code"]


# ---- Making and finding ----------------------------------------------------------------------------------------------


def test_account_that_a_module_has_made_signs_in_by_name_and_verified_address(people):
    made = json.loads(people.post("hash", password=NEW).body)["hash"]
    added = people.do("add", username="carol", email="Carol@example.org", verified=True, password_hash=made)
    assert added["result"] == "ok"
    for name in ("carol", "CAROL", "carol@example.org", "Carol@EXAMPLE.org"):
        assert login(people.daemon, name, NEW).status == 200
        assert people.find(login=name)["user"]["id"] == added["user_id"]
    assert people.events(added["user_id"])[0] == "user_added"
    found = people.find(id=added["user_id"])
    assert found["user"] == {"id": added["user_id"], "username": "carol", "is_admin": False}
    assert (found["email"], found["has_password"], found["is_active"], found["delete_at"]) == (
        "Carol@example.org",
        True,
        True,
        None,
    )


def test_name_or_address_that_is_taken_is_a_duplicate_and_the_transaction_goes_on(people):
    people.do("add", username="carol", email="carol@example.org")
    for taken in (
        {"username": "ALICE"},
        {"username": "Carol"},
        {"username": "dave", "email": "CAROL@example.org"},
    ):
        done = people.do("add", **taken)
        assert (done["result"], done["transaction"]) == ("duplicate", "ok")
    # Of elsewhere: a name that is an address. Nobody gets that address.
    people.database.add_user("Erin@example.org")
    assert people.do("add", username="frank", email="erin@example.org")["result"] == "duplicate"
    alice = people.database.user_id("alice")
    assert people.do("email", user_id=alice, email="erin@example.org", verified=True)["result"] == "duplicate"
    assert people.do("email", user_id=alice, email="carol@example.org")["result"] == "duplicate"
    erin = people.database.user_id("Erin@example.org")
    assert people.do("email", user_id=erin, email="erin@example.org", verified=True)["result"] == "ok"


@pytest.mark.parametrize(
    "account",
    [
        {"username": ""},
        {"username": "carol@example.org"},
        {"username": "x" * 151},
        {"username": "a\nb"},
        {"username": "carol", "email": "carol"},
        {"username": "carol", "email": "carol@EXAMPLE.org"},
        {"username": "carol", "email": "a\r\nBcc: b@example.org"},
    ],
)
def test_account_that_cannot_be_is_unacceptable(people, account):
    assert people.do("add", **account)["result"] == "unacceptable"
    assert people.database.value("SELECT count(*) FROM users") == 3


def test_account_without_a_password_waits_for_one(people):
    carol = people.do("add", username="carol", email="carol@example.org")["user_id"]
    found = people.find(id=carol)
    assert (found["has_password"], found["email_verified_at"]) == (False, None)
    assert people.find(login="carol@example.org") is None
    for password in ("", "!", NEW):
        assert login(people.daemon, "carol", password).status == 401
    assert people.prove(carol, password=NEW).status == 200
    assert login(people.daemon, "carol", NEW).status == 200
    assert people.find(id=carol)["has_password"]


def test_accounts_are_changed_in_transactions_only_and_all_or_nothing(people):
    assert people.do("add", username="carol", outside=True)["result"] == "failed"
    done = people.do("add", username="carol", fail=True)
    assert (done["result"], done["transaction"]) == ("ok", "failed")
    assert people.find(login="carol") is None
    for call in ("email", "withdraw", "end", "forget", "delete_in", "keep", "delete"):
        assert people.do(call, user_id=10**9)["result"] == "violation"
    assert "accounts are changed in a transaction" in people.daemon.log.read_text()


@pytest.mark.parametrize(
    "change, result",
    [
        ({"call": "email", "user_id": 999999, "email": "carol@example.org"}, "violation"),
        ({"call": "withdraw", "user_id": 999999}, "violation"),
        ({"call": "email", "email": "no address"}, "unacceptable"),
    ],
)
def test_change_that_comes_to_nothing_leaves_later_requests_their_own_time(new_people, change, result):
    people = new_people({"server.workers": 1, "server.request_timeout": "1s"})
    change = {"user_id": people.database.user_id("alice"), "last": True, **change}
    began = time.monotonic()
    done = people.do(**change)
    assert (done["result"], done["transaction"]) == (result, result)
    wait_until(lambda: time.monotonic() > began + 1.2, "the end of that request's time")
    assert login(people.daemon, "alice").status == 200


# ---- Changing --------------------------------------------------------------------------------------------------------


def test_address_is_verified_changed_and_taken_away(people):
    alice = people.database.user_id("alice")
    for fields, expected in (
        ({"email": "a@xn--mller-kva.example"}, None),
        ({"email": "a@xn--mller-kva.example", "verified": True}, "a@müller.example"),
        ({}, None),
    ):
        assert people.do("email", user_id=alice, **fields)["result"] == "ok"
        found = people.find(login="a%40m%C3%BCller.example")
        assert (found["shown"] if found else None) == expected
    assert people.events(alice) == ["user_added"] + 3 * ["user_email_changed"]
    details = people.database.query("SELECT detail FROM events WHERE name = 'user_email_changed' ORDER BY id")
    assert [detail for detail, in details] == [{"verified": False}, {"verified": True}, {"verified": False}]


def test_password_that_is_withdrawn_lets_nobody_in_and_ends_every_session(people):
    alice = people.database.user_id("alice")
    cookie = sign_in(people.daemon)
    assert people.do("withdraw", user_id=alice)["result"] == "ok"
    assert people.daemon.ask(headers=cookie).get("Session-Reason") == "password_changed"
    assert login(people.daemon).status == 401
    assert not people.find(id=alice)["has_password"]
    assert "password_withdrawn" in people.events(alice)
    assert people.prove(alice, password=NEW).status == 200


def test_sessions_end_and_receivers_after_the_commit_are_told(people):
    alice = people.database.user_id("alice")
    cookie = sign_in(people.daemon)
    assert people.do("end", user_id=alice, fail=True)["ended"] == 1
    assert people.daemon.ask(headers=cookie).status == 200
    assert people.do("end", user_id=alice)["ended"] == 1
    assert people.daemon.ask(headers=cookie).get("Session-Reason") == "revoked"
    assert people.do("end", user_id=alice)["ended"] == 0
    lines = [line for line in people.daemon.log.read_text().splitlines() if " user_logged_out " in line]
    assert len(lines) == 1 and "reason=revoked" in lines[0]


def test_failures_that_are_forgotten_throttle_no_more(new_people):
    people = new_people({"login.attempts_per_user": 2})
    alice = people.database.user_id("alice")
    people.do("email", user_id=alice, email="alice@example.org", verified=True)
    for name in ("alice", "alice@example.org"):
        assert statuses(people.daemon, 4, name) == [401, 401, 429, 429]
    assert people.do("forget", user_id=alice)["result"] == "ok"
    for name in ("alice", "alice@example.org"):
        assert login(people.daemon, name).status == 200


def test_account_is_deleted_later_or_kept_or_deleted_now(people):
    alice = people.database.user_id("alice")
    cookie = sign_in(people.daemon)
    done = people.do("delete_in", user_id=alice, pause_ms=3600_000)
    assert done["delete_at"] == people.find(id=alice)["delete_at"] is not None
    assert people.daemon.ask(headers=cookie).status == 200
    assert people.do("keep", user_id=alice)["result"] == "ok"
    assert people.find(id=alice)["delete_at"] is None
    people.do("email", user_id=alice, email="alice@example.org", verified=True)
    assert people.do("delete", user_id=alice)["result"] == "ok"
    assert people.find(id=alice) is None
    assert people.daemon.ask(headers=cookie).status == 401
    assert login(people.daemon).status == 401
    rows = people.database.query("SELECT name, username, host(ip), user_agent, detail FROM events ORDER BY id")
    named = [row for row in rows if row[1] == "alice" or "alice" in str(row[4])]
    assert named == []
    assert [row for row in rows if row[0] == "user_deleted"] == [("user_deleted", "", None, "", {})]


# ---- Passwords -------------------------------------------------------------------------------------------------------


def test_password_that_is_easy_to_guess_is_refused_with_why(new_people):
    people = new_people({"accounts.password_strength": 2})
    for fields, why in (
        ({"password": "short"}, "8 characters"),
        ({"password": "x" * 1025}, "1024 bytes"),
        ({"password": "password1"}, "many people"),
        ({"password": "wolpertinger1", "username": "Wolpertinger"}, "your name"),
        ({"password": "zarathustra1", "email": "zarathustra@example.org"}, "your address"),
    ):
        answer = people.post("hash", **fields)
        assert code(answer) == (400, "bad_request")
        assert why in json.loads(answer.body)["detail"]
    assert people.post("hash", password="wolpertinger1").status == 200


def test_password_s_strength_is_a_setting(new_people):
    strict = new_people({"accounts.password_strength": 4})
    assert strict.post("hash", password="correct horse").status == 400
    assert strict.post("hash", password=NEW).status == 200


def test_strength_0_looks_at_the_length_alone(new_people):
    people = new_people()
    assert people.post("hash", password="12345678").status == 200
    assert people.post("hash", password="1234567").status == 400


# ---- Signing in by a proof -------------------------------------------------------------------------------------------


def test_proof_signs_in_once_and_is_used_up(people):
    alice = people.database.user_id("alice")
    answer = people.prove(alice)
    assert answer.status == 200
    body = json.loads(answer.body)
    assert body["user"] == {"id": alice, "username": "alice", "is_admin": False}
    assert auth(people.daemon, answer.cookie()).status == 200
    assert answer.cookie("onesession_device") is not None
    assert people.proofs() == 0
    again = people.prove(alice, proof="none")
    assert code(again) == (401, "invalid_credentials") and again.all("Set-Cookie") == []
    assert auth(people.daemon, answer.cookie()).status == 200
    assert people.events(alice) == ["user_added", "user_logged_in"]


def test_proof_displaces_as_a_login_does_and_no_limit_stands_in_its_way(new_people):
    people = new_people({"session.on_limit": "refuse", "sharing.action": "cooldown", "sharing.takeovers": 1})
    alice = people.database.user_id("alice")
    cookie = sign_in(people.daemon)
    assert login(people.daemon).status == 409
    for _ in range(3):
        answer = people.prove(alice)
        assert answer.status == 200 and json.loads(answer.body)["displaced"] == 1
    assert people.daemon.ask(headers=cookie).get("Session-Reason") == "displaced"
    assert len(people.database.sessions()) == 1


def test_new_password_by_a_proof_ends_every_other_session_and_forgets_failures(new_people):
    people = new_people({"session.max_sessions": 3, "login.attempts_per_user": 2})
    alice = people.database.user_id("alice")
    cookies = [sign_in(people.daemon) for _ in range(2)]
    assert statuses(people.daemon, 3) == [401, 401, 429]
    answer = people.prove(alice, password=NEW)
    assert answer.status == 200
    for cookie in cookies:
        assert people.daemon.ask(headers=cookie).get("Session-Reason") == "password_changed"
    assert auth(people.daemon, answer.cookie()).status == 200
    assert login(people.daemon).status == 401
    assert login(people.daemon, password=NEW).status == 200
    names = people.events(alice)
    at = names.index("password_changed")
    assert names[at : at + 2] == ["password_changed", "user_logged_in"]
    assert people.database.value("SELECT count(*) FROM known_browsers WHERE user_id = %s", alice) == 2


def test_browser_that_proves_itself_keeps_what_it_had_and_loses_its_former_key(people):
    alice = people.database.user_id("alice")
    cookie = sign_in(people.daemon)
    answer = people.prove(alice, headers=cookie)
    assert answer.status == 200 and json.loads(answer.body)["displaced"] == 0
    assert people.daemon.ask(headers=cookie).status == 401
    assert len(people.database.sessions()) == 1
    # Another account's is signed out.
    bob = people.prove(people.database.user_id("bob"), headers={"Cookie": f"onesession={answer.cookie()}"})
    assert auth(people.daemon, answer.cookie()).get("Session-Reason") == "logged_out"
    assert auth(people.daemon, bob.cookie()).get("Remote-User") == "bob"


def test_proof_for_a_disabled_or_missing_account_is_not_used_up(people):
    assert code(people.prove(people.database.user_id("dora"))) == (403, "account_closed")
    assert code(people.prove(10**9)) == (401, "invalid_credentials")
    assert people.proofs() == 1


def test_login_that_fails_leaves_proof_and_password_as_they_were(people):
    alice = people.database.user_id("alice")
    people.database.query(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no'; END$$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    assert people.prove(alice, password=NEW).status == 500
    people.database.query("DROP TRIGGER refuse ON sessions; DROP FUNCTION refuse")
    assert people.proofs() == 1
    assert login(people.daemon, password=NEW).status == 401
    assert login(people.daemon).status == 200


def test_of_many_that_use_one_proof_at_once_one_gets_in(new_people):
    people = new_people({"server.workers": 4})
    alice = people.database.user_id("alice")
    people.database.query("INSERT INTO people.proofs VALUES ('once')")
    asked = [Background(lambda: people.post("sign-in", user_id=alice, proof="once")) for _ in range(12)]
    answers = [one.result() for one in asked]
    assert sorted(answer.status for answer in answers) == [200] + 11 * [401]
    assert len(people.database.sessions()) == 1


@pytest.mark.parametrize("hash_first", [True, False])
def test_second_password_in_a_request_is_refused_and_never_taken_for_the_first(people, hash_first):
    workers = people.daemon.workers
    answer = people.post(
        "both", username="alice", password=people.database.password, second=NEW, hash_first=hash_first
    )
    assert answer.status == 500
    people.daemon.await_line("handler_fault", "route=/both", "a second password")
    assert people.daemon.workers == workers

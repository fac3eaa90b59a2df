"""Another address for an account: it is proved before it counts, and the old one is told."""

import json
from urllib.parse import urlencode

import pytest

from support.browser import form_of, problem
from support.by_mail import (
    PASSWORD, all_at_once, comparable, links_of, mail_of, page, post, post_form, refused, send_every_form, settle,
)
from support.client import Answered, assert_page, sign_in
from support.locks import HeldRow, waits_in_database
from support.waiting import Background

NEW = "alice@new.example"
OLD = "alice@example.net"


@pytest.fixture
def new_host_of_alice(new_daemon, smtp, verified):
    del verified

    def make(settings=None, **mail):
        return new_daemon({**smtp.settings(**mail), **(settings or {})}).start()

    return make


@pytest.fixture
def host(new_host_of_alice):
    """alice and bob have addresses that were proved."""
    return new_host_of_alice()


@pytest.fixture
def alice(host):
    """Her cookie."""
    return sign_in(host)


def ask(host, smtp, alice, email=NEW, to=None, **headers):
    return mail_of(
        host, smtp, lambda: require(post(host, "email", headers={**alice, **headers}, email=email), 202), to or email
    )


def require(answer, status):
    assert answer.status == status, answer.body
    return answer


def address(host, username="alice"):
    return host.database.query(f"SELECT email, email_verified_at IS NOT NULL FROM users WHERE username = '{username}'")[0]


def test_address_changes_when_the_new_one_is_proved_and_the_old_one_is_told(host, smtp, alice):
    mail = ask(host, smtp, alice)
    assert links_of(mail) == {f"verify?token={mail.token}"}
    told = smtp.await_mails(1, to=OLD)[-1]
    assert "another e-mail address" in told.message["Subject"] and NEW not in told.text
    assert address(host) == (OLD, True)
    answer = post(host, "verify", token=mail.token)
    assert answer.status == 200
    body = json.loads(answer.body)
    assert (body["user"]["username"], body["email"]) == ("alice", NEW)
    assert address(host) == (NEW, True)
    refused(post(host, "verify", token=mail.token))
    assert post(host, "login", username=NEW, password=host.database.password).status == 200
    assert post(host, "login", username=OLD, password=host.database.password).status == 401


def test_code_proves_it_with_name_or_either_address(host, smtp, alice):
    for login, new in (("alice", "one@new.example"), ("one@new.example", "two@new.example"), ("last@new.example", "last@new.example")):
        mail = ask(host, smtp, alice, new)
        assert post(host, "verify", login=login, code=mail.code).status == 200, login
        assert address(host) == (new, True)


def test_strangers_sign_up_with_the_address_costs_its_owner_no_tries(new_host_of_alice, smtp):
    host = new_host_of_alice({"accounts.signup": "open"})
    mail = ask(host, smtp, sign_in(host))
    stranger = {"username": "mallory", "email": NEW, "password": PASSWORD}
    mail_of(host, smtp, lambda: require(post(host, "signup", **stranger), 202), NEW)
    tries = "SELECT sum(code_tries), (SELECT sum(count) FROM code_tries) FROM mail_tokens"
    # It is tried at both, and once.
    refused(post(host, "verify", login=NEW, code=f"{(int(mail.code) + 1) % 10**8:08}"))
    assert host.database.query(tries)[0] == (2, 1)
    assert json.loads(require(post(host, "verify", login=NEW, code=mail.code), 200).body)["user"]["username"] == "alice"
    assert host.database.query(tries)[0] == (1, 1)


def test_address_that_was_not_proved_gets_another_link_from_the_account_page(host, smtp, alice):
    host.database.query("UPDATE users SET email_verified_at = NULL WHERE username = 'alice'")
    shown = page(host, "account", headers=alice).body.decode()
    assert OLD in shown and "not confirmed" in shown and "Send the link again" in shown
    mail = mail_of(host, smtp, lambda: require(post_form(host, "email", headers=alice, email=OLD), 202), OLD)
    assert "confirm your new address" in mail.message["Subject"]
    assert post(host, "verify", token=mail.token).status == 200
    shown = page(host, "account", headers=alice).body.decode()
    assert "confirmed" in shown and "Send the link again" not in shown


def test_address_of_another_account_is_told_to_its_mailbox_only(host, smtp, alice):
    own = post(host, "email", headers=alice, email=NEW)
    taken = post(host, "email", headers=alice, email="BOB@example.net")
    assert comparable(own) == comparable(taken) and own.body == taken.body
    mail = smtp.await_mails(1, to="BOB@example.net")[-1]
    settle(host)
    assert "Hello bob" in mail.text and "alice" not in mail.text and "token" not in mail.text
    host.secrets.update(one.token for one in smtp.await_mails(1, to=NEW))
    assert address(host, "bob") == ("bob@example.net", True)


def test_same_statements_run_whosever_address_it_is(statements, new_host_of_alice):
    host = new_host_of_alice({"server.workers": 1, "server.guard_workers": 0})
    alice = sign_in(host)
    for n in range(2):
        require(post(host, "email", headers=alice, email=f"warm{n}@new.example"), 202)
    run = [
        statements(lambda email=email: post(host, "email", headers=alice, email=email))
        for email in (NEW, "bob@example.net", OLD)
    ]
    assert all("add_mail" in one for one in run) and len(set(map(str, run))) == 1, run


def test_address_that_was_taken_meanwhile_is_told_and_nothing_changes(host, smtp, alice):
    mail = ask(host, smtp, alice)
    host.database.query(f"UPDATE users SET email = '{NEW}' WHERE username = 'bob'")
    assert problem(Answered(post(host, "verify", token=mail.token)), 409, "duplicate")["field"] == "email"
    assert_page(post_form(host, "verify", token=mail.token, page=1, confirmed="true"), 409)
    assert address(host) == (OLD, True)


def test_of_two_that_prove_the_same_address_at_once_one_gets_it(new_host_of_alice, smtp):
    host = new_host_of_alice({"server.workers": 4})
    tokens = [ask(host, smtp, sign_in(host)).token]
    bob = post(host, "login", username="bob", password=host.database.password)
    tokens.append(ask(host, smtp, {"Cookie": f"onesession={bob.cookie()}"}).token)
    answers = all_at_once([lambda token=token: post(host, "verify", token=token) for token in tokens])
    assert sorted(answer.status for answer in answers) == [200, 409]
    assert [address(host, name)[0] for name in ("alice", "bob")].count(NEW) == 1


def test_who_does_not_know_the_account_says_so_and_the_address_stays_what_it_was(host, smtp, alice):
    mail = ask(host, smtp, alice)
    done = post_form(host, "verify", token=mail.token, page=1, confirmed="true", not_me="true")
    assert_page(done, 200)
    assert b"The address stays free" in done.body
    refused(post(host, "verify", token=mail.token))
    assert address(host) == (OLD, True)


def test_scanner_that_follows_each_link_and_sends_each_form_as_it_is_changes_nothing(host, smtp, alice):
    mail = ask(host, smtp, alice)
    told = smtp.await_mails(1, to=OLD)[-1]
    before = host.database.query("SELECT * FROM users ORDER BY id"), host.database.query("SELECT * FROM mail_tokens")
    for path in links_of(mail) | links_of(told):
        for answer in send_every_form(host, page(host, path).body.decode()):
            assert answer.status == 400
    assert before == (host.database.query("SELECT * FROM users ORDER BY id"), host.database.query("SELECT * FROM mail_tokens"))
    assert post(host, "verify", token=mail.token).status == 200


def test_account_that_was_disabled_since_keeps_its_address(host, smtp, alice, ctl):
    mail = ask(host, smtp, alice)
    ctl.run("user", "disable", "alice")
    refused(post(host, "verify", token=mail.token))
    assert address(host) == (OLD, True)


def test_old_address_brings_it_back_and_puts_everybody_out(host, smtp, alice):
    mail = ask(host, smtp, alice)
    told = mail_of(host, smtp, lambda: require(post(host, "verify", token=mail.token), 200), OLD)
    assert "your e-mail address was changed" in told.message["Subject"] and NEW not in told.text
    assert links_of(told) == {f"undo?token={told.token}"}
    days = host.database.value("SELECT extract(epoch FROM expires_at - created_at) / 86400 FROM mail_tokens WHERE purpose = 'undo_email'")
    assert days == 7
    reset = mail_of(host, smtp, lambda: require(post(host, "undo", token=told.token), 200), OLD)
    assert address(host) == (OLD, True)
    assert host.ask(path="/session/auth", headers=alice).status == 401
    require(post(host, "reset", token=reset.token, new_password=PASSWORD), 200)


def test_address_that_was_not_proved_is_told_nothing(host, smtp, alice):
    host.database.query("UPDATE users SET email_verified_at = NULL WHERE username = 'alice'")
    mail = ask(host, smtp, alice)
    require(post(host, "verify", token=mail.token), 200)
    assert host.database.value("SELECT count(*) FROM mails WHERE kind = 'email_changed'") == 0
    settle(host)
    assert smtp.await_mails(1, to=NEW) and not [mail for mail in smtp.mails if OLD in mail.recipients]


def test_another_password_stops_it(host, smtp, alice):
    mail = ask(host, smtp, alice)
    password = {"current_password": host.database.password, "new_password": PASSWORD}
    alice = {"Cookie": f"onesession={require(post(host, 'password', headers=alice, **password), 200).cookie()}"}
    refused(post(host, "verify", token=mail.token))
    # Also where the mail was not sent yet.
    smtp.faults["RCPT"] = "451 later"
    require(post(host, "email", headers=alice, email=NEW), 202)
    require(post(host, "password", headers=alice, current_password=PASSWORD, new_password="eight cold umbrellas"), 200)
    assert host.database.value("SELECT count(*) FROM mails WHERE kind = 'email' AND state = 'queued'") == 0


def test_session_whose_proof_is_old_has_to_prove_it_again(host, alice):
    host.database.query("UPDATE sessions SET created_at = now() - interval '1 hour'")
    problem(Answered(post(host, "email", headers=alice, email=NEW)), 401, "stale")
    led = page(host, "email", headers=alice)
    assert led.status == 303 and led.get("Location").startswith("/session/confirm?next=")
    assert post_form(host, "email", headers=alice, email=NEW).status == 303
    assert host.database.value("SELECT count(*) FROM mails") == 0


def test_nobody_who_is_not_signed_in_changes_an_address(host):
    assert post(host, "email", email=NEW).status == 401
    assert page(host, "email").status == 303
    assert host.database.value("SELECT count(*) FROM mails") == 0


def test_what_is_no_address_is_said(host, alice):
    for email in ("", "alice", "alice@example.net\r\nBcc: bob@example.net"):
        problem(Answered(post(host, "email", headers=alice, email=email)), 400, "bad_request")
        shown = post_form(host, "email", headers=alice, email=email)
        assert_page(shown, 400)
        assert b"no e-mail address" in shown.body
    problem(Answered(post(host, "email", headers=alice)), 400, "bad_request")


def test_too_many_requests_from_an_address_are_refused(new_host_of_alice):
    host = new_host_of_alice({"login.attempts_per_address": 2})
    alice = sign_in(host)
    assert [post(host, "email", headers=alice, email=NEW).status for _ in range(3)] == [202, 202, 429]


def test_without_mail_the_account_page_offers_no_address(daemon):
    alice = sign_in(daemon)
    assert daemon.ask(path="/session/email", headers=alice).status == 404
    assert b"/email" not in page(daemon, "account", headers=alice).body


def test_page_says_which_address_there_is(host, alice):
    shown = page(host, "email", headers=alice).body.decode()
    assert OLD in shown and "confirmed" in shown and 'autocomplete="email"' in shown
    assert PASSWORD not in shown


def undone(host, token):
    return post(host, "undo", token=token)


def proved(host, smtp, session, new, old):
    """The link by which the old address has everything back."""
    mail = ask(host, smtp, session, new)
    before = len([one for one in smtp.mails if old in one.recipients])
    require(post(host, "verify", token=mail.token), 200)
    told = smtp.await_mails(before + 1, to=old)[-1]
    settle(host)
    return told.token


def test_of_several_former_addresses_the_first_one_has_the_last_word(host, smtp, alice):
    """Whoever has taken the account over gives it one address after the other, to have links of their own."""
    first = proved(host, smtp, alice, "one@thief.example", OLD)
    second = proved(host, smtp, alice, "two@thief.example", "one@thief.example")
    third = proved(host, smtp, alice, "three@thief.example", "two@thief.example")
    # A later one leaves those before it as they are.
    assert undone(host, third).status == 200 and address(host) == ("two@thief.example", True)
    assert undone(host, first).status == 200 and address(host) == (OLD, True)
    for void in (second, third, first):
        refused(undone(host, void))
    assert address(host) == (OLD, True)


def end_from_elsewhere(host, ctl, session):
    # Another session of hers, which ends the one that has asked.
    host.database.query("UPDATE users SET session_limit = 0")
    other = sign_in(host)
    asked = json.loads(host.ask(path="/session/me", headers={**session, "Accept": "application/json"}).body)["session"]["id"]
    require(post(host, f"sessions/{asked}/end", headers=other), 204)


REPAIRS = {
    "a password of an operator's": lambda host, ctl, session: ctl.run("user", "passwd", "alice", stdin=f"{PASSWORD}\n"),
    "disabled and enabled": lambda host, ctl, session: (ctl.run("user", "disable", "alice"), ctl.run("user", "enable", "alice")),
    "sessions ended by an operator": lambda host, ctl, session: ctl.run("session", "end", "--user", "alice"),
    "session ended from another one": end_from_elsewhere,
    "deletion": lambda host, ctl, session: require(post(host, "delete", headers=session), 202),
}


@pytest.mark.parametrize("repair", REPAIRS)
def test_change_that_somebody_has_asked_for_does_not_outlive_what_repairs_the_account(host, smtp, alice, ctl, repair):
    mail = ask(host, smtp, alice)
    REPAIRS[repair](host, ctl, alice)
    refused(post(host, "verify", token=mail.token))
    assert address(host) == (OLD, True)


@pytest.mark.parametrize("address", ["nobody@example.net", "bob@example.net"], ids=["nobody's", "an account's"])
def test_whose_address_is_asked_for_shows_in_nothing_that_the_asker_has(host, smtp, alice, address):
    """One's own link, one's own codes and one's own data are the same whether somebody has that address."""
    own = ask(host, smtp, alice)
    require(post(host, "email", headers=alice, email=address), 202)
    smtp.await_mails(1, to=address)
    settle(host)
    refused(post(host, "verify", token=own.token))
    refused(post(host, "verify", login="alice", code="00000000"))
    refused(post(host, "verify", login=address, code="00000000"))
    own_tries = "SELECT coalesce(sum(count), 0) FROM code_tries WHERE subject = '%s'" % host.database.user_id("alice")
    assert host.database.value(own_tries) == 1
    exported = json.loads(host.ask(path="/session/export", headers=alice, timeout=120).body)
    assert [row["count"] for row in exported["wrong_codes"]] == [1]
    assert address not in json.dumps(exported)
    # Nor do codes for that address use up those of the account's own.
    for _ in range(12):
        refused(post(host, "verify", login=address, code="00000000"))
    again = ask(host, smtp, alice, email="again@new.example")
    require(post(host, "verify", login="again@new.example", code=again.code), 200)


def test_what_a_session_asks_for_while_it_is_put_out_is_not_done(host, alice):
    """As by somebody with a stolen session, who asks all the time while its owner chooses another password."""
    with HeldRow(host, "users") as held:
        call = Background(post, host, "email", headers=alice, email=NEW)
        waits_in_database(host.database)
        held.do("DELETE FROM sessions")
        held.let_go()
        assert call.result().status == 401
    assert host.database.value("SELECT count(*) FROM mails") == 0


def test_link_that_is_made_while_another_one_voids_it_is_void(host, smtp, alice):
    """The mail to a later address is just being begun when the first one's owner undoes everything."""
    first = proved(host, smtp, alice, "one@thief.example", OLD)
    # What the sending of the mail to the next address does, in the midst of it.
    mail_id = host.database.value(
        "INSERT INTO mails (module, kind, is_notice, about_id, recipient, data, purpose, lifetime_ms, path, claim, next_at)"
        " SELECT 'session', 'email_changed', true, id, 'one@thief.example', jsonb_build_object('user_id', id),"
        "        'undo_email', 1000000, '/undo', 'somebody', now() + interval '1 hour'"
        "   FROM users WHERE username = 'alice' RETURNING id"
    )
    begun = host.database.connect()
    begun.autocommit = False
    with begun.cursor() as cursor:
        cursor.execute(
            "UPDATE mails SET attempts = 1, sent_to = recipient WHERE id = %s;"
            " INSERT INTO mail_tokens (token_key, code_key, mail_id, purpose, recipient_key, recipient, data, expires_at)"
            " SELECT sha256(repeat('t', 43)::bytea), sha256('0'), id, purpose, recipient, recipient, data, now() + interval '1 day'"
            "   FROM mails WHERE id = %s",
            (mail_id, mail_id),
        )
    call = Background(undone, host, first)
    waits_in_database(host.database)
    begun.commit()
    begun.close()
    assert call.result().status == 200
    refused(undone(host, "t" * 43))
    assert address(host) == (OLD, True)


def test_undo_voids_links_that_were_sent_before(host, smtp, alice):
    reset = mail_of(host, smtp, lambda: require(post(host, "forgot", login="alice"), 202), OLD)
    change = ask(host, smtp, alice)
    told = mail_of(host, smtp, lambda: require(post(host, "delete", headers=alice), 202), OLD)
    require(undone(host, told.token), 200)
    refused(post(host, "reset", token=reset.token, new_password=PASSWORD))
    refused(post(host, "verify", token=change.token))


def test_notice_of_another_account_leaves_a_link_to_the_same_mailbox_as_it_is(host, smtp, alice):
    first = proved(host, smtp, alice, "one@thief.example", OLD)
    host.database.query(
        f"UPDATE users SET email = '{OLD}', email_verified_at = now() WHERE username = 'bob'"
    )
    login = require(post(host, "login", username="bob", password=host.database.password), 200)
    bob = {"Cookie": f"onesession={login.cookie()}"}
    proved(host, smtp, bob, "bob@new.example", OLD)
    assert undone(host, first).status == 200 and address(host) == (OLD, True)


def test_mail_to_an_address_that_is_not_proved_has_no_words_of_the_account(host, smtp):
    host.database.query("UPDATE users SET username = 'buy at www.spam.example' WHERE username = 'alice'")
    answer = require(post(host, "login", username="buy at www.spam.example", password=host.database.password), 200)
    mail = ask(host, smtp, {"Cookie": f"onesession={answer.cookie()}"})
    assert "spam" not in mail.text + mail.part("html") + mail.message["Subject"]


def test_export_does_not_tell_whose_address_was_asked_for(host, smtp, alice):
    def exported():
        data = json.loads(host.ask(path="/session/export", headers=alice, timeout=60).body)
        return [mail["kind"] for mail in data["mails"]], [link["purpose"] for link in data["mail_links"]]

    ask(host, smtp, alice)
    settle(host)
    of_free = exported()
    ask(host, smtp, alice, "bob@example.net")
    settle(host)
    assert "email" not in of_free[0] and of_free[1] == exported()[1]
    assert exported()[0] == of_free[0] + ["email_asked"]


# ---- An address that a place requires --------------------------------------------------------------------------------

WANTED = "verify?next=/premium/%3Fa%3Db"


def test_who_needs_an_address_proves_it_and_goes_on_from_there(host, smtp, alice):
    host.database.query("UPDATE users SET email_verified_at = NULL WHERE username = 'alice'")
    shown = page(host, WANTED, headers=alice)
    assert_page(shown, 200)
    fields = form_of(shown.body.decode(), "/session/email")
    # The address that it has is there already.
    assert fields == {"next": "/premium/?a=b", "email": OLD}
    mail = mail_of(host, smtp, lambda: require(post_form(host, "email", headers=alice, **fields), 202), OLD)
    done = post_form(host, "verify", token=mail.token, page="1", confirmed="true")
    assert_page(done, 200)
    assert b'href="/premium/?a=b"' in done.body
    # The page that has led here leads on now.
    answer = page(host, WANTED, headers=alice)
    assert (answer.status, answer.get("Location")) == (303, "/premium/?a=b")


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example/", "/\\evil.example"])
def test_it_leads_to_this_site_only(host, smtp, alice, wanted):
    where = f"verify?{urlencode({'next': wanted})}"
    assert page(host, where, headers=alice).get("Location") == "/session/account"
    host.database.query("UPDATE users SET email_verified_at = NULL WHERE username = 'alice'")
    assert page(host, where).get("Location") == "/session/login"
    mail = mail_of(host, smtp, lambda: require(post(host, "email", headers=alice, email=OLD, next=wanted), 202), OLD)
    done = post_form(host, "verify", token=mail.token, page="1", confirmed="true")
    assert b"evil.example" not in done.body


def test_who_is_not_signed_in_signs_in_first(host):
    assert page(host, WANTED).get("Location") == "/session/login?next=/premium/%3Fa%3Db"


def test_whose_proof_is_old_comes_back_to_the_form(host, alice):
    host.database.query("UPDATE users SET email_verified_at = NULL WHERE username = 'alice'")
    host.database.make_unproved(host.database.sessions()[0])
    assert_page(page(host, WANTED, headers=alice), 200)
    answer = post_form(host, "email", headers=alice, email=OLD, next="/premium/?a=b")
    assert answer.get("Location") == (
        "/session/confirm?lost=true&next=/session/verify%3Fnext%3D/premium/%253Fa%253Db"
    )

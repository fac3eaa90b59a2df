"""Invitations: an account that an operator has made gets its password from the person."""

import json
import re

import pytest

from support.browser import problem
from support.by_mail import (
    PASSWORD, all_at_once, links_of, mail_of, page, post, post_form, refused, send_every_form,
)
from support.client import Answered, assert_page, auth
from support.programs import Ctl

CAROL = "carol@example.net"


@pytest.fixture
def host(new_daemon, smtp):
    daemon = new_daemon({"accounts.signup": "invite", "accounts.password_strength": 2, **smtp.settings()})
    daemon.secrets.add(PASSWORD)
    return daemon.start()


@pytest.fixture
def invitation(host, smtp, database):
    """The mail."""
    ctl = Ctl(database.owner_conninfo, **{"accounts.signup": "invite", **smtp.settings()})
    return mail_of(host, smtp, lambda: ctl.run("user", "add", "carol", "--email", CAROL, "--invite"), CAROL)


def carol(host):
    return host.database.query("SELECT password, email, email_verified_at IS NOT NULL FROM users WHERE username = 'carol'")[0]


def test_link_gives_the_account_its_password_signs_in_and_proves_the_address(host, invitation):
    assert links_of(invitation) == {f"invite?token={invitation.token}"}
    answer = post(host, "invite", token=invitation.token, password=PASSWORD)
    assert answer.status == 200 and json.loads(answer.body)["user"]["username"] == "carol"
    assert auth(host, answer.cookie()).status == 200
    assert post(host, "login", username=CAROL, password=PASSWORD).status == 200
    assert carol(host)[2] is True
    refused(post(host, "invite", token=invitation.token, password=PASSWORD))


def test_code_does_it_too(host, invitation):
    refused(post(host, "invite", login="carol", code=f"{(int(invitation.code) + 1) % 10**8:08}", password=PASSWORD))
    shown = post_form(host, "invite", login="carol", code=invitation.code, password="short")
    assert_page(shown, 400)
    assert b"<strong>carol</strong>" in shown.body
    answer = post_form(host, "invite", login=CAROL, code=invitation.code, password=PASSWORD)
    assert answer.status == 303 and answer.get("Location") == "/session/account"
    assert auth(host, answer.cookie()).status == 200


def test_page_shows_whose_it_is_and_scanners_change_nothing(host, invitation):
    before = host.database.query("SELECT * FROM users ORDER BY id"), host.database.query("SELECT * FROM mail_tokens")
    shown = [page(host, path).body.decode() for path in ("invite", *links_of(invitation))]
    assert "<strong>carol</strong>" not in shown[0] and "<strong>carol</strong>" in shown[1] and CAROL in shown[1]
    for one in shown:
        for answer in send_every_form(host, one):
            assert answer.status == 400 and answer.all("Set-Cookie") == []
    assert before == (host.database.query("SELECT * FROM users ORDER BY id"), host.database.query("SELECT * FROM mail_tokens"))
    assert_page(page(host, "invite?token=" + "A" * 43), 401)
    assert page(host, f"invite?token={invitation.token}").get("Referrer-Policy") == "strict-origin"


def test_its_form_leads_on_to_anywhere_and_another_language_back_to_it(host, invitation):
    """Chromium holds what a form leads to against its policy."""
    shown = page(host, f"invite?token={invitation.token}")
    assert "form-action" not in shown.get("Content-Security-Policy")
    again = post_form(host, "invite", token=invitation.token, password="short")
    assert again.status == 400 and "form-action" not in again.get("Content-Security-Policy")
    assert re.findall(r'name="back" value="([^"]*)"', again.body.decode()) == ["/session/invite"]


def test_password_that_is_too_easy_uses_nothing_up(host, invitation):
    for weak in ("short", "password1", "carol@example"):
        problem(Answered(post(host, "invite", token=invitation.token, password=weak)), 400, "bad_request")
        assert_page(post_form(host, "invite", token=invitation.token, password=weak), 400)
    assert post(host, "invite", token=invitation.token, password=PASSWORD).status == 200


@pytest.mark.parametrize("change", ["password = 'x'", "email = 'other@example.net'"])
def test_account_that_an_operator_has_changed_since_is_not_given_away(host, invitation, change):
    host.database.query(f"UPDATE users SET {change} WHERE username = 'carol'")
    refused(post(host, "invite", token=invitation.token, password=PASSWORD))


def test_account_that_was_disabled_since_is_told_so(host, invitation, ctl):
    ctl.run("user", "disable", "carol")
    problem(Answered(post(host, "invite", token=invitation.token, password=PASSWORD)), 403, "account_closed")
    assert_page(post_form(host, "invite", token=invitation.token, password=PASSWORD), 403)
    ctl.run("user", "enable", "carol")
    assert post(host, "invite", token=invitation.token, password=PASSWORD).status == 200


def test_of_many_that_accept_at_once_one_gets_in(host, invitation):
    asked = [lambda: post(host, "invite", token=invitation.token, password=PASSWORD)] * 8
    assert sorted(answer.status for answer in all_at_once(asked)) == [200] + 7 * [401]


def test_what_is_missing_is_said(host):
    for fields in ({}, {"token": "A" * 43}, {"password": PASSWORD}, {"login": "carol", "password": PASSWORD}):
        problem(Answered(post(host, "invite", **fields)), 400, "bad_request")
        assert_page(post_form(host, "invite", **fields), 400)

"""onesessionctl: accounts with addresses, which of them are verified, and taking them as verified."""

import pytest

from support.client import login
from support.programs import Ctl
from support.smtp import SmtpServer
from support.terminal import Terminal
from support.waiting import PATIENCE

PASSWORD = "a horse of many batteries\n"


def give(database, **addresses):
    for name, address in addresses.items():
        database.query("UPDATE users SET email = %s, email_verified_at = NULL WHERE username = %s", address, name)


def test_account_is_added_with_an_address_by_which_it_signs_in(ctl, daemon):
    assert ctl.run("user", "add", "erin", "--email", " Erin@M\u00fcller.example", stdin=PASSWORD) == (
        "Account erin added, with the address Erin@m\u00fcller.example.\n"
    )
    assert login(daemon, "erin@m\u00fcller.example", PASSWORD.strip()).status == 200
    shown = ctl.json("user", "show", "erin")
    assert shown["email"] == "Erin@xn--mller-kva.example" and shown["email_verified_at"] is not None
    assert "E-mail:         Erin@m\u00fcller.example\n" in ctl.run("user", "show", "erin")


@pytest.mark.parametrize(
    "name, email, why",
    [
        ("erin@example.org", None, "has an @"),
        ("erin", "erin", "has no @"),
        ("erin", "erin@example.org\nBcc: x@example.org", "control character"),
        ("erin", "alice@example.org", "that of another account: alice"),
        ("ALICE", "erin@example.org", "account exists: alice"),
    ],
)
def test_name_or_address_that_cannot_be_is_refused_with_why(ctl, database, name, email, why):
    database.query("UPDATE users SET email = 'Alice@example.org', email_verified_at = now() WHERE username = 'alice'")
    words = ["user", "add", name] + (["--email", email] if email else [])
    assert why in ctl.refused(*words, stdin=PASSWORD)
    assert database.value("SELECT count(*) FROM users") == 3


def test_no_account_is_renamed_to_what_could_be_an_address(ctl):
    assert "has an @" in ctl.refused("user", "rename", "alice", "alice@example.org")


def test_password_that_is_easy_to_guess_is_taken_with_a_warning(ctl):
    done = ctl.call("-o", "accounts.password_strength=2", "user", "add", "wolpertinger", stdin="wolpertinger1\n")
    assert done.returncode == 0 and "warning: the password is easy to guess" in done.stderr
    assert ctl.call("user", "passwd", "wolpertinger", stdin=PASSWORD).stderr == ""
    done = ctl.call("user", "passwd", "alice", stdin="12345678\n")
    assert (done.returncode, done.stderr) == (0, "")


def test_list_and_show_tell_what_is_verified(ctl, database):
    give(database, alice="alice@example.org")
    alice, bob, _ = ctl.json("user", "list")
    assert (alice["email"], alice["email_verified_at"]) == ("alice@example.org", None)
    assert (bob["email"], bob["email_verified_at"]) == (None, None)
    assert "alice@example.org (not verified)" in ctl.run("user", "list")
    assert "E-mail:         alice@example.org (not verified)" in ctl.run("user", "show", "alice")
    assert "E-mail" not in ctl.run("user", "show", "bob")


def test_addresses_are_taken_as_verified_one_a_domain_or_all(ctl, database):
    give(database, alice="alice@example.org", bob="bob@xn--mller-kva.example", dora="dora@sub.example.org")
    assert ctl.run("user", "verify", "ALICE") == "1 address is now verified.\n"
    assert ctl.run("user", "verify", "alice") == "0 addresses are now verified.\n"
    assert ctl.json("user", "verify", "--domain", "example.org", "--yes") == {"verified": 0}
    assert ctl.json("user", "verify", "--domain", "M\u00dcLLER.example", "--yes") == {"verified": 1}
    assert ctl.json("user", "verify", "--all", "--yes") == {"verified": 1}
    events = database.query(
        "SELECT username, detail ->> 'verified' FROM events WHERE name = 'user_email_changed' ORDER BY id"
    )
    assert events == [("alice", "true"), ("bob", "true"), ("dora", "true")]


def test_more_than_a_thousand_are_done_too(ctl, database):
    database.query(
        "INSERT INTO users (username, password, email) SELECT 'u' || n, '!', 'u' || n || '@example.org'"
        " FROM generate_series(1, 2500) n"
    )
    assert ctl.json("user", "verify", "--all", "--yes") == {"verified": 2500}
    assert database.value("SELECT count(*) FROM users WHERE email_verified_at IS NOT NULL") == 2500


@pytest.mark.parametrize("answer, is_done", [("y", True), ("n", False), ("", False)])
def test_many_are_asked_about_first(ctl, database, closing, answer, is_done):
    give(database, alice="alice@example.org", bob="bob@example.org")
    terminal = closing.add(Terminal(ctl.command("user", "verify", "--all"), 80))
    terminal.wait_for("Take 2 addresses as verified, such as")
    terminal.type(answer + "\n")
    terminal.read_all()
    assert terminal.process.wait(PATIENCE) == (0 if is_done else 1)
    assert database.value("SELECT count(*) FROM users WHERE email_verified_at IS NOT NULL") == (2 if is_done else 0)


def test_where_nobody_can_be_asked_nothing_is_done(ctl, database):
    give(database, alice="alice@example.org")
    assert "--yes" in ctl.refused("user", "verify", "--all")
    assert "no address" in ctl.refused("user", "verify", "bob")
    assert "no such account" in ctl.refused("user", "verify", "nobody")
    assert "there cannot be a domain" in ctl.refused("user", "verify", "--domain", "x y", "--yes")
    for words in ([], ["--yes"], ["alice", "--all"], ["--all", "--domain", "example.org"]):
        assert ctl.call("user", "verify", *words).returncode == 64
    assert database.value("SELECT count(*) FROM users WHERE email_verified_at IS NOT NULL") == 0


# ---- Invitations -----------------------------------------------------------------------------------------------------

INVITING = ["-o", "accounts.signup=invite"]
MAIL = [*INVITING, "-o", "mail.server=smtp://127.0.0.1:9", "-o", "mail.from=site@example.org", "-o", "mail.site_url=https://example.org"]


def test_who_is_invited_has_no_password_and_a_mail_is_queued(ctl, database, daemon):
    told = ctl.json(*MAIL, "-o", "accounts.invite_lifetime=2d", "user", "add", "erin", "--email", "erin@example.org", "--invite")
    assert (told["email"], told["invited"]) == ("erin@example.org", True)
    assert ctl.json("user", "show", "erin")["email_verified_at"] is None
    mail, = database.query("SELECT module, kind, user_id, recipient, purpose, lifetime_ms, path, state FROM mails")
    assert mail == ("session", "invite", told["id"], "erin@example.org", "invite", 2 * 86400_000, "/invite", "queued")
    for password in ("", "!", "erin"):
        assert login(daemon, "erin", password).status == 401
    assert "erin@example.org" in ctl.run(*MAIL, "user", "add", "fay", "--email", "fay@example.org", "--invite").replace(
        "fay@", "erin@"
    )


def test_another_invitation_is_mailed_while_there_is_no_password(ctl, database, daemon):
    words = [*MAIL, *INVITING]
    ctl.run(*words, "user", "add", "erin", "--email", "erin@example.org", "--invite")
    assert ctl.json("user", "show", "erin")["invited"] is True
    assert "none yet" in ctl.run("user", "show", "erin")
    told = ctl.json(*words, "user", "invite", "erin")
    assert told == {"id": told["id"], "username": "erin", "email": "erin@example.org"}
    queued = database.query("SELECT kind, purpose, recipient FROM mails WHERE user_id = %s" % told["id"])
    assert queued == [("invite", "invite", "erin@example.org")] * 2
    assert database.value("SELECT count(*) FROM events WHERE name = 'user_invited' AND username = 'erin'") == 1
    assert "has a password" in ctl.refused(*words, "user", "invite", "alice") or "no address" in ctl.refused(
        *words, "user", "invite", "alice"
    )
    assert "mail.server" in ctl.refused("user", "invite", "erin")
    ctl.run("user", "disable", "erin")
    assert "disabled" in ctl.refused(*words, "user", "invite", "erin")
    assert ctl.json("user", "show", "alice")["invited"] is False


def test_invitation_that_cannot_be_is_refused_with_why(ctl, database):
    assert "mail.server is not set" in ctl.refused("user", "add", "erin", "--email", "erin@example.org", "--invite")
    assert "--email" in ctl.refused(*MAIL, "user", "add", "erin", "--invite")
    closed = [*MAIL, "-o", "accounts.signup=closed"]
    assert "accounts.signup" in ctl.refused(*closed, "user", "add", "erin", "--email", "erin@example.org", "--invite")
    assert "accounts.email" in ctl.refused("-o", "accounts.email=required", "user", "add", "erin", stdin=PASSWORD)
    database.query("UPDATE users SET email = 'erin@example.org', email_verified_at = now() WHERE username = 'alice'")
    assert "alice" in ctl.refused(*MAIL, "user", "add", "erin", "--email", "Erin@example.org", "--invite")
    assert database.value("SELECT count(*) FROM mails") == 0
    assert database.value("SELECT count(*) FROM users") == 3


def test_invitation_arrives_with_link_and_code(database, new_daemon, closing):
    smtp = closing.add(SmtpServer())
    new_daemon(smtp.settings()).start()
    words = INVITING + [word for key, value in smtp.settings().items() for word in ("-o", f"{key}={value}")]
    ctl = Ctl(database.owner_conninfo)
    ctl.run(*words, "user", "add", "erin", "--email", "erin@example.net", "--invite")
    (mail,) = smtp.await_mails()
    assert mail.recipients == ["erin@example.net"]
    assert f"https://www.example.org/session/invite?token={mail.token}" in mail.text
    assert "erin" in mail.text and mail.code in mail.text

"""Mail by the servers that sites have."""

import pytest

from support.mail_servers import OpenSmtpd, Postfix
from support.waiting import wait_until


@pytest.fixture(params=[Postfix, OpenSmtpd])
def server(request, closing):
    return closing.add(request.param())


@pytest.fixture
def postfix(closing):
    return closing.add(Postfix())


def states(database):
    return [row[0] for row in database.query("SELECT state FROM mails ORDER BY id")]


def test_mails_arrive(new_host, server, verified):
    host = new_host(server)
    host.send(login="alice", purpose="reset", language="zh-Hans", count=20)
    wait_until(lambda: len(server.mails()) == 20, "twenty mails")
    wait_until(lambda: states(verified) == ["sent"] * 20, "that to be written")
    mails = server.mails()
    assert len({mail["Message-ID"] for mail in mails}) == 20
    for mail in mails:
        assert not mail.defects and mail["Auto-Submitted"] == "auto-generated"
        assert "token=" in mail.get_body(("plain",)).get_content()


def test_recipient_that_a_server_does_not_know_is_dead_at_once(new_host, postfix, verified):
    host = new_host(postfix)
    host.send(to="nobody@example.net")
    host.send(to="somebody@elsewhere.example")
    host.send(login="bob")
    wait_until(lambda: len(postfix.mails()) == 1, "the mail to bob")
    line = host.daemon.await_line("mail_dead", "RCPT: 550 5.1.1", "User unknown")
    assert "nobody@" not in line
    host.daemon.await_line("mail_dead", "RCPT: 554 5.7.1", "domain=elsewhere.example")
    assert states(verified) == ["dead", "dead", "sent"]


def test_wrong_password_is_told_by_the_test_and_costs_no_mail(new_host, postfix, verified, ctl):
    ctl.settings.update(postfix.settings())
    said = ctl.run("mail", "test", "alice@example.net")
    assert "> STARTTLS\n" in said and "> AUTH ...\n" in said and "< 235 2.7.0" in said
    assert said.endswith("Sent to alice@example.net.\n")
    (postfix.folder / "password").write_text("wrong\n")
    done = ctl.call("mail", "test", "alice@example.net")
    assert done.returncode == 1 and "AUTH: 535 5.7.8" in done.stderr and "wrong" not in done.stdout + done.stderr


def test_address_that_is_not_ascii_is_taken(new_host, postfix, verified):
    host = new_host(postfix)
    host.send(to="jörg@example.net")
    # Postfix offers SMTPUTF8, and knows nobody of that name.
    host.daemon.await_line("mail_dead", "550 5.1.1")

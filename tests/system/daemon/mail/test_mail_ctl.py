"""onesessionctl mail, options of [mail], metrics: what operators see and do."""

import re

import pytest

from support.openmetrics import families, samples
from support.programs import Ctl
from support.status import metrics_of
from support.waiting import UUID, wait_until


def await_states(database, *states):
    wait_until(
        lambda: [row[0] for row in database.query("SELECT state FROM mails ORDER BY id")] == list(states), f"mails that are {states}"
    )


def test_list_and_show_tell_all_but_secrets(new_host, new_smtp, verified, ctl):
    smtp = new_smtp(faults={"RCPT": lambda session: "554 5.7.1 no" if "bob" in smtp.lines[-1][1] else None})
    assert "No mails." in ctl.run("mail", "list")
    host = new_host(smtp)
    host.send(login="alice", purpose="reset", language="de", values={"shown": "yes"})
    host.send(login="bob", purpose="reset", values={"shown": "yes"})
    await_states(verified, "sent", "dead")
    dead, sent = ctl.json("mail", "list")
    assert (sent["id"], sent["state"], sent["kind"], sent["module"]) == (1, "sent", "reset", "mailer")
    assert (sent["username"], sent["address"], sent["language"]) == ("alice", "alice@example.net", "de")
    assert sent["values"] is None and sent["problem"] == "" and sent["next_at"] is None and UUID.fullmatch(sent["message_id"])
    assert (dead["state"], dead["problem"], dead["attempts"]) == ("dead", "RCPT: 554 5.7.1 no", 1)
    assert ctl.json("mail", "show", 2) == dead
    assert dead["values"] == {"shown": "yes"}
    table = ctl.run("mail", "list")
    assert re.search(r"^ *2 +dead +mailer\.reset +bob +bob@example\.net .*554 5\.7\.1 no", table, re.M)
    assert [mail["id"] for mail in ctl.json("mail", "list", "--state", "dead")] == [2]
    assert [mail["id"] for mail in ctl.json("mail", "list", "--user", "alice")] == [1]
    assert [mail["id"] for mail in ctl.json("mail", "list", "--last", 1)] == [2]
    assert "--last" in ctl.run("mail", "list", "--last", 1)
    shown = ctl.run("mail", "show", 2)
    assert "Account: bob" in shown and "Problem: RCPT: 554 5.7.1 no" in shown and '"shown"' in shown
    everything = shown + table + ctl.run("mail", "show", 1) + ctl.run("--json", "mail", "list")
    (mail,) = smtp.mails
    assert mail.token not in everything and mail.code not in everything


def test_retry_sends_what_was_given_up(new_host, new_smtp, verified, ctl):
    smtp = new_smtp(faults={"RCPT": "554 no"})
    host = new_host(smtp)
    host.send(login="alice", purpose="reset", count=3)
    await_states(verified, "dead", "dead", "dead")
    smtp.faults.clear()
    assert ctl.json("mail", "retry", 2) == {"queued": 1}
    await_states(verified, "dead", "sent", "dead")
    assert "2 mails will be sent again." in ctl.run("mail", "retry", "--dead")
    # The first is older than one that was sent: nobody has use for it any more.
    wait_until(lambda: len(smtp.mails) == 2, "the third one")
    wait_until(lambda: verified.query("SELECT id, state FROM mails ORDER BY id") == [(2, "sent"), (3, "sent")], "the first to be gone")
    assert "no mail that could be sent again: 2" in ctl.refused("mail", "retry", 2)


def test_drop_deletes_what_is_not_being_sent(new_host, new_smtp, verified, ctl):
    smtp = new_smtp(faults={"RCPT": "451 later"})
    host = new_host(smtp)
    host.send(login="alice")
    host.daemon.await_line("mail_deferred")
    assert ctl.json("mail", "drop", 1) == {"dropped": 1}
    assert verified.value("SELECT count(*) FROM mails") == 0
    smtp.faults.clear()
    smtp.delay = 3
    host.send(login="bob")
    wait_until(lambda: verified.value("SELECT count(*) FROM mails WHERE claim <> ''") == 1, "it to be under way")
    assert "being sent" in ctl.refused("mail", "drop", 2)
    assert ctl.json("mail", "show", 2)["is_being_sent"] is True
    smtp.await_mails()


@pytest.mark.parametrize("command", ["show", "drop", "retry"])
@pytest.mark.parametrize("wrong", ["7", "0", "x", "1e3", "99999999999999999999"])
def test_mail_that_there_is_not_is_told_in_one_line(ctl, command, wrong):
    assert wrong in ctl.refused("mail", command, wrong)


def test_states_and_names_that_there_are_not_are_told(ctl):
    assert "no such state: gone" in ctl.refused("mail", "list", "--state", "gone")
    assert "nobody" in ctl.refused("mail", "list", "--user", "nobody")


def test_test_shows_what_was_said(new_smtp, ctl):
    smtp = new_smtp()
    ctl.settings.update(smtp.settings())
    said = ctl.run("mail", "test", "Jo@Example.NET")
    assert "> RCPT TO:<Jo@example.net>" in said and "< 250 taken" in said and "Sent to Jo@example.net." in said
    (mail,) = smtp.mails
    assert "A test of onesession" in mail.message["Subject"] and "https://www.example.org" in mail.raw.decode()
    smtp.faults["RCPT"] = "550 5.1.1 nobody here"
    done = ctl.call("mail", "test", "jo@example.net")
    assert done.returncode == 1 and done.stderr.endswith("RCPT: 550 5.1.1 nobody here\n") and "Sent" not in done.stdout
    told = ctl.call("--json", "mail", "test", "no address")
    assert told.returncode == 1 and told.stderr.count("\n") == 1
    # It needs no database.
    smtp.faults.clear()
    elsewhere = Ctl("host=/nonexistent", **smtp.settings())
    assert elsewhere.json("mail", "test", "jo@example.net")["sent_to"] == "jo@example.net"


def test_metrics_count_mails_and_tell_how_long_they_wait(new_host, new_smtp, verified):
    smtp = new_smtp(faults={"RCPT": lambda session: "554 no" if "bob" in smtp.lines[-1][1] else None})
    host = new_host(smtp, per_recipient="1/h")
    for _ in range(2):
        host.send(login="alice")
    host.send(login="bob")
    verified.query(
        "INSERT INTO mails (module, kind, recipient, created_at, next_at)"
        " VALUES ('mailer', 'reset', 'x@example.net', now() - interval '1 hour', now() + interval '1 hour')"
    )

    def found():
        text = metrics_of(host.daemon)
        assert families(text)
        return samples(text)

    def counts():
        return {result: found()["onesession_mails_total", ("result", result)] for result in ("sent", "deferred", "dead", "limited")}

    wait_until(lambda: counts() == {"sent": 1, "deferred": 0, "dead": 1, "limited": 1}, "the counts")
    wait_until(lambda: found()[("onesession_mails_queued",)] == 1, "the queue")
    assert 3590 < found()[("onesession_mails_oldest_seconds",)] < 3700
    assert found()[("onesession_mail_server_is_away",)] == 0


# ---- Options ---------------------------------------------------------------------------------------------------------

COMPLETE = {"mail.server": "smtp://mail.example.org", "mail.from": "a@example.org", "mail.site_url": "https://www.example.org"}


@pytest.mark.parametrize(
    "key, wrong, right",
    [
        ("server", "mail.example.org", "smtp://HOST"),
        ("server", "smtp://", "smtp://HOST"),
        ("server", "smtp://h/", "smtp://HOST"),
        ("server", "smtp://h:0", "smtp://HOST"),
        ("server", "smtp://h:65536", "smtp://HOST"),
        ("server", "smtp://user@h", "mail.user"),
        ("server", "smtp://user:word@h", "mail.user"),
        ("server", "http://h", "smtp://HOST"),
        ("server", "sendmail:usr/sbin/sendmail", "absolute path"),
        ("from", "nobody", "an address"),
        ("from", "a@b@c", "an address"),
        ("from", "Example <a@example.org> x", "an address"),
        ("from", "a@example.org>", "an address"),
        ("site_url", "www.example.org", "https://HOST"),
        ("site_url", "https://www.example.org/", "https://HOST"),
        ("site_url", "https://www.example.org/x", "https://HOST"),
        ("site_url", "https://a@www.example.org", "https://HOST"),
        ("per_recipient", "5", "5/h"),
        ("per_recipient", "5/w", "5/h"),
        ("per_recipient", "0/h", "5/h"),
        ("per_recipient", "/h", "5/h"),
        ("tls", "yes", "auto"),
        ("timeout", "0", "1s"),
    ],
)
def test_option_that_is_wrong_is_refused_with_what_would_be_right(new_daemon, key, wrong, right):
    daemon = new_daemon({**COMPLETE, f"mail.{key}": wrong})
    daemon.start(wait=None)
    assert daemon.wait() == 78
    assert f"mail.{key}: " in daemon.log_text() and right in daemon.log_text()


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"mail.from": ""}, "mail.from: is missing"),
        ({"mail.site_url": ""}, "mail.site_url: is missing"),
        ({"mail.user": "x"}, "mail.password_file"),
        ({"mail.password_file": "/no/such"}, "mail.user"),
        ({"mail.user": "x", "mail.password_file": "/no/such"}, "mail.password_file: /no/such: No such file"),
        ({"mail.user": "x", "mail.password_file": "/dev/null"}, "is no password"),
        ({"mail.ca_file": "/no/such"}, "mail.ca_file: /no/such: No such file"),
    ],
)
def test_options_that_do_not_go_together_are_told(new_daemon, settings, told):
    daemon = new_daemon({**COMPLETE, **settings})
    daemon.start(daemon.command("-t"), wait=None)
    assert daemon.wait() == 78
    assert told in daemon.log_text()

"""Mails as rows: who gets one, what lets the person in, what is left of it."""

import json
import re

from support.waiting import Background, wait_until


def rows(database, columns, where="true"):
    return database.query(f"SELECT {columns} FROM mails WHERE {where} ORDER BY id")


def await_over(database):
    """Nothing waits any more."""
    wait_until(lambda: database.value("SELECT count(*) FROM mails WHERE state = 'queued'") == 0, "an empty queue")


def test_mail_is_sent_once_with_link_and_code_and_nothing_of_it_is_left(new_host, smtp, verified):
    host = new_host(smtp)
    host.send(login="Alice", purpose="reset", values={"secret": "of alice"})
    (mail,) = smtp.await_mails()
    assert mail.recipients == ["alice@example.net"] and mail.sender == "noreply@example.org"
    assert f"https://www.example.org/mailer/reset?token={mail.token}" in mail.text
    assert mail.code in mail.text and mail.code in mail.part("html") and mail.token in mail.part("html")
    host.daemon.secrets |= {mail.token, mail.code}
    line = host.daemon.await_line("mail_sent", "kind=reset", "user_id=1", "domain=example.net")
    assert "alice@" not in line
    await_over(verified)
    ((state, data, login, recipient, sent_to, problem, claim),) = rows(
        verified, "state, data, login, recipient, sent_to, problem, claim"
    )
    assert (state, data, login, recipient, sent_to, problem, claim) == ("sent", None, None, None, "alice@example.net", "", "")
    dump = str(verified.query("SELECT m.*::text, t.*::text FROM mails m, mail_tokens t"))
    assert mail.token not in dump and mail.code not in dump


def test_mail_of_a_transaction_that_is_rolled_back_is_not_sent(new_host, smtp, verified):
    host = new_host(smtp)
    assert host.post("send", login="alice", purpose="reset", fail=True).status == 500
    host.send(login="bob", purpose="reset")
    smtp.await_mails(to="bob@example.net")
    await_over(verified)
    assert len(smtp.mails) == 1


def test_who_is_not_known_gets_no_mail_and_leaves_no_row(new_host, smtp, verified):
    verified.query("UPDATE users SET email_verified_at = NULL WHERE username = 'bob'")
    verified.query("UPDATE users SET email = 'dora@example.net', email_verified_at = now() WHERE username = 'dora'")
    host = new_host(smtp)
    for login in ("nobody", "nobody@example.net", "bob", "bob@example.net", "dora", "x" * 5000, "", "a\tb"):
        assert host.post("send", login=login, purpose="reset").status == 200
    host.send(user_id=2)
    host.send(login=" ALICE@Example.NET ", purpose="reset")
    smtp.await_mails(to="alice@example.net")
    await_over(verified)
    assert len(smtp.mails) == 1
    assert rows(verified, "sent_to") == [("alice@example.net",)]
    assert verified.value("SELECT count(*) FROM mail_tokens") == 1


def test_mail_goes_to_an_address_that_is_given_with_its_domain_in_ascii(new_host, smtp, verified):
    host = new_host(smtp)
    host.send(to="Jörg.X@BÜCHER.example".replace("ö", "o"), kind="reset")
    (mail,) = smtp.await_mails()
    assert mail.recipients == ["Jorg.X@xn--bcher-kva.example"]
    assert host.post("send", to="no address").status == 422
    assert host.post("send", to="a@b.example\r\nBcc: x@y.example").status == 422


def test_mistakes_are_refused_and_logged(new_host, smtp):
    host = new_host(smtp)
    for wrong in (
        {"login": "a", "kind": "no_such"},
        {"login": "a", "kind": "../reset"},
        {"login": "a", "to": "a@example.net"},
        {},
        {"login": "a", "purpose": "reset", "lifetime_ms": "1"},
        {"login": "a", "purpose": "not one"},
        {"login": "a", "language": "no language"},
        {"login": "a", "values": ["no object"]},
        {"login": "a", "values": {"a": "x" * 70000}},
    ):
        assert host.post("send", **wrong).status in (500, 413), wrong
    assert len(host.daemon.lines_of("mail_fault")) == 8


def test_without_a_mail_server_nothing_is_written(new_host, new_daemon, database, closing):
    from support.smtp import MAILER

    daemon = new_daemon(modules=[MAILER]).start()
    answer = daemon.ask(method="POST", path="/mailer/send", body=b"login=alice")
    assert answer.status == 200
    assert rows(database, "id") == []
    assert json.loads(daemon.ask(path="/mailer/send").body) == {"can_mail": False}


# ---- Links and codes -------------------------------------------------------------------------------------------------


def sent(host, smtp, **fields):
    """Send one, and return it when it has arrived and that is written."""
    before = len(smtp.mails)
    host.send(**{"login": "alice", "purpose": "reset", **fields})
    mail = smtp.await_mails(before + 1)[-1]
    await_over(host.daemon.database)
    return mail


def test_link_is_looked_at_as_often_as_wanted_and_used_once(new_host, smtp, verified):
    host = new_host(smtp)
    mail = sent(host, smtp, values={"next": "/films"})
    for _ in range(3):
        answer = host.daemon.ask(path="/mailer/look", query=f"token={mail.token}")
        assert answer.status == 200
    found = json.loads(answer.body)
    assert (found["user_id"], found["recipient"], found["values"]) == (1, "alice@example.net", {"next": "/films"})
    assert host.post("look", token=mail.token, purpose="verify").status == 401
    assert host.post("use", token=mail.token, purpose="verify").status == 401
    assert host.post("use", token=mail.token).status == 200
    assert host.post("use", token=mail.token).status == 401
    assert host.post("use", login="alice", code=mail.code).status == 401
    for nonsense in ("", "x", "A" * 43, "A" * 44, "ä" * 43):
        assert host.post("look", token=nonsense).status == 401


def test_code_is_used_once_by_name_or_address_and_as_people_type_it(new_host, smtp, verified):
    host = new_host(smtp)
    for login in ("alice", "ALICE", "alice@EXAMPLE.net"):
        mail = sent(host, smtp)
        code = f" {mail.code[:4]} {mail.code[4:6]}-{mail.code[6:]}"
        assert host.post("look", login="bob", code=code).status == 401
        assert host.post("use", login=login, code=code).status == 200
        assert host.post("use", login=login, code=code).status == 401
        assert host.post("use", token=mail.token).status == 401


def test_newer_mail_makes_the_older_one_void_when_it_is_sent(new_host, smtp, verified):
    host = new_host(smtp)
    first = sent(host, smtp)
    other = sent(host, smtp, purpose="verify")
    second = sent(host, smtp)
    assert host.post("look", token=first.token).status == 401
    assert host.post("look", login="alice", code=first.code).status == 401
    assert host.post("look", token=other.token, purpose="verify").status == 200
    assert host.post("use", token=second.token).status == 200


def test_newer_mail_to_an_address_without_an_account_makes_the_older_one_void(new_host, smtp, verified):
    host = new_host(smtp)
    first = sent(host, smtp, login=None, to="new@example.net", purpose="verify")
    second = sent(host, smtp, login=None, to="New@example.net", purpose="verify")
    assert host.post("look", token=first.token, purpose="verify").status == 401
    assert host.post("use", login="new@example.net", code=second.code, purpose="verify").status == 200


def test_link_and_code_live_from_the_moment_of_sending(new_host, smtp, verified):
    host = new_host(smtp)
    mail = sent(host, smtp, lifetime_ms="60000")
    assert verified.value("SELECT expires_at - created_at = interval '1 minute' FROM mail_tokens") is True
    verified.query("UPDATE mail_tokens SET expires_at = now()")
    assert host.post("look", token=mail.token).status == 401
    assert host.post("use", token=mail.token).status == 401
    assert host.post("use", login="alice", code=mail.code).status == 401
    assert "1 minute" in mail.text or "one minute" in mail.text


def test_three_wrong_codes_void_the_code_and_not_the_link(new_host, smtp, verified):
    host = new_host(smtp)
    mail = sent(host, smtp)
    wrong = f"{(int(mail.code) + 1) % 10**8:08}"
    for _ in range(2):
        assert host.post("use", login="alice", code=wrong).status == 401
    assert host.post("look", login="alice", code=mail.code).status == 200
    assert host.post("use", login="alice", code=wrong).status == 401
    assert host.post("use", login="alice", code=mail.code).status == 401
    assert host.post("use", token=mail.token).status == 200


def test_an_account_has_ten_wrong_codes_in_a_day(new_host, smtp, verified):
    host = new_host(smtp)
    for _ in range(4):
        mail = sent(host, smtp)
        for login in ("alice", "alice@example.net", "Alice"):
            assert host.post("use", login=login, code="x").status == 401
    assert verified.query("SELECT subject, count FROM code_tries") == [("1", 10)]
    mail = sent(host, smtp)
    assert host.post("use", login="alice", code=mail.code).status == 401
    verified.query("UPDATE code_tries SET began_at = now() - interval '1 day'")
    assert host.post("use", login="alice", code=mail.code).status == 200


def test_of_a_hundred_tries_at_once_no_more_than_three_are_made(new_host, smtp, verified):
    host = new_host(smtp, {"server.workers": 6})
    mail = sent(host, smtp)
    wrong = [f"{(int(mail.code) + n) % 10**8:08}" for n in range(1, 100)]
    calls = [Background(host.post, "use", login="alice", code=code) for code in wrong]
    statuses = [call.result().status for call in calls]
    assert set(statuses) <= {401, 503}
    assert verified.value("SELECT code_tries FROM mail_tokens") == 3
    assert verified.value("SELECT count FROM code_tries") == 3


def test_link_that_is_used_many_times_at_once_is_used_once(new_host, smtp, verified):
    host = new_host(smtp, {"server.workers": 6})
    mail = sent(host, smtp)
    calls = [Background(host.post, "use", token=mail.token) for _ in range(20)]
    statuses = [call.result().status for call in calls]
    assert statuses.count(200) == 1 and set(statuses) == {200, 401}


def test_wrong_codes_of_unknown_names_leave_a_count_that_says_nothing_of_them(new_host, smtp, verified):
    host = new_host(smtp)
    for login in ("nobody", "nobody@example.net"):
        assert host.post("use", login=login, code="12345678").status == 401
    found = verified.query("SELECT subject, count FROM code_tries")
    # However many names are tried, there are some 65,000 rows for them.
    assert len(found) == 2 and all(re.fullmatch("[0-9a-f]{4}", subject) and count == 0 for subject, count in found)


def test_links_of_an_account_are_void_when_they_are_dropped_or_the_account_is_deleted(new_host, smtp, verified):
    host = new_host(smtp)
    mail = sent(host, smtp)
    other = sent(host, smtp, purpose="verify")
    assert host.post("drop", user_id="1", purpose="reset").status == 200
    assert host.post("look", token=mail.token).status == 401
    assert host.post("look", token=other.token, purpose="verify").status == 200
    assert host.post("drop", user_id="1").status == 200
    assert host.post("look", token=other.token, purpose="verify").status == 401
    mail = sent(host, smtp)
    verified.query("DELETE FROM users WHERE username = 'alice'")
    assert host.post("look", token=mail.token).status == 401
    assert rows(verified, "id") == []


def test_mail_that_an_operator_drops_leaves_no_link(new_host, smtp, verified, ctl):
    host = new_host(smtp)
    mail = sent(host, smtp)
    ctl.run("mail", "drop", str(verified.value("SELECT id FROM mails")))
    assert host.post("look", token=mail.token).status == 401


def test_mail_of_long_ago_is_not_sent_any_more(new_host, smtp, verified):
    verified.query(
        "INSERT INTO mails (module, kind, login, purpose, lifetime_ms, path, created_at, next_at, give_up_at)"
        " VALUES ('mailer', 'reset', 'alice', 'reset', 900000, '/use', now() - interval '90 days', now() - interval '90 days',"
        "         now() - interval '88 days')"
    )
    host = new_host(smtp)
    host.send(login="bob")
    smtp.await_mails(1, to="bob@example.net")
    await_over(verified)
    assert rows(verified, "state, problem", "kind = 'reset' AND created_at < now() - interval '1 day'") == [
        ("dead", "it was not sent in time")
    ]
    assert len(smtp.mails) == 1


# ---- Limits ----------------------------------------------------------------------------------------------------------


def test_past_per_recipient_nothing_is_sent_and_nothing_is_void(new_host, smtp, verified):
    host = new_host(smtp, per_recipient="3/h")
    host.send(login="alice", purpose="reset", count=8)
    host.send(login="bob", purpose="reset")
    smtp.await_mails(4)
    await_over(verified)
    assert sorted(mail.recipients[0] for mail in smtp.mails) == ["alice@example.net"] * 3 + ["bob@example.net"]
    assert sorted(rows(verified, "state", "user_id = 1")) == [("limited",)] * 5 + [("sent",)] * 3
    assert rows(verified, "data, login", "state = 'limited'") == [(None, None)] * 5
    newest = max((mail for mail in smtp.mails if "alice" in mail.recipients[0]), key=lambda mail: mail.at)
    assert sum(host.post("look", token=mail.token).status == 200 for mail in smtp.mails) >= 2
    assert host.post("use", token=newest.token).status in (200, 401)
    host.daemon.await_line("mail_limited", "user_id=1")
    # Of another kind it gets more: nobody can keep a notice from the owner by asking for something else.
    verified.query("UPDATE mails SET ended_at = now() - interval '61 minutes' WHERE state = 'sent'")
    host.send(login="alice", purpose="reset")
    smtp.await_mails(5)


def test_no_more_than_per_domain_are_sent_to_one_domain_in_a_minute(new_host, smtp, verified):
    host = new_host(smtp, per_domain=60)
    for at in range(3):
        host.send(to=f"a{at}@slow.example")
    host.send(to="b@other.example")
    smtp.await_mails(4)
    times = sorted(mail.at for mail in smtp.mails if mail.recipients[0].endswith("@slow.example"))
    assert times[1] - times[0] > 0.8 and times[2] - times[1] > 0.8
    (other,) = [mail.at for mail in smtp.mails if mail.recipients == ["b@other.example"]]
    assert other < times[1]


def test_mails_that_are_not_sent_use_up_no_turns_of_their_domain(new_host, smtp, verified):
    host = new_host(smtp, per_domain=1, per_recipient="1/h")
    host.send(login="alice", purpose="reset")
    smtp.await_mails(1)
    await_over(verified)
    free_at = verified.value("SELECT free_at FROM mail_domains")
    host.send(login="alice", purpose="reset", count=8)
    await_over(verified)
    assert verified.value("SELECT count(*) FROM mails WHERE state = 'limited'") == 8
    assert verified.value("SELECT free_at FROM mail_domains") == free_at


def test_purge_removes_old_mails_and_what_can_be_used_no_more(new_host, smtp, verified, ctl):
    host = new_host(smtp)
    sent(host, smtp)
    verified.query(
        "INSERT INTO mails (module, kind, login, state, ended_at) VALUES ('session', 'reset', 'x', 'dead', now() - interval '31 days'),"
        " ('session', 'reset', 'x', 'dead', now() - interval '29 days');"
        " INSERT INTO mails (module, kind, login, created_at, next_at)"
        " VALUES ('session', 'reset', 'x', now() - interval '40 days', now() + interval '1 day');"
        " INSERT INTO code_tries VALUES ('1', 3, now() - interval '25 hours'), ('2', 3, now());"
        " UPDATE mail_tokens SET expires_at = now() - interval '1 second'"
    )
    purged = ctl.json("purge")
    assert (purged["mails"], purged["mail_tokens"], purged["code_tries"]) == (1, 1, 1)
    assert verified.value("SELECT count(*) FROM mails") == 3

"""What a mail server does wrong, and what becomes of the mails."""

import os
import signal
import threading
import time

import pytest

from support.services import make_certificate, tls_context
from support.site import CONFLICTS
from support.smtp import CUT, SILENCE, STEPS, TAKEN_CUT, TAKEN_SILENCE, SmtpServer
from support.waiting import wait_until

# Up to MAIL it is the server that cannot be used; after it, the mail.
OF_SERVER, OF_MAIL = ("CONNECT", "EHLO", "MAIL"), ("RCPT", "DATA", "BODY")


def mails(database):
    """(state, attempts, problem) of each."""
    return database.query("SELECT state, attempts, problem FROM mails ORDER BY id")


def next_in(database):
    return database.value("SELECT extract(epoch FROM next_at - now())::float FROM mails ORDER BY id LIMIT 1")


def due_now(database):
    """As if the pause were over."""
    database.query("UPDATE mails SET next_at = now() WHERE state = 'queued' AND claim = ''")


def await_sent(database, count=1):
    wait_until(lambda: database.value("SELECT count(*) FROM mails WHERE state = 'sent'") == count, f"{count} sent mails")


@pytest.mark.parametrize("step", OF_MAIL)
@pytest.mark.parametrize("fault", ["451 4.3.0 try later", CUT])
def test_mail_that_is_refused_for_now_is_sent_later(new_host, new_smtp, verified, step, fault):
    smtp = new_smtp(faults={step: fault})
    host = new_host(smtp)
    host.send(login="alice", purpose="reset")
    # A server that has the whole mail may have taken it.
    is_known = (step, fault) != ("BODY", CUT)
    line = host.daemon.await_line("mail_deferred" if is_known else "mail_unconfirmed")
    assert "alice@" not in line and ("the message" if step == "BODY" else step) in line
    ((state, attempts, problem),) = mails(verified)
    assert (state, attempts) == ("queued", 1)
    assert fault == CUT or "451 4.3.0 try later" in problem
    assert 20 < next_in(verified) < 31
    assert verified.value("SELECT count(*) FROM mail_tokens") == (0 if is_known else 1)
    due_now(verified)
    wait_until(lambda: mails(verified)[0][1] == 2, "a second try")
    wait_until(lambda: next_in(verified) < 61, "it to end")
    assert 50 < next_in(verified) < 61 or mails(verified)[0][1] == 2
    smtp.faults.clear()
    wait_until(lambda: due_now(verified) or smtp.mails, "a third try")
    await_sent(verified)
    assert len(smtp.mails) == 1


@pytest.mark.parametrize("step", OF_MAIL)
def test_mail_that_is_refused_for_good_is_dead_at_once_and_holds_nothing_up(new_host, new_smtp, verified, step):
    bad = "554 5.7.1 <alice@example.net>: not here"
    smtp = new_smtp(faults={step: lambda session: bad if session.recipients[-1:] == ["alice@example.net"] or step == "RCPT" and "alice" in smtp.lines[-1][1] else None})
    host = new_host(smtp)
    host.send(login="alice", purpose="reset")
    host.send(login="bob", purpose="reset")
    line = host.daemon.await_line("mail_dead", "user_id=1", "554 5.7.1")
    assert "alice@" not in line
    smtp.await_mails(to="bob@example.net")
    wait_until(lambda: [state for state, _, _ in mails(verified)] == ["dead", "sent"], "both to be over")
    assert verified.value("SELECT count(*) FROM mail_tokens WHERE user_id = 1") == 0
    assert not host.daemon.lines_of("mail_server_failed")


@pytest.mark.parametrize("step", OF_SERVER)
@pytest.mark.parametrize("fault", ["421 not now", "554 5.7.1 go away", CUT, SILENCE])
def test_server_that_cannot_be_used_costs_no_mail_and_is_not_hammered(new_host, new_smtp, verified, step, fault):
    smtp = new_smtp(faults={step: fault})
    host = new_host(smtp, timeout="2s")
    host.send(login="alice", count=30)
    host.daemon.await_line("mail_server_failed")
    wait_until(lambda: len(host.daemon.lines_of("mail_server_failed")) == 2, "a second try")
    assert verified.query("SELECT DISTINCT state, attempts FROM mails WHERE claim = ''") == [("queued", 0)]
    # Up to four were under way at first; a try is a connection, or two where EHLO is answered by HELO.
    assert len(smtp.connections) <= 4 + 2
    assert "alice@" not in " ".join(host.daemon.lines_of("mail_server_failed"))
    smtp.faults.clear()
    host.daemon.await_line("mail_server_back")
    await_sent(verified, 30)


def test_server_that_is_not_there_is_asked_after_growing_pauses(new_host, new_smtp, verified):
    smtp = new_smtp()
    smtp.close()
    host = new_host(smtp)
    host.send(login="alice", count=50)
    wait_until(lambda: len(host.daemon.lines_of("mail_server_failed")) == 3, "three tries")
    pauses = [int(line.partition("again_in_ms=")[2].split()[0]) for line in host.daemon.lines_of("mail_server_failed")]
    assert pauses == [2000, 4000, 8000]
    assert {state for state, _, _ in mails(verified)} == {"queued"}
    back = new_smtp(port=smtp.port)
    await_sent(verified, 50)
    assert len(back.mails) == 50 and len(back.connections) <= 4


def test_mail_that_waits_for_two_days_is_given_up(new_host, new_smtp, verified):
    smtp = new_smtp(faults={"RCPT": "451 later"})
    host = new_host(smtp)
    host.send(login="alice")
    host.daemon.await_line("mail_deferred")
    verified.query("UPDATE mails SET give_up_at = now() - interval '1 second', next_at = now()")
    host.daemon.await_line("mail_dead", "451 later")
    assert mails(verified)[0][0] == "dead"
    assert verified.value("SELECT give_up_at - created_at FROM mails") is not None


def test_mails_that_wait_for_a_server_for_two_days_are_given_up(new_host, new_smtp, verified):
    smtp = new_smtp(faults={"CONNECT": "421 not now"})
    host = new_host(smtp)
    host.send(login="alice", count=5)
    host.daemon.await_line("mail_server_failed")
    verified.query("UPDATE mails SET give_up_at = now() - interval '1 second'")
    wait_until(lambda: {state for state, _, _ in mails(verified)} == {"dead"}, "all of them to be dead")
    assert "421 not now" in mails(verified)[0][2]


@pytest.mark.parametrize("fault", [TAKEN_CUT, TAKEN_SILENCE])
def test_mail_that_may_have_arrived_is_sent_again_as_the_same_one(new_host, new_smtp, verified, fault):
    """Both links let in, for nobody knows which of the two has arrived; using one voids the other."""
    smtp = new_smtp(faults={"BODY": fault})
    host = new_host(smtp, timeout="2s")
    host.send(login="alice", purpose="reset")
    host.daemon.await_line("mail_unconfirmed")
    smtp.faults.clear()
    due_now(verified)
    await_sent(verified)
    first, second = smtp.mails
    assert first.id == second.id and first.token != second.token
    assert host.post("look", token=first.token).status == 200
    assert host.post("look", login="alice", code=first.code).status == 200
    assert host.post("use", token=second.token).status == 200
    assert host.post("look", token=first.token).status == 401


def test_mail_whose_link_was_used_is_not_sent_again(new_host, new_smtp, verified):
    smtp = new_smtp(faults={"BODY": TAKEN_CUT})
    host = new_host(smtp)
    host.send(login="alice", purpose="reset")
    host.daemon.await_line("mail_unconfirmed")
    (mail,) = smtp.mails
    assert host.post("use", token=mail.token).status == 200
    assert mails(verified)[0][0] == "sent"


def test_silence_after_a_recipient_holds_up_neither_others_nor_the_mail_for_long(new_host, new_smtp, verified):
    def fault(session):
        return SILENCE if "slow" in smtp.lines[-1][1] and session else None

    smtp = new_smtp(faults={"RCPT": fault})
    host = new_host(smtp, timeout="6s")
    began = time.monotonic()
    host.send(to="slow@example.net")
    host.send(login="alice", count=20)
    smtp.await_mails(20)
    assert time.monotonic() - began < 6 or len(host.daemon.lines_of("mail_deferred")) > 0
    host.daemon.await_line("mail_deferred", "domain=example.net")


def test_four_are_under_way_at_the_same_time_up_to_the_last_answer(new_host, smtp, verified):
    """None of them is answered before the others are there."""
    smtp.together = threading.Barrier(4, timeout=20)
    host = new_host(smtp, timeout="60s")
    host.send(login="alice", count=8)
    await_sent(verified, 8)
    assert not smtp.together.broken and not host.daemon.lines_of("mail_deferred")


def test_many_mails_go_over_few_connections(new_host, smtp, verified):
    host = new_host(smtp)
    host.send(login="alice", count=100)
    smtp.await_mails(100)
    assert len(smtp.connections) <= 4


def test_connection_that_the_server_has_closed_meanwhile_is_no_failure(new_host, smtp, verified):
    host = new_host(smtp)
    host.send(login="alice")
    await_sent(verified)
    for connection in list(smtp.open):
        connection.shutdown(2)
    host.send(login="alice")
    await_sent(verified, 2)
    assert not host.daemon.lines_of("mail_server_failed") and not host.daemon.lines_of("mail_deferred")


def test_slow_server_is_waited_for(new_host, smtp, verified):
    smtp.delay = 2
    host = new_host(smtp)
    host.send(login="alice", count=8)
    await_sent(verified, 8)
    assert len(smtp.mails) == 8 and not host.daemon.lines_of("mail_deferred")


# ---- TLS and AUTH ----------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path):
    return make_certificate(tmp_path)


@pytest.fixture
def password_file(tmp_path):
    path = tmp_path / "password"
    path.write_text("s3cret of the mail server\n")
    return path


def test_starttls_with_auth(new_host, new_smtp, verified, certificate, password_file):
    smtp = new_smtp(context=tls_context(*certificate), users={"onesession": "s3cret of the mail server"})
    host = new_host(smtp, tls="required", ca_file=certificate[1], user="onesession", password_file=password_file)
    host.daemon.secrets.add("s3cret of the mail server")
    host.send(login="alice")
    (mail,) = smtp.await_mails()
    assert mail.is_by_tls and mail.user == "onesession"


def test_tls_from_the_start(new_host, new_smtp, verified, certificate):
    smtp = new_smtp(context=tls_context(*certificate), tls_from_start=True)
    host = new_host(smtp, ca_file=certificate[1])
    host.send(login="alice")
    (mail,) = smtp.await_mails()
    assert mail.is_by_tls


def test_certificate_that_is_not_right_is_not_taken(new_host, new_smtp, verified, certificate, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    smtp = new_smtp(context=tls_context(*certificate))
    for ca_file in (make_certificate(other)[1], ""):
        host = new_host(smtp, tls="required", ca_file=ca_file)
        host.send(login="alice")
        host.daemon.await_line("mail_server_failed", "certificate")
        host.daemon.stop()
    named = make_certificate(other, "elsewhere.example")
    smtp = new_smtp(context=tls_context(*named))
    host = new_host(smtp, tls="opportunistic", ca_file=named[1])
    host.daemon.await_line("mail_server_failed")
    assert {state for state, _, _ in mails(verified)} == {"queued"}
    assert smtp.mails == []


def test_starttls_that_is_missing_is_asked_for_or_not(new_host, new_smtp, verified, certificate):
    smtp = new_smtp(context=tls_context(*certificate))
    smtp.offers_starttls = False
    host = new_host(smtp, tls="required", ca_file=certificate[1])
    host.send(login="alice")
    host.daemon.await_line("mail_server_failed", "STARTTLS")
    assert smtp.mails == []
    host.daemon.stop()
    new_host(smtp, tls="opportunistic", ca_file=certificate[1])
    (mail,) = smtp.await_mails()
    assert not mail.is_by_tls


def test_server_on_this_machine_needs_no_tls(new_host, new_smtp, verified, certificate):
    smtp = new_smtp(context=tls_context(*certificate))
    host = new_host(smtp)
    host.send(login="alice")
    (mail,) = smtp.await_mails()
    assert not mail.is_by_tls


def test_wrong_password_costs_no_mail(new_host, new_smtp, verified, certificate, password_file):
    smtp = new_smtp(context=tls_context(*certificate), users={"onesession": "another one"})
    host = new_host(smtp, tls="required", ca_file=certificate[1], user="onesession", password_file=password_file)
    host.daemon.secrets.add("s3cret of the mail server")
    host.send(login="alice", count=5)
    host.daemon.await_line("mail_server_failed", "AUTH", "535 5.7.8")
    assert {state for state, _, _ in mails(verified)} == {"queued"}
    smtp.users["onesession"] = "s3cret of the mail server"
    await_sent(verified, 5)


def test_steps_are_those_that_are_broken_here():
    assert set(OF_SERVER) | set(OF_MAIL) | {"STARTTLS", "AUTH"} == set(STEPS)
    assert SmtpServer


# ---- The end of a process --------------------------------------------------------------------------------------------


def test_stop_and_reload_finish_the_mail_under_way(new_host, smtp, verified):
    smtp.delay = 1
    host = new_host(smtp)
    host.send(login="alice", count=3)
    wait_until(lambda: verified.value("SELECT count(*) FROM mails WHERE claim <> ''") == 3, "mails under way")
    host.daemon.stop()
    assert len(smtp.mails) == 3
    assert [state for state, _, _ in mails(verified)] == ["sent"] * 3
    assert not host.daemon.lines_of("job_failed")


def test_reload_sends_on(new_host, smtp, verified):
    host = new_host(smtp)
    host.send(login="alice", count=300)
    smtp.await_mails(20)
    host.daemon.send_signal(signal.SIGHUP)
    host.daemon.await_line("reloaded")
    await_sent(verified, 300)
    assert len({mail.id for mail in smtp.mails}) == len(smtp.mails) == 300


def test_database_that_goes_away_costs_no_mail_and_repeats_none(new_host, smtp, cluster, verified):
    smtp.delay = 0.5
    host = new_host(smtp, timeout="30s")
    host.send(login="alice", count=12)
    smtp.await_mails(2)
    verified.close()
    cluster.stop()
    host.daemon.await_line("mail_waiting")
    cluster.start()
    await_sent(verified, 12)
    assert len({mail.id for mail in smtp.mails}) == len(smtp.mails) == 12


def test_domain_whose_server_takes_long_holds_up_no_other(new_host, smtp, verified):
    """A relay that looks for each recipient before it answers."""
    go_on = threading.Event()

    def look_for_recipient(session):
        if "@slow.example" in [line for number, line in smtp.lines if number == session.number][-1]:
            go_on.wait(120)

    smtp.faults["RCPT"] = look_for_recipient
    host = new_host(smtp)
    for at in range(10):
        host.send(to=f"a{at}@slow.example")
    wait_until(lambda: sum("@slow.example" in line for _, line in smtp.lines) == 3, "as many as may be to be under way")
    host.send(login="bob")
    smtp.await_mails(1, to="bob@example.net")
    assert len(smtp.mails) == 1
    go_on.set()
    await_sent(verified, 11)


def test_mail_that_could_not_be_begun_is_not_sent(new_host, smtp, verified):
    host = new_host(smtp, per_domain=600)
    role = verified.cluster.DAEMON
    verified.query(f"REVOKE INSERT ON mail_domains FROM {role}")
    host.send(login="alice")
    host.daemon.await_line("database_error", "mail_domains")
    assert verified.value("SELECT count(*) FROM mail_tokens") == 0 and not smtp.mails
    verified.query(f"GRANT INSERT ON mail_domains TO {role}")
    verified.query("UPDATE mails SET next_at = now()")
    await_sent(verified)
    assert len(smtp.mails) == 1


def test_result_that_a_deadlock_has_undone_is_written_again(new_host, smtp, verified):
    verified.query(CONFLICTS)
    verified.query(
        """
        CREATE FUNCTION is_undone() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM conflict_before(3); RETURN NEW; END $$;
        CREATE TRIGGER is_undone BEFORE UPDATE ON mails FOR EACH ROW WHEN (NEW.state = 'sent') EXECUTE FUNCTION is_undone();
        """
    )
    host = new_host(smtp)
    host.send(login="alice")
    await_sent(verified)
    assert verified.value("SELECT last_value FROM conflicts") >= 3 and len(smtp.mails) == 1


def memory_of(pid):
    """What of it can be written to."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            area, rights = line.split()[:2]
            begin, end = (int(bound, 16) for bound in area.split("-"))
            # The shadow of a sanitizer is larger than any machine.
            if rights.startswith("rw") and end - begin < 1 << 30:
                memory.seek(begin)
                yield memory.read(end - begin)


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root")
def test_password_of_the_mail_server_is_not_where_modules_run(new_host, new_smtp, verified, certificate, password_file):
    smtp = new_smtp(context=tls_context(*certificate), users={"onesession": "s3cret of the mail server"})
    host = new_host(smtp, tls="required", ca_file=certificate[1], user="onesession", password_file=password_file)
    host.send(login="alice")
    smtp.await_mails()
    for pid in [host.daemon.process.pid, *host.daemon.workers]:
        assert not any(b"s3cret of the mail" in area for area in memory_of(pid)), pid

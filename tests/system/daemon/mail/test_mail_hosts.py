"""Several hosts that send the mails of one database, and processes that are killed while they do."""

import collections
import os
import random
import signal

import pytest

from support.processes import children_of, name_of
from support.tasks import jobs_process
from support.waiting import wait_until


def sender_of(daemon):
    """The process that sends; None while there is none."""
    parent = jobs_process(daemon)
    return next((pid for pid in children_of(parent) if name_of(pid) == "ones-job-mail"), None) if parent else None


def repeats_of(smtp):
    """How often each mail was taken, beyond once."""
    return {id: count - 1 for id, count in collections.Counter(mail.id for mail in smtp.mails).items() if count > 1}


def write(host, count):
    """Mails to so many addresses."""
    host.daemon.database.query(
        "INSERT INTO mails (module, kind, recipient, language, data) SELECT 'mailer', 'reset', 'a' || n || '@example.net', '', '{}'"
        " FROM generate_series(1, %s) n",
        count,
    )


def test_two_hosts_send_each_mail_once(new_host, smtp, verified):
    hosts = [new_host(smtp) for _ in range(2)]
    write(hosts[0], 1000)
    smtp.await_mails(1000)
    wait_until(lambda: verified.value("SELECT count(*) FROM mails WHERE state = 'sent'") == 1000, "all of them to be recorded")
    assert repeats_of(smtp) == {} and len(smtp.mails) == 1000
    assert all(host.daemon.lines_of("mail_sent") for host in hosts)


@pytest.mark.slow
@pytest.mark.parametrize("count", [int(os.environ.get("ONESESSION_MAILS", "1000"))])
def test_no_mail_is_lost_by_kills_and_only_those_under_way_are_repeated(new_host, smtp, verified, count):
    hosts = [new_host(smtp, timeout="2s") for _ in range(2)]
    write(hosts[0], count)
    kills = 0
    chance = random.Random(1)
    for share in range(1, 9):
        smtp.await_mails(count * share // 10)
        host = hosts[share % 2] if sender_of(hosts[share % 2].daemon) else hosts[(share + 1) % 2]
        pid = wait_until(lambda host=host: sender_of(host.daemon), "a process that sends")
        os.kill(pid, signal.SIGKILL if chance.random() < 0.7 else signal.SIGABRT)
        kills += 1
    # What was under way is another's when its claim has run out.
    wait_until(
        lambda: verified.value("SELECT count(*) FROM mails WHERE state = 'sent'") == count, "all to be sent", timeout=180
    )
    assert {mail.recipients[0] for mail in smtp.mails} == {f"a{n}@example.net" for n in range(1, count + 1)}
    repeats = repeats_of(smtp)
    assert sum(repeats.values()) <= 4 * kills
    by_address = collections.defaultdict(set)
    for mail in smtp.mails:
        by_address[mail.recipients[0]].add(mail.id)
    assert all(len(ids) == 1 for ids in by_address.values())
    print(f"{count} mails, {kills} kills: {sum(repeats.values())} came twice")

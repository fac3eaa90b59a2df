"""Several hosts that send the events of one database, and processes that are killed while they do."""

import collections
import os
import random
import signal
import time

import pytest

from support.waiting import wait_until
from support.webhooks import Receiver, add_accounts, add_webhook, are_in_order, process_of, state_of, write_events

# So many are under way, or taken and not written down yet, when a process is killed: those are sent once more.
UNDER_WAY = 128


@pytest.fixture
def receiver(closing):
    return closing.add(Receiver())


def repeats_of(receiver):
    return sum(collections.Counter(receiver.ids()).values()) - len(set(receiver.ids()))


def most_repeats(ctl, number, hosts):
    """What a machine that stands still for long may have sent twice: what has failed, or was taken over."""
    return state_of(ctl, number)["failed"] + UNDER_WAY * sum(len(host.lines_of("webhook_lost")) for host in hosts)


def test_two_hosts_send_each_event_once_and_in_order(new_daemon, ctl, database, receiver):
    add_accounts(database, 20)
    hosts = [new_daemon().start() for _ in range(2)]
    number, _ = add_webhook(ctl, receiver.url(), "user_login_failed")
    for first in range(1, 1001, 100):
        write_events(database, 100, 20, first)
    wait_until(lambda: state_of(ctl, number)["delivered"] == 1000, "all of them")
    assert len(set(receiver.ids())) == 1000 and repeats_of(receiver) <= most_repeats(ctl, number, hosts)
    assert are_in_order(receiver.messages)
    assert all(host.log_text() for host in hosts)


def test_host_that_stops_hands_over_at_once(new_daemon, ctl, database, receiver):
    add_accounts(database, 20)
    hosts = [new_daemon().start() for _ in range(2)]
    number, _ = add_webhook(ctl, receiver.url(), "user_login_failed")
    receiver.answer = lambda received: time.sleep(0.005) or 204
    write_events(database, 2000, 20)
    receiver.await_count(100)
    one = next(host for host in hosts if any(host.lines_of("webhook_delivered")))
    one.stop()
    wait_until(lambda: state_of(ctl, number)["delivered"] == 2000, "all of them", timeout=90)
    assert repeats_of(receiver) <= most_repeats(ctl, number, hosts) and are_in_order(receiver.messages)


@pytest.mark.slow
@pytest.mark.parametrize("count", [int(os.environ.get("ONESESSION_EVENTS", "1000"))])
def test_no_event_is_lost_by_kills_and_each_account_has_its_own_in_order(new_daemon, ctl, database, receiver, count):
    accounts = 50
    add_accounts(database, accounts)
    hosts = [new_daemon().start() for _ in range(2)]
    number, _ = add_webhook(ctl, receiver.url(), "user_login_failed")
    began = time.monotonic()
    kills = 0
    chance = random.Random(1)
    for share in range(10):
        write_events(database, count // 10, accounts, 1 + share * (count // 10))
    for share in (1, 4, 7, 9):
        wait_until(lambda share=share: len(receiver.received) >= count * share // 10, "more of them", timeout=300)
        pid = next((pid for pid in map(process_of, hosts) if pid), None)
        if pid is not None:
            os.kill(pid, signal.SIGKILL if chance.random() < 0.7 else signal.SIGABRT)
            kills += 1
        # The whole host once.
        if share == 7:
            hosts[0].kill()
            hosts[0] = new_daemon().start()
    wait_until(lambda: state_of(ctl, number)["pending"] == 0, "all of them", timeout=600)
    took = time.monotonic() - began
    messages = receiver.messages
    written = {id for (id,) in database.query("SELECT id FROM events WHERE name = 'user_login_failed'")}
    assert {message.event["id"] for message in messages} == written and len(written) == count
    assert are_in_order(messages)
    repeats = repeats_of(receiver)
    assert repeats <= UNDER_WAY * (kills + 1)
    print(f"{count} events, {kills} kills and a host: {repeats} came twice; {count / took:.0f} a second")

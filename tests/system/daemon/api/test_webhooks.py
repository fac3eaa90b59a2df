"""Events that are sent to the site's own programs: what they say, who has signed them, and what becomes of those that fail."""

import re
import threading
import time

import pytest

from support.api import Api, new_token
from support.client import attempt
from support.marks import ROOT_ONLY
from support.postgres import Database
from support.processes import ROOT
from support.services import has_openssl, make_certificate, tls_context, with_files
from support.waiting import wait_until
from support.webhooks import (
    MODULES, Receiver, add_accounts, add_webhook, are_in_order, signature_of, state_of, verify, write_events,
)

NEEDS_OPENSSL = pytest.mark.skipif(not has_openssl(), reason="openssl is not installed")
NEEDS_NPM = pytest.mark.skipif(not (MODULES / "standardwebhooks").exists(), reason="standardwebhooks is not there: make build/npm")


def sign_in(daemon, username="alice"):
    assert attempt(daemon, username, Database.password).status == 200


# So that the first of each test need not be waited for as long as that of a site.
OFTEN = {"api.webhook_interval": "1s"}


@pytest.fixture(name="daemon")
def fixture_daemon(new_daemon):
    return new_daemon(OFTEN).start()


@pytest.fixture
def new_receiver(closing):
    return lambda *args, **kwargs: closing.add(Receiver(*args, **kwargs))


@pytest.fixture
def receiver(new_receiver):
    return new_receiver()


@pytest.fixture
def make_due(database):
    """Whatever the pause: what waits is tried again now."""

    def make():
        database.query("UPDATE webhook_states SET paused_until = '-infinity'")
        database.query("UPDATE webhook_deliveries SET next_at = now() WHERE state = 'due'")

    return make


# ---- What is sent ----------------------------------------------------------------------------------------------------


@NEEDS_NPM
def test_login_is_told_and_signed_and_as_the_feed_has_it(daemon, ctl, receiver):
    number, secret = add_webhook(ctl, receiver.url("/hook?from=here"), "user_logged_in")
    daemon.secrets.add(secret)
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", secret)
    sign_in(daemon)
    (message,) = receiver.await_count(1)
    fields = message.received.fields
    assert verify(secret, [message.received]) == ""
    assert fields["webhook-signature"] == signature_of(secret, message.received)
    assert re.fullmatch("[A-Za-z0-9_]+", message.id) and abs(int(fields["webhook-timestamp"]) - time.time()) < 60
    assert message.received.path == "/hook?from=here" and fields["content-type"] == "application/json"
    (event,) = [
        one for one in Api(daemon, new_token(ctl)).get("/events", status=200).json["events"] if one["name"] == "user_logged_in"
    ]
    assert message.payload == {"type": "user_logged_in", "timestamp": event["at"], "data": event}
    wait_until(lambda: state_of(ctl, number)["delivered"] == 1, "it to be written")
    assert state_of(ctl, number)["pending"] == 0


@NEEDS_NPM
def test_package_refuses_what_another_secret_has_signed(daemon, ctl, receiver):
    add_webhook(ctl, receiver.url(), "user_logged_in")
    other = add_webhook(ctl, receiver.url("/other"), "user_logged_in")[1]
    sign_in(daemon)
    messages = receiver.await_count(2)
    # The same event is the same message: a program knows it again while it changes its secret.
    assert messages[0].id == messages[1].id and messages[0].payload == messages[1].payload
    (one,) = [message.received for message in messages if message.received.path == "/hook"]
    assert "No matching signature found" in verify(other, [one])


def test_example_of_the_manual_says_the_same(daemon, ctl, receiver):
    """docs/webhooks.md: what a program does without a library."""
    example = {}
    exec(re.search(r"```python\n(.*?)```", (ROOT / "docs/webhooks.md").read_text(), re.DOTALL)[1], example)
    _, secret = add_webhook(ctl, receiver.url(), "user_logged_in")
    sign_in(daemon)
    received = receiver.await_count(1)[0].received
    assert example["is_right"](secret, received.fields, received.body)
    assert not example["is_right"](secret, received.fields, received.body + b" ")
    later = {**received.fields, "webhook-timestamp": str(int(received.fields["webhook-timestamp"]) + 1)}
    assert not example["is_right"](secret, later, received.body)


def test_events_of_everybody_count_and_only_those_that_were_chosen(daemon, ctl, database, new_receiver):
    everything, some = new_receiver(), new_receiver()
    add_webhook(ctl, everything.url())
    add_webhook(ctl, some.url(), "user_disabled, user_changed")
    ctl.run("user", "disable", "bob")
    Api(daemon, new_token(ctl)).put("/users/alice", {"groups": ["staff"]}, status=200)
    database.query("INSERT INTO events (name) VALUES ('user_enabled')")
    everything.await_types("webhook_added", "user_disabled", "token_added", "user_changed", "user_enabled")
    assert {message.type for message in some.await_count(2)} == {"user_disabled", "user_changed"}


def test_what_is_rolled_back_is_not_sent(daemon, ctl, database, receiver):
    number, _ = add_webhook(ctl, receiver.url(), "user_enabled plan_added")
    connection = database.connect()
    cursor = connection.cursor()
    cursor.execute("BEGIN")
    cursor.execute("INSERT INTO events (name) VALUES ('user_enabled')")
    database.query("INSERT INTO events (name) VALUES ('plan_added')")
    receiver.await_count(1)
    cursor.execute("ROLLBACK")
    connection.close()
    database.query("INSERT INTO events (name) VALUES ('plan_added')")
    receiver.await_count(2)
    assert [message.type for message in receiver.messages] == ["plan_added", "plan_added"]
    wait_until(lambda: state_of(ctl, number)["pending"] == 0, "all to be written")


def test_account_that_is_deleted_is_named_by_its_number_alone(daemon, ctl, database, new_receiver):
    receiver = new_receiver(answer=lambda received: 500)
    add_webhook(ctl, receiver.url(), "user_logged_in user_deleted")
    user_id = database.user_id("alice")
    sign_in(daemon)
    receiver.await_count(1)
    receiver.answer = lambda received: 204
    ctl.run("user", "delete", "--erase", "alice")
    receiver.await_types("user_deleted", timeout=60)
    for message in receiver.messages[1:]:
        assert (message.event["user_id"], message.event["username"]) == (user_id, "")
    assert [message.type for message in receiver.messages] == ["user_logged_in", "user_logged_in", "user_deleted"]


# ---- Tries -----------------------------------------------------------------------------------------------------------


def test_it_is_tried_again_after_five_seconds_as_the_same_message(daemon, ctl, new_receiver):
    receiver = new_receiver(answer=lambda received: 204 if len(receiver.received) > 0 else 500)
    number, secret = add_webhook(ctl, receiver.url(), "user_logged_in")
    sign_in(daemon)
    first, second = [message.received for message in receiver.await_count(2, timeout=60)]
    assert 4.9 < second.at - first.at
    assert first.fields["webhook-id"] == second.fields["webhook-id"] and first.body == second.body
    assert int(second.fields["webhook-timestamp"]) >= int(first.fields["webhook-timestamp"]) + 4
    assert signature_of(secret, second) == second.fields["webhook-signature"]
    found = wait_until(lambda: (state := state_of(ctl, number))["pending"] == 0 and state, "it to be written")
    assert (found["failed"], found["delivered"], found["dead"]) == (1, 1, 0)
    assert found["problem"] == "it answered 500"


def test_after_a_day_of_tries_it_is_dead_until_an_operator_has_it_sent(daemon, ctl, database, new_receiver, make_due):
    receiver = new_receiver(answer=lambda received: 500)
    number, _ = add_webhook(ctl, receiver.url(), "user_logged_in")
    sign_in(daemon)
    pauses = []
    for tries in range(1, 10):
        receiver.await_count(tries)
        wait_until(lambda tries=tries: database.value("SELECT attempts FROM webhook_deliveries") == tries, "it to be written")
        pauses.append(float(database.value("SELECT extract(epoch FROM next_at - now()) FROM webhook_deliveries")))
        make_due()
    least = [5, 60, 300, 1800, 3600, 7200, 14400, 21600, 28800]
    assert all(one * 0.8 < pause <= one * 1.1 for one, pause in zip(least, pauses)), pauses
    assert sum(least) * 1.1 < 24 * 3600
    wait_until(lambda: state_of(ctl, number)["dead"] == 1, "it to be dead")
    daemon.await_line("webhook_dead")
    # It holds up nothing, and is sent when an operator says so.
    receiver.answer = lambda received: 204
    sign_in(daemon)
    make_due()
    receiver.await_count(11)
    assert state_of(ctl, number)["dead"] == 1
    assert ctl.run("webhook", "retry") == "1 event will be sent again.\n"
    receiver.await_count(12)
    wait_until(lambda: state_of(ctl, number)["dead"] == state_of(ctl, number)["pending"] == 0, "all to be written")
    assert receiver.ids()[11] == receiver.ids()[0]


def test_those_behind_it_wait_for_it_and_those_of_others_do_not(daemon, ctl, database, new_receiver, make_due):
    add_accounts(database, 2)
    mine = database.user_id("many1")
    refused = []

    def answer(received):
        if f'"user_id" : {mine},'.encode() in received.body and len(refused) < 3:
            refused.append(received)
            return 500
        return 204

    receiver = new_receiver(answer=answer)
    number, _ = add_webhook(ctl, receiver.url(), "user_login_failed")
    write_events(database, 300, 2)
    wait_until(lambda: state_of(ctl, number)["delivered"] == 150, "those of the other account")
    for tries in (2, 3):
        make_due()
        wait_until(lambda tries=tries: len(refused) == tries, "another try")
    assert len({received.fields["webhook-id"] for received in refused}) == 1
    write_events(database, 10, 2, first=301)
    wait_until(lambda: state_of(ctl, number)["delivered"] == 155, "those of the other account")
    wait_until(lambda: database.value("SELECT max(attempts) FROM webhook_deliveries") == 3, "the last try to be written")
    make_due()
    wait_until(lambda: state_of(ctl, number)["delivered"] == 310, "all of them")
    assert are_in_order(receiver.messages)


@pytest.mark.parametrize("busy", [1, 6])
def test_busy_account_does_not_hold_up_the_others(daemon, ctl, database, new_receiver, busy):
    """A receiver that is slow, but right: it answers a few of the busy accounts', and then the event of the other comes."""
    add_accounts(database, busy)
    answered = threading.Semaphore(400)
    receiver = new_receiver(answer=lambda received: b"user_logged_in" in received.body or answered.acquire(timeout=14))
    receiver.answer = lambda received, slow=receiver.answer: 204 if slow(received) else 500
    number, _ = add_webhook(ctl, receiver.url(), "user_login_failed user_logged_in")
    write_events(database, 3000, busy)
    sign_in(daemon, "bob")
    receiver.await_types("user_logged_in")
    assert database.value("SELECT count(*) FROM webhook_deliveries") > 2500
    answered.release(10000)
    receiver.await_count(3001, timeout=120)
    wait_until(lambda: state_of(ctl, number)["delivered"] == 3001, "all of them")
    assert are_in_order(receiver.messages)


def test_dead_one_does_not_hold_up_those_behind_it(daemon, ctl, database, new_receiver, make_due):
    add_accounts(database, 1)
    receiver = new_receiver(answer=lambda received: 500 if b'"n": 1}' in received.body else 204)
    number, _ = add_webhook(ctl, receiver.url(), "user_login_failed")
    write_events(database, 250, 1)
    receiver.await_count(1)
    wait_until(lambda: database.value("SELECT max(attempts) FROM webhook_deliveries") == 1, "it to be written")
    due = "SELECT count(*) FROM webhook_deliveries WHERE state = 'due'"
    wait_until(lambda: database.value(due) <= 1, "those behind it to be parked")
    database.query("UPDATE webhook_deliveries SET attempts = 9 WHERE attempts = 1")
    make_due()
    wait_until(lambda: (state := state_of(ctl, number))["delivered"] == 249 and state["dead"] == 1, "all the others")
    assert are_in_order(receiver.messages)


def test_gone_has_it_disabled_until_an_operator_has_it_tried_again(daemon, ctl, database, new_receiver):
    receiver = new_receiver(answer=lambda received: 410)
    number, _ = add_webhook(ctl, receiver.url(), "user_logged_in")
    sign_in(daemon)
    receiver.await_count(1)
    daemon.await_line("webhook_disabled")
    state = state_of(ctl, number)
    assert state["disabled_at"] and (state["dead"], state["pending"]) == (1, 0) and state["problem"] == "it answered 410"
    assert "gone" in ctl.run("webhook", "list")
    assert database.value("SELECT detail->>'webhook' FROM events WHERE name = 'webhook_disabled'") == str(number)
    sign_in(daemon, "bob")
    assert state_of(ctl, number)["pending"] == 0
    receiver.answer = lambda received: 200
    # So that nobody waits for the end of a claim.
    free = "SELECT claimed_until = '-infinity' FROM webhook_states"
    wait_until(lambda: database.value(free), "the one that has sent to it to give it back")
    ctl.run("webhook", "retry", number)
    receiver.await_count(2)
    sign_in(daemon, "bob")
    receiver.await_count(3)
    assert state_of(ctl, number)["disabled_at"] is None


def test_gone_has_all_that_waits_dead_in_portions(daemon, ctl, database, new_receiver):
    add_accounts(database, 3)
    receiver = new_receiver(answer=lambda received: 410)
    number, _ = add_webhook(ctl, receiver.url(), "user_login_failed")
    write_events(database, 3500, 3)
    assert "events=1000" in daemon.await_line("webhook_disabled")
    wait_until(lambda: state_of(ctl, number)["dead"] == 3500, "all to be dead")
    assert all(int(re.search(r"events=(\d+)", line)[1]) <= 1000 for line in daemon.lines_of("webhook_dead"))


def rows_of(plan):
    """How many rows its steps have had in their hands, whatever the plan."""
    dropped = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Join Filter", 0)
    return (plan["Actual Rows"] + dropped) * plan["Actual Loops"] + sum(map(rows_of, plan.get("Plans", [])))


def statement_of(name):
    """The SQL of webhook_sql.c, for EXECUTE; macros are none of these."""
    source = (ROOT / "daemon/session/webhook_sql.c").read_text()
    literals = re.search(rf'"{name}",\n(.*?)\n}};', source, re.DOTALL)[1]
    return "".join(re.findall(r'"(.*?)",?$', literals, re.MULTILINE))


MANY = 200000


@pytest.fixture
def many(database):
    """Rows that nobody has removed: of a webhook that is away, those of an account behind its first; given up; of none."""
    event = database.value("INSERT INTO events (name) VALUES ('user_enabled') RETURNING id")
    webhooks = [
        database.value(
            "WITH w AS (INSERT INTO webhooks (url, events, secret) VALUES ('https://192.0.2.7/', '{user_renamed}', 'whsec_x') RETURNING id)"
            " INSERT INTO webhook_states (webhook_id, failures) SELECT id, 9 FROM w RETURNING webhook_id"
        )
        for _ in range(2)
    ]
    rows = (
        "INSERT INTO webhook_deliveries (webhook_id, event_id, user_id, state, next_at, give_up_at)"
        " SELECT %s, %s, n %% 20000, %s, now() + interval '1 hour', now() + interval '1 hour' FROM generate_series(1, %s) n"
    )
    database.query(rows, webhooks[0], event, "due", 20000)
    database.query(rows, webhooks[0], event, "behind", MANY)
    database.query(rows, webhooks[1], event, "dead", MANY)
    database.query("ANALYZE webhook_deliveries")
    return webhooks


# Statement, values, and how many rows it may look at.
UPKEEP = [
    ("has_webhooks", [], 10),
    ("webhook_queue", [1000], 10000),
    ("drop_lost_deliveries", [500], 10000),
    ("wake_deliveries", [0, 0, 500], 10000),
    ("give_up_deliveries", [8, 1000, 8], 100),
    ("retry_deliveries", [0, 1000], 10000),
]


def test_upkeep_has_a_portion_in_its_hands_however_much_there_is(database, many):
    for name, values, most in UPKEEP:
        connection = database.connect()
        with connection, connection.cursor() as cursor:
            cursor.execute(f"PREPARE it{'(' + ', '.join(['bigint'] * len(values)) + ')' if values else ''} AS {statement_of(name)}")
            for mode in ("force_custom_plan", "force_generic_plan"):
                cursor.execute(f"SET LOCAL plan_cache_mode = {mode}")
                call = f"it({', '.join(map(str, values))})" if values else "it"
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE {call}")
                plan = cursor.fetchone()[0][0]["Plan"]
                assert rows_of(plan) < most, f"{name}: {plan}"
            connection.rollback()
        connection.close()


def test_what_waits_for_nothing_is_woken_in_portions(database):
    database.query(
        "INSERT INTO webhook_deliveries (webhook_id, event_id, user_id, state)"
        " SELECT 1, n, n % 1000, CASE WHEN n % 1000 = 7 THEN 'due' ELSE 'behind' END FROM generate_series(1000, 2999) n"
    )
    connection = database.connect()
    with connection, connection.cursor() as cursor:
        cursor.execute(f"PREPARE it(bigint, bigint, bigint) AS {statement_of('wake_deliveries')}")
        at, found = (0, -1), []
        while not found or found[-1] == 300:
            cursor.execute("EXECUTE it(%s, %s, 300)", at)
            *at, count = cursor.fetchone()
            found.append(count)
        assert found == [300, 300, 300, 99]
        cursor.execute("SELECT user_id, array_agg(event_id ORDER BY event_id) FROM webhook_deliveries WHERE state = 'due' GROUP BY 1 ORDER BY 1")
        assert cursor.fetchall() == [(n, [1000 + n] if n != 7 else [1007, 2007]) for n in range(1000)]
    connection.close()


def test_many_rows_of_one_that_is_away_hold_up_no_other(new_daemon, ctl, database, many, receiver):
    daemon = new_daemon({**OFTEN, "database.statement_timeout": "1s"}).start()
    number, _ = add_webhook(ctl, receiver.url(), "user_logged_in")
    sign_in(daemon)
    receiver.await_count(1)

    def metrics():
        return daemon.ask(path="/session/metrics", REMOTE_ADDR="127.0.0.1").body.decode()

    # Of these 10000, and what there is of the others.
    wait_until(lambda: re.search("^onesession_webhook_events_pending 1000.$", metrics(), re.MULTILINE), "a count that has an end")
    assert database.value("SELECT count(*) FROM webhook_deliveries WHERE webhook_id = %s", many[0]) == MANY + 20000
    assert "database_refused" not in daemon.log_text()
    # An operator's commands are for all of them.
    assert ctl.json("webhook", "retry", many[1]) == {"queued": MANY}
    assert state_of(ctl, many[1])["dead"] == 0
    for one in many:
        ctl.run("webhook", "remove", one)
    assert database.value("SELECT count(*) FROM webhook_deliveries WHERE webhook_id <> %s", number) == 0


def test_rows_without_webhook_or_event_are_dropped(daemon, ctl, database, new_receiver):
    receiver = new_receiver()
    number, _ = add_webhook(ctl, receiver.url(), "user_logged_in")
    database.query(
        "INSERT INTO webhook_deliveries (webhook_id, event_id, state) SELECT w, 1000000 + n, s"
        "  FROM generate_series(1, 1200) n, unnest(%s::bigint[]) w, unnest(ARRAY['due', 'dead']) s"
        " WHERE w <> %s OR s = 'dead'", [number, 7000, 9000], number
    )
    sign_in(daemon)
    receiver.await_count(1)
    wait_until(lambda: database.value("SELECT count(*) FROM webhook_deliveries") == 0, "all of them to be dropped")


@pytest.mark.parametrize(
    "status, asked, least, most",
    [
        (429, "2", 0, 8),
        (503, "120", 100, 130),
        (429, "9000000", 3000, 3700),
        (503, "9223372036854776", 3000, 3700),
        (503, "9223372036854775807", 3000, 3700),
        (503, "-9223372036854775808", 0, 8),
        (503, "99999999999999999999", 0, 3700),
        (503, "Fri, 31 Dec 9999 23:59:59 GMT", 3000, 3700),
        (503, "Thu, 01 Jan 1970 00:00:00 GMT", 0, 8),
        (500, "9000000", 0, 8),
    ],
)
def test_pause_that_it_asks_for_is_kept_within_bounds(daemon, ctl, database, new_receiver, status, asked, least, most):
    receiver = new_receiver(answer=lambda received: (status, f"Retry-After: {asked}\r\n"))
    add_webhook(ctl, receiver.url(), "user_logged_in")
    sign_in(daemon)
    receiver.await_count(1)
    wait_until(lambda: database.value("SELECT max(attempts) FROM webhook_deliveries") == 1, "it to be written")
    pause = float(database.value("SELECT extract(epoch FROM next_at - now()) FROM webhook_deliveries"))
    assert least <= pause <= most
    if least > 0:
        paused = "SELECT max(extract(epoch FROM paused_until - now())) FROM webhook_states WHERE paused_until > now()"
        assert least <= float(wait_until(lambda: database.value(paused), "the pause of all to be written")) <= most


# ---- Receivers that behave badly -------------------------------------------------------------------------------------


def problem_of(ctl, number):
    return wait_until(lambda: state_of(ctl, number)["problem"], "what was wrong")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_not_followed(daemon, ctl, new_receiver, status):
    elsewhere = new_receiver()
    receiver = new_receiver(answer=lambda received: (status, f"Location: {elsewhere.url()}\r\n"))
    number, _ = add_webhook(ctl, receiver.url(), "user_logged_in")
    sign_in(daemon)
    assert problem_of(ctl, number) == f"it answered {status}, and redirects are not followed"
    assert elsewhere.received == []


def endless(head, piece):
    return head + piece * (64 << 20 >> 10)


def test_head_without_an_end_is_a_failure(daemon, ctl, new_receiver):
    receiver = new_receiver(answer=lambda received: endless(b"HTTP/1.1 200 Fine\r\n", b"X-More: " + b"x" * 1014 + b"\r\n"))
    number, _ = add_webhook(ctl, receiver.url(), "user_logged_in")
    sign_in(daemon)
    assert problem_of(ctl, number) == "the head of its answer is longer than 64 KiB"


def test_body_of_gigabytes_is_not_read(daemon, ctl, new_receiver):
    head = b"HTTP/1.1 200 Fine\r\nContent-Length: 8000000000\r\n\r\n"
    receiver = new_receiver(answer=lambda received: endless(head, b"x" * 1024))
    number, _ = add_webhook(ctl, receiver.url(), "user_logged_in")
    sign_in(daemon)
    # It has said that it took the event: what else it says nobody wants to know.
    wait_until(lambda: state_of(ctl, number)["delivered"] == 1, "it to be taken")
    assert len(receiver.received) == 1


@pytest.mark.parametrize("answer", [None, b"", b"HTTP/1.1 2", b"nonsense\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
def test_answer_that_is_none_is_a_failure(daemon, ctl, new_receiver, answer):
    receiver = new_receiver(answer=lambda received: answer)
    number, _ = add_webhook(ctl, receiver.url(), "user_logged_in")
    sign_in(daemon)
    assert problem_of(ctl, number)
    assert state_of(ctl, number)["delivered"] == 0


def test_slow_and_dead_webhooks_hold_up_no_other(daemon, ctl, database, new_receiver):
    add_accounts(database, 50)
    quick_has_all = threading.Event()
    slow, quick = new_receiver(answer=lambda received: quick_has_all.wait(60) and 204), new_receiver()
    silent = new_receiver(answer=lambda received: wait_until(lambda: silent.is_closing, "the end", 120) and None)
    dead = new_receiver()
    numbers = [add_webhook(ctl, one.url(), "user_login_failed")[0] for one in (slow, silent, dead, quick)]
    dead.close()
    write_events(database, 500, 50)
    wait_until(lambda: state_of(ctl, numbers[3])["delivered"] == 500, "the quick one to have all")
    assert state_of(ctl, numbers[0])["delivered"] == state_of(ctl, numbers[1])["delivered"] == 0
    quick_has_all.set()
    assert state_of(ctl, numbers[2])["pending"] == 500
    assert are_in_order(slow.messages) and are_in_order(quick.messages)
    # A webhook has one connection, which is kept: but for those that were too slow.
    assert quick.connections == 1


def test_webhook_that_is_away_is_left_alone_and_has_all_in_order_when_it_is_back(
    daemon, ctl, database, new_receiver, make_due
):
    add_accounts(database, 10)
    receiver = new_receiver()
    number, _ = add_webhook(ctl, receiver.url(), "user_login_failed")
    receiver.close()
    write_events(database, 200, 10)
    daemon.await_line("webhook_paused")
    # One at a time finds out whether it is back.
    assert state_of(ctl, number)["failed"] <= 5
    back = new_receiver(port=receiver.port)
    make_due()
    wait_until(lambda: make_due() or state_of(ctl, number)["delivered"] == 200, "all of them")
    assert are_in_order(back.messages) and len(back.ids()) == 200


def test_those_behind_one_that_was_given_up_for_its_age_are_sent(new_daemon, ctl, database, new_receiver):
    receiver = new_receiver(answer=lambda received: 500)
    daemon = new_daemon(OFTEN).start()
    number, _ = add_webhook(ctl, receiver.url(), "user_logged_in")
    for _ in range(3):
        sign_in(daemon)
    behind = "SELECT count(*) FROM webhook_deliveries WHERE state = 'behind'"
    wait_until(lambda: database.value(behind) == 2, "those behind it to be parked")
    daemon.stop()
    database.query("UPDATE webhook_states SET failures = 8")
    database.query("UPDATE webhook_deliveries SET give_up_at = now(), next_at = now() + interval '1 hour' WHERE state = 'due'")
    receiver.answer = lambda received: 204
    new_daemon(OFTEN).start()
    wait_until(lambda: state_of(ctl, number)["delivered"] == 2, "those behind it")
    assert state_of(ctl, number)["dead"] == 1 and are_in_order(receiver.messages)


def test_tries_that_nobody_answers_are_none_of_the_event(daemon, ctl, database, new_receiver, make_due):
    receiver = new_receiver()
    number, _ = add_webhook(ctl, receiver.url(), "user_logged_in")
    receiver.close()
    for _ in range(3):
        sign_in(daemon)
    wait_until(lambda: state_of(ctl, number)["failed"] >= 5 or make_due(), "tries")
    assert database.value("SELECT max(attempts) FROM webhook_deliveries") == 1
    # It may find out whether the webhook is back: nothing but the webhook's own pause, of 80 s by now, keeps it.
    pause = "SELECT extract(epoch FROM max(next_at) - now()) FROM webhook_deliveries WHERE state = 'due'"
    assert 8 < float(database.value(pause)) <= 300
    state = state_of(ctl, number)
    assert state["next_at"] and "connect" in state["problem"] and "connect" in ctl.run("webhook", "list")
    back = new_receiver(port=receiver.port)
    make_due()
    wait_until(lambda: state_of(ctl, number)["delivered"] == 3, "all of them")
    assert are_in_order(back.messages) and state_of(ctl, number)["next_at"] is None


def test_what_has_failed_while_it_was_away_is_sent_when_it_is_back(daemon, ctl, database, new_receiver, make_due):
    """It has answered: 502, as a proxy does for an application that is not there."""
    add_accounts(database, 3)
    receiver = new_receiver(answer=lambda received: 502)
    number, _ = add_webhook(ctl, receiver.url(), "user_login_failed")
    write_events(database, 3, 3)
    wait_until(lambda: state_of(ctl, number)["failed"] >= 9 or make_due(), "tries")
    database.query("UPDATE webhook_deliveries SET next_at = now() + interval '2 hours', attempts = 5 WHERE state = 'due'")
    receiver.answer = lambda received: 204
    # Another one finds it out.
    database.query("INSERT INTO events (name) VALUES ('user_login_failed')")
    database.query("UPDATE webhook_states SET paused_until = '-infinity'")
    wait_until(lambda: state_of(ctl, number)["delivered"] == 4, "all of them")


def test_retry_takes_what_waits_for_its_next_try(daemon, ctl, database, new_receiver):
    receiver = new_receiver(answer=lambda received: 500 if len(receiver.received) == 0 else 204)
    number, _ = add_webhook(ctl, receiver.url(), "user_logged_in")
    sign_in(daemon)
    wait_until(lambda: state_of(ctl, number)["failed"] == 1, "a try")
    database.query("UPDATE webhook_deliveries SET next_at = now() + interval '4 hours', attempts = 5")
    state = state_of(ctl, number)
    assert state["pending"] == 1 and state["next_at"] and state["problem"] == "it answered 500"
    assert ctl.run("webhook", "retry", number) == "1 event will be sent again.\n"
    receiver.await_count(2)


# ---- Where it is sent ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url, why",
    [
        ("http://192.0.2.7/hook", "http"),
        ("http://0.0.0.0/hook", "http"),
        ("http://nowhere.invalid/hook", "http"),
        ("http://[::ffff:192.0.2.7]/hook", "http"),
        ("ftp://127.0.0.1/hook", "https"),
        ("file:///etc/passwd", "https"),
        ("127.0.0.1/hook", "https"),
        ("https:/example.net/hook", "https"),
        ("https:///example.net/hook", "https"),
        ("https:example.net/hook", "https"),
        ("https://shop:secret@example.net/hook", "user"),
        ("https://example.net/hook#part", "#"),
        ("https://example.net/a b", "escaped"),
        ("https://example.net/\x01", "escaped"),
        ("", "https"),
        ("https://example.net/" + "x" * 2000, "2000"),
    ],
)
def test_address_that_is_none(ctl, url, why):
    assert why in ctl.refused("webhook", "add", url)
    assert ctl.json("webhook", "list") == []


@pytest.mark.parametrize(
    "url, kept",
    [
        ("HTTPS://shop.example/a/../b?C=%7e", "https://shop.example/a/../b?C=%7e"),
        ("HTTP://127.0.0.1:9/", "http://127.0.0.1:9/"),
        ("https://shop.example", "https://shop.example/"),
    ],
)
def test_address_is_kept_with_its_scheme_in_lower_case(ctl, url, kept):
    assert ctl.json("webhook", "add", url)["url"] == ctl.json("webhook", "list")[0]["url"] == kept


@ROOT_ONLY
def test_http_is_spoken_to_no_other_machine_whatever_the_name_leads_to_later(new_daemon, ctl, database, closing, tmp_path):
    receiver = closing.add(Receiver())
    number, _ = add_webhook(ctl, receiver.url(host="localhost"), "user_logged_in")
    database.query("UPDATE webhooks SET url = replace(url, 'localhost', 'hooks.internal')")
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n192.0.2.7 hooks.internal\n")
    daemon = new_daemon(OFTEN)
    daemon.start(with_files({"/etc/hosts": hosts}, daemon.command()))
    sign_in(daemon)
    assert "another machine" in problem_of(ctl, number)


@NEEDS_OPENSSL
def test_certificate_that_nobody_has_vouched_for_is_refused(daemon, ctl, new_receiver, tmp_path):
    receiver = new_receiver(context=tls_context(*make_certificate(tmp_path)))
    number, _ = add_webhook(ctl, receiver.url(host="localhost"), "user_logged_in")
    sign_in(daemon)
    assert "certificate" in problem_of(ctl, number)
    assert receiver.received == []


@ROOT_ONLY
@NEEDS_OPENSSL
@pytest.mark.parametrize("name, is_right", [("localhost", True), ("elsewhere.test", False)])
def test_certificate_has_to_be_for_that_name(new_daemon, ctl, new_receiver, tmp_path, name, is_right):
    key, certificate = make_certificate(tmp_path, name)
    receiver = new_receiver(context=tls_context(key, certificate))
    number, _ = add_webhook(ctl, receiver.url(host="localhost"), "user_logged_in")
    daemon = new_daemon(OFTEN)
    daemon.start(with_files({"/etc/ssl/certs/ca-certificates.crt": certificate}, daemon.command()))
    sign_in(daemon)
    if is_right:
        receiver.await_count(1)
    else:
        assert problem_of(ctl, number)
        assert receiver.received == []


def test_secret_is_in_no_log_list_or_event(daemon, ctl, receiver):
    number, secret = add_webhook(ctl, receiver.url())
    daemon.secrets.add(secret)
    sign_in(daemon)
    receiver.await_types("webhook_added", "user_logged_in")
    shown = ctl.run("webhook", "list") + ctl.run("--json", "webhook", "list") + ctl.run("events") + daemon.log_text()
    shown += "".join(str(message.received) for message in receiver.messages) + ctl.run("webhook", "test", number)
    assert secret not in shown and secret.removeprefix("whsec_") not in shown

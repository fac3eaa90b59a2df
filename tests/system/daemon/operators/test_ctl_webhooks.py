"""onesessionctl webhook ...: what operators say of programs that are told of events, and see of them."""

import re

import pytest

from support.commands import run
from support.processes import ROOT
from support.terminal import on_a_terminal
from support.waiting import wait_until
from support.webhooks import Receiver, add_webhook, signature_of, state_of

DOCUMENTED = re.compile(r"^\| (`[a-z_`, ]+`) \| .* \| .* \|", re.MULTILINE)


@pytest.fixture
def receiver(closing):
    return closing.add(Receiver())


def test_secret_is_printed_once(ctl, database, receiver):
    shown = ctl.run("webhook", "add", receiver.url())
    secret = re.search(r"^whsec_[A-Za-z0-9+/]{43}=$", shown, re.MULTILINE)[0]
    assert shown.splitlines()[-1] == secret
    assert database.value("SELECT secret FROM webhooks") == secret
    assert secret not in ctl.run("webhook", "list") + ctl.run("--json", "webhook", "list") + ctl.run("events")
    ((detail,),) = database.query("SELECT detail FROM events WHERE name = 'webhook_added'")
    assert detail["operator"] == "root" and detail["webhook"] == database.value("SELECT id FROM webhooks")


def test_list_for_people_and_for_programs(ctl, receiver):
    assert ctl.run("webhook", "list") == "No webhooks.\n"
    all_of_them, _ = add_webhook(ctl, receiver.url())
    some, _ = add_webhook(ctl, "https://shop.example/hook", "user_logged_in,session_displaced")
    lines = ctl.run("webhook", "list").splitlines()
    assert lines[0].split() == ["ID", "URL", "EVENTS", "PENDING", "DEAD", "PROBLEM", "NEXT", "TRY", "LAST", "SUCCESS"]
    assert lines[1].split()[:3] == [str(all_of_them), receiver.url(), "all"]
    assert lines[2].split()[:4] == [str(some), "https://shop.example/hook", "user_logged_in", "session_displaced"]
    assert state_of(ctl, all_of_them)["events"] is None
    state = state_of(ctl, some)
    assert state["events"] == ["user_logged_in", "session_displaced"]
    assert (state["pending"], state["dead"], state["delivered"], state["failed"]) == (0, 0, 0, 0)
    assert state["last_success_at"] is state["last_failure_at"] is state["disabled_at"] is state["next_at"] is None
    assert state["problem"] == "" and state["created_at"]


def test_narrow_terminal_has_what_was_wrong(ctl, database, receiver):
    add_webhook(ctl, receiver.url("/a/path/that/is/long"), "user_logged_in,session_displaced")
    database.query("UPDATE webhook_states SET problem = 'Failed to connect to 127.0.0.1', last_failure_at = now()")
    lines = [line.text for line in on_a_terminal(ctl.command("webhook", "list"), 60)]
    assert "PROBLEM" in lines[0] and "Failed to" in lines[1] and max(map(len, lines)) <= 60
    assert "LAST SUCCESS" in " ".join(lines[2:])


@pytest.mark.parametrize("events", ["user_logs_in", "user_logged_in user_logs_in", "user", "USER_LOGGED_IN", "", " , "])
def test_event_that_there_is_not_is_refused_and_those_there_are_named(ctl, receiver, events):
    said = ctl.refused("webhook", "add", receiver.url(), "--events", events)
    assert "user_logged_in session_displaced" in said
    assert ctl.json("webhook", "list") == []


def test_all_documented_events_can_be_chosen_and_no_others(ctl, receiver):
    table = (ROOT / "docs/events.md").read_text().partition("| name | sent when |")[2].partition("\n\n")[0]
    names = {name for names in DOCUMENTED.findall(table) for name in re.findall("`([a-z_]+)`", names)}
    assert len(names) > 30
    refusal = ctl.refused("webhook", "add", receiver.url(), "--events", "none")
    assert set(refusal.partition("there are: ")[2].split()) == names
    number, _ = add_webhook(ctl, receiver.url(), " ".join(sorted(names)))
    assert state_of(ctl, number)["events"] == sorted(names)


def test_test_shows_what_it_has_answered(ctl, receiver):
    number, secret = add_webhook(ctl, receiver.url())
    assert re.fullmatch(rf"{receiver.url()} answered 204 after \d+ ms\.\n", ctl.run("webhook", "test", number))
    (message,) = receiver.messages
    assert signature_of(secret, message.received) == message.received.fields["webhook-signature"]
    assert message.type == message.event["name"] == "webhook_test" and message.event["detail"] == {}
    found = ctl.json("webhook", "test", number)
    assert (found["taken"], found["status"], found["problem"], found["url"]) == (True, 204, "", receiver.url())
    receiver.answer = lambda received: 503
    assert "it answered 503 (after " in ctl.refused("webhook", "test", number)
    receiver.close()
    assert "connect" in ctl.refused("webhook", "test", number)
    # Nothing of it is in the queue, or in how it fares.
    state = state_of(ctl, number)
    assert (state["delivered"], state["failed"]) == (0, 0)


def test_test_that_failed_for_programs(ctl, receiver):
    number, _ = add_webhook(ctl, receiver.url())
    receiver.answer = lambda received: 500
    done = ctl.call("--json", "webhook", "test", number)
    assert done.returncode == 1 and '"taken": false' in done.stdout and '"status": 500' in done.stdout


def test_removed_one_leaves_nothing(ctl, database, receiver):
    number, _ = add_webhook(ctl, receiver.url())
    other, _ = add_webhook(ctl, receiver.url("/other"))
    ctl.run("user", "disable", "bob")
    assert state_of(ctl, number)["pending"] > 0
    assert ctl.run("webhook", "remove", number) == f"Webhook {number} is removed: {receiver.url()}\n"
    assert [one["id"] for one in ctl.json("webhook", "list")] == [other]
    assert database.value("SELECT count(*) FROM webhook_deliveries WHERE webhook_id = %s", number) == 0
    ((detail,),) = database.query("SELECT detail FROM events WHERE name = 'webhook_removed'")
    assert (detail["webhook"], detail["operator"]) == (number, "root")


@pytest.mark.parametrize("command", ["test", "retry", "remove"])
@pytest.mark.parametrize("which", ["7", "0", "x", ""])
def test_webhook_that_there_is_not(ctl, command, which):
    assert "no such webhook" in ctl.refused("webhook", command, which)


def test_retry_is_of_one_or_of_all(ctl, database, receiver):
    numbers = [add_webhook(ctl, receiver.url(f"/{n}"), "user_disabled")[0] for n in range(2)]
    ctl.run("user", "disable", "bob")
    dead = "UPDATE webhook_deliveries SET state = 'dead', attempts = 10"
    database.query(dead)
    assert ctl.json("webhook", "retry", numbers[0]) == {"queued": 1}
    assert [state_of(ctl, number)["dead"] for number in numbers] == [0, 1]
    database.query(dead)
    assert ctl.run("webhook", "retry", "--all") == "2 events will be sent again.\n"
    database.query(dead)
    assert ctl.run("webhook", "retry") == "2 events will be sent again.\n"
    assert database.value("SELECT max(attempts) FROM webhook_deliveries") == 0
    assert ctl.call("webhook", "retry", numbers[0], "--all").returncode == 64
    details = [detail for (detail,) in database.query("SELECT detail FROM events WHERE name = 'webhook_retried' ORDER BY id")]
    assert [(detail["webhook"], detail["events"]) for detail in details] == [(numbers[0], 1), (None, 2), (None, 2)]


def test_there_is_an_end_to_webhooks(ctl, database, receiver):
    for n in range(32):
        database.query(
            "WITH w AS (INSERT INTO webhooks (url, secret) VALUES ('https://shop.example/', 'whsec_x') RETURNING id)"
            " INSERT INTO webhook_states (webhook_id) SELECT id FROM w"
        )
    assert "32 webhooks" in ctl.refused("webhook", "add", receiver.url())


def test_job_run_at_once_sends_what_is_due_and_ends(new_daemon, ctl, receiver):
    daemon = new_daemon()
    number, _ = add_webhook(ctl, receiver.url(), "user_disabled")
    ctl.run("user", "disable", "bob")
    assert "session.webhook: ok" in run(*daemon.command("--run-job", "session.webhook")[1:]).stdout
    assert len(receiver.received) == 1 and state_of(ctl, number)["delivered"] == 1


def test_metrics(daemon, ctl, database, receiver):
    def metrics():
        text = daemon.ask(path="/session/metrics", REMOTE_ADDR="127.0.0.1").body.decode()
        return dict(re.findall(r"^onesession_(webhook_\S+) (\d+)$", text, re.MULTILINE))

    found = metrics()
    assert found["webhook_events_pending"] == found["webhook_events_dead"] == "0"
    add_webhook(ctl, receiver.url(), "user_disabled")
    ctl.run("user", "disable", "bob")
    wait_until(lambda: metrics()['webhook_events_total{result="delivered"}'] == "1", "it to be counted")
    receiver.answer = lambda received: 500
    ctl.run("user", "disable", "alice")
    wait_until(lambda: metrics()['webhook_events_total{result="failed"}'] == "1", "it to be counted")
    wait_until(lambda: metrics()["webhook_events_pending"] == "1", "it to be counted", timeout=60)
    assert int(metrics()["webhook_oldest_seconds"]) < 100

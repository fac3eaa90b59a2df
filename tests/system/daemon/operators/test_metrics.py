"""/session/metrics: its form, and what is counted."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from support import fastcgi, openmetrics
from support.client import CREDENTIALS, JSON, OPERATOR, attempt, sign_in
from support.locks import PATIENT, HeldTable, waits_in_database
from support.rows import put_session
from support.status import SECONDS, Counts, do_a_bit_of_everything, metrics_of, status_of
from support.waiting import Background, wait_until


# ---- /metrics: its form ----------------------------------------------------------------------------------------------


PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.75,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=0.0.4;q=0.25,*/*;q=0.1"
)
OLD_PROMETHEUS = "text/plain;version=0.0.4;q=1,*/*;q=0.1"
TEXT = {"Accept": "text/plain"}


@pytest.mark.parametrize(
    "accept, content_type",
    [
        (None, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("*/*", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (PROMETHEUS, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        (OLD_PROMETHEUS, "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_metrics_are_in_the_format_that_was_asked_for(daemon, accept, content_type):
    do_a_bit_of_everything(daemon)
    headers = {} if accept is None else {"Accept": accept}
    answer = daemon.ask(path="/session/metrics", headers=headers, **OPERATOR)
    assert answer.get("Content-Type") == content_type
    assert answer.get("Cache-Control") == "no-store"
    assert answer.get("Vary") == "Accept"
    body = answer.body.decode()
    assert body.endswith("\n# EOF\n")
    if content_type.startswith("application/openmetrics-text"):
        openmetrics.families(body)
    else:
        assert "# TYPE onesession_logins_total counter\n" in body
    head = daemon.ask(method="HEAD", path="/session/metrics", headers=headers, **OPERATOR)
    assert (head.status, head.body, head.get("Content-Type")) == (200, b"", content_type)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool")
@pytest.mark.parametrize("headers", [{}, {"Accept": "*/*"}, TEXT, {"Accept": OLD_PROMETHEUS}])
def test_promtool_finds_nothing_wrong_with_metrics(daemon, headers):
    for _ in range(2):
        text = metrics_of(daemon, headers)
        done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        do_a_bit_of_everything(daemon)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool")
def test_prometheus_stores_every_sample_of_metrics(daemon, tmp_path):
    do_a_bit_of_everything(daemon)
    text = metrics_of(daemon)
    source = tmp_path / "metrics"
    source.write_text(openmetrics.with_timestamps(text, 1_700_000_000))
    done = subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", source, tmp_path / "data"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    # It looks for what has not been made into blocks yet, too.
    (tmp_path / "data" / "wal").mkdir()
    shown = subprocess.run(
        ["promtool", "tsdb", "dump", tmp_path / "data"], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout
    assert len(shown.splitlines()) == len(openmetrics.samples(text))


def test_metrics_are_strict_openmetrics_with_every_number(new_daemon):
    daemon = new_daemon({"server.workers": 3, "login.max_hashing": 4}).start()
    daemon.await_workers(3)
    do_a_bit_of_everything(daemon)
    # They are counted for the first time a moment after the start.
    wait_until(lambda: "onesession_live_sessions" in metrics_of(daemon), "the live sessions to be counted")
    families = openmetrics.families(metrics_of(daemon))
    assert all(family.metadata["HELP"] for family in families.values())
    kinds = {name.removeprefix("onesession_"): family.type for name, family in families.items()}
    # Those of jobs are there once one has run, which takes five seconds.
    kinds = {name: kind for name, kind in kinds.items() if not name.startswith("job_")}
    counters = {name for name, kind in kinds.items() if kind == "counter"}
    assert counters == {
        "requests",
        "logins",
        "login_failures",
        "logouts",
        "displacements",
        "shared_accounts",
        "password_changes",
        "confirmations",
        "mails",
        "webhook_events",
        "throttled",
        "database_round_trips",
        "database_errors",
        "worker_starts",
        "worker_deaths",
        "worker_timeouts",
        "reloads",
        "reloads_refused",
    }
    assert {name: kind for name, kind in kinds.items() if kind != "counter"} == {
        "request_duration_seconds": "histogram",
        "live_sessions": "gauge",
        "hashing_places": "gauge",
        "hashing_in_use": "gauge",
        "hashing_waiting": "gauge",
        "mails_queued": "gauge",
        "mails_oldest_seconds": "gauge",
        "mail_server_is_away": "gauge",
        "webhook_events_pending": "gauge",
        "webhook_events_dead": "gauge",
        "webhook_oldest_seconds": "gauge",
        "workers": "gauge",
        "start_time_seconds": "gauge",
        "build": "info",
        "module": "info",
    }
    assert families[SECONDS].metadata["UNIT"] == "seconds"
    found = openmetrics.samples(metrics_of(daemon))
    assert found["onesession_hashing_places",] == 4
    assert found["onesession_hashing_in_use",] == found["onesession_hashing_waiting",] == 0
    # That of a moment ago, or as many as there were when it started.
    assert found["onesession_live_sessions",] in (0, 1)
    assert abs(found["onesession_start_time_seconds",] - time.time()) < 600
    assert found["onesession_build_info", ("version", status_of(daemon)["version"])] == 1
    states = {key[1][1]: value for key, value in found.items() if key[0] == "onesession_workers"}
    assert set(states) == {"starting", "idle", "waiting", "busy", "stopping"}
    assert sum(states.values()) == 3 and states["busy"] >= 1


def test_metrics_of_a_daemon_that_nobody_has_asked_anything_are_right_too(new_daemon):
    daemon = new_daemon().start(wait="/session/health")
    openmetrics.families(metrics_of(daemon))
    openmetrics.families(metrics_of(daemon, {}))


# ---- /metrics: what they count ---------------------------------------------------------------------------------------


def test_logins_failures_displacements_and_logouts_are_counted(new_daemon):
    daemon = new_daemon().start()
    counts = Counts(daemon)
    first = sign_in(daemon)
    sign_in(daemon)
    third = sign_in(daemon)
    for _ in range(4):
        attempt(daemon, "alice", "wrong")
    attempt(daemon, "nobody", "wrong")
    assert daemon.ask(headers=first).status == 401
    assert daemon.ask(method="POST", path="/session/logout", headers={**third, **JSON}).status == 204
    # Nobody is signed in there any more.
    assert daemon.ask(method="POST", path="/session/logout", headers={**third, **JSON}).status == 204
    assert counts.grown("logins") == 3
    assert counts.grown("displacements") == 2
    assert counts.grown("login_failures") == 5
    assert counts.grown("logouts") == 1
    assert counts.grown("throttled") == 0


def test_requests_are_counted_by_route_and_status(new_daemon):
    daemon = new_daemon({"server.workers": 1}).start()
    signed_in = sign_in(daemon)
    counts = Counts(daemon)
    asked = {
        ("/auth", 200): lambda: daemon.ask(headers=signed_in),
        ("/auth", 401): daemon.ask,
        ("/me", 200): lambda: daemon.ask(path="/session/me", headers=signed_in),
        ("/me", 405): lambda: daemon.ask(method="DELETE", path="/session/me"),
        ("/login", 400): lambda: daemon.ask(method="POST", path="/session/login", headers=JSON, body="{"),
        ("/login", 403): lambda: daemon.ask(
            method="POST", path="/session/login", headers={**JSON, "Sec-Fetch-Site": "cross-site"}, body=CREDENTIALS
        ),
        ("/login", 413): lambda: daemon.ask(method="POST", path="/session/login", headers=JSON, body="x" * 70_000),
        ("/login", 415): lambda: daemon.ask(
            method="POST", path="/session/login", headers={"Content-Type": "text/css"}, body="x"
        ),
        ("other", 404): lambda: daemon.ask(path="/session/nothing"),
        ("/health", 200): lambda: daemon.ask(path="/session/health"),
    }
    for times, ((_, status), ask) in enumerate(asked.items(), 1):
        for _ in range(times):
            assert ask().status == status
    assert daemon.ask(path="/session/status", REMOTE_ADDR="203.0.113.9").status == 404
    assert daemon.ask(role=fastcgi.AUTHORIZER, path="/anything", headers=signed_in).status == 200
    for times, (route, status) in enumerate(asked, 1):
        extra = (route, status) in (("other", 404), ("/auth", 200))
        assert counts.requests(route, status) == times + extra, (route, status)
    found = openmetrics.samples(metrics_of(daemon))
    routes = {dict(key[1:])["route"] for key in found if key[0] == "onesession_requests_total"}
    for route in routes:
        total = sum(
            value
            for key, value in found.items()
            if key[0] == "onesession_requests_total" and dict(key[1:])["route"] == route
        )
        assert found[f"{SECONDS}_count", ("route", route)] == total


def test_durations_are_in_the_bucket_they_belong_to(database, new_daemon):
    daemon = new_daemon({**PATIENT, "server.workers": 1}).start()
    signed_in = sign_in(daemon)

    def within(bound):
        key = (f"{SECONDS}_bucket", ("route", "/me"), ("le", bound))
        return openmetrics.samples(metrics_of(daemon)).get(key, 0)

    with HeldTable(database) as table:
        call = Background(daemon.ask, path="/session/me", headers=signed_in)
        waits_in_database(database)
        deadline = time.monotonic() + 0.3
        wait_until(lambda: time.monotonic() > deadline, "some time to pass")
        table.let_go()
        assert call.result().status == 200
    assert (within("0.25"), within("+Inf")) == (0, 1)
    assert 0.25 < openmetrics.samples(metrics_of(daemon))[f"{SECONDS}_sum", ("route", "/me")] < 60


def test_round_trips_and_errors_of_the_database_are_counted(cluster, database, new_daemon):
    daemon = new_daemon({"server.workers": 1}).start()
    signed_in = sign_in(daemon)
    assert daemon.ask(headers=signed_in).status == 200
    counts = Counts(daemon)
    for _ in range(20):
        assert daemon.ask(headers=signed_in).status == 200
        assert daemon.ask().status == 401
    # One for each live request, none for those without a key; the live sessions may be counted meanwhile, too.
    assert 20 <= counts.grown("database_round_trips") <= 21
    assert counts.grown("database_errors") == 0
    cluster.terminate_backends(database.name)
    assert daemon.ask(headers=signed_in).status == 200
    assert counts.grown("database_round_trips") > 21
    database.close()
    cluster.stop()
    before = counts.grown("database_errors")
    assert daemon.ask(headers=signed_in).status == 503
    wait_until(lambda: counts.grown("database_errors") >= before + 2, "attempts to connect that fail to be counted")
    assert counts.requests("/auth", 503) == 1
    # Told to come again, but not because there was too much of anything.
    assert counts.grown("throttled") == 0
    cluster.start()
    wait_until(lambda: daemon.ask(headers=signed_in).status == 200, "it to find the database again")


def test_statement_that_fails_is_an_error_of_the_database(database, new_daemon):
    daemon = new_daemon({"server.workers": 1, "database.statement_timeout": "200ms"}).start()
    signed_in = sign_in(daemon)
    counts = Counts(daemon)
    with HeldTable(database):
        assert daemon.ask(headers=signed_in).status == 503
    assert counts.grown("database_errors") == 1


def test_deaths_timeouts_and_reloads_are_counted_and_what_was_counted_outlives_them(database, new_daemon):
    daemon = new_daemon(
        {"server.workers": 2, "server.request_timeout": "1s", "database.statement_timeout": "60s"}
    ).start()
    daemon.await_workers(2)
    signed_in = sign_in(daemon)
    attempt(daemon, "alice", "wrong")
    counts = Counts(daemon)
    lasting = {key: value for key, value in counts.before.items() if "login" in key[0]}
    assert any(lasting.values())

    def see(name, times):
        wait_until(lambda: counts.grown(name) == times, f"{name} to have grown by {times}")

    os.kill(daemon.workers[0], signal.SIGKILL)
    see("worker_deaths", 1)
    see("worker_starts", 1)
    with HeldTable(database):
        assert daemon.ask(headers=signed_in, timeout=60).status is None
    see("worker_timeouts", 1)
    see("worker_deaths", 2)
    see("worker_starts", 2)
    daemon.send_signal(signal.SIGHUP)
    see("reloads", 1)
    see("worker_starts", 4)
    right = daemon.command() and daemon.conf.read_text()
    daemon.conf.write_text(right + "[server]\nworkers = none\n")
    daemon.send_signal(signal.SIGHUP)
    see("reloads_refused", 1)
    assert counts.grown("reloads") == 1
    daemon.conf.write_text(right)
    # One that goes because it was told to is no death.
    daemon.await_workers(2)
    os.kill(daemon.workers[0], signal.SIGTERM)
    see("worker_starts", 5)
    assert counts.grown("worker_deaths") == 2
    found = openmetrics.samples(metrics_of(daemon))
    # Only the answer that the killed worker did not give is missing anywhere.
    assert {key: value for key, value in found.items() if key in lasting} == lasting
    told = status_of(daemon)["counts"]
    assert told == {"worker_starts": 7, "worker_deaths": 2, "worker_timeouts": 1, "reloads": 1, "reloads_refused": 1}


@pytest.mark.slow
def test_live_sessions_are_those_of_all_hosts_and_at_most_ten_seconds_old(database, new_daemon):
    # It is there before they are counted for the first time.
    put_session(database, "alice", "key")
    daemon = new_daemon({"session.idle_timeout": "1h"}).start()

    def live():
        return openmetrics.samples(metrics_of(daemon)).get(("onesession_live_sessions",))

    wait_until(lambda: live() == 1, "the session to be counted")
    began = time.monotonic()
    for number in range(6):
        database.add_user(f"user{number}")
        put_session(database, f"user{number}", f"key{number}")
    database.add_user("late")
    put_session(database, "late", "expired", expires="-1 minute")
    put_session(database, "late", "idle", seen="2 hours")
    # Not counted for each who asks.
    shown = live()
    assert shown == 1 or time.monotonic() - began > 9
    # After a count that took long there is a pause fifty times as long: on a machine that is slow just now.
    wait_until(lambda: live() == 7, "the sessions to be counted", timeout=60)
    # What was known last is shown while the database is away.
    database.cluster.stop()
    assert live() == 7
    database.cluster.start()

"""Jobs over several hosts, and over two binaries on one: once over all, or on each, and never twice at once."""

import os
import signal

import pytest

from support.processes import is_alive
from support.status import status_of
from support.tasks import await_jobs_process, jobs_of, jobs_process, run_process
from support.waiting import wait_until


@pytest.fixture
def hosts(new_host):
    """hosts(tick="ok"): two daemons on one database, that run."""

    def make(settings=None, **of_module):
        both = [new_host({"server.workers": 1, **(settings or {})}, **of_module).start() for _ in range(2)]
        for host in both:
            await_jobs_process(host)
        return both

    return make


def assert_never_at_once(runs):
    ended = [(began, end) for began, end, _ in sorted(runs) if end is not None]
    for (_, end), (began, _) in zip(ended, ended[1:]):
        assert began >= end, runs


def test_job_runs_once_over_two_hosts_and_never_twice_at_once(hosts, tasks):
    both = hosts(tick="wait 300", other="wait 1200")
    runs = tasks.await_runs(5)
    for (before, _, _), (after, _, _) in zip(runs, runs[1:]):
        assert after - before >= 0.999
    assert_never_at_once(runs)
    assert_never_at_once(tasks.await_runs(3, "other"))
    counted = [sum(job["runs"] for job in jobs_of(host).values()) for host in both]
    assert sum(counted) <= len(tasks.runs()) + len(tasks.runs("other"))


def test_job_goes_on_when_the_host_that_ran_it_stops(hosts, tasks):
    first, second = hosts(tick="ok")
    tasks.await_runs(2)
    first.stop()
    process = jobs_process(second)
    wait_until(lambda: tasks.runs()[-1][2] == process, "the other host to run it")
    second.stop()


def test_job_of_every_host_runs_on_both(hosts, tasks):
    both = hosts(local="wait 200")
    processes = {jobs_process(host) for host in both}

    def runs_of_each():
        found = [[run for run in tasks.runs("local") if run[2] == process] for process in processes]
        return all(len(runs) >= 3 for runs in found) and found

    for runs in wait_until(runs_of_each, "three runs on each"):
        assert_never_at_once(runs)
    assert tasks.row("local") is None


@pytest.mark.slow
def test_host_that_is_lost_in_a_run_is_taken_over_when_its_claim_has_run_out(new_host, tasks):
    first = new_host({"server.workers": 1}, tick="wait 600000", timeout=700000).start()
    tasks.await_runs(1)
    wait_until(lambda: tasks.row()["is_running"], "it to be claimed")
    assert 700 < tasks.row()["running_for"] <= 715
    run = wait_until(lambda: run_process(first), "the run")
    second = new_host({"server.workers": 1}, tick="ok").start()
    await_jobs_process(second)
    process = jobs_process(first)
    first.process.kill()
    first.process.wait()
    # It would finish what it has, as workers do when the master has gone.
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: not is_alive(run), "the run to end with its daemon")
    # As if that time had passed: but for the last seconds, which do.
    tasks.database.query("UPDATE jobs SET running_until = now() + interval '3 seconds' WHERE name = 'tasks.tick'")
    assert len(tasks.runs()) == 1
    runs = tasks.await_runs(2)
    assert runs[1][0] - runs[0][0] > 2 and runs[1][2] == jobs_process(second)
    second.await_line("job_taken_over", "job=tick", f"lost_host={os.uname().nodename}")
    wait_until(lambda: tasks.row()["result"] == "ok", "it to be recorded")
    # That of the lost host has not come back.
    assert tasks.row()["failures"] == 0


def test_run_that_has_lost_its_claim_does_not_change_what_another_has_recorded(new_host, tasks):
    daemon = new_host({"server.workers": 1}, tick="wait 1500").start()
    tasks.await_runs(1)
    wait_until(lambda: tasks.row()["is_running"], "it to be claimed")
    tasks.database.query(
        "UPDATE jobs SET run = 'another', host = 'elsewhere', running_until = now() + interval '4 seconds'"
    )
    wait_until(lambda: jobs_of(daemon)["tick"]["runs"] == 1, "its end")
    assert tasks.row()["is_running"] and tasks.row()["result"] == ""
    daemon.await_line("job_taken_over", "lost_host=elsewhere")
    tasks.await_runs(2)


def master_of(daemon):
    return status_of(daemon)["pid"]


def test_upgrade_hands_jobs_over_and_none_runs_twice_at_once(new_host, tasks):
    daemon = new_host({"server.workers": 1}, tick="wait 1500", local="wait 1500").start()
    tasks.await_runs(1)
    wait_until(lambda: run_process(daemon, "local"), "a run")
    old = master_of(daemon)
    count = len(tasks.runs("local"))
    daemon.send_signal(signal.SIGUSR2)
    wait_until(lambda: daemon.process.poll() is not None, "the old binary to end")
    new = wait_until(lambda: (pid := master_of(daemon)) != old and pid, "the new one")
    try:
        for job in ("tick", "local"):
            runs = tasks.await_runs(count + 3, job)
            assert_never_at_once(runs)
            assert len({pid for _, _, pid in runs}) == 2
    finally:
        os.kill(new, signal.SIGTERM)
        wait_until(lambda: not is_alive(new), "the new one to end")

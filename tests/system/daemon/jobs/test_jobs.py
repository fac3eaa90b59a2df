"""Jobs on one host: when they run, how they end, and what is said of that."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from support import openmetrics
from support.processes import is_alive, name_of
from support.programs import Ctl
from support.status import metrics_of, reload_and_wait
from support.tasks import TASKS, await_jobs_process, jobs_of, jobs_process, run_process
from support.waiting import wait_until


def assert_one_after_the_other(runs):
    for (_, ended, _), (began, _, _) in zip(runs, runs[1:]):
        assert ended is not None and began >= ended, runs


# ---- When ------------------------------------------------------------------------------------------------------------


def test_job_runs_again_and_again_in_processes_of_its_own(new_host, tasks):
    daemon = new_host(tick="ok").start()
    runs = tasks.await_runs(3)
    for (before, _, _), (after, _, _) in zip(runs, runs[1:]):
        assert after - before >= 0.999
    assert {pid for _, _, pid in runs} == {jobs_process(daemon)}
    line = daemon.await_line("task_runs", "does ok")
    assert "module=tasks job=tick" in line
    assert wait_until(lambda: jobs_of(daemon)["tick"]["runs"] >= 3, "the runs to be counted")


def test_job_emits_signals_to_receivers_of_modules(new_host, tasks):
    daemon = new_host(tick="emit").start()
    daemon.await_line("task_heard", "module=tasks", "job=tick", 'message="tasks.done emit"')
    wait_until(lambda: tasks.row()["result"] == "ok", "it to be recorded")


def test_job_removes_files_that_were_kept(new_host, tasks, tmp_path):
    """System calls that take files away are refused otherwise."""
    for path in (tmp_path, tmp_path / "spool"):
        path.mkdir(exist_ok=True)
    (tmp_path / "old").touch()
    (tmp_path / "other").touch()
    new_host({"server.spool": str(tmp_path / "spool")}, tick="remove old", folder=tmp_path).start()
    wait_until(lambda: not (tmp_path / "old").exists(), "the file to go")
    wait_until(lambda: tasks.row()["result"] == "ok", "it to be recorded")
    assert (tmp_path / "other").exists()


def test_file_of_no_folder_is_not_removed_by_a_job(new_host, tasks):
    daemon = new_host(tick="remove old").start()
    daemon.await_line("folder_refused", "folder=kept", "job=tick")
    wait_until(lambda: tasks.row()["result"] == "failed", "it to be recorded")


def test_job_that_takes_longer_than_its_pause_runs_one_after_the_other(new_host, tasks):
    new_host(tick="wait 1300").start()
    runs = tasks.await_runs(4)
    assert_one_after_the_other(runs[:-1])
    for (before, _, _), (after, _, _) in zip(runs, runs[1:]):
        assert after - before >= 1.3


def test_process_of_a_run_shows_its_job(new_host):
    daemon = new_host(tick="wait 5000").start()
    job = wait_until(lambda: (job := jobs_of(daemon)["tick"])["running_ms"] is not None and job, "it to run")
    assert name_of(run_process(daemon)) == "ones-job-tick"
    wait_until(lambda: name_of(jobs_process(daemon)) == "ones-jobs", "it to have its own name again")
    assert job["name"] == "tick" and job["running_ms"] >= 0 and job["next_at"] is None


def test_purge_does_not_wait_for_jobs_of_modules(new_host, tasks):
    """These take all places, and others wait for one."""
    daemon = new_host({"session.purge_interval": "1s"}, many="red 5 wait 60000", timeout=70000).start()
    wait_until(lambda: sum(job["running_ms"] is not None for job in jobs_of(daemon).values()) == 4, "four runs")
    wait_until(lambda: jobs_of(daemon, "session")["purge"]["runs"] >= 2, "the purge")
    assert len([job for job in jobs_of(daemon).values() if job["running_ms"] is not None]) == 4
    assert tasks.row("red_0") is not None


def test_four_jobs_run_at_once_and_the_purge_too(new_host, tasks):
    daemon = new_host({"session.purge_interval": "1s"}, tick="wait 600", local="wait 600", other="wait 600").start()
    for job in ("tick", "local", "other"):
        tasks.await_runs(2, job)
    wait_until(lambda: jobs_of(daemon, "session")["purge"]["runs"] >= 2, "the purge")


def test_new_job_runs_within_a_minute_however_long_its_pause_is(new_host, tasks):
    new_host(late="ok").start()
    row = wait_until(lambda: tasks.row("late"), "the job to be known")
    assert 50 < row["next_in"] <= 60


def test_pause_that_was_made_shorter_counts_at_once(new_host, tasks):
    first = new_host(tick="ok", every=1000).start()
    tasks.await_runs(1)
    wait_until(lambda: tasks.row()["result"] == "ok", "it to be recorded")
    first.stop()
    tasks.database.query("UPDATE jobs SET next_at = now() + interval '1 day'")
    new_host(tick="ok", every=1000).start()
    tasks.await_runs(len(tasks.runs()) + 1)


# ---- How it ends -----------------------------------------------------------------------------------------------------


def test_run_is_killed_at_its_deadline_and_says_where_it_was(new_host, tasks):
    daemon = new_host(tick="loop", timeout=700, every=1000).start()
    daemon.await_line("job_crashed", "signal=SIGABRT", "module=tasks", "job=tick")
    daemon.await_line("job_crashed_at", str(daemon.folder / TASKS.name))
    line = daemon.await_line("job_failed", "result=overdue", "module=tasks", "job=tick")
    took = int(re.search(r" ms=(\d+)", line)[1])
    assert 700 <= took < 3000
    wait_until(lambda: (row := tasks.row()) and row["result"] == "overdue" and not row["is_running"], "the record")


def test_run_that_waits_for_a_lock_is_ended_by_its_own_time_and_not_the_statements(new_host, tasks):
    daemon = new_host({"database.statement_timeout": "200ms"}, tick="ok", timeout=1500).start()
    tasks.await_runs(1)
    holder = tasks.database.connect()
    holder.autocommit = False
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE tasks.runs IN ACCESS EXCLUSIVE MODE")
        line = daemon.await_line("job_failed", "result=failed", "why=unavailable")
        holder.rollback()
    holder.close()
    assert int(re.search(r" ms=(\d+)", line)[1]) >= 1000
    count = len(tasks.runs())
    tasks.await_runs(count + 1)


def test_crash_is_logged_with_module_job_and_stack_and_the_site_goes_on(new_host, tasks):
    daemon = new_host(tick="crash", other="ok").start()
    daemon.await_line("job_crashed", "signal=SIGSEGV", "module=tasks", "job=tick")
    daemon.await_line("job_crashed_at", str(daemon.folder / TASKS.name) + "+0x")
    daemon.await_line("job_failed", "result=crashed", 'why="Segmentation fault"', "job=tick")
    wait_until(lambda: (row := tasks.row()) and row["result"] == "crashed" and row["failures"] > 0, "the record")
    process = jobs_process(daemon)
    tasks.await_runs(2, "other")
    assert daemon.ask(path="/session/ready").status == 200
    assert jobs_process(daemon) == process
    assert "worker_crashed" not in daemon.log_text()


@pytest.mark.parametrize("how", ["exit 0", "exit 48", "exit 128", "exit 192", "exit 255", "_exit 0"])
def test_job_that_ends_its_process_has_failed_with_whatever_status(new_host, tasks, how):
    daemon = new_host(tick=how).start()
    daemon.await_line("job_failed", "result=crashed", 'why="it ended its process"')
    wait_until(lambda: tasks.row()["result"] == "crashed", "the record")


def test_pause_grows_with_each_failure_and_one_success_resets_it(new_host, tasks):
    tasks.database.query("INSERT INTO tasks.broken DEFAULT VALUES")
    daemon = new_host(tick="check").start()
    for failures, pause in ((1, 1), (2, 2), (3, 4)):
        row = wait_until(
            lambda failures=failures: (row := tasks.row()) and row["failures"] == failures and not row["is_running"] and row,
            f"failure {failures}",
        )
        assert row["result"] == "failed" and pause - 1.5 < row["next_in"] <= pause
    daemon.await_line("job_failed", "result=failed", "failures=3")
    tasks.database.query("UPDATE jobs SET failures = 40, next_at = now()")
    row = wait_until(lambda: (row := tasks.row())["failures"] == 41 and row, "one more failure")
    assert 3500 < row["next_in"] <= 3600
    tasks.database.query("DELETE FROM tasks.broken")
    tasks.is_due()
    # It is looked for again within a minute; a daemon that starts looks at once.
    reload_and_wait(daemon)
    row = wait_until(lambda: (row := tasks.row())["result"] == "ok" and row, "it to succeed")
    assert row["failures"] == 0 and row["next_in"] <= 1
    count = len(tasks.runs())
    tasks.await_runs(count + 2)


# ---- The process that runs jobs --------------------------------------------------------------------------------------


def test_process_that_runs_jobs_is_replaced_when_it_dies_and_its_runs_die_with_it(new_host, tasks):
    daemon = new_host(tick="wait 20000", local="ok", timeout=60000).start()
    process = await_jobs_process(daemon)
    run = wait_until(lambda: run_process(daemon), "the run")
    os.kill(process, signal.SIGKILL)
    wait_until(lambda: not is_alive(run), "its run to end")
    wait_until(lambda: jobs_process(daemon) not in (None, process), "another process")
    daemon.await_line("jobs_killed", "signal=Killed")
    count = len(tasks.runs("local"))
    tasks.await_runs(count + 1, "local")
    assert daemon.ask(path="/session/ready").status == 200


def test_run_that_died_with_the_process_that_ran_jobs_is_recorded_and_runs_again_at_once(new_host, tasks):
    """It would be claimed for ten minutes."""
    daemon = new_host(tick="wait 600000", timeout=600000).start()
    tasks.await_runs(1)
    run = wait_until(lambda: run_process(daemon), "the run")
    os.kill(jobs_process(daemon), signal.SIGKILL)
    wait_until(lambda: not is_alive(run), "its run to end")
    tasks.await_runs(2)
    assert tasks.row()["result"] == "stopped" and tasks.row()["failures"] == 0
    assert "job_taken_over" not in daemon.log_text()


def test_stop_waits_for_a_run_and_cuts_off_one_that_takes_too_long(new_host, tasks):
    daemon = new_host({"server.shutdown_timeout": "10s"}, tick="wait 1500").start()
    tasks.await_runs(1)
    wait_until(lambda: run_process(daemon), "a run")
    count = len(tasks.runs())
    daemon.stop()
    runs = tasks.runs()
    assert len(runs) == count and all(ended is not None for _, ended, _ in runs)
    assert not tasks.row()["is_running"] and tasks.row()["result"] == "ok"
    daemon = new_host({"server.shutdown_timeout": "1s"}, tick="wait 20000").start()
    wait_until(lambda: run_process(daemon), "a run")
    tasks.await_runs(count + 1)
    began = time.monotonic()
    daemon.stop()
    assert time.monotonic() - began < 10
    daemon.await_line("job_stopped", "job=tick")
    # It is due at once, for another host.
    row = tasks.row()
    assert row["result"] == "stopped" and not row["is_running"] and row["next_in"] <= 0 and row["failures"] == 0


def test_reload_takes_a_new_job_and_loses_none(new_host, tasks):
    daemon = new_host(tick="wait 1000", local="wait 1000").start()
    tasks.await_runs(1)
    tasks.await_runs(1, "local")
    old = jobs_process(daemon)
    daemon.settings["tasks.other"] = "ok"
    daemon.command()
    for _ in range(2):
        wait_until(lambda: run_process(daemon), "a run")
        reload_and_wait(daemon)
    tasks.await_runs(1, "other")
    wait_until(lambda: not is_alive(old), "the old process to end")
    for job in ("tick", "local"):
        tasks.await_runs(len(tasks.runs(job)) + 2, job)
        runs = tasks.runs(job)
        assert_one_after_the_other(runs[:-1])
        # None was lost: there is no pause that is longer than one and a run.
        for (before, _, _), (after, _, _) in zip(runs, runs[1:]):
            assert after - before < 6
        assert len({pid for _, _, pid in runs}) >= 2
    assert {job["name"] for job in jobs_of(daemon).values()} == {"tick", "local", "other"}


def test_jobs_with_new_names_after_each_reload_run_beside_each_other(new_host, tasks):
    daemon = new_host({"server.workers": 1}, many="red 40 ok", every=3600000, timeout=70000).start()
    tasks.database.query("INSERT INTO jobs (name, next_at) VALUES ('tasks.white_38', now()), ('tasks.white_39', now())")
    for many in ("green 40 ok", "blue 40 ok", "white 40 wait 60000"):
        daemon.settings["tasks.many"] = many
        daemon.command()
        reload_and_wait(daemon)

    def running():
        return {name for name, job in jobs_of(daemon).items() if job["running_ms"] is not None}

    wait_until(lambda: running() == {"white_38", "white_39"}, "these two to run, and no other to be taken for them")


def test_reload_that_is_refused_leaves_the_jobs_as_they_were(new_host, tasks):
    daemon = new_host(tick="ok").start()
    tasks.await_runs(1)
    process = jobs_process(daemon)
    daemon.settings["tasks.every"] = "5"
    daemon.command()
    reload_and_wait(daemon, refused=True)
    daemon.await_line("reload_refused", "module tasks: job tick: .every_ms is not from 1000")
    assert jobs_process(daemon) == process
    tasks.await_runs(len(tasks.runs()) + 1)


def test_process_that_runs_jobs_and_runs_are_restricted(new_host):
    daemon = new_host(tick="wait 3000").start()
    wait_until(lambda: run_process(daemon), "a run")

    def filters(pid):
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            return int(re.search(r"^Seccomp_filters:\t(\d+)$", status.read(), re.M)[1])

    def is_restricted():
        """Where nothing is due it ends at once."""
        try:
            run = run_process(daemon)
            return run is not None and filters(run) == 2
        except (FileNotFoundError, ProcessLookupError):
            return False

    assert filters(jobs_process(daemon)) == 1
    wait_until(is_restricted, "the run to be restricted further")


def test_module_is_started_for_jobs_only_where_it_has_any(new_host):
    daemon = new_host().start()
    await_jobs_process(daemon)
    wait_until(lambda: jobs_of(daemon, "session")["purge"]["next_at"], "jobs to be known")
    assert len(daemon.lines_of("tasks_started")) == len(daemon.workers)
    with_jobs = new_host(tick="ok").start()
    await_jobs_process(with_jobs)
    wait_until(lambda: len(with_jobs.lines_of("tasks_started")) == len(with_jobs.workers) + 1, "it to be started")


def shared_memory(pid):
    """Of that process with all others of the daemon: (address, size)."""
    for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
        span, rights, _, _, _, *name = line.split(None, 5)
        if rights == "rw-s" and name and name[0].startswith("/dev/zero"):
            first, last = (int(number, 16) for number in span.split("-"))
            yield first, last - first


@pytest.mark.parametrize("garbage", [b"\x01", b"\x7f", b"\xff", None])
def test_garbage_over_all_that_a_worker_can_write_to_stops_no_job(new_host, tasks, garbage):
    daemon = new_host({"session.purge_interval": "1s"}, tick="ok", local="ok").start()
    tasks.await_runs(1)
    tasks.await_runs(1, "local")
    worker = daemon.workers[0]
    with open(f"/proc/{worker}/mem", "r+b", buffering=0) as memory:
        for at, size in shared_memory(worker):
            memory.seek(at)
            memory.write(os.urandom(size) if garbage is None else garbage * size)
    for _ in range(2):
        for job in ("tick", "local"):
            tasks.await_runs(len(tasks.runs(job)) + 2, job)
        daemon.send_signal(signal.SIGHUP)
        wait_until(lambda: daemon.lines_of("reloaded"), "a reload")
    tasks.database.query(
        "INSERT INTO sessions (session_key, user_id, expires_at)"
        " VALUES (sha256('x'), (SELECT min(id) FROM users), now() - interval '1 hour')"
    )
    wait_until(lambda: tasks.database.value("SELECT count(*) FROM sessions") == 0, "the purge")


# ---- The database ----------------------------------------------------------------------------------------------------


def test_jobs_wait_for_a_database_that_is_away_without_a_flood_of_lines(cluster, new_host, tasks):
    daemon = new_host({"server.workers": 1}, tick="ok", local="ok").start()
    tasks.await_runs(1)
    tasks.await_runs(1, "local")
    tasks.database.close()
    cluster.stop()
    daemon.await_line("jobs_waiting")
    # That of one host runs all the same, and fails: later and later.
    daemon.await_line("job_failed", "job=local", "result=failed", "why=unavailable", "failures=2")
    lines = [line for line in daemon.log_text().splitlines() if "module=tasks" not in line]
    assert len([line for line in lines if "database_unavailable" in line]) <= 2
    assert len(daemon.lines_of("jobs_waiting")) == 1
    assert not [line for line in daemon.lines_of("job_failed") if "job=tick" in line and "why=unavailable" not in line]
    cluster.start()
    count = len(tasks.runs())
    tasks.await_runs(count + 2)
    tasks.await_runs(len(tasks.runs("local")) + 1, "local")
    daemon.await_line("jobs_resumed")
    assert tasks.row()["failures"] == 0


def test_result_of_a_run_is_recorded_when_the_database_is_back(cluster, new_host, tasks):
    daemon = new_host({"server.workers": 1}, tick="wait 1500", timeout=20000).start()
    tasks.await_runs(1)
    tasks.database.close()
    cluster.stop()
    daemon.await_line("jobs_waiting")
    cluster.start()
    # Long before its claim would have run out.
    wait_until(lambda: not tasks.row()["is_running"] or len(tasks.runs()) > 1, "the record", timeout=15)
    tasks.await_runs(2)
    assert "job_taken_over" not in daemon.log_text()


# ---- What operators see ----------------------------------------------------------------------------------------------


def test_status_and_metrics_show_jobs(new_host, tasks):
    daemon = new_host({"session.purge_interval": "1h"}, tick="fail", local="ok").start()
    wait_until(lambda: jobs_of(daemon)["tick"]["failures"] >= 2, "two failures")
    tasks.await_runs(2, "local")
    wait_until(lambda: jobs_of(daemon)["local"]["runs"] >= 2, "two runs")
    jobs = jobs_of(daemon)
    tick, local = jobs["tick"], jobs["local"]
    assert tick["runs"] == tick["failures"] and tick["last_result"] == "failed" and tick["every_ms"] == 1000
    assert local["failures"] == 0 and local["last_result"] == "ok" and local["on_every_host"] is True
    assert tick["last_started_at"] and tick["next_at"] and tick["last_ms"] < 5000 and not tick["on_every_host"]
    own = jobs_of(daemon, "session")
    assert set(own) == {"purge", "webhook"}
    purge = own["purge"]
    assert purge["name"] == "purge" and purge["runs"] == 0 and purge["last_result"] is None
    text = metrics_of(daemon)
    openmetrics.families(text)
    found = openmetrics.samples(text)
    key = (("module", "tasks"), ("job", "tick"))
    assert found["onesession_job_runs_total", *key, ("result", "failed")] >= 2
    assert found["onesession_job_failures_in_row", *key] >= 2
    assert abs(found["onesession_job_last_start_seconds", *key] - time.time()) < 60
    assert not [name for name in found if ("job", "purge") in name]
    ctl = Ctl("host=/nonexistent", **{"server.listen": f"unix:{daemon.path}"})
    lines = ctl.run("status").splitlines()
    (head,) = [line for line in lines if line.startswith("JOB ")]
    assert head.split() == ["JOB", "EVERY", "HOSTS", "RUNS", "FAILED", "LAST", "TOOK", "RESULT", "NEXT"]
    (line,) = [line.split() for line in lines if line.startswith("tasks.local ")]
    assert line[1:3] == ["1.0s", "every"] and "ok" in line
    assert [line for line in lines if line.startswith("session.purge ")]


# ---- What is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"tick": "ok", "every": 999}, "job tick: .every_ms is not from 1000 (a second) to 366 days"),
        ({"tick": "ok", "timeout": 99}, "job tick: .timeout_ms is not from 100 to 86400000 (24 hours)"),
        ({"tick": "ok", "timeout": 86400001}, "job tick: .timeout_ms is not from 100 to 86400000 (24 hours)"),
    ],
)
def test_job_that_is_wrong_refuses_the_module(new_host, settings, reason):
    daemon = new_host(**settings)
    daemon.start(wait=None)
    assert daemon.wait() == 78
    assert f"module tasks: {reason}" in daemon.log_text()


def test_daemon_that_never_purges_has_no_such_job(new_daemon):
    daemon = new_daemon({"session.purge_interval": "0"}).start()
    assert set(jobs_of(daemon, "session")) == {"webhook"}
    assert await_jobs_process(daemon)

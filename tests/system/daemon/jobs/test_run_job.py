"""A job that is run at once, by onesessiond --run-job."""

import os
import signal
import subprocess

import pytest

from support.processes import children_of, name_of
from support.programs import environment
from support.tasks import run_process
from support.waiting import wait_until


def start_job(daemon, name):
    return subprocess.Popen(  # pylint: disable=consider-using-with
        daemon.command("--run-job", name),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def end_of(process):
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def run_job(daemon, name):
    return end_of(start_job(daemon, name))


@pytest.fixture
def under_way(new_host, tasks):
    """under_way(timeout=1000): the job "late", which --run-job runs and which waits for a minute."""
    started = []

    def make(**of_module):
        daemon = new_host({"server.workers": 1}, late="wait 60000", **of_module)
        started.append(start_job(daemon, "tasks.late"))
        tasks.await_runs(1, "late")
        return daemon, started[-1]

    yield make
    for process in started:
        if process.poll() is None:
            process.kill()
        end_of(process)


def test_run_job_runs_it_once_and_says_how_it_went(new_host, tasks):
    daemon = new_host({"server.workers": 1}, late="ok", other="fail")
    done = run_job(daemon, "tasks.late")
    assert (done.returncode, done.stdout) == (0, "tasks.late: ok\n"), done.stderr
    assert len(tasks.runs("late")) == 1
    assert tasks.row("late")["result"] == "ok" and 3500 < tasks.row("late")["next_in"] <= 3600
    done = run_job(daemon, "tasks.other")
    assert done.returncode == 1 and "tasks.other has failed: failed\n" in done.stderr
    done = run_job(daemon, "tasks.none")
    assert done.returncode == 64 and "there are: session.purge session.webhook tasks.other tasks.late\n" in done.stderr
    assert not os.path.exists(daemon.path)


def test_run_job_leaves_alone_what_runs_already(new_host, tasks):
    daemon = new_host(tick="wait 4000").start()
    tasks.await_runs(1)
    wait_until(lambda: run_process(daemon), "a run")
    done = run_job(daemon, "tasks.tick")
    assert done.returncode == 1 and "was not run: it runs already" in done.stderr
    done = run_job(daemon, "session.purge")
    assert (done.returncode, done.stdout) == (0, "session.purge: ok\n")


def test_claim_is_renewed_for_as_long_as_the_run_takes(under_way, tasks):
    daemon, _ = under_way(timeout=1000)

    def until():
        return tasks.database.value("SELECT running_until FROM jobs WHERE name = 'tasks.late'")

    for _ in range(2):
        before = until()
        wait_until(lambda before=before: until() > before, "it to be renewed")
    done = run_job(daemon, "tasks.late")
    assert done.returncode == 1 and "was not run: it runs already" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_run_that_is_interrupted_is_recorded_as_stopped_before_its_process_has_ended(under_way, tasks, number):
    daemon, process = under_way(timeout=600000)
    process.send_signal(number)
    end_of(process)
    row = tasks.row("late")
    assert (row["result"], row["is_running"], row["failures"]) == ("stopped", False, 0)
    assert process.returncode == -number
    daemon.settings["tasks.late"] = "ok"
    daemon.command()
    assert run_job(daemon, "tasks.late").returncode == 0


def test_run_that_is_killed_is_recorded_by_the_process_beside_it_which_ends(under_way, tasks):
    _, process = under_way(timeout=600000)
    (keeper,) = [pid for pid in children_of(process.pid) if name_of(pid) == "ones-keeper"]
    process.kill()
    end_of(process)
    wait_until(lambda: tasks.row("late")["result"] == "crashed", "the record")
    assert not tasks.row("late")["is_running"]
    wait_until(lambda: not os.path.exists(f"/proc/{keeper}"), "that process to end")


@pytest.mark.parametrize("job", ["late", "local"])
def test_job_that_calls_exit_has_failed(new_host, tasks, job):
    daemon = new_host({"server.workers": 1}, **{job: "exit 0"})
    done = run_job(daemon, f"tasks.{job}")
    assert done.returncode == 1 and f"tasks.{job} has failed: it ended its process\n" in done.stderr
    if job == "late":
        assert tasks.row("late")["result"] == "crashed" and not tasks.row("late")["is_running"]


def test_run_at_once_removes_files_that_were_kept(new_host, tasks, tmp_path):
    for path in (tmp_path, tmp_path / "spool"):
        path.mkdir(exist_ok=True)
    (tmp_path / "old").touch()
    daemon = new_host({"server.spool": str(tmp_path / "spool"), "server.workers": 1}, late="remove old", folder=tmp_path)
    done = run_job(daemon, "tasks.late")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "old").exists()


def test_record_is_written_although_the_database_was_away_at_a_renewal(under_way, tasks, cluster):
    _, process = under_way(timeout=1000)

    def left():
        return tasks.database.value("SELECT extract(epoch FROM running_until - now())::float FROM jobs WHERE name = 'tasks.late'")

    try:
        cluster.execute(f"ALTER ROLE {cluster.DAEMON} NOLOGIN")
        cluster.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{cluster.DAEMON}'")
        # It is renewed each third of 16 s.
        wait_until(lambda: left() < 9, "a renewal to fail")
    finally:
        cluster.execute(f"ALTER ROLE {cluster.DAEMON} LOGIN")
    wait_until(lambda: left() > 12, "another one")
    process.kill()
    end_of(process)
    wait_until(lambda: tasks.row("late")["result"] == "crashed", "the record")

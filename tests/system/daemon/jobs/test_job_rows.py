"""The rows of the table jobs, which anybody may write to who has the right: what holds for one job does so for no other."""

import pytest

from support.status import reload_and_wait
from support.tasks import jobs_of
from support.waiting import wait_until


def test_job_that_is_set_to_infinity_is_paused_and_no_other_is(new_host, tasks):
    daemon = new_host(tick="ok", other="ok").start()
    tasks.await_runs(1)
    tasks.database.query("UPDATE jobs SET next_at = 'infinity' WHERE name = 'tasks.tick'")
    wait_until(lambda: (jobs_of(daemon)["tick"]["next_in_ms"] or 0) > 86400000, "the pause to be known")
    wait_until(
        lambda: tasks.database.value("SELECT running_until IS NULL FROM jobs WHERE name = 'tasks.tick'"),
        "a run under way to end",
    )
    paused = len(tasks.runs())
    tasks.await_runs(len(tasks.runs("other")) + 3, "other")
    assert len(tasks.runs()) == paused
    assert "jobs_waiting" not in daemon.log_text() and "database_error" not in daemon.log_text()
    tasks.is_due()
    # It is looked for again within a minute; a daemon that starts looks at once.
    reload_and_wait(daemon)
    tasks.await_runs(paused + 1)


def test_job_whose_row_is_minus_infinity_is_due(new_host, tasks):
    daemon = new_host(tick="ok").start()
    tasks.await_runs(1)
    tasks.database.query("UPDATE jobs SET next_at = '-infinity', running_until = '-infinity'")
    tasks.await_runs(len(tasks.runs()) + 2)
    assert "database_error" not in daemon.log_text()


def test_job_that_is_claimed_for_ever_does_not_hold_up_others(new_host, tasks):
    daemon = new_host(tick="ok", other="ok").start()
    tasks.await_runs(1)
    wait_until(
        lambda: tasks.database.query(
            "UPDATE jobs SET running_until = 'infinity', run = 'x' WHERE name = 'tasks.tick' AND running_until IS NULL"
            " RETURNING name"
        ),
        "no run to be under way",
    )
    count = len(tasks.runs())
    tasks.await_runs(len(tasks.runs("other")) + 3, "other")
    assert len(tasks.runs()) == count and "database_error" not in daemon.log_text()


@pytest.mark.slow
def test_job_of_each_hour_whose_row_is_changed_runs_within_a_minute(new_host, tasks):
    daemon = new_host(late="ok").start()
    wait_until(lambda: tasks.row("late"), "the job to be known")
    tasks.is_due("late")
    tasks.await_runs(1, "late", timeout=75)
    wait_until(lambda: jobs_of(daemon)["late"]["last_result"] == "ok", "its end")
    tasks.is_due("late")
    tasks.await_runs(2, "late", timeout=75)


def test_job_whose_row_the_database_refuses_holds_up_no_other(new_host, tasks):
    tasks.database.query(
        "CREATE FUNCTION tasks.refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'not this one'; END $$"
    )
    tasks.database.query(
        "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON jobs FOR EACH ROW"
        " WHEN (NEW.name = 'tasks.tick') EXECUTE FUNCTION tasks.refuse()"
    )
    daemon = new_host(tick="ok", other="ok").start()
    daemon.await_line("job_not_claimed", "name=tasks.tick", "not this one")
    tasks.await_runs(4, "other")
    assert "jobs_waiting" not in daemon.log_text() and tasks.runs() == []
    # It is tried again later than that.
    assert len(daemon.lines_of("job_not_claimed")) == 1

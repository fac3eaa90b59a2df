"""The module tests/modules/tasks.c, its tables, and its jobs as a daemon runs them."""

from support.processes import BUILD, children_of, name_of
from support.status import status_of
from support.waiting import wait_until

TASKS = BUILD / "tests/tasks.so"
TABLES = """
CREATE SCHEMA tasks;
CREATE TABLE tasks.runs (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, job text NOT NULL, pid bigint NOT NULL,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(), ended_at timestamptz);
CREATE TABLE tasks.broken (since timestamptz NOT NULL DEFAULT now());
GRANT USAGE ON SCHEMA tasks TO {role};
GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA tasks TO {role};
"""


class Tasks:
    """What is known of the jobs of a database."""

    def __init__(self, database):
        self.database = database
        database.query(TABLES.format(role=database.cluster.DAEMON))

    def close(self):
        """The database is one that others use after this."""
        self.database.query("DROP SCHEMA tasks CASCADE")

    def runs(self, job="tick"):
        """(began, ended, the process that had it run), the first one first; times are seconds."""
        return self.database.query(
            "SELECT extract(epoch FROM began_at)::float, extract(epoch FROM ended_at)::float, pid FROM tasks.runs"
            " WHERE job = %s ORDER BY id",
            job,
        )

    def await_runs(self, count, job="tick", timeout=None):
        return wait_until(
            lambda: (found := self.runs(job)) and len(found) >= count and found, f"{count} runs of {job}", timeout
        )

    def row(self, job="tick"):
        """Of the table jobs: what it says."""
        rows = self.database.query(
            "SELECT result, failures, running_until IS NOT NULL, extract(epoch FROM next_at - now())::float,"
            " extract(epoch FROM running_until - now())::float FROM jobs WHERE name = %s",
            f"tasks.{job}",
        )
        return dict(zip(("result", "failures", "is_running", "next_in", "running_for"), rows[0])) if rows else None

    def is_due(self, job="tick"):
        """Whatever the pause: it is due now."""
        self.database.query("UPDATE jobs SET next_at = now() WHERE name = %s", f"tasks.{job}")


def jobs_process(daemon):
    """The process that runs jobs; None while there is none. As long as it forks a run, it has the name of that one."""
    named = ((pid, name_of(pid)) for pid in children_of(daemon.process.pid))
    return next((pid for pid, name in named if name is not None and name.startswith("ones-job")), None)


def await_jobs_process(daemon):
    return wait_until(lambda: jobs_process(daemon), "the process that runs jobs")


def run_process(daemon, job="tick"):
    """The process of a run; None while there is none."""
    parent = jobs_process(daemon)
    found = [pid for pid in children_of(parent) if name_of(pid) == f"ones-job-{job}"[:15]] if parent else []
    return found[0] if found else None


def jobs_of(daemon, module="tasks"):
    """What /status says of the jobs of a module, by name."""
    (found,) = [one for one in status_of(daemon)["modules"] if one["name"] == module]
    return {job["name"]: job for job in found.get("jobs", [])}

"""SQL that an application runs for tests (tests/application/statements.c)."""

from support.processes import ROOT

BASE = "/session/application"


def prepare_tables(site):
    site.database.query((ROOT / "tests/application/statements.sql").read_text())
    role = site.database.cluster.DAEMON
    site.database.query(f"GRANT USAGE ON SCHEMA application TO {role}")
    site.database.query(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA application TO {role}")
    return site


class Client:
    """Somebody who has the application run statements."""

    def __init__(self, browser):
        self.browser = browser

    def post(self, body):
        return self.browser.post(f"{BASE}/statements", body)

    def steps(self, *steps, **more):
        """The answer to several statements, each a text or (text, values) or a dict."""
        made = []
        for step in steps:
            if isinstance(step, str):
                step = {"sql": step}
            elif isinstance(step, tuple):
                step = {"sql": step[0], "values": list(step[1])}
            made.append(step)
        answer = self.post({"steps": made, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def run(self, sql, *values, **more):
        return self.steps((sql, values), **more)

    def rows(self, sql, *values):
        answer = self.run(sql, *values)
        assert answer["result"] == "ok", answer
        return answer["rows"]

    def read(self, sql, *wanted):
        """Each of `wanted` is (as, column) or (as, column, row)."""
        how = [{"as": one[0], "column": one[1], "row": one[2] if len(one) > 2 else 0} for one in wanted]
        return self.steps(sql, read=how)["rows"]


def log_lines(site, event):
    return [line for line in site.daemon.log_text().splitlines() if f" {event} " in line]

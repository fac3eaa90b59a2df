"""The module tests/modules/people.c, which makes and changes accounts, and its table of proofs."""

import json

from support.client import JSON
from support.processes import BUILD

PEOPLE = BUILD / "tests/people.so"
TABLES = """
CREATE SCHEMA people;
CREATE TABLE people.proofs (proof text PRIMARY KEY);
GRANT USAGE ON SCHEMA people TO {role};
GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA people TO {role};
"""


class People:
    """A daemon with the module, and what it is asked."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.database = daemon.database
        self.database.query(TABLES.format(role=self.database.cluster.DAEMON))

    def close(self):
        """The database is one that others use after this."""
        self.database.query("DROP SCHEMA people CASCADE")

    def post(self, path, headers=None, **fields):
        return self.daemon.ask(
            method="POST", path=f"/people/{path}", headers={**JSON, **(headers or {})}, body=json.dumps(fields), timeout=60
        )

    def do(self, call, **fields):
        answer = self.post("do", call=call, **fields)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def find(self, **which):
        """The account as the module gets it, or None."""
        (name, value), = which.items()
        answer = self.daemon.ask(path="/people/find", QUERY_STRING=f"{name}={value}", headers={"Accept": "application/json"})
        assert answer.status in (200, 404), answer
        return json.loads(answer.body) if answer.status == 200 else None

    def prove(self, user_id, proof="proof", headers=None, **fields):
        """Sign in by a proof that there is, unless it is "none"."""
        if proof != "none":
            self.database.query("INSERT INTO people.proofs VALUES (%s) ON CONFLICT DO NOTHING", proof)
        return self.post("sign-in", headers, user_id=user_id, proof=proof, **fields)

    def proofs(self):
        return self.database.value("SELECT count(*) FROM people.proofs")

    def events(self, user_id):
        return [
            row[0]
            for row in self.database.query("SELECT name FROM events WHERE user_id = %s ORDER BY id", user_id)
        ]

"""What is left of people whose accounts were deleted: nothing that tells of them, in no table."""

import hashlib
import json
import subprocess

import pytest

from support.by_mail import PASSWORD, post, settle
from support.client import JSON
from support.programs import Ctl, environment
from support.waiting import Background, wait_until

NAME, EMAIL, OTHER, NUMBER = "Yvonne", "yvonne@example.net", "yvette@example.net", 4711
IP, AGENT = "203.0.113.77", "Evebrowser/1.0"
# Of people, columns of these types; numbers of accounts are looked for by themselves.
TYPES = ("text", "character varying", "bytea", "inet", "cidr", "json", "jsonb", "name", "ARRAY")


def columns(database, types):
    return database.query(
        "SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables"
        " USING (table_schema, table_name)"
        " WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND data_type = ANY (%s) ORDER BY 1, 2",
        list(types),
    )


def traces(database):
    """Where something of the person stands: table, column and value."""
    words = [NAME, EMAIL, OTHER, IP, AGENT]
    words += [hashlib.sha256(word.lower().encode()).hexdigest() for word in (NAME, EMAIL, OTHER)]
    found = [
        (table, column, value)
        for table, column in columns(database, TYPES)
        for (value,) in database.query(f'SELECT "{column}"::text FROM {table} WHERE "{column}" IS NOT NULL')
        if any(word.lower() in value.lower() for word in words)
    ]
    found += [
        (table, column, NUMBER)
        for table, column in columns(database, ("bigint",))
        if (column == "user_id" or (table, column) == ("users", "id"))
        and database.value(f"SELECT count(*) FROM {table} WHERE {column} = %s", NUMBER)
    ]
    found += [
        ("code_tries", "subject", NUMBER)
        for _ in database.query("SELECT subject FROM code_tries WHERE subject = %s", str(NUMBER))
    ]
    return found


class Life:
    """A person's life at a site, with a row in every table that can have one."""

    def __init__(self, daemon):
        self.daemon, self.database, self.cookie = daemon, daemon.database, None
        self.database.query(
            "INSERT INTO users (id, username, password, email, email_verified_at)"
            " SELECT %s, %s, password, %s, now() FROM users WHERE username = 'alice'",
            NUMBER,
            NAME,
            EMAIL,
        )

    def post(self, path, **fields):
        headers = {**JSON, "User-Agent": AGENT, **({"Cookie": self.cookie} if self.cookie else {})}
        return self.daemon.ask(
            method="POST", path=f"/session/{path}", headers=headers, body=json.dumps(fields), REMOTE_ADDR=IP
        )

    def sign_in(self, password=None):
        self.cookie = None
        answer = self.post("login", username=NAME, password=password or self.database.password)
        if answer.status == 200:
            self.cookie = f"onesession={answer.cookie()}"
        return answer

    def live(self):
        for login in (NAME, EMAIL):
            self.post("login", username=login, password="not the password")
            assert self.post("forgot", login=login).status == 202
            assert self.post("reset", login=login, code="12345678", new_password=PASSWORD).status == 401
        for _ in range(3):
            assert self.sign_in().status == 200
            assert self.post("email", email=OTHER).status == 202
            self.post("login", username=EMAIL, password="not the password")
        assert self.post("signup", username="another", email=EMAIL, password=PASSWORD).status == 202
        Ctl(self.database.owner_conninfo).run("user", "rename", NAME, "Yves")
        Ctl(self.database.owner_conninfo).run("user", "rename", "Yves", NAME)
        settle(self.daemon)
        # As if a server had kept some from being sent.
        for column, value in (("login", NAME.upper()), ("login", EMAIL), ("recipient", EMAIL)):
            self.database.query(
                f"INSERT INTO mails (module, kind, {column}, next_at) VALUES ('session', 'reset', %s, 'infinity')", value
            )
        # A notice to a former address has no account.
        self.database.query(
            "INSERT INTO mails (module, kind, recipient, about_id, data, next_at) VALUES"
            " ('session', 'email_changed', %s, %s, %s, 'infinity')",
            OTHER,
            NUMBER,
            json.dumps({"user_id": NUMBER}),
        )

    def pass_time(self):
        """The pause is over, and so are the short windows of the throttle."""
        for table, column in (("login_failures", "began_at"), ("mail_domains", "free_at")):
            self.database.query(f"UPDATE {table} SET {column} = {column} - interval '1 day'")
        self.database.query("UPDATE users SET delete_at = now() - interval '1 s' WHERE id = %s", NUMBER)


@pytest.fixture(name="new_life")
def fixture_new_life(new_daemon, smtp):
    def make(settings=None):
        counted = {"login.attempts_per_user": 100, "login.attempts_per_address": 100}
        quiet = {"accounts.signup": "open", "session.purge_interval": "1d"}
        daemon = new_daemon({**counted, **quiet, **smtp.settings(), **(settings or {})})
        daemon.secrets.add(PASSWORD)
        life = Life(daemon.start())
        life.live()
        return life

    return make


@pytest.fixture(name="life")
def fixture_life(new_life):
    return new_life()


def purge_by_ctl(life):
    assert Ctl(life.database.owner_conninfo).json("purge")["accounts"] == 1


def purge_by_job(life):
    command = life.daemon.command("--run-job", "session.purge")
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stderr


def delete_by_operator(life):
    Ctl(life.database.owner_conninfo).run("user", "delete", NAME, "--erase")
    Ctl(life.database.owner_conninfo).run("purge")


def others(database):
    return (
        database.query("SELECT * FROM users WHERE username IN ('alice', 'bob') ORDER BY id"),
        database.query("SELECT * FROM events WHERE username IN ('alice', 'bob') ORDER BY id"),
        database.query("SELECT * FROM sessions ORDER BY id"),
    )


@pytest.mark.parametrize("erase", [purge_by_ctl, purge_by_job, delete_by_operator])
def test_nothing_of_the_person_is_left_in_any_table(life, erase):
    everywhere = {
        "users", "events", "sessions", "ended_sessions", "logged_in_user", "known_browsers", "mails", "mail_tokens",
        "signups", "login_failures", "code_tries",
    }  # fmt: skip
    assert everywhere - {table for table, _, _ in traces(life.database)} == set()
    assert life.daemon.ask(
        method="POST", path="/session/login", headers=JSON,
        body=json.dumps({"username": "bob", "password": life.database.password}),
    ).status == 200
    life.sign_in()
    assert life.post("delete").status == 202
    told = "SELECT state FROM mails WHERE kind = 'deletion'"
    wait_until(lambda: life.database.value(told) == "sent", "the mail that tells of it")
    # Who signs in is asked; this one does not answer.
    assert json.loads(life.sign_in().body)["delete_at"] is not None
    life.pass_time()
    before = life.database.value("SELECT count(*) FROM events")
    erase(life)
    assert traces(life.database) == []
    assert life.database.value("SELECT count(*) FROM events") >= before
    told = life.database.query("SELECT name, user_id, username, ip, user_agent FROM events WHERE name = 'user_deleted'")
    assert told == [("user_deleted", None, "", None, "")]
    assert life.daemon.ask(path="/session/auth", headers={"Cookie": life.cookie}).status == 401
    assert life.sign_in().status == 401


def test_what_is_not_due_or_was_kept_is_left_alone(life):
    before = others(life.database)
    life.sign_in()
    assert life.post("delete").status == 202
    assert Ctl(life.database.owner_conninfo).json("purge")["accounts"] == 0
    life.pass_time()
    life.sign_in()
    assert life.post("delete", keep=True).status == 204
    assert Ctl(life.database.owner_conninfo).json("purge")["accounts"] == 0
    assert life.daemon.ask(path="/session/auth", headers={"Cookie": life.cookie}).status == 200
    assert others(life.database)[:2] == before[:2]


def test_address_that_was_not_proved_is_another_s(life):
    """Whoever gives a stranger's address as theirs takes nothing from that one."""
    life.database.query("UPDATE users SET email_verified_at = NULL, delete_at = now() WHERE id = %s", NUMBER)
    assert Ctl(life.database.owner_conninfo).json("purge")["accounts"] == 1
    assert life.database.value("SELECT count(*) FROM signups WHERE email = %s", EMAIL) == 1


def test_account_that_cannot_be_deleted_keeps_none_of_the_others(life):
    database = life.database
    database.query("CREATE TABLE of_module (owner bigint REFERENCES users)")
    database.query("INSERT INTO of_module SELECT id FROM users WHERE username = 'alice'")
    database.query("UPDATE users SET delete_at = now() WHERE username IN ('alice', 'bob')")
    done = Ctl(database.owner_conninfo).call("--json", "purge")
    assert done.returncode == 0 and json.loads(done.stdout)["accounts"] == 1
    assert [name for (name,) in database.query("SELECT username FROM users ORDER BY id")] == ["alice", "dora", NAME]
    assert database.value("SELECT count(*) FROM events WHERE name = 'user_deleted'") == 1
    database.query("DROP TABLE of_module")
    assert Ctl(database.owner_conninfo).json("purge")["accounts"] == 1


def test_whoever_keeps_it_first_has_it(life):
    """The purge waits for the row, and looks again."""
    life.sign_in()
    life.pass_time()
    connection = life.database.connect()
    with connection.cursor() as cursor:
        cursor.execute("BEGIN; UPDATE users SET delete_at = NULL WHERE id = %s", (NUMBER,))
        purge = Background(lambda: Ctl(life.database.owner_conninfo).json("purge"))
        wait_until(
            lambda: life.database.value(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ),
            "the purge to wait",
        )
        cursor.execute("COMMIT")
    connection.close()
    assert purge.result()["accounts"] == 0
    assert life.database.value("SELECT count(*) FROM users WHERE id = %s", NUMBER) == 1


def test_kept_at_the_moment_of_the_purge_it_is_there_or_its_session_has_ended(new_daemon, database):
    daemon = new_daemon({"session.purge_interval": 0}).start()
    headers = {}
    for _ in range(4):
        answer = post(daemon, "login", username="alice", password=database.password)
        if answer.status == 401:
            break
        headers = {"Cookie": f"onesession={answer.cookie()}"}
        database.query("UPDATE users SET delete_at = now() WHERE username = 'alice'")
        purge = Background(lambda: Ctl(database.owner_conninfo).json("purge"))
        kept = post(daemon, "delete", headers=headers, keep=True).status
        assert (kept, purge.result()["accounts"]) in ((204, 0), (401, 1))
        if kept == 401:
            assert database.value("SELECT count(*) FROM users WHERE username = 'alice'") == 0
            break


@pytest.mark.nightly
def test_hundred_thousand_events_are_erased(new_daemon, database):
    new_daemon({"session.purge_interval": 0}).start()
    database.query(
        "INSERT INTO events (name, user_id, username, ip, user_agent)"
        " SELECT 'user_logged_in', u.id, u.username, %s, %s FROM users u, generate_series(1, 100000) WHERE username = 'alice'",
        IP,
        AGENT,
    )
    database.query("UPDATE users SET delete_at = now() WHERE username = 'alice'")
    assert Ctl(database.owner_conninfo).json("purge")["accounts"] == 1
    assert traces(database) == []
    assert database.value("SELECT count(*) FROM events WHERE username <> 'bob'") >= 100000

"""
Stories for every order of the real statements: actors at daemons of their own, what each was answered, and what has to
hold in the end.
"""

import hashlib
import json
import secrets
import threading
from dataclasses import dataclass

import psycopg2

from support import fastcgi
from support.client import JSON
from support.programs import Ctl, Daemon
from support.stepping import Actor, Gate

NEW_PASSWORD = "an entirely different battery"
# Only a machine that is very slow takes longer than these, and they only stand in the way of somebody who steps.
STEPPED = {
    "server.workers": 1,
    "server.request_timeout": "5m",
    "server.max_requests": 1000000,
    "database.statement_timeout": "60s",
    "session.purge_interval": "1d",
    "log.level": "warning",
}
# The order of logins as the database has seen it, whoever made them and whoever has heard of it.
REMEMBER_LOGINS = """
CREATE TABLE logins_seen (login_order bigint PRIMARY KEY, session_key bytea NOT NULL);
CREATE FUNCTION remember_login() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO logins_seen VALUES (new.login_order, new.session_key);
    RETURN NULL;
END $$;
CREATE TRIGGER remember_login AFTER INSERT ON sessions FOR EACH ROW EXECUTE FUNCTION remember_login();
CREATE FUNCTION remember_key() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    UPDATE logins_seen SET session_key = new.session_key WHERE login_order = new.login_order;
    RETURN NULL;
END $$;
CREATE TRIGGER remember_key AFTER UPDATE OF session_key ON sessions FOR EACH ROW EXECUTE FUNCTION remember_key();
CREATE TABLE users_kept AS SELECT * FROM users;
"""
CLEAN = """
DELETE FROM sessions; DELETE FROM logged_in_user; DELETE FROM ended_sessions; DELETE FROM events; DELETE FROM takeovers;
DELETE FROM login_tickets; DELETE FROM login_failures; DELETE FROM known_browsers; DELETE FROM anonymous_sessions;
DELETE FROM logins_seen;
UPDATE users u SET password = k.password, is_active = k.is_active, session_limit = k.session_limit
  FROM users_kept k WHERE k.id = u.id AND (u.password, u.is_active) IS DISTINCT FROM (k.password, k.is_active);
"""


@dataclass(eq=False)
class Key:
    """A cookie, and whose it is. `token` becomes another one when the session is confirmed."""

    token: str
    username: str
    name: str
    form: str = None

    @property
    def digest(self):
        return hashlib.sha256(self.token.encode()).digest()

    def __repr__(self):
        return self.name


@dataclass
class Told:
    """What somebody was told: the status, why not, the key that was issued, the rest."""

    status: int
    reason: str = None
    key: Key = None
    body: dict = None


class Act(Actor):
    """Somebody who does something. `permits`: the statuses that are right."""

    def __init__(self, gate, call, what, permits, asks_with=None, ends=None):
        super().__init__(gate, call)
        self.what, self.permits, self.asks_with = what, permits, asks_with
        self.ends = ends or (lambda key: None)


class Stage:
    """A database, and daemons with one worker each, every one behind a gate."""

    def __init__(self, database, settings, count, things):
        self.database, self.changed = database, threading.Condition()
        self.gates, self.daemons = [], []
        self.limit = settings.get("session.max_sessions", 1)
        for _ in range(count):
            gate = things.add(Gate(database.cluster, self.changed))
            own = {**STEPPED, "database.conninfo": gate.conninfo(database), **settings}
            self.gates.append(gate)
            self.daemons.append(things.add(Daemon(database, own)))
        for daemon in self.daemons:
            daemon.start()

    def ask(self, number, method, path, token=None, fields=None):
        headers = {**JSON, **({"Cookie": f"onesession={token}"} if token else {})}
        body = json.dumps(fields).encode() if fields is not None else b""
        return fastcgi.send(
            self.daemons[number].address, method=method, path="/session" + path, headers=headers, body=body, timeout=120
        )


class Story:
    """One run: what was there before, who does what, and what is right in the end."""

    def __init__(self, stage):
        self.stage, self.database, self.keys, self.acts = stage, stage.database, [], []
        self.has_rows_from_outside = False
        self.database.query(CLEAN)

    def _key(self, token, username, name):
        self.keys.append(Key(token, username, name))
        return self.keys[-1]

    def _told(self, answer, username, name):
        token = answer.cookie()
        body = json.loads(answer.body) if answer.body.startswith(b"{") else {}
        return Told(answer.status, body.get("code"), self._key(token, username, name) if token else None, body)

    def _act(self, call, *args, **kwargs):
        self.acts.append(Act(self.stage.gates[len(self.acts)], call, *args, **kwargs))
        return self.acts[-1]

    # ---- Before ----

    def sign_in(self, name, username="alice", number=0):
        fields = {"username": username, "password": self.database.password}
        told = self._told(self.stage.ask(number, "POST", "/login", fields=fields), username, name)
        assert told.status == 200
        return told.key

    def row_from_outside(self, name, username="alice"):
        key = self._key(secrets.token_urlsafe(32), username, name)
        self.has_rows_from_outside = True
        self.database.query(*self._insert(key))
        return key

    def ticket(self, username="alice"):
        """What somebody gets who is asked whether to take the account over."""
        answer = fastcgi.send(
            self.stage.daemons[0].address,
            method="POST",
            path="/session/login",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=f"username={username}&password={self.database.password.replace(' ', '+')}",
        )
        assert answer.status == 409
        return answer.body.decode().partition('name="ticket" value="')[2].partition('"')[0]

    def _insert(self, key):
        return (
            "INSERT INTO sessions (session_key, user_id, expires_at)"
            " SELECT %s, id, now() + interval '1 hour' FROM users WHERE username = %s",
            key.digest,
            key.username,
        )

    # ---- Who does what ----

    def login(self, username="alice", having=None, permits=(200,), **fields):
        number = len(self.acts)
        name = f"login {number}"
        if "ticket" not in fields:
            fields = {"username": username, "password": self.database.password, **fields}

        def call():
            answer = self.stage.ask(number, "POST", "/login", having and having.token, fields)
            told = self._told(answer, username, name)
            if told.key is not None:
                told.key.form = fields.get("form")
            return told

        def ends(key):
            is_repeated = key.form is not None and key.form == fields.get("form")
            return "logged_out" if key is having or is_repeated else None

        return self._act(call, "login", permits, ends=ends)

    def hook(self, key):
        number, token = len(self.acts), key.token

        def call():
            answer = self.stage.ask(number, "GET", "/auth", token)
            return Told(answer.status, answer.get("Session-Reason"))

        return self._act(call, "hook", (200, 401), asks_with=key)

    def logout(self, key):
        number, token = len(self.acts), key.token
        return self._act(
            lambda: Told(self.stage.ask(number, "POST", "/logout", token).status),
            "logout",
            (204,),
            ends=lambda other: "logged_out" if other is key else None,
        )

    def change_password(self, key):
        number = len(self.acts)
        fields = {"current_password": self.database.password, "new_password": NEW_PASSWORD}

        def call():
            return self._told(
                self.stage.ask(number, "POST", "/password", key.token, fields), key.username, f"password {number}"
            )

        return self._act(call, "password", (200, 401), ends=lambda other: "password_changed")

    def confirm(self, key):
        """Whoever asks with the former key is nobody from then on."""
        number, token = len(self.acts), key.token
        fields = {"password": self.database.password}

        def call():
            answer = self.stage.ask(number, "POST", "/confirm", token, fields)
            key.token = answer.cookie() or key.token
            body = json.loads(answer.body)
            return Told(answer.status, body.get("code"), body=body)

        return self._act(
            call, "confirm", (200, 401), ends=lambda other: "unauthenticated" if other is key else None
        )

    def end_other(self, key, other):
        number = len(self.acts)
        public = self.database.value("SELECT id::text FROM sessions WHERE session_key = %s", other.digest)
        return self._act(
            lambda: Told(self.stage.ask(number, "POST", f"/sessions/{public}/end", key.token).status),
            "end",
            (200, 204, 401, 404),
            ends=lambda ended: "revoked" if ended is other else None,
        )

    def insert(self, key_name="outside", username="alice", in_transaction=False):
        """Another program makes a session."""
        gate = self.stage.gates[len(self.acts)]
        key = self._key(secrets.token_urlsafe(32), username, key_name)

        def call():
            connection = psycopg2.connect(gate.conninfo(self.database, self.database.cluster.OWNER))
            try:
                connection.autocommit = not in_transaction
                with connection.cursor() as cursor:
                    sql, *values = self._insert(key)
                    cursor.execute(sql, values)
                connection.commit()
            finally:
                connection.close()
            return Told(200)

        return self._act(call, "insert", (200,))

    def operator(self, *words, reason):
        gate = self.stage.gates[len(self.acts)]
        ctl = Ctl(gate.conninfo(self.database, self.database.cluster.OWNER))

        def call():
            done = ctl.call(*words)
            assert done.returncode in (0, 1) and "unavailable" not in done.stderr, done.stderr
            return Told(200 if done.returncode == 0 else 404)

        return self._act(call, "operator", (200, 404), ends=lambda key: reason)

    # ---- Afterwards ----

    def _ask_all(self, number, keys):
        found = {}
        for key in keys:
            answer = self.stage.ask(number, "GET", "/auth", key.token)
            assert answer.status in (200, 401), (key, answer.status)
            found[key] = answer.get("Session-Reason")
            assert (answer.status == 200) == (found[key] == ""), key
        return found

    def judge(self, oldest_first):
        for act in self.acts:
            assert act.outcome.status in act.permits, (act.what, act.outcome)
        by_digest = {key.digest: key for key in self.keys}
        rows = self.database.query("SELECT session_key FROM logins_seen ORDER BY login_order")
        logins = [by_digest[bytes(row[0])] for row in rows]
        assert set(logins) == set(self.keys), "a key that was issued is that of a login, and none goes unheard"
        self._judge_rows(logins)
        found = self._ask_all(0, logins if oldest_first else reversed(logins))
        for number in range(1, len(self.stage.daemons)):
            assert self._ask_all(number, reversed(logins)) == found
        for username in {key.username for key in logins}:
            self._judge_account(username, [key for key in logins if key.username == username], found)
        return found

    def _judge_rows(self, logins):
        """What a request would have to put right is left behind by other programs only."""
        if any(act.what == "insert" for act in self.acts) or self.has_rows_from_outside:
            return
        for username in {key.username for key in logins}:
            newest = [key for key in logins if key.username == username][-1]
            rows = self.database.query(
                "SELECT session_key FROM sessions JOIN users u ON u.id = user_id WHERE username = %s", username
            )
            assert len(rows) <= self.stage.limit, "a login has left more than the limit"
            if newest.digest in {bytes(row[0]) for row in rows}:
                assert self.database.stored_key(username) == newest.digest, "the newest one's key is not stored"

    def _newer(self, logins, key):
        return logins[logins.index(key) + 1 :]

    def _judge_account(self, username, logins, found):
        limit = self.stage.limit
        live = [key for key in logins if found[key] == ""]
        assert len(live) <= limit, f"live at once: {live}"
        rows = self.database.query(
            "SELECT e.session_key, e.reason FROM ended_sessions e JOIN users u ON u.id = e.user_id WHERE username = %s",
            username,
        )
        ended = {bytes(row[0]): row[1] for row in rows}
        for key in logins:
            newer, reason = self._newer(logins, key), found[key]
            if reason == "":
                assert key.digest not in ended
            else:
                assert ended.get(key.digest) == reason, (key, reason, ended)
                caused = [act for act in self.acts if act.ends(key) == reason]
                assert len(newer) >= limit if reason == "displaced" else caused, f"{key}: {reason}, for what cause?"
        for act in self.acts:
            if act.asks_with is not None and act.asks_with.username == username:
                self._judge_hook(act, logins)
        rows = self.database.query(
            "SELECT s.session_key FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.username = %s", username
        )
        assert {bytes(row[0]) for row in rows} == {key.digest for key in live}
        stored = self.database.query(
            "SELECT session_key FROM logged_in_user JOIN users u ON u.id = user_id WHERE username = %s", username
        )
        assert [bytes(row[0]) if row[0] else None for row in stored] == [key.digest for key in live[-1:]]

    def _judge_hook(self, act, logins):
        """What a request was told that ran at the same time."""
        newer = self._newer(logins, act.asks_with)
        told = act.outcome
        made = {other.outcome.key: other for other in self.acts if other.outcome.key is not None}
        before = [key for key in newer if key not in made or made[key].last_step <= act.first_step]
        inserts = [other for other in self.acts if other.what == "insert" and other.last_step > act.first_step]
        if len(before) - len(inserts) >= self.stage.limit:
            assert told.status == 401, f"let in although {before} were newer"
        if told.reason == "displaced":
            assert len(newer) >= self.stage.limit
        elif told.reason:
            assert any(other.ends(act.asks_with) == told.reason for other in self.acts), told

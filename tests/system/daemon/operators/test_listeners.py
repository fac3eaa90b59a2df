"""
Programs that listen to what happens. The listeners of docs/listeners, run as they are, end the video on a device that
is not signed in any more; and what NOTIFY onesession carries.
"""

import ast
import itertools
import json
import os
import re
import signal
import uuid

import psycopg2
import psycopg2.errors
import pytest

from support.browser import CHROME, ROBOT
from support.closing import database_and_things, remember_log
from support.nginx import Nginx
from support.processes import ROOT, discard, end, scratch, spawn, tail
from support.programs import Daemon
from support.site import Site
from support.streams import Player, Streams
from support.waiting import wait_until

LISTENERS = ROOT / "docs/listeners"
COMMANDS = {
    "python": ["/usr/bin/python3", LISTENERS / "listener.py"],
    "php": ["php", LISTENERS / "listener.php"],
    "node": ["node", LISTENERS / "listener.cjs"],
}
MODULES = ROOT / "build/npm/node_modules"
# It may read events, as docs/events.md has it, and nothing else.
ROLE = "ones_listener"


class Listener:
    """One of the listeners, as a service would run it: whatever it is told is in its environment."""

    def __init__(self, language, database, streams):
        self.command = COMMANDS[language]
        self.database = database
        self.folder = scratch("listen")
        self.log = self.folder / "log"
        self.log.touch()
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "NODE_PATH": os.pathsep.join(filter(None, [str(MODULES), os.environ.get("NODE_PATH")])),
            "PGHOST": str(database.cluster.sockets),
            "PGDATABASE": database.name,
            "PGUSER": ROLE,
            "STREAMS": streams.url,
        }
        self.process = None
        self.watcher = None

    def start(self):
        self.process = spawn(self.command, self.log, env=self.environment)
        return self.wait_until_it_listens()

    def wait_until_it_listens(self):
        wait_until(self._listens, f"the listener to listen:\n{tail(self.log)}")
        return self

    def _listens(self):
        """The server waits for it, after it has asked for what it may have missed."""
        assert self.process.poll() is None, f"the listener ended:\n{tail(self.log)}"
        try:
            if self.watcher is None:
                self.watcher = self.database.connect(self.database.cluster.superuser)
            with self.watcher.cursor() as cursor:
                cursor.execute(
                    "SELECT FROM pg_stat_activity WHERE datname = current_database() AND usename = %s"
                    " AND state = 'idle' AND query LIKE 'SELECT id, at%%FROM events%%'",
                    (ROLE,),
                )
                return cursor.rowcount == 1
        except psycopg2.OperationalError:
            # The server has been restarted by the test.
            self.stop_watching()
            return False

    def stop_watching(self):
        if self.watcher is not None:
            self.watcher.close()
            self.watcher = None

    def lose_connection(self):
        """It does not notice before it is let go on."""
        self.process.send_signal(signal.SIGSTOP)
        self.database.cluster.terminate_backends(self.database.name, ROLE)
        wait_until(lambda: not self.database.cluster.backends(self.database.name, ROLE), "the connection to end")

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def close(self):
        try:
            self.stop_watching()
            if self.process is not None:
                self.go_on()
                end(self.process)
        finally:
            discard(self.folder)


class Video:
    """A site with nothing but video, behind the guard, with a listener. Tests may share it, but no account."""

    names = (f"user{number}" for number in itertools.count())

    def __init__(self, site, streams, listener):
        self.site, self.streams, self.listener = site, streams, listener
        self.browse, self.closing = None, None
        self.accounts = {}

    def begin(self, browse, closing):
        """A test does. What happened in those before it has been told by then."""
        self.browse, self.closing = browse, closing
        self.accounts.clear()
        # The one before may have restarted the server.
        self.site.database.close()
        marker = str(uuid.uuid4())
        self.site.database.query("INSERT INTO events (name, session_id) VALUES ('session_displaced', %s)", marker)
        self.site.database.query("NOTIFY onesession")
        wait_until(lambda: marker in self.streams.asked, "the listener to have told what happened before the test")
        self.listener.wait_until_it_listens()
        self.listener.log.write_text("")
        self.streams.asked.clear()
        return self

    def account(self, user):
        """The name of the test's own account that it calls `user`."""
        if user not in self.accounts:
            self.accounts[user] = next(self.names)
            self.site.database.add_user(self.accounts[user])
        return self.accounts[user]

    def play(self, user="alice"):
        """Sign in on a new device and play: its session, and the player, to which video comes."""
        browser, player = self.play_in(user)
        return browser.me().json()["session"]["id"], player

    def play_in(self, user):
        """The same, with the device."""
        browser = self.browse(self.site, user_agent=CHROME)
        browser.sign_in(self.account(user))
        player = self.closing.add(Player(browser))
        wait_until(player.goes_on(), "the video to begin")
        return browser, player


def make_video(language, database, things):
    try:
        database.cluster.execute(f"CREATE ROLE {ROLE} LOGIN")
    except psycopg2.errors.DuplicateObject:
        pass
    database.query(f"GRANT SELECT ON events TO {ROLE}")
    streams = things.add(Streams())
    daemon = things.add(Daemon(database)).start()
    changes = {"http://127.0.0.1:8000;": f"http://127.0.0.1:{streams.port};"}
    nginx = things.add(Nginx(daemon.address, changes=changes))
    site = Site(database, daemon, nginx.start())
    return Video(site, streams, things.add(Listener(language, database, streams)).start())


def remember_logs(node, video):
    remember_log(node, "onesessiond", video.site.daemon.log)
    remember_log(node, "nginx", video.site.nginx.log)
    remember_log(node, "the listener", video.listener.log)


LANGUAGES = [pytest.param(language, marks=pytest.mark.xdist_group(f"listener-{language}")) for language in COMMANDS]


@pytest.fixture(scope="module", params=LANGUAGES)
def shared_video(request, cluster_of_worker):
    with database_and_things(cluster_of_worker) as (database, things):
        yield make_video(request.param, database, things)


@pytest.fixture
def video(request, cluster, shared_video, browse, closing):  # pylint: disable=unused-argument
    """The cluster runs, whatever the test before did to it."""
    remember_logs(request.node, shared_video)
    return shared_video.begin(browse, closing)


@pytest.fixture(params=LANGUAGES)
def own_video(request, database, browse, closing):
    """For a test that changes the database, or the listener, for good."""
    made = make_video(request.param, database, closing)
    remember_logs(request.node, made)
    return made.begin(browse, closing)


# ---- The listeners ---------------------------------------------------------------------------------------------------


def test_video_ends_on_the_old_device_and_goes_on_on_the_new_one(video):
    _, bystander = video.play("bob")
    old_session, old = video.play()
    new_session, new = video.play()
    wait_until(lambda: old.has_ended, "the video on the old device to end")
    wait_until(new.goes_on(), "the video on the new device to go on")
    wait_until(bystander.goes_on(), "the video of somebody else to go on")
    assert not video.streams.is_playing(old_session)
    assert video.streams.is_playing(new_session)
    assert set(video.streams.asked) == {old_session}


def test_video_ends_with_a_session_that_an_operator_ends(video):
    session_id, player = video.play()
    _, bystander = video.play("bob")
    video.site.ctl().run("session", "end", session_id)
    wait_until(lambda: player.has_ended, "the video to end")
    wait_until(bystander.goes_on(), "the video of somebody else to go on")


@pytest.mark.parametrize("command", ["disable", "delete"])
def test_video_ends_with_an_account_that_an_operator_closes(video, command):
    _, player = video.play()
    video.site.ctl().run("user", command, video.account("alice"))
    wait_until(lambda: player.has_ended, "the video to end")


def test_video_ends_with_a_session_that_its_browser_replaces(video):
    """Or it would go on when another device displaces the browser's new session."""
    browser, player = video.play_in("alice")
    browser.sign_in(video.account("alice"))
    wait_until(lambda: player.has_ended, "the video of the session before the second sign-in to end")
    player = video.closing.add(Player(browser))
    passwords = {"current_password": video.site.database.password, "new_password": "another one of mine"}
    assert browser.post("/session/password", passwords).status_code == 200
    wait_until(lambda: player.has_ended, "the video of the session before the change of the password to end")


def test_listener_outlives_a_restart_of_the_database(video):
    _, first = video.play()
    cluster = video.site.database.cluster
    cluster.stop()
    cluster.start()
    video.site.daemon.await_database()
    video.listener.wait_until_it_listens()
    wait_until(first.goes_on(), "the video to go on: nobody has ended it")
    _, second = video.play()
    wait_until(lambda: first.has_ended, "the video on the old device to end")
    wait_until(second.goes_on(), "the video on the new device to go on")


def test_listener_catches_up_with_what_happened_while_it_was_away(video):
    _, first = video.play()
    video.listener.lose_connection()
    _, second = video.play()
    video.listener.go_on()
    wait_until(lambda: first.has_ended, "the video on the old device to end")
    wait_until(second.goes_on(), "the video on the new device to go on")


def test_listener_tries_again_when_the_streams_do_not_answer(own_video):
    # That of Python keeps the connection that it has given up for a while, and does not read from it.
    video = own_video
    session_id, first = video.play()
    video.streams.drops = 1
    _, second = video.play()
    wait_until(lambda: first.has_ended, "the video on the old device to end")
    wait_until(second.goes_on(), "the video on the new device to go on")
    assert set(video.streams.asked) == {session_id}


STRANGER = "ones_stranger"

FORGED = {
    "nothing": "",
    "text": "x",
    "a number": "7",
    "null": "null",
    "a list": '[{"name": "session_displaced"}]',
    "no name": "{}",
    "another name's form": '{"name": {"a": 1}, "session_id": []}',
    "no session": '{"id": 1, "name": "session_displaced", "session_id": null}',
    "a path": '{"id": "../admin/users/1", "name": "session_displaced", "session_id": "../admin/users/1"}',
    "a statement": '{"id": "1; DROP TABLE events", "name": "user_logged_out", "session_id": "\'; DROP TABLE events; --"}',
    "broken JSON": '{"name": "session_displaced", "session_id": ',
    "no text": "\x01\x7f\u2028",
    "the longest": "x" * 7999,
}


def stranger_to(video):
    """Somebody who may connect to the database, and no more."""
    database = video.site.database
    database.cluster.execute(
        f"DO $$ BEGIN CREATE ROLE {STRANGER} LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    return video.closing.add(database.connect(STRANGER))


def test_notification_that_somebody_forged_does_nothing(video):
    stranger = stranger_to(video)
    session_id, player = video.play()
    forged = [*FORGED.values(), json.dumps({"id": 1, "name": "session_displaced", "session_id": session_id})]
    with stranger.cursor() as cursor:
        for payload in forged:
            cursor.execute("SELECT pg_notify('onesession', %s)", (payload,))
            # Each by itself, too.
            video.listener.wait_until_it_listens()
        for payload in forged * 20:
            cursor.execute("SELECT pg_notify('onesession', %s)", (payload,))
    pid = video.listener.process.pid
    _, other = video.play()
    wait_until(lambda: player.has_ended, "the video on the old device to end")
    wait_until(other.goes_on(), "the video on the new device to go on")
    assert video.streams.asked == [session_id] and video.streams.misled == []
    assert video.listener.process.pid == pid and video.listener.log.read_text() == ""


def test_event_with_something_else_than_a_session_is_passed_over(own_video):
    """The column holds nothing else today. A listener goes by what it sees."""
    video = own_video
    _, player = video.play()
    database = video.site.database
    database.query("ALTER TABLE events ALTER session_id TYPE text")
    database.query("INSERT INTO events (name, session_id) VALUES ('session_displaced', '../admin/users/1'),"
                   " ('session_displaced', NULL), ('user_logged_out', ''),"
                   " ('user_logged_out', '00112233-4455-6677-8899-aabbccddeeff' || chr(10))")
    database.query("NOTIFY onesession")
    marker = "00112233-4455-6677-8899-aabbccddee00"
    database.query("INSERT INTO events (name, session_id) VALUES ('session_displaced', %s)", marker)
    database.query("NOTIFY onesession")
    wait_until(lambda: marker in video.streams.asked, "the last one to be told")
    assert video.streams.asked == [marker] and video.streams.misled == []
    wait_until(player.goes_on(), "the video to go on")


def test_event_that_comes_late_is_read(video):
    """Its transaction began before one whose event was read: it has the lower id and the earlier time."""
    database = video.site.database
    late = database.connect()
    late.autocommit = False
    first, second = "00112233-4455-6677-8899-aabbccddee01", "00112233-4455-6677-8899-aabbccddee02"
    with late.cursor() as cursor:
        cursor.execute("INSERT INTO events (name, session_id) VALUES ('session_displaced', %s)", (first,))
    database.query("INSERT INTO events (name, session_id) VALUES ('session_displaced', %s)", second)
    database.query("NOTIFY onesession")
    wait_until(lambda: second in video.streams.asked, "the one that was committed first")
    with late.cursor() as cursor:
        cursor.execute("NOTIFY onesession")
    late.commit()
    late.close()
    wait_until(lambda: first in video.streams.asked, "the other one")
    assert video.streams.asked == [second, first], "each is told once"


def test_statements_that_keep_strangers_out_are_true(own_video):
    """Those of docs/events.md."""
    video = own_video
    stranger_to(video)
    database = video.site.database
    text = (ROOT / "docs/events.md").read_text()
    (statements,) = re.findall(r"```sql\n(REVOKE CONNECT.*?)```", text, re.S)
    names = {"DATABASE onesession": f"DATABASE {database.name}", "TO onesession, listener": f"TO {database.cluster.DAEMON}, {ROLE}"}
    for name, own in names.items():
        assert name in statements
        statements = statements.replace(name, own)
    database.query(statements)
    with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
        database.connect(STRANGER)
    cluster = database.cluster
    cluster.terminate_backends(database.name, ROLE)
    cluster.terminate_backends(database.name)
    video.site.daemon.await_database()
    _, player = video.play()
    video.site.ctl().run("session", "end", "--all")
    wait_until(lambda: player.has_ended, "the video to end")


# ---- What is sent ----------------------------------------------------------------------------------------------------

# Each has accounts of its own, so that one site is enough.
SHARING = pytest.mark.xdist_group("listeners-sharing")


class Ear:
    """Listens as the tables' owner."""

    def __init__(self, database):
        self.connection = database.connect()
        with self.connection.cursor() as cursor:
            cursor.execute("LISTEN onesession")

    def hear(self, last):
        """The events that were sent, once there is one of the name `last`."""
        wait_until(lambda: any(event["name"] == last for event in self.heard()), f"the event {last}")
        return self.heard()

    def heard(self):
        self.connection.poll()
        return [json.loads(notification.payload) for notification in self.connection.notifies]

    def sizes(self):
        return [len(notification.payload.encode()) for notification in self.connection.notifies]

    def close(self):
        self.connection.close()


@SHARING
def test_what_is_sent_is_what_is_written(shared_site, browse, closing):
    site = shared_site
    ear = closing.add(Ear(site.database))
    browse(site).sign_in()
    other = browse(site, user_agent=CHROME)
    other.sign_in()
    other.login(password="wrong")
    other.logout()
    heard = ear.hear("user_logged_out")
    columns = ["id", "name", "user_id", "username", "session_id", "ip", "user_agent", "detail"]
    rows = site.database.query(
        "SELECT id, name, user_id, username, session_id::text, host(ip), user_agent, detail,"
        " to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM events WHERE id >= %s ORDER BY id",
        heard[0]["id"],
    )
    assert heard == [dict(zip([*columns, "at"], row)) for row in rows]
    # What one login does is told in no order that could be relied on.
    assert sorted(event["name"] for event in heard) == sorted(
        ["user_logged_in", "session_displaced", "user_logged_in", "user_login_failed", "user_logged_out"]
    )


def test_login_that_is_rolled_back_sends_nothing(application, browse, closing):
    ear = closing.add(Ear(application.database))
    browse(application).sign_in("bob")
    robot = browse(application, user_agent=ROBOT, permits_5xx=True)
    assert robot.login("bob").status_code == 500
    assert robot.login("alice").status_code == 500
    browse(application).sign_in("alice")
    wait_until(lambda: ear.heard()[-1:] and ear.heard()[-1]["username"] == "alice", "the last login")
    told = [(event["name"], event["username"]) for event in ear.heard()]
    assert told == [("user_logged_in", "bob"), ("user_logged_in", "alice")]


LONGEST = {
    "four bytes a character": "\U0001f600",
    "quotes": '"',
    "backslashes": "\\",
}


@SHARING
@pytest.mark.parametrize("character", LONGEST.values(), ids=LONGEST)
def test_longest_name_and_user_agent_fit_into_a_notification(shared_site, browse, closing, character):
    site = shared_site
    ear = closing.add(Ear(site.database))
    name = character * 150
    site.database.add_user(name)
    first, second = browse(site), browse(site)
    for browser in (first, second):
        # A web server would not let all of these through; the daemon has to bear them all the same.
        answer = site.daemon.ask(
            method="POST",
            path="/session/login",
            headers={"Content-Type": "application/json", "User-Agent": character * 5000},
            body=json.dumps({"username": name, "password": site.database.password}),
        )
        assert answer.status == 200
    heard = ear.hear("session_displaced")
    assert {event["username"] for event in heard} == {name}
    assert all(len(event["user_agent"]) <= 300 for event in heard)
    assert max(ear.sizes()) < 8000


def test_longest_detail_fits_into_a_notification(database):
    """The statement itself, with more than anything that the programs write today."""
    header = (ROOT / "daemon/session/events_sql.h").read_text()
    macro = re.search(r"#define SQL_EVENT_PAYLOAD.*?\n\n", header, re.S)[0].replace('SQL_ISO_8601("at")', '"at"')
    payload = "".join(ast.literal_eval(text) for text in re.findall(r'"(?:[^"\\]|\\.)*"', macro))
    # PostgreSQL's own limit: what is longer is an error.
    with database.connect() as connection, connection.cursor() as cursor:
        for size in (3980, 4100, 100000):
            cursor.execute(
                "WITH e AS (SELECT 1 AS id, now() AS at, 'a_name_as_long_as_any' AS name, 1 AS user_id,"
                " repeat(E'\\x01', 150) AS username, gen_random_uuid() AS session_id, '2001:db8::1'::inet AS ip,"
                f" repeat(E'\\x01', 2000) AS user_agent, jsonb_build_object('a', repeat('b', {size})) AS detail)"
                f" SELECT pg_notify('onesession', {payload}) FROM e"
            )


# ---- The listeners in docs -------------------------------------------------------------------------------------------


def test_listeners_that_the_documentation_shows_are_those_that_are_tested():
    shown = (ROOT / "docs/events.md").read_text()
    for _, path in COMMANDS.values():
        assert f"\n{path.read_text()}```\n" in shown, path.name

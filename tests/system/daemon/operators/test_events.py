"""onesessionctl events, for people and programs that follow what happens: none is missed, and none told twice."""

import json
import os
import re
import signal
import subprocess

import pytest

from support import replication
from support.processes import children_of, that_ends_with_parent
from support.programs import Ctl
from support.terminal import Terminal
from support.waiting import PATIENCE, Background, wait_until


@pytest.fixture
def database(database):  # pylint: disable=redefined-outer-name
    """Without the events of the making of its accounts."""
    database.query("DELETE FROM events")
    return database


@pytest.fixture
def site(site):  # pylint: disable=redefined-outer-name
    site.database.query("DELETE FROM events")
    return site


KEYS = {"id", "at", "name", "user_id", "username", "session_id", "ip", "user_agent", "detail"}


def add_events(database, count, name="noted"):
    database.query("INSERT INTO events (name) SELECT %s || n FROM generate_series(1, %s) AS n", name, count)


def test_latest_events_oldest_first(site, browse):
    browse(site).sign_in("alice")
    browse(site).sign_in("bob")
    listed = site.ctl().json("events")
    assert [event["name"] for event in listed] == ["user_logged_in"] * 2
    assert [event["username"] for event in listed] == ["alice", "bob"]
    assert all(set(event) == KEYS for event in listed)
    assert [event["username"] for event in site.ctl().json("events", "--user", "BOB")] == ["bob"]
    table = site.ctl().run("events")
    assert re.search(r"^TIME +EVENT +USERNAME", table)
    assert "user_logged_in  alice" in table


def test_how_many_events(database, ctl):
    add_events(database, 60)
    assert [event["name"] for event in ctl.json("events")] == [f"noted{n}" for n in range(11, 61)]
    assert [event["name"] for event in ctl.json("events", "--last", "2")] == ["noted59", "noted60"]
    assert ctl.json("events", "--last", "0") == []
    assert ctl.call("events", "--last", "x").returncode == 64


def test_no_events(ctl):
    assert ctl.run("events") == "No events.\n"
    assert "no such account" in ctl.refused("events", "--user", "nobody")


class Following:
    """onesessionctl events --follow, and what it has told so far."""

    def __init__(self, ctl, folder, *words):
        self.out, self.err = folder / "out", folder / "err"
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(
                that_ends_with_parent(ctl.command("--json", "events", "--follow", *words)),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    def close(self):
        self.process.kill()
        self.process.wait()

    @property
    def told(self):
        lines = self.out.read_text().split("\n")[:-1]
        return [json.loads(line)["name"] for line in lines]

    def wait_for(self, *names):
        wait_until(lambda: self.told == list(names), f"{names} to be told")


@pytest.fixture
def follow(closing, database, tmp_path):
    """By the daemon's role, so that its connections can be told from the tests' own."""
    ctl = Ctl(database.conninfo)
    return lambda *words: closing.add(Following(ctl, tmp_path, *words))


def test_follow_tells_what_happens_from_now_on(database, follow):
    add_events(database, 2, "before")
    following = follow()
    following.wait_for("before1", "before2")
    add_events(database, 1, "now")
    following.wait_for("before1", "before2", "now1")
    following.process.send_signal(signal.SIGINT)
    assert following.process.wait() == -signal.SIGINT
    assert following.err.read_text() == ""


def test_follow_begins_with_the_latest(database, follow):
    add_events(database, 5, "old")
    following = follow("--last", "2")
    following.wait_for("old4", "old5")
    add_events(database, 1, "new")
    following.wait_for("old4", "old5", "new1")


def test_follow_of_one_account(site, browse, closing, tmp_path):
    following = closing.add(Following(site.ctl(), tmp_path, "--user", "bob"))
    browse(site).sign_in("alice")
    browse(site).sign_in("bob")
    following.wait_for("user_logged_in")


def test_follow_tells_what_is_committed_out_of_order_once(database, follow):
    """Ids are given before the commit: a lower one may be seen after a higher one."""
    following = follow()
    slow, quick = database.connect(), database.connect()
    try:
        slow.autocommit = quick.autocommit = False
        slow.cursor().execute("INSERT INTO events (name) VALUES ('slow')")
        quick.cursor().execute("INSERT INTO events (name) VALUES ('quick'); NOTIFY onesession")
        quick.commit()
        following.wait_for("quick")
        slow.cursor().execute("NOTIFY onesession")
        slow.commit()
        following.wait_for("quick", "slow")
    finally:
        slow.close()
        quick.close()
    add_events(database, 1, "last")
    following.wait_for("quick", "slow", "last1")


def test_follow_misses_nothing_when_the_connection_is_lost(cluster, database, follow):
    following = follow()
    add_events(database, 1, "first")
    following.wait_for("first1")
    for number in range(3):
        cluster.terminate_backends(database.name)
        add_events(database, 2, f"meanwhile{number}.")
    expected = ["first1"] + [f"meanwhile{number}.{n}" for number in range(3) for n in (1, 2)]
    following.wait_for(*expected)


def test_follow_goes_on_after_a_restart_of_the_database(cluster, database, follow):
    following = follow()
    add_events(database, 1, "before")
    following.wait_for("before1")
    database.close()
    cluster.stop()
    wait_until(lambda: "trying again" in following.err.read_text(), "the loss to be told")
    cluster.start()
    add_events(database, 1, "after")
    following.wait_for("before1", "after1")


def test_follow_ends_quietly_when_nobody_reads(database, ctl):
    reader, writer = os.pipe()
    process = subprocess.Popen(
        that_ends_with_parent(ctl.command("events", "--follow")),
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(writer)
    os.close(reader)
    try:
        add_events(database, 1)
        process.wait(60)
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_follow_tells_what_a_long_transaction_did_in_the_end(database, follow):
    """An id that was given before thousands of others, and that is seen long after these were settled."""
    following = follow()
    add_events(database, 1, "first")
    following.wait_for("first1")
    slow = database.connect()
    try:
        slow.autocommit = False
        slow.cursor().execute("INSERT INTO events (name) VALUES ('slow')")
        add_events(database, 2500, "quick")
        names = ["first1"] + [f"quick{n}" for n in range(1, 2501)]
        following.wait_for(*names)
        slow.cursor().execute("NOTIFY onesession")
        slow.commit()
        following.wait_for(*names, "slow")
    finally:
        slow.close()


def test_follow_tells_what_began_before_it_did(database, follow):
    slow = database.connect()
    try:
        slow.autocommit = False
        slow.cursor().execute("INSERT INTO events (name) VALUES ('slow')")
        add_events(database, 3, "before")
        following = follow("--last", "1")
        following.wait_for("before3")
        slow.commit()
        following.wait_for("before3", "slow")
    finally:
        slow.close()


def test_follow_of_many_writers_tells_each_event_once(database, follow):
    """Commits in any order, some of transactions that are rolled back, and a connection that is lost in between."""
    following = follow()
    add_events(database, 1, "first")
    following.wait_for("first1")

    def write(writer):
        connection = database.connect()
        try:
            connection.autocommit = False
            cursor = connection.cursor()
            for number in range(60):
                for part in "ab":
                    cursor.execute("INSERT INTO events (name) VALUES (%s)", (f"{writer}.{number}{part}",))
                cursor.execute("NOTIFY onesession")
                if number % 7 == 0:
                    connection.rollback()
                else:
                    connection.commit()
        finally:
            connection.close()

    writers = [Background(write, writer) for writer in range(4)]
    database.cluster.terminate_backends(database.name)
    for writer in writers:
        writer.result()
    database.cluster.terminate_backends(database.name)
    add_events(database, 1, "last")
    expected = sorted(row[0] for row in database.query("SELECT name FROM events"))
    wait_until(lambda: len(following.told) >= len(expected), "all to be told")
    assert sorted(following.told) == expected
    assert following.process.poll() is None


def test_follow_through_a_pooler_of_transactions(cluster, database, closing, tmp_path):
    """Where LISTEN does not pass, the table is looked at; and nobody else's connection is made to listen."""
    bouncer = closing.add(replication.Bouncer(cluster)).start()
    ctl = Ctl(bouncer.conninfo(database.name, cluster.DAEMON), **{"database.prepare": "off"})
    following = closing.add(Following(ctl, tmp_path))
    add_events(database, 1, "first")
    following.wait_for("first1")
    add_events(database, 2, "then")
    following.wait_for("first1", "then1", "then2")
    channels = "SELECT count(*) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%'"
    assert database.value(channels) == 0


def test_follow_outlasts_the_time_of_a_statement(database, closing, tmp_path):
    """And what the server itself sets as a role's time-outs."""
    role = f"ALTER ROLE {database.cluster.DAEMON} IN DATABASE {database.name}"
    database.cluster.execute(f"{role} SET idle_session_timeout = '500ms'")
    ctl = Ctl(database.conninfo, **{"database.statement_timeout": "100ms"})
    following = closing.add(Following(ctl, tmp_path))
    add_events(database, 1, "first")
    following.wait_for("first1")
    wait_until(lambda: "connected again" in following.err.read_text(), "the server to end an idle connection")
    add_events(database, 1, "then")
    following.wait_for("first1", "then1")


def test_follow_ends_when_waiting_helps_nothing(database, follow):
    following = follow()
    add_events(database, 1, "first")
    following.wait_for("first1")
    database.query("INSERT INTO schema_migrations (version, name) VALUES (999, 'future')")
    database.cluster.terminate_backends(database.name)
    assert following.process.wait(PATIENCE) == 1
    assert "schema" in following.err.read_text()


def test_follow_ends_when_its_reader_has_gone_though_nothing_happens(database, ctl):
    process = subprocess.Popen(
        that_ends_with_parent(ctl.command("events", "--follow")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout.readline().startswith(b"TIME")
        process.stdout.close()
        assert process.wait(PATIENCE) == -signal.SIGPIPE
        assert process.stderr.read() == b""
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_follow_ends_at_ctrl_c_as_shells_expect(database, ctl):
    """In a shell that is status 130."""
    terminal = Terminal(["bash", "-c", '"$@"; echo status $?', "bash", *ctl.command("events", "--follow")], 80)
    try:
        terminal.wait_for("TIME")
        os.kill(wait_until(lambda: children_of(terminal.process.pid), "its child")[0], signal.SIGINT)
        terminal.wait_for("status 130")
    finally:
        terminal.close()


def test_follow_on_a_terminal_has_a_line_for_each_event_that_fits(site, browse):
    site.database.query("UPDATE users SET username = %s WHERE username = 'bob'", "\u65e5\u672c\u8a9e" * 30)
    terminal = Terminal(site.ctl().command("events", "--follow"), 80)
    try:
        terminal.wait_for("DETAIL")
        browse(site).sign_in()
        terminal.wait_for("user_logged_in")
        site.ctl().run("user", "limit", "\u65e5\u672c\u8a9e" * 30, "3")
        terminal.wait_for("user_limit_changed")
        terminal.wait_for("\r\n")
        wait_until(lambda: terminal.read_some() and len(terminal.lines) == 3, "three lines")
        title, *lines = terminal.lines
        assert re.match(r"TIME +EVENT +USERNAME +FROM +DETAIL", title.text)
        starts = [title.text.index(word) for word in title.text.split()]
        for line in lines:
            assert line.width <= 80
            assert all(line.cell(start - 1) == " " != line.cell(start) for start in starts[1:4]), line.text
        assert "192.0.2.7" in lines[0].text or "127.0.0.1" in lines[0].text
        assert "operator " in lines[1].text
    finally:
        terminal.close()


def test_json_of_events_is_what_is_sent_with_notify(site, browse):
    listener = site.database.connect()
    listener.cursor().execute("LISTEN onesession")
    browse(site).sign_in()
    site.ctl().run("user", "limit", "alice", "2")

    def heard():
        listener.poll()
        return len(listener.notifies) >= 2

    wait_until(heard, "two notifications")
    sent = [json.loads(notify.payload) for notify in listener.notifies]
    listener.close()
    assert site.ctl().json("events") == sent


@pytest.mark.parametrize("where", ["the same database", "another database"])
def test_cost_of_following_is_what_is_new(cluster, database, ctl, tmp_path, where):
    """Whoever else writes, for however long, and wherever."""
    writer = database.connect() if where == "the same database" else cluster.connect("postgres")
    writer.autocommit = False
    writer.cursor().execute("SELECT pg_current_xact_id()")

    def read_so_far():
        return database.value(
            "SELECT coalesce(idx_tup_fetch + seq_tup_read, 0) FROM pg_stat_user_tables WHERE relname = 'events'"
        )

    began = read_so_far()
    add_events(database, 3000, "old")
    following = Following(ctl, tmp_path, "--last", "1")
    try:
        following.wait_for("old3000")
        database.query("BEGIN; INSERT INTO events (name) VALUES ('never'); ROLLBACK")
        names = ["old3000"]
        for number in range(40):
            add_events(database, 50, f"new{number}.")
            database.query("NOTIFY onesession")
            names += [f"new{number}.{n}" for n in range(1, 51)]
            following.wait_for(*names)
    finally:
        following.close()
        writer.close()
    wait_until(lambda: cluster.backends(database.name) == [], "its connection to be closed")
    # Once each, beside what it begins with: what is written in ten minutes.
    wait_until(lambda: read_so_far() >= began + 2000, "the counts")
    assert read_so_far() < began + 2000 + 4 * 3000

"""onesessionctl for plans and policies: limits, what has happened, accounts that are handed around, completion."""

import json
import os
import re
import signal
import subprocess

import pytest

from harness import BUILD, ROOT, end_with_parent
from test_one_session import live_among
from waiting import wait_until


@pytest.fixture
def database(database):  # pylint: disable=redefined-outer-name
    """Without the events of the making of its accounts."""
    database.query("DELETE FROM events")
    return database


@pytest.fixture
def site(site):  # pylint: disable=redefined-outer-name
    site.database.query("DELETE FROM events")
    return site


def event_names(database):
    return [row[0] for row in database.query("SELECT name FROM events ORDER BY id")]


# ---- Limits ----------------------------------------------------------------------------------------------------------


def test_limit_of_an_account(site, browse):
    ctl = site.ctl()
    assert ctl.run("user", "limit", "alice", "2") == "Account alice may have 2 live sessions.\n"
    browsers = [browse(site) for _ in range(3)]
    for browser in browsers:
        browser.sign_in()
    assert live_among(browsers) == [1, 2]
    assert ctl.run("user", "limit", "Alice", "1") == "Account alice may have 1 live session.\n"
    assert live_among(browsers) == [2]
    ctl.run("user", "exempt", "alice")
    for browser in browsers:
        browser.sign_in()
    assert live_among(browsers) == [0, 1, 2]
    assert ctl.run("user", "limit", "alice", "default") == "Account alice has the limit of session.max_sessions.\n"
    assert live_among(browsers) == [2]


def test_limits_are_events_that_tell_who_and_what(database, ctl):
    ctl.run("user", "limit", "alice", "3")
    ctl.run("user", "exempt", "alice")
    ctl.run("user", "limit", "alice", "default")
    details = [row[0] for row in database.query("SELECT detail FROM events WHERE name = 'user_limit_changed' ORDER BY id")]
    assert [(detail["before"], detail["limit"]) for detail in details] == [(None, 3), (3, 0), (0, None)]
    assert all(detail["operator"] for detail in details)


@pytest.mark.parametrize("limit", ["", "-1", "x", "1.5", "99999999999", "Default"])
def test_limit_that_is_none(ctl, limit):
    assert "limit must be a number" in ctl.refused("user", "limit", "--", "alice", limit)


def test_limit_of_nobody(ctl):
    assert "no such account: nobody" in ctl.refused("user", "limit", "nobody", "1")
    assert "no such account: nobody" in ctl.refused("user", "exempt", "nobody")


@pytest.mark.parametrize("words", [("user", "limit", "alice"), ("user", "limit"), ("user", "exempt", "alice", "1")])
def test_wrong_usage(ctl, words):
    called = ctl.call(*words)
    assert called.returncode == 64
    assert called.stderr.startswith("onesessionctl: ")


def test_every_change_by_an_operator_is_an_event(database, ctl):
    ctl.run("user", "add", "eve", stdin="a password\n")
    ctl.run("user", "limit", "eve", "2")
    ctl.run("user", "exempt", "eve")
    ctl.run("user", "passwd", "eve", stdin="another password\n")
    ctl.run("user", "disable", "eve")
    ctl.run("user", "enable", "eve")
    ctl.run("session", "end", "--user", "eve")
    ctl.run("session", "end", "--all")
    ctl.run("user", "delete", "eve")
    assert event_names(database) == [
        "user_added",
        "user_limit_changed",
        "user_limit_changed",
        "user_password_changed",
        "user_disabled",
        "user_enabled",
        "sessions_ended",
        "sessions_ended",
        "user_deleted",
    ]
    assert database.value("SELECT count(*) FROM events WHERE detail->>'operator' IS NULL") == 0


def test_ending_a_session_tells_who_and_how_many(site, browse):
    session_id = browse(site).sign_in()["session"]["id"]
    site.ctl().run("session", "end", session_id)
    assert event_names(site.database)[-2:] == ["user_logged_out", "sessions_ended"]
    detail = site.database.value("SELECT detail FROM events WHERE name = 'sessions_ended'")
    assert (detail["ended"], detail["session"]) == (1, session_id)


# ---- Events ----------------------------------------------------------------------------------------------------------

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
                ctl.command("--json", "events", "--follow", *words),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                preexec_fn=end_with_parent(signal.SIGKILL),
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
def follow(closing, ctl, tmp_path):
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


def test_follow_begins_with_the_latest_of_older_times(database, follow):
    add_events(database, 5, "old")
    database.query("UPDATE events SET at = at - interval '1 hour'")
    add_events(database, 1, "new")
    follow("--last", "2").wait_for("old4", "old5", "new1")


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
        ctl.command("events", "--follow"), stdout=writer, stderr=subprocess.PIPE, preexec_fn=end_with_parent(signal.SIGKILL)
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


# ---- Sharing ---------------------------------------------------------------------------------------------------------


def test_accounts_with_the_most_takeovers(new_site, browse):
    site = new_site({"sharing.takeovers": 3})
    assert site.ctl().run("sharing") == "No account was taken over.\n"
    for username, logins in (("alice", 2), ("bob", 5)):
        for _ in range(logins):
            browse(site).sign_in(username)
    listed = site.ctl().json("sharing")
    assert [(row["username"], row["takeovers_in_window"], row["takeovers_in_history"]) for row in listed] == [
        ("bob", 4, 4),
        ("alice", 1, 1),
    ]
    assert listed[0]["shared_at"] is not None and listed[1]["shared_at"] is None
    assert set(listed[0]) == {
        "user_id",
        "username",
        "takeovers_in_window",
        "takeovers_in_history",
        "last_takeover_at",
        "shared_at",
        "cooldown_until",
    }
    site.database.query("UPDATE takeovers SET began_at = began_at - interval '2 hours'")
    assert [row["takeovers_in_window"] for row in site.ctl().json("sharing")] == [0, 0]
    assert [row["username"] for row in site.ctl().json("sharing", "--last", "1")] == ["bob"]
    assert re.search(r"^bob +0 +4 ", site.ctl().run("sharing"), re.M)


# ---- Help and completion ---------------------------------------------------------------------------------------------


def commands_of_help(ctl):
    lines = ctl.run("--help").splitlines()
    return [re.split(r"  +", line.strip())[0] for line in lines if re.match(r"  [a-z]", line)]


def words_of(synopsis):
    return [word for word in synopsis.split() if re.fullmatch(r"[a-z]+", word)]


def test_help_of_each_command(ctl):
    for synopsis in commands_of_help(ctl):
        told = ctl.run(*words_of(synopsis)[:2], "--help")
        assert told.startswith(f"Usage: onesessionctl [OPTION]... {synopsis}\n")


def complete(ctl, *words):
    """What bash offers for the last of these words."""
    line = ["onesessionctl", "-c", "/dev/null", *words]
    script = (
        f"source {ROOT}/conf/completion/onesessionctl; shift 0; COMP_WORDS=(\"$@\"); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1));"
        ' _onesessionctl; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    line[0] = str(BUILD / "onesessionctl")
    done = subprocess.run(["bash", "-c", script, "bash", *line], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_completion_knows_every_command(ctl):
    synopses = commands_of_help(ctl)
    assert set(complete(ctl, "")) >= {words_of(synopsis)[0] for synopsis in synopses}
    for synopsis in synopses:
        first, *rest = words_of(synopsis)
        if rest:
            assert rest[0] in complete(ctl, first, "")
        options = set(re.findall(r"--[a-z]+", synopsis))
        assert options <= set(complete(ctl, *words_of(synopsis)[:2], "--")) | set(
            complete(ctl, *words_of(synopsis)[:2], "x", "--")
        )


def test_completion_of_what_has_begun(ctl, database):
    assert complete(ctl, "us") == ["user"]
    assert complete(ctl, "user", "ex") == ["exempt"]
    assert complete(ctl, "events", "--fo") == ["--follow"]
    assert complete(ctl, "nonsense", "") == []
    override = ("-o", f"database.conninfo={database.conninfo}")
    assert set(complete(ctl, *override, "user", "limit", "")) == {"alice", "bob", "dora"}
    assert complete(ctl, *override, "session", "end", "--user", "al") == ["alice"]

"""onesessionctl for plans and policies: limits, what has happened, accounts that are handed around, completion."""

import os
import pwd
import re
import subprocess
from pathlib import Path

import pytest

from support.browser import live_among
from support.processes import BUILD
from support.programs import Ctl, environment, overrides
from support.rows import put_session
from support.terminal import Terminal, on_a_terminal
from support.waiting import Background


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
    told = "Account alice may have 2 live sessions; before: 1 live session (the default).\n"
    assert ctl.run("user", "limit", "alice", "2") == told
    browsers = [browse(site) for _ in range(3)]
    for browser in browsers:
        browser.sign_in()
    assert live_among(browsers) == [1, 2]
    assert ctl.run("user", "limit", "Alice", "1") == (
        "Account alice may have 1 live session; before: 2 live sessions.\n"
        "It has 2 now: the oldest one ends at its next request or login.\n"
    )
    assert live_among(browsers) == [2]
    assert "any number of live sessions" in ctl.run("user", "exempt", "alice")
    for browser in browsers:
        browser.sign_in()
    assert live_among(browsers) == [0, 1, 2]
    assert "the oldest 2 end" in ctl.run("user", "limit", "alice", "default")
    assert live_among(browsers) == [2]


@pytest.mark.parametrize(
    "change", [["limit", "2"], ["limit", "default"], ["exempt"], ["rename", "Alicia"], ["set", "--admin", "yes"], ["set", "--plan", ""]]
)
def test_what_was_so_already_is_told_and_is_no_event(ctl, database, change):
    command, *options = change
    name = "alicia" if command == "rename" else "alice"
    ctl.run("user", command, "alice", *options)
    before = event_names(database)
    assert ctl.run("user", command, name, *options).endswith(": it was so already.\n")
    assert ctl.call("--json", "user", command, name, *options).returncode == 0
    assert event_names(database) == before


def test_limit_for_programs(site, browse):
    browse(site).sign_in()
    user_id = site.database.user_id("alice")
    expected = {"id": user_id, "username": "alice", "session_limit": 0, "before": None, "live_sessions": 1}
    assert site.ctl().json("user", "limit", "ALICE", "0") == expected
    assert site.ctl().json("user", "exempt", "alice") == {**expected, "before": 0}
    assert site.ctl().json("user", "limit", "alice", "default") == {**expected, "session_limit": None, "before": 0}


def test_limit_before_is_that_of_the_transaction(database, ctl):
    """Of many changes at once each tells what the one before it has set."""
    calls = [Background(ctl.run, "user", "limit", "alice", str(limit)) for limit in range(1, 7)]
    for call in calls:
        call.result()
    changes = [row[0] for row in database.query("SELECT detail FROM events WHERE name = 'user_limit_changed'")]
    befores = {change["before"]: change["limit"] for change in changes}
    limit, seen = None, 0
    while limit in befores:
        limit, seen = befores[limit], seen + 1
    assert seen == 6
    assert database.value("SELECT session_limit FROM users WHERE username = 'alice'") == limit


def test_limits_are_events_that_tell_who_and_what(database, ctl):
    ctl.run("user", "limit", "alice", "3")
    ctl.run("user", "exempt", "alice")
    ctl.run("user", "limit", "alice", "default")
    changes = database.query("SELECT detail FROM events WHERE name = 'user_limit_changed' ORDER BY id")
    details = [row[0] for row in changes]
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
    ctl.run("user", "unlock", "eve")
    ctl.run("user", "set", "eve", "--admin", "yes")
    ctl.run("user", "rename", "eve", "adam")
    ctl.run("user", "rename", "adam", "eve")
    for how in (["--user", "eve"], ["--all"]):
        put_session(database, "eve", " ".join(how))
        ctl.run("session", "end", *how)
    ctl.run("user", "delete", "eve")
    assert event_names(database) == [
        "user_added",
        "user_limit_changed",
        "user_limit_changed",
        "user_password_changed",
        "user_disabled",
        "user_enabled",
        "user_unlocked",
        "user_admin_changed",
        "user_renamed",
        "user_renamed",
        "user_logged_out",
        "sessions_ended",
        "user_logged_out",
        "sessions_ended",
        "user_deleted",
    ]
    nameless = database.query("SELECT name FROM events WHERE detail->>'operator' IS NULL")
    assert nameless == [("user_logged_out",)] * 2


def test_operator_is_the_person_behind_sudo(database, ctl):
    """As the kernel knows it, not as the environment says."""
    person = pwd.getpwnam("daemon")

    def sign_in():
        Path("/proc/self/loginuid").write_text(str(person.pw_uid))

    try:
        done = subprocess.run(
            ctl.command("user", "disable", "alice"),
            preexec_fn=sign_in,
            check=False,
            capture_output=True,
            env={**environment(), "SUDO_USER": "somebody"},
        )
    except subprocess.SubprocessError:
        pytest.skip("who is signed in cannot be set here")
    assert done.returncode == 0, done.stderr
    ctl.run("user", "enable", "alice")
    runs_as = pwd.getpwuid(os.getuid()).pw_name
    first, second = [row[0] for row in database.query("SELECT detail FROM events ORDER BY id")]
    assert first == {"operator": "daemon", "as": runs_as}
    assert second["operator"] and second["operator"] != "daemon"


def test_ending_a_session_tells_who_and_how_many(site, browse):
    session_id = browse(site).sign_in()["session"]["id"]
    site.ctl().run("session", "end", session_id)
    assert event_names(site.database)[-2:] == ["user_logged_out", "sessions_ended"]
    username, detail = site.database.query("SELECT username, detail FROM events WHERE name = 'sessions_ended'")[0]
    assert (username, detail["ended"], detail["session"]) == ("alice", 1, session_id)


def test_ending_all_sessions_tells_each_account(database, ctl):
    for username in ("alice", "bob"):
        for number in range(2):
            put_session(database, username, f"{username}{number}")
    assert ctl.json("session", "end", "--all") == {"ended_sessions": 4}
    told = database.query("SELECT username, detail->'ended' FROM events WHERE name = 'sessions_ended' ORDER BY 1")
    assert told == [("alice", 2), ("bob", 2)]


def test_ending_no_session_is_no_event(database, ctl):
    ctl.run("session", "end", "--all")
    ctl.run("session", "end", "--user", "alice")
    assert event_names(database) == []


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


def test_a_login_that_displaces_several_is_one_takeover(site, browse):
    site.database.query("UPDATE users SET session_limit = 3 WHERE username = 'alice'")
    for _ in range(3):
        browse(site).sign_in()
    site.ctl().run("user", "limit", "alice", "1")
    browse(site).sign_in()
    listed = site.ctl().json("sharing")
    assert [(row["takeovers_in_window"], row["takeovers_in_history"]) for row in listed] == [(1, 1)]


def test_show_of_an_account_that_is_handed_around_and_guessed_at(new_site, browse):
    site = new_site({"sharing.takeovers": 2, "sharing.action": "cooldown", "login.attempts_per_user": 3})
    ctl = site.ctl(**{"login.attempts_per_user": 3})
    shown = ctl.json("user", "show", "alice")
    assert (shown["takeovers_in_window"], shown["failed_logins"]) == (0, 0)
    nothing = ("last_takeover_at", "shared_at", "cooldown_until", "throttled_until")
    assert all(shown[key] is None for key in nothing)
    assert not re.search("Takeovers|Shared|Cooldown|Failed", ctl.run("user", "show", "alice"))
    for _ in range(3):
        browse(site).sign_in()
    for _ in range(3):
        browse(site).login("bob", "wrong password")
    shown = ctl.json("user", "show", "alice")
    assert shown["takeovers_in_window"] == 2
    assert all(shown[key] for key in nothing[:3])
    text = ctl.run("user", "show", "alice")
    assert "Takeovers:      2 in sharing.window" in text and "Cooldown:       until 2" in text
    shown = ctl.json("user", "show", "bob")
    assert shown["failed_logins"] == 3 and shown["throttled_until"]
    assert "Failed logins:  3 in login.attempts_window, throttled until 2" in ctl.run("user", "show", "bob")


# ---- Lists that are long ---------------------------------------------------------------------------------------------


@pytest.fixture
def crowd(database):
    """1500 accounts of one session each, the newest login that of the last."""
    database.query(
        "INSERT INTO users (username, password)"
        " SELECT 'u' || to_char(n, 'FM0000'), 'x' FROM generate_series(1, 1500) n;"
        "INSERT INTO sessions (session_key, user_id, expires_at)"
        " SELECT sha256(username::bytea), id, now() + interval '1 hour' FROM users WHERE username ~ '^u' ORDER BY id"
    )
    return database


def test_long_list_of_sessions(crowd, ctl):
    assert len(ctl.json("session", "list")) == 1500
    *lines, note = ctl.run("session", "list").splitlines()
    assert len(lines) == 1001 and "u1500" in lines[1]
    assert note == "These are the newest 1000; --last N shows more or fewer."
    assert [row["username"] for row in ctl.json("session", "list", "--last", "2")] == ["u1500", "u1499"]
    assert len(ctl.run("session", "list", "--last", "1500").splitlines()) == 1501
    assert len(ctl.run("session", "list", "--user", "u0001").splitlines()) == 2
    assert crowd.value("SELECT count(*) FROM sessions") == 1500


def test_long_list_of_accounts(crowd, ctl):
    assert len(ctl.json("user", "list")) == 1503
    *lines, note = ctl.run("user", "list").splitlines()
    assert len(lines) == 1001 and note == "These are the first 1000; --first N shows more or fewer."
    listed = ctl.json("user", "list", "--prefix", "U000", "--first", "2")
    assert [row["username"] for row in listed] == ["u0001", "u0002"]
    assert ctl.json("user", "list", "--prefix", "%") == []
    assert len(ctl.json("user", "list", "--prefix", "")) == 1503
    assert crowd.value("SELECT count(*) FROM users") == 1503


# ---- Tables on a terminal --------------------------------------------------------------------------------------------

WIDE = "\u65e5\u672c\u8a9e" * 30


def fill(site, browse):
    for number in range(3):
        browse(site).sign_in()
    site.database.query("UPDATE users SET username = %s WHERE username = 'bob'", WIDE)
    put_session(site.database, WIDE, "wide")
    site.ctl().run("user", "limit", WIDE, "2")
    site.database.query("INSERT INTO takeovers VALUES (2, 12, now(), now(), now(), now() + interval '1 hour')")


TABLES = [["user", "list"], ["session", "list"], ["events"], ["sharing"]]


def table_and_note(lines):
    """The lines of the table, and what is said below it of columns that there was no room for."""
    at = next((n for n, line in enumerate(lines) if line.text.startswith("Not shown:")), len(lines))
    return lines[:at], " ".join(line.text.strip() for line in lines[at:])


def test_tables_fit_the_terminal(site, browse):
    fill(site, browse)
    titles, notes = {}, {}
    for words in TABLES:
        for columns in (40, 80, 132):
            lines = on_a_terminal(site.ctl().command(*words), columns)
            assert len(lines) > 1
            for line in lines:
                assert line.width <= columns, (words, columns, line.text)
            lines, note = table_and_note(lines)
            notes[words[0], columns] = note
            # What begins a column stands below its title, also behind what was cut in the middle of a wide character.
            starts = [match.start() for match in re.finditer(r"(?<=  )\S", lines[0].text)]
            for line in lines[1:]:
                assert all(line.cell(start - 1).isspace() for start in starts), (words, columns, line.text)
            titles[words[0], columns] = re.split("  +", lines[0].text)
    assert "LIVE" in titles["user", 80] and "USERNAME" in titles["user", 40]
    assert titles["session", 40] == ["ID"] and "BROWSER" in titles["session", 80]
    assert titles["events", 80] == ["TIME", "EVENT", "USERNAME", "FROM", "DETAIL"]
    assert titles["events", 40][:2] == ["TIME", "EVENT"]
    assert titles["sharing", 80][:4] == ["USERNAME", "TAKEOVERS", "IN HISTORY", "LAST"]
    assert titles["sharing", 132][-1] == "COOLDOWN UNTIL"
    assert notes["session", 80] == "Not shown: ADDRESS, SIGNED IN. A wider terminal or --json has them."
    assert notes["session", 40].startswith("Not shown: USERNAME, LAST SEEN, BROWSER, ADDRESS, SIGNED IN. ")
    assert notes["sharing", 80].startswith("Not shown: COOLDOWN UNTIL. ")
    assert [notes["events", 80]] + [notes[words[0], 132] for words in TABLES] == [""] * 5


def test_who_follows_events_is_told_once_what_there_is_no_room_for(site, browse):
    browse(site).sign_in()
    terminal = Terminal(site.ctl().command("events", "--follow"), 40)
    try:
        terminal.wait_for("user_logged_in")
        browse(site).sign_in()
        terminal.wait_for("session_displaced")
    finally:
        terminal.close()
    assert terminal.text.count(b"Not shown: ") == 1


def test_no_number_or_id_is_cut(site, browse):
    """Half of a number is another number, and half of an id ends no session."""
    fill(site, browse)
    for columns in range(36, 100, 7):
        for line in table_and_note(on_a_terminal(site.ctl().command("session", "list"), columns))[0][1:]:
            assert re.match(r"[0-9a-f-]{36}( |$)", line.text)
        for line in table_and_note(on_a_terminal(site.ctl().command("sharing"), columns))[0][1:]:
            time = r"( +\d{4}-\d\d-\d\d \d\d:\d\d| +never| +no)*"
            assert re.fullmatch(rf"\S+( +\d+( +\d+{time})?)?", line.text), (columns, line.text)


# ---- What programs rely on -------------------------------------------------------------------------------------------


def keys_of_manual():
    """By command, what the manual's section on JSON names."""
    text = (BUILD / "man/onesessionctl.8").read_text()
    section = text[text.index(".Sh JSON") : text.index(".Sh FILES")]
    keys = {}
    for item in section.split(".It Cm ")[1:]:
        title, *lines = item.splitlines()
        told = {word for line in lines if line.startswith(".Li ") for word in re.findall(r"[a-z]\w+", line)}
        group, *commands = title.replace(",", "").split()
        for command in commands or [None]:
            keys[group, command] = told
    return keys


def test_keys_of_json_are_those_of_the_manual(site, browse):
    ctl = site.ctl()
    for _ in range(2):
        browse(site).sign_in()
    keys = keys_of_manual()
    for words in (["user", "list"], ["session", "list"], ["events"], ["sharing"]):
        listed = ctl.json(*words)
        expected = keys[tuple((words + [None])[:2])]
        assert listed and all(set(row) == expected for row in listed), words
    assert set(ctl.json("user", "show", "alice")) == keys["user", "list"] | keys["user", "show"]
    for words, stdin in (
        (["user", "add", "eve"], "a password\n"),
        (["user", "passwd", "eve"], "a password\n"),
        (["user", "disable", "eve"], ""),
        (["user", "enable", "eve"], ""),
        (["user", "limit", "eve", "2"], ""),
        (["user", "exempt", "eve"], ""),
        (["user", "delete", "eve"], ""),
        (["session", "end", "--all"], ""),
        (["purge"], ""),
    ):
        expected = keys.get(tuple(words[:2])) or keys[words[0], None]
        assert set(ctl.json(*words, stdin=stdin)) == expected, words
    assert set(Ctl(site.database.owner_conninfo).json("migrate")) == keys["migrate", None]


# ---- Help and completion ---------------------------------------------------------------------------------------------


def test_word_that_is_no_group_lists_nothing(ctl):
    for words in (["users"], ["migrat", "add"]):
        done = ctl.call(*words)
        assert done.returncode == 64 and "needs one of" not in done.stderr


def commands_of_help(ctl):
    lines = ctl.run("--help").splitlines()
    return [re.split(r"  +", line.strip())[0] for line in lines if re.match(r"  [a-z]", line)]


def words_of(synopsis):
    return [word for word in synopsis.split() if re.fullmatch(r"[a-z]+", word)]


def test_help_of_each_command(ctl):
    for synopsis in commands_of_help(ctl):
        for words in ([*words_of(synopsis)[:2], "--help"], ["--help", *words_of(synopsis)[:2]]):
            told = ctl.run(*words)
            assert told.startswith(f"Usage: onesessionctl [OPTION]... {synopsis}\n")
            explained = set(re.findall(r"(?m)^      (--[a-z-]+)", told)) - {"--json"}
            assert explained == set(re.findall("--[a-z-]+", synopsis))


def test_help_of_a_group_of_commands(ctl):
    told = ctl.run("session", "--help")
    assert "session list" in told and "session end" in told and "user list" not in told
    assert ctl.call("nonsense", "--help").returncode == 64


@pytest.mark.parametrize("words", [["user"], ["session"], ["import"], ["user", "remove"]])
def test_group_without_a_command_of_it_lists_its_commands(ctl, words):
    group = words[0]
    called = ctl.call(*words)
    assert (called.returncode, called.stdout, called.stderr.count("\n")) == (64, "", 1)
    seconds = [words_of(synopsis)[1] for synopsis in commands_of_help(ctl) if synopsis.startswith(f"{group} ")]
    assert f": {group} needs one of {', '.join(seconds)} (see" in called.stderr


COMPLETION = BUILD / "completion/onesessionctl"


def complete(*words):
    """What bash offers for the last of these words."""
    line = [str(BUILD / "onesessionctl"), *words]
    script = (
        f'source {COMPLETION}; COMP_WORDS=("$@"); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1));'
        ' _onesessionctl; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", script, "bash", *line], capture_output=True, text=True, timeout=60, check=True, env=environment()
    )
    assert done.stderr == ""
    return done.stdout.splitlines() if done.stdout != "\n" else []


def test_completion_knows_every_command_and_option(ctl):
    synopses = commands_of_help(ctl)
    firsts = {words_of(synopsis)[0] for synopsis in synopses}
    assert set(complete("")) == firsts
    for first in firsts:
        seconds = [words_of(synopsis)[1:2] for synopsis in synopses if words_of(synopsis)[0] == first]
        assert set(complete(first, "")) == {word for words in seconds for word in words}
    common = set(complete("-"))
    assert common == {"-c", "--config", "-o", "--json", "-V", "--version", "-h", "--help"}
    for synopsis in synopses:
        options = set(re.findall(r"--[a-z-]+", synopsis))
        words = [word for word in synopsis.split("[")[0].split("|")[0].split() if not word.startswith("-")]
        words = [word if re.fullmatch("[a-z]+", word) else "x" for word in words if word != "CONNINFO"]
        offered = set(complete(*words, "-")) | set(complete(*words[:2], "-"))
        assert offered - common == options, synopsis


def test_completion_of_what_has_begun(tmp_path, monkeypatch):
    assert complete("us") == ["user"]
    assert complete("user", "ex") == ["exempt"]
    assert complete("--json", "events", "--fo") == ["--follow"]
    assert complete("nonsense", "") == complete("use", "") == complete("user", "add", "") == []
    assert complete("user", "limit", "somebody", "") == ["default"]
    assert complete("user", "set", "somebody", "--admin", "") == ["no", "yes"]
    assert complete("events", "--last", "") == complete("-o", "") == []
    (tmp_path / "some.conf").touch()
    monkeypatch.chdir(tmp_path)
    assert complete("-c", "so") == complete("import", "htpasswd", "so") == ["some.conf"]


def test_completion_of_names(database):
    database.query(
        "UPDATE users SET username = 'b$(reboot) b' WHERE username = 'bob';"
        "INSERT INTO users (username, password) VALUES ('d\u00f6ra', 'x'), (E'd\\x1b', 'x'), ('d\\\"q', 'x')"
    )
    override = overrides({"database.conninfo": database.conninfo})
    assert set(complete(*override, "user", "limit", "")) == {"alice", r"b\$\(reboot\)\ b", "dora", "d\u00f6ra"}
    assert complete(*override, "session", "end", "--user", "al") == ["alice"]
    assert complete("-o", "database.conninfo=host=/nowhere", "user", "show", "") == []


PROGRAM = """#!/bin/sh
case " $* " in
*" --help "* | *" --first "*) exec %s "$@" ;;
esac
printf 'said'
printf ' <%%s>' "$@"
printf '\\n'
"""


def test_completion_at_a_prompt(database, closing, tmp_path):
    """Where readline splits words at = and the shell keeps the quotes."""
    program = tmp_path / "onesessionctl"
    program.write_text(PROGRAM % (BUILD / "onesessionctl"))
    program.chmod(0o755)
    prompt = {**environment(), "PS1": "> ", "TERM": "dumb"}
    shell = closing.add(Terminal(["bash", "--noprofile", "--norc", "-i"], 200, env=prompt))
    shell.wait_for("> ")
    shell.type(f"PATH={tmp_path}:$PATH; source /usr/share/bash-completion/bash_completion; source {COMPLETION}\n")
    shell.type("echo re''ady\n")
    shell.wait_for("ready\r\n")
    shell.type("onesessionctl us\tlis\t--pre\tx\n")
    shell.wait_for("said <user> <list> <--prefix> <x>\r\n")
    shell.type(f"onesessionctl -o 'database.conninfo={database.conninfo}' user show al\t\n")
    shell.wait_for(f"said <-o> <database.conninfo={database.conninfo}> <user> <show> <alice>\r\n")
    shell.type("onesessionctl -o server.user=x session en\t--al\t\n")
    shell.wait_for("said <-o> <server.user=x> <session> <end> <--all>\r\n")

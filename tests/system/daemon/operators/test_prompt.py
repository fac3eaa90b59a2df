"""Passwords that operators type: never shown, asked for twice, and the terminal is left as it was."""

import json
import signal
import termios

import pytest

from support.programs import Ctl
from support.terminal import Terminal, on_a_terminal
from support.waiting import PATIENCE

PASSWORD = "a horse of many batteries"
FIRST, SECOND = "Password for erin: ", "The same once more: "


def echoes(terminal):
    return bool(termios.tcgetattr(terminal.master)[3] & termios.ECHO)


@pytest.fixture
def adding(ctl, closing):
    """`user add erin` on a terminal, where it has asked."""
    terminal = closing.add(Terminal(ctl.command("user", "add", "erin"), 80))
    terminal.wait_for(FIRST)
    return terminal


def ends(terminal):
    terminal.read_all()
    return terminal.process.wait(PATIENCE)


def is_there(database):
    return database.value("SELECT count(*) FROM users WHERE username = 'erin'") == 1


def test_password_is_typed_twice_and_never_shown(adding, database, new_daemon):
    assert not echoes(adding)
    adding.type(PASSWORD + "\n")
    adding.wait_for(SECOND)
    assert not echoes(adding)
    adding.type(PASSWORD + "\n")
    assert ends(adding) == 0
    assert PASSWORD.encode() not in adding.text
    assert is_there(database)
    body = json.dumps({"username": "erin", "password": PASSWORD})
    answer = new_daemon().start().ask(
        method="POST", path="/session/login", headers={"Content-Type": "application/json"}, body=body.encode()
    )
    assert answer.status == 200


@pytest.mark.parametrize("second", [PASSWORD.upper(), "short", "", "x" * 1100], ids=len)
def test_passwords_that_differ_are_refused(adding, database, second):
    adding.type(PASSWORD + "\n")
    adding.wait_for(SECOND)
    adding.type(second + "\n")
    assert ends(adding) == 1
    assert b"the two passwords differ" in adding.text
    assert not is_there(database)


@pytest.mark.parametrize(
    "typed, told",
    [
        ("short\n", b"shorter than 8 characters"),
        ("\n", b"is empty"),
        ("x" * 1100 + "\n", b"longer than 1024 bytes"),
        ("\x04", b"no password was given"),
    ],
)
def test_password_that_will_not_do_is_refused_at_once(adding, database, typed, told):
    adding.type(typed)
    assert ends(adding) == 1
    assert told in adding.text
    assert SECOND.encode() not in adding.text
    assert not is_there(database)


def test_ctrl_c_ends_it_and_leaves_the_terminal_as_it_was(adding, database):
    adding.type("half a passw")
    adding.type("\x03")
    assert ends(adding) == -signal.SIGINT
    assert echoes(adding)
    assert b"half" not in adding.text
    assert not is_there(database)


def test_what_was_typed_before_ctrl_z_is_forgotten_and_asked_for_again(adding, database):
    """A program that nobody could let go on is not stopped by it; it takes the same way as one that went on."""
    adding.type("half a passw")
    adding.type("\x1a")
    adding.wait_for(FIRST + "\r\n" + FIRST)
    adding.type(PASSWORD + "\n")
    adding.wait_for(SECOND)
    adding.type(PASSWORD + "\n")
    assert ends(adding) == 0
    assert is_there(database)


def test_new_password_of_an_account_is_asked_for_too(ctl, database, closing):
    before = database.value("SELECT password FROM users WHERE username = 'bob'")
    terminal = closing.add(Terminal(ctl.command("user", "passwd", "bob"), 80))
    for question in ("Password for bob: ", SECOND):
        terminal.wait_for(question)
        terminal.type(PASSWORD + "\n")
    assert ends(terminal) == 0
    assert database.value("SELECT password FROM users WHERE username = 'bob'") != before


def test_nobody_types_a_password_in_vain(ctl, database, closing, tmp_path):
    """What can be known beforehand is told before anything is asked."""
    for words in (["user", "add", "alice"], ["user", "passwd", "nobody"]):
        terminal = closing.add(Terminal(ctl.command(*words), 80))
        assert ends(terminal) == 1
        assert b"Password" not in terminal.text
    away = closing.add(Terminal(Ctl(f"host={tmp_path} dbname=x").command("user", "add", "erin"), 80))
    assert ends(away) == 1
    assert b"Password" not in away.text


def test_purge_on_a_terminal_shows_how_far_it_is(ctl, database):
    database.query(
        "INSERT INTO sessions (session_key, user_id, expires_at) SELECT sha256('x'), id, now() - interval '1 hour'"
        " FROM users WHERE username = 'alice'"
    )
    lines = on_a_terminal(ctl.command("purge"), 200)
    assert lines[0].text.lstrip("\r").startswith("expired sessions 1, ")
    assert lines[-1].text.startswith("Purged 1 expired session, ")

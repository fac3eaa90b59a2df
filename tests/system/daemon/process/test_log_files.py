"""The log: to a file, as JSON, moved and opened anew, and whose it is."""

import json
import os
import pwd
import shutil
import signal
import stat

import pytest

from support.client import JSON, LOGIN, is_refused
from support.locks import AllBusy
from support.marks import ROOT_ONLY
from support.processes import discard, scratch
from support.status import reload_and_wait
from support.upgrade import Upgradable
from support.waiting import wait_until


def test_moved_log_is_opened_anew_by_everybody(new_daemon):
    folder = new_daemon().folder
    folder.chmod(0o777)
    log = folder / "written"
    daemon = new_daemon({"log.to": str(log)}).start()
    daemon.ask()
    log.rename(folder / "moved")
    daemon.send_signal(signal.SIGUSR1)
    wait_until(lambda: log.exists() and " log_reopened " in log.read_text(), "the new file")
    assert stat.S_IMODE(log.stat().st_mode) == 0o640

    def writers():
        return {int(line.split("[")[1].split("]")[0]) for line in log.read_text().splitlines()}

    def everybody_writes():
        with AllBusy(daemon) as busy:
            busy.let_go()
            assert {call.result().status for call in busy.calls} == {204}
        return {daemon.process.pid, *daemon.workers} <= writers()

    wait_until(everybody_writes, "master and workers to write to the new file")
    moved = (folder / "moved").read_text()
    daemon.ask()
    assert (folder / "moved").read_text() == moved


def test_log_that_cannot_be_opened_anew_goes_on_where_it_was_and_is_not_told_to_be(new_daemon):
    folder = new_daemon().folder
    (folder / "logs").mkdir()
    daemon = new_daemon({"log.to": str(folder / "logs/log")}).start()
    (folder / "logs").rename(folder / "moved")
    log = folder / "moved/log"
    daemon.send_signal(signal.SIGUSR1)
    wait_until(lambda: f"[{daemon.process.pid}] log_not_reopened" in log.read_text(), "it to be told")
    assert daemon.ask().status == 401
    # What comes after it is told after it.
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait() == 0
    assert " stopping " in log.read_text()
    assert "log_reopened" not in log.read_text()


def test_reload_moves_the_log_or_is_refused(new_daemon):
    daemon = new_daemon().start()
    daemon.folder.chmod(0o777)
    log = daemon.folder / "written"
    daemon.settings["log.to"] = "/nonexistent/log"
    daemon.command()
    reload_and_wait(daemon, refused=True)
    assert "/nonexistent/log: No such file or directory" in daemon.log_text()
    daemon.settings["log.to"] = str(log)
    daemon.command()
    reload_and_wait(daemon)
    daemon.ask()
    wait_until(lambda: " request " in log.read_text() and " reloaded " in log.read_text(), "lines in the new file")


def given_up(new_daemon, log):
    """A daemon that root starts to become nobody, with `log` in a folder of root's."""
    daemon = new_daemon({"server.user": "nobody", "log.to": str(log)})
    account = pwd.getpwnam("nobody")
    os.chown(daemon.folder, account.pw_uid, account.pw_gid)
    return daemon


@ROOT_ONLY
@pytest.mark.parametrize("before", [None, 0o640, 0o600], ids=["not there", "an earlier one of root's", "a private one"])
def test_log_of_a_daemon_that_gave_up_root_is_its_users(new_daemon, before):
    """Whatever opens it again may: HUP, USR1 and the new binary of USR2."""
    folder = scratch("log")
    log = folder / "log"
    if before is not None:
        log.write_text("earlier\n")
        log.chmod(before)
    upgradable = Upgradable(given_up(new_daemon, log))
    daemon = upgradable.daemon.start(upgradable.command())
    try:
        assert log.owner() == "nobody" and stat.S_IMODE(log.stat().st_mode) == (before or 0o640)
        reload_and_wait(daemon)
        daemon.send_signal(signal.SIGUSR1)
        wait_until(lambda: " log_reopened " in log.read_text(), "USR1")
        assert "log_not_reopened" not in log.read_text()
        # As logrotate does it with "create".
        log.rename(folder / "log.1")
        log.touch(0o640)
        shutil.chown(log, "nobody")
        daemon.send_signal(signal.SIGUSR1)
        wait_until(lambda: " log_reopened " in log.read_text(), "USR1")
        upgradable.upgrade()
        wait_until(lambda: " upgraded " in log.read_text(), "USR2")
        assert daemon.ask().status == 401
        upgradable.end()
    finally:
        discard(folder)


@ROOT_ONLY
@pytest.mark.parametrize("what", ["link", "second name", "folder is a link"])
def test_root_does_not_give_away_what_somebody_put_in_the_logs_place(new_daemon, what):
    """The folder may be the user's own."""
    secret_folder = scratch("secret")
    secret = secret_folder / "log"
    secret.write_text("secret\n")
    secret.chmod(0o600)
    folder = scratch("log")
    shutil.chown(folder, "nobody")
    if what == "folder is a link":
        (folder / "logs").symlink_to(secret_folder)
        log = folder / "logs/log"
    else:
        log = folder / "log"
        (log.symlink_to if what == "link" else log.hardlink_to)(secret)
    try:
        daemon = given_up(new_daemon, log).start(wait=None)
        assert daemon.wait() == 1
        assert "log.to" in daemon.log_text() and "nobody" in daemon.log_text()
        assert secret.owner() == "root" and secret.read_text() == "secret\n"
        assert is_refused(daemon.path)
        assert not os.path.exists(daemon.path)
    finally:
        discard(folder)
        discard(secret_folder)


def test_log_to_a_file(new_daemon):
    daemon = new_daemon()
    path = daemon.folder / "to-file"
    daemon.settings["log.to"] = str(path)
    daemon.start()
    daemon.stop()
    assert path.read_text().count("\n") >= 2
    assert stat.S_IMODE(path.stat().st_mode) & 0o027 == 0


def test_log_in_json_is_json_in_every_line(new_daemon):
    daemon = new_daemon({"log.format": "json"}).start()
    hostile = {**JSON, "User-Agent": 'x"\n\\\x1b[31m'}
    daemon.ask(method="POST", path="/session/login", headers=hostile, body='{"username": "a\\nb", "password": "x"}')
    daemon.ask(path='/session/"\\\x01\n')
    daemon.ask(**LOGIN)
    daemon.stop()
    lines = daemon.log_text().splitlines()
    events = [json.loads(line) for line in lines]
    words = {value for event in events for value in event.values() if isinstance(value, str)}
    assert {"user_login_failed", "user_logged_in"} <= words


def test_what_a_client_sends_cannot_forge_a_line_of_the_log(new_daemon):
    daemon = new_daemon({"log.level": "debug"}).start()
    forged = "x\n2026-01-01T00:00:00Z error forged"
    daemon.ask(path="/session/" + forged, headers={"User-Agent": forged}, REMOTE_ADDR=forged, REQUEST_ID=forged)
    daemon.ask(method="POST", path="/session/login", headers=JSON, body='{"username": "a\\nforged", "password": "x"}')
    daemon.ask(method=forged)
    daemon.stop()
    assert not [line for line in daemon.log_text().splitlines() if line.startswith(("2026-01-01T", "forged"))]
    assert all(character.isprintable() or character == "\n" for character in daemon.log_text())


def test_request_id_of_the_web_server_is_in_the_log(new_daemon):
    daemon = new_daemon({"log.level": "debug"}).start()
    daemon.ask(REQUEST_ID="0123456789abcdef0123456789abcdef", **LOGIN)
    daemon.stop()
    lines = [line for line in daemon.log_text().splitlines() if "0123456789abcdef0123456789abcdef" in line]
    assert any("user_logged_in" in line for line in lines)


def test_log_level_leaves_out_what_is_below(new_daemon):
    daemon = new_daemon({"log.level": "error"}).start()
    daemon.ask(**LOGIN)
    daemon.stop()
    assert daemon.log_text() == ""

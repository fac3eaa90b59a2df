"""How the daemon comes up: its sockets' owners, its group, where it is found, and what it says when it cannot."""

import grp
import os
import pwd
import signal

import pytest

from support.marks import ROOT_ONLY
from support.processes import BUILD, processes_with, tail, uids_of
from support.programs import masters
from support.waiting import wait_until


def refusal(daemon):
    """It ends without having listened, and says why."""
    daemon.start(wait=None)
    assert daemon.wait() in (1, 78)
    assert not os.path.exists(daemon.path), "a socket was left behind"
    return daemon.log_text()


@ROOT_ONLY
def test_owner_of_a_socket_may_be_a_number(new_daemon):
    account = pwd.getpwnam("www-data")
    settings = {"server.listen_owner": str(account.pw_uid), "server.listen_group": str(account.pw_gid)}
    daemon = new_daemon(settings).start()
    assert (os.stat(daemon.path).st_uid, os.stat(daemon.path).st_gid) == (account.pw_uid, account.pw_gid)


@pytest.mark.parametrize("key", ["server.listen_owner", "server.listen_group"])
def test_owner_that_is_not_there_is_told(new_daemon, key):
    said = refusal(new_daemon({key: "no-such-name"}))
    assert key in said and "no-such-name" in said


def test_more_sockets_than_there_can_be_are_refused(new_daemon):
    daemon = new_daemon()
    daemon.settings["server.listen"] = " ".join(f"unix:{daemon.folder}/s{number}" for number in range(17))
    assert "more than 16 sockets" in refusal(daemon)
    assert [name for name in os.listdir(daemon.folder) if name.startswith("s")] == [], "sockets were left behind"


@ROOT_ONLY
def test_group_of_the_processes_is_the_one_that_is_set(new_daemon):
    account, group = pwd.getpwnam("nobody"), grp.getgrnam("www-data")
    daemon = new_daemon({"server.user": "nobody", "server.group": "www-data"})
    os.chown(daemon.folder, account.pw_uid, account.pw_gid)
    daemon.start()
    for pid in (daemon.process.pid, *daemon.workers):
        with open(f"/proc/{pid}/status", encoding="utf-8") as status:
            gids = next(line.split()[1:] for line in status if line.startswith("Gid:"))
        assert gids == [str(group.gr_gid)] * 4
        assert uids_of(pid) == [account.pw_uid] * 4


@ROOT_ONLY
def test_group_that_is_not_there_is_told(new_daemon):
    said = refusal(new_daemon({"server.user": "nobody", "server.group": "no-such-group"}))
    assert "server.group" in said and "no-such-group" in said


def test_log_that_cannot_be_opened_is_told(new_daemon):
    said = refusal(new_daemon({"log.to": "/nonexistent/log"}))
    assert "log.to" in said and "/nonexistent/log" in said


@pytest.mark.parametrize("called", ["onesessiond", "./onesessiond"])
def test_upgrade_finds_the_program_however_it_was_called(new_daemon, called):
    """By PATH, or from the folder that the shell was in."""
    daemon = new_daemon({"log.level": "info"})
    path = f"{BUILD}:{os.environ['PATH']}"
    daemon.start(["env", "-C", str(BUILD), f"PATH={path}", called, *daemon.command()[1:]])
    daemon.send_signal(signal.SIGUSR2)
    assert daemon.wait() == 0, tail(daemon.log)
    assert daemon.ask().status == 401
    for pid in masters(daemon):
        os.kill(pid, signal.SIGTERM)
    wait_until(lambda: processes_with(daemon.conf) == [], "the new daemon to end")

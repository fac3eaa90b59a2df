"""USR2: a new binary takes over without a request lost."""

import os
import pwd
import shutil
import signal
import subprocess

import pytest

from support import fastcgi
from support.client import is_refused
from support.load import RequestLoad
from support.marks import ROOT_ONLY
from support.processes import children_of, free_port, is_alive
from support.programs import masters
from support.upgrade import Upgradable
from support.waiting import wait_until


def test_upgrade_under_load_loses_nothing(upgradable):
    daemon = upgradable.daemon.start(upgradable.command())
    old = {daemon.process.pid, *daemon.workers}
    with RequestLoad(daemon) as load:
        load.more(100)
        upgradable.replace()
        upgradable.upgrade()
        assert not any(is_alive(pid) for pid in old)
        load.more(100)
        assert os.path.exists(daemon.path)
        # And once more, from the new to the next.
        (master,) = masters(daemon)
        os.kill(master, signal.SIGUSR2)
        wait_until(lambda: not is_alive(master), "the second to go")
        load.more(100)
    load.check("2 upgrades")
    upgradable.end()
    assert is_refused(daemon.path)
    assert not os.path.exists(daemon.path), "the last one removes the socket that the first one made"


@pytest.mark.parametrize("script", ["exit 1", "echo broken >&2; kill -SEGV $$", "exec /nonexistent/program"])
def test_new_binary_that_does_not_come_up_leaves_the_old_one_alone(upgradable, script):
    daemon = upgradable.daemon.start(upgradable.command())
    workers = daemon.workers
    upgradable.replace(script)
    with RequestLoad(daemon) as load:
        load.more(50)
        daemon.send_signal(signal.SIGUSR2)
        wait_until(lambda: " upgrade_failed " in daemon.log_text(), "the failure to be told")
        load.more(50)
    load.check("an upgrade that fails")
    assert daemon.workers == workers
    upgradable.replace()
    upgradable.upgrade()
    assert daemon.ask().status == 401
    upgradable.end()


def test_new_binary_that_finds_a_wrong_configuration_leaves_the_old_one_alone(upgradable):
    daemon = upgradable.daemon.start(upgradable.command())
    daemon.settings["server.workres"] = 3
    daemon.command()
    daemon.send_signal(signal.SIGUSR2)
    wait_until(lambda: " upgrade_failed " in daemon.log_text(), "the failure to be told")
    assert "server.workres" in daemon.log_text()
    assert daemon.ask().status == 401
    daemon.stop()
    assert not os.path.exists(daemon.path)


def test_binary_that_is_gone_leaves_the_old_one_alone(upgradable):
    daemon = upgradable.daemon.start(upgradable.command())
    upgradable.binary.unlink()
    daemon.send_signal(signal.SIGUSR2)
    wait_until(lambda: " upgrade_failed " in daemon.log_text(), "the failure to be told")
    assert daemon.ask().status == 401
    daemon.stop()


def spoil(binary, how):
    if how == "gone":
        binary.unlink()
    elif how == "not executable":
        binary.chmod(0o644)
    else:
        new = binary.with_suffix(".new")
        new.write_bytes(b"#!/nonexistent/interpreter\n" if how == "no interpreter" else b"no program")
        new.chmod(0o755)
        new.rename(binary)


@pytest.mark.parametrize("to_file", [False, True], ids=["log on standard error", "log in a file"])
@pytest.mark.parametrize(
    "how, reason",
    [
        ("gone", "No such file or directory"),
        ("not executable", "Permission denied"),
        ("no interpreter", "No such file or directory"),
        ("no program", "Exec format error"),
    ],
)
def test_why_a_new_binary_cannot_be_executed_is_in_the_log(upgradable, how, reason, to_file):
    daemon = upgradable.daemon
    log = daemon.folder / "its-log" if to_file else daemon.log
    if to_file:
        daemon.settings["log.to"] = str(log)
    # As many descriptors as it takes to be in the way of a log.
    daemon.settings["server.listen"] += "".join(f" unix:{daemon.folder}/s{number}" for number in range(4))
    daemon.start(upgradable.command())
    spoil(upgradable.binary, how)
    daemon.send_signal(signal.SIGUSR2)
    wait_until(lambda: " upgrade_failed " in log.read_text(), "the failure to be told")
    (line,) = [line for line in log.read_text().splitlines() if " upgrade_failed " in line]
    assert reason in line and str(upgradable.binary) in line
    assert daemon.ask().status == 401
    upgradable.replace()
    upgradable.upgrade()
    assert daemon.ask().status == 401
    upgradable.end()


def in_own_processes(command):
    """It is process 1 there, as it is in a container."""
    return ["unshare", *(["--user", "--map-root-user"] if os.geteuid() != 0 else []), "--pid", "--fork"] + [
        "--kill-child=KILL",
        "--mount-proc",
        *command,
    ]


def can_have_own_processes():
    return subprocess.run(in_own_processes(["true"]), capture_output=True, check=False).returncode == 0


def test_process_1_of_a_container_is_not_ended_by_usr2(upgradable):
    """When it ends, so does the container: it says what to do instead and goes on."""
    if not can_have_own_processes():
        pytest.skip("this machine does not allow process ids of one's own")
    daemon = upgradable.daemon.start(in_own_processes(upgradable.command()), is_master=False)
    (master,) = children_of(daemon.process.pid)
    os.kill(master, signal.SIGUSR2)
    wait_until(lambda: " upgrade_refused " in daemon.log_text(), "it to be told")
    assert "container" in daemon.log_text() and " upgrading " not in daemon.log_text()
    assert daemon.ask().status == 401
    # What a new configuration takes it does all the same.
    os.kill(master, signal.SIGHUP)
    wait_until(lambda: " reloaded " in daemon.log_text(), "the reload")
    os.kill(master, signal.SIGTERM)
    assert daemon.wait() == 0


@ROOT_ONLY
def test_new_binary_finds_home_user_and_logname_of_who_it_is(new_daemon):
    """And so does everything else that looks for a home folder once root was given up."""
    upgradable = Upgradable(new_daemon({"server.user": "nobody"}))
    daemon = upgradable.daemon
    shutil.chown(daemon.folder, "nobody")
    daemon.start(["env", "HOME=/root", "USER=root", "LOGNAME=root", *upgradable.command()])
    assert told_variables(upgradable) == {"HOME": pwd.getpwnam("nobody").pw_dir, "USER": "nobody", "LOGNAME": "nobody"}


@ROOT_ONLY
@pytest.mark.parametrize(
    "given, found",
    [
        (["HOME=/root", "USER=root", "LOGNAME=root"], None),
        (["-u", "USER", "-u", "LOGNAME", "HOME=/root"], None),
        (["HOME=/var", "USER=nobody", "LOGNAME=nobody"], {"HOME": "/var", "USER": "nobody", "LOGNAME": "nobody"}),
    ],
    ids=["root's", "root's home", "one's own"],
)
def test_daemon_for_which_spawn_fcgi_gave_up_root_has_a_home_of_its_own(new_daemon, given, found):
    """Root's is not for it to search; but what was set for it stays."""
    own = {"HOME": pwd.getpwnam("nobody").pw_dir, "USER": "nobody", "LOGNAME": "nobody"}
    upgradable = Upgradable(new_daemon({"server.listen": "unix:/nonexistent/socket"}))
    daemon = upgradable.daemon
    shutil.chown(daemon.folder, "nobody")
    shutil.chown(daemon.log, "nobody")
    daemon.address = str(daemon.folder / "given")
    spawner = ["spawn-fcgi", "-n", "-s", daemon.address, "-M", "0666", "-u", "nobody", "--"]
    daemon.start(["env", *given, *spawner, *upgradable.command()])
    assert told_variables(upgradable) == (found or own)


def told_variables(upgradable):
    """What a new binary finds of the environment that a home folder is looked for with."""
    told = upgradable.daemon.folder / "told"
    upgradable.replace(f"env > {told}.tmp; mv {told}.tmp {told}; exit 1")
    upgradable.daemon.send_signal(signal.SIGUSR2)
    wait_until(told.exists, "the new binary")
    pairs = dict(line.partition("=")[::2] for line in told.read_text().splitlines())
    return {name: pairs.get(name) for name in ("HOME", "USER", "LOGNAME")}


def test_stop_during_an_upgrade_stops_both(upgradable):
    daemon = upgradable.daemon.start(upgradable.command())
    started = daemon.folder / "started"
    upgradable.replace(f"echo $$ > {started}.tmp; mv {started}.tmp {started}; exec sleep 600")
    daemon.send_signal(signal.SIGUSR2)
    wait_until(started.exists, "the new binary")
    pid = int(started.read_text())
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait() == 0
    assert not is_alive(pid)
    assert not os.path.exists(daemon.path)


def test_hup_during_an_upgrade_and_usr2_during_a_reload_end_well(upgradable):
    daemon = upgradable.daemon.start(upgradable.command())
    with RequestLoad(daemon) as load:
        for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGHUP, signal.SIGUSR2):
            daemon.send_signal(number)
        load.more(100)
        wait_until(lambda: len(masters(daemon)) == 1, "one master")
        load.more(100)
    load.check("reload and upgrade at once")
    assert daemon.ask().status == 401
    upgradable.end()


def test_sockets_that_were_given_are_handed_on_and_stay(upgradable):
    daemon = upgradable.daemon
    daemon.settings["server.listen"] = "unix:/nonexistent/socket"
    given = str(daemon.folder / "given")
    daemon.address = given
    daemon.start(["spawn-fcgi", "-n", "-s", given, "-M", "0666", "--", *upgradable.command()])
    with RequestLoad(daemon) as load:
        load.more(50)
        upgradable.upgrade()
        load.more(50)
    load.check("an upgrade of a daemon that spawn-fcgi started")
    upgradable.end()
    assert os.path.exists(given)


def test_several_sockets_are_handed_on(upgradable):
    daemon = upgradable.daemon
    port = free_port()
    paths = [str(daemon.folder / name) for name in ("one", "two")]
    daemon.settings["server.listen"] = f"unix:{paths[0]} tcp:127.0.0.1:{port} unix:{paths[1]}"
    daemon.address = paths[0]
    daemon.start(upgradable.command())
    upgradable.upgrade()
    for address in (*paths, ("127.0.0.1", port)):
        assert fastcgi.send(address, fastcgi.environ()).status == 401
    upgradable.end()
    assert not any(os.path.exists(path) for path in paths)

"""What a service manager is told and gives, and spawn-fcgi in the background."""

import os
import signal
import socket
import threading

import pytest

from support.programs import masters
from support.waiting import wait_until


# ---- The service manager ---------------------------------------------------------------------------------------------


class Manager:
    """Takes what sd_notify(3) sends, in order, and who sent it."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(self.path)
        self.messages = []
        # All the time, as systemd does: the queue of such a socket is short, and a sender waits when it is full.
        self.thread = threading.Thread(target=self.receive)
        self.thread.start()

    def receive(self):
        while True:
            data, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(12))
            if data == b"end":
                return
            pid = int.from_bytes(ancillary[0][2][:4], "little")
            self.messages += [(pid, line) for line in data.decode().splitlines()]

    def lines(self, *beginnings):
        return [line for _, line in self.messages if line.startswith(beginnings)]

    def wait_for(self, beginning, count=1):
        wait_until(lambda: len(self.lines(beginning)) >= count, f"{beginning}: {self.messages}")

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"end", self.path)
        self.thread.join()
        self.socket.close()


@pytest.fixture
def manager(tmp_path, closing):
    return closing.add(Manager(tmp_path))


def under(manager, command, **variables):
    words = [f"{name}={value}" for name, value in {"NOTIFY_SOCKET": manager.path, **variables}.items()]
    return ["env", *words, *command]


def test_service_manager_is_told_of_each_stage(new_daemon, manager):
    daemon = new_daemon()
    daemon.start(under(manager, daemon.command()))
    manager.wait_for("READY=1")
    manager.wait_for("STATUS=2 workers")
    daemon.send_signal(signal.SIGHUP)
    manager.wait_for("RELOADING=1")
    manager.wait_for("MONOTONIC_USEC=")
    manager.wait_for("READY=1", 2)
    daemon.settings["server.workers"] = "none"
    daemon.command()
    daemon.send_signal(signal.SIGHUP)
    manager.wait_for("RELOADING=1", 2)
    manager.wait_for("READY=1", 3)
    daemon.stop()
    manager.wait_for("STOPPING=1")
    stages = manager.lines("READY", "RELOADING", "STOPPING")
    assert stages == ["READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    assert {pid for pid, _ in manager.messages} == {daemon.process.pid}, "only the master speaks"
    assert manager.lines("WATCHDOG") == [], "nobody asked for it"


def test_ready_is_said_when_workers_are_up_and_not_before(new_daemon, manager):
    """Whoever connects then is answered at once."""
    daemon = new_daemon({"server.workers": 4})
    daemon.start(under(manager, daemon.command()), wait=None)
    manager.wait_for("READY=1")
    assert len(daemon.workers) == 4
    assert daemon.ask(path="/session/ready").status == 200


def test_watchdog_is_fed_while_the_master_lives(new_daemon, manager):
    daemon = new_daemon()
    daemon.start(under(manager, daemon.command(), WATCHDOG_USEC=2000000))
    manager.wait_for("WATCHDOG=1", 5)
    daemon.stop()


def test_service_manager_is_told_of_the_new_main_process(upgradable, manager):
    """Its word counts only after the old one has named it, and the watchdog goes on."""
    daemon = upgradable.daemon
    daemon.start(under(manager, upgradable.command(), WATCHDOG_USEC=2000000))
    manager.wait_for("READY=1")
    old = daemon.process.pid
    upgradable.upgrade()
    (new,) = masters(daemon)
    wait_until(lambda: (new, "READY=1") in manager.messages, "the new one to be ready")
    wait_until(lambda: (new, "WATCHDOG=1") in manager.messages, "the new one to feed the watchdog")
    spoken = list(manager.messages)
    assert (old, f"MAINPID={new}") in spoken
    assert (old, "STOPPING=1") not in spoken, "the service goes on"
    first = next(at for at, (pid, _) in enumerate(spoken) if pid == new)
    assert spoken.index((old, f"MAINPID={new}")) < first
    upgradable.end()
    wait_until(lambda: (new, "STOPPING=1") in manager.messages, "the new one to say that it stops")


# ---- spawn-fcgi in the background ------------------------------------------------------------------------------------


def test_spawn_fcgi_starts_several_daemons_on_one_socket(new_daemon):
    """-F: each is a pool of its own, and they end one by one without hurting the others or the socket."""
    daemon = new_daemon({"server.listen": "unix:/nonexistent/socket"})
    given = str(daemon.folder / "given")
    daemon.address = given
    pids = daemon.folder / "pids"
    command = ["spawn-fcgi", "-F", "3", "-P", str(pids), "-s", given, "-M", "0666", "--", *daemon.command()]
    daemon.start(command, wait=None)
    assert daemon.wait() == 0
    wait_until(lambda: len(masters(daemon)) == 3, "three masters")
    for left in (2, 1, 0):
        for _ in range(10):
            assert daemon.ask().status == 401
        # Where spawn-fcgi points standard error there is nobody to read it, and that hurts nothing.
        master = masters(daemon)[0]
        os.kill(master, signal.SIGTERM)
        wait_until(lambda: len(masters(daemon)) == left, "one to end")
    assert os.path.exists(given)

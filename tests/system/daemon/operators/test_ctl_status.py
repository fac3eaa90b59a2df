"""onesessionctl status."""

import fcntl
import os
import pty
import re
import socket
import struct
import subprocess
import termios

import pytest

from support import fastcgi
from support.client import is_refused
from support.locks import PATIENT, AllBusy
from support.processes import discard, free_port, scratch
from support.programs import Ctl, environment
from support.status import status_of
from support.waiting import Background, wait_until


@pytest.mark.parametrize("host, form", [(None, None), ("127.0.0.1", "tcp:127.0.0.1:{}"), ("::1", "tcp:[::1]:{}")])
def test_ctl_status_asks_the_daemon_by_its_own_socket(new_daemon, host, form):
    daemon = new_daemon({"server.workers": 3})
    for _ in range(10):
        if host is not None:
            daemon.address = (host, free_port(host))
            daemon.settings["server.listen"] = form.format(daemon.address[1])
        try:
            daemon.start()
            break
        except AssertionError:
            assert "in use" in daemon.log_text(), daemon.log_text()
    daemon.await_workers(3)
    # It needs no database.
    ctl = Ctl("host=/nonexistent", **{"server.listen": daemon.settings["server.listen"]})
    status = ctl.json("status")
    assert set(status) == set(status_of(daemon)) | {"database_warnings"}
    assert status["pid"] == daemon.process.pid
    assert sorted(worker["pid"] for worker in status["workers"]) == daemon.workers
    lines = ctl.run("status").splitlines()
    assert f"process {daemon.process.pid}" in lines[0]
    assert "workers started 3, died 0" in "\n".join(lines)
    assert lines[-4].split() == ["WORKER", "PID", "ROLE", "STATE", "UP", "REQUESTS", "AGE", "REQUEST"]
    assert sorted(int(line.split()[1]) for line in lines[-3:]) == daemon.workers
    assert len([line for line in lines if line.endswith("GET /session/status")]) == 1


def test_ctl_status_knows_prefix_and_operators_of_the_configuration(new_daemon):
    settings = {"server.prefix": "/some/where", "server.operators": " 192.0.2.0/24 ::1"}
    daemon = new_daemon(settings).start(wait="/some/where/ready")
    ctl = Ctl("host=/nonexistent", **{**settings, "server.listen": f"unix:{daemon.path} tcp:127.0.0.1:1"})
    assert ctl.json("status")["pid"] == daemon.process.pid
    assert "GET /some/where/status" in ctl.run("status")


def test_ctl_status_shows_who_is_busy_and_the_fallback_worker(new_daemon):
    daemon = new_daemon({"server.workers": 2, **PATIENT}).start()
    ctl = Ctl("host=/nonexistent", **{"server.listen": f"unix:{daemon.path}"})
    with AllBusy(daemon):
        lines = [line.split() for line in ctl.run("status").splitlines()[-3:]]
        assert [line[2] for line in lines] == ["worker", "worker", "fallback"]
        assert [line[3] for line in lines] == ["busy"] * 3
        assert [line[-2:] for line in lines] == [["POST", "/session/logout"]] * 2 + [["GET", "/session/status"]]
        assert all(re.fullmatch(r"\d+(ms|\.\ds)", line[6]) for line in lines)


def on_a_terminal(command, columns):
    """What it prints there, a line each."""
    ours, its = pty.openpty()
    try:
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment())
        os.close(its)
        its = None
        shown = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        assert process.wait(60) == 0, shown
    finally:
        os.close(ours)
        if its is not None:
            os.close(its)
    return shown.decode().splitlines()


def test_ctl_status_fits_a_terminal_of_80_columns(new_daemon):
    prefix = "/" + "x" * 60
    daemon = new_daemon({"server.workers": 12, "server.prefix": prefix}).start(wait=f"{prefix}/ready")
    wait_until(lambda: len(daemon.workers) >= 12, "twelve workers")
    ctl = Ctl("host=/nonexistent", **{"server.listen": f"unix:{daemon.path}", "server.prefix": prefix})
    lines = on_a_terminal(ctl.command("status"), 80)
    assert len(lines) >= 14
    assert max(map(len, lines)) <= 80, max(lines, key=len)
    assert any("GET /xx" in line for line in lines)


def turned_away(ctl):
    """One line on standard error and exit status 1, whichever form was asked for."""
    said = ctl.refused("status")
    assert ctl.refused("--json", "status").split(":")[0] == said.split(":")[0] == "onesessionctl"
    return said


def test_ctl_status_of_a_daemon_that_does_not_run(new_daemon, tmp_path):
    port = free_port()
    for listen in (f"unix:{tmp_path}/none", f"tcp:127.0.0.1:{port}"):
        assert listen in turned_away(Ctl("host=/nonexistent", **{"server.listen": listen}))
    daemon = new_daemon().start()
    daemon.kill()
    assert os.path.exists(daemon.path)
    assert daemon.path in turned_away(Ctl("host=/nonexistent", **{"server.listen": f"unix:{daemon.path}"}))


def test_ctl_status_says_why_the_daemon_turns_it_away(new_daemon):
    port = free_port()
    daemon = new_daemon({"server.allowed_clients": "192.0.2.1", "server.allowed_users": "nobody"})
    daemon.settings["server.listen"] = f"unix:{daemon.path} tcp:127.0.0.1:{port}"
    daemon.start(wait=None)
    wait_until(lambda: not is_refused(daemon.path) and not is_refused(("127.0.0.1", port)), "it to listen")
    for listen in (f"unix:{daemon.path}", f"tcp:127.0.0.1:{port}"):
        for _ in range(5):
            said = turned_away(Ctl("host=/nonexistent", **{"server.listen": listen}))
            assert "server.allowed_users" in said and "server.allowed_clients" in said


def test_ctl_status_where_the_configurations_differ(new_daemon):
    daemon = new_daemon().start()
    listen = {"server.listen": f"unix:{daemon.path}"}
    for settings in ({"server.prefix": "/other"}, {"server.operators": "192.0.2.1"}, {"server.operators": ""}):
        assert "404" in turned_away(Ctl("host=/nonexistent", **listen, **settings))


END = fastcgi.record(fastcgi.END_REQUEST, b"\0" * 8)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x01",
        b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 70_000,
        fastcgi.record(fastcgi.STDOUT, b"Status: 200 OK\r\n\r\nno JSON") + END,
        fastcgi.record(fastcgi.STDOUT, b"Status: 200 OK\r\n\r\n[1]") + END,
        fastcgi.record(fastcgi.STDOUT, b"no header at all") + END,
        END,
    ],
    ids=["nothing", "a byte", "HTTP", "no JSON", "other JSON", "no header", "empty"],
)
def test_ctl_status_of_something_else_that_listens_there(said):
    path = f"{scratch('x')}/s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(path)
        listening.listen(4)

        def serve():
            for _ in range(2):
                peer, _ = listening.accept()
                with peer:
                    peer.recv(65536)
                    try:
                        peer.sendall(said)
                    except OSError:
                        pass

        server = Background(serve)
        try:
            assert turned_away(Ctl("host=/nonexistent", **{"server.listen": f"unix:{path}"}))
            server.result()
        finally:
            discard(os.path.dirname(path))

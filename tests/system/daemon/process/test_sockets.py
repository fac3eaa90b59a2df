"""The sockets that the daemon listens on: its own, those that it is given, and those that are in its way."""

import os
import pwd
import socket
import stat

import pytest

from support import fastcgi
from support.client import LOGIN, is_refused
from support.processes import free_port
from support.waiting import wait_until


@pytest.mark.parametrize("mode", [None, "0600", "0666"])
def test_own_unix_socket_has_its_mode_and_goes_with_the_daemon(new_daemon, mode):
    daemon = new_daemon()
    del daemon.settings["server.listen_mode"]
    if mode is not None:
        daemon.settings["server.listen_mode"] = mode
    daemon.start()
    assert stat.S_IMODE(os.stat(daemon.path).st_mode) == int(mode or "0660", 8)
    assert stat.S_ISSOCK(os.stat(daemon.path).st_mode)
    daemon.stop()
    assert not os.path.exists(daemon.path)
    assert is_refused(daemon.path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket away")
def test_own_unix_socket_has_its_owner(new_daemon):
    account = pwd.getpwnam("www-data")
    daemon = new_daemon({"server.listen_owner": "www-data", "server.listen_group": "www-data"}).start()
    assert os.stat(daemon.path).st_uid == account.pw_uid
    assert os.stat(daemon.path).st_gid == account.pw_gid


@pytest.mark.parametrize("host, form", [("127.0.0.1", "tcp:127.0.0.1:{}"), ("::1", "tcp:[::1]:{}")])
def test_tcp_socket(new_daemon, host, form):
    for _ in range(10):
        port = free_port(host)
        daemon = new_daemon({"server.listen": form.format(port)})
        daemon.address = (host, port)
        try:
            daemon.start()
            break
        except AssertionError:
            # Somebody else may have got the port in the meantime, and nothing else may be the cause.
            assert "in use" in daemon.log_text(), daemon.log_text()
    assert daemon.ask().status == 401
    assert daemon.ask(**LOGIN).status == 200
    daemon.stop()
    assert is_refused(daemon.address)


def test_tcp_clients_that_are_not_allowed_are_turned_away(new_daemon):
    for host, form in (("127.0.0.1", "tcp:127.0.0.1:{}"), ("::1", "tcp:[::1]:{}")):
        port = free_port(host)
        daemon = new_daemon({"server.listen": form.format(port), "server.allowed_clients": "192.0.2.0/24 2001:db8::1"})
        daemon.address = (host, port)
        daemon.start(wait=None)
        wait_until(lambda address=(host, port): not is_refused(address), f"it to listen:\n{daemon.log_text()}")
        assert daemon.ask().status is None
        daemon.stop()


def test_several_sockets(new_daemon):
    daemon = new_daemon()
    port = free_port()
    paths = [str(daemon.folder / name) for name in ("s", "other")]
    daemon.settings["server.listen"] = f"unix:{paths[0]} unix:{paths[1]} tcp:127.0.0.1:{port}"
    daemon.start()
    for address in (*paths, ("127.0.0.1", port)):
        assert fastcgi.send(address, fastcgi.environ()).status == 401
    daemon.stop()
    assert not any(os.path.exists(path) for path in paths)


def test_socket_on_descriptor_0_by_spawn_fcgi(new_daemon):
    daemon = new_daemon({"server.listen": "unix:/nonexistent/socket"})
    given = str(daemon.folder / "given")
    daemon.address = given
    daemon.start(["spawn-fcgi", "-n", "-s", given, "-M", "0666", "--", *daemon.command()])
    assert daemon.ask(**LOGIN).status == 200
    daemon.stop()
    assert os.path.exists(given), "it removed a socket that is not its own"


def test_socket_on_descriptor_0_of_the_service_manager(new_daemon):
    daemon = new_daemon({"server.listen": "unix:/nonexistent/socket"})
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(64)
        daemon.address = listening.getsockname()
        daemon.start(stdin=listening)
        assert daemon.ask().status == 401
        daemon.stop()


def test_standard_input_that_is_no_listening_socket_is_left_alone(new_daemon):
    """A connected socket, a pipe, or nothing at all."""
    one, other = socket.socketpair()
    with one, other:
        daemon = new_daemon().start(stdin=one)
        assert daemon.ask().status == 401
        daemon.stop()
    closed = new_daemon()
    closed.start(["sh", "-c", 'exec "$@" <&-', "sh", *closed.command()])
    assert closed.ask(**LOGIN).status == 200


def test_sockets_of_systemd(new_daemon):
    daemon = new_daemon({"server.listen": "unix:/nonexistent/socket"})
    paths = [str(daemon.folder / name) for name in ("one", "two")]
    daemon.address = paths[0]
    passed_on = [word for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS") for word in ("-E", name)]
    # It starts the program at the first connection.
    daemon.start(["systemd-socket-activate", *passed_on, "-l", paths[0], "-l", paths[1], *daemon.command()])
    for path in paths:
        assert fastcgi.send(path, fastcgi.environ()).status == 401
    daemon.stop()
    assert all(os.path.exists(path) for path in paths), "it removed a socket that is not its own"


def test_sockets_of_systemd_go_before_descriptor_0(new_daemon):
    daemon = new_daemon({"server.listen": "unix:/nonexistent/socket"})
    with socket.socket() as first, socket.socket() as second:
        for listening in (first, second):
            listening.bind(("127.0.0.1", 0))
            listening.listen(16)
        daemon.address = first.getsockname()
        script = 'fd=$1; shift; exec 3<&$fd; LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"'
        daemon.start(
            ["bash", "-c", script, "bash", str(first.fileno()), *daemon.command()],
            stdin=second,
            pass_fds=[first.fileno()],
        )
        assert daemon.ask().status == 401
        with fastcgi.Connection(second.getsockname(), timeout=1) as ignored:
            ignored.send(fastcgi.request_bytes(fastcgi.environ()))
            with pytest.raises(TimeoutError):
                ignored.answer()


def test_socket_left_behind_by_a_killed_daemon_is_taken_over(new_daemon):
    daemon = new_daemon().start()
    daemon.kill()
    assert os.path.exists(daemon.path)
    daemon.start()
    assert daemon.ask().status == 401


def test_second_daemon_on_the_same_socket_refuses_and_leaves_the_first_alone(new_daemon):
    first, second = new_daemon().start(), new_daemon()
    second.settings["server.listen"] = f"unix:{first.path}"
    second.start(wait=None)
    assert second.wait() == 1
    assert first.path in second.log_text()
    assert first.ask().status == 401


def test_path_that_is_no_socket_is_not_removed(new_daemon):
    daemon = new_daemon()
    with open(daemon.path, "w", encoding="utf-8") as file:
        file.write("precious")
    daemon.start(wait=None)
    assert daemon.wait() == 1
    with open(daemon.path, encoding="utf-8") as file:
        assert file.read() == "precious"


@pytest.mark.parametrize("listen", ["unix:/nonexistent/folder/socket", "tcp:192.0.2.1:9", "unix:/" + "x" * 200])
def test_socket_that_cannot_be_opened_is_told(new_daemon, listen):
    daemon = new_daemon({"server.listen": listen}).start(wait=None)
    assert daemon.wait() in (1, 78)
    assert listen.partition(":")[2][:40] in daemon.log_text()

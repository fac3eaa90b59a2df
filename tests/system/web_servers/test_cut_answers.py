"""
What a guard makes of an answer that is cut off, as by a worker that is killed or a network that fails: nginx takes a
header without Status for a 200, and lighttpd a request that ends without output. No piece of ours may let anybody in, or
let somebody in under half a name.
"""

import os
import select
import socket
import struct

import pytest

from support import applications
from support.closing import database_and_things, remember_log
from support.listening import stop_taking, take_connections
from support.processes import discard, free_port, scratch
from support.programs import Daemon
from support.web import SERVERS, Web, ask

HEADER_SIZE = 8  # of a record


class Cutter:
    """Stands where the daemon is: passes requests on, and of each answer the first `size` bytes; None: all of it."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.size, self.resets = None, False
        self.answers = []
        self.folder = scratch("cut")
        self.path = str(self.folder / "s")
        self.port = free_port()
        self.listeners = []
        for family, address in ((socket.AF_UNIX, self.path), (socket.AF_INET, ("127.0.0.1", self.port))):
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(64)
            self.listeners.append(listener)
            take_connections(listener, self._serve)
        os.chmod(self.path, 0o666)

    def _serve(self, connection, _):
        with connection, socket.socket(socket.AF_UNIX) as daemon:
            daemon.connect(self.daemon.path)
            answer = b""
            sides = [connection, daemon]
            while daemon in sides:
                for side in select.select(sides, [], [])[0]:
                    piece = side.recv(65536)
                    if not piece:
                        sides.remove(side)
                    elif side is connection:
                        daemon.sendall(piece)
                    else:
                        answer += piece
            self.answers.append(answer)
            connection.sendall(answer if self.size is None else answer[: self.size])
            if self.resets:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self):
        for listener in self.listeners:
            stop_taking(listener)
        discard(self.folder)


@pytest.fixture(name="web", scope="module", params=SERVERS)
def fixture_web(request, cluster_of_worker):
    with database_and_things(cluster_of_worker) as (database, things):
        application = things.add(applications.FastCgiApplication())
        daemon = things.add(Daemon(database).start())
        remember_log(request.node, "onesessiond", daemon.log)
        cutter = things.add(Cutter(daemon))
        server = things.add(SERVERS[request.param](cutter, "fastcgi", application))
        remember_log(request.node, request.param, server.log)
        made = Web(request.param, "fastcgi", database, daemon, server.start(), application)
        made.cutter = cutter
        yield made


@pytest.mark.parametrize("resets", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("is_live", [True, False], ids=["live", "refused"])
def test_piece_of_an_answer_lets_nobody_in(web, browse, is_live, resets):
    program = browse(web)
    name = web.new_user()
    web.cutter.size, web.cutter.resets = None, False
    told = program.sign_in(name)
    expected = (name, str(told["user"]["id"]), told["session"]["id"])
    if not is_live:
        program.logout()
    headers = [("Accept", "application/json"), ("Cookie", f"onesession={program.key or 'A' * 43}")]
    web.cutter.answers.clear()
    ask(web, "/page.html", headers)
    answer = web.cutter.answers[0]
    assert answer[HEADER_SIZE:].startswith(b"Status: 200" if is_live else b"Status: 401")
    web.cutter.resets = resets
    for size in range(len(answer)):
        web.cutter.size = size
        _, seen = ask(web, "/page.html", headers)
        for asked in seen:
            assert is_live and web.identity(asked) == expected, size

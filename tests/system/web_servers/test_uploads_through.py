"""Uploads through the web servers, which pass them on as they come, or store them first."""

import json
import os
import socket
import time

import pytest

from support import webservers
from support.processes import resident_bytes
from support.uploads import MIB, PIECE, TYPE, nothing_is_left
from support.waiting import Background
from support.web import web_of_one_worker


def nginx(daemon, kind, application):
    """As nginx(8) is set up for large uploads: it passes them on as they come."""
    server = webservers.nginx_site(daemon, kind, application)
    server.changes = {
        old: new + "\n\tclient_max_body_size 6g;\n\tfastcgi_request_buffering off;" if "root" in old else new
        for old, new in server.changes.items()
    }
    return server


def nginx_that_buffers(daemon, kind, application):
    server = nginx(daemon, kind, application)
    server.changes = {
        old: new.replace("fastcgi_request_buffering off;", "") for old, new in server.changes.items()
    }
    return server


def apache(daemon, kind, application):
    """Debian's takes 1 GiB by default."""
    server = webservers.apache_site(daemon, kind, application)
    server.changes = {
        old: new + "\n\tLimitRequestBody 0" if "DocumentRoot" in old else new for old, new in server.changes.items()
    }
    return server


SERVERS = {
    "nginx": nginx,
    "nginx-that-buffers": nginx_that_buffers,
    "apache": apache,
    "lighttpd": webservers.lighttpd_site,
}


fixture_web = web_of_one_worker(SERVERS)


class Put:
    """A body that is sent by a socket, so that nothing of it is held in memory here."""

    def __init__(self, web, path, size, content_type="video/mp4"):
        self.connection = socket.create_connection(("127.0.0.1", web.server.port), timeout=600)
        head = (
            f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{web.server.port}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {size}\r\nAccept: application/json\r\nConnection: close\r\n\r\n"
        )
        self.connection.sendall(head.encode())
        self.left = size

    def send(self, block):
        self.connection.sendall(block[: self.left] if self.left < len(block) else block)
        self.left -= min(self.left, len(block))

    def answer(self):
        """Status and what the answer's JSON is."""
        answer = b""
        while piece := self.connection.recv(65536):
            answer += piece
        self.connection.close()
        return int(answer.split()[1]), json.loads(answer[answer.index(b"{") : answer.rindex(b"}") + 1])


def test_upload_comes_through_the_web_server_whole(web):
    data = os.urandom(8 * MIB)
    put = Put(web, "/session/application/raw", len(data))
    for i in range(0, len(data), MIB):
        put.send(data[i : i + MIB])
        assert web.daemon.ask(path="/session/state").status == 200
    status, found = put.answer()
    assert (status, found["files"][0]["size"]) == (200, len(data))
    put = Put(web, "/session/application/raw?keep=a&sum=1", len(data))
    put.send(data)
    assert put.answer()[0] == 200
    assert (web.daemon.covers / "a").read_bytes() == data
    (web.daemon.covers / "a").unlink()
    nothing_is_left(web.daemon)


def test_client_that_goes_away_in_mid_upload_leaves_nothing(web):
    put = Put(web, "/session/application/raw?keep=a", 8 * MIB)
    put.send(PIECE * 64)
    put.connection.close()
    nothing_is_left(web.daemon)
    assert os.listdir(web.daemon.covers) == []


def test_refusal_of_an_upload_reaches_the_client(web):
    """Although the client goes on sending, and the daemon does not take it."""
    for content_type, status in ((TYPE, 401), ("video/mp4", 413)):
        put = Put(web, "/session/application/uploads", 4 * MIB, content_type)
        put.send(PIECE * 256)
        assert put.answer()[0] == status
    put = Put(web, "/session/application/raw?keep=..", 4 * MIB)
    put.send(PIECE * 256)
    assert put.answer()[0] == 400


@pytest.mark.slow
@pytest.mark.skipif("ONESESSION_LARGE_UPLOADS" not in os.environ, reason="writes 5 GiB: ONESESSION_LARGE_UPLOADS=1")
def test_five_gibibytes_come_in_with_flat_memory_while_others_are_served(web):
    (worker,) = web.daemon.workers
    size, block = 5 * 1024 * MIB + 1, bytes(MIB)
    # What a worker has once it has served: code that is loaded late, buffers.
    warm = Put(web, "/session/application/raw", MIB)
    warm.send(block)
    assert warm.answer()[0] == 200
    before = peak = resident_bytes(worker)
    longest = 0.0
    began = time.monotonic()

    def put():
        upload = Put(web, "/session/application/raw?keep=film", size)
        while upload.left > 0:
            upload.send(block)
        return upload.answer()

    sending = Background(put)
    while not sending.is_done:
        asked = time.monotonic()
        # The worker that the upload comes to is the only one.
        assert web.daemon.ask(path="/session/state", timeout=60).status == 200
        longest = max(longest, time.monotonic() - asked)
        peak = max(peak, resident_bytes(worker))
        time.sleep(0.02)
    status, found = sending.result()
    took = time.monotonic() - began
    path = web.daemon.covers / "film"
    assert (status, path.stat().st_size) == (200, size), found
    path.unlink()
    print(
        f"{web.server_name}: 5 GiB in {took:.1f} s, resident {before / MIB:.1f} MiB before and {peak / MIB:.1f} MiB at"
        f" most, others answered within {1000 * longest:.0f} ms"
    )
    assert web.daemon.workers == [worker]
    assert peak - before < 4 * MIB

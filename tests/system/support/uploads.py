"""Forms with files, and what the daemon has of them while they arrive."""

import json
import os

from support import fastcgi
from support.client import JSON
from support.site import PREFIX
from support.waiting import wait_until

BOUNDARY = "----------------------------9051914041544843365972754266"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
MIB = 1024 * 1024
PIECE = bytes(range(256)) * 64
ALPHABET = b"abcdefghijklmnopqrstuvwxyz"


def part(name, value, filename=None, content_type=None):
    head = f'Content-Disposition: form-data; name="{name}"'.encode()
    if filename is not None:
        head += b'; filename="' + (filename if isinstance(filename, bytes) else filename.encode()) + b'"'
    if content_type is not None:
        head += f"\r\nContent-Type: {content_type}".encode()
    return f"--{BOUNDARY}\r\n".encode() + head + b"\r\n\r\n" + value + b"\r\n"


def form(*parts):
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def letters(size):
    """What the application streams."""
    return (ALPHABET * (size // 26 + 1))[:size]


def sum_of(data):
    """FNV-1a, as the application has it."""
    total = 14695981039346656037
    for byte in data:
        total = ((total ^ byte) * 1099511628211) & 0xFFFFFFFFFFFFFFFF
    return f"{total:016x}"


def ask(site, path, method="POST", body=b"", content_type=TYPE, **params):
    query = params.pop("query", "sum=1")
    headers = {**JSON, "Content-Type": content_type}
    return site.daemon.ask(
        method=method, path=f"{PREFIX}{path}", query=query, headers=headers, body=body, timeout=60, **params
    )


def told(answer):
    assert answer.status == 200, answer.stdout
    return json.loads(answer.body)


def refused(answer, status, code, detail=""):
    assert answer.status == status, answer.stdout
    found = json.loads(answer.body)
    assert found["code"] == code
    assert detail in found["detail"]


def spooled(daemon):
    """The files without a name that its processes hold open in the spool, as (worker, path)."""
    found = []
    for pid in daemon.workers:
        for entry in os.listdir(f"/proc/{pid}/fd"):
            try:
                path = os.readlink(f"/proc/{pid}/fd/{entry}")
            except FileNotFoundError:
                continue
            if path.startswith(daemon.settings["server.spool"]):
                found.append((pid, path))
    return found


def nothing_is_left(daemon):
    wait_until(lambda: spooled(daemon) == [], "uploads to be gone")
    assert os.listdir(daemon.settings["server.spool"]) == []


class Slow:
    """A request of which the body is sent piece by piece."""

    def __init__(self, site, path="/raw", method="PUT", size=MIB, content_type="video/mp4", **params):
        self.connection = site.daemon.connection(timeout=60)
        headers = {**JSON, "Content-Type": content_type}
        params = {"CONTENT_LENGTH": str(size), **params}
        environ = fastcgi.environ(method, f"{PREFIX}{path}", headers=headers, **params)
        self.connection.send(fastcgi.begin() + fastcgi.stream(fastcgi.PARAMS, fastcgi.pairs(environ)))

    def send(self, data):
        pieces = [data[i : i + 65535] for i in range(0, len(data), 65535)]
        self.connection.send(b"".join(fastcgi.record(fastcgi.STDIN, piece) for piece in pieces))

    def end(self):
        self.connection.send(fastcgi.record(fastcgi.STDIN, b""))
        return self.connection.answer()

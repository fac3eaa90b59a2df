"""Applications that stand behind a web server in the tests. What one was asked stays in its `seen`."""

import hashlib
import json
import os
import socket
import struct
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from support import fastcgi
from support.listening import serve_http, stop_taking, take_connections
from support.processes import discard, scratch


@dataclass
class Asked:
    """One request as an application saw it."""

    method: str
    target: str
    fields: list  # header fields or parameters, in their order, with those that are there twice
    size: int
    digest: str

    def all(self, name):
        return [value for found, value in self.fields if found.lower() == name.lower()]

    def get(self, name):
        """The value of a field that may be there once; '' when it is not."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} is there {len(values)} times: {values}"
        return values[0] if values else ""


class Application:
    """
    Answers 200 with what it was asked, or NNN to .../answer/NNN; /flask also sets a cookie. Where it speaks HTTP, it
    lets a connection become whatever it is asked to, and repeats what comes then.
    """

    def __init__(self):
        self.seen = []

    def answer(self, method, target, fields, body):
        asked = Asked(method, target, fields, len(body), hashlib.sha256(body).hexdigest())
        self.seen.append(asked)
        _, is_told, status = target.partition("/answer/")
        return int(status) if is_told else 200, json.dumps({"application": target, "method": method}).encode()


# As Flask signs it, under the name that Flask gives it.
FLASK_COOKIE = "session=eyJhIjoxfQ.aR4nQw.8kK-r3yq3P4f5p0Jc8v1Yt0qN_E"


class ProxiedApplication(Application):
    """Speaks HTTP on a port of this machine."""

    def __init__(self):
        super().__init__()
        application = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Or a body waits until its header is acknowledged, which takes 40 ms.
            disable_nagle_algorithm = True

            def do(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                fields = [(name, value) for name, value in self.headers.items()]
                status, text = application.answer(self.command, self.path, fields, body)
                if self.headers.get("Upgrade"):
                    self._repeat()
                    return
                self.send_response(status)
                if self.path == "/flask":
                    self.send_header("Set-Cookie", f"{FLASK_COOKIE}; HttpOnly; Path=/")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

            def _repeat(self):
                self.send_response(101)
                self.send_header("Connection", "Upgrade")
                self.send_header("Upgrade", self.headers["Upgrade"])
                self.end_headers()
                self.close_connection = True
                while data := self.rfile.read1(1000):
                    self.wfile.write(data)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do

            def log_message(self, *_):
                pass

        self.server = serve_http(Handler)
        self.port = self.server.server_address[1]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class FastCgiApplication(Application):
    """A FastCGI responder on a Unix socket, one request a connection."""

    def __init__(self):
        super().__init__()
        self.folder = scratch("app")
        self.path = str(self.folder / "s")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        os.chmod(self.path, 0o666)
        self.listener.listen(64)
        take_connections(self.listener, self._serve)

    def _serve(self, connection, _):
        streams = {fastcgi.PARAMS: bytearray(), fastcgi.STDIN: bytearray()}
        with connection, connection.makefile("rb") as incoming:
            while True:
                header = incoming.read(8)
                if len(header) < 8:
                    return
                _, kind, request_id, size, padding = struct.unpack(">BBHHBx", header)
                content = incoming.read(size + padding)[:size]
                if kind in streams:
                    streams[kind] += content
                if kind == fastcgi.STDIN and size == 0:
                    break
            fields = fastcgi.parse_pairs(bytes(streams[fastcgi.PARAMS]))
            params = dict(fields)
            status, text = self.answer(
                params["REQUEST_METHOD"], params["REQUEST_URI"], fields, streams[fastcgi.STDIN]
            )
            head = f"Status: {status}\r\nContent-Type: application/json\r\n\r\n".encode()
            ended = fastcgi.record(fastcgi.END_REQUEST, struct.pack(">IB3x", 0, 0), request_id)
            if params["REQUEST_METHOD"] == "HEAD":
                text = b""
            connection.sendall(fastcgi.stream(fastcgi.STDOUT, head + text, request_id) + ended)

    def close(self):
        stop_taking(self.listener)
        discard(self.folder)


PAGE = "<p>for members only</p>\n"
FILES = ["index.html", "page.html", "a b.html", "50%.html", "\u00fcn\u00ef.html", "folder/index.html"]


class StaticSite(Application):
    """Files that the web server itself serves; robots.txt is there as well."""

    def __init__(self):
        super().__init__()
        self.root = scratch("www")
        (self.root / "folder").mkdir()
        for name in FILES:
            (self.root / name).write_text(PAGE)
        (self.root / "robots.txt").write_text("User-agent: *\n")
        (self.root / ".well-known/acme-challenge").mkdir(parents=True)
        (self.root / ".well-known/acme-challenge/proof").write_text("proven\n")

    def close(self):
        discard(self.root)

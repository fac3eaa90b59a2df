"""An HTTP service that modules call, as well behaved as its path says, and the module tests/modules/caller.c."""

import json
import shutil
import socket
import ssl
import subprocess
import time

from support.listening import stop_taking, take_connections
from support.processes import BUILD

CALLER = BUILD / "tests/caller.so"


class Service:
    """
    What it does depends on the path: /echo tells what was asked, /silent says nothing, /slow/MS answers after so long,
    /drip sends a byte every now and then, /huge and /chunked send far too much, /headers sends header fields for ever,
    /cut breaks off, /redirect leads to /echo, /status/N has that status, /type/HEX has that Content-Type, /close closes
    the connection after its answer, without having said so.
    """

    def __init__(self, host="127.0.0.1", context=None):
        self.context = context
        self.asked = []  # (connection, method, path)
        self.connections = 0
        self.is_closing = False
        self.listener = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port = self.listener.getsockname()[1]
        take_connections(self.listener, self._serve)

    @property
    def paths(self):
        return [path for _, _, path in self.asked]

    def _serve(self, connection, number):
        self.connections = max(number, self.connections)
        try:
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
            with connection, connection.makefile("rb") as incoming:
                while self._answer(connection, incoming, number):
                    pass
        except OSError:
            pass

    def _answer(self, connection, incoming, number):
        """Whether it goes on with that connection."""
        line = incoming.readline().decode()
        if not line:
            return False
        method, path, _ = line.split()
        fields = []
        while (field := incoming.readline().decode().rstrip("\r\n")) != "":
            fields.append(field)
        sizes = [int(field.partition(":")[2]) for field in fields if field.lower().startswith("content-length:")]
        body = incoming.read(sizes[0]) if sizes else b""
        self.asked.append((number, method, path))
        told = {"method": method, "path": path, "fields": fields, "body": body.decode()}
        return self._behave(connection, path.rpartition("/base")[2], json.dumps(told).encode(), method)

    def _behave(self, connection, path, told, method):
        def send(status, body, more="", length=None, content_type=b"application/json"):
            size = len(body) if length is None else length
            head = b"HTTP/1.1 %d Whatever\r\nContent-Type: %b\r\n" % (status, content_type)
            head += f"{more}Content-Length: {size}\r\n\r\n".encode()
            connection.sendall(head + (b"" if method == "HEAD" else body))

        word, _, rest = path[1:].partition("?")[0].partition("/")
        if word == "silent":
            self._until_closed(connection)
            return False
        if word == "slow":
            time.sleep(int(rest) / 1000)
            send(200, told)
        elif word == "drip":
            connection.sendall(b"HTTP/1.1 200 Fine\r\nContent-Length: 100000\r\n\r\n")
            while not self.is_closing:
                connection.sendall(b"x")
                time.sleep(0.05)
        elif word == "huge":
            send(200, b"x" * 20, length=50 << 20)
        elif word == "chunked":
            connection.sendall(b"HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not self.is_closing:
                connection.sendall(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
        elif word == "headers":
            connection.sendall(b"HTTP/1.1 200 Fine\r\n")
            while not self.is_closing:
                connection.sendall(b"X-More: " + b"x" * 1000 + b"\r\n")
        elif word == "cut":
            send(200, told[:10], length=len(told))
            return False
        elif word == "redirect":
            send(302, told, f"Location: http://127.0.0.1:{self.port}/echo\r\n")
        elif word == "status":
            send(int(rest), told)
        elif word == "type":
            send(200, told, content_type=bytes.fromhex(rest))
        else:
            send(200, told)
        return word != "close"

    def _until_closed(self, connection):
        connection.settimeout(0.2)
        while not self.is_closing:
            try:
                if connection.recv(1) == b"":
                    return
            except (TimeoutError, socket.timeout):
                continue

    def close(self):
        if self.is_closing:
            return
        self.is_closing = True
        stop_taking(self.listener)


def has_openssl():
    return shutil.which("openssl") is not None


def make_certificate(folder, name="localhost"):
    """A certificate of its own for that name, and its key: both files."""
    key, certificate = folder / "service.key", folder / "service.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
        + ["-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    return key, certificate


def tls_context(key, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def with_files(files, command):
    """`command` where each file of the machine in `files` has the content of another: root's, in a mount namespace."""
    mounts = " && ".join(f"mount --bind '{new}' '{old}'" for old, new in files.items())
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{mounts} && exec "$@"', "sh", *command]

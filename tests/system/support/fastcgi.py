"""
A FastCGI 1.0 client that does as it is told: whole requests, and the odd and hostile ones that no web server sends.
Records are built by hand, so that a test can leave out, cut short or repeat whatever it wants.
"""

import socket
import struct
import time

BEGIN_REQUEST, ABORT_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES = range(1, 10)
RESPONDER, AUTHORIZER, FILTER = 1, 2, 3


def record(kind, content=b"", request_id=1, padding=0, version=1):
    header = struct.pack(">BBHHBx", version, kind, request_id, len(content), padding)
    return header + content + b"\0" * padding


def begin(role=RESPONDER, keep=False, request_id=1):
    return record(BEGIN_REQUEST, struct.pack(">HB5x", role, 1 if keep else 0), request_id)


def length(number, force_long=False):
    return bytes([number]) if number < 128 and not force_long else struct.pack(">I", number | 0x80000000)


def pair(name, value):
    name, value = _bytes(name), _bytes(value)
    return length(len(name)) + length(len(value)) + name + value


def pairs(params):
    items = params.items() if isinstance(params, dict) else params
    return b"".join(pair(name, value) for name, value in items)


def parse_pairs(data):
    """The pairs of a PARAMS stream, as a responder reads them."""
    found, at = [], 0
    while at < len(data):
        sizes = []
        for _ in range(2):
            is_long = data[at] >= 128
            sizes.append(struct.unpack_from(">I", data, at)[0] & 0x7FFFFFFF if is_long else data[at])
            at += 4 if is_long else 1
        middle, end = at + sizes[0], at + sum(sizes)
        found.append((data[at:middle].decode("latin-1"), data[middle:end].decode("latin-1")))
        at = end
    return found


def stream(kind, content, request_id=1, size=65535):
    """A stream of records and the empty one that ends it."""
    pieces = [content[i : i + size] for i in range(0, len(content), size)]
    return b"".join(record(kind, piece, request_id) for piece in pieces) + record(kind, b"", request_id)


def _bytes(text):
    return text.encode() if isinstance(text, str) else text


def environ(method="GET", path="/session/auth", query="", headers=None, body=b"", **params):
    """The parameters that a web server sends (RFC 3875). One that is None is left out."""
    result = {
        "GATEWAY_INTERFACE": "CGI/1.1",
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": path,
        "PATH_INFO": "",
        "QUERY_STRING": query,
        "REQUEST_URI": path + ("?" + query if query else ""),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "192.0.2.7",
        "HTTP_HOST": "localhost",
    }
    if body:
        result["CONTENT_LENGTH"] = str(len(body))
    for name, value in (headers or {}).items():
        name = name.upper().replace("-", "_")
        result[name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + name] = value
    result.update(params)
    return {name: value for name, value in result.items() if value is not None}


def request_bytes(params, body=b"", role=RESPONDER, keep=False, params_size=65535):
    data = begin(role, keep) + stream(PARAMS, params if isinstance(params, bytes) else pairs(params), size=params_size)
    return data if role == AUTHORIZER else data + stream(STDIN, body)


class Answer:
    """What came back: the CGI header taken apart, and how the request ended."""

    def __init__(self, stdout, stderr, ended, app_status, protocol_status):
        self.stdout, self.stderr = stdout, stderr
        self.ended, self.app_status, self.protocol_status = ended, app_status, protocol_status
        head, separator, self.body = stdout.partition(b"\r\n\r\n")
        assert not stdout or separator, f"no end of the header in {stdout!r}"
        self.fields = []
        for line in head.decode("latin-1").split("\r\n") if head else []:
            name, colon, value = line.partition(":")
            assert colon, f"no header field: {line!r}"
            self.fields.append((name, value.strip()))

    @property
    def status(self):
        for name, value in self.fields:
            if name.lower() == "status":
                return int(value.split()[0])
        return 200 if self.fields else None

    def all(self, name):
        return [value for found, value in self.fields if found.lower() == name.lower()]

    def get(self, name):
        """The value of a field that is there at most once."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} is there {len(values)} times: {values}"
        return values[0] if values else None

    def cookie(self, name="onesession"):
        """What a cookie is set to, or None."""
        for field in self.all("Set-Cookie"):
            if field.startswith(name + "="):
                return field[len(name) + 1 :].partition(";")[0]
        return None


class Connection:
    """One connection to a responder at `address`: a path, or (host, port)."""

    def __init__(self, address, timeout=20):
        if isinstance(address, str):
            family = socket.AF_UNIX
        else:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.timeout = timeout
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def try_send(self, data):
        """Send to a peer that may have gone. Returns False when it has."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def _receive(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                return data
            data += piece
        return data

    def answer(self):
        """Read until the request has ended or the peer has closed. Never for longer than the time-out in all."""
        deadline = time.monotonic() + self.timeout
        stdout = stderr = b""
        while True:
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                header = self._receive(8)
                if len(header) < 8:
                    return Answer(stdout, stderr, False, None, None)
                version, kind, _, size, padding = struct.unpack(">BBHHBx", header)
                content = self._receive(size + padding)[:size]
            except ConnectionResetError:
                return Answer(stdout, stderr, False, None, None)
            assert version == 1
            if kind == STDOUT:
                stdout += content
            elif kind == STDERR:
                stderr += content
            elif kind == END_REQUEST:
                app_status, protocol_status = struct.unpack(">IB3x", content)
                return Answer(stdout, stderr, True, app_status, protocol_status)

    def is_closed(self, within):
        """True when the peer closes the connection within that many seconds. What it sends first is dropped."""
        deadline = time.monotonic() + within
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            self.socket.settimeout(left)
            try:
                if not self.socket.recv(65536):
                    return True
            except ConnectionResetError:
                return True
            except TimeoutError:
                return False


def send(address, params=None, body=b"", role=RESPONDER, timeout=20, **kwargs):
    """One whole request. `params` as they are, or those of environ(**kwargs)."""
    body = _bytes(body)
    if params is None:
        params = environ(body=body, **kwargs)
    with Connection(address, timeout) as connection:
        connection.send(request_bytes(params, body, role))
        return connection.answer()

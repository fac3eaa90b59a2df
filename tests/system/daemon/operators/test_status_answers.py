"""`onesessionctl status`, and what it makes of whatever answers at server.listen: it neither hangs nor believes it."""

import json
import socket
import struct
import threading

import pytest

from support.processes import discard, scratch
from support.programs import Ctl
from support.waiting import PATIENCE

STDOUT, END_REQUEST = 6, 3
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


def record(kind, content=b""):
    return struct.pack(">BBHHBx", 1, kind, 1, len(content), 0) + content


def answer(body, status="200 OK"):
    text = f"Status: {status}\r\nContent-Type: application/json\r\n\r\n{body}".encode()
    return record(STDOUT, text) + record(STDOUT) + record(END_REQUEST, bytes(8))


class Impostor:
    """Listens where the daemon should, and answers the first request by `act`, which gets the connection."""

    def __init__(self, act):
        self.act = act
        self.folder = scratch("i")
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(self.folder / "s"))
        self.listening.listen()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        try:
            connection, _ = self.listening.accept()
            with connection:
                connection.recv(65536)
                self.act(connection)
        except OSError:
            # Whoever asked has gone, or nobody has asked.
            pass

    def ctl(self, **settings):
        return Ctl("", **{"server.listen": f"unix:{self.folder}/s", **settings})

    def close(self):
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.thread.join(PATIENCE)
        discard(self.folder)


@pytest.fixture
def impostor(closing):
    return lambda act: closing.add(Impostor(act)).ctl()


def test_long_times_are_told_in_two_parts(impostor):
    worker = {"worker": 0, "pid": 2, "state": "idle", "age_ms": 20 * MINUTE + 7_300, "requests": 5}
    busy = {**worker, "state": "busy", "age_ms": 3 * HOUR + 20 * MINUTE, "request_age_ms": 7_250, "request": "GET /me"}
    status = {"version": "1", "pid": 1, "uptime_ms": 4 * DAY + 3 * HOUR + MINUTE, "workers": [worker, busy]}
    said = impostor(lambda connection: connection.sendall(answer(json.dumps(status)))).run("status")
    assert "up 4d 3h\n" in said
    assert "20m 7s" in said and "3h 20m" in said and "7.2s" in said


@pytest.mark.parametrize(
    "sent, told",
    [
        (answer("{}"), "is not onesessiond"),
        (answer("[1"), "is not onesessiond"),
        (answer("{}", "404 Not Found"), "does not answer as expected: Status: 404 Not Found"),
        (record(STDOUT, b"HTTP/1.1 200 OK\r\n\r\n{}") + record(END_REQUEST, bytes(8)), "does not answer as expected"),
        (record(7, b"noise") + answer("{}"), "is not onesessiond"),
        (answer("{}")[:30], ""),
        (b"", ""),
    ],
)
def test_another_answer_is_no_status(impostor, sent, told):
    assert told in impostor(lambda connection: connection.sendall(sent)).refused("status")


def test_answer_without_end_is_given_up(impostor):
    def pour(connection):
        while True:
            connection.sendall(record(STDOUT, bytes(60_000)))

    assert "does not end" in impostor(pour).refused("status")


def test_silence_is_given_up(impostor):
    asked = threading.Event()

    def wait(connection):
        connection.recv(1)
        asked.set()

    assert "no answer from the daemon" in impostor(wait).refused("status")
    assert asked.wait(PATIENCE), "it is gone when it has given up"

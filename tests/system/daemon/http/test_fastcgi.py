"""
Peers that are no web server, or a broken one: whatever they send, the daemon goes on answering others at once, and
does not burn the processor. All with one worker, so that nobody else could answer in its place.
"""

import json
import os
import socket
import struct
import time

import pytest

from support import fastcgi
from support.closing import database_and_things, remember_log
from support.fastcgi import BEGIN_REQUEST, PARAMS, STDIN, begin, environ, pair, pairs, record, request_bytes, stream
from support.processes import cpu_seconds
from support.programs import Daemon
from support.waiting import Background, wait_until

IO_TIMEOUT = 2
REQUEST_TIMEOUT = 5


# One worker that waits 2 s for a peer to say what it wants, and 5 s for a client's body.
SETTINGS = {
    "server.workers": 1,
    "server.io_timeout": f"{IO_TIMEOUT}s",
    "server.request_timeout": f"{REQUEST_TIMEOUT}s",
}


@pytest.fixture(scope="module")
def daemon_of_all(cluster_of_worker):
    """Whatever a test here does, the daemon is as it was before."""
    with database_and_things(cluster_of_worker) as (database, things):
        yield things.add(Daemon(database, SETTINGS)).start()


@pytest.fixture
def one(request, cluster, daemon_of_all):  # pylint: disable=unused-argument
    remember_log(request.node, "onesessiond", daemon_of_all.log)
    return daemon_of_all


def answers_at_once(daemon):
    """It serves others, and within far less than it waits for a silent peer."""
    began = time.monotonic()
    assert daemon.ask().status == 401
    took = time.monotonic() - began
    assert took < IO_TIMEOUT / 2, f"it took {took:.1f} s"


def same_worker(daemon, workers):
    assert daemon.workers == workers, "the worker has died"


WHOLE = request_bytes(environ())
LONG_VALUE = pairs(environ(headers={"X": "y" * 500}))

BROKEN = {
    "nothing": b"",
    "a byte": b"\x01",
    "half a header": WHOLE[:5],
    "begin only": begin(),
    "half a begin": begin()[:12],
    "header of parameters without content": begin() + record(PARAMS, b"x" * 100)[:8],
    "half of the parameters": WHOLE[: len(WHOLE) // 2],
    "parameters without their end": begin() + record(PARAMS, pairs(environ())),
    "between two pairs": begin() + record(PARAMS, pairs(environ())[:0] + pair("REQUEST_METHOD", "GET")),
    "a pair that is cut short": begin() + stream(PARAMS, pairs(environ())[:-3]),
    "a length that is cut short": begin() + stream(PARAMS, pairs(environ()) + b"\x85"),
    "a long length that is cut short": begin() + stream(PARAMS, pairs(environ()) + b"\x04\x80\x00"),
    "a pair longer than all there is": begin() + stream(PARAMS, pairs(environ()) + struct.pack(">II", 0xFFFFFFFF, 5)),
    "a name longer than all there is": begin() + stream(PARAMS, struct.pack(">IB", 0x80FFFFFF, 1) + b"x" * 50),
    "the end of the body missing": begin() + stream(PARAMS, pairs(environ())),
    "no parameters at all": begin() + stream(PARAMS, b"") + stream(STDIN, b""),
    "not FastCGI": b"GET /session/auth HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "zeroes": b"\0" * 1000,
    "ones": b"\xff" * 1000,
    "version 2": record(BEGIN_REQUEST, struct.pack(">HB5x", 1, 0), version=2),
    "get values": record(fastcgi.GET_VALUES, pair("FCGI_MAX_CONNS", ""), request_id=0) + WHOLE,
    "get values without content": record(fastcgi.GET_VALUES, b"", request_id=0),
    "get values of a request": record(fastcgi.GET_VALUES, pair("FCGI_MPXS_CONNS", "")) + WHOLE,
    "unknown management record": record(77, b"x" * 100, request_id=0) + WHOLE,
    "data first": record(fastcgi.DATA, b"x"),
    "abort first": record(fastcgi.ABORT_REQUEST),
    "parameters first": stream(PARAMS, pairs(environ())),
    "body first": stream(STDIN, b"x"),
    "answer of an application": record(fastcgi.STDOUT, b"Status: 200 OK\r\n\r\n")
    + record(fastcgi.END_REQUEST, b"\0" * 8),
    "begin of another size": record(BEGIN_REQUEST, b"\0\1") + WHOLE,
    "empty begin": record(BEGIN_REQUEST, b""),
    "two begins": begin() + begin() + WHOLE,
    "request number 0": request_bytes(environ()).replace(b"\x01\x01\x00\x01", b"\x01\x01\x00\x00", 1),
    "another request in between": begin() + begin(request_id=2) + stream(PARAMS, pairs(environ()), request_id=2),
    "role of a filter": begin(role=fastcgi.FILTER) + stream(PARAMS, pairs(environ())) + stream(STDIN, b""),
    "role 0": begin(role=0) + stream(PARAMS, pairs(environ())) + stream(STDIN, b""),
    "role 9": begin(role=9) + stream(PARAMS, pairs(environ())) + stream(STDIN, b""),
    "abort in the middle": begin() + record(PARAMS, LONG_VALUE) + record(fastcgi.ABORT_REQUEST),
    "management record in the middle": begin() + record(fastcgi.GET_VALUES, b"", request_id=0) + WHOLE[16:],
    "body before the parameters' end": begin() + record(PARAMS, pairs(environ())) + stream(STDIN, b"x"),
    "a megabyte of parameters": begin() + stream(PARAMS, pairs(environ(headers={"X": "y" * 1_000_000}))),
    "a name with an equals sign": begin() + stream(PARAMS, pair("A=B", "c") + pairs(environ())) + stream(STDIN, b""),
    "a value with a NUL": begin() + stream(PARAMS, pair("A", "b\0c") + pairs(environ())) + stream(STDIN, b""),
    "a name with a NUL": begin() + stream(PARAMS, pair("A\0", "b") + pairs(environ())) + stream(STDIN, b""),
    "an empty name": begin() + stream(PARAMS, pair("", "b") + pairs(environ())) + stream(STDIN, b""),
    "ten thousand tiny records": begin() + b"".join(record(PARAMS, bytes([byte])) for byte in pairs(environ()) * 20),
    "random": os.urandom(5000),
}
# What a web server may well say, in its own words: it has to be answered.
LEGAL = {
    "padded records": begin()
    + record(PARAMS, pairs(environ()), padding=7)
    + record(PARAMS, padding=3)
    + stream(STDIN, b""),
    "a record for each byte of the parameters": begin() + stream(PARAMS, pairs(environ()), size=1) + stream(STDIN, b""),
    "long lengths for short values": begin()
    + stream(PARAMS, struct.pack(">II", 0x80000001, 0x80000001) + b"Ab" + pairs(environ()))
    + stream(STDIN, b""),
    "a high request number": begin(request_id=65535)
    + stream(PARAMS, pairs(environ()), request_id=65535)
    + stream(STDIN, b"", request_id=65535),
    "a wish to be kept": request_bytes(environ(), keep=True),
    "60 KiB of parameters": request_bytes(environ(headers={"X": "y" * 60_000})),
    "an empty value": request_bytes({**environ(), "HTTP_X": ""}),
    "reserved bytes that are set": record(BEGIN_REQUEST, b"\0\1\0\xff\xff\xff\xff\xff") + WHOLE[16:],
}


def test_peers_that_stall_in_the_middle_hold_nobody_up_and_are_let_go(one):
    workers = one.workers
    peers = {}
    try:
        for name, data in BROKEN.items():
            peers[name] = one.connection()
            peers[name].try_send(data)
            answers_at_once(one)
            assert one.workers == workers, f"the worker has died of {name}"
        deadline = time.monotonic() + REQUEST_TIMEOUT + 8
        still_open = []
        for name, peer in peers.items():
            if not peer.is_closed(within=max(deadline - time.monotonic(), 0.01)):
                still_open.append(name)
        assert still_open == []
    finally:
        for peer in peers.values():
            peer.close()
    answers_at_once(one)
    same_worker(one, workers)


def test_peers_that_leave_in_the_middle_leave_nothing_behind(one):
    workers = one.workers
    for name, data in BROKEN.items():
        for _ in range(3):
            with one.connection() as peer:
                peer.try_send(data)
        answers_at_once(one)
        assert one.workers == workers, f"the worker has died of {name}"


def test_what_is_broken_is_never_answered_as_a_request(one):
    """Parameters that are cut short must not become a request with a part of them (they hold the cookie)."""
    peers = {}
    try:
        for name, data in BROKEN.items():
            peers[name] = one.connection(timeout=REQUEST_TIMEOUT + 8)
            peers[name].try_send(data)
            try:
                peers[name].socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        answered = {name: peer.answer().status for name, peer in peers.items()}
    finally:
        for peer in peers.values():
            peer.close()
    # 400 for a request that is whole but lacks what it needs; none of these may be told who it is.
    assert {name: status for name, status in answered.items() if status not in (None, 400)} == {}


def test_legal_requests_are_answered_however_they_are_put(one):
    for name, data in LEGAL.items():
        with one.connection() as peer:
            peer.send(data)
            answer = peer.answer()
        assert (answer.status, answer.ended, answer.app_status, answer.protocol_status) == (401, True, 0, 0), name
        answers_at_once(one)


@pytest.mark.parametrize("silent_bytes", [0, 4, 16, 60])
def test_many_silent_peers_hold_nobody_up(one, silent_bytes):
    peers = [one.connection() for _ in range(60)]
    try:
        for peer in peers:
            peer.send(WHOLE[:silent_bytes])
        for _ in range(5):
            answers_at_once(one)
    finally:
        for peer in peers:
            peer.close()
    answers_at_once(one)


def test_hundreds_of_peers_that_have_left_hold_nobody_up(one):
    """Closed early: nothing is to be expected of them any more, so nothing of them is kept."""
    for count in (1, 20, 60):
        for _ in range(300):
            with one.connection() as peer:
                peer.try_send(WHOLE[:count])
        answers_at_once(one)


def test_peer_that_drips_holds_nobody_up_and_is_let_go(one):
    """A byte now and then, always in time for a time-out of a single read."""
    workers = one.workers
    request = request_bytes(environ(headers={"X": "y" * 5000}))
    with one.connection() as peer:
        began = time.monotonic()
        for position in range(len(request)):
            if not peer.try_send(request[position : position + 1]) or peer.is_closed(within=0.05):
                break
            assert time.monotonic() - began < 4 * IO_TIMEOUT + 5, "the peer may drip for ever"
            if position % 10 == 0:
                answers_at_once(one)
        else:
            raise AssertionError("it took the whole request")
    same_worker(one, workers)


def test_body_that_drips_has_the_time_of_a_request_and_no_more(one):
    """The web server has said all; it is the client that is slow."""
    params = environ(method="POST", path="/session/login", headers={"Content-Type": "application/json"})
    params["CONTENT_LENGTH"] = "5000"
    workers = one.workers
    with one.connection() as peer:
        peer.send(begin() + stream(PARAMS, pairs(params)))
        began = time.monotonic()
        while peer.try_send(record(STDIN, b" ")) and not peer.is_closed(within=0.05):
            assert time.monotonic() - began < REQUEST_TIMEOUT + 5, "the peer may drip for ever"
            answers_at_once(one)
        assert time.monotonic() - began > REQUEST_TIMEOUT - 1
    same_worker(one, workers)


def test_large_body_that_stalls_is_let_go(one):
    """So large that it cannot be waited for in the kernel's buffers."""
    params = environ(method="POST", path="/session/login", headers={"Content-Type": "application/json"})
    params["CONTENT_LENGTH"] = "60000"
    with one.connection() as peer:
        began = time.monotonic()
        peer.send(begin() + stream(PARAMS, pairs(params)) + record(STDIN, b" " * 50000))
        answers_at_once(one)
        assert peer.is_closed(within=REQUEST_TIMEOUT + 5)
        assert time.monotonic() - began > REQUEST_TIMEOUT - 1
    answers_at_once(one)


def test_body_that_takes_longer_than_the_parameters_may_is_read(one):
    body = json.dumps({"username": "alice", "password": one.database.password}).encode()
    params = environ(method="POST", path="/session/login", headers={"Content-Type": "application/json"}, body=body)
    data = stream(STDIN, body)
    with one.connection() as peer:
        peer.send(begin() + stream(PARAMS, pairs(params)) + data[:20])
        assert not peer.is_closed(within=IO_TIMEOUT + 1)
        peer.send(data[20:])
        assert peer.answer().status == 200


def test_large_body_that_comes_slowly_is_read(one):
    body = json.dumps({"username": "alice", "password": one.database.password, "filler": "x" * 60000}).encode()
    params = environ(method="POST", path="/session/login", headers={"Content-Type": "application/json"}, body=body)
    data = stream(STDIN, body, size=5000)
    with one.connection() as peer:
        peer.send(begin() + stream(PARAMS, pairs(params)))
        for position in range(0, len(data), 8000):
            peer.send(data[position : position + 8000])
            # Slowly: the next piece when the worker has had its turn.
            answers_at_once(one) if position < 24000 else None
        assert peer.answer().status == 200


def test_peer_that_does_not_take_its_answer_holds_nobody_up(one):
    """The answer is never read."""
    workers = one.workers
    peers = [one.connection() for _ in range(20)]
    try:
        for peer in peers:
            peer.send(request_bytes(environ(path="/session/style.css")))
        answers_at_once(one)
    finally:
        for peer in peers:
            peer.close()
    same_worker(one, workers)


def test_peer_that_leaves_before_its_answer_changes_nothing(one):
    workers = one.workers
    for _ in range(50):
        with one.connection() as peer:
            peer.send(WHOLE)
    answers_at_once(one)
    same_worker(one, workers)


def test_login_of_a_peer_that_has_left_is_whole_or_not_there(one):
    """The web server may give up at any time: no half of a login remains."""
    body = json.dumps({"username": "alice", "password": one.database.password}).encode()
    params = environ(method="POST", path="/session/login", headers={"Content-Type": "application/json"}, body=body)
    for _ in range(20):
        with one.connection() as peer:
            peer.send(request_bytes(params, body))
    answers_at_once(one)
    assert len(one.database.sessions()) <= 1
    answer = one.ask(params, body)
    assert answer.status == 200
    assert len(one.database.sessions()) == 1


def test_more_after_the_request_is_not_taken_for_another(one):
    with one.connection() as peer:
        peer.try_send(WHOLE + WHOLE)
        assert peer.answer().status == 401
        assert peer.is_closed(within=IO_TIMEOUT + 8)
    answers_at_once(one)


def test_connection_is_closed_after_the_answer_even_when_asked_to_be_kept(one):
    """A kept connection would hold a worker; and closing does not linger."""
    with one.connection() as peer:
        peer.send(request_bytes(environ(), keep=True))
        assert peer.answer().status == 401
        began = time.monotonic()
        assert peer.is_closed(within=IO_TIMEOUT + 8)
        assert time.monotonic() - began < 1
    answers_at_once(one)


def test_last_of_two_parameters_of_one_name_counts(one):
    """nginx sends both; its later setting is the one that is meant (HTTPS, REMOTE_ADDR)."""
    params = [("REQUEST_METHOD", "POST"), *environ().items(), ("REQUEST_METHOD", "GET")]
    assert one.ask(params).status == 401
    params = [*environ(path="/session/nothing").items(), ("SCRIPT_NAME", "/session/auth")]
    assert one.ask(params).status == 401


def test_authorizer_is_not_waited_for_to_send_a_body(one):
    """Apache sends none, not even its end."""
    params = {"REQUEST_METHOD": "POST", "REQUEST_URI": "/x", "CONTENT_LENGTH": "1000000", "REMOTE_ADDR": "192.0.2.7"}
    began = time.monotonic()
    with one.connection() as peer:
        peer.send(begin(fastcgi.AUTHORIZER) + stream(PARAMS, pairs(params)))
        answer = peer.answer()
    assert answer.status == 401
    assert time.monotonic() - began < IO_TIMEOUT / 2
    # lighttpd does send its end.
    with one.connection() as peer:
        peer.send(begin(fastcgi.AUTHORIZER) + stream(PARAMS, pairs(params)) + stream(STDIN, b""))
        assert peer.answer().status == 401


@pytest.mark.parametrize("first", [b"", WHOLE[:4], WHOLE[:16], WHOLE[:60]])
def test_silent_peer_costs_no_processor_time(one, first):
    workers = one.workers
    with one.connection() as peer:
        peer.send(first)
        answers_at_once(one)
        before = sum(cpu_seconds(pid) for pid in [one.process.pid, *workers])
        assert peer.is_closed(within=IO_TIMEOUT + 8)
    spent = sum(cpu_seconds(pid) for pid in [one.process.pid, *workers]) - before
    assert spent < 0.3, f"{spent:.2f} s of processor time in {IO_TIMEOUT} s of silence"
    same_worker(one, workers)


def test_silent_peer_does_not_delay_the_end(new_daemon):
    """A shutdown signal is not lost in a read from a silent peer."""
    one = new_daemon(SETTINGS).start()
    with one.connection() as peer:
        peer.send(WHOLE[:20])
        answers_at_once(one)
        began = time.monotonic()
        one.stop()
        assert time.monotonic() - began < IO_TIMEOUT + 5


def test_burst_of_connections_is_served(one):
    """More at once than a worker can serve at a time."""
    calls = [Background(one.ask) for _ in range(150)]
    assert {call.result().status for call in calls} == {401}


def test_peers_that_are_not_allowed_are_turned_away(new_daemon):
    """By the user that a unix peer runs as."""
    other = 65533 if os.geteuid() != 65533 else 65532
    closed = new_daemon({"server.allowed_users": str(other)}).start(wait=None)
    wait_until(lambda: os.path.exists(closed.path) and closed.workers, "the daemon to listen")
    with closed.connection() as peer:
        peer.try_send(WHOLE)
        assert peer.answer().status is None
    opened = new_daemon({"server.allowed_users": f"{other} {os.geteuid()}"}).start()
    assert opened.ask().status == 401

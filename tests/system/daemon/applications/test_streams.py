"""Answers that are made while they are sent, and files that the web server or the daemon sends."""

import os
import re
import time

import pytest

from support import fastcgi
from support.browser import problem
from support.processes import resident_bytes
from support.site import PREFIX
from support.uploads import MIB, letters
from support.waiting import wait_until


def ask(site, path, query="", method="GET", **params):
    headers = {"Accept": "application/json"}
    return site.daemon.ask(method=method, path=f"{PREFIX}{path}", query=query, headers=headers, timeout=60, **params)


def begin(daemon, query):
    """A reader that has asked, and has not read yet."""
    connection = daemon.connection(timeout=60)
    params = fastcgi.environ(path="/session/application/stream", query=query)
    connection.send(fastcgi.request_bytes(params))
    return connection


def counts(site):
    found = site.daemon.ask(path="/session/application/streamed", headers={"Accept": "application/json"}).body
    return tuple(int(number) for number in re.findall(rb"\d+", found))


def all_are_done(site, count):
    wait_until(lambda: counts(site) == (count, count), f"{count} streams to be done: {counts(site)}")


@pytest.fixture(name="one")
def fixture_one(new_application):
    """Readers here are slow on purpose, and so may this machine be."""
    return new_application({"server.workers": 1, "server.io_timeout": "60s"})


# ---- The answer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 32767, 32768, 32769, 65536, 3 * MIB + 5])
def test_stream_comes_whole_whatever_its_size(shared_application, size):
    answer = ask(shared_application, "/stream", f"size={size}")
    assert (answer.status, answer.get("Content-Type"), answer.get("Application")) == (200, "text/plain", "streams")
    assert answer.get("Content-Length") is None
    assert answer.body == letters(size)
    assert (answer.ended, answer.app_status, answer.protocol_status) == (True, 0, 0)


def test_pieces_can_be_small(shared_application):
    assert ask(shared_application, "/stream", "size=5000&piece=1").body == letters(5000)
    assert ask(shared_application, "/stream", "size=100000&piece=77").body == letters(100000)


def test_stream_has_the_status_and_the_header_fields_of_any_answer(application, browse):
    assert ask(application, "/stream", "status=404").status == 404
    browser = browse(application)
    problem(browser.get("/session/application/members-stream"), 401, "unauthenticated")
    browser.sign_in()
    answer = browser.get("/session/application/members-stream?size=100")
    assert (answer.headers["Cache-Control"], answer.headers["Vary"]) == ("no-store", "Cookie")
    assert answer.content == letters(100)
    # Once each, also where nothing is streamed.
    for method, query in (("HEAD", "size=100"), ("GET", "status=204")):
        answer = browser.request(method, f"/session/application/members-stream?{query}")
        assert (answer.headers["Cache-Control"], answer.headers["Vary"]) == ("no-store", "Cookie")


@pytest.mark.parametrize("query, status", [("status=204", 204), ("status=304", 304)])
def test_stream_of_a_status_without_a_body_has_none_and_is_done(one, query, status):
    answer = ask(one, "/stream", query)
    assert (answer.status, answer.body) == (status, b"")
    all_are_done(one, 1)


def test_head_has_the_header_alone_and_is_done(one):
    answer = ask(one, "/stream", "size=100000", "HEAD")
    assert (answer.status, answer.get("Content-Type"), answer.body) == (200, "text/plain", b"")
    all_are_done(one, 1)


def test_mistakes_are_logged_and_each_stream_is_done_once(one):
    assert ask(one, "/stream", "twice=1&size=100").body == letters(100)
    assert ask(one, "/stream", "before=1").status == 204
    assert ask(one, "/stream", "status=999").status == 500
    all_are_done(one, 3)
    log = one.daemon.log_text()
    assert log.count("it answers again") == 2
    assert "a status that is not one from 200 to 599" in log


# ---- Back-pressure ---------------------------------------------------------------------------------------------------


def test_slow_readers_hold_no_other_up_and_cost_no_memory(one):
    (worker,) = one.daemon.workers
    ask(one, "/stream", f"size={MIB}")
    before = resident_bytes(worker)
    readers = [begin(one.daemon, f"size={16 * MIB}") for _ in range(40)]
    wait_until(lambda: counts(one) == (41, 1), "the streams to begin")
    began = time.monotonic()
    for _ in range(100):
        assert one.daemon.ask(path="/session/state").status == 200
    assert time.monotonic() - began < 10
    assert resident_bytes(worker) - before < 40 * 128 * 1024 + 4 * MIB
    # Who takes it in the end gets all of it.
    assert readers[7].answer().body == letters(16 * MIB)
    for reader in readers:
        reader.close()
    all_are_done(one, 41)


def test_reader_that_takes_nothing_for_too_long_is_given_up(new_application):
    one = new_application({"server.workers": 1, "server.io_timeout": "300ms"})
    reader = begin(one.daemon, f"size={64 * MIB}")
    all_are_done(one, 1)
    answer = reader.answer()
    assert not answer.ended and len(answer.body) < 64 * MIB


def test_reader_may_take_longer_than_a_request_as_long_as_it_goes_on(new_application):
    one = new_application({"server.workers": 1, "server.request_timeout": "300ms", "server.io_timeout": "2s"})
    workers = one.daemon.workers
    reader = begin(one.daemon, f"size={8 * MIB}")
    began, taken = time.monotonic(), 0
    while time.monotonic() - began < 2.5:
        taken += len(reader.socket.recv(65536))
        # What is tested is time itself.
        time.sleep(0.05)
    while piece := reader.socket.recv(65536):
        taken += len(piece)
    assert taken > 8 * MIB
    assert one.daemon.workers == workers
    all_are_done(one, 1)


def test_stream_is_done_when_its_reader_hangs_up(one):
    for number in range(1, 6):
        reader = begin(one.daemon, f"size={64 * MIB}")
        reader.socket.recv(1000)
        reader.close()
        all_are_done(one, number)


def test_stream_that_is_cut_off_is_seen_to_be(one):
    answer = ask(one, "/stream", "size=100000&cut=50000")
    assert not answer.ended
    assert letters(100000).startswith(answer.body) and len(answer.body) >= 50000
    all_are_done(one, 1)
    assert re.search("answer_cut_off .*path=/session/application/stream", one.daemon.log_text())


def test_streams_that_are_too_many_are_asked_to_come_back(one):
    readers = [begin(one.daemon, f"size={64 * MIB}") for _ in range(128)]
    wait_until(lambda: counts(one)[0] == 128, "the streams to begin")
    answer = ask(one, "/stream")
    assert (answer.status, answer.get("Retry-After")) == (503, "2")
    for reader in readers:
        reader.close()
    all_are_done(one, 129)
    assert ask(one, "/stream").status == 200


def test_worker_that_is_told_to_stop_finishes_its_streams(one):
    reader = begin(one.daemon, f"size={8 * MIB}")
    head = reader.socket.recv(1000)
    one.daemon.send_signal(15)
    wait_until(lambda: not os.path.exists(one.daemon.path), "the socket to go")
    size = len(head)
    while piece := reader.socket.recv(65536):
        size += len(piece)
    assert size > 8 * MIB
    assert one.daemon.wait() == 0


# ---- Files -----------------------------------------------------------------------------------------------------------


def test_file_is_sent_by_the_daemon_where_the_web_server_does_not(shared_application):
    data = os.urandom(300000)
    (shared_application.daemon.covers / "a b.jpg").write_bytes(data)
    answer = ask(shared_application, "/stored/a b.jpg")
    assert (answer.status, answer.get("Content-Type"), answer.get("Content-Length")) == (200, "image/jpeg", "300000")
    assert answer.get("Cache-Control") == "private, max-age=60"
    assert answer.body == data and answer.ended
    head = ask(shared_application, "/stored/a b.jpg", method="HEAD")
    assert (head.get("Content-Length"), head.body) == ("300000", b"")
    (shared_application.daemon.covers / "empty").write_bytes(b"")
    answer = ask(shared_application, "/stored/empty")
    assert (answer.get("Content-Length"), answer.body, answer.ended) == ("0", b"", True)


def test_web_server_is_told_which_file_to_send(shared_application):
    name = "k\u00fche 1%.jpg"
    (shared_application.daemon.covers / name).write_bytes(b"x")
    escaped = "k%C3%BChe%201%25.jpg"
    answer = ask(
        shared_application, "/stored/" + name, ONESESSION_SENDFILE="x-accel-redirect /_stored/", REQUEST_URI="/x"
    )
    assert (answer.get("X-Accel-Redirect"), answer.body) == ("/_stored/covers/" + escaped, b"")
    answer = ask(shared_application, "/stored/" + name, ONESESSION_SENDFILE="x-sendfile-escaped", REQUEST_URI="/x")
    assert (answer.get("X-Sendfile"), answer.body) == (f"{shared_application.daemon.covers}/{escaped}", b"")
    answer = ask(shared_application, "/stored/" + name, ONESESSION_SENDFILE="x-sendfile", REQUEST_URI="/x")
    plain = f"{shared_application.daemon.covers}/{name}".encode().decode("latin-1")
    assert (answer.get("X-Sendfile"), answer.body) == (plain, b"")
    assert answer.get("Content-Type") == "image/jpeg"


def test_word_that_names_no_way_is_logged_and_the_daemon_sends(shared_application):
    (shared_application.daemon.covers / "b").write_bytes(b"y")
    assert ask(shared_application, "/stored/b", ONESESSION_SENDFILE="sendfile").body == b"y"
    assert "ONESESSION_SENDFILE is neither" in shared_application.daemon.log_text()


@pytest.mark.parametrize("name", ["nothing", "..", ".hidden", "link", "folder", "pipe", "a\\b"])
def test_what_is_no_file_of_the_folder_is_not_found(shared_application, name):
    covers = shared_application.daemon.covers
    (covers / ".hidden").write_bytes(b"x")
    (covers / "folder").mkdir(exist_ok=True)
    if not (covers / "link").is_symlink():
        (covers / "link").symlink_to("/etc/passwd")
        os.mkfifo(covers / "pipe")
    for how in (None, "x-sendfile"):
        assert ask(shared_application, "/stored/" + name, ONESESSION_SENDFILE=how).status == 404


def test_folder_that_was_not_declared_is_a_mistake(shared_application):
    assert ask(shared_application, "/stored/a", "folder=elsewhere").status == 500

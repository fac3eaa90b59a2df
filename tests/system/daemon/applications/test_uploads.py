"""Uploads: forms with files, and large bodies, on disk while they arrive and gone after it unless they are kept."""

import contextlib
import os
import re
import resource
import signal
import subprocess
import time

import pytest

from support import fastcgi
from support.browser import problem
from support.client import JSON
from support.processes import discard, resident_bytes, scratch
from support.site import APPLICATION, PREFIX, give_folders, in_application
from support.status import status_of
from support.uploads import (
    BOUNDARY, MIB, PIECE, TYPE, Slow, ask, form, nothing_is_left, part, refused, spooled, sum_of, told,
)
from support.waiting import Background, wait_until

# What a worker has under way at a time.
PLACES = 64

# ---- Forms -----------------------------------------------------------------------------------------------------------


def test_files_and_fields_of_a_form_come_to_the_handler(shared_application):
    first, second = os.urandom(100000), b"\r\n--" + BOUNDARY.encode()[:-1] + b"\r\n\r\n"
    body = form(
        part("title", "M\u00fcnchen".encode()),
        part("cover", first, "a b.jpg", "image/jpeg"),
        part("title", b"second"),
        part("cover", second, "\u00fc.txt"),
        part("unchosen", b"", "", "application/octet-stream"),
        part("empty", b"", "empty.txt", "text/plain"),
    )
    found = told(ask(shared_application, "/open", body=body, query="sum=1&field=title"))
    assert found["field"] == "M\u00fcnchen"
    assert found["files"] == [
        {"field": "cover", "filename": "a b.jpg", "type": "image/jpeg", "size": 100000, "sum": sum_of(first)},
        {
            "field": "cover",
            "filename": "\u00fc.txt",
            "type": "application/octet-stream",
            "size": len(second),
            "sum": sum_of(second),
        },
        {"field": "empty", "filename": "empty.txt", "type": "text/plain", "size": 0, "sum": sum_of(b"")},
    ]
    nothing_is_left(shared_application.daemon)


def test_form_is_the_same_whatever_the_records_are_that_it_comes_in(shared_application):
    body = form(part("a", b"1"), part("f", PIECE[:500], "f"))
    expected = told(ask(shared_application, "/open", body=body))
    params = fastcgi.environ("POST", "/session/application/open", "sum=1", {**JSON, "Content-Type": TYPE}, body)
    for size in (1, 7, 100):
        for padding in (0, 5):
            pieces = [body[i : i + size] for i in range(0, len(body), size)]
            with shared_application.daemon.connection() as connection:
                connection.send(
                    fastcgi.begin()
                    + fastcgi.stream(fastcgi.PARAMS, fastcgi.pairs(params))
                    + b"".join(fastcgi.record(fastcgi.STDIN, piece, padding=padding) for piece in pieces)
                    + fastcgi.record(fastcgi.STDIN, b"")
                )
                assert told(connection.answer()) == expected


def test_urlencoded_form_and_json_stay_in_memory_with_their_own_limit(application, browse):
    browser = browse(application)
    browser.sign_in()
    answer = browser.request("POST", "/session/application/uploads?field=a", data={"a": "1"})
    assert (answer.json()["field"], answer.json()["files"]) == ("1", [])
    assert browser.request("POST", "/session/application/uploads", json={"a": "1"}).json()["is_json"]
    problem(browser.request("POST", "/session/application/uploads", data={"a": "1" * 70000}), 413, "too_large")


def test_names_of_files_are_cut_to_their_last_part_and_cleaned(shared_application):
    cases = {
        b"../../etc/passwd": "passwd",
        b"C:\\Users\\ada\\a.txt": "a.txt",
        b"/": "",
        b"..": "..",
        b"a\x01\x7fb\xc2\x85": "a??b?",
        b"\xff\xc0\xaf": "???",
        b"x" * 300: "x" * 255,
        b'a\\"b': 'a"b',
        "\u00fc".encode() * 200: "\u00fc" * 127,
    }
    body = form(*(part("f", b"x", told_name) for told_name in cases))
    found = told(ask(shared_application, "/open", body=body))
    assert [file["filename"] for file in found["files"]] == list(cases.values())


@pytest.mark.parametrize(
    "body, status, code, detail",
    [
        (b"", 400, "bad_request", "last boundary"),
        (b"no form at all", 400, "bad_request", "last boundary"),
        (part("f", b"x", "f"), 400, "bad_request", "last boundary"),
        (form(part("f", b"x", "f"))[:-4], 400, "bad_request", "last boundary"),
        (form(part("f", b"x", b"a\0b")), 400, "bad_request", "NUL"),
        (form(part("f", b"\xff")), 400, "bad_request", "UTF-8"),
        (form(part("f", b"a\0b")), 400, "bad_request", "NUL"),
        (form(part("f", b"x")).replace(b'"f"', b'"\xff"'), 400, "bad_request", "UTF-8"),
        (form(*[part("f", b"")] * 65), 413, "too_large", "64 parts"),
        (form(part("f" * 9000, b"")), 413, "too_large", "8 KiB"),
        (form(part("f", b"x" * 65537)), 413, "too_large", "64 KiB"),
        (form(*[part("f", b"x" * 65536)] * 17), 413, "too_large", "1 MiB"),
        (form(part("f", b"x" * 4 * MIB, "f")), 413, "too_large", ""),
        (form(part("f", b"x", "f")).replace(b"\r\n", b"\n"), 400, "bad_request", ""),
        (part("f", b"x", "f") + b"--" + BOUNDARY.encode() + b"junk--", 400, "bad_request", "goes on"),
    ],
    # The forms are too long to name a test by.
    ids=range(15),
)
def test_form_that_is_wrong_or_too_much_is_refused_and_nothing_is_left(shared_application, body, status, code, detail):
    answer = ask(shared_application, "/open", body=body, HTTP_TRANSFER_ENCODING="chunked")
    refused(answer, status, code, detail if body else "")
    nothing_is_left(shared_application.daemon)


def test_sixty_four_parts_are_taken(shared_application):
    assert len(told(ask(shared_application, "/open", body=form(*[part("f", b"x", "f")] * 64)))["files"]) == 64
    nothing_is_left(shared_application.daemon)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "a" * 71,
        'multipart/form-data; boundary="a',
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=\u00fc",
    ],
)
def test_boundary_that_is_none_is_refused(shared_application, content_type):
    refused(ask(shared_application, "/open", body=b"x", content_type=content_type), 400, "bad_request")


def test_nested_form_is_not_taken_apart(shared_application):
    inner = b"--y\r\n\r\n1\r\n--y--\r\n"
    body = form(part("f", inner, "f", "multipart/mixed; boundary=y"))
    assert told(ask(shared_application, "/open", body=body))["files"][0]["size"] == len(inner)


def test_content_length_that_lies_is_found_out(shared_application):
    body = form(part("f", b"x", "f"))
    longer = str(len(body) + 1)
    refused(ask(shared_application, "/open", body=body, CONTENT_LENGTH=longer), 400, "bad_request", "shorter")
    refused(ask(shared_application, "/open", body=body, CONTENT_LENGTH=str(len(body) - 6)), 400, "bad_request")
    # What stands behind it is not of the body.
    assert told(ask(shared_application, "/open", body=body + b"more", CONTENT_LENGTH=str(len(body))))
    refused(ask(shared_application, "/open", body=body, CONTENT_LENGTH="much"), 400, "bad_request")
    refused(ask(shared_application, "/open", body=body, CONTENT_LENGTH="-1"), 400, "bad_request")
    nothing_is_left(shared_application.daemon)


def test_other_types_are_refused(shared_application):
    refused(ask(shared_application, "/open", body=b"x", content_type="image/png"), 415, "unsupported_media_type")
    refused(ask(shared_application, "/kept", body=form(part("a", b"1"))), 415, "unsupported_media_type")
    refused(ask(shared_application, "/raw", body=b"x"), 405, "method_not_allowed")


# ---- Whole bodies ----------------------------------------------------------------------------------------------------


def test_raw_body_of_a_route_for_large_ones_is_a_file(shared_application):
    data = os.urandom(3000000)
    found = told(ask(shared_application, "/raw", "PUT", data, "video/mp4"))
    assert found["files"] == [
        {"field": "", "filename": "", "type": "video/mp4", "size": len(data), "sum": sum_of(data)}
    ]
    assert not found["in_memory"]
    nothing_is_left(shared_application.daemon)


def test_raw_body_of_unknown_length_is_taken_whole(shared_application):
    answer = ask(shared_application, "/raw", "PUT", PIECE, "a/b", CONTENT_LENGTH=None, HTTP_TRANSFER_ENCODING="chunked")
    assert told(answer)["files"][0]["size"] == len(PIECE)


def test_json_of_such_a_route_stays_in_memory(shared_application):
    found = told(ask(shared_application, "/raw", "PUT", b'{"a": 1}', "application/json"))
    assert found["is_json"] and found["in_memory"] and found["files"] == []
    refused(ask(shared_application, "/raw", "PUT", b" " * 70000, "application/json"), 413, "too_large")


def test_body_that_is_declared_too_large_is_refused_at_once(shared_application):
    slow = Slow(shared_application, size=16 * 1024 * MIB + 1)
    refused(slow.connection.answer(), 413, "too_large")


# ---- Who may ---------------------------------------------------------------------------------------------------------


def test_stranger_is_refused_before_a_byte_is_stored(shared_application):
    slow = Slow(shared_application, "/uploads", "POST", 10**10, TYPE)
    refused(slow.connection.answer(), 401, "unauthenticated")
    assert spooled(shared_application.daemon) == []
    slow = Slow(shared_application, "/uploads", "POST", 10**10, TYPE, HTTP_SEC_FETCH_SITE="cross-site")
    refused(slow.connection.answer(), 403, "cross_site")


def test_session_that_ends_during_the_upload_is_none_for_the_handler(application, browse):
    browser, other = browse(application), browse(application)
    browser.sign_in()
    body = form(part("f", PIECE, "f"))
    slow = Slow(
        application, "/uploads", "POST", len(body), TYPE, HTTP_COOKIE=f"onesession={browser.key}", QUERY_STRING="keep=a"
    )
    slow.send(body[:1000])
    wait_until(lambda: spooled(application.daemon), "the file")
    other.sign_in()
    slow.send(body[1000:])
    refused(slow.end(), 401, "displaced")
    assert os.listdir(application.daemon.covers) == []


# ---- While it arrives ------------------------------------------------------------------------------------------------


def test_others_are_served_by_the_worker_while_bodies_drip_in(new_application):
    application = new_application({"server.workers": 1})
    slow = [Slow(application) for _ in range(8)]
    for each in slow:
        each.send(PIECE)
    wait_until(lambda: len(spooled(application.daemon)) == 8, "the files")
    for number in range(64 - 1):
        for each in slow:
            each.send(PIECE)
        began = time.monotonic()
        assert application.daemon.ask(path="/session/state").status == 200
        assert time.monotonic() - began < 2, number
    for each in slow:
        assert told(each.end())["files"][0]["size"] == MIB
    nothing_is_left(application.daemon)


def test_upload_may_take_longer_than_a_request_as_long_as_it_goes_on(new_application):
    """server.request_timeout has passed several times, server.io_timeout in all, and twice the period of its pace."""
    application = new_application(
        {"server.workers": 1, "server.request_timeout": "300ms", "server.io_timeout": "400ms"}
    )
    pid = application.daemon.workers
    slow = Slow(application, size=60 * 4000)
    began = time.monotonic()
    for _ in range(60):
        slow.send(b"x" * 4000)
        # What is tested is time itself.
        time.sleep(0.06)
    assert told(slow.end())["files"][0]["size"] == 60 * 4000
    assert time.monotonic() - began > 3.2
    assert application.daemon.workers == pid
    assert "request_overdue" not in application.daemon.log_text()


def test_body_of_which_nothing_comes_for_too_long_is_given_up(new_application):
    application = new_application({"server.workers": 1, "server.io_timeout": "300ms"})
    slow = Slow(application)
    slow.send(PIECE)
    refused(slow.connection.answer(), 408, "too_slow")
    nothing_is_left(application.daemon)


def test_uploads_that_come_byte_by_byte_lose_their_places(new_application):
    application = new_application({"server.workers": 1, "server.io_timeout": "1s"})
    slow = [Slow(application) for _ in range(PLACES)]

    def drip():
        for each in slow:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                each.send(b"x")

    drip()
    wait_until(lambda: len(spooled(application.daemon)) == PLACES, "the files")
    refused(Slow(application).connection.answer(), 503, "busy")
    wait_until(lambda: drip() or spooled(application.daemon) == [], "the places to be free")
    assert told(ask(application, "/raw", "PUT", PIECE, "a/b"))
    for each in slow:
        refused(each.connection.answer(), 408, "too_slow")


def test_upload_is_not_to_blame_for_a_handler_that_takes_long(new_application):
    """The one worker that runs handlers of modules has read nothing for two periods of its pace."""
    settings = {"server.workers": 2, "server.io_timeout": "400ms", "server.upload_rate": "40KiB"}
    application = new_application(settings)
    slow = Slow(application, size=4 * len(PIECE))
    slow.send(PIECE)
    wait_until(lambda: spooled(application.daemon), "the file")
    sleeping = Background(application.daemon.ask, path=f"{PREFIX}/sleeper", query="ms=3400", timeout=60)
    path = f"GET {PREFIX}/sleeper"
    wait_until(lambda: any(one["request"] == path for one in status_of(application.daemon)["workers"]), "it to run")
    slow.send(PIECE * 2)
    assert sleeping.result().status == 200
    # By the answer to this it has read what was there.
    assert application.daemon.ask(path=f"{PREFIX}/sleeper").status == 200
    slow.send(PIECE)
    assert told(slow.end())["files"][0]["size"] == 4 * len(PIECE)


def test_upload_that_is_cut_off_leaves_nothing(shared_application):
    for send in (b"", PIECE, PIECE * 20):
        slow = Slow(shared_application, "/open", "POST", MIB, TYPE)
        if send:
            slow.send(part("f", send, "f"))
            wait_until(lambda: spooled(shared_application.daemon), "the file")
        slow.connection.close()
        nothing_is_left(shared_application.daemon)


def test_uploads_that_are_too_many_are_asked_to_come_back(new_application):
    application = new_application({"server.workers": 1})
    slow = [Slow(application) for _ in range(PLACES)]
    for each in slow:
        each.send(PIECE)
    wait_until(lambda: len(spooled(application.daemon)) == PLACES, "the files")
    refused(Slow(application).connection.answer(), 503, "busy")
    slow[0].connection.close()
    wait_until(lambda: len(spooled(application.daemon)) == PLACES - 1, "one to go")
    assert told(ask(application, "/raw", "PUT", b"x", "a/b"))


def test_memory_does_not_grow_with_the_upload(new_application):
    application = new_application({"server.workers": 1})
    (worker,) = application.daemon.workers
    told(ask(application, "/raw", "PUT", PIECE * 64, "a/b", query=""))
    before = resident_bytes(worker)
    size = 512 * MIB
    slow = Slow(application, size=size)
    block = PIECE * 64
    peak = 0
    for _ in range(size // len(block)):
        slow.send(block)
        peak = max(peak, resident_bytes(worker))
    assert told(slow.end())["files"][0]["size"] == size
    assert peak - before < 4 * MIB, f"{before} {peak}"


def test_records_that_have_no_place_in_a_body_end_the_request(shared_application):
    for wrong in (
        fastcgi.record(fastcgi.PARAMS, b""),
        fastcgi.record(fastcgi.STDIN, b"x", request_id=2),
        fastcgi.record(fastcgi.STDIN, b"x", version=2),
        fastcgi.record(fastcgi.GET_VALUES, b"", request_id=0),
    ):
        slow = Slow(shared_application)
        slow.send(PIECE)
        slow.connection.send(wrong)
        assert slow.connection.is_closed(10)
    nothing_is_left(shared_application.daemon)


def test_worker_that_is_told_to_stop_finishes_the_upload(new_application):
    application = new_application({"server.workers": 1})
    slow = Slow(application, size=2 * len(PIECE))
    slow.send(PIECE)
    wait_until(lambda: spooled(application.daemon), "the file")
    stop = Background(application.daemon.stop)
    wait_until(lambda: not os.path.exists(application.daemon.path), "the socket to go")
    slow.send(PIECE)
    assert told(slow.end())["files"][0]["size"] == 2 * len(PIECE)
    stop.result()


# ---- What all of them may have ---------------------------------------------------------------------------------------


@pytest.fixture(name="narrow")
def fixture_narrow(new_application):
    """Two workers, whose uploads may have 2 MiB together."""
    return new_application({"server.workers": 2, "server.guard_workers": 0, "server.spool_max": "2MiB"})


def fill(application):
    """An upload of half of that, under way."""
    slow = Slow(application)
    slow.send(PIECE * 60)
    wait_until(lambda: spooled(application.daemon), "the file")
    return slow


def test_upload_that_does_not_fit_into_the_spool_is_refused_before_it_is_sent(narrow):
    refused(Slow(narrow, size=2 * MIB + 1).connection.answer(), 507, "insufficient_storage")
    slow = fill(narrow)
    refused(Slow(narrow, size=MIB + MIB // 2).connection.answer(), 507, "insufficient_storage")
    assert re.search("spool_full .*max=2097152", narrow.daemon.log_text())
    slow.send(PIECE * 4)
    assert told(slow.end())["files"][0]["size"] == MIB
    assert told(ask(narrow, "/raw", "PUT", PIECE * 120, "a/b"))
    nothing_is_left(narrow.daemon)


def test_upload_of_unknown_length_is_cut_off_where_the_spool_is_full(narrow):
    slow = fill(narrow)
    endless = Slow(narrow, CONTENT_LENGTH=None, HTTP_TRANSFER_ENCODING="chunked")
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        endless.send(PIECE * 128)
    refused(endless.connection.answer(), 507, "insufficient_storage")
    body = form(part("a", b"1"), part("f", PIECE * 100, "f"), part("g", PIECE * 28, "g"))
    refused(
        ask(narrow, "/open", body=body, CONTENT_LENGTH=None, HTTP_TRANSFER_ENCODING="chunked"),
        507,
        "insufficient_storage",
    )
    slow.send(PIECE * 4)
    assert told(slow.end())["files"][0]["size"] == MIB
    nothing_is_left(narrow.daemon)


def test_what_a_killed_worker_had_in_the_spool_is_gone_and_its_room_free(narrow):
    slow = fill(narrow)
    ((worker, _),) = spooled(narrow.daemon)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: len(narrow.daemon.workers) == 2 and worker not in narrow.daemon.workers, "another worker")
    assert slow.connection.is_closed(10)
    assert told(ask(narrow, "/raw", "PUT", PIECE * 124, "a/b"))
    nothing_is_left(narrow.daemon)


# ---- Keeping ---------------------------------------------------------------------------------------------------------


def keep(site, name, data=PIECE):
    return ask(site, "/open", body=form(part("f", data, "f")), query=fastcgi_query(name))


def fastcgi_query(name):
    return "keep=" + "".join(f"%{byte:02X}" for byte in name.encode())


def test_upload_is_kept_under_the_name_that_the_handler_gives(application):
    told(keep(application, "k\u00fche 1.jpg"))
    path = application.daemon.covers / "k\u00fche 1.jpg"
    assert path.read_bytes() == PIECE
    assert path.stat().st_mode & 0o7777 == 0o644
    assert os.listdir(application.daemon.covers) == [path.name]
    nothing_is_left(application.daemon)


def test_file_that_is_there_is_never_replaced(application):
    told(keep(application, "a"))
    refused(keep(application, "a", b"other"), 409, "duplicate")
    path = application.daemon.covers / "a"
    assert path.read_bytes() == PIECE
    assert ask(application, "/stored/a", "DELETE").status == 204
    assert not path.exists()
    assert ask(application, "/stored/a", "DELETE").status == 204
    told(keep(application, "a", b"other"))
    assert path.read_bytes() == b"other"
    # Nor is a link followed.
    (application.daemon.covers / "link").symlink_to("/nowhere")
    refused(keep(application, "link"), 409, "duplicate")


@pytest.mark.parametrize(
    "name", ["../a", "a/b", "/a", "a\\b", ".", "..", ".a", "a\nb", "a\x7f", "a\u0085", "x" * 256, "\u00fc" * 128]
)
def test_name_that_no_file_can_have_is_refused(shared_application, name):
    before = sorted(os.listdir(shared_application.daemon.folder))
    answer = keep(shared_application, name)
    assert answer.status == 400, answer.stdout
    assert os.listdir(shared_application.daemon.covers) == []
    assert sorted(os.listdir(shared_application.daemon.folder)) == before


def test_longest_name_is_taken(application):
    told(keep(application, "x" * 255))
    assert os.listdir(application.daemon.covers) == ["x" * 255]


def test_folder_that_was_not_declared_is_a_mistake(shared_application):
    refused(ask(shared_application, "/open", "PUT", form(part("f", b"x", "f"))), 500, "internal")
    assert re.search(r"handler_fault .*route=/open problem=.*folder", shared_application.daemon.log_text())


def test_daemon_does_not_start_without_its_folders(new_daemon):
    for missing in ("covers", "spool"):
        daemon = new_daemon(in_application(None), modules=APPLICATION)
        give_folders(daemon)
        os.rmdir(daemon.folder / missing)
        daemon.start(wait=None)
        assert daemon.wait() == 78
        assert re.search(f"start_failed problem=.*{missing}: .*No such file", daemon.log_text())


def test_reload_that_takes_a_folder_away_is_refused_and_the_one_in_force_stays(application):
    application.daemon.settings["application.covers"] = "/nowhere/covers"
    application.daemon.command()
    application.daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: "reload_refused" in application.daemon.log_text(), "the reload to be refused")
    told(keep(application, "a"))


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")


@pytest.fixture(name="small")
def fixture_small():
    """
    A file system with room for 2 MiB; not below pytest's own folder, of which other runs remove what is old. The first of a
    test's fixtures: it goes when nothing uses it any more.
    """
    folder = scratch("small")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)
    discard(folder)


@needs_root
def test_full_disk_is_told_and_what_was_there_of_the_upload_is_gone(small, new_application):
    application = new_application({"server.workers": 1, "server.spool": str(small)})
    refused(ask(application, "/open", body=form(part("f", PIECE * 240, "f"))), 507, "insufficient_storage")
    refused(ask(application, "/raw", "PUT", PIECE * 640, "a/b"), 507, "insufficient_storage")
    nothing_is_left(application.daemon)
    assert told(ask(application, "/raw", "PUT", PIECE * 60, "a/b"))["files"][0]["size"] == len(PIECE) * 60
    assert re.search("upload_failed .*No space left", application.daemon.log_text())


@needs_root
def test_spool_on_another_file_system_is_copied_from(small, new_application):
    application = new_application({"server.spool": str(small)})
    told(keep(application, "a"))
    assert (application.daemon.covers / "a").read_bytes() == PIECE
    refused(keep(application, "a", b"other"), 409, "duplicate")
    assert os.listdir(application.daemon.covers) == ["a"]


@needs_root
@pytest.mark.parametrize("others", [0, 5000])
def test_folder_that_is_full_keeps_nothing_of_the_file(small, new_application, others):
    """Beside a file of odd size the last write finds room for a part of what it is given."""
    application = new_application({"application.covers": str(small)})
    (small / "other").write_bytes(b"x" * others)
    body = form(part("f", PIECE * 192, "f"))
    refused(ask(application, "/open", body=body, query="keep=a"), 507, "insufficient_storage")
    assert os.listdir(small) == ["other"]
    assert ask(application, "/open", body=form(part("f", PIECE, "f")), query="keep=a").status == 200
    assert sorted(os.listdir(small)) == ["a", "other"]


def test_limit_on_the_size_of_files_is_a_full_disk(new_application, closing):
    application = new_application({"server.workers": 1})
    (worker,) = application.daemon.workers
    resource.prlimit(worker, resource.RLIMIT_FSIZE, (MIB, MIB))
    refused(ask(application, "/raw", "PUT", PIECE * 640, "a/b"), 507, "insufficient_storage")
    assert application.daemon.workers == [worker]
    nothing_is_left(application.daemon)


def test_forms_with_many_files_leave_descriptors_for_all_else(new_application):
    application = new_application({"server.workers": 1})
    (worker,) = application.daemon.workers
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (256, 256))
    body = form(*(part("f", b"x", f"{number}") for number in range(60)))
    held = Slow(application, "/open", "POST", len(body), TYPE)
    held.send(body[:-10])
    wait_until(lambda: len(spooled(application.daemon)) == 60, "its files")
    refused(ask(application, "/open", body=body), 503, "busy")
    assert ask(application, "/open", body=form(part("f", b"x", "one"))).status == 200
    held.send(body[-10:])
    assert held.end().status == 200
    assert ask(application, "/open", body=body).status == 200
    nothing_is_left(application.daemon)

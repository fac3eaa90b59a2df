"""HTTP services that modules call: what arrives there, what comes back, and what does not."""

import json
import socket
import time

import pytest

from support import openmetrics
from support.client import CREDENTIALS, JSON, sign_in
from support.marks import ROOT_ONLY
from support.programs import Ctl
from support.services import CALLER, Service, has_openssl, make_certificate, tls_context, with_files
from support.status import metrics_of, status_of
from support.waiting import Background, wait_until

NEEDS_OPENSSL = pytest.mark.skipif(not has_openssl(), reason="no openssl to make a certificate with")


@pytest.fixture
def service(closing):
    return closing.add(Service())


@pytest.fixture
def new_caller(new_daemon):
    """new_caller(address): a daemon that is not yet started, with a module that calls a service there."""

    def make(address, settings=None, **of_module):
        chosen = {f"caller.{key}": value for key, value in {"mock": address, **of_module}.items() if value is not None}
        return new_daemon({**chosen, **(settings or {})}, modules=[CALLER])

    return make


@pytest.fixture
def caller(new_caller, service):
    return new_caller(f"http://127.0.0.1:{service.port}/base", {"server.workers": 2}).start()


def call(daemon, path, timeout=60, **more):
    """What ones_call() has given."""
    answer = daemon.ask(
        method="POST", path="/caller/call", headers=JSON, body=json.dumps({"path": path, **more}), timeout=timeout
    )
    assert answer.status == 200, answer
    return json.loads(answer.body)


def told(called):
    assert (called["result"], called["status"]) == ("ok", 200), called
    return json.loads(called["body"])


# ---- What arrives, and what comes back -------------------------------------------------------------------------------


def test_service_gets_method_path_fields_and_body(caller):
    got = told(call(caller, "/echo?a=1&b=%20", headers=["X-Key: a secret", "Accept: application/json"]))
    assert (got["method"], got["path"], got["body"]) == ("GET", "/base/echo?a=1&b=%20", "")
    assert "X-Key: a secret" in got["fields"] and "Accept: application/json" in got["fields"]
    assert [field for field in got["fields"] if field.startswith("User-Agent: onesession/")]
    got = told(call(caller, "/echo", body='{"a": 1}', content_type="application/json"))
    assert (got["method"], got["body"]) == ("POST", '{"a": 1}')
    assert "Content-Type: application/json" in got["fields"] and "Content-Length: 8" in got["fields"]
    got = told(call(caller, "/echo", body="text"))
    assert not [field for field in got["fields"] if field.lower().startswith(("content-type", "expect"))]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_each_method_arrives_with_a_body_and_without(caller, method):
    assert told(call(caller, "/echo", method=method))["method"] == method
    assert told(call(caller, "/echo", method=method, body="x" * 3000))["body"] == "x" * 3000


def test_answer_has_status_type_and_body_whatever_the_status(caller):
    for status in (204, 302, 404, 500, 503):
        called = call(caller, f"/status/{status}")
        assert (called["result"], called["status"]) == ("ok", status)
    called = call(caller, "/status/404")
    assert called["content_type"] == "application/json" and json.loads(called["body"])["path"] == "/base/status/404"
    called = call(caller, "/echo", method="HEAD")
    assert (called["result"], called["status"], called["size"]) == ("ok", 200, 0)


def test_length_that_an_answer_to_head_tells_is_no_body_that_is_too_large(caller):
    called = call(caller, "/huge", method="HEAD", max_answer=100)
    assert (called["result"], called["status"], called["size"]) == ("ok", 200, 0)


@pytest.mark.parametrize(
    "sent, shown",
    [(b"text/plain; a=b", "text/plain; a=b"), (b"text/\xfcml", ""), ("text/ü".encode(), ""), (b"text/a\tb", "")],
)
def test_content_type_that_is_no_printable_ascii_is_none(caller, sent, shown):
    called = call(caller, f"/type/{sent.hex()}")
    assert (called["result"], called["status"], called["content_type"]) == ("ok", 200, shown)


def test_redirect_is_an_answer_that_is_not_followed(caller, service):
    called = call(caller, "/redirect")
    assert (called["result"], called["status"]) == ("ok", 302)
    assert service.paths == ["/base/redirect"]


def test_connection_is_kept_for_further_calls_of_the_process(new_caller, service):
    daemon = new_caller(f"http://127.0.0.1:{service.port}", {"server.workers": 1}).start()
    for _ in range(5):
        told(call(daemon, "/echo"))
    assert service.connections == 1
    # One that was closed meanwhile is noticed, and what may be done twice is done over another.
    told(call(daemon, "/close"))
    told(call(daemon, "/echo"))
    before = service.connections
    # What is not to be done twice has a connection of its own.
    told(call(daemon, "/echo", body="once"))
    assert service.connections == before + 1


def test_proxy_of_the_environment_is_not_used(new_caller, service, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    daemon = new_caller(f"http://127.0.0.1:{service.port}").start()
    told(call(daemon, "/echo"))


# ---- What does not come ----------------------------------------------------------------------------------------------


def failed(daemon, called, reason):
    assert (called["result"], called["status"], called["size"]) == ("unavailable", 0, 0), called
    return daemon.await_line("service_failed", "module=caller", "service=mock", f"reason={reason}")


@pytest.mark.parametrize("path", ["/silent", "/slow/5000", "/drip"])
def test_service_that_is_slow_is_given_up_at_the_deadline(caller, path):
    called = call(caller, path, timeout_ms=400)
    assert 350 <= called["ms"] < 3000
    assert "request_id=" in failed(caller, called, "timed_out")


def test_call_never_takes_longer_than_what_is_left_of_the_request(new_caller, service):
    daemon = new_caller(f"http://127.0.0.1:{service.port}", {"server.request_timeout": "1500ms"}).start()
    called = call(daemon, "/silent", timeout_ms=60000)
    assert called["ms"] <= 1450
    failed(daemon, called, "timed_out")
    assert "request_overdue" not in daemon.log_text()


@pytest.mark.parametrize("path", ["/huge", "/chunked", "/headers"])
def test_answer_that_is_too_large_is_not_taken(caller, path):
    failed(caller, call(caller, path), "too_large")


def test_largest_answer_is_what_the_call_says(caller):
    size = call(caller, "/echo")["size"]
    assert call(caller, "/echo", max_answer=size)["size"] == size
    failed(caller, call(caller, "/echo", max_answer=size - 1), "too_large")


def test_answer_that_is_cut_off_is_none(caller):
    failed(caller, call(caller, "/cut"), "broken")


def test_service_that_is_not_there_is_unavailable_at_once(new_caller):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    daemon = new_caller(f"http://127.0.0.1:{port}").start()
    called = call(daemon, "/echo")
    assert called["ms"] < 2000
    failed(daemon, called, "refused")


@NEEDS_OPENSSL
def test_certificate_that_nobody_has_vouched_for_is_refused(new_caller, closing, tmp_path):
    service = closing.add(Service(context=tls_context(*make_certificate(tmp_path))))
    daemon = new_caller(f"https://localhost:{service.port}").start()
    failed(daemon, call(daemon, "/echo"), "tls")
    assert service.paths == []


@ROOT_ONLY
@NEEDS_OPENSSL
@pytest.mark.parametrize("name, is_right", [("localhost", True), ("elsewhere.test", False)])
def test_certificate_has_to_be_of_an_authority_of_this_machine_and_for_that_name(
    new_caller, closing, tmp_path, name, is_right
):
    key, certificate = make_certificate(tmp_path, name)
    service = closing.add(Service(context=tls_context(key, certificate)))
    daemon = new_caller(f"https://localhost:{service.port}")
    authorities = "/etc/ssl/certs/ca-certificates.crt"
    daemon.start(with_files({authorities: certificate}, daemon.command()))
    called = call(daemon, "/echo")
    if is_right:
        assert told(called)["path"] == "/echo"
    else:
        failed(daemon, called, "tls")


def test_body_and_path_of_a_call_are_not_in_the_log(new_caller, service):
    daemon = new_caller(f"http://127.0.0.1:{service.port}").start()
    call(daemon, "/silent/very-secret", timeout_ms=200, body="also-secret", headers=["X-Key: secret-too"])
    daemon.await_line("service_failed")
    assert "secret" not in daemon.log_text()


# ---- Names -----------------------------------------------------------------------------------------------------------


def test_service_by_host_name(new_caller, service):
    daemon = new_caller(f"http://localhost:{service.port}").start()
    assert "Host: localhost" in " ".join(told(call(daemon, "/echo"))["fields"])


@ROOT_ONLY
def test_service_by_a_name_of_the_hosts_file_and_by_none(new_caller, service, tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost billing.internal\n")
    daemon = new_caller(f"http://billing.internal:{service.port}")
    daemon.start(with_files({"/etc/hosts": hosts}, daemon.command()))
    told(call(daemon, "/echo"))
    unknown = new_caller("http://nowhere.invalid:80").start()
    called = call(unknown, "/echo", timeout_ms=20000)
    assert called["result"] == "unavailable"


@ROOT_ONLY
def test_name_server_that_is_silent_holds_up_neither_the_start_nor_a_call_past_its_deadline(new_caller, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        try:
            silent.bind(("127.83.7.11", 53))
        except OSError:
            pytest.skip("port 53 of that address is taken")
        resolv = tmp_path / "resolv.conf"
        resolv.write_text("nameserver 127.83.7.11\n")
        daemon = new_caller("http://billing.internal:80", {"server.workers": 1})
        began = time.monotonic()
        daemon.start(with_files({"/etc/resolv.conf": resolv}, daemon.command()))
        assert time.monotonic() - began < 15
        called = call(daemon, "/echo", timeout_ms=500)
        assert 400 <= called["ms"] < 3000
        failed(daemon, called, "timed_out")
        assert daemon.ask(path="/session/ready").status == 200


# ---- Mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong, problem",
    [
        ({"path": "/a b"}, "would have to be escaped"),
        ({"path": "/a\r\nX-Evil: 1"}, "would have to be escaped"),
        ({"path": "/ä"}, "would have to be escaped"),
        ({"path": "/a#b"}, "would have to be escaped"),
        ({"path": "echo"}, "does not begin with a slash"),
        ({"path": "/../admin"}, "leads elsewhere"),
        ({"path": "/a/%2E./b"}, "leads elsewhere"),
        ({"path": "/a/."}, "leads elsewhere"),
        ({"path": "/..%2fadmin"}, "leads elsewhere"),
        ({"path": "/a%2F..%5cadmin"}, "leads elsewhere"),
        ({"path": "/a/%2e%2E%5Cadmin?x"}, "leads elsewhere"),
        ({"path": "/a%2f."}, "leads elsewhere"),
        ({"path": "/..\\admin"}, "would have to be escaped"),
        ({"headers": ["X-A: b\r\nX-Evil: 1"]}, "in a line"),
        ({"headers": ["X-A"]}, "in a line"),
        ({"headers": ["X A: b"]}, "name is none"),
        ({"headers": ["X-A: "]}, "has no value"),
        ({"headers": ["Host: elsewhere"]}, "the call itself sets"),
        ({"headers": ["content-length: 7"]}, "the call itself sets"),
        ({"headers": ["X-A: b"] * 65}, "more than 64"),
        ({"content_type": "text/plain\r\nX-Evil: 1", "body": ""}, "content type"),
        ({"method": "GET\r\nX"}, "its method is none"),
        ({"method": "BREW"}, "its method is none"),
        ({"service": "other"}, "no service of this name"),
        ({"max_answer": 1 << 40}, "max_answer"),
        ({"timeout_ms": -1}, "timeout_ms"),
    ],
)
def test_call_that_is_wrong_is_refused_and_nothing_is_sent(caller, service, wrong, problem):
    called = call(caller, **{"path": "/echo", **wrong})
    assert called["result"] == "failed"
    caller.await_line("service_refused", problem)
    assert service.connections == 0


def test_paths_that_only_look_like_leading_up_are_sent(caller):
    for path in ("/...", "/a..b", "/.well-known/x", "/a/..b/", "/echo?x=/../", "/%2ehidden", "/a%2fb", "/a%2f..b%2f"):
        assert told(call(caller, path))["path"] == "/base" + path


def test_call_in_a_transaction_from_a_receiver_or_from_a_quick_route_is_refused(new_caller, service):
    daemon = new_caller(f"http://127.0.0.1:{service.port}", receiver="on").start()
    assert call(daemon, "/echo", **{"in": "transaction"})["result"] == "failed"
    daemon.await_line("service_refused", "hold a transaction up")
    sign_in(daemon)
    daemon.await_line("receiver_called", "message=failed")
    daemon.await_line("service_refused", "no receiver is one")
    assert json.loads(daemon.ask(path="/caller/quick").body)["result"] == "failed"
    daemon.await_line("service_refused", "a quick route waits for nothing")
    assert service.connections == 0


def test_call_from_a_receiver_after_the_commit_of_a_job_is_refused(new_caller, service):
    daemon = new_caller(f"http://127.0.0.1:{service.port}", job="on", receiver="on").start()
    daemon.await_line("receiver_called", "job=ping", "message=failed")
    daemon.await_line("service_refused", "job=ping", "no receiver is one")
    # The job itself calls, before it and after it.
    wait_until(lambda: service.paths.count("/from-job") >= 2, "two calls of the job's own")
    assert "/from-receiver" not in service.paths


@pytest.mark.parametrize(
    "address, reason",
    [
        (None, "[caller] mock is missing: the address of the service mock, such as http://127.0.0.1:8000"),
        ("", "is not http://HOST[:PORT][/PATH]"),
        ("127.0.0.1:80", "is not http://HOST[:PORT][/PATH]"),
        ("ftp://127.0.0.1", "is not http://HOST[:PORT][/PATH]"),
        ("file:///etc/passwd", "is not http://HOST[:PORT][/PATH]"),
        ("http://", "is not http://HOST[:PORT][/PATH]"),
        ("http://a:99999", "is not http://HOST[:PORT][/PATH]"),
        ("http://user:word@localhost", "is with a user or password"),
        ("http://localhost/?a=b", "is with a ? or #"),
    ],
)
def test_address_that_is_missing_or_wrong_refuses_the_module(new_caller, address, reason):
    daemon = new_caller(address)
    daemon.start(wait=None)
    assert daemon.wait() == 78
    assert "module caller: [caller] mock" in daemon.log_text() and reason in daemon.log_text()


# ---- Around it -------------------------------------------------------------------------------------------------------


def test_guard_and_sign_in_are_answered_while_all_other_workers_wait_for_a_service(new_caller, service):
    daemon = new_caller(
        f"http://127.0.0.1:{service.port}", {"server.workers": 3, "server.request_timeout": "2m"}
    ).start()
    signed_in = sign_in(daemon)
    calls = [Background(call, daemon, "/silent", timeout=120, timeout_ms=20000) for _ in range(4)]
    wait_until(lambda: service.paths.count("/silent") == 2, "both regular workers to wait")
    began = time.monotonic()
    for _ in range(20):
        assert daemon.ask(path="/session/auth", headers=signed_in).status == 200
    assert daemon.ask(method="POST", path="/session/login", headers=JSON, body=CREDENTIALS).status == 200
    assert time.monotonic() - began < 10
    assert service.paths.count("/silent") == 2
    for one in calls:
        assert one.result(90)["result"] == "unavailable"


def test_job_calls_a_service_with_what_is_left_of_its_time(new_caller, service):
    daemon = new_caller(f"http://localhost:{service.port}", job="on").start()
    wait_until(lambda: service.paths.count("/from-job") >= 2, "two calls")
    assert "job_failed" not in daemon.log_text()
    service.close()
    daemon.await_line("service_failed", "module=caller", "job=ping", "reason=refused")
    daemon.await_line("job_failed", "job=ping", "why=unavailable")


def test_status_and_metrics_count_calls_by_service(caller):
    told(call(caller, "/echo"))
    call(caller, "/cut")
    call(caller, "/echo", service="other")
    (module,) = [one for one in status_of(caller)["modules"] if one["name"] == "caller"]
    (service,) = module["services"]
    assert service.pop("seconds") > 0
    assert service == {"name": "mock", "requests": 2, "errors": 1}
    text = metrics_of(caller)
    openmetrics.families(text)
    found = openmetrics.samples(text)
    key = (("module", "caller"), ("service", "mock"))
    assert found["onesession_service_calls_total", *key, ("result", "answered")] == 1
    assert found["onesession_service_calls_total", *key, ("result", "unavailable")] == 1
    assert found["onesession_service_seconds_total", *key] > 0
    ctl = Ctl("host=/nonexistent", **{"server.listen": f"unix:{caller.path}"})
    assert "service caller.mock: calls 2, without an answer 1, time " in ctl.run("status")

"""A program behind a web server that speaks HTTP/2: it is told of several events at once, over one connection."""

import shutil
import signal
import time

import pytest

from support.marks import ROOT_ONLY
from support.processes import end, free_port, spawn
from support.services import has_openssl, make_certificate, with_files
from support.waiting import wait_until
from support.webhooks import Receiver, add_accounts, add_webhook, are_in_order, state_of, write_events

CONF = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ }}
http {{
	log_format one '$connection $server_protocol';
	keepalive_requests {requests};
	access_log {folder}/access.log one;
	client_body_temp_path {folder}/body;
	fastcgi_temp_path {folder}/fastcgi;
	proxy_temp_path {folder}/proxy;
	scgi_temp_path {folder}/scgi;
	uwsgi_temp_path {folder}/uwsgi;
	server {{
		listen 127.0.0.1:{port} ssl http2;
		ssl_certificate {certificate};
		ssl_certificate_key {key};
		location / {{
			proxy_http_version 1.1;
			proxy_pass http://127.0.0.1:{to};
		}}
	}}
}}
"""


class Front:
    """nginx that speaks HTTP/2, before a receiver."""

    def __init__(self, folder, receiver, requests):
        self.folder = folder
        key, self.certificate = make_certificate(folder)
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin")
        for _ in range(10):
            self.port = free_port()
            values = {"folder": folder, "port": self.port, "certificate": self.certificate, "key": key, "to": receiver.port}
            (folder / "nginx.conf").write_text(CONF.format(requests=requests, **values))
            self.process = spawn([program, "-e", folder / "error.log", "-c", folder / "nginx.conf"], folder / "nginx.log")
            wait_until(lambda: (folder / "pid").exists() or self.process.poll() is not None, "nginx to start")
            if self.process.poll() is None:
                break

    def connections(self):
        return set((self.folder / "access.log").read_text().splitlines())

    def close(self):
        end(self.process, (signal.SIGTERM, signal.SIGKILL))


@ROOT_ONLY
@pytest.mark.skipif(not has_openssl(), reason="openssl is not installed")
@pytest.mark.parametrize("requests, most", [(1000, 1), (50, 60)])
def test_several_events_are_under_way_over_one_connection(new_daemon, ctl, database, closing, tmp_path, requests, most):
    """And no event fails as the server closes a connection after so many: what it has not taken goes over others."""
    under_way, counts = [], []

    def answer(received):
        under_way.append(received)
        counts.append(len(under_way))
        time.sleep(0.01)
        under_way.pop()
        return 204

    receiver = closing.add(Receiver(answer=answer))
    front = closing.add(Front(tmp_path, receiver, requests))
    add_accounts(database, 20)
    number, _ = add_webhook(ctl, f"https://localhost:{front.port}/hook", "user_login_failed")
    write_events(database, 300, 20)
    daemon = new_daemon({"api.webhook_interval": "1s"})
    daemon.start(with_files({"/etc/ssl/certs/ca-certificates.crt": front.certificate}, daemon.command()))
    wait_until(lambda: state_of(ctl, number)["delivered"] == 300, "all of them")
    assert are_in_order(receiver.messages) and state_of(ctl, number)["failed"] == 0
    seen = front.connections()
    assert len(seen) <= most and all(one.endswith(" HTTP/2.0") for one in seen), seen
    assert 1 < max(counts) <= 8

"""Answers that are made while they are sent, and stored files, through the web servers."""

import http.client
import os
import socket

import pytest

from support import webservers
from support.site import APPLICATION, in_application
from support.uploads import MIB, letters
from support.web import running, web_of_one_worker

XSENDFILE = "/usr/lib/apache2/modules/mod_xsendfile.so"
ENV = "/usr/lib/apache2/modules/mod_env.so"
SERVERS = {
    "nginx": webservers.nginx_site,
    "apache": webservers.apache_site,
    "lighttpd": webservers.lighttpd_site,
}


fixture_web = web_of_one_worker(SERVERS)


def get(web, path, **headers):
    """Status, header fields, body; IncompleteRead when it was cut off."""
    connection = http.client.HTTPConnection("127.0.0.1", web.server.port, timeout=60)
    try:
        connection.request("GET", path, headers={"Accept": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_stream_comes_through_the_web_server(web):
    status, headers, body = get(web, f"/session/application/stream?size={4 * MIB}")
    assert (status, headers["Content-Type"]) == (200, "text/plain")
    assert body == letters(4 * MIB)


def test_client_sees_that_a_stream_was_cut_off(web):
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        get(web, f"/session/application/stream?size={4 * MIB}&cut={2 * MIB}")


def test_slow_client_of_the_web_server_holds_no_other_up(web):
    with socket.create_connection(("127.0.0.1", web.server.port), timeout=60) as slow:
        slow.sendall(f"GET /session/application/stream?size={64 * MIB} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert slow.recv(1000).startswith(b"HTTP/1.")
        for _ in range(20):
            assert get(web, "/session/state")[0] == 200


def test_stored_file_comes_through_the_web_server(web):
    data = os.urandom(500000)
    (web.daemon.covers / "film").write_bytes(data)
    status, headers, body = get(web, "/session/application/stored/film")
    assert (status, headers["Content-Type"], body) == (200, "image/jpeg", data)


# ---- Sent by the web server itself ------------------------------------------------------------------------------------


def uncommented(text, first, last):
    """The lines from the one with `first` to the one with `last`, as an operator puts them into force."""
    lines = text.split("\n")
    begin = next(i for i, line in enumerate(lines) if first in line)
    end = next(i for i, line in enumerate(lines) if last in line and i >= begin)
    return "\n".join(line.replace("#", "", 1) if begin <= i <= end else line for i, line in enumerate(lines))


class SendingNginx(webservers.Nginx):
    """The sample with its lines for stored files in force."""

    covers = None

    def _write_configuration(self, name):
        super()._write_configuration(name)
        path = self.folder / "onesession.conf"
        text = uncommented(path.read_text(), "#fastcgi_param ONESESSION_SENDFILE", "#fastcgi_param ONESESSION_SENDFILE")
        text = uncommented(text, "#location /_stored/covers/", "#}")
        path.write_text(text.replace("/var/lib/onesession/covers/", f"{self.covers}/"))


class SendingLighttpd(webservers.Lighttpd):
    covers = None

    def configure(self):
        command = super().configure()
        path = self.folder / "onesession.conf"
        text = uncommented(path.read_text(), '#fastcgi.server = ( "/session/"', "#setenv.add-environment")
        first = text.index('\tfastcgi.server = ( "/session/"')
        text = text[:first] + text[text.index("\n", first) + 1 :]
        path.write_text(text.replace("/var/lib/onesession/covers/", f"{self.covers}/"))
        return command


class SendingApache(webservers.Apache):
    covers = None

    def configure(self):
        command = super().configure()
        path = self.folder / "onesession.conf"
        text = uncommented(path.read_text(), "#SetEnv ONESESSION_SENDFILE", "#XSendFilePath")
        path.write_text(text.replace("/var/lib/onesession/covers", str(self.covers)))
        path = self.folder / "httpd.conf"
        path.write_text(f"LoadModule xsendfile_module {XSENDFILE}\nLoadModule env_module {ENV}\n{path.read_text()}")
        return command


def sending_nginx(daemon, _kind, application):
    server = SendingNginx(daemon.path, "static.conf", {"root /var/www/html;": f"root {application.root};"})
    server.covers = daemon.covers
    return server


def sending_lighttpd(daemon, _kind, application):
    server = SendingLighttpd(daemon.path, "static.conf", {}, application.root)
    server.covers = daemon.covers
    return server


def sending_apache(daemon, _kind, application):
    changes = {"DocumentRoot /var/www/html": f"DocumentRoot {application.root}"}
    server = SendingApache(daemon.port, "static.conf", changes, application.root, None)
    server.covers = daemon.covers
    return server


SENDING = [
    pytest.param("nginx", sending_nginx, id="nginx"),
    pytest.param("lighttpd", sending_lighttpd, id="lighttpd"),
    pytest.param(
        "apache",
        sending_apache,
        id="apache",
        marks=pytest.mark.skipif(not os.path.exists(XSENDFILE), reason="libapache2-mod-xsendfile is not installed"),
    ),
]


@pytest.mark.parametrize("name, make", SENDING)
def test_web_server_sends_stored_files_and_knows_ranges(request, cluster_of_worker, name, make):
    data = os.urandom(500000)
    file = "k%C3%BChe%201.jpg"
    with running(request.node, cluster_of_worker, name, make, "static", in_application({"server.workers": 1}), APPLICATION) as web:
        (web.daemon.covers / "k\u00fche 1.jpg").write_bytes(data)
        status, headers, body = get(web, f"/session/application/stored/{file}")
        assert (status, headers["Content-Type"], body) == (200, "image/jpeg", data)
        assert headers["Cache-Control"] == "private, max-age=60"
        assert headers["X-Accel-Redirect"] is None and headers["X-Sendfile"] is None
        status, headers, body = get(web, f"/session/application/stored/{file}", Range="bytes=1000-1999")
        assert (status, body) == (206, data[1000:2000])
        # Nobody gets in by the back door, and nothing else is to be had.
        assert get(web, f"/_stored/covers/{file}")[0] in (303, 401, 404)
        assert get(web, "/session/application/stored/nothing")[0] == 404

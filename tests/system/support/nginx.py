"""nginx with the configuration that the project ships."""

import re
import secrets as random_source
import shutil
import signal
import socket
import ssl

from support.processes import ROOT, discard, end, free_port, scratch, spawn, tail
from support.waiting import wait_until

# Stands for the application: it shows who nginx says is signed in.
APPLICATION_CONF = """
server {
	listen unix:%(folder)s/app.sock;
	location / {
		default_type text/plain;
		return 200 "page\\nuser=$http_remote_user\\nid=$http_remote_user_id\\nsession=$http_session_id\\n";
	}
}
"""
# Tells this nginx from another one on the same port.
WHO_IS_IT = """
server {
	listen 127.0.0.1:%(port)d;
	server_name %(name)s;
	location / { return 204; }
}
"""
NGINX_CONF = """
daemon off;
worker_processes 1;
pid %(folder)s/pid;
error_log %(folder)s/error.log warn;
events { worker_connections 512; }
http {
	access_log %(folder)s/access.log;
	client_body_temp_path %(folder)s/body;
	fastcgi_temp_path %(folder)s/fastcgi;
	proxy_temp_path %(folder)s/proxy;
	scgi_temp_path %(folder)s/scgi;
	uwsgi_temp_path %(folder)s/uwsgi;
	client_max_body_size 10m;
	include %(folder)s/onesession-places.conf;
	include %(folder)s/site.conf;
%(more)s
}
"""


def unverified():
    """For TLS with a certificate that nobody has signed."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def shipped(path, changes):
    """
    A file below conf/ with addresses, ports and paths changed. Every change has to hit, or the tests would look at
    something else than what is shipped.
    """
    text = (ROOT / "conf" / path).read_text()
    for old, new in changes.items():
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in conf/{path}"
        text = text.replace(old, new)
    return text


def lines_of(text, pattern):
    """Those that begin with it."""
    found = re.findall(rf"(?m)^{pattern}.*\n", text)
    assert found, pattern
    return found


def own_login_by_fastcgi(path):
    """Changes of own-login.conf, as it says for an application that speaks FastCGI, which listens at that path."""
    own, fastcgi = shipped("nginx/own-login.conf", {}), shipped("nginx/fastcgi.conf", {})
    params = [line for line in lines_of(fastcgi, r"\tfastcgi_param ") if "HTTP_COOKIE" not in line]
    changes = {line: "" for line in lines_of(own, r"\tproxy_(?:set_header|http_version) ")}
    for line in lines_of(own, r"\t#fastcgi_param "):
        changes[line] = line.replace("#", "")
    changes["\t# Yours, for an application that speaks FastCGI"] = "".join(params) + "\t#"
    changes["http://127.0.0.1:8000;"] = f"unix:{path};"
    changes["\tlocation / {\n\t\tproxy_pass $application;\n"] = "\tlocation / {\n\t\tfastcgi_pass $application;\n"
    changes["\t\tauth_request off;\n\t\tproxy_pass $application;\n"] = "\t\tauth_request off;\n\t\tfastcgi_pass $application;\n"
    return changes


class Nginx:
    """
    nginx with the configuration that the project ships, but for what `changes` of the site's file, where the files or
    the application are, and `guard_changes` of the guard's. Without it, nginx itself stands for the application. `certificate` holds a key, too, and makes
    it https.
    """

    def __init__(self, daemon_address, sample="proxied.conf", changes=None, certificate=None):
        self.folder = scratch("ng")
        self.log = self.folder / "error.log"
        self.log.touch()
        self.daemon_address = daemon_address
        self.sample = sample
        self.certificate = certificate
        self.changes = changes or {"http://127.0.0.1:8000": f"http://unix:{self.folder}/app.sock:"}
        self.guard_changes = {}
        self.places = {}  # what they need, by their first segment: {"premium": "plan=gold"}
        self.cookie_name = "onesession"
        self.process = None
        self.port = None

    def _write_configuration(self, name):
        guard = self.folder / "onesession.conf"
        guard.write_text(
            shipped(
                "nginx/onesession.conf",
                {
                    "unix:/run/onesession/onesession.sock;": f"unix:{self.daemon_address};",
                    "onesession(?:_device)?=": f"{self.cookie_name}(?:_device)?=",
                    **self.guard_changes,
                },
            )
        )
        places = "".join(f'\t"~*^/{place}\\b" "{needed}";\n' for place, needed in self.places.items())
        (self.folder / "onesession-places.conf").write_text(
            shipped("nginx/onesession-places.conf", {"\tdefault live;\n": "\tdefault live;\n" + places})
        )
        listen = f"\tlisten 127.0.0.1:{self.port} default_server;"
        if self.certificate is not None:
            listen = listen.replace(";", " ssl;") + "".join(
                f"\n\tssl_certificate{what} {self.certificate};" for what in ("", "_key")
            )
        changes = {
            "\tlisten 80;": listen,
            "/etc/nginx/snippets/onesession.conf": str(guard),
        }
        (self.folder / "site.conf").write_text(shipped(f"nginx/{self.sample}", {**changes, **self.changes}))
        more = (APPLICATION_CONF + WHO_IS_IT) % {"folder": self.folder, "port": self.port, "name": name}
        (self.folder / "nginx.conf").write_text(NGINX_CONF % {"folder": self.folder, "more": more})

    def start(self):
        for _ in range(10):
            self.port = free_port()
            name = "n" + random_source.token_hex(16)
            self._write_configuration(name)
            self.process = spawn(
                [shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin"), "-p", self.folder]
                + ["-c", self.folder / "nginx.conf", "-e", self.log],
                self.log,
            )
            if wait_until(lambda: self._answers(name) or self.process.poll() is not None, "nginx to start") is True:
                if self.process.poll() is None:
                    return self
            # The port went to somebody else in the meantime.
            assert "Address already in use" in self.log.read_text(), f"nginx ended:\n{tail(self.log)}"
        raise AssertionError("nginx found no port")

    def _answers(self, name):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                probe = connection if self.certificate is None else unverified().wrap_socket(connection)
                probe.sendall(f"GET / HTTP/1.0\r\nHost: {name}\r\n\r\n".encode())
                return probe.recv(100).startswith(b"HTTP/1.1 204")
        except OSError:
            return False

    @property
    def url(self):
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.port}"

    def close(self):
        try:
            if self.process is not None:
                end(self.process, (signal.SIGTERM,))
        finally:
            discard(self.folder)

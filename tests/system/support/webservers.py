"""
The web servers that the project ships configurations for, each run with those very files, and the two applications that
stand behind them. What an application was asked stays in `seen`, so that a test can tell what never reached it.
"""

import os
import re
import shutil
import signal
import subprocess

from support.nginx import Nginx, shipped
from support.processes import ROOT, discard, end, free_port, scratch, spawn, tail
from support.programs import Daemon
from support.site import APPLICATION, give_folders
from support.waiting import wait_until

PROGRAMS = "/usr/sbin:/usr/bin:/sbin:/bin"
SERVER_USER = "www-data"


# ---- Applications ----------------------------------------------------------------------------------------------------


# ---- Web servers -----------------------------------------------------------------------------------------------------


class Server:
    """What Apache, lighttpd and others have in common: a folder, a log, a port, a start that is tried again."""

    started = ""  # what the log says once the port is the server's own
    environment = None

    def __init__(self, sample, changes, certificate=None):
        self.folder = scratch("web")
        self.log = self.folder / "error.log"
        self.log.touch()
        self.sample, self.changes, self.certificate = sample, changes, certificate
        self.guard_changes = {}
        self.places = {}  # what they need, by their first segment: {"premium": "plan=gold"}
        self.cookie_name = "onesession"
        self.process = None
        self.port = None
        if os.geteuid() == 0:
            shutil.chown(self.log, SERVER_USER)
            shutil.chown(self.folder, SERVER_USER)

    @property
    def url(self):
        return f"http{'s' if self.certificate else ''}://127.0.0.1:{self.port}"

    def start(self):
        for _ in range(10):
            self.port = free_port()
            self.log.write_text("")
            self.process = spawn(self.configure(), self.log, env=self.environment)
            wait_until(lambda: self._has_started() or self.process.poll() is not None, f"{self.sample} to be served")
            if self.process.poll() is None:
                return self
            # The port went to somebody else in the meantime.
            assert "in use" in self.log.read_text(), f"the web server ended:\n{tail(self.log)}"
        raise AssertionError("the web server found no port")

    def configure(self):
        """Write the configuration; returns the command that serves it."""
        raise NotImplementedError

    def _has_started(self):
        return self.started in self.log.read_text(errors="replace")

    def close(self):
        try:
            if self.process is not None:
                end(self.process, (signal.SIGTERM,))
        finally:
            discard(self.folder)


# Debian's apache2.conf loads these, or the samples say that they are needed.
APACHE_MODULES = (
    "mpm_event authn_core authz_core authz_user alias dir mime "
    "authnz_fcgi authz_host setenvif proxy proxy_fcgi proxy_http headers rewrite asis status ssl"
).split()

APACHE_CONF = """
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/pid
ErrorLog {folder}/error.log
ServerName localhost
{user}
{modules}
TypesConfig /dev/null
AddType text/html .html
# What a new installation has for its files.
<Directory />
	Options FollowSymLinks
	AllowOverride None
	Require all denied
</Directory>
<Directory {root}>
	Options Indexes FollowSymLinks
	AllowOverride None
	Require all granted
</Directory>
<FilesMatch "^[.]ht">
	Require all denied
</FilesMatch>
<Location "/server-status">
	SetHandler server-status
	Require ip 192.0.2.1
</Location>
Listen 127.0.0.1:{port}
Include {folder}/site.conf
"""


class Apache(Server):
    started = "resuming normal operations"

    def __init__(self, daemon_port, sample, changes, root, certificate):
        super().__init__(sample, changes, certificate)
        self.daemon_port, self.root = daemon_port, root

    def configure(self):
        (self.folder / "onesession.conf").write_text(
            shipped(
                "apache/onesession.conf",
                {
                    '"/etc/apache2/onesession-away.asis"': f'"{ROOT}/conf/apache/onesession-away.asis"',
                    "onesession(?:_device)?=": f"{self.cookie_name}(?:_device)?=",
                    **self.guard_changes,
                },
            )
        )
        changes = {
            "Define ONESESSION 127.0.0.1:9010": f"Define ONESESSION 127.0.0.1:{self.daemon_port}",
            "<VirtualHost *:80>": f"<VirtualHost *:{self.port}>"
            + (f"\n\tSSLEngine on\n\tSSLCertificateFile {self.certificate}" if self.certificate else ""),
            "\tInclude /etc/apache2/onesession.conf\n": f"\tInclude {self.folder}/onesession.conf\n",
        }
        opened = "\t# Open to everyone, as an example.\n"
        places = {opened: "".join(self._place(*place) for place in self.places.items()) + opened}
        (self.folder / "site.conf").write_text(
            shipped(f"apache/{self.sample}", {**changes, **places, **self.changes})
        )
        (self.folder / "httpd.conf").write_text(
            APACHE_CONF.format(
                folder=self.folder,
                user=f"User {SERVER_USER}\nGroup {SERVER_USER}" if os.geteuid() == 0 else "",
                modules="\n".join(
                    f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in APACHE_MODULES
                ),
                port=self.port,
                root=self.root,
            )
        )
        return [shutil.which("apache2", path=PROGRAMS), "-D", "FOREGROUND", "-f", self.folder / "httpd.conf"]

    def _place(self, place, needed):
        """As the sample has it: the first of those that it shows, or the last one."""
        shown = re.findall(r"(?ms)^\t#<LocationMatch.*?^\t#</LocationMatch>\n", shipped(f"apache/{self.sample}", {}))
        premium = [one for one in shown if "/premium" in one][0]
        forum = [one for one in shown if "/forum" in one][0]
        if needed == "optional":
            return forum.replace("\t#", "\t").replace("/forum", f"/{place}")
        return premium.replace("\t#", "\t").replace("/premium", f"/{place}").replace("plan=gold|platinum", needed)


# mod_proxy stands first on purpose: an operator may have enabled it before.
LIGHTTPD_CONF = """
server.modules = ( "mod_proxy", "mod_indexfile", "mod_access", "mod_alias", "mod_redirect" )
server.document-root = "{root}"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{folder}/error.log"
server.pid-file = "{folder}/pid"
server.upload-dirs = ( "{folder}" )
{user}
index-file.names = ( "index.html" )
mimetype.assign = ( ".html" => "text/html", "" => "text/plain" )
# As in Debian's lighttpd.conf.
server.http-parseopts = (
	"header-strict" => "enable", "host-strict" => "enable", "host-normalize" => "enable",
	"url-normalize-unreserved" => "enable", "url-normalize-required" => "enable", "url-ctrls-reject" => "enable",
	"url-path-2f-decode" => "enable", "url-path-dotseg-remove" => "enable"
)
include "{folder}/site.conf"
"""


class Lighttpd(Server):
    started = "server started"

    def __init__(self, daemon_path, sample, changes, root="/var/www/html"):
        super().__init__(sample, changes)
        self.daemon_path, self.root = daemon_path, root
        self.script_changes = {}

    def configure(self):
        (self.folder / "onesession.conf").write_text(
            shipped(
                "lighttpd/onesession.conf",
                {
                    '"/run/onesession/onesession.sock"': f'"{self.daemon_path}"',
                    '( "/etc/lighttpd/onesession-places.lua", "/etc/lighttpd/onesession.lua" )': (
                        f'( "{self.folder}/onesession-places.lua", "{self.folder}/onesession.lua" )'
                    ),
                    '( "/etc/lighttpd/onesession-open.lua", "/etc/lighttpd/onesession.lua" )': (
                        f'( "{self.folder}/onesession-open.lua", "{self.folder}/onesession.lua" )'
                    ),
                    **self.guard_changes,
                },
            )
        )
        live = '\t{ "/", "live" },\n'
        places = "".join(f'\t{{ "/{place}", "{needed}" }},\n' for place, needed in self.places.items())
        (self.folder / "onesession-places.lua").write_text(
            shipped("lighttpd/onesession-places.lua", {live: live + places})
        )
        changes = {'base == "onesession"': f'base == "{self.cookie_name}"'}
        (self.folder / "onesession.lua").write_text(shipped("lighttpd/onesession.lua", changes))
        (self.folder / "onesession-open.lua").write_text(shipped("lighttpd/onesession-open.lua", {}))
        changes = {'"/etc/lighttpd/onesession.conf"': f'"{self.folder}/onesession.conf"'}
        if self.sample == "own-login.conf":
            script = shipped("lighttpd/onesession-own-login.lua", self.script_changes)
            (self.folder / "onesession-own-login.lua").write_text(script)
            for first in ("places", "open"):
                names = (f"onesession-{first}.lua", "onesession-own-login.lua", "onesession.lua")
                scripts = ", ".join(f'"/etc/lighttpd/{name}"' for name in names)
                changes[scripts] = scripts.replace("/etc/lighttpd", str(self.folder))
        (self.folder / "site.conf").write_text(shipped(f"lighttpd/{self.sample}", {**changes, **self.changes}))
        user = f'server.username = "{SERVER_USER}"\nserver.groupname = "{SERVER_USER}"' if os.geteuid() == 0 else ""
        (self.folder / "lighttpd.conf").write_text(
            LIGHTTPD_CONF.format(folder=self.folder, root=self.root, port=self.port, user=user)
        )
        return [shutil.which("lighttpd", path=PROGRAMS), "-D", "-f", self.folder / "lighttpd.conf"]


class Caddy(Server):
    """The site of the sample that `name` is the name of."""

    started = "serving initial configuration"

    def __init__(self, daemon_path, name, changes, certificate):
        super().__init__("Caddyfile", changes, certificate)
        self.daemon_path, self.name = daemon_path, name
        self.opened = []  # paths that are open beside the sample's
        self.environment = {**os.environ, "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)}

    def configure(self):
        socket_path = "unix//run/onesession/onesession.sock"
        assert shipped("caddy/onesession.caddy", {}).count(socket_path) == 3
        guard = shipped("caddy/onesession.caddy", self.guard_changes).replace(socket_path, f"unix/{self.daemon_path}")
        guard = guard.replace("onesession(_device)?=", f"{self.cookie_name}(_device)?=")
        (self.folder / "onesession.caddy").write_text(guard)
        address, tls = f"http://:{self.port}", ""
        if self.certificate:
            address, tls = self.url, f"\ttls {self.certificate} {self.certificate}\n"
        changes = {
            "import /etc/caddy/onesession.caddy": f"import {self.folder}/onesession.caddy",
            f"{self.name}.example.org {{": f"{address} {{\n\tbind 127.0.0.1\n{tls}",
        }
        places = "".join(f'\t\t~(?i)^/{place}\\b "{needed}"\n' for place, needed in self.places.items())
        changes["\t\tdefault live\n"] = places + "\t\tdefault live\n"
        sites = shipped("caddy/Caddyfile", {**changes, **self.changes})
        # The other sites would want certificates.
        sites = re.sub(r"(?ms)^[\w-]+\.example\.org \{.*?^\}$", "", sites)
        opened = "\t\tvars /robots.txt onesession open\n"
        assert sites.count(opened) == 1
        sites = sites.replace(opened, opened + "".join(f"\t\tvars {path} onesession open\n" for path in self.opened))
        (self.folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + sites)
        return [shutil.which("caddy", path=PROGRAMS), "run", "--config", self.folder / "Caddyfile"]


HAPROXY_CONF = """
global
	noreuseport
defaults
	timeout connect 5s
	timeout client 30s
	timeout server 30s
"""


class Haproxy(Server):
    started = "Loading success"

    def __init__(self, daemon_path, changes, certificate):
        super().__init__("haproxy.cfg", changes, certificate)
        self.daemon_path = daemon_path

    def configure(self):
        changes = {
            "bind :80": f"bind 127.0.0.1:{self.port}" + (f" ssl crt {self.certificate}" if self.certificate else ""),
            "unix@/run/onesession/onesession.sock": f"unix@{self.daemon_path}",
            "(onesession_device=": f"({self.cookie_name}_device=",
        }
        sections = shipped("haproxy/haproxy.cfg", {**changes, **self.changes})
        (self.folder / "haproxy.cfg").write_text(HAPROXY_CONF + sections)
        return [shutil.which("haproxy", path=PROGRAMS), "-W", "-db", "-f", self.folder / "haproxy.cfg"]


# ---- Whole sites -----------------------------------------------------------------------------------------------------


def make_certificate(folder):
    """A file with a certificate for this machine, and its key."""
    key, certificate = folder / "key", folder / "certificate"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    both = folder / "both.pem"
    both.write_text(certificate.read_text() + key.read_text())
    both.chmod(0o644)
    return both


def daemon_with_tcp(database, settings=None, modules=()):
    """Listens on its Unix socket and on a TCP port of this machine, which is its `port`. It runs."""
    for _ in range(10):
        daemon = Daemon(database, settings, modules=modules)
        if modules is APPLICATION:
            give_folders(daemon)
        daemon.port = free_port()
        daemon.settings["server.listen"] += f" tcp:127.0.0.1:{daemon.port}"
        try:
            return daemon.start()
        except AssertionError:
            # The port went to somebody else in the meantime.
            if "in use" not in daemon.log_text():
                raise
            daemon.close()
    raise AssertionError("the daemon found no port")


def nginx_site(daemon, kind, application, certificate=None):
    changes = {
        "static": lambda: {"root /var/www/html;": f"root {application.root};"},
        "proxied": lambda: {"http://127.0.0.1:8000;": f"http://127.0.0.1:{application.port};"},
        "own-login": lambda: {"http://127.0.0.1:8000;": f"http://127.0.0.1:{application.port};"},
        "fastcgi": lambda: {"unix:/run/app/app.sock;": f"unix:{application.path};"},
    }[kind]()
    # What a location takes is not the guard's limit.
    changes["\tlocation / {\n"] = "\tlocation / {\n\t\tclient_max_body_size 100m;\n"
    return Nginx(daemon.path, f"{kind}.conf", changes, certificate)


def apache_site(daemon, kind, application, certificate=None):
    root = application.root if kind == "static" else "/var/www/html"
    changes = {
        "static": lambda: {"DocumentRoot /var/www/html": f"DocumentRoot {root}"},
        "proxied": lambda: {'"http://127.0.0.1:8000/"': f'"http://127.0.0.1:{application.port}/"'},
        "own-login": lambda: {'"http://127.0.0.1:8000/"': f'"http://127.0.0.1:{application.port}/"'},
        "fastcgi": lambda: {'"unix:/run/app/app.sock|': f'"unix:{application.path}|'},
    }[kind]()
    return Apache(daemon.port, f"{kind}.conf", changes, root, certificate)


def lighttpd_site(daemon, kind, application):
    root = application.root if kind == "static" else "/var/www/html"
    changes = {
        "static": dict,
        "proxied": lambda: {'"port" => 8000': f'"port" => {application.port}'},
        "own-login": lambda: {'"port" => 8000': f'"port" => {application.port}'},
        "fastcgi": lambda: {'"/run/app/app.sock"': f'"{application.path}"'},
    }[kind]()
    return Lighttpd(daemon.path, f"{kind}.conf", changes, root)


def caddy_site(daemon, kind, application, certificate=None):
    changes = {
        "static": lambda: {"root * /var/www/html": f"root * {application.root}"},
        "proxied": lambda: {"reverse_proxy 127.0.0.1:8000": f"reverse_proxy 127.0.0.1:{application.port}"},
        "own-login": lambda: {"reverse_proxy 127.0.0.1:8001": f"reverse_proxy 127.0.0.1:{application.port}"},
        "fastcgi": lambda: {"unix//run/app/app.sock": f"unix/{application.path}"},
    }[kind]()
    if kind == "own-login":
        # The others' samples say it by themselves.
        changes["\t\t#~^/login/?$ optional\n"] = "\t\t~^/login/?$ optional\n"
    return Caddy(daemon.path, kind, changes, certificate)


def haproxy_site(daemon, _kind, application, certificate=None):
    return Haproxy(daemon.path, {"127.0.0.1:8000": f"127.0.0.1:{application.port}"}, certificate)

"""A whole installation behind one of the web servers, for the tests that all of them have to pass."""

import contextlib
import html
import http.client
import itertools
import re
import socket

import pytest

from support import applications, webservers
from support.closing import database_and_things, remember_log
from support.site import APPLICATION, in_application

APPLICATIONS = {
    "static": applications.StaticSite,
    "proxied": applications.ProxiedApplication,
    "fastcgi": applications.FastCgiApplication,
    "own-login": applications.ProxiedApplication,
}
SERVERS = {
    "nginx": webservers.nginx_site,
    "apache": webservers.apache_site,
    "lighttpd": webservers.lighttpd_site,
    "caddy": webservers.caddy_site,
}
SITES = list(itertools.product(SERVERS, ("static", "proxied", "fastcgi")))
OWN_LOGIN_SITES = [(name, "own-login") for name in SERVERS]


class Web:
    """An installation behind one web server, and what is behind its guard."""

    def __init__(self, server_name, kind, database, daemon, server, application):
        self.server_name, self.kind = server_name, kind
        self.database, self.daemon, self.server, self.application = database, daemon, server, application
        self.url = server.url
        self.secrets = daemon.secrets
        self.names = (f"user{number}" for number in itertools.count())

    @property
    def has_application(self):
        return self.kind != "static"

    def new_user(self):
        """Tests share a site, but no account."""
        name = next(self.names)
        self.database.add_user(name)
        return name

    def shows_page(self, answer):
        """True when the answer is what the guard guards."""
        if self.has_application:
            return "application" in answer.text
        return answer.text == applications.PAGE

    def identity(self, asked):
        """Who the application was told is signed in: name, and id and session where the web server can tell."""
        if self.kind == "fastcgi":
            return tuple(asked.get(name) for name in ("REMOTE_USER", "REMOTE_USER_ID", "SESSION_ID"))
        if self.server_name == "lighttpd" and self.kind == "proxied":
            found = re.search(r';remote_user="((?:[^"\\]|\\.)*)"$', asked.get("Forwarded"))
            return (found[1] if found else "",)
        return tuple(asked.get(name) for name in ("Remote-User", "Remote-User-Id", "Session-Id"))

    def last(self):
        return self.application.seen[-1]


@contextlib.contextmanager
def running(node, cluster, server_name, make_server, kind, settings=None, modules=()):
    """A whole installation, with its logs shown when a test of `node` fails. None: by whoever shares it."""
    with database_and_things(cluster) as (database, things):
        application = things.add(APPLICATIONS[kind]())
        daemon = things.add(webservers.daemon_with_tcp(database, settings, modules))
        server = things.add(make_server(daemon, kind, application))
        if node is not None:
            remember_log(node, "onesessiond", daemon.log)
            remember_log(node, server_name, server.log)
        yield Web(server_name, kind, database, daemon, server.start(), application)


def web_of_one_worker(servers):
    """A fixture of a module: the test application by one worker behind each of these servers, {name: how it is made}."""

    @pytest.fixture(name="web", scope="module", params=servers)
    def fixture_web(request, cluster_of_worker):
        settings = in_application({"server.workers": 1})
        make = servers[request.param]
        with running(request.node, cluster_of_worker, request.param, make, "static", settings, APPLICATION) as made:
            yield made

    return fixture_web


def raw(web, method, target, headers=(), body=b""):
    """A request that no library has tidied up. Returns status and body."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    with socket.create_connection(("127.0.0.1", web.server.port), timeout=30) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        answer = http.client.HTTPResponse(connection, method=method)
        answer.begin()
        return answer.status, answer.read().decode("latin-1")


def ask(web, target, headers=()):
    """What the application was asked when somebody sent this. Status None: the web server hung up."""
    count = len(web.application.seen)
    try:
        status, _ = raw(web, "GET", target, headers)
    except (http.client.HTTPException, ConnectionError):
        status = None
    return status, web.application.seen[count:]


def only(*kinds):
    """For tests that make sense with some kinds of application."""
    sites = [site for site in SITES if site[1] in kinds]
    return pytest.mark.parametrize("web", sites, ids="-".join, indirect=True, scope="session")


def is_turned_away(web, answer):
    """Neither the page nor the application; and the way that each web server refuses people."""
    assert not web.shows_page(answer)
    return answer.status_code == (401 if web.server_name == "lighttpd" else 303)


def find_form(web, person, path):
    """Ask for a guarded page and end at the sign-in form. Returns its `next`."""
    answer = person.get(path)
    assert is_turned_away(web, answer), answer.status_code
    if answer.status_code == 303:
        assert re.match(r"/session/login(\?next=|$)", answer.headers["Location"])
        answer = person.get(answer.headers["Location"])
        assert answer.status_code == 200
    assert 'action="/session/login"' in answer.text
    return answer, html.unescape(re.search(r'name="next" value="([^"]*)"', answer.text)[1])


FORGED = [
    "Remote-User",
    "Remote_User",
    "REMOTE-USER",
    "rEMOTE_uSER",
    "Remote-User-Id",
    "Remote_User_Id",
    "Remote-User_Id",
    "Remote_User-Id",
    "Remote-Email",
    "Remote_Email",
    "Remote-Groups",
    "REMOTE_GROUPS",
    "Remote-Plan",
    "Remote_Plan",
    "Session-Id",
    "Session_Id",
    "Session-Reason",
    "SESSION_REASON",
    "Authorization",
]


def is_refusal(web):
    return 401 if web.server_name == "lighttpd" else 303


def ask_for_upgrade(web, protocols, cookie, path="/page.html", named="Upgrade"):
    """An open connection, what was answered, and the bytes that came after it."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{web.server.port}", f"Connection: {named}"]
    lines += [f"Upgrade: {protocol}" for protocol in protocols]
    lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-Fetch-Mode: websocket"]
    lines += [f"Cookie: onesession={cookie}"] if cookie else []
    connection = socket.create_connection(("127.0.0.1", web.server.port), timeout=30)
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = connection.recv(1000)
        assert data, answer
        answer += data
    head, _, rest = answer.partition(b"\r\n\r\n")
    return connection, int(head.split()[1]), rest


def keeps_its_own_cookie(web, person):
    assert person.login(web.new_user()).status_code == 303
    assert person.get("/flask").status_code == 200
    assert web.shows_page(person.get("/page.html"))
    sent = web.last().get("Cookie")
    assert [pair.strip() for pair in sent.split(";") if pair.strip()] == [applications.FLASK_COOKIE]
    # Each is still there after a sign-in and a sign-out.
    assert person.login(web.new_user()).status_code == 303
    assert web.shows_page(person.get("/page.html"))
    person.logout()
    assert is_turned_away(web, person.get("/page.html"))
    assert applications.FLASK_COOKIE in [f"{cookie.name}={cookie.value}" for cookie in person.http.cookies]

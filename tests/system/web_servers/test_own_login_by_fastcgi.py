"""The samples for applications with a login of their own, changed as they say for one that speaks FastCGI."""

import re

import pytest

from support import applications, webservers
from support.api import Api, new_token
from support.closing import database_and_things
from support.nginx import Nginx, lines_of, own_login_by_fastcgi, shipped
from support.programs import Ctl
from support.web import SERVERS, Web, raw

SETTINGS = {"login.enabled": "off", "access.login_url": "/login", "access.require_parameter": "on"}


def make_nginx(daemon, application):
    return Nginx(daemon.path, "own-login.conf", own_login_by_fastcgi(application.path))


def make_apache(daemon, application):
    (line,) = lines_of(shipped("apache/own-login.conf", {}), '\tProxyPass "/" ')
    (other,) = lines_of(shipped("apache/fastcgi.conf", {}), '\tProxyPass "/" ')
    changes = {line: other.replace("/run/app/app.sock", application.path)}
    return webservers.Apache(daemon.port, "own-login.conf", changes, "/var/www/html", None)


def make_lighttpd(daemon, application):
    fastcgi = shipped("lighttpd/fastcgi.conf", {})
    (server,) = lines_of(fastcgi, r"var\.application")
    (guarded,) = re.findall(r'(?ms)^\$HTTP\["url"\] !~ "\^/session/" \{.*?^\}\n', fastcgi)
    own = shipped("lighttpd/own-login.conf", {})
    (line,) = lines_of(own, r"proxy\.server")
    changes = {line: server.replace("/run/app/app.sock", application.path) + guarded}
    for name in ('== "/robots.txt"', r'=~ "^/\.well-known/"'):
        changes[f'$HTTP["url"] {name} {{\n\tfastcgi.server = ()\n'] = f'$HTTP["url"] {name} {{\n\tfastcgi.server = ( "/" => ( application ) )\n'
    return webservers.Lighttpd(daemon.path, "own-login.conf", changes)


def make_caddy(daemon, application):
    """The block of the sample's FastCGI site, with the line that it names."""
    text = shipped("caddy/Caddyfile", {})
    (block,) = re.findall(r"(?ms)^\t\treverse_proxy unix//run/app/app\.sock \{.*?^\t\t\}\n", text)
    (line,) = lines_of(text, "\t\t# env SESSION_REASON")
    more = line.replace("# ", "\t\t")
    block = block.replace("unix//run/app/app.sock", f"unix/{application.path}").replace(
        "\t\t\t\tenv REMOTE_USER ", more + "\t\t\t\tenv REMOTE_USER "
    )
    changes = {
        "\t\treverse_proxy 127.0.0.1:8001\n": block,
        "\t\t#~^/login/?$ optional\n": "\t\t~^/login/?$ optional\n",
    }
    return webservers.Caddy(daemon.path, "own-login", changes, None)


MAKERS = {"nginx": make_nginx, "apache": make_apache, "lighttpd": make_lighttpd, "caddy": make_caddy}


@pytest.fixture(name="web", scope="module", params=SERVERS)
def fixture_web(request, cluster_of_worker):
    with database_and_things(cluster_of_worker) as (database, things):
        application = things.add(applications.FastCgiApplication())
        daemon = things.add(webservers.daemon_with_tcp(database, SETTINGS))
        server = things.add(MAKERS[request.param](daemon, application))
        server.places = {"open": "optional"}
        web = Web(request.param, "fastcgi", database, daemon, server.start(), application)
        web.api = Api(daemon, new_token(Ctl(database.owner_conninfo)))
        yield web


def asked(web, target, cookie, method="GET", status=200):
    count = len(web.application.seen)
    found, _ = raw(web, method, target, [("Cookie", cookie)])
    assert found == status, found
    seen = web.application.seen[count:]
    return seen[0] if seen else None


def test_application_gets_the_same_by_fastcgi(web):
    name = web.new_user()
    token = web.api.sign_in(name, secure=False).json["token"]
    cookies = f"sessionid=the-application-s-own; theme=dark; onesession={token}"
    for target in ("/members", "/open"):
        request = asked(web, target, cookies)
        assert web.identity(request)[0] == name
        assert request.get("SESSION_REASON") == ""
        assert request.get("HTTP_COOKIE") == "sessionid=the-application-s-own; theme=dark"
    # The sign-in has the daemon's cookies, to tell them.
    assert f"onesession={token}" in asked(web, "/login", cookies, "POST").get("HTTP_COOKIE")
    web.api.sign_in(name, secure=False)
    assert asked(web, "/members", cookies, status=401) is None
    request = asked(web, "/open", cookies)
    assert set(web.identity(request)) == {""}
    assert (request.get("SESSION_REASON"), request.get("HTTP_COOKIE")) == ("displaced", "theme=dark")
    request = asked(web, "/login?next=/members&reason=displaced", cookies)
    assert (request.get("SESSION_REASON"), request.get("HTTP_COOKIE").startswith("theme=dark")) == ("displaced", True)
    assert "sessionid" not in request.get("HTTP_COOKIE")
    assert "sessionid=the-application-s-own" in asked(web, "/login", cookies, "POST").get("HTTP_COOKIE")

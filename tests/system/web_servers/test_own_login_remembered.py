"""The samples for applications with a login of their own, changed as they say for one that remembers people by a second cookie."""

import email.message
import http.cookies
import re
import secrets

import pytest

from support.api import Api, new_token
from support.closing import database_and_things
from support.nginx import shipped
from support.own_login import COOKIE, PASSWORD, OwnLogin
from support.programs import Ctl
from support.web import SERVERS, Web
from support.webservers import daemon_with_tcp

SETTINGS = {"login.enabled": "off", "access.login_url": "/login", "access.require_parameter": "on"}
REMEMBER = "remember_me"


class Remembering(OwnLogin):
    """Where it has no session it begins one by the other cookie, whatever it is asked for."""

    def __init__(self):
        super().__init__("session", False)
        self.remembered = {}

    def answer(self, method, target, headers, body):
        cookies = {name: one.value for name, one in http.cookies.SimpleCookie(headers.get("Cookie", "")).items()}
        name = self.remembered.get(cookies.get(REMEMBER))
        if name is None or self.sessions.get(cookies.get(COOKIE), {}).get("user"):
            return super().answer(method, target, headers, body)
        key = self.begin(name)
        changed = email.message.Message()
        for field, value in headers.items():
            changed[field] = value
        del changed["Cookie"]
        changed["Cookie"] = "; ".join(f"{name}={value}" for name, value in {**cookies, COOKIE: key}.items())
        status, fields, text = super().answer(method, target, changed, body)
        return status, [("Set-Cookie", f"{COOKIE}={key}; Path=/; HttpOnly"), *fields], text

    def _let_in(self, name, cookies, asked, headers):
        status, fields, text = super()._let_in(name, cookies, asked, headers)
        value = secrets.token_urlsafe(32)
        self.remembered[value] = name
        return status, [*fields, ("Set-Cookie", f"{REMEMBER}={value}; Path=/; HttpOnly")], text


def uncommented(path, pattern):
    """Changes: what is shown in comments."""
    (found,) = re.findall(pattern, shipped(path, {}))
    return {found: re.sub(r"(?m)^(\t*)#", r"\1", found)}


def change(server, name):
    if name == "nginx":
        path = "nginx/own-login.conf"
        server.changes = {
            **server.changes,
            "(?i:sessionid)": f"(?i:sessionid|{REMEMBER})",
            **uncommented(path, r"(?ms)^#map [^\n]*own_forgotten_2 \{\n.*?^#\}\n"),
            **uncommented(path, r"\t#add_header [^\n]*own_forgotten_2 always;\n"),
        }
    elif name == "lighttpd":
        server.script_changes = {
            '{ "sessionid" } -- { "sessionid", "remember_me" }': '{ "sessionid", "remember_me" }',
            '" } -- { "...", ': '", ',
        }
    else:
        path = {"apache": "apache/own-login.conf", "caddy": "caddy/Caddyfile"}[name]
        server.changes = {
            **server.changes,
            "(?i:sessionid)": f"(?i:sessionid|{REMEMBER})",
            **uncommented(path, r"\t\t#[Hh]eader [^\n]*remember_me[^\n]*\n"),
        }


@pytest.fixture(name="web", scope="module", params=SERVERS)
def fixture_web(request, cluster_of_worker):
    with database_and_things(cluster_of_worker) as (database, things):
        application = things.add(Remembering())
        daemon = things.add(daemon_with_tcp(database, SETTINGS))
        application.api = Api(daemon, new_token(Ctl(database.owner_conninfo)))
        server = things.add(SERVERS[request.param](daemon, "own-login", application))
        change(server, request.param)
        yield Web(request.param, "own-login", database, daemon, server.start(), application)


def sign_in(person, name):
    way = person.get("/members").headers["Location"].removeprefix(person.site.url)
    form = person.get(way)
    assert form.status_code == 200, form.headers.get("Location")
    token = re.search('name="token" value="([^"]*)"', form.text)[1]
    answer = person.post(way, {"token": token, "username": name, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    assert f"user={name}" in person.get("/members").text


def test_remembered_person_who_was_displaced_signs_in_again(web, browse):
    name = web.new_user()
    first, second = browse(web, program=False), browse(web, program=False)
    sign_in(first, name)
    for _ in range(2):
        sign_in(second, name)
        first, second = second, first


def test_so_does_one_whom_the_application_remembers_from_before_the_day(web, browse):
    name = web.new_user()
    person = browse(web, program=False)
    web.application.remembered["from-before"] = name
    person.http.cookies.set(REMEMBER, "from-before", path="/", domain="127.0.0.1")
    sign_in(person, name)

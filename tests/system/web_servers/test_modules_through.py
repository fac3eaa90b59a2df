"""Routes of a module, below a prefix of its own, through the web servers: with what the samples say of that."""

import re

import pytest

from support.nginx import shipped
from support.site import APPLICATION, with_audit
from support.web import SERVERS, is_turned_away, running

PREFIX = "/films/"


def again(sample, beginning, end):
    """What stands from `beginning` to `end` in the sample, and once more for the module."""
    block = re.search(rf"(?ms)^{beginning}.*?^{end}$", shipped(sample, {}))[0]
    return {block: block + "\n" + block.replace("/session/", PREFIX)}


# What is marked "Yours", and has to be done.
CHANGES = {
    "nginx": {"location /session/ {": "location ~ ^/(?:session|films)/ {"},
    "apache": {
        '"^/(?!session/)"': '"^/(?!session/|films/)"',
        **again("apache/onesession.conf", 'ProxyPass "/session/"', "</Location>"),
    },
    "lighttpd": again("lighttpd/onesession.conf", r'\$HTTP\["url"\] =~ "\^/session/"', "}"),
    "caddy": again("caddy/onesession.caddy", r"\thandle /session/\*", r"\t}"),
}


@pytest.fixture(name="web", scope="module", params=SERVERS)
def fixture_web(request, cluster_of_worker):
    def make_server(daemon, kind, application):
        server = SERVERS[request.param](daemon, kind, application)
        server.guard_changes = CHANGES[request.param]
        return server

    settings = {"application.prefix": PREFIX.rstrip("/")}
    with running(request.node, cluster_of_worker, request.param, make_server, "proxied", settings, APPLICATION) as made:
        yield with_audit(made)


def test_module_sees_for_itself_who_is_signed_in(web, browse):
    """Nobody is led away from what is open to all, and the cookie gets through."""
    person = browse(web)
    assert person.get(PREFIX + "titles/7").status_code == 200
    answer = person.get(PREFIX + "open/signed_in")
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    person.sign_in(web.new_user())
    assert person.get(PREFIX + "open/signed_in").status_code == 200
    assert person.post(PREFIX + "open/signed_in", {"a": "b"}).status_code == 200
    person.logout()
    assert person.get(PREFIX + "open/signed_in").status_code == 401


def test_application_beside_a_module_is_guarded_as_before(web, browse):
    person = browse(web, program=False)
    for path in ("/", "/filmsets/", "/films", "/page.html"):
        assert is_turned_away(web, person.get(path))

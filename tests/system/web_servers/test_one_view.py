"""
What every guarded application relies on: it is asked for what the guard decided about, and never sees a key. Each sample
of a web server, as an operator has it who has opened one folder of the application to everyone.
"""

import itertools
import posixpath
import random
import re
from urllib.parse import quote, unquote

import pytest

from support import webservers
from support.client import UNKNOWN_KEY
from support.long_cookies import assert_none_takes_long
from support.nginx import shipped
from support.web import SERVERS, ask, running

KINDS = ("proxied", "fastcgi")
# A folder of the application's, opened as the samples show it for robots.txt.
OPENED_APACHE = """\
	<LocationMatch "^/public/">
		AuthnzFcgiCheckAuthnProvider None
		Require all granted
	</LocationMatch>
"""


def open_folder(server_name, server):
    """Everybody may see /public/."""
    if server_name == "caddy":
        server.opened.append("/public/*")
        return server
    text = shipped(f"{server_name}/{server.sample}", server.changes)
    mark = {"nginx": "\t# Open to everyone, as an example.\n", "apache": "\t# Open to everyone, as an example.\n"}.get(
        server_name, "# Open to everyone, as an example.\n"
    )
    if server_name == "nginx":
        location = re.search(r"\tlocation / \{\n.*?\n\t\}\n", text, re.S)[0]
        opened = location.replace("location / {", "location /public/ {\n\t\tauth_request off;")
    elif server_name == "apache":
        opened = OPENED_APACHE
    else:
        block = re.search(r'\$HTTP\["url"\] == "/robots.txt" \{\n.*?\n\}\n', text, re.S)[0]
        opened = block.replace('== "/robots.txt"', '=~ "^/public/"')
    server.changes[mark] = opened + mark
    return server


def opened_site(request, cluster, server_name, kind, cookie_name=None):
    def make_server(daemon, of_kind, application):
        server = SERVERS[server_name](daemon, of_kind, application)
        server.cookie_name = cookie_name or server.cookie_name
        return open_folder(server_name, server)

    settings = {"session.cookie_name": cookie_name} if cookie_name else None
    return running(request.node, cluster, server_name, make_server, kind, settings)


@pytest.fixture(name="web", scope="module", params=itertools.product(SERVERS, KINDS), ids="-".join)
def fixture_web(request, cluster_of_worker):
    with opened_site(request, cluster_of_worker, *request.param) as web:
        yield web


# ---- One view of the address -----------------------------------------------------------------------------------------


def paths_seen(asked):
    """Where an application looks that wants to know what it is asked for."""
    paths = [asked.target.partition("?")[0]]
    if any(name == "REQUEST_URI" for name, _ in asked.fields):
        params = dict(asked.fields)
        # These are there without escapes.
        path = params.get("SCRIPT_NAME", "") + params.get("PATH_INFO", "")
        paths.append(quote(path, safe="/;", encoding="latin-1"))
    return paths


def areas(path):
    """The first folder of a path, for each way in which applications have been seen to read one."""
    readings = {path, path.partition("#")[0], re.sub(r";[^/]*", "", path)}
    readings = {unquote(reading) for reading in readings} | {unquote(unquote(reading)) for reading in readings}
    readings |= {re.sub(r";[^/]*", "", reading) for reading in list(readings)}
    readings |= {reading.replace("\\", "/") for reading in list(readings)}
    readings |= {reading.partition("\0")[0] for reading in list(readings)}
    readings |= {posixpath.normpath("/" + reading) for reading in list(readings)}
    return {reading.lstrip("/").partition("/")[0].partition(";")[0] for reading in readings}


TARGETS = [
    "/members/../public/x",
    "/members/../robots.txt",
    "/members/%2e%2e/public/x",
    "/members/%2E%2E/robots.txt",
    "/members/.%2e/public/x",
    "/members/%2e./robots.txt",
    "/members/a/b/../../../public/x",
    "/members/a/b/%2e%2e/../%2e./robots.txt",
    "/members/..%2fpublic/x",
    "/members/..%2Frobots.txt",
    "/members%2f..%2fpublic%2fx",
    "/members/..\\public\\x",
    "/members/..%5cpublic/x",
    "/members\\..\\robots.txt",
    "/members%5c..%5crobots.txt",
    "/members/%252e%252e/public/x",
    "/members/%252e%252e%252frobots.txt",
    "/members/x#/../../public/x",
    "/members/x?/../../public/x",
    "/members/x%3f/../../public/x",
    "/members/x%23/../../public/x",
    "/members/%00/../../public/x",
    "/members/..;/public/x",
    "/members/x;/../../public/x",
    "/public/../members/x",
    "/public/%2e%2e/members/x",
    "/public/x/../../members/x",
    "/public/..%2fmembers/x",
    "/public%2f..%2fmembers/x",
    "/public/..\\members\\x",
    "/public/..%5cmembers/x",
    "/public/..%5c..%5cmembers/x",
    "/public/%252e%252e/members/x",
    "/public/..%252fmembers/x",
    "/public/..%255cmembers/x",
    "/public/%25%32%65%25%32%65/members/x",
    "/public/%%32%65%%32%65/members/x",
    "/public/%25252e%25252e/members/x",
    "/public/%u002e%u002e/members/x",
    "/public/..;/members/x",
    "/public/..;a=b/members/x",
    "/public/..%3b/members/x",
    "/public/;/../members/x",
    "/;/members/x",
    "/%3b/members/x",
    "/public//../members/x",
    "/public/.//..//members/x",
    "/public/x#/../../members/x",
    "/public/#/../members",
    "/public/%00/../../members/x",
    "/public/..%00/members/x",
    "/public/..",
    "/public/.",
    "/public/%2e%2e",
    "/public/..?x",
    "/PUBLIC/../members/x",
    "//members/x",
    "//public/../members/x",
    "///members/x",
    "/%2fmembers/x",
    "/\\members/x",
    "/./members/x",
    "/.;/members/x",
    "/robots.txt/../members/x",
    "/robots.txt%2f..%2fmembers/x",
    "/robots.txt;/../members/x",
    "/robots.txt%00",
    "/robots.txt%00/members/x",
    "/robots.txt%0a",
    "/robots.txt%0d%0aX:%20y",
    "/robots.txt#/../members/x",
    "public/../members/x",
    "http://localhost/members/../public/x",
    "http://localhost/members/%2e%2e/robots.txt",
    "http://localhost//public/../members/x",
    "http://localhost/public/..%2fmembers/x",
    "HTTP://localhost/public/..\\members/x",
    "http://localhost#/../members/x",
    "http://localhost/public/x#/../../members/x",
    "http://x@localhost/members/../public/x",
    "http:///members/../public/x",
    "/members/x?/../../public/x?y",
    "/members/x?a/../../public/x?b?c",
    "/public/x?/../../members/x?y",
    "/robots.txt?/../members/x?y",
    "/members\t/../public/x",
    "/members/\x7f/../../public/x",
]
PIECES = "/ / / // \\ %2f %5c %252f .. .. . %2e %2e%2e %252e ; %3b # ? %23 %3f %00 %09 %0a %20 % %2 x members members".split()
PIECES += "public public robots.txt PUBLIC %6dembers %70ublic %25%32%65 + ? ?".split()


def odd_targets(count, seed):
    pieces = random.Random(seed)
    return ["/" + "".join(pieces.choices(PIECES, k=pieces.randint(2, 9))) for _ in range(count)]


@pytest.mark.parametrize("targets", [TARGETS, odd_targets(300, "nobody")], ids=["known", "random"])
def test_application_that_routes_by_prefix_is_never_asked_for_what_is_guarded(web, targets):
    for target in targets:
        status, seen = ask(web, target)
        assert status != 500, target
        for asked in seen:
            for path in paths_seen(asked):
                assert areas(path) <= {"public", "robots.txt", "PUBLIC"}, (target, path)


@pytest.mark.parametrize("targets", [TARGETS, odd_targets(300, "somebody")], ids=["known", "random"])
def test_application_is_asked_for_what_the_guard_let_in(web, browse, targets):
    """No two ways of reading it, for whoever looks at it; and with an identity unless it is open."""
    program = browse(web)
    name = web.new_user()
    program.sign_in(name)
    for target in targets:
        _, seen = ask(web, target, [("Cookie", f"onesession={program.key}")])
        for asked in seen:
            found = set().union(*map(areas, paths_seen(asked)))
            assert len(found) == 1, (target, asked.target, found)
            is_open = found & {"public", "PUBLIC", "robots.txt"}
            assert web.identity(asked)[0] in ({"", name} if is_open else {name}), target


REFUSED = [
    "/members/../public/x",
    "/public/../members/x",
    "/public/%2e%2e/members/x",
    "/public/a/b/../../../members/x",
    "/public/x%2fy",
    "/public/x%2Fy",
    "/public/x\\y",
    "/public/x%5Cy",
    "/public/%252e%252e/members/x",
    "/public/%252fx",
    "/public/%2500",
    "/public//x",
    "//public/x",
    "/public/%00",
    "/public/x%0Ay",
    "/public/..;/members/x",
    "/session/../members/x",
    "/session//login",
]


@pytest.mark.parametrize("target", REFUSED)
def test_address_that_can_be_read_in_two_ways_is_refused_before_anybody_decides(web, browse, target):
    program = browse(web)
    program.sign_in(web.new_user())
    for headers in ([], [("Cookie", f"onesession={program.key}")]):
        assert ask(web, target, headers) in ((400, []), (404, []))


@pytest.mark.parametrize(
    "target",
    [
        "/public/x",
        "/public/a%20b/50%25/%C3%BC~x;v=1,2/@:!$&'()*+=-._",
        "/public/100%25%20/x%3Fy%23z",
        "/public/...x/.well-known/x../..x",
        "/public/x?next=/page%3Fa%3Db&c=?d?e",
        "/public/x?next=/a/../b&u=http://x//y%2F..%5C%252e",
    ],
)
def test_ordinary_address_stays_as_it_is(web, browse, target):
    program = browse(web)
    program.sign_in(web.new_user())
    for wanted in (target, target.replace("/public/", "/members/", 1)):
        status, seen = ask(web, wanted, [("Cookie", f"onesession={program.key}")])
        assert status == 200
        assert [unquote(asked.target) for asked in seen] == [unquote(wanted)]
        path, _, query = wanted.partition("?")
        for path_seen in paths_seen(seen[0]):
            assert unquote(path_seen) == unquote(path)
        if web.kind == "fastcgi":
            assert unquote(seen[0].get("QUERY_STRING")) == unquote(query)


# ---- Cookies ---------------------------------------------------------------------------------------------------------

THEIRS = [
    # Flask's, of the name that ours had.
    "session=eyJhIjoxfQ.aR4nQw.8kK-r3yq3P4f5p0Jc8v1Yt0qN_E",
    "session=" + "A" * 42,
    "session=" + "A" * 44,
    "session=" + "A" * 42 + "=",
    "session=",
    "__Host-session=short",
    "session_device=phone",
    "a=1",
    "b=a=b",
    'c="x y"',
    "flag",
    "sessionid=" + UNKNOWN_KEY,
    "sessions=" + UNKNOWN_KEY,
    "mysession=" + UNKNOWN_KEY,
    "my-session=" + UNKNOWN_KEY,
    "Session=" + UNKNOWN_KEY,
    "__Hostsession=" + UNKNOWN_KEY,
    "x=session=" + UNKNOWN_KEY,
    "xonesession=1",
    "onesession2=1",
    "onesession_devices=1",
    # Which language its person has chosen is no secret, and may be an application's, too.
    "onesession_language=de",
    "onesession-x=1",
    "Onesession=1",
    "onesession",
]


def ours(key, device, name="onesession"):
    return [
        f"{name}={key}",
        f"{name}={key} ",
        f"{name}=",
        f"{name}=x",
        f"__Host-{name}={key}",
        f"{name}_device={device}",
        f"__Secure-{name}_device={device}",
        f"session={key}",
        f"session={key}\t",
        f"__Host-session={key}",
        f"session_device={device}",
        f"__Secure-session_device={device}",
    ]


def jars(key, device, count, name="onesession"):
    """Cookie headers, and what of each is an application's."""
    pick = random.Random(name)
    mine = ours(key, device, name)
    for cookie in mine:
        yield f"{name}={key}; {cookie}", []
        yield f"{cookie};{name}={key};{cookie}", []
        yield f"a=1; {name}={key}; {cookie}; b=2", ["a=1", "b=2"]
        yield f"a=1;{cookie};  {cookie}; b=2; {name}={key}", ["a=1", "b=2"]
    for cookie in THEIRS:
        yield f"{name}={key}; {cookie}", [cookie]
        yield f"{cookie};{name}={key}; {cookie}", [cookie, cookie]
    for _ in range(count):
        pairs = [(cookie, False) for cookie in pick.choices(mine, k=pick.randint(0, 5))] + [(f"{name}={key}", False)]
        pairs += [(cookie, True) for cookie in pick.choices(THEIRS, k=pick.randint(0, 6))]
        pick.shuffle(pairs)
        separators = [pick.choice(["; ", ";", ";  ", ";\t", "; ; "]) for _ in pairs]
        yield (
            "".join(itertools.chain(*zip((cookie for cookie, _ in pairs), separators))),
            [cookie for cookie, is_theirs in pairs if is_theirs],
        )


def cookies_seen(asked):
    header = asked.get("HTTP_COOKIE" if any(name == "REQUEST_URI" for name, _ in asked.fields) else "Cookie")
    assert not re.match(r"\s*;", header), header
    return [pair.strip() for pair in header.split(";") if pair.strip()]


DEVICE = "d" * 43


@pytest.mark.parametrize("path", ["/page.html", "/public/x"])
def test_application_gets_its_own_cookies_and_none_of_ours(web, browse, path):
    program = browse(web)
    program.sign_in(web.new_user())
    for cookies, theirs in jars(program.key, DEVICE, 100):
        status, seen = ask(web, path, [("Cookie", cookies)])
        assert (status, len(seen)) == (200, 1), cookies
        assert cookies_seen(seen[0]) == theirs, cookies
        assert not [name for name, value in seen[0].fields if program.key in value or DEVICE in value]


@pytest.mark.parametrize("path", ["/page.html", "/public/x"])
def test_no_number_of_cookies_makes_a_key_pass(web, browse, path):
    program = browse(web)
    program.sign_in(web.new_user())
    key = f"onesession={program.key}"
    headers = [
        [("Cookie", "; ".join([f"a{number}={number}; {key}" for number in range(count)]))] for count in (6, 7, 8, 60)
    ]
    headers += [
        [("Cookie", "; ".join([key, f"session={program.key}"] * 60))],
        [("Cookie", "a=1"), ("Cookie", key)],
        [("Cookie", key), ("Cookie", "a=1")],
        [("Cookie", key), ("Cookie", key), ("Cookie", f"session={program.key}")],
        [("Cookie", f"{'x' * 6000}; {key}")],
        [("Cookie", f"a={'; ' * 2000}; {key}")],
    ]
    for fields in headers:
        _, seen = ask(web, path, fields)
        for asked in seen:
            assert not [name for name, value in asked.fields if program.key in value], fields


@pytest.mark.parametrize("server_name", SERVERS)
def test_cookies_of_a_name_of_the_configuration(request, cluster_of_worker, browse, server_name):
    with opened_site(request, cluster_of_worker, server_name, "proxied", "kino") as web:
        program = browse(web)
        answer = program.login(web.new_user())
        key = answer.cookies["kino"]
        web.secrets.add(key)
        for cookies, theirs in jars(key, DEVICE, 30, "kino"):
            status, seen = ask(web, "/page.html", [("Cookie", cookies)])
            assert (status, len(seen)) == (200, 1), cookies
            # The default name is nobody's then.
            assert cookies_seen(seen[0]) == theirs, cookies


@pytest.mark.parametrize("path", ["/page.html", "/public/x"])
def test_no_cookie_holds_the_web_server_up(web, path):
    assert_none_takes_long(web, path)


def test_no_cookie_holds_haproxy_up(request, cluster_of_worker):
    with running(request.node, cluster_of_worker, "haproxy", webservers.haproxy_site, "proxied") as web:
        assert_none_takes_long(web, "/page.html")


def test_haproxy_passes_on_the_key_and_not_the_device(request, cluster_of_worker, browse):
    """It is no guard: what stands behind it asks, and needs the key for that."""
    with running(request.node, cluster_of_worker, "haproxy", webservers.haproxy_site, "proxied") as web:
        program = browse(web)
        program.sign_in(web.new_user())
        key = f"onesession={program.key}"
        for name in ("onesession_device", "__Secure-onesession_device", "session_device", "__Secure-session_device"):
            for cookies in (f"a=1; {key}; {name}={DEVICE}; b=2", f"{name}={DEVICE}; a=1; {name}={DEVICE}; {key}; b=2"):
                _, seen = ask(web, "/page.html", [("Cookie", cookies)])
                assert cookies_seen(seen[0]) == ["a=1", key, "b=2"]
        _, seen = ask(web, "/page.html", [("Cookie", "session_device=phone")])
        assert cookies_seen(seen[0]) == ["session_device=phone"]
        assert ask(web, "/page.html")[1][0].all("Cookie") == []

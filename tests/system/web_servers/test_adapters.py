"""
Sites in other languages that sign people in themselves, behind the configuration for such sites and with the project's
adapters: what they tell the daemon, and that who is nobody to the guard is nobody to them.
"""

import itertools
import os
import re
import shutil
import subprocess

import pytest

from support import adapted
from support.api import new_token
from support.closing import Closing, remember_log
from support.nginx import Nginx
from support.postgres import new_database
from support.programs import Ctl
from support.web import Web
from support.webservers import daemon_with_tcp, nginx_site

SIGN_IN = "/accounts/login/"
OPEN = "/open/"
SETTINGS = {"login.enabled": "off", "access.login_url": SIGN_IN, "access.require_parameter": "on"}
MEMBERS = ["member0", "member1"]
# The adapter calls the third of them, who has number 5, what the fourth is called.
OTHERS = ["ada", "ADA", "victim@shop.example", "user-5", "User-7"]
DATABASES = itertools.count()


def with_sign_in(daemon, application):
    """The sample, told where the site has its sign-in, and that a page of it is open."""
    server = nginx_site(daemon, "own-login", application)
    server.changes['"~^/login/?$" yes;'] = '"~^/accounts/login/?$" yes;'
    server.places = {"open": "optional"}
    return server


@pytest.fixture(name="tables")
def fixture_tables(cluster_of_worker):
    """An empty database for a site."""
    if not cluster_of_worker.is_running:
        cluster_of_worker.start()
    name = f"site_{next(DATABASES)}"
    cluster_of_worker.execute(f"CREATE DATABASE {name}")

    class Tables:
        cluster = cluster_of_worker

    Tables.name = name
    yield Tables
    cluster_of_worker.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(name="behind")
def fixture_behind(request, cluster_of_worker):
    """behind(site, settings): the site behind a daemon of its own; returns a Web."""
    if not cluster_of_worker.is_running:
        cluster_of_worker.start()
    things = Closing()
    databases = []

    def behind(site, settings=None, prepare=None, names=MEMBERS):
        database = new_database(cluster_of_worker)
        databases.append(database)
        ctl = Ctl(database.owner_conninfo)
        if prepare is not None:
            prepare(ctl)
        daemon = things.add(daemon_with_tcp(database, {**SETTINGS, **(settings or {})}))
        remember_log(request.node, "onesessiond", daemon.log)
        # The site is told where the API is before it has a port for the web server.
        programs = things.add(Nginx(daemon.path)).start()
        things.add(site)
        remember_log(request.node, "site", site.log)
        token = new_token(ctl, scopes="sessions,users")
        daemon.secrets.add(token.removeprefix("ost_"))
        site.start(token, f"{programs.url}/session/api", {name: adapted.PASSWORD for name in names})
        server = things.add(with_sign_in(daemon, site))
        made = Web("nginx", "own-login", database, daemon, server.start(), site)
        made.ctl = ctl
        return made

    yield behind
    things.close()
    for database in databases:
        database.discard()


@pytest.fixture(name="site", params=adapted.MAKE)
def fixture_site(request, tables):
    return adapted.Django(tables) if request.param == "django" else adapted.MAKE[request.param]()


def send_form(person, name, form=None, **more):
    """The sign-in's form, as it came; without, one that is asked for."""
    field = person.site.application.token_field
    form = form or person.get(SIGN_IN)
    assert form.status_code == 200, form.headers
    token = re.search(f'name="{field}" value="([^"]*)"', form.text)[1]
    return person.post(SIGN_IN, {field: token, "username": name, "password": adapted.PASSWORD, **more})


def sign_in(person, name, path="/members/", status=(302, 303), **more):
    """As people do it: the page that they want, the form that they are led to, and back."""
    answer = person.get(path)
    assert answer.status_code == 303, answer.text
    assert answer.headers["Location"].startswith(f"{SIGN_IN}?next={path}&reason="), answer.headers["Location"]
    answer = send_form(person, name, person.get(answer.headers["Location"]), **more)
    assert answer.status_code in status, f"{answer.status_code} {answer.text}"
    return answer


def sign_out(person):
    """Django wants the token of a form."""
    cookie = next((one.value for one in person.http.cookies if one.name == "csrftoken"), "")
    return person.post("/accounts/logout/", {person.site.application.token_field: cookie})


def user_at(person, path="/members/"):
    answer = person.get(path)
    return answer.json()["user"] if answer.status_code == 200 else None


def events(web, name):
    return [row[0] for row in web.database.query("SELECT name FROM events WHERE username = %s ORDER BY id", name)]


def test_sign_in_and_sign_out_are_those_of_the_rule(site, behind, browse):
    web = behind(site)
    first, second = browse(web, program=False), browse(web, program=False)
    assert user_at(first, OPEN) == ""
    sign_in(first, "member0")
    # The account was made, for the daemon had none.
    assert user_at(first) == user_at(first, OPEN) == "member0"
    sign_in(second, "member0")
    assert events(web, "member0").count("session_displaced") == 1
    # The other browser is out at once: led to the form, and nobody at the open page, although the site's session is there.
    assert user_at(first, OPEN) == ""
    assert user_at(first) is None
    assert user_at(second) == "member0"
    sign_in(first, "member0")
    assert (user_at(first), user_at(second), user_at(second, OPEN)) == ("member0", None, "")
    assert sign_out(first).status_code in (302, 303)
    assert events(web, "member0")[-1] == "user_logged_out"
    assert (user_at(first), user_at(first, OPEN)) == (None, "")
    assert web.database.sessions("member0") == []


def test_signing_in_again_in_the_same_browser_displaces_nobody(site, behind, browse):
    web = behind(site, {"session.on_limit": "refuse"})
    person = browse(web, program=False)
    sign_in(person, "member0")
    # The site has forgotten it, the browser has not.
    for name in ("sessionid", "connect.sid", "PHPSESSID"):
        if name in person.http.cookies:
            del person.http.cookies[name]
    answer = send_form(person, "member0")
    assert answer.status_code in (302, 303), answer.text
    assert user_at(person) == "member0"
    assert "session_displaced" not in events(web, "member0")


def test_who_is_refused_is_not_signed_in_to_the_site_either(site, behind, browse):
    web = behind(site, {"session.on_limit": "refuse"})
    first, second = browse(web, program=False), browse(web, program=False)
    sign_in(first, "member0")
    answer = sign_in(second, "member0", status=(409,))
    assert "elsewhere" in answer.text or "signed in" in answer.text, answer.text
    assert (user_at(second), user_at(second, OPEN)) == (None, "")
    assert user_at(first) == "member0"


def test_field_of_the_form_takes_over(site, behind, browse):
    web = behind(site, {"session.on_limit": "ask"})
    first, second = browse(web, program=False), browse(web, program=False)
    sign_in(first, "member0")
    sign_in(second, "member0", status=(409,))
    sign_in(second, "member0", take_over="1")
    assert (user_at(first), user_at(second)) == (None, "member0")


def test_nobody_signs_in_while_the_daemon_is_away(site, behind, browse):
    web = behind(site)
    person = browse(web, program=False, permits_5xx=True)
    web.ctl.run("token", "revoke", "shop")
    answer = send_form(person, "member0")
    assert answer.status_code == 503, answer.text
    assert (user_at(person), user_at(person, OPEN)) == (None, "")


@pytest.mark.parametrize("name", ["express", "php"])
def test_session_from_before_the_change_is_nobody_s(name, behind, browse):
    web = behind(adapted.MAKE[name]())
    person = browse(web, program=False)
    assert user_at(person, OPEN + "before") == "member0"
    assert user_at(person, OPEN) == ""
    assert user_at(person) is None


def test_no_two_users_of_the_site_have_one_account(tables, behind, browse):
    """Whatever their names are: names of the daemon are the same whatever their case, and the adapter makes some itself."""
    web = behind(adapted.Django(tables), names=[*MEMBERS, *OTHERS])
    people = {name: browse(web, program=False) for name in ("victim@shop.example", "ada", "User-7", "ADA", "user-5", "member0")}
    for name, person in people.items():
        sign_in(person, name)
    for name, person in people.items():
        assert user_at(person) == name
    for name in ("ada", "ADA"):
        sign_out(people[name])
        sign_in(people[name], name)
    assert [user_at(person) for person in people.values()] == list(people)
    assert web.database.value("SELECT count(*) FROM events WHERE name = 'session_displaced'") == 0
    numbers = [int(one) for (one,) in web.database.query("SELECT external_id FROM users WHERE external_id IS NOT NULL")]
    assert len(numbers) == len(set(numbers)) == len(people)


def test_session_of_the_day_before_is_nobody_s(tables, behind, browse):
    """Of the site's own, from before it came behind the daemon."""
    web = behind(adapted.Django(tables))
    person = browse(web, program=False)
    sign_in(person, "member0")
    for name in [cookie.name for cookie in person.http.cookies if "onesession" in cookie.name]:
        del person.http.cookies[name]
    assert user_at(person, OPEN) == ""
    sign_in(person, "member0")
    assert user_at(person) == "member0"


def lines_of(heading):
    """How many lines of code the manual of the adapters has an application add."""
    text = (adapted.ADAPTERS / "README.md").read_text()
    section = re.search(rf"(?ms)^## {heading}\n(.*?)(?=^## |\Z)", text)[1]
    return [line for block in re.findall(r"(?ms)^```\w+\n(.*?)^```", section) for line in block.splitlines()]


@pytest.mark.parametrize("heading", ["Django", "PHP", "Express", "curl"])
def test_application_adds_ten_lines_at_most(heading):
    assert 0 < len(lines_of(heading)) <= 10


class Shell(adapted.AdaptedSite):
    """Not a site: a shell that has read the functions, on this machine."""

    port = 9

    def start(self, token, api, accounts):
        self.token_file.write_text(token)
        self.env = {**os.environ, "ONESESSION_TOKEN_FILE": str(self.token_file), "ONESESSION_API": api}
        self.log.touch()
        return self

    def run(self, function, *words):
        command = ["sh", "-c", '. "$0"; "$@"', adapted.ADAPTERS / "curl/onesession.sh", function, *words]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=120, check=False)


def test_script_gives_no_key_to_a_program_as_an_argument(behind, tmp_path):
    """Where ps(1) would show it."""
    shell = Shell()
    web = behind(shell)
    for name in ("curl", "jq", "printf"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >> {tmp_path}/arguments\nPATH={os.environ['PATH']} exec {name} \"$@\"\n")
        program.chmod(0o755)
    shell.env["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
    secret = "S" * 43
    done = shell.run("onesession_sign_in", "member0", "192.0.2.7", "x", f"onesession={secret}; sessionid={secret}", "http")
    assert done.returncode == 0, done.stderr
    web.secrets.update(re.findall("=([A-Za-z0-9_-]{43});", done.stdout))
    arguments = (tmp_path / "arguments").read_text()
    assert "member0" in arguments
    assert secret not in arguments
    assert shell.token_file.read_text().strip() not in arguments


def test_script_signs_in_and_out(behind, browse):
    shell = Shell()
    web = behind(shell, {"session.on_limit": "refuse"})

    def sign_in_by_script(cookies, name="dot.dash o'neill"):
        return shell.run("onesession_sign_in", name, "192.0.2.7", 'Mozilla/5.0 "quoted" \\ $(false)', cookies, "http")

    first = sign_in_by_script("")
    assert first.returncode == 0, first.stderr
    fields = re.findall("^Set-Cookie: ([^;]*); Path=/; .*$", first.stdout, re.M)
    assert [field.partition("=")[0] for field in fields] == ["onesession", "onesession_device"]
    web.secrets.update(field.partition("=")[2] for field in fields)
    assert web.database.value("SELECT user_agent FROM sessions") == 'Mozilla/5.0 "quoted" \\ $(false)'
    # Another browser is refused, with the reason; the same one, with its cookies or the device's alone, goes on.
    refused = sign_in_by_script("theme=dark")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "signed in" in refused.stderr or "elsewhere" in refused.stderr, refused.stderr
    again = sign_in_by_script("theme=dark; " + "; ".join(fields))
    assert again.returncode == 0, again.stderr
    fields = re.findall("^Set-Cookie: ([^;]*);", again.stdout, re.M)
    web.secrets.update(field.partition("=")[2] for field in fields)
    assert sign_in_by_script(fields[1]).returncode == 0
    # A name that there cannot be.
    unknown = sign_in_by_script("", "a@b")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "@" in unknown.stderr, unknown.stderr
    (session_id,) = web.database.sessions("dot.dash o'neill")
    assert shell.run("onesession_sign_out", session_id).returncode == 0
    assert web.database.sessions("dot.dash o'neill") == []
    assert events(web, "dot.dash o'neill")[-1] == "user_logged_out"


class Straight:
    """A site without a web server in front."""

    def __init__(self, site):
        self.url, self.application, self.secrets = f"http://127.0.0.1:{site.port}", site, set()




def test_tutorial_s_site_is_moved_over(tables, behind, browse):
    """The site that onesession began as: what its middleware gets wrong, and the same accounts after the move."""
    before = adapted.Django(tables, is_adapted=False)
    try:
        before.start("", "", {name: adapted.PASSWORD for name in MEMBERS})
        site = Straight(before)
        first, second = browse(site, program=False), browse(site, program=False)
        for person in (first, second):
            assert send_form(person, "member0").status_code == 302
        # The login by itself evicts nobody, and the last request wins, not the last login.
        assert user_at(second) == "member0"
        assert user_at(first) == "member0"
        assert user_at(second) is None
    finally:
        before.close()

    cluster = tables.cluster
    source = cluster.conninfo(tables.name, cluster.superuser)
    web = behind(adapted.Django(tables), prepare=lambda ctl: ctl.run("import", "django", "--from", source))
    assert web.database.value("SELECT count(*) FROM users WHERE username LIKE 'member%%'") == len(MEMBERS)
    first, second = browse(web, program=False), browse(web, program=False)
    sign_in(first, "member0")
    sign_in(second, "member0")
    for _ in range(3):
        assert user_at(first) is None
        assert user_at(second) == "member0"
    assert web.database.value("SELECT count(*) FROM users WHERE username LIKE 'member%%'") == len(MEMBERS)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_folder_for_express_is_copied_as_its_readme_says(tmp_path):
    shutil.copytree(adapted.ADAPTERS / "express", tmp_path / "onesession-express")
    app = tmp_path / "app.js"
    app.write_text('const { onesession } = require("./onesession-express"); console.log(typeof onesession);')
    assert subprocess.run(["node", app], capture_output=True, text=True, timeout=60, check=False).stdout == "function\n"

"""
Sites in other languages that sign people in themselves, behind the configuration for such sites and with the project's
adapters: what they tell the daemon, and that who is nobody to the guard is nobody to them.
"""

import json
import os
import re
import shutil
import subprocess

import pytest
import requests

from support import adapted
from support.adapted import MEMBERS, OPEN, SIGN_IN, ask_straight
from support.api import new_token
from support.webservers import make_certificate

# The adapter calls the third of them, who has number 5, what the fourth is called.
OTHERS = ["ada", "ADA", "victim@shop.example", "user-5", "User-7"]


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


def change_password(person, page="password"):
    return person.post(f"/accounts/{page}/", {})


@pytest.mark.parametrize("limit", ["refuse", "ask", "displace"])
def test_password_that_is_changed_ends_the_sessions_elsewhere(site, behind, browse, limit):
    web = behind(site, {"session.on_limit": limit, "session.max_sessions": 2})
    first, second, other = (browse(web, program=False) for _ in range(3))
    for person, name in ((first, "member0"), (second, "member0"), (other, "member1")):
        sign_in(person, name)
    assert change_password(first).status_code in (302, 303)
    assert [user_at(person) for person in (first, second, other)] == ["member0", None, "member1"]
    assert "reason=password_changed" in first.site.database.value("SELECT 'reason=' || reason FROM ended_sessions LIMIT 1")
    assert (user_at(first, OPEN), user_at(second, OPEN)) == ("member0", "")
    sign_in(second, "member0")
    assert [user_at(person) for person in (first, second)] == ["member0", "member0"]
    assert "session_displaced" not in events(web, "member0")


def shown_straight(web, person, session_id):
    answer = ask_straight(web, person, session_id)
    return answer.json()["user"] if answer.status_code == 200 else ""


def test_request_that_was_under_way_when_the_password_was_given_again_signs_nobody_out(site, behind, browse):
    web = behind(site)
    person, other = browse(web, program=False), browse(web, program=False)
    sign_in(person, "member0")
    sign_in(other, "member1")
    (before,), (others,) = web.database.sessions("member0"), web.database.sessions("member1")
    assert change_password(person, "confirm").status_code in (302, 303)
    assert web.database.sessions("member0") != [before]
    assert shown_straight(web, person, before) in ("member0", "")
    assert user_at(person) == "member0"
    # Somebody else's is nobody's, and takes nothing away either.
    assert shown_straight(web, person, others) == ""
    assert (user_at(person), user_at(other)) == ("member0", "member1")


@pytest.mark.parametrize("mode", ["closed port", "hang up", "error page", "silence"])
def test_site_goes_on_without_an_answer_of_the_api(site, behind, browse, between, mode):
    """Nobody signs in and all sign out; that a password's change has not been told is no success."""
    web = behind(site, {"session.max_sessions": 3}, between=between)
    first, second, third = (browse(web, program=False, permits_5xx=True) for _ in range(3))
    sign_in(first, "member0")
    sign_in(third, "member0")
    form = second.get(SIGN_IN)
    if mode == "closed port":
        between.made[0].go_away()
    between.made[0].mode = mode
    answer = send_form(second, "member0", form)
    assert (answer.status_code, answer.headers.get("Site-User", "")) == (503, ""), answer.text
    assert "Signing in is not possible" in answer.text
    # To be silent once takes all the time that there is.
    assert mode != "silence" or between.made[0].calls.count("silence") == 1
    assert (user_at(second), user_at(second, OPEN)) == (None, "")
    assert change_password(third).status_code == 503
    # The guard does not know yet, the site does.
    assert sign_out(first).status_code in (302, 303)
    assert len(web.database.sessions("member0")) == 2
    assert not user_at(first) and user_at(first, OPEN) == ""


@pytest.mark.parametrize("status, scopes", [("401", None), ("403", "users,events")])
def test_what_is_wrong_with_the_token_is_not_for_people(site, behind, browse, status, scopes):
    web = behind(site)
    if scopes is None:
        web.ctl.run("token", "revoke", "shop")
    else:
        other = new_token(web.ctl, name="other", scopes=scopes)
        web.secrets.add(other.removeprefix("ost_"))
        site.token_file.write_text(other + "\n")
    person = browse(web, program=False, permits_5xx=True)
    answer = send_form(person, "member0")
    assert (answer.status_code, answer.headers.get("Site-User", "")) == (503, "")
    assert "Signing in is not possible" in answer.text
    said = re.sub("<form.*", "", answer.text, flags=re.S).lower()
    assert "scope" not in said and "bearer" not in said
    assert status in site.log.read_text()


@pytest.mark.parametrize("name", ["onesession", "onesession_device", "__Secure-onesession_device"])
def test_cookie_that_is_none_of_onesession_s_keeps_nobody_out(site, behind, browse, name):
    """Another site of the domain can have set it."""
    web = behind(site)
    person = browse(web, program=False)
    # As each of them reads a NUL.
    person.http.cookies.set(name, r'"\000"' if isinstance(site, adapted.Django) else "%00", path="/")
    sign_in(person, "member0")
    assert user_at(person) == "member0"


def test_sign_in_is_one_call(site, behind, browse, between):
    """But for the first of all."""
    web = behind(site, between=between)
    calls = between.made[0].calls
    for expected in (["POST", "PUT", "POST"], ["POST"]):
        calls.clear()
        sign_in(browse(web, program=False), "member0")
        assert calls == expected


def test_form_is_sent_again_after_a_refusal(behind, browse):
    """What else is in PHP's session stays, such as the form's token."""
    web = behind(adapted.Php(), {"session.on_limit": "ask"})
    first, second = browse(web, program=False), browse(web, program=False)
    sign_in(first, "member0")
    form = second.get(SIGN_IN)
    refused = send_form(second, "member0", form)
    assert (refused.status_code, refused.headers["Site-User"]) == (409, "")
    assert send_form(second, "member0", form, take_over="1").status_code == 303
    assert (user_at(first), user_at(second)) == (None, "member0")


def test_cookie_that_php_makes_an_array_is_none(behind, browse):
    web = behind(adapted.Php())
    person = browse(web, program=False)
    for name in ("onesession[x]", "__Host-onesession[]"):
        person.http.cookies.set(name, "1", path="/", domain="127.0.0.1")
    sign_in(person, "member0")
    assert user_at(person) == "member0"


def test_site_behind_https_gets_cookies_for_that_and_the_browser_s_address(site, behind, browse, tmp_path):
    certificate = make_certificate(tmp_path)
    web = behind(site, certificate=certificate)
    person = browse(web, program=False)
    person.http.verify = str(certificate)
    assert web.url.startswith("https:")
    form = person.get(SIGN_IN)
    field = web.application.token_field
    token = re.search(f'name="{field}" value="([^"]*)"', form.text)[1]
    answer = person.post(
        SIGN_IN, {field: token, "username": "member0", "password": adapted.PASSWORD},
        headers={"X-Forwarded-For": "203.0.113.9", "Referer": web.url + SIGN_IN},
    )
    assert answer.status_code in (302, 303), answer.text
    cookies = {cookie.name: cookie for cookie in person.http.cookies}
    assert cookies["__Host-onesession"].secure and cookies["__Secure-onesession_device"].secure
    web.secrets.update(cookies[name].value for name in ("__Host-onesession", "__Secure-onesession_device"))
    assert user_at(person) == "member0"
    # The web server's word, and not the client's.
    assert web.database.query("SELECT host(ip) FROM sessions") == [("127.0.0.1",)]


def test_php_takes_the_address_that_the_web_server_tells(behind, browse):
    web = behind(adapted.Php())
    person = browse(web, program=False)
    form = person.get(SIGN_IN)
    token = re.search('name="csrf" value="([^"]*)"', form.text)[1]
    answer = requests.post(
        f"http://127.0.0.1:{web.application.port}{SIGN_IN}", {"csrf": token, "username": "member0", "password": adapted.PASSWORD},
        headers={"Session-Reason": "unauthenticated", "X-Forwarded-For": "203.0.113.9, 192.0.2.7", "X-Forwarded-Proto": "https"},
        cookies={cookie.name: cookie.value for cookie in person.http.cookies}, allow_redirects=False, timeout=30,
    )
    assert answer.status_code == 303, answer.text
    web.secrets.update(re.findall("onesession(?:_device)?=([^;]*)", answer.headers["Set-Cookie"]))
    assert "__Host-onesession=" in answer.headers["Set-Cookie"]
    assert web.database.query("SELECT host(ip) FROM sessions") == [("192.0.2.7",)]


def test_php_behind_fastcgi_goes_by_its_parameters(behind):
    """As nginx sends them for a person who is not signed in; X-Forwarded-For is the client's own then."""
    shell = Shell()
    web = behind(shell)
    server = {
        "SESSION_ID": "", "HTTP_SESSION_ID": "", "SESSION_REASON": "unauthenticated", "HTTP_SESSION_REASON": "",
        "HTTPS": "on", "REMOTE_ADDR": "192.0.2.7", "HTTP_X_FORWARDED_FOR": "203.0.113.9", "HTTP_X_FORWARDED_PROTO": "http",
    }
    program = """require $argv[1]; $_SERVER = json_decode($argv[2], true); $_SESSION = [];
        $answer = (new Onesession($argv[3], $argv[4]))->signIn('member0'); echo implode("\n", $answer['cookies']);"""
    command = ["php", "-r", program, "--", adapted.ADAPTERS / "php/onesession.php", json.dumps(server),
               shell.env["ONESESSION_API"], shell.token_file]
    done = subprocess.run(command, env=shell.env, capture_output=True, text=True, timeout=120, check=True)
    web.secrets.update(re.findall("onesession(?:_device)?=([^;]*)", done.stdout))
    assert done.stdout.startswith("__Host-onesession="), done.stdout
    assert web.database.query("SELECT host(ip) FROM sessions") == [("192.0.2.7",)]


LOOKALIKES = [("ada2", "ada²"), ("bob", "ｂｏｂ"), ("carl", "CARL")]


@pytest.mark.parametrize("kind", ["express", "php"])
def test_name_that_is_only_written_alike_is_not_let_in(kind, behind, browse):
    """The site has two people; onesession has one account, and it is the one's who has that name."""
    web = behind(adapted.MAKE[kind](), names=[name for pair in LOOKALIKES for name in pair])
    for own, other in LOOKALIKES:
        victim, thief = browse(web, program=False), browse(web, program=False)
        sign_in(victim, own)
        sign_in(thief, other, status=(409,))
        assert (user_at(victim), user_at(thief), user_at(thief, OPEN)) == (own, None, "")
        assert events(web, own).count("user_logged_in") == 1


@pytest.mark.parametrize("kind", ["express", "php"])
def test_administrator_s_account_is_nobody_s_by_its_name(kind, behind, browse):
    web = behind(adapted.MAKE[kind](), names=["alice", "member0"])
    web.database.query("UPDATE users SET is_admin = true WHERE username = 'alice'")
    person = browse(web, program=False)
    sign_in(person, "alice", status=(409,))
    assert user_at(person) is None and web.database.sessions("alice") == []


def test_php_deletes_whom_the_application_deletes_and_no_administrator(behind, browse):
    web = behind(adapted.Php())
    people = {name: browse(web, program=False) for name in ("member0", "member1")}
    for name, person in people.items():
        sign_in(person, name)
    web.database.query("UPDATE users SET is_admin = true WHERE username = 'member1'")
    for person in people.values():
        assert person.post("/accounts/delete/", {}).status_code == 303
    assert web.database.query("SELECT username FROM users WHERE username LIKE 'member%'") == [("member1",)]
    assert web.database.sessions("member1") != [] and user_at(people["member0"]) is None


class DjangoCalls(adapted.AdaptedSite):
    """Not a site: the adapter's functions, for users who are a number and a name."""

    port = 9
    program = """
import json, sys
from django.conf import settings
settings.configure(ONESESSION=json.loads(sys.argv[1]))
import onesession

class Request:
    def __init__(self, user):
        self.user, self.session = user, {}
        self.META, self.COOKIES, self.POST = {"REMOTE_ADDR": "192.0.2.1"}, {}, {}
    def is_secure(self): return False

class User:
    def __init__(self, pk, name): self.pk, self.name = pk, name
    def get_username(self): return self.name

function, *user = json.loads(sys.argv[2])
user = User(*user)
try:
    request = Request(user if function == "enter" else User(None, ""))
    getattr(onesession, function)(request, user)
    print(json.dumps([201, request.session.get("onesession")]))
except onesession.Refused as refused:
    print(json.dumps([refused.status, refused.code]))
"""

    def start(self, token, api, accounts):
        self.token_file.write_text(token)
        self.settings = {"token_file": str(self.token_file), "api": api}
        self.log.touch()
        return self

    def call(self, *what):
        """(status, session or code)"""
        command = ["/usr/bin/python3", "-c", self.program, json.dumps(self.settings), json.dumps(what)]
        environment = {**os.environ, "PYTHONPATH": str(adapted.ADAPTERS / "django"), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def test_users_of_django_are_their_accounts_whatever_they_are_called(behind):
    django = DjangoCalls()
    web = behind(django)

    def name_of(pk, name):
        status, session = django.call("enter", pk, name)
        assert status == 201, session
        return web.database.value("SELECT username FROM users u JOIN sessions s ON s.user_id = u.id WHERE s.id = %s", session)

    def ids():
        return dict(web.database.query("SELECT external_id, username FROM users WHERE external_id IS NOT NULL"))

    uuids = [f"6f1c2b0e-0000-4000-8000-00000000000{number}" for number in (1, 2)]
    web.database.query("UPDATE users SET is_admin = true WHERE username = 'alice'")
    for (pk, name), account in {
        (1, "ben"): "ben",
        # Renamed, and another one takes the name.
        (1, "robert"): "ben",
        (2, "ben"): "user-2",
        (3, "Carol"): "Carol",
        (3, "carol"): "Carol",
        # Whoever is called like an account that is made for somebody does not get it, nor keeps it from its owner.
        (uuids[0], f"user-{uuids[1]}"): f"user-{uuids[0]}",
        (4, "ｕser-5"): "user-4",
        (uuids[1], "victim@shop.example"): f"user-{uuids[1]}",
        (5, "victim@shop.example"): "user-5",
        # An administrator's of the daemon's.
        (6, "alice"): "user-6",
        # That there cannot be, or not as they are written.
        (7, "Ångström"): "Ångström",
        (8, "Ångström"): "user-8",
        (9, "a‮b"): "user-9",
        (10, "dan‍"): "user-10",
        (11, "x" * 151): "user-11",
        (12, "."): ".",
        (14, "\u200bUSER-15"): "user-14",
        (15, "victim@shop.example"): "user-15",
        (16, " user-17"): "user-16",
        (17, "victim@shop.example"): "user-17",
        (13, ".."): "..",
    }.items():
        for _ in range(2):
            assert name_of(pk, name) == account, name
        assert ids()[str(pk)] == account
    assert len(ids()) == len({pk for pk in ids()})
    assert web.database.query("SELECT is_admin, external_id FROM users WHERE username = 'alice'") == [(True, None)]
    # Nobody's password is somebody else's, either.
    assert django.call("password_changed", 2, "ben")[0] == 201
    assert web.database.sessions("user-2") == [] and len(web.database.sessions("ben")) == 1
    assert django.call("password_changed", 99, "nobody")[0] == 201


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


@pytest.mark.parametrize("heading", ["Django", "PHP", "Laravel", "WordPress", "Express", "curl"])
def test_application_adds_ten_lines_at_most(heading):
    count = len(lines_of(heading))
    assert 0 < count <= 10
    assert re.search(rf"(?m)^\| \[{heading.lower()}/\].*\| {count} lines \|", (adapted.ADAPTERS / "README.md").read_text())


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


def test_script_ends_that_session_and_nothing_else(behind):
    shell = Shell()
    web = behind(shell)
    done = shell.run("onesession_sign_in", "member0", "192.0.2.7", "x", "", "http")
    assert done.returncode == 0, done.stderr
    web.secrets.update(re.findall("=([A-Za-z0-9_-]{43});", done.stdout))
    (session_id,) = web.database.sessions("member0")
    names = web.database.query("SELECT username FROM users ORDER BY id")
    for wrong in ("", "nonsense", "../users/bob?x=", "{../users/alice,../users/member0}?x=", f"{session_id}\n../users/bob",
                  f"../users/bob?{session_id}", f"[a-z]{session_id}", f"{session_id}\n"):
        done = shell.run("onesession_sign_out", wrong)
        assert (done.returncode, done.stdout) == (1, ""), wrong
        assert done.stderr, wrong
    assert web.database.query("SELECT username FROM users ORDER BY id") == names
    assert web.database.sessions("member0") == [session_id]
    token = shell.token_file.read_text()
    shell.token_file.write_text("ost_" + "x" * 43)
    done = shell.run("onesession_sign_out", session_id)
    assert done.returncode == 1 and "token" in done.stderr
    shell.token_file.write_text(token)
    # Once more is no error.
    for _ in range(2):
        assert shell.run("onesession_sign_out", session_id).returncode == 0
    assert web.database.sessions("member0") == []


@pytest.mark.parametrize("names", [("SESSION_ID", "HTTP_SESSION_ID"), ("HTTP_SESSION_ID", "SESSION_ID")])
def test_lines_for_scripts_sign_out_behind_fastcgi_and_http(behind, names):
    """By FastCGI nginx sends both parameters, and that of the client's own field is empty."""
    shell = Shell()
    web = behind(shell)
    done = shell.run("onesession_sign_in", "member0", "192.0.2.7", "x", "", "http")
    web.secrets.update(re.findall("=([A-Za-z0-9_-]{43});", done.stdout))
    (session_id,) = web.database.sessions("member0")
    lines = [line for line in lines_of("curl") if line.startswith((". ", "onesession_sign_out"))]
    environment = {**shell.env, names[0]: session_id, names[1]: ""}
    subprocess.run(["sh", "-ec", "\n".join(lines)], cwd=adapted.ADAPTERS / "curl", env=environment, timeout=120, check=True)
    assert web.database.sessions("member0") == []


@pytest.mark.parametrize("mode", ["closed port", "hang up", "error page", "silence"])
def test_script_says_that_there_was_no_answer(behind, between, mode):
    shell = Shell()
    web = behind(shell, between=between)
    if mode == "closed port":
        between.made[0].go_away()
    between.made[0].mode = mode
    for words in (("sign_in", "member0", "192.0.2.7", "x", ""), ("sign_out", "6f1c2b0e-0000-4000-8000-000000000001"),
                  ("password_changed", "member0")):
        done = shell.run(f"onesession_{words[0]}", *words[1:])
        assert (done.returncode, done.stdout) == (1, ""), words
        assert "onesession does not answer" in done.stderr, words
    assert web.database.sessions() == []


def test_script_goes_by_the_name_as_it_is_written(behind):
    shell = Shell()
    web = behind(shell)

    def sign_in_by_script(name):
        done = shell.run("onesession_sign_in", name, "192.0.2.7", "x", "", "http")
        web.secrets.update(re.findall("=([A-Za-z0-9_-]{43});", done.stdout))
        return done.returncode

    assert sign_in_by_script("ada2") == 0
    web.database.query("UPDATE users SET is_admin = true WHERE username = 'alice'")
    for name in ("ada²", "ADA2", "alice"):
        assert sign_in_by_script(name) == 1
        assert shell.run("onesession_password_changed", name).returncode == 0
    assert len(web.database.sessions("ada2")) == 1
    assert shell.run("onesession_password_changed", "ada2").returncode == 0
    assert web.database.sessions("ada2") == []
    assert web.database.value("SELECT DISTINCT reason FROM ended_sessions") == "password_changed"
    assert shell.run("onesession_password_changed", "nobody").returncode == 0


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

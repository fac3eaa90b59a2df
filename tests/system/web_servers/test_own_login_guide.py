"""docs/own-login.md: its configuration, commands and code, as they stand there, for an application that is so made."""

import configparser
import os
import re
import subprocess

import pytest

from support.commands import run
from support.nginx import Nginx
from support.own_login import COOKIE, PASSED, PASSWORD, OwnLogin
from support.processes import ROOT
from support.status import reload_and_wait

TEXT = (ROOT / "docs/own-login.md").read_text()
HOST = "https://shop.example"


def blocks(language):
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", TEXT)


def settings_of(block):
    parser = configparser.ConfigParser()
    parser.read_string(block)
    return {f"{section}.{key}": value for section in parser.sections() for key, value in parser.items(section)}


def settings_shown():
    settings = settings_of(blocks("ini")[0])
    settings.pop("database.conninfo")
    return settings


class Shop(OwnLogin):
    """Calls what the document shows."""

    functions = None

    def user_of(self, session, headers):
        return self.functions["user_of"](session, headers.get("Session-Id"))

    def tell(self, name, told, headers):
        if self.has_key:
            answer = self.functions["call"]("POST", "/sessions", {"user": name, "secure": False, **told})
            return answer["session"]["id"], answer["cookies"]
        cookies = {cookie: told[member] for member, cookie in PASSED.items()}
        return self.functions["signed_in"](name, headers["X-Forwarded-For"], headers["User-Agent"], cookies, False)

    def tell_end(self, session_id):
        self.functions["signed_out"](session_id)


class Guide:
    """What was set up by it."""

    def __init__(self, database, folder, ctl, environment):
        self.database, self.folder, self.environment = database, folder, environment
        self.ctl = ctl
        self.places = {
            "/usr/share/doc/onesession/examples/nginx": f"{folder}/examples",
            "/etc/nginx/snippets/": f"{folder}/snippets/",
            "/etc/nginx/conf.d/": f"{folder}/conf.d/",
            "/etc/shop.token": f"{folder}/shop.token",
        }

    def here(self, text, url=None):
        for written, actual in self.places.items():
            text = text.replace(written, actual)
        return text.replace(HOST, url) if url else text

    def shell(self, text, url=None):
        """The exit status has to be 0; returns what was printed."""
        done = subprocess.run(
            ["bash", "-e", "-c", self.here(text, url)], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def put_in_front_of(self, shop, daemon, closing):
        """The web server and the token, by the commands that are shown; and the code in the application."""
        _, copy, adapt, token, *_ = blocks("sh")
        for step in (copy, adapt, token):
            self.shell(step)
        secret = (self.folder / "shop.token").read_text().strip()
        daemon.secrets.add(secret.removeprefix("ost_"))
        nginx = closing.add(InstalledNginx(self, daemon, shop)).start()
        nginx.secrets, nginx.database = daemon.secrets, self.database
        shop.functions = {}
        exec(compile(self.here(blocks("python")[0], nginx.url), "own-login.md", "exec"), shop.functions)
        return nginx


@pytest.fixture
def guide(database, ctl, tmp_path, monkeypatch):
    # For the code, which runs in this process.
    monkeypatch.setenv("no_proxy", "*")
    for name in ("snippets", "conf.d", "bin"):
        (tmp_path / name).mkdir()
    (tmp_path / "examples").symlink_to(ROOT / "conf/nginx")
    program = tmp_path / "bin/onesessionctl"
    program.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in ctl.command()) + ' "$@"\n')
    program.chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    return Guide(database, tmp_path, ctl, {**os.environ, "PATH": path, "no_proxy": "*"})


class InstalledNginx(Nginx):
    """With the files that the commands have put there, but for the names of sockets and ports."""

    def __init__(self, guide, daemon, application):
        super().__init__(daemon.path, "own-login.conf")
        self.guide, self.application = guide, application

    def _write_configuration(self, name):
        super()._write_configuration(name)
        snippets, sites = self.guide.folder / "snippets", self.guide.folder / "conf.d"
        changes = {
            "unix:/run/onesession/onesession.sock;": f"unix:{self.daemon_address};",
            "\tlisten 80;": f"\tlisten 127.0.0.1:{self.port} default_server;",
            "/etc/nginx/snippets/onesession.conf": f"{self.folder}/onesession.conf",
            "http://127.0.0.1:8000;": f"http://127.0.0.1:{self.application.port};",
        }
        for source, name in (
            (snippets / "onesession.conf", "onesession.conf"),
            (sites / "onesession-places.conf", "onesession-places.conf"),
            (sites / "own-login.conf", "site.conf"),
        ):
            text = source.read_text()
            for old, new in changes.items():
                text = text.replace(old, new)
            (self.folder / name).write_text(text)


def form_token(answer):
    return re.search('name="token" value="([^"]*)"', answer.text)[1]


def sign_in(person, name, path="/orders"):
    way = person.get(path).headers["Location"].removeprefix(person.site.url)
    token = form_token(person.get(way))
    assert person.post(way, {"token": token, "username": name, "password": PASSWORD}).status_code == 303
    assert f"user={name}" in person.get(path).text
    return way


def test_application_is_behind_onesession_after_these_steps(guide, new_daemon, closing, browse, monkeypatch):
    _, key_from, bearer = map(settings_of, blocks("ini"))
    assert bearer == {"session.bearer": "on"}
    assert key_from == {"session.key_from": f"cookie {COOKIE}"}
    check, _, _, _, accounts, by_address, see = blocks("sh")
    assert check == "onesessiond -t\n"

    daemon = new_daemon(settings_shown())
    said = run(*daemon.command("-t")[1:])
    assert said.returncode == 0
    # But for one that is of this test: nobody has said whom the daemon is to become.
    assert [line for line in said.stdout.splitlines() if line.startswith("warning") and "server.user" not in line] == []
    daemon.start()

    shop = closing.add(Shop("cookie", False))
    nginx = guide.put_in_front_of(shop, daemon, closing)
    assert os.stat(guide.folder / "shop.token").st_mode & 0o777 == 0o600
    assert "server_name shop.example" in (nginx.folder / "site.conf").read_text()

    # The accounts, by both ways.
    shop.functions["account"]("grace+hopper")
    shop.functions["account"]("grace hopper")
    setup, account = accounts.split("\n", 2)[:2], accounts.splitlines()[-1]
    setup = "\n".join(setup) + "\n"
    assert '"username": "ada"' in guide.shell(setup + account, nginx.url).replace('":"', '": "')
    shop.functions["account"]("ada")
    assert '"username":"user-17"' in guide.shell(setup + by_address, nginx.url).replace(": ", ":")
    with pytest.raises(shop.functions["Refused"], match="cannot have an @") as refused:
        shop.functions["account"]("ada@example.org")
    assert refused.value.status == 400

    led, about, listed, told = see.splitlines()
    assert guide.shell(led, nginx.url).strip().split(": ")[1] == "/login?next=/orders&reason=unauthenticated"
    assert guide.shell(about, nginx.url) == "200\n"

    first, second = browse(nginx, program=False), browse(nginx, program=False)
    sign_in(first, "ada")
    assert guide.shell(setup + listed, nginx.url).count('"id"') == 1
    assert "user_logged_in" in guide.shell(told)
    assert sign_in(second, "ada").endswith("reason=unauthenticated")
    assert first.get("/orders").headers["Location"].removeprefix(nginx.url) == "/login?next=/orders&reason=displaced"
    assert "session_displaced" in guide.shell(told)
    # Signing in again in the same browser displaces nobody.
    shop.sessions.clear()
    answer = second.get("/login?next=/orders")
    second.post("/login?next=/orders", {"token": form_token(answer), "username": "ada", "password": PASSWORD})
    assert guide.shell(told).count("session_displaced") == 1
    assert second.get("/orders").status_code == 200
    # Who is called alike is nobody of theirs.
    for name in ("ADA", "\uff41da"):
        with pytest.raises(shop.functions["Refused"]) as refused:
            shop.functions["signed_in"](name, "192.0.2.1", "x", {}, False)
        assert (refused.value.status, refused.value.code) == (409, "duplicate")
        shop.functions["password_changed"](name)
    # Nor does a sign-out of what has ended fail.
    shop.functions["signed_out"]("00000000-0000-0000-0000-000000000000")
    assert second.get("/orders").status_code == 200
    # Those who are elsewhere are told why.
    shop.functions["password_changed"]("ada")
    assert second.get("/orders").headers["Location"].removeprefix(nginx.url) == "/login?next=/orders&reason=password_changed"
    # Nobody has signed in as this one yet.
    shop.functions["password_changed"]("nobody")
    sign_in(second, "ada")
    assert second.post("/logout").status_code == 303
    assert guide.shell(told).count("user_logged_out")
    assert guide.database.sessions("ada") == []

    # What the form does when the call is refused, and with the tick.
    monkeypatch.setitem(shop.functions, "password_is_right", lambda name, password: True)
    monkeypatch.setitem(shop.functions, "show_form", lambda text, with_tick=False: (text, with_tick))
    monkeypatch.setitem(shop.functions, "begin_session", lambda session, cookies: (session, cookies))
    exec(compile(blocks("python")[1], "own-login.md", "exec"), shop.functions)
    daemon.settings["session.on_limit"] = "ask"
    daemon.command()
    reload_and_wait(daemon)
    browser = ("192.0.2.1", "x", {}, False)
    assert len(shop.functions["try_to_sign_in"]("ada", "", {}, browser)) == 2
    assert shop.functions["try_to_sign_in"]("ada", "", {}, browser) == ("This account is signed in elsewhere.", True)
    session, cookies = shop.functions["try_to_sign_in"]("ada", "", {"take_over": "yes"}, browser)
    assert cookies[0].startswith("onesession=")
    assert guide.database.sessions("ada") == [session["onesession"]]
    assert session["user"] == "ada"

    # No tick where it changes nothing, and nothing of what is wrong with the token.
    daemon.settings["session.on_limit"] = "refuse"
    daemon.command()
    reload_and_wait(daemon)
    assert shop.functions["try_to_sign_in"]("ada", "", {}, browser) == ("This account is signed in elsewhere.", False)
    token, shop.functions["TOKEN"] = shop.functions["TOKEN"], "ost_" + 43 * "A"
    assert shop.functions["try_to_sign_in"]("ada", "", {}, browser)[0].startswith("The sign-in is not available.")
    shop.functions["TOKEN"] = token
    daemon.settings["session.on_limit"] = "ask"

    # A client with a token.
    daemon.settings["session.bearer"] = "on"
    daemon.command()
    reload_and_wait(daemon)
    tokens = [None]
    for _ in range(2):
        told = shop.functions["call"]("POST", "/sessions", {"user": "ada", "presented": tokens[-1], "take_over": True})
        tokens.append(told["token"])
    client = browse(nginx, program=True)
    answers = [client.get("/orders", headers={"Authorization": f"Bearer {token}"}) for token in tokens[1:]]
    assert [answer.status_code for answer in answers] == [401, 200]
    assert answers[0].json()["code"] == "logged_out"
    assert (shop.seen[-1].get("Remote-User"), shop.seen[-1].get("Authorization")) == ("ada", "")


def test_cookie_has_another_name_by_the_command_that_is_shown():
    command = re.search(r"`(sed -i 's/sessionid/NAME/g')`", TEXT)[1]
    text = (ROOT / "conf/nginx/own-login.conf").read_text()
    words = ["sed", command.split("'")[1]]
    changed = subprocess.run(words, input=text, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"\(\?i:(NAME)\)|upstream_cookie_(NAME)|\"(NAME)=;", changed) == [("NAME", "", ""), ("", "NAME", ""), ("", "", "NAME")]
    assert changed.replace("NAME", "sessionid") == text


def shown_to(person, *cookies):
    """For whom the shop takes a browser that sends these, by page."""
    pages = {}
    for path in ("/orders", "/about", "/login"):
        answer = person.get(path, headers={"Cookie": "; ".join(f"{name}={value}" for name, value in cookies)})
        if answer.status_code == 303:
            location = answer.headers["Location"].removeprefix(person.site.url)
            pages[path] = "refused" if location.startswith("/login?") else f"led to {location}"
        else:
            found = re.search("user=(.*)", answer.text)
            pages[path] = found[1] if found else "form"
    return pages


def cookies_of(person):
    return {cookie.name: cookie.value for cookie in person.http.cookies}


LIVE = {"/orders": "ada", "/about": "ada", "/login": "led to /"}
NOBODY = {"/orders": "None", "/about": "None", "/login": "form"}
UNAUTHENTICATED = {**NOBODY, "/orders": "refused"}


@pytest.fixture(name="tried")
def fixture_tried(guide, new_daemon, closing, browse):
    """
    tried(has_key): a browser where ada is live, and, by whose they are, keys of sessions that the
    application has still: a former one of ada's, a friend's that was displaced, the friend's from before the day, and
    the friend's that is live elsewhere.
    """

    def tried(has_key):
        settings = settings_of(blocks("ini")[1]) if has_key else {}
        daemon = new_daemon({**settings_shown(), **settings}).start()
        shop = closing.add(Shop("cookie", has_key))
        nginx = guide.put_in_front_of(shop, daemon, closing)
        for name in ("ada", "grace"):
            shop.functions["account"](name)
        person, friend, other = (browse(nginx, program=False) for _ in range(3))
        keys = {"before": shop.begin("grace")}
        sign_in(person, "ada")
        keys["former"] = cookies_of(person)[COOKIE]
        sign_in(other, "ada")
        sign_in(person, "grace")
        keys["displaced"] = cookies_of(person)[COOKIE]
        sign_in(friend, "grace")
        keys["live"] = cookies_of(friend)[COOKIE]
        sign_in(person, "ada")
        assert {whose: shop.sessions[key]["user"] for whose, key in keys.items()} == {
            "before": "grace", "former": "ada", "displaced": "grace", "live": "grace"
        }
        return person, keys

    return tried


def test_cookie_of_the_application_that_is_not_of_who_is_live_is_nobody_s(tried):
    """Such as an old one of a friend's beside a live account of one's own, which the guard lets in."""
    person, keys = tried(has_key=False)
    cookies = cookies_of(person)
    own, guards = cookies.pop(COOKIE), list(cookies.items())
    assert "onesession" in cookies
    for whose, key in keys.items():
        assert shown_to(person, *guards, (COOKIE, key)) == NOBODY, whose
        assert shown_to(person, (COOKIE, key)) == UNAUTHENTICATED, whose
        # The own session is not ended by that.
        assert shown_to(person, *guards, (COOKIE, own)) == LIVE, whose


def test_one_cookie_that_is_sent_twice_is_of_who_is_live_or_nobody_s(tried):
    """The application reads the last; which the guard goes by is its own affair."""
    person, keys = tried(has_key=True)
    own = cookies_of(person)[COOKIE]
    assert "onesession" not in cookies_of(person)
    assert shown_to(person, (COOKIE, own)) == LIVE
    for whose, (own_first, own_last) in {
        # The daemon was never told of that one.
        "before": (NOBODY, LIVE),
        "former": (UNAUTHENTICATED, UNAUTHENTICATED),
        "displaced": (UNAUTHENTICATED, UNAUTHENTICATED),
        "live": (NOBODY, NOBODY),
    }.items():
        assert shown_to(person, (COOKIE, own), (COOKIE, keys[whose])) == own_first, whose
        assert shown_to(person, (COOKIE, keys[whose]), (COOKIE, own)) == own_last, whose
        if whose != "live":
            assert shown_to(person, (COOKIE, keys[whose])) == UNAUTHENTICATED, whose

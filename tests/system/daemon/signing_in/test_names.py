"""Names and passwords as people type and paste them, and browsers that keep no cookies."""

import base64
import hashlib
import json
import subprocess
import unicodedata

import pytest

from support.browser import Browser, form_of, problem
from support.client import JSON
from support.programs import Ctl, environment

# In one process: they share what is made for them.
pytestmark = pytest.mark.xdist_group("names")
PASSWORD = "a horse of many batteries"
LOGIN = "/session/login"

UNSEEN = {
    "space": " ",
    "tab": "\t",
    "line end": "\r\n",
    "no-break space": "\u00a0",
    "ideographic space": "\u3000",
    "narrow no-break space": "\u202f",
    "zero width space": "\u200b",
    "zero width joiner": "\u200d",
    "left-to-right mark": "\u200e",
    "word joiner": "\u2060",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "several": " \u200b\t\u00a0\u3000",
}
EACH_UNSEEN = pytest.mark.parametrize("unseen", UNSEEN.values(), ids=UNSEEN)


@pytest.fixture(name="new_site")
def new_site_that_is_kept(cluster, kept_sites):  # pylint: disable=unused-argument
    """A site takes longer to make than most of these tests take."""
    return kept_sites.new_site


# ---- Names -----------------------------------------------------------------------------------------------------------


@EACH_UNSEEN
def test_what_is_not_seen_around_a_name_makes_no_difference_at_login(shared_site, browse, unseen):
    for name in (unseen + "alice", "alice" + unseen, unseen + "ALICE" + unseen):
        assert browse(shared_site).sign_in(name)["user"]["username"] == "alice"
        browse(shared_site, program=False).sign_in(name)


LOOK_ALIKES = [
    "alice\ufe0f", "alice\U000e0100", "alice\u180b", "alice\u17b4", "alice\u3164", "alice\u115f", "alice\u2800", "ali\u034fce",
    "ali\u200cce", "\u3164", "\u2800", "\u0430lice", "\u0391lice",
]  # fmt: skip


@pytest.mark.parametrize("name", LOOK_ALIKES, ids=range(len(LOOK_ALIKES)))
def test_no_new_account_gets_a_name_that_looks_like_another_one(shared_site, name):
    refused = Ctl(shared_site.database.owner_conninfo).refused("user", "add", name, stdin=f"{PASSWORD}\n")
    assert "not seen" in refused or "look alike" in refused or "empty" in refused


@pytest.mark.parametrize("name", ["\u0430\u043b\u0438\u0441\u0430", "\u0646\u0627\u0645\u0647\u200c\u0627\u06cc", "alice-\u7231\u4e3d\u4e1d", "\u0915\u094d\u200d\u0937"])
def test_names_of_other_scripts_are_names(shared_site, name):
    Ctl(shared_site.database.owner_conninfo).run("user", "add", name, stdin=f"{PASSWORD}\n")


def test_what_is_not_seen_within_a_name_does(shared_site, browse):
    for name in ("ali ce", "ali\u200bce"):
        problem(browse(shared_site).login(name), 401, "invalid_credentials")


@pytest.mark.parametrize("name", ["", " ", "\u200b", " \t\u3000"])
def test_name_of_nothing_that_is_seen_is_nobody_s(shared_site, browse, name):
    problem(browse(shared_site).login(name), 401, "invalid_credentials")


def test_failures_count_for_the_account_however_its_name_is_typed(new_daemon):
    daemon = new_daemon({"login.attempts_per_user": 3}).start()
    statuses = []
    for name in ("alice", " alice", "alice\u200b", "\u3000alice", "alice"):
        body = json.dumps({"username": name, "password": "wrong"})
        statuses.append(daemon.ask(method="POST", path=LOGIN, headers=JSON, body=body, timeout=60).status)
    assert statuses == [401] * 3 + [429] * 2


@EACH_UNSEEN
def test_account_is_made_and_found_without_what_is_not_seen(ctl, database, unseen):
    ctl.run("user", "add", unseen + "eve" + unseen, stdin=PASSWORD + "\n")
    assert database.value("SELECT max(username) FROM users WHERE username LIKE '%%eve%%'") == "eve"
    assert ctl.json("user", "show", unseen + "eve")["username"] == "eve"
    assert "exists" in ctl.refused("user", "add", "eve" + unseen, stdin=PASSWORD + "\n")
    ctl.run("user", "rename", "eve" + unseen, unseen + "adam")
    assert ctl.json("session", "list", "--user", "adam" + unseen) == []
    assert database.value("SELECT max(username) FROM users WHERE username LIKE '%%adam%%'") == "adam"
    assert "empty" in ctl.refused("user", "rename", "adam", unseen)


@EACH_UNSEEN
def test_accounts_are_imported_without_what_is_not_seen(ctl, database, tmp_path, unseen):
    stored = database.value("SELECT password FROM users WHERE username = 'alice'")
    # A line end ends the line.
    unseen = unseen.strip("\r\n")
    (tmp_path / "hashes").write_text(f"{unseen}eve{unseen}:{stored}\n", encoding="utf-8")
    assert ctl.json("import", "htpasswd", tmp_path / "hashes")["imported"] == 1
    assert database.value("SELECT max(username) FROM users WHERE username LIKE '%%eve%%'") == "eve"
    assert ctl.json("import", "htpasswd", tmp_path / "hashes") == {"imported": 0, "existing": 1, "refused": 0}


@EACH_UNSEEN
def test_account_that_has_such_a_name_is_told_of_and_mended(site, browse, unseen):
    """Put in by another program, or by a version that left such characters where they were."""
    odd = "alice" + unseen
    site.database.query("INSERT INTO users (username, password) SELECT %s, password FROM users WHERE username = 'bob'", odd)
    assert browse(site).sign_in(odd)["user"]["username"] == "alice"
    ctl = site.ctl()
    assert ctl.json("user", "show", odd)["username"] == odd
    ctl.run("user", "disable", odd)
    assert not ctl.json("user", "show", odd)["is_active"] and ctl.json("user", "show", "alice")["is_active"]
    told = Ctl(site.database.owner_conninfo).json("migrate")
    assert (told["unusable_names"], told["unusable_count"]) == ([odd], 1)
    line = Ctl(site.database.owner_conninfo).run("migrate").splitlines()[-1]
    assert "user rename" in line and line.isprintable()
    quoted = line[line.index("$'") :]
    assert subprocess.run(["bash", "-c", f"printf %s {quoted}"], capture_output=True, check=True).stdout.decode() == odd
    tested = subprocess.run(site.daemon.command("-t"), capture_output=True, text=True, env=environment(), check=False)
    assert tested.returncode == 0 and f"warning: {line.removeprefix('Beware: ')}" in tested.stdout
    ctl.run("user", "rename", odd, "alicia")
    ctl.run("user", "enable", "alicia")
    assert browse(site).login("alicia", site.database.password).status_code == 200
    assert Ctl(site.database.owner_conninfo).json("migrate")["unusable_names"] == []


def test_names_that_nobody_can_sign_in_by_are_counted_and_others_are_not(database):
    owner = Ctl(database.owner_conninfo)
    names = ["Zoë Müller", "日本語", "a b", "ali\u200bce", "x]y^z\\", "o'neill", "\U0001f600", "-"]
    for name in names:
        database.query("INSERT INTO users (username, password) VALUES (%s, 'x')", name)
    assert owner.json("migrate")["unusable_names"] == []
    database.query("INSERT INTO users (username, password) SELECT 'u' || n || ' ', 'x' FROM generate_series(1, 20) AS n")
    for name in ("\x01'a\\b", "c\u0085d", "\u202ee", "\U000e0020f", "\u200b"):
        database.query("INSERT INTO users (username, password) VALUES (%s, 'x')", name)
    told = owner.json("migrate")
    assert told["unusable_count"] == 25 and told["unusable_names"] == [f"u{n} " for n in range(1, 11)]
    assert owner.run("migrate").endswith("$'u10 ' and 15 more\n")
    database.query("DELETE FROM users WHERE username LIKE 'u%%'")
    line = owner.run("migrate").splitlines()[-1]
    assert r"$'\U00000001\'a\\b', $'c\U00000085d', $'\U0000202ee', $'\U000e0020f', $'\U0000200b'" in line
    # Also those with a control character are found by it.
    assert owner.json("user", "show", "c\u0085d")["username"] == "c\u0085d"


def test_second_click_with_a_space_behind_the_name_leads_on(new_site, browse):
    site = new_site({"session.on_limit": "ask"})
    browse(site).sign_in()
    person = browse(site, program=False)
    fields = form_of(person.login("alice ").text, LOGIN)
    assert person.post(LOGIN, fields).status_code == 303
    fields["ticket"] = "A" * 43
    assert person.post(LOGIN, {**fields, "username": "alice\u00a0"}).status_code == 303


# ---- Passwords -------------------------------------------------------------------------------------------------------

COMPOSED = unicodedata.normalize("NFC", "café Ünïcödé \u1e69")
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)


def as_django_hashes(password):
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), b"seasalt", 1000)
    return f"pbkdf2_sha256$1000$seasalt${base64.b64encode(digest).decode()}"


@pytest.mark.parametrize("stored", [COMPOSED, DECOMPOSED], ids=["set composed", "set decomposed"])
@pytest.mark.parametrize("typed", [COMPOSED, DECOMPOSED], ids=["typed composed", "typed decomposed"])
def test_password_is_right_however_its_accents_were_put_together(site, browse, stored, typed):
    site.ctl().run("user", "passwd", "alice", stdin=stored + "\n")
    browser = browse(site)
    assert browser.login(password=typed).status_code == 200
    assert site.database.value("SELECT count(*) FROM events WHERE name = 'user_login_failed'") == 0
    problem(browse(site).login(password=typed + "\u0301"), 401, "invalid_credentials")
    change = {"current_password": typed, "new_password": DECOMPOSED + "!"}
    assert browser.post("/session/password", change).status_code == 200
    assert browse(site).login(password=COMPOSED + "!").status_code == 200


def test_password_of_a_hash_from_elsewhere_is_tried_as_composed_too(site, browse):
    site.database.query("UPDATE users SET password = %s WHERE username = 'alice'", as_django_hashes(COMPOSED))
    assert browse(site).login(password=DECOMPOSED).status_code == 200
    assert site.database.value("SELECT password FROM users WHERE username = 'alice'").startswith("$argon2id$")
    for typed in (DECOMPOSED, COMPOSED):
        assert browse(site).login(password=typed).status_code == 200


def test_password_that_was_stored_decomposed_by_another_program_still_works(site, browse):
    site.database.query("UPDATE users SET password = %s WHERE username = 'alice'", as_django_hashes(DECOMPOSED))
    for typed in (DECOMPOSED, COMPOSED, DECOMPOSED):
        assert browse(site).login(password=typed).status_code == 200


# ---- Cookies that the browser refuses --------------------------------------------------------------------------------


class WithoutCookies(Browser):
    """It throws away every cookie that it is given."""

    def request(self, method, path, timeout=30, **kwargs):
        answer = super().request(method, path, timeout, **kwargs)
        self.http.cookies.clear()
        return answer


def test_browser_that_keeps_no_cookies_is_told_so_and_takes_nothing_over(site, browse, closing):
    browse(site).sign_in()
    person = closing.add(WithoutCookies(site, program=False))
    for _ in range(3):
        fields = form_of(person.get(LOGIN + "?next=/page").text, LOGIN)
        fields.update(username="alice", password=site.database.password)
        answer = person.post(LOGIN, fields)
        assert answer.status_code == 400
        assert "cookie" in answer.text and site.database.password not in answer.text
        assert form_of(answer.text, LOGIN)["next"] == "/page"
        assert form_of(answer.text, LOGIN)["username"] == "alice"
        # Or whoever sends no cookies could find out, without a trace, which password is right.
        assert person.post(LOGIN, {**fields, "password": "wrong"}).status_code == 400
    assert site.database.value("SELECT count(*) FROM takeovers") == 0
    assert site.database.value("SELECT count(*) FROM events WHERE name = 'user_login_failed'") == 0
    assert len(site.database.sessions()) == 1


def test_browser_that_allows_cookies_now_gets_in_by_the_same_form(site, browse, closing):
    person = closing.add(WithoutCookies(site, program=False))
    fields = form_of(person.get(LOGIN).text, LOGIN)
    fields.update(username="alice", password=site.database.password)
    refused = person.post(LOGIN, fields)
    allowed = browse(site, program=False)
    allowed.http.cookies.set("onesession_check", "1", path="/session")
    again = form_of(refused.text, LOGIN)
    assert allowed.post(LOGIN, {**again, "password": site.database.password}).status_code == 303
    assert allowed.is_live()


def test_browser_that_keeps_cookies_is_offered_one_until_it_has_one(site, browse):
    person = browse(site, program=False)
    page = person.get(LOGIN)
    assert [cookie.name for cookie in person.http.cookies] == ["onesession_check"]
    (cookie,) = person.http.cookies
    assert cookie.path == "/session" and cookie.expires is None and "HttpOnly" in page.headers["Set-Cookie"]
    assert "Set-Cookie" not in person.get(LOGIN).headers
    fields = form_of(page.text, LOGIN)
    assert person.post(LOGIN, {**fields, "username": "alice", "password": "wrong"}).status_code == 401
    fields.update(username="alice", password=site.database.password)
    assert person.post(LOGIN, fields).status_code == 303
    assert person.is_live()
    person.logout()
    # The device's cookie shows it as well.
    assert "Set-Cookie" not in person.get(LOGIN).headers


def test_form_of_a_site_s_own_and_programs_are_not_asked_for_cookies(site, browse):
    browse(site, program=False).sign_in()
    answer = site.daemon.ask(
        method="POST",
        path=LOGIN,
        headers=JSON,
        body=json.dumps({"username": "alice", "password": site.database.password, "cookies": "needed"}),
    )
    assert answer.status == 200


def test_cookie_over_https_is_of_this_host_and_read_again(new_daemon):
    daemon = new_daemon().start()
    offered = daemon.ask(path=LOGIN, headers={"Accept": "text/html"}, HTTPS="on").all("Set-Cookie")
    assert len(offered) == 1 and offered[0].startswith("__Secure-onesession_check=1; Path=/session;")
    assert offered[0].endswith("; Secure")
    presented = {"Accept": "text/html", "Cookie": offered[0].partition(";")[0]}
    assert daemon.ask(path=LOGIN, headers=presented, HTTPS="on").all("Set-Cookie") == []


def test_operator_s_own_commands_take_names_as_they_were_pasted(database):
    ctl = Ctl(database.owner_conninfo)
    assert ctl.json("user", "disable", "\u00a0alice ")["username"] == "alice"
    assert ctl.json("events", "--user", "alice\u200b")[-1]["name"] == "user_disabled"

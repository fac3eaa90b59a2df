"""The pages, built in and of one's own: what they say, what the browser is told to permit, login.pages."""

import re
import shutil

import pytest

from support import fastcgi
from support.browser import CHROME, FIREFOX
from support.commands import refused, run
from support.processes import ROOT
from support.programs import write_conf
from support.status import reload_and_wait

PAGES = ROOT / "handlers/pages"
PERSON = {"Accept": "text/html"}


@pytest.fixture
def folder(tmp_path):
    tmp_path.chmod(0o755)
    return tmp_path


@pytest.fixture
def owned(new_daemon, folder):
    """A daemon with pages of its own, which has not been started."""
    return new_daemon({"login.pages": folder})


def page_of(daemon, path="/session/login", **kwargs):
    return daemon.ask(path=path, headers=PERSON, **kwargs).body.decode()


def title_of(text):
    return " ".join(re.search(r"<title>(.*?)</title>", text, re.S)[1].split())


def check(owned):
    """What -t says of it."""
    return run(*owned.command("-t")[1:])


# ---- Pages of one's own ----------------------------------------------------------------------------------------------


def test_file_of_the_folder_takes_the_place_of_the_built_in_one(owned, folder):
    (folder / "login.html").write_text("<title>Anmelden</title>{{>head.html}}{{prefix}} <i>{{next}}</i>\n")
    (folder / "style.css").write_text("body { color: {{red}} }\n")
    owned.start()
    text = page_of(owned, query="next=/%3Cb%3E")
    assert title_of(text) == "Anmelden"
    assert text.endswith("/session <i>/&lt;b&gt;</i>\n")
    # What it includes is the built-in one still.
    assert '<link rel="stylesheet" href="/session/style.css">' in text
    style = owned.ask(path="/session/style.css")
    assert style.body == b"body { color: {{red}} }\n"
    assert style.get("Content-Type").startswith("text/css")


def test_copy_of_all_built_in_pages_changes_nothing(owned, folder, new_daemon):
    shutil.copytree(PAGES, folder, dirs_exist_ok=True)
    owned.start()
    builtin = new_daemon().start()

    def body(daemon, path):
        """But for the form's token, which is always another one."""
        return re.sub(rb'name="form" value="[^"]+"', b"", daemon.ask(path=path, headers=PERSON).body)

    for path in ("/session/login", "/session/nothing", "/session/style.css", "/session/notice.js"):
        assert body(owned, path) == body(builtin, path)
    assert "page_unknown" not in owned.log_text()


def test_changed_pages_are_there_after_a_reload_and_not_before(owned, folder):
    (folder / "login.html").write_text("one")
    owned.start()
    (folder / "login.html").write_text("two")
    assert page_of(owned) == "one"
    reload_and_wait(owned)
    assert page_of(owned) == "two"
    (folder / "login.html").unlink()
    reload_and_wait(owned)
    assert title_of(page_of(owned)) == "Sign in"


def test_folder_is_read_at_the_start_and_not_again(owned, folder):
    (folder / "login.html").write_text("one")
    owned.start()
    shutil.rmtree(folder)
    assert page_of(owned) == "one"


BROKEN = [
    ("<p>\n{{#invalid}}\n<p>\n", ":2: {{#invalid}} is never closed"),
    ("<p>\n{{/invalid}}", ":2: {{/invalid}} closes nothing"),
    ("{{>heads.html}}", ":1: {{>heads.html}}: there is no such page"),
    ("{{{next}}}", ":1: {{{next}}"),
    ("a\n\n{{>login.html}}", ":3: {{>login.html}}: that page would be in itself"),
]


@pytest.mark.parametrize("text, what", BROKEN)
def test_broken_page_is_refused_at_the_start_with_its_line(owned, folder, text, what):
    (folder / "login.html").write_text(text)
    refused(check(owned), f"{folder}/login.html{what}")
    refused(run(*owned.command()[1:]), f"{folder}/login.html{what}")


def test_broken_page_is_refused_at_a_reload_and_the_old_ones_stay(owned, folder):
    (folder / "login.html").write_text("one")
    owned.start()
    (folder / "login.html").write_text("two {{#invalid}}")
    reload_and_wait(owned, refused=True)
    assert f"{folder}/login.html:1: {{{{#invalid}}}} is never closed" in owned.log_text()
    assert page_of(owned) == "one"
    (folder / "login.html").write_text("two")
    reload_and_wait(owned)
    assert page_of(owned) == "two"


def test_all_that_is_broken_is_told_at_once(owned, folder):
    (folder / "login.html").write_text("{{#a}}")
    (folder / "error.html").write_text("{{#b}}")
    refused(check(owned), "/login.html:1: ", "/error.html:1: ")


@pytest.mark.parametrize("wrong, what", [("none", "No such file or directory"), ("file", "Not a directory")])
def test_folder_that_cannot_be_read_is_refused(owned, folder, wrong, what):
    (folder / "file").write_text("")
    owned.settings["login.pages"] = folder / wrong
    refused(check(owned), f"login.pages: {folder}/{wrong}: {what}")


def test_page_that_is_not_text_is_refused(owned, folder):
    (folder / "login.html").write_bytes("<p>\nsch\xf6n".encode("latin-1"))
    refused(check(owned), f"{folder}/login.html:2: not UTF-8")


def test_file_of_another_name_is_a_warning(owned, folder):
    (folder / "logn.html").write_text("{{#broken}}")
    (folder / ".login.html.swp").write_text("{{#broken}}")
    done = check(owned)
    assert done.returncode == 0
    assert "logn.html" in done.stderr and "page_unknown" in done.stderr
    assert ".swp" not in done.stderr
    owned.start()
    assert title_of(page_of(owned)) == "Sign in"


def test_pages_work_below_another_prefix(new_daemon):
    daemon = new_daemon({"server.prefix": "/a/b"}).start(wait="/a/b/ready")
    text = page_of(daemon, "/a/b/login")
    assert set(re.findall(r'(?:href|src|action)="(/[^"]*)"', text)) == {"/a/b/style.css", "/a/b/notice.js", "/a/b/login"}


# ---- The site's own name, label and links ----------------------------------------------------------------------------

OWN = {
    "login.site_name": "Müller & <Söhne>",
    "login.name_label": "Member's number",
    "login.links": "Privacy policy /privacy?of=a&b, Help\thttps://help.example.org:8443/a#b,Imprint http://[2001:db8::1]/, "
    "Forgot your password? mailto:help@example.org",
}
LINKS = [
    ("/privacy?of=a&amp;b", "Privacy policy"),
    ("https://help.example.org:8443/a#b", "Help"),
    ("http://[2001:db8::1]/", "Imprint"),
    ("mailto:help@example.org", "Forgot your password?"),
]


def links_of(text):
    nav = re.search(r"<nav[^>]*>(.*?)</nav>", text, re.S)
    return re.findall(r'<a href="([^"]*)">([^<]*)</a>', nav[1]) if nav else []


@pytest.fixture
def every_page(browse):
    """every_page(site): each kind of page that people get, by its path."""

    def make(site):
        person = browse(site, program=False)
        pages = {path: person.get(path).text for path in ("/session/login", "/session/login?signed_out", "/session/nothing")}
        browse(site).sign_in()
        pages["POST /session/login"] = person.login().text
        pages["take over"] = person.login(take_over="true").text
        pages.update({path: person.get(path).text for path in ("/session/account", "/session/sessions")})
        return pages

    return make


def test_site_name_label_and_links_are_on_every_page(new_site, every_page):
    for path, text in every_page(new_site({**OWN, "session.on_limit": "ask"})).items():
        if path == "take over":
            continue
        assert title_of(text).endswith(" · Müller &amp; &lt;Söhne&gt;"), path
        assert '<a href="/">Müller &amp; &lt;Söhne&gt;</a>' in text, path
        assert links_of(text) == LINKS, path


def test_name_field_has_the_site_s_own_label(new_daemon):
    daemon = new_daemon(OWN).start()
    assert '<label for="username">Member&#39;s number</label>' in page_of(daemon)
    headers = {**PERSON, "Content-Type": "application/x-www-form-urlencoded"}
    text = daemon.ask(method="POST", path="/session/login", headers=headers, body=b"username=a&password=b").body.decode()
    assert "Member&#39;s number or password is not right" in text


def test_without_them_pages_name_no_site_and_have_no_links(shared_site):
    text = page_of(shared_site.daemon)
    assert title_of(text) == "Sign in"
    assert '<label for="username">Username</label>' in text
    assert "<nav" not in text


def test_site_name_and_links_change_with_a_reload(new_daemon):
    daemon = new_daemon({"login.site_name": "One", "login.links": "Help /help"}).start()
    daemon.settings.update({"login.site_name": "Other", "login.links": ""})
    write_conf(daemon.conf, daemon.settings)
    reload_and_wait(daemon)
    assert title_of(page_of(daemon)) == "Sign in · Other"
    assert "<nav" not in page_of(daemon)


LINKS_REFUSED = [
    "Help",
    "/help",
    "Help /help,",
    ", Help /help",
    "Help /help, Imprint",
    "Help help.html",
    "Help javascript:alert(1)",
    "Help JavaScript:alert(1)",
    "Help data:text/html,x",
    "Help vbscript:x",
    "Help //evil.example",
    "Help /\\evil.example",
    "Help \\\\evil.example",
    "Help https:evil.example",
    "Help https:/evil.example",
    "Help https:///evil.example",
    "Help https://",
    "Help https://?a",
    "Help https://example.org@evil.example/",
    "Help https://example.org\\@evil.example/",
    'Help /"onclick="x',
    "Help /<b>",
    "Help /hé",
    "Help https://hé.example/",
    "Help mailto:",
    "Help mailto:help",
    "Help ftp://example.org/",
]


@pytest.mark.parametrize("links", LINKS_REFUSED)
def test_links_that_lead_nowhere_safe_are_refused_at_the_start_with_their_line(tmp_path, links):
    path = tmp_path / "onesession.conf"
    path.write_text(f"[login]\nsite_name = x\nlinks = {links}\n")
    refused(run("-c", path, "-t"), f"{path}:3: login.links: ", " is not ")


@pytest.mark.parametrize("key, value", [("name_label", ""), ("name_label", "x" * 101), ("site_name", "x" * 101)])
def test_label_and_site_name_have_to_fit(tmp_path, key, value):
    path = tmp_path / "onesession.conf"
    path.write_text(f"[login]\n{key} = {value}\n")
    refused(run("-c", path, "-t"), f"{path}:2: login.{key}: ")


@pytest.mark.parametrize("key, value", [("site_name", "M%cller"), ("name_label", "M%cller"), ("links", "M%cller /m")])
def test_texts_that_are_not_utf_8_are_refused(tmp_path, key, value):
    path = tmp_path / "onesession.conf"
    path.write_bytes(f"[login]\n{key} = {value.replace('%c', chr(252))}\n".encode("latin-1"))
    refused(run("-c", path, "-t"), f"{path}:2: login.{key}: ")


# ---- What the browser is told ----------------------------------------------------------------------------------------


def policy_of(answer):
    words = (part.split() for part in answer.headers["Content-Security-Policy"].split(";"))
    return {name: " ".join(values) for name, *values in words}


STRICT = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def test_only_pages_with_a_script_may_run_one(shared_site, browse):
    person = browse(shared_site, program=False)
    assert policy_of(person.get("/session/nothing")) == STRICT
    person.sign_in("bob")
    with_script = {**STRICT, "script-src": "'self'", "connect-src": "'self'"}
    assert policy_of(person.get("/session/account")) == with_script
    person.logout()
    # What signing in leads to may lead on to anywhere, and Chromium holds that against the form.
    del with_script["form-action"]
    assert policy_of(person.get("/session/login")) == with_script


def test_pages_hold_nothing_inline(shared_site, browse):
    """What the policy would not let work."""
    person = browse(shared_site, program=False)
    person.sign_in()
    pages = [person.get(path).text for path in ("/session/account", "/session/sessions", "/session/nothing")]
    person.logout()
    for text in [*pages, person.get("/session/login").text]:
        assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
        assert not re.search(r"<script(?![^>]*\ssrc=)", text)


def test_script_is_a_module_that_caches_may_keep(shared_site):
    answer = shared_site.daemon.ask(path="/session/notice.js")
    assert answer.status == 200
    assert answer.get("Content-Type") == "text/javascript; charset=utf-8"
    assert answer.get("Cache-Control") == "public, max-age=3600"
    assert answer.get("Set-Cookie") is None


# ---- What they say ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path, method, headers, status, title",
    [
        ("/session/nothing", "GET", {}, 404, "There is nothing here"),
        ("/session/logout", "GET", {}, 405, "That does not work here"),
        ("/session/logout", "POST", {"Sec-Fetch-Site": "cross-site"}, 403, "This came from another site"),
        ("/session/login", "POST", {"Content-Type": "text/plain"}, 415, "That could not be read"),
        ("/session/login", "POST", {"Content-Type": "application/x-www-form-urlencoded"}, 413, "That is too much"),
    ],
)
def test_errors_say_what_happened(shared_site, path, method, headers, status, title):
    body = b"a=" + b"x" * 70000 if status == 413 else b"a=b" if method == "POST" else b""
    answer = shared_site.daemon.ask(method=method, path=path, headers={**PERSON, **headers}, body=body)
    text = answer.body.decode()
    assert answer.status == status
    assert title_of(text) == title
    assert f"<h1>{title}" in text
    # A number to quote is for what is not the person's own doing.
    assert "<code>" not in text
    assert ("than this site takes here: at most 64 KiB." in text) == (status == 413)


def test_page_of_an_absent_database_has_a_number_to_quote(new_daemon):
    daemon = new_daemon({"database.conninfo": "host=/nonexistent"}).start(wait="/session/health")
    answer = daemon.ask(
        method="POST",
        path="/session/login",
        headers={**PERSON, "Content-Type": "application/x-www-form-urlencoded"},
        body=b"username=alice&password=wrong",
    )
    text = answer.body.decode()
    assert answer.status == 503
    assert title_of(text) == "Away for a moment"
    assert re.search(r"Request <code>[0-9a-f]+</code>", text)


def test_page_says_where_the_account_was_signed_in(shared_site, browse):
    old = browse(shared_site, program=False, user_agent=CHROME)
    old.sign_in("bob")
    browse(shared_site, user_agent=FIREFOX).sign_in("bob")
    text = old.get("/session/login").text
    assert title_of(text) == "You were signed out"
    assert re.search(r"signed in on Firefox on Linux at <time [^>]+>\d\d:\d\d UTC</time>, so you were signed out here\.", text)


def test_page_says_less_when_less_is_known(shared_site, browse):
    old = browse(shared_site, program=False)
    old.sign_in("bob")
    browse(shared_site, user_agent="Something/1").sign_in("bob")
    assert "signed in on an unknown device" in old.get("/session/login").text


def test_stranger_is_told_of_no_session(shared_site):
    text = fastcgi.send(shared_site.daemon.address, path="/session/login", headers=PERSON).body.decode()
    assert title_of(text) == "Sign in"
    assert "signed out" not in text


THERE, HERE = "198.51.100.7", "2001:db8::7"
FORM = {**PERSON, "Content-Type": "application/x-www-form-urlencoded"}


def signed_in_from(site, address, agent, username="bob"):
    """A person's browser at that address: the header that it then sends."""
    body = f"username={username}&password={site.database.password}"
    headers = {**FORM, "User-Agent": agent}
    answer = site.daemon.ask(method="POST", path="/session/login", headers=headers, body=body.encode(), REMOTE_ADDR=address)
    assert answer.status == 303
    key = next(field for field in answer.all("Set-Cookie") if field.startswith("onesession=")).split(";")[0]
    return {**PERSON, "User-Agent": agent, "Cookie": key}


def words_of(text):
    """What people read of a page, in one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", text).split()).replace(" ,", ",")


def test_displaced_are_told_browser_and_address_of_both_and_how_to_change_the_password(shared_site):
    old = signed_in_from(shared_site, HERE, CHROME)
    signed_in_from(shared_site, THERE, FIREFOX)
    text = shared_site.daemon.ask(path="/session/login", headers=old).body.decode()
    assert f"There Firefox on Linux {THERE} Here Chrome on Windows {HERE}" in words_of(text)
    assert "Not you? Change your password" in words_of(text)


def test_whoever_takes_the_button_to_change_the_password_comes_to_the_form_for_it(shared_site, browse):
    old = browse(shared_site, program=False)
    old.sign_in("bob")
    browse(shared_site).sign_in("bob")
    text = old.get("/session/login?next=/page").text
    form = re.search(r'<form method="post".*?</form>', text, re.S)[0]
    (action,) = re.findall(r'<button[^>]* formaction="([^"]+)"', form)
    names = re.findall(r'<(input|button)[^>]* name="([^"]+)"(?:[^>]* value="([^"]*)")?', form)
    fields = [(name, value) for _, name, value in names]
    assert ("next", "/page") in fields
    given = {"username": "bob", "password": shared_site.database.password}
    pressed = old.post(action, [(name, given.get(name, value)) for name, value in fields])
    assert (pressed.status_code, pressed.headers["Location"]) == (303, "/session/account#password")
    assert 'id="password"' in old.get("/session/account").text


@pytest.mark.parametrize("change", ["password", "end"])
def test_other_endings_name_both_devices_too(new_site, change):
    site = new_site({"session.max_sessions": 2})
    old = signed_in_from(site, HERE, CHROME)
    new = signed_in_from(site, THERE, FIREFOX)
    body = f"current_password={site.database.password}&new_password=another good password".encode()
    path = "/session/password"
    if change == "end":
        path = f"/session/sessions/{site.database.value('SELECT id::text FROM sessions ORDER BY login_order')}/end"
    assert site.daemon.ask(method="POST", path=path, headers={**FORM, **new}, body=body, REMOTE_ADDR=THERE).status == 303
    text = site.daemon.ask(path="/session/login", headers=old).body.decode()
    assert f"There Firefox on Linux {THERE} Here Chrome on Windows {HERE}" in words_of(text)


def test_account_page_shows_the_addresses_of_earlier_sessions_and_of_what_ended_them(shared_site):
    signed_in_from(shared_site, HERE, CHROME)
    new = signed_in_from(shared_site, THERE, FIREFOX)
    words = words_of(shared_site.daemon.ask(path="/session/account", headers=new).body.decode())
    this, earlier = words.split("Earlier")
    assert f"Firefox on Linux Address {THERE}" in this
    assert f"Chrome on Windows, {HERE}" in earlier
    assert f"Signed out by a sign-in on Firefox on Linux, {THERE}" in earlier
    assert "Not you? Change your password" in earlier


def test_where_an_account_is_signed_in_is_told_with_the_address(new_site):
    for on_limit in ("ask", "refuse"):
        site = new_site({"session.on_limit": on_limit})
        signed_in_from(site, HERE, CHROME)
        body = f"username=bob&password={site.database.password}".encode()
        answer = site.daemon.ask(method="POST", path="/session/login", headers=FORM, body=body, REMOTE_ADDR=THERE)
        assert answer.status == 409
        assert f"Chrome on Windows, {HERE}" in words_of(answer.body.decode())


def test_signing_out_is_answered_with_a_word(shared_site, browse):
    person = browse(shared_site, program=False)
    for _ in range(2):
        person.sign_in("bob")
        answer = person.logout()
        assert answer.status_code == 303
        text = person.get(answer.headers["Location"]).text
        assert title_of(text) == "You have signed out"
        assert "<h1>You have signed out</h1>" in text
    # It says nothing wrong to whoever is signed in.
    person.sign_in("bob")
    assert person.get("/session/login?signed_out").status_code == 303


def test_ending_this_very_session_is_answered_with_the_same_word(shared_site, browse):
    person = browse(shared_site, program=False)
    person.sign_in("bob")
    end = re.search(r'action="(/session/sessions/[^"]+/end)"', person.get("/session/sessions").text)[1]
    answer = person.post(end, {})
    assert title_of(person.get(answer.headers["Location"]).text) == "You have signed out"


def test_displaced_person_is_not_told_to_have_signed_out(shared_site, browse):
    old = browse(shared_site, program=False)
    old.sign_in("bob")
    browse(shared_site).sign_in("bob")
    assert title_of(old.get("/session/login?signed_out").text) == "You were signed out"


def test_hint_that_signing_in_signs_out_elsewhere_is_there_only_where_it_is_true(new_daemon):
    hint = "signed in elsewhere"
    assert hint in page_of(new_daemon().start())
    assert hint not in page_of(new_daemon({"session.on_limit": "refuse"}).start())
    assert hint not in page_of(new_daemon({"session.max_sessions": 0}).start())


def test_pages_speak_plainly():
    """No word of the program's own makers: what is "live" is "signed in" to those who read it."""
    for path in PAGES.glob("*.html"):
        text = re.sub(r"{{!.*?}}|{{.*?}}|<[^>]+>", " ", path.read_text())
        assert not re.search(r"\blive\b|\bdisplace|What you do not know|Leave it as it is", text), path.name

"""The pages, built in and of one's own: what they say, what the browser is told to permit, login.pages."""

import re
import shutil

import pytest

import fastcgi
import harness
from browser import CHROME, FIREFOX
from test_config import refused, run
from test_life import reload_and_wait

PAGES = harness.ROOT / "handlers/pages"
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
    assert policy_of(person.get("/session/login")) == {**STRICT, "script-src": "'self'", "connect-src": "'self'"}


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

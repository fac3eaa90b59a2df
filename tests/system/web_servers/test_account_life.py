"""The whole life of one account through nginx and Postfix; docs/account-life.md is what this prints."""

import json
import os
import re

import pytest

from support.browser import CHROME, FIREFOX, form_of
from support.by_mail import PASSWORD
from support.mail_servers import Postfix
from support.processes import ROOT
from support.site import build_site
from support.waiting import wait_until

DOCUMENT = ROOT / "docs/account-life.md"
NAME, FIRST, SECOND = "carol", "carol@example.net", "caroline@example.net"
NEW_PASSWORD = "a kettle full of marbles"

HEAD = """\
# The life of an account, as it goes over the wire

One person, two browsers, nginx in front, Postfix behind: from signing up to leaving. What a browser sends begins with
`>`, what it gets with `<`, mails stand between lines. Tokens, codes, times and addresses of clients are another each
time and stand as `…`. A test plays this and compares it with what stands here: after a change,
`ONESESSION_WRITE_DOCS=1 make test GROUP=web_servers PYTEST_FLAGS='-k whole_life'` writes it anew.
What happens at each step, and what others do there, is in [accounts.md](accounts.md).
"""


class Transcript:
    def __init__(self):
        self.parts = [HEAD]

    def chapter(self, title):
        self.parts.append(f"\n## {title}\n")

    def says(self, text):
        self.parts.append(f"\n{text}\n")

    def block(self, text):
        masked = re.sub(r"[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])", "…", text)
        masked = re.sub(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "…", masked)
        masked = re.sub(r"\b\d{8}\b", "…", masked)
        masked = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "…", masked)
        masked = re.sub(r"127\.0\.0\.1(:\d+)?", "…", masked)
        masked = re.sub(r"\d{1,2} [A-Z][a-z]+(?: \d{4})?, \d\d:\d\d UTC", "…", masked)
        self.parts.append(f"\n```\n{masked.rstrip()}\n```\n")

    @property
    def text(self):
        return "".join(self.parts)


class Person:
    """A browser whose every exchange is written down."""

    def __init__(self, transcript, browser, name):
        self.transcript, self.browser, self.name = transcript, browser, name

    def _told(self, sent, answer):
        lines = [f"> {sent}", f"< {answer.status_code} {answer.reason}"]
        if "Location" in answer.headers:
            lines.append(f"< Location: {answer.headers['Location'].replace(self.browser.site.url, '')}")
        cookies = [cookie.split("=")[0] for cookie in answer.raw.headers.getlist("Set-Cookie")]
        if "onesession" in cookies:
            lines.append("< Set-Cookie: onesession=" + ("…" if self.browser.key else "; Max-Age=0"))
        title = re.search(r"<title>(.*?)</title>", answer.text, re.S)
        if title and "html" in answer.headers.get("Content-Type", ""):
            lines.append(f"  [{' '.join(title[1].split())}]")
        self.transcript.block(f"{self.name}\n" + "\n".join(lines))
        return answer

    def get(self, path):
        return self._told(f"GET {path}", self.browser.get(path))

    def post(self, path, fields):
        return self._told(f"POST {path} ({', '.join(fields)})", self.browser.post(path, fields))

    def send(self, page, path, **filled):
        """The form of that page, filled in."""
        fields = {name: value for name, value in form_of(page.text, path).items() if name not in ("confirmed", "not_me")}
        return self.post(path, {**fields, **filled})

    def is_out(self, reason):
        refused = self._told("GET /session/auth", self.browser.get("/session/auth"))
        assert (refused.status_code, refused.headers["Session-Reason"]) == (401, reason)


class Mailbox:
    def __init__(self, transcript, postfix):
        self.transcript, self.postfix, self.seen = transcript, postfix, set()

    def take(self, subject):
        """The next mail of that subject."""

        def arrived():
            return next((m for m in self.postfix.mails() if m["Message-ID"] not in self.seen and subject in m["Subject"]), None)

        wait_until(lambda: arrived() is not None, f"a mail about {subject!r}")
        mail = arrived()
        self.seen.add(mail["Message-ID"])
        text = mail.get_body(("plain",)).get_content().strip()
        self.transcript.block(f"From: {mail['From']}\nTo: {mail['To']}\nSubject: {mail['Subject']}\n\n{text}")
        link = re.search(r"https://www\.example\.org(/session/\S+)", text)
        return link[1] if link else None


@pytest.fixture
def postfix(closing):
    return closing.add(Postfix())


def test_whole_life_of_an_account_is_the_one_that_the_document_shows(request, database, closing, browse, postfix):
    site = build_site(
        database,
        request.node,
        closing,
        {"accounts.signup": "open", "accounts.password_strength": 2, **postfix.settings()},
    )
    site.secrets.update({PASSWORD, NEW_PASSWORD})
    before_all = database.value("SELECT coalesce(max(id), 0) FROM events")
    story = Transcript()
    inbox = Mailbox(story, postfix)
    firefox = Person(story, browse(site, program=False, user_agent=FIREFOX), "Firefox")
    chrome = Person(story, browse(site, program=False, user_agent=CHROME), "Chrome")

    story.chapter("Signing up")
    turned_away = firefox.get("/page")
    firefox.get(turned_away.headers["Location"].replace(site.url, ""))
    form = firefox.get("/session/signup")
    asked = firefox.send(form, "/session/signup", username=NAME, email=FIRST, password=PASSWORD)
    assert asked.status_code == 202
    story.says("Whatever was typed, this is answered. There is no account yet:")
    assert firefox.post("/session/login", {"username": NAME, "password": PASSWORD}).status_code == 401
    page = firefox.get(inbox.take("confirm your address"))
    story.says("Following the link has changed nothing: mail scanners do that, and send forms. A tick is the person's:")
    assert firefox.send(page, "/session/verify").status_code == 400
    made = firefox.send(page, "/session/verify", confirmed="true")
    assert made.status_code == 200 and NAME in made.text

    story.chapter("One account, one live session")
    assert firefox.post("/session/login", {"username": NAME, "password": PASSWORD, "next": "/page"}).status_code == 303
    assert f"user={NAME}" in firefox.get("/page").text
    story.says("In another browser, by the address:")
    assert chrome.post("/session/login", {"username": FIRST, "password": PASSWORD, "next": "/page"}).status_code == 303
    assert f"user={NAME}" in chrome.get("/page").text
    story.says("The first one is out with its next request:")
    firefox.is_out("displaced")
    inbox.take("a new sign-in")

    story.chapter("The password is forgotten")
    form = firefox.get("/session/forgot")
    assert firefox.send(form, "/session/forgot", login=NAME).status_code == 202
    page = firefox.get(inbox.take("a new password"))
    in_again = firefox.send(page, "/session/reset", new_password=NEW_PASSWORD)
    assert in_again.status_code == 303 and "user=" in firefox.get("/page").text
    story.says("That signs in, and everybody else out:")
    chrome.is_out("password_changed")
    inbox.take("your password was changed")

    story.chapter("Another address")
    form = firefox.get("/session/email")
    assert firefox.send(form, "/session/email", email=SECOND).status_code == 202
    inbox.take("another e-mail address")
    page = firefox.get(inbox.take("confirm your new address"))
    assert firefox.send(page, "/session/verify", confirmed="true").status_code == 200
    story.says("The old address can have it back for seven days:")
    undo = firefox.get(inbox.take("your e-mail address was changed"))
    assert undo.status_code == 200 and FIRST in undo.text

    story.chapter("Taking the data along")
    story.says("An hour later the proof is an old one (`login.fresh`):")
    database.query("UPDATE sessions SET created_at = now() - interval '1 hour', proved_at = NULL")
    stale = firefox.get("/session/export")
    assert stale.status_code == 303
    form = firefox.get(stale.headers["Location"].replace(site.url, ""))
    before = firefox.browser.key
    confirmed = firefox.send(form, "/session/confirm", password=NEW_PASSWORD)
    assert confirmed.status_code == 303 and firefox.browser.key != before
    assert 'href="/session/export"' in firefox.get(confirmed.headers["Location"].replace(site.url, "")).text
    export = firefox.get("/session/export")
    kept = json.loads(export.text)
    story.block("\n".join(f"{key}: {type(value).__name__}" for key, value in kept.items()))
    assert kept["account"]["email"] == SECOND and {event["username"] for event in kept["events"]} == {NAME}
    assert firefox.browser.key not in export.text and "argon2" not in export.text

    story.chapter("Leaving")
    form = firefox.get("/session/delete")
    assert firefox.send(form, "/session/delete").status_code == 400
    assert firefox.send(form, "/session/delete", confirmed="true").status_code == 202
    firefox.is_out("unauthenticated")
    inbox.take("your account will be deleted")
    story.says("For seven days (`accounts.deletion_pause`) signing in asks whether to keep it:")
    asked = chrome.post("/session/login", {"username": NAME, "password": NEW_PASSWORD, "next": "/page"})
    assert asked.headers["Location"].startswith("/session/delete")
    form = chrome.get(asked.headers["Location"])
    kept_after_all = chrome.send(form, "/session/delete")
    assert kept_after_all.headers["Location"] == "/page" and f"user={NAME}" in chrome.get("/page").text
    story.says("And leaving after all, for good: the seven days pass, and the purge comes by.")
    form = chrome.get("/session/delete")
    assert chrome.send(form, "/session/delete", confirmed="true").status_code == 202
    inbox.take("your account will be deleted")
    database.query("UPDATE users SET delete_at = now() WHERE username = %s", NAME)
    site.ctl().run("purge")
    assert chrome.post("/session/login", {"username": NAME, "password": NEW_PASSWORD}).status_code == 401
    story.says("What the events still say: of the account nothing but that it was there. The two failed logins, of a name that was nobody's, keep where they came from until `session.history` has passed.")
    left = database.query("SELECT name, username, ip::text, user_agent, detail::text FROM events WHERE id > %s ORDER BY id", before_all)
    story.block("name | username | ip | user_agent | detail\n" + "\n".join(" | ".join(str(value) for value in row) for row in left))
    assert left and not any(NAME in str(value) for row in left for value in row)

    if os.environ.get("ONESESSION_WRITE_DOCS"):
        DOCUMENT.write_text(story.text)
    assert story.text == DOCUMENT.read_text(), "see ONESESSION_WRITE_DOCS in that document"

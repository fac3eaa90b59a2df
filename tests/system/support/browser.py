"""A browser, or a program that is a client, with its own cookies."""

import html
import json as jsons
import re

import requests

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
SAFARI = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Safari/605.1.15"
)

PERSON_ACCEPT = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


class Browser:
    """
    Everything goes through the web server at `site`. A program speaks JSON, a person sends forms and wants pages.
    No answer may be a 5xx, unless the test says that it expects them (`permits_5xx`).
    """

    def __init__(self, site, program=True, user_agent=FIREFOX, permits_5xx=False):
        self.site = site
        self.program = program
        self.permits_5xx = permits_5xx
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.headers.update({"User-Agent": user_agent, "Accept": "application/json" if program else PERSON_ACCEPT})

    def close(self):
        self.http.close()

    def request(self, method, path, timeout=30, **kwargs):
        answer = self.http.request(method, self.site.url + path, timeout=timeout, allow_redirects=False, **kwargs)
        if not self.permits_5xx:
            assert answer.status_code < 500, f"{method} {path}: {answer.status_code} {answer.text[:300]}"
        if self.key is not None:
            self.site.secrets.add(self.key)
        return answer

    def get(self, path, **kwargs):
        return self.request("GET", path, **kwargs)

    def post(self, path, fields=None, **kwargs):
        """`fields` as JSON or as a form, whichever this client speaks."""
        if fields is not None:
            kwargs["json" if self.program else "data"] = fields
        return self.request("POST", path, **kwargs)

    @property
    def key(self):
        """The session key that the browser holds, or None."""
        for cookie in self.http.cookies:
            if cookie.name == "onesession":
                return cookie.value
        return None

    @key.setter
    def key(self, value):
        self.http.cookies.clear()
        if value is not None:
            self.http.cookies.set("onesession", value, path="/")

    def login(self, username="alice", password=None, **fields):
        if password is None:
            password = self.site.database.password
        if len(password) >= 12:
            self.site.secrets.add(password)
        return self.post("/session/login", {"username": username, "password": password, **fields})

    def sign_in(self, username="alice", **fields):
        """A login that has to succeed. Returns what a program is told of it."""
        answer = self.login(username, **fields)
        assert answer.status_code == (200 if self.program else 303), f"{answer.status_code} {answer.text[:300]}"
        assert self.key is not None
        return answer.json() if self.program else None

    def logout(self):
        return self.post("/session/logout")

    def auth(self):
        """'' when the guard would let this browser pass, else the reason why it does not."""
        answer = self.get("/session/auth")
        reason = answer.headers["Session-Reason"]
        assert (answer.status_code, reason == "") in ((200, True), (401, False)), (answer.status_code, reason)
        return reason

    def is_live(self):
        return self.auth() == ""

    def state(self):
        answer = self.get("/session/state")
        assert answer.status_code == 200
        return answer.json()

    def me(self):
        return self.get("/session/me")

    def guarded(self):
        """The application's page behind the guard."""
        return self.get("/page")


def problem(answer, status, code):
    """Assert that `answer` is that problem (RFC 9457), and return it."""
    assert answer.status_code == status, f"{answer.status_code} {answer.text[:300]}"
    assert answer.headers["Content-Type"].split(";")[0] == "application/problem+json"
    body = jsons.loads(answer.text)
    assert set(body) >= {"type", "title", "status", "code", "detail"}, body
    assert body["status"] == status
    assert body["code"] == code, body
    assert all(isinstance(body[name], str) for name in ("type", "title", "code", "detail")), body
    return body


# Times as the daemon writes them.


def with_key(browser, key):
    browser.key = key
    return browser


def live_among(browsers):
    """Which of them the guard lets pass, by number."""
    return [number for number, browser in enumerate(browsers) if browser.is_live()]


ASK = {"session.on_limit": "ask"}
REFUSE = {"session.on_limit": "refuse"}


def form_of(page, action):
    """The fields of the form on that page which is sent to `action`."""
    form = re.search(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', page, re.S).group(1)
    inputs = re.findall(r"<(?:input|button)\b([^>]*)>", form)
    fields = {}
    for attributes in inputs:
        found = dict(re.findall(r'(\w+)="([^"]*)"', attributes))
        if "name" in found:
            fields[found["name"]] = html.unescape(found.get("value", ""))
    return fields


ROBOT = "Robot/1.0"


PHRASE = "correct horse battery staple"
# Of PHRASE. Django 3.2.25 wrote these, with fewer iterations and rounds and less memory than it does by itself...
PBKDF2 = "pbkdf2_sha256$1000$seasalt$3xmXbyk2QpiyNcnoBbzRPwEBsYPTbDlRdtmLyBvQltA="

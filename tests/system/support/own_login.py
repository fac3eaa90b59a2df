"""
A small application that signs people in itself, as many are: it knows them by a session of its own, and its sign-in leads
on whom it knows. It tells the daemon of sign-in and sign-out by two calls, and looks at nothing that the web server says:
user_of() is for those that do.
Who asks for it in the form gives a second proof, for which the session has the name; and ?link=NAME, as from a mail, signs
in by itself.
"""

import html
import http.cookies
import secrets
import urllib.parse
from http.server import BaseHTTPRequestHandler

from support.applications import Asked
from support.listening import serve_http

COOKIE = "sessionid"
# The cookies of the daemon's that a sign-in passes on.
PASSED = {"presented": "onesession", "device": "onesession_device"}
PASSWORD = "the application's own"


class OwnLogin:
    """
    `csrf` says where the form's token is: in the application's "session", which nobody in particular has, too, or in a
    "cookie" of its own. `has_key`: the daemon knows people by the application's cookie (session.key_from).
    """

    def __init__(self, csrf, has_key):
        self.csrf, self.has_key = csrf, has_key
        self.is_secure = False
        self.api = None
        self.sessions = {}  # by key: {"user": name or None, "token": of the form, "onesession": id of the daemon's session}
        self.seen = []
        application = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                fields = list(self.headers.items())
                application.seen.append(Asked(self.command, self.path, fields, len(body), ""))
                status, headers, text = application.answer(self.command, self.path, self.headers, body)
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text.encode())

            do_GET = do_HEAD = do_POST = do

            def log_message(self, *_):
                pass

        self.server = serve_http(Handler)
        self.port = self.server.server_address[1]

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def begin(self, user=None):
        """A new session; returns its key."""
        key = secrets.token_urlsafe(32)
        self.sessions[key] = {"user": user, "token": secrets.token_urlsafe(16)}
        return key

    def answer(self, method, target, headers, body):
        path, _, query = target.partition("?")
        cookies = {name: morsel.value for name, morsel in http.cookies.SimpleCookie(headers.get("Cookie", "")).items()}
        session = self.sessions.get(cookies.get(COOKIE), {"user": None, "token": None})
        user = self.user_of(session, headers)
        asked = dict(urllib.parse.parse_qsl(query))
        if path == "/login" and user:
            return 303, [("Location", asked.get("next", "/"))], ""
        if path == "/login" and "link" in asked:
            return self._let_in(asked["link"], cookies, asked, headers)
        if path == "/login" and "step" in asked and session.get("proving") is None:
            return 303, [("Location", "/login")], ""
        if path == "/login" and method == "POST":
            return self._sign_in(cookies, session, asked, dict(urllib.parse.parse_qsl(body)), headers)
        if path == "/login":
            return self._form(cookies, session)
        if path == "/logout" and method == "POST":
            self.sessions.pop(cookies.get(COOKIE), None)
            self.tell_end(headers["Session-Id"])
            return 303, [("Location", "/"), ("Set-Cookie", f"{COOKIE}=; Path=/; Max-Age=0")], ""
        return 200, [], f"application, user={user}"

    def user_of(self, session, headers):
        """Whom it takes the request for."""
        return session["user"]

    def tell(self, name, told, headers):
        """The first call: returns the id of the daemon's session, and cookies for the answer."""
        answer = self.api.sign_in(name, **told, secure=self.is_secure, ip=headers["X-Forwarded-For"]).json
        return answer["session"]["id"], answer["cookies"]

    def tell_end(self, session_id):
        """The second one."""
        self.api.delete(f"/sessions/{session_id}?reason=logged_out", status=204)

    def _form(self, cookies, session):
        headers = []
        if self.csrf == "session":
            if session["token"] is None:
                key = self.begin()
                session = self.sessions[key]
                headers = [("Set-Cookie", "theme=light; Path=/"), ("Set-Cookie", f"{COOKIE}={key}; Path=/; HttpOnly")]
            token = session["token"]
        else:
            token = cookies.get("csrftoken") or secrets.token_urlsafe(16)
            headers = [("Set-Cookie", f"csrftoken={token}; Path=/")]
        # Like many, it sends the form to the address that it is shown at.
        return 200, headers, f'<form method="post"><input name="token" value="{html.escape(token)}"></form>'

    def _sign_in(self, cookies, session, asked, sent, headers):
        token = session["token"] if self.csrf == "session" else cookies.get("csrftoken")
        if token is None or sent.get("token") != token:
            return 403, [], "the form's token is not right"
        if sent.get("password") != PASSWORD:
            return 200, [], "wrong password"
        if "step" in asked:
            return self._let_in(session["proving"], cookies, asked, headers)
        if "second" in sent:
            key = self.begin()
            self.sessions[key]["proving"] = sent["username"]
            location = f"/login?step=2&next={asked.get('next', '/')}"
            return 303, [("Set-Cookie", f"{COOKIE}={key}; Path=/; HttpOnly"), ("Location", location)], ""
        return self._let_in(sent["username"], cookies, asked, headers)

    def _let_in(self, name, cookies, asked, headers):
        key = self.begin(name)
        told = {name: cookies.get(cookie) for name, cookie in PASSED.items()}
        if self.has_key:
            told = {"key": key, "presented": cookies.get(COOKIE), "device": told["device"]}
        self.sessions[key]["onesession"], cookies = self.tell(name, told, headers)
        issued = [("Set-Cookie", value) for value in cookies]
        location = asked.get("next", "/")
        return 303, [*issued, ("Set-Cookie", f"{COOKIE}={key}; Path=/; HttpOnly"), ("Location", location)], ""

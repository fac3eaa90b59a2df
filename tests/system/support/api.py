"""Calls of the API: each answer is held against docs/openapi.json."""

import json
import re

import jsonschema

from support.processes import ROOT

DOCUMENT = json.loads((ROOT / "docs/openapi.json").read_text())
ALL_SCOPES = "users,credentials,sessions,events"
NEAR = "127.0.0.1"
METHODS = ("get", "put", "post", "delete")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")

FORMATS = jsonschema.FormatChecker(formats=())


@FORMATS.checks("date-time")
def is_time(value):
    return not isinstance(value, str) or TIME.fullmatch(value) is not None


@FORMATS.checks("uuid")
def is_uuid(value):
    return not isinstance(value, str) or re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value) is not None


RESOLVER = jsonschema.RefResolver.from_schema(DOCUMENT)


def resolved(node):
    return RESOLVER.resolve(node["$ref"])[1] if "$ref" in node else node


def fits(schema, value):
    jsonschema.Draft202012Validator(schema, resolver=RESOLVER, format_checker=FORMATS).validate(value)


def operations():
    """(method, path, operation) of all that are described."""
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), path, item[method]


def template_of(path):
    """The described path that a request's path is; None: it is none."""
    for template in sorted(DOCUMENT["paths"], key=lambda template: template.count("{")):
        pattern = re.sub(r"\{\w+\}", "[^/]+", template.replace(".", r"\."))
        if re.fullmatch(pattern, path, re.DOTALL):
            return template
    return None


def check_described(method, path, answer):
    """Is that answer one that the document describes?"""
    template = template_of(path)
    item = DOCUMENT["paths"].get(template, {})
    operation = item.get("get" if method == "HEAD" else method.lower())
    assert answer.all("Set-Cookie") == []
    if operation is None:
        assert answer.status == (405 if item else 404), f"{method} {path}: {answer.status}"
        return
    status = str(answer.status)
    assert status in operation["responses"], f"{method} {template}: {status} is not described: {answer.body[:300]}"
    described = resolved(operation["responses"][status])
    for name, header in described.get("headers", {}).items():
        value = answer.get(name)
        assert value is not None or not header.get("required"), f"{method} {template} {status}: no {name}"
    if "content" not in described or method == "HEAD":
        assert answer.body == b""
        return
    ((kind, media),) = described["content"].items()
    if answer.status == 404 and not answer.get("Content-Type").startswith(kind):
        # For whom there is nothing here there is the page that there is at any other address.
        assert answer.get("Content-Type").startswith("text/html")
        return
    assert answer.get("Content-Type") == kind
    fits(media["schema"], json.loads(answer.body))


class Reply:
    """An answer, and its JSON."""

    def __init__(self, answer):
        self.answer = answer
        self.status = answer.status
        is_json = (answer.get("Content-Type") or "").endswith("json") and answer.body
        self.json = json.loads(answer.body) if is_json else None

    def get(self, name):
        return self.answer.get(name)

    @property
    def code(self):
        return self.json["code"]


class Api:
    """A program with a token, straight at the daemon."""

    prefix = "/session"

    def __init__(self, daemon, token, address=NEAR):
        self.daemon, self.token, self.address = daemon, token, address
        if token:
            daemon.secrets.add(token.removeprefix("ost_"))

    def call(self, method, path, body=None, headers=None, query="", status=None, **params):
        """`body` is what is sent as JSON, or bytes as they are. `status` is what has to come of it."""
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        data = b""
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        path, _, more = path.partition("?")
        params = {"REMOTE_ADDR": self.address, **params}
        answer = self.daemon.ask(
            method=method, path="/session/api" + path, query=query or more, headers=headers, body=data, timeout=60, **params
        )
        check_described(method, "/api" + path, answer)
        reply = Reply(answer)
        if method == "POST" and path == "/sessions" and answer.status == 201:
            self.daemon.secrets.add(reply.json["token"] or body["key"])
        if status is not None:
            assert answer.status == status, f"{method} {path}: {answer.status} {answer.body[:500]}"
        return reply

    def get(self, path, **kwargs):
        return self.call("GET", path, **kwargs)

    def put(self, path, body, **kwargs):
        return self.call("PUT", path, body, **kwargs)

    def post(self, path, body=None, **kwargs):
        return self.call("POST", path, body, **kwargs)

    def delete(self, path, **kwargs):
        return self.call("DELETE", path, **kwargs)

    def sign_in(self, user="alice", status=201, headers=None, **members):
        return self.post("/sessions", {"user": user, **members}, headers=headers, status=status)

    def check(self, token, **members):
        return self.post("/check", {"token": token, **members}, status=200).json

    def is_live(self, token):
        return self.check(token)["live"]


def new_token(ctl, name="shop", scopes=ALL_SCOPES, **options):
    words = [word for option, value in options.items() for word in (f"--{option}", value)]
    token = ctl.run("token", "add", name, "--scope", scopes, *words).strip()
    assert re.fullmatch("ost_[A-Za-z0-9_-]{43}", token)
    return token

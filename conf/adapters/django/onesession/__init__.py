"""onesession for Django: one account, one live session, in front of a site that has its own login. See README.md."""

import http.client
import json
import logging
import re
import secrets
import urllib.parse

from django.conf import settings

logger = logging.getLogger("onesession")

# Seconds for a call, and for the guard's own database to come back.
TIMEOUT = 5


class Refused(Exception):
    """A login that onesession has refused: `code` is one of its manual's, `status` the HTTP status that goes with it."""

    def __init__(self, status, problem):
        super().__init__(problem.get("detail", "Signing in is not possible right now."))
        self.status, self.code, self.problem = status, problem.get("code", "unavailable"), problem


def option(name, default):
    return settings.ONESESSION.get(name, default)


def address_of(request):
    """The browser's, as the web server in front has added it."""
    return request.META.get("HTTP_X_FORWARDED_FOR", request.META["REMOTE_ADDR"]).rsplit(",", 1)[-1].strip()


def name_of(user):
    """What onesession calls an account: names there have no @ and no slash."""
    name = user.get_username()
    return name if not re.search("[@/]", name) else f"user-{user.pk}"


def call(method, path, body=None, key=None):
    """(status, answer) of a call of the API. Refused with 503 when there is none."""
    url = urllib.parse.urlsplit(settings.ONESESSION["api"])
    with open(settings.ONESESSION["token_file"], encoding="ascii") as file:
        headers = {"Authorization": f"Bearer {file.read().strip()}", "Content-Type": "application/json"}
    if key:
        headers["Idempotency-Key"] = key
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    # With the same key a call is done once, so it can be sent again when no answer has come.
    for is_last in (key is None, True):
        connection = kind(url.hostname, url.port, timeout=TIMEOUT)
        try:
            connection.request(method, url.path + path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else {}
        except (OSError, http.client.HTTPException, ValueError) as error:
            logger.error("%s %s: %r", method, path, error)
            if is_last:
                raise Refused(503, {}) from error
        finally:
            connection.close()


def cookie_of(request, suffix=""):
    """What the browser holds as one of onesession's two cookies."""
    name = option("cookie_name", "onesession") + suffix
    values = (request.COOKIES.get(prefix + name) for prefix in ("__Host-", "__Secure-", ""))
    return next((value for value in values if value), None)


def sign_in(request, user):
    """The answer of POST /api/sessions; the account is made where there is none yet."""
    name = option("name", name_of)(user)
    login = {
        "user": name,
        "ip": address_of(request),
        "user_agent": request.META.get("HTTP_USER_AGENT", ""),
        "presented": cookie_of(request),
        "device": cookie_of(request, "_device"),
        "secure": request.is_secure() or request.META.get("HTTP_X_FORWARDED_PROTO") == "https",
        "take_over": bool(request.POST.get("take_over")),
    }
    status, answer = call("POST", "/sessions", login, secrets.token_urlsafe())
    if status == 404 and answer.get("code") == "not_found":
        account = {"external_id": str(user.pk)}
        status, answer = call("PUT", "/users/" + urllib.parse.quote(name, safe=""), account)
        if status in (200, 201):
            status, answer = call("POST", "/sessions", login, secrets.token_urlsafe())
    if status != 201:
        logger.warning("%s was not signed in: %s %s", name, status, answer.get("detail"))
        raise Refused(status if status in (403, 409, 429) else 503, answer)
    return answer


def sign_out(session_id):
    """End the session; one that has ended already is no error."""
    try:
        status, answer = call("DELETE", f"/sessions/{session_id}?reason=logged_out")
    except Refused:
        return
    if status not in (204, 404):
        logger.error("session %s was not ended: %s %s", session_id, status, answer.get("detail"))

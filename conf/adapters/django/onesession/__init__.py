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


def own_name(user):
    """A name that no other user of this site can have: see name_of()."""
    return f"user-{user.pk}"


def name_of(user):
    """What onesession calls an account: names there have no @ and no slash. Those that are like own_name() are its own."""
    name = user.get_username()
    return own_name(user) if re.search("[@/]|^user-[0-9]+$", name, re.IGNORECASE) else name


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


def refuse(name, status, answer):
    logger.warning("%s was not signed in: %s %s", name, status, answer.get("detail"))
    raise Refused(status if status in (403, 409, 429) else 503, answer)


def account_of(user):
    """
    The name of the user's account, which is made where there is none yet. It is tied to the user by external_id: names
    there are the same whatever their case, and here they need not be.
    """
    key = str(user.pk)
    for name in (option("name", name_of)(user), own_name(user)):
        path = "/users/" + urllib.parse.quote(name, safe="")
        status, account = call("GET", path)
        if status == 200 and (account["external_id"] or key, account["username"]) == (key, name):
            if account["external_id"] == key:
                return name
        elif status == 200:
            # Somebody else's.
            continue
        elif status != 404:
            refuse(name, status, account)
        status, answer = call("PUT", path, {"external_id": key})
        if status not in (200, 201):
            refuse(name, status, answer)
        return name
    raise Refused(503, {"detail": f"There is another account for {user.get_username()}."})


def sign_in(request, user):
    """The answer of POST /api/sessions."""
    name = account_of(user)
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
    if status != 201:
        refuse(name, status, answer)
    return answer


def sign_out(session_id):
    """End the session; one that has ended already is no error."""
    try:
        status, answer = call("DELETE", f"/sessions/{session_id}?reason=logged_out")
    except Refused:
        return
    if status not in (204, 404):
        logger.error("session %s was not ended: %s %s", session_id, status, answer.get("detail"))

"""onesession for Django: one account, one live session, in front of a site that has its own login. See README.md."""

import http.client
import json
import logging
import re
import secrets
import unicodedata
import urllib.parse

from django.conf import settings

logger = logging.getLogger("onesession")

# Seconds for a call, and for the guard's own database to come back.
TIMEOUT = 5
# Where the id of onesession's session is in Django's.
SESSION = "onesession"


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
    """
    What onesession calls an account: names there have no @ and no slash. Those that are like own_name() are for it alone, also
    with something before it that onesession does not look at, such as spaces and what nobody sees.
    """
    name = user.get_username()
    is_like_own = "user-" in unicodedata.normalize("NFKC", name).casefold()
    return own_name(user) if is_like_own or "@" in name or "/" in name else name


def path_of(name):
    return "/users/" + urllib.parse.quote(name, safe="")


def call(method, path, body=None, key=None):
    """(status, answer) of a call of the API. Refused with 503 when there is none."""
    url = urllib.parse.urlsplit(settings.ONESESSION["api"])
    try:
        with open(settings.ONESESSION["token_file"], encoding="ascii") as file:
            headers = {"Authorization": f"Bearer {file.read().strip()}", "Content-Type": "application/json"}
    except OSError as error:
        logger.error("%r", error)
        raise Refused(503, {}) from error
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
            # One that is silent has had its time.
            if is_last or isinstance(error, TimeoutError):
                raise Refused(503, {}) from error
        finally:
            connection.close()


def cookie_of(request, suffix=""):
    """What the browser holds as one of onesession's two cookies."""
    name = option("cookie_name", "onesession") + suffix
    values = (request.COOKIES.get(prefix + name) for prefix in ("__Host-", "__Secure-", ""))
    return next((value for value in values if value and re.fullmatch(r"[!-~]+", value)), None)


def refuse(name, status, answer):
    """What is not for people is for the log: they are told that it is not possible now."""
    logger.warning("%s was not signed in: %s %s", name, status, answer.get("detail"))
    is_of_account = status in (403, 409, 429) and answer.get("code") not in (None, "insufficient_scope")
    raise Refused(status, answer) if is_of_account else Refused(503, {})


def sign_in(request, user):
    """
    The answer of POST /api/sessions. The account is the one that has the user's number as its external_id, whatever both
    are called by now. It is made where there is none yet; by own_name() where the name is somebody else's, as names there
    are the same whatever their case, or cannot be.
    """
    login = {
        "external_id": str(user.pk),
        "ip": address_of(request),
        "user_agent": request.META.get("HTTP_USER_AGENT", ""),
        "presented": cookie_of(request),
        "device": cookie_of(request, "_device"),
        "secure": request.is_secure() or request.META.get("HTTP_X_FORWARDED_PROTO") == "https",
        "take_over": bool(request.POST.get("take_over")),
    }
    for name in (option("name", name_of)(user), own_name(user)):
        for is_made in (False, True):
            status, answer = call("POST", "/sessions", {**login, "user": name}, secrets.token_urlsafe())
            if status == 201:
                return answer
            if status != 404 or is_made:
                break
            status, answer = call("PUT", path_of(name), {})
            if status not in (200, 201):
                break
        if status not in (400, 404) and answer.get("code") != "duplicate":
            break
    refuse(user.get_username(), status, answer)


def enter(request, user):
    """A login under the rule; the middleware gives the browser the cookies."""
    answer = sign_in(request, user)
    request.session[SESSION] = answer["session"]["id"]
    request.onesession_cookies = answer["cookies"]


def password_changed(request, user):
    """Its sessions end everywhere; where the request is that user's, its browser gets a new one."""
    status, answer = call("GET", "/users?external_id=" + urllib.parse.quote(str(user.pk), safe=""))
    if status == 200 and answer["users"]:
        path = path_of(answer["users"][0]["username"]) + "/sessions?reason=password_changed"
        status, answer = call("DELETE", path)
    if status != 200:
        refuse(user.get_username(), status, answer)
    if request.user.pk == user.pk:
        enter(request, user)


def sign_out(session_id):
    """End the session; one that has ended already is no error."""
    try:
        status, answer = call("DELETE", f"/sessions/{session_id}?reason=logged_out")
    except Refused:
        return
    if status not in (204, 404):
        logger.error("session %s was not ended: %s %s", session_id, status, answer.get("detail"))

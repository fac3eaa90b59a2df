"""Who is nobody to the guard is nobody to Django; to stand after AuthenticationMiddleware in MIDDLEWARE."""

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.shortcuts import render

import onesession


def be_nobody(request):
    """
    For this request. The session stays as it is: it may be that of a sign-in which was answered meanwhile. What the page
    writes goes into a new one, and if that is nothing the browser keeps its cookie.
    """
    request.COOKIES.pop(settings.SESSION_COOKIE_NAME, None)
    request.session = type(request.session)()
    request.user = AnonymousUser()


def is_another(request):
    """Does the guard's word, where it was asked, differ from what this site's own session says?"""
    reason, live = (request.META.get(name, "") for name in ("HTTP_SESSION_REASON", "HTTP_SESSION_ID"))
    return (reason or live) and request.user.is_authenticated and request.session.get(onesession.SESSION) != live


class OnesessionMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if is_another(request):
            be_nobody(request)
        response = self.get_response(request)
        for cookie in getattr(request, "onesession_cookies", ()):
            response.cookies.load(cookie)
        return response

    def process_exception(self, request, exception):
        if not isinstance(exception, onesession.Refused):
            return None
        request.session.flush()
        request.user = AnonymousUser()
        values = {"code": exception.code, "detail": str(exception), **exception.problem}
        response = render(request, "onesession/refused.html", values, status=exception.status)
        if exception.status in (429, 503):
            response["Retry-After"] = str(exception.problem.get("retry_after", onesession.TIMEOUT))
        return response

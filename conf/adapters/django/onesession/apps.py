"""Login and logout of django.contrib.auth are those of onesession, too."""

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in, user_logged_out

import onesession

SESSION = "onesession"


def logged_in(request, user, **_):
    answer = onesession.sign_in(request, user)
    request.session[SESSION] = answer["session"]["id"]
    request.onesession_cookies = answer["cookies"]


def logged_out(request, **_):
    if SESSION in request.session:
        onesession.sign_out(request.session[SESSION])


class OnesessionConfig(AppConfig):
    name = "onesession"
    label = "onesession"

    def ready(self):
        user_logged_in.connect(logged_in, dispatch_uid="onesession")
        user_logged_out.connect(logged_out, dispatch_uid="onesession")

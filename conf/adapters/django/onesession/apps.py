"""Login and logout of django.contrib.auth are those of onesession, too."""

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in, user_logged_out

import onesession


def logged_in(request, user, **_):
    onesession.enter(request, user)


def logged_out(request, **_):
    if onesession.SESSION in request.session:
        onesession.sign_out(request.session[onesession.SESSION])


class OnesessionConfig(AppConfig):
    name = "onesession"
    label = "onesession"

    def ready(self):
        user_logged_in.connect(logged_in, dispatch_uid="onesession")
        user_logged_out.connect(logged_out, dispatch_uid="onesession")

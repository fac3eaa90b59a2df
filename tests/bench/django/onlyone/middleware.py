"""The session with the latest request stays: the account's former one is deleted."""

from django.contrib.sessions.models import Session


class OneSessionPerUserMiddleware:
    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if request.user.is_authenticated:
            mine = request.session.session_key
            logged_in = request.user.logged_in_user
            if logged_in.session_key and logged_in.session_key != mine:
                Session.objects.filter(session_key=logged_in.session_key).delete()
            # On every request, as in the tutorial.
            logged_in.session_key = mine
            logged_in.save()
        return self.get_response(request)

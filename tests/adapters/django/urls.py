"""An open page, the members' page, and Django's own sign-in and sign-out."""

from django.contrib.auth import update_session_auth_hash, views
from django.contrib.auth.decorators import login_required
from django.http import JsonResponse
from django.shortcuts import redirect
from django.urls import path
from django.views.decorators.csrf import csrf_exempt


def page(request):
    return JsonResponse({"path": request.path, "user": request.user.get_username()})


@csrf_exempt
@login_required
def password(request):
    import onesession

    request.user.set_password("the application's own")
    request.user.save()
    update_session_auth_hash(request, request.user)
    onesession.password_changed(request, request.user)
    return redirect("/members/")


@csrf_exempt
@login_required
def confirm(request):
    """With the session as it is."""
    import onesession

    onesession.enter(request, request.user)
    return redirect("/members/")


urlpatterns = [
    path("accounts/password/", password),
    path("accounts/confirm/", confirm),
    path("open/", page),
    path("members/", login_required(page)),
    path("accounts/login/", views.LoginView.as_view(redirect_authenticated_user=True)),
    path("accounts/logout/", views.LogoutView.as_view()),
]

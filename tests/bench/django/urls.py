"""Signing in, and checking the session; the same for programs is in api.py."""

from django.contrib.auth import authenticate, login
from django.http import HttpResponse
from django.urls import path

import api


def sign_in(request):
    user = authenticate(request, username=request.POST.get("username"), password=request.POST.get("password"))
    if user is None:
        return HttpResponse(status=401)
    login(request, user)
    return HttpResponse(status=204)


def auth(request):
    if not request.user.is_authenticated:
        return HttpResponse(status=401)
    return HttpResponse(headers={"Remote-User": request.user.username})


urlpatterns = [
    path("login", sign_in),
    path("auth", auth),
    path("api/check", api.Check.as_view()),
    path("api/sessions", api.Sessions.as_view()),
]

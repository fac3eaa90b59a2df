"""Two views: signing in, and checking the session."""

from django.contrib.auth import authenticate, login
from django.http import HttpResponse
from django.urls import path


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


urlpatterns = [path("login", sign_in), path("auth", auth)]

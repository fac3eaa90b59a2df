"""An open page, the members' page, and Django's own sign-in and sign-out."""

from django.contrib.auth import views
from django.contrib.auth.decorators import login_required
from django.http import JsonResponse
from django.urls import path


def page(request):
    return JsonResponse({"path": request.path, "user": request.user.get_username()})


urlpatterns = [
    path("open/", page),
    path("members/", login_required(page)),
    path("accounts/login/", views.LoginView.as_view(redirect_authenticated_user=True)),
    path("accounts/logout/", views.LogoutView.as_view()),
]

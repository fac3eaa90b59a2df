"""What programs call, by Django REST framework: whose is this session, and a new one for somebody who has signed in elsewhere."""

import os

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import transaction
from rest_framework.permissions import BasePermission
from rest_framework.response import Response
from rest_framework.views import APIView

from onlyone.models import LoggedInUser
from onlyone.sessions import STORE, new_session


class IsProgram(BasePermission):
    def has_permission(self, request, view):
        return request.headers.get("Authorization") == f"Bearer {os.environ['BENCH_TOKEN']}"


class Check(APIView):
    permission_classes = [IsProgram]

    def post(self, request):
        key = STORE(request.data["token"]).get(SESSION_KEY)
        user = User.objects.filter(pk=key, is_active=True).first() if key else None
        return Response({"live": True, "user": {"username": user.username}} if user else {"live": False})


class Sessions(APIView):
    permission_classes = [IsProgram]

    def post(self, request):
        with transaction.atomic():
            user = User.objects.get(username=request.data["user"])
            one, _ = LoggedInUser.objects.select_for_update().get_or_create(user=user)
            session = new_session(user)
            if one.session_key:
                Session.objects.filter(session_key=one.session_key).delete()
            one.session_key = session.session_key
            one.save()
        return Response({"user": {"username": user.username}, "token": session.session_key}, status=201)

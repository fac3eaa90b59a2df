"""
Make the tables, and the accounts u1 to uN with a session each, in the state after a login and one request. Prints a
cookie a line. One password is hashed, for all accounts.

  fill.py N PASSWORD
"""

import os
import sys
from importlib import import_module

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
django.setup()

# pylint: disable=wrong-import-position
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction

from onlyone.models import LoggedInUser


def main():
    count, password = int(sys.argv[1]), make_password(sys.argv[2])
    store = import_module(settings.SESSION_ENGINE).SessionStore

    call_command("migrate", verbosity=0)
    # Refers to the table of users, which exists now.
    call_command("migrate", run_syncdb=True, verbosity=0)
    with transaction.atomic():
        users = User.objects.bulk_create(User(username=f"u{i + 1}", password=password) for i in range(count))
        for user in users:
            session = store()
            session[SESSION_KEY] = str(user.pk)
            session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
            session[HASH_SESSION_KEY] = user.get_session_auth_hash()
            session.create()
            session.save()
            LoggedInUser.objects.create(user=user, session_key=session.session_key)
            print(f"{settings.SESSION_COOKIE_NAME}={session.session_key}")


main()

"""
Make the tables, and the accounts u1 to uN with a session each, in the state after a login and one request. Prints a
cookie a line. One password is hashed, for all accounts.

  fill.py N PASSWORD
"""

import os
import sys

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
django.setup()

# pylint: disable=wrong-import-position
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import transaction

from onlyone.models import LoggedInUser
from onlyone.sessions import new_session


def main():
    count, password = int(sys.argv[1]), make_password(sys.argv[2])

    call_command("migrate", verbosity=0)
    # Refers to the table of users, which exists now.
    call_command("migrate", run_syncdb=True, verbosity=0)
    with transaction.atomic():
        users = User.objects.bulk_create(User(username=f"u{i + 1}", password=password) for i in range(count))
        for user in users:
            session = new_session(user)
            LoggedInUser.objects.create(user=user, session_key=session.session_key)
            print(f"{settings.SESSION_COOKIE_NAME}={session.session_key}")


main()

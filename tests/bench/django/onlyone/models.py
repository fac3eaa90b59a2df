"""The current session of each account."""

from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import models
from django.dispatch import receiver


class LoggedInUser(models.Model):
    """A row for each account that is signed in."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, related_name="logged_in_user", on_delete=models.CASCADE)
    session_key = models.CharField(max_length=32, null=True, blank=True)


@receiver(user_logged_in)
def remember(user, **_):
    LoggedInUser.objects.get_or_create(user=user)


@receiver(user_logged_out)
def forget(user, **_):
    LoggedInUser.objects.filter(user=user).delete()

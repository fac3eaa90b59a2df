"""The same site behind onesession: what the tutorial has written gives way to these lines."""

import os

from settings import *  # noqa: F401,F403
from settings import INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS = [name if name != "onlyone" else "onesession" for name in INSTALLED_APPS]
MIDDLEWARE = [*MIDDLEWARE[:-1], "onesession.middleware.OnesessionMiddleware"]
ONESESSION = {"token_file": os.environ["ONESESSION_TOKEN_FILE"], "api": os.environ["ONESESSION_API"]}

"""The same site behind onesession: what the tutorial has written gives way to these lines."""

import os

import settings

globals().update({name: value for name, value in vars(settings).items() if name.isupper()})

INSTALLED_APPS = [name if name != "onlyone" else "onesession" for name in settings.INSTALLED_APPS]
MIDDLEWARE = [*settings.MIDDLEWARE[:-1], "onesession.middleware.OnesessionMiddleware"]
ONESESSION = {"token_file": os.environ["ONESESSION_TOKEN_FILE"], "api": os.environ["ONESESSION_API"]}

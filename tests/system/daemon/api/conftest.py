"""Programs of the site's that call the API."""

import pytest

from support.api import ALL_SCOPES, Api, new_token
from support.programs import Ctl


@pytest.fixture
def new_api(new_daemon):
    """new_api(settings, scopes): a daemon, and a program with a token for it."""

    def make(settings=None, scopes=ALL_SCOPES):
        daemon = new_daemon(settings).start()
        return Api(daemon, new_token(Ctl(daemon.database.owner_conninfo), scopes=scopes))

    return make


@pytest.fixture
def api(new_api):
    return new_api()

"""Programs of the site's that call the API."""

import pytest

from support.api import ALL_SCOPES, Api, new_token
from support.closing import Closing, remember_log
from support.postgres import new_database
from support.programs import Ctl, Daemon


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


@pytest.fixture(scope="module")
def new_shared_api(request, cluster_of_worker):
    """new_shared_api(settings): the same one each time, for tests that leave nothing behind: what is refused changes nothing."""
    things, made, databases = Closing(), {}, []
    if not cluster_of_worker.is_running:
        cluster_of_worker.start()

    def make(settings=None):
        key = tuple(sorted((settings or {}).items()))
        if key not in made:
            databases.append(new_database(cluster_of_worker))
            daemon = things.add(Daemon(databases[-1], settings))
            remember_log(request.node, "onesessiond", daemon.log)
            made[key] = Api(daemon.start(), new_token(Ctl(databases[-1].owner_conninfo)))
        return made[key]

    yield make
    things.close()
    for database in databases:
        database.discard()


@pytest.fixture
def shared_api(new_shared_api):  # pylint: disable=redefined-outer-name
    return new_shared_api()

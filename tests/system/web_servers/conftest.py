"""What the tests of web servers ask for by name."""

import pytest

from support.web import SERVERS, SITES, running


@pytest.fixture(scope="module", params=SITES, ids="-".join)
def web(request, cluster_of_worker):
    """An installation behind one web server, for one kind of application."""
    name, kind = request.param
    with running(request.node, cluster_of_worker, name, SERVERS[name], kind) as made:
        yield made

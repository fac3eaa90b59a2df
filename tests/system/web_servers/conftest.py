"""What the tests of web servers ask for by name."""

from pathlib import Path

import pytest

from support.closing import remember_log
from support.web import SERVERS, SITES, running


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """
    With `--dist loadgroup` all tests of a site are run by one process, so that each site is made once. A module that
    makes its own sites has groups of its own.
    """
    for item in items:
        if Path(__file__).parent in item.path.parents and "web" in item.fixturenames:
            site = item.callspec.params["web"]
            words = [site] if isinstance(site, str) else [*site]
            if hasattr(item.module, "fixture_web"):
                words.insert(0, item.module.__name__.rpartition(".")[2])
            item.add_marker(pytest.mark.xdist_group("-".join(words)))


@pytest.fixture(scope="session", params=SITES, ids="-".join)
def web(request, cluster_of_worker):
    """An installation behind one web server, for one kind of application. Tests of several modules share it."""
    name, kind = request.param
    with running(None, cluster_of_worker, name, SERVERS[name], kind) as made:
        yield made


@pytest.fixture(autouse=True)
def logs_of_the_site(request):
    """Shown of a test that fails, as those of what it starts itself are."""
    if "web" in request.fixturenames:
        made = request.getfixturevalue("web")
        remember_log(request.node, "onesessiond", made.daemon.log)
        remember_log(request.node, made.server_name, made.server.log)

"""What the tests of web servers ask for by name."""

import itertools
from pathlib import Path

import pytest

from support import adapted
from support.closing import remember_log
from support.web import SERVERS, SITES, Web, running

DATABASES = itertools.count()


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


@pytest.fixture(name="tables")
def fixture_tables(cluster_of_worker):
    """An empty database for a site."""
    if not cluster_of_worker.is_running:
        cluster_of_worker.start()
    name = f"site_{next(DATABASES)}"
    cluster_of_worker.execute(f"CREATE DATABASE {name}")

    class Tables:
        cluster = cluster_of_worker

    Tables.name = name
    yield Tables
    cluster_of_worker.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(name="behind")
def fixture_behind(request, cluster_of_worker):
    """behind(site, settings): the site behind a daemon of its own; returns a Web."""
    with adapted.several(cluster_of_worker) as new:

        def behind(site, settings=None, prepare=None, names=adapted.MEMBERS, between=lambda api: api, certificate=None):
            database, things = new()
            ours = adapted.Onesession(request.node, database, things, adapted.SIGN_IN, settings, prepare)
            things.add(site)
            remember_log(request.node, "site", site.log)
            site.start(ours.token, between(ours.api), {name: adapted.PASSWORD for name in names})
            server = things.add(adapted.with_sign_in(ours.daemon, site))
            server.certificate = certificate
            made = Web("nginx", "own-login", database, ours.daemon, server.start(), site)
            made.ctl = ours.ctl
            return made

        yield behind


@pytest.fixture(name="between")
def fixture_between(closing):
    made = []

    def between(api):
        made.append(closing.add(adapted.Between(api)))
        return made[0].url

    between.made = made
    return between

"""What tests ask for by name, and what is shown of a test that fails."""

import os
import signal
import sys

import pytest

# Of tests/run.py: where the processes that run tests find each other's compiled modules. What tests start knows nothing of it.
if "ONESESSION_COMPILED" in os.environ:
    sys.pycache_prefix, sys.dont_write_bytecode = os.environ["ONESESSION_COMPILED"], False

from support import progress
from support.browser import Browser
from support.closing import LOGS, Closing, remember_log
from support.postgres import Cluster, database_with_template, new_database, new_empty_database
from support.processes import memory_folder, tail
from support.programs import Ctl, Daemon
from support.site import APPLICATION, build_site, in_application, with_audit
from support.upgrade import Upgradable

# A shell has what it runs in the background ignore it, and so would all that the tests start. Ctrl-C still ends them.
signal.signal(signal.SIGINT, signal.default_int_handler)
# What blocks signals passes that on, too.
signal.pthread_sigmask(signal.SIG_SETMASK, [])


def pytest_addoption(parser):
    progress.add_option(parser)


def pytest_configure(config):
    progress.register(config)


def pytest_collection_modifyitems(items):
    """The slow ones first: what begins last decides when all is done."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for item in items:
        if item.get_closest_marker("nightly") and "ONESESSION_NIGHTLY" not in os.environ:
            item.add_marker(pytest.mark.skip(reason="ONESESSION_NIGHTLY=1 runs it"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that fails shows the logs of what it ran."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for holder in (item, getattr(item, "module", None) and item.getparent(pytest.Module)):
            for name, path in (holder.stash.get(LOGS, []) if holder is not None else []):
                report.sections.append((f"log of {name}", tail(path)))


@pytest.fixture(scope="session")
def cluster_of_worker():
    """One PostgreSQL for each process that runs tests."""
    cluster = Cluster(memory_folder())
    try:
        cluster.create()
        cluster.start()
        database_with_template(cluster)
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def cluster(cluster_of_worker):
    """It runs when the test begins, whatever the one before did to it."""
    if not cluster_of_worker.is_running:
        cluster_of_worker.start()
    yield cluster_of_worker
    if not cluster_of_worker.is_running:
        cluster_of_worker.start()


@pytest.fixture
def closing():
    things = Closing()
    yield things
    things.close()


@pytest.fixture
def database(cluster):
    """A migrated database with the accounts alice, bob and dora, who is disabled."""
    made = new_database(cluster)
    yield made
    made.discard()


@pytest.fixture
def empty_database(cluster):
    made = new_empty_database(cluster)
    yield made
    made.discard()


@pytest.fixture
def ctl(database):
    return Ctl(database.owner_conninfo)


@pytest.fixture
def new_daemon(request, database, closing):
    """new_daemon(settings) makes one that is not yet started."""

    def make(settings=None, on=database, **kwargs):
        daemon = closing.add(Daemon(on, settings, **kwargs))
        remember_log(request.node, "onesessiond", daemon.log)
        return daemon

    return make


@pytest.fixture
def daemon(new_daemon):
    """One that answers, with two workers."""
    return new_daemon().start()


@pytest.fixture
def new_site(request, cluster, closing):
    """new_site(settings): database, daemon and nginx, all running."""
    made = []

    def make(settings=None, **kwargs):
        made.append(build_site(new_database(cluster), request.node, closing, settings, **kwargs))
        return made[-1]

    yield make
    closing.close()
    for site in made:
        site.database.discard()


@pytest.fixture
def site(new_site):
    return new_site()


@pytest.fixture
def new_application(new_site):
    """new_application(settings): a site whose daemon has the module tests/application, below /session."""

    def make(settings=None):
        return with_audit(new_site(in_application(settings), modules=APPLICATION))

    return make


@pytest.fixture
def application(new_application):
    return new_application()


def built_for_module(request, cluster, settings=None, modules=()):
    if not cluster.is_running:
        cluster.start()
    things = Closing()
    try:
        made = build_site(new_database(cluster), request.node, things, settings, modules=modules)
        yield made
    finally:
        things.close()
    made.database.discard()


@pytest.fixture(scope="module")
def shared_site(request, cluster_of_worker):
    """For tests that leave nothing behind that the next one could stumble over."""
    yield from built_for_module(request, cluster_of_worker)


@pytest.fixture(scope="module")
def shared_site_with_mail(request, cluster_of_worker):
    """The same with all routes, of which some are there where mail is. None is sent: nobody is there to take it."""
    mail = {"server": "smtp://127.0.0.1:9", "from": "noreply@example.org", "site_url": "https://www.example.org"}
    yield from built_for_module(request, cluster_of_worker, {"accounts.signup": "open", **{f"mail.{key}": value for key, value in mail.items()}})


@pytest.fixture(scope="module")
def shared_application(request, cluster_of_worker):
    """The same of an application."""
    for site in built_for_module(request, cluster_of_worker, in_application(None), APPLICATION):
        yield with_audit(site)


@pytest.fixture
def browse(closing):
    """browse(site, ...) opens a browser."""

    def make(where, **kwargs):
        return closing.add(Browser(where, **kwargs))

    return make


@pytest.fixture
def upgradable(new_daemon):
    """A daemon that USR2 replaces."""
    return Upgradable(new_daemon({"server.workers": 3, "log.level": "info"}))

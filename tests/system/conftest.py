"""What tests ask for by name: see harness.py for what it is."""

import signal

import pytest

import harness
from browser import Browser

# A shell has what it runs in the background ignore it, and so would all that the tests start. Ctrl-C still ends them.
signal.signal(signal.SIGINT, signal.default_int_handler)

LOGS = pytest.StashKey[list]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that fails shows the logs of what it ran."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for holder in (item, getattr(item, "module", None) and item.getparent(pytest.Module)):
            for name, path in (holder.stash.get(LOGS, []) if holder is not None else []):
                report.sections.append((f"log of {name}", harness.tail(path)))


def remember_log(node, name, path):
    node.stash.setdefault(LOGS, []).append((name, path))


@pytest.fixture(scope="session")
def cluster_of_worker():
    """One PostgreSQL for each process that runs tests."""
    cluster = harness.Cluster(harness.memory_folder())
    try:
        cluster.create()
        cluster.start()
        harness.database_with_template(cluster)
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


class Closing:
    """Ends what a test has started, the last first, and does not stop at the first that complains."""

    def __init__(self):
        self.things = []

    def add(self, thing):
        self.things.append(thing)
        return thing

    def close(self):
        errors = []
        while self.things:
            try:
                self.things.pop().close()
            except Exception as error:  # pylint: disable=broad-except
                errors.append(error)
        if errors:
            raise errors[0]


def build_site(cluster, node, closing, settings, program="onesessiond"):
    database = harness.new_database(cluster)
    daemon = closing.add(harness.Daemon(database, settings, program=program))
    remember_log(node, "onesessiond", daemon.log)
    daemon.start()
    nginx = closing.add(harness.Nginx(daemon.address))
    remember_log(node, "nginx", nginx.log)
    nginx.start()
    return harness.Site(database, daemon, nginx)


APPLICATION = "tests/onesessiond-application"


def with_audit(site):
    """The application's own table."""
    site.database.query((harness.ROOT / "tests/application/audit.sql").read_text())
    site.database.query(f"GRANT SELECT, INSERT ON application_audit TO {site.database.cluster.DAEMON}")
    return site


@pytest.fixture
def closing():
    things = Closing()
    yield things
    things.close()


@pytest.fixture
def database(cluster):
    """A migrated database with the accounts alice, bob and dora, who is disabled."""
    made = harness.new_database(cluster)
    yield made
    made.drop()


@pytest.fixture
def empty_database(cluster):
    made = harness.new_database(cluster, template="template0")
    yield made
    made.drop()


@pytest.fixture
def ctl(database):
    return harness.Ctl(database.owner_conninfo)


@pytest.fixture
def new_daemon(request, database, closing):
    """new_daemon(settings) makes one that is not yet started."""

    def make(settings=None, on=database):
        daemon = closing.add(harness.Daemon(on, settings))
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
        made.append(build_site(cluster, request.node, closing, settings, **kwargs))
        return made[-1]

    yield make
    closing.close()
    for site in made:
        site.database.drop()


@pytest.fixture
def site(new_site):
    return new_site()


@pytest.fixture
def new_application(new_site):
    """new_application(settings): a site whose daemon has the routes and receivers of tests/application."""

    def make(settings=None):
        return with_audit(new_site(settings, program=APPLICATION))

    return make


@pytest.fixture
def application(new_application):
    return new_application()


def built_for_module(request, cluster, program):
    if not cluster.is_running:
        cluster.start()
    things = Closing()
    try:
        made = build_site(cluster, request.node, things, None, program=program)
        yield made
    finally:
        things.close()
    made.database.drop()


@pytest.fixture(scope="module")
def shared_site(request, cluster_of_worker):
    """For tests that leave nothing behind that the next one could stumble over."""
    yield from built_for_module(request, cluster_of_worker, "onesessiond")


@pytest.fixture(scope="module")
def shared_application(request, cluster_of_worker):
    """The same of an application."""
    for site in built_for_module(request, cluster_of_worker, APPLICATION):
        yield with_audit(site)


@pytest.fixture
def browse(closing):
    """browse(site, ...) opens a browser."""

    def make(where, **kwargs):
        return closing.add(Browser(where, **kwargs))

    return make

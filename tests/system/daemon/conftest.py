"""What the tests of the daemon ask for by name."""

import pytest

from support.kept_sites import KeptSites
from support.modules import build_module


@pytest.fixture(scope="module")
def kept_sites(request, cluster_of_worker):
    """kept_sites.new_site(settings): like new_site(settings), but made once in a module for those settings."""
    if not cluster_of_worker.is_running:
        cluster_of_worker.start()
    made = KeptSites(cluster_of_worker, request.node)
    yield made
    made.close()


@pytest.fixture
def build(tmp_path):
    """build(source, name, ...) makes a shared object of a source."""
    return lambda source, *args, **kwargs: build_module(tmp_path, source, *args, **kwargs)

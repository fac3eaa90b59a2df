"""What tests of the database ask for by name."""

# A fixture that asks for another takes it by its name.
# pylint: disable=redefined-outer-name

import pytest

from support.statements import Client, prepare_tables


@pytest.fixture
def new_statements(new_application):
    def make(settings=None):
        return prepare_tables(new_application({"server.workers": 1, **(settings or {})}))

    return make


@pytest.fixture
def new_client(new_statements, browse):
    def make(settings=None):
        site = new_statements(settings)
        client = Client(browse(site, permits_5xx=True))
        client.site = site
        return client

    return make


@pytest.fixture
def client(new_client):
    return new_client()

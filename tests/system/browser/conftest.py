"""What tests in a browser ask for by name."""

import pytest

from support.chromium import Drivers


@pytest.fixture(scope="module")
def drivers():
    made = Drivers()
    yield made
    made.close()

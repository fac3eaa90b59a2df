"""A daemon with jobs, and what is known of them."""

import pytest

from support.tasks import TASKS, Tasks


@pytest.fixture
def tasks(database, closing):
    return closing.add(Tasks(database))


@pytest.fixture
def new_host(new_daemon, tasks):  # pylint: disable=redefined-outer-name
    """new_host(tick="ok", every=1000): a daemon that is not yet started, with those settings of the module."""
    del tasks

    def make(settings=None, on=None, **of_module):
        chosen = {f"tasks.{key}": value for key, value in of_module.items()}
        kwargs = {} if on is None else {"on": on}
        return new_daemon({**chosen, **(settings or {})}, modules=[TASKS], **kwargs)

    return make

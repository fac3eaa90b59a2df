"""Ending what a test has started, and showing its logs when it fails."""

import contextlib

import pytest

from support.postgres import new_database

LOGS = pytest.StashKey[list]()


def remember_log(node, name, path):
    node.stash.setdefault(LOGS, []).append((name, path))


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


@contextlib.contextmanager
def database_and_things(cluster):
    """A database of one's own, and what is to be ended before it goes."""
    if not cluster.is_running:
        cluster.start()
    database = new_database(cluster)
    things = Closing()
    try:
        yield database, things
    finally:
        things.close()
        database.discard()

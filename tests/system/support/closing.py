"""Ending what a test has started, and showing its logs when it fails."""

import pytest

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

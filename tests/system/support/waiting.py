"""Waiting for conditions: nothing in these tests sleeps for a fixed time and hopes."""

import os
import re
import threading
import time

# Under a sanitizer, and on a busy machine, everything takes longer. Conditions that hold are not slowed down by it.
PATIENCE = float(os.environ.get("ONESESSION_PATIENCE", "30"))


def wait_until(condition, what, timeout=None):
    """Call `condition` until it returns something true, and return that. `what` says what was waited for in vain."""
    deadline = time.monotonic() + (PATIENCE if timeout is None else timeout)
    pause = 0.001
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


class Background:
    """A call in a thread of its own; result() gives what it returned, or raises what it raised."""

    def __init__(self, call, *args, **kwargs):
        self._outcome = None
        self._error = None

        def run():
            try:
                self._outcome = call(*args, **kwargs)
            except BaseException as error:  # pylint: disable=broad-except
                self._error = error

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    @property
    def is_done(self):
        return not self._thread.is_alive()

    def result(self, timeout=PATIENCE):
        self._thread.join(timeout)
        assert self.is_done, "it has not come back"
        if self._error is not None:
            raise self._error
        return self._outcome


TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

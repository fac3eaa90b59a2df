"""Waiting for conditions: nothing in these tests sleeps for a fixed time and hopes."""

import os
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

"""A process that is stopped for a while: what it does takes long then, and takes no processor."""

import contextlib
import os
import signal


@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)

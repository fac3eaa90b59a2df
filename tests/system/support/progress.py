"""
One line of progress instead of a dot for each test, for tests/run.py: how many tests of the group have ended, how many of
them failed, since when. On a terminal it is kept up to date; elsewhere it is left out.
"""

import os
import sys
import time


class Progress:
    """A pytest plugin of the process that collects what the others have run."""

    def __init__(self, group):
        self.group = group
        self.total = self.ended = self.failed = 0
        self.began = time.monotonic()
        self.shows = os.isatty(sys.stderr.fileno())

    def pytest_report_teststatus(self, report):
        """Category, letter and word, as pytest has them, but without the letter."""
        if report.when != "call" and report.passed:
            return "", "", ""
        category = "error" if report.when != "call" and report.failed else report.outcome
        return category, "", category.upper()

    def pytest_collection_modifyitems(self, items):
        self.total = len(items)

    def pytest_xdist_node_collection_finished(self, ids):
        self.total = len(ids)

    def pytest_runtest_logreport(self, report):
        self.failed += report.failed
        self.ended += report.when == "teardown"
        self._show()

    def _show(self):
        if self.shows:
            failed = f", {self.failed} failed" if self.failed else ""
            seconds = time.monotonic() - self.began
            sys.stderr.write(f"\r{self.group}: {self.ended:,} of {self.total:,}{failed}, {seconds:.0f} s\033[K")
            sys.stderr.flush()

    def pytest_sessionfinish(self):
        if self.shows:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


def add_option(parser):
    parser.addoption("--progress-of", metavar="GROUP", help="show one line of progress for this group of tests")


def register(config):
    group = config.getoption("--progress-of")
    if group and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Progress(group))

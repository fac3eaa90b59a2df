"""Debian's Chromium, in which the stories of tests/browser are played."""

import json
import shutil
import signal
import subprocess
import threading

from support import processes, programs
from support.processes import ROOT, discard, end, that_ends_with_parent, tail
from support.waiting import PATIENCE

BROWSER = ROOT / "tests/browser"
MODULES = ROOT / "build/npm/node_modules"


def chromium():
    """
    Without the windows around the pages, if Debian's package of that is installed: a page in it takes a quarter of the
    time. The engine is the same.
    """
    return shutil.which("chromium-headless-shell") or "/usr/bin/chromium"


class Driver:
    """node with a Chromium, which stories are played in one after the other."""

    def __init__(self):
        self.folder = processes.scratch("browser")
        self.log = self.folder / "log"
        folder = str(self.folder)
        environment = {**programs.environment(), "NODE_PATH": str(MODULES), "TMPDIR": folder, "HOME": folder}
        with open(self.log, "wb") as errors:
            self.process = subprocess.Popen(
                that_ends_with_parent(["node", BROWSER / "run.cjs", chromium(), PATIENCE], signal.SIGTERM),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
            )

    def play(self, told, answer):
        """What the story returns; `answer` answers what it asks."""
        # A browser that has come to a stop does not stop the tests.
        watch = threading.Timer(PATIENCE * 10, self.process.terminate)
        watch.start()
        try:
            self._say(told)
            for line in self.process.stdout:
                said = json.loads(line)
                if "what" not in said:
                    assert "error" not in said, said["error"]
                    return said["result"]
                self._say(answer(said["what"], *said["words"]))
        finally:
            watch.cancel()
        raise AssertionError(f"the browser's driver ended:\n{tail(self.log)}")

    def _say(self, what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def close(self):
        try:
            self.process.stdin.close()
            self.process.wait(PATIENCE)
        except (OSError, subprocess.TimeoutExpired):
            pass
        finally:
            end(self.process)
            self.process.stdout.close()
            discard(self.folder)


class Drivers:
    """One driver for all stories, but another one after a story that has failed: it may have broken the first."""

    def __init__(self):
        self.driver = None

    def play(self, node, told, answer):
        self.driver = self.driver or Driver()
        try:
            return self.driver.play(told, answer)
        except BaseException:
            node.add_report_section("call", "the browser", tail(self.driver.log))
            self.close()
            raise

    def close(self):
        if self.driver is not None:
            self.driver.close()
            self.driver = None

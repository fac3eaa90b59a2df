"""A daemon whose binary can be replaced, and is upgraded in place."""

import os
import shutil
import signal

from support.processes import BUILD, processes_with, tail
from support.programs import masters
from support.waiting import wait_until


class Upgradable:
    """A daemon whose binary can be replaced."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.binary = daemon.folder / "onesessiond"
        shutil.copy(BUILD / "onesessiond", self.binary)

    def command(self):
        return [str(self.binary), *self.daemon.command()[1:]]

    def replace(self, script=None):
        """As a package manager does it: a new file in the place of the old one."""
        new = self.binary.with_suffix(".new")
        if script is None:
            shutil.copy(BUILD / "onesessiond", new)
        else:
            new.write_text("#!/bin/sh\n" + script)
            new.chmod(0o755)
        new.rename(self.binary)

    def upgrade(self):
        self.daemon.send_signal(signal.SIGUSR2)
        assert self.daemon.wait() == 0, tail(self.daemon.log)

    def end(self):
        """End the master that has taken over, and see that nothing is left."""
        told = set()

        def are_gone():
            # Another one may come up meanwhile, of an upgrade that was asked for before.
            for pid in set(masters(self.daemon)) - told:
                told.add(pid)
                os.kill(pid, signal.SIGTERM)
            return processes_with(self.daemon.conf) == []

        wait_until(are_gone, "the new daemon to end")
        self.daemon.check_log()

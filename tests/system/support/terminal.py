"""Programs as people see them: on a terminal of some width."""

import fcntl
import os
import select
import struct
import subprocess
import termios
import time
import unicodedata

from support.processes import that_ends_with_parent
from support.programs import environment
from support.waiting import PATIENCE


class Line:
    """A line of a terminal. A wide character fills two cells."""

    def __init__(self, text):
        self.text = text
        self.cells = []
        for character in text:
            if not unicodedata.combining(character):
                wide = unicodedata.east_asian_width(character) in "WF"
                self.cells += [character] * (2 if wide else 1)

    @property
    def width(self):
        return len(self.cells)

    def cell(self, number):
        return self.cells[number] if number < len(self.cells) else " "


class Terminal:
    """A program, and what it has written to a terminal so far."""

    def __init__(self, command, columns, stderr=None, **kwargs):
        self.text = b""
        self.master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *that_ends_with_parent(command)],
            stdin=slave,
            stdout=slave,
            stderr=stderr or slave,
            **{"env": environment(), **kwargs},
        )
        os.close(slave)

    def type(self, text):
        os.write(self.master, text.encode())

    def _read(self, seconds):
        """False when there will be no more."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            more = os.read(self.master, 65536)
        except OSError:
            more = b""
        self.text += more
        return more != b""

    def wait_for(self, text):
        deadline = time.monotonic() + PATIENCE
        while text.encode() not in self.text:
            assert time.monotonic() < deadline, f"waited in vain for {text!r}: {self.text!r}"
            assert self._read(0.1) or text.encode() in self.text, f"it ended without {text!r}: {self.text!r}"

    def read_some(self):
        self._read(0)
        return True

    def read_all(self):
        deadline = time.monotonic() + PATIENCE
        while self._read(0.1):
            assert time.monotonic() < deadline, f"it does not end: {self.text!r}"

    @property
    def lines(self):
        return [Line(line) for line in self.text.decode().split("\r\n")[:-1]]

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)


def on_a_terminal(command, columns):
    """The lines that it prints until it ends, which it has to do well."""
    terminal = Terminal(command, columns)
    try:
        terminal.read_all()
        assert terminal.process.wait(PATIENCE) == 0, terminal.text
        return terminal.lines
    finally:
        terminal.close()

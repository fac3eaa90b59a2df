"""make install and make deb, as a user would call them."""

import fcntl
import os
import re
import subprocess
from contextlib import contextmanager

from support.processes import BUILD, ROOT
from support.programs import environment

VERSION = re.search(r'ONESESSION_VERSION "(.*)"', (ROOT / "daemon/base/version.h").read_text())[1]
# What tells make the build that is tested.
IN_ITS_FOLDER = {"sanitized": ["SANITIZE=address,undefined"], "coverage": ["SANITIZE=address,undefined", "COVERAGE=1"]}
BUILT = (
    [f"BUILD={BUILD.parent}", *IN_ITS_FOLDER[BUILD.name]] if BUILD.name in IN_ITS_FOLDER else [f"BUILD={BUILD}"]
)
# What is linked with its objects is compiled like this, too.
LINKED = {"sanitized": "-fsanitize=address,undefined", "coverage": "-fsanitize=address,undefined --coverage"}
FLAGS = LINKED.get(BUILD.name, "")
LONG = 1200


@contextmanager
def one_at_a_time(name):
    """Among all processes that run these tests."""
    with open(BUILD / name, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def make(*words):
    """With nothing of the make that may have started the tests."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "MFLAGS", "PREFIX", "DESTDIR", "BUILD", "SANITIZE", "COVERAGE"))
    }
    done = subprocess.run(
        ["make", "--no-print-directory", "-C", ROOT, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=env,
        timeout=LONG,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def make_installed(*words):
    """make install or uninstall of what was built for these tests."""
    with one_at_a_time(".install"):
        return make(*words, *BUILT)


def install_for_builders(path):
    """Into path/usr, and what is configuration into path/etc."""
    make_installed("install", f"PREFIX={path}/usr", f"SYSCONFDIR={path}/etc", "CONFIG_GROUP=")


# How builders of modules compile in the tests.
BUILDERS_FLAGS = f"CFLAGS=-O1 -g -Wall -Wextra -Wshadow -Wconversion -Werror {FLAGS}"


def builders_environment(prefix):
    """Nothing of a checkout: pkg-config is all that leads to onesession."""
    env = {name: value for name, value in environment().items() if not name.startswith(("MAKE", "MFLAGS", "ONESESSION"))}
    return {**env, "PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}


def run(*command, **kwargs):
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=environment(), **kwargs)

"""One call of onesessiond or onesessionctl, and its refusal of a configuration."""

import subprocess

from support.processes import BUILD, SANITIZER_REPORT
from support.programs import environment


def run(*words, program="onesessiond", stdin=""):
    done = subprocess.run(
        [str(BUILD / program), *map(str, words)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    assert not SANITIZER_REPORT.search(done.stderr), done.stderr
    return done


def refused(done, *parts, program="onesessiond"):
    assert done.returncode == 78, f"{done.returncode} {done.stderr}"
    assert done.stdout == ""
    for part in parts:
        assert part in done.stderr, done.stderr

"""The model of the rule (tests/model/onesession.pml): spin looks at every order, and finds each way to break it."""

import re
import subprocess

import pytest

from support.processes import ROOT

MODEL = ROOT / "tests/model/onesession.pml"
MEGABYTES, DEPTH, PATIENCE = 1024, 10000, 900

HOLDS = [
    ["LIMIT=1"],
    ["LIMIT=2"],
    ["LIMIT=1", "TAB"],
    ["LIMIT=2", "TAB"],
    ["LIMIT=1", "OUTSIDE", "FEW"],
    ["LIMIT=2", "OUTSIDE", "FEW"],
    ["SWAP"],
]
BROKEN = [
    ["MUTATE_NO_LOCK"],
    ["MUTATE_CLOCK_ORDER"],
    ["MUTATE_LAST_REQUEST_WINS"],
    ["MUTATE_LOGOUT_CLEARS_ANY"],
    ["MUTATE_CRASH_KEEPS_LOCK"],
    ["OUTSIDE", "FEW", "MUTATE_STRAGGLERS_STAY"],
    ["SWAP", "MUTATE_LOCK_ORDER"],
]


def search(folder, defines):
    """The number of errors that spin finds, after a search that was cut short by nothing but an error."""

    def run(*command):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("spin", *(f"-D{define}" for define in defines), "-a", str(MODEL))
    run("gcc", "-O1", "-w", "-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={MEGABYTES}", "-o", "pan", "pan.c")
    report = run("./pan", f"-m{DEPTH}")
    counts = re.search(r"depth reached (\d+), errors: (\d+)\s+(\d+) states, stored", report)
    assert counts, report
    depth, errors, states = map(int, counts.groups())
    print(f"{' '.join(defines)}: {states} states, depth {depth}, errors {errors}")
    assert "max search depth too small" not in report and "out of memory" not in report, report
    if errors == 0:
        assert "Search not completed" not in report, report
        assert states > 10, report
    return errors


@pytest.mark.slow
@pytest.mark.parametrize("defines", HOLDS, ids="-".join)
def test_rule_holds_in_every_order(tmp_path, defines):
    assert search(tmp_path, defines) == 0


@pytest.mark.slow
@pytest.mark.parametrize("defines", BROKEN, ids="-".join)
def test_rule_that_is_broken_is_found_out(tmp_path, defines):
    assert search(tmp_path, defines) > 0

"""The model of the rule (tests/model/onesession.pml): spin looks at every order, and finds each way to break it."""

import re
import subprocess

import pytest

from support.processes import ROOT

MODEL = ROOT / "tests/model/onesession.pml"
MEGABYTES, DEPTH, HASH_BITS, PATIENCE = 1024, 10000, 20, 900

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


# In the order of the source, that there is no lock is seen after six million states. In an order of the processes that
# is drawn, always the same one, it is seen much sooner. Such a search leaves orders out: only what it finds counts.
DRAWN = (["-DP_RAND"], ["-RS3"])


def search(folder, defines, order=([], [])):
    """The number of errors that spin finds, after a search that was cut short by nothing but an error."""
    compiled, told = order

    def run(*command):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("spin", *(f"-D{define}" for define in defines), "-a", str(MODEL))
    # To optimize takes longer than it saves: most of the searches are over in less time than gcc -O1 takes.
    run("gcc", "-O0", "-w", "-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={MEGABYTES}", *compiled, "-o", "pan", "pan.c")
    # The size of the hash table is one of time only: what does not fit into it is chained.
    report = run("./pan", f"-m{DEPTH}", f"-w{HASH_BITS}", *told)
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
    assert search(tmp_path, defines, DRAWN) > 0 or search(tmp_path, defines) > 0

"""
Runs the tests in groups, one after the other, and says how long each took; goes on to the next group when one has
failed, and fails then in the end. What each says is also in BUILD/tests/GROUP.log.
"""

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TESTS = Path(__file__).resolve().parent
# Folders of tests/system, the longest first; units are the programs in C.
GROUPS = ["units", "daemon", "web_servers", "browser", "packages"]
# pytest's status when no test was chosen.
NO_TESTS = 5
PASSED = re.compile(r"^\[  PASSED  \] (\d+) test\(s\)\.$", re.M)
FAILED = re.compile(r"^(?:FAILED|ERROR) .*|^.* failed \(-?\d+\):$", re.M)


def run_program(command):
    """A program of unit tests, or the inputs that are kept of a fuzz target. Returns how many passed; None: it failed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        return None, f"{shlex.join(map(str, command))} failed ({done.returncode}):\n{done.stdout}"
    passed = PASSED.search(done.stdout)
    return int(passed[1]) if passed else 0, done.stdout


def run_units(build, jobs, log):
    sources = [path for folder in ("unit", "kit") for path in sorted((TESTS / folder).glob("test_*.c"))]
    programs = [[build / "tests" / path.stem] for path in sources]
    for path in sorted((TESTS / "fuzz").glob("fuzz_*.c")):
        name = path.stem.removeprefix("fuzz_")
        programs.append([build / "tests/fuzz" / name, TESTS / "fuzz/seeds" / name])
    with ThreadPoolExecutor(jobs) as pool:
        results = list(pool.map(run_program, programs))
    log.write_text("".join(said for _, said in results))
    failed = [said for count, said in results if count is None]
    for said in failed:
        print(said)
    passed = sum(count or 0 for count, _ in results)
    print(f"{passed} passed in {len(programs)} programs" + (f", {len(failed)} programs failed" if failed else ""))
    return not failed


def compile_tests(folder, environment):
    """Once, for all the processes that run them: each would take as long as for a hundred tests."""
    parts = [path for path in folder.iterdir() if path.is_dir() and list(path.glob("test_*.py"))] or [folder]
    collect = [sys.executable, "-m", "pytest", "-qq", "--collect-only", "-p", "no:cacheprovider"]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for part in parts:
            pool.submit(subprocess.run, [*collect, part], stdout=subprocess.DEVNULL, env=environment, check=False)


def run_system(group, build, jobs, log, flags):
    """Returns whether all passed; None: no test of the group was chosen."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(jobs), "-p", "no:cacheprovider"]
    command += [f"--progress-of={group}", "-o", "console_output_style=none", TESTS / "system" / group, *flags]
    environment = {**os.environ, "ONESESSION_BUILD": str(build), "ONESESSION_COMPILED": str(build / "tests/compiled")}
    compile_tests(TESTS / "system" / group, environment)
    with open(log, "wb") as kept, subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as tests:
        # As it comes: nothing waits for the end of a pipe's block.
        while said := tests.stdout.read1(65536):
            kept.write(said)
            sys.stdout.buffer.write(said)
            sys.stdout.flush()
        status = tests.wait()
    return None if status == NO_TESTS and flags else status == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, epilog="PYTEST_FLAGS: for pytest, such as -k reload")
    parser.add_argument("--build", type=Path, required=True, help="the folder of the programs to test")
    parser.add_argument("--jobs", type=int, default=3 * (os.cpu_count() or 1), help="tests beside each other; most of the time they wait")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; without any: all")
    options = parser.parse_args()
    # Whoever runs this by nohup ignores it, and what the tests start would, too.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    unknown = [group for group in options.groups if group not in GROUPS]
    if unknown:
        parser.error(f"there is no group {unknown[0]}: {', '.join(GROUPS)}")
    logs = options.build / "tests"
    logs.mkdir(parents=True, exist_ok=True)
    flags = shlex.split(os.environ.get("PYTEST_FLAGS", ""))
    told, failed, ran = [], [], 0
    for group in [name for name in GROUPS if name in (options.groups or GROUPS)]:
        if group == "units" and flags:
            continue
        print(f"---- {group}", flush=True)
        began = time.monotonic()
        log = logs / f"{group}.log"
        if group == "units":
            passed = run_units(options.build, options.jobs, log)
        else:
            passed = run_system(group, options.build, options.jobs, log, flags)
        if passed is None:
            continue
        ran += 1
        told.append(f"{group} {time.monotonic() - began:.0f} s")
        if not passed:
            failed.append(group)
    # Once more where all is said, for whoever keeps the last lines only.
    for group in failed:
        for line in FAILED.findall((logs / f"{group}.log").read_text(errors="replace")):
            print(f"{group}: {line}")
    print(f"---- {', '.join(told)}: " + (f"FAILED: {', '.join(failed)}" if failed else "all passed" if ran else "no test"))
    return 0 if ran and not failed else 1


if __name__ == "__main__":
    sys.exit(main())

"""
Runs the fuzz targets, as many at a time as there are processors, and prints a table of results. Inputs that reach new code
stay in BUILD/corpus/TARGET for the next run, inputs that crash a target in BUILD/crashes/TARGET. Fails when a target
crashed, hung or could not be run.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent

# The longest useful inputs; libFuzzer's own limit is more than most of these parsers read.
LONGEST = {
    "accept": 300,
    "configuration": 450,
    "cookie": 300,
    "cookie_token": 50,
    "csv": 400,
    "form": 600,
    "forwarded": 600,
    "json_login": 400,
    "multipart": 400,
    "next": 100,
    "password_hash": 200,
    "query": 400,
    "request": 1000,
    "template": 200,
    "texts": 300,
}
# Seconds. No input takes as long, not even on a busy machine: longer is a hang.
TIMEOUT = 60
# Mebibytes.
MEMORY = 1024

STATUS = re.compile(r"^#(\d+)\s.*cov: (\d+).*corp: (\d+)/", re.M)
UNITS = re.compile(r"^stat::number_of_executed_units:\s+(\d+)", re.M)


class Target:
    """One target's run, from its start to its line in the table."""

    def __init__(self, name, build, arguments):
        self.name = name
        self.crashes = build / "crashes" / name
        self.corpus = build / "corpus" / name
        for folder in (self.crashes, self.corpus):
            folder.mkdir(parents=True, exist_ok=True)
        self.log = build / f"{name}.log"
        self.kept = self.inputs()
        dictionary = HERE / "dictionaries" / name
        command = [
            build / "tests" / "fuzz" / name,
            self.corpus,
            HERE / "seeds" / name,
            f"-artifact_prefix={self.crashes}/",
            f"-max_len={LONGEST.get(name, 400)}",
            f"-timeout={TIMEOUT}",
            f"-report_slow_units={TIMEOUT}",
            f"-rss_limit_mb={MEMORY}",
            "-print_final_stats=1",
            *([f"-dict={dictionary}"] if dictionary.exists() else []),
            *arguments,
        ]
        environment = {
            **os.environ,
            "ASAN_OPTIONS": "detect_leaks=1:quarantine_size_mb=4",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment
            )
        self.began = self.ended = time.monotonic()

    def inputs(self):
        return {path.name for path in self.crashes.iterdir()}

    def text(self):
        return self.log.read_text(errors="replace")

    def state(self):
        """Runs, edges, inputs in the corpus."""
        text = self.text()
        lines = STATUS.findall(text)
        runs, edges, corpus = map(int, lines[-1]) if lines else (0, 0, 0)
        if total := UNITS.search(text):
            runs = int(total[1])
        return runs, edges, corpus

    @property
    def found(self):
        return sorted(self.inputs() - self.kept)

    @property
    def failed(self):
        return self.process.returncode != 0 or bool(self.found)

    def line(self):
        runs, edges, corpus = self.state()
        speed = runs / (self.ended - self.began)
        return f"{self.name:<15}{runs:>12,}{speed:>10,.0f}{corpus:>8,}{edges:>8,}{len(self.found):>9}"


HEADER = f"{'target':<15}{'runs':>12}{'runs/s':>10}{'corpus':>8}{'edges':>8}{'crashes':>9}"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="+")
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--runs", type=int, help="of each target, however long they take")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


def run(options, running, ended):
    """Fills `ended`; `running` holds the targets to end after an exception."""
    arguments = [f"-runs={options.runs}"] if options.runs else [f"-max_total_time={options.seconds}"]
    # Targets with long inputs are slow, so they begin first.
    waiting = sorted(options.targets, key=lambda name: -LONGEST.get(name, 0))
    printed = time.monotonic()
    while waiting or running:
        while waiting and len(running) < options.jobs:
            running.append(Target(waiting.pop(0), options.build.resolve(), arguments))
        try:
            running[0].process.wait(0.2)
        except subprocess.TimeoutExpired:
            pass
        for target in [target for target in running if target.process.poll() is not None]:
            target.ended = time.monotonic()
            running.remove(target)
            ended.append(target)
            print(f"fuzz: {target.name}: {'FAILED' if target.failed else 'done'}", flush=True)
        if time.monotonic() - printed >= 10:
            printed = time.monotonic()
            states = [f"{target.name} {target.state()[0]:,}" for target in running]
            print(f"fuzz: {len(ended)} of {len(options.targets)} done; {', '.join(states)} runs", flush=True)


def print_table(ended):
    print(f"\n{HEADER}")
    for target in sorted(ended, key=lambda target: target.name):
        print(target.line())
    for target in ended:
        if target.failed:
            print(f"\n{target.name} FAILED: {target.log}")
            print("\n".join(line[:200] for line in target.text().splitlines()[-40:]))
            for name in target.found:
                print(f"the input is kept: {target.crashes / name}")


def main():
    options = parse_arguments()
    running, ended = [], []
    try:
        run(options, running, ended)
    finally:
        for target in running:
            target.process.kill()
            target.process.wait()
    print_table(ended)
    return 1 if any(target.failed for target in ended) else 0


if __name__ == "__main__":
    sys.exit(main())

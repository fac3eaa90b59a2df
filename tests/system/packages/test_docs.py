"""What the documentation points to is there: tests, files, sections."""

import json
import re
from pathlib import Path

import pytest

from support.processes import ROOT

DOCUMENTS = sorted(
    str(path.relative_to(ROOT)) for place in ("*.md", "docs/*.md", "tests/*.md") for path in ROOT.glob(place)
)


def without_code(text):
    return re.sub(r"(?ms)^```.*?^```$", "", text)


def sections(text):
    """The names that a reader's browser knows the headings by."""
    headings = re.findall(r"(?m)^#+ +(.*)$", without_code(text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document):
    path = ROOT / document
    targets = re.findall(r"\]\(([^)\s]+)\)", without_code(path.read_text()))
    for target in targets:
        if re.match(r"https?://", target):
            continue
        name, _, section = target.partition("#")
        found = path.parent / name if name else path
        assert found.exists(), f"{document} links to {target}"
        assert not section or section in sections(found.read_text()), f"{document} links to {target}"


def test_every_test_that_is_named_exists():
    text = (ROOT / "docs/asvs.md").read_text()
    named = set(re.findall(r"`(test_\w+\.(?:py|c))::(\w+)`", text))
    assert len(named) == len(set(re.findall(r"`([^`]*::[^`]*)`", text))) > 40
    for file, name in sorted(named):
        folder, form = ("unit", r"static void {}\(") if Path(file).suffix == ".c" else ("system", r"def {}\(")
        sources = list((ROOT / "tests" / folder).rglob(file))
        assert len(sources) == 1, f"{file}: {sources}"
        assert re.search(rf"(?m)^{form.format(name)}", sources[0].read_text()), f"{file}::{name}"


# Of what is a document.
UNSHOWN = {"6.1.3"}


def test_every_requirement_is_answered_once():
    text = (ROOT / "docs/asvs.md").read_text()
    asked = {"3.3": 5, "6.1": 3, "6.2": 12, "6.3": 8, "6.4": 6, "6.5": 8, "6.6": 4, "6.7": 2, "6.8": 4}
    asked |= {"7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 3, "7.6": 2}
    numbers = [f"{section}.{i}" for section, count in asked.items() for i in range(1, count + 1)]
    rows = re.findall(r"(?m)^\| (\d\.\d\.\d+) \| (\d) \| [^|]+ \| (yes|site|partly|no|-) \| [^|]+ \|([^|]*)\|$", text)
    assert sorted(number for number, *_ in rows) == sorted(numbers)
    for number, _, answer, shown in rows:
        assert ("`" in shown) == (answer not in ("-", "no")) or number in UNSHOWN, number


def test_every_event_is_described():
    sources = {path.name: path.read_text() for path in ROOT.glob("daemon/**/*.c")}
    written = set(re.findall(r'\[ONES_\w+\] = "(\w+)"', sources["signals.c"]))
    for text in sources.values():
        for where in (r"\.event = ", r"event_record record = \{\s*\.name = ", r"\b(?:events_)?record\w*\([^\",;]+, "):
            written |= set(re.findall(where + r'"(\w+)"', text))
    assert len(written) >= 12
    rows = re.findall(r"(?m)^\| ((?:`\w+`(?:, )?)+) \|", (ROOT / "docs/events.md").read_text())
    described = {name for row in rows for name in re.findall(r"\w+", row)}
    assert written <= described, written - described


@pytest.mark.parametrize("lock", ["tests/package-lock.json", "tests/bench/express/package-lock.json"])
def test_what_npm_brings_runs_with_the_node_of_debian_12(lock):
    """Which is 18; playwright-core of late wants a newer one."""
    packages = json.loads((ROOT / lock).read_text())["packages"]
    wanted = {name: what["engines"]["node"] for name, what in packages.items() if "node" in what.get("engines", {})}
    assert wanted
    for name, versions in wanted.items():
        # Without a number ("*") it is any.
        assert min(map(int, re.findall(r"[>^]=? ?(\d+)", versions) or [0])) <= 18, f"{name}: {versions}"

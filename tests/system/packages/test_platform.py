"""The comparison with other platforms for C (make bench PARTS=platform): what it accepts, what it writes, its document."""

import json
import re
import sys
from types import SimpleNamespace

import pytest

from support.processes import ROOT

sys.path.append(str(ROOT / "tests/bench"))

# pylint: disable=wrong-import-position
import platform_tables
import platforms
from load import Answer
from machine import Failure

DOCUMENT = ROOT / "docs/platform.md"
ROWS = [(number, f"title {number}", 1920, "summary") for number in range(1, platforms.TITLES + 1)]


def answers_with(change=lambda row: row, content_type="application/json", missing=404):
    """Stands for a platform: it answers from ROWS."""

    def ask(_port, _host, path, cookie):
        assert cookie.startswith("onesession=")
        text = path.rpartition("/")[2]
        if not text.isdigit() or int(text) > platforms.TITLES:
            return Answer(missing, {}, [], "")
        row = change(dict(zip(platforms.COLUMNS, ROWS[int(text) - 1])))
        return Answer(200, {"content-type": content_type}, [], json.dumps(row))

    return ask


def verify(monkeypatch, ask):
    monkeypatch.setattr(platforms, "ask", ask)
    server = SimpleNamespace(query=lambda database, sql: ROWS)
    bench = SimpleNamespace(server=server, main=SimpleNamespace(database="x"), web=SimpleNamespace(port=1))
    platforms.verify(bench, "libfcgi", platforms.PATH, None)


def test_right_answers_are_accepted(monkeypatch):
    verify(monkeypatch, answers_with())


@pytest.mark.parametrize(
    "ask",
    [
        answers_with(lambda row: {**row, "year": str(row["year"])}),
        answers_with(lambda row: {**row, "title": "another"}),
        answers_with(lambda row: {"id": row["id"]}),
        answers_with(content_type="text/plain"),
        answers_with(missing=200),
        answers_with(missing=500),
    ],
    ids=["a text for a number", "another row", "too little", "no JSON", "200 for none", "500 for none"],
)
def test_wrong_answers_are_refused_before_anything_is_timed(monkeypatch, ask):
    with pytest.raises(Failure):
        verify(monkeypatch, ask)


def results():
    def one(number, rate):
        return {"round": number, "rate": rate, "p50": 1.0, "p99": 2.0, "cpu_us": {"own": 50, "postgresql": 60, "nginx": 70}}

    return {
        "began": "2026-01-01 00:00 UTC",
        "host": {"cores": 2, "cpu": "one", "load_before": 0.1},
        "versions": {"kore": "4.1.0"},
        "options": {"rounds": 3, "seconds": 1},
        "entries": {
            # The second round of the module is missing, as when it failed.
            "libfcgi": {"16": [one(1, 1000), one(2, 10), one(3, 2000)]},
            "module": {"16": [one(1, 900), one(3, 1000)]},
        },
        "memory": {"libfcgi": {"processes": [{"Rss": 2048, "Pss": 1024, "Private_Dirty": 512}] * 3, "source_lines": 85}},
    }


def test_ratios_are_taken_within_each_round():
    assert platform_tables.to_base(results(), "module", 16) == [0.9, 0.5]
    assert "| onesession module | – | – | 950 | – | – | – | 0.70 (0.50–0.90) | – |" in platform_tables.section(results())


def test_memory_is_of_one_process_and_of_all():
    assert "| libfcgi and libpq | 3 | 2.0 | 1.0 | 0.5 | 3.0 | 85 |" in platform_tables.section(results())


def test_figures_take_the_place_of_those_that_the_document_has_and_leave_the_rest():
    before = DOCUMENT.read_text(encoding="utf-8")
    after = platform_tables.put(results(), before)
    head, _, rest = before.partition(platform_tables.BEGIN)
    tail = rest.partition(platform_tables.END)[2]
    assert after.startswith(head) and after.endswith(tail)
    assert "2026-01-01 00:00 UTC" in after
    assert platform_tables.put(results(), after) == after


def test_every_claim_of_the_document_has_its_source_and_every_source_a_claim():
    claims, _, sources = DOCUMENT.read_text(encoding="utf-8").partition("## Sources")
    named = {name for group in re.findall(r"\(([a-z]\d+(?:, [a-z]\d+)*)\)", claims) for name in group.split(", ")}
    listed = re.findall(r"(?:^|[:;]\s)([a-z]\d+)\s", sources, re.M)
    assert len(listed) == len(set(listed)) > 50
    assert named == set(listed), named ^ set(listed)

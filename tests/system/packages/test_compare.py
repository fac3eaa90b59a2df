"""The comparison with others (make compare): how it judges what it sees, and what it writes."""

import json
import sys
import threading
import time

import pytest

from support.processes import ROOT

sys.path.append(str(ROOT / "tests/bench"))

# pylint: disable=wrong-import-position
import compare
import compared
from contestants import Service
from load import Answer
from machine import Failure


class Site:
    """Stands for a contestant: lets in whom `is_live` says."""

    name = "site"

    def __init__(self, is_live):
        self.is_live = is_live
        self.lock = threading.Lock()
        self.count = 0

    def log_in(self, _user):
        with self.lock:
            self.count += 1
            return f"session={self.count}"

    def ask(self, _path, cookie):
        return Answer(200 if self.is_live(cookie) else 401, {}, [], "")

    def live(self, cookies):
        return Service.live(self, cookies)


def displaced(site):
    return compare.Displaced("site", "same", site, "session=1", time.monotonic())


def test_a_browser_that_is_refused_at_once_was_never_let_in():
    browser = displaced(Site(lambda cookie: False))
    browser.come()
    assert browser.last_in == 0 and not browser.is_out


def test_a_browser_is_out_only_when_it_was_refused_for_long(monkeypatch):
    monkeypatch.setattr(compare, "OUT_AFTER", 5)
    monkeypatch.setattr(compare, "AT_ONCE", 1)
    answers = iter([False, True, False])
    browser = displaced(Site(lambda cookie: next(answers, False)))
    for _ in range(3):
        browser.come()
    assert browser.last_in > 0 and not browser.is_out
    browser.since -= 6
    browser.come()
    assert browser.is_out


def test_one_thing_that_a_browser_gets_is_enough_to_be_in():
    answers = iter([True])
    browser = displaced(Site(lambda cookie: next(answers, False)))
    browser.come()
    assert browser.last_in > 0


def test_an_error_is_no_refusal():
    site = Site(None)
    site.ask = lambda path, cookie: Answer(502, {}, [], "")
    with pytest.raises(Failure):
        displaced(site).come()


@pytest.mark.parametrize("live, left", [(lambda _: True, 3), (lambda cookie: cookie == "session=3", 1), (lambda _: False, 0)])
def test_live_sessions_are_counted_when_all_have_been_answered(live, left):
    assert compare.sign_in_together(Site(live), "u1", 3) == (left, 3)


def test_a_sign_in_that_fails_is_counted_and_ends_nothing():
    site = Site(lambda _: True)
    log_in = site.log_in

    def fail_once(user):
        cookie = log_in(user)
        if cookie == "session=1":
            raise Failure("500")
        return cookie

    site.log_in = fail_once
    assert compare.sign_in_together(site, "u1", 4) == (3, 3)


# ---- What it writes --------------------------------------------------------------------------------------------------


def results(**parts):
    options = {"connections": 16, "seconds": 4, "warm_up": 1, "rounds": 1, "sessions": 10, "workers": 8}
    options.update(at_once=6, often=0.5, seldom=1.0, often_for=20, stale=660, browsers=[2, 3, 4], races=20)
    host = {"cores": 2, "cpu": "a processor", "memory_gib": 8, "system": "Debian"}
    return {"began": "today", "host": host, "versions": {"nginx": "1"}, "options": {"comparison": options}, **parts}


def measured(rate, **more):
    cpu = {"own": 1, "postgresql": 2, "nginx": 3}
    return [{"round": 1, "rate": rate, "p50": 1, "p99": 2, "cpu_us": cpu, "memory": [1024, 3072], **more}]


WHOLE = {
    "guarded": {"onesession": measured(1000), "strict": measured(50)},
    "stale": {
        "onesession": {"same": {"last_in": 0, "is_out": True}, "another": {"last_in": 0, "is_out": True}, "told": "Ada"},
        "lemonldap": {
            "same": {"last_in": 13.4, "is_out": True},
            "another": {"last_in": 59.9, "is_out": False},
            "told": None,
        },
    },
    "race": {"strict": [{"browsers": 2, "signed_in": 2, "left": left} for left in (0, 0, 1, 2, 3)]},
}


@pytest.fixture(autouse=True)
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(compared, "RESULTS", tmp_path / "compare.json")


def row(text, name):
    lines = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
    return [cell.strip() for cell in lines[0].split("|")[2:-1]]


def test_the_overview_says_what_each_was_like_side_by_side():
    compared.keep(results(**WHOLE))
    text = compared.overview(compared.load())
    assert row(text, "onesession") == ["1,000", "2.0", "0", "0", "– / – / –", "“Ada”"]
    assert row(text, "LemonLDAP::NG") == ["–", "–", "13", "over 60", "– / – / –", "–"]
    assert row(text, "LemonLDAP::NG, no caches") == ["50", "2.0", "–", "–", "2 / 1 / 2", "–"]


def test_a_part_that_is_left_out_stays_as_it_was():
    compared.keep(results(**WHOLE))
    run = results(guarded={"onesession": measured(2000)})
    compared.keep(run)
    assert "guarded" not in run, "it is not kept twice"
    data = json.loads(compared.RESULTS.read_text())
    assert data["guarded"]["found"]["onesession"][0]["rate"] == 2000
    assert data["race"]["found"] == WHOLE["race"]


def test_the_section_takes_its_own_place_in_the_report_and_no_other():
    report = f"# Benchmarks\n\nbefore\n\n{compared.NEXT}\n\nafter\n"
    assert compared.put(compared.load(), report) == report, "there is nothing yet"
    compared.keep(results(**WHOLE))
    once = compared.put(compared.load(), report)
    assert once.startswith(f"# Benchmarks\n\nbefore\n\n{compared.HEADING}\n")
    assert once.endswith(f"\n{compared.NEXT}\n\nafter\n") and once.count(compared.HEADING) == 1
    assert compared.put(compared.load(), once) == once


def test_what_people_are_told_is_the_notice_of_a_page_or_its_heading():
    notice = '<h1>You were signed out</h1><p class="notice" id="told">\nBy <b>Firefox</b> &amp; co.</p>'
    assert Service.words(notice) == "By Firefox & co."
    assert Service.words("<center><h1>401 Authorization Required</h1></center>") == "401 Authorization Required"

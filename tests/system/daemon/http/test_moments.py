"""When something was, as pages tell it: the time for today, the day before that, the year before this one."""

import re

import pytest

from support.browser import CHROME, FIREFOX

# One site is enough for the tests that share it.
pytestmark = pytest.mark.xdist_group("test_moments")


# A day of another year whenever the test is run; and one of this year unless that is today.
@pytest.mark.parametrize(
    "moment, told",
    [
        ("date_trunc('year', now()) - interval '1 day' + interval '10 hours'", r"31 December \d{4}, 10:00 UTC"),
        ("make_timestamptz(2020, 2, 3, 4, 5, 6, 'UTC')", r"3 February 2020, 04:05 UTC"),
        (
            "CASE WHEN extract(doy FROM now()) = 1 THEN now() ELSE date_trunc('year', now()) END",
            r"1 January, |\d\d:\d\d UTC",
        ),
    ],
)
def test_page_tells_when_a_session_was_ended(shared_site, browse, moment, told):
    site = shared_site
    old = browse(site, program=False, user_agent=CHROME)
    old.sign_in()
    browse(site, user_agent=FIREFOX).sign_in()
    site.database.query(f"UPDATE ended_sessions SET ended_at = {moment}")
    text = old.get("/session/login").text
    assert re.search(rf"<time [^>]+>(?:{told})[^<]*</time>", text), text

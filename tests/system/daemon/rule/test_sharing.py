"""Accounts that are handed around: takeovers are counted, told once in a window, and slowed down by a cooldown."""

import json

from support.browser import live_among, problem
from support.waiting import Background


def shared_events(site):
    return [row[0] for row in site.database.query("SELECT detail FROM events WHERE name = 'account_shared' ORDER BY id")]


def takeovers(site, username="alice"):
    return site.database.value(
        "SELECT t.count FROM takeovers t JOIN users u ON u.id = t.user_id WHERE u.username = %s", username
    )


def take_over(site, browse, times):
    browsers = [browse(site) for _ in range(times)]
    for browser in browsers:
        browser.sign_in()
    return browsers


def test_sharing_is_told_once_in_a_window(new_site, browse):
    site = new_site({"sharing.takeovers": 3})
    take_over(site, browse, 3)
    assert shared_events(site) == []
    take_over(site, browse, 1)
    assert shared_events(site) == [{"takeovers": 3}]
    take_over(site, browse, 4)
    assert len(shared_events(site)) == 1
    assert takeovers(site) == 7
    site.database.query("UPDATE takeovers SET began_at = began_at - interval '1 hour'")
    take_over(site, browse, 2)
    assert takeovers(site) == 2
    take_over(site, browse, 1)
    assert len(shared_events(site)) == 2


def test_log_has_a_warning(new_site, browse):
    site = new_site({"sharing.takeovers": 1, "log.format": "json"})
    take_over(site, browse, 2)
    lines = [json.loads(line) for line in site.daemon.log_text().splitlines() if "account_shared" in line]
    assert [(line["level"], line["username"], line["takeovers"]) for line in lines] == [("warning", "alice", 1)]


def test_logging_in_again_in_the_same_browser_is_no_takeover(site, browse):
    browser = browse(site)
    for _ in range(3):
        browser.sign_in()
    other = browse(site)
    browser.logout()
    other.sign_in()
    assert site.database.value("SELECT count(*) FROM takeovers") == 0


def test_refused_logins_are_no_takeovers(new_site, browse):
    site = new_site({"session.on_limit": "ask"})
    browse(site).sign_in()
    for _ in range(3):
        browse(site).login()
    assert site.database.value("SELECT count(*) FROM takeovers") == 0
    browse(site).sign_in(take_over=True)
    assert takeovers(site) == 1


def test_accounts_are_counted_apart(new_site, browse):
    site = new_site({"sharing.takeovers": 2})
    take_over(site, browse, 2)
    browse(site).sign_in("bob")
    browse(site).sign_in("bob")
    assert (takeovers(site, "alice"), takeovers(site, "bob")) == (1, 1)
    assert shared_events(site) == []


def test_by_default_sharing_is_told_and_nobody_waits(site, browse):
    browsers = take_over(site, browse, 9)
    assert live_among(browsers) == [8]
    assert len(shared_events(site)) == 1


COOLDOWN = {"sharing.action": "cooldown", "sharing.takeovers": 2, "sharing.cooldown": "10m"}


def test_cooldown_keeps_the_session_that_is_there(new_site, browse):
    site = new_site(COOLDOWN)
    browsers = take_over(site, browse, 3)
    late = browse(site)
    answer = late.login()
    body = problem(answer, 429, "cooldown")
    assert 0 < int(answer.headers["Retry-After"]) <= 600
    assert len(body["sessions"]) == 1
    assert live_among([*browsers, late]) == [2]
    # The one that is live may sign in again, and out.
    browsers[2].sign_in()
    browsers[2].logout()
    late.sign_in()


def test_cooldown_is_no_failed_attempt(new_site, browse):
    site = new_site({**COOLDOWN, "login.attempts_per_user": 2})
    take_over(site, browse, 3)
    for _ in range(4):
        problem(browse(site).login(), 429, "cooldown")
    assert site.database.value("SELECT count(*) FROM login_failures") == 0
    problem(browse(site).login(password="not the password"), 401, "invalid_credentials")


def test_cooldown_ends(new_site, browse):
    site = new_site(COOLDOWN)
    take_over(site, browse, 3)
    assert browse(site).login().status_code == 429
    site.database.query("UPDATE takeovers SET cooldown_until = now()")
    take_over(site, browse, 1)
    # Still in the window, so it begins anew.
    assert browse(site).login().status_code == 429
    site.database.query("UPDATE takeovers SET cooldown_until = now(), began_at = now() - interval '2 hours'")
    take_over(site, browse, 2)
    assert browse(site).login().status_code == 429


def test_person_is_told_of_the_cooldown(new_site, browse):
    site = new_site(COOLDOWN)
    take_over(site, browse, 3)
    answer = browse(site, program=False).login()
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) > 0
    assert "10 minutes" in answer.text


def test_cooldown_goes_before_the_question(new_site, browse):
    site = new_site({**COOLDOWN, "session.on_limit": "ask"})
    browse(site).sign_in()
    for _ in range(2):
        browse(site).sign_in(take_over=True)
    problem(browse(site).login(), 429, "cooldown")


def test_takeovers_at_once_are_each_counted(new_site, browse):
    site = new_site({"sharing.takeovers": 4, "server.workers": 4})
    browse(site).sign_in()
    calls = [Background(browse(site).sign_in) for _ in range(8)]
    for call in calls:
        call.result()
    assert takeovers(site) == 8
    assert len(shared_events(site)) == 1

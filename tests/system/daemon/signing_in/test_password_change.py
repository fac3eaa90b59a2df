"""Another password: every other session ends, this one goes on with a new key; and hashes that are brought up to date."""

import pytest

from support.browser import CHROME, FIREFOX, live_among, problem, with_key
from support.waiting import Background

NEW = "another good password"


def change(browser, current=None, new=NEW):
    current = browser.site.database.password if current is None else current
    return browser.post("/session/password", {"current_password": current, "new_password": new})


def test_new_password_ends_every_other_session_and_rotates_mine(new_site, browse):
    site = new_site({"session.max_sessions": 3})
    others = [browse(site) for _ in range(2)]
    for other in others:
        other.sign_in()
    mine = browse(site, user_agent=CHROME)
    former_id, former_key = mine.sign_in()["session"]["id"], mine.key
    answer = change(mine)
    assert answer.status_code == 200
    body = answer.json()
    assert body["user"]["username"] == "alice"
    assert body["session"]["id"] != former_id
    assert mine.key != former_key
    assert mine.is_live()
    for other in others:
        state = other.state()
        assert (state["reason"], state["by"]) == ("password_changed", {"browser": "Chrome", "os": "Windows"})
    assert with_key(others[0], former_key).auth() == "password_changed"
    assert len(site.database.sessions()) == 1


def test_only_the_new_password_signs_in_afterwards(site, browse):
    mine = browse(site)
    mine.sign_in()
    assert change(mine).status_code == 200
    problem(browse(site).login(), 401, "invalid_credentials")
    browse(site).sign_in(password=NEW)


def test_wrong_current_password_leaves_the_session_as_it_was(site, browse):
    mine = browse(site)
    mine.sign_in()
    key = mine.key
    problem(change(mine, current="not the password"), 401, "invalid_credentials")
    assert mine.key == key and mine.is_live()
    assert site.database.value("SELECT count(*) FROM ended_sessions") == 0
    browse(site).sign_in()


def test_wrong_current_passwords_are_counted_as_guesses(new_site, browse):
    """Whoever finds a browser signed in cannot go through a list of passwords either."""
    site = new_site({"login.attempts_per_user": 3})
    mine = browse(site)
    mine.sign_in()
    statuses = [change(mine, current=f"guess {number}").status_code for number in range(8)]
    assert statuses[:3] == [401] * 3
    assert 429 in statuses
    throttled = change(mine, current="guess")
    assert throttled.status_code == 429 and int(throttled.headers["Retry-After"]) > 0


@pytest.mark.parametrize("new", ["", "short", "1234567", "äöüäöü", "x" * 1025])
def test_new_password_that_is_too_short_or_too_long(site, browse, new):
    mine = browse(site)
    mine.sign_in()
    body = problem(change(mine, new=new), 400, "bad_request")
    assert "8" in body["detail"] and "1024" in body["detail"]
    assert mine.is_live()
    browse(site).sign_in()


@pytest.mark.parametrize("new", ["kqzwmvxj", "long enough " * 80, "  spaces count  ", "äöüßéàçñ", "\u1e9b\u0323 not normalized"])
def test_new_password_is_taken_as_it_is(site, browse, new):
    mine = browse(site)
    mine.sign_in()
    assert change(mine, new=new).status_code == 200
    browse(site).sign_in(password=new)
    problem(browse(site).login(password=new.strip() + "x"), 401, "invalid_credentials")
    if new.strip() != new:
        problem(browse(site).login(password=new.strip()), 401, "invalid_credentials")


def test_change_by_somebody_who_is_not_signed_in(site, browse):
    problem(change(browse(site)), 401, "unauthenticated")
    answer = change(browse(site, program=False))
    assert answer.status_code == 303 and answer.headers["Location"].startswith("/session/login")


def test_displaced_device_changes_no_password(site, browse):
    old, new = browse(site), browse(site)
    old.sign_in()
    new.sign_in()
    problem(change(old), 401, "displaced")
    assert new.is_live()
    browse(site).sign_in()


def test_fields_that_are_missing(site, browse):
    mine = browse(site)
    mine.sign_in()
    for fields in ({}, {"current_password": "x"}, {"new_password": NEW}):
        problem(mine.post("/session/password", fields), 400, "bad_request")
    answer = mine.get("/session/password")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


def test_change_from_another_site_is_refused(site, browse):
    mine = browse(site)
    mine.sign_in()
    answer = mine.post(
        "/session/password",
        {"current_password": site.database.password, "new_password": NEW},
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    problem(answer, 403, "cross_site")


def test_change_is_told_to_receivers_and_in_events(new_site, browse):
    site = new_site({"session.max_sessions": 2})
    other, mine = browse(site), browse(site)
    other_id = other.sign_in()["session"]["id"]
    mine.sign_in()
    new_id = change(mine).json()["session"]["id"]
    events = site.database.query(
        "SELECT name, session_id::text, detail FROM events ORDER BY id DESC LIMIT 2",
    )
    assert [event[:2] for event in events] == [("user_logged_out", other_id), ("password_changed", new_id)]
    assert events[0][2] == {"reason": "password_changed", "by": new_id}
    assert site.database.value("SELECT session_key FROM sessions") == site.database.value(
        "SELECT session_key FROM logged_in_user"
    )


def test_two_changes_at_once_leave_one_password_and_one_session(new_site, browse):
    """The one that comes second verified a password that is no longer the account's."""
    site = new_site({"session.max_sessions": 2})
    browsers = [browse(site) for _ in range(2)]
    for browser in browsers:
        browser.sign_in()
    calls = [Background(change, browser, new=f"new good password {n}") for n, browser in enumerate(browsers)]
    statuses = [call.result().status_code for call in calls]
    assert sorted(statuses) == [200, 401]
    winner = statuses.index(200)
    assert live_among(browsers) == [winner]
    browse(site).sign_in(password=f"new good password {winner}")


def test_change_and_a_login_elsewhere_at_once(site, browse):
    """Whichever comes last: one session is live, and the password is the new one or nobody was signed out by it."""
    for turn in range(5):
        current = site.database.password if turn == 0 else f"good password {turn - 1}"
        mine, other = browse(site), browse(site)
        mine.sign_in(password=current)
        calls = [Background(change, mine, current, f"good password {turn}"), Background(other.login, password=current)]
        changed, login = (call.result().status_code for call in calls)
        assert changed in (200, 401) and login in (200, 401)
        assert len(live_among([mine, other])) == 1
        if changed != 200:
            browse(site).sign_in(password=current)
            site.ctl().run("user", "passwd", "alice", stdin=f"good password {turn}\n")


# ---- People ----------------------------------------------------------------------------------------------------------


def test_person_changes_the_password_by_the_account_page(site, browse):
    mine = browse(site, program=False, user_agent=FIREFOX)
    mine.sign_in()
    page = mine.get("/session/account").text
    assert 'action="/session/password"' in page and 'name="current_password"' in page and 'name="new_password"' in page
    answer = change(mine)
    assert answer.status_code == 303
    page = mine.get(answer.headers["Location"])
    assert page.status_code == 200 and "password" in page.text.lower()
    assert mine.is_live()


@pytest.mark.parametrize("current, new, status", [("not the password", NEW, 401), (None, "short", 400)])
def test_person_gets_the_account_page_again(site, browse, current, new, status):
    mine = browse(site, program=False)
    mine.sign_in()
    answer = change(mine, current, new)
    assert answer.status_code == status
    assert 'action="/session/password"' in answer.text and 'role="alert"' in answer.text
    assert mine.is_live()


# ---- Hashes ----------------------------------------------------------------------------------------------------------


def hash_of(site, username="alice"):
    return site.database.value("SELECT password FROM users WHERE username = %s", username)


def test_login_brings_the_hash_to_the_parameters_in_force(new_site, browse):
    site = new_site({"login.memory": "16MiB", "login.passes": 2})
    former = hash_of(site)
    problem(browse(site).login(password="not the password"), 401, "invalid_credentials")
    assert hash_of(site) == former
    browse(site).sign_in()
    assert hash_of(site).startswith("$argon2id$v=19$m=16384,t=2,p=1$")
    upgraded = hash_of(site)
    browse(site).sign_in()
    assert hash_of(site) == upgraded


def test_first_logins_at_once_all_succeed_though_each_would_upgrade_the_hash(new_site, browse):
    site = new_site({"login.memory": "16MiB", "login.passes": 2, "login.max_hashing": 4, "server.workers": 4})
    browsers = [browse(site) for _ in range(4)]
    for call in [Background(browser.sign_in) for browser in browsers]:
        call.result()
    assert len(live_among(browsers)) == 1


def test_hash_is_upgraded_also_when_the_login_is_refused_by_the_limit(new_site, browse):
    site = new_site({"session.on_limit": "refuse", "login.passes": 2})
    site.database.add_user("eve")
    browse(site).sign_in()
    former = hash_of(site)
    site.database.query("UPDATE users SET password = (SELECT password FROM users WHERE username = 'eve')"
                        " WHERE username = 'alice'")
    assert browse(site).login().status_code == 409
    assert hash_of(site) != former
    assert "t=2" in hash_of(site)


def test_browsers_that_were_known_with_the_former_password_are_forgotten(new_site, browse):
    """But for the one at which it is changed: failures of others must not keep that one out."""
    site = new_site({"session.max_sessions": 3, "login.attempts_per_user": 2})
    others, mine = [browse(site) for _ in range(2)], browse(site)
    for browser in (*others, mine):
        browser.sign_in()
    assert site.database.value("SELECT count(*) FROM known_browsers") == 3
    assert change(mine).status_code == 200
    assert site.database.value("SELECT count(*) FROM known_browsers") == 1
    for _ in range(3):
        browse(site).login(password="not the password")
    assert others[0].login(password=NEW).status_code == 429
    mine.sign_in(password=NEW)
    site.ctl().run("user", "passwd", "alice", stdin="a third password\n")
    assert site.database.value("SELECT count(*) FROM known_browsers") == 0

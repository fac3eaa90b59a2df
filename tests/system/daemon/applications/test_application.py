"""An application of a C programmer's own: a daemon with the routes and receivers of tests/application."""

import re

import pytest

from support.browser import CHROME, ROBOT, problem

UNREACHABLE = "Unreachable/1.0"


def audit(site, *signals):
    """What the receivers in the transaction have written: receiver, signal, whether the key was stored by then."""
    return site.database.query(
        "SELECT receiver, signal, is_stored FROM application_audit WHERE signal = ANY(%s) ORDER BY id", list(signals)
    )


def notebook(site, browse):
    """What the receivers after the commit have written down: (label, signal, account, reason) each."""
    lines = browse(site).get("/session/application/notebook").json()
    return [tuple(line.replace(": ", " ").split(" ")) for line in lines]


def events(site):
    """But for those of the operator who has made the accounts."""
    names = [row[0] for row in site.database.query("SELECT name FROM events ORDER BY id")]
    return [name for name in names if name not in ("user_added", "user_disabled")]


@pytest.fixture
def one_worker(new_application):
    """The notebook is that of the worker that is asked."""
    return new_application({"server.workers": 1})


def test_own_routes_stand_beside_those_of_the_daemon(application, browse):
    browser = browse(application)
    assert browser.get("/session/application/visits").json() == {"visits": 1}
    assert browser.get("/session/application/visits", headers={"Accept": "text/html"}).json() == {"visits": 2}
    assert browser.request("HEAD", "/session/application/visits").status_code == 200
    problem(browser.post("/session/application/visits", {}), 405, "method_not_allowed")
    browser.sign_in()
    assert browser.me().status_code == 200
    assert browse(application).get("/session/application/kept").headers["Cache-Control"] == "no-store"


def test_own_way_in_obeys_the_rule(application, browse):
    first, second = browse(application), browse(application)
    steps = {"username": "alice", "password": application.database.password}
    assert first.post("/session/application/enter", steps).status_code == 200
    assert first.is_live()
    assert second.post("/session/application/enter", steps).status_code == 200
    assert first.auth() == "displaced"
    assert second.is_live()


def test_route_of_another_site_is_refused_to_change_anything(application, browse):
    browser = browse(application)
    answer = browser.post("/session/application/kept", {"set": {"kept": 1}}, headers={"Sec-Fetch-Site": "cross-site"})
    problem(answer, 403, "cross_site")
    assert browser.key is None


# ---- In the transaction ----------------------------------------------------------------------------------------------


def test_receiver_writes_in_the_login_s_transaction(application, browse):
    browser = browse(application)
    session_id = browser.sign_in()["session"]["id"]
    database = application.database
    rows = database.query("SELECT DISTINCT user_id, session_id::text FROM application_audit")
    assert rows == [(database.user_id("alice"), session_id)]
    transactions = database.query("SELECT xmin::text FROM application_audit UNION SELECT xmin::text FROM sessions")
    assert len(transactions) == 1


def test_receivers_are_called_in_their_order_and_around_the_daemon_s_own(application, browse):
    """The daemon's own store the key at 0: before them it is not there yet, after them it is."""
    browser = browse(application)
    browser.sign_in()
    assert audit(application, "user_logged_in") == [
        ("audit_early", "user_logged_in", False),
        ("audit_late", "user_logged_in", True),
    ]
    browser.logout()
    assert [row[0] for row in audit(application, "user_logged_out")] == ["audit_early", "audit_late"]


def test_receiver_that_refuses_rolls_the_login_back(application, browse):
    robot = browse(application, user_agent=ROBOT, permits_5xx=True)
    answer = robot.login()
    problem(answer, 500, "internal")
    assert "Set-Cookie" not in answer.headers
    assert robot.key is None
    assert application.database.sessions() == []
    assert application.database.stored_key() is None
    assert audit(application, "user_logged_in") == []
    assert events(application) == []
    refusal = "receiver_failed .*signal=user_logged_in receiver=no_robots phase=in_transaction"
    assert re.search(refusal, application.daemon.log_text())
    person = browse(application, program=False, user_agent=ROBOT, permits_5xx=True)
    assert person.login().status_code == 500
    assert person.key is None
    person = browse(application)
    person.sign_in()
    assert person.is_live()


def test_refused_login_displaces_nobody(application, browse):
    live = browse(application, user_agent=CHROME)
    live.sign_in()
    key = application.database.stored_key()
    robot = browse(application, user_agent=ROBOT, permits_5xx=True)
    assert robot.login().status_code == 500
    assert live.is_live()
    assert application.database.stored_key() == key
    # In the same browser: it keeps the session that it has.
    live.permits_5xx = True
    live.http.headers["User-Agent"] = ROBOT
    assert live.login().status_code == 500
    assert live.is_live()


def test_receiver_whose_statement_fails_rolls_the_login_back(application, browse):
    browser = browse(application, permits_5xx=True)
    application.database.query("ALTER TABLE application_audit RENAME TO elsewhere")
    problem(browser.login(), 500, "internal")
    assert browser.key is None
    assert application.database.sessions() == []
    application.database.query("ALTER TABLE elsewhere RENAME TO application_audit")
    browser.sign_in()
    assert browser.is_live()


def test_logout_that_a_receiver_refuses_changes_nothing(application, browse):
    browser = browse(application, permits_5xx=True)
    browser.sign_in()
    application.database.query("ALTER TABLE application_audit RENAME TO elsewhere")
    answer = browser.logout()
    problem(answer, 500, "internal")
    assert "Set-Cookie" not in answer.headers
    assert browser.is_live()
    application.database.query("ALTER TABLE elsewhere RENAME TO application_audit")
    assert browser.logout().status_code == 204
    assert browser.auth() == "unauthenticated"


# ---- After the commit ------------------------------------------------------------------------------------------------


def test_receivers_after_the_commit_are_called_in_their_order(one_worker, browse):
    """Equal orders as they were connected, of one name only the last; one that was taken off is not called."""
    browse(one_worker).sign_in()
    labels = ["first", "second", "third", "replacement", "last"]
    assert notebook(one_worker, browse) == [(label, "user_logged_in", "alice", "") for label in labels]


def test_receivers_are_told_of_everything_that_happens_to_an_account(one_worker, browse):
    first, second = browse(one_worker), browse(one_worker)
    first.sign_in()
    second.sign_in()
    second.logout()
    assert second.login(password="wrong").status_code == 401
    assert second.login("nobody at all").status_code == 401
    assert [line[1:] for line in notebook(one_worker, browse) if line[0] == "first"] == [
        ("user_logged_in", "alice", ""),
        ("user_logged_in", "alice", ""),
        ("session_displaced", "alice", "displaced"),
        ("user_logged_out", "alice", "logged_out"),
        ("user_login_failed", "alice", ""),
        ("user_login_failed", "", ""),
    ]
    expected = ["user_logged_in"] * 2 + ["session_displaced", "user_logged_out"] + ["user_login_failed"] * 2
    assert events(one_worker) == expected
    every = sorted({name for name in expected})
    assert [row[1] for row in audit(one_worker, *every) if row[0] == "audit_late"] == expected


def test_receiver_that_fails_after_the_commit_changes_nothing(one_worker, browse):
    browser = browse(one_worker, user_agent=UNREACHABLE)
    browser.sign_in()
    assert browser.is_live()
    # Each is called, whatever became of the one before it, and each is logged.
    assert len(notebook(one_worker, browse)) == 5
    log = one_worker.daemon.log_text()
    failed = re.findall("receiver_failed .*signal=user_logged_in receiver=(.*) phase=after_commit", log)
    assert failed == ["wave", "write", "print", "replaced", "greet"]


def test_receivers_after_the_commit_hear_nothing_of_what_was_rolled_back(one_worker, browse):
    assert browse(one_worker, user_agent=ROBOT, permits_5xx=True).login().status_code == 500
    assert notebook(one_worker, browse) == []

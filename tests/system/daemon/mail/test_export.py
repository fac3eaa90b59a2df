"""People take along what is kept about them: GET /export, one JSON object that is made while it is sent."""

import json
import os
import re
import signal
import threading
import time

import pytest
import requests

from support import fastcgi
from support.browser import FIREFOX, problem
from support.client import sign_in
from support.processes import cpu_seconds, resident_bytes
from support.stopped import stopped
from support.waiting import wait_until

MEMBERS = [
    "export", "account", "newest_login", "sessions", "ended_sessions", "events", "known_browsers", "takeovers",
    "login_tickets", "failed_logins", "wrong_codes", "signups", "mails", "mail_links", "not_shown",
]  # fmt: skip


@pytest.fixture(name="full_site")
def fixture_full_site(new_site, smtp):
    """Where alice has an address that was proved, and failures count."""
    site = new_site({**smtp.settings(), "login.attempts_per_user": 100, "accounts.signup": "open"})
    site.database.query(
        "UPDATE users SET email = 'alice@example.net', email_verified_at = now(), groups = '{b:1,staff}' WHERE username = 'alice'"
    )
    return site


def add_events(database, count):
    """Of alice's, each of some 400 bytes."""
    database.query(
        "INSERT INTO events (name, user_id, username, user_agent) SELECT 'user_logged_in', u.id, u.username, repeat('x', 300)"
        " FROM users u, generate_series(1, %s) WHERE username = 'alice'",
        count,
    )


def exported(browser):
    answer = browser.get("/session/export")
    assert answer.status_code == 200, answer.text
    return answer.json()


def hashes(database):
    """All that lets somebody in, as it is stored, and as it may be written."""
    found = set()
    for table, column in database.query(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = current_schema() AND data_type = 'bytea'"
    ):
        for (value,) in database.query(f"SELECT encode({column}, 'hex') FROM {table} WHERE {column} IS NOT NULL"):
            found.add(value)
    for table in ("users", "signups", "login_tickets"):
        found |= {row[0] for row in database.query(f"SELECT password FROM {table}")}
    return found - {"!"}


def test_everything_that_is_kept_is_in_it_and_no_secret(full_site, browse, smtp):
    other, mine = browse(full_site), browse(full_site, user_agent=FIREFOX)
    other.sign_in()
    other.login(password="not the password, at all")
    bob = browse(full_site)
    bob.sign_in("bob")
    assert bob.post("/session/forgot", {"login": "alice"}).status_code == 202
    assert bob.post("/session/reset", {"login": "alice", "code": "00000000", "new_password": "x" * 20}).status_code == 401
    wanted = {"username": "carol", "email": "alice@example.net", "password": "seven lemons under a bridge"}
    full_site.secrets.add(wanted["password"])
    assert bob.post("/session/signup", wanted).status_code == 202
    session = mine.sign_in()["session"]
    wait_until(lambda: full_site.database.value("SELECT count(*) FROM mails WHERE state = 'queued'") == 0, "all mails")
    for mail in smtp.mails:
        if mail.has_link:
            full_site.secrets |= {mail.token, *re.findall(r"^(\d{8})$", mail.text, re.M)}
    answer = mine.get("/session/export")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="account.json"'
    assert answer.headers["Cache-Control"] == "no-store"
    data = answer.json()
    assert list(data) == MEMBERS
    assert data["account"]["username"] == "alice" and data["account"]["email"] == "alice@example.net"
    assert data["account"]["groups"] == ["b:1", "staff"]
    assert [one["id"] for one in data["sessions"]] == [session["id"]]
    assert data["sessions"][0]["user_agent"] == FIREFOX and data["sessions"][0]["ip"] == "127.0.0.1"
    assert [one["reason"] for one in data["ended_sessions"]] == ["displaced"]
    names = [row[0] for row in full_site.database.query("SELECT name FROM events WHERE username = 'alice' ORDER BY id")]
    assert [one["name"] for one in data["events"]] == names and "user_login_failed" in names
    assert {one["kind"] for one in data["mails"]} >= {"reset", "new_browser"}
    assert {one["purpose"] for one in data["mail_links"]} >= {"reset", "undo"}
    for member in ("known_browsers", "takeovers", "failed_logins", "wrong_codes", "signups", "newest_login"):
        assert data[member], member
    assert all("page_key" not in one for rows in data.values() if isinstance(rows, list) for one in rows)
    for secret in hashes(full_site.database) | full_site.secrets:
        assert secret not in answer.text, secret
    assert "bob" not in answer.text


def test_it_takes_a_session_that_is_fresh(site, browse):
    mine, person = browse(site), browse(site, program=False)
    problem(mine.get("/session/export"), 401, "unauthenticated")
    site.database.make_unproved(mine.sign_in()["session"]["id"])
    problem(mine.get("/session/export"), 401, "stale")
    person.sign_in()
    assert 'href="/session/export"' in person.get("/session/account").text
    assert person.get("/session/export").status_code == 200
    site.database.query("UPDATE sessions SET created_at = now() - interval '1 hour'")
    # Not back to here: the page that has asked for the password would stay, beside the file.
    assert person.get("/session/export").headers["Location"] == "/session/confirm?next=/session/account"


def test_mailbox_that_was_somebody_else_s_shows_nothing_of_them_and_one_s_own_former_one_all(site, browse):
    site.database.query(
        "UPDATE users SET email = 'shared@example.net', email_verified_at = now() WHERE username = 'alice';"
        " INSERT INTO mails (module, kind, user_id, about_id, sent_to, state, ended_at) VALUES"
        " ('session', 'bobs_notice', (SELECT id FROM users WHERE username = 'bob'), NULL, 'shared@example.net', 'sent', now()),"
        " ('session', 'bobs_former', NULL, (SELECT id FROM users WHERE username = 'bob'), 'shared@example.net', 'sent', now()),"
        " ('session', 'own_former', NULL, (SELECT id FROM users WHERE username = 'alice'), 'former@example.net', 'sent', now()),"
        " ('session', 'email', NULL, NULL, 'shared@example.net', 'sent', now());"
        " INSERT INTO mail_tokens (token_key, code_key, mail_id, purpose, recipient_key, recipient, data, expires_at)"
        " SELECT sha256(username::bytea), sha256('0'), id, 'undo_of_' || username, 'shared@example.net', 'shared@example.net',"
        "        jsonb_build_object('user_id', id), now() + interval '1 day' FROM users WHERE username IN ('alice', 'bob');"
    )
    mine = browse(site)
    mine.sign_in()
    data = mine.get("/session/export").json()
    assert {mail["kind"] for mail in data["mails"]} == {"own_former", "email"}
    assert {link["purpose"] for link in data["mail_links"]} == {"undo_of_alice"}
    assert "language" in data["account"][0] if isinstance(data["account"], list) else "language" in data["account"]


def test_head_has_the_same_header_and_no_body(site, browse):
    mine = browse(site)
    mine.sign_in()
    answer = mine.request("HEAD", "/session/export")
    assert answer.status_code == 200 and answer.content == b""
    assert answer.headers["Content-Disposition"] == 'attachment; filename="account.json"'
    assert mine.is_live()


def test_pages_leave_nothing_out_and_have_nothing_twice(site, browse):
    """Of each table more rows than a page, also with one moment for all of them."""
    site.database.query("UPDATE users SET session_limit = 0 WHERE username = 'alice'")
    mine = browse(site)
    mine.sign_in()
    alice = site.database.value("SELECT id FROM users WHERE username = 'alice'")
    for sql in (
        "INSERT INTO sessions (session_key, user_id, expires_at) SELECT sha256(n::text::bytea), %s, now() + interval '1 d'"
        " FROM generate_series(1, 50) AS n",
        "INSERT INTO ended_sessions (session_key, id, user_id, reason, ended_at, created_at, last_seen_at, user_agent)"
        " SELECT sha256(n::text::bytea), gen_random_uuid(), %s, 'expired', now(), now(), now(), ''"
        " FROM generate_series(100, 1400) AS n",
        "INSERT INTO known_browsers (user_id, browser_key) SELECT %s, sha256(n::text::bytea)"
        " FROM generate_series(1, 1200) AS n",
        "INSERT INTO mails (module, kind, state, ended_at, user_id) SELECT 'session', 'x', 'sent', now(), %s"
        " FROM generate_series(1, 250)",
        "INSERT INTO mail_tokens (token_key, code_key, mail_id, purpose, user_id, recipient_key, recipient, expires_at)"
        " SELECT sha256(n::text::bytea), sha256(n::text::bytea), n %% 2, 'x', %s, 'a', 'a', now() + interval '1 d'"
        " FROM generate_series(1, 250) AS n",
    ):
        site.database.query(sql, alice)
    data = exported(mine)
    counts = {name: len(data[name]) for name in ("sessions", "ended_sessions", "known_browsers", "mails", "mail_links")}
    assert counts == {"sessions": 51, "ended_sessions": 1301, "known_browsers": 1201, "mails": 250, "mail_links": 250}
    for name in ("sessions", "ended_sessions", "mails"):
        assert len({row["id"] for row in data[name]}) == len(data[name])


@pytest.mark.nightly
def test_hundred_thousand_events_take_the_memory_of_a_page(new_site, browse):
    site = new_site({"server.workers": 1})
    add_events(site.database, 100000)
    mine = browse(site)
    mine.sign_in()
    (worker,) = site.daemon.workers
    before = resident_bytes(worker)
    answer = mine.get("/session/export", stream=True, timeout=120)
    most = 0
    pieces = []
    for piece in answer.iter_content(1 << 20):
        pieces.append(piece)
        most = max(most, resident_bytes(worker))
    assert len(json.loads(b"".join(pieces))["events"]) >= 100001
    assert most - before < 12 * 1024 * 1024


def test_client_that_goes_away_leaves_the_worker_to_others(new_site, browse):
    site = new_site({"server.workers": 1})
    add_events(site.database, 20000)
    mine = browse(site)
    mine.sign_in()
    answer = mine.get("/session/export", stream=True)
    next(answer.iter_content(1000))
    # Others are served meanwhile.
    other = browse(site)
    other.sign_in("bob")
    answer.close()
    assert other.is_live() and mine.is_live()
    assert exported(mine)["account"]["username"] == "alice"


def test_table_that_cannot_be_read_cuts_it_off(site, browse):
    """Nothing that looks whole."""
    mine = browse(site)
    mine.sign_in()
    site.database.query("ALTER TABLE mail_tokens RENAME TO away")
    with pytest.raises((requests.RequestException, ValueError)):
        mine.get("/session/export").json()
    site.database.query("ALTER TABLE away RENAME TO mail_tokens")
    assert list(exported(mine)) == MEMBERS


def test_export_that_has_to_wait_for_look_ups_takes_no_processor(new_daemon, cluster, closing):
    daemon = new_daemon({"server.workers": 1, "database.statement_timeout": "30s"}).start()
    add_events(daemon.database, 20000)
    cookie = sign_in(daemon)
    (worker,) = daemon.workers
    (backend,) = cluster.backends(daemon.database.name)
    with daemon.connection(timeout=60) as export:
        export.send(fastcgi.request_bytes(fastcgi.environ("GET", "/session/export", headers=cookie)))
        full = (
            "SELECT state = 'idle' AND query LIKE '%%FROM events%%' AND clock_timestamp() - state_change > interval '0.5 s'"
            " FROM pg_stat_activity WHERE pid = %s"
        )
        superuser = closing.add(cluster.connect("postgres"))

        def is_full():
            with superuser.cursor() as cursor:
                cursor.execute(full, (backend,))
                return cursor.fetchone()[0]

        wait_until(is_full, "the export to wait for its reader")
        with stopped(backend), daemon.connection(timeout=60) as looking:
            looking.send(fastcgi.request_bytes(fastcgi.environ(path="/session/auth", headers=cookie)))
            # Its answer is taken, so that there is room for more.
            read = threading.Thread(target=lambda: answers.append(export.answer()))
            answers = []
            read.start()
            before = cpu_seconds(worker)
            time.sleep(2)
            assert cpu_seconds(worker) - before < 0.5
            os.kill(backend, signal.SIGCONT)
            assert looking.answer().status == 200
        read.join()
    assert len(json.loads(answers[0].body)["events"]) > 20000

"""Forgotten passwords: who is told what, what lets in, and what does not."""

import concurrent.futures
import json
import re
import time
from urllib.parse import urlencode

import pytest

from support.browser import Browser, form_of, problem
from support.client import FORM, JSON, Answered, assert_page, auth, sign_in
from support.waiting import wait_until

NEW_PASSWORD = "seven lemons under a bridge"
ADDRESS = "192.0.2.7"


@pytest.fixture
def new_recovery(new_daemon, smtp, verified):
    """A daemon that sends mail; alice and bob have addresses that were proved."""
    del verified

    def make(settings=None, **mail):
        return new_daemon({**smtp.settings(**mail), "login.attempts_per_address": 0, **(settings or {})}).start()

    return make


@pytest.fixture
def recovery(new_recovery):
    return new_recovery()


def post(daemon, path, address=ADDRESS, headers=None, **fields):
    return daemon.ask(
        method="POST",
        path=f"/session/{path}",
        headers={**JSON, **(headers or {})},
        body=json.dumps(fields),
        REMOTE_ADDR=address,
        timeout=120,
    )


def post_form(daemon, path, headers=None, **fields):
    return daemon.ask(
        method="POST", path=f"/session/{path}", headers={**FORM, **(headers or {})}, body=urlencode(fields), timeout=120
    )


def page(daemon, path, **params):
    path, _, query = path.partition("?")
    return daemon.ask(path=f"/session/{path}", query=query, headers={"Accept": "text/html"}, **params)


def ask_for_mail(daemon, smtp, login="alice", **fields):
    """The mail that comes of it."""
    # A notice of what was done before is not taken for it.
    settle(daemon)
    before = len(smtp.mails)
    assert post(daemon, "forgot", login=login, **fields).status == 202
    mail = smtp.await_mails(before + 1)[-1]
    daemon.secrets.update({mail.token, NEW_PASSWORD})
    settle(daemon)
    return mail


def settle(daemon):
    """Nothing waits to be sent."""
    wait_until(
        lambda: daemon.database.value("SELECT count(*) FROM mails WHERE state = 'queued'") == 0, "all mails to be sent"
    )


def refused(answer):
    return problem(Answered(answer), 401, "invalid_code")


def tokens(daemon):
    return daemon.database.value("SELECT count(*) FROM mail_tokens")


def prove(database, name="alice"):
    """The address of an account is proved."""
    database.query(
        f"UPDATE users SET email = username || '@example.net', email_verified_at = now() WHERE username = '{name}'"
    )


# ---- What lets in ----------------------------------------------------------------------------------------------------


def test_link_of_the_mail_signs_in_with_a_new_password_once(recovery, smtp):
    elsewhere = sign_in(recovery)
    mail = ask_for_mail(recovery, smtp)
    assert mail.recipients == ["alice@example.net"]
    assert f"https://www.example.org/session/reset?token={mail.token}" in mail.text
    answer = post(recovery, "reset", token=mail.token, new_password=NEW_PASSWORD)
    assert answer.status == 200
    told = json.loads(answer.body)
    assert told["user"]["username"] == "alice" and set(told) == {"user", "session", "displaced"}
    assert auth(recovery, answer.cookie()).status == 200
    ended = recovery.ask(path="/session/me", headers={**elsewhere, "Accept": "application/json"})
    assert json.loads(ended.body)["code"] == "password_changed"
    assert post(recovery, "login", username="alice", password=NEW_PASSWORD).status == 200
    assert post(recovery, "login", username="alice", password=recovery.database.password).status == 401
    refused(post(recovery, "reset", token=mail.token, new_password=NEW_PASSWORD))


def test_code_signs_in_with_name_or_address_in_any_case_and_groups_of_digits(recovery, smtp):
    for login in ("alice", "ALICE@EXAMPLE.NET"):
        code = ask_for_mail(recovery, smtp, login).code
        answer = post(recovery, "reset", login=login, code=f"{code[:4]} {code[4:]}", new_password=NEW_PASSWORD)
        assert answer.status == 200, answer.body
        refused(post(recovery, "reset", login=login, code=code, new_password=NEW_PASSWORD))


def test_failures_and_throttles_of_the_account_are_forgotten(new_recovery, smtp):
    daemon = new_recovery({"login.attempts_per_user": 2})
    for _ in range(3):
        last = post(daemon, "login", username="alice", password="wrong")
    assert last.status == 429
    mail = ask_for_mail(daemon, smtp)
    assert post(daemon, "reset", token=mail.token, new_password=NEW_PASSWORD).status == 200
    assert post(daemon, "login", username="alice", password=NEW_PASSWORD).status == 200


def test_newer_mail_makes_the_older_one_void(recovery, smtp):
    old, new = ask_for_mail(recovery, smtp), ask_for_mail(recovery, smtp)
    refused(post(recovery, "reset", token=old.token, new_password=NEW_PASSWORD))
    refused(post(recovery, "reset", login="alice", code=old.code, new_password=NEW_PASSWORD))
    assert post(recovery, "reset", token=new.token, new_password=NEW_PASSWORD).status == 200


def test_wrong_used_outdated_and_void_are_refused_alike(recovery, smtp):
    outdated = ask_for_mail(recovery, smtp, "bob")
    recovery.database.query("UPDATE mail_tokens SET expires_at = now()")
    used = ask_for_mail(recovery, smtp)
    assert post(recovery, "reset", token=used.token, new_password=NEW_PASSWORD).status == 200
    attempts = (
        {"token": "A" * 43},
        {"token": "nonsense"},
        {"token": used.token},
        {"token": outdated.token},
        {"login": "alice", "code": used.code},
        {"login": "bob", "code": outdated.code},
        {"login": "nobody", "code": "12345678"},
        {"login": "dora", "code": "12345678"},
        {"login": "alice", "code": "nonsense"},
    )
    answers = [post(recovery, "reset", new_password=NEW_PASSWORD, **attempt) for attempt in attempts]
    for answer in answers:
        refused(answer)
    assert len({(answer.body, tuple(comparable(answer))) for answer in answers}) == 1


def test_password_that_is_not_good_enough_uses_nothing_up(new_recovery, smtp):
    recovery = new_recovery({"accounts.password_strength": 2})
    mail = ask_for_mail(recovery, smtp)
    for password in ("short", "alice@example.net", "x" * 1025):
        problem(
            Answered(post(recovery, "reset", token=mail.token, new_password=password)), 400, "bad_request"
        )
        answer = post(recovery, "reset", login="alice", code=mail.code, new_password=password)
        problem(Answered(answer), 400, "bad_request")
    assert post(recovery, "reset", login="alice", code=mail.code, new_password=NEW_PASSWORD).status == 200


@pytest.mark.parametrize("signal", ["password_changed", "user_logged_in"])
def test_receivers_refusal_is_told_and_uses_nothing_up(new_application, smtp, signal):
    site = new_application(smtp.settings())
    prove(site.database)
    mail = ask_for_mail(site.daemon, smtp)
    agent = {"User-Agent": f"Refused at {signal}: with a sentence"}
    answer = post(site.daemon, "reset", token=mail.token, new_password=NEW_PASSWORD, headers=agent)
    assert problem(Answered(answer), 403, "refused")["reason"] == "no_plan"
    shown = post_form(site.daemon, "reset", token=mail.token, new_password=NEW_PASSWORD, headers=agent)
    assert_page(shown, 403)
    assert b"Your plan&lt;/b&gt; ended" in shown.body and shown.all("Set-Cookie") == []
    assert tokens(site.daemon) == 1 and site.database.value("SELECT count(*) FROM sessions") == 0
    assert post(site.daemon, "reset", token=mail.token, new_password=NEW_PASSWORD).status == 200


def test_address_that_is_not_the_accounts_any_more_lets_nobody_in(recovery, smtp):
    mail = ask_for_mail(recovery, smtp)
    recovery.database.query("UPDATE users SET email = 'new@example.net' WHERE username = 'alice'")
    refused(post(recovery, "reset", token=mail.token, new_password=NEW_PASSWORD))
    unverified = "UPDATE users SET email = 'alice@example.net', email_verified_at = NULL WHERE username = 'alice'"
    recovery.database.query(unverified)
    refused(post(recovery, "reset", login="alice", code=mail.code, new_password=NEW_PASSWORD))


def test_account_that_was_disabled_since_is_told_to_the_mailbox_alone_and_nothing_is_used_up(recovery, smtp, ctl):
    mail = ask_for_mail(recovery, smtp)
    ctl.run("user", "disable", "alice")
    closed = post(recovery, "reset", token=mail.token, new_password=NEW_PASSWORD)
    problem(Answered(closed), 403, "account_closed")
    assert_page(page(recovery, f"reset?token={mail.token}"), 403)
    refused(post(recovery, "reset", login="alice", code="00000000", new_password=NEW_PASSWORD))
    ctl.run("user", "enable", "alice")
    assert post(recovery, "reset", token=mail.token, new_password=NEW_PASSWORD).status == 200


def test_proof_of_another_address_that_is_under_way_is_void_after_a_reset(recovery, smtp):
    mail = ask_for_mail(recovery, smtp)
    copy = (
        "INSERT INTO mail_tokens"
        " SELECT {}::bytea, code_key, 0, 0, '{}', user_id, recipient_key, recipient, data, now(),"
        " expires_at FROM mail_tokens WHERE purpose = 'reset'"
    )
    recovery.database.query(copy.format("sha256('email')", "email"))
    recovery.database.query(copy.format("sha256('undo')", "undo"))
    assert post(recovery, "reset", token=mail.token, new_password=NEW_PASSWORD).status == 200
    assert recovery.database.query("SELECT purpose FROM mail_tokens") == [("undo",)]


# ---- What strangers learn --------------------------------------------------------------------------------------------

VARYING = {"X-Request-Id", "Date"}


def comparable(answer):
    return [field for field in answer.fields if field[0] not in VARYING]


LOGINS = {
    "known": "alice",
    "in another case": "ALICE",
    "its address": "alice@example.net",
    "unknown": "zelda",
    "unknown address": "zelda@example.net",
    "unverified": "carol",
    "unverified address": "carol@example.net",
    "disabled": "dora",
    "over its limit": "bob",
    "no name at all": "\x7f" + "ü" * 400,
}


@pytest.fixture
def everybody(recovery_with_limit, smtp):
    """bob has had all the mails that he gets, dora is disabled, and carol's address was not proved."""
    database = recovery_with_limit.database
    prove(database, "dora")
    database.query(
        "INSERT INTO users (username, password, email)"
        " SELECT 'carol', password, 'carol@example.net' FROM users WHERE username = 'bob'"
    )
    ask_for_mail(recovery_with_limit, smtp, "bob")
    return recovery_with_limit


@pytest.fixture
def recovery_with_limit(new_recovery):
    return new_recovery(per_recipient="1/h")


def test_whoever_asks_gets_the_same_answer_and_the_same_is_written(everybody, smtp):
    answers, pages, rows = set(), set(), set()
    settle(everybody)
    for login in LOGINS.values():
        newest = everybody.database.value("SELECT coalesce(max(id), 0) FROM mails")
        answer = post(everybody, "forgot", login=login)
        answers.add((answer.status, answer.body, tuple(comparable(answer))))
        rows.add(everybody.database.value(f"SELECT count(*) FROM mails WHERE id > {newest}"))
        shown = post_form(everybody, "forgot", login=login)
        assert_page(shown, 202)
        body = shown.body.decode().replace(login, "LOGIN")
        pages.add((body, tuple(field for field in comparable(shown) if field[0] != "Content-Length")))
        settle(everybody)
    assert len(answers) == len(pages) == 1
    # What concerns nobody is taken out again when it is due, which may be before it was counted.
    assert rows <= {0, 1}
    assert {address for mail in smtp.mails for address in mail.recipients} == {"alice@example.net", "bob@example.net"}
    assert len(smtp.await_mails(1, to="bob@example.net")) == 1


def test_same_statements_run_whoever_is_asked_for(statements, new_recovery, database):
    daemon = new_recovery({"server.workers": 1, "server.guard_workers": 0})
    prove(database, "dora")
    for login in ("warm", "up"):
        assert post(daemon, "forgot", login=login).status == 202
        refused(reset_by_code(daemon, "00000000", login)())
    asked = {login: statements(lambda: post(daemon, "forgot", login=login)) for login in LOGINS.values()}
    assert all("add_mail" in run for run in asked.values()) and len(set(map(str, asked.values()))) == 1, asked
    tried = {login: statements(reset_by_code(daemon, "00000000", login)) for login in LOGINS.values()}
    assert all("try_mail_code" in run for run in tried.values()) and len(set(map(str, tried.values()))) == 1, tried


@pytest.mark.slow
def test_it_takes_the_same_time_whoever_is_asked_for(new_recovery):
    """In turns; of each the fastest, which nothing else has slowed. Who looks anything up first shows by far more."""
    daemon = new_recovery(per_recipient="1/h")
    times = {"alice": [], "zelda": [], "alice@example.net": [], "zelda@example.net": []}
    for _ in range(60):
        for login, taken in times.items():
            begin = time.perf_counter()
            assert post(daemon, "forgot", login=login).status == 202
            taken.append(time.perf_counter() - begin)
    fastest = {login: min(taken) for login, taken in times.items()}
    assert max(fastest.values()) < 2 * min(fastest.values()), fastest


def test_too_many_requests_from_an_address_are_refused_whoever_is_asked_for(new_recovery, smtp):
    daemon = new_recovery({"login.attempts_per_address": 3})
    assert [post(daemon, "forgot", login=login).status for login in ("alice", "zelda", "bob")] == [202] * 3
    answers = [post(daemon, "forgot", login=login) for login in ("alice", "zelda")]
    for answer in answers:
        problem(Answered(answer), 429, "too_many_attempts")
        assert 0 < int(answer.get("Retry-After")) <= 900
    assert answers[0].body == answers[1].body
    assert_page(post_form(daemon, "forgot", login="alice"), 429)
    # Another address, and other ways in from that one, are as they were.
    assert post(daemon, "forgot", login="alice", address="192.0.2.8").status == 202
    assert post(daemon, "login", username="alice", password=daemon.database.password).status == 200
    mail = smtp.await_mails(1, to="alice@example.net")[-1]
    refused(post(daemon, "reset", login="alice", code="00000000", new_password=NEW_PASSWORD))
    daemon.secrets.add(mail.token)
    told = daemon.database.query("SELECT host(ip), detail FROM events WHERE name = 'requests_throttled'")
    assert told == [(ADDRESS, {"kind": "address", "what": "session.forgot"})]


def test_networks_of_ipv6_share_ten_times_as_many_requests(new_recovery):
    daemon = new_recovery({"login.attempts_per_address": 1})
    of_subnet = [post(daemon, "forgot", login="alice", address=f"2001:db8:7:{n:x}::1").status for n in range(12)]
    assert of_subnet == [202] * 10 + [429] * 2
    assert post(daemon, "forgot", login="alice", address="2001:db8:8::1").status == 202


def test_other_sites_cannot_ask_or_sign_in(recovery, smtp):
    mail = ask_for_mail(recovery, smtp)
    other = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    problem(Answered(post(recovery, "forgot", login="alice", headers=other)), 403, "cross_site")
    answer = post(recovery, "reset", token=mail.token, new_password=NEW_PASSWORD, headers=other)
    problem(Answered(answer), 403, "cross_site")
    assert answer.all("Set-Cookie") == [] and tokens(recovery) == 1


# ---- Codes -----------------------------------------------------------------------------------------------------------


def all_at_once(calls):
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def trials(daemon):
    return daemon.database.value("SELECT sum(count) FROM code_tries")


def reset_by_code(daemon, code, login="alice"):
    return lambda: post(daemon, "reset", login=login, code=code, new_password=NEW_PASSWORD)


def test_of_a_hundred_wrong_codes_at_once_three_are_looked_at_and_the_link_still_works(recovery, smtp):
    mail = ask_for_mail(recovery, smtp)
    wrong = [f"{(int(mail.code) + 1 + n) % 10**8:08}" for n in range(100)]
    for answer in all_at_once([reset_by_code(recovery, code) for code in wrong]):
        refused(answer)
    assert trials(recovery) == 3
    assert recovery.database.value("SELECT code_tries FROM mail_tokens") == 3
    refused(reset_by_code(recovery, mail.code)())
    assert post(recovery, "reset", token=mail.token, new_password=NEW_PASSWORD).status == 200


def test_right_code_among_a_hundred_wrong_ones_lets_in_once_or_never(recovery, smtp):
    mail = ask_for_mail(recovery, smtp)
    codes = [f"{(int(mail.code) + 1 + n) % 10**8:08}" for n in range(100)]
    codes.insert(50, mail.code)
    answers = all_at_once([reset_by_code(recovery, code) for code in codes])
    let_in = [answer for answer in answers if answer.status == 200]
    assert len(let_in) <= 1 and trials(recovery) <= 3
    assert {answer.status for answer in answers} <= {200, 401}
    last = post(recovery, "reset", token=mail.token, new_password=NEW_PASSWORD)
    assert last.status == (401 if let_in else 200)


def test_the_same_link_at_once_lets_one_in(recovery, smtp):
    mail = ask_for_mail(recovery, smtp)

    def reset():
        return post(recovery, "reset", token=mail.token, new_password=NEW_PASSWORD)

    answers = all_at_once([reset] * 8)
    assert sorted(answer.status for answer in answers) == [200] + [401] * 7


def test_ten_codes_are_tried_for_an_account_in_a_day(recovery, smtp):
    for _ in range(4):
        mail = ask_for_mail(recovery, smtp)
        wrong = f"{(int(mail.code) + 1) % 10**8:08}"
        for _ in range(3):
            refused(reset_by_code(recovery, wrong)())
    assert trials(recovery) == 10
    mail = ask_for_mail(recovery, smtp)
    refused(reset_by_code(recovery, mail.code)())
    recovery.database.query("UPDATE code_tries SET began_at = now() - interval '1 day'")
    assert reset_by_code(recovery, mail.code)().status == 200


# ---- Pages -----------------------------------------------------------------------------------------------------------


def test_person_comes_back_to_where_they_wanted_to_go(new_site, smtp):
    site = new_site(smtp.settings())
    prove(site.database)
    site.secrets.add(NEW_PASSWORD)
    browser = Browser(site, program=False)
    login = browser.get("/session/login?next=/page%3Fa%3D1").text
    address = re.search(r'href="(/session/forgot[^"]*)"', login)[1]
    assert address == "/session/forgot?next=/page%3Fa%3D1"
    fields = {**form_of(browser.get(address).text, "/session/forgot"), "login": "alice"}
    asked = browser.post("/session/forgot", fields)
    assert asked.status_code == 202
    mail = smtp.await_mails(1)[-1]
    site.secrets.add(mail.token)
    settle(site.daemon)
    by_code = {**form_of(asked.text, "/session/reset"), "code": mail.code, "new_password": NEW_PASSWORD}
    assert by_code["login"] == "alice"
    done = browser.post("/session/reset", by_code)
    assert (done.status_code, done.headers["Location"]) == (303, "/page?a=1")
    assert browser.guarded().status_code == 200

    # By the link, in a browser that knows nothing of it.
    browser.post("/session/forgot", fields)
    # One of them tells that the password was changed.
    mail = [mail for mail in smtp.await_mails(3) if "/session/reset?" in mail.text][-1]
    site.secrets.add(mail.token)
    settle(site.daemon)
    other = Browser(site, program=False)
    shown = other.get(f"/session/reset?token={mail.token}")
    assert shown.status_code == 200 and "alice" in shown.text
    by_link = {**form_of(shown.text, "/session/reset"), "new_password": NEW_PASSWORD}
    done = other.post("/session/reset", by_link)
    assert (done.status_code, done.headers["Location"]) == (303, "/page?a=1")
    assert other.auth() == "" and browser.auth() == "password_changed"


def test_without_a_wish_it_leads_to_the_account_and_never_to_another_site(new_recovery, smtp):
    # The mail that is looked for is the newest.
    recovery = new_recovery({"accounts.notices": ""})
    mail = ask_for_mail(recovery, smtp)
    done = post_form(recovery, "reset", token=mail.token, new_password=NEW_PASSWORD)
    assert (done.status, done.get("Location")) == (303, "/session/account?changed")
    mail = ask_for_mail(recovery, smtp, next="https://evil.example/")
    done = post_form(recovery, "reset", token=mail.token, new_password=NEW_PASSWORD)
    assert (done.status, done.get("Location")) == (303, "/session/account")


def test_page_of_the_link_changes_nothing_and_gives_its_address_to_nobody(recovery, smtp):
    mail = ask_for_mail(recovery, smtp)
    before = recovery.database.query("SELECT token_key, code_tries FROM mail_tokens")
    for method in ("GET", "HEAD"):
        answer = page(recovery, f"reset?token={mail.token}", method=method)
        assert answer.status == 200 and answer.all("Set-Cookie") == []
        assert answer.get("Cache-Control") == "no-store"
        # With no-referrer the form's own Origin would be "null".
        assert answer.get("Referrer-Policy") == "strict-origin"
    shown = page(recovery, f"reset?token={mail.token}").body.decode()
    assert re.findall(r'(?:src|href)="(?:https?:)?//', shown) == [] and "<script" not in shown
    assert 'autocomplete="username"' in shown and 'autocomplete="new-password"' in shown
    assert recovery.database.query("SELECT token_key, code_tries FROM mail_tokens") == before
    assert_page(page(recovery, "reset?token=" + "A" * 43), 401)
    assert b"alice" not in page(recovery, "reset?token=" + "A" * 43).body


def test_scanner_that_follows_each_link_and_sends_each_form_as_it_is_changes_nothing(recovery, smtp):
    mail = ask_for_mail(recovery, smtp)
    asked = post_form(recovery, "forgot", login="alice").body.decode()
    settle(recovery)
    mail = smtp.await_mails(2)[-1]
    recovery.secrets.add(mail.token)
    before = recovery.database.query("SELECT token_key, code_tries FROM mail_tokens")
    written = mail.text + mail.part("html")
    links = set(re.findall(r"https://www\.example\.org/session/(reset\?\S+?)(?=[\s\"<])", written))
    assert links == {f"reset?token={mail.token}"}
    pages = [asked, page(recovery, "forgot").body.decode(), page(recovery, "reset").body.decode()]
    pages += [page(recovery, link).body.decode() for link in links]
    for shown in pages:
        for action in re.findall(r'<form[^>]*action="/session/(reset|forgot)"', shown):
            fields = form_of(shown, f"/session/{action}")
            answer = post_form(recovery, action, **fields)
            assert answer.status == 400 and answer.all("Set-Cookie") == [], (action, fields)
    assert recovery.database.query("SELECT token_key, code_tries FROM mail_tokens") == before
    assert post(recovery, "reset", token=mail.token, new_password=NEW_PASSWORD).status == 200


def test_form_is_there_again_with_what_was_wrong(recovery, smtp):
    mail = ask_for_mail(recovery, smtp)
    by_link = post_form(recovery, "reset", token=mail.token, new_password="short")
    assert_page(by_link, 400)
    assert form_of(by_link.body.decode(), "/session/reset")["token"] == mail.token
    by_code = post_form(recovery, "reset", login="alice", code=mail.code, new_password="short")
    assert_page(by_code, 400)
    fields = form_of(by_code.body.decode(), "/session/reset")
    assert (fields["login"], fields["code"]) == ("alice", mail.code)
    wrong = post_form(recovery, "reset", login="alice", code="00000000", new_password=NEW_PASSWORD)
    assert_page(wrong, 401)
    assert b"open the link in the mail" in wrong.body


def test_mail_and_page_are_in_the_language_of_who_asks(recovery, smtp):
    german = {"Accept-Language": "de"}
    asked = post_form(recovery, "forgot", login="alice", headers=german)
    assert "Sehen Sie in Ihr Postfach" in asked.body.decode()
    mail = smtp.await_mails()[0]
    recovery.secrets.add(mail.token)
    assert "ein neues Passwort" in mail.message["Subject"]


def test_mail_is_in_the_language_of_the_account_where_that_is_known(recovery, smtp):
    """And not in that of a stranger who has typed its name."""
    recovery.database.query("UPDATE users SET language = 'zh-Hans' WHERE username = 'alice'")
    post_form(recovery, "forgot", login="alice", headers={"Accept-Language": "de"})
    mail = smtp.await_mails()[0]
    recovery.secrets.add(mail.token)
    assert "密码" in mail.text and "Passwort" not in mail.text


@pytest.mark.parametrize("path", ["reset", "verify", "invite"])
def test_program_that_follows_a_link_which_is_void_is_told_so_as_one(new_daemon, smtp, path):
    daemon = new_daemon(smtp.settings() | {"accounts.signup": "open"}).start()
    answer = daemon.ask(path=f"/session/{path}", query="token=" + "x" * 43, headers={"Accept": "application/json"})
    problem(Answered(answer), 401, "invalid_code")
    assert_page(page(daemon, f"{path}?token={'x' * 43}"), 401)


def test_without_mail_nothing_of_it_is_there(daemon):
    for path in ("/session/forgot", "/session/reset"):
        assert daemon.ask(path=path).status == 404
    assert b"forgot" not in daemon.ask(path="/session/login", headers={"Accept": "text/html"}).body


def test_link_on_the_sign_in_page_is_there_where_mail_is(recovery):
    assert b'href="/session/forgot"' in page(recovery, "login").body


def test_what_is_missing_is_said(recovery):
    for fields in ({}, {"login": ""}):
        problem(Answered(post(recovery, "forgot", **fields)), 400, "bad_request")
        assert_page(post_form(recovery, "forgot", **fields), 400)
    half = {"login": "alice", "new_password": NEW_PASSWORD}
    for fields in ({"token": "A" * 43}, {"new_password": NEW_PASSWORD}, half):
        problem(Answered(post(recovery, "reset", **fields)), 400, "bad_request")
        assert_page(post_form(recovery, "reset", **fields), 400)

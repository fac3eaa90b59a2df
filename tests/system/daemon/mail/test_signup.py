"""Signing up: who is told what, what makes an account, and what does not."""

import json
import re

import pytest

from support.browser import problem
from support.by_mail import (
    PASSWORD, all_at_once, comparable, links_of, mail_of, page, post, post_form, refused, send_every_form, settle,
)
from support.client import Answered, assert_page

CAROL = "carol@example.net"
WANTED = {"username": "carol", "email": CAROL, "password": PASSWORD}


@pytest.fixture
def new_open_site(new_daemon, smtp, verified):
    """A daemon where people may sign up; alice and bob have addresses that were proved."""
    del verified

    def make(settings=None, **mail):
        settings = {"accounts.signup": "open", "accounts.password_strength": 2, **smtp.settings(**mail), **(settings or {})}
        daemon = new_daemon(settings)
        daemon.secrets.add(PASSWORD)
        return daemon.start()

    return make


@pytest.fixture
def open_site(new_open_site):
    return new_open_site()


def sign_up(daemon, smtp, headers=None, **fields):
    """The mail that comes of it."""
    wanted = {**WANTED, **fields}

    def ask():
        assert post(daemon, "signup", headers=headers, **wanted).status == 202

    return mail_of(daemon, smtp, ask, wanted["email"])


def names(daemon):
    return [name for name, in daemon.database.query("SELECT username FROM users ORDER BY id")]


def kept(daemon):
    """What a scanner could change."""
    return [
        daemon.database.query(f"SELECT * FROM {table} ORDER BY 1")
        for table in ("users", "signups", "mail_tokens", "code_tries")
    ]


# ---- What makes an account -------------------------------------------------------------------------------------------


def test_account_is_there_when_its_address_is_proved_and_nobody_is_signed_in_before(open_site, smtp):
    mail = sign_up(open_site, smtp)
    assert links_of(mail) == {f"verify?token={mail.token}"}
    assert post(open_site, "login", username="carol", password=PASSWORD).status == 401
    answer = post(open_site, "verify", token=mail.token)
    assert answer.status == 200 and answer.all("Set-Cookie") == []
    told = json.loads(answer.body)
    assert told["user"]["username"] == "carol" and told["email"] == CAROL
    for name in ("carol", "Carol@EXAMPLE.net"):
        assert post(open_site, "login", username=name, password=PASSWORD).status == 200
    refused(post(open_site, "verify", token=mail.token))
    assert open_site.database.value("SELECT count(*) FROM signups") == 0
    assert open_site.database.value("SELECT detail ->> 'from' FROM events WHERE name = 'user_added' AND username = 'carol'") == "/verify"


def test_code_makes_it_too_with_the_address(open_site, smtp):
    mail = sign_up(open_site, smtp)
    refused(post(open_site, "verify", login=CAROL, code=f"{(int(mail.code) + 1) % 10**8:08}"))
    refused(post(open_site, "verify", login="carol", code=mail.code))
    code = f"{mail.code[:4]}-{mail.code[4:]}"
    assert post(open_site, "verify", login=CAROL.upper(), code=code).status == 200
    refused(post(open_site, "verify", login=CAROL, code=mail.code))


def test_three_wrong_codes_void_the_code_and_not_the_link(open_site, smtp):
    mail = sign_up(open_site, smtp)
    wrong = [f"{(int(mail.code) + 1 + n) % 10**8:08}" for n in range(20)]
    for answer in all_at_once([lambda code=code: post(open_site, "verify", login=CAROL, code=code) for code in wrong]):
        refused(answer)
    assert open_site.database.value("SELECT sum(count) FROM code_tries") == 3
    refused(post(open_site, "verify", login=CAROL, code=mail.code))
    assert post(open_site, "verify", token=mail.token).status == 200


def test_newer_mail_voids_the_older_one(open_site, smtp):
    old, new = sign_up(open_site, smtp), sign_up(open_site, smtp, username="carola")
    refused(post(open_site, "verify", token=old.token))
    assert post(open_site, "verify", token=new.token).status == 200
    assert "carola" in names(open_site) and "carol" not in names(open_site)


def test_who_was_it_not_takes_it_back(open_site, smtp):
    mail = sign_up(open_site, smtp)
    answer = post(open_site, "verify", token=mail.token, not_me=True)
    assert (answer.status, json.loads(answer.body)) == (200, {"user": None})
    refused(post(open_site, "verify", token=mail.token))
    assert names(open_site) == ["alice", "bob", "dora"]
    assert open_site.database.value("SELECT count(*) FROM signups") == 0


def test_sign_up_that_nobody_proved_is_purged(open_site, smtp, ctl):
    mail = sign_up(open_site, smtp)
    days = open_site.database.value("SELECT extract(epoch FROM expires_at - created_at) / 86400 FROM signups")
    # A mail that cannot be sent is tried for two days, and its link lives for a day after that.
    assert days == 3
    open_site.database.query("UPDATE signups SET expires_at = now() - interval '1 second'")
    refused(post(open_site, "verify", token=mail.token))
    ctl.run("purge")
    assert open_site.database.value("SELECT count(*) FROM signups") == 0


def test_sign_up_is_kept_without_anything_secret(open_site, smtp):
    sign_up(open_site, smtp)
    row = open_site.database.query("SELECT username, email, password, host(ip) FROM signups")[0]
    assert (row[0], row[1], row[3]) == ("carol", CAROL, "192.0.2.7")
    assert row[2].startswith("$argon2id$")


# ---- What is taken ---------------------------------------------------------------------------------------------------


def test_whose_address_it_is_is_told_and_nobody_else(open_site, smtp):
    mail = sign_up(open_site, smtp, email="alice@example.net")
    assert "you have an account already" in mail.message["Subject"]
    assert "its name is alice" in mail.text and "/session/login" in mail.text and "/session/forgot" in mail.text
    assert "token" not in mail.text and not re.search(r"\d{8}", mail.text)
    # There is a token, as there is for an address that nobody has; its link stood in no mail.
    assert open_site.database.query("SELECT purpose, user_id FROM mail_tokens") == [("signup", None)]


def test_address_is_looked_up_when_the_mail_is_sent(open_site, smtp):
    open_site.database.query("INSERT INTO users (username, password, email) VALUES ('carl', '!', 'Carol@example.net')")
    mail = sign_up(open_site, smtp)
    assert "its name is carl" in mail.text
    # An account of elsewhere, whose name is an address.
    open_site.database.query("INSERT INTO users (username, password) VALUES ('erin@example.net', '!')")
    assert "its name is erin@example.net" in sign_up(open_site, smtp, email="erin@example.net").text


def test_name_that_is_taken_is_told_to_who_proves_the_address_and_another_one_is_chosen(open_site, smtp):
    mail = sign_up(open_site, smtp, username="ALICE")
    shown = page(open_site, f"verify?token={mail.token}")
    assert_page(shown, 200)
    assert b"Another account has that name" in shown.body and b'name="username" value="ALICE"' in shown.body
    told = problem(Answered(post(open_site, "verify", token=mail.token)), 409, "duplicate")
    assert told["field"] == "username"
    again = post_form(open_site, "verify", token=mail.token, page=1, confirmed="true", username="bob")
    assert_page(again, 409)
    problem(Answered(post(open_site, "verify", token=mail.token, username="al@ice")), 400, "bad_request")
    assert json.loads(post(open_site, "verify", token=mail.token, username="alina").body)["user"]["username"] == "alina"
    assert post(open_site, "login", username="alina", password=PASSWORD).status == 200


def test_address_that_was_taken_meanwhile_is_told_and_nothing_is_used_up(open_site, smtp):
    mail = sign_up(open_site, smtp)
    open_site.database.query("INSERT INTO users (username, password, email) VALUES ('carl', '!', 'carol@example.net')")
    told = problem(Answered(post(open_site, "verify", token=mail.token)), 409, "duplicate")
    assert told["field"] == "email"
    assert_page(post_form(open_site, "verify", token=mail.token), 409)
    open_site.database.query("DELETE FROM users WHERE username = 'carl'")
    assert post(open_site, "verify", token=mail.token).status == 200


def statuses(answers):
    return sorted(answer.status for answer in answers)


def test_of_many_that_prove_the_same_name_at_once_one_gets_it_and_the_others_are_told(new_open_site, smtp):
    site = new_open_site({"server.workers": 6})
    mails = [sign_up(site, smtp, email=f"carol{n}@example.net") for n in range(6)]
    answers = all_at_once([lambda mail=mail: post(site, "verify", token=mail.token) for mail in mails])
    assert statuses(answers) == [200] + 5 * [409]
    assert names(site).count("carol") == 1
    rest = [mail for mail, answer in zip(mails, answers) if answer.status == 409]
    assert post(site, "verify", token=rest[0].token, username="caroline").status == 200


def test_of_many_that_use_the_same_link_at_once_one_makes_the_account(new_open_site, smtp):
    site = new_open_site({"server.workers": 6})
    mail = sign_up(site, smtp)
    answers = all_at_once(6 * [lambda: post(site, "verify", token=mail.token)])
    assert statuses(answers) == [200] + 5 * [401]
    assert names(site).count("carol") == 1


# ---- What strangers learn --------------------------------------------------------------------------------------------

ASKED = {
    "new": {"username": "zelda", "email": "zelda@example.net"},
    "name taken": {"username": "alice", "email": "zelda1@example.net"},
    "address taken": {"username": "zelda2", "email": "alice@example.net"},
    "both taken": {"username": "bob", "email": "BOB@example.net"},
    "disabled": {"username": "dora", "email": "zelda3@example.net"},
    "waits already": {"username": "zelda", "email": "zelda@example.net"},
    "unverified": {"username": "frank", "email": "frank@example.net"},
}


def test_whoever_signs_up_gets_the_same_answer(open_site, smtp):
    del smtp
    open_site.database.query("UPDATE users SET email = 'frank@example.net' WHERE username = 'dora'")
    answers, pages = set(), set()
    for wanted in ASKED.values():
        answer = post(open_site, "signup", password=PASSWORD, **wanted)
        answers.add((comparable(answer), answer.body))
        shown = post_form(open_site, "signup", password=PASSWORD, **wanted)
        assert_page(shown, 202)
        pages.add((comparable(shown), shown.body.decode().replace(wanted["email"].replace("BOB", "bob"), "X").replace(wanted["email"], "X")))
    assert len(answers) == len(pages) == 1
    settle(open_site)


def test_same_statements_run_whoever_signs_up(statements, new_open_site):
    site = new_open_site({"server.workers": 1, "server.guard_workers": 0})
    for n in range(2):
        assert post(site, "signup", username="warm", email=f"up{n}@example.net", password=PASSWORD).status == 202
    run = {
        what: statements(lambda wanted=wanted: post(site, "signup", password=PASSWORD, **wanted))
        for what, wanted in ASKED.items()
    }
    assert all("add_mail" in one for one in run.values()) and len(set(map(str, run.values()))) == 1, run


def test_too_many_sign_ups_from_an_address_are_refused_whoever_signs_up(new_open_site, smtp):
    del smtp
    site = new_open_site({"login.attempts_per_address": 3})
    asked = [post(site, "signup", password=PASSWORD, **wanted).status for wanted in list(ASKED.values())[:3]]
    assert asked == 3 * [202]
    answers = [post(site, "signup", password=PASSWORD, **ASKED[what]) for what in ("new", "both taken")]
    for answer in answers:
        problem(Answered(answer), 429, "too_many_attempts")
        assert 0 < int(answer.get("Retry-After")) <= 900
    assert answers[0].body == answers[1].body
    assert_page(post_form(site, "signup", **WANTED), 429)
    assert post(site, "signup", address="192.0.2.8", **WANTED).status == 202


def test_strangers_words_are_in_no_mail(open_site, smtp):
    mail = sign_up(open_site, smtp, username="Win now: evil.example")
    assert "evil" not in mail.raw.decode(errors="replace")


# ---- Pages -----------------------------------------------------------------------------------------------------------


def test_scanner_that_follows_each_link_and_sends_each_form_as_it_is_changes_nothing(open_site, smtp):
    asked = post_form(open_site, "signup", **WANTED).body.decode()
    mail = smtp.await_mails(1, to=CAROL)[-1]
    open_site.secrets.add(mail.token)
    settle(open_site)
    before = kept(open_site)
    shown = [asked] + [page(open_site, path).body.decode() for path in ("signup", "verify", *links_of(mail))]
    for one in shown:
        for answer in send_every_form(open_site, one):
            assert answer.status == 400 and answer.all("Set-Cookie") == [], answer.body
    assert kept(open_site) == before
    # A person ticks the box.
    done = post_form(open_site, "verify", token=mail.token, page=1, confirmed="true")
    assert_page(done, 200)
    assert b"Your account is ready" in done.body and done.all("Set-Cookie") == []


def test_page_of_the_link_shows_the_name_changes_nothing_and_gives_its_address_to_nobody(open_site, smtp):
    mail = sign_up(open_site, smtp)
    before = kept(open_site)
    for method in ("GET", "HEAD"):
        answer = page(open_site, f"verify?token={mail.token}", method=method)
        assert answer.status == 200 and answer.all("Set-Cookie") == []
        assert answer.get("Cache-Control") == "no-store" and answer.get("Referrer-Policy") == "strict-origin"
    shown = page(open_site, f"verify?token={mail.token}").body.decode()
    assert "<strong>carol</strong>" in shown and CAROL in shown and "192.0.2.7" in shown
    assert re.findall(r'(?:src|href)="(?:https?:)?//', shown) == []
    assert kept(open_site) == before
    wrong = page(open_site, "verify?token=" + "A" * 43)
    assert_page(wrong, 401)
    assert b"carol" not in wrong.body


def test_code_on_the_page_shows_first_what_it_stands_for(open_site, smtp):
    mail = sign_up(open_site, smtp)
    shown = post_form(open_site, "verify", page=1, look="true", login=CAROL, code=mail.code)
    assert_page(shown, 200)
    assert b"<strong>carol</strong>" in shown.body and "carol" not in names(open_site)
    gone = post_form(open_site, "verify", page=1, login=CAROL, code=mail.code, confirmed="true", not_me="true")
    assert_page(gone, 200)
    assert b"Nothing was made" in gone.body and "carol" not in names(open_site)
    assert_page(post_form(open_site, "verify", page=1, look="true", login=CAROL, code=mail.code), 401)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"username": ""}, "are needed"),
        ({"username": "car@ol"}, "cannot have an @"),
        ({"email": "carol"}, "no e-mail address"),
        ({"email": "carol@example.net\r\nBcc: bob@example.net"}, "no e-mail address"),
        ({"password": "short"}, "8 characters"),
        ({"password": "password1"}, "many people have it"),
        ({"username": "wolpertinger", "password": "wolpertinger1"}, "your name"),
    ],
)
def test_form_that_cannot_be_an_account_is_there_again_with_what_was_wrong(open_site, wrong, said):
    assert said in problem(Answered(post(open_site, "signup", **{**WANTED, **wrong})), 400, "bad_request")["detail"]
    shown = post_form(open_site, "signup", **{**WANTED, **wrong})
    assert_page(shown, 400)
    assert said in shown.body.decode() or said == "are needed"
    german = post_form(open_site, "signup", headers={"Accept-Language": "de"}, **{**WANTED, **wrong}).body.decode()
    assert said not in german and "Konto anlegen" in german
    assert open_site.database.value("SELECT count(*) FROM signups") == 0


def test_mail_and_pages_are_in_the_language_of_who_signs_up(open_site, smtp):
    german = {"Accept-Language": "de"}
    mail = sign_up(open_site, smtp, headers=german)
    assert "bestätigen Sie Ihre Adresse" in mail.message["Subject"]
    assert "Das war ich nicht" in page(open_site, f"verify?token={mail.token}", headers=german).body.decode()


@pytest.mark.parametrize("name", ["alice\uff20example.net", "alice\ufe6bexample.net", "ali\u200bce", "a\u2060b"])
def test_name_that_is_compared_as_an_address_or_looks_like_another_is_refused(open_site, name):
    problem(Answered(post(open_site, "signup", **{**WANTED, "username": name})), 400, "bad_request")
    assert open_site.database.value("SELECT count(*) FROM signups") == 0


def test_former_addresses_go_with_the_account_also_when_their_links_have_run_out(open_site, smtp, ctl):
    assert post(open_site, "verify", token=sign_up(open_site, smtp).token).status == 200
    answer = post(open_site, "login", username="carol", password=PASSWORD)
    cookie = {"Cookie": f"onesession={answer.cookie()}"}
    new = "carol@new.example"
    mail = mail_of(open_site, smtp, lambda: post(open_site, "email", headers=cookie, email=new), new)
    before = len([one for one in smtp.mails if CAROL in one.recipients])
    assert post(open_site, "verify", token=mail.token).status == 200
    smtp.await_mails(before + 1, to=CAROL)
    settle(open_site)
    assert open_site.database.value("SELECT count(*) FROM mails WHERE sent_to LIKE 'carol@%%'") >= 4
    open_site.database.query("DELETE FROM mail_tokens")
    open_site.database.query("UPDATE users SET delete_at = now() WHERE username = 'carol'")
    ctl.run("purge")
    assert open_site.database.query("SELECT kind, sent_to FROM mails WHERE sent_to LIKE 'carol@%%'") == []


def test_another_language_is_chosen_on_the_page_that_a_form_has_led_to(open_site, smtp):
    mail = sign_up(open_site, smtp)
    for answer in (
        post_form(open_site, "signup", username="dave", email="dave@example.net", password=PASSWORD),
        post_form(open_site, "verify", token="A" * 43, page=1, confirmed="true"),
        post_form(open_site, "verify", token=mail.token, page=1),
        post_form(open_site, "verify", token=mail.token, page=1, confirmed="true"),
    ):
        assert re.findall(r'name="back" value="([^"]*)"', answer.body.decode()) == ["/session/verify"], answer.status
    looked_at = page(open_site, f"verify?token={'A' * 43}").body.decode()
    assert re.findall(r'name="back" value="([^"]*)"', looked_at) == [f"/session/verify?token={'A' * 43}"]


def test_other_sites_cannot_sign_anybody_up(open_site, smtp):
    mail = sign_up(open_site, smtp)
    other = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    problem(Answered(post(open_site, "signup", headers=other, **WANTED)), 403, "cross_site")
    problem(Answered(post(open_site, "verify", headers=other, token=mail.token)), 403, "cross_site")


@pytest.mark.parametrize(("who", "mail"), [("closed", True), ("invite", True), ("open", False)])
def test_where_nobody_may_sign_up_there_is_no_such_page(new_daemon, smtp, who, mail):
    daemon = new_daemon({"accounts.signup": who, **(smtp.settings() if mail else {})}).start()
    for method in ("GET", "POST"):
        assert daemon.ask(method=method, path="/session/signup").status == 404
    assert b"signup" not in page(daemon, "login").body
    assert (daemon.ask(path="/session/invite").status == 404) == (who == "closed" or not mail)
    assert (daemon.ask(path="/session/verify").status == 404) == (not mail)


def test_sign_in_page_leads_to_signing_up_where_it_works(open_site):
    assert b'href="/session/signup"' in page(open_site, "login").body
    shown = page(open_site, "signup").body.decode()
    for attributes in ('autocomplete="username"', 'autocomplete="email"', 'autocomplete="new-password"'):
        assert attributes in shown

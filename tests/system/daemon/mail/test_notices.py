"""What the owner of an account is told by mail, and the link of these mails: "that was not me"."""

import re

import pytest

from support.api import Api, new_token
from support.browser import CHROME, FIREFOX, form_of, live_among, problem
from support.programs import Ctl
from support.waiting import Background, wait_until

NEW = "quite another phrase"
ALICE = "alice@example.net"


@pytest.fixture(name="new_told_site")
def fixture_new_told_site(new_site, smtp):
    """A site whose alice and bob have addresses that were proved."""

    def make(settings=None):
        site = new_site({**smtp.settings(), **(settings or {})})
        site.database.query(
            "UPDATE users SET email = username || '@example.net', email_verified_at = now()"
            " WHERE username IN ('alice', 'bob')"
        )
        return site

    return make


@pytest.fixture(name="told_site")
def fixture_told_site(new_told_site):
    return new_told_site()


def kinds(site):
    return [row[0] for row in site.database.query("SELECT kind FROM mails ORDER BY id")]


def await_sent(site):
    wait_until(lambda: site.database.value("SELECT count(*) FROM mails WHERE state = 'queued'") == 0, "an empty queue")


def notice(site, smtp, kind, number=1):
    """The mail of that kind."""
    await_sent(site)
    mails = [mail for mail in smtp.mails if kind in mail.text]
    assert len(mails) == number, [mail.text for mail in smtp.mails]
    return mails[-1]


def signed_in_elsewhere(site, browse, smtp):
    """The owner's browser, a stranger's, and the mail that tells of it."""
    owner, stranger = browse(site, user_agent=FIREFOX), browse(site, user_agent=CHROME)
    owner.sign_in()
    stranger.sign_in()
    return owner, stranger, notice(site, smtp, "not known here")


# ---- A browser that was never here -----------------------------------------------------------------------------------


def test_sign_in_in_a_new_browser_is_told_with_what_is_known_of_it(told_site, browse, smtp):
    _, _, mail = signed_in_elsewhere(told_site, browse, smtp)
    assert mail.recipients == [ALICE]
    assert "Chrome on Windows" in mail.text and "127.0.0.1" in mail.text and re.search(r"\d\d:\d\d UTC", mail.text)
    assert "https://www.example.org/session/undo?token=" in mail.text
    assert "Chrome on Windows" in mail.part("html") and mail.token in mail.part("html")
    assert mail.message["Subject"].endswith("a new sign-in to your account")


def test_first_login_and_browsers_that_are_known_are_not_told(new_told_site, browse):
    told_site = new_told_site({"sharing.takeovers": 0})
    first, second = browse(told_site), browse(told_site, user_agent=CHROME)
    first.sign_in()
    assert kinds(told_site) == []
    second.sign_in()
    assert kinds(told_site) == ["new_browser"]
    # Each has been here before, signed in or not.
    for _ in range(2):
        first.sign_in()
        first.logout()
        first.sign_in()
        second.sign_in()
    assert kinds(told_site) == ["new_browser"]


def test_login_after_an_operator_has_set_a_password_is_told(new_told_site, browse):
    """The account has forgotten its browsers then, and whoever comes first may be anybody."""
    site = new_told_site({"sharing.takeovers": 0})
    browse(site).sign_in()
    Ctl(site.database.owner_conninfo).run("user", "passwd", "alice", stdin="nine green teapots\n")
    assert kinds(site) == []
    browse(site).sign_in(password="nine green teapots")
    assert kinds(site) == ["new_browser"]


def test_who_has_no_proved_address_gets_no_mail(told_site, browse):
    told_site.database.query("UPDATE users SET email_verified_at = NULL")
    for _ in range(2):
        browse(told_site).sign_in()
    await_sent(told_site)
    assert told_site.database.value("SELECT count(*) FROM mails WHERE state = 'sent'") == 0


def test_failed_and_refused_logins_are_not_told(new_told_site, browse):
    site = new_told_site({"session.on_limit": "refuse"})
    browse(site).sign_in()
    assert browse(site).login().status_code == 409
    assert browse(site).login(password="not the password").status_code == 401
    assert kinds(site) == []


def test_mail_is_in_the_language_of_the_owner_whatever_the_other_browser_speaks(told_site, browse, smtp):
    browse(told_site).sign_in()
    german = browse(told_site, user_agent=CHROME)
    german.http.headers["Accept-Language"] = "de-CH, en;q=0.5"
    german.sign_in()
    assert "Was it not you?" in notice(told_site, smtp, "not known here").text


def test_it_can_be_switched_off_and_on(told_site, browse):
    mine = browse(told_site)
    problem(mine.get("/session/notices"), 401, "unauthenticated")
    mine.sign_in()
    assert mine.get("/session/notices").json() == {"new_browser": True}
    assert mine.post("/session/notices", {"new_browser": False}).status_code == 204
    assert mine.get("/session/notices").json() == {"new_browser": False}
    browse(told_site).sign_in()
    assert kinds(told_site) == []
    person = browse(told_site, program=False)
    person.sign_in()
    assert "You get no mail" in person.get("/session/notices").text
    fields = form_of(person.get("/session/notices").text, "/session/notices")
    assert person.post("/session/notices", fields).status_code == 303
    assert "You get a mail" in person.get("/session/notices").text
    browse(told_site).sign_in()
    assert kinds(told_site) == ["new_browser"]
    problem(mine.post("/session/notices", {"new_browser": False}), 401, "displaced")


def test_to_switch_it_off_takes_a_fresh_proof(told_site, browse):
    mine = browse(told_site)
    session_id = mine.sign_in()["session"]["id"]
    told_site.database.make_unproved(session_id)
    problem(mine.post("/session/notices", {"new_browser": False}), 401, "stale")
    problem(mine.post("/session/notices", {}), 401, "stale")
    assert mine.get("/session/notices").json() == {"new_browser": True}
    told_site.database.query("UPDATE sessions SET proved_at = now()")
    problem(mine.post("/session/notices", {"new_browser": "perhaps"}), 400, "bad_request")


# ---- What is told of, and what is not --------------------------------------------------------------------------------


def test_new_password_is_told(told_site, browse, smtp):
    mine = browse(told_site, user_agent=CHROME)
    mine.sign_in()
    fields = {"current_password": told_site.database.password, "new_password": NEW}
    assert mine.post("/session/password", fields).status_code == 200
    mail = notice(told_site, smtp, "password of your account was changed")
    assert mail.recipients == [ALICE] and "Chrome on Windows" in mail.text
    assert kinds(told_site) == ["password_changed"]


def test_account_that_is_taken_over_too_often_is_told_once(new_told_site, browse, smtp):
    site = new_told_site({"sharing.takeovers": 2, "accounts.notices": ""})
    for _ in range(5):
        browse(site).sign_in()
    mail = notice(site, smtp, "on one device after the other")
    assert mail.recipients == [ALICE]
    assert kinds(site) == ["account_shared"]


def test_which_are_sent_is_a_setting(new_told_site, browse):
    site = new_told_site({"accounts.notices": "new_browser"})
    mine = browse(site)
    mine.sign_in()
    fields = {"current_password": site.database.password, "new_password": NEW}
    assert mine.post("/session/password", fields).status_code == 200
    assert kinds(site) == []
    browse(site).sign_in(password=NEW)
    assert kinds(site) == ["new_browser"]


def test_notice_that_is_delayed_is_sent_after_a_newer_one(told_site, browse, smtp):
    later = ["451 4.3.0 try later"]
    smtp.faults = {"RCPT": lambda session: later.pop() if later else None}
    browse(told_site).sign_in()
    browse(told_site, user_agent=CHROME).sign_in()
    told_site.daemon.await_line("mail_deferred")
    browse(told_site, user_agent=FIREFOX).sign_in()
    wait_until(lambda: len(smtp.mails) == 1, "the newer one")
    told_site.database.query("UPDATE mails SET next_at = now() WHERE state = 'queued' AND claim = ''")
    wait_until(lambda: len(smtp.mails) == 2, "the older one")


def test_page_promises_what_is_sent_and_no_more(new_told_site, browse):
    site = new_told_site({"accounts.notices": "password_changed"})
    person = browse(site, program=False)
    person.sign_in()
    text = person.get("/session/notices").text
    assert "You get a mail" not in text and "password was changed" in text and "address was changed" not in text
    site.database.query("UPDATE users SET email_verified_at = NULL")
    assert "Your account has none" in person.get("/session/notices").text


def test_without_mail_there_is_neither_page_nor_link(site, browse):
    person = browse(site, program=False)
    person.sign_in()
    for path in ("notices", "undo"):
        assert person.get(f"/session/{path}").status_code == 404
    assert "/session/notices" not in person.get("/session/account").text


# ---- "That was not me" -----------------------------------------------------------------------------------------------


def test_link_changes_nothing_until_its_person_says_so(told_site, browse, smtp):
    owner, stranger, mail = signed_in_elsewhere(told_site, browse, smtp)
    reader = browse(told_site, program=False)
    for _ in range(3):
        page = reader.get(f"/session/undo?token={mail.token}")
        assert page.status_code == 200 and "alice" in page.text
        assert reader.request("HEAD", f"/session/undo?token={mail.token}").status_code == 200
    assert page.headers["Cache-Control"] == "no-store" and page.headers["Referrer-Policy"] == "strict-origin"
    # A scanner sends the form as it stands.
    fields = form_of(page.text, "/session/undo")
    fields.pop("confirmed")
    answer = reader.post("/session/undo", fields)
    assert answer.status_code == 400 and "tick the box" in answer.text
    assert live_among([owner, stranger]) == [1]
    assert reader.post("/session/undo", {**fields, "confirmed": "true"}).status_code == 200
    assert live_among([owner, stranger]) == []


def test_everybody_is_out_the_password_is_void_and_a_mail_brings_the_owner_back(told_site, browse, smtp):
    owner, stranger, mail = signed_in_elsewhere(told_site, browse, smtp)
    told_site.secrets.add(mail.token)
    answer = browse(told_site).post("/session/undo", {"token": mail.token})
    assert answer.status_code == 200 and answer.json()["user"]["username"] == "alice"
    assert stranger.auth() == "password_changed"
    problem(stranger.login(), 401, "invalid_credentials")
    problem(owner.login(), 401, "invalid_credentials")
    reset = notice(told_site, smtp, "/session/reset?token=")
    assert reset.recipients == [ALICE]
    told_site.secrets |= {reset.token, reset.code}
    fields = {"login": "alice", "code": reset.code, "new_password": NEW}
    assert owner.post("/session/reset", fields).status_code == 200
    assert owner.is_live()
    problem(stranger.login(), 401, "invalid_credentials")
    # It is used once.
    problem(browse(told_site).post("/session/undo", {"token": mail.token}), 401, "invalid_code")
    assert owner.is_live()
    names = {row[0] for row in told_site.database.query("SELECT name FROM events")}
    assert {"password_withdrawn", "password_changed"} <= names


def test_intruder_who_changes_the_password_is_put_out_by_the_mail_of_that(told_site, browse, smtp):
    _, stranger, _ = signed_in_elsewhere(told_site, browse, smtp)
    told_site.secrets.add(NEW)
    fields = {"current_password": told_site.database.password, "new_password": NEW}
    assert stranger.post("/session/password", fields).status_code == 200
    mail = notice(told_site, smtp, "password of your account was changed")
    assert browse(told_site).post("/session/undo", {"token": mail.token}).status_code == 200
    assert stranger.auth() == "password_changed"
    problem(stranger.login(password=NEW), 401, "invalid_credentials")


def test_deletion_that_an_intruder_has_asked_for_is_cancelled(told_site, browse, smtp):
    _, _, mail = signed_in_elsewhere(told_site, browse, smtp)
    told_site.database.query("UPDATE users SET delete_at = now() + interval '7 days' WHERE username = 'alice'")
    assert browse(told_site).post("/session/undo", {"token": mail.token}).status_code == 200
    assert told_site.database.value("SELECT delete_at FROM users WHERE username = 'alice'") is None


def test_link_of_a_former_mailbox_does_nothing(told_site, browse, smtp):
    """What follows it would go to the mailbox that the account has now, whosever that is."""
    _, stranger, mail = signed_in_elsewhere(told_site, browse, smtp)
    told_site.database.query("UPDATE users SET email = 'other@example.net' WHERE username = 'alice'")
    problem(browse(told_site).post("/session/undo", {"token": mail.token}), 401, "invalid_code")
    assert stranger.is_live()


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "Ä" * 43])
def test_wrong_links_are_told_nothing(told_site, browse, token):
    program, person = browse(told_site), browse(told_site, program=False)
    answer = program.post("/session/undo", {"token": token})
    problem(answer, 400, "bad_request") if token == "" else problem(answer, 401, "invalid_code")
    assert person.get("/session/undo", params={"token": token}).status_code == 401
    assert person.get("/session/undo").status_code == 401


def test_link_is_used_once_also_at_one_moment(told_site, browse, smtp):
    _, _, mail = signed_in_elsewhere(told_site, browse, smtp)
    tasks = [Background(browse(told_site).post, "/session/undo", {"token": mail.token}) for _ in range(5)]
    assert sorted(task.result().status_code for task in tasks) == [200, 401, 401, 401, 401]
    assert kinds(told_site).count("undone") == 1


def test_other_sites_cannot_use_it(told_site, browse, smtp):
    _, stranger, mail = signed_in_elsewhere(told_site, browse, smtp)
    headers = {"Sec-Fetch-Site": "cross-site"}
    problem(browse(told_site).post("/session/undo", {"token": mail.token}, headers=headers), 403, "cross_site")
    assert stranger.is_live()


# ---- Another address -------------------------------------------------------------------------------------------------


def give_another_address(browser, smtp, email):
    """Ask for it, and prove it."""
    assert browser.post("/session/email", {"email": email}).status_code == 202
    mail = smtp.await_mails(1, to=email)[-1]
    browser.site.secrets.add(mail.token)
    assert browser.post("/session/verify", {"token": mail.token}).status_code == 200
    await_sent(browser.site)


def undo_mail(smtp):
    (mail,) = [mail for mail in smtp.mails if "another e-mail address now" in mail.text]
    return mail


def test_former_address_is_told_and_has_everything_back(told_site, browse, smtp):
    intruder = browse(told_site)
    intruder.sign_in()
    give_another_address(intruder, smtp, "mallory@example.net")
    # What is mailed to the new one makes the link to the old one no less good.
    give_another_address(intruder, smtp, "mallory2@example.net")
    intruder = browse(told_site, user_agent=CHROME)
    intruder.sign_in()
    await_sent(told_site)
    mail = [mail for mail in smtp.mails if "another e-mail address now" in mail.text and mail.recipients == [ALICE]][-1]
    told_site.secrets.add(mail.token)
    person = browse(told_site, program=False)
    page = person.get(f"/session/undo?token={mail.token}")
    assert page.status_code == 200 and ALICE in page.text and "mallory" not in page.text
    fields = form_of(page.text, "/session/undo")
    done = person.post("/session/undo", fields)
    assert done.status_code == 200 and ALICE in done.text
    assert told_site.database.query(
        "SELECT email, email_verified_at IS NOT NULL FROM users WHERE username = 'alice'"
    ) == [(ALICE, True)]
    assert intruder.auth() == "password_changed"
    problem(intruder.login(), 401, "invalid_credentials")
    wait_until(lambda: [mail for mail in smtp.mails if "/session/reset?token=" in mail.text], "the mail to choose a password")
    reset = [mail for mail in smtp.mails if "/session/reset?token=" in mail.text][-1]
    assert reset.recipients == [ALICE]
    told_site.secrets.add(reset.token)
    owner = browse(told_site)
    assert owner.post("/session/reset", {"token": reset.token, "new_password": NEW}).status_code == 200
    assert owner.is_live()


def test_former_address_that_is_another_account_s_by_now_is_not_taken_from_it(told_site, browse, smtp):
    mine = browse(told_site)
    mine.sign_in()
    give_another_address(mine, smtp, "new@example.net")
    mail = undo_mail(smtp)
    told_site.database.query("UPDATE users SET email = %s WHERE username = 'bob'", ALICE)
    problem(browse(told_site).post("/session/undo", {"token": mail.token}), 409, "duplicate")
    assert mine.is_live()
    told_site.database.query("UPDATE users SET email = NULL, email_verified_at = NULL WHERE username = 'bob'")
    assert browse(told_site).post("/session/undo", {"token": mail.token}).status_code == 200


def test_first_address_of_an_account_is_told_nobody(told_site, browse, smtp):
    told_site.database.query("UPDATE users SET email = NULL, email_verified_at = NULL WHERE username = 'alice'")
    mine = browse(told_site)
    mine.sign_in()
    give_another_address(mine, smtp, ALICE)
    assert "email_changed" not in kinds(told_site)


# ---- A site whose people sign in elsewhere ---------------------------------------------------------------------------


def test_notice_has_no_link_where_there_is_no_password_to_choose(new_told_site, smtp):
    site = new_told_site({"login.enabled": "off", "access.login_url": "/login", "sharing.takeovers": 2})
    api = Api(site.daemon, new_token(site.ctl()))
    for number in range(4):
        api.sign_in("alice", ip=f"192.0.2.{number}")
    mail = notice(site, smtp, "on one device after the other")
    for text in (mail.text, mail.part("html")):
        assert "change your password where you sign in" in " ".join(text.split())
        assert "/session/undo" not in text and "token" not in text
    assert set(site.database.query("SELECT purpose, path FROM mails")) == {(None, None)}

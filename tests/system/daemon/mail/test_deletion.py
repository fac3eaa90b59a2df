"""People have their accounts deleted: after a pause, in which who signs in is asked whether to keep the account."""

import re

import pytest

from support.browser import CHROME, form_of, live_among, problem
from support.waiting import Background, wait_until

ALICE = "alice@example.net"


@pytest.fixture(name="new_mail_site")
def fixture_new_mail_site(new_site, smtp):
    """A site whose alice has an address that was proved."""

    def make(settings=None):
        site = new_site({**smtp.settings(), "accounts.notices": "", **(settings or {})})
        site.database.query(
            "UPDATE users SET email = %s, email_verified_at = now() WHERE username = 'alice'",
            ALICE,
        )
        return site

    return make


@pytest.fixture(name="mail_site")
def fixture_mail_site(new_mail_site):
    return new_mail_site()


def delete_at(site, name="alice"):
    return site.database.value("SELECT delete_at FROM users WHERE username = %s", name)


def names(site):
    return [row[0] for row in site.database.query("SELECT name FROM events ORDER BY id")]


def delete(browser):
    answer = browser.post("/session/delete", {})
    assert answer.status_code == 202, answer.text
    return answer


def signed_in(browser):
    browser.sign_in()
    return browser


def deleted(site, browse):
    """alice has asked for it."""
    delete(signed_in(browse(site)))


def mail(smtp):
    wait_until(lambda: smtp.mails, "the mail")
    assert len(smtp.mails) == 1
    return smtp.mails[0]


# ---- Deleting ----------------------------------------------------------------------------------------------------------


def test_account_is_to_be_deleted_after_the_pause_and_every_session_ends(new_site, browse):
    site = new_site({"session.max_sessions": 2})
    mine, other = browse(site), browse(site, user_agent=CHROME)
    other.sign_in()
    mine.sign_in()
    answer = delete(mine)
    left = site.database.value("SELECT extract(epoch FROM delete_at - now()) FROM users WHERE username = 'alice'")
    assert 7 * 86400 - 600 < left <= 7 * 86400
    assert answer.json() == {"delete_at": f"{delete_at(site):%Y-%m-%dT%H:%M:%SZ}"}
    assert mine.key is None
    assert live_among([mine, other]) == [] and other.auth() == "logged_out"
    assert names(site).count("user_logged_out") == 2 and names(site).count("deletion_requested") == 1
    assert site.database.value("SELECT count(*) FROM logged_in_user") == 0


def test_it_takes_a_session_that_is_fresh(site, browse):
    mine = browse(site)
    problem(mine.post("/session/delete", {}), 401, "unauthenticated")
    problem(mine.get("/session/delete"), 401, "unauthenticated")
    site.database.make_unproved(mine.sign_in()["session"]["id"])
    problem(mine.post("/session/delete", {}), 401, "stale")
    person = browse(site, program=False)
    assert person.get("/session/delete").headers["Location"] == "/session/login"
    person.sign_in()
    site.database.query("UPDATE sessions SET created_at = now() - interval '1 hour'")
    for answer in (person.get("/session/delete"), person.post("/session/delete", {"confirmed": "true"})):
        assert re.fullmatch("/session/confirm\\?(lost=true&)?next=/session/delete", answer.headers["Location"])
    assert delete_at(site) is None


def test_other_sites_delete_nothing(site, browse):
    mine = signed_in(browse(site))
    answer = mine.post("/session/delete", {}, headers={"Sec-Fetch-Site": "cross-site"})
    problem(answer, 403, "cross_site")
    assert delete_at(site) is None and mine.is_live()


def test_page_asks_for_a_tick_first(site, browse):
    person = browse(site, program=False)
    person.sign_in()
    assert 'href="/session/delete"' in person.get("/session/account").text
    page = person.get("/session/delete")
    assert page.status_code == 200 and "7 more days" in page.text
    fields = form_of(page.text, "/session/delete")
    confirmed = fields.pop("confirmed")
    answer = person.post("/session/delete", fields)
    assert answer.status_code == 400 and "tick the box" in answer.text
    assert delete_at(site) is None and person.is_live()
    answer = person.post("/session/delete", {**fields, "confirmed": confirmed})
    assert answer.status_code == 202 and "will be deleted" in answer.text
    assert delete_at(site) is not None and not person.is_live()


def test_mail_tells_until_when_it_can_be_kept_and_undoes_what_somebody_else_has_asked_for(mail_site, browse, smtp):
    deleted(mail_site, browse)
    told = mail(smtp)
    mail_site.secrets |= {told.token}
    assert told.recipients == [ALICE] and told.message["Subject"].endswith("your account will be deleted")
    assert f"{delete_at(mail_site).day} " in told.text and "https://www.example.org/session/login" in told.text
    answer = browse(mail_site).post("/session/undo", {"token": told.token})
    assert answer.status_code == 200 and delete_at(mail_site) is None
    problem(browse(mail_site).login(), 401, "invalid_credentials")


def test_link_of_the_mail_lives_as_long_as_the_pause(new_mail_site, browse, smtp):
    site = new_mail_site({"accounts.deletion_pause": "20d"})
    deleted(site, browse)
    site.secrets |= {mail(smtp).token}
    left = site.database.value("SELECT extract(epoch FROM expires_at - now()) FROM mail_tokens")
    assert 19.9 * 86400 < left <= 20 * 86400
    assert "20 days" in mail(smtp).text


def test_administrators_too_can_have_theirs_deleted(site, browse):
    """onesessionctl user delete asks no more; an operator makes another one."""
    site.database.query("UPDATE users SET is_admin = true WHERE username = 'alice'")
    deleted(site, browse)
    assert delete_at(site) is not None


def test_without_a_pause_it_is_deleted_at_once(new_mail_site, browse, smtp):
    site = new_mail_site({"accounts.deletion_pause": 0})
    person = browse(site, program=False)
    person.sign_in()
    fields = form_of(person.get("/session/delete").text, "/session/delete")
    answer = person.post("/session/delete", fields)
    assert answer.status_code == 202 and "is deleted" in answer.text and person.key is None
    assert site.database.value("SELECT count(*) FROM users WHERE username = 'alice'") == 0
    problem(browse(site).login(), 401, "invalid_credentials")
    assert smtp.mails == [] and site.database.value("SELECT count(*) FROM mails") == 0


# ---- Keeping -----------------------------------------------------------------------------------------------------------


def test_person_who_signs_in_is_asked_whether_to_keep_it_and_goes_on(site, browse):
    deleted(site, browse)
    person = browse(site, program=False)
    answer = person.login(next="/page")
    assert answer.headers["Location"] == "/session/delete?next=/page"
    page = person.get(answer.headers["Location"])
    assert page.status_code == 200 and "Keep your account?" in page.text
    assert delete_at(site) is not None and person.is_live()
    answer = person.post("/session/delete", form_of(page.text, "/session/delete"))
    assert answer.status_code == 303 and answer.headers["Location"] == "/page"
    assert delete_at(site) is None and person.is_live()
    assert names(site).count("deletion_cancelled") == 1
    assert person.login(next="/page").headers["Location"] == "/page"


@pytest.mark.parametrize("next", ["", "https://elsewhere.example/", "//elsewhere.example", "/session/account"])
def test_it_leads_nowhere_but_into_this_site(site, browse, next):
    deleted(site, browse)
    person = browse(site, program=False)
    answer = person.login(next=next)
    assert answer.headers["Location"] == "/session/delete"
    fields = {"keep": "true", "next": next}
    assert person.post("/session/delete", fields).headers["Location"] == "/session/account"


def test_program_is_told_when_it_signs_in(site, browse):
    deleted(site, browse)
    program = browse(site)
    told = program.sign_in()
    at = f"{delete_at(site):%Y-%m-%dT%H:%M:%SZ}"
    assert told["delete_at"] == at
    assert program.get("/session/delete").json() == {"delete_at": at}
    assert program.post("/session/delete", {"keep": True}).status_code == 204
    assert program.get("/session/delete").json() == {"delete_at": None}
    assert "delete_at" not in program.sign_in()


def test_to_keep_it_takes_no_fresh_proof_and_changes_nothing_where_it_stays_anyway(site, browse):
    deleted(site, browse)
    mine = browse(site)
    site.database.make_unproved(mine.sign_in()["session"]["id"])
    for _ in range(2):
        assert mine.post("/session/delete", {"keep": True}).status_code == 204
    assert names(site).count("deletion_cancelled") == 1
    problem(browse(site).post("/session/delete", {"keep": True}), 401, "unauthenticated")


def test_who_goes_on_without_an_answer_sees_it_on_the_account_page(site, browse):
    deleted(site, browse)
    person = browse(site, program=False)
    person.sign_in()
    page = person.get("/session/account").text
    assert "This account will be deleted" in page and 'href="/session/delete"' in page
    assert delete_at(site) is not None


def test_session_that_was_displaced_can_keep_nothing(site, browse):
    deleted(site, browse)
    first, second = signed_in(browse(site)), browse(site)
    assert "delete_at" in second.sign_in()
    problem(first.post("/session/delete", {"keep": True}), 401, "displaced")
    assert delete_at(site) is not None


def test_to_delete_it_again_puts_it_off_no_further(site, browse):
    deleted(site, browse)
    site.database.query("UPDATE users SET delete_at = now() + interval '1 hour' WHERE username = 'alice'")
    before = delete_at(site)
    again = signed_in(browse(site))
    delete(again)
    assert delete_at(site) == before and not again.is_live()


def test_new_password_by_mail_asks_as_well(mail_site, browse, smtp):
    deleted(mail_site, browse)
    mail_site.secrets |= {mail(smtp).token}
    person = browse(mail_site, program=False)
    assert person.post("/session/forgot", {"login": "alice", "next": "/page"}).status_code == 202
    wait_until(lambda: len(smtp.mails) == 2, "the mail of a new password")
    reset = smtp.mails[1]
    mail_site.secrets |= {reset.token, reset.code}
    answer = person.post("/session/reset", {"token": reset.token, "new_password": "quite another phrase"})
    assert answer.headers["Location"] == "/session/delete?next=/page" and person.is_live()
    assert delete_at(mail_site) is not None


def test_question_about_a_session_elsewhere_comes_first(new_site, browse):
    site = new_site({"session.on_limit": "ask"})
    deleted(site, browse)
    elsewhere, person = signed_in(browse(site)), browse(site, program=False)
    fields = form_of(person.login(next="/page").text, "/session/login")
    answer = person.post("/session/login", fields)
    assert answer.headers["Location"] == "/session/delete?next=/page"
    # The second of two clicks finds the ticket used.
    assert person.post("/session/login", fields).headers["Location"] == "/session/delete?next=/page"
    assert not elsewhere.is_live()


# ---- At the same moment ------------------------------------------------------------------------------------------------


def test_deleted_twice_at_one_moment_it_is_asked_for_once(new_site, browse):
    site = new_site()
    mine = signed_in(browse(site))
    others = []
    for _ in range(8):
        others.append(browse(site))
        others[-1].key = mine.key
    calls = [Background(lambda other=other: other.post("/session/delete", {})) for other in others]
    answers = [call.result() for call in calls]
    assert sorted(answer.status_code for answer in answers) == [202] + 7 * [401]
    assert names(site).count("deletion_requested") == 1


def test_login_at_that_moment_is_ended_or_told(new_site, browse):
    site = new_site({"session.max_sessions": 0})
    for _ in range(6):
        mine, other = signed_in(browse(site)), browse(site)
        asked = Background(lambda: delete(mine))
        login = Background(other.sign_in)
        asked.result()
        if "delete_at" not in login.result():
            assert other.auth() == "logged_out"
        else:
            assert other.is_live()
        signed_in(other).post("/session/delete", {"keep": True})

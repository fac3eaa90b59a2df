"""What docs/asvs.md claims and no other test shows."""

import json
import re

import pytest

from support.browser import CHROME
from support.client import JSON
from support.programs import Ctl

LONGEST_KEPT = 4096


def cookies(answer):
    """What an answer sets: names and values."""
    return dict(field.split(";")[0].split("=", 1) for field in answer.all("Set-Cookie"))


def sign_in(daemon, **params):
    credentials = b'{"username": "alice", "password": "%b"}' % daemon.database.password.encode()
    answer = daemon.ask(method="POST", path="/session/login", headers=JSON, body=credentials, **params)
    assert answer.status == 200
    return answer


def test_keys_reach_the_client_in_set_cookie_only(new_daemon):
    daemon = new_daemon({"session.max_sessions": 2}).start()
    other, answer = sign_in(daemon), sign_in(daemon)
    presented = {**JSON, "Cookie": "; ".join(f"{name}={value}" for name, value in cookies(answer).items())}
    answers = [answer]
    for accept in ("application/json", "text/html"):
        for path in ("login", "me", "state", "auth", "account", "sessions", "refused", "no-such-page"):
            answers.append(daemon.ask(path=f"/session/{path}", headers={**presented, "Accept": accept}))
    passwords = {"current_password": daemon.database.password, "new_password": "another one of mine"}
    answers.append(
        daemon.ask(method="POST", path="/session/password", headers=presented, body=json.dumps(passwords).encode())
    )
    assert answers[-1].status == 200
    keys = [value for told in (other, *answers) for value in cookies(told).values()]
    assert len(set(keys)) == len(keys) >= 5
    # At its end the test looks for these in the log.
    daemon.secrets.update(keys)
    for told in answers:
        fields = [value for name, value in told.fields if name.lower() != "set-cookie"]
        for key in keys:
            assert key.encode() not in told.body
            assert not [value for value in fields if key in value]


def test_longest_cookies_are_kept_by_browsers(new_daemon):
    daemon = new_daemon({"session.cookie_name": "n" * 100}).start()
    set_by_login = cookies(sign_in(daemon, HTTPS="on"))
    assert len(set_by_login) == 2
    assert max(len(name) + len(value) for name, value in set_by_login.items()) <= LONGEST_KEPT


def test_pages_for_signed_in_people_offer_signing_out(new_site, browse):
    site = new_site({"session.max_sessions": 2})
    browse(site, user_agent=CHROME).sign_in()
    for path in ("/session/account", "/session/sessions", "/session/confirm"):
        person = browse(site, program=False)
        person.sign_in()
        page = person.get(path)
        assert page.status_code == 200
        form, *others = re.findall(r'action="([^"]+)">\s*<button[^>]*>Sign out</button>', page.text)
        assert not others
        assert person.post(form, {}).status_code == 303
        assert not person.is_live()


def test_forms_ask_for_a_password_in_fields_that_mask_it_and_that_managers_know(site, browse):
    person = browse(site, program=False)
    pages = [person.get("/session/login")]
    person.sign_in()
    pages += [person.get("/session/account"), person.get("/session/confirm")]
    asked = {}
    for page in pages:
        assert page.status_code == 200 and "onpaste" not in page.text
        for field in re.findall(r"<input\b[^>]*>", page.text):
            found = dict(re.findall(r'(\w+)="([^"]*)"', field))
            if found.get("type") != "hidden":
                asked[found["name"]] = (found.get("type", "text"), found["autocomplete"])
    assert asked == {
        "username": ("text", "username"),
        "password": ("password", "current-password"),
        "current_password": ("password", "current-password"),
        "new_password": ("password", "new-password"),
    }


def test_new_database_has_no_accounts(empty_database):
    Ctl(empty_database.owner_conninfo).run("migrate")
    assert empty_database.value("SELECT count(*) FROM users") == 0


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_session_begins_by_following_a_link(site, browse, method):
    person = browse(site, program=False)
    query = f"?username=alice&password={site.database.password.replace(' ', '+')}&take_over=true"
    person.request(method, "/session/login" + query)
    assert person.key is None
    assert site.database.sessions() == []

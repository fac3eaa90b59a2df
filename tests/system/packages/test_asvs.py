"""What docs/asvs.md claims and no other test shows."""

import json
import re

import pytest

from support.browser import CHROME
from support.client import JSON

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
    for path in ("/session/account", "/session/sessions"):
        person = browse(site, program=False)
        person.sign_in()
        page = person.get(path)
        assert page.status_code == 200
        form, *others = re.findall(r'action="([^"]+)">\s*<button[^>]*>Sign out</button>', page.text)
        assert not others
        assert person.post(form, {}).status_code == 303
        assert not person.is_live()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_no_session_begins_by_following_a_link(site, browse, method):
    person = browse(site, program=False)
    query = f"?username=alice&password={site.database.password.replace(' ', '+')}&take_over=true"
    person.request(method, "/session/login" + query)
    assert person.key is None
    assert site.database.sessions() == []

"""
login.enabled = off, access.login_url: a site whose people sign in with a login of its own. What asks for passwords is
not there and offered nowhere, and people are led to where they sign in, with the reason.
"""

import json
import re

import pytest

from support import fastcgi
from support.api import Api, new_token
from support.browser import PERSON_ACCEPT
from support.commands import run
from support.programs import write_conf
from support.status import reload_and_wait

OFF = ["/login", "/password", "/forgot", "/reset", "/signup", "/invite", "/confirm", "/email", "/undo", "/delete"]
STAY = ["/me", "/state", "/auth", "/refused", "/verify", "/account", "/sessions", "/notices", "/export", "/health", "/ready"]
MAIL = {
    "mail.server": "smtp://127.0.0.1:9",
    "mail.site_url": "https://www.example.org",
    "mail.from": "noreply@example.org",
}
OWN = {"login.enabled": "off", **MAIL}
LED = {**OWN, "access.login_url": "/sign-in?from=guard", "access.confirm_url": "/prove"}
PERSON = {"Accept": PERSON_ACCEPT}


@pytest.fixture
def new_place(database, new_daemon):
    def make(settings):
        return new_daemon(settings).start()

    return make


@pytest.fixture
def api(ctl):
    token = new_token(ctl)
    return lambda place: Api(place, token)


def page(place, path, token=None, **kwargs):
    """As a person asks for it."""
    headers = {**PERSON, **({"Cookie": f"onesession={token}"} if token else {})}
    path, _, query = path.partition("?")
    return place.ask(path="/session" + path, headers=headers, **{"query": query, **kwargs})


def refused(place, token=None, **kwargs):
    return page(place, "/refused", token, **{"REQUEST_URI": "/page?a=b", **kwargs})


@pytest.mark.parametrize("settings", [OWN, LED], ids=["nowhere", "led"])
def test_what_asks_for_passwords_is_not_there(new_place, api, settings):
    place = new_place(settings)
    token = api(place).sign_in().json["token"]
    for path in OFF:
        for method in ("GET", "POST"):
            for headers in ({}, {"Cookie": f"onesession={token}"}):
                answer = place.ask(method=method, path="/session" + path, headers=headers)
                assert answer.status == 404, (method, path, answer.status)
    for path in STAY:
        assert page(place, path, token).status in (200, 403), path
    assert page(place, "/refused", token).status == 403
    assert place.ask(method="POST", path="/session/logout", headers={"Cookie": f"onesession={token}"}).status == 303
    assert not api(place).is_live(token)


def test_it_is_there_again_after_a_reload(new_place):
    place = new_place({})
    assert page(place, "/login").status == 200
    place.settings.update(LED)
    write_conf(place.conf, place.settings)
    reload_and_wait(place)
    assert page(place, "/login").status == 404
    assert refused(place).get("Location").startswith("/sign-in?")
    del place.settings["login.enabled"]
    write_conf(place.conf, place.settings)
    reload_and_wait(place)
    assert page(place, "/login").status == 200
    assert refused(place).get("Location") == "/session/login?next=/page%3Fa%3Db"


def links_of(text):
    return {re.sub(r"[?#].*", "", found) for found in re.findall(r'(?:href|action|formaction)="([^"]*)"', text)}


@pytest.mark.parametrize("settings", [OWN, LED], ids=["nowhere", "led"])
def test_no_page_offers_what_is_off(new_place, api, database, settings):
    place = new_place(settings)
    database.query("UPDATE users SET email = 'a@example.org', email_verified_at = NULL, delete_at = now() + interval '1 day' WHERE username = 'alice'")
    first = api(place).sign_in().json["token"]
    token = api(place).sign_in().json["token"]
    pages = [page(place, path, token) for path in ("/account", "/sessions", "/notices", "/verify", "/verify?next=/x", "/nothing")]
    pages += [page(place, path) for path in ("/account", "/verify", "/verify?token=x", "/verify?next=/x", "/refused")]
    pages += [page(place, "/account", first), refused(place, first)]
    for asked in pages:
        text = asked.body.decode()
        for path in OFF:
            assert f"/session{path}" not in links_of(text), (path, text)
        assert "#password" not in text and 'type="password"' not in text
        if "access.login_url" not in settings:
            assert "Sign in<" not in text, text


def test_people_are_led_to_the_site_s_own_sign_in_and_told_why(new_place, api):
    place = new_place(LED)
    old = api(place).sign_in().json["token"]
    api(place).sign_in()
    base = "/sign-in?from=guard"
    assert refused(place).get("Location") == f"{base}&next=/page%3Fa%3Db&reason=unauthenticated"
    assert refused(place, old).get("Location") == f"{base}&next=/page%3Fa%3Db&reason=displaced"
    lost = page(place, "/refused", old, method="POST", HTTP_REFERER="http://localhost/form", HTTP_HOST="localhost")
    assert lost.get("Location") == f"{base}&lost=true&next=/form&reason=displaced"
    # The pages of the daemon's own lead there, too.
    for path in ("/account", "/sessions"):
        assert page(place, path, old).get("Location") == f"{base}&reason=displaced"
    assert page(place, "/verify?next=/x").get("Location") == f"{base}&next=/x&reason=unauthenticated"
    # Programs are told as ever.
    answer = place.ask(path="/session/refused", headers={"Accept": "application/json", "Cookie": f"onesession={old}"})
    assert answer.status == 401 and b'"displaced"' in answer.body


@pytest.mark.parametrize("wanted", ["/sign-in", "/sign-in?next=/page&reason=unauthenticated", "/sign-in?from=guard"])
def test_sign_in_that_is_guarded_itself_is_no_way_on(new_place, wanted):
    """Redirects to it would never end."""
    place = new_place(LED)
    for method in ("GET", "POST"):
        answer = refused(place, method=method, REQUEST_URI=wanted)
        assert (answer.status, answer.get("Location"), answer.get("Session-Reason")) == (401, None, "unauthenticated")
    assert refused(place, REQUEST_URI=wanted.replace("/sign-in", "/sign-in/x")).status == 303


def test_sign_in_may_be_at_another_site(new_place):
    place = new_place({**LED, "access.login_url": "https://login.example.org/in"})
    location = refused(place).get("Location")
    assert location == "https://login.example.org/in?next=/page%3Fa%3Db&reason=unauthenticated"


@pytest.mark.parametrize("next_page", ["//evil.example/", "/\\evil.example/", "https://evil.example/", "/x\r\nSet-Cookie: a=b", "/" + "x" * 4000])
def test_next_leads_nowhere_else(new_place, next_page):
    place = new_place(LED)
    location = refused(place, REQUEST_URI=next_page).get("Location")
    assert location == "/sign-in?from=guard&reason=unauthenticated"


@pytest.mark.parametrize("path", ["/page?a=1&reason=x&next=//evil.example", "/page?\"><script>", "/a%0d%0ab#&reason=live"])
def test_next_is_one_field_whatever_is_in_it(new_place, path):
    place = new_place(LED)
    location = refused(place, REQUEST_URI=path).get("Location")
    assert re.fullmatch(r"/sign-in\?from=guard(&next=/[\w%.~/-]*)?&reason=unauthenticated", location), location


def test_authorizer_redirects(new_place, api):
    """lighttpd hands its answer to the client."""
    place = new_place(LED)
    answer = place.ask(path="/page", role=fastcgi.AUTHORIZER, headers=PERSON, REQUEST_URI="/page?a=b")
    assert (answer.status, answer.get("Location")) == (303, "/sign-in?from=guard&next=/page%3Fa%3Db&reason=unauthenticated")
    answer = place.ask(path="/page", role=fastcgi.AUTHORIZER, headers={"Accept": "application/json"}, REQUEST_URI="/page")
    assert answer.status == 401
    token = api(place).sign_in().json["token"]
    assert place.ask(path="/page", role=fastcgi.AUTHORIZER, headers={**PERSON, "Cookie": f"onesession={token}"}).status == 200


def test_who_is_led_nowhere_is_told_why(new_place, api):
    place = new_place(OWN)
    old = api(place).sign_in().json["token"]
    api(place).sign_in()
    for answer in (
        refused(place, old),
        page(place, "/account", old),
        place.ask(path="/page", role=fastcgi.AUTHORIZER, headers={**PERSON, "Cookie": f"onesession={old}"}),
    ):
        assert answer.status == 401
        assert "signed in elsewhere" in answer.body.decode()
        assert links_of(answer.body.decode()) <= {"/", "/session/style.css", "/session/languages"} | {
            found for found in links_of(answer.body.decode()) if found.startswith("data:")
        }


def test_who_lacks_a_plan_is_led_as_ever(new_place, api, database):
    place = new_place({**LED, "access.upgrade_url": "/plans"})
    token = api(place).sign_in().json["token"]
    assert refused(place, token, ONESESSION_REQUIRE="plan=gold").get("Location") == "/plans?next=/page%3Fa%3Db"
    # An address is given where people sign in.
    answer = refused(place, token, ONESESSION_REQUIRE="verified")
    assert answer.status == 403 and "/session/verify" not in answer.body.decode()


def test_fresh_proof_is_told_by_the_site_s_own_sign_in(new_place, api, database):
    """With `presented` it is a rotation: nobody is displaced, and the key is a new one."""
    place = new_place(LED)
    told = api(place).sign_in().json
    database.make_unproved(told["session"]["id"])
    assert refused(place, told["token"], ONESESSION_REQUIRE="fresh=10m").get("Location") == "/prove?next=/page%3Fa%3Db"
    anew = api(place).sign_in(presented=told["token"], fresh=True).json
    assert anew["displaced"] == []
    assert anew["token"] != told["token"]
    assert page(place, "/refused", anew["token"], ONESESSION_REQUIRE="fresh=10m").status == 403
    assert place.ask(path="/session/auth", headers={"Cookie": f"onesession={anew['token']}"}, ONESESSION_REQUIRE="fresh=10m").status == 200
    assert api(place).check(told["token"])["reason"] == "logged_out"


def test_without_a_place_for_that_people_are_told_to_sign_in_anew(new_place, api, database):
    place = new_place(OWN)
    told = api(place).sign_in().json
    database.make_unproved(told["session"]["id"])
    answer = refused(place, told["token"], ONESESSION_REQUIRE="fresh=10m")
    assert answer.status == 401 and "sign out, and sign in again" in answer.body.decode()
    other = "00000000-0000-4000-8000-000000000000"
    answer = page(place, f"/sessions/{other}/end", told["token"], method="POST")
    assert answer.status == 401 and "sign out, and sign in again" in answer.body.decode()


def test_signing_out_leads_to_the_sign_in(new_place, api):
    place = new_place(LED)
    token = api(place).sign_in().json["token"]
    answer = page(place, "/logout", token, method="POST")
    assert answer.get("Location") == "/sign-in?from=guard&reason=logged_out"
    told = api(place).sign_in().json
    answer = page(place, f"/sessions/{told['session']['id']}/end", told["token"], method="POST")
    assert answer.get("Location") == "/sign-in?from=guard&reason=logged_out"


def test_signing_out_leads_to_the_front_page_where_there_is_no_sign_in(new_place, api):
    place = new_place(OWN)
    token = api(place).sign_in().json["token"]
    assert page(place, "/logout", token, method="POST").get("Location") == "/"


def test_open_page_is_told_where_to_sign_in(new_place):
    assert json.loads(page(new_place(LED), "/notice.json").body)["address"] == "/sign-in?from=guard"
    assert "address" not in json.loads(page(new_place(OWN), "/notice.json").body)
    assert json.loads(page(new_place({}), "/notice.json").body)["address"] == "/session/login"


@pytest.mark.parametrize("value", ["open", "invite"])
def test_sign_up_without_a_login_is_refused(new_daemon, value):
    told = run(*new_daemon({**LED, "accounts.signup": value}).command("-t")[1:])
    assert told.returncode == 78
    assert "accounts.signup: must be closed where login.enabled is off" in told.stderr


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"login.enabled": "off"}, "without access.login_url"),
        ({"access.login_url": "/sign-in"}, "access.login_url has no effect"),
        (LED, None),
    ],
)
def test_what_leaves_people_without_a_way_is_warned_of(new_daemon, settings, told):
    done = run(*new_daemon(settings).command("-t")[1:])
    assert done.returncode == 0
    warnings = [line for line in done.stdout.splitlines() if line.startswith("warning: ")]
    assert [told in line for line in warnings] == ([True] if told else [])


def test_operator_invites_nobody_who_could_not_accept(ctl):
    ctl.settings.update(LED)
    assert "login.enabled is off" in ctl.refused("user", "add", "carol", "--email", "c@example.org", "--invite")

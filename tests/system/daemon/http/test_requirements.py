"""What a place needs, as the web server says it with ONESESSION_REQUIRE: at the guard, at /refused, in the log."""

import json

import pytest

from support import fastcgi
from support.browser import PERSON_ACCEPT
from support.client import UNKNOWN, assert_page, sign_in

HOLDS = "live plan=gold|platinum group=editors verified fresh=10m"
NOT_UNDERSTOOD = ["lively", "plan=", "plan=gold|", "factor=2", "optional live", "live\tverified", "fresh=0", "x" * 1025]


@pytest.fixture
def new_place(database, new_daemon):
    """A daemon, with alice who has what HOLDS asks for."""

    def make(settings=None):
        place = new_daemon(settings).start()
        database.query("INSERT INTO plans (name) VALUES ('gold'), ('silver')")
        database.query(
            "UPDATE users SET plan = 'gold', valid_until = now() + interval '1 hour', groups = '{staff,editors}',"
            " email = 'alice@example.org', email_verified_at = now() WHERE username = 'alice'"
        )
        return place

    return make


@pytest.fixture
def place(new_place):
    return new_place()


@pytest.fixture
def alice(place):
    return sign_in(place)


def change(place, assignment):
    place.database.query(f"UPDATE users SET {assignment} WHERE username = 'alice'")


# What takes each term away from her, the code, and what programs are told.
LOSSES = {
    "plan_required": ("plan = NULL", 403, {"plan": ["gold", "platinum"]}),
    "subscription_ended": ("valid_until = now()", 403, {"plan": ["gold", "platinum"]}),
    "group_required": ("groups = '{staff}'", 403, {"group": ["editors"]}),
    "verification_required": ("email_verified_at = NULL", 403, {"verified": True}),
    "stale": (None, 401, {"fresh": "10m"}),
}


def lose(place, code):
    """Returns (status, what programs are told)."""
    loss, *rest = LOSSES[code]
    if loss:
        change(place, loss)
    else:
        place.database.make_unproved(place.database.sessions()[0])
    return rest


def refused(place, headers=None, require=HOLDS, method="GET", **params):
    params = {"REQUEST_URI": "/premium/page?a=b", "ONESESSION_REQUIRE": require, **params}
    headers = {"Accept": PERSON_ACCEPT, **(headers or {})}
    return place.ask(method=method, path="/session/refused", headers=headers, **params)


# ---- The guard -------------------------------------------------------------------------------------------------------


def test_who_has_what_is_needed_is_let_in(place, alice):
    for require in (HOLDS, "live", "", None, "optional", "  live   group=staff "):
        answer = place.ask(headers=alice, ONESESSION_REQUIRE=require)
        assert (answer.status, answer.get("Session-Reason")) == (200, "")


@pytest.mark.parametrize("code", LOSSES)
def test_change_is_felt_at_the_very_next_request(place, alice, code):
    assert place.ask(headers=alice, ONESESSION_REQUIRE=HOLDS).status == 200
    status, _ = lose(place, code)
    answer = place.ask(headers=alice, ONESESSION_REQUIRE=HOLDS)
    assert (answer.status, answer.get("Session-Reason"), answer.body) == (status, code, b"")
    # Live it is all the same.
    assert place.ask(headers=alice, ONESESSION_REQUIRE="live").status == 200
    change(
        place,
        "plan = 'gold', valid_until = NULL, groups = '{editors}', email_verified_at = now()",
    )
    place.database.query("UPDATE sessions SET proved_at = now()")
    assert place.ask(headers=alice, ONESESSION_REQUIRE=HOLDS).status == 200


@pytest.mark.parametrize("require", [HOLDS, "live", "verified", None])
def test_nobody_is_not_let_in_and_told_why(place, require):
    answer = place.ask(headers=UNKNOWN, ONESESSION_REQUIRE=require)
    assert (answer.status, answer.get("Session-Reason")) == (401, "unauthenticated")


IDENTITY = ("Remote-User", "Remote-User-Id", "Session-Id", "Remote-Email", "Remote-Groups", "Remote-Plan")


@pytest.mark.parametrize("path", ["/session/auth", "/session/me"])
def test_application_is_told_who_it_is(place, alice, path):
    user = str(place.database.user_id("alice"))
    session = place.database.sessions()[0]
    answer = place.ask(path=path, headers=alice)
    assert [answer.get(name) for name in IDENTITY] == [
        "alice", user, session, "alice@example.org", "staff,editors", "gold",
    ]
    # An application that goes by the plan is not to go by one that has ended, nor by an address that is not proved.
    change(place, "valid_until = now(), email_verified_at = NULL, groups = '{}'")
    answer = place.ask(path=path, headers=alice)
    assert [answer.get(name) for name in IDENTITY] == ["alice", user, session, "", "", ""]
    answer = place.ask(path=path, headers=UNKNOWN)
    assert [answer.get(name) for name in IDENTITY] == [""] * 6


def test_authorizer_is_told_who_it_is(place, alice):
    def authorize(cookie, **params):
        params = {"HTTP_COOKIE": cookie, "HTTP_ACCEPT": "application/json", "REQUEST_URI": "/premium/", **params}
        return place.ask({"REQUEST_METHOD": "GET", "REMOTE_ADDR": "192.0.2.7", **params}, role=fastcgi.AUTHORIZER)

    answer = authorize(alice["Cookie"], ONESESSION_REQUIRE=HOLDS)
    assert answer.status == 200
    names = ("REMOTE_USER", "REMOTE_EMAIL", "REMOTE_GROUPS", "REMOTE_PLAN")
    found = [answer.get("Variable-" + name) for name in names]
    assert found == ["alice", "alice@example.org", "staff,editors", "gold"]
    answer = authorize(alice["Cookie"], ONESESSION_REQUIRE="plan=silver")
    assert (answer.status, answer.get("Session-Reason")) == (403, "plan_required")
    assert answer.get("Variable-REMOTE_USER") is None
    assert json.loads(answer.body)["required"] == {"plan": ["silver"]}
    answer = authorize(alice["Cookie"], ONESESSION_REQUIRE="plan=silver", FCGI_APACHE_ROLE="AUTHENTICATOR")
    assert (answer.status, answer.body) == (403, b"")
    answer = authorize("", ONESESSION_REQUIRE="optional")
    assert answer.status == 200
    assert {answer.get("Variable-" + name) for name in (*names, "SESSION_ID", "REMOTE_USER_ID")} == {""}


def test_authorizer_is_told_why_nobody_is_signed_in(place, alice):
    def reason(cookie):
        params = {"HTTP_COOKIE": cookie, "ONESESSION_REQUIRE": "optional"}
        params = {"REQUEST_METHOD": "GET", "REMOTE_ADDR": "192.0.2.7", **params}
        answer = place.ask(params, role=fastcgi.AUTHORIZER)
        return answer.status, answer.get("Variable-SESSION_REASON"), answer.get("Session-Reason")

    assert reason(alice["Cookie"]) == (200, "", None)
    sign_in(place)
    assert reason(alice["Cookie"]) == (200, "displaced", None)
    assert reason("") == (200, "unauthenticated", None)


def test_page_that_sells_a_plan_and_needs_it_is_no_way_on(new_place):
    """Redirects to it would never end."""
    place = new_place({"access.upgrade_url": "/plans?from=guard"})
    alice = sign_in(place)
    change(place, "plan = NULL")
    for target in ("/plans", "/plans?from=guard", "/plans?next=/x"):
        answer = refused(place, alice, "plan=gold", REQUEST_URI=target)
        assert (answer.status, answer.get("Location"), answer.get("Session-Reason")) == (403, None, "plan_required")
    assert refused(place, alice, "plan=gold", REQUEST_URI="/plans/x").status == 303


def test_page_of_an_authorizer_says_what_is_lacking_and_leads_there(new_place):
    """lighttpd passes it on as it is."""
    place = new_place({"access.upgrade_url": "/plans?from=guard"})
    params = {"HTTP_COOKIE": sign_in(place)["Cookie"], "HTTP_ACCEPT": PERSON_ACCEPT, "REQUEST_URI": "/premium/?a=b"}
    params = {"REQUEST_METHOD": "GET", "REMOTE_ADDR": "192.0.2.7", **params}
    answer = place.ask({**params, "ONESESSION_REQUIRE": "plan=silver"}, role=fastcgi.AUTHORIZER)
    assert_page(answer, 403)
    assert b'href="/plans?from=guard&amp;next=/premium/%3Fa%3Db"' in answer.body
    place.database.make_unproved(place.database.sessions()[0])
    answer = place.ask({**params, "ONESESSION_REQUIRE": "fresh=10m"}, role=fastcgi.AUTHORIZER)
    assert_page(answer, 401)
    assert b'href="/session/confirm?next=/premium/%3Fa%3Db"' in answer.body


@pytest.mark.parametrize("who", ["alice", "nobody"])
def test_optional_place_lets_everybody_in(place, alice, who):
    answer = place.ask(headers=alice if who == "alice" else UNKNOWN, ONESESSION_REQUIRE="optional")
    assert answer.status == 200
    assert answer.get("Remote-User") == ("alice" if who == "alice" else "")
    assert answer.get("Session-Reason") == ("" if who == "alice" else "unauthenticated")


def test_optional_place_tells_how_a_session_ended(place, alice):
    sign_in(place)
    answer = place.ask(headers=alice, ONESESSION_REQUIRE="optional")
    assert (answer.status, answer.get("Remote-User"), answer.get("Session-Reason")) == (200, "", "displaced")


# ---- What is not understood, lost, or sent by a client ---------------------------------------------------------------


@pytest.mark.parametrize("require", NOT_UNDERSTOOD)
def test_what_is_not_understood_refuses_everybody(place, alice, require):
    for headers in (alice, UNKNOWN, {}):
        for path in ("/session/auth", "/session/refused"):
            answer = place.ask(path=path, headers=headers, ONESESSION_REQUIRE=require)
            assert answer.status == 503
            assert answer.get("Remote-User") is None


def test_what_is_not_understood_is_logged_once_a_minute_with_its_text(place, alice):
    for _ in range(20):
        for require in ("plan=gold or=silver", "lively"):
            assert place.ask(headers=alice, ONESESSION_REQUIRE=require).status == 503
    lines = place.lines_of("requirement_not_understood")
    assert len(lines) == 2
    assert "plan=gold or=silver" in lines[0] and "lively" in lines[1]
    assert all("error" in line for line in lines)


def test_parameter_that_is_sent_twice_refuses_everybody(place, alice):
    params = fastcgi.environ(headers=alice, ONESESSION_REQUIRE="live")
    assert place.ask(params).status == 200
    doubled = fastcgi.pairs(params) + fastcgi.pair("ONESESSION_REQUIRE", "live")
    assert place.ask(doubled).status == 503


@pytest.mark.parametrize("require", [None, "", "  "])
def test_lost_parameter_refuses_everybody_where_it_has_to_be_there(new_place, require):
    place = new_place({"access.require_parameter": "on"})
    alice = sign_in(place)
    assert place.ask(headers=alice, ONESESSION_REQUIRE=HOLDS).status == 200
    for path in ("/session/auth", "/session/refused"):
        assert place.ask(path=path, headers=alice, ONESESSION_REQUIRE=require).status == 503
    assert place.ask(path="/session/me", headers=alice).status == 200
    assert place.log.read_text().count("requirement_missing") == 1


def test_client_cannot_say_what_is_needed(place, alice):
    for require, status in ((HOLDS, 200), ("plan=silver", 403), (None, 200)):
        for header in ("Onesession-Require", "ONESESSION_REQUIRE", "Redirect-Onesession-Require"):
            for value in ("live", "plan=silver", "optional", "nonsense"):
                answer = place.ask(headers={**alice, header: value}, ONESESSION_REQUIRE=require)
                assert answer.status == status
    assert place.ask(headers={"Onesession-Require": "optional"}, ONESESSION_REQUIRE="live").status == 401


# ---- /refused --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", LOSSES)
def test_refused_program_is_told_what_would_be_needed(place, alice, code):
    status, required = lose(place, code)
    for accept in ("application/json", "*/*"):
        answer = refused(place, {**alice, "Accept": accept})
        assert (answer.status, answer.get("Content-Type")) == (status, "application/problem+json")
        told = json.loads(answer.body)
        assert (told["code"], told["status"], told["required"]) == (code, status, required)
        assert answer.get("Session-Reason") == code


@pytest.mark.parametrize("code", LOSSES)
def test_refused_person_is_led_to_what_is_lacking_and_back(new_place, code):
    place = new_place({
        "access.upgrade_url": "https://pay.example.org/plans?x=y", "mail.server": "smtp://127.0.0.1:9",
        "mail.site_url": "https://www.example.org", "mail.from": "noreply@example.org",
    })
    alice = sign_in(place)
    lose(place, code)
    answer = refused(place, alice)
    plans = "https://pay.example.org/plans?x=y&next=/premium/page%3Fa%3Db"
    ways = {
        "plan_required": plans,
        "subscription_ended": plans,
        "verification_required": "/session/verify?next=/premium/page%3Fa%3Db",
        "stale": "/session/confirm?next=/premium/page%3Fa%3Db",
    }
    assert answer.get("Session-Reason") == code
    if code == "group_required":
        assert_page(answer, 403)
    else:
        assert (answer.status, answer.get("Location")) == (303, ways[code])
    if code == "stale":
        answer = refused(place, alice, method="POST", HTTP_REFERER="http://localhost/premium/form")
        assert answer.get("Location") == "/session/confirm?lost=true&next=/premium/form"


@pytest.mark.parametrize("code", ["plan_required", "subscription_ended", "verification_required"])
@pytest.mark.parametrize("language, words", [("en", b"You are signed in"), ("de", b"Konto"), ("zh", "您的".encode())])
def test_refused_person_gets_a_page_where_nothing_leads_on(place, alice, code, language, words):
    lose(place, code)
    answer = refused(place, {**alice, "Accept-Language": language})
    assert_page(answer, 403)
    assert b"alice" in answer.body
    assert words in answer.body or (language, code) == ("en", code)


def test_own_place_to_confirm_is_used(new_place):
    place = new_place({"access.confirm_url": "/login/again"})
    alice = sign_in(place)
    lose(place, "stale")
    assert refused(place, alice).get("Location") == "/login/again?next=/premium/page%3Fa%3Db"
    told = json.loads(refused(place, {**alice, "Accept": "application/json"}).body)
    assert told["confirm"] == "/login/again"


def test_refused_is_judged_anew(place, alice):
    """Who has all that is needed was refused by another."""
    for require in (HOLDS, "optional", None):
        assert refused(place, alice, require).status == 403
    assert refused(place, UNKNOWN).get("Location") == "/session/login?next=/premium/page%3Fa%3Db"
    assert refused(place, UNKNOWN, "optional").status == 403


def test_what_apache_kept_of_the_refused_request_decides(place, alice):
    change(place, "plan = NULL")
    kept = {"REDIRECT_ONESESSION_REQUIRE": HOLDS, "REDIRECT_REQUEST_METHOD": "GET"}
    assert refused(place, {**alice, "Accept": "application/json"}, "live", **kept).status == 403
    told = json.loads(refused(place, {**alice, "Accept": "application/json"}, "live", **kept).body)
    assert told["code"] == "plan_required"
    # The guard goes by its own.
    assert place.ask(headers=alice, ONESESSION_REQUIRE="live", **kept).status == 200
    # It had let that one in, and has taken the key away since.
    let_in = {**kept, "REDIRECT_SESSION_ID": place.database.sessions()[0]}
    assert refused(place, {}, "live", **let_in).status == 403

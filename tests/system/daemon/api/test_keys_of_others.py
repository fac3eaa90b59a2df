"""session.key_from: keys of the application's own making, from its cookie or from Authorization."""

import json
import secrets

import pytest

from support import fastcgi
from support.client import CREDENTIALS, JSON, sign_in
from support.rows import insert_from_outside
from support.waiting import Background

COOKIE = {"session.key_from": "cookie sid"}
BEARER = {"session.key_from": "bearer"}
# Forms that applications' keys have, 128 random bits each.
SIGNED = "s%3AaGVsbG8gd29ybGQ.XRkZqg0p/8Wv+fTgJ=u-~Q"
FORMS = [SIGNED, "0123456789abcdef", "x" * 4096, '"' + "quoted-by-some!" * 2 + '"', "A" * 43, "B" * 44]


def new_key():
    return "eyJhbGciOiJIUzI1NiJ9." + secrets.token_urlsafe(40)


def guard(daemon, *pairs, path="/session/auth", **kwargs):
    """What somebody is answered whose browser has these cookies, (name, value)."""
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in pairs), **kwargs.pop("headers", {})}
    return daemon.ask(path=path, headers={"Accept": "application/json", **headers}, **kwargs)


def with_bearer(daemon, key, path="/session/auth", headers=None, **kwargs):
    fields = {"Authorization": f"Bearer {key}", "Accept": "application/json", **(headers or {})}
    return daemon.ask(path=path, headers=fields, **kwargs)


def is_live(daemon, key):
    return guard(daemon, ("sid", key)).status == 200


@pytest.fixture(name="api")
def api_of_keys_in_a_cookie(new_api):
    return new_api(COOKIE)


# ---- In its cookie ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", FORMS, ids=range(len(FORMS)))
def test_key_of_the_application_is_the_session_s(api, database, key):
    reply = api.sign_in(key=key)
    assert reply.json["token"] is None
    (device,) = reply.json["cookies"]
    assert device.startswith("__Secure-onesession_device=") and "; Path=/;" in device
    answer = guard(api.daemon, ("sid", key))
    assert (answer.status, answer.get("Remote-User")) == (200, "alice")
    assert answer.get("Session-Id") == reply.json["session"]["id"]
    assert answer.get("Session-Credential") == ""
    (stored,) = database.query("SELECT session_key = sha256(%s) FROM sessions", key.encode())
    assert stored == (True,)


def test_each_way_in_takes_it(api):
    """The guard in both roles, /refused, and what is for people and programs."""
    key = new_key()
    session = api.sign_in(key=key).json["session"]["id"]
    daemon = api.daemon
    params = {"REQUEST_METHOD": "GET", "HTTP_COOKIE": f"a=b; sid={key}", "REMOTE_ADDR": "192.0.2.7"}
    answer = daemon.ask(params, role=fastcgi.AUTHORIZER)
    assert (answer.status, answer.get("Variable-SESSION_ID")) == (200, session)
    assert answer.get("Variable-SESSION_CREDENTIAL") == ""
    assert guard(daemon, ("sid", key), path="/session/refused").status == 403
    assert json.loads(guard(daemon, ("sid", key), path="/session/me").body)["session"]["id"] == session
    assert json.loads(guard(daemon, ("sid", key), path="/session/state").body)["live"] is True
    assert b"alice" in daemon.ask(path="/session/account", headers={"Cookie": f"sid={key}", "Accept": "text/html"}).body
    (own,) = json.loads(guard(daemon, ("sid", key), path="/session/sessions").body)["sessions"]
    assert own["id"] == session
    assert api.check(key)["session"]["id"] == session
    assert guard(daemon, ("sid", key), path="/session/logout", method="POST").status == 204
    assert guard(daemon, ("sid", key)).get("Session-Reason") == "logged_out"
    assert api.check(key)["reason"] == "logged_out"


def test_live_one_is_found_among_many(api):
    key, others = new_key(), [new_key() for _ in range(15)]
    api.sign_in(key=key)
    jar = [("sid", other) for other in others]
    for number in (0, 7, 15):
        assert guard(api.daemon, *jar[:number], ("sid", key), *jar[number:]).status == 200
    assert guard(api.daemon, ("SID", key)).status == 401
    assert guard(api.daemon, ("xsid", key), ("sid", "short")).status == 401
    assert guard(api.daemon, ("onesession", key)).status == 401


def test_daemon_s_own_cookie_goes_on(api):
    """A login without `key`, and one by the sign-in page, are as ever, whatever the application's cookie is."""
    daemon, visitor = api.daemon, ("sid", new_key())
    reply = api.sign_in(secure=False)
    assert len(reply.json["cookies"]) == 2 and reply.json["cookies"][0].startswith("onesession=")
    assert guard(daemon, visitor, ("onesession", reply.json["token"])).status == 200
    answer = daemon.ask(
        method="POST", path="/session/login", headers={**JSON, "Cookie": "=".join(visitor)}, body=CREDENTIALS
    )
    assert answer.status == 200
    assert guard(daemon, ("onesession", answer.cookie()), visitor).status == 200
    changed = guard(
        daemon, visitor, ("onesession", answer.cookie()), path="/session/password", method="POST",
        headers={"Content-Type": "application/json"}, timeout=60,
        body=json.dumps({"current_password": api.daemon.database.password, "new_password": "another good horse"}),
    )
    assert changed.status == 200 and "token" not in json.loads(changed.body)
    assert guard(daemon, visitor, ("onesession", changed.cookie())).status == 200


def test_sign_in_page_takes_the_place_of_the_application_s_session(api):
    key = new_key()
    api.sign_in(key=key)
    answer = guard(
        api.daemon, ("sid", key), path="/session/login", method="POST", headers=JSON, body=CREDENTIALS, timeout=60
    )
    assert (answer.status, json.loads(answer.body)["displaced"]) == (200, [])
    assert api.check(key)["reason"] == "logged_out"
    assert guard(api.daemon, ("sid", key), ("onesession", answer.cookie())).status == 200


def test_reason_is_that_of_a_key_which_was_known(api):
    """Not that of one that says nothing."""
    key = new_key()
    api.sign_in(key=key)
    api.sign_in(key=new_key())
    for jar in ([("sid", key)], [("sid", key), ("onesession", "A" * 43)], [("sid", new_key()), ("sid", key)]):
        assert guard(api.daemon, *jar).get("Session-Reason") == "displaced"


def refused_for(daemon, *pairs):
    answer = guard(daemon, *pairs)
    return answer.status, answer.get("Session-Reason"), answer.get("Remote-User")


@pytest.mark.parametrize("reason", ["displaced", "logged_out"])
@pytest.mark.parametrize("beside", ["sid", "onesession"])
def test_ended_key_of_another_account_is_nobody_s_whatever_is_beside_it(api, reason, beside):
    """The application may look at the other one, and show whom that was."""
    ended, live = new_key(), new_key()
    api.sign_in("alice", key=ended)
    api.sign_in("alice", key=new_key(), presented=ended if reason == "logged_out" else None)
    if beside == "sid":
        api.sign_in("bob", key=live)
    else:
        live = api.sign_in("bob", secure=False).json["token"]
    assert guard(api.daemon, (beside, live)).status == 200
    for jar in ([("sid", ended), (beside, live)], [(beside, live), ("sid", ended)]):
        assert refused_for(api.daemon, *jar) == (401, reason, "")
        assert guard(api.daemon, *jar, path="/session/me").status == 401
        assert json.loads(guard(api.daemon, *jar, path="/session/state").body)["live"] is False


def percent(text):
    return "".join(f"%{ord(byte):02x}" for byte in text)


def octal(text):
    return "".join(f"\\{ord(byte):03o}" for byte in text)


# Ways of writing the cookie sid, each of which some program reads: Django, PHP, Express, Rack, Java.
READ_BY_SOME = {
    "quoted": 'sid="{0}"',
    "one quote": 'sid="{0}x',
    "octal": lambda key: f'sid="{octal(key)}"',
    "backslashes": lambda key: 'sid="' + "".join("\\" + byte if byte.isupper() else byte for byte in key) + '"',
    "escaped": lambda key: f"sid={percent(key)}",
    "one escape": lambda key: f"sid={percent(key[0])}{key[1:]}",
    "escaped in quotes": lambda key: f'sid="{percent(key)}"',
    "space before =": "sid ={0}",
    "tab before =": "sid\t={0}",
    "space behind =": "sid= {0}",
    "spaces": "a=b;  sid  =  {0}  ; c=d",
    "control character": "sid={0}\x0b",
    "no-break space": "\xa0sid\xa0=\xa0{0}\xa0",
    "escaped name": "s%69d={0}",
    "capitals": "Sid={0}",
    "comma": "a=b,sid={0}",
    "comma behind": "sid={0},c=d",
    "space between pairs": "a=b sid={0}",
}


def written(way, key):
    return way(key) if callable(way) else way.format(key)


def with_cookies(daemon, *cookies):
    answer = daemon.ask(path="/session/auth", headers={"Cookie": "; ".join(cookies)}, ONESESSION_REQUIRE="live")
    open_place = daemon.ask(path="/session/auth", headers={"Cookie": "; ".join(cookies)}, ONESESSION_REQUIRE="optional")
    assert open_place.status == 200
    assert open_place.get("Session-Reason") == answer.get("Session-Reason")
    assert open_place.get("Remote-User") == answer.get("Remote-User")
    return answer.status, answer.get("Session-Reason"), answer.get("Remote-User")


@pytest.mark.parametrize("way", READ_BY_SOME.values(), ids=READ_BY_SOME)
def test_ended_key_is_known_however_it_is_written(api, way):
    """For an application may find it; and a live one so written lets nobody in, nor does it stay with somebody else."""
    ended, live, others = new_key(), new_key(), new_key()
    api.sign_in("alice", key=ended)
    api.sign_in("alice", key=live)
    api.sign_in("bob", key=others)
    api.put("/users/carol", {}, status=201)
    token = api.sign_in("carol", secure=False).json["token"]
    for beside in ([], [f"sid={others}"], [f"onesession={token}"], [f"sid={new_key()}"]):
        for jar in ([*beside, written(way, ended)], [written(way, ended), *beside]):
            assert with_cookies(api.daemon, *jar) == (401, "displaced", "")
    for jar in ([written(way, live)], [f"sid={others}", written(way, live)]):
        assert with_cookies(api.daemon, *jar) == (401, "revoked", "")
    # The same twice is the same.
    assert with_cookies(api.daemon, f"sid={live}", written(way, live)) == (200, "", "alice")
    # What nobody knows in any spelling, a neighbour may have planted.
    for jar in ([f"sid={others}", written(way, new_key())], [written(way, new_key()), f"sid={others}"]):
        assert with_cookies(api.daemon, *jar) == (200, "", "bob")
    assert with_cookies(api.daemon, written(way, new_key())) == (401, "unauthenticated", "")


def test_ended_key_behind_any_number_of_cookies_is_known(api):
    ended, live = new_key(), new_key()
    api.sign_in("alice", key=ended)
    api.sign_in("alice", key=new_key())
    api.sign_in("bob", key=live)
    many = [f"a{number}=b" for number in range(400)]
    assert with_cookies(api.daemon, f"sid={live}", *many, f"sid={new_key()}") == (200, "", "bob")
    assert with_cookies(api.daemon, f"sid={live}", *many, f"sid={ended}") == (401, "displaced", "")


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ("s%3AaGVsbG8gd29ybGQ.XRkZqg0p%2F8Wv%2BfTgJ%3Du", "s:aGVsbG8gd29ybGQ.XRkZqg0p/8Wv+fTgJ=u"),
        ("s%3AaGVsbG8gd29ybGQ.XRkZqg0p%2F8Wv%2BfTgJ%3Du", "s%3aaGVsbG8gd29ybGQ.XRkZqg0p%2f8Wv+fTgJ=u"),
        ("0123456789%2Cabcdef", "%30123456789%2Cabcdef"),
        ('"0123456789/abcdef="', "0123456789/abcdef="),
        ("0123456789%2Cabcdef", "0123456789,abcdef"),
        ("user%20sess%200123456789", "user sess 0123456789"),
        ("%7B%22id%22%3A%220123456789%22%2C%22n%22%3A1%7D", '{"id":"0123456789","n":1}'),
        ("%220123456789abcdef%22", '"0123456789abcdef"'),
    ],
)
def test_ended_key_with_escapes_is_known_without_them(api, told, read):
    live = new_key()
    api.sign_in("alice", key=told)
    assert guard(api.daemon, ("sid", told)).status == 200
    assert guard(api.daemon, ("sid", read)).status == 401
    api.sign_in("alice", key=new_key())
    api.sign_in("bob", key=live)
    for jar in ([f"sid={live}", f"sid={read}"], [f"sid={read}", f"sid={live}"], [f"sid={read}"]):
        assert with_cookies(api.daemon, *jar) == (401, "displaced", "")


def test_visitor_s_cookie_with_escapes_shuts_nobody_out(api):
    token = api.sign_in(secure=False).json["token"]
    for value in ("s%3Avisitors-session.signature%2B", '"a visitor\'s"', "{%22basket%22:[]}", '"'):
        assert with_cookies(api.daemon, f"sid={value}", f"onesession={token}") == (200, "", "alice")
        assert with_cookies(api.daemon, f"sid={value}")[:2] == (401, "unauthenticated")


def test_displaced_key_is_nobody_s_beside_a_live_one_of_its_account(api):
    ended, live = new_key(), new_key()
    api.sign_in(key=ended)
    api.sign_in(key=live)
    assert refused_for(api.daemon, ("sid", live), ("sid", ended)) == (401, "displaced", "")


def test_unknown_key_shuts_nobody_out(api):
    """A neighbouring host may have planted it."""
    key = new_key()
    api.sign_in(key=key)
    for jar in ([("sid", new_key()), ("sid", key)], [("sid", key), ("sid", new_key())]):
        assert guard(api.daemon, *jar).status == 200


def test_signing_out_beside_an_ended_key_ends_what_is_live(api):
    ended, live = new_key(), new_key()
    api.sign_in("alice", key=ended)
    api.sign_in("alice", key=new_key())
    api.sign_in("bob", key=live)
    assert guard(api.daemon, ("sid", live), ("sid", ended), path="/session/logout", method="POST").status == 204
    assert api.check(live)["reason"] == "logged_out"


def test_more_keys_than_are_looked_up_are_nobody_s(api):
    """One of those that are not could have ended."""
    key = new_key()
    api.sign_in(key=key)
    jar = [("sid", key)] + [("sid", new_key()) for _ in range(15)]
    assert guard(api.daemon, *jar).status == 200
    # With a reason, for which web servers keep it from the application.
    assert with_cookies(api.daemon, *map("=".join, jar), f"sid={new_key()}") == (401, "revoked", "")


def test_key_in_authorization_is_seen_beside_too_many_cookies(new_api):
    api = new_api({**COOKIE, "session.bearer": "on"})
    token = api.sign_in().json["token"]
    jar = [("sid", new_key()) for _ in range(17)]
    answer = guard(api.daemon, *jar, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status, answer.get("Session-Credential")) == (401, "bearer")


def test_ended_key_in_authorization_is_nobody_s_beside_a_live_cookie(new_api):
    api = new_api(BEARER)
    ended = new_key()
    api.sign_in("alice", key=ended)
    api.sign_in("alice", key=new_key())
    own = {"Cookie": f"onesession={api.sign_in('bob', secure=False).json['token']}"}
    answer = with_bearer(api.daemon, ended, headers=own)
    assert (answer.status, answer.get("Session-Reason")) == (401, "displaced")
    assert with_bearer(api.daemon, new_key(), headers=own).status == 200


@pytest.mark.parametrize(
    "field", ["Bearer {0} x", "Bearer {0},", "Bearer\t{0}", 'Bearer "{0}"', "Token {0}", "Bearer {0};", "{0}", "Bearer {0}, Bearer x", "Bearer {0}="]
)
def test_authorization_that_could_be_read_otherwise_is_nobody_s(new_api, field):
    api = new_api(BEARER)
    ended = new_key()
    api.sign_in("alice", key=ended)
    api.sign_in("alice", key=new_key())
    token = api.sign_in("bob", secure=False).json["token"]
    reason = "displaced" if field.endswith("=") else "revoked"
    for cookie in ({}, {"Cookie": f"onesession={token}"}):
        for place, status in (("live", 401), ("optional", 200)):
            fields = {"Authorization": field.format(ended), **cookie}
            answer = api.daemon.ask(headers=fields, ONESESSION_REQUIRE=place)
            assert (answer.status, answer.get("Session-Reason"), answer.get("Remote-User")) == (status, reason, "")
            # The web server keeps it from the application.
            assert answer.get("Session-Credential") == "bearer"
    fields = {"Authorization": "", "Cookie": f"onesession={token}"}
    assert api.daemon.ask(headers=fields).status == 200
    fields["Authorization"] = f"Bearer {new_key()}"
    answer = api.daemon.ask(headers=fields)
    assert (answer.status, answer.get("Session-Credential")) == (200, "")


def test_row_of_another_program_counts(api, database):
    key = insert_from_outside(database, "alice")
    assert is_live(api.daemon, key)


def test_without_key_from_the_application_s_cookie_is_nobody_s(new_api):
    api = new_api()
    token = api.sign_in().json["token"]
    assert guard(api.daemon, ("sid", token)).status == 401


# ---- Telling it ------------------------------------------------------------------------------------------------------


def test_key_is_for_sites_that_say_so(new_api):
    refused = new_api().sign_in(status=400, key=new_key())
    assert refused.code == "bad_request" and "session.key_from" in refused.json["detail"]


WRONG = ["", "x", "x" * 15, "x" * 4097, "A" * 20 + " ", "A" * 20 + ";", "A" * 20 + ",", "A" * 20 + "\\", "ä" * 20,
         'A"' * 20, "A" * 20 + "\n", "ost_" + "A" * 43, "ost_" + "A" * 20, "A" * 20 + "\x7f"]


@pytest.mark.parametrize("key", WRONG, ids=range(len(WRONG)))
@pytest.mark.parametrize("settings", [COOKIE, BEARER], ids=["cookie", "bearer"])
def test_what_no_request_can_have_is_no_key(new_shared_api, settings, key):
    api = new_shared_api(settings)
    assert api.sign_in(status=400, key=key).code == "bad_request"
    assert api.daemon.database.sessions() == []


@pytest.mark.parametrize("key", [7, True, [], {}])
def test_key_is_a_text_or_null(api, key):
    assert api.sign_in(status=400, key=key).code == "bad_request"
    assert len(api.sign_in(key=None).json["token"]) == 43


@pytest.mark.parametrize("what", ["live", "presented", "displaced", "logged out", "another's", "one of the daemon's"])
def test_key_that_was_seen_is_refused(api, database, what):
    key = new_key()
    presented = None
    if what == "one of the daemon's":
        key = sign_in(api.daemon)["Cookie"].partition("=")[2]
    else:
        api.sign_in("bob" if what == "another's" else "alice", key=key)
    if what == "presented":
        presented = key
    elif what == "displaced":
        api.sign_in(key=new_key())
    elif what == "logged out":
        guard(api.daemon, ("sid", key), path="/session/logout", method="POST")
    before = [database.query(f"SELECT * FROM {table} ORDER BY 1") for table in ("sessions", "ended_sessions", "events")]
    refused = api.sign_in(status=409, key=key, presented=presented)
    assert refused.code == "key_seen"
    after = [database.query(f"SELECT * FROM {table} ORDER BY 1") for table in ("sessions", "ended_sessions", "events")]
    assert after == before


def test_key_that_nobody_remembers_is_new_again(api, database):
    key = new_key()
    api.sign_in(key=key)
    api.delete("/users/alice/sessions")
    database.query("DELETE FROM ended_sessions")
    api.sign_in(key=key)
    assert is_live(api.daemon, key)


@pytest.mark.parametrize("users", [("alice", "alice"), ("alice", "bob")], ids=["one account", "two accounts"])
def test_two_logins_at_once_with_one_key_are_one_session(new_api, users):
    api = new_api({**COOKIE, "server.workers": 4, "session.max_sessions": 5})
    for _ in range(10):
        key = new_key()
        replies = [Background(api.post, "/sessions", {"user": user, "key": key}) for user in users]
        replies = [reply.result() for reply in replies]
        assert sorted(reply.status for reply in replies) == [201, 409]
        assert [reply.code for reply in replies if reply.status == 409] == ["key_seen"]
        (count,) = api.daemon.database.query("SELECT count(*) FROM sessions WHERE session_key = sha256(%s)", key.encode())
        assert count == (1,)
        assert is_live(api.daemon, key)


def test_same_login_again_is_answered_the_same(api):
    key = new_key()
    once = {"Idempotency-Key": "one"}
    first = api.sign_in(key=key, headers=once)
    again = api.sign_in(key=key, headers=once)
    assert (again.json, again.get("Idempotent-Replayed")) == (first.json, "true")


@pytest.mark.parametrize("settings", [{}, {"session.on_limit": "refuse"}, {"session.on_limit": "ask"}])
def test_former_key_of_the_application_rotates(new_api, settings):
    api = new_api({**COOKIE, **settings})
    first, second = new_key(), new_key()
    api.sign_in(key=first)
    assert api.sign_in(key=second, presented=first).json["displaced"] == []
    assert api.check(first)["reason"] == "logged_out"
    # By its device, too, where the application has forgotten the former one; and by the daemon's own key.
    device = api.sign_in(presented=second).json["cookies"][1].partition("=")[2].partition(";")[0]
    assert api.sign_in(key=new_key(), device=device).json["displaced"] == []


# ---- In Authorization ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["0123456789abcdef", "mF_9.B5f-4.1JqM+/~=", "a.b.c" * 800, "A" * 43])
def test_key_of_the_application_in_authorization(new_api, key):
    api = new_api(BEARER)
    session = api.sign_in(key=key).json["session"]["id"]
    answer = with_bearer(api.daemon, key)
    assert (answer.status, answer.get("Session-Id")) == (200, session)
    # It is the application's own, and stays where it is.
    assert answer.get("Session-Credential") == ""
    for scheme in ("bearer ", "BEARER   "):
        assert api.daemon.ask(headers={"Authorization": scheme + key}).status == 200
    for field in (key, f"Basic {key}", f"Bearer{key}", f"Bearer {key}x", f"Bearer {key} x", f"Bearer {key},"):
        assert api.daemon.ask(headers={"Authorization": field}).status == 401
    assert guard(api.daemon, ("sid", key), ("onesession", key)).status == (200 if len(key) == 43 else 401)
    assert with_bearer(api.daemon, key, path="/session/logout", method="POST").status == 204
    assert with_bearer(api.daemon, key).get("Session-Reason") == "logged_out"


def test_tokens_of_the_api_are_never_keys(new_api):
    for settings in (BEARER, COOKIE, {"session.bearer": "on"}):
        api = new_api(settings)
        put = "INSERT INTO sessions (session_key, user_id, expires_at) SELECT sha256(%s), id, now() + interval '1 hour' FROM users WHERE username = 'alice'"
        api.daemon.database.query(put, api.token.encode())
        assert with_bearer(api.daemon, api.token).get("Session-Reason") == "unauthenticated"
        assert guard(api.daemon, ("sid", api.token)).get("Session-Reason") == "unauthenticated"
        assert api.check(api.token)["reason"] == "unauthenticated"
        api.daemon.stop()
        api.daemon.database.query("DELETE FROM sessions; DELETE FROM api_tokens")


def test_without_cookies_a_new_key_is_in_the_answer(new_api):
    """Who keeps the key by itself could not read it off a cookie."""
    api = new_api(BEARER)
    key = new_key()
    api.sign_in(key=key)
    body = json.dumps({"current_password": api.daemon.database.password, "new_password": "another good horse"})
    changed = with_bearer(
        api.daemon, key, path="/session/password", method="POST", headers=JSON, body=body, timeout=60
    )
    token = json.loads(changed.body)["token"]
    assert changed.all("Set-Cookie") == []
    assert [with_bearer(api.daemon, each).status for each in (key, token)] == [401, 200]

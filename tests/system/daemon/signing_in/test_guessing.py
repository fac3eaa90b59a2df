"""Guessing passwords: failed logins are counted over all hosts and slowed down, and nobody can lock an owner out."""

import json
import re

import pytest

from support.browser import problem
from support.client import JSON, WRONG, guess, set_cookie, sign_in_from, statuses
from support.programs import Ctl
from support.stopped import stopped
from support.waiting import Background, wait_until

# As they are unless configured; other tests turn them off.
LIMITS = {"login.attempts_per_user": 10, "login.attempts_per_address": 50}


@pytest.fixture(name="new_daemon")
def new_daemon_with_limits(new_daemon):
    return lambda settings=None: new_daemon({**LIMITS, **(settings or {})})


@pytest.fixture(name="new_site")
def new_site_with_limits(new_site):
    return lambda settings=None: new_site({**LIMITS, **(settings or {})})


def failures(database):
    return dict(database.query("SELECT kind, sum(count)::bigint FROM login_failures GROUP BY kind"))


def throttled_events(database):
    return database.query(
        "SELECT detail ->> 'kind', username, user_id IS NOT NULL, host(ip) FROM events WHERE name = 'login_throttled'"
        " ORDER BY id"
    )


def let_window_pass(database):
    database.query("UPDATE login_failures SET began_at = began_at - interval '15 minutes'")


# ---- Accounts --------------------------------------------------------------------------------------------------------


def test_account_is_throttled_and_the_right_password_too(site, browse):
    stranger = browse(site)
    for _ in range(10):
        problem(stranger.login(password=WRONG), 401, "invalid_credentials")
    answer = stranger.login()
    problem(answer, 429, "too_many_attempts")
    assert 800 <= int(answer.headers["Retry-After"]) <= 900
    assert "Set-Cookie" not in answer.headers
    assert site.database.sessions() == []
    person = browse(site, program=False)
    answer = person.login()
    assert answer.status_code == 429
    assert 800 <= int(answer.headers["Retry-After"]) <= 900
    assert answer.headers["Content-Type"].startswith("text/html")
    # Others are not held up by it.
    browse(site).sign_in("bob")


def test_known_browser_of_the_owner_gets_in_whatever_others_do(site, browse):
    owner, stranger = browse(site), browse(site)
    owner.sign_in()
    owner.logout()
    assert [stranger.login(password=WRONG).status_code for _ in range(12)] == [401] * 10 + [429] * 2
    assert stranger.login().status_code == 429
    # Also with a slip or two.
    assert owner.login(password=WRONG).status_code == 401
    owner.sign_in()
    owner.sign_in()
    assert stranger.login().status_code == 429


def test_refusals_and_successes_do_not_count(new_daemon, database):
    daemon = new_daemon({"login.attempts_per_user": 3, "login.attempts_per_address": 5}).start()
    for _ in range(8):
        sign_in_from(daemon)
    assert failures(database) == {}
    assert statuses(daemon, 9) == [401] * 3 + [429] * 6
    assert failures(database) == {"account": 3, "address": 3}
    # The address has two tries left, for others.
    assert statuses(daemon, 4, "bob") == [401] * 2 + [429] * 2
    assert failures(database) == {"account": 5, "address": 5}


def test_success_does_not_give_new_tries(new_daemon):
    """Or whoever has an account of his own would get as many as he likes."""
    daemon = new_daemon({"login.attempts_per_user": 4, "login.attempts_per_address": 4}).start()
    assert statuses(daemon, 3) == [401] * 3
    sign_in_from(daemon)
    sign_in_from(daemon, "bob")
    assert statuses(daemon, 2) == [401, 429]


def test_refusal_by_limit_of_sessions_is_no_failure(new_daemon, database):
    daemon = new_daemon({"session.on_limit": "refuse", "login.attempts_per_user": 2}).start()
    sign_in_from(daemon)
    for _ in range(5):
        assert guess(daemon, password=database.password).status == 409
    assert failures(database) == {}


def test_window_begins_with_the_first_failure_and_passes(new_daemon, database):
    daemon = new_daemon({"login.attempts_per_user": 2, "login.attempts_window": "3s"}).start()
    assert statuses(daemon, 2) == [401, 401]
    answer = guess(daemon)
    assert answer.status == 429 and 1 <= int(answer.get("Retry-After")) <= 3
    wait_until(lambda: guess(daemon).status == 401, "the window to end")
    assert database.value("SELECT count FROM login_failures WHERE kind = 'account'") == 1


def test_retry_after_is_what_is_left_of_the_window(new_daemon, database):
    daemon = new_daemon({"login.attempts_per_user": 1}).start()
    guess(daemon)
    database.query("UPDATE login_failures SET began_at = began_at - interval '14 minutes'")
    assert 50 <= int(guess(daemon).get("Retry-After")) <= 60
    let_window_pass(database)
    sign_in_from(daemon)


def test_spellings_of_a_name_are_one_account(new_daemon):
    daemon = new_daemon({"login.attempts_per_user": 3}).start()
    spellings = ["alice", "ALICE", "\uff41lice", "Alice"]
    assert [guess(daemon, name).status for name in spellings] == [401, 401, 401, 429]
    assert guess(daemon, "alice2").status == 401


def test_names_that_nobody_has_are_treated_like_those_of_accounts(new_daemon, database):
    """Neither an answer nor when it comes tells which accounts there are; nor does the table hold what was typed."""
    daemon = new_daemon({"login.attempts_per_user": 3, "login.attempts_per_address": 0}).start()

    def told(username):
        found = []
        for _ in range(6):
            answer = guess(daemon, username)
            fields = sorted((name, value) for name, value in answer.fields if name not in ("Request-Id", "Date"))
            fields = [(name, re.sub(r"\d+", "N", value) if name == "Retry-After" else value) for name, value in fields]
            found.append((answer.status, fields, re.sub(r"\d+ (second|minute)s?", "N", answer.body.decode())))
        return found

    known = told("alice")
    assert [status for status, _, _ in known] == [401] * 3 + [429] * 3
    for name in ("dora", "nobody", "hunter2-typed-into-the-wrong-field", "x" * 1000):
        assert told(name) == known
    subjects = [row[0] for row in database.query("SELECT subject FROM login_failures")]
    assert len(subjects) == 5 and all(re.fullmatch("[0-9a-f]{64}", subject) for subject in subjects)


def test_wrong_current_password_counts(new_site, browse):
    """Whoever has got hold of a session cannot find out the password with it."""
    site = new_site({"login.attempts_per_user": 3})
    owner, thief = browse(site), browse(site)
    owner.sign_in()
    thief.key = owner.key
    change = {"current_password": WRONG, "new_password": "another good password"}
    found = [thief.post("/session/password", change).status_code for _ in range(5)]
    assert found == [401] * 3 + [429] * 2
    assert thief.post("/session/password", {**change, "current_password": site.database.password}).status_code == 429
    assert owner.post("/session/password", {**change, "current_password": site.database.password}).status_code == 200
    assert failures(site.database) == {"account": 3, "address": 3}


# ---- Addresses -------------------------------------------------------------------------------------------------------


def test_address_is_throttled_over_many_names(new_daemon, database):
    daemon = new_daemon({"login.attempts_per_address": 6}).start()
    found = [guess(daemon, f"name{number}").status for number in range(9)]
    assert found == [401] * 6 + [429] * 3
    assert guess(daemon, password=database.password).status == 429
    sign_in_from(daemon, address="192.0.2.8")
    assert throttled_events(database) == [("address", "", False, "192.0.2.7")]


def test_ipv6_is_counted_by_its_network(new_daemon):
    daemon = new_daemon({"login.attempts_per_address": 4, "login.attempts_per_user": 0}).start()
    found = [guess(daemon, address=f"2001:db8:0:7:{number:x}::{number:x}").status for number in range(1, 7)]
    assert found == [401] * 4 + [429] * 2
    assert guess(daemon, address="2001:db8:0:8::1").status == 401


def test_networks_of_one_larger_network_of_ipv6_are_counted_together(new_daemon, database):
    """Whoever has a /48 has 65,536 of the networks that are counted by themselves."""
    daemon = new_daemon({"login.attempts_per_address": 3, "login.attempts_per_user": 0}).start()
    found = [guess(daemon, address=f"2001:db8:7:{number:x}::1").status for number in range(1, 41)]
    assert found == [401] * 30 + [429] * 10
    assert guess(daemon, address="2001:db8:8::1").status == 401
    assert failures(database)["network"] == 31
    assert throttled_events(database) == [("network", "alice", True, "2001:db8:7:1e::1")]
    # IPv4 has nothing of the kind.
    assert [guess(daemon, address=f"192.0.2.{number}").status for number in range(1, 41)] == [401] * 40


def test_ipv4_is_the_same_in_the_form_of_ipv6(new_daemon):
    daemon = new_daemon({"login.attempts_per_address": 2, "login.attempts_per_user": 0}).start()
    addresses = ["192.0.2.9", "::ffff:192.0.2.9", "::ffff:c000:209", "192.0.2.9", "::ffff:192.0.2.10"]
    assert [guess(daemon, address=address).status for address in addresses] == [401, 401, 429, 429, 401]


def test_without_an_address_the_account_is_counted(new_daemon, database):
    daemon = new_daemon({"login.attempts_per_user": 3, "login.attempts_per_address": 1}).start()
    for address in (None, "unix:", ""):
        assert guess(daemon, address=address).status == 401
    assert guess(daemon, address=None).status == 429
    assert failures(database) == {"account": 3}


def test_known_browser_is_not_held_up_by_its_address(new_daemon):
    """As behind the one address of a school."""
    daemon = new_daemon({"login.attempts_per_address": 3}).start()
    device = sign_in_from(daemon)
    assert statuses(daemon, 4, "somebody") == [401] * 3 + [429]
    assert guess(daemon, password=daemon.database.password).status == 429
    sign_in_from(daemon, device=device)


def test_limits_can_be_turned_off(new_daemon, database):
    daemon = new_daemon({"login.attempts_per_user": 0, "login.attempts_per_address": 0}).start()
    assert statuses(daemon, 60) == [401] * 60
    assert failures(database) == {}
    only_users = new_daemon({"login.attempts_per_user": 2, "login.attempts_per_address": 0}).start()
    assert statuses(only_users, 3) == [401, 401, 429]
    assert failures(database) == {"account": 2}


def test_known_browser_has_a_limit_also_where_accounts_have_none(new_daemon):
    daemon = new_daemon({"login.attempts_per_user": 0, "login.attempts_per_address": 3}).start()
    device = sign_in_from(daemon)
    found = [guess(daemon, address="192.0.2.1", device=device).status for _ in range(8)]
    assert found == [401] * 6 + [429] * 2


# ---- All hosts, all at once ------------------------------------------------------------------------------------------


def test_hosts_count_together(new_daemon):
    here = new_daemon({"login.attempts_per_user": 5, "login.attempts_per_address": 8}).start()
    there = new_daemon({"login.attempts_per_user": 5, "login.attempts_per_address": 8}).start()
    device = sign_in_from(here)
    found = [guess(where).status for where in (here, there) * 4]
    assert found == [401] * 5 + [429] * 3
    assert [guess(where, "bob").status for where in (here, there) * 3] == [401] * 3 + [429] * 3
    sign_in_from(there, device=device)


def test_count_outlives_the_daemon(new_daemon):
    daemon = new_daemon({"login.attempts_per_user": 2}).start()
    assert statuses(daemon, 3) == [401, 401, 429]
    daemon.stop()
    assert guess(daemon.start()).status == 429


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
@pytest.mark.parametrize("limited", ["user", "address"])
def test_guesses_at_the_same_moment_get_no_more_tries(cluster, database, new_daemon, limited, isolation):
    cluster.execute(f"ALTER DATABASE {database.name} SET default_transaction_isolation = '{isolation}'")
    limits = {"login.attempts_per_user": 0, "login.attempts_per_address": 0, f"login.attempts_per_{limited}": 7}
    limits |= {"server.workers": 8, "login.max_hashing": 7}
    daemons = [new_daemon(limits).start() for _ in range(2)]
    for turn in range(2):
        calls = []
        for number in range(40):
            username = f"name{number}" if limited == "address" else ("alice", "nobody")[turn]
            calls.append(Background(guess, daemons[number % 2], username, address=f"192.0.2.{turn}"))
        assert sorted(call.result().status for call in calls) == [401] * 7 + [429] * 33


def test_right_password_among_guesses_at_the_same_moment(new_daemon, database):
    """It is let in or held up like a guess; never is a guess told that it was wrong past the limit."""
    daemons = [new_daemon({"login.attempts_per_user": 5, "server.workers": 4}).start() for _ in range(2)]
    calls = []
    for number in range(48):
        password = database.password if number % 3 == 2 else WRONG
        calls.append((password, Background(guess, daemons[number % 2], "alice", password)))
    found = [(password, call.result().status) for password, call in calls]
    assert found.count((WRONG, 401)) == 5
    assert found.count((WRONG, 429)) == 27
    assert {status for password, status in found if password == database.password} <= {200, 429}


def passwords_being_hashed(daemon):
    return json.loads(daemon.ask(path="/session/status", REMOTE_ADDR="127.0.0.1").body)["hashing"]["in_use"]


def test_tries_used_up_while_a_right_password_is_looked_at(new_daemon, database):
    """The answer would tell that it was right: as much as one try more."""
    cost = {"login.memory": "64MiB", "login.passes": 3}
    Ctl(database.conninfo, **cost).run("user", "passwd", "alice", stdin=database.password + "\n")
    daemon = new_daemon({"server.workers": 1, "login.max_hashing": 1, **cost}).start()
    call = Background(guess, daemon, "alice", database.password)
    wait_until(lambda: passwords_being_hashed(daemon) == 1, "it to be hashed")
    # It is looked at for as long as this takes.
    with stopped(daemon.hasher):
        database.query("INSERT INTO login_failures VALUES ('account', encode(sha256('alice'), 'hex'), 10, now())")
    assert call.result().status == 429
    assert database.sessions() == []


def test_logins_at_the_same_moment_are_no_guesses(new_daemon):
    daemons = [new_daemon({"login.attempts_per_user": 1, "server.workers": 4}).start() for _ in range(2)]
    calls = [Background(sign_in_from, daemons[number % 2]) for number in range(24)]
    assert all(call.result() for call in calls)


@pytest.mark.slow
def test_nothing_gets_in_each_others_way(cluster, database, new_daemon):
    """Failures, logins, rotations, the purge and windows that pass, all on few rows: no deadlock, no 5xx."""
    began = cluster.log.stat().st_size
    limits = {"login.attempts_window": "1s", "server.workers": 4, "session.purge_interval": "1s"}
    daemons = [new_daemon(limits).start() for _ in range(2)]
    device = sign_in_from(daemons[0])
    for name in ("alice", "bob"):
        device = sign_in_from(daemons[0], name, device=device)

    def work(number):
        nonlocal device
        where = daemons[number % 2]
        for turn in range(25):
            name = ("alice", "bob", "nobody")[(number + turn) % 3]
            password = database.password if turn % 4 == 0 else WRONG
            answer = guess(where, name, password, f"192.0.2.{(number + turn) % 4}", device if number % 2 else None)
            assert answer.status in (200, 401, 429), (answer.status, answer.body)
            device = answer.cookie("onesession_device") or device

    for call in [Background(work, number) for number in range(8)]:
        call.result(120)
    with open(cluster.log, encoding="utf-8", errors="replace") as log:
        log.seek(began)
        assert "deadlock" not in log.read()


# ---- The device cookie -----------------------------------------------------------------------------------------------


def test_device_cookie_over_http(daemon):
    answer = guess(daemon, password=daemon.database.password)
    name, value, attributes = set_cookie(answer, is_device=True)
    assert name == "onesession_device"
    assert re.fullmatch("[A-Za-z0-9_-]{43}", value)
    assert attributes == {"path": "/", "max-age": "34560000", "httponly": "", "samesite": "Lax"}


def test_device_cookie_over_https(daemon):
    """Without __Host-: with another name no browser that has one would be known."""
    answer = guess(daemon, password=daemon.database.password, HTTPS="on")
    name, value, attributes = set_cookie(answer, is_device=True)
    assert name == "__Secure-onesession_device"
    assert attributes["path"] == "/" and attributes["secure"] == ""
    assert "domain" not in attributes
    headers = {**JSON, "Cookie": f"__Secure-onesession_device={value}"}
    body = json.dumps({"username": "alice", "password": WRONG})
    answer = daemon.ask(method="POST", path="/session/login", headers=headers, body=body, HTTPS="on")
    assert answer.status == 401
    assert failures(daemon.database) == {"browser": 1}


def test_device_cookie_follows_the_configuration(new_daemon):
    daemon = new_daemon(
        {
            "session.cookie_name": "kino",
            "session.cookie_samesite": "strict",
            "session.cookie_secure": "always",
            "server.prefix": "/account/gate",
        }
    ).start(wait="/account/gate/ready")
    body = json.dumps({"username": "alice", "password": daemon.database.password})
    answer = daemon.ask(method="POST", path="/account/gate/login", headers=JSON, body=body)
    name, _, attributes = set_cookie(answer, is_device=True)
    assert name == "__Secure-kino_device"
    assert (attributes["path"], attributes["samesite"]) == ("/", "Strict")


def all_devices(answer):
    """(value, path) of each that is set."""
    fields = [field for field in answer.all("Set-Cookie") if field.startswith("onesession_device=")]
    return [(field.partition("=")[2].partition(";")[0], re.search("; Path=([^;]*)", field)[1]) for field in fields]


@pytest.mark.parametrize("prefix", ["/session", "/"])
def test_device_cookie_of_the_former_path_does_no_harm(new_daemon, prefix):
    """Until 0.2 its path was server.prefix. Browsers send both, the one with the longer path first."""
    at = prefix.rstrip("/")
    daemon = new_daemon({"server.prefix": prefix, "session.on_limit": "refuse"}).start(wait=f"{at}/ready")

    def login(*devices):
        body = json.dumps({"username": "alice", "password": daemon.database.password})
        jar = {"Cookie": "; ".join(f"onesession_device={device}" for device in devices)}
        return daemon.ask(method="POST", path=f"{at}/login", headers={**JSON, **jar}, body=body)

    ((former, _),) = all_devices(login())
    # It knows the browser that has it.
    answer = login(former)
    assert answer.status == 200
    ((new, path),) = all_devices(answer)
    assert path == "/"
    # With both, it is the new one that counts, and the former one goes.
    answer = login(former, new)
    assert answer.status == 200
    assert (("", "/session") in all_devices(answer)) is (prefix == "/session")
    ((newest, path),) = [device for device in all_devices(answer) if device[0] != ""]
    assert path == "/" and login(newest).status == 200


def test_database_holds_the_hash_of_the_device_cookie(daemon, database):
    device = sign_in_from(daemon)
    rows = database.query("SELECT user_id, browser_key = sha256(%s) FROM known_browsers", device.encode())
    assert rows == [(database.user_id("alice"), True)]


def test_device_cookie_stays_at_logout_and_is_not_given_by_failures(site, browse):
    browser = browse(site)
    browser.login(password=WRONG)
    assert "onesession_device" not in browser.http.cookies
    browser.sign_in()
    device = browser.http.cookies["onesession_device"]
    browser.logout()
    assert browser.http.cookies["onesession_device"] == device
    browser.login(password=WRONG)
    assert browser.http.cookies["onesession_device"] == device
    assert failures(site.database) == {"account": 1, "address": 1, "browser": 1}
    browser.sign_in()
    assert browser.http.cookies["onesession_device"] != device


def test_known_browser_has_a_number_of_tries_of_its_own(new_daemon, database):
    """A stolen device cookie is worth as many; then the browser is like any other."""
    daemon = new_daemon({"login.attempts_per_user": 3}).start()
    device, other = sign_in_from(daemon), sign_in_from(daemon)
    assert statuses(daemon, 3, device=device) == [401] * 3
    assert failures(database) == {"browser": 3}
    assert statuses(daemon, 5, device=device) == [401] * 3 + [429] * 2
    assert failures(database) == {"browser": 6, "account": 3, "address": 3}
    assert guess(daemon, password=database.password, device=device).status == 429
    # The owner's other browser goes on.
    sign_in_from(daemon, device=other)
    assert [event[0] for event in throttled_events(database)] == ["browser", "account"]
    let_window_pass(database)
    sign_in_from(daemon, device=device)


def test_device_cookie_of_another_account_does_not_help(new_daemon, database):
    daemon = new_daemon({"login.attempts_per_user": 2}).start()
    device = sign_in_from(daemon, "bob")
    assert statuses(daemon, 3, device=device) == [401, 401, 429]
    assert guess(daemon, password=database.password, device=device).status == 429
    assert failures(database) == {"account": 2, "address": 2}


@pytest.mark.parametrize("value", ["A" * 43, "", "x", "A" * 44, "' OR 1=1 --" + "A" * 32])
def test_device_cookie_that_was_never_given_does_not_help(new_daemon, value):
    daemon = new_daemon({"login.attempts_per_user": 2}).start()
    assert statuses(daemon, 3, device=value) == [401, 401, 429]
    assert sign_in_from(daemon, "bob", device=value) != value


def test_device_cookie_is_good_until_the_next_login(new_daemon):
    """Whoever copied it before has nothing."""
    daemon = new_daemon({"login.attempts_per_user": 2}).start()
    stolen = sign_in_from(daemon)
    current = sign_in_from(daemon, device=stolen)
    assert current != stolen
    assert statuses(daemon, 3, device=stolen) == [401, 401, 429]
    assert guess(daemon, password=daemon.database.password, device=stolen).status == 429
    sign_in_from(daemon, device=current)


def test_planted_device_cookie_becomes_another_one(new_daemon):
    """Somebody puts his own into the browser of another, to have it known to that one's account."""
    daemon = new_daemon({"login.attempts_per_user": 2}).start()
    planted = sign_in_from(daemon, "bob")
    own = sign_in_from(daemon, "alice", device=planted)
    assert statuses(daemon, 3) == [401, 401, 429]
    assert guess(daemon, password=daemon.database.password, device=planted).status == 429
    assert statuses(daemon, 3, "bob", device=planted) == [401, 401, 429]
    sign_in_from(daemon, "alice", device=own)


def test_people_who_share_a_browser_are_all_known(new_daemon, database):
    daemon = new_daemon({"login.attempts_per_user": 2}).start()
    device = sign_in_from(daemon, "alice")
    device = sign_in_from(daemon, "bob", device=device)
    device = sign_in_from(daemon, "bob", device=device)
    assert statuses(daemon, 3, "alice") == statuses(daemon, 3, "bob") == [401, 401, 429]
    device = sign_in_from(daemon, "alice", device=device)
    device = sign_in_from(daemon, "bob", device=device)
    assert database.value("SELECT count(DISTINCT browser_key) FROM known_browsers") == 1


def test_signing_in_to_another_account_gives_no_new_tries(new_daemon, database):
    """The failures of a known browser go along when its cookie changes."""
    daemon = new_daemon({"login.attempts_per_user": 4}).start()
    device = sign_in_from(daemon)
    assert statuses(daemon, 5) == [401] * 4 + [429]
    for _ in range(3):
        assert guess(daemon, device=device).status == 401
        device = sign_in_from(daemon, "bob", device=device)
    assert database.query("SELECT count FROM login_failures WHERE kind = 'browser'") == [(3,)]
    assert statuses(daemon, 3, device=device) == [401, 429, 429]


def test_account_knows_its_latest_ten_browsers(new_daemon, database):
    daemon = new_daemon({"login.attempts_per_user": 1}).start()
    devices = [sign_in_from(daemon) for _ in range(12)]
    count = "SELECT count(*) FROM known_browsers WHERE user_id = %s"
    assert database.value(count, database.user_id("alice")) == 10
    assert statuses(daemon, 2) == [401, 429]
    assert guess(daemon, password=database.password, device=devices[1]).status == 429
    for device in (devices[2], devices[11]):
        sign_in_from(daemon, device=device)
    assert database.value(count, database.user_id("alice")) == 10


def test_two_logins_of_a_browser_at_the_same_moment(new_daemon, database):
    daemon = new_daemon({"server.workers": 4}).start()
    device = sign_in_from(daemon, "bob", device=sign_in_from(daemon))
    for call in [Background(sign_in_from, daemon, name, device) for name in ("alice", "bob") * 6]:
        device = call.result()
    sign_in_from(daemon, "bob", device=device)


# ---- What is kept ----------------------------------------------------------------------------------------------------


def test_throttling_is_told_once_in_a_window(new_daemon, database):
    daemon = new_daemon({"login.attempts_per_user": 2, "login.attempts_per_address": 5}).start()
    statuses(daemon, 5, "ALICE")
    assert throttled_events(database) == [("account", "alice", True, "192.0.2.7")]
    statuses(daemon, 2, "nobody")
    statuses(daemon, 5, "bob")
    (_, of_nobody, of_address) = throttled_events(database)
    assert of_nobody == ("account", "", False, "192.0.2.7")
    assert of_address == ("address", "bob", True, "192.0.2.7")
    let_window_pass(database)
    statuses(daemon, 3)
    assert len(throttled_events(database)) == 4


def test_throttling_is_in_the_metrics(daemon):
    statuses(daemon, 13)
    metrics = daemon.ask(path="/session/metrics", REMOTE_ADDR="127.0.0.1").body.decode()
    assert re.search(r"^onesession_throttled_total 3$", metrics, re.M)


def test_outdated_counts_go_with_new_failures(new_daemon, database):
    """Without any purge there are no more rows than a window has failures, whatever names are tried."""
    daemon = new_daemon({"login.attempts_per_address": 0, "session.purge_interval": 0}).start()
    database.query(
        "INSERT INTO login_failures SELECT 'account', 'former' || n, 3, now() - interval '16 minutes'"
        "  FROM generate_series(1, 30) n"
    )
    left = []
    for number in range(10):
        guess(daemon, f"name{number}")
        left.append(database.value("SELECT count(*) FROM login_failures WHERE subject LIKE 'former%'"))
    assert left == [26, 22, 18, 14, 10, 6, 2, 0, 0, 0]
    assert database.value("SELECT count(*) FROM login_failures") == 10


def test_purge_takes_what_the_throttle_no_longer_needs(database):
    database.query(
        """
        INSERT INTO login_failures SELECT 'account', n::text, 1, now() - n * interval '1 minute'
            FROM generate_series(1, 20) n;
        INSERT INTO known_browsers SELECT 1, sha256(n::text::bytea), now() - n * interval '100 days'
            FROM generate_series(1, 5) n;
        INSERT INTO login_tickets SELECT id, sha256(id::text::bytea), password, now() + (id - 2) * interval '1 minute'
            FROM users;
        INSERT INTO anonymous_sessions SELECT sha256(n::text::bytea), '{}', now(), now() + n * interval '1 minute'
            FROM generate_series(-3, 4) n
        """
    )
    due = {"login_failures": 6, "known_browsers": 2, "login_tickets": 2, "anonymous_sessions": 4}
    ctl = Ctl(database.conninfo)
    assert due.items() <= ctl.json("purge").items()
    assert dict.fromkeys(due, 0).items() <= ctl.json("purge").items()
    kept = {table: database.value(f"SELECT count(*) FROM {table}") for table in due}
    assert kept == {"login_failures": 14, "known_browsers": 3, "login_tickets": 1, "anonymous_sessions": 4}
    assert Ctl(database.conninfo, **{"login.attempts_window": "5m"}).json("purge")["login_failures"] == 10
    assert "forgotten browser" in ctl.run("purge")


def test_deleting_an_account_takes_its_browsers(daemon, database, ctl):
    device = sign_in_from(daemon)
    ctl.run("user", "delete", "alice", stdin="alice\n")
    assert database.value("SELECT count(*) FROM known_browsers") == 0
    assert guess(daemon, device=device).status == 401

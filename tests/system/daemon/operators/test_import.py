"""onesessionctl import: accounts come from Django and from htpasswd with the passwords that people know."""

import json
import os
import pty
import re
import signal
import subprocess
import threading
import time

import pytest

from support.browser import PBKDF2, PHRASE, problem
from support.processes import end, spawn
from support.programs import Ctl, environment
from support.waiting import Background, wait_until

ARGON2 = "argon2$argon2id$v=19$m=512,t=2,p=8$b0dyekZya0JrekpRaUdUMXN1TjFkNg$hKiCMf4PQkVQmokFDHCUwA"
BCRYPT_SHA256 = "bcrypt_sha256$$2b$04$FNOUbUUVx.TGoH5bVA0Zb.7Kf1CSIiJ/2wafxoNLuWYi6E0Iz9m4q"
# ... and these as it does, beside the hashers that are not supported.
FULL_PBKDF2 = "pbkdf2_sha256$260000$MAyeo9HdJaSyymYAauUlUh$+pUInv3lmlb+tF+C+SVgC6DKo/DWjTcIur5MXpbhays="
FULL_ARGON2 = "argon2$argon2id$v=19$m=102400,t=2,p=8$b2k2S3F0VFlHWWJYRHZhUkNmUUxSZg$44NLLfeibvfXNg6Ej4b3gg"
MD5 = "md5$XYWsX7iZuDkFIIRiI2Wrgw$74bc884a6b4c917a12aaa41e8dc220ea"
UNUSABLE = "!p7bcwrOAr4kfMLgtDfT2EHmPRTxot2eKk8caRcxM"
# Apache 2.4's htpasswd -B -C 4, -5 -r 1000, -d; mkpasswd -m yescrypt -R 1.
BCRYPT = "$2y$04$pQr0z0E7ZEvoZbZSolbxZO7uoc0zPiy5laQenn9xRmIFU/IcpfC7u"
SHA512 = (
    "$6$rounds=1000$qmltADROqeDPHq.z$7jGXnVI0MqGwFDKdhe0cD4Bapn2pdCF1CyB/swAZimKi20BnbFEb09q2DziY.PKRnQgfxT16TyCRc"
    "/ldL5L/f1"
)
YESCRYPT = "$y$j75$jgO7EtXbGXOCaup8U4z881$RKMMd4j41MW0rKuzU.an4Ql3KTTL49yqPdFTkVdKKNB"
# What PHP's password_hash() makes cannot be told from a hash of onesession's own.
OWN_LOOKING = "$argon2id$v=19$m={memory},t={passes},p=1$" + "A" * 22 + "$" + "A" * 43
DES = "BfPNL1TJ0k0AY"


NO_EMAILS = {}


def accounts(database):
    return dict(database.query("SELECT username, password FROM users WHERE username NOT IN ('alice', 'bob', 'dora')"))


def can_sign_in(site, browse, *names):
    """By the imported password and no other; twice, for the first time may change the hash."""
    for name in names:
        problem(browse(site).login(name, PHRASE + "x"), 401, "invalid_credentials")
        for _ in range(2):
            assert browse(site).login(name, PHRASE).status_code == 200, name


# ---- Django ----------------------------------------------------------------------------------------------------------


class Django:
    """A database with the table that django.contrib.auth's migrations make."""

    def __init__(self, database):
        self.database = database
        self.conninfo = database.owner_conninfo
        database.query(
            "CREATE TABLE auth_user (id serial PRIMARY KEY, password varchar(128) NOT NULL,"
            " last_login timestamptz NULL, is_superuser boolean NOT NULL, username varchar(150) NOT NULL UNIQUE,"
            " first_name varchar(150) NOT NULL, last_name varchar(150) NOT NULL, email varchar(254) NOT NULL,"
            " is_staff boolean NOT NULL, is_active boolean NOT NULL, date_joined timestamptz NOT NULL)"
        )

    def add(self, username, password=PBKDF2, is_active=True, is_superuser=False, email=""):
        self.database.query(
            "INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff,"
            " is_active, date_joined) VALUES (%s, %s, %s, '', '', %s, false, %s, now())",
            password,
            is_superuser,
            username,
            email,
            is_active,
        )

    def add_many(self, count):
        self.database.query(
            "INSERT INTO auth_user (password, is_superuser, username, first_name, last_name, email, is_staff,"
            " is_active, date_joined) SELECT %s, false, 'user' || n, '', '', '', false, true, now()"
            " FROM generate_series(1, %s) n",
            PBKDF2,
            count,
        )


@pytest.fixture
def django(empty_database):
    return Django(empty_database)


def test_people_of_django_sign_in_with_the_passwords_they_have(site, browse, django):
    hashes = [PBKDF2, ARGON2, BCRYPT_SHA256, FULL_PBKDF2, FULL_ARGON2]
    for number, password in enumerate(hashes):
        django.add(f"user{number}", password)
    told = site.ctl().json("import", "django", "--from", django.conninfo)
    assert told == {"imported": 5, "existing": 0, "refused": 0, **NO_EMAILS}
    assert accounts(site.database) == {f"user{number}": password for number, password in enumerate(hashes)}
    can_sign_in(site, browse, *accounts(site.database))


def test_django_flags_are_kept(ctl, django):
    django.add("root", is_superuser=True)
    django.add("gone", is_active=False)
    assert ctl.run("import", "django", "--from", django.conninfo) == (
        "2 accounts imported, 0 there already, 0 refused.\n"
    )
    root, gone = ctl.json("user", "show", "root"), ctl.json("user", "show", "gone")
    assert {"is_admin": True, "is_active": True, "session_limit": None}.items() <= root.items()
    assert {"is_admin": False, "is_active": False}.items() <= gone.items()


def emails(database):
    return dict(database.query("SELECT username, email FROM users WHERE email IS NOT NULL"))


def test_addresses_of_django_come_along_unverified_and_one_command_trusts_them(site, browse, django):
    django.add("ada", email="Ada@Example.ORG")
    django.add("ben", email=" ben@m\u00fcller.example ")
    django.add("cleo")
    done = site.ctl().call("import", "django", "--from", django.conninfo)
    assert done.returncode == 0 and "With e-mail addresses: 2" in done.stdout
    assert emails(site.database) == {"ada": "Ada@example.org", "ben": "ben@xn--mller-kva.example"}
    problem(browse(site).login("ada@example.org", PHRASE), 401, "invalid_credentials")
    assert site.ctl().json("user", "verify", "--all", "--yes") == {"verified": 2}
    can_sign_in(site, browse, "ada@example.org", "ben@m\u00fcller.example", "ada")
    # Again, it changes nothing.
    assert site.ctl().json("import", "django", "--from", django.conninfo).get("emails", 0) == 0
    assert site.ctl().json("user", "show", "ada")["email_verified_at"] is not None


def test_address_that_is_taken_or_none_is_told_by_name_and_the_account_comes_without(ctl, database, django):
    database.query("UPDATE users SET email = 'alice@example.org' WHERE username = 'alice'")
    database.add_user("carol@example.org")
    for name, email in (
        ("ada", "ada@example.org"),
        ("ben", "ADA@example.org"),
        ("cleo", "Alice@example.org"),
        ("dan", "carol@example.org"),
        ("eve", "eve at example.org"),
    ):
        django.add(name, email=email)
    done = ctl.call("import", "django", "--from", django.conninfo)
    assert done.returncode == 1 and "5 accounts imported, 0 there already, 0 refused." in done.stdout
    for name, why in (
        ("ben", "ADA@example.org is left out: it is that of the account ada"),
        ("cleo", "Alice@example.org is left out: it is that of the account alice"),
        ("dan", "carol@example.org is left out: it is that of the account carol@example.org"),
        ("eve", "eve at example.org is left out: it has no @"),
    ):
        line, = [line for line in done.stderr.splitlines() if f" {name} (id" in line]
        assert why in line
    assert emails(database) == {"alice": "alice@example.org", "ada": "ada@example.org"}
    assert {"ben", "cleo", "dan", "eve"} <= set(accounts(database))
    told = ctl.call("--json", "import", "django", "--from", django.conninfo)
    assert json.loads(told.stdout)["emails_left_out"] == 4 and told.returncode == 1


def test_names_that_are_addresses_go_on_signing_in_and_become_the_address_where_there_is_none(site, browse, django):
    django.add("ada@example.org")
    django.add("ben@example.org", email="other@example.org")
    done = site.ctl().call("import", "django", "--from", django.conninfo)
    assert "With an @ in their names: 2." in done.stdout
    assert emails(site.database) == {"ada@example.org": "ada@example.org", "ben@example.org": "other@example.org"}
    can_sign_in(site, browse, "ada@example.org", "BEN@example.org")
    tested = subprocess.run(site.daemon.command("-t"), capture_output=True, text=True, env=environment(), check=True)
    assert "$'ada@example.org', $'ben@example.org'" in tested.stdout


def test_accounts_of_an_earlier_import_get_the_addresses_they_lacked(ctl, database, django):
    django.add("ada", email="ada@example.org")
    django.add("Bob", email="bob@example.org")
    database.add_user("ada")
    done = ctl.call("--json", "import", "django", "--from", django.conninfo)
    assert json.loads(done.stdout) == {"imported": 0, "existing": 2, "refused": 0, "emails": 1, "emails_left_out": 0}
    # Bob may be somebody else than bob.
    assert emails(database) == {"ada": "ada@example.org"}


def test_import_again_changes_nothing_and_says_so(ctl, database, django):
    for number in range(3):
        django.add(f"user{number}")
    ctl.run("import", "django", "--from", django.conninfo)
    database.query("UPDATE users SET password = 'changed since', is_admin = true WHERE username = 'user1'")
    before = database.query("SELECT * FROM users ORDER BY id"), database.query("SELECT * FROM events ORDER BY id")
    django.add("new")
    django.database.query("DELETE FROM auth_user WHERE username = 'new'")
    told = ctl.json("import", "django", "--from", django.conninfo)
    assert told == {"imported": 0, "existing": 3, "refused": 0, **NO_EMAILS}
    after = database.query("SELECT * FROM users ORDER BY id"), database.query("SELECT * FROM events ORDER BY id")
    assert after == before
    django.add("late")
    assert ctl.json("import", "django", "--from", django.conninfo)["imported"] == 1


def test_account_that_exists_is_left_as_it_is_whatever_the_case(ctl, database, django):
    before = database.query("SELECT * FROM users ORDER BY id")
    django.add("ALICE")
    django.add("bob")
    done = ctl.call("--json", "import", "django", "--from", django.conninfo)
    # Another spelling may be another person.
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"imported": 0, "existing": 2, "refused": 0, **NO_EMAILS}
    assert done.stderr.count("\n") == 1 and "ALICE (id 1): is left out" in done.stderr and "alice" in done.stderr
    assert database.query("SELECT * FROM users ORDER BY id") == before


def test_two_of_django_that_differ_in_case_only_the_first_wins(ctl, database, django):
    django.add("eve", PBKDF2)
    django.add("Eve", ARGON2)
    done = ctl.call("--json", "import", "django", "--from", django.conninfo)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"imported": 1, "existing": 1, "refused": 0, **NO_EMAILS}
    assert "Eve (id 2)" in done.stderr
    assert accounts(database) == {"eve": PBKDF2}


def test_name_of_what_was_refused_is_not_free_for_another(ctl, database, django, tmp_path):
    django.add("eve", "no hash")
    django.add("Eve", ARGON2)
    done = ctl.call("--json", "import", "django", "--from", django.conninfo)
    assert json.loads(done.stdout) == {"imported": 0, "existing": 0, "refused": 2, **NO_EMAILS}
    assert "Eve (id 2): an account before it has the name, which was refused" in done.stderr
    path = tmp_path / "users"
    path.write_text(f"eve:no hash\nEve:{BCRYPT}\n")
    done = ctl.call("--json", "import", "htpasswd", path)
    assert json.loads(done.stdout) == {"imported": 0, "existing": 0, "refused": 2, **NO_EMAILS}
    assert f"{path}:2: Eve: the name is in line 1 already" in done.stderr
    assert accounts(database) == {}


@pytest.mark.parametrize("password", [UNUSABLE, "!", ""])
def test_unusable_password_waits_for_a_usable_one(site, browse, django, password):
    django.add("eve", password)
    ctl = site.ctl()
    assert ctl.json("import", "django", "--from", django.conninfo)["imported"] == 1
    assert accounts(site.database) == {"eve": "!"}
    for guess in (PHRASE, "", "!", password or "x"):
        assert browse(site).login("eve", guess).status_code in (400, 401)
    ctl.run("user", "passwd", "eve", stdin=PHRASE + "\n")
    can_sign_in(site, browse, "eve")


def test_what_django_has_and_onesession_cannot_take_is_told_one_by_one(ctl, database, django):
    refused = {
        "old": (MD5, "md5"),
        "costly": (PBKDF2.replace("1000", "2000001"), "2000000 iterations"),
        "torn": (PBKDF2[:-5], "malformed"),
        "line\nbreak": (PBKDF2, "control character"),
        "\t": (PBKDF2, "empty"),
        "\x1b[31mred": (PBKDF2, "control character"),
    }
    django.add("first")
    for name, (password, _) in refused.items():
        django.add(name, password)
    django.add("last")
    for attempt in range(2):
        done = ctl.call("--json", "import", "django", "--from", django.conninfo)
        assert done.returncode == 1
        counts = {"imported": 0, "existing": 2} if attempt else {"imported": 2, "existing": 0}
        assert json.loads(done.stdout) == {**counts, "refused": 6, **NO_EMAILS}
        lines = done.stderr.splitlines()
        assert len(lines) == 7
        for line, (name, (_, word)) in zip(lines, refused.items()):
            shown = name.encode("unicode_escape").decode().replace("\\n", "\\x0a").replace("\\t", "\\x09")
            assert shown in line
            assert word in line and line.isprintable()
        assert re.search("not imported: 3 accounts whose name [^;]*; 3 accounts whose hash .* user add ", lines[-1])
        for password, _ in refused.values():
            assert password not in done.stderr
    assert accounts(database) == {"first": PBKDF2, "last": PBKDF2}


def test_each_imported_account_is_an_event(ctl, database, django):
    database.query("DELETE FROM events")
    listener = database.connect()
    with listener.cursor() as cursor:
        cursor.execute("LISTEN onesession")
    django.add("eve")
    django.add("frank")
    ctl.run("import", "django", "--from", django.conninfo)
    ctl.call("import", "htpasswd", "-", stdin=f"grace:{BCRYPT}\n")
    events = database.query("SELECT e.name, u.username, e.username, e.detail FROM events e JOIN users u ON"
                            " u.id = e.user_id ORDER BY e.id")
    assert [event[:3] for event in events] == [("user_added", name, name) for name in ("eve", "frank", "grace")]
    assert [event[3]["from"] for event in events] == ["django", "django", "htpasswd"]
    ctl.run("user", "add", "heidi", stdin=PHRASE + "\n")
    (by_hand,) = database.query("SELECT detail FROM events WHERE username = 'heidi'")
    assert [event[3]["operator"] for event in events] == [by_hand[0]["operator"]] * 3
    assert "from" not in by_hand[0]
    listener.poll()
    notified = [json.loads(notice.payload) for notice in listener.notifies]
    listener.close()
    assert [(event["name"], event["username"]) for event in notified] == [
        ("user_added", name) for name in ("eve", "frank", "grace", "heidi")
    ]


def test_many_are_imported_in_batches(ctl, database, django):
    """No transaction has more than a part of the rows."""
    django.add_many(2600)
    assert ctl.json("import", "django", "--from", django.conninfo)["imported"] == 2600
    assert len(accounts(database)) == 2600
    largest = database.value("SELECT max(n) FROM (SELECT count(*) AS n FROM users GROUP BY xmin::text) batches")
    assert largest <= 1000


def test_import_that_was_interrupted_goes_on_where_it_was(ctl, database, django, tmp_path):
    django.add_many(2600)
    holder = database.connect()
    with holder.cursor() as cursor:
        # It will wait for how this ends.
        cursor.execute("BEGIN; INSERT INTO users (username, password) VALUES ('user1700', '!')")
    command = ctl.command("--json", "import", "django", "--from", django.conninfo)
    process = spawn(command, tmp_path / "log", env=environment())
    try:
        wait_until(lambda: len(accounts(database)) >= 1000, "the accounts before that one")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) != 0
    finally:
        end(process)
        holder.close()
    arrived = len(accounts(database))
    assert 1000 <= arrived < 1700
    assert database.value("SELECT count(*) FROM events WHERE detail->>'from' = 'django'") == arrived
    told = ctl.json("import", "django", "--from", django.conninfo)
    assert told == {"imported": 2600 - arrived, "existing": arrived, "refused": 0, **NO_EMAILS}


def test_imports_at_the_same_time_add_each_account_once(ctl, database, django):
    django.add_many(3000)
    calls = [Background(ctl.json, "import", "django", "--from", django.conninfo) for _ in range(3)]
    told = [call.result() for call in calls]
    assert sum(counts["imported"] for counts in told) == 3000
    assert sum(counts["existing"] for counts in told) == 6000
    assert len(accounts(database)) == 3000
    assert database.value("SELECT count(*) FROM events WHERE detail->>'from' = 'django'") == 3000


def test_django_in_the_same_database(ctl, database):
    django = Django(database)
    django.add("eve")
    assert ctl.json("import", "django", "--from", django.conninfo)["imported"] == 1
    assert accounts(database) == {"eve": PBKDF2}


def test_database_that_is_not_djangos_is_told_in_one_line(ctl, empty_database, tmp_path):
    assert "auth_user" in ctl.refused("import", "django", "--from", empty_database.owner_conninfo)
    ctl.refused("import", "django", "--from", f"host={tmp_path} dbname=x")
    told = ctl.refused("import", "django", "--from", "host=x passwort=geheim")
    assert "geheim" not in told and "database.conninfo" not in told


def test_database_that_goes_away_in_between_is_told(ctl, database, django):
    """What was imported stays, and it is told how to go on."""
    django.add_many(2000)
    database.query(
        "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN IF NEW.username = 'user1700' THEN RAISE 'no more'; END IF; RETURN NEW; END$$;"
        "CREATE TRIGGER stop BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION stop()"
    )
    done = ctl.call("import", "django", "--from", django.conninfo)
    assert done.returncode == 1 and done.stdout == ""
    arrived = len(accounts(database))
    assert 0 < arrived < 1700
    assert f"{arrived} accounts imported before" in done.stderr
    database.query("DROP TRIGGER stop ON users")
    assert ctl.json("import", "django", "--from", django.conninfo)["imported"] == 2000 - arrived


@pytest.mark.parametrize(
    "words",
    [
        ["import"],
        ["import", "django"],
        ["import", "django", "x"],
        ["import", "django", "--from"],
        ["import", "htpasswd"],
        ["import", "htpasswd", "a", "b"],
        ["import", "htpasswd", "--from", "x"],
        ["user", "list", "--from", "x"],
    ],
)
def test_wrong_command_line_is_refused(ctl, words):
    done = ctl.call(*words)
    assert done.returncode == 64 and done.stderr.count("\n") == 1 and done.stdout == ""


# ---- htpasswd --------------------------------------------------------------------------------------------------------


def test_people_of_htpasswd_sign_in_with_the_passwords_they_have(site, browse, tmp_path):
    path = tmp_path / "users"
    path.write_text(
        f"# people\n\nbcrypt:{BCRYPT}\n  \nsha512:{SHA512}:and what else the owner likes\r\nyescrypt:{YESCRYPT} \n"
        f"2a:{BCRYPT.replace('$2y$', '$2a$')}\n2b:{BCRYPT.replace('$2y$', '$2b$')}\n#alice:{BCRYPT}\n"
        f"Zoë Müller:{BCRYPT}"
    )
    told = site.ctl().json("import", "htpasswd", path)
    assert told == {"imported": 6, "existing": 0, "refused": 0, **NO_EMAILS}
    assert site.database.value("SELECT bool_and(is_active AND NOT is_admin) FROM users WHERE id > 3")
    can_sign_in(site, browse, "bcrypt", "sha512", "yescrypt", "2a", "2b", "Zoë Müller")
    assert site.ctl().json("import", "htpasswd", path) == {"imported": 0, "existing": 6, "refused": 0, **NO_EMAILS}


def test_htpasswd_from_standard_input(ctl, database):
    assert ctl.run("import", "htpasswd", "-", stdin=f"\ufeffeve:{BCRYPT}\n") == (
        "1 account imported, 0 there already, 0 refused.\n"
    )
    assert accounts(database) == {"eve": BCRYPT}
    assert ctl.json("import", "htpasswd", "-", stdin="") == {"imported": 0, "existing": 0, "refused": 0, **NO_EMAILS}


def test_hash_that_looks_like_our_own_may_cost_as_much_as_our_own(database):
    line = "eve:" + OWN_LOOKING.format(memory=262144, passes=5) + "\n"
    less = Ctl(database.owner_conninfo, **{"login.memory": "256MiB", "login.passes": 4})
    assert less.call("import", "htpasswd", "-", stdin=line).returncode == 1
    as_much = Ctl(database.owner_conninfo, **{"login.memory": "256MiB", "login.passes": 5})
    assert as_much.call("import", "htpasswd", "-", stdin=line).returncode == 0
    assert "eve" in accounts(database)


def test_lines_that_cannot_be_are_told_with_their_number(ctl, database, tmp_path):
    lines = [
        (f"first:{BCRYPT}", None),
        (f"md5:{MD5}", "md5"),
        (f"nosalt:{MD5.rpartition('$')[2]}", "MD5 without salt"),
        (f"des:{DES}", "DES crypt"),
        ("gost:$gy$j9T$salt$hash", "gost-yescrypt"),
        ("plain:correct horse", "plain text"),
        ("no colon at all", "colon"),
        (f":{BCRYPT}", "is empty"),
        ("nothing:", "is empty"),
        ("locked:!", "locked"),
        (f"{'x' * 151}:{BCRYPT}", "longer than 150"),
        (f"costly:{BCRYPT.replace('$04$', '$15$')}", "bcrypt with cost 14"),
        (f"large:{OWN_LOOKING.format(memory=524288, passes=1)}", "128 MiB"),
        (f"torn:{BCRYPT[:-1]}", "malformed"),
        (f"e\x1b[31mvil:{BCRYPT}", "control character"),
        *[(f"u{unseen}x:{BCRYPT}", "not seen") for unseen in "\u061c\u00ad\u180e\ufe0f\U000e0041\u200b\u200d"],
        (f"nul:{BCRYPT}\0", "NUL"),
        ("x" * 100000, "too long"),
        (f"last:{BCRYPT}", None),
    ]
    path = tmp_path / "us\x1bers"
    path.write_text("".join(line + "\n" for line, _ in lines))
    done = ctl.call("--json", "import", "htpasswd", path)
    assert done.returncode == 1
    wrong = [(number, line, word) for number, (line, word) in enumerate(lines, 1) if word is not None]
    assert json.loads(done.stdout) == {"imported": 2, "existing": 0, "refused": len(wrong), **NO_EMAILS}
    told = done.stderr.splitlines()
    assert len(told) == len(wrong) + 1
    for message, (number, line, word) in zip(told, wrong):
        assert f"us\\x1bers:{number}: " in message and word in message and message.isprintable()
        assert line.rpartition(":")[2] == "" or line.rpartition(":")[2] not in message
    causes = {"line without": 3, "account whose name": 10, "line with the name": 0, "account whose hash": len(wrong) - 13}
    for cause, count in causes.items():
        said = f"{count} " + (cause if count == 1 else cause.replace(" ", "s ", 1))
        assert (said in told[-1]) == (count > 0), told[-1]
    assert told[-1].count("user add") == 1
    assert accounts(database) == {"first": BCRYPT, "last": BCRYPT}


def test_bytes_that_are_no_text_are_told(ctl, tmp_path):
    path = tmp_path / "users"
    path.write_bytes(b"M\xfcller:" + BCRYPT.encode() + b"\neve:" + BCRYPT.encode() + b"\xff\n")
    done = ctl.call("import", "htpasswd", path)
    assert done.returncode == 1
    assert f"{path}:1: the name is not valid UTF-8" in done.stderr
    assert f"{path}:2: eve: the hash is cut short or malformed" in done.stderr


def test_first_of_duplicates_wins_and_the_later_ones_are_told(ctl, database, tmp_path):
    path = tmp_path / "users"
    many = "".join(f"user{number}:{BCRYPT}\n" for number in range(1200))
    path.write_text(f"eve:{BCRYPT}\n{many}Eve:{SHA512}\nalice:{SHA512}\neve:{YESCRYPT}\nalice:{YESCRYPT}\n")
    for attempt in range(2):
        done = ctl.call("--json", "import", "htpasswd", path)
        assert done.returncode == 1
        counts = {"imported": 0, "existing": 1202} if attempt else {"imported": 1201, "existing": 1}
        assert json.loads(done.stdout) == {**counts, "refused": 3, **NO_EMAILS}
        assert re.findall(r":(\d+): (\w+): .* line (\d+) ", done.stderr) == [
            ("1202", "Eve", "1"),
            ("1204", "eve", "1"),
            ("1205", "alice", "1203"),
        ]
    assert accounts(database)["eve"] == BCRYPT


def test_file_that_cannot_be_read_is_told_in_one_line(ctl, tmp_path):
    assert "none" in ctl.refused("import", "htpasswd", tmp_path / "none")
    assert str(tmp_path) in ctl.refused("import", "htpasswd", tmp_path)


# ---- Progress --------------------------------------------------------------------------------------------------------


def test_progress_is_shown_at_a_terminal_and_cleared(ctl, django):
    django.add_many(6000)
    django.add("old", MD5)
    master, terminal = pty.openpty()
    shown = []

    def read():
        while True:
            try:
                data = os.read(master, 4096)
            except OSError:
                return
            if not data:
                return
            shown.append(data)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    began = time.monotonic()
    done = subprocess.run(
        ctl.command("--json", "import", "django", "--from", django.conninfo),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=terminal,
        timeout=120,
        env=environment(),
        check=False,
    )
    took = time.monotonic() - began
    os.close(terminal)
    reader.join(20)
    os.close(master)
    text = b"".join(shown).decode()
    assert json.loads(done.stdout)["imported"] == 6000
    assert 1 <= text.count("so far") <= took * 4 + 1
    # What is on the screen in the end: each line as the last that was written over it.
    lines = [re.sub(r".*\r(?=.)", "", line.rstrip("\r")).rstrip() for line in text.split("\n")]
    assert [bool(line) for line in lines] == [True, True, False]
    assert "old (id 6001)" in lines[0] and "not imported: 1 account whose hash" in lines[1]


def test_progress_is_shown_to_nobody_else(ctl, django):
    django.add_many(1500)
    done = ctl.call("import", "django", "--from", django.conninfo)
    assert done.returncode == 0 and done.stderr == ""

"""The commands of docs/imports.md, each run as it stands there, with the databases that it names."""

import re
import shlex
import shutil
import sqlite3
import subprocess

import pytest

from support.browser import PHRASE
from support.mariadb import IS_INSTALLED, MariaDb
from support.processes import ROOT
from support.waiting import PATIENCE

NEEDS_MARIADB = pytest.mark.skipif(not IS_INSTALLED, reason="no MariaDB")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mariadb")]

# passlib, of PHRASE; PHP's hash_hmac() and password_hash() as WordPress 6.8 calls them.
PHPASS = "$P$5F8f/BR5k4ppvCEKG0rxC528FK./qu1"
WORDPRESS = "$wp$2y$04$N72s8x5tA0EDDWS/wf54Uug7OI9px/GFGo0kfqMnHJNxcsPv9S5tK"

MAP = "user_login=username,user_email=email,user_pass=password_hash"
PEOPLE = ["ann", "Zoë \\ \"Zo\", 2nd", '"ben', "NULLA"]


@pytest.fixture(scope="module")
def wordpress():
    """A database with the columns of WordPress' wp_users that matter here."""
    server = MariaDb()
    try:
        server.start()
        server.run("CREATE DATABASE wordpress CHARACTER SET utf8mb4")
        server.run("wordpress", "CREATE TABLE wp_users (ID bigint unsigned AUTO_INCREMENT PRIMARY KEY,"
                                " user_login varchar(60) NOT NULL, user_pass varchar(255) NOT NULL,"
                                " user_email varchar(100) NULL, display_name varchar(250) NOT NULL)")
        for name in PEOPLE:
            quoted = name.replace("\\", "\\\\").replace("'", "\\'")
            password = WORDPRESS if name == "ann" else PHPASS
            email = "'ann@example.org'" if name == "ann" else "NULL"
            server.run("wordpress", f"INSERT INTO wp_users (user_login, user_pass, user_email, display_name) VALUES"
                                    f" ('{quoted}', '{password}', {email}, 'a line,\n\t\"another\" \\\\ one')")
        yield server
    finally:
        server.stop()


def outfile(server, how):
    """SELECT INTO OUTFILE, with a header."""
    path = server.folder / "users.csv"
    path.unlink(missing_ok=True)
    server.run("wordpress", "SELECT 'user_login', 'user_email', 'user_pass', 'display_name' UNION ALL SELECT user_login,"
                            f" user_email, user_pass, display_name FROM wp_users INTO OUTFILE '{path}'"
                            f" CHARACTER SET utf8mb4 {how}")
    return path.read_text()


def batch(server):
    return server.run("--batch", "wordpress", "SELECT user_login, user_email, user_pass, display_name FROM wp_users")


@NEEDS_MARIADB
@pytest.mark.parametrize("write", [
    batch,
    lambda server: outfile(server, ""),
    lambda server: outfile(server, "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"'"),
    lambda server: outfile(server, "FIELDS TERMINATED BY ';' ENCLOSED BY '\"' LINES TERMINATED BY '\\r\\n'"),
], ids=["batch", "tabs", "commas", "semicolons"])
def test_people_of_wordpress_sign_in_with_the_passwords_they_have(site, browse, wordpress, write):
    told = site.ctl().json("import", "csv", "-", "--dialect", "mysql", "--map", MAP, "--ignore", "display_name",
                           stdin=write(wordpress))
    assert (told["imported"], told["emails"]) == (len(PEOPLE), 1)
    for name in PEOPLE:
        assert browse(site).login(name, PHRASE + "x").status_code == 401
        assert browse(site).login(name, PHRASE).status_code == 200


# ---- As it is written ------------------------------------------------------------------------------------------------


class Shell:
    """A shell in which the programs that commands name find the databases of a test."""

    def __init__(self, folder, ctl):
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.stand_in("onesessionctl", ctl.command())

    def stand_in(self, name, command, last=None):
        """`command`, and what is given to it; but for the last word, the database's name, where the test's is `last`."""
        path = self.bin / name
        program = shutil.which(command[0]) or command[0]
        words = " ".join(shlex.quote(word) for word in [program, *command[1:]])
        given = f'"${{@:1:$#-1}}" {shlex.quote(last)}' if last else '"$@"'
        path.write_text(f"#!/bin/bash\nexec {words} {given}\n")
        path.chmod(0o755)

    def without(self, name):
        """A program that has but a header."""
        path = self.bin / name
        path.write_text("#!/bin/sh\necho username\n")
        path.chmod(0o755)

    def run(self, section):
        """The commands of that section of docs/imports.md."""
        text = (ROOT / "docs" / "imports.md").read_text()
        (part,) = re.findall(rf"^## {section}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
        commands = [command for command in re.findall(r"^```sh\n(.*?)^```", part, re.M | re.S)
                    if shutil.which(command.split()[0], path=f"{self.bin}:/usr/bin:/bin")]
        assert commands, section
        done = [subprocess.run(["bash", "-c", f"set -o pipefail; PATH={self.bin}:$PATH; {command}"], cwd=self.folder,
                               capture_output=True, text=True, check=False, timeout=PATIENCE) for command in commands]
        assert all(one.returncode == 0 for one in done), [one.stderr for one in done]
        return [one.stdout for one in done]


@pytest.fixture
def shell(tmp_path, ctl):
    return Shell(tmp_path, ctl)


@pytest.fixture
def mysql(wordpress, shell):
    shell.stand_in("mysql", ["mariadb", "--no-defaults", f"--socket={wordpress.folder}/s",
                             "--default-character-set=utf8mb4"])
    return wordpress


def people(database):
    return database.query("SELECT username, email, email_verified_at IS NOT NULL, is_active, left(password, 4) FROM users"
                          " WHERE id > 3 ORDER BY id")


@NEEDS_MARIADB
def test_wordpress(shell, mysql, database):
    (told,) = shell.run("WordPress")
    assert "4 accounts imported" in told
    assert people(database)[0] == ("ann", "ann@example.org", False, True, "$wp$")
    assert [row[0] for row in people(database)] == PEOPLE


@NEEDS_MARIADB
def test_drupal(shell, mysql, database):
    mysql.run("CREATE DATABASE drupal CHARACTER SET utf8mb4")
    mysql.run("drupal", "CREATE TABLE users_field_data (uid int unsigned, langcode varchar(12), name varchar(60) NOT NULL,"
                        " pass varchar(255), mail varchar(254), status tinyint NOT NULL);"
                        " INSERT INTO users_field_data VALUES (0, 'en', '', NULL, NULL, 0),"
                        f" (1, 'en', 'ann', '$S$D12345678{'a' * 43}', 'ann@example.org', 1),"
                        f" (2, 'en', 'ben', '$2y$10${'a' * 53}', NULL, 0)")
    shell.run("Drupal")
    assert people(database) == [("ann", "ann@example.org", False, True, "$S$D"), ("ben", None, False, False, "$2y$")]


@NEEDS_MARIADB
def test_laravel(shell, mysql, database):
    mysql.run("CREATE DATABASE laravel CHARACTER SET utf8mb4")
    mysql.run("laravel", "CREATE TABLE users (id bigint, name varchar(255), email varchar(255), email_verified_at timestamp"
                         " NULL, password varchar(255), remember_token varchar(100));"
                         f" INSERT INTO users VALUES (1, 'Ann', 'ann@example.org', NULL, '$2y$12${'a' * 53}', NULL),"
                         f" (2, 'Ann', 'ben@example.org', now(), '$2y$12${'a' * 53}', NULL)")
    shell.run("Laravel")
    assert people(database) == [
        ("ann@example.org", "ann@example.org", False, True, "$2y$"),
        ("ben@example.org", "ben@example.org", True, True, "$2y$"),
    ]


@pytest.mark.skipif(shutil.which("sqlite3") is None, reason="no sqlite3")
def test_django_in_sqlite(shell, database):
    with sqlite3.connect(shell.folder / "db.sqlite3") as source:
        source.execute("CREATE TABLE auth_user (id integer PRIMARY KEY, password varchar(128), is_superuser bool,"
                       " username varchar(150), email varchar(254), is_active bool)")
        source.executemany("INSERT INTO auth_user (username, password, email, is_active) VALUES (?, ?, ?, ?)",
                           [('Ann, "the" first', PHPASS, "ann@example.org", True), ("ben", "!x", "", False)])
    shell.run("Django")
    assert people(database) == [('Ann, "the" first', "ann@example.org", False, True, "$P$5"), ("ben", None, False, False, "!")]


def test_table_in_postgresql(shell, database, empty_database):
    empty_database.query("CREATE TABLE members (nick text, mail text, secret text);"
                         f" INSERT INTO members VALUES ('Ann, \"the\" first', 'ann@example.org', '{PHPASS}'),"
                         f" ('ben', NULL, '{PHPASS}')")
    shell.stand_in("psql", ["psql", "-X"], last=empty_database.owner_conninfo)
    shell.without("mysql")
    shell.run("A table of your own")
    assert people(database)[0][1:] == ("ann@example.org", False, True, "$P$5")
    assert [row[0] for row in people(database)] == ['Ann, "the" first', "ben"]


@NEEDS_MARIADB
def test_table_in_mysql(shell, mysql, database):
    mysql.run("CREATE DATABASE shop CHARACTER SET utf8mb4")
    mysql.run("shop", "CREATE TABLE members (nick varchar(60), mail varchar(254), secret varchar(255));"
                      f" INSERT INTO members VALUES ('ann', 'ann@example.org', '{PHPASS}')")
    shell.without("psql")
    shell.run("A table of your own")
    assert people(database) == [("ann", "ann@example.org", False, True, "$P$5")]


def test_plans_and_what_is_left_of_weak_hashes(shell, ctl, database):
    shell.run("Plans and ends")
    assert [plan["name"] for plan in ctl.json("plan", "list")] == ["gold"]
    ctl.run("import", "csv", "-", stdin=f"name,password\nann,{PHPASS}\nben,{{SHA}}q/eq1kOINtvlJqojGr3i0O73TUI=\n"
                                        f"cleo,{WORDPRESS}\n")
    shell.stand_in("psql", ["psql", "-X"], last=database.owner_conninfo)
    assert shell.run("Passwords in plain text, and hashes that are not taken") == ["2\n"]

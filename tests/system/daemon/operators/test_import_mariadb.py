"""Accounts of WordPress and others, as a MariaDB that is running writes them."""

import subprocess

import pytest

from support.browser import PHRASE
from support.mariadb import IS_INSTALLED, MariaDb

pytestmark = [
    pytest.mark.skipif(not IS_INSTALLED, reason="no MariaDB"), pytest.mark.slow, pytest.mark.xdist_group("mariadb"),
]

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


def test_the_manual_s_command_for_wordpress_is_right(database, ctl, wordpress):
    command = (
        f"mariadb --no-defaults --socket={wordpress.folder}/s --default-character-set=utf8mb4 --batch"
        " -e 'SELECT user_login, user_email, user_pass FROM wp_users' wordpress | "
        + " ".join(ctl.command("import", "csv", "-", "--dialect", "mysql", "--map", MAP)).replace(
            ctl.settings["database.conninfo"], f"'{ctl.settings['database.conninfo']}'")
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "4 accounts imported" in done.stdout, done.stderr
    assert database.value("SELECT count(*) FROM users WHERE id > 3") == len(PEOPLE)

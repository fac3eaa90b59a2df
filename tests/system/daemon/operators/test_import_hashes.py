"""Hashes of other programs, each made anew by a program that is not ours: imported, given by a program, and replaced."""

import base64
import hashlib
import shutil
import subprocess
import time
import warnings

import pytest

from support.api import ALL_SCOPES, Api, new_token
from support.browser import PHRASE, problem
from support.client import attempt
from support.processes import exact_cpu_seconds
from support.waiting import wait_until

try:
    with warnings.catch_warnings():
        # It loads a part of Python that is not for long.
        warnings.simplefilter("ignore")
        from passlib import hash as passlib
except ImportError:
    passlib = None

# wp_hash_password() of WordPress 6.8.
WORDPRESS = """
$password = base64_encode(hash_hmac("sha384", trim($argv[1]), "wp-sha384", true));
echo "\\$wp", password_hash($password, PASSWORD_BCRYPT, ["cost" => 4]);
"""
LARAVEL = 'echo password_hash($argv[1], PASSWORD_BCRYPT, ["cost" => 4]);'
PHP_ARGON2 = 'echo password_hash($argv[1], PASSWORD_ARGON2ID, ["memory_cost" => 512, "time_cost" => 2, "threads" => 1]);'


def run(*words):
    if shutil.which(words[0]) is None:
        pytest.skip(f"no {words[0]}")
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def php(code):
    return lambda password: run("php", "-r", code, password)


def openssl(option):
    return lambda password: run("openssl", "passwd", option, password)


def htpasswd(option):
    return lambda password: run("htpasswd", "-nb" + option, "x", password).partition(":")[2]


def of_passlib(name, **options):
    def make(password):
        if passlib is None:
            pytest.skip("no passlib")
        return getattr(passlib, name).using(**options).hash(password)

    return make


def django_scrypt(password):
    """As ScryptPasswordHasher of Django puts it together."""
    made = hashlib.scrypt(password.encode(), salt=b"seasalt", n=16, r=8, p=5, dklen=64)
    return f"scrypt$16$seasalt$8$5${base64.b64encode(made).decode()}"


# By the form: who makes it, and whether it is guessed soon by whoever has it.
MAKERS = {
    "wordpress": (php(WORDPRESS), False),
    "laravel": (php(LARAVEL), False),
    "php-argon2id": (php(PHP_ARGON2), False),
    "phpass": (of_passlib("phpass", rounds=8), True),
    "phpbb": (of_passlib("phpass", rounds=8, ident="$H$"), True),
    "pbkdf2_sha1": (of_passlib("django_pbkdf2_sha1", rounds=1000), False),
    "django-bcrypt": (lambda password: "bcrypt$" + htpasswd("BC4")(password), False),
    "django-scrypt": (django_scrypt, False),
    "scrypt": (of_passlib("scrypt", rounds=4), False),
    "crypt-scrypt": (of_passlib("scrypt", rounds=4, ident="$7$"), False),
    "md5-crypt": (openssl("-1"), True),
    "apr1": (htpasswd("m"), True),
    "sha256-crypt": (openssl("-5"), False),
    "htpasswd-sha": (htpasswd("s"), True),
    "ssha": (of_passlib("ldap_salted_sha1"), True),
    "ssha256": (of_passlib("ldap_salted_sha256"), True),
    "ssha512": (of_passlib("ldap_salted_sha512"), True),
}
FORMS = pytest.mark.parametrize("form", MAKERS)


def stored(database, name):
    return database.value("SELECT password FROM users WHERE username = %s", name)


@FORMS
@pytest.mark.parametrize("password", [PHRASE, "p\u00e4ssw\u00f6rd \u2713"], ids=["ascii", "utf-8"])
def test_password_of_another_program_signs_in_once_and_has_our_hash_then(site, browse, form, password):
    make, is_quick = MAKERS[form]
    made = make(password)
    told = site.ctl().json("import", "csv", "-", stdin=f'username,password_hash\nada,"{made}"\n')
    assert told == {"imported": 1, "existing": 0, "refused": 0, **({"quick_hashes": 1} if is_quick else {})}
    assert stored(site.database, "ada") == made
    problem(browse(site).login("ada", password + "x"), 401, "invalid_credentials")
    assert stored(site.database, "ada") == made
    for _ in range(2):
        assert browse(site).login("ada", password).status_code == 200
        assert stored(site.database, "ada").startswith("$argon2id$v=19$m=64,t=1,p=1$")
    problem(browse(site).login("ada", password + "x"), 401, "invalid_credentials")


@pytest.fixture
def api(new_daemon, ctl):
    return Api(new_daemon().start(), new_token(ctl, scopes=ALL_SCOPES))


def test_the_site_s_own_program_gives_hashes_of_each_form(api, database):
    for number, (make, _) in enumerate(MAKERS.values()):
        api.put(f"/users/user{number}", {"password_hash": make(PHRASE)}, status=201)
        assert attempt(api.daemon, f"user{number}", PHRASE + "x").status == 401
        assert attempt(api.daemon, f"user{number}", PHRASE).status == 200
        assert stored(database, f"user{number}").startswith("$argon2id$")


@pytest.mark.parametrize("costly", [
    "$wp$2y$14$" + "a" * 53,
    "$P$J12345678" + "a" * 22,
    "$scrypt$ln=20,r=8,p=1$c2FsdHNhbHQ$" + "A" * 43,
    "scrypt$1048576$seasalt$8$1$" + "A" * 86 + "==",
    "pbkdf2_sha1$9999999$seasalt$EkQpAiNOf+lhJwaVR/k9adxVm78=",
    "$5$rounds=999999999$salt$" + "a" * 43,
    "$7$K6..../....salt$" + "a" * 43,
])
def test_hash_that_costs_too_much_is_taken_by_nobody_and_looked_at_by_nobody(api, ctl, database, costly):
    done = ctl.call("import", "csv", "-", stdin=f'username,password_hash\nada,"{costly}"\n')
    assert done.returncode == 1 and "standard input:2: ada: the hash would cost more to check" in done.stderr
    assert api.put("/users/ada", {"password_hash": costly}, status=400).code == "bad_request"
    # Also one that came into the table by another way.
    database.query("UPDATE users SET password = %s WHERE username = 'bob'", costly)
    assert attempt(api.daemon, "bob", PHRASE, timeout=20).status == 401


def test_failure_comes_no_sooner_whatever_the_form_of_the_hash(new_daemon, database):
    """
    Also of a name that nobody has: each is held back for several times as long as a hash of ours takes, which hides what
    the form takes itself. That is the least, which other processes' work makes no less.
    """
    made = {"sha": "{SHA}q/eq1kOINtvlJqojGr3i0O73TUI=", "apr1": "$apr1$PWMoneX9$X/nssrG/C9CSWejzvLI4j.",
            "phpass": "$P$984478476IagS59wHZvyQMArzfx58u.", "bcrypt": "$2b$09$xxxxxxxxxxxxxxxxxxxxxulnoi.y1Q6rrQCKJOXHXg3D0cFluoSqq"}
    for name, password in made.items():
        database.add_user(name)
        database.query("UPDATE users SET password = %s WHERE username = %s", password, name)
    daemon = new_daemon({"login.memory": "16MiB", "login.passes": 3}).start()
    hasher = wait_until(lambda: daemon.hasher, "the hasher")
    before = exact_cpu_seconds(hasher)
    assert attempt(daemon, "nobody").status == 401
    own = exact_cpu_seconds(hasher) - before
    for name in (*made, "nobody"):
        before, began = exact_cpu_seconds(hasher), time.monotonic()
        assert attempt(daemon, name).status == 401
        assert time.monotonic() - began > 3 * own, name
        assert exact_cpu_seconds(hasher) - before < 6 * own, name

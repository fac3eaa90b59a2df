"""onesessionctl import csv: accounts come from any application's table, with what belongs to them."""

import csv
import io
import json
import resource
import subprocess

import pytest

from support.browser import PBKDF2, PHRASE, problem
from support.processes import IS_SANITIZED
from support.programs import environment

BCRYPT = "$2y$04$pQr0z0E7ZEvoZbZSolbxZO7uoc0zPiy5laQenn9xRmIFU/IcpfC7u"
APR1 = "$apr1$onDot6Hu$pSyrohbViqJW5dwuHHEcu1"
PHPASS = "$P$5F8f/BR5k4ppvCEKG0rxC528FK./qu1"
TERMS = "email, email_verified_at IS NOT NULL, plan, groups, session_limit, is_active, external_id"


def as_csv(*rows, **how):
    """As Python's own module writes it."""
    text = io.StringIO()
    csv.writer(text, **how).writerows(rows)
    return text.getvalue()


def terms(database, name):
    (row,) = database.query(f"SELECT {TERMS} FROM users WHERE username = %s", name)
    return row


def names(database):
    return [row[0] for row in database.query("SELECT username FROM users WHERE id > 3 ORDER BY id")]


@pytest.fixture
def plans(ctl):
    for plan in ("gold", "silver"):
        ctl.run("plan", "set", plan)


# ---- What is taken ---------------------------------------------------------------------------------------------------


def test_people_sign_in_by_name_and_verified_address_with_the_passwords_they_have(site, browse, tmp_path):
    site.ctl().run("plan", "set", "gold", "--sessions", "3")
    path = tmp_path / "users.csv"
    path.write_text(as_csv(
        ["Name", "email", "Email Verified", "password hash", "plan"],
        ["ada", "Ada@Example.org", "1", BCRYPT, "gold"],
        ["Zoë \"Zo\" Müller, 2nd", "", "", PHPASS, ""],
    ))
    told = site.ctl().json("import", "csv", path)
    assert told == {"imported": 2, "existing": 0, "refused": 0, "emails": 1, "emails_left_out": 0, "quick_hashes": 1}
    for login in ("ada", "ADA@example.org", "Zoë \"Zo\" Müller, 2nd"):
        problem(browse(site).login(login, PHRASE + "x"), 401, "invalid_credentials")
        for _ in range(2):
            assert browse(site).login(login, PHRASE).status_code == 200
    hashes = site.database.query("SELECT password FROM users WHERE id > 3")
    assert all(password.startswith("$argon2id$") for (password,) in hashes)
    assert site.ctl().json("user", "show", "ada")["plan"] == "gold"


def test_every_column_arrives(ctl, database, plans):
    rows = [
        ["external_id", "username", "is_active", "groups", "plan", "valid_until", "session_limit", "email",
         "email_verified", "password"],
        ["c-1", "ada", "yes", "staff,editors", "gold", "2031-01-31", "5", "ada@example.org", "true", BCRYPT],
        ["c-2", "ben", "F", "", "silver", "2031-01-31T10:32:05+02:00", "0", "ben@example.org", "no", BCRYPT],
        ["", "cleo", "", "staff", "", "2031-01-31 10:32:05", "", "", "", BCRYPT],
        # As PostgreSQL prints it.
        ["", "dan", "ON", "", "", "2031-01-31 10:32:05.000000+02", "", "", "0", BCRYPT],
    ]
    assert ctl.json("import", "csv", "-", stdin=as_csv(*rows))["imported"] == 4
    assert terms(database, "ada") == ("ada@example.org", True, "gold", ["staff", "editors"], 5, True, "c-1")
    assert terms(database, "ben") == ("ben@example.org", False, "silver", [], 0, False, "c-2")
    assert terms(database, "cleo") == (None, False, None, ["staff"], None, True, None)
    ends = [ctl.json("user", "show", name)["valid_until"] for name in ("ada", "ben", "cleo", "dan")]
    assert [end.removeprefix("2031-01-31T") for end in ends] == ["00:00:00Z", "08:32:05Z", "10:32:05Z", "08:32:05Z"]


@pytest.mark.parametrize("text", [
    "username,password_hash\r\nada,{0}\r\n",
    "\ufeffusername,password_hash\nada,{0}\n",
    "\ufeff\"username\",\"password_hash\"\r\n\"ada\",\"{0}\"",
    "username;password_hash\nada;{0}\n",
    "username\tpassword_hash\nada\t{0}\n",
    "\r\n\npassword_hash,username\r\n\r\n{0},ada\r\n\r\n\r\n",
    "id,username,bio,password_hash\n7,ada,\"two\nlines, \"\"quoted\"\"\r\n\nand more\",{0}\n",
    "id,username,bio,password_hash\n7,ada,she said \"hm\" once,{0}\n",
], ids=["crlf", "bom", "bom and quotes", "semicolon", "tab", "empty lines", "line breaks", "a quotation mark inside"])
def test_files_as_spreadsheets_and_databases_write_them(ctl, database, text):
    ignored = ["--ignore", "ID, bio"] if "bio" in text else []
    told = ctl.json("import", "csv", "-", *ignored, stdin=text.format(BCRYPT))
    assert told == {"imported": 1, "existing": 0, "refused": 0}
    assert database.query("SELECT username, password FROM users WHERE id > 3") == [("ada", BCRYPT)]


def test_columns_that_are_called_otherwise_are_named(ctl, database):
    text = as_csv(["ID", "user_login", "user_pass", "User Email", "user_url"], ["1", "ada", PHPASS, "a@example.org", "x"])
    told = ctl.json("import", "csv", "-", "--map", "user_login=username,user_pass=password_hash,user-email=email",
                    "--ignore", "id,user_url", stdin=text)
    assert told["imported"] == 1 and terms(database, "ada")[0] == "a@example.org"


def test_account_without_a_hash_waits_for_a_password(site, browse):
    done = site.ctl().call("import", "csv", "-", stdin=f"name,password\nada,\nben,!unusable\ncleo,{BCRYPT}\n")
    assert done.returncode == 0 and "Without a password, so that nobody signs in to them yet: 2." in done.stdout
    for guess in ("!", "!unusable", PHRASE):
        problem(browse(site).login("ada", guess), 401, "invalid_credentials")
        problem(browse(site).login("ben", guess), 401, "invalid_credentials")
    site.ctl().run("user", "passwd", "ada", stdin=PHRASE + "\n")
    assert browse(site).login("ada", PHRASE).status_code == 200


def test_weak_hashes_are_counted(ctl):
    done = ctl.call("import", "csv", "-", stdin=f"name,password\nada,{APR1}\nben,{PHPASS}\ncleo,{BCRYPT}\n")
    assert "whoever gets hold of them (MD5, SHA-1): 2." in done.stdout


def test_address_is_verified_only_of_an_account_that_is_new(ctl, database):
    """Whose it is that was there before, perhaps by signing up, is not known."""
    database.add_user("ada")
    rows = [["name", "email", "email_verified"], ["ada", "ada@example.org", "yes"], ["ben", "ben@example.org", "yes"]]
    assert ctl.json("import", "csv", "-", stdin=as_csv(*rows))["emails"] == 2
    assert terms(database, "ada")[:2] == ("ada@example.org", False)
    assert terms(database, "ben")[:2] == ("ben@example.org", True)


def test_import_again_changes_nothing(ctl, database, plans):
    text = as_csv(["name", "email", "plan", "external_id"], ["ada", "ada@example.org", "gold", "7"],
                  ["ben", "", "silver", "8"])
    assert ctl.json("import", "csv", "-", stdin=text)["imported"] == 2
    before = database.query("SELECT * FROM users ORDER BY id"), database.query("SELECT * FROM events ORDER BY id")
    again = ctl.json("import", "csv", "-", stdin=text.replace("gold", "silver"))
    assert again == {"imported": 0, "existing": 2, "refused": 0}
    after = database.query("SELECT * FROM users ORDER BY id"), database.query("SELECT * FROM events ORDER BY id")
    assert after == before
    events = database.query("SELECT name, detail->>'from' FROM events WHERE user_id > 3")
    assert events == [("user_added", "csv")] * 2


# ---- What is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("header", "options", "words"), [
    ("username,colour", [], ['"colour" is not known', "email_verified", "--map", "--ignore"]),
    ("username,user_pass", ["--ignore", "user-pas"], ["user-pas", "none of that name"]),
    ("username,user_pass", ["--map", "user_pas=password_hash"], ["user_pas", "none of that name"]),
    ("username,user_pass", ["--map", "user_pass=pass"], ["user_pass is pass, which is not known"]),
    ("username,user_pass", ["--map", "user_pass"], ["no = in user_pass"]),
    ("username,name", [], ["two columns for username"]),
    ("email,plan", [], ["no column username"]),
    ("username,is_admin", [], ['"is_admin" is not known']),
    ("", [], ["no header"]),
    ('"username', [], ["no end"]),
    ("user\0name", [], ["NUL"]),
])
def test_header_that_cannot_be_is_told_in_one_line_and_nothing_is_imported(ctl, database, header, options, words):
    text = (header + f"\nada,{BCRYPT}\n") if header else ""
    told = ctl.refused("import", "csv", "-", *options, stdin=text)
    assert all(word in told for word in words) and "standard input:1: " in told
    assert names(database) == []


def test_what_cannot_be_taken_is_told_by_its_line_and_the_rest_is_imported(ctl, database, plans, tmp_path):
    database.query("UPDATE users SET external_id = 'taken' WHERE username = 'alice'")
    rows = [
        ("username,password_hash,plan,groups,session_limit,valid_until,is_active,external_id,email_verified", None),
        (f"first,{BCRYPT},gold,,,,,1,", None),
        ("short", "1 fields, and the header has 9"),
        (f"long,{BCRYPT},,,,,,,,,", "11 fields, and the header has 9"),
        (f"bronze,{BCRYPT},bronze,,,,,,", "bronze: there is no plan bronze"),
        (f"noplan,{BCRYPT},no plan,,,,,,", "noplan: plan"),
        (f'nogroups,{BCRYPT},,"a,,b",,,,,', "nogroups: groups has something in it that is no name"),
        (f"nolimit,{BCRYPT},,,-1,,,,", "nolimit: session_limit is a number"),
        (f"nolimit2,{BCRYPT},,,2147483648,,,,", "nolimit2: session_limit is a number from 0 to 2147483647, or nothing"),
        (f"never,{BCRYPT},,,,0000-00-00 00:00:00,,,", "never: valid_until is a moment"),
        (f"soon,{BCRYPT},,,,soon,,,", "soon: valid_until is a moment"),
        (f"soon2,{BCRYPT},,,,31.01.2027,,,", "or a day such as 2027-01-31, which is its 00:00 UTC, or nothing"),
        (f"maybe,{BCRYPT},,,,,maybe,,", "maybe: is_active is yes or no"),
        (f"maybe2,{BCRYPT},,,,,,,perhaps", "maybe2: email_verified is yes or no"),
        (f"same,{BCRYPT},,,,,,1,", "same: its external_id is that of the account first"),
        (f"taken,{BCRYPT},,,,,,taken,", "taken: its external_id is that of the account alice"),
        ("plain,correct horse,,,,,,,", "plain: the hash is of no known form, if it is not a password in plain text"),
        (f"costly,{BCRYPT.replace('$04$', '$15$')},,,,,,,", "costly: the hash would cost more"),
        (f",{BCRYPT},,,,,,,", "the name is empty"),
        (f"{'x' * 151},{BCRYPT},,,,,,,", "the name is longer than 150"),
        (f"e\x1b[31mvil,{BCRYPT},,,,,,,", "control character"),
        (f"so\u00adft,{BCRYPT},,,,,,,", "not seen"),
        (f"nul\0,{BCRYPT},,,,,,,", "NUL"),
        ("x" * 70000 + ",,,,,,,,", "too long"),
        ("," * 300, "too long"),
        (f'"many\r\nlines",{BCRYPT},,,,,,,', "control character"),
        (f"first,{BCRYPT},,,,,,,", "the name is in line 2 already"),
        (f"last,{BCRYPT},silver,,,,,9,", None),
    ]
    path = tmp_path / "us\x1bers.csv"
    path.write_text("".join(text + "\n" for text, _ in rows), newline="")
    done = ctl.call("--json", "import", "csv", path)
    assert done.returncode == 1
    wrong = [word for _, word in rows if word is not None]
    assert json.loads(done.stdout) == {"imported": 2, "existing": 0, "refused": len(wrong)}
    told = done.stderr.splitlines()
    line = 0
    for text, word in rows:
        line += 1
        if word is not None:
            (message,) = [one for one in told if f"us\\x1bers.csv:{line}: " in one]
            assert word in message and message.isprintable(), message
            assert not message.endswith(".")
        line += text.count("\n")
    assert "not imported: 5 lines without" in told[-2] and "12 accounts with a value that cannot be taken" in told[-2]
    assert "plan set" in told[-1] and told[-1].endswith(": bronze")
    assert len(told) == len(wrong) + 2
    assert BCRYPT not in done.stderr and "correct horse" not in done.stderr
    assert names(database) == ["first", "last"]


@pytest.mark.parametrize("between", [0, 700], ids=["one batch", "two batches"])
@pytest.mark.parametrize("wrong", [("bronze", BCRYPT, ""), ("gold", "correct horse", ""), ("gold", BCRYPT, "-1")])
def test_name_of_what_was_refused_is_not_free_for_another(ctl, database, plans, between, wrong):
    plan, hash_, limit = wrong
    header = ["username", "plan", "password_hash", "session_limit"]
    many = [[f"many{number}", "", "", ""] for number in range(between)]
    rows = [header, ["ada", plan, hash_, limit], *many, ["ADA", "gold", BCRYPT, ""]]
    done = ctl.call("--json", "import", "csv", "-", stdin=as_csv(*rows))
    assert done.returncode == 1
    assert json.loads(done.stdout) == {"imported": between, "existing": 0, "refused": 2, **(
        {"without_password": between} if between else {})}
    assert f"standard input:{between + 3}: ADA: the name is in line 2 already, which is the one that counts" in done.stderr
    assert not {"ada", "ADA"} & set(names(database))
    ctl.run("plan", "set", "bronze")
    rows[1] = ["ada", plan, BCRYPT, ""]
    assert ctl.call("import", "csv", "-", stdin=as_csv(*rows)).returncode == 1
    assert terms(database, "ada")[2] == plan and "ADA" not in names(database)


def test_bytes_that_are_no_utf_8_are_told(ctl, database, tmp_path):
    path = tmp_path / "latin1.csv"
    path.write_bytes("name,plan\nada,\nMüller,\n".encode("latin-1"))
    done = ctl.call("import", "csv", path)
    assert done.returncode == 1 and f"{path}:3: the line is not UTF-8" in done.stderr
    assert names(database) == ["ada"]
    path.write_text("name,plan\nada,\n", encoding="utf-16")
    assert f"{path}:1: there is a NUL byte" in ctl.refused("import", "csv", path)


@pytest.mark.parametrize(("text", "word"), [
    ('name,bio\nada,"x" y\nben,\n', "between the quotation mark"),
    ('name,bio\nada,"x\nben,\n', "has no end"),
])
def test_import_ends_where_the_lines_cannot_be_told_apart(ctl, database, text, word):
    """What follows may be anybody's text, and an account of his choice in it."""
    done = ctl.call("import", "csv", "-", "--ignore", "bio", stdin=text)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and done.stdout == ""
    assert "standard input:2: " in done.stderr and word in done.stderr and "the import ends here" in done.stderr
    assert names(database) == []


def test_no_text_becomes_an_account_however_long_it_is(ctl, database):
    text = as_csv(["name", "bio"], ["ada", ("x" * 100 + f"\nevil,{BCRYPT}\n") * 1000], ["ben", "short"])
    done = ctl.call("import", "csv", "-", "--ignore", "bio", stdin=text)
    assert done.returncode == 1 and "standard input:2: the line is too long" in done.stderr
    assert names(database) == ["ben"]


def test_file_that_cannot_be_read_is_told_in_one_line(ctl, tmp_path):
    assert "none" in ctl.refused("import", "csv", tmp_path / "none")
    assert str(tmp_path) in ctl.refused("import", "csv", tmp_path)


@pytest.mark.parametrize("words", [
    ["csv"], ["csv", "a", "b"], ["csv", "-", "--map"], ["csv", "-", "--dialect", "excel"], ["csv", "-", "--from", "x"],
])
def test_wrong_command_line_is_refused(ctl, words):
    done = ctl.call("import", *words)
    assert done.returncode == 64 and done.stderr.count("\n") == 1 and done.stdout == ""


# ---- MySQL -----------------------------------------------------------------------------------------------------------

# What MariaDB 10.11 wrote of one table: mariadb --batch; INTO OUTFILE with FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED
# BY '"', and without. test_import_mariadb.py has it write them anew.
OF_MARIADB = [
    f'user_login\tuser_email\tuser_pass\tdisplay_name\nann\tann@example.org\t{PHPASS}\tAnn, the "first" \\\\ one\n'
    f'"zoë\tNULL\t{BCRYPT}\tline\\nbreak\\ttab\nben\t\t{BCRYPT}\t\n',
    f'"user_login","user_email","user_pass","display_name"\n"ann","ann@example.org","{PHPASS}","Ann, the \\"first\\" '
    f'\\\\ one"\n"\\"zoë",\\N,"{BCRYPT}","line\\\nbreak\ttab"\n"ben","","{BCRYPT}",""\n',
    f'user_login\tuser_email\tuser_pass\tdisplay_name\nann\tann@example.org\t{PHPASS}\tAnn, the "first" \\\\ one\n'
    f'"zoë\t\\N\t{BCRYPT}\tline\\\nbreak\\\ttab\nben\t\t{BCRYPT}\t\n',
]


@pytest.mark.parametrize("text", OF_MARIADB, ids=["batch", "commas", "tabs"])
def test_what_mysql_and_mariadb_write_is_read(ctl, database, text):
    told = ctl.json("import", "csv", "-", "--dialect", "mysql", "--map",
                    "user_login=name,user_email=email,user_pass=password_hash,display_name=external_id", stdin=text)
    assert told["imported"] == 3 and told["emails"] == 1
    assert database.query("SELECT username, email, password, external_id FROM users WHERE id > 3 ORDER BY id") == [
        ("ann", "ann@example.org", PHPASS, 'Ann, the "first" \\ one'),
        ('"zoë', None, BCRYPT, "line\nbreak\ttab"),
        ("ben", None, BCRYPT, None),
    ]


# ---- Many ------------------------------------------------------------------------------------------------------------


def write_many(path, count):
    with path.open("w") as file:
        file.write("username,email,password_hash,plan,external_id\n")
        for number in range(count):
            file.write(f"user{number},user{number}@example.org,{PBKDF2},gold,c{number}\n")


@pytest.mark.nightly
@pytest.mark.slow
def test_many_are_imported_in_memory_that_is_bounded(ctl, database, plans, tmp_path):
    """Names are kept, so that one that comes twice is told, and nothing else of the file's 4 MB."""
    path = tmp_path / "many.csv"
    write_many(path, 30000)
    process = subprocess.Popen(
        ctl.command("--json", "import", "csv", path),
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
        # Sanitizers reserve memory by the terabyte.
        preexec_fn=None if IS_SANITIZED else lambda: resource.setrlimit(resource.RLIMIT_DATA, (32 << 20, 32 << 20)),
    )
    out, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and json.loads(out)["imported"] == 30000
    assert database.value("SELECT count(*) FROM users WHERE plan = 'gold' AND email IS NOT NULL") == 30000


def test_import_that_fails_goes_on_where_it_was(ctl, database, plans, tmp_path):
    path = tmp_path / "many.csv"
    write_many(path, 1200)
    database.query(
        "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN IF NEW.username = 'user1100' THEN RAISE 'no more'; END IF; RETURN NEW; END$$;"
        "CREATE TRIGGER stop BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION stop()"
    )
    done = ctl.call("import", "csv", path)
    assert done.returncode == 1 and "1000 accounts imported before the failure" in done.stderr
    database.query("DROP TRIGGER stop ON users")
    told = ctl.json("import", "csv", path)
    assert (told["imported"], told["existing"], told["refused"]) == (200, 1000, 0)

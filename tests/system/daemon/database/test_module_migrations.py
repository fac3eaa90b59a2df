"""Tables of modules: onesessionctl migrate applies what lies beside them, each file once, in a schema of their own."""

import os
import re

import psycopg2
import pytest

from support.processes import ROOT, discard, scratch
from support.programs import Ctl
from support.waiting import Background

FIRST = "-- Titles.\nCREATE TABLE titles (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);\n"
SECOND = """ALTER TABLE titles ADD COLUMN account bigint REFERENCES public.users ON DELETE CASCADE;
CREATE SEQUENCE numbers;
CREATE FUNCTION twice(number bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 2 * number';
CREATE VIEW named AS SELECT name FROM titles;
"""


class Module:
    """NAME/migrations beside NAME.so, in a folder; there is no code, for migrate does not look at it."""

    def __init__(self, base, name="cinema", files=None):
        self.base, self.name = base, name
        self.object = base / f"{name}.so"
        self.folder = base / name / "migrations"
        self.folder.mkdir(parents=True, mode=0o755)
        for file, text in (files or {"0001_titles.sql": FIRST, "0002_more.sql": SECOND}).items():
            self.write(file, text)

    def write(self, file, text, mode=0o644):
        path = self.folder / file
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path


@pytest.fixture
def new_module(tmp_path):
    return lambda name="cinema", files=None: Module(tmp_path, name, files)


@pytest.fixture
def module(new_module):
    return new_module()


def ctl_of(database, *modules, role=None):
    conninfo = database.cluster.conninfo(database.name, role) if role else database.owner_conninfo
    return Ctl(conninfo, **{"server.modules": " ".join(str(module.object) for module in modules)})


def applied(database, name="cinema"):
    return [
        row[0] for row in database.query("SELECT name FROM module_migrations WHERE module = %s ORDER BY version", name)
    ]


def has_schema(database, name="cinema"):
    return database.value("SELECT count(*) FROM pg_namespace WHERE nspname = %s", name) == 1


def test_migrate_makes_the_tables_of_modules_after_its_own_each_once(empty_database, module, new_module):
    other = new_module("billing", {"0001_bills.sql": "CREATE TABLE bills (id int)"})
    ctl = ctl_of(empty_database, module, other)
    told = ctl.run("migrate")
    lines = told.splitlines()
    assert lines.index("Applied 0001_titles of the module cinema.") > lines.index(f"The schema is at version {lines_version(told)}.")
    assert "Applied 0002_more of the module cinema." in lines and "The schema cinema is at version 2." in lines
    assert "The schema billing is at version 1." in lines
    assert applied(empty_database) == ["0001_titles", "0002_more"]
    empty_database.query("INSERT INTO cinema.titles (name) VALUES ('kept')")
    told = ctl.run("migrate")
    assert "Applied" not in told and "Beware" not in told
    assert empty_database.query("SELECT name FROM cinema.named") == [("kept",)]
    module.write("0003_late.sql", "CREATE TABLE late (id int)")
    assert "Applied 0003_late of the module cinema." in ctl.run("migrate")
    assert applied(empty_database) == ["0001_titles", "0002_more", "0003_late"]


def lines_version(told):
    return re.search(r"The schema is at version (\d+)\.", told)[1]


def test_json_tells_of_each_module(database, module):
    assert ctl_of(database, module).json("migrate")["modules"] == [{"module": "cinema", "version": 2, "changed": []}]
    assert ctl_of(database, module).json("migrate", "--module", "cinema") == {
        "modules": [{"module": "cinema", "version": 2, "changed": []}]
    }


def test_module_without_a_folder_has_no_tables(database, tmp_path, module):
    ctl = Ctl(database.owner_conninfo, **{"server.modules": f"{tmp_path}/plain.so {module.object}"})
    ctl.run("migrate")
    assert has_schema(database) and not has_schema(database, "plain")
    assert "No such file" in ctl.refused("migrate", "--module", "plain")


def test_one_module_alone_and_from_any_folder(database, module, new_module):
    other = new_module("billing", {"0001_bills.sql": "CREATE TABLE bills (id int)"})
    ctl = ctl_of(database, module, other)
    assert "billing" not in ctl.run("migrate", "--module", "cinema")
    assert has_schema(database) and not has_schema(database, "billing")
    # It need not be in the configuration.
    Ctl(database.owner_conninfo).run("migrate", "--module", "billing", "--folder", other.folder)
    assert applied(database, "billing") == ["0001_bills"]
    assert ctl.call("migrate", "--folder", other.folder).returncode == 64


def test_one_module_needs_the_daemon_s_tables_first(empty_database, module):
    told = ctl_of(empty_database, module).refused("migrate", "--module", "cinema")
    assert "run onesessionctl migrate" in told
    assert not has_schema(empty_database)


def test_by_many_at_once_each_is_applied_once(database, module):
    ctl = ctl_of(database, module)
    calls = [Background(ctl.call, "migrate") for _ in range(6)]
    assert [call.result().returncode for call in calls] == [0] * 6
    assert applied(database) == ["0001_titles", "0002_more"]


@pytest.mark.parametrize("role", ["owner", "superuser"])
def test_what_there_is_belongs_to_the_owner_of_the_daemon_s_tables(cluster, database, module, role):
    module.write("0003_who.sql", "CREATE TABLE who AS SELECT current_user::text AS name, current_schemas(false)::text AS path")
    who = cluster.superuser if role == "superuser" else cluster.OWNER
    ctl_of(database, module, role=who).run("migrate", "--grant", cluster.DAEMON)
    assert database.query("SELECT name, path FROM cinema.who") == [(cluster.OWNER, "{cinema}")]
    owners = database.query(
        "SELECT DISTINCT pg_get_userbyid(o) FROM (SELECT relowner AS o FROM pg_class WHERE relnamespace = 'cinema'::regnamespace"
        " UNION ALL SELECT nspowner FROM pg_namespace WHERE nspname = 'cinema'"
        " UNION ALL SELECT proowner FROM pg_proc WHERE pronamespace = 'cinema'::regnamespace) AS x"
    )
    assert owners == [(cluster.OWNER,)]


MAY = [
    "INSERT INTO cinema.titles (name) VALUES ('a')",
    "SELECT * FROM cinema.named",
    "UPDATE cinema.titles SET name = 'b'",
    "SELECT nextval('cinema.numbers'), cinema.twice(2)",
    "DELETE FROM cinema.titles",
]
MAY_NOT = [
    "CREATE TABLE cinema.mine (x int)",
    "DROP TABLE cinema.titles",
    "TRUNCATE cinema.titles",
    "ALTER TABLE cinema.titles ADD COLUMN x int",
    "CREATE FUNCTION cinema.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "INSERT INTO module_migrations (module, version, name, sha256) VALUES ('x', 1, 'x', repeat('0', 64))",
    "DELETE FROM module_migrations",
    "SELECT setval('cinema.numbers', 1)",
]


def test_daemon_s_role_reads_and_writes_rows_and_no_more(cluster, database, module):
    ctl_of(database, module).run("migrate")
    connection = database.connect(cluster.DAEMON)
    with connection.cursor() as cursor:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(MAY[0])
        # What an operator gave is taken back, too.
        database.query(f"GRANT ALL ON SCHEMA cinema TO {cluster.DAEMON}; GRANT ALL ON cinema.titles TO {cluster.DAEMON}")
        told = ctl_of(database, module).run("migrate", "--module", "cinema", "--grant", cluster.DAEMON)
        assert f"The role {cluster.DAEMON} may read and write the rows of cinema." in told
        for sql in MAY:
            cursor.execute(sql)
        for sql in MAY_NOT:
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(sql)
    connection.close()


def test_grant_to_a_role_that_is_not_or_may_do_everything_is_refused(cluster, database, module):
    ctl = ctl_of(database, module)
    ctl.run("migrate")
    for role, reason in (("nobody_at_all", "no such role"), (cluster.OWNER, "the daemon needs a role of its own")):
        done = ctl.call("migrate", "--module", "cinema", "--grant", role)
        assert done.returncode == 1 and reason in done.stderr


# ---- What is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "files, named",
    [
        ({"0001_a.sql": FIRST, "0003_c.sql": SECOND}, "0003_c.sql: number 0002 was expected"),
        ({"0002_a.sql": FIRST}, "0002_a.sql: number 0001 was expected"),
        ({"0001_a.sql": FIRST, "0001_b.sql": SECOND}, "0001_b.sql: number 0002 was expected"),
        ({"1_a.sql": FIRST}, "1_a.sql is not called as migrations are"),
        ({"0001_a.sql": FIRST, "0002_b.sql.orig": SECOND}, "0002_b.sql.orig is not called"),
        ({"0001_a.sql": FIRST, "README": "x"}, "README is not called"),
        ({"0001-a.sql": FIRST}, "0001-a.sql is not called"),
        ({"0000_a.sql": FIRST}, "0000_a.sql is not called"),
        ({"0001_.sql": FIRST}, "0001_.sql is not called"),
        ({"0001_a.sql": b"SELECT 1 -- \xff"}, "0001_a.sql is not text in UTF-8"),
        ({"0001_a.sql": b"SELECT 1\0"}, "0001_a.sql is not text in UTF-8"),
    ],
)
def test_gaps_and_files_that_are_none_are_refused_by_name(database, new_module, files, named):
    module = new_module(files=files)
    assert named in ctl_of(database, module).refused("migrate", "--module", "cinema")
    assert not has_schema(database)


def test_hidden_files_are_passed_over(database, module):
    module.write(".0002_more.sql.swp", b"\0\1")
    ctl_of(database, module).run("migrate")


@pytest.mark.parametrize("where", ["file", "folder"])
@pytest.mark.parametrize("mode", [0o020, 0o002])
def test_what_others_can_write_is_not_run(database, module, where, mode):
    path = module.folder if where == "folder" else module.folder / "0002_more.sql"
    path.chmod(path.stat().st_mode | mode)
    told = ctl_of(database, module).refused("migrate", "--module", "cinema")
    assert f"{path} can be written by others" in told
    assert not has_schema(database)


@pytest.mark.skipif(os.geteuid() != 0, reason="a file is given to another user")
def test_file_of_another_user_is_not_run(database, module):
    os.chown(module.folder / "0001_titles.sql", 65534, -1)
    assert "0001_titles.sql belongs to user 65534" in ctl_of(database, module).refused("migrate", "--module", "cinema")


@pytest.mark.parametrize(
    "name", ["public", "pg_catalog", "pg_mine", "information_schema", "session", "server", "database", "login", "log", "sharing"]
)
def test_schema_s_name_that_is_another_s_is_refused(database, tmp_path, name):
    module = Module(tmp_path, name)
    told = Ctl(database.owner_conninfo).refused("migrate", "--module", name, "--folder", module.folder)
    assert f"module {name}: " in told and "own" in told


@pytest.mark.parametrize("name", ["Cinema", "1st", "a" * 32, "a-b", "a;b", 'a"b', "../a", ""])
def test_name_that_cannot_be_one_is_refused(database, module, name):
    told = Ctl(database.owner_conninfo).refused("migrate", "--module", name, "--folder", module.folder)
    assert "a module's name has up to 31 small letters" in told


def test_name_that_is_a_word_of_sql_is_one_like_any_other(cluster, database, tmp_path):
    module = Module(tmp_path, "order")
    Ctl(database.owner_conninfo).run("migrate", "--module", "order", "--folder", module.folder, "--grant", cluster.DAEMON)
    assert applied(database, "order") == ["0001_titles", "0002_more"]


def test_schema_that_is_there_already_is_taken_only_when_it_is_empty_and_the_owner_s(cluster, database, module):
    database.query("CREATE SCHEMA cinema CREATE TABLE other (x int)")
    ctl = ctl_of(database, module)
    assert "has other things in it" in ctl.refused("migrate", "--module", "cinema")
    database.query("DROP TABLE cinema.other")
    connection = cluster.connect(database.name)
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER SCHEMA cinema OWNER TO {cluster.superuser}")
        assert "another owner" in ctl.refused("migrate", "--module", "cinema")
        cursor.execute(f"ALTER SCHEMA cinema OWNER TO {cluster.OWNER}")
    connection.close()
    ctl.run("migrate")
    assert applied(database) == ["0001_titles", "0002_more"]


# ---- What goes wrong -------------------------------------------------------------------------------------------------


def test_error_names_file_and_line_and_nothing_of_the_file_stays(database, module):
    module.write("0003_wrong.sql", "CREATE TABLE früh (id int);\n-- ü\nCREATE TABLE late (\n\tid nonsense\n);\n")
    ctl = ctl_of(database, module)
    done = ctl.call("migrate", "--module", "cinema")
    assert done.returncode == 1
    assert "module cinema: 0003_wrong.sql, line 4: type " in done.stderr and done.stderr.count("\n") == 1
    assert applied(database) == ["0001_titles", "0002_more"]
    assert database.value("SELECT to_regclass('cinema.früh') IS NULL")
    module.write("0003_wrong.sql", "INSERT INTO titles (name) VALUES ('a');\nINSERT INTO titles (name) VALUES (1 / 0)")
    done = ctl.call("migrate", "--module", "cinema")
    assert "module cinema: 0003_wrong.sql: division by zero" in done.stderr
    assert database.query("SELECT * FROM cinema.titles") == []
    module.write("0003_right.sql", "SELECT 1")
    (module.folder / "0003_wrong.sql").unlink()
    ctl.run("migrate")


def test_first_file_that_fails_leaves_no_schema(database, new_module):
    module = new_module(files={"0001_wrong.sql": "SELECT nothing"})
    assert "0001_wrong.sql, line 1" in ctl_of(database, module).refused("migrate", "--module", "cinema")
    assert not has_schema(database)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK", "COMMIT; BEGIN"])
def test_file_that_ends_its_transaction_is_told_and_not_recorded(database, module, end):
    module.write("0003_ends.sql", f"CREATE TABLE x (id int); {end}; CREATE TABLE IF NOT EXISTS y (id int)")
    done = ctl_of(database, module).call("migrate", "--module", "cinema")
    assert done.returncode == 1 and "0003_ends.sql ends the transaction" in done.stderr
    assert applied(database) == ["0001_titles", "0002_more"]


def test_copy_from_the_client_is_told_and_does_not_hang(database, module):
    module.write("0003_copy.sql", "COPY titles (name) FROM STDIN")
    done = ctl_of(database, module).call("migrate", "--module", "cinema", timeout=30)
    assert done.returncode == 1 and "0003_copy.sql: COPY to or from the client" in done.stderr


def test_file_may_change_role_and_search_path_for_itself(database, module):
    module.write("0003_path.sql", "SET LOCAL search_path = public; SELECT count(*) FROM users; RESET ROLE")
    ctl_of(database, module).run("migrate")
    assert applied(database)[-1] == "0003_path"


@pytest.mark.parametrize("migrates", ["owner", "superuser"])
def test_settings_of_a_file_are_not_those_of_the_next(cluster, database, new_module, migrates):
    """What pg_dump writes begins with such a line."""
    dumped = "SELECT pg_catalog.set_config('search_path', '', false);\nSET DateStyle = German;\nSET statement_timeout = 0;\n"
    module = new_module(
        files={
            "0001_dumped.sql": dumped + "CREATE TABLE cinema.titles (id int, at timestamptz);\n",
            "0002_more.sql": f"ALTER TABLE titles ADD COLUMN name text;\nSET ROLE {cluster.OWNER};\n",
            "0003_style.sql": "CREATE VIEW style AS SELECT current_setting('DateStyle') AS style;\n"
            "INSERT INTO titles (name) VALUES (current_setting('DateStyle'));\n",
        }
    )
    ctl_of(database, module, role=cluster.OWNER if migrates == "owner" else cluster.superuser).run("migrate")
    assert applied(database) == ["0001_dumped", "0002_more", "0003_style"]
    assert database.value("SELECT name FROM cinema.titles").startswith("ISO")


@pytest.mark.parametrize("change", ["RESET ROLE", "SET LOCAL ROLE NONE", "SET SESSION AUTHORIZATION DEFAULT"])
def test_file_that_leaves_the_owner_s_role_is_told_and_nothing_of_it_stays(cluster, database, module, change):
    """Migrations of a module are not run with the rights of the operator who calls the program."""
    module.write("0003_role.sql", f"{change}; CREATE TABLE x (id int)")
    done = ctl_of(database, module, role=cluster.superuser).call("migrate", "--module", "cinema")
    assert done.returncode == 1
    assert (
        f"module cinema: 0003_role.sql changes the role that runs it from {cluster.OWNER} to {cluster.superuser}"
        in done.stderr
    )
    assert applied(database) == ["0001_titles", "0002_more"]
    assert database.value("SELECT to_regclass('cinema.x') IS NULL")


def test_file_that_has_changed_since_is_told_and_not_run(database, module):
    ctl = ctl_of(database, module)
    ctl.run("migrate")
    module.write("0001_titles.sql", FIRST + "DROP TABLE titles;\n")
    (module.folder / "0002_more.sql").rename(module.folder / "0002_other.sql")
    told = ctl.run("migrate")
    assert "Beware: 0001_titles.sql of the module cinema is not what was applied" in told
    assert "Beware: 0002_other.sql" in told and "Applied" not in told
    assert ctl.json("migrate")["modules"][0]["changed"] == ["0001_titles", "0002_other"]
    assert database.value("SELECT count(*) FROM cinema.titles") == 0


def test_older_module_than_the_schema_is_refused(database, module):
    ctl = ctl_of(database, module)
    ctl.run("migrate")
    (module.folder / "0002_more.sql").unlink()
    told = ctl.refused("migrate", "--module", "cinema")
    assert "its schema is at version 2, and there are files up to 1 only" in told


def test_code_of_a_module_is_not_run(database, module):
    """By whoever owns the database, root perhaps."""
    module.object.write_bytes(b"no shared object at all")
    ctl_of(database, module).run("migrate")
    assert applied(database) == ["0001_titles", "0002_more"]


def test_migrate_by_the_daemon_s_role_is_refused(cluster, database, module):
    ctl = ctl_of(database, module, role=cluster.DAEMON)
    done = ctl.call("migrate", "--module", "cinema")
    assert done.returncode == 1
    assert not has_schema(database)


def test_modules_own_tables_are_served_by_the_daemon(cluster, new_application, browse):
    """From a file to a row that a handler writes."""
    text = (ROOT / "tests/application/statements.sql").read_text()
    site = new_application()
    base = scratch("mod")
    module = Module(base, "application", {"0001_titles.sql": text.replace("CREATE SCHEMA application;\n", "")})
    ctl_of(site.database, module).run("migrate", "--grant", cluster.DAEMON)
    discard(base)
    steps = [{"sql": "INSERT INTO application.titles (name) VALUES ($1) RETURNING id", "values": ["a"]}]
    answer = browse(site).post("/session/application/statements", {"steps": steps})
    assert answer.json()["rows"] == [{"id": 1}]

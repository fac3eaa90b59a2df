"""Start, -t and reload look whether the migrations of modules are applied; onesessionctl finds them in the same place."""

import shutil
import signal
import subprocess

import pytest

from support.modules import settings_for, setup_of
from support.programs import Ctl, environment
from support.waiting import wait_until

TITLES = "CREATE TABLE titles (id bigint PRIMARY KEY, name text NOT NULL);\n"
COVERS = "ALTER TABLE titles ADD COLUMN cover bytea;\n"
DECLARED = '.migrations = "sql", '


def write_migrations(module, folder="sql", files=None):
    """In a folder beside it."""
    path = module.parent / folder
    path.mkdir(parents=True, mode=0o755, exist_ok=True)
    for name, text in (files or {"0001_titles.sql": TITLES, "0002_covers.sql": COVERS}).items():
        (path / name).write_text(text)
        (path / name).chmod(0o644)
    return path


def ctl_of(database, module):
    return Ctl(database.owner_conninfo, **{"server.modules": module})


def migrate(database, module):
    return ctl_of(database, module).run("migrate", "--grant", database.cluster.DAEMON)


def refused(new_daemon, module):
    """What is said by -t and at the start, each of which fails."""
    daemon = new_daemon(settings_for(module))
    tried = subprocess.run(daemon.command("-t"), capture_output=True, text=True, timeout=60, env=environment())
    assert tried.returncode == 1 and tried.stderr.startswith("onesessiond: database: "), tried.stderr
    said = tried.stderr.strip().removeprefix("onesessiond: database: ")
    daemon.start(wait=None)
    assert daemon.wait() == 1, daemon.log_text()
    (line,) = daemon.lines_of("wrong_schema")
    assert f'problem="{said}"' in line
    return said


@pytest.fixture
def module(build):
    made = build(setup_of("(void)app;", more=DECLARED))
    write_migrations(made)
    return made


def test_start_and_test_name_what_is_not_applied_and_the_cure(new_daemon, database, module):
    said = refused(new_daemon, module)
    assert said == (
        "module cinema: run onesessionctl migrate, for of its migrations these are not applied: 0001_titles, 0002_covers"
    )
    assert "Applied 0002_covers of the module cinema." in migrate(database, module)
    daemon = new_daemon(settings_for(module)).start()
    tried = subprocess.run(daemon.command("-t"), capture_output=True, text=True, timeout=60, env=environment())
    assert tried.returncode == 0 and "database: right" in tried.stdout
    write_migrations(module, files={"0003_more.sql": "SELECT 1"})
    assert refused(new_daemon, module).endswith("these are not applied: 0003_more")


def test_older_module_than_its_tables_is_refused(new_daemon, database, module):
    migrate(database, module)
    (module.parent / "sql" / "0002_covers.sql").unlink()
    assert "its schema is at version 2, and there are files up to 1 only" in refused(new_daemon, module)


def test_reload_with_a_migration_that_is_not_applied_is_refused_and_the_old_one_goes_on(new_daemon, database, module):
    migrate(database, module)
    daemon = new_daemon(settings_for(module)).start()
    workers = daemon.workers
    write_migrations(module, files={"0003_more.sql": "SELECT 1"})
    daemon.send_signal(signal.SIGHUP)
    (line,) = wait_until(lambda: daemon.lines_of("reload_refused"), "the reload to be refused")
    assert "the database lacks tables of a module" in line
    assert "not applied: 0003_more" in daemon.lines_of("wrong_schema")[0]
    assert daemon.workers == workers and daemon.ask(path="/session/ready").status == 200
    migrate(database, module)
    daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: daemon.lines_of("reloaded"), "the reload")


def test_without_its_database_the_daemon_starts_and_waits_for_it(new_daemon, module):
    settings = settings_for(module, **{"database.conninfo": "host=/nonexistent", "database.connect_timeout": "1s"})
    assert new_daemon(settings).start(wait="/session/health").ask(path="/session/ready").status == 503


def test_folder_that_a_module_names_has_to_be_there_and_to_be_its_owner_s(new_daemon, module):
    (module.parent / "sql" / "0001_titles.sql").chmod(0o666)
    assert "0001_titles.sql can be written by others than its owner" in refused(new_daemon, module)
    shutil.rmtree(module.parent / "sql")
    said = refused(new_daemon, module)
    assert said.startswith("module cinema: migrations: ") and "/sql: No such file or directory" in said


def test_module_that_names_no_folder_has_that_of_its_name_if_there_is_one(new_daemon, database, build):
    module = build(setup_of("(void)app;"))
    new_daemon(settings_for(module)).start()
    migrate(database, module)
    write_migrations(module, "cinema/migrations")
    assert "not applied: 0001_titles, 0002_covers" in refused(new_daemon, module)
    assert "The schema cinema is at version 2." in migrate(database, module)
    new_daemon(settings_for(module)).start()


LINKERS = {
    "usual": ("gcc", []),
    "relative": ("gcc", ["-Wl,-z,pack-relative-relocs"]),
    "optimized": ("gcc", ["-O2", "-flto", "-Wl,-z,now"]),
    "stripped": ("gcc", ["-s"]),
    "clang": ("clang", []),
}


@pytest.mark.parametrize("linker", LINKERS)
def test_migrate_finds_what_the_object_names_whatever_its_file_is_called(new_daemon, database, build, linker):
    compiler, flags = LINKERS[linker]
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    module = build(setup_of("(void)app;", more=DECLARED), "other", compiler=compiler, flags=flags)
    write_migrations(module)
    # Not this, which goes by the file.
    write_migrations(module, "other/migrations", {"0001_wrong.sql": "SELECT nonsense"})
    assert "The schema cinema is at version 2." in migrate(database, module)
    assert ctl_of(database, module).json("migrate", "--module", "cinema")["modules"][0]["version"] == 2
    new_daemon(settings_for(module)).start()


def test_migrate_refuses_a_folder_that_an_object_names_and_that_is_not_there(database, build):
    module = build(setup_of("(void)app;", more=DECLARED))
    done = ctl_of(database, module).call("migrate")
    assert done.returncode == 1 and "module cinema: " in done.stderr and "/sql: No such file" in done.stderr


@pytest.mark.parametrize("size", [0, 63, 64, 1000, 4000])
def test_object_that_is_cut_off_says_nothing(database, module, size):
    """It goes by its name, as if it was not there."""
    module.write_bytes(module.read_bytes()[:size])
    write_migrations(module, "cinema/migrations", {"0001_bills.sql": "CREATE TABLE bills (id int)"})
    assert "Applied 0001_bills of the module cinema." in migrate(database, module)


def test_folder_lies_beside_the_object_itself_whatever_link_leads_there(new_daemon, database, module, tmp_path):
    links = tmp_path / "links"
    links.mkdir(mode=0o755)
    link = links / "cinema.so"
    link.symlink_to(module)
    migrate(database, link)
    assert database.value("SELECT count(*) FROM module_migrations") == 2
    new_daemon(settings_for(link)).start()

"""What is installed for those who write modules: the template, pkg-config, the test kit, onesession-try."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from support.installing import BUILDERS_FLAGS, FLAGS, VERSION, builders_environment, install_for_builders
from support.marks import ROOT_ONLY
from support.processes import BUILD, discard, end, processes_below, scratch, spawn
from support.waiting import PATIENCE, wait_until

ABI = "1"
# Each of them has servers of its own, and the installation of all is one.
pytestmark = pytest.mark.xdist_group("builders")


@pytest.fixture(scope="module", name="prefix")
def installed_prefix():
    path = scratch("i")
    install_for_builders(path)
    yield path / "usr"
    discard(path)


@pytest.fixture(name="folder")
def working_folder(monkeypatch):
    """To work in; beside it is one for what is temporary."""
    path = scratch("w")
    for name in ("work", "tmp"):
        (path / name).mkdir()
        (path / name).chmod(0o777 if name == "tmp" else 0o755)
    monkeypatch.setenv("TMPDIR", str(path / "tmp"))
    yield path / "work"
    discard(path)


def call(prefix, folder, *words, **kwargs):
    return subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env=builders_environment(prefix),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        timeout=300,
        **kwargs,
    )


def done_well(*args, **kwargs):
    done = call(*args, **kwargs)
    assert done.returncode == 0, done.stdout
    return done.stdout


def new_module(prefix, folder, name="shopping", **kwargs):
    said = done_well(prefix, folder, prefix / "bin/onesession-try", "--new", name, **kwargs)
    assert f"{name} is there." in said
    return folder / name


def build(prefix, module, *targets, **kwargs):
    return done_well(prefix, module, "make", *targets, BUILDERS_FLAGS, **kwargs)



def nothing_is_left(folder):
    """By the compiler neither."""
    return os.listdir(folder.parent / "tmp") == []


# ---- pkg-config ------------------------------------------------------------------------------------------------------


def test_pkg_config_tells_all_that_a_module_needs(prefix, folder):
    def tell(*words):
        return done_well(prefix, folder, "pkg-config", *words).split()

    assert tell("--modversion", "onesession") == [VERSION]
    assert tell("--variable=moduledir", "onesession") == [f"{prefix}/lib/onesession/modules"]
    assert tell("--variable=abi", "onesession") == [ABI]
    assert f"-I{prefix}/include" in tell("--cflags", "onesession")
    assert "-ljansson" in tell("--libs", "onesession")
    libraries = tell("--libs", "onesession-test")
    assert libraries[:2] == [f"-L{prefix}/lib", "-lonesession-test"]
    assert (prefix / "lib/onesession/modules").is_dir()


# ---- A new module ----------------------------------------------------------------------------------------------------


def test_new_module_builds_and_its_test_passes_at_once(prefix, folder):
    module = new_module(prefix, folder)
    left = sorted(str(path.relative_to(module)) for path in module.rglob("*") if path.is_file())
    assert left == [
        ".gitignore",
        "Makefile",
        "README.md",
        "shopping.c",
        "shopping/migrations/0001_notes.sql",
        "shopping/pages/notes.html",
        "test_shopping.c",
    ]
    assert not re.search("newmodule", "".join((module / name).read_text() for name in left))
    build(prefix, module)
    assert "shopping: all is well" in build(prefix, module, "test")
    assert nothing_is_left(folder)
    # It fails as it should: what it looks for is there.
    page = module / "shopping/pages/notes.html"
    page.write_text(page.read_text().replace("{{text}}", "nothing"))
    failed = call(prefix, module, "make", "test")
    assert failed.returncode != 0 and "not so: get" in failed.stdout


@pytest.mark.parametrize("name", ["order", "int"])
def test_module_may_be_called_as_a_word_of_sql_or_c(prefix, folder, name):
    assert f"{name}: all is well" in build(prefix, new_module(prefix, folder, name), "test")


def test_new_module_is_installed_and_loaded_by_its_name(prefix, folder, database, new_daemon):
    module = new_module(prefix, folder, "installed")
    modules = folder / "modules"
    texts = "installed/pages/texts/en.ini"
    (module / texts).parent.mkdir()
    (module / texts).write_text("[notes]\ntitle = Notes\n")
    build(prefix, module, "install", f"MODULEDIR={modules}")
    assert (modules / "installed/migrations/0001_notes.sql").exists() and (modules / texts).exists()
    daemon = new_daemon({"server.modules": str(modules / "installed.so")})
    ctl = [BUILD / "onesessionctl", "-c", "/dev/null", "-o", f"database.conninfo={database.owner_conninfo}"]
    ctl += ["-o", f"server.modules={modules}/installed.so", "migrate", "--grant", database.cluster.DAEMON]
    assert "Applied 0001_notes of the module installed." in done_well(prefix, folder, *ctl)
    daemon.start()
    assert daemon.ask(path="/installed/").status == 401


@pytest.mark.parametrize(
    "name, reason",
    [
        ("Shopping", "small letters"),
        ("a-b", "small letters"),
        ("x" * 32, "small letters"),
        ("session", "the daemon's or PostgreSQL's own"),
        ("public", "the daemon's or PostgreSQL's own"),
    ],
)
def test_name_that_no_module_can_have_is_refused(prefix, folder, name, reason):
    done = call(prefix, folder, prefix / "bin/onesession-try", "--new", name)
    assert done.returncode == 64 and reason in done.stdout
    assert os.listdir(folder) == []


def test_folder_that_is_there_is_left_alone(prefix, folder):
    (folder / "shopping").mkdir()
    done = call(prefix, folder, prefix / "bin/onesession-try", "--new", "shopping")
    assert done.returncode == 1 and "shopping is there already" in done.stdout
    assert os.listdir(folder / "shopping") == []


@pytest.mark.parametrize(
    "words, reason",
    [
        ([], "which module?"),
        (["a.so", "b.so"], "which module?"),
        (["--port", "70000", "a.so"], "a number from 1 to 65535"),
        (["--port"], "wants a value"),
        (["--set", "x", "a.so"], "KEY=VALUE"),
        (["--set", "server.prefix=/x", "a.so"], "that is for onesession-try to set"),
        (["--none", "a.so"], "there is no option --none"),
        (["a.c"], "a file NAME.so"),
        (["--test"], "--test wants a program"),
        (["--new"], "wants a value"),
    ],
)
def test_wrong_words_are_told(prefix, folder, words, reason):
    done = call(prefix, folder, prefix / "bin/onesession-try", *words)
    assert done.returncode == 64 and reason in done.stdout and "--help" in done.stdout


def test_version_and_help_are_told(prefix, folder):
    assert done_well(prefix, folder, prefix / "bin/onesession-try", "--version") == f"onesession-try {VERSION}\n"
    assert "--new NAME" in done_well(prefix, folder, prefix / "bin/onesession-try", "-h")


# ---- Tests -----------------------------------------------------------------------------------------------------------


def test_program_has_an_empty_database_and_its_status_is_passed_on(prefix, folder):
    script = 'psql "$ONESESSION_TEST_CONNINFO" -Atc "SELECT count(*) FROM pg_tables WHERE schemaname = \'public\'"; pwd; exit 7'
    done = call(prefix, folder, prefix / "bin/onesession-try", "--test", "sh", "-c", script)
    assert done.returncode == 7 and done.stdout == f"0\n{folder}\n"
    assert nothing_is_left(folder)


# ---- onesession-try --------------------------------------------------------------------------------------------------


class Try:
    """It runs with a module, and what it says is in a file."""

    def __init__(self, prefix, folder, module, *options, **kwargs):
        self.prefix, self.folder = prefix, folder
        self.log = folder / f"try-{len(list(folder.glob('try-*')))}"
        self.log.touch()
        command = [prefix / "bin/onesession-try", *options, module]
        self.process = spawn(command, self.log, env=builders_environment(prefix), cwd=folder, **kwargs)
        self.url = None

    def said(self):
        return self.log.read_text(errors="replace")

    def await_said(self, text, timeout=2 * PATIENCE):
        deadline = time.monotonic() + timeout
        while text not in self.said() and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        assert text in self.said(), f"not said: {text}\n{self.said()}"

    def start(self):
        self.await_said("The daemon's log follows")
        self.url = re.search(r"is at  http://localhost:(\d+)(\S*)\n", self.said())
        self.port = int(self.url[1])
        return self

    def home(self):
        return re.search(r"-c (\S+)/operators\.conf", self.said())[1]

    def ask(self, path, data=None, jar="jar", accept="application/json"):
        words = ["-b", self.folder / jar, "-c", self.folder / jar, "-H", f"Accept: {accept}", "-w", "\n%{http_code}"]
        if data is not None:
            words += ["-d", data] + (["-H", "Content-Type: application/json"] if data.startswith("{") else [])
        body, _, status = self.curl(path, *words).decode().rpartition("\n")
        return int(status), body

    def curl(self, path, *words):
        command = ["curl", "-s", "--noproxy", "*", *words, f"http://localhost:{self.port}{path}"]
        return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout

    def send_file(self, path, file):
        return self.curl(path, "-F", f"file=@{file}", "-w", "%{http_code}", "-o", "/dev/null").decode()

    def fields(self, path):
        lines = self.curl(path, "-D", "-", "-o", "/dev/null").decode().splitlines()
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}

    def get_range(self, path, first, last):
        return self.curl(path, "-r", f"{first}-{last}")

    def sign_in(self, name, jar="jar"):
        password = re.search(rf"^    {name} +password  (\S+)", self.said(), re.M)[1]
        return self.ask("/session/login", json.dumps({"username": name, "password": password}), jar)

    def interrupt(self, status=0):
        assert end(self.process, (signal.SIGINT,), patience=2 * PATIENCE) == status, self.said()
        self.assert_nothing_stays()

    def assert_nothing_stays(self):
        assert nothing_is_left(self.folder)
        if self.url:
            assert processes_below(self.home()) == []
            with socket.socket() as connection:
                assert connection.connect_ex(("127.0.0.1", self.port)) != 0

    def close(self):
        end(self.process)


@pytest.mark.slow
def test_module_is_shown_and_what_is_built_anew_is_served_within_seconds(prefix, folder, closing):
    module = new_module(prefix, folder)
    build(prefix, module)
    shown = closing.add(Try(prefix, folder, module / "shopping.so")).start()
    said = shown.said()
    assert "Applied 0001_notes of the module shopping." in said and "an admin" in said
    assert shown.ask("/shopping/")[0] == 401
    status, body = shown.sign_in("ada")
    assert status == 200 and json.loads(body)["user"]["is_admin"]
    assert shown.ask("/shopping/", "text=Bring+milk")[0] == 303
    assert json.loads(shown.ask("/shopping/")[1]) == {"notes": [{"id": 1, "text": "Bring milk"}]}
    assert "Bring milk" in shown.ask("/shopping/", accept="text/html")[1]
    assert not json.loads(shown.sign_in("grace", "other")[1])["user"]["is_admin"]

    source = module / "shopping.c"
    edited = time.monotonic()
    source.write_text(source.read_text().replace("A note needs a text.", "Nothing is no note."))
    build(prefix, module)
    built = time.monotonic()
    wait_until(lambda: "Nothing is no note." in shown.ask("/shopping/", "text=")[1], "the rebuilt module")
    seen = time.monotonic()
    print(f"edit to seen: {seen - edited:.1f} s, of which the compiler {built - edited:.1f} s")
    shown.await_said("shopping is served anew, ")

    page = module / "shopping/pages/notes.html"
    page.write_text(page.read_text().replace("Notes of", "The notes of"))
    wait_until(lambda: "The notes of" in shown.ask("/shopping/", accept="text/html")[1], "the changed page")
    (module / "shopping/migrations/0002_done.sql").write_text("ALTER TABLE notes ADD COLUMN done boolean;\n")
    shown.await_said("Applied 0002_done of the module shopping.")

    # What is wrong is told, and what was right goes on.
    page.write_text(page.read_text() + "{{#open}}")
    shown.await_said("is never closed")
    assert "Bring milk" in shown.ask("/shopping/")[1]
    shown.interrupt()
    assert "Stopping nginx, the daemon and PostgreSQL." in shown.said()


FAULTY = """
#include <onesession.h>

static struct ones_app *kept;

static void silent(struct ones_request *req)
{
	(void)req;
}

static void crash(struct ones_request *req)
{
	(void)req;
	*(volatile int *)NULL = 1;
}

static void tell(struct ones_request *req)
{
	const char *greeting = ones_setting(kept, "greeting");

	ones_log("was_asked", "greeting is %s", greeting);
	ones_reply_json(req, 200, json_pack("{s:s?}", "greeting", greeting));
}

static void keep(struct ones_request *req)
{
	const struct ones_upload *all;

	if (ones_uploads(req, &all) == 1)
		ones_reply_empty(req, ones_keep_upload(req, &all[0], "pictures", "one") == ONES_RESULT_OK ? 204 : 500);
	else
		ones_reply_empty(req, 400);
}

static void show(struct ones_request *req)
{
	ones_reply_stored(req, "pictures", "one", "image/png");
}

static bool setup(struct ones_app *app)
{
	kept = app;
	ones_folder(app, "pictures", "pictures_folder");
	ones_route(app, &(struct ones_route){.path = "/keep", .post = keep, .bodies = ONES_BODY_MULTIPART, .max_body = 9 << 20});
	ones_route(app, &(struct ones_route){.path = "/show", .get = show});
	ones_route(app, &(struct ones_route){.path = "/silent", .get = silent});
	ones_route(app, &(struct ones_route){.path = "/crash", .get = crash});
	ones_route(app, &(struct ones_route){.path = "/tell", .get = tell});
	return ones_setting(app, "refuses") == NULL;
}

ONES_MODULE(.name = "faulty", .setup = setup);
"""


@pytest.fixture(name="faulty")
def faulty_module(prefix, folder):
    (folder / "faulty.c").write_text(FAULTY)
    command = "cc -shared -fPIC -o faulty.so faulty.c $(pkg-config --cflags --libs onesession) " + FLAGS
    done_well(prefix, folder, "sh", "-c", command)
    return folder / "faulty.so"


@pytest.mark.slow
def test_mistakes_and_crashes_are_shown_with_the_module_s_own_lines_and_settings(prefix, folder, faulty, closing):
    options = ["--set", "greeting=Good day", "--set", "prefix=/", "--set", "session.on_limit=refuse"]
    # A folder's name may have spaces, which separate modules in the configuration.
    (folder / "my modules").mkdir()
    module = shutil.copy(faulty, folder / "my modules")
    shown = closing.add(Try(prefix, folder, module, *options)).start()
    assert shown.url[2] == "/"
    assert shown.ask("/tell") == (200, '{"greeting":"Good day"}')
    shown.await_said('message="greeting is Good day"')
    assert [shown.sign_in("ada", jar)[0] for jar in ("jar", "other")] == [200, 409]
    assert shown.ask("/silent")[0] == 500
    shown.await_said("handler_fault")
    shown.await_said("the handler has given no answer")
    assert shown.ask("/crash")[0] >= 500
    shown.await_said("worker_crashed")
    shown.await_said("route=/crash")
    # The folder that it declares was made for it, and nginx sends what is kept there.
    (folder / "picture").write_bytes(bytes(range(256)) * 20000)
    assert shown.send_file("/keep", folder / "picture") == "204"
    fields = shown.fields("/show")
    assert fields["x-content-type-options"] == "nosniff" and "sandbox" in fields["content-security-policy"]
    sent = shown.get_range("/show", 100000, 100009)
    assert sent == (folder / "picture").read_bytes()[100000:100010]
    shown.interrupt()


@pytest.mark.slow
def test_module_that_is_refused_is_told_with_the_reason(prefix, folder, faulty, closing):
    shown = closing.add(Try(prefix, folder, faulty, "--set", "refuses=yes"))
    assert shown.process.wait(2 * PATIENCE) == 1
    assert "module faulty: its setup returned false" in shown.said()
    shown.assert_nothing_stays()


@pytest.mark.slow
def test_port_that_is_taken_is_passed_over_unless_it_was_asked_for(prefix, folder, faulty, closing):
    first = closing.add(Try(prefix, folder, faulty)).start()
    second = closing.add(Try(prefix, folder, faulty)).start()
    assert second.port > first.port >= 8080
    third = closing.add(Try(prefix, folder, faulty, "--port", str(first.port)))
    assert third.process.wait(2 * PATIENCE) == 1
    assert f"port {first.port} is in use already" in third.said()
    # Whatever ends it, its servers end with it.
    home = second.home()
    assert processes_below(home)
    second.process.kill()
    wait_until(lambda: processes_below(home) == [], "its servers to end")
    shutil.rmtree(home)
    first.interrupt()


@ROOT_ONLY
@pytest.mark.slow
def test_user_without_rights_tries_and_tests_a_module_as_well(prefix, folder, closing):
    shutil.chown(folder, "games", "games")
    as_games = {"user": "games", "group": "games", "extra_groups": []}
    module = new_module(prefix, folder, **as_games)
    assert "shopping: all is well" in build(prefix, module, "all", "test", **as_games)
    shown = closing.add(Try(prefix, folder, module / "shopping.so", **as_games)).start()
    assert shown.sign_in("ada")[0] == 200
    assert shown.ask("/shopping/", "text=Bring+milk")[0] == 303
    shown.interrupt()

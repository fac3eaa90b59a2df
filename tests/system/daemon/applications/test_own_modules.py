"""The daemon's own modules, built out of tree from their sources and the public header, and loaded as others' are."""

import json
import shutil
import subprocess

import pytest

from support import fastcgi, openmetrics
from support.browser import ASK, form_of, problem
from support.client import CREDENTIALS, JSON, OPERATOR
from support.modules import SANITIZED
from support.processes import ROOT
from support.waiting import wait_until

# In one process: the modules take longer to build than the tests take.
pytestmark = pytest.mark.xdist_group("own modules")
THEMES = ["account", "assets", "guard", "notices", "operations", "privacy", "programs", "recovery", "signin", "signup"]


@pytest.fixture(scope="session")
def modules(tmp_path_factory):
    """Of each theme its shared object: nothing of the daemon's is there but the header."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "include").mkdir()
    shutil.copy(ROOT / "daemon/onesession.h", folder / "include")
    shutil.copytree(ROOT / "handlers", folder / "handlers")
    built = {}
    for theme in THEMES:
        built[theme] = folder / f"{theme}.so"
        sources = [*sorted((folder / "handlers" / theme).glob("*.c")), *sorted((folder / "handlers/shared").glob("*.c"))]
        subprocess.run(
            ["gcc", "-std=c17", "-Wall", "-Wextra", "-Werror", "-g", "-fPIC", "-shared", "-fvisibility=hidden"]
            + [*SANITIZED, "-I", str(folder / "include"), "-o", str(built[theme]), *map(str, sources)],
            check=True,
        )
        built[theme].chmod(0o644)
    return built


@pytest.fixture
def new_copies(new_site, modules):
    """new_copies(settings): a site whose daemon has its own routes once more, each theme below /session/own/."""

    def make(settings=None, themes=THEMES):
        prefixes = {f"{theme}.prefix": f"/session/own/{theme}" for theme in themes}
        return new_site({**prefixes, **(settings or {})}, modules=[modules[theme] for theme in themes])

    return make


def test_each_folder_of_handlers_with_a_module_is_one_of_the_daemon_s_own():
    assert sorted(path.parent.name for path in (ROOT / "handlers").glob("*/module.c")) == THEMES


def test_program_signs_in_and_out_and_changes_its_password_through_the_copies(new_copies, browse):
    site = new_copies()
    browser, other = browse(site), browse(site)
    credentials = {"username": "alice", "password": site.database.password}
    assert other.post("/session/own/signin/login", credentials).status_code == 200
    told = browser.post("/session/own/signin/login", credentials)
    assert told.status_code == 200 and len(told.json()["displaced"]) == 1
    assert other.get("/session/own/guard/state").json()["reason"] == "displaced"
    # It is one session, whichever of both is asked.
    assert browser.me().json() == browser.get("/session/own/guard/me").json()
    guarded = browser.get("/session/own/guard/auth")
    assert guarded.status_code == 200 and guarded.headers["Remote-User"] == "alice"
    sessions = browser.get("/session/own/account/sessions").json()["sessions"]
    assert [session["id"] for session in sessions] == [told.json()["session"]["id"]]
    passwords = {"current_password": credentials["password"], "new_password": "another long password"}
    assert browser.post("/session/own/account/password", passwords).status_code == 200
    problem(other.post("/session/own/signin/login", credentials), 401, "invalid_credentials")
    assert browser.post("/session/own/signin/logout").status_code == 204
    assert browser.auth() == "unauthenticated"
    problem(browser.get("/session/own/account/sessions"), 401, "unauthenticated")


def test_person_is_led_to_the_copy_of_the_sign_in_page_and_stays_with_the_copies(new_copies, browse):
    """A module that has the purpose takes the place of the daemon's own route."""
    browser = browse(new_copies(), program=False)
    led = browser.get("/session/refused?x=1").headers["Location"]
    assert led.startswith("/session/own/signin/login")
    page = browser.get(led).text
    fields = form_of(page, "/session/own/signin/login")
    fields.update(username="alice", password=browser.site.database.password)
    signed_in = browser.post("/session/own/signin/login", fields)
    assert signed_in.status_code == 303 and signed_in.headers["Location"] == "/session/own/account/account"
    account = browser.get("/session/own/account/account").text
    assert "new_password" in form_of(account, "/session/own/account/password")
    assert browser.get("/session/own/account/").headers["Location"] == "/session/own/account/account"
    assert browser.post("/session/own/signin/logout").headers["Location"] == "/session/own/signin/login?signed_out"


def test_takeover_is_asked_for_and_done_by_the_copy(new_copies, browse):
    site = new_copies(ASK)
    first, second = browse(site), browse(site, program=False)
    first.sign_in()
    asked = second.post("/session/own/signin/login", {"username": "alice", "password": site.database.password})
    assert asked.status_code == 409
    assert second.post("/session/own/signin/login", form_of(asked.text, "/session/own/signin/login")).status_code == 303
    assert first.auth() == "displaced"


def test_machines_and_operators_get_from_the_copies_what_the_daemon_s_own_routes_tell(new_copies):
    daemon = new_copies().daemon

    def ask(path):
        return daemon.ask(path=f"/session/own/{path}", **OPERATOR)

    assert json.loads(ask("operations/ready").body)["status"] == "ready"
    assert json.loads(ask("operations/health").body) == {"status": "ok"}
    status = json.loads(ask("operations/status").body)
    assert [module["name"] for module in status["modules"]] == ["session", *THEMES]
    sample = ("onesession_requests_total", ("module", "operations"), ("route", "/status"), ("status", "200"))

    def counted():
        return openmetrics.samples(ask("operations/metrics").body.decode()).get(sample)

    # A request is counted when its answer has been sent.
    wait_until(lambda: counted() == 1, "the status to be counted")
    assert daemon.ask(path="/session/own/operations/status", REMOTE_ADDR="203.0.113.9").status == 404
    for file in ("style.css", "notice.js"):
        assert ask(f"assets/{file}").body == daemon.ask(path=f"/session/{file}").body


def test_authorizer_asks_the_copy_of_the_guard(new_copies):
    daemon = new_copies().daemon
    answer = daemon.ask(method="POST", path="/session/own/signin/login", headers=JSON, body=CREDENTIALS)
    signed_in = {"Cookie": f"onesession={answer.cookie()}"}
    let_in = daemon.ask(path="/page", role=fastcgi.AUTHORIZER, headers=signed_in)
    assert let_in.status == 200 and let_in.get("Variable-REMOTE_USER") == "alice"
    refused = daemon.ask(path="/page", role=fastcgi.AUTHORIZER, headers={"Accept": "text/html"})
    assert refused.status == 401 and form_of(refused.body.decode(), "/session/own/signin/login")

    def asked():
        modules = json.loads(daemon.ask(path="/session/status", **OPERATOR).body)["modules"]
        return {module["name"]: module["requests"] for module in modules}["guard"]

    wait_until(lambda: asked() == 2, "the guard's requests to be counted")


def test_copy_of_signing_in_alone_is_enough_to_sign_in_elsewhere(new_copies, browse):
    """What it leads to is then the daemon's own."""
    browser = browse(new_copies(themes=["signin"]), program=False)
    fields = {"username": "alice", "password": browser.site.database.password}
    assert browser.post("/session/own/signin/login", fields).headers["Location"] == "/session/account"
    assert browser.is_live()

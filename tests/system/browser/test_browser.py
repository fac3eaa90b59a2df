"""The pages in Debian's Chromium, as people meet them: the stories are in tests/browser."""

import json
import os
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from support import processes, programs
from support.closing import remember_log
from support.nginx import Nginx
from support.postgres import new_database
from support.processes import ROOT, discard, end, end_with_parent, tail
from support.programs import Daemon
from support.site import Site
from support.waiting import PATIENCE

BROWSER = ROOT / "tests/browser"
MODULES = ROOT / "build/npm/node_modules"

# As the demo has it, which is stricter than a site needs to be.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

# Each page has its own way to come about.
SETTINGS = {
    "plain": {},
    "many": {"session.max_sessions": 3},
    "ask": {"session.on_limit": "ask"},
    "refuse": {"session.on_limit": "refuse"},
    "cooldown": {"sharing.takeovers": 2, "sharing.action": "cooldown"},
    "throttled": {"login.attempts_per_user": 2},
    "idle": {"session.idle_timeout": "1h"},
    "forgetful": {"session.on_limit": "refuse", "session.cookie_persistent": "off"},
    "named": {
        "login.site_name": "The Library of the Benedictine Abbey of St Florian",
        "login.name_label": "Reader's number",
        "login.links": "Privacy policy /privacy, Imprint /imprint, Forgot your password? /help/password, "
        "Library https://library.example.org/",
    },
    "slow": {"session.on_limit": "refuse", "server.workers": 4, "login.memory": "64MiB", "login.passes": 10},
}
EVERY_PAGE = [name for name in SETTINGS if name not in ("idle", "forgetful", "slow")]


@pytest.fixture
def new_members_site(request, cluster, closing):
    """new_members_site(settings): a site with the demo's pages behind the guard."""
    databases = []

    def make(settings):
        database = new_database(cluster)
        databases.append(database)
        daemon = closing.add(Daemon(database, settings))
        remember_log(request.node, "onesessiond", daemon.log)
        daemon.start()
        files = daemon.folder / "site"
        shutil.copytree(ROOT / "tools/demo/site", files)
        policy = f'add_header Content-Security-Policy "{POLICY}" always;'
        changes = {
            "root /var/www/html;": f"root {files}; types {{ text/html html; text/css css; text/javascript js; }} ssi on;",
            'add_header Cache-Control "private, no-cache";': policy,
            # The front page is open to all.
            "location = /robots.txt {": f"location ~ ^/(index.html|demo.css|greet.js)?$ {{ index index.html; {policy}",
            # An application that sends people on to wherever they want.
            "\tlocation / {\n": "\tlocation = /leave {\n\t\treturn 302 $arg_to;\n\t}\n\n\tlocation / {\n",
        }
        nginx = closing.add(Nginx(daemon.address, sample="static.conf", changes=changes))
        remember_log(request.node, "nginx", nginx.log)
        return Site(database, daemon, nginx.start())

    yield make
    closing.close()
    for database in databases:
        database.discard()


def chromium():
    """
    Without the windows around the pages, if Debian's package of that is installed: a page in it takes a quarter of the
    time. The engine is the same.
    """
    return shutil.which("chromium-headless-shell") or "/usr/bin/chromium"


class Driver:
    """node with a Chromium, which stories are played in one after the other."""

    def __init__(self):
        self.folder = processes.scratch("browser")
        self.log = self.folder / "log"
        folder = str(self.folder)
        environment = {**programs.environment(), "NODE_PATH": str(MODULES), "TMPDIR": folder, "HOME": folder}
        with open(self.log, "wb") as errors:
            self.process = subprocess.Popen(
                ["node", BROWSER / "run.cjs", chromium(), str(PATIENCE)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
                preexec_fn=end_with_parent(signal.SIGTERM),
            )

    def play(self, told, answer):
        """What the story returns; `answer` answers what it asks."""
        # A browser that has come to a stop does not stop the tests.
        watch = threading.Timer(PATIENCE * 10, self.process.terminate)
        watch.start()
        try:
            self._say(told)
            for line in self.process.stdout:
                said = json.loads(line)
                if "what" not in said:
                    assert "error" not in said, said["error"]
                    return said["result"]
                self._say(answer(said["what"], *said["words"]))
        finally:
            watch.cancel()
        raise AssertionError(f"the browser's driver ended:\n{tail(self.log)}")

    def _say(self, what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def close(self):
        try:
            self.process.stdin.close()
            self.process.wait(PATIENCE)
        except (OSError, subprocess.TimeoutExpired):
            pass
        finally:
            end(self.process)
            self.process.stdout.close()
            discard(self.folder)


class Drivers:
    """One driver for all stories, but another one after a story that has failed: it may have broken the first."""

    def __init__(self):
        self.driver = None

    def play(self, node, told, answer):
        self.driver = self.driver or Driver()
        try:
            return self.driver.play(told, answer)
        except BaseException:
            node.add_report_section("call", "the browser", tail(self.driver.log))
            self.close()
            raise

    def close(self):
        if self.driver is not None:
            self.driver.close()
            self.driver = None


@pytest.fixture(scope="module")
def drivers():
    made = Drivers()
    yield made
    made.close()


@pytest.fixture
def play(request, drivers, new_members_site):
    """play(file, story, names) goes through a story at the sites of those names, and gives what it returns."""

    def make(file, story, names=("plain",), folder=None):
        sites = {name: new_members_site(SETTINGS[name]) for name in names}

        def answer(what, site, *words):
            if what == "ctl":
                return sites[site].ctl().run(*words)
            assert what == "query"
            return [[str(value) for value in row] for row in sites[site].database.query(*words)]

        told = {
            "file": file,
            "story": story,
            "sites": {name: site.url for name, site in sites.items()},
            "password": next(iter(sites.values())).database.password,
            "folder": str(folder),
        }
        return drivers.play(request.node, told, answer)

    return make


STORIES = {
    "oldTabIsTold": "plain",
    "siteTellsItInItsOwnWay": "plain",
    "closedNoticeStaysClosed": "plain",
    "scriptAsksNoMoreThanItShould": "plain",
    "displaced": "plain",
    "expired": "plain",
    "idle": "idle",
    "loggedOut": "plain",
    "revokedByAnOperator": "plain",
    "revokedFromElsewhere": "many",
    "passwordChanged": "many",
    "disabled": "plain",
    "noticeOfEachReason": "plain",
    "notMe": "plain",
    "takeOverAndChangePassword": "ask",
    "publicPageGreets": "plain",
    "takeOverByClick": "ask",
    "refusedWhileLiveElsewhere": "refuse",
    "restartedBrowserIsStillSignedIn": "refuse",
    "restartedBrowserThatLostItsSession": "forgetful",
    "doubleClick": "slow",
    "doubleClickOnTakingOver": "ask",
    "backToTheForm": "refuse",
    "changeOfPassword": "many",
    "withoutJavaScript": "ask",
    "keyboardOnly": "plain",
    "readersTime": "plain",
    "signingInLeadsToAnotherSite": "ask many",
    "placeWithinThePageIsKept": "ask",
    "formThatWasSentInVain": "plain",
    "scriptIsToldAndNotLedAway": "plain",
}


@pytest.mark.parametrize("story", STORIES)
def test_story(play, story):
    """Each is told in tests/browser/stories.cjs."""
    play("stories.cjs", story, STORIES[story].split())


@pytest.fixture(scope="module")
def inspected():
    """What was wrong with the pages, by the light, once one of the tests has gone and looked in both."""
    return {}


@pytest.mark.slow
@pytest.mark.xdist_group("every page")
@pytest.mark.parametrize("light", ["light", "dark"])
def test_every_page_is_accessible_and_fits_the_narrowest_screen(play, inspected, light):
    if not inspected:
        inspected.update(play("tour.cjs", "inspect", EVERY_PAGE))
    assert inspected[light] == []


PICTURES = os.environ.get("ONESESSION_SCREENSHOTS")

if PICTURES:

    @pytest.mark.parametrize("which", ["kept", "light-360", "light-1280", "dark-360", "dark-1280"])
    def test_pictures(play, which):
        """No test: see make screenshots. The others are for looking at all pages."""
        folder = Path(PICTURES).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        play("screenshots.cjs", which, EVERY_PAGE, folder)

"""The example that `make run` shows: built out of tree against what is installed, tested, served, and used in Chromium."""

import os
import re
import shutil
import signal
import subprocess

import psycopg2
import pytest
import requests

from support.client import JSON
from support.closing import remember_log
from support.installing import BUILDERS_FLAGS, builders_environment, install_for_builders
from support.processes import BUILD, ROOT, discard, end, free_port, processes_below, scratch, spawn, tail
from support.programs import environment
from support.waiting import PATIENCE, wait_until

# They share one cinema, which takes a while to be built.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cinema")]
SOURCE = ROOT / "examples/cinema"
LINES_MAX = 500
# To draw films takes most of what it takes to build it.
SMALL = ["WIDTH=160", "HEIGHT=90"]


class Cinema:
    """A copy of the example, and an installed onesession to build it against."""

    def __init__(self):
        # Films are drawn once for all runs of the tests.
        self.folder = BUILD / "tests/cinema"
        self.prefix = scratch("i")

    def build(self, *targets):
        """As its builder would: pkg-config is all that leads to onesession."""
        done = subprocess.run(
            ["make", "-C", self.folder, *targets, BUILDERS_FLAGS, *SMALL],
            env=builders_environment(self.prefix / "usr"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
            timeout=PATIENCE * 40,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def built():
    cinema = Cinema()
    try:
        install_for_builders(cinema.prefix)
        for path in (cinema.folder / name for name in ("cinema", "cinema.so", "test_cinema")):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.copytree(SOURCE, cinema.folder, dirs_exist_ok=True)
        cinema.build()
        yield cinema
    finally:
        discard(cinema.prefix)


class Demo:
    """What `make run` runs, with that cinema."""

    def __init__(self, cinema):
        self.cinema = cinema
        self.folder = scratch("c")
        self.log = self.folder / "said"
        self.home = self.folder / "demo"
        self.port = free_port()
        self.url = f"http://localhost:{self.port}"
        self.process = None

    def start(self):
        os.chmod(self.folder, 0o755)
        self.home.mkdir()
        env = {**environment(), "PORT": str(self.port), "BUILD": str(BUILD)}
        env |= {"CINEMA": str(self.cinema.folder), "FOLDER": str(self.home)}
        self.process = spawn([ROOT / "tools/demo/run"], self.log, env=env)
        wait_until(self._is_up, f"the demo:\n{tail(self.log)}", PATIENCE * 4)
        return self

    def _is_up(self):
        assert self.process.poll() is None, tail(self.log)
        return "Ctrl-C stops everything" in self.log.read_text()

    def query(self, sql):
        connection = psycopg2.connect(host=self.sockets, user="postgres", dbname="onesession")
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    @property
    def sockets(self):
        return re.search(r"^conninfo = host=(\S+)", (self.home / "onesession.conf").read_text(), re.M)[1]

    def run_job(self, *options):
        done = subprocess.run(
            [BUILD / "onesessiond", "-c", self.home / "onesession.conf", *options, "--run-job", "cinema.renew"],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE * 2,
            env=environment(),
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def charges(self):
        """The lines that the billing service has written."""
        return [line for line in (self.home / "log/billing.log").read_text().splitlines() if line[:3] in ("201", "402")]

    def close(self):
        try:
            end(self.process, (signal.SIGTERM,), PATIENCE * 2)
        finally:
            discard(self.folder)


@pytest.fixture(scope="module")
def demo(request, built):
    made = Demo(built)
    remember_log(request.node, "the demo", made.log)
    try:
        yield made.start()
    finally:
        made.close()


def test_it_is_a_small_application():
    lines = sum(len(path.read_text().splitlines()) for path in SOURCE.glob("[!t]*.[ch]"))
    assert 0 < lines < LINES_MAX


def test_its_own_tests_pass(built):
    assert "cinema: all is well" in built.build("test")


def test_it_is_shown_with_its_address_and_two_accounts(demo):
    said = demo.log.read_text()
    assert f"http://localhost:{demo.port}/" in said
    assert re.findall(r"^ +(\S+) +password +(\S+)$", said, re.M) == [("ada", "lovelace-1843"), ("grace", "hopper-1952")]
    page = requests.get(demo.url, timeout=PATIENCE)
    assert "Small films about large things" in page.text and "lovelace-1843" in page.text
    # The other site behind the same sign-in.
    assert "Try it" in requests.get(demo.url + "/index.html", timeout=PATIENCE).text
    page = {"Accept": "text/html"}
    answer = requests.get(demo.url + "/members/", headers=page, timeout=PATIENCE, allow_redirects=False)
    assert answer.status_code == 303 and answer.headers["Location"].startswith("/session/login?next=")


def test_films_are_served_to_a_live_session_only(demo):
    assert requests.get(demo.url + "/titles/1/film", headers=JSON, timeout=PATIENCE).json()["code"] == "unauthenticated"
    for hidden in ("/_stored/films/seahorse.webm", "/films/seahorse.webm", "/_stored/films/"):
        assert requests.get(demo.url + hidden, timeout=PATIENCE).status_code == 404
    assert requests.get(demo.url + "/titles/1/cover", timeout=PATIENCE).headers["Content-Type"] == "image/jpeg"


STORIES = (
    "filmGoesOnWhereItWasLeft",
    "secondSignInStopsTheFilm",
    "adminUploadsACover",
    "endedSubscriptionIsRefused",
    "premiereTakesAnotherPlan",
    "everyPageIsAccessible",
    "keyboardIsEnough",
)
# Of the seconds that people are told; a machine that runs tests beside others takes its time.
STOPPED_WITHIN_S = 15


@pytest.mark.parametrize("story", STORIES)
def test_story(request, demo, drivers, story):
    """Each is told in tests/browser/cinema.cjs."""
    still = str(demo.cinema.folder / "films/dusk.jpg")
    told = {"file": "cinema.cjs", "story": story, "sites": {"plain": demo.url}, "password": "", "folder": still}
    result = drivers.play(request.node, told, lambda *words: [])
    if story == "secondSignInStopsTheFilm":
        assert result < STOPPED_WITHIN_S


def add_member(demo, name, card, due):
    demo.query(f"INSERT INTO users (username, password) SELECT '{name}', password FROM users WHERE username = 'ada'")
    demo.query(
        "INSERT INTO cinema.subscriptions (account, plan, card, paid_until)"
        f" SELECT id, 'matinee', '{card}', now() + interval '{due}' FROM users WHERE username = '{name}'"
    )


def state_of(demo, name):
    return demo.query(
        "SELECT s.paid_until > now() + interval '27 days', s.ended_at IS NOT NULL FROM cinema.subscriptions s"
        f" JOIN users u ON u.id = s.account WHERE u.username = '{name}'"
    )[0]


def test_subscriptions_are_renewed_once_or_end_by_what_the_billing_service_says(demo):
    add_member(demo, "paid", "test-4242", "5 days")
    add_member(demo, "due", "test-4242", "-1 minute")
    add_member(demo, "declined", "test-0002", "-1 minute")
    # While nothing is known of the money, nobody loses anything.
    demo.run_job("-o", "cinema.billing=http://127.0.0.1:9")
    assert state_of(demo, "due") == state_of(demo, "declined") == (False, False)
    said = demo.run_job()
    assert "subscription_ended" in said
    assert state_of(demo, "paid") == (False, False)
    assert state_of(demo, "due") == (True, False)
    assert state_of(demo, "declined") == (False, True)
    charged = len(demo.charges())
    demo.run_job()
    assert len(demo.charges()) == charged


def test_nothing_is_left_of_it_when_it_is_stopped(built):
    demo = Demo(built)
    try:
        demo.start()
        demo.process.send_signal(signal.SIGTERM)
        assert demo.process.wait(PATIENCE * 2) == 0, tail(demo.log)
        assert processes_below(demo.home) == []
    finally:
        demo.close()

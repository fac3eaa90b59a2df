"""The pages in Debian's Chromium, as people meet them: the stories are in tests/browser."""

import os
import shutil
from pathlib import Path

import pytest

from support.closing import remember_log
from support.nginx import Nginx
from support.postgres import new_database
from support.processes import ROOT
from support.programs import Daemon
from support.site import Site
from support.smtp import SmtpServer
from support.waiting import wait_until

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
    # With a mail server, and an address of alice's that was proved.
    "mailing": {"login.attempts_per_address": 8, "accounts.signup": "open"},
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


PROVED = "UPDATE users SET email = username || '@example.net', email_verified_at = now() WHERE username = 'alice'"


@pytest.fixture
def play(request, drivers, new_members_site, closing):
    """play(file, story, names) goes through a story at the sites of those names, and gives what it returns."""

    def make(file, story, names=("plain",), folder=None):
        smtp = closing.add(SmtpServer()) if "mailing" in names else None
        mail = {"mailing": smtp.settings()} if smtp is not None else {}
        sites = {name: new_members_site({**SETTINGS[name], **mail.get(name, {})}) for name in names}
        if smtp is not None:
            sites["mailing"].database.query(PROVED)

        def answer(what, site, *words):
            if what == "mail":
                mail = smtp.await_mails(*words)[-1]
                if not mail.has_link:
                    return {"subject": mail.message["Subject"]}
                sites[site].secrets.add(mail.token)
                code = mail.code if mail.has_code else None
                return {"token": mail.token, "code": code, "subject": mail.message["Subject"]}
            if what == "mail of":
                mail = wait_until(lambda: [one for one in smtp.mails if words[0] in one.message["Subject"]], words[0])[-1]
                sites[site].secrets.add(mail.token)
                return {"token": mail.token}
            if what == "ctl":
                settings = sites[site].daemon.settings.items()
                of_mail = {key: value for key, value in settings if key.startswith(("mail.", "accounts."))}
                return sites[site].ctl(**of_mail).run(*words)
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
    "noticeLeadsToTheSignInThatThereIs": "plain",
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
    "confirmedBeforeASessionEnds": "many",
    "doubleClickOnConfirming": "slow",
    "openTabsStaySignedInOverAConfirmation": "plain",
    "tabThatAsksWithTheFormerKeyIsNotTold": "plain",
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


RECOVERY_STORIES = ["byTheLinkInAnotherBrowser", "byTheCodeOnAPhoneWithoutScript", "fieldsAreKnownToPasswordManagers"]


@pytest.mark.parametrize("story", RECOVERY_STORIES)
def test_story_of_forgotten_passwords(play, story):
    """Each is told in tests/browser/recovery.cjs."""
    play("recovery.cjs", story, ["mailing"])


SIGNUP_STORIES = [
    "byTheLinkOnAPhone",
    "byTheCodeWithoutScript",
    "somebodyElseUsedMyAddress",
    "nameThatWasTakenMeanwhile",
    "anotherAddress",
    "invited",
]


@pytest.mark.parametrize("story", SIGNUP_STORIES)
def test_story_of_signing_up(play, story):
    """Each is told in tests/browser/signup.cjs."""
    play("signup.cjs", story, ["mailing"])


LANGUAGE_STORIES = ["choiceIsRemembered", "choiceNeedsNoScript", "noticeIsInTheReadersLanguage", "noticeWaitsForItsWords"]


@pytest.mark.parametrize("story", LANGUAGE_STORIES)
def test_story_of_languages(play, story):
    """Each is told in tests/browser/languages.cjs."""
    play("languages.cjs", story)


@pytest.mark.slow
@pytest.mark.nightly
def test_pages_in_other_languages_are_accessible_and_fit_the_narrowest_screen(play):
    assert play("languages.cjs", "inspect", ["plain", "many", "ask", "mailing"]) == []


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

    def test_pictures_of_languages(play):
        folder = Path(PICTURES).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        play("languages.cjs", "pictures", ["plain", "many", "ask", "mailing"], folder)

"""Languages of a module's own: its texts, its pages, what its handlers say, and what refuses it."""

import json
import re

import pytest

from support.commands import run
from support.modules import build_module

PERSON = {"Accept": "text/html"}

CINEMA = """
#include "onesession.h"

static void film(struct ones_request *req)
{
	ones_reply_page(req, 200, "film.html", json_pack("{s:s, s:i}", "title", "<Metropolis>", "left", 3));
}

static void said(struct ones_request *req)
{
	const char *key = ones_query(req, "key");
	json_t *values = json_pack("{s:s}", "title", "<M>");

	ones_reply_json(req, 200, json_pack("{s:s, s:s, s:o}", "language", ones_language(req), "said",
	                                    ones_say(req, key != NULL ? key : "film.heading", values), "texts",
	                                    ones_texts_json(req, "film")));
}

static void full(struct ones_request *req)
{
	ones_reply_problem(req, 409, "full", "This showing is sold out.");
}

static bool close_early(const struct ones_event *event, void *context)
{
	(void)context;
	ones_refuse(event, "sold_out", "This showing is sold out.");
	return false;
}

static bool setup(struct ones_app *app)
{
	ones_connect(app, ONES_SIGNAL_LOGGED_IN,
	             &(struct ones_receiver){.name = "close", .phase = ONES_IN_TRANSACTION, .call = close_early});
	ones_route(app, &(struct ones_route){.path = "/film", .get = film, .needs = ONES_NEEDS_NOTHING});
	ones_route(app, &(struct ones_route){.path = "/said", .get = said, .needs = ONES_NEEDS_NOTHING});
	ones_route(app, &(struct ones_route){.path = "/full", .get = full, .needs = ONES_NEEDS_NOTHING});
	return true;
}

ONES_MODULE(.name = "cinema", .pages = "pages", .setup = setup);
"""

FILES = {
    "film.html": '<html lang="{{language}}"><title>{{@film.heading}}</title>{{@film.left}} {{>front.html}}{{>languages.html}}',
    "texts/en.ini": "[film]\nheading = Film: {{title}}\nleft = <b>{{left}}</b> seats\n"
    "[sentences]\nfull = This showing is sold out.\n",
    "texts/de.ini": "[film]\nheading = Der Film {{title}}\nleft = noch <b>{{left}}</b> Plätze\n"
    "[sentences]\nfull = Diese Vorstellung ist ausverkauft.\n",
    "texts/it.ini": "[language]\nname = italiano\n[film]\nheading = Il film {{title}}\n",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build_module(tmp_path_factory.mktemp("cinema"), CINEMA).read_bytes()


@pytest.fixture
def cinema(built, tmp_path, new_daemon):
    """cinema(files): a daemon with the module and these files beside it, which has not been started."""
    tmp_path.chmod(0o755)

    def make(files, **settings):
        module = tmp_path / "cinema.so"
        module.write_bytes(built)
        module.chmod(0o644)
        for name, text in files.items():
            path = tmp_path / "pages" / name
            path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            path.write_text(text)
        return new_daemon({"server.modules": module, "server.operators": "127.0.0.1", **settings})

    return make


def ask(daemon, path, language=None, headers=PERSON, **more):
    headers = {**headers, **({"Accept-Language": language} if language else {})}
    return daemon.ask(path="/cinema" + path, headers=headers, **more)


def test_page_of_a_module_comes_in_the_module_s_own_languages(cinema):
    daemon = cinema(FILES).start()
    for accepted, language, heading, left, front in (
        ("de-CH", "de", "Der Film", "noch <b>3</b> Plätze", "Zur Startseite"),
        ("it, de;q=0.5", "it", "Il film", "<b>3</b> seats", "Go to the front page"),
        # The daemon's own pages are Chinese then, and this one is not.
        ("zh", "en", "Film:", "<b>3</b> seats", "Go to the front page"),
        (None, "en", "Film:", "<b>3</b> seats", "Go to the front page"),
    ):
        answer = ask(daemon, "/film", accepted)
        text = answer.body.decode()
        assert f'<html lang="{language}"><title>{heading} &lt;Metropolis&gt;</title>{left} ' in text
        assert front in text
        assert answer.get("Content-Language") == language
        assert answer.get("Vary") == "Accept-Language, Cookie"
    assert re.search(r"texts_missing.*it\.ini.*count=2 keys=\"film.left sentences.full\"", daemon.log_text())


def test_menu_and_choice_are_of_the_module_s_languages(cinema):
    daemon = cinema(FILES).start()
    text = ask(daemon, "/film", "it", query="a=b").body.decode()
    assert 'name="back" value="/cinema/film?a=b"' in text
    assert '<span lang="it" aria-current="true">italiano</span>' in text
    assert set(re.findall(r'value="(\w+)" lang="\w+">(\w+)</button>', text)) == {("de", "Deutsch"), ("en", "English")}
    for chosen, language in (("de", "de"), ("it", "it"), ("zh-Hans", "en")):
        answer = ask(daemon, "/film", headers={**PERSON, "Cookie": f"onesession_language={chosen}"})
        assert answer.get("Content-Language") == language


def test_handler_says_texts_as_they_are(cinema):
    daemon = cinema(FILES).start()
    answer = ask(daemon, "/said", "de")
    assert json.loads(answer.body) == {
        "language": "de",
        "said": "Der Film <M>",
        "texts": {"heading": "Der Film {{title}}", "left": "noch <b>{{left}}</b> Plätze"},
    }
    # What was asked for the language depends on it.
    assert answer.get("Vary") == "Accept-Language, Cookie"
    assert json.loads(ask(daemon, "/said", "de", query="key=wait.one").body)["said"] == "einer Minute"


def test_text_that_there_is_not_is_a_mistake_of_the_handler_s(cinema):
    daemon = cinema(FILES).start()
    answer = ask(daemon, "/said", query="key=film.none")
    assert (answer.status, answer.body) == (500, b"")
    assert re.search(r"handler_fault.*a text of a key that there is not", daemon.log_text())


def test_sentence_of_a_module_s_code_is_told_to_people_in_the_language(cinema):
    daemon = cinema(FILES).start()
    for language, sentence in (
        (None, "This showing is sold out."),
        ("de", "Diese Vorstellung ist ausverkauft."),
        # The page is the daemon's, and the module does not speak its language.
        ("zh", "This showing is sold out."),
    ):
        assert sentence in ask(daemon, "/full", language).body.decode()
    problem = json.loads(ask(daemon, "/full", "de", headers={"Accept": "application/json"}).body)
    assert problem["detail"] == "This showing is sold out."


def test_refusal_of_a_module_is_told_on_the_sign_in_page_in_the_language(cinema):
    daemon = cinema(FILES).start()
    body = f"username=alice&password={daemon.database.password}".encode()
    for language, sentence in (("en", "This showing is sold out."), ("de", "Diese Vorstellung ist ausverkauft.")):
        headers = {**PERSON, "Content-Type": "application/x-www-form-urlencoded", "Accept-Language": language}
        answer = daemon.ask(method="POST", path="/session/login", headers=headers, body=body)
        assert answer.status == 403
        assert sentence in answer.body.decode()
    headers = {"Accept": "application/json", "Content-Type": "application/json", "Accept-Language": "de"}
    body = json.dumps({"username": "alice", "password": daemon.database.password}).encode()
    problem = json.loads(daemon.ask(method="POST", path="/session/login", headers=headers, body=body).body)
    assert problem["detail"] == "This showing is sold out."


def test_module_without_texts_has_pages_in_one_language(cinema):
    daemon = cinema({"film.html": "<p>Film {{>front.html}}{{>languages.html}}"}).start()
    answer = ask(daemon, "/film", "de")
    assert answer.body.decode().strip() == '<p>Film <a href="/">Go to the front page</a>'
    assert answer.get("Vary") is None and answer.get("Content-Language") is None
    assert json.loads(ask(daemon, "/said", "de", query="key=wait.one").body)["language"] == "en"


def test_language_that_the_site_leaves_out_is_none_of_a_module_s(cinema, tmp_path_factory):
    pages = tmp_path_factory.mktemp("pages")
    (pages / "texts").mkdir()
    (pages / "texts/de.ini").write_text("[language]\nname =\n")
    for path in (pages, pages / "texts"):
        path.chmod(0o755)
    daemon = cinema(FILES, **{"login.pages": pages}).start()
    assert ask(daemon, "/film", "de").get("Content-Language") == "en"


WRONG = [
    ({"film.html": "\n{{@film.none}}"}, "film.html:2: {{@film.none}}: there is no such text"),
    ({"texts/en.ini": "[film\n"}, "texts/en.ini:1: neither a [section] nor a key = text"),
    ({"texts/de.ini": "[film]\nheading = {{/a}}\n"}, "texts/de.ini:2: {{/a}} closes nothing"),
]


@pytest.mark.parametrize("files, what", WRONG)
def test_module_whose_texts_are_wrong_is_refused_with_their_line(cinema, files, what):
    daemon = cinema({**FILES, **files})
    for arguments in (("-t",), ()):
        done = run(*daemon.command(*arguments)[1:])
        assert done.returncode == 78
        assert f"/pages/{what}" in done.stderr + daemon.log_text()


def test_check_of_the_configuration_tells_what_a_language_lacks(cinema):
    done = run(*cinema(FILES).command("-t")[1:])
    assert done.returncode == 0
    assert re.search(r'texts_missing.*it\.ini.*keys="film.left sentences.full"', done.stderr)

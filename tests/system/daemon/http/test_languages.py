"""Pages in the reader's language: which one it is, the choice that is remembered, and what the pages then say."""

import json
import re
from urllib.parse import urlencode

import pytest

from support.browser import CHROME, FIREFOX
from support.client import JSON, login_raw, set_cookie
from support.commands import refused, run
from support.status import reload_and_wait

PERSON = {"Accept": "text/html"}
FORM = {**PERSON, "Content-Type": "application/x-www-form-urlencoded"}
SIGN_IN = {"en": "Sign in", "de": "Anmelden", "zh-Hans": "登录"}
COOKIE = "onesession_language"


def page(daemon, language=None, path="/session/login", cookie=None, headers=PERSON, **more):
    headers = {**headers, **({"Accept-Language": language} if language else {})}
    if cookie:
        headers["Cookie"] = cookie
    return daemon.ask(path=path, headers=headers, **more)


def language_of(answer):
    """Which it is, by all that says so."""
    text = answer.body.decode()
    language = re.search(r'<html lang="([^"]+)">', text)[1]
    assert answer.get("Content-Language") == language
    assert [word.strip() for word in answer.get("Vary").split(",")] == ["Accept-Language", "Cookie"]
    return language


def title_of(text):
    return " ".join(re.search(r"<title>(.*?)</title>", text, re.S)[1].split())


def words_of(text):
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


# ---- Which language --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "accepted, language",
    [
        (None, "en"),
        ("en-GB,en;q=0.9", "en"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh-Hans"),
        ("fr-CH, fr;q=0.9, de;q=0.5, en;q=0.4", "de"),
        ("fr", "en"),
        ("*", "en"),
        ("de;q=0, fr", "en"),
        (",;=", "en"),
    ],
)
def test_page_is_in_the_language_that_the_browser_prefers(shared_site, accepted, language):
    answer = page(shared_site.daemon, accepted)
    assert answer.status == 200
    assert language_of(answer) == language
    assert title_of(answer.body.decode()) == SIGN_IN[language]


@pytest.mark.parametrize("value, language", [("zh-Hans", "zh-Hans"), ("zh", "zh-Hans"), ("de", "de"), ("fr", "de"), ("", "de")])
def test_choice_comes_before_what_the_browser_prefers(shared_site, value, language):
    assert language_of(page(shared_site.daemon, "de", cookie=f"{COOKIE}={value}")) == language


@pytest.mark.parametrize("value", ["../../etc", "de;q", "<script>", "x" * 4000, "\u00e9"])
def test_cookie_that_is_no_language_is_not_heeded(shared_site, value):
    answer = page(shared_site.daemon, "de", HTTP_COOKIE=f"{COOKIE}={value}".encode())
    assert language_of(answer) == "de"
    assert value not in answer.body.decode()


@pytest.mark.parametrize("path", ["/session/nothing", "/session/language", "/session/health/x"])
def test_errors_are_in_the_language_too(shared_site, path):
    titles = {path: title_of(page(shared_site.daemon, "de", path).body.decode())}
    assert titles[path] in ("Hier gibt es nichts", "Das geht hier nicht")
    assert language_of(page(shared_site.daemon, "zh", path)) == "zh-Hans"


def test_programs_are_answered_in_english(shared_site):
    headers = {"Accept": "application/json", "Accept-Language": "de", "Cookie": f"{COOKIE}=de"}
    for path, status in (("/session/me", 401), ("/session/nothing", 404)):
        english = shared_site.daemon.ask(path=path, headers={"Accept": "application/json"})
        answer = shared_site.daemon.ask(path=path, headers=headers)
        assert (answer.status, answer.body) == (status, english.body)
        assert answer.get("Content-Language") is None


def test_what_is_no_page_depends_on_no_language(shared_site):
    for path in ("/session/health", "/session/style.css", "/session/notice.js", "/session/auth", "/session/state"):
        answer = page(shared_site.daemon, "de", path)
        assert "Accept-Language" not in (answer.get("Vary") or "")
        assert answer.get("Content-Language") is None


# ---- The choice ------------------------------------------------------------------------------------------------------


def choose(daemon, fields, headers=FORM, **params):
    return daemon.ask(method="POST", path="/session/language", headers=headers, body=urlencode(fields).encode(), **params)


def test_choice_is_remembered_by_a_cookie_and_leads_back(shared_site):
    answer = choose(shared_site.daemon, {"language": "de", "back": "/session/login?next=/a%20b"})
    assert (answer.status, answer.get("Location")) == (303, "/session/login?next=/a%20b")
    name, value, attributes = set_cookie(answer)
    assert (name, value) == (COOKIE, "de")
    assert attributes == {"path": "/", "max-age": "34560000", "httponly": "", "samesite": "Lax"}
    assert language_of(page(shared_site.daemon, cookie=f"{name}={value}")) == "de"


def test_cookie_of_the_choice_has_one_name_and_is_secure_with_https(shared_site):
    name, _, attributes = set_cookie(choose(shared_site.daemon, {"language": "de"}, HTTPS="on"))
    assert name == COOKIE and "secure" in attributes
    answer = page(shared_site.daemon, cookie=f"{COOKIE}=de", HTTPS="on")
    assert language_of(answer) == "de"


def test_cookie_of_the_choice_is_called_after_that_of_the_session(new_daemon):
    daemon = new_daemon({"session.cookie_name": "library"}).start()
    assert set_cookie(choose(daemon, {"language": "de"}))[0] == "library_language"
    assert language_of(page(daemon, cookie="library_language=de")) == "de"
    assert language_of(page(daemon, cookie=f"{COOKIE}=de")) == "en"


def test_choice_leads_to_this_site_only(shared_site):
    for wanted in ("https://evil.example/", "//evil.example/", "/\\evil.example", ""):
        answer = choose(shared_site.daemon, {"language": "de", "back": wanted})
        assert (answer.status, answer.get("Location")) == (303, "/session/account")
    headers = {**FORM, "Referer": "http://localhost/members/?a=b"}
    assert choose(shared_site.daemon, {"language": "de"}, headers).get("Location") == "/members/?a=b"


@pytest.mark.parametrize("fields", [{}, {"language": ""}, {"language": "no language"}, {"language": "de; Path=/x"}])
def test_what_is_no_language_is_not_chosen(shared_site, fields):
    answer = choose(shared_site.daemon, fields)
    assert answer.status == 400
    assert answer.all("Set-Cookie") == []


def test_no_other_site_chooses(shared_site):
    answer = choose(shared_site.daemon, {"language": "de"}, {**FORM, "Sec-Fetch-Site": "cross-site"})
    assert answer.status == 403
    assert answer.all("Set-Cookie") == []


def test_program_chooses_by_json(shared_site):
    answer = shared_site.daemon.ask(
        method="POST", path="/session/language", headers=JSON, body=json.dumps({"language": "zh-Hans"}).encode()
    )
    assert answer.status == 204
    assert set_cookie(answer)[1] == "zh-Hans"


def test_choice_needs_no_database(new_daemon):
    daemon = new_daemon({"database.conninfo": "host=/nonexistent"}).start(wait="/session/health")
    assert choose(daemon, {"language": "de", "back": "/x"}).status == 303
    assert language_of(page(daemon, path="/session/nothing", cookie=f"{COOKIE}=de")) == "de"


def menu_of(text):
    """(where it leads back to, the language that the page is in, {tag: name} of the others)"""
    form = re.search(r'<form class="languages" method="post" action=.([^"\']+). aria-label="([^"]+)">(.*?)</form>', text, re.S)
    assert form[1] == "/session/language" and form[2]
    back = re.search(r'name="back" value="([^"]*)"', form[3])[1].replace("&amp;", "&")
    current = re.search(r'<span lang="([^"]+)" aria-current="true">([^<]+)</span>', form[3])
    others = re.findall(r'<button class="link" name="language" value="([^"]+)" lang="([^"]+)">([^<]+)</button>', form[3])
    assert all(tag == lang for tag, lang, _ in others)
    return back, current[1], {tag: name for tag, _, name in others}


def test_menu_at_the_foot_leads_back_to_the_page(shared_site):
    answer = page(shared_site.daemon, "de", query="next=/a?b=c&d=e")
    back, current, others = menu_of(answer.body.decode())
    assert back == "/session/login?next=/a?b=c&d=e"
    assert current == "de"
    assert others == {"en": "English", "zh-Hans": "简体中文"}


def test_page_of_an_address_where_nothing_is_does_not_say_which_one_it_is_and_is_come_back_to_all_the_same(shared_site):
    """What is for operators only is not to be told from what is not there."""
    daemon = shared_site.daemon
    back = menu_of(page(daemon, path="/session/nothing").body.decode())[0]
    assert back == ""
    headers = {**FORM, "Referer": "http://localhost/session/nothing"}
    answer = choose(daemon, {"language": "de", "back": back}, headers)
    assert answer.get("Location") == "/session/nothing"


def test_menu_leads_back_where_the_web_server_does_not_tell_the_address_as_it_was_written(shared_site, browse):
    for path in ("/session/login?next=/a%3Fb%26c&x=1", "/session/sessions/%3F%25/end?a=b"):
        answer = browse(shared_site, program=False).get(path)
        back = menu_of(answer.text)[0]
        assert browse(shared_site, program=False).get(back).status_code == answer.status_code
        assert menu_of(browse(shared_site, program=False).get(back).text)[0] == back
    assert back == "/session/sessions/%3F%25/end?a=b"


def test_menu_of_a_refused_sign_in_leads_back_to_where_it_can_be_tried_again(shared_site):
    body = urlencode({"username": "nobody", "password": "x", "next": "/members/"}).encode()
    answer = shared_site.daemon.ask(method="POST", path="/session/login", headers=FORM, body=body)
    assert answer.status == 401
    assert menu_of(answer.body.decode())[0] == "/session/login?next=/members/"


def test_menu_of_a_page_that_answers_a_form_leads_back_to_the_page_with_the_form(shared_site, browse):
    person = browse(shared_site, program=False)
    person.sign_in("bob")
    answer = person.post("/session/password", {"current_password": "x", "new_password": "12345678"}, headers={"Referer": person.site.url + "/session/account"})
    assert answer.status_code == 401
    assert menu_of(answer.text)[0] == "/session/account"


# ---- What they say ---------------------------------------------------------------------------------------------------


def test_reason_of_an_end_is_told_in_the_language(shared_site, browse):
    old = browse(shared_site, program=False, user_agent=CHROME)
    old.sign_in("bob")
    browse(shared_site, user_agent=FIREFOX).sign_in("bob")
    words = words_of(old.get("/session/login", headers={"Accept-Language": "de"}).text)
    assert re.search(r"Ihr Konto wurde um \d\d:\d\d UTC auf einem anderen Gerät angemeldet \( ?Firefox unter Linux ?\)\.", words)
    words = words_of(old.get("/session/login", headers={"Accept-Language": "zh"}).text)
    assert re.search(r"您的账号已于 \d\d:\d\d UTC 在其他设备上登录（ ?Linux 上的 Firefox ?）", words)


def test_account_and_sessions_are_in_the_language(shared_site, browse):
    person = browse(shared_site, program=False)
    person.sign_in("bob")
    german = {"Accept-Language": "de"}
    account = person.get("/session/account", headers=german)
    assert title_of(account.text) == "Ihr Konto"
    assert "Mindestens 8 Zeichen" in account.text and "Frühere Anmeldungen" in account.text
    sessions = person.get("/session/sessions", headers=german)
    assert title_of(sessions.text) == "Wo Sie angemeldet sind"
    assert 'href="/session/account#password">ändern Sie Ihr Passwort</a>' in sessions.text
    answer = person.post("/session/password", {"current_password": "x", "new_password": "12345678"}, headers=german)
    assert title_of(answer.text) == "Passwort nicht geändert: Ihr Konto"


def test_moments_of_other_days_are_written_as_the_language_does(new_site, browse):
    site = new_site({})
    person = browse(site, program=False)
    person.sign_in("bob")
    site.database.query("UPDATE sessions SET created_at = '2020-03-05 09:07:00Z'")
    for language, moment in (
        ("en", "5 March 2020, 09:07 UTC"),
        ("de", "5. März 2020, 09:07 UTC"),
        ("zh", "2020 年 3 月 5 日 09:07 UTC"),
    ):
        text = person.get("/session/account", headers={"Accept-Language": language}).text
        assert f'<time datetime="2020-03-05T09:07:00Z" class="local">{moment}</time>' in text


def test_time_to_wait_is_told_in_the_language(new_daemon):
    daemon = new_daemon({"login.attempts_per_user": 1, "login.attempts_window": "1m"}).start()
    body = urlencode({"username": "bob", "password": "x"}).encode()
    for _ in range(2):
        answer = daemon.ask(method="POST", path="/session/login", headers={**FORM, "Accept-Language": "de"}, body=body)
    assert answer.status == 429
    assert "Bitte versuchen Sie es in einer Minute noch einmal." in words_of(answer.body.decode())


def test_sentences_of_the_daemon_s_code_are_told_in_the_language(shared_site):
    body = b"username=bob"
    for language, sentence in (
        ("en", "Both username and password are needed."),
        ("de", "Benutzername und Passwort sind beide nötig."),
        ("zh", "需要同时提供用户名和密码。"),
    ):
        headers = {**FORM, "Accept-Language": language}
        answer = shared_site.daemon.ask(method="POST", path="/session/login", headers=headers, body=body)
        assert answer.status == 400
        assert sentence in words_of(answer.body.decode())


def test_label_of_the_name_is_a_word_of_the_language_unless_the_site_has_one(new_daemon, shared_site):
    assert '<label for="username">Benutzername</label>' in page(shared_site.daemon, "de").body.decode()
    daemon = new_daemon({"login.name_label": "Lesernummer"}).start()
    for language in ("de", "en"):
        assert '<label for="username">Lesernummer</label>' in page(daemon, language).body.decode()


def test_script_gets_its_words_in_the_language(shared_site):
    answer = page(shared_site.daemon, "de", "/session/notice.json")
    assert (answer.status, answer.get("Content-Language"), answer.get("Cache-Control")) == (200, "de", "no-store")
    assert answer.get("Vary") == "Accept-Language, Cookie"
    words = json.loads(answer.body)
    assert words["title"] == "Sie wurden abgemeldet"
    english = json.loads(page(shared_site.daemon, None, "/session/notice.json").body)
    assert english.keys() == words.keys() and english["close"] == "Close"


# ---- Texts of one's own ----------------------------------------------------------------------------------------------


@pytest.fixture
def texts(tmp_path):
    """texts(name, text) writes a file of texts of the site's own; returns the folder of its pages."""
    tmp_path.chmod(0o755)

    def write(name, text):
        folder = tmp_path / "texts"
        folder.mkdir(mode=0o755, exist_ok=True)
        (folder / name).write_text(text)
        return tmp_path

    return write


def check(daemon):
    """What -t says of it."""
    return run(*daemon.command("-t")[1:])


def test_texts_of_a_site_take_the_place_of_the_built_in_ones(new_daemon, texts):
    folder = texts("de.ini", "name_label = Lesernummer\n[login]\ntitle = Zum Lesesaal\n")
    daemon = new_daemon({"login.pages": folder}).start()
    text = page(daemon, "de").body.decode()
    assert title_of(text) == "Zum Lesesaal"
    assert '<label for="username">Lesernummer</label>' in text and "Passwort" in text
    assert title_of(page(daemon, "en").body.decode()) == "Sign in"
    assert "texts_" not in daemon.log_text()
    texts("de.ini", "[login]\ntitle = Zum Archiv\n")
    assert title_of(page(daemon, "de").body.decode()) == "Zum Lesesaal"
    reload_and_wait(daemon)
    assert title_of(page(daemon, "de").body.decode()) == "Zum Archiv"


def test_language_of_a_site_comes_besides_and_what_it_lacks_is_english_and_a_warning(new_daemon, texts):
    folder = texts("fr.ini", "[language]\nname = français\n[login]\ntitle = Se connecter\n")
    daemon = new_daemon({"login.pages": folder})
    done = check(daemon)
    assert done.returncode == 0
    assert "texts_missing" in done.stderr and "fr.ini" in done.stderr and "name_label" in done.stderr
    daemon.start()
    answer = page(daemon, "fr-CA")
    assert language_of(answer) == "fr"
    assert title_of(answer.body.decode()) == "Se connecter"
    assert "Password" in answer.body.decode()
    assert menu_of(page(daemon).body.decode())[2]["fr"] == "français"


def test_language_without_a_name_is_left_out(new_daemon, texts):
    texts("en.ini", "[language]\nname =\n")
    folder = texts("zh-Hans.ini", "[language]\nname =\n")
    daemon = new_daemon({"login.pages": folder}).start()
    for accepted in ("en", "zh", None):
        answer = page(daemon, accepted, cookie=f"{COOKIE}=zh-Hans")
        text = answer.body.decode()
        assert '<html lang="de">' in text and title_of(text) == "Anmelden"
        assert 'class="languages"' not in text
        # There is nothing to choose from.
        assert answer.get("Vary") == "Cookie"
        assert answer.get("Content-Language") is None


def test_text_that_no_page_can_have_is_a_warning(new_daemon, texts):
    folder = texts("de.ini", "[login]\ntitel = Anmelden\n")
    done = check(new_daemon({"login.pages": folder}))
    assert done.returncode == 0
    assert "texts_unknown" in done.stderr and "login.titel" in done.stderr


def test_file_whose_name_is_no_language_is_a_warning(new_daemon, texts):
    texts("de.ini~", "x")
    folder = texts("german.txt.ini", "x")
    done = check(new_daemon({"login.pages": folder}))
    assert done.returncode == 0
    assert done.stderr.count("page_unknown") == 2


BROKEN = [
    ("[login]\ntitle = {{#a}}\n", ":2: {{#a}} is never closed"),
    ("[login]\n\nno text\n", ":3: neither a [section] nor a key = text"),
    ("[login]\ntitle = a\ntitle = b\n", ":3: login.title: is there already, in a line above"),
    ("[login]\ntitle = {{>none.html}}\n", ":2: {{>none.html}}: there is no such page"),
    ("[login]\ntitle = {{@login.none}}\n", ":2: {{@login.none}}: there is no such text"),
]


@pytest.mark.parametrize("text, what", BROKEN)
def test_broken_texts_are_refused_at_the_start_with_their_line(new_daemon, texts, text, what):
    folder = texts("de.ini", text)
    refused(check(new_daemon({"login.pages": folder})), f"{folder}/texts/de.ini{what}")


def test_page_with_a_text_that_there_is_not_is_refused(new_daemon, texts):
    folder = texts("de.ini", "[own]\nhello = Hallo\n")
    (folder / "login.html").write_text("<p>\n{{@own.hello}}\n")
    # German has it, but the first language has to.
    refused(check(new_daemon({"login.pages": folder})), f"{folder}/login.html:2: {{{{@own.hello}}}}: there is no such text")


def test_broken_texts_are_refused_at_a_reload_and_the_old_ones_stay(new_daemon, texts):
    folder = texts("de.ini", "[login]\ntitle = eins\n")
    daemon = new_daemon({"login.pages": folder}).start()
    texts("de.ini", "[login]\ntitle = {{#a}}\n")
    reload_and_wait(daemon, refused=True)
    assert title_of(page(daemon, "de").body.decode()) == "eins"


def test_former_pages_of_a_site_go_on_as_they_were(new_daemon, tmp_path):
    """Pages that a site has copied and changed before there were languages."""
    tmp_path.chmod(0o755)
    (tmp_path / "login.html").write_text('<html lang="en"><title>Sign in</title>{{name_label}} {{>front.html}}{{>at.html}}')
    (tmp_path / "moment.html").write_text("<i>{{text}}</i>")
    daemon = new_daemon({"login.pages": tmp_path}).start()
    assert page(daemon).body.decode() == '<html lang="en"><title>Sign in</title>Username <a href="/">Go to the front page</a>'
    assert login_raw(daemon).status == 200

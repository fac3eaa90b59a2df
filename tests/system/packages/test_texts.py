"""The texts of the built-in pages: whole in every language, and of the same parts."""

import configparser
import re

import pytest

from support.processes import ROOT

TEXTS = ROOT / "handlers/pages/texts"
LANGUAGES = sorted(path.stem for path in TEXTS.glob("*.ini"))
OTHERS = [language for language in LANGUAGES if language != "en"]

LITERAL = r'"(?:[^"\\\n]|\\.)*"'
LITERALS = rf"{LITERAL}(?:\s*{LITERAL})*"
# A sentence behind a status and a code, or of a reason; in request.c, which chooses among several, any.
SAID = rf'(?:\d{{3}},\s*"[a-z_]+",\s*|\[ONES_REASON_\w+\]\s*=\s*)({LITERALS})'


def texts_of(language):
    """By their keys, as inih reads them."""
    parser = configparser.ConfigParser(interpolation=None, delimiters="=", comment_prefixes=";", strict=True)
    parser.optionxform = str
    parser.read_string("[top]\n" + (TEXTS / f"{language}.ini").read_text())
    every = {f"{section}.{key}": text for section in parser.sections() for key, text in parser[section].items()}
    return {key.removeprefix("top."): text for key, text in every.items()}


def tags_of(text):
    return set(re.findall(r"{{[>@]?[\w.]+}}", text))


# Files whose sentences are returned, and said elsewhere.
WHOLE = {"requirement.c", "request.c", "new_password.c", "password_strength.c", "module_accounts.c", "problems.c", "signup.c", "email.c", "verify.c"}


# What the API says it says to programs alone, in English.
TO_PROGRAMS = {"callers.c"}


def sentences_of_code():
    """What C code says to whoever sent a request, with nothing to be filled in."""
    for folder in ("daemon/api", "daemon/http", "daemon/session", "handlers"):
        for path in (ROOT / folder).rglob("*.c"):
            if path.parent.name == "programs" or path.name in TO_PROGRAMS:
                continue
            code = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)
            for literals in re.findall(f"({LITERALS})" if path.name in WHOLE else SAID, code):
                text = "".join(literal[1:-1] for literal in re.findall(LITERAL, literals))
                if re.fullmatch(r"[A-Z][^%]*\.", text):
                    yield path.name, text


def test_english_german_and_chinese_are_built_in():
    assert LANGUAGES == ["de", "en", "zh-Hans"]


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_there_in_every_language(language):
    assert texts_of(language).keys() == texts_of("en").keys()
    assert all(texts_of(language).values())


@pytest.mark.parametrize("language", OTHERS)
def test_no_language_is_left_half_translated(language):
    """But for words that are the same, and what has no words."""
    same = {key for key, text in texts_of(language).items() if text == texts_of("en")[key]}
    allowed = {"place.address", "moment.today"} if language == "de" else {"moment.today"}
    assert same <= allowed | {"past.by"}


@pytest.mark.parametrize("language", OTHERS)
def test_values_of_a_text_are_shown_in_every_language(language):
    """A name that a language leaves out would be missed; what begins with @ and > is its own affair."""
    english, other = texts_of("en"), texts_of(language)
    left_out = {"error_title.other"} if language in OTHERS else set()
    left_out |= {"moment.month", "moment.day"} | ({"wait.one", "device.both"} if language == "zh-Hans" else set())
    for key, text in other.items():
        if key not in left_out:
            assert {tag for tag in tags_of(english[key]) if tag[2] not in ">@"} == {
                tag for tag in tags_of(text) if tag[2] not in ">@"
            }, key


def test_every_text_is_used():
    pages = "".join(path.read_text() for kind in ("html", "txt") for path in (ROOT / "handlers/pages").rglob(f"*.{kind}"))
    used = set(re.findall(r"{{@([\w.]+)}}", pages + "".join(texts_of("en").values())))
    for key in texts_of("en"):
        if key.split(".")[0] not in ("language", "notice", "sentences") and key != "name_label" and not key.endswith("_subject"):
            assert key in used, key
    script = (ROOT / "handlers/pages/notice.js").read_text()
    for key in texts_of("en"):
        section, _, name = key.partition(".")
        if section == "notice":
            assert re.search(rf"\btexts\.{name}\b", script) or name in reasons(), key


def reasons():
    code = (ROOT / "daemon/session/reason.c").read_text()
    return set(re.findall(r'"([a-z_]+)"', code))


def test_no_sentence_stands_in_a_page():
    for path in (ROOT / "handlers/pages").glob("*.html"):
        text = re.sub(r"{{!.*?}}|{{.*?}}|<[^>]+>", " ", path.read_text(), flags=re.S)
        assert not re.search(r"[A-Za-z]{2}", text), path.name
        assert not re.search(r'(?:aria-label|title|alt|placeholder)="[^"{]*[A-Za-z]', path.read_text()), path.name


def test_sentences_of_code_have_their_translations():
    known = {text for key, text in texts_of("en").items() if key.startswith("sentences.")}
    said = dict((text, name) for name, text in sentences_of_code())
    assert {text: name for text, name in said.items() if text not in known} == {}
    assert known - set(said) == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_speak_plainly(language):
    """No word of the program's own makers on a page, and markup that is closed."""
    for key, text in texts_of(language).items():
        words = re.sub(r"{{.*?}}|<[^>]+>", " ", text)
        assert key.startswith("sentences.") or not re.search(r"\blive\b|\bdisplace", words), key
        assert re.findall(r"<(\w+)", text) == re.findall(r"</(\w+)>", text), key
        assert "  " not in text, key

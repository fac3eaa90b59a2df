"""What a mail is made of: header fields, bodies, languages, and what people put into them."""

import json
import re

import pytest

from support.modules import build_module, settings_for

SOURCE = """
#include "onesession.h"
static void write_it(struct ones_request *req)
{
	enum ones_result result = ones_mail(ones_db(req), &(struct ones_mail){
		.kind = "notice", .to = ones_field(req, "to"), .language = ones_field(req, "language"),
		.values = json_incref(json_object_get(ones_json(req), "values"))});
	ones_reply_empty(req, result == ONES_RESULT_OK ? 200 : 500);
}
static bool setup(struct ones_app *app)
{
	ones_route(app, &(struct ones_route){.path = "/", .post = write_it});
	return true;
}
ONES_MODULE(.name = "notes", .pages = "notes", .setup = setup);
"""
TEXTS = {
    "en": "[language]\nname = English\n[mail]\nnotice_subject = Hello {{name}}\n",
    "de": "[language]\nname = Deutsch\n[mail]\nnotice_subject = Schöne Grüße an {{name}}, und noch viel mehr davon als in eine Zeile ginge\n",
}
PLAIN = "{{name}} & {{site_name}}\n\n.a dot\nFrom here\ntrailing space \n\ttab\n= is no escape\n{{long}}\n{{recipient}} {{site_url}}\n"
HTML = "<p>{{name}} &amp; {{site_name}}</p>\n"


@pytest.fixture
def notes(new_daemon, smtp, tmp_path):
    """notes(values, ...): the mail that comes of them."""
    module = build_module(tmp_path, SOURCE, "notes")
    folder = module.parent / "notes"
    (folder / "mail").mkdir(parents=True)
    (folder / "texts").mkdir()
    (folder / "mail/notice.txt").write_text(PLAIN)
    (folder / "mail/notice.html").write_text(HTML)
    for language, texts in TEXTS.items():
        (folder / f"texts/{language}.ini").write_text(texts)
    settings = settings_for(module, **smtp.settings(), **{"login.site_name": "Kino & Film"})
    daemon = new_daemon({**settings, "mail.from": "noreply@example.org"}).start()

    def make(values, to="x@example.net", language=None):
        before = len(smtp.mails)
        body = {"to": to, "values": values, **({"language": language} if language else {})}

        answer = daemon.ask(
            method="POST", path="/notes/", body=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
        )
        assert answer.status == 200, answer.body
        mail = smtp.await_mails(before + 1)[-1]
        lines = mail.raw.split(b"\r\n")
        assert max(map(len, lines)) <= 998 and b"\n" not in b"".join(lines) and b"\r" not in b"".join(lines)
        return mail

    return make


def fields(mail):
    """The header as it was sent: names, in their order."""
    head = mail.raw.partition(b"\r\n\r\n")[0]
    return [line.partition(b":")[0].decode() for line in head.split(b"\r\n") if not line.startswith(b" ")]


def test_message_says_what_standards_ask_for(notes):
    mail = notes({"name": "Ada"})
    assert fields(mail) == [
        "Date", "From", "To", "Subject", "Message-ID", "MIME-Version", "Auto-Submitted", "Content-Language", "Content-Type",
    ]
    message = mail.message
    assert message["From"].addresses[0].display_name == "Kino & Film"
    assert message["From"].addresses[0].addr_spec == "noreply@example.org"
    assert message["To"].addresses[0].addr_spec == "x@example.net"
    assert message["Subject"] == "Hello Ada"
    assert message["Auto-Submitted"] == "auto-generated"
    assert re.fullmatch(r"<[0-9a-f-]{36}@example\.org>", message["Message-ID"])
    assert message["Date"].datetime.utcoffset().total_seconds() == 0
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert not message.defects and not any(part.defects for part in message.walk())


def test_texts_come_as_they_were_written(notes):
    long = "word " * 300 + "x" * 2000 + " 漢字" * 200
    mail = notes({"name": "Ada <Lovelace>", "long": long})
    assert mail.text == (
        f"Ada <Lovelace> & Kino & Film\n\n.a dot\nFrom here\ntrailing space \n\ttab\n= is no escape\n{long}\n"
        "x@example.net https://www.example.org\n"
    )
    assert mail.part("html") == "<p>Ada &lt;Lovelace&gt; &amp; Kino &amp; Film</p>\n"
    assert max(map(len, mail.raw.split(b"\r\n"))) <= 78


@pytest.mark.parametrize(
    "name",
    [
        "x\r\nBcc: victim@example.com",
        "x\nBcc: victim@example.com\n\nbody",
        "x\rBcc: victim@example.com",
        "x\u2028Bcc: victim@example.com",
        "x\u0085Bcc: victim@example.com",
        "=?UTF-8?Q?x?= =?UTF-8?B?eA==?=",
        "x\t\x0b\x0c\x1b[2J",
        '"\\',
        "ü" * 500,
        "w" * 900,
        "a " * 400,
        "\U0001f600" * 60,
    ],
)
def test_subject_stays_one_line_whatever_is_in_it(notes, name):
    mail = notes({"name": name})
    assert fields(mail).count("Subject") == 1 and "Bcc" not in fields(mail)
    assert mail.recipients == ["x@example.net"]
    told = mail.message["Subject"]
    if name.isprintable():
        assert told == f"Hello {name}".strip() or told.split() == f"Hello {name}".split()
    assert "\n" not in told and "\r" not in told
    head = mail.raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert all(len(line) <= 78 for line in head if len(max(line.split(b" "), key=len)) < 60)
    assert all(byte < 128 for byte in b"".join(head))


def test_mail_is_in_the_language_that_it_was_written_for(notes):
    mail = notes({"name": "Ada"}, language="de")
    assert mail.message["Subject"] == "Schöne Grüße an Ada, und noch viel mehr davon als in eine Zeile ginge"
    assert mail.message["Content-Language"] == "de"
    for unknown in ("fr", "zh-Hans"):
        assert notes({"name": "Ada"}, language=unknown).message["Content-Language"] == "en"


def test_address_that_is_not_ascii_goes_where_the_server_takes_it(notes, smtp):
    smtp.takes_utf8 = True
    mail = notes({"name": "Ada"}, to="jörg@bücher.example")
    assert mail.recipients == ["jörg@xn--bcher-kva.example"] and "SMTPUTF8" in mail.mail_options
    assert "To: jörg@xn--bcher-kva.example\r\n".encode() in mail.raw
    # Others need nothing of the kind.
    assert "SMTPUTF8" not in notes({"name": "Ä"}).mail_options


def test_address_that_is_not_ascii_is_dead_where_the_server_does_not_take_it(new_host, smtp, verified):
    host = new_host(smtp)
    host.send(to="jörg@example.net")
    host.send(to="x@example.net")
    line = host.daemon.await_line("mail_dead", "SMTPUTF8")
    assert "jörg" not in line
    smtp.await_mails()
    assert [mail.recipients for mail in smtp.mails] == [["x@example.net"]]

"""What people and programs do with accounts by mail: the daemon's routes, and the mails that come of them."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode

from support.browser import form_of, problem
from support.client import FORM, JSON, Answered
from support.waiting import wait_until

ADDRESS = "192.0.2.7"
PASSWORD = "seven lemons under a bridge"
SITE = "https://www.example.org/session/"
# They are another each time.
VARYING = {"X-Request-Id", "Date", "Content-Length"}


def post(daemon, path, address=ADDRESS, headers=None, **fields):
    """By a program."""
    return daemon.ask(
        method="POST",
        path=f"/session/{path}",
        headers={**JSON, **(headers or {})},
        body=json.dumps(fields),
        REMOTE_ADDR=address,
        timeout=120,
    )


def post_form(daemon, path, headers=None, **fields):
    """By a person."""
    return daemon.ask(
        method="POST", path=f"/session/{path}", headers={**FORM, **(headers or {})}, body=urlencode(fields), timeout=120
    )


def page(daemon, path, headers=None, **params):
    where, _, query = path.partition("?")
    return daemon.ask(path=f"/session/{where}", query=query, headers={"Accept": "text/html", **(headers or {})}, **params)


def refused(answer):
    """What was brought of a mail stands for nothing."""
    return problem(Answered(answer), 401, "invalid_code")


def comparable(answer):
    return answer.status, tuple(field for field in answer.fields if field[0] not in VARYING)


def settle(daemon):
    """Nothing waits to be sent."""
    queued = "SELECT count(*) FROM mails WHERE state = 'queued'"
    wait_until(lambda: daemon.database.value(queued) == 0, "all mails to be sent")


def mail_of(daemon, smtp, ask, to):
    """The mail to that address that comes of what `ask` does."""
    before = len([mail for mail in smtp.mails if to in mail.recipients])
    ask()
    mail = smtp.await_mails(before + 1, to=to)[-1]
    settle(daemon)
    daemon.secrets.update(re.findall(r"token=(\S{43})\b", mail.text))
    return mail


def links_of(mail):
    """Below the daemon's prefix, of both parts of the mail."""
    return set(re.findall(rf'{SITE}([a-z]+\?\S+?)(?=[\s"<])', mail.text + mail.part("html")))


def send_every_form(daemon, shown, headers=None):
    """As a mail scanner does that finds a page: each form as it stands, and each of its buttons. Gives the answers."""
    answers = []
    for form in re.findall(r'<form[^>]*method="post".*?</form>', shown, re.S):
        action = re.search(r'action="/session/([a-z]+)"', form)
        # The menu of languages changes nothing but the browser's own cookie.
        if action is None or action[1] == "language":
            continue
        # A box is sent when somebody has ticked it.
        as_it_stands = re.sub(r'<input[^>]*type="checkbox"[^>]*>|<button.*?</button>', "", form, flags=re.S)
        fields = form_of(as_it_stands, f"/session/{action[1]}")
        for name, value in [(None, None), *re.findall(r'<button[^>]*name="(\w+)" value="(\w+)"', form)]:
            sent = {**fields, **({name: value} if name else {})}
            answers.append(post_form(daemon, action[1], headers=headers, **sent))
    return answers


def all_at_once(calls):
    with ThreadPoolExecutor(max_workers=len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]

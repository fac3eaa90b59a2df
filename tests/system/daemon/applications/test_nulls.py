"""What handlers give on without a look: NULL, as ones_field() returns it (tests/application/nulls.c)."""

import json
import re

import pytest

from support.client import JSON, sign_in
from support.site import PREFIX

# What there is not, or what cannot be used.
ANSWERED = {
    "query": (200, None),
    "field": (200, None),
    "param": (200, None),
    "request_header": (200, None),
    "cookie": (200, None),
    "path": (200, None),
    "numbers": (200, 8),
    "truth": (200, False),
    "plain_name": (200, None),
    "email": (200, None),
    "email_shown": (200, None),
    "name_problem": (200, "The name is empty."),
    "throttle": (500, None),
    "option_number": (200, 0),
    "option_text": (200, ""),
    "account_by_login": (200, False),
    "account_add": (400, None),
    "session": (200, None),
    "end_session": (200, False),
    "data": (200, False),
    "remove_stored": (400, None),
    "keep_upload": (400, None),
    "stored": (404, None),
    "next": (200, "/session/account"),
    "sign_in_url": (200, "/session/login"),
    "choose_language": (200, False),
    "texts": (200, {}),
    "failure": (409, None),
    "cooldown": (429, None),
}
# And what had to be there.
MISTAKES = {
    "username": "ones_login() with a name or password that is NULL",
    "password": "ones_login() with a name or password that is NULL",
    "current_password": "ones_change_password() with a password that is NULL",
    "new_password": "ones_change_password() with a password that is NULL",
    "hash_password": "ones_hash_password() of a password that is NULL",
    "remove_in_no_folder": "a folder that was not declared",
    "url": "an address whose path is NULL",
    "say": "a text of a key that there is not",
    "sentence": "a sentence that is NULL",
    "header_name": "a header field whose name is none",
    "header_value": "a header field whose value is NULL",
    "set_cookie": "a cookie whose value is none",
    "body": "a body that is NULL, and has a size",
    "body_type": "a body whose type is NULL",
    "redirect": "a redirect to NULL",
    "page": "a page or file whose name is NULL",
    "page_values": "values that are NULL",
    "file": "a page or file whose name is NULL",
    "file_type": "a body whose type is NULL",
    "problem_code": "a problem whose code or sentence is NULL",
    "problem_detail": "a problem whose code or sentence is NULL",
}


def give(site, what):
    """What came of it; the worker that it was given to has to live on."""
    daemon = site.daemon
    headers = {**sign_in(daemon), **JSON}
    before = daemon.workers
    answer = daemon.ask(method="POST", path=f"{PREFIX}/nulls/{what}", headers=headers, body="{}")
    assert daemon.workers == before
    return answer


@pytest.mark.parametrize("what", ANSWERED)
def test_null_is_nothing_that_there_is(shared_application, what):
    status, value = ANSWERED[what]
    answer = give(shared_application, what)
    assert answer.status == status, answer.stdout
    if status == 200:
        assert json.loads(answer.body) == {"value": value}


@pytest.mark.parametrize("what", MISTAKES)
def test_null_where_something_is_needed_is_logged_and_answered(shared_application, what):
    answer = give(shared_application, what)
    assert answer.status == 500, answer.stdout
    found = re.findall(r"handler_fault [^\n]*", shared_application.daemon.log_text())
    assert MISTAKES[what] in found[-1]


def test_directive_that_is_null_is_logged_and_allows_nothing(shared_application):
    assert json.loads(give(shared_application, "allow").body) == {"value": True}
    assert "ones_allow() with what is no directive" in shared_application.daemon.log_text()

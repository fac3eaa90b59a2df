"""What people do at an application of Laravel's that has the adapter."""

import re

import requests

from support import adapted
from support.adapted import SIGN_IN


def address(name):
    return name if "@" in name else f"{name}@shop.example"


def token_of(form):
    assert form.status_code == 200, form.headers
    return re.search('name="_token" value="([^"]*)"', form.text)[1]


def send_form(person, name, form, **more):
    """The sign-in's form as it came from there, with the address of the page that it is on."""
    fields = {"_token": token_of(form), "email": address(name), "password": adapted.PASSWORD, **more}
    return person.post(SIGN_IN, fields, headers={"Referer": form.url})


def lead_to_form(person, path="/members/"):
    answer = person.get(path)
    assert answer.status_code == 303, answer.text
    assert answer.headers["Location"].startswith(f"{SIGN_IN}?next={path}&reason="), answer.headers["Location"]
    return person.get(answer.headers["Location"])


def sign_in(person, name, path="/members/", **more):
    """As people do it: the page that they want, the form that they are led to, and there."""
    answer = send_form(person, name, lead_to_form(person, path), **more)
    assert (answer.status_code, answer.headers["Location"]) == (302, person.site.url + path), answer.text
    return answer


def fail_to_sign_in(person, name, form=None, **more):
    """The form that comes again, in which something is wrong."""
    answer = send_form(person, name, form or lead_to_form(person), **more)
    assert answer.status_code == 302, answer.text
    assert answer.headers["Location"].startswith(person.site.url + SIGN_IN.rstrip("/")), answer.headers["Location"]
    assert "reason=" not in answer.headers["Location"]
    form = person.get(answer.headers["Location"].removeprefix(person.site.url))
    assert 'class="error"' in form.text, form.text
    return form


def send(person, path, **fields):
    """A form of a page that has one, with the token that the session has."""
    return person.post(path, fields, headers={"X-XSRF-TOKEN": requests.utils.unquote(person.http.cookies["XSRF-TOKEN"])})


def user_at(person, path="/members/"):
    answer = person.get(path)
    return answer.json()["user"] if answer.status_code == 200 else None


def events(web, name):
    return [row[0] for row in web.database.query("SELECT name FROM events WHERE username = %s ORDER BY id", name)]


def forget(person, *names):
    for name in names:
        del person.http.cookies[name]


def is_remembered(person):
    return adapted.REMEMBER in person.http.cookies


def remember(person, value):
    """As whoever has that cookie."""
    person.http.cookies.set(adapted.REMEMBER, value, path="/", domain="127.0.0.1")

"""WordPress with the project's plug-in, behind nginx, both set up by the lines of the adapters' manual."""

import hashlib
import html
import re

import pytest

from support import wordpress
from support.adapted import PASSWORD, Onesession, several
from support.api import new_token
from support.closing import remember_log
from support.web import Web
from support.webservers import make_certificate

pytestmark = [
    pytest.mark.xdist_group("wordpress"),
    pytest.mark.skipif(not wordpress.IS_INSTALLED, reason="WordPress, PHP-FPM or MariaDB is not installed"),
]
LOGIN, PROFILE, ADMIN = "/wp-login.php", "/wp-admin/profile.php", "/wp-admin/tools.php"
NOT_NOW = "Signing in is not possible right now."
NEW_PASSWORD = "another of the application's own"
MEMBERS = [f"member{number}" for number in range(50)]
# The last name is an administrator's of the daemon's; the second looks like one that the plug-in makes for somebody.
OTHERS = ["ada@shop.example", "user-2", "dot.dash under_score", "Alice"]


@pytest.fixture(name="installation", scope="module")
def fixture_installation():
    made = wordpress.WordPress([(name, f"{number}@shop.example") for number, name in enumerate([*MEMBERS, *OTHERS])])
    made.names = iter(MEMBERS)
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture(name="behind")
def fixture_behind(request, cluster_of_worker, installation):
    """behind(settings): a site of WordPress's behind a daemon of its own. Tests share the people, but no one of them."""
    with several(cluster_of_worker) as new:

        def behind(settings=None, certificate=None):
            database, things = new()
            ours = Onesession(request.node, database, things, LOGIN, settings)
            remember_log(request.node, "PHP", installation.log)
            server = things.add(installation.nginx(ours.daemon))
            server.certificate = certificate
            remember_log(request.node, "nginx", server.log)
            made = Web("nginx", "own-login", database, ours.daemon, server.start(), installation)
            made.ctl, made.programs = ours.ctl, ours.programs
            installation.configure(server.port, ours.api, ours.token)
            return made

        yield behind


@pytest.fixture(name="name")
def fixture_name(installation):
    return next(installation.names)


def fields_of(page, form):
    """The fields of a form of WordPress's, as it is sent when nothing is changed."""
    text = re.search(rf'(?s)<form[^>]*id="{form}".*?</form>', page)[0]
    found = {}
    for tag in re.findall(r"<input\b[^>]*>", text):
        one = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        if "name" in one and ("checked" in one or one.get("type") not in ("checkbox", "radio", "submit")):
            found[one["name"]] = html.unescape(one.get("value", ""))
    return found


def error_of(answer):
    """What the sign-in shows above its form."""
    shown = re.search(r'(?s)id="login_error".*?</div>', answer.text)
    return html.unescape(shown[0]) if answer.status_code == 200 and shown else ""


def send_form(person, name, address=LOGIN, password=PASSWORD, **more):
    form = person.get(address)
    assert form.status_code == 200, form.headers
    fields = {**fields_of(form.text, "loginform"), "log": name, "pwd": password, **more}
    return person.post(LOGIN, fields)


def sign_in(person, name, path=ADMIN, **more):
    """As people do it: the page that they want, the form that they are led to, and back."""
    answer = person.get(path)
    assert answer.status_code == 303, answer.status_code
    address = answer.headers["Location"]
    assert address.startswith(f"{LOGIN}?next={path}&reason="), address
    answer = send_form(person, name, address, **more)
    assert (answer.status_code, answer.headers.get("Location")) == (302, path), error_of(answer)
    return address


def sign_out(person, name):
    page = person.get(ADMIN)
    link = html.unescape(re.search(r"""(/wp-login\.php\?action=logout[^"']*)""", page.text)[1])
    answer = person.get(link)
    assert answer.status_code == 302 and "loggedout=true" in answer.headers["Location"], answer.text
    assert user_at(person) == "", name


def user_at(person):
    """At a page for everybody."""
    return person.get("/").json()["user"]


def user_in_admin(person):
    answer = person.get(ADMIN)
    return re.search('class="display-name">([^<]*)<', answer.text)[1] if answer.status_code == 200 else None


def user_of_rest(person):
    answer = person.get("/wp-json/wp/v2/users/me", headers={"X-WP-Nonce": person.get("/").json()["nonce"]})
    return answer.json()["name"] if answer.status_code == 200 else answer.status_code


def whose(person):
    return user_at(person), user_in_admin(person), user_of_rest(person)


NOBODY = ("", None, 401)


def own_cookies(person):
    """By which WordPress would know somebody."""
    return sorted({cookie.name for cookie in person.http.cookies if re.match(r"wordpress_(?!test_cookie)", cookie.name)})


def forget(person, pattern):
    for cookie in [cookie for cookie in person.http.cookies if re.match(pattern, cookie.name)]:
        person.http.cookies.clear(cookie.domain, cookie.path, cookie.name)


def events(web, name):
    return [row[0] for row in web.database.query("SELECT name FROM events WHERE username = %s ORDER BY id", name)]




def logins(web, name):
    return events(web, name).count("user_logged_in")


def test_sign_in_and_sign_out_are_those_of_the_rule(behind, browse, name):
    web = behind()
    first, second = browse(web, program=False), browse(web, program=False)
    assert whose(first) == NOBODY
    assert "reason=unauthenticated" in sign_in(first, name)
    assert whose(first) == (name, name, name)
    sign_in(second, name)
    assert events(web, name).count("session_displaced") == 1
    # The other browser is out at once, whichever way it asks, although WordPress's session is there.
    assert len(own_cookies(first)) == 2
    assert whose(first) == NOBODY
    assert whose(second) == (name, name, name)
    assert "reason=displaced" in sign_in(first, name)
    assert (user_at(first), whose(second)) == (name, NOBODY)
    sign_out(first, name)
    assert events(web, name)[-1] == "user_logged_out"
    assert whose(first) == NOBODY
    assert web.database.sessions(name) == []


def test_who_was_displaced_reads_so_and_an_open_editor_asks_to_sign_in(behind, browse, name):
    web = behind()
    first, second = browse(web, program=False), browse(web, program=False)
    sign_in(first, name)
    sign_in(second, name)
    told = first.post("/wp-admin/admin-ajax.php", {"action": "heartbeat", "_nonce": "x", "data[wp-refresh-post-lock]": ""})
    assert told.json()["wp-auth-check"] is False
    form = first.get(f"{LOGIN}?interim-login=1")
    assert "your account was signed in elsewhere" in form.text
    assert own_cookies(first) == [f"wordpress_{web.application.hash}"]
    answer = send_form(first, name, f"{LOGIN}?interim-login=1")
    assert answer.status_code == 200 and "You have logged in successfully" in answer.text
    assert (user_at(first), user_at(second)) == (name, "")


def test_signing_in_again_in_the_same_browser_displaces_nobody(behind, browse, name):
    web = behind({"session.on_limit": "refuse"})
    person = browse(web, program=False)
    sign_in(person, name)
    (session,) = web.database.sessions(name)
    # To look at the form is no sign-in.
    assert person.get(LOGIN).status_code in (200, 302)
    assert web.database.sessions(name) == [session]
    # WordPress has forgotten it, the browser has not. The guard lets it pass, and WordPress leads to its form.
    forget(person, "wordpress_")
    answer = person.get(ADMIN)
    assert answer.status_code == 302 and "reauth=1" in answer.headers["Location"]
    address = answer.headers["Location"].removeprefix(web.url)
    answer = send_form(person, name, address)
    assert (answer.status_code, answer.headers["Location"]) == (302, web.url + ADMIN), answer.text
    assert whose(person) == (name, name, name)
    assert "session_displaced" not in events(web, name) and len(web.database.sessions(name)) == 1


def test_who_is_refused_is_not_signed_in_to_wordpress_either(behind, browse, name):
    web = behind({"session.on_limit": "refuse"})
    first, second = browse(web, program=False), browse(web, program=False)
    sign_in(first, name)
    answer = send_form(second, name)
    assert "signed in" in error_of(answer), answer.text
    # A tick would change nothing.
    assert "take_over" not in answer.text
    assert own_cookies(second) == [] and second.key is None
    assert (whose(second), user_at(first)) == (NOBODY, name)
    # Nor does a plug-in count it as a wrong password, which is WordPress's own affair.
    assert "Login-Failed" not in answer.headers
    answer = send_form(second, name, password="wrong")
    assert "is incorrect" in error_of(answer) and answer.headers["Login-Failed"] == "yes"
    assert events(web, name).count("user_login_failed") == 0


def test_tick_of_the_form_takes_over(behind, browse, name):
    web = behind({"session.on_limit": "ask"})
    first, second = browse(web, program=False), browse(web, program=False)
    sign_in(first, name)
    assert "take_over" not in second.get(LOGIN).text
    answer = send_form(second, name)
    assert "signed in" in error_of(answer), answer.text
    fields = fields_of(answer.text, "loginform")
    assert fields["log"] == name
    assert "take_over" not in fields and re.search(r'name="take_over"[^>]*> Sign out elsewhere', answer.text)
    assert user_at(first) == name
    assert second.post(LOGIN, {**fields, "pwd": PASSWORD, "take_over": "1"}).status_code == 302
    assert (whose(first), user_at(second)) == (NOBODY, name)


def test_tick_stays_when_the_password_was_wrong(behind, browse, name):
    web = behind({"session.on_limit": "ask"})
    first, second = browse(web, program=False), browse(web, program=False)
    sign_in(first, name)
    ticked = fields_of(send_form(second, name, password="wrong", take_over="1").text, "loginform")
    assert ticked["take_over"] == "1"
    assert second.post(LOGIN, {**ticked, "log": name, "pwd": PASSWORD}).status_code == 302
    assert (user_at(first), user_at(second)) == ("", name)


ENDINGS = {
    "displaced": "your account was signed in elsewhere",
    "expired": "Your session has expired",
    "idle": "you had not been here for a while",
    "logged_out": "You have signed out",
    "revoked": "Your session was ended from elsewhere",
    "password_changed": "your password was changed",
    "disabled": "Your account has been disabled",
}


def test_form_says_why_by_a_sentence_for_each_code_and_for_nothing_else(behind, browse):
    person = browse(behind(), program=False)
    for code, sentence in ENDINGS.items():
        page = html.unescape(person.get(f"{LOGIN}?reason={code}").text)
        assert [one for one in ENDINGS.values() if one in page] == [sentence], code
        assert "has not arrived" not in page
    for code in ("unauthenticated", "stale", "lost", "<b>bold</b>", "Displaced", "displaced&reason[]=displaced"):
        page = html.unescape(person.get(f"{LOGIN}?reason={code}").text)
        assert not [one for one in ENDINGS.values() if one in page] and "<b>bold" not in page, code
        assert "has not arrived" not in page, code
    # Above a wrong password it says nothing of what was before.
    page = person.post(f"{LOGIN}?reason=displaced", {"log": "nobody", "pwd": "wrong"}).text
    assert ENDINGS["displaced"] not in page and "login_error" in page


def test_why_and_what_is_lost_is_told_as_well_where_wordpress_itself_leads_to_the_form(behind, browse, name):
    web = behind({"session.max_sessions": 2})
    first, second, third = (browse(web, program=False) for _ in range(3))
    for person in (first, second, third):
        sign_in(person, name)
    led = first.get(PROFILE)
    assert led.status_code == 302 and "reauth=1" in led.headers["Location"]
    page = first.get(led.headers["Location"].removeprefix(web.url)).text
    assert ENDINGS["displaced"] in page and "has not arrived" not in page
    web.ctl.run("session", "end", "--user", name)
    led = second.post(PROFILE, {"nickname": "Nick"})
    assert led.status_code == 302
    page = second.get(led.headers["Location"].removeprefix(web.url)).text
    assert ENDINGS["revoked"] in page and "has not arrived. Sign in, and then send it again." in page
    # Of who was not signed in there is nothing to tell, and the form's cookies stay.
    led = browse(web, program=False).get(PROFILE)
    assert led.status_code == 302 and "reason=" not in led.headers["Location"]


def test_form_has_its_style_sheets_and_scripts_for_everybody(behind, browse):
    person = browse(behind(), program=False)
    files = re.findall(r"""(?:href|src)=["']http://[^/]*(/[^"']*\.(?:css|js|php)\?[^"']*ver=[^"']*)""", person.get(LOGIN).text)
    assert len(files) > 5 and any("/wp-admin/" in file for file in files)
    for file in files:
        assert person.get(html.unescape(file)).status_code == 200, file


def test_files_are_sent_without_a_question_and_no_program_is(behind, browse, installation):
    web = behind()
    person = browse(web, program=False, permits_5xx=True)
    (installation.root / ".well-known").mkdir(exist_ok=True)
    (installation.root / ".well-known/proof").write_text("proof")
    uploads = installation.root / "wp-content/uploads"
    uploads.mkdir(exist_ok=True)
    for name in ("a.b.png", "a.php", "a.PHP"):
        (uploads / name).write_text("<?php echo 'ran';")
    files = ["/wp-content/themes/plain/style.css", "/wp-includes/js/wp-util.js", "/wp-admin/css/login.css"]
    files += ["/wp-content/uploads/a.b.png", "/.well-known/proof"]
    for file in files:
        assert person.get(file).status_code == 200, file
    assert person.get("/.well-known/none").status_code == 404
    assert person.get("/wp-content/uploads/a.php").text == "ran"
    told = person.get("/robots.txt").text
    assert "Disallow: /wp-admin/" in told and "Disallow: /\n" not in told
    web.daemon.stop()
    for file in files:
        assert person.get(file).status_code == 200, file
    for page in ("/", LOGIN, ADMIN, "/robots.txt", "/wp-content/uploads/a.php", "/wp-content/uploads/a.PHP", "/wp-admin/css/"):
        assert person.get(page).status_code == 503, page


@pytest.mark.parametrize(
    "query", ["next=https://evil.example/", "next=//evil.example/", "next[]=/", "next=/%0d%0aA:%20b", "next=/" + 2001 * "x", "next="]
)
def test_next_leads_nowhere_else(behind, browse, name, query):
    web = behind()
    person = browse(web, program=False)
    answer = send_form(person, name, f"{LOGIN}?{query}")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{web.url}/wp-admin/")


@pytest.mark.parametrize("limit", ["refuse", "displace"])
def test_password_that_is_changed_in_the_profile_ends_the_sessions_elsewhere(behind, browse, installation, limit):
    web = behind({"session.on_limit": limit, "session.max_sessions": 2})
    name, stranger = next(installation.names), next(installation.names)
    first, second, other = (browse(web, program=False) for _ in range(3))
    for person, whom in ((first, name), (second, name), (other, stranger)):
        sign_in(person, whom)
    fields = fields_of(first.get(PROFILE).text, "your-profile")
    # What is saved without a new password ends nothing.
    assert first.post(PROFILE, {**fields, "nickname": "Nick"}).status_code == 302
    assert len(web.database.sessions(name)) == 2
    fields = fields_of(first.get(PROFILE).text, "your-profile")
    answer = first.post(PROFILE, {**fields, "pass1": NEW_PASSWORD, "pass2": NEW_PASSWORD})
    assert answer.status_code == 302 and "updated=1" in answer.headers["Location"], answer.text
    assert whose(first) == (name, name, name)
    assert whose(second) == NOBODY and user_at(other) == stranger
    assert "reason=password_changed" in sign_in(second, name, password=NEW_PASSWORD)
    assert (user_at(first), user_at(second)) == (name, name)
    assert "session_displaced" not in events(web, name)


def test_password_that_is_reset_by_a_mail_s_link_ends_the_sessions(behind, browse, name):
    web = behind()
    person, forgetful = browse(web, program=False), browse(web, program=False)
    sign_in(person, name)
    address = f"{MEMBERS.index(name)}@shop.example"
    answer = forgetful.post(f"{LOGIN}?action=lostpassword", {"user_login": address})
    assert answer.status_code == 302, answer.text
    assert len(web.database.sessions(name)) == 1
    # WordPress waits for the program that it gives the mail to.
    link = re.findall(rf"/wp-login\.php\?\S*login={name}\b\S*", web.application.mails.read_text())[-1]
    answer = forgetful.get(link)
    assert answer.status_code == 302, answer.text
    form = forgetful.get(answer.headers["Location"].removeprefix(web.url))
    fields = {**fields_of(form.text, "resetpassform"), "pass1": NEW_PASSWORD, "pass2": NEW_PASSWORD}
    answer = forgetful.post(f"{LOGIN}?action=resetpass", fields)
    assert answer.status_code == 200 and "has been reset" in answer.text, answer.text
    assert web.database.sessions(name) == [] and whose(person) == NOBODY
    assert web.database.value("SELECT DISTINCT reason FROM ended_sessions") == "password_changed"
    sign_in(forgetful, name, password=NEW_PASSWORD)


def test_password_that_an_administrator_changes_ends_that_person_s_sessions(behind, browse, installation, name):
    web = behind()
    person, admin = browse(web, program=False), browse(web, program=False)
    sign_in(person, name)
    sign_in(admin, "admin")
    page = f"/wp-admin/user-edit.php?user_id={installation.ids[name]}"
    fields = fields_of(admin.get(page).text, "your-profile")
    answer = admin.post(page, {**fields, "pass1": NEW_PASSWORD, "pass2": NEW_PASSWORD, "role": "editor"})
    assert answer.status_code == 302, answer.text
    assert (whose(person), user_at(admin)) == (NOBODY, "admin")
    assert "reason=password_changed" in sign_in(person, name, password=NEW_PASSWORD)


def test_password_that_is_only_stored_anew_ends_nothing(behind, browse, installation, name):
    """As WordPress does at a sign-in, where it was stored in the way of an older release."""
    web = behind({"session.max_sessions": 2})
    first, second = browse(web, program=False), browse(web, program=False)
    sign_in(first, name)
    # WordPress puts a backslash before the apostrophe of what is sent.
    old = hashlib.md5(PASSWORD.replace("'", "\\'").encode()).hexdigest()
    installation.database.run("wordpress", f"UPDATE wp_users SET user_pass = '{old}' WHERE user_login = '{name}'")
    sign_in(second, name)
    assert old not in installation.database.run("wordpress", f"SELECT user_pass FROM wp_users WHERE user_login = '{name}'")
    assert len(web.database.sessions(name)) == 2 and user_at(second) == name


def test_password_that_a_plug_in_sets_ends_the_sessions(behind, browse, installation, name):
    if installation.version < (6, 2):
        pytest.skip("WordPress tells plug-ins of it from 6.2 on")
    web = behind()
    person = browse(web, program=False)
    sign_in(person, name)
    assert browse(web).get(f"/?set-password-of={name}").status_code == 200
    assert web.database.sessions(name) == [] and whose(person) == NOBODY


def test_accounts_are_those_of_the_people_whatever_their_names_are(behind, browse, installation, name):
    web = behind()
    web.database.query("UPDATE users SET is_admin = true WHERE username = 'alice'")
    people = {one: browse(web, program=False) for one in [*OTHERS, name]}
    for one, person in people.items():
        assert send_form(person, one).status_code == 302
    assert [user_at(person) for person in people.values()] == list(people)
    accounts = dict(web.database.query("SELECT external_id, username FROM users WHERE external_id IS NOT NULL"))
    ids = {one: str(installation.ids[one]) for one in people}
    assert accounts == {
        **{ids[one]: f"user-{ids[one]}" for one in ("ada@shop.example", "user-2", "Alice")},
        ids["dot.dash under_score"]: "dot.dash under_score",
        ids[name]: name,
    }
    # By the address as well, and when the account is called otherwise by now.
    web.ctl.run("user", "rename", name, "Renamed")
    again = browse(web, program=False)
    assert send_form(again, f"{MEMBERS.index(name)}@shop.example").status_code == 302
    assert (user_at(people[name]), user_at(again)) == ("", name)
    assert len(web.database.sessions("Renamed")) == 1


def test_wordpress_goes_on_without_an_answer_of_the_api(behind, browse, installation):
    """Who is signed in stays so, nobody signs in, a new password is saved, and everybody signs out."""
    web = behind()
    name, other = next(installation.names), next(installation.names)
    person, stranger = browse(web, program=False), browse(web, program=False)
    sign_in(person, name)
    web.programs.close()
    assert whose(person) == (name, name, name)
    assert NOT_NOW in error_of(send_form(stranger, other))
    assert own_cookies(stranger) == [] and whose(stranger) == NOBODY
    fields = fields_of(person.get(PROFILE).text, "your-profile")
    answer = person.post(PROFILE, {**fields, "pass1": NEW_PASSWORD, "pass2": NEW_PASSWORD})
    assert answer.status_code == 302, answer.text
    assert whose(person) == (name, name, name)
    assert f"the sessions of user {installation.ids[name]} were not ended" in installation.log.read_text()
    sign_out(person, name)
    assert own_cookies(person) == []
    api = f"{web.programs.url}/session/api"
    for call in ("POST {}/sessions", f"GET {{}}/users?external_id={installation.ids[name]}", "DELETE {}/sessions/"):
        assert re.search(re.escape(call.format(api)) + r"\S*: no answer: .*refused", installation.log.read_text()), call


def test_who_is_deleted_in_wordpress_is_deleted(behind, browse, installation):
    web = behind()
    name, other = next(installation.names), next(installation.names)
    person = browse(web, program=False)
    sign_in(person, name)
    web.ctl.run("user", "rename", name, "renamed")
    assert browse(web).get(f"/?delete={name}").status_code == 200
    assert web.database.query("SELECT username FROM users WHERE external_id IS NOT NULL OR username = 'renamed'") == []
    assert whose(person) == NOBODY
    # Whom onesession has never seen is of no concern to it.
    before = len(installation.log.read_text())
    assert browse(web).get(f"/?delete={other}").status_code == 200
    assert "onesession" not in installation.log.read_text()[before:]
    name = next(installation.names)
    sign_in(person, name)
    web.programs.close()
    assert browse(web).get(f"/?delete={name}").status_code == 200
    assert f"the account of user {installation.ids[name]} was not deleted" in installation.log.read_text()


@pytest.mark.parametrize(
    ("scopes", "cause"),
    [(None, "401 invalid_token"), ("users", "403 insufficient_scope")],
    ids=["no token of the API", "another scope"],
)
def test_mistake_of_setting_up_is_in_the_log_and_not_on_the_form(behind, browse, installation, name, scopes, cause):
    web = behind()
    person = browse(web, program=False)
    token = new_token(web.ctl, "narrow", scopes) if scopes else "ost_" + "a" * 43
    web.daemon.secrets.add(token.removeprefix("ost_"))
    api = f"{web.programs.url}/session/api"
    installation.configure(web.server.port, api, token)
    shown = error_of(send_form(person, name))
    assert NOT_NOW in shown and "token" not in shown and own_cookies(person) == []
    log = installation.log.read_text()
    assert f"onesession: POST {api}/sessions: {cause}" in log
    assert token not in log


def test_api_that_is_not_for_this_address_is_in_the_log(behind, browse, installation, name):
    """Its 404 is not that of an account that onesession does not have."""
    web = behind({"api.clients": "192.0.2.1"})
    api = f"{web.programs.url}/session/api"
    assert NOT_NOW in error_of(send_form(browse(web, program=False), name))
    assert f"onesession: PUT {api}/users/{name}: 404 not_found" in installation.log.read_text()
    assert browse(web).get(f"/?delete={name}").status_code == 200
    number = installation.ids[name]
    log = installation.log.read_text()
    assert f"onesession: GET {api}/users?external_id={number}: 404 not_found" in log
    assert f"the account of user {number} was not deleted" in log


def test_token_that_cannot_be_read_is_in_the_log(behind, browse, installation, name):
    web = behind()
    (installation.folder / f"token-{web.server.port}").unlink()
    assert NOT_NOW in error_of(send_form(browse(web, program=False), name))
    cause = rf"POST \S*/sessions: the token's file \S*/token-{web.server.port}: .*No such file"
    assert re.search(cause, installation.log.read_text())


@pytest.mark.parametrize("missing", ["ONESESSION_API", "ONESESSION_TOKEN_FILE", "php/onesession.php"])
def test_plug_in_that_is_not_set_up_says_so_and_lets_nobody_sign_in(behind, browse, installation, missing):
    web = behind()
    name, other = next(installation.names), next(installation.names)
    person, stranger = browse(web, program=False), browse(web, program=False)
    sign_in(person, name)
    config = installation.root / f"config-{web.server.port}.php"
    away = installation.plugin / "away"
    try:
        if missing.endswith(".php"):
            (installation.plugin / "php").rename(away)
        else:
            config.write_text(re.sub(rf"(?m)^define\('{missing}'.*\n", "", config.read_text()))
        # The guard knows who it is, but not whose cookie of WordPress's that is.
        assert (user_at(person), user_of_rest(person)) == ("", 401)
        assert NOT_NOW in error_of(send_form(stranger, other))
        assert stranger.get(f"/?signed-in-elsewhere={other}").status_code == 200
        assert own_cookies(stranger) == [] and whose(stranger) == NOBODY
        assert "is incorrect" in error_of(send_form(stranger, other, password="wrong"))
        notice = installation.notices(web.server.port, "admin")
        assert "nobody can sign in" in notice and missing in notice
        assert installation.notices(web.server.port, name) == ""
        assert re.search(rf"onesession: not set up: .*{missing}", installation.log.read_text())
    finally:
        if away.exists():
            away.rename(installation.plugin / "php")


def test_old_cookie_of_a_friend_s_is_worth_nothing(behind, browse, installation):
    """Beside a session of one's own, which the guard lets pass; and there is a way to the form, and back."""
    web = behind()
    name, friend = next(installation.names), next(installation.names)
    person, other = browse(web, program=False), browse(web, program=False)
    sign_in(other, friend)
    sign_in(person, name)
    mine = [(cookie.name, cookie.value, cookie.path) for cookie in person.http.cookies if "onesession" in cookie.name]
    person.http.cookies.clear()
    for key, value, path in mine:
        person.http.cookies.set(key, value, path=path, domain="127.0.0.1")
    for cookie in other.http.cookies:
        if "onesession" not in cookie.name:
            person.http.cookies.set_cookie(cookie)
    assert (user_at(person), user_of_rest(person), user_at(other)) == ("", 401, friend)
    answer = person.get(ADMIN)
    assert answer.status_code == 302 and "reauth=1" in answer.headers["Location"]
    answer = send_form(person, name, answer.headers["Location"].removeprefix(web.url))
    assert answer.status_code == 302
    assert (whose(person), user_at(other)) == ((name, name, name), friend)


def test_session_of_the_day_before_is_nobody_s(behind, browse, name):
    """Of WordPress's own, from before it came behind the daemon; also by a cookie that is to be remembered."""
    web = behind()
    person = browse(web, program=False)
    sign_in(person, name, rememberme="forever")
    assert any(cookie.expires for cookie in person.http.cookies if cookie.name.startswith("wordpress_logged_in"))
    forget(person, "onesession")
    assert whose(person) == NOBODY
    sign_in(person, name)
    assert user_at(person) == name


def test_programs_with_a_password_are_no_sessions(behind, browse, name):
    """Application passwords and XML-RPC: they go on, displace nobody, and are not displaced."""
    web = behind({"session.on_limit": "refuse"})
    person = browse(web, program=False)
    sign_in(person, name)
    nonce = person.get("/").json()["nonce"]
    made = person.post("/wp-json/wp/v2/users/me/application-passwords", headers={"X-WP-Nonce": nonce}, json={"name": "phone"})
    assert made.status_code == 201, made.text
    program = browse(web)
    answer = program.get("/wp-json/wp/v2/users/me", auth=(name, made.json()["password"]))
    assert (answer.status_code, answer.json().get("name")) == (200, name), answer.text
    call = (
        "<methodCall><methodName>wp.getProfile</methodName><params><param><value><int>1</int></value></param>"
        f"<param><value>{name}</value></param><param><value>{PASSWORD}</value></param></params></methodCall>"
    )
    answer = program.post("/xmlrpc.php", data=call, headers={"Content-Type": "text/xml"})
    assert answer.status_code == 200 and f"<string>{name}</string>" in answer.text, answer.text
    # So does what WordPress does periodically.
    assert program.get("/wp-cron.php?doing_wp_cron").status_code == 200
    assert program.key is None and user_at(person) == name
    assert logins(web, name) == 1


def test_sign_in_of_another_plug_in_is_a_login_too(behind, browse, name):
    web = behind({"session.on_limit": "refuse"})
    first, second = browse(web, program=False), browse(web, program=False)
    assert first.get(f"/?signed-in-elsewhere={name}").status_code == 200
    assert whose(first) == (name, name, name)
    refused = second.get(f"/?signed-in-elsewhere={name}")
    assert refused.status_code == 409 and "signed in" in refused.text, refused.text
    assert own_cookies(second) == [] and whose(second) == NOBODY
    assert logins(web, name) == 1


def test_plug_in_that_calls_hooks_with_less_breaks_nothing(behind, browse, name):
    web = behind()
    person, first = browse(web, program=False), browse(web, program=False)
    sign_in(first, "admin")
    sign_in(person, name)
    sessions = web.database.sessions(name)
    answer = person.get("/?calls-hooks=nothing")
    assert (answer.status_code, answer.json()) == (200, ["/form", None, False])
    assert web.database.sessions(name) == sessions and len(web.database.sessions("admin")) == 1
    assert person.get("/?calls-hooks=sign-out").status_code == 200
    assert web.database.sessions(name) == [] and events(web, name)[-2:] == ["user_logged_in", "user_logged_out"]


def test_password_displaces_nobody_before_the_second_factor(behind, browse, name):
    web = behind()
    first, second = browse(web, program=False), browse(web, program=False)
    sign_in(first, name)
    second.http.headers["User-Agent"] += " second factor"
    assert send_form(second, name).status_code == 302
    assert own_cookies(second) == [] and second.key is None
    assert (user_at(first), whose(second)) == (name, NOBODY)


def test_site_behind_https_gets_cookies_for_that(behind, browse, name, tmp_path):
    certificate = make_certificate(tmp_path)
    web = behind(certificate=certificate)
    person = browse(web, program=False)
    person.http.verify = str(certificate)
    answer = send_form(person, name)
    assert answer.status_code == 302, answer.text
    cookies = {cookie.name: cookie for cookie in person.http.cookies}
    web.secrets.update(cookies[one].value for one in ("__Host-onesession", "__Secure-onesession_device"))
    assert all(cookies[one].secure for one in own_cookies(person)) and len(own_cookies(person)) == 2
    assert user_at(person) == name
    assert web.database.query("SELECT host(ip) FROM sessions") == [("127.0.0.1",)]

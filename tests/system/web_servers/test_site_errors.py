"""Each web server's own errors, refusals that are not the guard's, and sites whose daemon or database is away."""

import pytest

from support import webservers
from support.browser import problem
from support.waiting import wait_until
from support.web import APPLICATIONS, SERVERS, is_refusal, is_turned_away, running


# ---- A refusal that is not the guard's -------------------------------------------------------------------------------

INTERCEPTED = {
    "nginx": ("\tlocation / {\n", "\tproxy_intercept_errors on;\n\tlocation / {\n"),
    "apache": ("\tProxyPreserveHost On\n", "\tProxyPreserveHost On\n\tProxyErrorOverride On 401\n"),
}


@pytest.mark.parametrize("server_name", INTERCEPTED)
def test_refusal_of_the_applications_own_does_not_lead_in_a_circle(request, cluster_of_worker, browse, server_name):
    def make_server(daemon, kind, application):
        server = SERVERS[server_name](daemon, kind, application)
        before, after = INTERCEPTED[server_name]
        server.changes[before] = server.changes.get(before, before).replace(before, after)
        return server

    with running(request.node, cluster_of_worker, server_name, make_server, "proxied") as web:
        person, program = browse(web, program=False), browse(web)
        for browser in (person, program):
            browser.sign_in(web.new_user())
        answer = person.get("/answer/401")
        assert answer.status_code == 403
        assert "You are signed in" in answer.text
        problem(program.get("/answer/401"), 403, "forbidden")
        person.logout()
        assert is_turned_away(web, person.get("/answer/401"))


# ---- What nginx answers by itself ------------------------------------------------------------------------------------


def assert_told(answer, status, page, code):
    """People see a page, programs JSON; nobody nginx's own."""
    assert answer.status_code == status
    assert "<center>" not in answer.text
    if page:
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "<h1>" in answer.text
    else:
        problem(answer, status, code)
        assert status != 503 or answer.headers["Retry-After"]


def test_what_nginx_answers_by_itself_is_told_to_people_and_programs(request, cluster_of_worker, browse):
    for kind in APPLICATIONS:
        with running(request.node, cluster_of_worker, "nginx", webservers.nginx_site, kind) as web:
            both = [(browse(web, program=it, permits_5xx=True), not it) for it in (False, True)]
            for browser, page in both:
                browser.sign_in(web.new_user())
                for path in ["/session-auth", "/session-away/page"] + ["/no-such-file"] * (kind == "static"):
                    assert_told(browser.get(path), 404, page, "not_found")
            if web.has_application:
                web.application.close()
                web.application.close = lambda: None
                for browser, page in both:
                    assert_told(browser.get("/page.html"), 503, page, "unavailable")
                    assert_told(browser.post("/page.html", {"a": "b"}), 503, page, "unavailable")
            web.daemon.stop()
            for browser, page in both:
                for path in ("/page.html", "/session/login", "/session/me"):
                    assert_told(browser.get(path), 503, page, "unavailable")
                assert_told(browser.post("/page.html", {"a": "x" * 2_000_000}), 503, page, "unavailable")
                assert browser.request("HEAD", "/page.html").status_code == 503
            person = both[0][0]
            for fields in ({"Accept": "application/json, text/html;q=0.5"}, {"Content-Type": "application/json"}):
                assert_told(person.post("/page.html", "{}", headers=fields), 503, False, "unavailable")
            web.daemon.start()


# ---- When something is away ------------------------------------------------------------------------------------------


def assert_closed(web, browsers):
    count = len(web.application.seen)
    for browser in browsers:
        for method, path in (("GET", "/page.html"), ("HEAD", "/"), ("POST", "/page.html"), ("GET", "/session/login")):
            answer = browser.request(method, path)
            if browser.key is None and path == "/session/login":
                continue
            assert answer.status_code in (503, is_refusal(web) if browser.key is None else 503), (method, path)
            assert not web.shows_page(answer)
    assert len(web.application.seen) == count


def test_site_is_closed_while_the_daemon_is_away(web, browse):
    person, program, stranger = (browse(web, program=it, permits_5xx=True) for it in (False, True, False))
    person.sign_in(web.new_user())
    program.sign_in(web.new_user())
    web.daemon.stop()
    try:
        assert_closed(web, (person, program))
        assert stranger.get("/page.html").status_code == 503
        assert stranger.get("/robots.txt").status_code == 200
    finally:
        web.daemon.start()
    # lighttpd counts the guard and the daemon's own pages as two, and tries each by itself.
    for path, status in (("/page.html", 200), ("/session/login", 303)):
        wait_until(lambda: person.get(path).status_code == status, "the web server to try the daemon again")  # pylint: disable=cell-var-from-loop
    assert web.shows_page(person.get("/page.html")) and web.shows_page(program.get("/page.html"))


def test_site_is_closed_while_the_database_is_away(web, browse):
    person, program = (browse(web, program=it, permits_5xx=True) for it in (False, True))
    person.sign_in(web.new_user())
    program.sign_in(web.new_user())
    cluster = web.database.cluster
    cluster.execute(f"ALTER DATABASE {web.database.name} ALLOW_CONNECTIONS false")
    cluster.terminate_backends(web.database.name)
    try:
        assert_closed(web, (person, program))
    finally:
        cluster.execute(f"ALTER DATABASE {web.database.name} ALLOW_CONNECTIONS true")
    # Each worker finds it by itself.
    wait_until(
        lambda: len(cluster.backends(web.database.name)) >= len(web.daemon.workers), "the database to be there again"
    )
    for browser in (person, program):
        wait_until(lambda: web.shows_page(browser.get("/page.html")), "the site to be open again")

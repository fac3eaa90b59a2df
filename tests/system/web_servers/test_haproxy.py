"""HAProxy, which is no guard."""

from support import webservers
from support.browser import problem
from support.web import FORGED, ask_for_upgrade, raw, running


def test_haproxy_serves_the_pages_and_passes_no_identity_on(request, cluster_of_worker, browse):
    with running(request.node, cluster_of_worker, "haproxy", webservers.haproxy_site, "proxied") as web:
        person, program = browse(web, program=False, permits_5xx=True), browse(web)
        name = web.new_user()
        assert 'action="/session/login"' in person.get("/session/login?next=/page.html%3Fa%3Db").text
        answer = person.login(name, next="/page.html?a=b")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/page.html?a=b")
        assert person.me().json()["user"]["username"] == name
        assert person.request("HEAD", "/session/me").headers["Remote-User"] == name
        program.sign_in(name)
        assert person.auth() == "displaced"
        problem(person.get("/session/me", headers={"Accept": "application/json"}), 401, "displaced")
        forged = [(field, "forged") for field in FORGED if field != "Authorization"]
        assert raw(web, "GET", "/page.html", forged)[0] == 200
        assert not [value for _, value in web.last().fields if value == "forged"]
        for protocols in (["h2c"], ["websocket, h2c"], ["h2c", "websocket"]):
            connection, status, _ = ask_for_upgrade(web, protocols, None)
            connection.close()
            assert (status, web.last().all("Upgrade")) == (200, [])
        answer = browse(web, program=False).get("/.well-known/change-password")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/session/account")
        program.logout()
        problem(program.get("/session/me"), 401, "unauthenticated")
        web.daemon.stop()
        assert person.get("/session/login").status_code == 503
        web.daemon.start()

"""Static sites, TLS, and what operators add to a sample."""

import pytest

from support import applications, webservers
from support.web import APPLICATIONS, SERVERS, is_turned_away, keeps_its_own_cookie, only, running


# ---- A static site ---------------------------------------------------------------------------------------------------


@only("static")
def test_pages_are_not_shown_from_a_cache_after_signing_out(web, browse):
    person = browse(web, program=False)
    person.sign_in(web.new_user())
    answer = person.get("/page.html")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    again = {"If-Modified-Since": answer.headers["Last-Modified"], "If-None-Match": answer.headers["ETag"]}
    assert person.get("/page.html", headers=again).status_code == 304
    person.logout()
    assert is_turned_away(web, person.get("/page.html", headers=again))
    assert is_turned_away(web, person.get("/page.html", headers={"Range": "bytes=0-5"}))


@only("static")
def test_folders_of_a_static_site(web, browse):
    person = browse(web, program=False)
    assert is_turned_away(web, person.get("/folder"))
    assert is_turned_away(web, person.get("/no-such-file"))
    person.sign_in(web.new_user())
    answer = person.get("/folder")
    assert answer.status_code in (301, 308)
    assert answer.headers["Location"].removeprefix(web.url) == "/folder/"
    assert person.get("/folder/").text == applications.PAGE
    assert person.get("/no-such-file").status_code == 404


# ---- TLS -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("server_name", ["nginx", "apache", "caddy", "haproxy"])
def test_cookie_is_secure_with_tls_and_the_guard_knows_it(request, cluster_of_worker, browse, tmp_path, server_name):
    certificate = webservers.make_certificate(tmp_path)
    make_site = {**SERVERS, "haproxy": webservers.haproxy_site}[server_name]

    def make_server(daemon, kind, application):
        return make_site(daemon, kind, application, certificate)

    with running(request.node, cluster_of_worker, server_name, make_server, "proxied") as web:
        person, other = browse(web, program=False), browse(web, program=False)
        name = web.new_user()
        for browser in (person, other):
            browser.http.verify = str(certificate)
            answer = browser.login(name, next="/page.html")
            assert (answer.status_code, answer.headers["Location"]) == (303, "/page.html")
            cookies = {(cookie.name, cookie.secure) for cookie in browser.http.cookies}
            assert cookies == {("__Host-onesession", True), ("__Secure-onesession_device", True)}
            web.secrets.update(cookie.value for cookie in browser.http.cookies)
        assert other.me().headers["Remote-User"] == name
        if server_name != "haproxy":
            assert web.shows_page(other.get("/page.html"))
            assert web.identity(web.last())[0] == name
            assert is_turned_away(web, person.get("/page.html"))
            keeps_its_own_cookie(web, other)


# ---- A site that an operator has added to ----------------------------------------------------------------------------

MORE = {
    "nginx": ("\tserver_name example.org;\n", "\tlocation /folder/ {\n\t\tautoindex on;\n\t}\n"),
    "apache": ("\tServerName example.org\n", '\t<Location "/folder/">\n\t\tHeader set X-More yes\n\t</Location>\n'),
    "lighttpd": (
        "# Open to everyone, as an example.\n",
        '$HTTP["url"] =~ "^/folder/" {\n\tsetenv.add-response-header = ( "X-More" => "yes" )\n}\n',
    ),
    "caddy": ("\t\tfile_server\n", "\t\thandle /folder/* {\n\t\t\tfile_server browse\n\t\t}\n"),
}


@pytest.mark.parametrize("server_name", SERVERS)
def test_location_that_is_added_is_guarded_too(request, cluster_of_worker, browse, server_name):
    def make_server(daemon, kind, application):
        server = SERVERS[server_name](daemon, kind, application)
        before, more = MORE[server_name]
        server.changes[before] = before + more
        return server

    with running(request.node, cluster_of_worker, server_name, make_server, "static") as web:
        person = browse(web, program=False)
        assert is_turned_away(web, person.get("/folder/"))
        assert is_turned_away(web, person.get("/folder/index.html"))
        person.sign_in(web.new_user())
        assert web.shows_page(person.get("/folder/"))


# Rules of an operator's that stand before ours. APACHE_CONF has those of a new installation.
APACHE_RULES = """\
	<Location "/staff/">
		Require all denied
	</Location>
	<Location "/near/">
		Require ip 127.0.0.1
	</Location>
	<Directory "{root}/kept">
		Require all denied
	</Directory>
	<Directory "{root}/judged">
		AllowOverride AuthConfig
	</Directory>
"""
# And behind ours: three as the sample says, and one that leaves out what it says.
APACHE_LATER = """\
	<Location "/far/">
		AuthMerging And
		Require ip 192.0.2.1
	</Location>
	<Location "/here/">
		AuthMerging And
		Require ip 127.0.0.1
	</Location>
	<If "%{REQUEST_URI} =~ m#^/if/#">
		AuthMerging And
		Require ip 127.0.0.1
	</If>
	<Location "/forgotten/">
		Require ip 127.0.0.1
	</Location>
"""
# To everybody: whoever is signed in gets the same answer as anybody else.
DENIED = ["/staff/page.html", "/far/page.html", "/server-status?auto"]
DENIED_FILES = ["/.htpasswd", "/folder/.htaccess", "/.well-known/.htpasswd", "/kept/page.html", "/judged/page.html"]


@pytest.mark.parametrize("kind", APPLICATIONS)
def test_rules_of_apaches_own_hold_beside_the_guard(request, cluster_of_worker, browse, kind):
    def make_server(daemon, kind, application):
        server = SERVERS["apache"](daemon, kind, application)
        rules = APACHE_RULES
        if kind == "static":
            for folder in ("staff", "near", "kept", "judged", "far", "here", "if", "forgotten"):
                (application.root / folder).mkdir()
                (application.root / folder / "page.html").write_text(applications.PAGE)
            for name in (".htpasswd", "folder/.htaccess", ".well-known/.htpasswd"):
                (application.root / name).write_text("")
            (application.root / "judged/.htaccess").write_text("Require user ada\n")
            rules = rules.format(root=application.root)
        else:
            rules = rules.partition("\t<Directory")[0]
        server.changes["\tServerName example.org\n"] = "\tServerName example.org\n" + rules
        server.changes["</VirtualHost>\n"] = APACHE_LATER + "</VirtualHost>\n"
        return server

    with running(request.node, cluster_of_worker, "apache", make_server, kind) as web:
        web.database.add_user("ada")
        guarded = ("/page.html", "/near/page.html", "/here/page.html", "/if/page.html")
        person, stranger, ada = (browse(web, program=False) for _ in range(3))
        person.sign_in(web.new_user())
        ada.sign_in("ada")
        count = len(web.application.seen)
        for path in DENIED + DENIED_FILES * (kind == "static"):
            assert stranger.get(path).status_code in (303, 403), path
            assert person.get(path).status_code == 403, path
        for path in guarded:
            assert is_turned_away(web, stranger.get(path)), path
        assert len(web.application.seen) == count
        for path in guarded:
            assert web.shows_page(person.get(path)), path
        assert web.shows_page(ada.get("/judged/page.html"))
        assert web.shows_page(stranger.get("/forgotten/page.html"))
        assert stranger.get("/robots.txt").status_code == 200
        assert stranger.get("/.well-known/acme-challenge/proof").status_code == 200

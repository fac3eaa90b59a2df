"""
LemonLDAP::NG, Debian's lemonldap-ng-fastcgi-server: a FastCGI server that nginx calls by auth_request, configured to keep
an account to one session (singleSession). In two ways: with its defaults and caches, and as strict as onesession.
"""

import hashlib
import json
import re
from pathlib import Path

from contestants import PASSWORD, Service, page, verify_own_cookies
from load import sign_in
from machine import HERE, Failure, program
from support.replication import Bouncer

PORTAL = Path("/usr/share/lemonldap-ng/portal/htdocs")
COOKIE = "lemonldap"


def session_id(number):
    return hashlib.sha256(f"lemonldap{number}".encode()).hexdigest()


SESSION_ID_SQL = "encode(sha256(convert_to('lemonldap' || i, 'UTF8')), 'hex')"


class LemonLdap(Service):
    """
    With a configuration and caches of its own, as on a host of its own. `strict`: without the caches, so that each
    request queries the database, and with pgbouncer, for without it each request makes a connection of its own.
    """

    def __init__(self, bench, name, database=None, strict=False):
        super().__init__(bench, name, database)
        self.strict = strict
        self.folder = self.pool = None

    @property
    def nginx(self):
        """As in its manual, except that the portal is below the guarded site instead of on a host of its own."""
        common = {
            "REQUEST_METHOD": "$request_method",
            "REQUEST_URI": "$request_uri",
            "QUERY_STRING": "$query_string",
            "CONTENT_TYPE": "$content_type",
            "SERVER_PROTOCOL": "$server_protocol",
            "SERVER_NAME": "$server_name",
            "SERVER_PORT": "$server_port",
            "REMOTE_ADDR": "$remote_addr",
            "HTTP_HOST": "$host",
        }
        guard = {**common, "CONTENT_LENGTH": '""', "HOST": "$http_host", "X_ORIGINAL_URI": "$original_uri"}
        portal = {
            **common,
            "CONTENT_LENGTH": "$content_length",
            "LLTYPE": "psgi",
            "SCRIPT_FILENAME": PORTAL / "index.psgi",
            "SCRIPT_NAME": "/portal",
            "PATH_INFO": "$portal_path",
        }

        def passed(parameters):
            lines = "".join(f"fastcgi_param {name} {value}; " for name, value in parameters.items())
            return f"fastcgi_pass unix:{self.socket}; {lines}"

        signed_in = (
            "set $original_uri $uri$is_args$args; auth_request_set $user $upstream_http_lm_remote_user;"
            " auth_request_set $portal $upstream_http_location; error_page 401 $portal; add_header Remote-User $user;"
        )
        return (
            f"location = /lmauth {{ internal; fastcgi_pass_request_body off; {passed(guard)}}}\n"
            f"location ~ ^/portal(?<portal_path>/.*)$ {{ {passed(portal)}}}\n" + page(self.bench, "/lmauth", signed_in)
        )

    def _configuration(self):
        """All else has its default. No password is hashed and signing in writes one row, which is in its favour."""
        data_source = f"dbi:Pg:dbname={self.database};host={self.bench.home.sockets}"
        pooled = self.pool and f"dbi:Pg:{self.pool.conninfo(self.database, self.bench.server.DAEMON).replace(' ', ';')}"
        without_caches = {"localSessionStorage": "", "handlerInternalCache": 0}
        with_caches = {
            "localSessionStorage": "Cache::FileCache",
            "localSessionStorageOptions": {
                "cache_depth": 3,
                "cache_root": f"{self.folder}/cache",
                "default_expires_in": 600,
                "directory_umask": "007",
                "namespace": "lemonldap-ng-sessions",
            },
        }
        return {
            "cfgNum": 1,
            "cfgDate": 1,
            "key": "for the benchmark only",
            "domain": self.name,
            "portal": f"http://{self.name}/portal/",
            "cookieName": COOKIE,
            "singleSession": 1,
            "authentication": "DBI",
            "userDB": "Same",
            "passwordDB": "Null",
            "dbiAuthChain": data_source,
            "dbiAuthUser": self.bench.server.DAEMON,
            "dbiAuthTable": "account",
            "dbiAuthLoginCol": "username",
            "dbiAuthPasswordCol": "password",
            "macros": {"_whatToTrace": "lc($_user)"},
            "whatToTrace": "_whatToTrace",
            "locationRules": {self.name: {"default": "accept"}},
            "globalStorage": "Apache::Session::Browseable::PgJSON",
            "globalStorageOptions": {
                "DataSource": pooled or data_source,
                "UserName": self.bench.server.DAEMON,
                "Commit": 1,
                "generateModule": "Lemonldap::NG::Common::Apache::Session::Generate::SHA256",
            },
            # No captchas, so the library that draws them (ImageMagick) is not loaded.
            "captcha": "::Main::Plugin",
            "requireToken": 0,
            "loginHistoryEnabled": 0,
            "disablePersistentStorage": 1,
            **(without_caches if self.strict else with_caches),
        }

    def _make_database(self):
        """The table of sessions, with its indexes, is the one in the manual of Apache::Session::Browseable::PgJSON."""
        server = self.bench.server
        server.make(self.database)
        server.query(
            self.database,
            f"SET ROLE {server.DAEMON};"
            "CREATE UNLOGGED TABLE sessions (id varchar(64) NOT NULL PRIMARY KEY, a_session jsonb);"
            "CREATE INDEX uid1 ON sessions USING btree ((a_session ->> '_whatToTrace'));"
            "CREATE INDEX s1 ON sessions ((a_session ->> '_session_kind'));"
            "CREATE INDEX u1 ON sessions (((a_session ->> '_utime')::bigint));"
            "CREATE INDEX ip1 ON sessions USING btree ((a_session ->> 'ipAddr'));"
            "CREATE TABLE account (username text PRIMARY KEY, password text NOT NULL);"
            "INSERT INTO account SELECT 'u' || i, %s FROM generate_series(1, %s) i",
            (PASSWORD, self.bench.options.sessions + 1),
        )

    def start(self):
        bench = self.bench
        if self.owns_database:
            self._make_database()
        if self.strict:
            self.pool = Bouncer(bench.server, default_pool_size=bench.options.workers).start()
        self.folder = bench.home.folder(self.name)
        for name in ("conf", "cache"):
            bench.home.folder(f"{self.name}/{name}")
        bench.home.file(f"{self.name}/conf/lmConf-1.json", json.dumps(self._configuration(), indent=1))
        text = (HERE / "lemonldap/lemonldap-ng.ini.in").read_text(encoding="utf-8")
        ini = bench.home.file(f"{self.name}/lemonldap-ng.ini", text.replace("@HOME@", str(self.folder)))
        self.launch(
            [program("llng-fastcgi-server"), "--foreground", f"--proc={bench.options.workers}"]
            + [f"--socket={self.socket}", f"--pid={self.folder}/pid"],
            env=bench.home.environment(
                LLNG_DEFAULTCONFFILE=ini, LLNG_DEFAULTLOGGER="Lemonldap::NG::Common::Logger::Std"
            ),
        )

    def stop(self):
        super().stop()
        if self.pool is not None:
            self.pool.close()
            self.pool = None

    @property
    def roots(self):
        return super().roots + ([self.pool.process.pid] if self.pool is not None else [])

    def log_in(self, user):
        return sign_in(
            self.bench.web.port, self.name, "/portal/", name=COOKIE, ok=(200, 302), user=user, password=PASSWORD
        )

    def live(self, cookies):
        return self.rows("sessions", "id", cookies)

    def words(self, text):
        """Its page has the number of a message, whose text a script inserts."""
        found = re.search(r'trmsg="(\d+)"', text)
        sentences = json.loads((PORTAL / "static/languages/en.json").read_text(encoding="utf-8"))
        return sentences[f"PE{found[1]}"] if found else super().words(text)

    def _fill(self):
        """Sessions for u1 to uN, copies of that of u1, which is signed in."""
        first = self.log_in("u1").partition("=")[2]
        count = self.bench.server.query(
            self.database,
            "INSERT INTO sessions SELECT s.id, a_session || jsonb_build_object('_session_id', s.id, '_user', s.name,"
            "                                                                  '_whatToTrace', s.name)"
            f" FROM sessions, (SELECT {SESSION_ID_SQL} AS id, 'u' || i AS name FROM generate_series(1, %s) i) s"
            " WHERE sessions.id = %s RETURNING 1",
            (self.bench.options.sessions, first),
        )
        if not count:
            raise Failure("a login at LemonLDAP::NG has stored no session")
        self.bench.server.query(self.database, "DELETE FROM sessions WHERE id = %s", (first,))
        self.bench.server.settle(self.database)

    def verify(self):
        self._fill()
        cookies = [f"{COOKIE}={session_id(number + 1)}" for number in range(self.bench.options.sessions)]
        verify_own_cookies(self, cookies, COOKIE, "/page")
        user = f"u{len(cookies) + 1}"
        old, new = self.log_in(user), self.log_in(user)
        if self.strict:
            self.require("/page", old, None)
        left = self.bench.server.query(
            self.database, "SELECT id FROM sessions WHERE a_session ->> '_whatToTrace' = %s", (user,)
        )
        if left != [(new.partition("=")[2],)]:
            raise Failure(f"after a second sign-in the account has {len(left)} sessions")
        self.require("/page", new, user)
        self.bench.cookies(self.name, cookies)
        if not self.strict:
            # Fills the cache, as it would be after a while.
            for number, cookie in enumerate(cookies, 1):
                self.require("/page", cookie, f"u{number}")

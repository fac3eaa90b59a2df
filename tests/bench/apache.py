"""Apache as a contestant."""

import hashlib
import os
from pathlib import Path

from contestants import PASSWORD, PortService, verify_own_cookies
from load import sign_in
from machine import HERE, filled, program


class ApacheServer(PortService):
    """event MPM, and mod_dbd with connections to `database`."""

    MODULES = "mpm_event authn_core authz_core dbd"

    def serve(self, home, site, modules=""):
        """With `site` in its configuration, and `modules` beside the usual ones. `home` is a folder of its own."""
        bench = self.bench
        folder = Path("/usr/lib/apache2/modules")
        processes = os.cpu_count()
        threads = max(2 * bench.options.connections // processes, 8)
        words = f"{self.MODULES} {modules}".split()
        values = {
            "HOME": home,
            "PORT": self.port,
            "LOG": bench.home.log / f"{self.name}.log",
            "MODULES": "\n".join(f"LoadModule {word}_module {folder}/mod_{word}.so" for word in words),
            "PROCESSES": processes,
            "THREADS": threads,
            "ALL_THREADS": threads * processes,
            "CONNINFO": f"host={bench.home.sockets} dbname={self.database} user={bench.server.DAEMON}",
            "CONNECTIONS": max(bench.options.workers // processes, 1),
            "SITE": site.replace("@HOME@", str(home)),
        }
        text = filled("apache/httpd.conf.in", values)
        self.launch([program("apache2"), "-D", "FOREGROUND", "-f", bench.home.file(home / "httpd.conf", text)])


class Apache(ApacheServer):
    """It does not keep accounts to one session: it does less than the others, which is in its favour."""

    def start(self):
        bench = self.bench
        home = bench.home.folder("apache")
        (home / "site").mkdir()
        (home / "site/auth").write_text("")
        bench.server.make(self.name)
        bench.server.query(
            self.name,
            f"SET ROLE {bench.server.DAEMON};"
            "CREATE TABLE session (key text PRIMARY KEY, value text NOT NULL, expiry bigint NOT NULL);"
            "CREATE TABLE account (username text PRIMARY KEY, password text NOT NULL);"
            # SHA-1 without salt, so that it is Apache that is measured and no hash.
            "INSERT INTO account SELECT 'u' || i, '{SHA}' || encode(%s::bytea, 'base64') FROM generate_series(1, %s) i",
            (sha1(PASSWORD), bench.options.sessions),
        )
        site = (HERE / "apache/sessions.conf.in").read_text()
        self.serve(home, site, "authz_user auth_form authn_dbd request session session_dbd headers")

    def _log_in(self, number):
        return sign_in(
            self.bench.web.port,
            self.name,
            name="session",
            httpd_username=f"u{number}",
            httpd_password=PASSWORD,
            ok=(302, 303, 307),
        )

    def verify(self):
        cookies = [self._log_in(number + 1) for number in range(self.bench.options.sessions)]
        verify_own_cookies(self, cookies, "session")
        # It does not displace sessions; but a deleted session is refused.
        gone = self._log_in(1)
        self.require("/auth", gone, "u1")
        self.bench.server.query(self.name, "DELETE FROM session WHERE key = %s", (gone.partition("=")[2],))
        self.require("/auth", gone, None)
        self.bench.cookies(self.name, cookies)
        self.bench.server.settle(self.name)


def sha1(text):
    return hashlib.sha1(text.encode()).digest()

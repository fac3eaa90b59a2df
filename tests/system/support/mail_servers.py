"""Postfix and OpenSMTPD as tools/mail-servers has unpacked them: private ones, in a mount namespace of their own."""

import base64
import email
import email.policy
import os
import socket

import pytest

from support.listening import stop_taking, take_connections
from support.processes import ROOT, discard, end, free_port, scratch, spawn, tail
from support.services import make_certificate
from support.waiting import wait_until

UNPACKED = ROOT / "build/mail-servers"
USER, PASSWORD = "onesession", "the word for the mail server"
KNOWN = ("alice", "bob", "carol", "caroline")


class MailServer:
    """It sees its own files in /usr and /etc, whatever this machine has there."""

    def __init__(self, name):
        self.root = UNPACKED / name
        if not self.root.exists():
            pytest.skip(f"{name} is not unpacked (tools/mail-servers)")
        if os.geteuid() != 0:
            pytest.skip("takes root")
        self.folder = scratch("mta")
        self.folder.chmod(0o755)
        self.mails_folder = self.folder / "mails"
        self.mails_folder.mkdir(mode=0o777)
        self.mails_folder.chmod(0o777)
        (self.folder / "etc").mkdir()
        self.log = self.folder / "log"
        self.log.touch()
        self.port = free_port()
        self.key, self.certificate = make_certificate(self.folder)
        self.process = None

    def start(self, command):
        script = "\n".join([
            f"mount -t overlay -o lowerdir={self.root}/usr:/usr overlay /usr",
            f"mount -t overlay -o lowerdir={self.folder}/etc:/etc overlay /etc",
            *command,
        ])
        self.process = spawn(["unshare", "--mount", "--propagation", "private", "sh", "-ec", script], self.log)
        wait_until(self._answers, f"the mail server to answer:\n{tail(self.log)}")
        return self

    def _answers(self):
        assert self.process.poll() is None, f"the mail server ended:\n{tail(self.log)}"
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                return connection.recv(4) == b"220 "
        except OSError:
            return False

    def mails(self):
        """Those that have arrived."""
        paths = [path for path in self.mails_folder.rglob("*") if path.is_file() and "/tmp/" not in str(path)[len(str(self.folder)):]]
        return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]

    def settings(self, **more):
        return {
            "mail.server": f"smtp://localhost:{self.port}",
            "mail.from": "Example <noreply@example.org>",
            "mail.site_url": "https://www.example.org",
            "mail.per_domain": 0,
            "mail.per_recipient": 0,
            **{f"mail.{key}": value for key, value in more.items()},
        }

    def close(self):
        if self.process is not None:
            end(self.process)
        discard(self.folder)


class Passwords:
    """What Postfix asks whether a password is right, by the protocol of Dovecot: the one it has without further packages."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        take_connections(self.listener, self._serve)

    def _serve(self, connection, _):
        with connection, connection.makefile("rw", newline="\n") as stream:
            stream.write(f"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t{'0' * 32}\nDONE\n")
            stream.flush()
            for line in stream:
                words = line.rstrip("\n").split("\t")
                if words[0] not in ("AUTH", "CONT"):
                    continue
                given = words[2] if words[0] == "CONT" else next((word[5:] for word in words if word.startswith("resp=")), None)
                if given is None:
                    stream.write(f"CONT\t{words[1]}\t\n")
                    stream.flush()
                    continue
                is_right = base64.b64decode(given).decode().split("\0")[1:] == [USER, PASSWORD]
                stream.write(f"{'OK' if is_right else 'FAIL'}\t{words[1]}\tuser={USER}\n")
                stream.flush()

    def close(self):
        stop_taking(self.listener)


POSTFIX_SERVICES = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix(MailServer):
    """STARTTLS, and AUTH by it, without which it takes nothing; of example.net it knows KNOWN."""

    def __init__(self):
        super().__init__("postfix")
        self.passwords = Passwords()
        folder = self.folder / "conf"
        folder.mkdir()
        for name in ("queue", "data"):
            (self.folder / name).mkdir(mode=0o755)
        os.chown(self.mails_folder, 65534, 65534)
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": self.folder / "queue",
            "data_directory": self.folder / "data",
            "command_directory": "/usr/sbin",
            "daemon_directory": "/usr/lib/postfix/sbin",
            "shlib_directory": "/usr/lib/postfix",
            "meta_directory": folder,
            # Users that each Debian has, and that nobody runs anything as.
            "mail_owner": "proxy",
            "setgid_group": "man",
            "myhostname": "localhost",
            "mydestination": "",
            "alias_maps": "",
            "inet_protocols": "ipv4",
            "virtual_mailbox_domains": "example.net",
            "virtual_mailbox_maps": "inline:{" + ",".join(f"{{{name}@example.net={name}/}}" for name in KNOWN) + "}",
            "virtual_mailbox_base": self.mails_folder,
            "virtual_uid_maps": "static:65534",
            "virtual_gid_maps": "static:65534",
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject",
            "smtpd_recipient_restrictions": "reject_unauth_destination, reject_unlisted_recipient",
            "smtpd_tls_security_level": "may",
            "smtpd_tls_auth_only": "yes",
            "smtpd_tls_cert_file": self.certificate,
            "smtpd_tls_key_file": self.key,
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": f"inet:127.0.0.1:{self.passwords.port}",
            "maillog_file": "/dev/stdout",
        }
        (folder / "main.cf").write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        (folder / "master.cf").write_text(POSTFIX_SERVICES.format(port=self.port).lstrip())
        for name in ("postfix-files", "postfix-script", "post-install"):
            for source in (self.root / "etc/postfix" / name, self.root / "usr/lib/postfix/sbin" / name):
                if source.exists() and not (folder / name).exists():
                    (folder / name).write_bytes(source.read_bytes())
                    (folder / name).chmod(0o755)
        os.chown(self.folder / "data", 13, 0)
        self.start([f"/usr/sbin/postfix -c {folder} check", f"exec /usr/lib/postfix/sbin/master -s -c {folder}"])

    def settings(self, **more):
        password = self.folder / "password"
        password.write_text(PASSWORD + "\n")
        return super().settings(
            **{"tls": "required", "ca_file": self.certificate, "user": USER, "password_file": password, **more}
        )

    def close(self):
        super().close()
        self.passwords.close()


OPENSMTPD = """
table nobody {{ "@" = "nobody" }}
listen on 127.0.0.1 port {port} hostname localhost
action "deliver" mda "cat > {mails}/$$" virtual <nobody>
match from any for domain "example.net" action "deliver"
"""


class OpenSmtpd(MailServer):
    """Without TLS, which in Debian 12 it cannot do (it was not made for OpenSSL 3), and so without AUTH."""

    def __init__(self):
        super().__init__("opensmtpd")
        conf = self.folder / "smtpd.conf"
        conf.write_text(OPENSMTPD.format(port=self.port, mails=self.mails_folder))
        for name, line in (("passwd", "{0}:x:{1}:{1}::/nonexistent:/bin/false\n"), ("group", "{0}:x:{1}:\n")):
            known = open(f"/etc/{name}", encoding="utf-8").read()
            added = "".join(line.format(*user) for user in (("opensmtpd", 64901), ("opensmtpq", 64902)))
            (self.folder / "etc" / name).write_text(known + added)
        self.start([
            "mount -t tmpfs tmpfs /var/spool",
            "mkdir -m 711 /var/spool/smtpd",
            "mount -t tmpfs tmpfs /var/lib",
            "mkdir -p -m 755 /var/lib/opensmtpd/empty",
            "mount -t tmpfs tmpfs /run",
            f"exec /usr/sbin/smtpd -d -f {conf}",
        ])

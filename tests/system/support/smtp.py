"""A mail server of the tests' own, which goes wrong as it is told to, and the module tests/modules/mailer.c."""

import base64
import email
import email.policy
import re
import socket
import threading
import time

from support.listening import stop_taking, take_connections
from support.processes import BUILD
from support.waiting import wait_until

MAILER = BUILD / "tests/mailer.so"
STEPS = ("CONNECT", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BODY")
# What a fault may be besides a reply such as "451 later": nothing is said, the connection is cut off, or both are done
# after the message was taken.
SILENCE, CUT, TAKEN_SILENCE, TAKEN_CUT = "silence", "cut", "taken and silence", "taken and cut"


class Mail:
    """One that was taken."""

    def __init__(self, session, raw):
        self.sender, self.recipients, self.raw = session.sender, list(session.recipients), raw
        self.user, self.is_by_tls, self.connection = session.user, session.is_by_tls, session.number
        self.mail_options = session.mail_options
        self.at = time.monotonic()

    @property
    def message(self):
        return email.message_from_bytes(self.raw, policy=email.policy.default)

    @property
    def id(self):
        return re.search(rb"(?im)^Message-ID: <(.*)>\r$", self.raw)[1].decode()

    def part(self, kind):
        return self.message.get_body((kind,)).get_content().replace("\r\n", "\n")

    @property
    def text(self):
        return self.part("plain")

    @property
    def has_link(self):
        return "?token=" in self.text

    @property
    def token(self):
        return re.search(r"\?token=([A-Za-z0-9_-]{43})\s", self.text)[1]

    @property
    def has_code(self):
        return re.search(r"^\d{8}$", self.text, re.M) is not None

    @property
    def code(self):
        return re.search(r"^(\d{8})$", self.text, re.M)[1]


class Session:
    """A connection."""

    def __init__(self, server, number, connection):
        self.server, self.number, self.connection = server, number, connection
        self.incoming = connection.makefile("rb")
        self.user, self.is_by_tls = None, server.tls_from_start
        self.sender, self.recipients, self.mail_options = None, [], ""

    def say(self, *lines):
        said = [f"{line[:3]}{'-' if at < len(lines) - 1 else ' '}{line[4:]}\r\n" for at, line in enumerate(lines)]
        self.connection.sendall("".join(said).encode())

    def line(self):
        return self.incoming.readline(4096).decode(errors="replace").rstrip("\r\n")

    def fails(self, step):
        """Whether the server goes wrong at this step; then nothing more is said for it."""
        fault = self.server.fault(step, self)
        if fault is None or fault in (TAKEN_SILENCE, TAKEN_CUT):
            return False
        if fault == SILENCE:
            self.server.until_closed(self.connection)
            raise EOFError
        if fault == CUT:
            raise EOFError
        self.say(fault)
        return True

    def serve(self):
        if self.fails("CONNECT"):
            return
        self.say("220 mail.test ESMTP")
        while (line := self.line()) != "":
            self.server.lines.append((self.number, line))
            word = line.partition(" ")[0].upper()
            if word == "QUIT":
                self.say("221 bye")
                return
            if not self.fails("EHLO" if word == "HELO" else word):
                getattr(self, "do_" + word.lower(), self.do_unknown)(line)

    def do_unknown(self, line):
        self.say(f"502 {line.partition(' ')[0]} is not known here")

    def do_ehlo(self, line):
        del line
        server = self.server
        offers = ["250 mail.test", "250 SIZE 1000000", "250 8BITMIME"]
        if server.context is not None and not self.is_by_tls and server.offers_starttls:
            offers.append("250 STARTTLS")
        if server.users and (self.is_by_tls or server.context is None):
            offers.append("250 AUTH PLAIN LOGIN")
        if server.takes_utf8:
            offers.append("250 SMTPUTF8")
        self.say(*offers)

    def do_starttls(self, line):
        del line
        self.say("220 go ahead")
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.incoming = self.connection.makefile("rb")
        self.is_by_tls = True

    def do_auth(self, line):
        words = line.split()
        if words[1] == "PLAIN":
            given = words[2] if len(words) > 2 else self.ask("")
            _, user, password = base64.b64decode(given).decode().split("\0")
        else:
            user = base64.b64decode(words[2] if len(words) > 2 else self.ask("VXNlcm5hbWU6")).decode()
            password = base64.b64decode(self.ask("UGFzc3dvcmQ6")).decode()
        if self.server.users.get(user) == password:
            self.user = user
            self.say("235 welcome")
        else:
            self.say("535 5.7.8 authentication failed")

    def ask(self, what):
        self.say(f"334 {what}")
        return self.line()

    def do_mail(self, line):
        self.sender, self.recipients = re.search(r"<(.*?)>", line)[1], []
        self.mail_options = line.partition(">")[2]
        self.say("250 fine")

    def do_rcpt(self, line):
        self.recipients.append(re.search(r"<(.*?)>", line)[1])
        self.say("250 fine")

    def do_rset(self, line):
        del line
        self.sender, self.recipients = None, []
        self.say("250 fine")

    def do_noop(self, line):
        del line
        self.say("250 fine")

    def do_data(self, line):
        del line
        self.say("354 go ahead")
        raw = b""
        while not (raw == b".\r\n" or raw.endswith(b"\r\n.\r\n")):
            more = self.incoming.readline()
            if not more:
                raise EOFError
            raw += more
        raw = re.sub(rb"(?m)^\.", b"", raw[:-3])
        if self.fails("BODY"):
            return
        self.server.take(Mail(self, raw))
        fault = self.server.fault("BODY", self)
        if fault == TAKEN_SILENCE:
            self.server.until_closed(self.connection)
        if fault is not None:
            raise EOFError
        self.say("250 taken")


class SmtpServer:
    """
    faults: by step, a reply, SILENCE and so on, or a function of the session that returns one or None. What it has taken
    is in `mails`.
    """

    def __init__(self, context=None, users=None, tls_from_start=False, faults=None, port=0):
        self.context, self.users, self.tls_from_start = context, users or {}, tls_from_start
        self.faults = faults or {}
        self.offers_starttls, self.takes_utf8 = True, False
        # Before a mail is taken: how long, and a threading.Barrier.
        self.delay, self.together = 0, None
        self.mails, self.lines, self.connections = [], [], []
        self.is_closing = False
        self.lock = threading.Lock()
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        take_connections(self.listener, self._serve)

    def fault(self, step, session):
        fault = self.faults.get(step)
        return fault(session) if callable(fault) else fault

    def take(self, mail):
        if self.together is not None:
            self.together.wait()
        time.sleep(self.delay)
        with self.lock:
            self.mails.append(mail)

    def _serve(self, connection, number):
        self.connections.append(time.monotonic())
        self.open.add(connection)
        try:
            if self.tls_from_start:
                connection = self.context.wrap_socket(connection, server_side=True)
                self.open.add(connection)
            Session(self, number, connection).serve()
        except (OSError, EOFError):
            pass
        finally:
            self.open.discard(connection)
            # So that the other side learns of it, whoever else has a copy.
            for end in (lambda: connection.shutdown(socket.SHUT_RDWR), connection.close):
                try:
                    end()
                except OSError:
                    pass

    def until_closed(self, connection):
        connection.settimeout(0.2)
        while not self.is_closing:
            try:
                if connection.recv(4096) == b"":
                    return
            except (TimeoutError, socket.timeout):
                continue
            except OSError:
                return

    def await_mails(self, count=1, to=None):
        """So many at the least that were taken, to that address if one is given."""

        def taken():
            with self.lock:
                found = [mail for mail in self.mails if to is None or to in mail.recipients]
            return len(found) >= count and found

        return wait_until(taken, f"{count} mails to {to or 'anybody'}")

    def settings(self, **more):
        """Of a daemon that sends its mail here."""
        scheme = "smtps" if self.tls_from_start else "smtp"
        host = "localhost" if self.context is not None else "127.0.0.1"
        return {
            "mail.server": f"{scheme}://{host}:{self.port}",
            "mail.from": "Example <noreply@example.org>",
            "mail.site_url": "https://www.example.org",
            "mail.per_domain": 0,
            "mail.per_recipient": 0,
            "mail.timeout": "10s",
            **{f"mail.{key}": value for key, value in more.items()},
        }

    def close(self):
        if self.is_closing:
            return
        self.is_closing = True
        stop_taking(self.listener)
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

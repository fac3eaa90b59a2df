"""A daemon that writes mails, and a mail server of the tests' own."""

import json
import re

import pytest

from support.smtp import MAILER, SmtpServer


class Host:
    """A daemon with the module tests/modules/mailer.c."""

    def __init__(self, daemon):
        self.daemon = daemon

    def post(self, path, **fields):
        body = json.dumps({name: str(value) if type(value) is int else value for name, value in fields.items()}).encode()
        return self.daemon.ask(
            method="POST", path=f"/mailer/{path}", body=body, headers={"Content-Type": "application/json"}
        )

    def send(self, **fields):
        """Has to be written."""
        answer = self.post("send", **fields)
        assert answer.status == 200, answer.body


@pytest.fixture
def new_smtp(closing):
    return lambda *args, **kwargs: closing.add(SmtpServer(*args, **kwargs))


@pytest.fixture
def smtp(new_smtp):
    return new_smtp()


@pytest.fixture
def new_host(new_daemon):
    """new_host(smtp, settings of [mail]...): one that runs."""

    def make(smtp, settings=None, on=None, **mail):
        kwargs = {} if on is None else {"on": on}
        return Host(new_daemon({**smtp.settings(**mail), **(settings or {})}, modules=[MAILER], **kwargs).start())

    return make


@pytest.fixture
def verified(database):
    """alice and bob have addresses that were proved."""
    database.query(
        "UPDATE users SET email = username || '@example.net', email_verified_at = now() WHERE username IN ('alice', 'bob')"
    )
    return database


@pytest.fixture
def statements(cluster, database):
    """statements(call): which ones the workers have run meanwhile, by the server's own log."""
    cluster.execute(f"ALTER DATABASE {database.name} SET log_statement = 'all'")

    def of(call):
        workers = {
            str(pid) for (pid,) in database.query("SELECT pid FROM pg_stat_activity WHERE application_name = 'onesessiond'")
        }
        begin = cluster.log.stat().st_size
        call()
        with open(cluster.log, encoding="utf-8", errors="replace") as log:
            log.seek(begin)
            lines = [line for line in log if f" {database.name} {cluster.DAEMON} " in line]
        found = [re.search(r" (\d+) LOG:\s+(?:statement|execute (\w+)): ?(\w*)", line) for line in lines]
        return [one[2] or one[3] for one in found if one is not None and one[1] in workers]

    return of

"""Mail by a sendmail program."""

import os
import signal
import stat

import pytest

from support.processes import children_of, name_of
from support.tasks import jobs_process
from support.waiting import wait_until

PROGRAM = """#!/bin/sh
# What it is given, and how it ends: both beside it.
folder=$(dirname "$0")
name=$folder/mail.$$
printf '%s\\n' "$@" > "$name.arguments"
cat > "$name.tmp"
mv "$name.tmp" "$name.raw"
[ ! -e "$folder/slow" ] || sleep "$(cat "$folder/slow")"
[ ! -e "$folder/status" ] || { echo "said by the program" >&2; exit "$(cat "$folder/status")"; }
"""


class Program:
    def __init__(self, folder):
        folder.chmod(0o755)
        self.folder = folder
        self.path = folder / "sendmail"
        self.path.write_text(PROGRAM)
        self.path.chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)

    def mails(self):
        return [path.read_bytes() for path in self.folder.glob("mail.*.raw")]

    def arguments(self):
        return [path.read_text().splitlines() for path in self.folder.glob("mail.*.arguments")]

    def ends_with(self, status):
        (self.folder / "status").write_text(str(status))

    def settings(self, **more):
        return {
            "mail.server": f"sendmail:{self.path}",
            "mail.from": "noreply@example.org",
            "mail.site_url": "https://www.example.org",
            "mail.per_domain": 0,
            "mail.timeout": "10s",
            **{f"mail.{key}": value for key, value in more.items()},
        }


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path)


def states(database):
    return [row[0] for row in database.query("SELECT state FROM mails ORDER BY id")]


def test_program_gets_the_message_and_the_address(new_host, program, verified):
    host = new_host(program)
    host.send(login="alice", purpose="reset")
    host.send(to="-oQ/tmp@example.net")
    wait_until(lambda: states(verified) == ["sent", "sent"], "both to be sent")
    assert sorted(program.arguments()) == sorted(
        ["-i", "-f", "noreply@example.org", "--", to] for to in ("alice@example.net", "-oQ/tmp@example.net")
    )
    assert all(raw.startswith(b"Date: ") and b"\r\nTo: " in raw for raw in program.mails())


@pytest.mark.parametrize("status, event", [(75, "mail_deferred"), (67, "mail_dead"), (69, "mail_deferred"), (78, "mail_server_failed"), (127, "mail_server_failed")])
def test_exit_status_says_what_becomes_of_a_mail(new_host, program, verified, status, event):
    program.ends_with(status)
    host = new_host(program)
    host.send(login="alice")
    host.daemon.await_line(event, f"exit status {status}: said by the program")
    assert states(verified) == ["dead" if event == "mail_dead" else "queued"]


def test_program_that_does_not_end_is_ended(new_host, program, verified):
    (program.folder / "slow").write_text("600")
    host = new_host(program, timeout="1s")
    host.send(login="alice")
    host.daemon.await_line("mail_unconfirmed", "not ended within mail.timeout")


def test_program_that_is_not_there_is_told_at_start(new_daemon, program, ctl):
    daemon = new_daemon({**program.settings(), "mail.server": "sendmail:/no/such/program"})
    daemon.start(wait=None)
    assert daemon.wait() == 78
    assert "mail.server: /no/such/program: No such file" in daemon.log_text()


def test_operators_try_it(program, ctl):
    ctl.settings.update(program.settings())
    assert "Sent to x@example.net." in ctl.run("mail", "test", "x@example.net")
    program.ends_with(70)
    assert "exit status 70: said by the program" in ctl.refused("mail", "test", "x@example.net")


def test_process_that_starts_programs_is_replaced_when_it_has_died_and_no_mail_is_lost(new_host, program, verified):
    host = new_host(program)
    host.send(login="alice")
    wait_until(lambda: states(verified) == ["sent"], "the first one")
    (mailer,) = [pid for pid in children_of(jobs_process(host.daemon)) if name_of(pid) == "ones-mailer"]
    os.kill(mailer, signal.SIGKILL)
    host.send(login="bob", count=3)
    host.daemon.await_line("mailer_ended")
    wait_until(lambda: states(verified) == ["sent"] * 4, "the others")
    assert not host.daemon.lines_of("mail_deferred") and not host.daemon.lines_of("mail_dead")

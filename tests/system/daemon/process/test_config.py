"""The configuration: what is accepted, what is refused, and what is said about it."""

import os
import re
import shlex

import pytest

from support.commands import refused, run
from support.processes import ROOT
from support.programs import write_conf
from support.waiting import PATIENCE

# Section, key, default, as the contract has them.
DEFAULTS = {
    "mail.tls": "auto",
    "mail.per_recipient": "5/h",
    "mail.per_domain": "60",
    "api.clients": "127.0.0.1 ::1",
    "api.rate": "5000",
    "api.webhook_interval": "5s",
    "mail.timeout": "2m",
    "server.listen_mode": "0660",
    "server.prefix": "/session",
    "server.workers": "8",
    "server.guard_workers": "auto",
    "server.max_requests": "0",
    "server.request_timeout": "30s",
    "server.io_timeout": "5s",
    "server.shutdown_timeout": "30s",
    "server.max_body": "64KiB",
    "server.spool": "/var/lib/onesession/spool",
    "server.spool_max": "16GiB",
    "server.upload_rate": "4KiB",
    "server.operators": "127.0.0.1 ::1",
    "server.modules": "",
    "database.connect_timeout": "2s",
    "database.statement_timeout": "3s",
    "database.prepare": "on",
    "session.lifetime": "14d",
    "session.idle_timeout": "0",
    "session.touch_interval": "60s",
    "session.cookie_name": "onesession",
    "session.cookie_secure": "auto",
    "session.cookie_samesite": "lax",
    "session.cookie_persistent": "on",
    "session.key_from": "",
    "session.bearer": "off",
    "session.max_sessions": "1",
    "session.on_limit": "displace",
    "session.purge_interval": "5m",
    "session.history": "30d",
    "login.enabled": "on",
    "login.memory": "64MiB",
    "login.passes": "3",
    "login.max_hashing": "2",
    "login.attempts_per_user": "10",
    "login.attempts_per_address": "50",
    "login.attempts_window": "15m",
    "login.fresh": "10m",
    "sharing.takeovers": "5",
    "sharing.window": "1h",
    "sharing.action": "log",
    "sharing.cooldown": "15m",
    "access.require_parameter": "off",
    "accounts.signup": "closed",
    "accounts.email": "optional",
    "accounts.password_strength": "0",
    "accounts.reset_lifetime": "15m",
    "accounts.verify_lifetime": "1d",
    "accounts.invite_lifetime": "7d",
    "accounts.deletion_pause": "7d",
    "accounts.notices": "new_browser password_changed email_changed",
    "log.to": "stderr",
    "log.level": "info",
    "log.format": "text",
    "log.slow_request": "1s",
}
OTHERS = [
    "mail.server",
    "mail.ca_file",
    "mail.user",
    "mail.password_file",
    "mail.from",
    "mail.site_url",
    "server.listen",
    "server.listen_owner",
    "server.listen_group",
    "server.allowed_clients",
    "server.allowed_users",
    "server.user",
    "server.group",
    "database.conninfo",
    "login.default_next",
    "login.pages",
    "login.site_name",
    "login.name_label",
    "login.links",
    "access.upgrade_url",
    "access.confirm_url",
    "access.login_url",
]
SAME = {"60s": "1m", "60m": "1h"}


@pytest.fixture
def conf(tmp_path):
    """conf(text) writes a configuration file."""

    def write(text):
        path = tmp_path / "onesession.conf"
        path.write_text(text)
        return path

    return write


def dumped(*words):
    """What --dump prints, by "section.key"."""
    done = run(*words, "--dump")
    assert done.returncode == 0, done.stderr
    values, section = {}, None
    for line in done.stdout.splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = match[1]
        elif line:
            name, equals, value = line.partition("=")
            assert equals, line
            values[f"{section}.{name.strip()}"] = value.strip()
    return values


# ---- The command line ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["onesessiond", "onesessionctl"])
def test_help_and_version(program):
    for word in ("--help", "-h"):
        done = run(word, program=program)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("Usage:")
        assert "-c" in done.stdout and "-o" in done.stdout
    done = run("-V", program=program)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rf"{program} \d+(\.\d+)+\S*\n", done.stdout)


@pytest.mark.parametrize(
    "words",
    [
        ["--nonsense"],
        ["-x"],
        ["-c"],
        ["-o"],
        ["word"],
        ["-t", "word"],
    ],
)
def test_wrong_usage_is_64(words):
    done = run(*words)
    assert done.returncode == 64
    assert done.stdout == "" and done.stderr


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nonsense"],
        ["user"],
        ["user", "add"],
        ["user", "nonsense"],
        ["user", "list", "more"],
        ["user", "add", "one", "two"],
        ["user", "add", "x", "--limit", "many"],
        ["user", "add", "x", "--limit", "-1"],
        ["user", "list", "--all"],
        ["session"],
        ["session", "end"],
        ["session", "end", "--all", "--user", "alice"],
        ["session", "end", "--user"],
        ["session", "list", "--nonsense"],
        ["migrate", "now"],
        ["--nonsense", "migrate"],
        ["-c"],
    ],
)
def test_wrong_usage_of_onesessionctl_is_64(words):
    done = run(*words, program="onesessionctl")
    assert done.returncode == 64, done.stderr
    assert done.stdout == "" and done.stderr


# ---- Right -----------------------------------------------------------------------------------------------------------


def test_dump_shows_every_key_with_its_default(conf):
    values = dumped("-c", conf(""))
    assert set(values) == {*DEFAULTS, *OTHERS}
    assert {key: values[key] for key in DEFAULTS} == {key: SAME.get(value, value) for key, value in DEFAULTS.items()}


def test_every_default_may_be_written_down(conf):
    sections = {}
    for key, value in DEFAULTS.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, []).append(f"{name} = {value}")
    text = "\n".join(f"[{section}]\n" + "\n".join(lines) for section, lines in sections.items())
    assert dumped("-c", conf(text)) == dumped("-c", conf(""))


def test_dump_is_a_configuration_that_gives_the_same(conf):
    words = ["-o", "session.lifetime=90m", "-o", "login.memory=1536KiB", "-o", "server.listen=unix:/a tcp:[::1]:9000"]
    words += ["-o", "database.conninfo=host=/x dbname='a b' options='-c x=1'", "-o", "server.listen_mode=0600"]
    first = run("-c", conf(""), *words, "--dump").stdout
    assert run("-c", conf(first), "--dump").stdout == first
    assert "90m" in first and "1536KiB" in first


def test_override_goes_before_the_file_and_the_last_one_counts(conf):
    path = conf("[server]\nworkers = 3\n[session]\nlifetime = 1h\n")
    values = dumped("-c", path, "-o", "server.workers=4", "-o", "server.workers=5")
    assert values["server.workers"] == "5"
    assert values["session.lifetime"] == "1h"


def test_layout_of_the_file_is_free(conf):
    text = (
        "# a comment\n; another one\n\n[server]\nworkers=3\n  # indented comment\nprefix   =   /a/b   \n"
        "[session]\nlifetime = 2h ; a comment\n\n[server]\nmax_requests = 7\n[log]\nlevel = error"
    )
    values = dumped("-c", conf(text))
    assert (values["server.workers"], values["server.prefix"], values["server.max_requests"]) == ("3", "/a/b", "7")
    assert (values["session.lifetime"], values["log.level"]) == ("2h", "error")


def test_file_with_line_ends_of_windows(conf):
    path = conf("")
    path.write_bytes(b"[server]\r\nworkers = 3\r\n")
    assert dumped("-c", path)["server.workers"] == "3"


def test_sample_configuration_is_right_and_names_every_key():
    sample = ROOT / "conf/onesession.conf"
    assert dumped("-c", sample) == dumped("-c", "/dev/null")
    text = sample.read_text()
    for key in (*DEFAULTS, *OTHERS):
        assert re.search(rf"^[#;]?\s*{key.partition('.')[2]}\s*=", text, re.M), key


def test_test_says_that_all_is_well(database, conf):
    path = conf(f"[database]\nconninfo = {database.conninfo}\n")
    done = run("-c", path, "-t")
    assert (done.returncode, done.stderr) == (0, "")


# ---- Wrong -----------------------------------------------------------------------------------------------------------

WRONG = [
    ("server.workers", "0"),
    ("server.workers", "-1"),
    ("server.workers", "many"),
    ("server.workers", ""),
    ("server.workers", "3.5"),
    ("server.workers", "99999999999999999999999"),
    ("server.workers", "0x10"),
    ("server.listen", "unix:relative"),
    ("server.listen", "tcp:9000"),
    ("server.listen", "tcp:127.0.0.1:99999"),
    ("server.listen", "tcp:localhost"),
    ("server.listen", "http://127.0.0.1"),
    ("server.listen_mode", "0888"),
    ("server.listen_mode", "rw"),
    ("server.prefix", "session"),
    ("server.prefix", "/session/"),
    ("server.request_timeout", "30"),
    ("server.request_timeout", "0"),
    ("server.request_timeout", "30 s"),
    ("server.request_timeout", "-5s"),
    ("server.max_body", "64KB"),
    ("access.upgrade_url", "plans"),
    ("access.upgrade_url", "//example.org/plans"),
    ("access.upgrade_url", "http://example.org/plans"),
    ("access.upgrade_url", "https://"),
    ("access.upgrade_url", "https:///plans"),
    ("access.upgrade_url", "/plans#gold"),
    ("access.upgrade_url", "/pl ans"),
    ("access.upgrade_url", "/\\example.org"),
    ("access.upgrade_url", "javascript:alert(1)"),
    ("access.confirm_url", "login"),
    ("access.login_url", "http://example.org/login"),
    ("login.enabled", "sometimes"),
    ("access.require_parameter", "sometimes"),
    ("accounts.signup", "yes"),
    ("accounts.password_strength", "5"),
    ("accounts.reset_lifetime", "10s"),
    ("accounts.notices", "new_browser everything"),
    ("server.max_body", "lots"),
    ("database.prepare", "maybe"),
    ("session.lifetime", "0"),
    ("session.lifetime", "1y"),
    ("session.cookie_name", "a b"),
    ("session.cookie_name", "a;b"),
    ("session.cookie_name", ""),
    ("session.cookie_secure", "sometimes"),
    ("session.cookie_samesite", "Strictly"),
    ("session.on_limit", "explode"),
    ("session.key_from", "cookie"),
    ("session.key_from", "cookie a b"),
    ("session.key_from", "cookie a=b"),
    ("session.key_from", "header X-Key"),
    ("session.key_from", "Bearer"),
    ("session.bearer", "maybe"),
    ("login.memory", "1KiB"),
    ("login.passes", "0"),
    ("login.max_hashing", "0"),
    ("login.default_next", "http://example.com/"),
    ("login.default_next", "//example.com"),
    ("log.level", "loud"),
    ("log.format", "xml"),
    ("log.to", "relative/path"),
]


@pytest.mark.parametrize("key, value", WRONG)
def test_wrong_value_is_refused_with_its_place_and_what_would_be_right(conf, key, value):
    section, _, name = key.partition(".")
    path = conf(f"# first line\n[{section}]\n\n{name} = {value}\n")
    done = run("-c", path, "--dump")
    refused(done, f"{path}:4: ", name)
    assert done.stderr.count("\n") == 1
    text = done.stderr.split(f"{path}:4: ")[1]
    assert len(text.strip()) > len(name) + len(value) + 5, "it does not say what would be right"
    refused(run("-c", conf(""), "-o", f"{key}={value}", "--dump"), name)


@pytest.mark.parametrize(
    "line", ["nonsense = 1", "worker = 3", "Workers2 = 3", "nonsense", "= 3", "[server", "[nonsense]\nx = 1"]
)
def test_what_is_no_key_is_refused_with_its_place(conf, line):
    path = conf(f"[server]\nworkers = 3\n{line}\n")
    done = run("-c", path, "--dump")
    refused(done)
    assert re.search(rf"^{re.escape(str(path))}:[34]: ", done.stderr, re.M), done.stderr


def test_everything_that_is_wrong_is_told_at_once(conf):
    path = conf("[server]\nworkers = x\nnonsense = 1\n[session]\nlifetime = y\n")
    done = run("-c", path, "--dump")
    refused(done, f"{path}:2: ", f"{path}:3: ", f"{path}:5: ")


@pytest.mark.parametrize("override", ["nonsense", "server.workers", "server.nonsense=1", "workers=3", "=", "server.=1"])
def test_wrong_override_is_refused(conf, override):
    done = run("-c", conf(""), "-o", override, "--dump")
    assert done.returncode in (64, 78)
    assert done.stderr and done.stdout == ""


def test_file_that_cannot_be_read_is_refused(tmp_path):
    refused(run("-c", tmp_path / "missing", "--dump"), "missing")
    refused(run("-c", tmp_path, "--dump"), str(tmp_path))


def test_binary_file_is_refused(conf):
    path = conf("")
    path.write_bytes(bytes(range(256)) * 50)
    refused(run("-c", path, "--dump"))


def test_start_refuses_what_dump_refuses(conf):
    refused(run("-c", conf("[server]\nworkers = x\n")), "workers")
    refused(run("-c", conf("[server]\nworkers = x\n"), "-t"), "workers")
    refused(run("-c", conf("[server]\nworkers = x\n"), "migrate", program="onesessionctl"), "workers")


def test_password_in_the_connection_string_is_not_shown_in_a_complaint(conf):
    path = conf("[database]\nconninfo = password=open-sesame \x01\n")
    done = run("-c", path, "--dump")
    assert done.returncode == 78
    assert "open-sesame" not in done.stderr


def test_test_tells_that_the_database_is_away(tmp_path, conf):
    path = conf(f"[database]\nconninfo = host={tmp_path} dbname=x\n")
    done = run("-c", path, "-t")
    assert done.returncode == 1
    assert "database" in done.stderr.lower()


def test_test_tells_that_the_schema_is_missing(empty_database, conf):
    done = run("-c", conf(f"[database]\nconninfo = {empty_database.conninfo}\n"), "-t")
    assert done.returncode == 1
    assert "migrate" in done.stderr


@pytest.mark.parametrize("option, told", [("accounts.signup=open", "mail.server"), ("session.purge_interval=0", "onesessionctl purge")])
def test_test_warns_of_options_that_leave_people_without_what_they_are_promised(daemon, option, told):
    done = run(*daemon.command("-t")[1:], "-o", option)
    assert done.returncode == 0
    assert any(line.startswith("warning: ") and told in line for line in done.stdout.splitlines())


def test_test_warns_of_rights_that_migrate_has_not_given_yet(daemon, cluster, database):
    told = run(*daemon.command("-t")[1:])
    assert told.returncode == 0 and "rights" not in told.stdout
    database.query(
        f"REVOKE UPDATE (delete_at) ON users FROM {cluster.DAEMON}; REVOKE INSERT ON mails FROM {cluster.DAEMON};"
        f" REVOKE EXECUTE ON FUNCTION erase_account FROM {cluster.DAEMON}"
    )
    told = run(*daemon.command("-t")[1:])
    (warning,) = [line for line in told.stdout.splitlines() if "rights" in line]
    assert warning.startswith("warning: ") and f"migrate --grant {cluster.DAEMON}" in warning
    assert "to erase_account, mails, users.delete_at:" in warning
    assert told.returncode == 0


def test_test_opens_no_socket_and_leaves_a_running_daemon_alone(daemon):
    done = run(*daemon.command("-t")[1:])
    assert done.returncode == 0
    assert daemon.ask().status == 401


WRONG_HERE = {
    "server.user": ("nobody-of-that-name", 'server.user: there is no user "nobody-of-that-name"'),
    "server.group": ("no-such-group", 'server.group: there is no group "no-such-group"'),
    "server.listen_owner": ("nobody-of-that-name", 'server.listen_owner: there is no user "nobody-of-that-name"'),
    "server.listen_group": ("no-such-group", 'server.listen_group: there is no group "no-such-group"'),
    "log.to": ("/nonexistent/x.log", "log.to: /nonexistent/x.log: No such file or directory"),
}


@pytest.mark.parametrize("key", WRONG_HERE)
def test_test_finds_what_the_start_would_refuse(new_daemon, key):
    value, complaint = WRONG_HERE[key]
    if key in ("server.user", "server.group") and os.geteuid() != 0:
        pytest.skip("only root becomes somebody else")
    daemon = new_daemon({key: value})
    done = run(*daemon.command("-t")[1:])
    assert done.returncode == 1
    assert done.stderr == f"onesessiond: {complaint}\n"
    assert "right" not in done.stdout
    # As the start says it.
    daemon.start(wait=None)
    assert daemon.process.wait(PATIENCE) == 1
    if key != "log.to":
        assert complaint in daemon.log_text().replace('\\"', '"')


def test_test_warns_of_a_folder_that_is_missing_for_the_socket(new_daemon):
    """It is no error: systemd or spawn-fcgi may give a socket."""
    daemon = new_daemon({"server.listen": "unix:/nonexistent/folder/s"})
    done = run(*daemon.command("-t")[1:])
    assert done.returncode == 0
    assert "warning: server.listen: /nonexistent/folder: No such file or directory" in done.stdout
    daemon.start(wait=None)
    assert daemon.process.wait(PATIENCE) == 1
    assert "server.listen: /nonexistent/folder/s: No such file or directory" in daemon.log_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_test_of_root_connects_as_the_daemon_would(database, new_daemon):
    """Root's own rights in the database tell nothing of the daemon's."""
    conninfo = re.sub(r"user=\S+", "", database.conninfo)
    daemon = new_daemon({"server.user": "nobody", "database.conninfo": conninfo})
    done = run(*daemon.command("-t")[1:])
    assert done.returncode == 1
    assert 'role "nobody" does not exist' in done.stderr or "Permission denied" in done.stderr


# ---- The password of the database ------------------------------------------------------------------------------------

WITH_PASSWORD = {
    "host=db1,db2 port=5432 dbname=members user=ada password=canary": "host=db1,db2 port=5432 dbname=members user=ada",
    "host=db1 password = 'can\\'ary canary' dbname='two words'": "host=db1 dbname='two words'",
    "postgresql://ada:canary@db1:5433/members?sslmode=require": "host=db1 port=5433 dbname=members user=ada",
    "postgres://ada@db1/members?password=canary": "host=db1 dbname=members user=ada",
    "postgres://ada@db1/members?p%61ssword=canary": "host=db1 dbname=members user=ada",
    "postgresql://ada:c%61nary@[::1]/members": "host=::1 dbname=members user=ada",
    "host=db1 sslpassword=canary": "host=db1",
    "postgresql://ada:can@ary@db1/members": "",
    "postgresql://ada:x/canary@db1/members": "",
    "postgresql://ada:x?canary@db1/members": "",
    "postgresql://ada:x%canary@db1/members": "",
    "postgresql//ada:canary@db1/members": "",
    "dbname=postgresql://ada:canary@db1/members": "",
    "dbname=members password=a canary": "",
    "dbname=members passwort=canary": "",
    "dbname=members password='canary": "",
    "user=ada password=a port=canary": "user=ada",
    "user=ada password=a sslmode=canary": "user=ada",
}


@pytest.mark.parametrize("conninfo, shown", WITH_PASSWORD.items())
def test_dump_shows_no_piece_of_a_password_and_all_it_can_of_the_rest(tmp_path, conninfo, shown):
    done = run("-c", write_conf(tmp_path / "conf", {"database.conninfo": conninfo}), "--dump")
    assert done.returncode == 0 and "canary" not in done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("conninfo = ")]
    assert "can" not in line and "ary" not in line
    assert set(shlex.split(shown)) <= set(shlex.split(line)) and "..." in line


@pytest.mark.parametrize(
    "conninfo",
    ["", "members", "dbname=members user=ada@example.org", "postgresql://ada@db1,db2/members?sslmode=require"]
    + ["host=@abstract passfile=/etc/onesession/pgpass connect_timeout=3", "service=members"],
)
def test_dump_shows_a_connection_string_without_a_password_as_it_is(tmp_path, conninfo):
    done = run("-c", write_conf(tmp_path / "conf", {"database.conninfo": conninfo}), "--dump")
    assert f"\nconninfo = {conninfo}\n" in done.stdout


# Each, and a session.cookie_name with which it is one of the daemon's.
COOKIE_NAMES = {"onesession": "onesession", "__Host-onesession": "onesession", "onesession_device": "onesession",
                "onesession_language": "onesession", "session": "session"}


@pytest.mark.parametrize("name, why", [("onesession", ""), ("__Host-onesession", ""), ("onesession_device", ""),
                                       ("onesession_language", ""), ("session", "former name")])
def test_cookie_of_the_daemon_s_own_is_no_application_s(conf, name, why):
    path = conf(f"[log]\nlevel = info\n\n[session]\nkey_from = cookie {name}\n")
    done = run("-c", path, "-t")
    assert done.returncode == 78
    assert f"{path}:5: session.key_from: {name} is a cookie of the daemon's own" in done.stderr and why in done.stderr
    path = conf(f"[session]\nkey_from = cookie {name}\ncookie_name = account\n")
    assert run("-c", path, "--dump").returncode == 0
    # By -o there is no line to name.
    done = run("-c", path, "-o", f"session.key_from=cookie {name}", "-o", f"session.cookie_name={COOKIE_NAMES[name]}", "--dump")
    assert done.returncode == 78 and f"{path}: session.key_from" in done.stderr

"""What is installed: by make install, and as a Debian package, in a root of its own. The manual pages, too."""

import grp
import gzip
import json
import os
import re
import shutil
import signal
import stat
from pathlib import Path

import pytest

from support import fastcgi, nginx
from support.client import JSON
from support.installing import BUILT, VERSION, make, make_installed, one_at_a_time, run
from support.nginx import NGINX_CONF
from support.processes import BUILD, ROOT, discard, end, scratch, spawn, tail, uids_of
from support.programs import NOT_LISTENING
from support.waiting import wait_until

SERVERS = ["nginx", "apache", "lighttpd", "caddy", "haproxy", "prometheus", "grafana"]


@pytest.fixture
def folder():
    path = scratch("p")
    yield path
    discard(path)


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


# ---- make install ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", [None, "/opt/one"])
def test_install_puts_everything_below_prefix_and_uninstall_takes_it_away(folder, prefix):
    where = [f"DESTDIR={folder}", *([f"PREFIX={prefix}"] if prefix else [])]
    below = (prefix or "/usr/local").lstrip("/")
    make_installed("install", *where)
    found = files_below(folder)
    for name in (
        "sbin/onesessiond",
        "sbin/onesessionctl",
        "share/man/man8/onesessiond.8",
        "share/man/man8/onesessionctl.8",
        "share/man/man7/onesession.7",
        "share/man/man5/onesession.conf.5",
        "lib/systemd/system/onesession.service",
        "lib/systemd/system/onesession.socket",
        "lib/sysusers.d/onesession.conf",
        "lib/tmpfiles.d/onesession.conf",
        "share/onesession/schema/0001_accounts_and_sessions.sql",
        "share/onesession/schema/0002_policy.sql",
        "share/onesession/schema/0004_same_browser.sql",
        "share/bash-completion/completions/onesessionctl",
        "share/doc/onesession/account-life.md",
        "share/doc/onesession/imports.md",
        "share/doc/onesession/accounts.md",
        "share/doc/onesession/api.md",
        "share/doc/onesession/own-login.md",
        "share/doc/onesession/own-login.svg",
        "share/doc/onesession/examples/nginx/own-login.conf",
        "share/doc/onesession/examples/lighttpd/onesession-own-login.lua",
        "share/doc/onesession/openapi.json",
        "share/doc/onesession/webhooks.md",
        "share/doc/onesession/payments.md",
        "share/doc/onesession/examples/adapters/payments/stripe.py",
        "share/doc/onesession/examples/adapters/django/onesession/templates/onesession/refused.html",
        "share/doc/onesession/examples/adapters/php/onesession.php",
        "share/doc/onesession/examples/adapters/laravel/composer.json",
        "share/doc/onesession/examples/adapters/laravel/src/Guard.php",
        "share/doc/onesession/examples/adapters/wordpress/onesession/onesession.php",
        "share/doc/onesession/events.md",
        "share/doc/onesession/listeners/listener.py",
        "share/onesession/pages/login.html",
        "share/doc/onesession/examples/nginx/onesession.conf",
        "share/doc/onesession/examples/nginx/onesession-places.conf",
        "share/doc/onesession/examples/lighttpd/onesession-places.lua",
        "bin/onesession-try",
        "include/onesession.h",
        "lib/libonesession-test.a",
        "lib/pkgconfig/onesession.pc",
        "lib/pkgconfig/onesession-test.pc",
        "share/man/man1/onesession-try.1",
        "share/man/man3/onesession.3",
        "share/man/man3/ones_sql.3",
        "share/man/man3/ONES_VALUES.3",
        "share/onesession/try/template/newmodule.c",
    ):
        assert f"{below}/{name}" in found
    for server in SERVERS:
        for sample in (ROOT / "conf" / server).iterdir():
            assert f"{below}/share/doc/onesession/examples/{server}/{sample.name}" in found
    assert "etc/onesession/onesession.conf" in found
    assert all(name.startswith((f"{below}/", "etc/onesession/")) for name in found)

    unit = (folder / below / "lib/systemd/system/onesession.service").read_text()
    assert f"ExecStart=/{below}/sbin/onesessiond -c /etc/onesession/onesession.conf\n" in unit
    assert unit.count(f"/{below}/sbin/onesessiond") == 2
    assert unit.count("/sbin/onesessiond") == 2
    for program in ("onesessiond", "onesessionctl"):
        done = run(folder / below / "sbin" / program, "--version")
        assert (done.returncode, done.stdout) == (0, f"{program} {VERSION}\n")
    done = run(
        folder / below / "sbin/onesessiond", "-c", folder / "etc/onesession/onesession.conf", "--dump"
    )
    assert done.returncode == 0, done.stderr

    make_installed("uninstall", *where)
    assert files_below(folder) == []
    assert [path for path in folder.rglob("*onesession*")] == []


def test_build_folder_has_one_name():
    """Or what `make BUILD=/...` notes down of an object is nothing to `make`, which then takes it when it is too old."""
    made = "build/never-made/objects/daemon/base/clock.o"
    for folder in ("build/never-made", ROOT / "build/never-made"):
        assert f"-o {made} " in make("-n", f"BUILD={folder}", made)


def test_install_never_touches_a_configuration_that_was_changed(folder):
    conf = folder / "etc/onesession/onesession.conf"
    sample = folder / "usr/local/share/doc/onesession/examples/onesession.conf"
    make_installed("install", f"DESTDIR={folder}")
    shipped = conf.read_text()

    # As an older version's sample, unchanged: it becomes the new one.
    for path in (conf, sample):
        path.write_text("# an older sample\n")
    make_installed("install", f"DESTDIR={folder}")
    assert conf.read_text() == shipped

    conf.write_text("[server]\nworkers = 3\n")
    conf.chmod(0o640)
    make_installed("install", f"DESTDIR={folder}")
    assert conf.read_text() == "[server]\nworkers = 3\n"
    assert stat.S_IMODE(conf.stat().st_mode) == 0o640
    make_installed("uninstall", f"DESTDIR={folder}")
    assert files_below(folder) == ["etc/onesession/onesession.conf"]


def test_installed_configuration_is_for_the_daemon_s_group_to_read(folder):
    conf = folder / "etc/onesession/onesession.conf"
    group = grp.getgrgid(os.getegid()).gr_name
    make_installed("install", f"DESTDIR={folder}", f"CONFIG_GROUP={group}")
    assert (stat.S_IMODE(conf.stat().st_mode), conf.stat().st_gid) == (0o640, os.getegid())
    conf.unlink()
    # What makes a package sees to it itself: there the group is not known yet.
    make_installed("install", f"DESTDIR={folder}")
    assert stat.S_IMODE(conf.stat().st_mode) == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have a root of its own")
def test_install_into_the_machine_keeps_the_configuration_from_others(folder, closing):
    root = closing.add(OwnRoot(folder, ROOT, BUILD))
    conf = "/etc/onesession/onesession.conf"
    command = ["make", "-C", ROOT, "install", *BUILT]
    with one_at_a_time(".install"):
        said = root.run(*command)
        # There is nobody yet whom it could belong to: this is told.
        assert root.stat(conf) == "644 root:root" and f"chgrp onesession {conf}" in said
        root.run("groupadd", "--system", "onesession")
        root.run(*command)
        assert root.stat(conf) == "640 root:onesession"
        root.run("chmod", "644", conf)
        root.run("tee", "-a", conf, input="# mine\n")
        assert f"chgrp onesession {conf}" in root.run(*command)
        assert root.stat(conf) == "644 root:onesession"
        root.run("chmod", "640", conf)
        assert "chgrp" not in root.run(*command)


# ---- Manual pages ----------------------------------------------------------------------------------------------------

PAGES = ["onesession-try.1", "onesession.7", "onesession.conf.5", "onesessionctl.8", "onesessiond.8"]


def page_path(name):
    made = BUILD / "man" / name
    return made if made.exists() else ROOT / "docs/man" / name


def page_text(name):
    """As it is read, without bold and underlined letters, in one line."""
    done = run("mandoc", "-T", "utf8", "-O", "width=200", page_path(name))
    assert done.returncode == 0, done.stderr
    return re.sub(r"\s+", " ", re.sub(r".\x08", "", done.stdout))


@pytest.mark.parametrize("name", PAGES)
def test_manual_page_is_right(name):
    done = run("mandoc", "-T", "lint", "-W", "style", page_path(name))
    # Which pages this machine has, and whether it has an index of them, is not the page's fault.
    machine = ("referenced manual not found", "outdated mandoc.db")
    found = [line for line in (done.stdout + done.stderr).splitlines() if not any(word in line for word in machine)]
    assert found == []
    for title, section in re.findall(r"^\.Xr (onesession\S*) (\d)", page_path(name).read_text(), re.M):
        # Section 3 has a test of its own.
        assert section == "3" or f"{title}.{section}" in PAGES


def test_manual_tells_every_option_of_the_configuration():
    section, text = None, page_text("onesession.conf.5")
    keys = 0
    for line in run(BUILD / "onesessiond", "-c", "/dev/null", "--dump").stdout.splitlines():
        if line.startswith("["):
            section = text.index(f" {line} ")
        elif line:
            key = line.partition(" =")[0]
            assert f" {key} = value " in text[section:], key
            keys += 1
    assert keys > 30
    assert "Type: duration from 100ms to 1h Default: 30s Takes effect: at the start, and at HUP" in text
    assert "Type: displace, ask or refuse Default: displace" in text


@pytest.mark.parametrize("program", ["onesessiond", "onesessionctl"])
def test_manual_tells_every_option_of_the_program(program):
    text = page_text(f"{program}.8")
    found = re.findall(r"(?<![\w-])--?[a-zA-Z][a-z-]*", run(BUILD / program, "--help").stdout)
    assert {"-c", "--config", "-o", "-V", "--version", "-h", "--help"} < set(found)
    for option in found:
        assert re.search(rf"(?<![\w-]){option}(?![\w-])", text), option


def test_manual_tells_every_command_of_onesessionctl():
    text = page_text("onesessionctl.8")
    commands = re.findall(r"^  ((?:[a-z]+ ?)+)(?: |\[|-|[A-Z])", run(BUILD / "onesessionctl", "--help").stdout, re.M)
    assert {"migrate", "user add", "session end", "purge", "status"} <= {command.strip() for command in commands}
    for command in commands:
        assert f" {command.strip()} " in text, command


# ---- The Debian package ----------------------------------------------------------------------------------------------


def newest_source():
    """When any of the files that the package is made of was last changed."""
    skipped = {"build", ".git", ".ci", "tests", "__pycache__", "bench"}
    newest = 0
    for top, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in skipped]
        newest = max([newest, *(os.lstat(os.path.join(top, name)).st_mtime for name in names)])
    return newest


@pytest.fixture(scope="module")
def package():
    """Built once for all processes that run these tests, and anew when something has changed since."""
    if shutil.which("dh") is None:
        pytest.skip("debhelper is not installed")
    place = BUILD / "package"
    architecture = run("dpkg", "--print-architecture").stdout.strip()
    path = place / f"onesession_{VERSION}_{architecture}.deb"
    with one_at_a_time(".package"):
        if not path.exists() or path.stat().st_mtime < newest_source():
            assert make("deb", f"BUILD={place}").splitlines()[-1] == str(path)
    return path


def test_package_satisfies_lintian(package):
    changes = package.with_suffix(".changes")
    done = run("lintian", "--allow-root", "--fail-on", "error,warning", changes)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search("^[EW]:", done.stdout, re.M)


def test_packaged_programs_are_hardened(package, folder):
    run("dpkg-deb", "-x", package, folder)
    for program in ("onesessiond", "onesessionctl"):
        path = folder / "usr/sbin" / program
        dynamic = run("readelf", "-W", "-d", path).stdout
        assert re.search(r"FLAGS.*BIND_NOW", dynamic) and re.search(r"FLAGS_1.*\bPIE\b", dynamic), dynamic
        assert "RPATH" not in dynamic and "RUNPATH" not in dynamic
        symbols = run("readelf", "-W", "--dyn-syms", path).stdout
        assert "__stack_chk_fail" in symbols and "_chk@" in symbols
        assert "libasan" not in dynamic


def test_package_tells_what_an_operator_looks_for(package, folder):
    run("dpkg-deb", "-x", package, folder)
    documents = folder / "usr/share/doc/onesession"
    for name in ("README.Debian", "copyright", "README.md.gz", "NEWS.gz", "changelog.gz"):
        assert (documents / name).exists(), name
    with gzip.open(documents / "changelog.gz", "rt") as changelog:
        assert changelog.readline().startswith(f"onesession ({VERSION}) ")
    for server in SERVERS:
        for sample in (ROOT / "conf" / server).iterdir():
            # Not packed: they are to be copied.
            assert (documents / "examples" / server / sample.name).read_bytes() == sample.read_bytes()
    for name in PAGES[1:]:
        assert (folder / f"usr/share/man/man{name[-1]}/{name}.gz").exists()
    assert not (folder / "usr/include").exists()


@pytest.fixture(name="builders")
def package_for_builders(package):
    return package.with_name(package.name.replace("onesession_", "onesession-dev_"))


def test_package_for_builders_has_what_modules_are_made_and_tested_with(builders, folder):
    run("dpkg-deb", "-x", builders, folder)
    triplet = run("dpkg-architecture", "-q", "DEB_HOST_MULTIARCH").stdout.strip()
    for name in (
        "usr/bin/onesession-try",
        "usr/include/onesession.h",
        f"usr/lib/{triplet}/libonesession-test.a",
        "usr/share/man/man1/onesession-try.1.gz",
        "usr/share/man/man3/ones_sql.3.gz",
        "usr/share/man/man3/ones_rows_json.3.gz",
        "usr/share/onesession/try/template/Makefile",
    ):
        assert os.path.lexists(folder / name), name
    told = (folder / f"usr/lib/{triplet}/pkgconfig/onesession.pc").read_text()
    assert f"Version: {VERSION}\n" in told and "moduledir=/usr/lib/onesession/modules\n" in told
    control = run("dpkg-deb", "-f", builders).stdout
    assert f"onesession (= {VERSION})" in control and "libjansson-dev" in control


# A copy of this machine in which everything may be changed, in a mount namespace that ends with this process.
OWN_ROOT = """
set -e
cd "$1"
mkdir layers root
mount -t tmpfs -o mode=755 layers layers
mkdir layers/upper layers/work
mount -t overlay -o lowerdir=/,upperdir="$1/layers/upper",workdir="$1/layers/work" overlay root
mount -t proc proc root/proc
mount --bind /dev root/dev
mount --bind "$1/run" root/run
mount -t tmpfs -o mode=1777 tmp root/tmp
shift
for shown; do
	mkdir -p "root$shown"
	mount --bind "$shown" "root$shown"
done
touch run/is-up
exec sleep infinity
"""


class OwnRoot:
    """Another root folder: what is installed there is not installed here."""

    def __init__(self, folder, *shown):
        self.folder = folder
        self.run_folder = folder / "run"
        self.run_folder.mkdir()
        self.log = folder / "log"
        self.log.touch()
        self.process = spawn(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", OWN_ROOT, "sh", folder, *shown], self.log
        )
        self.started = []

        def is_up():
            return (self.run_folder / "is-up").exists() or self.process.poll() is not None

        wait_until(is_up, "the other root")
        if self.process.poll() is not None:
            pytest.skip(f"this machine does not allow a root of its own: {tail(self.log)}")
        # This machine may have it, by a package or by make install: the copy does not.
        self.call("dpkg", "--force-unsafe-io", "--purge", "onesession-dev", "onesession")
        self.call("userdel", "onesession")
        self.run("rm", "-rf", "/etc/onesession", *(f"/usr/local/sbin/{name}" for name in ("onesessiond", "onesessionctl")))
        assert self.call("getent", "passwd", "onesession").returncode != 0
        assert self.call("getent", "group", "onesession").returncode != 0

    def enter(self, *words):
        return ["nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt", *words]

    def command(self, *words):
        return self.enter("chroot", self.folder / "root", *words)

    def call(self, *words, **kwargs):
        return run(*self.command("/usr/bin/env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *words), **kwargs)

    def run(self, *words, **kwargs):
        done = self.call(*words, **kwargs)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def stat(self, path):
        """Mode, owner and group; None when it is not there."""
        done = self.call("stat", "-L", "-c", "%a %U:%G", path)
        return done.stdout.strip() if done.returncode == 0 else None

    def made(self, name):
        """What of that name has been made, and is there still. A device stands for what was removed."""
        upper = self.folder / "layers/upper"
        # Programs that count their lines write the counts to where they were built.
        counts = ["-path", f"{upper}{BUILD}", "-prune", "-o"]
        wanted = ["-name", name, "!", "-type", "c", "-print"]
        done = run(*self.enter("find", upper, self.run_folder, *counts, *wanted))
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def start(self, *words):
        process = spawn(self.command(*words), self.log)
        self.started.append(process)
        return process

    def close(self):
        for process in self.started:
            end(process)
        end(self.process)


# Opens the socket of a unit as systemd does, and runs the rest of the command line with it.
ACTIVATE = """
import os, shutil, socket, sys
unit = dict(line.rstrip("\\n").split("=", 1) for line in open(sys.argv[1]) if "=" in line and line[0] != "#")
path = unit["ListenStream"]
listening = socket.socket(socket.AF_UNIX)
os.umask(0o777 & ~int(unit["SocketMode"], 8))
listening.bind(path)
shutil.chown(path, unit["SocketUser"], unit["SocketGroup"])
listening.listen(int(unit["Backlog"]))
if listening.fileno() != 3:
    os.dup2(listening.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execvp(sys.argv[2], sys.argv[2:])
"""


def start_packaged_nginx(root):
    """With the guard of the package's examples as it is, and workers of the user that Debian's nginx has."""
    guard = "/usr/share/doc/onesession/examples/nginx/onesession.conf"
    changes = {"\tlisten 80;": "\tlisten unix:/run/web.sock;", "/etc/nginx/snippets/onesession.conf": guard}
    root.run("mkdir", "-p", "/tmp/nginx")
    root.run("tee", "/tmp/nginx/onesession-places.conf", input=nginx.shipped("nginx/onesession-places.conf", {}))
    root.run("tee", "/tmp/nginx/site.conf", input=nginx.shipped("nginx/static.conf", changes))
    conf = NGINX_CONF % {"folder": "/tmp/nginx", "more": ""}
    root.run("tee", "/tmp/nginx/nginx.conf", input="user www-data;\n" + conf)
    web = root.start("nginx", "-p", "/tmp/nginx", "-c", "/tmp/nginx/nginx.conf", "-e", "/tmp/nginx/error.log")
    wait_until(lambda: root.stat("/run/web.sock") is not None or web.poll() is not None, "nginx to start")
    assert web.poll() is None, tail(root.log)
    return web


def ask_nginx(root, path):
    """The status that people get."""
    words = ["curl", "--silent", "--header", "Accept: text/html", "--output", "/dev/null", "--write-out", "%{http_code}"]
    return root.run(*words, "--unix-socket", "/run/web.sock", f"http://localhost{path}")


@pytest.fixture
def daemon_role(cluster, empty_database):
    """The role that has the name of the packaged daemon's user, and a database for it."""
    cluster.execute("CREATE ROLE onesession LOGIN")
    yield empty_database
    empty_database.discard()
    cluster.execute("DROP ROLE onesession")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can install a package, even in a root of its own")
def test_package_installs_serves_upgrades_removes_and_purges(package, folder, closing, cluster, daemon_role):
    database = daemon_role
    shutil.copy(package, folder / "onesession.deb")
    root = closing.add(OwnRoot(folder, cluster.sockets, folder))
    install = ["dpkg", "--force-unsafe-io", "-i", folder / "onesession.deb"]
    conf = "/etc/onesession/onesession.conf"

    # It makes its user, its folders and its configuration, and is enabled.
    root.run(*install)
    account = root.run("getent", "passwd", "onesession").strip().split(":")
    assert 0 < int(account[2]) < 1000 and account[5:] == ["/nonexistent", "/usr/sbin/nologin"]
    assert root.stat(conf) == "640 root:onesession"
    assert root.stat("/run/onesession") == "2755 onesession:www-data"
    assert root.stat("/var/log/onesession") == "750 onesession:onesession"
    for wants in ("multi-user.target.wants/onesession.service", "sockets.target.wants/onesession.socket"):
        # /lib on Debian 12.
        assert root.run("readlink", "-f", f"/etc/systemd/system/{wants}").startswith("/usr/lib/systemd/system/onesession.")
    for path in root.run("dpkg", "-L", "onesession").splitlines():
        # Documents may be left out by the machine's own settings of dpkg.
        if path != "/." and not path.startswith(("/usr/share/doc/", "/usr/share/man/")):
            mode, owner = root.stat(path).split()
            assert (owner == "root:root" and int(mode, 8) & 0o022 == 0) or path == conf, path
    done = root.call("systemd-analyze", "verify", "--man=no", "onesession.service", "onesession.socket")
    assert "onesession" not in done.stdout + done.stderr, done.stderr

    # As README.Debian tells: the tables by their owner, an account, and the daemon as its own user.
    owner = f"database.conninfo={database.owner_conninfo}"
    root.run("onesessionctl", "-c", "/dev/null", "-o", owner, "migrate", "--grant", "onesession")
    settings = f"[database]\nconninfo = {cluster.conninfo(database.name, 'onesession')}\n[login]\nmemory = 64KiB\n"
    root.run("tee", conf, input=settings + "passes = 1\n[log]\nto = /var/log/onesession/onesession.log\n")
    # Another user does not inherit that it ends with its parent.
    as_daemon = ["setpriv", "--pdeathsig=TERM", "--reuid=onesession", "--regid=onesession", "--init-groups"]
    root.run("onesessionctl", "-o", owner, "user", "add", "ada", input=database.password + "\n")
    assert root.call(*as_daemon, "onesessionctl", "user", "add", "eve", "--admin", input=database.password + "\n").returncode == 1
    assert "ada" in root.run(*as_daemon, "onesessionctl", "user", "list")
    unit = root.run("cat", "/usr/lib/systemd/system/onesession.service")
    start = re.search("^ExecStart=(.*)$", unit, re.M)[1].split()
    assert root.made("*onesession*") != []
    daemon = root.start(*as_daemon, *start)
    address = str(root.run_folder / "onesession/onesession.sock")

    def is_ready():
        assert daemon.poll() is None, tail(root.log)
        try:
            return fastcgi.send(address, path="/session/ready").status == 200
        except NOT_LISTENING:
            return False

    wait_until(is_ready, "the packaged daemon to answer")
    login = json.dumps({"username": "ada", "password": database.password})
    assert fastcgi.send(address, method="POST", path="/session/login", headers=JSON, body=login).status == 200
    assert root.stat("/var/log/onesession/onesession.log").endswith(" onesession:onesession")

    # Its own socket lets the web server in, as shipped, and nobody else.
    web = start_packaged_nginx(root)
    assert root.stat("/run/onesession/onesession.sock") == "660 onesession:www-data"
    wait_until(lambda: ask_nginx(root, "/session/login") == "200", "nginx to be let in")
    assert ask_nginx(root, "/") == "303"
    probe = ["python3", "-c", "import socket; socket.socket(socket.AF_UNIX).connect('/run/onesession/onesession.sock')"]
    as_other = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    done = root.call(*as_other, *probe)
    assert done.returncode == 1 and "PermissionError" in done.stderr

    # So does that of onesession.socket, which is there before the daemon.
    assert end(daemon, (signal.SIGTERM,)) == 0
    daemon = root.start("python3", "-c", ACTIVATE, "/usr/lib/systemd/system/onesession.socket", *as_daemon, *start)
    wait_until(is_ready, "the packaged daemon to answer on the socket that it was given")
    assert root.stat("/run/onesession/onesession.sock") == "660 root:www-data"
    assert (ask_nginx(root, "/session/login"), ask_nginx(root, "/")) == ("200", "303")
    assert root.call(*as_other, *probe).returncode == 1
    assert end(daemon, (signal.SIGTERM,)) == 0
    root.run("rm", "/run/onesession/onesession.sock")

    # And that of a daemon which root has started, and which becomes the package's user by itself.
    daemon = root.start(*start)
    wait_until(is_ready, "the daemon that root has started to answer")
    assert uids_of(daemon.pid) == [int(account[2])] * 4
    assert root.stat("/run/onesession/onesession.sock") == "660 root:www-data"
    assert (ask_nginx(root, "/session/login"), ask_nginx(root, "/")) == ("200", "303")
    assert end(web) == 0

    # An upgrade leaves the operator's configuration as it is, and who may read it.
    root.run("chmod", "600", conf)
    root.run("chown", "onesession", conf)
    root.run(*install)
    assert root.run("cat", conf).startswith(settings)
    assert root.stat(conf) == "600 onesession:onesession"
    assert is_ready()

    assert end(daemon, (signal.SIGTERM,)) == 0

    # What was the operator's stays until a purge; the accounts stay even then.
    root.run("dpkg", "--force-unsafe-io", "-r", "onesession")
    assert root.stat("/usr/sbin/onesessiond") is None
    assert root.stat("/usr/lib/systemd/system/onesession.service") is None
    assert root.run("cat", conf).startswith(settings)
    root.run("dpkg", "--force-unsafe-io", "-P", "onesession")
    assert root.made("*onesession*") == []
    assert root.call("dpkg", "-s", "onesession").returncode != 0
    root.run("getent", "passwd", "onesession")
    assert database.value("SELECT count(*) FROM users WHERE username = 'ada'") == 1
    assert not Path("/var/lib/dpkg/info/onesession.list").exists(), "it was installed outside of its root"


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have a root of its own")
def test_module_is_made_tested_and_installed_with_nothing_but_the_packages(package, builders, folder, closing):
    for path in (package, builders):
        shutil.copy(path, folder)
    root = closing.add(OwnRoot(folder, folder))
    root.run("dpkg", "--force-unsafe-io", "-i", folder / package.name, folder / builders.name)
    steps = "cd /tmp && onesession-try --new shopping && cd shopping && make && make test && make install"
    assert "shopping: all is well" in root.run("sh", "-ec", steps)
    # It was not migrated, and there is no database to ask.
    tried = root.call("onesessiond", "-c", "/dev/null", "-o", "server.modules=shopping", "-t")
    assert "modules: shopping 0.1 (ABI 1)\n" in tried.stdout, tried.stdout + tried.stderr
    assert "ones_rows_count" in root.run("sh", "-ec", "cd /usr/share/man && zcat man3/ones_sql.3.gz man3/ones_rows_count.3.gz")

"""What the manual tells operators to type, typed as it stands there, on a PostgreSQL that knows nobody yet."""

import os
import re
import shutil
import subprocess

import pytest

from support.nginx import Nginx
from support.postgres import Cluster, Database
from support.processes import BUILD, ROOT, memory_folder
from support.programs import Ctl, Daemon, environment
from support.site import Site

PASSWORD = "a horse of many batteries"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the manual's steps are root's")


def commands_of(section, page="onesession.7"):
    """The blocks of commands in that section of the manual."""
    source = (ROOT / "docs/man" / page).read_text()
    text = re.search(rf"^\.Sh {section}\n(.*?)^\.Sh ", source, re.M | re.S).group(1)
    blocks = re.findall(r"^\.Bd -literal -offset indent\n(.*?)^\.Ed", text, re.M | re.S)
    return [block.replace("\\e\n", "\\\n").replace("\\(aq", "'") for block in blocks]


class FreshCluster(Cluster):
    """As Debian makes it: the system's users are let in as the roles of the same name, and there is only postgres."""

    def create(self):
        super().create()
        (self.data / "pg_hba.conf").write_text("local all all peer\n")

    def connect(self, database, role=None):
        """As root, whom nothing but a role of that name lets in."""
        return super().connect(database, role or "root")

    def _answers(self):
        asked = ["runuser", "-u", "postgres", "--", "psql", "-c", "SELECT 1"]
        done = subprocess.run(asked, env=environment_of(self), capture_output=True, check=False)
        return done.returncode == 0


def environment_of(cluster):
    """Where programs find this PostgreSQL and what was built, in place of those of the system."""
    return {
        **environment(),
        "PGHOST": str(cluster.sockets),
        "PATH": f"{BUILD}:/usr/sbin:/usr/bin:/sbin:/bin",
    }


@pytest.fixture(name="fresh")
def fresh_cluster():
    cluster = FreshCluster(memory_folder())
    try:
        cluster.create()
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


def shell(cluster, commands, folder, stdin=""):
    done = subprocess.run(
        ["sh", "-e"] + ["-c", commands],
        input=stdin,
        cwd=folder,
        env=environment_of(cluster),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
    return done.stdout


def set_up(cluster, folder):
    make, add, *_ = commands_of("SETTING IT UP")
    assert "migrate --grant onesession" in make and "user add ada" in add
    shell(cluster, make, folder)
    return add


def conninfo(cluster):
    return f"host={cluster.sockets} dbname=onesession user=root"


def test_root_sets_it_up_as_the_manual_says(fresh, tmp_path):
    add = set_up(fresh, tmp_path)
    assert "ada" in shell(fresh, add, tmp_path, stdin=PASSWORD + "\n")
    assert [user["username"] for user in Ctl(conninfo(fresh)).json("user", "list")] == ["ada"]


def test_readme_and_the_package_tell_the_same_steps():
    make = commands_of("SETTING IT UP")[0]
    creates = [line for line in make.splitlines() if line.startswith("runuser")]
    assert len(creates) == 3
    for path in ("README.md", "conf/debian/README.Debian"):
        told = (ROOT / path).read_text()
        for line in creates:
            assert f"    {line}\n" in told, (path, line)


@pytest.mark.skipif(shutil.which("pg_restore") is None, reason="no pg_restore")
def test_restored_backup_has_everything_and_signs_no_displaced_device_in(fresh, tmp_path, closing, browse):
    add = set_up(fresh, tmp_path)
    shell(fresh, add, tmp_path, stdin=PASSWORD + "\n")
    database = Database(fresh, "onesession")
    database.password = PASSWORD
    site = start_site(database, fresh, closing)
    first = browse(site)
    first.sign_in("ada")
    dump, restore, *_ = commands_of("BACKUP AND RESTORE")
    shell(fresh, dump, tmp_path)
    second = browse(site)
    second.sign_in("ada")
    assert (first.auth(), second.auth()) == ("displaced", "")
    site.daemon.stop()
    database.close()
    create = [line for line in commands_of("SETTING IT UP")[0].splitlines() if " createdb " in line]
    shell(fresh, "\n".join(["runuser -u postgres -- dropdb onesession", *create]), tmp_path)
    last = r"(.*)(onesessionctl [^\n]*\\\n\s*session end --all\n)"
    restore_and_migrate, end_all = re.fullmatch(last, restore, re.S).groups()
    shell(fresh, restore_and_migrate, tmp_path)
    site = start_site(database, fresh, closing)
    restored = browse(site)
    restored.key = first.key
    assert restored.is_live(), "the manual warns of what is not so"
    shell(fresh, end_all, tmp_path)
    assert restored.auth() == "revoked"
    restored.key = second.key
    assert restored.auth() == "unauthenticated"
    browse(site).sign_in("ada")
    assert {row["reason"] for row in Ctl(conninfo(fresh)).json("session", "history", "ada")} == {"revoked"}


def start_site(database, cluster, closing):
    # Let in as whoever the daemon runs as, root or onesession.
    settings = {"database.conninfo": f"host={cluster.sockets} dbname=onesession"}
    daemon = closing.add(Daemon(database, settings))
    daemon.start()
    nginx = closing.add(Nginx(daemon.address))
    nginx.start()
    return Site(database, daemon, nginx)

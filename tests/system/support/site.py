"""A whole site: database, daemon and nginx."""

from support.closing import remember_log
from support.nginx import Nginx
from support.processes import BUILD, ROOT
from support.programs import Ctl, Daemon


class Site:
    """A whole installation: database, daemon and nginx."""

    def __init__(self, database, daemon, nginx):
        self.database, self.daemon, self.nginx = database, daemon, nginx
        self.url = nginx.url
        self.secrets = daemon.secrets

    def ctl(self, **settings):
        return Ctl(self.database.owner_conninfo, **settings)


def build_site(database, node, closing, settings=None, modules=()):
    """A site that runs, with the logs of its servers shown when `node` fails; `closing` ends them."""
    daemon = closing.add(Daemon(database, settings, modules=modules))
    if modules is APPLICATION:
        give_folders(daemon)
    remember_log(node, "onesessiond", daemon.log)
    daemon.start()
    nginx = closing.add(Nginx(daemon.address))
    remember_log(node, "nginx", nginx.log)
    nginx.start()
    return Site(database, daemon, nginx)


APPLICATION = [BUILD / "tests/application.so"]
# Below the address that the samples for web servers pass on.
PREFIX = "/session/application"


def in_application(settings):
    return {"application.prefix": PREFIX, **(settings or {})}


def give_folders(daemon):
    """The folder that the application keeps files in is the daemon's `covers`."""
    daemon.covers, spool = daemon.folder / "covers", daemon.folder / "spool"
    for path in (daemon.covers, spool):
        path.mkdir()
    daemon.settings = {"application.covers": str(daemon.covers), "server.spool": str(spool), **daemon.settings}


def with_audit(site):
    """The application's own table."""
    site.database.query((ROOT / "tests/application/audit.sql").read_text())
    site.database.query(f"GRANT SELECT, INSERT ON application_audit TO {site.database.cluster.DAEMON}")
    return site


CONFLICTS = """
CREATE SEQUENCE conflicts;
CREATE FUNCTION conflict_before(wanted bigint) RETURNS bigint SECURITY DEFINER LANGUAGE plpgsql AS $$
DECLARE run bigint := nextval('conflicts');
BEGIN
    IF run < wanted THEN RAISE 'run %', run USING ERRCODE = 'deadlock_detected'; END IF;
    RETURN run;
END $$;
"""


def with_conflicts(site):
    """conflict_before(N) makes the transactions that call it fail as a deadlock does, until its Nth call."""
    site.database.query(CONFLICTS)
    return site

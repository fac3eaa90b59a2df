"""Sites that tests of a module share, one after the other: each test finds its own as if it had just been made."""

from support.closing import Closing
from support.postgres import new_database
from support.site import build_site

# Those that were used last; a module may have more configurations than there is room for.
KEPT_MAX = 6


class KeptSite:
    """What it leaves between two tests is what the daemon remembers, which is its log, its metrics and its settings."""

    def __init__(self, cluster, node, settings):
        self.closing = Closing()
        self.site = build_site(new_database(cluster), node, self.closing, settings)

    @property
    def is_running(self):
        return self.site.daemon.process.poll() is None and self.site.nginx.process.poll() is None

    def make_anew(self):
        """Its database has the rows that it had in the beginning."""
        self.site.database.cluster.copies.restore(self.site.database.name)

    def close(self):
        try:
            self.closing.close()
        finally:
            self.site.database.discard()


class KeptSites:
    def __init__(self, cluster, node):
        self.cluster, self.node = cluster, node
        self.sites = {}

    def new_site(self, settings=None):
        """With those settings. It is the test's own until the next one asks for the same."""
        key = tuple(sorted((settings or {}).items()))
        kept = self.sites.pop(key, None)
        if kept is not None and not kept.is_running:
            kept.close()
            kept = None
        if kept is None:
            while len(self.sites) >= KEPT_MAX:
                self.sites.pop(next(iter(self.sites))).close()
            kept = KeptSite(self.cluster, self.node, settings)
        else:
            kept.make_anew()
        # The one that was used last is the last.
        self.sites[key] = kept
        return kept.site

    def close(self):
        closing = Closing()
        closing.things = list(self.sites.values())
        self.sites = {}
        closing.close()

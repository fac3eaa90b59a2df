"""
Runs several clients of PostgreSQL statement by statement, in every order that can make a difference. A Gate is a proxy
that holds every statement until it is let go. Steps runs several actors, each behind a gate of its own, and sees when
one waits for a lock that another holds. Order chooses whose statement comes next, one order per run.

The order of two adjacent statements can make a difference when there is a table that one of them changes and the other
reads. What a transaction changes is visible from its COMMIT on; before that it only affects statements that change or
lock rows of the table, too. Orders that differ by statements without such a table are one order. The tables are read
from the statements themselves as they pass, and from the trigger number_login. (The method is that of sleep sets:
P. Godefroid, Partial-Order Methods for the Verification of Concurrent Systems, 1996.)
"""

import re
import struct
import threading
import time
from dataclasses import dataclass, field

from support.proxy import BACKEND_KEY, BIND, CLOSE, DESCRIBE, EXECUTE, PARSE, QUERY, READY, SYNC, Link, Proxy
from support.waiting import PATIENCE, Background

# Seconds before the database is asked whether a statement waits. Most have been answered by then.
MOMENT = 0.002

WRITES = re.compile(r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+(?:ONLY\s+)?\"?(\w+)", re.I)
INSERTS = re.compile(r"\bINSERT\s+INTO\s+\"?(\w+)", re.I)
LOCKS = re.compile(r"\bFOR\s+(NO\s+KEY\s+UPDATE|UPDATE|SHARE|KEY\s+SHARE)\b", re.I)
CONTROL = re.compile(r"\s*(BEGIN|COMMIT|ROLLBACK)\b", re.I)
LITERAL = re.compile(r"'[^']*'")


@dataclass(frozen=True)
class Footprint:
    """
    The tables that a step reads, those with rows that it keeps others from changing, those that it changes or locks,
    and those whose changes are visible to others from now on.
    """

    reads: frozenset = frozenset()
    shares: frozenset = frozenset()
    writes: frozenset = frozenset()
    shows: frozenset = frozenset()

    def __or__(self, other):
        return Footprint(
            self.reads | other.reads,
            self.shares | other.shares,
            self.writes | other.writes,
            self.shows | other.shows,
        )

    def meets(self, other):
        """Can it make a difference which of both comes first?"""
        return self._hits(other) or other._hits(self)

    def _hits(self, other):
        return bool(
            self.writes & (other.writes | other.shares) or self.shows & (other.writes | other.shares | other.reads)
        )


@dataclass(eq=False)
class GatedLink(Link):
    pid: int = 0
    prepared: dict = field(default_factory=dict)
    # It belongs to the process that counts live sessions.
    is_apart: bool = False
    # What has come of the next request, and the text of its statement.
    group: bytes = b""
    statement: str = ""
    # The request that is held, and the text of its statement.
    held: bytes = b""
    text: str = ""
    let_go: threading.Event = field(default_factory=threading.Event)
    is_busy: bool = False
    in_transaction: bool = False
    # Of what it asks now, and of the transaction that it is in.
    footprint: Footprint = Footprint()
    transaction: Footprint = Footprint()


class Gate(Proxy):
    """While `is_shut`, whatever is asked of the database is held until let_go()."""

    LINK = GatedLink

    def __init__(self, cluster, changed):
        self.is_shut = False
        # How many changes there were; `changed` is notified of each.
        self.events = 0
        super().__init__(cluster, changed=changed)

    def cut(self, link):
        with self.changed:
            super().cut(link)
            # After the cut, which keeps the held request from the server.
            link.let_go.set()
            self.events += 1

    def _note(self, link, **what):
        with self.changed:
            for name, value in what.items():
                setattr(link, name, value)
            self.events += 1
            self.changed.notify_all()

    def from_client(self, link, kind, message):
        """All messages up to a Sync, or a simple query, are one request."""
        # That process asks once after the start, at a time of its own.
        link.is_apart |= not kind and b"\0onesessiond count\0" in message
        if link.is_apart:
            link.server.sendall(message)
            return
        link.group += message
        if kind == PARSE:
            name, sql = message[5:].split(b"\0")[:2]
            link.prepared[name] = sql.decode()
        elif kind == BIND:
            link.statement = link.prepared[message[5:].split(b"\0")[1]]
        elif kind == QUERY:
            link.statement = message[5:-1].decode()
        if kind in (SYNC, QUERY):
            self._ask(link, link.group, LITERAL.sub("'?'", link.statement))
            link.group, link.statement = b"", ""
        elif kind not in (PARSE, BIND, DESCRIBE, EXECUTE, CLOSE):
            link.server.sendall(link.group)
            link.group = b""

    def _ask(self, link, group, text):
        with self.changed:
            if link not in self.links:
                raise ConnectionAbortedError("cut while it was read")
            link.let_go.clear()
            # A statement that is only prepared looks at no rows.
            is_shut = self.is_shut and text != ""
            if is_shut:
                self._note(link, held=group, text=text)
            else:
                link.is_busy = True
        if is_shut:
            link.let_go.wait()
        link.server.sendall(group)

    def from_server(self, link, kind, message):
        if kind == BACKEND_KEY:
            link.pid = struct.unpack_from(">I", message, 5)[0]
        if kind == READY:
            # Before the client knows, which may ask for the next thing at once.
            self._note(link, is_busy=False, in_transaction=message[5:6] != b"I")
        link.client.sendall(message)

    # ---- For Steps, with `changed` held ----

    def held(self):
        """The connection with something to let go."""
        found = [link for link in self.links if link.held]
        assert len(found) <= 1, f"two at once: {[link.text for link in found]}"
        return found[0] if found else None

    def busy(self):
        return [link for link in self.links if link.is_busy and link.pid]

    def let_go(self, link):
        link.held, link.is_busy = b"", True
        link.let_go.set()

    def open(self):
        with self.changed:
            self.is_shut = False
            for link in self.links:
                if link.held:
                    self.let_go(link)

    def close(self):
        self.open()
        super().close()


class Tables:
    """Which statements read, lock or change which tables, by their text and the schema's foreign keys."""

    def __init__(self, database):
        names = {row[0] for row in database.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
        self.names = frozenset(names)
        self.word = re.compile(r"\b(" + "|".join(sorted(names)) + r")\b")
        self.referenced = {name: set() for name in names}
        for child, parent in database.query(
            "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f'"
        ):
            self.referenced[child].add(parent)
        # What an INSERT also reads, by the text of the function that the schema's trigger runs.
        (body,) = database.query("SELECT prosrc FROM pg_proc WHERE proname = 'number_login'")[0]
        self.looks = {name: frozenset() for name in names} | {"sessions": frozenset(self.word.findall(body))}
        self.known = {}

    def footprint(self, text):
        if text not in self.known:
            mentioned = frozenset(self.word.findall(text))
            writes = frozenset(WRITES.findall(text)) & self.names
            looks = mentioned.union(*(self.looks[name] for name in set(INSERTS.findall(text)) & self.names))
            locks = {" ".join(words.upper().split()) for words in LOCKS.findall(text)}
            shares = frozenset(parent for name in writes for parent in self.referenced[name])
            if any(lock.endswith("UPDATE") for lock in locks):
                writes |= mentioned
            elif locks:
                shares |= mentioned
            self.known[text] = Footprint(looks, shares, writes)
        return self.known[text]


@dataclass
class Step:
    """A statement that was let go: the actor's number, the text, the tables."""

    actor: int
    text: str
    footprint: Footprint

    def __str__(self):
        return f"{self.actor}: {' '.join(self.text.split())[:90]}"


class Deadlock(AssertionError):
    pass


class Actor:
    """A client behind a gate: `call` is run in a thread of its own."""

    def __init__(self, gate, call):
        self.gate, self.call = gate, call
        self.background = None
        self.is_done = False
        self.is_blocked = False
        # How many steps of all had been taken before its first one, and when it was done.
        self.first_step = self.last_step = None

    @property
    def outcome(self):
        return self.background.result()


class Steps:
    """One run of some actors."""

    def __init__(self, actors, tables, watch, changed):
        self.actors, self.tables, self.watch, self.changed = actors, tables, watch, changed
        self.taken = []
        for actor in actors:
            actor.gate.is_shut = True
        for actor in actors:
            actor.background = Background(self._run, actor)

    def _run(self, actor):
        try:
            return actor.call()
        finally:
            with self.changed:
                actor.is_done = True
                actor.gate.events += 1
                self.changed.notify_all()

    def _is_at_work(self, actor):
        return actor.gate.held() is None and (bool(actor.gate.busy()) or not actor.is_done)

    def _events(self):
        return sum(actor.gate.events for actor in self.actors)

    def _all_wait(self, actors):
        """Does each of them wait for a lock that another session holds? Only one with a busy backend can."""
        pids = [link.pid for actor in actors for link in actor.gate.busy()]
        if len(pids) < len(actors):
            return False
        before = self._events()
        self.changed.release()
        try:
            rows = self.watch.query(
                "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND pid = ANY(%s)", pids
            )
        finally:
            self.changed.acquire()
        return rows[0][0] == len(pids) and self._events() == before

    def _wait(self):
        """Until the only actors at work are those that wait for a lock; returns these."""
        deadline = time.monotonic() + PATIENCE
        while at_work := [actor for actor in self.actors if self._is_at_work(actor)]:
            before = self._events()
            if not all(actor.is_blocked for actor in at_work):
                if self.changed.wait_for(lambda before=before: self._events() != before, MOMENT):
                    continue
            if self._all_wait(at_work):
                break
            for actor in at_work:
                actor.is_blocked = False
            assert time.monotonic() < deadline, f"it does not end:\n{self}"
        return at_work

    def settle(self):
        """Wait until all stand still. Returns the steps that can be taken, by actor."""
        with self.changed:
            blocked = self._wait()
            pending = Footprint()
            for actor in self.actors:
                actor.is_blocked = actor in blocked
                for link in actor.gate.busy():
                    pending |= link.footprint
                if actor.last_step is None and actor.is_done:
                    actor.last_step = len(self.taken)
            ready = {}
            for number, actor in enumerate(self.actors):
                link = actor.gate.held()
                if link is not None:
                    # It may release the lock that the others wait for.
                    ready[number] = Step(number, link.text, self._footprint(link) | pending)
        if blocked and not ready:
            raise Deadlock(f"every actor waits for another one:\n{self}")
        return ready

    def _footprint(self, link):
        control = CONTROL.match(link.text)
        if control is not None and control[1].upper() == "BEGIN":
            return Footprint()
        if control is not None:
            done = link.transaction
            return Footprint(shares=done.shares, writes=done.writes, shows=done.writes)
        plain = self.tables.footprint(link.text)
        return plain if link.in_transaction else plain | Footprint(shows=plain.writes)

    def take(self, number, step):
        """Let that actor's statement go."""
        actor = self.actors[number]
        with self.changed:
            link = actor.gate.held()
            link.footprint = self._footprint(link)
            link.transaction = Footprint() if CONTROL.match(link.text) else link.transaction | link.footprint
            if actor.first_step is None:
                actor.first_step = len(self.taken)
            self.taken.append(step)
            actor.gate.let_go(link)

    def finish(self):
        """Let all the rest go, in any order."""
        for actor in self.actors:
            actor.gate.open()
        for actor in self.actors:
            actor.background.result()

    def __str__(self):
        return "\n".join(f"  {step}" for step in self.taken)


class Order:
    """
    The orders of one story: which one is run, and which comes next. For each point of it: the choice, the steps that
    were taken there in earlier runs, those that need not be taken because the order would equal one that has been run
    (asleep), and all that are ready.
    """

    def __init__(self, reduces=True):
        self.reduces = reduces
        self.points = []

    def run(self, steps):
        """Run one order to its end. False: it turned out to be equal to an earlier one."""
        at, asleep = 0, {}
        while ready := steps.settle():
            if at < len(self.points):
                point = self.points[at]
                assert {n: s.text for n, s in ready.items()} == {n: s.text for n, s in point["ready"].items()}, (
                    f"the run differs from the one before:\n{steps}\n{ready}\n{point['ready']}"
                )
            else:
                awake = [number for number in ready if number not in asleep]
                if not awake:
                    return False
                point = {"choice": awake[0], "before": {}, "asleep": asleep, "ready": ready}
                self.points.append(point)
            choice = point["choice"]
            step = ready[choice]
            asleep = {
                number: other
                for number, other in {**point["asleep"], **point["before"]}.items()
                if self.reduces and not other.footprint.meets(step.footprint)
            }
            steps.take(choice, step)
            at += 1
        return True

    def advance(self):
        """To the next order; False when there is none."""
        while self.points:
            point = self.points[-1]
            point["before"][point["choice"]] = point["ready"][point["choice"]]
            left = [n for n in point["ready"] if n not in point["before"] and n not in point["asleep"]]
            if left:
                point["choice"] = left[0]
                return True
            self.points.pop()
        return False

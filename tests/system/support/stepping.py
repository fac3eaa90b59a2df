"""
Stepping through what our programs say to PostgreSQL. A Gate is a proxy that keeps every statement until it is let go.
Steps runs what several actors do, each behind a gate of its own, statement by statement, and sees when one waits for a
lock that another holds. Order chooses whose statement comes next, so that run after run every order has been seen that
can make a difference.

Two statements next to each other can make one when there is a table that one of them changes and the other looks at;
what a transaction changes is seen at its COMMIT, and before that only felt by who changes or locks rows of the table,
too. Orders that differ by statements without such a table are one order. The tables are read out of the statements
themselves as they pass, and out of the trigger number_login. (The method is that of sleep sets: P. Godefroid, Partial-Order Methods for the Verification of
Concurrent Systems, 1996.)
"""

import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field

from support.processes import discard, scratch
from support.waiting import PATIENCE, Background

# Before the database is asked whether a statement waits. Most have been answered by then.
MOMENT = 0.002

WRITES = re.compile(r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+(?:ONLY\s+)?\"?(\w+)", re.I)
INSERTS = re.compile(r"\bINSERT\s+INTO\s+\"?(\w+)", re.I)
LOCKS = re.compile(r"\bFOR\s+(NO\s+KEY\s+UPDATE|UPDATE|SHARE|KEY\s+SHARE)\b", re.I)
CONTROL = re.compile(r"\s*(BEGIN|COMMIT|ROLLBACK)\b", re.I)
LITERAL = re.compile(r"'[^']*'")


@dataclass(frozen=True)
class Footprint:
    """
    The tables that a step looks at, those with rows that it keeps others from changing, those that it changes or locks,
    and those of which others see from now on what has changed.
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
        """Could it matter which of both comes first?"""
        return self._hits(other) or other._hits(self)

    def _hits(self, other):
        return bool(
            self.writes & (other.writes | other.shares) or self.shows & (other.writes | other.shares | other.reads)
        )


@dataclass
class Link:
    """One connection to the database, behind a gate."""

    client: socket.socket
    server: socket.socket
    pid: int = 0
    held: bytes = b""
    text: str = ""
    is_busy: bool = False
    in_transaction: bool = False
    let_go: threading.Event = field(default_factory=threading.Event)
    prepared: dict = field(default_factory=dict)
    # Of what it asks now, and of the transaction that it is in.
    footprint: Footprint = Footprint()
    transaction: Footprint = Footprint()


class Gate:
    """
    A Unix socket before PostgreSQL's. While `is_shut`, whatever is asked of the database is held until step().
    """

    def __init__(self, cluster, changed):
        self.changed = changed  # a Condition: told of whatever happens here
        self.is_shut = False
        self.links = []
        self.events = 0
        self.server = str(cluster.sockets / ".s.PGSQL.5432")
        self.folder = scratch("gate")
        path = self.folder / ".s.PGSQL.5432"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        path.chmod(0o777)
        self.listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    def conninfo(self, database, role=None):
        return f"host={self.folder} dbname={database.name} user={role or database.cluster.DAEMON}"

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                server.connect(self.server)
            except OSError:
                client.close()
                continue
            link = Link(client, server)
            with self.changed:
                self.links.append(link)
            for call in (self._requests, self._answers):
                threading.Thread(target=self._carry, args=(call, link), daemon=True).start()

    def _carry(self, call, link):
        try:
            call(link)
        except OSError:
            pass
        finally:
            for end in (link.client, link.server):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            link.let_go.set()
            with self.changed:
                if link in self.links:
                    self.links.remove(link)
                self.events += 1
                self.changed.notify_all()

    def _note(self, link, **what):
        with self.changed:
            for name, value in what.items():
                setattr(link, name, value)
            self.events += 1
            self.changed.notify_all()

    @staticmethod
    def _messages(source, has_type):
        """The messages of one side of a connection; the first of a client's has no type."""
        data = bytearray()
        while piece := source.recv(65536):
            data += piece
            while True:
                head = 5 if has_type else 4
                if len(data) < head:
                    break
                size = struct.unpack_from(">I", data, head - 4)[0] + head - 4
                if len(data) < size:
                    break
                yield bytes(data[:size])
                del data[:size]
                has_type = True

    def _requests(self, link):
        """Up to a Sync or a simple query, it is one thing that is asked."""
        group, text, is_first, is_apart = b"", "", True, False
        for message in self._messages(link.client, False):
            # The process that counts live sessions comes once at the start, whenever it comes to it.
            is_apart |= is_first and b"\0onesessiond count\0" in message
            if is_apart:
                link.server.sendall(message)
                is_first = False
                continue
            group += message
            kind = b"" if is_first else message[:1]
            is_first = False
            if kind == b"P":
                name, sql = message[5:].split(b"\0")[:2]
                link.prepared[name] = sql.decode()
            elif kind == b"B":
                text = link.prepared[message[5:].split(b"\0")[1]]
            elif kind == b"Q":
                text = message[5:-1].decode()
            if kind in (b"S", b"Q"):
                self._ask(link, group, LITERAL.sub("'?'", text))
                group, text = b"", ""
            elif kind not in (b"P", b"B", b"D", b"E", b"C"):
                link.server.sendall(group)
                group = b""

    def _ask(self, link, group, text):
        link.let_go.clear()
        with self.changed:
            # A statement that is only prepared looks at no rows.
            is_shut = self.is_shut and text != ""
            if is_shut:
                self._note(link, held=group, text=text)
            else:
                link.is_busy = True
        if is_shut:
            link.let_go.wait()
        link.server.sendall(group)

    def _answers(self, link):
        for message in self._messages(link.server, True):
            if message[:1] == b"K":
                link.pid = struct.unpack_from(">I", message, 5)[0]
            if message[:1] == b"Z":
                # Before the client knows, who may ask for the next thing at once.
                self._note(link, is_busy=False, in_transaction=message[5:6] != b"I")
            link.client.sendall(message)

    # ---- For who steps; with `changed` held ----

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
        self.listener.close()
        for link in self.links:
            for end in (link.client, link.server):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        discard(self.folder)


class Tables:
    """What statements have to do with which tables, by their text and the schema's foreign keys."""

    def __init__(self, database):
        names = {row[0] for row in database.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
        self.names = frozenset(names)
        self.word = re.compile(r"\b(" + "|".join(sorted(names)) + r")\b")
        self.referenced = {name: set() for name in names}
        for child, parent in database.query(
            "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f'"
        ):
            self.referenced[child].add(parent)
        # What an INSERT looks at besides, by the text of the function that the schema's trigger runs.
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
    """Something that was let go: whose, what, and what it had to do with."""

    actor: int
    text: str
    footprint: Footprint

    def __str__(self):
        return f"{self.actor}: {' '.join(self.text.split())[:90]}"


class Deadlock(AssertionError):
    pass


class Actor:
    """Somebody who does something behind a gate: `call` is run in a thread of its own."""

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
        """Does each of them wait for a lock that somebody holds? Only whoever is in the database can."""
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
        """Until nobody is at work but for those who wait for a lock; returns these."""
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
            assert time.monotonic() < deadline, f"no end of it:\n{self}"
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
                    # It may let those go on who wait.
                    ready[number] = Step(number, link.text, self._footprint(link) | pending)
        if blocked and not ready:
            raise Deadlock(f"everybody waits for somebody:\n{self}")
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
        """Let all the rest go as it comes."""
        for actor in self.actors:
            actor.gate.open()
        for actor in self.actors:
            actor.background.result()

    def __str__(self):
        return "\n".join(f"  {step}" for step in self.taken)


class Order:
    """
    The orders of one story: which one is run, and which comes next. For each point on the way: the choice, those that
    were taken there before, those that need not be taken because it would be an order that has been run (asleep), and
    all that there are.
    """

    def __init__(self, reduces=True):
        self.reduces = reduces
        self.points = []

    def run(self, steps):
        """Run one order to its end. False: on the way it turned out to be the same as one before."""
        at, asleep = 0, {}
        while ready := steps.settle():
            if at < len(self.points):
                point = self.points[at]
                assert {n: s.text for n, s in ready.items()} == {n: s.text for n, s in point["ready"].items()}, (
                    f"it did not go as before:\n{steps}\n{ready}\n{point['ready']}"
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

"""A proxy between a client and PostgreSQL, for tests that hold, lose, cut or drop what passes through it."""

import ctypes
import socket
import struct
import threading
from dataclasses import dataclass

from support.processes import discard, scratch
from support.waiting import PATIENCE

SOCKET_NAME = ".s.PGSQL.5432"

# The kinds of messages that the proxies look at; the first message of a client has none.
PARSE, BIND, DESCRIBE, EXECUTE, CLOSE, SYNC, QUERY = b"P", b"B", b"D", b"E", b"C", b"S", b"Q"
BACKEND_KEY, READY = b"K", b"Z"


def messages(source, has_kind):
    """The messages that come from one side of a connection, each with its kind. `has_kind`: the first one has one."""
    data = bytearray()
    while piece := source.recv(65536):
        data += piece
        while True:
            head = 5 if has_kind else 4
            if len(data) < head:
                break
            size = struct.unpack_from(">I", data, head - 4)[0] + head - 4
            if len(data) < size:
                break
            message = bytes(data[:size])
            del data[:size]
            yield message[: head - 4], message
            has_kind = True


@dataclass(eq=False)
class Link:
    """One connection of a client, and the one to the server that belongs to it."""

    client: socket.socket
    server: socket.socket


class Proxy:
    """
    Listens on a Unix socket in a folder of its own or, `by_tcp`, on a port of 127.0.0.1, and passes every message on.
    A subclass holds or changes messages in from_client() and from_server(), each of which runs in a thread of its own
    per connection; an OSError there cuts the connection. Connections are not encrypted.
    """

    LINK = Link

    def __init__(self, cluster, by_tcp=False, changed=None):
        """`changed`: a Condition that protects `links`, the open connections, and is notified when one ends."""
        self.server = str(cluster.sockets / SOCKET_NAME)
        self.changed = changed or threading.Condition()
        self.links = []
        self.folder = None if by_tcp else scratch("proxy")
        if by_tcp:
            self.listener = socket.create_server(("127.0.0.1", 0))
            self.port = self.listener.getsockname()[1]
        else:
            path = self.folder / SOCKET_NAME
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.listener.bind(str(path))
            # PostgreSQL's clients in the tests have user ids of their own.
            path.chmod(0o777)
            self.listener.listen(64)
        self._serving = []
        self._accepting = self._start(self._accept)

    def conninfo(self, database, role=None, more=""):
        where = f"host={self.folder}"
        if self.folder is None:
            where = f"host=127.0.0.1 port={self.port} sslmode=disable gssencmode=disable"
        return f"{where} dbname={database.name} user={role or database.cluster.DAEMON} {more}"

    # ---- For subclasses ----

    def from_client(self, link, kind, message):
        link.server.sendall(message)

    def from_server(self, link, kind, message):
        link.client.sendall(message)

    def cut(self, link):
        """Also called when either side has closed the connection."""
        with self.changed:
            if link in self.links:
                self.links.remove(link)
            for end in (link.client, link.server):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self.changed.notify_all()

    # ---- Threads ----

    @staticmethod
    def _start(call, *args):
        thread = threading.Thread(target=call, args=args, daemon=True)
        thread.start()
        return thread

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                server.connect(self.server)
                if self.folder is None:
                    # Each message is sent by itself: Nagle's algorithm would keep the second one of an answer.
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:
                client.close()
                server.close()
                continue
            link = self.LINK(client, server)
            with self.changed:
                self.links.append(link)
            self._serving = [thread for thread in self._serving if thread.is_alive()]
            self._serving.append(self._start(self._serve, link))

    def _serve(self, link):
        with link.client, link.server:
            answers = self._start(self._carry, link, messages(link.server, True), self.from_server)
            self._carry(link, messages(link.client, False), self.from_client)
            answers.join()

    def _carry(self, link, found, pass_on):
        try:
            for kind, message in found:
                pass_on(link, kind, message)
        except OSError:
            pass
        finally:
            self.cut(link)

    def close(self):
        """A subclass first lets go what it holds."""
        # close() alone does not wake a thread that waits in accept().
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._accepting.join(PATIENCE)
        with self.changed:
            for link in list(self.links):
                self.cut(link)
        for thread in self._serving:
            thread.join(PATIENCE)
        if self.folder is not None:
            discard(self.folder)
        assert not any(thread.is_alive() for thread in (self._accepting, *self._serving)), "a thread has not ended"


class Firewall(Proxy):
    """
    By TCP. `forget` drops all packets that arrive on the connections that are open, without an answer, as a firewall
    does that has lost its state. New connections pass.
    """

    # One instruction, BPF_RET: none of the packet's bytes are let through.
    DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)
    ATTACH_FILTER = 26

    def __init__(self, cluster):
        super().__init__(cluster, by_tcp=True)

    def forget(self):
        instructions = ctypes.create_string_buffer(self.DROP_ALL)
        program = struct.pack("HL", 1, ctypes.addressof(instructions))
        with self.changed:
            for link in self.links:
                link.client.setsockopt(socket.SOL_SOCKET, self.ATTACH_FILTER, program)

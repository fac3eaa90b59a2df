"""Servers that tests are themselves: each connection in a thread of its own."""

import socket
import threading
from http.server import ThreadingHTTPServer


def take_connections(listener, serve):
    """Has serve(connection, number) called for each one until stop_taking(); the first has number 1."""

    def accept():
        number = 0
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            number += 1
            threading.Thread(target=serve, args=(connection, number), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def stop_taking(listener):
    # A thread that waits in accept() is not woken by close().
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def serve_http(handler):
    """A server on a port of this machine, server_address[1], until shutdown() and server_close()."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    # Seconds until it sees that it is to end.
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server

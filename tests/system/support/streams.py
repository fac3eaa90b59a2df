"""A small site that sends video: streams that never end by themselves, and a door for those that end them."""

import re
import threading
from http.server import BaseHTTPRequestHandler

from support.listening import serve_http

CHUNK = b"v" * 4096
# Between two chunks: as video is sent, no faster than it is watched.
PACE = 0.02


class Streams:
    """
    GET /video on `port`, for the web server alone, streams to the session that the guard names in Session-Id.
    DELETE /streams/SESSION_ID on `control_port` ends the streams of a session, also one that is only about to begin.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.ends = {}  # a flag for each session that has been streamed to or ended
        self.playing = {}  # how many streams each session has
        self.asked = []  # the sessions whose streams somebody wanted to be ended, in that order
        self.misled = []  # what else was asked of the door, which is no session
        self.drops = 0  # how many of the next requests to end something get no answer
        self.servers = [serve_http(self._public()), serve_http(self._control())]
        self.port, self.control_port = (server.server_address[1] for server in self.servers)

    @property
    def url(self):
        """What the listeners are told."""
        return f"http://127.0.0.1:{self.control_port}/streams"

    def is_playing(self, session_id):
        with self.lock:
            return self.playing.get(session_id, 0) > 0

    def _end_of(self, session_id):
        with self.lock:
            return self.ends.setdefault(session_id, threading.Event())

    def _count(self, session_id, change):
        with self.lock:
            self.playing[session_id] = self.playing.get(session_id, 0) + change

    def _public(self):
        streams = self

        class Public(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                session_id = self.headers["Session-Id"]
                end = streams._end_of(session_id)
                self.send_response(200)
                self.send_header("Content-Type", "video/mp4")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                streams._count(session_id, 1)
                try:
                    while not end.wait(PACE):
                        self.wfile.write(b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK))
                    self.wfile.write(b"0\r\n\r\n")
                except ConnectionError:
                    self.close_connection = True
                finally:
                    streams._count(session_id, -1)

            def log_message(self, *_):
                pass

        return Public

    def _control(self):
        streams = self

        class Control(BaseHTTPRequestHandler):
            def do_DELETE(self):
                found = re.fullmatch(r"/streams/([0-9a-f-]{36})", self.path)
                if found is None:
                    streams.misled.append(self.path)
                    self.send_error(404)
                    return
                session_id = found[1]
                with streams.lock:
                    drops = streams.drops > 0
                    streams.drops -= drops
                    streams.asked.append(session_id)
                if drops:
                    return
                streams._end_of(session_id).set()
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        return Control

    def close(self):
        with self.lock:
            ends = list(self.ends.values())
        for end in ends:
            end.set()
        for server in self.servers:
            server.shutdown()
            server.server_close()


class Player:
    """Plays the video of a signed-in browser, through the web server, in a thread of its own."""

    def __init__(self, browser):
        self.answer = browser.get("/video", stream=True)
        assert self.answer.status_code == 200
        self.received = 0
        self.has_ended = False
        self.closing = False
        self.thread = threading.Thread(target=self._play, daemon=True)
        self.thread.start()

    def _play(self):
        for chunk in self.answer.iter_content(len(CHUNK)):
            self.received += len(chunk)
            if self.closing:
                return
        self.has_ended = True

    def goes_on(self):
        """A condition to wait for: more of the video comes than has until now."""
        before = self.received
        return lambda: self.received > before + len(CHUNK)

    def close(self):
        self.closing = True
        self.thread.join(30)
        self.answer.close()

#!/usr/bin/python3
"""
A billing service to try the cinema with: POST /charges {"account", "plan", "card", "cents", "key"} takes the money, 201,
from all cards but those that end in 0002, which it declines, 402, and in 0500, which it fails with, 500; once for each key. Its address goes into the file that
is named.
"""

import http.server
import json
import os
import sys

ANSWERS = {}  # by key: what was answered once is answered again


class Billing(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        bill = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = ANSWERS.setdefault(bill["key"], {"0002": 402, "0500": 500}.get(bill["card"][-4:], 201))
        body = json.dumps({"paid": status == 201, **bill}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        print(status, bill, flush=True)

    def log_message(self, *words):
        """What there is to say is printed above."""


def main(path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Billing)
    with open(path + ".new", "w", encoding="ascii") as file:
        print(f"http://127.0.0.1:{server.server_port}", file=file)
    os.rename(path + ".new", path)
    server.serve_forever()


main(sys.argv[1])

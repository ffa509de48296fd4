# SPDX-License-Identifier: MIT
"""A server that stops in the middle of an answer."""
import threading
from http.server import BaseHTTPRequestHandler


class Stall(BaseHTTPRequestHandler):
    """Answers with the start of a bundle and then nothing more."""
    reached = threading.Event()
    release = threading.Event()

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(b"PK")
        self.wfile.flush()
        self.reached.set()
        self.release.wait(600)

    def log_message(self, *_):
        pass

# SPDX-License-Identifier: MIT
"""nginx as an ordinary process, serving a directory to guests at http://10.0.2.2:PORT/."""
import atexit
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from paths import DIE_WITH_US, ENV

_running = set()
# Every path is below one directory: nothing of the system's nginx is read or written.
_CONFIG = """
daemon off;
{user}
worker_processes 1;
pid {dir}/nginx.pid;
error_log stderr;
events {{ worker_connections 64; }}
http {{
    sendfile on;        # as in Debian's own configuration
    tcp_nopush on;
    access_log {dir}/access.log;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    types {{ application/zip zip; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ root {files}; }}
        # The same files at a walking pace, for what has to be caught in the middle of a download.
        location /slow/ {{ alias {files}/; limit_rate 100k; }}
    }}
}}
"""


class HttpServer:
    def __init__(self, directory, files):
        self.directory, self.files = Path(directory), Path(files)

    def start(self, deadline=300):
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True)
        # A port that was free a moment ago may be taken by nginx's turn: then another is tried.
        for _ in range(5):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
            if self._launch(deadline):
                return self
        log = (self.directory / "error.log").read_text(errors="replace")
        raise RuntimeError(f"nginx does not start:\n{log}")

    def _launch(self, deadline):
        config = self.directory / "nginx.conf"
        # Started by root, nginx would give its worker a user that may not read the build tree.
        user = "user root;" if os.geteuid() == 0 else ""
        config.write_text(_CONFIG.format(user=user, dir=self.directory, port=self.port, files=self.files))
        command = [*DIE_WITH_US, "nginx", "-e", "stderr", "-p", str(self.directory), "-c", str(config)]
        with open(self.directory / "error.log", "ab") as complaints:
            self.process = subprocess.Popen(command, env=ENV, stdin=subprocess.DEVNULL, stderr=complaints)
        _running.add(self)
        end = time.monotonic() + deadline
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return True
            except OSError:
                os.sched_yield()
        self.stop()
        return False

    def url(self, name):
        """Where a guest finds the file."""
        return f"http://10.0.2.2:{self.port}/{name}"

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        _running.discard(self)


@atexit.register
def _stop_all():
    for server in list(_running):
        server.stop()

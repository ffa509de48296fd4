# SPDX-License-Identifier: MIT
"""The byte streams of a running machine (serial console, command port, QMP), and waiting on them.

One thread drains them all, so that the machine never stalls on a full buffer; a waiter sleeps on
one condition and is woken by the bytes themselves."""
import selectors
import socket
import threading
import time


class Stream:
    def __init__(self, log=None):
        # QEMU inherits one end by number: no path to collide or to be too long for a socket.
        self.ours, self.theirs = socket.socketpair()
        self.data = bytearray()
        self.log = log

    def send(self, content):
        self.ours.sendall(content)


class Streams:
    def __init__(self, **streams):
        self.by_name = streams
        self.changed = threading.Condition()
        self.open = len(streams)
        self._thread = threading.Thread(target=self._drain, daemon=True)

    def start(self):
        """Called once QEMU has its ends."""
        for stream in self.by_name.values():
            stream.theirs.close()
        self._thread.start()

    def _drain(self):
        selector = selectors.DefaultSelector()
        for stream in self.by_name.values():
            selector.register(stream.ours, selectors.EVENT_READ, stream)
        while self.open:
            for key, _ in selector.select():
                stream = key.data
                try:
                    chunk = stream.ours.recv(65536)
                except ConnectionError:
                    chunk = b""
                with self.changed:
                    if chunk:
                        stream.data += chunk
                        if stream.log:
                            stream.log.write(chunk)
                    else:
                        selector.unregister(stream.ours)
                        self.open -= 1
                    self.changed.notify_all()
        selector.close()

    def wait(self, probe, deadline):
        """What probe() returns once it is true; None when the deadline passed or all streams ended."""
        end = time.monotonic() + deadline
        with self.changed:
            while not (found := probe()):
                left = end - time.monotonic()
                if left <= 0 or not self.open:
                    return None
                self.changed.wait(left)
            return found

    def finish(self):
        """After QEMU's end: take in what is left, and close."""
        self._thread.join()
        for stream in self.by_name.values():
            stream.ours.close()

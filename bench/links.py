#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""An update over links of a known round trip and rate (link.c): requests one after another, as many in flight as four
connections bear, and HTTP/2; seconds, requests and bytes, and what the goal allows.

The image is made of this machine's programs; with --root it is a server's root of Debian 12 of about 1 GB on ext4, as of
the last point release, and with what Debian has had since (as root).

Usage: links.py [--size MIB | --root] [--rtt MS,...] [--mbit N,...] [--ways one,four,h2] [--slow-start] [--out FILE.tsv]"""
import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "ovmf-test"))
import httpd  # noqa: E402

import roots  # noqa: E402
import update  # noqa: E402
from image import MIB, once  # noqa: E402
from measured import RunFailed  # noqa: E402
from peers import BUILD, SLOTCTL, Slotctl, keys, tool  # noqa: E402

WORK = BUILD / "bench"
WAYS = {"one": "one after another", "four": "four connections", "h2": "HTTP/2"}
REQUESTS = 400
SERVER_SIZE = 1200 * MIB


class TlsServer(httpd.HttpServer):
    """nginx, which Debian builds with HTTP/2: over TLS, with it and without."""
    config = httpd._CONFIG.replace("listen 127.0.0.1:{port};", "listen 127.0.0.1:{port} ssl@;\n"
                                   f"        ssl_certificate {WORK}/tls.crt;\n        ssl_certificate_key {WORK}/tls.key;\n"
                                   "        keepalive_requests 100000;")

    def __init__(self, directory, files, http2):
        super().__init__(directory, files)
        self.text = self.config.replace("ssl@", "ssl http2" if http2 else "ssl")

    def _launch(self, deadline):
        before, httpd._CONFIG = httpd._CONFIG, self.text
        try:
            return super()._launch(deadline)
        finally:
            httpd._CONFIG = before


class Update(Slotctl):
    """The machine runs the old image; the bundle has the new one."""

    def __init__(self, old, new):
        self.work, self.old, self.image = WORK / "slotctl", old, new
        self.work.mkdir(exist_ok=True)
        self.key, self.cert = keys(WORK)
        self.uki = self.work / "uki.efi"
        self._make_uki()
        self.bundle = once(WORK / f"{self.image.stem}.zip", lambda part: tool(
            SLOTCTL, "bundle", "create", f"--output={part}", "--compatible=bench", "--version=2", f"--uki={self.uki}",
            f"--image=rootfs={self.image}", f"--key={self.key}", f"--cert={self.cert}"))

    def run(self, url, connections):
        """Seconds, and what it told."""
        target = WORK / "target.img"
        target.unlink(missing_ok=True)
        with open(target, "wb") as file:
            file.truncate(self.image.stat().st_size)
        top = self._machine(target)
        conf = top / "slotboot.conf"
        trust = f"ca-file = {WORK}/tls.crt\n" if url.startswith("https:") else ""
        conf.write_text(conf.read_text().replace(f"a = {top}/a.img", f"a = {self.old}").replace(
            "[slotboot]\n", f"[slotboot]\nconnections = {connections}\n{trust}", 1))
        done = subprocess.run([SLOTCTL, "install", url, "--activate=none", "--allow-downgrade", "--json", f"--config={conf}"],
                              env={**os.environ, **self.env}, capture_output=True, text=True)
        if done.returncode != 0 or subprocess.run(["cmp", "--quiet", self.image, target]).returncode != 0:
            raise RunFailed(done.stderr + done.stdout[-500:])
        events = {line["event"]: line for line in map(json.loads, done.stdout.splitlines())}
        return events["time"]["ms"] / 1000, events


def server_pair():
    """Paths of the old and the new root."""
    old = roots.server()
    trees = {"server": old, "server-new": roots.updated(old, "server-new", roots.outdated(old))}
    return [once(WORK / f"{name}.img", lambda part, tree=tree: roots.ext4_of(tree, part, SERVER_SIZE))
            for name, tree in trees.items()]


def link_program():
    program = WORK / "link"
    subprocess.run(["cc", "-std=c11", "-O2", "-o", program, HERE / "link.c"], check=True)
    return program


class Link:
    def __init__(self, program, port, rtt, rate, slow):
        self.process = subprocess.Popen([program, str(port), str(rtt), str(rate), *(["slow-start"] if slow else [])],
                                        stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.wait()


def certificate():
    if not (WORK / "tls.crt").exists():
        tool("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
             "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", WORK / "tls.key", "-out",
             WORK / "tls.crt")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=192, help="of the image, in MiB")
    parser.add_argument("--root", action="store_true", help="a server's root of Debian instead")
    parser.add_argument("--rtt", default="20,50,200", help="in ms")
    parser.add_argument("--mbit", default="5,20,100")
    parser.add_argument("--ways", default="one,four,h2")
    parser.add_argument("--slow-start", action="store_true")
    parser.add_argument("--out", type=Path, default=WORK / "links.tsv")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    certificate()
    contestant = Update(*(server_pair() if options.root else update.pair(WORK, options.size * MIB)))
    program = link_program()
    servers = {way: TlsServer(WORK / f"httpd-{way}", WORK, way == "h2").start() for way in options.ways.split(",")}
    good = True
    with open(options.out, "w") as out:
        out.write("rtt_ms\tmbit\tway\tseconds\trequests\tbytes\tgoal\n")
        for mbit in map(int, options.mbit.split(",")):
            for rtt in map(int, options.rtt.split(",")):
                rate, first = mbit * 125000, None
                for way, server in servers.items():
                    with Link(program, server.port, rtt, rate, options.slow_start) as link:
                        seconds, events = contestant.run(f"https://127.0.0.1:{link.port}/{contestant.bundle.name}",
                                                         1 if way == "one" else 4)
                    fetched = events["fetched"]
                    goal = 1.15 * fetched["bytes"] / rate + 10 * rtt / 1000
                    first = first or (seconds, fetched["bytes"])
                    met = seconds <= goal and fetched["requests"] <= REQUESTS and fetched["bytes"] <= 1.1 * first[1]
                    good = good and (met or way == "one")
                    print(f"{rtt:4} ms {mbit:4} Mbit/s {WAYS[way]:18} {seconds:7.2f} s ({seconds / first[0]:.2f}), goal "
                          f"{goal:7.2f}; {fetched['requests']:5} requests, {fetched['bytes']:11,} bytes "
                          f"({fetched['bytes'] / first[1]:.3f}); binds: {events['time'].get('binds', '?')}; load "
                          f"{os.getloadavg()[0]:.1f}{'' if met or way == 'one' else '  MISSED'}", flush=True)
                    out.write(f"{rtt}\t{mbit}\t{way}\t{seconds:.3f}\t{fetched['requests']}\t{fetched['bytes']}\t{goal:.3f}\n")
    for server in servers.values():
        server.stop()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the processes without rights cost: the same image from a file and from nginx on loopback, with sandbox = no and
sandbox = require, taking turns; the medians, the ratio, and CPU time of all processes together.

Usage: sandbox.py [--size MIB] [--rounds N]"""
import argparse
import os
import resource
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "ovmf-test"))
from httpd import HttpServer  # noqa: E402

from image import MIB, image  # noqa: E402
from measured import RunFailed, median, rounds, run  # noqa: E402
from peers import BUILD, SLOTCTL, Slotctl  # noqa: E402
from target import Target, can_loop  # noqa: E402

WORK = BUILD / "bench"


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Contestant(Slotctl):
    def __init__(self, image_file, url, loop, sandbox):
        super().__init__(WORK, image_file)
        self.where = f"{url}/{self.bundle.name}" if url else self.bundle
        self.loop, self.sandbox, self.cpu = loop, sandbox, []

    def turn(self):
        with Target(WORK / "target.img", self.image.stat().st_size, self.loop) as target:
            top = self._machine(target.path)
            conf = top / "slotboot.conf"
            conf.write_text(conf.read_text().replace("[slotboot]", f"[slotboot]\nsandbox = {self.sandbox}", 1))
            before = cpu_seconds()
            cost = run([SLOTCTL, "install", self.where, "--activate=none", "--allow-downgrade", f"--config={conf}"],
                       env=self.env, then=target.flush)
            self.cpu.append(cpu_seconds() - before)
            if not target.holds(self.image):
                raise RunFailed("what it installed is not the image")
        return cost


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="in MiB")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    server = HttpServer(WORK / "httpd", WORK).start()
    image_file, loop = image(WORK, options.size * MIB), can_loop(WORK)
    for kind, url in (("a file", None), ("http", f"http://127.0.0.1:{server.port}")):
        each = {sandbox: Contestant(image_file, url, loop, sandbox) for sandbox in ("no", "require")}
        costs = rounds({sandbox: contestant.turn for sandbox, contestant in each.items()}, options.rounds)
        base = median(costs["no"], "seconds"), statistics.median(each["no"].cpu)
        for sandbox, cost in costs.items():
            seconds, cpu = median(cost, "seconds"), statistics.median(each[sandbox].cpu)
            print(f"{options.size} MiB, {kind}, sandbox = {sandbox}: {seconds:.2f} s ({seconds / base[0]:.3f}), "
                  f"{cpu:.2f} s of CPU ({cpu / base[1]:.3f}), {median(cost, 'peak_kib') / 1024:.0f} MiB; load "
                  f"{os.getloadavg()[0]:.1f}", flush=True)
    server.stop()


if __name__ == "__main__":
    main()

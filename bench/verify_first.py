#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What verify-first costs: the same image from nginx on loopback with and without it, taking turns; the medians, and
the ratio, at the full speed of the machine and at that of a link.

Usage: verify_first.py [--size MIB] [--rounds N] [--link BYTES_A_SECOND]"""
import argparse
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


class Contestant(Slotctl):
    def __init__(self, image_file, server, loop, first, rate):
        super().__init__(WORK, image_file)
        self.url = f"http://127.0.0.1:{server.port}/{self.bundle.name}"
        self.loop, self.first, self.rate = loop, first, rate

    def turn(self):
        with Target(WORK / "target.img", self.image.stat().st_size, self.loop) as target:
            top = self._machine(target.path)
            if self.rate:
                conf = top / "slotboot.conf"
                conf.write_text(conf.read_text().replace("[slotboot]", f"[slotboot]\nrate-limit = {self.rate}", 1))
            cost = run([SLOTCTL, "install", self.url, "--activate=none", "--allow-downgrade",
                        f"--verify-first={self.first}", f"--config={top}/slotboot.conf"], env=self.env,
                       then=target.flush)
            if not target.holds(self.image):
                raise RunFailed("what it installed is not the image")
        return cost


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="in MiB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--link", type=int, default=12_500_000, help="bytes a second")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    server = HttpServer(WORK / "httpd", WORK).start()
    image_file, loop = image(WORK, options.size * MIB), can_loop(WORK)
    for rate in (0, options.link):
        costs = rounds({first: Contestant(image_file, server, loop, first, rate).turn for first in ("no", "yes")},
                       options.rounds)
        base = median(costs["no"], "seconds")
        for first, each in costs.items():
            seconds = median(each, "seconds")
            print(f"{options.size} MiB, {f'{rate} bytes/s' if rate else 'full speed'}, verify-first = {first}: "
                  f"{seconds:.2f} s ({seconds / base:.2f}), {median(each, 'peak_kib') / 1024:.0f} MiB", flush=True)
    print(f"the bundle: {Contestant(image_file, server, loop, 'no', 0).bundle.stat().st_size} bytes")
    server.stop()


if __name__ == "__main__":
    main()

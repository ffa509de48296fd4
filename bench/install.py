#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Installs the same image with slotctl, RAUC, SWUpdate and a plain pipe, taking turns; prints medians and ratios.

Usage: install.py [--sizes MIB,...] [--rounds N] [--out FILE.tsv]"""
import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "ovmf-test"))
from httpd import HttpServer  # noqa: E402

from image import MIB, image  # noqa: E402
from measured import RunFailed, median, rounds  # noqa: E402
from peers import ALL, BUILD  # noqa: E402
from target import Target, can_loop  # noqa: E402

WORK = BUILD / "bench"


def contest(image_file, source, loop, count, server):
    """name: costs, of every contestant that runs here."""
    size = image_file.stat().st_size

    def turn(contestant):
        def install():
            url = f"http://127.0.0.1:{server.port}/{contestant.bundle.name}" if source == "nginx" else None
            with Target(WORK / "target.img", size, loop) as target:
                if not url:
                    contestant.bundle.exists() and contestant.bundle.open("rb").read()     # into the page cache
                cost = contestant.install(url, target)
                if not target.holds(image_file):
                    raise RunFailed("what it installed is not the image")
            return cost
        return install
    return rounds({each.name: turn(each(WORK, image_file)) for each in ALL}, count)


def table(costs):
    """Lines of seconds, peak memory, and how slotctl compares."""
    ours = median(costs["slotctl"], "seconds") if "slotctl" in costs else None
    for name, each in costs.items():
        seconds, peak = median(each, "seconds"), median(each, "peak_kib")
        ratio = f"{seconds / ours:5.2f} times slotctl's time" if ours else ""
        spread = f"{min(c.seconds for c in each):.2f} to {max(c.seconds for c in each):.2f}"
        print(f"  {name:10} {seconds:7.2f} s ({spread})  {peak / 1024:6.0f} MiB  {ratio}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="512,2048", help="in MiB")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=WORK / "install.tsv")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    server = HttpServer(WORK / "httpd", WORK).start()
    targets = (True, False) if can_loop(WORK) else (False,)
    if len(targets) == 1:
        print("no loop devices here: files only")
    with open(options.out, "w") as out:
        out.write("size\tsource\ttarget\tprogram\tseconds\tpeak_kib\n")
        for size in map(int, options.sizes.split(",")):
            for source in ("file", "nginx"):
                for loop in targets:
                    kind = "loop device" if loop else "file"
                    print(f"{size} MiB from {'a local file' if source == 'file' else 'nginx on loopback'} "
                          f"to a {kind}, median of {options.rounds}:", flush=True)
                    costs = contest(image(WORK, size * MIB), source, loop, options.rounds, server)
                    table(costs)
                    for name, each in costs.items():
                        out.write(f"{size}\t{source}\t{kind}\t{name}\t{median(each, 'seconds'):.3f}\t"
                                  f"{median(each, 'peak_kib'):.0f}\n")
    server.stop()


if __name__ == "__main__":
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Packs the same image with slotctl, alone and with the bundle before, and with mksquashfs -comp zstd at its default
level, taking turns; prints medians of seconds and of processor seconds, and the bundle's size beside that of its whole chunks.

Usage: packing.py [--image FILE]... [--rounds N] [--slotctl FILE]"""
import argparse
import subprocess
import sys
import zipfile
from pathlib import Path

from image import MIB, SOURCES, erofs_of, once
from measured import median, rounds, run

BUILD = Path(__file__).resolve().parent.parent / "build"
WORK = BUILD / "bench"
SIZE_GOAL = 1.35        # of what the same chunks are as single frames
TREE_MAX = 384 * MIB


def tree(work):
    """Programs and libraries of this machine, up to TREE_MAX."""
    def make(out):
        out.mkdir()
        left = TREE_MAX
        for source in filter(lambda path: Path(path).is_dir(), SOURCES):
            for file in sorted(Path(source).iterdir()):
                if file.is_file() and not file.is_symlink() and file.stat().st_size <= left and not (out / file.name).exists():
                    subprocess.run(["cp", "-p", file, out], check=True)
                    left -= file.stat().st_size
    return once(work / "packing-tree", make)


def ext4_of(files, out):
    """A third of it is free."""
    subprocess.run(["truncate", "-s", str(TREE_MAX * 3 // 2), out], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-d", files, out], check=True)


def images(work):
    files = tree(work)
    return [once(work / "packing-ext4.img", lambda out: ext4_of(files, out)),
            once(work / "packing-plain.erofs", lambda out: erofs_of(files, out, ())),
            once(work / "packing-lz4hc.erofs", lambda out: erofs_of(files, out, ("-zlz4hc",)))]


def create(slotctl, out, image, *options):
    uki = WORK / "packing.efi"
    uki.write_bytes(b"MZ and a kernel")
    return [slotctl, "bundle", "create", f"--output={out}", "--compatible=bench", "--version=1", "--unsigned",
            f"--uki={uki}", f"--image=rootfs={image}", *options]


def packed_bytes(bundle):
    with zipfile.ZipFile(bundle) as entries:
        return sum(entry.file_size for entry in entries.infolist() if entry.filename.startswith("rootfs."))


def compare(slotctl, image, count):
    """Whether the goals are met."""
    bundle, whole, again = (WORK / f"packing-{kind}.zip" for kind in ("blocks", "whole", "again"))
    squash = WORK / "packing.squashfs"
    run(create(slotctl, whole, image, "--no-delta"))
    run(create(slotctl, bundle, image))
    costs = rounds({
        "slotctl": lambda: run(create(slotctl, bundle, image)),
        "slotctl, the same again": lambda: run(create(slotctl, again, image, f"--reuse={bundle}")),
        "mksquashfs": lambda: run(["mksquashfs", image, squash, "-comp", "zstd", "-noappend", "-no-progress"]),
    }, count)
    ratio = packed_bytes(bundle) / packed_bytes(whole)
    print(f"{image.name}, {image.stat().st_size:,} bytes: {packed_bytes(bundle):,} in the bundle, {ratio:.3f} times its "
          f"whole chunks (goal {SIZE_GOAL}); squashfs {squash.stat().st_size:,}")
    for name, each in costs.items():
        print(f"  {name:24} {median(each, 'seconds'):7.1f} s, {median(each, 'cpu'):7.1f} s of processors, "
              f"{median(each, 'peak_kib') / 1024:5.0f} MiB", flush=True)
    return ratio <= SIZE_GOAL and all(median(costs["slotctl"], field) <= median(costs["mksquashfs"], field)
                                      for field in ("seconds", "cpu"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", type=Path, action="append", help="default: an ext4 and two erofs of this machine's programs")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slotctl", type=Path, default=BUILD / "slotctl")
    options = parser.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    met = [compare(options.slotctl, image, options.rounds) for image in options.image or images(WORK)]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())

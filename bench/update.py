# SPDX-License-Identifier: MIT
"""Two versions of an image, as an update of a distribution leaves them: files one after the other, each at a multiple
of 4 KiB, some of which were built anew. Made of this machine's own programs; the same seed makes the same changes."""
import random
from pathlib import Path

from image import MIB, SOURCES, once

BLOCK = 4096


def _files(size):
    """This machine's programs and libraries, until there are size bytes; then again, with every byte changed."""
    paths = [path for source in SOURCES if Path(source).is_dir() for path in sorted(Path(source).rglob("*"))
             if path.is_file() and not path.is_symlink() and path.stat().st_size > 0]
    turn, left = 0, size
    while left > 0:
        table = bytes(byte ^ turn for byte in range(256))
        for path in paths:
            content = path.read_bytes().translate(table)
            content = content[:left // BLOCK * BLOCK] + bytes(-len(content[:left]) % BLOCK)
            yield content
            left -= len(content)
            if left < BLOCK:
                return
        turn += 1


def _rebuilt(content, chance):
    """What a compiler makes of it after a small change: runs of blocks differ, by half of their bytes."""
    content, at = bytearray(content), 0
    while at < len(content):
        run = BLOCK * chance.choice((1, 1, 1, 2, 2, 4, 8, 32))
        if chance.random() < 0.5:
            for start in range(at, min(at + run, len(content)), 16):
                content[start:start + 8] = chance.randbytes(8)
        at += run
    return bytes(content)


def pair(work, size):
    """Paths of the old and the new version, of size bytes. Of a file, or of 1 MiB of a large one, every eighth was
    built anew."""
    name = f"update-{size // MIB}"

    def make(out, rebuilt):
        chance = random.Random(16)
        with open(out, "wb") as file:
            for content in _files(size):
                for at in range(0, len(content), MIB):
                    piece, seed = content[at:at + MIB], chance.random()
                    file.write(_rebuilt(piece, random.Random(seed)) if rebuilt and seed < 1 / 8 else piece)
    return (once(work / f"{name}-old.img", lambda out: make(out, False)),
            once(work / f"{name}-new.img", lambda out: make(out, True)))

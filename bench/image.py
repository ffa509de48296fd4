# SPDX-License-Identifier: MIT
"""Images to install: what an erofs of real programs looks like, at any size."""
import subprocess
from pathlib import Path

MIB = 1 << 20
# Programs and libraries, in the order erofs reads them; documents would compress too well.
SOURCES = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/bin", "/usr/sbin", "/usr/lib")


def erofs_of(tree, out, compression=("-zlz4",)):
    subprocess.run(["mkfs.erofs", "--quiet", "-T0", *compression, out, tree], check=True, stdout=subprocess.DEVNULL)


def once(path, make):
    """Has make(part) make the file, unless it is there; a run that is stopped leaves no half of it."""
    if not path.exists():
        part = path.with_name(f"part-{path.name}")
        part.unlink(missing_ok=True)
        make(part)
        part.rename(path)
    return path


def _content(work):
    """An lz4 erofs of this machine's own programs, made once."""
    def make(out):
        tree = work / "tree"
        subprocess.run(["rm", "-rf", tree], check=True)
        tree.mkdir()
        for source in filter(lambda path: Path(path).is_dir(), SOURCES):
            subprocess.run(["cp", "-a", "--reflink=auto", source, tree], check=True)
        erofs_of(tree, out)
        subprocess.run(["rm", "-rf", tree], check=True)
    return once(work / "programs.erofs", make)


def image(work, size):
    """The first size bytes of it; where it ends, it begins anew with every byte changed, so that nothing
    repeats and everything compresses as before."""
    def make(out):
        content = _content(work)
        with open(out, "wb") as file:
            turn, left = 0, size
            while left > 0:
                table = bytes(byte ^ turn for byte in range(256))
                with open(content, "rb") as source:
                    while left > 0 and (piece := source.read(min(left, MIB))):
                        file.write(piece.translate(table))
                        left -= len(piece)
                turn += 1
    return once(work / f"image-{size // MIB}.img", make)

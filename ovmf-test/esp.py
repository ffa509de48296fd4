# SPDX-License-Identifier: MIT
"""Files on the ESP of a disk image, by mtools: no mount, no root."""
import subprocess
import tempfile
from pathlib import Path

from paths import ENV, run

# mtools doubts disks whose size is no whole number of tracks; nothing here has tracks.
_TOOLS = {"MTOOLS_SKIP_CHECK": "1"}


class Esp:
    def __init__(self, image, offset):
        self.image = f"{image}@@{offset}"
        self.path, self.offset = Path(image), offset

    def format(self, size):
        with tempfile.TemporaryDirectory() as scratch:
            part = Path(scratch) / "esp"
            with open(part, "wb") as file:
                file.truncate(size)
            # Clusters of 1 KiB: the largest that leave 128 MiB enough of them to be FAT32.
            run("mkfs.vfat", "-F", "32", "-s", "2", "-n", "ESP", "-i", "5107b007", "--invariant", part)
            with open(self.path, "r+b") as file:
                file.seek(self.offset)
                file.write(part.read_bytes())

    def make_directory(self, name):
        parents = list(reversed(Path(name).parents))[1:] + [Path(name)]
        for directory in parents:
            # mmd has no -p and refuses what exists.
            if not self.exists(directory):
                run("mmd", "-i", self.image, f"::{directory}", env=_TOOLS)

    def exists(self, name):
        return subprocess.run(["mdir", "-b", "-i", self.image, f"::{name}"], capture_output=True,
                              env={**ENV, **_TOOLS}).returncode == 0

    def write(self, name, content):
        self.make_directory(Path(name).parent)
        run("mcopy", "-o", "-D", "o", "-i", self.image, "-", f"::{name}", stdin=content, env=_TOOLS)

    def read(self, name):
        return run("mtype", "-i", self.image, f"::{name}", env=_TOOLS)

    def remove(self, name):
        run("mdel", "-i", self.image, f"::{name}", env=_TOOLS)

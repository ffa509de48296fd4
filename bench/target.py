# SPDX-License-Identifier: MIT
"""Where the image goes: a fresh file, or a fresh file behind a loop device."""
import os
import subprocess


class Target:
    def __init__(self, backing, size, loop):
        self.backing, self.size, self.loop = backing, size, loop
        self.path = None

    def __enter__(self):
        """Empty, with nothing of it in the page cache."""
        self.backing.unlink(missing_ok=True)
        with open(self.backing, "wb") as file:
            file.truncate(self.size)
        self.path = self.backing
        if self.loop:
            self.path = subprocess.run(["losetup", "--find", "--show", self.backing], check=True,
                                       capture_output=True, text=True).stdout.strip()
        os.sync()
        return self

    def __exit__(self, *exception):
        if self.loop and self.path:
            subprocess.run(["losetup", "--detach", self.path], check=True)
        self.backing.unlink(missing_ok=True)

    def flush(self):
        """What a program left in the page cache counts as its time."""
        file = os.open(self.path, os.O_RDWR)
        os.fsync(file)
        os.close(file)

    def holds(self, image):
        return subprocess.run(["cmp", "--quiet", f"--bytes={self.size}", image, self.path]).returncode == 0


def can_loop(directory):
    """Loop devices want root, and a kernel that has them."""
    probe = directory / "probe.img"
    try:
        with open(probe, "wb") as file:
            file.truncate(1 << 20)
        with Target(probe, 1 << 20, True):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False

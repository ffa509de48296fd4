# SPDX-License-Identifier: MIT
"""Trees of the host's own programs, or another architecture's: busybox, and dynamically linked ones with their libraries."""
import os
import re
import shutil
from pathlib import Path

from paths import ARCH, PROGRAMS, run

# One /usr, as Debian has it: a library's path is the same by either name.
_MERGED = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}


def new_tree(tree):
    """An empty root with a merged /usr and busybox in it."""
    tree = Path(tree)
    shutil.rmtree(tree, ignore_errors=True)
    for link, target in _MERGED.items():
        (tree / target).mkdir(parents=True)
        (tree / link).symlink_to(target)
    for name in ("dev", "proc", "sys", "run", "tmp", "etc"):
        (tree / name).mkdir()
    shutil.copy(program("bin/busybox"), tree / "usr/bin/busybox")
    for applet in run("busybox", "--list-full").decode().split():
        if Path(applet).name == "busybox":
            continue
        place = tree / ("usr/sbin" if "sbin" in Path(applet).parts else "usr/bin") / Path(applet).name
        if not place.exists():
            place.symlink_to("/usr/bin/busybox")
    return tree


def program(name):
    """Where a program of the test OS comes from: below /usr, or beside it where that Debian is not merged."""
    merged = PROGRAMS / "usr" / name
    return merged if merged.exists() else PROGRAMS / name


def add_file(tree, name, source=None, text=None, mode=0o644):
    place = Path(tree) / name.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.write_bytes(Path(source).read_bytes() if source else text.encode())
    place.chmod(mode)


def add_program(tree, source, name):
    """Copy a program, every library ldd names for it, and the dynamic loader."""
    add_file(tree, name, source, mode=0o755)
    for library in re.findall(r"(/\S+) \(0x", run(*ARCH.libraries, source).decode()):
        # The name it is asked for by, with the contents of whatever it links to.
        place = "/usr" + library if library.startswith(("/lib/", "/lib64/")) else library
        add_file(tree, place, os.path.realpath(library), mode=0o755)

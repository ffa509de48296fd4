# SPDX-License-Identifier: MIT
"""The test OS's kernels: the image, and modules with what they depend on.

Two flavours are Debian's, as install-deps unpacked them: "cloud", small and quick, and "generic", which has drivers for
hardware watchdogs. One is built from Debian's source by kernel-arm64: "own", which can kexec on arm64, with no modules.
SLOTBOOT_KERNEL in the environment names the one that variants have where nothing else is said."""
import os
import re
from pathlib import Path

from paths import WORK

ROOTS = {"cloud": WORK / "kernel" / "root", "generic": WORK / "kernel-generic" / "root", "own": WORK / "kernel-own" / "root"}
DEFAULT = os.environ.get("SLOTBOOT_KERNEL", "cloud")


def image(flavour=DEFAULT):
    """The newest vmlinuz."""
    found = sorted((ROOTS[flavour] / "boot").glob("vmlinuz-*"))
    if not found:
        raise RuntimeError("no kernel is there: run ovmf-test/" + ("kernel-arm64" if flavour == "own" else "install-deps"))
    return found[-1]


def zboot():
    """The flavour "own" as an EFI zboot image."""
    return image("own").with_name("zboot-" + release("own"))


def release(flavour=DEFAULT):
    return image(flavour).name.removeprefix("vmlinuz-")


def _depends(module):
    # The .modinfo section is a run of NUL-terminated key=value strings. Reading it here needs
    # neither kmod nor a depmod run over the unpacked tree.
    found = re.search(rb"\0depends=([^\0]*)\0", module.read_bytes())
    return [name for name in found[1].decode().split(",") if name] if found else []


def modules(*wanted, flavour=DEFAULT):
    """Paths of the wanted modules and all they need, each after its dependencies."""
    top = ROOTS[flavour] / "lib/modules" / release(flavour)
    tree = {path.stem.replace("-", "_"): path for path in top.rglob("*.ko")}
    builtin = {Path(line).stem.replace("-", "_") for line in (top / "modules.builtin").read_text().split()}
    order = []

    def add(name):
        name = name.replace("-", "_")
        if name in builtin:
            return
        if name not in tree:
            raise RuntimeError(f"the kernel {release(flavour)} has no module {name}")
        if tree[name] in order:
            return
        for needed in _depends(tree[name]):
            add(needed)
        order.append(tree[name])

    for name in wanted:
        add(name)
    return order

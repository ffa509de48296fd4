# SPDX-License-Identifier: MIT
"""The test OS's initrd: modules, dmsetup, and guest/initrd-init as /init.

Small, because every boot pays for its bytes under emulation: the firmware reads them, loader and agent hash them, the
kernel unpacks them. So dmsetup opens the root, not veritysetup, which would bring libcrypto."""
import os
from pathlib import Path

import kernel
import rootfs
from paths import HERE, run
from programs import add_file, add_program, new_tree, program

# Most come in by dependency; what only udev or modprobe would ask for is named here. libcrc32c asks for crc32c.
MODULES = ("crc32c_generic", "virtio_pci", "virtio_blk", "virtio_net", "virtio_console", "virtio_rng", "nvme",
           "erofs", "dm_mod", "dm_verity", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1",
           "nls_utf8", "efivarfs", "loop")
# The TCO is in the bridge that lpc_ich drives.
WATCHDOGS = {"generic": ("i6300esb", "lpc_ich", "iTCO_wdt")}


def build(out, work, hash_offset, flavour=kernel.DEFAULT):
    """Write the initrd for a root whose hash tree starts at hash_offset, with the modules of one of kernel's flavours."""
    tree = new_tree(Path(work) / "initrd")
    (tree / "root").mkdir()
    names = []
    for module in kernel.modules(*MODULES, *WATCHDOGS.get(flavour, ()), flavour=flavour):
        name = "/usr/lib/modules/" + module.name
        add_file(tree, name, module)
        names.append(name)
    add_file(tree, "modules", text="".join(f"{name}\n" for name in names))
    # What the hash tree's superblock says: blocks of 4096 bytes, and the tree in those that follow it.
    blocks = hash_offset // 4096
    add_file(tree, "verity", text=f"{blocks * 8} {blocks} {blocks + 1} {rootfs.SALT}\n")
    add_file(tree, "init", HERE / "guest/initrd-init", mode=0o755)
    add_program(tree, program("sbin/dmsetup"), "/usr/sbin/dmsetup")
    if flavour == "generic":
        add_program(tree, "/usr/bin/nice", "/usr/bin/nice")
    pack(tree, out)


def pack(tree, out):
    """cpio in name order with fixed times and owner: the same tree gives the same bytes."""
    names = sorted(str(path.relative_to(tree)) for path in Path(tree).rglob("*"))
    for name in names:
        os.utime(Path(tree) / name, (0, 0), follow_symlinks=False)
    archive = run("cpio", "--create", "--format=newc", "--null", "--reproducible", "--quiet",
                  "--owner=0:0", "--directory", tree, stdin="\0".join(names).encode())
    Path(out).write_bytes(run("zstd", "-q", "-3", "-c", stdin=archive))

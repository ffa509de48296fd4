# SPDX-License-Identifier: MIT
"""The test OS's root: an erofs with its dm-verity tree behind it, one file per slot image."""
import hashlib
import re
from pathlib import Path

import systemd
from paths import HERE, SLOTCTL, run
from programs import add_file, add_program, new_tree

CONFIG = """[slotboot]
compatible = slotboot-test
esp = /efi
keyring = /etc/slotboot/keyring.pem
tries = 3
"""
# Fixed, so that equal trees give equal images and root hashes.
UUID = "5107b007-0000-4000-8000-{:012x}"
SALT = "5107b007" * 8


def _filler(variant, size=1 << 20):
    """Bytes that do not compress and differ between variants, as real updates do."""
    return b"".join(hashlib.sha256(f"{variant} {i}".encode()).digest() for i in range(size // 32))


def build(out, work, variant, version, keyring, slotctl=SLOTCTL, with_systemd=False):
    """Write the image; return (root hash, offset of the hash tree)."""
    tree = new_tree(Path(work) / "rootfs")
    (tree / "efi").mkdir()
    add_file(tree, "etc/variant", text=variant + "\n")
    add_file(tree, "etc/os-release", text=os_release(variant, version))
    add_file(tree, "etc/inittab", HERE / "guest/inittab")
    add_file(tree, "etc/rc", HERE / "guest/rc", mode=0o755)
    add_file(tree, "etc/rc.shutdown", HERE / "guest/rc.shutdown", mode=0o755)
    add_file(tree, "etc/passwd", text="root:x:0:0:root:/tmp:/bin/sh\n")
    add_file(tree, "etc/slotboot/slotboot.conf", text=CONFIG)
    add_file(tree, "etc/slotboot/keyring.pem", keyring)
    for name in ("announce", "command-server"):
        add_file(tree, f"usr/sbin/{name}", HERE / "guest" / name, mode=0o755)
    (tree / "usr/share").mkdir()
    (tree / "usr/share/filler").write_bytes(_filler(variant))
    if Path(slotctl).exists():
        add_program(tree, slotctl, "usr/bin/slotctl")
    if with_systemd:
        systemd.add(tree)

    Path(out).unlink(missing_ok=True)
    run("mkfs.erofs", "--quiet", "-T0", "-U", UUID.format(1), "--all-root", "-zlz4", out, tree)
    offset = -(-Path(out).stat().st_size // 4096) * 4096
    with open(out, "r+b") as image:
        image.truncate(offset)
    text = run("veritysetup", "format", "--hash-offset", offset, "--salt", SALT, "--uuid", UUID.format(2),
               out, out).decode()
    return re.search(r"Root hash:\s*([0-9a-f]{64})", text)[1], offset


def os_release(variant, version):
    return (f'ID=slotboot-test\nNAME="slotboot test OS"\nPRETTY_NAME="slotboot test OS, variant {variant}"\n'
            f"VERSION_ID={version}\nIMAGE_ID=slotboot-test\nIMAGE_VERSION={version}\n")

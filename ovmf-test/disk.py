# SPDX-License-Identifier: MIT
"""The machine's disk: a GPT image file with an ESP and two slots, made and read without root."""
import hashlib
import zipfile
from pathlib import Path

from esp import Esp
from paths import ARCH, FALLBACK, LOADER, SFDISK, run

MIB = 1 << 20
# name, type GUID, start and size in MiB. Fixed GUIDs: equal contents give equal disks.
_ESP_TYPE = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
LAYOUT = {"esp": (_ESP_TYPE, 1, 128), "slotboot-a": (ARCH.root_type, 129, 48), "slotboot-b": (ARCH.root_type, 177, 48)}
_SIZE = 226
# The same for slotctl provision.
SIZES = (f"--size={_SIZE}M", f"--esp-size={LAYOUT['esp'][2]}M", f"--slot-size={LAYOUT['slotboot-a'][2]}M")
_GUID = "5107B007-0000-4000-9000-{:012X}"
# Two copies of the slot record, 4096 bytes apart.
STATE_SIZE = 8192


class Disk:
    def __init__(self, path):
        self.path = Path(path)
        self.esp = Esp(self.path, LAYOUT["esp"][1] * MIB)

    def read(self, partition):
        """All bytes of a partition. Also of a running machine: QEMU writes through to the file."""
        _, start, size = LAYOUT[partition]
        with open(self.path, "rb") as file:
            file.seek(start * MIB)
            return file.read(size * MIB)

    def write(self, partition, content, offset=0):
        _, start, size = LAYOUT[partition]
        if offset + len(content) > size * MIB:
            raise RuntimeError(f"{len(content)} bytes do not fit {partition} of {size} MiB")
        with open(self.path, "r+b") as file:
            file.seek(start * MIB + offset)
            file.write(content)

    def hash(self, partition):
        return hashlib.sha256(self.read(partition)).hexdigest()

    def hashes(self):
        return {partition: self.hash(partition) for partition in LAYOUT}


def _partition(path):
    table = ["label: gpt", f"label-id: {_GUID.format(0)}", "first-lba: 2048"]
    for number, (name, (kind, start, size)) in enumerate(LAYOUT.items(), 1):
        table.append(f"start={start}MiB, size={size}MiB, type={kind}, uuid={_GUID.format(number)}, name={name}")
    run(*SFDISK, path, stdin="\n".join(table).encode())


def make(path, variant, bundle=None):
    """A fresh machine: the variant in slot A, slot B empty, no state anywhere.

    The variant's bundle, if given, leaves its signed manifest in the slot as an install would."""
    path = Path(path)
    path.unlink(missing_ok=True)
    with open(path, "wb") as file:
        file.truncate(_SIZE * MIB)
    _partition(path)
    disk = Disk(path)
    disk.esp.format(LAYOUT["esp"][2] * MIB)
    disk.esp.write(f"EFI/slotboot/{LOADER.name}", LOADER.read_bytes())
    disk.esp.write(FALLBACK, LOADER.read_bytes())
    disk.esp.write("EFI/slotboot/a/uki.efi", variant.uki.read_bytes())
    if bundle:
        for name in ("manifest.json", "manifest.p7s"):
            disk.esp.write(f"EFI/slotboot/a/{name}", zipfile.ZipFile(bundle).read(name))
    disk.esp.make_directory("EFI/slotboot/b")
    disk.esp.write("EFI/slotboot/state.bin", bytes(STATE_SIZE))
    disk.write("slotboot-a", variant.rootfs.read_bytes())
    return disk


def fill_slot(uki, slot):
    """The UKI with {slot} in its command line replaced, in place: NULs make up the length."""
    start = uki.index(b"slotboot.slot={slot}")
    end = uki.index(b"\0", start)
    line = uki[start:end].replace(b"{slot}", slot.encode())
    return uki[:start] + line.ljust(end - start, b"\0") + uki[end:]

# SPDX-License-Identifier: MIT
"""What the cases of test/run share. BUILD/efi is the program's first argument."""
import os
import sys

from emulated import ARCH
from machine import ESP_GUID, Machine

from record import STRIDE
from varstore import SIGNED_UPDATES

EFI = sys.argv[1]
# Of each firmware its own.
RUN = os.path.join(EFI, "run" + os.environ.get("OVMF", "").replace("/", "-"))
LOADER = os.path.join(EFI, f"slotboot{ARCH.NAME}.efi")
SHOW, STUB, SUCCESS, ERROR, TRACES, RESETS = (
    os.path.join(EFI, "test", f"{n}.efi") for n in
    ("show", "show_stub", "returns_success", "returns_error", "leaves_trace", "resets"))
LOADER_PATH = f"\\EFI\\slotboot\\slotboot{ARCH.NAME}.efi"
CASES, LEFT_OUT = [], []


def case(f):
    CASES.append(f)
    return f


def long_case(f):
    """Begins first, so that no processor is left alone with it at the end."""
    CASES.insert(0, f)
    return f


def skipped(f):
    """What it needs is not there."""
    LEFT_OUT.append(f)
    return f


def x64_only(decorator):
    """For what QEMU's q35 has and its virt has not."""
    return decorator if ARCH.NAME == "x64" else lambda f: f


def aa64_only(decorator):
    return decorator if ARCH.NAME == "aa64" else lambda f: f


def machine(folder, state=None, a=SHOW, b=SHOW, mirror=None, esp=ESP_GUID):
    """state: the record's bytes in the variable; mirror: its copies."""
    m = Machine(folder, esp=esp)
    m.put(LOADER_PATH.replace("\\", "/"), LOADER)
    m.entries(LOADER_PATH)
    for letter, uki in (("a", a), ("b", b)):
        if uki is not None:
            m.put(f"/EFI/slotboot/{letter}/uki.efi", uki)
    if mirror is not None:
        m.put("/EFI/slotboot/state.bin", b"".join(c.ljust(STRIDE, b"\0") for c in mirror))
    if state is not None:
        m.seed(("SlotState", state))
    return m


def signed_only(m, name, data, guid):
    """The machine has a variable that only a signed write may replace or delete. Firmware without Secure Boot need not
    know such variables."""
    m.qemu, m.firmware = ARCH.SECURE_QEMU, ARCH.SECURE_FIRMWARE
    m.seed((name, data, guid, SIGNED_UPDATES))

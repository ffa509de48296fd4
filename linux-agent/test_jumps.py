# SPDX-License-Identifier: MIT
"""slotctl against files: what it makes of a kexec, before and after it; the jump itself is for QEMU."""
import struct
import zlib

import pytest

from test_dryrun import (CONFIG, OURS, USAGE, create, identities, machine, parts,  # noqa: F401
                         refuse)

NONCE = 0x0123456789ABCDEF      # DryMachine's, on the command line after a kexec
KEXEC_TRIAL, AT_B, AT_NONCE, AT_FAILURES = 3, 104, 240, 248


def change_record(machine, *fields):  # noqa: F811
    """Each field: its offset, its struct format, its value. The mirror is left older than the variable."""
    record = bytearray(machine.variable("SlotState", OURS))
    for offset, layout, value in (*fields, (16, "<Q", struct.unpack_from("<Q", record, 16)[0] + 1)):
        struct.pack_into(layout, record, offset, value)
    struct.pack_into("<I", record, 252, zlib.crc32(bytes(record[:252])))
    machine.set_variable("SlotState", OURS, bytes(record))


def test_rehearse_has_the_firmware_try_what_only_a_kexec_has_proven(machine, create):  # noqa: F811
    machine.check("install", create(), "--activate=none")
    machine.boot_by("kexec", "b")
    refuse(machine, CONFIG, ["slot b is not confirmed (trial)", "mark-good first"], "rehearse", "--activate=none")
    machine.check("mark-good")
    assert machine.status()["slots"]["b"]["proven"] == {"firmware": False, "kexec": True}
    refuse(machine, USAGE, ["a rehearsal is a firmware boot"], "rehearse", "--activate=kexec")
    refuse(machine, USAGE, ["takes no slot"], "rehearse", "b", "--activate=none")
    assert "the next firmware boot tries it; 3 of 3 tries left" in machine.check("rehearse", "--activate=none")
    assert machine.status()["preferred"] == "b"
    machine.boot_by("firmware", "b")
    machine.check("mark-good")
    assert machine.status()["slots"]["b"]["proven"] == {"firmware": True, "kexec": True}
    assert "proven by the firmware and by kexec" in machine.check("status")
    before = machine.bytes()
    assert "the firmware has proven it already" in machine.check("rehearse", "--activate=reboot")
    assert machine.bytes() == before


def test_after_a_kexec_that_failed_the_next_one_wants_force(machine, create):  # noqa: F811
    change_record(machine, (AT_FAILURES, "B", 2))
    refuse(machine, CONFIG, ["never came to mark-good (2 in a row)", "--activate=reboot, or --force"],
           "install", create(), "--activate=kexec")
    assert machine.status()["kexec_failures"] == 2
    assert "2 in a row never came to mark-good" in machine.check("status")
    machine.check("install", create(), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("firmware", "b")
    machine.check("mark-good")
    assert machine.status()["kexec_failures"] == 2      # the firmware proves nothing about kexec
    refuse(machine, CONFIG, ["never came to mark-good"], "rollback", "--activate=kexec")
    machine.boot_by("kexec", "b")
    machine.check("mark-good")
    assert machine.status()["kexec_failures"] == 0


@pytest.mark.parametrize("nonce, bootloader", [(NONCE + 1, "208"), (0, "208"), (NONCE, "33")])
def test_a_kexec_that_nobody_meant_is_not_confirmed(machine, create, nonce, bootloader):  # noqa: F811
    machine.check("install", create(), "--activate=none")
    change_record(machine, (AT_B, "B", KEXEC_TRIAL), (AT_NONCE, "<Q", nonce))
    machine.boot_by("kexec", "b")
    (machine.top / "sysroot/proc/sys/kernel/bootloader_type").write_text(bootloader + "\n")
    refuse(machine, CONFIG, ["slot b cannot be marked good: it does not run by the kexec"], "mark-good")
    assert not machine.status()["jump"]["proven"]


def test_the_kexec_that_was_meant_is_confirmed(machine, create):  # noqa: F811
    machine.check("install", create(), "--activate=none")
    change_record(machine, (AT_B, "B", KEXEC_TRIAL), (AT_NONCE, "<Q", NONCE))
    machine.boot_by("kexec", "b")
    machine.check("mark-good")
    status = machine.status()
    assert status["slots"]["b"]["status"] == "trial" and status["slots"]["b"]["confirmed"]
    assert status["jump"] == {"proven": False, "nonce": True, "bootloader": True, "boot_id": False}


@pytest.mark.parametrize("verb", [("mark-bad", "b"), ("mark-active", "b"), ("rollback", "--activate=none")])
def test_what_is_given_up_is_forgotten(machine, create, verb):  # noqa: F811
    if verb[0] == "rollback":
        machine.check("install", create(), "--activate=none")
        machine.check("mark-active", "b")
        machine.boot_by("firmware", "b")
    change_record(machine, (AT_NONCE, "<Q", NONCE + 7))
    if verb[0] != "rollback":
        machine.check("install", create(), "--activate=none")
        change_record(machine, (AT_B, "B", KEXEC_TRIAL), (AT_NONCE, "<Q", NONCE + 7))
    machine.check(*verb)
    assert struct.unpack_from("<Q", machine.variable("SlotState", OURS), AT_NONCE)[0] == 0

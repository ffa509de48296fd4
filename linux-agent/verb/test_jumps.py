# SPDX-License-Identifier: MIT
"""slotctl against files: what it makes of a kexec, before and after it; the jump itself is for QEMU."""
import json
import struct

import pytest

from drymachine import AT_NONCE, CONFIG, NONCE, OURS, USAGE, refuse

TRIAL, KEXEC_TRIAL, BAD = 2, 3, 5
AT_B, AT_FAILURES = 144, 296


def test_rehearse_has_the_firmware_try_what_only_a_kexec_has_proven(machine, create):
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


def test_after_a_kexec_that_failed_the_next_one_wants_force(machine, create):
    machine.change_record((AT_FAILURES, "B", 2))
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


@pytest.mark.parametrize("status", [TRIAL, KEXEC_TRIAL, BAD])
@pytest.mark.parametrize("nonce, word, bootloader", [
    (NONCE + 1, f"slotboot.nonce={NONCE:016x}", "208"), (0, f"slotboot.nonce={NONCE:016x}", "208"),
    (NONCE, f"slotboot.nonce={NONCE:016x}", "33"), (0, "", "208")])
def test_a_kexec_that_nobody_meant_is_not_confirmed(machine, create, status, nonce, word, bootloader):
    machine.check("install", create(), "--activate=none")
    machine.boot_by("kexec", "b", meant=False)
    machine.change_record((AT_B, "B", status), (AT_NONCE, "<Q", nonce))
    (machine.top / "sysroot/proc/cmdline").write_text(f"quiet slotboot.slot=b {word}\n")
    (machine.top / "sysroot/proc/sys/kernel/bootloader_type").write_text(bootloader + "\n")
    refuse(machine, CONFIG, ["slot b cannot be marked good: it does not run by the kexec"], "mark-good")
    assert not machine.status()["jump"]["proven"]


def test_the_kexec_that_was_meant_is_confirmed(machine, create):
    """Also without a ledger, which says nothing: status has the answer that mark-good gives."""
    machine.check("install", create(), "--activate=none")
    machine.change_record((AT_B, "B", KEXEC_TRIAL))
    machine.boot_by("kexec", "b")
    assert "jump       as intended" in machine.check("status")
    machine.check("mark-good")
    status = machine.status()
    assert status["slots"]["b"]["status"] == "trial" and status["slots"]["b"]["confirmed"]
    assert status["jump"] == {"proven": True, "nonce": True, "bootloader": True, "boot_id": False}


def leave(machine, boot_id, slot, how="kexec"):
    """The ledger of a system that was left for the slot."""
    (machine.top / "esp/EFI/slotboot/ledger.json").write_text(json.dumps({
        "format": 1, "boot_id": boot_id, "pending": {"slot": slot, "how": how, "left": 1700000000000}}))


def test_without_a_new_boot_id_no_kexec_has_taken_place(machine, create):
    here, before = (f"{digit * 8}-1111-4111-8111-111111111111" for digit in "12")
    (machine.top / "sysroot/proc/sys/kernel/random").mkdir()
    (machine.top / "sysroot/proc/sys/kernel/random/boot_id").write_text(here + "\n")
    machine.check("install", create(), "--activate=none")
    machine.change_record((AT_B, "B", KEXEC_TRIAL))
    machine.boot_by("kexec", "b")
    leave(machine, here, "b")
    refuse(machine, CONFIG, ["slot b cannot be marked good: it does not run by the kexec", "boot_id as before the jump"], "mark-good")
    assert not machine.status()["jump"]["proven"]
    leave(machine, before, "b")
    assert machine.status()["jump"] == {"proven": True, "nonce": True, "bootloader": True, "boot_id": True}
    machine.check("mark-good")


@pytest.mark.parametrize("slot, how", [("a", "kexec"), ("b", "reboot")])
def test_what_was_left_for_elsewhere_says_nothing_of_this_boot(machine, create, slot, how):
    here = "11111111-1111-4111-8111-111111111111"
    (machine.top / "sysroot/proc/sys/kernel/random").mkdir()
    (machine.top / "sysroot/proc/sys/kernel/random/boot_id").write_text(here + "\n")
    machine.check("install", create(), "--activate=none")
    machine.change_record((AT_B, "B", KEXEC_TRIAL))
    machine.boot_by("kexec", "b")
    leave(machine, here, slot, how)
    machine.check("mark-good")


@pytest.mark.parametrize("verb", [("mark-bad", "b"), ("mark-active", "b"), ("rollback", "--activate=none")])
def test_what_is_given_up_is_forgotten(machine, create, verb):
    if verb[0] == "rollback":
        machine.check("install", create(), "--activate=none")
        machine.check("mark-active", "b")
        machine.boot_by("firmware", "b")
    machine.change_record((AT_NONCE, "<Q", NONCE + 7))
    if verb[0] != "rollback":
        machine.check("install", create(), "--activate=none")
        machine.change_record((AT_B, "B", KEXEC_TRIAL), (AT_NONCE, "<Q", NONCE + 7))
    machine.check(*verb)
    assert struct.unpack_from("<Q", machine.variable("SlotState", OURS), AT_NONCE)[0] == 0

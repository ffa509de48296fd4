# SPDX-License-Identifier: MIT
"""What somebody who could write to the ESP, or was root for a moment, leaves behind: a whole machine goes on, takes
its updates, and runs nothing that nobody signed. Sticks are in efi-app/test/run."""
import json
import struct

import pytest

import images
import record
from uki import section
from varstore import SIGNED_UPDATES, VarStore

LOADER_INTERFACE = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
SQUATTER = b"\0" * 256
TRACE_OF_B = (struct.pack("<8s8BQ", b"SLOTTRCE", 1, 1, 0, 0, 0, 1, 0, 0, 1) + struct.pack("<BBBBQ", 1, 0, 0, 0, 0)).ljust(128, b"\0")


def prefer_a(machine):
    state = record.read(machine)
    state.sequence, state.preferred = state.sequence + 1, 0
    record.write(machine, state)
    return state


def evil(uki):
    """Another command line."""
    _, at, size = section(uki, b".cmdline")
    return uki[:at] + uki[at:at + size].replace(b"no_timer_check", b"rd.evil=pwned0") + uki[at + size:]


@pytest.mark.parametrize("ahead", [1, 1 << 31, 1 << 40])
def test_the_esp_alone_makes_no_uki_fit_for_kexec(machine, ahead):
    state, esp = prefer_a(machine), machine.disk.esp
    forged = evil(esp.read("EFI/slotboot/b/uki.efi"))
    esp.write("EFI/slotboot/b/uki.efi", forged)
    for name in ("manifest.p7s", "manifest.json", "uki.index"):
        esp.remove(f"EFI/slotboot/b/{name}")
    state.sequence += ahead
    state.b = record.Slot(status=record.GOOD)
    state.b.holds(forged)
    esp.write(record.MIRROR, state.encode().ljust(record.STRIDE, b"\0") * 2)
    assert machine.cold_boot().slot == "a"
    for _ in range(2):
        status, said = machine.run("slotctl kexec exec b")
        assert status != 0 and "no signed manifest beside it" in said, said
        machine.check("slotctl mark-good")      # carries no forgery into the variable
    assert "rd.evil" not in machine.console() and machine.firmware_entries() == 1


def test_a_trace_that_stays_stops_nothing(machine, install):
    """It names the slot that does not run, and no loader can replace it."""
    prefer_a(machine)
    VarStore(machine.vars).set("SlotTrace", TRACE_OF_B)
    assert machine.cold_boot().slot == "a"
    machine.check("slotctl mark-good")
    boot = machine.run_to_boot(install("y.zip", "reboot"))
    assert (boot.slot, boot.variant) == ("b", "y")
    machine.check("slotctl mark-good")
    status = machine.status()
    assert (status["running"], status["preferred"], status["slots"]["b"]["status"]) == ("b", "b", "good")


def test_loader_variables_that_stay_stop_nothing(machine):
    prefer_a(machine)
    store = VarStore(machine.vars)
    for name, text in (("LoaderInfo", "slotboot 0.1"), ("LoaderEntrySelected", "slotboot-b.efi")):
        store.set(name, (text + "\0").encode("utf-16-le"), LOADER_INTERFACE)
    assert machine.cold_boot().slot == "a"
    machine.check("slotctl mark-good && slotctl mark-active b")


def test_a_record_that_the_firmware_does_not_let_go_is_worked_round(machine, install):
    """As an authenticated variable of somebody else's."""
    machine.authenticate()
    VarStore(machine.vars).set("SlotState", SQUATTER, attributes=SIGNED_UPDATES)
    assert machine.cold_boot().slot == "b"
    assert "stored in the mirror on the ESP alone" in machine.check("slotctl mark-good")
    boot = machine.run_to_boot(install("z.zip", "reboot"))
    assert (boot.slot, boot.variant) == ("a", "z")
    machine.check("slotctl mark-good")
    machine.reset()
    assert machine.wait_boot().slot == "a"
    status = machine.status()
    assert (status["state"]["source"], status["slots"]["a"]["status"]) == ("mirror", "good")
    assert VarStore(machine.vars).get("SlotState").data == SQUATTER


def test_a_version_that_nobody_signed_raises_no_floor(machine, install):
    prefer_a(machine)
    manifest = json.loads(machine.disk.esp.read("EFI/slotboot/a/manifest.json"))
    machine.disk.esp.write("EFI/slotboot/a/manifest.json",
                           json.dumps({**manifest, "version": "99999", "raises-floor": True}).encode())
    assert machine.cold_boot().slot == "a"
    machine.check("slotctl mark-good")
    boot = machine.run_to_boot(install("z.zip", "reboot", "--allow-downgrade"))
    assert (boot.slot, boot.variant) == ("b", "z")


def test_a_bundle_without_the_image_is_refused(machine):
    """A genuine one of a UKI alone would put a new version over an old root."""
    prefer_a(machine)
    images.put_uki_bundle(machine, "alone.zip", machine.disk.esp.read("EFI/slotboot/a/uki.efi"))
    assert machine.cold_boot().slot == "a"
    before = machine.snapshot()
    status, said = machine.run("slotctl install /efi/alone.zip --activate=none --allow-downgrade")
    assert status == 65 and "rootfs" in said, said
    assert machine.snapshot() == before

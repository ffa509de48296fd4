# SPDX-License-Identifier: MIT
"""Updates that do not work. One machine, in order; the second case begins where the first fell back to."""
import pytest


@pytest.fixture(scope="module")
def machine(confirmed):
    return confirmed()


def test_unconfirmed_trial_falls_back_after_its_tries(machine, install):
    boot = machine.run_to_boot(install("y.zip", "reboot", "--tries 2"))
    assert (boot.variant, boot.slot) == ("y", "b")
    assert machine.status()["slots"]["b"]["tries_left"] == 1
    machine.reset()
    boot = machine.wait_boot()
    assert (boot.variant, boot.slot) == ("y", "b")
    machine.reset()
    boot = machine.wait_boot()
    assert (boot.variant, boot.slot) == ("x", "a")
    status = machine.status()
    assert (status["slots"]["b"]["status"], status["slots"]["b"]["reason"]) == ("bad", "tries")


def test_corrupt_trial_uki_fails_over_in_the_same_boot(machine, install):
    machine.check(install("y.zip", "none") + " && slotctl mark-active b")
    machine.shutdown()
    uki = bytearray(machine.disk.esp.read("EFI/slotboot/b/uki.efi"))
    middle = len(uki) // 2
    uki[middle:middle + 512] = bytes(byte ^ 0xFF for byte in uki[middle:middle + 512])
    machine.disk.esp.write("EFI/slotboot/b/uki.efi", bytes(uki))
    boot = machine.cold_boot()
    assert (boot.variant, boot.slot) == ("x", "a")
    assert machine.firmware_entries() == 1
    status = machine.status()
    assert (status["slots"]["b"]["status"], status["slots"]["b"]["reason"]) == ("bad", "digest")
    assert "Slot b failed in this boot: its UKI is not the one that was installed" in machine.check("slotctl status")


def test_trial_uki_that_is_not_pe_fails_over_in_the_same_boot(machine, install):
    machine.check(install("y.zip", "none") + " && slotctl mark-active b")
    machine.shutdown()
    machine.disk.esp.write("EFI/slotboot/b/uki.efi", b"this is not a PE image\n" * 100)
    boot = machine.cold_boot()
    assert (boot.variant, boot.slot) == ("x", "a")
    assert machine.firmware_entries() == 1
    assert machine.status()["slots"]["b"]["status"] == "bad"

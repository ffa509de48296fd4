# SPDX-License-Identifier: MIT
"""Updates that skip the firmware, and what the firmware's next boot makes of them."""
import pytest


@pytest.fixture(scope="module")
def machine(confirmed):
    return confirmed()


def test_x_to_y_to_z_by_kexec_enters_the_firmware_once(machine, install):
    boot = machine.run_to_boot(install("y.zip", "kexec"))
    assert (boot.variant, boot.slot) == ("y", "b")
    status = machine.status()
    assert status["boot"] == "kexec"
    assert status["slots"]["b"]["status"] == "kexec-trial"
    assert status["preferred"] == "a"
    machine.check("slotctl mark-good")
    boot = machine.run_to_boot(install("z.zip", "kexec"))
    assert (boot.variant, boot.slot) == ("z", "a")
    machine.check("slotctl mark-good")
    assert [(boot.variant, boot.slot) for boot in machine.boots()] == [("x", "a"), ("y", "b"), ("z", "a")]
    assert machine.firmware_entries() == 1
    assert machine.console().count("BdsDxe: starting") == 1


def test_slot_confirmed_after_kexec_is_still_on_trial_at_its_first_cold_boot(machine):
    status = machine.status()
    assert (status["preferred"], status["slots"]["a"]["status"]) == ("a", "trial")
    before = status["slots"]["a"]["tries_left"]
    machine.shutdown()
    boot = machine.cold_boot()
    assert (boot.variant, boot.slot) == ("z", "a")
    assert machine.status()["slots"]["a"]["tries_left"] == before - 1
    machine.check("slotctl mark-good")
    assert machine.status()["slots"]["a"]["status"] == "good"


def test_kexeced_slot_that_loses_power_before_mark_good_comes_back_on_the_old_slot(machine, install):
    boot = machine.run_to_boot(install("x.zip", "kexec", "--allow-downgrade"))
    assert (boot.variant, boot.slot) == ("x", "b")
    machine.power_cut()
    boot = machine.cold_boot()
    assert (boot.variant, boot.slot) == ("z", "a")
    status = machine.status()
    assert status["preferred"] == "a"
    assert [status["slots"][slot]["status"] for slot in "ab"] == ["good", "bad"]

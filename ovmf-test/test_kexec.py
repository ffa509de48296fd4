# SPDX-License-Identifier: MIT
"""Updates that skip the firmware, and what the firmware's next boot makes of them."""
import pytest

from paths import ARCH


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
    # Only x86 says by itself that a kexec started it.
    assert status["jump"] == {"proven": True, "nonce": True, "bootloader": ARCH.name == "x64", "boot_id": True}
    machine.check("slotctl mark-good")
    took = machine.status()["timing_ms"]["kexec"]
    assert took.pop("slot") == "b"
    assert set(took) == {"install", "stage", "leave", "kernel", "healthy"} and took["install"] > 0 and took["kernel"] > 0
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
    assert status["slots"]["a"]["proven"] == {"firmware": False, "kexec": True}
    boot = machine.run_to_boot("slotctl rehearse --activate=reboot")
    assert (boot.variant, boot.slot, machine.status()["boot"]) == ("z", "a", "firmware")
    assert machine.status()["slots"]["a"]["tries_left"] == before - 1
    machine.check("slotctl mark-good")
    status = machine.status()
    assert status["slots"]["a"]["status"] == "good"
    assert status["slots"]["a"]["proven"] == {"firmware": True, "kexec": True}
    assert set(status["timing_ms"]) == {"kexec", "reboot"}


def test_kexec_verbs_stage_unstage_and_jump(machine, install):
    staged = "cat /sys/kernel/kexec_loaded"
    machine.check(install("y.zip", "none", "--allow-downgrade"))
    machine.check("slotctl kexec load b")
    assert machine.check(staged).strip() == "1"
    machine.check("slotctl kexec unload")
    assert machine.check(staged).strip() == "0"
    # A load that fails takes the one before it along: it has no intent any more.
    machine.check("slotctl kexec load b")
    machine.check("cp /etc/slotboot/slotboot.conf /tmp/pinned.conf; echo kexec-kernel = /none >>/tmp/pinned.conf")
    code, output = machine.run("slotctl kexec load b --config=/tmp/pinned.conf")
    assert code == 66 and "/none" in output, output
    assert machine.check(staged).strip() == "0"
    boot = machine.run_to_boot("slotctl kexec exec b")
    assert (boot.variant, boot.slot) == ("y", "b")
    assert (machine.status()["boot"], machine.status()["preferred"]) == ("kexec", "a")


def test_rollback_by_kexec_returns_to_the_good_slot(machine):
    entries = machine.firmware_entries()
    boot = machine.run_to_boot("slotctl rollback --activate=kexec")
    assert (boot.variant, boot.slot) == ("z", "a")
    status = machine.status()
    assert (status["preferred"], status["slots"]["b"]["reason"]) == ("a", "rolled-back")
    assert machine.firmware_entries() == entries


def test_kernel_that_refuses_leaves_the_slot_installed_and_not_activated(machine, install):
    machine.check("echo 1 >/proc/sys/kernel/kexec_load_disabled")
    code, output = machine.run(install("y.zip", "kexec", "--allow-downgrade"))
    assert code == 77, output
    assert "installed but not activated" in output and "kexec_load_disabled" in output
    status = machine.status()
    assert (status["preferred"], status["slots"]["b"]["status"]) == ("a", "trial")
    machine.shutdown()
    assert machine.cold_boot().slot == "a"


def test_kexeced_slot_that_loses_power_before_mark_good_comes_back_on_the_old_slot(machine, install):
    boot = machine.run_to_boot(install("x.zip", "kexec", "--allow-downgrade"))
    assert (boot.variant, boot.slot) == ("x", "b")
    machine.power_cut()
    boot = machine.cold_boot()
    assert (boot.variant, boot.slot) == ("z", "a")
    status = machine.status()
    assert status["preferred"] == "a"
    assert [status["slots"][slot]["status"] for slot in "ab"] == ["good", "bad"]
    assert status["kexec_failures"] == 1
    code, output = machine.run(install("y.zip", "kexec", "--allow-downgrade"))
    assert code == 78 and "--force" in output
    boot = machine.run_to_boot(install("y.zip", "kexec", "--allow-downgrade", "--force"))
    assert (boot.variant, boot.slot) == ("y", "b")

# SPDX-License-Identifier: MIT
"""A system whose process 1 is systemd: what slotctl asks of it, and what its shutdown makes of it.
The cases share one machine, and go on from each other: S, the variant with systemd, is in both slots."""
import pytest

import images
from uki import with_hung_kernel

# By its path: busybox would take "reboot" for an applet of its own.
REBOOT = "/usr/sbin/reboot"
STOPPED = "TESTOS services are stopped by systemd"
HUNG = 60       # a watchdog's timeout, in real seconds: a shutdown and its jump take one or two


@pytest.fixture(scope="module")
def s(one_at_a_time):
    with one_at_a_time():
        return images.build("s")


@pytest.fixture
def install_s(s, install):
    def command(activate):
        return install(images.bundle(s).name, activate, "--allow-downgrade")
    return command


@pytest.fixture(scope="module")
def machine(new_machine, s):
    machine = new_machine(variant=s, watchdog="i6300esb")
    images.put_uki_bundle(machine, "hung.zip", with_hung_kernel(s.uki.read_bytes()), s)
    boot = machine.cold_boot()
    assert (boot.variant, boot.slot, machine.check("cat /proc/1/comm")) == ("s", "a", "systemd\n")
    machine.check("slotctl mark-good")
    return machine


def staged(machine):
    return machine.check("cat /sys/kernel/kexec_loaded") == "1\n"


def test_a_kexec_is_an_orderly_shutdown(machine, install_s):
    boot = machine.run_to_boot(install_s("kexec"))
    assert (boot.slot, machine.firmware_entries(), machine.console().count(STOPPED)) == ("b", 1, 1)
    # /efi was unmounted: the kernel would say so if not.
    assert "not properly unmounted" not in machine.check("dmesg")
    status = machine.status()
    assert (status["boot"], status["jump"]["proven"], status["slots"]["b"]["status"]) == ("kexec", True, "kexec-trial")
    machine.check("slotctl mark-good")


def test_systemd_jumps_into_whatever_is_staged(machine):
    """Why what is cancelled must be unloaded."""
    machine.check("slotctl kexec load a")
    boot = machine.run_to_boot(REBOOT)
    assert (boot.slot, machine.firmware_entries(), machine.status()["boot"]) == ("a", 1, "kexec")


def test_a_reboot_after_a_cancelled_activation_goes_through_the_firmware(machine, install_s):
    for cancel in ("slotctl kexec unload", "slotctl mark-bad b", install_s("none")):
        machine.check("slotctl kexec load a")
        assert staged(machine)
        machine.check(cancel)
        assert not staged(machine)
    boot = machine.run_to_boot(REBOOT)
    assert (boot.slot, machine.firmware_entries(), machine.status()["boot"]) == ("a", 2, "firmware")


def test_an_install_for_the_firmware_reboots_through_it(machine, install_s):
    boot = machine.run_to_boot(install_s("reboot"))
    assert (boot.slot, machine.firmware_entries(), machine.console().count(STOPPED)) == ("b", 3, 4)
    machine.check("slotctl mark-good")


def test_systemd_has_the_watchdog_run_across_the_jump(machine):
    machine.check(f"sed '/^.slotboot.$/a watchdog-timeout = {HUNG}' /etc/slotboot/slotboot.conf >/run/short.conf")
    # So that the console shows the jump itself, and how often.
    number = machine.start_command("dmesg -n 6; "
                                   "slotctl install /efi/hung.zip --activate=kexec --allow-downgrade --config=/run/short.conf")
    boot = machine.wait_command_boot(number)
    assert (boot.slot, machine.watchdog_resets(), machine.firmware_entries()) == ("b", 1, 4)
    assert machine.console().count(STOPPED) == 5 and machine.console().count("Starting new kernel") == 1
    status = machine.status()
    assert (status["preferred"], status["slots"]["a"]["reason"]) == ("b", "watchdog")

# SPDX-License-Identifier: MIT
"""arm64 with a kernel that can kexec (kernel-arm64), which Debian has not: the UKIs that only the firmware can start. What both
architectures have is in test_kexec.py and test_kexec_explain.py, which run here as they are. Two machines, each in order."""
import json

import pytest

import kernel
from machine import MachineError
from paths import ARCH, WORK, run

COMPATIBLE = b"linux,dummy-virt"        # QEMU's machine, in its device tree
BY_THE_UKI = b"linux,by-the-uki"
DATAERR, UNAVAILABLE = 65, 69


@pytest.fixture(scope="module")
def machine(confirmed):
    return confirmed()


@pytest.fixture(scope="module")
def by_tree(new_machine, kept):
    """Without ACPI, so that its firmware has a device tree: only in its place does systemd-stub put the UKI's."""
    machine = new_machine(begin=kept / "confirmed")
    machine.machine_type = ("-machine", f"{ARCH.machine},acpi=off")
    assert machine.cold_boot().slot == "a"
    return machine


def tree_of(machine):
    return machine.check("cat /proc/device-tree/compatible").rstrip("\0").encode()


@pytest.fixture(scope="module")
def zboot(other):
    return other("zboot", linux=kernel.zboot().read_bytes())


@pytest.fixture(scope="module")
def with_tree(other):
    """QEMU's device tree, told by its name from the one that QEMU hands over."""
    dumped = WORK / "virt.dtb"
    run(ARCH.qemu, "-machine", f"{ARCH.machine},acpi=off,dumpdtb={dumped}", "-cpu", ARCH.cpu, "-smp", "1", "-m", "1024",
        "-nodefaults", "-display", "none")
    tree = dumped.read_bytes()
    assert COMPATIBLE in tree
    return other("tree", more=((".dtb", tree.replace(COMPATIBLE, BY_THE_UKI)),))


def assert_refused(machine, command, slot, check, words, exit_status):
    """The slot is installed and not chosen, and explain blames that check alone."""
    before = machine.status()["preferred"]
    with pytest.raises(MachineError) as refused:
        machine.run_to_boot(command)
    said = str(refused.value)
    assert f": exit {exit_status}\n" in said and words in said and "installed but not activated" in said, said
    told = machine.status()
    assert (told["preferred"], told["slots"][slot]["status"]) == (before, "trial")
    assert machine.check("cat /sys/kernel/kexec_loaded").strip() == "0"
    status, output = machine.run(f"slotctl kexec explain {slot} --json 2>/dev/null")
    found = {check["check"]: check for check in json.loads(output)["checks"]}
    assert (status, [name for name in found if found[name]["verdict"] != "pass"]) == (UNAVAILABLE, [check]), found
    assert words in found[check]["evidence"]


def through_the_firmware(machine, slot):
    boot = machine.run_to_boot(f"slotctl mark-active {slot} && reboot")
    assert (boot.variant, boot.slot, machine.status()["boot"]) == ("y", slot, "firmware")
    machine.check("slotctl mark-good")
    assert machine.status()["slots"][slot]["status"] == "good"


def test_a_zboot_image_is_refused_for_kexec_and_starts_through_the_firmware(machine, install, zboot):
    assert_refused(machine, install(zboot, "kexec"), "b", "format", "EFI zboot image", DATAERR)
    through_the_firmware(machine, "b")


def test_from_a_zboot_image_a_plain_one_starts_by_kexec(machine, install):
    entries = machine.firmware_entries()
    boot = machine.run_to_boot(install("z.zip", "kexec"))
    assert (boot.variant, boot.slot, machine.status()["boot"]) == ("z", "a", "kexec")
    machine.check("slotctl mark-good")
    assert machine.firmware_entries() == entries


def test_a_device_tree_in_the_uki_is_refused_for_kexec_and_kept_by_the_firmware(by_tree, install, with_tree):
    assert tree_of(by_tree) == COMPATIBLE
    assert_refused(by_tree, install(with_tree, "kexec"), "b", "image", "brings a device tree", DATAERR)
    through_the_firmware(by_tree, "b")
    assert tree_of(by_tree) == BY_THE_UKI


def test_from_a_uki_with_a_device_tree_one_without_starts_by_kexec_and_has_it_still(by_tree, install):
    boot = by_tree.run_to_boot(install("z.zip", "kexec"))
    assert (boot.variant, boot.slot, by_tree.status()["boot"]) == ("z", "a", "kexec")
    assert tree_of(by_tree) == BY_THE_UKI

# SPDX-License-Identifier: MIT
"""arm64 alone: Debian's kernel for it, which cannot kexec, and U-Boot, which takes no variables while Linux runs. What both
architectures have is in the other files."""
import json

import pytest

import disk
from conftest import fresh
from machine import Machine
from paths import PROGRAMS, WORK


class UBootMachine(Machine):
    """On U-Boot, which has its variables in a file on the ESP, and the device tree of QEMU."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.asleep = None      # what it says when it starts something is not looked for

    def _firmware(self):
        return ["-bios", str(PROGRAMS / "usr/lib/u-boot/qemu_arm64/u-boot.bin")]


def test_a_kernel_without_kexec_file_load_is_named_and_the_slot_stays_installed(confirmed, install):
    machine = confirmed()
    status, output = machine.run(install("y.zip", "kexec"))
    assert status == 69 and "the running kernel was built without kexec_file_load" in output, output
    told = machine.status()
    assert (told["preferred"], told["slots"]["b"]["status"]) == ("a", "trial")
    status, output = machine.run("slotctl kexec explain b --json 2>/dev/null")
    checks = json.loads(output)["checks"]
    assert status == 69 and [check["check"] for check in checks if check["verdict"] == "fail"] == ["support"]
    boot = machine.run_to_boot("slotctl mark-active b && reboot")
    assert (boot.variant, boot.slot) == ("y", "b")
    machine.check("slotctl mark-good")


@pytest.fixture(scope="module")
def uboot(variants, bundles):
    directory = fresh(WORK / "run" / "uboot")
    machine = UBootMachine(directory, disk.make(directory / "disk.img", variants["x"], bundles["x.zip"]))
    yield machine
    machine.power_cut()
    machine.disk.path.unlink()


def assert_mirrored(machine):
    """The record is in the mirror, and nobody complains."""
    said = machine.check("slotctl status")
    assert "from the mirror; the firmware takes no variables while Linux runs\n" in said and "warning" not in said, said
    status, output = machine.run("slotctl doctor --json")
    assert status == 0, output
    assert "variables-closed" in [found["id"] for found in json.loads(output)["findings"]]


def test_on_uboot_the_mirror_has_the_record(uboot, install):
    boot = uboot.cold_boot()
    assert (boot.variant, boot.slot) == ("x", "a") and "Das U-Boot" in uboot.check("dmesg")
    uboot.check("slotctl mark-good")
    assert_mirrored(uboot)


def test_on_uboot_an_update_that_nobody_confirms_falls_back(uboot, install):
    boot = uboot.run_to_boot(install("y.zip", "reboot", "--tries 1"))
    assert (boot.variant, boot.slot, uboot.status()["slots"]["b"]["status"]) == ("y", "b", "trial")
    uboot.reset()
    boot = uboot.wait_boot()
    told = uboot.status()
    assert (boot.variant, boot.slot) == ("x", "a")
    assert (told["slots"]["b"]["status"], told["slots"]["b"]["reason"]) == ("bad", "tries")


def test_on_uboot_an_update_by_reboot_is_kept(uboot, install):
    boot = uboot.run_to_boot(install("y.zip", "reboot"))
    assert (boot.variant, boot.slot) == ("y", "b")
    uboot.check("slotctl mark-good")
    boot = uboot.run_to_boot("reboot")
    told = uboot.status()
    assert (boot.variant, boot.slot, told["preferred"], told["slots"]["b"]["status"]) == ("y", "b", "b", "good")
    assert_mirrored(uboot)

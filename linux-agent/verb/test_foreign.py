# SPDX-License-Identifier: MIT
"""slotctl against files: variables, a mirror and a UKI that are not of this machine, or not slotctl's own."""
import hashlib
import struct
import subprocess
import uuid

import pytest
import record

from drymachine import AT_STATUS_A, CONFIG, LOADER, OURS, WRITING, refuse
from paths import SFDISK

NOT_THE_LOADERS = struct.pack("<I", 7)      # it stays over a reset


def esp_guid(machine, new=None):
    """Of the disk that the configuration names; another one from now on."""
    if new:
        subprocess.run([*SFDISK, "--part-uuid", machine.top / "disk.img", "1", new], check=True)
    return subprocess.run(["/usr/sbin/sfdisk", "--part-uuid", machine.top / "disk.img", "1"], check=True,
                          capture_output=True, text=True).stdout.strip()


def uki_of(machine, slot):
    return machine.top / f"esp/EFI/slotboot/{slot}/uki.efi"


def test_on_a_new_disk_mark_good_replaces_the_record_of_the_old_one(machine, create):
    machine.check("install", create(), "--activate=none")
    esp_guid(machine, "77777777-3a50-4b8e-9f47-52c0d1e8b39a")
    status = machine.status()
    assert status["state"]["source"] == "lost"
    assert status["state"]["variable"] == status["state"]["mirror"] == "of another disk"
    assert "lost (variable: of another disk; mirror: of another disk)" in machine.check("status")
    assert machine.check("mark-good") == "slot a: good\n"
    record = machine.variable("SlotState", OURS)
    assert record[32:48] == uuid.UUID("77777777-3a50-4b8e-9f47-52c0d1e8b39a").bytes_le
    status = machine.status()
    assert (status["state"]["source"], status["state"]["mirror"]) == ("variable", "ok")
    assert (status["slots"]["b"]["status"], status["slots"]["b"]["reason"]) == ("bad", "state-lost")


@pytest.mark.parametrize("before", [(AT_STATUS_A, "B", WRITING), (AT_STATUS_A + 24, "32s", b"of another UKI")])
def test_on_a_disk_that_was_imaged_again_mark_good_replaces_the_record_of_before(machine, before):
    """The image brought its GUIDs and a state.bin, which the variable has left behind: with an install into a that was cut
    off, or with another version there."""
    machine.check("mark-good")
    machine.change_record(before, (AT_STATUS_A + 80, "B", record.GOOD))
    assert machine.check("mark-good") == "slot a: good\n"
    status = machine.status()
    assert (status["state"]["source"], status["slots"]["a"]["status"], status["slots"]["b"]["status"]) == ("variable", "good", "empty")


def test_another_esp_than_the_one_that_was_booted_from_is_named_and_nothing_changed(machine):
    booted = "66666666-3a50-4b8e-9f47-52c0d1e8b39a"
    machine.set_variable("LoaderDevicePartUUID", LOADER, (booted + "\0").encode("utf-16-le"))
    for argv in (["mark-good"], ["mark-bad"], ["mark-active", "a"], ["rollback", "--activate=none"]):
        refuse(machine, CONFIG, ["is not the one that the firmware booted from", booted], *argv)
    assert f"partition UUID {booted}" in machine.check("status")
    machine.set_variable("LoaderDevicePartUUID", LOADER, (esp_guid(machine) + "\0").encode("utf-16-le"))
    machine.check("mark-good")


def test_after_a_kexec_the_loaders_word_is_of_an_earlier_boot(machine):
    machine.set_variable("LoaderDevicePartUUID", LOADER, ("66666666-3a50-4b8e-9f47-52c0d1e8b39a\0").encode("utf-16-le"))
    machine.boot_by("kexec", "a")
    machine.check("mark-good")
    assert machine.status()["esp_error"] is None


def two_disks(machine):
    """The configured disk is sda; / is on sdb, whose first partition has the same label."""
    root = machine.top / "sysroot"
    for number, name in (("8:1", "sda1"), ("8:17", "sdb1")):
        sysfs = root / f"sys/devices/{name[:3]}/{name}"
        sysfs.mkdir(parents=True)
        (sysfs / "uevent").write_text(f"DEVNAME={name}\nPARTN=1\nPARTNAME=esp\n")
        (sysfs / "partition").write_text("1\n")
        (root / "sys/dev/block").mkdir(parents=True, exist_ok=True)
        (root / f"sys/dev/block/{number}").symlink_to(sysfs)
    for directory in ("sys/class/block", "dev"):
        (root / directory).mkdir(parents=True)
    (root / "sys/class/block/sda").symlink_to(root / "sys/devices/sda")
    (machine.top / "disk.img").rename(root / "dev/sda")
    (machine.top / "disk.img").symlink_to(root / "dev/sda")


def test_root_on_another_disk_with_the_same_labels_is_named_and_nothing_changed(machine):
    two_disks(machine)
    mountinfo = machine.top / "sysroot/proc/self/mountinfo"
    mountinfo.write_text("20 1 8:17 / / ro - ext4 /dev/sdb1 ro\n")
    conf = machine.top / "slotboot.conf"
    conf.write_text(conf.read_text().replace("[image rootfs]", "[image data]"))
    for argv in (["mark-good"], ["mark-bad"], ["mark-active", "a"], ["rollback", "--activate=none"]):
        refuse(machine, CONFIG, ["/ is on", "/dev/sdb1", "/dev/sda1", "two disks with the same labels"], *argv)
    assert "two disks with the same labels" in machine.check("status")
    assert "/dev/sdb1" in machine.status()["esp_error"]
    mountinfo.write_text("20 1 8:1 / / ro - ext4 /dev/sda1 ro\n")
    machine.check("mark-good")
    assert machine.status()["esp_error"] is None


@pytest.mark.parametrize("name, guid, value", [
    ("SlotTrace", OURS, struct.pack("<8s8BQ4BQ", b"SLOTTRCE", 1, 1, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0).ljust(128, b"\0")),
    ("SlotState", OURS, bytes(320)),
    ("LoaderDevicePartUUID", LOADER, "66666666-3a50-4b8e-9f47-52c0d1e8b39a\0".encode("utf-16-le"))],
                         ids=["SlotTrace", "SlotState", "LoaderDevicePartUUID"])
def test_variables_that_are_not_the_loaders_are_named_and_stop_nothing(machine, create, name, guid, value):
    """Of SlotTrace: it names slot b, and a runs."""
    attributes = struct.pack("<I", 0x27) if name == "SlotState" else NOT_THE_LOADERS
    (machine.top / "vars" / f"{name}-{guid}").write_bytes(attributes + value)
    if guid == OURS:
        assert f"the variable {name} is not" in machine.check("status")
    machine.check("mark-good")
    machine.check("install", create(), "--activate=none")
    machine.check("mark-active", "b")
    assert machine.status()["slots"]["b"]["status"] == "trial"


def test_mark_good_learns_a_uki_that_was_put_there_by_hand(machine):
    uki_of(machine, "a").write_bytes(uki_of(machine, "a").read_bytes() + b"by hand")
    machine.check("mark-good")
    assert machine.status()["slots"]["a"]["uki_sha256"] == hashlib.sha256(uki_of(machine, "a").read_bytes()).hexdigest()


def test_mark_good_says_that_somebody_replaced_what_slotctl_installed(machine, create):
    machine.check("install", create(), "--activate=none")
    machine.check("mark-active", "b")
    machine.boot_by("firmware", "b")
    installed = machine.status()["slots"]["b"]["uki_sha256"]
    uki_of(machine, "b").write_bytes(uki_of(machine, "b").read_bytes() + b"replaced")
    assert "WARNING: the UKI of the running slot is not the one that slotctl installed" in machine.check("mark-good")
    assert machine.status()["slots"]["b"]["uki_sha256"] == installed

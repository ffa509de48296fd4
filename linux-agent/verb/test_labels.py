# SPDX-License-Identifier: MIT
"""A machine whose slotboot.conf names no images: slotctl finds their partitions by the labels that provision gives them."""
import os
import shutil
import subprocess

import pytest

from drymachine import CONFIG, refuse
from paths import SFDISK

PARTS = ["slotboot-a", "slotboot-b", "slotboot-a-app", "slotboot-b-app"]


@pytest.fixture
def labelled(machine):
    """The machine with partitions of these labels behind its ESP: files, as the kernel's nodes would be."""
    def labelled(labels=PARTS):
        top = machine.top
        esp = subprocess.run(["/usr/sbin/sfdisk", "--part-uuid", top / "disk.img", "1"], check=True, capture_output=True, text=True)
        (top / "sysroot/dev").mkdir(exist_ok=True)
        disk = top / "sysroot/dev/sda"
        with disk.open("wb") as f:
            f.truncate(32 << 20)
        script = f"label: gpt\nsize=1MiB, type=uefi, uuid={esp.stdout}\n" + "".join(f'size=4MiB, name="{label}"\n' for label in labels)
        subprocess.run([*SFDISK, disk], input=script.encode(), check=True)
        for number in range(1, len(labels) + 2):
            sysfs = top / f"sysroot/sys/class/block/sda/sda{number}"
            sysfs.mkdir(parents=True)
            (sysfs / "partition").write_text(f"{number}\n")
            (sysfs / "uevent").write_text(f"DEVNAME=sda{number}\n")
            (top / f"sysroot/dev/sda{number}").write_bytes(b"")
        machine.configure()
        conf = top / "slotboot.conf"
        text = conf.read_text().replace(f"{top}/disk.img:1", f"{top.resolve()}/sysroot/dev/sda:1")
        conf.write_text(text[:text.index("[image")])
        return machine
    return labelled


@pytest.fixture
def two(bundled, parts, tmp_path):
    (tmp_path / "app.img").write_bytes(os.urandom(1 << 20))
    assert bundled(parts / "good.efi", f"--image=app={tmp_path / 'app.img'}").returncode == 0
    return tmp_path / "new.zip"


def test_further_images_are_found_by_their_labels(labelled, two, parts, tmp_path):
    machine = labelled()
    machine.check("install", two, "--activate=none")
    dev = machine.top / "sysroot/dev"
    assert (dev / "sda3").read_bytes() == (parts / "rootfs.img").read_bytes()
    assert (dev / "sda5").read_bytes() == (tmp_path / "app.img").read_bytes()
    assert (dev / "sda2").read_bytes() == (dev / "sda4").read_bytes() == b""


@pytest.mark.parametrize("labels", [
    [*PARTS[:2], "slotboot-a-other"],
    [*PARTS[:2], "slotboot-b-other"],
    [*PARTS[:2], "slotboot-a-other", "slotboot-b-other", "slotboot-a-other"],
    [*PARTS[:2], "slotboot-a-Other", "slotboot-b-Other"],
    [*PARTS[:2], "slotboot-a-an other", "slotboot-b-an other"],
    [*PARTS[:2], "slotboot-a-", "slotboot-b-"],
])
def test_labels_that_are_no_pair_of_an_image_stop_no_verb(labelled, create, parts, labels):
    machine = labelled(labels)
    machine.check("install", create(), "--activate=none")
    assert (machine.top / "sysroot/dev/sda3").read_bytes() == (parts / "rootfs.img").read_bytes()
    machine.check("mark-good")


def test_a_pair_without_device_nodes_stops_no_verb(labelled, create, two):
    machine = labelled()
    for number in (4, 5):
        shutil.rmtree(machine.top / f"sysroot/sys/class/block/sda/sda{number}")
    machine.check("install", create(), "--activate=none")
    machine.check("mark-good")
    refuse(machine, CONFIG, ["app"], "install", two, "--activate=none")


def test_an_image_without_partitions_is_refused(labelled, two):
    refuse(labelled(PARTS[:2]), CONFIG, ["app"], "install", two, "--activate=none")


def test_a_bundle_must_have_each_image_that_there_are_partitions_for(labelled, create):
    refuse(labelled(), 65, ["app"], "install", create(), "--activate=none")

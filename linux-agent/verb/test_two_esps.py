# SPDX-License-Identifier: MIT
"""slotctl on a machine whose disks are mirrored: esp= names two ESPs, and either disk may go and come back."""
import hashlib
import json
import shutil
import struct
import subprocess
import uuid
import zlib

import pytest
import test_schema
from drymachine import CONFIG, GLOBAL, LOADER, OURS, refuse
from paths import SFDISK
from test_loader import loader_of

HOME, FALLBACK = "EFI/slotboot/slotbootx64.efi", "EFI/BOOT/BOOTX64.EFI"
AT_SEQUENCE, AT_ESPS = 16, 32


class TwoEsps:
    """A DryMachine with a second disk image and directory; a lost disk is one that is moved away."""

    def __init__(self, machine):
        self.machine, self.top = machine, machine.top
        (self.top / "esp2").mkdir()
        with (self.top / "disk2.img").open("wb") as f:
            f.truncate(3 << 20)
        subprocess.run([*SFDISK, self.top / "disk2.img"],
                       input=b"label: gpt\nsize=1MiB, type=uefi, name=esp\n", check=True)
        conf = self.top / "slotboot.conf"
        conf.write_text(conf.read_text().replace(f"esp = {self.top}/esp\n", f"esp = {self.top}/esp {self.top}/esp2\n")
                        .replace(f"{self.top}/disk.img:1", f"{self.top}/disk.img:1 {self.top}/disk2.img:1"))

    def __getattr__(self, name):
        return getattr(self.machine, name)

    def guid(self, disk):
        """As GPT and record have it."""
        found = json.loads(subprocess.run(["/usr/sbin/sfdisk", "-J", self.top / disk], check=True, capture_output=True).stdout)
        return uuid.UUID(found["partitiontable"]["partitions"][0]["uuid"])

    def pull(self, number):
        for name in (f"esp{number}".replace("esp1", "esp"), f"disk{number}.img".replace("disk1", "disk")):
            (self.top / name).rename(self.top / f"{name}.away")

    def put_back(self, number):
        for name in (f"esp{number}".replace("esp1", "esp"), f"disk{number}.img".replace("disk1", "disk")):
            (self.top / f"{name}.away").rename(self.top / name)

    def boot_from(self, number, slot="a"):
        """What the firmware leaves that has booted by this disk."""
        guid = self.guid("disk.img" if number == 1 else "disk2.img")
        self.set_variable("LoaderDevicePartUUID", LOADER, f"{guid}\0".encode("utf-16le"))
        self.boot_by("firmware", slot)

    def names(self):
        record = self.variable("SlotState", OURS)
        found = [uuid.UUID(bytes_le=record[AT_ESPS + 16 * i:AT_ESPS + 16 * i + 16]) for i in range(2)]
        return {1 if g == self.known[0] else 2 for g in found if g.int}

    def files(self, esp):
        """What is to be the same on both; state.bin by what it holds."""
        top = self.top / esp
        found = {p.relative_to(top): p.read_bytes() for p in top.rglob("*") if p.is_file()}
        return {str(k): hashlib.sha256(v).hexdigest() for k, v in found.items()
                if not str(k).endswith((".json", ".new.efi")) or "/a/" in str(k) or "/b/" in str(k)}

    def same(self):
        return self.files("esp") == self.files("esp2")

    def mirror(self, esp):
        data = (self.top / esp / "EFI/slotboot/state.bin").read_bytes()
        return data[:320], data[4096:4416]

    def esps(self):
        return self.status()["esps"]


@pytest.fixture
def two(machine):
    """In step. Slot a runs version 1; the loader is one that has booted."""
    two = TwoEsps(machine)
    two.known = two.guid("disk.img"), two.guid("disk2.img")
    two.boot_from(1)
    two.set_variable("LoaderInfo", LOADER, "slotboot 1\0".encode("utf-16le"))
    two.set_variable("LoaderEntrySelected", LOADER, "slotboot-a.efi\0".encode("utf-16le"))
    two.set_variable("LoaderImageIdentifier", LOADER, ("\\" + HOME.replace("/", "\\") + "\0").encode("utf-16le"))
    (two.top / "esp" / HOME).write_bytes(loader_of("1"))
    assert "was behind, and is in step now" in two.check("mark-good")
    return two


def test_a_new_disk_is_brought_up_by_mark_good(two):
    assert two.same()
    assert two.names() == {1, 2}
    assert set(two.mirror("esp2")) == {two.variable("SlotState", OURS)}
    assert two.esps() == {"directory": f"{two.top}/esp", "other": f"{two.top}/esp2", "state": "in-step", "why": None}
    assert "in step with it" in two.check("status")
    assert (two.top / "esp2" / FALLBACK).read_bytes() == loader_of("1")


def test_mark_good_in_step_writes_nothing(two):
    before = two.bytes() | two.files("esp2")
    two.check("mark-good")
    assert two.bytes() | two.files("esp2") == before
    assert "other-esp" not in two.run("doctor", "--json")[1]


def test_both_loaders_have_an_entry_and_no_slot_has_one(two):
    entries = {p.name[4:8]: p.read_bytes() for p in (two.top / "vars").glob(f"Boot0*-{GLOBAL}")}
    paths = {n: [g for g, k in ((1, two.known[0]), (2, two.known[1])) if k.bytes_le in d] for n, d in entries.items()}
    order = struct.unpack("<3H", two.variable("BootOrder", GLOBAL))
    assert [paths[f"{n:04X}"] for n in order] == [[1], [2], []]
    assert not any("uki.efi".encode("utf-16le") in d for d in entries.values())


@pytest.mark.parametrize("booted", [1, 2])
def test_an_install_writes_to_both_whichever_was_booted(two, create, booted):
    two.boot_from(booted)
    two.check("mark-good")
    two.check("install", create(), "--activate=none")
    assert two.names() == {1, 2}
    assert two.same()
    assert (two.top / "esp2/EFI/slotboot/b/uki.efi").exists()
    assert two.status()["slots"]["b"]["status"] == "trial"


@pytest.mark.parametrize("lost", [1, 2])
def test_with_either_disk_lost_the_machine_updates_and_the_disk_is_brought_up_when_it_returns(two, create, lost):
    kept, esp = 3 - lost, "esp2" if lost == 1 else "esp"
    two.pull(lost)
    two.set_variable("LoaderDevicePartUUID", LOADER, f"{two.known[kept - 1]}\0".encode("utf-16le"))
    out = two.check("mark-good")
    assert "is lost" in out
    assert two.names() == {1, 2}, "what is away holds what the record says, as yet"
    status = two.esps()
    assert status["state"] == "lost" and status["directory"] == f"{two.top}/{esp}" and status["other"] is None
    status, out, _ = two.run("doctor", "--json")
    assert status == 1 and "other-esp-lost" in {f["id"] for f in json.loads(out)["findings"]}
    _, out, errors = two.run("install", create(), "--activate=none")
    assert "is lost" in out + errors
    assert two.names() == {kept}
    two.put_back(lost)
    assert two.esps()["state"] == "behind"
    assert "is behind" in two.check("status")
    assert "other-esp-behind" in {f["id"] for f in json.loads(two.run("doctor", "--json")[1])["findings"]}
    assert "in step now" in two.check("mark-good")
    assert two.names() == {1, 2} and two.same()


def test_with_the_booted_disk_lost_while_running_the_machine_goes_on(two, create):
    two.pull(1)
    assert "is lost" in two.check("mark-bad", "a")
    two.check("mark-good")
    two.check("install", create(), "--activate=none")
    assert two.names() == {2}
    assert (two.top / "esp2/EFI/slotboot/b/uki.efi").exists()


def test_doctor_brings_the_other_one_up(two):
    shutil.rmtree(two.top / "esp2/EFI/slotboot/a")
    before = json.loads(two.run("doctor", "--json")[1])["findings"]
    assert {"other-esp-behind"} <= {f["id"] for f in before}
    two.run("doctor", "--repair")
    assert two.same() and two.names() == {1, 2}


def test_a_damaged_uki_is_not_copied_over_a_good_one(two, create):
    two.check("install", create(), "--activate=none")
    there = (two.top / "esp2/EFI/slotboot/b/uki.efi").read_bytes()
    here = two.top / "esp/EFI/slotboot/b/uki.efi"
    here.write_bytes(here.read_bytes()[:-1] + b"!")
    two.check("mark-good")
    assert (two.top / "esp2/EFI/slotboot/b/uki.efi").read_bytes() == there
    assert two.names() == {1, 2}


def test_what_the_other_one_has_counted_alone_does_not_outrun_the_record(two):
    """Its loader wrote its mirror while the variable was not to be had."""
    record = bytearray(two.variable("SlotState", OURS))
    struct.pack_into("<Q", record, AT_SEQUENCE, 1000)
    struct.pack_into("<I", record, 316, zlib.crc32(bytes(record[:316])))
    state = bytearray((two.top / "esp2/EFI/slotboot/state.bin").read_bytes())
    state[:320] = record
    (two.top / "esp2/EFI/slotboot/state.bin").write_bytes(state)
    (two.top / "esp2/EFI/slotboot/a/uki.efi").unlink()
    two.check("mark-good")
    assert struct.unpack_from("<Q", two.variable("SlotState", OURS), AT_SEQUENCE)[0] > 1000
    assert set(two.mirror("esp2")) == {two.variable("SlotState", OURS)}


def test_another_systems_fallback_on_the_other_disk_is_left(two, parts):
    foreign = two.top / "esp2" / FALLBACK
    foreign.write_bytes((parts / "good.efi").read_bytes())
    (two.top / "esp2" / HOME).unlink()
    two.check("mark-good")
    assert foreign.read_bytes() == (parts / "good.efi").read_bytes()
    assert (two.top / "esp2" / HOME).read_bytes() == loader_of("1")


def test_two_esps_of_one_guid_are_refused(two):
    shutil.copy(two.top / "disk.img", two.top / "disk2.img")
    refuse(two, CONFIG, ["have the same partition UUID"], "mark-good")


def test_status_has_the_schema(two):
    test_schema.check("status", two.status())
